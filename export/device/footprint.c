/* The smallest program that verifies and runs the parts of a side: what the linker keeps for it is
   what the library weighs, and its .bss is the RAM that the parts need. */
#include "csideploy/csideploy.h"
#include "parts.h"

static uint8_t csd_arena[CSD_ARENA_BYTES] __attribute__((aligned(16)));
static csd_part parts[CSD_PARTS];

int entry(const csd_call *calls);

static csd_status run(csd_part *part, const uint8_t *model, size_t size, const csd_call *call) {
    csd_status status = csd_open(part, model, size, csd_reference_kernels);
    if (status == CSD_OK)
        status = csd_set_arena(part, csd_arena, sizeof csd_arena);
    return status == CSD_OK ? csd_run(part, call) : status;
}

int entry(const csd_call *calls) {
    csd_status status = CSD_OK;
#define CSD_RUN(number, size)                                                                      \
    if (status == CSD_OK)                                                                          \
        status = run(&parts[number], csd_model_##number, size, &calls[number]);
    CSD_FOR_EACH_PART(CSD_RUN)
    return (int)status;
}
