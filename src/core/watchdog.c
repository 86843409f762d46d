/* SPDX-License-Identifier: Apache-2.0 */
/* Watchdogs of partitions: see hv/watchdog.h. What a guest reads and writes of them stands in watchdog_sbsa.c, _wdat.c. */
#include <hv/watchdog_state.h>

struct watchdog watchdogs[LAYOUT_MAX_PARTITIONS];
uint64_t watchdog_alarms[LAYOUT_MAX_CPUS];
static uint64_t console_at = WATCHDOG_NEVER;  /* on its core only */

void watchdog_start(const struct layout_partition *config, uint64_t base)
{
    struct watchdog *dog;
    uint64_t at;

    if (config->watchdog_ns == 0) {
        return;
    }
    dog = watchdog_lock(config);
    dog->status &= WATCHDOG_WS1;  /* says to the new life why the last one ended */
    dog->offset = watchdog_most(config);
    dog->served = false;
    dog->on = true;
    dog->base = base;
    at = arch_counter() + watchdog_period(config, dog);
    dog->compare = at;
    watchdog_unlock(dog);
    watchdog_tell(config, at);
}

void watchdog_stop(const struct layout_partition *config)
{
    struct watchdog *dog = watchdog_lock(config);

    dog->on = false;
    watchdog_unlock(dog);
}

uint64_t watchdog_time_ns(const struct layout_partition *config)
{
    return watchdogs[partition_index(config)].served ? config->watchdog_ns : config->watchdog_boot_ns;
}

/* ---------------------------------------------------------------- the core that looks */

enum bite { BITE_NONE, BITE_WARN, BITE_FAULT };

/* Lock held: the time-out that is over, if one is. Both halves count from when they began, however late the look. */
static enum bite step(const struct layout_partition *config, struct watchdog *dog, uint64_t now)
{
    if (now < dog->compare) {
        return BITE_NONE;
    }
    if ((dog->status & WATCHDOG_WS0) != 0) {
        dog->status |= WATCHDOG_WS1;
        dog->on = false;
        return BITE_FAULT;
    }
    dog->status |= WATCHDOG_WS0;
    dog->compare += watchdog_period(config, dog);
    return BITE_WARN;
}

/* Looks at one watchdog; returns when it wants to be looked at again. */
static uint64_t look(const struct layout_partition *config)
{
    struct watchdog *dog = watchdog_lock(config);
    enum bite bite = BITE_NONE;
    uint64_t at;

    if (dog->on) {
        bite = step(config, dog, arch_counter());
    }
    at = dog->on ? dog->compare : WATCHDOG_NEVER;
    if (bite == BITE_WARN) {
        watchdog_warn(config, true);
    }
    watchdog_unlock(dog);
    if (bite == BITE_FAULT) {
        partition_request(config, REQUEST_WATCHDOG);
    }
    return at;
}

void watchdog_tick(uint32_t cpu)
{
    uint64_t first = cpu == layout.console_cpu ? console_at : WATCHDOG_NEVER;

    /* Whoever sets an earlier time from here on sees this and kicks. */
    __atomic_store_n(&watchdog_alarms[cpu], WATCHDOG_NEVER, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < layout.partition_count; i++) {
        const struct layout_partition *config = &layout.partitions[i];

        if (config->watchdog_ns != 0 && config->watchdog_cpu == cpu) {
            uint64_t at = look(config);

            first = at < first ? at : first;
        }
    }
    __atomic_store_n(&watchdog_alarms[cpu], first, __ATOMIC_SEQ_CST);
    arch_alarm_at(first);
}

void watchdog_console_alarm(uint64_t ns)
{
    console_at = ns != 0 ? arch_counter() + arch_counts(ns) : WATCHDOG_NEVER;
    watchdog_tick(layout.console_cpu);
}
