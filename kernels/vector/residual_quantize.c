/* The nearest codeword without most of the distances: a scan in bytes, which says for each codeword
   between what bounds its distance lies, and the definition's own arithmetic for the few that are left.

   Instead of |r - c|^2 the scan takes s = |c|^2 / 2 - r c: |r - c|^2 = |r|^2 + 2 s. Codeword and r
   become bytes with a scale each, c ~ C = a p, r ~ R = b q, q and p in -127..127; then
       r c = R C + R (c - C) + (r - R) c,   |r c - R C| <= |R| |c - C| + |r - R| |c| = E
   (Cauchy and Schwarz), and R C is a b times an exact integer. So s lies within S -+ E, with
   S = |c|^2 / 2 - a b (q p), and a codeword is out if its S - E is above the least S + E.

   Roundings. With u = 2^-24 and D numbers a codeword:
   - the reference's distance is a chain of D + 2 roundings, |r - c|^2 (1 +- y), y = (D + 4) u, but
     for underflow, below D 2^-149. With d the least upper bound of |r - c|^2, a codeword is out in
     the reference as well if its S - E is above the least S + E by more than y d / (1 - y);
   - S takes five roundings: of a b, q p, |c|^2 / 2, the result, and of S -+ E. That is below
     8 u |R| |C| + 4 u |c| max|c|: the first is added to |c - C| when it is prepared, the second to
     |r - R|;
   - lengths are made 0.1 % longer than what float32 gives, which covers their own D + 10 roundings,
     D being 4096 at most;
   - underflow: numbers between 1e-10 and 1e10 are taken, or else the general kernel; what then
     vanishes is below 1e-17 in |r - R| and 1e-30 in s.

   Many books have little in some of their dimensions. Those are not scanned: with t for what is in
   them, |r_t c_t| <= |r_t| |c_t| is added to E, whose R, C and r - R are then of the scanned ones
   alone; |c| stays that of all, which is no less. Which are scanned, is chosen for speed when the
   book is prepared (residual_book.h). A row that has more in the others than was thought, so that
   more than MOST_AFTER_FEW codewords are left, is scanned again in all.

   One row alone waits for memory. So a large codebook for single rows has four bytes in three where
   all of it is scanned: the two lowest bits of three bytes are a fourth one's upper six. None is
   cleared: each byte is the number that it is, the nearest to what is wanted that ends in the bits
   that the fourth needs. That is C; how far it is from c the bounds know. They are four times as
   wide, and still leave few.

   If more than one is left, |r - c|^2 in any order of summing is within the same y of the truth: who
   is above the least by more than 5 y is out, (1 + y)^2 / (1 - y)^2 being less than 1 + 5 y. If still
   more than one is left, the chain itself decides, the lowest index of equal ones. If more than
   MOST are left after the scan, the general kernel does the row. */
#include "../fast.h"
#include "byte_dots.h"

#ifndef CSD_HAS_DOTS
CSD_NOTHING_FAST(residual_quantize)
CSD_NOTHING_PREPARED(residual_quantize)
#else

#include "residual_book.h"

#define MOST 256u
#define MOST_AFTER_FEW 64u

typedef struct query {
    float scale;  /* b */
    float length; /* |R| */
    float apart;  /* |r - R| */
    float beyond; /* |r| where it is not scanned */
    float square; /* |r|^2 of all */
} query;

/* Numbers of the row from dimension d on, 0 beyond its end. */
CSD_INLINE csd_wide load_piece(const float *r, size_t d, size_t width) {
    return width - d < PIECE ? csd_wide_load_first(r + d, width - d) : csd_wide_load(r + d);
}

/* The row as bytes with CSD_DOTS_OFFSET added, in the first `near` dimensions of the book's order; 0
   if its numbers are none that the bounds hold for. */
