# SPDX-License-Identifier: Apache-2.0
"""What is emitted compiles clean, links, and says in the ELF what the plan said; files change only if need be."""
from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence

import pytest
import samples
import walker
from contract import offsets
from elftools.elf.elffile import ELFFile
from hvgen import emit_arm64, emit_c, generate, image, tables
from hvgen.diag import Failed
from hvgen.model import Blob, Plan, Region
from samples import ROOT

WARN = ("-Wall -Wextra -Wconversion -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wundef -Wwrite-strings "
        "-Werror").split()
FLAGS = [*WARN, "-std=c11", "-O2", "-ffreestanding", "-fno-pic", "-fno-pie", f"-I{ROOT}/src/include"]
GCC = ["aarch64-linux-gnu-gcc"]
CLANG = ["clang", "--target=aarch64-linux-gnu"]
AT = offsets("layout.partitions", "layout_partition", "layout_partition.images")
HEAD = '.section .head,"ax"\n.globl _head\n_head: b _head\n'


def sample(folder: Path) -> Plan:
    guest = folder / "guest image.bin"
    guest.write_bytes(bytes(range(251)) * 5)
    blobs = [Blob("image", str(guest), 3, 1001, 0x40080000, 0x80080000), Blob("dtb", "", 0, 0, 0x40000000, 0x80000000)]
    return samples.two_partitions(blobs=blobs)


