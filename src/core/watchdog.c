/* SPDX-License-Identifier: Apache-2.0 */
/* Watchdogs of partitions: see hv/watchdog.h. All times are counts of arch_counter(). */
#include <hv/arch.h>
#include <hv/monitor.h>
#include <hv/partition.h>
#include <hv/watchdog.h>

/* Registers, as offsets from the refresh frame; the control frame is the second page. */
#define WRR           0x0000u
#define REFRESH_IIDR  0x0fccu
#define WCS           0x1000u
#define WOR           0x1008u
#define WCV_LOW       0x1010u
#define WCV_HIGH      0x1014u
#define CONTROL_IIDR  0x1fccu

#define WCS_ENABLED  (1u << 0)
#define WCS_WS0      (1u << 1)
#define WCS_WS1      (1u << 2)
#define IIDR         0x0000043bu  /* architecture version 0: WOR has 32 bits; implementer Arm */

#define LEAST_NS     UINT64_C(500000)  /* between two alarms of one watchdog: a guest must not flood the core that looks */
#define NEVER        UINT64_MAX

struct watchdog {
    uint32_t lock;
    uint32_t status;    /* WS0, WS1 */
    uint32_t offset;    /* WOR */
    bool     on;        /* its partition runs */
    bool     served;    /* refreshed since the start */
    uint64_t compare;   /* WCV, as arch_counter() counts */
    uint64_t base;      /* what arch_counter() was at the guest's 0 */
};

static struct watchdog watchdogs[LAYOUT_MAX_PARTITIONS];
static uint64_t alarms[LAYOUT_MAX_CPUS];  /* when each core looks next */
static uint64_t console_at = NEVER;      /* on its core only */

static void lock(struct watchdog *dog)
{
    while (__atomic_exchange_n(&dog->lock, 1u, __ATOMIC_ACQUIRE) != 0) {
    }
}

static void unlock(struct watchdog *dog)
{
    __atomic_store_n(&dog->lock, 0u, __ATOMIC_RELEASE);
}

/* Half the time: from a refresh to WS0, and on to WS1. The guest may shorten it, not below LEAST_NS. */
static uint64_t period(const struct layout_partition *config, const struct watchdog *dog)
{
    uint64_t least = arch_counts(LEAST_NS), most = arch_counts(config->watchdog_ns / 2u);

    if (!dog->served) {
        return arch_counts(config->watchdog_boot_ns / 2u);
    }
    if (dog->offset >= most) {
        return most;
    }
    return dog->offset < least && least < most ? least : dog->offset;
}

/* The core that looks at the watchdog hears of it if it would come too late. */
static void tell(const struct layout_partition *config, uint64_t at)
{
    if (at < __atomic_load_n(&alarms[config->watchdog_cpu], __ATOMIC_SEQ_CST)) {
        arch_kick(config->watchdog_cpu);
    }
}

/* Lock held: an explicit refresh. */
static void refresh(const struct layout_partition *config, struct watchdog *dog)
{
    if ((dog->status & WCS_WS0) != 0) {
        arch_set_pending(config->watchdog_intid, false);
    }
    if (HV_MONITOR && !dog->served) {
        monitor_normal(config);
    }
    dog->served = true;
    dog->status = 0;
    __atomic_store_n(&dog->compare, arch_counter() + period(config, dog), __ATOMIC_SEQ_CST);
}

bool watchdog_read(const struct layout_partition *config, uint64_t offset, uint32_t size, uint64_t *value)
{
    struct watchdog *dog = &watchdogs[partition_index(config)];
    uint64_t compare;

    if (size != 4u) {
        return false;
    }
    lock(dog);
    compare = dog->compare - dog->base;
    *value = offset == WCS        ? WCS_ENABLED | dog->status
             : offset == WOR      ? dog->offset
             : offset == WCV_LOW  ? (uint32_t)compare
             : offset == WCV_HIGH ? compare >> 32
             : offset == REFRESH_IIDR || offset == CONTROL_IIDR ? IIDR
                                                                : 0;
    unlock(dog);
    return true;
}

bool watchdog_write(const struct layout_partition *config, uint64_t offset, uint32_t size, uint64_t value)
{
    struct watchdog *dog = &watchdogs[partition_index(config)];
    uint64_t at;

    if (size != 4u) {
        return false;
    }
    lock(dog);
    if (offset == WOR) {
        uint64_t most = arch_counts(config->watchdog_ns / 2u);

        dog->offset = value < most ? (uint32_t)value : (uint32_t)most;
    }
    if (dog->on && (offset == WRR || offset == WOR || offset == WCS)) {
        refresh(config, dog);
    }
    at = dog->on ? dog->compare : NEVER;
    unlock(dog);
    tell(config, at);
    return true;
}

void watchdog_start(const struct layout_partition *config, uint64_t base)
{
    struct watchdog *dog = &watchdogs[partition_index(config)];
    uint64_t most = arch_counts(config->watchdog_ns / 2u), at;

    if (config->watchdog_intid == 0) {
        return;
    }
    lock(dog);
    dog->status &= WCS_WS1;  /* says to the new life why the last one ended */
    dog->offset = most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
    dog->served = false;
    dog->on = true;
    dog->base = base;
    at = arch_counter() + period(config, dog);
    dog->compare = at;
    unlock(dog);
    tell(config, at);
}

void watchdog_stop(const struct layout_partition *config)
{
    struct watchdog *dog = &watchdogs[partition_index(config)];

    lock(dog);
    dog->on = false;
    unlock(dog);
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
    if ((dog->status & WCS_WS0) != 0) {
        dog->status |= WCS_WS1;
        dog->on = false;
        return BITE_FAULT;
    }
    dog->status |= WCS_WS0;
    dog->compare += period(config, dog);
    return BITE_WARN;
}

/* Looks at one watchdog; returns when it wants to be looked at again. */
static uint64_t look(const struct layout_partition *config)
{
    struct watchdog *dog = &watchdogs[partition_index(config)];
    enum bite bite = BITE_NONE;
    uint64_t at;

    lock(dog);
    if (dog->on) {
        bite = step(config, dog, arch_counter());
    }
    at = dog->on ? dog->compare : NEVER;
    if (bite == BITE_WARN) {
        arch_set_pending(config->watchdog_intid, true);
    }
    unlock(dog);
    if (bite == BITE_FAULT) {
        partition_request(config, REQUEST_WATCHDOG);
    }
    return at;
}

void watchdog_tick(uint32_t cpu)
{
    uint64_t first = cpu == layout.console_cpu ? console_at : NEVER;

    /* Whoever sets an earlier time from here on sees this and kicks. */
    __atomic_store_n(&alarms[cpu], NEVER, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < layout.partition_count; i++) {
        const struct layout_partition *config = &layout.partitions[i];

        if (config->watchdog_intid != 0 && config->watchdog_cpu == cpu) {
            uint64_t at = look(config);

            first = at < first ? at : first;
        }
    }
    __atomic_store_n(&alarms[cpu], first, __ATOMIC_SEQ_CST);
    arch_alarm_at(first);
}

void watchdog_console_alarm(uint64_t ns)
{
    console_at = ns != 0 ? arch_counter() + arch_counts(ns) : NEVER;
    watchdog_tick(layout.console_cpu);
}
