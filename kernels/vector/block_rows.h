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
    uint8_t *codes;
    csd_planes planes;
    csd_coding coding;
    int tame;
} coded;

#define V_ROW(name, kh, kw, height, outputs, fixed)                                                \
    static void name(const csd_rows *t, const coded *to, size_t row, size_t o) {                   \
        for (size_t at = 0; at < t->columns; at += CSD_TILE_COLUMNS)                               \
            csd_code_tile(t, to->codes, &to->planes, row, at, o, &to->coding, kh, kw, height,      \
                          outputs, fixed, to->tame, to->coding.bits);                              \
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

/* Codes of what has not been divided are left to tiles of any kernel. */
static size_t code_key(const csd_code_rows *t, size_t height, size_t outputs) {
    return t->to == CSD_TO_CODES && t->tame != CSD_DIVIDED ? ANY : key(t->taps, height, outputs);
}

#define CODE_ROW(name, kh, kw, height, outputs, fixed, pair)                                       \
    static void name(const csd_code_rows *t, size_t row, size_t o) {                               \
        for (size_t at = 0; at < t->columns; at += CSD_TILE_COLUMNS)                               \
            csd_make_codes(t, row, at, o, kh, csd_words(kw, pair), height, outputs, fixed, pair);  \
    }
/* The rows of pairs of so many bytes. */
#define FIXED_HALVES(kh, kw) CODE_ROW(halves_row_##kh##_##kw, kh, kw, CSD_TILE_ROWS, 2, 1, 4)
#define FIXED_BYTES(kh, kw) CODE_ROW(bytes_row_##kh##_##kw, kh, kw, CSD_TILE_ROWS, 2, 1, 2)
#define OTHER_CODE_ROWS(of, pair)                                                                  \
    CODE_ROW(of##_row_whole, t->taps.height, t->taps.width, CSD_TILE_ROWS, 2, 0, pair)             \
    CODE_ROW(of##_row_low, t->taps.height, t->taps.width, 1, 2, 0, pair)                           \
    CODE_ROW(of##_row_alone, t->taps.height, t->taps.width, CSD_TILE_ROWS, 1, 0, pair)             \
    CODE_ROW(of##_row_low_alone, t->taps.height, t->taps.width, 1, 1, 0, pair)

#define CODE_CASE(of, kh, kw)                                                                      \
    case KEY(kh, kw):                                                                              \
        of##_row_##kh##_##kw(t, row, o);                                                           \
        break;
#define HALVES_CASE(kh, kw) CODE_CASE(halves, kh, kw)
#define BYTES_CASE(kh, kw) CODE_CASE(bytes, kh, kw)
#define HALVES_TILES(X) CODE_TILES(X) X(9, 1)
#define RUN_CODES(name, of, cases)                                                                 \
    static void name(const csd_code_rows *t, size_t first, span made) {                            \
        for (size_t o = first, outputs; o < t->outputs; o += outputs) {                            \
            outputs = next_outputs(t->outputs - o);                                                \
            for (size_t row = made.first, height; row < made.end; row += height) {                 \
                height = next_rows(made.end - row);                                                \
                switch (code_key(t, height, outputs)) {                                            \
                    cases                                                                          \
                default:                                                                           \
                    if (outputs == 2u)                                                             \
                        (height > 1u ? of##_row_whole : of##_row_low)(t, row, o);                  \
                    else                                                                           \
                        (height > 1u ? of##_row_alone : of##_row_low_alone)(t, row, o);            \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }

HALVES_TILES(FIXED_HALVES)
OTHER_CODE_ROWS(halves, 4)
RUN_CODES(run_halves, halves, HALVES_TILES(HALVES_CASE))
#if CSD_PAIR_OF_BYTES == 2u
CODE_TILES(FIXED_BYTES)
OTHER_CODE_ROWS(bytes, 2)
RUN_CODES(run_bytes, bytes, CODE_TILES(BYTES_CASE))
#endif

static void run_codes(const csd_code_rows *t, span made, size_t pair) {
#if CSD_PAIR_OF_BYTES == 2u
    if (pair == 2u) {
        run_bytes(t, 0, made);
        return;
    }
#endif
    (void)pair;
    run_halves(t, 0, made);
}

CODE_ROW(side_row, 1, 9, MOST_ROWS, CSD_CODED_OUTPUTS, 1, 4)
CODE_ROW(side_row_any, t->taps.height, t->taps.width, 1, CSD_CODED_OUTPUTS, 0, 4)

/* `expand` of codes of 16 bits: a kernel of 1 x 9 takes outputs as csd_most_sides says. */
static void run_sides(const csd_code_rows *t, span made) {
    size_t o = 0;
    if (KEY(t->taps.height, t->taps.width) == KEY(1, 9))
        for (; t->outputs - o >= CSD_CODED_OUTPUTS; o += CSD_CODED_OUTPUTS)
            for (size_t row = made.first, height; row < made.end; row += height) {
                height = t->tame == CSD_DIVIDED && made.end - row >= MOST_ROWS ? MOST_ROWS : 1u;
                (height == MOST_ROWS ? side_row : side_row_any)(t, row, o);
            }
    run_halves(t, o, made);
}

#endif

#endif
