# SPDX-License-Identifier: Apache-2.0
"""The life of a partition: PSCI, restart, policies, consoles, devices."""
from __future__ import annotations

import subprocess

import pytest

import life
from configs import guest, hello, linux, system
from machine import board_arguments


def qemu(image):
    return board_arguments("qemu-virt-arm64") + ["-kernel", str(image.bin)]


def pair(build):
    return build.text("pair", system(hello("[0]", name="one"), hello("[1]", name="two")))


def test_reset_starts_afresh(build, machine):
    life.reset_starts_afresh(machine(qemu(build.folder("configs/hello"))))


def test_off_leaves_the_neighbour_alone(build, machine):
    life.off_leaves_the_neighbour_alone(machine(qemu(pair(build))))


@pytest.mark.parametrize("interrupts", ("virtual", "direct"))
def test_fault_is_reported_and_restarts(build, machine, interrupts):
    image = build.text(f"fault-{interrupts}", system(hello("[0]", name="other"), guest(
        "bad", "attacker", "[1]", interrupts, on_fault="restart")))
    life.fault_is_reported_and_restarts(machine(qemu(image)), 0x42000000)


def test_fault_stops(build, machine):
    image = build.text("fault-stop", system(hello("[0]", name="other"), hello("[1]", name="bad", on_fault="stop")))
    life.fault_stops(machine(qemu(image)))


def test_fault_resets_the_board(build, machine):
    image = build.text("fault-reset", system(hello("[0]", on_fault="reset-board")))
    life.fault_resets_the_board(machine(qemu(image) + ["-no-reboot"]))


def test_fault_on_a_device_names_it(build, machine):
    life.fault_on_a_device_names_it(machine(qemu(build.folder("configs/hello"))), 0x9010000, "/pl031@9010000")


def test_console_help_and_switch(build, machine):
    life.console_help_and_switch(machine(qemu(pair(build))))


def test_every_line_has_its_prefix(build, machine):
    life.every_line_has_its_prefix(machine(qemu(pair(build))))


def test_linux_reboots(build, machine):
    image = build.text("linux-reboot", system(
        linux("[0, 1]", "bulkhead.test=smoke bulkhead.then=reboot"), hello("[2]")))
    life.linux_reboots(machine(qemu(image), limit=240))


def test_linux_powers_off(build, machine):
    image = build.text("linux-off", system(linux("[0, 1]", "bulkhead.test=smoke"), hello("[2]")))
    life.linux_powers_off(machine(qemu(image), limit=240))


# ---------------------------------------------------------------- devices

@pytest.mark.parametrize("interrupts", ("virtual", "direct"))
def test_devices(build, machine, interrupts):
    """PL031 and PL061 to one guest, the second PL011 to another, with their interrupts."""
    image = build.text(f"devices-{interrupts}", system(
        guest("clock", "devtest", "[0]", interrupts, more="    devices: [/pl031@9010000, /pl061@9030000]\n"),
        guest("line", "devtest", "[1]", interrupts, more="    devices: [/pl011@9040000]\n"),
        hello("[2]")))
    one = machine(qemu(image), ports=2)
    one.expect(r"^clock\| devtest: pl031 alarm interrupt 34 after \d+ s ok", 40, never="FAILED")
    one.ports[0].position = 0
    one.expect(r"^clock\| devtest: pl061 at 0x9030000 .* ok", 20)
    one.ports[0].position = 0
    one.expect(r"^line\| devtest: pl011 at 0x9040000 interrupt 40 ok", 20)
    second = one.ports[1]
    second.expect(r"devtest: this is the second uart", 10)
    second.send("abc", pause=0.05)
    second.expect(r"\[a\]\[b\]\[c\]", 10)


def virtio_page() -> str:
    """The eight slots of the last page of virtio-mmio, where QEMU puts the first disk."""
    slots = (f"{{device: /virtio_mmio@a003{slot:x}00, dma: unprotected}}" for slot in range(0, 16, 2))
    return "    devices:\n" + "".join(f"      - {slot}\n" for slot in slots)


@pytest.mark.parametrize("interrupts", ("virtual", "direct"))
def test_disk(build, machine, tmp_path, interrupts):
    """Linux mounts a passed-through virtio disk, reads and writes; the host finds the file."""
    disk = tmp_path / "disk.img"
    with open(disk, "wb") as stream:
        stream.truncate(32 << 20)
    (tmp_path / "from-host").write_text("written by the host\n", encoding="utf-8")
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", str(disk)], check=True)
    subprocess.run(["/usr/sbin/debugfs", "-w", "-R", f"write {tmp_path}/from-host from-host", str(disk)],
                   check=True, stderr=subprocess.DEVNULL)
    image = build.text(f"disk-{interrupts}", system(
        linux("[0, 1]", "bulkhead.test=disk", interrupts=interrupts, more=virtio_page()), hello("[2]")))
    one = machine(qemu(image) + ["-drive", f"if=none,id=disk,format=raw,file={disk}",
                                 "-device", "virtio-blk-device,drive=disk"], limit=180)
    one.expect(r"^bulkhead\| warning: unprotected DMA, which reaches all memory: linux", 20)
    one.expect(r"^linux\| written by the host", 120)
    one.expect(r"self-test disk: passed", 60, never=r"self-test disk: FAILED")
    one.kill()
    found = subprocess.run(["/usr/sbin/debugfs", "-R", "cat from-guest", str(disk)], check=True, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    assert found == "written by the guest\n"
