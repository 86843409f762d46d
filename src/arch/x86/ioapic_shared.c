/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the I/O APIC that belong to partitions with shared cores; see ioapic.h. */
#include "ioapic.h"
#include "pool.h"

#define LINES_MOST   64u
#define VECTOR_BITS  0xffu

struct line {
    uint32_t low, high;  /* as the guest has written them; both atomic, its vcpus may be on several cores */
    uint32_t held;       /* 1: masked until the guest has ended its interrupt, atomic */
};

static struct line lines[LINES_MOST];

static uint32_t low_of(uint32_t line)
{
    return __atomic_load_n(&lines[line % LINES_MOST].low, __ATOMIC_ACQUIRE);
}

uint32_t shared_line_read(uint32_t line, bool high)
{
    return high ? __atomic_load_n(&lines[line % LINES_MOST].high, __ATOMIC_RELAXED) : low_of(line);
}

static void route(const struct layout_partition *config, uint32_t line, uint32_t target, uint32_t low, bool masked)
{
    const struct layout_cpu *slot = &layout.cpus[config->vcpus[target].cpu];

    ioapic_route(line, slot->apic_id, (low & IOAPIC_PIN) | (POOL_LINES + line) | (masked ? IOAPIC_MASKED : 0));
}

void shared_line_write(const struct layout_partition *config, uint32_t line, uint32_t target, uint32_t low)
{
    __atomic_store_n(&lines[line % LINES_MOST].held, 0u, __ATOMIC_RELAXED);
    __atomic_store_n(&lines[line % LINES_MOST].low, low, __ATOMIC_RELEASE);
    route(config, line, target, low, (low & IOAPIC_MASKED) != 0);
}

void shared_line_aim(uint32_t line, uint32_t high)
{
    __atomic_fetch_or(&lines[line % LINES_MOST].low, IOAPIC_MASKED, __ATOMIC_RELEASE);
    __atomic_store_n(&lines[line % LINES_MOST].high, high, __ATOMIC_RELAXED);
    ioapic_route(line, 0, IOAPIC_MASKED);
}

static const struct layout_partition *owner_of(uint32_t line)
{
    for (uint32_t i = 0; i < layout.partition_count; i++) {
        if ((layout.partitions[i].pc.lines >> line & 1u) != 0 && is_pooled(&layout.partitions[i])) {
            return &layout.partitions[i];
        }
    }
    return NULL;
}

/* A level stays until the guest has looked after its device: meanwhile, or if nobody wants it, the line is masked. */
void shared_line_raise(uint32_t line)
{
    const struct layout_partition *config = owner_of(line);
    uint32_t low = low_of(line), target = UINT32_MAX;

    if (config != NULL && (low & IOAPIC_MASKED) == 0) {
        target = ioapic_target(config, shared_line_read(line, true) >> 24, (low & IOAPIC_LOGICAL) != 0);
    }
    if (target == UINT32_MAX) {
        ioapic_route(line, 0, IOAPIC_MASKED);
        return;
    }
    if ((low & IOAPIC_LEVEL) != 0) {
        route(config, line, target, low, true);
        __atomic_store_n(&lines[line % LINES_MOST].held, 1u, __ATOMIC_RELEASE);
    }
    pool_request(cpu_at(config->vcpus[target].cpu), low & VECTOR_BITS, (low & IOAPIC_LEVEL) != 0);
}

void shared_line_end(const struct layout_partition *config, uint32_t vector)
{
    for (uint32_t line = 0; line < layout.pc.ioapic_lines; line++) {
        uint32_t low = low_of(line), target;

        if ((config->pc.lines >> line & 1u) == 0 || (low & VECTOR_BITS) != vector ||
            __atomic_exchange_n(&lines[line % LINES_MOST].held, 0u, __ATOMIC_ACQ_REL) == 0) {
            continue;
        }
        target = ioapic_target(config, shared_line_read(line, true) >> 24, (low & IOAPIC_LOGICAL) != 0);
        if ((low & IOAPIC_MASKED) == 0 && target != UINT32_MAX) {
            route(config, line, target, low, false);
        }
    }
}
