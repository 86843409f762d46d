/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules about what an x86 guest finds at its start: hvm_start_info (Xen's docs/misc/pvh.pandoc) with memory map, command
 * line and modules, and ACPI tables (ACPI 6.5, 5.2). All of it lies in one image, the boot block.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define START_MAGIC   UINT32_C(0x336ec578)
#define MAX_MAP       128u
#define MAX_TABLES    16u
#define MAP_RAM       1u
#define RSDP_SIZE     36u
#define HEADER_SIZE   36u
#define FADT_SIZE     276u
#define HW_REDUCED    (UINT32_C(1) << 20)
#define LOCAL_APIC    0u
#define IO_APIC       1u
#define SYSTEM_IO     1u
#define VUART_PORTS   8u
#define MADT_FIXED    44u
#define BIOS_ENTRY    0xffff0u  /* F000:FFF0 */

struct start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp, map;
    uint32_t map_count, reserved;
};
_Static_assert(sizeof(struct start_info) == 56, "xen/include/public/arch-x86/hvm/start_info.h");

struct module {
    uint64_t base, size, command_line, reserved;
};

struct map_entry {
    uint64_t base, size;
    uint32_t type, reserved;
};

struct table {
    const uint8_t *bytes; /* NULL: there is none */
    uint64_t address;
    uint32_t length;
};

/* What was found of one partition's boot block; `wrong` says where reading ended. */
struct boot {
    struct start_info info;
    struct module module;
    struct map_entry map[MAX_MAP];
    const char *command_line;
    const char *wrong, *acpi_wrong;
    struct table fadt, madt, dsdt, wdat;
};

/* ---------------------------------------------------------------- reading */

/* Bytes at a guest address, if the boot block has them. */
static const uint8_t *block_at(const struct world *world, const struct part *part, uint64_t ipa, uint64_t size)
{
    uint64_t count = 0;
    uint64_t start = part->raw.dtb.raw;
    const uint8_t *first = image_at(world, part, start, &count);

    if (first == NULL || ipa < start || ipa - start > count || size > count - (ipa - start)) {
        return NULL;
    }
    return first + (ipa - start);
}

static uint64_t little(const uint8_t *bytes, uint32_t count)
{
    uint64_t value = 0;

    memcpy(&value, bytes, count);
    return value;
}

static const char *text_at(const struct world *world, const struct part *part, uint64_t ipa)
{
    const char *start = (const char *)block_at(world, part, ipa, 1);

    for (uint64_t length = 0; block_at(world, part, ipa, length + 1) != NULL; length++) {
        if (start[length] == '\0') {
            return start;
        }
    }
    return NULL;
}

static const char *read_lists(const struct world *world, const struct part *part, struct boot *boot)
{
    const struct start_info *info = &boot->info;
    const uint8_t *map = NULL, *modules = NULL;

    if (info->map_count == 0 || info->map_count > MAX_MAP || info->module_count > 1) {
        return "a count is out of bounds";
    }
    map = block_at(world, part, info->map, info->map_count * sizeof(struct map_entry));
    modules = info->module_count != 0 ? block_at(world, part, info->modules, sizeof(struct module)) : NULL;
    if (map == NULL || (info->module_count != 0 && modules == NULL)) {
        return "the memory map or the list of modules does not lie in it";
    }
    memcpy(boot->map, map, info->map_count * sizeof(struct map_entry));
    if (modules != NULL) {
        memcpy(&boot->module, modules, sizeof(boot->module));
    }
    boot->command_line = info->command_line != 0 ? text_at(world, part, info->command_line) : "";
    return boot->command_line == NULL ? "the command line does not lie in it" : NULL;
}

static const char *read_start(const struct world *world, const struct part *part, struct boot *boot)
{
    const uint8_t *start = block_at(world, part, part->raw.dtb.raw, sizeof(boot->info));

    if (start == NULL) {
        return "no image is copied there";
    }
    memcpy(&boot->info, start, sizeof(boot->info));
    if (boot->info.magic != START_MAGIC || boot->info.version != 1) {
        return text("magic 0x%08" PRIx32 ", version %" PRIu32 " are not hvm_start_info's", boot->info.magic,
                    boot->info.version);
    }
    return read_lists(world, part, boot);
}

static uint8_t sum(const uint8_t *bytes, uint64_t size)
{
    uint32_t total = 0;

    for (uint64_t i = 0; i < size; i++) {
        total += bytes[i];
    }
    return (uint8_t)total;
}

