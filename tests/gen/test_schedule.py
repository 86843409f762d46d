# SPDX-License-Identifier: Apache-2.0
"""Schedulability: the tests against a simulation in whole steps of time, with servers that sleep and wake as they like."""
from __future__ import annotations

import random
import sys
from fractions import Fraction
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from hvgen import schedule  # noqa: E402
from hvgen.schedule import Task, judge, percent, place, timeline  # noqa: E402


def tasks(*pairs: tuple[int, int], cores: tuple[int, ...] = ()) -> list[Task]:
    return [Task(f"t{n}", budget, period, cores[n] if cores else None) for n, (budget, period) in enumerate(pairs)]


# ---------------------------------------------------------------- a scheduler in steps

class Server:
    """One server of the simulation; `fair`: what it forfeits by sleeping (src/core/sched_rtds.c)."""

    def __init__(self, task: Task, phase: int, fair: bool) -> None:
        self.task, self.fair = task, fair
        self.end = phase or task.period
        self.left: Fraction = Fraction(task.budget if not phase else 0)
        self.awake, self.since, self.got, self.whole = True, 0, Fraction(0), not phase
        self.missed = False

    def step(self, now: int, awake: bool) -> None:
        if now == self.end:
            self.missed = self.missed or (self.whole and self.awake and self.got < self.task.budget)
            self.end += self.task.period
            self.left, self.got, self.whole = Fraction(self.task.budget), Fraction(0), True
        if awake and not self.awake and self.fair:
            rest = Fraction(self.end - now) * self.task.budget / self.task.period
            self.left = min(self.left, max(self.left - (now - self.since), rest))
        if self.awake and not awake:
            self.since = now
        self.whole = self.whole and awake
        self.awake = awake


def missed(mine: list[Task], core_count: int, steps: int, dice: random.Random, fair: bool = True, sleepy: float = 0.5,
           phases: bool = True, naps: int = 5, stay: float = 0.9) -> bool:
    """Global EDF on some cores: whether somebody who was awake in all of a period did not get its budget."""
    servers = [Server(t, dice.randrange(t.period) if phases else 0, fair) for t in mine]
    moods = [dice.random() < sleepy for _ in servers]            # naps: how long they last, about; stay: awake
    for now in range(steps):
        for server, restless in zip(servers, moods):
            server.step(now, not restless or dice.random() < (stay if server.awake else 1 / naps))
        ready = sorted((s for s in servers if s.awake and s.left > 0), key=lambda s: (s.end, s.task.name))
        for server in ready[:core_count]:
            used = min(server.left, Fraction(1))
            server.left -= used
            server.got += 1 if used == 1 else used
    return any(s.missed for s in servers)


def some(dice: random.Random, count: int, most: int = 12) -> list[Task]:
    made = []
    for n in range(count):
        period = dice.randint(2, most)
        made.append(Task(f"t{n}", dice.randint(1, period), period))
    return made


# ---------------------------------------------------------------- one core

def test_utilisation_decides_on_one_core() -> None:
    dice = random.Random(1)
    accepted = 0
    for _ in range(400):
        mine = some(dice, dice.randint(2, 4))
        verdict = judge(mine, 1, "partitioned", 0)
        assert verdict.accepted == (sum(t.utilisation for t in mine) <= 1)
        if not verdict.accepted:
            assert missed(mine, 1, 2 * schedule.hyperperiod(mine) + 1, dice, sleepy=0, phases=False)
            continue
        accepted += 1
        assert not missed(mine, 1, 300, dice, sleepy=0)
        if all(t.budget * 12 % t.period == 0 for t in mine):
            assert not missed(mine, 1, 300, dice)
    assert accepted > 40


def test_nobody_is_held_up_by_sleepers_on_one_core() -> None:
    """Steps of one unit make a server wait for a part of one; so budgets are large against a step."""
    dice = random.Random(2)
    for _ in range(60):
        mine = [Task(t.name, t.budget * 20 - 2, t.period * 20) for t in some(dice, dice.randint(2, 4))]
        if judge(mine, 1, "partitioned", 1).accepted:
            assert not missed(mine, 1, 1500, dice, naps=dice.choice((3, 30, 150)))


@pytest.mark.parametrize("fair", [True, False])
def test_plain_deferrable_servers_would_hold_others_up(fair: bool) -> None:
    """Why a server forfeits: without that, one that wakes late takes all of another's period (Xen's failing mix)."""
    mine = tasks((20, 100), (2, 20))
    assert judge(mine, 1, "partitioned", 0).accepted
    sleeper, other = Server(mine[0], 0, fair), Server(mine[1], 0, fair)
    for now in range(300):
        sleeper.step(now, now % 100 >= 80)
        other.step(now, True)
        first = min((s for s in (sleeper, other) if s.awake and s.left > 0), key=lambda s: s.end, default=other)
        first.left -= 1
        first.got += 1
    assert other.missed != fair


def test_switches_count() -> None:
    mine = tasks((500, 1000), (500, 1000))
    assert judge(mine, 1, "partitioned", 0).accepted
    verdict = judge(mine, 1, "partitioned", 1)
    assert (verdict.accepted, verdict.rule) == (False, "SCHED-UTILISATION")
    assert verdict.reason == "asks for 100.4 % of core 0"


def test_a_server_alone_is_never_switched() -> None:
    assert judge(tasks((1000, 1000)), 1, "partitioned", 5).accepted
    assert judge(tasks((1000, 1000), (900, 1000)), 2, "partitioned", 5).accepted
    assert judge(tasks((1000, 1000), (1000, 1000)), 2, "partitioned", 5).accepted
    assert judge(tasks((1000, 1000), (900, 1000)), 2, "global", 5).accepted
    assert not judge(tasks((1000, 1000), (900, 1000), (100, 1000)), 2, "partitioned", 5).accepted


