# SPDX-License-Identifier: Apache-2.0
"""What the checker compares a PC's image with, changed behind its back; guests' files in each format; a large PC; noise."""
from __future__ import annotations

import gzip
import random
import struct
import time
from pathlib import Path

import pytest

from conftest import HERE_X86, OUT, VENDORS, Checker, config, generate, link, must

PORTS_GIVEN = {"device-one-owner", "ports-own", "interrupt-given", "layout-devices"}
SYSTEM = [
    ("more_memory", ("memory: 64 MiB", "memory: 128 MiB"), {"memory-amount"}, "gives it 134217728"),
    ("fixed_physical", ("physical: 0x8000000", "physical: 0x9000000"), {"memory-place"}, "fixes 0x9000000"),
    ("fixed_guest", ("memory: 64 MiB", "memory: {size: 64 MiB, guest: 0x80000000}"), {"memory-place"}, "fixes 0x80000000"),
    ("unprotected_dma", ("rtc,", "{device: rtc, dma: unprotected},"), {"memory-place"}, "unprotected DMA"),
    ("more_cpus", ("cpus: [0, 1]", "cpus: [0, 1, 2]"), {"cpu-given"}, "gives it 3"),
    ("other_cpu", ("cpus: [3]", "cpus: [2]"), {"cpu-given"}, "gives it CPU 2"),
    ("device_taken_back", (", com2]", "]"), {"ports-own", "interrupt-given", "layout-devices", "device-resets"}, "0x2f8..0x2ff"),
    ("device_added", ("com2]", "com2, watchdog]"), {"device-reached", "interrupt-given", "layout-devices"},
     "does not reach /soc/watchdog@80000"),
    ("ports_given_twice", ("com2]", "com2, rtc]"),
     {"device-one-owner", "ports-own", "ports-kept", "interrupt-given"}, "is given to alpha and to beta"),
    ("uart_given", ("com2]", "com2, com1]"), PORTS_GIVEN | {"vuart-interrupt"}, "is the hypervisor's own"),
    ("alarm_given", ("com2]", "com2, pit]"), PORTS_GIVEN, "is the hypervisor's own"),
    ("pm_timer_given", ("com2]", "com2, pmtimer]"), PORTS_GIVEN - {"interrupt-given"}, "is the hypervisor's own"),
    ("old_controller_given", ("com2]", "com2, /pic@20]"), PORTS_GIVEN - {"interrupt-given"},
     "is the hypervisor's own"),
    ("io_apic_given", ("com2]", "com2, ioapic]"), {"device-one-owner", "device-reached", "layout-devices"},
     "is the hypervisor's own"),
    ("pci_given", ("com2]", "com2, pci]"),
     {"device-one-owner", "device-reached", "layout-devices", "device-dma", "interrupt-given"},
     "is the hypervisor's own"),
    ("pci_function_given", ("com2]", "com2, nic]"),
     {"pci-functions", "device-reached", "layout-devices"}, "ethernet@2,0 is 0 times in the table"),
    ("hpet_given", ("com2]", "com2, hpet]"), {"device-dma", "device-reached", "layout-devices"}, "does DMA"),
    ("other_offset", ("offset: 0x100000}", "offset: 0x110000}"), {"image-content"}, "its image begins at 0x110000"),
    ("virtual_now", ("interrupts: direct", "interrupts: virtual"), {"layout-partitions"}, "interrupts are direct"),
    ("direct_unsaid", ("    interrupts: direct\n", ""), {"layout-partitions", "layout-devices"}, "yaml_line"),
    ("an_initrd", ("image: {raw: payload.bin, offset: 0x200000}", "linux: {kernel: payload.bin, initrd: payload.bin, bootargs: quiet}"),
     {"image-content", "boot-initrd", "boot-command-line"}, "has 0 modules, system.yaml an initrd"),
]


@pytest.mark.parametrize("name, change, broken, says", SYSTEM, ids=[s[0] for s in SYSTEM])
def test_other_system(pc: Checker, name: str, change: tuple[str, str], broken: set[str], says: str) -> None:
    verdict = pc(pc.good / "bulkhead.elf", system=config(f"pc_{name}", "system.yaml", change, here=HERE_X86))
    assert verdict.status == 1
    assert says in verdict.text, verdict.text
    assert set(verdict.rules) == broken, verdict.text


