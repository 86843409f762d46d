# SPDX-License-Identifier: Apache-2.0
"""Guest images: what is read out of them, and where it goes."""
from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path
from typing import Optional

import fake  # noqa: F401  (puts scripts/ on the path)
import pytest
from fake import GIB, MIB

from hvgen import guestmem, images
from hvgen.images import BadImage, Image
from hvgen.model import ImageSpec, MemorySpec, Partition, Region

KIB = 1 << 10
RAM = Region(GIB, 64 * MIB)


def part(kind: str, file: Path, **rest: Optional[str]) -> Partition:
    spec = ImageSpec(kind, str(file), **rest)  # type: ignore[arg-type]
    return Partition("p", (), MemorySpec(64 * MIB), spec)


def elf(*segments: tuple[int, int, bytes, int], entry: int, machine: int = 183, kind: int = 2) -> bytes:
    """segments: (virtual address, physical address, bytes, size in memory)."""
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", kind, machine, 1, entry, 64, 0, 0,
                         64, 56, len(segments), 64, 0, 0)
    offset = 64 + 56 * len(segments)
    table, body = b"", b""
    for vaddr, paddr, data, size in segments:
        table += struct.pack("<IIQQQQQQ", 1, 5, offset + len(body), vaddr, paddr, len(data), size, 16)
        body += data
    return header + table + body


def kernel(size: int = 4096, image_size: int = 5 * MIB, text_offset: int = 0, flags: int = 0xa) -> bytes:
    head = struct.pack("<IIQQQ24s4sI", 0x14000000, 0, text_offset, image_size, flags, b"", b"ARM\x64", 64)
    return head + bytes(range(256)) * (size // 256)


def test_elf_segments_become_one_piece_with_bss(tmp_path: Path) -> None:
    file = tmp_path / "x.elf"
    file.write_bytes(elf((0x80000, GIB + 0x80000, b"text", 4), (0x90000, GIB + 0x80011, b"data", 32), entry=0x80002))
    image = images.inspect(part("elf", file), "out")
    assert image.entry == GIB + 0x80002            # where it is loaded, not where it is linked
    (piece,) = image.pieces
    assert piece.address == GIB + 0x80000 and piece.file == "out/p.0.bin"
    assert piece.data == b"text" + bytes(13) + b"data" + bytes(28)


def test_elf_segments_far_apart_stay_apart(tmp_path: Path) -> None:
    file = tmp_path / "x.elf"
    file.write_bytes(elf((GIB, GIB, b"a" * 16, 16), (GIB + MIB + 8, GIB + MIB + 8, b"b" * 8, 8), entry=GIB))
    image = images.inspect(part("elf", file))
    assert [(p.address, p.size) for p in image.pieces] == [(GIB, 16), (GIB + MIB, 16)]


@pytest.mark.parametrize("data, message", [
    (b"", "it is empty"), (b"x" * 99, "does not begin"), (b"MZ" + bytes(100), "PE executable"), (kernel(), "ARM64 Linux Image"),
    (elf((0, 0, b"x", 1), entry=0, machine=62), "not for little-endian AArch64"),
    (elf((0, 0, b"x", 1), entry=0, kind=1), "not an executable"), (elf(entry=0), "no PT_LOAD"),
    (elf((0, 0, b"x", 1), entry=9), "entry point"), (elf((0, 0, b"xy", 1), entry=0), "damaged"),
    (elf((0, 0, b"x", 1 << 40), entry=0), "64 MiB of zeros"), (b"\x7fELF", "damaged"),
    (elf((0, 0, b"x", 1), entry=0)[:100], "damaged"),
])
def test_bad_elf(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "x"
    file.write_bytes(data)
    with pytest.raises(BadImage, match=message):
        images.inspect(part("elf", file))


def zboot(method: bytes, payload: bytes) -> bytes:
    return (b"MZ\0\0zimg" + struct.pack("<II", 64, len(payload)) + bytes(8) + method).ljust(64, b"\0") + payload


@pytest.mark.parametrize("pack", [
    lambda data: data, gzip.compress, lambda data: zboot(b"gzip", gzip.compress(data)),
    lambda data: zboot(b"xzkern", lzma.compress(data)),
])
def test_kernels_are_unpacked(tmp_path: Path, pack: "type[bytes]") -> None:
    data = kernel()
    file = tmp_path / "Image"
    file.write_bytes(pack(data))
    image = images.inspect(part("linux", file), "out")
    (piece,) = image.pieces
    assert piece.size == len(data) and image.memory_size == 5 * MIB
    assert (piece.file, piece.data) == ((str(file), None) if pack(data) == data else ("out/p.kernel", data))


@pytest.mark.parametrize("data, message", [
    (bytes(0x202) + b"HdrS" + bytes(90), "x86 kernel"), (elf(entry=0), "ELF file"), (b"x", "magic number"),
    (kernel(flags=1), "big-endian"), (kernel(text_offset=8), "damaged header"),
    (gzip.compress(kernel())[:60], "damaged"), (zboot(b"zstd22", b""), "zstd22"),
    (zboot(b"gzip", b"junk"), "damaged"), (gzip.compress(b"no kernel"), "magic number"), (kernel()[:60], "not an ARM64"),
])
def test_bad_kernel(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "Image"
    file.write_bytes(data)
    with pytest.raises(BadImage, match=message):
        images.inspect(part("linux", file))


def test_damaged_gzip_never_crashes(tmp_path: Path) -> None:
    good = gzip.compress(kernel(65536))
    file = tmp_path / "Image"
    for at in range(0, len(good), 3):
        file.write_bytes(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1:])
        try:
            images.inspect(part("linux", file))
        except BadImage:
            pass



def test_linux_layout(tmp_path: Path) -> None:
    (tmp_path / "Image").write_bytes(kernel(text_offset=0x80000))
    (tmp_path / "initrd").write_bytes(bytes(100))
    p = part("linux", tmp_path / "Image", initrd=str(tmp_path / "initrd"))
    layout = guestmem.lay_out(p.image, images.inspect(p), RAM)
    assert layout.dtb == GIB and layout.entry == GIB + 2 * MIB + 0x80000
    assert layout.initrd == Region(GIB + 7 * MIB + 0x80000, 100)


@pytest.mark.parametrize("offset, dtb", [(0x80000, 0), (0x10000, 0), (0, 0x10000), (0x8000, 0x10000)])
def test_raw_layout_leaves_room_for_the_devicetree(offset: int, dtb: int) -> None:
    spec = ImageSpec("raw", "x", offset)
    layout = guestmem.lay_out(spec, Image("raw", (images.Piece("image", "x", 4096),)), RAM)
    assert (layout.entry, layout.dtb) == (GIB + offset, GIB + dtb)


def test_image_that_just_fits() -> None:
    spec = ImageSpec("raw", "x", 0x80000)
    for size, fits in ((RAM.size - 0x80000, True), (RAM.size - 0x80000 + 1, False)):
        image = Image("raw", (images.Piece("image", "x", size),))
        if fits:
            guestmem.lay_out(spec, image, RAM)
        else:
            with pytest.raises(guestmem.NoRoom):
                guestmem.lay_out(spec, image, RAM)
