/* The radio unit's network on packed bits, for processors that permute 16-bit words by register.

   First layer. A sum of weights over bits that are 0 or 1 is a sum of look-ups: five bits of a row
   name one of 32 sums of five weights, and 32 words of 16 bits are one register. So for one hidden
   unit and five bits the table is a register, the look-up of 32 rows at once is one permutation, and
   that is 160 multiply-accumulates. Sums start at what the negative weights add up to, so that they
   stay in 0 to 65535 (the preparer sees to it), and are exact.

   Which five bits: a row of B bits comes as words of 16, MSB first. The permutation reads the low five
   bits of an index, so that a word shifted right by 0, 5 and 10 is three indices; the top bits of
   five words make one more. Weights of what is behind the row's end are 0.

   A sum v in 0 to 65535 becomes a float with the bytes of 2^23 above it: the float is 2^23 + v, and
   less 2^23 + start - bias it is the sum with its bias, exact up to 2^22 + 2^17. Then the rule of
   QLINEAR. Codes are packed in fours, (hidden unit / 4, row), which is what the second layer
   multiplies at once; its outputs lie side by side, sixteen a register, for eight rows at a time.

   Rows go in passes of a few blocks of 32, hidden units in runs, so that indices and hidden codes stay
   in the nearest cache. Between runs the second layer's sums lie in y, as integers. */
#include "../fast.h"
#include "byte_dots.h"

#ifndef CSD_HAS_AVX512
CSD_NOTHING_FAST(bits_network)
CSD_NOTHING_PREPARED(bits_network)
#else

#define ROWS 32u /* of a block */
#define MOST_WORDS 32u
#define MOST_LOOK_UPS (3u * MOST_WORDS + (MOST_WORDS + 4u) / 5u)
#define MOST_BLOCKS 6u
#define ROOM 43008u /* bytes for the indices and the hidden codes of a pass */
#define TILE 8u     /* rows of the second layer at once */
#define MOST_SUM 65535
#define MOST_BIAS (1 << 22)
#define MOST_SCALED 1073741824.0f /* of a sum times its multiplier: fits 32 bits */

/* Of a hidden unit. */
typedef struct unit {
    float shift; /* 2^23 + start - bias */
    float multiplier;
    uint32_t start;
} unit;

typedef struct sizes {
    size_t bits, words, look_ups, hidden, quads, outputs, groups; /* groups of 16 outputs */
} sizes;

static size_t look_ups_of(size_t bits) {
    const size_t words = (bits + 15u) / 16u, last = bits - (words - 1u) * 16u;
    /* Of the last word the shifts by 5 and 0 have no bit left if it has few. */
    return 3u * (words - 1u) + (last > 1u) + (last > 6u) + (last > 11u) + (words + 4u) / 5u;
}

static sizes sizes_of(const csd_args *args) {
    sizes s;
    s.bits = args->in[CSD_BITS_NETWORK_HIDDEN_WEIGHT].shape.dims[1];
    s.hidden = args->in[CSD_BITS_NETWORK_HIDDEN_WEIGHT].shape.dims[0];
    s.outputs = args->in[CSD_BITS_NETWORK_WEIGHT].shape.dims[0];
    s.words = (s.bits + 15u) / 16u;
    s.look_ups = look_ups_of(s.bits);
    s.quads = (s.hidden + 3u) / 4u;
    s.groups = (s.outputs + 15u) / 16u;
    return s;
}

/* What is prepared, in this order: units, then of each output start and multiplier, then the second
   layer's bytes (group, quad, output, 4), then the tables (pair of hidden units, look-up, unit). */
static size_t units_bytes(const sizes *s) { return (s->quads * 4u * sizeof(unit) + 63u) / 64u * 64u; }
static size_t outputs_bytes(const sizes *s) { return s->groups * 128u; }
static size_t seconds_bytes(const sizes *s) { return s->groups * s->quads * 64u; }
static size_t tables_bytes(const sizes *s) { return s->quads * 4u * s->look_ups * 64u; }

/* Bit of the row that bit `b` of a look-up reads; `bits` or more: none. */
static size_t bit_of(const sizes *s, size_t look_up, size_t b) {
    const size_t whole = s->look_ups - (s->words + 4u) / 5u;
    if (look_up >= whole) {
        const size_t word = (look_up - whole) * 5u + b;
        return word < s->words ? word * 16u : s->bits;
    }
    return look_up / 3u * 16u + 15u - (2u - look_up % 3u) * 5u - b;
}

