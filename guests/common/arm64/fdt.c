/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small reader of flattened devicetrees (Devicetree Specification, chapter 5), in place. Nodes are
 * offsets of their FDT_BEGIN_NODE from the start of the structure block. It trusts the blob: whoever
 * loaded this guest wrote it.
 */
#include "guest.h"

#define FDT_MAGIC  0xd00dfeedu
#define FDT_DEPTH  12          /* deepest node that is looked at */

enum token { BEGIN_NODE = 1, END_NODE = 2, PROP = 3, NOP = 4, END = 9 };

static const uint8_t *blob;    /* NULL: none */
static const uint8_t *structure;
static const char *strings;

static uint32_t be32(const void *at)
{
    const uint8_t *b = at;
    return ((uint32_t)b[0] << 24) | ((uint32_t)b[1] << 16) | ((uint32_t)b[2] << 8) | b[3];
}

static uint64_t be_cells(const uint8_t *at, uint32_t cells)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < cells; i++) {
        value = (value << 32) | be32(at + 4 * i);
    }
    return value;
}

bool fdt_open(const void *address)
{
    if (address == NULL || ((uint64_t)address & 3) != 0 || be32(address) != FDT_MAGIC) {
        return false;
    }
    blob = address;
    structure = blob + be32(blob + 8);
    strings = (const char *)blob + be32(blob + 12);
    return true;
}

uint64_t fdt_address(void)
{
    return (uint64_t)blob;
}

static int align4(int offset)
{
    return (offset + 3) & ~3;
}

/* Steps over the token at *offset, and its contents. */
static enum token next_token(int *offset)
{
    enum token token = (enum token)be32(structure + *offset);
    int at = *offset + 4;
    if (token == BEGIN_NODE) {
        at = align4(at + (int)strlen((const char *)structure + at) + 1);
    } else if (token == PROP) {
        at = align4(at + 8 + (int)be32(structure + at));
    }
    *offset = at;
    return token;
}

static const char *node_name(int node)
{
    return (const char *)structure + node + 4;
}

/*
 * Walks all nodes in their order. trail[0..depth] are the node and the ones above it; the root has
 * depth 0. Start with depth = -1, offset = 0.
 */
struct walk { int offset, depth; int trail[FDT_DEPTH]; };

static bool next_node(struct walk *walk)
{
    if (blob == NULL) {
        return false;
    }
    for (;;) {
        int at = walk->offset;
        switch (next_token(&walk->offset)) {
        case BEGIN_NODE:
            walk->depth++;
            if (walk->depth < FDT_DEPTH) {
                walk->trail[walk->depth] = at;
                return true;
            }
            break;
        case END_NODE:
            walk->depth--;
            break;
        case PROP:
        case NOP:
            break;
        default:
            return false;
        }
    }
}

static bool find_node(struct walk *walk, int node)
{
    *walk = (struct walk){.depth = -1};
    while (next_node(walk)) {
        if (walk->trail[walk->depth] == node) {
            return true;
        }
    }
    return false;
}

const void *fdt_property(int node, const char *name, uint32_t *size)
{
    int offset = node;
    next_token(&offset);
    for (;;) {
        int at = offset;
        enum token token = next_token(&offset);
        if (token == PROP) {
            if (str_equal(strings + be32(structure + at + 8), name)) {
                *size = be32(structure + at + 4);
                return structure + at + 12;
            }
        } else if (token != NOP) {
            return NULL;
        }
    }
}

const char *fdt_string(int node, const char *name)
{
    uint32_t size;
    const char *value = fdt_property(node, name, &size);
    return value != NULL ? value : "";
}

static uint32_t cells(int node, const char *name, uint32_t otherwise)
{
    uint32_t size;
    const uint8_t *value = fdt_property(node, name, &size);
    return value != NULL && size >= 4 ? be32(value) : otherwise;
}

/* "/soc/uart@9000000" or "/soc/uart": is `name` the next part of `path`? Gives its length, or 0. */
static size_t match_part(const char *path, const char *name)
{
    size_t length = 0;
    while (path[length] != '\0' && path[length] != '/' && path[length] != ':' && path[length] == name[length]) {
        length++;
    }
    bool path_ends = path[length] == '\0' || path[length] == '/' || path[length] == ':';
    return path_ends && (name[length] == '\0' || name[length] == '@') ? length : 0;
}

int fdt_path(const char *path)
{
    struct walk walk = {.depth = -1};
    int depth = 0;                     /* depth of the part that is matched so far */
    while (next_node(&walk)) {
        if (walk.depth < depth) {
            return FDT_NONE;
        }
        if (walk.depth == depth + 1) {
            size_t length = match_part(path + 1, node_name(walk.trail[walk.depth]));
            if (length > 0) {
                path += 1 + length;
                depth++;
            }
        }
        if (*path == '\0' || *path == ':' || str_equal(path, "/")) {
            return walk.trail[walk.depth];
        }
    }
    return FDT_NONE;
}

