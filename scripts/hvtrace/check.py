# SPDX-License-Identifier: Apache-2.0
"""Holds what happened against what was promised.

budget   A server that is ready when its period ends has had its budget in it, less the time it slept, less what it
         had had too much of in the period before.
more     Nobody has more than its budget and the switches around it in a period, but for idle time that is given to it:
         two on top, half of that again whenever it is gone on with, and a part when others are seen to meanwhile.
wait     A server that is ready never waits longer than 2 x (period - budget) for a core.
window   ARINC 653: a server runs in its windows only, and all of each in which it is ready.
core     A core is one server's at a time.
twice    A server is on one core at a time.
place    A server that has a core of its own choice runs on no other.
asleep, clock, event    The events fit together.
"""
from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Optional

from .dump import REPLENISH, SPENT, WAKE
from .history import Fault, History, Run, Server, Spans, without


@dataclass
class Row:
    """What a server had.  Times in counts."""
    server: Server
    periods: int = 0                       # whole ones that were seen
    busy: int = 0                          # of them, ready throughout
    least: Optional[int] = None            # received in one of those
    most: int = 0                          # received in any
    ran: int = 0
    wait: int = 0                          # the longest while it was ready
    faults: list[Fault] = field(default_factory=list)


def us(time: int, hz: int) -> str:
    return f"{time / hz * 1e6:.1f} us"


def check(history: History, late: int = 0) -> list[Row]:
    """Fills in history.faults and returns a row for each server.  late: how much later than due decisions may be."""
    rows = []
    for number, server in enumerate(history.pool.servers):
        runs = history.of(number)
        row = Row(server, ran=_spans(runs).length(history.start, history.end))
        _twice(history, server, runs)
        _place(history, server, runs)
        if history.pool.windows:
            _windows(history, row, number, runs, history.pool.overhead + late)
        else:
            _periods(history, row, number, runs, late)
            _waits(history, row, number, runs, late)
        rows.append(row)
    _cores(history)
    history.faults.sort(key=lambda fault: (fault.time, fault.check))
    return rows


def _fault(history: History, check_name: str, time: int, text: str) -> None:
    history.faults.append(Fault(check_name, time, text))


def _spans(runs: list[Run]) -> Spans:
    """Where it ran; were it on two cores at once, only once."""
    out: list[tuple[int, int]] = []
    for run in runs:
        if out and run.start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], run.end))
        else:
            out.append((run.start, run.end))
    return Spans(out)


# ---------------------------------------------------------------- budgets

def _count(times: list[int], start: int, end: int) -> int:
    return bisect.bisect_left(times, end) - bisect.bisect_left(times, start)


def _charged(runs: Spans, given: Spans, spent: list[int], start: int, end: int) -> int:
    """What of its running in a period came off its budget; it is idle time after its budget has been spent."""
    place = bisect.bisect_right(spent, start)
    until = spent[place] if place < len(spent) and spent[place] <= end else end
    return runs.length(start, until) - given.length(start, until)


def _owed(renewed: list[tuple[int, int]], server: Server, overhead: int, start: int) -> Optional[int]:
    """What the scheduler says that a server had had too much of, when it gave it a budget for the period from `start` on."""
    place = bisect.bisect_left(renewed, (start, 0))
    if place == len(renewed) or renewed[place][0] >= start + server.period:
        return None
    return max(0, min(server.budget + overhead, server.period) - renewed[place][1])


