# SPDX-License-Identifier: Apache-2.0
"""Partitions at fault: limits of restarts, watchdogs, and cores that come back from wherever their guest has gone."""
from __future__ import annotations

import re

import pytest

from configs import BOARD, guest, hello, linux, system
from conftest import long
from machine import REPO, board_arguments

NO_PANIC = r"^bulkhead\| .*(?:PANIC|panic|halt|has not left)"
BITTEN = r"^bulkhead\| FAULT {}: its watchdog \(system.yaml:\d+\) was not refreshed for {} us, vcpu 0 was at pc 0x\w+"


def qemu(image):
    return board_arguments("qemu-virt-arm64", cpu="cortex-a57", smp="8", m="4G") + ["-kernel", str(image.bin)]


def focus(one, number, name):
    one.send(f"\x01{number}")
    one.expect(rf"input goes to {name}", 10)


def test_restarts_are_limited(build, machine):
    """Two restarts of three faults, the third stops it; the neighbour is untouched."""
    limited = guest("bad", "health", "[1]", on_fault="{restart: {times: 2, within: 60 s}}")
    one = machine(qemu(build.text("health-limit", system(hello("[0]", name="other"), limited), "CONFIG_HEALTH=y\n")))
    one.expect(r"^bad\| health: up", 30)
    focus(one, 2, "bad")
    for number in (1, 2):
        one.send("fault\r", pause=0.01)
        one.expect(rf"^bulkhead\| bad: restart {number} of at most 2 in 60000 ms", 10, never=NO_PANIC)
        one.expect(r"^bulkhead\| bad restarts", 10)
        one.expect(r"^bad\| health: up", 10)
    one.send("reboot\r", pause=0.01)                       # its own wish is no fault
    one.expect(r"^bulkhead\| bad restarts", 10)
    one.expect(r"^bad\| health: up", 10)
    one.send("fault\r", pause=0.01)
    one.expect(r"^bulkhead\| bad: restarts in the last 60000 ms: 2, the most that system.yaml:\d+ allows", 10)
    one.expect(r"^bulkhead\| bad is stopped", 10)
    one.expect(r"^other\| tick \d+", 10)
    one.absent(r"^bad\| health: up", 2)


def test_the_limit_is_of_a_time(build, machine):
    limited = guest("bad", "health", "[1]", on_fault="{restart: {times: 1, within: 1 s}}")
    one = machine(qemu(build.text("health-window", system(hello("[0]", name="other"), limited), "CONFIG_HEALTH=y\n")))
    one.expect(r"^bad\| health: up", 30)
    focus(one, 2, "bad")
    for _ in range(3):
        one.send("fault\r", pause=0.01)
        one.expect(r"^bulkhead\| bad: restart 1 of at most 1 in 1000 ms", 10)
        one.expect(r"^bad\| health: up", 10)
        one.absent(r"is stopped", 2)


def test_too_many_restarts_reset_the_board(build, machine):
    limited = guest("bad", "health", "[1]", on_fault="{restart: {times: 1, within: 60 s}, then: reset-board}")
    one = machine(qemu(build.text("health-then", system(hello("[0]", name="other"), limited), "CONFIG_HEALTH=y\n")) + ["-no-reboot"])
    one.expect(r"^bad\| health: up", 30)
    focus(one, 2, "bad")
    one.send("fault\r", pause=0.01)
    one.expect(r"^bulkhead\| bad restarts", 10)
    one.expect(r"^bad\| health: up", 10)
    one.send("fault\r", pause=0.01)
    assert one.ended(20) == 0


# ---------------------------------------------------------------- watchdogs

WAYS = ("starve", "spin", "sleep", "suspend", "faults")


def dogged(build, interrupts, cpus="[1]", more="", tail=""):
    name = f"health-dog-{interrupts}{'-pool' if tail else ''}"
    text = system(hello("[0]", name="other"), guest("dog", "health", cpus, interrupts, on_fault="restart",
                                                    more=f"    watchdog: {{timeout: 300 ms, boot: 3 s}}\n{more}"))
    return build.text(name, text + tail, "CONFIG_WATCHDOG=y\n" + ("CONFIG_POOLS=y\n" if tail else ""))


def check_ways(one):
    one.expect(r"^dog\| health: up, with a watchdog", 30, never=NO_PANIC)
    focus(one, 2, "dog")
    for way in WAYS:
        one.absent(r"FAULT", 1)                            # served, it does nothing
        one.send(f"{way}\r", pause=0.01)
        if way == "starve":
            one.expect(r"^dog\| health: warned, status 3", 10)
        one.expect(BITTEN.format("dog", 300000), 10, never=NO_PANIC)
        one.expect(r"on-fault: it is restarted", 5)
        one.expect(r"^dog\| health: up, its watchdog ended the last life", 10, never=NO_PANIC)
    one.expect(r"^other\| tick \d+", 10)


