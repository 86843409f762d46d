/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a switch between vcpus of a pool that C cannot say. */
    .arch_extension fp
    .arch_extension simd
    .section .text.context, "ax"

    .macro fp_pairs op
    \op     q0, q1, [x0, #0]
    \op     q2, q3, [x0, #32]
    \op     q4, q5, [x0, #64]
    \op     q6, q7, [x0, #96]
    \op     q8, q9, [x0, #128]
    \op     q10, q11, [x0, #160]
    \op     q12, q13, [x0, #192]
    \op     q14, q15, [x0, #224]
    \op     q16, q17, [x0, #256]
    \op     q18, q19, [x0, #288]
    \op     q20, q21, [x0, #320]
    \op     q22, q23, [x0, #352]
    \op     q24, q25, [x0, #384]
    \op     q26, q27, [x0, #416]
    \op     q28, q29, [x0, #448]
    \op     q30, q31, [x0, #480]
    .endm

/* context_save_fp(uint64_t fp[66]), context_load_fp(const uint64_t fp[66]): q0..q31, FPCR, FPSR. */
    .globl context_save_fp
context_save_fp:
    hint    #34                     /* bti c */
    fp_pairs stp
    mrs     x1, fpcr
    mrs     x2, fpsr
    str     x1, [x0, #512]
    str     x2, [x0, #520]
    ret

    .globl context_load_fp
context_load_fp:
    hint    #34
    fp_pairs ldp
    ldr     x1, [x0, #512]
    ldr     x2, [x0, #520]
    msr     fpcr, x1
    msr     fpsr, x2
    ret

/*
 * context_switch(uint64_t *from, uint64_t to): stores this thread's stack pointer at `from` and goes on with
 * the thread whose stack pointer is `to`. What C keeps across a call goes through the stack.
 */
    .globl context_switch
context_switch:
    hint    #34
    stp     x29, x30, [sp, #-96]!
    stp     x27, x28, [sp, #16]
    stp     x25, x26, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x21, x22, [sp, #64]
    stp     x19, x20, [sp, #80]
    mov     x2, sp
    str     x2, [x0]
    mov     sp, x1
    ldp     x19, x20, [sp, #80]
    ldp     x21, x22, [sp, #64]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #32]
    ldp     x27, x28, [sp, #16]
    ldp     x29, x30, [sp], #96
    ret

/* Where the thread of a vcpu begins: SP points to its struct cpu. */
    .globl context_begin
context_begin:
    mov     x0, sp
    bl      pool_thread
    b       guest_enter
