/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about devices: what nobody may reach, and who reaches what system.yaml gives. */
#include "check.h"

#include <string.h>

#define IO_PORTS    UINT64_C(65536)
#define VUART_PORTS UINT64_C(8)

/* GICv2: the guest's CPU interface is GICV at the address of GICC, page by page. */
static bool is_guest_gicv(const struct world *world, const struct mapping *m)
{
    const struct layout_gic *gic = &world->layout.gic;

    return !is_x86(world) && gic->version == 2 && board_is_gicv(&world->board, m->out, m->out + m->size) && m->in >= gic->cpu.raw &&
           m->in - gic->cpu.raw == m->out - gic->vcpu.raw;
}

static void unreached(const struct world *world, struct proof *proof, const struct ranges *list, const char *what)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct walk *walk = &world->parts[p].stage2;

        for (size_t i = 0; i < walk->map_count; i++) {
            const struct mapping *m = &walk->maps[i];
            const struct range *hit = ranges_hit(list, m->out, m->out + m->size);
            uint64_t pa;

            proof->checked += m->size / PAGE_SIZE;
            if (hit == NULL || is_guest_gicv(world, m)) {
                continue;
            }
            pa = hit->base > m->out ? hit->base : m->out;
            violate(proof, "partition %s reaches %s %s: 0x%" PRIx64 " at guest address 0x%" PRIx64,
                    world->parts[p].name, what, hit->what, pa, m->in + (pa - m->out));
            note(proof, "%s", walk_path(walk, &world->elf, m->in + (pa - m->out)));
        }
    }
}

static void prove_gic(const struct world *world, struct proof *proof)
{
    unreached(world, proof, &world->board.controller_regions, "the interrupt controller");
}

static void prove_iommu(const struct world *world, struct proof *proof)
{
    unreached(world, proof, &world->board.iommu, "the IOMMU");
}

static void prove_uart(const struct world *world, struct proof *proof)
{
    unreached(world, proof, &world->board.uart_pages, "the hypervisor's UART");
}

/* ---------------------------------------------------------------- who was given what */

static bool never_given(const struct world *world, int node)
{
    const struct board *board = &world->board;

    if (board->arch == ARCH_X86 && board_keeps(board, node)) {
        return true;
    }
    return node == board->uart || dt_is_under(&board->dt, node, board->controller) || node == board->timer ||
           dt_prop(&board->dt, node, "#iommu-cells", NULL) != NULL || dt_compatible(&board->dt, node, "arm,psci*");
}

static void prove_given_part(const struct world *world, struct proof *proof, const struct part *part, int *owners)
{
    for (size_t i = 0; i < part->spec->device_count; i++) {
        const struct spec_device *d = &part->spec->devices[i];

        proof->checked++;
        if (d->node < 0) {
            violate(proof, "%s:%" PRIu32 ": the board has no device '%s'", world->spec.file, d->line, d->name);
        } else if (never_given(world, d->node)) {
            violate(proof, "%s:%" PRIu32 ": '%s' is the hypervisor's own and cannot be given away", world->spec.file,
                    d->line, d->name);
        } else if (owners[d->node] != 0) {
            violate(proof, "%s:%" PRIu32 ": '%s' is given to %s and to %s", world->spec.file, d->line, d->name,
                    part_name(world, (uint32_t)owners[d->node] - 1), part->name);
        } else {
            owners[d->node] = (int)part->index + 1;
        }
    }
}

static void prove_one_owner(const struct world *world, struct proof *proof)
{
    int *owners = alloc((size_t)world->board.dt.count * sizeof(owners[0]));

    for (uint32_t p = 0; p < world->part_count; p++) {
        if (world->parts[p].spec != NULL) {
            prove_given_part(world, proof, &world->parts[p], owners);
        }
    }
}

/* ---------------------------------------------------------------- DMA */

static bool is_pci_function(const struct devtree *dt, int node)
{
    const char *type = dt->nodes[node].parent >= 0 ? dt_string(dt, dt->nodes[node].parent, "device_type") : NULL;

    return type != NULL && strncmp(type, "pci", 3) == 0;
}

