# SPDX-License-Identifier: Apache-2.0
"""A plan as rows for people: what `bulkhead show` prints and report.html draws."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from . import rules_x86
from .model import Device, Plan, Region
from .place import PAGE, merge, subtract

FREE, RESERVED, HYPERVISOR, SHARED = -1, -2, -3, -4     # owners that are no partition
KEPT = {"DEV-GIC": "interrupt controller", "DEV-TIMER": "alarm and clock", "DEV-CONSOLE": "console"}


@dataclass(frozen=True)
class MemoryRow:
    region: Region
    owner: int                         # partition index or one of the above
    what: str
    ipa: Optional[int] = None          # where the partition sees it


@dataclass(frozen=True)
class CoreRow:
    number: int                        # as in system.yaml: position in the board's /cpus
    path: str
    kind: str
    mpidr: int
    owner: int
    vcpu: int                          # -1: nobody's
    note: str


@dataclass(frozen=True)
class IrqRow:
    intid: int
    edge: bool
    what: str
    owner: int
    note: str = ""
    ioapic: bool = False               # x86: a line of the I/O APIC

    @property
    def name(self) -> str:
        if self.ioapic:
            return "line"
        return f"SPI {self.intid - 32}" if self.intid >= 32 else f"PPI {self.intid - 16}"

    @property
    def of_core(self) -> bool:
        """Each core has one of its own."""
        return not self.ioapic and self.intid < 32


@dataclass(frozen=True)
class DeviceRow:
    region: Region
    path: str
    owner: int
    note: str = ""


def owner_name(plan: Plan, owner: int) -> str:
    if owner >= 0:
        return plan.partitions[owner].name
    return {FREE: "free", RESERVED: "reserved", HYPERVISOR: "hypervisor", SHARED: "shared"}[owner]


def size_text(size: int) -> str:
    """Short, at most one decimal: 34.1 MiB."""
    for unit, shift in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >> shift:
            whole = size / (1 << shift)
            return f"{whole:.0f} {unit}" if size % (1 << shift) == 0 or whole >= 100 else f"{whole:.1f} {unit}"
    return f"{size} B"


def counted(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def memory_rows(plan: Plan) -> list[MemoryRow]:
    """All of the board's RAM, in order, without holes between the rows of a bank."""
    rows = [MemoryRow(plan.hv, HYPERVISOR, "hypervisor, tables, guest images")]
    if plan.vmm:
        rows.append(MemoryRow(Region(plan.trampoline, PAGE), HYPERVISOR, "start of other cores"))
    for part in plan.partitions:
        rows += [MemoryRow(Region(m.pa, m.size), part.index, part.name, m.ipa) for m in part.ram]
    rows += [MemoryRow(Region(c.pa, c.size), SHARED, f"channel {c.name}", c.ipa) for c in plan.channels]
    taken = merge(r.region for r in rows)
    for region, why in plan.hardware.reserved:
        for bank in plan.hardware.memory:
            base, end = max(region.base, bank.base), min(region.end, bank.end)
            if base < end:
                rows += [MemoryRow(piece, RESERVED, why)
                         for piece in subtract((Region(base, end - base),), taken)]
                taken = merge([*taken, Region(base, end - base)])
    rows += [MemoryRow(piece, FREE, "free") for piece in subtract(plan.hardware.memory, taken)]
    return sorted(rows, key=lambda row: row.region)


@dataclass(frozen=True)
class ChannelRow:
    name: str
    region: Region                     # guest addresses of the memory
    pa: int
    doorbell: int                      # guest address, 0: none
    members: str


def channel_rows(plan: Plan) -> list[ChannelRow]:
    out = []
    for c in plan.channels:
        names: dict[str, list[str]] = {}
        for end in c.ends:
            names.setdefault(end.role, []).append(plan.partitions[end.partition].name)
        said = {role: f"{role}{'s' * (role != 'writer' and len(who) > 1)} {', '.join(who)}" for role, who in names.items()}
        out.append(ChannelRow(c.name, Region(c.ipa, c.size), c.pa, c.doorbell, "; ".join(said.values())))
    return out


def core_rows(plan: Plan) -> list[CoreRow]:
    used = {c.board_index: c for c in plan.cpus}
    rows = []
    for number, cpu in enumerate(plan.hardware.cpus):
        kind = cpu.compatible[0].split(",")[-1] if cpu.compatible else "?"
        mine = used.get(number)
        if mine is None:
            rows.append(CoreRow(number, cpu.path, kind, cpu.mpidr, FREE, -1, "never started"))
            continue
        console = plan.console_cpu is not None and plan.cpus[plan.console_cpu] == mine
        if mine.pool:
            pool = plan.pools[mine.pool - 1]
            here = [plan.entries[s.cpu] for s in pool.servers if s.core in (None, mine.place)]
            names = ", ".join(dict.fromkeys(plan.partitions[slot.partition].name for slot in here))
            rows.append(CoreRow(number, cpu.path, kind, cpu.mpidr, SHARED, -1,
                                f"pool {pool.name}: {names}" + (", console input" if console else "")))
            continue
        note = "direct" if plan.partitions[mine.partition].direct else "virtual"
        rows.append(CoreRow(number, cpu.path, kind, cpu.mpidr, mine.partition, mine.vcpu,
                            note + (", console input" if console else "")))
    return rows


def core_id(plan: Plan, mpidr: int) -> str:
    """What the hardware calls a core."""
    return f"APIC ID {mpidr}" if plan.vmm else f"mpidr {mpidr:#x}"


