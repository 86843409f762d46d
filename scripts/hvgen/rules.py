# SPDX-License-Identifier: Apache-2.0
"""The rules: what system.yaml must not say.  docs/rules.md has a paragraph for each ID.

Syntax rules are applied in system.py, board rules in hardware.py and boardfile.py, image rules in
images.py, rules about placement in plan.py; here stand those that hold a system against its board,
and in rules_x86.py those that only a PC knows.
Each check is one function that yields diagnostics; `check` runs all of them.
"""
from __future__ import annotations

from typing import Iterator, Mapping as Dict, Optional

from . import allocate, rules_channels, rules_health, rules_pools, rules_x86
from . import plan as planner
from .diag import Diagnostic, did_you_mean, hex_range, size_text
from .images import Image
from .model import Hardware, Interrupt, Partition, Region, Span, System
from .place import PAGE, align_down, inside, merge, overlap, pages
from .rulecase import Case, Given

MAX_CPUS = 64                          # LAYOUT_MAX_CPUS
MAX_PARTITIONS = 8                     # LAYOUT_MAX_PARTITIONS
LAST_INTID = 1019

RULES = {
    "BOARD-APIC-ID": "a core's APIC ID cannot be used",
    "BOARD-ARCH": "the board is of another architecture than the code",
    "BOARD-DEVICETREE": "the board's devicetree cannot be read",
    "BOARD-EXISTS": "a new board folder would overwrite one",
    "BOARD-FILE": "board.yaml is not what it should be",
    "BOARD-NO-CPU": "the board has no CPU",
    "BOARD-NO-GIC": "the board has no GICv2 or GICv3",
    "BOARD-NO-IOAPIC": "the x86 board has no I/O APIC that can be used",
    "BOARD-NO-MEMORY": "nothing says where the board's RAM is",
    "BOARD-NO-TIMER": "the board has no timer that tells the time",
    "BOARD-NO-UART": "the console that board.yaml names cannot be one",
    "BOARD-NODE": "a node of an x86 board's devicetree is unsound",
    "BOARD-UNKNOWN": "there is no such board",
    "CHAN-ALONE": "a channel joins nobody",
    "CHAN-LIMIT": "more channels of a partition than a layout can hold",
    "CHAN-SIDES": "a channel has both readers and peers",
    "CHAN-SIZE": "a channel is not made of whole pages",
    "CHAN-TWICE": "a partition is on a channel twice",
    "CHAN-UNKNOWN": "a channel names a partition that does not exist",
    "CPU-LIMIT": "more cores than a layout can hold",
    "CPU-NO-PSCI": "a core that nothing can start",
    "CPU-NO-REDIST": "a core without a redistributor",
    "CPU-TWICE": "a core is given twice",
    "CPU-UNKNOWN": "the board has no such core",
    "DEV-BOARD": "a device that can reset or reconfigure the whole board is given away",
    "DEV-CONSOLE": "the hypervisor's UART is given away",
    "DEV-DISABLED": "the devicetree says that the device is disabled",
    "DEV-DMA": "the device does DMA and nothing restrains it",
    "DEV-GIC": "the interrupt controller is given away",
    "DEV-IOMMU": "an IOMMU is given away",
    "DEV-MEMORY": "a device's registers lie in RAM",
    "DEV-PAGE": "devices of different partitions share a page",
    "DEV-PAGE-DMA": "the page of a device holds another one that does DMA",
    "DEV-PCI": "a PCI function that cannot be given away",
    "DEV-PORTS": "devices of different partitions share an I/O port",
    "DEV-SYSTEM": "a node that is no device to be given",
    "DEV-TIMER": "the timer is given away",
    "DEV-TWICE": "a device is given twice",
    "DEV-UNKNOWN": "the board has no such device",
    "ENV-UNSET": "an environment variable is not set",
    "FILE-MISSING": "a configuration file cannot be read",
    "HV-NO-ROOM": "the hypervisor and its images fit nowhere",
    "IMG-ALIGN": "an image's offset is not a multiple of 16",
    "IMG-BOOT": "an image covers a guest's boot information",
    "IMG-BOTH": "a partition has two images",
    "IMG-FORMAT": "an image is not what system.yaml says it is",
    "IMG-MISSING": "an image file does not exist",
    "IMG-OUTSIDE": "an ELF file is linked for addresses outside the partition",
    "IMG-SIZE": "an image is larger than its partition's memory",
    "IRQ-DIRECT": "direct interrupts need a GICv3",
    "IRQ-HYPERVISOR": "an interrupt that the hypervisor keeps is given away",
    "IRQ-NONE-FREE": "no interrupt is left for a virtual UART or a watchdog",
    "IRQ-RANGE": "an interrupt's number is out of range",
    "IRQ-TWICE": "devices of different partitions share an interrupt",
    "IRQ-VIRTUAL": "interrupts are always direct on x86",
    "KCONFIG-FEATURE": "a feature is used that is not built in",
    "KEY-DUPLICATE": "a key is given twice",
    "KEY-MISSING": "a required key is missing",
    "KEY-UNKNOWN": "an unknown key",
    "MEM-ALIGN": "a memory size or address is not aligned",
    "MEM-DMA": "memory for DMA must have one address",
    "MEM-GUEST": "a guest address cannot be used",
    "MEM-HYPERVISOR": "fixed memory overlaps the hypervisor",
    "MEM-NO-PLACE": "no free range fits",
    "MEM-OUTSIDE": "fixed memory is outside RAM",
    "MEM-OVERLAP": "fixed memory of two partitions overlaps",
    "MEM-RESERVED": "fixed memory overlaps what firmware keeps",
    "MEM-SMALL": "too little memory for a guest on x86",
    "MEM-TOO-MUCH": "the partitions ask for more memory than there is",
    "MONITOR-ALONE": "a monitor with nobody to look at",
    "NAME-DUPLICATE": "two partitions have one name",
    "NAME-FORM": "a name cannot be used",
    "NOT-YET": "a feature of a later version",
    "PART-EMPTY": "a partition has no cores or no memory",
    "PART-LIMIT": "more partitions than a layout can hold",
    "POOL-BUDGET": "a budget is longer than its period",
    "POOL-CORE": "a vcpu is to stay on a core that it cannot have",
    "POOL-DEVICE": "a device with an interrupt of each core's own, on a shared core",
    "POOL-DIRECT": "direct interrupts on a shared core",
    "POOL-EMPTY": "a pool has no cores, or nobody runs in it",
    "POOL-LIMIT": "more pools, cores or vcpus in pools than a layout can hold",
    "POOL-UNKNOWN": "there is no such pool",
    "POOL-WINDOW": "a window of ARINC 653 cannot be kept",
    "RULE-UNKNOWN": "explain was asked for a rule that does not exist",
    "SCHED-DEADLINE": "budgets that cannot be shown to be kept",
    "SCHED-UTILISATION": "budgets that ask for more time than there is",
    "SYSTEM-EMPTY": "there are no partitions",
    "VALUE-CHOICE": "a value that is not among the known ones",
    "VALUE-RANGE": "a value is out of range",
    "VALUE-TYPE": "a value is of the wrong type",
    "VALUE-UNIT": "a unit is missing or unknown",
    "WATCHDOG-CORE": "a watchdog that no core can look at",
    "YAML-SYNTAX": "the file is not YAML",
}

