/* The convolutions of ACRNet forward and backward, for training on CPUs; no part of the runtime.
   x and y are images (2, 32, 32).

   BLOCK, of the decoder:
       y = prelu(z), z = x + last_bias + project(m)    project 9x1, 2 outputs
       m = prelu(t), t = middle(v) + bias              middle 7x7, groups of two channels
       v = code(p)                                     see below; without it v = p
       p = prelu(u), u = expand(x) + bias              expand 1x9, 2 inputs
   PAIR, of the encoder: m = p, nothing else between expand and project.
   HEAD, of both: y = prelu(z), z = weight(x) + bias, weight 5x5.

   CODED is BLOCK with v = step clamp(rint(p / step), -32, 223), a step a channel: the numbers that a
   network of integers has there. Their gradient is that of learned steps: dv goes through where the
   clamp cuts nothing, and the step's is dv times rint(q) - q there, times the limit elsewhere
   (q = p / step).

   Only what one group of two channels needs exists at a time, and it stays in the second cache, each
   step of it nearly in the first: backward computes u, v, t and m anew. That is a quarter of its
   arithmetic, and less work than to write and read 640 KiB a sample. z alone is kept.

   Parameters are one array, and their gradients another in the same order: a record a group, then
   `last`; or a head. Weights are (output, input, tap). */
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
    CSD_BLOCK_HEAD = 25,
    CSD_BLOCK_LOWEST = -32,
    CSD_BLOCK_HIGHEST = 223
};

typedef enum csd_block_kind {
    CSD_KIND_BLOCK,
    CSD_KIND_CODED,
    CSD_KIND_PAIR,
    CSD_KIND_HEAD,
    CSD_KINDS
} csd_block_kind;

typedef struct csd_block_group {
    float expand[4 * CSD_BLOCK_LINE];
    float expand_bias[2], expand_slope[2], step[2];
    float middle[4 * CSD_BLOCK_SQUARE];
    float middle_bias[2], middle_slope[2];
    float project[4 * CSD_BLOCK_LINE];
} csd_block_group;

typedef struct csd_block_last {
    float bias[2], slope[2];
} csd_block_last;

typedef struct csd_block_head {
    float weight[4 * CSD_BLOCK_HEAD];
    csd_block_last last;
} csd_block_head;

/* Weights of a group as tiles read them: (input, tap, output), and turned by half, with inputs and
   outputs exchanged, for gradients of inputs. */
typedef struct csd_block_weights {
    float expand[4 * CSD_BLOCK_LINE], expand_turned[4 * CSD_BLOCK_LINE];
    float middle[4 * CSD_BLOCK_SQUARE], middle_turned[4 * CSD_BLOCK_SQUARE];
    float project[4 * CSD_BLOCK_LINE], project_turned[4 * CSD_BLOCK_LINE];
} csd_block_weights;

/* What all samples of a call have in common. */
typedef struct csd_block_job {
    csd_block_kind kind;
    size_t groups; /* a head has none */
    const float *parameters;
    const csd_block_weights *weights; /* by `arrange`; a head needs none */
} csd_block_job;

/* One instruction set's kernels. */
typedef struct csd_block_kernels {
    const char *name;
    void (*arrange)(csd_block_weights *to, const float *parameters, size_t groups);
    void (*forward)(const csd_block_job *job, const float *x, float *z, float *y, size_t samples);
    /* dx is written, parameters' gradients are added to `gradient`. */
    void (*backward)(const csd_block_job *job, const float *x, const float *z, const float *dy,
                     float *dx, float *gradient, size_t samples);
} csd_block_kernels;

#ifdef __cplusplus
}
#endif

#endif
