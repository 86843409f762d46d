/* SPDX-License-Identifier: Apache-2.0 */
/* The second instruction of an interrupt's handler reads the counter that all partitions share. */
    .macro  ringer_irq
    stp     x0, x1, [sp, #-16]!
    mrs     x0, cntpct_el0
    adrp    x1, heard
    str     x0, [x1, :lo12:heard]
    ldp     x0, x1, [sp], #16
    b       vector_irq
    .endm

#define GUEST_IRQ ringer_irq
#include "../../common/arm64/vectors.S"
