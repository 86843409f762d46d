# SPDX-License-Identifier: Apache-2.0
"""Hardware x System -> Plan: who gets which memory, cores and interrupts, and at which addresses.

Pure: the same input gives the same plan, nothing is read or written.  `make` expects input that
rules.check has let pass; what only placement can find out (not enough room) is refused here.
"""
from __future__ import annotations

from dataclasses import replace
from typing import Literal, Mapping as Dict, Optional, Union

from . import allocate, channels, guestmem_pc, health, pc, pools
from .diag import Diagnostic, Refused, size_text
from .guestmem import DTB_ROOM, Layout, NoRoom, lay_out
from .images import Image
from .model import (Blob, Device, DeviceSpec, Hardware, Mapping, Partition, Plan, PlanCpu, PlanPartition,
                    Region, System, Vuart, Watchdog)
from .place import MIB, PAGE, align_down, align_up, merge, pages, subtract, table_pages

PA_BITS = (32, 36, 40, 42, 44, 48, 52)
IPA_BITS_LEAST = 31
LARGE = 64 * MIB             # so much memory in small pages is worth a warning


Vmm = Literal["", "svm", "vmx"]


def make(hardware: Hardware, system: System, images: Dict[str, Image], vmm: Vmm = "") -> Plan:
    """The plan, or Refused.  vmm: x86: the CPU vendor that Kconfig chose; SVM if it is left out."""
    hv, memory = allocate.place(hardware, system, images)
    cpus = _cpus(hardware, system)
    slots, shared = pools.plan_pools(hardware, system, cpus)
    vuarts = _vuarts(hardware, system)
    given = {vuart.intid for vuart in vuarts if vuart}
    watchdogs = health.plan_watchdogs(hardware, system, cpus, memory, [i for i in spare_spis(hardware) if i not in given])
    layouts = [fit(hardware, part, images[part.name], allocate.first_piece(ram))
               for part, ram in zip(system.partitions, memory)]
    found = [answer for answer in layouts if isinstance(answer, Diagnostic)]
    if found:
        raise Refused(found)
    partitions = [_partition(hardware, part, index, cpus + slots, memory[index], layout, vuarts[index],
                             watchdogs[index])
                  for index, (part, layout) in enumerate(zip(system.partitions, layouts)) if isinstance(layout, Layout)]
    taken = [hv] + [Region(m.pa, m.size) for ram in memory for m in ram]
    given |= {dog.intid for dog in watchdogs if dog}
    shared_memory = channels.plan_channels(
        hardware, system, [*(Region(m.ipa, m.size) for ram in memory for m in ram), *health.frames(hardware, watchdogs)],
        subtract(allocate.usable(hardware), taken), [_spare(hardware, part, given) for part in partitions])
    partitions = [channels.connect(part, shared_memory, hardware.pc is not None) for part in partitions]
    taken += [Region(channel.pa, channel.size) for channel in shared_memory]
    return Plan(hardware=hardware, system=system, hv=hv,
                text_offset=0 if hardware.pc else hv.base - hardware.memory[0].base,
                cpus=cpus, partitions=tuple(partitions), console_cpu=_console_cpu(hardware, cpus, partitions),
                free=subtract(allocate.usable(hardware), taken),
                pa_bits=max([pa_bits(hardware), *(p.ipa_bits for p in partitions if hardware.pc)]),
                vmm=(vmm or "svm") if hardware.pc else "", slots=slots, pools=shared, channels=shared_memory,
                trampoline=_trampoline(hardware, system),
                notes=tuple([*_notes(hardware, partitions), *_vendor_notes(hardware, cpus, vmm or "svm")]))


def _trampoline(hardware: Hardware, system: System) -> int:
    if hardware.pc is None:
        return 0
    page = pc.trampoline(hardware)
    if page is None:
        raise Refused([Diagnostic("HV-NO-ROOM", system.board_span, "other cores start in a page of RAM below "
                                  f"{size_text(pc.CONVENTIONAL_END)}, board '{hardware.name}' has none",
                                  fix="describe all of its RAM, from address 0 on, in the board's devicetree")])
    return page


