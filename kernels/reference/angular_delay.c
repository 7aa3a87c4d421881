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
#define CHUNK ((size_t)CSD_AD_CHUNK * CSD_WIDE)

/* Vectors whose sums are in registers at once. */
#ifdef CSD_HAS_AVX512
#define TILE 2u
#else
#define TILE 1u /* of 16 registers, two vectors would take all */
#endif

/* j a, of numbers (re, im) in turns. */
CSD_INLINE csd_wide turned(csd_wide a) {
#ifdef CSD_HAS_AVX512
    const __m512 sign = _mm512_castsi512_ps(_mm512_set1_epi64(0x80000000));
    return _mm512_xor_ps(_mm512_permute_ps(a, 0xB1), sign);
#elif defined(CSD_HAS_AVX2)
    const __m256 sign = _mm256_castsi256_ps(_mm256_set1_epi64x(0x80000000));
    CSD_HALVES(y, _mm256_xor_ps(_mm256_permute_ps(a.a, 0xB1), sign),
               _mm256_xor_ps(_mm256_permute_ps(a.b, 0xB1), sign));
#else
    float x[CSD_WIDE];
    csd_wide_store(x, a);
    for (size_t i = 0; i < CSD_WIDE; i += 2u) {
        const float re = x[i];
        x[i] = -x[i + 1u];
        x[i + 1u] = re;
    }
    return csd_wide_load(x);
#endif
}

/* The first `count` numbers of a vector, zeros behind them. */
CSD_INLINE csd_wide load_some(const float *p, size_t count) {
    if (count >= CSD_WIDE)
        return csd_wide_load(p);
    float x[CSD_WIDE] = {0};
    memcpy(x, p, count * sizeof *x);
    return csd_wide_load(x);
}

CSD_INLINE void store_some(float *p, csd_wide a, size_t count) {
    float x[CSD_WIDE];
    if (count >= CSD_WIDE) {
        csd_wide_store(p, a);
        return;
    }
    csd_wide_store(x, a);
    memcpy(p, x, count * sizeof *x);
}

#define ADD csd_wide_add
#define SUB csd_wide_sub
#define TIMES(a, x) csd_wide_mul(csd_wide_all(a), x)

