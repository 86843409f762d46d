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
