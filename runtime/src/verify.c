/* Opens a bundle: header, directory, sections and the small tables. Always runs, allocates
   nothing. Nothing of a section is read before its range and its checksum are known to be good. */
#include "verify.h"

#include <string.h>

#define FIELDS(record) csd_##record##_fields, sizeof csd_##record##_fields / sizeof(csd_field)

csd_status csd_refuse(csd_part *part, csd_status status, const char *record, uint32_t index,
                      const char *field) {
    part->fault.record = record;
    part->fault.field = field;
    part->fault.index = index;
    return status;
}

static csd_status check_field(const csd_part *part, const csd_field *field, uint32_t value) {
    switch ((csd_kind)field->kind) {
    case CSD_KIND_EXACT:
    case CSD_KIND_COUNT:
        return value >= field->lo && value <= field->hi ? CSD_OK : CSD_FIELD_RANGE;
    case CSD_KIND_ENUM:
        return value >= field->lo && value <= field->hi ? CSD_OK : CSD_FIELD_ENUM;
    case CSD_KIND_NAME:
        /* The header is checked once before the names are known, and once more after. */
        if (part->names == NULL)
            return CSD_OK;
        return value < part->sections[CSD_SECTION_NAMES].length &&
                       (value == 0 || part->names[value - 1u] == 0)
                   ? CSD_OK
                   : CSD_FIELD_NAME;
    case CSD_KIND_TENSOR:
        return value < part->sections[CSD_SECTION_TENSORS].count ? CSD_OK : CSD_FIELD_INDEX;
    case CSD_KIND_PRODUCER:
        return value == CSD_NONE || value < part->sections[CSD_SECTION_STEPS].count
                   ? CSD_OK
                   : CSD_FIELD_INDEX;
    case CSD_KIND_ZERO:
        return value == 0 ? CSD_OK : CSD_FIELD_RESERVED;
    }
    return CSD_FIELD_ENUM;
}

csd_status csd_check_fields(csd_part *part, const char *record, uint32_t index, const void *data,
                            const csd_field *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t value = 0;
        /* The host is little-endian: a narrow field fills the low bytes. */
        memcpy(&value, (const uint8_t *)data + fields[i].offset, fields[i].width);
        const csd_status status = check_field(part, &fields[i], value);
        if (status != CSD_OK)
            return csd_refuse(part, status, record, index, fields[i].name);
    }
    return CSD_OK;
}

static csd_status check_header(csd_part *part, const uint8_t *bundle, size_t size) {
    const uint16_t one = 1;
    uint8_t low_byte_first;
    memcpy(&low_byte_first, &one, 1);
    if (!low_byte_first)
        return csd_refuse(part, CSD_BIG_ENDIAN_HOST, "host", 0, "");
    if (bundle == NULL || size < sizeof(csd_header_record))
        return csd_refuse(part, CSD_TRUNCATED, "header", 0, "");
    if (((uintptr_t)bundle & (CSD_BUNDLE_ALIGN - 1u)) != 0)
        return csd_refuse(part, CSD_MISALIGNED, "host", 0, "");
    const csd_header_record *header = (const void *)bundle;
    if (header->magic != CSD_MAGIC)
        return csd_refuse(part, CSD_BAD_MAGIC, "header", 0, "magic");
    if (header->major != CSD_FORMAT_MAJOR || header->minor > CSD_FORMAT_MINOR)
        return csd_refuse(part, CSD_BAD_VERSION, "header", 0, "major, minor");
    const csd_status status = csd_check_fields(part, "header", 0, header, FIELDS(header));
    if (status != CSD_OK)
        return status;
    if ((header->arena_align & (header->arena_align - 1u)) != 0)
        return csd_refuse(part, CSD_FIELD_RANGE, "header", 0, "arena_align");
    if (header->total_size > size)
        return csd_refuse(part, CSD_TRUNCATED, "header", 0, "total_size");
    if (header->total_size != size)
        return csd_refuse(part, CSD_BAD_SIZE, "header", 0, "total_size");
    if (header->arena_bytes > SIZE_MAX)
        return csd_refuse(part, CSD_FIELD_RANGE, "header", 0, "arena_bytes");
    const uint64_t directory = (uint64_t)header->section_count * sizeof(csd_section_record);
    if (!csd_in_range(sizeof *header, directory, size))
        return csd_refuse(part, CSD_TRUNCATED, "header", 0, "section_count");
    uint32_t crc = csd_crc32(0, bundle, sizeof *header - sizeof header->header_crc);
    crc = csd_crc32(crc, bundle + sizeof *header, (size_t)directory);
    if (crc != header->header_crc)
        return csd_refuse(part, CSD_BAD_CRC, "header", 0, "header_crc");
    part->header = header;
    return CSD_OK;
}

