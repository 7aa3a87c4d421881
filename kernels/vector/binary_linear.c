/* y = activation(scale (x . signs) + bias), by looking up the sums of four inputs for many outputs
   at once: a table of 16 float32 is a vector of 512 bits, and one permutation reads it at sixteen
   places. The sums, and the order in which they are added, are those of reference/binary_linear.c:
   (+-x0 +-x1) + (+-x2 +-x3), groups in order from 0 within a block of 64 inputs, blocks in order,
   from 0.

   What is beyond the last input has tables of zeros. To add them changes nothing: a sum that begins
   with +0 is never -0. */
#include "../fast.h"
#include "../vectors.h"
#include "sign_words.h"

#if defined(CSD_HAS_AVX512) || defined(CSD_HAS_AVX2) || defined(CSD_HAS_NEON)

#define BLOCK_STEPS 4u
#define CHUNK 512u /* inputs whose tables are there at once */
#define ROWS 2u    /* rows of x that share what is read of the weights */

typedef float four_sums[16];

#if defined(CSD_HAS_AVX512)
#include "../x86/sign_lookup_avx512.h"
#elif defined(CSD_HAS_AVX2)
#include "../x86/sign_lookup_avx2.h"
#else
#include "../arm/sign_lookup_neon.h"
#endif

/* Rows of x times a chunk of inputs, on top of what y has, unless it is the first. */
CSD_INLINE void multiply_chunk(float *y, const float *x, size_t inputs, size_t outputs, size_t at,
                               const void *words, size_t rows) {
    CSD_ALIGNED(64) four_sums tables[ROWS * CHUNK / 4u];
    const size_t steps = csd_sign_steps(inputs), tiles = csd_sign_tiles(outputs);
    const size_t count = inputs - at < CHUNK ? inputs - at : CHUNK;
    const size_t here = csd_sign_steps(count);
    for (size_t r = 0; r < rows; r++)
        build_tables(tables + r * (CHUNK / 4u), x + r * inputs + at, count);
    for (size_t t = 0; t < tiles; t += CSD_SIGN_STRIP) {
        const uint16_t *from = csd_sign_at(words, t, tiles, steps, at / CSD_SIGN_STEP);
        const size_t left = outputs - t * CSD_SIGN_TILE;
        float *to = y + t * CSD_SIGN_TILE;
        if (csd_sign_wide(t, tiles) == CSD_SIGN_STRIP) {
            add_strip(to, outputs, left, at == 0, (const four_sums *)tables, from, here,
                      CSD_SIGN_STRIP, rows);
        } else {
            const size_t wide = csd_sign_wide(t, tiles);
            for (size_t v = 0; v < wide; v++)
                add_tile(to + v * CSD_SIGN_TILE, outputs, left - v * CSD_SIGN_TILE, at == 0,
                         (const four_sums *)tables, from + v * CSD_SIGN_TILE, here, wide, rows);
        }
    }
}

static void multiply_one(float *y, const float *x, size_t inputs, size_t outputs,
                         const void *words) {
    for (size_t at = 0; at < inputs; at += CHUNK)
        multiply_chunk(y, x, inputs, outputs, at, words, 1u);
}

static void multiply_rows(float *y, const float *x, size_t inputs, size_t outputs,
                          const void *words) {
    for (size_t at = 0; at < inputs; at += CHUNK)
        multiply_chunk(y, x, inputs, outputs, at, words, ROWS);
}

int CSD_FAST(binary_linear)(const csd_args *args) {
    const csd_input *x = &args->in[CSD_BINARY_LINEAR_X];
    const csd_input *scales = &args->in[CSD_BINARY_LINEAR_SCALE];
    const float *bias = args->in[CSD_BINARY_LINEAR_BIAS].data, *scale = scales->data;
    const size_t outputs = args->in[CSD_BINARY_LINEAR_WEIGHT].shape.dims[0];
    const size_t inputs = x->shape.dims[x->shape.rank - 1u];
    const size_t rows = csd_count(&x->shape, 0, x->shape.rank - 1u);
    const size_t scale_step = scales->shape.dims[0] == 1 ? 0 : 1;
    const float *from = x->data;
    float *y = args->out[0].data;
    size_t r = 0;
    if (args->prepared == NULL)
        return 0;
    for (; r + ROWS <= rows; r += ROWS)
        multiply_rows(y + r * outputs, from + r * inputs, inputs, outputs, args->prepared);
    for (; r < rows; r++)
        multiply_one(y + r * outputs, from + r * inputs, inputs, outputs, args->prepared);
    for (r = 0; r < rows; r++) {
        float *row = y + r * outputs;
        for (size_t m = 0; m < outputs; m++)
            row[m] = scale[m * scale_step] * row[m];
        for (size_t m = 0; bias != NULL && m < outputs; m++)
            row[m] += bias[m];
    }
    CSD_KERNEL(activate_columns)
    (y, rows, outputs, args->params[CSD_BINARY_LINEAR_P_ACTIVATION].u,
     args->params[CSD_BINARY_LINEAR_P_ALPHA].f, &args->in[CSD_BINARY_LINEAR_SLOPE]);
    return 1;
}

size_t CSD_PREPARE(binary_linear)(const csd_args *args, void *memory) {
    const csd_shape *shape = &args->in[CSD_BINARY_LINEAR_X].shape;
    return csd_sign_prepare(&args->in[CSD_BINARY_LINEAR_WEIGHT], shape->dims[shape->rank - 1u],
                            memory);
}

#else
CSD_NOTHING_FAST(binary_linear)
CSD_NOTHING_PREPARED(binary_linear)
#endif
