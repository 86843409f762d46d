# SPDX-License-Identifier: Apache-2.0
"""`pools:` and a partition's `cpus: {pool: ...}` of system.yaml -> Pool, PoolUse."""
from __future__ import annotations

from typing import Optional

from ruamel.yaml.nodes import MappingNode, Node

from .model import Pool, PoolUse, Span, Window
from .reader import TIMES, Reader, choice_of, keys_of, mapping_of, number_of, quantity_of, sequence_of, word_of

POOL_KEYS = ("cpus", "scheduler", "placement", "extra-time", "frame", "windows")
USE_KEYS = ("pool", "budget", "period", "vcpus", "core", "extra-time")
WINDOW_KEYS = ("partition", "vcpu", "start", "length")
RTDS_ONLY = ("placement", "extra-time")
ARINC_ONLY = ("frame", "windows")
LEAST_NS, MOST_NS = 10_000, 10_000_000_000


def time_text(ns: int) -> str:
    """A time as people write it: exact, in the largest unit that has few decimals."""
    if ns == 0:
        return "0"
    for unit, scale in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if ns >= scale and ns * 1000 % scale == 0:
            return f"{ns / scale:.3f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{ns} ns"


def time_of(r: Reader, node: Node, what: str, example: str, least: int = LEAST_NS) -> Optional[int]:
    """A time within what the scheduler can do. least 0: from the beginning on is right, too."""
    value = quantity_of(r, node, what, TIMES, example, zero=least == 0)
    if value is None or least <= value <= MOST_NS:
        return value
    r.error("VALUE-RANGE", node, f"{what} of {time_text(value)} is out of range",
            f"from {time_text(LEAST_NS)} to {time_text(MOST_NS)}" if least else f"at most {time_text(MOST_NS)}")
    return None


def flag_of(r: Reader, keys: dict[str, Node], key: str) -> Optional[bool]:
    word = choice_of(r, keys[key], key, ("true", "false")) if key in keys else None
    return None if word is None else word == "true"


# ---------------------------------------------------------------- pools

def pools_of(r: Reader, entries: dict[str, tuple[Node, Node]]) -> tuple[Pool, ...]:
    """Those that could be read; entries: key and value by name."""
    found = [_pool(r, name, key, value) for name, (key, value) in entries.items()]
    return tuple(p for p in found if p is not None)


def _pool(r: Reader, name: str, key: Node, node: Node) -> Optional[Pool]:
    what = f"pool '{name}'"
    keys = keys_of(r, node, what, POOL_KEYS, "{cpus: [2]}")
    if keys is None:
        return None
    before = len(r.found)
    cpus = _cores(r, what, key, keys.get("cpus"))
    scheduler = choice_of(r, keys["scheduler"], "scheduler", ("rtds", "arinc653")) if "scheduler" in keys else "rtds"
    placement = choice_of(r, keys["placement"], "placement", ("partitioned", "global")) if "placement" in keys else "partitioned"
    extra = flag_of(r, keys, "extra-time")
    frame = time_of(r, keys["frame"], "frame", "20 ms") if "frame" in keys else None
    windows = _windows(r, keys["windows"]) if "windows" in keys else ()
    _belongs(r, what, key, keys, scheduler)
    if len(r.found) > before or cpus is None or scheduler is None or placement is None:
        return Pool(name, (), "rtds", span=r.span(key))       # so that nobody is told that there is no such pool
    return Pool(name, cpus, scheduler, placement, bool(extra), frame or 0, windows, r.span(key))  # type: ignore[arg-type]


def _belongs(r: Reader, what: str, key: Node, keys: dict[str, Node], scheduler: Optional[str]) -> None:
    """Each scheduler has keys of its own."""
    if scheduler == "arinc653":
        for name in ARINC_ONLY:
            if name not in keys:
                r.error("KEY-MISSING", key, f"{what} has no '{name}', which 'scheduler: arinc653' needs",
                        "frame: 20 ms" if name == "frame" else "windows: {CPU: [{partition: NAME, start: 0 ms, length: 5 ms}]}")
    others = {"arinc653": RTDS_ONLY, "rtds": ARINC_ONLY}.get(scheduler or "", ())
    for name in others:
        if name in keys:
            r.error("KEY-UNKNOWN", keys[name], f"'{name}' in {what} means nothing with 'scheduler: {scheduler}'", "remove it")


