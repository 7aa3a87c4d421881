/* A convolution of padded planes that lie in the first cache, by tiles of rows and columns whose
   sums stay in registers: kernels/reference/conv2d.c says in which order they are summed.

   A tile has R rows, O outputs and some vectors of neighbours in a row. Row q of what its kernel
   sees is tap row q - r of tile row r. Walked by channel, q and column, every sum takes its taps in
   their order, and what is read of row q serves all rows and outputs:

       q        0    1    2    3   ...  kh-1  kh  kh+1  kh+2
       rows     0   0-1  0-2  0-3       0-3   1-3  2-3    3        (R = 4)

   With 4 rows, 2 outputs and 2 vectors that is 2 reads of x and 8 of weights for 16 products and 16
   sums, so that arithmetic is the limit. Rows beside the image are left out, columns beside it are
   zeros of the plane. A kernel of one row has no rows to share: its tile walks by tap, and each
   weight serves all rows. */
#ifndef CSIDEPLOY_CONV_ROWS_H
#define CSIDEPLOY_CONV_ROWS_H

#include "../vectors.h"

/* As many sums as registers hold beside what is read: of 32 columns with AVX-512, else of 16.
   Outputs that become codes are taken by CODED_OUTPUTS. */
#ifdef CSD_HAS_AVX512
enum { CSD_TILE_ROWS = 4, CSD_TILE_VECTORS = 2, CSD_CODED_OUTPUTS = 4 };
#else
enum { CSD_TILE_ROWS = 2, CSD_TILE_VECTORS = 1, CSD_CODED_OUTPUTS = 2 };
#endif
enum { CSD_TILE_OUTPUTS = 4 };
#define CSD_TILE_COLUMNS (CSD_TILE_VECTORS * CSD_WIDE)

/* Before the weights of a tap: gcc would otherwise read those of all taps first, and keep them on
   the stack as whole vectors. */
#if defined(__GNUC__) || defined(__clang__)
#define CSD_AFRESH(pointer) __asm__ __volatile__("" : "+r"(pointer) : : "memory")
#else
#define CSD_AFRESH(pointer) (void)(pointer)
#endif

/* After the products of a tap: gcc would otherwise leave sums for later and keep their factors on
   the stack. */
#if defined(CSD_HAS_AVX512)
#define CSD_NOW(sum) __asm__ __volatile__("" : "+v"(sum))
#elif defined(CSD_HAS_AVX2)
#define CSD_NOW(sum) __asm__ __volatile__("" : "+x"((sum).a), "+x"((sum).b))
#elif defined(CSD_HAS_NEON)
#define CSD_NOW(sum)                                                                               \
    __asm__ __volatile__("" : "+w"((sum).a), "+w"((sum).b), "+w"((sum).c), "+w"((sum).d))
#else
#define CSD_NOW(sum) (void)(sum)
#endif

/* Rounded twice, so that targets agree. Training, which has none to agree with, has its own. */
#ifndef CSD_ADD_PRODUCT
#define CSD_ADD_PRODUCT(sum, a, b) csd_wide_add(sum, csd_wide_mul(a, b))
#endif

/* A weight for several products. Two halves of a number would be two registers of one value. */
CSD_INLINE csd_wide csd_weight(const float *w) {
    csd_wide all = csd_wide_all(*w);
#ifdef CSD_HAS_AVX512
    CSD_KEEP(all);
#endif
    return all;
}

/* Planes of some rows of an image; the first row that they hold is image row `first`. A row has
   `margin` zeros before it, whole registers, and those of the next row behind it. */
typedef struct csd_planes {
    size_t margin;
    size_t pitch; /* from row to row */
    size_t plane; /* from plane to plane */
    size_t first;
} csd_planes;

/* kh rows of kw taps, `top` and `left` of them before the output. */
typedef struct csd_taps {
    size_t height, width, top, left;
} csd_taps;

