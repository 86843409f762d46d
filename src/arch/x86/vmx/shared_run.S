/* SPDX-License-Identifier: Apache-2.0 */
/* VM entries of vcpus of pools. Interrupts are off in the hypervisor, and end a guest's turn (SDM 3 25.6.1). */
#include "cpu.h"
#include "vendor.h"

    .section .text.shared, "ax"
    .globl pool_enter
pool_enter:
    mov     0x00(%rsp), %rax
    load_rest
    load_short
    vmresume
    vmlaunch                            /* of the first entry on a core, for which VMRESUME fails */
    mov     $REASON_NOT_ENTERED, %esi
    jmp     1f

/* The host's instruction pointer in the VMCS. */
    .globl vmx_pool_landing
vmx_pool_landing:
    mov     %rax, 0x00(%rsp)
    mov     %rsi, 0x30(%rsp)
    save_short
    save_rest
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
