/* Tables of the signed sums of four float32, and sums of what stands in them, with vectors of 512
   bits. Included by vector/binary_linear.c. */

/* Bit 1 of a table's pair of bits says the sign of the first number, bit 0 that of the second. */
CSD_INLINE __m512 pair_sums(__m512 first, __m512 second) {
    const __m512 sign = _mm512_set1_ps(-0.0f);
    return _mm512_add_ps(_mm512_mask_xor_ps(first, 0x3333, first, sign),
                         _mm512_mask_xor_ps(second, 0x5555, second, sign));
}

/* Sixteen inputs make the pair sums of four groups, 4 high and 4 low ones a group; an entry of a
   table adds a high one to a low one. */
CSD_INLINE void build_step(four_sums *tables, __m512 x) {
    const __m512 high = pair_sums(_mm512_permute_ps(x, 0x00), _mm512_permute_ps(x, 0x55));
    const __m512 low = pair_sums(_mm512_permute_ps(x, 0xAA), _mm512_permute_ps(x, 0xFF));
    const __m512i highs = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    const __m512i lows = _mm512_set_epi32(3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0);
    CSD_UNROLL
    for (int g = 0; g < 4; g++) {
        const __m512i group = _mm512_set1_epi32(4 * g);
        const __m512 a = _mm512_permutexvar_ps(_mm512_add_epi32(highs, group), high);
        const __m512 b = _mm512_permutexvar_ps(_mm512_add_epi32(lows, group), low);
        _mm512_store_ps(tables[g], _mm512_add_ps(a, b));
    }
}

/* Whole steps; inputs that are not there count as 0. */
CSD_INLINE void build_tables(four_sums *tables, const float *x, size_t count) {
    for (size_t at = 0; at < count; at += CSD_SIGN_STEP) {
        const size_t left = count - at;
        const __mmask16 there = (__mmask16)(left < 16u ? (1u << left) - 1u : 0xFFFFu);
        build_step(tables + at / 4u, _mm512_maskz_loadu_ps(there, x + at));
    }
}

/* Lanes of vector v of `left` outputs that are there. */
CSD_INLINE __mmask16 lanes(size_t left, size_t v) {
    const size_t from = 16u * v;
    const uint32_t all = 0xFFFFu;
    if (left >= from + 16u)
        return (__mmask16)all;
    return (__mmask16)(left > from ? (1u << (left - from)) - 1u : 0u);
}

/* Sixteen places, four bits from 4 g on in each dword. A byte of a dword is low where that is read: to
   read again is cheaper here than to shift, which takes the ports of the permutations. */
CSD_INLINE __m512i places(const uint16_t *words, unsigned g) {
    const __m512i w = _mm512_loadu_si512((const uint8_t *)words + g / 2u);
    return g % 2u != 0 ? _mm512_srli_epi32(w, 4) : w;
}

#define AHEAD 4096 /* bytes that are asked for before they are read */

/* `wide` tiles of outputs, of which `pitch` stand side by side: y += what `steps` steps give. */
CSD_INLINE void add_tiles(float *y, size_t y_step, size_t left, int first, const four_sums *tables,
                          const uint16_t *words, size_t steps, size_t pitch, size_t wide,
                          size_t rows) {
    enum { MOST = 2u * CSD_SIGN_STRIP };
    __m512 sums[ROWS][MOST], block[ROWS][MOST];
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CSD_UNROLL
        for (size_t v = 0; v < 2u * wide; v++)
            sums[r][v] = first ? _mm512_setzero_ps()
                               : _mm512_maskz_loadu_ps(lanes(left, v), y + r * y_step + 16u * v);
    }
    while (steps > 0) {
        const size_t here = steps < BLOCK_STEPS ? steps : BLOCK_STEPS;
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t v = 0; v < 2u * wide; v++)
                block[r][v] = _mm512_setzero_ps();
        }
        for (size_t step = 0; step < here; step++) {
            CSD_UNROLL
            for (size_t v = 0; v < wide; v++)
                _mm_prefetch((const char *)(words + v * CSD_SIGN_TILE) + AHEAD, _MM_HINT_T0);
            CSD_UNROLL
            for (unsigned g = 0; g < 4u; g++) {
                CSD_UNROLL
                for (size_t r = 0; r < rows; r++) {
                    __m512 entries = _mm512_load_ps(tables[r * (CHUNK / 4u) + g]);
                    CSD_KEEP(entries);
                    CSD_UNROLL
                    for (size_t v = 0; v < wide; v++) {
                        block[r][2u * v] = _mm512_add_ps(
                            block[r][2u * v],
                            _mm512_permutexvar_ps(places(words + v * CSD_SIGN_TILE, g), entries));
                        block[r][2u * v + 1u] = _mm512_add_ps(
                            block[r][2u * v + 1u],
                            _mm512_permutexvar_ps(places(words + v * CSD_SIGN_TILE, 4u + g), entries));
                    }
                }
            }
            words += pitch * CSD_SIGN_TILE;
            tables += 4;
        }
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t v = 0; v < 2u * wide; v++)
                sums[r][v] = _mm512_add_ps(sums[r][v], block[r][v]);
        }
        steps -= here;
    }
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CSD_UNROLL
        for (size_t v = 0; v < 2u * wide; v++)
            _mm512_mask_storeu_ps(y + r * y_step + 16u * v, lanes(left, v), sums[r][v]);
    }
}

/* A whole strip; of several rows two tiles at a time, so that the sums stay in registers. */
CSD_INLINE void add_strip(float *y, size_t y_step, size_t left, int first, const four_sums *tables,
                          const uint16_t *words, size_t steps, size_t pitch, size_t rows) {
    const size_t wide = rows == 1u ? 4u : 2u;
    CSD_UNROLL
    for (size_t v = 0; v < CSD_SIGN_STRIP; v += wide)
        add_tiles(y + v * CSD_SIGN_TILE, y_step, left - v * CSD_SIGN_TILE, first, tables,
                  words + v * CSD_SIGN_TILE, steps, pitch, wide, rows);
}

CSD_INLINE void add_tile(float *y, size_t y_step, size_t left, int first, const four_sums *tables,
                         const uint16_t *words, size_t steps, size_t pitch, size_t rows) {
    add_tiles(y, y_step, left, first, tables, words, steps, pitch, 1u, rows);
}
