#include "../fast.h"

CSD_NOTHING_FAST(qconv2d)
CSD_NOTHING_PREPARED(qconv2d)
