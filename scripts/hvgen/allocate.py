# SPDX-License-Identifier: Apache-2.0
"""Which RAM the hypervisor and each partition get.  Part of the plan, and as pure."""
from __future__ import annotations

from typing import Iterable, Mapping as Dict, Optional

from . import channels, pc, pools
from .diag import Diagnostic, Refused, hex_range, size_text
from .guestmem import DTB_ROOM
from .images import Image
from .model import Hardware, Mapping, Partition, Region, System
from .place import (KIB, MIB, PAGE, align_down, align_up, best_block, find_blocks, intersect, merge, overlap, pages, subtract,
                    table_pages, whole_pages)

HV_CORE = 160 * KIB          # code, data and layout, names of some hundred devices; hv.ld asserts that it is enough
HV_STACK = 8 * KIB           # of each core, with its guard page
HV_UNIT = 64 * KIB
SMALL_BANK = 64 * MIB        # a guest's memory does not begin in a bank smaller than this


def usable(hardware: Hardware) -> tuple[Region, ...]:
    """RAM that firmware has not kept, whole pages."""
    kept = [pages(r) for r, _ in hardware.reserved] + ([pc.FIRMWARE] if hardware.pc else [])
    return whole_pages(subtract(merge(hardware.memory), kept))


def unprotected(part: Partition) -> bool:
    return any(d.dma == "unprotected" for d in part.devices)


def guest_ranges(hardware: Hardware, part: Partition) -> tuple[Region, ...]:
    """Guest addresses of a partition's memory, following the board's own banks unless `guest:` fixes them."""
    size = part.memory.size
    if hardware.pc:
        return pc.guest_ranges(size)
    if part.memory.guest is not None:
        return (Region(part.memory.guest, size),)
    banks = whole_pages(merge(hardware.memory))
    first = next((n for n, b in enumerate(banks) if b.size >= min(size, SMALL_BANK)), 0)
    return _fill(banks[first:], size) or _fill(banks, size) or (Region(banks[0].base, size),)


def first_range(hardware: Hardware, part: Partition) -> Optional[Region]:
    """The guest's first contiguous range, where it is known before placement."""
    if not unprotected(part):
        return merge(guest_ranges(hardware, part))[0]
    return fixed_range(part)


def _fill(banks: Iterable[Region], size: int) -> tuple[Region, ...]:
    out = []
    for bank in banks:
        out.append(Region(bank.base, min(bank.size, size)))
        size -= out[-1].size
        if size == 0:
            return tuple(out)
    return ()


# ---------------------------------------------------------------- the hypervisor's memory

def hv_room(system: System, images: Dict[str, Image], tables: int, own_pages: int = 0) -> int:
    """Bytes for the hypervisor: code, stacks, `tables` page tables, `own_pages` more, pristine guest images."""
    own = HV_CORE + (pools.core_count(system) + pools.slot_count(system)) * HV_STACK + (tables + own_pages) * PAGE
    blobs = sum(align_up(piece.size, 16) for image in images.values() for piece in image.pieces)
    return align_up(own + blobs + DTB_ROOM * len(system.partitions), HV_UNIT)


def hv_place(hardware: Hardware, size: int) -> Optional[Region]:
    """The first 2 MiB boundary with room, but the first 2 MiB of a bank (boot loaders live there) only if need be."""
    free = usable(hardware)
    if hardware.pc:
        free = intersect(free, pc.HV_ROOM)
    heads = [Region(bank.base, align_up(bank.base, 2 * MIB) + 2 * MIB - bank.base) for bank in hardware.memory]
    for holes in (subtract(free, heads), free):
        for hole in holes:
            wanted = Region(align_up(hole.base, 2 * MIB), size)
            if wanted.end <= hole.end:
                return wanted
    return None


def place(hardware: Hardware, system: System,
          images: Dict[str, Image]) -> tuple[Region, list[tuple[Mapping, ...]]]:
    """The hypervisor's region and each partition's RAM; again with more room if the tables turn out larger."""
    tables, more = 0, (_pc_pages(system) if hardware.pc else 0) + channels.tables_needed(system)
    while True:
        size = hv_room(system, images, tables, more)
        hv = hv_place(hardware, size)
        if hv is None:
            raise Refused([_no_room_for_hv(hardware, system, size)])
        memory = _allocate(hardware, system, hv)
        needed = _tables_needed(memory)
        if hv_room(system, images, needed, more) <= size:
            return hv, memory
        tables = max(needed, tables + 1)


