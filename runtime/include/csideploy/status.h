/* Status codes: one list, from which the enumeration, the names and the texts are made.

   0x1_: the host. 0x2_: the file as a whole. 0x3_: a field of a record. 0x4_: records that do not
   fit one another. 0x5_: the caller. */
#ifndef CSIDEPLOY_STATUS_H
#define CSIDEPLOY_STATUS_H

#define CSD_STATUS_LIST(X)                                                                         \
    X(OK, 0x00, "no error")                                                                        \
    X(BIG_ENDIAN_HOST, 0x10, "bundles are little-endian and this host is big-endian")              \
    X(NO_KERNEL, 0x11, "this build has no kernel for the operation")                               \
    X(MISALIGNED, 0x20, "the bundle must start at a multiple of 16 bytes in memory")               \
    X(TRUNCATED, 0x21, "the file is shorter than its header and directory demand")                 \
    X(BAD_MAGIC, 0x22, "not a bundle: it does not start with CSIB")                                \
    X(BAD_VERSION, 0x23, "format version not supported")                                           \
    X(BAD_SIZE, 0x24, "the file's length is not the length in its header")                         \
    X(BAD_CRC, 0x25, "checksum differs: the bytes were damaged")                                   \
    X(BAD_SECTION, 0x26, "a required section that this reader does not know")                      \
    X(SECTION_ORDER, 0x27, "sections must ascend by id, without gaps or overlaps")                 \
    X(SECTION_MISSING, 0x28, "a required section is missing")                                      \
    X(SECTION_LENGTH, 0x29, "section length is not its count times the width of a record")         \
    X(BAD_PADDING, 0x2A, "padding between sections must be zero")                                  \
    X(FIELD_RANGE, 0x30, "a number outside its legal range")                                       \
    X(FIELD_ENUM, 0x31, "a code that the format does not define")                                  \
    X(FIELD_RESERVED, 0x32, "a reserved field must be zero")                                       \
    X(FIELD_NAME, 0x33, "not the start of a string in section names")                              \
    X(FIELD_INDEX, 0x34, "an index outside its table")                                             \
    X(FIELD_FLOAT, 0x35, "a number that must be finite is not")                                    \
    X(BAD_STRINGS, 0x36, "strings must end in a zero byte and hold no control characters")         \
    X(BAD_DIMS, 0x40, "dimensions must be at least 1, n first, k once, zero after the rank")       \
    X(BAD_NBYTES, 0x41, "bytes of a tensor differ from its shape, or are too many")                \
    X(BAD_PLACE, 0x42, "a tensor lies outside its arena, weights or interface")                    \
    X(BAD_PRODUCER, 0x43, "the producer named does not write these bytes")                         \
    X(BAD_ORDER, 0x44, "a step reads what no earlier step has written")                            \
    X(BAD_OPERANDS, 0x45, "number, kind or place of operands is not what the operation takes")     \
    X(BAD_DTYPE, 0x46, "element type is not what the operation takes")                             \
    X(BAD_SHAPE, 0x47, "shapes do not fit one another or the parameters")                          \
    X(BAD_PARAM, 0x48, "parameter outside its legal range")                                        \
    X(BAD_OVERLAP, 0x49, "an output overlaps an input of its own step")                            \
    X(BAD_INTERFACE, 0x4A, "inputs and outputs must be listed once each, in order")                \
    X(BAD_PAYLOAD, 0x4B, "payload layout fits no input or output")                                 \
    X(BAD_VECTORS, 0x4C, "a golden vector does not fit its tensor or its section")                 \
    X(OVERWRITTEN, 0x4D, "another step has written over what is read")                             \
    X(ARENA_SMALL, 0x50, "the arena is smaller than the bundle needs")                             \
    X(ARENA_MISALIGNED, 0x51, "the arena does not have the alignment that the bundle needs")       \
    X(NO_ARENA, 0x52, "no arena was given before the run")                                         \
    X(BAD_CALL, 0x53, "k must lie in 1..k_max and every buffer must be given, aligned to 4")

#ifdef __cplusplus
extern "C" {
#endif

typedef enum csd_status {
#define CSD_X(name, code, text) CSD_##name = code,
    CSD_STATUS_LIST(CSD_X)
#undef CSD_X
} csd_status;

/* "BAD_CRC"; "UNKNOWN" for a code outside the list. */
const char *csd_status_name(csd_status status);

/* One clause in plain words. */
const char *csd_status_text(csd_status status);

#ifdef __cplusplus
}
#endif

#endif
