/* A call that is made ready once and then run again and again on the same buffers: all that csd_run
   finds out on each call, where operands lie and which shapes they have, is found out beforehand.
   What is left is a call of each step's kernel. It pays where a part takes less than microseconds.

       csd_bound bound;
       status = csd_bind(&bound, &part, &call, memory, csd_bound_bytes(&part));
       if (status == CSD_OK)
           for (;;) {
               (write the call's input buffers)
               csd_bound_run(&bound);
               (read its output buffers)
           }

   The caller owns the memory. It, the part with its arena, and the call's buffers must outlive the
   bound call and stay where they are; the call itself may go. One thread at a time, as for the
   part. */
#ifndef CSIDEPLOY_BIND_H
#define CSIDEPLOY_BIND_H

#include "csideploy/csideploy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A step's kernel with its operands. */
typedef struct csd_bound_step {
    csd_kernel kernel;
    csd_args args;
} csd_bound_step;

typedef struct csd_bound {
    const csd_bound_step *steps;
    uint32_t count;
} csd_bound;

/* Bytes of memory for a part, at the alignment of a pointer. */
size_t csd_bound_bytes(const csd_part *part);

/* Makes a call ready. BAD_CALL: as csd_run, and for no sample or more than n_max; ARENA_SMALL,
   ARENA_MISALIGNED: the memory does not fit. The call's tick is not called. */
csd_status csd_bind(csd_bound *bound, csd_part *part, const csd_call *call, void *memory,
                    size_t bytes);

/* Gives the bits that csd_run gives. Checks nothing and cannot fail. */
void csd_bound_run(const csd_bound *bound);

#ifdef __cplusplus
}
#endif

#endif
