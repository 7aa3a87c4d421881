/* codes (n, M) of B_m bits each -> payload (n, ceil(sum B_m / 8)): most significant bit first,
   zeros at the end of each sample. Only the low B_m bits of a code are read. */
#include "../widths.h"

void CSD_KERNEL(pack_widths)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_PACK_WIDTHS_CODES];
    const uint8_t *widths = args->in[CSD_PACK_WIDTHS_WIDTHS].data;
    const uint8_t *codes = input->data;
    uint8_t *payload = args->out[0].data;
    for (uint32_t n = 0; n < input->shape.dims[0]; n++) {
        uint32_t held = 0; /* bits not yet written stand at the low end */
        uint32_t count = 0;
        for (uint32_t m = 0; m < input->shape.dims[1]; m++) {
            const uint32_t bits = csd_width(widths, m);
            held = held << bits | (*codes++ & ((1u << bits) - 1u));
            count += bits;
            if (count >= 8) {
                count -= 8;
                *payload++ = (uint8_t)(held >> count);
            }
        }
        if (count > 0)
            *payload++ = (uint8_t)(held << (8 - count));
    }
}
