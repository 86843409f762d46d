# SPDX-License-Identifier: Apache-2.0
"""Plans for x86: where things lie on a PC and in its guests."""
from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from typing import Any, Optional

import pytest
from fake import GIB, MIB, pc, pc_memory
from test_plan import assert_sound, images, part, system
from test_rules import refused
from test_show import page

from hvgen import code, plan as planner, plan_json, rules, show, view
from hvgen.images import Image, Piece
from hvgen.model import DeviceSpec, Hardware, ImageSpec, IoApic, Partition, Pc, Plan, Region, Span

KIB = 1 << 10
COM1, COM2 = DeviceSpec("com1"), DeviceSpec("com2")


def guest(name: str, cpus: list[int], size: int, **rest: Any) -> Partition:
    return part(name, cpus, size, **{"image": ImageSpec("raw", f"{name}.bin", MIB), **rest})


def the_pc() -> Pc:
    board = pc().pc
    assert board
    return board


def make(hardware: Hardware, *parts: Partition, **rest: Any) -> Plan:
    described = system(*parts)
    assert rules.check(hardware, described, images(described)) == []
    result = planner.make(hardware, described, images(described), **rest)
    assert_sound(hardware, result)
    assert result.hv.base % (2 * MIB) == 0 and 16 * MIB <= result.hv.base and result.hv.end < 2 * GIB
    for region in [result.hv] + [Region(m.pa, m.size) for p in result.partitions for m in p.ram]:
        assert region.base >= MIB
    return result


def test_one_guest() -> None:
    plan = make(pc(), guest("a", [0, 2], 64 * MIB, console="vuart"))
    a = plan.partitions[0]
    assert (plan.vmm, plan.trampoline, plan.text_offset, plan.console_cpu) == ("svm", 0x8000, 0, 0)
    assert plan.hv == Region(16 * MIB, 448 * KIB)
    assert a.direct and (a.entry, a.dtb_ipa, a.dtb_room) == (MIB, 0xf0000, 60 * KIB)
    assert [(m.ipa, m.size) for m in a.mappings] == [(0, 64 * MIB)]
    assert (a.spis, a.ppis, a.ports) == ((), (), ())
    assert a.vuart and (a.vuart.ipa, a.vuart.intid) == (0x3f8, 4)
    assert [(b.what, b.ipa, b.pa - a.ram[0].pa) for b in a.blobs] == [
        ("image", MIB, MIB), ("boot", 0xf0000, 0xf0000), ("reset", 0xffff0, 0xffff0)]
    assert [(c.board_index, c.mpidr, c.redist) for c in plan.cpus] == [(0, 0, 0), (2, 2, 0)]
    assert plan.notes == () and (plan.pa_bits, a.ipa_bits) == (36, 32)
    assert [b.size for b in planner.with_dtb(plan, {"a": 4711}).partitions[0].blobs] == [4096, 4711, 16]


def test_vendor() -> None:
    parts = guest("a", [0], 64 * MIB)
    assert make(pc(vendor="intel"), parts, vmm="vmx").vmm == "vmx"
    assert make(pc(vendor="intel"), parts, vmm="vmx").notes == ()
    assert make(pc(vendor="intel"), parts, vmm="svm").notes == (
        "the code uses SVM (CONFIG_SVM), the board's devicetree says that its CPUs are intel,x86-64",)


def test_memory_has_a_hole_below_4_gib() -> None:
    plan = make(pc(16 * GIB), guest("a", [0], 5 * GIB), guest("b", [1], 2 * GIB), guest("c", [2], 2 * GIB + 4096))
    assert [[(m.ipa, m.size) for m in p.ram] for p in plan.partitions] == [
        [(0, 2 * GIB), (4 * GIB, 3 * GIB)], [(0, 2 * GIB)], [(0, 2 * GIB), (4 * GIB, 4096)]]
    assert [p.ipa_bits for p in plan.partitions] == [33, 32, 33]


@pytest.mark.parametrize("ram", [1024 * GIB, 16 * 1024 * GIB])
def test_large_boards_are_planned_at_once(ram: int) -> None:
    start = time.monotonic()
    plan = make(pc(ram), guest("big", [0, 1], ram - 4 * GIB), guest("small", [2], GIB))
    assert time.monotonic() - start < 0.2
    assert all((m.pa - m.ipa) % GIB == 0 for m in plan.partitions[0].ram)
    assert plan.hv.size <= 2 * MIB and plan.pa_bits == ram.bit_length()


