# SPDX-License-Identifier: Apache-2.0
"""Pools and their servers in layout.c."""
from __future__ import annotations

from .ctext import c_comment, c_string, initialiser
from .model import Plan, PlanCpu, PlanPool
from .system_pools import time_text
from .tables import ident

SCHEDULER = {"rtds": "LAYOUT_RTDS", "arinc653": "LAYOUT_ARINC653"}

Fields = list[tuple[str, str]]


def owner(cpu: PlanCpu) -> Fields:
    """Whose an entry of layout.cpus is."""
    if cpu.partition < 0:
        return [("partition", "LAYOUT_NO_PARTITION"), ("pool", str(cpu.pool)), ("place", str(cpu.place))]
    pinned = [("partition", str(cpu.partition)), ("vcpu", str(cpu.vcpu))]
    return pinned + ([("pool", str(cpu.pool)), ("place", str(cpu.place))] if cpu.pool else [])


def name_of(plan: Plan, number: int) -> str:
    """An entry of layout.cpus in words, for a comment."""
    cpu = plan.entries[number]
    core = plan.hardware.cpus[cpu.board_index].path
    if number >= len(plan.cpus):
        home = plan.pools[cpu.pool - 1]
        fixed = home.servers[cpu.place].core is not None
        return (f"slot {number - len(plan.cpus)}: {plan.partitions[cpu.partition].name} vcpu {cpu.vcpu}, "
                f"on {core if fixed else f'any core of pool {home.name}'}")
    return f"{core}, of pool {plan.pools[cpu.pool - 1].name}: its idle stack" if cpu.pool else core


def arrays(plan: Plan) -> list[str]:
    """What the pools point to, and they themselves."""
    if not plan.pools:
        return []
    out: list[str] = []
    for pool in plan.pools:
        out += _cpus(plan, pool) + _servers(plan, pool) + _windows(plan, pool)
    out.append("static const struct layout_pool pools[] = {")
    for pool in plan.pools:
        out += ["    {"] + initialiser(_pool(pool), "        ") + ["    },"]
    return out + ["};", ""]


def counts(plan: Plan) -> Fields:
    """The fields of struct layout that say so."""
    if not plan.pools:
        return []
    return [("slot_count", str(len(plan.slots))), ("pools", "pools"), ("pool_count", str(len(plan.pools)))]


def _cpus(plan: Plan, pool: PlanPool) -> list[str]:
    paths = ", ".join(plan.hardware.cpus[plan.cpus[c].board_index].path for c in pool.cpus)
    return [f"static const uint32_t pool_cpus_{ident(pool.name)}[] = {{ {', '.join(map(str, pool.cpus))} }};"
            f"  /* {c_comment(paths)} */"]


def _servers(plan: Plan, pool: PlanPool) -> list[str]:
    out = [f"static const struct layout_server servers_{ident(pool.name)}[] = {{"]
    for server in pool.servers:
        core = "LAYOUT_ANY_CORE" if server.core is None else str(server.core)
        slot = plan.entries[server.cpu]
        what = (f"{plan.partitions[slot.partition].name} vcpu {slot.vcpu}: {time_text(server.budget_ns)} of "
                f"{time_text(server.period_ns)}")
        out.append(f"    {{ .budget_ns = {server.budget_ns}, .period_ns = {server.period_ns}, .cpu = {server.cpu}, .core = {core}, "
                   f".extra = {int(server.extra)}, .switch_ns = {server.switch_ns} }},  /* {c_comment(what)} */")
    return out + ["};"]


def _windows(plan: Plan, pool: PlanPool) -> list[str]:
    if not pool.windows:
        return []
    out = [f"static const struct layout_window windows_{ident(pool.name)}[] = {{"]
    for w in pool.windows:
        slot = plan.entries[pool.servers[w.server].cpu]
        out.append(f"    {{ .start_ns = {w.start_ns}, .length_ns = {w.length_ns}, .core = {w.core}, .server = {w.server} }},"
                   f"  /* {c_comment(plan.partitions[slot.partition].name)} vcpu {slot.vcpu}, {time_text(w.length_ns)} */")
    return out + ["};"]


def _pool(pool: PlanPool) -> Fields:
    name = ident(pool.name)
    return [
        ("name", c_string(pool.name)), ("cpus", f"pool_cpus_{name}"), ("servers", f"servers_{name}"),
        ("windows", f"windows_{name}" if pool.windows else "0"), ("frame_ns", str(pool.spec.frame_ns)),
        ("cpu_count", str(len(pool.cpus))), ("server_count", str(len(pool.servers))),
        ("window_count", str(len(pool.windows))), ("scheduler", SCHEDULER[pool.spec.scheduler]),
    ]
