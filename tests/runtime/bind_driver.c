/* A bound call beside csd_run, on the same inputs, each new, for every number of samples and users;
   then wrong calls.

       bind_driver FILE        prints the statuses; fails where a result differs */
#include "abuse.h"
#include "csideploy/bind.h"

static uint8_t *load(const char *name, size_t *size) {
    FILE *file = fopen(name, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        exit(2);
    *size = (size_t)ftell(file);
    uint8_t *data = allocate(*size);
    rewind(file);
    if (fread(data, 1, *size, file) != *size)
        exit(2);
    fclose(file);
    return data;
}

/* Memory of exactly the bytes, so that the sanitizer sees what is read beyond. */
static int compare(csd_part *part, uint32_t n, uint32_t k) {
    buffers in = make_buffers(part, 0, part->input_count, n, k);
    buffers direct = make_buffers(part, part->input_count, part->output_count, n, k);
    buffers bound_out = make_buffers(part, part->input_count, part->output_count, n, k);
    const csd_call call = {n, k, (const void *const *)in.data, direct.data, NULL, NULL};
    const csd_call same = {n, k, (const void *const *)in.data, bound_out.data, NULL, NULL};
    const size_t bytes = csd_bound_bytes(part);
    void *memory = allocate(bytes);
    csd_bound bound;
    int bad = csd_bind(&bound, part, &same, memory, bytes) != CSD_OK;
    for (unsigned c = 0; c < 20 && !bad; c++) {
        fill_buffers(&in, c % 3 != 0);
        for (uint32_t i = 0; i < bound_out.count; i++)
            memset(bound_out.data[i], 0xA5, bound_out.size[i]);
        bad = csd_run(part, &call) != CSD_OK;
        csd_bound_run(&bound);
        for (uint32_t i = 0; i < direct.count && !bad; i++)
            bad = memcmp(direct.data[i], bound_out.data[i], direct.size[i]) != 0;
    }
    free(memory);
    drop_buffers(&in);
    drop_buffers(&direct);
    drop_buffers(&bound_out);
    return bad;
}

static void misuse(csd_part *part) {
    const uint32_t k = 1, most = part->header->n_max;
    buffers in = make_buffers(part, 0, part->input_count, most, k);
    buffers out = make_buffers(part, part->input_count, part->output_count, most, k);
    const size_t bytes = csd_bound_bytes(part);
    uint8_t *memory = allocate(bytes + 8u);
    csd_call call = {0, k, (const void *const *)in.data, out.data, NULL, NULL};
    csd_bound bound;
    printf(" %s", csd_status_name(csd_bind(&bound, part, &call, memory, bytes)));
    call.samples = (size_t)most + 1u;
    printf(" %s", csd_status_name(csd_bind(&bound, part, &call, memory, bytes)));
    call.samples = most;
    printf(" %s", csd_status_name(csd_bind(&bound, part, &call, memory, bytes - 1u)));
    printf(" %s", csd_status_name(csd_bind(&bound, part, &call, NULL, bytes)));
    printf(" %s\n", csd_status_name(csd_bind(&bound, part, &call, memory + 1, bytes)));
    free(memory);
    drop_buffers(&in);
    drop_buffers(&out);
}

int main(int argc, char **argv) {
    size_t size = 0;
    csd_part part;
    if (argc != 2)
        return 2;
    uint8_t *bundle = load(argv[1], &size);
    csd_status status = csd_open(&part, bundle, size, csd_reference_kernels);
    if (status != CSD_OK)
        return 2;
    uint8_t *arena = allocate((size_t)part.header->arena_bytes);
    status = csd_set_arena(&part, arena, (size_t)part.header->arena_bytes);
    int bad = 0;
    for (uint32_t n = 1; n <= part.header->n_max; n++)
        for (uint32_t k = 1; k <= part.header->k_max; k++)
            bad |= compare(&part, n, k);
    printf("%s", bad ? "DIFFERENT" : csd_status_name(status));
    misuse(&part);
    free(arena);
    free(bundle);
    return bad;
}
