# SPDX-License-Identifier: Apache-2.0
"""What the checker compares with: system.yaml, board.yaml and the devicetree, changed behind the image's back; and bad input."""
from __future__ import annotations

import shutil
import struct
import time
from pathlib import Path

import pytest

from planter import ADDRESS, S2_DEVICE, Image
from conftest import HERE, OUT, REPO, WARNINGS, Checker, compile_checker, config, generate, link, must, run


GIVEN_AWAY = {"device-one-owner", "device-reached", "interrupt-given", "layout-devices"}
SYSTEM = [
    ("more_memory", ("memory: 64 MiB", "memory: 128 MiB"), {"memory-amount"}, "gives it 134217728"),
    ("fixed_physical", ("memory: 64 MiB", "memory: {size: 64 MiB, physical: 0x48000000}"), {"memory-place"}, "fixes 0x48000000"),
    ("fixed_guest", ("memory: 64 MiB", "memory: {size: 64 MiB, guest: 0x80000000}"), {"memory-place"}, "fixes 0x80000000"),
    ("alignment", ("alignment: 2 MiB", "alignment: 1 GiB"), {"memory-place"}, "is not aligned"),
    ("unprotected_dma", ("devices: [uart1]", "devices: [{device: uart1, dma: unprotected}]"), {"memory-place"}, "unprotected DMA"),
    ("more_cpus", ("cpus: [0, 1]", "cpus: [0, 1, 2]"), {"cpu-given"}, "gives it 3"),
    ("other_cpu", ("cpus: [3]", "cpus: [2]"), {"cpu-given"}, "gives it CPU 2"),
    ("unknown_cpu", ("cpus: [3]", "cpus: [4]"), {"cpu-given"}, "the board has no CPU 4"),
    ("device_taken_back", ("devices: [uart1]", "devices: []"), {"device-foreign", "interrupt-given", "layout-devices"}, "serial@9040000"),
    ("device_added", ("devices: [uart1]", "devices: [uart1, watchdog]"),
     {"device-reached", "device-resets", "interrupt-given", "layout-devices"},
     "does not reach /soc/watchdog@80000"),
    ("device_twice", ("devices: [uart1]", "devices: [uart1, gpio]"),
     {"device-one-owner", "device-reached", "device-resets", "interrupt-given"}, "is given to alpha and to beta"),
    ("device_unknown", ("devices: [uart1]", "devices: [uart1, /nothing@0]"), {"device-one-owner"}, "the board has no device"),
    ("gic_given", ("devices: [uart1]", "devices: [uart1, gic]"), {"device-one-owner", "device-reached", "layout-devices", "ppi-own"},
     "is the hypervisor's own"),
    ("iommu_given", ("devices: [uart1]", "devices: [uart1, smmu]"), GIVEN_AWAY,
     "is the hypervisor's own"),
    ("uart_given", ("devices: [uart1]", "devices: [uart1, uart0]"), GIVEN_AWAY,
     "is the hypervisor's own"),
    ("dma_not_said", ("devices: [{device: dma, dma: unprotected}]", "devices: [dma]"), {"device-dma"}, "does not say"),
    ("other_offset", ("offset: 0x80000}", "offset: 0x90000}"), {"image-content"}, "its image begins at 0x40090000"),
    ("no_such_image", ("raw: payload.bin", "raw: nothing.bin"), {"image-content"}, "there is no file 'nothing.bin'"),
    ("virtual_now", ("interrupts: direct", "interrupts: virtual"), {"layout-partitions"}, "interrupts are direct"),
    ("no_console_now", ("console: vuart\n    devices: [uart1]", "devices: [uart1]\n"),
     {"layout-partitions", "layout-devices"}, "virtual UART"),
    ("partition_renamed", ("  gamma:", "  delta:"), {"layout-partitions", "layout-devices", "device-foreign", "interrupt-given"},
     "has no partition 'gamma'"),
    ("partition_added", ("  gamma:", "  delta: {cpus: [3], memory: 1 MiB, image: {raw: x}}\n  gamma:"),
     {"layout-partitions", "layout-devices"}, "the layout has 3 partitions"),
]


@pytest.mark.parametrize("name, change, broken, says", SYSTEM, ids=[s[0] for s in SYSTEM])
def test_other_system(checker: Checker, name: str, change: tuple[str, str], broken: set[str], says: str) -> None:
    verdict = checker(checker.good / "bulkhead.elf", system=config(name, "system.yaml", change))
    assert verdict.status == 1
    assert says in verdict.text, verdict.text
    assert set(verdict.rules) == broken, verdict.text