static int make_query(query *q, uint8_t *codes, const float *r, size_t width, const codebook *of,
                      size_t near) {
    csd_wide squares = csd_wide_all(0.0f), beyond = squares, kept = squares, left = squares;
    csd_wide greatest = squares, greatest_beyond = squares;
    const size_t pieces = pieces_of(near);
    for (size_t p = 0; p < pieces; p++) {
        const csd_wide x = load_piece(r, of->order[p] * PIECE, width);
        squares = csd_wide_fma(x, x, squares);
        greatest = csd_wide_max(greatest, csd_wide_max(x, csd_wide_sub(csd_wide_all(0.0f), x)));
    }
    for (size_t p = pieces; p < pieces_of(width); p++) {
        const csd_wide x = load_piece(r, of->order[p] * PIECE, width);
        const csd_wide size = csd_wide_max(x, csd_wide_sub(csd_wide_all(0.0f), x));
        beyond = csd_wide_fma(x, x, beyond);
        greatest_beyond = csd_wide_max(greatest_beyond, size);
    }
    const float most = csd_wide_most(greatest);
    q->square = csd_wide_total(csd_wide_add(squares, beyond));
    /* A NaN may be lost in a maximum, not in the sum of squares. */
    if (!(q->square <= FLT_MAX) || !(most <= BIG) || !(csd_wide_most(greatest_beyond) <= BIG))
        return 0;
    q->square *= LONGER;
    q->scale = most > SMALL * SMALL ? most / (float)CSD_DOTS_MOST : 0.0f;
    const csd_wide inverse = csd_wide_all(q->scale > 0.0f ? (float)CSD_DOTS_MOST / most : 0.0f);
    const csd_wide scale = csd_wide_all(q->scale), rounder = csd_wide_all(CSD_ROUNDER);
    for (size_t p = 0; p < pieces; p++) {
        float shifted[CSD_WIDE];
        const csd_wide x = load_piece(r, of->order[p] * PIECE, width);
        const csd_wide nearest = csd_wide_fma(x, inverse, rounder);
        const csd_wide code = csd_wide_sub(nearest, rounder);
        const csd_wide rest = csd_wide_fnma(scale, code, x);
        kept = csd_wide_fma(code, code, kept);
        left = csd_wide_fma(rest, rest, left);
        csd_wide_store(shifted, nearest); /* whose low byte is the code's */
        for (size_t i = 0; i < CSD_WIDE; i++)
            codes[p * PIECE + i] = (uint8_t)(csd_bits(shifted[i]) + CSD_DOTS_OFFSET);
    }
    q->length = q->scale * sqrtf(csd_wide_total(kept)) * LONGER;
    q->apart = sqrtf(csd_wide_total(left)) * LONGER + 4.0f * UNIT * of->longest + 1e-17f;
    q->beyond = sqrtf(csd_wide_total(beyond)) * LONGER + (near < width ? 1e-17f : 0.0f);
    return 1;
}

/* The bytes' sums of products of one query with a group that is tight. */
CSD_INLINE void add_tight(csd_dots *sums, const uint8_t *codes, const int8_t *from, size_t width) {
#ifdef CSD_HAS_FOURTHS
    for (size_t d = 0; d < width; d += 16u, from += 3u * TIGHT * WORDS * 4u) {
        csd_shared four[4];
        CSD_UNROLL
        for (size_t i = 0; i < 4u; i++) {
            four[i] = csd_shared_load(codes + d + i * 4u);
            CSD_KEEP(four[i]);
        }
        csd_bytes fourths[TIGHT];
        CSD_UNROLL
        for (size_t i = 0; i < 3u; i++)
            CSD_UNROLL
            for (size_t j = 0; j < TIGHT; j++) {
                csd_bytes read = csd_bytes_load(from + (i * TIGHT + j) * (WORDS * 4u));
                CSD_KEEP(read);
                sums[j] = csd_dots_add(sums[j], read, four[i]);
                fourths[j] = csd_bytes_fourth(i > 0 ? fourths[j] : read, read, i);
            }
        CSD_UNROLL
        for (size_t j = 0; j < TIGHT; j++)
            sums[j] = csd_dots_add(sums[j], fourths[j], four[3]);
    }
#else
    (void)sums, (void)codes, (void)from, (void)width;
#endif
}

/* A book and what of it to scan. */
typedef struct part {
    const block *blocks;
    const int8_t *bytes;
    size_t count; /* of blocks */
    size_t width; /* of the bytes */
    size_t near;  /* dimensions that are scanned */
} part;

