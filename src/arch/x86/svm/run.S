/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMRUN and #VMEXIT (APM 2 15.5, 15.6). rsp points to the core's struct cpu, whose first words take the
 * guest's registers; the C stack lies below. The short paths save what C may clobber; the other saves the
 * rest too. FS, GS, LDTR, TR and the system call MSRs stay the guest's all the time: the hypervisor has no
 * use for them. The global interrupt flag is off outside the guest, so an NMI waits for the next VMRUN.
 */
#include "cpu.h"
#include "vendor.h"

    .section .text.run, "ax"
    .globl guest_enter
guest_enter:
    mov     0x28(%rsp), %rbp
    mov     0x60(%rsp), %r12
    mov     0x68(%rsp), %r13
    mov     0x70(%rsp), %r14
    mov     0x78(%rsp), %r15
enter_short:
    mov     0x08(%rsp), %rcx
    mov     0x10(%rsp), %rdx
    mov     0x18(%rsp), %rbx
    mov     0x30(%rsp), %rsi
    mov     0x38(%rsp), %rdi
    mov     0x40(%rsp), %r8
    mov     0x48(%rsp), %r9
    mov     0x50(%rsp), %r10
    mov     0x58(%rsp), %r11
    mov     CPU_VMCB(%rsp), %rax
    vmrun   %rax
    mov     %rcx, 0x08(%rsp)
    mov     %rdx, 0x10(%rsp)
    mov     %rbx, 0x18(%rsp)
    mov     %rsi, 0x30(%rsp)
    mov     %rdi, 0x38(%rsp)
    mov     %r8, 0x40(%rsp)
    mov     %r9, 0x48(%rsp)
    mov     %r10, 0x50(%rsp)
    mov     %r11, 0x58(%rsp)
    mov     VMCB_EXIT_CODE(%rax), %rsi
    mov     %rsp, %rdi
    cmp     $EXIT_MSR, %rsi
    je      1f
    cmp     $EXIT_CPUID, %rsi
    je      2f
    cmp     $EXIT_VMMCALL, %rsi
    jne     3f
    call    exit_hypercall
    jmp     enter_short
1:  mov     0x78(%rax), %esi            /* EXITINFO1: 1 for WRMSR */
    call    exit_msr
    jmp     enter_short
2:  call    exit_cpuid
    jmp     enter_short
3:  mov     %rbp, 0x28(%rsp)
    mov     %r12, 0x60(%rsp)
    mov     %r13, 0x68(%rsp)
    mov     %r14, 0x70(%rsp)
    mov     %r15, 0x78(%rsp)
    call    svm_exit
    jmp     guest_enter

/* void vmm_wait_nmi(void): the handler skips the HLT if the NMI came before it (head.S). */
    .globl vmm_wait_nmi, nmi_wait, nmi_wait_end
vmm_wait_nmi:
nmi_wait:
    stgi
    hlt
nmi_wait_end:
    clgi
    ret

/* void svm_take_nmi(void): one that waits behind the global interrupt flag goes through its handler. */
    .globl svm_take_nmi
svm_take_nmi:
    stgi
    nop
    clgi
    ret

    .globl vmm_take_interrupts
vmm_take_interrupts:
    stgi
    sti
    nop
    nop
    cli
    clgi
    ret

    .section .note.GNU-stack, "", @progbits
