#include "../fast.h"

CSD_NOTHING_FAST(linear)
CSD_NOTHING_PREPARED(linear)