/* S - E of `count` blocks from `at` on for `rows` queries, and in `least` of each query its S + E. */
CSD_INLINE void scan_blocks(float *scores, size_t score_step, csd_wide *least, const query *q,
                            const uint8_t *codes, size_t code_step, const part *of, size_t at,
                            size_t rows, size_t count, int tight) {
    csd_dots sums[CSD_DOTS_ROWS][CSD_DOTS_BLOCKS_OF_ONE];
    const size_t steps = tight ? 0 : steps_of(of->near);
    const size_t span = steps_of(of->width) * STEP;
    const int8_t *from = of->bytes + at / GROUP * span + at % GROUP * (WORDS * 4u);
    CSD_UNROLL
    for (size_t i = 0; i < rows; i++)
        CSD_UNROLL
        for (size_t j = 0; j < count; j++)
            sums[i][j] = csd_dots_load(of->blocks[at + j].start);
    if (tight)
        add_tight(sums[0], codes, of->bytes + at / TIGHT * (group_bytes(of->width, 1) / 2u),
                  of->width);
    for (size_t step = 0; step < steps; step++, from += STEP) {
        csd_shared four[CSD_DOTS_ROWS];
        CSD_UNROLL
        for (size_t i = 0; i < rows; i++)
            four[i] = csd_shared_load(codes + i * code_step + step * 4u);
        CSD_UNROLL
        for (size_t j = 0; j < count; j++) {
            const csd_bytes read =
                csd_bytes_load(from + j / GROUP * span + j % GROUP * (WORDS * 4u));
            CSD_UNROLL
            for (size_t i = 0; i < rows; i++)
                sums[i][j] = csd_dots_add(sums[i][j], read, four[i]);
        }
    }
    CSD_UNROLL
    for (size_t j = 0; j < count; j++) {
        const block *b = of->blocks + at + j;
        const csd_wide scale = csd_wide_load(b->scale), half = csd_wide_load(b->half);
        const csd_wide apart = csd_wide_load(b->apart), length = csd_wide_load(b->length);
        const csd_wide beyond = csd_wide_load(b->beyond);
        CSD_UNROLL
        for (size_t i = 0; i < rows; i++) {
            const csd_wide both = csd_wide_mul(csd_wide_all(q[i].scale), scale);
            const csd_wide s = csd_wide_fnma(both, csd_dots_floats(sums[i][j]), half);
            const csd_wide e = csd_wide_fma(csd_wide_all(q[i].apart), length,
                                            csd_wide_mul(csd_wide_all(q[i].length), apart));
            const csd_wide all = csd_wide_fma(csd_wide_all(q[i].beyond), beyond, e);
            least[i] = csd_wide_min(csd_wide_add(s, all), least[i]);
            csd_wide_store(scores + i * score_step + (at + j) * WORDS, csd_wide_sub(s, all));
        }
    }
}

CSD_INLINE void scan(float *scores, csd_wide *least, const query *q, const uint8_t *codes,
                     size_t code_step, const part *of, size_t rows, size_t together, int tight) {
    size_t at = 0;
    for (size_t i = 0; i < rows; i++)
        least[i] = csd_wide_all(FLT_MAX);
    for (; at + together <= of->count; at += together)
        scan_blocks(scores, of->count * WORDS, least, q, codes, code_step, of, at, rows, together,
                    tight);
    for (; at < of->count; at += CSD_DOTS_BLOCKS)
        scan_blocks(scores, of->count * WORDS, least, q, codes, code_step, of, at, rows,
                    CSD_DOTS_BLOCKS, 0);
}

/* |r - c|^2 of four codewords, summed in the order that is fastest. */
CSD_INLINE void measure_four(float *distances, const uint32_t *four, const float *r,
                             const float *book, size_t width) {
    const float *c[4];
    csd_wide sums[4];
    CSD_UNROLL
    for (size_t j = 0; j < 4u; j++) {
        c[j] = book + four[j] * width;
        sums[j] = csd_wide_all(0.0f);
    }
    for (size_t d = 0; d < width; d += CSD_WIDE) {
        const csd_wide x = load_piece(r, d, width);
        CSD_UNROLL
        for (size_t j = 0; j < 4u; j++) {
            const csd_wide apart = csd_wide_sub(x, load_piece(c[j], d, width));
            sums[j] = csd_wide_fma(apart, apart, sums[j]);
        }
    }
    csd_wide_totals(distances, sums[0], sums[1], sums[2], sums[3]);
}

