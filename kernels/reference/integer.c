#include "../kernels.h"

void CSD_KERNEL(integer)(const csd_args *args) { (void)args; }