BOARD_YAML = [
    ("firmware_over_hypervisor", ("base: 0x50000000", "base: 0x40200000"), {"hv-place"}, "reserved by board.yaml: firmware"),
    ("less_memory", ("console: uart0", "console: uart0\nmemory: [{base: 0x40000000, size: 256 MiB}]"),
     {"memory-amount", "device-attributes", "hv-attributes", "memory-attributes"}, "the board has none there"),
    ("other_conduit", ("console: uart0", "console: uart0\npsci: hvc"), {"facts-psci"}, "the PSCI conduit"),
    ("other_stride", ("console: uart0", "console: uart0\nredistributor-stride: 256 KiB"), {"facts-gic"}, "stride"),
]


@pytest.mark.parametrize("name, change, broken, says", BOARD_YAML, ids=[s[0] for s in BOARD_YAML])
def test_other_board_file(checker: Checker, name: str, change: tuple[str, str], broken: set[str], says: str) -> None:
    verdict = checker(checker.good / "bulkhead.elf", system=config(name, "board/board.yaml", change))
    assert verdict.status == 1
    assert says in verdict.text, verdict.text
    assert set(verdict.rules) <= broken and verdict.rules, verdict.text


DTS = [
    ("gpio_moved", ("gpio@30000", "gpio@50000"), {"device-one-owner"}, None),
    ("gpio_registers_moved", ("reg = <0x30000 0x1000>", "reg = <0x50000 0x1000>"), {"device-reached"}, "0x9050000"),
    ("rtc_interrupt", ("interrupts = <0 2 4>", "interrupts = <0 3 4>"), {"interrupt-given"}, "does not own INTID 35"),
    ("core_numbered_otherwise", ("reg = <0x101>", "reg = <0x102>"), {"cpu-given"}, "core 0x102"),
    ("another_gic_version", ('"arm,gic-v3"', '"arm,gic-400"'), {"facts-gic"}, "the GIC's version"),
    ("uart_interrupt", ("interrupts = <0 1 4>", "interrupts = <0 5 4>"), {"facts-uart"}, "the UART's interrupt"),
    ("bus_moved", ("ranges = <0x0 0x0 0x9000000 0x100000>", "ranges = <0x0 0x0 0xa000000 0x100000>"), {"device-reached"}, "0xa010000"),
]


@pytest.mark.parametrize("name, change, broken, says", DTS, ids=[s[0] for s in DTS])
def test_other_devicetree(checker: Checker, name: str, change: tuple[str, str], broken: set[str], says: str | None) -> None:
    verdict = checker(checker.good / "bulkhead.elf", system=config(name, "board/board.dts", change))
    if says is None:                       # named by its label: it was found where it is now
        assert verdict.status == 1 and "layout-devices" in verdict.rules, verdict.text
        return
    assert verdict.status == 1
    assert says in verdict.text, verdict.text
    assert broken <= set(verdict.rules), verdict.text


# ---------------------------------------------------------------- generated files, edited

TABLES = [
    ("device_page", "tables.c", "0x00400000090104c7", "0x00400000090404c7", {"device-reached", "device-foreign", "memory-exclusive"}),
    ("vmid", "layout.c", "+ 0x2000000000000", "+ 0x1000000000000", {"vmid-unique"}),
    ("spi", "layout.c", "[1] = 0x84", "[1] = 0x184", {"interrupt-one-owner", "interrupt-given"}),
]


@pytest.mark.parametrize("name, file, old, new, broken", TABLES, ids=[t[0] for t in TABLES])
def test_edited_text(checker: Checker, name: str, file: str, old: str, new: str, broken: set[str]) -> None:
    folder = OUT / f"edited-{name}"
    generate(HERE, folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    verdict = checker(link(folder))
    assert verdict.status == 1 and set(verdict.rules) == broken, verdict.text


# ---------------------------------------------------------------- other boards

SMALL = """board: {board}
partitions:
  small:
    cpus: [0]
    memory: 16 MiB
    image: {{raw: payload.bin, offset: 0x80000}}
    console: vuart
  large:
    cpus: [1]
    memory: {memory}
    image: {{raw: payload.bin, offset: 0x80000}}
    console: vuart
    interrupts: {interrupts}
"""


def other_image(name: str, board: str, memory: str, interrupts: str) -> tuple[Path, Path]:
    """(system.yaml, linked image) of two partitions on another board."""
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "system.yaml").write_text(SMALL.format(board=board, memory=memory, interrupts=interrupts))
    (folder / "defconfig").touch()
    generate(folder, folder)
    return folder / "system.yaml", link(folder)


