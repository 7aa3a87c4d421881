/* Runs a bundle from plain C, and abuses it.

       driver run    FILE    runs 64 samples of fixed pseudo-random input; prints a CRC32 of each
                             output
       driver flip   FILE    flips every bit, repairs the checksums, verifies, and runs what is
                             accepted
       driver shake  FILE    changes one to four words of the structure at once, 20,000 times
       driver cut    FILE    verifies every shorter length
       driver abuse  FILE    wrong calls: alignment, arena, k, missing buffers; too large an arena

   All buffers are allocated to the byte, so that a sanitizer sees the smallest overreach. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csideploy/csideploy.h"

enum { MOST_BUFFERS = 16, ALIGN = 4096 };

typedef struct buffers {
    void *data[MOST_BUFFERS];
    size_t size[MOST_BUFFERS];
    uint32_t count;
} buffers;

/* `size` bytes that start at a multiple of 16 and end where the allocation ends. */
static uint8_t *allocate(size_t size) {
    void *data = NULL;
    if (posix_memalign(&data, 16, size ? size : 1) != 0)
        exit(3);
    return data;
}

static uint32_t state = 1;

static uint32_t random_bits(void) {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static buffers make_buffers(const csd_part *part, uint32_t first, uint32_t count, size_t samples) {
    buffers b = {{NULL}, {0}, count};
    if (count > MOST_BUFFERS)
        exit(3);
    for (uint32_t i = 0; i < count; i++) {
        const csd_tensor_record *t = &part->tensors[part->interface[first + i].tensor];
        b.size[i] = (size_t)csd_tensor_bytes(t, samples, 1);
        b.data[i] = allocate(b.size[i]);
        for (size_t at = 0; at < b.size[i]; at += 4) {
            const float value = (float)random_bits() / 8388608.0f - 1.0f;
            const size_t left = b.size[i] - at;
            memcpy((uint8_t *)b.data[i] + at, &value, left < 4 ? left : 4);
        }
    }
    return b;
}

static void drop_buffers(buffers *b) {
    for (uint32_t i = 0; i < b->count; i++)
        free(b->data[i]);
}

static int run(csd_part *part, size_t samples, int print) {
    const size_t arena_size = (size_t)part->header->arena_bytes;
    uint8_t *arena = NULL;
    if (posix_memalign((void **)&arena, ALIGN, arena_size ? arena_size : 1) != 0)
        return 3;
    csd_status status = csd_set_arena(part, arena, arena_size);
    if (status == CSD_OK) {
        buffers in = make_buffers(part, 0, part->input_count, samples);
        buffers out = make_buffers(part, part->input_count, part->output_count, samples);
        const csd_call call = {samples, 1, (const void *const *)in.data, out.data, NULL, NULL};
        status = csd_run(part, &call);
        for (uint32_t i = 0; print && i < out.count; i++) {
            const csd_tensor_record *t =
                &part->tensors[part->interface[part->input_count + i].tensor];
            printf("%s %08x\n", csd_name(part, t->name),
                   (unsigned)csd_crc32(0, out.data[i], out.size[i]));
        }
        drop_buffers(&in);
        drop_buffers(&out);
    }
    free(arena);
    if (status != CSD_OK)
        printf("%s\n", csd_status_text(status));
    return status == CSD_OK ? 0 : 1;
}

/* Makes all checksums right again that the directory lets find. */
static void repair(uint8_t *data, size_t size) {
    csd_header_record header;
    memcpy(&header, data, sizeof header);
    const uint64_t directory = (uint64_t)header.section_count * sizeof(csd_section_record);
    if (directory > size - sizeof header)
        return;
    for (uint32_t i = 0; i < header.section_count; i++) {
        csd_section_record section;
        uint8_t *at = data + sizeof header + i * sizeof section;
        memcpy(&section, at, sizeof section);
        if (section.offset <= size && section.length <= size - section.offset) {
            section.crc = csd_crc32(0, data + section.offset, (size_t)section.length);
            memcpy(at, &section, sizeof section);
        }
    }
    header.header_crc = csd_crc32(0, data, sizeof header - sizeof header.header_crc);
    header.header_crc = csd_crc32(header.header_crc, data + sizeof header, (size_t)directory);
    memcpy(data, &header, sizeof header);
}

static int flip(const uint8_t *bundle, size_t size) {
    unsigned refused = 0, harmless = 0, large = 0;
    uint8_t *copy = allocate(size);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        memcpy(copy, bundle, size);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        repair(copy, size);
        csd_part part;
        if (csd_open(&part, copy, size, csd_reference_kernels) != CSD_OK)
            refused++;
        else if (part.header->arena_bytes > 1u << 20)
            large++; /* legal, but more memory than a test should ask for */
        else if (run(&part, 3, 0) == 0)
            harmless++;
        else
            return 1;
    }
    free(copy);
    printf("refused %u harmless %u large %u\n", refused, harmless, large);
    return 0;
}

