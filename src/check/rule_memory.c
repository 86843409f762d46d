/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about RAM: who reaches which page, and whether it is what system.yaml gives. */
#include "check.h"

#include <stdlib.h>

#define PC_HOLE  (UINT64_C(2) << 30)
#define PC_HIGH  (UINT64_C(4) << 30)
#define PC_LEAST (UINT64_C(4) << 20)

/* Every place where a partition's stage 2 leads into `list`. */
static void prove_unreached(const struct world *world, struct proof *proof, const struct ranges *list)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct walk *walk = &world->parts[p].stage2;

        for (size_t i = 0; i < walk->map_count; i++) {
            const struct mapping *m = &walk->maps[i];
            const struct range *hit = ranges_hit(list, m->out, m->out + m->size);
            uint64_t pa;

            proof->checked += m->size / PAGE_SIZE;
            if (hit == NULL) {
                continue;
            }
            pa = hit->base > m->out ? hit->base : m->out;
            violate(proof, "partition %s reaches 0x%" PRIx64 " (%s) at guest address 0x%" PRIx64, world->parts[p].name,
                    pa, hit->what, m->in + (pa - m->out));
            note(proof, "%s", walk_path(walk, &world->elf, m->in + (pa - m->out)));
        }
    }
}

static void prove_hypervisor(const struct world *world, struct proof *proof)
{
    prove_unreached(world, proof, &world->hv);
}

static void prove_reserved(const struct world *world, struct proof *proof)
{
    prove_unreached(world, proof, &world->board.reserved);
}

static void report_shared(const struct world *world, struct proof *proof, const struct range *a, const struct range *b)
{
    const struct walk *first = &world->parts[a->owner].stage2;
    const struct walk *second = &world->parts[b->owner].stage2;
    uint64_t in = 0;

    violate(proof, "partitions %s and %s both reach 0x%" PRIx64 "..0x%" PRIx64, world->parts[a->owner].name,
            world->parts[b->owner].name, b->base, (a->end < b->end ? a->end : b->end) - 1);
    if (pa_to_in(first, b->base, &in)) {
        note(proof, "%s", walk_path(first, &world->elf, in));
    }
    if (pa_to_in(second, b->base, &in)) {
        note(proof, "%s", walk_path(second, &world->elf, in));
    }
}

/*
 * All mappings in the order of their physical addresses: two owners overlap exactly where a range
 * begins before the furthest end so far, and that end is another's. With GICv2 each core has its own
 * virtual CPU interface at the same address, which all guests are given. Channels have rules of their own.
 */
static void prove_exclusive(const struct world *world, struct proof *proof)
{
    struct ranges all = {0};
    const struct range *furthest = NULL;

    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct walk *walk = &world->parts[p].stage2;

        for (size_t i = 0; i < walk->map_count; i++) {
            if (!board_is_gicv(&world->board, walk->maps[i].out, walk->maps[i].out + walk->maps[i].size) &&
                !ranges_cover(&world->shared, walk->maps[i].out, walk->maps[i].out + walk->maps[i].size)) {
                ranges_add(&all, walk->maps[i].out, walk->maps[i].size, walk->name, p);
            }
            proof->checked += walk->maps[i].size / PAGE_SIZE;
        }
    }
    ranges_sort(&all);
    for (size_t i = 0; i < all.count; i++) {
        const struct range *r = &all.at[i];

        if (furthest != NULL && r->base < furthest->end && r->owner != furthest->owner) {
            report_shared(world, proof, furthest, r);
        }
        if (furthest == NULL || r->end > furthest->end) {
            furthest = r;
        }
    }
}

