/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watchdog as guests on x86 see it: three registers of 32 bits in I/O ports, to which the guest's watchdog action table
 * leads (Microsoft, "Hardware Watchdog Timers Design Specification"; scripts/hvgen/guest_acpi.py). Times are in
 * milliseconds, and for all of the time, not for a half; there is no interrupt.
 */
#include <hv/watchdog_state.h>

#define CONTROL  0x0u  /* read: WATCHDOG_RUNS, WS0, WS1; written: a refresh, whatever the value */
#define TIME     0x4u  /* from a refresh to the end; written: a refresh too */
#define LEFT     0x8u  /* until the end */

#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_S   UINT64_C(1000000000)
#define MS_PER_S   UINT64_C(1000)

/* The nearest; what passes in an hour, times 1000, fits. */
static uint64_t to_ms(uint64_t counts)
{
    uint64_t per_s = arch_counts(NS_PER_S);

    return (counts * MS_PER_S + per_s / 2u) / per_s;
}

/* Lock held. */
static uint64_t left(const struct layout_partition *config, const struct watchdog *dog)
{
    uint64_t end = dog->compare + ((dog->status & WATCHDOG_WS0) == 0 ? watchdog_period(config, dog) : 0);
    uint64_t now = arch_counter();

    return dog->on && end > now ? end - now : 0;
}

bool watchdog_read(const struct layout_partition *config, uint64_t offset, uint32_t size, uint64_t *value)
{
    struct watchdog *dog;

    if (size != 4u) {
        return false;
    }
    dog = watchdog_lock(config);
    *value = offset == CONTROL ? WATCHDOG_RUNS | dog->status
             : offset == TIME  ? to_ms(2u * dog->offset)
             : offset == LEFT  ? to_ms(left(config, dog))
                               : 0;
    watchdog_unlock(dog);
    return true;
}

bool watchdog_write(const struct layout_partition *config, uint64_t offset, uint32_t size, uint64_t value)
{
    struct watchdog *dog;
    uint64_t at;

    if (size != 4u) {
        return false;
    }
    dog = watchdog_lock(config);
    if (offset == TIME) {
        uint64_t half = arch_counts((uint32_t)value * NS_PER_MS / 2u), most = watchdog_most(config);

        dog->offset = half < most ? half : most;
    }
    if (dog->on && (offset == CONTROL || offset == TIME)) {
        watchdog_refresh(config, dog);
    }
    at = dog->on ? dog->compare : WATCHDOG_NEVER;
    watchdog_unlock(dog);
    watchdog_tell(config, at);
    return true;
}

/* No guest asks to be warned. */
void watchdog_warn(const struct layout_partition *config, bool pending)
{
    (void)config;
    (void)pending;
}
