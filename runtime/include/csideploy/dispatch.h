/* Which instruction sets this build has kernels for, and which of them this machine can run.

   For hosted machines, where one program meets many CPUs. A bare machine has one: its program
   names its table (csd_reference_kernels, compiled for that CPU) when it is linked.

   All tables give the same bits: the same source, or one that keeps its order of operations. */
#ifndef CSIDEPLOY_DISPATCH_H
#define CSIDEPLOY_DISPATCH_H

#include <stdint.h>

#include "csideploy/angular_delay.h"
#include "csideploy/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct csd_isa {
    const char *name;          /* "reference", "baseline", "avx2", "avx512", "neon", "dotprod" */
    const csd_kernel *kernels; /* for csd_open */
    const csd_preparer *preparers; /* for csd_prepare; NULL: it has none */
    csd_angular_delay_kernel angular_delay;
    int available; /* can this machine run them? */
} csd_isa;

/* Fills `isa` with table number `i` of this build, slowest first, and returns 1; returns 0 past the
   last. Number 0 is "reference", which every machine can run. */
int csd_isa_at(uint32_t i, csd_isa *isa);

/* Fills `isa` with the table of that name, or with the best one available where `name` is NULL or
   empty, and returns 1; returns 0 for a name that this build lacks or this machine cannot run. */
int csd_choose_isa(const char *name, csd_isa *isa);

#ifdef __cplusplus
}
#endif

#endif
