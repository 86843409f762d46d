# SPDX-License-Identifier: Apache-2.0
"""Which interrupts of the GIC a node raises (Devicetree Specification 2.4); on x86, of the I/O APIC.

`interrupts` with an inherited parent, `interrupts-extended`, and nexus nodes (`interrupt-map`) are followed
to the GIC.  Interrupts that end at another controller (a GPIO block, say) are not the GIC's: that controller
has an interrupt of its own.
"""
from __future__ import annotations

from typing import Iterator, Optional

from .addresses import split
from .fdt import Node, Tree
from .model import Interrupt

# Controllers that stand before the GIC to wake the chip up and hand a GIC specifier on unchanged.
# Source: Linux drivers/irqchip (irq-imx-gpcv2.c, irq-tegra.c, irq-mtk-sysirq.c, irq-mvebu-gicp users excluded).
TRANSPARENT = ("fsl,imx8mq-gpc", "fsl,imx8mm-gpc", "fsl,imx8mn-gpc", "fsl,imx8mp-gpc", "fsl,imx7d-gpc",
               "nvidia,tegra210-ictlr", "nvidia,tegra124-ictlr", "nvidia,tegra30-ictlr",
               "mediatek,mt6577-sysirq")

IOAPIC = ("intel,ioapic",)

DEPTH = 8  # of controllers behind each other; a loop in a broken tree ends there


def parent_of(tree: Tree, node: Node) -> Optional[Node]:
    """The interrupt parent: the nearest `interrupt-parent` upwards, or the nearest ancestor that is a controller."""
    at: Optional[Node] = node
    while at is not None:
        if "interrupt-parent" in at:
            return tree.by_phandle.get(at.cell("interrupt-parent", 0))
        at = at.parent
        if at is not None and "#interrupt-cells" in at:
            return at
    return None


def of_node(tree: Tree, gic: Node, node: Node) -> tuple[Interrupt, ...]:
    """The GIC's interrupts that the node raises, in the order of its properties."""
    return tuple(found for found in slots(tree, gic, node) if found is not None)


def slots(tree: Tree, gic: Node, node: Node) -> tuple[Optional[Interrupt], ...]:
    """As of_node, with None in the place of an interrupt that ends elsewhere."""
    unit = node.cells("reg")
    return tuple(_resolve(tree, gic, controller, unit, spec, DEPTH) for controller, spec in specs(tree, node))


def specs(tree: Tree, node: Node) -> Iterator[tuple[Node, tuple[int, ...]]]:
    """Its interrupts as they are written: controller and specifier."""
    if "interrupts-extended" in node:             # it wins over `interrupts` (2.4.1)
        yield from references(tree, node.cells("interrupts-extended"), "#interrupt-cells")
        return
    cells = node.cells("interrupts")
    controller = parent_of(tree, node) if cells else None
    width = controller.cell("#interrupt-cells", 0) if controller else 0
    if controller is not None and width:
        for start in range(0, len(cells) - width + 1, width):
            yield controller, cells[start:start + width]


def references(tree: Tree, cells: tuple[int, ...], count_prop: str) -> Iterator[tuple[Node, tuple[int, ...]]]:
    """A list of phandles, each followed by as many cells as its target's `count_prop` says; ends at the first that is broken."""
    at = 0
    while at < len(cells):
        if cells[at] == 0:                        # an empty slot
            at += 1
            continue
        target = tree.by_phandle.get(cells[at])
        if target is None:
            return
        width = target.cell(count_prop, 0)
        if at + 1 + width > len(cells):
            return
        yield target, cells[at + 1:at + 1 + width]
        at += 1 + width


