# SPDX-License-Identifier: Apache-2.0
"""A trace for chrome://tracing and ui.perfetto.dev, in the Trace Event Format (JSON object form): complete events (X) for
who runs and who waits, instant events (i) for the rest, metadata (M) for names; times in microseconds."""
from __future__ import annotations

import json
from typing import Any, Sequence

from .check import Row
from .dump import INTERRUPT, KINDS, REPLENISH, SWITCH
from .history import IDLE, History, Spans, without

Record = dict[str, Any]


def _name(kind: str, pid: int, name: str, tid: int = 0) -> Record:
    return {"ph": "M", "name": kind, "pid": pid, "tid": tid, "ts": 0, "args": {"name": name}}


class _Pool:
    """One pool: a process of its cores and one of its vcpus."""

    def __init__(self, history: History, number: int) -> None:
        self.h = history
        self.cores, self.vcpus = 2 * number + 1, 2 * number + 2

    def us(self, time: int) -> float:
        return round((time - self.h.begin) * 1e6 / self.h.hz, 3)

    def span(self, pid: int, tid: int, name: str, start: int, end: int, **args: Any) -> Record:
        return {"ph": "X", "cat": "run", "name": name, "pid": pid, "tid": tid, "ts": self.us(start),
                "dur": round(max(0.0, self.us(end) - self.us(start)), 3), "args": args}

    def records(self) -> list[Record]:
        h = self.h
        out = [_name("process_name", self.cores, f"pool {h.pool.name}: cores"),
               _name("process_name", self.vcpus, f"pool {h.pool.name}: vcpus")]
        out += [_name("thread_name", self.cores, f"cpu {core}", core + 1) for core in h.pool.cores]
        out += [_name("thread_name", self.vcpus, server.name, number + 1) for number, server in enumerate(h.pool.servers)]
        for run in h.runs:
            name = h.pool.servers[run.server].name
            extra = {"idle time": True} if run.extra else {}
            out.append(self.span(self.cores, run.core + 1, name, run.start, run.end, **extra))
            out.append(self.span(self.vcpus, run.server + 1, "runs", run.start, run.end, cpu=run.core, **extra))
        for number, spans in enumerate(h.ready):
            ran = Spans([(run.start, run.end) for run in h.of(number)])
            out += [self.span(self.vcpus, number + 1, "waits", s, e) for begin, end in spans for s, e in without(ran, begin, end)]
        return out + [record for mark in h.marks for record in self.mark(*mark)]

    def mark(self, core: int, server: int, event: Any) -> list[Record]:
        if event.kind == SWITCH:
            return []
        record = {"ph": "i", "s": "t", "cat": KINDS[event.kind], "name": KINDS[event.kind], "ts": self.us(event.time)}
        if event.kind == INTERRUPT:
            return [{**record, "name": f"interrupt {event.value}", "pid": self.cores, "tid": core + 1}]
        if server == IDLE:
            return []
        args = {"budget in us": round(event.value * 1e6 / self.h.hz, 3)} if event.kind == REPLENISH else {}
        return [{**record, "pid": self.vcpus, "tid": server + 1, "args": args}]


def text(traces: Sequence[tuple[History, Sequence[Row]]]) -> str:
    """One JSON object; a line for each event."""
    records = [record for number, (history, _) in enumerate(traces) for record in _Pool(history, number).records()]
    faults = [{"ph": "i", "s": "g", "cat": "violation", "name": f"{fault.check}: {fault.text}", "pid": 2 * number + 1, "tid": 0,
               "ts": _Pool(history, number).us(fault.time)}
              for number, (history, _) in enumerate(traces) for fault in history.faults]
    lines = ",\n".join(json.dumps(record) for record in [*records, *faults])
    return '{"displayTimeUnit": "ns", "otherData": {"version": "bulkhead trace"}, "traceEvents": [\n' + lines + "\n]}\n"
