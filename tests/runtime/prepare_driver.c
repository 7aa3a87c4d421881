/* csd_prepare with preparers of this program's own: FILE. Prints a line a check, "ok" or "WRONG". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csideploy/csideploy.h"

enum { MOST = 1 << 22, ROOM = 1 << 16, TENSORS = 64 };

static uint8_t file[MOST];
static float input[ROOM], room[TENSORS][ROOM];
static const csd_args *seen[CSD_OP_LAST + 1u];
static csd_preparer preparers[CSD_OP_LAST + 1u];
static csd_kernel kernels[CSD_OP_LAST + 1u];
static int given;   /* kernels of LINEAR that found what was prepared */
static int strange; /* constants without data, inputs with data */

/* For each LINEAR its weight, and a byte that makes the size odd. */
static size_t copy_weight(const csd_args *args, void *memory) {
    const csd_input *weight = &args->in[CSD_LINEAR_WEIGHT];
    const size_t size = (size_t)weight->shape.dims[0] * weight->shape.dims[1] * sizeof(float);
    strange += weight->data == NULL || args->in[CSD_LINEAR_X].data != NULL ||
               args->out[0].data != NULL || args->prepared != NULL;
    if (memory != NULL) {
        strange += ((uintptr_t)memory & (CSD_PREPARED_ALIGN - 1u)) != 0;
        memcpy(memory, weight->data, size);
        ((uint8_t *)memory)[size] = 7;
    }
    return size + 1;
}

static void check_weight(const csd_args *args) {
    const csd_input *weight = &args->in[CSD_LINEAR_WEIGHT];
    const size_t size = (size_t)weight->shape.dims[0] * weight->shape.dims[1] * sizeof(float);
    given += args->prepared != NULL && memcmp(args->prepared, weight->data, size) == 0 &&
             ((const uint8_t *)args->prepared)[size] == 7;
    seen[CSD_OP_LINEAR] = args;
    csd_reference_kernels[CSD_OP_LINEAR](args);
}

static void check_none(const csd_args *args) {
    strange += args->prepared != NULL;
    csd_reference_kernels[CSD_OP_ADD](args);
}

static void say(const char *what, int holds) { printf("%s %s\n", what, holds ? "ok" : "WRONG"); }

static csd_status run(csd_part *part) {
    const void *inputs[TENSORS];
    void *outputs[TENSORS];
    for (uint32_t i = 0; i < TENSORS; i++) {
        inputs[i] = input;
        outputs[i] = room[i];
    }
    const csd_call call = {1, 1, inputs, outputs, NULL, NULL};
    return part->input_count <= TENSORS && part->output_count <= TENSORS ? csd_run(part, &call)
                                                                         : CSD_BAD_CALL;
}

int main(int argc, char **argv) {
    FILE *in = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (in == NULL)
        return 2;
    const size_t size = fread(file, 1, sizeof file, in);
    fclose(in);
    memcpy(kernels, csd_reference_kernels, sizeof kernels);
    kernels[CSD_OP_LINEAR] = check_weight;
    kernels[CSD_OP_ADD] = check_none;
    csd_part part;
    say("open", csd_open(&part, file, size, kernels) == CSD_OK);
    void *arena = NULL, *memory = NULL;
    if (posix_memalign(&arena, 4096, (size_t)part.header->arena_bytes + 1) != 0)
        return 2;
    say("arena", csd_set_arena(&part, arena, (size_t)part.header->arena_bytes) == CSD_OK);
    say("no table", csd_prepared_bytes(&part, NULL) == 0);
    say("no preparer", csd_prepared_bytes(&part, preparers) == 0);
    say("nothing to do", csd_prepare(&part, preparers, NULL, 0) == CSD_OK && !part.prepared);
    preparers[CSD_OP_LINEAR] = copy_weight;
    const size_t need = csd_prepared_bytes(&part, preparers);
    say("bytes", need > 0);
    if (posix_memalign(&memory, CSD_PREPARED_ALIGN, need + CSD_PREPARED_ALIGN) != 0)
        return 2;
    say("too small", csd_prepare(&part, preparers, memory, need - 1) == CSD_ARENA_SMALL);
    say("no memory", csd_prepare(&part, preparers, NULL, need) == CSD_NO_ARENA);
    say("misaligned",
        csd_prepare(&part, preparers, (uint8_t *)memory + 8, need) == CSD_ARENA_MISALIGNED);
    say("refused runs without", run(&part) == CSD_OK && given == 0);
    memset(memory, 0xA5, need + CSD_PREPARED_ALIGN);
    say("prepare", csd_prepare(&part, preparers, memory, need) == CSD_OK);
    say("not beyond", ((uint8_t *)memory)[need] == 0xA5);
    csd_part copy = part;
    say("runs", run(&part) == CSD_OK && given > 0);
    const int once = given;
    say("a copy shares it", run(&copy) == CSD_OK && given == 2 * once);
    say("nothing strange", strange == 0 && seen[CSD_OP_LINEAR] != NULL);
    free(memory);
    free(arena);
    return 0;
}