/* Generic names (Devicetree Specification 2.2.2) of devices that move data by themselves. */
static bool moves_data(const struct devtree *dt, int node)
{
    static const char *const properties[] = {"dmas",         "iommus",       "#dma-cells",
                                             "dma-channels", "dma-coherent", "iommu-map"};
    static const char *const names[] = {"ethernet",
                                        "usb",
                                        "sata",
                                        "pcie",
                                        "pci",
                                        "dma",
                                        "dma-controller",
                                        "gpu",
                                        "vpu",
                                        "hdmi",
                                        "display-controller",
                                        "video-codec",
                                        "crypto",
                                        "ufs",
                                        "ufshc",
                                        "nvme",
                                        "virtio_mmio",
                                        "virtio"};
    /* An HPET can be told to write its interrupts anywhere, the 8237 and fw_cfg copy memory. */
    static const char *const masters[] = {"virtio,*", "intel,hpet", "intel,i8237", "qemu,fw-cfg*"};
    const char *name = strrchr(dt->nodes[node].path, '/') + 1;
    size_t length = strcspn(name, "@");

    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++) {
        if (dt_prop(dt, node, properties[i], NULL) != NULL) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i]) == length && strncmp(name, names[i], length) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(masters) / sizeof(masters[0]); i++) {
        if (dt_compatible(dt, node, masters[i])) {
            return true;
        }
    }
    return is_pci_function(dt, node);
}

static void prove_dma(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct spec_partition *spec = world->parts[p].spec;

        for (size_t i = 0; spec != NULL && i < spec->device_count; i++) {
            const struct spec_device *d = &spec->devices[i];

            proof->checked++;
            if (d->node >= 0 && dt_function(&world->board.dt, d->node)) {
                continue; /* pci-no-master */
            }
            if (d->node >= 0 && !d->dma_unprotected && moves_data(&world->board.dt, d->node)) {
                violate(proof,
                        "%s:%" PRIu32
                        ": %s does DMA, no IOMMU restrains it, and the line does not say 'dma: unprotected'",
                        world->spec.file, d->line, world->board.dt.nodes[d->node].path);
            }
        }
    }
}

static void prove_device_reached(const struct world *world, struct proof *proof, const struct part *part,
                                 const struct range *given)
{
    for (uint64_t in = given->base; in < given->end;) {
        const struct mapping *m = walk_find(&part->stage2, in);

        if (m == NULL || m->out + (in - m->in) != in || !can_read(m) || !can_write(m)) {
            violate(proof, "partition %s does not reach %s: 0x%" PRIx64, part->name, given->what, in);
            note(proof, "%s", walk_path(&part->stage2, &world->elf, in));
            return;
        }
        in = m->in + m->size;
    }
    proof->checked += (given->end - given->base) / PAGE_SIZE;
}

static void prove_reached(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];

        for (size_t i = 0; part->stage2.done && i < part->given.count; i++) {
            prove_device_reached(world, proof, part, &part->given.at[i]);
        }
    }
}

/* ---------------------------------------------------------------- and nothing of another's */

/* Given to the partition, or a bus above or a part below such a device. */
static bool is_given(const struct world *world, const struct part *part, int node)
{
    const struct devtree *dt = &world->board.dt;

    for (size_t i = 0; part->spec != NULL && i < part->spec->device_count; i++) {
        int given = part->spec->devices[i].node;

        if (given >= 0 && (dt_is_under(dt, node, given) || dt_is_under(dt, given, node))) {
            return true;
        }
    }
    return false;
}

static bool is_anothers(const struct world *world, const struct part *part, int node)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct spec_partition *spec = world->parts[p].spec;

        for (size_t i = 0; p != part->index && spec != NULL && i < spec->device_count; i++) {
            if (spec->devices[i].node == node) {
                return true;
            }
        }
    }
    return false;
}

