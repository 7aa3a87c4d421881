#include "../fast.h"

CSD_NOTHING_FAST(residual_quantize)
CSD_NOTHING_PREPARED(residual_quantize)
