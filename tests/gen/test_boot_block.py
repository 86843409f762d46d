# SPDX-License-Identifier: Apache-2.0
"""What an x86 guest finds at its start: hvm_start_info as Xen's header has it, and ACPI tables that acpica accepts."""
from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
import samples_x86 as samples
from hvgen import generate, guest_acpi, pc, pvh
from hvgen.diag import Failed
from hvgen.model import Device, Interrupt, Plan, Region, Watchdog
from samples import GIB, MIB

needs_iasl = pytest.mark.skipif(shutil.which("iasl") is None, reason="no iasl")


class Guest:
    """The boot block where the guest finds it; every address is checked to lie in it."""

    def __init__(self, plan: Plan, index: int) -> None:
        self.plan, self.part = plan, plan.partitions[index]
        self.block = pvh.boot_block(plan, self.part)
        self.base = self.part.dtb_ipa

    def at(self, address: int, size: int) -> bytes:
        start = address - self.base
        assert 0 <= start and start + size <= len(self.block.data), hex(address)
        return self.block.data[start:start + size]

    def text(self, address: int) -> str:
        data = self.block.data[address - self.base:]
        return data[:data.index(b"\0")].decode()

    def start_info(self) -> dict[str, int]:
        names = ("magic", "version", "flags", "nr_modules", "modlist_paddr", "cmdline_paddr", "rsdp_paddr", "memmap_paddr",
                 "memmap_entries", "reserved")
        return dict(zip(names, struct.unpack("<IIIIQQQQII", self.at(self.base, 56))))

    def memory(self) -> list[tuple[int, int, int]]:
        info = self.start_info()
        rows = [struct.unpack("<QQII", self.at(info["memmap_paddr"] + 24 * i, 24)) for i in range(info["memmap_entries"])]
        assert all(row[3] == 0 for row in rows)
        return [(row[0], row[0] + row[1], row[2]) for row in rows]

    def table(self, address: int) -> bytes:
        length = struct.unpack("<I", self.at(address + 4, 4))[0]
        data = self.at(address, length)
        assert sum(data) & 0xff == 0, f"checksum of {data[:4]!r}"
        assert data[10:16] == b"BULKHD" and data[16:24] == b"BULKHEAD"
        return data

    def tables(self) -> dict[str, bytes]:
        """From the RSDP to the DSDT, as an operating system goes."""
        rsdp = self.at(self.start_info()["rsdp_paddr"], 36)
        assert rsdp[:8] == b"RSD PTR " and rsdp[15] == 2 and sum(rsdp[:20]) & 0xff == 0 and sum(rsdp) & 0xff == 0
        rsdt, length, xsdt = struct.unpack("<IIQ", rsdp[16:32])
        assert rsdt == 0 and length == 36
        root = self.table(xsdt)
        assert root[:4] == b"XSDT" and root[8] == 1
        out = {"XSDT": root}
        for (address,) in struct.iter_unpack("<Q", root[36:]):
            found = self.table(address)
            out[found[:4].decode()] = found
        short, = struct.unpack("<I", out["FACP"][40:44])
        long, = struct.unpack("<Q", out["FACP"][140:148])
        assert short == long
        out["DSDT"] = self.table(long)
        return out


def guests(vmm: str = "svm") -> Iterator[Guest]:
    plan = samples.two_partitions("vmx" if vmm == "vmx" else "svm")
    yield from (Guest(plan, i) for i in range(2))


def test_start_info_of_a_linux() -> None:
    linux, hello = guests()
    info = linux.start_info()
    assert (info["magic"], info["version"], info["flags"], info["reserved"]) == (0x336ec578, 1, 0, 0)
    assert linux.text(info["cmdline_paddr"]) == "console=ttyS0 quiet"
    assert info["nr_modules"] == 1
    assert struct.unpack("<QQQQ", linux.at(info["modlist_paddr"], 32)) == (0x2000000, 123456, 0, 0)
    other = hello.start_info()
    assert (other["nr_modules"], other["modlist_paddr"]) == (0, 0)
    assert hello.text(other["cmdline_paddr"]) == ""
    assert all(info[f"{name}_paddr"] % 8 == 0 for name in ("modlist", "memmap", "rsdp"))