/* A word that is likely to be legal somewhere: small, special, or from elsewhere in the file. */
static uint32_t likely_word(const uint8_t *bundle, size_t words) {
    static const uint32_t special[] = {CSD_NONE, CSD_DIM_N, CSD_DIM_K, CSD_DIM_MAX, 0x80000000u};
    uint32_t word;
    switch (random_bits() % 4) {
    case 0:
        return special[random_bits() % 5];
    case 1:
        return random_bits() % 32;
    case 2:
        return random_bits() % 32 * 16;
    default:
        memcpy(&word, bundle + 4 * (random_bits() % words), 4);
        return word;
    }
}

static int shake(const uint8_t *bundle, size_t size) {
    unsigned refused = 0, harmless = 0, large = 0;
    csd_part part;
    if (csd_open(&part, bundle, size, csd_reference_kernels) != CSD_OK)
        return 1;
    /* Header, directory and all sections before the weights. */
    const uint8_t *weights = part.sections[CSD_SECTION_WEIGHTS].data;
    const size_t words = (size_t)(weights - bundle) / 4;
    uint8_t *copy = allocate(size);
    for (unsigned round = 0; round < 20000; round++) {
        memcpy(copy, bundle, size);
        for (uint32_t edits = 1 + random_bits() % 4; edits > 0; edits--) {
            const uint32_t word = likely_word(bundle, words);
            memcpy(copy + 4 * (random_bits() % words), &word, 4);
        }
        repair(copy, size);
        if (csd_open(&part, copy, size, csd_reference_kernels) != CSD_OK)
            refused++;
        else if (part.header->arena_bytes > 1u << 20 || part.header->n_max > 1u << 16)
            large++;
        else if (run(&part, 3, 0) == 0)
            harmless++;
        else
            return 1;
    }
    free(copy);
    printf("refused %u harmless %u large %u\n", refused, harmless, large);
    return 0;
}

static int cut(const uint8_t *bundle, size_t size) {
    for (size_t length = 0; length < size; length++) {
        uint8_t *copy = allocate(length);
        memcpy(copy, bundle, length);
        csd_part part;
        const csd_status status = csd_open(&part, copy, length, csd_reference_kernels);
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
    buffers in = make_buffers(&part, 0, part.input_count, 1);
    buffers out = make_buffers(&part, part.input_count, part.output_count, 1);
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

int main(int argc, char **argv) {
    if (argc != 3)
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

    int result = 2;
    if (strcmp(argv[1], "flip") == 0) {
        result = flip(bundle, size);
    } else if (strcmp(argv[1], "shake") == 0) {
        result = shake(bundle, size);
    } else if (strcmp(argv[1], "cut") == 0) {
        result = cut(bundle, size);
    } else if (strcmp(argv[1], "abuse") == 0) {
        result = abuse(bundle, size);
    } else if (strcmp(argv[1], "run") == 0) {
        csd_part part;
        const csd_status status = csd_open(&part, bundle, size, csd_reference_kernels);
        printf("%s\n", csd_status_name(status));
        result = status == CSD_OK ? run(&part, 64, 1) : 1;
    }
    free(bundle);
    return result;
}