def _resolve(tree: Tree, gic: Node, controller: Node, unit: tuple[int, ...], spec: tuple[int, ...], depth: int) -> Optional[Interrupt]:
    if controller is gic:
        return decode_line(spec) if controller.is_a(*IOAPIC) else decode(spec)
    if depth == 0:
        return None
    if "interrupt-map" in controller:
        return _through_map(tree, gic, controller, unit, spec, depth)
    above = _above(tree, controller)
    if above is None:
        return None
    if controller.is_a(*TRANSPARENT):
        return _resolve(tree, gic, above, unit, spec, depth - 1)
    if "qcom,pdc-ranges" in controller:
        return _through_pdc(tree, gic, controller, above, unit, spec, depth)
    return None


def _above(tree: Tree, controller: Node) -> Optional[Node]:
    above = parent_of(tree, controller)
    return above if above is not controller else None


def _through_map(tree: Tree, gic: Node, nexus: Node, unit: tuple[int, ...], spec: tuple[int, ...], depth: int) -> Optional[Interrupt]:
    unit_width, spec_width = nexus.cell("#address-cells", 0), nexus.cell("#interrupt-cells", 1)
    key = (unit + (0,) * unit_width)[:unit_width] + spec
    mask = nexus.cells("interrupt-map-mask") or (0xffffffff,) * len(key)
    wanted = tuple(a & b for a, b in zip(key, mask))
    for row, target, rest in map_rows(tree, nexus, unit_width + spec_width):
        if tuple(a & b for a, b in zip(row, mask)) == wanted:
            return _resolve(tree, gic, target, (), rest, depth - 1)
    return None


def map_rows(tree: Tree, nexus: Node, key_width: int) -> Iterator[tuple[tuple[int, ...], Node, tuple[int, ...]]]:
    """Rows of an interrupt-map: child's unit address and specifier, parent, parent's specifier."""
    cells, at = nexus.cells("interrupt-map"), 0
    while at + key_width < len(cells):
        target = tree.by_phandle.get(cells[at + key_width])
        if target is None:
            return
        unit, width = target.cell("#address-cells", 0), target.cell("#interrupt-cells", 0)
        start = at + key_width + 1 + unit
        if start + width > len(cells):
            return
        yield cells[at:at + key_width], target, cells[start:start + width]
        at = start + width


def of_map(tree: Tree, gic: Node, nexus: Node) -> tuple[Interrupt, ...]:
    """Every GIC interrupt that a nexus (a PCI host, say) hands on for what is behind it."""
    key = nexus.cell("#address-cells", 0) + nexus.cell("#interrupt-cells", 1)
    found = (_resolve(tree, gic, target, (), rest, DEPTH) for _, target, rest in map_rows(tree, nexus, key))
    return tuple(dict.fromkeys(i for i in found if i is not None))


def _through_pdc(tree: Tree, gic: Node, pdc: Node, above: Node, unit: tuple[int, ...], spec: tuple[int, ...],
                 depth: int) -> Optional[Interrupt]:
    """Binding interrupt-controller/qcom,pdc: rows of first pin, first SPI, count."""
    if len(spec) < 2:
        return None
    for pin, spi, count in split(pdc.cells("qcom,pdc-ranges"), (1, 1, 1)):
        if pin <= spec[0] < pin + count:
            return _resolve(tree, gic, above, unit, (0, spi + spec[0] - pin, spec[1]), depth - 1)
    return None


def decode(spec: tuple[int, ...]) -> Optional[Interrupt]:
    """A GIC specifier: kind, number, flags (bindings interrupt-controller/arm,gic and arm,gic-v3).

    A shared interrupt beyond the GIC's range is kept as it is, so that IRQ-RANGE can name it.
    """
    if len(spec) < 3:
        return None
    kind, number, flags = spec[0], spec[1], spec[2] & 0xf
    first, count = {0: (32, 1 << 32), 1: (16, 16), 2: (4096, 1024), 3: (1056, 64)}.get(kind, (0, 0))
    return Interrupt(first + number, flags) if number < count else None


def decode_line(spec: tuple[int, ...]) -> Optional[Interrupt]:
    """A specifier of the I/O APIC: line, flags."""
    return Interrupt(spec[0], spec[1] & 0xf) if len(spec) >= 2 else None
