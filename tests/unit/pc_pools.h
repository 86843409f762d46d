/* SPDX-License-Identifier: Apache-2.0 */
/* pools.h for the machine of pc.h, and what a guest there does. */
#ifndef PC_POOLS_H
#define PC_POOLS_H

#include "pc.h"
#include "pools.h"

#define GUEST_INTERRUPTED  0x60u   /* exit codes of SVM (APM 2, appendix C) */
#define GUEST_CPUID        0x72u
#define GUEST_HALTS        0x78u
#define GUEST_MSR          0x7cu
#define V_IRQ              (UINT64_C(1) << 8)  /* of vmcb.interrupt_control */

/* The vcpu that a core has, and its VMCB. */
struct cpu *guest_of(uint32_t core);
struct vmcb *vmcb_of_guest(uint32_t core);

/* It leaves the guest for this reason. Why the core stops then: another may have it. */
enum stop guest_exits(uint32_t core, uint64_t code);

/* The vector that the guest takes at its next entry, 0: none. */
uint32_t enters_with(uint32_t core);

#endif
