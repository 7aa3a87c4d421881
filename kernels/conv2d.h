/* Between the two files of CONV2D. */
#ifndef CSIDEPLOY_CONV2D_H
#define CSIDEPLOY_CONV2D_H

#include "kernels.h"

/* Everything but the activation, in the same order and so to the same bits (but for the sign of a
   zero), by vector registers. 0: nothing is done, since it would not be faster. */
int CSD_KERNEL(conv2d_tiles)(const csd_args *args);

#endif