# ---------------------------------------------------------------- facts about the board that rules.py asks for too

def pa_bits(hardware: Hardware) -> int:
    """The smallest physical address size that covers the board's RAM and registers."""
    regions = list(hardware.memory) + [r for d in hardware.devices for r in d.regs]
    if hardware.gic:
        regions += hardware.gic.regions
    top = max((r.end for r in regions), default=0)
    if hardware.pc:
        return max(pc.PA_BITS_LEAST, (top - 1).bit_length())
    return next((bits for bits in PA_BITS if top <= 1 << bits), PA_BITS[-1])


def board_device(hardware: Hardware, name: str) -> Optional[Device]:
    """A device by path, label or alias."""
    path = hardware.by_name.get(name, name)
    return next((d for d in hardware.devices if d.path == path), None)


def redist_base(hardware: Hardware, board_index: int) -> Optional[int]:
    """RD_base of a core: its place in /cpus counts through the redistributor regions."""
    gic = hardware.gic
    if gic is None or gic.version == 2:
        return 0
    frame = board_index
    for region in gic.redists:
        count = region.size // gic.redist_stride
        if frame < count:
            return region.base + frame * gic.redist_stride
        frame -= count
    return None


# ---------------------------------------------------------------- images

def fit(hardware: Hardware, part: Partition, image: Image, ram: Region) -> Union[Layout, Diagnostic]:
    """The image's place in the guest's first range of memory, or why there is none."""
    try:
        return guestmem_pc.lay_out(part.image, image, ram) if hardware.pc else lay_out(part.image, image, ram)
    except NoRoom as error:
        notes = ((part.memory.span, "its memory is given here"),) if error.rule != "IMG-BOOT" else ()
        return Diagnostic(error.rule, part.image.file_span, f"image of partition '{part.name}': {error}",
                          notes, _mend(hardware, part, error.rule, ram))


def _mend(hardware: Hardware, part: Partition, rule: str, ram: Region) -> str:
    if rule == "IMG-BOOT":
        what = "give it an 'offset'" if part.image.kind == "raw" else "link it for an address"
        return f"{what} of {pc.FIRMWARE.end:#x} (1 MiB) or more"
    if rule == "IMG-SIZE" and hardware.pc and ram.end == pc.LOW_RAM_END:
        return f"a guest on x86 has no more than {size_text(ram.end)} below its hole for registers: use smaller files"
    if rule == "IMG-SIZE":
        return "give the partition more memory"
    if hardware.pc:
        return f"link it for 1 MiB and up, and below {size_text(pc.LOW_RAM_END)}; or give the partition more memory"
    return "link it for the partition's memory, or move that with memory: {size: ..., guest: ...}"


# ---------------------------------------------------------------- cores and interrupts

def _cpus(hardware: Hardware, system: System) -> tuple[PlanCpu, ...]:
    owners = {board: (index, vcpu, 0, 0) for index, part in enumerate(system.partitions)
              for vcpu, (board, _) in enumerate(part.cpus)}
    owners.update({board: (-1, 0, number, place) for number, pool in enumerate(system.pools, 1)
                   for place, (board, _) in enumerate(pool.cpus)})
    return tuple(PlanCpu(board, hardware.cpus[board].mpidr, redist_base(hardware, board) or 0, *owners[board])
                 for board in sorted(owners))


def _console_cpu(hardware: Hardware, cpus: tuple[PlanCpu, ...], partitions: list[PlanPartition]) -> Optional[int]:
    """The first core that is not `direct` can take the UART's interrupt, one of a pool if there is no other; on x86,
    where it comes as NMI, the first."""
    if hardware.pc:
        return 0 if hardware.uart and hardware.uart.intid else None
    able = [i for i, cpu in enumerate(cpus) if cpu.pool or not partitions[cpu.partition].direct]
    return min(able, key=lambda i: (cpus[i].pool != 0, i)) if able else None


