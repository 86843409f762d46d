# SPDX-License-Identifier: Apache-2.0
"""Rules for watchdogs and monitors."""
from __future__ import annotations

from typing import Iterator

from . import health
from .diag import Diagnostic
from .rulecase import Case


def health_not_yet(case: Case) -> Iterator[Diagnostic]:
    for part in case.system.partitions if case.hardware.pc else ():
        if part.watchdog_ns is not None:
            yield Diagnostic("NOT-YET", part.watchdog_span or part.span, f"partition '{part.name}': a watchdog is not in this version "
                             "on x86", fix="leave it out for now")


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


CHECKS = (health_not_yet, watchdog_core, monitor_alone)
