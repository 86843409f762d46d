/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC; see apic.h. */
#include "apic.h"
#include "vmm.h"
#include "x86.h"

#define REG_TPR        (MSR_X2APIC + 0x08u)
#define REG_EOI        (MSR_X2APIC + 0x0bu)
#define REG_SPURIOUS   (MSR_X2APIC + 0x0fu)
#define REG_IN_SERVICE (MSR_X2APIC + 0x10u)
#define REG_REQUESTED  (MSR_X2APIC + 0x20u)
#define REG_CMCI       (MSR_X2APIC + 0x2fu)
#define REG_LVT_FIRST  (MSR_X2APIC + 0x32u)  /* timer, thermal, performance, LINT0, LINT1, error */
#define REG_LVT_LAST   (MSR_X2APIC + 0x37u)
#define REG_TIMER      (MSR_X2APIC + 0x38u)
#define REG_VERSION    (MSR_X2APIC + 0x03u)
#define LVT_MASKED     (1u << 16)
#define SPURIOUS_ON    (1u << 8)
#define VECTOR_WORDS   8u
#define DRAIN_LIMIT    512u  /* steps: each vector can be in service once, and wait once */

void apic_on(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE);

    wrmsr(MSR_APIC_BASE, base | APIC_BASE_ON);
    wrmsr(MSR_APIC_BASE, base | APIC_BASE_ON | APIC_BASE_X2);
}

uint32_t apic_id(void)
{
    return cpuid(0, 0).reg[0] >= 0xbu && cpuid(0xb, 0).reg[1] != 0 ? cpuid(0xb, 0).reg[3] : cpuid(1, 0).reg[1] >> 24;
}

void apic_send(uint64_t target, uint32_t mode, uint32_t vector)
{
    /* A write of an x2APIC register waits for no other: what the target is to find must be there (SDM 3 11.12.3). */
    __asm__ volatile("mfence; lfence" : : : "memory");
    wrmsr(MSR_X2APIC_ICR, target << 32 | ICR_ASSERT | mode << 8 | vector);
}

static bool any_of(uint32_t first)
{
    uint64_t found = 0;

    for (uint32_t i = 0; i < VECTOR_WORDS; i++) {
        found |= rdmsr(first + i);
    }
    return found != 0;
}

/*
 * Software-enabled, so that what waits can be taken. A guest may have sent itself the spurious vector, too, and an
 * APIC may take no EOI for that (Bochs): so it is now this, now that.
 */
static void drain(void)
{
    for (uint32_t i = 0; i < DRAIN_LIMIT; i++) {
        bool in_service = any_of(REG_IN_SERVICE);

        if (!in_service && !any_of(REG_REQUESTED)) {
            break;
        }
        wrmsr(REG_SPURIOUS, SPURIOUS_ON | 0xfeu | (i & 1u));
        if (in_service) {
            wrmsr(REG_EOI, 0);
        } else {
            vmm_take_interrupts();
        }
    }
}

void apic_reset(void)
{
    uint32_t last = (uint32_t)rdmsr(REG_VERSION) >> 16 & 0xffu;  /* index of the last LVT entry */

    for (uint32_t reg = REG_LVT_FIRST; reg <= REG_LVT_LAST; reg++) {
        if (last >= 5u || reg != REG_LVT_FIRST + 1u) {
            wrmsr(reg, LVT_MASKED);
        }
    }
    if (last >= 6u) {
        wrmsr(REG_CMCI, LVT_MASKED);
    }
    wrmsr(REG_TIMER, 0);
    wrmsr(REG_TPR, 0);
    drain();
    wrmsr(REG_SPURIOUS, 0xffu);
}