static csd_status check_padding(csd_part *part, const uint8_t *bundle, size_t size, uint64_t *at,
                                uint32_t index) {
    const uint64_t next = (*at + CSD_BUNDLE_ALIGN - 1u) & ~(uint64_t)(CSD_BUNDLE_ALIGN - 1u);
    if (next > size)
        return csd_refuse(part, CSD_TRUNCATED, "section", index, "offset");
    for (; *at < next; ++*at)
        if (bundle[*at] != 0)
            return csd_refuse(part, CSD_BAD_PADDING, "section", index, "offset");
    return CSD_OK;
}

static csd_status check_section(csd_part *part, const uint8_t *bundle, size_t size,
                                const csd_section_record *record, uint32_t index) {
    if (!csd_in_range(record->offset, record->length, size))
        return csd_refuse(part, CSD_TRUNCATED, "section", index, "length");
    const uint8_t *data = bundle + record->offset;
    if (csd_crc32(0, data, (size_t)record->length) != record->crc)
        return csd_refuse(part, CSD_BAD_CRC, "section", index, "crc");
    if (record->id > CSD_SECTION_KNOWN) {
        if (record->flags & CSD_SECTION_REQUIRED)
            return csd_refuse(part, CSD_BAD_SECTION, "section", index, "id");
        return CSD_OK;
    }
    const csd_section_rule *rule = &csd_sections[record->id];
    if (record->flags != rule->required)
        return csd_refuse(part, CSD_FIELD_RANGE, "section", index, "flags");
    if (record->count > rule->most)
        return csd_refuse(part, CSD_FIELD_RANGE, "section", index, "count");
    if (record->length != (uint64_t)record->count * rule->width)
        return csd_refuse(part, CSD_SECTION_LENGTH, "section", index, "length");
    csd_section *section = &part->sections[record->id];
    section->data = data;
    section->length = (uint32_t)record->length;
    section->count = record->count;
    return CSD_OK;
}

static csd_status check_sections(csd_part *part, const uint8_t *bundle, size_t size) {
    const csd_section_record *directory = (const void *)(bundle + sizeof(csd_header_record));
    const uint32_t count = part->header->section_count;
    uint64_t at = sizeof(csd_header_record) + (uint64_t)count * sizeof(csd_section_record);
    for (uint32_t i = 0; i < count; i++) {
        const csd_section_record *record = &directory[i];
        csd_status status = csd_check_fields(part, "section", i, record, FIELDS(section));
        if (status == CSD_OK)
            status = check_padding(part, bundle, size, &at, i);
        if (status != CSD_OK)
            return status;
        if (record->offset != at || (i > 0 && record->id <= directory[i - 1u].id))
            return csd_refuse(part, CSD_SECTION_ORDER, "section", i, "offset");
        status = check_section(part, bundle, size, record, i);
        if (status != CSD_OK)
            return status;
        at = record->offset + record->length;
    }
    const csd_status status = check_padding(part, bundle, size, &at, count);
    if (status != CSD_OK)
        return status;
    if (at != size)
        return csd_refuse(part, CSD_BAD_SIZE, "header", 0, "total_size");
    for (uint32_t id = 1; id <= CSD_SECTION_KNOWN; id++)
        if (csd_sections[id].required && part->sections[id].data == NULL)
            return csd_refuse(part, CSD_SECTION_MISSING, "section", id, "id");
    return CSD_OK;
}

/* U+0080 to U+009F in UTF-8, which some terminals obey as they do an escape character. */
static int is_c1_control(const uint8_t *text, uint32_t i) {
    return i > 0 && text[i - 1u] == 0xC2 && text[i] >= 0x80 && text[i] < 0xA0;
}

static csd_status check_names(csd_part *part) {
    const csd_section *section = &part->sections[CSD_SECTION_NAMES];
    const uint8_t *text = section->data;
    if (section->length == 0 || text[section->length - 1u] != 0)
        return csd_refuse(part, CSD_BAD_STRINGS, "names", section->length, "end");
    for (uint32_t i = 0; i < section->length; i++)
        if ((text[i] != 0 && text[i] < 0x20) || text[i] == 0x7F || is_c1_control(text, i))
            return csd_refuse(part, CSD_BAD_STRINGS, "names", i, "byte");
    part->names = section->data;
    return csd_check_fields(part, "header", 0, part->header, FIELDS(header));
}

/* Inputs first, then outputs; csd_check_tensors compares them with the tensors' places. */
static csd_status check_interface(csd_part *part) {
    part->interface = part->sections[CSD_SECTION_INTERFACE].data;
    for (uint32_t i = 0; i < part->sections[CSD_SECTION_INTERFACE].count; i++) {
        const csd_interface_record *record = &part->interface[i];
        const csd_status status =
            csd_check_fields(part, "interface", i, record, FIELDS(interface));
        if (status != CSD_OK)
            return status;
        if (record->direction == CSD_STORAGE_OUTPUT)
            part->output_count++;
        else if (part->output_count == 0)
            part->input_count++;
        else
            return csd_refuse(part, CSD_BAD_INTERFACE, "interface", i, "direction");
    }
    return CSD_OK;
}

/* Is there a step that packs `count` codes, or unpacks them, of widths that make these bytes? Its
   payload must be what the caller gives or gets, and csd_check_steps has seen that the widths make
   its bytes. */
