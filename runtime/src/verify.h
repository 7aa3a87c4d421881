/* Inside the verifier: what its files share. */
#ifndef CSIDEPLOY_VERIFY_H
#define CSIDEPLOY_VERIFY_H

#include "csideploy/config.h"
#include "csideploy/csideploy.h"
#include "tables.h"

/* The one range helper: do `length` bytes at `offset` lie inside `size` bytes? */
static inline int csd_in_range(uint64_t offset, uint64_t length, uint64_t size) {
    return offset <= size && length <= size - offset;
}

/* A step's operands as records; an absent input is NULL. */
typedef struct csd_operands {
    const csd_tensor_record *in[CSD_MAX_INPUTS];
    const csd_tensor_record *out[CSD_MAX_OUTPUTS];
    const csd_param *params;
} csd_operands;

/* Notes where a bundle is refused and returns `status`. */
csd_status csd_refuse(csd_part *part, csd_status status, const char *record, uint32_t index,
                      const char *field);

/* Checks the fields of one record by table. */
csd_status csd_check_fields(csd_part *part, const char *record, uint32_t index, const void *data,
                            const csd_field *fields, size_t count);

/* Do two tensors stand for the same bytes with the same element type? */
int csd_same_bytes(const csd_tensor_record *a, const csd_tensor_record *b);

/* Are type, batch, users and bytes equal, wherever the tensors lie? */
int csd_same_extent(const csd_tensor_record *a, const csd_tensor_record *b);

/* Does a step write this tensor, rather than the caller or the file? */
int csd_is_written(const csd_tensor_record *tensor);

/* Bytes at n = n_max and k = k_max. */
uint64_t csd_most_bytes(const csd_part *part, const csd_tensor_record *tensor);

/* Have two tensors a byte in common at n = n_max and k = k_max? Fewer samples or users take a
   beginning of the same bytes, so what is apart here is apart in every run. */
int csd_overlap(const csd_part *part, const csd_tensor_record *a, const csd_tensor_record *b);

csd_status csd_check_tensors(csd_part *part);
csd_status csd_check_steps(csd_part *part);

/* Every read finds what the tensor's producer wrote. */
csd_status csd_check_order(csd_part *part);

/* Shapes and parameters of one operation. */
csd_status csd_check_op(csd_op op, const csd_operands *operands, const csd_part *part);

/* One operation each: in verify_ops.c and the files named by a family, verify_float.c and so on. */
#define CSD_DECLARE(NAME, name)                                                                    \
    csd_status csd_check_##name(const csd_operands *operands, const csd_part *part);
CSD_FOR_EACH_OP(CSD_DECLARE)
#undef CSD_DECLARE

#endif
