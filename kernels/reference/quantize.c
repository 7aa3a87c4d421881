#include "../kernels.h"

void CSD_KERNEL(quantize)(const csd_args *args) { (void)args; }
