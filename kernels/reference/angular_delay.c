/* h (n, K, A, 2) -> x (n, 2, A, delay), absmax (n): csideploy/angular_delay.h.

   Over subcarriers. With K = P Q and k = q + Q p, a tap's sum is

       t[l] = sum_q exp(j 2 pi q l / K) z_q[l mod P],   z_q[r] = sum_p h[q + Q p] exp(j 2 pi p r / P)

   so that short transforms of P points, which are almost only additions, leave Q terms of K for
   each tap. Where neither 16 nor 4 divides K, subcarriers are paired instead: k and K - k have the
   same cos and opposite sin,

       t[l] = sum_q cos(2 pi q l / K) e_q + j sin(2 pi q l / K) o_q,   e, o = h[q] +- h[K - q]

   Both are two sums with real factors, one with cos and one with sin, in vectors along a row of
   antennas as it lies in memory, real and imaginary parts in turns; j is needed once, at the end.

   Over antennas the same pairing, for vectors along the taps: the sums with cos and sin over half
   the antennas make direction f and direction -f at once. */
#include <math.h>
#include <string.h>

#include "../angular_delay.h"
#include "../kernels.h"
#include "../vectors.h"

/* From one term of a slot to the next. */
#define CHUNK ((size_t)CSD_AD_CHUNK * CSD_AD_WIDE)

/* Vectors of the instruction set, or else one complex number, so that sixteen of them at once are no
   kilobytes of stack. Loops over registers are unrolled where these are registers. */
#if defined(CSD_HAS_AVX512) || defined(CSD_HAS_AVX2) || defined(CSD_HAS_NEON)
typedef csd_wide wide;
#define WIDTH CSD_WIDE
#define REGISTERS CSD_UNROLL
#define wide_load csd_wide_load
#define wide_store csd_wide_store
#define wide_all csd_wide_all
#define wide_add csd_wide_add
#define wide_sub csd_wide_sub
#define wide_mul csd_wide_mul
#define wide_div csd_wide_div
#define wide_min csd_wide_min
#define wide_max csd_wide_max
#else
typedef struct wide {
    float re, im;
} wide;
#define WIDTH 2u
#define REGISTERS
#define BOTH(name, expression_re, expression_im)                                                   \
    CSD_INLINE wide wide_##name(wide a, wide b) {                                                  \
        const wide y = {(expression_re), (expression_im)};                                         \
        return y;                                                                                  \
    }
BOTH(add, a.re + b.re, a.im + b.im)
BOTH(sub, a.re - b.re, a.im - b.im)
BOTH(mul, a.re * b.re, a.im * b.im)
BOTH(div, a.re / b.re, a.im / b.im)
BOTH(min, a.re < b.re ? a.re : b.re, a.im < b.im ? a.im : b.im)
BOTH(max, a.re > b.re ? a.re : b.re, a.im > b.im ? a.im : b.im)
CSD_INLINE wide wide_all(float x) {
    const wide y = {x, x};
    return y;
}
CSD_INLINE wide wide_load(const float *p) {
    const wide y = {p[0], p[1]};
    return y;
}
CSD_INLINE void wide_store(float *p, wide a) {
    p[0] = a.re;
    p[1] = a.im;
}
#endif

/* Vectors whose sums are in registers at once. */
#ifdef CSD_HAS_AVX512
#define TILE 2u
#else
#define TILE 1u /* of 16 registers, two vectors would take all */
#endif

/* j a, of numbers (re, im) in turns. */
CSD_INLINE wide turned(wide a) {
#ifdef CSD_HAS_AVX512
    const __m512 sign = _mm512_castsi512_ps(_mm512_set1_epi64(0x80000000));
    return _mm512_xor_ps(_mm512_permute_ps(a, 0xB1), sign);
#elif defined(CSD_HAS_AVX2)
    const __m256 sign = _mm256_castsi256_ps(_mm256_set1_epi64x(0x80000000));
    CSD_HALVES(y, _mm256_xor_ps(_mm256_permute_ps(a.a, 0xB1), sign),
               _mm256_xor_ps(_mm256_permute_ps(a.b, 0xB1), sign));
#else
    float x[WIDTH];
    wide_store(x, a);
    for (size_t i = 0; i < WIDTH; i += 2u) {
        const float re = x[i];
        x[i] = -x[i + 1u];
        x[i + 1u] = re;
    }
    return wide_load(x);
#endif
}

/* The first `count` numbers of a vector, zeros behind them. */
CSD_INLINE wide load_some(const float *p, size_t count) {
    if (count >= WIDTH)
        return wide_load(p);
    float x[WIDTH] = {0};
    memcpy(x, p, count * sizeof *x);
    return wide_load(x);
}