static int takes(const csd_args *args, const sizes *s) {
    const int8_t *first = args->in[CSD_BITS_NETWORK_HIDDEN_WEIGHT].data;
    const int32_t *bias = args->in[CSD_BITS_NETWORK_HIDDEN_BIAS].data;
    const float *multiplier = args->in[CSD_BITS_NETWORK_HIDDEN_MULTIPLIER].data;
    const int32_t *last_bias = args->in[CSD_BITS_NETWORK_BIAS].data;
    for (size_t d = 0; d < s->hidden; d++, first += s->bits) {
        int32_t sum = 0;
        for (size_t k = 0; k < s->bits; k++)
            sum += first[k] < 0 ? -first[k] : first[k];
        const int32_t own = bias != NULL ? bias[d] : 0;
        if (sum > MOST_SUM || own > MOST_BIAS || own < -MOST_BIAS ||
            !((float)(MOST_BIAS + MOST_SUM) * multiplier[d] < MOST_SCALED))
            return 0;
    }
    for (size_t m = 0; last_bias != NULL && m < s->outputs; m++)
        if (last_bias[m] > MOST_BIAS * 256 - 1 || last_bias[m] < -MOST_BIAS * 256 + 1)
            return 0;
    return 1;
}

static void prepare_tables(uint16_t *tables, const int8_t *weight, const sizes *s) {
    for (size_t d = 0; d < s->hidden; d++, weight += s->bits)
        for (size_t g = 0; g < s->look_ups; g++) {
            uint16_t *table = tables + ((d / 2u * s->look_ups + g) * 2u + d % 2u) * 32u;
            for (size_t entry = 0; entry < 32u; entry++) {
                int32_t sum = 0;
                for (size_t b = 0; b < 5u; b++)
                    if ((entry >> b & 1u) != 0 && bit_of(s, g, b) < s->bits)
                        sum += weight[bit_of(s, g, b)];
                table[entry] = (uint16_t)sum;
            }
        }
}

size_t CSD_PREPARE(bits_network)(const csd_args *args, void *memory) {
    const sizes s = sizes_of(args);
    const int8_t *first = args->in[CSD_BITS_NETWORK_HIDDEN_WEIGHT].data;
    const int8_t *second = args->in[CSD_BITS_NETWORK_WEIGHT].data;
    const int32_t *bias = args->in[CSD_BITS_NETWORK_HIDDEN_BIAS].data;
    const int32_t *last_bias = args->in[CSD_BITS_NETWORK_BIAS].data;
    const float *multiplier = args->in[CSD_BITS_NETWORK_HIDDEN_MULTIPLIER].data;
    const float *last_multiplier = args->in[CSD_BITS_NETWORK_MULTIPLIER].data;
    const int32_t zero = args->params[CSD_BITS_NETWORK_P_HIDDEN_ZERO].i;
    const size_t size = units_bytes(&s) + outputs_bytes(&s) + seconds_bytes(&s) + tables_bytes(&s);
    if (size > (size_t)64u << 20 || !takes(args, &s))
        return 0;
    if (memory == NULL)
        return size;
    uint8_t *at = memory;
    memset(memory, 0, size);
    unit *units = (unit *)(void *)at;
    for (size_t d = 0; d < s.hidden; d++) {
        int32_t start = 0;
        for (size_t k = 0; k < s.bits; k++)
            start -= first[d * s.bits + k] < 0 ? first[d * s.bits + k] : 0;
        units[d].start = (uint32_t)start;
        units[d].shift = (float)(8388608 + start - (bias != NULL ? bias[d] : 0));
        units[d].multiplier = multiplier[d];
    }
    at += units_bytes(&s);
    for (size_t m = 0; m < s.outputs; m++) {
        int32_t *starts = (int32_t *)(void *)(at + m / 16u * 128u);
        float *multipliers = (float *)(void *)(at + m / 16u * 128u + 64u);
        starts[m % 16u] = last_bias != NULL ? last_bias[m] : 0;
        multipliers[m % 16u] = last_multiplier[m];
        for (size_t k = 0; k < s.hidden; k++) {
            const int8_t w = second[m * s.hidden + k];
            starts[m % 16u] -= zero * w;
            at[outputs_bytes(&s) + ((m / 16u * s.quads + k / 4u) * 16u + m % 16u) * 4u + k % 4u] =
                (uint8_t)w;
        }
    }
    at += outputs_bytes(&s) + seconds_bytes(&s);
    prepare_tables((uint16_t *)(void *)at, first, &s);
    return size;
}

