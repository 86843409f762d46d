# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests: images built once per session, and machines whose log is kept on failure."""
from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from machine import REPO, Bochs, Machine  # noqa: E402

BUILD = REPO / "build/test-system"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="only what `make test` leaves out since it takes long")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes long, so it belongs to `make test-long`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = bool(config.getoption("--long"))
    out = [item for item in items if bool(item.get_closest_marker("long")) != wanted]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


def long(*values: object) -> object:
    """Parameters of a test that only `make test-long` runs."""
    return pytest.param(*values, marks=pytest.mark.long)


class Image:
    """A built image: its output folder and its files."""

    def __init__(self, config: Path, out: Path) -> None:
        self.config = config
        self.out = out
        self.elf = out / "bulkhead.elf"
        self.bin = out / "bulkhead.bin"
        self.itb = out / "bulkhead.itb"
        self.plan = out / "plan.json"


class Builder:
    """Builds images out of folders in the tree or out of text, each once."""

    def __init__(self) -> None:
        self.done: dict[str, Image] = {}

    def folder(self, config: str, **variables: str) -> Image:
        """An image of a folder of the tree, e.g. configs/demo."""
        return self._build(REPO / config, REPO / config / "", Path(config).name, variables)

    def text(self, name: str, yaml: str, defconfig: str = "", **variables: str) -> Image:
        """An image whose system.yaml (and defconfig) is given here; its folder lies in the output."""
        config = BUILD / "configs" / name
        config.mkdir(parents=True, exist_ok=True)
        self._write(config / "defconfig", f"# SPDX-License-Identifier: Apache-2.0\n{defconfig}")
        self._write(config / "system.yaml", yaml)
        return self._build(config, config, name, variables)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")

    def _build(self, config: Path, key: Path, name: str, variables: dict[str, str]) -> Image:
        identity = f"{key} {sorted(variables.items())}"
        if identity not in self.done:
            suffix = "".join(f"-{value}" for _, value in sorted(variables.items()))
            out = BUILD / (name + suffix.replace("/", "_"))
            make(f"CONFIG={config}", f"O={out}", *(f"{key}={value}" for key, value in variables.items()))
            self.done[identity] = Image(config, out)
        return self.done[identity]


def make(*arguments: str) -> str:
    """Run make, never two at a time: tests that run beside each other share images. On a failure the test shows all that it said."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(BUILD / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["make", "-C", str(REPO), "--no-print-directory", f"HOST_O={REPO / 'build/host'}",
                               *shlex.split(os.environ.get("TEST_MAKE", "")), *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False,
                              env=environment)
    if done.returncode != 0:
        pytest.fail(f"make {' '.join(arguments)} failed:\n{done.stdout[-6000:]}", pytrace=False)
    return done.stdout


@pytest.fixture(scope="session")
def build() -> Builder:
    return Builder()


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Iterator[Callable[..., Machine]]:
    """Start machines; they end with the test, and a failed test leaves their serial text."""
    started: list[Machine] = []

    def start(arguments: list[str], ports: int = 1, limit: float = 240.0) -> Machine:
        return enter(Machine(arguments, ports, name_of(), limit))

    def name_of() -> str:
        return request.node.name + (f"-{len(started)}" if started else "")

    def enter(one: Machine) -> Machine:
        started.append(one)
        one.__enter__()
        return one

    def bochs(elf: Path, board: str = "bochs", ports: int = 1, limit: float = 240.0, **change: str) -> Machine:
        return enter(Bochs(elf, board, change, ports, name_of(), limit))

    start.bochs = bochs  # type: ignore[attr-defined]
    yield start
    failed = getattr(request.node, "failed", False)
    for one in started:
        one.kill()
        if failed:
            print(f"serial text: {one.keep_log().relative_to(REPO)}")
        one.__exit__(None, None, None)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call":
        item.failed = report.failed  # type: ignore[attr-defined]