static int has_widths(const csd_part *part, const csd_payload_record *payload) {
    for (uint32_t s = 0; s < part->sections[CSD_SECTION_STEPS].count; s++) {
        const csd_step_record *step = &part->steps[s];
        const uint32_t *operands = part->operands + step->operand_first;
        const int packs = step->op == CSD_OP_PACK_WIDTHS;
        if (!packs && step->op != CSD_OP_UNPACK_WIDTHS)
            continue;
        const csd_tensor_record *first = &part->tensors[operands[0]];
        const csd_tensor_record *made = &part->tensors[operands[step->input_count]];
        const csd_tensor_record *codes = packs ? first : made, *bytes = packs ? made : first;
        if (codes->dims[1] == payload->count && bytes->dims[1] == payload->nbytes &&
            (bytes->storage == CSD_STORAGE_INPUT || bytes->storage == CSD_STORAGE_OUTPUT))
            return 1;
    }
    return 0;
}

static csd_status check_payload(csd_part *part) {
    const csd_section *section = &part->sections[CSD_SECTION_PAYLOAD];
    if (section->count == 0)
        return CSD_OK;
    const csd_payload_record *payload = section->data;
    const csd_status status = csd_check_fields(part, "payload", 0, payload, FIELDS(payload));
    if (status != CSD_OK)
        return status;
    if (payload->bits == 0 ? !has_widths(part, payload)
                           : payload->nbytes !=
                                 ((uint64_t)payload->count * payload->bits + 7u) / 8u)
        return csd_refuse(part, CSD_BAD_PAYLOAD, "payload", 0, "nbytes");
    for (uint32_t i = 0; i < part->input_count + part->output_count; i++) {
        const csd_tensor_record *tensor = &part->tensors[part->interface[i].tensor];
        /* (n, bytes), or (n, users, bytes): one message a user. */
        if (tensor->dtype == CSD_U8 && (tensor->rank == 2 || tensor->rank == 3) &&
            tensor->dims[0] == CSD_DIM_N && tensor->dims[tensor->rank - 1u] == payload->nbytes)
            return CSD_OK;
    }
    return csd_refuse(part, CSD_BAD_PAYLOAD, "payload", 0, "nbytes");
}

static csd_status check_metadata(csd_part *part) {
    const csd_metadata_record *pairs = part->sections[CSD_SECTION_METADATA].data;
    csd_status status = CSD_OK;
    for (uint32_t i = 0; i < part->sections[CSD_SECTION_METADATA].count && status == CSD_OK; i++)
        status = csd_check_fields(part, "metadata", i, &pairs[i], FIELDS(metadata));
    return status;
}

static csd_status check_vectors(csd_part *part) {
    const csd_vector_record *vectors = part->sections[CSD_SECTION_VECTORS].data;
    const uint64_t size = part->sections[CSD_SECTION_VECTOR_DATA].length;
    for (uint32_t i = 0; i < part->sections[CSD_SECTION_VECTORS].count; i++) {
        const csd_vector_record *vector = &vectors[i];
        const csd_status status = csd_check_fields(part, "vector", i, vector, FIELDS(vector));
        if (status != CSD_OK)
            return status;
        const csd_tensor_record *tensor = &part->tensors[vector->tensor];
        if (tensor->storage != CSD_STORAGE_INPUT && tensor->storage != CSD_STORAGE_OUTPUT)
            return csd_refuse(part, CSD_BAD_VECTORS, "vector", i, "tensor");
        if (vector->length != csd_tensor_bytes(tensor, vector->samples, part->header->k_max))
            return csd_refuse(part, CSD_BAD_VECTORS, "vector", i, "length");
        if (vector->offset % CSD_BUNDLE_ALIGN != 0 ||
            !csd_in_range(vector->offset, vector->length, size))
            return csd_refuse(part, CSD_BAD_VECTORS, "vector", i, "offset");
    }
    return CSD_OK;
}

csd_status csd_open(csd_part *part, const void *bundle, size_t size, const csd_kernel *kernels) {
    memset(part, 0, sizeof *part);
    part->kernels = kernels;
    csd_status status = check_header(part, bundle, size);
    if (status == CSD_OK)
        status = check_sections(part, bundle, size);
    if (status == CSD_OK)
        status = check_names(part);
    if (status != CSD_OK)
        return status;
    part->tensors = part->sections[CSD_SECTION_TENSORS].data;
    part->steps = part->sections[CSD_SECTION_STEPS].data;
    part->operands = part->sections[CSD_SECTION_OPERANDS].data;
    part->params = part->sections[CSD_SECTION_PARAMS].data;
    status = check_interface(part);
    if (status == CSD_OK)
        status = csd_check_tensors(part);
    if (status == CSD_OK)
        status = csd_check_steps(part);
    if (status == CSD_OK)
        status = check_payload(part);
    if (status == CSD_OK)
        status = check_metadata(part);
    if (status == CSD_OK)
        status = check_vectors(part);
    return status;
}
