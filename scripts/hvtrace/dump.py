# SPDX-License-Identifier: Apache-2.0
"""A dump of the symbol `trace` (src/include/hv/trace.h) as events.  Little-endian, as both architectures are."""
from __future__ import annotations

import struct
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from hvgen.diag import Failed

MAGIC = 0x4543415254485642                 # TRACE_MAGIC
VERSION = 1
CPUS, POOLS = 64, 4                        # LAYOUT_MAX_CPUS, LAYOUT_MAX_POOLS
HEAD = struct.Struct(f"<QIIQQ{POOLS}Q")
RING = struct.Struct("<QQQ")
EVENT = struct.Struct("<QQ")
EVENTS_AT = HEAD.size + (CPUS + POOLS) * RING.size

SWITCH, SPENT, REPLENISH, WAKE, SLEEP, INTERRUPT = range(1, 7)
KINDS = {SWITCH: "switch", SPENT: "budget spent", REPLENISH: "replenish", WAKE: "wake", SLEEP: "sleep", INTERRUPT: "interrupt"}
EXTRA = 0x10000                            # TRACE_EXTRA


@dataclass(frozen=True)
class Event:
    """cpu: entry in layout.cpus of a vcpu, or of a core when it idles; value: by kind, as trace.h says."""
    time: int
    kind: int
    cpu: int
    value: int


@dataclass(frozen=True)
class Ring:
    """Of a core of a pool, or of a pool, by its number."""
    of_pool: bool
    number: int
    events: tuple[Event, ...]
    lost: int                              # overwritten by later ones


@dataclass(frozen=True)
class Dump:
    hz: int
    begin: tuple[int, ...]                 # of each pool
    rings: tuple[Ring, ...]


@dataclass(frozen=True)
class Place:
    """Where the rings are, and of which image."""
    address: int
    size: int
    checksum: int


def place(elf_path: str) -> Place:
    """Out of bulkhead.elf."""
    with open(elf_path, "rb") as file:
        try:
            elf = ELFFile(file)
            table = elf.get_section_by_name(".symtab")
            found = {name: table.get_symbol_by_name(name) for name in ("trace", "layout_checksum")} if table else {}
        except ELFError as error:
            raise Failed(f"{elf_path}: not an ELF file: {error}") from error
        if not found.get("trace"):
            raise Failed(f"{elf_path} was built without CONFIG_TRACE (write CONFIG_TRACE=y into the configuration's defconfig)")
        symbol, check = found["trace"][0], found["layout_checksum"][0]["st_value"]
        for segment in elf.iter_segments():
            offset = check - segment["p_vaddr"]
            if segment["p_type"] == "PT_LOAD" and 0 <= offset <= segment["p_filesz"] - 8:
                return Place(symbol["st_value"], symbol["st_size"], struct.unpack_from("<Q", segment.data(), offset)[0])
    raise Failed(f"{elf_path}: its checksum stands in no segment")


def read(data: bytes, where: Place) -> Dump:
    """The dump of `where.size` bytes from `where.address` on; it may be longer."""
    if len(data) < EVENTS_AT:
        raise Failed(f"the dump has {len(data)} bytes; {where.size} are expected")
    magic, version, count, hz, checksum, *begin = HEAD.unpack_from(data)
    if magic != MAGIC:
        raise Failed(f"this is no trace: it must begin at {where.address:#x}, after the hypervisor has booted")
    if version != VERSION or count != CPUS + POOLS:
        raise Failed(f"a trace of version {version}; this program reads {VERSION}")
    if checksum != where.checksum:
        raise Failed("the dump is of another image than the ELF file: their checksums differ")
    if not hz:
        raise Failed("the trace names no frequency")
    rings = [_ring(data, where, number) for number in range(count)]
    return Dump(hz, tuple(begin), tuple(ring for ring in rings if ring is not None))


def _ring(data: bytes, where: Place, number: int) -> Ring | None:
    count, mask, pointer = RING.unpack_from(data, HEAD.size + number * RING.size)
    if not pointer:
        return None
    length, start = mask + 1, pointer - where.address
    if length & mask or not EVENTS_AT <= start or start + length * EVENT.size > len(data):
        raise Failed(f"ring {number} of the trace is damaged, or the dump is too short: {len(data)} of {where.size} bytes")
    # The oldest place of a full ring may be half overwritten.
    kept = count if count < length else length - 1
    events = []
    for index in range(count - kept, count):
        time, what = EVENT.unpack_from(data, start + (index & mask) * EVENT.size)
        events.append(Event(time, what & 0xff, what >> 16 & 0xffff, what >> 32))
    return Ring(number >= CPUS, number % CPUS, tuple(events), count - kept)


def write(dump: Dump, where: Place, length: int) -> bytes:
    """The bytes that `read` takes: rings of `length` events each.  For tests."""
    out = bytearray(where.size)
    HEAD.pack_into(out, 0, MAGIC, VERSION, CPUS + POOLS, dump.hz, where.checksum, *dump.begin)
    at = EVENTS_AT
    for ring in dump.rings:
        number = CPUS + ring.number if ring.of_pool else ring.number
        RING.pack_into(out, HEAD.size + number * RING.size, ring.lost + len(ring.events), length - 1, where.address + at)
        for index, event in enumerate(ring.events, ring.lost):
            EVENT.pack_into(out, at + (index & (length - 1)) * EVENT.size, event.time,
                            event.value << 32 | event.cpu << 16 | event.kind)
        at += length * EVENT.size
    return bytes(out)
