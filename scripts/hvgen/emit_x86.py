# SPDX-License-Identifier: Apache-2.0
"""The parts of layout.c and tables.c that only x86 has."""
from __future__ import annotations

import textwrap
from typing import Sequence

from . import cpuid, msrs, pci
from .bitmaps import Bitmap, Bitmaps, make_bitmaps, runs
from .ctext import c_comment, c_string, initialiser, pa
from .model import Out, Plan, PlanCpu, PlanPartition
from .pc import guest_apic_id
from .tables import PAGE, Stage2, Tables

STACKS = "hv_stacks"
PAGES_OF_CPU = 2                      # of .vmm, behind the stacks
WHO = "the hypervisor"
CORE_ID = "apic_id"
TABLES = "Page tables and permission bitmaps"
VENDOR = {"": "LAYOUT_VENDOR_NONE", "svm": "LAYOUT_VENDOR_SVM", "vmx": "LAYOUT_VENDOR_VMX"}
APIC_WORDS = 8
MSR_READ = {"value": "LAYOUT_MSR_VALUE"}
MSR_WRITE = {"ignore": "LAYOUT_MSR_IGNORE"}

Fields = list[tuple[str, str]]


def cpu_pages(number: int, cpu: PlanCpu) -> Fields:
    return [("vmm", f"{{ (uint64_t)vmm_pages[{number}] }}")]


def vcpu(plan: Plan, part: PlanPartition, number: int) -> Fields:
    return [(CORE_ID, f"{guest_apic_id(plan, part, number):#x}")]


def regime(part: PlanPartition, stage2: Stage2, loader: str) -> Fields:
    return [
        ("nested", f"(uint64_t){stage2.root}" + (f" + {stage2.bits:#x}" if stage2.bits else "")),
        ("asid", str(part.vmid)),
        ("loader_cr3", f"(uint64_t){loader}"),
    ]


