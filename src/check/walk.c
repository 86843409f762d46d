/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks translation tables as the MMU does. Every descriptor from the root on is read once; what it maps
 * is recorded, and what the architecture reserves or Bulkhead never uses is recorded as a fault.
 * What a descriptor means is for walk_arm64.c and walk_x86.c to say.
 */
#include "check.h"

#include <string.h>

#define LEVELS  4u
#define ENTRIES 512u

struct cursor {
    const uint8_t *table;
    uint64_t pa;
    uint64_t in;
    uint64_t index;
    uint64_t count;
    uint32_t can; /* what the tables above let through */
};

uint32_t level_shift(uint32_t level)
{
    return 39 - 9 * level;
}

static uint64_t read_descriptor(const uint8_t *table, uint64_t index)
{
    uint64_t descriptor;

    memcpy(&descriptor, table + index * 8, sizeof(descriptor));
    return descriptor;
}

static void add_fault(struct walk *walk, const struct cursor *at, uint64_t in, uint64_t descriptor, const char *why,
                      bool missing)
{
    walk->faults = grow(walk->faults, sizeof(walk->faults[0]), walk->fault_count, &walk->fault_room);
    walk->faults[walk->fault_count++] = (struct walk_fault){in, descriptor, at->pa, why, missing};
}

static void add_mapping(struct walk *walk, const struct mapping *m)
{
    struct mapping *last = walk->map_count != 0 ? &walk->maps[walk->map_count - 1] : NULL;

    walk->leaves++;
    if (last != NULL && last->in + last->size == m->in && last->out + last->size == m->out && last->attr == m->attr &&
        last->can == m->can) {
        last->size += m->size;
        return;
    }
    walk->maps = grow(walk->maps, sizeof(walk->maps[0]), walk->map_count, &walk->map_room);
    walk->maps[walk->map_count++] = *m;
}

/* A set of addresses with open addressing; 0 marks an empty place (no table stands at 0). */
static bool seen_insert(uint64_t *set, size_t room, uint64_t pa)
{
    size_t at = (size_t)(pa >> 12) * UINT64_C(0x9e3779b97f4a7c15) % room;

    while (set[at] != 0) {
        if (set[at] == pa) {
            return false;
        }
        at = (at + 1) % room;
    }
    set[at] = pa;
    return true;
}

static bool first_visit(struct walk *walk, uint64_t pa)
{
    if (walk->tables.count * 2 >= walk->seen_room) {
        size_t room = walk->seen_room != 0 ? walk->seen_room * 4 : 256;
        uint64_t *bigger = alloc(room * sizeof(*bigger));

        for (size_t i = 0; i < walk->seen_room; i++) {
            if (walk->seen[i] != 0) {
                (void)seen_insert(bigger, room, walk->seen[i]);
            }
        }
        walk->seen = bigger;
        walk->seen_room = room;
    }
    return seen_insert(walk->seen, walk->seen_room, pa);
}

static const char *leaf_fault(const struct walk *walk, uint32_t level, uint64_t descriptor)
{
    uint64_t size = UINT64_C(1) << level_shift(level);
    uint64_t address = descriptor & walk->format->address;

    if ((address & (size - 1)) != 0) {
        return "the output address is not aligned to the block";
    }
    if (walk->out_bits < 64 && address >> walk->out_bits != 0) {
        return "the output address is beyond the physical address size";
    }
    return walk->format->wrong(level, descriptor, ENTRY_LEAF);
}

static void take_leaf(struct walk *walk, uint32_t level, const struct cursor *at, uint64_t in, uint64_t descriptor)
{
    const struct table_format *format = walk->format;
    uint64_t size = UINT64_C(1) << level_shift(level);
    const char *why = leaf_fault(walk, level, descriptor);
    struct mapping m = {
        .in = in,
        .out = descriptor & format->address & ~(size - 1),
        .size = size,
        .attr = descriptor & ~(format->address | 3 | (level != LEVELS - 1 ? format->large : 0)),
        .can = at->can & format->can(descriptor, ENTRY_LEAF),
        .memory = format->memory(descriptor),
    };

    if (why != NULL) {
        add_fault(walk, at, in, descriptor, why, false);
    }
    add_mapping(walk, &m);
}

