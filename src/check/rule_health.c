/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about partitions at fault: limits of restarts, watchdogs and who looks at them, monitors. */
#include "check.h"

#include <stdlib.h>

#define WATCHDOG_PORTS  16u  /* x86 */

static void prove_limits(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        const struct spec_partition *spec = part->spec;

        proof->checked++;
        if (spec != NULL && (part->raw.restart_limit != spec->restart_limit ||
                             part->raw.restart_window_ns != spec->restart_window_ns ||
                             part->raw.restart_then != spec->restart_then)) {
            violate(proof,
                    "partition %s: at most %" PRIu32 " restarts in %" PRIu64 " ns, then policy %" PRIu32 "; %s:%" PRIu32
                    " says %" PRIu32 " in %" PRIu64 " ns, then %" PRIu32,
                    part->name, part->raw.restart_limit, part->raw.restart_window_ns, part->raw.restart_then,
                    world->spec.file, spec->line, spec->restart_limit, spec->restart_window_ns, spec->restart_then);
        }
        if (part->raw.restart_limit > LAYOUT_MAX_RESTARTS || part->raw.restart_then == LAYOUT_FAULT_RESTART) {
            violate(proof, "partition %s: a limit of %" PRIu32 " restarts, then policy %" PRIu32 ": the hypervisor cannot do that",
                    part->name, part->raw.restart_limit, part->raw.restart_then);
        }
    }
}

static void prove_monitors(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];

        proof->checked++;
        if (part->spec != NULL && part->raw.monitor != (part->spec->monitor ? 1u : 0u)) {
            violate(proof, "partition %s is %s monitor, against %s:%" PRIu32, part->name, part->raw.monitor != 0 ? "a" : "no",
                    world->spec.file, part->spec->line);
        }
    }
}

/* ---------------------------------------------------------------- watchdogs */

static void prove_watchdogs(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        const struct spec_partition *spec = part->spec;
        bool has = is_x86(world) ? part->raw.watchdog_ns != 0 : part->raw.watchdog_intid != 0;

        proof->checked++;
        if (is_x86(world) && part->raw.watchdog_intid != 0) {
            violate(proof, "partition %s: its watchdog has interrupt %" PRIu32 ", on x86 it has none", part->name,
                    part->raw.watchdog_intid);
        }
        if (spec != NULL && (has != (spec->watchdog_ns != 0) || part->raw.watchdog_ns != spec->watchdog_ns ||
                             part->raw.watchdog_boot_ns != spec->watchdog_boot_ns)) {
            violate(proof,
                    "partition %s: %s watchdog of %" PRIu64 " ns (%" PRIu64 " ns at its start), %s:%" PRIu32 " says %" PRIu64
                    " ns and %" PRIu64 " ns",
                    part->name, has ? "a" : "no", part->raw.watchdog_ns, part->raw.watchdog_boot_ns, world->spec.file,
                    spec->line, spec->watchdog_ns, spec->watchdog_boot_ns);
        }
    }
}

/* What the guest finds at addresses where stage 2 has nothing. */
static void emulated(const struct world *world, const struct part *part, struct ranges *list)
{
    const struct layout_gic *gic = &world->layout.gic;

    ranges_add_pages(list, gic->dist.raw, 0x10000, "the distributor", NO_OWNER);
    ranges_add_pages(list, gic->redist[0].raw, (uint64_t)part->raw.vcpu_count * gic->redist_stride, "its redistributors",
                     NO_OWNER);
    if (part->raw.vuart.intid != 0) {
        ranges_add_pages(list, part->raw.vuart.base.raw, PAGE_SIZE, "its virtual UART", NO_OWNER);
    }
    for (uint32_t i = 0; i < part->raw.memory_count; i++) {
        ranges_add(list, part->memory[i].ipa.raw, part->memory[i].size, "its RAM", NO_OWNER);
    }
    for (size_t i = 0; i < part->stage2.map_count; i++) {
        ranges_add(list, part->stage2.maps[i].in, part->stage2.maps[i].size, "what stage 2 maps", NO_OWNER);
    }
    ranges_sort(list);
}

static void prove_frames(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        uint64_t base = part->raw.watchdog.raw;
        struct ranges taken = {0};
        const struct range *hit;

        if (part->raw.watchdog_intid == 0 || !part->stage2.done) {
            continue;
        }
        proof->checked += 2;
        emulated(world, part, &taken);
        hit = ranges_hit(&taken, base, base + 2 * PAGE_SIZE);
        if (hit != NULL || (base & PAGE_MASK) != 0 || base > (UINT64_C(1) << part->stage2.in_bits) - 2 * PAGE_SIZE) {
            violate(proof, "partition %s: the frames of its watchdog at 0x%" PRIx64 " meet %s", part->name, base,
                    hit != NULL ? hit->what : "no page that the guest can address");
        }
        free(taken.at);
    }
}

