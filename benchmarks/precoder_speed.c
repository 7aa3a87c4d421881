/* Windows of calls of a part, timed in C: `precoder_speed.py` builds and loads it.

   A window runs `count` messages in turn, `samples` a call, and gives the nanoseconds a sample of the
   thread's own processor time: through csd_bound_run, where each message is copied into the bound
   buffer first, through csd_run, or through a cache in front of it. The kernels are those of the
   instruction set CSD_ISA, prepared as the package prepares them. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "csideploy/bind.h"
#include "csideploy/cache.h"
#include "fast.h"

#define LARGE (4u << 20)
#define HUGE_PAGE (2u << 20)

enum { BOUND, RUN, CACHED }; /* how a window calls */

typedef struct bench {
    csd_part part;
    csd_cache cache;
    csd_bound bound;
    void *bundle, *arena, *output, *input, *prepared, *steps, *memory;
    size_t samples, message; /* of a call, in bytes */
} bench;

bench *bench_open(const void *bundle, size_t size, size_t samples, size_t entries);
double bench_window(bench *b, int how, const uint8_t *messages, size_t count, size_t calls);
void bench_close(bench *b);

#ifdef CSD_WITH_FAST
static void fast_table_precoder(const csd_args *args) {
    if (!CSD_FAST(table_precoder)(args))
        CSD_KERNEL(table_precoder)(args);
}
static const csd_kernel kernels[CSD_OP_LAST + 1u] = {
    [CSD_OP_TABLE_PRECODER] = fast_table_precoder,
    [CSD_OP_RZF_PRECODER] = CSD_KERNEL(rzf_precoder)};
static const csd_preparer preparers[CSD_OP_LAST + 1u] = {
    [CSD_OP_TABLE_PRECODER] = CSD_PREPARE(table_precoder)};
#else
static const csd_kernel kernels[CSD_OP_LAST + 1u] = {
    [CSD_OP_TABLE_PRECODER] = CSD_KERNEL(table_precoder),
    [CSD_OP_RZF_PRECODER] = CSD_KERNEL(rzf_precoder)};
static const csd_preparer *const preparers = NULL;
#endif

/* Large blocks in huge pages, as the package has them. */
static void *aligned(size_t size) {
    void *data = NULL;
    if (posix_memalign(&data, size >= LARGE ? HUGE_PAGE : 4096, size ? size : 1) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (size >= LARGE)
        madvise(data, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return data;
}

void bench_close(bench *b) {
    free(b->bundle);
    free(b->arena);
    free(b->output);
    free(b->input);
    free(b->prepared);
    free(b->steps);
    free(b->memory);
    free(b);
}

static csd_status prepare(bench *b) {
    const size_t bytes = csd_prepared_bytes(&b->part, preparers);
    b->prepared = aligned(bytes);
    return csd_prepare(&b->part, preparers, b->prepared, bytes);
}

static csd_status bind(bench *b) {
    const void *const inputs[1] = {b->input};
    void *const outputs[1] = {b->output};
    const csd_call call = {b->samples, 1, inputs, outputs, NULL, NULL};
    const size_t bytes = csd_bound_bytes(&b->part);
    b->steps = aligned(bytes);
    return csd_bind(&b->bound, &b->part, &call, b->steps, bytes);
}

/* `entries` of a cache, or 0 for none. NULL: refused, or no memory. */
bench *bench_open(const void *bundle, size_t size, size_t samples, size_t entries) {
    bench *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    b->bundle = aligned(size);
    if (b->bundle != NULL)
        memcpy(b->bundle, bundle, size);
    int good = b->bundle != NULL && csd_open(&b->part, b->bundle, size, kernels) == CSD_OK;
    if (good) {
        const csd_tensor_record *t = b->part.tensors;
        const csd_interface_record *ends = b->part.interface;
        const size_t arena = (size_t)b->part.header->arena_bytes;
        const uint32_t n = (uint32_t)samples;
        b->samples = samples;
        b->message = (size_t)csd_tensor_bytes(&t[ends[0].tensor], n, 1);
        b->input = calloc(1, b->message);
        b->output = aligned((size_t)csd_tensor_bytes(&t[ends[1].tensor], n, 1));
        b->arena = aligned(arena);
        good = b->input != NULL && b->output != NULL &&
               csd_set_arena(&b->part, b->arena, arena) == CSD_OK && prepare(b) == CSD_OK &&
               bind(b) == CSD_OK;
    }
    if (good && entries > 0) {
        const size_t bytes = csd_cache_bytes(&b->part, entries);
        b->memory = aligned(bytes);
        good = csd_cache_open(&b->cache, &b->part, b->memory, bytes) == CSD_OK;
    }
    if (good)
        return b;
    bench_close(b);
    return NULL;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static csd_status call_once(bench *b, int how, const uint8_t *message) {
    const void *const inputs[1] = {message};
    void *const outputs[1] = {b->output};
    const csd_call call = {b->samples, 1, inputs, outputs, NULL, NULL};
    if (how == CACHED)
        return csd_cache_run(&b->cache, message, outputs);
    if (how == RUN)
        return csd_run(&b->part, &call);
    memcpy(b->input, message, b->message);
    csd_bound_run(&b->bound);
    return CSD_OK;
}

/* `count` is a multiple of the samples of a call. */
double bench_window(bench *b, int how, const uint8_t *messages, size_t count, size_t calls) {
    const size_t turns = count / b->samples;
    size_t at = 0;
    csd_status status = CSD_OK;
    const double start = now();
    for (size_t i = 0; i < calls; i++) {
        const csd_status one = call_once(b, how, messages + at * b->message);
        status = one != CSD_OK ? one : status;
        at = at + 1 < turns ? at + 1 : 0;
    }
    return status == CSD_OK ? (now() - start) / (double)(calls * b->samples) : -1.0;
}