/* A table with its header (5.2.6): length, and a sum of 0. */
static const char *read_table(const struct world *world, const struct part *part, uint64_t address, const char *name,
                              struct table *table)
{
    const uint8_t *bytes = block_at(world, part, address, HEADER_SIZE);
    uint64_t length = bytes != NULL ? little(bytes + 4, 4) : 0;

    if (bytes == NULL || length < HEADER_SIZE || block_at(world, part, address, length) == NULL) {
        return text("a table at 0x%" PRIx64 " does not lie in the boot block", address);
    }
    if (sum(bytes, length) != 0) {
        return text("the checksum of %.4s at 0x%" PRIx64 " is wrong", (const char *)bytes, address);
    }
    if (name != NULL && memcmp(bytes, name, 4) != 0) {
        return text("at 0x%" PRIx64 " there is %.4s, not %s", address, (const char *)bytes, name);
    }
    *table = (struct table){bytes, address, (uint32_t)length};
    return NULL;
}

/* FADT (5.2.9), with the DSDT that it leads to. */
static const char *read_fadt(const struct world *world, const struct part *part, struct boot *boot)
{
    const uint8_t *bytes = boot->fadt.bytes;
    uint64_t low, high;

    if (bytes == NULL || boot->madt.bytes == NULL) {
        return bytes == NULL ? "there is no FADT" : "there is no MADT";
    }
    if (boot->fadt.length < FADT_SIZE || boot->madt.length < MADT_FIXED) {
        return "FADT or MADT is too short";
    }
    low = little(bytes + 40, 4);
    high = little(bytes + 140, 8);
    if (low != 0 && high != 0 && low != high) {
        return "the FADT names two DSDTs";
    }
    return read_table(world, part, high != 0 ? high : low, "DSDT", &boot->dsdt);
}

static const char *read_acpi(const struct world *world, const struct part *part, struct boot *boot)
{
    const uint8_t *rsdp = block_at(world, part, boot->info.rsdp, RSDP_SIZE);
    struct table xsdt = {0};
    const char *wrong;

    if (rsdp == NULL || memcmp(rsdp, "RSD PTR ", 8) != 0 || rsdp[15] < 2 || sum(rsdp, 20) != 0 ||
        sum(rsdp, RSDP_SIZE) != 0) {
        return "the RSDP is missing or damaged";
    }
    wrong = read_table(world, part, little(rsdp + 24, 8), "XSDT", &xsdt);
    if (wrong != NULL) {
        return wrong;
    }
    if (little(rsdp + 16, 4) != 0 || (xsdt.length - HEADER_SIZE) % 8 != 0 ||
        (xsdt.length - HEADER_SIZE) / 8 > MAX_TABLES) {
        return "there is an RSDT too, or the XSDT is crooked";
    }
    for (uint32_t at = HEADER_SIZE; at < xsdt.length; at += 8) {
        struct table table = {0};
        struct table *place;

        wrong = read_table(world, part, little(xsdt.bytes + at, 8), NULL, &table);
        if (wrong != NULL) {
            return wrong;
        }
        place = memcmp(table.bytes, "FACP", 4) == 0   ? &boot->fadt
                : memcmp(table.bytes, "APIC", 4) == 0 ? &boot->madt
                : memcmp(table.bytes, "WDAT", 4) == 0 ? &boot->wdat
                                                      : NULL;
        if (place == NULL || place->bytes != NULL) {
            return text("the XSDT names a table %.4s that is not expected", (const char *)table.bytes);
        }
        *place = table;
    }
    return read_fadt(world, part, boot);
}

static void each_boot(const struct world *world, struct proof *proof, bool acpi,
                      void (*prove)(const struct world *, struct proof *, const struct part *, const struct boot *))
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        struct boot boot = {0};

        boot.wrong = read_start(world, &world->parts[p], &boot);
        boot.acpi_wrong = boot.wrong == NULL ? read_acpi(world, &world->parts[p], &boot) : boot.wrong;
        if (boot.wrong == NULL && (!acpi || boot.acpi_wrong == NULL)) {
            prove(world, proof, &world->parts[p], &boot);
        }
    }
}

bool boot_dsdt(const struct world *world, const struct part *part, struct aml *aml)
{
    struct boot boot = {0};

    return read_start(world, part, &boot) == NULL && read_acpi(world, part, &boot) == NULL &&
           aml_read(aml, boot.dsdt.bytes + HEADER_SIZE, boot.dsdt.length - HEADER_SIZE) == NULL;
}

