/* libFuzzer target: opens any bytes as a bundle and runs what the verifier accepts.

       make fuzz SECONDS=600

   The checksums are made right before the bundle is opened, here and after each mutation, so that
   the verifier is attacked and not the CRC. What is accepted runs twice, on random input (payload
   bits included), over different rubbish: it must not crash, and must give the same bits. */
#include "abuse.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static unsigned long opened, accepted, ran;

static void say_counts(void) {
    fprintf(stderr, "opened %lu accepted %lu ran %lu\n", opened, accepted, ran);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    return atexit(say_counts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *bundle = allocate(size);
    if (size > 0)
        memcpy(bundle, data, size);
    repair(bundle, size);
    random_state = csd_crc32(0, bundle, size);
    csd_part part;
    opened++;
    if (csd_open(&part, bundle, size, csd_reference_kernels) == CSD_OK) {
        const uint32_t users[2] = {1, part.header->k_max};
        accepted++;
        for (int i = 0; i < 1 + (users[1] > 1) && !too_large(&part, 3, users[i]); i++) {
            if (run_twice(&part, 3, users[i], (int)(random_bits() & 1u)) != 0)
                abort();
            ran += i == 0;
        }
    }
    free(bundle);
    return 0;
}

/* Where the records of a section lie, if header and directory are sound enough to say. */
static uint32_t find(const uint8_t *data, size_t size, uint32_t id, uint8_t **start) {
    csd_header_record header;
    if (size < sizeof header)
        return 0;
    memcpy(&header, data, sizeof header);
    for (uint32_t i = 0; i < header.section_count; i++) {
        csd_section_record section;
        const size_t at = sizeof header + i * sizeof section;
        if (at + sizeof section > size)
            return 0;
        memcpy(&section, data + at, sizeof section);
        if (section.id == id && section.offset <= size && section.length <= size - section.offset) {
            *start = (uint8_t *)(uintptr_t)data + section.offset;
            return (uint32_t)section.length;
        }
    }
    return 0;
}

static uint32_t any_section(uint8_t *data, size_t size, uint8_t **start) {
    return find(data, size, 1 + random_bits() % CSD_SECTION_KNOWN, start);
}

static void change_words(uint8_t *data, size_t size) {
    if (size < 4)
        return;
    for (uint32_t edits = 1 + random_bits() % 3; edits > 0; edits--) {
        const uint32_t word = likely_word(data, size / 4);
        uint8_t *start = data;
        uint32_t length = any_section(data, size, &start);
        if (length < 4) {
            start = data;
            length = (uint32_t)size;
        }
        memcpy(start + 4 * (random_bits() % (length / 4)), &word, 4);
    }
}

static void change_section(uint8_t *data, size_t size) {
    uint8_t *start;
    const uint32_t length = any_section(data, size, &start);
    if (length > 0)
        LLVMFuzzerMutate(start, length, length);
}

static void copy_record(uint8_t *data, size_t size) {
    static const struct {
        uint32_t id;
        uint32_t width;
    } tables[] = {{CSD_SECTION_TENSORS, sizeof(csd_tensor_record)},
                  {CSD_SECTION_STEPS, sizeof(csd_step_record)},
                  {CSD_SECTION_OPERANDS, 4},
                  {CSD_SECTION_INTERFACE, sizeof(csd_interface_record)}};
    uint8_t *start;
    const uint32_t which = random_bits() % 4, width = tables[which].width;
    const uint32_t count = find(data, size, tables[which].id, &start) / width;
    if (count > 0)
        memmove(start + random_bits() % count * width, start + random_bits() % count * width,
                width);
}

static void change_parameter(uint8_t *data, size_t size) {
    static const float values[] = {0.0f, 1.0f, -1.0f, 1e-38f, 3e38f, 1e-45f, 0.5f, 65504.0f};
    uint8_t *start;
    const uint32_t count = find(data, size, CSD_SECTION_PARAMS, &start) / 4;
    if (count == 0)
        return;
    uint32_t word = random_bits() % 24 - random_bits() % 4;
    if (random_bits() % 4 == 0)
        memcpy(&word, &values[random_bits() % 8], 4);
    memcpy(start + 4 * (random_bits() % count), &word, 4);
}

/* Makes each tensor's bytes fit its shape again, and the arena its tensors. */
static void fit_sizes(uint8_t *data, size_t size) {
    uint8_t *start;
    const uint32_t count = find(data, size, CSD_SECTION_TENSORS, &start) / sizeof(csd_tensor_record);
    csd_header_record header;
    if (count == 0)
        return;
    memcpy(&header, data, sizeof header);
    header.arena_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        csd_tensor_record tensor;
        memcpy(&tensor, start + i * sizeof tensor, sizeof tensor);
        uint64_t bytes = csd_dtype_size(tensor.dtype), most = 1;
        for (uint32_t d = 0; d < CSD_MAX_RANK && d < tensor.rank; d++) {
            if (tensor.dims[d] <= CSD_DIM_MAX)
                bytes *= tensor.dims[d];
            else
                most *= tensor.dims[d] == CSD_DIM_N ? header.n_max : header.k_max;
        }
        tensor.nbytes = bytes;
        memcpy(start + i * sizeof tensor, &tensor, sizeof tensor);
        if (tensor.storage == CSD_STORAGE_ARENA && tensor.place + bytes * most > header.arena_bytes)
            header.arena_bytes = tensor.place + bytes * most;
    }
    memcpy(data, &header, sizeof header);
}

