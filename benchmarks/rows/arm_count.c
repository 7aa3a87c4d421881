/* One run of a bundle on an instruction set, between two marks whose names stand in an emulator's
   trace:

       arm_count ISA BUNDLE INPUT...

   prints a checksum of the outputs. Each INPUT is a file with one input's bytes, of one sample.
   What the instruction set prepares is prepared before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csideploy/csideploy.h"
#include "csideploy/dispatch.h"

enum { MOST = 64 };

void csd_count_begin(void);
void csd_count_end(void);

/* The empty instruction keeps the functions apart. */
__attribute__((noinline)) void csd_count_begin(void) { __asm__ volatile("" ::: "memory"); }
__attribute__((noinline)) void csd_count_end(void) { __asm__ volatile("nop" ::: "memory"); }

static void *room(size_t size) {
    void *data = NULL;
    if (posix_memalign(&data, 4096, size > 0 ? size : 1) != 0)
        exit(3);
    return data;
}

static void *load(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        exit(3);
    *size = (size_t)ftell(file);
    void *data = room(*size);
    rewind(file);
    if (fread(data, 1, *size, file) != *size)
        exit(3);
    fclose(file);
    return data;
}

int main(int count, char **arguments) {
    csd_part part;
    csd_isa isa;
    size_t size, taken, sizes[MOST] = {0};
    const void *inputs[MOST];
    void *outputs[MOST];
    if (count < 3 || count > MOST || !csd_choose_isa(arguments[1], &isa))
        return 2;
    const void *bundle = load(arguments[2], &size);
    for (int i = 3; i < count; i++)
        inputs[i - 3] = load(arguments[i], &taken);
    if (csd_open(&part, bundle, size, isa.kernels) != CSD_OK ||
        part.input_count != (uint32_t)count - 3u || part.output_count > MOST)
        return 3;
    for (uint32_t i = 0; i < part.output_count; i++) {
        const csd_tensor_record *t =
            &part.tensors[part.interface[part.input_count + i].tensor];
        sizes[i] = (size_t)csd_tensor_bytes(t, 1, part.header->k_max);
        outputs[i] = room(sizes[i]);
    }
    const size_t bytes = csd_prepared_bytes(&part, isa.preparers);
    const size_t arena = (size_t)part.header->arena_bytes;
    if (csd_set_arena(&part, room(arena), arena) != CSD_OK ||
        (bytes > 0 && csd_prepare(&part, isa.preparers, room(bytes), bytes) != CSD_OK))
        return 3;
    const csd_call call = {1, part.header->k_max, inputs, outputs, NULL, NULL};
    csd_count_begin();
    const csd_status status = csd_run(&part, &call);
    csd_count_end();
    uint64_t sum = 14695981039346656037u;
    for (uint32_t i = 0; i < part.output_count; i++)
        for (size_t at = 0; at < sizes[i]; at++)
            sum = (sum ^ ((const uint8_t *)outputs[i])[at]) * 1099511628211u;
    printf("%016llx\n", (unsigned long long)sum);
    return status == CSD_OK ? 0 : 1;
}
