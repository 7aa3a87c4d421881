/* What the driver and the fuzzer share: bundles are changed, made plausible again, and run.

   All buffers are allocated to the byte, and a step may touch its operands alone (fence.h), so that
   a sanitizer sees the smallest overreach. */
#ifndef CSIDEPLOY_TESTS_ABUSE_H
#define CSIDEPLOY_TESTS_ABUSE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csideploy/csideploy.h"
#include "fence.h"

enum {
    MOST_BUFFERS = 64,
    ARENA_ALIGN = 4096, /* the most that a bundle may ask for */
    MOST_BYTES = 1 << 20,
    MOST_WORK = 1 << 24
};

typedef struct buffers {
    uint8_t *block[MOST_BUFFERS]; /* what was allocated */
    void *data[MOST_BUFFERS];     /* four bytes into it */
    size_t size[MOST_BUFFERS];
    uint32_t count;
} buffers;

static uint32_t random_state = 1;

static inline uint32_t random_bits(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}

/* `size` bytes that start at a multiple of 16 and end where the allocation ends. */
static inline uint8_t *allocate(size_t size) {
    void *data = NULL;
    if (posix_memalign(&data, 16, size ? size : 1) != 0)
        exit(3);
    return data;
}

/* Buffers of `samples` samples for tensors `first`... of the interface, aligned to 4 bytes and no
   more, which is all that the runtime may expect of a caller. */
static inline buffers make_buffers(const csd_part *part, uint32_t first, uint32_t count,
                                   size_t samples, uint32_t k) {
    buffers b = {{NULL}, {NULL}, {0}, count};
    if (count > MOST_BUFFERS)
        exit(3);
    for (uint32_t i = 0; i < count; i++) {
        const csd_tensor_record *t = &part->tensors[part->interface[first + i].tensor];
        b.size[i] = (size_t)csd_tensor_bytes(t, samples, k);
        b.block[i] = allocate(b.size[i] + 4);
        b.data[i] = b.block[i] + 4;
    }
    return b;
}

static inline void drop_buffers(buffers *b) {
    for (uint32_t i = 0; i < b->count; i++)
        free(b->block[i]);
}

/* Floats in [-1, 1), which as bytes are any bytes; with `wild`, any bits: NaN, infinities and
   subnormals are input too. */
static inline void fill_buffers(buffers *b, int wild) {
    for (uint32_t i = 0; i < b->count; i++) {
        for (size_t at = 0; at < b->size[i]; at += 4) {
            const float value = (float)random_bits() / 8388608.0f - 1.0f;
            const uint32_t bits = random_bits() << 16 ^ random_bits();
            const size_t left = b->size[i] - at;
            memcpy((uint8_t *)b->data[i] + at, wild ? (const void *)&bits : &value,
                   left < 4 ? left : 4);
        }
    }
}

static inline uint64_t elements(const csd_part *part, uint32_t index, size_t samples, uint32_t k) {
    if (index == CSD_NONE)
        return 0;
    const csd_tensor_record *t = &part->tensors[index];
    return csd_tensor_bytes(t, samples, k) / csd_dtype_size(t->dtype);
}

/* Would a run take more memory or time than a test should ask for? Legal, but left out. No
   operation does more than each output element times each input element. */
static inline int too_large(const csd_part *part, size_t samples, uint32_t k) {
    uint64_t bytes = part->header->arena_bytes;
    uint64_t work = 0;
    if (bytes > MOST_BYTES || part->input_count + part->output_count > MOST_BUFFERS)
        return 1;
    for (uint32_t i = 0; i < part->input_count + part->output_count; i++) {
        bytes += csd_tensor_bytes(&part->tensors[part->interface[i].tensor], samples, k);
        if (bytes > MOST_BYTES)
            return 1;
    }
    for (uint32_t s = 0; s < part->sections[CSD_SECTION_STEPS].count; s++) {
        const csd_step_record *step = &part->steps[s];
        const uint32_t *index = part->operands + step->operand_first;
        uint64_t in = 1, out = 0;
        for (uint32_t i = 0; i < step->input_count; i++)
            in += elements(part, index[i], samples, k);
        for (uint32_t i = 0; i < step->output_count; i++)
            out += elements(part, index[step->input_count + i], samples, k);
        /* Both below 2^31 x 2^16 as each tensor is at most 2^31 bytes; the product may wrap. */
        if (in > MOST_WORK || out > MOST_WORK)
            return 1;
        work += in * out;
        if (work > MOST_WORK)
            return 1;
    }
    return 0;
}

