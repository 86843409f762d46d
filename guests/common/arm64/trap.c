/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

struct trap last_trap;
uint64_t trap_stack;      /* stack pointer of trap_try while it runs, else 0 */

void trap_fatal(uint64_t esr, uint64_t far, uint64_t elr) __attribute__((noreturn));

void trap_fatal(uint64_t esr, uint64_t far, uint64_t elr)
{
    irq_disable();
    print("\nguest: unexpected exception: esr 0x%lx far 0x%lx elr 0x%lx (image + 0x%lx)\n", esr, far, elr,
          elr - (uint64_t)image_start);
    for (;;) {
        wfi();
    }
}
