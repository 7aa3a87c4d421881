/* feature (n, D), codebook (2^b, D) -> the bits of the nearest codeword's index, and what is left.
   The semantics stand in export/operations.py: each distance is one chain of fused multiply-adds, so
   that an index is the same on every target. The chains of 16 codewords go side by side. */
#include <math.h>

#include "../kernels.h"

#define TILE 16u

/* Distances of `count` codewords, TILE at most. */
static void measure(float *distances, const float *r, const float *q, size_t width, size_t count) {
    for (size_t w = 0; w < count; w++)
        distances[w] = 0.0f;
    for (size_t d = 0; d < width; d++)
        for (size_t w = 0; w < count; w++) {
            const float apart = r[d] - q[w * width + d];
            distances[w] = fmaf(apart, apart, distances[w]);
        }
}

static uint32_t nearest(const float *r, const float *q, size_t width, uint32_t words) {
    float least = HUGE_VALF, distances[TILE];
    uint32_t at = 0;
    for (uint32_t from = 0; from < words; from += TILE) {
        const uint32_t count = words - from < TILE ? words - from : TILE;
        if (count == TILE)
            measure(distances, r, q + from * width, width, TILE);
        else
            measure(distances, r, q + from * width, width, count);
        for (uint32_t w = 0; w < count; w++)
            if (distances[w] < least) {
                least = distances[w];
                at = from + w;
            }
    }
    return at;
}

void CSD_KERNEL(residual_quantize)(const csd_args *args) {
    const csd_shape *shape = &args->in[CSD_RESIDUAL_QUANTIZE_FEATURE].shape;
    const csd_shape *words = &args->in[CSD_RESIDUAL_QUANTIZE_CODEBOOK].shape;
    const float *r = args->in[CSD_RESIDUAL_QUANTIZE_FEATURE].data;
    const float *book = args->in[CSD_RESIDUAL_QUANTIZE_CODEBOOK].data;
    const size_t width = shape->dims[1];
    const uint32_t bits = args->out[CSD_RESIDUAL_QUANTIZE_OUT_CODES].shape.dims[1];
    uint8_t *codes = args->out[CSD_RESIDUAL_QUANTIZE_OUT_CODES].data;
    float *rest = args->out[CSD_RESIDUAL_QUANTIZE_OUT_REST].data;
    for (uint32_t n = 0; n < shape->dims[0]; n++, r += width, rest += width) {
        const uint32_t index = nearest(r, book, width, words->dims[0]);
        for (size_t d = 0; d < width; d++)
            rest[d] = r[d] - book[index * width + d];
        for (uint32_t b = bits; b-- > 0;)
            *codes++ = (uint8_t)(index >> b & 1u);
    }
}
