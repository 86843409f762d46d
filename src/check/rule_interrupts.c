/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about interrupts: each has one owner, who was given the device that raises it. */
#include "check.h"

#include <string.h>

/* x86: lines of the I/O APIC, which are numbered from 0. */
static bool is_shared(const struct world *world, uint32_t intid)
{
    return is_x86(world) ? intid < world->layout.pc.ioapic_lines
                                       : intid >= FIRST_SPI && intid <= LAST_SPI;
}

static void prove_one_owner(const struct world *world, struct proof *proof)
{
    for (uint32_t intid = 0; intid < 32 * LAYOUT_SPI_WORDS; intid++) {
        uint32_t owner = NO_OWNER;

        for (uint32_t p = 0; p < world->part_count; p++) {
            if (!part_owns_irq(world, &world->parts[p], intid)) {
                continue;
            }
            proof->checked++;
            if (!is_shared(world, intid)) {
                violate(proof, "partition %s owns INTID %" PRIu32 ", which is no shared interrupt", world->parts[p].name, intid);
            } else if (owner != NO_OWNER) {
                violate(proof, "INTID %" PRIu32 " belongs to %s and to %s", intid, part_name(world, owner),
                        world->parts[p].name);
            }
            owner = p;
        }
    }
}

/* Interrupts of the devices that system.yaml gives: SPIs as a set, PPIs as a mask. */
static void given_interrupts(const struct world *world, const struct part *part, bool *spis, uint32_t *ppis)
{
    struct dt_interrupt irq;

    for (size_t i = 0; part->spec != NULL && i < part->spec->device_count; i++) {
        int node = part->spec->devices[i].node;

        for (int n = 0; node >= 0 && dt_interrupt(&world->board.dt, node, n, &irq); n++) {
            if (irq.known && !is_x86(world) && irq.intid >= 16 && irq.intid < 32) {
                *ppis |= UINT32_C(1) << irq.intid;
            } else if (irq.known && is_shared(world, irq.intid)) {
                spis[irq.intid] = true;
            }
        }
        for (int n = 0; node >= 0 && dt_interrupt_behind(&world->board.dt, node, n, &irq); n++) {
            if (irq.known && is_shared(world, irq.intid)) {
                spis[irq.intid] = true;
            }
        }
    }
}

static void prove_given_part(const struct world *world, struct proof *proof, const struct part *part)
{
    bool wanted[1024] = {false};
    uint32_t ppis = 0;
    uint32_t vuart = part->raw.vuart.intid;

    given_interrupts(world, part, wanted, &ppis);
    if (!is_x86(world) && part->raw.irq_mode == LAYOUT_IRQ_DIRECT && is_shared(world, vuart)) {
        wanted[vuart] = true;
    }
    if (!is_x86(world) && is_shared(world, part->raw.watchdog_intid)) {
        wanted[part->raw.watchdog_intid] = true;
    }
    for (uint32_t intid = FIRST_SPI; !is_x86(world) && intid <= LAST_SPI; intid++) {
        wanted[intid] = wanted[intid] || channel_rings(world, part, intid);
    }
    for (uint32_t intid = 0; intid <= LAST_SPI; intid++) {
        bool owns = part_owns_irq(world, part, intid);

        proof->checked += owns ? 1 : 0;
        if (owns && !wanted[intid] && is_shared(world, intid)) {
            violate(proof, "partition %s owns INTID %" PRIu32 ", which no device given to it raises", part->name,
                    intid);
        } else if (!owns && wanted[intid]) {
            violate(proof, "partition %s does not own INTID %" PRIu32 ", which a device given to it raises", part->name,
                    intid);
        }
    }
}

static void prove_given(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        prove_given_part(world, proof, &world->parts[p]);
    }
}

static uint32_t uart_interrupt(const struct board *board)
{
    struct dt_interrupt irq;

    return board->uart >= 0 && dt_interrupt(&board->dt, board->uart, 0, &irq) && irq.known ? irq.intid : 0;
}

static void prove_vuart(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        uint32_t intid = part->raw.vuart.intid;
        bool wanted[1024] = {false};
        uint32_t ppis = 0;

        if (intid == 0) {
            continue;
        }
        proof->checked++;
        given_interrupts(world, part, wanted, &ppis);
        if (!is_shared(world, intid)) {
            violate(proof, "partition %s: INTID %" PRIu32 " of its virtual UART is no shared interrupt", part->name, intid);
        } else if (wanted[intid]) {
            violate(proof, "partition %s: INTID %" PRIu32 " of its virtual UART is raised by a device of its own",
                    part->name, intid);
        } else if (!is_x86(world) && part->raw.irq_mode == LAYOUT_IRQ_DIRECT &&
                   world->board.spi_used[intid] != 0) {
            violate(proof, "partition %s: INTID %" PRIu32 " of its virtual UART belongs to a device of the board",
                    part->name, intid);
        }
    }
}

