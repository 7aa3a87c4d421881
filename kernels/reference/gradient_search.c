/* effective (n, L, N, 2), targets (n, R, L, 2), step (n,) -> the bits that a gradient descent with
   a falling temperature finds, for each of R channel uses and M neural codebooks; export/operations.py
   has the semantics. What one descent needs is in the scratch; channel uses go in groups, so that
   the state of a group stays in the first caches and its rows share the weights that are read. */
#include <string.h>

#include "../products.h"
#include "../vectors.h"

#define MOST_UNITS 32u
#define MOST_WIDTH 512u
#define MOST_LAYERS 2u
#define GROUP 24u
#define SETTLED 5.9604645e-8f /* 2^-24 */
#define ALONE 128u /* the widest hidden layer that the caches hold */

/* A hidden layer as stored: forwards (inputs, width), backwards (width, inputs rounded up). */
typedef struct layer {
    const float *forward, *backward, *bias;
    float *values;  /* (GROUP, width), rectified */
    uint16_t *list; /* (GROUP, width + 16): what is above 0, and at `width` how many */
} layer;

/* A codebook, and the descents of a group over its bits. */
typedef struct unit {
    size_t antennas, bits, padded, hidden, features;
    layer layers[MOST_LAYERS];
    const float *out, *out_bias;
    const float *g; /* (outputs, features): from features to the residual */
    float *g_made, *gt;
    float *r, *q; /* (GROUP, padded) */
    /* Of one channel use alone: the bits that still move, and the first layer's sums of the rest. */
    uint16_t *live; /* (padded + 16) */
    size_t alive;
    float *base; /* (hidden) */
    size_t payload; /* where its bits begin */
} unit;

/* One problem: the units that share a residual. */
typedef struct problem {
    unit *units;
    size_t count, layers, outputs, padded;
    float *constant; /* (padded): the residual of no features */
    float *start, *e, *next; /* (GROUP, padded) */
    float *row[2];   /* (2 MOST_WIDTH) */
} problem;

static size_t round_up(size_t count) { return (count + CSD_WIDE - 1u) & ~(size_t)(CSD_WIDE - 1u); }

static float *take(float **at, size_t count) {
    float *taken = *at;
    *at += round_up(count);
    return taken;
}

/* A vector that straddles two cache lines costs two reads: weights that begin inside a line are
   copied to `room`, which is NULL for those that do not. */
static const float *place(const float **w, size_t count, float **room) {
    const float *at = *w;
    *w += count;
    if (*room == NULL)
        return at;
    float *copy = take(room, count);
    memcpy(copy, at, count * sizeof *copy);
    return copy;
}

/* Weights in the order in which they lie. */
static void read_unit(unit *u, const float **w, const int32_t *sizes, size_t layers, size_t block,
                      float **room) {
    u->antennas = (size_t)sizes[0];
    u->bits = (size_t)sizes[1];
    u->hidden = (size_t)sizes[2];
    u->padded = round_up(u->bits);
    u->features = layers > 0 ? u->hidden : u->padded;
    for (size_t k = 0; k < layers; k++) {
        const size_t inputs = k == 0 ? u->bits : u->hidden;
        u->layers[k].forward = place(w, inputs * u->hidden, room);
        if (k == 0 && block == 1u && u->hidden > ALONE)
            *w += round_up(inputs) * u->hidden; /* `pass` needs none */
        else
            u->layers[k].backward = place(w, round_up(inputs) * u->hidden, room);
        u->layers[k].bias = place(w, u->hidden, room);
    }
    u->out = place(w, 2u * u->antennas * u->features, room);
    u->out_bias = place(w, round_up(2u * u->antennas), room);
}

static void take_unit(unit *u, float **at, size_t layers, size_t outputs, size_t group,
                      int shared) {
    u->gt = take(at, u->features * round_up(outputs));
    u->g_made = shared ? take(at, outputs * u->features) : NULL;
    u->r = take(at, group * u->padded);
    u->q = take(at, group * u->padded);
    u->live = (uint16_t *)(void *)take(at, u->padded + CSD_WIDE);
    u->base = take(at, u->hidden);
    for (size_t k = 0; k < layers; k++) {
        u->layers[k].values = take(at, group * u->hidden);
        u->layers[k].list = (uint16_t *)(void *)take(at, group * (u->hidden + CSD_WIDE) / 2u);
    }
}

static void transpose(float *gt, const float *g, size_t outputs, size_t features) {
    const size_t padded = round_up(outputs);
    for (size_t j = 0; j < features; j++)
        for (size_t i = 0; i < padded; i++)
            gt[j * padded + i] = i < outputs ? g[i * features + j] : 0.0f;
}

