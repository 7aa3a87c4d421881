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

   One row alone waits for memory. So a large codebook for single rows has four bytes in three: the
   two lowest bits of three bytes are a fourth one's upper six. None is cleared: each byte is the
   number that it is, the nearest to what is wanted that ends in the bits that the fourth needs. That
   is C; how far it is from c the bounds know. They are four times as wide, and still leave few.

   If more than one is left, |r - c|^2 in any order of summing is within the same y of the truth: who
   is above the least by more than 5 y is out, (1 + y)^2 / (1 - y)^2 being less than 1 + 5 y. If still
   more than one is left, the chain itself decides, the lowest index of equal ones. If MOST or more are
   left after the scan, the general kernel does the row. */
#include "../fast.h"
#include "byte_dots.h"

#ifndef CSD_HAS_DOTS
CSD_NOTHING_FAST(residual_quantize)
CSD_NOTHING_PREPARED(residual_quantize)
#else

#include <float.h>
#include <math.h>

#define MOST 256u
#define MOST_WORDS 8192u
#define MOST_WIDTH 4096u
#define LEAST_WORK 2048u /* words x width from which on the scan pays */
#define LEAST_TIGHT 196608u /* and from which on four bytes in three pay: several such fill a cache */
#define MOST_TIGHT 384u /* width up to which: bounds grow with it faster than distances differ */
#define BIG 1e10f
#define SMALL 1e-10f
#define LONGER 1.001f
#define UNIT 5.9604645e-8f

/* Codewords are prepared in blocks of 16, whose bytes of four dimensions are 64, and in groups of
   four blocks, so that a scan reads few streams. Those that fill up the last group are never near. */
#define WORDS 16u
#define GROUP 16u
#define STEP (GROUP * WORDS * 4u)
#define TIGHT (GROUP / 2u) /* blocks of a tight group */

typedef struct block {
    float scale[WORDS];  /* a */
    float half[WORDS];   /* |c|^2 / 2 */
    float apart[WORDS];  /* |c - C| */
    float length[WORDS]; /* |c| */
    int32_t start[WORDS]; /* takes CSD_DOTS_OFFSET off q */
} block;

typedef struct prepared {
    float longest;  /* of |c| */
    uint32_t tight; /* four bytes in three */
    uint8_t fill[56];
} prepared;

static size_t groups_of(uint32_t words) { return (words + GROUP * WORDS - 1u) / (GROUP * WORDS); }
static size_t steps_of(size_t width) { return (width + 3u) / 4u; }

/* Of a group of blocks; sixteen dimensions are four steps, or three that hold four. */
static size_t group_bytes(size_t width, int tight) {
    return tight ? (width + 15u) / 16u * 3u * STEP : steps_of(width) * STEP;
}

static size_t book_bytes(uint32_t words, size_t width, int tight) {
    return sizeof(prepared) +
           groups_of(words) * (GROUP * sizeof(block) + group_bytes(width, tight));
}

static int takes(const float *book, size_t count) {
    float most = 0.0f;
    for (size_t i = 0; i < count; i++) {
        if (!(fabsf(book[i]) <= BIG))
            return 0;
        most = fabsf(book[i]) > most ? fabsf(book[i]) : most;
    }
    return most >= SMALL;
}

/* The number nearest to x that ends in the bits `low`. */
static int8_t nearest_ending(float x, int low) {
    const int near = (int)rintf((x - (float)low) / 4.0f) * 4 + low;
    return (int8_t)(near > 127 ? near - 4 : near < -128 ? near + 4 : near);
}

/* Sixteen codes for x, of which 12 to 15 are in the lowest bits of the others as csd_bytes_fourth
   reads them. */
