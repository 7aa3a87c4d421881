/* The cache in front of a part beside csd_run, on the same inputs.

       cache_driver FILE ENTRIES KINDS CALLS
                               CALLS inputs, each one of KINDS by chance; every result is compared.
                               Prints the status of opening, then bytes, hits and misses.
       cache_driver FILE       wrong calls; prints their statuses */
#include "abuse.h"
#include "csideploy/cache.h"

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

/* Input number `kind`, whenever it comes. */
static void write_input(buffers *in, uint32_t kind) {
    const uint32_t kept = random_state;
    random_state = kind + 1u;
    fill_buffers(in, 1);
    random_state = kept;
}

static int compare(csd_part *part, size_t entries, uint32_t kinds, unsigned calls) {
    const size_t bytes = csd_cache_bytes(part, entries);
    uint8_t *memory = allocate(bytes + 1);
    csd_cache cache;
    /* No alignment is asked for. */
    const csd_status status = csd_cache_open(&cache, part, bytes ? memory + 1 : NULL, bytes);
    printf("%s %zu", csd_status_name(status), bytes);
    int bad = 0;
    if (status == CSD_OK) {
        buffers in = make_buffers(part, 0, part->input_count, 1, 1);
        buffers direct = make_buffers(part, part->input_count, part->output_count, 1, 1);
        buffers cached = make_buffers(part, part->input_count, part->output_count, 1, 1);
        const csd_call call = {1, 1, (const void *const *)in.data, direct.data, NULL, NULL};
        for (unsigned c = 0; c < calls && !bad; c++) {
            write_input(&in, random_bits() % kinds);
            for (uint32_t i = 0; i < cached.count; i++)
                memset(cached.data[i], 0xA5, cached.size[i]);
            bad = csd_run(part, &call) != CSD_OK ||
                  csd_cache_run(&cache, in.data[0], cached.data) != CSD_OK;
            for (uint32_t i = 0; i < cached.count && !bad; i++)
                bad = memcmp(direct.data[i], cached.data[i], direct.size[i]) != 0;
        }
        printf(" %u %u", (unsigned)cache.hits, (unsigned)cache.misses);
        drop_buffers(&in);
        drop_buffers(&direct);
        drop_buffers(&cached);
    }
    printf("\n");
    free(memory);
    return bad;
}

static int misuse(csd_part *part) {
    const size_t bytes = csd_cache_bytes(part, 2);
    uint8_t *memory = allocate(bytes);
    buffers in = make_buffers(part, 0, part->input_count, 1, 1);
    buffers out = make_buffers(part, part->input_count, part->output_count, 1, 1);
    fill_buffers(&in, 0);
    void *none[MOST_BUFFERS] = {NULL};
    csd_cache cache;
    printf("%zu\n", csd_cache_bytes(part, SIZE_MAX));
    printf("%s\n", csd_status_name(csd_cache_open(&cache, part, memory, bytes - 1)));
    printf("%s\n", csd_status_name(csd_cache_open(&cache, part, NULL, bytes)));
    printf("%s\n", csd_status_name(csd_cache_open(&cache, part, memory, bytes)));
    printf("%s\n", csd_status_name(csd_cache_run(&cache, NULL, out.data)));
    printf("%s\n", csd_status_name(csd_cache_run(&cache, in.data[0], NULL)));
    printf("%s\n", csd_status_name(csd_cache_run(&cache, in.data[0], none)));
    /* What a run refuses is no result. */
    void *arena = part->arena;
    part->arena = NULL;
    csd_status status = csd_cache_run(&cache, in.data[0], out.data);
    printf("%s %u\n", csd_status_name(status), (unsigned)(cache.hits + cache.misses));
    part->arena = arena;
    status = csd_cache_run(&cache, in.data[0], out.data);
    printf("%s %u\n", csd_status_name(status), (unsigned)cache.misses);
    drop_buffers(&in);
    drop_buffers(&out);
    free(memory);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 5)
        return 2;
    size_t size;
    uint8_t *bundle = load(argv[1], &size);
    csd_part part;
    if (csd_open(&part, bundle, size, csd_reference_kernels) != CSD_OK)
        return 2;
    const size_t arena_bytes = (size_t)part.header->arena_bytes;
    uint8_t *arena = allocate(arena_bytes);
    if (csd_set_arena(&part, arena, arena_bytes) != CSD_OK)
        return 2;
    const int bad = argc == 2 ? misuse(&part)
                              : compare(&part, strtoul(argv[2], NULL, 10),
                                        (uint32_t)strtoul(argv[3], NULL, 10),
                                        (unsigned)strtoul(argv[4], NULL, 10));
    free(arena);
    free(bundle);
    return bad;
}
