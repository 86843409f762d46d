# SPDX-License-Identifier: Apache-2.0
"""Guest images on x86: what is read out of them."""
from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
import sys
from pathlib import Path
from typing import Any, Callable

import fake  # noqa: F401  (puts scripts/ on the path)
import pytest
from fake import MIB
from test_images import part

from hvgen import images, images_x86
from hvgen.images import BadImage, Image

Segment = tuple[int, bytes, int]       # physical address, bytes, size in memory; virtual address is BASE higher
BASE = 0xffffffff80000000
NO_NOTE = b""


def note(entry: int, size: int = 8, name: bytes = b"Xen\0", kind: int = 18) -> bytes:
    """Behind one of another kind, as kernels have it."""
    other = struct.pack("<III4s8s", 4, 6, 6, b"Xen\0", b"linux\0")
    return other + struct.pack("<III4s", len(name), size, kind, name) + entry.to_bytes(size, "little")


def elf(*segments: Segment, entry: int = 0, notes: bytes = NO_NOTE, bss: int = 0, bits: int = 64) -> bytes:
    """With a section table that names .bss if `bss` (a physical address) is given."""
    long = bits == 64
    head, step, base = (64, 56, BASE) if long else (52, 32, 0)
    count = len(segments) + bool(notes)
    at, table, body = head + step * count, b"", b""
    for kind, address, data, size in [(1, a, d, s) for a, d, s in segments] + ([(4, 0, notes, len(notes))] if notes else []):
        place = at + len(body)
        virtual = (address + base) & (1 << bits) - 1
        table += (struct.pack("<II6Q", kind, 7, place, virtual, address, len(data), size, 4) if long else
                  struct.pack("<8I", kind, place, virtual, address, len(data), size, 7, 4))
        body += data
    names = b"\0.bss\0.shstrtab\0"
    sections = b""
    if bss:
        shape = "<IIQQQQIIQQ"
        sections = bytes(64) + struct.pack(shape, 1, 8, 3, bss + base, 0, 64, 0, 0, 1, 0)
        sections += struct.pack(shape, 6, 3, 0, 0, at + len(body), len(names), 0, 0, 1, 0)
        body += names
    ident = b"\x7fELF" + bytes((2 if long else 1, 1, 1))
    start = (entry + base) & (1 << bits) - 1
    header = struct.pack("<16sHHIQQQIHHHHHH" if long else "<16sHHIIIIIHHHHHH", ident, 2, 62 if long else 3, 1, start, head,
                         at + len(body) if bss else 0, 0, head, step, count, 64 if long else 40, 3 if bss else 0, 2 if bss else 0)
    return header + table + body + sections


def kernel(**rest: Any) -> bytes:
    return elf((16 * MIB, b"text" * 4, 16), (18 * MIB, b"data" * 4 + bytes(64), 3 * MIB), notes=note(16 * MIB + 4), **rest)


def bzimage(payload: bytes, version: int = 0x20f, setup_sectors: int = 4) -> bytes:
    setup = bytearray((setup_sectors + 1) * 512)
    setup[0x1f1] = setup_sectors
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", setup, 0x206, version)
    struct.pack_into("<II", setup, 0x248, 100, len(payload))
    return bytes(setup) + bytes(100) + payload + b"the end"


def inspect(folder: Path, kind: str, data: bytes, **rest: Any) -> Image:
    file = folder / "image"
    file.write_bytes(data)
    return images.inspect(part(kind, file, **rest), "out", "x86")


# ---------------------------------------------------------------- ELF

@pytest.mark.parametrize("bits", [32, 64])
def test_elf_is_entered_where_its_note_says(tmp_path: Path, bits: int) -> None:
    for size in (4, 8):
        image = inspect(tmp_path, "elf", elf((MIB, b"code" * 9, 64), entry=MIB + 1, notes=note(MIB + 8, size), bits=bits))
        assert image.entry == MIB + 8
    assert [(p.what, p.address, p.data) for p in image.pieces] == [("segment 0", MIB, b"code" * 9 + bytes(28))]
    assert inspect(tmp_path, "elf", elf((MIB, b"code", 64), entry=MIB + 1, bits=bits)).entry == MIB + 1


@pytest.mark.parametrize("notes", [note(7, name=b"Xem\0"), note(7, kind=17), note(7, size=2), note(7)[:-4], b"\xff" * 64])
def test_other_notes_are_no_matter(tmp_path: Path, notes: bytes) -> None:
    assert inspect(tmp_path, "elf", elf((MIB, b"code", 64), entry=MIB + 1, notes=notes)).entry == MIB + 1


