/* SPDX-License-Identifier: Apache-2.0 */
#define FRAME 176

#ifndef GUEST_IRQ                   /* a guest may handle interrupts in the vector itself */
#define GUEST_IRQ b vector_irq
#endif

    .macro  entry target
    .balign 0x80
    b       \target
    .endm

    .text
    .balign 0x800
    .global vectors
vectors:
    .rept   4                       /* SP_EL0 is not used */
    entry   vector_other
    .endr
    entry   vector_sync
    .balign 0x80
    GUEST_IRQ
    entry   vector_other
    entry   vector_other
    .balign 0x80                    /* nor is EL0: its place serves EL2 of a bare machine, */
    mov     x0, #0xffffffff         /* where HVC is answered as shortly as can be */
    eret
    .rept   7
    entry   vector_other
    .endr

/* All registers that C may change; the guests use no floating point. */
vector_irq:
    sub     sp, sp, #FRAME
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x30, [sp, #144]
    bl      gic_dispatch
    ldp     x18, x30, [sp, #144]
    ldp     x16, x17, [sp, #128]
    ldp     x14, x15, [sp, #112]
    ldp     x12, x13, [sp, #96]
    ldp     x10, x11, [sp, #80]
    ldp     x8, x9, [sp, #64]
    ldp     x6, x7, [sp, #48]
    ldp     x4, x5, [sp, #32]
    ldp     x2, x3, [sp, #16]
    ldp     x0, x1, [sp]
    add     sp, sp, #FRAME
    eret

/*
 * A synchronous exception under trap_try goes on after it; any other is the guest's end. Nothing is
 * saved: neither way returns to where it came from.
 */
vector_sync:
    adrp    x2, trap_stack
    ldr     x1, [x2, :lo12:trap_stack]
    cbz     x1, vector_other
    adrp    x0, last_trap
    add     x0, x0, :lo12:last_trap
    mrs     x3, esr_el1
    mrs     x4, far_el1
    mrs     x5, elr_el1
    stp     x3, x4, [x0]
    str     x5, [x0, #16]
    mov     sp, x1
    adr     x3, trap_taken
    msr     elr_el1, x3             /* interrupt masks come back with SPSR */
    eret

vector_other:
    mrs     x0, esr_el1
    mrs     x1, far_el1
    mrs     x2, elr_el1
    b       trap_fatal

/* bool trap_try(void (*call)(uint64_t), uint64_t argument) */
    .global trap_try
trap_try:
    stp     x29, x30, [sp, #-96]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    adrp    x2, trap_stack
    mov     x3, sp
    str     x3, [x2, :lo12:trap_stack]
    mov     x2, x0
    mov     x0, x1
    blr     x2
    mov     x0, #1
    b       1f
trap_taken:
    mov     x0, #0
1:  adrp    x2, trap_stack
    str     xzr, [x2, :lo12:trap_stack]
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #96
    ret
