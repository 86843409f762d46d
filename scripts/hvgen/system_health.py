# SPDX-License-Identifier: Apache-2.0
"""A partition's `on-fault`, `watchdog` and `monitor` of system.yaml -> Health."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Optional

from ruamel.yaml.nodes import MappingNode, Node

from .model import Span
from .reader import TIMES, Reader, choice_of, keys_of, number_of, quantity_of
from .system_pools import flag_of, time_text

ON_FAULT = ("stop", "restart", "reset-board")
ON_FAULT_KEYS = ("restart", "then")
LIMIT_KEYS = ("times", "within")
WATCHDOG_KEYS = ("timeout", "boot")
MOST_RESTARTS = 16                     # LAYOUT_MAX_RESTARTS
LEAST_NS, MOST_NS = 10**6, 3600 * 10**9
EXAMPLE = "{restart: {times: 3, within: 10 s}, then: stop}"

Then = Literal["stop", "reset-board"]


@dataclass(frozen=True)
class Health:
    """The fields of model.Partition that are read here."""
    on_fault: Literal["stop", "restart", "reset-board"] = "stop"
    restart_limit: int = 0
    restart_window_ns: int = 0
    restart_then: Then = "stop"
    watchdog_ns: Optional[int] = None
    watchdog_boot_ns: int = 0
    watchdog_span: Optional[Span] = None
    monitor: bool = False
    monitor_span: Optional[Span] = None


def health_of(r: Reader, keys: dict[str, Node]) -> Optional[Health]:
    """keys: those of a partition."""
    before = len(r.found)
    policy, limit, window, then = _on_fault(r, keys["on-fault"]) if "on-fault" in keys else ("stop", 0, 0, "stop")
    timeout, boot = _watchdog(r, keys["watchdog"]) if "watchdog" in keys else (None, 0)
    monitor = flag_of(r, keys, "monitor")
    if len(r.found) > before:
        return None
    return Health(policy, limit, window, then, timeout, boot,  # type: ignore[arg-type]
                  r.span(keys["watchdog"]) if "watchdog" in keys else None, bool(monitor),
                  r.span(keys["monitor"]) if "monitor" in keys else None)


def _on_fault(r: Reader, node: Node) -> tuple[str, int, int, str]:
    """A word, or {restart: {times: N, within: TIME}, then: stop | reset-board}."""
    if not isinstance(node, MappingNode):
        return choice_of(r, node, "on-fault", ON_FAULT) or "stop", 0, 0, "stop"
    inner = keys_of(r, node, "on-fault", ON_FAULT_KEYS, EXAMPLE) or {}
    then = choice_of(r, inner["then"], "then", ("stop", "reset-board")) if "then" in inner else "stop"
    if "restart" not in inner:
        r.error("KEY-MISSING", node, "on-fault has no 'restart'", EXAMPLE)
        return "restart", 0, 0, "stop"
    limit, window = _limit(r, inner["restart"])
    return "restart", limit, window, then or "stop"


def _limit(r: Reader, node: Node) -> tuple[int, int]:
    inner = keys_of(r, node, "restart", LIMIT_KEYS, "{times: 3, within: 10 s}")
    if inner is None:
        return 0, 0
    for key in LIMIT_KEYS:
        if key not in inner:
            r.error("KEY-MISSING", node, f"restart has no '{key}'", "restart: {times: 3, within: 10 s}")
    times = number_of(r, inner["times"], "times") if "times" in inner else 0
    if times is not None and "times" in inner and not 1 <= times <= MOST_RESTARTS:
        r.error("VALUE-RANGE", inner["times"], f"times of {times} is out of range",
                f"from 1 to {MOST_RESTARTS}" + ("; 'on-fault: stop' restarts never" if times == 0 else ""))
    return times or 0, _time(r, inner["within"], "within", "10 s") if "within" in inner else 0


def _time(r: Reader, node: Node, what: str, example: str) -> int:
    value = quantity_of(r, node, what, TIMES, example)
    if value is not None and not LEAST_NS <= value <= MOST_NS:
        r.error("VALUE-RANGE", node, f"{what} of {time_text(value)} is out of range",
                f"from {time_text(LEAST_NS)} to {time_text(MOST_NS)}")
    return value or 0


def _watchdog(r: Reader, node: Node) -> tuple[Optional[int], int]:
    """A time, or {timeout: TIME, boot: TIME}; boot is the time-out until the first refresh."""
    if not isinstance(node, MappingNode):
        timeout = _time(r, node, "watchdog", "100 ms")
        return timeout, timeout
    inner = keys_of(r, node, "watchdog", WATCHDOG_KEYS, "{timeout: 100 ms, boot: 5 s}") or {}
    if "timeout" not in inner:
        r.error("KEY-MISSING", node, "watchdog has no 'timeout'", "watchdog: {timeout: 100 ms, boot: 5 s}")
    timeout = _time(r, inner["timeout"], "timeout", "100 ms") if "timeout" in inner else 0
    boot = _time(r, inner["boot"], "boot", "5 s") if "boot" in inner else timeout
    if 0 < boot < timeout:
        r.error("VALUE-RANGE", inner["boot"], f"boot of {time_text(boot)} is shorter than the timeout of {time_text(timeout)}",
                "leave 'boot' out if a start takes no longer")
    return timeout, boot
