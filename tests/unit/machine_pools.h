/* SPDX-License-Identifier: Apache-2.0 */
/* pools.h for the machine of machine.h, and what a guest there does. */
#ifndef MACHINE_POOLS_H
#define MACHINE_POOLS_H

#include "machine.h"
#include "pools.h"

/* The vcpu that a core has. */
struct cpu *guest_of(uint32_t core);

/* Its guest's exception is handled by this function, as vectors.S calls it. Why the core stops then. */
enum stop guest_traps(uint32_t core, void (*trap)(struct cpu *cpu, uint64_t esr), uint64_t esr);

/* WFI. */
enum stop guest_waits(uint32_t core);

#endif