def test_memory_map() -> None:
    linux, hello = guests()
    low = [(0, 0x9f000, 1), (0x9f000, 0xf0000, 2), (0xf0000, 0xff000, 3), (0xff000, MIB, 2)]
    assert linux.memory() == low + [(MIB, GIB, 1), (4 * GIB, 4 * GIB + 3 * MIB, 1)]
    assert hello.memory() == low + [(MIB, 16 * MIB, 1)]
    for guest in (linux, hello):
        ram = {(m.ipa, m.ipa + m.size) for m in guest.part.ram}
        for base, end, _ in guest.memory():
            assert any(a <= base and end <= b for a, b in ram), "all of it is the partition's RAM"
        block_end = guest.base + len(guest.block.data)
        assert any(base <= guest.base and block_end <= end and kind == 3 for base, end, kind in guest.memory())


def test_pieces_of_ram_that_touch_are_one_range() -> None:
    hw = samples.hardware()
    ram = [samples.ram_mapping(0, 64 * MIB, 2 * MIB), samples.ram_mapping(2 * MIB, 96 * MIB, 30 * MIB)]
    plan = samples.plan(hw, [samples.partition(hw, 0, "a", [0], ram)])
    assert [r for r, kind in pvh.memory_map(plan.partitions[0]) if kind == 1] == [
        Region(0, 0x9f000), Region(MIB, 31 * MIB)]


def test_fadt() -> None:
    for guest in guests():
        fadt = guest.tables()["FACP"]
        assert len(fadt) == 276 and fadt[8] == 6 and fadt[131] == 5
        flags, = struct.unpack("<I", fadt[112:116])
        assert flags == 1 << 0 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 10 | 1 << 19 | 1 << 20
        assert struct.unpack("<H", fadt[109:111])[0] == 0x24       # neither VGA nor RTC; no legacy devices, no 8042
        for offset, port in ((116, 0xcf9), (244, 0x600), (256, 0x601)):
            assert struct.unpack("<BBBBQ", fadt[offset:offset + 12]) == (1, 8, 0, 1, port)
        assert fadt[128] == 6
        assert fadt[44:96] == bytes(52), "no fixed hardware"
        assert fadt[148:244] == bytes(96)


def entries(madt: bytes) -> list[tuple[int, bytes]]:
    out, at = [], 44
    while at < len(madt):
        out.append((madt[at], madt[at + 2:at + madt[at + 1]]))
        at += madt[at + 1]
    assert at == len(madt)
    return out


def test_madt() -> None:
    linux, hello = guests()
    found = linux.tables()["APIC"]
    assert struct.unpack("<II", found[36:44]) == (0xfee00000, 0)
    assert entries(found) == [(0, struct.pack("<BBI", 0, 0, 1)), (0, struct.pack("<BBI", 1, 70, 1)),
                              (1, struct.pack("<BBII", 0, 0, 0xfec00000, 0))]
    assert entries(hello.tables()["APIC"])[0] == (0, struct.pack("<BBI", 0, 2, 1))
    assert entries(hello.tables()["APIC"])[1][0] == 1              # it owns a line
    hw = samples.hardware()
    alone = samples.plan(hw, [samples.partition(hw, 0, "a", [0], [samples.ram_mapping(0, 32 * MIB, 16 * MIB)])])
    assert [kind for kind, _ in entries(Guest(alone, 0).tables()["APIC"])] == [0]


