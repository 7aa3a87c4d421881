/* The tensor table and the steps: places, order of reading and writing, operands, parameters. */
#include "verify_shapes.h"

#define FIELDS(record) csd_##record##_fields, sizeof csd_##record##_fields / sizeof(csd_field)

static int uses(const csd_tensor_record *tensor, uint32_t symbol) {
    int found = 0;
    for (uint32_t i = 0; i < tensor->rank; i++)
        found += tensor->dims[i] == symbol;
    return found;
}

int csd_same_extent(const csd_tensor_record *a, const csd_tensor_record *b) {
    return a->dtype == b->dtype && a->nbytes == b->nbytes &&
           uses(a, CSD_DIM_N) == uses(b, CSD_DIM_N) && uses(a, CSD_DIM_K) == uses(b, CSD_DIM_K);
}

int csd_same_bytes(const csd_tensor_record *a, const csd_tensor_record *b) {
    return a->storage == b->storage && a->place == b->place && csd_same_extent(a, b);
}

uint64_t csd_most_bytes(const csd_part *part, const csd_tensor_record *tensor) {
    return csd_tensor_bytes(tensor, part->header->n_max, part->header->k_max);
}

/* Each product stays below 2^31 * 2^31 before it is compared: no overflow in 64 bits. */
static csd_status check_shape(const csd_part *part, const csd_tensor_record *tensor) {
    uint64_t bytes = csd_dtype_size(tensor->dtype);
    for (uint32_t i = 0; i < CSD_MAX_RANK; i++) {
        const uint32_t dim = tensor->dims[i];
        if (i >= tensor->rank) {
            if (dim != 0)
                return CSD_BAD_DIMS;
        } else if (dim == 0 || dim > CSD_DIM_K || (dim == CSD_DIM_N && i > 0) ||
                   dim == CSD_DIM_MAX + 1u) {
            return CSD_BAD_DIMS;
        } else if (dim <= CSD_DIM_MAX) {
            bytes *= dim;
            if (bytes > CSD_MAX_TENSOR_BYTES)
                return CSD_BAD_NBYTES;
        }
    }
    if (uses(tensor, CSD_DIM_K) > 1)
        return CSD_BAD_DIMS;
    if (tensor->nbytes != bytes)
        return CSD_BAD_NBYTES;
    if (uses(tensor, CSD_DIM_N))
        bytes *= part->header->n_max;
    if (bytes > CSD_MAX_TENSOR_BYTES)
        return CSD_BAD_NBYTES;
    if (uses(tensor, CSD_DIM_K))
        bytes *= part->header->k_max;
    return bytes > CSD_MAX_TENSOR_BYTES ? CSD_BAD_NBYTES : CSD_OK;
}

static csd_status check_place(const csd_part *part, const csd_tensor_record *tensor) {
    const uint64_t place = tensor->place;
    switch ((csd_storage)tensor->storage) {
    case CSD_STORAGE_INPUT:
        return place < part->input_count ? CSD_OK : CSD_BAD_PLACE;
    case CSD_STORAGE_OUTPUT:
        return place < part->output_count ? CSD_OK : CSD_BAD_PLACE;
    case CSD_STORAGE_ARENA:
        return place % CSD_BUNDLE_ALIGN == 0 &&
                       csd_in_range(place, csd_most_bytes(part, tensor), part->header->arena_bytes)
                   ? CSD_OK
                   : CSD_BAD_PLACE;
    case CSD_STORAGE_WEIGHTS:
        return place % CSD_BUNDLE_ALIGN == 0 && !uses(tensor, CSD_DIM_N) &&
                       !uses(tensor, CSD_DIM_K) &&
                       csd_in_range(place, tensor->nbytes,
                                    part->sections[CSD_SECTION_WEIGHTS].length)
                   ? CSD_OK
                   : CSD_BAD_PLACE;
    }
    return CSD_FIELD_ENUM;
}