# Parts of a devicetree that describe no device: (path, what to say).
NO_DEVICE = (("/cpus", "is a core: cores are given with 'cpus:'"),
             ("/memory", "is RAM: memory is given with 'memory:'"),
             ("/reserved-memory", "is memory that firmware keeps"),
             ("/psci", "is the firmware's power control: each partition gets its own"),
             ("/chosen", "describes no device"), ("/aliases", "describes no device"))


def check(hardware: Hardware, system: System, images: Dict[str, Image]) -> list[Diagnostic]:
    """Everything that is wrong with a system on this board, as far as it can be said before placement."""
    found = ((part, spec, planner.board_device(hardware, spec.name)) for part in system.partitions
             for spec in part.devices)
    given = tuple(Given(part, spec, device) for part, spec, device in found if device)
    case = Case(hardware, system, images, given)
    checks = (*CHECKS, *rules_pools.CHECKS, *rules_health.CHECKS, *rules_channels.CHECKS, *rules_x86.CHECKS)
    return [diagnostic for rule in checks for diagnostic in rule(case)]


# ---------------------------------------------------------------- cores

def cpu_unknown(case: Case) -> Iterator[Diagnostic]:
    count = len(case.hardware.cpus)
    there = f"cpus 0 to {count - 1}" if count > 1 else "cpu 0 only"
    for cpu, span, _ in _cores(case):
        if cpu >= count:
            yield Diagnostic("CPU-UNKNOWN", span, f"board '{case.hardware.name}' has no cpu {cpu}", fix=f"the board has {there}")


