/* The kernels of this instruction set, by operation; NULL for an operation that is not built. */
#include "csideploy/config.h"

#include "../kernels.h"

#ifdef CSD_WITH_FAST /* kernels/vector is built as well */
#include "../fast.h"

#define CSD_TRY_FAST(NAME, name)                                                                   \
    static void fast_##name(const csd_args *args) {                                                \
        if (!CSD_FAST(name)(args))                                                                 \
            CSD_KERNEL(name)(args);                                                                \
    }
CSD_FOR_EACH_FAST_OP(CSD_TRY_FAST)

extern const csd_preparer CSD_KERNEL(preparers)[CSD_OP_LAST + 1u];

#define CSD_PREPARER(NAME, name) [CSD_OP_##NAME] = CSD_PREPARE(name),
const csd_preparer CSD_KERNEL(preparers)[CSD_OP_LAST + 1u] = {CSD_FOR_EACH_FAST_OP(CSD_PREPARER)};
#endif

extern const csd_kernel CSD_KERNEL(kernels)[CSD_OP_LAST + 1u];

#define CSD_ENTRY(NAME, name) [CSD_OP_##NAME] = CSD_KERNEL(name),
#ifndef CSD_WITH_FAST
const csd_kernel CSD_KERNEL(kernels)[CSD_OP_LAST + 1u] = {CSD_FOR_EACH_BUILT_OP(CSD_ENTRY)};
#else
/* A fast kernel takes the general one's place in the list, which is what these warn of. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define CSD_FAST_ENTRY(NAME, name) [CSD_OP_##NAME] = fast_##name,
const csd_kernel CSD_KERNEL(kernels)[CSD_OP_LAST + 1u] = {
    CSD_FOR_EACH_BUILT_OP(CSD_ENTRY) CSD_FOR_EACH_FAST_OP(CSD_FAST_ENTRY)};
#endif
