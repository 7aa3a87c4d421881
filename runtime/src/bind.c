/* A call whose operands are resolved once. */
#include "csideploy/bind.h"

#include "prepare.h"

#define MOST_FETCHED 16u /* steps */

size_t csd_bound_bytes(const csd_part *part) {
    const size_t count = part->sections[CSD_SECTION_STEPS].count;
    return count <= SIZE_MAX / sizeof(csd_bound_step) ? count * sizeof(csd_bound_step) : SIZE_MAX;
}

csd_status csd_bind(csd_bound *bound, csd_part *part, const csd_call *call, void *memory,
                    size_t bytes) {
    const csd_status status = csd_call_status(part, call);
    if (status != CSD_OK)
        return status;
    if (call->samples < 1 || call->samples > part->header->n_max)
        return CSD_BAD_CALL;
    if (memory == NULL || bytes < csd_bound_bytes(part))
        return CSD_ARENA_SMALL;
    if (((uintptr_t)memory & (sizeof(void *) - 1u)) != 0)
        return CSD_ARENA_MISALIGNED;
    csd_bound_step *steps = memory;
    bound->steps = steps;
    bound->count = part->sections[CSD_SECTION_STEPS].count;
    part->call = call;
    part->done = 0;
    for (uint32_t s = 0; s < bound->count; s++) {
        steps[s].kernel = part->kernels[part->steps[s].op];
        csd_resolve_step(&steps[s].args, part, s, (uint32_t)call->samples);
    }
    part->call = NULL;
    return CSD_OK;
}

/* From cold caches the records of later steps, where their operands are, come while the first one
   runs; else each would be waited for in its turn. Of many steps those of the first ones suffice. */
static void fetch_records(const csd_bound *bound) {
#if defined(__GNUC__) || defined(__clang__)
    const uint32_t count = bound->count < MOST_FETCHED ? bound->count : MOST_FETCHED;
    const char *end = (const char *)(bound->steps + count);
    for (const char *at = (const char *)(bound->steps + 1); at < end; at += 64)
        __builtin_prefetch(at);
#else
    (void)bound;
#endif
}

void csd_bound_run(const csd_bound *bound) {
    fetch_records(bound);
    for (uint32_t s = 0; s < bound->count; s++)
        bound->steps[s].kernel(&bound->steps[s].args);
}
