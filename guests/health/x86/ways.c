/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include "../ways.h"

void way_spin(void)
{
    irq_disable();
    for (;;) {
        __asm__ volatile("" ::: "memory");
    }
}

void way_sleep(void)
{
    irq_disable();
    for (;;) {
        __asm__ volatile("hlt" ::: "memory");
    }
}

void way_suspend(void)
{
    way_sleep();
}

void way_faults(void)
{
    way_spin();
}

uint32_t way_peek(uint64_t address)
{
    return address < 0x10000 ? port_read8((uint16_t)address) : mmio_read32(address);
}

void way_poke(uint64_t address, uint32_t value)
{
    if (address < 0x10000) {
        port_write8((uint16_t)address, (uint8_t)value);
    } else {
        mmio_write32(address, value);
    }
}
