/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of vcpus that share a core, and the interrupt table of such a core. */
#include "boot.h"
#include "cpu.h"
#include "shared.h"

    .section .text.pool, "ax"

/*
 * context_switch(uint64_t *from, uint64_t to): stores this thread's stack pointer at `from` and goes on with
 * the thread whose stack pointer is `to`. What C keeps across a call goes through the stack.
 */
    .globl context_switch
context_switch:
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    mov     %rsp, (%rdi)
    mov     %rsi, %rsp
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    ret

/* Where the thread of a vcpu begins: rsp points to its struct cpu. */
    .globl context_begin
context_begin:
    mov     %rsp, %rdi
    call    pool_thread
    jmp     pool_enter

/* ---------------------------------------------------------------- interrupts of a pool's core */

/* They come only where the hypervisor lets them, so C that is called here meets nothing half done. */
    .balign 16
    .globl pool_stubs
pool_stubs:
    .set    number, POOL_LINES
    .rept   POOL_KICK + 1 - POOL_LINES
    .org    pool_stubs + POOL_STUB * (number - POOL_LINES)
    .if     number == POOL_TIMER
    push    $POOL_FIRED_TIMER
    jmp     pool_note
    .elseif number == POOL_KICK
    push    $POOL_FIRED_KICK
    jmp     pool_note
    .else
    push    $number
    jmp     pool_trap
    .endif
    .set    number, number + 1
    .endr

/* The core's timer and kicks: noted for the thread that has let them in. Its struct cpu is at the end of its page. */
pool_note:
    push    %rax
    push    %rcx
    push    %rdx
    mov     %rsp, %rdx
    or      $0xfff, %rdx
    mov     1 - CPU_SIZE + CPU_HOME(%rdx), %rdx
    mov     24(%rsp), %eax
    or      %eax, CPU_FIRED(%rdx)
    xor     %eax, %eax
    xor     %edx, %edx
    mov     $0x80b, %ecx                /* x2APIC EOI */
    wrmsr
    pop     %rdx
    pop     %rcx
    pop     %rax
    add     $8, %rsp
    iretq

pool_trap:
    push    %rax
    push    %rcx
    push    %rdx
    push    %rsi
    push    %rdi
    push    %r8
    push    %r9
    push    %r10
    push    %r11
    mov     72(%rsp), %edi
    sub     $8, %rsp
    cld
    call    pool_vector
    add     $8, %rsp
    pop     %r11
    pop     %r10
    pop     %r9
    pop     %r8
    pop     %rdi
    pop     %rsi
    pop     %rdx
    pop     %rcx
    pop     %rax
    add     $8, %rsp
    iretq

    .section .rodata.pool, "a"
    .balign 8
    .globl pool_idt_pointer
pool_idt_pointer:
    .short  pool_idt_end - pool_idt - 1
    .quad   pool_idt
    .balign 16
/* As in head.S, but for the vectors of a pool's core. */
    .macro gate low, offset
    .short  \low + \offset, CODE64, 0x8e00, _trap_high
    .long   0, 0
    .endm
pool_idt:
    .set    number, 0
    .rept   256
    .if     number < 16
    gate    _trap_low, (16 * number)
    .elseif number >= POOL_LINES && number <= POOL_KICK
    gate    _pool_low, (POOL_STUB * (number - POOL_LINES))
    .else
    gate    _trap_low, (16 * 16)
    .endif
    .set    number, number + 1
    .endr
pool_idt_end:

    .section .note.GNU-stack, "", @progbits
