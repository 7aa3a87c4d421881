#include "../fast.h"

CSD_NOTHING_FAST(table_precoder)
CSD_NOTHING_PREPARED(table_precoder)
