/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of x86-64 tables with four levels: the hypervisor's own (SDM 3 4.5, APM 2 5.3), NPT (APM 2 15.25) and
 * EPT (SDM 3 29.3). Accessed and dirty flags are set everywhere where the CPU would set them: tables are read-only.
 */
#include "check.h"

#define PRESENT  UINT64_C(1)
#define WRITE    (UINT64_C(1) << 1)
#define USER     (UINT64_C(1) << 2)
#define PWT      (UINT64_C(1) << 3)
#define PCD      (UINT64_C(1) << 4)
#define ACCESSED (UINT64_C(1) << 5)
#define DIRTY    (UINT64_C(1) << 6)
#define LARGE    (UINT64_C(1) << 7) /* in a 4 KiB leaf: PAT */
#define NX       (UINT64_C(1) << 63)
#define ADDRESS  UINT64_C(0x000ffffffffff000)

#define EPT_READ    UINT64_C(1)
#define EPT_WRITE   UINT64_C(2)
#define EPT_EXECUTE UINT64_C(4)
#define EPT_RIGHTS  UINT64_C(7)
#define EPT_TYPE(d) ((d) >> 3 & 7)
#define EPT_UC      UINT64_C(0)
#define EPT_WB      UINT64_C(6)

static enum entry kind_of(uint32_t level, uint64_t descriptor, uint64_t present)
{
    if ((descriptor & present) == 0) {
        return ENTRY_NONE;
    }
    if (level == 3) {
        return ENTRY_LEAF;
    }
    return (descriptor & LARGE) == 0 ? ENTRY_TABLE : level != 0 ? ENTRY_LEAF : ENTRY_RESERVED;
}

/* ---------------------------------------------------------------- host and NPT: the same entries */

static enum entry paging_kind(uint32_t level, uint64_t descriptor)
{
    return kind_of(level, descriptor, PRESENT);
}

static const char *paging_wrong(uint32_t level, uint64_t descriptor, enum entry kind, uint64_t user)
{
    uint64_t used = ADDRESS | PRESENT | WRITE | user | PWT | PCD | ACCESSED | NX;

    if (kind == ENTRY_NONE) {
        return descriptor != 0 ? "an entry that is not present is not zero" : NULL;
    }
    if (kind == ENTRY_RESERVED) {
        return "bit 7 of a PML4 entry is reserved";
    }
    if ((descriptor & USER) != user) {
        return user != 0 ? "the user bit is clear: the CPU would refuse every access of the guest"
                         : "the user bit is set in the hypervisor's map";
    }
    if ((descriptor & ACCESSED) == 0) {
        return "the accessed flag is clear: the CPU would write to the table";
    }
    if (kind == ENTRY_TABLE && (descriptor & (PWT | PCD)) != 0) {
        return "the table below is not read write-back";
    }
    if (kind == ENTRY_LEAF && (descriptor & DIRTY) == 0) {
        return "the dirty flag is clear: the CPU would write to the table";
    }
    used |= kind == ENTRY_LEAF ? DIRTY | (level != 3 ? LARGE : 0) : 0;
    return (descriptor & ~used) != 0 ? "a reserved or unused bit is set" : NULL;
}

static const char *host_wrong(uint32_t level, uint64_t descriptor, enum entry kind)
{
    return paging_wrong(level, descriptor, kind, 0);
}

static const char *npt_wrong(uint32_t level, uint64_t descriptor, enum entry kind)
{
    return paging_wrong(level, descriptor, kind, USER);
}

static uint32_t host_can(uint64_t descriptor, enum entry kind)
{
    (void)kind;
    return CAN_READ | ((descriptor & WRITE) != 0 ? CAN_WRITE : 0) | ((descriptor & NX) == 0 ? CAN_EXECUTE : 0) |
           ((descriptor & USER) != 0 ? CAN_USER : 0);
}

