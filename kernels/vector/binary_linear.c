#include "../fast.h"

CSD_NOTHING_FAST(binary_linear)
CSD_NOTHING_PREPARED(binary_linear)
