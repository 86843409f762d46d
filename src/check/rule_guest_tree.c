/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about the guests' devicetrees: they name what the partition owns. */
#include "check.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

/* The devicetree that is copied to where the guest finds it in x0. */
const char *part_tree(const struct world *world, const struct part *part, struct devtree *dt)
{
    uint64_t pa = 0;

    if (!ipa_to_pa(part, part->raw.dtb.raw, &pa)) {
        return "its address is not in RAM";
    }
    for (uint32_t i = 0; i < part->raw.image_count; i++) {
        const struct layout_image *image = &part->images[i];
        const uint8_t *blob = elf_at(&world->elf, (uint64_t)(uintptr_t)image->source, image->size);

        if (image->target.raw == pa && blob != NULL) {
            return dt_load(dt, blob, image->size);
        }
    }
    return "no image is copied there";
}

static void each_tree(const struct world *world, struct proof *proof,
                      void (*prove)(const struct world *, struct proof *, const struct part *, const struct devtree *))
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        struct devtree dt = {0};

        if (part_tree(world, &world->parts[p], &dt) == NULL) {
            prove(world, proof, &world->parts[p], &dt);
        }
    }
}

static void prove_readable(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        struct devtree dt = {0};
        const char *wrong = part_tree(world, &world->parts[p], &dt);

        proof->checked += (uint64_t)dt.count;
        if (wrong != NULL) {
            violate(proof, "the devicetree of %s at guest address 0x%" PRIx64 ": %s", world->parts[p].name,
                    world->parts[p].raw.dtb.raw, wrong);
        }
    }
}

static bool is_memory(const struct devtree *dt, int node)
{
    const char *type = dt_string(dt, node, "device_type");

    return type != NULL && strcmp(type, "memory") == 0;
}

static void memory_of(const struct world *world, struct proof *proof, const struct part *part, const struct devtree *dt)
{
    struct ranges tree = {0}, own = {0};
    uint64_t base, size;

    (void)world;
    for (int i = 0; i < dt->count; i++) {
        for (int n = 0; is_memory(dt, i) && dt_reg(dt, i, n, &base, &size); n++) {
            ranges_add(&tree, base, size, dt->nodes[i].path, NO_OWNER);
        }
    }
    for (uint32_t i = 0; i < part->raw.memory_count; i++) {
        ranges_add(&own, part->memory[i].ipa.raw, part->memory[i].size, "RAM", NO_OWNER);
    }
    ranges_sort(&tree);
    ranges_sort(&own);
    for (size_t i = 0; i < tree.count; i++) {
        base = tree.at[i].base;
        proof->checked += (tree.at[i].end - tree.at[i].base) / PAGE_SIZE;
        if (ranges_gap(&own, &base, tree.at[i].end) != 0) {
            violate(proof, "the devicetree of %s names memory at 0x%" PRIx64 " (%s), which it does not have",
                    part->name, base, tree.at[i].what);
        }
    }
    for (size_t i = 0; i < own.count; i++) {
        base = own.at[i].base;
        if (ranges_gap(&tree, &base, own.at[i].end) != 0) {
            violate(proof, "the devicetree of %s does not name its memory at 0x%" PRIx64, part->name, base);
        }
    }
}

static void prove_memory(const struct world *world, struct proof *proof)
{
    each_tree(world, proof, memory_of);
}

static uint64_t cpu_reg(const struct devtree *dt, int node)
{
    int size;
    const uint8_t *reg = dt_prop(dt, node, "reg", &size);
    uint64_t value = 0;

    for (int i = 0; reg != NULL && i < size && i < 8; i++) {
        value = value << 8 | reg[i];
    }
    return reg != NULL ? value : UINT64_MAX;
}

static void cpus_of(const struct world *world, struct proof *proof, const struct part *part, const struct devtree *dt)
{
    int cpus = dt_find(dt, "/cpus");
    uint32_t count = 0;

    (void)world;
    for (int i = 0; cpus >= 0 && i < dt->count; i++) {
        const char *type = dt_string(dt, i, "device_type");
        uint64_t wanted = (uint64_t)(count / 16) << 8 | count % 16;

        if (dt->nodes[i].parent != cpus || type == NULL || strcmp(type, "cpu") != 0) {
            continue;
        }
        proof->checked++;
        if (cpu_reg(dt, i) != wanted) {
            violate(proof, "the devicetree of %s: %s has number 0x%" PRIx64 ", vcpu %" PRIu32 " has 0x%" PRIx64,
                    part->name, dt->nodes[i].path, cpu_reg(dt, i), count, wanted);
        }
        count++;
    }
    if (count != part->raw.vcpu_count) {
        violate(proof, "the devicetree of %s names %" PRIu32 " CPUs, it has %" PRIu32, part->name, count,
                part->raw.vcpu_count);
    }
}

static void prove_cpus(const struct world *world, struct proof *proof)
{
    each_tree(world, proof, cpus_of);
}

/* ---------------------------------------------------------------- registers */