def _cores(case: Case) -> Iterator[tuple[int, Span, str]]:
    """Every core that is given away: number, where, and to whom."""
    for part in case.system.partitions:
        yield from ((cpu, span, f"partition '{part.name}'") for cpu, span in part.cpus)
    for pool in case.system.pools:
        yield from ((cpu, span, f"pool '{pool.name}'") for cpu, span in pool.cpus)


def cpu_twice(case: Case) -> Iterator[Diagnostic]:
    owners: dict[int, tuple[str, Span]] = {}
    for cpu, span, whom in _cores(case):
        if cpu in owners:
            owner, first = owners[cpu]
            yield Diagnostic("CPU-TWICE", span, f"cpu {cpu} is given to {whom}, but it is owned already",
                             ((first, f"given to {owner} here"),), _unused_cpu(case))
        owners.setdefault(cpu, (whom, span))


def _unused_cpu(case: Case) -> str:
    used = {cpu for cpu, _, _ in _cores(case)}
    unused = [str(n) for n in range(len(case.hardware.cpus)) if n not in used]
    return f"unused: cpu {', '.join(unused)}" if unused else "every cpu of the board is used"


def cpu_limit(case: Case) -> Iterator[Diagnostic]:
    total = 0
    for part in case.system.partitions:
        before, total = total, total + len(part.cpus)
        if before <= MAX_CPUS < total:
            yield Diagnostic("CPU-LIMIT", part.cpus[MAX_CPUS - before][1],
                             f"this is the {MAX_CPUS + 1}th core, a layout holds {MAX_CPUS}", fix="use fewer cores")


def part_limit(case: Case) -> Iterator[Diagnostic]:
    if len(case.system.partitions) > MAX_PARTITIONS:
        yield Diagnostic("PART-LIMIT", case.system.partitions[MAX_PARTITIONS].span,
                         f"this is partition {MAX_PARTITIONS + 1}, a layout holds {MAX_PARTITIONS}",
                         fix="put the work of two into one")


def cpu_cannot_start(case: Case) -> Iterator[Diagnostic]:
    if case.hardware.pc:
        return                         # INIT and SIPI start any core
    for cpu, span, _ in _cores(case):
        if cpu >= len(case.hardware.cpus):
            continue
        if cpu and case.hardware.psci == "none":
            yield Diagnostic("CPU-NO-PSCI", span,
                             f"cpu {cpu} cannot be started: neither the board's devicetree nor board.yaml names PSCI",
                             fix="use cpu 0 only; if the firmware has PSCI, say so with 'psci: smc' in board.yaml")
        if planner.redist_base(case.hardware, cpu) is None:
            yield Diagnostic("CPU-NO-REDIST", span, f"cpu {cpu} has no redistributor: the regions of the board's "
                             "GIC node end before it", fix="correct the GIC's 'reg' in the board's devicetree, or "
                             "'redistributor-stride' in board.yaml")


# ---------------------------------------------------------------- memory

def mem_align(case: Case) -> Iterator[Diagnostic]:
    for part in case.system.partitions:
        memory = part.memory
        for what, value in (("size", memory.size), ("physical", memory.physical), ("guest", memory.guest)):
            if value is not None and value % PAGE:
                yield Diagnostic("MEM-ALIGN", memory.span, f"memory of partition '{part.name}': {what} {value:#x} is not "
                                 "a multiple of 4 KiB", fix=f"{align_down(value, PAGE):#x} and "
                                 f"{align_down(value, PAGE) + PAGE:#x} are")
        align = memory.alignment
        if align and (align < PAGE or align & (align - 1)):
            yield Diagnostic("MEM-ALIGN", memory.span, f"memory of partition '{part.name}': alignment {size_text(align)} "
                             "is not a power of two of at least 4 KiB")
        elif align and memory.physical is not None and memory.physical % align:
            yield Diagnostic("MEM-ALIGN", memory.span, f"memory of partition '{part.name}': physical "
                             f"{memory.physical:#x} is not aligned to {size_text(align)}", fix="leave one of the two out")