void boot_initrd(const struct world *world, const struct part *part, uint64_t *start, uint64_t *end)
{
    struct boot boot = {0};

    *start = 0;
    *end = 0;
    if (read_start(world, part, &boot) == NULL && boot.info.module_count != 0) {
        *start = boot.module.base;
        *end = boot.module.base + boot.module.size;
    }
}

/* ---------------------------------------------------------------- start info */

static void prove_readable(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        struct boot boot = {0};
        const char *wrong = read_start(world, &world->parts[p], &boot);

        proof->checked++;
        if (wrong != NULL) {
            violate(proof, "the boot block of %s at guest address 0x%" PRIx64 ": %s", world->parts[p].name,
                    world->parts[p].raw.dtb.raw, wrong);
        }
    }
}

static void own_ram(const struct part *part, struct ranges *own)
{
    for (uint32_t i = 0; i < part->raw.memory_count; i++) {
        ranges_add(own, part->memory[i].ipa.raw, part->memory[i].size, "RAM", NO_OWNER);
    }
    ranges_sort(own);
}

/* The block itself must not be called free memory: the guest reads its ACPI tables late. */
static void map_keeps_block(const struct world *world, struct proof *proof, const struct part *part,
                            const struct map_entry *e)
{
    uint64_t size = 0;
    uint64_t start = part->raw.dtb.raw;

    if (e->type == MAP_RAM && image_at(world, part, start, &size) != NULL && e->base < start + size &&
        start < e->base + e->size) {
        violate(proof, "the memory map of %s calls 0x%" PRIx64 " of its boot block free", part->name,
                e->base > start ? e->base : start);
    }
}

static void memory_of(const struct world *world, struct proof *proof, const struct part *part, const struct boot *boot)
{
    struct ranges own = {0}, map = {0};
    uint64_t gap;

    own_ram(part, &own);
    for (uint32_t i = 0; i < boot->info.map_count; i++) {
        const struct map_entry *e = &boot->map[i];

        proof->checked += e->size / PAGE_SIZE;
        gap = e->base;
        if (e->size > UINT64_MAX - e->base || ranges_gap(&own, &gap, e->base + e->size) != 0) {
            violate(proof, "the memory map of %s has 0x%" PRIx64 " (type %" PRIu32 "), which it does not have",
                    part->name, gap, e->type);
            continue;
        }
        if (ranges_hit(&map, e->base, e->base + e->size) != NULL) {
            violate(proof, "the memory map of %s has 0x%" PRIx64 " twice", part->name, e->base);
        }
        map_keeps_block(world, proof, part, e);
        ranges_add(&map, e->base, e->size, "map", NO_OWNER);
        ranges_sort(&map);
    }
    for (size_t i = 0; i < own.count; i++) {
        gap = own.at[i].base;
        if (ranges_gap(&map, &gap, own.at[i].end) != 0) {
            violate(proof, "the memory map of %s does not have its memory at 0x%" PRIx64, part->name, gap);
        }
    }
    free(own.at);
    free(map.at);
}

static void prove_memory(const struct world *world, struct proof *proof)
{
    each_boot(world, proof, false, memory_of);
}

static void modules_of(const struct world *world, struct proof *proof, const struct part *part, const struct boot *boot)
{
    struct ranges own = {0};
    bool wanted = part->spec != NULL && part->spec->initrd != NULL;
    const struct module *m = &boot->module;

    (void)world;
    own_ram(part, &own);
    proof->checked++;
    if (boot->info.module_count != (wanted ? 1 : 0)) {
        violate(proof, "the boot block of %s has %" PRIu32 " modules, system.yaml %s initrd", part->name,
                boot->info.module_count, wanted ? "an" : "no");
    } else if (wanted && (m->size == 0 || m->size > UINT64_MAX - m->base ||
                          !ranges_cover(&own, m->base, m->base + m->size))) {
        violate(proof, "the boot block of %s has its initrd at 0x%" PRIx64 "..0x%" PRIx64 ", which is not its RAM",
                part->name, m->base, m->base + m->size);
    }
    free(own.at);
}

static void prove_modules(const struct world *world, struct proof *proof)
{
    each_boot(world, proof, false, modules_of);
}

