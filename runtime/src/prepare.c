/* Lets an instruction set's preparers see each step's constants. */
#include "prepare.h"

#define CSD_PREPARED_BASE ((size_t)1 << 24)

static size_t aligned(size_t size) {
    return (size + CSD_PREPARED_ALIGN - 1u) / CSD_PREPARED_ALIGN * CSD_PREPARED_ALIGN;
}

/* The step's operands at their largest, of which only constants have data. */
static void constant_args(const csd_part *part, uint32_t number, csd_args *args) {
    const csd_step_record *step = part->steps + number;
    const uint32_t *operands = part->operands + step->operand_first;
    const uint32_t n = part->header->n_max, k = part->header->k_max;
    for (uint32_t i = 0; i < step->input_count; i++) {
        args->in[i].data = NULL;
        args->in[i].shape.rank = 0;
        if (operands[i] == CSD_NONE)
            continue;
        const csd_tensor_record *tensor = part->tensors + operands[i];
        csd_resolve_shape(&args->in[i].shape, tensor, n, k);
        if (tensor->storage == CSD_STORAGE_WEIGHTS)
            args->in[i].data = (const uint8_t *)part->sections[CSD_SECTION_WEIGHTS].data +
                               tensor->place;
    }
    for (uint32_t i = 0; i < step->output_count; i++) {
        args->out[i].data = NULL;
        csd_resolve_shape(&args->out[i].shape,
                          part->tensors + operands[step->input_count + i], n, k);
    }
    args->params = part->params + step->param_first;
    args->prepared = NULL;
}

/* What a part may take in all: a bundle from a stranger may name the same weights in every step. What
   would pass it stays as it is, and the general kernels run. */
static size_t budget(const csd_part *part) {
    const size_t weights = part->sections[CSD_SECTION_WEIGHTS].length;
    const size_t most = SIZE_MAX / 4u - CSD_PREPARED_BASE;
    return CSD_PREPARED_BASE + 4u * (weights < most / 4u ? weights : most / 4u);
}

/* The bytes in all, and in `memory`, if there is one, what they hold. A preparer is asked for its
   bytes first, and gets memory only where it wants some. */
static size_t prepare(const csd_part *part, const csd_preparer *preparers, uint8_t *memory) {
    const uint32_t steps = part->sections[CSD_SECTION_STEPS].count;
    const size_t most = budget(part);
    size_t *offsets = (size_t *)(void *)memory;
    size_t end = aligned(steps * sizeof *offsets), taken = 0;
    for (uint32_t s = 0; s < steps; s++) {
        csd_args args;
        const csd_preparer preparer = preparers[part->steps[s].op];
        size_t size = 0;
        if (preparer != NULL) {
            constant_args(part, s, &args);
            size = preparer(&args, NULL);
            size = size <= most - taken ? size : 0;
        }
        if (memory != NULL)
            offsets[s] = size != 0 ? end : 0;
        if (memory != NULL && size != 0)
            (void)preparer(&args, memory + end);
        taken += size;
        end += aligned(size);
    }
    return taken != 0 ? end : 0;
}

size_t csd_prepared_bytes(const csd_part *part, const csd_preparer *preparers) {
    return preparers != NULL ? prepare(part, preparers, NULL) : 0;
}

csd_status csd_prepare(csd_part *part, const csd_preparer *preparers, void *memory, size_t size) {
    const size_t need = csd_prepared_bytes(part, preparers);
    if (size < need)
        return CSD_ARENA_SMALL;
    if (need == 0)
        return CSD_OK;
    if (memory == NULL)
        return CSD_NO_ARENA;
    if (((uintptr_t)memory & (CSD_PREPARED_ALIGN - 1u)) != 0)
        return CSD_ARENA_MISALIGNED;
    prepare(part, preparers, memory);
    part->prepared = memory;
    return CSD_OK;
}