CSD_INLINE void store_some(float *p, wide a, size_t count) {
    float x[WIDTH];
    if (count >= WIDTH) {
        wide_store(p, a);
        return;
    }
    wide_store(x, a);
    memcpy(p, x, count * sizeof *x);
}

#define ADD wide_add
#define SUB wide_sub
#define TIMES(a, x) wide_mul(wide_all(a), x)

/* z[r] = sum_p h[p] exp(j 2 pi p r / 4). */
CSD_INLINE void transform4(wide *z, const wide *h) {
    const wide even = ADD(h[0], h[2]), odd = ADD(h[1], h[3]);
    const wide c = SUB(h[0], h[2]), s = turned(SUB(h[1], h[3]));
    z[0] = ADD(even, odd);
    z[1] = ADD(c, s);
    z[2] = SUB(even, odd);
    z[3] = SUB(c, s);
}

#define COS1 0.923879533f /* pi / 8 */
#define COS2 0.707106781f
#define COS3 0.382683432f

/* z[r] = sum_p h[p] exp(j 2 pi p r / 16) = c[r] + j s[r], and z[16 - r] = c[r] - j s[r]: c is made of
   e = h[p] + h[16 - p] by cos(pi p r / 8), s of o = h[p] - h[16 - p] by sin. Once more in pairs, p
   with 8 - p: f, g = e[p] +- e[8 - p] have the same factors at even r, and opposite ones at odd r. */
CSD_INLINE void transform16(wide *z, const wide *h) {
    wide e[9], o[8], c[9], s[8];
    e[0] = h[0];
    e[8] = h[8];
    REGISTERS for (size_t p = 1; p < 8; p++) {
        e[p] = ADD(h[p], h[16 - p]);
        o[p] = SUB(h[p], h[16 - p]);
    }
    const wide f0 = ADD(e[0], e[8]), f1 = ADD(e[1], e[7]), f2 = ADD(e[2], e[6]);
    const wide f3 = ADD(e[3], e[5]), f4 = e[4];
    const wide sum = ADD(ADD(f0, f4), f2), sides = ADD(f1, f3);
    const wide middle = SUB(f0, f4), slope = TIMES(COS2, SUB(f1, f3));
    c[0] = ADD(sum, sides);
    c[8] = SUB(sum, sides);
    c[4] = SUB(ADD(f0, f4), f2);
    c[2] = ADD(middle, slope);
    c[6] = SUB(middle, slope);
    const wide g0 = SUB(e[0], e[8]), g1 = SUB(e[1], e[7]), g3 = SUB(e[3], e[5]);
    const wide g2 = TIMES(COS2, SUB(e[2], e[6]));
    const wide outer = ADD(g0, g2), inner = SUB(g0, g2);
    const wide near = ADD(TIMES(COS1, g1), TIMES(COS3, g3));
    const wide far = SUB(TIMES(COS3, g1), TIMES(COS1, g3));
    c[1] = ADD(outer, near);
    c[7] = SUB(outer, near);
    c[3] = ADD(inner, far);
    c[5] = SUB(inner, far);
    const wide m1 = SUB(o[1], o[7]), m2 = SUB(o[2], o[6]), m3 = SUB(o[3], o[5]);
    const wide both = TIMES(COS2, ADD(m1, m3));
    s[2] = ADD(both, m2);
    s[6] = SUB(both, m2);
    s[4] = SUB(m1, m3);
    const wide n1 = ADD(o[1], o[7]), n3 = ADD(o[3], o[5]), n4 = o[4];
    const wide n2 = TIMES(COS2, ADD(o[2], o[6]));
    const wide high = ADD(n2, n4), low = SUB(n2, n4);
    const wide rise = ADD(TIMES(COS3, n1), TIMES(COS1, n3));
    const wide fall = SUB(TIMES(COS1, n1), TIMES(COS3, n3));
    s[1] = ADD(rise, high);
    s[7] = SUB(rise, high);
    s[3] = ADD(fall, low);
    s[5] = SUB(fall, low);
    z[0] = c[0];
    z[8] = c[8];
    REGISTERS for (size_t r = 1; r < 8; r++) {
        const wide j = turned(s[r]);
        z[r] = ADD(c[r], j);
        z[16 - r] = SUB(c[r], j);
    }
}

/* Terms of a block. */
CSD_INLINE size_t block_of(size_t radix) { return CSD_AD_BLOCK / (radix > 1 ? radix : 2u); }

/* Numbers of a slot of z. A term more than it holds: slots must not meet in the same cache lines, as
   the rows, a power of two apart, do already. */
