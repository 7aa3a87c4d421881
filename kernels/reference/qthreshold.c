/* code = number of thresholds <= x, which never fall: found by halving. */
#include "../codes.h"

void CSD_KERNEL(qthreshold)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_QTHRESHOLD_X];
    const int32_t *thresholds = args->in[CSD_QTHRESHOLD_THRESHOLDS].data;
    const uint32_t most = args->in[CSD_QTHRESHOLD_THRESHOLDS].shape.dims[0];
    uint8_t *codes = args->out[0].data;
    const size_t total = csd_size(&input->shape);
    for (size_t i = 0; i < total; i++) {
        const int32_t x = csd_code_at(input, i);
        uint32_t first = 0; /* the count lies in first .. first + left */
        for (uint32_t left = most; left > 0;) {
            const uint32_t half = left / 2;
            if (thresholds[first + half] <= x) {
                first += half + 1;
                left -= half + 1;
            } else {
                left = half;
            }
        }
        codes[i] = (uint8_t)first;
    }
}