BOARD = [
    ("board.yaml", "firmware_over_hypervisor", ("base: 0x50000000", "base: 0x1000000"), {"hv-place"}, "reserved by board.yaml: firmware"),
    ("board.yaml", "other_poweroff", ("port: 0x604", "port: 0x606"), {"facts-power"}, "to port 0x606"),
    ("board.yaml", "other_reset", ("value: 0x6}", "value: 0xe}"), {"facts-power"}, "board.yaml has 0xe"),
    ("board.yaml", "no_reset", ("reset: ", "# "), {"facts-power"}, "the number of writes to reset the board"),
    ("board.yaml", "other_console", ("console: com1", "console: com2"),
     {"facts-uart", "device-one-owner", "ports-kept", "interrupt-hypervisor"}, "is the hypervisor's own"),
    ("board.dts", "ports_moved", ("reg = <0 0x2f8 0 8>", "reg = <0 0x2e8 0 8>"),
     {"ports-own", "layout-devices", "device-resets"}, "0x2e8..0x2ef"),
    ("board.dts", "registers_moved", ("reg = <0x30000 0x1000>", "reg = <0x50000 0x1000>"),
     {"device-reached", "nothing-else", "layout-devices", "device-resets"}, "0xfe050000"),
    ("board.dts", "line_moved", ("interrupts = <8 1>", "interrupts = <9 1>"), {"interrupt-given"}, "does not own INTID 9"),
    ("board.dts", "alarm_line", ("interrupts = <2 1>", "interrupts = <0 1>"), {"facts-ioapic"}, "the line of the 8254"),
    ("board.dts", "uart_line", ("interrupts = <4 1>", "interrupts = <5 1>"), {"facts-uart"}, "the UART's line"),
    ("board.dts", "more_lines", ("bulkhead,lines = <24>", "bulkhead,lines = <32>"), {"facts-ioapic"}, "the number of its lines"),
    ("board.dts", "io_apic_moved", ("reg = <0 0xfec00000 0 0x1000>", "reg = <0 0xfec10000 0 0x1000>"),
     {"facts-ioapic", "layout-devices", "hv-extent", "acpi-cpus", "hv-reaches"}, "the I/O APIC"),
    ("board.dts", "core_numbered_otherwise", ("reg = <0x50>", "reg = <0x51>"), {"cpu-given"}, "core 0x51"),
    ("board.dts", "clock", ("timebase-frequency = <1000000000>", "timebase-frequency = <1000000001>"), {"facts-power"}, "the frequency"),
    ("board.dts", "bar_on_a_bar", ("0xc0800000 0 0x20000", "0xc0000000 0 0x20000"), {"pci-bars", "device-foreign", "layout-devices"},
     "its BAR at 0xc0000000 lies on registers of /pcie@b0000000/ethernet@2,0"),
    ("board.dts", "bar_on_registers", ("reg = <0 0xfed00000 0 0x400>", "reg = <0 0xc0002000 0 0x400>"),
     {"pci-bars", "device-foreign", "layout-devices"}, "lies on registers of /hpet@fed00000"),
    ("board.dts", "bar_on_kept_ports", ("0xd000 0 0x40", "0x20 0 0x40"),
     {"pci-bars", "pci-functions", "device-one-owner", "ports-own", "ports-kept", "layout-devices", "acpi-ports"}, "lies on the 8259"),
    ("board.dts", "bar_in_memory", ("0xc0000000 0 0x4000", "0x40000000 0 0x4000"),
     {"pci-bars", "pci-functions", "pci-windows", "device-reached", "layout-devices", "nothing-else", "device-attributes",
      "memory-attributes"},
     "lies on RAM"),
    ("board.dts", "bar_of_no_size", ("0xc0000000 0 0x4000", "0xc0000000 0 0x6000"),
     {"pci-bars", "pci-functions", "pci-windows", "device-reached", "layout-devices"}, "no BAR can have 0x6000 bytes"),
    ("board.dts", "another_card", ("pci13fe,c302", "pci13fe,c303"), {"pci-functions"}, "its ID is 0xc30213fe in the layout, 0xc30313fe"),
    ("board.dts", "another_slot", ("reg = <0x2000 0 0 0 0>", "reg = <0x2800 0 0 0 0>"), {"pci-functions"}, "its configuration address"),
    ("board.dts", "another_pin", ("<0x1800 0 0 1 &ioapic 16 8>", "<0x1800 0 0 1 &ioapic 20 8>"), {"pci-functions", "interrupt-given"},
     "its interrupt is 0x110 in the layout, 0x114"),
    ("board.dts", "less_memory", ("<1 0x0 1 0x0>", "<1 0x0 0 0x10000000>"),
     {"memory-amount", "memory-attributes", "device-attributes", "hv-attributes"}, "the board has none there"),
]


