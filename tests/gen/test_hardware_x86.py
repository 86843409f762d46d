# SPDX-License-Identifier: Apache-2.0
"""x86 boards: devicetree and board.yaml -> Hardware, what is refused, and the board folders of the repository."""
from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Optional

import pytest
from test_hardware import ROOT, board as arm_board, compile_dts, device, folder, load_refusals

sys.path.insert(0, str(ROOT / "scripts"))

from hvgen import hardware, hardware_x86, newboard, pci, place  # noqa: E402
from hvgen.boardfile import BoardFile  # noqa: E402
from hvgen.diag import Refused, render  # noqa: E402
from hvgen.model import Bar, Function, Hardware, Interrupt, IoApic, Out, Region, Span  # noqa: E402

MIB, GIB = 1 << 20, 1 << 30
HEAD = """/dts-v1/;
/ {
    model = "Test"; compatible = "test,pc"; #address-cells = <2>; #size-cells = <1>; interrupt-parent = <&ioapic>;
    cpus { #address-cells = <1>; #size-cells = <0>;
        cpu@0 { device_type = "cpu"; compatible = "intel,x86-64"; reg = <0>; };
        cpu@2 { device_type = "cpu"; compatible = "intel,x86-64"; reg = <2>; };
        cpu@fe { device_type = "cpu"; compatible = "intel,x86-64"; reg = <254>; };
        cpu@ff { device_type = "cpu"; compatible = "intel,x86-64"; reg = <255>; status = "disabled"; };
    };
    memory@0 { device_type = "memory"; reg = <0 0x0 0xa0000>, <0 0x100000 0x7ff00000>; };
    ioapic: interrupt-controller@fec00000 { compatible = "intel,ioapic"; interrupt-controller; #address-cells = <0>;
        #interrupt-cells = <2>; reg = <0 0xfec00000 0x1000>; bulkhead,lines = <24>; };
"""
PM_TIMER = 'timer@408 { compatible = "acpi,pm-timer"; bulkhead,io-ports; reg = <0 0x408 4>; };'
PIT = 'timer@40 { compatible = "intel,i8254"; bulkhead,io-ports; reg = <0 0x40 4>; interrupts = <2 1>; };'
COM1 = 'com1: serial@3f8 { compatible = "ns16550a"; bulkhead,io-ports; reg = <0 0x3f8 8>; interrupts = <4 1>; };'
LOW = ((Region(0, MIB), "BIOS"),)


def board(body: str = PM_TIMER + PIT + COM1, head: str = HEAD, **facts: object) -> Hardware:
    facts = {"firmware": LOW, **facts}
    file = BoardFile(file="b/board.yaml", devicetree="b/board.dts", **facts)  # type: ignore[arg-type]
    return hardware.from_devicetree(compile_dts(head + body + "};"), "b", "b", file)


def refusals(body: str = PM_TIMER + PIT + COM1, head: str = HEAD, **facts: object) -> list[str]:
    with pytest.raises(Refused) as caught:
        board(body, head, **facts)
    return [render(d).split("\n")[0] for d in caught.value.diagnostics]


# ---------------------------------------------------------------- what a board has

def test_cores_are_known_by_their_apic_ids() -> None:
    assert [(c.path, c.mpidr, c.enable_method) for c in board().cpus] == [
        ("/cpus/cpu@0", 0, ""), ("/cpus/cpu@2", 2, ""), ("/cpus/cpu@fe", 254, "")]


def test_a_pc_has_neither_gic_nor_timer_nor_psci() -> None:
    hw = board()
    assert (hw.gic, hw.timer, hw.psci) == (None, None, "none")
    assert arm_board().pc is None
    assert board(PM_TIMER + 'psci { compatible = "arm,psci-1.0"; method = "smc"; };').psci == "none"


def test_ioapic_alarm_and_clock() -> None:
    pc = board().pc
    assert pc and pc.ioapic == IoApic("/interrupt-controller@fec00000", Region(0xfec00000, 0x1000), 24, 2)
    assert (pc.pm_timer, pc.tsc_hz, pc.off, pc.reset) == (0x408, 0, (), ())


def test_without_an_alarm() -> None:
    pc = board(PM_TIMER).pc
    assert pc and pc.ioapic and pc.ioapic.pit_line == -1


