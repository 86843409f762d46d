/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest's exception means, and who answers, off the hot paths of exits.c. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/fault.h>
#include <hv/vuart.h>
#include <hv/watchdog.h>

#include "direct.h"
#include "doorbell.h"
#include "gic.h"
#include "pool.h"
#include "psci.h"
#include "sysreg.h"
#include "traps.h"
#include "vgic.h"

static void skip_instruction(uint64_t esr)
{
    sysreg_write(elr_el2, sysreg_read(elr_el2) + ((esr & ESR_IL) != 0 ? 4u : 2u));
}

static void guest_fault(struct cpu *cpu, const struct fault *fault)
{
    fault_report(&cpu->vcpu, fault);
    vcpu_wait(&cpu->vcpu);
}

static void plain_fault(struct cpu *cpu, const char *what, uint64_t esr)
{
    struct fault fault = { .what = what, .pc = sysreg_read(elr_el2), .syndrome = esr };

    guest_fault(cpu, &fault);
}

void trap_fiq(struct cpu *cpu)
{
    plain_fault(cpu, "raised a group 0 interrupt, which nobody owns", 0);
}

void trap_serror(struct cpu *cpu, uint64_t esr)
{
    plain_fault(cpu, "caused an SError (an access that the bus refused)", esr);
}

/* An instruction that this machine does not offer to guests: as on a machine that does not have it. */
static void inject_undefined(void)
{
    uint64_t spsr = sysreg_read(spsr_el2);
    uint64_t mode = spsr & 0x1fu;
    uint64_t offset = (mode & 0x10u) != 0 ? 0x600u : mode == 5u ? 0x200u : mode == 4u ? 0x000u : 0x400u;

    sysreg_write(spsr_el1, spsr);
    sysreg_write(elr_el1, sysreg_read(elr_el2));
    sysreg_write(esr_el1, ESR_IL);
    sysreg_write(elr_el2, sysreg_read(vbar_el1) + offset);
    sysreg_write(spsr_el2, SPSR_EL1H_MASKED);
}

/* ---- system registers: those of the GIC's CPU interface that are not left to the guest ---- */

#define SYSREG_ISS(op0, op1, crn, crm, op2) \
    ((op0) << 20 | (op2) << 17 | (op1) << 14 | (crn) << 10 | (crm) << 1)
#define ISS_SYSREG_MASK  0x3ffc1eu
#define ISS_ACTLR        SYSREG_ISS(3u, 0u, 1u, 0u, 1u)
#define ISS_PMR          SYSREG_ISS(3u, 0u, 4u, 6u, 0u)
#define ISS_DIR          SYSREG_ISS(3u, 0u, 12u, 11u, 1u)
#define ISS_RPR          SYSREG_ISS(3u, 0u, 12u, 11u, 3u)
#define ISS_SGI1R        SYSREG_ISS(3u, 0u, 12u, 11u, 5u)
#define ISS_ASGI1R       SYSREG_ISS(3u, 0u, 12u, 11u, 6u)
#define ISS_SGI0R        SYSREG_ISS(3u, 0u, 12u, 11u, 7u)
#define ISS_CTLR         SYSREG_ISS(3u, 0u, 12u, 12u, 4u)

static bool owns_interrupt(const struct layout_partition *config, uint64_t intid)
{
    if (intid < 32u) {
        return ((config->ppi_mask | 0xffffu) >> intid & 1u) != 0;
    }
    return intid < GIC_SPURIOUS && (config->spi[intid / 32u] >> (intid % 32u) & 1u) != 0;
}

static bool sysreg_guest_write(struct cpu *cpu, uint64_t iss, uint64_t value)
{
    switch (iss & ISS_SYSREG_MASK) {
    case ISS_SGI1R:
    case ISS_ASGI1R:
    case ISS_SGI0R:
        vgic_write_sgi1r(cpu, value);
        return true;
    case ISS_PMR:
        sysreg_write(ICC_PMR_EL1, value);
        return true;
    case ISS_CTLR:
        sysreg_write(ICC_CTLR_EL1, value);
        return true;
    case ISS_ACTLR:  /* controls of the core itself, some of them shared: as if there were none */
        return true;
    case ISS_DIR:
        if (owns_interrupt(cpu->vcpu.config, value & 0xffffffu)) {
            sysreg_write(ICC_DIR_EL1, value);
        }
        return true;
    default:
        return false;
    }
}

