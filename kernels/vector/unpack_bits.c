#include "../fast.h"

CSD_NOTHING_FAST(unpack_bits)
CSD_NOTHING_PREPARED(unpack_bits)