/* The chain of the definition; eight at a time hide its latency. */
static uint32_t decide(const uint32_t *left, size_t count, const float *r, const float *book,
                       size_t width) {
    float least = HUGE_VALF;
    uint32_t found = left[0];
    for (size_t i = 0; i < count; i += 8u) {
        const float *c[8];
        float sums[8] = {0.0f};
        for (size_t j = 0; j < 8u; j++)
            c[j] = book + left[i + j < count ? i + j : i] * width;
        for (size_t d = 0; d < width; d++)
            CSD_UNROLL
            for (size_t j = 0; j < 8u; j++) {
                const float apart = r[d] - c[j][d];
                sums[j] = fmaf(apart, apart, sums[j]);
            }
        for (size_t j = 0; j < 8u && i + j < count; j++)
            if (sums[j] < least) {
                least = sums[j];
                found = left[i + j];
            }
    }
    return found;
}

/* The index, or MOST_WORDS if more than `limit` are left for it. */
static uint32_t choose(const float *scores, csd_wide least, const query *q, size_t blocks,
                       const float *r, const float *book, size_t width, size_t limit) {
    const float relative = (float)(width + 4u) * (UNIT * 1.01f);
    float distances[MOST + 3u];
    uint32_t left[MOST + WORDS];
    size_t count = 0, kept = 0;
    const float bound = -csd_wide_most(csd_wide_sub(csd_wide_all(0.0f), least));
    const float distance = q->square + 2.0f * bound;
    const float slack = relative * (distance > 0.0f ? distance : 0.0f) * 1.01f +
                        4.0f * UNIT * fabsf(bound) + 1e-30f;
    const csd_wide most = csd_wide_all(bound + slack);
    for (size_t from = 0; from < blocks; from += GROUP) {
        uint32_t near[GROUP], some = 0;
        CSD_UNROLL
        for (uint32_t b = 0; b < GROUP; b++) {
            near[b] = csd_wide_at_most(csd_wide_load(scores + (from + b) * WORDS), most);
            some |= (uint32_t)(near[b] != 0) << b;
        }
        for (; some != 0; some &= some - 1u) {
            const uint32_t b = (uint32_t)__builtin_ctz(some);
            count += csd_collect(left + count, (uint32_t)(from + b) * WORDS, near[b]);
            if (count > limit)
                return MOST_WORDS;
        }
    }
    if (count <= 1)
        return count == 0 ? MOST_WORDS : left[0];
    for (size_t i = count; i % 4u != 0; i++)
        left[i] = left[0];
    float shortest = FLT_MAX;
    for (size_t i = 0; i < count; i += 4u)
        measure_four(distances + i, left + i, r, book, width);
    for (size_t i = 0; i < count; i++)
        shortest = distances[i] < shortest ? distances[i] : shortest;
    shortest += 5.0f * relative * shortest + 1e-30f;
    for (size_t i = 0; i < count; i++)
        if (distances[i] <= shortest)
            left[kept++] = left[i];
    return kept == 1 ? left[0] : decide(left, kept, r, book, width);
}

/* One row by the general kernel. */
static void general(const csd_args *args, size_t row, size_t width, uint32_t bits) {
    csd_args one = *args;
    one.in[CSD_RESIDUAL_QUANTIZE_FEATURE].data =
        (const float *)args->in[CSD_RESIDUAL_QUANTIZE_FEATURE].data + row * width;
    one.in[CSD_RESIDUAL_QUANTIZE_FEATURE].shape.dims[0] = 1;
    one.out[CSD_RESIDUAL_QUANTIZE_OUT_CODES].data =
        (uint8_t *)args->out[CSD_RESIDUAL_QUANTIZE_OUT_CODES].data + row * bits;
    one.out[CSD_RESIDUAL_QUANTIZE_OUT_REST].data =
        (float *)args->out[CSD_RESIDUAL_QUANTIZE_OUT_REST].data + row * width;
    CSD_KERNEL(residual_quantize)(&one);
}

