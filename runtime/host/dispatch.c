/* The choice of an instruction set. The build says by CSD_WITH_... which tables it holds. */
#include "csideploy/dispatch.h"

#include <string.h>

#include "csideploy/csideploy.h"

#if defined(CSD_WITH_DOTPROD) && defined(__linux__)
#include <sys/auxv.h>
#endif

typedef struct entry {
    const char *name;
    const csd_kernel *kernels;
    const csd_preparer *preparers;
    csd_angular_delay_kernel angular_delay;
    int (*available)(void);
} entry;

#define DECLARE_ANGULAR_DELAY(isa)                                                                 \
    void csd_##isa##_angular_delay(const csd_angular_delay *plan, const float *h, size_t count,    \
                                   float *x, float *absmax, float *scratch)
DECLARE_ANGULAR_DELAY(reference);

static int always(void) { return 1; }

#ifdef CSD_WITH_BASELINE
extern const csd_kernel csd_baseline_kernels[CSD_OP_LAST + 1u];
DECLARE_ANGULAR_DELAY(baseline);
#endif

#ifdef CSD_WITH_AVX2
extern const csd_kernel csd_avx2_kernels[CSD_OP_LAST + 1u];
DECLARE_ANGULAR_DELAY(avx2);
extern const csd_preparer csd_avx2_preparers[CSD_OP_LAST + 1u];

static int has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

#ifdef CSD_WITH_AVX512
extern const csd_kernel csd_avx512_kernels[CSD_OP_LAST + 1u];
DECLARE_ANGULAR_DELAY(avx512);
extern const csd_preparer csd_avx512_preparers[CSD_OP_LAST + 1u];

static int has_avx512(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
#endif

#ifdef CSD_WITH_NEON
extern const csd_kernel csd_neon_kernels[CSD_OP_LAST + 1u];
DECLARE_ANGULAR_DELAY(neon);
extern const csd_preparer csd_neon_preparers[CSD_OP_LAST + 1u];
#endif

#ifdef CSD_WITH_DOTPROD
extern const csd_kernel csd_dotprod_kernels[CSD_OP_LAST + 1u];
DECLARE_ANGULAR_DELAY(dotprod);
extern const csd_preparer csd_dotprod_preparers[CSD_OP_LAST + 1u];

static int has_dotprod(void) {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) >> 20 & 1u) != 0; /* HWCAP_ASIMDDP */
#elif defined(__APPLE__)
    return 1; /* from the A13 and the M1 on */
#else
    return 0;
#endif
}
#endif

static const entry tables[] = {
    {"reference", csd_reference_kernels, NULL, csd_reference_angular_delay, always},
#ifdef CSD_WITH_BASELINE
    {"baseline", csd_baseline_kernels, NULL, csd_baseline_angular_delay, always},
#endif
#ifdef CSD_WITH_AVX2
    {"avx2", csd_avx2_kernels, csd_avx2_preparers, csd_avx2_angular_delay, has_avx2},
#endif
#ifdef CSD_WITH_AVX512
    {"avx512", csd_avx512_kernels, csd_avx512_preparers, csd_avx512_angular_delay, has_avx512},
#endif
#ifdef CSD_WITH_NEON
    {"neon", csd_neon_kernels, csd_neon_preparers, csd_neon_angular_delay, always},
#endif
#ifdef CSD_WITH_DOTPROD
    {"dotprod", csd_dotprod_kernels, csd_dotprod_preparers, csd_dotprod_angular_delay, has_dotprod},
#endif
};

int csd_isa_at(uint32_t i, csd_isa *isa) {
    if (i >= sizeof tables / sizeof tables[0])
        return 0;
    isa->name = tables[i].name;
    isa->kernels = tables[i].kernels;
    isa->preparers = tables[i].preparers;
    isa->angular_delay = tables[i].angular_delay;
    isa->available = tables[i].available();
    return 1;
}

int csd_choose_isa(const char *name, csd_isa *isa) {
    csd_isa candidate;
    int found = 0;
    for (uint32_t i = 0; csd_isa_at(i, &candidate); i++) {
        if (!candidate.available || (name != NULL && *name != 0 && strcmp(name, candidate.name)))
            continue;
        *isa = candidate;
        found = 1;
    }
    return found;
}