/* Registers of given devices, by the byte: what they cover is given even if another node names it too. */
static void given_bytes(const struct world *world, const struct part *part, struct ranges *bytes)
{
    const struct devtree *dt = &world->board.dt;

    for (size_t i = 0; part->spec != NULL && i < part->spec->device_count; i++) {
        int node = part->spec->devices[i].node;
        uint64_t base, size;

        for (int n = 0; node >= 0 && dt_reg(dt, node, n, &base, &size); n++) {
            ranges_add(bytes, base, size, dt->nodes[node].path, part->index);
        }
    }
    ranges_sort(bytes);
}

static bool spoken_for(const struct world *world, const struct range *device)
{
    return ranges_hit(&world->board.controller_regions, device->base, device->end) != NULL ||
           ranges_hit(&world->board.iommu, device->base, device->end) != NULL ||
           ranges_hit(&world->board.uart_pages, device->base, device->end) != NULL;
}

static void prove_mapping_foreign(const struct world *world, struct proof *proof, const struct part *part,
                                  const struct mapping *m, const struct ranges *own)
{
    const struct ranges *devices = &world->board.devices;
    uint64_t end = m->out + m->size;

    for (size_t i = ranges_first(devices, m->out); i < devices->count && devices->at[i].base < end; i++) {
        const struct range *d = &devices->at[i];
        uint64_t base = d->base > m->out ? d->base : m->out;

        if (d->end <= m->out || is_given(world, part, (int)d->owner) || spoken_for(world, d) ||
            ranges_cover(own, base, d->end < end ? d->end : end)) {
            continue;
        }
        /* A page is given as a whole: what else lies in it must at least be nobody's. */
        if (!is_anothers(world, part, (int)d->owner) && ranges_cover(&part->given, base, d->end < end ? d->end : end)) {
            continue;
        }
        violate(proof, "partition %s reaches %s at 0x%" PRIx64 ", which is not given to it", part->name, d->what, base);
        note(proof, "%s", walk_path(&part->stage2, &world->elf, m->in + (base - m->out)));
    }
}

static void prove_foreign(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        struct ranges own = {0};

        given_bytes(world, part, &own);
        for (size_t i = 0; i < part->stage2.map_count; i++) {
            prove_mapping_foreign(world, proof, part, &part->stage2.maps[i], &own);
            proof->checked += part->stage2.maps[i].size / PAGE_SIZE;
        }
    }
}

/* ---------------------------------------------------------------- attributes, emulated pages */

static void prove_attributes(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];

        for (size_t i = 0; i < part->stage2.map_count; i++) {
            const struct mapping *m = &part->stage2.maps[i];
            uint64_t base = m->out;

            if (ranges_gap(&world->board.memory, &base, m->out + m->size) == 0) {
                continue;
            }
            proof->checked += m->size / PAGE_SIZE;
            if (m->memory != MEMORY_DEVICE || can_execute(m)) {
                violate(proof, "partition %s: 0x%" PRIx64 " is no RAM, but mapped with %s%s", part->name, base,
                        part->stage2.format->memory_text(m->attr), can_execute(m) ? ", executable" : "");
                note(proof, "%s", walk_path(&part->stage2, &world->elf, m->in + (base - m->out)));
            }
        }
    }
}

static void unmapped(const struct world *world, struct proof *proof, const struct part *part, uint64_t base,
                     uint64_t size, const char *what)
{
    size_t i = walk_first(&part->stage2, base);

    proof->checked += size / PAGE_SIZE;
    if (i < part->stage2.map_count && part->stage2.maps[i].in < base + size) {
        uint64_t in = part->stage2.maps[i].in > base ? part->stage2.maps[i].in : base;

        violate(proof,
                "partition %s: guest address 0x%" PRIx64 " of the %s is mapped: accesses do not reach the hypervisor",
                part->name, in, what);
        note(proof, "%s", walk_path(&part->stage2, &world->elf, in));
    }
}

static bool emulated_gic_at(const struct layout_gic *gic, uint64_t page)
{
    bool found = page >= gic->dist.raw && page - gic->dist.raw < gic->dist_size;

    for (uint32_t i = 0; i < gic->redist_count; i++) {
        found = found || (page >= gic->redist[i].raw && page - gic->redist[i].raw < gic->redist_size[i]);
    }
    return found;
}

