/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about the hypervisor's own address space: the main map, and the loader map of each partition. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define CANONICAL (UINT64_C(1) << 47) /* x86: higher input addresses are negative ones */
#define PC_REACH  (UINT64_C(2) << 30) /* x86: the code is linked for addresses of 31 bits */

static void each_map(const struct world *world, struct proof *proof,
                     void (*prove)(const struct world *, struct proof *, const struct walk *))
{
    if (world->main.done) {
        prove(world, proof, &world->main);
    }
    for (uint32_t i = 0; i < world->part_count; i++) {
        if (world->parts[i].loader.done) {
            prove(world, proof, &world->parts[i].loader);
        }
    }
}

static void wx_of(const struct world *world, struct proof *proof, const struct walk *walk)
{
    for (size_t i = 0; i < walk->map_count; i++) {
        const struct mapping *m = &walk->maps[i];

        proof->checked += m->size / PAGE_SIZE;
        if (can_write(m) && can_execute(m)) {
            violate(proof, "%s: 0x%" PRIx64 "..0x%" PRIx64 " is writable and executable", walk->name, m->in,
                    m->in + m->size - 1);
            note(proof, "%s", walk_path(walk, &world->elf, m->in));
        }
    }
}

static void prove_wx(const struct world *world, struct proof *proof)
{
    each_map(world, proof, wx_of);
}

static void identity_of(const struct world *world, struct proof *proof, const struct walk *walk)
{
    for (size_t i = 0; i < walk->map_count; i++) {
        const struct mapping *m = &walk->maps[i];

        proof->checked += m->size / PAGE_SIZE;
        if (m->in != m->out || (is_x86(world) && m->in >= CANONICAL)) {
            violate(proof, "%s: 0x%" PRIx64 " leads to 0x%" PRIx64, walk->name, m->in, m->out);
            note(proof, "%s", walk_path(walk, &world->elf, m->in));
        }
    }
}

static void prove_identity(const struct world *world, struct proof *proof)
{
    each_map(world, proof, identity_of);
}

/* ---------------------------------------------------------------- the image */

static bool is_guard(const struct world *world, uint64_t page)
{
    for (uint32_t i = 0; i < world->entry_count; i++) {
        if (page == world->cpus[i].stack_top - 2 * PAGE_SIZE) {
            return true;
        }
    }
    return false;
}

static const char *permission(bool write, bool execute)
{
    return execute ? (write ? "writable and executable" : "executable") : write ? "writable" : "read-only";
}

/* The pages of one section; one violation for each run of pages with the same mistake. */
static void image_section(const struct world *world, struct proof *proof, const struct section *s)
{
    uint64_t end = (s->base + s->size + PAGE_MASK) & ~PAGE_MASK;
    bool execute = s->execute && strcmp(s->name, ".efistub") != 0; /* code for the firmware alone */

    for (uint64_t page = s->base & ~PAGE_MASK; page < end;) {
        const struct mapping *m = walk_find(&world->main, page);

        proof->checked++;
        if (m == NULL && s->write && is_guard(world, page)) {
            page += PAGE_SIZE;
            continue;
        }
        if (m == NULL || can_write(m) != s->write || can_execute(m) != execute) {
            violate(proof, "section %s at 0x%" PRIx64 " is %s, the hypervisor maps it %s", s->name, page,
                    permission(s->write, execute),
                    m == NULL ? "not at all" : permission(can_write(m), can_execute(m)));
            note(proof, "%s", walk_path(&world->main, &world->elf, page));
            if (m == NULL) {
                return;
            }
        }
        page = m->in + m->size;
    }
}

/* Where a section ends, alignment may leave pages before the next one begins. */
static uint64_t room_of(const struct elf_image *elf, const struct section *section)
{
    uint64_t end = (section->base + section->size + PAGE_MASK) & ~PAGE_MASK;
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < elf->section_count; i++) {
        if (elf->sections[i].base > section->base && elf->sections[i].base < next) {
            next = elf->sections[i].base;
        }
    }
    return next != UINT64_MAX && next > end ? next : end;
}