def mem_outside(case: Case) -> Iterator[Diagnostic]:
    banks = ", ".join(hex_range(r.base, r.size) for r in case.hardware.memory)
    for part in case.system.partitions:
        fixed = allocate.fixed_range(part)
        if fixed and not inside(fixed, merge(case.hardware.memory)):
            yield Diagnostic("MEM-OUTSIDE", part.memory.span, f"memory {hex_range(fixed.base, fixed.size)} of partition "
                             f"'{part.name}' is not all RAM", fix=f"the board's RAM is {banks}")


def mem_reserved(case: Case) -> Iterator[Diagnostic]:
    for part in case.system.partitions:
        fixed = allocate.fixed_range(part)
        for region, why in case.hardware.reserved:
            if fixed and overlap(fixed, pages(region)):
                yield Diagnostic("MEM-RESERVED", part.memory.span, f"memory {hex_range(fixed.base, fixed.size)} of "
                                 f"partition '{part.name}' overlaps {hex_range(region.base, region.size)}, which is "
                                 f"reserved ({why})", fix="choose another address, or leave 'physical:' out")


def mem_overlap(case: Case) -> Iterator[Diagnostic]:
    fixed = [(part, region) for part in case.system.partitions for region in (allocate.fixed_range(part),) if region]
    for n, (part, region) in enumerate(fixed):
        for other, taken in fixed[:n]:
            if overlap(region, taken):
                yield Diagnostic("MEM-OVERLAP", part.memory.span,
                                 f"memory {hex_range(region.base, region.size)} of partition '{part.name}' overlaps that "
                                 f"of partition '{other.name}'",
                                 ((other.memory.span, f"'{other.name}' has {hex_range(taken.base, taken.size)}"),),
                                 f"begin at {taken.end:#x} or later, or leave 'physical:' out")


def mem_guest(case: Case) -> Iterator[Diagnostic]:
    bits = planner.pa_bits(case.hardware)
    for part in case.system.partitions:
        memory = part.memory
        if memory.guest is None or case.hardware.pc:
            continue
        region = Region(memory.guest, memory.size)
        if region.end > 1 << bits:
            yield Diagnostic("MEM-GUEST", memory.span, f"guest memory {hex_range(region.base, region.size)} of partition "
                             f"'{part.name}' needs more than the board's {bits} address bits")
        for taken, what in _guest_fixtures(case, part):
            if overlap(region, taken):
                yield Diagnostic("MEM-GUEST", memory.span, f"guest memory {hex_range(region.base, region.size)} of "
                                 f"partition '{part.name}' covers {what} at {hex_range(taken.base, taken.size)}",
                                 fix="choose another guest address, or leave 'guest:' out")
                break


def _guest_fixtures(case: Case, part: Partition) -> Iterator[tuple[Region, str]]:
    """What a guest sees at fixed addresses."""
    gic = case.hardware.gic
    if gic:
        for region in (gic.dist, *gic.redists, *((gic.cpu,) if gic.cpu else ())):
            yield pages(region), "the interrupt controller"
    if part.console == "vuart":
        yield Region(planner.vuart_page(case.hardware), PAGE), "the virtual UART"
    for given in case.given:
        if given.part is part:
            for region in given.pages:
                yield region, f"'{given.device.path}'"


def mem_dma(case: Case) -> Iterator[Diagnostic]:
    for part in case.system.partitions:
        memory = part.memory
        if case.hardware.pc:
            return                     # such devices are refused there
        if memory.guest is not None and allocate.unprotected(part) and memory.guest != memory.physical:
            device = next(d for d in part.devices if d.dma == "unprotected")
            yield Diagnostic("MEM-DMA", memory.span, f"partition '{part.name}' has a device with 'dma: unprotected': its "
                             "memory has the same address for guest and board, 'guest:' cannot move it",
                             ((device.span, f"'{device.name}' is given here"),),
                             "leave 'guest:' out, or give the same address to 'physical:'")


