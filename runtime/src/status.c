#include "csideploy/status.h"

const char *csd_status_name(csd_status status) {
    switch (status) {
#define CSD_X(name, code, text)                                                                    \
    case CSD_##name:                                                                               \
        return #name;
        CSD_STATUS_LIST(CSD_X)
#undef CSD_X
    }
    return "UNKNOWN";
}

const char *csd_status_text(csd_status status) {
    switch (status) {
#define CSD_X(name, code, text)                                                                    \
    case CSD_##name:                                                                               \
        return text;
        CSD_STATUS_LIST(CSD_X)
#undef CSD_X
    }
    return "unknown status";
}
