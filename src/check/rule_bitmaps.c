/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules about what x86 guests reach without an exit beside memory: I/O ports and model-specific registers.
 * A clear bit lets through. SVM: APM 2 15.10.1, 15.11; VMX: SDM 3 25.6.4, 25.6.9.
 */
#include "check.h"

#define PORTS          65536u
#define SVM_PORT_BITS  (PORTS + 3) /* an access of four bytes at the last port reads three bits more */
#define MSRS_OF_BANK   0x2000u
#define SVM_IO_BYTES   (3 * PAGE_SIZE)
#define VMX_IO_BYTES   (2 * PAGE_SIZE)
#define SVM_MSR_BYTES  (2 * PAGE_SIZE)
#define VMX_MSR_BYTES  PAGE_SIZE
#define ICR            0x830u

/*
 * What may pass. Each is the core's own and nothing of the hypervisor: it does not use it, or VMCB and VMCS
 * hold the guest's value. What is not here may not pass, whatever it does. SDM 4 table 2-2; APM 2 appendix A.
 */
static const struct {
    uint32_t first, last;
    bool read, write;
} harmless[] = {
    {0x10, 0x10, true, false},             /* TSC */
    {0x48, 0x48, true, true},              /* SPEC_CTRL */
    {0x49, 0x49, false, true},             /* PRED_CMD */
    {0x10a, 0x10a, true, false},           /* ARCH_CAPABILITIES */
    {0x10b, 0x10b, false, true},           /* FLUSH_CMD */
    {0x174, 0x176, true, true},            /* SYSENTER_CS, ESP, EIP */
    {0x1c4, 0x1c5, true, true},            /* XFD, XFD_ERR */
    {0xfe, 0xfe, true, false},             /* MTRRCAP */
    {0x200, 0x21f, true, false},           /* MTRR_PHYSBASE, PHYSMASK */
    {0x250, 0x250, true, false},           /* MTRR_FIX64K */
    {0x258, 0x259, true, false},           /* MTRR_FIX16K */
    {0x268, 0x26f, true, false},           /* MTRR_FIX4K */
    {0x277, 0x277, true, true},            /* PAT: gPAT of the VMCB; loaded and saved by the VMCS */
    {0x2ff, 0x2ff, true, false},           /* MTRR_DEF_TYPE */
    {0x6e0, 0x6e0, true, true},            /* TSC_DEADLINE */
    {0x800, ICR - 1, true, true},          /* x2APIC */
    {ICR, ICR, true, false},
    {ICR + 1, 0x8ff, true, true},
    {0xda0, 0xda0, true, false},           /* XSS; a write could let XRSTORS start a processor trace */
    {0xc0000080, 0xc0000080, true, false}, /* EFER */
    {0xc0000081, 0xc0000084, true, true},  /* STAR, LSTAR, CSTAR, SFMASK */
    {0xc0000100, 0xc0000103, true, true},  /* FS.base, GS.base, KernelGSbase, TSC_AUX */
};

/* Names for the worst of what may not pass; SDM 4, APM 2. */
static const struct {
    uint32_t first, last;
    const char *name;
} dangerous[] = {
    {0x10, 0x10, "the time stamp counter"},
    {0x1b, 0x1b, "APIC_BASE"},
    {0x3a, 0x3a, "FEATURE_CONTROL"},
    {0x3b, 0x3b, "TSC_ADJUST"},
    {0x79, 0x79, "the loading of microcode"},
    {0x9b, 0x9b, "SMM_MONITOR_CTL"},
    {0x1d9, 0x1d9, "DEBUGCTL"},
    {0x200, 0x2ff, "the memory type ranges"},
    {0x480, 0x491, "VMX"},
    {0x560, 0x58f, "the processor trace"},
    {0x600, 0x600, "DS_AREA"},
    {ICR, ICR, "the interrupt command register"},
    {0xda0, 0xda0, "XSS"},
    {0xc0000080, 0xc0000080, "EFER"},
    {0xc0000104, 0xc0000104, "the ratio of the time stamp counter"},
    {0xc0010010, 0xc0010010, "SYSCFG"},
    {0xc0010015, 0xc0010015, "HWCR"},
    {0xc0010016, 0xc001001f, "AMD's memory ranges"},
    {0xc0010020, 0xc0010020, "the loading of microcode"},
    {0xc0010111, 0xc0010113, "system management mode"},
    {0xc0010114, 0xc0010118, "SVM"},
    {0xc0010130, 0xc0010131, "SEV"},
};

