/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules about PCI functions on x86 (PCI Local Bus 3.0, 6.2): the table from which the hypervisor sets their BARs and
 * answers their configuration space. What BARs let a guest reach, the rules about memory and ports prove.
 */
#include "check.h"

#include <stdio.h>
#include <string.h>

#define ADDRESS(high)  ((high) >> 8 & 0xffff) /* PCI Bus Binding 2.1, 2.2.1.1 */
#define KIND(high)     ((high) >> 24 & 3)     /* 1: ports, 2: memory, 3: memory with 64 bits */
#define PREFETCH       (UINT32_C(1) << 30)
#define FIRST_BAR      0x10u
#define DECODE_PORTS   1u
#define DECODE_MEMORY  2u
#define BAR_WIDE       4u
#define BAR_PREFETCH   8u
#define MESSAGES       UINT64_C(0xfee00000)
#define MESSAGES_END   UINT64_C(0xfef00000)

struct wanted {
    uint32_t address, id, command, interrupt;
    uint32_t bar[LAYOUT_BARS], sizes[LAYOUT_BARS];
};

/* compatible "pciVVVV,DDDD". */
static uint32_t id_of(const struct devtree *dt, int node)
{
    int size;
    const char *list = dt_prop(dt, node, "compatible", &size);
    uint32_t vendor = 0, device = 0;

    for (const char *entry = list; list != NULL && list[size - 1] == '\0' && entry < list + size; entry += strlen(entry) + 1) {
        if (sscanf(entry, "pci%4" SCNx32 ",%4" SCNx32, &vendor, &device) == 2) {
            return vendor | device << 16;
        }
    }
    return 0;
}

/* Line and pin; a function that names its line outright, and not by a pin of its slot, has INTA. */
static uint32_t interrupt_of(const struct devtree *dt, int node)
{
    struct dt_interrupt irq = {0};
    uint32_t pin = 1;

    if (!dt_interrupt(dt, node, 0, &irq) || !irq.known) {
        return 0;
    }
    if (dt_prop(dt, node, "interrupts-extended", NULL) == NULL) {
        (void)dt_u32(dt, node, "interrupts", &pin);
    }
    return irq.intid | pin << 8;
}

static void want_bar(struct wanted *wanted, const struct dt_bar *bar)
{
    uint32_t number = ((bar->high & 0xff) - FIRST_BAR) / 4, kind = KIND(bar->high);
    uint32_t low = kind == 1 ? 1 : (kind == 3 ? BAR_WIDE : 0) | ((bar->high & PREFETCH) != 0 ? BAR_PREFETCH : 0);

    if (number >= LAYOUT_BARS - (kind == 3 ? 1 : 0)) {
        return;
    }
    wanted->command |= kind == 1 ? DECODE_PORTS : DECODE_MEMORY;
    wanted->bar[number] = (uint32_t)bar->base | low;
    wanted->sizes[number] = ~(uint32_t)(bar->size - 1) | low;
    if (kind == 3) {
        wanted->bar[number + 1] = (uint32_t)(bar->base >> 32);
        wanted->sizes[number + 1] = (uint32_t)(~(bar->size - 1) >> 32);
    }
}

static struct wanted want(const struct devtree *dt, int node)
{
    uint32_t first = 0;
    struct wanted wanted = {.id = id_of(dt, node), .interrupt = interrupt_of(dt, node)};
    struct dt_bar bar;

    (void)dt_u32(dt, node, "reg", &first);
    wanted.address = ADDRESS(first);
    for (int i = 0; dt_bar(dt, node, i, &bar); i++) {
        want_bar(&wanted, &bar);
    }
    return wanted;
}

/* The partition to which system.yaml gives the node. */
static uint32_t owner_of(const struct world *world, int node)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct spec_partition *spec = world->parts[p].spec;

        for (size_t i = 0; spec != NULL && i < spec->device_count; i++) {
            if (spec->devices[i].node == node) {
                return p;
            }
        }
    }
    return LAYOUT_NO_PARTITION;
}

static int node_of(const struct world *world, const struct layout_function *function)
{
    const char *path = elf_string(&world->elf, (uint64_t)(uintptr_t)function->name);
    int node = path != NULL ? dt_find(&world->board.dt, path) : -1;

    return node >= 0 && dt_function(&world->board.dt, node) ? node : -1;
}

static void equal(struct proof *proof, const char *path, const char *what, uint32_t found, uint32_t wanted)
{
    proof->checked++;
    if (found != wanted) {
        violate(proof, "%s: %s is 0x%" PRIx32 " in the layout, 0x%" PRIx32 " on the board", path, what, found, wanted);
    }
}

