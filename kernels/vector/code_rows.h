/* A convolution of codes u8 with weights i8 by tiles, as kernels/vector/conv_rows.h walks floats.
   Sums are exact integers, so that their order is free: two channels lie together, and of some
   instruction sets two columns as well.

   A code is stored as such, or as code - zero, whichever the products take. Of the former, a sum is
   too large by zero times the weights of those rows of the kernel that lie inside the image, where
   pads hold the code zero: that is what sums begin with. */
#ifndef CSIDEPLOY_CODE_ROWS_H
#define CSIDEPLOY_CODE_ROWS_H

#include "conv_rows.h"

/* code = nearest integer of v / scale, + zero. */
typedef struct csd_coding {
    float scale, inverse;
    int32_t zero;
} csd_coding;

#if defined(CSD_HAS_AVX512) || defined(CSD_HAS_AVX2)
#define CSD_HAS_CODES
#include "../x86/codes.h"
#elif defined(CSD_HAS_NEON)
#define CSD_HAS_CODES
#include "../arm/codes.h"
#endif

#ifdef CSD_HAS_CODES

/* Words of weights of a row of kw columns. */
CSD_INLINE size_t csd_words(size_t kw) { return (kw + CSD_CODE_STEP - 1u) / CSD_CODE_STEP; }

/* The convolution of floats `t` with two or four outputs, as codes. */
CSD_INLINE void csd_code_tile(const csd_rows *t, csd_code *codes, const csd_planes *out, size_t row,
                              size_t column, size_t o, const csd_coding *coding, const size_t kh,
                              const size_t kw, const size_t rows, const size_t outputs,
                              const int fixed, const int tame) {
    csd_wide sums[CSD_TILE_ROWS][CSD_TILE_OUTPUTS][CSD_TILE_VECTORS];
    csd_code *to = codes + o / 2u * out->plane + (row - out->first) * out->pitch + column;
    csd_sum_tile(sums, t, NULL, row, column, o, kh, kw, rows, outputs, fixed, 0);
    CSD_UNROLL
    for (size_t i = 0; i < outputs; i += 2u, to += out->plane) {
        const csd_wide first = csd_wide_all(t->slope[o + i]);
        const csd_wide second = csd_wide_all(t->slope[o + i + 1u]);
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t v = 0; v < CSD_TILE_VECTORS; v++) {
                sums[r][i][v] = csd_wide_rectify(sums[r][i][v], first);
                sums[r][i + 1u][v] = csd_wide_rectify(sums[r][i + 1u][v], second);
            }
            csd_codes_store(to + r * out->pitch, sums[r][i], sums[r][i + 1u], coding, tame);
        }
    }
}

/* A convolution of codes: y = rectify(sum * multiplier + bias). */
typedef struct csd_code_rows {
    const csd_code *x; /* from column -left on */
    csd_planes in;     /* a plane has two channels */
    size_t pairs;
    csd_taps taps;
    const int32_t *weight; /* of two outputs or one: pair, row, word, output */
    const int32_t *zeros;  /* of each output: what its weights above row 0, ..., row kh add too much */
    const float *multiplier, *bias, *slope;
    float *y; /* from column 0 on */
    csd_planes out;
    size_t outputs;
    size_t height, columns;
} csd_code_rows;

CSD_INLINE void csd_add_codes(csd_ints sums[CSD_TILE_ROWS][CSD_TILE_OUTPUTS], const csd_code *x,
                              const int32_t *w, size_t q, const size_t kh, const size_t words,
                              size_t j, const size_t rows, const size_t outputs) {
    CSD_AFRESH(w);
    const csd_codes codes = csd_codes_load(x + j * CSD_CODE_STEP);
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        if (q < r || q - r >= kh)
            continue;
        CSD_UNROLL
        for (size_t o = 0; o < outputs; o++) {
            sums[r][o] =
                csd_codes_add(sums[r][o], codes, w + ((q - r) * words + j) * outputs + o);
            CSD_INTS_NOW(sums[r][o]);
        }
    }
}

/* What output o's sum begins with. */
CSD_INLINE int32_t csd_begin_codes(const csd_code_rows *t, size_t row, size_t o, const size_t kh) {
    const csd_view view = csd_view_of(row, t->taps.top, kh, t->height, 1);
    const int32_t *zeros = t->zeros + o * (kh + 1u);
    return zeros[view.first] - zeros[view.end];
}

CSD_INLINE void csd_sum_codes(const csd_code_rows *t, size_t row, size_t column, size_t o,
                              const size_t kh, const size_t words, const size_t rows,
                              const size_t outputs, const int fixed) {
    csd_ints sums[CSD_TILE_ROWS][CSD_TILE_OUTPUTS];
    const csd_view view = csd_view_of(row, t->taps.top, kh, t->height, rows);
    const csd_code *x =
        t->x + (row + view.first - t->taps.top - t->in.first) * t->in.pitch + column;
    const int32_t *w = t->weight + o * t->pairs * kh * words;
    float *y = t->y + o * t->out.plane + (row - t->out.first) * t->out.pitch + column;
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        CSD_UNROLL
        for (size_t i = 0; i < outputs; i++)
            sums[r][i] = csd_ints_all(csd_begin_codes(t, row + r, o + i, kh));
    }
    for (size_t p = 0; p < t->pairs; p++, x += t->in.plane, w += kh * words * outputs) {
        const csd_code *from = x;
        if (fixed) {
            CSD_UNROLL
            for (size_t q = 0; q < rows + kh - 1u; q++) {
                if (q < view.first || q >= view.end)
                    continue;
                CSD_UNROLL
                for (size_t j = 0; j < words; j++)
                    csd_add_codes(sums, from, w, q, kh, words, j, rows, outputs);
                from += t->in.pitch;
            }
        } else {
            for (size_t q = view.first; q < view.end; q++, from += t->in.pitch)
                for (size_t j = 0; j < words; j++)
                    csd_add_codes(sums, from, w, q, kh, words, j, rows, outputs);
        }
    }
    CSD_UNROLL
    for (size_t i = 0; i < outputs; i++) {
        const csd_wide multiplier = csd_wide_all(t->multiplier[o + i]);
        const csd_wide bias = csd_wide_all(t->bias[o + i]), slope = csd_wide_all(t->slope[o + i]);
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            csd_wide parts[CSD_TILE_VECTORS];
            csd_ints_floats(parts, sums[r][i]);
            CSD_UNROLL
            for (size_t v = 0; v < CSD_TILE_VECTORS; v++) {
                const csd_wide made = csd_wide_add(csd_wide_mul(parts[v], multiplier), bias);
                csd_wide_store(y + i * t->out.plane + r * t->out.pitch + v * CSD_WIDE,
                               csd_wide_rectify(made, slope));
            }
        }
    }
}

#endif
#endif
