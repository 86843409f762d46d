# SPDX-License-Identifier: Apache-2.0
"""A devicetree as Python objects, read once from a flattened one.

The blob is walked with libfdt by iterating only: a property that is absent is never asked for
(Debian's pylibfdt 1.6.1 loses a reference to None on each miss and ends in a crash after some thousand).
"""
from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Iterator, Optional

import libfdt

from .model import Region


class FdtError(Exception):
    """The blob is not a devicetree, or is damaged."""


@dataclass(eq=False)
class Node:
    """One node. Values are raw bytes; the methods read them as the Devicetree Specification does."""
    name: str
    path: str
    parent: Optional["Node"]
    props: dict[str, bytes] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)

    def __contains__(self, prop: str) -> bool:
        return prop in self.props

    def cells(self, prop: str) -> tuple[int, ...]:
        """The property as 32-bit big-endian cells; a tail that is no whole cell is left out."""
        value = self.props.get(prop, b"")
        count = len(value) // 4
        return struct.unpack(f">{count}I", value[:count * 4])

    def cell(self, prop: str, default: int) -> int:
        cells = self.cells(prop)
        return cells[0] if cells else default

    def number(self, prop: str, default: int) -> int:
        """One or two cells as one number."""
        cells = self.cells(prop)
        return join(cells) if cells else default

    def strings(self, prop: str) -> tuple[str, ...]:
        value = self.props.get(prop, b"")
        return tuple(s.decode("utf-8", "replace") for s in value.rstrip(b"\0").split(b"\0")) if value.strip(b"\0") else ()

    def string(self, prop: str, default: str = "") -> str:
        return next(iter(self.strings(prop)), default)

    @property
    def compatible(self) -> tuple[str, ...]:
        return self.strings("compatible")

    def is_a(self, *names: str) -> bool:
        return any(name in self.compatible for name in names)

    @property
    def phandle(self) -> int:
        return self.cell("phandle", self.cell("linux,phandle", 0))

    @property
    def ancestors(self) -> Iterator["Node"]:
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    @property
    def usable(self) -> bool:
        """Its own status says so (DTSpec 2.3.4)."""
        return self.string("status", "okay") in ("okay", "ok")

    @property
    def enabled(self) -> bool:
        """Neither it nor a bus that it sits on is disabled."""
        return self.usable and all(node.usable for node in self.ancestors)

    def inherited_cell(self, prop: str, default: int) -> int:
        """#address-cells and #size-cells. Trees in the field rely on Linux looking upwards for them, so this does too."""
        node: Optional[Node] = self
        while node is not None:
            if prop in node.props:
                return node.cell(prop, default)
            node = node.parent
        return default

    @property
    def address_cells(self) -> int:
        """Of its children's addresses."""
        return self.inherited_cell("#address-cells", 2)

    @property
    def size_cells(self) -> int:
        return self.inherited_cell("#size-cells", 1)


@dataclass(eq=False)
class Tree:
    root: Node
    nodes: dict[str, Node]             # by path, in the blob's order
    by_phandle: dict[int, Node]
    memreserve: tuple[Region, ...]

    def find(self, name: str) -> Optional[Node]:
        """By path or alias; what follows a colon (stdout-path's options) is left out."""
        name = name.split(":")[0]
        if name.startswith("/"):
            return self.nodes.get(name)
        head, _, tail = name.partition("/")
        aliases = self.nodes.get("/aliases")
        path = aliases.string(head) if aliases else ""
        return self.nodes.get(path + (f"/{tail}" if tail else "")) if path else None


def join(cells: tuple[int, ...]) -> int:
    value = 0
    for cell in cells:
        value = value << 32 | cell
    return value


def parse(blob: bytes) -> Tree:
    """Read a flattened devicetree."""
    try:
        fdt = libfdt.FdtRo(blob)
        if fdt.totalsize() > len(blob):
            raise FdtError(f"it says that it has {fdt.totalsize()} bytes, the file has {len(blob)}")
        reserve = _memreserve(blob, fdt.off_mem_rsvmap(), fdt.num_mem_rsv())
        root, nodes = _walk(fdt)
    except (libfdt.FdtException, UnicodeDecodeError, ValueError, struct.error) as error:
        raise FdtError(str(error)) from error
    by_phandle = {node.phandle: node for node in nodes.values() if node.phandle}
    return Tree(root, nodes, by_phandle, reserve)


def _memreserve(blob: bytes, offset: int, count: int) -> tuple[Region, ...]:
    entries = (struct.unpack_from(">QQ", blob, offset + 16 * i) for i in range(count))
    return tuple(Region(base, size) for base, size in entries if size)


def _walk(fdt: libfdt.FdtRo) -> tuple[Node, dict[str, Node]]:
    root = Node("", "/", None)
    nodes: dict[str, Node] = {}
    chain = [root]
    offset, depth = 0, 0
    while True:
        if depth:
            name = fdt.get_name(offset)
            parent = chain[depth - 1]
            node = Node(name, f"{parent.path.rstrip('/')}/{name}", parent)
            parent.children.append(node)
            del chain[depth:]
            chain.append(node)
        node = chain[depth]
        nodes[node.path] = node
        _read_props(fdt, offset, node)
        offset, depth = fdt.next_node(offset, depth, (libfdt.NOTFOUND,))
        if offset < 0 or depth < 0:
            return root, nodes


def _read_props(fdt: libfdt.FdtRo, node_offset: int, node: Node) -> None:
    offset = fdt.first_property_offset(node_offset, (libfdt.NOTFOUND,))
    while offset >= 0:
        prop = fdt.get_property_by_offset(offset)
        node.props[prop.name] = bytes(prop)
        offset = fdt.next_property_offset(offset, (libfdt.NOTFOUND,))
