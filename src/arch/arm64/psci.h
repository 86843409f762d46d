/* SPDX-License-Identifier: Apache-2.0 */
/* PSCI 1.1 (DEN 0022) and SMCCC (DEN 0028): the partition's view, and the board's firmware. */
#ifndef ARM64_PSCI_H
#define ARM64_PSCI_H

#include <hv/types.h>

#include "cpu.h"

#define PSCI_VERSION           0x84000000u
#define PSCI_CPU_SUSPEND       0x84000001u
#define PSCI_CPU_OFF           0x84000002u
#define PSCI_CPU_ON            0x84000003u
#define PSCI_AFFINITY_INFO     0x84000004u
#define PSCI_MIGRATE_TYPE      0x84000006u
#define PSCI_SYSTEM_OFF        0x84000008u
#define PSCI_SYSTEM_RESET      0x84000009u
#define PSCI_FEATURES          0x8400000au
#define PSCI_SYSTEM_RESET2     0x84000012u
#define SMCCC_VERSION          0x80000000u
#define SMCCC_ARCH_FEATURES    0x80000001u
#define HYPERVISOR_UID         0x8600ff01u  /* DEN 0028 6.2 */
#define SMC64                  0x40000000u

#define PSCI_SUCCESS            UINT64_C(0)
#define PSCI_NOT_SUPPORTED      ((uint64_t)-1)
#define PSCI_INVALID_PARAMETERS ((uint64_t)-2)
#define PSCI_ALREADY_ON         ((uint64_t)-4)
#define PSCI_ON_PENDING         ((uint64_t)-5)
#define PSCI_INVALID_ADDRESS    ((uint64_t)-9)

/* Every call but the first ones; the result goes to the guest's x0. */
void psci_call(struct cpu *cpu);

/* A call to the board's firmware by its conduit; PSCI_NOT_SUPPORTED if it has none. */
uint64_t firmware_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c);

#endif
