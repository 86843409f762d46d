/* SPDX-License-Identifier: Apache-2.0 */
/* VM entries of vcpus of pools. Interrupts are off in the hypervisor, and end a guest's turn (SDM 3 25.6.1). */
#include "cpu.h"
#include "vendor.h"

    .section .text.shared, "ax"
    .globl pool_enter
pool_enter:
    mov     0x00(%rsp), %rax
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
    vmresume
    vmlaunch                            /* of the first entry on a core, for which VMRESUME fails */
    mov     $REASON_NOT_ENTERED, %esi
    jmp     1f

/* The host's instruction pointer in the VMCS. */
    .globl vmx_pool_landing
vmx_pool_landing:
    mov     %rax, 0x00(%rsp)
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
    mov     $VMCS_EXIT_REASON, %eax
    vmread  %rax, %rsi
1:  mov     %rsp, %rdi
    call    vmx_pool_exit
    jmp     pool_enter

/* void vmm_pool_begin(void): interrupts are off already. */
    .globl vmm_pool_begin
vmm_pool_begin:
    ret

/* void vmm_pool_take(void) */
    .globl vmm_pool_take
vmm_pool_take:
    sti
    nop
    cli
    ret

/* void vmm_pool_idle(void): behind STI nothing is taken before the HLT. */
    .globl vmm_pool_idle
vmm_pool_idle:
    sti
    hlt
    cli
    ret

    .section .note.GNU-stack, "", @progbits
