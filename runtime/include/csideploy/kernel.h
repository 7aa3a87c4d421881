/* What the executor hands to a kernel. Kernels know operations, not the format.

   The verifier has checked everything before: shapes fit one another and the parameters, buffers
   are large enough, inputs that must be present are. A kernel checks nothing and cannot fail. */
#ifndef CSIDEPLOY_KERNEL_H
#define CSIDEPLOY_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "csideploy/ops.h"

typedef struct csd_shape {
    uint32_t dims[CSD_MAX_RANK];
    uint32_t rank;
    uint32_t element; /* bytes an element */
    uint32_t dtype;   /* csd_dtype */
} csd_shape;

typedef struct csd_input {
    const void *data; /* NULL: absent */
    csd_shape shape;
} csd_input;

typedef struct csd_output {
    void *data;
    csd_shape shape;
} csd_output;

typedef union csd_param {
    uint32_t u;
    int32_t i;
    float f;
} csd_param;

typedef struct csd_args {
    csd_input in[CSD_MAX_INPUTS];
    csd_output out[CSD_MAX_OUTPUTS];
    const csd_param *params;
} csd_args;

typedef void (*csd_kernel)(const csd_args *args);

#endif
