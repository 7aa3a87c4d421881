/* The smallest program that uses a part: what the linker keeps for it is what the library weighs. */
#include "csideploy/csideploy.h"
#include "model.h"

int entry(csd_part *part, void *arena, const csd_call *call);

int entry(csd_part *part, void *arena, const csd_call *call) {
    csd_status status = csd_open(part, csd_model, CSD_MODEL_BYTES, csd_reference_kernels);
    if (status == CSD_OK)
        status = csd_set_arena(part, arena, CSD_ARENA_BYTES);
    return (int)(status == CSD_OK ? csd_run(part, call) : status);
}