static void prove_interrupt(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        uint32_t intid = part->raw.watchdog_intid;

        if (intid == 0) {
            continue;
        }
        proof->checked++;
        if (intid < FIRST_SPI || intid > LAST_SPI || !part_owns_irq(world, part, intid)) {
            violate(proof, "partition %s does not own INTID %" PRIu32 " of its watchdog", part->name, intid);
        } else if (world->board.spi_used[intid] != 0 || intid == part->raw.vuart.intid) {
            violate(proof, "partition %s: INTID %" PRIu32 " of its watchdog is %s", part->name, intid,
                    intid == part->raw.vuart.intid ? "its virtual UART's" : "raised by a device of the board");
        }
    }
}

/* A core on which the hypervisor has interrupts. */
static bool is_able(const struct world *world, uint32_t cpu)
{
    const struct layout_cpu *core = &world->cpus[cpu < world->layout.cpu_count ? cpu : 0];

    return cpu < world->layout.cpu_count &&
           (core->pool != 0 || (core->partition < world->part_count &&
                                world->parts[core->partition].raw.irq_mode != LAYOUT_IRQ_DIRECT));
}

/* x86: by the core to which the 8254 is routed; everybody else's timer is a guest's or a pool's. */
static void prove_alarm(const struct world *world, struct proof *proof, const struct part *part)
{
    proof->checked++;
    if (part->raw.watchdog_cpu != world->layout.console_cpu || world->layout.console_cpu >= world->layout.cpu_count) {
        violate(proof, "partition %s: CPU %" PRIu32 " cannot look at its watchdog: the 8254 reaches CPU %" PRIu32, part->name,
                part->raw.watchdog_cpu, world->layout.console_cpu);
    }
    if (world->layout.pc.pit_line >= world->layout.pc.ioapic_lines) {
        violate(proof, "partition %s: nobody can look at its watchdog: the board has no 8254 that reaches the I/O APIC", part->name);
    }
}

static void prove_watchers(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];

        if (is_x86(world) && part->raw.watchdog_ns != 0) {
            prove_alarm(world, proof, part);
        }
        if (is_x86(world) || part->raw.watchdog_intid == 0) {
            continue;
        }
        proof->checked++;
        if (!is_able(world, part->raw.watchdog_cpu)) {
            violate(proof, "partition %s: CPU %" PRIu32 " cannot look at its watchdog: it is %s", part->name,
                    part->raw.watchdog_cpu, part->raw.watchdog_cpu < world->layout.cpu_count ? "direct" : "no core");
        }
    }
}

/* Withdrawing stage 2 does not wake a core that lets no interrupt through. */
static void prove_regained(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        bool wanted = part->raw.watchdog_intid != 0;

        for (uint32_t i = 0; i < world->part_count; i++) {
            wanted = wanted || (i != p && world->parts[i].raw.monitor != 0);
        }
        wanted = wanted && part->raw.irq_mode == LAYOUT_IRQ_DIRECT;
        proof->checked++;
        if ((part->raw.trap_wfi != 0) != wanted) {
            violate(proof, "partition %s %s from outside, but its WFI %s", part->name,
                    wanted ? "is direct and may be stopped" : "is virtual or never stopped", wanted ? "does not trap" : "traps");
        }
    }
}

/* x86: in place of frames. */
static void prove_ports_of(const struct world *world, struct proof *proof, const struct part *part)
{
    const struct board *board = &world->board;
    uint64_t base = part->raw.watchdog.raw, end = base + WATCHDOG_PORTS;
    const struct range *hit;

    if (base > 0x10000 - WATCHDOG_PORTS) {
        violate(proof, "partition %s: 0x%" PRIx64 " of its watchdog is no I/O port", part->name, base);
        return;
    }
    hit = ranges_hit(&board->ports, base, end);
    hit = hit != NULL ? hit : ranges_hit(&board->kept_ports, base, end);
    if (hit != NULL) {
        violate(proof, "partition %s: the ports 0x%" PRIx64 "..0x%" PRIx64 " of its watchdog meet %s", part->name, base, end - 1,
                hit->what);
    }
    for (uint64_t port = base; port < end; port++) {
        proof->checked++;
        if (port_passes(world, part, port) || boot_emulates(world, part, port)) {
            violate(proof, "partition %s: I/O port 0x%" PRIx64 " of its watchdog %s", part->name, port,
                    port_passes(world, part, port) ? "does not exit" : "is something else, too");
            return;
        }
    }
}

