/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about the pristine images and where each partition starts. */
#include "check.h"

#include <stdlib.h>

static void prove_source(const struct world *world, struct proof *proof, const struct part *part, uint32_t index)
{
    const struct layout_image *image = &part->images[index];
    uint64_t source = (uint64_t)(uintptr_t)image->source;
    const struct section *section = elf_section_of(&world->elf, source);

    proof->checked += image->size;
    if (((source | image->target.raw | image->size) & 15) != 0) {
        violate(proof, "partition %s: image %" PRIu32 " is not aligned to 16 bytes", part->name, index);
    }
    if (section == NULL || section->write || section->execute || image->size > section->size - (source - section->base) ||
        elf_at(&world->elf, source, image->size) == NULL) {
        violate(proof, "partition %s: image %" PRIu32 " at 0x%" PRIx64 " (%" PRIu64 " bytes) is not in a read-only section",
                part->name, index, source, image->size);
    }
}

static void prove_sources(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        for (uint32_t i = 0; i < world->parts[p].raw.image_count; i++) {
            prove_source(world, proof, &world->parts[p], i);
        }
    }
}

static void prove_targets(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        struct ranges taken = {0};

        for (uint32_t i = 0; i < part->raw.image_count; i++) {
            uint64_t base = part->images[i].target.raw;
            uint64_t size = part->images[i].size;

            proof->checked += size;
            if (size > UINT64_MAX - base || !ranges_cover(&part->ram, base, base + size)) {
                violate(proof, "partition %s: image %" PRIu32 " goes to 0x%" PRIx64 "..0x%" PRIx64 ", which is not its RAM",
                        part->name, i, base, base + size - 1);
            }
            ranges_add(&taken, base, size, "image", i);
        }
        ranges_sort(&taken);
        for (size_t i = 1; i < taken.count; i++) {
            if (taken.at[i].base < taken.at[i - 1].reach) {
                violate(proof, "partition %s: image %" PRIu32 " overwrites another at 0x%" PRIx64, part->name,
                        taken.at[i].owner, taken.at[i].base);
            }
        }
        free(taken.at);
    }
}

static bool in_image(const struct part *part, uint64_t pa)
{
    for (uint32_t i = 0; i < part->raw.image_count; i++) {
        if (pa >= part->images[i].target.raw && pa - part->images[i].target.raw < part->images[i].size) {
            return true;
        }
    }
    return false;
}

static void prove_address(struct proof *proof, const struct part *part, uint64_t ipa, const char *what)
{
    uint64_t pa = 0;

    proof->checked++;
    if (!ipa_to_pa(part, ipa, &pa)) {
        violate(proof, "partition %s: its %s 0x%" PRIx64 " is not in its RAM", part->name, what, ipa);
    } else if (!in_image(part, pa)) {
        violate(proof, "partition %s: at its %s 0x%" PRIx64 " there is no image", part->name, what, ipa);
    }
}

static void prove_entry(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        const struct mapping *m = walk_find(&part->stage2, part->raw.entry.raw);

        prove_address(proof, part, part->raw.entry.raw, "entry");
        prove_address(proof, part, part->raw.dtb.raw, "devicetree");
        if ((part->raw.entry.raw & 3) != 0) {
            violate(proof, "partition %s: its entry 0x%" PRIx64 " is not aligned to an instruction", part->name,
                    part->raw.entry.raw);
        }
        if (m != NULL && !s2_execute(m->attr)) {
            violate(proof, "partition %s: its entry 0x%" PRIx64 " is not executable", part->name, part->raw.entry.raw);
            note(proof, "%s", walk_path(&part->stage2, &world->elf, part->raw.entry.raw));
        }
    }
}

static const struct rule rules[] = {
    {"image-source",
     "Every pristine image lies whole in read-only memory of the hypervisor.",
     "bytes", prove_sources},
    {"image-target",
     "Every image is copied into RAM of its own partition only, and none overwrites another.",
     "bytes", prove_targets},
    {"entry-inside",
     "Every partition starts in its own RAM, in an image, at an executable address, and its devicetree lies there too.",
     "addresses", prove_entry},
};

const struct rule_set image_rules = {"Images", rules, sizeof(rules) / sizeof(rules[0])};
