#include "../fast.h"

CSD_NOTHING_FAST(qactivation)
CSD_NOTHING_PREPARED(qactivation)
