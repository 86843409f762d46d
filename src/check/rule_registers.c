/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about the registers that tell the MMU where and how to walk (DDI 0487 D19.2: TCR_EL2, VTCR_EL2, VTTBR_EL2). */
#include "check.h"

#define SIZES_COUNT 6u
#define RES1_31     (UINT64_C(1) << 31)
#define RES1_23     (UINT64_C(1) << 23)
#define WALK_MASK   UINT64_C(0xff00) /* TG0, SH0, ORGN0, IRGN0 */
#define WALK_VALUE  UINT64_C(0x3500) /* 4 KiB, inner shareable, write-back write-allocate */
#define PS(r)       ((r) >> 16 & 7)
#define VTCR_USED   (RES1_31 | UINT64_C(0x7ffff))
#define TCR_USED    (RES1_31 | RES1_23 | UINT64_C(0x7ff3f))

static uint32_t ps_bits(uint64_t ps)
{
    static const uint32_t sizes[SIZES_COUNT] = {32, 36, 40, 42, 44, 48};

    return ps < SIZES_COUNT ? sizes[ps] : 0;
}

static const char *root_fault(uint64_t ttbr, uint64_t entries)
{
    uint64_t align = entries * 8 > 64 ? entries * 8 : 64;

    if ((ttbr & 1) != 0) {
        return "CnP is set: cores with other tables share the TLB entries";
    }
    if ((ttbr & UINT64_C(0x0000ffffffffffff) & (align - 1)) != 0) {
        return "the root is not aligned to its size";
    }
    return NULL;
}

static const char *vtcr_fault(const struct world *world, uint64_t vtcr)
{
    uint32_t bits = (uint32_t)(64 - (vtcr & 63));
    uint64_t level0 = UINT64_C(2) << 6;
    uint64_t level1 = UINT64_C(1) << 6;
    uint64_t sl0 = vtcr & (UINT64_C(3) << 6);

    if ((vtcr & RES1_31) == 0) {
        return "bit 31 is RES1";
    }
    if ((vtcr & ~VTCR_USED) != 0) {
        return "a reserved or unused bit is set";
    }
    if ((vtcr & WALK_MASK) != WALK_VALUE) {
        return "TG0, SH0, ORGN0, IRGN0 are not 4 KiB, inner shareable, write-back";
    }
    if (ps_bits(PS(vtcr)) != world->layout.pa_bits) {
        return "PS is not the layout's pa_bits";
    }
    if (bits > world->layout.pa_bits) {
        return "the input size (T0SZ) is beyond the physical address size";
    }
    if (sl0 != level0 && sl0 != level1) {
        return "the start level (SL0) is neither 0 nor 1";
    }
    if (sl0 == level1 && (bits < 31 || bits > 43)) {
        return "the input size (T0SZ) does not go with start level 1";
    }
    if (sl0 == level0 && (bits < 40 || bits > 48 || world->layout.pa_bits < 44)) {
        return "the input size (T0SZ) or the physical address size does not go with start level 0";
    }
    return NULL;
}

static const char *guest_register_fault(const struct world *world, const struct part *part)
{
    uint64_t vtcr = part->raw.vtcr;
    const char *why = vtcr_fault(world, vtcr);
    uint32_t shift = (vtcr & (UINT64_C(1) << 6)) != 0 ? 30 : 39;

    return why != NULL ? why : root_fault(part->raw.vttbr, UINT64_C(1) << (64 - (vtcr & 63) - shift));
}

static const char *tcr_fault(const struct world *world, uint64_t tcr)
{
    uint32_t bits = (uint32_t)(64 - (tcr & 63));

    if ((tcr & RES1_31) == 0 || (tcr & RES1_23) == 0) {
        return "bits 31 and 23 are RES1";
    }
    if ((tcr & ~TCR_USED & ~WALK_MASK) != 0) {
        return "a reserved or unused bit is set";
    }
    if ((tcr & WALK_MASK) != WALK_VALUE) {
        return "TG0, SH0, ORGN0, IRGN0 are not 4 KiB, inner shareable, write-back";
    }
    if (ps_bits(PS(tcr)) != world->layout.pa_bits) {
        return "PS is not the layout's pa_bits";
    }
    if (bits < 31 || bits > 48) {
        return "the input size (T0SZ) is not 31..48 bits";
    }
    return NULL;
}

static const char *hv_register_fault(const struct world *world, uint64_t ttbr)
{
    uint64_t tcr = world->layout.el2_tcr;
    const char *why = tcr_fault(world, tcr);
    uint32_t bits = (uint32_t)(64 - (tcr & 63));

    if (why == NULL && ttbr >> 48 != 0) {
        why = "TTBR0_EL2 has bits above 47 set";
    }
    return why != NULL ? why : root_fault(ttbr, UINT64_C(1) << (bits - (bits > 39 ? 39 : 30)));
}

