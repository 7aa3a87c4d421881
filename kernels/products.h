/* Products of rows with matrices whose width is a multiple of 16, and what lies between them. All
   sums run over the summed index in order, one fused multiply-add each: results depend neither on
   the instruction set nor on how outputs and rows are grouped. */
#ifndef CSIDEPLOY_PRODUCTS_H
#define CSIDEPLOY_PRODUCTS_H

#include "kernels.h"

/* y[i] = start[i] + sum over c < count of x[j] w[j width + i], j = index[c]; without an index
   j = c, without a start 0. y is neither x nor start nor w. */
void CSD_KERNEL(weighted_sum)(float *y, const float *start, const float *x, const uint16_t *index,
                              size_t count, const float *w, size_t width);

/* The same for `rows` rows of x and y, without an index, with one start for all. */
void CSD_KERNEL(multiply_rows)(float *y, size_t y_step, const float *start, const float *x,
                               size_t x_step, size_t rows, size_t count, const float *w,
                               size_t width);

/* z = max(z, 0); the indices of what is above 0 go to `list`, which has room for `width`. Returns
   their number. A NaN becomes 0. */
size_t CSD_KERNEL(rectify)(float *z, uint16_t *list, size_t width);

#endif
