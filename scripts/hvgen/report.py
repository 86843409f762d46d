# SPDX-License-Identifier: Apache-2.0
"""report.html: the plan as pictures, one file that needs nothing else."""
from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Mapping, Sequence

from . import schedule_view
from .model import Plan, PlanPartition, Region
from .pc import WATCHDOG_PORTS
from .schedule import percent
from .system_pools import time_text
from .view import (FREE, HYPERVISOR, RESERVED, SHARED, MemoryRow, channel_rows, core_id, core_rows, counted, device_rows, grouped,
                   irq_rows, memory_rows, owner_name, port_rows, size_text)

# Fill colours of partitions, told apart in light and dark and by most colour-blind eyes (after Okabe and Ito).
FILLS = ("#56b4e9", "#e69f00", "#2fb38a", "#cc79a7", "#8f8ce0", "#d9d04a", "#d5754a", "#7fb86a")

STYLE = """
:root { --paper: #fbfaf8; --ink: #22252a; --soft: #6b7078; --line: #d5d3ce; --free: #eeece7; --kept: #d9d6cf; --hv: #4a4f59; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #191b1f; --ink: #e6e4df; --soft: #9a9ea6; --line: #3a3d44; --free: #24272c; --kept: #33363c; --hv: #8d93a0; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; margin: 2.5rem auto;
       max-width: 64rem; padding: 0 1.5rem; }
h1 { font-size: 1.7rem; font-weight: 650; margin: 0; } h2 { font-size: 1.1rem; margin: 2.4rem 0 .6rem; }
p.lead { color: var(--soft); margin: .2rem 0 0; }
svg { display: block; max-width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .soft { fill: var(--soft); } svg .in { fill: #16181c; } svg .inv { fill: var(--paper); }
svg .mono { font-family: ui-monospace, monospace; font-size: 11px; }
.free { fill: var(--free); } .kept { fill: var(--kept); } .hv { fill: var(--hv); } .edge { stroke: var(--line); }
.cut { fill: none; stroke: var(--paper); stroke-width: 3; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th { text-align: left; color: var(--soft); font-weight: 500; } td, th { padding: .22rem .7rem .22rem 0; vertical-align: top;
     border-bottom: 1px solid var(--line); }
td.n, code { font-family: ui-monospace, monospace; font-size: 12px; white-space: nowrap; } td.n { text-align: right; }
.chip { display: inline-block; width: .75em; height: .75em; border-radius: 2px; margin-right: .45em; }
.warn { border-left: 4px solid #e69f00; padding: .3rem .9rem; margin: .4rem 0; }
details { margin: .4rem 0; } summary { cursor: pointer; color: var(--soft); }
"""

WIDTH = 960
LEAST, MOST = 22, 190                  # pixels of a memory row; what would be taller is cut
RAM_X, RAM_W = 150, 210                # the column of physical memory
GUEST_X, GUEST_W = 540, 240
PORTS = " (I/O ports)"


@dataclass(frozen=True)
class Facts:
    """What is known beside the plan."""
    table_count: int = 0
    table_bytes: int = 0
    dropped: Mapping[str, Sequence[str]] | None = None     # by partition: references that its devicetree lost


def html(plan: Plan, facts: Facts = Facts()) -> str:
    body = [_head(plan, facts), _notes(plan), "<h2>Memory</h2>", memory_svg(plan), _memory_table(plan),
            "<h2>Cores</h2>", cores_svg(plan), _shared(plan), _channels(plan), "<h2>Devices and interrupts</h2>",
            lines_svg(plan), _irq_table(plan),
            _device_table(plan), _port_table(plan), _dropped(plan, facts)]
    title = escape(f"{plan.system.name} on {plan.hardware.name}")
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
            f'<meta name="viewport" content="width=device-width">\n<style>{STYLE}</style>\n</head>\n<body>\n'
            + "\n".join(part for part in body if part) + "\n</body>\n</html>\n")


def fill(owner: int) -> str:
    """The attributes of a shape in its owner's colour."""
    if owner >= 0:
        return f'fill="{FILLS[owner % len(FILLS)]}"'
    return f'class="{ {FREE: "free", RESERVED: "kept", HYPERVISOR: "hv", SHARED: "kept"}[owner] }"'


def chip(owner: int) -> str:
    colour = FILLS[owner % len(FILLS)] if owner >= 0 else {
        FREE: "var(--free)", RESERVED: "var(--kept)", HYPERVISOR: "var(--hv)", SHARED: "var(--kept)"}[owner]
    return f'<span class="chip" style="background:{colour}"></span>'


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    at = f' text-anchor="{anchor}"' if anchor != "start" else ""
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{named}{at}>{escape(words)}</text>'


def svg(height: float, shapes: Sequence[str], what: str) -> str:
    return (f'<svg viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" role="img" '
            f'aria-label="{escape(what)}">\n' + "\n".join(shapes) + "\n</svg>")


# ---------------------------------------------------------------- memory

@dataclass(frozen=True)
class Bar:
    row: MemoryRow
    top: float
    height: float
    cut: bool                          # drawn shorter than to scale


def bars(rows: Sequence[MemoryRow]) -> list[Bar]:
    """To scale where that can be seen; very large rows are cut, very small ones are given room for a line of text."""
    taken = [r.region.size for r in rows if r.owner != FREE] or [1]
    per_byte = MOST / max(taken)
    out: list[Bar] = []
    top = 26.0
    for i, row in enumerate(rows):
        gap = 14 if i and rows[i - 1].region.end != row.region.base else 0    # another bank
        wanted = row.region.size * per_byte
        height = min(max(wanted, LEAST), MOST if row.owner != FREE else MOST / 3)
        out.append(Bar(row, top + gap, height, wanted > height + 1))
        top = out[-1].top + height
    return out


def zigzag(x: float, y: float, width: float) -> str:
    points = " ".join(f"{x + i * width / 14:g},{y + (4 if i % 2 else -4):g}" for i in range(15))
    return f'<polyline class="cut" points="{points}"/>'


def memory_svg(plan: Plan) -> str:
    rows = memory_rows(plan)
    drawn = bars(rows)
    bottom = drawn[-1].top + drawn[-1].height if drawn else 40
    guests, guest_bottom = _guest_columns(plan, drawn)
    shapes = [text(RAM_X + RAM_W / 2, 14, "physical memory", "soft", "middle"),
              text(GUEST_X + GUEST_W / 2, 14, "as the partitions see it", "soft", "middle")]
    shapes += guests
    for b in drawn:
        r = b.row
        tip = f"{r.what}: {r.region.base:#x} to {r.region.end - 1:#x}, {size_text(r.region.size)}"
        shapes.append(f'<g><title>{escape(tip)}</title><rect x="{RAM_X}" y="{b.top:g}" width="{RAM_W}" '
                      f'height="{b.height:g}" {fill(r.owner)} stroke="var(--paper)"/></g>')
        if b.cut:
            shapes.append(zigzag(RAM_X, b.top + b.height - 9, RAM_W))
        shapes.append(text(RAM_X - 8, b.top + 11, f"{r.region.base:#x}", "soft mono", "end"))
        kind = "in" if r.owner >= 0 else "inv" if r.owner == HYPERVISOR else ""
        name = "hypervisor and images" if r.region == plan.hv else r.what
        shapes.append(text(RAM_X + 8, b.top + 15, name if len(name) < 22 else name[:20] + "\u2026", kind))
        shapes.append(text(RAM_X + RAM_W - 8, b.top + 15, size_text(r.region.size), kind, "end"))
    if rows:
        shapes.append(text(RAM_X - 8, bottom + 4, f"{rows[-1].region.end:#x}", "soft mono", "end"))
    return svg(max(bottom, guest_bottom) + 14, shapes, "Memory map")


def _guest_columns(plan: Plan, drawn: Sequence[Bar]) -> tuple[list[str], float]:
    """Each partition's view of its memory and devices, with a band to the RAM behind it."""
    shapes: list[str] = []
    top = 26.0
    for part in plan.partitions:
        views = [(Region(m.ipa, m.size), {"ram": "RAM", "channel": f"channel {m.what}"}.get(m.kind, m.what), m.kind == "ram")
                 for m in part.mappings]
        if part.vuart is not None and not plan.vmm:
            views.append((Region(part.vuart.ipa, 0x1000), "virtual UART", False))
        if part.watchdog is not None and not plan.vmm:
            views.append((Region(part.watchdog.ipa, 0x2000), "watchdog", False))
        shapes.append(text(GUEST_X, top + 12, part.name))
        shapes.append(text(GUEST_X + GUEST_W, top + 12, "direct" if part.direct else "virtual", "soft", "end"))
        y = top + 18
        mine = {b.row.region.base: b for b in drawn if b.row.owner == part.index}
        physical = {m.ipa: m.pa for m in part.ram}
        for region, what, ram in sorted(views) + _port_views(plan, part):
            behind = mine.get(physical.get(region.base, -1)) if ram else None
            height = min(max(behind.height * 0.6, LEAST), 90) if behind else LEAST - 4
            if behind:
                x0, x1 = RAM_X + RAM_W, GUEST_X
                middle = (x0 + x1) / 2
                shapes.append(
                    f'<path d="M{x0} {behind.top:g} C{middle} {behind.top:g} {middle} {y:g} {x1} {y:g} V{y + height:g} '
                    f'C{middle} {y + height:g} {middle} {behind.top + behind.height:g} {x0} '
                    f'{behind.top + behind.height:g} Z" {fill(part.index)} opacity="0.22"/>')
            tip = f"{what}: {region.base:#x} to {region.end - 1:#x}"
            port = "port " if what.endswith(PORTS) else ""
            opacity = "" if ram else ' opacity="0.55"'
            shapes.append(f'<g><title>{escape(tip)}</title><rect x="{GUEST_X}" y="{y:g}" width="{GUEST_W}" '
                          f'height="{height:g}" {fill(part.index)}{opacity} stroke="var(--paper)"/></g>')
            label = what if len(what) < 36 else "\u2026" + what[-34:]
            shapes.append(text(GUEST_X + 8, y + height / 2 + 4, label, "in" if ram else ""))
            shapes.append(text(GUEST_X + GUEST_W + 8, y + 11, f"{port}{region.base:#x}", "soft mono"))
            if ram:
                shapes.append(text(GUEST_X + GUEST_W - 8, y + height / 2 + 4, size_text(region.size), "in", "end"))
            y += height
        top = y + 16
    return shapes, top


def _port_views(plan: Plan, part: PlanPartition) -> list[tuple[Region, str, bool]]:
    """x86: what a guest reaches by I/O ports, below its memory."""
    views = [(r, f"{device.path}{PORTS}", False) for device, _ in part.devices for r in device.ports]
    if part.vuart is not None and plan.vmm:
        views.append((Region(part.vuart.ipa, 8), f"virtual UART{PORTS}", False))
    if part.watchdog is not None and plan.vmm:
        views.append((Region(part.watchdog.ipa, WATCHDOG_PORTS), f"watchdog{PORTS}", False))
    return sorted(views)


# ---------------------------------------------------------------- cores

def cores_svg(plan: Plan) -> str:
    rows = core_rows(plan)
    wide, high, across = 112, 66, WIDTH // 120
    shapes = []
    for i, r in enumerate(rows):
        x, y = i % across * 120, i // across * 76 + 2
        tip = f"{r.path}, {core_id(plan, r.mpidr)}, {r.kind}: {r.note}"
        shapes.append(f'<g><title>{escape(tip)}</title><rect x="{x}" y="{y}" width="{wide}" height="{high}" rx="5" '
                      f'{fill(r.owner)}/></g>')
        kind = "in" if r.owner >= 0 else "soft"
        shapes += [text(x + 9, y + 18, f"core {r.number}", kind), text(x + 9, y + 36, owner_name(plan, r.owner)
                   if r.owner >= 0 else r.note.split(":")[0] if r.owner == SHARED else "not used", kind)]
        if r.vcpu >= 0:
            shapes.append(text(x + 9, y + 54, f"vcpu {r.vcpu}, {r.note.split(',')[0]}", kind))
            if "console" in r.note:
                shapes.append(text(x + wide - 9, y + 18, "\u2328", kind, "end"))
    return svg((len(rows) + across - 1) // across * 76 + 4, shapes, "Cores and their owners")


def _shared(plan: Plan) -> str:
    """Time lines of pools, with what each vcpu was given."""
    parts = ["<h2>Shared cores</h2>"] if plan.pools else []
    for pool in plan.pools:
        seen = schedule_view.view(plan, pool)
        said = [schedule_view.core_text(seen, number) for number in range(len(seen.cores))]
        much = ("one hyperperiod" if seen.whole else "the beginning") + ", everybody always ready"
        words = f"{'; '.join(said)}. Kept: {seen.test}. Shown: {'one frame' if pool.windows else much}."
        rows = [(chip(r.partition) + escape(r.name), "any" if r.core is None else str(seen.cpus[r.core]), escape(time_text(r.budget)),
                 escape(time_text(r.period)), escape(percent(r.load)), escape("" if pool.windows else time_text(r.gap)),
                 "extra time" if r.extra else "") for r in seen.rows]
        parts += [schedule_view.svg(plan, seen, FILLS), f"<p>{escape(words)}</p>",
                  _folded("as a table", _table(("vcpu", "core", "budget", "period", "share", "waits at most", ""), rows))]
    return "\n".join(parts)


# ---------------------------------------------------------------- devices and interrupts

def _channels(plan: Plan) -> str:
    """Who talks to whom."""
    rows = [[escape(r.name), size_text(r.region.size), _code(f"{r.region.base:#x}"), _code(f"{r.pa:#x}"),
             _code(f"{r.doorbell:#x}") if r.doorbell else "none", escape(r.members)] for r in channel_rows(plan)]
    return "<h2>Channels</h2>" + _table(("name", "size", "guest address", "physical", "doorbell", "partitions"), rows) if rows else ""


def lines_svg(plan: Plan) -> str:
    """From each owned device by its interrupt to its owner."""
    rows = [r for r in irq_rows(plan) if not r.of_core]
    silent = [d for d in device_rows(plan) + port_rows(plan) if d.owner >= 0 and not any(r.what == d.path for r in rows)]
    owners = sorted({r.owner for r in rows} | {d.owner for d in silent}, key=lambda o: (o == HYPERVISOR, o))
    count = len(rows) + len(silent)
    if not count:
        return "<p class=\"lead\">No partition has a device or an interrupt of its own.</p>"
    height = max(count * 26, len(owners) * 46) + 8
    step = height / len(owners)
    centre = {owner: step * (i + 0.5) for i, owner in enumerate(owners)}
    shapes = []
    items = [(r.owner, r.what or "interrupt", str(r.intid), f"{r.name}, {'edge' if r.edge else 'level'} {r.note}")
             for r in rows] + [(d.owner, d.path, "", "no interrupt") for d in silent]
    for i, (owner, what, intid, tip) in enumerate(sorted(items, key=lambda item: (owners.index(item[0]), item[1]))):
        y = (i + 0.5) * height / count
        colour = FILLS[owner % len(FILLS)] if owner >= 0 else "var(--hv)"
        dash = "" if intid else ' stroke-dasharray="4 4"'
        shapes.append(f'<path d="M470 {y:g} C590 {y:g} 590 {centre[owner]:g} 700 {centre[owner]:g}" fill="none" '
                      f'stroke="{colour}" stroke-width="2"{dash}/>')
        label = what if len(what) < 52 else "\u2026" + what[-50:]
        shapes.append(text(404, y + 4, label, "mono", "end"))
        shapes.append(f'<g><title>{escape(tip)}</title><rect x="414" y="{y - 10:g}" width="56" height="20" rx="10" '
                      f'{fill(owner)}/></g>')
        shapes.append(text(442, y + 4, intid or "\u2013", "in" if owner >= 0 else "inv", "middle"))
    for owner in owners:
        y = centre[owner]
        shapes.append(f'<rect x="700" y="{y - 17:g}" width="170" height="34" rx="5" {fill(owner)}/>')
        shapes.append(text(785, y + 4, owner_name(plan, owner), "in" if owner >= 0 else "inv", "middle"))
    return svg(height, shapes, "Devices, interrupts and their owners")


# ---------------------------------------------------------------- words and tables

def _head(plan: Plan, facts: Facts) -> str:
    total = sum(r.size for r in plan.hardware.memory)
    free = sum(r.size for r in plan.free)
    lead = (f"{counted(len(plan.partitions), 'partition')} on {len(plan.cpus)} of "
            f"{counted(len(plan.hardware.cpus), 'core')}; "
            f"{size_text(total)} of RAM, {size_text(free)} of it free; hypervisor with its images at "
            f"{plan.hv.base:#x}, {size_text(plan.hv.size)}")
    if facts.table_count:
        lead += f"; {facts.table_count} translation tables, {size_text(facts.table_bytes)}"
    return (f"<h1>{escape(plan.system.name)}</h1>\n<p class=\"lead\">on {escape(plan.hardware.name)} "
            f"({escape(plan.hardware.model)})</p>\n<p>{escape(lead)}.</p>")


def _notes(plan: Plan) -> str:
    return "\n".join(f'<p class="warn">{escape(note)}</p>' for note in plan.notes)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(t)}</th>" for t in titles)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"


def _folded(summary: str, table: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>\n{table}\n</details>"


def _code(words: str) -> str:
    return f"<code>{escape(words)}</code>"


def _owner(plan: Plan, owner: int, free: str = "nobody") -> str:
    return chip(owner) + escape(owner_name(plan, owner) if owner != FREE else free)


def _memory_table(plan: Plan) -> str:
    rows = [(_owner(plan, r.owner, "free"), _code(f"{r.region.base:#x}"), _code(f"{r.region.end - 1:#x}"),
             escape(size_text(r.region.size)), _code(f"{r.ipa:#x}") if r.ipa is not None else "",
             escape(r.what if r.owner in (RESERVED, HYPERVISOR) else "")) for r in memory_rows(plan)]
    return _folded("as a table", _table(("owner", "from", "to", "size", "guest address", ""), rows))


def _irq_table(plan: Plan) -> str:
    rows = [(_code(str(r.intid)), escape(r.name), "edge" if r.edge else "level", _owner(plan, r.owner), escape(r.what),
             escape(r.note)) for r in irq_rows(plan)]
    number = "line" if plan.vmm else "INTID"
    return _folded("all interrupts", _table((number, "", "", "owner", "what", ""), rows))


def _device_table(plan: Plan) -> str:
    rows = [(_code(f"{r.region.base:#x}"), escape(size_text(r.region.size)), _owner(plan, r.owner), _code(r.path),
             escape(r.note)) for r in grouped(device_rows(plan))]
    return _folded("all devices of the board", _table(("registers", "size", "owner", "node", ""), rows))


def _port_table(plan: Plan) -> str:
    rows = [(_code(f"{r.region.base:#x}-{r.region.end - 1:#x}"), _owner(plan, r.owner), _code(r.path), escape(r.note))
            for r in port_rows(plan)]
    return _folded("all I/O ports of the board", _table(("I/O ports", "owner", "node", ""), rows)) if rows else ""


def _dropped(plan: Plan, facts: Facts) -> str:
    lost = {name: lines for name, lines in (facts.dropped or {}).items() if lines}
    if not lost:
        return ""
    what = ("Devices of theirs that ACPI has no name for: a driver must know their ports and lines by itself." if plan.hardware.pc
            else "Properties of their devices that refer to what is not theirs; their devicetrees leave them out.")
    parts = ["<h2>What guests have to do without</h2>", f"<p>{what}</p>"]
    for name, lines in lost.items():
        parts.append(_folded(f"{name}: {len(lines)}", "<ul>" + "".join(f"<li>{_code(line)}</li>" for line in lines) + "</ul>"))
    return "\n".join(parts)
