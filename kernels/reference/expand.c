/* y = x, repeated along the axes where x has size 1 or none; elements of any type. */
#include "../walk.h"

void CSD_KERNEL(expand)(const csd_args *args) {
    const csd_walk walk = csd_walk_broadcast(args, 1);
    csd_copy_walk(&walk, &args->out[0], &args->in[CSD_EXPAND_X]);
}
