/* SPDX-License-Identifier: Apache-2.0 */
/* PCI functions that partitions own; see pci.h. Registers: PCI Local Bus 3.0, 6.1 and 6.2. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/partition.h>
#include <hv/port.h>

#include "pci.h"

#define PORT_ADDRESS  0xcf8u
#define PORT_DATA     0xcfcu
#define PORT_END      0xd00u
#define ENABLE        (1u << 31)

#define REG_ID         0x00u
#define REG_COMMAND    0x04u
#define REG_CLASS      0x08u
#define REG_HEADER     0x0cu
#define REG_BAR        0x10u
#define REG_SUBSYSTEM  0x2cu
#define REG_ROM        0x30u
#define REG_INTERRUPT  0x3cu

#define NO_INTERRUPTS   (1u << 10)   /* of the command register: the one bit that guests change */
#define CAPABILITIES    (1u << 20)   /* of the status above it */
#define HEADER_TYPE     0x00ff0000u
#define MANY_FUNCTIONS  0x00800000u
#define BAR_PORTS       1u
#define PORTS_MOST      0xffffu      /* upper bits of a BAR for ports may read 0 (6.2.5.1) */

/* Configuration addresses as guests have written them, and BARs that show their sizes: one bit each. All atomic. */
static uint32_t selected[LAYOUT_MAX_PARTITIONS];
static uint32_t sizing[LAYOUT_MAX_FUNCTIONS];
static uint32_t pci_lock;  /* address and data are two accesses; held for these */

/* ---------------------------------------------------------------- the physical functions */

static uint32_t access_config(uint32_t address, uint32_t reg, bool write, uint32_t value)
{
    while (__atomic_exchange_n(&pci_lock, 1u, __ATOMIC_ACQUIRE) != 0) {
        __builtin_ia32_pause();
    }
    port_write32(PORT_ADDRESS, ENABLE | address << 8 | reg);
    if (write) {
        port_write32(PORT_DATA, value);
    } else {
        value = port_read32(PORT_DATA);
    }
    __atomic_store_n(&pci_lock, 0u, __ATOMIC_RELEASE);
    return value;
}

static uint32_t read_config(uint32_t address, uint32_t reg)
{
    return access_config(address, reg, false, 0);
}

static void write_config(uint32_t address, uint32_t reg, uint32_t value)
{
    (void)access_config(address, reg, true, value);
}

static void check_bar(const struct layout_function *function, uint32_t bar)
{
    uint32_t wanted = function->sizes[bar], found;
    uint32_t counts = (wanted & BAR_PORTS) != 0 ? PORTS_MOST : UINT32_MAX;

    write_config(function->address, REG_BAR + 4u * bar, UINT32_MAX);
    found = read_config(function->address, REG_BAR + 4u * bar);
    if ((found & counts) != (wanted & counts)) {
        panic("this is not the board of the layout: %s, which %s needs, shows 0x%lx for the size of BAR %u, not 0x%lx",
              function->name, layout.partitions[function->partition].name, (uint64_t)found, bar, (uint64_t)wanted);
    }
}

void pci_init(void)
{
    for (uint32_t i = 0; i < layout.pc.function_count; i++) {
        const struct layout_function *function = &layout.pc.functions[i];
        uint32_t id = read_config(function->address, REG_ID);

        if (id != function->id || (read_config(function->address, REG_HEADER) & HEADER_TYPE & ~MANY_FUNCTIONS) != 0) {
            panic("this is not the board of the layout: %s, which %s needs, has ID 0x%lx here, not 0x%lx, or is a bridge",
                  function->name, layout.partitions[function->partition].name, (uint64_t)id, (uint64_t)function->id);
        }
        write_config(function->address, REG_COMMAND, 0);
        for (uint32_t bar = 0; bar < LAYOUT_BARS; bar++) {
            check_bar(function, bar);
        }
    }
}

