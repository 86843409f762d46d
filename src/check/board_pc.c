/* SPDX-License-Identifier: Apache-2.0 */
/* What a PC has in place of GIC, timer and PSCI: I/O APIC, 8254, PM timer, I/O ports that nobody may have. */
#include "check.h"

#include <string.h>

#define MESSAGES      UINT64_C(0xfee00000) /* local APIC, and where writes are interrupts (SDM 3 11.4.1, 11.11.1) */
#define MESSAGES_SIZE UINT64_C(0x100000)

/* What stands at fixed ports of every PC and reaches beyond its owner. */
static const struct {
    uint64_t port, count;
    const char *what;
} fixed_ports[] = {
    {0x00, 0x10, "the 8237, which moves data"},
    {0x20, 2, "the 8259"},
    {0x40, 4, "the 8254"},
    {0x64, 1, "the 8042, which resets the board"},
    {0x81, 0x0f, "the pages of the 8237"},
    {0x92, 1, "the fast reset"},
    {0xa0, 2, "the second 8259"},
    {0xb2, 2, "the way into system management mode"},
    {0xc0, 0x20, "the second 8237"},
    {0x4d0, 2, "the trigger modes of the 8259"},
    {0xcf8, 8, "PCI configuration and the board's reset"},
};

static const struct {
    const char *compatible, *what;
} kept_nodes[] = {
    {"intel,i8254", "the 8254"},       {"intel,i8259", "the 8259"},
    {"acpi,pm-timer", "the PM timer"}, {"intel,i8237", "the 8237, which moves data"},
    {"intel,i8042", "the 8042"},       {"intel,pci-config-1", "PCI configuration"},
    {"intel,apm-control", "the way into system management mode"},
};

static int first_of(const struct devtree *dt, const char *compatible)
{
    for (int i = 0; i < dt->count; i++) {
        if (dt_compatible(dt, i, compatible) && dt_enabled(dt, i)) {
            return i;
        }
    }
    return -1;
}

static void keep_ports(struct board *board, int node, const char *what)
{
    uint64_t base, size;

    for (int n = 0; dt_ports(&board->dt, node, n, &base, &size); n++) {
        ranges_add(&board->kept_ports, base, size, what, NO_OWNER);
    }
}

static void find_ports(struct board *board)
{
    const struct devtree *dt = &board->dt;
    uint64_t base, size;

    for (int i = 0; i < dt->count; i++) {
        for (int n = 0; dt_enabled(dt, i) && dt_ports(dt, i, n, &base, &size); n++) {
            ranges_add(&board->ports, base, size, dt->nodes[i].path, (uint32_t)i);
        }
        for (size_t k = 0; k < sizeof(kept_nodes) / sizeof(kept_nodes[0]); k++) {
            if (dt_compatible(dt, i, kept_nodes[k].compatible)) {
                keep_ports(board, i, kept_nodes[k].what);
            }
        }
    }
    for (size_t i = 0; i < sizeof(fixed_ports) / sizeof(fixed_ports[0]); i++) {
        ranges_add(&board->kept_ports, fixed_ports[i].port, fixed_ports[i].count, fixed_ports[i].what, NO_OWNER);
    }
}

static void keep_outs(struct board *board, const struct spec_outs *outs, const char *what)
{
    for (size_t i = 0; i < outs->count; i++) {
        ranges_add(&board->kept_ports, outs->at[i].port, outs->at[i].width, what, NO_OWNER);
    }
}

void board_find_pc(struct board *board, const struct spec_board *extra, const char *name)
{
    const struct devtree *dt = &board->dt;
    struct dt_interrupt irq;
    uint64_t base, size;
    int pit = first_of(dt, "intel,i8254");
    int pm = first_of(dt, "acpi,pm-timer");
    int cpus = dt_find(dt, "/cpus");

    board->controller = first_of(dt, "intel,ioapic");
    if (board->controller < 0 || !dt_reg(dt, board->controller, 0, &board->ioapic, &size)) {
        unusable("%s: no I/O APIC", name);
    }
    (void)dt_u32(dt, board->controller, "bulkhead,lines", &board->ioapic_lines);
    ranges_add_pages(&board->controller_regions, board->ioapic, size, dt->nodes[board->controller].path,
                     (uint32_t)board->controller);
    ranges_add(&board->controller_regions, MESSAGES, MESSAGES_SIZE, "local APIC and interrupt messages", NO_OWNER);
    board->pit_line = pit >= 0 && dt_interrupt(dt, pit, 0, &irq) && irq.known ? irq.intid : LAYOUT_NO_LINE;
    board->pm_timer = pm >= 0 && dt_ports(dt, pm, 0, &base, &size) ? base : 0;
    board->tsc_hz = cpus >= 0 ? dt_number(dt, cpus, "timebase-frequency") : 0;
    board->off = extra->off;
    board->reset = extra->reset;
    find_ports(board);
    keep_outs(board, &board->off, "what switches the board off");
    keep_outs(board, &board->reset, "what resets the board");
    ranges_sort(&board->ports);
    ranges_sort(&board->kept_ports);
}

/* Its node, one above or below it, or one that shares a port with what must be kept. */
bool board_keeps(const struct board *board, int node)
{
    const struct devtree *dt = &board->dt;
    uint64_t base, size;

    for (int n = 0; dt_ports(dt, node, n, &base, &size); n++) {
        if (ranges_hit(&board->kept_ports, base, base + size) != NULL) {
            return true;
        }
    }
    for (size_t k = 0; k < sizeof(kept_nodes) / sizeof(kept_nodes[0]); k++) {
        if (dt_compatible(dt, node, kept_nodes[k].compatible)) {
            return true;
        }
    }
    return node == board->controller || dt_compatible(dt, node, "pci-host-*");
}
