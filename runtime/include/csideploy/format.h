/* Generated from export/bundle_fields.py: do not edit.
   python -m csideploy.export.bundle_fields --write */
/* Records of a .csib bundle, as they lie in the file: little-endian, read in place. */
#ifndef CSIDEPLOY_FORMAT_H
#define CSIDEPLOY_FORMAT_H

#include <stdint.h>

#include "csideploy/ops.h"

#define CSD_MAGIC 0x42495343u
#define CSD_FORMAT_MAJOR 0x00000001u
#define CSD_FORMAT_MINOR 0x00000007u
#define CSD_BUNDLE_ALIGN 0x00000010u
#define CSD_NONE 0xFFFFFFFFu
#define CSD_DIM_N 0x80000001u
#define CSD_DIM_K 0x80000002u
#define CSD_DIM_MAX 0x7FFFFFFFu
#define CSD_MAX_TENSOR_BYTES 0x7FFFFFFFu
#define CSD_SECTION_REQUIRED 0x00000001u

typedef enum csd_storage {
    CSD_STORAGE_INPUT = 1,
    CSD_STORAGE_OUTPUT = 2,
    CSD_STORAGE_ARENA = 3,
    CSD_STORAGE_WEIGHTS = 4
} csd_storage;

typedef enum csd_section_id {
    CSD_SECTION_NAMES = 1,
    CSD_SECTION_TENSORS = 2,
    CSD_SECTION_STEPS = 3,
    CSD_SECTION_OPERANDS = 4,
    CSD_SECTION_PARAMS = 5,
    CSD_SECTION_INTERFACE = 6,
    CSD_SECTION_WEIGHTS = 7,
    CSD_SECTION_PAYLOAD = 8,
    CSD_SECTION_METADATA = 9,
    CSD_SECTION_VECTORS = 10,
    CSD_SECTION_VECTOR_DATA = 11
} csd_section_id;

#define CSD_SECTION_KNOWN 11u

typedef struct csd_header_record {
    uint32_t magic; /* the letters CSIB */
    uint16_t major; /* another major version is refused */
    uint16_t minor; /* a newer minor version is refused */
    uint64_t total_size; /* bytes of the whole file, a multiple of 16 */
    uint32_t header_size; /* bytes of this record */
    uint32_t section_count; /* records of the directory */
    uint64_t arena_bytes; /* exact need at n_max and k_max */
    uint32_t arena_align; /* alignment of the arena: a power of two */
    uint32_t n_max; /* samples that run at once */
    uint32_t k_max; /* most users of a call */
    uint32_t flags; /* none defined */
    uint32_t part; /* encoder, decoder, quantizer, ... */
    uint32_t side; /* ue, bs, ru or du */
    uint8_t pairing_id[16]; /* both ends of a link must share it */
    uint32_t reserved; /* none defined */
    uint32_t header_crc; /* CRC32 of the 76 bytes before it, then of the directory */
} csd_header_record;
typedef char csd_header_record_is_packed[sizeof(csd_header_record) == 80 ? 1 : -1];

typedef struct csd_section_record {
    uint32_t id; /* strictly ascending */
    uint32_t flags; /* bit 0: required */
    uint64_t offset; /* the end of the last section, rounded up to 16 */
    uint64_t length; /* count x width of a record */
    uint32_t count; /* records; 0 for unknown sections is not demanded */
    uint32_t crc; /* CRC32 of the section's bytes, without padding */
} csd_section_record;
typedef char csd_section_record_is_packed[sizeof(csd_section_record) == 32 ? 1 : -1];

typedef struct csd_tensor_record {
    uint32_t name; /* for people */
    uint8_t dtype; /* 1 f32, 2 u8, 3 i8, 4 i16, 5 i32 */
    uint8_t storage; /* 1 input, 2 output, 3 arena, 4 weights */
    uint8_t rank; /* dimensions in use */
    uint8_t reserved; /* none defined */
    uint64_t place; /* index of the input or output; byte offset in arena or weights, a multiple of 16 */
    uint64_t nbytes; /* product of dimensions x element, for n = k = 1 */
    uint32_t dims[6]; /* 0x80000001 is n (first only), 0x80000002 is k */
    uint32_t producer; /* the step that writes these bytes; NONE for inputs and weights */
    uint32_t reserved2; /* none defined */
} csd_tensor_record;
typedef char csd_tensor_record_is_packed[sizeof(csd_tensor_record) == 56 ? 1 : -1];

typedef struct csd_step_record {
    uint32_t op; /* operation */
    uint32_t name; /* for people */
    uint32_t operand_first; /* where its operands start: no gap, no overlap */
    uint16_t input_count; /* as the operation has */
    uint16_t output_count; /* as the operation has */
    uint32_t param_first; /* where its parameters start: no gap, no overlap */
    uint32_t param_count; /* as the operation has */
} csd_step_record;
typedef char csd_step_record_is_packed[sizeof(csd_step_record) == 24 ? 1 : -1];

typedef struct csd_interface_record {
    uint32_t direction; /* 1 input, 2 output; inputs come first */
    uint32_t tensor; /* of storage input or output, place in order */
} csd_interface_record;
typedef char csd_interface_record_is_packed[sizeof(csd_interface_record) == 8 ? 1 : -1];

typedef struct csd_payload_record {
    uint32_t layout_id; /* which of the bit budgets */
    uint32_t count; /* codes of a sample */
    uint32_t bits; /* bits of a code; 0: one number a code, `widths` */
    uint32_t nbytes; /* ceil(bits of all codes / 8) */
} csd_payload_record;
typedef char csd_payload_record_is_packed[sizeof(csd_payload_record) == 16 ? 1 : -1];

typedef struct csd_metadata_record {
    uint32_t key; /* for people; never read by the executor */
    uint32_t value; /* for people */
} csd_metadata_record;
typedef char csd_metadata_record_is_packed[sizeof(csd_metadata_record) == 8 ? 1 : -1];

typedef struct csd_vector_record {
    uint32_t tensor; /* of the interface */
    uint32_t samples; /* samples, each with k = k_max */
    uint64_t offset; /* in section `vector_data`, a multiple of 16 */
    uint64_t length; /* bytes of so many samples at k = k_max */
} csd_vector_record;
typedef char csd_vector_record_is_packed[sizeof(csd_vector_record) == 24 ? 1 : -1];

#endif
