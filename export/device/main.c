/* Runs the golden vectors through the part: 0 when every output agrees, 1 when one does not, 2 when
   the part cannot be opened. Integers must agree to the bit; floats within 1e-4 of the largest
   magnitude, at least 1 (CSD_TOLERANCE).

   Compiled with CSD_QUIET it prints nothing and needs no stdio. */
#include <string.h>

#include "csideploy/csideploy.h"
#include "model.h"
#include "vectors.h"

#ifndef CSD_QUIET
#include <stdio.h>
#define SAY(...) (void)printf(__VA_ARGS__)
#else
#define SAY(...) (void)0
#endif

#ifndef CSD_TOLERANCE
#define CSD_TOLERANCE 1e-4f
#endif

static CSD_ALIGNED(CSD_ARENA_ALIGN) uint8_t arena[CSD_ARENA_BYTES > 0 ? CSD_ARENA_BYTES : 1];
static CSD_ALIGNED(16) uint8_t results[CSD_RESULT_BYTES];

static int floats_agree(const float *have, const float *want, size_t count) {
    float largest = 1.0f;
    for (size_t i = 0; i < count; i++) {
        const float magnitude = want[i] < 0.0f ? -want[i] : want[i];
        largest = magnitude > largest ? magnitude : largest;
    }
    for (size_t i = 0; i < count; i++) {
        const float error = have[i] < want[i] ? want[i] - have[i] : have[i] - want[i];
        if (!(error <= CSD_TOLERANCE * largest)) /* a NaN does not agree */
            return 0;
    }
    return 1;
}

static int agrees(const csd_golden *golden, const void *have) {
    if (golden->is_float)
        return floats_agree(have, golden->data, golden->bytes / sizeof(float));
    return memcmp(have, golden->data, golden->bytes) == 0;
}

int main(void) {
    csd_part part;
    csd_status status = csd_open(&part, csd_model, CSD_MODEL_BYTES, csd_reference_kernels);
    if (status == CSD_OK)
        status = csd_set_arena(&part, arena, sizeof arena);

    const void *inputs[CSD_INPUT_COUNT];
    void *outputs[CSD_OUTPUT_COUNT];
    size_t at = 0;
    for (size_t i = 0; i < CSD_INPUT_COUNT; i++)
        inputs[i] = csd_golden_inputs[i].data;
    for (size_t i = 0; i < CSD_OUTPUT_COUNT; i++) {
        outputs[i] = results + at;
        at += (csd_golden_outputs[i].bytes + 15u) & ~(size_t)15u;
    }
    const csd_call call = {CSD_GOLDEN_SAMPLES, CSD_MOST_USERS, inputs, outputs, NULL, NULL};
    if (status == CSD_OK)
        status = csd_run(&part, &call);
    if (status != CSD_OK) {
        SAY("error: %s\n", csd_status_text(status));
        return 2;
    }

    int result = 0;
    for (size_t i = 0; i < CSD_OUTPUT_COUNT; i++) {
        const int good = agrees(&csd_golden_outputs[i], outputs[i]);
        SAY("%s: %u golden vectors %s\n", csd_golden_outputs[i].name, (unsigned)CSD_GOLDEN_SAMPLES,
            good ? "agree" : "DIFFER");
        if (!good)
            result = 1;
    }
    return result;
}
