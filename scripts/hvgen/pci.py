# SPDX-License-Identifier: Apache-2.0
"""PCI functions of x86 boards: from their nodes (IEEE 1275, PCI Bus Binding 2.1) to the rows of struct layout_function.

BARs have fixed values, which the board's author writes down as `assigned-addresses`: the hypervisor sets them at boot
and lets no guest change them, so what they reach is known when the tables are made.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator, Optional

from . import addresses
from .diag import hex_range
from .fdt import Node, Tree
from .model import Bar, Device, Function, Plan, Region
from .place import overlap

HOSTS = ("pci-host-", "intel,i440fx")  # how the compatibles of hosts begin (binding pci/host-generic-pci; Bochs)
BARS = 6
FIRST_BAR = 0x10
MOST = 32                              # LAYOUT_MAX_FUNCTIONS
ID = re.compile(r"pci([0-9a-f]{1,4}),([0-9a-f]{1,4})")

# phys.hi: npt000ss bbbbbbbb dddddfff rrrrrrrr (2.2.1.1)
PREFETCH, SPACE, ADDRESS, REGISTER = 1 << 30, 0x3000000, 0xffff00, 0xff
PORTS, MEMORY_32, MEMORY_64 = 0x1000000, 0x2000000, 0x3000000
LEAST = {True: 4, False: 16}           # bytes of a BAR, by whether it is for ports
PORTS_MOST = 256                       # PCI Local Bus 3.0, 6.2.5.1
LOCAL_APIC = Region(0xfee00000, 0x100000)


# ---------------------------------------------------------------- what a node says

def is_host(node: Node) -> bool:
    return any(c.startswith(HOSTS) for c in node.compatible)


def _is_function(node: Node) -> bool:
    bus = node.parent
    return (bus is not None and bus.string("device_type") == "pci" and len(node.cells("reg")) >= 5
            and any(is_host(above) for above in node.ancestors))


def function(node: Node) -> Optional[Function]:
    """None if the node is none. What is wrong with it says wrong()."""
    if not _is_function(node):
        return None
    found = next((match for c in node.compatible if (match := ID.fullmatch(c))), None)
    return Function((node.cells("reg")[0] & ADDRESS) >> 8, int(found[1], 16) | int(found[2], 16) << 16 if found else 0,
                    tuple(sorted((bar for _, bar in _rows(node)), key=lambda bar: bar.number)), _pin(node),
                    node.string("device_type") == "pci")


def _rows(node: Node) -> Iterator[tuple[int, Bar]]:
    """phys.hi of each row, and the BAR."""
    for high, base, size in addresses.split(node.cells("assigned-addresses"), (1, 2, 2)):
        space = high & SPACE
        yield high, Bar(((high & REGISTER) - FIRST_BAR) // 4, Region(base, size), space == PORTS, space == MEMORY_64, bool(high & PREFETCH))


def _pin(node: Node) -> int:
    """Through the host's map by its pin; a line of the I/O APIC that is named outright counts as INTA."""
    if "interrupts-extended" in node:
        return 1
    return node.cell("interrupts", 0)


def regions(found: Optional[Function], ports: bool) -> tuple[Region, ...]:
    """The addresses or the I/O ports that its BARs give it."""
    return tuple(bar.region for bar in found.bars if bar.ports == ports) if found else ()


# ---------------------------------------------------------------- is it sound?

def wrong(tree: Tree, node: Node) -> Iterator[tuple[str, str]]:
    """What is wrong with the node of a function, and how to mend it."""
    found = function(node)
    if found is None:
        return
    taken: dict[int, str] = {}
    if found.pin > 4:
        yield f"'interrupts' is {found.pin}, no pin of a PCI function", "1 to 4; a line of the I/O APIC goes to 'interrupts-extended'"
    for high, bar in _rows(node):
        said = f"BAR {bar.number} at {hex_range(bar.region.base, bar.region.size)}"
        problem = _wrong_bar(found, high, bar) or _collision(tree, node, bar)
        if problem:
            yield f"'assigned-addresses': {said} {problem}", "give the values that the firmware has set, or free ones"
        for number in range(bar.number, bar.number + 1 + bar.wide):
            if number in taken:
                yield f"'assigned-addresses': {said} uses the register of {taken[number]}", "one row for each BAR"
            taken[number] = said


def _wrong_bar(found: Function, high: int, bar: Bar) -> str:
    size, end = bar.region.size, 1 << (16 if bar.ports else 64 if bar.wide else 32)
    if (high & ADDRESS) >> 8 != found.address:
        return "is of another function than 'reg' names"
    if not high & SPACE:
        return "is in configuration space: its first cell says neither ports nor memory"
    if (high & REGISTER) % 4 or not 0 <= bar.number < BARS - bar.wide:
        return "has no such register: BARs are at 0x10 to 0x24"
    if size < LEAST[bar.ports] or size & (size - 1) or bar.ports and size > PORTS_MOST:
        return "has a size that no BAR has: powers of two, from " + ("4 to 256 ports" if bar.ports else "16 bytes")
    if bar.region.base % size or bar.region.end > end:
        return "is not aligned to its size, or lies beyond what it can hold"
    return "covers address 0, which means none" if bar.region.base == 0 else ""


def _collision(tree: Tree, node: Node, bar: Bar) -> str:
    """Another's registers in the same place: both would answer."""
    if not bar.ports and overlap(bar.region, LOCAL_APIC):
        return "lies on the local APICs"
    for other in tree.nodes.values():
        if other is node:
            continue
        mine = addresses.ports(other) if bar.ports else addresses.regs(other)
        if any(overlap(bar.region, region) for region in mine + regions(function(other), bar.ports)):
            return f"lies on {other.path}"
    return ""


# ---------------------------------------------------------------- what partitions own

@dataclass(frozen=True)
class Owned:
    """A row of layout.pc.functions."""
    device: Device
    function: Function
    partition: int

    @property
    def line(self) -> Optional[int]:
        return self.device.interrupts[0].intid if self.device.interrupts and self.function.pin else None


def owned(plan: Plan) -> tuple[Owned, ...]:
    return tuple(Owned(device, device.function, part.index) for part in plan.partitions for device, _ in part.devices
                 if device.function is not None)


def _kind(bar: Bar) -> int:
    """The low bits, which cannot be written (PCI Local Bus 3.0, 6.2.5.1)."""
    return 1 if bar.ports else (4 if bar.wide else 0) | (8 if bar.prefetch else 0)


def _halves(value: int, wide: bool) -> tuple[int, ...]:
    return (value & 0xffffffff, value >> 32) if wide else (value & 0xffffffff,)


def registers(found: Function, of_sizes: bool) -> list[int]:
    """All six: the values, or what they read after all ones have been written."""
    out = [0] * BARS
    for bar in found.bars:
        words = _halves(((1 << 64) - bar.region.size if of_sizes else bar.region.base) | _kind(bar), bar.wide)
        out[bar.number:bar.number + len(words)] = words
    return out


def command(found: Function) -> int:
    """What it decodes: bit 0 I/O ports, bit 1 memory. Never bit 2: bus master."""
    return (1 if regions(found, True) else 0) | (2 if regions(found, False) else 0)


def interrupt_register(row: Owned) -> int:
    return 0 if row.line is None else row.function.pin << 8 | row.line
