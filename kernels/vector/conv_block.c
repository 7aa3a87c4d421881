#include "../fast.h"

CSD_NOTHING_FAST(conv_block)
CSD_NOTHING_PREPARED(conv_block)
