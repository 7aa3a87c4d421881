/* Products of rows of x with strips of weights, with vectors of 512 bits. Included by
   vector/qlinear.c. */

#define ROWS 4u        /* rows of x that share what is read of the weights */
#define FLIPPED CSD_I8 /* plus 128 it is a u8 */
#define SHIFT 0x80
#define WORDS 1 /* 16-bit x as well */

/* The products of one dword of each row of x with one of each output. */
CSD_INLINE void multiply_dwords(__m512i sums[ROWS][VECTORS], const uint8_t *x, size_t pitch,
                                size_t bytes, const int8_t *w, size_t rows, size_t q, int flip) {
    __m512i weights[VECTORS];
    CSD_UNROLL
    for (size_t v = 0; v < VECTORS; v++) {
        if (q == 4u)
            weights[v] = _mm512_loadu_si512(w + v * WIDE * 4u);
        else
            weights[v] = _mm512_cvtepi8_epi16(
                _mm256_loadu_si256((const __m256i *)(const void *)(w + v * WIDE * 2u)));
    }
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        int32_t dword = 0;
        memcpy(&dword, x + r * pitch, bytes);
        const __m512i some = _mm512_set1_epi32(dword ^ flip);
        CSD_UNROLL
        for (size_t v = 0; v < VECTORS; v++)
            sums[r][v] = q == 4u ? _mm512_dpbusd_epi32(sums[r][v], some, weights[v])
                                 : _mm512_dpwssd_epi32(sums[r][v], some, weights[v]);
    }
}

/* made[r] = products of `count` inputs of `rows` rows of x, which begin at x, x + pitch, ..., with a
   strip. */
CSD_INLINE void multiply(int32_t made[ROWS][STRIP], const uint8_t *x, size_t pitch, size_t count,
                         const int8_t *w, size_t rows, size_t q, int flip) {
    __m512i sums[ROWS][VECTORS];
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CSD_UNROLL
        for (size_t v = 0; v < VECTORS; v++)
            sums[r][v] = _mm512_setzero_si512();
    }
    for (size_t left = count / q; left > 0; left--, x += 4, w += STRIP * q)
        multiply_dwords(sums, x, pitch, 4u, w, rows, q, flip);
    if (count % q != 0)
        multiply_dwords(sums, x, pitch, count % q * (4u / q), w, rows, q, flip);
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CSD_UNROLL
        for (size_t v = 0; v < VECTORS; v++)
            _mm512_storeu_si512(made[r] + v * WIDE, sums[r][v]);
    }
}
