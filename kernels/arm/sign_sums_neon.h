/* Signed sums of four integers in tables of bytes, and sums of what stands in them, with NEON.
   Included by vector/qbinary_linear.c.

   One look-up reads a table of 16 bytes for 16 outputs, so that an entry is cut in two, a low part
   without sign and a high part with one, which are looked up and added up on their own. Entries are
   half the sums, as in x86/sign_sums_avx512.h: with bits b, and >> rounding down,

       sum of (b ? x : -x) = 2 sum of (b ? x - (x >> 1) : -(x >> 1)) - sum of (x & 1),

   where an entry, the second sum, is at most half of sum (|x| + 1). What is added where, in a chunk of
   256 groups:

   - SMALL entries, all of 8-bit x: 6 low bits, of which 4 groups fit a byte (4 x 63 < 256), and what
     is above, between -10 and 9, of which 3 steps of 4 groups do (12 x 10 < 128); then as words.
   - Others that fit 16 bits: two bytes, added as words (256 x 255 < 2^16, 256 x 128 = 2^15 downwards).
   - A chunk with larger entries has tables of 32 bits, which are read one by one. */

#define SMALL 6
#define SMALL_MOST 1200u  /* sum of |x| in a group: an entry is at most 602 < 10 x 64 */
#define WORD_MOST 65530u  /* an entry is at most 32767 */
#define HELD 3u           /* steps */

typedef struct byte_table {
    uint8_t low[16], high[16];
} byte_table;

/* x - (x >> 1) of four inputs stands in lanes 0 to 3, -(x >> 1) in lanes 4 to 7. Which bytes of them
   eight entries have of the second, third and fourth input. */
static const uint8_t halves[3][16] = {
    {10, 11, 10, 11, 10, 11, 10, 11, 2, 3, 2, 3, 2, 3, 2, 3},
    {12, 13, 12, 13, 4, 5, 4, 5, 12, 13, 12, 13, 4, 5, 4, 5},
    {14, 15, 6, 7, 14, 15, 6, 7, 14, 15, 6, 7, 14, 15, 6, 7},
};

CSD_INLINE int16x8_t pick(int16x8_t from, const uint8_t *at) {
    return vreinterpretq_s16_u8(vqtbl1q_u8(vreinterpretq_u8_s16(from), vld1q_u8(at)));
}

static void build_byte_tables(byte_table *tables, const int32_t *numbers, size_t groups,
                              const int split) {
    for (size_t g = 0; g < groups; g++) {
        const int32x4_t x = vld1q_s32(numbers + 4u * g), half = vshrq_n_s32(x, 1);
        const int16x8_t both =
            vcombine_s16(vmovn_s32(vsubq_s32(x, half)), vmovn_s32(vnegq_s32(half)));
        const int16x8_t three =
            vaddq_s16(pick(both, halves[0]), vaddq_s16(pick(both, halves[1]), pick(both, halves[2])));
        int16x8_t first = vaddq_s16(three, vdupq_laneq_s16(both, 4)); /* entries 0 to 7 */
        int16x8_t second = vaddq_s16(three, vdupq_laneq_s16(both, 0));
        if (split == SMALL) {
            first = vshlq_n_s16(first, 8 - SMALL);
            second = vshlq_n_s16(second, 8 - SMALL);
        }
        const uint8x16_t a = vreinterpretq_u8_s16(first), b = vreinterpretq_u8_s16(second);
        const uint8x16_t low = vuzp1q_u8(a, b);
        vst1q_u8(tables[g].low, split == SMALL ? vshrq_n_u8(low, 8 - SMALL) : low);
        vst1q_u8(tables[g].high, vuzp2q_u8(a, b));
    }
}

/* Sums of 16 outputs. */
typedef struct byte_sums {
    uint16x8_t low[2];
    int16x8_t high[2];
} byte_sums;

CSD_INLINE void add_low(byte_sums *sums, uint8x16_t bytes) {
    sums->low[0] = vaddw_u8(sums->low[0], vget_low_u8(bytes));
    sums->low[1] = vaddw_high_u8(sums->low[1], bytes);
}

CSD_INLINE void add_high(byte_sums *sums, int8x16_t bytes) {
    sums->high[0] = vaddw_s8(sums->high[0], vget_low_s8(bytes));
    sums->high[1] = vaddw_high_s8(sums->high[1], bytes);
}

/* The four groups of a step of one tile on top of sums; `held` is of SMALL entries alone. */
CSD_INLINE void add_step(byte_sums sums[2], int8x16_t held[2], const byte_table *tables,
                         const uint16_t *words, const int split) {
    const uint8x16x4_t bytes = vld4q_u8((const uint8_t *)words);
    uint8x16_t low[2];
    CSD_UNROLL
    for (unsigned g = 0; g < 4u; g++) {
        const uint8x16_t lows = vld1q_u8(tables[g].low), highs = vld1q_u8(tables[g].high);
        CSD_UNROLL
        for (unsigned half = 0; half < 2u; half++) {
            const uint8x16_t two = bytes.val[g / 2u + 2u * half];
            const uint8x16_t places =
                g % 2u == 0 ? vandq_u8(two, vdupq_n_u8(15)) : vshrq_n_u8(two, 4);
            const uint8x16_t found = vqtbl1q_u8(lows, places);
            const int8x16_t above = vreinterpretq_s8_u8(vqtbl1q_u8(highs, places));
            if (split != SMALL) {
                add_low(sums + half, found);
                add_high(sums + half, above);
            } else {
                low[half] = g == 0 ? found : vaddq_u8(low[half], found);
                held[half] = vaddq_s8(held[half], above);
            }
        }
    }
    CSD_UNROLL
    for (unsigned half = 0; half < 2u && split == SMALL; half++)
        add_low(sums + half, low[half]);
}

