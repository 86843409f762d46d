# SPDX-License-Identifier: Apache-2.0
"""Configurations with shared cores, built and started: every scheduler and placement."""
from __future__ import annotations

import pytest

from conftest import long
from configs import hello, linux, system
from machine import board_arguments

WINDOWS = """  fixed:
    cpus: [0, 1]
    scheduler: arinc653
    frame: 10 ms
    windows:
      0: [{partition: one, start: 0 ms, length: 4 ms}, {partition: two, start: 5 ms, length: 2 ms}]
      1: [{partition: three, start: 0 ms, length: 5 ms}, {partition: three, vcpu: 1, start: 5 ms, length: 5 ms}]
"""
NO_PANIC = r"^bulkhead\| .*(?:PANIC|panic|halt)"


def qemu(image):
    return board_arguments("qemu-virt-arm64", cpu="cortex-a57", smp="8", m="4G") + ["-kernel", str(image.bin)]


def alive(one, *names, tick=3):
    for name in names:
        one.ports[0].position = 0
        one.expect(rf"^{name}\| hello: Bulkhead guest", 30, never=NO_PANIC)
        one.expect(rf"^{name}\| tick {tick}", 30, never=NO_PANIC)


def two_guests_and_linux(one):
    """configs/rtds and configs/rtds-x86: all three are alive, and Linux answers on its console."""
    alive(one, "control", "payload")
    one.ports[0].position = 0
    one.expect(r"^linux\| .*Linux is up: 1 CPUs", 90, never=NO_PANIC)
    one.send("\x013", pause=0.01)
    one.expect("input goes to linux", 10)
    one.send("echo sum=$((6*7))\n", pause=0.01)
    one.expect(r"sum=42", 20)


def test_two_guests_and_linux_on_one_core(build, machine):
    two_guests_and_linux(machine(qemu(build.folder("configs/rtds"))))


def pooled(build, name, pools, **uses):
    text = system(*(hello(use, name=part) for part, use in uses.items()))
    return build.text(name, f"{text}\npools:\n{pools}", "CONFIG_POOLS=y\nCONFIG_ARINC653=y\n")


def linux_answers(one, number, name):
    """Types on one console, and waits for its shell's answer."""
    one.ports[0].position = 0
    one.expect(rf"^{name}\| .*Linux is up: 1 CPUs", 150, never=NO_PANIC)
    one.send(f"\x01{number}", pause=0.01)
    one.expect(f"input goes to {name}", 10)
    one.send(f"echo $(hostname) sum=$(({number}*1111))\n", pause=0.01)
    one.expect(rf"linux sum={number * 1111}", 60, never=NO_PANIC)


@pytest.mark.parametrize("count", [2, long(3)])
def test_linux_guests_on_one_core(build, machine, count):
    """Each has a third of the core, or what the others leave, and answers on its console."""
    names = ("alpha", "beta", "gamma")[:count]
    share = "{pool: shared, budget: 3 ms, period: 10 ms, extra-time: true}"
    text = system(*(linux(share, name=name, memory="192 MiB") for name in names))
    one = machine(qemu(build.text(f"linux-{count}", f"{text}\npools:\n  shared: {{cpus: [0]}}\n", "CONFIG_POOLS=y\n")), limit=480)
    for number, name in enumerate(names, 1):
        linux_answers(one, number, name)
    linux_answers(one, 1, names[0])         # the first is still there


def test_placed_on_two_cores(build, machine):
    """By hand and by the generator, beside a partition with a core of its own that takes the console."""
    one = machine(qemu(pooled(build, "placed", "  shared: {cpus: [2, 1]}\n", one="{pool: shared, budget: 6 ms, period: 10 ms}",
                              two="{pool: shared, budget: 1 ms, period: 4 ms, core: 1}",
                              three="{pool: shared, budget: 1 ms, period: 5 ms, vcpus: 2}", own="[0]")))
    alive(one, "one", "two", "three", "own")
    one.send("\x013", pause=0.01)
    one.expect("input goes to three", 10)
    one.send("cpu1\r", pause=0.01)
    one.expect(r"second core here, mpidr 0x(80000001|1)\b", 20)


def test_any_core(build, machine):
    share = "{pool: wide, budget: 2 ms, period: 10 ms, extra-time: true}"
    one = machine(qemu(pooled(build, "wide", "  wide: {cpus: [0, 1], placement: global}\n", one=share, two=share, three=share)))
    alive(one, "one", "two", "three")


def test_windows(build, machine):
    one = machine(qemu(pooled(build, "windows", WINDOWS, one="{pool: fixed}", two="{pool: fixed}", three="{pool: fixed, vcpus: 2}")))
    alive(one, "one", "two", "three")
    one.send("\x013", pause=0.01)
    one.expect("input goes to three", 10)
    one.send("cpu1\r", pause=0.01)
    one.expect(r"second core here", 20)
