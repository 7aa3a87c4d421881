/* Operations that instruction sets with vectors have a kernel of their own for, in kernels/vector/.

   A fast kernel takes the shapes that it is made for: it returns 1, or 0 and has done nothing; then
   the general kernel of kernels/reference/ runs. Its results are those of the general one: the same
   integers, and floats in the same order of operations. What it reads in another order, its
   preparer makes once, at args->prepared; without that (NULL) it returns 0 or manages.

   One file an operation, compiled once per instruction set. Vectors are kernels/vectors.h, where what
   differs by nature stands once per architecture; what one architecture alone can do, stands in
   kernels/x86/ or kernels/arm/. A file whose instruction set has nothing for it says
   CSD_NOTHING_FAST(name) and CSD_NOTHING_PREPARED(name). */
#ifndef CSIDEPLOY_FAST_H
#define CSIDEPLOY_FAST_H

#include "kernels.h"

#define CSD_FAST(name) CSD_EXPAND(CSD_ISA, fast_##name)
#define CSD_PREPARE(name) CSD_EXPAND(CSD_ISA, prepare_##name)

#define CSD_FOR_EACH_FAST_OP(X) \
    X(CONV2D, conv2d) \
    X(BINARY_LINEAR, binary_linear) \
    X(PACK_BITS, pack_bits) \
    X(UNPACK_BITS, unpack_bits) \
    X(QUANTIZE, quantize) \
    X(QCONV2D, qconv2d) \
    X(QLINEAR, qlinear) \
    X(QBINARY_LINEAR, qbinary_linear) \
    X(QADD, qadd) \
    X(QACTIVATION, qactivation) \
    X(QTHRESHOLD, qthreshold) \
    X(RESIDUAL_QUANTIZE, residual_quantize) \
    X(TABLE_PRECODER, table_precoder) \
    X(CONV_BLOCK, conv_block) \
    X(BITS_NETWORK, bits_network) \
    X(QUANTIZE_LOGIT, quantize_logit)

#define CSD_DECLARE_FAST(NAME, name)                                                               \
    int CSD_FAST(name)(const csd_args *args);                                                      \
    size_t CSD_PREPARE(name)(const csd_args *args, void *memory);
CSD_FOR_EACH_FAST_OP(CSD_DECLARE_FAST)
#undef CSD_DECLARE_FAST

/* Before a declaration. Fast kernels are for GCC and Clang. */
#define CSD_ALIGNED(bytes) __attribute__((aligned(bytes)))

#define CSD_NOTHING_FAST(name)                                                                     \
    int CSD_FAST(name)(const csd_args *args) {                                                     \
        (void)args;                                                                                \
        return 0;                                                                                  \
    }
#define CSD_NOTHING_PREPARED(name)                                                                 \
    size_t CSD_PREPARE(name)(const csd_args *args, void *memory) {                                 \
        (void)args;                                                                                \
        (void)memory;                                                                              \
        return 0;                                                                                  \
    }

#endif
