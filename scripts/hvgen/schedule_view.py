# SPDX-License-Identifier: Apache-2.0
"""Shared cores for people: `bulkhead schedule` as text, and the time line of report.html."""
from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from html import escape
from typing import Optional, Sequence

from . import pools, schedule
from .model import Plan, PlanPool
from .schedule import Slice, Task, percent
from .system_pools import time_text

COLUMNS = 64
MOST_PERIODS = 100                     # of the shortest, in a time line
MOST_LONGEST = 4                       # periods of the longest


@dataclass(frozen=True)
class Row:
    """A server."""
    name: str
    partition: int
    core: Optional[int]                # place in the pool
    budget: int
    period: int
    extra: bool
    load: Fraction                     # with switches

    @property
    def gap(self) -> int:
        """How long it may have to wait while it is ready."""
        return 2 * (self.period - self.budget)


@dataclass(frozen=True)
class View:
    """What there is to say about one pool."""
    pool: PlanPool
    cpus: tuple[int, ...]              # as in system.yaml
    rows: tuple[Row, ...]
    test: str
    cores: tuple[schedule.Core, ...]   # one for all of them with global EDF
    until: int                         # of the time line
    slices: tuple[Slice, ...]
    whole: bool                        # the time line repeats itself after this


def view(plan: Plan, pool: PlanPool) -> View:
    cpus = tuple(plan.cpus[c].board_index for c in pool.cpus)
    tasks = [_task(plan, pool, n) for n in range(len(pool.servers))]
    if pool.spec.scheduler == "arinc653":
        cores = tuple(_core_of_windows(pool, place) for place in range(len(cpus)))
        slices = tuple(Slice(w.core, w.server, w.start_ns, w.start_ns + w.length_ns) for w in pool.windows)
        rows = _rows(plan, pool, tasks, [t.utilisation for t in tasks])
        return View(pool, cpus, rows, "windows are disjoint and inside the frame (exact)", cores, pool.spec.frame_ns, slices, True)
    verdict = pools.judge(plan.hardware, plan.system, pool.spec)
    until, whole = length_of(tasks)
    slices = tuple(schedule.timeline(tasks, [s.core for s in pool.servers], len(cpus), until))
    return View(pool, cpus, _rows(plan, pool, tasks, verdict.loads), verdict.test, verdict.cores, until, slices, whole)


def _task(plan: Plan, pool: PlanPool, number: int) -> Task:
    server = pool.servers[number]
    slot = plan.entries[server.cpu]
    part = plan.partitions[slot.partition]
    return Task(part.name + (f" vcpu {slot.vcpu}" if len(part.cpus) > 1 else ""), server.budget_ns, server.period_ns, server.core)


def _rows(plan: Plan, pool: PlanPool, tasks: Sequence[Task], shares: Sequence[Fraction]) -> tuple[Row, ...]:
    return tuple(Row(task.name, plan.entries[s.cpu].partition, s.core, s.budget_ns, s.period_ns, s.extra, share)
                 for task, s, share in zip(tasks, pool.servers, shares))


def _core_of_windows(pool: PlanPool, place: int) -> schedule.Core:
    mine = [w for w in pool.windows if w.core == place]
    return schedule.Core(tuple(dict.fromkeys(w.server for w in mine)), Fraction(sum(w.length_ns for w in mine), pool.spec.frame_ns))


def length_of(tasks: Sequence[Task]) -> tuple[int, bool]:
    """How much of a schedule is shown, and whether that is all of it: one hyperperiod unless that is long."""
    whole = schedule.hyperperiod(tasks)
    most = min(MOST_LONGEST * max(t.period for t in tasks), MOST_PERIODS * min(t.period for t in tasks))
    return (whole, True) if whole <= most else (most, False)


def title(v: View) -> str:
    names = ", ".join(str(cpu) for cpu in v.cpus)
    kind = "arinc653, a major frame of " + time_text(v.pool.spec.frame_ns) if v.pool.spec.scheduler == "arinc653" else \
        f"rtds, {v.pool.spec.placement}"
    return f"pool {v.pool.name} on cpu {names}: {kind}"


def core_text(v: View, number: int) -> str:
    core = v.cores[number]
    name = f"cpu {v.cpus[number]}" if len(v.cores) == len(v.cpus) else f"{len(v.cpus)} cores"
    return f"{name}: {percent(core.load)} asked for, {percent(max(core.margin, Fraction(0)))} left"


# ---------------------------------------------------------------- text

def summary(plan: Plan) -> str:
    """A line for each shared core."""
    views = [view(plan, pool) for pool in plan.pools]
    return "".join(f"  pool {v.pool.name}, {core_text(v, number)}\n" for v in views for number in range(len(v.cores)))


