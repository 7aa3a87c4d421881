/* codes (n, M) of B bits -> payload (n, ceil(M B / 8)), eight codes at a time. */
#include "../fast.h"
#include "eight_codes.h"

CSD_INLINE void pack(uint8_t *payload, const uint8_t *codes, size_t samples, size_t count,
                     unsigned bits) {
    for (size_t n = 0; n < samples; n++) {
        size_t m = 0;
        for (; m + 8u <= count; m += 8u, codes += 8u, payload += bits)
            csd_bytes_out(payload, csd_join_eight(csd_bytes_in(codes, 8u), bits), bits);
        if (m < count) { /* zeros behind the last code */
            const size_t left = count - m, bytes = (left * bits + 7u) / 8u;
            uint8_t eight[8] = {0}, rest[8];
            memcpy(eight, codes, left);
            csd_bytes_out(rest, csd_join_eight(csd_bytes_in(eight, 8u), bits), bits);
            memcpy(payload, rest, bytes);
            codes += left;
            payload += bytes;
        }
    }
}

int CSD_FAST(pack_bits)(const csd_args *args) {
    const csd_input *codes = &args->in[CSD_PACK_BITS_CODES];
    const size_t samples = codes->shape.dims[0], count = codes->shape.dims[1];
    switch (args->params[CSD_PACK_BITS_P_BITS].u) {
#define PACK(bits) pack(args->out[0].data, codes->data, samples, count, bits)
        CSD_EACH_WIDTH(PACK);
    }
    return 0;
}

CSD_NOTHING_PREPARED(pack_bits)
