/* effective C (n, L, N, 2), targets d (n, R, L, 2) -> payload: the codewords whose sum C x is near
   d, by RUs in turn or by all combinations; export/operations.py says in which order of operations.

   Channel uses of a block go in tiles of 32, number k of all of them side by side: so the innermost
   loops have a fixed length, and no sum is reordered. A few that are left over go one by one, in the
   same order of operations. An index is kept as a double, so that what is compared and what is
   chosen have one width. */
#include <math.h>
#include <string.h>

#include "../fronthaul.h"

#define TILE 32u
#define SPARSE 6u /* so few channel uses change one by one, */
#define FEW 8u    /* and all where there are more codewords */

typedef struct search {
    const int32_t *rus;
    uint32_t count;               /* M */
    uint32_t words[CSD_MOST_RUS]; /* 2^B_m */
    size_t parts;                 /* 2 L */
    /* Of all RUs, one after the other; in the scratch. */
    double *halves;   /* h_mb: (2^B_m) */
    double *products; /* P_mb: (2 L, 2^B_m) */
    /* Of a tile, in the scratch; the last axis is the tile. */
    double *residual, *next, *others; /* (2 L) each */
    double *held;                     /* (M, 2 L): x_m, or r_m */
    double *chosen;                   /* (M); -1 before the first visit */
    /* Of a block. */
    uint32_t members[CSD_MOST_RUS]; /* of each class, a bit an RU */
    uint32_t classes;
} search;

/* The lowest index of the least cost, in `at`; `base`, or NULL, is added to each cost, and the first
   codeword has number `from`. Sums of this fixed length stay in registers. */
static inline void find_in_tile(double *restrict least, double *restrict at, const double *o,
                                const double *products, const double *halves, uint32_t words,
                                size_t parts, const double *base, double from) {
    double best[TILE], index[TILE];
    for (size_t i = 0; i < TILE; i++) {
        best[i] = least[i];
        index[i] = at[i];
    }
    for (uint32_t b = 0; b < words; b++) {
        const double half = halves[b], number = from + (double)b;
        const double *p = products + b, *x = o;
        double sums[TILE];
        for (size_t i = 0; i < TILE; i++)
            sums[i] = half;
        for (size_t k = 0; k < parts; k++) {
            const double factor = *p;
            for (size_t i = 0; i < TILE; i++)
                sums[i] += x[i] * factor;
            p += words;
            x += TILE;
        }
        for (size_t i = 0; i < TILE; i++) {
            const double cost = base == NULL ? sums[i] : base[i] + sums[i];
            const int less = cost < best[i];
            index[i] = less ? number : index[i];
            best[i] = less ? cost : best[i];
        }
    }
    for (size_t i = 0; i < TILE; i++) {
        least[i] = best[i];
        at[i] = index[i];
    }
}

/* The same for one channel use; two sums at a time, as one alone would wait for each addition. */
static void find_in_one(double *least, double *at, const double *o, const double *products,
                        const double *halves, uint32_t words, size_t parts, const double *base,
                        double from) {
    for (uint32_t b = 0; b < words; b += 2) {
        double sums[2] = {halves[b], halves[b + 1u]};
        for (size_t k = 0; k < parts; k++) {
            sums[0] += o[k] * products[k * words + b];
            sums[1] += o[k] * products[k * words + b + 1u];
        }
        for (uint32_t j = 0; j < 2; j++) {
            const double cost = base == NULL ? sums[j] : *base + sums[j];
            if (cost < *least) {
                *least = cost;
                *at = from + (double)(b + j);
            }
        }
    }
}

static void find(const search *s, uint32_t m, size_t lanes, double *least, double *at,
                 const double *o, const double *products, const double *halves,
                 const double *base, double from) {
    if (lanes == 1)
        find_in_one(least, at, o, products, halves, s->words[m], s->parts, base, from);
    else if (base == NULL)
        find_in_tile(least, at, o, products, halves, s->words[m], s->parts, NULL, from);
    else
        find_in_tile(least, at, o, products, halves, s->words[m], s->parts, base, from);
}

