/* A table of 16 entries of 32 bits, float32 or integers, as two vectors of 256 bits: the high bit of a
   place chooses between what both give at its low three bits. */
#ifndef CSIDEPLOY_SIGN_HALVES_AVX2_H
#define CSIDEPLOY_SIGN_HALVES_AVX2_H

/* The words of a step of a tile. */
typedef struct sign_places {
    __m256i w[2];
} sign_places;

CSD_INLINE sign_places load_places(const uint16_t *words) {
    const sign_places places = {{
        _mm256_loadu_si256((const __m256i *)(const void *)words),
        _mm256_loadu_si256((const __m256i *)(const void *)(words + 16)),
    }};
    return places;
}

/* The entries of group g, 0 to 3, for the outputs 8 v to 8 v + 7 of a tile. */
CSD_INLINE __m256 look_up(const void *table, sign_places places, int g, int v) {
    const int at = 4 * g + 16 * (v / 2); /* of the place in a dword */
    const __m256i low = _mm256_srli_epi32(places.w[v % 2], at);
    const __m256i high = _mm256_slli_epi32(places.w[v % 2], 28 - at); /* its high bit as a sign */
    return _mm256_blendv_ps(
        _mm256_permutevar8x32_ps(_mm256_load_ps((const float *)table), low),
        _mm256_permutevar8x32_ps(_mm256_load_ps((const float *)table + 8), low),
        _mm256_castsi256_ps(high));
}

#endif
