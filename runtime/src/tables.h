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
    CSD_PARAM_F32_FINITE = 2,
    CSD_PARAM_F32_POSITIVE = 3,
    CSD_PARAM_I32_RANGE = 4
} csd_param_kind;

typedef struct csd_param_rule {
    uint32_t kind;
    uint32_t lo;
    uint32_t hi;
} csd_param_rule;

/* optional, constant, in_place: bit i stands for input i. in_dtypes, out_dtypes: bit d
   stands for element type d. same_in, same_out: roles that share one type. */
typedef struct csd_op_rule {
    uint8_t inputs;
    uint8_t outputs;
    uint8_t params;
    uint8_t optional;
    uint8_t constant;
    uint8_t in_place;
    uint8_t same_in;
    uint8_t same_out;
    uint8_t in_dtypes[CSD_MAX_INPUTS];
    uint8_t out_dtypes[CSD_MAX_OUTPUTS];
    const csd_param_rule *rules;
} csd_op_rule;

static const csd_field csd_header_fields[] = {
    {"magic", 1112101699u, 1112101699u, 0, 4, CSD_KIND_EXACT},
    {"major", 1u, 1u, 4, 2, CSD_KIND_EXACT},
    {"minor", 0u, 7u, 6, 2, CSD_KIND_COUNT},
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
    {"dtype", 1u, 5u, 4, 1, CSD_KIND_ENUM},
    {"storage", 1u, 4u, 5, 1, CSD_KIND_ENUM},
    {"rank", 1u, 6u, 6, 1, CSD_KIND_COUNT},
    {"reserved", 0u, 0u, 7, 1, CSD_KIND_ZERO},
    {"producer", 0u, 0u, 48, 4, CSD_KIND_PRODUCER},
    {"reserved2", 0u, 0u, 52, 4, CSD_KIND_ZERO},
};

static const csd_field csd_step_fields[] = {
    {"op", 1u, 57u, 0, 4, CSD_KIND_ENUM},
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
    {"bits", 0u, 8u, 8, 4, CSD_KIND_COUNT},
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
    {56u, 38347922u, 1u}, /* tensors */
    {24u, 4096u, 1u}, /* steps */
    {4u, 536870911u, 1u}, /* operands */
    {4u, 536870911u, 1u}, /* params */
    {8u, 268435455u, 1u}, /* interface */
    {1u, 2147483647u, 1u}, /* weights */
    {16u, 1u, 0u}, /* payload */
    {8u, 268435455u, 0u}, /* metadata */
    {24u, 89478485u, 0u}, /* vectors */
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

static const csd_param_rule csd_concat_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* axis */
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

static const csd_param_rule csd_unary_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 19u}, /* function */
    {CSD_PARAM_F32_FINITE, 0u, 0u}, /* alpha */
    {CSD_PARAM_F32_FINITE, 0u, 0u}, /* beta */
};

static const csd_param_rule csd_binary_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 8u}, /* function */
};

static const csd_param_rule csd_integer_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 12u}, /* function */
};

static const csd_param_rule csd_compare_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 5u}, /* function */
};

static const csd_param_rule csd_softmax_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* axis */
};

static const csd_param_rule csd_layer_norm_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* axis */
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* epsilon */
};

static const csd_param_rule csd_reduce_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 5u}, /* function */
    {CSD_PARAM_U32_RANGE, 1u, 63u}, /* axes */
};

static const csd_param_rule csd_arg_extreme_params[] = {
    {CSD_PARAM_U32_RANGE, 3u, 4u}, /* function */
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* axis */
    {CSD_PARAM_U32_RANGE, 0u, 1u}, /* last */
};

static const csd_param_rule csd_pool2d_params[] = {
    {CSD_PARAM_U32_RANGE, 2u, 3u}, /* function */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* kernel_h */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* kernel_w */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* stride_h */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* stride_w */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* dilation_h */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* dilation_w */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_top */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_left */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_bottom */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_right */
    {CSD_PARAM_U32_RANGE, 0u, 1u}, /* count_pad */
};

static const csd_param_rule csd_conv_transpose2d_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 2147483647u}, /* groups */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* stride_h */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* stride_w */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* dilation_h */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* dilation_w */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_top */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_left */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_bottom */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_right */
};

static const csd_param_rule csd_transpose_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* perm_0 */
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* perm_1 */
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* perm_2 */
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* perm_3 */
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* perm_4 */
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* perm_5 */
};

