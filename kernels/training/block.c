/* kernels/training/block.h, by tiles of kernels/vector/conv_rows.h. */
#include "block.h"

#include "../kernels.h"
#include "../vectors.h"

/* Nothing else computes these sums, so they need not be the same bits everywhere: a product and its
   sum are rounded once where the processor has that. */
#if defined(CSD_HAS_AVX512) || defined(CSD_HAS_AVX2) || defined(CSD_HAS_NEON)
#define CSD_ADD_PRODUCT(sum, a, b) csd_wide_fma(a, b, sum)
#endif
#include "gradients.h"

/* Rows of planes are narrow, 32 columns and no more, or have zeros beside them. */
enum {
    SIDE = CSD_BLOCK_SIDE,
    MARGIN = CSD_WIDE,
    PITCH = SIDE + MARGIN,
    PADDED = SIDE * PITCH,
    PADDED_PAIR = 2 * PADDED + MARGIN,
    BORDER = 4, /* rows above and below dy, as many as a tap of project sees */
    HIGH = (SIDE + 2 * BORDER) * SIDE
};

static const csd_planes narrow = {0, SIDE, CSD_BLOCK_PLANE, 0};
static const csd_planes padded = {MARGIN, PITCH, PADDED, 0};
static const csd_planes high = {0, SIDE, HIGH, 0};

#define LINES __attribute__((aligned(64)))

/* The planes of a group. */
typedef struct room {
    float x[PADDED_PAIR] LINES;
    float v[PADDED_PAIR] LINES;
    float m[PADDED_PAIR] LINES; /* then du */
    float u[CSD_BLOCK_IMAGE] LINES;
    float t[CSD_BLOCK_IMAGE] LINES;
} room;

typedef struct backward_room {
    room planes;
    float dt[PADDED_PAIR] LINES;
    float dy[2 * HIGH] LINES;
    float dx[CSD_BLOCK_IMAGE] LINES;
} backward_room;

#define CONVOLUTION(name, kh, kw)                                                                  \
    static __attribute__((noinline)) void name(const csd_rows *t) {                                \
        for (size_t row = 0; row < SIDE; row += CSD_TILE_ROWS)                                     \
            for (size_t column = 0; column < SIDE; column += CSD_TILE_COLUMNS)                     \
                csd_make_tile(t, row, column, 0, kh, kw, CSD_TILE_ROWS, 2, 1);                     \
    }
CONVOLUTION(run_line, 1, 9)
CONVOLUTION(run_square, 7, 7)
CONVOLUTION(run_column, 9, 1)

static const float no_bias[2] = {0.0f, 0.0f}, no_slope[2] = {1.0f, 1.0f};

/* Without a bias the sums go on from y. */
static csd_rows rows_of(const float *x, csd_planes in, csd_taps taps, const float *weight,
                        const float *bias, float *y, csd_planes out) {
    const csd_rows rows = {.x = x + in.margin - taps.left,
                           .in = in,
                           .channels = 2,
                           .taps = taps,
                           .weight = weight,
                           .bias = bias,
                           .slope = no_slope,
                           .y = y + out.margin,
                           .out = out,
                           .outputs = 2,
                           .height = SIDE,
                           .columns = SIDE};
    return rows;
}

static const csd_taps line = {1, 9, 0, 4}, square = {7, 7, 3, 3}, column = {9, 1, 4, 0};

/* code(p) as block.h has it, before the step: clamp(q). NaN stays. */
CSD_INLINE csd_wide clamped(csd_wide q) {
    const csd_wide low = csd_wide_all(CSD_BLOCK_LOWEST), high_code = csd_wide_all(CSD_BLOCK_HIGHEST);
    return csd_wide_min(high_code, csd_wide_max(low, q));
}
CSD_INLINE csd_wide rounded(csd_wide q) {
    const csd_wide rounder = csd_wide_all(CSD_ROUNDER);
    return csd_wide_sub(csd_wide_add(q, rounder), rounder);
}

/* to = prelu(from), then codes where there is a step. */
CSD_INLINE void activate(const float *from, const float *slope, const float *step, float *to) {
    for (size_t c = 0; c < 2u; c++) {
        const csd_wide a = csd_wide_all(slope[c]);
        const csd_wide s = csd_wide_all(step ? step[c] : 1.0f);
        for (size_t row = 0; row < SIDE; row++) {
            float *y = to + MARGIN + c * PADDED + row * PITCH;
            CSD_UNROLL
            for (size_t i = 0; i < SIDE; i += CSD_WIDE, from += CSD_WIDE) {
                csd_wide p = csd_wide_rectify(csd_wide_load(from), a);
                if (step != NULL)
                    p = csd_wide_mul(s, rounded(clamped(csd_wide_div(p, s))));
                csd_wide_store(y + i, p);
            }
        }
    }
}