static void prove_function(const struct world *world, struct proof *proof, const struct layout_function *function)
{
    int node = node_of(world, function);
    struct wanted wanted;
    const char *path;

    if (node < 0) {
        violate(proof, "function 0x%x of the table is none of the devicetree's", function->address);
        return;
    }
    path = world->board.dt.nodes[node].path;
    wanted = want(&world->board.dt, node);
    if (function->partition != owner_of(world, node)) {
        violate(proof, "%s is listed as %s's, which is not what %s says", path, part_name(world, function->partition),
                world->spec.file);
    }
    if (wanted.id == 0) {
        violate(proof, "%s: its node does not say which function it is", path);
    }
    equal(proof, path, "its configuration address", function->address, wanted.address);
    equal(proof, path, "its ID", function->id, wanted.id);
    equal(proof, path, "its interrupt", function->interrupt, wanted.interrupt);
    for (uint32_t i = 0; i < LAYOUT_BARS; i++) {
        equal(proof, path, text("BAR %" PRIu32, i), function->bar[i], wanted.bar[i]);
        equal(proof, path, text("the size of BAR %" PRIu32, i), function->sizes[i], wanted.sizes[i]);
    }
}

/* Each that is given is listed; and no address twice, or one function would have two owners. */
static void prove_complete(const struct world *world, struct proof *proof)
{
    uint32_t count = world->layout.pc.function_count;

    for (int node = 0; node < world->board.dt.count; node++) {
        uint32_t listed = 0;

        if (!dt_function(&world->board.dt, node) || owner_of(world, node) == LAYOUT_NO_PARTITION) {
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            listed += node_of(world, &world->functions[i]) == node ? 1 : 0;
        }
        proof->checked++;
        if (listed != 1) {
            violate(proof, "%s is %" PRIu32 " times in the table of functions", world->board.dt.nodes[node].path, listed);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t n = 0; n < i; n++) {
            if (world->functions[i].address == world->functions[n].address) {
                violate(proof, "configuration address 0x%x is twice in the table of functions", world->functions[i].address);
            }
        }
    }
}

static void prove_functions(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->layout.pc.function_count; i++) {
        prove_function(world, proof, &world->functions[i]);
    }
    prove_complete(world, proof);
}

/* Every other bit of the command register stays as it is, or is the guest's own: the disabling of interrupts. */
static void prove_no_master(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->layout.pc.function_count; i++) {
        const struct layout_function *function = &world->functions[i];
        int node = node_of(world, function);
        uint32_t wanted = node >= 0 ? want(&world->board.dt, node).command : 0;

        proof->checked++;
        if (function->command != wanted) {
            violate(proof, "function 0x%x decodes 0x%" PRIx32 ", it has BARs for 0x%" PRIx32 "%s", function->address,
                    function->command, wanted, (function->command & 4) != 0 ? "; bit 2 makes it bus master" : "");
        }
    }
}

/* ---------------------------------------------------------------- where BARs lie */

static void apart(struct proof *proof, const char *path, const struct ranges *list, uint64_t base, uint64_t end, int node,
                  const char *what)
{
    for (size_t i = ranges_first(list, base); i < list->count && list->at[i].base < end; i++) {
        const struct range *other = &list->at[i];

        if (other->end > base && other->owner != (uint32_t)node) {
            violate(proof, "%s: its BAR at 0x%" PRIx64 " lies on %s%s", path, base, what, other->what);
        }
    }
}

static void prove_bar(const struct world *world, struct proof *proof, int node, const struct dt_bar *bar)
{
    const struct board *board = &world->board;
    const char *path = board->dt.nodes[node].path;
    uint64_t end = bar->base + bar->size, limit = KIND(bar->high) == 1 ? 65536 : KIND(bar->high) == 3 ? UINT64_MAX : UINT32_MAX;
    uint64_t least = KIND(bar->high) == 1 ? 4 : 16;

    proof->checked++;
    if (KIND(bar->high) == 0 || bar->size < least || (bar->size & (bar->size - 1)) != 0 || bar->base == 0 ||
        (bar->base & (bar->size - 1)) != 0 || end < bar->base || end - 1 > limit) {
        violate(proof, "%s: no BAR can have 0x%" PRIx64 " bytes at 0x%" PRIx64, path, bar->size, bar->base);
    }
    if (KIND(bar->high) == 1) {
        apart(proof, path, &board->ports, bar->base, end, node, "ports of ");
        apart(proof, path, &board->kept_ports, bar->base, end, node, "");
        return;
    }
    apart(proof, path, &board->devices, bar->base, end, node, "registers of ");
    apart(proof, path, &board->memory, bar->base, end, node, "RAM, ");
    apart(proof, path, &board->reserved, bar->base, end, node, "what is reserved: ");
    apart(proof, path, &world->hv, bar->base, end, node, "");
    if (bar->base < MESSAGES_END && end > MESSAGES) {
        violate(proof, "%s: its BAR at 0x%" PRIx64 " lies on the local APICs", path, bar->base);
    }
}

