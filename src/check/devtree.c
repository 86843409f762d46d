/* SPDX-License-Identifier: Apache-2.0 */
/* Devicetrees: the board's and the guests'. Addresses and interrupts are followed to the CPU and the GIC. */
#include "check.h"

#include <libfdt.h>
#include <string.h>

#define MAX_DEPTH 64
#define MAX_CELLS 4u
#define MAX_HOPS  16

static uint32_t cell(const void *property, int index)
{
    const uint8_t *byte = (const uint8_t *)property + index * 4;

    return (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
}

/* The last two of `count` cells: addresses have 64 bits at most. */
static uint64_t cells(const void *property, int index, uint32_t count)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < count; i++) {
        value = value << 32 | cell(property, index + (int)i);
    }
    return value;
}

const char *dt_load(struct devtree *dt, const uint8_t *blob, size_t size)
{
    int parents[MAX_DEPTH];
    int depth = 0;
    size_t room = 0;
    int offset = 0;

    *dt = (struct devtree){.blob = blob};
    if (size < FDT_V17_SIZE || fdt_check_full(blob, size) != 0) {
        return "not a valid flattened devicetree";
    }
    while (offset >= 0 && depth >= 0) {
        const char *name = fdt_get_name(blob, offset, NULL);
        int parent = depth != 0 ? parents[depth - 1] : -1;
        const char *above = parent > 0 ? dt->nodes[parent].path : "";

        if (depth >= MAX_DEPTH || name == NULL) {
            return "the tree is too deep or damaged";
        }
        dt->nodes = grow(dt->nodes, sizeof(dt->nodes[0]), (size_t)dt->count, &room);
        parents[depth] = dt->count;
        dt->nodes[dt->count++] = (struct dt_node){
            .offset = offset,
            .parent = parent,
            .phandle = fdt_get_phandle(blob, offset),
            .path = text("%s/%s", above, name),
        };
        dt->pc = dt->pc || dt_compatible(dt, dt->count - 1, "intel,ioapic");
        offset = fdt_next_node(blob, offset, &depth);
    }
    return dt->count != 0 ? NULL : "the tree is empty";
}

const void *dt_prop(const struct devtree *dt, int node, const char *name, int *size)
{
    int length = 0;
    const void *value = fdt_getprop(dt->blob, dt->nodes[node].offset, name, &length);

    if (size != NULL) {
        *size = value != NULL ? length : 0;
    }
    return value;
}

const char *dt_string(const struct devtree *dt, int node, const char *name)
{
    int size;
    const char *value = dt_prop(dt, node, name, &size);

    return value != NULL && size > 0 && value[size - 1] == '\0' ? value : NULL;
}

bool dt_u32(const struct devtree *dt, int node, const char *name, uint32_t *value)
{
    int size;
    const void *property = dt_prop(dt, node, name, &size);

    if (property == NULL || size < 4) {
        return false;
    }
    *value = cell(property, 0);
    return true;
}

static uint32_t cell_count(const struct devtree *dt, int node, const char *name, uint32_t usual)
{
    uint32_t count = usual;

    (void)dt_u32(dt, node, name, &count);
    return count;
}

/* #address-cells and #size-cells of a bus; like Linux, a bus that is silent follows the one above. */
static uint32_t bus_cells(const struct devtree *dt, int bus, const char *name, uint32_t usual)
{
    uint32_t count = usual;

    while (bus >= 0 && !dt_u32(dt, bus, name, &count)) {
        bus = dt->nodes[bus].parent;
    }
    return count;
}

bool dt_compatible(const struct devtree *dt, int node, const char *wanted)
{
    int size;
    const char *list = dt_prop(dt, node, "compatible", &size);
    size_t length = strlen(wanted);
    bool prefix = length != 0 && wanted[length - 1] == '*';

    if (list == NULL || size <= 0 || list[size - 1] != '\0') {
        return false;
    }
    for (const char *entry = list; entry < list + size; entry += strlen(entry) + 1) {
        if (prefix ? strncmp(entry, wanted, length - 1) == 0 : strcmp(entry, wanted) == 0) {
            return true;
        }
    }
    return false;
}