/* Nothing but code is executable, nothing but data writable: not the rest of the hypervisor's memory either. */
static void prove_rest(const struct world *world, struct proof *proof)
{
    struct ranges code = {0}, data = {0};

    for (size_t i = 0; i < world->elf.section_count; i++) {
        const struct section *s = &world->elf.sections[i];

        if (s->execute || s->write) {
            ranges_add_pages(s->execute ? &code : &data, s->base, room_of(&world->elf, s) - s->base, s->name, NO_OWNER);
        }
    }
    if (is_x86(world)) {
        ranges_add_pages(&code, world->layout.pc.trampoline.raw, PAGE_SIZE, "the trampoline", NO_OWNER);
    }
    ranges_sort(&code);
    ranges_sort(&data);
    for (size_t i = 0; i < world->main.map_count; i++) {
        const struct mapping *m = &world->main.maps[i];
        uint64_t page = m->out;
        uint64_t end = m->out + m->size;

        if (can_execute(m) && ranges_gap(&code, &page, end) != 0) {
            violate(proof, "the hypervisor maps 0x%" PRIx64 " executable, where the image has no code", page);
            note(proof, "%s", walk_path(&world->main, &world->elf, m->in + (page - m->out)));
        }
        page = m->out;
        if (can_write(m) && !can_execute(m) && ranges_hit(&world->hv, m->out, end) != NULL &&
            ranges_gap(&data, &page, end) != 0) {
            violate(proof, "the hypervisor maps 0x%" PRIx64 " writable, where the image has no data", page);
            note(proof, "%s", walk_path(&world->main, &world->elf, m->in + (page - m->out)));
        }
    }
}

/* All of the hypervisor's memory is mapped, the guard pages excepted. */
static void prove_whole(const struct world *world, struct proof *proof)
{
    uint64_t end = world->layout.hv_base.raw + world->layout.hv_size;

    for (uint64_t page = world->layout.hv_base.raw & ~PAGE_MASK; page < end;) {
        const struct mapping *m = walk_find(&world->main, page);

        if (m == NULL && !is_guard(world, page)) {
            violate(proof, "0x%" PRIx64 " of the hypervisor's memory is not mapped", page);
            note(proof, "%s", walk_path(&world->main, &world->elf, page));
            return;
        }
        page = m != NULL ? m->in + m->size : page + PAGE_SIZE;
    }
}

static void prove_image(const struct world *world, struct proof *proof)
{
    for (size_t i = 0; i < world->elf.segment_count; i++) {
        const struct segment *s = &world->elf.segments[i];

        if (s->base != s->virt) {
            violate(proof, "a segment is linked for 0x%" PRIx64 " but loaded at 0x%" PRIx64, s->virt, s->base);
        }
        if (s->base < world->layout.hv_base.raw ||
            s->base + s->size > world->layout.hv_base.raw + world->layout.hv_size) {
            violate(proof,
                    "segment 0x%" PRIx64 "..0x%" PRIx64 " is outside the hypervisor's memory 0x%" PRIx64 "..0x%" PRIx64,
                    s->base, s->base + s->size - 1, world->layout.hv_base.raw,
                    world->layout.hv_base.raw + world->layout.hv_size - 1);
        }
    }
    for (size_t i = 0; world->main.done && i < world->elf.section_count; i++) {
        image_section(world, proof, &world->elf.sections[i]);
    }
    prove_rest(world, proof);
    if (world->main.done) {
        prove_whole(world, proof);
    }
}

