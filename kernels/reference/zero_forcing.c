/* h (n, K, M, 2), loading (n, 1) -> w (n, K, M, 2): conj(w_i) is row i of (h h^H + loading I)^-1 h,
   scaled to unit mean power an entry. In doubles: of users with one channel nothing but the loading
   is left, and float32 would make each of them another precoder.

   The K x K matrix lies in the scratch, its lower half. It becomes the factors of L D L^H, which
   need no root, then L^-1, then the inverse. Both parts of a product are sums, one of them with a
   negated factor: where one is a sum and the other a difference, gcc 12 makes a fused multiply-add
   of them, whatever -ffp-contract says. */
#include <math.h>
#include <string.h>

#include "../kernels.h"

#define LARGEST 1.7976931348623157e308
#define LARGEST_POWER 3.4028235e38
#define SMALLEST_POWER 1e-12 /* as networks have it that were trained with this inside */
#define BLOCK 16u            /* antennas at once */

typedef struct number {
    double re, im;
} number;

typedef struct matrix {
    number *rows;
    size_t stride;
    uint32_t users;
} matrix;

static number *at(const matrix *a, uint32_t i, uint32_t j) { return a->rows + i * a->stride + j; }

/* sum + a conj(b) */
static number add_product(number sum, number a, number b) {
    const double minus_re = -a.re;
    sum.re += a.re * b.re + a.im * b.im;
    sum.im += a.im * b.re + minus_re * b.im;
    return sum;
}

static number times(number a, double factor) {
    const number y = {a.re * factor, a.im * factor};
    return y;
}

/* h_i h_j^H */
static number multiply(const float *a, const float *b, size_t antennas) {
    number sum = {0.0, 0.0};
    for (size_t m = 0; m < antennas; m++) {
        const number x = {a[2u * m], a[2u * m + 1u]}, y = {b[2u * m], b[2u * m + 1u]};
        sum = add_product(sum, x, y);
    }
    return sum;
}

/* h h^H + loading I to L below the diagonal and 1 / D on it; 0 if a pivot is none. */
static int factor(const matrix *a, const float *h, size_t antennas, double loading) {
    for (uint32_t i = 0; i < a->users; i++) {
        const float *own = h + 2u * antennas * i;
        number *row = at(a, i, 0);
        for (uint32_t j = 0; j < i; j++) { /* L_ij D_j */
            row[j] = multiply(own, h + 2u * antennas * j, antennas);
            for (uint32_t k = 0; k < j; k++)
                row[j] = add_product(row[j], times(row[k], -1.0), *at(a, j, k));
        }
        double pivot = multiply(own, own, antennas).re + loading;
        for (uint32_t j = 0; j < i; j++) {
            const number scaled = times(row[j], at(a, j, j)->re);
            pivot -= row[j].re * scaled.re + row[j].im * scaled.im;
            row[j] = scaled;
        }
        if (!(pivot > 0.0 && pivot <= LARGEST))
            return 0;
        row[i].re = 1.0 / pivot;
        row[i].im = 0.0;
    }
    return 1;
}

/* L to T = L^-1, column by column: T_ij = -(L_ij + sum over k between of L_ik T_kj). */
static void invert_factor(const matrix *a) {
    for (uint32_t j = 0; j < a->users; j++)
        for (uint32_t i = j + 1u; i < a->users; i++) {
            number sum = *at(a, i, j);
            for (uint32_t k = j + 1u; k < i; k++) {
                const number t = {at(a, k, j)->re, -at(a, k, j)->im};
                sum = add_product(sum, *at(a, i, k), t);
            }
            *at(a, i, j) = times(sum, -1.0);
        }
}

/* T and 1 / D to the lower half of T^H D^-1 T, row by row: a row reads only those behind it. */
static void invert(const matrix *a) {
    for (uint32_t i = 0; i < a->users; i++) {
        const double own = at(a, i, i)->re;
        for (uint32_t j = 0; j <= i; j++) {
            const number one = {1.0, 0.0};
            number sum = times(j < i ? *at(a, i, j) : one, own);
            for (uint32_t k = i + 1u; k < a->users; k++)
                sum = add_product(sum, times(*at(a, k, j), at(a, k, k)->re), *at(a, k, i));
            *at(a, i, j) = sum;
        }
    }
}

/* Antennas `from` on of user i: sum over j of conj(inverse_ij h_j), to w; returns their power. */
static double apply(float *w, const matrix *a, const float *h, uint32_t i, size_t from,
                    size_t antennas) {
    double sums[2u * BLOCK] = {0.0}, power = 0.0;
    const size_t count = antennas - from < BLOCK ? antennas - from : BLOCK;
    for (uint32_t j = 0; j < a->users; j++) {
        const number *g = j <= i ? at(a, i, j) : at(a, j, i);
        const double re = g->re, im = j <= i ? -g->im : g->im, minus_re = -re;
        const float *x = h + 2u * (antennas * j + from);
        for (size_t m = 0; m < count; m++) {
            sums[2u * m] += re * x[2u * m] + im * x[2u * m + 1u];
            sums[2u * m + 1u] += im * x[2u * m] + minus_re * x[2u * m + 1u];
        }
    }
    for (size_t m = 0; m < 2u * count; m++) {
        w[m] = (float)sums[m];
        power += sums[m] * sums[m];
    }
    return power;
}

/* All users of a sample, the last scaling left out; returns the mean power, or -1 for no inverse. */
static double precode(float *w, const matrix *a, const float *h, size_t antennas, double loading) {
    double power = 0.0;
    if (!factor(a, h, antennas, loading))
        return -1.0;
    invert_factor(a);
    invert(a);
    for (uint32_t i = 0; i < a->users; i++)
        for (size_t from = 0; from < antennas; from += BLOCK)
            power += apply(w + 2u * (antennas * i + from), a, h, i, from, antennas);
    return power / ((double)a->users * (double)antennas);
}

void CSD_KERNEL(zero_forcing)(const csd_args *args) {
    const csd_output *out = &args->out[CSD_ZERO_FORCING_OUT_W];
    const csd_output *scratch = &args->out[CSD_ZERO_FORCING_OUT_SCRATCH];
    const size_t antennas = out->shape.dims[2], count = 2u * antennas * out->shape.dims[1];
    /* A complex double is four float32 of the scratch. */
    const matrix a = {(number *)scratch->data, scratch->shape.dims[1] / 4u, out->shape.dims[1]};
    const float *h = args->in[CSD_ZERO_FORCING_H].data;
    const float *loading = args->in[CSD_ZERO_FORCING_LOADING].data;
    float *w = out->data;
    for (uint32_t n = 0; n < out->shape.dims[0]; n++, h += count, w += count) {
        const double power = precode(w, &a, h, antennas, loading[n]);
        if (!(power >= 0.0 && power <= LARGEST_POWER)) {
            memset(w, 0, count * sizeof *w);
            continue;
        }
        const float scale =
            1.0f / sqrtf((float)(power > SMALLEST_POWER ? power : SMALLEST_POWER));
        for (size_t i = 0; i < count; i++)
            w[i] *= scale;
    }
    /* "0 after", so that no run sees what another one left. */
    memset(scratch->data, 0, (size_t)scratch->shape.dims[0] * scratch->shape.dims[1] * 4u);
}
