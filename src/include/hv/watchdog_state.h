/* SPDX-License-Identifier: Apache-2.0 */
/* What a watchdog is, for watchdog.c and for the two forms in which guests see it. Times: counts of arch_counter(). */
#ifndef HV_WATCHDOG_STATE_H
#define HV_WATCHDOG_STATE_H

#include <hv/arch.h>
#include <hv/monitor.h>
#include <hv/partition.h>
#include <hv/watchdog.h>

/* Of watchdog.status; the same bits in both forms. */
#define WATCHDOG_RUNS  (1u << 0)
#define WATCHDOG_WS0   (1u << 1)  /* half of the time is over */
#define WATCHDOG_WS1   (1u << 2)  /* all of it, in this life or at the end of the last one */

#define WATCHDOG_LEAST_NS  UINT64_C(500000)  /* between two alarms: a guest must not flood the core that looks */
#define WATCHDOG_NEVER     UINT64_MAX

struct watchdog {
    uint32_t lock;
    uint32_t status;    /* WS0, WS1 */
    bool     on;        /* its partition runs */
    bool     served;    /* refreshed since the start */
    uint64_t offset;    /* half of the time that the guest has asked for, not above that of the layout */
    uint64_t compare;   /* when the half that passes is over */
    uint64_t base;      /* what arch_counter() was at the guest's 0 */
};

extern struct watchdog watchdogs[LAYOUT_MAX_PARTITIONS];
extern uint64_t watchdog_alarms[LAYOUT_MAX_CPUS];  /* when each core looks next, atomic */

static inline struct watchdog *watchdog_lock(const struct layout_partition *config)
{
    struct watchdog *dog = &watchdogs[partition_index(config)];

    while (__atomic_exchange_n(&dog->lock, 1u, __ATOMIC_ACQUIRE) != 0) {
    }
    return dog;
}

static inline void watchdog_unlock(struct watchdog *dog)
{
    __atomic_store_n(&dog->lock, 0u, __ATOMIC_RELEASE);
}

static inline uint64_t watchdog_most(const struct layout_partition *config)
{
    return arch_counts(config->watchdog_ns / 2u);
}

/* Half the time: from a refresh to WS0, and on to WS1. The guest may shorten it, not below WATCHDOG_LEAST_NS. */
static inline uint64_t watchdog_period(const struct layout_partition *config, const struct watchdog *dog)
{
    uint64_t least = arch_counts(WATCHDOG_LEAST_NS), most = watchdog_most(config);

    if (!dog->served) {
        return arch_counts(config->watchdog_boot_ns / 2u);
    }
    if (dog->offset >= most) {
        return most;
    }
    return dog->offset < least && least < most ? least : dog->offset;
}

/* The core that looks at the watchdog hears of it if it would come too late. */
static inline void watchdog_tell(const struct layout_partition *config, uint64_t at)
{
    if (at < __atomic_load_n(&watchdog_alarms[config->watchdog_cpu], __ATOMIC_SEQ_CST)) {
        arch_kick(config->watchdog_cpu);
    }
}

/* Lock held: an explicit refresh. */
static inline void watchdog_refresh(const struct layout_partition *config, struct watchdog *dog)
{
    if ((dog->status & WATCHDOG_WS0) != 0) {
        watchdog_warn(config, false);
    }
    if (HV_MONITOR && !dog->served) {
        monitor_normal(config);
    }
    dog->served = true;
    dog->status = 0;
    __atomic_store_n(&dog->compare, arch_counter() + watchdog_period(config, dog), __ATOMIC_SEQ_CST);
}

#endif