/* What tiles of a convolution have in common. Outputs are taken by two and the last alone, or by
   four with half the rows; the weights of such outputs lie together: channel, row, column, output. */
typedef struct csd_rows {
    const float *x; /* from column -left on */
    csd_planes in;
    size_t channels;
    csd_taps taps;
    const float *weight, *bias, *slope; /* without bias the sums go on from y, as they are */
    float *y;                           /* from column 0 on */
    csd_planes out;
    size_t outputs;
    size_t height;  /* of the image */
    size_t columns; /* of whole tiles */
} csd_rows;

/* The sums of one row of the kernel's view, for rows of the tile that it is a tap row of. */
CSD_INLINE void csd_add_row(csd_wide sums[CSD_TILE_ROWS][CSD_TILE_OUTPUTS][CSD_TILE_VECTORS],
                            const float *x, const float *w, size_t q, const size_t kh,
                            const size_t kw, size_t j, const size_t rows, const size_t outputs) {
    csd_wide numbers[CSD_TILE_VECTORS];
    CSD_AFRESH(w);
    CSD_UNROLL
    for (size_t v = 0; v < CSD_TILE_VECTORS; v++) {
        numbers[v] = csd_wide_load(x + j + v * CSD_WIDE);
        CSD_KEEP(numbers[v]);
    }
    CSD_UNROLL
    for (size_t r = 0; r < rows; r++) {
        if (q < r || q - r >= kh)
            continue;
        CSD_UNROLL
        for (size_t o = 0; o < outputs; o++) {
            const csd_wide weight = csd_weight(w + ((q - r) * kw + j) * outputs + o);
            CSD_UNROLL
            for (size_t v = 0; v < CSD_TILE_VECTORS; v++) {
                sums[r][o][v] = CSD_ADD_PRODUCT(sums[r][o][v], weight, numbers[v]);
                CSD_NOW(sums[r][o][v]);
            }
        }
    }
}

/* Rows q of the view inside the image. */
typedef struct csd_view {
    size_t first, end;
} csd_view;

CSD_INLINE csd_view csd_view_of(size_t row, size_t top, size_t kh, size_t height, size_t rows) {
    const size_t all = rows + kh - 1u, left = height + top - row;
    const csd_view view = {row < top ? top - row : 0, left < all ? left : all};
    return view;
}

CSD_INLINE void csd_slide(csd_wide sums[CSD_TILE_ROWS][CSD_TILE_OUTPUTS][CSD_TILE_VECTORS],
                          const csd_rows *t, const float *w, size_t row, size_t column,
                          const size_t kh, const size_t kw, const size_t rows,
                          const size_t outputs, const int fixed) {
    const csd_view view = csd_view_of(row, t->taps.top, kh, t->height, rows);
    const float *x = t->x + (row + view.first - t->taps.top - t->in.first) * t->in.pitch + column;
    for (size_t c = 0; c < t->channels; c++, x += t->in.plane, w += kh * kw * outputs) {
        const float *from = x;
        if (fixed) {
            CSD_UNROLL
            for (size_t q = 0; q < rows + kh - 1u; q++) {
                if (q < view.first || q >= view.end)
                    continue;
                CSD_UNROLL
                for (size_t j = 0; j < kw; j++)
                    csd_add_row(sums, from, w, q, kh, kw, j, rows, outputs);
                from += t->in.pitch;
            }
        } else {
            for (size_t q = view.first; q < view.end; q++, from += t->in.pitch)
                for (size_t j = 0; j < kw; j++)
                    csd_add_row(sums, from, w, q, kh, kw, j, rows, outputs);
        }
    }
}