static void prove_bars(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->layout.pc.function_count; i++) {
        int node = node_of(world, &world->functions[i]);
        struct dt_bar bar;

        for (int n = 0; node >= 0 && dt_bar(&world->board.dt, node, n, &bar); n++) {
            prove_bar(world, proof, node, &bar);
        }
    }
}

/* ---------------------------------------------------------------- configuration space */

/* Memory by which every function can be configured: the registers of hosts with ECAM. */
static void prove_config(const struct world *world, struct proof *proof)
{
    const struct devtree *dt = &world->board.dt;
    uint64_t base, size;

    for (int node = 0; node < dt->count; node++) {
        for (int n = 0; dt_compatible(dt, node, "pci-host-*") && dt_reg(dt, node, n, &base, &size); n++) {
            for (uint32_t p = 0; p < world->part_count; p++) {
                const struct walk *walk = &world->parts[p].stage2;

                proof->checked += walk->map_count;
                for (size_t i = 0; i < walk->map_count; i++) {
                    if (walk->maps[i].out < base + size && walk->maps[i].out + walk->maps[i].size > base) {
                        violate(proof, "partition %s reaches the configuration space of %s at guest address 0x%" PRIx64,
                                world->parts[p].name, dt->nodes[node].path, walk->maps[i].in);
                    }
                }
            }
        }
    }
}

/* ---------------------------------------------------------------- what guests are told */

/* The memory that the DSDT's host bridges hand on is that of the partition's own BARs. */
static void prove_windows_of(const struct world *world, struct proof *proof, const struct part *part)
{
    const struct devtree *dt = &world->board.dt;
    struct aml aml = {0};
    size_t wanted = 0;
    struct dt_bar bar;

    if (!boot_dsdt(world, part, &aml)) {
        return; /* acpi-readable has said it */
    }
    for (uint32_t i = 0; i < world->layout.pc.function_count; i++) {
        int node = world->functions[i].partition == part->index ? node_of(world, &world->functions[i]) : -1;

        for (int n = 0; node >= 0 && dt_bar(dt, node, n, &bar); n++) {
            const struct range *window = KIND(bar.high) != 1 ? ranges_hit(&aml.windows, bar.base, bar.base + bar.size) : NULL;

            wanted += KIND(bar.high) != 1 ? 1 : 0;
            if (KIND(bar.high) != 1 && (window == NULL || window->base != bar.base || window->end != bar.base + bar.size)) {
                violate(proof, "the DSDT of %s has no window for the BAR of %s at 0x%" PRIx64, part->name,
                        dt->nodes[node].path, bar.base);
            }
        }
    }
    proof->checked += aml.windows.count;
    if (aml.windows.count != wanted) {
        violate(proof, "the DSDT of %s has %zu windows, its functions %zu BARs for memory", part->name, aml.windows.count, wanted);
    }
}

static void prove_windows(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        prove_windows_of(world, proof, &world->parts[p]);
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"pci-functions",
     "The table of PCI functions has those that system.yaml gives, each once and for its owner, with the configuration "
     "address, ID, BARs, sizes of BARs and interrupt of the devicetree.",
     "facts", prove_functions, ARCH_X86},
    {"pci-no-master",
     "A PCI function decodes what it has BARs for, and is never made bus master.",
     "functions", prove_no_master, ARCH_X86},
    {"pci-bars",
     "BARs of given functions are such as hardware can have, and lie apart from RAM, from the hypervisor, from the local "
     "APICs, from ports that nobody may have, and from the registers and ports of every other node.",
     "BARs", prove_bars, ARCH_X86},
    {"pci-config",
     "No partition reaches the memory by which PCI functions are configured.",
     "mappings", prove_config, ARCH_X86},
    {"pci-windows",
     "The memory that host bridges hand on in a guest's DSDT is that of its own functions' BARs.",
     "windows", prove_windows, ARCH_X86},
};
/* clang-format on */

const struct rule_set pci_rules = {"PCI functions", rules, sizeof(rules) / sizeof(rules[0])};