def _spis(hardware: Hardware, part: Partition) -> set[int]:
    """SPIs of its devices; x86: lines of the I/O APIC."""
    least = 0 if hardware.pc else 32
    return {i.intid for _, d in _devices(hardware, part) for i in d.interrupts if i.intid >= least}


def _devices(hardware: Hardware, part: Partition) -> list[tuple[DeviceSpec, Device]]:
    found = ((spec, board_device(hardware, spec.name)) for spec in part.devices)
    return [(spec, device) for spec, device in found if device is not None]


def _vuarts(hardware: Hardware, system: System) -> list[Optional[Vuart]]:
    """The console's own page and interrupt; a direct partition's interrupt must be real and unused."""
    if hardware.pc:
        return [_pc_vuart(hardware, part) for part in system.partitions]
    page = vuart_page(hardware)
    spare = spare_spis(hardware)
    shared = hardware.uart.intid if hardware.uart and 32 <= hardware.uart.intid < 1020 else 0
    out: list[Optional[Vuart]] = []
    for part in system.partitions:
        if part.console != "vuart":
            out.append(None)
            continue
        intid = shared if shared and part.interrupts == "virtual" else (spare.pop(0) if spare else 0)
        if intid == 0:
            raise Refused([_no_vuart(hardware, part, "no interrupt")])
        out.append(Vuart(page, intid))
    return out


def _pc_vuart(hardware: Hardware, part: Partition) -> Optional[Vuart]:
    """A line of the partition's own I/O APIC: others may have the physical one."""
    if part.console != "vuart":
        return None
    found = pc.vuart(hardware, part, _ports(hardware, part), frozenset(_spis(hardware, part)))
    if found is None:
        raise Refused([_no_vuart(hardware, part, "no COM port with its line")])
    return found


def _no_vuart(hardware: Hardware, part: Partition, what: str) -> Diagnostic:
    return Diagnostic("IRQ-NONE-FREE", part.span, f"{what} of board '{hardware.name}' is free "
                      f"for the virtual UART of partition '{part.name}'", fix="leave out its 'console: vuart'")


def _ports(hardware: Hardware, part: Partition) -> tuple[Region, ...]:
    """x86: I/O ports of its devices."""
    return merge(r for _, d in _devices(hardware, part) for r in d.ports)


def _spare(hardware: Hardware, part: PlanPartition, given: set[int]) -> list[int]:
    """What channels may ring a partition by. x86: every line of its own I/O APIC that it has for nothing else."""
    if hardware.pc is None:
        return [intid for intid in spare_spis(hardware) if intid not in given]
    lines = hardware.pc.ioapic.lines if hardware.pc.ioapic else 0
    own = {*part.spis, *([part.vuart.intid] if part.vuart else [])}
    return [line for line in range(lines - 1, 0, -1) if line not in own]


def spare_spis(hardware: Hardware) -> list[int]:
    """SPIs that no node uses and that the distributor surely has (it counts in groups of 32)."""
    used = {i.intid for d in hardware.devices for i in d.interrupts}
    if hardware.uart:
        used.add(hardware.uart.intid)
    top = min(align_up(max(used | {32}) + 1, 32), 1020)
    return [intid for intid in range(32, top) if intid not in used]


def vuart_page(hardware: Hardware) -> int:
    if hardware.uart:
        return align_down(hardware.uart.region.base, PAGE)
    gic = hardware.gic
    taken = merge(pages(r) for r in [*hardware.memory, *(r for d in hardware.devices for r in d.regs),
                                     *(gic.regions if gic else ())])
    return next(r.end for r, after in zip(taken, [*taken[1:], None])
                if after is None or after.base >= r.end + PAGE)


