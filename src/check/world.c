/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the layout out of the image, and puts beside each other what belongs together. */
#include "check.h"

#include <string.h>

#define MAX_DEVICES 65536u
#define MAX_RANGES  65536u
#define MAX_LEAVES  256u
#define MAX_MSRS    4096u
#define MAX_OUTS    256u
#define MAX_WINDOWS 65536u
#define MAX_CHANNELS (LAYOUT_MAX_CHANNELS * LAYOUT_MAX_PARTITIONS)

static uint64_t address_of(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

/* A copy of an array that the layout points to; NULL, with a violation, if it is not in the image. */
static void *copy_array(const struct world *world, struct proof *proof, const void *pointer, uint64_t count,
                        size_t size, const char *what)
{
    const uint8_t *bytes = elf_at(&world->elf, address_of(pointer), count * size);
    void *copy;

    if (bytes == NULL) {
        violate(proof, "%s at 0x%" PRIx64 " (%" PRIu64 " entries) do not lie in the image", what, address_of(pointer),
                count);
        return NULL;
    }
    copy = alloc(count * size);
    memcpy(copy, bytes, count * size);
    proof->checked += count;
    return copy;
}

static bool read_header(struct world *world, struct proof *proof)
{
    const uint8_t *bytes;

    if (!elf_symbol(&world->elf, "layout", &world->layout_pa)) {
        violate(proof, "the image has no symbol 'layout'");
        return false;
    }
    bytes = elf_at(&world->elf, world->layout_pa, sizeof(world->layout));
    if (bytes == NULL) {
        violate(proof, "layout at 0x%" PRIx64 " does not lie in the image", world->layout_pa);
        return false;
    }
    memcpy(&world->layout, bytes, sizeof(world->layout));
    if (world->layout.magic != LAYOUT_MAGIC || world->layout.version != LAYOUT_VERSION) {
        violate(proof, "magic 0x%016" PRIx64 ", version %" PRIu32 "; known are 0x%016" PRIx64 ", version %" PRIu32,
                world->layout.magic, world->layout.version, (uint64_t)LAYOUT_MAGIC, (uint32_t)LAYOUT_VERSION);
        return false;
    }
    return true;
}

static bool pc_sane(const struct layout_pc *pc)
{
    return pc->cpuid_basic <= MAX_LEAVES && pc->cpuid_hypervisor <= MAX_LEAVES && pc->cpuid_extended <= MAX_LEAVES &&
           pc->function_count <= LAYOUT_MAX_FUNCTIONS &&
           pc->msr_count <= MAX_MSRS && pc->off_count <= MAX_OUTS && pc->reset_count <= MAX_OUTS &&
           pc->ioapic_lines <= 64;
}

static bool counts_sane(const struct world *world, struct proof *proof)
{
    const struct layout *facts = &world->layout;
    bool pc = is_x86(world);

    if (facts->cpu_count == 0 || facts->cpu_count > LAYOUT_MAX_CPUS ||
        facts->slot_count > LAYOUT_MAX_CPUS - facts->cpu_count || facts->pool_count > LAYOUT_MAX_POOLS ||
        facts->channel_count > MAX_CHANNELS ||
        facts->partition_count == 0 ||
        facts->partition_count > LAYOUT_MAX_PARTITIONS || facts->device_count > MAX_DEVICES ||
        (pc ? !pc_sane(&facts->pc) : facts->gic.redist_count > 4) || facts->uart.init_count > 4 ||
        facts->uart.rx_on_count > 2 || facts->uart.tx_pre_count > 2) {
        violate(proof,
                "a count is out of bounds: %" PRIu32 " CPUs, %" PRIu32 " partitions, %" PRIu32
                " devices, or one of the %s",
                facts->cpu_count, facts->partition_count, facts->device_count,
                pc ? "tables for x86" : "redistributor regions");
        return false;
    }
    return true;
}

static bool read_doorbells(struct world *world, struct proof *proof, struct part *part)
{
    const struct layout_partition *raw = &part->raw;

    if (raw->doorbell_count > LAYOUT_MAX_CHANNELS) {
        violate(proof, "partition %s: %" PRIu32 " doorbells", part->name, raw->doorbell_count);
        return false;
    }
    if (raw->doorbell_count == 0) {
        return true;
    }
    part->doorbells = copy_array(world, proof, raw->doorbells, raw->doorbell_count, sizeof(part->doorbells[0]), "doorbells");
    part->rings = alloc(raw->doorbell_count * sizeof(part->rings[0]));
    for (uint32_t i = 0; i < raw->doorbell_count && part->doorbells != NULL; i++) {
        const struct layout_doorbell *bell = &part->doorbells[i];

        if (bell->intid_count > LAYOUT_MAX_PARTITIONS) {
            violate(proof, "partition %s: a doorbell with %" PRIu32 " interrupts", part->name, bell->intid_count);
            return false;
        }
        part->rings[i] = copy_array(world, proof, bell->intids, bell->intid_count, sizeof(uint32_t), "a doorbell's interrupts");
        if (part->rings[i] == NULL) {
            return false;
        }
    }
    return part->doorbells != NULL;
}

static bool read_part(struct world *world, struct proof *proof, struct part *part)
{
    const struct layout_partition *raw = &part->raw;

    part->name = elf_string(&world->elf, address_of(raw->name));
    if (part->name == NULL) {
        violate(proof, "the name of partition %" PRIu32 " does not lie in the image", part->index);
        return false;
    }
    if (raw->vcpu_count == 0 || raw->vcpu_count > LAYOUT_MAX_VCPUS || raw->memory_count > MAX_RANGES ||
        raw->image_count > MAX_RANGES || raw->irq_mode > LAYOUT_IRQ_DIRECT ||
        raw->on_fault > LAYOUT_FAULT_RESET_BOARD) {
        violate(proof, "partition %s: a count or a mode is out of bounds", part->name);
        return false;
    }
    part->vcpus = copy_array(world, proof, raw->vcpus, raw->vcpu_count, sizeof(part->vcpus[0]), "vcpus");
    part->memory = raw->memory_count != 0 ? copy_array(world, proof, raw->memory, raw->memory_count,
                                                       sizeof(part->memory[0]), "memory ranges")
                                          : alloc(0);
    part->images = raw->image_count != 0
                       ? copy_array(world, proof, raw->images, raw->image_count, sizeof(part->images[0]), "images")
                       : alloc(0);
    if (part->vcpus == NULL || part->memory == NULL || part->images == NULL || !read_doorbells(world, proof, part)) {
        return false;
    }
    if (raw->reset_count > MAX_RANGES) {
        violate(proof, "partition %s: %" PRIu32 " writes reset its devices", part->name, raw->reset_count);
        return false;
    }
    part->resets = raw->reset_count != 0
                       ? copy_array(world, proof, raw->resets, raw->reset_count, sizeof(part->resets[0]), "resets of devices")
                       : alloc(0);
    if (part->resets == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < raw->memory_count; i++) {
        ranges_add(&part->ram, part->memory[i].pa.raw, part->memory[i].size, part->name, part->index);
    }
    ranges_sort(&part->ram);
    return true;
}

static bool read_parts(struct world *world, struct proof *proof)
{
    uint32_t count = world->layout.partition_count;
    struct layout_partition *raw =
        copy_array(world, proof, world->layout.partitions, count, sizeof(raw[0]), "partitions");
    bool good = raw != NULL;

    world->parts = alloc(count * sizeof(world->parts[0]));
    for (uint32_t i = 0; i < count && raw != NULL; i++) {
        world->parts[i].raw = raw[i];
        world->parts[i].index = i;
        good = read_part(world, proof, &world->parts[i]) && good;
    }
    world->part_count = good ? count : 0;
    return good;
}

static bool read_pool(struct world *world, struct proof *proof, struct pool *pool)
{
    const struct layout_pool *raw = &pool->raw;

    pool->name = elf_string(&world->elf, address_of(raw->name));
    if (pool->name == NULL || raw->cpu_count == 0 || raw->cpu_count > LAYOUT_MAX_CPUS || raw->server_count == 0 ||
        raw->server_count > LAYOUT_MAX_SERVERS || raw->window_count > MAX_WINDOWS ||
        raw->scheduler > LAYOUT_ARINC653) {
        violate(proof, "pool %s: its name, a count or its scheduler is out of bounds",
                pool->name != NULL ? pool->name : "?");
        return false;
    }
    pool->cpus = copy_array(world, proof, raw->cpus, raw->cpu_count, sizeof(pool->cpus[0]), "cores of a pool");
    pool->servers = copy_array(world, proof, raw->servers, raw->server_count, sizeof(pool->servers[0]), "servers");
    pool->windows = raw->window_count != 0 ? copy_array(world, proof, raw->windows, raw->window_count,
                                                        sizeof(pool->windows[0]), "windows")
                                           : alloc(0);
    return pool->cpus != NULL && pool->servers != NULL && pool->windows != NULL;
}

static bool read_pools(struct world *world, struct proof *proof)
{
    uint32_t count = world->layout.pool_count;
    struct layout_pool *raw =
        count != 0 ? copy_array(world, proof, world->layout.pools, count, sizeof(raw[0]), "pools") : NULL;
    bool good = true;

    world->pools = alloc(count * sizeof(world->pools[0]));
    for (uint32_t i = 0; i < count && raw != NULL; i++) {
        world->pools[i].raw = raw[i];
        good = read_pool(world, proof, &world->pools[i]) && good;
    }
    world->pool_count = good ? count : 0;
    return good && (count == 0 || raw != NULL);
}

static bool read_channels(struct world *world, struct proof *proof)
{
    uint32_t count = world->layout.channel_count;
    struct layout_channel *raw =
        count != 0 ? copy_array(world, proof, world->layout.channels, count, sizeof(raw[0]), "channels") : NULL;

    world->channels = alloc(count * sizeof(world->channels[0]));
    for (uint32_t i = 0; i < count && raw != NULL; i++) {
        struct channel *channel = &world->channels[i];

        channel->raw = raw[i];
        channel->name = elf_string(&world->elf, address_of(raw[i].name));
        if (channel->name == NULL) {
            violate(proof, "the name of channel %" PRIu32 " does not lie in the image", i);
            return false;
        }
        ranges_add(&world->shared, raw[i].pa.raw, raw[i].size, channel->name, i);
    }
    ranges_sort(&world->shared);
    world->channel_count = raw != NULL ? count : 0;
    return count == 0 || raw != NULL;
}

/* Arrays that only an x86 layout has; an empty one may be anywhere. */
static bool read_pc(struct world *world, struct proof *proof)
{
    const struct layout_pc *pc = &world->layout.pc;
    uint32_t leaves = pc->cpuid_basic + pc->cpuid_hypervisor + pc->cpuid_extended;

    world->cpuid = copy_array(world, proof, leaves != 0 ? pc->cpuid : NULL, leaves, sizeof(world->cpuid[0]), "CPUID leaves");
    world->msrs = pc->msr_count != 0
                      ? copy_array(world, proof, pc->msrs, pc->msr_count, sizeof(world->msrs[0]), "MSRs")
                      : alloc(0);
    world->outs = pc->off_count + pc->reset_count != 0 ? copy_array(world, proof, pc->off, pc->off_count + pc->reset_count,
                                                                    sizeof(world->outs[0]), "port writes")
                                                       : alloc(0);
    world->functions = pc->function_count != 0 ? copy_array(world, proof, pc->functions, pc->function_count,
                                                            sizeof(world->functions[0]), "PCI functions")
                                               : alloc(0);
    for (uint32_t i = 0; i < world->part_count; i++) {
        const struct layout_pc_partition *part = &world->parts[i].raw.pc;

        if (elf_at(&world->elf, address_of(part->io_bitmap), io_bitmap_size(world)) == NULL ||
            elf_at(&world->elf, address_of(part->msr_bitmap), msr_bitmap_size(world)) == NULL) {
            violate(proof, "partition %s: a bitmap does not lie in the image", world->parts[i].name);
            return false;
        }
    }
    return world->cpuid != NULL && world->msrs != NULL && world->outs != NULL && world->functions != NULL;
}

static void read_hv_memory(struct world *world)
{
    ranges_add_pages(&world->hv, world->layout.hv_base.raw, world->layout.hv_size, "the hypervisor's memory", NO_OWNER);
    for (size_t i = 0; i < world->elf.segment_count; i++) {
        ranges_add_pages(&world->hv, world->elf.segments[i].base, world->elf.segments[i].size, "the hypervisor's image",
                         NO_OWNER);
    }
    if (is_x86(world)) {
        ranges_add_pages(&world->hv, world->layout.pc.trampoline.raw, PAGE_SIZE, "the hypervisor's trampoline", NO_OWNER);
    }
    ranges_sort(&world->hv);
}

bool world_read_layout(struct world *world, struct proof *proof)
{
    const struct layout *facts = &world->layout;

    if (!read_header(world, proof) || !counts_sane(world, proof)) {
        return false;
    }
    world->entry_count = facts->cpu_count + facts->slot_count;
    world->cpus = copy_array(world, proof, facts->cpus, world->entry_count, sizeof(world->cpus[0]), "cpus");
    world->devices = facts->device_count != 0 ? copy_array(world, proof, facts->devices, facts->device_count,
                                                           sizeof(world->devices[0]), "devices")
                                              : alloc(0);
    if (world->cpus == NULL || world->devices == NULL || !read_parts(world, proof) || !read_pools(world, proof) ||
        !read_channels(world, proof) ||
        (is_x86(world) && !read_pc(world, proof))) {
        return false;
    }
    read_hv_memory(world);
    return true;
}

static void match_devices(struct world *world, struct part *part)
{
    const struct devtree *dt = &world->board.dt;

    for (size_t i = 0; part->spec != NULL && i < part->spec->device_count; i++) {
        int node = part->spec->devices[i].node;
        uint64_t base, size;

        for (int n = 0; node >= 0 && dt_reg(dt, node, n, &base, &size); n++) {
            ranges_add_pages(&part->given, base, size, dt->nodes[node].path, part->index);
        }
    }
    ranges_sort(&part->given);
}

void world_match(struct world *world)
{
    board_take_uart(&world->board, world->layout.uart.base.raw, world->layout.uart.width == 0);
    for (size_t i = 0; i < world->spec.partition_count; i++) {
        struct spec_partition *spec = &world->spec.partitions[i];

        for (size_t n = 0; n < spec->device_count; n++) {
            spec->devices[n].node = dt_find_name(&world->board.dt, spec->devices[n].name);
        }
        for (uint32_t n = 0; n < world->part_count; n++) {
            if (strcmp(world->parts[n].name, spec->name) == 0 && world->parts[n].spec == NULL) {
                world->parts[n].spec = spec;
                break;
            }
        }
    }
    for (uint32_t n = 0; n < world->part_count; n++) {
        match_devices(world, &world->parts[n]);
    }
    for (uint32_t i = 0; i < world->channel_count; i++) {
        for (size_t n = 0; n < world->spec.channel_count; n++) {
            if (strcmp(world->channels[i].name, world->spec.channels[n].name) == 0) {
                world->channels[i].spec = &world->spec.channels[n];
            }
        }
    }
}

void world_walk(struct world *world)
{
    bool x86 = is_x86(world);

    world->main.name = x86 ? "the host map" : "EL2";
    (x86 ? x86_walk_own : arm64_walk_own)(world, &world->main, world->layout.el2_ttbr);
    for (uint32_t i = 0; i < world->part_count; i++) {
        struct part *part = &world->parts[i];

        part->stage2.name = text("%s of %s", !x86                                             ? "stage 2"
                                             : world->layout.pc.vendor == LAYOUT_VENDOR_VMX ? "EPT"
                                                                                              : "NPT",
                                 part->name);
        part->loader.name = text("the loader map of %s", part->name);
        (x86 ? x86_walk_guest : arm64_walk_guest)(world, part);
        (x86 ? x86_walk_own : arm64_walk_own)(world, &part->loader, part->raw.loader_ttbr);
    }
}

bool ipa_to_pa(const struct part *part, uint64_t ipa, uint64_t *pa)
{
    for (uint32_t i = 0; i < part->raw.memory_count; i++) {
        const struct layout_memory *m = &part->memory[i];

        if (ipa >= m->ipa.raw && ipa - m->ipa.raw < m->size) {
            *pa = ipa - m->ipa.raw + m->pa.raw;
            return true;
        }
    }
    return false;
}

const uint8_t *image_at(const struct world *world, const struct part *part, uint64_t ipa, uint64_t *count)
{
    uint64_t pa = 0;

    for (uint32_t i = 0; ipa_to_pa(part, ipa, &pa) && i < part->raw.image_count; i++) {
        const struct layout_image *image = &part->images[i];

        if (pa >= image->target.raw && pa - image->target.raw < image->size) {
            uint64_t offset = pa - image->target.raw;

            *count = image->size - offset;
            return elf_at(&world->elf, address_of(image->source) + offset, *count);
        }
    }
    return NULL;
}

bool pa_to_in(const struct walk *walk, uint64_t pa, uint64_t *in)
{
    for (size_t i = 0; i < walk->map_count; i++) {
        if (pa >= walk->maps[i].out && pa - walk->maps[i].out < walk->maps[i].size) {
            *in = walk->maps[i].in + (pa - walk->maps[i].out);
            return true;
        }
    }
    return false;
}

const char *part_name(const struct world *world, uint32_t index)
{
    return index < world->part_count ? world->parts[index].name : "nobody";
}

bool part_owns_irq(const struct world *world, const struct part *part, uint32_t intid)
{
    if (is_x86(world)) {
        return intid < 64 && (part->raw.pc.lines >> intid & 1) != 0;
    }
    return intid < 32 * LAYOUT_SPI_WORDS && (part->raw.spi[intid / 32] >> (intid % 32) & 1) != 0;
}
