# SPDX-License-Identifier: Apache-2.0
"""Guest images on x86.  Guests are entered as PVH says (Xen, docs/misc/pvh.pandoc): 32-bit, paging off.

An ELF file says where in a note: name "Xen", type 18, an address of 4 or 8 bytes, physical.  Linux comes as
such a file (vmlinux), or inside a bzImage (Documentation/arch/x86/boot.rst: setup header, payload).
"""
from __future__ import annotations

import bz2
import lzma
import os
import struct
import zlib
from dataclasses import replace
from typing import Callable, Iterator, Optional

from .images import BadImage, Image, Piece, elf_image, elf_segments, flatten, guess, read
from .model import Partition

PHYS32_ENTRY = 18                      # XEN_ELFNOTE_PHYS32_ENTRY
PT_NOTE = 4
LZ4_BLOCK = 8 << 20                    # of the "legacy" format that the kernel's build uses
MOST = 1 << 30                         # what is larger is no kernel


def elf(part: Partition, out: str) -> Image:
    """Entered at its PVH note's address if it has one, else at e_entry."""
    name = part.image.file
    data = read(name)
    entry, segments = elf_segments(data, name, "x86")
    entry = pvh_entry(data) or entry
    if entry >> 32:
        raise BadImage(f"'{name}' has its entry point {entry:#x} above 4 GiB, where 32-bit code cannot be")
    return elf_image(part, out, entry, segments)


def linux(part: Partition, out: str) -> Image:
    spec = part.image
    data = vmlinux(read(spec.file), spec.file)
    _, segments = elf_segments(data, spec.file, "x86")
    entry = pvh_entry(data)
    if not entry:
        raise BadImage(f"'{spec.file}' has no PVH entry (ELF note of Xen, type {PHYS32_ENTRY})",
                       "build the kernel with CONFIG_PVH; Debian's linux-image-amd64 has it")
    if not any(s.address <= entry < s.end for s in segments):
        raise BadImage(f"'{spec.file}' has its PVH entry {entry:#x} outside its segments")
    memory_end = max(s.end for s in segments)
    if memory_end - segments[0].address > MOST:
        raise BadImage(f"'{spec.file}' has segments from {segments[0].address:#x} to {memory_end - 1:#x}: that is no kernel")
    pieces = [_without_bss(flatten(segments, "kernel", os.path.join(out, f"{part.name}.kernel")), data)]
    if spec.initrd:
        pieces.append(Piece("initrd", spec.initrd, os.path.getsize(spec.initrd)))
    return Image("linux", tuple(pieces), entry=entry, memory_size=memory_end - pieces[0].address)


def _without_bss(kernel: Piece, data: bytes) -> Piece:
    """Linux clears .bss by itself, in arch/x86/kernel/head64.c: there is no need to carry those zeros along."""
    start = _bss(data)
    if kernel.data is None or start is None or not kernel.address < start < kernel.address + kernel.size:
        return kernel
    keep = start - kernel.address
    return kernel if any(kernel.data[keep:]) else replace(kernel, size=keep, data=kernel.data[:keep])


# ---------------------------------------------------------------- bzImage