@pytest.mark.parametrize("interrupts", ("virtual", "direct"))
def test_watchdog_ends_every_hang(build, machine, interrupts):
    check_ways(machine(qemu(dogged(build, interrupts))))


def test_watchdog_of_a_pool(build, machine):
    share = "{pool: shared, budget: 2 ms, period: 10 ms}"
    check_ways(machine(qemu(dogged(build, "virtual", share, tail="\npools:\n  shared: {cpus: [1]}\n"))))


def test_watchdog_counts_from_the_start(build, machine):
    """A guest that knows nothing of it."""
    one = machine(qemu(build.text("health-boot", system(hello("[0]", name="other"), hello(
        "[1]", name="deaf", more="    watchdog: {timeout: 300 ms, boot: 1 s}\n")), "CONFIG_WATCHDOG=y\n")))
    one.expect(r"^deaf\| hello: Bulkhead guest", 30)
    one.expect(BITTEN.format("deaf", 1000000), 10)
    one.expect(r"^deaf\| hello: Bulkhead guest", 30)


def test_the_guest_may_only_shorten_its_time(build, machine):
    one = machine(qemu(dogged(build, "virtual")))
    one.expect(r"^dog\| health: up", 30)
    focus(one, 2, "dog")
    one.send("time 600\r", pause=0.01)
    found = one.expect(r"health: half is (\d+) of (\d+)", 10)
    assert int(found.group(1)) * 2 == int(found.group(2))
    one.send("time 100\r", pause=0.01)
    found = one.expect(r"health: half is (\d+) of (\d+)", 10)
    assert found.group(1) == found.group(2)
    one.absent(r"FAULT", 1)


def test_linux_and_its_watchdog(build, machine):
    """Debian's own driver and busybox's daemon: served, nothing happens; the daemon killed, Linux starts afresh and knows why."""
    lively = linux("[0, 1]", "loglevel=5", on_fault="restart", more="    watchdog: {timeout: 4 s, boot: 60 s}\n")
    one = machine(qemu(build.text("health-linux", system(lively, hello("[2]", name="other")), "CONFIG_WATCHDOG=y\n")))

    def ask(command, answer):
        one.send(f"{command}\n", pause=0.01)
        return one.expect(answer, 20, never=r"FAULT")

    one.expect(r"^linux\| Linux is up: 2 CPUs", 90, never=r"FAULT")
    ask("cd /sys/class/watchdog/watchdog0; echo $(cat identity timeout bootstatus)", r"^linux\| SBSA Generic Watchdog 4 0")
    ask("watchdog -F -t 1 /dev/watchdog & sleep 6; echo still $(cat state)", r"^linux\| still active")
    one.send("kill -9 $!\n", pause=0.01)
    one.expect(BITTEN.format("linux", 4000000), 20)
    one.expect(r"^linux\| Linux is up: 2 CPUs", 90)
    ask("cat /sys/class/watchdog/watchdog0/bootstatus", r"^linux\| 32\b")   # WDIOF_CARDRESET


# ---------------------------------------------------------------- monitors

def monitored(build, interrupts="virtual"):
    return build.text(f"health-monitor-{interrupts}", system(
        guest("mon", "health", "[0]", more="    monitor: true\n"),
        guest("dog", "health", "[1]", on_fault="{restart: {times: 1, within: 60 s}}", more="    watchdog: {timeout: 300 ms, boot: 3 s}\n"),
        guest("far", "health", "[2]", interrupts, on_fault="restart")), "CONFIG_WATCHDOG=y\nCONFIG_MONITOR=y\n")


def call(one, function, partition, result):
    one.send(f"call {function} {partition}\r", pause=0.01)
    one.expect(rf"health: call {function} {partition} gives {result}$", 10, never=NO_PANIC)


INFO, STOP, START, RESTART, EVENT, NORMAL = 0, 2, 3, 4, 5, 6
DONE, NOT_SUPPORTED, NOT_REQUIRED, INVALID = 0, -1, -2, -3


