# SPDX-License-Identifier: Apache-2.0
"""`bulkhead show`: the plan as text for a terminal."""
from __future__ import annotations

import os
from typing import Iterable, Sequence, TextIO

from .model import Partition, Plan
from .pc import WATCHDOG_PORTS
from .system_pools import time_text
from .view import (FREE, HYPERVISOR, RESERVED, SHARED, MemoryRow, channel_rows, core_id, core_rows, counted, device_rows, grouped,
                   irq_rows, memory_rows, owner_name, port_rows, size_text)

PLAIN, BOLD, DIM = "\033[0m", "\033[1m", "\033[2m"
INK = ("\033[36m", "\033[33m", "\033[32m", "\033[35m", "\033[34m", "\033[31m")
BAR = 64


def write(plan: Plan, out: TextIO) -> None:
    """Colours on a terminal only; shades where the encoding has them."""
    unicode = (out.encoding or "").lower().replace("-", "") == "utf8"
    out.write(text(plan, out.isatty() and "NO_COLOR" not in os.environ, unicode))


def text(plan: Plan, colour: bool = False, unicode: bool = True) -> str:
    return "\n".join(_Page(plan, colour, unicode).lines()) + "\n"


def on_fault(spec: Partition) -> str:
    if not spec.restart_limit:
        return spec.on_fault
    return f"restart, {spec.restart_limit} times in {time_text(spec.restart_window_ns)}, then {spec.restart_then}"


def watchdog_times(spec: Partition) -> str:
    if spec.watchdog_ns is None or spec.watchdog_boot_ns == spec.watchdog_ns:
        return time_text(spec.watchdog_ns or 0)
    return f"{time_text(spec.watchdog_ns)} (at its start {time_text(spec.watchdog_boot_ns)})"


