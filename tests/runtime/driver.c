/* Runs a bundle from plain C, and abuses it.

       driver run     FILE              runs 64 samples of fixed pseudo-random input; prints a CRC32
                                        of each output
       driver flip    FILE FIRST STEP   flips each STEP-th bit of header, directory and sections but
                                        the weights and the vectors' bytes, from bit FIRST on;
                                        repairs the checksums, verifies, and runs what is accepted
       driver verify  FILE FIRST STEP   the same, but runs nothing
       driver weights FILE COUNT        changes random bytes of the weights and runs
       driver shake   FILE COUNT        changes one to four words of the structure at once
       driver payload FILE              runs 65,536 samples whose u8 inputs count up: all values of
                                        all neighbouring bytes; prints a CRC32 of each output
       driver cut     FILE              verifies every shorter length
       driver abuse   FILE              wrong calls: alignment, arena, k, missing buffers
       driver fence   FILE              runs with a UNARY that reads one byte too many inside the
                                        arena: the sanitizer must end it */
#include "abuse.h"

#ifdef REMEMBER_LARGE_CRC
/* Linked with --wrap=csd_crc32. Millions of weights that no flip touches are summed once: the last
   large range is remembered, and its bytes are values, never structure (`weights` is for small
   bundles). */
uint32_t __real_csd_crc32(uint32_t crc, const void *data, size_t size);
uint32_t __wrap_csd_crc32(uint32_t crc, const void *data, size_t size);

uint32_t __wrap_csd_crc32(uint32_t crc, const void *data, size_t size) {
    static const void *where;
    static size_t length;
    static uint32_t known;
    if (crc != 0 || size < 1u << 16)
        return __real_csd_crc32(crc, data, size);
    if (data != where || size != length) {
        where = data;
        length = size;
        known = __real_csd_crc32(crc, data, size);
    }
    return known;
}
#endif

static int show_run(csd_part *part, buffers *in, size_t samples, uint32_t k) {
    buffers out = make_buffers(part, part->input_count, part->output_count, samples, k);
    const csd_status status = run_once(part, in, &out, samples, k, 0xA5);
    printf("%s\n", csd_status_name(status));
    for (uint32_t i = 0; i < out.count; i++) {
        const csd_tensor_record *t = &part->tensors[part->interface[part->input_count + i].tensor];
        printf("%s %08x\n", csd_name(part, t->name),
               (unsigned)csd_crc32(0, out.data[i], out.size[i]));
    }
    drop_buffers(&out);
    return status != CSD_OK;
}

static volatile uint8_t one_too_many;

static void overreach(const csd_args *args) {
    const csd_shape *shape = &args->out[0].shape;
    size_t size = shape->element;
    for (uint32_t i = 0; i < shape->rank; i++)
        size *= shape->dims[i];
    csd_reference_kernels[CSD_OP_UNARY](args);
    one_too_many = ((const uint8_t *)args->out[0].data)[size];
}

static int run(csd_part *part) {
    const size_t samples = 64;
    const uint32_t k = part->header->k_max < 3 ? part->header->k_max : 3;
    buffers in = make_buffers(part, 0, part->input_count, samples, k);
    fill_buffers(&in, 0);
    const int bad = show_run(part, &in, samples, k);
    drop_buffers(&in);
    return bad;
}

/* Byte b of sample s is the high byte of s where b is even, else the low one. */
static int payload(csd_part *part) {
    const size_t samples = 65536;
    buffers in = make_buffers(part, 0, part->input_count, samples, 1);
    fill_buffers(&in, 0);
    for (uint32_t i = 0; i < in.count; i++) {
        const csd_tensor_record *t = &part->tensors[part->interface[i].tensor];
        const size_t bytes = in.size[i] / samples;
        for (size_t at = 0; t->dtype == CSD_U8 && at < in.size[i]; at++)
            ((uint8_t *)in.data[i])[at] = (uint8_t)(at / bytes >> (at % bytes % 2 ? 0 : 8));
    }
    const int bad = show_run(part, &in, samples, 1);
    drop_buffers(&in);
    return bad;
}

typedef struct counts {
    unsigned tried, refused, harmless, large;
} counts;

/* Opens what was changed and runs it, for one user and for all in turn; returns 0 if all is well. */
static int judge(const uint8_t *bundle, size_t size, int runs, counts *c) {
    csd_part part;
    c->tried++;
    if (csd_open(&part, bundle, size, csd_reference_kernels) != CSD_OK) {
        c->refused++;
        return 0;
    }
    const uint32_t k = c->tried & 2u ? part.header->k_max : 1;
    if (runs && too_large(&part, 3, k)) {
        c->large++;
        return 0;
    }
    if (runs && run_twice(&part, 3, k, (int)(c->tried & 1u)) != 0)
        return 1;
    c->harmless++;
    return 0;
}

