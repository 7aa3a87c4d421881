/* Products of unsigned with signed bytes, where one instruction adds four of them (AVX-512 VNNI): a
   tile of rows and outputs shares what is read, and stays in registers. Sums are exact below 2^31. */
#ifndef CSIDEPLOY_BYTE_TILES_H
#define CSIDEPLOY_BYTE_TILES_H

#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VNNI__)
#include <immintrin.h>

#define CSD_HAS_BYTE_TILES
#define CSD_TILE_ROWS 4u
#define CSD_TILE_OUTPUTS 4u

/* y[0] to y[3] = the sums of the sixteen numbers in a to d. */
static inline void csd_add_up(int32_t *y, __m512i a, __m512i b, __m512i c, __m512i d) {
    const __m512i ab = _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x44),
                                        _mm512_shuffle_i32x4(a, b, 0xEE));
    const __m512i cd = _mm512_add_epi32(_mm512_shuffle_i32x4(c, d, 0x44),
                                        _mm512_shuffle_i32x4(c, d, 0xEE));
    const __m512i four = _mm512_add_epi32(_mm512_shuffle_i32x4(ab, cd, 0x88),
                                          _mm512_shuffle_i32x4(ab, cd, 0xDD));
    const __m512i two = _mm512_add_epi32(four, _mm512_shuffle_epi32(four, (_MM_PERM_ENUM)0x4E));
    const __m512i one = _mm512_add_epi32(two, _mm512_shuffle_epi32(two, (_MM_PERM_ENUM)0xB1));
    _mm_storeu_si128((void *)y, _mm512_castsi512_si128(_mm512_maskz_compress_epi32(0x1111, one)));
}

/* y[r y_step + m] = sum over k < inputs of (x[r x_step + k] ^ flip) w[m][k], for `rows` rows, one or
   CSD_TILE_ROWS, and CSD_TILE_OUTPUTS rows of the weight. */
static inline __attribute__((always_inline)) void
csd_byte_tile(int32_t *y, size_t y_step, const uint8_t *x, size_t x_step, uint8_t flip,
              const int8_t *const *w, size_t inputs, size_t rows) {
    const __m512i flips = _mm512_set1_epi8((char)flip);
    __m512i sums[CSD_TILE_ROWS][CSD_TILE_OUTPUTS], bytes[CSD_TILE_ROWS];
    for (size_t r = 0; r < rows; r++)
        for (size_t m = 0; m < CSD_TILE_OUTPUTS; m++)
            sums[r][m] = _mm512_setzero_si512();
    for (size_t k = 0; k < inputs; k += 64u) {
        const size_t left = inputs - k;
        const __mmask64 here = left < 64u ? ((__mmask64)1 << left) - 1u : ~(__mmask64)0;
        for (size_t r = 0; r < rows; r++)
            bytes[r] =
                _mm512_xor_si512(_mm512_maskz_loadu_epi8(here, x + r * x_step + k), flips);
        for (size_t m = 0; m < CSD_TILE_OUTPUTS; m++) {
            /* Four outputs on: those of the next tile, where rows follow one another. */
            _mm_prefetch((const char *)w[m] + 4u * inputs + k, _MM_HINT_T0);
            const __m512i weights = _mm512_maskz_loadu_epi8(here, w[m] + k);
            for (size_t r = 0; r < rows; r++)
                sums[r][m] = _mm512_dpbusd_epi32(sums[r][m], bytes[r], weights);
        }
    }
    for (size_t r = 0; r < rows; r++)
        csd_add_up(y + r * y_step, sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
}

#endif
#endif
