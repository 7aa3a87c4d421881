/* HEAD of kernels/training/block.h. */
#include "planes.h"

CONVOLUTION(small_square, 5, 5)

typedef struct head_weights {
    float forward[4 * CSD_BLOCK_HEAD], turned[4 * CSD_BLOCK_HEAD];
} head_weights;

static const csd_block_head *head_of(const csd_block_job *job, head_weights *weights) {
    const csd_block_head *head = (const csd_block_head *)(const void *)job->parameters;
    arrange_taps(weights->forward, weights->turned, head->weight, CSD_BLOCK_HEAD);
    return head;
}

void CSD_KERNEL(head_forward)(const csd_block_job *job, const float *x, float *z, float *y,
                              size_t samples) {
    float image[PADDED_PAIR] LINES;
    head_weights weights;
    const csd_block_head *head = head_of(job, &weights);
    clear(image);
    for (size_t n = 0; n < samples; n++) {
        const size_t at = n * CSD_BLOCK_IMAGE;
        const csd_rows rows = rows_of(image, padded, small_square, weights.forward, head->last.bias,
                                      z + at, narrow);
        pad(image, x + at);
        run_small_square(&rows);
        activate(z + at, head->last.slope, NULL, y + at, narrow);
    }
}

void CSD_KERNEL(head_backward)(const csd_block_job *job, const float *x, const float *z,
                               const float *dy, float *dx, float *gradient, size_t samples) {
    float image[PADDED_PAIR] LINES, dz[PADDED_PAIR] LINES;
    head_weights weights;
    const csd_block_head *head = head_of(job, &weights);
    csd_block_head *to = (csd_block_head *)(void *)gradient;
    const csd_way_back last = {to->last.bias, to->last.slope, NULL};
    const csd_pair d = {dz + MARGIN, PITCH, PADDED}, seen = {image + MARGIN, PITCH, PADDED};
    clear(image);
    clear(dz);
    for (size_t n = 0; n < samples; n++) {
        const size_t at = n * CSD_BLOCK_IMAGE;
        const csd_rows rows =
            rows_of(dz, padded, small_square, weights.turned, no_bias, dx + at, narrow);
        pad(image, x + at);
        pad(dz, dy + at);
        go_back(z + at, head->last.slope, NULL, dz, padded, last);
        csd_square_gradient(to->weight, d, seen, 5);
        run_small_square(&rows);
    }
}