static bool is_svm(const struct world *world)
{
    return world->layout.pc.vendor == LAYOUT_VENDOR_SVM;
}

uint64_t io_bitmap_size(const struct world *world)
{
    return is_svm(world) ? SVM_IO_BYTES : VMX_IO_BYTES;
}

uint64_t msr_bitmap_size(const struct world *world)
{
    return is_svm(world) ? SVM_MSR_BYTES : VMX_MSR_BYTES;
}

/*
 * Of these, what a core of a pool has for all of its vcpus: its local APIC and timer, which are emulated there; and what
 * no switch moves.
 */
static const struct {
    uint32_t first, last;
} not_shared[] = {
    {0x1c4, 0x1c5}, /* XFD, XFD_ERR */
    {0x6e0, 0x6e0}, /* TSC_DEADLINE */
    {0x800, 0x8ff}, /* x2APIC */
};

static bool passes(const uint8_t *bitmap, uint64_t bit)
{
    return (bitmap[bit / 8] >> bit % 8 & 1) == 0;
}

/* world_read_layout() has seen that both bitmaps lie in the image. */
static const uint8_t *io_bitmap(const struct world *world, const struct part *part)
{
    return elf_at(&world->elf, (uint64_t)(uintptr_t)part->raw.pc.io_bitmap, io_bitmap_size(world));
}

bool port_passes(const struct world *world, const struct part *part, uint64_t port)
{
    return passes(io_bitmap(world, part), port);
}

/* ---------------------------------------------------------------- ports */

static void given_ports(const struct world *world, const struct part *part, struct ranges *list)
{
    const struct devtree *dt = &world->board.dt;
    uint64_t base, size;

    for (size_t i = 0; part->spec != NULL && i < part->spec->device_count; i++) {
        int node = part->spec->devices[i].node;

        for (int n = 0; node >= 0 && dt_ports(dt, node, n, &base, &size); n++) {
            ranges_add(list, base, size, dt->nodes[node].path, part->index);
        }
    }
    ranges_sort(list);
}

/* One violation for each run of ports with the same mistake. */
static void prove_ports(const struct world *world, struct proof *proof, const struct part *part)
{
    const uint8_t *bitmap = io_bitmap(world, part);
    struct ranges own = {0};

    given_ports(world, part, &own);
    for (uint64_t port = 0; port < PORTS;) {
        const struct range *given = ranges_hit(&own, port, port + 1);
        bool open = passes(bitmap, port);
        uint64_t end = port + 1;

        while (end < PORTS && passes(bitmap, end) == open && ranges_hit(&own, end, end + 1) == given) {
            end++;
        }
        proof->checked += end - port;
        if (open && given == NULL) {
            violate(proof, "partition %s reaches I/O ports 0x%" PRIx64 "..0x%" PRIx64 ", which nothing gives it",
                    part->name, port, end - 1);
        } else if (!open && given != NULL) {
            violate(proof, "partition %s does not reach I/O ports 0x%" PRIx64 "..0x%" PRIx64 " of %s", part->name, port,
                    end - 1, given->what);
        }
        port = end;
    }
    for (uint64_t bit = PORTS; is_svm(world) && bit < SVM_PORT_BITS; bit++) {
        if (passes(bitmap, bit)) {
            violate(proof, "partition %s: bit %" PRIu64 " behind the last port is clear", part->name, bit);
        }
    }
}

static void prove_own_ports(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct layout_pc_partition *pc = &world->parts[p].raw.pc;
        uint64_t place = (uint64_t)(uintptr_t)pc->io_bitmap;

        if ((place & PAGE_MASK) != 0) {
            violate(proof, "partition %s: the bitmap of I/O ports at 0x%" PRIx64 " is not aligned to a page",
                    world->parts[p].name, place);
        }
        prove_ports(world, proof, &world->parts[p]);
    }
}

static void never_pass(const struct world *world, struct proof *proof, const struct part *part,
                       const struct range *kept, const char *whose)
{
    for (uint64_t port = kept->base; port < kept->end && port < PORTS; port++) {
        proof->checked++;
        if (port_passes(world, part, port)) {
            violate(proof, "partition %s reaches I/O port 0x%" PRIx64 ": %s%s", part->name, port, kept->what, whose);
            return;
        }
    }
}

