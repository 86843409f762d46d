# SPDX-License-Identifier: Apache-2.0
"""A translation table walker for the tests, written from the manual and not from the generator.

DDI 0487: VMSAv8-64 with the 4 KiB granule, D8.2 (walks), D8.3 (descriptors).  `read` gives the 64-bit
word at a physical address.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator

OUTPUT = 0x0000_FFFF_FFFF_F000
Read = Callable[[int], int]


@dataclass(frozen=True)
class Leaf:
    va: int
    pa: int
    size: int
    attributes: int


def field(value: int, high: int, low: int) -> int:
    return value >> low & (1 << high - low + 1) - 1


@dataclass(frozen=True)
class Regime:
    """Where a walk begins."""
    root: int
    level: int
    bits: int

    @property
    def entries(self) -> int:
        return 1 << self.bits - (12 + 9 * (3 - self.level))


def stage2(vttbr: int, vtcr: int) -> Regime:
    assert field(vtcr, 31, 31) == 1, "VTCR_EL2 bit 31 is RES1"
    assert field(vtcr, 15, 14) == 0, "4 KiB granule"
    assert field(vtcr, 13, 8) == 0b110101, "inner shareable, write-back walks"
    bits = 64 - field(vtcr, 5, 0)
    level = {0: 2, 1: 1, 2: 0}[field(vtcr, 7, 6)]
    low, high = {1: (31, 43), 0: (40, 48)}[level]          # D8-5845: sizes that may begin at a level
    assert low <= bits <= high
    regime = Regime(field(vttbr, 47, 1) << 1, level, bits)
    assert regime.root % max(64, regime.entries * 8) == 0, "concatenated roots are aligned to their size"
    return regime


def stage1(ttbr: int, tcr: int) -> Regime:
    assert field(tcr, 31, 31) == 1 and field(tcr, 23, 23) == 1, "TCR_EL2 bits 31, 23 are RES1"
    assert field(tcr, 15, 14) == 0 and field(tcr, 13, 8) == 0b110101
    bits = 64 - field(tcr, 5, 0)
    level = 0 if bits > 39 else 1
    regime = Regime(field(ttbr, 47, 1) << 1, level, bits)
    assert regime.root % max(64, regime.entries * 8) == 0
    return regime


def leaves(regime: Regime, read: Read) -> Iterator[Leaf]:
    """Every address that translates, in ascending order."""
    yield from _table(regime.root, regime.level, regime.entries, 0, read)


def _table(table: int, level: int, count: int, va: int, read: Read) -> Iterator[Leaf]:
    span = 1 << 12 + 9 * (3 - level)
    for index in range(count):
        word = read(table + 8 * index)
        at = va + index * span
        if not word & 1:
            continue
        if level == 3:
            assert word & 2, "a level 3 descriptor of type block is reserved"
            yield Leaf(at, word & OUTPUT, span, word & ~OUTPUT)
        elif word & 2:
            assert word & ~OUTPUT == 3, "no attributes in table descriptors"
            yield from _table(word & OUTPUT, level + 1, 512, at, read)
        else:
            assert level in (1, 2), "no blocks at level 0"
            assert word & OUTPUT & span - 1 == 0, "a block is aligned to its size"
            yield Leaf(at, word & OUTPUT, span, word & ~OUTPUT)


def walk(regime: Regime, address: int, read: Read) -> Leaf | None:
    """One address as the MMU would translate it: the page or block that it lies in."""
    if address >> regime.bits:
        return None
    table, level = regime.root, regime.level
    while True:
        shift = 12 + 9 * (3 - level)
        index = address >> shift if level == regime.level else address >> shift & 511
        word = read(table + 8 * index)
        if not word & 1:
            return None
        if level == 3 or not word & 2:
            return Leaf(address >> shift << shift, word & OUTPUT, 1 << shift, word & ~OUTPUT)
        table, level = word & OUTPUT, level + 1


def merged(found: list[Leaf]) -> list[Leaf]:
    """Neighbours that continue each other on both sides, with equal attributes, as one."""
    out: list[Leaf] = []
    for leaf in sorted(found, key=lambda leaf: leaf.va):
        last = out[-1] if out else None
        if last and last.va + last.size == leaf.va and last.pa + last.size == leaf.pa \
                and last.attributes & ~3 == leaf.attributes & ~3:
            out[-1] = Leaf(last.va, last.pa, last.size + leaf.size, last.attributes)
        else:
            out.append(leaf)
    return out
