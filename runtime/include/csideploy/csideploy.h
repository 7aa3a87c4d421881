/* Verifies and runs a bundle (.csib): C99, no allocation, no globals, no input or output.

       csd_part part;
       csd_status status = csd_open(&part, bundle, bundle_size, csd_reference_kernels);
       if (status == CSD_OK)
           status = csd_set_arena(&part, arena, arena_size);    arena_size >= part.header->arena_bytes
       if (status == CSD_OK)
           status = csd_run(&part, &call);

   csd_open always verifies. After it returned CSD_OK, and as long as the bundle's bytes stay as
   they are, no input makes csd_run crash or touch memory outside the bundle, the arena and the
   caller's buffers. A part may be used by one thread at a time; parts are independent, and any
   number of them may share one bundle, and an arena while they run in turn.

   Several threads are the caller's own. A copy of an opened part shares the bundle and what
   csd_prepare made; it needs an arena of its own, and each thread its part of the samples:

       csd_part copy = part;                                    for each thread, before it starts
       csd_set_arena(&copy, its_arena, arena_size);
       const void *inputs[] = {x + first * x_sample};           x_sample: bytes a sample, as
       void *outputs[] = {y + first * y_sample};                csd_tensor_bytes(record, 1, k)
       csd_call call = {samples_of_this_thread, k, inputs, outputs, NULL, NULL};
       csd_run(&copy, &call);                                   in the thread

   Samples do not depend on one another, so that the results are those of one thread. */
#ifndef CSIDEPLOY_H
#define CSIDEPLOY_H

#include <stddef.h>
#include <stdint.h>

#include "csideploy/format.h"
#include "csideploy/kernel.h"
#include "csideploy/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a bundle was refused: record and field by name, and the index of the record. */
typedef struct csd_fault {
    const char *record;
    const char *field;
    uint32_t index;
} csd_fault;

typedef struct csd_section {
    const void *data;
    uint32_t length;
    uint32_t count;
} csd_section;

struct csd_call;

/* A verified bundle. Read its members, write none. */
typedef struct csd_part {
    const csd_header_record *header;
    csd_section sections[CSD_SECTION_KNOWN + 1u]; /* by id; data is NULL where absent */
    const csd_tensor_record *tensors;
    const csd_step_record *steps;
    const uint32_t *operands;
    const csd_param *params;
    const csd_interface_record *interface;
    const char *names;
    uint32_t input_count;
    uint32_t output_count;
    const csd_kernel *kernels;
    uint8_t *arena;
    const uint8_t *prepared;     /* after csd_prepare */
    const struct csd_call *call; /* while csd_run runs */
    size_t done;                 /* samples of that call that earlier chunks made */
    csd_fault fault;             /* after a csd_open that refused */
} csd_part;

typedef enum csd_phase { CSD_BEFORE_STEP = 0, CSD_AFTER_STEP = 1 } csd_phase;

typedef void (*csd_tick)(void *user, const csd_part *part, uint32_t step, csd_phase phase);

/* One run: `samples` of the batch dimension, with `k` users. Buffers stand in the order of the
   part's interface, C-contiguous, aligned to the size of their elements, of
   csd_interface_bytes each. Outputs must not overlap inputs. */
typedef struct csd_call {
    size_t samples;
    uint32_t k;
    const void *const *inputs;
    void *const *outputs;
    csd_tick tick; /* may be NULL */
    void *user;
} csd_call;

/* Verifies `size` bytes at `bundle` and fills `part`. Both must outlive the part. `kernels` is a
   table by operation, such as csd_reference_kernels. */
csd_status csd_open(csd_part *part, const void *bundle, size_t size, const csd_kernel *kernels);

/* Gives the part its memory: header->arena_bytes at header->arena_align. */
csd_status csd_set_arena(csd_part *part, void *arena, size_t size);

/* Bytes of what the preparers of an instruction set (csd_isa) make of the part's constants; 0: the
   part needs none. */
size_t csd_prepared_bytes(const csd_part *part, const csd_preparer *preparers);

/* Prepares the part for the kernels of the same instruction set, in memory of so many bytes at
   CSD_PREPARED_ALIGN, which must outlive the part. It is optional, and pays where a part runs more
   than once: the results are the same. Copies of the part share it. */
csd_status csd_prepare(csd_part *part, const csd_preparer *preparers, void *memory, size_t size);

/* Runs all samples, n_max at a time. */
csd_status csd_run(csd_part *part, const csd_call *call);

/* Bytes of one element of a type. */
uint32_t csd_dtype_size(uint32_t dtype);

/* Bytes of a tensor for so many samples and users. */
uint64_t csd_tensor_bytes(const csd_tensor_record *tensor, uint64_t n, uint32_t k);

/* The string that a name field stands for. */
const char *csd_name(const csd_part *part, uint32_t offset);

/* Inside a tick after a step: the address of its output number `i`, for the samples of the chunk,
   and the tensor's record in `*tensor`. */
const void *csd_step_output(const csd_part *part, uint32_t step, uint32_t i,
                            const csd_tensor_record **tensor);

/* zlib's CRC32 of `size` bytes, continued from `crc` (0 to begin). */
uint32_t csd_crc32(uint32_t crc, const void *data, size_t size);

/* The scalar kernels, by operation. */
extern const csd_kernel csd_reference_kernels[CSD_OP_LAST + 1u];

#ifdef __cplusplus
}
#endif

#endif
