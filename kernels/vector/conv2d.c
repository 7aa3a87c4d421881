#include "../fast.h"

CSD_NOTHING_FAST(conv2d)
CSD_NOTHING_PREPARED(conv2d)
