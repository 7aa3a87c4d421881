#include "../fast.h"

CSD_NOTHING_FAST(quantize)
CSD_NOTHING_PREPARED(quantize)