static bool is_compatible(int node, const char *compatible)
{
    uint32_t size;
    const char *list = fdt_property(node, "compatible", &size);
    if (list == NULL) {
        return false;
    }
    for (const char *end = list + size; list < end; list += strlen(list) + 1) {
        if (str_equal(list, compatible)) {
            return true;
        }
    }
    return false;
}

int fdt_compatible(const char *compatible, int after)
{
    struct walk walk = {.depth = -1};
    while (next_node(&walk)) {
        int node = walk.trail[walk.depth];
        if (node > after && is_compatible(node, compatible)) {
            return node;
        }
    }
    return FDT_NONE;
}

/* An address on the bus below `bus`, whose parent is `above`, as that parent sees it. */
static bool translate(int bus, int above, uint64_t *address)
{
    uint32_t size;
    const uint8_t *at = fdt_property(bus, "ranges", &size);
    uint32_t child = cells(bus, "#address-cells", 2), length = cells(bus, "#size-cells", 1);
    uint32_t parent = cells(above, "#address-cells", 2);
    if (at == NULL) {
        return false;
    }
    if (size == 0) {
        return true;
    }
    for (uint32_t row = 4 * (child + parent + length); size >= row; size -= row, at += row) {
        uint64_t from = be_cells(at, child);
        if (*address >= from && *address - from < be_cells(at + 4 * (child + parent), length)) {
            *address = *address - from + be_cells(at + 4 * child, parent);
            return true;
        }
    }
    return false;
}

bool fdt_reg(int node, uint32_t index, struct range *range)
{
    struct walk walk;
    uint32_t size;
    if (!find_node(&walk, node) || walk.depth == 0) {
        return false;
    }
    int parent = walk.trail[walk.depth - 1];
    uint32_t address = cells(parent, "#address-cells", 2), length = cells(parent, "#size-cells", 1);
    uint32_t row = 4 * (address + length);
    const uint8_t *at = fdt_property(node, "reg", &size);
    if (at == NULL || row == 0 || size / row <= index) {
        return false;
    }
    range->base = be_cells(at + index * row, address);
    range->size = be_cells(at + index * row + 4 * address, length);
    for (int depth = walk.depth - 1; depth > 0; depth--) {
        if (!translate(walk.trail[depth], walk.trail[depth - 1], &range->base)) {
            return false;
        }
    }
    return true;
}

/* GIC binding: type (0 SPI, 1 PPI), number, flags; three cells everywhere in a guest's devicetree. */
uint32_t fdt_interrupt(int node, uint32_t index)
{
    uint32_t size;
    const uint8_t *at = fdt_property(node, "interrupts", &size);
    if (at == NULL || size / 12 <= index) {
        return 0;
    }
    at += 12 * index;
    return be32(at + 4) + (be32(at) == 0 ? 32 : 16);
}

bool fdt_owns_interrupt(uint32_t intid)
{
    struct walk walk = {.depth = -1};
    while (next_node(&walk)) {
        uint32_t named;
        for (uint32_t i = 0; (named = fdt_interrupt(walk.trail[walk.depth], i)) != 0; i++) {
            if (named == intid) {
                return true;
            }
        }
    }
    return false;
}

/* Nodes by device_type: `memory` and `cpu` have it. */
static int next_of_type(struct walk *walk, const char *type)
{
    while (next_node(walk)) {
        int node = walk->trail[walk->depth];
        if (str_equal(fdt_string(node, "device_type"), type)) {
            return node;
        }
    }
    return FDT_NONE;
}

uint32_t fdt_memory(struct range *ranges, uint32_t room)
{
    struct walk walk = {.depth = -1};
    uint32_t count = 0;
    for (int node; (node = next_of_type(&walk, "memory")) != FDT_NONE;) {
        for (uint32_t i = 0; count < room && fdt_reg(node, i, &ranges[count]); i++) {
            count++;
        }
    }
    return count;
}

uint32_t fdt_cpus(uint64_t *mpidrs, uint32_t room)
{
    struct walk walk = {.depth = -1};
    uint32_t count = 0, size;
    for (int node; (node = next_of_type(&walk, "cpu")) != FDT_NONE; count++) {
        const uint8_t *reg = fdt_property(node, "reg", &size);
        if (reg != NULL && count < room) {
            mpidrs[count] = be_cells(reg, size / 4);
        }
    }
    return count;
}

int fdt_console(void)
{
    int chosen = fdt_path("/chosen");
    if (chosen != FDT_NONE) {
        const char *path = fdt_string(chosen, "stdout-path");
        int node = *path == '/' ? fdt_path(path) : FDT_NONE;
        if (node != FDT_NONE && is_compatible(node, "arm,pl011")) {
            return node;
        }
    }
    return fdt_compatible("arm,pl011", FDT_NONE);
}
