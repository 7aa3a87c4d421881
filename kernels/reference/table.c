/* The kernels of this instruction set, by operation; NULL for an operation that is not built. */
#include "csideploy/config.h"

#include "../kernels.h"

extern const csd_kernel CSD_KERNEL(kernels)[CSD_OP_LAST + 1u];

#define CSD_ENTRY(NAME, name) [CSD_OP_##NAME] = CSD_KERNEL(name),
const csd_kernel CSD_KERNEL(kernels)[CSD_OP_LAST + 1u] = {CSD_FOR_EACH_BUILT_OP(CSD_ENTRY)};