/* to += 2 (low + high << split) - odd, of 8 outputs. */
CSD_INLINE void store_sums(int32_t *to, uint16x8_t low, int16x8_t high, int32_t odd,
                           const int split) {
    const int32x4_t less = vdupq_n_s32(odd);
    const int32x4_t one = vreinterpretq_s32_u32(vshll_n_u16(vget_low_u16(low), 1));
    const int32x4_t two = vreinterpretq_s32_u32(vshll_high_n_u16(low, 1));
    const int32_t factor = 2 << split;
    const int32x4_t a = vmlaq_n_s32(one, vmovl_s16(vget_low_s16(high)), factor);
    const int32x4_t b = vmlaq_n_s32(two, vmovl_high_s16(high), factor);
    vst1q_s32(to, vaddq_s32(vld1q_s32(to), vsubq_s32(a, less)));
    vst1q_s32(to + 4, vaddq_s32(vld1q_s32(to + 4), vsubq_s32(b, less)));
}

/* One tile, of which `pitch` stand side by side. */
CSD_INLINE void add_byte_tile(int32_t *to, const byte_table *tables, const uint16_t *words,
                              size_t steps, size_t pitch, int32_t odd, const int split) {
    const byte_sums none = {{vdupq_n_u16(0), vdupq_n_u16(0)}, {vdupq_n_s16(0), vdupq_n_s16(0)}};
    byte_sums sums[2] = {none, none};
    while (steps > 0) {
        const size_t here = steps < HELD ? steps : HELD;
        int8x16_t held[2] = {vdupq_n_s8(0), vdupq_n_s8(0)};
        for (size_t step = 0; step < here; step++, words += pitch * CSD_SIGN_TILE, tables += 4)
            add_step(sums, held, tables, words, split);
        CSD_UNROLL
        for (unsigned half = 0; half < 2u && split == SMALL; half++)
            add_high(sums + half, held[half]);
        steps -= here;
    }
    CSD_UNROLL
    for (unsigned v = 0; v < 4u; v++)
        store_sums(to + 8u * v, sums[v / 2u].low[v % 2u], sums[v / 2u].high[v % 2u], odd, split);
}

static void add_small_tile(int32_t *to, const byte_table *tables, const uint16_t *words,
                           size_t steps, size_t pitch, int32_t odd) {
    add_byte_tile(to, tables, words, steps, pitch, odd, SMALL);
}

static void add_word_tile(int32_t *to, const byte_table *tables, const uint16_t *words,
                          size_t steps, size_t pitch, int32_t odd) {
    add_byte_tile(to, tables, words, steps, pitch, odd, 8);
}

/* One output after the other. */
static void add_wide_tile(int32_t *to, const wide_table *tables, const uint16_t *words,
                          size_t steps, size_t pitch) {
    for (size_t step = 0; step < steps; step++, words += pitch * CSD_SIGN_TILE, tables += 4)
        for (size_t i = 0; i < CSD_SIGN_TILE; i++) {
            const uint32_t w = words[i];
            to[i / 2u + i % 2u * 16u] += tables[0][w & 15u] + tables[1][w >> 4 & 15u] +
                                         tables[2][w >> 8 & 15u] + tables[3][w >> 12];
        }
}

/* sums += products of the inputs from `at` on, of the row of x that begins at `row`, with `count`
   outputs from `from` on. */
static void add_chunk(int32_t *sums, size_t from, size_t count, size_t outputs, const csd_input *x,
                      size_t row, size_t at, size_t inputs, int32_t zero, const void *words) {
    union {
        byte_table bytes[CHUNK / 4u];
        wide_table wide[CHUNK / 4u];
    } tables;
    int32_t numbers[CHUNK];
    uint32_t most = 0;
    int32_t odd = 0;
    const size_t run = inputs - at < CHUNK ? inputs - at : CHUNK, here = csd_sign_steps(run);
    const size_t steps = csd_sign_steps(inputs), tiles = csd_sign_tiles(outputs);
    const size_t begin = from / CSD_SIGN_TILE;
    load_numbers(numbers, x, row + at, run, zero);
    for (size_t g = 0; g < here * 4u; g++) {
        uint32_t all = 0;
        for (size_t i = 4u * g; i < 4u * g + 4u; i++) {
            all += (uint32_t)(numbers[i] < 0 ? -numbers[i] : numbers[i]);
            odd += numbers[i] & 1;
        }
        most = all > most ? all : most;
    }
    if (most <= SMALL_MOST)
        build_byte_tables(tables.bytes, numbers, here * 4u, SMALL);
    else if (most <= WORD_MOST)
        build_byte_tables(tables.bytes, numbers, here * 4u, 8);
    else
        build_wide_tables(tables.wide, numbers, here * 4u);
    for (size_t t = begin; t < begin + csd_sign_tiles(count); t++) {
        const size_t first = t / CSD_SIGN_STRIP * CSD_SIGN_STRIP;
        const size_t pitch = csd_sign_wide(first, tiles);
        const uint16_t *w = csd_sign_at(words, first, tiles, steps, at / CSD_SIGN_STEP) +
                            (t - first) * CSD_SIGN_TILE;
        int32_t *to = sums + (t - begin) * CSD_SIGN_TILE;
        if (most <= SMALL_MOST)
            add_small_tile(to, (const byte_table *)tables.bytes, w, here, pitch, odd);
        else if (most <= WORD_MOST)
            add_word_tile(to, (const byte_table *)tables.bytes, w, here, pitch, odd);
        else
            add_wide_tile(to, (const wide_table *)tables.wide, w, here, pitch);
    }
}