def _ppis(hardware: Hardware, part: Partition) -> tuple[int, ...]:
    """Guest timers, the PMU (which pools do not switch), and what its own devices use."""
    timer = hardware.timer
    found = {timer.virt, timer.phys} if timer else set()
    for device in hardware.devices:
        if part.use is None and any("pmu" in c for c in device.compatible):
            found |= {i.intid for i in device.interrupts}
    found |= {i.intid for _, d in _devices(hardware, part) for i in d.interrupts}
    return tuple(sorted(i for i in found if 16 <= i < 32))


# ---------------------------------------------------------------- one partition

def _partition(hardware: Hardware, part: Partition, index: int, cpus: tuple[PlanCpu, ...],
               ram: tuple[Mapping, ...], layout: Layout, vuart: Optional[Vuart], watchdog: Optional[Watchdog]) -> PlanPartition:
    devices = _devices(hardware, part)
    mappings = tuple(sorted([*ram, *_device_mappings(devices), *_cpu_interface(hardware, part)], key=lambda m: m.ipa))
    mine = {cpu.vcpu: place for place, cpu in enumerate(cpus) if cpu.partition == index}
    direct = part.interrupts == "direct" or (hardware.pc is not None and part.use is None)
    spis = _spis(hardware, part)
    if vuart and direct and not hardware.pc:
        spis.add(vuart.intid)
    if watchdog and watchdog.intid:
        spis.add(watchdog.intid)
    return PlanPartition(
        index=index, name=part.name, vmid=index + 1, spec=part, cpus=tuple(mine[v] for v in sorted(mine)),
        direct=direct, ram=ram, mappings=mappings,
        devices=tuple((device, spec) for spec, device in devices), blobs=_blobs(hardware, layout, ram),
        entry=layout.entry, dtb_ipa=layout.dtb, dtb_room=pc.BOOT_BLOCK.size if hardware.pc else DTB_ROOM, initrd=layout.initrd,
        spis=tuple(sorted(spis)), ppis=_ppis(hardware, part), vuart=vuart, dma_unprotected=allocate.unprotected(part),
        ipa_bits=_ipa_bits(hardware, mappings, vuart, watchdog), ports=_ports(hardware, part), watchdog=watchdog)


def _device_mappings(devices: list[tuple[DeviceSpec, Device]]) -> list[Mapping]:
    """Register pages, guest address = physical address; a page that two of them share appears once."""
    out: list[Mapping] = []
    done: tuple[Region, ...] = ()
    for spec, device in devices:
        for region in subtract(merge(pages(r) for r in device.regs), done):
            out.append(Mapping(region.base, region.base, region.size, "device", device.path, spec.span))
            done = merge([*done, region])
    return out


def _cpu_interface(hardware: Hardware, part: Partition) -> list[Mapping]:
    """GICv2: where the guest expects GICC it gets GICV, which the hardware banks per core (IHI 0048 5.5)."""
    gic = hardware.gic
    if gic is None or gic.version != 2 or gic.cpu is None or gic.vcpu is None:
        return []
    size = align_up(min(gic.cpu.size, gic.vcpu.size), PAGE)   # 8 KiB, or 128 KiB with copies of each 4 KiB
    return [Mapping(gic.cpu.base, gic.vcpu.base, size, "device", gic.path, part.span)]


def _ipa_bits(hardware: Hardware, mappings: tuple[Mapping, ...], vuart: Optional[Vuart], watchdog: Optional[Watchdog]) -> int:
    tops = [m.ipa + m.size for m in mappings]
    if hardware.pc:
        return max(pc.HIGH_RAM.bit_length() - 1, (max(tops) - 1).bit_length())
    if vuart:
        tops.append(vuart.ipa + PAGE)
    if watchdog:
        tops.append(watchdog.ipa + health.FRAMES)
    gic = hardware.gic
    if gic:
        tops += [gic.dist.end, *(r.end for r in gic.redists)] + ([gic.cpu.end] if gic.cpu else [])
    return max(IPA_BITS_LEAST, (max(tops) - 1).bit_length())


