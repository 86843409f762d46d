/* SPDX-License-Identifier: Apache-2.0 */
/* Time as the scheduler and the watchdogs count it. */
#include <hv/arch.h>

#include "clock.h"

uint64_t arch_counts(uint64_t ns)
{
    uint64_t hz = clock_hz();

    return ns / UINT64_C(1000000000) * hz + ns % UINT64_C(1000000000) * hz / UINT64_C(1000000000);
}
