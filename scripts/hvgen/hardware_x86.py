# SPDX-License-Identifier: Apache-2.0
"""x86 boards: what stands in the place of GIC, timer and PSCI, and a check of their devicetree.

PCs have no devicetree, so that of an x86 board is written by hand (docs/porting.md says how). What a
vendor's compiler would have found wrong is therefore looked for here: BOARD-NODE.
"""
from __future__ import annotations

from typing import Iterator, Optional

from . import addresses, interrupts, pci
from .boardfile import BoardFile
from .diag import Diagnostic, did_you_mean, hex_range
from .fdt import Node, Tree
from .model import IoApic, Pc, Region, Span
from .place import overlap

CPUS = ("intel,x86-64", "amd,x86-64")
IOAPIC = interrupts.IOAPIC
PIT = ("intel,i8254",)
PM_TIMER = ("acpi,pm-timer",)

# No partition may have these, although they look like other devices.
KEPT = {
    "intel,ioapic": "the interrupt controller",
    "intel,i8254": "the hypervisor's alarm",
    "intel,i8259": "the old interrupt controller, which the hypervisor has silenced",
    "acpi,pm-timer": "the clock against which the hypervisor measures others",
    "intel,i8042": "the keyboard controller, which can reset the board (port 0x64, command 0xfe)",
    "intel,i8237": "the old DMA controller, which can write to the first 16 MiB",
    "intel,hpet": "a timer that can write its interrupt to any address",
    "intel,i440fx": "the PCI host, which configures all PCI functions",
    "intel,ich9-pm": "ACPI's power management, which can switch the board off",
    "intel,piix4-pm": "ACPI's power management, which can switch the board off",
    "bochs,shutdown": "what ends the emulator",
}

MOST_LINES = 64                        # struct layout_pc_partition.lines
LAST_APIC_ID = 254                     # one byte in the I/O APIC's entries and in the MADT, and 255 is all of them
LOCAL_APIC = Region(0xfee00000, 0x100000)  # and where devices write to send an interrupt (SDM 3A 11.11.1)
LEGACY = Region(0, 0x100000)           # firmware's, of every PC
PORTS = addresses.IO_PORTS
LINES = "bulkhead,lines"               # inputs of the I/O APIC
PROPERTIES = (PORTS, LINES)
LINE_FLAGS = (1, 2, 4, 8)


def is_pc(tree: Tree) -> bool:
    """It has an I/O APIC or an x86 core."""
    return any(node.is_a(*IOAPIC, *CPUS) for node in tree.nodes.values())


def find_ioapic(tree: Tree) -> Optional[Node]:
    return next(iter(_ioapics(tree)), None)


def _ioapics(tree: Tree) -> list[Node]:
    return [node for node in tree.nodes.values() if node.is_a(*IOAPIC) and node.enabled]


def describe(tree: Tree, board: BoardFile, memory: tuple[Region, ...], wrong: list[Diagnostic]) -> Pc:
    """The board beside its cores, memory and devices; what is wrong with it is added to `wrong`."""
    place = Span(board.devicetree)
    wrong += [*_wrong_nodes(tree, place), *_wrong_memory(tree, memory, place), *_wrong_ids(tree, place), *_wrong_keys(board)]
    pm_timer = _first(tree, PM_TIMER)
    pc = Pc(ioapic=_ioapic(tree, place, wrong), pm_timer=_port(pm_timer), tsc_hz=_tsc_hz(tree), off=board.poweroff, reset=board.reset)
    if not pc.pm_timer and not pc.tsc_hz:
        wrong.append(Diagnostic("BOARD-NO-TIMER", place, "nothing says how fast the time stamp counter runs, and there is no timer to "
                                "measure it against", fix="describe the ACPI PM timer (compatible \"acpi,pm-timer\"), or give the "
                                "frequency in Hz as 'timebase-frequency' of /cpus"))
    return pc


def apic_id(parent: Node, node: Node) -> int:
    return next(addresses.split(node.cells("reg"), (parent.address_cells,)), (0,))[0]


# ---------------------------------------------------------------- parts

def _first(tree: Tree, names: tuple[str, ...]) -> Optional[Node]:
    return next((node for node in tree.nodes.values() if node.is_a(*names) and node.enabled), None)


def _port(node: Optional[Node]) -> int:
    return next((region.base for region in addresses.ports(node)), 0) if node else 0


def _tsc_hz(tree: Tree) -> int:
    cpus = tree.nodes.get("/cpus")
    return cpus.number("timebase-frequency", 0) if cpus else 0


def _ioapic(tree: Tree, place: Span, wrong: list[Diagnostic]) -> Optional[IoApic]:
    found = _ioapics(tree)
    if len(found) != 1:
        said = "the board has no I/O APIC" if not found else f"the board has {len(found)} I/O APICs, this version drives one"
        wrong.append(Diagnostic("BOARD-NO-IOAPIC", place, said, tuple((None, node.path) for node in found),
                                "describe it (compatible \"intel,ioapic\")" if not found else "set the status of others to \"disabled\""))
        return None
    node = found[0]
    regs, lines = addresses.regs(node), node.cell(LINES, 0)
    for complaint in _wrong_ioapic(node, regs, lines):
        wrong.append(Diagnostic("BOARD-NO-IOAPIC", place, f"{node.path}: {complaint}"))
    pit = _first(tree, PIT)
    raised = interrupts.of_node(tree, node, pit) if pit else ()
    return IoApic(node.path, regs[0], lines, raised[0].intid if raised else -1) if regs else None