def apic_words(plan: Plan, part: PlanPartition) -> list[int]:
    """Whom it may send interrupts without the hypervisor's carrying them: nobody, if it shares its cores."""
    words = [0] * APIC_WORDS
    for cpu in () if part.spec.use else part.cpus:
        number = plan.cpus[cpu].mpidr
        words[number // 64] |= 1 << number % 64
    return words


def messages(plan: Plan, part: PlanPartition) -> Fields:
    return []


def private_interrupts(part: PlanPartition) -> Fields:
    return []


def interrupts(plan: Plan, part: PlanPartition) -> list[str]:
    bitmaps = make_bitmaps(plan)
    words = ", ".join(f"[{i}] = {word:#x}" for i, word in enumerate(apic_words(plan, part)) if word)
    fields = [("io_bitmap", bitmaps.io[part.index]), ("msr_bitmap", bitmaps.msr[part.index]),
              ("lines", f"{sum(1 << line for line in part.spis):#x}"), ("apic_ids", f"{{ {words} }}"),
              *([("bells", f"{sum(1 << line for line in part.bells):#x}")] if part.bells else [])]
    return ["        .pc = {"] + initialiser(fields, "            ") + ["        },"]


def host(plan: Plan, tables: Tables) -> Fields:
    return [("host_cr3", f"(uint64_t){tables.el2_root}"), ("pa_bits", str(plan.pa_bits)),
            ("conduit", "LAYOUT_CONDUIT_NONE")]


def timers(plan: Plan) -> Fields:
    return []


def controller(plan: Plan) -> list[str]:
    pc = plan.hardware.pc
    if pc is None:
        raise ValueError(f"{plan.hardware.name}: not a PC")
    ioapic = pc.ioapic
    pit = f"{ioapic.pit_line}" if ioapic is not None and ioapic.pit_line >= 0 else "LAYOUT_NO_LINE"
    policy = cpuid.POLICY
    fields = [
        ("ioapic", pa(ioapic.region.base if ioapic else 0)), ("ioapic_lines", str(ioapic.lines if ioapic else 0)),
        ("pit_line", pit), ("tsc_hz", str(pc.tsc_hz)), ("trampoline", pa(plan.trampoline)),
        ("cpuid", "cpuid"), ("msrs", "msrs"), ("off", "outs" if pc.off or pc.reset else "0"),
        ("cpuid_basic", str(policy.count(0))), ("cpuid_hypervisor", str(policy.count(0x40000000))),
        ("cpuid_extended", str(policy.count(0x80000000))), ("msr_count", str(len(list(msrs.answered())))),
        ("off_count", str(len(pc.off))), ("reset_count", str(len(pc.reset))),
        ("pm_timer", f"{pc.pm_timer:#x}"), ("vendor", VENDOR[plan.vmm]),
        *([("functions", "functions"), ("function_count", str(count))] if (count := len(pci.owned(plan))) else []),
    ]
    where = f"  /* {c_comment(ioapic.path)} */" if ioapic else ""
    return [f"    .pc = {{{where}"] + initialiser(fields, "        ") + ["    },"]


# ---------------------------------------------------------------- arrays of layout.c

def _words(words: Sequence[int]) -> str:
    return "{ " + ", ".join("0" if w == 0 else f"{w:#x}" for w in words) + " }"


def _cpuid() -> list[str]:
    out = ["/* Guests read (native & keep) | set; eax, ebx, ecx, edx. */",
           "static const struct layout_cpuid cpuid[] = {"]
    for leaf in cpuid.POLICY.leaves:
        names = ", ".join(f.name for f in leaf.hidden)
        if names:
            out += textwrap.wrap(names, 118, initial_indent="    /* hidden: ", subsequent_indent="     * ")
            out[-1] += " */"
        parts = [f".keep = {_words(leaf.keep)}"] if any(leaf.keep) else []
        parts += [f".set = {_words(leaf.set)}"] if any(leaf.set) else []
        out.append(f"    {{ {', '.join(parts) or '.keep = { 0 }'} }},  /* {leaf.number:#x}: {c_comment(leaf.what)} */")
    return out + ["};", ""]


def _msrs() -> list[str]:
    out = ["/* Registers that are not in the bitmap, and that the hypervisor's code does not know. */",
           "static const struct layout_msr msrs[] = {"]
    for msr in sorted(msrs.answered(), key=lambda m: m.first):
        fields = [("first", f"{msr.first:#x}"), ("last", f"{msr.last:#x}"),
                  ("read", MSR_READ.get(msr.read, "LAYOUT_MSR_REFUSE")),
                  ("write", MSR_WRITE.get(msr.write, "LAYOUT_MSR_REFUSE")), ("value", f"{msr.value:#x}")]
        text = ", ".join(f".{name} = {value}" for name, value in fields)
        out.append(f"    {{ {text} }},  /* {c_comment(msr.name)} */")
    return out + ["};", ""]


def _outs(outs: Sequence[Out], what: str) -> list[str]:
    return [f"    {{ .port = {o.port:#x}, .width = {o.width}, .value = {o.value:#x} }},  /* {what} */" for o in outs]


def _functions(plan: Plan) -> list[str]:
    rows = pci.owned(plan)
    out = []
    for row in rows:
        f = row.function
        fields = [("name", c_string(row.device.path)), ("partition", str(row.partition)), ("address", f"{f.address:#06x}"),
                  ("id", f"{f.id:#010x}"), ("command", str(pci.command(f))), ("interrupt", f"{pci.interrupt_register(row):#x}"),
                  ("bar", _words(pci.registers(f, False))), ("sizes", _words(pci.registers(f, True)))]
        out += ["    {", *initialiser(fields, "        "), "    },"]
    return ["static const struct layout_function functions[] = {", *out, "};", ""] if rows else []


def arrays(plan: Plan) -> list[str]:
    """What layout.c has beside the structs of all architectures."""
    out = _cpuid() + _msrs() + _functions(plan)
    pc = plan.hardware.pc
    if pc is not None and (pc.off or pc.reset):
        out += ["static const struct layout_out outs[] = {", *_outs(pc.off, "off"), *_outs(pc.reset, "reset"), "};", ""]
    return out


def declarations(plan: Plan) -> list[str]:
    bitmaps = make_bitmaps(plan)
    return ([f"extern uint8_t vmm_pages[{len(plan.entries)}][{PAGES_OF_CPU}][{PAGE}];"]
            + [f"extern const uint8_t {b.name}[{len(b.data)}];" for b in bitmaps.arrays])


# ---------------------------------------------------------------- arrays of tables.c

def _bitmap(bitmap: Bitmap) -> list[str]:
    """Runs of equal bytes; each says which of the things that pass begin in it."""
    out = [f"/* {c_comment(bitmap.what)}. A clear bit passes. */",
           f"const uint8_t {bitmap.name}[{len(bitmap.data)}] "
           f"__attribute__((aligned({PAGE}), section(\".rodata.tables\"))) = {{"]
    for first, last, value in runs(bitmap.data):
        names = list(dict.fromkeys(what for at, what in bitmap.notes if first <= at <= last))
        note = f"  /* {c_comment('; '.join(names))} */" if names else ""
        index = f"[{first:#x}]" if first == last else f"[{first:#x} ... {last:#x}]"
        out.append(f"    {index} = {value:#04x},{note}")
    return out + ["};", ""]


def table_arrays(plan: Plan) -> list[str]:
    """What tables.c has beside stacks and trees."""
    bitmaps: Bitmaps = make_bitmaps(plan)
    pages = "VMCB and host save area" if plan.vmm == "svm" else "VMXON region and VMCS"
    if plan.slots:
        pages += "; of each slot: " + ("VMCB and what a switch saves" if plan.vmm == "svm" else "what a switch saves and VMCS")
    out = [f"/* Of each core: {pages}. */",
           f"uint8_t vmm_pages[{len(plan.entries)}][{PAGES_OF_CPU}][{PAGE}] "
           f"__attribute__((aligned({PAGE}), section(\".vmm\")));", ""]
    for bitmap in bitmaps.arrays:
        out += _bitmap(bitmap)
    return out