/* Registers of the debugger and of the PMU, which the vcpus of a pool do not have: they read 0. */
static bool is_debug(const struct cpu *cpu, uint64_t iss)
{
    uint64_t op0 = iss >> 20 & 3u, crn = iss >> 10 & 0xfu;

    return HV_POOLS && cpu->pooled && (op0 == 2 || crn == 9 || crn == 14);
}

static bool sysreg_guest_read(uint64_t iss, uint64_t *value)
{
    switch (iss & ISS_SYSREG_MASK) {
    case ISS_ACTLR:
        return true;
    case ISS_PMR:
        *value = sysreg_read(ICC_PMR_EL1);
        return true;
    case ISS_CTLR:
        *value = sysreg_read(ICC_CTLR_EL1);
        return true;
    case ISS_RPR:
        *value = sysreg_read(ICC_RPR_EL1);
        return true;
    default:
        return false;
    }
}

static void trap_sysreg(struct cpu *cpu, uint64_t esr)
{
    uint32_t reg = (uint32_t)bits(esr, 9, 5);
    bool read = (esr & 1u) != 0;
    uint64_t value = read || reg == 31 ? 0 : cpu->x[reg];

    if (!(read ? sysreg_guest_read(esr, &value) : sysreg_guest_write(cpu, esr, value)) && !is_debug(cpu, esr)) {
        inject_undefined();
        return;
    }
    if (read && reg != 31) {
        cpu->x[reg] = value;
    }
    skip_instruction(esr);
}

/* ---- memory: the emulated registers, and everything that nobody gave the guest ---- */

struct access {
    uint64_t ipa;
    uint32_t size;    /* bytes: 1, 2, 4, 8 */
    bool     write;
    uint64_t value;
};

static bool access_emulated(struct cpu *cpu, struct access *access)
{
    const struct layout_partition *config = cpu->vcpu.config;
    uint64_t offset = access->ipa - layout.gic.dist.raw;

    if (offset < 0x10000u) {
        return access->write ? vgic_dist_write(cpu, offset, access->size, access->value)
                             : vgic_dist_read(cpu, offset, access->size, &access->value);
    }
    offset = access->ipa - config->vuart.base.raw;
    if (offset < HV_PAGE_SIZE && config->vuart.intid != 0) {
        uint32_t partition = partition_index(config);

        if (access->write) {
            vuart_write(partition, offset, access->value);
        } else {
            access->value = vuart_read(partition, offset);
        }
        return true;
    }
    offset = access->ipa - config->watchdog.raw;
    if (HV_WATCHDOG && offset < WATCHDOG_SIZE && config->watchdog_intid != 0) {
        return access->write ? watchdog_write(config, offset, access->size, access->value)
                             : watchdog_read(config, offset, access->size, &access->value);
    }
    offset = access->ipa - layout.gic.redist[0].raw;
    if (offset < (uint64_t)config->vcpu_count * layout.gic.redist_stride) {
        return access->write ? vgic_redist_write(cpu, offset, access->size, access->value)
                             : vgic_redist_read(cpu, offset, access->size, &access->value);
    }
    return false;
}

static uint64_t sign_extend(uint64_t value, uint32_t size, bool wide)
{
    uint32_t shift = 64u - 8u * size;
    uint64_t extended = (uint64_t)((int64_t)(value << shift) >> shift);

    return wide ? extended : (uint32_t)extended;
}

