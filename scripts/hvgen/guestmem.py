# SPDX-License-Identifier: Apache-2.0
"""Inside a guest's memory: where its image, devicetree and initrd lie (all addresses are the guest's)."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from .diag import hex_range, size_text
from .images import Image, Piece
from .model import ImageSpec, Region
from .place import KIB, MIB, align_up

DTB_ROOM = 64 * KIB


@dataclass(frozen=True)
class Layout:
    pieces: tuple[tuple[Piece, int], ...]   # and the guest address of each
    entry: int
    dtb: int
    initrd: Optional[Region] = None


class NoRoom(Exception):
    """The image does not fit.  `rule` is IMG-SIZE or IMG-OUTSIDE."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def lay_out(spec: ImageSpec, image: Image, ram: Region) -> Layout:
    """`ram` is the first contiguous range of the guest's memory."""
    if image.kind == "linux":
        return _linux(image, ram)
    if image.kind == "elf":
        return _elf(image, ram)
    return _raw(spec, image, ram)


def _fits(end: int, ram: Region, what: str) -> None:
    if end > ram.end:
        need = size_text(align_up(end - ram.base, 64 * KIB))
        raise NoRoom("IMG-SIZE", f"{what}: {need} of memory are needed, there are {size_text(ram.size)}")


def _front(ram: Region) -> int:
    """Where the devicetree goes if it comes first; not at 0, which Linux and others take for "there is none"."""
    return ram.base or DTB_ROOM


def _raw(spec: ImageSpec, image: Image, ram: Region) -> Layout:
    piece = image.pieces[0]
    base = ram.base + spec.offset
    end = base + piece.size
    first = base >= _front(ram) + DTB_ROOM
    dtb = _front(ram) if first else align_up(end, DTB_ROOM)
    place = f"'{spec.file}' ({piece.size} bytes) at offset {spec.offset:#x}"
    _fits(end if first else dtb + DTB_ROOM, ram, f"{place}, with {size_text(DTB_ROOM)} for the devicetree")
    return Layout(((piece, base),), base, dtb)


def _linux(image: Image, ram: Region) -> Layout:
    kernel = align_up(_front(ram) + DTB_ROOM, 2 * MIB) + image.text_offset
    end = kernel + image.memory_size
    pieces = [(image.pieces[0], kernel)]
    initrd = None
    if len(image.pieces) > 1:
        initrd = Region(align_up(end, DTB_ROOM), image.pieces[1].size)
        pieces.append((image.pieces[1], initrd.base))
        end = initrd.end
    _fits(end, ram, "kernel, initrd and devicetree" if initrd else "kernel and devicetree")
    return Layout(tuple(pieces), kernel, _front(ram), initrd)


def _elf(image: Image, ram: Region) -> Layout:
    for piece in image.pieces:
        if piece.address < ram.base or piece.address + piece.size > ram.end:
            raise NoRoom("IMG-OUTSIDE", f"{piece.what} is linked for {hex_range(piece.address, piece.size)}, "
                                        f"the partition's memory is {hex_range(ram.base, ram.size)}")
    low = min(p.address for p in image.pieces)
    high = max(p.address + p.size for p in image.pieces)
    dtb = _front(ram) if low >= _front(ram) + DTB_ROOM else align_up(high, DTB_ROOM)
    _fits(max(high, dtb + DTB_ROOM), ram, f"segments and {size_text(DTB_ROOM)} for the devicetree")
    return Layout(tuple((p, p.address) for p in image.pieces), image.entry, dtb)
