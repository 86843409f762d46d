/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about the layout itself: where it lies, its checksum, and that it is the one of this system.yaml. */
#include "check.h"

#include <string.h>

/* Memory that is read-only: no writable section of the ELF, inside the hypervisor's own range. */
static void prove_range(const struct world *world, struct proof *proof, const void *pointer, uint64_t size,
                        const char *what)
{
    uint64_t base = (uint64_t)(uintptr_t)pointer;
    const struct section *section = elf_section_of(&world->elf, base);

    proof->checked += size;
    if (section == NULL || section->write || section->execute || size > section->size - (base - section->base)) {
        violate(proof, "%s at 0x%" PRIx64 " (%" PRIu64 " bytes) is not in a read-only section (%s)", what, base, size,
                section != NULL ? section->name : "none");
    } else if (base < world->layout.hv_base.raw || base - world->layout.hv_base.raw >= world->layout.hv_size ||
               size > world->layout.hv_size - (base - world->layout.hv_base.raw)) {
        violate(proof, "%s at 0x%" PRIx64 " is outside the hypervisor's memory", what, base);
    }
}

static void prove_string(const struct world *world, struct proof *proof, const char *pointer, const char *what)
{
    const char *string = elf_string(&world->elf, (uint64_t)(uintptr_t)pointer);

    if (string == NULL) {
        violate(proof, "%s at 0x%" PRIx64 " is no text in the image", what, (uint64_t)(uintptr_t)pointer);
    } else {
        prove_range(world, proof, pointer, strlen(string) + 1, what);
    }
}

/* Calls `prove` for every array that only x86 has. */
static void each_pc_array(const struct world *world, struct proof *proof,
                          void (*prove)(const struct world *, struct proof *, const void *, uint64_t, const char *))
{
    const struct layout_pc *pc = &world->layout.pc;
    uint32_t leaves = pc->cpuid_basic + pc->cpuid_hypervisor + pc->cpuid_extended;

    if (leaves != 0) {
        prove(world, proof, pc->cpuid, leaves * sizeof(pc->cpuid[0]), "CPUID leaves");
    }
    if (pc->msr_count != 0) {
        prove(world, proof, pc->msrs, pc->msr_count * sizeof(pc->msrs[0]), "MSRs");
    }
    if (pc->off_count + pc->reset_count != 0) {
        prove(world, proof, pc->off, (pc->off_count + pc->reset_count) * sizeof(pc->off[0]), "port writes");
    }
    if (pc->function_count != 0) {
        prove(world, proof, pc->functions, pc->function_count * sizeof(pc->functions[0]), "PCI functions");
    }
    for (uint32_t i = 0; i < world->part_count; i++) {
        prove(world, proof, world->parts[i].raw.pc.io_bitmap, io_bitmap_size(world), "a bitmap of I/O ports");
        prove(world, proof, world->parts[i].raw.pc.msr_bitmap, msr_bitmap_size(world), "a bitmap of MSRs");
    }
}

/* Calls `prove` for the pools and every array of theirs. */
static void each_pool_array(const struct world *world, struct proof *proof,
                            void (*prove)(const struct world *, struct proof *, const void *, uint64_t, const char *))
{
    if (world->pool_count != 0) {
        prove(world, proof, world->layout.pools, world->pool_count * sizeof(struct layout_pool), "layout.pools");
    }
    for (uint32_t i = 0; i < world->pool_count; i++) {
        const struct layout_pool *raw = &world->pools[i].raw;

        prove(world, proof, raw->cpus, raw->cpu_count * sizeof(raw->cpus[0]), "cores of a pool");
        prove(world, proof, raw->servers, raw->server_count * sizeof(raw->servers[0]), "servers of a pool");
        if (raw->window_count != 0) {
            prove(world, proof, raw->windows, raw->window_count * sizeof(raw->windows[0]), "windows of a pool");
        }
    }
}

/* The same for channels and doorbells, and for resets of devices. */
static void each_channel_array(const struct world *world, struct proof *proof,
                               void (*prove)(const struct world *, struct proof *, const void *, uint64_t, const char *))
{
    if (world->channel_count != 0) {
        prove(world, proof, world->layout.channels, world->channel_count * sizeof(struct layout_channel), "layout.channels");
    }
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];

        if (part->raw.reset_count != 0) {
            prove(world, proof, part->raw.resets, part->raw.reset_count * sizeof(part->resets[0]), "resets of devices");
        }
        if (part->raw.doorbell_count != 0) {
            prove(world, proof, part->raw.doorbells, part->raw.doorbell_count * sizeof(part->doorbells[0]), "doorbells");
        }
        for (uint32_t i = 0; i < part->raw.doorbell_count; i++) {
            prove(world, proof, part->doorbells[i].intids, part->doorbells[i].intid_count * sizeof(uint32_t),
                  "the interrupts of a doorbell");
        }
    }
}

