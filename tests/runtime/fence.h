/* While a step runs under the address sanitizer, everything that is not an operand of that step is
   out of bounds: the rest of the arena, the other weights, other inputs, outputs and samples. */
#ifndef CSIDEPLOY_TESTS_FENCE_H
#define CSIDEPLOY_TESTS_FENCE_H

#include "csideploy/csideploy.h"

#if defined(__SANITIZE_ADDRESS__)
#define CSD_FENCED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CSD_FENCED 1
#endif
#endif

#ifdef CSD_FENCED
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#endif

static inline const void *buffer_of(const csd_part *part, const csd_tensor_record *t) {
    return t->storage == CSD_STORAGE_INPUT ? part->call->inputs[t->place]
                                           : part->call->outputs[t->place];
}

static inline void fence_all(const csd_part *part, int closed) {
    const csd_section *weights = &part->sections[CSD_SECTION_WEIGHTS];
    const uint32_t buffers = part->input_count + part->output_count;
    if (closed) {
        ASAN_POISON_MEMORY_REGION(part->arena, part->header->arena_bytes);
        ASAN_POISON_MEMORY_REGION(weights->data, weights->length);
    } else {
        ASAN_UNPOISON_MEMORY_REGION(part->arena, part->header->arena_bytes);
        ASAN_UNPOISON_MEMORY_REGION(weights->data, weights->length);
    }
    for (uint32_t i = 0; i < buffers; i++) {
        const csd_tensor_record *t = &part->tensors[part->interface[i].tensor];
        const void *start = buffer_of(part, t);
        const uint64_t size = csd_tensor_bytes(t, part->call->samples, part->call->k);
        if (closed)
            ASAN_POISON_MEMORY_REGION(start, size);
        else
            ASAN_UNPOISON_MEMORY_REGION(start, size);
    }
}

/* A tick: closes the fence around a step's operands, and opens it after the step. */
static inline void fence(void *user, const csd_part *part, uint32_t s, csd_phase phase) {
    const csd_step_record *step = &part->steps[s];
    const uint32_t *operands = part->operands + step->operand_first;
    const uint32_t k = part->call->k;
    const uint64_t left = part->call->samples - part->done;
    const uint64_t n = left < part->header->n_max ? left : part->header->n_max;
    (void)user;
    fence_all(part, phase == CSD_BEFORE_STEP);
    if (phase == CSD_AFTER_STEP)
        return;
    for (uint32_t i = 0; i < (uint32_t)step->input_count + step->output_count; i++) {
        if (operands[i] == CSD_NONE)
            continue;
        const csd_tensor_record *t = &part->tensors[operands[i]];
        const uint8_t *start;
        if (t->storage == CSD_STORAGE_ARENA)
            start = part->arena + t->place;
        else if (t->storage == CSD_STORAGE_WEIGHTS)
            start = (const uint8_t *)part->sections[CSD_SECTION_WEIGHTS].data + t->place;
        else
            start = (const uint8_t *)buffer_of(part, t) +
                    (t->dims[0] == CSD_DIM_N ? csd_tensor_bytes(t, part->done, k) : 0);
        ASAN_UNPOISON_MEMORY_REGION(start, csd_tensor_bytes(t, n, k));
    }
}

#endif