/* Guest addresses are the board's: the I/O APIC is emulated at its own, the local APIC has MSRs only. */
static void prove_emulated_pc(const struct world *world, struct proof *proof)
{
    const struct ranges *own = &world->board.controller_regions;

    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct layout_vuart *vuart = &world->parts[p].raw.vuart;

        for (uint64_t port = vuart->base.raw; vuart->intid != 0 && port < vuart->base.raw + VUART_PORTS; port++) {
            proof->checked++;
            if (port >= IO_PORTS || port_passes(world, &world->parts[p], port)) {
                violate(proof,
                        "partition %s: I/O port 0x%" PRIx64 " of the virtual UART passes: accesses do not reach the "
                        "hypervisor",
                        world->parts[p].name, port);
                break;
            }
        }
        for (size_t i = 0; i < own->count; i++) {
            unmapped(world, proof, &world->parts[p], own->at[i].base, own->at[i].end - own->at[i].base, own->at[i].what);
        }
    }
}

static void prove_emulated(const struct world *world, struct proof *proof)
{
    const struct layout_gic *gic = &world->layout.gic;

    if (is_x86(world)) {
        prove_emulated_pc(world, proof);
        return;
    }
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        uint64_t vuart = part->raw.vuart.base.raw;

        if (part->raw.vuart.intid != 0 && ((vuart & PAGE_MASK) != 0 || emulated_gic_at(gic, vuart))) {
            violate(proof, "partition %s: its virtual UART at 0x%" PRIx64 " is no page of its own", part->name, vuart);
        }

        unmapped(world, proof, part, gic->dist.raw, gic->dist_size, "distributor");
        for (uint32_t i = 0; i < gic->redist_count; i++) {
            unmapped(world, proof, part, gic->redist[i].raw, gic->redist_size[i], "redistributors");
        }
        if (part->raw.vuart.intid != 0) {
            unmapped(world, proof, part, part->raw.vuart.base.raw, PAGE_SIZE, "virtual UART");
        }
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"controller-unreached",
     "No partition reaches a register of the interrupt controller: distributor, redistributors, ITS, message "
     "frames, CPU interfaces (with GICv2 the virtual CPU interface excepted, at the guest's CPU interface); on x86 the "
     "I/O APIC, the local APIC and the addresses where a write is an interrupt.",
     "pages", prove_gic, ARCH_BOTH},
    {"iommu-unreached",
     "No partition reaches a register of an IOMMU.",
     "pages", prove_iommu, ARCH_BOTH},
    {"uart-unreached",
     "No partition reaches the hypervisor's UART.",
     "pages", prove_uart, ARCH_BOTH},
    {"device-one-owner",
     "Every device of system.yaml is on the board, is given once, and is not the hypervisor's own.",
     "devices", prove_one_owner, ARCH_BOTH},
    {"device-dma",
     "A device that moves data by itself, as its node's name, its compatible or its properties (dmas, iommus, "
     "...) say, is given "
     "with `dma: unprotected` only; PCI functions of x86 never become bus masters (pci-no-master).",
     "devices", prove_dma, ARCH_BOTH},
    {"device-reached",
     "Every partition reaches every register page of every device given to it, for reading and writing, at the "
     "board's address.",
     "pages", prove_reached, ARCH_BOTH},
    {"device-foreign",
     "Every page with device registers that a partition reaches is a page of a device given to it, and holds no "
     "register "
     "of a device given to another.",
     "pages", prove_foreign, ARCH_BOTH},
    {"device-attributes",
     "Whatever is not RAM is mapped as device memory, never cacheable, never executable.",
     "pages", prove_attributes, ARCH_BOTH},
    {"emulated-unmapped",
     "The pages of the emulated devices (distributor, redistributors, virtual UART; on x86 the I/O APIC) are apart "
     "from each other and unmapped for every guest; the I/O ports of a virtual UART do not pass.",
     "pages", prove_emulated, ARCH_BOTH},
};
/* clang-format on */

const struct rule_set device_rules = {"Devices", rules, sizeof(rules) / sizeof(rules[0])};
