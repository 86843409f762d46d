/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks translation tables as the MMU does: VMSAv8-64, 4 KiB granule, 48-bit descriptors
 * (DDI 0487 D8.2, D8.3). Every descriptor from the root on is read once; what it maps is recorded,
 * and what the architecture reserves or Bulkhead never uses is recorded as a fault.
 */
#include "check.h"

#include <string.h>

#define LEVELS       4u
#define ENTRIES      512u
#define TABLE_UNUSED (~(DESC_ADDRESS | 3))
/* Leaves: what may be set beside address and type. Stage 1: AttrIndx, AP, SH, AF, GP, XN. */
#define S1_USED (UINT64_C(0x7) << 2 | UINT64_C(0x1f) << 6 | S1_GP | DESC_XN)
/* Stage 2: MemAttr, S2AP, SH, AF, XN[1]. */
#define S2_USED (UINT64_C(0xf) << 2 | UINT64_C(0x1f) << 6 | DESC_XN)

struct cursor {
    const uint8_t *table;
    uint64_t pa;
    uint64_t in;
    uint64_t index;
    uint64_t count;
};

static uint32_t level_shift(uint32_t level)
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

static void add_mapping(struct walk *walk, uint64_t in, uint64_t out, uint64_t size, uint64_t attr)
{
    struct mapping *last = walk->map_count != 0 ? &walk->maps[walk->map_count - 1] : NULL;

    walk->leaves++;
    if (last != NULL && last->in + last->size == in && last->out + last->size == out && last->attr == attr) {
        last->size += size;
        return;
    }
    walk->maps = grow(walk->maps, sizeof(walk->maps[0]), walk->map_count, &walk->map_room);
    walk->maps[walk->map_count++] = (struct mapping){in, out, size, attr};
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
    uint64_t address = descriptor & DESC_ADDRESS;

    if ((address & (size - 1)) != 0) {
        return "the output address is not aligned to the block";
    }
    if (walk->out_bits < 64 && address >> walk->out_bits != 0) {
        return "the output address is beyond the physical address size";
    }
    if ((descriptor & DESC_AF) == 0) {
        return "the access flag is clear";
    }
    if ((descriptor & ~(DESC_ADDRESS | 3 | (walk->stage2 ? S2_USED : S1_USED))) != 0) {
        return "a reserved or unused bit is set";
    }
    if (DESC_SH(descriptor) == 1) {
        return "the shareability is a reserved value";
    }
    if (walk->stage2 && (S2_MEMATTR(descriptor) == 4 || S2_MEMATTR(descriptor) == 8 || S2_MEMATTR(descriptor) == 12)) {
        return "the memory attribute is a reserved value";
    }
    if (!walk->stage2 && (descriptor & S1_GP) != 0 && (descriptor & DESC_XN) != 0) {
        return "GP is set where nothing can be executed";
    }
    if (!walk->stage2 && (descriptor & S1_AP1) == 0) {
        return "AP[1] is clear (RES1 at EL2)";
    }
    return NULL;
}

static void take_leaf(struct walk *walk, uint32_t level, const struct cursor *at, uint64_t in, uint64_t descriptor)
{
    uint64_t size = UINT64_C(1) << level_shift(level);
    const char *why = leaf_fault(walk, level, descriptor);

    if (why != NULL) {
        add_fault(walk, at, in, descriptor, why, false);
    }
    add_mapping(walk, in, descriptor & DESC_ADDRESS & ~(size - 1), size, descriptor & ~(DESC_ADDRESS | 3));
}

/* Enters the table that a descriptor names; false where there is nothing to enter. */
static bool enter_table(struct walk *walk, const struct elf_image *elf, const struct cursor *from, struct cursor *to,
                        uint64_t in, uint64_t descriptor)
{
    uint64_t pa = descriptor & DESC_ADDRESS;
    const uint8_t *table = elf_at(elf, pa, PAGE_SIZE);

    if ((descriptor & TABLE_UNUSED) != 0) {
        add_fault(walk, from, in, descriptor, "a reserved or unused bit of a table descriptor is set", false);
    }
    if (table == NULL || pa == 0) {
        add_fault(walk, from, in, descriptor, "the next table is not in the image", true);
        return false;
    }
    if (!first_visit(walk, pa)) {
        add_fault(walk, from, in, descriptor, "this table is reached twice in one walk", false);
        return false;
    }
    ranges_add(&walk->tables, pa, PAGE_SIZE, walk->name, NO_OWNER);
    *to = (struct cursor){table, pa, in, 0, ENTRIES};
    return true;
}

