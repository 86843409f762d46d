/* SPDX-License-Identifier: Apache-2.0 */
/* Called by vectors.S, with SP at struct cpu. */
#ifndef ARM64_TRAPS_H
#define ARM64_TRAPS_H

#include <hv/types.h>

#include "cpu.h"

void trap_smccc(struct cpu *cpu, uint64_t esr);
void trap_sgi1r(struct cpu *cpu, uint64_t value);
void trap_data_abort(struct cpu *cpu, uint64_t esr);
void trap_irq(struct cpu *cpu);
void trap_fiq(struct cpu *cpu);
void trap_serror(struct cpu *cpu, uint64_t esr);
void trap_slow(struct cpu *cpu, uint64_t esr);
void trap_own(uint64_t vector, uint64_t esr, uint64_t elr, uint64_t far);

#endif