/* z[r] = sum_p h[p] exp(j 2 pi p r / 4). */
CSD_INLINE void transform4(csd_wide *z, const csd_wide *h) {
    const csd_wide even = ADD(h[0], h[2]), odd = ADD(h[1], h[3]);
    const csd_wide c = SUB(h[0], h[2]), s = turned(SUB(h[1], h[3]));
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
CSD_INLINE void transform16(csd_wide *z, const csd_wide *h) {
    csd_wide e[9], o[8], c[9], s[8];
    e[0] = h[0];
    e[8] = h[8];
    CSD_UNROLL for (size_t p = 1; p < 8; p++) {
        e[p] = ADD(h[p], h[16 - p]);
        o[p] = SUB(h[p], h[16 - p]);
    }
    const csd_wide f0 = ADD(e[0], e[8]), f1 = ADD(e[1], e[7]), f2 = ADD(e[2], e[6]);
    const csd_wide f3 = ADD(e[3], e[5]), f4 = e[4];
    const csd_wide sum = ADD(ADD(f0, f4), f2), sides = ADD(f1, f3);
    const csd_wide middle = SUB(f0, f4), slope = TIMES(COS2, SUB(f1, f3));
    c[0] = ADD(sum, sides);
    c[8] = SUB(sum, sides);
    c[4] = SUB(ADD(f0, f4), f2);
    c[2] = ADD(middle, slope);
    c[6] = SUB(middle, slope);
    const csd_wide g0 = SUB(e[0], e[8]), g1 = SUB(e[1], e[7]), g3 = SUB(e[3], e[5]);
    const csd_wide g2 = TIMES(COS2, SUB(e[2], e[6]));
    const csd_wide outer = ADD(g0, g2), inner = SUB(g0, g2);
    const csd_wide near = ADD(TIMES(COS1, g1), TIMES(COS3, g3));
    const csd_wide far = SUB(TIMES(COS3, g1), TIMES(COS1, g3));
    c[1] = ADD(outer, near);
    c[7] = SUB(outer, near);
    c[3] = ADD(inner, far);
    c[5] = SUB(inner, far);
    const csd_wide m1 = SUB(o[1], o[7]), m2 = SUB(o[2], o[6]), m3 = SUB(o[3], o[5]);
    const csd_wide both = TIMES(COS2, ADD(m1, m3));
    s[2] = ADD(both, m2);
    s[6] = SUB(both, m2);
    s[4] = SUB(m1, m3);
    const csd_wide n1 = ADD(o[1], o[7]), n3 = ADD(o[3], o[5]), n4 = o[4];
    const csd_wide n2 = TIMES(COS2, ADD(o[2], o[6]));
    const csd_wide high = ADD(n2, n4), low = SUB(n2, n4);
    const csd_wide rise = ADD(TIMES(COS3, n1), TIMES(COS1, n3));
    const csd_wide fall = SUB(TIMES(COS1, n1), TIMES(COS3, n3));
    s[1] = ADD(rise, high);
    s[7] = SUB(rise, high);
    s[3] = ADD(fall, low);
    s[5] = SUB(fall, low);
    z[0] = c[0];
    z[8] = c[8];
    CSD_UNROLL for (size_t r = 1; r < 8; r++) {
        const csd_wide j = turned(s[r]);
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
    csd_wide in[16], out[16];
    CSD_UNROLL for (size_t p = 0; p < radix; p++)
        in[p] = csd_wide_load(z + p * slot);
    if (radix == 16)
        transform16(out, in);
    else
        transform4(out, in);
    CSD_UNROLL for (size_t r = 0; r < radix; r++)
        csd_wide_store(z + r * slot, out[r]);
}

/* Rows that lie one after the other go into a slot before anything is transformed: rows that are a
   power of two apart push one another out of the cache, twice where they begin within a line. */
CSD_INLINE void copy_rows(float *z, const float *h, size_t row, size_t terms, size_t left,
                          size_t vectors) {
    for (size_t i = 0; i < terms; i++, h += row, z += CHUNK)
        for (size_t v = 0; v < vectors; v++)
            csd_wide_store(z + v * CSD_WIDE, load_some(h + v * CSD_WIDE, left - v * CSD_WIDE));
}

/* e and o of a vector; the first and the middle subcarrier are their own partners. */
CSD_INLINE void pair(float *z, size_t slot, const float *h, const float *partner, size_t left) {
    const csd_wide a = load_some(h, left), zero = csd_wide_all(0.0f);
    const csd_wide b = partner != NULL ? load_some(partner, left) : zero;
    csd_wide_store(z, ADD(a, b));
    csd_wide_store(z + slot, partner != NULL ? SUB(a, b) : zero);
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
                copy_rows(z + p * slot, h, row, terms, CHUNK, CSD_AD_CHUNK);
            else
                copy_rows(z + p * slot, h, row, terms, row - at, vectors);
        for (size_t i = 0; i < terms; i++, z += CHUNK)
            for (size_t v = 0; v < vectors; v++)
                transform(z + v * CSD_WIDE, slot, radix);
        return;
    }
    for (size_t i = 0; i < terms; i++, q++, h += row, z += CHUNK) {
        const float *partner = q == 0 || 2u * q == k ? NULL : h + (k - 2u * q) * row;
        for (size_t v = 0; v < vectors * CSD_WIDE; v += CSD_WIDE)
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
    csd_wide cs[4][TILE], sn[4][TILE];
    const csd_wide zero = csd_wide_all(0.0f);
    CSD_UNROLL for (size_t i = 0; i < lines; i++)
        CSD_UNROLL for (size_t v = 0; v < tile; v++)
            cs[i][v] = sn[i][v] = zero;
    for (size_t q = 0; q < count; q++, even += CHUNK, odd += CHUNK) {
        csd_wide e[TILE], o[TILE];
        CSD_UNROLL for (size_t v = 0; v < tile; v++) {
            e[v] = csd_wide_load(even + v * CSD_WIDE);
            o[v] = paired ? csd_wide_load(odd + v * CSD_WIDE) : e[v];
        }
        CSD_UNROLL for (size_t i = 0; i < lines; i++) {
            const csd_wide a = csd_wide_all(factors[i * factor_step + q]);
            const csd_wide b = csd_wide_all(factors[i * factor_step + terms + q]);
            CSD_UNROLL for (size_t v = 0; v < tile; v++) {
                cs[i][v] = ADD(cs[i][v], csd_wide_mul(a, e[v]));
                sn[i][v] = ADD(sn[i][v], csd_wide_mul(b, o[v]));
            }
        }
    }
    CSD_UNROLL for (size_t i = 0; i < lines; i++)
        CSD_UNROLL for (size_t v = 0; v < tile; v++) {
            float *cp = c + i * step + v * CSD_WIDE, *sp = s + i * step + v * CSD_WIDE;
            csd_wide_store(cp, ADD(csd_wide_load(cp), cs[i][v]));
            csd_wide_store(sp, ADD(csd_wide_load(sp), sn[i][v]));
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
        add_tile(c + v * CSD_WIDE, s + v * CSD_WIDE, z + v * CSD_WIDE, plan, q, count, TILE, paired);
    if (v < vectors)
        add_tile(c + v * CSD_WIDE, s + v * CSD_WIDE, z + v * CSD_WIDE, plan, q, count, 1, paired);
}

/* c = sums with cos + j sums with sin, all taps, not divided by K. */
static void sum_taps(float *c, float *s, float *z, const csd_angular_delay *plan, const float *h) {
    const size_t row = csd_ad_row(plan), radix = plan->radix;
    const size_t block = block_of(radix);
    memset(c, 0, csd_ad_sum_numbers(plan) * sizeof *c);
    memset(s, 0, csd_ad_sum_numbers(plan) * sizeof *s);
    for (size_t at = 0; at < row; at += CHUNK) {
        const size_t vectors = (row - at < CHUNK ? row - at : CHUNK) / CSD_WIDE;
        for (size_t q = 0; q < plan->terms; q += block) {
            const size_t left = plan->terms - q, count = left < block ? left : block;
            fill_block(z, plan, h, at, q, count, vectors);
            if (radix == 1)
                add_block(c + at, s + at, z, plan, q, count, vectors, 1);
            else
                add_block(c + at, s + at, z, plan, q, count, vectors, 0);
        }
    }
    for (size_t i = 0; i < csd_ad_sum_numbers(plan); i += CSD_WIDE)
        csd_wide_store(c + i, ADD(csd_wide_load(c + i), turned(csd_wide_load(s + i))));
}

/* Taps (l, a, 2) to planes (a, l), of which antennas a and A - a become sum and difference. */
static void fold_antennas(float *re, float *im, const float *taps, const csd_angular_delay *plan) {
    const size_t row = csd_ad_row(plan), wide = csd_ad_whole(plan->delays), count = plan->antennas;
    for (size_t a = 0; a < count; a++) {
        memset(re + a * wide + plan->delays, 0, (wide - plan->delays) * sizeof *re);
        memset(im + a * wide + plan->delays, 0, (wide - plan->delays) * sizeof *im);
    }
    for (size_t l = 0; l < plan->delays; l++)
        for (size_t a = 0; a < count; a++) {
            re[a * wide + l] = taps[l * row + 2u * a];
            im[a * wide + l] = taps[l * row + 2u * a + 1u];
        }
    for (size_t a = 1; 2u * a < count; a++)
        for (size_t l = 0; l < wide; l += CSD_WIDE)
            for (size_t part = 0; part < 2; part++) {
                float *p = (part ? im : re) + l, *sum = p + a * wide;
                float *difference = p + (count - a) * wide;
                const csd_wide x = csd_wide_load(sum), y = csd_wide_load(difference);
                csd_wide_store(sum, ADD(x, y));
                csd_wide_store(difference, SUB(x, y));
            }
}

/* H of directions f and -f, rows (f + A/2) mod A and (A/2 - f) mod A of x: with C the sums by cos
   and S those by sin, exp(-j) makes C - j S of the one and C + j S of the other. */
static void sum_antennas(float *x, const float *re, const float *im, const csd_angular_delay *plan) {
    const size_t wide = csd_ad_whole(plan->delays), antennas = plan->antennas;
    const size_t half = antennas / 2u + 1u, delays = plan->delays;
    float *const y = x + antennas * delays;
    for (size_t f = 0; f < half; f++) {
        const float *cosine = plan->angle + f * half, *sine = cosine + half * half;
        const size_t plus = (f + antennas / 2u) % antennas * delays;
        const size_t minus = (antennas + antennas / 2u - f) % antennas * delays;
        for (size_t l = 0; l < wide; l += CSD_WIDE) {
            csd_wide cr = csd_wide_all(0.0f), ci = cr, sr = cr, si = cr;
            for (size_t a = 0; a < half; a++) {
                const csd_wide c = csd_wide_all(cosine[a]);
                cr = ADD(cr, csd_wide_mul(c, csd_wide_load(re + a * wide + l)));
                ci = ADD(ci, csd_wide_mul(c, csd_wide_load(im + a * wide + l)));
            }
            for (size_t a = 1; 2u * a < antennas; a++) {
                const csd_wide s = csd_wide_all(sine[a]);
                sr = ADD(sr, csd_wide_mul(s, csd_wide_load(re + (antennas - a) * wide + l)));
                si = ADD(si, csd_wide_mul(s, csd_wide_load(im + (antennas - a) * wide + l)));
            }
            store_some(x + plus + l, ADD(cr, si), delays - l);
            store_some(y + plus + l, SUB(ci, sr), delays - l);
            store_some(x + minus + l, SUB(cr, si), delays - l);
            store_some(y + minus + l, ADD(ci, sr), delays - l);
        }
    }
}

static float largest(csd_wide a) {
    float x[CSD_WIDE], most = 0.0f;
    csd_wide_store(x, a);
    for (size_t i = 0; i < CSD_WIDE; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

/* x = 0.5 + x / (2 max|H|); returns max|H|. Numbers are divided by the largest part before they are
   squared: channels with their path loss in them are as small as 1e-20. */
static float scale(float *x, size_t count) {
    const float *y = x + count;
    const csd_wide zero = csd_wide_all(0.0f), one = csd_wide_all(1.0f), half = csd_wide_all(0.5f);
    csd_wide most = zero;
    for (size_t i = 0; i < 2u * count; i += CSD_WIDE) {
        const csd_wide a = load_some(x + i, 2u * count - i);
        most = csd_wide_max(most, csd_wide_max(a, SUB(zero, a)));
    }
    const float part = largest(most);
    const csd_wide unit = csd_wide_all(part > 0.0f ? part : 1.0f);
    most = zero;
    for (size_t i = 0; i < count; i += CSD_WIDE) {
        const csd_wide a = csd_wide_div(load_some(x + i, count - i), unit);
        const csd_wide b = csd_wide_div(load_some(y + i, count - i), unit);
        most = csd_wide_max(most, ADD(csd_wide_mul(a, a), csd_wide_mul(b, b)));
    }
    const float absmax = part * sqrtf(largest(most));
    if (x[0] != x[0]) /* every number of H depends on every one of h */
        return x[0];
    const csd_wide twice = csd_wide_all(absmax > 0.0f ? 2.0f * absmax : 1.0f);
    for (size_t i = 0; i < 2u * count; i += CSD_WIDE) {
        const size_t left = 2u * count - i;
        const csd_wide a = ADD(csd_wide_div(load_some(x + i, left), twice), half);
        store_some(x + i, csd_wide_min(csd_wide_max(a, zero), one), left);
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
