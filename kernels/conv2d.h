/* Between the two files of CONV2D. */
#ifndef CSIDEPLOY_CONV2D_H
#define CSIDEPLOY_CONV2D_H

#include "kernels.h"

/* Everything but the activation, by vector registers. 0: nothing is done, since it would not be
   faster. The order is the same, and so are the bits: a sum that does not start from -0 never
   becomes -0, so that the zeros which stand for pads change nothing. */
int CSD_KERNEL(conv2d_tiles)(const csd_args *args);

#endif
