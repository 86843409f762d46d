/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about the tables as memory: every descriptor is a defined one, and nobody can write what the MMU reads. */
#include "check.h"

static void faults_of(const struct walk *walk, struct proof *proof)
{
    proof->checked += walk->entries;
    for (size_t i = 0; i < walk->fault_count; i++) {
        const struct walk_fault *f = &walk->faults[i];

        if (!f->missing) {
            violate(proof, "%s: descriptor 0x%016" PRIx64 " for address 0x%" PRIx64 " in table 0x%" PRIx64 ": %s",
                    walk->name, f->descriptor, f->in, f->table, f->why);
        }
    }
}

static void prove_wellformed(const struct world *world, struct proof *proof)
{
    faults_of(&world->main, proof);
    for (uint32_t i = 0; i < world->part_count; i++) {
        faults_of(&world->parts[i].stage2, proof);
        faults_of(&world->parts[i].loader, proof);
    }
}

static void missing_of(const struct walk *walk, struct proof *proof)
{
    for (size_t i = 0; i < walk->fault_count; i++) {
        const struct walk_fault *f = &walk->faults[i];

        if (f->missing) {
            violate(proof, "%s: descriptor 0x%016" PRIx64 " for address 0x%" PRIx64 " in table 0x%" PRIx64 ": %s",
                    walk->name, f->descriptor, f->in, f->table, f->why);
        }
    }
}

/* A map of the hypervisor (main or loader) through which [base, end) can be written; NULL: none. */
static const struct walk *writer_of(const struct walk *walk, uint64_t base, uint64_t end)
{
    for (size_t i = 0; i < walk->map_count; i++) {
        const struct mapping *m = &walk->maps[i];

        if (can_write(m) && m->out < end && base < m->out + m->size) {
            return walk;
        }
    }
    return NULL;
}

static const struct walk *any_writer(const struct world *world, uint64_t base, uint64_t end)
{
    const struct walk *found = writer_of(&world->main, base, end);

    for (uint32_t i = 0; i < world->part_count && found == NULL; i++) {
        found = writer_of(&world->parts[i].loader, base, end);
    }
    return found;
}

/* ARM64 has no other way to stop a direct partition from another core; x86 sends an NMI. */
static bool has_writable_root(const struct world *world, const struct part *part)
{
    return !is_x86(world) && part->raw.irq_mode == LAYOUT_IRQ_DIRECT;
}

static bool is_direct_root(const struct world *world, uint64_t table)
{
    for (uint32_t i = 0; i < world->part_count; i++) {
        const struct part *part = &world->parts[i];

        if (has_writable_root(world, part) && part->stage2.done && part->stage2.root == table) {
            return true;
        }
    }
    return false;
}

static void tables_of(const struct world *world, const struct walk *walk, struct proof *proof)
{
    uint64_t start = 0, end = 0;

    (void)elf_symbol(&world->elf, "__ro_tables_start", &start);
    (void)elf_symbol(&world->elf, "__ro_tables_end", &end);
    for (size_t i = 0; i < walk->tables.count; i++) {
        const struct range *t = &walk->tables.at[i];
        const struct section *section = elf_section_of(&world->elf, t->base);
        const struct walk *writer = any_writer(world, t->base, t->end);

        proof->checked++;
        if (walk->stage2 && t->base == walk->root && is_direct_root(world, t->base)) {
            continue;
        }
        if (section == NULL || section->write) {
            violate(proof, "%s: table 0x%" PRIx64 " lies in the writable section %s", walk->name, t->base,
                    section != NULL ? section->name : "(none)");
        } else if (writer != NULL) {
            violate(proof, "%s: table 0x%" PRIx64 " can be written through %s", walk->name, t->base, writer->name);
            note(proof, "%s", walk_path(writer, &world->elf, t->base));
        } else if (t->base < start || t->end > end) {
            violate(proof, "%s: table 0x%" PRIx64 " lies outside the range of the checksum", walk->name, t->base);
        }
    }
}

static void prove_protected(const struct world *world, struct proof *proof)
{
    missing_of(&world->main, proof);
    tables_of(world, &world->main, proof);
    for (uint32_t i = 0; i < world->part_count; i++) {
        missing_of(&world->parts[i].stage2, proof);
        missing_of(&world->parts[i].loader, proof);
        tables_of(world, &world->parts[i].stage2, proof);
        tables_of(world, &world->parts[i].loader, proof);
    }
}

static void prove_direct_root(const struct world *world, struct proof *proof, const struct part *part)
{
    const struct walk *walk = &part->stage2;
    uint64_t root = (uint64_t)(uintptr_t)part->raw.root;
    const struct mapping *m = walk_find(&world->main, root);

    if (root != walk->root || part->raw.root_count != walk->root_entries) {
        violate(proof,
                "partition %s: root 0x%" PRIx64 " with %" PRIu32 " entries, VTTBR_EL2 says 0x%" PRIx64 " with %" PRIu64,
                part->name, root, part->raw.root_count, walk->root, walk->root_entries);
        return;
    }
    if (world->main.done && (m == NULL || !can_write(m))) {
        violate(proof, "partition %s: its root 0x%" PRIx64 " is not writable for the hypervisor", part->name, root);
        note(proof, "%s", walk_path(&world->main, &world->elf, root));
    }
    for (uint32_t i = 0; i < world->part_count; i++) {
        const struct range *hit = ranges_hit(&world->parts[i].stage2.tables, root, root + walk->root_entries * 8);

        if (i != part->index && hit != NULL) {
            violate(proof, "partition %s: its root 0x%" PRIx64 " is used by partition %s too", part->name, root,
                    world->parts[i].name);
        }
    }
}

static void prove_roots(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->part_count; i++) {
        const struct part *part = &world->parts[i];

        if (!has_writable_root(world, part)) {
            if (part->raw.root != NULL || part->raw.root_count != 0) {
                violate(proof, "partition %s is not direct on ARM64, but the layout names its root 0x%" PRIx64 " for withdrawal",
                        part->name, (uint64_t)(uintptr_t)part->raw.root);
            }
        } else if (part->stage2.done) {
            prove_direct_root(world, proof, part);
        }
        proof->checked++;
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"tables-wellformed",
     "Every descriptor that any walk reads is one that the architecture defines: no reserved encoding, no "
     "reserved bit, "
     "access flag set, addresses aligned and inside the physical address size, no table entered twice in one walk.",
     "descriptors", prove_wellformed, ARCH_BOTH},
    {"tables-protected",
     "Every table that any walk reads lies in a read-only section under the checksum and is not writable through any "
     "map of the hypervisor; only the root of a direct partition on ARM64 is excepted.",
     "tables", prove_protected, ARCH_BOTH},
    {"root-withdrawable",
     "On ARM64 the stage-2 root of a direct partition is writable for the hypervisor, complete, and nobody else's; no "
     "other partition's root is writable.",
     "roots", prove_roots, ARCH_BOTH},
};
/* clang-format on */

const struct rule_set table_rules = {"Translation tables", rules, sizeof(rules) / sizeof(rules[0])};
