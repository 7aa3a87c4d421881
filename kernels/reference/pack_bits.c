/* codes (n, M) of B bits -> payload (n, ceil(M B / 8)): most significant bit first, zeros at the
   end of each sample. Only the low B bits of a code are read. */
#include "../kernels.h"

void CSD_KERNEL(pack_bits)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_PACK_BITS_CODES];
    const uint32_t bits = args->params[CSD_PACK_BITS_P_BITS].u;
    const uint32_t mask = (1u << bits) - 1u;
    const uint8_t *codes = input->data;
    uint8_t *payload = args->out[0].data;
    for (uint32_t n = 0; n < input->shape.dims[0]; n++) {
        uint32_t held = 0; /* bits not yet written stand at the low end */
        uint32_t count = 0;
        for (uint32_t m = 0; m < input->shape.dims[1]; m++) {
            held = held << bits | (*codes++ & mask);
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
