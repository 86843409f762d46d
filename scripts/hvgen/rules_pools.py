# SPDX-License-Identifier: Apache-2.0
"""Rules for cores that are shared: pools, their servers and windows.  Which sets can be scheduled says schedule.py."""
from __future__ import annotations

from typing import Iterator

from . import pools, schedule
from .diag import Diagnostic, did_you_mean
from .model import Partition, Pool, Window
from .rulecase import Case
from .system_pools import time_text

MAX_POOLS = 4                          # LAYOUT_MAX_POOLS
MAX_SERVERS = 64                       # LAYOUT_MAX_SERVERS
MAX_CORES = 16                         # SCHED_MAX_CORES
MAX_WINDOWS = 256                      # LAYOUT_MAX_WINDOWS
MAX_ENTRIES = 64                       # LAYOUT_MAX_CPUS: cores and vcpus of pools


def pool_unknown(case: Case) -> Iterator[Diagnostic]:
    names = [pool.name for pool in case.system.pools]
    for part in case.system.partitions:
        if part.use and part.use.pool not in names:
            yield Diagnostic("POOL-UNKNOWN", part.use.span, f"partition '{part.name}' is to run in pool '{part.use.pool}', there is "
                             "no such pool", fix=did_you_mean(part.use.pool, names) or
                             (f"pools: {', '.join(names)}" if names else f"pools: {{{part.use.pool}: {{cpus: [0]}}}}"))


def pool_empty(case: Case) -> Iterator[Diagnostic]:
    for pool in case.system.pools:
        if pool.cpus and not pools.members(case.system, pool):
            yield Diagnostic("POOL-EMPTY", pool.span, f"no partition runs in pool '{pool.name}'",
                             fix=f"give it one: cpus: {{pool: {pool.name}, budget: 2 ms, period: 10 ms}}; or remove the pool")


def pool_limit(case: Case) -> Iterator[Diagnostic]:
    system = case.system
    if len(system.pools) > MAX_POOLS:
        yield Diagnostic("POOL-LIMIT", system.pools[MAX_POOLS].span, f"this is pool {MAX_POOLS + 1}, a layout holds {MAX_POOLS}",
                         fix="put two of them together")
    for pool in system.pools:
        if len(pool.cpus) > MAX_CORES:
            yield Diagnostic("POOL-LIMIT", pool.cpus[MAX_CORES][1], f"pool '{pool.name}' has {len(pool.cpus)} cores, a pool "
                             f"has {MAX_CORES} at most", fix="make two pools of it")
        count = len(pools.members(system, pool))
        if count > MAX_SERVERS:
            yield Diagnostic("POOL-LIMIT", pool.span, f"{count} vcpus share pool '{pool.name}', a pool has {MAX_SERVERS} at most",
                             fix="make two pools of it")
    total = pools.core_count(system) + pools.slot_count(system)
    if system.pools and total > MAX_ENTRIES:
        yield Diagnostic("POOL-LIMIT", system.pools[0].span, f"the system has {total} cores and vcpus of pools, a layout holds "
                         f"{MAX_ENTRIES}", fix="fewer vcpus in pools")
    windows = [w for pool in system.pools for w in pool.windows]
    if len(windows) > MAX_WINDOWS:
        yield Diagnostic("POOL-LIMIT", windows[MAX_WINDOWS].span, f"this is window {MAX_WINDOWS + 1} of {len(windows)}, a layout holds "
                         f"{MAX_WINDOWS} of all pools together", fix="fewer windows, or a shorter frame")


def pool_direct(case: Case) -> Iterator[Diagnostic]:
    for part in case.system.partitions:
        if part.use and part.interrupts == "direct" and part.interrupts_span:
            yield Diagnostic("POOL-DIRECT", part.interrupts_span, f"partition '{part.name}' has 'interrupts: direct', but shares "
                             "its core", ((part.use.span, f"it runs in pool '{part.use.pool}'"),),
                             "use 'interrupts: virtual', or give it cores of its own")


def pool_device(case: Case) -> Iterator[Diagnostic]:
    for given in case.given:
        private = [i.intid for i in given.device.interrupts if 16 <= i.intid < 32]
        if given.part.use and private and not case.hardware.pc:
            yield Diagnostic("POOL-DEVICE", given.spec.span, f"'{given.device.path}' has interrupt {private[0]} "
                             f"(PPI {private[0] - 16}), which each core has for itself; partition '{given.part.name}' shares its core",
                             ((given.part.use.span, f"it runs in pool '{given.part.use.pool}'"),),
                             "give the partition cores of its own, or leave the device out")


def pool_core(case: Case) -> Iterator[Diagnostic]:
    for part in case.system.partitions:
        pool = pools.pool_of(case.system, part.use) if part.use else None
        if part.use is None or part.use.core_cpu is None or part.use.core_span is None or pool is None:
            continue
        names = ", ".join(str(cpu) for cpu, _ in pool.cpus)
        if pool.placement == "global":
            yield Diagnostic("POOL-CORE", part.use.core_span, f"partition '{part.name}' is to stay on cpu {part.use.core_cpu}, but in "
                             f"pool '{pool.name}' every vcpu runs on any core", ((pool.span, "it has 'placement: global'"),),
                             "remove 'core:'")
        elif part.use.core is None and pool.cpus:
            yield Diagnostic("POOL-CORE", part.use.core_span, f"cpu {part.use.core_cpu} is not of pool '{pool.name}'",
                             ((pool.span, f"it has cpu {names}"),), f"one of {names}, or none: then it is chosen")


