/* The products of kernels/products.h. One row reads each weight once, as the operand of a
   multiply-add; several rows share what is read, in tiles of outputs that stay in registers. */
#include "../products.h"
#include "../vectors.h"

/* Vectors of outputs that are summed at once, by the parts of a sum, for one row and in a tile of
   rows: the sums and what is read must fit the registers. */
#if defined(CSD_HAS_AVX512)
enum { SUM_4 = 2, SUM_2 = 8, SUM_1 = 24, TILE_4 = 2, TILE_2 = 4, TILE_1 = 4 };
enum { ROWS_4 = 3, ROWS_2 = 3, ROWS_1 = 6 };
#define SUM_CASES                                                                                  \
    CASE(4, 1) CASE(4, 2) CASE(2, 3) CASE(2, 4) CASE(2, 5) CASE(2, 6) CASE(2, 7) CASE(2, 8)        \
    CASE(1, 9) CASE(1, 10) CASE(1, 11) CASE(1, 12) CASE(1, 13) CASE(1, 14) CASE(1, 15)             \
    CASE(1, 16) CASE(1, 17) CASE(1, 18) CASE(1, 19) CASE(1, 20) CASE(1, 21) CASE(1, 22)            \
    CASE(1, 23) CASE(1, 24)
#define TILE_CASES                                                                                 \
    CASE(4, 1) CASE(4, 2) CASE(2, 2) CASE(2, 3) CASE(2, 4) CASE(1, 2) CASE(1, 3) CASE(1, 4)
#elif defined(CSD_HAS_AVX2) || defined(CSD_HAS_NEON) /* eight wide ones, either way */
enum { SUM_4 = 1, SUM_2 = 3, SUM_1 = 6, TILE_4 = 1, TILE_2 = 1, TILE_1 = 2 };
enum { ROWS_4 = 1, ROWS_2 = 3, ROWS_1 = 3 };
#define SUM_CASES                                                                                  \
    CASE(4, 1) CASE(2, 2) CASE(2, 3) CASE(1, 4) CASE(1, 5) CASE(1, 6)
#define TILE_CASES CASE(4, 1) CASE(2, 1) CASE(1, 1) CASE(1, 2)
#else
enum { SUM_4 = 1, SUM_2 = 1, SUM_1 = 1, TILE_4 = 1, TILE_2 = 1, TILE_1 = 1 };
enum { ROWS_4 = 1, ROWS_2 = 1, ROWS_1 = 1 };
#define SUM_CASES CASE(4, 1) CASE(2, 1) CASE(1, 1)
#define TILE_CASES CASE(4, 1) CASE(2, 1) CASE(1, 1)
#endif

/* Parts of a sum, by the vectors of a row: so that there are always enough sums that do not wait
   for one another. */
static size_t parts_of(size_t wide) { return wide <= 2u ? 4u : wide <= 8u ? 2u : 1u; }

/* How many vectors are taken next of those left: parts of nearly one size. */
static size_t share(size_t left, size_t most) {
    if (left <= most)
        return left;
    const size_t shares = (left + most - 1u) / most;
    return (left + shares - 1u) / shares;
}

/* (0 + 1) + (2 + 3), in the first; parts lie `wide` apart. */
CSD_INLINE void join(csd_wide *sums, size_t parts, size_t wide) {
    CSD_UNROLL
    for (size_t v = 0; v < wide; v++) {
        if (parts > 1u)
            sums[v] = csd_wide_add(sums[v], sums[wide + v]);
        if (parts > 2u)
            sums[v] = csd_wide_add(sums[v],
                                   csd_wide_add(sums[2u * wide + v], sums[3u * wide + v]));
    }
}

CSD_INLINE void begin(csd_wide *sums, size_t parts, size_t wide, const float *start) {
    CSD_UNROLL
    for (size_t v = 0; v < parts * wide; v++)
        sums[v] = start == NULL || v >= wide ? csd_wide_all(0.0f)
                                             : csd_wide_load(start + CSD_WIDE * v);
}

CSD_INLINE void store(float *y, const csd_wide *sums, size_t wide) {
    CSD_UNROLL
    for (size_t v = 0; v < wide; v++)
        csd_wide_store(y + CSD_WIDE * v, sums[v]);
}

CSD_INLINE void add_one(csd_wide *sums, size_t wide, float x, const float *w) {
    const csd_wide factor = csd_wide_all(x);
    CSD_UNROLL
    for (size_t v = 0; v < wide; v++)
        sums[v] = csd_wide_fma(factor, csd_wide_load(w + CSD_WIDE * v), sums[v]);
}

/* Asks for a row of a wide matrix in time: the processor's own prefetcher stops at every page. */
CSD_INLINE void ask_for(const float *w, size_t wide) {
#if defined(CSD_HAS_AVX512)
    CSD_UNROLL
    for (size_t v = 0; v < wide; v++)
        __builtin_prefetch((const void *)((uintptr_t)w + CSD_WIDE_BYTES * v));
#else
    (void)w;
    (void)wide;
#endif
}