static int report(const counts *c, int bad) {
    printf("tried %u refused %u harmless %u large %u\n", c->tried, c->refused, c->harmless,
           c->large);
    return bad;
}

static int is_values(uint32_t id) {
    return id == CSD_SECTION_WEIGHTS || id == CSD_SECTION_VECTOR_DATA;
}

static int flip(const uint8_t *bundle, size_t size, unsigned first, unsigned step, int runs) {
    csd_part part;
    if (step == 0 || csd_open(&part, bundle, size, csd_reference_kernels) != CSD_OK)
        return 1;
    uint8_t *copy = allocate(size);
    uint8_t *section = allocate(size); /* of each byte; 0 in header, directory and padding */
    memset(section, 0, size);
    for (uint32_t id = 1; id <= CSD_SECTION_KNOWN; id++)
        if (part.sections[id].data != NULL)
            memset(section + ((const uint8_t *)part.sections[id].data - bundle), (int)id,
                   part.sections[id].length);
    /* Besides the flipped bit, only checksums in the frame change: unless it was a bit of the frame
       itself, which may make anything look like a checksum. */
    const size_t frame = sizeof(csd_header_record) +
                         (size_t)part.header->section_count * sizeof(csd_section_record);
    counts c = {0, 0, 0, 0};
    int bad = 0;
    memcpy(copy, bundle, size);
    for (size_t bit = first; bit < 8 * size && !bad; bit += step) {
        if (is_values(section[bit / 8]))
            continue;
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        repair_section(copy, size, section[bit / 8]);
        bad = judge(copy, size, runs, &c);
        if (bad)
            printf("byte %zu, bit %zu\n", bit / 8, bit % 8);
        copy[bit / 8] = bundle[bit / 8];
        memcpy(copy, bundle, section[bit / 8] == 0 ? size : frame);
    }
    free(section);
    free(copy);
    return report(&c, bad);
}

static int weights(const uint8_t *bundle, size_t size, unsigned rounds) {
    csd_part part;
    if (csd_open(&part, bundle, size, csd_reference_kernels) != CSD_OK)
        return 1;
    const csd_section *section = &part.sections[CSD_SECTION_WEIGHTS];
    const size_t start = (size_t)((const uint8_t *)section->data - bundle);
    uint8_t *copy = allocate(size);
    counts c = {0, 0, 0, 0};
    int bad = section->length == 0;
    for (unsigned round = 0; round < rounds && !bad; round++) {
        memcpy(copy, bundle, size);
        for (uint32_t edits = 1 + random_bits() % 8; edits > 0; edits--)
            copy[start + random_bits() % section->length] = (uint8_t)(random_bits() >> 3);
        repair(copy, size);
        bad = judge(copy, size, 1, &c);
    }
    free(copy);
    return report(&c, bad);
}

static int shake(const uint8_t *bundle, size_t size, unsigned rounds) {
    csd_part part;
    if (csd_open(&part, bundle, size, csd_reference_kernels) != CSD_OK)
        return 1;
    /* Header, directory and all sections before the weights. */
    const size_t end = (size_t)((const uint8_t *)part.sections[CSD_SECTION_WEIGHTS].data - bundle);
    uint8_t *copy = allocate(size);
    counts c = {0, 0, 0, 0};
    int bad = 0;
    for (unsigned round = 0; round < rounds && !bad; round++) {
        memcpy(copy, bundle, size);
        for (uint32_t edits = 1 + random_bits() % 4; edits > 0; edits--) {
            const uint32_t word = likely_word(bundle, end / 4);
            memcpy(copy + 4 * (random_bits() % (end / 4)), &word, 4);
        }
        repair(copy, size);
        bad = judge(copy, size, 1, &c);
    }
    free(copy);
    return report(&c, bad);
}