def _blobs(hardware: Hardware, layout: Layout, ram: tuple[Mapping, ...]) -> tuple[Blob, ...]:
    """Where memory is in several physical ranges, so is what is copied there."""
    out = []
    for piece, ipa in layout.pieces:
        for start, pa, size in _physical(ram, ipa, piece.size):
            out.append(Blob(piece.what, piece.file, start - ipa, size, start, pa))
    for start, pa, _ in _physical(ram, layout.dtb, DTB_ROOM)[:1]:
        out.append(Blob("boot" if hardware.pc else "dtb", "", 0, 0, start, pa))
    code = pc.RESET_CODE if hardware.pc else b""
    for start, pa, size in _physical(ram, pc.RESET_ENTRY, len(code)):
        out.append(Blob("reset", "", 0, size, start, pa, code))
    return tuple(out)


def _physical(ram: tuple[Mapping, ...], ipa: int, size: int) -> list[tuple[int, int, int]]:
    """(guest address, physical address, size) of the parts of a guest range."""
    out = []
    for m in ram:
        start, end = max(ipa, m.ipa), min(ipa + size, m.ipa + m.size)
        if start < end:
            out.append((start, start - m.ipa + m.pa, end - start))
    return out


def with_dtb(plan: Plan, sizes: Union[Dict[str, int], Dict[int, int]]) -> Plan:
    """The plan with the sizes of devicetrees or boot blocks filled in, by partition name or index."""
    known = {str(key): size for key, size in sizes.items()}
    filled = []
    for part in plan.partitions:
        size = known.get(part.name, known.get(str(part.index), 0))
        blobs = tuple(replace(b, size=size) if b.generated else b for b in part.blobs)
        filled.append(replace(part, blobs=blobs))
    return replace(plan, partitions=tuple(filled))


# ---------------------------------------------------------------- what should be said again at boot

def _notes(hardware: Hardware, partitions: list[PlanPartition]) -> list[str]:
    out = []
    for part in partitions:
        for device, spec in part.devices:
            if spec.dma == "unprotected":
                out.append(f"partition {part.name}: {device.path} can write to all memory of the board by DMA "
                           f"(dma: unprotected, {spec.span})")
        out += [f"partition {part.name}: guest {m.ipa:#x} and physical {m.pa:#x} disagree modulo 2 MiB, so "
                f"{size_text(m.size)} are mapped in 4 KiB pages ({size_text(table_pages(m.ipa, m.pa, m.size) * PAGE)} of tables)"
                for m in part.ram if m.size >= LARGE and (m.ipa - m.pa) % (2 * MIB)]
    if hardware.gic and hardware.gic.version == 2:
        out.append("the board has a GICv2: this version plans and checks such layouts, but boots on a GICv3 only")
    if hardware.uart is None:
        out.append("no console: the board has no serial port that Bulkhead knows")
    elif all(p.direct for p in partitions) and not hardware.pc:
        out.append("no core takes console input: every partition is direct, Ctrl-a and guest consoles are output only")
    elif not hardware.uart.intid:
        out.append("no console input: the board's UART has no interrupt")
    return out


def _vendor_notes(hardware: Hardware, cpus: tuple[PlanCpu, ...], vmm: Vmm) -> list[str]:
    """Emulators have CPUs of either vendor on one board, so this is no error; the boot refuses a CPU that lacks it."""
    built, fitting, setting = ("SVM", "amd,", "CONFIG_SVM") if vmm == "svm" else ("VMX", "intel,", "CONFIG_VMX")
    kinds = {c for cpu in cpus for c in hardware.cpus[cpu.board_index].compatible}
    if not hardware.pc or any(c.startswith(fitting) for c in kinds):
        return []
    return [f"the code uses {built} ({setting}), the board's devicetree says that its CPUs are {', '.join(sorted(kinds))}"]
