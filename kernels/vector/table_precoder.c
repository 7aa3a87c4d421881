/* kernels/reference/table_precoder.c, sixteen numbers at a time and four columns' lengths in one
   square root and one division.

   The sum of squares is taken in float32. Of a unit, a column or all columns of a user, whose norm
   is made one, at most MOST_NUMBERS numbers are taken: their squares are at most 2^14, so all
   partial sums are integers up to 2^24, which float32 holds in any order of adding. Longer units are
   left to the general kernel.

   Users are sorted by counting, without a branch: of two, the later one of the order gets one place
   more. What a user at a place adds to the row's number, is prepared. */
#include <math.h>

#include "../fast.h"
#include "../precoder.h"
#include "code_words.h"

#define MOST_NUMBERS 1024u
#define MOST_TERMS 4096u /* of a prepared table: 16 KiB, a part of any L1 cache */
#define TOGETHER 16u      /* samples whose rows are found before the first of them is read */
#define LINE 64u
#define FEW_LINES 4u      /* of a row: if it is alone, they are read soon enough */
#define MOST_LINES 16u    /* of a row, that are asked for in advance */

#if defined(__GNUC__) || defined(__clang__)
#define ASK_FOR(p) __builtin_prefetch(p)
/* A call a form: in one function the compiler would make ready for all forms before each call. */
#define APART static __attribute__((noinline))
#else
#define ASK_FOR(p) (void)(p)
#define APART static
#endif

/* terms[place][index], for tables of sets. */
size_t CSD_PREPARE(table_precoder)(const csd_args *args, void *memory) {
    const uint32_t users = args->out[0].shape.dims[1];
    const uint32_t levels = 1u << args->params[CSD_TABLE_PRECODER_P_BITS].u;
    uint32_t *terms = memory;
    if (!args->params[CSD_TABLE_PRECODER_P_SORTED].u || levels > MOST_TERMS / users)
        return 0;
    if (memory != NULL)
        for (uint32_t place = 0; place < users; place++)
            for (uint32_t q = 0; q < levels; q++)
                *terms++ = csd_rows_before(q, place);
    return users * levels * sizeof *terms;
}

/* What is read and written for each sample. */
typedef struct job {
    const uint8_t *table;
    size_t row_bytes;
    uint32_t users;
    uint32_t units;  /* a user */
    uint32_t copies; /* of a unit in the result */
    uint32_t length; /* of a unit: numbers */
    float root;      /* the norm that a unit gets */
} job;

typedef struct found {
    const uint8_t *row;
    uint32_t place[CSD_MOST_USERS];
} found;

CSD_INLINE void find(found *to, const job *w, const uint8_t *message, const uint32_t users,
                     uint32_t bits, uint32_t sorted, const uint32_t *terms, const int prepared) {
    uint32_t index[CSD_MOST_USERS], place[CSD_MOST_USERS];
    size_t row = 0;
    csd_read_indices(index, message, users, bits);
    for (uint32_t k = 0; k < users; k++)
        place[k] = sorted ? 0 : k;
    if (sorted) {
        for (uint32_t k = 1; k < users; k++)
            for (uint32_t j = 0; j < k; j++) {
                const uint32_t above = index[j] > index[k];
                place[j] += above;
                place[k] += 1u - above;
            }
        for (uint32_t k = 0; k < users; k++)
            row += prepared || terms != NULL ? terms[(place[k] << bits) + index[k]]
                                             : csd_rows_before(index[k], place[k]);
    } else {
        for (uint32_t k = 0; k < users; k++)
            row = row << bits | index[k];
    }
    for (uint32_t k = 0; k < users; k++)
        to->place[k] = place[k];
    to->row = w->table + row * w->row_bytes;
}

/* The messages of `count` samples. */
typedef struct said {
    const uint8_t *message;
    const uint32_t *terms;
    uint32_t bits, sorted, bytes; /* of a user, whether sorted, bytes of a sample */
} said;

APART void find_two(found *to, const job *w, const said *s, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        find(to + i, w, s->message + i * s->bytes, 2, s->bits, s->sorted, s->terms, 1);
}

APART void find_four(found *to, const job *w, const said *s, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        find(to + i, w, s->message + i * s->bytes, 4, s->bits, s->sorted, s->terms, 1);
}

