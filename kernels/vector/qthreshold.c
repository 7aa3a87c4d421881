#include "../fast.h"

CSD_NOTHING_FAST(qthreshold)
CSD_NOTHING_PREPARED(qthreshold)
