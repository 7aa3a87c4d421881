/* Which tiles make the rows of a plane: CONV_BLOCK's convolutions, from conv_rows.h and code_rows.h. */
#ifndef CSIDEPLOY_BLOCK_ROWS_H
#define CSIDEPLOY_BLOCK_ROWS_H

#include "code_rows.h"

/* Kernels that tiles are made for; others share one whose sizes are variables. */
#define FLOAT_TILES(X) X(1, 9) X(3, 3) X(5, 5) X(7, 7) X(9, 1)
#define CODE_TILES(X) X(3, 3) X(5, 5) X(7, 7)

#define KEY(kh, kw) ((kh) * 16u + (kw))
enum { ANY = 0 };

/* Rows of an image. */
typedef struct span {
    size_t first, end;
} span;

/* How many rows and outputs the next tile has: whole, or single ones of what is left. */
static size_t next_rows(size_t left) { return left < CSD_TILE_ROWS ? 1u : CSD_TILE_ROWS; }
static size_t next_outputs(size_t left) { return left < 2u ? 1u : 2u; }
static size_t key(csd_taps taps, size_t height, size_t outputs) {
    return height == CSD_TILE_ROWS && outputs == 2u ? KEY(taps.height, taps.width) : ANY;
}

/* One row of tiles. */
#define FLOAT_ROW(name, kh, kw, height, outputs, fixed)                                            \
    static void name(const csd_rows *t, size_t row, size_t o) {                                    \
        for (size_t at = 0; at < t->columns; at += CSD_TILE_COLUMNS)                               \
            csd_make_tile(t, row, at, o, kh, kw, height, outputs, fixed);                          \
    }
#define FIXED_ROW(kh, kw) FLOAT_ROW(float_row_##kh##_##kw, kh, kw, CSD_TILE_ROWS, 2, 1)
FLOAT_TILES(FIXED_ROW)
FLOAT_ROW(float_row_whole, t->taps.height, t->taps.width, CSD_TILE_ROWS, 2, 0)
FLOAT_ROW(float_row_low, t->taps.height, t->taps.width, 1, 2, 0)
FLOAT_ROW(float_row_alone, t->taps.height, t->taps.width, CSD_TILE_ROWS, 1, 0)
FLOAT_ROW(float_row_low_alone, t->taps.height, t->taps.width, 1, 1, 0)

static void run_floats(const csd_rows *t, span made) {
    for (size_t o = 0, outputs; o < t->outputs; o += outputs) {
        outputs = next_outputs(t->outputs - o);
        for (size_t row = made.first, height; row < made.end; row += height) {
            height = next_rows(made.end - row);
            switch (key(t->taps, height, outputs)) {
#define FLOAT_CASE(kh, kw)                                                                         \
    case KEY(kh, kw):                                                                              \
        float_row_##kh##_##kw(t, row, o);                                                          \
        break;
                FLOAT_TILES(FLOAT_CASE)
            default:
                if (outputs == 2u)
                    (height > 1u ? float_row_whole : float_row_low)(t, row, o);
                else
                    (height > 1u ? float_row_alone : float_row_low_alone)(t, row, o);
            }
        }
    }
}

#ifdef CSD_HAS_CODES

/* v of floats, which becomes codes. */
typedef struct coded {
    csd_code *codes;
    csd_planes planes;
    csd_coding coding;
    int tame;
} coded;

#define V_ROW(name, kh, kw, height, outputs, fixed)                                                \
    static void name(const csd_rows *t, const coded *to, size_t row, size_t o) {                   \
        for (size_t at = 0; at < t->columns; at += CSD_TILE_COLUMNS)                               \
            csd_code_tile(t, to->codes, &to->planes, row, at, o, &to->coding, kh, kw, height,      \
                          outputs, fixed, to->tame);                                               \
    }
enum { MOST_ROWS = CSD_TILE_ROWS * 2 / CSD_CODED_OUTPUTS };
V_ROW(v_row_1_9, 1, 9, MOST_ROWS, CSD_CODED_OUTPUTS, 1)
V_ROW(v_row_1_9_by_two, 1, 9, CSD_TILE_ROWS, 2, 1)
V_ROW(v_row_any, t->taps.height, t->taps.width, 1, CSD_CODED_OUTPUTS, 0)
V_ROW(v_row_any_by_two, t->taps.height, t->taps.width, 1, 2, 0)

/* The last two outputs may be alone. */
static void run_coding(const csd_rows *t, const coded *to, span made) {
    const int fixed = KEY(t->taps.height, t->taps.width) == KEY(1, 9);
    for (size_t o = 0, outputs; o < t->outputs; o += outputs) {
        const int whole = t->outputs - o >= CSD_CODED_OUTPUTS;
        const size_t most = whole ? MOST_ROWS : CSD_TILE_ROWS;
        outputs = whole ? CSD_CODED_OUTPUTS : 2u;
        for (size_t row = made.first, height; row < made.end; row += height) {
            height = fixed && made.end - row >= most ? most : 1u;
            if (height == most)
                (whole ? v_row_1_9 : v_row_1_9_by_two)(t, to, row, o);
            else
                (whole ? v_row_any : v_row_any_by_two)(t, to, row, o);
        }
    }
}

#define CODE_ROW(name, kh, kw, height, outputs, fixed)                                             \
    static void name(const csd_code_rows *t, size_t row, size_t o) {                               \
        for (size_t at = 0; at < t->columns; at += CSD_TILE_COLUMNS)                               \
            csd_sum_codes(t, row, at, o, kh, csd_words(kw), height, outputs, fixed);               \
    }
#define FIXED_CODE_ROW(kh, kw) CODE_ROW(code_row_##kh##_##kw, kh, kw, CSD_TILE_ROWS, 2, 1)
CODE_TILES(FIXED_CODE_ROW)
CODE_ROW(code_row_whole, t->taps.height, t->taps.width, CSD_TILE_ROWS, 2, 0)
CODE_ROW(code_row_low, t->taps.height, t->taps.width, 1, 2, 0)
CODE_ROW(code_row_alone, t->taps.height, t->taps.width, CSD_TILE_ROWS, 1, 0)
CODE_ROW(code_row_low_alone, t->taps.height, t->taps.width, 1, 1, 0)

static void run_codes(const csd_code_rows *t, span made) {
    for (size_t o = 0, outputs; o < t->outputs; o += outputs) {
        outputs = next_outputs(t->outputs - o);
        for (size_t row = made.first, height; row < made.end; row += height) {
            height = next_rows(made.end - row);
            switch (key(t->taps, height, outputs)) {
#define CODE_CASE(kh, kw)                                                                          \
    case KEY(kh, kw):                                                                              \
        code_row_##kh##_##kw(t, row, o);                                                           \
        break;
                CODE_TILES(CODE_CASE)
            default:
                if (outputs == 2u)
                    (height > 1u ? code_row_whole : code_row_low)(t, row, o);
                else
                    (height > 1u ? code_row_alone : code_row_low_alone)(t, row, o);
            }
        }
    }
}

#endif

#endif