static void prove_place(const struct world *world, struct proof *proof)
{
    uint64_t base = world->layout.hv_base.raw;
    uint64_t end = base + world->layout.hv_size;
    uint64_t gap = base;
    const struct range *hit = ranges_hit(&world->board.reserved, base, end);

    if (((base | end) & PAGE_MASK) != 0) {
        violate(proof, "the hypervisor's memory 0x%" PRIx64 "..0x%" PRIx64 " is not made of pages", base, end - 1);
    }
    proof->checked += world->layout.hv_size / PAGE_SIZE;
    if (is_x86(world) && end > PC_REACH) {
        violate(proof, "the hypervisor's memory ends at 0x%" PRIx64 ", beyond the 2 GiB that its code can reach", end);
    }
    if (ranges_gap(&world->board.memory, &gap, end) != 0) {
        violate(proof, "the hypervisor's memory 0x%" PRIx64 "..0x%" PRIx64 ": the board has no RAM at 0x%" PRIx64, base,
                end - 1, gap);
    }
    if (hit != NULL) {
        violate(proof, "the hypervisor's memory 0x%" PRIx64 "..0x%" PRIx64 " overlaps 0x%" PRIx64 ", reserved by %s",
                base, end - 1, hit->base, hit->what);
    }
}

/* ---------------------------------------------------------------- stacks */

static void stack_guard_of(const struct world *world, struct proof *proof, const struct walk *walk)
{
    for (uint32_t i = 0; i < world->entry_count; i++) {
        uint64_t top = world->cpus[i].stack_top;
        const struct mapping *stack = walk_find(walk, top - PAGE_SIZE);

        proof->checked++;
        if (stack == NULL || !can_write(stack)) {
            violate(proof, "%s: the stack of CPU %" PRIu32 " below 0x%" PRIx64 " is not writable", walk->name, i, top);
            note(proof, "%s", walk_path(walk, &world->elf, top - PAGE_SIZE));
        }
        if (walk_find(walk, top - 2 * PAGE_SIZE) != NULL) {
            violate(proof, "%s: the guard page 0x%" PRIx64 " under the stack of CPU %" PRIu32 " is mapped", walk->name,
                    top - 2 * PAGE_SIZE, i);
            note(proof, "%s", walk_path(walk, &world->elf, top - 2 * PAGE_SIZE));
        }
    }
}

static void prove_stacks(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->entry_count; i++) {
        uint64_t top = world->cpus[i].stack_top;

        if ((top & PAGE_MASK) != 0 || elf_at(&world->elf, top - 2 * PAGE_SIZE, 2 * PAGE_SIZE) == NULL) {
            violate(proof, "the stack of CPU %" PRIu32 " (top 0x%" PRIx64 ") is not made of pages of the image", i,
                    top);
            return;
        }
        for (uint32_t n = 0; n < i; n++) {
            uint64_t other = world->cpus[n].stack_top;

            if ((top > other ? top - other : other - top) < 2 * PAGE_SIZE) {
                violate(proof,
                        "CPUs %" PRIu32 " and %" PRIu32 " have the same stack or guard page (tops 0x%" PRIx64
                        ", 0x%" PRIx64 ")",
                        n, i, other, top);
            }
        }
    }
    each_map(world, proof, stack_guard_of);
}

/* ---------------------------------------------------------------- what it reaches */

static void own_ranges(const struct world *world, struct ranges *list)
{
    const struct layout_gic *gic = &world->layout.gic;

    ranges_add_pages(list, world->layout.hv_base.raw, world->layout.hv_size, "the hypervisor's memory", NO_OWNER);
    ranges_copy(list, &world->board.uart_pages);
    ranges_copy(list, &world->board.controller_regions);
    if (is_x86(world)) {
        ranges_add_pages(list, world->layout.pc.trampoline.raw, PAGE_SIZE, "the trampoline", NO_OWNER);
    } else {
        ranges_add_pages(list, gic->dist.raw, gic->dist_size, "distributor", NO_OWNER);
    }
    ranges_sort(list);
}

