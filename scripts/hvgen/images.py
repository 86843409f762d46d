# SPDX-License-Identifier: Apache-2.0
"""Guest images: what is in the file, and what of it goes where in the guest's memory.

images_x86.py has what is different on x86: how Linux is packed, and where an ELF file is entered.
"""
from __future__ import annotations

import gzip
import io
import lzma
import os
import struct
import zlib
from dataclasses import dataclass
from typing import Literal, Optional

from .diag import Diagnostic
from .model import ImageSpec, Partition, Span, System

Arch = Literal["arm64", "x86"]

MIB = 1 << 20
ELF_GAP = 64 << 10     # segments closer than this become one piece
BSS_LIMIT = 64 * MIB   # zeros that an ELF file may ask us to store


@dataclass(frozen=True)
class Piece:
    """Bytes for the guest's memory: `data` if they had to be made, else straight from `file`."""
    what: str
    file: str
    size: int
    address: int = 0                   # elf, Linux on x86: guest address; others: placed by the plan
    data: Optional[bytes] = None       # to be written to `file` before the image is linked


@dataclass(frozen=True)
class Image:
    """What the plan needs to know of a partition's image."""
    kind: str                          # "raw", "elf", "linux"
    pieces: tuple[Piece, ...]          # linux: kernel, then the initrd if there is one
    entry: int = 0                     # elf, Linux on x86: guest address
    text_offset: int = 0               # Linux on ARM64
    memory_size: int = 0               # linux: bytes that the kernel occupies once it runs


class BadImage(Exception):
    """The file is not what system.yaml says it is."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


def inspect_all(system: System, out: str = "", arch: Arch = "arm64") -> tuple[dict[str, Image], list[Diagnostic]]:
    """The image of every partition, by its name.  `out` is where made files will be written."""
    images: dict[str, Image] = {}
    found: list[Diagnostic] = []
    for part in system.partitions:
        missing = list(_missing(part.image))
        found += missing
        if missing:
            continue
        try:
            images[part.name] = inspect(part, out, arch)
        except BadImage as bad:
            found.append(Diagnostic("IMG-FORMAT", part.image.file_span, str(bad), fix=bad.fix))
    return images, found


def inspect(part: Partition, out: str = "", arch: Arch = "arm64") -> Image:
    from . import images_x86
    spec = part.image
    if spec.kind == "linux":
        return _linux(part, out) if arch == "arm64" else images_x86.linux(part, out)
    if spec.kind == "elf":
        return _elf(part, out) if arch == "arm64" else images_x86.elf(part, out)
    if os.path.getsize(spec.file) == 0:
        raise BadImage(f"'{spec.file}' is empty")
    return Image("raw", (Piece("image", spec.file, os.path.getsize(spec.file)),))


def _missing(spec: ImageSpec) -> list[Diagnostic]:
    places: list[tuple[Optional[str], Span]] = [(spec.file, spec.file_span), (spec.initrd, spec.initrd_span)]
    return [Diagnostic("IMG-MISSING", span, f"there is no file '{file}'",
                       fix="build or fetch it first; names are looked up in the configuration folder, "
                           "then in the output folder, then in the project's root")
            for file, span in places if file and not os.path.isfile(file)]


def read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


# ---------------------------------------------------------------- Linux

def _linux(part: Partition, out: str) -> Image:
    spec = part.image
    raw = read(spec.file)
    data = _unpacked(raw, spec.file)
    if data[56:60] != b"ARM\x64" or len(data) < 64:
        raise BadImage(f"'{spec.file}' is not an ARM64 Linux Image: {guess(data)}",
                       "give arch/arm64/boot/Image of a kernel build, or a distribution's vmlinuz for ARM64")
    text_offset, image_size, flags = struct.unpack_from("<QQQ", data, 8)
    if flags & 1:
        raise BadImage(f"'{spec.file}' is a big-endian kernel", "build it without CONFIG_CPU_BIG_ENDIAN")
    if text_offset % 16:
        raise BadImage(f"'{spec.file}' has a damaged header: its text offset is {text_offset:#x}")
    if image_size == 0:                # before Linux 3.17: the header does not say
        text_offset, image_size = 0x80000, len(data) + 16 * MIB
    if raw is data:
        kernel = Piece("kernel", spec.file, len(data))
    else:
        kernel = Piece("kernel", os.path.join(out, f"{part.name}.kernel"), len(data), data=data)
    pieces = [kernel]
    if spec.initrd:
        pieces.append(Piece("initrd", spec.initrd, os.path.getsize(spec.initrd)))
    return Image("linux", tuple(pieces), text_offset=text_offset, memory_size=max(image_size, len(data)))


def _unpacked(data: bytes, name: str) -> bytes:
    """The Image inside a gzip file or an EFI zboot file; anything else as it is."""
    try:
        if data[:2] == b"\x1f\x8b":
            return gzip.decompress(data)
        if data[:2] == b"MZ" and data[4:8] == b"zimg":
            return _zboot(data, name)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, struct.error):
        raise BadImage(f"'{name}' is a compressed kernel that cannot be decompressed: the file is damaged") from None
    return data


def _zboot(data: bytes, name: str) -> bytes:
    """Linux drivers/firmware/efi/libstub/zboot-header.S: payload offset, size, then the method's name."""
    offset, size = struct.unpack_from("<II", data, 8)
    method = data[24:56].split(b"\0")[0].decode("ascii", "replace")
    payload = data[offset:offset + size]
    if method == "gzip":
        return zlib.decompressobj(wbits=31).decompress(payload)
    if method in ("xzkern", "xz", "lzma"):
        return lzma.LZMADecompressor().decompress(payload)
    raise BadImage(f"'{name}' is a kernel compressed with {method}, which is not supported",
                   "decompress it first, or give the build's plain Image")


