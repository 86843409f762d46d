# SPDX-License-Identifier: Apache-2.0
"""`bulkhead show` and report.html: complete, plain without a terminal, and well formed."""
from __future__ import annotations

import html.parser
import io
from dataclasses import replace

import pytest
import samples
from hvgen import report, show, view
from hvgen.model import Plan, Region
from samples import GIB, MIB


def with_reserved() -> Plan:
    plan = samples.two_partitions()
    kept = ((Region(0x60000000, 16 * MIB), "firmware <&>"), (Region(0x1000, 0x1000), "elsewhere"))
    return replace(plan, hardware=replace(plan.hardware, reserved=kept), notes=("mind the <gap>",))


def test_memory_rows_cover_the_ram() -> None:
    plan = with_reserved()
    rows = view.memory_rows(plan)
    assert sum(r.region.size for r in rows) == 16 * GIB
    assert all(a.region.end == b.region.base for a, b in zip(rows, rows[1:]))
    assert [(r.owner, r.region.size) for r in rows if r.owner != view.FREE] == [
        (view.HYPERVISOR, 2 * MIB), (0, 64 * MIB), (view.RESERVED, 16 * MIB), (1, GIB)]


def test_text_names_all_that_was_decided() -> None:
    plan = with_reserved()
    text = show.text(plan)
    for word in ("flight", "companion", "core 2", "unused", "0x50000000", "guest 0x40000000", "1 GiB", "firmware <&>",
                 "/soc/rtc@9010000", "virtual UART", "console input", "mind the <gap>", "SPI 2", "4 cores (1 unused)"):
        assert word in text, word
    assert "\033" not in text and all(line == line.rstrip() for line in text.splitlines())
    assert max(map(len, text.splitlines())) < 140


def test_colours_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    plan = samples.two_partitions()
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen, pipe = Terminal(), io.StringIO()
    show.write(plan, screen)
    show.write(plan, pipe)
    assert "\033[" in screen.getvalue() and "\033[" not in pipe.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Terminal()
    show.write(plan, screen)
    assert "\033[" not in screen.getvalue()


def test_plain_ascii_where_the_encoding_has_no_more() -> None:
    plan = samples.two_partitions()
    show.text(plan, unicode=False).encode("ascii")


def test_like_devices_of_nobody_are_one_row() -> None:
    rows = [view.DeviceRow(Region(0x1000 * i, 0x200), f"/virtio@{i:x}000", view.FREE) for i in range(9)]
    rows.insert(4, view.DeviceRow(Region(0x3800, 8), "/x@3800", 0))
    assert [(r.path, r.region) for r in view.grouped(rows)] == [
        ("/virtio@...: 4 of them", Region(0, 0x3200)), ("/x@3800", Region(0x3800, 8)),
        ("/virtio@...: 5 of them", Region(0x4000, 0x4200))]
    assert view.grouped(rows[:3]) == rows[:3] and view.grouped([]) == []


class Page(html.parser.HTMLParser):
    """Tags that are opened are closed; nothing is loaded from elsewhere."""
    EMPTY = {"meta", "br"}

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {name for name, _ in attrs} & {"src", "href", "onclick"} and tag not in ("script", "link", "img")
        if tag not in self.EMPTY:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def page(plan: Plan, facts: report.Facts = report.Facts()) -> str:
    text = report.html(plan, facts)
    parser = Page()
    parser.feed(text)
    parser.close()
    assert not parser.stack and "http" not in text
    return parser.words


def test_report() -> None:
    words = page(with_reserved(), report.Facts(17, 49280, {"companion": ("/i2c: clocks (/cru)",), "flight": ()}))
    for word in ("sample", "flight", "companion", "firmware <&>", "mind the <gap>", "17 translation tables", "direct",
                 "/soc/rtc@9010000", "/i2c: clocks (/cru)", "0x50000000"):
        assert word in words, word


def test_report_of_a_plan_without_devices() -> None:
    hw = replace(samples.hardware(), uart=None)
    plan = samples.plan(hw, [samples.partition(hw, 0, "only", [0], [samples.ram_mapping(GIB, 2 * GIB, 2 * MIB)])])
    assert "No partition has a device" in page(plan)


def test_bars_are_to_scale_unless_cut() -> None:
    rows = view.memory_rows(with_reserved())
    for bar in report.bars(rows):
        assert report.LEAST <= bar.height <= report.MOST
        if not bar.cut and bar.height > report.LEAST:
            assert bar.height == pytest.approx(bar.row.region.size * report.MOST / GIB)
