/* SPDX-License-Identifier: Apache-2.0 */
/* An interrupt's handler reads the counter that all partitions share, as early as it can. */
    .macro  ringer_vector number
    pushq   $0
    pushq   $\number
    jmp     ringer_irq
    .endm

#define GUEST_IRQ ringer_vector
#include "../../common/x86/vectors.S"

ringer_irq:
    push    %rax
    push    %rdx
    rdtsc
    mov     %eax, heard
    mov     %edx, heard + 4
    pop     %rdx
    pop     %rax
    jmp     vector_irq