/* Enters the table that a descriptor names; false where there is nothing to enter. */
static bool enter_table(struct walk *walk, const struct elf_image *elf, const struct cursor *from, struct cursor *to,
                        uint64_t in, uint64_t descriptor)
{
    uint64_t pa = descriptor & walk->format->address;
    const uint8_t *table = elf_at(elf, pa, PAGE_SIZE);

    if (table == NULL || pa == 0) {
        add_fault(walk, from, in, descriptor, "the next table is not in the image", true);
        return false;
    }
    if (!first_visit(walk, pa)) {
        add_fault(walk, from, in, descriptor, "this table is reached twice in one walk", false);
        return false;
    }
    ranges_add(&walk->tables, pa, PAGE_SIZE, walk->name, NO_OWNER);
    *to = (struct cursor){table, pa, in, 0, ENTRIES, from->can & walk->format->can(descriptor, ENTRY_TABLE)};
    return true;
}

/* One descriptor; true when the walk goes down into stack[level + 1]. */
static bool take_descriptor(struct walk *walk, const struct elf_image *elf, struct cursor *stack, uint32_t level)
{
    struct cursor *at = &stack[level];
    uint64_t descriptor = read_descriptor(at->table, at->index);
    uint64_t in = at->in + (at->index << level_shift(level));
    enum entry kind = walk->format->kind(level, descriptor);
    const char *why = kind != ENTRY_LEAF ? walk->format->wrong(level, descriptor, kind) : NULL;

    at->index++;
    walk->entries++;
    if (why != NULL) {
        add_fault(walk, at, in, descriptor, why, false);
    }
    if (kind == ENTRY_LEAF) {
        take_leaf(walk, level, at, in, descriptor);
    }
    return kind == ENTRY_TABLE && enter_table(walk, elf, at, &stack[level + 1], in, descriptor);
}

void walk_tables(struct walk *walk, const struct elf_image *elf)
{
    struct cursor stack[LEVELS];
    uint32_t level = walk->start_level;
    uint64_t size = walk->root_entries * 8;

    memset(stack, 0, sizeof(stack));
    stack[level] = (struct cursor){elf_at(elf, walk->root, size), walk->root, 0, 0, walk->root_entries,
                                    UINT32_MAX};
    if (stack[level].table == NULL) {
        add_fault(walk, &stack[level], 0, walk->root, "the root table is not in the image", true);
        return;
    }
    (void)first_visit(walk, walk->root);
    ranges_add(&walk->tables, walk->root, size, walk->name, NO_OWNER);
    for (;;) {
        if (stack[level].index == stack[level].count) {
            if (level == walk->start_level) {
                break;
            }
            level--;
        } else if (take_descriptor(walk, elf, stack, level)) {
            level++;
        }
    }
    ranges_sort(&walk->tables);
    walk->done = true;
}

const char *walk_path(const struct walk *walk, const struct elf_image *elf, uint64_t in)
{
    uint64_t pa = walk->root;
    const char *path = text("walk of %s:", walk->name);
    uint64_t entries = walk->root_entries;

    for (uint32_t level = walk->start_level; level < LEVELS; level++) {
        uint64_t index = in >> level_shift(level) & (entries - 1);
        const uint8_t *table = elf_at(elf, pa, entries * 8);
        uint64_t descriptor;

        if (table == NULL) {
            return text("%s %s table 0x%" PRIx64 " is not in the image", path, walk->format->levels[level], pa);
        }
        descriptor = read_descriptor(table, index);
        path = text("%s %s %s[%" PRIu64 "] = 0x%016" PRIx64, path, walk->format->levels[level], elf_name_of(elf, pa),
                    index, descriptor);
        if (walk->format->kind(level, descriptor) != ENTRY_TABLE) {
            return path;
        }
        path = text("%s ->", path);
        pa = descriptor & walk->format->address;
        entries = ENTRIES;
    }
    return path;
}

size_t walk_first(const struct walk *walk, uint64_t in)
{
    size_t low = 0;
    size_t high = walk->map_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (walk->maps[middle].in + walk->maps[middle].size > in) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

const struct mapping *walk_find(const struct walk *walk, uint64_t in)
{
    size_t i = walk_first(walk, in);

    return i < walk->map_count && walk->maps[i].in <= in ? &walk->maps[i] : NULL;
}