CSD_INLINE size_t slot_of(size_t radix) { return (block_of(radix) + 1u) * CHUNK; }

/* A vector of each slot, in place. */
CSD_INLINE void transform(float *z, size_t slot, size_t radix) {
    wide in[16], out[16];
    REGISTERS for (size_t p = 0; p < radix; p++)
        in[p] = wide_load(z + p * slot);
    if (radix == 16)
        transform16(out, in);
    else
        transform4(out, in);
    REGISTERS for (size_t r = 0; r < radix; r++)
        wide_store(z + r * slot, out[r]);
}

/* Rows that lie one after the other go into a slot before anything is transformed: rows that are a
   power of two apart push one another out of the cache, twice where they begin within a line. */
CSD_INLINE void copy_rows(float *z, const float *h, size_t row, size_t terms, size_t left,
                          size_t vectors) {
    for (size_t i = 0; i < terms; i++, h += row, z += CHUNK)
        for (size_t v = 0; v < vectors; v++)
            wide_store(z + v * WIDTH, load_some(h + v * WIDTH, left - v * WIDTH));
}

/* e and o of a vector; the first and the middle subcarrier are their own partners. */
CSD_INLINE void pair(float *z, size_t slot, const float *h, const float *partner, size_t left) {
    const wide a = load_some(h, left), zero = wide_all(0.0f);
    const wide b = partner != NULL ? load_some(partner, left) : zero;
    wide_store(z, ADD(a, b));
    wide_store(z + slot, partner != NULL ? SUB(a, b) : zero);
}

/* Terms q to q + terms - 1 of `vectors` vectors from number `at` of each row: z (slot, term, CHUNK), a
   slot being a residue of l, or e and o. */
CSD_INLINE void fill(float *z, const csd_angular_delay *plan, const float *h, size_t at, size_t q,
                     size_t terms, size_t vectors, size_t radix) {
    const size_t row = 2u * (size_t)plan->antennas, slot = slot_of(radix);
    const size_t k = plan->subcarriers;
    h += q * row + at;
    if (radix > 1) {
        for (size_t p = 0; p < radix; p++, h += plan->terms * row)
            if (row - at >= CHUNK)
                copy_rows(z + p * slot, h, row, terms, CHUNK, CHUNK / WIDTH);
            else
                copy_rows(z + p * slot, h, row, terms, row - at, vectors);
        for (size_t i = 0; i < terms; i++, z += CHUNK)
            for (size_t v = 0; v < vectors; v++)
                transform(z + v * WIDTH, slot, radix);
        return;
    }
    for (size_t i = 0; i < terms; i++, q++, h += row, z += CHUNK) {
        const float *partner = q == 0 || 2u * q == k ? NULL : h + (k - 2u * q) * row;
        for (size_t v = 0; v < vectors * WIDTH; v += WIDTH)
            pair(z + v, slot, h + v, partner != NULL ? partner + v : NULL, row - at - v);
    }
}

static void fill_block(float *z, const csd_angular_delay *plan, const float *h, size_t at, size_t q,
                       size_t terms, size_t vectors) {
    if (plan->radix == 16)
        fill(z, plan, h, at, q, terms, vectors, 16);
    else if (plan->radix == 4)
        fill(z, plan, h, at, q, terms, vectors, 4);
    else
        fill(z, plan, h, at, q, terms, vectors, 1);
}

/* Adds a block's terms to `lines` taps of one residue: cos times `even`, sin times `odd`, which are
   the same numbers but where subcarriers are paired. */
CSD_INLINE void add_taps(float *c, float *s, size_t step, const float *even, const float *odd,
                         const float *factors, size_t terms, size_t factor_step, size_t count,
                         size_t lines, size_t tile, int paired) {
    wide cs[4][TILE], sn[4][TILE];
    const wide zero = wide_all(0.0f);
    REGISTERS for (size_t i = 0; i < lines; i++)
        REGISTERS for (size_t v = 0; v < tile; v++)
            cs[i][v] = sn[i][v] = zero;
    for (size_t q = 0; q < count; q++, even += CHUNK, odd += CHUNK) {
        wide e[TILE], o[TILE];
        REGISTERS for (size_t v = 0; v < tile; v++) {
            e[v] = wide_load(even + v * WIDTH);
            o[v] = paired ? wide_load(odd + v * WIDTH) : e[v];
        }
        REGISTERS for (size_t i = 0; i < lines; i++) {
            const wide a = wide_all(factors[i * factor_step + q]);
            const wide b = wide_all(factors[i * factor_step + terms + q]);
            REGISTERS for (size_t v = 0; v < tile; v++) {
                cs[i][v] = ADD(cs[i][v], wide_mul(a, e[v]));
                sn[i][v] = ADD(sn[i][v], wide_mul(b, o[v]));
            }
        }
    }
    REGISTERS for (size_t i = 0; i < lines; i++)
        REGISTERS for (size_t v = 0; v < tile; v++) {
            float *cp = c + i * step + v * WIDTH, *sp = s + i * step + v * WIDTH;
            wide_store(cp, ADD(wide_load(cp), cs[i][v]));
            wide_store(sp, ADD(wide_load(sp), sn[i][v]));
        }
}

