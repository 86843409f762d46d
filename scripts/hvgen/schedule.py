# SPDX-License-Identifier: Apache-2.0
"""Whether servers that share cores all get their budgets, and a picture of how.  Pure; times are in nanoseconds.

A server that wakes late in its period has no more of its budget than what is left of the period is worth
(src/core/sched_rtds.c): in every interval it asks for at most its utilisation.  docs/architecture.md, "Sharing
cores", says what follows from that, and for whom.
"""
from __future__ import annotations

import heapq
import heapq
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Iterator, Literal, Optional, Sequence

SWITCH_NS = 2_000            # board.yaml says otherwise with `switch-time`; at most 700 instructions, caches not warm
SWITCHES = 2                 # of a budget: to its server, and back to whom that preempted

Placement = Literal["partitioned", "global"]


@dataclass(frozen=True)
class Task:
    """A server: `budget` of processor time in each period."""
    name: str
    budget: int
    period: int
    core: Optional[int] = None         # chosen by hand

    @property
    def utilisation(self) -> Fraction:
        return Fraction(self.budget, self.period)


@dataclass(frozen=True)
class Core:
    """What is asked of one core, or of all cores of a pool with global EDF."""
    tasks: tuple[int, ...]
    load: Fraction                     # with switches
    capacity: int = 1                  # cores

    @property
    def margin(self) -> Fraction:
        return self.capacity - self.load


@dataclass(frozen=True)
class Verdict:
    accepted: bool
    test: str                          # which one let it pass, in words
    cores: tuple[Core, ...]
    loads: tuple[Fraction, ...]        # of each task, with switches
    rule: str = ""
    reason: str = ""
    fix: str = ""


