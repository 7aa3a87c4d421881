#include "../fast.h"

CSD_NOTHING_FAST(qadd)
CSD_NOTHING_PREPARED(qadd)