/* GICv2 has had many names (Documentation/devicetree/bindings/interrupt-controller/arm,gic.yaml). */
bool dt_is_gic(const struct devtree *dt, int node)
{
    static const char *const names[] = {
        "arm,gic-v3",        "arm,gic-v2",          "arm,gic-400",          "arm,cortex-a15-gic", "arm,cortex-a9-gic",
        "arm,cortex-a7-gic", "arm,cortex-a5-gic",   "arm,arm11mp-gic",      "arm,eb11mp-gic",     "arm,pl390",
        "arm,tc11mp-gic",    "brcm,brahma-b15-gic", "nvidia,tegra210-agic", "qcom,msm-8660-qgic", "qcom,msm-qgic2",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (dt_compatible(dt, node, names[i])) {
            return dt_prop(dt, node, "interrupt-controller", NULL) != NULL;
        }
    }
    return false;
}

bool dt_enabled(const struct devtree *dt, int node)
{
    const char *status = dt_string(dt, node, "status");

    return status == NULL || strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0;
}

int dt_find(const struct devtree *dt, const char *path)
{
    for (int i = 0; i < dt->count; i++) {
        if (strcmp(dt->nodes[i].path, path) == 0) {
            return i;
        }
    }
    return -1;
}

int dt_find_name(const struct devtree *dt, const char *name)
{
    static const char *const tables[] = {"/__symbols__", "/aliases"};

    if (name[0] == '/') {
        return dt_find(dt, name);
    }
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        int table = dt_find(dt, tables[i]);
        const char *path = table >= 0 ? dt_string(dt, table, name) : NULL;

        if (path != NULL) {
            return dt_find(dt, path);
        }
    }
    return -1;
}

int dt_find_phandle(const struct devtree *dt, uint32_t phandle)
{
    for (int i = 0; i < dt->count && phandle != 0; i++) {
        if (dt->nodes[i].phandle == phandle) {
            return i;
        }
    }
    return -1;
}

bool dt_is_under(const struct devtree *dt, int node, int ancestor)
{
    while (node >= 0 && node != ancestor) {
        node = dt->nodes[node].parent;
    }
    return node == ancestor;
}

static bool is_pci(const struct devtree *dt, int bus)
{
    const char *type = dt_string(dt, bus, "device_type");

    return type != NULL && strncmp(type, "pci", 3) == 0;
}

/* One bus upwards: `ranges` of `bus` translates into its parent's addresses. */
static bool translate_once(const struct devtree *dt, int bus, uint64_t *address)
{
    uint32_t child = bus_cells(dt, bus, "#address-cells", 2);
    uint32_t sizes = bus_cells(dt, bus, "#size-cells", 1);
    uint32_t parent = bus_cells(dt, dt->nodes[bus].parent, "#address-cells", 2);
    int length;
    const void *ranges = dt_prop(dt, bus, "ranges", &length);
    int width = (int)(child + parent + sizes);

    if (ranges == NULL || child > MAX_CELLS || sizes > MAX_CELLS || parent > MAX_CELLS || child > 2 ||
        is_pci(dt, bus)) {
        return false;
    }
    if (length == 0) {
        return true;
    }
    for (int at = 0; width != 0 && at + width <= length / 4; at += width) {
        uint64_t base = cells(ranges, at, child);
        uint64_t room = cells(ranges, at + (int)(child + parent), sizes);

        if (*address >= base && *address - base < room) {
            *address = *address - base + cells(ranges, at + (int)child, parent);
            return true;
        }
    }
    return false;
}

static bool translate(const struct devtree *dt, int bus, uint64_t *address)
{
    for (; bus > 0; bus = dt->nodes[bus].parent) {
        if (!translate_once(dt, bus, address)) {
            return false;
        }
    }
    return true;
}

/*
 * A PCI function of a PC: its BARs, as the devicetree assigns them (PCI Bus Binding 2.1, 2.2.1.1 and 4.1.1). The first
 * cell has its kind in bits 25:24 (1: ports) and its configuration address in 23:8.
 */
bool dt_function(const struct devtree *dt, int node)
{
    int bus = dt->nodes[node].parent, size;
    const char *type = bus >= 0 ? dt_string(dt, bus, "device_type") : NULL;

    return dt->pc && type != NULL && strcmp(type, "pci") == 0 && dt_prop(dt, node, "reg", &size) != NULL && size >= 20;
}