/* x_m of all channel uses of a tile becomes the codeword number at[i], and joins the residual: of few
   codewords by a choice among all, which needs no loads one by one. */
static void update_tile(double *restrict next, double *restrict held, const double *at,
                        const double *products, uint32_t words, size_t parts) {
    for (size_t k = 0; k < parts; k++) {
        double fresh[TILE];
        for (size_t i = 0; i < TILE; i++)
            fresh[i] = products[0];
        for (uint32_t b = 1; b < words; b++) {
            const double number = b, other = products[b];
            for (size_t i = 0; i < TILE; i++)
                fresh[i] = at[i] == number ? other : fresh[i];
        }
        for (size_t i = 0; i < TILE; i++) {
            next[i] += fresh[i] - held[i];
            held[i] = fresh[i];
        }
        products += words;
        next += TILE;
        held += TILE;
    }
}

/* The same for one channel use; numbers of its column are `lanes` apart. */
static void update_one(double *next, double *held, size_t lanes, const double *codeword,
                       uint32_t words, size_t parts) {
    for (size_t k = 0; k < parts; k++) {
        const double fresh = codeword[k * words];
        next[k * lanes] += fresh - held[k * lanes];
        held[k * lanes] = fresh;
    }
}

/* One RU chooses against the residual without its own part; 0 if nothing changes. */
static int visit(const search *s, uint32_t m, size_t lanes, const double *products,
                 const double *halves) {
    const size_t size = s->parts * lanes;
    double *held = s->held + m * size, *chosen = s->chosen + m * lanes;
    double least[TILE], at[TILE];
    uint32_t moved[TILE], count = 0;
    for (size_t i = 0; i < size; i++)
        s->others[i] = s->residual[i] - held[i];
    for (size_t i = 0; i < lanes; i++) {
        least[i] = HUGE_VAL;
        at[i] = 0.0;
    }
    find(s, m, lanes, least, at, s->others, products, halves, NULL, 0.0);
    for (uint32_t i = 0; i < lanes; i++) {
        moved[count] = i;
        count += at[i] != chosen[i];
        chosen[i] = at[i];
    }
    /* The same codeword changes no sum: r + (x - x) is r. */
    if (count > SPARSE && s->words[m] <= FEW)
        update_tile(s->next, held, at, products, s->words[m], s->parts);
    else
        for (uint32_t j = 0; j < count; j++)
            update_one(s->next + moved[j], held + moved[j], lanes,
                       products + (size_t)at[moved[j]], s->words[m], s->parts);
    return count > 0;
}

/* After as many iterations as there are classes without a change there is none any more. */
static void take_turns(const search *s, size_t lanes, uint32_t iterations) {
    const size_t size = s->parts * lanes;
    memset(s->held, 0, s->count * size * sizeof *s->held);
    for (size_t i = 0; i < s->count * lanes; i++)
        s->chosen[i] = -1.0;
    memcpy(s->next, s->residual, size * sizeof *s->next);
    uint32_t still = 0;
    for (uint32_t t = 0; t < iterations && still < s->classes; t++) {
        const uint32_t members = s->members[t % s->classes];
        const double *products = s->products, *halves = s->halves;
        int moved = 0;
        for (uint32_t m = 0; m < s->count; m++) {
            if (members >> m & 1u)
                moved |= visit(s, m, lanes, products, halves);
            products += s->words[m] * s->parts;
            halves += s->words[m];
        }
        still = moved ? 0 : still + 1u;
        memcpy(s->residual, s->next, size * sizeof *s->next);
    }
}

