#include "../kernels.h"

void CSD_KERNEL(qthreshold)(const csd_args *args) { (void)args; }
