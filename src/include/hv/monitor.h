/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a `monitor: true` partition may ask for by hypercall: the others' state, to stop, start and restart them, and
 * what has happened to them. Every partition may ask for its own state, and say that it has become normal.
 * States are those of ARINC 653: idle, cold start, warm start, normal.
 */
#ifndef HV_MONITOR_H
#define HV_MONITOR_H

#include <hv/partition.h>
#include <hv/types.h>

/* Functions, in the range that SMCCC leaves to hypervisors (DEN 0028 6.2). */
#define MONITOR_CALLS     0xc6000000u
#define MONITOR_INFO      0u   /* partition -> state, starts, restarts after faults */
#define MONITOR_NAME      1u   /* partition -> its name, in four registers */
#define MONITOR_STOP      2u
#define MONITOR_START     3u
#define MONITOR_RESTART   4u
#define MONITOR_EVENT     5u   /* the oldest event that this monitor has not read */
#define MONITOR_NORMAL    6u   /* of the caller itself */
#define MONITOR_COUNT     7u

#define MONITOR_SELF      UINT64_MAX  /* as a partition's number: the caller */

/* Results, as SMCCC has them; in 64 bits. */
#define MONITOR_SUCCESS         UINT64_C(0)
#define MONITOR_NOT_SUPPORTED   ((uint64_t)-1)
#define MONITOR_NOT_REQUIRED    ((uint64_t)-2)
#define MONITOR_INVALID         ((uint64_t)-3)
#define MONITOR_BUSY            ((uint64_t)-4)

enum monitor_state { STATE_IDLE = 0, STATE_COLD_START, STATE_WARM_START, STATE_NORMAL };
enum monitor_cause { CAUSE_POWER_ON = 0, CAUSE_ITSELF, CAUSE_FAULT, CAUSE_MONITOR };
enum monitor_event { EVENT_STARTED = 1, EVENT_STOPPED, EVENT_FAULT, EVENT_WATCHDOG, EVENT_LIMIT };

/* What a call gives back beside its result. */
struct monitor_answer {
    uint64_t value[5];
};

/* function: its number less MONITOR_CALLS. */
uint64_t monitor_call(const struct vcpu *caller, uint64_t function, uint64_t partition, struct monitor_answer *answer);

/* Something has happened to a partition. */
void monitor_event(const struct layout_partition *config, enum monitor_event event, uint32_t vcpu, uint64_t address, uint64_t pc);

/* The partition starts because of a request, or does not run any more, or has become normal. */
void monitor_started(const struct layout_partition *config, uint32_t request);
void monitor_stopped(const struct layout_partition *config);
void monitor_normal(const struct layout_partition *config);

#endif
