/* SPDX-License-Identifier: Apache-2.0 */
/* No guest on x86 has one. */
#include "guest.h"

bool watchdog_open(uint32_t *irq)
{
    *irq = 0;
    return false;
}

uint64_t watchdog_half(void) { return 0; }
uint32_t watchdog_status(void) { return 0; }
void watchdog_refresh(void) { }
void watchdog_set_half(uint32_t counts) { (void)counts; }