/* Runs a verified part on random input, in an arena and over outputs full of `poison`. */
static inline csd_status run_once(csd_part *part, buffers *in, buffers *out, size_t samples,
                                  uint32_t k, int poison) {
    const size_t size = (size_t)part->header->arena_bytes;
    void *arena = NULL;
    if (posix_memalign(&arena, ARENA_ALIGN, size ? size : 1) != 0)
        exit(3);
    memset(arena, poison, size);
    for (uint32_t i = 0; i < out->count; i++)
        memset(out->data[i], poison, out->size[i]);
    const csd_call call = {samples, k, (const void *const *)in->data, out->data, fence, NULL};
    csd_status status = csd_set_arena(part, arena, size);
    if (status == CSD_OK)
        status = csd_run(part, &call);
    free(arena);
    return status;
}

/* Two runs on the same input over different rubbish: an output that differs was made of bytes that
   no step had written, or was not written whole. Returns 0 if all is well. */
static inline int run_twice(csd_part *part, size_t samples, uint32_t k, int wild) {
    buffers in = make_buffers(part, 0, part->input_count, samples, k);
    buffers first = make_buffers(part, part->input_count, part->output_count, samples, k);
    buffers second = make_buffers(part, part->input_count, part->output_count, samples, k);
    fill_buffers(&in, wild);
    int bad = run_once(part, &in, &first, samples, k, 0xA5) != CSD_OK ||
              run_once(part, &in, &second, samples, k, 0x3C) != CSD_OK;
    for (uint32_t i = 0; i < first.count && !bad; i++)
        if (memcmp(first.data[i], second.data[i], first.size[i]) != 0) {
            printf("output %u depends on bytes that no step has written\n", (unsigned)i);
            bad = 1;
        }
    drop_buffers(&in);
    drop_buffers(&first);
    drop_buffers(&second);
    return bad;
}

/* Makes all checksums right again that the directory lets find; with `only`, those of that section
   and of the header alone. */
static inline void repair_section(uint8_t *data, size_t size, uint32_t only) {
    csd_header_record header;
    if (size < sizeof header)
        return;
    memcpy(&header, data, sizeof header);
    const uint64_t directory = (uint64_t)header.section_count * sizeof(csd_section_record);
    if (directory > size - sizeof header)
        return;
    for (uint32_t i = 0; i < header.section_count; i++) {
        csd_section_record section;
        uint8_t *at = data + sizeof header + i * sizeof section;
        memcpy(&section, at, sizeof section);
        if ((only == 0 || section.id == only) && section.offset <= size &&
            section.length <= size - section.offset) {
            section.crc = csd_crc32(0, data + section.offset, (size_t)section.length);
            memcpy(at, &section, sizeof section);
        }
    }
    header.header_crc = csd_crc32(0, data, sizeof header - sizeof header.header_crc);
    header.header_crc = csd_crc32(header.header_crc, data + sizeof header, (size_t)directory);
    memcpy(data, &header, sizeof header);
}

static inline void repair(uint8_t *data, size_t size) { repair_section(data, size, 0); }

/* A word that is likely to be legal somewhere: small, special, or from elsewhere in the file. */
static inline uint32_t likely_word(const uint8_t *bundle, size_t words) {
    static const uint32_t special[] = {CSD_NONE,    CSD_DIM_N,   CSD_DIM_K, CSD_DIM_MAX,
                                       0x80000000u, 0x7F800000u, 1u << 16,  0xFFFFu};
    uint32_t word;
    switch (random_bits() % 4) {
    case 0:
        return special[random_bits() % (sizeof special / sizeof *special)];
    case 1:
        return random_bits() % 40;
    case 2:
        return random_bits() % 64 * 16;
    default:
        memcpy(&word, bundle + 4 * (random_bits() % words), 4);
        return word;
    }
}

#endif