/* words[w][row] = word w of a row, where a row is 64 bits: a transposition in registers. Of eight rows
   a register, two registers give words w and w + 1 of sixteen rows, and two of those all rows. */
static void transpose_words(uint16_t (*words)[ROWS], const uint8_t *bytes) {
    static const uint16_t firsts[32] = {0, 4, 8,  12, 16, 20, 24, 28, 32, 36, 40,
                                        44, 48, 52, 56, 60, 1, 5, 9, 13, 17, 21,
                                        25, 29, 33, 37, 41, 45, 49, 53, 57, 61};
    const __m512i swap = _mm512_set4_epi32(0x0E0F0C0D, 0x0A0B0809, 0x06070405, 0x02030001);
    __m512i from[4];
    CSD_UNROLL
    for (size_t i = 0; i < 4u; i++)
        from[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(bytes + 64u * i), swap);
    CSD_UNROLL
    for (size_t w = 0; w < 4u; w += 2u) {
        const __m512i places =
            _mm512_add_epi16(_mm512_loadu_si512(firsts), _mm512_set1_epi16((int16_t)w));
        const __m512i low = _mm512_permutex2var_epi16(from[0], places, from[1]);
        const __m512i high = _mm512_permutex2var_epi16(from[2], places, from[3]);
        _mm512_storeu_si512(words[w], _mm512_shuffle_i64x2(low, high, 0x44));
        _mm512_storeu_si512(words[w + 1u], _mm512_shuffle_i64x2(low, high, 0xEE));
    }
}

/* words[w][row] = word w of a row, where rows begin with bytes. Two words of 16 rows are a look-up in
   memory. */
static void gather_words(uint16_t (*words)[ROWS], const uint8_t *bytes, const sizes *s) {
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i places = _mm512_mullo_epi32(lanes, _mm512_set1_epi32((int)(s->bits / 8u)));
    const __m512i swap = _mm512_set4_epi32(0x0E0F0C0D, 0x0A0B0809, 0x06070405, 0x02030001);
    for (size_t w = 0; w < s->words; w += 2u, bytes += 4) {
        const __m512i low = _mm512_shuffle_epi8(_mm512_i32gather_epi32(places, bytes, 1), swap);
        const __m512i high = _mm512_shuffle_epi8(
            _mm512_i32gather_epi32(places, bytes + s->bits / 8u * 16u, 1), swap);
        _mm256_storeu_si256((void *)words[w], _mm512_cvtepi32_epi16(low));
        _mm256_storeu_si256((void *)(words[w] + 16), _mm512_cvtepi32_epi16(high));
        _mm256_storeu_si256((void *)words[w + 1u],
                            _mm512_cvtepi32_epi16(_mm512_srli_epi32(low, 16)));
        _mm256_storeu_si256((void *)(words[w + 1u] + 16),
                            _mm512_cvtepi32_epi16(_mm512_srli_epi32(high, 16)));
    }
}

/* The same for any number of bits: of eight bytes three words are whole after a shift. */
static void shift_words(uint16_t (*words)[ROWS], const uint8_t *bytes, const sizes *s) {
    for (size_t row = 0; row < ROWS; row++) {
        size_t bit = row * s->bits;
        for (size_t w = 0; w < s->words; w += 3u, bit += 48u) {
            uint64_t eight;
            memcpy(&eight, bytes + bit / 8u, sizeof eight);
            eight = __builtin_bswap64(eight) << bit % 8u;
            words[w][row] = (uint16_t)(eight >> 48);
            words[w + 1u][row] = (uint16_t)(eight >> 32);
            words[w + 2u][row] = (uint16_t)(eight >> 16);
        }
    }
}

/* The indices of ROWS rows, look-up g of all of them at indices + g step, from `length` bytes; what is
   behind them is taken for 0. */