@pytest.mark.parametrize("file, name, change, broken, says", BOARD, ids=[b[1] for b in BOARD])
def test_other_board(pc: Checker, file: str, name: str, change: tuple[str, str], broken: set[str], says: str) -> None:
    verdict = pc(pc.good / "bulkhead.elf", system=config(f"pc_{name}", f"board/{file}", change, here=HERE_X86))
    assert verdict.status == 1
    assert says in verdict.text, verdict.text
    assert verdict.rules and set(verdict.rules) <= broken, verdict.text


TABLES = [
    ("ram_page", "tables.c", {"svm": ("0x00000000080000e7", "0x00000000010000e7"), "vmx": ("0x00000000080000b7", "0x00000000010000b7")},
     {"hypervisor-unreached", "memory-mapped", "nothing-else"}),
    ("asid", "layout.c", {vendor: (".asid = 2", ".asid = 1") for vendor in VENDORS}, {"vmid-unique"}),
    ("line", "layout.c", {vendor: (".lines = 0x80008,", ".lines = 0x80100,") for vendor in VENDORS},
     {"interrupt-one-owner", "interrupt-given", "acpi-interrupts"}),
]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("name, file, changes, broken", TABLES, ids=[t[0] for t in TABLES])
def test_edited_text(program: Path, vendor: str, name: str, file: str, changes: dict[str, tuple[str, str]], broken: set[str]) -> None:
    """What people can read is what is checked: a change of the generated text is found."""
    folder = OUT / f"edited-{vendor}-{name}"
    generate(HERE_X86, folder, vendor)
    text = (folder / file).read_text()
    old, new = changes[vendor]
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    verdict = Checker(program, folder, HERE_X86)(link(folder, "x86"))
    assert verdict.status == 1 and set(verdict.rules) == broken, verdict.text


# ---------------------------------------------------------------- guests' files

FORMATS = """board: {board}
partitions:
  kernel:
    cpus: [0]
    memory: 64 MiB
    linux: {{kernel: vmlinux, initrd: initrd.img, bootargs: "console=ttyS0 quiet"}}
  packed:
    cpus: [1]
    memory: 64 MiB
    linux: {{kernel: bzImage}}
  small:
    cpus: [2]
    memory: 16 MiB
    image: {{elf: small.elf}}
  wide:
    cpus: [3]
    memory: 16 MiB
    image: {{elf: wide.elf}}
"""
PVH_ENTRY = """.section .note.Xen, "a", @note
.long 4, 4, 18
.asciz "Xen"
.long entry
.text
"""
PROGRAM = ".globl _start, entry\n_start: nop\nentry: jmp entry\n.data\n.quad 0x1122334455667788\n"


def compile_guest(folder: Path, name: str, source: str, *flags: str) -> None:
    (folder / "guest.S").write_text(source)
    must("x86_64-linux-gnu-gcc", "-nostdlib", "-static", "-no-pie", *flags,
         "-Wl,-Ttext=0x200000,-Tdata=0x210000,--build-id=none,-z,noseparate-code",
         "-o", folder / name, folder / "guest.S")


def bzimage(vmlinux: bytes) -> bytes:
    """A kernel's file with nothing in it but the setup header's fields for its payload (Documentation/arch/x86/boot.rst)."""
    payload = gzip.compress(vmlinux) + struct.pack("<I", len(vmlinux))
    setup = bytearray(1024)
    setup[0x1f1] = 1
    struct.pack_into("<H", setup, 0x1fe, 0xaa55)
    struct.pack_into("<4sH", setup, 0x202, b"HdrS", 0x20f)
    struct.pack_into("<II", setup, 0x248, 0, len(payload))
    return bytes(setup) + payload