/* G = C W_out in real numbers, and constant += C b_out; `c` points at the unit's column of row 0,
   rows are `step` numbers apart. */
static void project(problem *p, unit *u, const float *c, size_t step) {
    const size_t streams = p->outputs / 2u, width = 2u * u->antennas;
    float *row = p->row[0];
    for (size_t i = 0; i < p->outputs; i++) {
        const float *from = c + i % streams * step;
        for (size_t a = 0; a < u->antennas; a++) {
            const float re = from[2u * a], im = from[2u * a + 1u];
            row[a] = i < streams ? re : im;
            row[u->antennas + a] = i < streams ? -im : re;
        }
        CSD_KERNEL(weighted_sum)(u->g_made + i * u->features, NULL, row, NULL, width, u->out,
                                 u->features);
        for (size_t a = 0; a < width; a++)
            p->constant[i] = fmaf(row[a], u->out_bias[a], p->constant[i]);
    }
    u->g = u->g_made;
}

/* The residual that all features 0 leave, less the targets. */
static void begin(const problem *p, const float *targets, size_t step, size_t rows) {
    const size_t half = p->outputs / 2u;
    for (size_t t = 0; t < rows; t++) {
        float *start = p->start + t * p->padded;
        for (size_t i = 0; i < p->padded; i++)
            start[i] = p->constant[i];
        for (size_t i = 0; i < p->outputs; i++)
            start[i] -= targets[t * step + 2u * (i % half) + i / half];
    }
    for (size_t m = 0; m < p->count; m++) {
        unit *u = &p->units[m];
        for (size_t i = 0; i < rows * u->padded; i++) {
            u->r[i] = 0.0f;
            u->q[i] = 0.5f;
        }
        for (size_t b = 0; b < u->padded + CSD_WIDE; b++)
            u->live[b] = (uint16_t)(b < u->bits ? b : 0u);
        u->alive = u->bits;
        if (p->layers > 0)
            memcpy(u->base, u->layers[0].bias, u->hidden * sizeof *u->base);
    }
}

/* Does one channel use go alone, through weights that the caches do not hold? Then they are read
   once an iteration: see `pass`. */
static int is_alone(const problem *p, const unit *u, size_t rows) {
    return rows == 1u && p->layers > 0 && u->hidden > ALONE;
}

/* Features of one unit for all rows, and next e += G features; `made`: the sums of the first layer
   are there. */
static void forward(const problem *p, const unit *u, size_t rows, int made) {
    const float *x = u->q;
    size_t x_step = u->padded;
    for (size_t k = 0; k < p->layers; k++) {
        const layer *l = &u->layers[k];
        if (k == 0 && !made)
            CSD_KERNEL(multiply_rows)(l->values, u->hidden, l->bias, x, x_step, rows, u->bits,
                                      l->forward, u->hidden);
        for (size_t t = 0; t < rows; t++) {
            float *row = l->values + t * u->hidden;
            uint16_t *list = l->list + t * (u->hidden + CSD_WIDE);
            if (k > 0) {
                const uint16_t *before = u->layers[k - 1u].list + t * (u->hidden + CSD_WIDE);
                CSD_KERNEL(weighted_sum)(row, l->bias, x + t * x_step, before, before[u->hidden],
                                         l->forward, u->hidden);
            }
            list[u->hidden] = (uint16_t)CSD_KERNEL(rectify)(row, list, u->hidden);
        }
        x = l->values;
        x_step = u->hidden;
    }
    for (size_t t = 0; t < rows; t++) {
        const uint16_t *list = NULL;
        size_t count = u->bits;
        float *e = p->next + t * p->padded;
        if (p->layers > 0) {
            list = u->layers[p->layers - 1u].list + t * (u->hidden + CSD_WIDE);
            count = list[u->hidden];
        }
        CSD_KERNEL(weighted_sum)(p->row[0], NULL, x + t * x_step, list, count, u->gt, p->padded);
        for (size_t i = 0; i < p->padded; i++)
            e[i] += p->row[0][i];
    }
}

/* r -= coefficient q (1 - q) gradient, then q at the next temperature. */
static void move(float *r, float *q, const float *gradient, size_t padded, float coefficient,
                 float next) {
    const csd_wide c = csd_wide_all(coefficient), scale = csd_wide_all(next);
    for (size_t i = 0; i < padded; i += CSD_WIDE) {
        const csd_wide old = csd_wide_load(q + i), g = csd_wide_load(gradient + i);
        const csd_wide slope = csd_wide_mul(csd_wide_fnma(old, old, old), c);
        const csd_wide moved = csd_wide_fnma(slope, g, csd_wide_load(r + i));
        csd_wide_store(r + i, moved);
        csd_wide_store(q + i, csd_wide_logistic(csd_wide_mul(moved, scale)));
    }
}