static void make_indices(uint8_t *indices, size_t step, const uint8_t *payload, size_t length,
                         const sizes *s) {
    uint8_t bytes[MOST_WORDS * 2u * ROWS + 16u];
    uint16_t words[MOST_WORDS + 2u][ROWS];
    const size_t whole = s->look_ups - (s->words + 4u) / 5u;
    const size_t block = s->bits * ROWS / 8u;
    if (length < block + 16u) { /* words may be read up to there */
        const size_t held = length < block ? length : block;
        memcpy(bytes, payload, held);
        memset(bytes + held, 0, block + 16u - held);
        payload = bytes;
    }
    if (s->bits == 64u)
        transpose_words(words, payload);
    else if (s->bits % 8u == 0)
        gather_words(words, payload, s);
    else
        shift_words(words, payload, s);
    for (size_t w = 0; w < s->words; w += 5u) {
        __m512i tops = _mm512_setzero_si512();
        for (size_t b = 0; b < 5u && w + b < s->words; b++) {
            const __m512i word = _mm512_loadu_si512(words[w + b]);
            const __m512i shifted[3] = {_mm512_srli_epi16(word, 10), _mm512_srli_epi16(word, 5),
                                        word};
            for (size_t i = 0; i < 3u && 3u * (w + b) + i < whole; i++)
                _mm512_store_si512(indices + (3u * (w + b) + i) * step, shifted[i]);
            tops = _mm512_or_si512(
                tops, _mm512_sll_epi16(_mm512_srli_epi16(word, 15), _mm_cvtsi64_si128((int64_t)b)));
        }
        _mm512_store_si512(indices + (whole + w / 5u) * step, tops);
    }
}

/* Of 32 sums the codes less their zero point, as 32-bit words, not clipped: rows 0 to 3 of every
   eight in codes[0], the others in codes[1]. */
CSD_INLINE void codes_of(__m512i *codes, __m512i sums, const unit *u) {
    const __m512i above = _mm512_set1_epi16(0x4B00);
    const __m512 shift = _mm512_set1_ps(u->shift), multiplier = _mm512_set1_ps(u->multiplier);
    const __m512 a = _mm512_castsi512_ps(_mm512_unpacklo_epi16(sums, above));
    const __m512 b = _mm512_castsi512_ps(_mm512_unpackhi_epi16(sums, above));
    codes[0] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_sub_ps(a, shift), multiplier));
    codes[1] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_sub_ps(b, shift), multiplier));
}

/* Codes of two hidden units as 16-bit words. Saturation alone clips the `bytes`: 0 to 255 with the
   zero point 0, as behind a ReLU. */
CSD_INLINE __m512i words_of(__m512i one, __m512i two, const csd_param *p, int bytes) {
    const __m512i words = _mm512_packs_epi32(one, two);
    if (bytes)
        return words;
    const __m512i codes = _mm512_adds_epi16(words, _mm512_set1_epi16((int16_t)p[0].i));
    return _mm512_max_epi16(_mm512_min_epi16(codes, _mm512_set1_epi16((int16_t)p[2].i)),
                            _mm512_set1_epi16((int16_t)p[1].i));
}

/* Written as an instruction: gcc 12 copies every sum at every step of the loop otherwise. */
CSD_INLINE void add_looked_up(__m512i *sums, __m512i index, __m512i table) {
    const __m512i found = _mm512_permutexvar_epi16(index, table);
    __asm__("vpaddw %1, %0, %0" : "+v"(*sums) : "v"(found));
}

/* Four hidden units of `blocks` blocks, each 128 bytes of `hidden`. */
CSD_INLINE void hidden_quad(uint8_t *hidden, const uint8_t *indices, const uint8_t *tables,
                            const unit *units, size_t look_ups, const csd_param *p,
                            size_t blocks, int bytes) {
    /* Four rows of one unit behind another's become four units of one row behind another's. */
    const __m512i turn = _mm512_set4_epi32(0x0F0B0703, 0x0E0A0602, 0x0D090501, 0x0C080400);
    __m512i pairs[MOST_BLOCKS][2];
    CSD_UNROLL
    for (size_t half = 0; half < 2u; half++, units += 2) {
        __m512i sums[2][MOST_BLOCKS];
        const uint8_t *at = indices;
        CSD_UNROLL
        for (size_t b = 0; b < blocks; b++) {
            sums[0][b] = _mm512_set1_epi16((int16_t)units[0].start);
            sums[1][b] = _mm512_set1_epi16((int16_t)units[1].start);
        }
        for (size_t g = 0; g < look_ups; g++, tables += 128, at += blocks * 64u) {
            const __m512i one = _mm512_load_si512(tables), two = _mm512_load_si512(tables + 64);
            CSD_UNROLL
            for (size_t b = 0; b < blocks; b++) {
                __m512i index = _mm512_load_si512(at + b * 64u);
                CSD_KEEP(index);
                add_looked_up(&sums[0][b], index, one);
                add_looked_up(&sums[1][b], index, two);
            }
        }
        CSD_UNROLL
        for (size_t b = 0; b < blocks; b++) {
            __m512i first[2], second[2];
            codes_of(first, sums[0][b], units);
            codes_of(second, sums[1][b], units + 1);
            CSD_UNROLL
            for (size_t i = 0; i < 2u; i++) {
                const __m512i words = words_of(first[i], second[i], p, bytes);
                if (half == 0)
                    pairs[b][i] = words;
                else
                    _mm512_store_si512(
                        hidden + b * 128u + i * 64u,
                        _mm512_shuffle_epi8(_mm512_packus_epi16(pairs[b][i], words), turn));
            }
        }
    }
}

