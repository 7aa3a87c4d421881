#include "../fast.h"

CSD_NOTHING_FAST(pack_bits)
CSD_NOTHING_PREPARED(pack_bits)