static void prove_extent(const struct world *world, struct proof *proof)
{
    struct ranges own = {0};

    own_ranges(world, &own);
    for (uint32_t i = 0; i < world->part_count; i++) {
        ranges_copy(&own, &world->parts[i].ram); /* hv-apart speaks about these */
        ranges_copy(&own, &world->parts[i].given);
    }
    ranges_sort(&own);
    for (size_t i = 0; i < world->main.map_count; i++) {
        const struct mapping *m = &world->main.maps[i];
        uint64_t base = m->out;

        proof->checked += m->size / PAGE_SIZE;
        if (ranges_gap(&own, &base, m->out + m->size) != 0) {
            violate(proof,
                    "the hypervisor reaches 0x%" PRIx64
                    ", which is neither its memory nor its UART nor the interrupt controller",
                    base);
            note(proof, "%s", walk_path(&world->main, &world->elf, m->in + (base - m->out)));
        }
    }
    free(own.at);
}

static void prove_apart(const struct world *world, struct proof *proof)
{
    struct ranges guests = {0};

    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct walk *walk = &world->parts[p].stage2;

        for (size_t i = 0; i < walk->map_count; i++) {
            ranges_add(&guests, walk->maps[i].out, walk->maps[i].size, world->parts[p].name, p);
        }
        ranges_copy(&guests, &world->parts[p].ram);
    }
    ranges_sort(&guests);
    for (size_t i = 0; i < world->main.map_count; i++) {
        const struct mapping *m = &world->main.maps[i];
        const struct range *hit = ranges_hit(&guests, m->out, m->out + m->size);
        uint64_t pa;

        proof->checked += m->size / PAGE_SIZE;
        if (hit == NULL || ranges_hit(&world->hv, m->out, m->out + m->size) != NULL ||
            ranges_hit(&world->board.controller_regions, m->out, m->out + m->size) != NULL ||
            ranges_hit(&world->board.uart_pages, m->out, m->out + m->size) != NULL) {
            continue;
        }
        pa = hit->base > m->out ? hit->base : m->out;
        violate(proof, "the hypervisor's main map reaches 0x%" PRIx64 " of partition %s", pa, hit->what);
        note(proof, "%s", walk_path(&world->main, &world->elf, m->in + (pa - m->out)));
    }
    free(guests.at);
}

static void attributes_of(const struct world *world, struct proof *proof, const struct walk *walk)
{
    for (size_t i = 0; i < walk->map_count; i++) {
        const struct mapping *m = &walk->maps[i];
        uint64_t base = m->out;
        bool ram = ranges_gap(&world->board.memory, &base, m->out + m->size) == 0;
        bool device = m->memory == MEMORY_DEVICE;

        proof->checked += m->size / PAGE_SIZE;
        if (ram && !is_x86(world) && ranges_cover(&world->shared, m->out, m->out + m->size)) {
            if (!device || can_execute(m)) {
                violate(proof, "%s: channel memory 0x%" PRIx64 " is mapped %s, guests reach it past the caches", walk->name,
                        m->out, walk->format->memory_text(m->attr));
                note(proof, "%s", walk_path(walk, &world->elf, m->in));
            }
        } else if (ram && m->memory != MEMORY_NORMAL) {
            violate(proof, "%s: RAM 0x%" PRIx64 " is not mapped write-back and coherent: %s", walk->name, m->out,
                    walk->format->memory_text(m->attr));
            note(proof, "%s", walk_path(walk, &world->elf, m->in));
        } else if (!ram && (!device || can_execute(m))) {
            violate(proof, "%s: 0x%" PRIx64 " is no RAM, but mapped %s", walk->name, base,
                    device ? "executable" : "as memory that may be cached");
            note(proof, "%s", walk_path(walk, &world->elf, m->in + (base - m->out)));
        }
    }
}

static void prove_attributes(const struct world *world, struct proof *proof)
{
    each_map(world, proof, attributes_of);
}

static void needs(const struct world *world, struct proof *proof, uint64_t base, uint64_t size, const char *what)
{
    for (uint64_t page = base & ~PAGE_MASK; page < base + size;) {
        const struct mapping *m = walk_find(&world->main, page);

        proof->checked++;
        if (m == NULL || !can_write(m)) {
            violate(proof, "the hypervisor does not reach the %s at 0x%" PRIx64, what, page);
            note(proof, "%s", walk_path(&world->main, &world->elf, page));
            return;
        }
        page = m->in + m->size;
    }
}

