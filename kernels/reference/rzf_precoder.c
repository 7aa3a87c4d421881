/* payload (n, K, ceil(B/8)) -> v (n, K, N, M, 2): regularised zero forcing on the codewords that
   the users chose. w_k is made where v[k, 0] lies, so that the stack holds no more than the K x K
   root of the Gram matrix. The order of operations is that of export/operations.py; for codewords
   of length 1 the error is below 2 eps (K + loading) / loading, the condition of what is solved. */
#include <math.h>
#include <string.h>

#include "../precoder.h"

#define LARGEST 3.4028235e38f

/* The lower half of L with L L^H = A^H A + loading I; on its diagonal 1 / L_jj. */
typedef struct root {
    float re[CSD_MOST_USERS][CSD_MOST_USERS];
    float im[CSD_MOST_USERS][CSD_MOST_USERS];
} root;

/* G_ij = sum of conj(a_i) a_j. */
static void multiply(root *g, uint32_t i, uint32_t j, const float *a, const float *b,
                     size_t antennas) {
    float re = 0.0f, im = 0.0f;
    for (size_t m = 0; m < antennas; m++) {
        re += a[2u * m] * b[2u * m] + a[2u * m + 1u] * b[2u * m + 1u];
        im += a[2u * m] * b[2u * m + 1u] - a[2u * m + 1u] * b[2u * m];
    }
    g->re[i][j] = re;
    g->im[i][j] = im;
}

/* L in the place of G; 0 if a pivot is none, as after an overflow. */
static int factor(root *l, uint32_t users) {
    for (uint32_t i = 0; i < users; i++) {
        for (uint32_t j = 0; j <= i; j++) {
            float re = l->re[i][j], im = l->im[i][j];
            for (uint32_t k = 0; k < j; k++) {
                re -= l->re[i][k] * l->re[j][k] + l->im[i][k] * l->im[j][k];
                im -= l->im[i][k] * l->re[j][k] - l->re[i][k] * l->im[j][k];
            }
            if (j < i) {
                l->re[i][j] = re * l->re[j][j];
                l->im[i][j] = im * l->re[j][j];
            } else if (re > 0.0f && re <= LARGEST) {
                l->re[i][i] = 1.0f / sqrtf(re);
            } else {
                return 0;
            }
        }
    }
    return 1;
}

/* y -= x (re, im), over a column. Both parts are sums, one of them with -im: where one is a sum and
   the other a difference, gcc 12 makes a fused multiply-add of them, whatever -ffp-contract says. */
static void subtract(float *restrict y, const float *restrict x, float re, float im,
                     size_t antennas) {
    const float minus_im = -im;
    for (size_t m = 0; m < antennas; m++) {
        const float x_re = x[2u * m], x_im = x[2u * m + 1u];
        y[2u * m] -= x_re * re + x_im * minus_im;
        y[2u * m + 1u] -= x_re * im + x_im * re;
    }
}

static void multiply_by(float *y, float number, size_t count) {
    for (size_t i = 0; i < count; i++)
        y[i] *= number;
}

/* A in the columns `w`, `step` numbers apart, becomes W. */
static void solve(float *w, size_t step, const root *l, uint32_t users, size_t antennas) {
    for (uint32_t j = 0; j < users; j++) {
        for (uint32_t i = 0; i < j; i++)
            subtract(w + j * step, w + i * step, l->re[j][i], -l->im[j][i], antennas);
        multiply_by(w + j * step, l->re[j][j], 2u * antennas);
    }
    for (uint32_t j = users; j-- > 0;) {
        for (uint32_t i = j + 1u; i < users; i++)
            subtract(w + j * step, w + i * step, l->re[i][j], l->im[i][j], antennas);
        multiply_by(w + j * step, l->re[j][j], 2u * antennas);
    }
}

/* To length 1, without overflow; what is 0 or not finite becomes 0. */
static void normalise(float *w, size_t count) {
    float largest = 0.0f, sum = 0.0f;
    for (size_t i = 0; i < count; i++) {
        const float size = fabsf(w[i]);
        largest = size > largest ? size : largest;
    }
    for (size_t i = 0; i < count; i++) {
        w[i] /= largest;
        sum += w[i] * w[i];
    }
    /* A NaN, which an infinity or a division by 0 makes as well, is not above 0. */
    if (!(sum > 0.0f)) {
        memset(w, 0, count * sizeof *w);
        return;
    }
    const float length = sqrtf(sum);
    for (size_t i = 0; i < count; i++)
        w[i] /= length;
}

static int precode(float *v, size_t step, const float *codebook, const uint32_t *index,
                   uint32_t users, size_t antennas, float loading) {
    root l;
    const size_t count = 2u * antennas;
    for (uint32_t k = 0; k < users; k++)
        memcpy(v + k * step, codebook + index[k] * count, count * sizeof *v);
    for (uint32_t i = 0; i < users; i++) {
        for (uint32_t j = 0; j <= i; j++)
            multiply(&l, i, j, v + i * step, v + j * step, antennas);
        l.re[i][i] += loading;
    }
    if (!factor(&l, users))
        return 0;
    solve(v, step, &l, users, antennas);
    for (uint32_t k = 0; k < users; k++)
        normalise(v + k * step, count);
    return 1;
}

void CSD_KERNEL(rzf_precoder)(const csd_args *args) {
    const csd_input *payload = &args->in[CSD_RZF_PRECODER_PAYLOAD];
    const csd_shape *out = &args->out[0].shape;
    const uint32_t users = out->dims[1], streams = out->dims[2];
    const size_t antennas = out->dims[3], count = 2u * antennas, step = streams * count;
    const uint8_t *messages = payload->data;
    float *v = args->out[0].data;
    for (uint32_t n = 0; n < out->dims[0]; n++) {
        uint32_t index[CSD_MOST_USERS];
        csd_read_indices(index, messages, users, args->params[CSD_RZF_PRECODER_P_BITS].u);
        if (!precode(v, step, args->in[CSD_RZF_PRECODER_CODEBOOK].data, index, users, antennas,
                     args->params[CSD_RZF_PRECODER_P_LOADING].f))
            memset(v, 0, users * step * sizeof *v);
        for (uint32_t k = 0; k < users; k++, v += step)
            for (uint32_t j = 1; j < streams; j++)
                memcpy(v + j * count, v, count * sizeof *v);
        messages += users * payload->shape.dims[2];
    }
}