static void prove_hypervisor(const struct world *world, struct proof *proof)
{
    uint32_t intid = uart_interrupt(&world->board);

    for (uint32_t p = 0; p < world->part_count; p++) {
        proof->checked++;
        if (intid != 0 && part_owns_irq(world, &world->parts[p], intid)) {
            violate(proof, "partition %s owns INTID %" PRIu32 " of the hypervisor's UART", world->parts[p].name, intid);
        }
        if (is_x86(world) && part_owns_irq(world, &world->parts[p], world->board.pit_line)) {
            violate(proof, "partition %s owns line %" PRIu32 " of the hypervisor's alarm, the 8254", world->parts[p].name,
                    world->board.pit_line);
        }
    }
}

static bool is_pmu(const struct devtree *dt, int node)
{
    int size;
    const char *list = dt_prop(dt, node, "compatible", &size);

    for (int i = 0; list != NULL && i + 3 <= size; i++) {
        if (memcmp(list + i, "pmu", 3) == 0) {
            return true;
        }
    }
    return false;
}

static uint32_t pmu_mask(const struct devtree *dt)
{
    uint32_t mask = 0;
    struct dt_interrupt irq;

    for (int i = 0; i < dt->count; i++) {
        for (int n = 0; is_pmu(dt, i) && dt_interrupt(dt, i, n, &irq); n++) {
            if (irq.known && irq.intid >= 16 && irq.intid < 32) {
                mask |= UINT32_C(1) << irq.intid;
            }
        }
    }
    return mask;
}

static uint32_t bit(uint32_t intid)
{
    return intid >= 16 && intid < 32 ? UINT32_C(1) << intid : 0;
}

static void prove_ppis(const struct world *world, struct proof *proof)
{
    const struct layout *facts = &world->layout;
    uint32_t timers = bit(facts->vtimer_intid) | bit(facts->ptimer_intid);
    uint32_t own = bit(facts->htimer_intid) | bit(facts->gic.maintenance);
    uint32_t pmu = pmu_mask(&world->board.dt);

    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        bool spis[1024] = {false};
        uint32_t given = 0;

        given_interrupts(world, part, spis, &given);
        proof->checked++;
        if ((part->raw.ppi_mask & own) != 0) {
            violate(proof, "partition %s may program PPIs 0x%08" PRIx32 " of the hypervisor", part->name,
                    part->raw.ppi_mask & own);
        } else if ((part->raw.ppi_mask & ~(timers | pmu | given)) != 0) {
            violate(proof,
                    "partition %s may program PPIs 0x%08" PRIx32 ", which are neither its timers' nor its devices'",
                    part->name, part->raw.ppi_mask & ~(timers | pmu | given));
        } else if ((part->raw.ppi_mask & (timers | given)) != (timers | given)) {
            violate(proof, "partition %s lacks PPIs 0x%08" PRIx32 " of its timers or devices", part->name,
                    (timers | given) & ~part->raw.ppi_mask);
        }
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"interrupt-one-owner",
     "No shared interrupt belongs to two partitions, and only INTIDs 32 to 1019 (x86: lines of the I/O APIC) are "
     "given.",
     "interrupts", prove_one_owner, ARCH_BOTH},
    {"interrupt-given",
     "Every partition owns the shared interrupts of the devices given to it (and, on ARM64, of its watchdog, of the "
     "doorbells that ring it, and of its virtual UART if it is direct) and no others.",
     "interrupts", prove_given, ARCH_BOTH},
    {"interrupt-hypervisor",
     "No partition owns the interrupt of the hypervisor's UART, or on x86 of its alarm, the 8254.",
     "partitions", prove_hypervisor, ARCH_BOTH},
    {"vuart-interrupt",
     "A virtual UART has an interrupt that no device of its partition raises; in a direct partition on ARM64, one "
     "that no device of the board raises.",
     "virtual UARTs", prove_vuart, ARCH_BOTH},
    {"ppi-own",
     "Private interrupts that a partition may program are its timers', the PMU's and its devices'; never the "
     "hypervisor's "
     "timer or the maintenance interrupt.",
     "partitions", prove_ppis, ARCH_ARM64},
};
/* clang-format on */

const struct rule_set interrupt_rules = {"Interrupts", rules, sizeof(rules) / sizeof(rules[0])};
