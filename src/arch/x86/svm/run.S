/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMRUN and #VMEXIT (APM 2 15.5, 15.6). rsp points to the core's struct cpu, whose first words take the
 * guest's registers; the C stack lies below. The commonest exits are answered here with two or three
 * registers to spare; the short paths save what C may clobber; the slow one saves the rest too. FS, GS,
 * LDTR, TR and the system call MSRs stay the guest's all the time: the hypervisor has no use for them. The
 * global interrupt flag is off outside the guest, so an NMI waits for the next VMRUN.
 */
#include "cpu.h"
#include "boot.h"
#include "vendor.h"

#define ICR           0x830
#define ICR_UNPLAIN   0xffffbf00   /* anything but a vector, fixed, to one physical destination (SDM 3 11.6.1) */
#define APIC_BASE     0x1b
#define VERSION_1_0   0x10000
#define MSR_LENGTH    2
#define CPUID_LENGTH  2
#define CALL_LENGTH   3

    /* Past the instruction: where the CPU says that the next one is, or else its length further on. */
    .macro  resume_behind length
    mov     VMCB_NEXT_RIP(%rax), %rsi
    test    %rsi, %rsi
    jnz     8f
    addq    $\length, VMCB_RIP(%rax)
    mov     0x30(%rsp), %rsi
    jmp     run
8:  mov     %rsi, VMCB_RIP(%rax)
    mov     0x30(%rsp), %rsi
    jmp     run
    .endm

    .macro  leave_short
    save_short
    mov     %rsp, %rdi
    .endm

    .section .text.run, "ax"
    .globl guest_enter
guest_enter:
    load_rest
enter_short:
    load_short
    mov     CPU_VMCB(%rsp), %rax
run:
    vmrun   %rax
    mov     %rsi, 0x30(%rsp)
    mov     VMCB_EXIT_CODE(%rax), %rsi
    cmp     $EXIT_MSR, %rsi
    je      msr
    cmp     $EXIT_CPUID, %rsi
    je      leaf
    cmp     $EXIT_VMMCALL, %rsi
    je      hypercall

    leave_short
    save_rest
    call    svm_exit
    jmp     guest_enter

hypercall:
    cmpl    $0, VMCB_RAX(%rax)
    jne     1f
    movq    $VERSION_1_0, VMCB_RAX(%rax)
    resume_behind CALL_LENGTH
1:  leave_short
    call    exit_hypercall
    jmp     enter_short

/* An interrupt to a core of the partition, or the APIC's base; the rest is exit_msr()'s. */
msr:
    cmpl    $0, VMCB_EXIT_INFO_1(%rax)  /* 1: WRMSR */
    je      1f
    cmp     $ICR, %ecx
    jne     2f
    mov     VMCB_RAX(%rax), %esi
    test    $ICR_UNPLAIN, %esi
    jnz     2f
    cmp     $64 * APIC_WORDS, %edx
    jae     2f
    mov     %rdi, 0x38(%rsp)
    mov     CPU_APIC_IDS(%rsp), %rdi
    bt      %edx, (%rdi)
    mov     0x38(%rsp), %rdi
    jnc     2f
    mov     %esi, %eax
    wrmsr
    mov     CPU_VMCB(%rsp), %rax
    resume_behind MSR_LENGTH
1:  cmp     $APIC_BASE, %ecx
    jne     2f
    mov     CPU_APIC_BASE(%rsp), %rsi
    xor     %edx, %edx
    mov     %rsi, VMCB_RAX(%rax)
    resume_behind MSR_LENGTH
2:  leave_short
    mov     VMCB_EXIT_INFO_1(%rax), %esi
    call    exit_msr
    jmp     enter_short

/* A basic leaf, except the two of which bits follow the guest's CR4. */
leaf:
    mov     VMCB_RAX(%rax), %esi
    cmp     layout + LAYOUT_CPUID_BASIC, %esi
    jae     1f
    cmp     $1, %esi
    je      1f
    cmp     $7, %esi
    je      1f
    mov     %rdi, 0x38(%rsp)
    mov     %esi, %eax
    mov     %esi, %edi
    shl     $5, %edi
    add     layout + LAYOUT_CPUID, %rdi
    cpuid
    and     (%rdi), %eax
    or      16(%rdi), %eax
    and     4(%rdi), %ebx
    or      20(%rdi), %ebx
    and     8(%rdi), %ecx
    or      24(%rdi), %ecx
    and     12(%rdi), %edx
    or      28(%rdi), %edx
    mov     0x38(%rsp), %rdi
    mov     CPU_VMCB(%rsp), %rsi
    mov     %rax, VMCB_RAX(%rsi)
    mov     %rsi, %rax
    resume_behind CPUID_LENGTH
1:  leave_short
    call    exit_cpuid
    jmp     enter_short

/* void vmm_wait_nmi(void): the handler skips the HLT if the NMI came before it. */
    .globl vmm_wait_nmi
vmm_wait_nmi:
nmi_wait:
    stgi
    hlt
nmi_wait_end:
    clgi
    ret

    .globl own_nmi
own_nmi:
    push    %rax
    push    %rcx
    lea     nmi_wait(%rip), %rax
    mov     16(%rsp), %rcx
    cmp     %rax, %rcx
    jb      1f
    lea     nmi_wait_end(%rip), %rax
    cmp     %rax, %rcx
    jae     1f
    mov     %rax, 16(%rsp)
1:  pop     %rcx
    pop     %rax
    iretq

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