def _line_rows(plan: Plan) -> list[IrqRow]:
    """x86: lines of the I/O APIC that have an owner.  A virtual UART's line is one of the guest's own I/O APIC."""
    hw, rows = plan.hardware, []
    edge = {i.intid: i.edge for d in hw.devices for i in d.interrupts}
    first = plan.cpus[0].board_index
    if hw.uart is not None and hw.uart.intid:
        rows.append(IrqRow(hw.uart.intid, edge.get(hw.uart.intid, True), hw.uart.path, HYPERVISOR,
                           f"console input, NMI on core {first}", True))
    if hw.pc and hw.pc.ioapic and hw.pc.ioapic.pit_line >= 0:
        line = hw.pc.ioapic.pit_line
        rows.append(IrqRow(line, edge.get(line, True), "alarm", HYPERVISOR, f"NMI on core {first}", True))
    for part in plan.partitions:
        rows += [IrqRow(i.intid, i.edge, device.path, part.index, "", True)
                 for device, _ in part.devices for i in device.interrupts]
        if part.vuart is not None:
            rows.append(IrqRow(part.vuart.intid, True, "virtual UART", part.index, "made by the hypervisor", True))
        rows += [IrqRow(end.intid, True, f"channel {channel.name}", part.index, "rung by the others", True)
                 for channel in plan.channels for end in channel.ends if end.partition == part.index and end.intid]
    return sorted(rows, key=lambda row: (row.intid, row.owner))


def irq_rows(plan: Plan) -> list[IrqRow]:
    """SPIs that have an owner, and the PPIs that each core has for itself."""
    if plan.vmm:
        return _line_rows(plan)
    rows: list[IrqRow] = []
    hw = plan.hardware
    if hw.timer is not None:
        rows.append(IrqRow(hw.timer.hyp, False, "hypervisor timer", HYPERVISOR, "each core"))
    if hw.gic is not None and hw.gic.maintenance:
        rows.append(IrqRow(hw.gic.maintenance, False, "GIC maintenance", HYPERVISOR, "each core"))
    if hw.uart is not None and hw.uart.intid and plan.console_cpu is not None:
        core = plan.cpus[plan.console_cpu].board_index
        rows.append(IrqRow(hw.uart.intid, False, hw.uart.path, HYPERVISOR, f"console input, on core {core}"))
    for part in plan.partitions:
        what = {hw.timer.virt: "virtual timer", hw.timer.phys: "physical timer"} if hw.timer else {}
        rows += [IrqRow(n, False, what.get(n, "PMU and the like"), part.index, "each of its cores") for n in part.ppis]
        named = set()
        for device, _ in part.devices:
            for irq in device.interrupts:
                if irq.intid in part.spis:
                    rows.append(IrqRow(irq.intid, irq.edge, device.path, part.index))
                    named.add(irq.intid)
        if part.vuart is not None:
            named.add(part.vuart.intid)
            rows.append(IrqRow(part.vuart.intid, False, "virtual UART", part.index, "made by the hypervisor"))
        if part.watchdog is not None:
            named.add(part.watchdog.intid)
            rows.append(IrqRow(part.watchdog.intid, True, "watchdog", part.index, "made by the hypervisor"))
        for channel in plan.channels:
            rung = [end.intid for end in channel.ends if end.partition == part.index and end.intid]
            rows += [IrqRow(n, True, f"channel {channel.name}", part.index, "rung by the others") for n in rung]
            named.update(rung)
        rows += [IrqRow(n, False, "", part.index) for n in part.spis if n not in named]
    return sorted(rows, key=lambda row: (row.intid, row.owner))


def device_rows(plan: Plan) -> list[DeviceRow]:
    return _rows(plan, lambda device: device.regs)


def port_rows(plan: Plan) -> list[DeviceRow]:
    """x86: the same for I/O ports."""
    return _rows(plan, lambda device: device.ports)


def _rows(plan: Plan, regions: Callable[[Device], tuple[Region, ...]]) -> list[DeviceRow]:
    hw = plan.hardware
    owners = {device.path: (part.index, "DMA unprotected" if spec.dma == "unprotected" else "")
              for part in plan.partitions for device, spec in part.devices}
    own = {hw.uart.path: "console"} if hw.uart else {}
    if hw.gic is not None:
        own.update({d.path: "interrupt controller" for d in hw.devices if d.path.startswith(hw.gic.path)})
    own.update({path: "IOMMU" for path in hw.iommus})
    own.update({d.path: KEPT[rule] for d in hw.devices for rule, _, itself in rules_x86.kept(hw, d)
                if itself and rule in KEPT})
    rows = []
    for device in hw.devices:
        if device.enabled:
            owner, note = owners.get(device.path, (HYPERVISOR, own[device.path]) if device.path in own else (FREE, ""))
            rows += [DeviceRow(region, device.path, owner, note) for region in regions(device)]
    return sorted(rows, key=lambda row: (row.region, row.path))


def grouped(rows: list[DeviceRow]) -> list[DeviceRow]:
    """Runs of like devices that nobody has (virtio slots) as one row."""
    out: list[DeviceRow] = []
    run: list[DeviceRow] = []
    for row in [*rows, DeviceRow(Region(0, 0), "", RESERVED)]:
        if run and (row.owner != FREE or _kind(row) != _kind(run[0])):
            first, last = run[0].region, run[-1].region
            out += run if len(run) < 4 else [DeviceRow(Region(first.base, last.end - first.base),
                                                       f"{_kind(run[0])}@...: {len(run)} of them", FREE)]
            run = []
        if row.owner == FREE:
            run.append(row)
        else:
            out.append(row)
    return out[:-1]


def _kind(row: DeviceRow) -> str:
    return row.path.rpartition("@")[0]