static void prove_ports(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        if (world->parts[p].raw.watchdog_ns != 0) {
            prove_ports_of(world, proof, &world->parts[p]);
        }
    }
}

/* ---------------------------------------------------------------- resets of devices */

/* The next write of board.yaml that is for the node, from `at` on; spec_resets.count: there is none. */
static size_t next_reset(const struct world *world, int node, size_t at)
{
    while (at < world->board.resets.count && dt_find_name(&world->board.dt, world->board.resets.at[at].device) != node) {
        at++;
    }
    return at;
}

/* The partition's writes are those of its devices, in system.yaml's order of devices and board.yaml's of writes. */
static void prove_resets_of(const struct world *world, struct proof *proof, const struct part *part)
{
    uint32_t done = 0;

    for (size_t i = 0; part->spec != NULL && i < part->spec->device_count; i++) {
        int node = part->spec->devices[i].node;
        uint64_t base = 0, size = 0;
        bool placed = node >= 0 && dt_reg(&world->board.dt, node, 0, &base, &size) != 0;

        if (!placed && is_x86(world) && node >= 0 && dt_ports(&world->board.dt, node, 0, &base, &size)) {
            placed = true;
            base += LAYOUT_PORTS;
        }

        for (size_t n = next_reset(world, node, 0); placed && n < world->board.resets.count; n = next_reset(world, node, n + 1)) {
            const struct spec_reset *wanted = &world->board.resets.at[n];
            const struct layout_write *has = done < part->raw.reset_count ? &part->resets[done] : NULL;

            proof->checked++;
            if (wanted->offset > size || wanted->width > size - wanted->offset) {
                violate(proof, "board.yaml:%" PRIu32 ": 0x%" PRIx64 " is outside the registers of %s", wanted->line,
                        wanted->offset, wanted->device);
            }
            if (has == NULL || has->address.raw != base + wanted->offset || has->width != wanted->width ||
                has->value != wanted->value) {
                violate(proof, "partition %s: write %" PRIu32 " that resets its devices is not board.yaml:%" PRIu32, part->name,
                        done, wanted->line);
                return;
            }
            done++;
        }
    }
    if (done != part->raw.reset_count) {
        violate(proof, "partition %s: %" PRIu32 " writes reset its devices, board.yaml has %" PRIu32, part->name,
                part->raw.reset_count, done);
    }
}

static void prove_resets(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        prove_resets_of(world, proof, &world->parts[p]);
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"restart-limits",
     "The limits of restarts are those of system.yaml, and such that the hypervisor can keep them.",
     "partitions", prove_limits, ARCH_BOTH},
    {"device-resets",
     "At a restart or stop those registers of a partition's own devices are written to that board.yaml names, with its "
     "values and in its order.",
     "writes", prove_resets, ARCH_BOTH},
    {"monitors",
     "Only those partitions are monitors of which system.yaml says so.",
     "partitions", prove_monitors, ARCH_BOTH},
    {"watchdogs-given",
     "Those partitions have a watchdog to which system.yaml gives one, with its times.",
     "partitions", prove_watchdogs, ARCH_BOTH},
    {"watchdog-frames",
     "The frames of a watchdog lie where the guest has nothing else, neither mapped nor emulated.",
     "pages", prove_frames, ARCH_ARM64},
    {"watchdog-interrupt",
     "The interrupt of a watchdog is its partition's own, and no device of the board raises it.",
     "watchdogs", prove_interrupt, ARCH_ARM64},
    {"watchdog-ports",
     "The I/O ports of a watchdog exit, nothing of the board is there, and nothing else is emulated there.",
     "ports", prove_ports, ARCH_X86},
    {"watchdog-watched",
     "Every watchdog is looked at by a core where the hypervisor has a timer interrupt: one that is not direct, or on x86 the "
     "one that the 8254 reaches.",
     "watchdogs", prove_watchers, ARCH_BOTH},
    {"wfi-trapped",
     "WFI traps in those direct partitions that a watchdog or a monitor may want to stop, and in no others.",
     "partitions", prove_regained, ARCH_ARM64},
};
/* clang-format on */

const struct rule_set health_rules = {"Health", rules, sizeof(rules) / sizeof(rules[0])};
