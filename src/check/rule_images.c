/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about the pristine images and where each partition starts. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define BZIMAGE_MAGIC      0x202u /* "HdrS" (Documentation/arch/x86/boot.rst) */
#define IMAGE_MAGIC_OFFSET 56u /* of "ARM\x64" in Linux's Image header (Documentation/arm64/booting) */

static void prove_source(const struct world *world, struct proof *proof, const struct part *part, uint32_t index)
{
    const struct layout_image *image = &part->images[index];
    uint64_t source = (uint64_t)(uintptr_t)image->source;
    const struct section *section = elf_section_of(&world->elf, source);

    proof->checked += image->size;
    if (((source | image->target.raw | image->size) & 15) != 0) {
        violate(proof, "partition %s: image %" PRIu32 " is not aligned to 16 bytes", part->name, index);
    }
    if (section == NULL || section->write || section->execute ||
        image->size > section->size - (source - section->base) || elf_at(&world->elf, source, image->size) == NULL) {
        violate(proof,
                "partition %s: image %" PRIu32 " at 0x%" PRIx64 " (%" PRIu64 " bytes) is not in a read-only section",
                part->name, index, source, image->size);
    }
}

/* An image that reached into the next one would hand out another partition's. */
static void prove_sources(const struct world *world, struct proof *proof)
{
    struct ranges taken = {0};

    for (uint32_t p = 0; p < world->part_count; p++) {
        for (uint32_t i = 0; i < world->parts[p].raw.image_count; i++) {
            const struct layout_image *image = &world->parts[p].images[i];

            prove_source(world, proof, &world->parts[p], i);
            ranges_add(&taken, (uint64_t)(uintptr_t)image->source, image->size, world->parts[p].name, p);
        }
    }
    ranges_sort(&taken);
    for (size_t i = 1; i < taken.count; i++) {
        const struct range *r = &taken.at[i];

        if (r->base < taken.at[i - 1].reach && (r->base != taken.at[i - 1].base || r->end != taken.at[i - 1].end)) {
            violate(proof, "an image of %s reaches into one of %s at 0x%" PRIx64, taken.at[i - 1].what, r->what,
                    r->base);
        }
    }
    free(taken.at);
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
                violate(proof,
                        "partition %s: image %" PRIu32 " goes to 0x%" PRIx64 "..0x%" PRIx64 ", which is not its RAM",
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
        prove_address(proof, part, part->raw.dtb.raw, is_x86(world) ? "boot block" : "devicetree");
        if (!is_x86(world) && (part->raw.entry.raw & 3) != 0) {
            violate(proof, "partition %s: its entry 0x%" PRIx64 " is not aligned to an instruction", part->name,
                    part->raw.entry.raw);
        }
        if (m != NULL && !can_execute(m)) {
            violate(proof, "partition %s: its entry 0x%" PRIx64 " is not executable", part->name, part->raw.entry.raw);
            note(proof, "%s", walk_path(&part->stage2, &world->elf, part->raw.entry.raw));
        }
    }
}

/* ---------------------------------------------------------------- contents */

static uint8_t *find_file(const struct world *world, const char *name, size_t *size)
{
    if (name[0] == '/') {
        return file_exists(name) ? read_file(name, size) : NULL;
    }
    for (size_t i = 0; i < sizeof(world->folders) / sizeof(world->folders[0]); i++) {
        const char *path = text("%s/%s", world->folders[i], name);

        if (file_exists(path)) {
            return read_file(path, size);
        }
    }
    return NULL;
}

/* The bytes that will stand at a guest address, wherever RAM is cut in pieces. */
static void prove_bytes(const struct world *world, struct proof *proof, const struct part *part, uint64_t ipa,
                        const uint8_t *bytes, uint64_t size, const char *what)
{
    uint64_t done = 0;

    while (done < size) {
        uint64_t count = 0;
        const uint8_t *found = image_at(world, part, ipa + done, &count);

        count = count < size - done ? count : size - done;
        if (found == NULL || memcmp(found, bytes + done, count) != 0) {
            violate(proof, "partition %s: at guest address 0x%" PRIx64 " there is not what %s has", part->name,
                    ipa + done, what);
            return;
        }
        done += count;
    }
    proof->checked += size;
}

static void prove_start(struct proof *proof, const struct part *part, uint64_t wanted)
{
    if (part->raw.entry.raw != wanted) {
        violate(proof, "partition %s is entered at 0x%" PRIx64 ", its image begins at 0x%" PRIx64, part->name,
                part->raw.entry.raw, wanted);
    }
}

static void prove_raw(const struct world *world, struct proof *proof, const struct part *part, const uint8_t *bytes,
                      size_t size)
{
    uint64_t base = part->raw.memory_count != 0 ? part->memory[0].ipa.raw + part->spec->offset : 0;

    prove_start(proof, part, base);
    prove_bytes(world, proof, part, base, bytes, size, part->spec->image);
}