/* All taps' sums over one block, of `tile` vectors. */
CSD_INLINE void add_tile(float *c, float *s, const float *z, const csd_angular_delay *plan, size_t q,
                         size_t count, size_t tile, int paired) {
    const size_t radix = plan->radix, row = csd_ad_row(plan), slot = slot_of(radix);
    const size_t per_tap = 2u * (size_t)plan->terms, step = radix * row;
    for (size_t r = 0; r < radix && r < plan->delays; r++) {
        const float *even = z + r * slot, *odd = paired ? even + slot : even;
        size_t l = r;
#define ADD_TAPS(lines)                                                                            \
    for (; l + (lines - 1u) * radix < plan->delays; l += lines * radix)                            \
    add_taps(c + l * row, s + l * row, step, even, odd, plan->frequency + l * per_tap + q,         \
             plan->terms, radix * per_tap, count, lines, tile, paired)
#ifdef CSD_HAS_AVX512
        ADD_TAPS(4u);
#endif
        ADD_TAPS(2u);
        ADD_TAPS(1u);
#undef ADD_TAPS
    }
}

CSD_INLINE void add_block(float *c, float *s, const float *z, const csd_angular_delay *plan, size_t q,
                          size_t count, size_t vectors, int paired) {
    size_t v = 0;
    for (; v + TILE <= vectors; v += TILE)
        add_tile(c + v * WIDTH, s + v * WIDTH, z + v * WIDTH, plan, q, count, TILE, paired);
    if (TILE > 1u && v < vectors)
        add_tile(c + v * WIDTH, s + v * WIDTH, z + v * WIDTH, plan, q, count, 1, paired);
}

/* c = sums with cos + j sums with sin, all taps, not divided by K. */
static void sum_taps(float *c, float *s, float *z, const csd_angular_delay *plan, const float *h) {
    const size_t numbers = 2u * (size_t)plan->antennas, radix = plan->radix;
    const size_t block = block_of(radix);
    memset(c, 0, csd_ad_sum_numbers(plan) * sizeof *c);
    memset(s, 0, csd_ad_sum_numbers(plan) * sizeof *s);
    for (size_t at = 0; at < numbers; at += CHUNK) {
        const size_t rest = numbers - at < CHUNK ? numbers - at : CHUNK;
        const size_t vectors = (rest + WIDTH - 1u) / WIDTH;
        for (size_t q = 0; q < plan->terms; q += block) {
            const size_t left = plan->terms - q, count = left < block ? left : block;
            fill_block(z, plan, h, at, q, count, vectors);
            if (radix == 1)
                add_block(c + at, s + at, z, plan, q, count, vectors, 1);
            else
                add_block(c + at, s + at, z, plan, q, count, vectors, 0);
        }
    }
    for (size_t i = 0; i < csd_ad_sum_numbers(plan); i += WIDTH)
        wide_store(c + i, ADD(wide_load(c + i), turned(wide_load(s + i))));
}

/* Taps (l, a, 2) to planes (a, l), of which antennas a and A - a become sum and difference. */
static void fold_antennas(float *re, float *im, const float *taps, const csd_angular_delay *plan) {
    const size_t row = csd_ad_row(plan), padded = csd_ad_whole(plan->delays), count = plan->antennas;
    for (size_t a = 0; a < count; a++) {
        memset(re + a * padded + plan->delays, 0, (padded - plan->delays) * sizeof *re);
        memset(im + a * padded + plan->delays, 0, (padded - plan->delays) * sizeof *im);
    }
    for (size_t l = 0; l < plan->delays; l++)
        for (size_t a = 0; a < count; a++) {
            re[a * padded + l] = taps[l * row + 2u * a];
            im[a * padded + l] = taps[l * row + 2u * a + 1u];
        }
    for (size_t a = 1; 2u * a < count; a++)
        for (size_t l = 0; l < padded; l += WIDTH)
            for (size_t part = 0; part < 2; part++) {
                float *p = (part ? im : re) + l, *sum = p + a * padded;
                float *difference = p + (count - a) * padded;
                const wide x = wide_load(sum), y = wide_load(difference);
                wide_store(sum, ADD(x, y));
                wide_store(difference, SUB(x, y));
            }
}

