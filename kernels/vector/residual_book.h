/* A codebook as residual_quantize.c scans it: bytes with a scale for each codeword, of sixteen
   dimensions in turn, those first in which the book has most; and what the bounds need to know. */
#ifndef CSIDEPLOY_RESIDUAL_BOOK_H
#define CSIDEPLOY_RESIDUAL_BOOK_H

#include <float.h>
#include <math.h>

#include "../fast.h"
#include "byte_dots.h"

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
   blocks, so that a scan reads few streams. Those that fill up the last group are never near. */
#define WORDS 16u
#define GROUP 16u
#define STEP (GROUP * WORDS * 4u)
#define TIGHT (GROUP / 2u) /* blocks of a tight group */
#define PIECE 16u /* dimensions that are ordered and rounded together */

/* c in the dimensions that are scanned: C is c as bytes there. */
typedef struct block {
    float scale[WORDS];   /* a */
    float half[WORDS];    /* |c|^2 / 2, of all dimensions */
    float apart[WORDS];   /* |c - C| */
    float length[WORDS];  /* |c|, of all dimensions */
    float beyond[WORDS];  /* |c| in those that are not scanned */
    int32_t start[WORDS]; /* takes CSD_DOTS_OFFSET off q */
} block;

/* The blocks of a scan of the first `near` dimensions follow, those of one of all unless that is the
   same, and the bytes. */
typedef struct codebook {
    float longest;  /* of |c| */
    uint32_t tight; /* four bytes in three */
    uint32_t near;
    uint8_t fill[52]; /* to a cache line */
    uint16_t order[MOST_WIDTH / PIECE];
} codebook;

static size_t groups_of(uint32_t words) { return (words + GROUP * WORDS - 1u) / (GROUP * WORDS); }
static size_t steps_of(size_t width) { return (width + 3u) / 4u; }
static size_t pieces_of(size_t width) { return (width + PIECE - 1u) / PIECE; }

/* Of a group of blocks; sixteen dimensions are four steps, or three that hold four. */
static size_t group_bytes(size_t width, int tight) {
    return tight ? pieces_of(width) * 3u * STEP : steps_of(width) * STEP;
}

/* How far behind the head the blocks of a scan of all dimensions are, and behind them the bytes. */
static size_t blocks_ahead(uint32_t words, size_t width, size_t near) {
    return near < width ? groups_of(words) * GROUP : 0;
}

static size_t book_bytes(uint32_t words, size_t width, size_t near, int tight) {
    const size_t blocks = groups_of(words) * GROUP + blocks_ahead(words, width, near);
    return sizeof(codebook) + blocks * sizeof(block) + groups_of(words) * group_bytes(width, tight);
}

static int takes(const float *c, size_t count) {
    float most = 0.0f;
    for (size_t i = 0; i < count; i++) {
        if (!(fabsf(c[i]) <= BIG))
            return 0;
        most = fabsf(c[i]) > most ? fabsf(c[i]) : most;
    }
    return most >= SMALL;
}

/* e to the power of x, or what grows like it, x being 0 or more. */
static double growth(double x) {
    double y = 1.0 + (x < 20.0 ? x : 20.0) / 16.0;
    for (int i = 0; i < 4; i++)
        y *= y;
    return y;
}

/* The order of pieces, and how many dimensions to scan.

   A dimension that is not scanned saves a byte a codeword and adds to the bounds, so that more
   codewords are left. How many: what the scan takes for a distance differs between codewords at
   random by about V = (1.5 sum of m^2)^(1/2), with m the mean square of each dimension; the nearest of
   a thousand is 3.2 V below the mean, where their number grows e-fold for each V / 3.2. So about
   exp(3.2 (2 E / V)) are left. As r is not known here it is taken to be like a codeword, but twice as
   large in what is not scanned. All this guesses at speed alone. */