@pytest.mark.parametrize("interrupts", ("virtual", "direct"))
def test_a_monitor_stops_and_starts_others(build, machine, interrupts):
    one = machine(qemu(monitored(build, interrupts)))
    for name in ("mon", "dog", "far"):
        one.ports[0].position = 0
        one.expect(rf"^{name}\| health: up", 30, never=NO_PANIC)
    call(one, STOP, 2, DONE)
    one.ports[0].position = 0
    one.expect(r"^bulkhead\| far is stopped", 10)
    one.send("list\r", pause=0.01)
    one.expect(r"partition 0 mon is cold-start by power-on, starts 1", 10)
    one.expect(r"partition 1 dog is normal by power-on, starts 1", 5)          # it serves its watchdog
    one.expect(r"partition 2 far is idle by power-on, starts 1, after faults 0", 5)
    call(one, STOP, 2, NOT_REQUIRED)
    call(one, RESTART, 2, NOT_REQUIRED)
    here = one.ports[0].position
    call(one, START, 2, DONE)
    one.ports[0].position = here
    one.expect(r"^bulkhead\| far is started by a monitor", 10)
    one.expect(r"^far\| health: up", 10)
    for way in ("spin", "sleep", "suspend", "faults"):     # wherever it is, it can be had back
        focus(one, 3, "far")
        one.send(f"{way}\r", pause=0.01)
        one.expect(rf"^far\| {way}", 10)
        focus(one, 1, "mon")
        here = one.ports[0].position
        call(one, RESTART, 2, DONE)
        one.ports[0].position = here
        one.expect(r"^far\| health: up", 10, never=NO_PANIC)
    one.send("list\r", pause=0.01)
    one.expect(r"partition 2 far is warm-start by monitor, starts 6, after faults 0", 10)


def test_a_monitor_reads_what_happened(build, machine):
    one = machine(qemu(monitored(build)))
    one.expect(r"^dog\| health: up", 30)
    focus(one, 2, "dog")
    one.send("fault\r", pause=0.01)
    one.expect(r"^dog\| health: up", 10)
    one.absent(r"FAULT", 1)                                # its watchdog is served by now
    one.send("starve\r", pause=0.01)
    one.expect(r"^bulkhead\| dog is stopped", 10)
    focus(one, 1, "mon")
    one.send("events\r", pause=0.01)
    for text in (r"fault of 1 vcpu 0, address 0x42000000, pc 0x4\w+, lost 0", r"started of 1 ", r"watchdog of 1 .* pc 0x4\w+",
                 r"limit of 1 ", r"stopped of 1 "):
        one.expect(f"health: event {text}", 10)
    one.expect(r"health: no more events", 10)
    call(one, START, 1, DONE)                              # and with a clean record
    one.ports[0].position = 0
    one.expect(r"^bulkhead\| dog is started by a monitor", 10)
    one.expect(r"^dog\| health: up", 10)
    focus(one, 2, "dog")
    one.send("fault\r", pause=0.01)
    one.expect(r"dog: restart 1 of at most 1", 10)


def test_everybody_else_is_refused(build, machine):
    one = machine(qemu(monitored(build)))
    one.expect(r"^mon\| health: up", 30)
    for partition in (0, 3, 0xffffffff, 1 << 63):
        call(one, STOP, partition, INVALID)
        call(one, RESTART, partition, INVALID)
    call(one, 7, 1, NOT_SUPPORTED)
    call(one, 0xffff, 1, NOT_SUPPORTED)
    focus(one, 3, "far")
    for function, partition in ((INFO, 1), (1, 1), (STOP, 1), (START, 1), (RESTART, 1), (EVENT, 0), (STOP, 2)):
        call(one, function, partition, NOT_SUPPORTED)
    call(one, INFO, 2, DONE)
    call(one, NORMAL, 0, DONE)                             # of itself
    focus(one, 1, "mon")
    one.send("list\r", pause=0.01)
    one.expect(r"partition 0 mon is cold-start", 10)
    one.expect(r"partition 2 far is normal by power-on", 10)


def test_events_that_nobody_reads_are_counted(build, machine):
    """The ring holds 64; a partition that restarts for ever makes more."""
    one = machine(qemu(monitored(build)))
    one.expect(r"^far\| health: up", 30)
    focus(one, 3, "far")
    for _ in range(40):
        one.send("fault\r", pause=0.01)
        one.expect(r"^far\| health: up", 10)
    focus(one, 1, "mon")
    one.send("events\r", pause=0.01)
    found = one.expect(r"health: event \w+ of 2 .* lost (\d+)", 10)
    assert int(found.group(1)) >= 83 - 64
    one.expect(r"health: no more events", 10)


# ---------------------------------------------------------------- what a restart takes back

PL011, PL061, DIST = 0x9040000, 0x9030000, 0x8000000
RESETS = f"""device-reset:
  /pl061@9030000: [{{offset: 0x410, value: 0}}, {{offset: 0x400, value: 0}}]
  /pl011@9040000: [{{offset: 0x30, value: 0x300, width: 2}}, {{offset: 0x38, value: 0}}]
"""


def poke(one, address, value, kept=None):
    one.send(f"poke {address:#x} {value:#x}\r", pause=0.01)
    one.expect(rf"health: {address:#x} holds {value if kept is None else kept:#x}$", 10)


def peek(one, address, value):
    one.send(f"peek {address:#x}\r", pause=0.01)
    one.expect(rf"health: {address:#x} holds {value:#x}$", 10)


