/* The decoder block of ACRNet, forward and backward, for training on CPUs; no part of the runtime.

       y = x + project_bias + project(m)      project 9x1, 2 outputs
       m = prelu(t), t = middle(v) + bias     middle 7x7, groups of two channels
       v = code(p)                            code: see below; without it v = p
       p = prelu(u), u = expand(x) + bias     expand 1x9, 2 inputs

   x and y are images (2, 32, 32). With codes, v = step clamp(rint(p / step), -32, 223), a step a
   channel, in the numbers that a network of integers has there; their gradient is that of learned
   steps: dv goes through where the clamp cuts nothing, and the step's is dv times rint(q) - q there,
   times the limit elsewhere (q = p / step).

   Only what one group needs exists at a time, and it stays in the second cache, each step of it
   nearly in the first: backward computes u, v, t and m anew. That is a quarter of its arithmetic,
   and less work than to write and read 640 KiB a sample.

   Parameters, and their gradients in the same order, are one array: a record a group, then
   project_bias (2). Weights are (output, input, tap). */
#ifndef CSIDEPLOY_TRAINING_BLOCK_H
#define CSIDEPLOY_TRAINING_BLOCK_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CSD_BLOCK_SIDE = 32,
    CSD_BLOCK_PLANE = CSD_BLOCK_SIDE * CSD_BLOCK_SIDE,
    CSD_BLOCK_IMAGE = 2 * CSD_BLOCK_PLANE,
    CSD_BLOCK_LINE = 9,    /* taps of expand and project */
    CSD_BLOCK_SQUARE = 49, /* of middle */
    CSD_BLOCK_LOWEST = -32,
    CSD_BLOCK_HIGHEST = 223
};

typedef struct csd_block_group {
    float expand[4 * CSD_BLOCK_LINE];
    float expand_bias[2], expand_slope[2], step[2];
    float middle[4 * CSD_BLOCK_SQUARE];
    float middle_bias[2], middle_slope[2];
    float project[4 * CSD_BLOCK_LINE];
} csd_block_group;

/* Weights of a group as tiles read them: (input, tap, output), and turned by half, with inputs and
   outputs exchanged, for gradients of inputs. */
typedef struct csd_block_weights {
    float expand[4 * CSD_BLOCK_LINE], expand_turned[4 * CSD_BLOCK_LINE];
    float middle[4 * CSD_BLOCK_SQUARE], middle_turned[4 * CSD_BLOCK_SQUARE];
    float project[4 * CSD_BLOCK_LINE], project_turned[4 * CSD_BLOCK_LINE];
} csd_block_weights;

/* What all samples of a call have in common. */
typedef struct csd_block_job {
    size_t groups;
    const csd_block_group *group;
    const csd_block_weights *weights;
    const float *project_bias;
    int coded;
} csd_block_job;

/* One instruction set's kernels. */
typedef struct csd_block_kernels {
    const char *name;
    void (*arrange)(csd_block_weights *to, const csd_block_group *group, size_t groups);
    void (*forward)(const csd_block_job *job, const float *x, float *y, size_t samples);
    /* dx is written; gradients are added to `gradient` (groups) and `project_bias` (2). */
    void (*backward)(const csd_block_job *job, const float *x, const float *dy, float *dx,
                     csd_block_group *gradient, float *project_bias, size_t samples);
} csd_block_kernels;

#ifdef __cplusplus
}
#endif

#endif