# ---------------------------------------------------------------- windows

def window_names(case: Case) -> Iterator[Diagnostic]:
    parts = {part.name: part for part in case.system.partitions}
    for pool in case.system.pools:
        mine = [name for name, part in parts.items() if part.use and part.use.pool == pool.name]
        for w in pool.windows if pool.cpus else ():
            part = parts.get(w.partition)
            if part is None or part.use is None or part.use.pool != pool.name:
                what = "there is no such partition" if part is None else f"it does not run in pool '{pool.name}'"
                yield Diagnostic("POOL-WINDOW", w.span, f"a window is for partition '{w.partition}': {what}",
                                 fix=did_you_mean(w.partition, mine) or (f"partitions of the pool: {', '.join(mine)}" if mine else ""))
            elif w.vcpu >= part.use.vcpus:
                yield Diagnostic("POOL-WINDOW", w.span, f"a window is for vcpu {w.vcpu} of partition '{w.partition}', which has "
                                 f"{part.use.vcpus}", fix=_vcpus(part))
            if w.cpu not in [cpu for cpu, _ in pool.cpus]:
                yield Diagnostic("POOL-WINDOW", w.span, f"a window is on cpu {w.cpu}, which is not of pool '{pool.name}'",
                                 ((pool.span, f"it has cpu {', '.join(str(cpu) for cpu, _ in pool.cpus)}"),),
                                 "move it to one of these")


def _vcpus(part: Partition) -> str:
    count = part.use.vcpus if part.use else 0
    return "vcpu: 0" if count == 1 else f"vcpus 0 to {count - 1}"


def window_frame(case: Case) -> Iterator[Diagnostic]:
    for pool in case.system.pools:
        for w in pool.windows:
            if pool.frame_ns and w.start_ns + w.length_ns > pool.frame_ns:
                yield Diagnostic("POOL-WINDOW", w.span, f"a window from {time_text(w.start_ns)} to "
                                 f"{time_text(w.start_ns + w.length_ns)} leaves the frame of {time_text(pool.frame_ns)}",
                                 ((pool.span, f"it is that of pool '{pool.name}'"),), "a shorter window, or a longer frame")


def window_overlap(case: Case) -> Iterator[Diagnostic]:
    """On one core, and of one vcpu, which cannot run in two places."""
    for pool in case.system.pools:
        ordered = sorted(pool.windows, key=lambda w: (w.start_ns, w.span.line, w.span.col))
        for n, w in enumerate(ordered):
            for other in ordered[:n]:
                same = (w.partition, w.vcpu) == (other.partition, other.vcpu)
                if other.start_ns + other.length_ns > w.start_ns and (w.cpu == other.cpu or same):
                    yield _overlap(w, other)


def _overlap(w: Window, other: Window) -> Diagnostic:
    what = f"on cpu {w.cpu}" if w.cpu == other.cpu else f"of vcpu {w.vcpu} of partition '{w.partition}'"
    end = other.start_ns + other.length_ns
    return Diagnostic("POOL-WINDOW", w.span, f"windows {what} overlap: this one begins at {time_text(w.start_ns)}, another ends at "
                      f"{time_text(end)}", ((other.span, f"from {time_text(other.start_ns)} to {time_text(end)}"),),
                      f"begin at {time_text(end)} or later")


def window_missing(case: Case) -> Iterator[Diagnostic]:
    for pool in case.system.pools:
        if pool.scheduler != "arinc653":
            continue
        given = {(w.partition, w.vcpu) for w in pool.windows}
        for member in pools.members(case.system, pool):
            if (member.part.name, member.vcpu) not in given:
                yield Diagnostic("POOL-WINDOW", member.use.span, f"vcpu {member.vcpu} of partition '{member.part.name}' would never run: "
                                 f"no window of pool '{pool.name}' is for it", ((pool.span, "the pool is here"),), "give it one")


# ---------------------------------------------------------------- can it be scheduled

def sched(case: Case) -> Iterator[Diagnostic]:
    for pool in case.system.pools:
        found = pools.members(case.system, pool)
        sound = not any(m.use.core_cpu is not None and m.use.core is None for m in found)
        if pool.scheduler == "rtds" and pool.cpus and found and sound:
            yield from _sched(case, pool)


def _sched(case: Case, pool: Pool) -> Iterator[Diagnostic]:
    verdict = pools.judge(case.hardware, case.system, pool)
    if verdict.accepted:
        return
    asked = zip(pools.members(case.system, pool), pools.demands(case.system, pool), verdict.loads)
    notes = [(m.use.span, f"{task.name}: {time_text(task.budget)} of {time_text(task.period)}, with switches "
              f"{schedule.percent(share)}") for m, task, share in asked]
    yield Diagnostic(verdict.rule, pool.span, f"pool '{pool.name}' {verdict.reason}", tuple(notes), verdict.fix)


CHECKS = (pool_unknown, pool_empty, pool_limit, pool_direct, pool_device, pool_core, window_names, window_frame, window_overlap,
          window_missing, sched)
