/* Tables of the signed sums of four float32, and sums of what stands in them, with vectors of 256
   bits. Included by vector/binary_linear.c. */
#include "sign_halves_avx2.h"

CSD_INLINE void build_tables(four_sums *tables, const float *x, size_t count) {
    for (size_t g = 0; g < csd_sign_steps(count) * 4u; g++) {
        float four[4] = {0};
        for (size_t i = 0; i < 4u && 4u * g + i < count; i++)
            four[i] = x[4u * g + i];
        const float high[4] = {-four[0] - four[1], -four[0] + four[1], four[0] - four[1],
                               four[0] + four[1]};
        const __m128 low = _mm_set_ps(four[2] + four[3], four[2] - four[3], -four[2] + four[3],
                                      -four[2] - four[3]);
        for (size_t i = 0; i < 4u; i++)
            _mm_store_ps(tables[g] + 4u * i, _mm_add_ps(_mm_set1_ps(high[i]), low));
    }
}

/* One tile: its outputs 0 to 7, 8 to 15, 16 to 23 and 24 to 31 are sums 0, 1, 2 and 3. */
CSD_INLINE void add_tile_row(float *y, size_t left, int first, const four_sums *tables,
                             const uint16_t *words, size_t steps, size_t pitch) {
    float held[CSD_SIGN_TILE] = {0};
    float *const to = left < CSD_SIGN_TILE ? held : y;
    const size_t kept = left < CSD_SIGN_TILE ? left : CSD_SIGN_TILE;
    __m256 sums[4], block[4];
    if (to == held && !first)
        memcpy(held, y, kept * sizeof *y);
    CSD_UNROLL
    for (size_t v = 0; v < 4u; v++)
        sums[v] = first ? _mm256_setzero_ps() : _mm256_loadu_ps(to + 8u * v);
    while (steps > 0) {
        const size_t here = steps < BLOCK_STEPS ? steps : BLOCK_STEPS;
        CSD_UNROLL
        for (size_t v = 0; v < 4u; v++)
            block[v] = _mm256_setzero_ps();
        for (size_t step = 0; step < here; step++, words += pitch * CSD_SIGN_TILE, tables += 4) {
            const sign_places places = load_places(words);
            CSD_UNROLL
            for (int g = 0; g < 4; g++) {
                CSD_UNROLL
                for (int v = 0; v < 4; v++)
                    block[v] = _mm256_add_ps(block[v], look_up(tables[g], places, g, v));
            }
        }
        CSD_UNROLL
        for (size_t v = 0; v < 4u; v++)
            sums[v] = _mm256_add_ps(sums[v], block[v]);
        steps -= here;
    }
    CSD_UNROLL
    for (size_t v = 0; v < 4u; v++)
        _mm256_storeu_ps(to + 8u * v, sums[v]);
    if (to == held)
        memcpy(y, held, kept * sizeof *y);
}

#include "../vector/sign_rows.h"