/* A view of an input or output must be as large as the tensor that the interface names. */
static int fits_interface(const csd_part *part, const csd_tensor_record *tensor) {
    uint32_t at = (uint32_t)tensor->place;
    if (tensor->storage == CSD_STORAGE_OUTPUT)
        at += part->input_count;
    else if (tensor->storage != CSD_STORAGE_INPUT)
        return 1;
    return csd_same_extent(tensor, &part->tensors[part->interface[at].tensor]);
}

csd_status csd_check_tensors(csd_part *part) {
    const uint32_t count = part->sections[CSD_SECTION_TENSORS].count;
    uint64_t arena_end = 0;
    for (uint32_t i = 0; i < count; i++) {
        const csd_tensor_record *tensor = &part->tensors[i];
        csd_status status = csd_check_fields(part, "tensor", i, tensor, FIELDS(tensor));
        if (status != CSD_OK)
            return status;
        status = check_shape(part, tensor);
        if (status != CSD_OK)
            return csd_refuse(part, status, "tensor", i, "dims, nbytes");
        status = check_place(part, tensor);
        if (status != CSD_OK)
            return csd_refuse(part, status, "tensor", i, "place");
        if (tensor->storage == CSD_STORAGE_ARENA) {
            const uint64_t end = tensor->place + csd_most_bytes(part, tensor);
            arena_end = end > arena_end ? end : arena_end;
        }
    }
    /* No tensor reaches beyond, so this is not negative; the writer may round up to 16. */
    if (part->header->arena_bytes - arena_end >= CSD_BUNDLE_ALIGN)
        return csd_refuse(part, CSD_FIELD_RANGE, "header", 0, "arena_bytes");
    for (uint32_t i = 0; i < part->input_count + part->output_count; i++) {
        const csd_tensor_record *tensor = &part->tensors[part->interface[i].tensor];
        const int is_output = i >= part->input_count;
        const uint32_t place = is_output ? i - part->input_count : i;
        if (tensor->storage != (is_output ? CSD_STORAGE_OUTPUT : CSD_STORAGE_INPUT) ||
            tensor->place != place)
            return csd_refuse(part, CSD_BAD_INTERFACE, "interface", i, "tensor");
    }
    for (uint32_t i = 0; i < count; i++)
        if (!fits_interface(part, &part->tensors[i]))
            return csd_refuse(part, CSD_BAD_INTERFACE, "tensor", i, "place");
    return CSD_OK;
}

int csd_is_written(const csd_tensor_record *tensor) {
    return tensor->storage == CSD_STORAGE_ARENA || tensor->storage == CSD_STORAGE_OUTPUT;
}

/* Inputs: present or allowed to be absent, constant where they must be, written before. */
static csd_status load_inputs(csd_part *part, uint32_t s, const csd_op_rule *rule,
                              csd_operands *operands) {
    const uint32_t *index = part->operands + part->steps[s].operand_first;
    for (uint32_t i = 0; i < rule->inputs; i++) {
        operands->in[i] = NULL;
        if (index[i] == CSD_NONE) {
            if (rule->optional >> i & 1u)
                continue;
            return csd_refuse(part, CSD_BAD_OPERANDS, "step", s, "an absent input");
        }
        if (index[i] >= part->sections[CSD_SECTION_TENSORS].count)
            return csd_refuse(part, CSD_FIELD_INDEX, "step", s, "inputs");
        const csd_tensor_record *tensor = &part->tensors[index[i]];
        if ((rule->constant >> i & 1u) && tensor->storage != CSD_STORAGE_WEIGHTS)
            return csd_refuse(part, CSD_BAD_OPERANDS, "step", s, "a constant input");
        if (csd_is_written(tensor) && tensor->producer >= s)
            return csd_refuse(part, CSD_BAD_ORDER, "step", s, "inputs");
        operands->in[i] = tensor;
    }
    return CSD_OK;
}

