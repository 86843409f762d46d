# SPDX-License-Identifier: Apache-2.0
"""Inside the memory of a guest on x86: where its image and initrd lie.  The boot block's place is fixed."""
from __future__ import annotations

from .diag import hex_range, size_text
from .guestmem import Layout, NoRoom
from .images import Image, Piece
from .model import ImageSpec, Region
from .pc import BOOT_BLOCK, KEPT_IN_GUEST
from .place import KIB, PAGE, align_up, overlap


def lay_out(spec: ImageSpec, image: Image, ram: Region) -> Layout:
    """`ram` is the guest's memory below 2 GiB, which begins at 0."""
    if image.kind == "raw":
        return _raw(spec, image.pieces[0], ram)
    if image.kind == "elf":
        return _elf(image, ram)
    return _linux(image, ram)


def _raw(spec: ImageSpec, piece: Piece, ram: Region) -> Layout:
    place = Region(ram.base + spec.offset, piece.size)
    _check(place, ram, f"'{spec.file}' ({piece.size} bytes) at offset {spec.offset:#x}", "IMG-SIZE")
    return Layout(((piece, place.base),), place.base, BOOT_BLOCK.base)


def _elf(image: Image, ram: Region) -> Layout:
    for piece in image.pieces:
        _check(Region(piece.address, piece.size), ram, piece.what, "IMG-OUTSIDE")
    return Layout(tuple((p, p.address) for p in image.pieces), image.entry, BOOT_BLOCK.base)


def _linux(image: Image, ram: Region) -> Layout:
    """The kernel where it is linked to run; the initrd behind all that it occupies once it runs."""
    kernel = image.pieces[0]
    _check(Region(kernel.address, image.memory_size), ram, "the kernel", "IMG-SIZE")
    pieces = [(kernel, kernel.address)]
    initrd = None
    if len(image.pieces) > 1:
        initrd = Region(align_up(kernel.address + image.memory_size, PAGE), image.pieces[1].size)
        _check(initrd, ram, "kernel and initrd", "IMG-SIZE")
        pieces.append((image.pieces[1], initrd.base))
    return Layout(tuple(pieces), image.entry, BOOT_BLOCK.base, initrd)


def _check(place: Region, ram: Region, what: str, rule: str) -> None:
    if place.end > ram.end and rule == "IMG-OUTSIDE":
        raise NoRoom(rule, f"{what} is linked for {hex_range(place.base, place.size)}, "
                           f"the partition's memory is {hex_range(ram.base, ram.size)}")
    if place.end > ram.end:
        raise NoRoom(rule, f"{what}: {size_text(align_up(place.end - ram.base, 64 * KIB))} of memory are needed, "
                           f"there are {size_text(ram.size)}")
    if overlap(place, KEPT_IN_GUEST):
        raise NoRoom("IMG-BOOT", f"{what} covers {hex_range(KEPT_IN_GUEST.base, KEPT_IN_GUEST.size)}, where the "
                                 "partition's ACPI tables and boot information lie")
