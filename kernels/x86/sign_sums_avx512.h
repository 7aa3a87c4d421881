/* Signed sums of four integers in tables, and sums of what stands in them, with vectors of 512 bits.
   Included by vector/qbinary_linear.c.

   A table of 16 words stands in both halves of a vector, so that one permutation reads it for 32
   outputs. Its entries are to fit 16 bits: they are half the sums. With bits b, and >> rounding down,

       sum of (b ? x : -x) = 2 sum of (b ? x - (x >> 1) : -(x >> 1)) - sum of (x & 1),

   where an entry, the second sum, is at most half of sum (|x| + 1). As many of them as 16 bits hold
   are added as words; then a multiplication by 1 and 0, or 0 and 1, of pairs of words, and addition,
   which is one instruction, makes 32 bits of them. A chunk with larger entries has tables of 32 bits,
   as float32 has. */

typedef uint16_t table[16];

/* What tables of words say of a chunk: the largest sum of |x| in a group, and the number of odd x. */
typedef struct chunk_facts {
    uint32_t most;
    int32_t odd;
} chunk_facts;

/* 32 inputs less the zero point, 0 where none are; *fits: the differences are words. */
CSD_INLINE __m512i load_step(const csd_input *x, size_t at, size_t left, __m512i zero,
                             __mmask32 *beyond) {
    const __mmask32 there = left < 32u ? ((__mmask32)1 << left) - 1u : ~(__mmask32)0;
    __m512i words;
    if (x->shape.dtype == CSD_I16)
        words = _mm512_maskz_loadu_epi16(there, (const int16_t *)x->data + at);
    else if (x->shape.dtype == CSD_U8)
        words = _mm512_cvtepu8_epi16(
            _mm256_maskz_loadu_epi8(there, (const uint8_t *)x->data + at));
    else
        words =
            _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(there, (const int8_t *)x->data + at));
    const __m512i less = _mm512_maskz_sub_epi16(there, words, zero);
    *beyond |= _mm512_cmpneq_epi16_mask(less, _mm512_maskz_subs_epi16(there, words, zero));
    return less;
}

/* Words 0 and 1 of each group, or 2 and 3, as the sums at the places 0 to 3 of their two bits. */
CSD_INLINE __m512i pair_sums(__m512i plus, __m512i minus, int first) {
    const __m512i spread = _mm512_broadcast_i32x4(
        _mm_set_epi8(9, 8, 9, 8, 9, 8, 9, 8, 1, 0, 1, 0, 1, 0, 1, 0));
    const __m512i a = _mm512_add_epi8(spread, _mm512_set1_epi8((char)(2 * first)));
    const __m512i b = _mm512_add_epi8(a, _mm512_set1_epi8(2));
    return _mm512_add_epi16(
        _mm512_mask_shuffle_epi8(_mm512_shuffle_epi8(minus, a), 0xF0F0F0F0F0F0F0F0u, plus, a),
        _mm512_mask_shuffle_epi8(_mm512_shuffle_epi8(minus, b), 0xCCCCCCCCCCCCCCCCu, plus, b));
}

