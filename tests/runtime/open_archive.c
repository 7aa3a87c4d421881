/* Verifies each bundle of an archive and prints the statuses; runs nothing, so it needs no kernel.

       open_archive FILE        for each bundle, its length in 8 bytes, then its bytes */
#include "abuse.h"

static void nothing(const csd_args *args) { (void)args; }

int main(int argc, char **argv) {
    csd_kernel kernels[CSD_OP_LAST + 1u];
    for (uint32_t op = 0; op <= CSD_OP_LAST; op++)
        kernels[op] = nothing;
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL)
        return 2;
    uint64_t length;
    while (fread(&length, sizeof length, 1, file) == 1) {
        uint8_t *bundle = allocate((size_t)length);
        if (fread(bundle, 1, (size_t)length, file) != length)
            return 2;
        csd_part part;
        printf("%s\n", csd_status_name(csd_open(&part, bundle, (size_t)length, kernels)));
        free(bundle);
    }
    fclose(file);
    return 0;
}
