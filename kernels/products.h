/* Products of rows with matrices whose width is a multiple of 16, and what lies between them. A
   sum's order follows from its shape alone, one fused multiply-add for each number: results depend
   neither on the instruction set nor on how outputs and rows are grouped. A weighted sum of rows
   that are wider than 128 numbers runs from the first to the last; rows up to 128 wide are summed in
   two parts by the parity of c, up to 32 wide in four by c mod 4, joined (0 + 1) + (2 + 3). */
#ifndef CSIDEPLOY_PRODUCTS_H
#define CSIDEPLOY_PRODUCTS_H

#include "kernels.h"

/* y[i] = start[i] + sum over c < count of x[j] w[j width + i], j = index[c]; without an index
   j = c, without a start 0. y may be start. */
void CSD_KERNEL(weighted_sum)(float *y, const float *start, const float *x, const uint16_t *index,
                              size_t count, const float *w, size_t width);

/* The same for `rows` rows of x and y, without an index, with one start for all. */
void CSD_KERNEL(multiply_rows)(float *y, size_t y_step, const float *start, const float *x,
                               size_t x_step, size_t rows, size_t count, const float *w,
                               size_t width);

/* The same for a matrix that the caches do not hold: of what 16 further indices name, which must be
   there, each of a wide row is asked for in time. */
void CSD_KERNEL(weighted_sum_far)(float *y, const float *start, const float *x,
                                  const uint16_t *index, size_t count, const float *w,
                                  size_t width);

/* y[c] = sum over i < width of x[i] w[index[c] width + i], in 64 parts by i mod 64: 16 vectors' lanes
   of the four parts joined as above, then lane 0 with 8, 1 with 9, ...; then 0 with 4; ... */
void CSD_KERNEL(inner_products)(float *y, const float *x, const uint16_t *index, size_t count,
                                const float *w, size_t width);

/* z = max(z, 0); the indices of what is above 0 go to `list`, which has room for `width`. Returns
   their number. A NaN becomes 0. */
size_t CSD_KERNEL(rectify)(float *z, uint16_t *list, size_t width);

#endif
