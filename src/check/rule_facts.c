/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about the board's facts in the layout: they are the devicetree's. */
#include "check.h"

#include <string.h>

static void equal(struct proof *proof, const char *what, uint64_t found, uint64_t wanted)
{
    proof->checked++;
    if (found != wanted) {
        violate(proof, "%s is 0x%" PRIx64 " in the layout, 0x%" PRIx64 " in the devicetree", what, found, wanted);
    }
}

static uint64_t reg_base(const struct devtree *dt, int node, int index)
{
    uint64_t base = 0, size = 0;

    return dt_reg(dt, node, index, &base, &size) ? base : 0;
}

static void prove_gicv3(const struct world *world, struct proof *proof)
{
    const struct layout_gic *gic = &world->layout.gic;
    const struct devtree *dt = &world->board.dt;
    uint32_t regions = 1;
    uint64_t base = 0, size = 0;

    (void)dt_u32(dt, world->board.controller, "#redistributor-regions", &regions);
    equal(proof, "the number of redistributor regions", gic->redist_count, regions);
    equal(proof, "the redistributor stride", gic->redist_stride, world->board.redist_stride);
    for (uint32_t i = 0; i < gic->redist_count; i++) {
        (void)dt_reg(dt, world->board.controller, (int)i + 1, &base, &size);
        equal(proof, "a redistributor region", gic->redist[i].raw, base);
        equal(proof, "the size of a redistributor region", gic->redist_size[i], size);
    }
}

static void prove_gicv2(const struct world *world, struct proof *proof)
{
    const struct layout_gic *gic = &world->layout.gic;
    const struct devtree *dt = &world->board.dt;

    equal(proof, "GICC", gic->cpu.raw, reg_base(dt, world->board.controller, 1));
    equal(proof, "GICH", gic->hyp.raw, reg_base(dt, world->board.controller, 2));
    equal(proof, "GICV", gic->vcpu.raw, reg_base(dt, world->board.controller, 3));
}

static void prove_gic(const struct world *world, struct proof *proof)
{
    const struct layout_gic *gic = &world->layout.gic;
    const struct devtree *dt = &world->board.dt;
    struct dt_interrupt irq = {0};
    uint64_t base = 0, size = 0;

    (void)dt_reg(dt, world->board.controller, 0, &base, &size);
    equal(proof, "the GIC's version", gic->version, world->board.gic_version);
    equal(proof, "the distributor", gic->dist.raw, base);
    equal(proof, "the distributor's size", gic->dist_size, size);
    (void)dt_interrupt(dt, world->board.controller, 0, &irq);
    equal(proof, "the maintenance interrupt", gic->maintenance, irq.known ? irq.intid : 0);
    if (world->board.gic_version == 3) {
        prove_gicv3(world, proof);
    } else {
        prove_gicv2(world, proof);
    }
}

/* The timer's interrupts: by name, or in the order of the binding (secure, physical, virtual, hypervisor). */
static uint32_t timer_interrupt(const struct board *board, const char *name, int place)
{
    int size;
    const char *names = dt_prop(&board->dt, board->timer, "interrupt-names", &size);
    struct dt_interrupt irq = {0};
    int index = 0;

    if (names != NULL && size > 0 && names[size - 1] == '\0') {
        place = -1;
        for (const char *entry = names; entry < names + size; entry += strlen(entry) + 1, index++) {
            if (strcmp(entry, name) == 0) {
                place = index;
            }
        }
    }
    return place >= 0 && dt_interrupt(&board->dt, board->timer, place, &irq) && irq.known ? irq.intid : 0;
}

static void prove_timer(const struct world *world, struct proof *proof)
{
    if (world->board.timer < 0) {
        violate(proof, "the devicetree has no generic timer");
        return;
    }
    equal(proof, "the physical timer's interrupt", world->layout.ptimer_intid,
          timer_interrupt(&world->board, "phys", 1));
    equal(proof, "the virtual timer's interrupt", world->layout.vtimer_intid,
          timer_interrupt(&world->board, "virt", 2));
    equal(proof, "the hypervisor timer's interrupt", world->layout.htimer_intid,
          timer_interrupt(&world->board, "hyp-phys", 3));
}

static void prove_psci(const struct world *world, struct proof *proof)
{
    equal(proof, "the PSCI conduit", world->layout.conduit, world->board.conduit);
}

/* PL011 (ARM DDI 0183 3.2): what the registers mean does not depend on the board. */
static void prove_pl011(const struct layout_uart *uart, struct proof *proof)
{
    equal(proof, "UARTDR", uart->tx, 0x00);
    equal(proof, "UARTFR", uart->tx_status, 0x18);
    equal(proof, "UARTFR.TXFF", uart->tx_mask, 1u << 5);
    equal(proof, "UARTFR when it can send", uart->tx_ready, 0);
    equal(proof, "UARTFR when something has come", uart->rx_ready, 0);
    equal(proof, "UARTDR (receive)", uart->rx, 0x00);
    equal(proof, "UARTFR (receive)", uart->rx_status, 0x18);
    equal(proof, "UARTFR.RXFE", uart->rx_mask, 1u << 4);
}

