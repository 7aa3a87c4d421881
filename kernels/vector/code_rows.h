/* A convolution of codes with integer weights by tiles, as conv_rows.h walks floats. Sums
   are exact integers, so that their order is free: two channels lie together, the first one below,
   and where they are bytes two columns as well.

   Two channels of a column are a pair, of 2 bytes or of 4: `pair` in what follows. A half of 4 bytes
   is code - zero as int16. Codes of 16 bits are stored so, and those of 8 where int16 are what is
   multiplied best. A byte of 2 is code - byte, whatever the instructions take. Of those a sum is too
   large by what is in a byte beside code - zero, times the weights of those rows of the kernel that
   lie inside the image, where pads hold the code zero: that is what sums begin with. */
#ifndef CSIDEPLOY_CODE_ROWS_H
#define CSIDEPLOY_CODE_ROWS_H

#include "conv_rows.h"

/* code = nearest integer of v / scale, + zero, in `bits`, 8 or 16. */
typedef struct csd_coding {
    float scale, inverse;
    int32_t zero;
    int bits;
} csd_coding;

/* How v becomes codes: by a division, whatever it is; by the reciprocal, where that is exact and
   no number is NaN or too large; or as it is, where v has been divided before as well. */
enum { CSD_WILD, CSD_TAME, CSD_DIVIDED };

#if defined(CSD_HAS_AVX512) || defined(CSD_HAS_AVX2)
#define CSD_HAS_CODES
#include "../x86/codes.h"
#elif defined(CSD_HAS_NEON)
#define CSD_HAS_CODES
#include "../arm/codes.h"
#endif

#ifdef CSD_HAS_CODES

/* A word of weights meets four bytes of codes: so many columns. */
CSD_INLINE size_t csd_code_step(size_t pair) { return 4u / pair; }
/* Words of weights of a row of kw columns. */
CSD_INLINE size_t csd_words(size_t kw, size_t pair) { return (kw * pair + 3u) / 4u; }

/* Two channels of a column, then of the next. */
CSD_INLINE int32_t csd_code_word(const int32_t *w, size_t pair) {
    if (pair == 4u)
        return (int32_t)(((uint32_t)w[0] & 0xFFFFu) | (uint32_t)w[1] << 16);
    return (int32_t)(((uint32_t)w[0] & 0xFFu) | ((uint32_t)w[1] & 0xFFu) << 8 |
                     ((uint32_t)w[2] & 0xFFu) << 16 | (uint32_t)w[3] << 24);
}

CSD_INLINE size_t csd_pair_of(int bits) { return bits == 8 ? CSD_PAIR_OF_BYTES : 4u; }

/* Each byte of the code zero as it is stored, and what is in that code beside code - zero. */
#if CSD_PAIR_OF_BYTES == 4u
CSD_INLINE int csd_code_of_zero(const csd_coding *coding) {
    (void)coding;
    return 0;
}
CSD_INLINE int32_t csd_code_shift(const csd_coding *coding) {
    (void)coding;
    return 0;
}
#else
CSD_INLINE int csd_code_of_zero(const csd_coding *coding) {
    return coding->bits == 8 ? (int)csd_byte_of_zero(coding->zero) : 0;
}
CSD_INLINE int32_t csd_code_shift(const csd_coding *coding) {
    return coding->bits == 8 ? csd_byte_shift(coding->zero) : 0;
}
#endif

/* The convolution of floats `t` with two or four outputs, as codes. */
CSD_INLINE void csd_code_tile(const csd_rows *t, uint8_t *codes, const csd_planes *out, size_t row,
                              size_t column, size_t o, const csd_coding *coding, const size_t kh,
                              const size_t kw, const size_t rows, const size_t outputs,
                              const int fixed, const int tame, const int bits) {
    const size_t pair = csd_pair_of(bits);
    csd_wide sums[CSD_TILE_ROWS][CSD_TILE_OUTPUTS][CSD_TILE_VECTORS];
    uint8_t *to = codes + (o / 2u * out->plane + (row - out->first) * out->pitch + column) * pair;
    csd_sum_tile(sums, t, NULL, row, column, o, kh, kw, rows, outputs, fixed, 0);
    CSD_UNROLL
    for (size_t i = 0; i < outputs; i += 2u, to += out->plane * pair) {
        const csd_wide first = csd_wide_all(t->slope[o + i]);
        const csd_wide second = csd_wide_all(t->slope[o + i + 1u]);
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t v = 0; v < CSD_TILE_VECTORS; v++) {
                sums[r][i][v] = csd_wide_rectify(sums[r][i][v], first);
                sums[r][i + 1u][v] = csd_wide_rectify(sums[r][i + 1u][v], second);
            }
            csd_codes_store(to + r * out->pitch * pair, sums[r][i], sums[r][i + 1u], coding, tame,
                            bits);
        }
    }
}

