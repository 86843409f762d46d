# SPDX-License-Identifier: Apache-2.0
"""Limits of restarts, monitors, watchdogs and resets of devices on x86: the same core, asked by VMMCALL or VMCALL; each
core comes back by NMI, and the 8254 says when it is time."""
from __future__ import annotations

import pytest

from conftest import long
from machine import REPO
from pc import BOARD, BOCHS, NAMES, NO_PANIC, SVM, VMX, guest, hello, image_of, linux, qemu

INFO, STOP, START, RESTART, EVENT = 0, 2, 3, 4, 5


def image(build, vendor, board):
    return image_of(build, f"health-{NAMES[vendor]}-{board}", guest("mon", "health", "[0]", more="    monitor: true\n"),
                    guest("far", "health", "[1]", on_fault="{restart: {times: 1, within: 600 s}}"),
                    board=board, vendor=vendor + "CONFIG_MONITOR=y\n")


@pytest.fixture(params=("svm-qemu", "vmx-bochs"))
def one(build, machine, request):
    """Both guests are up."""
    if request.param == "svm-qemu":
        found = machine(qemu(image(build, SVM, "qemu-q35")))
    else:
        found = machine.bochs(image(build, VMX, BOCHS).elf, count="2")
    for name in ("mon", "far"):
        found.ports[0].position = 0
        found.expect(rf"^{name}\| health: up", 90, never=NO_PANIC)
    return found


def focus(one, number, name):
    one.send(f"\x01{number}")
    one.expect(rf"input goes to {name}", 30)


def call(one, function, partition, result):
    one.send(f"call {function} {partition}\r", pause=0.02)
    one.expect(rf"health: call {function} {partition} gives {result}$", 30, never=NO_PANIC)


def restarted(one, function=RESTART):
    here = one.ports[0].position
    call(one, function, 1, 0)
    one.ports[0].position = here
    one.expect(r"^far\| health: up", 30, never=NO_PANIC)


def test_monitor_and_limit(one):
    call(one, STOP, 1, 0)
    one.ports[0].position = 0
    one.expect(r"^bulkhead\| far is stopped", 30)
    call(one, STOP, 1, -2)
    restarted(one, START)
    for way in ("spin", "sleep"):
        focus(one, 2, "far")
        one.send(f"{way}\r", pause=0.02)
        one.expect(rf"^far\| {way}", 30)
        focus(one, 1, "mon")
        restarted(one)
    call(one, STOP, 0, -3)
    call(one, STOP, 2, -3)
    focus(one, 2, "far")
    for function in (STOP, START, RESTART, EVENT):
        call(one, function, 0, -1)
    one.send("fault\r", pause=0.02)
    one.expect(r"^bulkhead\| far: restart 1 of at most 1 in 600000 ms", 30)
    one.expect(r"^far\| health: up", 30)
    one.send("fault\r", pause=0.02)
    one.expect(r"^bulkhead\| far: restarts in the last 600000 ms: 1, the most that system.yaml:\d+ allows", 30)
    one.expect(r"^bulkhead\| far is stopped", 30)
    focus(one, 1, "mon")
    one.send("events\r", pause=0.02)
    one.expect(r"event fault of 1 vcpu 0, address 0x2000000", 30)
    one.expect(r"event limit of 1", 30)
    one.expect(r"event stopped of 1", 30)


# ---------------------------------------------------------------- watchdogs

BITTEN = r"^bulkhead\| FAULT {}: its watchdog \(system.yaml:\d+\) was not refreshed for {} us, vcpu 0 was at pc 0x\w+"
DOGS = ("near", "far", "pooled")


def dogs(build, vendor, board):
    """On the core whose alarm rings for all, on one of its own, and on one that is shared."""
    settings = {"on_fault": "restart", "more": "    watchdog: {timeout: 300 ms, boot: 3 s}\n"}
    share = "{pool: shared, budget: 2 ms, period: 10 ms}"
    pool = "\npools:\n  shared: {cpus: [2]}\n"
    return image_of(build, f"dogs-{NAMES[vendor]}", guest("near", "health", "[0]", **settings), guest("far", "health", "[1]", **settings),
                    guest("pooled", "health", share, **settings) + pool, board=board,
                    vendor=vendor + "CONFIG_WATCHDOG=y\nCONFIG_POOLS=y\n")


