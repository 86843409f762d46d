# SPDX-License-Identifier: Apache-2.0
"""Events -> who ran where from when to when, who was ready, what does not fit together.  Times are counts."""
from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Any, Optional

from .dump import EXTRA, INTERRUPT, REPLENISH, SLEEP, SPENT, SWITCH, WAKE, Dump, Event, Ring

IDLE = -1


@dataclass(frozen=True)
class Server:
    """A vcpu of a pool, with what it was promised; times in counts."""
    name: str
    partition: str
    cpu: int                               # its entry in layout.cpus
    core: Optional[int]                    # of the board; None: any of the pool
    budget: int
    period: int
    extra: bool
    windows: tuple[tuple[int, int, int], ...] = ()   # core of the board, start, end: in each period


@dataclass(frozen=True)
class Pool:
    name: str
    windows: bool                          # ARINC 653
    cores: tuple[int, ...]                 # as in system.yaml
    entries: tuple[int, ...]               # the same in layout.cpus
    servers: tuple[Server, ...]
    placement: str
    overhead: int                          # the two switches that come on top of each budget


@dataclass(frozen=True)
class Run:
    """A server (its place in Pool.servers, or IDLE) on a core of the board."""
    core: int
    server: int
    start: int
    end: int
    extra: bool                            # on idle time that was given to it, at the beginning


@dataclass(frozen=True)
class Fault:
    """Something that must not be."""
    check: str
    time: int
    text: str


@dataclass
class History:
    """What happened to one pool, from `start` to `end`; whole: nothing that came before matters."""
    pool: Pool
    hz: int
    begin: int                             # of the first period of all servers
    start: int
    end: int
    whole: bool = True
    events: int = 0
    lost: int = 0
    runs: list[Run] = field(default_factory=list)                   # by core, then by time
    ready: list[list[tuple[int, int]]] = field(default_factory=list)    # of each server: from, to; in order
    marks: list[tuple[int, int, Event]] = field(default_factory=list)   # core or IDLE, server or IDLE, event
    faults: list[Fault] = field(default_factory=list)

    def of(self, server: int) -> list[Run]:
        """Its runs in the order of time."""
        return sorted((run for run in self.runs if run.server == server), key=lambda run: (run.start, run.end))

    def begin_at(self, seconds: float) -> None:
        """Nothing before is judged."""
        start = min(max(self.start, self.begin + round(seconds * self.hz)), self.end)
        self.whole = self.whole and start == self.start
        self.start = start
        self.faults = [fault for fault in self.faults if fault.time >= self.start]

    def seconds(self, time: int) -> float:
        """Since the pool began."""
        return (time - self.begin) / self.hz


def counts(nanoseconds: int, hz: int) -> int:
    """As arch_counts() converts."""
    return nanoseconds // 10**9 * hz + nanoseconds % 10**9 * hz // 10**9


def pools_of(plan: dict[str, Any], hz: int) -> list[Pool]:
    """Out of plan.json.  Entries of layout.cpus: the cores, then the pools' servers in order."""
    entry = {cpu["board_index"]: number for number, cpu in enumerate(plan["cpus"])}
    vcpus = {part["name"]: len(part["cpus"]) for part in plan["partitions"]}
    slot = len(plan["cpus"])
    out = []
    for pool in plan.get("pools", []):
        servers = []
        for server in pool["servers"]:
            servers.append(_server(pool, server, slot, vcpus, hz))
            slot += 1
        out.append(Pool(pool["name"], pool["scheduler"] == "arinc653", tuple(pool["cpus"]), tuple(entry[c] for c in pool["cpus"]),
                        tuple(servers), pool.get("placement", ""), counts(pool["overhead"], hz)))
    return out


def _server(pool: dict[str, Any], server: dict[str, Any], slot: int, vcpus: dict[str, int], hz: int) -> Server:
    name = server["partition"]
    windows = [(w["core"], counts(w["start"], hz), counts(w["start"] + w["length"], hz)) for w in pool.get("windows", [])
               if (w["partition"], w["vcpu"]) == (name, server["vcpu"])]
    return Server(name + (f" vcpu {server['vcpu']}" if vcpus[name] > 1 else ""), name, slot, server["core"],
                  counts(server["budget"], hz), counts(server["period"], hz), server["extra_time"], tuple(windows))


# ---------------------------------------------------------------- events in order

def histories(dump: Dump, plan: dict[str, Any]) -> list[History]:
    pools = pools_of(plan, dump.hz)
    return [_history(pool, number, dump) for number, pool in enumerate(pools)]


def _history(pool: Pool, number: int, dump: Dump) -> History:
    core_of = dict(zip(pool.entries, pool.cores))
    rings = [ring for ring in dump.rings if (ring.number == number if ring.of_pool else ring.number in core_of)]
    begin = dump.begin[number]
    # Nothing is promised before each core has come up and decided for the first time.
    starts = [ring.events[0].time for ring in rings if ring.events and (ring.lost or not ring.of_pool)]
    ends = [ring.events[-1].time for ring in dump.rings if ring.events]
    lost = sum(ring.lost for ring in rings)
    history = History(pool, dump.hz, begin, max([begin, *starts]), max([begin, *ends]), lost == 0, sum(len(r.events) for r in rings),
                      lost)
    _Reader(history, core_of, {server.cpu: place for place, server in enumerate(pool.servers)}).read(rings)
    return history


def merged(rings: list[Ring]) -> list[tuple[Ring, Event]]:
    """By time; of events of one moment, a pool's come before those of its cores."""
    keyed = [(event.time, not ring.of_pool, place, ring, event) for ring in rings for place, event in enumerate(ring.events)]
    return [(ring, event) for _, _, _, ring, event in sorted(keyed, key=lambda item: item[:3])]


