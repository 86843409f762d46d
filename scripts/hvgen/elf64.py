# SPDX-License-Identifier: Apache-2.0
"""Sections and symbols of a 64-bit little-endian ELF: what each build asks of core.o and of the linked image.

pyelftools builds an object for each field of each entry, which takes longer than the rest of generating does.
"""
from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Iterator

HEADER = struct.Struct("<16s2HI3QI6H")
SECTION = struct.Struct("<2I4Q2I2Q")
SYMBOL = struct.Struct("<I2BH2Q")
IDENT = b"\x7fELF\x02\x01"
SHT_SYMTAB, SHN_COMMON = 2, 0xfff2


class ElfError(Exception):
    """It is not such a file, or is damaged."""


@dataclass(frozen=True)
class Section:
    name: str
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    align: int


@dataclass(frozen=True)
class Symbol:
    name: str
    value: int                         # of a common symbol its alignment
    size: int
    section: int


def _string(strings: bytes, at: int) -> str:
    end = strings.find(b"\0", at)
    if not 0 <= at <= end:
        raise ElfError(f"there is no name at {at:#x} of its strings")
    return strings[at:end].decode("utf-8", "replace")


def _content(data: bytes, offset: int, size: int) -> bytes:
    if offset + size > len(data):
        raise ElfError(f"{size} bytes at {offset:#x} are beyond its end")
    return data[offset:offset + size]


def sections(data: bytes) -> tuple[Section, ...]:
    """In their order; the first is the null section."""
    if len(data) < HEADER.size or not data.startswith(IDENT):
        raise ElfError("it does not begin as a 64-bit little-endian ELF does")
    header = HEADER.unpack_from(data)
    table, entry, count, names = header[6], header[11], header[12], header[13]
    if count == 0:
        return ()
    if entry != SECTION.size or names >= count:
        raise ElfError("its table of sections is of another form")
    rows = list(SECTION.iter_unpack(_content(data, table, entry * count)))
    strings = _content(data, rows[names][4], rows[names][5])
    return tuple(Section(_string(strings, row[0]), row[1], row[2], row[4], row[5], row[6], row[8]) for row in rows)


def symbols(data: bytes) -> Iterator[Symbol]:
    """Of .symtab, if there is one."""
    found = sections(data)
    for table in (s for s in found if s.kind == SHT_SYMTAB):
        if table.link >= len(found) or table.size % SYMBOL.size:
            raise ElfError("its table of symbols is damaged")
        strings = _content(data, found[table.link].offset, found[table.link].size)
        for name, _, _, section, value, size in SYMBOL.iter_unpack(_content(data, table.offset, table.size)):
            yield Symbol(_string(strings, name), value, size, section)
