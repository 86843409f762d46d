# SPDX-License-Identifier: Apache-2.0
"""Builds the checker and a good image (the fixture's board and system.yaml, with a stand-in for the hypervisor)."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from planter import Image  # noqa: E402
from planter_x86 import PcImage  # noqa: E402

REPO = Path(__file__).resolve().parents[2]
HERE = REPO / "tests/check/fixture"
HERE_X86 = REPO / "tests/check/fixture_x86"
HERE_X86_POOLS = REPO / "tests/check/fixture_x86_pools"
HERE_POOLS = REPO / "tests/check/fixture_pools"
HERE_HEALTH = REPO / "tests/check/fixture_health"
HERE_CHANNELS = REPO / "tests/check/fixture_channels"
HERE_CHANNELS_X86 = REPO / "tests/check/fixture_channels_x86"
OUT = REPO / "build/test/check"
VENDORS = ("svm", "vmx")
FEATURES = "".join(f"CONFIG_{name}=y\n" for name in ("POOLS", "ARINC653", "WATCHDOG", "MONITOR", "CHANNELS"))    # of the fixtures for ARM64
SETTINGS = {"": FEATURES, "svm": "CONFIG_X86=y\nCONFIG_PCI=y\n" + FEATURES, "vmx": "CONFIG_X86=y\nCONFIG_VMX=y\nCONFIG_PCI=y\n" + FEATURES}
CROSS = {"arm64": os.environ.get("CROSS_COMPILE", "aarch64-linux-gnu-"), "x86": "x86_64-linux-gnu-"}
WARNINGS = ("-Wall -Wextra -Wconversion -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wundef "
            "-Wwrite-strings -Werror").split()


def run(*command: object, **keys: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    return subprocess.run([str(c) for c in command], cwd=REPO, capture_output=True, text=True, errors="replace",
                          check=False, timeout=300, env=environment, **keys)  # type: ignore[call-overload,no-any-return]


def in_chapters(manual: str, *titles: str) -> set[str]:
    """The properties of some chapters of `hvcheck --manual`."""
    texts = [manual.split(f"### {title}\n")[1].split("###")[0] for title in titles]
    return {line.split("**")[1] for text in texts for line in text.splitlines() if line.startswith("- **")}


def must(*command: object) -> str:
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compile_checker(compiler: str, to: Path, *flags: str) -> Path:
    sources = sorted((REPO / "src/check").glob("*.c"))
    must(compiler, "-std=c11", "-D_GNU_SOURCE", "-O1", *flags, *WARNINGS, "-Isrc/include", "-Isrc/check", *sources,
         "-o", to, "-lelf", "-lfdt", "-lyaml")
    return to


def link(folder: Path, arch: str = "arm64") -> Path:
    """layout.c, tables.c and images.S of a folder -> bulkhead.elf in it, checksum and all."""
    tools = CROSS[arch]
    for name in ("layout", "tables"):
        must(f"{tools}gcc", "-std=c11", "-ffreestanding", "-fno-pic", "-fno-pie", "-O1", "-Isrc/include", "-c",
             folder / f"{name}.c", "-o", folder / f"{name}.o")
    must(f"{tools}gcc", "-c", f"-I{folder}", folder / "images.S", "-o", folder / "images.o")
    objects = [folder / f"{name}.o" for name in ("core", "layout", "tables", "images")]
    must(f"{tools}ld", "-nostdlib", "-static", "--build-id=none", "-z", "noexecstack", "-z", "max-page-size=4096", "-L", folder,
         "-T", f"src/arch/{arch}/hv.ld", "-o", folder / "linked.elf", *objects)
    image = Image(folder / "linked.elf")
    image.seal()
    (folder / "bulkhead.elf").write_bytes(image.data)
    return folder / "bulkhead.elf"


def generate(config: Path, folder: Path, vendor: str = "") -> None:
    """What the generator makes of a configuration, for ARM64 or, with a vendor, for x86."""
    arch = "x86" if vendor else "arm64"
    folder.mkdir(parents=True, exist_ok=True)
    must(f"{CROSS[arch]}gcc", "-c", (HERE_X86 if vendor else HERE) / "core.S", "-o", folder / "core0.o")
    must(f"{CROSS[arch]}ld", "-r", folder / "core0.o", "-o", folder / "core.o")
    (folder / "payload.bin").write_bytes(b"\xd5\x03\x20\x1f" * 1250)
    (folder / "kconfig").write_text(SETTINGS[vendor])
    plan = "import sys; sys.path.insert(0, 'scripts'); from hvgen import config, generate; " \
           "found = config.load(sys.argv[1], sys.argv[2], '.', sys.argv[2] + '/kconfig'); " \
           "generate.generate(found.plan, sys.argv[2] + '/core.o', sys.argv[2], (), found.made_files())"
    must("/usr/bin/python3", "-c", plan, config, folder)


def config(name: str, file: str, *changes: tuple[str, str], here: Path = HERE) -> Path:
    """A copy of the fixture with a text changed; its system.yaml."""
    folder = OUT / "config" / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(here, folder)
    text = (folder / file).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / file).write_text(text)
    return folder / "system.yaml"


@dataclass(frozen=True)
class Verdict:
    status: int
    text: str
    rules: dict[str, list[str]]        # id -> messages, of the violated ones
    notes: list[str]


@dataclass(frozen=True)
class Checker:
    program: Path
    good: Path                         # a folder with a good image
    config: Path                       # folder with its system.yaml
    vendor: str = ""                   # of a PC's CPUs

    def __call__(self, elf: Path, *more: object, system: Path | None = None) -> Verdict:
        report = OUT / "report.json"
        report.unlink(missing_ok=True)
        done = run(self.program, "--system", system or self.config / "system.yaml", "--elf", elf, "--json", report, *more)
        rules: dict[str, list[str]] = {}
        notes: list[str] = []
        if report.is_file():
            for rule in json.loads(report.read_text())["rules"]:
                if rule["violations"]:
                    rules[rule["id"]] = [v["message"] for v in rule["violations"]]
                    notes += [n for v in rule["violations"] for n in v["notes"]]
        return Verdict(done.returncode, done.stdout + done.stderr, rules, notes)

    def image(self) -> Image:
        return Image(self.good / "bulkhead.elf")

    def pc(self) -> PcImage:
        return PcImage(self.good / "bulkhead.elf")

    def planted(self, image: Image, seal: bool = True, **keys: object) -> Verdict:
        if seal:
            image.seal()
        bad = self.good / "bad.elf"
        bad.write_bytes(image.data)
        return self(bad, **keys)  # type: ignore[arg-type]

    def passes(self, partitions: int) -> None:
        """The good image."""
        verdict = self(self.good / "bulkhead.elf")
        assert verdict.status == 0 and not verdict.rules, verdict.text
        assert f"properties proved for {partitions} partition" in verdict.text, verdict.text

    def finds(self, plant: Callable[[Any], None], broken: set[str], says: str) -> None:
        """Planted into the good image, it breaks just these properties, and this is said of it."""
        image = self.pc() if self.vendor else self.image()
        plant(image)
        verdict = self.planted(image)
        assert verdict.status == 1, verdict.text
        assert set(verdict.rules) == broken, verdict.text
        assert says in verdict.text, verdict.text


@pytest.fixture(scope="session")
def program() -> Path:
    OUT.mkdir(parents=True, exist_ok=True)
    return compile_checker("gcc", OUT / "hvcheck", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover")


def good(program: Path, config: Path, kind: str = "", vendor: str = "") -> Checker:
    """A good image of a configuration, of its kind, and the checker for it."""
    folder = OUT / "-".join(word for word in ("good", kind, vendor) if word)
    generate(config, folder, vendor)
    link(folder, "x86" if vendor else "arm64")
    return Checker(program, folder, config, vendor)


@pytest.fixture(scope="session")
def checker(program: Path) -> Checker:
    return good(program, HERE)


@pytest.fixture(scope="session")
def pools(program: Path) -> Checker:
    """The same with cores that are shared."""
    return good(program, HERE_POOLS, "pools")


@pytest.fixture(scope="session")
def health(program: Path) -> Checker:
    """The same with watchdogs, a monitor and a limit of restarts."""
    return good(program, HERE_HEALTH, "health")


@pytest.fixture(scope="session")
def channels(program: Path) -> Checker:
    """The same with channels."""
    return good(program, HERE_CHANNELS, "channels")


@pytest.fixture(scope="session", params=VENDORS)
def pc_channels(program: Path, request: pytest.FixtureRequest) -> Checker:
    """Channels on a PC."""
    return good(program, HERE_CHANNELS_X86, "channels", request.param)


@pytest.fixture(scope="session", params=VENDORS)
def pc(program: Path, request: pytest.FixtureRequest) -> Checker:
    """The same for a PC, with the tables of each CPU vendor."""
    return good(program, HERE_X86, "", request.param)


@pytest.fixture(scope="session", params=VENDORS)
def pc_pools(program: Path, request: pytest.FixtureRequest) -> Checker:
    """A PC with a core that is shared."""
    return good(program, HERE_X86_POOLS, "pools", request.param)