@pytest.mark.parametrize("cells, hz", [("<2400000000>", 2_400_000_000), ("<1 0x2a05f200>", 5_000_000_000)])
def test_a_known_frequency_needs_no_timer(cells: str, hz: int) -> None:
    head = HEAD.replace("cpus { ", f"cpus {{ timebase-frequency = {cells}; ")
    pc = board(COM1, head).pc
    assert pc and (pc.tsc_hz, pc.pm_timer) == (hz, 0)


def test_ports_are_no_addresses() -> None:
    com1 = device(board(), "com1")
    assert (com1.ports, com1.regs, com1.interrupts, com1.dma) == ((Region(0x3f8, 8),), (), (Interrupt(4, 1),), False)
    assert not device(board(), "com1").interrupts[0].flags & 0xc and com1.interrupts[0].edge


def test_ports_are_not_translated_by_a_bus() -> None:
    hw = board(PM_TIMER + """isa { #address-cells = <1>; #size-cells = <1>; ranges = <0x0 0x1 0x0 0x10000>;
        lpt: parallel@378 { compatible = "pnpPNP,400"; bulkhead,io-ports; reg = <0x378 8>, <0x778 3>; };
        rom: rom@1000 { compatible = "mmio-sram"; reg = <0x1000 0x100>; }; };""")
    assert device(hw, "lpt").ports == (Region(0x378, 8), Region(0x778, 3)) and device(hw, "lpt").regs == ()
    assert device(hw, "rom").regs == (Region(0x1_0000_1000, 0x100),) and device(hw, "rom").ports == ()


def test_pci_functions_are_devices_and_know_their_lines() -> None:
    hw = board(PM_TIMER + """pcie@e0000000 { compatible = "pci-host-ecam-generic"; device_type = "pci"; #address-cells = <3>;
        #size-cells = <2>; #interrupt-cells = <1>; reg = <0 0xe0000000 0x10000000>;
        ranges = <0x2000000 0 0xc0000000 0 0xc0000000 0 0x1000000>;
        interrupt-map-mask = <0xf800 0 0 7>; interrupt-map = <0x1000 0 0 1 &ioapic 22 8>;
        nic: ethernet@2,0 { compatible = "pci8086,10d3"; reg = <0x1000 0 0 0 0>; interrupts = <1>; };
        vga@1,0 { reg = <0x800 0 0 0 0>; }; };""")
    nic = device(hw, "nic")
    assert (nic.regs, nic.ports, nic.interrupts, nic.dma) == ((), (), (Interrupt(22, 8),), True)
    assert device(hw, "/pcie@e0000000/vga@1,0").dma


CARDS = PM_TIMER + """pcie@e0000000 { compatible = "pci-host-ecam-generic"; device_type = "pci"; #address-cells = <3>;
    #size-cells = <2>; #interrupt-cells = <1>; reg = <0 0xe0000000 0x10000000>;
    interrupt-map-mask = <0xf800 0 0 7>; interrupt-map = <0x1800 0 0 2 &ioapic 22 8>;
    can: can@3,2 { compatible = "vendor,can", "pci13fe,c302"; reg = <0x011a00 0 0 0 0>; interrupts = <2>;
        assigned-addresses = <0x01011a14 0 0xd000 0 0x40>, <0x02011a10 0 0xd0000000 0 0x4000>, <0x43011a18 0x80 0 0x1 0>; };
    arinc: arinc@4,0 { reg = <0x2000 0 0 0 0>; interrupts-extended = <&ioapic 19 8>; };
    bridge: pci@5,0 { device_type = "pci"; #address-cells = <3>; #size-cells = <2>; reg = <0x2800 0 0 0 0>;
        behind: can@0,0 { compatible = "pci13fe,c302"; reg = <0x020000 0 0 0 0>; }; }; };"""


def test_functions_have_their_bars() -> None:
    hw = board(CARDS)
    can = device(hw, "can")
    assert can.function == Function(0x11a, 0xc30213fe, (
        Bar(0, Region(0xd0000000, 0x4000), False, False, False), Bar(1, Region(0xd000, 0x40), True, False, False),
        Bar(2, Region(0x80 << 32, 1 << 32), False, True, True)), 2, False)
    assert can.regs == (Region(0xd0000000, 0x4000), Region(0x80 << 32, 1 << 32)) and can.ports == (Region(0xd000, 0x40),)
    assert can.interrupts == (Interrupt(22, 8),)
    assert device(hw, "arinc").function == Function(0x20, 0, (), 1, False) and device(hw, "arinc").interrupts == (Interrupt(19, 8),)
    assert (found := device(hw, "bridge").function) and found.bridge
    assert (found := device(hw, "behind").function) and found.address == 0x200
    assert device(hw, "/pcie@e0000000").function is None