@pytest.mark.parametrize("data, message", [
    (elf((MIB, b"x", 1), entry=MIB, notes=note(MIB + 1)), "entry point 0x100001 outside its segments"),
    (elf((1 << 33, b"x", 1), entry=1 << 33), "entry point 0x200000000 above 4 GiB"),
    (elf((MIB, b"x", 1), entry=MIB)[:80], "damaged"), (b"MZ" + bytes(100), "PE executable"),
    (bzimage(b""), "it is an x86 kernel"), (b"\x7fELF", "damaged"),
])
def test_bad_elf(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(BadImage, match=message):
        inspect(tmp_path, "elf", data)


def test_each_architecture_has_its_own(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="not for little-endian AArch64"):
        file = tmp_path / "x"
        file.write_bytes(elf((MIB, b"x", 1), entry=MIB))
        images.inspect(part("elf", file), "out", "arm64")


# ---------------------------------------------------------------- Linux

def alone(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE)


def sized(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """As the kernel's build does for all methods but gzip."""
    return lambda data: pack(data) + struct.pack("<I", len(data))


@pytest.mark.parametrize("pack", [gzip.compress, sized(lzma.compress), sized(alone), sized(bz2.compress), bytes])
def test_bzimage(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    for data in (bzimage(pack(kernel())), bzimage(pack(kernel()), 0x208, 27)):
        image = inspect(tmp_path, "linux", data)
        assert (image.kind, image.entry, image.memory_size) == ("linux", 16 * MIB + 4, 5 * MIB)
        (piece,) = image.pieces
        assert (piece.what, piece.file, piece.address) == ("kernel", "out/p.kernel", 16 * MIB)
        assert piece.data and piece.size == len(piece.data) == 5 * MIB
        assert piece.data[:16] == b"text" * 4 and piece.data[2 * MIB:2 * MIB + 16] == b"data" * 4


def test_vmlinux_and_initrd(tmp_path: Path) -> None:
    (tmp_path / "initrd").write_bytes(bytes(77))
    image = inspect(tmp_path, "linux", kernel(), initrd=str(tmp_path / "initrd"))
    assert [(p.what, p.size) for p in image.pieces] == [("kernel", 5 * MIB), ("initrd", 77)]


def test_bss_is_not_carried_along(tmp_path: Path) -> None:
    image = inspect(tmp_path, "linux", kernel(bss=18 * MIB + 16))
    assert image.pieces[0].size == 2 * MIB + 16 and image.memory_size == 5 * MIB
    image = inspect(tmp_path, "linux", kernel(bss=18 * MIB + 8))           # there is something behind it: left alone
    assert image.pieces[0].size == 5 * MIB


@pytest.mark.parametrize("data, message", [
    (b"", "it is empty"), (b"x" * 0x300, "neither a bzImage's setup header nor"), (elf((MIB, b"x", 1), entry=MIB), "no PVH entry"),
    (bzimage(b"")[:0x250], "damaged|x86 kernel"), (bzimage(b""), "its payload is not all there"),
    (bzimage(b"junk"), r"not supported \(it begins with 6a756e6b\)"), (bzimage(kernel(), 0x207), "boot protocol 2.07"),
    (bzimage(gzip.compress(b"no kernel")), "no ELF file in it"), (bzimage(lzma.compress(kernel())[:90] + bytes(90)), "damaged"),
    (bzimage(elf((MIB, b"x", 1), notes=note(9))), "PVH entry 0x9 outside"),
    (struct.pack("<56x4sI", b"ARM\x64", 0), "ARM64 Linux Image"),
])
def test_bad_kernel(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(BadImage, match=message):
        inspect(tmp_path, "linux", data)


@pytest.mark.parametrize("magic, module", [(b"\x28\xb5\x2f\xfd", "zstandard"), (b"\x02\x21\x4c\x18", "lz4")])
def test_a_missing_module_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, magic: bytes, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, f"{module}.block", None)  # type: ignore[arg-type]
    with pytest.raises(BadImage, match=f"Python's module '{module}' is missing") as bad:
        inspect(tmp_path, "linux", bzimage(magic + bytes(99)))
    assert f"install python3-{module}" in bad.value.fix


def test_zstd(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard", reason="python3-zstandard is not installed")
    packed = zstandard.ZstdCompressor().compressobj()
    data = packed.compress(kernel()) + packed.flush() + struct.pack("<I", len(kernel()))
    assert inspect(tmp_path, "linux", bzimage(data)).entry == 16 * MIB + 4
    with pytest.raises(BadImage, match="damaged"):
        inspect(tmp_path, "linux", bzimage(data[:40] + b"\xff" * 40))


def test_lz4(tmp_path: Path) -> None:
    block = pytest.importorskip("lz4.block", reason="python3-lz4 is not installed")
    packed = block.compress(kernel(), store_size=False)
    data = b"\x02\x21\x4c\x18" + struct.pack("<I", len(packed)) + packed + struct.pack("<I", len(kernel()))
    assert inspect(tmp_path, "linux", bzimage(data)).entry == 16 * MIB + 4
    with pytest.raises(BadImage, match="damaged"):
        inspect(tmp_path, "linux", bzimage(data[:40] + b"\xff" * 40))


def test_damage_never_crashes(tmp_path: Path) -> None:
    rng = random.Random(3)
    for good, kind in ((kernel(bss=18 * MIB + 16), "linux"), (bzimage(gzip.compress(kernel())), "linux"),
                       (elf((MIB, b"code", 64), entry=MIB, notes=note(MIB)), "elf")):
        for _ in range(400):
            data = bytearray(good)
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(min(len(data), 0x400))] = rng.randrange(256)
            try:
                inspect(tmp_path, kind, bytes(data[:rng.choice([len(data), rng.randrange(len(data))])]))
            except BadImage:
                pass