static void prove_amount(const struct world *world, struct proof *proof, const struct part *part)
{
    const struct spec_partition *spec = part->spec;
    uint64_t sum = 0;

    for (uint32_t i = 0; i < part->raw.memory_count; i++) {
        const struct layout_memory *m = &part->memory[i];
        uint64_t base = m->pa.raw;

        if (((m->ipa.raw | m->pa.raw | m->size) & PAGE_MASK) != 0 || m->size == 0) {
            violate(proof, "partition %s: memory range %" PRIu32 " is not made of whole pages", part->name, i);
        }
        if (ranges_gap(&world->board.memory, &base, m->pa.raw + m->size) != 0) {
            violate(proof, "partition %s: 0x%" PRIx64 " is given as RAM, but the board has none there", part->name,
                    base);
        }
        sum += m->size;
    }
    for (size_t i = 1; i < part->ram.count; i++) {
        if (part->ram.at[i].base < part->ram.at[i - 1].reach) {
            violate(proof, "partition %s: 0x%" PRIx64 " is counted twice as its RAM", part->name, part->ram.at[i].base);
        }
    }
    if (sum != spec->memory) {
        violate(proof, "partition %s has %" PRIu64 " bytes of RAM, %s:%" PRIu32 " gives it %" PRIu64, part->name, sum,
                world->spec.file, spec->line, spec->memory);
    }
    proof->checked += sum / PAGE_SIZE;
}

static void prove_given_amount(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        if (world->parts[p].spec != NULL) {
            prove_amount(world, proof, &world->parts[p]);
        }
    }
}

static bool wants_identity(const struct spec_partition *spec)
{
    for (size_t i = 0; i < spec->device_count; i++) {
        if (spec->devices[i].dma_unprotected) {
            return true;
        }
    }
    return false;
}

static void prove_place(const struct world *world, struct proof *proof, const struct part *part)
{
    const struct spec_partition *spec = part->spec;
    bool identity = wants_identity(spec);

    for (uint32_t i = 0; i < part->raw.memory_count; i++) {
        const struct layout_memory *m = &part->memory[i];

        if (identity && m->ipa.raw != m->pa.raw) {
            violate(proof,
                    "partition %s has a device with unprotected DMA, but guest address 0x%" PRIx64 " is 0x%" PRIx64,
                    part->name, m->ipa.raw, m->pa.raw);
        }
        if (spec->alignment != 0 && m->pa.raw % spec->alignment != 0 && part->raw.memory_count == 1) {
            violate(proof, "partition %s: its memory at 0x%" PRIx64 " is not aligned to 0x%" PRIx64, part->name,
                    m->pa.raw, spec->alignment);
        }
        proof->checked++;
    }
    if (part->raw.memory_count != 0 && spec->has_physical && part->ram.at[0].base != spec->physical) {
        violate(proof, "partition %s: its memory is at 0x%" PRIx64 ", %s:%" PRIu32 " fixes 0x%" PRIx64, part->name,
                part->ram.at[0].base, world->spec.file, spec->line, spec->physical);
    }
    if (part->raw.memory_count != 0 && spec->has_guest && part->memory[0].ipa.raw != spec->guest) {
        violate(proof, "partition %s: its guest address is 0x%" PRIx64 ", %s:%" PRIu32 " fixes 0x%" PRIx64, part->name,
                part->memory[0].ipa.raw, world->spec.file, spec->line, spec->guest);
    }
}

/* x86: RAM begins at 0 and leaves out what lies from 2 to 4 GiB, where registers are. */
static void prove_guest_places(struct proof *proof, const struct part *part)
{
    struct ranges own = {0};
    uint64_t total = 0, low;

    for (uint32_t i = 0; i < part->raw.memory_count; i++) {
        ranges_add(&own, part->memory[i].ipa.raw, part->memory[i].size, "RAM", NO_OWNER);
        total += part->memory[i].size;
    }
    ranges_sort(&own);
    low = total < PC_HOLE ? total : PC_HOLE;
    if (!ranges_cover(&own, 0, low) || !ranges_cover(&own, PC_HIGH, PC_HIGH + (total - low))) {
        violate(proof, "partition %s: its RAM is not at guest addresses 0..0x%" PRIx64 " and 0x%" PRIx64 "..0x%" PRIx64,
                part->name, low, PC_HIGH, PC_HIGH + (total - low));
    }
    if (total < PC_LEAST) {
        violate(proof, "partition %s has %" PRIu64 " bytes of RAM, a guest needs 4 MiB", part->name, total);
    }
    free(own.at);
}

