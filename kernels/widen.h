/* Integers of any type as 32-bit words and back, for kernels that take several types: a chunk is
   widened into a buffer, so that each function is written once. */
#ifndef CSIDEPLOY_WIDEN_H
#define CSIDEPLOY_WIDEN_H

#include <string.h>

#include "kernels.h"

/* Integers of any of the types to 32 bits, with their sign. */
static inline void csd_widen(int32_t *to, const void *from, uint32_t dtype, size_t count) {
    const uint8_t *u8 = from;
    const int8_t *i8 = from;
    const int16_t *i16 = from;
    switch (dtype) {
    case CSD_U8:
        for (size_t i = 0; i < count; i++)
            to[i] = u8[i];
        return;
    case CSD_I8:
        for (size_t i = 0; i < count; i++)
            to[i] = i8[i];
        return;
    case CSD_I16:
        for (size_t i = 0; i < count; i++)
            to[i] = i16[i];
        return;
    default:
        memcpy(to, from, count * sizeof *to);
    }
}

/* The low bits of 32-bit integers, `element` bytes each. */
static inline void csd_narrow(void *to, const int32_t *from, size_t element, size_t count) {
    uint8_t *bytes = to;
    uint16_t *halves = to;
    if (element == 1) {
        for (size_t i = 0; i < count; i++)
            bytes[i] = (uint8_t)from[i];
    } else if (element == 2) {
        for (size_t i = 0; i < count; i++)
            halves[i] = (uint16_t)from[i];
    } else {
        memcpy(to, from, count * sizeof *from);
    }
}

/* Towards zero, bounded by the type's range; a NaN gives 0. 2^31 - 128 is the largest float below
   2^31, so that the conversion is defined; what lies above it gets the type's bound after it. */
static inline void csd_to_integers(int32_t *to, const float *from, uint32_t dtype, size_t count) {
    const float low = dtype == CSD_U8    ? 0.0f
                      : dtype == CSD_I8  ? -128.0f
                      : dtype == CSD_I16 ? -32768.0f
                                         : -2147483648.0f;
    const float high = dtype == CSD_U8    ? 255.0f
                       : dtype == CSD_I8  ? 127.0f
                       : dtype == CSD_I16 ? 32767.0f
                                          : 2147483520.0f;
    const int32_t most = dtype == CSD_I32 ? INT32_MAX : (int32_t)high;
    for (size_t i = 0; i < count; i++) {
        const float number = from[i] == from[i] ? from[i] : 0.0f;
        const float raised = number < low ? low : number;
        const int32_t whole = (int32_t)(raised > high ? high : raised);
        to[i] = raised > high ? most : whole;
    }
}

#endif
