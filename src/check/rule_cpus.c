/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about cores: each has one owner, the one that system.yaml names. */
#include "check.h"

static void prove_owner(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->layout.cpu_count; i++) {
        const struct layout_cpu *cpu = &world->cpus[i];
        const struct part *part = cpu->partition < world->part_count ? &world->parts[cpu->partition] : NULL;

        proof->checked++;
        if (cpu->pool != 0) {
            if (cpu->partition != LAYOUT_NO_PARTITION) {
                violate(proof, "CPU %" PRIu32 " is a pool's and belongs to partition %u as well", i, cpu->partition);
            }
        } else if (part == NULL || cpu->vcpu >= part->raw.vcpu_count) {
            violate(proof, "CPU %" PRIu32 " belongs to partition %u, vcpu %u, which does not exist", i, cpu->partition,
                    cpu->vcpu);
        } else if (part->vcpus[cpu->vcpu].cpu != i) {
            violate(proof, "CPU %" PRIu32 " says that it runs vcpu %u of %s, which says that it runs on CPU %" PRIu32,
                    i, cpu->vcpu, part->name, part->vcpus[cpu->vcpu].cpu);
        }
        for (uint32_t n = 0; n < i; n++) {
            if (world->cpus[n].mpidr == cpu->mpidr) { /* x86: apic_id, in the same place */
                violate(proof, "CPUs %" PRIu32 " and %" PRIu32 " are the same core 0x%" PRIx64, n, i, cpu->mpidr);
            }
        }
    }
}

static uint64_t vmpidr_of(uint32_t vcpu)
{
    return UINT64_C(1) << 31 | (uint64_t)(vcpu / 16) << 8 | vcpu % 16;
}

/* x86: vcpus that share a core would have one APIC ID, and another on each core; they are counted. */
static uint64_t guest_core_id(const struct world *world, uint32_t cpu, uint32_t vcpu)
{
    return is_x86(world) && world->cpus[cpu].pool != 0 ? vcpu : world->cpus[cpu].mpidr;
}

static void prove_vcpu(const struct world *world, struct proof *proof, const struct part *part, uint32_t index)
{
    const struct layout_vcpu *vcpu = &part->vcpus[index];
    uint32_t wanted;

    proof->checked++;
    if (vcpu->cpu >= world->entry_count) {
        violate(proof, "vcpu %" PRIu32 " of %s runs on CPU %" PRIu32 ", which the layout does not have", index,
                part->name, vcpu->cpu);
        return;
    }
    if (vcpu->mpidr != guest_core_id(world, vcpu->cpu, index) || world->cpus[vcpu->cpu].partition != part->index ||
        world->cpus[vcpu->cpu].vcpu != index) {
        violate(proof, "vcpu %" PRIu32 " of %s and CPU %" PRIu32 " (core 0x%" PRIx64 ") do not name each other", index,
                part->name, vcpu->cpu, world->cpus[vcpu->cpu].mpidr);
    }
    if (vcpu->vmpidr != (is_x86(world) ? 0 : vmpidr_of(index))) {
        violate(proof, "vcpu %" PRIu32 " of %s has VMPIDR_EL2 0x%" PRIx64 ", not 0x%" PRIx64, index, part->name,
                vcpu->vmpidr, is_x86(world) ? 0 : vmpidr_of(index));
    }
    if (part->spec == NULL || index >= part->spec->cpu_count) {
        return;
    }
    wanted = part->spec->cpus[index];
    if (wanted >= world->board.cpu_count) {
        violate(proof, "%s:%" PRIu32 ": the board has no CPU %" PRIu32, world->spec.file, part->spec->line, wanted);
    } else if (world->board.cpus[wanted].mpidr != vcpu->mpidr) {
        violate(proof,
                "vcpu %" PRIu32 " of %s runs on core 0x%" PRIx64 ", %s:%" PRIu32 " gives it CPU %" PRIu32
                " (%s, core 0x%" PRIx64 ")",
                index, part->name, vcpu->mpidr, world->spec.file, part->spec->line, wanted,
                world->board.cpus[wanted].path, world->board.cpus[wanted].mpidr);
    }
}

static void prove_given(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];

        for (uint32_t i = 0; i < part->raw.vcpu_count; i++) {
            prove_vcpu(world, proof, part, i);
        }
        if (part->spec != NULL && part->spec->vcpu_count != part->raw.vcpu_count) {
            violate(proof, "partition %s has %" PRIu32 " vcpus, %s:%" PRIu32 " gives it %" PRIu32, part->name,
                    part->raw.vcpu_count, world->spec.file, part->spec->line, part->spec->vcpu_count);
        }
    }
}

static bool redist_ok(const struct layout_gic *gic, uint64_t base)
{
    for (uint32_t i = 0; i < gic->redist_count; i++) {
        uint64_t offset = base - gic->redist[i].raw;

        if (base >= gic->redist[i].raw && offset < gic->redist_size[i]) {
            return gic->redist_stride != 0 && offset % gic->redist_stride == 0 &&
                   gic->redist_size[i] - offset >= gic->redist_stride;
        }
    }
    return false;
}

static void prove_redist(const struct world *world, struct proof *proof)
{
    const struct layout_gic *gic = &world->layout.gic;

    for (uint32_t i = 0; i < world->layout.cpu_count; i++) {
        uint64_t base = world->cpus[i].redist.raw;

        proof->checked++;
        if (gic->version == 3 ? !redist_ok(gic, base) : base != 0) {
            violate(proof, "CPU %" PRIu32 ": 0x%" PRIx64 " is not the frame of a redistributor", i, base);
        }
        for (uint32_t n = 0; n < i && gic->version == 3; n++) {
            if (world->cpus[n].redist.raw == base) {
                violate(proof, "CPUs %" PRIu32 " and %" PRIu32 " have the same redistributor 0x%" PRIx64, n, i, base);
            }
        }
    }
}

