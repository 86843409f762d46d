/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing of a PC that a partition may have outlives its restart. */
#include "guest.h"

void guest_irq(uint32_t irq)
{
    (void)irq;
}

int main(uint64_t early)
{
    (void)early;
    print("reborn: only on ARM64\n");
    return 1;
}
