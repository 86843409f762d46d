# SPDX-License-Identifier: Apache-2.0
"""`bulkhead trace`: dumps that keep every promise, and for each check one that breaks it."""
from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, Callable

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from hvgen.diag import Failed  # noqa: E402
from hvtrace import chrome, command, dump, picture  # noqa: E402
from hvtrace.check import Row, check  # noqa: E402
from hvtrace.dump import EXTRA, INTERRUPT, REPLENISH, SLEEP, SPENT, SWITCH, WAKE, Dump, Event, Place, Ring  # noqa: E402
from hvtrace.history import History, histories  # noqa: E402

HZ = 10**9                                 # counts are nanoseconds
BEGIN = 5_000_000
LENGTH = 64                                # events of a ring
WHERE = Place(0x40210000, dump.EVENTS_AT + 8 * LENGTH * dump.EVENT.size, 0x77)
CPU0, CPU1, A, B = 0, 1, 2, 3              # entries of layout.cpus


def plan(cores: tuple[int, ...] = (4,), **pool: Any) -> dict[str, Any]:
    """A: 1 of 4 us, B: 2 of 8 us, with extra time."""
    servers = [{"partition": "a", "vcpu": 0, "core": cores[0], "budget": 1000, "period": 4000, "extra_time": False},
               {"partition": "b", "vcpu": 0, "core": cores[0], "budget": 2000, "period": 8000, "extra_time": True}]
    return {"image": "test", "board": {"name": "board"},
            "cpus": [{"board_index": core, "pool": "shared"} for core in (cores if len(cores) > 1 else (*cores, 7))],
            "partitions": [{"name": "a", "cpus": [4]}, {"name": "b", "cpus": [4]}],
            "pools": [{"name": "shared", "scheduler": "rtds", "cpus": list(cores), "servers": servers, "overhead": 0,
                       "placement": "partitioned", **pool}]}


# (time after BEGIN, kind, cpu, value); a core's, and the pool's
GOOD = [(0, SWITCH, A, CPU0), (1000, SPENT, A, 0), (1000, SWITCH, B, A), (3000, SPENT, B, 0), (4000, REPLENISH, A, 1000),
        (4000, SWITCH, A, B), (4300, INTERRUPT, A, 27), (5000, SPENT, A, 0), (5000, SWITCH, B, A | EXTRA), (8000, REPLENISH, A, 1000),
        (8000, REPLENISH, B, 2000), (8000, SWITCH, A, B), (8500, SWITCH, B, A), (10500, SPENT, B, 0), (16000, REPLENISH, B, 2000),
        (16000, SWITCH, CPU0, B)]
GOOD_POOL = [(0, WAKE, A, 0), (0, WAKE, B, 0), (8500, SLEEP, A, 0), (16000, SLEEP, B, 0)]

Lines = list[tuple[int, int, int, int]]


def ring(of_pool: bool, number: int, lines: Lines, lost: int = 0) -> Ring:
    return Ring(of_pool, number, tuple(Event(BEGIN + time, kind, cpu, value) for time, kind, cpu, value in lines), lost)


def made(core: Lines, pool: Lines, other: Lines | None = None, lost: int = 0) -> Dump:
    rings: list[Ring] = [ring(False, 0, core, lost), ring(True, 0, pool, lost)]
    if other is not None:
        rings.insert(1, ring(False, 1, other))
    written = Dump(HZ, (BEGIN, 0, 0, 0), tuple(rings))
    return written if lost else dump.read(dump.write(written, WHERE, LENGTH), WHERE)    # by way of the bytes


def judged(core: Lines, pool: Lines = GOOD_POOL, other: Lines | None = None, lost: int = 0, late: int = 0,
           **change: Any) -> tuple[History, list[Row]]:
    cores = (4,) if other is None else (4, 5)
    history, = histories(made(core, pool, other, lost), plan(cores, **change))
    return history, check(history, late)


def kinds(history: History) -> list[str]:
    return [fault.check for fault in history.faults]


def changed(lines: Lines, old: tuple[int, int, int], *new: tuple[int, int, int, int]) -> Lines:
    """The one line that begins with `old`, replaced."""
    found = [line for line in lines if line[:3] == old]
    assert len(found) == 1
    place = lines.index(found[0])
    return sorted([*lines[:place], *new, *lines[place + 1:]], key=lambda line: line[0])


# ---------------------------------------------------------------- all is well

def test_bytes_and_back() -> None:
    read = made(GOOD, GOOD_POOL)
    assert read.begin[0] == BEGIN and read.hz == HZ
    assert [event.time - BEGIN for event in read.rings[0].events] == [time for time, *_ in GOOD]
    assert read.rings[0].events[1] == Event(BEGIN + 1000, SPENT, A, 0) and read.rings[1].of_pool


