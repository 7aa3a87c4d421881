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
    const void *prepared; /* what the operation's csd_preparer made of the step, or NULL */
} csd_args;

typedef void (*csd_kernel)(const csd_args *args);

/* Makes of a step's constants what one instruction set reads faster: weights in another order,
   tables. Returns how many bytes that takes, 0 for a step that it has nothing for, and fills
   `memory`, aligned to CSD_PREPARED_ALIGN, unless that is NULL. Shapes are those of n_max and
   k_max; an input that is no constant has data NULL. */
typedef size_t (*csd_preparer)(const csd_args *args, void *memory);
#define CSD_PREPARED_ALIGN 64u

#endif
