/* BLOCK, CODED and PAIR of kernels/training/block.h, and the table of all. */
#include "planes.h"

CONVOLUTION(line, 1, 9)
CONVOLUTION(square, 7, 7)
CONVOLUTION(column, 9, 1)

enum {
    BORDER = 4, /* rows above and below dz, as many as a tap of project sees */
    HIGH = (SIDE + 2 * BORDER) * SIDE
};

/* Rows 0 to 31 of planes of HIGH. */
static const csd_planes high = {0, SIDE, HIGH, 0};

/* The planes of a group. */
typedef struct room {
    float x[PADDED_PAIR] LINES;
    float v[PADDED_PAIR] LINES;
    float m[PADDED_PAIR] LINES;
    float u[CSD_BLOCK_IMAGE] LINES;
    float t[CSD_BLOCK_IMAGE] LINES;
} room;

typedef struct backward_room {
    room planes;
    float dt[PADDED_PAIR] LINES;
    float dz[2 * HIGH] LINES;
    float dx[CSD_BLOCK_IMAGE] LINES;
} backward_room;

static void clear_room(room *r) {
    clear(r->x);
    clear(r->v);
    clear(r->m);
}

static const csd_block_group *groups_of(const csd_block_job *job) {
    return (const csd_block_group *)(const void *)job->parameters;
}

static const csd_block_last *last_of(const csd_block_job *job) {
    return (const csd_block_last *)(const void *)(groups_of(job) + job->groups);
}

/* u, v, t and m of a group; of a pair u and m. */
static void compute_group(room *r, const csd_block_group *g, const csd_block_weights *w,
                          csd_block_kind kind) {
    const csd_rows expand = rows_of(r->x, padded, line, w->expand, g->expand_bias, r->u, narrow);
    const csd_rows middle = rows_of(r->v, padded, square, w->middle, g->middle_bias, r->t, narrow);
    run_line(&expand);
    if (kind == CSD_KIND_PAIR) {
        activate(r->u, g->expand_slope, NULL, r->m, padded);
        return;
    }
    if (kind == CSD_KIND_CODED)
        activate(r->u, g->expand_slope, g->step, r->v, padded);
    else
        activate(r->u, g->expand_slope, NULL, r->v, padded);
    run_square(&middle);
    activate(r->t, g->middle_slope, NULL, r->m, padded);
}

static void forward(const csd_block_job *job, const float *x, float *z, float *y, size_t samples) {
    const csd_block_last *last = last_of(job);
    room r;
    if (job->kind == CSD_KIND_HEAD) {
        CSD_KERNEL(head_forward)(job, x, z, y, samples);
        return;
    }
    clear_room(&r);
    for (size_t n = 0; n < samples; n++) {
        const size_t at = n * CSD_BLOCK_IMAGE;
        pad(r.x, x + at);
        for (size_t i = 0; i < CSD_BLOCK_IMAGE; i++)
            z[at + i] = x[at + i] + last->bias[i / CSD_BLOCK_PLANE];
        for (size_t g = 0; g < job->groups; g++) {
            const csd_block_weights *w = job->weights + g;
            const csd_rows project = rows_of(r.m, padded, column, w->project, NULL, z + at, narrow);
            compute_group(&r, groups_of(job) + g, w, job->kind);
            run_column(&project);
        }
        activate(z + at, last->slope, NULL, y + at, narrow);
    }
}

/* From dt, the gradient behind middle, to du. */
static void pass_middle(backward_room *b, const csd_block_group *g, const csd_block_weights *w,
                        csd_block_group *to, float *du) {
    const csd_pair dt = {b->dt + MARGIN, PITCH, PADDED}, v = {b->planes.v + MARGIN, PITCH, PADDED};
    const csd_rows middle = rows_of(b->dt, padded, square, w->middle_turned, no_bias, du, padded);
    const csd_way_back outer = {to->middle_bias, to->middle_slope, NULL};
    go_back(b->planes.t, g->middle_slope, NULL, b->dt, padded, outer);
    csd_square_gradient(to->middle, dt, v, 7);
    run_square(&middle);
}