bool dt_bar(const struct devtree *dt, int node, int index, struct dt_bar *bar)
{
    int length;
    const void *rows = dt_prop(dt, node, "assigned-addresses", &length);

    if (!dt_function(dt, node) || rows == NULL || (index + 1) * 20 > length) {
        return false;
    }
    *bar = (struct dt_bar){
        .high = cell(rows, 5 * index), .base = cells(rows, 5 * index + 1, 2), .size = cells(rows, 5 * index + 3, 2)};
    return true;
}

static bool bar_at(const struct devtree *dt, int node, int index, uint64_t *base, uint64_t *size, bool ports)
{
    struct dt_bar bar;

    for (int i = 0; dt_bar(dt, node, i, &bar); i++) {
        if ((bar.high >> 24 & 3) != 0 && ((bar.high >> 24 & 3) == 1) == ports && bar.size != 0 && index-- == 0) {
            *base = bar.base;
            *size = bar.size;
            return true;
        }
    }
    return false;
}

/* Pairs of address and size, where the bus upwards leads to the CPU (or to nowhere, for I/O ports). */
static bool reg_at(const struct devtree *dt, int node, int index, uint64_t *base, uint64_t *size, bool ports)
{
    int bus = dt->nodes[node].parent;
    uint32_t addresses, sizes;
    int length, width;
    const void *reg = dt_prop(dt, node, "reg", &length);

    if (dt_function(dt, node)) {
        return bar_at(dt, node, index, base, size, ports);
    }
    if (reg == NULL || bus < 0 || ports != (dt_prop(dt, node, "bulkhead,io-ports", NULL) != NULL)) {
        return false;
    }
    addresses = bus_cells(dt, bus, "#address-cells", 2);
    sizes = bus_cells(dt, bus, "#size-cells", 1);
    if (addresses == 0 || addresses > 2 || sizes == 0 || sizes > 2) {
        return false;
    }
    width = (int)(addresses + sizes);
    for (int at = 0; at + width <= length / 4; at += width) {
        *base = cells(reg, at, addresses);
        *size = cells(reg, at + (int)addresses, sizes);
        if (*size != 0 && (ports || translate(dt, bus, base)) && index-- == 0) {
            return true;
        }
    }
    return false;
}

bool dt_reg(const struct devtree *dt, int node, int index, uint64_t *base, uint64_t *size)
{
    return reg_at(dt, node, index, base, size, false);
}

bool dt_ports(const struct devtree *dt, int node, int index, uint64_t *base, uint64_t *size)
{
    return reg_at(dt, node, index, base, size, true);
}

uint64_t dt_number(const struct devtree *dt, int node, const char *name)
{
    int size;
    const void *value = dt_prop(dt, node, name, &size);

    return value != NULL && size >= 4 ? cells(value, 0, size >= 8 ? 2 : 1) : 0;
}

void dt_initrd(const struct devtree *dt, uint64_t *start, uint64_t *end)
{
    int chosen = dt_find(dt, "/chosen");

    *start = chosen >= 0 ? dt_number(dt, chosen, "linux,initrd-start") : 0;
    *end = chosen >= 0 ? dt_number(dt, chosen, "linux,initrd-end") : 0;
}

/* ---------------------------------------------------------------- interrupts */

/* An interrupt on its way to the GIC. */
struct line {
    int controller;
    uint32_t cells[MAX_CELLS];
    uint32_t count;
};

/* The nearest `interrupt-parent` upwards, or the nearest controller or nexus above (DTSpec 2.4). */
static int interrupt_parent(const struct devtree *dt, int node)
{
    uint32_t phandle;

    while (node >= 0) {
        if (dt_u32(dt, node, "interrupt-parent", &phandle)) {
            return dt_find_phandle(dt, phandle);
        }
        node = dt->nodes[node].parent;
        if (node >= 0 && dt_prop(dt, node, "#interrupt-cells", NULL) != NULL) {
            return node;
        }
    }
    return -1;
}

static bool is_ioapic(const struct devtree *dt, int node)
{
    return dt_compatible(dt, node, "intel,ioapic");
}

/* The GIC that no other controller stands before: INTIDs are this one's numbers. */
static bool is_root_gic(const struct devtree *dt, int node)
{
    int above = dt_is_gic(dt, node) ? interrupt_parent(dt, node) : node;

    return dt_is_gic(dt, node) && (above < 0 || above == node);
}

