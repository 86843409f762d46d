/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VM entries and exits (SDM 3, chapters 27 and 28). rsp points to the core's struct cpu, whose first words
 * take the guest's registers; the C stack lies below. The short paths save what C may clobber; the other
 * saves the rest too. The system call MSRs stay the guest's all the time: the hypervisor has no use for them.
 *
 * An NMI is a kick. One that comes in the guest is an exit; one that comes outside sets cpu->nmi, which is
 * looked at in the last instructions before the guest, and before a HLT. If it comes in these very
 * instructions, the handler starts them again.
 */
#include "boot.h"
#include "cpu.h"
#include "vendor.h"

    .section .text.run, "ax"
    .globl guest_enter
guest_enter:
    load_rest
enter_short:
    mov     0x00(%rsp), %rax
    load_short
enter_window:
    cmpl    $0, CPU_NMI(%rsp)
    jne     kicked
    vmresume
    vmlaunch                            /* of the first entry, for which VMRESUME fails */
enter_window_end:
    mov     $REASON_NOT_ENTERED, %esi
    jmp     exit_long
kicked:
    mov     $REASON_KICKED, %esi
    jmp     exit_long

/* The host's instruction pointer in the VMCS. */
    .globl vmx_landing
vmx_landing:
    mov     %rax, 0x00(%rsp)
    mov     %rsi, 0x30(%rsp)
    save_short
    mov     $VMCS_EXIT_REASON, %eax
    vmread  %rax, %rsi
    mov     %rsp, %rdi
    cmp     $REASON_WRMSR, %esi
    je      1f
    cmp     $REASON_RDMSR, %esi
    je      2f
    cmp     $REASON_CPUID, %esi
    je      3f
    cmp     $REASON_VMCALL, %esi
    jne     exit_long
    call    exit_hypercall
    jmp     enter_short
1:  mov     $1, %esi
    call    exit_msr
    jmp     enter_short
2:  xor     %esi, %esi
    call    exit_msr
    jmp     enter_short
3:  call    exit_cpuid
    jmp     enter_short
exit_long:
    save_rest
    mov     %rsp, %rdi
    call    vmx_exit
    jmp     guest_enter

/* The core's struct cpu from a stack pointer below it on the same page: cpu - 1 in the register. */
    .macro find_cpu register
    mov     %rsp, \register
    or      $0xfff, \register
    .endm
#define OF_CPU(offset)  1 - CPU_SIZE + offset

/* void vmm_wait_nmi(void) */
    .globl vmm_wait_nmi
vmm_wait_nmi:
    find_cpu %rax
wait_window:
    cmpl    $0, OF_CPU(CPU_NMI)(%rax)
    jne     wait_window_end
    hlt
wait_window_end:
    movl    $0, OF_CPU(CPU_NMI)(%rax)
    ret

/* The NMI handler. On the emergency stack there is no core to kick: it is about to halt. */
    .globl own_nmi
own_nmi:
    push    %rax
    push    %rcx
    cmp     $emergency_stack, %rsp
    jae     3f
    find_cpu %rax
    movl    $1, OF_CPU(CPU_NMI)(%rax)
    mov     16(%rsp), %rcx              /* where it came: is it in one of the windows? */
    lea     enter_window(%rip), %rax
    cmp     %rax, %rcx
    jb      1f
    cmp     $enter_window_end, %rcx
    jb      2f
1:  lea     wait_window(%rip), %rax
    cmp     %rax, %rcx
    jb      3f
    cmp     $wait_window_end, %rcx
    jae     3f
2:  mov     %rax, 16(%rsp)
3:  pop     %rcx
    pop     %rax
    iretq

/* void vmx_unblock_nmi(void): after an exit for an NMI others are held back until the next IRET (SDM 3 28.5.5). */
    .globl vmx_unblock_nmi
vmx_unblock_nmi:
    mov     %rsp, %rax
    push    $DATA
    push    %rax
    pushf
    push    $CODE64
    lea     1f(%rip), %rax
    push    %rax
    iretq
1:  ret

    .globl vmm_take_interrupts
vmm_take_interrupts:
    sti
    nop
    nop
    cli
    ret

    .section .note.GNU-stack, "", @progbits