/* r_(m+1) = r_m + P_mb. */
static void descend(const search *s, uint32_t m, size_t lanes, const double *products,
                    uint32_t b) {
    const double *held = s->held + m * s->parts * lanes;
    double *below = s->held + (m + 1u) * s->parts * lanes;
    for (size_t k = 0; k < s->parts; k++) {
        const double number = products[k * s->words[m] + b];
        for (size_t i = 0; i < lanes; i++)
            below[k * lanes + i] = held[k * lanes + i] + number;
    }
}

static void try_all(const search *s, size_t lanes) {
    const size_t size = s->parts * lanes;
    const uint32_t last = s->count - 1u;
    const double *products[CSD_MOST_RUS], *halves = s->halves;
    uint32_t index[CSD_MOST_RUS];
    double least[TILE], at[TILE], base[TILE], from = 0.0;
    products[0] = s->products;
    for (uint32_t m = 0; m < last; m++) {
        products[m + 1u] = products[m] + s->words[m] * s->parts;
        halves += s->words[m];
        index[m] = 0;
    }
    for (size_t i = 0; i < lanes; i++) {
        least[i] = HUGE_VAL;
        at[i] = 0.0;
    }
    memcpy(s->held, s->residual, size * sizeof *s->held);
    const double *r = s->held + last * size;
    for (uint32_t changed = 0;;) {
        for (uint32_t m = changed; m < last; m++)
            descend(s, m, lanes, products[m], index[m]);
        for (size_t i = 0; i < lanes; i++)
            base[i] = 0.0;
        for (size_t k = 0; k < s->parts; k++)
            for (size_t i = 0; i < lanes; i++)
                base[i] += r[k * lanes + i] * r[k * lanes + i];
        for (size_t i = 0; i < lanes; i++)
            base[i] *= 0.5;
        find(s, last, lanes, least, at, r, products[last], halves, base, from);
        from += (double)s->words[last];
        changed = last;
        while (changed > 0 && ++index[changed - 1u] == s->words[changed - 1u])
            index[--changed] = 0;
        if (changed-- == 0)
            break;
    }
    for (size_t i = 0; i < lanes; i++) {
        uint32_t joint = (uint32_t)at[i];
        for (uint32_t m = s->count; m-- > 0; joint >>= csd_ru_bits(s->rus, m))
            s->chosen[m * lanes + i] = (double)(joint & (s->words[m] - 1u));
    }
}

/* P_mb and h_mb of a block; products of floats are exact in doubles, fused or not. */
static void multiply(const search *s, const float *effective, size_t antennas,
                     const float *table) {
    double *products = s->products, *halves = s->halves;
    for (uint32_t m = 0; m < s->count; m++) {
        const size_t own = csd_ru_antennas(s->rus, m), words = s->words[m];
        for (size_t k = 0; k < s->parts; k += 2) {
            const float *c = effective + k * antennas;
            double *re = products + k * words, *im = re + words;
            for (size_t b = 0; b < words; b++) {
                const float *x = table + 2u * b * own;
                double sum_re = 0.0, sum_im = 0.0;
                for (size_t a = 0; a < 2u * own; a += 2) {
                    sum_re += (double)c[a] * x[a] - (double)c[a + 1u] * x[a + 1u];
                    sum_im += (double)c[a] * x[a + 1u] + (double)c[a + 1u] * x[a];
                }
                re[b] = sum_re;
                im[b] = sum_im;
            }
        }
        for (size_t b = 0; b < words; b++) {
            double sum = 0.0;
            for (size_t k = 0; k < s->parts; k++)
                sum += products[k * words + b] * products[k * words + b];
            halves[b] = 0.5 * sum;
        }
        effective += 2u * own;
        table += 2u * own * words;
        products += s->parts * words;
        halves += words;
    }
}

static void set_classes(search *s, const int32_t *classes) {
    memset(s->members, 0, sizeof s->members);
    s->classes = 1;
    for (uint32_t m = 0; m < s->count; m++) {
        uint32_t class = classes == NULL ? m : (uint32_t)classes[m];
        if (class >= s->count)
            class = 0;
        s->members[class] |= 1u << m;
        if (class >= s->classes)
            s->classes = class + 1u;
    }
}

