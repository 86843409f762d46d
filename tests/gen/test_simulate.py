# SPDX-License-Identifier: Apache-2.0
"""The scheduler in the simulator: random sets of servers without a miss, and schedulers with a fault, which are found."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "scripts"))

from hvsim import simulate  # noqa: E402

SETS = 20000


def run(program: Path, sets: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(simulate.command(program, sets), stdout=subprocess.PIPE, text=True, timeout=300, check=False)


def test_random_sets_have_their_budgets(tmp_path: Path) -> None:
    done = subprocess.run([str(REPO / "scripts/bulkhead"), "simulate", "--sets", str(SETS), "-O", str(tmp_path)],
                          stdout=subprocess.PIPE, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
    assert f"{SETS} sets, no miss" in done.stdout


# What goes wrong -> the line of the scheduler, and what it is made.
FAULTS = {
    "extra time goes before budgets":
        ("group->ready.count != 0 ? &group->ready : &group->extra",
         "group->extra.count != 0 ? &group->extra : &group->ready"),
    "extra time is charged": ("    if (!server->on_extra) {", "    if (true) {"),
    "extra time goes on when somebody has budget":
        ("return server->params.extra && ready == NULL && ", "return server->params.extra && "),
    "extra time is given to everybody": ("server->params.extra ? &group->extra : NULL", "&group->extra"),
    "latest deadline first": ("return key_a < key_b ||", "return kind == QUEUE ? key_a > key_b : key_a < key_b ||"),
    "whoever runs stays": ("return ready == NULL || ready->deadline >= server->deadline;", "return true;"),
    "nobody is told of a later wake-up": (" || due > first_timer(sched, group) ?", " ?"),
    "nobody is told of an earlier deadline": ("slack_of(sched, core) > wanted ||", ""),
    "the wrong core is told":
        ("slack_of(sched, i) > slack_of(sched, core) ? i", "slack_of(sched, i) < slack_of(sched, core) ? i"),
    "only the core itself": ("if (i != core && sched->due[i] <= timer)", "if (i != core)"),
    "budgets end a little late": ("server->started + server->left;", "server->started + server->left + 1u;"),
    "overruns are forgotten": ("server->debt += used - paid;", "server->debt += 0;"),
    "overruns are paid twice": ("server->debt += used - paid;", "server->debt += 2u * (used - paid);"),
    "a debt is never paid": ("server->left = budget - debt;", "server->left = budget;"),
    "the period begins with the wake-up": ("server->deadline += periods * period;", "server->deadline = now + period;"),
    "sleepers keep everything": ("server->left = keeps < server->left ? keeps : server->left;", ""),
    "sleepers keep nothing": ("busy > rest ? busy : rest", "0"),
    "sleepers lose what they slept": ("busy > rest ? busy : rest", "busy"),
    "a sleeper's last turn is free":
        ("    charge_running(sched, sched->running[core], now);\n    put_to_sleep", "    put_to_sleep"),
    "a sleeper keeps its place among the timers":
        ("    server->alarm = wake_at;\n    heap_move(sched, &group->timers, server->timer_place - 1u, TIMER);\n",
         "    server->alarm = wake_at;\n"),
    "who falls asleep is the only one":
        ("    (void)see_to_alarms(sched, group, now);\n", ""),
    "a wake-up counts when it is seen": ("since = since < now ? since : now;", "since = now;"),
    "a heap that only sinks": ("if (!heap_up(sched, heap, place, kind)) {", "if (true) {"),
    "a heap that only rises": ("if (!heap_up(sched, heap, place, kind)) {", "if (!heap_up(sched, heap, place, kind) && false) {"),
    "the new period waits in the old place": ("        heap_down(sched, &group->timers, 0, TIMER);\n", ""),
    "time since the deadline is free": ("    charge(server, server->deadline);", "    charge(server, now);"),
    "a sleeper keeps the core": ("    run_first(sched, group, core, NULL, now);\n", ""),
}
WINDOW_FAULTS = {
    "windows begin late": ("frame->window[middle].start <= phase", "frame->window[middle].start < phase"),
    "windows end late": ("phase - window[done - 1u].start < window", "phase - window[done - 1u].start <= window"),
    "no window after the last": ("frame->length + window[0].start", "SCHED_NEVER / 2u"),
    "a sleeper keeps its window": ("    if (server->awake) {\n", "    if (true) {\n"),
    "nobody wakes by himself": (" || server->alarm <= now;", ";"),
    "the wake-up waits for the window's end": ("*next = server->alarm;", ";"),
    "a wake-up disturbs nobody":
        ("    sched->server[server].awake = true;\n    for", "    sched->server[server].awake = true;\n    return 0;\n    for"),
}


@pytest.mark.parametrize("fault", [*FAULTS, *WINDOW_FAULTS])
def test_a_fault_is_found(fault: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    number = 0 if fault in FAULTS else 1
    right, wrong = {**FAULTS, **WINDOW_FAULTS}[fault]
    text = simulate.SCHEDULER[number].read_text(encoding="utf-8")
    assert text.count(right) == 1, "the scheduler has changed: what is the fault now?"
    out = tmp_path_factory.getbasetemp() / "faults"
    out.mkdir(exist_ok=True)
    sources = list(simulate.SCHEDULER)
    sources[number] = out / f"fault_{list({**FAULTS, **WINDOW_FAULTS}).index(fault)}.c"
    sources[number].write_text(text.replace(right, wrong), encoding="utf-8")
    (out / "simulate").unlink(missing_ok=True)
    done = run(simulate.build(out, tuple(sources)), SETS)
    assert done.returncode == 1, done.stdout
    assert "MISSED" in done.stdout
