/* SPDX-License-Identifier: Apache-2.0 */
/* PSCI 1.1 for partitions: each sees its own vcpus only; off and reset act on the partition. */
#include <hv/arch.h>
#include <hv/monitor.h>
#include <hv/partition.h>

#include "direct.h"
#include "pool.h"
#include "psci.h"
#include "sysreg.h"
#include "vgic.h"

#define AFFINITY_ON          UINT64_C(0)
#define AFFINITY_OFF         UINT64_C(1)
#define AFFINITY_ON_PENDING  UINT64_C(2)
#define NO_TRUSTED_OS        UINT64_C(2)

uint64_t firmware_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;

    if (layout.conduit != LAYOUT_CONDUIT_SMC) {
        return PSCI_NOT_SUPPORTED;
    }
    __asm__ volatile("smc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                     :
                     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16",
                       "x17", "memory");
    return x0;
}

/* The vcpu of the partition with this affinity, or NULL. */
static struct vcpu *find_vcpu(const struct cpu *cpu, uint64_t affinity)
{
    const struct layout_partition *config = cpu->vcpu.config;

    for (uint32_t i = 0; i < config->vcpu_count; i++) {
        if ((config->vcpus[i].vmpidr & MPIDR_AFFINITY) == affinity) {
            return arch_vcpu(config->vcpus[i].cpu);
        }
    }
    return NULL;
}

static uint64_t cpu_on(struct cpu *cpu, uint64_t affinity, uint64_t entry, uint64_t context)
{
    struct vcpu *target = find_vcpu(cpu, affinity);

    if (target == NULL) {
        return PSCI_INVALID_PARAMETERS;
    }
    if ((entry & 3u) != 0 || !partition_owns_ram(cpu->vcpu.config, (ipa_t){ entry }, 4)) {
        return PSCI_INVALID_ADDRESS;
    }
    if (vcpu_start(target, entry, context)) {
        return PSCI_SUCCESS;
    }
    return __atomic_load_n(&target->run, __ATOMIC_ACQUIRE) == VCPU_ON ? PSCI_ALREADY_ON : PSCI_ON_PENDING;
}

static uint64_t affinity_info(const struct cpu *cpu, uint64_t affinity, uint64_t level)
{
    const struct vcpu *target = find_vcpu(cpu, affinity);

    if (target == NULL || level != 0) {
        return PSCI_INVALID_PARAMETERS;
    }
    switch (__atomic_load_n(&target->run, __ATOMIC_ACQUIRE)) {
    case VCPU_ON:   return AFFINITY_ON;
    case VCPU_OFF:  return AFFINITY_OFF;
    default:        return AFFINITY_ON_PENDING;
    }
}

/* Functions 0x84000000 + n that are there, and those of them with a 64-bit form. */
#define FUNCTION(name)  (1u << ((name) - PSCI_VERSION))
#define FUNCTIONS_64    (FUNCTION(PSCI_CPU_SUSPEND) | FUNCTION(PSCI_CPU_ON) | FUNCTION(PSCI_AFFINITY_INFO))
#define FUNCTIONS_32                                                                                      \
    (FUNCTIONS_64 | FUNCTION(PSCI_VERSION) | FUNCTION(PSCI_CPU_OFF) | FUNCTION(PSCI_MIGRATE_TYPE) |       \
     FUNCTION(PSCI_SYSTEM_OFF) | FUNCTION(PSCI_SYSTEM_RESET) | FUNCTION(PSCI_FEATURES))

static uint64_t features(uint32_t function)
{
    uint32_t number = (function & ~SMC64) - PSCI_VERSION;
    uint32_t functions = (function & SMC64) != 0 ? FUNCTIONS_64 : FUNCTIONS_32;

    return (number < 32u && (functions >> number & 1u) != 0) || function == SMCCC_VERSION ? PSCI_SUCCESS
                                                                                           : PSCI_NOT_SUPPORTED;
}

static void system_call(struct cpu *cpu, enum partition_request request)
{
    partition_request(cpu->vcpu.config, request);
    vcpu_wait(&cpu->vcpu);
}

/* Whose calls of SMCCC's range for hypervisors these are: 2ec5b9b4-6d0e-4f4c-9ac0-7d5b1f6a8e13. */
static inline void hypervisor_uid(uint64_t *x)
{
    x[0] = 0x2ec5b9b4u;
    x[1] = 0x4f4c6d0eu;
    x[2] = 0x5b7dc09au;
    x[3] = 0x138e6a1fu;
}

static inline void call_monitor(struct cpu *cpu, uint64_t function)
{
    struct monitor_answer answer = { { 0 } };

    cpu->x[0] = monitor_call(&cpu->vcpu, function, cpu->x[1], &answer);
    if (cpu->x[0] == MONITOR_SUCCESS) {
        for (uint32_t i = 0; i < ARRAY_COUNT(answer.value); i++) {
            cpu->x[1u + i] = answer.value[i];
        }
    }
}

void psci_call(struct cpu *cpu)
{
    uint64_t *x = cpu->x;
    uint32_t function = (uint32_t)x[0];
    bool wide = (function & SMC64) != 0;
    uint64_t affinity = wide ? x[1] : (uint32_t)x[1];
    uint64_t second = wide ? x[2] : (uint32_t)x[2];
    uint64_t third = wide ? x[3] : (uint32_t)x[3];

    switch (function) {
    case PSCI_CPU_ON:
    case PSCI_CPU_ON | SMC64:
        x[0] = cpu_on(cpu, affinity, second, third);
        break;
    case PSCI_CPU_OFF:
        __atomic_store_n(&cpu->vcpu.run, VCPU_OFF, __ATOMIC_RELEASE);
        vcpu_wait(&cpu->vcpu);
        break;
    case PSCI_CPU_SUSPEND:
    case PSCI_CPU_SUSPEND | SMC64:
        if (HV_POOLS && cpu->pooled) {
            pool_wfi(cpu);
        } else if (HV_HEALTH && cpu->direct) {
            direct_wait(cpu);
        } else if (vgic_idle(cpu)) {
            wfi();  /* power-down states are taken as standby, which 5.4 allows */
        }
        x[0] = PSCI_SUCCESS;
        break;
    case PSCI_AFFINITY_INFO:
    case PSCI_AFFINITY_INFO | SMC64:
        x[0] = affinity_info(cpu, affinity, second);
        break;
    case PSCI_MIGRATE_TYPE:
        x[0] = NO_TRUSTED_OS;
        break;
    case PSCI_SYSTEM_OFF:
        system_call(cpu, REQUEST_OFF);
        break;
    case PSCI_SYSTEM_RESET:
        system_call(cpu, REQUEST_RESTART);
        break;
    case PSCI_FEATURES:
        x[0] = features((uint32_t)x[1]);
        break;
    case SMCCC_ARCH_FEATURES:
        x[0] = (uint32_t)x[1] == SMCCC_ARCH_FEATURES || (uint32_t)x[1] == SMCCC_VERSION ? PSCI_SUCCESS
                                                                                         : PSCI_NOT_SUPPORTED;
        break;
    default:
        if (HV_MONITOR && function == HYPERVISOR_UID) {
            hypervisor_uid(x);
        } else if (HV_MONITOR && (function & 0xffff0000u) == MONITOR_CALLS) {
            call_monitor(cpu, function & 0xffffu);
        } else {
            x[0] = PSCI_NOT_SUPPORTED;
        }
        break;
    }
}
