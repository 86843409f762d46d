/* SPDX-License-Identifier: Apache-2.0 */
/* What follows a fault: see hv/health.h. A restart beyond the limit of system.yaml is what `then` says. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/fault.h>
#include <hv/features.h>
#include <hv/health.h>
#include <hv/monitor.h>
#include <hv/port.h>
#include <hv/watchdog.h>

#define NS_PER_US  UINT64_C(1000)
#define NS_PER_MS  UINT64_C(1000000)

/* When the partition was restarted after faults, the last LAYOUT_MAX_RESTARTS times at most. */
struct restarts {
    uint32_t count;    /* of `at` that are in use */
    uint32_t next;     /* place of the oldest once all are */
    uint64_t at[LAYOUT_MAX_RESTARTS];
};

static struct restarts restarts[LAYOUT_MAX_PARTITIONS];

/* Restarts of the last restart_window_ns. */
static uint32_t recent(const struct layout_partition *config, const struct restarts *past, uint64_t now)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < past->count; i++) {
        found += now - past->at[i] < config->restart_window_ns ? 1u : 0;
    }
    return found;
}

static void remember(struct restarts *past, uint32_t limit, uint64_t now)
{
    if (past->count < limit) {
        past->at[past->count++] = now;
        return;
    }
    past->at[past->next] = now;
    past->next = (past->next + 1u) % limit;
}

/* One more restart, unless there have been restart_limit in the last restart_window_ns. */
static bool may_restart(const struct layout_partition *config)
{
    struct restarts *past = &restarts[partition_index(config)];
    uint32_t limit = config->restart_limit < LAYOUT_MAX_RESTARTS ? config->restart_limit : LAYOUT_MAX_RESTARTS;
    uint64_t now = arch_time_ns();
    uint32_t found;

    if (limit == 0) {
        return true;
    }
    found = recent(config, past, now);
    if (found >= limit) {
        print("%s: restarts in the last %lu ms: %u, the most that system.yaml:%u allows\n", config->name,
              config->restart_window_ns / NS_PER_MS, found, config->yaml_line);
        if (HV_MONITOR) {
            monitor_event(config, EVENT_LIMIT, 0, 0, 0);
        }
        return false;
    }
    remember(past, limit, now);
    print("%s: restart %u of at most %u in %lu ms\n", config->name, found + 1u, limit,
          config->restart_window_ns / NS_PER_MS);
    return true;
}

/* Said on the partition's own core, not where the watchdog was looked at: that is somebody else's time. */
static void report_watchdog(const struct layout_partition *config)
{
    struct vcpu *vcpu = arch_vcpu(config->vcpus[0].cpu);

    print("FAULT %s: its watchdog (system.yaml:%u) was not refreshed for %lu us, vcpu 0 was at pc 0x%lx\n", config->name,
          config->yaml_line, watchdog_time_ns(config) / NS_PER_US, arch_guest_pc(vcpu));
    fault_say_policy(config);
    if (HV_MONITOR) {
        monitor_event(config, EVENT_WATCHDOG, 0, 0, arch_guest_pc(vcpu));
    }
}

static uint32_t policy_of(const struct layout_partition *config)
{
    return config->on_fault == LAYOUT_FAULT_RESTART && !may_restart(config) ? config->restart_then : config->on_fault;
}

uint32_t health_decide(const struct layout_partition *config, uint32_t request)
{
    uint32_t policy;

    if (request == REQUEST_START) {  /* by a monitor, who has seen what there was */
        restarts[partition_index(config)] = (struct restarts){ 0 };
    }
    if (HV_WATCHDOG && request == REQUEST_WATCHDOG) {
        report_watchdog(config);
    } else if (request != REQUEST_FAULT) {
        return request;
    }
    policy = policy_of(config);
    if (policy == LAYOUT_FAULT_RESET_BOARD) {
        arch_board_reset();
        print("the firmware refused to reset the board\n");
    }
    return policy == LAYOUT_FAULT_RESTART ? REQUEST_RESTART : REQUEST_STOP;
}

void health_reset_devices(const struct layout_partition *config)
{
    for (uint32_t i = 0; i < config->reset_count; i++) {
        const struct layout_write *write = &config->resets[i];

        if (HV_HAS_PORTS && write->address.raw >= LAYOUT_PORTS) {
            port_write((uint16_t)write->address.raw, write->width, write->value);
        } else if (write->width == 1u) {
            mmio_write8(write->address.raw, (uint8_t)write->value);
        } else if (write->width == 2u) {
            mmio_write16(write->address.raw, (uint16_t)write->value);
        } else {
            mmio_write32(write->address.raw, write->value);
        }
    }
}
