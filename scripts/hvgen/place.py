# SPDX-License-Identifier: Apache-2.0
"""Finding room in physical memory.  Pure arithmetic on regions; its cost does not depend on sizes."""
from __future__ import annotations

from typing import Iterable, Optional

from .model import Region

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PAGE = 4 * KIB
BLOCKS = (GIB, 2 * MIB, PAGE)          # what one stage-2 entry can map


def align_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def align_down(value: int, unit: int) -> int:
    return value // unit * unit


def pages(region: Region) -> Region:
    """The pages that a region touches."""
    base = align_down(region.base, PAGE)
    return Region(base, align_up(region.end, PAGE) - base)


def overlap(a: Region, b: Region) -> bool:
    return a.size > 0 and b.size > 0 and a.base < b.end and b.base < a.end


def inside(inner: Region, banks: Iterable[Region]) -> bool:
    """Whether sorted, merged banks cover all of `inner`."""
    return any(bank.base <= inner.base and inner.end <= bank.end for bank in banks)


def merge(regions: Iterable[Region]) -> tuple[Region, ...]:
    out: list[Region] = []
    for region in sorted(r for r in regions if r.size):
        if out and region.base <= out[-1].end:
            out[-1] = Region(out[-1].base, max(out[-1].end, region.end) - out[-1].base)
        else:
            out.append(region)
    return tuple(out)


def subtract(regions: Iterable[Region], holes: Iterable[Region]) -> tuple[Region, ...]:
    """What is left of sorted regions without the holes."""
    left = list(regions)
    for hole in holes:
        left = [piece for region in left for piece in _without(region, hole)]
    return tuple(left)


def _without(region: Region, hole: Region) -> tuple[Region, ...]:
    if not overlap(region, hole):
        return (region,)
    parts = (Region(region.base, hole.base - region.base), Region(hole.end, region.end - hole.end))
    return tuple(p for p in parts if p.size > 0)


def intersect(regions: Iterable[Region], window: Region) -> tuple[Region, ...]:
    """What of the regions lies inside the window."""
    cut = ((max(r.base, window.base), min(r.end, window.end)) for r in regions)
    return tuple(Region(base, end - base) for base, end in cut if end > base)


def whole_pages(regions: Iterable[Region]) -> tuple[Region, ...]:
    """The complete pages inside the regions."""
    shrunk = ((align_up(r.base, PAGE), align_down(r.end, PAGE)) for r in regions)
    return tuple(Region(base, end - base) for base, end in shrunk if end > base)


def best_block(ipa: int, size: int) -> int:
    """The largest block of which [ipa, ipa + size) contains a whole one."""
    return next(b for b in BLOCKS if align_up(ipa, b) + b <= ipa + size or b == PAGE)


def find(free: Iterable[Region], size: int, congruent: int, block: int) -> Optional[int]:
    """An address a in the smallest hole that fits, with a = congruent (mod block)."""
    best: Optional[tuple[int, int]] = None
    for hole in free:
        address = hole.base + (congruent - hole.base) % block
        if address + size <= hole.end and (best is None or hole.size < best[0]):
            best = (hole.size, address)
    return best[1] if best else None


def find_blocks(free: Iterable[Region], ipa: int, size: int, alignment: int) -> Optional[tuple[int, int]]:
    """Room for a guest range: (address, block size by which ipa and address agree), blocks as large as possible."""
    holes = tuple(free)
    for block in BLOCKS:
        if block > best_block(ipa, size) or ipa % min(block, alignment):
            continue
        address = find(holes, size, ipa if block >= alignment else 0, max(block, alignment))
        if address is not None and (address - ipa) % block == 0:
            return address, block
    return None


def table_pages(ipa: int, pa: int, size: int) -> int:
    """At most this many 4 KiB tables (level 1 and below) map [ipa, ipa + size) to pa."""
    if (ipa - pa) % GIB == 0:
        middle = _windows_cut(ipa, size, GIB)
    else:
        middle = _windows(ipa, size, GIB)
    if (ipa - pa) % (2 * MIB) == 0:
        last = _windows_cut(ipa, size, 2 * MIB)
    else:
        last = _windows(ipa, size, 2 * MIB)
    return _windows(ipa, size, 512 * GIB) + middle + last


def _windows(base: int, size: int, unit: int) -> int:
    return (align_up(base + size, unit) - align_down(base, unit)) // unit


def _windows_cut(base: int, size: int, unit: int) -> int:
    """How many windows of `unit` the range covers only in part: two at most."""
    cut = {align_down(edge, unit) for edge in (base, base + size) if edge % unit}
    return len(cut)
