# SPDX-License-Identifier: Apache-2.0
"""PCI functions given to partitions on x86: used with their interrupts, and held off from everything else."""
from __future__ import annotations

import socket

import pytest

from conftest import long
from pc import BOCHS, NAMES, SVM, VMX, entry, guest, hello, linux, qemu, system

PCI = SVM + "CONFIG_PCI=y\n"
EDU, SERIAL = "/pcie@b0000000/edu@3,0", "/pcie@b0000000/serial@4,0"
BASE, VICTIM = 0x40000000, 0x48000000      # where memory really lies


def cards(name: str, cpus: str, device: str, arguments: str, physical: int = BASE, on_fault: str = "restart") -> str:
    image = f'linux: {{kernel: guests/cards.elf, bootargs: "base={physical:#x} {arguments}"}}'
    return entry(name, image, cpus, f"{{size: 32 MiB, physical: {physical:#x}}}", on_fault, f'    devices: ["{device}"]\n')


def with_cards(image, where):
    """The two cards of boards/qemu-q35; what is written to the serial one goes to a file."""
    return qemu(image) + ["-device", "edu,addr=3,dma_mask=0xffffffff", "-chardev", f"file,id=card,path={where}",
                          "-device", "pci-serial,addr=4,chardev=card"]


def looks_right(one, part, function, size, place, line):
    """What every guest says about its function before it uses it; and nothing else is there for it."""
    one.expect(rf"^{part}\| cards: host bridge 8086:29c0", 30, never="BREACH|FAILED")
    one.expect(rf"^{part}\| cards: {function}, {size} bytes at {place:#x}, pin 1, line {line}", 10)
    for what in ("capabilities hidden", "another address for its BAR", "another byte for its BAR", "bus master"):
        one.expect(rf"^{part}\| cards: {what}: held", 10, never="BREACH|FAILED")


def test_cards(build, machine, tmp_path):
    """Each has one card. DMA into own and foreign memory does not happen; a foreign card ends in a fault, a restart begins anew."""
    image = build.text("pc-cards", system(
        cards("edu", "[0]", EDU, f"dma={VICTIM + 0x1000000:#x}"), cards("serial", "[1]", SERIAL, "touch=0xe0000000", 0x44000000),
        guest("watch", "victim", "[2]", f"{{size: 32 MiB, physical: {VICTIM:#x}}}")), defconfig=PCI)
    one = machine(with_cards(image, tmp_path / "card"))
    looks_right(one, "edu", "00:03.0 is 1234:11e8", 0x100000, 0xe0000000, 23)
    one.expect(r"^edu\| cards: edu answers", 10)
    one.expect(r"^edu\| cards: edu says 10! = 3628800, by 1 interrupt ok", 10, never="FAILED")
    one.expect(r"^edu\| cards: DMA into its own memory: held", 20, never="BREACH")
    one.expect(rf"^edu\| cards: DMA to {VICTIM + 0x1000000:#x} was asked for", 20)
    one.expect(r"^edu\| cards: 1 functions$", 20)
    one.expect(r"^watch\| victim: ok", 10, never="CORRUPT|STRAY")
    one.ports[0].position = 0
    for _ in range(2):
        looks_right(one, "serial", "00:04.0 is 1b36:0002", 8, 0xe000, 20)
        one.expect(r"^serial\| cards: 16550 at 0xe000, by 1 interrupt ok", 10, never="FAILED")
        one.expect(r"^serial\| cards: 1 functions$", 20)
        one.expect(r"^bulkhead\| FAULT serial, vcpu 0: read of 0xe0000000", 10)
        one.expect(rf"there lies {EDU}, which system.yaml:\d+ gives to edu", 10)
    one.expect(r"^watch\| victim: ok", 10, never="CORRUPT|STRAY|FAULT edu")
    assert (tmp_path / "card").read_text().count("cards: this is the PCI serial port\n") >= 2


def test_another_board(build, machine):
    """Cards that are not there are missed before any guest runs."""
    image = build.text("pc-cards-missing", system(cards("edu", "[0]", EDU, "")), defconfig=PCI)
    one = machine(qemu(image) + ["-device", "pci-serial,addr=3"])
    one.expect(rf"this is not the board of the layout: {EDU}, which edu needs, has ID 0x21b36 here, not 0x11e81234", 30)
    one.absent(r"^edu\|", 1)


@pytest.mark.long
def test_linux_has_a_serial_card(build, machine, tmp_path):
    """Debian's kernel finds it through ACPI and the old ports, and its own driver uses it by its line."""
    image = build.text("pc-cards-linux", system(linux("[0, 1]", "bulkhead.test=serial", more="    devices: [pciserial]\n", quiet=""),
                                                hello("[2]")), defconfig=PCI)
    place = tmp_path / "card"
    one = machine(qemu(image) + ["-chardev", f"socket,id=card,path={place},server=on,wait=off", "-device",
                                 "pci-serial,addr=4,chardev=card"])
    one.expect(r"^linux\| .*PCI: Using configuration type 1", 60, never="FAULT")
    one.expect(r"^linux\| .*pci 0000:00:04.0: \[1b36:0002\]", 30)
    one.expect(r"^linux\| .*0000:00:04.0: ttyS1 at I/O 0xe000", 30)
    with socket.socket(socket.AF_UNIX) as card:
        card.connect(str(place))
        card.settimeout(60)
        one.expect(r"^linux\| serial: /dev/ttyS1 ready", 90, never=r"self-test serial: FAILED")
        wire = card.makefile("rw", newline="\n")
        for word in ("alpha", "the quick brown fox", "end"):
            wire.write(f"{word}\n")
            wire.flush()
            while wire.readline() != f"ttyS1 heard {word}\n":
                pass
    one.expect(r"^linux\| serial: \d+ interrupts", 30)
    one.expect(r"^linux\| self-test serial: passed", 30, never=r"self-test serial: FAILED")
    one.expect(r"^hello\| tick", 60)


@pytest.mark.parametrize("model, vendor", [long("tigerlake", VMX), long("bx_generic", SVM)])
def test_bochs_usb_controller(build, machine, model, vendor):
    """Under VMX too: a function for ports, which its guest would like to be a bus master."""
    image = build.text(f"pc-cards-bochs-{NAMES[vendor]}", system(cards("usb", "[0]", "usb", ""), hello("[1]"), board=BOCHS),
                       defconfig=vendor + "CONFIG_PCI=y\n")
    one = machine.bochs(image.elf, limit=400, model=model)
    one.expect(r"^usb\| cards: host bridge 8086:1237", 300, never="BREACH|FAILED|FAULT|PANIC")
    one.expect(r"^usb\| cards: 00:01.2 is 8086:7020, 32 bytes at 0xd000, pin 0, line 0", 30)
    for what in ("capabilities hidden", "another address for its BAR", "another byte for its BAR", "bus master"):
        one.expect(rf"^usb\| cards: {what}: held", 30, never="BREACH|FAILED|FAULT")
    one.expect(r"^usb\| cards: UHCI says 0x40 ok", 30)
    one.expect(r"^usb\| cards: 1 functions", 60)
    one.expect(r"^hello\| tick", 60)