def test_own_ports_and_lines() -> None:
    plan = make(pc(), guest("a", [0], 64 * MIB, console="vuart", devices=(COM2, DeviceSpec("rtc"))),
                guest("b", [1], 64 * MIB, console="vuart"))
    a, b = plan.partitions
    assert (a.ports, a.spis) == ((Region(0x70, 2), Region(0x2f8, 8)), (3, 8)) and (b.ports, b.spis) == ((), ())
    assert [(p.vuart.ipa, p.vuart.intid) for p in plan.partitions if p.vuart] == [(0x3f8, 4)] * 2
    assert [m.kind for m in a.mappings] == ["ram"]


@pytest.mark.parametrize("devices, found", [((), (0x3f8, 4)), ((COM1,), (0x2f8, 3)), ((COM2,), (0x3f8, 4))])
def test_vuart_where_the_board_has_no_console(devices: tuple[DeviceSpec, ...], found: tuple[int, int]) -> None:
    plan = make(pc(uart=None), guest("a", [0], 64 * MIB, console="vuart", devices=devices))
    vuart = plan.partitions[0].vuart
    assert vuart and (vuart.ipa, vuart.intid) == found
    assert plan.console_cpu is None and "no console" in plan.notes[0]


def test_vuart_at_another_console() -> None:
    uart = pc().uart
    assert uart
    hardware = pc(uart=replace(uart, path="/serial@2f8", region=Region(0x2f8, 8), intid=3))
    plan = make(hardware, guest("a", [0], 64 * MIB, console="vuart"), guest("b", [1], 64 * MIB, console="vuart", devices=(COM1,)))
    assert [p.vuart for p in plan.partitions] == [planner.Vuart(0x2f8, 3)] * 2 and plan.partitions[1].spis == (4,)


def test_vuart_needs_ports_and_line() -> None:
    few = pc(uart=None, pc=replace(the_pc(), ioapic=IoApic("/interrupt-controller@fec00000", Region(0xfec00000, 0x1000), 4, 2)))
    assert make(few, guest("a", [0], 64 * MIB, console="vuart")).partitions[0].vuart == planner.Vuart(0x2f8, 3)
    silent = pc(uart=None, devices=tuple(replace(d, interrupts=()) if d.path == "/serial@3f8" else d for d in pc().devices))
    own = guest("a", [0], 64 * MIB, console="vuart", devices=(COM1,))
    assert make(silent, own).partitions[0].vuart == planner.Vuart(0x2f8, 3)
    none = pc(uart=None, pc=replace(the_pc(), ioapic=None))
    assert "[IRQ-NONE-FREE]" in refused(none, guest("a", [0], 64 * MIB, console="vuart"))[0]


def test_the_first_mib_is_nobodys() -> None:
    make(pc(reserved=()), guest("a", [0], 4 * GIB - 64 * MIB))
    assert "less 640 KiB kept for firmware" in refused(pc(reserved=()), guest("a", [0], 4 * GIB))[0]


def test_no_place_for_a_vuart() -> None:
    both = guest("a", [0], 64 * MIB, console="vuart", devices=(COM1, COM2))
    assert refused(pc(uart=None), both) == [
        ": error[IRQ-NONE-FREE]: no COM port with its line of board 'pc' is free for the virtual UART of partition 'a'\n"
        "  fix: leave out its 'console: vuart'"]


def test_a_polled_console_takes_no_core() -> None:
    uart = pc().uart
    assert uart
    plan = make(pc(uart=replace(uart, intid=0)), guest("a", [0], 64 * MIB, console="vuart"))
    assert plan.console_cpu is None and plan.notes == ("no console input: the board's UART has no interrupt",)
    assert plan.partitions[0].vuart == planner.Vuart(0x3f8, 4)


@pytest.mark.parametrize("low, page", [
    (Region(0, 0xa0000), 0x8000), (Region(0, 0x6000), 0x5000), (Region(0x10000, 0x90000), 0x9f000), (Region(0, 0x1000), None)])
def test_trampoline(low: Region, page: Optional[int]) -> None:
    hardware = pc(memory=(low, *pc_memory(4 * GIB)[1:]))
    if page is not None:
        assert make(hardware, guest("a", [0], 64 * MIB)).trampoline == page
        return
    assert refused(hardware, guest("a", [0], 64 * MIB)) == [
        "s.yaml:1:8: error[HV-NO-ROOM]: other cores start in a page of RAM below 640 KiB, board 'pc' has none\n"
        "  fix: describe all of its RAM, from address 0 on, in the board's devicetree"]


