/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A partition's watchdog. It counts from each start of the partition and cannot be switched off or slowed down beyond
 * system.yaml. After half of its time without a refresh it warns (WS0), after the other half the partition is at fault
 * (WS1). On ARM64 the guest sees Arm's generic watchdog, whose two frames lie side by side, refresh frame first; on x86
 * I/O ports that an ACPI table describes, without a warning. One core (layout's watchdog_cpu) looks at it when its alarm
 * rings; the partition's own cores only write down when that has to be.
 */
#ifndef HV_WATCHDOG_H
#define HV_WATCHDOG_H

#include <hv/arch.h>
#include <hv/features.h>
#include <hv/layout.h>
#include <hv/types.h>

#define WATCHDOG_SIZE   0x2000u  /* ARM64: of both frames */
#define WATCHDOG_PORTS  16u      /* x86 */

/* A register at an offset from the refresh frame or the first port. False: no access of this form. */
bool watchdog_read(const struct layout_partition *config, uint64_t offset, uint32_t size, uint64_t *value);
bool watchdog_write(const struct layout_partition *config, uint64_t offset, uint32_t size, uint64_t value);

/* Half of the time is over: an interrupt to the guest, where its form has one, or no more of it. */
void watchdog_warn(const struct layout_partition *config, bool pending);

/* The partition starts, its guest's counter is 0 at `base`; or it does not run any more. */
void watchdog_start(const struct layout_partition *config, uint64_t base);
void watchdog_stop(const struct layout_partition *config);

/* The time that is over once REQUEST_WATCHDOG has been made. */
uint64_t watchdog_time_ns(const struct layout_partition *config);

/* On core `cpu`, when its alarm or a kick has come: what is overdue, and the next alarm. */
void watchdog_tick(uint32_t cpu);

/* The console's alarm, which shares its core's timer with the watchdogs that the core looks at. */
void watchdog_console_alarm(uint64_t ns);

static inline void alarm_console(uint64_t ns)
{
    if (HV_WATCHDOG) {
        watchdog_console_alarm(ns);
    } else {
        arch_alarm(ns);
    }
}

#endif
