/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before any guest starts: the boot loader's memory map must have every byte of RAM that the layout assigns.
 * It comes in hvm_start_info (Xen public/arch-x86/hvm/start_info.h) or as a multiboot2 tag (3.6.8). Whether
 * a core exists shows when it is started.
 */
#include <hv/arch.h>
#include <hv/board_check.h>
#include <hv/console.h>
#include <hv/layout.h>

#include "board.h"
#include "boot.h"

#define PVH_MAGIC    0x336ec578u
#define MAP_RAM      1u
#define MAX_ENTRIES  256u
#define TAG_END      0u
#define TAG_MAP      6u
#define TAGS_MOST    0x100000u

struct start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp, map;
    uint32_t map_count, reserved;
};

struct map_entry {          /* of both, the first three fields in the same places */
    uint64_t base, size;
    uint32_t type, reserved;
};

struct map {
    const uint8_t *entries;
    uint32_t count, stride;
};

uint32_t board_entry;

/* Bytes of [at, end) from `at` on that the map has as RAM. */
static uint64_t ram_from(const struct map *map, uint64_t at)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct map_entry *entry = (const void *)(map->entries + (uint64_t)i * map->stride);

        if (entry->type == MAP_RAM && at - entry->base < entry->size) {
            return entry->size - (at - entry->base);
        }
    }
    return 0;
}

static void require(const struct map *map, const char *owner, uint64_t base, uint64_t size)
{
    uint64_t at = base, more = 1;

    for (uint32_t i = 0; i <= map->count && at - base < size && more != 0; i++) {
        more = ram_from(map, at);
        at += more;
    }
    if (at - base < size) {
        panic("this is not the board of the layout: %s needs RAM at 0x%lx, %lu KiB, which the boot loader's "
              "memory map does not have from 0x%lx on", owner, base, size / 1024u, at);
    }
}

static struct map multiboot_map(const uint8_t *info)
{
    uint32_t total = *(const uint32_t *)(const void *)info;
    struct map map = { NULL, 0, 0 };

    for (uint32_t at = 8; at + 16u <= total && total <= TAGS_MOST;) {
        const uint32_t *tag = (const void *)(info + at);

        if (tag[0] == TAG_END || tag[1] < 8u || tag[1] > total - at) {
            break;
        }
        if (tag[0] == TAG_MAP && tag[1] >= 16u && tag[2] >= sizeof(struct map_entry) && tag[2] % 8u == 0) {
            map = (struct map){ info + at + 16u, (tag[1] - 16u) / tag[2], tag[2] };
        }
        at += (tag[1] + 7u) & ~7u;
    }
    return map;
}

static struct map pvh_map(const struct start_info *info)
{
    if (info->magic != PVH_MAGIC || info->version < 1u) {
        panic("entered neither by PVH (version 1) nor by multiboot2");
    }
    return (struct map){ (const uint8_t *)(uintptr_t)info->map, info->map_count, sizeof(struct map_entry) };
}

void board_check_devicetree(const void *info, uint64_t id)
{
    struct map map = board_entry == BOOT_MULTIBOOT ? multiboot_map(info) : pvh_map(info);

    (void)id;
    if (map.count == 0 || map.count > MAX_ENTRIES) {
        panic("the boot loader gives no memory map");
    }
    require(&map, "the hypervisor", layout.hv_base.raw, layout.hv_size);
    require(&map, "the start of other cores", layout.pc.trampoline.raw, HV_PAGE_SIZE);
    for (uint32_t p = 0; p < layout.partition_count; p++) {
        const struct layout_partition *part = &layout.partitions[p];

        for (uint32_t m = 0; m < part->memory_count; m++) {
            require(&map, part->name, part->memory[m].pa.raw, part->memory[m].size);
        }
    }
    for (uint32_t i = 0; HV_CHANNELS && i < layout.channel_count; i++) {
        require(&map, layout.channels[i].name, layout.channels[i].pa.raw, layout.channels[i].size);
    }
}
