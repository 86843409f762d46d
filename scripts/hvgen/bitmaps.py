# SPDX-License-Identifier: Apache-2.0
"""Permission bitmaps of x86: which I/O ports and model-specific registers a guest reaches without an exit.

A set bit is an exit, in both vendors' formats; everything is set but what is listed.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Iterator, Literal

from . import msrs
from .model import Plan, Region
from .tables import ident

Vendor = Literal["", "svm", "vmx"]

PORTS = 1 << 16
PORT_BYTES = PORTS // 8                # APM 2 15.10.1; SDM 3 25.6.4: bitmaps A and B, one behind the other
SVM_PORT_BYTES = PORT_BYTES + 0x1000   # the third page is read for accesses that go on beyond port 0xffff
MSR_NAMES = {False: "msr_bitmap", True: "msr_bitmap_shared"}
BANK = 0x2000                          # registers of one range of numbers


@dataclass(frozen=True)
class Bitmap:
    name: str                          # of its C array
    data: bytes
    what: str
    notes: tuple[tuple[int, str], ...]     # for the comments: first byte, who


@dataclass(frozen=True)
class Bitmaps:
    arrays: tuple[Bitmap, ...]
    io: tuple[str, ...]                # by partition index
    msr: tuple[str, ...]


def io_bitmap(vendor: Vendor, ports: Iterable[Region]) -> bytes:
    out = bytearray(b"\xff" * (SVM_PORT_BYTES if vendor == "svm" else PORT_BYTES))
    for region in ports:
        if not 0 <= region.base < region.end <= PORTS:
            raise ValueError(f"I/O ports {region.base:#x} to {region.end:#x}")
        for port in range(region.base, region.end):
            out[port >> 3] &= ~(1 << (port & 7)) & 0xff
    return bytes(out)


@dataclass(frozen=True)
class _Bank:
    first: int                         # number of the register of its first bits
    read: int                          # byte of the bitmap
    write: int
    step: int                          # bits from one register to the next


def _banks(vendor: Vendor) -> tuple[_Bank, ...]:
    if vendor == "svm":                # APM 2 15.11: two bits each, read in the lower one; 8 KiB
        return tuple(_Bank(first, at, at, 2) for first, at in ((0, 0), (0xc0000000, 0x800), (0xc0010000, 0x1000)))
    return (_Bank(0, 0, 0x800, 1), _Bank(0xc0000000, 0x400, 0xc00, 1))     # SDM 3 25.6.9; 4 KiB


def _bits(vendor: Vendor, write: bool, shared: bool) -> Iterator[tuple[int, int]]:
    """(byte, bit) of every access that passes. What no bank holds exits always."""
    for first, last in msrs.passing(not write, shared):
        for number in range(first, last + 1):
            bank = next((b for b in _banks(vendor) if b.first <= number < b.first + BANK), None)
            if bank is None:
                raise ValueError(f"MSR {number:#x} cannot pass: no bitmap has a bit for it")
            at = (bank.write if write else bank.read) * 8 + (number - bank.first) * bank.step
            at += write and bank.step == 2
            yield at >> 3, at & 7


def msr_bitmap(vendor: Vendor, shared: bool = False) -> bytes:
    """shared: of partitions in pools, whose local APICs are emulated."""
    out = bytearray(b"\xff" * (0x2000 if vendor == "svm" else 0x1000))
    for write in (False, True):
        for byte, bit in _bits(vendor, write, shared):
            out[byte] &= ~(1 << bit) & 0xff
    return bytes(out)


def _msr_notes(vendor: Vendor, shared: bool) -> Iterator[tuple[int, str]]:
    for msr in (m for m in msrs.MSRS if m.shared or not shared):
        for bank in _banks(vendor):
            if bank.first <= msr.first < bank.first + BANK:
                offset = (msr.first - bank.first) * bank.step // 8
                both = msr.read == msr.write == "pass"
                if msr.read == "pass":
                    yield bank.read + offset, msr.name if both and bank.step == 2 else f"read {msr.name}"
                if msr.write == "pass" and not (both and bank.step == 2):
                    yield bank.write + offset, f"write {msr.name}"


def make_bitmaps(plan: Plan) -> Bitmaps:
    """Partitions with equal bitmaps share one array, which is named after the first of them."""
    vendor = plan.vmm
    arrays = list(_msr_bitmaps(plan))
    users: dict[bytes, list[str]] = {}
    datas: list[bytes] = []
    notes: dict[bytes, tuple[tuple[int, str], ...]] = {}
    for part in plan.partitions:
        data = io_bitmap(vendor, part.ports)
        users.setdefault(data, []).append(part.name)
        datas.append(data)
        named = [(r.base >> 3, device.path) for device, _ in part.devices for r in device.ports]
        notes.setdefault(data, tuple(sorted(named)))
    for data, names in users.items():
        arrays.append(Bitmap(f"io_bitmap_{ident(names[0])}", data, f"I/O ports: {', '.join(names)}", notes[data]))
    io = tuple(f"io_bitmap_{ident(users[data][0])}" for data in datas)
    return Bitmaps(tuple(arrays), io, tuple(MSR_NAMES[part.spec.use is not None] for part in plan.partitions))


def _msr_bitmaps(plan: Plan) -> Iterator[Bitmap]:
    """One for partitions with cores of their own, one for those in pools, as far as there are such."""
    for shared in sorted({part.spec.use is not None for part in plan.partitions}):
        who = "partitions in pools" if shared else "partitions with cores of their own" if plan.pools else "all partitions"
        yield Bitmap(MSR_NAMES[shared], msr_bitmap(plan.vmm, shared), f"Model-specific registers, {who}",
                     tuple(sorted(_msr_notes(plan.vmm, shared))))


def runs(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(first byte, last byte, value) of equal neighbours."""
    start = 0
    for at in range(1, len(data) + 1):
        if at == len(data) or data[at] != data[start]:
            yield start, at - 1, data[start]
            start = at