def test_registers_of_a_function() -> None:
    found = device(board(CARDS), "can").function
    assert found is not None
    assert pci.registers(found, False) == [0xd0000000, 0xd001, 0xc, 0x80, 0, 0]
    assert pci.registers(found, True) == [0xffffc000, 0xffffffc1, 0xc, 0xffffffff, 0, 0]
    assert pci.command(found) == 3 and pci.command(replace(found, bars=found.bars[:1])) == 2


def test_functions_of_other_boards_stay_as_they_are() -> None:
    """On ARM64 no BAR is looked at: what is behind a PCI host there is the host's."""
    hw = arm_board("""pcie@10000000 { compatible = "pci-host-ecam-generic"; device_type = "pci"; #address-cells = <3>; #size-cells = <2>;
        reg = <0 0x10000000 0 0x1000000>;
        nic: nic@1,0 { reg = <0x800 0 0 0 0>; assigned-addresses = <0x02000810 0 0x20000000 0 0x1000>; }; };""")
    nic = next((d for d in hw.devices if d.path.endswith("nic@1,0")), None)
    assert nic is None or (nic.regs, nic.function) == ((), None)


def test_the_console_is_set_up_within_the_four_writes_of_a_layout() -> None:
    uart = board().uart
    assert uart and (uart.path, uart.width, uart.region, uart.intid) == ("/serial@3f8", 0, Region(0x3f8, 8), 4)
    assert (uart.tx, uart.tx_status, uart.tx_mask, uart.rx_status, uart.rx_mask) == (0, 5, 0x20, 5, 1)
    assert uart.init == ((3, 0x83), (0, 1), (3, 0x03), (2, 0x01))      # 115200 baud, 8N1, FIFOs
    assert uart.rx_on == ((4, 0x0b), (1, 0x01))                        # OUT2, receive interrupt
    assert len(uart.init) <= 4 and len(uart.rx_on) <= 2


@pytest.mark.parametrize("speed, divisor", [(9600, 12), (57600, 2), (115200, 1), (300, None), (4000000, None)])
def test_another_rate(speed: int, divisor: Optional[int]) -> None:
    """A divisor that one byte does not hold is left as firmware has set it."""
    uart = board(PM_TIMER + COM1.replace("reg", f"current-speed = <{speed}>; clock-frequency = <1843200>; reg")).uart
    assert uart and uart.init == (((3, 0x83), (0, divisor)) if divisor else ()) + ((3, 0x03), (2, 0x01))


def test_a_16550_in_memory_is_as_on_other_boards() -> None:
    body = PM_TIMER + 'serial@fe001000 { compatible = "ns16550a"; reg = <0 0xfe001000 0x100>; reg-shift = <2>; reg-io-width = <4>; };'
    uart = board(body).uart
    assert uart and (uart.width, uart.tx_status, uart.init, uart.intid) == (4, 20, ((4, 0),), 0)


# ---------------------------------------------------------------- what is refused; tests/reject has the messages

def test_ids_are_refused() -> None:
    head = HEAD.replace("reg = <2>", "reg = <0>").replace('status = "disabled"; ', "")
    assert refusals(head=head) == [
        "b/board.dts: error[BOARD-APIC-ID]: /cpus/cpu@2 has APIC ID 0, which /cpus/cpu@0 has already",
        "b/board.dts: error[BOARD-APIC-ID]: /cpus/cpu@ff has APIC ID 255; this version uses cores up to 254"]