/* One descriptor; true when the walk goes down into stack[level + 1]. */
static bool take_descriptor(struct walk *walk, const struct elf_image *elf, struct cursor *stack, uint32_t level)
{
    struct cursor *at = &stack[level];
    uint64_t descriptor = read_descriptor(at->table, at->index);
    uint64_t in = at->in + (at->index << level_shift(level));

    at->index++;
    walk->entries++;
    if ((descriptor & DESC_VALID) == 0) {
        if (descriptor != 0) {
            add_fault(walk, at, in, descriptor, "an invalid descriptor is not zero", false);
        }
        return false;
    }
    if (level == LEVELS - 1 && (descriptor & DESC_TABLE) == 0) {
        add_fault(walk, at, in, descriptor, "a block at level 3 is a reserved encoding", false);
        return false;
    }
    if (level == 0 && (descriptor & DESC_TABLE) == 0) {
        add_fault(walk, at, in, descriptor, "a block at level 0 is a reserved encoding", false);
        return false;
    }
    if (level == LEVELS - 1 || (descriptor & DESC_TABLE) == 0) {
        take_leaf(walk, level, at, in, descriptor);
        return false;
    }
    return enter_table(walk, elf, at, &stack[level + 1], in, descriptor);
}

static void walk_all(struct walk *walk, const struct elf_image *elf)
{
    struct cursor stack[LEVELS];
    uint32_t level = walk->start_level;
    uint64_t size = walk->root_entries * 8;

    memset(stack, 0, sizeof(stack));
    stack[level] = (struct cursor){elf_at(elf, walk->root, size), walk->root, 0, 0, walk->root_entries};
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

void walk_stage2(struct walk *walk, const struct elf_image *elf, uint64_t vttbr, uint64_t vtcr)
{
    static const uint32_t start_levels[] = {2, 1, 0, 3}; /* VTCR_EL2.SL0 with a 4 KiB granule */
    static const uint32_t sizes[] = {32, 36, 40, 42, 44, 48, 52, 56};

    walk->stage2 = true;
    walk->in_bits = (uint32_t)(64 - (vtcr & 63));
    walk->out_bits = sizes[vtcr >> 16 & 7];
    walk->start_level = start_levels[vtcr >> 6 & 3];
    walk->root = vttbr & UINT64_C(0x0000fffffffffffe);
    walk->root_entries = UINT64_C(1) << (walk->in_bits - level_shift(walk->start_level));
    walk_all(walk, elf);
}

void walk_stage1(struct walk *walk, const struct elf_image *elf, uint64_t ttbr, uint64_t tcr)
{
    static const uint32_t sizes[] = {32, 36, 40, 42, 44, 48, 52, 56};

    walk->stage2 = false;
    walk->in_bits = (uint32_t)(64 - (tcr & 63));
    walk->out_bits = sizes[tcr >> 16 & 7];
    walk->start_level = 3 - (walk->in_bits - 1 - 12) / 9;
    walk->root = ttbr & UINT64_C(0x0000fffffffffffe);
    walk->root_entries = UINT64_C(1) << (walk->in_bits - level_shift(walk->start_level));
    walk_all(walk, elf);
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
            return text("%s level %" PRIu32 " table 0x%" PRIx64 " is not in the image", path, level, pa);
        }
        descriptor = read_descriptor(table, index);
        path = text("%s level %" PRIu32 " %s[%" PRIu64 "] = 0x%016" PRIx64, path, level, elf_name_of(elf, pa), index,
                    descriptor);
        if ((descriptor & 3) != 3 || level == LEVELS - 1) {
            return path;
        }
        path = text("%s ->", path);
        pa = descriptor & DESC_ADDRESS;
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
