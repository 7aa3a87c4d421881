/* What guard_driver.c runs: the fast kernels of one instruction set. */
#ifndef CSIDEPLOY_TESTS_GUARD_DRIVER_H
#define CSIDEPLOY_TESTS_GUARD_DRIVER_H

#include "csideploy/csideploy.h"

typedef int (*guard_try)(const csd_args *args);

typedef struct guard_set {
    const char *name;
    const csd_preparer *preparers;
    guard_try tries[CSD_OP_LAST + 1u];
} guard_set;

#endif