static void prove_read_only(const struct world *world, struct proof *proof)
{
    const struct layout *facts = &world->layout;

    prove_string(world, proof, facts->board, "the board's name");
    prove_string(world, proof, facts->banner, "what is said first");
    for (uint32_t i = 0; i < facts->device_count; i++) {
        prove_string(world, proof, world->devices[i].name, "a device's name");
    }
    prove_range(world, proof, (const void *)(uintptr_t)world->layout_pa, sizeof(*facts), "layout");
    prove_range(world, proof, facts->cpus, world->entry_count * sizeof(facts->cpus[0]), "layout.cpus");
    prove_range(world, proof, facts->partitions, facts->partition_count * sizeof(facts->partitions[0]),
                "layout.partitions");
    if (facts->device_count != 0) {
        prove_range(world, proof, facts->devices, facts->device_count * sizeof(facts->devices[0]), "layout.devices");
    }
    for (uint32_t i = 0; i < world->part_count; i++) {
        const struct layout_partition *raw = &world->parts[i].raw;

        prove_range(world, proof, raw->name, strlen(world->parts[i].name) + 1, "a partition's name");
        prove_range(world, proof, raw->vcpus, raw->vcpu_count * sizeof(raw->vcpus[0]), "vcpus");
        if (raw->memory_count != 0) {
            prove_range(world, proof, raw->memory, raw->memory_count * sizeof(raw->memory[0]), "memory ranges");
        }
        if (raw->image_count != 0) {
            prove_range(world, proof, raw->images, raw->image_count * sizeof(raw->images[0]), "images");
        }
    }
    for (uint32_t i = 0; i < world->pool_count; i++) {
        prove_string(world, proof, world->pools[i].raw.name, "a pool's name");
    }
    each_pool_array(world, proof, prove_range);
    each_channel_array(world, proof, prove_range);
    if (is_x86(world)) {
        each_pc_array(world, proof, prove_range);
    }
}

static bool within(uint64_t base, uint64_t size, uint64_t start, uint64_t end)
{
    return base >= start && base <= end && size <= end - base;
}

static void prove_within(struct proof *proof, const void *pointer, uint64_t size, const struct range *summed)
{
    uint64_t base = (uint64_t)(uintptr_t)pointer;

    if (size != 0 && !within(base, size, summed->base, summed->end)) {
        violate(proof, "%s at 0x%" PRIx64 " (%" PRIu64 " bytes) is outside the range of the checksum", summed->what,
                base, size);
    }
}

static void prove_array_within(const struct world *world, struct proof *proof, const void *pointer, uint64_t size,
                            const char *what)
{
    struct range summed = {.what = what};

    (void)elf_symbol(&world->elf, "__ro_tables_start", &summed.base);
    (void)elf_symbol(&world->elf, "__ro_tables_end", &summed.end);
    prove_within(proof, pointer, size, &summed);
}

/* What the hypervisor relies on has to lie in the range that the sum covers. */
static void prove_summed(const struct world *world, struct proof *proof, uint64_t start, uint64_t end)
{
    const struct layout *facts = &world->layout;
    struct range summed = {.base = start, .end = end, .what = "layout"};

    prove_within(proof, (const void *)(uintptr_t)world->layout_pa, sizeof(*facts), &summed);
    summed.what = "an array of the layout";
    prove_within(proof, facts->cpus, world->entry_count * sizeof(facts->cpus[0]), &summed);
    prove_within(proof, facts->partitions, facts->partition_count * sizeof(facts->partitions[0]), &summed);
    prove_within(proof, facts->devices, facts->device_count * sizeof(facts->devices[0]), &summed);
    for (uint32_t i = 0; i < world->part_count; i++) {
        const struct layout_partition *raw = &world->parts[i].raw;

        prove_within(proof, raw->vcpus, raw->vcpu_count * sizeof(raw->vcpus[0]), &summed);
        prove_within(proof, raw->memory, raw->memory_count * sizeof(raw->memory[0]), &summed);
        prove_within(proof, raw->images, raw->image_count * sizeof(raw->images[0]), &summed);
    }
    each_pool_array(world, proof, prove_array_within);
    each_channel_array(world, proof, prove_array_within);
    if (is_x86(world)) {
        each_pc_array(world, proof, prove_array_within);
    }
}