/* H of directions f and -f, rows (f + A/2) mod A and (A/2 - f) mod A of x: with C the sums by cos
   and S those by sin, exp(-j) makes C - j S of the one and C + j S of the other. */
static void sum_antennas(float *x, const float *re, const float *im, const csd_angular_delay *plan) {
    const size_t padded = csd_ad_whole(plan->delays), antennas = plan->antennas;
    const size_t half = antennas / 2u + 1u, delays = plan->delays;
    float *const y = x + antennas * delays;
    for (size_t f = 0; f < half; f++) {
        const float *cosine = plan->angle + f * half, *sine = cosine + half * half;
        const size_t plus = (f + antennas / 2u) % antennas * delays;
        const size_t minus = (antennas + antennas / 2u - f) % antennas * delays;
        for (size_t l = 0; l < delays; l += WIDTH) {
            wide cr = wide_all(0.0f), ci = cr, sr = cr, si = cr;
            for (size_t a = 0; a < half; a++) {
                const wide c = wide_all(cosine[a]);
                cr = ADD(cr, wide_mul(c, wide_load(re + a * padded + l)));
                ci = ADD(ci, wide_mul(c, wide_load(im + a * padded + l)));
            }
            for (size_t a = 1; 2u * a < antennas; a++) {
                const wide s = wide_all(sine[a]);
                sr = ADD(sr, wide_mul(s, wide_load(re + (antennas - a) * padded + l)));
                si = ADD(si, wide_mul(s, wide_load(im + (antennas - a) * padded + l)));
            }
            store_some(x + plus + l, ADD(cr, si), delays - l);
            store_some(y + plus + l, SUB(ci, sr), delays - l);
            store_some(x + minus + l, SUB(cr, si), delays - l);
            store_some(y + minus + l, ADD(ci, sr), delays - l);
        }
    }
}

static float largest(wide a) {
    float x[WIDTH], most = 0.0f;
    wide_store(x, a);
    for (size_t i = 0; i < WIDTH; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

/* x = 0.5 + x / (2 max|H|); returns max|H|. Numbers are divided by the largest part before they are
   squared: channels with their path loss in them are as small as 1e-20. */
static float scale(float *x, size_t count) {
    const float *y = x + count;
    const wide zero = wide_all(0.0f), one = wide_all(1.0f), half = wide_all(0.5f);
    wide most = zero;
    for (size_t i = 0; i < 2u * count; i += WIDTH) {
        const wide a = load_some(x + i, 2u * count - i);
        most = wide_max(most, wide_max(a, SUB(zero, a)));
    }
    const float part = largest(most);
    const wide unit = wide_all(part > 0.0f ? part : 1.0f);
    most = zero;
    for (size_t i = 0; i < count; i += WIDTH) {
        const wide a = wide_div(load_some(x + i, count - i), unit);
        const wide b = wide_div(load_some(y + i, count - i), unit);
        most = wide_max(most, ADD(wide_mul(a, a), wide_mul(b, b)));
    }
    const float absmax = part * sqrtf(largest(most));
    if (x[0] != x[0]) /* every number of H depends on every one of h */
        return x[0];
    const wide twice = wide_all(absmax > 0.0f ? 2.0f * absmax : 1.0f);
    for (size_t i = 0; i < 2u * count; i += WIDTH) {
        const size_t left = 2u * count - i;
        const wide a = ADD(wide_div(load_some(x + i, left), twice), half);
        store_some(x + i, wide_min(wide_max(a, zero), one), left);
    }
    return absmax;
}

extern void CSD_KERNEL(angular_delay)(const csd_angular_delay *plan, const float *h, size_t count,
                                      float *x, float *absmax, float *scratch);

void CSD_KERNEL(angular_delay)(const csd_angular_delay *plan, const float *h, size_t count, float *x,
                               float *absmax, float *scratch) {
    const size_t kept = (size_t)plan->antennas * plan->delays;
    float *const c = scratch + csd_ad_block_numbers(), *const s = c + csd_ad_sum_numbers(plan);
    float *const re = s + csd_ad_sum_numbers(plan), *const im = re + csd_ad_plane_numbers(plan);
    for (size_t n = 0; n < count; n++) {
        sum_taps(c, s, scratch, plan, h);
        fold_antennas(re, im, c, plan);
        sum_antennas(x, re, im, plan);
        absmax[n] = scale(x, kept);
        h += 2u * (size_t)plan->subcarriers * plan->antennas;
        x += 2u * kept;
    }
}
