# SPDX-License-Identifier: Apache-2.0
"""Watchdogs in the plan: at which address, with which interrupt, and which core looks at them.  Pure."""
from __future__ import annotations

from typing import Optional, Sequence

from . import pc
from .diag import Diagnostic, Refused
from .model import Hardware, Mapping, Partition, PlanCpu, Region, System, Watchdog
from .place import PAGE, merge, pages

FRAMES = 2 * PAGE                      # refresh frame, control frame


def plan_watchdogs(hardware: Hardware, system: System, cpus: Sequence[PlanCpu], memory: Sequence[Sequence[Mapping]],
                   spare: Sequence[int]) -> list[Optional[Watchdog]]:
    """spare: interrupts that nothing uses."""
    if hardware.pc:
        return [Watchdog(pc.watchdog_ports(hardware).base, 0, 0) if part.watchdog_ns is not None else None for part in system.partitions]
    intids = list(spare)
    out: list[Optional[Watchdog]] = []
    for index, part in enumerate(system.partitions):
        core = watching_core(system, cpus, index)
        if part.watchdog_ns is None or core is None:
            out.append(None)
            continue
        if not intids:
            raise Refused([Diagnostic("IRQ-NONE-FREE", part.watchdog_span or part.span, f"no interrupt of board '{hardware.name}' "
                                      f"is free for the watchdog of partition '{part.name}'", fix="leave out its 'watchdog'")])
        out.append(Watchdog(free_frames(hardware, [m for ram in memory for m in ram]), intids.pop(0), core))
    return out


def frames(hardware: Hardware, dogs: Sequence[Optional[Watchdog]]) -> list[Region]:
    """Guest addresses of both frames of each; x86: none, as they have I/O ports."""
    return [] if hardware.pc else [Region(dog.ipa, FRAMES) for dog in dogs if dog]


def watching_core(system: System, cpus: Sequence[PlanCpu], index: int) -> Optional[int]:
    """Its own first core, where the hypervisor has interrupts there; else the first such core of another partition, or of a pool."""
    able = [i for i, cpu in enumerate(cpus) if cpu.pool or not direct(system.partitions[cpu.partition])]
    part = system.partitions[index]
    if part.use is not None:
        names = [pool.name for pool in system.pools]
        own = [i for i in able if cpus[i].pool and names[cpus[i].pool - 1] == part.use.pool]
    else:
        own = [i for i in able if cpus[i].partition == index and not cpus[i].pool and cpus[i].vcpu == 0]
    order = own or sorted(able, key=lambda i: (cpus[i].pool != 0, i))
    return order[0] if order else None


def direct(part: Partition) -> bool:
    return part.interrupts == "direct" and part.use is None


def traps_wfi(system: System, part: Partition) -> bool:
    """Whether something may want the partition's cores back while they sleep with their interrupts shut off."""
    watched = part.watchdog_ns is not None or any(other.monitor for other in system.partitions if other is not part)
    return direct(part) and watched


def free_frames(hardware: Hardware, memory: Sequence[Mapping]) -> int:
    """The first guest address above a device where nothing is, not even an unassigned device."""
    gic = hardware.gic
    taken = merge(pages(r) for r in [*hardware.memory, *(r for r, _ in hardware.reserved), *(Region(m.ipa, m.size) for m in memory),
                                     *(r for d in hardware.devices for r in d.regs if r.size), *(gic.regions if gic else ()),
                                     *([hardware.uart.region] if hardware.uart else [])])
    return next(r.end for r, after in zip(taken, [*taken[1:], None]) if after is None or after.base >= r.end + FRAMES)
