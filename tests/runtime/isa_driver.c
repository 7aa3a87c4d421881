/* Runs bundles with every instruction set of the build that the machine has, and compares each
   output with the reference table's.

       isa_driver SAMPLES FILE...   for each file and instruction set a line "NAME same" or
                                    "NAME differs: OUTPUT[INDEX] ..."; fails if any differs

   The input is pseudo-random: floats in [-1, 1), and any bytes. Once with and once without what the
   instruction set prepares. A NaN equals any NaN: which one comes out is not C's business. */
#include "abuse.h"
#include "csideploy/dispatch.h"

static uint8_t *load(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        exit(3);
    *size = (size_t)ftell(file);
    uint8_t *data = allocate(*size);
    rewind(file);
    if (fread(data, 1, *size, file) != *size)
        exit(3);
    fclose(file);
    return data;
}

static int equal(uint32_t dtype, uint32_t a, uint32_t b) {
    return a == b ||
           (dtype == CSD_F32 && (a & 0x7FFFFFFFu) > 0x7F800000u && (b & 0x7FFFFFFFu) > 0x7F800000u);
}

/* The first element that differs; -1: none does. */
static long difference(const csd_tensor_record *t, const uint8_t *a, const uint8_t *b,
                       size_t size) {
    const uint32_t element = csd_dtype_size(t->dtype);
    for (size_t at = 0; at < size; at += element) {
        uint32_t one = 0, other = 0;
        if (element > sizeof one) {
            if (memcmp(a + at, b + at, element) != 0)
                return (long)(at / element);
            continue;
        }
        memcpy(&one, a + at, element);
        memcpy(&other, b + at, element);
        if (!equal(t->dtype, one, other))
            return (long)(at / element);
    }
    return -1;
}

static int compare(const csd_part *part, const char *name, const buffers *want,
                   const buffers *have) {
    for (uint32_t i = 0; i < want->count; i++) {
        const csd_tensor_record *t = &part->tensors[part->interface[part->input_count + i].tensor];
        const long at = difference(t, want->data[i], have->data[i], want->size[i]);
        if (at >= 0) {
            printf("%s differs: %s[%ld]\n", name, csd_name(part, t->name), at);
            return 1;
        }
    }
    return 0;
}

/* The outputs of one instruction set, in `out`. */
static void run_with(const uint8_t *bundle, size_t size, const csd_isa *isa, int prepared,
                     buffers *in, buffers *out, size_t samples, uint32_t k) {
    csd_part part;
    void *memory = NULL;
    if (csd_open(&part, bundle, size, isa->kernels) != CSD_OK)
        exit(3);
    const size_t bytes = prepared ? csd_prepared_bytes(&part, isa->preparers) : 0;
    /* One byte beyond is not the allocation's. */
    if (bytes > 0 && (posix_memalign(&memory, CSD_PREPARED_ALIGN, bytes) != 0 ||
                      csd_prepare(&part, isa->preparers, memory, bytes) != CSD_OK))
        exit(3);
    if (run_once(&part, in, out, samples, k, 0xA5) != CSD_OK)
        exit(3);
    free(memory);
}

static int check(const char *path, size_t samples) {
    size_t size;
    uint8_t *bundle = load(path, &size);
    csd_part part;
    csd_isa isa;
    int bad = 0;
    if (csd_open(&part, bundle, size, csd_reference_kernels) != CSD_OK)
        exit(3);
    const uint32_t k = part.header->k_max;
    buffers in = make_buffers(&part, 0, part.input_count, samples, k);
    buffers want = make_buffers(&part, part.input_count, part.output_count, samples, k);
    buffers have = make_buffers(&part, part.input_count, part.output_count, samples, k);
    fill_buffers(&in, 0);
    for (uint32_t i = 0; csd_isa_at(i, &isa); i++) {
        if (!isa.available)
            continue;
        run_with(bundle, size, &isa, 0, &in, i == 0 ? &want : &have, samples, k);
        if (i == 0)
            continue;
        int differs = compare(&part, isa.name, &want, &have);
        run_with(bundle, size, &isa, 1, &in, &have, samples, k);
        differs |= compare(&part, isa.name, &want, &have);
        if (!differs)
            printf("%s same\n", isa.name);
        bad |= differs;
    }
    drop_buffers(&in);
    drop_buffers(&want);
    drop_buffers(&have);
    free(bundle);
    return bad;
}

int main(int count, char **arguments) {
    int bad = 0;
    if (count < 3)
        return 2;
    for (int i = 2; i < count; i++)
        bad |= check(arguments[i], strtoul(arguments[1], NULL, 10));
    return bad;
}