@pytest.mark.parametrize("where", ("svm-qemu", long("vmx-bochs")))
def test_watchdog_ends_every_hang(build, machine, where):
    if where == "svm-qemu":
        one = machine(qemu(dogs(build, SVM, "qemu-q35")))
    else:
        one = machine.bochs(dogs(build, VMX, BOCHS).elf, count="3")
    for name in DOGS:
        one.ports[0].position = 0
        one.expect(rf"^{name}\| health: up, with a watchdog", 90, never=NO_PANIC)
    focus(one, 1, "near")
    for wanted, given in ((30000, 300), (250, 250)):       # it may shorten its time
        one.send(f"time {wanted}\r", pause=0.02)
        found = one.expect(r"^near\| health: half is (\d+) of (\d+)", 30, never=r"FAULT")
        assert round(int(found.group(1)) / int(found.group(2)) * wanted) == given
    one.absent(r"FAULT", 1)                                # served, they do nothing
    ways = ("starve", "spin", "sleep") if where == "svm-qemu" else ("sleep",)
    for number, name in enumerate(DOGS, 1):
        for way in ways:
            focus(one, number, name)
            one.send(f"{way}\r", pause=0.02)
            one.expect(BITTEN.format(name, 300000), 30, never=NO_PANIC)
            one.expect(r"on-fault: it is restarted", 10)
            one.expect(rf"^{name}\| health: up, its watchdog ended the last life", 30, never=NO_PANIC)
    assert one.text.count("FAULT") == len(DOGS) * len(ways)    # nobody was bitten for another


def test_linux_and_its_watchdog(build, machine):
    """Debian's own driver and busybox's daemon: served, nothing happens; the daemon killed, Linux starts afresh and knows why."""
    lively = linux("[0, 1]", on_fault="restart", more="    watchdog: {timeout: 3 s, boot: 60 s}\n")
    one = machine(qemu(image_of(build, "dog-linux", lively, hello("[2]", name="other"), vendor=SVM + "CONFIG_WATCHDOG=y\n")))

    def ask(command, answer):
        one.send(f"{command}\n", pause=0.01)
        return one.expect(answer, 20, never=r"FAULT")

    one.expect(r"^linux\| Linux is up: 2 CPUs", 90, never=r"FAULT")
    ask("cd /sys/class/watchdog/watchdog0; echo $(cat identity state bootstatus)", r"^linux\| wdat_wdt inactive 0")
    ask("watchdog -F -t 1 -T 2 /dev/watchdog & sleep 4; echo still $(cat state timeout)", r"^linux\| still active 2")
    one.send("kill -9 $!\n", pause=0.01)
    one.expect(BITTEN.format("linux", 3000000), 20)
    one.expect(r"^linux\| Linux is up: 2 CPUs", 90)
    ask("cat /sys/class/watchdog/watchdog0/bootstatus", r"^linux\| 32\b")   # WDIOF_CARDRESET


# ---------------------------------------------------------------- resets of devices

HPET, SCRATCH = 0xfed00010, 0x2ff
RESETS = """device-reset:
  /hpet@fed00000: [{offset: 0x10, value: 0}]
  com2: [{offset: 1, width: 1, value: 0}, {offset: 7, width: 1, value: 0x5a}]
"""


def board_with(resets):
    """The board with its HPET as a device that a guest may have, and something added to its board.yaml."""
    folder = REPO / f"build/test-system/boards/pc-resets-{resets}"
    folder.mkdir(parents=True, exist_ok=True)
    for file in (REPO / "boards" / BOARD).iterdir():
        text = file.read_text().replace('"intel,hpet"', '"test,board-timer"')
        (folder / file.name).write_text(text + (RESETS if resets and file.name == "board.yaml" else ""))
    return str(folder)


@pytest.mark.parametrize("resets", (True, False))
def test_a_restart_resets_devices_as_the_board_says(build, machine, resets):
    """A register in memory and one in an I/O port."""
    own = guest("own", "health", "[0]", on_fault="restart", more="    devices: [/hpet@fed00000, /serial@2f8]\n")
    one = machine(qemu(image_of(build, f"health-reset-{resets}", own, board=board_with(resets), vendor=SVM + "CONFIG_HEALTH=y\n")),
                  ports=2)
    one.expect(r"^own\| health: up", 30)
    for address, value in ((HPET, 1), (SCRATCH, 0x77)):
        one.send(f"poke {address:#x} {value:#x}\r", pause=0.01)
        one.expect(rf"health: {address:#x} holds {value:#x}$", 10)
    one.send("fault\r", pause=0.01)
    one.expect(r"^own\| health: up", 10, never=NO_PANIC)
    for address, kept, reset in ((HPET, 1, 0), (SCRATCH, 0x77, 0x5a)):
        one.send(f"peek {address:#x}\r", pause=0.01)
        one.expect(rf"health: {address:#x} holds {reset if resets else kept:#x}$", 10)