def test_promises_kept() -> None:
    history, (a, b) = judged(GOOD)
    assert kinds(history) == []
    assert [(run.server, run.start - BEGIN, run.end - BEGIN, run.extra) for run in history.runs] == [
        (0, 0, 1000, False), (1, 1000, 4000, False), (0, 4000, 5000, False), (1, 5000, 8000, True), (0, 8000, 8500, False),
        (1, 8500, 16000, False)]
    assert (a.periods, a.busy, a.least, a.most, a.wait, a.ran) == (4, 2, 1000, 1000, 3000, 2500)
    assert (b.periods, b.busy, b.least, b.most, b.wait) == (2, 2, 6000, 7500, 1000)


def test_what_is_overwritten() -> None:
    """The oldest place of a full ring may be half written; the window begins where all rings have events."""
    many = [(time * 1000, INTERRUPT, CPU0, 30) for time in range(LENGTH * 2)]
    full = Dump(HZ, (BEGIN, 0, 0, 0), (ring(False, 0, many[LENGTH:], LENGTH), ring(True, 0, [(0, WAKE, A, 0)])))
    read = dump.read(dump.write(full, WHERE, LENGTH), WHERE)
    assert len(read.rings[0].events) == LENGTH - 1 and read.rings[0].lost == LENGTH + 1
    history, = histories(read, plan())
    assert history.start == BEGIN + (LENGTH + 1) * 1000
    check(history)
    assert set(kinds(history)) == {"wait", "budget"}           # A was ready all the while, and ran never


def test_nothing_is_claimed_of_what_was_lost() -> None:
    cut_core, cut_pool = [line for line in GOOD if line[0] >= 4300], [line for line in GOOD_POOL if line[0] >= 8500]
    history, (a, b) = judged(cut_core, cut_pool, lost=3)
    assert kinds(history) == []
    assert history.start == BEGIN + 8500 and (a.periods, b.periods) == (1, 0)


def test_a_ring_that_lost_more_than_another() -> None:
    """A's way to sleep is there still, its wake-up by its timer is overwritten: nobody knows that it sleeps."""
    pool = [*GOOD_POOL[:2], (1100, SLEEP, A, 0), *GOOD_POOL[2:]]
    rings = (ring(False, 0, [line for line in GOOD if line[0] >= 4000], 7), ring(True, 0, pool))
    history, = histories(Dump(HZ, (BEGIN, 0, 0, 0), rings), plan())
    check(history)
    assert kinds(history) == []


# ---------------------------------------------------------------- each promise broken

def test_budget_missed() -> None:
    short = changed(changed(GOOD, (5000, SPENT, A)), (5000, SWITCH, B), (4600, SWITCH, B, A | EXTRA))
    history, (a, _) = judged(short)
    assert kinds(history) == ["budget"] and a.least == 600
    assert "a got 0.6 us of its budget of 1.0 us in the period from 0.000004 s on" in history.faults[0].text
    assert kinds(judged(short, overhead=1000)[0]) == ["budget"]    # switches come on top of it
    assert kinds(judged(short, late=400)[0]) == []
    assert kinds(judged(short, late=399)[0]) == ["budget"]


def test_budget_less_the_time_asleep() -> None:
    slept = [*GOOD_POOL[:2], (4600, SLEEP, A, 0), (4900, WAKE, A, 0), *GOOD_POOL[2:]]
    short = changed(changed(GOOD, (5000, SPENT, A)), (5000, SWITCH, B), (4600, SWITCH, B, A | EXTRA))
    assert kinds(judged(short, slept)[0]) == ["budget"]        # 300 asleep do not explain 400 that are missing
    slept[3] = (5000, WAKE, A, 0)
    assert kinds(judged(short, slept)[0]) == []


def test_budget_less_what_it_had_before() -> None:
    """Late by 200: they come off the next budget, and no more than they."""
    over = changed(changed(GOOD, (1000, SWITCH, B), (1200, SWITCH, B, A)), (1000, SPENT, A), (1200, SPENT, A, 0))
    less = changed(changed(over, (5000, SPENT, A), (4800, SPENT, A, 0)), (5000, SWITCH, B), (4800, SWITCH, B, A | EXTRA))
    assert kinds(judged(less)[0]) == ["more"]
    assert kinds(judged(less, late=200)[0]) == []
    least = changed(changed(less, (4800, SPENT, A), (4790, SPENT, A, 0)), (4800, SWITCH, B), (4790, SWITCH, B, A | EXTRA))
    assert kinds(judged(least)[0]) == ["more", "budget"]