CSD_INLINE void sum(size_t parts, size_t wide, int far, float *y, const float *start, const float *x,
                    const uint16_t *index, size_t count, const float *w, size_t width) {
    csd_wide sums[SUM_1 > 2 * SUM_2 ? SUM_1 : 2 * SUM_2 > 4 ? 2 * SUM_2 : 4];
    begin(sums, parts, wide, start);
    size_t c = 0;
    for (; c + parts <= count; c += parts) {
        CSD_UNROLL
        for (size_t part = 0; part < parts; part++) {
            const size_t j = index == NULL ? c + part : index[c + part];
            if (far && parts == 1u)
                ask_for(w + index[c + part + CSD_WIDE] * width, wide);
            add_one(sums + part * wide, wide, x[j], w + j * width);
        }
    }
    CSD_UNROLL
    for (size_t part = 0; part + 1u < parts; part++)
        if (c + part < count) {
            const size_t j = index == NULL ? c + part : index[c + part];
            add_one(sums + part * wide, wide, x[j], w + j * width);
        }
    join(sums, parts, wide);
    store(y, sums, wide);
}

/* `index` and `far` are constants of the function that has the cases. */
#define CASE(parts, wide)                                                                          \
    case 32u * (parts) + (wide):                                                                   \
        sum(parts, wide, far, y, start, x, index, count, w, width);                                \
        break;

static void sum_all(size_t which, float *y, const float *start, const float *x, size_t count,
                    const float *w, size_t width) {
    const uint16_t *const index = NULL;
    enum { far = 0 };
    switch (which) { SUM_CASES }
}

static void sum_listed(size_t which, float *y, const float *start, const float *x,
                       const uint16_t *index, size_t count, const float *w, size_t width) {
    enum { far = 0 };
    switch (which) { SUM_CASES }
}

static void sum_far(size_t which, float *y, const float *start, const float *x,
                    const uint16_t *index, size_t count, const float *w, size_t width) {
    enum { far = 1 };
    switch (which) { SUM_CASES }
}
#undef CASE

static void sum_row(float *y, const float *start, const float *x, const uint16_t *index,
                    size_t count, const float *w, size_t width, int far) {
    size_t left = width / CSD_WIDE;
    const size_t parts = parts_of(left);
    const size_t most = parts == 4u ? SUM_4 : parts == 2u ? SUM_2 : SUM_1;
    while (left > 0) {
        const size_t wide = share(left, most);
        if (index == NULL)
            sum_all(32u * parts + wide, y, start, x, count, w, width);
        else if (far)
            sum_far(32u * parts + wide, y, start, x, index, count, w, width);
        else
            sum_listed(32u * parts + wide, y, start, x, index, count, w, width);
        y += wide * CSD_WIDE;
        w += wide * CSD_WIDE;
        start = start == NULL ? NULL : start + wide * CSD_WIDE;
        left -= wide;
    }
}

enum { MOST_SUMS = 8, MOST_WIDE = 4 };

/* One input of all rows; its weights are read once. */
CSD_INLINE void add_rows(csd_wide (*sums)[MOST_SUMS], size_t at, size_t wide, size_t rows,
                         const float *x, size_t x_step, const float *w) {
    csd_wide weights[MOST_WIDE];
    CSD_UNROLL
    for (size_t v = 0; v < wide; v++) {
        weights[v] = csd_wide_load(w + CSD_WIDE * v);
        CSD_KEEP(weights[v]);
    }
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        const csd_wide factor = csd_wide_all(x[r * x_step]);
        CSD_UNROLL
        for (size_t v = 0; v < wide; v++)
            sums[r][at + v] = csd_wide_fma(factor, weights[v], sums[r][at + v]);
    }
}

void CSD_KERNEL(weighted_sum)(float *y, const float *start, const float *x, const uint16_t *index,
                              size_t count, const float *w, size_t width) {
    sum_row(y, start, x, index, count, w, width, 0);
}

void CSD_KERNEL(weighted_sum_far)(float *y, const float *start, const float *x,
                                  const uint16_t *index, size_t count, const float *w,
                                  size_t width) {
    sum_row(y, start, x, index, count, w, width, 1);
}

CSD_INLINE void tile(size_t parts, size_t wide, size_t rows, float *y, size_t y_step,
                     const float *start, const float *x, size_t x_step, size_t count,
                     const float *w, size_t width) {
    csd_wide sums[ROWS_1][MOST_SUMS];
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++)
        begin(sums[r], parts, wide, start);
    size_t c = 0;
    for (; c + parts <= count; c += parts) {
        CSD_UNROLL
        for (size_t part = 0; part < parts; part++) {
            add_rows(sums, part * wide, wide, rows, x + c + part, x_step, w);
            w += width;
        }
    }
    CSD_UNROLL
    for (size_t part = 0; part + 1u < parts; part++)
        if (c + part < count)
            add_rows(sums, part * wide, wide, rows, x + c + part, x_step, w + part * width);
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        join(sums[r], parts, wide);
        store(y + r * y_step, sums[r], wide);
    }
}

