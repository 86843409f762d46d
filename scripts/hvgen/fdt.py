# SPDX-License-Identifier: Apache-2.0
"""A devicetree as Python objects, read once from a flattened one (Devicetree Specification 0.4, chapter 5).

Read here and not with libfdt: Debian's pylibfdt 1.6.1 crashes on damaged blobs, and after some thousand
questions for properties that are absent.  Here a damaged blob is an FdtError.
"""
from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Iterator, Optional

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
        own = self.compatible
        return any(name in own for name in names)

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


MAGIC = 0xd00dfeed
HEADER = struct.Struct(">10I")
CELL = struct.Struct(">I")
PROPERTY = struct.Struct(">II")
RESERVE = struct.Struct(">QQ")
BEGIN_NODE, END_NODE, PROP, NOP, END = 1, 2, 3, 4, 9
MAX_DEPTH = 64


def parse(blob: bytes) -> Tree:
    """Read a flattened devicetree."""
    try:
        magic, total, structs, strings, reserve, version, compatible, _, _, _ = HEADER.unpack_from(blob)
        if magic != MAGIC:
            raise FdtError("it does not begin with d00dfeed")
        if version < 16 or compatible > 17:
            raise FdtError(f"it has format version {version}, 16 or 17 is needed")
        if total > len(blob):
            raise FdtError(f"it says that it has {total} bytes, the file has {len(blob)}")
        root = _Walk(blob[:total], structs, strings).run()
        reserved = _memreserve(blob[:total], reserve)
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise FdtError(f"it is damaged ({error})") from error
    nodes = {node.path: node for node in _all(root)}
    by_phandle = {node.phandle: node for node in nodes.values() if node.phandle}
    return Tree(root, nodes, by_phandle, reserved)


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _all(child)


def _memreserve(blob: bytes, offset: int) -> tuple[Region, ...]:
    """Ends with an entry of zeros."""
    found = []
    base, size = RESERVE.unpack_from(blob, offset)
    while base or size:
        if size:
            found.append(Region(base, size))
        offset += RESERVE.size
        base, size = RESERVE.unpack_from(blob, offset)
    return tuple(found)


class _Walk:
    """The structure block, token by token."""

    def __init__(self, blob: bytes, structs: int, strings: int) -> None:
        self.blob = blob
        self.at = structs
        self.strings = strings
        self.names: dict[int, str] = {}

    def run(self) -> Node:
        chain: list[Node] = []
        root: Optional[Node] = None
        while True:
            token, = CELL.unpack_from(self.blob, self.at)
            self.at += CELL.size
            if token == BEGIN_NODE:
                node = self._begin(chain[-1] if chain else None)
                if root is not None and not chain or len(chain) == MAX_DEPTH:
                    raise ValueError(f"node {node.path} is out of place")
                root = root or node
                chain.append(node)
            elif token == PROP and chain:
                self._property(chain[-1])
            elif token == END_NODE and chain:
                chain.pop()
            elif token == END and root is not None and not chain:
                return root
            elif token != NOP:
                raise ValueError(f"token {token} at {self.at - CELL.size:#x}")

    def _begin(self, parent: Optional[Node]) -> Node:
        end = self.blob.index(b"\0", self.at)
        name = self.blob[self.at:end].decode()
        self.at = (end + 4) & ~3
        if parent is None:
            return Node(name, "/", None)
        node = Node(name, f"{parent.path}{'' if parent.parent is None else '/'}{name}", parent)
        parent.children.append(node)
        return node

    def _property(self, node: Node) -> None:
        size, name = PROPERTY.unpack_from(self.blob, self.at)
        start = self.at + PROPERTY.size
        if start + size > len(self.blob):
            raise ValueError(f"a property of {node.path} does not end")
        node.props[self._name(name)] = self.blob[start:start + size]
        self.at = (start + size + 3) & ~3

    def _name(self, offset: int) -> str:
        if offset not in self.names:
            start = self.strings + offset
            self.names[offset] = self.blob[start:self.blob.index(b"\0", start)].decode()
        return self.names[offset]
