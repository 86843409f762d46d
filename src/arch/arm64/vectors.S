/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions to EL2 (DDI 0487 D1.3.1). While a guest runs, SP_EL2 points to its core's struct cpu, whose
 * first words take the guest's registers; the C stack lies below. The short paths save what C may clobber,
 * x0..x18 and x30; the others save x19..x29 too, since the guest's instruction may name any register.
 */
#include "cpu.h"

#define ESR_SGI1R_WRITE  0x623a3016  /* EC 0x18, IL, ISS of MSR ICC_SGI1R_EL1, Xt with t = 0 */
#define ICC_SGI1R_EL1    S3_0_C12_C11_5

    .macro save_rest_of_short
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    str     x18, [sp, #144]
    str     x30, [sp, #240]
    .endm

    .macro save_short
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    save_rest_of_short
    .endm

    .macro enter_guest_short
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldr     x18, [sp, #144]
    ldr     x30, [sp, #240]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp, #0]
    eret
    .endm

    /*
     * An exception of the hypervisor itself: x0 says which. The rest of its 128 bytes holds code of the
     * guest's exits; .org stops the assembler if that grows too long.
     */
    .macro own_exception number
    .org    vectors + 128 * \number
    mov     x0, #\number
    b       own_exception
    .endm

    .section .text.vectors, "ax"
    .balign 2048
    .globl vectors
vectors:
    own_exception 0

own_exception:                      /* reported on a stack of its own */
    adr     x1, emergency_stack_top
    mov     sp, x1
    mrs     x1, esr_el2
    mrs     x2, elr_el2
    mrs     x3, far_el2
    b       trap_own

    own_exception 1

/* Neither call nor system register. A data abort whose register the short path has saved is short too. */
guest_other:
    cmp     x2, #0x12               /* data abort (0x24), EC shifted by one */
    b.ne    guest_rest
    ubfx    x2, x1, #16, #5         /* ISS.SRT, if ISV says that it is one */
    cmp     x2, #18
    b.hi    guest_rest
    mov     x0, sp
    bl      trap_data_abort
guest_return_short:
    enter_guest_short

    own_exception 2

guest_sgi:
    save_rest_of_short
    mov     x1, x0
    mov     x0, sp
    bl      trap_sgi1r
    b       guest_return_short

guest_serror:
    mov     x0, sp
    bl      trap_serror
    b       guest_return_short

    own_exception 3

guest_slow:
    save_rest_of_short
guest_rest:
#if HV_POOLS || HV_HEALTH
    cbz     x2, guest_waits         /* EC 0x01, and 0x00: an instruction that nobody knows, which names no register */
#endif
    stp     x19, x20, [sp, #152]
    stp     x21, x22, [sp, #168]
    stp     x23, x24, [sp, #184]
    stp     x25, x26, [sp, #200]
    stp     x27, x28, [sp, #216]
    str     x29, [sp, #232]
    mov     x0, sp
    bl      trap_slow
    b       guest_enter

    own_exception 4

/* Enters the guest with every register from struct cpu, at which SP points. */
    .globl guest_enter
guest_enter:
    ldp     x19, x20, [sp, #152]
    ldp     x21, x22, [sp, #168]
    ldp     x23, x24, [sp, #184]
    ldp     x25, x26, [sp, #200]
    ldp     x27, x28, [sp, #216]
    ldr     x29, [sp, #232]
    enter_guest_short

#if HV_POOLS || HV_HEALTH
guest_waits:
    mov     x0, sp
    bl      trap_wait
    b       guest_return_short
#endif

    own_exception 5

/*
 * MSR ICC_SGI1R_EL1. In a `direct` partition, if the value names only its own vcpus and asks for nothing
 * else, the targets are shifted to the physical cores' numbers and sent; the rest is trap_sgi1r()'s.
 * x0..x3 are saved, x1 holds ESR_EL2.
 */
guest_sysreg:
    and     w2, w1, #~(0x1f << 5)
    mov     w3, #(ESR_SGI1R_WRITE & 0xffff)
    movk    w3, #(ESR_SGI1R_WRITE >> 16), lsl #16
    cmp     w2, w3
    b.ne    guest_slow
    ubfx    x2, x1, #5, #5
    adr     x3, read_register
    add     x3, x3, x2, lsl #3
    ret     x3                      /* not BR: the table has no landing pads, which BTI would ask for */

    own_exception 6

have_value:
    ldp     x2, x3, [sp, #CPU_SGI_FORBIDDEN]
    tst     x0, x2
    b.ne    guest_sgi
    ldr     x2, [sp, #CPU_SGI_SHIFT]
    orr     x3, x3, x0
    and     x0, x0, #0xffff
    bic     x3, x3, x0
    lsl     x0, x0, x2
    orr     x3, x3, x0
    msr     ICC_SGI1R_EL1, x3
    mrs     x0, elr_el2
    add     x0, x0, #4
    msr     elr_el2, x0
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp, #0]
    eret

    own_exception 7

    /* From the guest, AArch64 (first: 8) and AArch32 at EL0 (first: 12). */
    .macro guest_vectors first
    .org    vectors + 128 * \first
    stp     x0, x1, [sp, #0]
    stp     x2, x3, [sp, #16]
    mrs     x1, esr_el2
    lsr     x2, x1, #26
    cmp     x2, #0x18
    b.eq    guest_sysreg
    save_rest_of_short
    lsr     x2, x1, #27
    cmp     x2, #0x0b               /* HVC (0x16) or SMC (0x17) */
    b.ne    guest_other
    mov     x0, sp
    bl      trap_smccc
    b       guest_return_short

    .org    vectors + 128 * (\first + 1)
    save_short
    mov     x0, sp
    bl      trap_irq
    b       guest_return_short

    .org    vectors + 128 * (\first + 2)
    save_short
    mov     x0, sp
    bl      trap_fiq
    b       guest_return_short

    .org    vectors + 128 * (\first + 3)
    save_short
    mrs     x1, esr_el2
    b       guest_serror
    .endm

    guest_vectors 8
    guest_vectors 12

/* x0 = the register that the trapped instruction names: two instructions for each. */
    .macro from_frame number
    ldr     x0, [sp, #(8 * \number)]
    b       have_value
    .endm
    .macro from_register number
    mov     x0, x\number
    b       have_value
    .endm
read_register:
    .irp number, 0, 1, 2, 3
    from_frame \number
    .endr
    .irp number, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
    from_register \number
    .endr
    mov     x0, xzr
    b       have_value

    .section .bss.late, "aw", %nobits
    .balign 16
    .space 2048
    .globl emergency_stack_top
emergency_stack_top:
