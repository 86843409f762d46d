# SPDX-License-Identifier: Apache-2.0
"""A stretch of a trace as one SVG that needs nothing else: a band for each core, a row for each vcpu."""
from __future__ import annotations

from html import escape
from typing import Optional, Sequence

from .dump import INTERRUPT, SPENT, WAKE
from .history import History, Spans, without

WIDTH, LEFT, RIGHT, HIGH, BAR = 960, 130, 20, 30, 16
FILLS = ("#2a6fbb", "#d9822b", "#3d9a63", "#a2569c", "#b5473f", "#6b7f2c", "#3f8f9b", "#8a6a4a")
STYLE = ("text{font:12px system-ui,sans-serif;fill:#222}.soft{fill:#667}.mono{font-family:ui-monospace,monospace;font-size:11px}"
         ".grid{stroke:#dde;stroke-width:1}.wait{stroke:#99a;stroke-width:1.5;stroke-dasharray:2 2}"
         ".period{stroke:#556;stroke-width:1}.bad{fill:none;stroke:#d00;stroke-width:2}")
MOST_PERIODS = 5                           # of the longest period, unless told otherwise
STEPS = (1, 2, 5)


def stretch(history: History, begin: Optional[float], length: Optional[float]) -> tuple[int, int]:
    """What is drawn, in counts: as told, in seconds; else the few periods in which most happens."""
    longest = max((server.period for server in history.pool.servers), default=1)
    wide = round(length * history.hz) if length else MOST_PERIODS * longest
    wide = min(wide, max(1, history.end - history.start))
    if begin is not None:
        start = history.begin + round(begin * history.hz)
        return start, start + wide
    return (best := _busiest(history, wide, longest)), best + wide


