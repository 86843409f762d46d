/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

uint64_t timer_ns(uint64_t ticks)
{
    uint64_t hz = timer_hz();
    return ticks / hz * 1000000000u + ticks % hz * 1000000000u / hz;
}