/* The same for a kernel of one row. */
CSD_INLINE void csd_side_by_side(csd_wide sums[CSD_TILE_ROWS][CSD_TILE_OUTPUTS][CSD_TILE_VECTORS],
                                 const csd_rows *t, const float *w, size_t row, size_t column,
                                 const size_t kw, const size_t rows, const size_t outputs) {
    const float *x = t->x + (row - t->in.first) * t->in.pitch + column;
    for (size_t c = 0; c < t->channels; c++, x += t->in.plane) {
        for (size_t j = 0; j < kw; j++, w += outputs) {
            csd_wide weights[CSD_TILE_OUTPUTS];
            CSD_UNROLL
            for (size_t o = 0; o < outputs; o++)
                weights[o] = csd_weight(w + o);
            CSD_UNROLL
            for (size_t r = 0; r < rows; r++) {
                CSD_UNROLL
                for (size_t v = 0; v < CSD_TILE_VECTORS; v++) {
                    csd_wide numbers = csd_wide_load(x + r * t->in.pitch + j + v * CSD_WIDE);
                    CSD_KEEP(numbers);
                    CSD_UNROLL
                    for (size_t o = 0; o < outputs; o++) {
                        sums[r][o][v] = CSD_ADD_PRODUCT(sums[r][o][v], weights[o], numbers);
                        CSD_NOW(sums[r][o][v]);
                    }
                }
            }
        }
    }
}

/* Where a tile's sums begin: at the bias, never -0, or if they go `on` at what y has. */
CSD_INLINE void csd_begin(csd_wide sums[CSD_TILE_ROWS][CSD_TILE_OUTPUTS][CSD_TILE_VECTORS],
                          const csd_rows *t, const float *y, size_t o, const size_t rows,
                          const size_t outputs, const int on) {
    CSD_UNROLL
    for (size_t i = 0; i < outputs; i++) {
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t v = 0; v < CSD_TILE_VECTORS; v++)
                sums[r][i][v] =
                    on ? csd_wide_load(y + i * t->out.plane + r * t->out.pitch + v * CSD_WIDE)
                       : csd_wide_all(t->bias[o + i] + 0.0f);
        }
    }
}

/* One tile of outputs o, o + 1 from image row `row` on. kh and kw are `taps` again, as constants
   where they are `fixed`; kh = 1 always is one. */
CSD_INLINE void csd_sum_tile(csd_wide sums[CSD_TILE_ROWS][CSD_TILE_OUTPUTS][CSD_TILE_VECTORS],
                             const csd_rows *t, const float *y, size_t row, size_t column, size_t o,
                             const size_t kh, const size_t kw, const size_t rows,
                             const size_t outputs, const int fixed, const int on) {
    const float *w = t->weight + o * t->channels * kh * kw;
    csd_begin(sums, t, y, o, rows, outputs, on);
    if (fixed && kh == 1)
        csd_side_by_side(sums, t, w, row, column, kw, rows, outputs);
    else
        csd_slide(sums, t, w, row, column, kh, kw, rows, outputs, fixed);
}

CSD_INLINE void csd_make_tile(const csd_rows *t, size_t row, size_t column, size_t o,
                              const size_t kh, const size_t kw, const size_t rows,
                              const size_t outputs, const int fixed) {
    csd_wide sums[CSD_TILE_ROWS][CSD_TILE_OUTPUTS][CSD_TILE_VECTORS];
    float *y = t->y + o * t->out.plane + (row - t->out.first) * t->out.pitch + column;
    csd_sum_tile(sums, t, y, row, column, o, kh, kw, rows, outputs, fixed, t->bias == NULL);
    CSD_UNROLL
    for (size_t i = 0; i < outputs; i++) {
        CSD_UNROLL
        for (size_t r = 0; r < rows; r++) {
            CSD_UNROLL
            for (size_t v = 0; v < CSD_TILE_VECTORS; v++) {
                float *to = y + i * t->out.plane + r * t->out.pitch + v * CSD_WIDE;
                csd_wide_store(to, t->bias != NULL
                                       ? csd_wide_rectify(sums[r][i][v],
                                                          csd_wide_all(t->slope[o + i]))
                                       : sums[r][i][v]);
            }
        }
    }
}

#endif