static void memory_fault(struct cpu *cpu, uint64_t esr, const struct access *access, const char *what)
{
    struct fault fault = {
        .what = what,
        .has_address = true,
        .address = { access->ipa },
        .size = (esr & ISS_ISV) != 0 ? access->size : 0,
        .has_value = (esr & ISS_ISV) != 0 && access->write,
        .value = access->value,
        .pc = sysreg_read(elr_el2),
        .syndrome = esr,
    };

    guest_fault(cpu, &fault);
}

static bool is_emulated(const struct cpu *cpu, uint64_t ipa)
{
    const struct layout_partition *config = cpu->vcpu.config;

    return ipa - layout.gic.dist.raw < 0x10000u ||
           (HV_WATCHDOG && config->watchdog_intid != 0 && ipa - config->watchdog.raw < WATCHDOG_SIZE) ||
           (config->vuart.intid != 0 && ipa - config->vuart.base.raw < HV_PAGE_SIZE) ||
           ipa - layout.gic.redist[0].raw < (uint64_t)config->vcpu_count * layout.gic.redist_stride;
}

/* The fault in words: what the guest did. */
static const char *data_fault_text(const struct cpu *cpu, uint64_t esr, uint64_t ipa)
{
    if ((esr & ISS_S1PTW) != 0) {
        return "its page tables lie at";
    }
    if ((esr & ISS_ISV) == 0 && is_emulated(cpu, ipa)) {
        return "a pair, vector, exclusive or write-back instruction on the emulated register";
    }
    return (esr & ISS_WNR) != 0 ? "write to" : "read of";
}

/* Every data abort that is not a plain access to the distributor. */
void data_abort(struct cpu *cpu, uint64_t esr)
{
    uint32_t reg = (uint32_t)bits(esr, 20, 16);
    struct access access = {
        .ipa = fault_ipa(esr),
        .size = 1u << bits(esr, 23, 22),
        .write = (esr & ISS_WNR) != 0,
        .value = reg == 31 ? 0 : cpu->x[reg],
    };

    if (vcpu_must_halt(&cpu->vcpu)) {
        vcpu_wait(&cpu->vcpu);
        return;
    }
    if (HV_CHANNELS && doorbell_access(cpu, esr)) {  /* with a register that the short path has not saved */
        return;
    }
    if ((esr & (ISS_ISV | ISS_S1PTW)) != ISS_ISV || (access.ipa & (access.size - 1u)) != 0 ||
        !access_emulated(cpu, &access)) {
        memory_fault(cpu, esr, &access, data_fault_text(cpu, esr, access.ipa));
        return;
    }
    if (!access.write && reg != 31) {
        cpu->x[reg] = (esr & ISS_SSE) != 0 ? sign_extend(access.value, access.size, (esr & ISS_SF) != 0)
                                           : access.value & UINT64_MAX >> (64u - 8u * access.size);
    }
    skip_instruction(esr);
}

static void trap_instruction_abort(struct cpu *cpu, uint64_t esr)
{
    struct access access = { .ipa = fault_ipa(esr) };
    const char *what = (esr & ISS_S1PTW) != 0 ? "its page tables lie at" : "instruction fetch from";

    if (vcpu_must_halt(&cpu->vcpu)) {
        vcpu_wait(&cpu->vcpu);
        return;
    }
    memory_fault(cpu, esr & ~ISS_ISV, &access, what);
}

void trap_slow(struct cpu *cpu, uint64_t esr)
{
    switch (ESR_EC(esr)) {
    case EC_DATA_ABORT_LOW:
        data_abort(cpu, esr);
        break;
    case EC_SYSREG:
        trap_sysreg(cpu, esr);
        break;
    case EC_INST_ABORT_LOW:
        trap_instruction_abort(cpu, esr);
        break;
    case EC_SERROR:
        trap_serror(cpu, esr);
        break;
    default:
        inject_undefined();
        break;
    }
}

/* An exception in the hypervisor itself, on the emergency stack. */
void trap_own(uint64_t vector, uint64_t esr, uint64_t elr, uint64_t far)
{
    panic("the hypervisor itself took exception %lu: pc 0x%lx, syndrome 0x%lx, address 0x%lx", vector, elr,
          esr, far);
}
