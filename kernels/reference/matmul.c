/* y = a b over the last two axes: a (..., M, K), b (..., K, N); the leading axes broadcast.

   Order of summation: k in fours, (p0 + p1) + (p2 + p3), added in order; those left over, one by
   one. The inner loop runs along a row of y, where neighbours do not depend on one another. The
   error is at most (K / 4 + 5) eps sum |a b|. A y of one column is summed as in LINEAR. */
#include "../lanes.h"
#include "../walk.h"

#define TILE 64 /* columns of y in work */

static void multiply_tile(float *y, const float *a, const float *b, size_t inner, size_t columns,
                          size_t width) {
    float sums[TILE] = {0};
    size_t k = 0;
    for (; k + 4 <= inner; k += 4) {
        const float a0 = a[k], a1 = a[k + 1], a2 = a[k + 2], a3 = a[k + 3];
        const float *b0 = b + k * columns, *b1 = b0 + columns, *b2 = b1 + columns;
        const float *b3 = b2 + columns;
        for (size_t j = 0; j < width; j++)
            sums[j] += (a0 * b0[j] + a1 * b1[j]) + (a2 * b2[j] + a3 * b3[j]);
    }
    for (; k < inner; k++)
        for (size_t j = 0; j < width; j++)
            sums[j] += a[k] * b[k * columns + j];
    memcpy(y, sums, width * sizeof *sums);
}

static void multiply(float *y, const float *a, const float *b, size_t rows, size_t inner,
                     size_t columns) {
    for (size_t m = 0; m < rows; m++, a += inner, y += columns) {
        if (columns == 1) {
            *y = csd_row_dot(a, b, inner);
            continue;
        }
        size_t from = 0;
        for (; from + TILE <= columns; from += TILE)
            multiply_tile(y + from, a, b + from, inner, columns, TILE);
        if (from < columns)
            multiply_tile(y + from, a, b + from, inner, columns, columns - from);
    }
}

void CSD_KERNEL(matmul)(const csd_args *args) {
    const csd_shape *a = &args->in[CSD_MATMUL_A].shape, *b = &args->in[CSD_MATMUL_B].shape;
    const csd_shape *out = &args->out[0].shape;
    const size_t rows = a->dims[a->rank - 2], inner = a->dims[a->rank - 1];
    const size_t columns = b->dims[b->rank - 1];
    float *y = args->out[0].data;
    /* Walk over the leading axes: an element of the walk is a matrix. */
    csd_walk walk = csd_walk_start(2);
    ptrdiff_t passed[2] = {1, 1};
    for (uint32_t back = 3; back <= out->rank; back++) {
        const uint32_t dims[2] = {back <= a->rank ? a->dims[a->rank - back] : 1u,
                                  back <= b->rank ? b->dims[b->rank - back] : 1u};
        const ptrdiff_t stride[2] = {dims[0] == 1 ? 0 : passed[0], dims[1] == 1 ? 0 : passed[1]};
        csd_walk_axis(&walk, out->dims[out->rank - back], stride);
        passed[0] *= (ptrdiff_t)dims[0];
        passed[1] *= (ptrdiff_t)dims[1];
    }
    do {
        for (size_t i = 0; i < walk.size[0]; i++, y += rows * columns) {
            const size_t at_a = (size_t)walk.at[0] + i * (size_t)walk.stride[0][0];
            const size_t at_b = (size_t)walk.at[1] + i * (size_t)walk.stride[0][1];
            multiply(y, (const float *)args->in[CSD_MATMUL_A].data + at_a * rows * inner,
                     (const float *)args->in[CSD_MATMUL_B].data + at_b * inner * columns, rows,
                     inner, columns);
        }
    } while (csd_walk_next(&walk));
}