def _tables_needed(memory: list[tuple[Mapping, ...]]) -> int:
    """Stage 2 and the loader's map of every partition, with a few for devices and the hypervisor itself."""
    guests = sum(table_pages(m.ipa, m.pa, m.size) + table_pages(m.pa, m.pa, m.size) for ram in memory for m in ram)
    return guests + 16 * (len(memory) + 1)


def _pc_pages(system: System) -> int:
    """x86: control structures of each core and slot; each partition's permission bitmaps and roots; the one main map."""
    cores = pools.core_count(system) + pools.slot_count(system)
    return pc.CORE_PAGES * cores + pc.PARTITION_PAGES * len(system.partitions)


def _no_room_for_hv(hardware: Hardware, system: System, size: int) -> Diagnostic:
    free = intersect(usable(hardware), pc.HV_ROOM) if hardware.pc else usable(hardware)
    where = f"between {size_text(pc.HV_ROOM.base)} and {size_text(pc.HV_ROOM.end)}" if hardware.pc else "in one piece"
    largest = max((r.size for r in free), default=0)
    return Diagnostic("HV-NO-ROOM", system.board_span,
                      f"the hypervisor and its guests' images need {size_text(size)} {where} at a multiple of "
                      f"2 MiB, the largest free range of board '{hardware.name}' {'there ' if hardware.pc else ''}has "
                      f"{size_text(largest)}",
                      fix="smaller images, or fewer reserved ranges in the board folder")


# ---------------------------------------------------------------- memory of the partitions

def _allocate(hardware: Hardware, system: System, hv: Region) -> list[tuple[Mapping, ...]]:
    """RAM of each partition: fixed ones first, then by largest block, then by size."""
    free = subtract(usable(hardware), (hv,))
    refused = fixed_on_hypervisor(system, hv) + too_much_memory(hardware, system, hv)
    if refused:
        raise Refused(refused)
    ram: dict[int, tuple[Mapping, ...]] = {}
    for index in sorted(range(len(system.partitions)), key=lambda i: _order(system.partitions[i], i)):
        part = system.partitions[index]
        got = _take(hardware, part, free)
        if got is None:
            raise Refused([_no_place(part, free)])
        ram[index] = got
        free = subtract(free, (Region(m.pa, m.size) for m in got))
    return [ram[i] for i in range(len(system.partitions))]


def _order(part: Partition, index: int) -> tuple[bool, int, int, int]:
    memory = part.memory
    block = max(best_block(0, memory.size), memory.alignment or PAGE)
    return memory.physical is None, -block, -memory.size, index


def _take(hardware: Hardware, part: Partition, free: tuple[Region, ...]) -> Optional[tuple[Mapping, ...]]:
    """Mappings of one partition's RAM out of the free ranges."""
    memory = part.memory
    if unprotected(part):
        return _take_identical(part, free)
    out: list[Mapping] = []
    offset = 0
    for ipa in guest_ranges(hardware, part):
        if memory.physical is not None:
            got: Optional[tuple[Region, ...]] = (Region(memory.physical + offset, ipa.size),)
        else:
            got = _take_range(ipa, memory.alignment or PAGE, free)
        if got is None:
            return None
        out += _mapped(part, ipa.base, got)
        free = subtract(free, got)
        offset += ipa.size
    return tuple(out)


def _mapped(part: Partition, ipa: int, pieces: Iterable[Region]) -> list[Mapping]:
    out = []
    for piece in pieces:
        out.append(Mapping(ipa, piece.base, piece.size, "ram", "ram", part.memory.span))
        ipa += piece.size
    return out


