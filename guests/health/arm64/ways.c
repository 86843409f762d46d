/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include "../ways.h"

static void shut_off(void)
{
    irq_disable();
    WRITE_SYSREG(S3_0_C12_C12_7, 0);      /* ICC_IGRPEN1_EL1 */
    WRITE_SYSREG(S3_0_C4_C6_0, 0);        /* ICC_PMR_EL1 */
    isb();
}

void way_spin(void)
{
    irq_disable();
    for (;;) {
        __asm__ volatile("" ::: "memory");
    }
}

void way_sleep(void)
{
    shut_off();
    for (;;) {
        wfi();
    }
}

void way_suspend(void)
{
    shut_off();
    for (;;) {
        psci_call(PSCI_CPU_SUSPEND, 0, 0, 0);
    }
}

/* The vector is an undefined instruction, taken to itself for ever without leaving EL1. */
void way_faults(void)
{
    static uint32_t vectors[512] __attribute__((aligned(2048)));

    irq_disable();
    WRITE_SYSREG(vbar_el1, (uint64_t)vectors);
    isb();
    __asm__ volatile("udf #0");
    for (;;) {
    }
}

uint32_t way_peek(uint64_t address)
{
    return mmio_read32(address);
}

void way_poke(uint64_t address, uint32_t value)
{
    mmio_write32(address, value);
}
