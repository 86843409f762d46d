# SPDX-License-Identifier: Apache-2.0
"""Partitions at fault: limits of restarts, watchdogs, and cores that come back from wherever their guest has gone."""
from __future__ import annotations

import pytest

from configs import guest, hello, linux, system
from machine import board_arguments

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
    one.expect(r"^bulkhead\| bad: 2 restarts in the last 60000 ms are the most that system.yaml:\d+ allows", 10)
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