/* The way back: d becomes the gradient of what was activated. Adds the gradients of bias, slope and
   step. At 0 the slope counts, as in torch. */
CSD_INLINE void go_back(const float *from, const float *slope, const float *step, float *d,
                        float *bias_gradient, float *slope_gradient, float *step_gradient) {
    const csd_wide zero = csd_wide_all(0.0f);
    for (size_t c = 0; c < 2u; c++) {
        const csd_wide a = csd_wide_all(slope[c]);
        const csd_wide s = csd_wide_all(step ? step[c] : 1.0f);
        csd_wide sum = zero, slopes = zero, steps = zero;
        for (size_t row = 0; row < SIDE; row++) {
            float *y = d + MARGIN + c * PADDED + row * PITCH;
            CSD_UNROLL
            for (size_t i = 0; i < SIDE; i += CSD_WIDE, from += CSD_WIDE) {
                const csd_wide u = csd_wide_load(from);
                csd_wide back = csd_wide_load(y + i);
                if (step != NULL) {
                    const csd_wide q = csd_wide_div(csd_wide_rectify(u, a), s), cut = clamped(q);
                    /* rint(q) - q inside; a limit is its own rint. */
                    steps = CSD_ADD_PRODUCT(steps, back, csd_wide_sub(rounded(cut), cut));
                    const csd_wide beyond = csd_wide_mul(back, cut);
                    const csd_wide below = csd_wide_if_below(q, cut, beyond, zero);
                    steps = csd_wide_add(steps, csd_wide_if_below(cut, q, beyond, below));
                    back = csd_wide_if_below(q, cut, zero, csd_wide_if_below(cut, q, zero, back));
                }
                const csd_wide taken = csd_wide_if_below(zero, u, zero, csd_wide_mul(back, u));
                back = csd_wide_if_below(zero, u, back, csd_wide_mul(a, back));
                sum = csd_wide_add(sum, back);
                slopes = csd_wide_add(slopes, taken);
                csd_wide_store(y + i, back);
            }
        }
        bias_gradient[c] += csd_wide_total(sum);
        slope_gradient[c] += csd_wide_total(slopes);
        if (step != NULL)
            step_gradient[c] += csd_wide_total(steps);
    }
}

static void clear(float *planes) { memset(planes, 0, PADDED_PAIR * sizeof *planes); }

static void clear_room(room *r) {
    clear(r->x);
    clear(r->v);
    clear(r->m);
}

static void pad(float *to, const float *image) {
    for (size_t c = 0; c < 2u; c++)
        for (size_t row = 0; row < SIDE; row++, image += SIDE)
            memcpy(to + MARGIN + c * PADDED + row * PITCH, image, SIDE * sizeof *image);
}

/* u, v, t and m of a group. */
static void compute_group(room *r, const csd_block_group *g, const csd_block_weights *w,
                          int coded) {
    const csd_rows expand = rows_of(r->x, padded, line, w->expand, g->expand_bias, r->u, narrow);
    const csd_rows middle = rows_of(r->v, padded, square, w->middle, g->middle_bias, r->t, narrow);
    run_line(&expand);
    if (coded)
        activate(r->u, g->expand_slope, g->step, r->v);
    else
        activate(r->u, g->expand_slope, NULL, r->v);
    run_square(&middle);
    activate(r->t, g->middle_slope, NULL, r->m);
}

static void forward(const csd_block_job *job, const float *x, float *y, size_t samples) {
    room r;
    clear_room(&r);
    for (size_t n = 0; n < samples; n++, x += CSD_BLOCK_IMAGE, y += CSD_BLOCK_IMAGE) {
        pad(r.x, x);
        for (size_t i = 0; i < CSD_BLOCK_IMAGE; i++)
            y[i] = x[i] + job->project_bias[i / CSD_BLOCK_PLANE];
        for (size_t g = 0; g < job->groups; g++) {
            const csd_block_weights *w = job->weights + g;
            const csd_rows project = rows_of(r.m, padded, column, w->project, NULL, y, narrow);
            compute_group(&r, job->group + g, w, job->coded);
            run_column(&project);
        }
    }
}