static void prove_kept_ports(const struct world *world, struct proof *proof)
{
    const struct ranges *kept = &world->board.kept_ports;

    for (uint32_t p = 0; p < world->part_count; p++) {
        for (size_t i = 0; i < kept->count; i++) {
            never_pass(world, proof, &world->parts[p], &kept->at[i], "");
        }
        for (uint32_t other = 0; other < world->part_count; other++) {
            struct ranges given = {0};

            if (other != p) {
                given_ports(world, &world->parts[other], &given);
            }
            for (size_t i = 0; i < given.count; i++) {
                never_pass(world, proof, &world->parts[p], &given.at[i],
                           text(" of partition %s", world->parts[other].name));
            }
        }
    }
}

/* ---------------------------------------------------------------- model-specific registers */

struct bank {
    uint32_t first;
    uint32_t read, write; /* first bits */
    uint32_t step;
};

/* Registers outside all banks always exit. */
static const struct bank svm_banks[] = {
    {0, 0, 1, 2},
    {0xc0000000, 0x800 * 8, 0x800 * 8 + 1, 2},
    {0xc0010000, 0x1000 * 8, 0x1000 * 8 + 1, 2},
};
static const struct bank vmx_banks[] = {
    {0, 0, 0x800 * 8, 1},
    {0xc0000000, 0x400 * 8, 0xc00 * 8, 1},
};

static bool may_pass(const struct part *part, uint32_t msr, bool write)
{
    bool shared = part->spec != NULL && part->spec->pool != NULL;

    for (size_t i = 0; shared && i < sizeof(not_shared) / sizeof(not_shared[0]); i++) {
        if (msr >= not_shared[i].first && msr <= not_shared[i].last) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        if (msr >= harmless[i].first && msr <= harmless[i].last && (write ? harmless[i].write : harmless[i].read)) {
            return true;
        }
    }
    return false;
}

static const char *msr_text(uint32_t msr)
{
    for (size_t i = 0; i < sizeof(dangerous) / sizeof(dangerous[0]); i++) {
        if (msr >= dangerous[i].first && msr <= dangerous[i].last) {
            return text("0x%" PRIx32 " (%s)", msr, dangerous[i].name);
        }
    }
    return text("0x%" PRIx32, msr);
}

static void prove_bank(struct proof *proof, const struct part *part, const uint8_t *bitmap, const struct bank *bank)
{
    for (uint32_t i = 0; i < MSRS_OF_BANK; i++) {
        uint32_t msr = bank->first + i;

        proof->checked++;
        if (passes(bitmap, bank->read + i * bank->step) && !may_pass(part, msr, false)) {
            violate(proof, "partition %s reads MSR %s without an exit", part->name, msr_text(msr));
        }
        if (passes(bitmap, bank->write + i * bank->step) && !may_pass(part, msr, true)) {
            violate(proof, "partition %s writes MSR %s without an exit", part->name, msr_text(msr));
        }
    }
}

static void prove_msrs(const struct world *world, struct proof *proof)
{
    const struct bank *banks = is_svm(world) ? svm_banks : vmx_banks;
    size_t count = is_svm(world) ? sizeof(svm_banks) / sizeof(svm_banks[0]) : sizeof(vmx_banks) / sizeof(vmx_banks[0]);

    for (uint32_t p = 0; p < world->part_count; p++) {
        uint64_t place = (uint64_t)(uintptr_t)world->parts[p].raw.pc.msr_bitmap;
        const uint8_t *bitmap = elf_at(&world->elf, place, msr_bitmap_size(world));

        if ((place & PAGE_MASK) != 0) {
            violate(proof, "partition %s: the bitmap of MSRs at 0x%" PRIx64 " is not aligned to a page",
                    world->parts[p].name, place);
        }
        for (size_t i = 0; i < count; i++) {
            prove_bank(proof, &world->parts[p], bitmap, &banks[i]);
        }
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"ports-own",
     "A partition reaches exactly the I/O ports of the devices given to it without an exit, and no bit behind the last "
     "port is clear.",
     "ports", prove_own_ports, ARCH_X86},
    {"ports-kept",
     "No partition reaches I/O ports of another, of the hypervisor's UART, 8254, 8259 and PM timer, of PCI configuration, "
     "nor what moves data, resets the board or switches it off.",
     "ports", prove_kept_ports, ARCH_X86},
    {"msr-harmless",
     "Only model-specific registers of a list of harmless ones, which is the checker's own, are read or written without "
     "an exit: never the interrupt command register, EFER, APIC_BASE, memory types, SVM's, VMX's or the clock's; and where "
     "cores are shared, nothing of the local APIC.",
     "registers", prove_msrs, ARCH_X86},
};
/* clang-format on */

const struct rule_set bitmap_rules = {"Ports and registers", rules, sizeof(rules) / sizeof(rules[0])};
