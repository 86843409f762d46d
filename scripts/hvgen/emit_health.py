# SPDX-License-Identifier: Apache-2.0
"""Restart limits, watchdogs and monitors in layout.c: fields of struct layout_partition."""
from __future__ import annotations

from . import health
from .ctext import c_comment, pa
from .model import PORTS, Plan, PlanPartition, Write
from .tables import ident

THEN = {"stop": "LAYOUT_FAULT_STOP", "reset-board": "LAYOUT_FAULT_RESET_BOARD"}


def resets(part: PlanPartition) -> list[tuple[Write, str]]:
    """What is written when it stops or starts again, and to which device."""
    return [(write, device.path) for device, _ in part.devices for write in device.reset]


def _place(write: Write) -> str:
    return f"{{ LAYOUT_PORTS + {write.address - PORTS:#x} }}" if write.address >= PORTS else pa(write.address)


def arrays(plan: Plan) -> list[str]:
    out: list[str] = []
    for part in plan.partitions:
        if resets(part):
            out.append(f"static const struct layout_write resets_{ident(part.name)}[] = {{")
            out += [f"    {{ {_place(w)}, {w.width}, {w.value:#x} }},  /* {c_comment(path)} */" for w, path in resets(part)]
            out += ["};", ""]
    return out


def fields(plan: Plan, part: PlanPartition) -> list[tuple[str, str]]:
    spec, dog = part.spec, part.watchdog
    out: list[tuple[str, str]] = []
    if spec.monitor:
        out.append(("monitor", "1"))
    if spec.restart_limit:
        out += [("restart_limit", str(spec.restart_limit)), ("restart_window_ns", str(spec.restart_window_ns)),
                ("restart_then", THEN[spec.restart_then])]
    if dog:
        out += [("watchdog", pa(dog.ipa)), *([("watchdog_intid", str(dog.intid))] if dog.intid else []), ("watchdog_cpu", str(dog.cpu)),
                ("watchdog_ns", str(spec.watchdog_ns)), ("watchdog_boot_ns", str(spec.watchdog_boot_ns))]
    if resets(part):
        out += [("resets", f"resets_{ident(part.name)}"), ("reset_count", str(len(resets(part))))]
    if not plan.hardware.pc and health.traps_wfi(plan.system, spec):
        out.append(("trap_wfi", "1"))
    return out