static const csd_param_rule csd_slice_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 2147483647u}, /* start_0 */
    {CSD_PARAM_U32_RANGE, 0u, 2147483647u}, /* start_1 */
    {CSD_PARAM_U32_RANGE, 0u, 2147483647u}, /* start_2 */
    {CSD_PARAM_U32_RANGE, 0u, 2147483647u}, /* start_3 */
    {CSD_PARAM_U32_RANGE, 0u, 2147483647u}, /* start_4 */
    {CSD_PARAM_U32_RANGE, 0u, 2147483647u}, /* start_5 */
    {CSD_PARAM_I32_RANGE, (uint32_t)-2147483647, 2147483647}, /* step_0 */
    {CSD_PARAM_I32_RANGE, (uint32_t)-2147483647, 2147483647}, /* step_1 */
    {CSD_PARAM_I32_RANGE, (uint32_t)-2147483647, 2147483647}, /* step_2 */
    {CSD_PARAM_I32_RANGE, (uint32_t)-2147483647, 2147483647}, /* step_3 */
    {CSD_PARAM_I32_RANGE, (uint32_t)-2147483647, 2147483647}, /* step_4 */
    {CSD_PARAM_I32_RANGE, (uint32_t)-2147483647, 2147483647}, /* step_5 */
};

static const csd_param_rule csd_pad_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 3u}, /* mode */
    {CSD_PARAM_F32_FINITE, 0u, 0u}, /* value */
    {CSD_PARAM_U32_RANGE, 0u, 2147483647u}, /* before_0 */
    {CSD_PARAM_U32_RANGE, 0u, 2147483647u}, /* before_1 */
    {CSD_PARAM_U32_RANGE, 0u, 2147483647u}, /* before_2 */
    {CSD_PARAM_U32_RANGE, 0u, 2147483647u}, /* before_3 */
    {CSD_PARAM_U32_RANGE, 0u, 2147483647u}, /* before_4 */
    {CSD_PARAM_U32_RANGE, 0u, 2147483647u}, /* before_5 */
};

static const csd_param_rule csd_gather_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* axis */
};

static const csd_param_rule csd_cast_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 1u}, /* truth */
};

static const csd_param_rule csd_quantize_params[] = {
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* scale */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* zero */
};

static const csd_param_rule csd_dequantize_params[] = {
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* scale */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* zero */
};

static const csd_param_rule csd_qconv2d_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 2147483647u}, /* groups */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* stride_h */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* stride_w */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* dilation_h */
    {CSD_PARAM_U32_RANGE, 1u, 65535u}, /* dilation_w */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_top */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_left */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_bottom */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_right */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* x_zero */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* y_zero */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* low */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* high */
};

static const csd_param_rule csd_qlinear_params[] = {
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* x_zero */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* y_zero */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* low */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* high */
};

static const csd_param_rule csd_qbinary_linear_params[] = {
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* x_zero */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* y_zero */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* low */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* high */
};

static const csd_param_rule csd_qadd_params[] = {
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* a_scale */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* a_zero */
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* b_scale */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* b_zero */
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* y_scale */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* y_zero */
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* activation */
    {CSD_PARAM_F32_FINITE, 0u, 0u}, /* alpha */
};

static const csd_param_rule csd_qactivation_params[] = {
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* x_scale */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* x_zero */
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* y_scale */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* y_zero */
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* activation */
    {CSD_PARAM_F32_FINITE, 0u, 0u}, /* alpha */
};

static const csd_param_rule csd_cumsum_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* axis */
    {CSD_PARAM_U32_RANGE, 0u, 1u}, /* exclusive */
    {CSD_PARAM_U32_RANGE, 0u, 1u}, /* reverse */
};

static const csd_param_rule csd_table_precoder_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 16u}, /* bits */
    {CSD_PARAM_U32_RANGE, 0u, 1u}, /* sorted */
    {CSD_PARAM_U32_RANGE, 0u, 1u}, /* per_user */
};

static const csd_param_rule csd_rzf_precoder_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 12u}, /* bits */
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* loading */
};

static const csd_param_rule csd_interference_schedule_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 496u}, /* excluded */
};

static const csd_param_rule csd_table_search_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 2u}, /* function */
    {CSD_PARAM_U32_RANGE, 1u, 4096u}, /* iterations */
};

static const csd_param_rule csd_gradient_search_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 2u}, /* layers */
    {CSD_PARAM_U32_RANGE, 1u, 4096u}, /* iterations */
};

static const csd_param_rule csd_edge_attention_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 1u}, /* average */
};

static const csd_param_rule csd_residual_dequantize_params[] = {
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* start */
};

static const csd_param_rule csd_conv_block_params[] = {
    {CSD_PARAM_U32_RANGE, 1u, 2147483647u}, /* groups */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_top_1 */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_left_1 */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_top_2 */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_left_2 */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_top_3 */
    {CSD_PARAM_U32_RANGE, 0u, 65535u}, /* pad_left_3 */
    {CSD_PARAM_U32_RANGE, 0u, 5u}, /* activation */
    {CSD_PARAM_F32_FINITE, 0u, 0u}, /* alpha */
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* code_scale */
    {CSD_PARAM_I32_RANGE, (uint32_t)0, 255}, /* code_zero */
    {CSD_PARAM_U32_RANGE, 8u, 16u}, /* code_bits */
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* x_scale */
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* m_scale */
    {CSD_PARAM_F32_FINITE, 0u, 0u}, /* y_scale */
};

