/* Gradients of a convolution's weights, two channels to two.

   That of a tap is a sum over the image: of what comes back, d, times what the tap reads, x moved by
   the tap. As many taps as registers hold are summed in one walk: with AVX-512 2 x 2 channels and 7
   taps, 28 vectors, beside two of d and one of x. Then 28 products take 2 + 14 reads. */
#ifndef CSIDEPLOY_TRAINING_GRADIENTS_H
#define CSIDEPLOY_TRAINING_GRADIENTS_H

#include "../vector/conv_rows.h"

/* Two planes, as gradients walk them. */
typedef struct csd_pair {
    const float *at; /* row 0, column 0 */
    size_t pitch, plane;
} csd_pair;

enum { CSD_MOST_SUMS = 28 };

/* sums[(c outputs + o) taps + k] = the gradient of d's channel o and x's channel c at tap k, whose
   numbers lie `apart` floats from those of the tap before. */
CSD_INLINE void csd_sum_taps(csd_wide sums[CSD_MOST_SUMS], csd_pair d, csd_pair x, ptrdiff_t apart,
                             size_t rows, const size_t inputs, const size_t outputs,
                             const size_t taps) {
    CSD_UNROLL
    for (size_t i = 0; i < inputs * outputs * taps; i++)
        sums[i] = csd_wide_all(0.0f);
    for (size_t row = 0; row < rows; row++, d.at += d.pitch, x.at += x.pitch) {
        for (size_t column = 0; column < 32u; column += CSD_WIDE) {
            csd_wide back[2];
            CSD_UNROLL
            for (size_t o = 0; o < outputs; o++)
                back[o] = csd_wide_load(d.at + o * d.plane + column);
            CSD_UNROLL
            for (size_t c = 0; c < inputs; c++) {
                CSD_UNROLL
                for (size_t k = 0; k < taps; k++) {
                    const float *from =
                        x.at + c * x.plane + column + (ptrdiff_t)k * apart;
                    csd_wide numbers = csd_wide_load(from);
                    if (outputs > 1u)
                        CSD_KEEP(numbers);
                    CSD_UNROLL
                    for (size_t o = 0; o < outputs; o++) {
                        csd_wide *sum = &sums[(c * outputs + o) * taps + k];
                        *sum = CSD_ADD_PRODUCT(*sum, back[o], numbers);
                        CSD_NOW(*sum);
                    }
                }
            }
        }
    }
}

/* Adds the totals to the gradients: that of (o, c, k) is to[o output + c input + k]. */
CSD_INLINE void csd_add_totals(float *to, size_t output, size_t input,
                               const csd_wide sums[CSD_MOST_SUMS], const size_t inputs,
                               const size_t outputs, const size_t taps) {
    const size_t count = inputs * outputs * taps;
    float totals[CSD_MOST_SUMS + 3];
    CSD_UNROLL
    for (size_t i = 0; i + 4u <= count; i += 4u)
        csd_wide_totals(totals + i, sums[i], sums[i + 1u], sums[i + 2u], sums[i + 3u]);
    CSD_UNROLL
    for (size_t i = count / 4u * 4u; i < count; i++)
        totals[i] = csd_wide_total(sums[i]);
    CSD_UNROLL
    for (size_t c = 0; c < inputs; c++)
        CSD_UNROLL
        for (size_t o = 0; o < outputs; o++)
            CSD_UNROLL
            for (size_t k = 0; k < taps; k++)
                to[o * output + c * input + k] += totals[(c * outputs + o) * taps + k];
}

/* Channels and taps of one walk. A row of taps is walked whole, or in two parts. */
#ifdef CSD_HAS_AVX512
enum { CSD_WALK_INPUTS = 2, CSD_WALK_OUTPUTS = 2, CSD_WALK_PART = 9 };
#else
enum { CSD_WALK_INPUTS = 1, CSD_WALK_OUTPUTS = 1, CSD_WALK_PART = 5 };
#endif

/* Taps `first` to `first + taps` of all channels, by walks of so many. Gradient (o, c, k) is
   to[o output + c input + k]. */
CSD_INLINE void csd_gradient_part(float *to, size_t output, size_t input, csd_pair d, csd_pair x,
                                  ptrdiff_t apart, size_t rows, size_t first, const size_t inputs,
                                  const size_t outputs, const size_t taps) {
    x.at += (ptrdiff_t)first * apart;
    for (size_t c = 0; c < 2u; c += inputs)
        for (size_t o = 0; o < 2u; o += outputs) {
            csd_wide sums[CSD_MOST_SUMS];
            const csd_pair from_d = {d.at + o * d.plane, d.pitch, d.plane};
            const csd_pair from_x = {x.at + c * x.plane, x.pitch, x.plane};
            csd_sum_taps(sums, from_d, from_x, apart, rows, inputs, outputs, taps);
            csd_add_totals(to + o * output + c * input + first, output, input, sums, inputs,
                           outputs, taps);
        }
}

/* Nine taps, `apart` from each other: to[o output + c input + k] += ... Tap 0 reads at x. */
CSD_INLINE void csd_line_gradient(float *to, size_t output, size_t input, csd_pair d, csd_pair x,
                              ptrdiff_t apart) {
    csd_gradient_part(to, output, input, d, x, apart, 32, 0, 1, CSD_WALK_OUTPUTS, CSD_WALK_PART);
#ifndef CSD_HAS_AVX512
    csd_gradient_part(to, output, input, d, x, apart, 32, CSD_WALK_PART, 1, CSD_WALK_OUTPUTS,
                      9 - CSD_WALK_PART);
#endif
}

/* side x side taps (o, c, row, column) of planes with zeros beside, but not above and below, the
   image. */
CSD_INLINE void csd_square_gradient(float *to, csd_pair d, csd_pair x, const size_t side) {
    const size_t reach = side / 2u;
    for (size_t i = 0; i < side; i++) {
        const size_t above = i < reach ? reach - i : 0, below = i > reach ? i - reach : 0;
        const csd_pair from_d = {d.at + above * d.pitch, d.pitch, d.plane};
        const csd_pair from_x = {x.at + below * x.pitch - reach, x.pitch, x.plane};
        csd_gradient_part(to + side * i, 2u * side * side, side * side, from_d, from_x, 1,
                          32u - above - below, 0, CSD_WALK_INPUTS, CSD_WALK_OUTPUTS, side);
    }
}

#endif