APART void find_any(found *to, const job *w, const said *s, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        find(to + i, w, s->message + i * s->bytes, w->users, s->bits, s->sorted, s->terms, 0);
}

static void find_rows(found *to, const job *w, const said *s, uint32_t count) {
    const int prepared = !s->sorted || s->terms != NULL;
    if (prepared && w->users == 2u)
        find_two(to, w, s, count);
    else if (prepared && w->users == 4u)
        find_four(to, w, s, count);
    else
        find_any(to, w, s, count);
}

static void ask_for_rows(const found *f, uint32_t count, size_t row_bytes) {
    for (uint32_t i = 0; i < count; i++)
        for (size_t at = 0; at < row_bytes && at < MOST_LINES * LINE; at += LINE)
            ASK_FOR(f[i].row + at);
}

CSD_INLINE csd_wide read(const uint8_t *unit, size_t at, size_t count, const int nibbles) {
    return csd_words_float(nibbles ? csd_words_i4(unit + at / 2u, count)
                                   : csd_words_i8((const int8_t *)unit + at, count));
}

CSD_INLINE csd_wide square(csd_wide x) { return csd_wide_mul(x, x); }

/* Samples whose units are one vector each. `units`: those of a user, 0 if the compiler does not
   know; `full`: there are four, or eight ... of all users. */
CSD_INLINE void make_vectors(float *v, const job *w, const found *f, uint32_t count, uint32_t units,
                             const int nibbles, const int full) {
    const size_t bytes = nibbles ? CSD_WIDE / 2u : CSD_WIDE;
    const uint32_t copies = w->copies;
    units = units != 0 ? units : w->units;
    const uint32_t total = w->users * units;
    for (; count-- > 0; f++)
        for (uint32_t u = 0; u < total; u += 4u) {
            const uint32_t own = full || total - u >= 4u ? 4u : total - u;
            csd_wide x[4];
            float factor[4];
            /* After the last one comes the last one again. */
            CSD_UNROLL
            for (uint32_t i = 0; i < 4u; i++) {
                const uint32_t at = full || i < own ? u + i : total - 1u;
                const uint32_t from = f->place[at / units] * units + at % units;
                x[i] = read(f->row + from * bytes, 0, CSD_WIDE, nibbles);
            }
            csd_wide_totals(factor, square(x[0]), square(x[1]), square(x[2]), square(x[3]));
            csd_four_over_roots(factor, w->root);
            CSD_UNROLL
            for (uint32_t i = 0; i < 4u; i++)
                x[i] = csd_wide_mul(x[i], csd_wide_all(factor[i]));
            for (uint32_t c = 0; c < copies; c++) {
                CSD_UNROLL
                for (uint32_t i = 0; i < 4u; i++)
                    if (full || i < own)
                        csd_wide_store(v + (i * copies + c) * CSD_WIDE, x[i]);
            }
            v += own * copies * CSD_WIDE;
        }
}

/* Samples whose units have any length. */
CSD_INLINE void make_any(float *v, const job *w, const found *f, uint32_t count,
                         const int nibbles) {
    const size_t length = w->length, bytes = nibbles ? length / 2u : length;
    for (; count-- > 0; f++)
        for (uint32_t u = 0; u < w->users * w->units; u++, v += w->copies * length) {
            const uint32_t from = f->place[u / w->units] * w->units + u % w->units;
            const uint8_t *unit = f->row + from * bytes;
            csd_wide squares = csd_wide_all(0.0f);
            float factor[4] = {0};
            for (size_t j = 0; j < length; j += CSD_WIDE) {
                const size_t some = length - j < CSD_WIDE ? length - j : CSD_WIDE;
                squares = csd_wide_add(squares, square(read(unit, j, some, nibbles)));
            }
            factor[0] = csd_wide_total(squares);
            csd_four_over_roots(factor, w->root);
            const csd_wide by = csd_wide_all(factor[0]);
            for (size_t j = 0; j < length; j += CSD_WIDE) {
                const size_t some = length - j < CSD_WIDE ? length - j : CSD_WIDE;
                const csd_wide x = csd_wide_mul(read(unit, j, some, nibbles), by);
                for (uint32_t c = 0; c < w->copies; c++)
                    csd_wide_store_first(v + c * length + j, x, some);
            }
        }
}