/* `cleared`: the guest clears its .bss by itself, so zeros at the end of a segment need not be copied. */
static void prove_elf(const struct world *world, struct proof *proof, const struct part *part, const uint8_t *bytes,
                      size_t size, bool cleared)
{
    struct elf_guest guest = {0};

    if (!elf_guest_load(&guest, world->elf.arch, bytes, size)) {
        violate(proof, "partition %s: %s is not an ELF file for %s", part->name, part->spec->image,
                is_x86(world) ? "x86" : "AArch64");
        return;
    }
    prove_start(proof, part, guest.entry);
    for (size_t i = 0; i < guest.count; i++) {
        struct segment *s = &guest.segments[i];

        while (cleared && s->size != 0 && s->bytes[s->size - 1] == 0) {
            s->size--;
        }
        prove_bytes(world, proof, part, s->base, s->bytes, s->size, part->spec->image);
    }
}

static bool is_kernel(const uint8_t *bytes, uint64_t size)
{
    return size >= IMAGE_MAGIC_OFFSET + 4 && memcmp(bytes + IMAGE_MAGIC_OFFSET, "ARM\x64", 4) == 0;
}

/* A compressed kernel is not unpacked here: then the header at the entry has to do. */
static void prove_kernel(const struct world *world, struct proof *proof, const struct part *part, const uint8_t *bytes,
                         size_t size)
{
    uint64_t count = 0;
    const uint8_t *entry = image_at(world, part, part->raw.entry.raw, &count);

    if (entry == NULL || !is_kernel(entry, count)) {
        violate(proof, "partition %s: at its entry 0x%" PRIx64 " there is no Linux Image", part->name,
                part->raw.entry.raw);
    } else if (is_kernel(bytes, size)) {
        prove_bytes(world, proof, part, part->raw.entry.raw, bytes, size, part->spec->image);
    }
}

/* A vmlinux is an ELF file, and clears its .bss (arch/x86/kernel/head64.c); a bzImage holds one, compressed, which is not unpacked here. */
static void prove_pc_kernel(const struct world *world, struct proof *proof, const struct part *part,
                            const uint8_t *bytes, size_t size)
{
    if (size >= BZIMAGE_MAGIC + 4 && memcmp(bytes + BZIMAGE_MAGIC, "HdrS", 4) == 0) {
        proof->checked += 4;
    } else {
        prove_elf(world, proof, part, bytes, size, true);
    }
}

/* Where the guest will look for its initrd: as its devicetree or its boot block says. */
static bool told_initrd(const struct world *world, const struct part *part, uint64_t *start, uint64_t *end)
{
    struct devtree dt = {0};

    if (is_x86(world)) {
        boot_initrd(world, part, start, end);
        return *end > *start;
    }
    if (part_tree(world, part, &dt) != NULL) {
        return false;
    }
    dt_initrd(&dt, start, end);
    return true;
}

static void prove_initrd_file(const struct world *world, struct proof *proof, const struct part *part)
{
    size_t size = 0;
    const uint8_t *bytes = find_file(world, part->spec->initrd, &size);
    uint64_t start = 0, end = 0;

    if (bytes == NULL) {
        violate(proof, "partition %s: there is no file '%s' to compare with", part->name, part->spec->initrd);
    } else if (told_initrd(world, part, &start, &end)) {
        if (end - start != size) {
            violate(proof, "partition %s: the guest is told that its initrd has %" PRIu64 " bytes, %s has %zu",
                    part->name, end - start, part->spec->initrd, size);
        }
        prove_bytes(world, proof, part, start, bytes, size, part->spec->initrd);
    }
}

static void prove_contents(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        size_t size = 0;
        const uint8_t *bytes = part->spec != NULL ? find_file(world, part->spec->image, &size) : NULL;

        if (part->spec == NULL) {
            continue;
        }
        if (bytes == NULL) {
            violate(proof, "partition %s: there is no file '%s' to compare with", part->name, part->spec->image);
        } else if (part->spec->kind == SPEC_RAW) {
            prove_raw(world, proof, part, bytes, size);
        } else if (part->spec->kind == SPEC_ELF) {
            prove_elf(world, proof, part, bytes, size, false);
        } else if (is_x86(world)) {
            prove_pc_kernel(world, proof, part, bytes, size);
        } else {
            prove_kernel(world, proof, part, bytes, size);
        }
        if (part->spec->initrd != NULL) {
            prove_initrd_file(world, proof, part);
        }
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"image-source",
     "Every pristine image lies whole in read-only memory of the hypervisor, and none reaches into another.",
     "bytes", prove_sources, ARCH_BOTH},
    {"image-target",
     "Every image is copied into RAM of its own partition only, and none overwrites another.",
     "bytes", prove_targets, ARCH_BOTH},
    {"image-content",
     "What is copied is what system.yaml names: a raw file at its offset and entered at its first byte, an ELF "
     "file's segments at "
     "their addresses and entered at its entry (x86: its PVH entry, if it has one), a Linux Image entered at its "
     "header, the initrd where the guest is told that it is.",
     "bytes", prove_contents, ARCH_BOTH},
    {"entry-inside",
     "Every partition starts in its own RAM, in an image, at an executable address, and its devicetree (x86: boot block) lies there "
     "too.",
     "addresses", prove_entry, ARCH_BOTH},
};
/* clang-format on */

const struct rule_set image_rules = {"Images", rules, sizeof(rules) / sizeof(rules[0])};