def test_elf_and_linux(program: Path) -> None:
    """What is copied is compared with the files: ELF of 32 and 64 bits with and without a PVH note, vmlinux, initrd."""
    folder = OUT / "formats-x86"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "system.yaml").write_text(FORMATS.format(board=HERE_X86 / "board"))
    (folder / "initrd.img").write_bytes(b"initrd" * 999)
    compile_guest(folder, "vmlinux", PVH_ENTRY + PROGRAM + ".bss\n.zero 8192\n")
    (folder / "bzImage").write_bytes(bzimage((folder / "vmlinux").read_bytes()))
    compile_guest(folder, "small.elf", PROGRAM, "-m32")
    compile_guest(folder, "wide.elf", PVH_ENTRY + PROGRAM)
    generate(folder, folder, "svm")
    check, elf = Checker(program, folder, folder), link(folder, "x86")
    verdict = check(elf)
    assert verdict.status == 0, verdict.text
    for name, part in (("vmlinux", "kernel"), ("initrd.img", "kernel"), ("small.elf", "small"), ("wide.elf", "wide")):
        good = (folder / name).read_bytes()
        place = good.index(bytes.fromhex("8877665544332211")) if name != "initrd.img" else 5000
        (folder / name).write_bytes(good[:place] + b"?" + good[place + 1:])
        verdict = check(elf)
        (folder / name).write_bytes(good)
        assert set(verdict.rules) == {"image-content"}, verdict.text
        assert f"partition {part}: at guest address" in verdict.text and "there is not what" in verdict.text
    entry = (folder / "wide.elf").read_bytes()
    place = entry.index(b"Xen\0") + 4
    (folder / "wide.elf").write_bytes(entry[:place] + struct.pack("<I", 0x200000) + entry[place + 4:])
    verdict = check(elf)
    assert set(verdict.rules) == {"image-content"} and "its image begins at 0x200000" in verdict.text, verdict.text


def test_damaged_guest_files(program: Path) -> None:
    """Any damage of a guest's ELF file is refused or found to differ, and never a crash."""
    folder = OUT / "formats-x86"
    check, noise = Checker(program, folder, folder), random.Random(2)
    for name in ("small.elf", "wide.elf", "vmlinux"):
        good = (folder / name).read_bytes()
        for _ in range(15):
            bad = bytearray(good[:noise.choice((20, 60, 100, len(good), len(good)))])
            for _ in range(3):
                bad[noise.randrange(len(bad)) % 0x140] = noise.choice((0, 1, 0x7f, 0x80, 0xff))
            (folder / name).write_bytes(bad)
            assert check(folder / "bulkhead.elf").status in (0, 1)
        (folder / name).write_bytes(good)


# ---------------------------------------------------------------- sizes, noise

LARGE = """board: qemu-q35-1t
partitions:
  small:
    cpus: [0]
    memory: 16 MiB
    image: {raw: payload.bin, offset: 0x100000}
    console: vuart
  large:
    cpus: [1]
    memory: 1000 GiB
    image: {raw: payload.bin, offset: 0x100000}
    console: vuart
"""


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_tib_takes_a_moment(program: Path, vendor: str) -> None:
    folder = OUT / f"1t-{vendor}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "system.yaml").write_text(LARGE)
    generate(folder, folder, vendor)
    elf = link(folder, "x86")
    start = time.monotonic()
    verdict = Checker(program, folder, folder)(elf)
    assert verdict.status == 0, verdict.text
    assert time.monotonic() - start < 5
    assert f"memory-mapped          {(1000 << 18) + (16 << 8)} pages" in verdict.text


def test_noise(pc: Checker) -> None:
    """Random words in layout, tables, bitmaps and boot blocks: a verdict each time, and never a crash."""
    noise = random.Random(3)
    for _ in range(80):
        image = pc.pc()
        start, end, boot = image.symbols["__ro_tables_start"], image.symbols["__ro_tables_end"], image.boot("alpha")
        for _ in range(noise.choice((1, 3, 20))):
            low, high = noise.choice(((image.symbols["layout"], image.symbols["layout"] + 408), (start, end),
                                      (boot, boot + 0x400)))
            place = noise.randrange(low, high, 8)
            flipped = image.read64(place) ^ 1 << noise.randrange(64)
            image.write64(place, noise.choice((0, 1, 3, noise.getrandbits(64), noise.getrandbits(33), flipped)))
        assert pc.planted(image).status in (0, 1)


def test_damaged_dsdt(pc: Checker) -> None:
    """Any DSDT is read to its end or refused in words."""
    noise = random.Random(4)
    for _ in range(80):
        image = pc.pc()
        place = image.table("beta", b"DSDT")
        length = struct.unpack("<I", image.bytes_at(place + 4, 4))[0]
        for _ in range(noise.choice((1, 2, 5))):
            image.edit_table("beta", b"DSDT", noise.randrange(36, length), bytes([noise.randrange(256)]))
        assert pc.planted(image).status in (0, 1)


def test_an_image_for_another_architecture(pc: Checker, checker: Checker) -> None:
    """An ARM64 image against a PC's board, and the other way round: refused or wrong, never proved."""
    assert checker(pc.good / "bulkhead.elf").status != 0
    assert pc(checker.good / "bulkhead.elf").status != 0
