/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each measure_* gives the CNTVCT ticks around one instruction; measure_nothing is what two reads of
 * the counter cost by themselves. The counter is kept in x19 and x20: every calling convention of
 * HVC and SMC leaves them alone.
 */
#define ICC_SGI1R_EL1  S3_0_C12_C11_5

    .macro  begin name
    .section .text.\name, "ax"
    .global \name
\name:
    stp     x19, x20, [sp, #-32]!
    str     x30, [sp, #16]
    .endm

    .macro  finish
    sub     x0, x20, x19
    ldr     x30, [sp, #16]
    ldp     x19, x20, [sp], #32
    ret
    .endm

    .macro  around instruction:vararg
    isb
    mrs     x19, cntvct_el0
    \instruction
    mrs     x20, cntvct_el0
    .endm

    begin   measure_nothing
    around
    finish

    begin   measure_hvc             /* x0: function */
    around  hvc #0
    finish

    begin   measure_smc
    around  smc #0
    finish

    begin   measure_read            /* x0: address */
    around  ldr w1, [x0]
    finish

    begin   measure_write           /* x0: address, x1: value */
    around  str w1, [x0]
    finish

/*
 * Until the first instruction of an interrupt's handler: vectors.S has that instruction read the counter
 * into x20, which is 0 before. Interrupts are masked again on the way back.
 */
    begin   measure_sgi             /* x0: ICC_SGI1R_EL1 */
    mov     x20, xzr
    msr     daifclr, #2
    isb
    mrs     x19, cntvct_el0
    msr     ICC_SGI1R_EL1, x0
1:  cbz     x20, 1b
    finish

    begin   measure_pend            /* x0: address, x1: value of the write that makes it pending */
    mov     x20, xzr
    msr     daifclr, #2
    isb
    mrs     x19, cntvct_el0
    str     w1, [x0]
1:  cbz     x20, 1b
    finish

    begin   measure_timer           /* x0: CNTV_CVAL_EL0; how late the handler is, busy until then */
    mov     x19, x0
    mov     x20, xzr
    msr     cntv_cval_el0, x0
    mov     x1, #1
    msr     cntv_ctl_el0, x1
    msr     daifclr, #2
    isb
1:  cbz     x20, 1b
    finish

    begin   measure_timer_wfi       /* the same, asleep until then */
    mov     x19, x0
    mov     x20, xzr
    msr     cntv_cval_el0, x0
    mov     x1, #1
    msr     cntv_ctl_el0, x1
    msr     daifclr, #2
    isb
1:  wfi
    cbz     x20, 1b
    finish