def _wrong_ioapic(node: Node, regs: tuple[Region, ...], lines: int) -> Iterator[str]:
    if not regs or regs[0].base % 0x1000:
        yield "'reg' must give the address of its page of registers"
    if "interrupt-controller" not in node or node.cell("#interrupt-cells", 0) != 2:
        yield "it must be an 'interrupt-controller' with #interrupt-cells = <2> (line, flags)"
    if not 1 <= lines <= MOST_LINES:
        yield f"'{LINES}' must give the number of its inputs, from 1 to {MOST_LINES}"


# ---------------------------------------------------------------- is the devicetree sound?

def _wrong_nodes(tree: Tree, place: Span) -> Iterator[Diagnostic]:
    ioapic = find_ioapic(tree)
    lines = ioapic.cell(LINES, 0) if ioapic else 0
    for node in tree.nodes.values():
        for message, fix in [*_wrong_properties(node), *_wrong_ports(node), *_wrong_lines(tree, ioapic, lines, node),
                             *pci.wrong(tree, node)]:
            yield Diagnostic("BOARD-NODE", place, f"{node.path}: {message}", fix=fix)


def _wrong_properties(node: Node) -> Iterator[tuple[str, str]]:
    for name in node.props:
        if name.startswith("bulkhead,") and name not in PROPERTIES:
            yield f"there is no property '{name}'", did_you_mean(name, PROPERTIES) or f"Bulkhead's are {', '.join(PROPERTIES)}"
    if LINES in node and not node.is_a(*IOAPIC):
        yield f"'{LINES}' is a property of I/O APICs", "remove it"


def _wrong_ports(node: Node) -> Iterator[tuple[str, str]]:
    if PORTS not in node:
        low = [region for region in addresses.regs(node) if region.end <= 1 << 16] if node.compatible else []
        for region in low[:1]:
            yield (f"registers at {hex_range(region.base, region.size)} would lie in the first 64 KiB of RAM",
                   f"if these are I/O ports: add '{PORTS};'")
        return
    found = addresses.ports(node)
    if not found:
        yield f"'{PORTS}' asks for a 'reg' with ranges of I/O ports", "give first port and number of ports: reg = <0 0x3f8 0 8>;"
    for region in found:
        if region.end > 1 << 16:
            yield f"I/O ports {hex_range(region.base, region.size)} do not exist: the last is 0xffff", f"without '{PORTS}' it is an address"


def _wrong_lines(tree: Tree, ioapic: Optional[Node], lines: int, node: Node) -> Iterator[tuple[str, str]]:
    raised = interrupts.of_node(tree, ioapic, node) if ioapic else ()
    for interrupt in raised:
        if interrupt.intid >= lines > 0:
            yield f"line {interrupt.intid} of the I/O APIC does not exist: it has {lines}", "lines are counted from 0"
        if interrupt.flags not in LINE_FLAGS:
            yield (f"line {interrupt.intid} has flags {interrupt.flags:#x}",
                   "1: rising edge, 2: falling edge, 4: high level, 8: low level")


def _wrong_memory(tree: Tree, memory: tuple[Region, ...], place: Span) -> Iterator[Diagnostic]:
    """Between RAM below 4 GiB and the BIOS's ROM lie registers: no bank may reach across them."""
    taken = [(LOCAL_APIC, "the local APICs")]
    taken += [(region, node.path) for node in tree.nodes.values() if node.compatible for region in addresses.regs(node)]
    for bank in memory:
        for region, what in taken:
            if overlap(bank, region) and region.end > 1 << 16:    # else it is said to be I/O ports
                yield Diagnostic("BOARD-NODE", place, f"RAM at {hex_range(bank.base, bank.size)} covers the registers of {what} at "
                                 f"{hex_range(region.base, region.size)}", fix="give the bank the size that the firmware's memory map has")


def _wrong_ids(tree: Tree, place: Span) -> Iterator[Diagnostic]:
    parent = tree.nodes.get("/cpus")
    seen: dict[int, Node] = {}
    for node in parent.children if parent else ():
        if parent is None or node.string("device_type") != "cpu" or not node.usable or "reg" not in node:
            continue
        number = apic_id(parent, node)
        first = seen.setdefault(number, node)
        if first is not node:
            yield Diagnostic("BOARD-APIC-ID", place, f"{node.path} has APIC ID {number}, which {first.path} has already")
        if number > LAST_APIC_ID:
            yield Diagnostic("BOARD-APIC-ID", place, f"{node.path} has APIC ID {number}; this version uses cores up to {LAST_APIC_ID}",
                             fix="set its status to \"disabled\"")


def _wrong_keys(board: BoardFile) -> Iterator[Diagnostic]:
    """Of board.yaml: what only ARM64 has, and the first MiB, which every PC's firmware uses and cores start in."""
    if not any(region.base == 0 and region.end >= LEGACY.end for region, _ in board.firmware):
        yield Diagnostic("BOARD-FILE", Span(board.file), "the first MiB of a PC is its firmware's, but 'firmware' does not say so",
                         fix="add '- {base: 0x0, size: 1 MiB, what: BIOS}' to 'firmware'")
    for key in ("psci", "redistributor-stride"):
        if key in board.keys:
            yield Diagnostic("BOARD-FILE", board.keys[key], f"'{key}' is not for x86 boards", fix="remove it")