def mem_hypervisor(case: Case) -> Iterator[Diagnostic]:
    hv = allocate.hv_place(case.hardware, allocate.hv_room(case.system, case.images, 0))
    if hv:
        yield from allocate.fixed_on_hypervisor(case.system, hv)
        yield from allocate.too_much_memory(case.hardware, case.system, hv)


# ---------------------------------------------------------------- devices

def dev_unknown(case: Case) -> Iterator[Diagnostic]:
    hardware = case.hardware
    names = [*(d.path for d in hardware.devices), *hardware.by_name]
    for part in case.system.partitions:
        for spec in part.devices:
            path = hardware.by_name.get(spec.name, spec.name)
            reason = _no_device(path)
            if reason:
                yield Diagnostic("DEV-SYSTEM", spec.span, f"'{spec.name}' cannot be given away: it {reason}",
                                 fix="remove it from 'devices:'")
            elif planner.board_device(hardware, spec.name) is None:
                yield Diagnostic("DEV-UNKNOWN", spec.span, f"board '{hardware.name}' has no device '{spec.name}'",
                                 fix=_nearest_device(spec.name, names))


def _no_device(path: str) -> str:
    for prefix, reason in NO_DEVICE:
        if path == prefix or path.startswith((f"{prefix}/", f"{prefix}@")):
            return reason
    return ""


def _nearest_device(name: str, names: list[str]) -> str:
    """The whole name first; else a path whose last part is near."""
    by_leaf = {path.rsplit("/", 1)[-1]: path for path in reversed(names)}
    leaf = name.rsplit("/", 1)[-1]
    if leaf in by_leaf:
        return f"did you mean '{by_leaf[leaf]}'?"
    cut = next((path for path in names if path.startswith(f"{name},")), "")
    if cut:
        return f"write it in quotes, \"{cut}\": inside [ ] and {{ }} a comma ends a word"
    return did_you_mean(name, names) or "name it by its path, label or alias in the board's devicetree"


def dev_disabled(case: Case) -> Iterator[Diagnostic]:
    for given in case.given:
        if not given.device.enabled:
            yield Diagnostic("DEV-DISABLED", given.spec.span, f"'{given.device.path}' is disabled in the board's devicetree",
                             fix="if the board has it, set its status to \"okay\" there")


def dev_twice(case: Case) -> Iterator[Diagnostic]:
    owners: dict[str, Given] = {}
    for given in case.given:
        first = owners.setdefault(given.device.path, given)
        if first is not given:
            yield Diagnostic("DEV-TWICE", given.spec.span, f"'{given.device.path}' is given to partition "
                             f"'{given.part.name}', but it is owned already",
                             ((first.spec.span, f"given to partition '{first.part.name}' here"),), "remove one of them")


def dev_kept(case: Case) -> Iterator[Diagnostic]:
    """GIC, timer, the hypervisor's UART, IOMMUs, and what shares a page with one of them."""
    for given in case.given:
        hit = next(_kept(case.hardware, given), None)
        if hit is None:
            continue
        rule, what, own = hit
        if case.hardware.pc:
            yield rules_x86.kept_message(given, rule, what, own)
            continue
        said = f"it is {what}" if own else f"its page is that of {what}"
        yield Diagnostic(rule, given.spec.span, f"'{given.device.path}' cannot be given to partition "
                         f"'{given.part.name}': {said}", fix=KEPT_FIX[rule])


KEPT_FIX = {
    "DEV-GIC": "remove it: every partition sees a virtual one at the same address",
    "DEV-TIMER": "remove it: every partition has the timer already",
    "DEV-CONSOLE": "use 'console: vuart', or choose another console in board.yaml",
    "DEV-IOMMU": "remove it: the hypervisor keeps it",
}


