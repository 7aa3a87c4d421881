/* Look-ups and steps of a search, sixteen at once: kernels/vector/quantize_logit.c. */
#ifndef CSIDEPLOY_X86_SEARCHES_H
#define CSIDEPLOY_X86_SEARCHES_H

#ifdef CSD_HAS_AVX512

/* Numbers index[0], index[1], ... of a table of sixteen. */
CSD_INLINE csd_wide csd_wide_at(csd_wide table, csd_words index) {
    return _mm512_permutexvar_ps(index, table);
}
/* x + (a < b ? step : 0) */
CSD_INLINE csd_words csd_words_step(csd_words x, csd_wide a, csd_wide b, csd_words step) {
    return _mm512_mask_add_epi32(x, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), x, step);
}

#else

/* Bit 3 of an index, which says the half of the table, as the sign that a blend looks at. */
CSD_INLINE __m256 csd_half_at(csd_wide table, __m256i index) {
    const __m256 low = _mm256_permutevar8x32_ps(table.a, index);
    const __m256 high = _mm256_permutevar8x32_ps(table.b, index);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}
CSD_INLINE csd_wide csd_wide_at(csd_wide table, csd_words index) {
    CSD_HALVES(y, csd_half_at(table, index.a), csd_half_at(table, index.b));
}
CSD_INLINE __m256i csd_half_step(__m256i x, __m256 a, __m256 b, __m256i step) {
    const __m256i below = _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ));
    return _mm256_add_epi32(x, _mm256_and_si256(below, step));
}
CSD_INLINE csd_words csd_words_step(csd_words x, csd_wide a, csd_wide b, csd_words step) {
    const csd_words y = {csd_half_step(x.a, a.a, b.a, step.a),
                         csd_half_step(x.b, a.b, b.b, step.b)};
    return y;
}

#endif
#endif
