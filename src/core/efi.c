/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UEFI stub. The image is not at its link address yet: code and data reach each other relative to the
 * program counter, but pointers inside `layout` hold link addresses and are rebased before use.
 */
#include <hv/efi.h>
#include <hv/features.h>
#include <hv/layout.h>
#include <hv/message.h>

#define MAP_SLACK   2048u  /* allocating the buffer may add entries to the map */
#define EFI_PAGE    UINT64_C(4096)

extern const uint8_t _head[];

struct stub {
    struct efi_text_output *out;
    const uint8_t *map;
    uint64_t map_size, entry_size, key;
    uint32_t problem_count;
};

static HV_STUB const void *rebase(const void *pointer)
{
    return (const uint8_t *)pointer - layout.hv_base.raw + (uintptr_t)_head;
}

/* One line on the firmware's console, which wants UTF-16. */
static HV_STUB __attribute__((format(printf, 2, 3))) void say(struct stub *stub, const char *format, ...)
{
    struct message message;
    uint16_t line[MESSAGE_SIZE + 1u];
    va_list args;

    message.count = 0;
    va_start(args, format);
    message_format(&message, format, &args);
    va_end(args);
    for (uint32_t i = 0; i < message.count; i++) {
        line[i] = (uint8_t)message.text[i];
    }
    line[message.count] = 0;
    (void)stub->out->output_string(stub->out, line);
}

static HV_STUB bool type_is_free(uint32_t type)
{
    return (type >= EFI_LOADER_CODE && type <= EFI_BOOT_DATA) || type == EFI_CONVENTIONAL || type == EFI_ACPI_RECLAIM;
}

static HV_STUB void problem(struct stub *stub, const char *owner, uint64_t base, uint64_t end, const char *what)
{
    stub->problem_count++;
    say(stub, "Bulkhead: 0x%lx to 0x%lx, which the layout assigns to %s%s\r\n", base, end - 1u, owner, what);
}

/* Every byte must lie in memory that boot services give back; names each stretch that does not. */
static HV_STUB void require(struct stub *stub, const char *owner, uint64_t base, uint64_t size)
{
    uint64_t covered = 0;

    for (uint64_t at = 0; at + stub->entry_size <= stub->map_size; at += stub->entry_size) {
        const struct efi_memory *memory = (const void *)(stub->map + at);
        uint64_t end = memory->physical + memory->page_count * EFI_PAGE;
        uint64_t from = memory->physical > base ? memory->physical : base;
        uint64_t to = end < base + size ? end : base + size;

        if (from >= to) {
            continue;
        }
        covered += to - from;
        if (!type_is_free(memory->type)) {
            problem(stub, owner, from, to, ", is kept by the firmware");
        }
    }
    if (covered < size) {
        problem(stub, owner, base, base + size, ", is not all RAM of this machine");
    }
}

static HV_STUB void require_layout(struct stub *stub)
{
    const struct layout_partition *partitions = rebase(layout.partitions);

    require(stub, "the hypervisor", layout.hv_base.raw, layout.hv_size);
    if (efi_start_page() != 0) {
        require(stub, "the start of other cores", efi_start_page(), HV_PAGE_SIZE);
    }
    for (uint32_t p = 0; p < layout.partition_count; p++) {
        const struct layout_memory *memory = rebase(partitions[p].memory);

        for (uint32_t m = 0; m < partitions[p].memory_count; m++) {
            require(stub, rebase(partitions[p].name), memory[m].pa.raw, memory[m].size);
        }
    }
    for (uint32_t i = 0; HV_CHANNELS && i < layout.channel_count; i++) {
        const struct layout_channel *channels = rebase(layout.channels);

        require(stub, rebase(channels[i].name), channels[i].pa.raw, channels[i].size);
    }
}

/* The map into a buffer of its own size. Boot services stay usable. */
static HV_STUB efi_status get_map(struct stub *stub, struct efi_boot_services *boot)
{
    uint32_t version;
    void *buffer;
    efi_status status;

    stub->map_size = 0;
    status = boot->get_memory_map(&stub->map_size, NULL, &stub->key, &stub->entry_size, &version);
    if (status != EFI_BUFFER_SMALL) {
        return status;
    }
    stub->map_size += MAP_SLACK;
    status = boot->allocate_pool(EFI_LOADER_DATA, stub->map_size, &buffer);
    if (status != EFI_SUCCESS) {
        return status;
    }
    stub->map = buffer;
    return boot->get_memory_map(&stub->map_size, buffer, &stub->key, &stub->entry_size, &version);
}

static HV_STUB efi_status refuse(struct stub *stub, const char *why)
{
    say(stub, "Bulkhead: %s\r\n", why);
    return EFI_UNSUPPORTED;
}

HV_STUB efi_status efi_main(void *handle, struct efi_system_table *system)
{
    struct stub stub = { .out = system->console_out };
    const char *why = efi_refusal();

    if (why != NULL) {
        return refuse(&stub, why);
    }
    if (get_map(&stub, system->boot) != EFI_SUCCESS) {
        return refuse(&stub, "the firmware gives no memory map");
    }
    require_layout(&stub);
    if (stub.problem_count != 0) {
        return refuse(&stub, "not started; place the partitions elsewhere (memory: physical:) or free that memory");
    }
    /* Printing may change the map, so its key is fetched again; a second try is what 7.4.6 asks for. */
    for (uint32_t tries = 0; tries < 3u; tries++) {
        if (get_map(&stub, system->boot) == EFI_SUCCESS &&
            system->boot->exit_boot_services(handle, stub.key) == EFI_SUCCESS) {
            efi_leave((uintptr_t)_head);
        }
    }
    return refuse(&stub, "the firmware does not leave boot services");
}
