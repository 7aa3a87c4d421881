/* kernels/reference/qadd.c, sixteen codes at a time. */
#include "../fast.h"
#include "code_words.h"

CSD_INLINE csd_wide value_of(const csd_input *x, size_t at, size_t count, csd_words zero,
                             csd_wide scale) {
    return csd_wide_mul(csd_words_float(csd_words_sub(csd_load_words(x, at, count), zero)), scale);
}

int CSD_FAST(qadd)(const csd_args *args) {
    const csd_param *p = args->params;
    const csd_shape *shape = &args->out[0].shape;
    const csd_input *slopes = &args->in[CSD_QADD_SLOPE];
    const csd_input a = args->in[CSD_QADD_A], b = args->in[CSD_QADD_B];
    const csd_output y = args->out[0];
    const int each = csd_has_slopes(slopes);
    const size_t channels = each ? shape->dims[1] : 1;
    const size_t plane = each ? csd_count(shape, 2, shape->rank) : csd_size(shape);
    const size_t planes = each ? shape->dims[0] * channels : 1;
    const csd_code_range range = csd_range_of(y.shape.dtype, p[CSD_QADD_P_Y_ZERO].i);
    const csd_words a_zero = csd_words_all(p[CSD_QADD_P_A_ZERO].i);
    const csd_words b_zero = csd_words_all(p[CSD_QADD_P_B_ZERO].i);
    const csd_wide a_scale = csd_wide_all(p[CSD_QADD_P_A_SCALE].f);
    const csd_wide b_scale = csd_wide_all(p[CSD_QADD_P_B_SCALE].f);
    const csd_wide y_scale = csd_wide_all(p[CSD_QADD_P_Y_SCALE].f);
    for (size_t c = 0; c < planes; c++) {
        const csd_wide slope = csd_wide_all(csd_code_slope(
            slopes, c % channels, p[CSD_QADD_P_ACTIVATION].u, p[CSD_QADD_P_ALPHA].f));
        for (size_t i = 0; i < plane; i += CSD_WIDE) {
            const size_t at = c * plane + i, count = plane - i < CSD_WIDE ? plane - i : CSD_WIDE;
            const csd_wide sum = csd_wide_add(value_of(&a, at, count, a_zero, a_scale),
                                              value_of(&b, at, count, b_zero, b_scale));
            const csd_wide ratio = csd_wide_div(csd_wide_rectify(sum, slope), y_scale);
            csd_store_words(&y, at, csd_saturate_words(ratio, &range), count);
        }
    }
    return 1;
}

CSD_NOTHING_PREPARED(qadd)
