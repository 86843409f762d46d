/* SPDX-License-Identifier: Apache-2.0 */
/* The little of ACPI (6.5, chapter 5) that a small guest needs: MADT and FADT, and where the rest lies. It trusts the tables. */
#include "guest.h"

#define FADT_DSDT           40
#define FADT_PM1A_CONTROL   64
#define FADT_PM_TIMER       76
#define FADT_FLAGS          112
#define FADT_RESET_REG      116
#define FADT_RESET_VALUE    128
#define FADT_SLEEP_CONTROL  244
#define FADT_HW_REDUCED     (1u << 20)
#define FADT_RESET_SUPPORTED  (1u << 10)

#define MADT_ENTRIES        44
#define MADT_LOCAL_APIC     0
#define MADT_IO_APIC        1
#define MADT_LOCAL_X2APIC   9

struct acpi acpi;
static const uint8_t *madt;     /* NULL: none */

static uint32_t u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t u64(const uint8_t *at)
{
    return u32(at) | ((uint64_t)u32(at + 4) << 32);
}

static uint32_t table_length(const uint8_t *table)
{
    return u32(table + 4);
}

/* A generic address structure's I/O port, 0 if it is none. */
static uint16_t port_of(const uint8_t *address)
{
    return address[0] == 1 ? (uint16_t)u64(address + 4) : 0;
}

static void read_fadt(const uint8_t *fadt)
{
    acpi.dsdt = (const uint8_t *)(uint64_t)u32(fadt + FADT_DSDT);
    uint32_t flags = u32(fadt + FADT_FLAGS);
    acpi.pm_timer = (uint16_t)u32(fadt + FADT_PM_TIMER);
    acpi.pm_control = (uint16_t)u32(fadt + FADT_PM1A_CONTROL);
    if ((flags & FADT_RESET_SUPPORTED) != 0) {
        acpi.reset = port_of(fadt + FADT_RESET_REG);
        acpi.reset_value = fadt[FADT_RESET_VALUE];
    }
    if ((flags & FADT_HW_REDUCED) != 0 && table_length(fadt) >= FADT_SLEEP_CONTROL + 12) {
        acpi.sleep = port_of(fadt + FADT_SLEEP_CONTROL);
    }
}

static const uint8_t *next_entry(const uint8_t *entry)
{
    entry = entry == NULL ? madt + MADT_ENTRIES : entry + entry[1];
    return entry + 2 <= madt + table_length(madt) && entry[1] >= 2 ? entry : NULL;
}

static void read_madt(void)
{
    for (const uint8_t *entry = NULL; (entry = next_entry(entry)) != NULL;) {
        if (entry[0] == MADT_IO_APIC && acpi.ioapic == 0) {
            acpi.ioapic = u32(entry + 4);
        }
    }
}

void acpi_open(uint64_t rsdp)
{
    const uint8_t *root = (const uint8_t *)rsdp;
    if (root == NULL || memcmp(root, "RSD PTR ", 8) != 0) {
        return;
    }
    bool wide = root[15] >= 2 && u64(root + 24) != 0;
    const uint8_t *list = (const uint8_t *)(wide ? u64(root + 24) : u32(root + 16));
    uint32_t step = wide ? 8 : 4;
    for (uint32_t at = 36; at + step <= table_length(list); at += step) {
        const uint8_t *table = (const uint8_t *)(wide ? u64(list + at) : u32(list + at));
        if (memcmp(table, "FACP", 4) == 0) {
            read_fadt(table);
        } else if (memcmp(table, "APIC", 4) == 0) {
            madt = table;
            read_madt();
        } else if (memcmp(table, "WDAT", 4) == 0) {
            acpi.wdat = table;
        }
    }
}

uint32_t acpi_cpus(uint64_t *ids, uint32_t room)
{
    uint32_t count = 0;
    if (madt == NULL) {
        return 0;
    }
    for (const uint8_t *entry = NULL; (entry = next_entry(entry)) != NULL;) {
        bool small = entry[0] == MADT_LOCAL_APIC && (u32(entry + 4) & 1) != 0;
        bool large = entry[0] == MADT_LOCAL_X2APIC && (u32(entry + 8) & 1) != 0;
        if (small || large) {
            if (count < room) {
                ids[count] = small ? entry[3] : u32(entry + 4);
            }
            count++;
        }
    }
    return count;
}
