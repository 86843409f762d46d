# SPDX-License-Identifier: Apache-2.0
"""Rules for watchdogs and monitors."""
from __future__ import annotations

from typing import Iterator

from . import health
from .diag import Diagnostic
from .rulecase import Case


def watchdog_timer(case: Case) -> Iterator[Diagnostic]:
    """On x86 every core's own timer is its guest's."""
    board = case.hardware.pc
    if board is None or (board.ioapic is not None and board.ioapic.pit_line >= 0):
        return
    for part in case.system.partitions:
        if part.watchdog_ns is not None:
            yield Diagnostic("WATCHDOG-CORE", part.watchdog_span or part.span, f"no core can look at the watchdog of partition "
                             f"'{part.name}': board '{case.hardware.name}' has no 8254 that reaches its I/O APIC",
                             fix="if it has one, describe it in the board's devicetree: a node 'intel,i8254' with 'interrupts'")


def watchdog_core(case: Case) -> Iterator[Diagnostic]:
    """Somebody has to look at the watchdog while its own cores take no interrupt of the hypervisor's."""
    parts = case.system.partitions
    if case.hardware.pc or not all(health.direct(part) for part in parts) or case.system.pools:
        return
    for part in parts:
        if part.watchdog_ns is not None:
            yield Diagnostic("WATCHDOG-CORE", part.watchdog_span or part.span, f"no core can look at the watchdog of partition "
                             f"'{part.name}': the hypervisor has no timer interrupt on a core with 'interrupts: direct'",
                             ((part.interrupts_span or part.span, "'direct' is here"),),
                             "give one partition 'interrupts: virtual'")


def monitor_alone(case: Case) -> Iterator[Diagnostic]:
    for part in case.system.partitions:
        if part.monitor and len(case.system.partitions) == 1:
            yield Diagnostic("MONITOR-ALONE", part.monitor_span or part.span, f"partition '{part.name}' has 'monitor: true', but there is "
                             "no other partition", fix="leave it out")


CHECKS = (watchdog_timer, watchdog_core, monitor_alone)