/* A bit that moves no more, since q (1 - q) only falls from here on. */
static int is_settled(float q) { return fmaf(-q, q, q) < SETTLED; }

/* The first layer there and back for one channel use. A few rows at a time, one for each bit, are
   read for the gradient and then again for the sums of the next iteration. A settled bit is taken as
   0 or 1 from the next iteration on, and its row is not read any more. */
static void pass(unit *u, const float *gradient, float coefficient, float next) {
    const layer *l = &u->layers[0];
    const float *start = u->base;
    size_t kept = 0;
    for (size_t at = 0; at < u->alive; at += CSD_WIDE) {
        const uint16_t *index = u->live + at;
        const size_t count = u->alive - at < CSD_WIDE ? u->alive - at : CSD_WIDE;
        float r[CSD_WIDE] = {0}, q[CSD_WIDE] = {0}, slope[CSD_WIDE] = {0};
        CSD_KERNEL(inner_products)(slope, gradient, index, count, l->forward, u->hidden);
        for (size_t b = 0; b < count; b++) {
            r[b] = u->r[index[b]];
            q[b] = u->q[index[b]];
        }
        move(r, q, slope, CSD_WIDE, coefficient, next);
        for (size_t b = 0; b < count; b++) {
            u->r[index[b]] = r[b];
            u->q[index[b]] = q[b];
        }
        CSD_KERNEL(weighted_sum_far)(l->values, start, u->q, index, count, l->forward, u->hidden);
        start = l->values;
        for (size_t b = 0; b < count; b++) {
            const uint16_t bit = index[b];
            if (!is_settled(q[b]))
                u->live[kept++] = bit;
            else if (q[b] > 0.5f)
                CSD_KERNEL(weighted_sum)(u->base, u->base, u->q, &bit, 1, l->forward, u->hidden);
        }
    }
    if (u->alive == 0)
        memcpy(l->values, u->base, u->hidden * sizeof *u->base);
    u->alive = kept;
}

static void backward(const problem *p, unit *u, size_t rows, float coefficient, float next) {
    for (size_t t = 0; t < rows; t++) {
        float *gradient = p->row[0], *other = p->row[1];
        CSD_KERNEL(weighted_sum)(gradient, NULL, p->e + t * p->padded, NULL, p->outputs, u->g,
                                 u->features);
        for (size_t k = p->layers; k-- > 0;) {
            const layer *l = &u->layers[k];
            const uint16_t *list = l->list + t * (u->hidden + CSD_WIDE);
            if (k == 0 && is_alone(p, u, rows)) {
                for (size_t j = 0; j < u->hidden; j++)
                    gradient[j] = l->values[j] > 0.0f ? gradient[j] : 0.0f;
                pass(u, gradient, coefficient, next);
                return;
            }
            CSD_KERNEL(weighted_sum)(other, NULL, gradient, list, list[u->hidden], l->backward,
                                     k == 0 ? u->padded : u->hidden);
            float *swap = gradient;
            gradient = other;
            other = swap;
        }
        move(u->r + t * u->padded, u->q + t * u->padded, gradient, u->padded, coefficient, next);
    }
}

/* Units in order, in every second iteration backwards: what a unit has read for its gradient and its
   next features is then still in the second cache. */
static void descend(problem *p, size_t rows, float step, uint32_t iterations) {
    float inverse = 1.0f;
    memcpy(p->next, p->start, rows * p->padded * sizeof *p->next);
    for (size_t m = 0; m < p->count; m++)
        forward(p, &p->units[m], rows, 0);
    for (uint32_t i = 1; i <= iterations; i++) {
        /* 1 / tau of the next iteration. */
        const float next = csd_exp(5.0f * (float)i / (float)iterations);
        float *swap = p->e;
        p->e = p->next;
        p->next = swap;
        memcpy(p->next, p->start, rows * p->padded * sizeof *p->next);
        for (size_t k = 0; k < p->count; k++) {
            unit *u = &p->units[i % 2u == 0 ? k : p->count - 1u - k];
            backward(p, u, rows, 2.0f * step * inverse, -CSD_LOG2_E * next);
            if (i < iterations)
                forward(p, u, rows, is_alone(p, u, rows));
        }
        inverse = next;
    }
}

static void write_bits(const unit *u, uint8_t *payload, size_t first, size_t rows) {
    for (size_t t = 0; t < rows; t++)
        for (size_t b = 0; b < u->bits; b++) {
            const size_t at = (first + t) * u->bits + b;
            if (u->r[t * u->padded + b] > 0.0f)
                payload[at / 8u] |= (uint8_t)(0x80u >> at % 8u);
        }
}