static int cut(const uint8_t *bundle, size_t size) {
    for (size_t length = 0; length < size; length++) {
        uint8_t *copy = allocate(length);
        memcpy(copy, bundle, length);
        csd_part part;
        csd_status status = csd_open(&part, copy, length, csd_reference_kernels);
        /* Once more with a header that says the shorter length. */
        if (status != CSD_OK && length >= sizeof(csd_header_record)) {
            const uint64_t total = length;
            memcpy(copy + offsetof(csd_header_record, total_size), &total, sizeof total);
            repair(copy, length);
            status = csd_open(&part, copy, length, csd_reference_kernels);
        }
        free(copy);
        if (status == CSD_OK)
            return 1;
    }
    return 0;
}

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("line %d: %s\n", __LINE__, #condition);                                         \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static int abuse(const uint8_t *bundle, size_t size) {
    csd_part part;
    uint8_t *shifted = allocate(size + 4);
    memcpy(shifted + 4, bundle, size);
    EXPECT(csd_open(&part, shifted + 4, size, csd_reference_kernels) == CSD_MISALIGNED);

    csd_header_record header;
    memcpy(&header, bundle, sizeof header);
    header.arena_bytes += 16;
    memcpy(shifted, bundle, size);
    memcpy(shifted, &header, sizeof header);
    repair(shifted, size);
    EXPECT(csd_open(&part, shifted, size, csd_reference_kernels) == CSD_FIELD_RANGE);
    EXPECT(strcmp(part.fault.field, "arena_bytes") == 0);
    free(shifted);
    EXPECT(csd_open(&part, NULL, 0, csd_reference_kernels) == CSD_TRUNCATED);

    const csd_kernel none[CSD_OP_LAST + 1u] = {NULL};
    EXPECT(csd_open(&part, bundle, size, none) == CSD_NO_KERNEL);
    EXPECT(csd_open(&part, bundle, size, NULL) == CSD_NO_KERNEL);

    EXPECT(csd_open(&part, bundle, size, csd_reference_kernels) == CSD_OK);
    const size_t need = (size_t)part.header->arena_bytes;
    uint8_t *arena = allocate(need + 16);
    const void *inputs[MOST_BUFFERS] = {NULL};
    void *outputs[MOST_BUFFERS] = {NULL};
    csd_call call = {1, 1, inputs, outputs, NULL, NULL};
    EXPECT(csd_run(&part, &call) == CSD_NO_ARENA);
    EXPECT(csd_set_arena(&part, arena, need - 1) == CSD_ARENA_SMALL);
    EXPECT(csd_set_arena(&part, arena + 4, need) == CSD_ARENA_MISALIGNED);
    EXPECT(csd_set_arena(&part, NULL, need) == CSD_NO_ARENA);
    EXPECT(csd_set_arena(&part, arena, need) == CSD_OK);
    EXPECT(csd_run(&part, &call) == CSD_BAD_CALL);
    buffers in = make_buffers(&part, 0, part.input_count, 1, 1);
    buffers out = make_buffers(&part, part.input_count, part.output_count, 1, 1);
    fill_buffers(&in, 0);
    call.inputs = (const void *const *)in.data;
    call.outputs = out.data;
    EXPECT(csd_run(&part, &call) == CSD_OK);
    call.k = 0;
    EXPECT(csd_run(&part, &call) == CSD_BAD_CALL);
    call.k = part.header->k_max + 1;
    EXPECT(csd_run(&part, &call) == CSD_BAD_CALL);
    call.k = 1;
    call.samples = 0;
    EXPECT(csd_run(&part, &call) == CSD_OK);
    call.samples = 1;
    call.outputs = NULL;
    EXPECT(csd_run(&part, &call) == CSD_BAD_CALL);
    EXPECT(strcmp(csd_status_name(CSD_BAD_CALL), "BAD_CALL") == 0);
    EXPECT(strcmp(csd_status_name((csd_status)0xFFF), "UNKNOWN") == 0);
    EXPECT(strcmp(csd_status_text((csd_status)0xFFF), "unknown status") == 0);
    drop_buffers(&in);
    drop_buffers(&out);
    free(arena);
    return 0;
}

static unsigned number(int argc, char **argv, int i) {
    return i < argc ? (unsigned)strtoul(argv[i], NULL, 10) : 0;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    FILE *file = fopen(argv[2], "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        return 2;
    const size_t size = (size_t)ftell(file);
    uint8_t *bundle = allocate(size);
    rewind(file);
    if (fread(bundle, 1, size, file) != size)
        return 2;
    fclose(file);

    const char *verb = argv[1];
    int result = 2;
    if (strcmp(verb, "flip") == 0 || strcmp(verb, "verify") == 0) {
        const int runs = strcmp(verb, "flip") == 0;
        result = flip(bundle, size, number(argc, argv, 3), number(argc, argv, 4), runs);
    } else if (strcmp(verb, "weights") == 0) {
        result = weights(bundle, size, number(argc, argv, 3));
    } else if (strcmp(verb, "shake") == 0) {
        result = shake(bundle, size, number(argc, argv, 3));
    } else if (strcmp(verb, "cut") == 0) {
        result = cut(bundle, size);
    } else if (strcmp(verb, "abuse") == 0) {
        result = abuse(bundle, size);
    } else if (strcmp(verb, "fence") == 0) {
        csd_kernel kernels[CSD_OP_LAST + 1u];
        csd_part part;
        memcpy(kernels, csd_reference_kernels, sizeof kernels);
        kernels[CSD_OP_UNARY] = overreach;
        result = csd_open(&part, bundle, size, kernels) == CSD_OK ? run(&part) : 2;
    } else if (strcmp(verb, "run") == 0 || strcmp(verb, "payload") == 0) {
        csd_part part;
        const csd_status status = csd_open(&part, bundle, size, csd_reference_kernels);
        if (status != CSD_OK)
            printf("%s\n", csd_status_name(status));
        const int all = strcmp(verb, "payload") == 0;
        result = status != CSD_OK ? 1 : all ? payload(&part) : run(&part);
    }
    free(bundle);
    return result;
}
