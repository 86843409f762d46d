/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a switch between vcpus of a pool that C cannot say, or not as shortly. */
#include "context.h"

    .arch_extension fp
    .arch_extension simd
    .section .text.context, "ax"

/* One of CONTEXT_REGISTERS: two at a time go through x1 and x2. */
    .macro save_one name
    .if count & 1
    mrs     x2, \name
    stp     x1, x2, [x0, #(8 * (count - 1))]
    .else
    mrs     x1, \name
    .endif
    .set    count, count + 1
    .endm

    .macro load_one name
    .if count & 1
    msr     \name, x2
    .else
    ldp     x1, x2, [x0, #(8 * count)]
    msr     \name, x1
    .endif
    .set    count, count + 1
    .endm

    .macro fp_pair op, a, b
    \op     q\a, q\b, [x0, #(CONTEXT_FP + 16 * \a)]
    .endm

    .macro fp_pairs op
    fp_pair \op, 0, 1
    fp_pair \op, 2, 3
    fp_pair \op, 4, 5
    fp_pair \op, 6, 7
    fp_pair \op, 8, 9
    fp_pair \op, 10, 11
    fp_pair \op, 12, 13
    fp_pair \op, 14, 15
    fp_pair \op, 16, 17
    fp_pair \op, 18, 19
    fp_pair \op, 20, 21
    fp_pair \op, 22, 23
    fp_pair \op, 24, 25
    fp_pair \op, 26, 27
    fp_pair \op, 28, 29
    fp_pair \op, 30, 31
    .endm

/* context_save(struct context *), context_load(const struct context *) */
    .globl context_save
context_save:
    hint    #34                     /* bti c */
    .set    count, 0
#define SAVE(name)  save_one name ;
    CONTEXT_REGISTERS(SAVE)
    .if count & 1
    .error  "registers are saved in pairs"
    .endif
    fp_pairs stp
    mrs     x1, fpcr
    mrs     x2, fpsr
    str     x1, [x0, #(CONTEXT_FP + 512)]
    str     x2, [x0, #(CONTEXT_FP + 520)]
    ret

    .globl context_load
context_load:
    hint    #34
    .set    count, 0
#define LOAD(name)  load_one name ;
    CONTEXT_REGISTERS(LOAD)
    fp_pairs ldp
    ldr     x1, [x0, #(CONTEXT_FP + 512)]
    ldr     x2, [x0, #(CONTEXT_FP + 520)]
    msr     fpcr, x1
    msr     fpsr, x2
    ldr     x1, [x0, #CONTEXT_STAGE2]
    ldr     x2, [x0, #(CONTEXT_STAGE2 + 8)]
    msr     vtcr_el2, x1
    msr     vttbr_el2, x2
    ldr     x1, [x0, #(CONTEXT_STAGE2 + 16)]
    msr     vmpidr_el2, x1
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