@pytest.mark.parametrize("change, said", [
    (("bulkhead,lines = <24>", "bulkhead,lines = <65>"), "'bulkhead,lines' must give the number of its inputs, from 1 to 64"),
    (("bulkhead,lines = <24>", "bulkhead,lines"), "'bulkhead,lines' must give"),
    (("0xfec00000 0x1000", "0xfec00010 0x1000"), "'reg' must give the address of its page"),
    (("#interrupt-cells = <2>", "#interrupt-cells = <1>"), "it must be an 'interrupt-controller'"),
])
def test_half_an_ioapic_is_refused(change: tuple[str, str], said: str) -> None:
    assert any("error[BOARD-NO-IOAPIC]" in text and said in text for text in refusals(PM_TIMER, HEAD.replace(*change)))


def test_no_ioapic_is_refused() -> None:
    assert refusals(PM_TIMER, HEAD.replace('"intel,ioapic"', '"intel,other"'))[0] == (
        "b/board.dts: error[BOARD-NO-IOAPIC]: the board has no I/O APIC")


def test_two_ioapics_are_refused_unless_one_is_disabled() -> None:
    second = 'pic2: x@fec10000 { compatible = "intel,ioapic"; bulkhead,lines = <8>; reg = <0 0xfec10000 0x1000>; };'
    assert refusals(PM_TIMER + second) == ["b/board.dts: error[BOARD-NO-IOAPIC]: the board has 2 I/O APICs, this version drives one"]
    pc = board(PM_TIMER + second.replace("reg", 'status = "disabled"; reg')).pc
    assert pc and pc.ioapic and pc.ioapic.lines == 24


def test_no_clock_is_refused() -> None:
    assert [text.split(":")[1] for text in refusals(COM1)] == [" error[BOARD-NO-TIMER]"]
    assert "BOARD-NO-TIMER" in refusals(COM1 + PM_TIMER.replace("reg", 'status = "disabled"; reg'))[0]


@pytest.mark.parametrize("node, said", [
    ("x@2000 { bulkhead,io-ports = <1>; bulkhead,prots; reg = <0 0x2000 4>; };", "there is no property 'bulkhead,prots'"),
    ("x@2000 { bulkhead,io-ports; };", "'bulkhead,io-ports' asks for a 'reg'"),
    ("x@fffe { bulkhead,io-ports; reg = <0 0xfffe 4>; };", "I/O ports 0xfffe-0x10001 do not exist"),
    ("x@1 { bulkhead,io-ports; reg = <1 0x3f8 8>; };", "do not exist: the last is 0xffff"),
    ('x@3f8 { compatible = "ns16550a"; reg = <0 0x3f8 8>; };', "registers at 0x3f8-0x3ff would lie in the first 64 KiB"),
    ("x { interrupts = <24 1>; };", "line 24 of the I/O APIC does not exist: it has 24"),
    ("x { interrupts = <23 3>; };", "line 23 has flags 0x3"),
    ("x { bulkhead,lines = <3>; };", "'bulkhead,lines' is a property of I/O APICs"),
])
def test_unsound_nodes_are_refused(node: str, said: str) -> None:
    text, = refusals(PM_TIMER + node)
    assert text.startswith("b/board.dts: error[BOARD-NODE]: /x") and said in text


def test_a_sound_node_at_the_edge_is_not() -> None:
    hw = board(PM_TIMER + "x@fff8 { bulkhead,io-ports; reg = <0 0xfff8 8>; interrupts = <23 8>; };")
    assert device(hw, "/x@fff8").ports == (Region(0xfff8, 8),)


def test_ram_must_not_cover_registers() -> None:
    bank = "<0 0x100000 0x7ff00000>"
    assert [text.partition(" covers ")[2] for text in refusals(head=HEAD.replace(bank, "<0 0x100000 0xfff00000>"))] == [
        "the registers of /interrupt-controller@fec00000 at 0xfec00000-0xfec00fff",
        "the registers of the local APICs at 0xfee00000-0xfeefffff"]
    assert board(head=HEAD.replace(bank, "<0 0x100000 0xfeb00000>")).memory[-1].end == 0xfec00000
    assert "BOARD-NODE" in refusals(memory=(Region(0, MIB), Region(0xfeef0000, 0x20000)))[0]


def test_the_first_mib_must_be_firmwares() -> None:
    for firmware in ((), ((Region(0, MIB - 0x1000), "BIOS"),), ((Region(0x1000, MIB), "BIOS"),)):
        assert refusals(firmware=firmware) == [
            "b/board.yaml: error[BOARD-FILE]: the first MiB of a PC is its firmware's, but 'firmware' does not say so"]