static void tighten(int8_t *codes, const float *x) {
    for (size_t e = 0; e < 4u; e++) {
        const int before = e % 2u == 1u ? codes[8u + e - 1u] >> 6 & 3 : 0;
        const int fourth = nearest_ending(x[12u + e], before);
        codes[12u + e] = (int8_t)fourth;
        for (size_t i = 0; i < 3u; i++)
            codes[4u * i + e] = nearest_ending(x[4u * i + e], fourth >> (6u - 2u * i) & 3);
    }
}

static void prepare_word(block *to, int8_t *bytes, size_t w, const float *c, size_t width,
                         int tight) {
    const size_t step = tight ? STEP / 2u : STEP, steps = tight ? 3u : 4u;
    const size_t all = tight ? (width + 15u) / 16u * 16u : width;
    double length = 0.0, apart = 0.0, near = 0.0;
    float most = 0.0f;
    int32_t sum = 0;
    for (size_t d = 0; d < width; d++)
        most = fabsf(c[d]) > most ? fabsf(c[d]) : most;
    const float scale = most >= FLT_MIN * 256.0f ? most / 127.0f : 0.0f;
    for (size_t from = 0; from < all; from += 16u, bytes += steps * step) {
        int8_t codes[16];
        float x[16];
        for (size_t i = 0; i < 16u; i++)
            x[i] = scale > 0.0f && from + i < width ? c[from + i] / scale : 0.0f;
        for (size_t i = 0; i < 16u; i++)
            codes[i] = (int8_t)rintf(x[i]);
        if (tight)
            tighten(codes, x);
        for (size_t i = 0; i < 16u && from + i < all; i++) {
            if (i < steps * 4u)
                bytes[i / 4u * step + i % 4u] = codes[i];
            sum += codes[i];
            if (from + i >= width)
                continue; /* where the row is 0 */
            const double kept = (double)scale * (double)codes[i];
            const double exact = (double)c[from + i];
            length += exact * exact;
            near += kept * kept;
            apart += (exact - kept) * (exact - kept);
        }
    }
    to->scale[w] = scale;
    to->half[w] = (float)(length / 2.0);
    to->apart[w] = (float)(sqrt(apart) + 8.0 * (double)UNIT * sqrt(near)) * LONGER;
    to->length[w] = (float)sqrt(length) * LONGER;
    to->start[w] = -CSD_DOTS_OFFSET * sum;
}

/* Whether rows come one by one only, and the bytes from beyond the nearest cache. */
static int is_tight(const csd_args *args) {
#ifdef CSD_HAS_FOURTHS
    const csd_shape *book = &args->in[CSD_RESIDUAL_QUANTIZE_CODEBOOK].shape;
    return args->in[CSD_RESIDUAL_QUANTIZE_FEATURE].shape.dims[0] < CSD_DOTS_ROWS &&
           (size_t)book->dims[0] * book->dims[1] >= LEAST_TIGHT && book->dims[1] <= MOST_TIGHT;
#else
    (void)args;
    return 0;
#endif
}

size_t CSD_PREPARE(residual_quantize)(const csd_args *args, void *memory) {
    const csd_input *codebook = &args->in[CSD_RESIDUAL_QUANTIZE_CODEBOOK];
    const uint32_t words = codebook->shape.dims[0];
    const size_t width = codebook->shape.dims[1];
    const float *book = codebook->data;
    const int tight = is_tight(args);
    if (book == NULL || words > MOST_WORDS || width > MOST_WIDTH || words * width < LEAST_WORK ||
        !takes(book, words * width))
        return 0;
    if (memory == NULL)
        return book_bytes(words, width, tight);
    prepared *head = memory;
    block *blocks = (block *)(head + 1);
    int8_t *bytes = (int8_t *)(blocks + groups_of(words) * GROUP);
    memset(memory, 0, book_bytes(words, width, tight));
    head->tight = (uint32_t)tight;
    for (size_t w = 0; w < groups_of(words) * GROUP * WORDS; w++) {
        block *to = blocks + w / WORDS;
        const size_t together = (tight ? TIGHT : GROUP) * WORDS;
        int8_t *at = bytes + w / together * (group_bytes(width, tight) / (tight ? 2u : 1u)) +
                     w % together * 4u;
        if (w >= words) {
            to->half[w % WORDS] = FLT_MAX;
            continue;
        }
        prepare_word(to, at, w % WORDS, book + w * width, width, tight);
        if (to->length[w % WORDS] > head->longest)
            head->longest = to->length[w % WORDS];
    }
    return book_bytes(words, width, tight);
}

