# SPDX-License-Identifier: Apache-2.0
"""From a node's `reg` to addresses as the CPUs see them (Devicetree Specification 2.3.6 and 2.3.8)."""
from __future__ import annotations

from typing import Iterator, Optional

from .fdt import Node, join
from .model import Region

IO_PORTS = "bulkhead,io-ports"                    # x86: the node's `reg` counts I/O ports


def split(cells: tuple[int, ...], widths: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Rows of numbers of these widths (in cells); an unfinished row at the end is left out."""
    row = sum(widths)
    if row == 0:
        return
    for start in range(0, len(cells) - row + 1, row):
        numbers, at = [], start
        for width in widths:
            numbers.append(join(cells[at:at + width]))
            at += width
        yield tuple(numbers)


def regs(node: Node) -> tuple[Region, ...]:
    """The node's registers; empty if it sits on a bus that is not memory (I2C, SPI, PCI, CPU numbers)."""
    bus = node.parent
    if bus is None or "reg" not in node or bus.size_cells == 0 or IO_PORTS in node:
        return ()
    found = []
    for address, size in split(node.cells("reg"), (bus.address_cells, bus.size_cells)):
        base = to_cpu(bus, address)
        if base is not None and size and base + size <= 1 << 64:
            found.append(Region(base, size))
    return tuple(found)


def ports(node: Node) -> tuple[Region, ...]:
    """x86: the node's I/O ports. There is one space of them, so no bus translates."""
    bus = node.parent
    if bus is None or IO_PORTS not in node:
        return ()
    return tuple(Region(base, size) for base, size in split(node.cells("reg"), (bus.address_cells, bus.size_cells)) if size)


def to_cpu(bus: Node, address: int) -> Optional[int]:
    """An address on this bus in the CPUs' view; None if there is no way from there."""
    node = bus
    while node.parent is not None:
        if "ranges" not in node or _is_pci(node):
            return None
        above = _through(node, node.parent, address)
        if above is None:
            return None
        address, node = above, node.parent
    return address


def _is_pci(bus: Node) -> bool:
    return bus.string("device_type") in ("pci", "pciex") or bus.address_cells == 3


def _through(bus: Node, parent: Node, address: int) -> Optional[int]:
    """One step upwards by `ranges`; an empty one says that both sides are the same."""
    cells = bus.cells("ranges")
    if not cells:
        return address
    for child, above, size in split(cells, (bus.address_cells, parent.address_cells, bus.size_cells)):
        if child <= address < child + size:
            return above + (address - child)
    return None