static void prove_needs_pc(const struct world *world, struct proof *proof)
{
    const struct layout_pc *pc = &world->layout.pc;
    const struct mapping *m = walk_find(&world->main, pc->trampoline.raw);

    if (pc->ioapic.raw != 0) {
        needs(world, proof, pc->ioapic.raw, PAGE_SIZE, "I/O APIC");
    }
    proof->checked++;
    if (m == NULL || !can_execute(m)) {
        violate(proof, "the trampoline at 0x%" PRIx64 " is not executable", pc->trampoline.raw);
        note(proof, "%s", walk_path(&world->main, &world->elf, pc->trampoline.raw));
    }
}

static void prove_needs(const struct world *world, struct proof *proof)
{
    const struct layout_gic *gic = &world->layout.gic;
    const struct layout_uart *uart = &world->layout.uart;

    if (!world->main.done) {
        return;
    }
    if (uart->base.raw != 0 && uart->width != 0) {
        needs(world, proof, uart->base.raw, 4, "UART");
    }
    if (is_x86(world)) {
        prove_needs_pc(world, proof);
        return;
    }
    needs(world, proof, gic->dist.raw, gic->dist_size < 0x1000 ? 0x1000 : gic->dist_size, "distributor");
    for (uint32_t i = 0; i < gic->redist_count; i++) {
        needs(world, proof, gic->redist[i].raw, gic->redist_size[i], "redistributors");
    }
    if (gic->version == 2) {
        needs(world, proof, gic->cpu.raw, 2 * PAGE_SIZE, "CPU interface");
        needs(world, proof, gic->hyp.raw, PAGE_SIZE, "virtual interface control");
    }
}

/* ---------------------------------------------------------------- loader maps */

/*
 * What a partition's loader map has beside the main map: its RAM, the channels that are zeroed through it, and the
 * registers of its devices that are written to at its restarts.
 */
static void loaded(const struct world *world, const struct part *part, struct ranges *list)
{
    ranges_copy(list, &part->ram);
    for (uint32_t i = 0; i < world->channel_count; i++) {
        const struct layout_channel *raw = &world->channels[i].raw;

        if (raw->loader == part->index) {
            ranges_add(list, raw->pa.raw, raw->size, world->channels[i].name, part->index);
        }
    }
    for (uint32_t i = 0; i < part->raw.reset_count; i++) {
        if (!is_x86(world) || part->resets[i].address.raw < LAYOUT_PORTS) {
            ranges_add_pages(list, part->resets[i].address.raw, part->resets[i].width, "a device", part->index);
        }
    }
    ranges_sort(list);
}

/* The loader map is the main map where that has something, and else what is `own`. */
static void loader_mapping(const struct world *world, struct proof *proof, const struct part *part,
                           const struct ranges *own, const struct mapping *m)
{
    for (uint64_t in = m->in; in < m->in + m->size;) {
        size_t at = walk_first(&world->main, in);
        const struct mapping *main = at < world->main.map_count ? &world->main.maps[at] : NULL;
        uint64_t end = m->in + m->size;

        if (main != NULL && main->in <= in) {
            end = main->in + main->size < end ? main->in + main->size : end;
            if (main->attr != m->attr || main->can != m->can || main->out - main->in != m->out - m->in) {
                violate(proof, "%s differs from the main map at 0x%" PRIx64, part->loader.name, in);
                note(proof, "%s", walk_path(&part->loader, &world->elf, in));
                note(proof, "%s", walk_path(&world->main, &world->elf, in));
            }
        } else {
            end = main != NULL && main->in < end ? main->in : end;
            if (!ranges_cover(own, m->out + (in - m->in), m->out + (end - m->in))) {
                uint64_t base = m->out + (in - m->in);

                (void)ranges_gap(own, &base, m->out + (end - m->in));
                violate(proof, "%s reaches 0x%" PRIx64 ", which is not RAM of %s", part->loader.name, base, part->name);
                note(proof, "%s", walk_path(&part->loader, &world->elf, m->in + (base - m->out)));
            }
        }
        in = end;
    }
    proof->checked += m->size / PAGE_SIZE;
}

