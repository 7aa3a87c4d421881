#include "../fast.h"

CSD_NOTHING_FAST(quantize_codebook)
CSD_NOTHING_PREPARED(quantize_codebook)