# ---------------------------------------------------------------- several cores

@pytest.mark.parametrize("core_count", [2, 3])
def test_accepted_global_sets_miss_nothing(core_count: int) -> None:
    dice = random.Random(core_count)
    found = {"Goossens": 0, "Bertogna": 0, "core for each": 0}
    for _ in range(1500):
        mine = some(dice, dice.randint(2, 6), 10)
        verdict = judge(mine, core_count, "global", 0)
        if verdict.accepted:
            for key in found:
                found[key] += key in verdict.test
            assert not missed(mine, core_count, 120, dice, sleepy=0)
    assert all(count > 5 for count in found.values()), found


def test_sleepers_do_not_hold_up_global_sets() -> None:
    dice = random.Random(7)
    tried = 0
    for _ in range(300):
        mine = [Task(t.name, t.budget * 20 - 2, t.period * 20) for t in some(dice, dice.randint(3, 5), 8)]
        if judge(mine, 2, "global", 1).accepted:
            tried += 1
            assert not missed(mine, 2, 800, dice, naps=dice.choice((3, 30, 100)))
    assert tried > 10


def test_density_bound() -> None:
    """Goossens, Funk and Baruah: U <= m - (m - 1) u_max."""
    assert schedule.density_bound([Fraction(1, 2)] * 3, 2) == Fraction(3, 2)
    assert judge(tasks((5, 10), (5, 10), (5, 10)), 2, "global", 0).accepted
    assert not judge(tasks((6, 10), (6, 10), (6, 10)), 2, "global", 0).accepted


def test_most_in_an_interval() -> None:
    task = Task("t", 3, 10)
    assert [schedule.most_in(task, n) for n in (0, 2, 3, 9, 10, 12, 13, 25)] == [0, 2, 3, 3, 3, 5, 6, 9]


def test_refused_with_numbers() -> None:
    verdict = judge(tasks((6_000_000, 10_000_000), (5_000_000, 10_000_000)), 1, "partitioned", 0, ["cpu 3"])
    assert (verdict.rule, verdict.reason) == ("SCHED-UTILISATION", "asks for 110 % of cpu 3")
    assert verdict.fix == "take away 10 %: for example, t0 with a budget of 5000 us in place of 6000 us"
    mended = tasks((5_000_000, 10_000_000), (5_000_000, 10_000_000))
    assert judge(mended, 1, "partitioned", 0).accepted


# ---------------------------------------------------------------- placement

def test_first_fit_then_worst_fit() -> None:
    assert place(tasks((6, 10), (5, 10), (4, 10), (4, 10)), 2, 0) == [0, 1, 0, 1]
    by_hand = place(tasks((2, 10), (6, 10), (9, 10), cores=()), 2, 0)
    assert sorted(by_hand) == [0, 1, 1] and by_hand[2] != by_hand[1]


def test_a_core_by_hand_stays() -> None:
    mine = [Task("a", 9, 10, 1), Task("b", 9, 10), Task("c", 1, 10, 0)]
    assert place(mine, 2, 0) == [1, 0, 0]


def test_no_room_names_who_is_left_over() -> None:
    verdict = judge(tasks((6, 10), (6, 10), (6, 10)), 2, "partitioned", 0)
    assert (verdict.accepted, verdict.rule) == (False, "SCHED-DEADLINE")
    assert verdict.reason == "has no core for t2: it needs 60 %, the emptiest core has 40 % left"


def test_placement_is_never_overfull() -> None:
    dice = random.Random(11)
    for _ in range(500):
        mine = some(dice, dice.randint(1, 8))
        cores = dice.randint(1, 4)
        homes = place(mine, cores, 0)
        for core in range(cores):
            assert sum(t.utilisation for t, home in zip(mine, homes) if home == core) <= 1
        if judge(mine, cores, "partitioned", 0).accepted:
            assert None not in homes


# ---------------------------------------------------------------- the time line

def test_time_line_keeps_budgets() -> None:
    dice = random.Random(13)
    for _ in range(100):
        mine = some(dice, dice.randint(1, 5), 10)
        cores = dice.randint(1, 3)
        verdict = judge(mine, cores, "partitioned", 0)
        if not verdict.accepted:
            continue
        until = schedule.hyperperiod(mine)
        slices = timeline(mine, place(mine, cores, 0), cores, until)
        for core in range(cores):
            mine_here = [s for s in slices if s.core == core]
            assert [s.start for s in mine_here] == [0, *(s.end for s in mine_here[:-1])] and mine_here[-1].end == until
        for n, task in enumerate(mine):
            for start in range(0, until, task.period):
                got = sum(max(0, min(s.end, start + task.period) - max(s.start, start)) for s in slices if s.task == n)
                assert got == task.budget


def test_time_line_of_any_core_runs_nobody_twice() -> None:
    mine = tasks((3, 5), (3, 5), (2, 5), (4, 10))
    slices = timeline(mine, [None] * 4, 2, 10)
    for now in range(10):
        running = [s.task for s in slices if s.start <= now < s.end and s.task >= 0]
        assert len(running) == len(set(running)) <= 2


@pytest.mark.parametrize("share, said", [(Fraction(1, 3), "33.34 %"), (Fraction(1), "100 %"), (Fraction(100001, 100000), "100.01 %")])
def test_percent(share: Fraction, said: str) -> None:
    assert percent(share) == said