class _Page:
    def __init__(self, plan: Plan, colour: bool, unicode: bool) -> None:
        self.plan, self.colour, self.unicode = plan, colour, unicode

    def ink(self, owner: int, words: str) -> str:
        if not self.colour:
            return words
        code = INK[owner % len(INK)] if owner >= 0 else BOLD if owner == HYPERVISOR else DIM
        return f"{code}{words}{PLAIN}"

    def title(self, words: str) -> str:
        return f"{BOLD}{words}{PLAIN}" if self.colour else words

    def table(self, rows: Sequence[tuple[int, Sequence[str]]], right: Iterable[int] = ()) -> list[str]:
        """Rows of (owner, columns), columns as wide as their widest entry."""
        widths = [max(len(columns[i]) for _, columns in rows) for i in range(len(rows[0][1]))] if rows else []
        out = []
        for owner, columns in rows:
            cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(columns, widths))]
            out.append("  " + self.ink(owner, "  ".join(cells).rstrip()))
        return out

    def lines(self) -> list[str]:
        plan = self.plan
        idle = len(plan.hardware.cpus) - len(plan.cpus)
        out = [self.title(f"{plan.system.name} on {plan.hardware.name}"),
               f"  {counted(len(plan.partitions), 'partition')}, {counted(len(plan.hardware.cpus), 'core')}"
               + (f" ({idle} unused)" if idle else "")
               + f", {size_text(sum(r.size for r in plan.hardware.memory))} of RAM", ""]
        out += self.memory() + self.cores() + self.partitions() + self.channels() + self.interrupts() + self.devices()
        if plan.notes:
            out += [self.title("Notes")] + [f"  {note}" for note in plan.notes] + [""]
        return out[:-1]

    def memory(self) -> list[str]:
        rows = memory_rows(self.plan)
        lines = [self.title("Memory"), "  " + self.bar(rows)]
        columns = [(r.owner, (f"{r.region.base:#x}", f"{r.region.end - 1:#x}", size_text(r.region.size), r.what,
                              f"guest {r.ipa:#x}" if r.ipa is not None else "")) for r in rows]
        return lines + self.table(columns, (0, 1, 2)) + [""]

    def bar(self, rows: Sequence[MemoryRow]) -> str:
        """All RAM on one line; each piece gets its share, and one place at least."""
        total = sum(r.region.size for r in rows) or 1
        marks = {FREE: "\u2591" if self.unicode else ".", RESERVED: "\u2592" if self.unicode else "x",
                 SHARED: "\u2592" if self.unicode else "s",
                 HYPERVISOR: "\u2588" if self.unicode else "H"}
        out = ""
        for r in rows:
            width = max(1, round(BAR * r.region.size / total))
            mark = marks.get(r.owner) or ("\u2593" if self.unicode else chr(ord("A") + r.owner % 26))
            out += self.ink(r.owner, mark * width)
        return out

    def cores(self) -> list[str]:
        rows = [(r.owner, (f"core {r.number}", r.kind, core_id(self.plan, r.mpidr),
                           f"{owner_name(self.plan, r.owner)} vcpu {r.vcpu}" if r.vcpu >= 0 else
                           "shared" if r.owner == SHARED else "unused", r.note))
                for r in core_rows(self.plan)]
        return [self.title("Cores")] + self.table(rows) + [""]

    def partitions(self) -> list[str]:
        out = [self.title("Partitions")]
        for p in self.plan.partitions:
            boot = "boot information" if self.plan.vmm else "devicetree"
            out.append("  " + self.ink(p.index, p.name) + f": {p.spec.image.kind} image, entry {p.entry:#x}, "
                       f"{boot} {p.dtb_ipa:#x}, {p.ipa_bits} bits of address, on fault {on_fault(p.spec)}"
                       f"{', monitor' if p.spec.monitor else ''}")
            for m in p.mappings:
                if m.kind == "device":
                    out.append(f"    {m.ipa:#x}  {size_text(m.size)}  {m.what}")
                elif m.kind == "channel":
                    out.append(f"    {m.ipa:#x}  {size_text(m.size)}  channel {m.what}{'' if m.writable else ', read-only'}")
            for region in p.ports:
                out.append(f"    I/O ports {region.base:#x}-{region.end - 1:#x}")
            if p.vuart is not None and self.plan.vmm:
                out.append(f"    I/O ports {p.vuart.ipa:#x}-{p.vuart.ipa + 7:#x}  virtual UART, line {p.vuart.intid}")
            elif p.vuart is not None:
                out.append(f"    {p.vuart.ipa:#x}  4 KiB  virtual UART, INTID {p.vuart.intid}")
            if p.watchdog is not None:
                where = (f"I/O ports {p.watchdog.ipa:#x}-{p.watchdog.ipa + WATCHDOG_PORTS - 1:#x}  watchdog" if self.plan.vmm
                         else f"{p.watchdog.ipa:#x}  8 KiB  watchdog")
                raises = f", INTID {p.watchdog.intid}" if p.watchdog.intid else ""
                out.append(f"    {where} of {watchdog_times(p.spec)}{raises}, core {self.plan.cpus[p.watchdog.cpu].board_index} looks")
        return out + [""]

    def channels(self) -> list[str]:
        rows = [(SHARED, (r.name, size_text(r.region.size), f"guest {r.region.base:#x}",
                          f"doorbell {r.doorbell:#x}" if r.doorbell else "no doorbell", r.members)) for r in channel_rows(self.plan)]
        return [self.title("Channels")] + self.table(rows, (1,)) + [""] if rows else []

    def interrupts(self) -> list[str]:
        rows = [(r.owner, (f"{r.intid}", r.name, "edge" if r.edge else "level", owner_name(self.plan, r.owner), r.what,
                           r.note)) for r in irq_rows(self.plan)]
        return [self.title("Interrupts")] + self.table(rows, (0,)) + [""]

    def devices(self) -> list[str]:
        rows = [(r.owner, (f"{r.region.base:#x}", size_text(r.region.size),
                           "nobody" if r.owner == FREE else owner_name(self.plan, r.owner), r.path, r.note))
                for r in grouped(device_rows(self.plan))]
        return [self.title("Devices")] + self.table(rows, (0, 1)) + [""] + self.ports()

    def ports(self) -> list[str]:
        rows = [(r.owner, (f"{r.region.base:#x}", f"{r.region.end - 1:#x}",
                           "nobody" if r.owner == FREE else owner_name(self.plan, r.owner), r.path, r.note))
                for r in port_rows(self.plan)]
        return [self.title("I/O ports")] + self.table(rows, (0, 1)) + [""] if rows else []