/* What becomes of the sums: floats rectify(sum * multiplier + bias); codes of those, pairs of
   neighbours; or ints, which began as they lay there. Bytes become neither codes of 8 bits nor
   ints. */
enum { CSD_TO_FLOATS, CSD_TO_CODES, CSD_TO_INTS };

/* A convolution of codes. Outputs are taken by two and the last alone, or by four with half the
   rows; the weights of such outputs lie together: pair, row, word, output. */
typedef struct csd_code_rows {
    const uint8_t *x; /* from column -left on */
    csd_planes in;    /* in pairs */
    size_t pairs;
    csd_taps taps;
    const int32_t *weight;
    const int32_t *zeros; /* of each output: what bytes above row 0, ..., row kh add too much */
    const float *multiplier, *bias, *slope;
    int to, tame;
    csd_coding coding;
    void *y;        /* from column 0 on */
    csd_planes out; /* in floats, ints or pairs */
    size_t outputs;
    size_t height, columns;
} csd_code_rows;

/* So many outputs are taken together where a kernel of 1 x 9 has tiles of its own. */
CSD_INLINE size_t csd_most_sides(csd_taps taps) {
    return taps.height == 1 && taps.width == 9 ? CSD_CODED_OUTPUTS : 2u;
}

typedef csd_ints csd_tile_ints[CSD_TILE_ROWS][CSD_TILE_OUTPUTS];

CSD_INLINE void csd_add_codes(csd_tile_ints sums, const uint8_t *x, const int32_t *w, size_t q,
                              const size_t kh, const size_t words, size_t j, const size_t rows,
                              const size_t outputs, const size_t pair) {
    CSD_AFRESH(w);
    const csd_codes codes = csd_codes_load(x + j * csd_code_step(pair) * pair, pair);
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        if (q < r || q - r >= kh)
            continue;
        CSD_UNROLL
        for (size_t o = 0; o < outputs; o++) {
            const csd_weights weights =
                csd_weights_load(w + ((q - r) * words + j) * outputs + o);
            sums[r][o] = csd_codes_add(sums[r][o], codes, weights, pair);
            CSD_INTS_NOW(sums[r][o]);
        }
    }
}

/* A tap of a kernel of one row, whose weights serve all rows. */
CSD_INLINE void csd_add_side(csd_tile_ints sums, const uint8_t *x, size_t pitch, const int32_t *w,
                             const size_t rows, const size_t outputs, const size_t pair) {
    csd_weights weights[CSD_TILE_OUTPUTS];
    CSD_AFRESH(w);
    CSD_UNROLL
    for (size_t o = 0; o < outputs; o++)
        weights[o] = csd_weights_load(w + o);
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        const csd_codes codes = csd_codes_load(x + r * pitch * pair, pair);
        CSD_UNROLL
        for (size_t o = 0; o < outputs; o++) {
            sums[r][o] = csd_codes_add(sums[r][o], codes, weights[o], pair);
            CSD_INTS_NOW(sums[r][o]);
        }
    }
}

/* What output o's sum begins with: halves have nothing in them beside code - zero. */
CSD_INLINE int32_t csd_begin_codes(const csd_code_rows *t, size_t row, size_t o, const size_t kh,
                                   const size_t pair) {
    if (pair != 2u)
        return 0;
    const csd_view view = csd_view_of(row, t->taps.top, kh, t->height, 1);
    const int32_t *zeros = t->zeros + o * (kh + 1u);
    return zeros[view.first] - zeros[view.end];
}

/* Adds the products of one tile. kh and words are constants where they are `fixed`. */
CSD_INLINE void csd_sum_codes(csd_tile_ints sums, const csd_code_rows *t, size_t row, size_t column,
                              size_t o, const size_t kh, const size_t words, const size_t rows,
                              const size_t outputs, const int fixed, const size_t pair) {
    const csd_view view = csd_view_of(row, t->taps.top, kh, t->height, rows);
    const uint8_t *x =
        t->x + ((row + view.first - t->taps.top - t->in.first) * t->in.pitch + column) * pair;
    const int32_t *w = t->weight + o * t->pairs * kh * words;
    for (size_t p = 0; p < t->pairs; p++, x += t->in.plane * pair, w += kh * words * outputs) {
        const uint8_t *from = x;
        if (fixed && kh == 1) {
            CSD_UNROLL
            for (size_t j = 0; j < words; j++)
                csd_add_side(sums, x + j * csd_code_step(pair) * pair, t->in.pitch,
                             w + j * outputs, rows, outputs, pair);
        } else if (fixed) {
            CSD_UNROLL
            for (size_t q = 0; q < rows + kh - 1u; q++) {
                if (q < view.first || q >= view.end)
                    continue;
                CSD_UNROLL
                for (size_t j = 0; j < words; j++)
                    csd_add_codes(sums, from, w, q, kh, words, j, rows, outputs, pair);
                from += t->in.pitch * pair;
            }
        } else {
            for (size_t q = view.first; q < view.end; q++, from += t->in.pitch * pair)
                for (size_t j = 0; j < words; j++)
                    csd_add_codes(sums, from, w, q, kh, words, j, rows, outputs, pair);
        }
    }
}