def test_no_room_below_2_gib() -> None:
    hardware = pc(memory=(Region(0, 0xa0000), Region(MIB, 15 * MIB + 64 * KIB), Region(4 * GIB, GIB)))
    assert refused(hardware, guest("a", [0], 64 * MIB)) == [
        "s.yaml:1:8: error[HV-NO-ROOM]: the hypervisor and its guests' images need 320 KiB between 16 MiB and 2 GiB at a "
        "multiple of 2 MiB, the largest free range of board 'pc' there has 64 KiB\n"
        "  fix: smaller images, or fewer reserved ranges in the board folder"]


def test_lines_of_a_smaller_ioapic() -> None:
    small = Pc(IoApic("/interrupt-controller@fec00000", Region(0xfec00000, 0x1000), 8, 2), 0x608, 0, (), ())
    assert [line.partition("error")[2] for line in refused(pc(pc=small), guest("a", [0], 64 * MIB, devices=(DeviceSpec("rtc"),)))] == [
        "[IRQ-RANGE]: '/rtc@70' has interrupt 8, outside 0 to 7\n  fix: correct 'interrupts' in the board's devicetree"]


def test_random_systems_are_sound() -> None:
    rng = random.Random(2)
    planned = 0
    for _ in range(300):
        ram = rng.randrange(64 * MIB, 12 * GIB, MIB)
        keep = tuple((Region(MIB + rng.randrange(0, 3 * GIB, 4096), rng.randrange(1, 1 << 22)), "x") for _ in range(2))
        parts = [guest(f"p{n}", [n], rng.choice([4096 * rng.randint(1024, 99999), MIB * rng.randint(4, 4000)]))
                 for n in range(rng.randint(1, 4))]
        try:
            described = system(*parts)
            assert_sound(pc(ram, reserved=keep), planner.make(pc(ram, reserved=keep), described, images(described)))
            planned += 1
        except planner.Refused:
            pass
    assert planned > 100


def test_initrd_lies_behind_the_kernel() -> None:
    linux = Image("linux", (Piece("kernel", "k", 20 * MIB, 16 * MIB), Piece("initrd", "i", 5000)), entry=16 * MIB + 0x850,
                  memory_size=40 * MIB + 5)
    part_of = guest("a", [0], 128 * MIB, image=ImageSpec("linux", "k", 0, "i"))
    plan = planner.make(pc(), system(part_of), {"a": linux})
    a = plan.partitions[0]
    assert a.initrd == Region(56 * MIB + 4096, 5000) and a.entry == 0x1000850
    assert [(b.what, b.ipa, b.size) for b in a.blobs] == [
        ("kernel", 16 * MIB, 20 * MIB), ("initrd", 56 * MIB + 4096, 5000), ("boot", 0xf0000, 0), ("reset", 0xffff0, 16)]
    with pytest.raises(planner.Refused, match="IMG-SIZE.*kernel and initrd: 56.1 MiB of memory are needed, there are 56.0 MiB"):
        planner.make(pc(), system(replace(part_of, memory=replace(part_of.memory, size=56 * MIB + 4096))), {"a": linux})
    alone = replace(linux, pieces=linux.pieces[:1])
    with pytest.raises(planner.Refused, match="IMG-SIZE.*the kernel: 56.1 MiB of memory are needed, there are 56 MiB"):
        planner.make(pc(), system(replace(part_of, memory=replace(part_of.memory, size=56 * MIB))), {"a": alone})


def test_all_must_lie_below_the_hole() -> None:
    high = guest("a", [0], 4 * GIB, image=ImageSpec("raw", "a.bin", 2 * GIB - 4096))
    too_high = replace(high, image=replace(high.image, offset=2 * GIB - 16))
    assert [line.partition("error")[2] for line in refused(pc(16 * GIB), too_high)] == [
        "[IMG-SIZE]: image of partition 'a': 'a.bin' (4096 bytes) at offset 0x7ffffff0: 2048.1 MiB of memory are needed, "
        "there are 2 GiB\n"
        "  note: s.yaml:5:3: its memory is given here\n"
        "  fix: a guest on x86 has no more than 2 GiB below its hole for registers: use smaller files"]
    assert make(pc(16 * GIB), high).partitions[0].entry == 2 * GIB - 4096


def test_fixed_memory_may_be_larger_than_the_hole_allows() -> None:
    plan = make(pc(16 * GIB), guest("a", [0], 3 * GIB, memory=dict(physical=5 * GIB)))
    assert [(m.ipa, m.pa, m.size) for m in plan.partitions[0].ram] == [(0, 5 * GIB, 2 * GIB), (4 * GIB, 7 * GIB, GIB)]