def own_board(build, name, more):
    """The board with something added to its board.yaml; system.yaml names it by its path."""
    folder = REPO / "build/test-system/boards" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in (REPO / "boards" / BOARD).iterdir():
        text = file.read_text()
        (folder / file.name).write_text(text + more if file.name == "board.yaml" else text)
    return str(folder)


@pytest.mark.parametrize("resets", (True, False))
def test_a_restart_resets_devices_as_the_board_says(build, machine, resets):
    board = own_board(build, "with-resets", RESETS) if resets else BOARD
    devices = "    devices: [/pl061@9030000, /pl011@9040000]\n"
    one = machine(qemu(build.text(f"health-reset-{resets}", system(guest("own", "health", "[0]", on_fault="restart", more=devices),
                                                                  board=board), "CONFIG_HEALTH=y\n")), ports=2)
    one.expect(r"^own\| health: up", 30)
    poke(one, PL061 + 0x400, 0xff)
    poke(one, PL011 + 0x38, 0x10)
    one.send("fault\r", pause=0.01)
    one.expect(r"^own\| health: up", 10, never=NO_PANIC)
    peek(one, PL061 + 0x400, 0 if resets else 0xff)
    peek(one, PL011 + 0x38, 0 if resets else 0x10)


def test_a_restart_takes_interrupts_back(build, machine):
    """INTID 39, of the PL061: enabled, pending and active."""
    one = machine(qemu(build.text("health-irqs", system(guest("own", "health", "[0]", on_fault="restart",
                                                              more="    devices: [/pl061@9030000]\n")))))
    one.expect(r"^own\| health: up", 30)
    bit = 1 << 7
    poke(one, DIST + 0x204, bit)                           # ISPENDR1
    poke(one, DIST + 0x304, bit)                           # ISACTIVER1
    poke(one, DIST + 0x104, bit, bit | 0x2)                # ISENABLER1; the other is its console's
    one.send("reboot\r", pause=0.01)
    one.expect(r"^own\| health: up", 10)
    for register in (0x204, 0x304):
        peek(one, DIST + register, 0)
    peek(one, DIST + 0x104, 0x2)


# ---------------------------------------------------------------- many restarts

ALARM = r"CORRUPT|STRAY|PANIC|panic|has not left"


def lateness(one, name, seconds):
    """The victim's worst lateness in each of so many seconds, in ns; it verifies its memory all the while."""
    one.ports[0].position = len(one.text)
    return sorted(int(one.expect(rf"^{name}\| victim: ok \d+ max-late (\d+) ns", 30, never=ALARM).group(1)) for _ in range(seconds))


@pytest.mark.parametrize("count", (50, long(1000)))
def test_many_restarts_lose_nothing_elsewhere(build, machine, count):
    """Partitions that fault, reset themselves or hang until their watchdog ends them, virtual and direct, beside two that
    verify their memory and the time of their timer, and one that computes."""
    crash = {"image": "crasher", "memory": "2 MiB", "on_fault": "restart", "more": "    watchdog: {timeout: 300 ms, boot: 3 s}\n"}
    one = machine(qemu(build.text("health-many", system(
        guest("near", "victim", "[0]", memory="16 MiB"), guest("far", "victim", "[1]", "direct", memory="16 MiB"),
        guest("soft", cpus="[2]", **crash), guest("hard", cpus="[3]", interrupts="direct", **crash),
        guest("load", "victim", "[4]", memory="64 MiB")), "CONFIG_WATCHDOG=y\n")), limit=600)
    one.expect(r"^near\| victim: ok 1", 60, never=ALARM)
    quiet = {name: lateness(one, name, 3) for name in ("near", "far")}
    assert "restarts" not in one.text                      # they compute until 10 s are over
    one.expect(r"^bulkhead\| hard restarts", 60)
    seen = {name: [] for name in quiet}
    done = {"soft": 0, "hard": 0}
    while min(done.values()) < count or len(seen["far"]) < 3:
        for name, late in seen.items():
            late += lateness(one, name, 1)
        done = {name: one.text.count(f"bulkhead| {name} restarts") for name in done}
    watchdogs = one.text.count("its watchdog (")
    faults = one.text.count("write to 0x40200000 (4 bytes)")
    assert watchdogs > 0 and faults > watchdogs and sum(done.values()) > watchdogs + faults
    assert not re.search(ALARM, one.text)
    for name, late in seen.items():
        before, after = quiet[name][1], sorted(late)[len(late) // 2]
        print(f"{name}: {sum(done.values())} restarts, {watchdogs} by watchdogs, in {len(late)} s; the timer's worst lateness of a "
              f"second: {after // 1000} us, before {before // 1000} us")
        assert after < 3 * before + 5_000_000              # the emulator's own, on a busy machine
