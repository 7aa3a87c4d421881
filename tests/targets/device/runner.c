/* Runs an emitted part over a file of inputs, sample by sample, and writes the bytes of its outputs:

       runner INPUTS OUTPUTS      (without arguments: inputs.bin, outputs.bin; by semihosting on a
                                   bare machine)

   Returns 0 when the file was done, else the number of the step that failed. */
#include <stdio.h>

#include "csideploy/csideploy.h"
#include "model.h"
#include "vectors.h"

static CSD_ALIGNED(CSD_ARENA_ALIGN) uint8_t arena[CSD_ARENA_BYTES > 0 ? CSD_ARENA_BYTES : 1];
static CSD_ALIGNED(16) uint8_t results[CSD_RESULT_BYTES];
static CSD_ALIGNED(16) uint8_t input[INPUT_BYTES];

int main(int argc, char **argv) {
    FILE *from = fopen(argc > 2 ? argv[1] : "inputs.bin", "rb");
    FILE *to = fopen(argc > 2 ? argv[2] : "outputs.bin", "wb");
    if (from == NULL || to == NULL)
        return 1;
    csd_part part;
    if (csd_open(&part, csd_model, CSD_MODEL_BYTES, csd_reference_kernels) != CSD_OK)
        return 2;
    if (csd_set_arena(&part, arena, sizeof arena) != CSD_OK)
        return 3;
    size_t size[CSD_OUTPUT_COUNT];
    void *outputs[CSD_OUTPUT_COUNT];
    const void *inputs[1] = {input};
    size_t at = 0;
    for (size_t i = 0; i < CSD_OUTPUT_COUNT; i++) {
        size[i] = csd_golden_outputs[i].bytes / CSD_GOLDEN_SAMPLES;
        outputs[i] = results + at;
        at += (size[i] + 15u) & ~(size_t)15u;
    }
    const csd_call call = {1, 1, inputs, outputs, NULL, NULL};
    while (fread(input, 1, sizeof input, from) == sizeof input) {
        if (csd_run(&part, &call) != CSD_OK)
            return 4;
        for (size_t i = 0; i < CSD_OUTPUT_COUNT; i++)
            if (fwrite(outputs[i], 1, size[i], to) != size[i])
                return 5;
    }
    return fclose(to) == 0 ? 0 : 6;
}