def test_keys_of_the_other_architecture_are_refused() -> None:
    keys = {"psci": Span("b/board.yaml", 3, 7), "redistributor-stride": Span("b/board.yaml", 4, 7)}
    assert refusals(keys=keys) == ["b/board.yaml:3:7: error[BOARD-FILE]: 'psci' is not for x86 boards",
                                   "b/board.yaml:4:7: error[BOARD-FILE]: 'redistributor-stride' is not for x86 boards"]
    with pytest.raises(Refused) as caught:
        arm_board(keys={"reset": Span("b/board.yaml", 5, 8)})
    assert render(caught.value.diagnostics[0]).startswith("b/board.yaml:5:8: error[BOARD-FILE]: 'reset' is for x86 boards")


def test_garbled_blobs_never_crash() -> None:
    blob = compile_dts(HEAD + PM_TIMER + PIT + COM1 + "};")
    for at in range(56, len(blob), 5):
        damaged = blob[:at] + bytes([blob[at] ^ 0x5a]) + blob[at + 1:]
        try:
            hardware.from_devicetree(damaged, "b", "b", BoardFile("b/board.yaml", "b/board.dtb", firmware=LOW))
        except Refused:
            pass


# ---------------------------------------------------------------- board.yaml

def yaml_board(tmp_path: Path, yaml: str) -> Path:
    return folder(tmp_path, "firmware: [{base: 0x0, size: 1 MiB}]\n" + yaml, HEAD + PM_TIMER + COM1 + "};")


def test_writes_keep_their_order(tmp_path: Path) -> None:
    path = yaml_board(tmp_path, "reset: [{port: 0xcf9, width: 1, value: 2}, {value: 6, port: 0xcf9, width: 1}]\n"
                                "poweroff:\n  - {port: 0xfffc, width: 4, value: 0xffffffff}\n")
    pc = hardware.load_board(str(path), str(ROOT)).pc
    assert pc and pc.reset == (Out(0xcf9, 1, 2), Out(0xcf9, 1, 6)) and pc.off == (Out(0xfffc, 4, 0xffffffff),)


@pytest.mark.parametrize("entry", ["{port: 0x10000, width: 1, value: 0}", "{port: 0xffff, width: 2, value: 0}",
                                   "{port: 1, width: 8, value: 0}", "{port: 1, width: 1, value: 256}", "{port: 1, width: 1}",
                                   "{port: x, width: 1, value: 0}"])
def test_writes_that_cannot_be_are_refused(tmp_path: Path, entry: str) -> None:
    assert "error[BOARD-FILE]" in load_refusals(yaml_board(tmp_path, f"reset: [{entry}]\n"))[0]


@pytest.mark.parametrize("value", ["[]", "5", "{port: 1, width: 1, value: 0}"])
def test_writes_are_a_list(tmp_path: Path, value: str) -> None:
    text, = load_refusals(yaml_board(tmp_path, f"poweroff: {value}\n"))
    assert "'poweroff' must be a list of 1 to 16 entries" in text


# ---------------------------------------------------------------- the boards of the repository

BOARDS = ("qemu-q35", "qemu-q35-1t", "bochs")


@pytest.mark.parametrize("name, memory, pm_timer", [
    ("qemu-q35", (Region(0, 0xa0000), Region(MIB, 2 * GIB - MIB), Region(4 * GIB, 2 * GIB)), 0x608),
    ("qemu-q35-1t", (Region(0, 0xa0000), Region(MIB, 2 * GIB - MIB), Region(1 << 40, (1 << 40) - 2 * GIB)), 0x608),
    ("bochs", (Region(0, 0xa0000), Region(MIB, 3 * GIB - MIB)), 0xb008)])
def test_boards_of_the_repository(name: str, memory: tuple[Region, ...], pm_timer: int) -> None:
    hw = hardware.load_board(name, str(ROOT))
    assert hw.memory == memory and [c.mpidr for c in hw.cpus] == [0, 1, 2, 3]
    assert hw.pc and hw.pc.ioapic and (hw.pc.ioapic.lines, hw.pc.ioapic.pit_line, hw.pc.pm_timer) == (24, 2, pm_timer)
    assert hw.uart and (hw.uart.region, hw.uart.intid) == (Region(0x3f8, 8), 4)
    assert device(hw, "/serial@2f8").path == device(hw, "com2").path == device(hw, "serial1").path
    assert device(hw, "com2").ports == (Region(0x2f8, 8),) and device(hw, "com2").interrupts == (Interrupt(3, 1),)
    assert hw.pc.off and hw.pc.reset