def _kept(hardware: Hardware, given: Given) -> Iterator[tuple[str, str, bool]]:
    """(rule, what it is, whether the device itself is it) of the things that the hypervisor keeps."""
    device = given.device
    yield from rules_x86.kept(hardware, device)
    gic, timer, uart = hardware.gic, hardware.timer, hardware.uart
    if gic:
        own = device.path == gic.path or device.path.startswith(f"{gic.path}/")
        if own or given.touches(gic.regions):
            yield "DEV-GIC", "the interrupt controller", own
    if timer and device.path == timer.path:
        yield "DEV-TIMER", "the timer", True
    if uart and uart.width and (device.path == uart.path or given.touches((uart.region,))):
        yield "DEV-CONSOLE", "the hypervisor's UART", device.path == uart.path
    for path in hardware.iommus:
        iommu = planner.board_device(hardware, path)
        if device.path == path or (iommu and given.touches(iommu.regs)):
            yield "DEV-IOMMU", "an IOMMU", device.path == path


def dev_memory(case: Case) -> Iterator[Diagnostic]:
    taken = [(bank, "RAM") for bank in case.hardware.memory]
    taken += [(region, f"kept by firmware ({why})") for region, why in case.hardware.reserved]
    for given in case.given:
        hits = ((mine, region, what) for mine in given.pages for region, what in taken if overlap(mine, pages(region)))
        for mine, region, what in list(hits)[:1]:
            yield Diagnostic("DEV-MEMORY", given.spec.span, f"'{given.device.path}' lies at {hex_range(mine.base, mine.size)}, "
                             f"in {hex_range(region.base, region.size)}, which is {what}",
                             fix="remove it; correct the board's devicetree or board.yaml if it is a device after all")


def dev_page(case: Case) -> Iterator[Diagnostic]:
    for n, given in enumerate(case.given):
        for other in case.given[:n]:
            page = next((r for r in given.pages if any(overlap(r, o) for o in other.pages)), None)
            if any(_kept(case.hardware, given)) or any(_kept(case.hardware, other)):
                continue
            if page and other.part is not given.part and other.device.path != given.device.path:
                shared = next(o for o in other.pages if overlap(page, o))
                address = max(page.base, shared.base)
                yield Diagnostic("DEV-PAGE", given.spec.span, f"'{given.device.path}' and {other} lie in one page "
                                 f"({hex_range(address, PAGE)}): they cannot be kept apart",
                                 ((other.spec.span, f"'{other.device.path}' is given here"),),
                                 "give both to one partition")


def dev_page_dma(case: Case) -> Iterator[Diagnostic]:
    """A page is given as a whole: whoever has it programs every device in it, also one that the devicetree disables."""
    for given in case.given:
        if allocate.unprotected(given.part) or given.device.dma or any(_kept(case.hardware, given)):
            continue
        mend = ("it cannot be given away on this board" if case.hardware.pc else
                f"accept that with {{device: {given.spec.name}, dma: unprotected}}")
        for other in case.hardware.devices:
            if other.dma and _strangers(other.path, given.device.path) and given.touches(other.regs):
                yield Diagnostic("DEV-PAGE-DMA", given.spec.span, f"the page of '{given.device.path}' also holds "
                                 f"'{other.path}', which may do DMA to any memory", fix=mend)
                break


def _strangers(one: str, other: str) -> bool:
    """Neither is the other, nor the bus or container that it sits on."""
    return one != other and not one.startswith(f"{other}/") and not other.startswith(f"{one}/")


def dev_dma(case: Case) -> Iterator[Diagnostic]:
    kept = {path for path in case.hardware.iommus}
    for given in case.given:
        device = given.device
        if not device.dma or given.spec.dma or not device.regs or device.path in kept or any(_kept(case.hardware, given)):
            continue
        if case.hardware.pc:
            continue                   # rules_x86.py refuses it
        why = ("this version does not use the board's IOMMU yet" if case.hardware.iommus else "no IOMMU restrains it")
        yield Diagnostic("DEV-DMA", given.spec.span, f"'{device.path}' may do DMA to any memory of the board: {why}",
                         fix=f"accept that with {{device: {given.spec.name}, dma: unprotected}}; memory is then mapped 1:1")


# ---------------------------------------------------------------- interrupts