static void write_row(const csd_args *args, size_t row, uint32_t index, const float *r,
                      const float *word, size_t width, uint32_t bits) {
    float *rest = (float *)args->out[CSD_RESIDUAL_QUANTIZE_OUT_REST].data + row * width;
    uint8_t *codes = (uint8_t *)args->out[CSD_RESIDUAL_QUANTIZE_OUT_CODES].data + row * bits;
    CSD_ELEMENTWISE
    for (size_t d = 0; d < width; d++)
        rest[d] = r[d] - word[d];
    for (uint32_t b = 0; b < bits; b++)
        codes[b] = (uint8_t)(index >> (bits - 1u - b) & 1u);
}

/* Queries of one row, or of CSD_DOTS_ROWS. */
static void scan_rows(float *scores, csd_wide *least, const query *q, const uint8_t *codes,
                      size_t code_step, const part *of, size_t rows, int tight) {
    if (rows > 1u)
        scan(scores, least, q, codes, code_step, of, CSD_DOTS_ROWS, CSD_DOTS_BLOCKS, 0);
#ifdef CSD_HAS_FOURTHS
    else if (tight)
        scan(scores, least, q, codes, code_step, of, 1u, TIGHT, 1);
#endif
    else
        scan(scores, least, q, codes, code_step, of, 1u, CSD_DOTS_BLOCKS_OF_ONE, 0);
    (void)tight;
}

int CSD_FAST(residual_quantize)(const csd_args *args) {
    const csd_shape *shape = &args->in[CSD_RESIDUAL_QUANTIZE_FEATURE].shape;
    const uint32_t words = args->in[CSD_RESIDUAL_QUANTIZE_CODEBOOK].shape.dims[0];
    const float *x = args->in[CSD_RESIDUAL_QUANTIZE_FEATURE].data;
    const float *words_at = args->in[CSD_RESIDUAL_QUANTIZE_CODEBOOK].data;
    const size_t width = shape->dims[1], rows = shape->dims[0];
    const uint32_t bits = args->out[CSD_RESIDUAL_QUANTIZE_OUT_CODES].shape.dims[1];
    const codebook *head = args->prepared;
    if (head == NULL)
        return 0;
    const block *blocks = (const block *)(head + 1);
    const size_t count = groups_of(words) * GROUP, near = head->near;
    const block *blocks_of_all = blocks + blocks_ahead(words, width, near);
    const int8_t *bytes = (const int8_t *)(blocks_of_all + count);
    const part few = {blocks, bytes, count, width, near};
    const part all = {blocks_of_all, bytes, count, width, width};
    float scores[MOST_WORDS];
    uint8_t codes[2u * MOST_WIDTH];
    const size_t code_step = pieces_of(width) * PIECE;
    const int several = head->tight == 0 && CSD_DOTS_ROWS * code_step <= sizeof codes &&
                        CSD_DOTS_ROWS * count * WORDS <= MOST_WORDS;
    for (size_t row = 0; row < rows;) {
        query q[CSD_DOTS_ROWS];
        csd_wide least[CSD_DOTS_ROWS];
        size_t taken = 0;
        const size_t most = several && rows - row >= CSD_DOTS_ROWS ? CSD_DOTS_ROWS : 1u;
        for (; taken < most; taken++)
            if (!make_query(q + taken, codes + taken * code_step, x + (row + taken) * width, width,
                            head, near))
                break;
        if (taken == 0) {
            general(args, row++, width, bits);
            continue;
        }
        taken = taken == CSD_DOTS_ROWS ? taken : 1u;
        scan_rows(scores, least, q, codes, code_step, &few, taken, head->tight != 0);
        for (size_t i = 0; i < taken; i++, row++) {
            const float *r = x + row * width;
            float *own = scores + i * count * WORDS;
            uint32_t index = choose(own, least[i], q + i, count, r, words_at, width,
                                    near < width ? MOST_AFTER_FEW : MOST);
            if (index >= words && near < width &&
                make_query(q + i, codes, r, width, head, width)) {
                scan_rows(own, least + i, q + i, codes, code_step, &all, 1u, 0);
                index = choose(own, least[i], q + i, count, r, words_at, width, MOST);
            }
            if (index >= words)
                general(args, row, width, bits);
            else
                write_row(args, row, index, r, words_at + index * width, width, bits);
        }
    }
    return 1;
}
#endif