def _periods(history: History, row: Row, number: int, runs: list[Run], late: int) -> None:
    server, hz, overhead = row.server, history.hz, history.pool.overhead
    starts = [run.start for run in runs]
    others = sorted(event.time for _, of, event in history.marks if of != number and event.kind in (REPLENISH, WAKE))
    ran, ready = _spans(runs), Spans(history.ready[number])
    spent = sorted(event.time for _, of, event in history.marks if of == number and event.kind == SPENT)
    renewed = sorted((event.time, event.value) for _, of, event in history.marks if of == number and event.kind == REPLENISH)
    gifts = [(run.start, run.end) for run in runs if run.extra]
    start = history.begin + -(-(history.start - history.begin) // server.period) * server.period
    debt: Optional[int] = 0 if history.whole else None             # not known
    for begin in range(start, history.end - server.period + 1, server.period):
        end = begin + server.period
        first, last = bisect.bisect_left(gifts, (begin, 0)), bisect.bisect_left(gifts, (end, 0))
        given = Spans([(since, min(until, end)) for since, until in gifts[first:last]])
        got, slept = ran.length(begin, end), server.period - ready.length(begin, end)
        row.periods += 1
        row.most = max(row.most, got)
        if slept == 0:
            row.busy += 1
            row.least = got if row.least is None else min(row.least, got)
        claims = ready.length(end - 1, end) == 1 and (slept == 0 or history.pool.placement != "global")
        if debt is not None and claims and got + late < server.budget - debt - slept:
            less = f", slept {us(slept, hz)}" if slept else ""
            _fault(history, "budget", begin, f"{server.name} got {us(got, hz)} of its budget of {us(server.budget, hz)} in the "
                                             f"period from {history.seconds(begin):.6f} s on{less}")
        switches = overhead * (4 + 4 * _count(starts, begin, end) + _count(others, begin, end)) // 8
        if not server.extra and got > server.budget + overhead + switches + late:
            _fault(history, "more", begin, f"{server.name} got {us(got, hz)} in the period from {history.seconds(begin):.6f} s on; "
                                           f"its budget is {us(server.budget, hz)}")
        # For each turn it may have paid a switch in advance, back to whom it interrupted.
        paid = overhead * _count(starts, begin, end) // 2
        if slept and _count(spent, begin, end) != 0:
            debt = _owed(renewed, server, overhead, end)  # how much of its budget it had kept is nowhere noted, only this
            continue
        debt = max(0, _charged(ran, given, spent, begin, end) + paid - server.budget - overhead)


def _waits(history: History, row: Row, number: int, runs: list[Run], late: int) -> None:
    ran, bound = _spans(runs), 2 * (row.server.period - row.server.budget)
    for start, end in history.ready[number]:
        for begin, until in without(ran, max(start, history.start), end):
            row.wait = max(row.wait, until - begin)
            if until - begin > bound + late:
                _fault(history, "wait", begin, f"{row.server.name} was ready and waited {us(until - begin, history.hz)} for a core; "
                                               f"its bound is {us(bound, history.hz)}")


# ---------------------------------------------------------------- windows

def _windows(history: History, row: Row, number: int, runs: list[Run], tolerance: int) -> None:
    server, hz, frame = row.server, history.hz, row.server.period
    ready = Spans(history.ready[number])
    first = (history.start - history.begin) // frame
    last = (history.end - history.begin) // frame
    mine: dict[int, list[tuple[int, int]]] = {core: [] for core in history.pool.cores}
    for begin in (history.begin + number * frame for number in range(first, last + 1)):
        for core, start, end in server.windows:
            mine[core].append((begin + start, begin + end))
    on = {core: Spans([(run.start, run.end) for run in runs if run.core == core]) for core in history.pool.cores}
    for core, windows in mine.items():
        for start, end in windows:
            if history.start <= start and end <= history.end:
                _window(history, row, (core, start, end), sum(e - s for s, e in ready.within(start, end)),
                        on[core].length(start, end), tolerance)
        for start, end in on[core].spans:
            outside = sum(e - s for s, e in without(Spans(_joined(windows)), start, end))
            if outside > tolerance:
                _fault(history, "window", start, f"{server.name} ran on cpu {core} for {us(outside, hz)} outside its windows")
    row.periods = max(0, last - first - 1)


def _window(history: History, row: Row, window: tuple[int, int, int], ready: int, got: int, tolerance: int) -> None:
    core, start, end = window
    row.most = max(row.most, got)
    if ready == end - start:
        row.busy += 1
        row.least = got if row.least is None else min(row.least, got)
    row.wait = max(row.wait, ready - got)
    if ready - got > tolerance:
        _fault(history, "window", start, f"{row.server.name} was ready for {us(ready, history.hz)} of its window on cpu {core} and "
                                         f"ran for {us(got, history.hz)} of it")


def _joined(windows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Windows that touch, as one."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(windows):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


# ---------------------------------------------------------------- cores

def _twice(history: History, server: Server, runs: list[Run]) -> None:
    for before, after in zip(runs, runs[1:]):
        if after.start < before.end and after.core != before.core:
            _fault(history, "twice", after.start, f"{server.name} runs on cpu {before.core} and on cpu {after.core} at once")


def _place(history: History, server: Server, runs: list[Run]) -> None:
    wrong = next((run for run in runs if server.core is not None and run.core != server.core), None)
    if wrong is not None and not history.pool.windows:
        _fault(history, "place", wrong.start, f"{server.name} runs on cpu {wrong.core}; its core is {server.core}")


def _cores(history: History) -> None:
    for before, after in zip(history.runs, history.runs[1:]):
        if before.core == after.core and after.start < before.end:
            _fault(history, "core", after.start, f"cpu {after.core} is two servers' at once")
