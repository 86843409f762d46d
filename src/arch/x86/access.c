/* SPDX-License-Identifier: Apache-2.0 */
/* Accesses of a guest that the tables do not let through: memory and I/O ports. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/fault.h>
#include <hv/vuart.h>
#include <hv/watchdog.h>

#include "exits.h"
#include "insn.h"
#include "ioapic.h"
#include "pci.h"
#include "vmm.h"
#include "x86.h"

#define PORT_RESET         0xcf9u  /* FADT RESET_REG: 6 restarts the partition */
#define PORT_SLEEP_CONTROL 0x600u  /* ACPI 6.5 4.8.3.7: SLP_EN bit 5, SLP_TYP bits 4:2 */
#define PORT_SLEEP_STATUS  0x601u
#define RESET_BITS         0x6u
#define SLEEP_ENABLE       0x20u
#define SLEEP_TYPE_S5      5u
#define VUART_PORTS        8u

void exit_fault(struct cpu *cpu, const char *what, uint64_t syndrome)
{
    struct fault fault = { .what = what, .pc = vmm_rip(cpu), .syndrome = syndrome };

    fault_report(&cpu->vcpu, &fault);
}

/* ---------------------------------------------------------------- memory */

static uint32_t memory_fault(struct cpu *cpu, ipa_t address, uint64_t error)
{
    struct fault fault = { .has_address = true, .address = address, .pc = vmm_rip(cpu), .syndrome = error };

    fault.what = (error & ACCESS_FETCH) != 0 ? "instruction fetch from" :
                 (error & ACCESS_WRITE) != 0 ? "write to" : "read of";
    fault_report(&cpu->vcpu, &fault);
    return 0;
}

static bool has_ioapic(const struct layout_partition *config)
{
    return config->pc.lines != 0 || config->vuart.intid != 0 || (HV_CHANNELS && config->pc.bells != 0);
}

/* The doorbell whose page an address is in, or NULL. */
static const struct layout_doorbell *doorbell_at(const struct layout_partition *config, ipa_t address)
{
    for (uint32_t i = 0; HV_CHANNELS && i < config->doorbell_count; i++) {
        if (address.raw - config->doorbells[i].page.raw < HV_PAGE_SIZE) {
            return &config->doorbells[i];
        }
    }
    return NULL;
}

/*
 * Loads give 0, stores ring. A process that has been given the page must not be able to bring down its operating
 * system: what is no 32-bit MOV is a general protection fault of its own.
 */
static uint32_t doorbell_access(struct cpu *cpu, const struct layout_doorbell *bell, uint64_t error)
{
    uint8_t bytes[INSN_MAX];
    struct insn insn;
    bool code64;
    uint32_t count = insn_fetch(cpu, bytes, &code64);

    if (!insn_decode(bytes, count, code64, &insn) || insn.store != ((error & ACCESS_WRITE) != 0)) {
        vmm_inject(cpu, VECTOR_GP, 0);
        return 0;
    }
    if (!insn.store) {
        vmm_set_reg(cpu, insn.reg, 0);
        return insn.length;
    }
    for (uint32_t i = 0; i < bell->intid_count; i++) {
        ioapic_ring(&layout.partitions[bell->intids[i] >> 16], bell->intids[i] & 0xffffu);
    }
    return insn.length;
}

uint32_t memory_access(struct cpu *cpu, ipa_t address, uint64_t error)
{
    const struct layout_partition *config = cpu->vcpu.config;
    uint64_t offset = address.raw - layout.pc.ioapic.raw;
    const struct layout_doorbell *bell = doorbell_at(config, address);
    uint8_t bytes[INSN_MAX];
    struct insn insn;
    uint32_t count;
    bool code64;

    if (bell != NULL && (error & ACCESS_FETCH) == 0) {
        return doorbell_access(cpu, bell, error);
    }
    if (offset >= HV_PAGE_SIZE || !has_ioapic(config) || (error & ACCESS_FETCH) != 0) {
        return memory_fault(cpu, address, error);
    }
    count = insn_fetch(cpu, bytes, &code64);
    if (!insn_decode(bytes, count, code64, &insn) || insn.store != ((error & ACCESS_WRITE) != 0)) {
        exit_fault(cpu, "the I/O APIC's registers take 32-bit MOV only; something else", error);
        return 0;
    }
    if (insn.store) {
        ioapic_write(config, offset, insn.immediate ? insn.value : (uint32_t)vmm_reg(cpu, insn.reg));
    } else {
        vmm_set_reg(cpu, insn.reg, ioapic_read(config, offset));
    }
    return insn.length;
}