void pci_reset(const struct layout_partition *config)
{
    for (uint32_t i = 0; i < layout.pc.function_count; i++) {
        const struct layout_function *function = &layout.pc.functions[i];

        if (function->partition != partition_index(config)) {
            continue;
        }
        write_config(function->address, REG_COMMAND, 0);
        for (uint32_t bar = 0; bar < LAYOUT_BARS; bar++) {
            write_config(function->address, REG_BAR + 4u * bar, function->bar[bar]);
        }
        write_config(function->address, REG_ROM, 0);
        write_config(function->address, REG_COMMAND, function->command);
        __atomic_store_n(&sizing[i], 0u, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&selected[partition_index(config)], 0u, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------- a guest's view */

static uint32_t guest_read(uint32_t number, uint32_t reg)
{
    const struct layout_function *function = &layout.pc.functions[number];
    uint32_t bar = (reg - REG_BAR) / 4u;

    if (bar < LAYOUT_BARS) {
        return (__atomic_load_n(&sizing[number], __ATOMIC_RELAXED) >> bar & 1u) != 0 ? function->sizes[bar] : function->bar[bar];
    }
    switch (reg) {
    case REG_ID:
    case REG_CLASS:
    case REG_SUBSYSTEM:
        return read_config(function->address, reg);
    case REG_COMMAND:
        return read_config(function->address, reg) & ~CAPABILITIES;
    case REG_HEADER:
        return read_config(function->address, reg) & HEADER_TYPE;
    case REG_INTERRUPT:
        return function->interrupt;
    default:
        return 0;
    }
}

/* What reaches the function is one bit: it goes on decoding, or resets of devices (board.yaml) would miss it. */
static void guest_write(uint32_t number, uint32_t reg, uint32_t value)
{
    const struct layout_function *function = &layout.pc.functions[number];
    uint32_t bar = (reg - REG_BAR) / 4u;

    if (bar < LAYOUT_BARS && value == UINT32_MAX) {
        (void)__atomic_fetch_or(&sizing[number], 1u << bar, __ATOMIC_RELAXED);
    } else if (bar < LAYOUT_BARS) {
        (void)__atomic_fetch_and(&sizing[number], ~(1u << bar), __ATOMIC_RELAXED);
    } else if (reg == REG_COMMAND) {
        write_config(function->address, reg, function->command | (value & NO_INTERRUPTS));
    }
}

/* Operating systems look for a host bridge before they believe that there is PCI: the board's, and no more than that. */
static uint32_t bridge_read(uint32_t reg)
{
    return reg == REG_ID || reg == REG_CLASS ? read_config(0, reg) : 0;
}

/* The partition's function at the address that it has selected; LAYOUT_MAX_FUNCTIONS: it is not one of its own. */
static uint32_t function_at(uint32_t partition, uint32_t address)
{
    for (uint32_t i = 0; i < layout.pc.function_count && i < LAYOUT_MAX_FUNCTIONS; i++) {
        if (layout.pc.functions[i].partition == partition && layout.pc.functions[i].address == address) {
            return i;
        }
    }
    return LAYOUT_MAX_FUNCTIONS;
}

static bool has_functions(uint32_t partition)
{
    bool found = false;

    for (uint32_t i = 0; i < layout.pc.function_count; i++) {
        found = found || layout.pc.functions[i].partition == partition;
    }
    return found;
}

/* True if the access is one to the data of a register that may be there. */
static bool is_data(uint32_t select, uint16_t port, uint32_t size)
{
    return port >= PORT_DATA && (port & 3u) + size <= 4u && (select & ENABLE) != 0;
}

bool pci_in(const struct layout_partition *config, uint16_t port, uint32_t size, uint32_t *value)
{
    uint32_t partition = partition_index(config);
    uint32_t select = __atomic_load_n(&selected[partition], __ATOMIC_RELAXED);
    uint32_t address = select >> 8 & 0xffffu, number = function_at(partition, address);

    if (port < PORT_ADDRESS || port >= PORT_END || !has_functions(partition)) {
        return false;
    }
    *value = UINT32_MAX;
    if (port == PORT_ADDRESS && size == 4u) {
        *value = select;
    } else if (is_data(select, port, size) && number != LAYOUT_MAX_FUNCTIONS) {
        *value = guest_read(number, select & 0xfcu) >> 8u * (port & 3u);
    } else if (is_data(select, port, size) && address == 0) {
        *value = bridge_read(select & 0xfcu) >> 8u * (port & 3u);
    }
    return true;
}

bool pci_out(const struct layout_partition *config, uint16_t port, uint32_t size, uint32_t value)
{
    uint32_t partition = partition_index(config);
    uint32_t select = __atomic_load_n(&selected[partition], __ATOMIC_RELAXED), shift = 8u * (port & 3u);
    uint32_t number = function_at(partition, select >> 8 & 0xffffu);
    uint32_t mask = (size == 4u ? UINT32_MAX : (1u << 8u * size) - 1u) << shift;

    if (port < PORT_ADDRESS || port >= PORT_END || !has_functions(partition)) {
        return false;
    }
    if (port == PORT_ADDRESS && size == 4u) {
        __atomic_store_n(&selected[partition], value & (ENABLE | 0xfffffcu), __ATOMIC_RELAXED);
    } else if (is_data(select, port, size) && number != LAYOUT_MAX_FUNCTIONS) {
        guest_write(number, select & 0xfcu, (guest_read(number, select & 0xfcu) & ~mask) | (value << shift & mask));
    }
    return true;
}