def irq_range(case: Case) -> Iterator[Diagnostic]:
    ioapic = case.hardware.pc.ioapic if case.hardware.pc else None
    least, most = (0, ioapic.lines - 1) if ioapic else (16, LAST_INTID)
    for given, interrupt in _interrupts(case):
        if not least <= interrupt.intid <= most:
            yield Diagnostic("IRQ-RANGE", given.spec.span, f"'{given.device.path}' has interrupt {interrupt.intid}, "
                             f"outside {least} to {most}", fix="correct 'interrupts' in the board's devicetree")


def irq_twice(case: Case) -> Iterator[Diagnostic]:
    owners: dict[int, Given] = {}
    least = 0 if case.hardware.pc else 32
    for given, interrupt in _interrupts(case):
        first = owners.setdefault(interrupt.intid, given)
        if first.part is not given.part and first.device.path != given.device.path and interrupt.intid >= least:
            name = "a line of the I/O APIC" if case.hardware.pc else f"SPI {interrupt.intid - 32}"
            yield Diagnostic("IRQ-TWICE", given.spec.span, f"'{given.device.path}' and {first} share interrupt "
                             f"{interrupt.intid} ({name})",
                             ((first.spec.span, f"'{first.device.path}' is given here"),), "give both to one partition")


def irq_hypervisor(case: Case) -> Iterator[Diagnostic]:
    hardware = case.hardware
    kept: dict[int, str] = {}
    if hardware.gic:
        kept[hardware.gic.maintenance] = "the GIC's maintenance interrupt"
    if hardware.timer:
        kept[hardware.timer.hyp] = "the hypervisor's timer"
    if hardware.uart:
        kept[hardware.uart.intid] = f"the hypervisor's UART '{hardware.uart.path}'"
    if hardware.pc and hardware.pc.ioapic and hardware.pc.ioapic.pit_line >= 0:
        kept[hardware.pc.ioapic.pit_line] = "the 8254, the hypervisor's alarm"
    for given, interrupt in _interrupts(case):
        what: Optional[str] = kept.get(interrupt.intid)
        if what and interrupt.intid and not any(_kept(hardware, given)):
            yield Diagnostic("IRQ-HYPERVISOR", given.spec.span, f"'{given.device.path}' uses interrupt {interrupt.intid}, "
                             f"which is that of {what}", fix="it cannot be given away on this board")


def _interrupts(case: Case) -> Iterator[tuple[Given, Interrupt]]:
    return ((given, interrupt) for given in case.given for interrupt in given.device.interrupts)


def irq_direct(case: Case) -> Iterator[Diagnostic]:
    gic = case.hardware.gic
    for part in case.system.partitions:
        if part.interrupts == "direct" and gic and gic.version == 2:
            yield Diagnostic("IRQ-DIRECT", part.span, f"partition '{part.name}' has 'interrupts: direct', the board has "
                             "a GICv2", fix="use 'interrupts: virtual'")


# ---------------------------------------------------------------- images

def img_align(case: Case) -> Iterator[Diagnostic]:
    for part in case.system.partitions:
        offset = part.image.offset
        if offset % 16:
            yield Diagnostic("IMG-ALIGN", part.image.span, f"image of partition '{part.name}': offset {offset:#x} is not "
                             "a multiple of 16", fix=f"{align_down(offset, 16):#x} and {align_down(offset, 16) + 16:#x} are")


def img_fits(case: Case) -> Iterator[Diagnostic]:
    for part in case.system.partitions:
        if part.name not in case.images:
            continue
        ram = allocate.first_range(case.hardware, part)
        answer = planner.fit(case.hardware, part, case.images[part.name], ram) if ram else None
        if isinstance(answer, Diagnostic):
            yield answer


CHECKS = (cpu_unknown, cpu_twice, cpu_limit, part_limit, cpu_cannot_start,
          mem_align, mem_outside, mem_reserved, mem_overlap, mem_guest, mem_dma, mem_hypervisor,
          dev_unknown, dev_disabled, dev_twice, dev_kept, dev_memory, dev_page, dev_page_dma, dev_dma,
          irq_range, irq_twice, irq_hypervisor, irq_direct,
          img_align, img_fits)
