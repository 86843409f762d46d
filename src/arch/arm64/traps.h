/* SPDX-License-Identifier: Apache-2.0 */
/* Called by vectors.S, with SP at struct cpu. */
#ifndef ARM64_TRAPS_H
#define ARM64_TRAPS_H

#include <hv/types.h>

#include "cpu.h"
#include "sysreg.h"

/* Address of the access; during a stage-1 walk, FAR holds the address walked for, so only the page is known. */
static inline uint64_t fault_ipa(uint64_t esr)
{
    uint64_t page = (sysreg_read(hpfar_el2) & UINT64_C(0xffffffffff0)) << 8;

    return (esr & ISS_S1PTW) != 0 ? page : page | (sysreg_read(far_el2) & 0xfffu);
}

/* Every data abort that is not a plain access to the distributor. */
void data_abort(struct cpu *cpu, uint64_t esr);

void trap_smccc(struct cpu *cpu, uint64_t esr);
void trap_sgi1r(struct cpu *cpu, uint64_t value);
void trap_data_abort(struct cpu *cpu, uint64_t esr);
void trap_irq(struct cpu *cpu);
void trap_wait(struct cpu *cpu, uint64_t esr);
void trap_fiq(struct cpu *cpu);
void trap_serror(struct cpu *cpu, uint64_t esr);
void trap_slow(struct cpu *cpu, uint64_t esr);
void trap_own(uint64_t vector, uint64_t esr, uint64_t elr, uint64_t far);

#endif