def test_budget_less_what_the_scheduler_says_it_had_before() -> None:
    """It slept and spent what it had kept, which is not noted, and 200 more. Its next budget is less by that, not by 300."""
    slept = [*GOOD_POOL[:2], (100, SLEEP, A, 0), (400, WAKE, A, 0), *GOOD_POOL[2:]]
    over = changed(changed(GOOD, (0, SWITCH, A), (0, SWITCH, A, CPU0), (100, SWITCH, B, A), (400, SWITCH, A, B)),
                   (4000, REPLENISH, A), (4000, REPLENISH, A, 800))
    less = changed(changed(over, (5000, SPENT, A), (4800, SPENT, A, 0)), (5000, SWITCH, B), (4800, SWITCH, B, A | EXTRA))
    assert kinds(judged(less, slept)[0]) == []
    least = changed(changed(less, (4800, SPENT, A), (4700, SPENT, A, 0)), (4800, SWITCH, B), (4700, SWITCH, B, A | EXTRA))
    assert kinds(judged(least, slept)[0]) == ["budget"]
    full = changed(less, (4000, REPLENISH, A), (4000, REPLENISH, A, 1000))
    assert kinds(judged(full, slept)[0]) == ["budget"]


def test_more_than_its_budget() -> None:
    greedy = changed(changed(GOOD, (1000, SWITCH, B), (1500, SWITCH, B, A)), (1000, SPENT, A), (1500, SPENT, A, 0))
    history, _ = judged(greedy)
    assert kinds(history) == ["more"] and "its budget is 1.0 us" in history.faults[0].text
    assert kinds(judged(greedy, overhead=200)[0]) == ["more"]      # two switches of 100, half that again for each turn
    assert kinds(judged(greedy, overhead=260)[0]) == []


def test_extra_time_is_no_fault() -> None:
    _, (_, b) = judged(GOOD)
    assert b.most == 7500 and b.server.budget == 2000


def test_waits_too_long() -> None:
    """B is ready from 0 to 16000 and runs only in the last 2000: nothing in its first period, and 14000 without a core."""
    core: Lines = [(0, SWITCH, A, CPU0), (1000, SWITCH, CPU0, A), (14000, SWITCH, B, CPU0), (16000, SWITCH, CPU0, B)]
    pool = changed(GOOD_POOL, (8500, SLEEP, A), (1000, SLEEP, A, 0))
    history, (_, b) = judged(core, pool)
    assert kinds(history) == ["budget", "wait"] and b.wait == 14000
    assert "b was ready and waited 14.0 us for a core; its bound is 12.0 us" in history.faults[1].text
    assert kinds(judged(core, pool, late=2000)[0]) == []


def test_nothing_is_promised_before_a_core_is_up() -> None:
    late: Lines = [(5000, SWITCH, B, CPU0), (8000, REPLENISH, A, 1000), (8000, REPLENISH, B, 2000), (8000, SWITCH, A, B),
                   *[line for line in GOOD if line[0] > 8000]]
    history, rows = judged(late)
    assert kinds(history) == [] and [row.periods for row in rows] == [2, 1]


def test_since() -> None:
    """What was before is not judged."""
    short = changed(changed(GOOD, (5000, SPENT, A)), (5000, SWITCH, B), (4600, SWITCH, B, A | EXTRA))
    history, = histories(made(short, GOOD_POOL), plan())
    history.begin_at(5e-6)
    rows = check(history)
    assert kinds(history) == [] and [row.periods for row in rows] == [2, 1] and rows[0].ran == 500


def test_a_wait_without_an_end() -> None:
    """Who never runs is found by what others do."""
    core: Lines = [(0, SWITCH, B, CPU0), (3000, SPENT, B, 0), (8000, REPLENISH, A, 1000), (16000, INTERRUPT, B, 30)]
    assert set(kinds(judged(core, [(0, WAKE, A, 0), (0, WAKE, B, 0)])[0])) == {"wait", "budget"}


def test_two_on_one_core() -> None:
    history, _ = judged(changed(GOOD, (8500, SWITCH, B), (8500, SWITCH, B, CPU0)))
    assert kinds(history) == ["core"] and "cpu 4 is nobody's and a's at once" in history.faults[0].text
    assert kinds(judged(changed(GOOD, (4300, INTERRUPT, A), (4300, INTERRUPT, B, 27)))[0]) == ["core"]


def test_one_on_two_cores() -> None:
    other: Lines = [(500, SWITCH, A, CPU1), (700, SWITCH, CPU1, A)]
    history, _ = judged(GOOD, other=other, placement="global")
    assert kinds(history) == ["place", "twice"]
    assert "a runs on cpu 4 and on cpu 5 at once" in history.faults[1].text