static void command_of(const struct world *world, struct proof *proof, const struct part *part, const struct boot *boot)
{
    proof->checked++;
    if (part->spec != NULL && strcmp(boot->command_line, part->spec->bootargs) != 0) {
        violate(proof, "the command line of %s is '%s', %s:%" PRIu32 " has '%s'", part->name, boot->command_line,
                world->spec.file, part->spec->line, part->spec->bootargs);
    }
}

static void prove_commands(const struct world *world, struct proof *proof)
{
    each_boot(world, proof, false, command_of);
}

/* ---------------------------------------------------------------- ACPI */

static void acpi_of(const struct world *world, struct proof *proof, const struct part *part, const struct boot *boot)
{
    struct aml aml = {0};
    const char *wrong = boot->acpi_wrong;

    (void)world;
    proof->checked += boot->fadt.length + boot->madt.length + boot->dsdt.length + boot->wdat.length;
    if (wrong == NULL && (little(boot->fadt.bytes + 112, 4) & HW_REDUCED) == 0) {
        wrong = "the FADT does not say that the hardware is reduced";
    }
    if (wrong == NULL) {
        wrong = aml_read(&aml, boot->dsdt.bytes + HEADER_SIZE, boot->dsdt.length - HEADER_SIZE);
        wrong = wrong != NULL ? text("the DSDT: %s", wrong) : NULL;
    }
    if (wrong != NULL) {
        violate(proof, "the ACPI tables of %s: %s", part->name, wrong);
    }
}

static void prove_acpi(const struct world *world, struct proof *proof)
{
    each_boot(world, proof, false, acpi_of);
}

static void madt_cpu(struct proof *proof, const struct part *part, const uint8_t *entry, uint32_t count)
{
    uint64_t wanted = count < part->raw.vcpu_count ? part->vcpus[count].apic_id : UINT64_MAX;

    if (entry[2] != count || entry[3] != wanted || little(entry + 4, 4) != 1) {
        violate(proof, "the MADT of %s: entry %" PRIu32 " has APIC ID %u, number %u, flags %" PRIu64
                       "; vcpu %" PRIu32 " has APIC ID %" PRId64,
                part->name, count, entry[3], entry[2], little(entry + 4, 4), count, (int64_t)wanted);
    }
}

static void madt_ioapic(const struct world *world, struct proof *proof, const struct part *part, const uint8_t *entry)
{
    if (little(entry + 4, 4) != world->board.ioapic || little(entry + 8, 4) != 0) {
        violate(proof, "the MADT of %s has an I/O APIC at 0x%" PRIx64 " from line %" PRIu64 ", the board at 0x%" PRIx64,
                part->name, little(entry + 4, 4), little(entry + 8, 4), world->board.ioapic);
    }
}

/* 5.2.12: entries of type, length, contents. */
static void cpus_of(const struct world *world, struct proof *proof, const struct part *part, const struct boot *boot)
{
    const uint8_t *bytes = boot->madt.bytes;
    uint32_t cpus = 0, ioapics = 0;

    for (uint32_t at = MADT_FIXED; at < boot->madt.length; at += bytes[at + 1]) {
        const uint8_t *entry = bytes + at;
        uint32_t room = boot->madt.length - at;

        proof->checked++;
        if (room < 2 || entry[1] < 2 || entry[1] > room ||
            !((entry[0] == LOCAL_APIC && entry[1] == 8) || (entry[0] == IO_APIC && entry[1] == 12))) {
            violate(proof, "the MADT of %s: the entry at %" PRIu32 " is neither a local APIC nor an I/O APIC",
                    part->name, at);
            return;
        }
        if (entry[0] == LOCAL_APIC) {
            madt_cpu(proof, part, entry, cpus++);
        } else {
            madt_ioapic(world, proof, part, entry);
            ioapics++;
        }
    }
    if (cpus != part->raw.vcpu_count || ioapics > 1) {
        violate(proof, "the MADT of %s names %" PRIu32 " CPUs and %" PRIu32 " I/O APICs, it has %" PRIu32 " CPUs",
                part->name, cpus, ioapics, part->raw.vcpu_count);
    }
    if (ioapics == 0 && (part->raw.pc.lines != 0 || part->raw.pc.bells != 0 || part->raw.vuart.intid != 0)) {
        violate(proof, "the MADT of %s names no I/O APIC, where its interrupts end", part->name);
    }
}

