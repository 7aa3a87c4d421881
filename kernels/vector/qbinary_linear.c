#include "../fast.h"

CSD_NOTHING_FAST(qbinary_linear)
CSD_NOTHING_PREPARED(qbinary_linear)
