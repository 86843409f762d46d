/* SPDX-License-Identifier: Apache-2.0 */
/* The first instruction of the probe's interrupt handler reads the counter; measure.S says what for. */
#define VECTOR_CALIBRATE 0xef       /* arch.h */

    .macro  probe_vector number
    .if     \number == VECTOR_CALIBRATE
    vector_begin \number
    .else
    rdtsc
    jmp     probe_irq
    .endif
    .endm

#define GUEST_IRQ probe_vector
#include "../../common/x86/vectors.S"

probe_irq:
    mov     %eax, %r13d
    mov     $0x80b, %ecx            /* x2APIC EOI */
    xor     %eax, %eax
    xor     %edx, %edx
    wrmsr
    andl    $~0x200, 16(%rsp)       /* RFLAGS.IF: masked from here on */
    iretq