static void prove_cpus(const struct world *world, struct proof *proof)
{
    each_boot(world, proof, true, cpus_of);
}

static bool is_vuart_port(const struct part *part, uint64_t port)
{
    return part->raw.vuart.intid != 0 && port >= part->raw.vuart.base.raw && port - part->raw.vuart.base.raw < VUART_PORTS;
}

static const uint32_t fadt_registers[] = {116, 244, 256}; /* reset, sleep control, sleep status */
#define FADT_REGISTERS  (sizeof(fadt_registers) / sizeof(fadt_registers[0]))

/* Ports that the FADT gives away are emulated ones: none of them may pass. */
static void fadt_port(const struct world *world, struct proof *proof, const struct part *part, const struct boot *boot,
                      uint32_t offset)
{
    const uint8_t *gas = boot->fadt.bytes + offset; /* 5.2.3.2: space, width, offset, access, address */
    uint64_t port = little(gas + 4, 8);

    proof->checked++;
    if (gas[0] != SYSTEM_IO || gas[1] != 8 || port > 0xffff || port_passes(world, part, port)) {
        violate(proof, "the FADT of %s: the register at byte %" PRIu32 " (space %u, 0x%" PRIx64 ") is no port that the "
                       "hypervisor emulates",
                part->name, offset, gas[0], port);
    }
}

static void ports_of(const struct world *world, struct proof *proof, const struct part *part, const struct boot *boot)
{
    struct aml aml = {0};

    for (size_t i = 0; i < FADT_REGISTERS; i++) {
        fadt_port(world, proof, part, boot, fadt_registers[i]);
    }
    if (aml_read(&aml, boot->dsdt.bytes + HEADER_SIZE, boot->dsdt.length - HEADER_SIZE) != NULL) {
        return;
    }
    for (size_t i = 0; i < aml.ports.count; i++) {
        for (uint64_t port = aml.ports.at[i].base; port < aml.ports.at[i].end; port++) {
            proof->checked++;
            if (port > 0xffff || !(is_vuart_port(part, port) || port_passes(world, part, port))) {
                violate(proof, "the DSDT of %s names I/O port 0x%" PRIx64 ", which the partition does not have",
                        part->name, port);
                break;
            }
        }
    }
}

static void prove_ports(const struct world *world, struct proof *proof)
{
    each_boot(world, proof, true, ports_of);
}

bool boot_emulates(const struct world *world, const struct part *part, uint64_t port)
{
    struct boot boot = {0};
    bool found = is_vuart_port(part, port);

    if (read_start(world, part, &boot) == NULL && read_acpi(world, part, &boot) == NULL) {
        for (size_t i = 0; i < FADT_REGISTERS; i++) {
            found = found || little(boot.fadt.bytes + fadt_registers[i] + 4, 8) == port;
        }
    }
    return found;
}

static void lines_of(const struct world *world, struct proof *proof, const struct part *part, const struct boot *boot)
{
    struct aml aml = {0};
    uint32_t vuart = part->raw.vuart.intid;
    uint64_t own = part->raw.pc.lines | part->raw.pc.bells | (vuart != 0 && vuart < 64 ? UINT64_C(1) << vuart : 0);

    (void)world;
    proof->checked++;
    if (aml_read(&aml, boot->dsdt.bytes + HEADER_SIZE, boot->dsdt.length - HEADER_SIZE) == NULL &&
        (aml.lines & ~own) != 0) {
        violate(proof, "the DSDT of %s names lines 0x%" PRIx64 ", which the partition does not own", part->name,
                aml.lines & ~own);
    }
}

static void prove_lines(const struct world *world, struct proof *proof)
{
    each_boot(world, proof, true, lines_of);
}

/* ---------------------------------------------------------------- watchdogs */

/*
 * The watchdog action table (Microsoft, "Hardware Watchdog Timers Design Specification" 1.01): what the actions have to do to
 * the registers that the hypervisor emulates, at these offsets from the first port. Register 0: bit 0 reads 1, bit 2 says
 * that it ended the last life; every write is a refresh. 4: the time in ms. 8: what is left of it.
 */
