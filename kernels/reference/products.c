/* The products of kernels/products.h. One row reads each weight once, as the operand of a
   multiply-add; several rows share what is read, in tiles of outputs that stay in registers. */
#include "../products.h"
#include "../vectors.h"

/* Sums that are in registers at once, and rows and vectors of a tile: as many as an instruction
   set's registers hold beside the operands. */
#if defined(CSD_HAS_AVX512)
#define MOST 8u
#define TILE_ROWS 6u
#define TILE_WIDE 4u
#elif defined(CSD_HAS_AVX2)
#define MOST 4u
#define TILE_ROWS 3u
#define TILE_WIDE 2u
#else
#define MOST 2u
#define TILE_ROWS 2u
#define TILE_WIDE 1u
#endif

CSD_INLINE void sum_some(size_t wide, float *y, const float *start, const float *x,
                         const uint16_t *index, size_t count, const float *w, size_t width) {
    csd_wide sums[MOST];
    CSD_UNROLL
    for (size_t v = 0; v < wide; v++)
        sums[v] = start == NULL ? csd_wide_all(0.0f) : csd_wide_load(start + CSD_WIDE * v);
    for (size_t c = 0; c < count; c++) {
        const size_t j = index == NULL ? c : index[c];
        const csd_wide factor = csd_wide_all(x[j]);
        const float *row = w + j * width;
        CSD_UNROLL
        for (size_t v = 0; v < wide; v++)
            sums[v] = csd_wide_fma(factor, csd_wide_load(row + CSD_WIDE * v), sums[v]);
    }
    CSD_UNROLL
    for (size_t v = 0; v < wide; v++)
        csd_wide_store(y + CSD_WIDE * v, sums[v]);
}

static void sum_by_width(size_t wide, float *y, const float *start, const float *x,
                         const uint16_t *index, size_t count, const float *w, size_t width) {
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        if (index == NULL)                                                                         \
            sum_some(n, y, start, x, NULL, count, w, width);                                       \
        else                                                                                       \
            sum_some(n, y, start, x, index, count, w, width);                                      \
        break;
    switch (wide) {
        CASE(1)
        CASE(2)
#if MOST >= 4
        CASE(3)
        CASE(4)
#endif
#if MOST >= 8
        CASE(5)
        CASE(6)
        CASE(7)
        CASE(8)
#endif
    }
#undef CASE
}

void CSD_KERNEL(weighted_sum)(float *y, const float *start, const float *x, const uint16_t *index,
                              size_t count, const float *w, size_t width) {
    size_t left = width / CSD_WIDE;
    for (size_t at = 0; left > 0;) {
        /* Parts of nearly one size: a narrow one waits for its own sums. */
        const size_t parts = (left + MOST - 1u) / MOST, wide = (left + parts - 1u) / parts;
        sum_by_width(wide, y + at, start == NULL ? NULL : start + at, x, index, count, w + at,
                     width);
        at += wide * CSD_WIDE;
        left -= wide;
    }
}

CSD_INLINE void tile(size_t wide, float *y, size_t y_step, const float *start, const float *x,
                     size_t x_step, size_t count, const float *w, size_t width) {
    csd_wide sums[TILE_ROWS][TILE_WIDE];
    CSD_UNROLL
    for (size_t r = 0; r < TILE_ROWS; r++)
        CSD_UNROLL
        for (size_t v = 0; v < wide; v++)
            sums[r][v] = start == NULL ? csd_wide_all(0.0f) : csd_wide_load(start + CSD_WIDE * v);
    for (size_t c = 0; c < count; c++, w += width) {
        csd_wide weights[TILE_WIDE];
        CSD_UNROLL
        for (size_t v = 0; v < wide; v++)
            weights[v] = csd_wide_load(w + CSD_WIDE * v);
        CSD_UNROLL
        for (size_t r = 0; r < TILE_ROWS; r++) {
            const csd_wide factor = csd_wide_all(x[r * x_step + c]);
            CSD_UNROLL
            for (size_t v = 0; v < wide; v++)
                sums[r][v] = csd_wide_fma(factor, weights[v], sums[r][v]);
        }
    }
    CSD_UNROLL
    for (size_t r = 0; r < TILE_ROWS; r++)
        CSD_UNROLL
        for (size_t v = 0; v < wide; v++)
            csd_wide_store(y + r * y_step + CSD_WIDE * v, sums[r][v]);
}

static void tile_by_width(size_t wide, float *y, size_t y_step, const float *start, const float *x,
                          size_t x_step, size_t count, const float *w, size_t width) {
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        tile(n, y, y_step, start, x, x_step, count, w, width);                                     \
        break;
    switch (wide) {
        CASE(1)
#if TILE_WIDE >= 2
        CASE(2)
#endif
#if TILE_WIDE >= 4
        CASE(3)
        CASE(4)
#endif
    }
#undef CASE
}

void CSD_KERNEL(multiply_rows)(float *y, size_t y_step, const float *start, const float *x,
                               size_t x_step, size_t rows, size_t count, const float *w,
                               size_t width) {
    const size_t tiled = rows - rows % TILE_ROWS;
    size_t left = tiled > 0 ? width / CSD_WIDE : 0u;
    /* A strip of the matrix stays in the first cache while all rows pass it. */
    for (size_t at = 0; left > 0;) {
        const size_t wide = left < TILE_WIDE ? left : TILE_WIDE;
        for (size_t r = 0; r < tiled; r += TILE_ROWS)
            tile_by_width(wide, y + r * y_step + at, y_step, start == NULL ? NULL : start + at,
                          x + r * x_step, x_step, count, w + at, width);
        at += wide * CSD_WIDE;
        left -= wide;
    }
    for (size_t r = tiled; r < rows; r++)
        CSD_KERNEL(weighted_sum)(y + r * y_step, start, x + r * x_step, NULL, count, w, width);
}

#if defined(CSD_HAS_AVX512)
size_t CSD_KERNEL(rectify)(float *z, uint16_t *list, size_t width) {
    const __m512 zero = _mm512_setzero_ps();
    __m512i index = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    size_t count = 0;
    for (size_t i = 0; i < width; i += CSD_WIDE) {
        const __m512 x = _mm512_loadu_ps(z + i);
        const __mmask16 above = _mm512_cmp_ps_mask(x, zero, _CMP_GT_OQ);
        const __m512i chosen = _mm512_maskz_compress_epi32(above, index);
        _mm512_storeu_ps(z + i, _mm512_maskz_mov_ps(above, x));
        /* Sixteen places, of which the next vector takes back what was none. */
        _mm256_storeu_si256((__m256i *)(void *)(list + count), _mm512_cvtepi32_epi16(chosen));
        count += (size_t)__builtin_popcount(above);
        index = _mm512_add_epi32(index, _mm512_set1_epi32(CSD_WIDE));
    }
    return count;
}
#else
size_t CSD_KERNEL(rectify)(float *z, uint16_t *list, size_t width) {
    size_t count = 0;
    for (size_t i = 0; i < width; i++) {
        const int above = z[i] > 0.0f;
        z[i] = above ? z[i] : 0.0f;
        list[count] = (uint16_t)i;
        count += (size_t)above;
    }
    return count;
}
#endif