/* What is written there at boot: interrupts off, port on; later receive and timeout interrupts on; no DMA. */
static void prove_pl011_writes(const struct layout_uart *uart, struct proof *proof)
{
    for (uint32_t i = 0; i < uart->init_count; i++) {
        const struct layout_reg *r = &uart->init[i];

        proof->checked++;
        if (!(r->offset == 0x38 && r->value == 0) && !(r->offset == 0x30 && r->value == 0x301)) {
            violate(proof, "register 0x%" PRIx32 " of the PL011 is set to 0x%" PRIx32 " at boot", r->offset, r->value);
        }
    }
    for (uint32_t i = 0; i < uart->rx_on_count; i++) {
        const struct layout_reg *r = &uart->rx_on[i];

        proof->checked++;
        if (r->offset != 0x38 || (r->value & ~UINT32_C(0x50)) != 0) {
            violate(proof, "register 0x%" PRIx32 " of the PL011 is set to 0x%" PRIx32 " for interrupts", r->offset,
                    r->value);
        }
    }
    if (uart->tx_pre_count != 0 || uart->rx_ack_used != 0) {
        violate(proof, "the PL011 needs no other writes");
    }
}

static void prove_offsets(const struct layout_uart *uart, struct proof *proof, uint64_t size)
{
    const struct {
        const struct layout_reg *regs;
        uint32_t count;
    } lists[] = {
        {uart->init, uart->init_count},
        {uart->rx_on, uart->rx_on_count},
        {uart->tx_pre, uart->tx_pre_count},
        {&uart->rx_ack, uart->rx_ack_used != 0 ? 1 : 0},
    };
    const uint32_t offsets[] = {uart->tx, uart->tx_status, uart->rx, uart->rx_status};

    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        proof->checked++;
        if (offsets[i] + (uint64_t)uart->width > size) {
            violate(proof, "register 0x%" PRIx32 " is outside the UART's 0x%" PRIx64 " bytes", offsets[i], size);
        }
    }
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (uint32_t n = 0; n < lists[i].count; n++) {
            proof->checked++;
            if (lists[i].regs[n].offset + (uint64_t)uart->width > size) {
                violate(proof, "register 0x%" PRIx32 " is outside the UART's 0x%" PRIx64 " bytes",
                        lists[i].regs[n].offset, size);
            }
        }
    }
}

void prove_mmio_uart(const struct world *world, struct proof *proof)
{
    const struct layout_uart *uart = &world->layout.uart;
    const struct board *board = &world->board;
    uint64_t base = 0, size = 0;
    struct dt_interrupt irq = {0};

    if (uart->base.raw == 0) {
        proof->checked++;
        return;
    }
    if (board->uart < 0 || !dt_reg(&board->dt, board->uart, 0, &base, &size)) {
        violate(proof, "the layout has a UART at 0x%" PRIx64 ", where the devicetree has no device", uart->base.raw);
        return;
    }
    (void)dt_interrupt(&board->dt, board->uart, 0, &irq);
    equal(proof, "the UART", uart->base.raw, base);
    if (uart->intid != 0) { /* 0: output only */
        equal(proof, "the UART's interrupt", uart->intid, irq.known ? irq.intid : 0);
    }
    if (uart->width != 1 && uart->width != 2 && uart->width != 4) {
        violate(proof, "an access of the UART has %" PRIu32 " bytes", uart->width);
    }
    prove_offsets(uart, proof, size);
    if (dt_compatible(&board->dt, board->uart, "arm,pl011")) {
        prove_pl011(uart, proof);
        prove_pl011_writes(uart, proof);
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"facts-gic",
     "Version, addresses, sizes and maintenance interrupt of the interrupt controller are the devicetree's.",
     "facts", prove_gic, ARCH_ARM64},
    {"facts-timer",
     "The interrupts of the generic timer are the devicetree's.",
     "facts", prove_timer, ARCH_ARM64},
    {"facts-psci",
     "The way to the firmware (SMC, HVC or none) is the devicetree's.",
     "facts", prove_psci, ARCH_ARM64},
    {"facts-uart",
     "Address and interrupt of the hypervisor's UART are the devicetree's, and no register lies outside of it.",
     "facts", prove_mmio_uart, ARCH_ARM64},
};
/* clang-format on */

const struct rule_set fact_rules = {"Facts of the board", rules, sizeof(rules) / sizeof(rules[0])};
