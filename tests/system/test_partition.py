# SPDX-License-Identifier: Apache-2.0
"""The life of a partition: PSCI, restart, policies, consoles, devices."""
from __future__ import annotations

import subprocess

import pytest

from configs import guest, hello, linux, system
from machine import board_arguments


def qemu(image):
    return board_arguments("qemu-virt-arm64") + ["-kernel", str(image.bin)]


def start(one, name="hello"):
    one.expect(rf"^{name}\| hello: Bulkhead guest", 30)


def test_reset_starts_afresh(build, machine):
    one = machine(qemu(build.folder("configs/hello")))
    start(one)
    one.expect(r"^hello\| tick 2", 10)
    one.send("reboot\r", pause=0.01)
    one.expect(r"hello: rebooting", 10)
    start(one)
    one.expect(r"^hello\| tick 1$", 10)


def test_off_leaves_the_neighbour_alone(build, machine):
    one = machine(qemu(build.text("pair", system(hello("[0]", name="one"), hello("[1]", name="two")))))
    start(one, "one")
    one.send("off\r", pause=0.01)
    one.expect(r"one\| hello: off", 10)
    one.expect(r"^two\| tick \d+", 10)
    one.absent(r"^one\| tick", 3)
    one.expect(r"^two\| tick \d+", 10)


@pytest.mark.parametrize("interrupts", ("virtual", "direct"))
def test_fault_is_reported_and_restarts(build, machine, interrupts):
    image = build.text(f"fault-{interrupts}", system(hello("[0]", name="other"), guest(
        "bad", "attacker", "[1]", interrupts, on_fault="restart")))
    one = machine(qemu(image))
    one.expect(r"^bad\| attacker: ready", 30)
    one.send("\x012")
    one.expect(r"input goes to bad", 10)
    one.send("beyond\r", pause=0.01)
    found = one.expect(r"^bulkhead\| FAULT bad, vcpu 0: write to 0x(\w+)", 10)
    assert int(found.group(1), 16) == 0x42000000
    one.expect(r"system\.yaml:\d+", 5)
    one.expect(r"^bad\| attacker: ready", 20)
    one.expect(r"^other\| tick", 10)


def test_fault_stops(build, machine):
    image = build.text("fault-stop", system(hello("[0]", name="other"), hello("[1]", name="bad", on_fault="stop")))
    one = machine(qemu(image))
    start(one, "bad")
    one.send("\x012")
    one.expect(r"input goes to bad", 10)
    one.send("fault\r", pause=0.01)
    one.expect(r"^bulkhead\| FAULT bad", 10)
    one.expect(r"it is stopped", 10)
    one.expect(r"^other\| tick", 10)
    one.absent(r"^bad\| tick", 3)


def test_fault_resets_the_board(build, machine):
    image = build.text("fault-reset", system(hello("[0]", on_fault="reset-board")))
    one = machine(qemu(image) + ["-no-reboot"])
    start(one)
    one.send("fault\r", pause=0.01)
    one.expect(r"the board is reset", 10)
    assert one.ended(20) == 0


def test_fault_on_a_device_names_it(build, machine):
    one = machine(qemu(build.folder("configs/hello")))
    start(one)
    one.send("fault 0x9010000\r", pause=0.01)
    one.expect(r"^bulkhead\| FAULT hello", 10)
    one.expect(r"there lies /pl031@9010000, which system.yaml gives to nobody", 5)


def test_console_help_and_switch(build, machine):
    one = machine(qemu(build.text("pair", system(hello("[0]", name="one"), hello("[1]", name="two")))))
    start(one, "one")
    one.ports[0].position = 0
    start(one, "two")
    one.send("\x01?")
    one.expect(r"1 one.*<- input", 10)
    one.expect(r"2 two", 10)
    one.send("\x012")
    one.expect(r"input goes to two", 10)
    one.send("who is there\r", pause=0.01)
    one.expect(r"^two\| .*you said: who is there", 10)
    one.send("\x017")
    one.expect(r"no such console", 10)


def test_every_line_has_its_prefix(build, machine):
    one = machine(qemu(build.text("pair", system(hello("[0]", name="one"), hello("[1]", name="two")))))
    for tick in (2, 4, 6):
        one.expect(rf"tick {tick}", 20)
    complete = one.text.split("\n")[:-1]
    assert [line for line in complete if line and not line.startswith(("one| ", "two| ", "bulkhead| "))] == []


def test_linux_reboots(build, machine):
    image = build.text("linux-reboot", system(
        linux("[0, 1]", "bulkhead.test=smoke bulkhead.then=reboot"), hello("[2]")))
    one = machine(qemu(image), limit=240)
    for _ in range(2):
        one.expect(r"^linux\| Linux is up: 2 CPUs", 90)
        one.expect(r"self-test smoke: passed", 60)
    one.expect(r"^hello\| tick", 10)


def test_linux_powers_off(build, machine):
    image = build.text("linux-off", system(linux("[0, 1]", "bulkhead.test=smoke"), hello("[2]")))
    one = machine(qemu(image), limit=240)
    one.expect(r"self-test smoke: passed", 120)
    one.expect(r"^hello\| tick", 10)
    one.absent(r"Linux is up", 5)


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
