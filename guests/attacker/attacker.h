/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATTACKER_H
#define ATTACKER_H

#include "guest.h"

struct attack {
    const char *name;
    const char *what;
    void (*run)(const char *name, uint64_t address);
    bool ends;                       /* a hypervisor should stop or restart the guest for it */
};
extern const struct attack attacks[];    /* ends with a NULL name */

extern uint32_t own_cpus;
extern struct range own_ram;

/* Ends the line that the attack has begun with "attack NAME: what it saw". */
void verdict(bool held);

/* Unless NULL: called with each interrupt that comes. */
extern void (*volatile on_interrupt)(uint32_t irq);

/* Lets pending interrupts in, gives how many came. */
uint32_t take_interrupts(void);

#endif