enum instruction { READ_VALUE, READ_COUNTDOWN, WRITE_VALUE, WRITE_COUNTDOWN };
static const struct {
    uint8_t action, instruction;
    uint32_t offset, value, mask;
    const char *what;
} actions[] = {
    {0x01, WRITE_VALUE, 0, 1, 1, "refresh"},
    {0x04, READ_COUNTDOWN, 8, 0, UINT32_MAX, "read what is left"},
    {0x05, READ_COUNTDOWN, 4, 0, UINT32_MAX, "read the time"},
    {0x06, WRITE_COUNTDOWN, 4, 0, UINT32_MAX, "set the time"},
    {0x08, READ_VALUE, 0, 1, 1, "read whether it runs"},
    {0x09, WRITE_VALUE, 0, 1, 1, "let it run"},
    {0x0a, READ_VALUE, 0, 0, 1, "read whether it stands"},
    {0x0b, WRITE_VALUE, 0, 0, 1, "stop it"},
    {0x10, READ_VALUE, 0, 1, 1, "read whether it restarts"},
    {0x11, WRITE_VALUE, 0, 1, 1, "let it restart"},
    {0x20, READ_VALUE, 0, 4, 4, "read why the last life ended"},
    {0x21, WRITE_VALUE, 0, 4, 4, "forget why the last life ended"},
};
#define ACTION_COUNT  (sizeof(actions) / sizeof(actions[0]))

#define WDAT_HEADER   32u  /* behind that of all tables */
#define WDAT_ENTRY    24u
#define WDAT_ENABLED  1u
#define DWORD_ACCESS  3u
#define NS_PER_MS     UINT64_C(1000000)

static void wdat_entry(const struct world *world, struct proof *proof, const struct part *part, const uint8_t *entry, size_t n)
{
    uint64_t port = little(entry + 8, 8), wanted = part->raw.watchdog.raw + actions[n].offset;

    proof->checked++;
    if (entry[0] != actions[n].action || entry[1] != actions[n].instruction || little(entry + 2, 2) != 0 ||
        entry[4] != SYSTEM_IO || entry[5] != 32 || entry[6] != 0 || entry[7] != DWORD_ACCESS || port != wanted ||
        little(entry + 16, 4) != actions[n].value || little(entry + 20, 4) != actions[n].mask) {
        violate(proof, "the WDAT of %s: entry %zu is not how to %s at port 0x%" PRIx64, part->name, n, actions[n].what, wanted);
        return;
    }
    for (uint64_t byte = port; byte < port + 4; byte++) {
        if (byte > 0xffff || port_passes(world, part, byte)) {
            violate(proof, "the WDAT of %s names I/O port 0x%" PRIx64 ", which the hypervisor does not emulate", part->name, byte);
            return;
        }
    }
}

static void watchdog_of(const struct world *world, struct proof *proof, const struct part *part, const struct boot *boot)
{
    const uint8_t *body;
    uint64_t ms = part->raw.watchdog_ns / NS_PER_MS;

    proof->checked++;
    if ((boot->wdat.bytes != NULL) != (part->raw.watchdog_ns != 0)) {
        violate(proof, "partition %s has %s watchdog, but %s WDAT", part->name, part->raw.watchdog_ns != 0 ? "a" : "no",
                boot->wdat.bytes != NULL ? "a" : "no");
        return;
    }
    if (boot->wdat.bytes == NULL) {
        return;
    }
    body = boot->wdat.bytes + HEADER_SIZE;
    if (boot->wdat.length != HEADER_SIZE + WDAT_HEADER + ACTION_COUNT * WDAT_ENTRY || little(body, 4) != WDAT_HEADER ||
        little(body + 28, 4) != ACTION_COUNT) {
        violate(proof, "the WDAT of %s has %" PRIu64 " entries in %" PRIu32 " bytes; %zu are expected", part->name,
                boot->wdat.length >= HEADER_SIZE + WDAT_HEADER ? little(body + 28, 4) : 0, boot->wdat.length, ACTION_COUNT);
        return;
    }
    if (little(body + 4, 2) != 0xff || little(body + 6, 3) != 0xffffff || body[24] != WDAT_ENABLED) {
        violate(proof, "the WDAT of %s is of a PCI function, or its flags 0x%x are not those of one that always runs",
                part->name, body[24]);
    }
    if (little(body + 12, 4) != 1 || little(body + 16, 4) != ms || little(body + 20, 4) != 1) {
        violate(proof, "the WDAT of %s: %" PRIu64 " to %" PRIu64 " counts of %" PRIu64 " ms; its watchdog has 1 to %" PRIu64
                       " of 1 ms",
                part->name, little(body + 20, 4), little(body + 16, 4), little(body + 12, 4), ms);
    }
    for (size_t n = 0; n < ACTION_COUNT; n++) {
        wdat_entry(world, proof, part, body + WDAT_HEADER + n * WDAT_ENTRY, n);
    }
}