def vmlinux(data: bytes, name: str) -> bytes:
    """The ELF file inside a bzImage, or the ELF file itself."""
    if data[:4] == b"\x7fELF":
        return data
    if data[0x202:0x206] != b"HdrS" or len(data) < 0x260:
        said = guess(data)
        said = "it has neither a bzImage's setup header nor ELF's magic number" if "magic" in said else said
        raise BadImage(f"'{name}' is not a Linux kernel for x86: {said}",
                       "give arch/x86/boot/bzImage or vmlinux of a kernel build, or a distribution's vmlinuz for amd64")
    version, = struct.unpack_from("<H", data, 0x206)
    if version < 0x208:
        raise BadImage(f"'{name}' has boot protocol {version >> 8}.{version & 0xff:02}: it does not say where its "
                       "payload is", "use a kernel from 2.6.26 on, or give its vmlinux")
    start = ((data[0x1f1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[start + offset:start + offset + length]
    if not payload or len(payload) < length:
        raise BadImage(f"'{name}' is damaged: its payload is not all there")
    unpacked = _unpacked(payload, name)
    if unpacked[:4] != b"\x7fELF":
        raise BadImage(f"'{name}' is damaged: there is no ELF file in it")
    return unpacked


def _unpacked(payload: bytes, name: str) -> bytes:
    """What follows the compressed data (its size, for some methods) is left alone."""
    for magic, method, unpack in METHODS:
        if payload.startswith(magic):
            try:
                return unpack(payload)
            except ImportError as error:
                module = (error.name or method).split(".")[0]
                raise BadImage(f"'{name}' is compressed with {method}, and Python's module '{module}' is missing",
                               f"install python3-{module}; or decompress it with the kernel's "
                               "scripts/extract-vmlinux") from None
            except (OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, struct.error) as error:
                raise BadImage(f"'{name}' cannot be decompressed ({method}): the file is damaged ({error})") from None
    raise BadImage(f"'{name}' is compressed in a way that is not supported (it begins with {payload[:6].hex()})",
                   "decompress it with the kernel's scripts/extract-vmlinux")


def _gzip(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=31).decompress(data)


def _xz(data: bytes) -> bytes:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(data)


def _lzma(data: bytes) -> bytes:
    return lzma.LZMADecompressor(format=lzma.FORMAT_ALONE).decompress(data)


def _bzip2(data: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(data)


def _zstd(data: bytes) -> bytes:
    import zstandard
    try:
        return bytes(zstandard.ZstdDecompressor(max_window_size=MOST).decompressobj().decompress(data))
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


def _lz4(data: bytes) -> bytes:
    """Legacy frame: blocks of at most 8 MiB, each after its size; ends with the file's size or the data."""
    import lz4.block
    out, at = [], 4
    while at + 8 <= len(data):
        size, = struct.unpack_from("<I", data, at)
        try:
            out.append(lz4.block.decompress(data[at + 4:at + 4 + size], uncompressed_size=LZ4_BLOCK))
        except lz4.block.LZ4BlockError as error:
            raise ValueError(str(error)) from None
        at += 4 + size
    return b"".join(out)


METHODS: tuple[tuple[bytes, str, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", "gzip", _gzip), (b"\xfd7zXZ", "xz", _xz), (b"\x5d\0\0", "lzma", _lzma), (b"BZh", "bzip2", _bzip2),
    (b"\x28\xb5\x2f\xfd", "zstd", _zstd), (b"\x02\x21\x4c\x18", "lz4", _lz4),
    (b"\x7fELF", "nothing", bytes),
)


# ---------------------------------------------------------------- ELF, what pyelftools does not give in one line

def pvh_entry(data: bytes) -> int:
    """The address in Xen's note, 0 if there is none.  `data` is a sound ELF file (elf_segments has read it)."""
    for name, kind, body in notes(data):
        if name == b"Xen\0" and kind == PHYS32_ENTRY and len(body) in (4, 8):
            return int.from_bytes(body, "little")
    return 0


def notes(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """(name, type, description) of every note."""
    for kind, offset, size, align in _program_headers(data):
        if kind != PT_NOTE:
            continue
        unit = 8 if align == 8 else 4
        at, end = offset, min(offset + size, len(data))
        while at + 12 <= end:
            name_size, body_size, note = struct.unpack_from("<III", data, at)
            body = at + 12 + -(-name_size // 4) * 4 if unit == 4 else at + -(-(12 + name_size) // 8) * 8
            if body + body_size > end:
                return
            yield data[at + 12:at + 12 + name_size], note, data[body:body + body_size]
            at = body + -(-body_size // unit) * unit


def _program_headers(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(type, offset, size in the file, alignment)."""
    if data[4] == 1:                   # ELFCLASS32
        table, step, count = *struct.unpack_from("<I", data, 28), *struct.unpack_from("<HH", data, 42)
        shape, pick = "<8I", (0, 1, 4, 7)
    else:
        table, step, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
        shape, pick = "<II6Q", (0, 2, 5, 7)
    for n in range(count):
        if table + n * step + struct.calcsize(shape) <= len(data):
            fields = struct.unpack_from(shape, data, table + n * step)
            yield fields[pick[0]], fields[pick[1]], fields[pick[2]], fields[pick[3]]


def _bss(data: bytes) -> Optional[int]:
    """The physical address at which .bss begins, where the file has kept a sound section table."""
    from io import BytesIO

    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    try:
        file = ELFFile(BytesIO(data))
        section = file.get_section_by_name(".bss")
        start = int(section["sh_addr"]) if section else None
        for segment in file.iter_segments():
            if start is not None and segment["p_type"] == "PT_LOAD" and 0 <= start - segment["p_vaddr"] < segment["p_memsz"]:
                return int(segment["p_paddr"] + start - segment["p_vaddr"])
    except (ELFError, struct.error, UnicodeDecodeError, ValueError, KeyError, AttributeError, OverflowError):
        pass
    return None
