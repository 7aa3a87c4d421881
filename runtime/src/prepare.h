/* What csd_prepare leaves for the executor. */
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

#endif