def disassembled(data: bytes, folder: Path, name: str) -> str:
    (folder / f"{name}.aml").write_bytes(data)
    done = subprocess.run(["iasl", "-d", f"{name}.aml"], cwd=folder, text=True, check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    text = (folder / f"{name}.dsl").read_text()
    assert not re.search(r"incorrect checksum|invalid|truncated|error", done.stdout + text, re.I), done.stdout + text
    return text


@needs_iasl
def test_acpica_reads_the_tables(tmp_path: Path) -> None:
    for guest in guests():
        tables = guest.tables()
        assert set(tables) == {"XSDT", "FACP", "APIC", "DSDT"}
        texts = {name: disassembled(data, tmp_path, f"{guest.part.name}-{name}") for name, data in tables.items()}
        fadt = texts["FACP"]
        for line in (r"Hardware Reduced \(V5\) : 1", r"Use APIC Physical Destination Mode \(V4\) : 1",
                     r"Reset Register Supported \(V2\) : 1",
                     r"Control Method Power Button \(V1\) : 1", r"RTC Not Present \(V5\) : 1", r"8042 Present on ports 60/64 \(V2\) : 0"):
            assert re.search(line, fadt), line
        assert re.search(r"Reset Register : .*\n.*\n.*\n.*\n.*Encoded Access Width : 01 .*\n.*Address : 0000000000000CF9", fadt)
        assert re.search(r"Sleep Control Register : (?:.*\n){5}.*Address : 0000000000000600", fadt)
        assert "Subtable Type : 00 [Processor Local APIC]" in texts["APIC"]


def watched() -> Guest:
    hw = samples.hardware()
    part = samples.partition(hw, 0, "a", [0], [samples.ram_mapping(0, 32 * MIB, 16 * MIB)])
    part = samples.replace(part, watchdog=Watchdog(pc.watchdog_ports(hw).base, 0, 0),
                           spec=samples.replace(part.spec, watchdog_ns=2_500_000_000, watchdog_boot_ns=60 * 10**9))
    return Guest(samples.plan(hw, [part]), 0)


def test_wdat() -> None:
    """As acpica's actbl3.h and Linux' drivers/acpi/acpi_watchdog.c and drivers/watchdog/wdat_wdt.c read it."""
    table = watched().tables()["WDAT"]
    assert struct.unpack("<IHBBB3xIIIB3xI", table[36:68]) == (32, 0xff, 0xff, 0xff, 0xff, 1, 2500, 1, 1, (len(table) - 68) // 24)
    found = [struct.unpack("<BBHBBBBQII", table[at:at + 24]) for at in range(68, len(table), 24)]
    assert {entry[0] for entry in found} >= {1, 4, 5, 6, 8, 9, 10, 11, 32, 33}
    for entry in found:
        assert entry[2:7] == (0, 1, 32, 0, 3) and entry[7] in (0x610, 0x614, 0x618) and entry[1] in (0, 1, 2, 3)
    assert not {entry[7] for entry in found} & set(range(0x70, 0x74)), "Linux ignores it: the RTC's ports"
    assert "WDAT" not in next(guests()).tables()


@needs_iasl
def test_acpica_reads_the_watchdogs_table(tmp_path: Path) -> None:
    text = disassembled(watched().tables()["WDAT"], tmp_path, "wdat")
    for line in (r"Timer Period : 00000001", r"Max Count : 000009C4", r"Min Count : 00000001", r"Enabled : 1",
                 r"Watchdog Entry Count : 0000000C", r"PCI Segment : 00FF"):
        assert re.search(line, text), line
    assert len(re.findall(r"Space ID : 01 \[SystemIO\]", text)) == 12
    assert len(re.findall(r"Encoded Access Width : 03 \[DWord Access:32\]", text)) == 12


def test_ports_of_watchdogs() -> None:
    """The first sixteen behind the sleep register at which the board has nothing."""
    hw = samples.hardware()
    assert pc.watchdog_ports(hw) == Region(0x610, 16)
    more = Device("/gpe@620", (), ("test,gpe",), (), (), False, ports=(Region(0x618, 0x20), Region(0x640, 1)))
    assert pc.watchdog_ports(samples.replace(hw, devices=(*hw.devices, more))) == Region(0x650, 16)


@needs_iasl
def test_dsdt_says_what_the_partition_owns(tmp_path: Path) -> None:
    linux, hello = guests()
    one = disassembled(linux.tables()["DSDT"], tmp_path, "linux")
    two = disassembled(hello.tables()["DSDT"], tmp_path, "hello")
    for text, base, line in ((one, "03F8", "04"), (two, "02F8", "03")):
        assert re.search(r"Name \(_S5, Package \(0x04\)[^{]*\{\s*0x05,\s*Zero,\s*Zero,\s*Zero\s*\}", text)
        assert text.count("Device (") == 1 and 'EisaId ("PNP0501")' in text
        assert re.search(rf"IO \(Decode16,\s*0x{base},[^0]*0x{base},[^0]*0x01,[^0]*0x08,", text)
        assert re.search(rf"Interrupt \(ResourceConsumer, Edge, ActiveHigh, Exclusive, ,, \)\s*\{{\s*0x000000{line},", text)


@needs_iasl
def test_the_source_compiles_to_the_same_bytes(tmp_path: Path) -> None:
    """All but the names of who made the table and its checksum: ASL cannot say those."""
    for number, plan in enumerate(plans_with_devices()):
        for i, part in enumerate(plan.partitions):
            guest = Guest(plan, i)
            ours = guest.tables()["DSDT"]
            name = f"{number}{part.name}"
            (tmp_path / f"{name}.asl").write_text(guest.block.asl)
            done = subprocess.run(["iasl", "-p", name, f"{name}.asl"], cwd=tmp_path, text=True, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            assert done.returncode == 0 and "0 Errors, 0 Warnings, 0 Remarks" in done.stdout, done.stdout
            theirs = (tmp_path / f"{name}.aml").read_bytes()
            assert theirs[:9] == ours[:9] and theirs[10:28] == ours[10:28] and theirs[36:] == ours[36:]


@needs_iasl
def test_host_bridges_of_the_dsdt(tmp_path: Path) -> None:
    """One for each bus; windows are the functions' BARs, and each pin leads to its line."""
    one, two = (disassembled(Guest(samples.cards(), i).tables()["DSDT"], tmp_path, f"cards{i}") for i in range(2))
    assert re.findall(r"Device \((\w+)\)", one) == ["COM1", "PC00", "PC03"] and one.count('EisaId ("PNP0A03")') == 2
    assert re.findall(r"Name \(_BBN, (\w+)\)", one) == ["Zero", "0x03"]
    words = {kind: [[int(w, 16) for w in re.findall(r"0x([0-9A-F]+), *//", body)] for body in
                    re.findall(rf"{kind} \((.*?)\)\n", one, re.S)] for kind in ("WordBusNumber", "WordIO", "QWordMemory")}
    assert [row[1:3] for row in words["WordBusNumber"]] == [[0, 0], [3, 3]]
    assert [row[1:3] + row[4:5] for row in words["WordIO"]] == [[0xd000, 0xd03f, 0x40], [0xe000, 0xe003, 4]]
    assert [row[1:3] for row in words["QWordMemory"]] == [[0xd0000000, 0xd0003fff], [0xd1000000, 0xd1000fff]]
    assert "ResourceProducer" in one and "ResourceConsumer" in one
    routes = [re.findall(r"0x([0-9A-F]*FFFF),\s+(\w+),\s+Zero,\s+(\w+)", text) for text in (one, two)]
    assert routes == [[("0003FFFF", "Zero", "0x11"), ("FFFF", "Zero", "0x13")], [("0004FFFF", "0x02", "0x12")]]
    assert "0x00000008FFFFFFFF" in two


def plans_with_devices() -> Iterator[Plan]:
    yield samples.two_partitions()
    yield samples.cards()
    hw = samples.hardware()
    ram = [samples.ram_mapping(0, 32 * MIB, 16 * MIB)]
    yield samples.plan(hw, [samples.partition(hw, 0, "a", [0], ram)])
    yield samples.plan(hw, [samples.partition(hw, 0, "a", [0], ram, [samples.COM2, samples.RTC], vuart=True)])
    level = Device("/serial@3e8", (), ("ns16550a",), (), (Interrupt(11, 8), Interrupt(300, 4)), False,
                   ports=(Region(0x3e8, 8), Region(0x80, 1)))
    many = samples.replace(hw, devices=(*hw.devices, level))
    yield samples.plan(many, [samples.partition(many, 0, "a", [0], ram, [samples.COM2, "/serial@3e8"], vuart=True)])
    yield samples.with_channels()


@needs_iasl
def test_rings_notify_a_device_of_the_channel(tmp_path: Path) -> None:
    plan = samples.with_channels()
    text = disassembled(Guest(plan, 0).tables()["DSDT"], tmp_path, "a")
    assert re.findall(r"Name \(_HID, \"(\w+)\"[^\n]*\s+Name \(_UID, (?:\"(\w+)\"|Zero)\)", text) == [
        ("BLKH0001", "telemetry"), ("BLKH0001", "picture"), ("BLKH0001", "orders"), ("ACPI0003", "telemetry"), ("ACPI0003", "orders"),
        ("ACPI0013", "")]
    methods = re.findall(r"Method \((\w+), 0, NotSerialized\)[^{]*{(.*?)\n            }", text, re.S)
    assert [(title, re.findall(r"\b(If|Notify|Return|RG\d\d = \w+|BL\d\d|0x80)\b", body)) for title, body in methods] == [
        ("_PSR", ["RG00 = Zero", "Return"]), ("_PSR", ["RG02 = Zero", "Return"]),
        ("_E05", ["If", "RG00 = One", "Notify", "BL00", "0x80"]), ("_E0A", ["If", "RG02 = One", "Notify", "BL02", "0x80"])]
    assert "Method" not in disassembled(Guest(plan, 2).tables()["DSDT"], tmp_path, "c")


def test_devices_of_the_dsdt() -> None:
    plans = list(plans_with_devices())
    found, dropped = guest_acpi.pnp_devices(plans[3].partitions[0])
    assert [(d.name, d.hid, d.uid, d.what) for d in found] == [
        ("COM1", "PNP0501", 1, "the virtual UART"), ("COM2", "PNP0501", 2, samples.COM2), ("RTC1", "PNP0B00", 1, samples.RTC)]
    assert dropped == ()
    assert struct.unpack("<H", Guest(plans[3], 0).tables()["FACP"][109:111])[0] == 0x04    # it has an RTC
    _, dropped = guest_acpi.pnp_devices(samples.two_partitions().partitions[1])
    assert dropped == ("/flash@fd000000",)
    assert not any(guest_acpi.pnp_devices(part)[1] for part in samples.cards().partitions)


@pytest.mark.parametrize("length,encoded", [(0, b"\x01"), (62, b"\x3f"), (63, b"\x41\x04"), (4093, b"\x4f\xff"),
                                            (4094, b"\x81\x00\x01"), (0xffffc, b"\x8f\xff\xff")])
def test_package_lengths(length: int, encoded: bytes) -> None:
    assert guest_acpi.pkg_length(bytes(length)) == encoded


@pytest.mark.parametrize("value,encoded", [(0, "00"), (1, "01"), (2, "0a02"), (255, "0aff"), (256, "0b0001"),
                                           (0x12345, "0c45230100"), (1 << 32, "0e0000000001000000")])
def test_integers(value: int, encoded: str) -> None:
    assert guest_acpi.integer(value).hex() == encoded


def test_a_block_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    hw = samples.hardware()
    ram = [samples.ram_mapping(0, 32 * MIB, 16 * MIB)]
    plan = samples.plan(hw, [samples.partition(hw, 0, "wordy", [0], ram, bootargs="x" * 70000)])
    with pytest.raises(Failed, match="the boot block of partition 'wordy' has 7.... bytes, there is room for 61440"):
        generate.generate(plan, samples.stub_core(tmp_path), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_reset_entry_in_real_mode(tmp_path: Path) -> None:
    """As binutils reads it."""
    (tmp_path / "code").write_bytes(pc.RESET_CODE)
    objdump = shutil.which("x86_64-linux-gnu-objdump") or "objdump"
    text = subprocess.run([objdump, "-D", "-b", "binary", "-m", "i8086", tmp_path / "code"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    rows = [line.split("\t")[2].split() for line in text.splitlines() if line.count("\t") == 2]
    assert rows[:5] == [["mov", "$0x6,%al"], ["mov", "$0xcf9,%dx"], ["out", "%al,(%dx)"], ["hlt"], ["jmp", "0x6"]]
    assert len(pc.RESET_CODE) == 16 and pc.RESET_ENTRY == 0xffff0


def test_blocks_do_not_depend_on_the_vendor() -> None:
    assert [g.block.data for g in guests("svm")] == [g.block.data for g in guests("vmx")]