def _take_identical(part: Partition, free: tuple[Region, ...]) -> Optional[tuple[Mapping, ...]]:
    """Guest address = physical address, because a device does DMA with addresses that its driver computes."""
    memory = part.memory
    if memory.physical is not None:
        got: Optional[tuple[Region, ...]] = (Region(memory.physical, memory.size),)
    else:
        room = find_blocks(free, 0, memory.size, memory.alignment or PAGE)
        got = (Region(room[0], memory.size),) if room else _scatter(None, memory.size, free)
    if got is None:
        return None
    return tuple(Mapping(r.base, r.base, r.size, "ram", "ram", memory.span) for r in sorted(got))


def _take_range(ipa: Region, alignment: int, free: tuple[Region, ...]) -> Optional[tuple[Region, ...]]:
    room = find_blocks(free, ipa.base, ipa.size, alignment)
    if room:
        return (Region(room[0], ipa.size),)
    return _scatter(ipa.base, ipa.size, free) if alignment <= 2 * MIB else None


def _scatter(ipa: Optional[int], size: int, free: tuple[Region, ...]) -> Optional[tuple[Region, ...]]:
    """Several ranges, largest first, cut at 2 MiB so that large pages stay possible."""
    out: list[Region] = []
    for hole in sorted(free, key=lambda r: (-r.size, r.base)):
        start = hole.base + ((ipa or 0) - hole.base) % (2 * MIB)
        room = align_down(hole.end - start, 2 * MIB)
        if room > 0:
            out.append(Region(start, min(room, size)))
            size -= out[-1].size
        if size == 0:
            return tuple(out)
    return None


def fixed_on_hypervisor(system: System, hv: Region) -> list[Diagnostic]:
    out = []
    for part in system.partitions:
        fixed = fixed_range(part)
        if fixed and overlap(fixed, hv):
            out.append(Diagnostic("MEM-HYPERVISOR", part.memory.span,
                                  f"memory {hex_range(fixed.base, fixed.size)} of partition '{part.name}' overlaps the "
                                  f"hypervisor at {hex_range(hv.base, hv.size)}",
                                  fix=f"begin at {align_up(hv.end, 2 * MIB):#x} or later, or leave 'physical:' out"))
    return out


def fixed_range(part: Partition) -> Optional[Region]:
    physical = part.memory.physical
    return None if physical is None else Region(physical, part.memory.size)


def too_much_memory(hardware: Hardware, system: System, hv: Region) -> list[Diagnostic]:
    asked = sum(p.memory.size for p in system.partitions) + channels.room(system)
    there = sum(r.size for r in subtract(usable(hardware), (hv,)))
    if asked <= there:
        return []
    total = sum(r.size for r in hardware.memory)
    _, largest = max([(p.memory.size, p.memory.span) for p in system.partitions]
                     + [(c.size, c.size_span) for c in system.channels], key=lambda asker: asker[0])
    notes = [(p.memory.span, f"partition '{p.name}': {size_text(p.memory.size)}") for p in system.partitions]
    notes += [(c.size_span, f"channel '{c.name}': {size_text(c.size)}") for c in system.channels]
    kept = total - there - hv.size
    who = "the partitions and channels" if system.channels else "the partitions"
    message = (f"{who} ask for {size_text(asked)}, {size_text(there)} are there: {size_text(total)} of RAM, less "
               f"{size_text(hv.size)} for the hypervisor and the guests' images")
    if kept:
        message += f", less {size_text(kept)} kept for firmware"
    return [Diagnostic("MEM-TOO-MUCH", largest, message, tuple(notes),
                       f"take away at least {size_text(align_up(asked - there, MIB))}")]


def _no_place(part: Partition, free: tuple[Region, ...]) -> Diagnostic:
    largest = max(free, key=lambda r: r.size, default=Region(0, 0))
    at = f", the largest is {hex_range(largest.base, largest.size)}" if largest.size else ""
    return Diagnostic("MEM-NO-PLACE", part.memory.span,
                      f"no free range fits the {size_text(part.memory.size)} of partition '{part.name}'{at}",
                      fix="a smaller alignment, or other fixed addresses, leave larger ranges")


def first_piece(ram: tuple[Mapping, ...]) -> Region:
    """The guest's first contiguous range of memory."""
    return merge(Region(m.ipa, m.size) for m in ram)[0]
