/* Generated from export/bundle_fields.py: do not edit.
   python -m csideploy.export.bundle_fields --write */
/* What the verifier checks by table. */
#ifndef CSIDEPLOY_TABLES_H
#define CSIDEPLOY_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "csideploy/format.h"

typedef enum csd_kind {
    CSD_KIND_EXACT = 0,
    CSD_KIND_COUNT = 1,
    CSD_KIND_ENUM = 2,
    CSD_KIND_NAME = 3,
    CSD_KIND_TENSOR = 4,
    CSD_KIND_PRODUCER = 5,
    CSD_KIND_ZERO = 6
} csd_kind;

typedef struct csd_field {
    const char *name;
    uint32_t lo;
    uint32_t hi;
    uint8_t offset;
    uint8_t width;
    uint8_t kind;
} csd_field;

typedef struct csd_section_rule {
    uint32_t width;
    uint32_t most;
    uint32_t required;
} csd_section_rule;

typedef enum csd_param_kind {
    CSD_PARAM_U32_RANGE = 1,
    CSD_PARAM_F32_FINITE = 2
} csd_param_kind;

typedef struct csd_param_rule {
    uint32_t kind;
    uint32_t lo;
    uint32_t hi;
} csd_param_rule;

/* optional, constant, in_place: bit i stands for input i. A dtype of 0: any, but one
   for the whole step. */
typedef struct csd_op_rule {
    uint8_t inputs;
    uint8_t outputs;
    uint8_t params;
    uint8_t optional;
    uint8_t constant;
    uint8_t in_place;
    uint8_t in_dtype[CSD_MAX_INPUTS];
    uint8_t out_dtype[CSD_MAX_OUTPUTS];
    const csd_param_rule *rules;
} csd_op_rule;

static const csd_field csd_header_fields[] = {
    {"magic", 1112101699u, 1112101699u, 0, 4, CSD_KIND_EXACT},
    {"major", 1u, 1u, 4, 2, CSD_KIND_EXACT},
    {"minor", 0u, 0u, 6, 2, CSD_KIND_COUNT},
    {"header_size", 80u, 80u, 16, 4, CSD_KIND_EXACT},
    {"section_count", 1u, 64u, 20, 4, CSD_KIND_COUNT},
    {"arena_align", 16u, 4096u, 32, 4, CSD_KIND_COUNT},
    {"n_max", 1u, 2147483647u, 36, 4, CSD_KIND_COUNT},
    {"k_max", 1u, 2147483647u, 40, 4, CSD_KIND_COUNT},
    {"flags", 0u, 0u, 44, 4, CSD_KIND_ZERO},
    {"part", 0u, 0u, 48, 4, CSD_KIND_NAME},
    {"side", 0u, 0u, 52, 4, CSD_KIND_NAME},
    {"reserved", 0u, 0u, 72, 4, CSD_KIND_ZERO},
};

static const csd_field csd_section_fields[] = {
    {"id", 1u, 4294967295u, 0, 4, CSD_KIND_COUNT},
    {"flags", 0u, 1u, 4, 4, CSD_KIND_COUNT},
};

static const csd_field csd_tensor_fields[] = {
    {"name", 0u, 0u, 0, 4, CSD_KIND_NAME},
    {"dtype", 1u, 2u, 4, 1, CSD_KIND_ENUM},
    {"storage", 1u, 4u, 5, 1, CSD_KIND_ENUM},
    {"rank", 1u, 6u, 6, 1, CSD_KIND_COUNT},
    {"reserved", 0u, 0u, 7, 1, CSD_KIND_ZERO},
    {"producer", 0u, 0u, 48, 4, CSD_KIND_PRODUCER},
    {"reserved2", 0u, 0u, 52, 4, CSD_KIND_ZERO},
};

static const csd_field csd_step_fields[] = {
    {"op", 1u, 11u, 0, 4, CSD_KIND_ENUM},
    {"name", 0u, 0u, 4, 4, CSD_KIND_NAME},
    {"input_count", 1u, 8u, 12, 2, CSD_KIND_COUNT},
    {"output_count", 1u, 2u, 14, 2, CSD_KIND_COUNT},
    {"param_count", 0u, 16u, 20, 4, CSD_KIND_COUNT},
};

static const csd_field csd_interface_fields[] = {
    {"direction", 1u, 2u, 0, 4, CSD_KIND_ENUM},
    {"tensor", 0u, 0u, 4, 4, CSD_KIND_TENSOR},
};