static void prove_watchdog(const struct world *world, struct proof *proof)
{
    each_boot(world, proof, true, watchdog_of);
}

/* ---------------------------------------------------------------- the BIOS's entry point */

static bool called_free(const struct boot *boot, uint64_t ipa)
{
    for (uint32_t i = 0; i < boot->info.map_count; i++) {
        const struct map_entry *e = &boot->map[i];

        if (e->type == MAP_RAM && ipa >= e->base && ipa - e->base < e->size) {
            return true;
        }
    }
    return false;
}

/* mov al, value; mov dx, port; out dx, al; hlt; jmp to the hlt: in real mode (SDM 2), with the FADT's port and value. */
static void reset_of(const struct world *world, struct proof *proof, const struct part *part, const struct boot *boot)
{
    const uint8_t *fadt = boot->fadt.bytes;
    const uint8_t wanted[] = {0xb0, fadt[128], 0xba, fadt[120], fadt[121], 0xee, 0xf4, 0xeb, 0xfd};
    uint64_t count = 0;
    const uint8_t *code = image_at(world, part, BIOS_ENTRY, &count);

    proof->checked++;
    if (code == NULL || count < sizeof(wanted)) {
        violate(proof, "%s finds no code at the BIOS's entry point 0x%x", part->name, BIOS_ENTRY);
    } else if (memcmp(code, wanted, sizeof(wanted)) != 0) {
        violate(proof, "the code of %s at the BIOS's entry point 0x%x does not write 0x%x to port 0x%x, which its FADT "
                       "names for a restart",
                part->name, BIOS_ENTRY, fadt[128], (uint32_t)(fadt[120] | fadt[121] << 8));
    }
    if (called_free(boot, BIOS_ENTRY)) {
        violate(proof, "the memory map of %s calls the BIOS's entry point 0x%x free", part->name, BIOS_ENTRY);
    }
}

static void prove_reset(const struct world *world, struct proof *proof)
{
    each_boot(world, proof, true, reset_of);
}

/* clang-format off */
static const struct rule rules[] = {
    {"boot-readable",
     "Every partition finds hvm_start_info at the address in ebx, and all that it points to in the same image.",
     "partitions", prove_readable, ARCH_X86},
    {"boot-memory",
     "A guest's memory map has its RAM, all of it and no more, nothing twice, and does not call its boot block free.",
     "pages", prove_memory, ARCH_X86},
    {"boot-initrd",
     "The boot block names an initrd where system.yaml does, in the partition's RAM.",
     "partitions", prove_modules, ARCH_X86},
    {"boot-command-line",
     "The command line is the one of system.yaml.",
     "partitions", prove_commands, ARCH_X86},
    {"acpi-readable",
     "RSDP, XSDT, FADT, MADT and DSDT are where they are looked for and have right lengths and checksums; the hardware is "
     "reduced, and the DSDT has nothing but scopes, devices, constant names and methods that notify a device of an "
     "interrupt.",
     "bytes", prove_acpi, ARCH_X86},
    {"acpi-cpus",
     "A guest's MADT names its vcpus, by the APIC IDs of their cores, and the board's I/O APIC.",
     "entries", prove_cpus, ARCH_X86},
    {"acpi-ports",
     "Every I/O port in a guest's DSDT is its own or its virtual UART's; the registers in its FADT are emulated.",
     "ports", prove_ports, ARCH_X86},
    {"acpi-interrupts",
     "Every interrupt in a guest's DSDT is a line that the partition owns, or its virtual UART's.",
     "partitions", prove_lines, ARCH_X86},
    {"acpi-watchdog",
     "A guest has a watchdog action table exactly if it has a watchdog; its actions are reads and writes of the registers that "
     "the hypervisor emulates, at I/O ports that exit, and its longest time is the watchdog's.",
     "actions", prove_watchdog, ARCH_X86},
    {"boot-reset",
     "At the BIOS's entry point, where guests jump that know no other way to restart, every guest finds code that writes "
     "the FADT's reset register, in memory that its memory map does not call free.",
     "partitions", prove_reset, ARCH_X86},
};
/* clang-format on */

const struct rule_set boot_rules = {"Guests' boot blocks", rules, sizeof(rules) / sizeof(rules[0])};