/* Aff3.Aff2.Aff1 of a core at their places in ICC_SGI1R_EL1 (IHI 0069 12.2.21). */
static uint64_t sgi_base(uint64_t mpidr)
{
    return (mpidr >> 8 & 0xff) << 16 | (mpidr >> 16 & 0xff) << 32 | (mpidr >> 32 & 0xff) << 48;
}

/* A written target list `t` becomes (t & mask) << shift: bit n must be the core of vcpu n, for every n. */
static void prove_sgi_part(struct proof *proof, const struct part *part)
{
    const struct layout_sgi *sgi = &part->raw.sgi;

    proof->checked++;
    if (sgi->mask == 0) {
        return;
    }
    if (part->raw.irq_mode != LAYOUT_IRQ_DIRECT || part->raw.vcpu_count > 16 ||
        sgi->mask != (UINT32_C(1) << part->raw.vcpu_count) - 1 || sgi->shift > 15) {
        violate(proof, "partition %s: SGI mask 0x%" PRIx32 ", shift %" PRIu32 " do not stand for its %" PRIu32 " vcpus",
                part->name, sgi->mask, sgi->shift, part->raw.vcpu_count);
        return;
    }
    for (uint32_t i = 0; i < part->raw.vcpu_count; i++) {
        uint64_t mpidr = part->vcpus[i].mpidr;

        if (sgi_base(mpidr) != sgi->base || (mpidr & 0xff) != sgi->shift + i || sgi->shift + i > 15) {
            violate(proof,
                    "partition %s: an SGI to vcpu %" PRIu32 " would not reach its core 0x%" PRIx64 " (base 0x%" PRIx64
                    ", shift %" PRIu32 ")",
                    part->name, i, mpidr, sgi->base, sgi->shift);
        }
    }
}

static void prove_sgi(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        prove_sgi_part(proof, &world->parts[p]);
    }
}

/* layout.partition.pc.apic_ids against the cores that it is made from; what a pool's guest sends is carried. */
static void prove_apic_ids(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct part *part = &world->parts[p];
        uint64_t wanted[LAYOUT_APIC_WORDS] = {0};

        for (uint32_t i = 0; i < part->raw.vcpu_count; i++) {
            uint64_t id = part->vcpus[i].apic_id;

            proof->checked++;
            if (id >= 64 * LAYOUT_APIC_WORDS) {
                violate(proof, "partition %s: APIC ID %" PRIu64 " is beyond the layout's 512", part->name, id);
                continue;
            }
            if (part->vcpus[i].cpu < world->layout.cpu_count) {
                wanted[id / 64] |= UINT64_C(1) << id % 64;
            }
        }
        for (uint32_t word = 0; word < LAYOUT_APIC_WORDS; word++) {
            if (part->raw.pc.apic_ids[word] != wanted[word]) {
                violate(proof,
                        "partition %s may send interrupts to APIC IDs %" PRIu32 "..: 0x%" PRIx64
                        ", its cores are 0x%" PRIx64,
                        part->name, word * 64, part->raw.pc.apic_ids[word], wanted[word]);
            }
        }
    }
}

static void prove_console(const struct world *world, struct proof *proof)
{
    const struct layout *facts = &world->layout;

    proof->checked++;
    if (facts->console_irq == 0) {
        return;
    }
    if (facts->console_irq != 1) {
        violate(proof, "console_irq is %" PRIu32 ", which is neither 0 nor 1", facts->console_irq);
    }
    if (facts->uart.base.raw == 0 || facts->uart.intid == 0) {
        violate(proof, "CPU %" PRIu32 " takes the console's interrupt, but the UART has none", facts->console_cpu);
    } else if (facts->console_cpu >= facts->cpu_count) {
        violate(proof, "the console's CPU %" PRIu32 " does not exist", facts->console_cpu);
    } else if (!is_x86(world) && world->cpus[facts->console_cpu].partition < world->part_count &&
               world->parts[world->cpus[facts->console_cpu].partition].raw.irq_mode == LAYOUT_IRQ_DIRECT) {
        violate(proof,
                "the console's CPU %" PRIu32 " belongs to a direct partition, which would get the UART's interrupt",
                facts->console_cpu);
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"cpu-one-owner",
     "Every core of the layout is one core of the board and has exactly one owner, which names it in turn, or is a pool's.",
     "cores", prove_owner, ARCH_BOTH},
    {"cpu-given",
     "Every vcpu is pinned to the core that system.yaml names for it, unless it is of a pool; there are as many, and "
     "VMPIDR_EL2 counts them on ARM64, APIC IDs those of pools on x86.",
     "vcpus", prove_given, ARCH_BOTH},
    {"cpu-redistributor",
     "Every core has a redistributor frame of its own, inside the redistributor regions.",
     "cores", prove_redist, ARCH_ARM64},
    {"ipi-own-cores",
     "The shift by which SGIs of a direct partition are translated leads each vcpu's bit to that vcpu's core and "
     "to no other.",
     "partitions", prove_sgi, ARCH_ARM64},
    {"ipi-own-cores",
     "The APIC IDs to which a partition may send interrupts by itself are those of its own cores, none if it shares them, "
     "and below 512.",
     "partitions", prove_apic_ids, ARCH_X86},
    {"console-cpu",
     "The core that takes the hypervisor's console interrupt exists and does not, on ARM64, belong to a direct "
     "partition.",
     "cores", prove_console, ARCH_BOTH},
};
/* clang-format on */

const struct rule_set cpu_rules = {"Cores", rules, sizeof(rules) / sizeof(rules[0])};
