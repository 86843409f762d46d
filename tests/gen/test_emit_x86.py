# SPDX-License-Identifier: Apache-2.0
"""What is emitted for x86 compiles clean, links with the hypervisor's script, and says in the ELF what the plan said."""
from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Optional, Sequence

import pytest
import samples_x86 as samples
import walker
from contract import offsets
from hvgen import bitmaps, cpuid, emit_c, generate, image, msrs, pvh, tables
from hvgen.model import Blob, Plan, Region
from hvgen.pc import RESET_CODE
from samples import MIB, ROOT
from test_emit import FLAGS, Memory

GCC = ["gcc"]
CLANG = ["clang", "--target=x86_64-linux-gnu"]
X86_FLAGS = [*FLAGS, "-mno-red-zone", "-mgeneral-regs-only", "-mcmodel=small"]
HEAD = ('.section .head,"ax"\n.globl entry32\nentry32: hlt\n.globl trap_stubs\ntrap_stubs: nop\n'
        '.section .note.pvh,"a",@note\n.long 4, 4, 18\n.asciz "Xen"\n.long entry32\n')


def sample(folder: Path, vmm: Literal["svm", "vmx"] = "svm") -> Plan:
    guest = folder / "guest image.bin"
    guest.write_bytes(bytes(range(251)) * 5)
    return samples.two_partitions(vmm, [Blob("image", str(guest), 3, 1001, 0x200000, 66 * MIB)])