def test_the_wrong_core() -> None:
    other: Lines = [(1200, SWITCH, A, CPU1), (1300, SWITCH, CPU1, A)]
    assert kinds(judged(GOOD, other=other, late=1000)[0]) == ["place"]


def test_runs_asleep() -> None:
    history, _ = judged(GOOD, changed(GOOD_POOL, (8500, SLEEP, A), (4700, SLEEP, A, 0)))
    assert kinds(history) == ["asleep"] and "a gets cpu 4 while it sleeps" in history.faults[0].text


def test_time_runs_backwards() -> None:
    core = [GOOD[0], GOOD[2], GOOD[1], *GOOD[3:]]
    core[1], core[2] = (1001, *core[1][1:]), (1000, *core[2][1:])  # type: ignore[assignment]
    assert "clock" in kinds(judged(core)[0])


def test_foreign_events() -> None:
    assert kinds(judged([*GOOD, (16000, INTERRUPT, 9, 27)])[0]) == ["event"]
    assert kinds(judged([*GOOD, (16000, 12, CPU0, 27)])[0]) == ["event"]


# ---------------------------------------------------------------- windows

WINDOWS = {"scheduler": "arinc653", "frame": 8000,
           "windows": [{"partition": "a", "vcpu": 0, "core": 4, "start": 0, "length": 1000},
                       {"partition": "b", "vcpu": 0, "core": 4, "start": 2000, "length": 3000}]}
IN_FRAMES: Lines = [(0, SWITCH, A, CPU0), (1000, SWITCH, CPU0, A), (2000, SWITCH, B, CPU0), (5000, SWITCH, CPU0, B),
                    (8000, SWITCH, A, CPU0), (9000, SWITCH, CPU0, A), (10000, SWITCH, B, CPU0), (13000, SWITCH, CPU0, B),
                    (16000, INTERRUPT, CPU0, 26)]


def framed(core: Lines) -> History:
    change = {**plan(), "pools": [{**plan()["pools"][0], **WINDOWS}]}
    for server in change["pools"][0]["servers"]:
        server["period"] = 8000
    history, = histories(made(core, GOOD_POOL[:2]), change)
    check(history)
    return history


def test_windows_kept() -> None:
    assert kinds(framed(IN_FRAMES)) == []


def test_outside_its_window() -> None:
    history = framed(changed(IN_FRAMES, (1000, SWITCH, CPU0), (1100, SWITCH, CPU0, A)))
    assert kinds(history) == ["window"] and "a ran on cpu 4 for 0.1 us outside its windows" in history.faults[0].text


def test_window_cut_short() -> None:
    history = framed(changed(IN_FRAMES, (13000, SWITCH, CPU0), (12000, SWITCH, CPU0, B)))
    assert kinds(history) == ["window"]
    assert "b was ready for 3.0 us of its window on cpu 4 and ran for 2.0 us of it" in history.faults[0].text


# ---------------------------------------------------------------- what is written

def test_chrome() -> None:
    """Trace Event Format: each kind of event has the fields that it must have, and times fit together."""
    history, rows = judged(GOOD)
    whole = json.loads(chrome.text([(history, rows)]))
    assert whole["displayTimeUnit"] in ("ms", "ns")
    events = whole["traceEvents"]
    for event in events:
        assert {"name", "ph", "pid", "tid", "ts"} <= set(event) and event["ph"] in "XiM"
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int) and event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
        if event["ph"] == "i":
            assert event["s"] in ("t", "p", "g")
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name") and isinstance(event["args"]["name"], str)
    named = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert {named[e["pid"], e["tid"]] for e in events if e["ph"] == "X"} == {"cpu 4", "a", "b"}
    runs = [(e["name"], e["ts"], e["dur"]) for e in events if e["ph"] == "X" and named[e["pid"], e["tid"]] == "cpu 4"]
    assert runs[:2] == [("a", 0.0, 1.0), ("b", 1.0, 3.0)]
    for tid in {(e["pid"], e["tid"]) for e in events if e["ph"] == "X"}:     # of one thread, nothing overlaps
        spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e["ph"] == "X" and (e["pid"], e["tid"]) == tid)
        assert all(before[1] <= after[0] + 1e-6 for before, after in zip(spans, spans[1:]))
    assert any(e["name"] == "interrupt 27" for e in events)


