# SPDX-License-Identifier: Apache-2.0
"""Limits of restarts and monitors on x86: the same core, asked by VMMCALL or VMCALL; each core comes back by NMI."""
from __future__ import annotations

import pytest

from pc import BOCHS, NAMES, NO_PANIC, SVM, VMX, guest, image_of, qemu

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