/* One group's gradients; adds to dx. */
static void go_back_group(backward_room *b, const csd_block_group *g, const csd_block_weights *w,
                          csd_block_group *to, int coded) {
    room *r = &b->planes;
    const float *dy = b->dy + BORDER * SIDE;
    float *du = r->m;
    const csd_rows project =
        rows_of(dy, high, column, w->project_turned, no_bias, b->dt, padded);
    const csd_rows middle = rows_of(b->dt, padded, square, w->middle_turned, no_bias, du, padded);
    const csd_rows expand = rows_of(du, padded, line, w->expand_turned, NULL, b->dx, narrow);
    const csd_pair x = {r->x + MARGIN - 4, PITCH, PADDED}, v = {r->v + MARGIN, PITCH, PADDED};
    const csd_pair from_m = {r->m + MARGIN, PITCH, PADDED}, from_du = {du + MARGIN, PITCH, PADDED};
    const csd_pair from_dt = {b->dt + MARGIN, PITCH, PADDED};
    /* Tap k of project reads m's row r + k - 4 for y's row r: here dy moves. */
    const csd_pair moved = {dy + 4 * SIDE, SIDE, HIGH};

    compute_group(r, g, w, coded);
    csd_line_gradient(to->project, 9, 18, from_m, moved, -SIDE);
    run_column(&project);
    go_back(r->t, g->middle_slope, NULL, b->dt, to->middle_bias, to->middle_slope, NULL);
    csd_square_gradient(to->middle, from_dt, v);
    run_square(&middle);
    if (coded)
        go_back(r->u, g->expand_slope, g->step, du, to->expand_bias, to->expand_slope, to->step);
    else
        go_back(r->u, g->expand_slope, NULL, du, to->expand_bias, to->expand_slope, NULL);
    csd_line_gradient(to->expand, 18, 9, from_du, x, 1);
    run_line(&expand);
}

static void backward(const csd_block_job *job, const float *x, const float *dy, float *dx,
                     csd_block_group *gradient, float *project_bias, size_t samples) {
    backward_room b;
    clear_room(&b.planes);
    clear(b.dt);
    memset(b.dy, 0, sizeof b.dy);
    for (size_t n = 0; n < samples; n++) {
        pad(b.planes.x, x + n * CSD_BLOCK_IMAGE);
        for (size_t c = 0; c < 2u; c++) {
            const float *back = dy + n * CSD_BLOCK_IMAGE + c * CSD_BLOCK_PLANE;
            csd_wide sum = csd_wide_all(0.0f);
            for (size_t i = 0; i < CSD_BLOCK_PLANE; i += CSD_WIDE)
                sum = csd_wide_add(sum, csd_wide_load(back + i));
            project_bias[c] += csd_wide_total(sum);
            memcpy(b.dy + c * HIGH + BORDER * SIDE, back, CSD_BLOCK_PLANE * sizeof *back);
        }
        memcpy(b.dx, dy + n * CSD_BLOCK_IMAGE, sizeof b.dx);
        for (size_t g = 0; g < job->groups; g++)
            go_back_group(&b, job->group + g, job->weights + g, gradient + g, job->coded);
        memcpy(dx + n * CSD_BLOCK_IMAGE, b.dx, sizeof b.dx);
    }
}

/* (output, input, tap) -> (input, tap, output), and turned. */
static void arrange_taps(float *to, float *turned, const float *weight, size_t taps) {
    for (size_t o = 0; o < 2u; o++)
        for (size_t c = 0; c < 2u; c++)
            for (size_t k = 0; k < taps; k++) {
                to[(c * taps + k) * 2u + o] = weight[(o * 2u + c) * taps + k];
                turned[(o * taps + k) * 2u + c] = weight[(o * 2u + c) * taps + taps - 1u - k];
            }
}

static void arrange(csd_block_weights *to, const csd_block_group *group, size_t groups) {
    for (size_t g = 0; g < groups; g++, to++, group++) {
        arrange_taps(to->expand, to->expand_turned, group->expand, CSD_BLOCK_LINE);
        arrange_taps(to->middle, to->middle_turned, group->middle, CSD_BLOCK_SQUARE);
        arrange_taps(to->project, to->project_turned, group->project, CSD_BLOCK_LINE);
    }
}

#define CSD_QUOTE_NAME(name) #name
#define CSD_QUOTE(name) CSD_QUOTE_NAME(name)
extern const csd_block_kernels CSD_KERNEL(block_kernels);
const csd_block_kernels CSD_KERNEL(block_kernels) = {CSD_QUOTE(CSD_ISA), arrange, forward, backward};