def test_picture() -> None:
    history, _ = judged(changed(GOOD, (8500, SWITCH, B), (8500, SWITCH, B, CPU0)))
    text = picture.svg([history], "a <title>", begin=0.0, length=16e-6)
    tree = ElementTree.fromstring(text)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")      # nothing from elsewhere
    wide = float(tree.get("width", "0"))
    boxes = [e for e in tree.iter() if e.tag.endswith("rect")]
    assert all(0 <= float(e.get("x", "0")) and float(e.get("x", "0")) + float(e.get("width", "0")) <= wide for e in boxes)
    titles = [e.text for e in tree.iter() if e.tag.endswith("title")]
    assert "a: 1 us from 0.000000 s on on cpu 4" in titles
    assert picture.svg([history], "x")                         # where most happens


# ---------------------------------------------------------------- from outside

@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of which only the symbols matter."""
    folder = tmp_path_factory.mktemp("elf")
    (folder / "x.c").write_text(f"""
char trace[{WHERE.size}] __attribute__((section(".data")));
const unsigned long layout_checksum = 0x77;
void _start(void) {{ }}
""")
    subprocess.run(["aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-Wl,--build-id=none", f"-Wl,--section-start=.data={WHERE.address:#x}",
                    "-o", str(folder / "bulkhead.elf"), str(folder / "x.c")], check=True)
    (folder / "plan.json").write_text(json.dumps(plan()))
    return folder


def call(folder: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(ROOT / "scripts/bulkhead"), "trace", "-O", str(folder), *map(str, arguments)], capture_output=True,
                          text=True, check=False, timeout=60)


def dumped(folder: Path, core: Lines, name: str = "dump") -> Path:
    written = Dump(HZ, (BEGIN, 0, 0, 0), (ring(False, 0, core), ring(True, 0, GOOD_POOL)))
    (folder / name).write_bytes(dump.write(written, WHERE, LENGTH))
    return folder / name


def test_command(elf: Path, tmp_path: Path) -> None:
    done = call(elf, dumped(elf, GOOD), "--json", tmp_path / "t.json", "--svg", tmp_path / "t.svg")
    assert done.returncode == 0 and done.stdout.endswith("every guarantee was kept\n"), done.stderr
    assert json.loads((tmp_path / "t.json").read_text()) and ElementTree.parse(tmp_path / "t.svg")
    assert "longest wait" in done.stdout and "0.003" in done.stdout


def test_command_finds_a_violation(elf: Path) -> None:
    done = call(elf, dumped(elf, changed(GOOD, (8500, SWITCH, B), (8500, SWITCH, B, CPU0))))
    assert done.returncode == 1 and "error: pool shared: core: at 0.000008 s: cpu 4" in done.stderr
    assert "every guarantee" not in done.stdout


def test_where(elf: Path) -> None:
    assert call(elf, "--where").stdout.split() == [hex(WHERE.address), hex(WHERE.size)]


REFUSED: dict[str, Callable[[bytearray], bytes]] = {
    "this is no trace": lambda data: bytes(len(data)),
    "of another image": lambda data: data[:24] + b"\x78" + data[25:],
    "a trace of version 2": lambda data: data[:8] + b"\x02" + data[9:],
    "names no frequency": lambda data: data[:16] + bytes(8) + data[24:],
    "the dump has 100 bytes": lambda data: data[:100],
    "damaged, or the dump is too short": lambda data: data[:dump.EVENTS_AT + 32],
    "no events": lambda data: dump.write(Dump(HZ, (BEGIN, 0, 0, 0), (ring(False, 0, []), ring(True, 0, []))), WHERE, LENGTH),
}


@pytest.mark.parametrize("what", REFUSED)
def test_dumps_that_are_refused(elf: Path, what: str) -> None:
    file = dumped(elf, GOOD, "bad")
    file.write_bytes(REFUSED[what](bytearray(file.read_bytes())))
    done = call(elf, file)
    assert done.returncode == 1 and what in done.stderr and "Traceback" not in done.stderr


def test_elf_without_trace(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("void _start(void) { }\n")
    subprocess.run(["aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-o", str(tmp_path / "bulkhead.elf"), str(tmp_path / "x.c")],
                   check=True)
    done = call(tmp_path, "--where")
    assert done.returncode == 1 and "was built without CONFIG_TRACE" in done.stderr
    (tmp_path / "bulkhead.elf").write_text("nothing")
    with pytest.raises(Failed, match="not an ELF file"):
        dump.place(str(tmp_path / "bulkhead.elf"))


def test_many_violations_are_counted() -> None:
    core: Lines = [(time * 100, INTERRUPT, B, 27) for time in range(30)]
    history, _ = judged(core, [])
    lines = command.complaints(history)
    assert len(lines) == command.MOST + 1 and lines[-1].endswith("core: 20 more")
