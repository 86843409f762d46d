/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors: see hv/monitor.h. One ring of events for all; each monitor has its place in it. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/monitor.h>

#define EVENTS  64u  /* a power of two */

struct happened {
    uint64_t time, address, pc;
    uint32_t what;       /* as in MONITOR_EVENT's first answer */
};

struct watched {
    uint32_t state;      /* enum monitor_state, atomic */
    uint32_t cause;      /* enum monitor_cause of the last start */
    uint32_t starts, faults;
    uint64_t read;       /* monitor: events read so far */
};

static struct watched watched[LAYOUT_MAX_PARTITIONS];
static struct happened events[EVENTS];
static uint64_t event_count;
static uint32_t event_lock;

static void lock_events(void)
{
    while (__atomic_exchange_n(&event_lock, 1u, __ATOMIC_ACQUIRE) != 0) {
    }
}

static void unlock_events(void)
{
    __atomic_store_n(&event_lock, 0u, __ATOMIC_RELEASE);
}

void monitor_event(const struct layout_partition *config, enum monitor_event event, uint32_t vcpu, uint64_t address, uint64_t pc)
{
    struct happened one = { arch_time_ns(), address, pc, event | partition_index(config) << 8 | vcpu << 16 };

    lock_events();
    events[event_count++ % EVENTS] = one;
    unlock_events();
}

/* The oldest that the caller has not read; those that were overwritten before that are counted. */
static uint64_t next_event(struct watched *self, struct monitor_answer *answer)
{
    struct happened one;
    uint64_t lost = 0;
    bool found;

    lock_events();
    if (event_count - self->read > EVENTS) {
        lost = event_count - self->read - EVENTS;
        self->read += lost;
    }
    found = self->read != event_count;
    one = events[self->read % EVENTS];
    self->read += found ? 1u : 0;
    unlock_events();
    if (!found) {
        return MONITOR_NOT_REQUIRED;
    }
    *answer = (struct monitor_answer){ { one.what, one.time, one.address, one.pc, lost } };
    return MONITOR_SUCCESS;
}

void monitor_started(const struct layout_partition *config, uint32_t request)
{
    struct watched *self = &watched[partition_index(config)];
    bool first = self->starts == 0;

    self->cause = request == REQUEST_START   ? (first ? CAUSE_POWER_ON : CAUSE_MONITOR)
                  : request == REQUEST_RESTART ? CAUSE_ITSELF
                                               : CAUSE_FAULT;
    if (self->cause == CAUSE_MONITOR) {
        print("%s is started by a monitor\n", config->name);
    }
    self->faults += self->cause == CAUSE_FAULT ? 1u : 0;
    self->starts++;
    __atomic_store_n(&self->state, first ? STATE_COLD_START : STATE_WARM_START, __ATOMIC_RELEASE);
    monitor_event(config, EVENT_STARTED, 0, 0, 0);
}

void monitor_stopped(const struct layout_partition *config)
{
    __atomic_store_n(&watched[partition_index(config)].state, STATE_IDLE, __ATOMIC_RELEASE);
    monitor_event(config, EVENT_STOPPED, 0, 0, 0);
}

/* Not if it has been stopped meanwhile: only a start becomes normal. */
void monitor_normal(const struct layout_partition *config)
{
    uint32_t *state = &watched[partition_index(config)].state;
    uint32_t now = __atomic_load_n(state, __ATOMIC_ACQUIRE);

    if (now == STATE_COLD_START || now == STATE_WARM_START) {
        (void)__atomic_compare_exchange_n(state, &now, STATE_NORMAL, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
}

/* ---------------------------------------------------------------- calls */

static void info(const struct watched *of, struct monitor_answer *answer)
{
    answer->value[0] = __atomic_load_n(&of->state, __ATOMIC_ACQUIRE) | of->cause << 8;
    answer->value[1] = of->starts;
    answer->value[2] = of->faults;
}

/* Up to 31 characters and at least one 0, as they would stand in memory. */
static void name(const struct layout_partition *config, struct monitor_answer *answer)
{
    for (uint32_t i = 0; i < 32u && config->name[i] != '\0'; i++) {
        answer->value[i / 8u] |= (uint64_t)(uint8_t)config->name[i] << (8u * (i % 8u));
    }
}

/* Through the one door that faults use too: what comes first wins. */
static uint64_t request(const struct layout_partition *config, uint64_t function)
{
    bool idle = __atomic_load_n(&watched[partition_index(config)].state, __ATOMIC_ACQUIRE) == STATE_IDLE;

    if (idle != (function == MONITOR_START)) {
        return MONITOR_NOT_REQUIRED;
    }
    if (vcpu_must_halt(arch_vcpu(config->vcpus[0].cpu))) {
        return MONITOR_BUSY;
    }
    partition_request(config, function == MONITOR_STOP ? REQUEST_STOP : REQUEST_START);
    return MONITOR_SUCCESS;
}

static uint64_t own_call(const struct layout_partition *config, uint64_t function, struct monitor_answer *answer)
{
    if (function == MONITOR_NORMAL) {
        monitor_normal(config);
        return MONITOR_SUCCESS;
    }
    if (function == MONITOR_INFO) {
        info(&watched[partition_index(config)], answer);
    } else {
        name(config, answer);
    }
    return MONITOR_SUCCESS;
}

uint64_t monitor_call(const struct vcpu *caller, uint64_t function, uint64_t partition, struct monitor_answer *answer)
{
    const struct layout_partition *own = caller->config;
    uint32_t self = partition_index(own);

    if (function == MONITOR_NORMAL || (function <= MONITOR_NAME && (partition == MONITOR_SELF || partition == self))) {
        return own_call(own, function, answer);
    }
    if (own->monitor == 0 || function >= MONITOR_COUNT) {
        return MONITOR_NOT_SUPPORTED;
    }
    if (function == MONITOR_EVENT) {
        return next_event(&watched[self], answer);
    }
    if (partition >= layout.partition_count || partition == self) {
        return MONITOR_INVALID;  /* its own end it asks for by PSCI or ACPI */
    }
    if (function <= MONITOR_NAME) {
        return own_call(&layout.partitions[partition], function, answer);
    }
    return request(&layout.partitions[partition], function);
}
