# SPDX-License-Identifier: Apache-2.0
"""x86: every way to start, with SVM and VMX, and the refusals before a guest starts."""
from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import long
from firmware import PROMPT, fat_disk, uboot_prompt
from machine import REPO, board_arguments, emulator
from pc import BOCHS, MODELS, NAMES, NO_PANIC, SVM, VMX, firmware, guest, hello, image_of, linux, qemu

OVMF = "/usr/share/OVMF/OVMF_CODE.fd"
UBOOT = "/usr/lib/u-boot/qemu-x86_64/u-boot.rom"


def both_guests(one, timeout=120):
    start = one.ports[0].position
    one.expect(r"^hello\| hello: Bulkhead guest", timeout, never=NO_PANIC)
    one.ports[0].position = start
    one.expect(r"^linux\| Linux is up: 2 CPUs", timeout, never=NO_PANIC)


# ---------------------------------------------------------------- QEMU, SVM

def test_hello(build, machine):
    one = machine(qemu(build.folder("configs/hello-x86")))
    one.expect(r"^hello\| hello: Bulkhead guest, 1 vCPU, RAM 6\d MiB", 20, never=NO_PANIC)
    one.expect(r"^hello\| tick 2", 20)
    one.send("are you there\r", pause=0.01)
    one.expect(r"you said: are you there", 10)


