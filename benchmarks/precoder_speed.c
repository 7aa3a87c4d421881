/* Windows of calls of a part, timed in C: `precoder_speed.py` builds and loads it.

   A window runs `calls` messages in turn, one sample a call, through csd_run or through a cache in
   front of it, and gives the nanoseconds a call of the thread's own processor time. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "csideploy/cache.h"

typedef struct bench {
    csd_part part;
    csd_cache cache;
    void *bundle, *arena, *output, *memory;
    size_t message; /* bytes */
    int cached;
} bench;

bench *bench_open(const void *bundle, size_t size, size_t entries);
double bench_window(bench *b, const uint8_t *messages, size_t count, size_t calls);
void bench_close(bench *b);

static void *aligned(size_t size) {
    void *data = NULL;
    return posix_memalign(&data, 4096, size ? size : 1) == 0 ? data : NULL;
}

void bench_close(bench *b) {
    free(b->bundle);
    free(b->arena);
    free(b->output);
    free(b->memory);
    free(b);
}

/* `entries` of a cache, or 0 for none. NULL: refused, or no memory. */
bench *bench_open(const void *bundle, size_t size, size_t entries) {
    bench *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    b->bundle = aligned(size);
    if (b->bundle != NULL)
        memcpy(b->bundle, bundle, size);
    int good = b->bundle != NULL &&
               csd_open(&b->part, b->bundle, size, csd_reference_kernels) == CSD_OK;
    if (good) {
        const csd_tensor_record *t = b->part.tensors;
        const csd_interface_record *ends = b->part.interface;
        const size_t arena = (size_t)b->part.header->arena_bytes;
        b->message = (size_t)csd_tensor_bytes(&t[ends[0].tensor], 1, 1);
        b->output = aligned((size_t)csd_tensor_bytes(&t[ends[1].tensor], 1, 1));
        b->arena = aligned(arena);
        good = b->output != NULL && csd_set_arena(&b->part, b->arena, arena) == CSD_OK;
    }
    if (good && entries > 0) {
        const size_t bytes = csd_cache_bytes(&b->part, entries);
        b->memory = aligned(bytes);
        b->cached = 1;
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

double bench_window(bench *b, const uint8_t *messages, size_t count, size_t calls) {
    void *const outputs[1] = {b->output};
    size_t at = 0;
    csd_status status = CSD_OK;
    const double start = now();
    for (size_t i = 0; i < calls; i++) {
        const void *const inputs[1] = {messages + at * b->message};
        const csd_call call = {1, 1, inputs, outputs, NULL, NULL};
        const csd_status one = b->cached ? csd_cache_run(&b->cache, inputs[0], outputs)
                                         : csd_run(&b->part, &call);
        status = one != CSD_OK ? one : status;
        at = at + 1 < count ? at + 1 : 0;
    }
    return status == CSD_OK ? (now() - start) / (double)calls : -1.0;
}
