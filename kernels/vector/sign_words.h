/* 1-bit weights in the order in which tables are looked up, made once per part.

   Four inputs, a group, have 16 signed sums; their four bits are the place in that table. A word of
   16 bits holds the places of one output in four groups, the first in the low bits: a step of 16
   inputs. Sixteen dwords stand side by side, of outputs 0 to 15 in their low words and of outputs 16
   to 31 in their high words: a tile. Four tiles are a strip, whose steps follow one another, so that
   a pass over a strip reads memory from end to end:

       words[strip][step][tile][output mod 16][output / 16 mod 2]

   Inputs and outputs that are not there have bits of 0. Nothing is larger than the weights, but for
   these and a margin behind them: a reader may take a vector from up to three bytes further on. */
#ifndef CSIDEPLOY_SIGN_WORDS_H
#define CSIDEPLOY_SIGN_WORDS_H

#include <string.h>

#include "../kernels.h"

#define CSD_SIGN_STEP 16u  /* inputs of a step */
#define CSD_SIGN_TILE 32u  /* outputs of a tile, and the words of one step of it */
#define CSD_SIGN_STRIP 4u  /* tiles of a strip; the last strip may have fewer */
#define CSD_SIGN_MARGIN 64u
#define CSD_SIGN_MOST (64u << 20)

static inline size_t csd_sign_steps(size_t inputs) {
    return (inputs + CSD_SIGN_STEP - 1u) / CSD_SIGN_STEP;
}

static inline size_t csd_sign_tiles(size_t outputs) {
    return (outputs + CSD_SIGN_TILE - 1u) / CSD_SIGN_TILE;
}

/* Tiles of the strip that begins at tile `first`. */
static inline size_t csd_sign_wide(size_t first, size_t tiles) {
    return tiles - first < CSD_SIGN_STRIP ? tiles - first : CSD_SIGN_STRIP;
}

/* Where the strip that begins at tile `first`, a multiple of CSD_SIGN_STRIP, has its step. */
static inline const uint16_t *csd_sign_at(const void *words, size_t first, size_t tiles,
                                          size_t steps, size_t step) {
    return (const uint16_t *)words +
           (first * steps + csd_sign_wide(first, tiles) * step) * CSD_SIGN_TILE;
}

/* The four places in two bytes of a row, where the first input is the high bit. */
static inline uint16_t csd_sign_word(const uint8_t *row, size_t row_bytes, size_t step) {
    const uint32_t a = row[2u * step];
    const uint32_t b = 2u * step + 1u < row_bytes ? row[2u * step + 1u] : 0u;
    return (uint16_t)(a >> 4 | (a & 15u) << 4 | b >> 4 << 8 | (b & 15u) << 12);
}

/* A csd_preparer for the weight (outputs, ceil(inputs / 8)). */
static inline size_t csd_sign_prepare(const csd_input *weight, size_t inputs, void *memory) {
    const size_t outputs = weight->shape.dims[0], row_bytes = (inputs + 7u) / 8u;
    const size_t steps = csd_sign_steps(inputs), tiles = csd_sign_tiles(outputs);
    const uint64_t size =
        (uint64_t)steps * tiles * CSD_SIGN_TILE * sizeof(uint16_t) + CSD_SIGN_MARGIN;
    uint16_t *to = memory;
    if (weight->data == NULL || size > CSD_SIGN_MOST)
        return 0;
    if (memory != NULL)
        memset((uint8_t *)memory + size - CSD_SIGN_MARGIN, 0, CSD_SIGN_MARGIN);
    for (size_t first = 0; first < tiles && to != NULL; first += CSD_SIGN_STRIP)
        for (size_t step = 0; step < steps; step++)
            for (size_t t = first; t < first + csd_sign_wide(first, tiles); t++)
                for (size_t i = 0; i < CSD_SIGN_TILE; i++) {
                    const size_t m = t * CSD_SIGN_TILE + i / 2u + i % 2u * 16u;
                    *to++ = m < outputs ? csd_sign_word((const uint8_t *)weight->data +
                                                            m * row_bytes,
                                                        row_bytes, step)
                                        : (uint16_t)0;
                }
    return (size_t)size;
}

#endif