/* From float32: a unit is all that a user has. */
APART void copy_units(float *v, const job *w, const found *f, uint32_t count) {
    const size_t length = w->length;
    for (; count-- > 0; f++)
        for (uint32_t k = 0; k < w->users; k++, v += w->copies * length) {
            const float *unit = (const float *)(const void *)f->row + f->place[k] * length;
            for (size_t j = 0; j < length; j += CSD_WIDE) {
                const size_t some = length - j < CSD_WIDE ? length - j : CSD_WIDE;
                const csd_wide x = csd_wide_load_first(unit + j, some);
                for (uint32_t c = 0; c < w->copies; c++)
                    csd_wide_store_first(v + c * length + j, x, some);
            }
        }
}

#define FORM(name, make)                                                                           \
    APART void name(float *v, const job *w, const found *f, uint32_t count) { make; }
FORM(bytes_of_one, make_vectors(v, w, f, count, 1, 0, 1))
FORM(bytes_of_two, make_vectors(v, w, f, count, 2, 0, 1))
FORM(bytes_of_some, make_vectors(v, w, f, count, 0, 0, 0))
FORM(bytes_of_any, make_any(v, w, f, count, 0))
FORM(nibbles_of_one, make_vectors(v, w, f, count, 1, 1, 1))
FORM(nibbles_of_two, make_vectors(v, w, f, count, 2, 1, 1))
FORM(nibbles_of_some, make_vectors(v, w, f, count, 0, 1, 0))
FORM(nibbles_of_any, make_any(v, w, f, count, 1))

static void make(float *v, const job *w, const found *f, uint32_t count, uint32_t dtype) {
    const int full = w->users * w->units % 4u == 0, nibbles = dtype == CSD_U8;
    if (dtype == CSD_F32)
        copy_units(v, w, f, count);
    else if (w->length != CSD_WIDE)
        (nibbles ? nibbles_of_any : bytes_of_any)(v, w, f, count);
    else if (full && w->units == 1u)
        (nibbles ? nibbles_of_one : bytes_of_one)(v, w, f, count);
    else if (full && w->units == 2u)
        (nibbles ? nibbles_of_two : bytes_of_two)(v, w, f, count);
    else
        (nibbles ? nibbles_of_some : bytes_of_some)(v, w, f, count);
}

int CSD_FAST(table_precoder)(const csd_args *args) {
    const csd_input *table = &args->in[CSD_TABLE_PRECODER_TABLE];
    const csd_shape *out = &args->out[0].shape;
    const uint32_t users = out->dims[1], columns = table->shape.dims[2];
    const uint32_t dtype = table->shape.dtype, column = out->dims[3] * 2u;
    const int whole = dtype == CSD_F32 || args->params[CSD_TABLE_PRECODER_P_PER_USER].u;
    const uint32_t units = whole ? 1u : columns, length = whole ? columns * column : column;
    const size_t numbers = (size_t)users * columns * column;
    if (dtype != CSD_F32 && length > MOST_NUMBERS)
        return 0;
    const job w = {table->data,
                   dtype == CSD_F32   ? numbers * sizeof(float)
                   : dtype == CSD_U8 ? numbers / 2u
                                      : numbers,
                   users,
                   units,
                   columns == 1u ? out->dims[2] : 1u,
                   length,
                   units < columns ? sqrtf((float)columns) : 1.0f};
    const uint32_t bits = args->params[CSD_TABLE_PRECODER_P_BITS].u;
    said s = {args->in[CSD_TABLE_PRECODER_PAYLOAD].data, args->prepared, bits,
              args->params[CSD_TABLE_PRECODER_P_SORTED].u, users * ((bits + 7u) / 8u)};
    float *v = args->out[0].data;
    found f[TOGETHER];
    for (uint32_t n = 0; n < out->dims[0]; n += TOGETHER) {
        const uint32_t count = out->dims[0] - n < TOGETHER ? out->dims[0] - n : TOGETHER;
        find_rows(f, &w, &s, count);
        if (count > 1u || w.row_bytes > FEW_LINES * LINE)
            ask_for_rows(f, count, w.row_bytes);
        make(v, &w, f, count, dtype);
        s.message += count * s.bytes;
        v += (size_t)count * users * units * w.copies * length;
    }
    return 1;
}