typedef struct second_layer {
    const uint8_t *outputs; /* start and multiplier of each group */
    const int8_t *bytes;
    const csd_param *p; /* y_zero, low, high, y_scale */
    size_t quads;       /* of all hidden units */
    size_t count;       /* outputs */
} second_layer;

/* A store under a mask takes several times as long. */
CSD_INLINE void store_row(float *y, __m512 v, __mmask16 lanes, int whole) {
    if (whole)
        _mm512_storeu_ps(y, v);
    else
        _mm512_mask_storeu_ps(y, lanes, v);
}

/* TILE rows, whose hidden codes begin at `hidden` and are `step` bytes a quad, with `together` groups
   of outputs from `group` on and quads `from` to `to`. `whole`: there are as many rows and outputs. */
CSD_INLINE void multiply_tile(float *y, const uint8_t *hidden, size_t step, size_t rows,
                              const second_layer *l, size_t group, size_t from, size_t to,
                              size_t together, int whole) {
    __m512i sums[TILE][2];
    __mmask16 lanes[2];
    const int8_t *w = l->bytes + (group * l->quads + from) * 64u;
    CSD_UNROLL
    for (size_t j = 0; j < together; j++) {
        const size_t left = l->count - (group + j) * 16u;
        lanes[j] = (__mmask16)(left < 16u ? (1u << left) - 1u : 0xFFFFu);
        CSD_UNROLL
        for (size_t i = 0; i < TILE; i++)
            if (from == 0)
                sums[i][j] = _mm512_loadu_si512(l->outputs + (group + j) * 128u);
            else if (whole)
                sums[i][j] = _mm512_loadu_si512(y + i * l->count + (group + j) * 16u);
            else
                sums[i][j] = _mm512_maskz_loadu_epi32(
                    i < rows ? lanes[j] : 0, y + (i < rows ? i : 0) * l->count + (group + j) * 16u);
    }
    for (size_t quad = from; quad < to; quad++, hidden += step, w += 64) {
        csd_bytes read[2];
        CSD_UNROLL
        for (size_t j = 0; j < together; j++)
            read[j] = csd_bytes_load(w + j * l->quads * 64u);
        CSD_UNROLL
        for (size_t i = 0; i < TILE; i++) {
            const csd_shared four = csd_shared_load(hidden + i / 4u * 64u + i % 4u * 4u);
            CSD_UNROLL
            for (size_t j = 0; j < together; j++)
                sums[i][j] = csd_dots_add(sums[i][j], read[j], four);
        }
    }
    const int32_t zero = l->p[0].i;
    const __m512 least = _mm512_set1_ps((float)(l->p[1].i - zero));
    const __m512 most = _mm512_set1_ps((float)(l->p[2].i - zero));
    const __m512 scale = _mm512_set1_ps(l->p[3].f);
    CSD_UNROLL
    for (size_t j = 0; j < together; j++) {
        const __m512 multiplier = _mm512_loadu_ps(l->outputs + (group + j) * 128u + 64u);
        CSD_UNROLL
        for (size_t i = 0; i < TILE; i++) {
            const int there = whole || i < rows;
            float *to_row = y + (there ? i : 0) * l->count + (group + j) * 16u;
            if (to < l->quads) {
                store_row(to_row, _mm512_castsi512_ps(sums[i][j]), there ? lanes[j] : 0, whole);
                continue;
            }
            __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[i][j]), multiplier);
            v = _mm512_max_ps(_mm512_min_ps(v, most), least);
            v = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtps_epi32(v)), scale);
            store_row(to_row, v, there ? lanes[j] : 0, whole);
        }
    }
}