static void prove_places(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        if (world->parts[p].spec != NULL) {
            prove_place(world, proof, &world->parts[p]);
        }
        if (is_x86(world)) {
            prove_guest_places(proof, &world->parts[p]);
        }
    }
}

/* Follows one range of the layout through stage 2 and reports the first address that goes astray. */
static void prove_range_mapped(const struct world *world, struct proof *proof, const struct part *part,
                               const struct layout_memory *range)
{
    uint64_t in = range->ipa.raw;
    uint64_t end = range->ipa.raw + range->size;

    while (in < end) {
        const struct mapping *m = walk_find(&part->stage2, in);

        if (m == NULL || m->out + (in - m->in) != in - range->ipa.raw + range->pa.raw || !can_read(m) ||
            !can_write(m) || !can_execute(m)) {
            violate(proof,
                    "partition %s does not reach its RAM 0x%" PRIx64 " for all access at guest address 0x%" PRIx64,
                    part->name, in - range->ipa.raw + range->pa.raw, in);
            note(proof, "%s", walk_path(&part->stage2, &world->elf, in));
            return;
        }
        in = m->in + m->size;
    }
    proof->checked += range->size / PAGE_SIZE;
}

static void prove_mapped(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];

        for (uint32_t i = 0; part->stage2.done && i < part->raw.memory_count; i++) {
            prove_range_mapped(world, proof, part, &part->memory[i]);
        }
    }
}

/* What another rule speaks about: own memory, devices, whatever is forbidden or another's. */
static void known_ranges(const struct world *world, const struct part *part, struct ranges *known)
{
    const struct ranges *devices = &world->board.devices;

    ranges_copy(known, &part->given);
    ranges_copy(known, &world->shared);
    ranges_copy(known, &world->hv);
    ranges_copy(known, &world->board.reserved);
    ranges_copy(known, &world->board.controller_regions);
    ranges_copy(known, &world->board.iommu);
    ranges_copy(known, &world->board.uart_pages);
    for (size_t i = 0; i < devices->count; i++) {
        ranges_add_pages(known, devices->at[i].base, devices->at[i].end - devices->at[i].base, devices->at[i].what,
                         NO_OWNER);
    }
    for (uint32_t p = 0; p < world->part_count; p++) {
        ranges_copy(known, &world->parts[p].ram);
    }
    ranges_sort(known);
}

static void prove_part_nothing_else(const struct world *world, struct proof *proof, const struct part *part)
{
    struct ranges known = {0};

    known_ranges(world, part, &known);
    for (size_t i = 0; i < part->stage2.map_count; i++) {
        const struct mapping *m = &part->stage2.maps[i];
        uint64_t base = m->out;

        proof->checked += m->size / PAGE_SIZE;
        if (ranges_gap(&known, &base, m->out + m->size) != 0) {
            violate(proof, "partition %s reaches 0x%" PRIx64 " at guest address 0x%" PRIx64 ", which nothing gives it",
                    part->name, base, m->in + (base - m->out));
            note(proof, "%s", walk_path(&part->stage2, &world->elf, m->in + (base - m->out)));
        }
    }
    free(known.at);
}

static bool in_own_memory(const struct part *part, const struct mapping *m, uint64_t pa)
{
    for (uint32_t i = 0; i < part->raw.memory_count; i++) {
        const struct layout_memory *r = &part->memory[i];

        if (pa >= r->pa.raw && pa - r->pa.raw < r->size) {
            return m->in + (pa - m->out) == pa - r->pa.raw + r->ipa.raw;
        }
    }
    return false;
}