static void search(problem *p, const float *targets, size_t target_step, size_t block,
                   float step, uint32_t iterations, uint8_t *payload) {
    for (size_t first = 0; first < block; first += GROUP) {
        const size_t rows = block - first < GROUP ? block - first : GROUP;
        begin(p, targets + first * target_step, target_step, rows);
        descend(p, rows, step, iterations);
        for (size_t m = 0; m < p->count; m++)
            write_bits(&p->units[m], payload + p->units[m].payload, first, rows);
    }
}

void CSD_KERNEL(gradient_search)(const csd_args *args) {
    const csd_input *effective = &args->in[CSD_GRADIENT_SEARCH_EFFECTIVE];
    const csd_input *targets = &args->in[CSD_GRADIENT_SEARCH_TARGETS];
    const csd_input *weights = &args->in[CSD_GRADIENT_SEARCH_WEIGHTS];
    const csd_input *sizes = &args->in[CSD_GRADIENT_SEARCH_SIZES];
    const csd_output *scratch = &args->out[CSD_GRADIENT_SEARCH_OUT_SCRATCH];
    const size_t layers = args->params[CSD_GRADIENT_SEARCH_P_LAYERS].u;
    const uint32_t iterations = args->params[CSD_GRADIENT_SEARCH_P_ITERATIONS].u;
    const size_t units = sizes->shape.dims[0], block = targets->shape.dims[1];
    const size_t width = 2u * (size_t)targets->shape.dims[2]; /* numbers of a channel use */
    const size_t bytes = args->out[0].shape.dims[1];
    const size_t group = block < GROUP ? block : GROUP;
    const int shared = effective->data != NULL;
    unit all[MOST_UNITS];
    problem p = {all, units, layers, width, round_up(width), NULL, NULL, NULL, NULL, {NULL, NULL}};

    float *at = scratch->data;
    at += (0u - (uintptr_t)at) % CSD_WIDE_BYTES / sizeof *at;
    const float *w = weights->data;
    const int whole = (uintptr_t)w % CSD_WIDE_BYTES == 0;
    p.constant = take(&at, p.padded);
    p.start = take(&at, group * p.padded);
    p.e = take(&at, group * p.padded);
    p.next = take(&at, group * p.padded);
    /* As wide as a hidden layer or the numbers of one unit's antennas. */
    p.row[0] = take(&at, 2u * MOST_WIDTH);
    p.row[1] = take(&at, 2u * MOST_WIDTH);
    size_t payload_at = 0;
    for (size_t m = 0; m < units; m++) {
        unit *u = &all[m];
        float *none = NULL;
        read_unit(u, &w, (const int32_t *)sizes->data + 3u * m, layers, block,
                  whole ? &none : &at);
        take_unit(u, &at, layers, shared ? width : 2u * u->antennas, group, shared);
        u->payload = payload_at;
        payload_at += (block * u->bits + 7u) / 8u;
    }

    const float *c = effective->data, *d = targets->data;
    const float *steps = args->in[CSD_GRADIENT_SEARCH_STEP].data;
    uint8_t *payload = args->out[0].data;
    memset(payload, 0, args->out[0].shape.dims[0] * bytes);
    for (uint32_t n = 0; n < targets->shape.dims[0]; n++, payload += bytes, d += block * width) {
        if (shared) {
            const size_t row = 2u * (size_t)effective->shape.dims[2];
            size_t column = 0;
            memset(p.constant, 0, p.padded * sizeof *p.constant);
            for (size_t m = 0; m < units; m++) {
                project(&p, &all[m], c + column, row);
                transpose(all[m].gt, all[m].g, width, all[m].features);
                column += 2u * all[m].antennas;
            }
            c += row * (width / 2u);
            search(&p, d, width, block, steps[n], iterations, payload);
            continue;
        }
        size_t column = 0;
        for (size_t m = 0; m < units; m++) {
            unit *u = &all[m];
            p.units = u;
            p.count = 1;
            p.outputs = 2u * u->antennas;
            p.padded = round_up(p.outputs);
            u->g = u->out;
            memcpy(p.constant, u->out_bias, p.padded * sizeof *p.constant);
            transpose(u->gt, u->g, p.outputs, u->features);
            search(&p, d + column, width, block, steps[n], iterations, payload);
            column += 2u * u->antennas;
        }
    }
    /* What a bundle computes depends on its inputs alone, whoever reads the scratch. */
    memset(scratch->data, 0, scratch->shape.dims[0] * sizeof(float));
}
