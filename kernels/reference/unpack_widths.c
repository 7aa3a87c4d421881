/* payload (n, ceil(sum B_m / 8)) -> codes (n, M), the inverse of pack_widths. Any byte is legal. */
#include "../widths.h"

void CSD_KERNEL(unpack_widths)(const csd_args *args) {
    const csd_shape *out = &args->out[0].shape;
    const uint8_t *widths = args->in[CSD_UNPACK_WIDTHS_WIDTHS].data;
    const uint8_t *payload = args->in[CSD_UNPACK_WIDTHS_PAYLOAD].data;
    uint8_t *codes = args->out[0].data;
    for (uint32_t n = 0; n < out->dims[0]; n++) {
        uint32_t held = 0;
        uint32_t count = 0;
        for (uint32_t m = 0; m < out->dims[1]; m++) {
            const uint32_t bits = csd_width(widths, m);
            if (count < bits) {
                held = held << 8 | *payload++;
                count += 8;
            }
            count -= bits;
            *codes++ = (uint8_t)(held >> count & ((1u << bits) - 1u));
        }
    }
}
