/* y = quantized act((x - x_zero) x_scale), as qadd with one input. May run in place. */
#include "../codes.h"

void CSD_KERNEL(qactivation)(const csd_args *args) {
    const csd_param *p = args->params;
    const csd_shape *shape = &args->out[0].shape;
    const csd_input *slopes = &args->in[CSD_QACTIVATION_SLOPE];
    const float x_scale = p[CSD_QACTIVATION_P_X_SCALE].f;
    const int each = csd_has_slopes(slopes);
    const size_t channels = each ? shape->dims[1] : 1;
    const size_t plane = each ? csd_count(shape, 2, shape->rank) : csd_size(shape);
    const size_t planes = each ? shape->dims[0] * channels : 1;
    for (size_t c = 0; c < planes; c++) {
        const float slope = csd_code_slope(slopes, c % channels, p[CSD_QACTIVATION_P_ACTIVATION].u,
                                           p[CSD_QACTIVATION_P_ALPHA].f);
        for (size_t at = 0; at < plane; at += CSD_BLOCK) {
            float x[CSD_BLOCK];
            const size_t count = csd_block(plane - at), from = c * plane + at;
            CSD_KERNEL(load_codes)
            (x, &args->in[CSD_QACTIVATION_X], from, count, p[CSD_QACTIVATION_P_X_ZERO].i);
            for (size_t i = 0; i < count; i++)
                x[i] *= x_scale;
            CSD_KERNEL(activate_codes)
            (&args->out[0], from, x, count, slope, p[CSD_QACTIVATION_P_Y_SCALE].f,
             p[CSD_QACTIVATION_P_Y_ZERO].i);
        }
    }
}