/* Its RAM must not appear at a second guest address, and its devices at no other than the board's. */
static void prove_no_alias(const struct world *world, struct proof *proof, const struct part *part)
{
    for (size_t i = 0; i < part->stage2.map_count; i++) {
        const struct mapping *m = &part->stage2.maps[i];
        const struct range *hit = ranges_hit(&part->ram, m->out, m->out + m->size);
        const struct range *device = ranges_hit(&part->given, m->out, m->out + m->size);
        uint64_t pa;

        if (device != NULL && m->in != m->out) {
            violate(proof, "partition %s reaches %s at guest address 0x%" PRIx64 " too, not only at the board's",
                    part->name, device->what, m->in);
            note(proof, "%s", walk_path(&part->stage2, &world->elf, m->in));
        }
        if (hit == NULL) {
            continue;
        }
        pa = hit->base > m->out ? hit->base : m->out;
        if (!in_own_memory(part, m, pa)) {
            violate(proof,
                    "partition %s reaches its RAM 0x%" PRIx64 " at guest address 0x%" PRIx64 ", where the layout has "
                    "none",
                    part->name, pa, m->in + (pa - m->out));
            note(proof, "%s", walk_path(&part->stage2, &world->elf, m->in + (pa - m->out)));
        }
    }
}

static void prove_nothing_else(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        prove_part_nothing_else(world, proof, &world->parts[p]);
        prove_no_alias(world, proof, &world->parts[p]);
    }
}

static void prove_attributes(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];

        for (size_t i = 0; i < part->stage2.map_count; i++) {
            const struct mapping *m = &part->stage2.maps[i];

            if (ranges_hit(&world->board.memory, m->out, m->out + m->size) == NULL ||
                ranges_cover(&world->shared, m->out, m->out + m->size)) {
                continue;
            }
            proof->checked += m->size / PAGE_SIZE;
            if (m->memory != MEMORY_NORMAL) {
                violate(proof, "partition %s: RAM 0x%" PRIx64 " is not write-back and coherent: %s", part->name, m->out,
                        part->stage2.format->memory_text(m->attr));
                note(proof, "%s", walk_path(&part->stage2, &world->elf, m->in));
            }
        }
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"memory-exclusive",
     "No physical page is reached by two partitions, channels excepted (and with GICv2 the virtual CPU interface, banked "
     "by core).",
     "pages", prove_exclusive, ARCH_BOTH},
    {"hypervisor-unreached",
     "No partition reaches a page of the hypervisor: its code, data, stacks, tables, layout and the pristine images.",
     "pages", prove_hypervisor, ARCH_BOTH},
    {"reserved-unreached",
     "No partition reaches memory that the devicetree or board.yaml reserves for firmware and others.",
     "pages", prove_reserved, ARCH_BOTH},
    {"memory-amount",
     "Every partition has as much RAM as system.yaml gives it, in whole pages, where the board has RAM.",
     "pages", prove_given_amount, ARCH_BOTH},
    {"memory-place",
     "RAM lies where system.yaml fixes it, and guest address equals physical address where a device does "
     "unprotected DMA. On x86 it begins at guest address 0, leaves out 2 to 4 GiB, and is 4 MiB at least.",
     "ranges", prove_places, ARCH_BOTH},
    {"memory-mapped",
     "Every partition reaches all of its RAM, for reading, writing and executing, at the guest addresses of the "
     "layout.",
     "pages", prove_mapped, ARCH_BOTH},
    {"nothing-else",
     "What a partition reaches is its own RAM, its own devices and its channels, each at one guest address; nothing "
     "else.",
     "pages", prove_nothing_else, ARCH_BOTH},
    {"memory-attributes",
     "RAM is mapped as normal memory, write-back cacheable, and on ARM64 inner shareable.",
     "pages", prove_attributes, ARCH_BOTH},
};
/* clang-format on */

const struct rule_set memory_rules = {"Memory", rules, sizeof(rules) / sizeof(rules[0])};