#define CASE(parts, wide)                                                                          \
    case 32u * (parts) + (wide):                                                                   \
        tile(parts, wide, ROWS_##parts, y, y_step, start, x, x_step, count, w, width);             \
        break;

static void tile_of(size_t which, float *y, size_t y_step, const float *start, const float *x,
                    size_t x_step, size_t count, const float *w, size_t width) {
    switch (which) { TILE_CASES }
}
#undef CASE

void CSD_KERNEL(multiply_rows)(float *y, size_t y_step, const float *start, const float *x,
                               size_t x_step, size_t rows, size_t count, const float *w,
                               size_t width) {
    const size_t all = width / CSD_WIDE, parts = parts_of(all);
    const size_t most = parts == 4u ? TILE_4 : parts == 2u ? TILE_2 : TILE_1;
    const size_t high = parts == 4u ? ROWS_4 : parts == 2u ? ROWS_2 : ROWS_1;
    const size_t tiled = rows - rows % high;
    /* A strip of the matrix stays in the first cache while all rows pass it. */
    for (size_t at = 0, left = tiled > 0 ? all : 0u; left > 0;) {
        const size_t wide = share(left, most);
        for (size_t r = 0; r < tiled; r += high)
            tile_of(32u * parts + wide, y + r * y_step + at, y_step,
                    start == NULL ? NULL : start + at, x + r * x_step, x_step, count, w + at,
                    width);
        at += wide * CSD_WIDE;
        left -= wide;
    }
    for (size_t r = tiled; r < rows; r++)
        CSD_KERNEL(weighted_sum)(y + r * y_step, start, x + r * x_step, NULL, count, w, width);
}

#if defined(CSD_HAS_AVX512)
static __m512i first_indices(void) {
    return _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}

/* Appends the chosen of sixteen indices; sixteen places are written, of which the next call takes
   back what was none. */
CSD_INLINE size_t append(uint16_t *list, size_t count, __mmask16 chosen, __m512i indices) {
    const __m512i first = _mm512_maskz_compress_epi32(chosen, indices);
    _mm256_storeu_si256((__m256i *)(void *)(list + count), _mm512_cvtepi32_epi16(first));
    return count + (size_t)__builtin_popcount(chosen);
}
#endif

/* As many rows as share what is read of x. */
CSD_INLINE void inner(size_t rows, float *y, const float *x, const uint16_t *index,
                      const float *w, size_t width) {
    csd_wide sums[4][4];
    const float *row[4];
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        begin(sums[r], 4, 1, NULL);
        row[r] = w + index[r] * width;
    }
    for (size_t j = 0; j < width; j += 4u * CSD_WIDE) {
        CSD_UNROLL
        for (size_t part = 0; part < 4u; part++) {
            const size_t at = j + CSD_WIDE * part;
            if (at >= width)
                break;
            csd_wide factor = csd_wide_load(x + at);
            CSD_KEEP(factor);
            CSD_UNROLL
            for (size_t r = 0; r < rows; r++)
                sums[r][part] = csd_wide_fma(factor, csd_wide_load(row[r] + at), sums[r][part]);
        }
    }
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        join(sums[r], 4, 1);
        y[r] = csd_wide_total(sums[r][0]);
    }
}

void CSD_KERNEL(inner_products)(float *y, const float *x, const uint16_t *index, size_t count,
                                const float *w, size_t width) {
    size_t i = 0;
    for (; i + 4u <= count; i += 4u)
        inner(4, y + i, x, index + i, w, width);
    for (; i < count; i++)
        inner(1, y + i, x, index + i, w, width);
}

size_t CSD_KERNEL(rectify)(float *z, uint16_t *list, size_t width) {
    size_t count = 0;
#if defined(CSD_HAS_AVX512)
    __m512i indices = first_indices();
    for (size_t i = 0; i < width; i += CSD_WIDE) {
        const __m512 x = _mm512_loadu_ps(z + i);
        const __mmask16 above = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ);
        _mm512_storeu_ps(z + i, _mm512_maskz_mov_ps(above, x));
        count = append(list, count, above, indices);
        indices = _mm512_add_epi32(indices, _mm512_set1_epi32(CSD_WIDE));
    }
#else
    for (size_t i = 0; i < width; i++) {
        const int above = z[i] > 0.0f;
        z[i] = above ? z[i] : 0.0f;
        list[count] = (uint16_t)i;
        count += (size_t)above;
    }
#endif
    return count;
}
