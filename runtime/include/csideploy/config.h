/* The operations that this build knows: all. What `--emit c` writes has those of its part alone; a
   bundle with another operation is then refused (NO_KERNEL), and the code for it is not linked. */
#ifndef CSIDEPLOY_CONFIG_H
#define CSIDEPLOY_CONFIG_H

#include "csideploy/ops.h"

#define CSD_FOR_EACH_BUILT_OP(X) CSD_FOR_EACH_OP(X)

#endif