static uint64_t rotate_left(uint64_t value, unsigned int count)
{
    return value << count | value >> (64 - count);
}

/* Words of even and of odd index are summed apart; each block of sixteen words adds the sum so far to a second one. */
static uint64_t sum_blocks(const uint8_t *bytes, uint64_t block_count)
{
    uint64_t even = 0, odd = 0, even_history = 0, odd_history = 0;

    for (uint64_t i = 0; i < block_count; i++) {
        uint64_t words[16];

        memcpy(words, bytes + sizeof(words) * i, sizeof(words));
        for (unsigned int j = 0; j < 16; j += 2) {
            even += words[j];
            odd += words[j + 1];
        }
        even_history += even;
        odd_history += odd;
    }
    return even ^ rotate_left(odd, 16) ^ rotate_left(even_history, 32) ^ rotate_left(odd_history, 48);
}

static void prove_checksum(const struct world *world, struct proof *proof)
{
    uint64_t start = 0, end = 0, place = 0, stored, sum;
    const uint8_t *bytes, *word;

    if (!elf_symbol(&world->elf, "__ro_tables_start", &start) || !elf_symbol(&world->elf, "__ro_tables_end", &end) ||
        !elf_symbol(&world->elf, "layout_checksum", &place)) {
        violate(proof, "the image has no __ro_tables_start, __ro_tables_end or layout_checksum");
        return;
    }
    bytes = end > start && (end - start) % 128 == 0 ? elf_at(&world->elf, start, end - start) : NULL;
    word = elf_at(&world->elf, place, sizeof(stored));
    if (bytes == NULL || word == NULL) {
        violate(proof, "0x%" PRIx64 "..0x%" PRIx64 " or its sum does not lie in the image", start, end);
        return;
    }
    memcpy(&stored, word, sizeof(stored));
    sum = sum_blocks(bytes, (end - start) / 128);
    proof->checked += end - start;
    if (sum != stored) {
        violate(proof, "the sum over 0x%" PRIx64 "..0x%" PRIx64 " is 0x%016" PRIx64 ", the image says 0x%016" PRIx64,
                start, end, sum, stored);
    }
    prove_summed(world, proof, start, end);
}

static void prove_partition(const struct world *world, struct proof *proof, const struct part *part)
{
    const struct spec_partition *spec = part->spec;
    bool direct = spec != NULL && (spec->direct || (is_x86(world) && !spec->virtual_said && spec->pool == NULL));

    if (spec == NULL) {
        violate(proof, "%s has no partition '%s'", world->spec.file, part->name);
        return;
    }
    if ((part->raw.irq_mode == LAYOUT_IRQ_DIRECT) != direct) {
        violate(proof, "partition %s: interrupts are %s in the layout, %s in %s:%" PRIu32, part->name,
                direct ? "virtual" : "direct", direct ? "direct" : "virtual", world->spec.file, spec->line);
    }
    if (part->raw.on_fault != spec->on_fault) {
        violate(proof, "partition %s: the fault policy is %" PRIu32 " in the layout, %" PRIu32 " in %s:%" PRIu32,
                part->name, part->raw.on_fault, spec->on_fault, world->spec.file, spec->line);
    }
    if ((part->raw.vuart.intid != 0) != spec->vuart) {
        violate(proof, "partition %s: %s virtual UART in the layout, %s in %s:%" PRIu32, part->name,
                spec->vuart ? "no" : "a", spec->vuart ? "one" : "none", world->spec.file, spec->line);
    }
    if (part->raw.yaml_line != spec->line) {
        violate(proof, "partition %s: yaml_line is %" PRIu32 ", it stands in %s:%" PRIu32, part->name,
                part->raw.yaml_line, world->spec.file, spec->line);
    }
}

/* The folder's name: what stands behind the last slash that does not end the path; "" if that is no name. */
static const char *last_name(const char *path)
{
    size_t length = strlen(path);
    size_t start;

    while (length != 0 && path[length - 1] == '/') {
        length--;
    }
    for (start = length; start != 0 && path[start - 1] != '/'; start--) {
    }
    return path[start] == '.' ? "" : text("%.*s", (int)(length - start), path + start);
}