void arm64_walk_guest(struct world *world, struct part *part)
{
    static const uint32_t start_levels[] = {2, 1, 0, 3}; /* VTCR_EL2.SL0 with a 4 KiB granule */
    struct walk *walk = &part->stage2;

    walk->format = &arm64_stage2;
    walk->stage2 = true;
    if (guest_register_fault(world, part) != NULL) {
        return;
    }
    walk->in_bits = (uint32_t)(64 - (part->raw.vtcr & 63));
    walk->out_bits = world->layout.pa_bits;
    walk->start_level = start_levels[part->raw.vtcr >> 6 & 3];
    walk->root = part->raw.vttbr & UINT64_C(0x0000fffffffffffe);
    walk->root_entries = UINT64_C(1) << (walk->in_bits - level_shift(walk->start_level));
    walk_tables(walk, &world->elf);
}

void arm64_walk_own(struct world *world, struct walk *walk, uint64_t ttbr)
{
    walk->format = &arm64_stage1;
    if (hv_register_fault(world, ttbr) != NULL) {
        return;
    }
    walk->in_bits = (uint32_t)(64 - (world->layout.el2_tcr & 63));
    walk->out_bits = world->layout.pa_bits;
    walk->start_level = 3 - (walk->in_bits - 1 - 12) / 9;
    walk->root = ttbr & UINT64_C(0x0000fffffffffffe);
    walk->root_entries = UINT64_C(1) << (walk->in_bits - level_shift(walk->start_level));
    walk_tables(walk, &world->elf);
}

static void prove_stage2(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->part_count; i++) {
        const struct part *part = &world->parts[i];
        const char *why = guest_register_fault(world, part);

        proof->checked += 2;
        if (why != NULL) {
            violate(proof, "partition %s: VTCR_EL2 0x%" PRIx64 ", VTTBR_EL2 0x%" PRIx64 ": %s", part->name,
                    part->raw.vtcr, part->raw.vttbr, why);
        }
    }
}

static void prove_el2(const struct world *world, struct proof *proof)
{
    const struct layout *facts = &world->layout;
    const char *why = hv_register_fault(world, facts->el2_ttbr);

    proof->checked += 2;
    if (why != NULL) {
        violate(proof, "EL2: TCR_EL2 0x%" PRIx64 ", TTBR0_EL2 0x%" PRIx64 ": %s", facts->el2_tcr, facts->el2_ttbr, why);
        return;
    }
    for (uint32_t i = 0; i < world->part_count; i++) {
        why = hv_register_fault(world, world->parts[i].raw.loader_ttbr);
        proof->checked++;
        if (why != NULL) {
            violate(proof, "loader map of %s: TTBR0_EL2 0x%" PRIx64 ": %s", world->parts[i].name,
                    world->parts[i].raw.loader_ttbr, why);
        }
    }
}

static void prove_vmids(const struct world *world, struct proof *proof)
{
    uint32_t owner[256] = {0};

    for (uint32_t i = 0; i < world->part_count; i++) {
        const struct part *part = &world->parts[i];
        uint64_t vmid = part->raw.vttbr >> 48;

        proof->checked++;
        if (vmid == 0 || vmid > 255) {
            violate(proof, "partition %s: VMID %" PRIu64 " is not 1..255", part->name, vmid);
        } else if (owner[vmid] != 0) {
            violate(proof, "partitions %s and %s have the same VMID %" PRIu64, part_name(world, owner[vmid] - 1),
                    part->name, vmid);
        } else {
            owner[vmid] = i + 1;
        }
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"stage2-registers",
     "VTCR_EL2 and VTTBR_EL2 of every partition hold only values that the architecture defines: 4 KiB granule, a "
     "start level "
     "that goes with the input size, a root aligned to its size, inner-shareable write-back walks, no reserved bit.",
     "registers", prove_stage2, ARCH_ARM64},
    {"hv-registers",
     "TCR_EL2 and every TTBR0_EL2 (the main map's and each loader map's) hold only values that the architecture "
     "defines.",
     "registers", prove_el2, ARCH_ARM64},
    {"vmid-unique",
     "Every partition has a VMID of its own, and none has VMID 0.",
     "VMIDs", prove_vmids, ARCH_ARM64},
};
/* clang-format on */

const struct rule_set register_rules = {"Registers of ARM64", rules, sizeof(rules) / sizeof(rules[0])};
