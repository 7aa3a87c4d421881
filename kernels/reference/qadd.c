/* y = quantized act((a - a_zero) a_scale + (b - b_zero) b_scale), each operation rounded to float32
   in this order. NONE is a slope of 1 and RELU one of 0: where 0 times minus infinity is a NaN, the
   code is that of 0 all the same. May run in place on a or b. */
#include "../codes.h"

void CSD_KERNEL(qadd)(const csd_args *args) {
    const csd_param *p = args->params;
    const csd_shape *shape = &args->out[0].shape;
    const csd_input *slopes = &args->in[CSD_QADD_SLOPE];
    const float a_scale = p[CSD_QADD_P_A_SCALE].f, b_scale = p[CSD_QADD_P_B_SCALE].f;
    const int each = csd_has_slopes(slopes);
    const size_t channels = each ? shape->dims[1] : 1;
    const size_t plane = each ? csd_count(shape, 2, shape->rank) : csd_size(shape);
    const size_t planes = each ? shape->dims[0] * channels : 1;
    for (size_t c = 0; c < planes; c++) {
        const float slope = csd_code_slope(slopes, c % channels, p[CSD_QADD_P_ACTIVATION].u,
                                           p[CSD_QADD_P_ALPHA].f);
        for (size_t at = 0; at < plane; at += CSD_BLOCK) {
            float a[CSD_BLOCK], b[CSD_BLOCK];
            const size_t count = csd_block(plane - at), from = c * plane + at;
            CSD_KERNEL(load_codes)(a, &args->in[CSD_QADD_A], from, count, p[CSD_QADD_P_A_ZERO].i);
            CSD_KERNEL(load_codes)(b, &args->in[CSD_QADD_B], from, count, p[CSD_QADD_P_B_ZERO].i);
            for (size_t i = 0; i < count; i++)
                a[i] = a[i] * a_scale + b[i] * b_scale;
            CSD_KERNEL(activate_codes)
            (&args->out[0], from, a, count, slope, p[CSD_QADD_P_Y_SCALE].f, p[CSD_QADD_P_Y_ZERO].i);
        }
    }
}