static const csd_param_rule csd_bits_network_params[] = {
    {CSD_PARAM_I32_RANGE, (uint32_t)0, 255}, /* hidden_zero */
    {CSD_PARAM_I32_RANGE, (uint32_t)0, 255}, /* hidden_low */
    {CSD_PARAM_I32_RANGE, (uint32_t)0, 255}, /* hidden_high */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* y_zero */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* low */
    {CSD_PARAM_I32_RANGE, (uint32_t)-65535, 65535}, /* high */
    {CSD_PARAM_F32_POSITIVE, 0u, 0u}, /* y_scale */
};

/* By operation code; a row of zeros is no operation. */
static const csd_op_rule csd_op_rules[CSD_OP_LAST + 1u] = {
    {0, 0, 0, 0, 0, 0, 0, 0, {0}, {0}, NULL},
    {5, 1, 11, 28, 14, 16, 0, 0, {2, 2, 2, 2, 2}, {2}, csd_conv2d_params}, /* CONV2D */
    {4, 1, 2, 12, 14, 0, 0, 0, {2, 2, 2, 2}, {2}, csd_linear_params}, /* LINEAR */
    {5, 1, 2, 24, 30, 0, 0, 0, {2, 4, 2, 2, 2}, {2}, csd_binary_linear_params}, /* BINARY_LINEAR */
    {3, 1, 2, 4, 4, 3, 0, 0, {2, 2, 2}, {2}, csd_add_params}, /* ADD */
    {2, 1, 2, 2, 2, 1, 0, 0, {2, 2}, {2}, csd_activation_params}, /* ACTIVATION */
    {2, 1, 1, 0, 0, 0, 3, 1, {62, 62}, {62}, csd_concat_params}, /* CONCAT */
    {1, 1, 1, 0, 0, 0, 0, 0, {2}, {4}, csd_quantize_uniform_params}, /* QUANTIZE_UNIFORM */
    {1, 1, 1, 0, 0, 0, 0, 0, {4}, {4}, csd_pack_bits_params}, /* PACK_BITS */
    {1, 1, 1, 0, 0, 0, 0, 0, {4}, {4}, csd_unpack_bits_params}, /* UNPACK_BITS */
    {1, 1, 1, 0, 0, 0, 0, 0, {4}, {2}, csd_dequantize_uniform_params}, /* DEQUANTIZE_UNIFORM */
    {1, 1, 0, 0, 0, 1, 1, 1, {62}, {62}, NULL}, /* COPY */
    {1, 1, 3, 0, 0, 1, 0, 0, {2}, {2}, csd_unary_params}, /* UNARY */
    {2, 1, 1, 0, 0, 3, 0, 0, {2, 2}, {2}, csd_binary_params}, /* BINARY */
    {2, 1, 1, 0, 0, 3, 3, 1, {60, 60}, {60}, csd_integer_params}, /* INTEGER */
    {2, 1, 1, 0, 0, 0, 3, 0, {62, 62}, {4}, csd_compare_params}, /* COMPARE */
    {3, 1, 0, 0, 0, 6, 6, 1, {4, 62, 62}, {62}, NULL}, /* WHERE */
    {2, 1, 0, 0, 0, 0, 0, 0, {2, 2}, {2}, NULL}, /* MATMUL */
    {1, 1, 1, 0, 0, 1, 0, 0, {2}, {2}, csd_softmax_params}, /* SOFTMAX */
    {3, 1, 2, 6, 6, 1, 0, 0, {2, 2, 2}, {2}, csd_layer_norm_params}, /* LAYER_NORM */
    {1, 1, 2, 0, 0, 0, 0, 0, {2}, {2}, csd_reduce_params}, /* REDUCE */
    {1, 1, 3, 0, 0, 0, 0, 0, {2}, {32}, csd_arg_extreme_params}, /* ARG_EXTREME */
    {1, 1, 12, 0, 0, 0, 0, 0, {2}, {2}, csd_pool2d_params}, /* POOL2D */
    {3, 1, 9, 4, 6, 0, 0, 0, {2, 2, 2}, {2}, csd_conv_transpose2d_params}, /* CONV_TRANSPOSE2D */
    {1, 1, 6, 0, 0, 0, 1, 1, {62}, {62}, csd_transpose_params}, /* TRANSPOSE */
    {1, 1, 12, 0, 0, 0, 1, 1, {62}, {62}, csd_slice_params}, /* SLICE */
    {1, 1, 8, 0, 0, 0, 1, 1, {62}, {62}, csd_pad_params}, /* PAD */
    {1, 1, 0, 0, 0, 0, 1, 1, {62}, {62}, NULL}, /* EXPAND */
    {2, 1, 1, 0, 0, 0, 1, 1, {62, 32}, {62}, csd_gather_params}, /* GATHER */
    {1, 1, 1, 0, 0, 0, 0, 0, {62}, {62}, csd_cast_params}, /* CAST */
    {1, 1, 2, 0, 0, 0, 0, 0, {2}, {28}, csd_quantize_params}, /* QUANTIZE */
    {1, 1, 2, 0, 0, 0, 0, 0, {60}, {2}, csd_dequantize_params}, /* DEQUANTIZE */
    {4, 1, 13, 4, 14, 0, 0, 0, {28, 8, 32, 2}, {28}, csd_qconv2d_params}, /* QCONV2D */
    {4, 1, 4, 4, 14, 0, 0, 0, {28, 8, 32, 2}, {28}, csd_qlinear_params}, /* QLINEAR */
    {4, 1, 4, 4, 14, 0, 0, 0, {28, 4, 32, 2}, {28}, csd_qbinary_linear_params}, /* QBINARY_LINEAR */
    {3, 1, 8, 4, 4, 3, 0, 0, {28, 28, 2}, {28}, csd_qadd_params}, /* QADD */
    {2, 1, 6, 2, 2, 1, 0, 0, {28, 2}, {28}, csd_qactivation_params}, /* QACTIVATION */
    {2, 1, 0, 0, 2, 1, 2, 1, {12, 28}, {28}, NULL}, /* QTABLE */
    {2, 1, 0, 0, 2, 0, 0, 0, {28, 32}, {4}, NULL}, /* QTHRESHOLD */
    {1, 1, 3, 0, 0, 1, 0, 0, {2}, {2}, csd_cumsum_params}, /* CUMSUM */
    {3, 1, 0, 0, 6, 0, 0, 0, {2, 2, 4}, {4}, NULL}, /* QUANTIZE_CODEBOOK */
    {2, 1, 0, 0, 2, 0, 0, 0, {4, 4}, {4}, NULL}, /* PACK_WIDTHS */
    {2, 1, 0, 0, 2, 0, 0, 0, {4, 4}, {4}, NULL}, /* UNPACK_WIDTHS */
    {3, 1, 0, 0, 6, 0, 0, 0, {4, 18, 4}, {2}, NULL}, /* DEQUANTIZE_CODEBOOK */
    {3, 1, 0, 0, 6, 0, 0, 0, {28, 32, 4}, {4}, NULL}, /* QCODEBOOK */
    {2, 1, 3, 0, 2, 0, 0, 0, {4, 14}, {2}, csd_table_precoder_params}, /* TABLE_PRECODER */
    {2, 1, 2, 0, 2, 0, 0, 0, {4, 2}, {2}, csd_rzf_precoder_params}, /* RZF_PRECODER */
    {1, 1, 1, 0, 0, 0, 0, 0, {2}, {32}, csd_interference_schedule_params}, /* INTERFERENCE_SCHEDULE */
    {5, 2, 2, 4, 24, 0, 0, 0, {2, 2, 32, 2, 32}, {4, 2}, csd_table_search_params}, /* TABLE_SEARCH */
    {3, 1, 0, 0, 6, 0, 0, 0, {2, 2, 32}, {4}, NULL}, /* TABLE_NEAREST */
    {5, 2, 2, 1, 24, 0, 0, 0, {2, 2, 2, 2, 32}, {4, 2}, csd_gradient_search_params}, /* GRADIENT_SEARCH */
    {3, 1, 1, 0, 0, 0, 0, 0, {2, 2, 2}, {2}, csd_edge_attention_params}, /* EDGE_ATTENTION */
    {2, 2, 0, 0, 2, 0, 0, 0, {2, 2}, {4, 2}, NULL}, /* RESIDUAL_QUANTIZE */
    {2, 1, 1, 0, 2, 0, 0, 0, {4, 2}, {2}, csd_residual_dequantize_params}, /* RESIDUAL_DEQUANTIZE */
    {2, 2, 0, 0, 0, 0, 0, 0, {2, 2}, {2, 2}, NULL}, /* ZERO_FORCING */
    {8, 2, 15, 224, 126, 0, 0, 0, {2, 18, 2, 10, 18, 2, 2, 2}, {2, 2}, csd_conv_block_params}, /* CONV_BLOCK */
    {7, 1, 7, 36, 126, 0, 0, 0, {4, 8, 32, 2, 8, 32, 2}, {2}, csd_bits_network_params}, /* BITS_NETWORK */
    {2, 1, 0, 0, 2, 0, 0, 0, {2, 2}, {4}, NULL}, /* QUANTIZE_LOGIT */
};

#endif