int dt_gic(const struct devtree *dt)
{
    for (int i = 0; i < dt->count; i++) {
        if (is_root_gic(dt, i) && dt_enabled(dt, i)) {
            return i;
        }
    }
    return -1;
}

static bool take_cells(struct line *line, const void *property, int at, int room, uint32_t count)
{
    if (count == 0 || count > MAX_CELLS || at + (int)count > room) {
        return false;
    }
    line->count = count;
    for (uint32_t i = 0; i < count; i++) {
        line->cells[i] = cell(property, at + (int)i);
    }
    return true;
}

static bool extended_line(const struct devtree *dt, const void *list, int room, int index, struct line *line)
{
    int at = 0;

    while (at < room) {
        uint32_t phandle = cell(list, at);
        uint32_t count = 0;

        line->controller = dt_find_phandle(dt, phandle);
        at++;
        if (phandle == 0) {
            if (index-- == 0) {
                line->count = 0;
                return true;
            }
            continue;
        }
        if (line->controller < 0 || !dt_u32(dt, line->controller, "#interrupt-cells", &count)) {
            return false;
        }
        if (index-- == 0) {
            return take_cells(line, list, at, room, count);
        }
        at += (int)count;
    }
    return false;
}

static bool first_line(const struct devtree *dt, int node, int index, struct line *line)
{
    int size;
    uint32_t count = 0;
    const void *list = dt_prop(dt, node, "interrupts-extended", &size);

    if (list != NULL) {
        return extended_line(dt, list, size / 4, index, line);
    }
    list = dt_prop(dt, node, "interrupts", &size);
    if (list == NULL) {
        return false;
    }
    line->controller = is_root_gic(dt, node) ? node : interrupt_parent(dt, node);
    if (line->controller < 0 || !dt_u32(dt, line->controller, "#interrupt-cells", &count)) {
        return false;
    }
    return take_cells(line, list, index * (int)count, size / 4, count);
}

/* Does this row of an interrupt-map stand for the unit address and the interrupt? */
static bool map_row_matches(const void *map, int at, const void *mask, const uint32_t *key, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++) {
        uint32_t bits = mask != NULL ? cell(mask, (int)i) : UINT32_MAX;

        if ((cell(map, at + (int)i) & bits) != (key[i] & bits)) {
            return false;
        }
    }
    return true;
}

static bool map_line(const struct devtree *dt, int node, struct line *line)
{
    uint32_t key[2 * MAX_CELLS] = {0};
    int size, mask_size, reg_size;
    int nexus = line->controller;
    const void *map = dt_prop(dt, nexus, "interrupt-map", &size);
    const void *mask = dt_prop(dt, nexus, "interrupt-map-mask", &mask_size);
    const void *reg = dt_prop(dt, node, "reg", &reg_size);
    uint32_t unit = cell_count(dt, nexus, "#address-cells", 0);
    uint32_t width = unit + line->count;
    int at = 0;

    if (unit > MAX_CELLS || (mask != NULL && mask_size < (int)width * 4)) {
        return false;
    }
    for (uint32_t i = 0; i < unit && reg != NULL && (int)i < reg_size / 4; i++) {
        key[i] = cell(reg, (int)i);
    }
    memcpy(&key[unit], line->cells, line->count * sizeof(key[0]));
    while (at + (int)width + 1 <= size / 4) {
        int parent = dt_find_phandle(dt, cell(map, at + (int)width));
        uint32_t count = parent >= 0 ? cell_count(dt, parent, "#interrupt-cells", 0) : 0;
        uint32_t address = parent >= 0 ? cell_count(dt, parent, "#address-cells", 0) : 0;
        int values = at + (int)(width + 1 + address);

        if (parent < 0 || address > MAX_CELLS) {
            return false;
        }
        if (map_row_matches(map, at, mask, key, width)) {
            line->controller = parent;
            return take_cells(line, map, values, size / 4, count);
        }
        at = values + (int)count;
    }
    return false;
}

static void gic_number(const struct line *line, struct dt_interrupt *found)
{
    if (line->count < 3) {
        return;
    }
    found->known = true;
    switch (line->cells[0]) {
    case 0:
        found->intid = line->cells[1] + 32;
        break;
    case 1:
        found->intid = line->cells[1] + 16;
        found->known = line->cells[1] < 16;
        break;
    case 2:
        found->intid = line->cells[1] + 4096;
        break; /* extended SPI */
    case 3:
        found->intid = line->cells[1] + 1056;
        break; /* extended PPI */
    default:
        found->known = false;
        break;
    }
}

