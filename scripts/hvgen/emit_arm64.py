# SPDX-License-Identifier: Apache-2.0
"""The parts of layout.c that only ARM64 has."""
from __future__ import annotations

from .ctext import c_comment, initialiser, pa
from .model import Plan, PlanCpu, PlanPartition
from .tables import Stage2, Tables

STACKS = "el2_stacks"
PAGES_OF_CPU = 0
WHO = "EL2"
CORE_ID = "mpidr"
TABLES = "Translation tables"
CONDUIT = {"smc": "LAYOUT_CONDUIT_SMC", "hvc": "LAYOUT_CONDUIT_HVC", "none": "LAYOUT_CONDUIT_NONE"}

Fields = list[tuple[str, str]]


def sgi(plan: Plan, part: PlanPartition) -> tuple[int, int, int]:
    """(base, mask, shift) of struct layout_sgi; mask 0 where one shift does not do."""
    if not part.direct:
        return 0, 0, 0
    mpidrs = [plan.cpus[c].mpidr for c in part.cpus]
    first = mpidrs[0] & 0xff
    regular = (len({m & ~0xff for m in mpidrs}) == 1 and len(mpidrs) <= 16
               and all(m & 0xff == first + i for i, m in enumerate(mpidrs)) and first + len(mpidrs) <= 16)
    if not regular:
        return 0, 0, 0
    high = mpidrs[0]
    base = (high >> 8 & 0xff) << 16 | (high >> 16 & 0xff) << 32 | (high >> 32 & 0xff) << 48
    return base, (1 << len(mpidrs)) - 1, first


def vmpidr(vcpu: int) -> int:
    return 1 << 31 | (vcpu // 16) << 8 | vcpu % 16


def cpu_pages(number: int, cpu: PlanCpu) -> Fields:
    return [("redist", pa(cpu.redist))]


def vcpu(plan: Plan, part: PlanPartition, number: int) -> Fields:
    return [("vmpidr", f"{vmpidr(number):#x}"), (CORE_ID, f"{plan.entries[part.cpus[number]].mpidr:#x}")]


def regime(part: PlanPartition, stage2: Stage2, loader: str) -> Fields:
    return [
        ("vttbr", f"(uint64_t){stage2.root} + {part.vmid << 48:#x}"),
        ("vtcr", f"{stage2.vtcr:#x}"),
        ("loader_ttbr", f"(uint64_t){loader}"),
        ("root", stage2.root if part.direct else "0"),
        ("root_count", str(stage2.slots if part.direct else 0)),
    ]


def messages(plan: Plan, part: PlanPartition) -> Fields:
    base, mask, shift = sgi(plan, part)
    return [("sgi", f"{{ .base = {base:#x}, .mask = {mask:#x}, .shift = {shift} }}")]


def private_interrupts(part: PlanPartition) -> Fields:
    return [("ppi_mask", f"{sum(1 << n for n in part.ppis):#x}")]


def interrupts(plan: Plan, part: PlanPartition) -> list[str]:
    spi_words = [0] * 32
    for intid in part.spis:
        spi_words[intid // 32] |= 1 << intid % 32
    spis = ", ".join(f"[{i}] = {word:#x}" for i, word in enumerate(spi_words) if word) or "0"
    return initialiser([("spi", f"{{ {spis} }}")], "        ")


def host(plan: Plan, tables: Tables) -> Fields:
    return [("el2_ttbr", f"(uint64_t){tables.el2_root}"), ("el2_tcr", f"{tables.el2_tcr:#x}"),
            ("pa_bits", str(min(plan.pa_bits, 48))), ("conduit", CONDUIT[plan.hardware.psci])]


def timers(plan: Plan) -> Fields:
    timer = plan.hardware.timer
    return [("vtimer_intid", str(timer.virt if timer else 0)), ("ptimer_intid", str(timer.phys if timer else 0)),
            ("htimer_intid", str(timer.hyp if timer else 0))]


def controller(plan: Plan) -> list[str]:
    gic = plan.hardware.gic
    if gic is None:
        raise ValueError(f"{plan.hardware.name}: no interrupt controller")
    redists = gic.redists if gic.version == 3 else ()
    if len(redists) > 4:
        raise ValueError(f"{gic.path}: more than 4 redistributor regions")
    fields = [("dist", pa(gic.dist.base)), ("dist_size", f"{gic.dist.size:#x}")]
    if redists:
        fields += [("redist", "{ " + ", ".join(pa(r.base) for r in redists) + " }"),
                   ("redist_size", "{ " + ", ".join(f"{r.size:#x}" for r in redists) + " }")]
    fields += [("redist_count", str(len(redists))), ("version", str(gic.version)),
               ("redist_stride", f"{gic.redist_stride:#x}"), ("maintenance", str(gic.maintenance))]
    if gic.version == 2:
        for name, region in (("cpu", gic.cpu), ("hyp", gic.hyp), ("vcpu", gic.vcpu)):
            if region is not None:
                fields.append((name, pa(region.base)))
    return [f"    .gic = {{  /* {c_comment(gic.path)} */"] + initialiser(fields, "        ") + ["    },"]


def arrays(plan: Plan) -> list[str]:
    """What layout.c has beside the structs of all architectures."""
    return []


def declarations(plan: Plan) -> list[str]:
    return []


def table_arrays(plan: Plan) -> list[str]:
    """What tables.c has beside stacks and trees."""
    return []
