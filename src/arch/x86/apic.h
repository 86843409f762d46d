/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC in x2APIC mode (SDM 3, chapter 11; APM 2 16.9): a core's own, used by guest and hypervisor alike. */
#ifndef X86_APIC_H
#define X86_APIC_H

#include <hv/types.h>

#define ICR_FIXED    0u
#define ICR_LOWEST   1u
#define ICR_NMI      4u
#define ICR_INIT     5u
#define ICR_STARTUP  6u
#define ICR_ASSERT   (1u << 14)

/* x2APIC mode on. */
void apic_on(void);

/* The x2APIC ID of this core, also before apic_on(). */
uint32_t apic_id(void);

/* A message to one core. mode: ICR_*. */
void apic_send(uint64_t target, uint32_t mode, uint32_t vector);

/* State as after INIT, except for the ID: nothing pending, nothing in service, timer and lines off. */
void apic_reset(void);

#endif
