#include "../kernels.h"

void CSD_KERNEL(softmax)(const csd_args *args) { (void)args; }