/* One length becomes another in one tensor, or in all: then shapes still fit one another. */
static void change_length(uint8_t *data, size_t size) {
    uint8_t *start;
    const uint32_t count = find(data, size, CSD_SECTION_TENSORS, &start) / sizeof(csd_tensor_record);
    if (count == 0)
        return;
    const uint32_t which = random_bits() % count, axis = random_bits() % CSD_MAX_RANK;
    const int all = random_bits() % 2 == 0;
    csd_tensor_record tensor;
    memcpy(&tensor, start + which * sizeof tensor, sizeof tensor);
    const uint32_t old = tensor.dims[axis], symbols[2] = {CSD_DIM_N, CSD_DIM_K};
    uint32_t new = 1 + random_bits() % (old % 64 + 2);
    if (random_bits() % 8 == 0)
        new = symbols[random_bits() % 2];
    else if (random_bits() % 8 == 0)
        new = 1 + random_bits() % 400; /* beyond the blocks and tiles of the kernels */
    for (uint32_t i = all ? 0 : which; i < (all ? count : which + 1); i++) {
        memcpy(&tensor, start + i * sizeof tensor, sizeof tensor);
        for (uint32_t d = 0; d < CSD_MAX_RANK; d++)
            if (tensor.dims[d] == old && old != 0 && (all || d == axis))
                tensor.dims[d] = new;
        memcpy(start + i * sizeof tensor, &tensor, sizeof tensor);
    }
    fit_sizes(data, size);
}

static void change_type(uint8_t *data, size_t size) {
    uint8_t *start;
    const uint32_t count = find(data, size, CSD_SECTION_TENSORS, &start) / sizeof(csd_tensor_record);
    if (count == 0)
        return;
    for (uint32_t edits = 1 + random_bits() % 3; edits > 0; edits--) {
        const size_t at = random_bits() % count * sizeof(csd_tensor_record);
        start[at + offsetof(csd_tensor_record, dtype)] = (uint8_t)(1 + random_bits() % 5);
    }
    fit_sizes(data, size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    random_state = seed;
    for (uint32_t edits = 1 + random_bits() % 2; edits > 0; edits--) {
        switch (random_bits() % 8) {
        case 0:
            size = LLVMFuzzerMutate(data, size, most);
            break;
        case 1:
            change_words(data, size);
            break;
        case 2:
            change_section(data, size);
            break;
        case 3:
            copy_record(data, size);
            break;
        case 4:
        case 5:
            change_parameter(data, size);
            break;
        case 6:
            change_length(data, size);
            break;
        default:
            change_type(data, size);
            break;
        }
    }
    repair(data, size);
    return size;
}