def compile_all(compiler: Sequence[str], out: Path) -> list[str]:
    objects = []
    for name in ("layout.c", "tables.c", "images.S"):
        objects.append(str(out / f"{name[:-2]}.o"))
        flags = FLAGS if name.endswith(".c") else []
        done = subprocess.run([*compiler, *flags, "-c", "-o", objects[-1], str(out / name)], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0 and done.stdout == "", done.stdout
    return objects


@dataclass
class Linked:
    plan: Plan
    out: Path
    elf: Path


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Linked:
    return link(tmp_path_factory.mktemp("emit"))


def link(folder: Path, plan: Optional[Plan] = None, compiler: Sequence[str] = GCC) -> Linked:
    plan = plan or sample(folder)
    out = folder / "out"
    generate.generate(plan, samples.stub_core(folder), str(out))
    objects = compile_all(compiler, out)
    (folder / "head.S").write_text(HEAD)
    subprocess.run([*GCC, "-c", "-o", str(folder / "head.o"), str(folder / "head.S")], check=True)
    elf = out / "linked.elf"
    subprocess.run(["aarch64-linux-gnu-ld", "-nostdlib", "-static", "--build-id=none", "-z", "max-page-size=4096",
                    "-L", str(out), "-T", f"{ROOT}/src/arch/arm64/hv.ld", "-o", str(elf), str(folder / "core.o"),
                    str(folder / "head.o"), *objects], check=True)
    image.make_image(str(elf), str(out))
    return Linked(plan, out, out / "bulkhead.elf")


class Memory:
    """The linked ELF as the loader puts it into memory."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            elf = ELFFile(file)
            self.parts = [(s["p_paddr"], s.data()) for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
            self.symbols = {s.name: s["st_value"] for s in elf.get_section_by_name(".symtab").iter_symbols()}

    def bytes(self, address: int, size: int) -> bytes:
        for base, data in self.parts:
            if base <= address and address + size <= base + len(data):
                return bytes(data[address - base:address - base + size])
        raise AssertionError(f"{address:#x} is in no segment")

    def read(self, address: int) -> int:
        return int(struct.unpack("<Q", self.bytes(address, 8))[0])


@pytest.mark.parametrize("compiler", [GCC, CLANG], ids=["gcc", "clang"])
def test_compiles_without_a_warning(compiler: list[str], tmp_path: Path) -> None:
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no {compiler[0]}")
    generate.generate(sample(tmp_path), samples.stub_core(tmp_path), str(tmp_path / "out"))
    compile_all(compiler, tmp_path / "out")


def test_tables_of_the_elf_map_what_the_plan_says(linked: Linked) -> None:
    memory = Memory(linked.elf)
    partitions = memory.read(memory.symbols["layout"] + AT["layout.partitions"])
    for part in linked.plan.partitions:
        at = partitions + part.index * AT["layout_partition"]
        assert memory.bytes(memory.read(at), len(part.name) + 1) == part.name.encode() + b"\0"
        vttbr, vtcr = memory.read(at + 8), memory.read(at + 16)
        assert vttbr >> 48 == part.vmid
        found = walker.merged(list(walker.leaves(walker.stage2(vttbr, vtcr), memory.read)))
        assert [(f.va, f.pa, f.size) for f in found] == [(m.ipa, m.pa, m.size) for m in part.mappings]


def test_images_are_where_the_layout_says(linked: Linked) -> None:
    memory = Memory(linked.elf)
    part = linked.plan.partitions[1]
    partitions = memory.read(memory.symbols["layout"] + AT["layout.partitions"])
    images = memory.read(partitions + AT["layout_partition"] + AT["layout_partition.images"])
    source, target, size = (memory.read(images + 8 * i) for i in range(3))
    assert source % 16 == 0 and size == 1008 and target == part.blobs[0].pa
    assert memory.bytes(source, size) == (bytes(range(251)) * 5)[3:1004] + bytes(7)
    tree, target, size = (memory.read(images + 24 + 8 * i) for i in range(3))
    data = (linked.out / "companion.dtb").read_bytes()
    assert target == part.blobs[1].pa and size == (len(data) + 15) // 16 * 16
    assert memory.bytes(tree, size) == data.ljust(size, b"\0")


def test_checksum(linked: Linked) -> None:
    memory = Memory(linked.elf)
    start, end = memory.symbols["__ro_tables_start"], memory.symbols["__ro_tables_end"]
    words = struct.unpack(f"<{(end - start) // 8}Q", memory.bytes(start, end - start))
    assert len(words) % 16 == 0
    a, b = [0, 0], [0, 0]
    for i, word in enumerate(words):           # as src/include/hv/arch.h describes arch_sum()
        a[i % 2] += word
        if i % 16 == 15:
            b = [b[0] + a[0], b[1] + a[1]]
    turned = [rotl(x, n) for x, n in ((a[0], 0), (a[1], 16), (b[0], 32), (b[1], 48))]
    assert memory.read(memory.symbols["layout_checksum"]) == turned[0] ^ turned[1] ^ turned[2] ^ turned[3]
    assert start <= memory.symbols["layout"] < end and start <= memory.symbols["el2_root"] < end


def rotl(value: int, count: int) -> int:
    value %= 1 << 64
    return (value << count | value >> 64 - count) % (1 << 64)


def test_one_changed_word_changes_the_checksum() -> None:
    words = list(range(1, 65))
    whole = image.checksum(struct.pack("<64Q", *words))
    for i in range(64):
        for flip in (1, 1 << 31, 1 << 63):
            changed = words[:i] + [words[i] ^ flip] + words[i + 1:]
            assert image.checksum(struct.pack("<64Q", *changed)) != whole
    exchanged = words[16:32] + words[:16] + words[32:]
    assert image.checksum(struct.pack("<64Q", *exchanged)) != whole
    assert image.checksum(b"") == 0
    with pytest.raises(image.ImageError):
        image.checksum(b"1234567")


def test_flat_file_and_fit(linked: Linked) -> None:
    memory = Memory(linked.elf)
    flat = (linked.out / "bulkhead.bin").read_bytes()
    base = linked.plan.hv.base
    for at, data in memory.parts:
        assert flat[at - base:at - base + len(data)] == data
    listing = subprocess.run(["mkimage", "-l", str(linked.out / "bulkhead.itb")], check=True, capture_output=True,
                             text=True).stdout
    assert f"Load Address: {base:#010x}" in listing and f"Entry Point:  {base:#010x}" in listing
    assert hashlib.sha256(flat).hexdigest() in listing


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (link(tmp_path / name) for name in ("a", "b") if (tmp_path / name).mkdir() is None)
    for name in ("layout.c", "tables.c", "companion.dtb", "flight.dtb", "bulkhead.elf", "bulkhead.bin", "bulkhead.itb"):
        assert (first.out / name).read_bytes() == (second.out / name).read_bytes(), name


def test_files_are_rewritten_only_if_they_change(tmp_path: Path) -> None:
    plan, core, out = sample(tmp_path), samples.stub_core(tmp_path), str(tmp_path / "out")
    assert len(generate.generate(plan, core, out)) >= 8
    before = {name: os.stat(os.path.join(out, name)).st_mtime_ns for name in os.listdir(out)}
    assert generate.generate(plan, core, out) == []
    assert before == {name: os.stat(os.path.join(out, name)).st_mtime_ns for name in os.listdir(out)}
    assert generate.generate(plan, core, out, more_files={os.path.join(out, "plan.json"): b"{}"}) == [
        os.path.join(out, "plan.json")]


def test_no_path_reaches_what_is_linked(linked: Linked) -> None:
    folder = str(linked.out.parent).encode()
    for name in ("layout.c", "tables.c", "sizes.ld", "bulkhead.its", "bulkhead.elf", "bulkhead.bin"):
        assert folder not in (linked.out / name).read_bytes(), name


def test_depfile_names_the_inputs(linked: Linked) -> None:
    text = (linked.out / "generate.d").read_text()
    assert str(linked.out.parent / "core.o") in text and "tables.py" in text
    assert generate.depfile("a b", ["c d", "e"]) == "a\\ b: c\\ d \\\n  e\n\nc\\ d:\ne:\n"


def test_core_that_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "core.o").write_text("hello")
    with pytest.raises(Failed, match="not an object file"):
        generate.generate(sample(tmp_path), str(tmp_path / "core.o"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_elf_without_symbols(tmp_path: Path) -> None:
    core = samples.stub_core(tmp_path)
    with pytest.raises(Failed, match="no symbol .*layout_checksum"):
        image.make_image(core, str(tmp_path))


def test_sizes_hold_what_is_in_core(tmp_path: Path) -> None:
    plan = sample(tmp_path)
    sizes = emit_c.measure(plan, emit_c.read_core(samples.stub_core(tmp_path)))
    assert sizes == tables.Sizes(1, 6 + 2)     # three stacks with guards; a root, .data and 4 KiB of .bss
    many = emit_c.Core((emit_c.Section(".text", 4095, 4), emit_c.Section(".text.vectors", 2048, 2048)), ())
    assert emit_c.measure(plan, many) == tables.Sizes(2, 7)


@pytest.mark.parametrize("compiler", [GCC, CLANG], ids=["gcc", "clang"])
def test_writable_roots_of_all_sizes_fit(compiler: list[str], tmp_path: Path) -> None:
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no {compiler[0]}")
    hw = samples.hardware(memory=(Region(1 << 30, 1 << 44),))
    parts = [samples.partition(hw, i, f"p{i}", [i], [samples.ram_mapping(1 << 30, i + 2 << 30, 1 << 21)], True, bits=bits)
             for i, bits in enumerate((31, 41, 36, 43))]
    plan = samples.plan(hw, parts, Region(0x40200000, 4 << 20), pa_bits=48)
    linked = link(tmp_path, plan, compiler)
    symbols = Memory(linked.elf).symbols
    for part, size in zip(parts, (16, 16384, 512, 65536)):
        assert symbols[f"s2_{part.name}_root"] % max(64, size) == 0
    assert symbols["__rw_used_end"] <= symbols["__ro_start"]


def test_sgi_of_direct_partitions() -> None:
    hw = samples.hardware()

    def of(cpus: list[int], direct: bool = True) -> tuple[int, int, int]:
        plan = samples.plan(hw, [samples.partition(hw, 0, "a", cpus, [samples.ram_mapping(1 << 30, 2 << 30, 1 << 21)],
                                                   direct)])
        return emit_arm64.sgi(plan, plan.partitions[0])

    assert of([0, 1]) == (0, 3, 0)
    assert of([2, 3]) == (1 << 16, 3, 0)
    assert of([3]) == (1 << 16, 1, 1)
    assert of([1, 2]) == (0, 0, 0)             # in two clusters
    assert of([1, 0]) == (0, 0, 0)             # counting down
    assert of([0, 1], direct=False) == (0, 0, 0)


@pytest.mark.parametrize("text,made", [('a"b', '"a\\"b"'), ("a\\b", '"a\\\\b"'), ("??/", '"\\077\\077/"'),
                                       ("\u00e9", '"\\303\\251"'), ("a\n", '"a\\012"')])
def test_c_strings(text: str, made: str) -> None:
    assert emit_c.c_string(text) == made
