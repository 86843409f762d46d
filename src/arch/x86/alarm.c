/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The alarm of the watchdogs: the 8254, as for the console and so on its core. It counts 55 ms at most; what is further
 * away is looked at once more on the way.
 */
#include <hv/arch.h>

#include "clock.h"
#include "pool.h"
#include "vmm.h"

#define NS_PER_S  UINT64_C(1000000000)
#define PER_S     16u  /* looks a second at least: within what the 8254 counts, and small enough to be multiplied */

static uint32_t this_core(void)
{
    const struct cpu *self = cpu_here();

    return is_shared(self) ? self->home->vcpu.cpu : self->vcpu.cpu;
}

void arch_alarm_at(uint64_t at)
{
    uint64_t now = arch_counter(), hz, ahead;

    if (this_core() != layout.console_cpu) {
        return;  /* it looks at no watchdog */
    }
    if (at == UINT64_MAX) {
        arch_alarm(0);
        return;
    }
    hz = clock_hz();
    ahead = at > now ? at - now : 0;
    ahead = ahead < hz / PER_S ? ahead : hz / PER_S;
    arch_alarm(ahead * NS_PER_S / hz + 1u);
}

uint64_t arch_guest_pc(const struct vcpu *vcpu)
{
    return vmm_rip(cpu_at(vcpu->cpu));
}