def test_demo_smoke(build):
    image = build.folder("configs/demo-x86")
    done = subprocess.run([sys.executable, str(REPO / "tests/system/smoke.py"), str(image.config), str(image.out)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("count", (1, 2, 3, 4))
def test_cores(build, machine, count):
    """One guest with 1 to 4 vCPUs on a machine with as many cores; it starts each of them by INIT and SIPI."""
    cores = ", ".join(str(core) for core in range(count))
    image = image_of(build, f"cores-{count}", hello(f"[{cores}]"))
    one = machine(qemu(image, smp=str(count)))
    one.expect(rf"hello: Bulkhead guest, {count} vCPU", 30, never=NO_PANIC)
    one.expect(r"tick 1", 10)
    for core in range(1, count):
        one.send(f"cpu{core}\r", pause=0.01)
        one.expect(rf"second core here, APIC ID 0x{core:x}\b", 10)


@pytest.mark.parametrize("cpu", ("EPYC", "EPYC-Rome", "EPYC-Milan", "EPYC-Genoa"))
def test_cpu(build, machine, cpu):
    """AMD's server CPUs as QEMU models them."""
    image = image_of(build, "hellos", hello("[0, 1]", name="one"), hello("[2]", name="two"))
    one = machine(qemu(image, cpu=f"{cpu},+svm,+npt,+x2apic,-la57"))
    for name in ("one", "two"):
        one.ports[0].position = 0
        one.expect(rf"^{name}\| hello: Bulkhead guest", 30, never=NO_PANIC)
        one.expect(rf"^{name}\| tick 2", 30)


@pytest.mark.parametrize("vcpus", (1, 2, 3))
def test_linux(build, machine, vcpus):
    cores = ", ".join(str(core) for core in range(vcpus))
    image = image_of(build, f"linux-{vcpus}", linux(f"[{cores}]", "bulkhead.test=smoke"), hello("[3]"))
    one = machine(qemu(image), limit=180)
    one.expect(rf"^linux\| Linux is up: {vcpus} CPUs", 90, never=NO_PANIC)
    one.expect(r"^linux\| self-test smoke: passed", 60, never=r"self-test smoke: FAILED|BUG:|WARNING:")
    one.expect(r"^hello\| tick", 10)


def test_linux_on_every_core(build, machine):
    image = image_of(build, "linux-4", linux("[0, 1, 2, 3]", "bulkhead.test=smoke", memory="1 GiB"))
    one = machine(qemu(image), limit=180)
    one.expect(r"^linux\| Linux is up: 4 CPUs", 90, never=NO_PANIC)
    one.expect(r"^linux\| self-test smoke: passed", 60, never=r"self-test smoke: FAILED|BUG:|WARNING:")


def test_linux_without_quiet_has_no_complaints(build, machine):
    """Nothing in the kernel's log says that a device or the firmware is not as it should be."""
    image = image_of(build, "linux-log", linux("[0, 1]", "loglevel=4 bulkhead.then=shell", quiet=""))
    one = machine(qemu(image))
    one.expect(r"linux# ", 90)
    one.send("dmesg -r | grep -E '^<[0-4]>'; echo end''ed\n", pause=0.005)
    one.expect(r"^(linux\| )?.*ended\s*$", 20)
    bad = [line for line in one.of("linux").splitlines() if line.startswith("<")]
    allowed = ("PCI: Fatal: No config space access", "PCI: System does not support PCI")   # there is none
    assert not [line for line in bad if not any(word in line for word in allowed)]


def test_two_linux_side_by_side(build, machine):
    image = image_of(build, "linuxes", linux("[0, 2]", "bulkhead.test=smoke", name="left"),
                     linux("[1, 3]", "bulkhead.test=smoke", name="right"))
    one = machine(qemu(image), limit=180)
    for name in ("left", "right"):
        one.ports[0].position = 0
        one.expect(rf"^{name}\| self-test smoke: passed", 120, never=r"self-test smoke: FAILED|BUG:|WARNING:")


def test_one_tebibyte(build, machine):
    """More than 1000 GiB for one guest, another beside it; first, last and scattered pages hold."""
    image = image_of(build, "tebibyte", guest("big", "memtest", "[0]", memory="1010 GiB"), hello("[1]"), board="qemu-q35-1t")
    one = machine(qemu(image, board="qemu-q35-1t"))
    one.expect(r"^hello\| hello: Bulkhead guest", 60, never=NO_PANIC)
    one.ports[0].position = 0
    one.expect(r"^big\| memtest: \d+ pages over 10\d\d GiB ok", 120, never="FAILED")


# ---------------------------------------------------------------- Bochs: VMX, and SVM as another implementation

def bochs_hello(build, vendor):
    return image_of(build, f"bochs-hellos-{NAMES[vendor]}", hello("[0, 1]", name="one"), hello("[2]", name="two"),
                    board=BOCHS, vendor=vendor)


@pytest.mark.parametrize("model", ["tigerlake", "bx_generic",
                                   *(long(model) for model in MODELS if model not in ("tigerlake", "bx_generic"))])
def test_bochs_hello(build, machine, model):
    """Two partitions; one starts its second core; each answers on the one console; one is restarted."""
    image = bochs_hello(build, MODELS[model])
    one = machine.bochs(image.elf, model=model)
    for name in ("one", "two"):
        one.ports[0].position = 0
        one.expect(rf"^{name}\| hello: Bulkhead guest", 60, never=NO_PANIC)
    one.expect(r"tick 1", 60)
    one.send("cpu1\r", pause=0.05)
    one.expect(r"^one\| .*second core here, APIC ID 0x1\b", 30)
    one.send("\x012")
    one.expect(r"input goes to two", 30)
    one.send("fault\r", pause=0.05)
    one.expect(r"^bulkhead\| FAULT two", 30)
    one.expect(r"^two\| hello: Bulkhead guest", 60)
    one.expect(r"^one\| tick", 60)


@pytest.mark.parametrize("model", [long(model) for model in MODELS])
def test_bochs_linux(build, machine, model):
    vendor = MODELS[model]
    image = image_of(build, f"bochs-linux-{NAMES[vendor]}", linux("[0, 1]", "bulkhead.test=smoke"),
                     hello("[2]"), board=BOCHS, vendor=vendor)
    one = machine.bochs(image.elf, limit=900, model=model)
    one.expect(r"^linux\| Linux is up: 2 CPUs", 600, never=NO_PANIC)
    one.expect(r"^linux\| self-test smoke: passed", 300, never=r"self-test smoke: FAILED|BUG:|WARNING:")
    one.expect(r"^hello\| tick", 60)


# ---------------------------------------------------------------- boot loaders

def test_grub(build, machine, tmp_path):
    """GRUB starts the ELF by multiboot2 from a CD."""
    disc = emulator.make_disc(build.folder("configs/demo-x86").elf, tmp_path / "bulkhead.iso")
    one = machine(board_arguments("qemu-q35") + ["-cdrom", str(disc), "-boot", "d"])
    both_guests(one)


@pytest.fixture(scope="module")
def boot_disk(build, tmp_path_factory):
    image = build.folder("configs/demo-x86")
    return fat_disk(tmp_path_factory.mktemp("disk") / "boot.img", {"EFI/BOOT/BOOTX64.EFI": image.bin})


def test_uefi(machine, boot_disk):
    both_guests(machine(firmware(OVMF, boot_disk)), 180)


def test_uboot_bootefi(machine, boot_disk):
    one = machine(firmware(UBOOT, boot_disk))
    uboot_prompt(one)
    one.send("scsi scan; load scsi 0 0x10000000 EFI/BOOT/BOOTX64.EFI\n")
    one.expect(r"\d+ bytes read in", 60, never=r"\*\* |Failed")
    one.expect(PROMPT, 20)
    one.send("bootefi 0x10000000\n")
    both_guests(one)


# ---------------------------------------------------------------- refusals at boot

def refused(one, pattern):
    one.expect(rf"^bulkhead\| .*{pattern}", 20)
    one.absent(r"hello: Bulkhead|Linux is up", 3)


def test_too_little_ram_is_said(build, machine):
    refused(machine(qemu(build.folder("configs/demo-x86"), m="256M")), r"needs RAM at 0x[0-9a-f]+")


def test_missing_core_is_said(build, machine):
    refused(machine(qemu(build.folder("configs/demo-x86"), smp="2")), r"the core with APIC ID 0x2, which hello needs")


def test_no_svm_is_said(build, machine):
    refused(machine(qemu(build.folder("configs/hello-x86"), cpu="max,-svm,+x2apic")), r"SVM")


def test_no_nested_paging_is_said(build, machine):
    refused(machine(qemu(build.folder("configs/hello-x86"), cpu="max,+svm,-npt,+x2apic")), r"nested pag")


def test_no_x2apic_is_said(build, machine):
    refused(machine(qemu(build.folder("configs/hello-x86"), cpu="max,+svm,+npt,-x2apic")), r"this CPU has no x2APIC")


def test_intels_image_on_amd_is_said(build, machine):
    image = image_of(build, "hello-vmx", hello("[0]"), vendor=VMX)
    refused(machine(qemu(image)), r"VMX")


def test_amds_image_on_intel_is_said(build, machine):
    image = image_of(build, "bochs-hello-svm", hello("[0]"), board=BOCHS, vendor=SVM)
    one = machine.bochs(image.elf, model="tigerlake")
    one.expect(r"^bulkhead\| .*SVM", 60, never="hello: Bulkhead")


def test_damaged_tables_are_said(build, machine, tmp_path):
    """A bit flipped in the page tables: the checksum does not hold."""
    from elftools.elf.elffile import ELFFile
    image = build.folder("configs/hello-x86")
    data = bytearray(image.elf.read_bytes())
    with open(image.elf, "rb") as stream:
        elf = ELFFile(stream)
        symbols = {symbol.name: symbol["st_value"] for symbol in elf.get_section_by_name(".symtab").iter_symbols()}
        address = symbols["__ro_tables_end"] - 64
        load = next(segment for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD"
                    and 0 <= address - segment["p_vaddr"] < segment["p_filesz"])
        data[load["p_offset"] + address - load["p_vaddr"]] ^= 0x10
    (tmp_path / "damaged.elf").write_bytes(data)
    one = machine(board_arguments("qemu-q35") + ["-kernel", str(tmp_path / "damaged.elf")])
    one.expect(r"^bulkhead\| .*(checksum|damaged)", 20, never="hello: Bulkhead")
