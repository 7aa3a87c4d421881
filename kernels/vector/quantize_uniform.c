#include "../fast.h"

CSD_NOTHING_FAST(quantize_uniform)
CSD_NOTHING_PREPARED(quantize_uniform)
