/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before any guest starts: the firmware's devicetree must have every byte of RAM and every core that the
 * layout assigns. Only the /memory and /cpus nodes are looked at, in one pass over the structure block
 * (Devicetree Specification 5.4), with every offset bounded by the header's sizes.
 */
#include <hv/arch.h>
#include <hv/board_check.h>
#include <hv/console.h>
#include <hv/layout.h>
#include <hv/partition.h>
#include <hv/types.h>

#define FDT_MAGIC       0xd00dfeedu
#define FDT_BEGIN_NODE  1u
#define FDT_END_NODE    2u
#define FDT_PROP        3u
#define FDT_NOP         4u
#define FDT_MAX_SIZE    0x200000u  /* 2 MiB: the arm64 boot protocol's limit */
#define MAX_RANGES      16u

_Static_assert(LAYOUT_MAX_CPUS <= 64, "survey.cpus_seen");

enum node_kind { NODE_OTHER = 0, NODE_MEMORY, NODE_CPU };

struct range { uint64_t base, size; };

struct survey {
    const uint8_t *strings;
    uint32_t strings_size;
    uint32_t depth;
    bool     in_cpus;
    bool     complete;                 /* everything that the layout assigns has been seen */
    enum node_kind kind;
    uint32_t address_cells, size_cells, cpu_cells;
    uint32_t range_count;
    uint64_t cpus_seen;                /* bit n: layout.cpus[n] */
    struct range ranges[MAX_RANGES];
};

static uint32_t be32(const uint8_t *bytes)
{
    return __builtin_bswap32(*(const uint32_t *)(const void *)bytes);
}

static uint64_t read_cells(const uint8_t *bytes, uint32_t cells)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < cells; i++) {
        value = (value << 32) | be32(bytes + 4u * i);
    }
    return value;
}

static bool starts_with(const uint8_t *text, const char *prefix)
{
    while (*prefix != '\0') {
        if (*text++ != (uint8_t)*prefix++) {
            return false;
        }
    }
    return true;
}

static bool name_is(const struct survey *survey, uint32_t offset, const char *name, uint32_t length)
{
    return offset <= survey->strings_size && survey->strings_size - offset > length &&
           starts_with(survey->strings + offset, name) && survey->strings[offset + length] == 0;
}

/* The node's name without its unit address. */
static bool node_is(const uint8_t *node, const char *name, uint32_t length)
{
    return starts_with(node, name) && (node[length] == 0 || node[length] == '@');
}

static void begin_node(struct survey *survey, const uint8_t *name)
{
    survey->depth++;
    survey->kind = NODE_OTHER;
    if (survey->depth == 2) {
        survey->in_cpus = node_is(name, "cpus", 4);
        if (node_is(name, "memory", 6)) {
            survey->kind = NODE_MEMORY;
        }
    } else if (survey->depth == 3 && survey->in_cpus && starts_with(name, "cpu@")) {
        survey->kind = NODE_CPU;
    }
}

static bool has_memory(const struct survey *survey, uint64_t base, uint64_t size)
{
    uint64_t at = base, end = base + size;

    /* Each round finds the range that holds `at`; ranges may touch, so there may be several. */
    for (uint32_t round = 0; round < survey->range_count && at < end; round++) {
        for (uint32_t i = 0; i < survey->range_count; i++) {
            const struct range *range = &survey->ranges[i];

            if (at - range->base < range->size) {
                at = range->base + range->size;
            }
        }
    }
    return at >= end;
}

/* The first range of RAM that the layout assigns and the board lacks: its owner's name, or NULL. */
static const char *missing_memory(const struct survey *survey, uint64_t *base, uint64_t *size)
{
    *base = layout.hv_base.raw;
    *size = layout.hv_size;
    if (!has_memory(survey, *base, *size)) {
        return "the hypervisor";
    }
    for (uint32_t p = 0; p < layout.partition_count; p++) {
        const struct layout_partition *part = &layout.partitions[p];

        for (uint32_t m = 0; m < part->memory_count; m++) {
            *base = part->memory[m].pa.raw;
            *size = part->memory[m].size;
            if (!has_memory(survey, *base, *size)) {
                return part->name;
            }
        }
    }
    for (uint32_t i = 0; HV_CHANNELS && i < layout.channel_count; i++) {
        *base = layout.channels[i].pa.raw;
        *size = layout.channels[i].size;
        if (!has_memory(survey, *base, *size)) {
            return layout.channels[i].name;
        }
    }
    return NULL;
}

static bool has_all_cpus(const struct survey *survey)
{
    return survey->cpus_seen == UINT64_MAX >> (64u - layout.cpu_count);
}

static void add_memory(struct survey *survey, const uint8_t *value, uint32_t length)
{
    uint32_t cells = survey->address_cells + survey->size_cells;

    if (survey->address_cells == 0 || survey->address_cells > 2 || survey->size_cells == 0 ||
        survey->size_cells > 2) {
        return;
    }
    while (length >= 4u * cells && survey->range_count < MAX_RANGES) {
        struct range *range = &survey->ranges[survey->range_count++];

        range->base = read_cells(value, survey->address_cells);
        range->size = read_cells(value + 4u * survey->address_cells, survey->size_cells);
        value += 4u * cells;
        length -= 4u * cells;
    }
}

