/* SPDX-License-Identifier: Apache-2.0 */
/* The first instruction of the probe's interrupt handler reads the counter; measure.S says what for. */
    .macro  probe_irq
    mrs     x20, cntvct_el0
    msr     cntv_ctl_el0, xzr       /* the timer's line falls before the end of its interrupt */
    mrs     x2, S3_0_C12_C12_0      /* ICC_IAR1_EL1 */
    isb
    msr     S3_0_C12_C12_1, x2      /* ICC_EOIR1_EL1 */
    mrs     x3, spsr_el1
    orr     x3, x3, #0x80           /* masked from here on */
    msr     spsr_el1, x3
    eret
    .endm

#define GUEST_IRQ probe_irq
#include "../../common/arm64/vectors.S"
