/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors of VMSAv8-64, 4 KiB granule, 48-bit addresses (DDI 0487 D8.2, D8.3). */
#include "check.h"

#define DESC_VALID    UINT64_C(1)
#define DESC_TABLE    UINT64_C(2)
#define DESC_ADDRESS  UINT64_C(0x0000fffffffff000)
#define DESC_AF       (UINT64_C(1) << 10)
#define DESC_SH(d)    (((d) >> 8) & 3)
#define DESC_XN       (UINT64_C(1) << 54)
#define SH_INNER      UINT64_C(3)
#define S1_MEMORY(d)  ((LAYOUT_EL2_MAIR >> (8 * ((d) >> 2 & 7))) & 0xff)
#define S1_READ_ONLY  (UINT64_C(1) << 7)
#define S1_AP1        (UINT64_C(1) << 6)
#define S1_GP         (UINT64_C(1) << 50)
#define S2_MEMATTR(d) (((d) >> 2) & 15)
#define S2_READ       (UINT64_C(1) << 6)
#define S2_WRITE      (UINT64_C(1) << 7)
#define TABLE_UNUSED  (~(DESC_ADDRESS | 3))
/* Leaves: what may be set beside address and type. Stage 1: AttrIndx, AP, SH, AF, GP, XN. */
#define S1_USED (UINT64_C(0x7) << 2 | UINT64_C(0x1f) << 6 | S1_GP | DESC_XN)
/* Stage 2: MemAttr, S2AP, SH, AF, XN[1]. */
#define S2_USED (UINT64_C(0xf) << 2 | UINT64_C(0x1f) << 6 | DESC_XN)

static enum entry arm64_kind(uint32_t level, uint64_t descriptor)
{
    if ((descriptor & DESC_VALID) == 0) {
        return ENTRY_NONE;
    }
    if (level == 3) {
        return (descriptor & DESC_TABLE) != 0 ? ENTRY_LEAF : ENTRY_RESERVED;
    }
    return (descriptor & DESC_TABLE) != 0 ? ENTRY_TABLE : level != 0 ? ENTRY_LEAF : ENTRY_RESERVED;
}

static const char *wrong_entry(uint32_t level, uint64_t descriptor, enum entry kind)
{
    if (kind == ENTRY_RESERVED) {
        return level == 3 ? "a block at level 3 is a reserved encoding" : "a block at level 0 is a reserved encoding";
    }
    if (kind == ENTRY_TABLE) {
        return (descriptor & TABLE_UNUSED) != 0 ? "a reserved or unused bit of a table descriptor is set" : NULL;
    }
    return descriptor != 0 ? "an invalid descriptor is not zero" : NULL;
}

static const char *wrong_leaf(uint64_t descriptor, uint64_t used)
{
    if ((descriptor & DESC_AF) == 0) {
        return "the access flag is clear";
    }
    if ((descriptor & ~(DESC_ADDRESS | 3 | used)) != 0) {
        return "a reserved or unused bit is set";
    }
    return DESC_SH(descriptor) == 1 ? "the shareability is a reserved value" : NULL;
}

static const char *stage1_wrong(uint32_t level, uint64_t descriptor, enum entry kind)
{
    const char *why =
        kind == ENTRY_LEAF ? wrong_leaf(descriptor, S1_USED) : wrong_entry(level, descriptor, kind);

    if (kind != ENTRY_LEAF || why != NULL) {
        return why;
    }
    if ((descriptor & S1_GP) != 0 && (descriptor & DESC_XN) != 0) {
        return "GP is set where nothing can be executed";
    }
    return (descriptor & S1_AP1) == 0 ? "AP[1] is clear (RES1 at EL2)" : NULL;
}

static const char *stage2_wrong(uint32_t level, uint64_t descriptor, enum entry kind)
{
    const char *why =
        kind == ENTRY_LEAF ? wrong_leaf(descriptor, S2_USED) : wrong_entry(level, descriptor, kind);
    uint64_t type = S2_MEMATTR(descriptor);

    if (kind == ENTRY_LEAF && why == NULL && (type == 4 || type == 8 || type == 12)) {
        why = "the memory attribute is a reserved value";
    }
    return why;
}

/* Tables restrict nothing: wrong_entry() has refused the bits that could. */
static uint32_t stage1_can(uint64_t descriptor, enum entry kind)
{
    if (kind == ENTRY_TABLE) {
        return CAN_READ | CAN_WRITE | CAN_EXECUTE;
    }
    return CAN_READ | ((descriptor & S1_READ_ONLY) == 0 ? CAN_WRITE : 0) |
           ((descriptor & DESC_XN) == 0 ? CAN_EXECUTE : 0);
}

static uint32_t stage2_can(uint64_t descriptor, enum entry kind)
{
    if (kind == ENTRY_TABLE) {
        return CAN_READ | CAN_WRITE | CAN_EXECUTE;
    }
    return ((descriptor & S2_READ) != 0 ? CAN_READ : 0) | ((descriptor & S2_WRITE) != 0 ? CAN_WRITE : 0) |
           ((descriptor & DESC_XN) == 0 ? CAN_EXECUTE : 0);
}

static enum memory stage1_memory(uint64_t descriptor)
{
    if (S1_MEMORY(descriptor) == 0x04) {
        return MEMORY_DEVICE;
    }
    return S1_MEMORY(descriptor) == 0xff && DESC_SH(descriptor) == SH_INNER ? MEMORY_NORMAL : MEMORY_OTHER;
}

static enum memory stage2_memory(uint64_t descriptor)
{
    if (S2_MEMATTR(descriptor) < 4) {
        return MEMORY_DEVICE;
    }
    if (S2_MEMATTR(descriptor) == 5) {
        return MEMORY_UNCACHED;
    }
    return S2_MEMATTR(descriptor) == 15 && DESC_SH(descriptor) == SH_INNER ? MEMORY_NORMAL : MEMORY_OTHER;
}

static const char *stage1_text(uint64_t attr)
{
    return text("MAIR attribute 0x%02" PRIx64 ", SH %" PRIu64, S1_MEMORY(attr), DESC_SH(attr));
}

static const char *stage2_text(uint64_t attr)
{
    return text("MemAttr 0x%" PRIx64 ", SH %" PRIu64, S2_MEMATTR(attr), DESC_SH(attr));
}

const struct table_format arm64_stage1 = {
    .levels = {"level 0", "level 1", "level 2", "level 3"},
    .address = DESC_ADDRESS,
    .kind = arm64_kind,
    .wrong = stage1_wrong,
    .can = stage1_can,
    .memory = stage1_memory,
    .memory_text = stage1_text,
};

const struct table_format arm64_stage2 = {
    .levels = {"level 0", "level 1", "level 2", "level 3"},
    .address = DESC_ADDRESS,
    .kind = arm64_kind,
    .wrong = stage2_wrong,
    .can = stage2_can,
    .memory = stage2_memory,
    .memory_text = stage2_text,
};
