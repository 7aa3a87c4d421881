/* Runs a verified bundle: resolves each step's operands and calls its kernel. */
#include "csideploy/csideploy.h"

#include <string.h>

#include "prepare.h"

csd_status csd_set_arena(csd_part *part, void *arena, size_t size) {
    const csd_header_record *header = part->header;
    if (size < header->arena_bytes)
        return CSD_ARENA_SMALL;
    if (arena == NULL && header->arena_bytes > 0)
        return CSD_NO_ARENA;
    if (((uintptr_t)arena & (header->arena_align - 1u)) != 0)
        return CSD_ARENA_MISALIGNED;
    part->arena = arena;
    return CSD_OK;
}

const char *csd_name(const csd_part *part, uint32_t offset) { return part->names + offset; }

uint32_t csd_dtype_size(uint32_t dtype) {
    switch ((csd_dtype)dtype) {
    case CSD_U8:
    case CSD_I8:
        return 1;
    case CSD_I16:
        return 2;
    case CSD_F32:
    case CSD_I32:
        break;
    }
    return 4;
}

static int has_dim(const csd_tensor_record *tensor, uint32_t symbol) {
    for (uint32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] == symbol)
            return 1;
    return 0;
}

uint64_t csd_tensor_bytes(const csd_tensor_record *tensor, uint64_t n, uint32_t k) {
    uint64_t bytes = tensor->nbytes;
    if (tensor->dims[0] == CSD_DIM_N)
        bytes *= n;
    if (has_dim(tensor, CSD_DIM_K))
        bytes *= k;
    return bytes;
}

/* The bytes of the samples that earlier chunks of this call have passed. */
static size_t passed(const csd_part *part, const csd_tensor_record *tensor) {
    if (tensor->dims[0] != CSD_DIM_N)
        return 0;
    return (size_t)csd_tensor_bytes(tensor, part->done, part->call->k);
}

static const void *read_address(const csd_part *part, const csd_tensor_record *tensor) {
    switch ((csd_storage)tensor->storage) {
    case CSD_STORAGE_INPUT:
        return (const uint8_t *)part->call->inputs[tensor->place] + passed(part, tensor);
    case CSD_STORAGE_OUTPUT:
        return (const uint8_t *)part->call->outputs[tensor->place] + passed(part, tensor);
    case CSD_STORAGE_ARENA:
        return part->arena + tensor->place;
    case CSD_STORAGE_WEIGHTS:
        return (const uint8_t *)part->sections[CSD_SECTION_WEIGHTS].data + tensor->place;
    }
    return NULL;
}

static void *write_address(const csd_part *part, const csd_tensor_record *tensor) {
    if (tensor->storage == CSD_STORAGE_OUTPUT)
        return (uint8_t *)part->call->outputs[tensor->place] + passed(part, tensor);
    return part->arena + tensor->place;
}

void csd_resolve_shape(csd_shape *shape, const csd_tensor_record *tensor, uint32_t n, uint32_t k) {
    shape->rank = tensor->rank;
    shape->element = csd_dtype_size(tensor->dtype);
    shape->dtype = tensor->dtype;
    for (uint32_t i = 0; i < CSD_MAX_RANK; i++) {
        const uint32_t dim = tensor->dims[i];
        shape->dims[i] = dim == CSD_DIM_N ? n : dim == CSD_DIM_K ? k : dim;
    }
}

void csd_resolve_step(csd_args *args, const csd_part *part, uint32_t number, uint32_t n) {
    const csd_step_record *step = part->steps + number;
    const uint32_t *operands = part->operands + step->operand_first;
    const uint32_t k = part->call->k;
    args->prepared = csd_prepared_step(part, number);
    for (uint32_t i = 0; i < step->input_count; i++) {
        args->in[i].data = NULL;
        if (operands[i] == CSD_NONE)
            continue;
        const csd_tensor_record *tensor = part->tensors + operands[i];
        args->in[i].data = read_address(part, tensor);
        csd_resolve_shape(&args->in[i].shape, tensor, n, k);
    }
    for (uint32_t i = 0; i < step->output_count; i++) {
        const csd_tensor_record *tensor = part->tensors + operands[step->input_count + i];
        args->out[i].data = write_address(part, tensor);
        csd_resolve_shape(&args->out[i].shape, tensor, n, k);
    }
    args->params = part->params + step->param_first;
}

static void run_step(const csd_part *part, uint32_t number, uint32_t n) {
    csd_args args;
    csd_resolve_step(&args, part, number, n);
    part->kernels[part->steps[number].op](&args);
}

const void *csd_step_output(const csd_part *part, uint32_t step, uint32_t i,
                            const csd_tensor_record **tensor) {
    const csd_step_record *record = part->steps + step;
    *tensor = part->tensors + part->operands[record->operand_first + record->input_count + i];
    return read_address(part, *tensor);
}

csd_status csd_call_status(const csd_part *part, const csd_call *call) {
    if (part->arena == NULL && part->header->arena_bytes > 0)
        return CSD_NO_ARENA;
    if (call->k < 1 || call->k > part->header->k_max || call->inputs == NULL ||
        call->outputs == NULL)
        return CSD_BAD_CALL;
    for (uint32_t i = 0; i < part->input_count + part->output_count; i++) {
        const void *data = i < part->input_count ? call->inputs[i]
                                                 : call->outputs[i - part->input_count];
        const csd_tensor_record *tensor = part->tensors + part->interface[i].tensor;
        const uintptr_t mask = csd_dtype_size(tensor->dtype) - 1u;
        if (data == NULL || ((uintptr_t)data & mask) != 0)
            return CSD_BAD_CALL;
    }
    return CSD_OK;
}

csd_status csd_run(csd_part *part, const csd_call *call) {
    const csd_status status = csd_call_status(part, call);
    if (status != CSD_OK)
        return status;
    part->call = call;
    const uint32_t step_count = part->sections[CSD_SECTION_STEPS].count;
    for (part->done = 0; part->done < call->samples;) {
        const size_t left = call->samples - part->done;
        const uint32_t n = left < part->header->n_max ? (uint32_t)left : part->header->n_max;
        for (uint32_t s = 0; s < step_count; s++) {
            if (call->tick != NULL)
                call->tick(call->user, part, s, CSD_BEFORE_STEP);
            run_step(part, s, n);
            if (call->tick != NULL)
                call->tick(call->user, part, s, CSD_AFTER_STEP);
        }
        part->done += n;
    }
    part->call = NULL;
    return CSD_OK;
}