/* rectify(sum * multiplier + bias) of output o. */
CSD_INLINE void csd_ints_made(csd_wide *made, csd_ints sums, const csd_code_rows *t, size_t o,
                              const size_t pair) {
    const csd_wide multiplier = csd_wide_all(t->multiplier[o]);
    const csd_wide bias = csd_wide_all(t->bias[o]), slope = csd_wide_all(t->slope[o]);
    csd_ints_floats(made, sums, pair);
    CSD_UNROLL
    for (size_t v = 0; v < CSD_TILE_VECTORS; v++)
        made[v] =
            csd_wide_rectify(csd_wide_add(csd_wide_mul(made[v], multiplier), bias), slope);
}

CSD_INLINE void csd_store_floats(csd_tile_ints sums, const csd_code_rows *t, size_t row,
                                 size_t column, size_t o, const size_t rows, const size_t outputs,
                                 const size_t pair) {
    float *y = (float *)t->y + o * t->out.plane + (row - t->out.first) * t->out.pitch + column;
    CSD_UNROLL
    for (size_t i = 0; i < outputs; i++, y += t->out.plane) {
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            csd_wide made[CSD_TILE_VECTORS];
            csd_ints_made(made, sums[r][i], t, o + i, pair);
            CSD_UNROLL
            for (size_t v = 0; v < CSD_TILE_VECTORS; v++)
                csd_wide_store(y + r * t->out.pitch + v * CSD_WIDE, made[v]);
        }
    }
}

CSD_INLINE void csd_store_codes(csd_tile_ints sums, const csd_code_rows *t, size_t row,
                                size_t column, size_t o, const size_t rows, const size_t outputs,
                                const size_t pair, const int tame, const int bits) {
    const size_t own = csd_pair_of(bits);
    uint8_t *y = (uint8_t *)t->y +
                 (o / 2u * t->out.plane + (row - t->out.first) * t->out.pitch + column) * own;
    CSD_UNROLL
    for (size_t i = 0; i + 1u < outputs; i += 2u, y += t->out.plane * own) {
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            csd_wide first[CSD_TILE_VECTORS], second[CSD_TILE_VECTORS];
            csd_ints_made(first, sums[r][i], t, o + i, pair);
            csd_ints_made(second, sums[r][i + 1u], t, o + i + 1u, pair);
            csd_codes_store(y + r * t->out.pitch * own, first, second, &t->coding, tame, bits);
        }
    }
}

CSD_INLINE int32_t *csd_ints_of(const csd_code_rows *t, size_t row, size_t column, size_t o) {
    return (int32_t *)t->y + o * t->out.plane + (row - t->out.first) * t->out.pitch + column;
}

/* One tile of outputs from number o on, from image row `row` on. What is `fixed` makes codes of what
   has been divided alone. */
CSD_INLINE void csd_make_codes(const csd_code_rows *t, size_t row, size_t column, size_t o,
                               const size_t kh, const size_t words, const size_t rows,
                               const size_t outputs, const int fixed, const size_t pair) {
    csd_tile_ints sums;
    const int to_ints = pair != 2u && t->to == CSD_TO_INTS;
    if (to_ints) {
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t i = 0; i < outputs; i++)
                sums[r][i] = csd_ints_load(csd_ints_of(t, row + r, column, o + i));
        }
    } else {
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t i = 0; i < outputs; i++)
                sums[r][i] = csd_ints_all(csd_begin_codes(t, row + r, o + i, kh, pair));
        }
    }
    csd_sum_codes(sums, t, row, column, o, kh, words, rows, outputs, fixed, pair);
    if (to_ints) {
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t i = 0; i < outputs; i++)
                csd_ints_store(csd_ints_of(t, row + r, column, o + i), sums[r][i]);
        }
    } else if (t->to == CSD_TO_FLOATS) {
        csd_store_floats(sums, t, row, column, o, rows, outputs, pair);
    } else if (!fixed && t->tame != CSD_DIVIDED) {
        csd_store_codes(sums, t, row, column, o, rows, outputs, pair, CSD_WILD, t->coding.bits);
    } else if (pair != 2u && t->coding.bits == 8) {
        csd_store_codes(sums, t, row, column, o, rows, outputs, pair, CSD_DIVIDED, 8);
    } else {
        csd_store_codes(sums, t, row, column, o, rows, outputs, pair, CSD_DIVIDED, 16);
    }
}

#endif
#endif