static void prove_partitions(const struct world *world, struct proof *proof)
{
    const char *board = elf_string(&world->elf, (uint64_t)(uintptr_t)world->layout.board);

    const char *wanted = last_name(world->spec.board);

    if (board == NULL || (wanted[0] != '\0' && strcmp(board, wanted) != 0)) {
        violate(proof, "the layout is for board '%s', %s for '%s'", board != NULL ? board : "?", world->spec.file,
                world->spec.board);
    }
    for (uint32_t i = 0; i < world->part_count; i++) {
        prove_partition(world, proof, &world->parts[i]);
        proof->checked++;
    }
    if (world->part_count != world->spec.partition_count) {
        violate(proof, "the layout has %" PRIu32 " partitions, %s %zu", world->part_count, world->spec.file,
                world->spec.partition_count);
    }
}

static uint32_t owner_of_node(const struct world *world, int node, uint32_t *line)
{
    for (uint32_t i = 0; i < world->part_count; i++) {
        const struct spec_partition *spec = world->parts[i].spec;

        for (size_t n = 0; spec != NULL && n < spec->device_count; n++) {
            if (spec->devices[n].node == node) {
                *line = spec->devices[n].line;
                return i;
            }
        }
    }
    *line = 0;
    return LAYOUT_NO_PARTITION;
}

static bool node_has_reg(const struct devtree *dt, int node, uint64_t wanted, uint64_t wanted_size)
{
    uint64_t base, size;

    for (int i = 0; wanted >= LAYOUT_PORTS && dt_ports(dt, node, i, &base, &size); i++) {
        if (LAYOUT_PORTS + base == wanted && size == wanted_size) {
            return true;
        }
    }
    for (int i = 0; dt_reg(dt, node, i, &base, &size); i++) {
        if (base == wanted && size == wanted_size) {
            return true;
        }
    }
    return false;
}

/* Fault reports know channels as "channel NAME", by their guest address, which is outside the board's memory. */
static bool is_channel(const struct world *world, const struct layout_device *d, const char *name)
{
    for (uint32_t i = 0; name != NULL && strncmp(name, "channel ", 8) == 0 && i < world->channel_count; i++) {
        const struct channel *channel = &world->channels[i];
        uint32_t writer = LAYOUT_NO_PARTITION;

        for (uint32_t p = 0; p < world->part_count; p++) {
            const struct spec_member *member = channel_member(channel, &world->parts[p]);

            writer = member != NULL && member->writer ? p : writer;
        }
        if (strcmp(name + 8, channel->name) == 0) {
            return channel->spec != NULL && d->owner == writer && d->yaml_line == channel->spec->line &&
                   ranges_hit(&world->board.memory, d->base.raw, d->base.raw + d->size) == NULL;
        }
    }
    return false;
}

static void prove_devices(const struct world *world, struct proof *proof)
{
    uint64_t last = 0;

    for (uint32_t i = 0; i < world->layout.device_count; i++) {
        const struct layout_device *d = &world->devices[i];
        const char *path = elf_string(&world->elf, (uint64_t)(uintptr_t)d->name);
        int node = path != NULL ? dt_find(&world->board.dt, path) : -1;
        uint32_t line = 0;

        proof->checked++;
        if (is_channel(world, d, path)) {
            last = d->base.raw < last ? UINT64_MAX : d->base.raw;
            continue;
        }
        if (node < 0 || !node_has_reg(&world->board.dt, node, d->base.raw, d->size)) {
            violate(proof, "entry %" PRIu32 " (%s at 0x%" PRIx64 ") is not in the devicetree", i,
                    path != NULL ? path : "?", d->base.raw);
        } else if (d->owner != owner_of_node(world, node, &line) || d->yaml_line != line) {
            violate(proof, "%s is listed as %s's (line %" PRIu32 "), which is not what %s says", path,
                    part_name(world, d->owner), d->yaml_line, world->spec.file);
        }
        if (d->base.raw < last) {
            violate(proof, "the list of devices is not sorted at entry %" PRIu32, i);
        }
        last = d->base.raw;
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"layout-read-only",
     "The layout and everything that it points to lie in read-only sections of the image, inside the hypervisor's "
     "memory.",
     "bytes", prove_read_only, ARCH_BOTH},
    {"layout-checksum",
     "The checksum that the boot code compares is the sum over layout and tables as they stand in the image, and "
     "covers them all.",
     "bytes", prove_checksum, ARCH_BOTH},
    {"layout-partitions",
     "The layout is for the board of system.yaml and has its partitions and no others, with their interrupt mode, "
     "fault policy and console.",
     "partitions", prove_partitions, ARCH_BOTH},
    {"layout-devices",
     "The list of devices that fault reports use is sorted and names devicetree nodes and channels with their real "
     "owners.",
     "devices", prove_devices, ARCH_BOTH},
};
/* clang-format on */

const struct rule_set layout_rules = {"The layout", rules, sizeof(rules) / sizeof(rules[0])};
