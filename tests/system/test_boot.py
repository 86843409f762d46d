# SPDX-License-Identifier: Apache-2.0
"""Every way to start, on every CPU, and the refusals before a guest starts."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from configs import guest, hello, linux, system
from firmware import PROMPT, UBOOT, UEFI, disk_arguments, fat_disk, uboot_load, uboot_prompt
from machine import REPO, board_arguments

CPUS = ("cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76", "neoverse-n1", "max")
NO_PANIC = r"^bulkhead\| .*(?:PANIC|panic|not the board)"


def qemu(image, cpu="cortex-a57", smp="8", m="4G", board="qemu-virt-arm64"):
    return board_arguments(board, cpu=cpu, smp=smp, m=m) + ["-kernel", str(image.bin)]


def two_hellos(build, interrupts="virtual"):
    name = f"hellos-{interrupts}"
    return build.text(name, system(hello("[0, 1]", interrupts, name="one"), hello("[2]", name="two")))


def test_hello(build, machine):
    one = machine(qemu(build.folder("configs/hello")))
    one.expect(r"^hello\| hello: Bulkhead guest, 1 vCPU, RAM 64 MiB at 0x40000000", 20, never=NO_PANIC)
    one.expect(r"^hello\| tick 2", 20)
    one.send("are you there\r", pause=0.01)
    one.expect(r"you said: are you there", 10)


def test_demo_smoke(build):
    image = build.folder("configs/demo")
    done = subprocess.run([sys.executable, str(REPO / "tests/system/smoke.py"), str(image.config), str(image.out)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("interrupts", ("virtual", "direct"))
@pytest.mark.parametrize("cpu", CPUS)
def test_cpu(build, machine, cpu, interrupts):
    """Two partitions, three cores, both ways of interrupts."""
    one = machine(qemu(two_hellos(build, interrupts), cpu=cpu))
    for name in ("one", "two"):
        one.ports[0].position = 0
        one.expect(rf"^{name}\| hello: Bulkhead guest", 30, never=NO_PANIC)
        one.expect(rf"^{name}\| tick 2", 30)
    if interrupts == "virtual":
        one.send("cpu1\r", pause=0.01)
        one.expect(r"^one\| .*second core here, mpidr 0x(80000001|1)\b", 10)


@pytest.mark.parametrize("count", range(1, 9))
def test_cores(build, machine, count):
    """One guest with 1 to 8 vCPUs; it starts each of them."""
    cores = ", ".join(str(core) for core in range(count))
    image = build.text(f"cores-{count}", system(hello(f"[{cores}]")))
    one = machine(qemu(image, smp=str(count)))
    one.expect(rf"hello: Bulkhead guest, {count} vCPU", 30, never=NO_PANIC)
    for core in range(1, count):
        one.send(f"cpu{core}\r", pause=0.01)
        one.expect(rf"second core here, mpidr 0x{core:x}\b", 10)


@pytest.mark.parametrize("vcpus", (1, 2, 4))
@pytest.mark.parametrize("interrupts", ("virtual", "direct"))
def test_linux(build, machine, vcpus, interrupts):
    cores = ", ".join(str(core) for core in range(vcpus))
    image = build.text(f"linux-{vcpus}-{interrupts}",
                       system(linux(f"[{cores}]", "bulkhead.test=smoke", interrupts=interrupts), hello("[4]")))
    one = machine(qemu(image), limit=180)
    one.expect(rf"^linux\| Linux is up: {vcpus} CPUs", 90, never=NO_PANIC)
    one.expect(r"^linux\| self-test smoke: passed", 60, never=r"self-test smoke: FAILED|BUG:|WARNING:")
    one.expect(r"^hello\| tick", 10)


def test_linux_without_quiet_has_no_complaints(build, machine):
    """Nothing in the kernel's log says that a device or the firmware is not as it should be."""
    image = build.text("linux-log", system(linux("[0, 1]", "loglevel=4 bulkhead.then=shell")))
    one = machine(qemu(image))
    one.expect(r"linux# ", 90)
    one.send("dmesg -r | grep -E '^<[0-4]>' | grep -viE 'kaslr|ima:|TPM'; echo end''ed\n", pause=0.005)
    one.expect(r"^(linux\| )?.*ended\s*$", 20)
    bad = [line for line in one.of("linux").splitlines() if line.startswith("<")]
    allowed = ("cacheinfo", "Unable to detect cache", "crc32c")
    assert not [line for line in bad if not any(word in line for word in allowed)]


# ---------------------------------------------------------------- boot loaders

@pytest.fixture(scope="module")
def boot_disk(build, tmp_path_factory):
    image = build.folder("configs/demo")
    return fat_disk(tmp_path_factory.mktemp("disk") / "boot.img", {
        "bulkhead.bin": image.bin, "bulkhead.itb": image.itb, "EFI/BOOT/BOOTAA64.EFI": image.bin})


def firmware(bios: str, disk: Path) -> list[str]:
    return board_arguments("qemu-virt-arm64") + ["-bios", bios] + disk_arguments(disk)


def both_guests(one, timeout=120):
    start = one.ports[0].position
    one.expect(r"^hello\| hello: Bulkhead guest", timeout, never=NO_PANIC)
    one.ports[0].position = start
    one.expect(r"^linux\| Linux is up: 2 CPUs", timeout, never=NO_PANIC)