static csd_status load_outputs(csd_part *part, uint32_t s, const csd_op_rule *rule,
                               csd_operands *operands) {
    const uint32_t *index = part->operands + part->steps[s].operand_first + rule->inputs;
    for (uint32_t i = 0; i < rule->outputs; i++) {
        if (index[i] >= part->sections[CSD_SECTION_TENSORS].count)
            return csd_refuse(part, CSD_FIELD_INDEX, "step", s, "outputs");
        const csd_tensor_record *tensor = &part->tensors[index[i]];
        if (!csd_is_written(tensor))
            return csd_refuse(part, CSD_BAD_OPERANDS, "step", s, "outputs");
        if (tensor->producer != s)
            return csd_refuse(part, CSD_BAD_PRODUCER, "tensor", index[i], "producer");
        operands->out[i] = tensor;
    }
    return CSD_OK;
}

/* A role's type is one of those that the table allows, and roles that share one have one. */
static int dtypes_fit(const csd_op_rule *rule, const csd_operands *operands) {
    uint8_t shared = 0;
    for (uint32_t i = 0; i < (uint32_t)rule->inputs + rule->outputs; i++) {
        const int is_input = i < rule->inputs;
        const uint32_t role = is_input ? i : i - rule->inputs;
        const csd_tensor_record *tensor = is_input ? operands->in[role] : operands->out[role];
        const uint32_t allowed = is_input ? rule->in_dtypes[role] : rule->out_dtypes[role];
        const uint32_t same = is_input ? rule->same_in : rule->same_out;
        if (tensor == NULL)
            continue;
        if (!(allowed >> tensor->dtype & 1u))
            return 0;
        if (!(same >> role & 1u))
            continue;
        if (shared != 0 && tensor->dtype != shared)
            return 0;
        shared = tensor->dtype;
    }
    return 1;
}

int csd_overlap(const csd_part *part, const csd_tensor_record *a, const csd_tensor_record *b) {
    if (a->storage != b->storage)
        return 0;
    if (a->storage != CSD_STORAGE_ARENA)
        return a->place == b->place;
    return a->place < b->place + csd_most_bytes(part, b) &&
           b->place < a->place + csd_most_bytes(part, a);
}

/* In place, element i of the input is element i of the output. */
static int overlaps_legal(const csd_part *part, const csd_op_rule *rule,
                          const csd_operands *operands) {
    for (uint32_t o = 0; o < rule->outputs; o++) {
        const csd_tensor_record *out = operands->out[o];
        for (uint32_t i = 0; i < rule->inputs; i++) {
            const csd_tensor_record *in = operands->in[i];
            if (in == NULL || !csd_overlap(part, in, out))
                continue;
            if (!(rule->in_place >> i & 1u) || !csd_same_bytes(in, out) ||
                !csd_same_shape(in, out))
                return 0;
        }
        for (uint32_t other = 0; other < o; other++)
            if (csd_overlap(part, operands->out[other], out))
                return 0;
    }
    return 1;
}

static int param_legal(const csd_param_rule *rule, csd_param param) {
    switch ((csd_param_kind)rule->kind) {
    case CSD_PARAM_U32_RANGE:
        return param.u >= rule->lo && param.u <= rule->hi;
    case CSD_PARAM_I32_RANGE:
        return param.i >= (int32_t)rule->lo && param.i <= (int32_t)rule->hi;
    case CSD_PARAM_F32_POSITIVE:
        if (param.u == 0 || param.u >> 31)
            return 0;
        /* fall through */
    case CSD_PARAM_F32_FINITE:
        break;
    }
    return (param.u & 0x7F800000u) != 0x7F800000u; /* no infinity, no NaN */
}

static int params_legal(const csd_op_rule *rule, const csd_param *params) {
    for (uint32_t i = 0; i < rule->params; i++)
        if (!param_legal(&rule->rules[i], params[i]))
            return 0;
    return 1;
}