/* Guest addresses behind which there is something: mapped pages and emulated ones. */
static void reachable(const struct world *world, const struct part *part, struct ranges *list)
{
    const struct layout_gic *gic = &world->layout.gic;

    for (size_t i = 0; i < part->stage2.map_count; i++) {
        ranges_add(list, part->stage2.maps[i].in, part->stage2.maps[i].size, "mapped", NO_OWNER);
    }
    ranges_add_pages(list, gic->dist.raw, gic->dist_size, "distributor", NO_OWNER);
    if (gic->version == 3) {
        ranges_add_pages(list, gic->redist[0].raw, (uint64_t)part->raw.vcpu_count * gic->redist_stride,
                         "redistributors", NO_OWNER);
    }
    if (part->raw.vuart.intid != 0) {
        ranges_add_pages(list, part->raw.vuart.base.raw, PAGE_SIZE, "virtual UART", NO_OWNER);
    }
    if (part->raw.watchdog_intid != 0) {
        ranges_add_pages(list, part->raw.watchdog.raw, 2 * PAGE_SIZE, "watchdog", NO_OWNER);
    }
    for (uint32_t i = 0; i < part->raw.doorbell_count; i++) {
        ranges_add_pages(list, part->doorbells[i].page.raw, PAGE_SIZE, "doorbell", NO_OWNER);
    }
    ranges_sort(list);
}

static void registers_of(const struct world *world, struct proof *proof, const struct part *part,
                         const struct devtree *dt)
{
    struct ranges known = {0};
    uint64_t base, size;

    if (!part->stage2.done) {
        return;
    }
    reachable(world, part, &known);
    for (int i = 0; i < dt->count; i++) {
        for (int n = 0; !is_memory(dt, i) && dt_reg(dt, i, n, &base, &size); n++) {
            uint64_t gap = base;

            proof->checked++;
            if (size > UINT64_MAX - base || (size != 0 && !ranges_cover(&known, base, base + size))) {
                (void)ranges_gap(&known, &gap, size > UINT64_MAX - base ? UINT64_MAX : base + size);
                violate(proof,
                        "the devicetree of %s: %s has registers at 0x%" PRIx64 ", which the partition does not reach",
                        part->name, dt->nodes[i].path, gap);
                note(proof, "%s", walk_path(&part->stage2, &world->elf, gap));
            }
        }
    }
    free(known.at);
}

static void prove_registers(const struct world *world, struct proof *proof)
{
    each_tree(world, proof, registers_of);
}

/* ---------------------------------------------------------------- interrupts */

/* The secure timer's interrupt stands first by the binding; no guest can use it. */
static bool is_secure_timer(const struct devtree *dt, int node, int index)
{
    return index == 0 && (dt_compatible(dt, node, "arm,armv8-timer") || dt_compatible(dt, node, "arm,armv7-timer")) &&
           dt_prop(dt, node, "interrupt-names", NULL) == NULL;
}

static bool owns_interrupt(const struct world *world, const struct part *part, uint32_t intid)
{
    if (intid < FIRST_SPI) {
        return intid >= 16 && (part->raw.ppi_mask >> intid & 1) != 0;
    }
    return part_owns_irq(world, part, intid) || (part->raw.vuart.intid != 0 && part->raw.vuart.intid == intid);
}

static void interrupts_of(const struct world *world, struct proof *proof, const struct part *part,
                          const struct devtree *dt)
{
    struct dt_interrupt irq;

    (void)world;
    for (int i = 0; i < dt->count; i++) {
        for (int n = 0; dt_interrupt(dt, i, n, &irq); n++) {
            proof->checked++;
            if (irq.known && !owns_interrupt(world, part, irq.intid) && !is_secure_timer(dt, i, n)) {
                violate(proof, "the devicetree of %s: %s names INTID %" PRIu32 ", which the partition does not own",
                        part->name, dt->nodes[i].path, irq.intid);
            }
        }
    }
}

static void prove_interrupts(const struct world *world, struct proof *proof)
{
    each_tree(world, proof, interrupts_of);
}

/* ---------------------------------------------------------------- initrd */

static void initrd_of(const struct world *world, struct proof *proof, const struct part *part, const struct devtree *dt)
{
    uint64_t start = 0, end = 0;
    struct ranges own = {0};

    (void)world;
    dt_initrd(dt, &start, &end);
    for (uint32_t i = 0; i < part->raw.memory_count; i++) {
        ranges_add(&own, part->memory[i].ipa.raw, part->memory[i].size, "RAM", NO_OWNER);
    }
    ranges_sort(&own);
    proof->checked++;
    if (end < start || (end > start && !ranges_cover(&own, start, end))) {
        violate(proof, "the devicetree of %s has its initrd at 0x%" PRIx64 "..0x%" PRIx64 ", which is not its RAM",
                part->name, start, end);
    }
}

static void prove_initrd(const struct world *world, struct proof *proof)
{
    each_tree(world, proof, initrd_of);
}

/* clang-format off */
static const struct rule rules[] = {
    {"tree-readable",
     "Every partition finds a valid flattened devicetree at the address in x0.",
     "nodes", prove_readable, ARCH_ARM64},
    {"tree-memory",
     "A guest's devicetree names its RAM, all of it and no more.",
     "pages", prove_memory, ARCH_ARM64},
    {"tree-cpus",
     "A guest's devicetree names its vcpus, by the numbers that they have in MPIDR_EL1.",
     "CPUs", prove_cpus, ARCH_ARM64},
    {"tree-registers",
     "Every register range in a guest's devicetree is one that the guest reaches, or an emulated device's.",
     "register ranges", prove_registers, ARCH_ARM64},
    {"tree-interrupts",
     "Every interrupt in a guest's devicetree is one that the partition owns.",
     "interrupts", prove_interrupts, ARCH_ARM64},
    {"tree-initrd",
     "The initrd that a guest's devicetree names lies in its RAM.",
     "partitions", prove_initrd, ARCH_ARM64},
};
/* clang-format on */

const struct rule_set guest_tree_rules = {"Guests' devicetrees", rules, sizeof(rules) / sizeof(rules[0])};
