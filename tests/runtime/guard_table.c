/* The fast kernels of one instruction set by themselves, for guard_driver.c: what they return says
   whether they took a step, which the table of kernels hides. */
#include "guard_driver.h"

#include "../../kernels/fast.h"

extern const csd_preparer CSD_KERNEL(preparers)[CSD_OP_LAST + 1u];
extern const guard_set CSD_KERNEL(guard_set);

#define NAME_OF(isa) #isa
#define NAME(isa) NAME_OF(isa)
#define TRY(OP, name) [CSD_OP_##OP] = CSD_FAST(name),

const guard_set CSD_KERNEL(guard_set) = {
    NAME(CSD_ISA), CSD_KERNEL(preparers), {CSD_FOR_EACH_FAST_OP(TRY)}};
