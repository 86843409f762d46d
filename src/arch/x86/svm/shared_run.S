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
    load_rest
    load_short
    mov     CPU_VMCB(%rsp), %rax
    vmrun   %rax
    mov     %rsi, 0x30(%rsp)
    save_short
    save_rest
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