class _Reader:
    """Follows the events."""

    def __init__(self, history: History, core_of: dict[int, int], server_of: dict[int, int]) -> None:
        self.history = history
        self.core_of = core_of                                     # entry of layout.cpus -> core of the board
        self.server_of = server_of                                 # entry of layout.cpus -> place in the pool
        self.on: dict[int, Optional[int]] = {}                     # core -> server, IDLE; None: not known yet
        self.since: dict[int, tuple[int, bool]] = {}               # core -> when that began, on idle time
        self.awake: list[Optional[bool]] = [None] * len(server_of)
        self.sleeps_known = True
        self.woke = [history.begin] * len(server_of)
        history.ready = [[] for _ in server_of]

    def read(self, rings: list[Ring]) -> None:
        h = self.history
        for ring in rings:
            if ring.of_pool:
                continue
            core = self.core_of[ring.number]
            first = ring.events[0].time if ring.lost and ring.events else h.begin
            self.on[core] = None if ring.lost else IDLE
            self.since[core] = (first, False)
            times = [event.time for event in ring.events]
            for before, after in zip(times, times[1:]):
                if after < before:
                    self.fault("clock", after, f"cpu {core}: time runs backwards from one event to the next")
                    break
        self.sleeps_known = not any(ring.lost for ring in rings if ring.of_pool)
        if not any(ring.lost for ring in rings):
            self.awake = [False] * len(self.awake)
        for ring, event in merged(rings):
            self.event(None if ring.of_pool else self.core_of[ring.number], event)
        for core in self.on:
            self.end_run(core, h.end)
        for server, awake in enumerate(self.awake):
            if awake:
                h.ready[server].append((self.woke[server], h.end))
        h.runs.sort(key=lambda run: (run.core, run.start, run.end))

    def fault(self, check: str, time: int, text: str) -> None:
        if time > self.history.start or not self.history.lost:      # before, a ring has lost what would explain it
            self.history.faults.append(Fault(check, time, text))

    def name(self, server: Optional[int]) -> str:
        return "nobody" if server in (None, IDLE) else self.history.pool.servers[server or 0].name

    def event(self, core: Optional[int], event: Event) -> None:
        server = self.server_of.get(event.cpu, IDLE)
        if server == IDLE and self.core_of.get(event.cpu) is None:
            self.fault("event", event.time, f"an event names entry {event.cpu} of the layout, which is not of this pool")
            return
        self.history.marks.append((IDLE if core is None else core, server, event))
        if event.kind == SWITCH and core is not None:
            self.switch(core, server, event)
        elif event.kind in (SPENT, INTERRUPT) and core is not None:
            self.must_run(core, server, event.time)
        elif event.kind in (WAKE, SLEEP, REPLENISH):
            self.ready(server, event)
        elif event.kind not in (SPENT, INTERRUPT):
            self.fault("event", event.time, f"an event of a kind that is not known: {event.kind}")

    def must_run(self, core: int, server: int, time: int) -> None:
        """An event says who runs; the last switch has said so before."""
        if self.on[core] is None:
            self.on[core] = server
        elif self.on[core] != server:
            self.fault("core", time, f"cpu {core} is {self.name(server)}'s and {self.name(self.on[core])}'s at once")

    def switch(self, core: int, server: int, event: Event) -> None:
        self.must_run(core, self.server_of.get(event.value & 0xffff, IDLE), event.time)
        self.end_run(core, event.time)
        self.on[core] = server
        self.since[core] = (event.time, bool(event.value & EXTRA))
        if event.time < self.history.start:
            return
        if server != IDLE and self.awake[server] is None:
            self.wake(server, event.time)
        elif server != IDLE and not self.awake[server]:
            self.fault("asleep", event.time, f"{self.name(server)} gets cpu {core} while it sleeps")

    def end_run(self, core: int, time: int) -> None:
        server = self.on[core]
        start, extra = self.since[core]
        if server is not None and server != IDLE and time > start:
            self.history.runs.append(Run(core, server, start, time, extra))

    def ready(self, server: int, event: Event) -> None:
        """Where events are lost, wake-ups by a timer may be, too; and sleeping, if they are the pool's."""
        if event.time < self.history.start and not self.sleeps_known:
            return
        if event.kind == SLEEP:
            self.sleep(server, event.time)
            if event.time < self.history.start:
                self.awake[server] = None
        elif event.kind == WAKE or self.awake[server] is None:
            self.wake(server, event.time)

    def wake(self, server: int, time: int) -> None:
        if not self.awake[server]:
            self.awake[server] = True
            self.woke[server] = time

    def sleep(self, server: int, time: int) -> None:
        if self.awake[server] is None:
            self.history.ready[server].append((self.history.start, time))
        elif self.awake[server]:
            self.history.ready[server].append((self.woke[server], time))
        self.awake[server] = False


# ---------------------------------------------------------------- lengths

class Spans:
    """Disjoint spans in order, which can be asked how much of an interval they cover."""

    def __init__(self, spans: list[tuple[int, int]]) -> None:
        self.spans = spans
        self.starts = [start for start, _ in spans]
        self.ends = [end for _, end in spans]

    def within(self, start: int, end: int) -> list[tuple[int, int]]:
        first, last = bisect.bisect_right(self.ends, start), bisect.bisect_left(self.starts, end)
        return [(max(start, s), min(end, e)) for s, e in self.spans[first:last]]

    def length(self, start: int, end: int) -> int:
        return sum(e - s for s, e in self.within(start, end))


def without(spans: Spans, start: int, end: int) -> list[tuple[int, int]]:
    """What of an interval the spans leave out."""
    out, at = [], start
    for s, e in spans.within(start, end):
        if s > at:
            out.append((at, s))
        at = max(at, e)
    return out + ([(at, end)] if at < end else [])