typedef struct query {
    float scale;  /* b */
    float length; /* |R| */
    float apart;  /* |r - R| */
    float square; /* |r|^2 */
} query;

/* The row as bytes with CSD_DOTS_OFFSET added; 0 if its numbers are none that the bounds hold for. */
static int make_query(query *q, uint8_t *codes, const float *r, size_t width, float longest) {
    csd_wide squares = csd_wide_all(0.0f), kept = squares, left = squares;
    float most = 0.0f, magnitudes[CSD_WIDE];
    csd_wide magnitude = csd_wide_all(0.0f);
    for (size_t d = 0; d < width; d += CSD_WIDE) {
        const size_t count = width - d < CSD_WIDE ? width - d : CSD_WIDE;
        const csd_wide x = count == CSD_WIDE ? csd_wide_load(r + d)
                                             : csd_wide_load_first(r + d, count);
        const csd_wide minus = csd_wide_sub(csd_wide_all(0.0f), x);
        squares = csd_wide_fma(x, x, squares);
        magnitude = csd_wide_max(magnitude, csd_wide_max(x, minus));
    }
    csd_wide_store(magnitudes, magnitude);
    for (size_t i = 0; i < CSD_WIDE; i++)
        most = magnitudes[i] > most ? magnitudes[i] : most;
    q->square = csd_wide_total(squares);
    /* A NaN may be lost in a maximum, not in the sum of squares. */
    if (!(q->square <= FLT_MAX) || !(most <= BIG))
        return 0;
    q->square *= LONGER;
    q->scale = most > SMALL * SMALL ? most / (float)CSD_DOTS_MOST : 0.0f;
    const csd_wide inverse = csd_wide_all(q->scale > 0.0f ? 1.0f / q->scale : 0.0f);
    const csd_wide scale = csd_wide_all(q->scale), rounder = csd_wide_all(CSD_ROUNDER);
    for (size_t d = 0; d < width; d += CSD_WIDE) {
        float shifted[CSD_WIDE];
        const size_t count = width - d < CSD_WIDE ? width - d : CSD_WIDE;
        const csd_wide x = count == CSD_WIDE ? csd_wide_load(r + d)
                                             : csd_wide_load_first(r + d, count);
        const csd_wide near = csd_wide_fma(x, inverse, rounder);
        const csd_wide code = csd_wide_sub(near, rounder);
        const csd_wide rest = csd_wide_fnma(scale, code, x);
        kept = csd_wide_fma(code, code, kept);
        left = csd_wide_fma(rest, rest, left);
        csd_wide_store(shifted, near); /* whose low byte is the code's */
        for (size_t i = 0; i < CSD_WIDE; i++)
            codes[d + i] = (uint8_t)(csd_bits(shifted[i]) + CSD_DOTS_OFFSET);
    }
    q->length = q->scale * sqrtf(csd_wide_total(kept)) * LONGER;
    q->apart = sqrtf(csd_wide_total(left)) * LONGER + 4.0f * UNIT * longest + 1e-17f;
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

/* S - E of `count` blocks from `at` on for `rows` queries, and in `least` of each query its S + E. */
CSD_INLINE void scan_blocks(float *scores, size_t score_step, csd_wide *least, const query *q,
                            const uint8_t *codes, size_t code_step, const block *blocks,
                            const int8_t *bytes, size_t at, size_t width, size_t rows,
                            size_t count, int tight) {
    csd_dots sums[CSD_DOTS_ROWS][CSD_DOTS_BLOCKS_OF_ONE];
    const size_t steps = tight ? 0 : steps_of(width);
    const size_t span = steps * STEP;
    const int8_t *from = bytes + at / GROUP * span + at % GROUP * (WORDS * 4u);
    CSD_UNROLL
    for (size_t i = 0; i < rows; i++)
        CSD_UNROLL
        for (size_t j = 0; j < count; j++)
            sums[i][j] = csd_dots_load(blocks[at + j].start);
    if (tight)
        add_tight(sums[0], codes, bytes + at / TIGHT * (group_bytes(width, 1) / 2u), width);
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
        const block *b = blocks + at + j;
        const csd_wide scale = csd_wide_load(b->scale), half = csd_wide_load(b->half);
        const csd_wide apart = csd_wide_load(b->apart), length = csd_wide_load(b->length);
        CSD_UNROLL
        for (size_t i = 0; i < rows; i++) {
            const csd_wide both = csd_wide_mul(csd_wide_all(q[i].scale), scale);
            const csd_wide s = csd_wide_fnma(both, csd_dots_floats(sums[i][j]), half);
            const csd_wide e = csd_wide_fma(csd_wide_all(q[i].apart), length,
                                            csd_wide_mul(csd_wide_all(q[i].length), apart));
            least[i] = csd_wide_min(csd_wide_add(s, e), least[i]);
            csd_wide_store(scores + i * score_step + (at + j) * WORDS, csd_wide_sub(s, e));
        }
    }
}

