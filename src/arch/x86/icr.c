/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts between cores (SDM 3 11.6.1, 11.12.9). A vcpu reaches the cores of its own partition only;
 * fixed interrupts go out as they are, NMI, INIT and start-up are carried out by the target's hypervisor.
 */
#include <hv/arch.h>

#include "apic.h"
#include "exits.h"
#include "pool.h"
#include "x86.h"

#define BROADCAST   UINT32_MAX
#define LOGICAL     (1u << 11)
#define LEVEL       (1u << 15)
#define RESERVED    0xfff32000u   /* of the low word; bit 12, delivery status, is ignored */
#define INIT_LIMIT_NS  UINT64_C(10000000)
#define INIT_WAIT      UINT64_C(100000)  /* counts that a vcpu of a pool leaves its core to the target */

enum shorthand { SHORT_NONE = 0, SHORT_SELF, SHORT_ALL, SHORT_OTHERS };

/* Set of vcpus that a destination names, one bit each. False: it names others too, or nobody. */
static bool targets_of(const struct layout_partition *config, uint32_t destination, bool logical, uint64_t *set)
{
    uint32_t left = destination & 0xffffu;

    *set = 0;
    for (uint32_t i = 0; i < config->vcpu_count; i++) {
        uint64_t id = config->vcpus[i].apic_id;

        if (!logical) {
            *set |= id == destination ? UINT64_C(1) << i : 0;
        } else if (destination >> 16 == id >> 4 && (destination >> (id & 15u) & 1u) != 0) {
            *set |= UINT64_C(1) << i;
            left &= ~(1u << (id & 15u));
        }
    }
    return *set != 0 && (!logical || left == 0);
}

/* The target leaves its guest and waits for a start-up message; the sender waits until it does. */
static void send_init(struct cpu *self, struct cpu *target)
{
    uint64_t since = arch_time_ns();

    __atomic_store_n(&target->guest_init, 1u, __ATOMIC_RELEASE);
    if (target == self) {
        arch_kick(self->vcpu.cpu);
        return;
    }
    if (__atomic_load_n(&target->vcpu.run, __ATOMIC_ACQUIRE) != VCPU_ON) {
        __atomic_store_n(&target->guest_init, 0u, __ATOMIC_RELEASE);
        return;
    }
    arch_kick(target->vcpu.cpu);
    while (__atomic_load_n(&target->guest_init, __ATOMIC_ACQUIRE) != 0 && arch_time_ns() - since < INIT_LIMIT_NS &&
           !vcpu_must_halt(&self->vcpu)) {
        if (is_shared(self)) {
            pool_pause(self, arch_counter() + INIT_WAIT);
        } else {
            pause();
        }
    }
}

static void deliver(struct cpu *self, uint32_t vcpu, uint32_t mode, uint32_t vector)
{
    const struct layout_vcpu *core = &self->vcpu.config->vcpus[vcpu];
    struct cpu *target = cpu_at(core->cpu);

    switch (mode) {
    case ICR_NMI:
        __atomic_store_n(&target->guest_nmi, 1u, __ATOMIC_RELEASE);
        arch_kick(core->cpu);
        break;
    case ICR_INIT:
        send_init(self, target);
        break;
    case ICR_STARTUP:
        (void)vcpu_start(&target->vcpu, (uint64_t)vector << 12, START_BY_SIPI);
        break;
    default:
        if (is_shared(target)) {
            pool_request(target, vector, false);
        } else {
            apic_send(core->apic_id, ICR_FIXED, vector);
        }
    }
}

static bool icr_fault(struct cpu *cpu, const char *what, uint64_t value)
{
    exit_fault(cpu, what, value);
    return true;
}

bool icr_write(struct cpu *cpu, uint64_t value)
{
    const struct layout_partition *config = cpu->vcpu.config;
    uint64_t set = UINT64_MAX >> (64u - config->vcpu_count);
    uint32_t low = (uint32_t)value, mode = low >> 8 & 7u, shorthand = low >> 18 & 3u;
    uint32_t destination = (uint32_t)(value >> 32);

    if ((low & RESERVED) != 0) {
        return false;
    }
    if (mode != ICR_FIXED && mode != ICR_LOWEST && mode != ICR_NMI && mode != ICR_INIT && mode != ICR_STARTUP) {
        return icr_fault(cpu, "an interrupt message of a kind that partitions may not send (SMI or reserved)", value);
    }
    if (mode == ICR_INIT && (low & (LEVEL | ICR_ASSERT)) == LEVEL) {
        return true;  /* INIT level de-assert: no effect since the P6 */
    }
    if (shorthand == SHORT_SELF) {
        set = UINT64_C(1) << cpu->vcpu.index;
    } else if (shorthand == SHORT_OTHERS) {
        set &= ~(UINT64_C(1) << cpu->vcpu.index);
    } else if (shorthand == SHORT_NONE && destination != BROADCAST &&
               !targets_of(config, destination, (low & LOGICAL) != 0, &set)) {
        return icr_fault(cpu, "an interrupt message to a core that is not the partition's", value);
    }
    if (mode == ICR_LOWEST) {
        set &= ~set + 1u;  /* any one of them will do */
    }
    for (uint32_t i = 0; i < config->vcpu_count; i++) {
        if ((set >> i & 1u) != 0) {
            deliver(cpu, i, mode, low & 0xffu);
        }
    }
    return true;
}