/* Nested walks count as accesses of user code (APM 2 15.25.5). */
static uint32_t npt_can(uint64_t descriptor, enum entry kind)
{
    return (descriptor & USER) != 0 ? host_can(descriptor, kind) & ~CAN_USER : 0;
}

/* PAT entries 0 and 3 as at reset: write-back, uncacheable (SDM 3 12.12.4). Nobody uses another. */
static enum memory paging_memory(uint64_t descriptor)
{
    uint64_t type = descriptor & (PWT | PCD);

    return type == 0 ? MEMORY_NORMAL : type == (PWT | PCD) ? MEMORY_DEVICE : MEMORY_OTHER;
}

static const char *paging_text(uint64_t attr)
{
    return text("PCD %d, PWT %d", (attr & PCD) != 0, (attr & PWT) != 0);
}

/* ---------------------------------------------------------------- EPT */

static enum entry ept_kind(uint32_t level, uint64_t descriptor)
{
    return kind_of(level, descriptor, EPT_RIGHTS);
}

static const char *ept_wrong(uint32_t level, uint64_t descriptor, enum entry kind)
{
    uint64_t used = ADDRESS | EPT_RIGHTS | (kind == ENTRY_LEAF ? UINT64_C(7) << 3 : 0);

    if (kind == ENTRY_NONE) {
        return descriptor != 0 ? "an entry that is not present is not zero" : NULL;
    }
    if (kind == ENTRY_RESERVED) {
        return "bit 7 of a PML4 entry is reserved";
    }
    if ((descriptor & EPT_READ) == 0) {
        return "an entry that cannot be read is misconfigured, or needs a CPU that knows execute-only";
    }
    if (kind == ENTRY_LEAF && EPT_TYPE(descriptor) != EPT_UC && EPT_TYPE(descriptor) != EPT_WB &&
        EPT_TYPE(descriptor) != 1 && EPT_TYPE(descriptor) != 4 && EPT_TYPE(descriptor) != 5) {
        return "the memory type is a reserved value";
    }
    used |= kind == ENTRY_LEAF && level != 3 ? LARGE : 0;
    return (descriptor & ~used) != 0 ? "a reserved or unused bit is set" : NULL;
}

static uint32_t ept_can(uint64_t descriptor, enum entry kind)
{
    (void)kind;
    return ((descriptor & EPT_READ) != 0 ? CAN_READ : 0) | ((descriptor & EPT_WRITE) != 0 ? CAN_WRITE : 0) |
           ((descriptor & EPT_EXECUTE) != 0 ? CAN_EXECUTE : 0);
}

static enum memory ept_memory(uint64_t descriptor)
{
    return EPT_TYPE(descriptor) == EPT_WB   ? MEMORY_NORMAL
           : EPT_TYPE(descriptor) == EPT_UC ? MEMORY_DEVICE
                                            : MEMORY_OTHER;
}

static const char *ept_text(uint64_t attr)
{
    return text("memory type %" PRIu64, EPT_TYPE(attr));
}

#define LEVEL_NAMES {"PML4", "PDPT", "PD", "PT"}

const struct table_format x86_host = {
    .levels = LEVEL_NAMES,
    .address = ADDRESS,
    .large = LARGE,
    .kind = paging_kind,
    .wrong = host_wrong,
    .can = host_can,
    .memory = paging_memory,
    .memory_text = paging_text,
};

const struct table_format x86_npt = {
    .levels = LEVEL_NAMES,
    .address = ADDRESS,
    .large = LARGE,
    .kind = paging_kind,
    .wrong = npt_wrong,
    .can = npt_can,
    .memory = paging_memory,
    .memory_text = paging_text,
};

const struct table_format x86_ept = {
    .levels = LEVEL_NAMES,
    .address = ADDRESS,
    .large = LARGE,
    .kind = ept_kind,
    .wrong = ept_wrong,
    .can = ept_can,
    .memory = ept_memory,
    .memory_text = ept_text,
};
