/* Codes of the integer operations, sixteen at a time: kernels/codes.h in vectors. */
#ifndef CSIDEPLOY_CODE_WORDS_H
#define CSIDEPLOY_CODE_WORDS_H

#include "../codes.h"
#include "../vectors.h"

#if defined(CSD_HAS_AVX512) || defined(CSD_HAS_AVX2)
#include "../x86/words.h"
#else
#include "../arm/words.h"
#endif

/* Codes number `at` and the next ones, `count` in all, at most sixteen. */
CSD_INLINE csd_words csd_load_words(const csd_input *codes, size_t at, size_t count) {
    if (codes->shape.dtype == CSD_U8)
        return csd_words_u8((const uint8_t *)codes->data + at, count);
    if (codes->shape.dtype == CSD_I8)
        return csd_words_i8((const int8_t *)codes->data + at, count);
    return csd_words_i16((const int16_t *)codes->data + at, count);
}

/* An i8 is stored as the u8 of the same bits. */
CSD_INLINE void csd_store_words(const csd_output *codes, size_t at, csd_words x, size_t count) {
    if (codes->shape.dtype == CSD_I16)
        csd_words_to_16((int16_t *)codes->data + at, x, count);
    else
        csd_words_to_8((uint8_t *)codes->data + at, x, count);
}

/* What a code becomes: the range of its type, and the zero point. */
typedef struct csd_code_range {
    csd_wide least, most, beyond;
    csd_words zero;
} csd_code_range;

CSD_INLINE csd_code_range csd_range_of(uint32_t dtype, int32_t zero) {
    const int32_t low = dtype == CSD_U8 ? 0 : dtype == CSD_I8 ? INT8_MIN : INT16_MIN;
    const int32_t high = dtype == CSD_U8 ? UINT8_MAX : dtype == CSD_I8 ? INT8_MAX : INT16_MAX;
    const csd_code_range range = {csd_wide_all((float)(low - zero)),
                                  csd_wide_all((float)(high - zero)),
                                  csd_wide_all((float)(high - zero + 1)), csd_words_all(zero)};
    return range;
}

/* The codes of x, a NaN as 0: that alone is neither cut nor below what lies beyond. */
CSD_INLINE csd_words csd_saturate_words(csd_wide x, const csd_code_range *range) {
    const csd_wide cut = csd_wide_min(range->most, csd_wide_max(range->least, x));
    const csd_wide number = csd_wide_if_below(cut, range->beyond, cut, csd_wide_all(0.0f));
    return csd_words_add(csd_words_nearest(number), range->zero);
}

#endif