def guess(data: bytes) -> str:
    if not data:
        return "it is empty"
    known = ((b"\x7fELF", "it is an ELF file"), (b"\xd0\x0d\xfe\xed", "it is a devicetree or FIT image"),
             (b"\x27\x05\x19\x56", "it is a legacy U-Boot image"), (b"070701", "it is a cpio archive"),
             (b"MZ", "it is a PE executable for another machine"), (b"\xfd7zXZ", "it is an xz file"),
             (b"\x28\xb5\x2f\xfd", "it is a zstd file"), (b"#!", "it is a script"))
    if data[56:60] == b"ARM\x64":
        return "it is an ARM64 Linux Image" if len(data) >= 64 else "it is cut off"
    if data[0x202:0x206] == b"HdrS":
        return "it is an x86 kernel"
    return next((text for magic, text in known if data.startswith(magic)), "the magic number 'ARM\\x64' is missing")


# ---------------------------------------------------------------- ELF

@dataclass(frozen=True)
class Segment:
    address: int
    memory_size: int
    data: bytes

    @property
    def end(self) -> int:
        return self.address + self.memory_size


def _elf(part: Partition, out: str) -> Image:
    name = part.image.file
    data = read(name)
    entry, segments = elf_segments(data, name)
    return elf_image(part, out, entry, segments)


def elf_image(part: Partition, out: str, entry: int, segments: list[Segment]) -> Image:
    pieces = tuple(flatten(group, f"segment {n}", os.path.join(out, f"{part.name}.{n}.bin"))
                   for n, group in enumerate(_grouped(segments)))
    if not any(s.address <= entry < s.end for s in segments):
        raise BadImage(f"'{part.image.file}' has its entry point {entry:#x} outside its segments")
    return Image("elf", pieces, entry=entry)


MACHINES: dict[Arch, tuple[tuple[tuple[str, int], ...], str]] = {      # (machine, class) of what each runs
    "arm64": ((("EM_AARCH64", 64),), "little-endian AArch64"),
    "x86": ((("EM_X86_64", 64), ("EM_386", 32)), "x86 or x86-64"),
}


def elf_segments(data: bytes, name: str, arch: Arch = "arm64") -> tuple[int, list[Segment]]:
    """The entry point as a physical address, and what is to be loaded."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    if data[:4] != b"\x7fELF":
        reason = guess(data)
        if "magic" in reason:
            reason = "it does not begin with the ELF magic number"
        raise BadImage(f"'{name}' is not an ELF file: {reason}", "a flat binary is given with raw:")
    machines, words = MACHINES[arch]
    try:
        elf = ELFFile(io.BytesIO(data))
        if (elf["e_machine"], elf.elfclass) not in machines or not elf.little_endian:
            raise BadImage(f"'{name}' is an ELF file for {elf.get_machine_arch()}, not for {words}")
        if elf["e_type"] not in ("ET_EXEC", "ET_DYN"):
            raise BadImage(f"'{name}' is an ELF file of type {elf['e_type']}, not an executable",
                           "link it first: an object file has no addresses")
        loads = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_memsz"]]
        segments = [Segment(s["p_paddr"], s["p_memsz"], s.data()) for s in loads]
        entry = _physical_entry(elf["e_entry"], [(s["p_vaddr"], s["p_paddr"], s["p_memsz"]) for s in loads])
    except (ELFError, struct.error, UnicodeDecodeError, ValueError, KeyError, AttributeError, OverflowError):
        raise BadImage(f"'{name}' is a damaged ELF file") from None
    if not segments:
        raise BadImage(f"'{name}' has no PT_LOAD segment: there is nothing to load")
    if any(len(s.data) > s.memory_size for s in segments):
        raise BadImage(f"'{name}' is a damaged ELF file: a segment is larger in the file than in memory")
    if any(s.memory_size - len(s.data) > BSS_LIMIT for s in segments):
        raise BadImage(f"'{name}' wants more than {BSS_LIMIT // MIB} MiB of zeros (.bss) in one segment",
                       "let the guest clear that memory itself (NOLOAD section)")
    return entry, sorted(segments, key=lambda s: s.address)


def _physical_entry(entry: int, loads: list[tuple[int, int, int]]) -> int:
    """e_entry is a virtual address: the guest starts with its MMU off, at the load address."""
    for vaddr, paddr, size in loads:
        if vaddr <= entry < vaddr + size:
            return entry - vaddr + paddr
    return entry


def _grouped(segments: list[Segment]) -> list[list[Segment]]:
    groups: list[list[Segment]] = []
    for segment in segments:
        if groups and segment.address <= max(s.end for s in groups[-1]) + ELF_GAP:
            groups[-1].append(segment)
        else:
            groups.append([segment])
    return groups


def flatten(group: list[Segment], what: str, file: str) -> Piece:
    base = group[0].address & ~0xf
    memory = bytearray(max(s.end for s in group) - base)
    for segment in group:
        start = segment.address - base
        memory[start:start + len(segment.data)] = segment.data
    return Piece(what, file, len(memory), base, bytes(memory))
