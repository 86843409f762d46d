/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each measure_* gives the ticks of the time stamp counter around one instruction; measure_nothing is what
 * its frame costs. The counter is kept in r12d; the instruction finds its operands in ecx (what was rdi),
 * eax (rsi) and edx (rdx). A function for each path: bench/paths.py tells them apart by their names.
 */
    .macro  begin name
    .section .text.\name, "ax"
    .global \name
\name:
    push    %rbx
    push    %r12
    push    %r13
    mov     %rdi, %rcx
    mov     %rsi, %r8
    mov     %rdx, %r9
    .endm

    .macro  finish
    sub     %r12d, %eax
    pop     %r13
    pop     %r12
    pop     %rbx
    ret
    .endm

    .macro  opening
    rdtsc
    mov     %eax, %r12d
    mov     %r8d, %eax
    mov     %r9d, %edx
    .endm

    .macro  measure name, instruction:vararg
    begin   \name
    opening
    \instruction
    rdtsc
    finish
    .endm

    measure measure_nothing
    measure measure_vmmcall, vmmcall
    measure measure_vmcall, vmcall
    measure measure_cpuid, cpuid
    measure measure_rdmsr, rdmsr
    measure measure_port_read, inb %dx, %al
    measure measure_port_refused, inb %dx, %al
    measure measure_tpr_read, rdmsr
    measure measure_tpr_write, wrmsr
    measure measure_version_read, rdmsr
    measure measure_timer_arm, wrmsr
    measure measure_ioapic_read, movl (%rcx), %eax
    measure measure_ioapic_write, movl %eax, (%rcx)

/*
 * Until the first instruction of an interrupt's handler: vectors.S has the handler put the counter into
 * r13d, which is 0 before. Interrupts are masked again on the way back.
 */
    .macro  measure_event name, instruction:vararg
    begin   \name
    xor     %r13d, %r13d
    sti
    nop
    opening
    \instruction
1:  test    %r13d, %r13d
    jz      1b
    mov     %r13d, %eax
    finish
    .endm

    measure_event measure_ipi_self, wrmsr
    measure_event measure_self_ipi, wrmsr
    measure_event measure_timer, wrmsr
    measure_event measure_uart_irq, outb %al, %dx

    begin   measure_timer_hlt       /* asleep until then */
    xor     %r13d, %r13d
    sti
    nop
    opening
    wrmsr
1:  hlt
    test    %r13d, %r13d
    jz      1b
    mov     %r13d, %eax
    finish

    begin   measure_ipi_other       /* until the other core's handler, which wakes this one afterwards */
    xor     %r13d, %r13d
    sti
    nop
    opening
    wrmsr
1:  hlt
    test    %r13d, %r13d
    jz      1b
    mov     other_seen, %eax
    finish

/* The other core: sleeps, notes when its handler ran, wakes the core that asked. Never returns. */
    .section .text.other_run, "ax"
    .global other_run
other_run:
    xor     %r13d, %r13d
    sti
1:  hlt
    test    %r13d, %r13d
    jz      1b
    mov     %r13d, other_seen
    mov     $0x830, %ecx            /* x2APIC ICR */
    mov     other_answer, %eax
    mov     other_answer + 4, %edx
    wrmsr
    jmp     other_run
