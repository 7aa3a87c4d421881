/* The kernels of this instruction set, by operation. */
#include "../kernels.h"

extern const csd_kernel CSD_KERNEL(kernels)[CSD_OP_LAST + 1u];

#define CSD_ENTRY(NAME, name) [CSD_OP_##NAME] = CSD_KERNEL(name),
const csd_kernel CSD_KERNEL(kernels)[CSD_OP_LAST + 1u] = {CSD_FOR_EACH_OP(CSD_ENTRY)};
