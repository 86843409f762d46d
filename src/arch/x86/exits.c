/* SPDX-License-Identifier: Apache-2.0 */
/* The exits that a guest makes all the time: compiled for speed. */
#include <hv/features.h>
#include <hv/monitor.h>

#include "exits.h"
#include "vendor.h"
#include "vmm.h"
#include "x86.h"

#define CPUID_LENGTH      2u
#define MSR_LENGTH        2u
#define HYPERCALL_LENGTH  3u

#define HYPERVISOR_LEAF  0x40000000u
#define EXTENDED_LEAF    0x80000000u
#define LEAF_1_OSXSAVE   (1u << 27)
#define LEAF_7_OSPKE     (1u << 4)

#define HYPERCALL_VERSION  0u
#define VERSION_1_0        UINT64_C(0x00010000)

/* Fixed delivery to one physical destination: vector and level-assert, nothing else (SDM 3 11.6.1). */
#define ICR_PLAIN  0x40ffu

/* The policy's entry, or NULL for a leaf that guests do not have. */
static const struct layout_cpuid *leaf_policy(uint32_t leaf)
{
    const struct layout_pc *pc = &layout.pc;

    if (leaf < pc->cpuid_basic) {
        return &pc->cpuid[leaf];
    }
    if (leaf - EXTENDED_LEAF < pc->cpuid_extended) {
        return &pc->cpuid[pc->cpuid_basic + pc->cpuid_hypervisor + (leaf - EXTENDED_LEAF)];
    }
    if (leaf - HYPERVISOR_LEAF < pc->cpuid_hypervisor) {
        return &pc->cpuid[pc->cpuid_basic + (leaf - HYPERVISOR_LEAF)];
    }
    return NULL;
}

void exit_cpuid(struct cpu *cpu)
{
    uint64_t *rax = vmm_rax(cpu);
    uint32_t leaf = (uint32_t)*rax;
    const struct layout_cpuid *policy = leaf_policy(leaf);
    struct cpuid out;

    vmm_skip(cpu, CPUID_LENGTH);
    if (policy == NULL) {
        *rax = cpu->reg[RBX] = cpu->reg[RCX] = cpu->reg[RDX] = 0;
        return;
    }
    out = cpuid(leaf, (uint32_t)cpu->reg[RCX]);
    *rax = (out.reg[0] & policy->keep[0]) | policy->set[0];
    cpu->reg[RBX] = (out.reg[1] & policy->keep[1]) | policy->set[1];
    cpu->reg[RCX] = (out.reg[2] & policy->keep[2]) | policy->set[2];
    cpu->reg[RDX] = (out.reg[3] & policy->keep[3]) | policy->set[3];
    /* Two bits follow the guest's CR4, not the hypervisor's (SDM 2A, CPUID). */
    if (leaf == 1 && (vmm_cr4(cpu) & CR4_OSXSAVE) != 0) {
        cpu->reg[RCX] |= LEAF_1_OSXSAVE;
    } else if (leaf == 7 && (vmm_cr4(cpu) & CR4_PKE) != 0) {
        cpu->reg[RCX] |= LEAF_7_OSPKE;
    }
}

/* Partition in RCX, answers in RCX, RDX, RSI, RDI, R8. */
static inline void call_monitor(struct cpu *cpu, uint64_t *rax)
{
    static const uint8_t registers[] = { RCX, RDX, RSI, RDI, R8 };
    struct monitor_answer answer = { { 0 } };

    *rax = monitor_call(&cpu->vcpu, *rax & 0xffffu, cpu->reg[RCX], &answer);
    if (*rax == MONITOR_SUCCESS) {
        for (uint32_t i = 0; i < ARRAY_COUNT(registers); i++) {
            cpu->reg[registers[i]] = answer.value[i];
        }
    }
}

void exit_hypercall(struct cpu *cpu)
{
    uint64_t *rax = vmm_rax(cpu);

    vmm_skip(cpu, HYPERCALL_LENGTH);
    if (HV_MONITOR && ((uint32_t)*rax & 0xffff0000u) == MONITOR_CALLS) {
        call_monitor(cpu, rax);
        return;
    }
    *rax = (uint32_t)*rax == HYPERCALL_VERSION ? VERSION_1_0 : UINT64_MAX;
}

/* True if the core with this APIC ID is one of the partition's. */
static bool owns_apic(const struct layout_partition *config, uint32_t id)
{
    return id < 64u * LAYOUT_APIC_WORDS && (config->pc.apic_ids[id / 64u] >> (id % 64u) & 1u) != 0;
}

void exit_msr(struct cpu *cpu, uint32_t write)
{
    uint64_t *rax = vmm_rax(cpu);
    uint32_t msr = (uint32_t)cpu->reg[RCX];
    uint64_t value;
    bool done;

    if (write != 0) {
        value = cpu->reg[RDX] << 32 | (uint32_t)*rax;
        if (msr == MSR_X2APIC_ICR && ((uint32_t)value & ~ICR_PLAIN) == 0 &&
            owns_apic(cpu->vcpu.config, (uint32_t)(value >> 32))) {
            vmm_skip(cpu, MSR_LENGTH);
            wrmsr(MSR_X2APIC_ICR, value);
            return;
        }
        done = msr_write(cpu, msr, value);
    } else {
        done = msr_read(cpu, msr, &value);
        if (done) {
            *rax = (uint32_t)value;
            cpu->reg[RDX] = value >> 32;
        }
    }
    if (done) {
        vmm_skip(cpu, MSR_LENGTH);
    } else {
        vmm_inject(cpu, VECTOR_GP, 0);
    }
}