def test_uboot_booti(machine, boot_disk):
    one = machine(firmware(UBOOT, boot_disk))
    uboot_prompt(one)
    uboot_load(one, "bulkhead.bin", "0x50000000")
    one.send("booti 0x50000000 - $fdt_addr\n")
    both_guests(one)


def test_uboot_bootm_fit(machine, boot_disk):
    one = machine(firmware(UBOOT, boot_disk))
    uboot_prompt(one)
    uboot_load(one, "bulkhead.itb", "0x50000000")
    one.send("bootm 0x50000000 - $fdt_addr\n")
    one.expect(r"sha256\+? ?.*OK|Verifying Hash Integrity \.\.\. .*OK", 30, never=r"Bad hash|error")
    both_guests(one)


def test_uboot_fit_with_a_flipped_bit(machine, build, tmp_path):
    """A FIT whose data do not match its hash is refused by U-Boot."""
    itb = bytearray(build.folder("configs/demo").itb.read_bytes())
    itb[len(itb) // 2] ^= 1
    (tmp_path / "bad.itb").write_bytes(itb)
    disk = fat_disk(tmp_path / "boot.img", {"bulkhead.itb": tmp_path / "bad.itb"})
    one = machine(firmware(UBOOT, disk))
    uboot_prompt(one)
    uboot_load(one, "bulkhead.itb", "0x50000000")
    one.send("bootm 0x50000000 - $fdt_addr\n")
    one.expect(r"Bad hash", 30)
    one.expect(PROMPT, 10)


def test_uboot_bootefi(machine, boot_disk):
    one = machine(firmware(UBOOT, boot_disk))
    uboot_prompt(one)
    uboot_load(one, "EFI/BOOT/BOOTAA64.EFI", "0x50000000")
    one.send("bootefi 0x50000000 $fdt_addr\n")
    both_guests(one)


def test_uefi(machine, boot_disk):
    one = machine(firmware(UEFI, boot_disk))
    both_guests(one, 180)


# ---------------------------------------------------------------- refusals at boot

def test_too_little_ram_is_said(build, machine):
    one = machine(qemu(build.folder("configs/demo"), m="256M"))
    one.expect(r"^bulkhead\| .*needs RAM at 0x[0-9a-f]+", 20)
    one.absent(r"hello: Bulkhead|Linux is up", 3)


def test_missing_core_is_said(build, machine):
    one = machine(qemu(build.folder("configs/demo"), smp="2"))
    one.expect(r"^bulkhead\| .*hello needs the core with MPIDR 0x2", 20)
    one.absent(r"hello: Bulkhead|Linux is up", 3)


def test_no_el2_is_said(build, machine):
    arguments = qemu(build.folder("configs/hello"))
    arguments = [argument.replace("virtualization=on", "virtualization=off") for argument in arguments]
    one = machine(arguments)
    one.expect(r"EL2", 20)


def test_damaged_tables_are_said(build, machine, tmp_path):
    """A bit flipped in the page tables of the flat file: the checksum does not hold."""
    from elftools.elf.elffile import ELFFile
    image = build.folder("configs/hello")
    with open(image.elf, "rb") as stream:
        elf = ELFFile(stream)
        symbols = {symbol.name: symbol["st_value"] for symbol in elf.get_section_by_name(".symtab").iter_symbols()}
        base = min(segment["p_paddr"] for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD")
    data = bytearray(image.bin.read_bytes())
    data[symbols["__ro_tables_end"] - base - 64] ^= 0x10
    (tmp_path / "damaged.bin").write_bytes(data)
    one = machine(board_arguments("qemu-virt-arm64") + ["-kernel", str(tmp_path / "damaged.bin")])
    one.expect(r"^bulkhead\| .*(checksum|damaged)", 20, never="hello: Bulkhead")


# ---------------------------------------------------------------- foreign guests

def test_uboot_as_a_guest(build, machine):
    """Debian's U-Boot for this board as a partition's image, up to its prompt."""
    entry = f"""
  uboot:
    cpus: [0]
    memory: 256 MiB
    image: {{raw: {UBOOT}, offset: 0x200000}}
    devices: [/flash@0]
    console: vuart
"""
    one = machine(qemu(build.text("uboot", system(entry, hello("[1]")))))
    one.expect(r"U-Boot 20\d\d", 30, never=NO_PANIC)
    one.expect(r"Hit any key to stop autoboot", 60)
    one.send(" ")
    one.expect(r"=> ", 30)
    one.send("echo six times seven is 42\n", pause=0.01)
    one.expect(r"^uboot\| six times seven is 42", 20)
    one.expect(r"^hello\| tick", 10)


# ---------------------------------------------------------------- large memory

def test_one_tebibyte(build, machine):
    """More than 1000 GiB for one guest, another beside it; first, last and scattered pages hold."""
    image = build.text("tebibyte", system(
        guest("big", "memtest", "[0]", memory="1010 GiB"), hello("[1]"), board="qemu-virt-arm64-1t"))
    one = machine(board_arguments("qemu-virt-arm64-1t") + ["-kernel", str(image.bin)])
    one.expect(r"^hello\| hello: Bulkhead guest", 60, never=NO_PANIC)
    one.ports[0].position = 0
    one.expect(r"^big\| memtest: \d+ pages over 1010 GiB ok", 120, never="FAILED")