static const csd_field csd_payload_fields[] = {
    {"layout_id", 0u, 65535u, 0, 4, CSD_KIND_COUNT},
    {"count", 1u, 2147483647u, 4, 4, CSD_KIND_COUNT},
    {"bits", 1u, 8u, 8, 4, CSD_KIND_COUNT},
};

static const csd_field csd_metadata_fields[] = {
    {"key", 0u, 0u, 0, 4, CSD_KIND_NAME},
    {"value", 0u, 0u, 4, 4, CSD_KIND_NAME},
};

static const csd_field csd_vector_fields[] = {
    {"tensor", 0u, 0u, 0, 4, CSD_KIND_TENSOR},
    {"samples", 1u, 2147483647u, 4, 4, CSD_KIND_COUNT},
};

/* By section id; index 0 is no section. */
static const csd_section_rule csd_sections[CSD_SECTION_KNOWN + 1u] = {

    {0u, 0u, 0u},
    {1u, 2147483647u, 1u}, /* names */
    {56u, 2147483647u, 1u}, /* tensors */
    {24u, 2147483647u, 1u}, /* steps */
    {4u, 2147483647u, 1u}, /* operands */
    {4u, 2147483647u, 1u}, /* params */
    {8u, 2147483647u, 1u}, /* interface */
    {1u, 2147483647u, 1u}, /* weights */
    {16u, 1u, 0u}, /* payload */
    {8u, 2147483647u, 0u}, /* metadata */
    {24u, 2147483647u, 0u}, /* vectors */
    {1u, 2147483647u, 0u}, /* vector_data */
};

static const csd_param_rule csd_conv2d_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 2147483647u}, /* groups */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* stride_h */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* stride_w */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* dilation_h */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* dilation_w */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_top */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_left */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_bottom */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_right */
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* activation */
    {CSD_PARAM_F32_FINITE, 0u, 0u}, /* alpha */
};

static const csd_param_rule csd_linear_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* activation */
    {CSD_PARAM_F32_FINITE, 0u, 0u}, /* alpha */
};

static const csd_param_rule csd_binary_linear_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* activation */
    {CSD_PARAM_F32_FINITE, 0u, 0u}, /* alpha */
};

static const csd_param_rule csd_add_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* activation */
    {CSD_PARAM_F32_FINITE, 0u, 0u}, /* alpha */
};

static const csd_param_rule csd_activation_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* activation */
    {CSD_PARAM_F32_FINITE, 0u, 0u}, /* alpha */
};

static const csd_param_rule csd_quantize_uniform_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 8u}, /* bits */
};

static const csd_param_rule csd_pack_bits_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 8u}, /* bits */
};

static const csd_param_rule csd_unpack_bits_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 8u}, /* bits */
};

static const csd_param_rule csd_dequantize_uniform_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 8u}, /* bits */
};

/* By operation code; index 0 is no operation. */
static const csd_op_rule csd_op_rules[CSD_OP_LAST + 1u] = {
    {0, 0, 0, 0, 0, 0, {0}, {0}, NULL},
    {5, 1, 11, 28, 14, 16, {1, 1, 1, 1, 1}, {1}, csd_conv2d_params}, /* CONV2D */
    {4, 1, 2, 12, 14, 0, {1, 1, 1, 1}, {1}, csd_linear_params}, /* LINEAR */
    {5, 1, 2, 24, 30, 0, {1, 2, 1, 1, 1}, {1}, csd_binary_linear_params}, /* BINARY_LINEAR */
    {3, 1, 2, 4, 4, 3, {1, 1, 1}, {1}, csd_add_params}, /* ADD */
    {2, 1, 2, 2, 2, 1, {1, 1}, {1}, csd_activation_params}, /* ACTIVATION */
    {2, 1, 0, 0, 0, 0, {0, 0}, {0}, NULL}, /* CONCAT */
    {1, 1, 1, 0, 0, 0, {1}, {2}, csd_quantize_uniform_params}, /* QUANTIZE_UNIFORM */
    {1, 1, 1, 0, 0, 0, {2}, {2}, csd_pack_bits_params}, /* PACK_BITS */
    {1, 1, 1, 0, 0, 0, {2}, {2}, csd_unpack_bits_params}, /* UNPACK_BITS */
    {1, 1, 1, 0, 0, 0, {2}, {1}, csd_dequantize_uniform_params}, /* DEQUANTIZE_UNIFORM */
    {1, 1, 0, 0, 0, 1, {0}, {0}, NULL}, /* COPY */
};

#endif
