/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMRUN for vcpus of pools. Here the host's RFLAGS.IF is 1, so that a guest's turn ends with an interrupt
 * (APM 2 15.21.1), and the global interrupt flag, off outside the guest, keeps interrupts away from the hypervisor.
 */
#include "cpu.h"
#include "vendor.h"

    .section .text.shared, "ax"
    .globl pool_enter
pool_enter:
    mov     0x08(%rsp), %rcx
    mov     0x10(%rsp), %rdx
    mov     0x18(%rsp), %rbx
    mov     0x28(%rsp), %rbp
    mov     0x30(%rsp), %rsi
    mov     0x38(%rsp), %rdi
    mov     0x40(%rsp), %r8
    mov     0x48(%rsp), %r9
    mov     0x50(%rsp), %r10
    mov     0x58(%rsp), %r11
    mov     0x60(%rsp), %r12
    mov     0x68(%rsp), %r13
    mov     0x70(%rsp), %r14
    mov     0x78(%rsp), %r15
    mov     CPU_VMCB(%rsp), %rax
    vmrun   %rax
    mov     %rcx, 0x08(%rsp)
    mov     %rdx, 0x10(%rsp)
    mov     %rbx, 0x18(%rsp)
    mov     %rbp, 0x28(%rsp)
    mov     %rsi, 0x30(%rsp)
    mov     %rdi, 0x38(%rsp)
    mov     %r8, 0x40(%rsp)
    mov     %r9, 0x48(%rsp)
    mov     %r10, 0x50(%rsp)
    mov     %r11, 0x58(%rsp)
    mov     %r12, 0x60(%rsp)
    mov     %r13, 0x68(%rsp)
    mov     %r14, 0x70(%rsp)
    mov     %r15, 0x78(%rsp)
    mov     %rsp, %rdi
    call    svm_pool_exit
    jmp     pool_enter

/* void vmm_pool_begin(void): behind the CLGI of vmm_init(). */
    .globl vmm_pool_begin
vmm_pool_begin:
    sti
    ret

/* void vmm_pool_take(void) */
    .globl vmm_pool_take
vmm_pool_take:
    stgi
    nop
    clgi
    ret

/* void vmm_pool_idle(void): with IF off on the way, what waits is taken in the HLT, not before it. */
    .globl vmm_pool_idle
vmm_pool_idle:
    cli
    stgi
    sti
    hlt
    clgi
    ret

    .section .note.GNU-stack, "", @progbits