static csd_status check_step(csd_part *part, uint32_t s, uint32_t *operand_at,
                             uint32_t *param_at) {
    const csd_step_record *step = &part->steps[s];
    csd_status status = csd_check_fields(part, "step", s, step, FIELDS(step));
    if (status != CSD_OK)
        return status;
    const csd_op_rule *rule = &csd_op_rules[step->op];
    if (part->kernels == NULL || part->kernels[step->op] == NULL)
        return csd_refuse(part, CSD_NO_KERNEL, "step", s, "op");
    if (step->input_count != rule->inputs || step->output_count != rule->outputs ||
        step->param_count != rule->params)
        return csd_refuse(part, CSD_BAD_OPERANDS, "step", s, "counts");
    const uint32_t operand_count = (uint32_t)rule->inputs + rule->outputs;
    if (step->operand_first != *operand_at ||
        !csd_in_range(*operand_at, operand_count, part->sections[CSD_SECTION_OPERANDS].count))
        return csd_refuse(part, CSD_BAD_OPERANDS, "step", s, "operand_first");
    if (step->param_first != *param_at ||
        !csd_in_range(*param_at, rule->params, part->sections[CSD_SECTION_PARAMS].count))
        return csd_refuse(part, CSD_BAD_OPERANDS, "step", s, "param_first");
    *operand_at += operand_count;
    *param_at += rule->params;

    csd_operands operands;
    operands.params = part->params + step->param_first;
    status = load_inputs(part, s, rule, &operands);
    if (status == CSD_OK)
        status = load_outputs(part, s, rule, &operands);
    if (status != CSD_OK)
        return status;
    if (!dtypes_fit(rule, &operands))
        return csd_refuse(part, CSD_BAD_DTYPE, "step", s, "operands");
    if (!overlaps_legal(part, rule, &operands))
        return csd_refuse(part, CSD_BAD_OVERLAP, "step", s, "outputs");
    if (!params_legal(rule, operands.params))
        return csd_refuse(part, CSD_BAD_PARAM, "step", s, "params");
    status = csd_check_op((csd_op)step->op, &operands, part);
    return status == CSD_OK ? CSD_OK : csd_refuse(part, status, "step", s, "operands");
}

/* The bytes of a tensor are really written by the step that it names as its producer. */
static csd_status check_producer(csd_part *part, uint32_t index) {
    const csd_tensor_record *tensor = &part->tensors[index];
    if (!csd_is_written(tensor))
        return tensor->producer == CSD_NONE ? CSD_OK : CSD_BAD_PRODUCER;
    if (tensor->producer == CSD_NONE)
        return CSD_BAD_PRODUCER;
    const csd_step_record *step = &part->steps[tensor->producer];
    const uint32_t *outputs = part->operands + step->operand_first + step->input_count;
    for (uint32_t i = 0; i < step->output_count; i++)
        if (csd_same_bytes(tensor, &part->tensors[outputs[i]]))
            return CSD_OK;
    return CSD_BAD_PRODUCER;
}

csd_status csd_check_steps(csd_part *part) {
    uint32_t operand_at = 0;
    uint32_t param_at = 0;
    for (uint32_t s = 0; s < part->sections[CSD_SECTION_STEPS].count; s++) {
        const csd_status status = check_step(part, s, &operand_at, &param_at);
        if (status != CSD_OK)
            return status;
    }
    if (operand_at != part->sections[CSD_SECTION_OPERANDS].count)
        return csd_refuse(part, CSD_BAD_OPERANDS, "section", CSD_SECTION_OPERANDS, "count");
    if (param_at != part->sections[CSD_SECTION_PARAMS].count)
        return csd_refuse(part, CSD_BAD_OPERANDS, "section", CSD_SECTION_PARAMS, "count");
    for (uint32_t i = 0; i < part->sections[CSD_SECTION_TENSORS].count; i++) {
        const csd_status status = check_producer(part, i);
        if (status != CSD_OK)
            return csd_refuse(part, status, "tensor", i, "producer");
    }
    return csd_check_order(part);
}
