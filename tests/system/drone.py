# SPDX-License-Identifier: Apache-2.0
"""What a person does with configs/drone: looks at telemetry from Linux, lets flight control go wrong, sees it come back."""
from __future__ import annotations

from machine import Machine

NEVER = r"^bulkhead\| .*(?:PANIC|panic|halt)"
DONE = "telemetry arrived, flight recovered from a stray store and from a hang"


def all_started(machine: Machine) -> None:
    for pattern in (r"^flight\| flight: life \d+: .*, watchdog, telemetry, orders", r"^camera\| payload: picture \d+",
                    r"^radio\| payload: picture \d+", r"^mapper\| payload: picture \d+", r"Linux is up: 2 CPUs", r"linux# "):
        machine.ports[0].position = 0
        machine.expect(pattern, 90, never=NEVER)


def fly(machine: Machine) -> str:
    """The whole of it. What was seen."""
    all_started(machine)
    machine.send("\x012")
    machine.expect("input goes to companion", 10)
    before = order(machine, "telemetry 2", r"telemetry: life (\d+), step \d+: roll -?\d+ pitch -?\d+ yaw -?\d+ mdeg$")
    order(machine, "order stray", r"FAULT flight, vcpu 0: write to 0x9010000")
    before = comes_back(machine, before)
    order(machine, "order hang", r"FAULT flight: its watchdog .* was not refreshed for 500000 us")
    comes_back(machine, before)
    after = machine.ports[0].position
    for name in ("camera", "radio", "mapper"):
        machine.ports[0].position = after
        machine.expect(rf"^{name}\| payload: picture \d+", 30, never=NEVER)
    return DONE


def comes_back(machine: Machine, before: int) -> int:
    """It starts once more (on a very busy host its watchdog may have done so by itself before), and Linux sees it."""
    machine.expect(r"flight restarts", 10)
    started = int(machine.expect(r"flight: life (\d+):", 20).group(1))
    seen = order(machine, "telemetry 2", r"telemetry: life (\d+), step \d+: .*\d mdeg$")
    assert before < started <= seen
    return seen


def order(machine: Machine, command: str, answer: str) -> int:
    """Types it; the first group of the answer as a number, if it has one."""
    machine.send(command + "\n", pause=0.01)
    found = machine.expect(answer, 30, never=NEVER)
    return int(found.group(1)) if found.groups() else 0