/* Behind the last channel use a tile holds zeros. */
static void fill(const search *s, const float *targets, uint32_t count, size_t lanes) {
    for (size_t i = 0; i < lanes; i++)
        for (size_t k = 0; k < s->parts; k++)
            s->residual[k * lanes + i] = i < count ? -(double)targets[i * s->parts + k] : 0.0;
}

static void write(const search *s, uint8_t *stream, uint32_t uses, uint32_t first, uint32_t count,
                  size_t lanes) {
    for (uint32_t m = 0; m < s->count; m++) {
        const uint32_t bits = csd_ru_bits(s->rus, m);
        for (uint32_t i = 0; i < count; i++) {
            const double index = s->chosen[m * lanes + i];
            csd_put_index(stream, first + i, bits, index > 0.0 ? (uint32_t)index : 0u);
        }
        stream += csd_stream_bytes(uses, bits);
    }
}

/* All of the scratch gets a value, so that it depends on the inputs alone as well. */
static void prepare(search *s, const csd_input *list, double *scratch) {
    size_t words = 0;
    s->rus = list->data;
    s->count = list->shape.dims[0];
    for (uint32_t m = 0; m < s->count; m++) {
        s->words[m] = 1u << csd_ru_bits(s->rus, m);
        words += s->words[m];
    }
    const size_t tile = s->parts * TILE;
    s->halves = scratch;
    s->products = s->halves + words;
    s->residual = s->products + words * s->parts;
    s->next = s->residual + tile;
    s->others = s->next + tile;
    s->held = s->others + tile;
    s->chosen = s->held + s->count * tile;
    memset(s->residual, 0, ((s->count + 3u) * tile + s->count * TILE) * sizeof *s->residual);
}

void CSD_KERNEL(table_search)(const csd_args *args) {
    const csd_shape *shape = &args->in[CSD_TABLE_SEARCH_EFFECTIVE].shape;
    const float *effective = args->in[CSD_TABLE_SEARCH_EFFECTIVE].data;
    const float *targets = args->in[CSD_TABLE_SEARCH_TARGETS].data;
    const int32_t *classes = args->in[CSD_TABLE_SEARCH_CLASSES].data;
    const uint32_t uses = args->in[CSD_TABLE_SEARCH_TARGETS].shape.dims[1];
    const csd_shape *out = &args->out[CSD_TABLE_SEARCH_OUT_PAYLOAD].shape;
    uint8_t *payload = args->out[CSD_TABLE_SEARCH_OUT_PAYLOAD].data;
    search s;
    s.parts = 2u * (size_t)shape->dims[1];
    prepare(&s, &args->in[CSD_TABLE_SEARCH_RUS], args->out[CSD_TABLE_SEARCH_OUT_SCRATCH].data);
    memset(payload, 0, csd_size(out));
    for (uint32_t n = 0; n < shape->dims[0]; n++) {
        multiply(&s, effective, shape->dims[2], args->in[CSD_TABLE_SEARCH_TABLES].data);
        set_classes(&s, classes);
        for (uint32_t r = 0, count; r < uses; r += count) {
            const uint32_t left = uses - r;
            const size_t lanes = left > TILE / 3u ? TILE : 1u;
            count = lanes == 1u ? 1u : left < TILE ? left : TILE;
            fill(&s, targets + r * s.parts, count, lanes);
            if (args->params[CSD_TABLE_SEARCH_P_FUNCTION].u == CSD_SEARCH_EXHAUSTIVE)
                try_all(&s, lanes);
            else
                take_turns(&s, lanes, args->params[CSD_TABLE_SEARCH_P_ITERATIONS].u);
            write(&s, payload, uses, r, count, lanes);
        }
        effective += s.parts * shape->dims[2];
        targets += uses * s.parts;
        payload += out->dims[1];
        classes = classes == NULL ? NULL : classes + s.count;
    }
}