CSD_INLINE void scan(float *scores, size_t score_step, csd_wide *least, const query *q,
                     const uint8_t *codes, size_t code_step, const block *blocks,
                     const int8_t *bytes, size_t count, size_t width, size_t rows,
                     size_t together, int tight) {
    size_t at = 0;
    for (size_t i = 0; i < rows; i++)
        least[i] = csd_wide_all(FLT_MAX);
    for (; at + together <= count; at += together)
        scan_blocks(scores, score_step, least, q, codes, code_step, blocks, bytes, at, width, rows,
                    together, tight);
    for (; at < count; at += CSD_DOTS_BLOCKS)
        scan_blocks(scores, score_step, least, q, codes, code_step, blocks, bytes, at, width, rows,
                    CSD_DOTS_BLOCKS, 0);
}

/* |r - c|^2, summed in the order that is fastest. */
static float about(const float *r, const float *c, size_t width) {
    csd_wide sums[2] = {csd_wide_all(0.0f), csd_wide_all(0.0f)};
    size_t d = 0;
    for (; d + CSD_WIDE <= width; d += CSD_WIDE) {
        const csd_wide apart = csd_wide_sub(csd_wide_load(r + d), csd_wide_load(c + d));
        sums[d / CSD_WIDE & 1u] = csd_wide_fma(apart, apart, sums[d / CSD_WIDE & 1u]);
    }
    if (d < width) {
        const csd_wide apart = csd_wide_sub(csd_wide_load_first(r + d, width - d),
                                            csd_wide_load_first(c + d, width - d));
        sums[0] = csd_wide_fma(apart, apart, sums[0]);
    }
    return csd_wide_total(csd_wide_add(sums[0], sums[1]));
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

/* The index, or MOST_WORDS if too many are left for it. */
static uint32_t choose(const float *scores, csd_wide least, const query *q, size_t blocks,
                       const float *r, const float *book, size_t width) {
    const float relative = (float)(width + 4u) * (UNIT * 1.01f);
    float sums[CSD_WIDE], distances[MOST], bound = FLT_MAX;
    uint32_t left[MOST];
    size_t count = 0, kept = 0;
    csd_wide_store(sums, least);
    for (size_t i = 0; i < CSD_WIDE; i++)
        bound = sums[i] < bound ? sums[i] : bound;
    const float distance = q->square + 2.0f * bound;
    const float slack = relative * (distance > 0.0f ? distance : 0.0f) * 1.01f +
                        4.0f * UNIT * fabsf(bound) + 1e-30f;
    const csd_wide most = csd_wide_all(bound + slack);
    for (size_t b = 0; b < blocks; b++) {
        uint32_t near = csd_wide_at_most(csd_wide_load(scores + b * WORDS), most);
        for (; near != 0; near &= near - 1u) {
            if (count == MOST)
                return MOST_WORDS;
            left[count++] = (uint32_t)(b * WORDS) + (uint32_t)__builtin_ctz(near);
        }
    }
    if (count == 1)
        return left[0];
    float shortest = FLT_MAX;
    for (size_t i = 0; i < count; i++) {
        distances[i] = about(r, book + left[i] * width, width);
        shortest = distances[i] < shortest ? distances[i] : shortest;
    }
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

int CSD_FAST(residual_quantize)(const csd_args *args) {
    const csd_shape *shape = &args->in[CSD_RESIDUAL_QUANTIZE_FEATURE].shape;
    const uint32_t words = args->in[CSD_RESIDUAL_QUANTIZE_CODEBOOK].shape.dims[0];
    const float *x = args->in[CSD_RESIDUAL_QUANTIZE_FEATURE].data;
    const float *book = args->in[CSD_RESIDUAL_QUANTIZE_CODEBOOK].data;
    const size_t width = shape->dims[1], rows = shape->dims[0];
    const uint32_t bits = args->out[CSD_RESIDUAL_QUANTIZE_OUT_CODES].shape.dims[1];
    const prepared *head = args->prepared;
    if (head == NULL)
        return 0;
    const block *blocks = (const block *)(head + 1);
    const size_t count = groups_of(words) * GROUP;
    const int8_t *bytes = (const int8_t *)(blocks + count);
    float scores[MOST_WORDS];
    uint8_t codes[2u * MOST_WIDTH];
    const size_t code_step = (width + CSD_WIDE - 1u) / CSD_WIDE * CSD_WIDE;
    const int several = head->tight == 0 && CSD_DOTS_ROWS * code_step <= sizeof codes &&
                        CSD_DOTS_ROWS * count * WORDS <= MOST_WORDS;
    for (size_t row = 0; row < rows;) {
        query q[CSD_DOTS_ROWS];
        csd_wide least[CSD_DOTS_ROWS];
        size_t taken = 0;
        const size_t most = several && rows - row >= CSD_DOTS_ROWS ? CSD_DOTS_ROWS : 1u;
        for (; taken < most; taken++)
            if (!make_query(q + taken, codes + taken * code_step, x + (row + taken) * width, width,
                            head->longest))
                break;
        if (taken == 0) {
            general(args, row++, width, bits);
            continue;
        }
        if (taken == CSD_DOTS_ROWS) {
            scan(scores, count * WORDS, least, q, codes, code_step, blocks, bytes, count, width,
                 CSD_DOTS_ROWS, CSD_DOTS_BLOCKS, 0);
#ifdef CSD_HAS_FOURTHS
        } else if (head->tight != 0) {
            taken = 1;
            scan(scores, count * WORDS, least, q, codes, code_step, blocks, bytes, count, width, 1u,
                 TIGHT, 1);
#endif
        } else {
            taken = 1;
            scan(scores, count * WORDS, least, q, codes, code_step, blocks, bytes, count, width, 1u,
                 CSD_DOTS_BLOCKS_OF_ONE, 0);
        }
        for (size_t i = 0; i < taken; i++, row++) {
            const float *r = x + row * width;
            const uint32_t index = choose(scores + i * count * WORDS, least[i], q + i, count, r,
                                          book, width);
            if (index >= words)
                general(args, row, width, bits);
            else
                write_row(args, row, index, r, book + index * width, width, bits);
        }
    }
    return 1;
}
#endif