static void add_cpu(struct survey *survey, uint64_t mpidr)
{
    for (uint32_t i = 0; i < layout.cpu_count; i++) {
        if (layout.cpus[i].mpidr == mpidr) {
            survey->cpus_seen |= UINT64_C(1) << i;
        }
    }
}

static void add_reg(struct survey *survey, const uint8_t *value, uint32_t length)
{
    uint64_t base, size;

    if (survey->kind == NODE_MEMORY) {
        add_memory(survey, value, length);
    } else if (survey->cpu_cells != 0 && survey->cpu_cells <= 2 && length >= 4u * survey->cpu_cells) {
        add_cpu(survey, read_cells(value, survey->cpu_cells));
    }
    survey->complete = has_all_cpus(survey) && missing_memory(survey, &base, &size) == NULL;
}

static void property(struct survey *survey, uint32_t name, const uint8_t *value, uint32_t length)
{
    if (survey->kind != NODE_OTHER) {
        if (name_is(survey, name, "reg", 3)) {
            add_reg(survey, value, length);
        }
    } else if (survey->depth == 1 && length == 4) {
        if (name_is(survey, name, "#address-cells", 14)) {
            survey->address_cells = be32(value);
        } else if (name_is(survey, name, "#size-cells", 11)) {
            survey->size_cells = be32(value);
        }
    } else if (survey->depth == 2 && survey->in_cpus && length == 4 &&
               name_is(survey, name, "#address-cells", 14)) {
        survey->cpu_cells = be32(value);
    }
}

/* Offset behind a node's name, or past the block if the name has no end. */
static uint32_t skip_name(const uint8_t *block, uint32_t at, uint32_t size)
{
    while (at < size && block[at] != 0) {
        at++;
    }
    return (at + 4u) & ~3u;
}

/* One pass, until everything has been seen; false if the structure block is malformed. */
static bool walk(struct survey *survey, const uint8_t *block, uint32_t size)
{
    uint32_t at = 0;

    while (size - at >= 4 && !survey->complete) {
        uint32_t token = be32(block + at);

        at += 4;
        if (token == FDT_PROP) {
            uint32_t length;

            if (size - at < 8 || (length = be32(block + at)) > size - at - 8) {
                return false;
            }
            property(survey, be32(block + at + 4), block + at + 8, length);
            at += 8 + ((length + 3u) & ~3u);
        } else if (token == FDT_BEGIN_NODE) {
            uint32_t name = at;

            at = skip_name(block, at, size);
            if (at > size) {
                return false;
            }
            begin_node(survey, block + name);
        } else if (token == FDT_END_NODE) {
            survey->kind = NODE_OTHER;
            if (--survey->depth == 0) {
                return true;
            }
        } else if (token != FDT_NOP) {
            return false;
        }
        if (at > size) {
            return false;
        }
    }
    return survey->complete;
}

static void require_all(const struct survey *survey)
{
    uint64_t base, size;
    const char *owner = missing_memory(survey, &base, &size);

    if (owner != NULL) {
        panic("this is not the board of the layout: %s needs RAM at 0x%lx, %lu KiB, which the firmware's "
              "devicetree does not have", owner, base, size / 1024u);
    }
    for (uint32_t i = 0; i < layout.cpu_count; i++) {
        if ((survey->cpus_seen >> i & 1u) == 0) {
            panic("this is not the board of the layout: %s needs the core with MPIDR 0x%lx, which the "
                  "firmware's devicetree does not have",
                  layout_cpu_owner(i), layout.cpus[i].mpidr);
        }
    }
}

static void survey_init(struct survey *survey)
{
    survey->depth = 0;
    survey->in_cpus = false;
    survey->complete = false;
    survey->kind = NODE_OTHER;
    survey->address_cells = 2;  /* defaults of the specification, 2.3.5 */
    survey->size_cells = 1;
    survey->cpu_cells = 1;
    survey->range_count = 0;
    survey->cpus_seen = 0;
}

void board_check_devicetree(const void *dtb, uint64_t mpidr)
{
    const uint8_t *blob = dtb;
    struct survey survey;
    uint32_t total, block, block_size;

    if (dtb == NULL || ((uintptr_t)dtb & 7u) != 0 || be32(blob) != FDT_MAGIC) {
        panic("no devicetree at 0x%lx, where the firmware's first argument points", (uint64_t)(uintptr_t)dtb);
    }
    total = be32(blob + 4);
    block = be32(blob + 8);
    block_size = be32(blob + 36);
    survey_init(&survey);
    add_cpu(&survey, mpidr);
    survey.strings_size = be32(blob + 32);
    survey.strings = blob + be32(blob + 12);
    if (total > FDT_MAX_SIZE || (block & 3u) != 0 || !range_inside(block, block_size, 0, total) ||
        !range_inside(be32(blob + 12), survey.strings_size, 0, total) ||
        !walk(&survey, blob + block, block_size)) {
        panic("the firmware's devicetree at 0x%lx is malformed", (uint64_t)(uintptr_t)dtb);
    }
    require_all(&survey);
}