def percent(share: Fraction) -> str:
    """At most two decimals, and never rounded to the better side of a whole percent."""
    hundredths = share * 10000
    up = -(-hundredths.numerator // hundredths.denominator)
    return f"{up / 100:.2f}".rstrip("0").rstrip(".") + " %"


# ---------------------------------------------------------------- tests

def loads(tasks: Sequence[Task], switch_ns: int, alone: bool = False) -> tuple[Fraction, ...]:
    """Utilisation with switches. alone: nobody has to be switched to."""
    more = 0 if alone else SWITCHES * switch_ns
    return tuple(Fraction(t.budget + more, t.period) for t in tasks)


def most_in(task: Task, length: int, switch_ns: int = 0) -> int:
    """The most that a server can run in an interval at whose end one of its periods ends."""
    budget = task.budget + SWITCHES * switch_ns
    return length // task.period * budget + min(budget, length % task.period)


def density_bound(shares: Sequence[Fraction], core_count: int) -> Fraction:
    """Goossens, Funk and Baruah: what global EDF carries, given the largest share."""
    return core_count - (core_count - 1) * max(shares)


def interference_test(tasks: Sequence[Task], core_count: int, switch_ns: int) -> bool:
    """Bertogna, Cirinei and Lipari, for a server that is awake in all of a period: for each, what the others can run in it
    leaves enough."""
    for k, task in enumerate(tasks):
        slack = task.period - task.budget - SWITCHES * switch_ns
        others = [min(most_in(t, task.period, switch_ns), slack + 1) for i, t in enumerate(tasks) if i != k]
        if slack < 0 or sum(others) >= core_count * (slack + 1):
            return False
    return True


def judge(tasks: Sequence[Task], core_count: int, placement: str = "partitioned", switch_ns: int = SWITCH_NS,
          names: Sequence[str] = ()) -> Verdict:
    """names: of the cores, for people."""
    labels = tuple(names) or tuple(f"core {n}" for n in range(core_count))
    spread = placement == "global" or core_count == 1
    shares = loads(tasks, switch_ns, len(tasks) <= core_count if spread else True)    # on a core of its own, none is switched
    if sum(shares, Fraction(0)) > core_count:
        return _too_much(tasks, shares, core_count, labels)
    if placement == "global":
        return _judge_global(tasks, shares, core_count, switch_ns)
    return _judge_partitioned(tasks, core_count, switch_ns, labels)


def _judge_partitioned(tasks: Sequence[Task], core_count: int, switch_ns: int, labels: tuple[str, ...]) -> Verdict:
    homes = place(tasks, core_count, switch_ns)
    groups = [[n for n, home in enumerate(homes) if home == core] for core in range(core_count)]
    shares = [Fraction(0)] * len(tasks)
    cores = []
    for group in groups:
        mine = loads([tasks[n] for n in group], switch_ns, len(group) == 1)
        for n, share in zip(group, mine):
            shares[n] = share
        cores.append(Core(tuple(group), sum(mine, Fraction(0))))
    for core, label in zip(cores, labels):
        if core.load > 1:
            chosen = [tasks[n] for n in core.tasks]
            return Verdict(False, "", tuple(cores), tuple(shares), "SCHED-UTILISATION", f"asks for {percent(core.load)} of {label}",
                           _less(chosen, loads(chosen, switch_ns), core.load - 1))
    if None in homes:
        left = tasks[homes.index(None)]
        room = max(core.margin for core in cores)
        share = loads([left], switch_ns)[0]
        return Verdict(False, "", tuple(cores), loads(tasks, switch_ns), "SCHED-DEADLINE",
                       f"has no core for {left.name}: it needs {percent(share)}, the emptiest core has {percent(room)} left",
                       f"{_less([left], [share], share - room)}; or divide the vcpus among the cores by hand with 'core:', or try "
                       "'placement: global'")
    return Verdict(True, "each core's utilisation is at most 100 % (exact)", tuple(cores), tuple(shares))


def _judge_global(tasks: Sequence[Task], shares: tuple[Fraction, ...], core_count: int, switch_ns: int) -> Verdict:
    total = sum(shares, Fraction(0))
    core = (Core(tuple(range(len(tasks))), total, core_count),)
    if len(tasks) <= core_count:
        return Verdict(True, "there is a core for each vcpu", core, shares)
    bound = density_bound(shares, core_count)
    if total <= bound:
        return Verdict(True, f"utilisation is at most {percent(bound)} (Goossens, Funk and Baruah)", core, shares)
    if interference_test(tasks, core_count, switch_ns):
        return Verdict(True, "what others can run in any period leaves enough (Bertogna, Cirinei and Lipari)", core, shares)
    largest = tasks[shares.index(max(shares))]
    return Verdict(False, "", core, shares, "SCHED-DEADLINE",
                   f"asks for {percent(total)}: with 'placement: global' and {largest.name} at {percent(max(shares))}, no test shows "
                   f"that {core_count} cores keep more than {percent(bound)}",
                   f"{_less(tasks, shares, total - bound)}; or try 'placement: partitioned'")


def _too_much(tasks: Sequence[Task], shares: Sequence[Fraction], core_count: int, labels: tuple[str, ...]) -> Verdict:
    total = sum(shares, Fraction(0))
    what = labels[0] if core_count == 1 else f"{core_count} cores, which have {core_count * 100} %"
    return Verdict(False, "", (Core(tuple(range(len(tasks))), total, core_count),), tuple(shares), "SCHED-UTILISATION",
                   f"asks for {percent(total)} of {what}", _less(tasks, shares, total - core_count))


def _less(tasks: Sequence[Task], shares: Sequence[Fraction], excess: Fraction) -> str:
    """What would have to be taken away, and an example: the largest gives."""
    number = max(range(len(tasks)), key=lambda n: shares[n])
    budget = tasks[number].budget - -(-excess * tasks[number].period // 1)
    said = f"take away {percent(excess)}"
    if budget >= 10_000:
        said += (f": for example, {tasks[number].name} with a budget of {int(budget) // 1000} us in place of "
                 f"{tasks[number].budget // 1000} us")
    return said


# ---------------------------------------------------------------- placement

def place(tasks: Sequence[Task], core_count: int, switch_ns: int = SWITCH_NS) -> list[Optional[int]]:
    """A core for each task, the largest first: on the first that has room; if that fails, on the emptiest. None: no room."""
    first = _place(tasks, core_count, switch_ns, False)
    if None not in first:
        return first
    worst = _place(tasks, core_count, switch_ns, True)
    return worst if None not in worst else first


def _place(tasks: Sequence[Task], core_count: int, switch_ns: int, emptiest: bool) -> list[Optional[int]]:
    out: list[Optional[int]] = [task.core for task in tasks]
    by_size = sorted((n for n, task in enumerate(tasks) if task.core is None), key=lambda n: (-tasks[n].utilisation, n))
    for n in by_size:
        room = [core for core in range(core_count) if _load(tasks, out, core, switch_ns, n) <= 1]
        if emptiest:
            room.sort(key=lambda core: _load(tasks, out, core, switch_ns, n))
        out[n] = room[0] if room else None
    return out


def _load(tasks: Sequence[Task], homes: Sequence[Optional[int]], core: int, switch_ns: int, new: int) -> Fraction:
    """Of a core with one more task."""
    there = [tasks[n] for n, home in enumerate(homes) if home == core or n == new]
    return sum(loads(there, switch_ns, len(there) == 1), Fraction(0))


# ---------------------------------------------------------------- a time line

@dataclass(frozen=True)
class Slice:
    core: int
    task: int                          # -1: nobody needs it
    start: int
    end: int


def hyperperiod(tasks: Sequence[Task]) -> int:
    return lcm(*(task.period for task in tasks)) if tasks else 0


def timeline(tasks: Sequence[Task], homes: Sequence[Optional[int]], core_count: int, until: int) -> list[Slice]:
    """Earliest deadline first with everybody awake from the beginning. homes: None: any core."""
    left = [task.budget for task in tasks]
    out: list[Slice] = []
    now = 0
    ends = [(task.period, n) for n, task in enumerate(tasks)]
    heapq.heapify(ends)
    running: list[int] = [-1] * core_count
    while now < until:
        running = _choose(tasks, homes, left, now, running)
        step = min([until, ends[0][0], *(now + left[n] for n in running if n >= 0)]) if ends else until
        out += [Slice(core, n, now, step) for core, n in enumerate(running)]
        for n in running:
            if n >= 0:
                left[n] -= step - now
        now = step
        while ends and ends[0][0] <= now:
            end, n = heapq.heappop(ends)
            left[n] = tasks[n].budget
            heapq.heappush(ends, (end + tasks[n].period, n))
    return list(_joined(out))


def _choose(tasks: Sequence[Task], homes: Sequence[Optional[int]], left: Sequence[int], now: int, before: Sequence[int]) -> list[int]:
    """Who runs on each core; who ran there stays, if it may run at all."""
    def deadline(n: int) -> tuple[int, int]:
        return (now // tasks[n].period + 1) * tasks[n].period, n

    ready = sorted((n for n in range(len(tasks)) if left[n] > 0), key=deadline)
    out = [-1] * len(before)
    free = [n for n in ready if homes[n] is None][:len(before)]
    for core, last in enumerate(before):
        if last in free:
            out[core] = last
            free.remove(last)
    for core in range(len(before)):
        mine = [n for n in ready if homes[n] == core]
        if mine:
            out[core] = mine[0]
        elif out[core] < 0 and free:
            out[core] = free.pop(0)
    return out


def _joined(slices: Sequence[Slice]) -> Iterator[Slice]:
    """Neighbours of one task become one; by core, then by time."""
    last: Optional[Slice] = None
    for s in sorted(slices, key=lambda s: (s.core, s.start)):
        if last is not None and (last.core, last.task, last.end) == (s.core, s.task, s.start):
            last = Slice(s.core, s.task, last.start, s.end)
            continue
        if last is not None:
            yield last
        last = s
    if last is not None:
        yield last