static size_t choose_near(uint16_t *order, const float *c, size_t words, size_t width,
                          size_t rows) {
    /* Of reading one number of a codeword that is left, in bytes of the scan: those are read for each
       row, or for several at once. */
    const double reading = rows < CSD_DOTS_ROWS ? 8.0 : 24.0;
    double energy[MOST_WIDTH / PIECE] = {0.0}, total = 0.0, spread = 0.0, most = 0.0, beyond = 0.0;
    const size_t pieces = pieces_of(width), whole = width / PIECE;
    for (size_t w = 0; w < words; w++) {
        double peak = 0.0;
        for (size_t d = 0; d < width; d++) {
            const double square = (double)c[w * width + d] * (double)c[w * width + d];
            energy[d / PIECE] += square / (double)words;
            peak = square > peak ? square : peak;
        }
        most += peak / (double)words;
    }
    for (size_t p = 0; p < pieces; p++) {
        size_t at = p; /* one that is not whole stays the last */
        for (; p < whole && at > 0 && energy[p] > energy[order[at - 1u]]; at--)
            order[at] = order[at - 1u];
        order[at] = (uint16_t)p;
        total += energy[p];
        spread += energy[p] * energy[p] / (double)PIECE;
    }
    size_t near = width;
    double least = HUGE_VAL;
    for (size_t p = pieces; p > 0; beyond += energy[order[--p]]) {
        const double scanned = total > beyond ? total - beyond : 0.0;
        const double apart = sqrt(most * (double)(p * PIECE) / 12.0) / 127.0;
        const double e = 2.0 * sqrt(scanned) * apart + 2.0 * beyond;
        const double grown = growth(6.4 * e / sqrt(1.5 * spread));
        const double left = grown < (double)words ? grown : (double)words;
        const double cost = (double)(p * PIECE * words) + left * reading * (double)width;
        if (cost < least) {
            least = cost;
            near = p * PIECE < width ? p * PIECE : width;
        }
    }
    return near;
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

/* What the bounds know of c, as far as it is read. */
typedef struct tally {
    double apart, kept; /* squares of |c - C| and |C| */
    int32_t codes;
} tally;

static void write_word(block *to, size_t w, float scale, const tally *read, double length,
                       double beyond) {
    to->scale[w] = scale;
    to->half[w] = (float)(length / 2.0);
    to->apart[w] = (float)(sqrt(read->apart) + 8.0 * (double)UNIT * sqrt(read->kept)) * LONGER;
    to->length[w] = (float)sqrt(length) * LONGER;
    to->beyond[w] = (float)sqrt(beyond) * LONGER;
    to->start[w] = -CSD_DOTS_OFFSET * read->codes;
}

/* Word w of its block, in those of both scans, and its bytes. */
static void prepare_word(block *few, block *all, int8_t *bytes, size_t w, const float *c,
                         const codebook *of, size_t width) {
    const size_t step = of->tight ? STEP / 2u : STEP, steps = of->tight ? 3u : 4u;
    double length = 0.0, beyond = 0.0;
    float most = 0.0f;
    tally read = {0.0, 0.0, 0}, read_few = read;
    for (size_t d = 0; d < width; d++) {
        most = fabsf(c[d]) > most ? fabsf(c[d]) : most;
        length += (double)c[d] * (double)c[d];
    }
    const float scale = most >= FLT_MIN * 256.0f ? most / 127.0f : 0.0f;
    for (size_t p = 0; p < pieces_of(width); p++, bytes += steps * step) {
        const size_t from = of->order[p] * PIECE;
        const size_t count = width - from < PIECE ? width - from : PIECE;
        int8_t codes[PIECE];
        float x[PIECE] = {0.0f};
        if (p * PIECE == of->near)
            read_few = read;
        for (size_t i = 0; i < count && scale > 0.0f; i++)
            x[i] = c[from + i] / scale;
        for (size_t i = 0; i < PIECE; i++)
            codes[i] = (int8_t)rintf(x[i]);
        if (of->tight)
            tighten(codes, x);
        for (size_t i = 0; i < PIECE && (i < count || of->tight); i++) {
            if (i < steps * 4u)
                bytes[i / 4u * step + i % 4u] = codes[i];
            read.codes += codes[i];
            if (i >= count)
                continue; /* where the row is 0 */
            const double kept = (double)scale * (double)codes[i], exact = (double)c[from + i];
            read.kept += kept * kept;
            read.apart += (exact - kept) * (exact - kept);
            if (p * PIECE >= of->near)
                beyond += exact * exact;
        }
    }
    write_word(all, w, scale, &read, length, 0.0);
    if (few != all)
        write_word(few, w, scale, &read_few, length, beyond);
}

/* Whether rows come one by one only, and the bytes from beyond the nearest cache. */
static int is_tight(const csd_args *args, size_t near) {
#ifdef CSD_HAS_FOURTHS
    const csd_shape *book = &args->in[CSD_RESIDUAL_QUANTIZE_CODEBOOK].shape;
    return args->in[CSD_RESIDUAL_QUANTIZE_FEATURE].shape.dims[0] < CSD_DOTS_ROWS &&
           near == book->dims[1] && (size_t)book->dims[0] * near >= LEAST_TIGHT &&
           near <= MOST_TIGHT;
#else
    (void)args;
    (void)near;
    return 0;
#endif
}

size_t CSD_PREPARE(residual_quantize)(const csd_args *args, void *memory) {
    const csd_input *given = &args->in[CSD_RESIDUAL_QUANTIZE_CODEBOOK];
    const uint32_t words = given->shape.dims[0];
    const size_t width = given->shape.dims[1], groups = groups_of(words);
    const float *c = given->data;
    codebook made = {0};
    if (c == NULL || words > MOST_WORDS || width > MOST_WIDTH || words * width < LEAST_WORK ||
        !takes(c, words * width))
        return 0;
    made.near = (uint32_t)choose_near(made.order, c, words, width,
                                       args->in[CSD_RESIDUAL_QUANTIZE_FEATURE].shape.dims[0]);
    made.tight = (uint32_t)is_tight(args, made.near);
    const size_t needed = book_bytes(words, width, made.near, made.tight != 0);
    if (memory == NULL)
        return needed;
    if (made.tight)
        for (size_t p = 0; p < pieces_of(width); p++)
            made.order[p] = (uint16_t)p;
    memset(memory, 0, needed);
    codebook *head = memory;
    block *few = (block *)(head + 1), *all = few + blocks_ahead(words, width, made.near);
    int8_t *bytes = (int8_t *)(all + groups * GROUP);
    for (size_t w = 0; w < groups * GROUP * WORDS; w++) {
        block *own = all + w / WORDS, *own_few = few + w / WORDS;
        const size_t together = (made.tight ? TIGHT : GROUP) * WORDS;
        const size_t span = group_bytes(width, made.tight != 0) / (made.tight ? 2u : 1u);
        if (w >= words) {
            own->half[w % WORDS] = own_few->half[w % WORDS] = FLT_MAX;
            continue;
        }
        prepare_word(own_few, own, bytes + w / together * span + w % together * 4u, w % WORDS,
                     c + w * width, &made, width);
        if (own->length[w % WORDS] > made.longest)
            made.longest = own->length[w % WORDS];
    }
    *head = made;
    return needed;
}

#endif