static bool covered_by(const struct walk *walk, uint64_t base, uint64_t end, bool write, uint64_t *gap)
{
    while (base < end) {
        const struct mapping *m = walk_find(walk, base);

        if (m == NULL || (write && !can_write(m))) {
            *gap = base;
            return false;
        }
        base = m->in + m->size;
    }
    return true;
}

static void loader_of(const struct world *world, struct proof *proof, const struct part *part)
{
    struct ranges own = {0};
    uint64_t gap = 0;

    loaded(world, part, &own);
    for (size_t i = 0; i < part->loader.map_count; i++) {
        loader_mapping(world, proof, part, &own, &part->loader.maps[i]);
    }
    for (size_t i = 0; i < own.count; i++) {
        if (!covered_by(&part->loader, own.at[i].base, own.at[i].end, true, &gap)) {
            violate(proof, "%s does not reach 0x%" PRIx64 " of %s for writing", part->loader.name, gap, own.at[i].what);
            note(proof, "%s", walk_path(&part->loader, &world->elf, gap));
        }
    }
    free(own.at);
    for (size_t i = 0; i < world->main.map_count; i++) {
        const struct mapping *m = &world->main.maps[i];

        if (!covered_by(&part->loader, m->in, m->in + m->size, false, &gap)) {
            violate(proof, "%s lacks 0x%" PRIx64 " of the main map", part->loader.name, gap);
        }
    }
}

static void prove_loaders(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        if (world->main.done && world->parts[p].loader.done) {
            loader_of(world, proof, &world->parts[p]);
        }
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"hv-wx",
     "No page is writable and executable for the hypervisor, neither in the main map nor in a loader map.",
     "pages", prove_wx, ARCH_BOTH},
    {"hv-identity",
     "The hypervisor runs on an identity map: every virtual address leads to the equal physical one.",
     "pages", prove_identity, ARCH_BOTH},
    {"hv-image",
     "Every section of the image lies in the hypervisor's memory and is mapped as it was linked: code executable and "
     "read-only, data writable, layout, tables, pristine images and the UEFI stub read-only. All of that memory is "
     "mapped, and nothing else is executable (x86: but the trampoline) or writable.",
     "runs of pages", prove_image, ARCH_BOTH},
    {"hv-place",
     "The hypervisor's memory is RAM of the board, on x86 below 2 GiB, and nobody has reserved it.",
     "pages", prove_place, ARCH_BOTH},
    {"hv-stacks",
     "Every core, and every vcpu of a pool, has a stack of its own, and the page under each stack is unmapped in every map of "
     "the hypervisor.",
     "stacks", prove_stacks, ARCH_BOTH},
    {"hv-extent",
     "The main map reaches the hypervisor's memory, its UART and the interrupt controller (x86: and the trampoline), "
     "and nothing else.",
     "pages", prove_extent, ARCH_BOTH},
    {"hv-apart",
     "The main map reaches no page that a partition reaches or owns.",
     "pages", prove_apart, ARCH_BOTH},
    {"hv-attributes",
     "RAM is mapped write-back, and on ARM64 inner shareable; what is not RAM, as device memory that is not "
     "executable.",
     "pages", prove_attributes, ARCH_BOTH},
    {"hv-reaches",
     "The hypervisor reaches what it drives: distributor, redistributors or CPU interface, I/O APIC and trampoline, "
     "and its UART.",
     "runs of pages", prove_needs, ARCH_BOTH},
    {"loader-bounded",
     "The loader map of a partition is the main map, that partition's RAM, all of it, the channels that are zeroed "
     "through it, and the registers by which its devices are reset; nothing else.",
     "pages", prove_loaders, ARCH_BOTH},
};
/* clang-format on */

const struct rule_set hv_rules = {"The hypervisor's own map", rules, sizeof(rules) / sizeof(rules[0])};
