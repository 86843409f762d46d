/* SPDX-License-Identifier: Apache-2.0 */
/* A core whose interrupts are all the guest's waits for one of them in EL2, so that it can be regained meanwhile. */
#ifndef ARM64_DIRECT_H
#define ARM64_DIRECT_H

#include "cpu.h"

/* WFI on behalf of the guest; returns for an interrupt that would end the guest's, or a kick. */
void direct_wait(struct cpu *cpu);

#endif
