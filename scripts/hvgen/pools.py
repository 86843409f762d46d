# SPDX-License-Identifier: Apache-2.0
"""Pools in the plan: which core each server gets, what the slots behind the physical cores are.  Pure."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Optional

from . import schedule
from .model import Hardware, Partition, PlanCpu, PlanPool, PlanWindow, Pool, PoolUse, Server, System


@dataclass(frozen=True)
class Member:
    """A vcpu of a pool."""
    partition: int                     # index
    part: Partition
    vcpu: int
    use: PoolUse


def members(system: System, pool: Pool) -> list[Member]:
    """In the order of servers: that of partitions, then of vcpus."""
    return [Member(index, part, vcpu, part.use) for index, part in enumerate(system.partitions)
            if part.use is not None and part.use.pool == pool.name for vcpu in range(part.use.vcpus)]


def pool_of(system: System, use: PoolUse) -> Optional[Pool]:
    return next((pool for pool in system.pools if pool.name == use.pool), None)


def slot_count(system: System) -> int:
    return sum(part.use.vcpus for part in system.partitions if part.use is not None)


def core_count(system: System) -> int:
    return sum(len(part.cpus) for part in system.partitions) + sum(len(pool.cpus) for pool in system.pools)


def demands(system: System, pool: Pool) -> list[schedule.Task]:
    """What the pool's servers ask for, as the schedulability tests see it."""
    return [schedule.Task(_name(m), m.use.budget_ns, m.use.period_ns, m.use.core) for m in members(system, pool)]


def _name(member: Member) -> str:
    return member.part.name + (f" vcpu {member.vcpu}" if member.use.vcpus > 1 else "")


def judge(hardware: Hardware, system: System, pool: Pool) -> schedule.Verdict:
    """Whether a pool with budgets can be scheduled."""
    return schedule.judge(demands(system, pool), len(pool.cpus), pool.placement, hardware.switch_ns,
                          [f"cpu {cpu}" for cpu, _ in pool.cpus])


# ---------------------------------------------------------------- the plan

def plan_pools(hardware: Hardware, system: System, cpus: tuple[PlanCpu, ...]) -> tuple[tuple[PlanCpu, ...], tuple[PlanPool, ...]]:
    """Slots and pools; `cpus`: the physical cores."""
    slots: list[PlanCpu] = []
    made = []
    for number, pool in enumerate(system.pools, 1):
        places = {cpu.place: index for index, cpu in enumerate(cpus) if cpu.pool == number}
        servers = []
        for place, (member, core) in enumerate(zip(members(system, pool), cores(system, pool, hardware.switch_ns))):
            home = cpus[places[core or 0]]
            slots.append(PlanCpu(home.board_index, home.mpidr, home.redist, member.partition, member.vcpu, number, place))
            servers.append(_server(pool, member, len(cpus) + len(slots) - 1, core, hardware.switch_ns))
        made.append(PlanPool(pool.name, pool, tuple(places[p] for p in sorted(places)), tuple(servers),
                             tuple(_plan_windows(system, pool))))
    return tuple(slots), tuple(made)


def cores(system: System, pool: Pool, switch_ns: int) -> list[Optional[int]]:
    """The core of each server, as its place in the pool; None: any."""
    if pool.scheduler == "arinc653":
        return [_core_of_windows(pool, member) for member in members(system, pool)]
    if pool.placement == "global":
        return [None for _ in members(system, pool)]
    placed = schedule.place(demands(system, pool), len(pool.cpus), switch_ns)
    return [core if core is not None else 0 for core in placed]


def _core_of_windows(pool: Pool, member: Member) -> Optional[int]:
    """Where all of its windows are, if that is one core."""
    found = {w.cpu for w in pool.windows if (w.partition, w.vcpu) == (member.part.name, member.vcpu)}
    places = [place for place, (cpu, _) in enumerate(pool.cpus) if cpu in found]
    return places[0] if len(places) == 1 else None


def _server(pool: Pool, member: Member, cpu: int, core: Optional[int], switch_ns: int) -> Server:
    use = member.use
    if pool.scheduler == "arinc653":
        given = sum(w.length_ns for w in pool.windows if (w.partition, w.vcpu) == (member.part.name, member.vcpu))
        return Server(cpu, core, given, pool.frame_ns, False, 0)
    return Server(cpu, core, use.budget_ns, use.period_ns, pool.extra if use.extra is None else use.extra, switch_ns)


def _plan_windows(system: System, pool: Pool) -> Iterator[PlanWindow]:
    servers = {(m.part.name, m.vcpu): number for number, m in enumerate(members(system, pool))}
    places = {cpu: place for place, (cpu, _) in enumerate(pool.cpus)}
    for w in sorted(pool.windows, key=lambda w: (places[w.cpu], w.start_ns)):
        yield PlanWindow(places[w.cpu], servers[w.partition, w.vcpu], w.start_ns, w.length_ns)
