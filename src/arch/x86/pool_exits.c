/* SPDX-License-Identifier: Apache-2.0 */
/* Exits that only a vcpu of a pool makes, or that it makes otherwise: its own local APIC, its own topology. */
#include <hv/arch.h>

#include "exits.h"
#include "ioapic.h"
#include "pool.h"
#include "vendor.h"
#include "vmm.h"
#include "x86.h"

#define MSR_LENGTH  2u
#define REG_EOI     MSR_X2APIC_EOI
#define REG_TPR     (MSR_X2APIC + 0x08u)
#define REG_ICR     MSR_X2APIC_ICR

/* CPUID (SDM 2A; APM 3, appendix E). */
#define DEADLINE    (UINT64_C(1) << 24)  /* leaf 1, ecx */
#define XFD         (UINT64_C(1) << 4)   /* leaf 0xd subleaf 1, eax */
#define LEVEL_SMT   (UINT64_C(1) << 8)   /* leaf 0xb, ecx */
#define LEVEL_CORE  (UINT64_C(2) << 8)
#define SHARING     UINT64_C(0xffffc000) /* leaf 4, eax: how many share a cache, cores of the package */
#define CACHE_SHARING  UINT64_C(0x3ffc000)  /* leaf 0x8000001d, eax */

/* Bits that number `count` vcpus. */
static uint32_t width_of(uint32_t count)
{
    return count <= 1u ? 0 : 32u - (uint32_t)__builtin_clz(count - 1u);
}

/* One package of single cores: its threads are vcpus, whatever the physical cores are. */
static void topology(struct cpu *cpu, uint32_t subleaf)
{
    uint32_t count = cpu->vcpu.config->vcpu_count;
    uint64_t *rax = vmm_rax(cpu);

    *rax = subleaf == 1u ? width_of(count) : 0;
    cpu->reg[RBX] = subleaf == 0 ? 1u : subleaf == 1u ? count : 0;
    cpu->reg[RCX] = (subleaf & 0xffu) | (subleaf == 0 ? LEVEL_SMT : subleaf == 1u ? LEVEL_CORE : 0);
    cpu->reg[RDX] = cpu->vcpu.index;
}

void pool_cpuid(struct cpu *cpu)
{
    uint64_t *rax = vmm_rax(cpu), index = cpu->vcpu.index, count = cpu->vcpu.config->vcpu_count;
    uint32_t leaf = (uint32_t)*rax, subleaf = (uint32_t)cpu->reg[RCX];

    exit_cpuid(cpu);
    switch (leaf) {
    case 1:
        cpu->reg[RBX] = (cpu->reg[RBX] & 0xffffu) | count << 16 | index << 24;
        cpu->reg[RCX] |= DEADLINE;
        break;
    case 4:
        *rax &= ~SHARING;
        break;
    case 0xb:
        topology(cpu, subleaf);
        break;
    case 0xd:
        if (subleaf == 0) {
            *rax &= POOL_XCR0;
            cpu->reg[RDX] = 0;
        } else if (subleaf == 1u) {
            *rax &= ~XFD;
        } else if (subleaf < 64u && (POOL_XCR0 >> subleaf & 1u) == 0) {
            *rax = cpu->reg[RBX] = cpu->reg[RCX] = cpu->reg[RDX] = 0;
        }
        break;
    case 0x1f:
        *rax = cpu->reg[RBX] = cpu->reg[RCX] = cpu->reg[RDX] = 0;
        break;
    case 0x80000008u:
        cpu->reg[RCX] = (count - 1u) | (uint64_t)width_of((uint32_t)count) << 12;
        break;
    case 0x8000001du:
        *rax &= ~CACHE_SHARING;
        break;
    case 0x8000001eu:
        *rax = index;
        cpu->reg[RBX] = index;
        cpu->reg[RCX] = 0;
        break;
    default:
        break;
    }
}

/* ---------------------------------------------------------------- the local APIC */

static bool apic_write(struct cpu *cpu, uint32_t msr, uint64_t value)
{
    struct vapic *vapic = &cpu->shared->vapic;
    uint32_t ended;

    switch (msr) {
    case REG_EOI:
        ended = value == 0 ? vapic_end(vapic) : 0;
        if (ended != 0) {
            shared_line_end(cpu->vcpu.config, ended);
        }
        return value == 0;
    case REG_ICR:
        vapic->command = value;
        return icr_write(cpu, value);
    default:
        if (!vapic_write(vapic, msr, arch_counter(), value)) {
            return false;
        }
        if (msr == REG_TPR) {
            vmm_set_priority(cpu, vapic->priority);
        }
        return true;
    }
}

void pool_msr(struct cpu *cpu, bool write)
{
    uint64_t *rax = vmm_rax(cpu), value = cpu->reg[RDX] << 32 | (uint32_t)*rax;
    uint32_t msr = (uint32_t)cpu->reg[RCX];

    if ((msr & ~0xffu) != MSR_X2APIC && msr != MSR_TSC_DEADLINE) {
        exit_msr(cpu, write);
        return;
    }
    if (write ? !apic_write(cpu, msr, value) : !vapic_read(&cpu->shared->vapic, msr, arch_counter(), &value)) {
        vmm_inject(cpu, VECTOR_GP, 0);
        return;
    }
    if (!write) {
        *rax = (uint32_t)value;
        cpu->reg[RDX] = value >> 32;
    }
    vmm_skip(cpu, MSR_LENGTH);
}

/* CR8 holds the upper half of the task's priority (SDM 3 11.8.6). False: #GP(0). */
bool pool_priority(struct cpu *cpu, uint64_t value)
{
    if (value > 15u) {
        return false;
    }
    cpu->shared->vapic.priority = (uint32_t)value << 4;
    vmm_set_priority(cpu, (uint32_t)value << 4);
    return true;
}

bool pool_xcr0(uint64_t value)
{
    return (value & ~POOL_XCR0) == 0 && xcr0_valid(value);
}