def test_16_tib_take_a_moment(checker: Checker) -> None:
    """Nothing counts pages: 16 TiB are proved in well under a second, sanitizers included."""
    system, elf = other_image("16t", "qemu-virt-arm64-16t", "15 TiB", "direct")
    start = time.monotonic()
    verdict = checker(elf, system=system)
    assert verdict.status == 0, verdict.text
    assert time.monotonic() - start < 5
    assert f"memory-mapped          {(15 << 28) + (16 << 8)} pages" in verdict.text


FORMATS = """board: {board}
partitions:
  kernel:
    cpus: [0]
    memory: 64 MiB
    linux: {{kernel: "${{CHECK_KERNEL}}", initrd: initrd.img, bootargs: "quiet"}}
  program:
    cpus: [1]
    memory: 16 MiB
    image: {{elf: guest.elf}}
"""


def test_elf_and_linux(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is copied is compared with the files, in each format."""
    folder = OUT / "formats"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "system.yaml").write_text(FORMATS.format(board=HERE / "board"))
    header = struct.pack("<IIQQQ24x4sI", 0x14000010, 0, 0, 0x100000, 0xa, b"ARM\x64", 0)
    (folder / "Image").write_bytes(header + bytes(range(256)) * 64)
    (folder / "initrd.img").write_bytes(b"initrd" * 999)
    (folder / "guest.S").write_text(".globl _start\n_start: b .\n.data\n.quad 0x1122334455667788\n")
    must("aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-Wl,-Ttext=0x40080000,-Tdata=0x40090000,--build-id=none",
         "-o", folder / "guest.elf", folder / "guest.S")
    monkeypatch.setenv("CHECK_KERNEL", str(folder / "Image"))
    generate(folder, folder)
    elf, system = link(folder), folder / "system.yaml"
    verdict = checker(elf, system=system)
    assert verdict.status == 0, verdict.text
    for name, part in (("Image", "kernel"), ("initrd.img", "kernel"), ("guest.elf", "program")):
        good = (folder / name).read_bytes()
        place = good.index(bytes.fromhex("8877665544332211")) if name == "guest.elf" else 5000
        (folder / name).write_bytes(good[:place] + b"?" + good[place + 1:])
        verdict = checker(elf, system=system)
        (folder / name).write_bytes(good)
        assert set(verdict.rules) == {"image-content"}, verdict.text
        assert f"partition {part}: at guest address" in verdict.text and "there is not what" in verdict.text
    monkeypatch.delenv("CHECK_KERNEL")
    assert "there is no file '${CHECK_KERNEL}'" in checker(elf, system=system).text


def test_gicv2(checker: Checker) -> None:
    """On a GICv2 each guest has the virtual CPU interface, at the CPU interface's address, and nothing else of it."""
    config("gicv2", "board/board.dts", ('"arm,gic-v3"', '"arm,gic-400"'),
           ("reg = <0 0x8000000 0 0x10000>, <0 0x80a0000 0 0x100000>;",
            "reg = <0 0x8000000 0 0x1000>, <0 0x8010000 0 0x2000>, <0 0x8030000 0 0x2000>, <0 0x8040000 0 0x2000>;"))
    system, elf = other_image("gicv2", str(OUT / "config/gicv2/board"), "64 MiB", "virtual")
    verdict = checker(elf, system=system)
    assert verdict.status == 0, verdict.text
    for address, target in ((0x8010000, 0x8010000), (0x8010000, 0x8030000), (0x8010000, 0x8000000), (0x8012000, 0x8040000)):
        image = Image(elf)
        tables = image.stage2("small")
        if tables.get(address) & 1:
            tables.change(address, clear=ADDRESS, set=target)
        else:
            tables.map(address, target, S2_DEVICE)
        image.seal()
        (elf.parent / "bad.elf").write_bytes(image.data)
        found = set(checker(elf.parent / "bad.elf", system=system).rules)
        # The guests' tables are alike, so both may share the one that is changed here.
        assert "controller-unreached" in found and found <= {"controller-unreached", "memory-exclusive"}, (hex(target), found)


def test_the_build_stops(checker: Checker) -> None:
    """`make` with an edited tables.c: the checker names the violation, nothing is packed, and the old image is gone."""
    out = OUT / "make"
    make = ("make", "-j2", "CONFIG=configs/hello", f"O={out}")
    must(*make)
    assert (out / "bulkhead.bin").is_file()
    tables = out / "tables.c"
    good = tables.read_text()
    bad = good.replace("RAM, rwx", "RAM, rw", 1)
    line = next(text for text in good.splitlines() if "s2_" not in text and "ipa 0x42" in text)
    entry = line.split(" = ")[1].split(",")[0]
    bad = good.replace(line, line.replace(entry, f"{int(entry, 16) & 0xfff | 0x40200000:#018x}"), 1)
    tables.write_text(bad)
    done = run(*make)
    assert done.returncode != 0
    assert "hypervisor-unreached" in done.stdout + done.stderr, done.stdout + done.stderr
    assert not (out / "bulkhead.bin").exists() and not (out / "bulkhead.elf").exists()
    tables.write_text(good)
    must(*make)
    assert (out / "bulkhead.bin").is_file()


# ---------------------------------------------------------------- input that is no input

def test_unusable(checker: Checker) -> None:
    good, system = checker.good / "bulkhead.elf", HERE / "system.yaml"
    junk = OUT / "junk"
    junk.write_bytes(b"\x7fELF" + bytes(range(200)))
    for options in (
            ("--elf", good), ("--elf", OUT / "none", "--system", system), ("--elf", junk, "--system", system),
            ("--elf", "/bin/true", "--system", system), ("--elf", good, "--system", OUT / "none"),
            ("--elf", good, "--system", junk), ("--elf", good, "--system", system, "--dtb", junk),
            ("--elf", good, "--system", system, "--dtb", OUT / "none"), ("--elf", OUT, "--system", system),
            ("--elf", good, "--system", OUT), ("--elf", good, "--system", system, "--dtb", OUT),
            ("--elf", good, "--system", system, "--odd")):
        done = run(checker.program, *options)
        assert done.returncode == 2, (options, done.stdout, done.stderr)
        assert "hvcheck" in done.stderr


def test_truncated_files(checker: Checker) -> None:
    """Any beginning of the ELF is refused or found wrong; never believed, never a crash."""
    data = (checker.good / "bulkhead.elf").read_bytes()
    cut = checker.good / "cut.elf"
    for size in (0, 3, 17, 64, 65, 120, 4096, 9000, len(data) // 2, len(data) - 64):
        cut.write_bytes(data[:size])
        assert checker(cut).status in (1, 2), size


def test_noise(checker: Checker) -> None:
    """Random words in layout and tables: a verdict each time, and never a crash (sanitizers are on)."""
    import random
    noise = random.Random(1)
    for _ in range(60):
        image = checker.image()
        start, end = image.symbols["__ro_tables_start"], image.symbols["__ro_tables_end"]
        for _ in range(noise.choice((1, 3, 20))):
            low = image.symbols["layout"] if noise.random() < 0.5 else start
            high = low + 408 if low != start else end
            place = noise.randrange(low, high, 8)
            flipped = image.read64(place) ^ 1 << noise.randrange(64)
            image.write64(place, noise.choice((0, 1, 3, noise.getrandbits(64), noise.getrandbits(33), flipped)))
        assert checker.planted(image).status in (0, 1)


def test_given_files_explicitly(checker: Checker) -> None:
    must("dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-o", OUT / "board.dtb", HERE / "board/board.dts")
    verdict = checker(checker.good / "bulkhead.elf", "--dtb", OUT / "board.dtb", "--board", HERE / "board/board.yaml")
    assert verdict.status == 0, verdict.text


# ---------------------------------------------------------------- the program itself

def test_manual_is_in_the_documentation(checker: Checker) -> None:
    manual = run(checker.program, "--manual").stdout
    assert manual.strip() in (REPO / "docs/checker.md").read_text()


def test_other_compiler(checker: Checker) -> None:
    if shutil.which("clang") is None:
        pytest.skip("clang is not installed")
    must("clang", "-std=c11", "-D_GNU_SOURCE", *WARNINGS, "-Isrc/include", "-Isrc/check", "-fsyntax-only",
         *sorted((REPO / "src/check").glob("*.c")))


def test_static_analysis(checker: Checker) -> None:
    if shutil.which("cppcheck") is None:
        pytest.skip("cppcheck is not installed")
    must("cppcheck", "--quiet", "--error-exitcode=1", "--enable=warning,portability,performance", "--inline-suppr",
         "--suppress=missingIncludeSystem", "-Isrc/include", "-Isrc/check", "src/check")


def test_shares_no_code() -> None:
    """The generator includes nothing of the checker's and the other way round; of src/ only layout.h."""
    for file in (REPO / "src/check").glob("*.[ch]"):
        for line in file.read_text().splitlines():
            if line.startswith("#include") and "hv/" in line:
                assert line == "#include <hv/layout.h>"
    assert compile_checker is not None