def _busiest(history: History, wide: int, step: int) -> int:
    """The first multiple of `step` from which on most vcpus run, and of those with most runs."""
    first = history.begin + -(-(history.start - history.begin) // step) * step
    found: dict[int, tuple[set[int], int]] = {}
    for run in history.runs:
        slot = (run.start - first) // step
        names, count = found.get(slot, (set(), 0))
        found[slot] = (names | {run.server}, count + 1)
    best, score = first, (-1, -1)
    slots = wide // step
    for slot in sorted(found):
        start = first + slot * step
        if slot < 0 or start + wide > history.end:
            continue
        mine = [found[s] for s in range(slot, slot + slots) if s in found]
        value = (min(len(names) for names, _ in mine) if len(mine) == slots else 0, sum(count for _, count in mine))
        if value > score:
            best, score = start, value
    return best


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(seconds) >= scale:
            return f"{seconds / scale:.6g} {unit}"
    return "0"


class Drawing:
    """The shapes of one pool's stretch; y counts down from `top`."""

    def __init__(self, history: History, span: tuple[int, int], top: int) -> None:
        self.h = history
        self.start, self.end = span
        self.top = top
        self.shapes: list[str] = []
        self.draw()

    def at(self, time: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (min(max(time, self.start), self.end) - self.start) / (self.end - self.start)

    @property
    def high(self) -> int:
        return 28 + HIGH * (len(self.h.pool.cores) + len(self.h.pool.servers)) + 24

    def bar(self, y: float, start: int, end: int, fill: str, tip: str, faint: bool = False) -> None:
        x, wide = self.at(start), max(self.at(end) - self.at(start), 0.6)
        self.shapes.append(f'<rect x="{x:.2f}" y="{y:.1f}" width="{wide:.2f}" height="{BAR}" fill="{fill}"'
                           + (' fill-opacity=".45"' if faint else "") + f"><title>{escape(tip)}</title></rect>")

    def label(self, y: float, text: str, extra: str = "") -> None:
        self.shapes.append(f'<text x="{LEFT - 8}" y="{y + 12:.1f}" text-anchor="end">{escape(text)}</text>')
        if extra:
            self.shapes.append(f'<text x="{LEFT - 8}" y="{y + 23:.1f}" text-anchor="end" class="soft mono" '
                               f'style="font-size:9px">{escape(extra)}</text>')

    def draw(self) -> None:
        pool = self.h.pool
        kind = "arinc653" if pool.windows else f"rtds, {pool.placement}"
        self.shapes.append(f'<text x="{LEFT}" y="{self.top + 14}" class="soft">pool {escape(pool.name)}: {kind}; from '
                           f"{_time(self.h.seconds(self.start))} on, for {_time((self.end - self.start) / self.h.hz)}</text>")
        y = self.top + 28
        self.grid(y, y + HIGH * (len(pool.cores) + len(pool.servers)))
        for core in pool.cores:
            self.core(core, y)
            y += HIGH
        for number in range(len(pool.servers)):
            self.server(number, y)
            y += HIGH

    def inside(self, start: int, end: int) -> bool:
        return start < self.end and end > self.start

    def core(self, core: int, y: int) -> None:
        self.label(y + 3, f"cpu {core}")
        for run in self.h.runs:
            if run.core == core and self.inside(run.start, run.end):
                self.bar(y, run.start, run.end, FILLS[run.server % len(FILLS)], self.tip(run.server, run.start, run.end), run.extra)
        for place, _, event in self.h.marks:
            if place == core and event.kind == INTERRUPT and self.start <= event.time < self.end:
                x = self.at(event.time)
                self.shapes.append(f'<path d="M{x:.2f} {y + BAR}v6" class="period"><title>interrupt {event.value} at '
                                   f"{self.h.seconds(event.time):.6f} s</title></path>")

    def tip(self, server: int, start: int, end: int) -> str:
        return f"{self.h.pool.servers[server].name}: {_time((end - start) / self.h.hz)} from {self.h.seconds(start):.6f} s on"

    def server(self, number: int, y: int) -> None:
        server, h = self.h.pool.servers[number], self.h
        self.label(y, server.name, f"{_time(server.budget / h.hz)} of {_time(server.period / h.hz)}")
        runs = h.of(number)
        ran = Spans([(run.start, run.end) for run in runs])
        for start, end in h.ready[number]:
            for s, e in without(ran, start, end):
                if self.inside(s, e):
                    self.shapes.append(f'<line x1="{self.at(s):.2f}" x2="{self.at(e):.2f}" y1="{y + BAR / 2}" y2="{y + BAR / 2}" '
                                       f'class="wait"><title>{escape(server.name)} waits {_time((e - s) / h.hz)}</title></line>')
        for run in runs:
            if self.inside(run.start, run.end):
                self.bar(y, run.start, run.end, FILLS[number % len(FILLS)], f"{self.tip(number, run.start, run.end)} on cpu {run.core}",
                         run.extra)
        self.periods(number, y)
        self.marks(number, y)

    def periods(self, number: int, y: int) -> None:
        server = self.h.pool.servers[number]
        if (self.end - self.start) // server.period > 400:
            return
        first = self.h.begin + -(-(self.start - self.h.begin) // server.period) * server.period
        for time in range(first, self.end + 1, server.period):
            self.shapes.append(f'<path d="M{self.at(time):.2f} {y - 4}v{BAR + 8}" class="period"/>')

    def marks(self, number: int, y: int) -> None:
        for _, of, event in self.h.marks:
            if of != number or not self.start <= event.time < self.end:
                continue
            x = self.at(event.time)
            if event.kind == SPENT:
                self.shapes.append(f'<path d="M{x:.2f} {y + BAR}l-3 6h6z" fill="#222"><title>budget spent at '
                                   f"{self.h.seconds(event.time):.6f} s</title></path>")
            elif event.kind == WAKE:
                self.shapes.append(f'<path d="M{x:.2f} {y}l-3 -5h6z" fill="#3a3"><title>woke at '
                                   f"{self.h.seconds(event.time):.6f} s</title></path>")
        for fault in self.h.faults:
            if self.start <= fault.time < self.end and fault.text.startswith(self.h.pool.servers[number].name + " "):
                self.shapes.append(f'<circle cx="{self.at(fault.time):.2f}" cy="{y + BAR / 2}" r="9" class="bad">'
                                   f"<title>{escape(fault.text)}</title></circle>")

    def grid(self, top: int, bottom: int) -> None:
        step = self.step((self.end - self.start) / self.h.hz)
        time = -(-(self.start - self.h.begin) / self.h.hz // step) * step
        while self.h.begin + time * self.h.hz <= self.end:
            x = self.at(round(self.h.begin + time * self.h.hz))
            self.shapes.append(f'<line x1="{x:.2f}" x2="{x:.2f}" y1="{top - 4}" y2="{bottom}" class="grid"/>')
            self.shapes.append(f'<text x="{x:.2f}" y="{bottom + 14}" text-anchor="middle" class="soft mono">{_time(time)}</text>')
            time = round(time / step + 1) * step

    @staticmethod
    def step(seconds: float) -> float:
        """Some five to ten of them."""
        scale = 1e-7
        while True:
            for factor in STEPS:
                if seconds / (factor * scale) <= 8:
                    return factor * scale
            scale *= 10


LEGEND = "bar: runs (pale: on idle time) · dots: ready, waits for a core · upright: a period begins · ▾ wakes · ▴ budget spent"


def svg(histories: Sequence[History], title: str, begin: Optional[float] = None, length: Optional[float] = None) -> str:
    top, drawings = 28, []
    for history in histories:
        drawing = Drawing(history, stretch(history, begin, length), top)
        drawings.append(drawing)
        top += drawing.high
    high = top + 18
    shapes = [shape for drawing in drawings for shape in drawing.shapes]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {high}" width="{WIDTH}" height="{high}" role="img" '
            f'aria-label="{escape(title)}">\n<style>{STYLE}</style>\n<rect width="{WIDTH}" height="{high}" fill="#fff"/>\n'
            f'<text x="{LEFT}" y="18" style="font-weight:600">{escape(title)}</text>\n' + "\n".join(shapes)
            + f'\n<text x="{LEFT}" y="{high - 8}" class="soft" style="font-size:11px">{LEGEND}</text>\n</svg>\n')
