# SPDX-License-Identifier: Apache-2.0
"""The life of a partition on x86: ACPI's reset and power-off, restart, policies, consoles, devices."""
from __future__ import annotations

import time

import pytest

import life
from conftest import long
from life import start
from pc import BOCHS, NAMES, SVM, VMX, guest, hello, image_of, linux, qemu


def pair(build):
    return image_of(build, "pair", hello("[0]", name="one"), hello("[1]", name="two"))


def test_reset_starts_afresh(build, machine):
    life.reset_starts_afresh(machine(qemu(build.folder("configs/hello-x86"))))


def test_many_resets(build, machine):
    """Twenty restarts of one partition; the other one's ticks do not stop."""
    one = machine(qemu(pair(build)), limit=240)
    start(one, "two")
    one.ports[0].position = 0
    start(one, "one")
    for _ in range(20):
        one.expect(r"^one\| tick 1$", 20)
        one.send("reboot\r", pause=0.01)
        start(one, "one")
    one.expect(r"^two\| tick (\d+)", 10)


@pytest.mark.long
def test_input_meets_restarts(build, machine):
    """400 restarts, each asked for as soon as the guest shows that it is there, at various speeds: no character is lost."""
    one = machine(qemu(pair(build)), limit=600)
    for number in range(400):
        start(one, "one")
        time.sleep(number % 7 * 0.004)
        one.send("reboot\r", pause=number % 4 * 0.001)
    one.expect(r"^two\| tick (\d+)", 10)


def test_off_leaves_the_neighbour_alone(build, machine):
    life.off_leaves_the_neighbour_alone(machine(qemu(pair(build))))


def test_fault_is_reported_and_restarts(build, machine):
    image = image_of(build, "fault", hello("[0]", name="other"), guest("bad", "attacker", "[1]", on_fault="restart"))
    life.fault_is_reported_and_restarts(machine(qemu(image)), 0x2000000)


def test_fault_stops(build, machine):
    image = image_of(build, "fault-stop", hello("[0]", name="other"), hello("[1]", name="bad", on_fault="stop"))
    life.fault_stops(machine(qemu(image)))


def test_fault_resets_the_board(build, machine):
    image = image_of(build, "fault-reset", hello("[0]", on_fault="reset-board"))
    life.fault_resets_the_board(machine(qemu(image) + ["-no-reboot"]))


def test_fault_on_a_device_names_it(build, machine):
    life.fault_on_a_device_names_it(machine(qemu(build.folder("configs/hello-x86"))), 0xfed00000, "/hpet@fed00000")


def test_console_help_and_switch(build, machine):
    life.console_help_and_switch(machine(qemu(pair(build))))


def test_every_line_has_its_prefix(build, machine):
    life.every_line_has_its_prefix(machine(qemu(pair(build))))


def test_linux_reboots(build, machine):
    """As PCs do in the end, by the BIOS's entry point: with both cores, twice."""
    image = image_of(build, "linux-reboot", linux("[0, 1]", "bulkhead.test=smoke bulkhead.then=reboot"), hello("[2]"))
    life.linux_reboots(machine(qemu(image), limit=240))


@pytest.mark.long
def test_linux_reboots_on_bochs(build, machine):
    """The way through real mode under VMX."""
    image = image_of(build, "linux-reboot-bochs", linux("[0, 1]"), hello("[2]"), board=BOCHS, vendor=VMX)
    one = machine.bochs(image.elf, limit=1200, model="tigerlake")
    one.expect(r"^linux\| Linux is up: 2 CPUs", 600, never="FAULT")
    one.expect(r"linux# ", 60)
    one.send("reboot -f\n", pause=0.05)
    one.expect(r"^bulkhead\| linux restarts", 120, never="FAULT")
    one.expect(r"^linux\| Linux is up: 2 CPUs", 600, never="FAULT")
    one.expect(r"^hello\| tick", 60)


def test_linux_powers_off(build, machine):
    """Through ACPI's sleep registers."""
    image = image_of(build, "linux-off", linux("[0, 1]", "bulkhead.test=smoke"), hello("[2]"))
    life.linux_powers_off(machine(qemu(image), limit=240))


# ---------------------------------------------------------------- devices

def test_devices(build, machine):
    """The clock and COM2 with their lines of the I/O APIC, to one guest each."""
    image = image_of(build, "devices", guest("clock", "devtest", "[0]", more="    devices: [rtc]\n"),
                     guest("line", "devtest", "[1]", more="    devices: [com2]\n"), hello("[2]"))
    one = machine(qemu(image), ports=2)
    one.expect(r"^clock\| devtest: rtc interrupt ok", 40, never="FAILED")
    one.ports[0].position = 0
    one.expect(r"^clock\| devtest: no second uart", 20)
    one.ports[0].position = 0
    one.expect(r"^line\| devtest: no rtc", 20)
    one.expect(r"^line\| devtest: 16550 at 0x2f8 vector 0x\w+ ok", 20)
    second = one.ports[1]
    second.expect(r"devtest: this is the second uart", 10)
    second.send("abc", pause=0.05)
    second.expect(r"\[a\]\[b\]\[c\]", 10)
    one.expect(r"^line\| devtest: \d+ characters received", 10)


def serial_test(one, timeout):
    """Lines typed at the second serial port come back from a program in Linux, by its interrupts."""
    one.expect(r"^linux\| serial: /dev/ttyS1 ready", timeout, never=r"self-test serial: FAILED")
    second = one.ports[1]
    second.expect(r"ttyS1 is here", 30)
    for word in ("alpha", "beta", "the quick brown fox", "end"):
        second.send(f"{word}\n", pause=0.01)
        second.expect(rf"^ttyS1 heard {word}$", 30)
    one.expect(r"^linux\| serial: \d+ interrupts", 30)
    one.expect(r"^linux\| self-test serial: passed", 30, never=r"self-test serial: FAILED")
    one.expect(r"^hello\| tick", 60)


def serial_image(build, board, vendor):
    return image_of(build, f"serial-{board}-{NAMES[vendor]}", linux(
        "[0, 1]", "bulkhead.test=serial", more="    devices: [com2]\n"), hello("[2]"), board=board, vendor=vendor)


def test_linux_with_a_serial_port_of_its_own(build, machine):
    one = machine(qemu(serial_image(build, "qemu-q35", SVM)), ports=2)
    serial_test(one, 90)


@pytest.mark.parametrize("model, vendor", [long("tigerlake", VMX), long("bx_generic", SVM)])
def test_bochs_serial_port_of_its_own(build, machine, model, vendor):
    image = serial_image(build, BOCHS, vendor)
    serial_test(machine.bochs(image.elf, ports=2, limit=900, model=model), 600)
