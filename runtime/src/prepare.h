/* What the executor, csd_prepare and csd_bind share. */
#ifndef CSIDEPLOY_PREPARE_H
#define CSIDEPLOY_PREPARE_H

#include "csideploy/csideploy.h"

/* The prepared memory begins with an offset for each step, 0 where nothing was prepared. */
static inline const void *csd_prepared_step(const csd_part *part, uint32_t step) {
    if (part->prepared == NULL)
        return NULL;
    const size_t offset = ((const size_t *)(const void *)part->prepared)[step];
    return offset != 0 ? part->prepared + offset : NULL;
}

/* A tensor's shape for n samples and k users. */
void csd_resolve_shape(csd_shape *shape, const csd_tensor_record *tensor, uint32_t n, uint32_t k);

/* A step's operands for n samples of part->call, the first of them number part->done. */
void csd_resolve_step(csd_args *args, const csd_part *part, uint32_t number, uint32_t n);

/* Has the part its memory, and the call its buffers, aligned? */
csd_status csd_call_status(const csd_part *part, const csd_call *call);

#endif