def text(plan: Plan) -> str:
    if not plan.pools:
        return f"{plan.system.name}: no cores are shared\n"
    out: list[str] = []
    for pool in plan.pools:
        out += _text(plan, view(plan, pool)) + [""]
    return "\n".join(out[:-1]) + "\n"


def _text(plan: Plan, v: View) -> list[str]:
    windows = v.pool.spec.scheduler == "arinc653"
    out = [title(v), f"  kept: {v.test}"]
    if not windows:
        out.append(f"  counted in: {schedule.SWITCHES} switches of {time_text(plan.hardware.switch_ns)} for each budget")
    for number, core in enumerate(v.cores):
        out.append(f"  {core_text(v, number)}")
        columns = [_columns(v.rows[n], windows) for n in core.tasks]
        widths = [max(len(c[i]) for c in columns) for i in range(5)] if columns else []
        out += ["    " + "  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in columns]
    return out + _drawn(v)


def _columns(row: Row, windows: bool) -> tuple[str, str, str, str, str]:
    return (row.name, f"{time_text(row.budget)} of {time_text(row.period)}", percent(row.load),
            "" if windows else f"waits at most {time_text(row.gap)}", "extra time" if row.extra else "")


def _drawn(v: View) -> list[str]:
    """A line for each server: a column is full, half full or empty."""
    width = max(len(row.name) for row in v.rows)
    much = "one hyperperiod" if v.whole else "the beginning"
    what = "" if v.pool.spec.scheduler == "arinc653" else f", {much}, everybody always ready"
    out = [f"  from 0 to {time_text(v.until)}{what}"]
    for number, row in enumerate(v.rows):
        mine = [s for s in v.slices if s.task == number]
        out.append(f"    {row.name.ljust(width)} |" + "".join(_mark(mine, v.until, i) for i in range(COLUMNS)) + "|")
    return out


def _mark(slices: Sequence[Slice], until: int, column: int) -> str:
    """By how much of the column's time it runs."""
    start, end = column * until, (column + 1) * until            # in units of 1 / COLUMNS
    there = sum(max(0, min(end, s.end * COLUMNS) - max(start, s.start * COLUMNS)) for s in slices)
    return "#" if 4 * there >= 3 * until else "+" if 4 * there >= until else "." if there else " "


# ---------------------------------------------------------------- picture

WIDTH, LEFT, TOP, HIGH = 960, 150, 26, 26


def svg(plan: Plan, v: View, fills: Sequence[str]) -> str:
    """A row for each server; marks where its periods begin. fills: colours of partitions."""
    wide = WIDTH - LEFT - 20
    bottom = TOP + HIGH * len(v.rows)

    def at(time: int) -> float:
        return LEFT + wide * time / v.until

    shapes = [f'<text x="{LEFT}" y="14" class="soft">{escape(title(v))}</text>']
    for number, row in enumerate(v.rows):
        y = TOP + HIGH * number
        shapes.append(f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(row.name)}</text>')
        shapes.append(f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{y + 20}" y2="{y + 20}" class="edge"/>')
        if v.pool.spec.scheduler == "rtds":
            shapes += [f'<line x1="{at(t):.2f}" x2="{at(t):.2f}" y1="{y + 2}" y2="{y + 20}" class="edge"/>'
                       for t in range(0, v.until + 1, row.period)]
    for s in v.slices:
        if s.task >= 0:
            row = v.rows[s.task]
            tip = f"{row.name} on cpu {v.cpus[s.core]}: {time_text(s.start)} to {time_text(s.end)}"
            shapes.append(f'<g><title>{escape(tip)}</title><rect x="{at(s.start):.2f}" y="{TOP + HIGH * s.task + 5}" '
                          f'width="{max(at(s.end) - at(s.start), 0.5):.2f}" height="15" fill="{fills[row.partition % len(fills)]}"/></g>')
    for tick in range(5):
        time = v.until * tick // 4
        anchor = "start" if tick == 0 else "end" if tick == 4 else "middle"
        shapes.append(f'<text x="{at(time):.1f}" y="{bottom + 12}" class="soft mono" text-anchor="{anchor}">{_tick(time)}</text>')
    return (f'<svg viewBox="0 0 {WIDTH} {bottom + 20}" width="{WIDTH}" height="{bottom + 20}" role="img" '
            f'aria-label="{escape("Time line of " + title(v))}">\n' + "\n".join(shapes) + "\n</svg>")


def _tick(time: int) -> str:
    unit, scale = ("ms", 10**6) if time >= 10**6 else ("us", 10**3)
    return f"{time / scale:.3f}".rstrip("0").rstrip(".") + f" {unit}" if time else "0"
