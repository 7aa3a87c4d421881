#include "../fast.h"

CSD_NOTHING_FAST(qlinear)
CSD_NOTHING_PREPARED(qlinear)
