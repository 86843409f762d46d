/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of channels: caches are coherent with everything. */
#include <hv/arch.h>
#include <hv/channel.h>

void arch_zero_shared(pa_t base, uint64_t size)
{
    arch_zero(base.raw, size);
}