/* ---------------------------------------------------------------- ports */

/* Of each partition, since its start: a foreign port has been named on the console; atomic. */
static uint32_t port_reported[LAYOUT_MAX_PARTITIONS];

void ports_reset(const struct layout_partition *config)
{
    __atomic_store_n(&port_reported[partition_index(config)], 0u, __ATOMIC_RELAXED);
}

/* The first port that belongs to somebody else is named, once a start; it stays without effect. */
static void report_port(const struct layout_partition *config, uint16_t port)
{
    uint32_t *reported = &port_reported[partition_index(config)];
    uint64_t address = LAYOUT_PORTS + port;

    if (__atomic_load_n(reported, __ATOMIC_RELAXED) != 0) {
        return;
    }
    for (uint32_t i = 0; i < layout.device_count; i++) {
        const struct layout_device *device = &layout.devices[i];

        if (address - device->base.raw < device->size && __atomic_exchange_n(reported, 1u, __ATOMIC_RELAXED) == 0) {
            print("%s: port 0x%lx is %s, which it does not own: reads give ones, writes nothing\n", config->name,
                  (uint64_t)port, device->name);
        }
    }
}

static bool is_watchdog(const struct layout_partition *config, uint16_t port)
{
    return HV_WATCHDOG && config->watchdog_ns != 0 && port - config->watchdog.raw < WATCHDOG_PORTS;
}

static uint32_t port_in(struct cpu *cpu, uint16_t port, uint32_t size)
{
    const struct layout_partition *config = cpu->vcpu.config;
    const struct layout_vuart *vuart = &config->vuart;
    uint32_t value;
    uint64_t count;

    if (vuart->intid != 0 && port - vuart->base.raw < VUART_PORTS && size == 1u) {
        return (uint32_t)vuart_read(partition_index(config), port - vuart->base.raw);
    }
    if (is_watchdog(config, port)) {
        return watchdog_read(config, port - config->watchdog.raw, size, &count) ? (uint32_t)count : UINT32_MAX;
    }
    if (port == PORT_RESET || port == PORT_SLEEP_CONTROL || port == PORT_SLEEP_STATUS) {
        return 0;
    }
    if (HV_PCI && pci_in(config, port, size, &value)) {
        return value;
    }
    report_port(config, port);
    return UINT32_MAX;
}

static void port_out(struct cpu *cpu, uint16_t port, uint32_t size, uint32_t value)
{
    const struct layout_partition *config = cpu->vcpu.config;

    if (config->vuart.intid != 0 && port - config->vuart.base.raw < VUART_PORTS && size == 1u) {
        vuart_write(partition_index(config), port - config->vuart.base.raw, value);
    } else if (is_watchdog(config, port)) {
        (void)watchdog_write(config, port - config->watchdog.raw, size, value);
    } else if (port == PORT_RESET) {
        if ((value & RESET_BITS) == RESET_BITS) {
            partition_request(config, REQUEST_RESTART);
        }
    } else if (port == PORT_SLEEP_CONTROL) {
        if ((value & SLEEP_ENABLE) != 0 && (value >> 2 & 7u) == SLEEP_TYPE_S5) {
            partition_request(config, REQUEST_OFF);
        }
    } else if (port != PORT_SLEEP_STATUS && !(HV_PCI && pci_out(config, port, size, value))) {
        report_port(cpu->vcpu.config, port);
    }
}

bool port_access(struct cpu *cpu, uint16_t port, uint32_t size, bool in, bool string)
{
    uint64_t mask = size == 4u ? UINT32_MAX : (UINT64_C(1) << 8u * size) - 1u;
    uint64_t rax = vmm_reg(cpu, RAX);

    if (string) {
        exit_fault(cpu, "string instruction on an I/O port that the hypervisor answers", port);
        return false;
    }
    if (in) {
        uint64_t value = port_in(cpu, port, size) & mask;

        vmm_set_reg(cpu, RAX, size == 4u ? value : (rax & ~mask) | value);
    } else {
        port_out(cpu, port, size, (uint32_t)(rax & mask));
    }
    return true;
}