/* Meanwhile it asks for the weights that are read first, as many as later are asked for ahead. */
static chunk_facts build_tables(table *tables, const csd_input *x, size_t at, size_t count,
                                int32_t zero, const uint16_t *weights) {
    const __m512i zeros = _mm512_set1_epi16((short)zero), one = _mm512_set1_epi16(1);
    const __m512i highs = _mm512_set_epi16(7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5, 4, 4, 4, 4, 3, 3, 3,
                                           3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    const __m512i lows = _mm512_set_epi16(7, 6, 5, 4, 7, 6, 5, 4, 7, 6, 5, 4, 7, 6, 5, 4, 3, 2, 1,
                                          0, 3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0);
    __m512i most = _mm512_setzero_si512(), odd = _mm512_setzero_si512();
    __mmask32 beyond = 0;
    chunk_facts facts;
    const char *first = (const char *)weights;
    for (size_t i = 0; i < count; i += 32u, tables += 8) {
        CSD_UNROLL
        for (size_t line = 0; line < AHEAD * 32u / CHUNK; line += 64u, first += 64)
            _mm_prefetch(first, _MM_HINT_T0);
        const __m512i words = load_step(x, at + i, count - i, zeros, &beyond);
        const __m512i half = _mm512_srai_epi16(words, 1), size = _mm512_abs_epi16(words);
        const __m512i plus = _mm512_sub_epi16(words, half);
        const __m512i minus = _mm512_sub_epi16(_mm512_setzero_si512(), half);
        const __m512i high = pair_sums(plus, minus, 0), low = pair_sums(plus, minus, 2);
        const __m512i pairs =
            _mm512_adds_epu16(size, _mm512_rol_epi32(size, 16));
        most = _mm512_max_epu16(
            most, _mm512_adds_epu16(pairs, _mm512_shuffle_epi32(pairs, (_MM_PERM_ENUM)0xB1)));
        odd = _mm512_dpwssd_epi32(odd, _mm512_and_si512(words, one), one);
        CSD_UNROLL
        for (int g = 0; g < 8; g += 2) {
            const __m512i group = _mm512_set1_epi16((short)(4 * g));
            const __m512i a = _mm512_permutexvar_epi16(_mm512_add_epi16(highs, group), high);
            const __m512i b = _mm512_permutexvar_epi16(_mm512_add_epi16(lows, group), low);
            _mm512_store_si512(tables + g, _mm512_add_epi16(a, b));
        }
    }
    const __m512i even = _mm512_and_si512(most, _mm512_set1_epi32(0xFFFF));
    facts.most = beyond != 0 ? UINT32_MAX : _mm512_reduce_max_epu32(even);
    facts.odd = _mm512_reduce_add_epi32(odd);
    return facts;
}

/* 32 places, in the low four bits of each word, that were at the bits from 4 g on. */
CSD_INLINE __m512i places(const uint16_t *words, unsigned g) {
    const __m512i w = _mm512_loadu_si512((const uint8_t *)words + g / 2u);
    return g % 2u != 0 ? _mm512_srli_epi16(w, 4) : w;
}

/* Words of outputs 0 to 15 and of 16 to 31 on top of two vectors of sums. */
CSD_INLINE void widen(__m512i sums[2], __m512i words) {
    sums[0] = _mm512_dpwssd_epi32(sums[0], words, _mm512_set1_epi32(1));
    sums[1] = _mm512_dpwssd_epi32(sums[1], words, _mm512_set1_epi32(1 << 16));
}

/* `wide` tiles, of which `pitch` stand side by side; `hold` entries, 1, 2, 4 or a multiple of 4, are
   added as words. */
CSD_INLINE void add_tiles(int32_t *to, const table *tables, const uint16_t *words, size_t steps,
                          size_t pitch, size_t wide, int32_t odd, unsigned hold) {
    const size_t run = hold < 4u ? 1u : hold / 4u;
    __m512i sums[CSD_SIGN_STRIP][2], held[CSD_SIGN_STRIP];
    CSD_UNROLL
    for (size_t v = 0; v < wide; v++)
        sums[v][0] = sums[v][1] = _mm512_setzero_si512();
    while (steps > 0) {
        const size_t here = steps < run ? steps : run;
        CSD_UNROLL
        for (size_t v = 0; v < wide; v++)
            held[v] = _mm512_setzero_si512();
        for (size_t step = 0; step < here; step++) {
            CSD_UNROLL
            for (size_t v = 0; v < wide; v++)
                _mm_prefetch((const char *)(words + v * CSD_SIGN_TILE) + AHEAD, _MM_HINT_T0);
            CSD_UNROLL
            for (unsigned g = 0; g < 4u; g++) {
                const __m512i entries = _mm512_broadcast_i64x4(
                    _mm256_load_si256((const __m256i *)(const void *)tables[g]));
                CSD_UNROLL
                for (size_t v = 0; v < wide; v++) {
                    const __m512i found = _mm512_permutexvar_epi16(
                        places(words + v * CSD_SIGN_TILE, g), entries);
                    if (hold == 1u) {
                        widen(sums[v], found);
                    } else if (hold == 2u && g % 2u == 0) {
                        held[v] = found;
                    } else {
                        held[v] = _mm512_add_epi16(held[v], found);
                        if (hold == 2u)
                            widen(sums[v], held[v]);
                    }
                }
            }
            words += pitch * CSD_SIGN_TILE;
            tables += 4;
        }
        CSD_UNROLL
        for (size_t v = 0; v < wide && hold >= 4u; v++)
            widen(sums[v], held[v]);
        steps -= here;
    }
    CSD_UNROLL
    for (size_t v = 0; v < 2u * wide; v++) {
        const __m512i twice = _mm512_slli_epi32(sums[v / 2u][v % 2u], 1);
        const __m512i all = _mm512_sub_epi32(twice, _mm512_set1_epi32(odd));
        _mm512_store_si512(to + 16u * v, _mm512_add_epi32(_mm512_load_si512(to + 16u * v), all));
    }
}

#define TILES(wide, hold) add_tiles(to, tables, words, steps, pitch, wide, facts.odd, hold)
#define STRIP(hold)                                                                                \
    if (wide == CSD_SIGN_STRIP) {                                                                  \
        TILES(CSD_SIGN_STRIP, hold);                                                               \
    } else {                                                                                       \
        for (size_t v = 0; v < wide; v++, to += CSD_SIGN_TILE, words += CSD_SIGN_TILE)             \
            TILES(1u, hold);                                                                       \
    }

/* `count` entries of at most (most + 4) / 2 fit a word. */
CSD_INLINE int fit(chunk_facts facts, uint32_t count) {
    return facts.most <= 65534u / count - 4u;
}

static void add_strip(int32_t *to, const table *tables, const uint16_t *words, size_t steps,
                      size_t wide, chunk_facts facts) {
    const size_t pitch = wide;
    if (fit(facts, 32u)) {
        STRIP(32u)
    } else if (fit(facts, 4u)) {
        STRIP(4u)
    } else if (fit(facts, 2u)) {
        STRIP(2u)
    } else {
        STRIP(1u)
    }
}

static void add_wide_tile(int32_t *to, const wide_table *tables, const uint16_t *words,
                          size_t steps, size_t pitch) {
    __m512i sums[2] = {_mm512_load_si512(to), _mm512_load_si512(to + 16)};
    for (size_t step = 0; step < steps; step++, words += pitch * CSD_SIGN_TILE, tables += 4) {
        const __m512i w = _mm512_loadu_si512(words);
        CSD_UNROLL
        for (unsigned g = 0; g < 4u; g++) {
            const __m512i entries = _mm512_load_si512(tables[g]);
            CSD_UNROLL
            for (unsigned half = 0; half < 2u; half++)
                sums[half] = _mm512_add_epi32(
                    sums[half], _mm512_permutexvar_epi32(
                                    _mm512_srli_epi32(w, 4u * g + 16u * half), entries));
        }
    }
    _mm512_store_si512(to, sums[0]);
    _mm512_store_si512(to + 16, sums[1]);
}

/* sums += products of the inputs from `at` on, of the row of x that begins at `row`, with `count`
   outputs from `from` on. */
static void add_chunk(int32_t *sums, size_t from, size_t count, size_t outputs, const csd_input *x,
                      size_t row, size_t at, size_t inputs, int32_t zero, const void *words) {
    CSD_ALIGNED(64) union {
        table narrow[CHUNK / 4u];
        wide_table wide[CHUNK / 4u];
    } tables;
    const size_t run = inputs - at < CHUNK ? inputs - at : CHUNK;
    const size_t steps = csd_sign_steps(inputs), here = csd_sign_steps(run);
    const size_t tiles = csd_sign_tiles(outputs), begin = from / CSD_SIGN_TILE;
    const uint16_t *first = csd_sign_at(words, begin, tiles, steps, at / CSD_SIGN_STEP);
    const chunk_facts facts = build_tables(tables.narrow, x, row + at, run, zero, first);
    const int narrow = facts.most <= 65530u;
    if (!narrow) {
        int32_t numbers[CHUNK];
        load_numbers(numbers, x, row + at, run, zero);
        build_wide_tables(tables.wide, numbers, here * 4u);
    }
    for (size_t t = begin; t < begin + csd_sign_tiles(count); t += CSD_SIGN_STRIP) {
        const size_t wide = csd_sign_wide(t, tiles);
        const uint16_t *w = csd_sign_at(words, t, tiles, steps, at / CSD_SIGN_STEP);
        int32_t *to = sums + (t - begin) * CSD_SIGN_TILE;
        if (narrow) {
            add_strip(to, (const table *)tables.narrow, w, here, wide, facts);
            continue;
        }
        for (size_t v = 0; v < wide; v++)
            add_wide_tile(to + v * CSD_SIGN_TILE, (const wide_table *)tables.wide,
                          w + v * CSD_SIGN_TILE, here, wide);
    }
}