def compile_all(compiler: Sequence[str], out: Path) -> list[str]:
    objects = []
    for name in ("layout.c", "tables.c", "images.S"):
        objects.append(str(out / f"{name[:-2]}.o"))
        flags = X86_FLAGS if name.endswith(".c") else []
        done = subprocess.run([*compiler, *flags, "-c", "-o", objects[-1], str(out / name)], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0 and done.stdout == "", done.stdout
    return objects


@dataclass
class Linked:
    plan: Plan
    out: Path
    memory: Memory

    def layout(self, field: str, more: int = 0) -> int:
        return self.memory.read(self.place(field) + more)

    def place(self, field: str) -> int:
        return self.memory.symbols["layout"] + AT[f"layout.{field}"]

    def partition(self, index: int) -> int:
        return self.layout("partitions") + index * AT["layout_partition"]

    def word(self, field: str) -> int:
        return int(struct.unpack("<I", self.memory.bytes(self.place(field), 4))[0])


def link(folder: Path, plan: Optional[Plan] = None, compiler: Sequence[str] = GCC) -> Linked:
    plan = plan or sample(folder)
    out = folder / "out"
    core = samples.stub_core(folder)
    generate.generate(plan, core, str(out))
    objects = compile_all(compiler, out)
    (folder / "head.S").write_text(HEAD)
    subprocess.run([*GCC, "-c", "-o", str(folder / "head.o"), str(folder / "head.S")], check=True)
    elf = out / "linked.elf"
    subprocess.run(["ld", "-m", "elf_x86_64", "-nostdlib", "-static", "--build-id=none", "-z", "noexecstack", "-z",
                    "max-page-size=4096", "-L", str(out), "-T", f"{ROOT}/src/arch/x86/hv.ld", "-o", str(elf),
                    str(folder / "head.o"), core, *objects], check=True)
    image.make_image(str(elf), str(out))
    return Linked(plan, out, Memory(out / "bulkhead.elf"))


@pytest.fixture(scope="module", params=["svm", "vmx"])
def linked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Linked:
    folder = tmp_path_factory.mktemp(f"emit-{request.param}")
    return link(folder, sample(folder, request.param))


@pytest.mark.parametrize("vmm", ["svm", "vmx"])
@pytest.mark.parametrize("compiler", [GCC, CLANG], ids=["gcc", "clang"])
def test_compiles_without_a_warning(compiler: list[str], vmm: Literal["svm", "vmx"], tmp_path: Path) -> None:
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no {compiler[0]}")
    generate.generate(sample(tmp_path, vmm), samples.stub_core(tmp_path), str(tmp_path / "out"))
    compile_all(compiler, tmp_path / "out")


AT = offsets("layout_partition",
             *(f"layout.{n}" for n in ("device_count", "host_cr3", "console_irq", "cpus", "partitions", "devices", "pc")),
             *(f"layout_partition.{n}" for n in ("name", "nested", "asid", "loader_cr3", "root", "images", "pc")),
             *(f"layout_pc.{n}" for n in ("ioapic_lines", "trampoline", "cpuid", "msrs", "off", "cpuid_basic", "functions",
                                        "function_count")))

def test_nested_tables_of_the_elf_map_what_the_plan_says(linked: Linked) -> None:
    memory = linked.memory
    vmx = linked.plan.vmm == "vmx"
    for part in linked.plan.partitions:
        at = linked.partition(part.index)
        assert memory.bytes(memory.read(at), len(part.name) + 1) == part.name.encode() + b"\0"
        nested = memory.read(at + AT["layout_partition.nested"])
        assert nested & 0xfff == (0x1e if vmx else 0) and memory.read(at + AT["layout_partition.asid"]) == part.vmid
        assert memory.read(at + AT["layout_partition.root"]) == 0, "no root to withdraw"
        found = walker.x86_merged(walker.x86_pages(nested & ~0xfff, memory.read, vmx, 36))
        assert [(f.va, f.pa, f.size) for f in found] == [(m.ipa, m.pa, m.size) for m in part.mappings]


def test_host_tables_fit_the_image(linked: Linked) -> None:
    """What the linker made of it: text executable, stacks and data writable, guards not there, the rest read-only."""
    memory, symbols = linked.memory, linked.memory.symbols
    loaders = [memory.read(linked.partition(i) + AT["layout_partition.loader_cr3"]) for i in range(2)]
    for root in (linked.layout("host_cr3"), *loaders):
        def at(address: int) -> walker.Page | None:
            return walker.x86_walk(root, address, memory.read)

        def rights(address: int) -> tuple[bool, bool] | None:
            found = at(address)
            return (found.write, found.execute) if found else None

        assert rights(symbols["entry32"]) == (False, True) == rights(symbols["f"])
        assert rights(symbols["layout"]) == rights(symbols["host_root"]) == rights(symbols["blob_linux_0"]) == (False, False)
        assert rights(symbols["counter"]) == rights(symbols["seen"]) == rights(symbols["late"] + 99) == (True, False)
        for i in range(len(linked.plan.cpus)):
            assert rights(symbols["hv_stacks"] + 8192 * i) is None
            assert rights(symbols["hv_stacks"] + 8192 * i + 4096) == (True, False)
            assert rights(symbols["vmm_pages"] + 8192 * i) == rights(symbols["vmm_pages"] + 8192 * i + 4096) == (True, False)


def test_cores(linked: Linked) -> None:
    memory, symbols = linked.memory, linked.memory.symbols
    for i, cpu in enumerate(linked.plan.cpus):
        at = linked.layout("cpus") + 32 * i
        apic_id, stack_top, vmm = (memory.read(at + 8 * n) for n in range(3))
        assert apic_id == cpu.mpidr and stack_top == symbols["hv_stacks"] + 8192 * (i + 1)
        assert vmm == symbols["vmm_pages"] + 8192 * i and vmm % 4096 == 0
    pc = [linked.partition(i) + AT["layout_partition.pc"] for i in range(2)]
    assert [memory.read(p + 16) for p in pc] == [0, 1 << 3]
    assert [[memory.read(p + 24 + 8 * n) for n in range(8)] for p in pc] == [
        [1, 1 << 70 - 64, 0, 0, 0, 0, 0, 0], [1 << 2, 0, 0, 0, 0, 0, 0, 0]]


def test_bitmaps_of_the_elf(linked: Linked) -> None:
    memory = linked.memory
    vendor = linked.plan.vmm
    start, end = memory.symbols["__ro_tables_start"], memory.symbols["__ro_tables_end"]
    for part in linked.plan.partitions:
        at = linked.partition(part.index) + AT["layout_partition.pc"]
        for place, data in ((memory.read(at), bitmaps.io_bitmap(vendor, part.ports)), (memory.read(at + 8), bitmaps.msr_bitmap(vendor))):
            assert place % 4096 == 0 and start <= place and place + len(data) <= end, "in what the checksum covers"
            assert memory.bytes(place, len(data)) == data


def test_policies_of_the_elf(linked: Linked) -> None:
    memory = linked.memory
    leaves, rows, outs = (linked.layout("pc", AT[f"layout_pc.{n}"]) for n in ("cpuid", "msrs", "off"))
    counts = struct.unpack("<8I", memory.bytes(linked.place("pc") + AT["layout_pc.cpuid_basic"], 32))
    assert counts == (32, 2, 34, len(list(msrs.answered())), 1, 2, 0x608, 1 if linked.plan.vmm == "svm" else 2)
    for i, leaf in enumerate(cpuid.POLICY.leaves):
        assert struct.unpack("<8I", memory.bytes(leaves + 32 * i, 32)) == leaf.keep + leaf.set
    for i, msr in enumerate(msrs.answered()):
        assert struct.unpack("<4IQ", memory.bytes(rows + 24 * i, 24)) == (
            msr.first, msr.last, msr.read == "value", msr.write == "ignore", msr.value)
    assert [struct.unpack("<HHI", memory.bytes(outs + 8 * i, 8)) for i in range(3)] == [
        (0x604, 2, 0x2000), (0xcf9, 1, 2), (0xcf9, 1, 6)]
    assert linked.layout("pc") == 0xfec00000 and linked.layout("pc", AT["layout_pc.trampoline"]) == 0x8000
    assert struct.unpack("<II", memory.bytes(linked.place("pc") + AT["layout_pc.ioapic_lines"], 8)) == (24, 2)


def test_devices_have_ports_and_memory(linked: Linked) -> None:
    memory = linked.memory
    count = linked.word("device_count")
    rows = [struct.unpack("<QQQHHI", memory.bytes(linked.layout("devices") + 32 * i, 32)) for i in range(count)]
    assert [(row[0], row[1], row[3], row[5]) for row in rows] == [
        (0xfd000000, 0x2000, 1, 9), (0xfec00000, 0x1000, 0xffff, 0), (1 << 63 | 0x70, 2, 0xffff, 0),
        (1 << 63 | 0x2f8, 8, 1, 9), (1 << 63 | 0x3f8, 8, 0xffff, 0)]
    assert rows == sorted(rows)


def test_images_are_where_the_layout_says(linked: Linked) -> None:
    memory = linked.memory
    images = memory.read(linked.partition(0) + AT["layout_partition.images"])
    source, target, size = (memory.read(images + 8 * i) for i in range(3))
    assert source % 16 == 0 and size == 1008 and target == 66 * MIB
    assert memory.bytes(source, size) == (bytes(range(251)) * 5)[3:1004] + bytes(7)
    block, target, size = (memory.read(images + 24 + 8 * i) for i in range(3))
    data = (linked.out / "linux.boot").read_bytes()
    assert data == pvh.boot_block(linked.plan, linked.plan.partitions[0]).data
    assert target == 64 * MIB + 0xf0000 and memory.bytes(block, size) == data.ljust(size, b"\0")


def test_the_reset_entry_stands_once(linked: Linked) -> None:
    memory = linked.memory
    rows = []
    for index, last in ((0, 2), (1, 1)):
        images = memory.read(linked.partition(index) + AT["layout_partition.images"])
        rows.append([memory.read(images + 24 * last + 8 * i) for i in range(3)])
    first, second = rows
    assert (first[0], first[2]) == (second[0], second[2]) and memory.bytes(first[0], 16) == RESET_CODE
    assert [row[1] for row in rows] == [p.ram[0].pa + 0xffff0 for p in linked.plan.partitions]


def test_checksum_and_flat_file(linked: Linked) -> None:
    memory = linked.memory
    start, end = memory.symbols["__ro_tables_start"], memory.symbols["__ro_tables_end"]
    assert memory.read(memory.symbols["layout_checksum"]) == image.checksum(memory.bytes(start, end - start)) != 0
    flat = (linked.out / "bulkhead.bin").read_bytes()
    for at, data in memory.parts:
        assert flat[at - linked.plan.hv.base:at - linked.plan.hv.base + len(data)] == data
    assert not (linked.out / "bulkhead.itb").exists() and not (linked.out / "bulkhead.its").exists()
    data = (linked.out / "bulkhead.elf").read_bytes()
    assert data[0x12:0x14] == b"\x3e\x00" and b"\x04\0\0\0\x04\0\0\0\x12\0\0\0Xen\0" in data


def test_output_folder(linked: Linked) -> None:
    names = {p.name for p in linked.out.iterdir()}
    assert {"layout.c", "tables.c", "images.S", "sizes.ld", "report.html", "linux.boot", "linux.asl", "hello.boot",
            "hello.asl"} <= names
    report = (linked.out / "report.html").read_text()
    assert "/flash@fd000000" in report[report.index("ACPI has no name for"):]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (link(tmp_path / name) for name in ("a", "b") if (tmp_path / name).mkdir() is None)
    for name in ("layout.c", "tables.c", "linux.boot", "hello.boot", "linux.asl", "bulkhead.elf", "bulkhead.bin"):
        assert (first.out / name).read_bytes() == (second.out / name).read_bytes(), name


def test_sizes_hold_what_is_in_core(tmp_path: Path) -> None:
    plan = sample(tmp_path)
    sizes = emit_c.measure(plan, emit_c.read_core(samples.stub_core(tmp_path)))
    assert sizes == tables.Sizes(1, 2 * 3 + 2 * 3 + 2)         # stacks with guards, pages of the cores, .data and .bss
    many = emit_c.Core((emit_c.Section(".text.vectors", 2048, 2048), emit_c.Section(".text", 4095, 4),
                        emit_c.Section(".head", 2048, 16)), (emit_c.Section(".bss.late", 4096, 64), emit_c.Section(".data", 1, 1)))
    assert emit_c.measure(plan, many) == tables.Sizes(2, 12 + 2)


def test_a_layout_without_ioapic_and_outs(tmp_path: Path) -> None:
    plan = samples.one_partition()
    pc = plan.hardware.pc
    assert pc
    bare = samples.replace(plan.hardware, pc=samples.replace(pc, ioapic=None, off=(), reset=()), uart=None)
    linked = link(tmp_path, samples.replace(plan, hardware=bare, hv=Region(32 * MIB, 4 * MIB)))
    memory = linked.memory
    assert linked.layout("pc") == 0 and linked.layout("pc", AT["layout_pc.off"]) == 0
    assert struct.unpack("<II", memory.bytes(linked.place("pc") + AT["layout_pc.ioapic_lines"], 8)) == (0, 0xff)
    assert linked.word("console_irq") == 0, "nothing takes input"


def test_functions_of_a_layout(tmp_path: Path) -> None:
    linked = link(tmp_path, samples.cards())
    memory, pc = linked.memory, linked.place("pc")
    assert struct.unpack("<I", memory.bytes(pc + AT["layout_pc.function_count"], 4)) == (4,)
    rows = [struct.unpack("<QHHIII6I6I", memory.bytes(linked.layout("pc", AT["layout_pc.functions"]) + 72 * i, 72)) for i in range(4)]
    assert memory.bytes(rows[0][0], 24) == b"/pcie@b0000000/card@0,3\0"
    assert [row[1:6] for row in rows] == [(0, 0x18, 0x11e81234, 3, 0x111), (0, 0x28, 0x11e81234, 1, 0), (0, 0x300, 0x11e81234, 2, 0x113),
                                          (1, 0x20, 0x11e81234, 2, 0x312)]
    assert rows[0][6:] == (0xd0000000, 0xd001, 0, 0, 0, 0, 0xffffc000, 0xffffffc1, 0, 0, 0, 0)
    assert rows[3][6:] == (0, 0, 0xc, 8, 0, 0, 0, 0, 0xc, 0xffffffff, 0, 0)
