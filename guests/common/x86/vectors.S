/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GUEST_IRQ                   /* a guest may handle interrupts in the vector itself, in 16 bytes */
#define GUEST_IRQ vector_begin
#endif

    .macro  vector_begin number
    pushq   $0
    pushq   $\number
    jmp     vector_irq
    .endm

    .text
    .balign 16
    .global vectors
vectors:                            /* 16 bytes each; trap.c points the gates to them */
    number = 0
    .rept   256
    .balign 16
    .if     number == 2             /* NMI */
    vector_begin number
    .elseif number >= 32
    GUEST_IRQ number
    .else
    .if     number != 8 && (number < 10 || number > 14) && number != 17 && number != 21 && number != 29 && number != 30
    pushq   $0                      /* these have no error code */
    .endif
    pushq   $number
    jmp     vector_exception
    .endif
    number = number + 1
    .endr

/* All registers that C may change; the guests use no floating point. */
vector_irq:
    push    %rax
    push    %rcx
    push    %rdx
    push    %rsi
    push    %rdi
    push    %r8
    push    %r9
    push    %r10
    push    %r11
    cld
    mov     72(%rsp), %edi
    call    irq_dispatch
    pop     %r11
    pop     %r10
    pop     %r9
    pop     %r8
    pop     %rdi
    pop     %rsi
    pop     %rdx
    pop     %rcx
    pop     %rax
    add     $16, %rsp
    iretq

/*
 * An exception under trap_try goes on after it; any other is the guest's end. Nothing is saved: neither
 * way returns to where it came from.
 */
vector_exception:
    cld
    pop     %rdi                    /* vector */
    pop     %rsi                    /* error code */
    mov     %cr2, %rdx
    mov     (%rsp), %rcx            /* rip */
    mov     16(%rsp), %r8           /* flags */
    mov     trap_stack, %rax
    test    %rax, %rax
    jz      trap_fatal
    mov     %rdi, last_trap
    mov     %rsi, last_trap + 8
    mov     %rdx, last_trap + 16
    mov     %rcx, last_trap + 24
    mov     %rax, %rsp
    bt      $9, %r8                 /* interrupts were let in: again */
    jnc     trap_taken
    sti
trap_taken:
    xor     %eax, %eax
    jmp     trap_end

/* bool trap_try(void (*call)(uint64_t), uint64_t argument) */
    .global trap_try
trap_try:
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    sub     $8, %rsp
    mov     %rsp, trap_stack
    mov     %rdi, %rax
    mov     %rsi, %rdi
    call    *%rax
    mov     $1, %eax
trap_end:
    movq    $0, trap_stack
    add     $8, %rsp
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    ret