def _cores(r: Reader, what: str, key: Node, node: Optional[Node]) -> Optional[tuple[tuple[int, Span], ...]]:
    entries = sequence_of(r, node, "cpus") if node is not None else []
    if entries == []:
        r.error("POOL-EMPTY", node or key, f"{what} has no cpus", "name its cores: cpus: [2]")
    numbers = [(number_of(r, n, "a cpu"), r.span(n)) for n in entries or []]
    if not numbers or any(number is None for number, _ in numbers):
        return None
    return tuple((number, span) for number, span in numbers if number is not None)


def _windows(r: Reader, node: Node) -> tuple[Window, ...]:
    out = []
    for name, (key, value) in (mapping_of(r, node, "windows") or {}).items():
        cpu = number_of(r, key, "a cpu")
        for entry in sequence_of(r, value, f"windows of cpu {name}") or []:
            window = _window(r, cpu or 0, entry)
            out += [window] if window is not None else []
    return tuple(out)


def _window(r: Reader, cpu: int, node: Node) -> Optional[Window]:
    keys = keys_of(r, node, "a window", WINDOW_KEYS, "{partition: NAME, start: 0 ms, length: 5 ms}")
    if keys is None:
        return None
    for name in ("partition", "start", "length"):
        if name not in keys:
            r.error("KEY-MISSING", node, f"a window has no '{name}'", "{partition: NAME, start: 0 ms, length: 5 ms}")
    partition = word_of(r, keys["partition"], "partition") if "partition" in keys else None
    vcpu = number_of(r, keys["vcpu"], "vcpu") if "vcpu" in keys else 0
    start = time_of(r, keys["start"], "start", "0 ms", 0) if "start" in keys else None
    length = time_of(r, keys["length"], "length", "5 ms") if "length" in keys else None
    if partition is None or vcpu is None or start is None or length is None:
        return None
    return Window(cpu, partition, vcpu, start, length, r.span(node))


# ---------------------------------------------------------------- a partition's share

def use_of(r: Reader, node: MappingNode, pools: dict[str, Pool]) -> Optional[PoolUse]:
    """`pools`: those that could be read; without its pool a use is taken as one of rtds."""
    keys = keys_of(r, node, "cpus", USE_KEYS)
    if keys is None:
        return None
    before = len(r.found)
    if "pool" not in keys:
        r.error("KEY-MISSING", node, "cpus has no 'pool'", "cpus: {pool: NAME, budget: 2 ms, period: 10 ms}, or a list: cpus: [0]")
    name = word_of(r, keys["pool"], "pool") if "pool" in keys else None
    windows = name in pools and pools[name].scheduler == "arinc653"
    budget, period = _share(r, node, keys, windows)
    vcpus = number_of(r, keys["vcpus"], "vcpus") if "vcpus" in keys else 1
    if vcpus == 0:
        r.error("VALUE-RANGE", keys["vcpus"], "vcpus must be more than 0")
    core = number_of(r, keys["core"], "core") if "core" in keys else None
    extra = flag_of(r, keys, "extra-time")
    if name is None or vcpus is None or len(r.found) > before:
        return None
    places = {cpu: place for place, (cpu, _) in enumerate(pools[name].cpus)} if name in pools else {}
    return PoolUse(name, budget, period, vcpus, None if core is None else places.get(core), extra, r.span(keys["pool"]),
                   core, r.span(keys["core"]) if "core" in keys else None)


def _share(r: Reader, node: Node, keys: dict[str, Node], windows: bool) -> tuple[int, int]:
    """Budget and period; a partition with windows has neither."""
    if windows:
        for name in ("budget", "period", "core", "extra-time"):
            if name in keys:
                r.error("KEY-UNKNOWN", keys[name], f"'{name}' means nothing in a pool with 'scheduler: arinc653'",
                        "remove it: the pool's windows say when the partition runs")
        return 0, 0
    for name in ("budget", "period"):
        if name not in keys:
            r.error("KEY-MISSING", node, f"cpus has no '{name}'", "cpus: {pool: NAME, budget: 2 ms, period: 10 ms}")
    budget = time_of(r, keys["budget"], "budget", "2 ms") if "budget" in keys else None
    period = time_of(r, keys["period"], "period", "10 ms") if "period" in keys else None
    if budget and period and budget > period:
        r.error("POOL-BUDGET", keys["budget"], f"a budget of {time_text(budget)} does not fit into a period of {time_text(period)}",
                "a smaller budget, or a longer period", [(r.span(keys["period"]), "the period is here")])
    return budget or 0, period or 0
