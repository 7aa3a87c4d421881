/* Who wrote last: a step finds in each tensor what the tensor's producer put there, and nothing
   else. Together with csd_check_steps (the producer comes before, and writes exactly these bytes)
   it follows that no run reads a byte of the arena that the same run has not written: what a
   bundle computes depends on its inputs alone.

   Nothing can be noted down without memory, so the steps between the producer and the reader are
   looked through for each read: fewer than steps^2 x CSD_MAX_INPUTS x CSD_MAX_OUTPUTS comparisons,
   which the most steps that the format allows keep below 2^28. */
#include "verify.h"

/* Does no step from `first` to before `end` write into the tensor's bytes? */
static int is_untouched(const csd_part *part, const csd_tensor_record *tensor, uint32_t first,
                        uint32_t end) {
    for (uint32_t s = first; s < end; s++) {
        const csd_step_record *step = &part->steps[s];
        const uint32_t *outputs = part->operands + step->operand_first + step->input_count;
        for (uint32_t i = 0; i < step->output_count; i++)
            if (csd_overlap(part, tensor, &part->tensors[outputs[i]]))
                return 0;
    }
    return 1;
}

csd_status csd_check_order(csd_part *part) {
    const uint32_t step_count = part->sections[CSD_SECTION_STEPS].count;
    for (uint32_t s = 0; s < step_count; s++) {
        const uint32_t *inputs = part->operands + part->steps[s].operand_first;
        for (uint32_t i = 0; i < part->steps[s].input_count; i++) {
            if (inputs[i] == CSD_NONE)
                continue;
            const csd_tensor_record *tensor = &part->tensors[inputs[i]];
            if (csd_is_written(tensor) && !is_untouched(part, tensor, tensor->producer + 1u, s))
                return csd_refuse(part, CSD_OVERWRITTEN, "step", s, "inputs");
        }
    }
    for (uint32_t i = part->input_count; i < part->input_count + part->output_count; i++) {
        const csd_tensor_record *tensor = &part->tensors[part->interface[i].tensor];
        if (!is_untouched(part, tensor, tensor->producer + 1u, step_count))
            return csd_refuse(part, CSD_OVERWRITTEN, "interface", i, "tensor");
    }
    return CSD_OK;
}
