/* Graphs of users and antennas. */
#include "verify_shapes.h"

/* k may be any axis: the kernel takes its sizes from the call. */
csd_status csd_check_edge_attention(const csd_operands *o, const csd_part *part) {
    csd_tensor_ref values = o->in[CSD_EDGE_ATTENTION_VALUES];
    (void)part;
    return csd_shape_if(values->rank == 4 &&
                        csd_same_shape(values, o->in[CSD_EDGE_ATTENTION_QUERIES]) &&
                        csd_same_shape(values, o->in[CSD_EDGE_ATTENTION_KEYS]) &&
                        csd_same_shape(values, o->out[0]));
}