# ---------------------------------------------------------------- what is shown

def shown() -> Plan:
    return make(pc(), guest("a", [0], 64 * MIB, console="vuart", devices=(COM2,)), guest("b", [2], 64 * MIB))


def test_show() -> None:
    text = show.text(shown())
    for words in ("start of other cores", "core 2  x86-64  APIC ID 2  b vcpu 0", "direct, console input",
                  "boot information 0xf0000", "I/O ports 0x2f8-0x2ff", "I/O ports 0x3f8-0x3ff  virtual UART, line 4",
                  "3  line  edge  a           /serial@2f8", "console input, NMI on core 0", "alarm and clock", "I/O ports\n"):
        assert words in text, words
    assert "mpidr" not in text and "SPI" not in text and all(line == line.rstrip() for line in text.splitlines())


def test_rows() -> None:
    plan = shown()
    rows = view.memory_rows(plan)
    assert sum(r.region.size for r in rows) == sum(r.size for r in plan.hardware.memory)
    assert [r.what for r in rows if r.owner == view.HYPERVISOR] == ["start of other cores", "hypervisor, tables, guest images"]
    assert [(r.path, r.owner) for r in view.port_rows(plan)] == [
        ("/timer@40", view.HYPERVISOR), ("/rtc@70", view.FREE), ("/serial@2f8", 0), ("/serial@3f8", view.HYPERVISOR),
        ("/fw-cfg@510", view.FREE), ("/timer@608", view.HYPERVISOR)]
    assert not any(r.of_core for r in view.irq_rows(plan))


def test_report() -> None:
    words = page(shown())
    for word in ("start of other cores", "APIC ID 2", "/serial@2f8 (I/O ports)", "virtual UART (I/O ports)", "port 0x3f8", "line",
                 "alarm and clock", "0x2f8-0x2ff"):
        assert word in words, word
    assert "MPIDR" not in words and "INTID" not in words and "0x13f7" not in words     # ports are no page


def test_report_names_devices_without_interrupts() -> None:
    silent = pc(devices=tuple(replace(d, interrupts=()) if d.path == "/serial@2f8" else d for d in pc().devices))
    assert "no interrupt" in page(make(silent, guest("a", [0], 64 * MIB, devices=(COM2,))))


def test_plan_json() -> None:
    made = json.loads(plan_json.text(shown()))
    assert made["hypervisor"] == {"base": "0x1000000", "size": 640 * KIB, "vmm": "svm", "trampoline": "0x8000"}
    assert made["cpus"][1] == {"board_index": 2, "apic_id": 2, "partition": "b", "vcpu": 0}
    a = made["partitions"][0]
    assert (a["lines"], a["ports"], a["vuart"]) == ([3], [{"base": "0x2f8", "size": 8}], {"port": "0x3f8", "line": 4})
    assert a["boot_block"] == {"guest": "0xf0000", "room": 60 * KIB} and a["interrupts"] == "direct"
    assert [i["what"] for i in a["images"]] == ["image"] and "spis" not in a


# ---------------------------------------------------------------- which code is built

@pytest.mark.parametrize("text, arch, vmm, line, settings", [
    ("", "arm64", "", 0, ""), ("CONFIG_X86=y\n", "x86", "svm", 1, "X86"),
    ("# a\nCONFIG_X86=y\nCONFIG_VMX=y\n", "x86", "vmx", 2, "X86 VMX"),
    ("CONFIG_X86=y\nCONFIG_SVM=y\n# CONFIG_VMX is not set\n", "x86", "svm", 1, "X86 SVM"),
    ("# CONFIG_X86 is not set\nCONFIG_POOLS=y\n", "arm64", "", 0, "POOLS")])
def test_code(tmp_path: Any, text: str, arch: str, vmm: str, line: int, settings: str) -> None:
    file = tmp_path / "defconfig"
    file.write_text(text)
    expected = code.Code(arch, vmm, Span(str(file), line, 1 if line else 0), frozenset(settings.split()))  # type: ignore[arg-type]
    assert code.read(str(file)) == expected


def test_without_a_defconfig_the_board_decides(tmp_path: Any) -> None:
    nothing = code.read(str(tmp_path / "defconfig"))
    assert nothing.arch is None and code.check(pc(), system(), nothing) == []
    assert (code.arch_of(pc(), nothing), code.arch_of(None, nothing)) == ("x86", "arm64")