/* Row r of a block lies in dword r / 8 x 4 + r % 4 of its lower or upper 64 bytes, by r / 4 % 2. */
static void multiply(float *y, const uint8_t *hidden, size_t blocks, size_t rows,
                     const second_layer *l, size_t from, size_t to) {
    const size_t groups = (l->count + 15u) / 16u;
    for (size_t row = 0; row < rows; row += TILE) {
        const uint8_t *tile = hidden + row / ROWS * 128u + row % ROWS / TILE * 16u;
        size_t group = 0;
        for (; group + 2u <= groups; group += 2u)
            if (rows - row >= TILE && (group + 2u) * 16u <= l->count)
                multiply_tile(y + row * l->count, tile, blocks * 128u, TILE, l, group, from, to, 2u,
                              1);
            else
                multiply_tile(y + row * l->count, tile, blocks * 128u, rows - row, l, group, from,
                              to, 2u, 0);
        if (group < groups)
            multiply_tile(y + row * l->count, tile, blocks * 128u, rows - row, l, group, from, to,
                          1u, 0);
    }
}

/* `rows` rows in `blocks` blocks. */
CSD_INLINE void pass(float *y, const uint8_t *payload, size_t length, size_t rows,
                     const sizes *s, const unit *units, const uint8_t *tables,
                     const second_layer *l, const csd_param *p, size_t blocks) {
    CSD_ALIGNED(64) uint8_t room[ROOM];
    uint8_t *hidden = room + blocks * s->look_ups * 64u;
    const int bytes = p[0].i == 0 && p[1].i == 0 && p[2].i == 255;
    const size_t most = (ROOM - blocks * s->look_ups * 64u) / (blocks * 128u);
    for (size_t b = 0; b < blocks; b++) {
        const size_t from = b * ROWS * s->bits / 8u, left = rows > b * ROWS ? rows - b * ROWS : 0;
        make_indices(room + b * 64u, blocks * 64u, payload + (left > 0 ? from : 0),
                     left > 0 ? length - from : 0, s);
    }
    for (size_t from = 0; from < s->quads; from += most) {
        const size_t to = s->quads - from < most ? s->quads : from + most;
        for (size_t quad = from; quad < to; quad++)
            if (bytes)
                hidden_quad(hidden + (quad - from) * blocks * 128u, room,
                            tables + quad * s->look_ups * 256u, units + quad * 4u, s->look_ups,
                            p, blocks, 1);
            else
                hidden_quad(hidden + (quad - from) * blocks * 128u, room,
                            tables + quad * s->look_ups * 256u, units + quad * 4u, s->look_ups,
                            p, blocks, 0);
        multiply(y, hidden, blocks, rows, l, from, to);
    }
}

int CSD_FAST(bits_network)(const csd_args *args) {
    const csd_input *input = &args->in[CSD_BITS_NETWORK_PAYLOAD];
    const csd_shape *out = &args->out[0].shape;
    const csd_param *p = args->params + CSD_BITS_NETWORK_P_HIDDEN_ZERO;
    const uint8_t *prepared = args->prepared, *payload = input->data;
    const sizes s = sizes_of(args);
    /* Samples without a pad between them are one with all their rows: fewer blocks are half empty. */
    const size_t together = out->dims[1] * s.bits % 8u == 0 ? out->dims[0] : 1u;
    const size_t length = input->shape.dims[1] * together, all = out->dims[1] * together;
    float *y = args->out[0].data;
    if (prepared == NULL)
        return 0;
    const unit *units = (const unit *)(const void *)prepared;
    const uint8_t *outputs = prepared + units_bytes(&s), *bytes = outputs + outputs_bytes(&s);
    const uint8_t *tables = bytes + seconds_bytes(&s);
    const second_layer l = {outputs, (const int8_t *)bytes,
                            args->params + CSD_BITS_NETWORK_P_Y_ZERO, s.quads, s.outputs};
    for (size_t n = 0; n < out->dims[0]; n += together, payload += length)
        for (size_t row = 0; row < all;) {
            const uint8_t *from = payload + row * s.bits / 8u;
            const size_t here = length - row * s.bits / 8u, left = all - row;
            size_t blocks = (left + ROWS - 1u) / ROWS;
            const size_t fit = ROOM / (s.look_ups * 64u + 1024u);
            blocks = blocks < fit ? blocks : fit;
            blocks = blocks >= 6u ? 6u : blocks >= 3u ? 3u : 1u;
            const size_t rows = left < blocks * ROWS ? left : blocks * ROWS;
            if (blocks == 6u)
                pass(y, from, here, rows, &s, units, tables, &l, p, 6u);
            else if (blocks == 3u)
                pass(y, from, here, rows, &s, units, tables, &l, p, 3u);
            else
                pass(y, from, here, rows, &s, units, tables, &l, p, 1u);
            row += rows;
            y += rows * s.outputs;
        }
    return 1;
}
#endif
