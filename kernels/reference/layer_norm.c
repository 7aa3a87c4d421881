#include "../kernels.h"

void CSD_KERNEL(layer_norm)(const csd_args *args) { (void)args; }