/* Wake-up controllers before the GIC that pass its numbers on unchanged (drivers/irqchip of Linux). */
static bool passes_through(const struct devtree *dt, const struct line *line)
{
    static const char *const names[] = {"fsl,imx7d-gpc",         "fsl,imx8m*",
                                        "nvidia,tegra30-ictlr",  "nvidia,tegra124-ictlr",
                                        "nvidia,tegra210-ictlr", "mediatek,mt6577-sysirq"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (line->count == 3 && dt_compatible(dt, line->controller, names[i])) {
            return true;
        }
    }
    return false;
}

/* Qualcomm's power domain controller: rows of first pin, first SPI, count (binding qcom,pdc). */
static bool pdc_line(const struct devtree *dt, struct line *line)
{
    int size;
    const void *rows = dt_prop(dt, line->controller, "qcom,pdc-ranges", &size);

    for (int at = 0; rows != NULL && line->count >= 2 && at + 3 <= size / 4; at += 3) {
        uint32_t first = cell(rows, at);

        if (line->cells[0] >= first && line->cells[0] - first < cell(rows, at + 2)) {
            *line = (struct line){
                .controller = interrupt_parent(dt, line->controller),
                .cells = {0, cell(rows, at + 1) + (line->cells[0] - first), line->cells[1]},
                .count = 3,
            };
            return true;
        }
    }
    return false;
}

/* One controller nearer to the GIC; false where the way ends. */
static bool next_line(const struct devtree *dt, int *node, struct line *line)
{
    int here = line->controller;

    if (dt_prop(dt, here, "interrupt-map", NULL) != NULL) {
        bool mapped = map_line(dt, *node, line);

        *node = here;
        return mapped;
    }
    if (passes_through(dt, line)) {
        line->controller = interrupt_parent(dt, here);
        return line->controller != here;
    }
    return pdc_line(dt, line);
}

static void follow(const struct devtree *dt, int node, struct line *line, struct dt_interrupt *found)
{
    for (int hop = 0; hop < MAX_HOPS && line->controller >= 0 && line->count != 0; hop++) {
        if (is_root_gic(dt, line->controller)) {
            gic_number(line, found);
            return;
        }
        if (is_ioapic(dt, line->controller)) {
            *found = (struct dt_interrupt){.known = true, .intid = line->cells[0]};
            return;
        }
        if (!next_line(dt, &node, line)) {
            return;
        }
    }
}

/* The index-th row of a nexus: what it hands on for the devices behind it. */
static bool map_row(const struct devtree *dt, int nexus, int index, struct line *line)
{
    int size;
    const void *map = dt_prop(dt, nexus, "interrupt-map", &size);
    uint32_t width = cell_count(dt, nexus, "#address-cells", 0) + cell_count(dt, nexus, "#interrupt-cells", 1);
    int at = 0;

    while (map != NULL && width <= 2 * MAX_CELLS && at + (int)width + 1 <= size / 4) {
        int parent = dt_find_phandle(dt, cell(map, at + (int)width));
        uint32_t address = parent >= 0 ? cell_count(dt, parent, "#address-cells", 0) : 0;
        uint32_t count = parent >= 0 ? cell_count(dt, parent, "#interrupt-cells", 0) : 0;

        at += (int)(width + 1 + address);
        if (parent < 0 || address > MAX_CELLS || count > MAX_CELLS) {
            return false;
        }
        if (index-- == 0) {
            line->controller = parent;
            return take_cells(line, map, at, size / 4, count);
        }
        at += (int)count;
    }
    return false;
}

bool dt_interrupt(const struct devtree *dt, int node, int index, struct dt_interrupt *found)
{
    struct line line = {.controller = -1};

    *found = (struct dt_interrupt){0};
    if (!first_line(dt, node, index, &line)) {
        return false;
    }
    follow(dt, node, &line, found);
    return true;
}

bool dt_interrupt_behind(const struct devtree *dt, int nexus, int index, struct dt_interrupt *found)
{
    struct line line = {.controller = -1};

    *found = (struct dt_interrupt){0};
    if (!map_row(dt, nexus, index, &line)) {
        return false;
    }
    follow(dt, nexus, &line, found);
    return true;
}