@pytest.mark.parametrize("name", BOARDS)
def test_no_two_devices_share_ports(name: str) -> None:
    taken: dict[int, str] = {}
    for dev in hardware.load_board(name, str(ROOT)).devices:
        for port in (port for region in dev.ports for port in range(region.base, region.end)):
            assert taken.setdefault(port, dev.path) == dev.path, f"port {port:#x}"


@pytest.mark.parametrize("name", BOARDS)
def test_only_these_are_known_to_do_no_dma(name: str) -> None:
    """Whoever has ports of another device could move memory, reset the board or reprogram firmware."""
    harmless = {d.path for d in hardware.load_board(name, str(ROOT)).devices
                if d.ports and not d.dma and not any(c in hardware_x86.KEPT for c in d.compatible)}
    assert harmless == {"/rtc@70", "/serial@2f8", "/serial@3f8"}


def monitor(name: str, command: str, *more: str) -> str:
    """What QEMU's monitor says about the machine of a board folder."""
    words = shlex.split((ROOT / "boards" / name / "qemu.args").read_text(), comments=True)
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run(["timeout", "30", *words, *more, "-display", "none", "-serial", "null", "-serial", "null", "-monitor", "stdio"],
                          input=f"{command}\nquit\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.replace("\r", "")


@pytest.mark.parametrize("name", ["qemu-q35", "qemu-q35-1t"])
def test_the_boards_have_the_ram_that_qemu_gives(name: str) -> None:
    ram = [Region(int(a, 16), int(b, 16) + 1 - int(a, 16)) for a, b in
           re.findall(r"^ +([0-9a-f]{16})-([0-9a-f]{16}) \(prio \d+, ram\)", monitor(name, "info mtree -f"), re.M)]
    banks = hardware.merge(set(ram))
    for bank in hardware.load_board(name, str(ROOT)).memory:
        assert any(b.base <= bank.base and bank.end <= b.end for b in banks), bank
    assert max(b.end for b in banks) == hardware.load_board(name, str(ROOT)).memory[-1].end


def test_the_board_has_the_functions_and_ports_of_qemu() -> None:
    hw = hardware.load_board("qemu-q35", str(ROOT))
    said = re.findall(r"Bus +0, device +(\d+), function (\d+):\n +[^:]*: PCI device ([0-9a-f]{4}):([0-9a-f]{4})",
                      monitor("qemu-q35", "info pci", "-device", "edu,addr=3", "-device", "pci-serial,addr=4"))
    assert {(f"{int(d):x},{f}", f"pci{v},{i}") for d, f, v, i in said if (d, f) != ("0", "0")} == {
        (d.path.rsplit("@", 1)[1], d.compatible[0]) for d in hw.devices if d.path.startswith("/pcie@b0000000/")}
    ranges = re.findall(r"^ +([0-9a-f]{16})-([0-9a-f]{16}) \(prio 0, i/o\): (?:serial|pit|rtc|pic|dma-chan|apm-io|fwcfg)$",
                        monitor("qemu-q35", "info mtree"), re.M)
    assert len(ranges) >= 8
    for first, last in ranges:
        region = Region(int(first, 16), int(last, 16) + 1 - int(first, 16))
        assert any(r.base <= region.base and region.end <= r.end for d in hw.devices for r in d.ports), region


class Firmware:
    """What SeaBIOS says about the machine of a board folder: its memory map, its ACPI tables."""

    def __init__(self, name: str, folder: Path) -> None:
        words = shlex.split((ROOT / "boards" / name / "qemu.args").read_text(), comments=True)
        if shutil.which(words[0]) is None:
            pytest.skip(f"{words[0]} is not installed")
        log, ram = folder / "seabios.log", folder / "ram.bin"
        command = ["timeout", "60", *words, "-display", "none", "-serial", "null", "-serial", "null", "-monitor", "stdio",
                   "-debugcon", f"file:{log}", "-global", "isa-debugcon.iobase=0x402"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as qemu:
            assert qemu.stdin is not None
            while qemu.poll() is None and "e820 map has" not in (log.read_text() if log.exists() else ""):
                time.sleep(0.1)
            time.sleep(0.2)
            qemu.communicate(f"pmemsave 0x7ff00000 0x100000 \"{ram}\"\nquit\n")
        self.map = [(Region(int(a, 16), int(b, 16) - int(a, 16)), kind) for a, b, kind in
                    re.findall(r"^ +\d+: ([0-9a-f]+) - ([0-9a-f]+) = \d+ (\w+)", log.read_text(), re.M)]
        self.ram = ram.read_bytes()

    def table(self, signature: bytes) -> bytes:
        for found in re.finditer(re.escape(signature), self.ram):
            size = int.from_bytes(self.ram[found.start() + 4:found.start() + 8], "little")
            table = self.ram[found.start():found.start() + size]
            if 36 <= size == len(table) and sum(table) % 256 == 0:
                return table
        raise AssertionError(f"there is no {signature!r}")


def madt_entries(table: bytes) -> list[bytes]:
    """ACPI 6.5 5.2.12: after 44 bytes, entries that begin with type and length."""
    found, at = [], 44
    while at < len(table):
        found.append(table[at:at + table[at + 1]])
        at += table[at + 1]
    return found


@pytest.mark.parametrize("name", ["qemu-q35", "qemu-q35-1t"])
def test_the_boards_are_what_their_firmware_says(name: str, tmp_path: Path) -> None:
    firmware, hw = Firmware(name, tmp_path), hardware.load_board(name, str(ROOT))
    assert hw.pc and hw.pc.ioapic and hw.uart
    free = [region for region, kind in firmware.map if kind == "RAM"]
    for bank in hw.memory:                           # all RAM that is not reserved in board.yaml is free
        for piece in place.subtract([bank], [region for region, _ in hw.reserved]):
            assert place.inside(piece, free), piece
    entries = madt_entries(firmware.table(b"APIC"))
    assert [e[3] for e in entries if e[0] == 0 and e[4] & 1] == [c.mpidr for c in hw.cpus]
    assert [int.from_bytes(e[4:8], "little") for e in entries if e[0] == 1] == [hw.pc.ioapic.region.base]
    lines = {e[3]: (int.from_bytes(e[4:8], "little"), e[8]) for e in entries if e[0] == 2}
    assert lines[0] == (hw.pc.ioapic.pit_line, 0)
    assert lines[9] == (9, 0x0d) and device(hw, "/power@600").interrupts == (Interrupt(9, 4),)     # high level
    facp = firmware.table(b"FACP")
    assert [int.from_bytes(facp[at:at + 4], "little") for at in (64, 76)] == [hw.pc.off[0].port, hw.pc.pm_timer]
    assert int.from_bytes(facp[120:128], "little") == hw.pc.reset[0].port
    assert int.from_bytes(firmware.table(b"MCFG")[44:52], "little") == device(hw, "pci").regs[0].base


def test_the_example_of_the_porting_guide(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "porting.md").read_text().partition("## 9. A PC")[2]
    dts, yaml = (re.search(rf"^```{kind}\n(.*?)^```", text, re.M | re.S) for kind in ("dts", "yaml"))
    assert dts and yaml
    hw = hardware.load_board(str(folder(tmp_path, yaml[1], dts[1])), str(ROOT))
    assert [c.mpidr for c in hw.cpus] == [0, 2] and hw.uart and hw.uart.intid == 4
    assert hw.pc and hw.pc.pm_timer == 0x608 and hw.pc.off == (Out(0x604, 2, 0x2000),)


# ---------------------------------------------------------------- board-from-dtb

def test_a_pc_made_from_a_blob(tmp_path: Path) -> None:
    """There is a first folder, and what PCs do not have is not asked for."""
    (tmp_path / "x.dtb").write_bytes(compile_dts(HEAD + PM_TIMER + PIT + COM1 + "};"))
    made = newboard.board_from_dtb(str(tmp_path / "x.dtb"), str(tmp_path / "x"))
    assert not any("PSCI" in note for note in made.notes)
    assert any(note.startswith("power: ") for note in made.notes)
    hw = hardware.load_board(str(tmp_path / "x"), str(ROOT))
    assert hw.reserved == ((Region(0, MIB), "BIOS"),) and hw.pc
