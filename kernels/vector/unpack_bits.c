/* payload (n, ceil(M B / 8)) -> codes (n, M) of B bits, eight codes at a time. */
#include "../fast.h"
#include "eight_codes.h"

CSD_INLINE void unpack(uint8_t *codes, const uint8_t *payload, size_t samples, size_t count,
                       unsigned bits) {
    for (size_t n = 0; n < samples; n++) {
        size_t m = 0;
        for (; m + 8u <= count; m += 8u, codes += 8u, payload += bits)
            csd_bytes_out(codes, csd_part_eight(csd_bytes_in(payload, bits), bits), 8u);
        if (m < count) {
            const size_t left = count - m, bytes = (left * bits + 7u) / 8u;
            uint8_t eight[8], rest[8] = {0};
            memcpy(rest, payload, bytes);
            csd_bytes_out(eight, csd_part_eight(csd_bytes_in(rest, bits), bits), 8u);
            memcpy(codes, eight, left);
            codes += left;
            payload += bytes;
        }
    }
}

int CSD_FAST(unpack_bits)(const csd_args *args) {
    const csd_shape *shape = &args->out[0].shape;
    const size_t samples = shape->dims[0], count = shape->dims[1];
    const uint8_t *payload = args->in[CSD_UNPACK_BITS_PAYLOAD].data;
    switch (args->params[CSD_UNPACK_BITS_P_BITS].u) {
#define UNPACK(bits) unpack(args->out[0].data, payload, samples, count, bits)
        CSD_EACH_WIDTH(UNPACK);
    }
    return 0;
}

CSD_NOTHING_PREPARED(unpack_bits)
