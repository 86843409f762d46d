/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about what tells the CPU where its tables are: CR3, nCR3 (APM 2 15.25.4), EPTP (SDM 3 25.6.11), ASID and VPID. */
#include "check.h"

#define EPTP_MODE      UINT64_C(0x1e) /* walks read write-back memory, four levels, no accessed and dirty flags */
#define LOWEST_PA_BITS 32u
#define PA_BITS        52u
#define LAST_ASID      15u /* QEMU's CPUs have 16, real ones more; VPIDs have 16 bits */
#define IN_BITS        48u

static bool is_vmx(const struct world *world)
{
    return world->layout.pc.vendor == LAYOUT_VENDOR_VMX;
}

static const char *root_fault(const struct world *world, uint64_t root)
{
    if (world->layout.pa_bits < LOWEST_PA_BITS || world->layout.pa_bits > PA_BITS) {
        return "pa_bits is no size of a physical address";
    }
    if ((root & PAGE_MASK) != 0) {
        return "flags are set, or the root is not aligned to a page";
    }
    return root >> world->layout.pa_bits != 0 ? "the root is beyond the physical address size" : NULL;
}

static const char *guest_fault(const struct world *world, const struct part *part)
{
    uint64_t nested = part->raw.nested;

    if (world->layout.pc.vendor != LAYOUT_VENDOR_SVM && !is_vmx(world)) {
        return "the layout is for neither SVM nor VMX";
    }
    if (is_vmx(world) && (nested & PAGE_MASK) != EPTP_MODE) {
        return "the low bits of EPTP are not 0x1e: four levels, read write-back, no accessed and dirty flags";
    }
    return root_fault(world, is_vmx(world) ? nested & ~PAGE_MASK : nested);
}

static void walk_from(struct world *world, struct walk *walk, uint64_t root)
{
    walk->in_bits = IN_BITS;
    walk->out_bits = world->layout.pa_bits;
    walk->start_level = 0;
    walk->root = root;
    walk->root_entries = PAGE_SIZE / 8;
    walk_tables(walk, &world->elf);
}

void x86_walk_own(struct world *world, struct walk *walk, uint64_t cr3)
{
    walk->format = &x86_host;
    if (root_fault(world, cr3) == NULL) {
        walk_from(world, walk, cr3);
    }
}

void x86_walk_guest(struct world *world, struct part *part)
{
    part->stage2.format = is_vmx(world) ? &x86_ept : &x86_npt;
    part->stage2.stage2 = true;
    if (guest_fault(world, part) == NULL) {
        walk_from(world, &part->stage2, part->raw.nested & ~PAGE_MASK);
    }
}

static void prove_guests(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->part_count; i++) {
        const struct part *part = &world->parts[i];
        const char *why = guest_fault(world, part);

        proof->checked++;
        if (why != NULL) {
            violate(proof, "partition %s: %s 0x%" PRIx64 ": %s", part->name, is_vmx(world) ? "EPTP" : "nCR3",
                    part->raw.nested, why);
        }
    }
}

static void prove_own(const struct world *world, struct proof *proof)
{
    const char *why = root_fault(world, world->layout.host_cr3);

    proof->checked++;
    if (why != NULL) {
        violate(proof, "the hypervisor's CR3 0x%" PRIx64 ": %s", world->layout.host_cr3, why);
    }
    if (world->layout.el2_tcr != 0) {
        violate(proof, "el2_tcr is 0x%" PRIx64 ", which x86 does not have", world->layout.el2_tcr);
    }
    for (uint32_t i = 0; i < world->part_count; i++) {
        why = root_fault(world, world->parts[i].raw.loader_cr3);
        proof->checked++;
        if (why != NULL) {
            violate(proof, "loader map of %s: CR3 0x%" PRIx64 ": %s", world->parts[i].name,
                    world->parts[i].raw.loader_cr3, why);
        }
    }
}

static void prove_tags(const struct world *world, struct proof *proof)
{
    uint32_t owner[LAST_ASID + 1] = {0};
    const char *kind = is_vmx(world) ? "VPID" : "ASID";

    for (uint32_t i = 0; i < world->part_count; i++) {
        const struct part *part = &world->parts[i];
        uint64_t asid = part->raw.asid;

        proof->checked++;
        if (asid == 0 || asid > LAST_ASID) {
            violate(proof, "partition %s: %s %" PRIu64 " is not 1..%u", part->name, kind, asid, LAST_ASID);
        } else if (owner[asid] != 0) {
            violate(proof, "partitions %s and %s have the same %s %" PRIu64, part_name(world, owner[asid] - 1),
                    part->name, kind, asid);
        } else {
            owner[asid] = i + 1;
        }
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"stage2-registers",
     "nCR3 (SVM) or EPTP (VMX) of every partition is a page below the physical address size; EPTP asks for four levels, "
     "read write-back, without accessed and dirty flags.",
     "registers", prove_guests, ARCH_X86},
    {"hv-registers",
     "Every CR3 (the main map's and each loader map's) is a page below the physical address size, without flags.",
     "registers", prove_own, ARCH_X86},
    {"vmid-unique",
     "Every partition has an ASID (SVM) or VPID (VMX) of its own, and none has the hypervisor's, 0.",
     "tags", prove_tags, ARCH_X86},
};
/* clang-format on */

const struct rule_set register_rules_x86 = {"Registers of x86", rules, sizeof(rules) / sizeof(rules[0])};
