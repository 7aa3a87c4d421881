/* Sums of what stands in tables of 32 bits, with vectors of 256 bits. Included by
   vector/qbinary_linear.c. */
#include "sign_halves_avx2.h"

/* One tile: its outputs 0 to 7, 8 to 15, 16 to 23 and 24 to 31 are sums 0, 1, 2 and 3. */
static void add_wide_tile(int32_t *to, const wide_table *tables, const uint16_t *words,
                          size_t steps, size_t pitch) {
    __m256i sums[4];
    CSD_UNROLL
    for (size_t v = 0; v < 4u; v++)
        sums[v] = _mm256_load_si256((const __m256i *)(const void *)(to + 8u * v));
    for (size_t step = 0; step < steps; step++, words += pitch * CSD_SIGN_TILE, tables += 4) {
        const sign_places places = load_places(words);
        CSD_UNROLL
        for (int g = 0; g < 4; g++) {
            CSD_UNROLL
            for (int v = 0; v < 4; v++)
                sums[v] = _mm256_add_epi32(
                    sums[v], _mm256_castps_si256(look_up(tables[g], places, g, v)));
        }
    }
    CSD_UNROLL
    for (size_t v = 0; v < 4u; v++)
        _mm256_store_si256((__m256i *)(void *)(to + 8u * v), sums[v]);
}

/* sums += products of the inputs from `at` on, of the row of x that begins at `row`, with `count`
   outputs from `from` on. */
static void add_chunk(int32_t *sums, size_t from, size_t count, size_t outputs, const csd_input *x,
                      size_t row, size_t at, size_t inputs, int32_t zero, const void *words) {
    CSD_ALIGNED(32) wide_table tables[CHUNK / 4u];
    int32_t numbers[CHUNK];
    const size_t run = inputs - at < CHUNK ? inputs - at : CHUNK, here = csd_sign_steps(run);
    const size_t steps = csd_sign_steps(inputs), tiles = csd_sign_tiles(outputs);
    const size_t begin = from / CSD_SIGN_TILE;
    load_numbers(numbers, x, row + at, run, zero);
    build_wide_tables(tables, numbers, here * 4u);
    for (size_t t = begin; t < begin + csd_sign_tiles(count); t += CSD_SIGN_STRIP) {
        const size_t wide = csd_sign_wide(t, tiles);
        const uint16_t *w = csd_sign_at(words, t, tiles, steps, at / CSD_SIGN_STEP);
        for (size_t v = 0; v < wide; v++)
            add_wide_tile(sums + (t - begin + v) * CSD_SIGN_TILE, (const wide_table *)tables,
                          w + v * CSD_SIGN_TILE, here, wide);
    }
}