/* One group's gradients; adds to dx. */
static void go_back_group(backward_room *b, const csd_block_group *g, const csd_block_weights *w,
                          csd_block_group *to, csd_block_kind kind) {
    room *r = &b->planes;
    const float *dz = b->dz + BORDER * SIDE;
    /* m's planes are free once it has served project's gradient. */
    float *du = kind == CSD_KIND_PAIR ? b->dt : r->m;
    const csd_rows project = rows_of(dz, high, column, w->project_turned, no_bias, b->dt, padded);
    const csd_rows expand = rows_of(du, padded, line, w->expand_turned, NULL, b->dx, narrow);
    const csd_pair x = {r->x + MARGIN - 4, PITCH, PADDED}, m = {r->m + MARGIN, PITCH, PADDED};
    const csd_pair from_du = {du + MARGIN, PITCH, PADDED};
    const csd_way_back inner = {to->expand_bias, to->expand_slope, to->step};
    /* Tap k of project reads row r + k - 4 of m for row r of z: here m stays and dz moves. */
    const csd_pair moved = {dz + BORDER * SIDE, SIDE, HIGH};

    compute_group(r, g, w, kind);
    csd_line_gradient(to->project, 9, 18, m, moved, -SIDE);
    run_column(&project);
    if (kind != CSD_KIND_PAIR)
        pass_middle(b, g, w, to, du);
    if (kind == CSD_KIND_CODED)
        go_back(r->u, g->expand_slope, g->step, du, padded, inner);
    else
        go_back(r->u, g->expand_slope, NULL, du, padded, inner);
    csd_line_gradient(to->expand, 18, 9, from_du, x, 1);
    run_line(&expand);
}

static void backward(const csd_block_job *job, const float *x, const float *z, const float *dy,
                     float *dx, float *gradient, size_t samples) {
    csd_block_group *to = (csd_block_group *)(void *)gradient;
    csd_block_last *to_last = (csd_block_last *)(void *)(to + job->groups);
    const csd_way_back last = {to_last->bias, to_last->slope, NULL};
    const size_t bytes = CSD_BLOCK_PLANE * sizeof *dx;
    backward_room b;
    if (job->kind == CSD_KIND_HEAD) {
        CSD_KERNEL(head_backward)(job, x, z, dy, dx, gradient, samples);
        return;
    }
    clear_room(&b.planes);
    clear(b.dt);
    memset(b.dz, 0, sizeof b.dz);
    for (size_t n = 0; n < samples; n++) {
        const size_t at = n * CSD_BLOCK_IMAGE;
        float *dz = b.dz + BORDER * SIDE;
        pad(b.planes.x, x + at);
        for (size_t c = 0; c < 2u; c++)
            memcpy(dz + c * HIGH, dy + at + c * CSD_BLOCK_PLANE, bytes);
        go_back(z + at, last_of(job)->slope, NULL, dz, high, last);
        for (size_t c = 0; c < 2u; c++)
            memcpy(b.dx + c * CSD_BLOCK_PLANE, dz + c * HIGH, bytes);
        for (size_t g = 0; g < job->groups; g++)
            go_back_group(&b, groups_of(job) + g, job->weights + g, to + g, job->kind);
        memcpy(dx + at, b.dx, sizeof b.dx);
    }
}

static void arrange(csd_block_weights *to, const float *parameters, size_t groups) {
    const csd_block_group *group = (const csd_block_group *)(const void *)parameters;
    for (size_t g = 0; g < groups; g++, to++, group++) {
        arrange_taps(to->expand, to->expand_turned, group->expand, CSD_BLOCK_LINE);
        arrange_taps(to->middle, to->middle_turned, group->middle, CSD_BLOCK_SQUARE);
        arrange_taps(to->project, to->project_turned, group->project, CSD_BLOCK_LINE);
    }
}

#define QUOTE_NAME(name) #name
#define QUOTE(name) QUOTE_NAME(name)
extern const csd_block_kernels CSD_KERNEL(block_kernels);
const csd_block_kernels CSD_KERNEL(block_kernels) = {QUOTE(CSD_ISA), arrange, forward, backward};
