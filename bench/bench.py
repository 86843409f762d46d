#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: what each path costs, in executed instructions, against a recorded baseline.

Under `-icount shift=0,sleep=off` with a counter of 1 GHz, one tick of the guest's counter is one executed
instruction, in the hypervisor too; the same binary gives the same figures on every machine. The guest that
measures is guests/probe. Sizes are read from the linked ELF, lines from the compiler's dependency files.

  bench.py                 build, measure, print the table, write build/bench.json; exit 1 if a path grew
  bench.py --record        and make the figures the baseline (bench/baseline.json)
  bench.py --markdown      print the table for README.md
"""
from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

from elftools.elf.elffile import ELFFile  # type: ignore[import]

import channels
import decisions
import switches

REPO = Path(__file__).resolve().parent.parent
BASELINE = REPO / "bench/baseline.json"
LIMIT_SECONDS = 120
COUNTED = ["-icount", "shift=0,sleep=off", "-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none",
           "-no-reboot"]


@dataclass(frozen=True)
class Arch:
    """How one architecture is started and counted. bare: what the probe must find with no hypervisor below it, or
    this QEMU does not count one tick an instruction. kernel: the image and the probe alone, for -kernel."""
    name: str
    qemu: str
    machine: Sequence[str]
    bare: Mapping[str, int]
    kernel: tuple[str, str]
    cross: str


ARM64 = Arch("arm64", os.environ.get("QEMU", "qemu-system-aarch64"), ["-cpu", "cortex-a57,cntfrq=1000000000"],
             {"gicd-read": 1, "sgi": 1, "timer": 1, "timer-wfi": 1}, ("bulkhead.bin", "guests/probe.bin"),
             os.environ.get("CROSS_COMPILE", "aarch64-linux-gnu-"))
X86 = Arch("x86", os.environ.get("QEMU_X86", "qemu-system-x86_64"), ["-cpu", "max,+svm,+npt,+x2apic,-la57,phys-bits=46"],
           {"cpuid": 1, "self-ipi": 1, "tpr-write": 1, "timer-arm": 1}, ("bulkhead.elf", "guests/probe.elf"),
           "" if os.uname().machine == "x86_64" else "x86_64-linux-gnu-")

VIRT = "virt,virtualization=on,gic-version=3"
ONE_TEBIBYTE = ["-object", "memory-backend-ram,id=m,size=1T,reserve=off", "-m", "1T"]


class BenchError(Exception):
    """Something could not be built, run or read."""


@dataclass(frozen=True)
class Run:
    """One start of the probe: a configuration folder, or none for the bare machine. machine: () if it is only built."""
    name: str
    config: Optional[str]
    machine: Sequence[str]
    arch: Arch = ARM64
    cores: int = 1


RUNS = (
    Run("bare", None, ["-M", VIRT, "-m", "4G"]),
    Run("virtual", "configs/bench-virtual", ["-M", VIRT, "-m", "4G"]),
    Run("direct", "configs/bench-direct", ["-M", VIRT, "-m", "4G"]),
    Run("1t", "configs/bench-1t", [*ONE_TEBIBYTE, "-M", f"{VIRT},memory-backend=m"]),
    Run("bare-x86", None, ["-machine", "q35", "-m", "4G"], X86),
    Run("bare-x86-1t", None, [*ONE_TEBIBYTE, "-machine", "q35,memory-backend=m"], X86),
    Run("svm", "configs/bench-x86", ["-machine", "q35", "-m", "4G"], X86),
    Run("svm-two", "configs/bench-x86-two", ["-machine", "q35", "-m", "4G"], X86, 2),
    Run("svm-1t", "configs/bench-x86-1t", [*ONE_TEBIBYTE, "-machine", "q35,memory-backend=m"], X86),
    Run("vmx", "configs/bench-x86-vmx", (), X86),
    Run("restart", "configs/bench-restart", ["-M", VIRT, "-m", "4G"]),
    Run("watchdog", "configs/bench-watchdog", ["-M", VIRT, "-m", "4G"], cores=2),
    Run("pools", "configs/bench-pools", ()),
    Run("pools-x86", "configs/bench-pools-x86", (), X86),
    Run("channels", "configs/bench-channels", ()),
    Run("channels-x86", "configs/bench-channels-x86", (), X86),
)


@dataclass(frozen=True)
class Row:
    """A line of a table. key: where its figure comes from, as run.name. Peers as published in the README."""
    key: str
    title: str
    peers: tuple[str, str, str]
    goal: Optional[int]
    unit: str = ""


@dataclass(frozen=True)
class Table:
    peers: tuple[str, str, str]
    bare: str                    # the run with no hypervisor
    rows: Sequence[Row]


NONE = ("-", "-", "-")

# Bao v2.0.0-41 (738e3dc), Jailhouse e57d1eff, Xen 4.22.0 dom0less sched=null, measured the same way.
ROWS_ARM64 = (
    Row("virtual.hvc", "HVC PSCI_VERSION, round trip", ("193", "124", "419"), 48),
    Row("virtual.smc", "SMC PSCI_VERSION, round trip", ("207", "141", "445"), 52),
    Row("virtual.gicd-read", "trapped GICD read", ("244", "285-979", "914"), 80),
    Row("virtual.isenabler-write", "GICD_ISENABLER write", ("3,562", "919", "977"), 120),
    Row("virtual.sgi", "SGI to self, to the handler, virtual", ("774", "1,399", "960"), 150),
    Row("direct.sgi", "SGI to self, to the handler, direct", NONE, 40),
    Row("virtual.timer", "virtual timer, to the handler, virtual", ("200", "207", "1,020"), 90),
    Row("direct.timer", "virtual timer, to the handler, direct", NONE, 1),
    Row("virtual.timer-wfi", "virtual timer out of WFI, virtual", ("200", "207", "35,261"), 90),
    Row("direct.timer-wfi", "virtual timer out of WFI, direct", NONE, 1),
    Row("virtual.isenabler-read", "GICD_ISENABLER read", NONE, None),
    Row("virtual.spi-pend", "SPI set pending, to the handler, virtual", NONE, None),
    Row("direct.spi-pend", "SPI set pending, to the handler, direct", NONE, None),
    Row("virtual.uart-read", "virtual UART, flag register", NONE, None),
    Row("virtual.boot", "reset to the guest's first instruction, 1 GiB", ("499,152", "949,119", "33,993,271"), 10000),
    Row("1t.boot", "the same, 1 TiB", NONE, 10000),
    Row("restart.reset", "PSCI SYSTEM_RESET to the guest's first instruction again, 16 MiB", NONE, None),
    Row("restart.fault", "a fault, its report, to the first instruction again, 16 MiB", NONE, None),
    Row("watchdog.refresh", "watchdog, refresh", NONE, None),
    Row("watchdog.timer-wfi", "virtual timer out of WFI, direct with a watchdog (WFI traps)", NONE, None),
    Row("size.growth", "boot, growth with RAM (1 TiB less 1 GiB)", ("0.49 M/GiB", "-", "5.6 M/GiB"), 0),
    Row("size.ram", "RAM taken beside guests and their images", ("352,256", "307,200", "tens of MiB"), 96 << 10, "bytes"),
    Row("size.reserved", "RAM set aside, with the pristine images", NONE, None, "bytes"),
    Row("size.images", "pristine guest images in it", NONE, None, "bytes"),
    Row("size.text", "code executed at EL2 (.text)", ("65 KB", "54.6 KB", "293-481 KB"), 24 << 10, "bytes"),
    Row("size.lines", "source lines compiled (no blanks, no comments)", ("10,097", "9,149", "51,498"), 6000),
)

# Jailhouse e57d1eff, Xen 4.17 PVH, KVM of Linux 6.1, measured the same way.
ROWS_X86 = (
    Row("svm.vmcall", "VMMCALL, round trip", ("162", "717", "1,325"), 60),
    Row("svm.cpuid", "CPUID", ("125", "769", "1,278"), 60),
    Row("svm.rdmsr", "RDMSR that exits", ("112", "658", "1,340"), 50),
    Row("svm.self-ipi", "x2APIC self-IPI, to the handler", ("363", "1,394", "2,802"), 80),
    Row("svm.ipi-self", "x2APIC ICR to itself, to the handler", NONE, 80),
    Row("svm-two.ipi-other", "x2APIC ICR to another core, to its handler", NONE, None),
    Row("svm.tpr-read", "x2APIC TPR read", ("130", "766", "1,454"), 1),
    Row("svm.tpr-write", "x2APIC TPR write", NONE, 1),
    Row("svm.version-read", "x2APIC version read", ("130", "766", "1,454"), 1),
    Row("svm.timer-arm", "APIC timer write", ("146", "1,529", "1,971"), 1),
    Row("svm.timer", "one-shot timer, to the handler", ("-", "2,836", "3,836"), 2),
    Row("svm.timer-hlt", "one-shot timer out of HLT", NONE, 2),
    Row("svm.port-read", "virtual UART, line status", NONE, None),
    Row("svm.port-refused", "I/O port that is not the partition's", NONE, None),
    Row("svm.ioapic-read", "I/O APIC read (nested page fault)", NONE, None),
    Row("svm.ioapic-write", "I/O APIC write", NONE, None),
    Row("svm.uart-irq", "virtual UART's interrupt, to the handler", NONE, None),
    Row("svm.boot", "firmware's end to the guest's first instruction, 1 GiB", ("-", "300 M", "2,240 M"), 1000000),
    Row("svm-1t.boot", "the same, 1 TiB", NONE, 1000000),
    Row("size-svm.growth", "boot, growth with RAM (1 TiB less 1 GiB)", ("-", "26 M/GiB", "-"), 0),
    Row("size-svm.ram", "RAM taken beside guests and their images, SVM", NONE, 160 << 10, "bytes"),
    Row("size-svm.text", "code of the hypervisor (.text), SVM", ("41.3 KB", "2.5 MB", "873 KB"), 32 << 10, "bytes"),
    Row("size-vmx.text", "code of the hypervisor (.text), VMX", ("47.8 KB", "2.5 MB", "873 KB"), 32 << 10, "bytes"),
    Row("size-lines.shared", "source lines, shared with ARM64", NONE, None),
    Row("size-lines.arm64", "source lines, only ARM64", NONE, None),
    Row("size-lines.x86", "source lines, only x86, either vendor", NONE, None),
    Row("size-lines.svm", "source lines, only SVM", NONE, None),
    Row("size-lines.vmx", "source lines, only VMX", NONE, None),
    Row("size-svm.lines", "source lines compiled for SVM, all", NONE, 6000),
)

# The scheduler alone, without a switch; nobody else publishes this.
ROWS_DECISIONS = tuple(Row(key, title, NONE, None) for key, title in decisions.rows())
XEN_SWITCH = {"switch.timer-least": ("-", "-", "3,327-3,612")}
ROWS_SWITCHES = tuple(Row(key, title, XEN_SWITCH.get(key, NONE), goal) for key, title, goal in switches.rows())

ROWS_CHANNELS = tuple(Row(key, title, NONE, None) for key, title, _ in channels.rows())

TABLES = (Table(("Bao", "Jailhouse", "Xen"), "bare", ROWS_ARM64),
          Table(("Jailhouse", "Xen PVH", "KVM"), "bare-x86", ROWS_X86),
          Table(("Bao", "Jailhouse", "Xen RTDS"), "bare", ROWS_SWITCHES),
          Table(NONE, "bare", ROWS_CHANNELS),
          Table(NONE, "bare", ROWS_DECISIONS))
ROWS = (*ROWS_ARM64, *ROWS_X86, *ROWS_SWITCHES, *ROWS_CHANNELS, *ROWS_DECISIONS)


# ---------------------------------------------------------------- building and running

def environment() -> dict[str, str]:
    """Without the flags of a make that runs us."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}


def call(*argv: str) -> str:
    done = subprocess.run(argv, cwd=REPO, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(argv)} failed:\n{done.stdout[-4000:]}")
    return done.stdout


def output_of(run: Run) -> Path:
    return REPO / "build" / (Path(run.config).name if run.config else f"bench-bare-{run.arch.name}")


def build(run: Run) -> None:
    out = output_of(run).relative_to(REPO)
    if run.config is None:
        call("make", "--no-print-directory", "-s", "-f", "guests/guests.mk", f"ARCH={run.arch.name}", f"O={out}",
             f"CROSS_COMPILE={run.arch.cross}", "guests")
    else:
        call("make", "--no-print-directory", f"CONFIG={run.config}", f"O={out}", "HOST_O=build/host", "all")


def command(run: Run, *more: str) -> list[str]:
    kernel = output_of(run) / run.arch.kernel[0 if run.config else 1]
    return [run.arch.qemu, *run.machine, *run.arch.machine, "-smp", str(run.cores), *COUNTED, *more, "-kernel", str(kernel)]


def measure(run: Run) -> dict[str, int]:
    """Start the probe; its lines `probe: NAME TICKS`."""
    argv = command(run)
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=LIMIT_SECONDS, check=False)
        text, errors = done.stdout, done.stderr
    except subprocess.TimeoutExpired as expired:
        text, errors = expired.stdout or b"", expired.stderr or b""
    console = text.decode(errors="replace")
    found = {name: int(ticks) for name, ticks in re.findall(r"probe: ([a-z-]+) (\d+)\r?$", console, re.MULTILINE)}
    if "probe: done" not in console or not found:
        raise BenchError(f"{run.name}: the probe did not come to its end\n  {' '.join(argv)}\n"
                         f"{errors.decode(errors='replace')}{console[-3000:]}")
    return found


def check_bare(arch: Arch, found: Mapping[str, int]) -> None:
    for name, ticks in arch.bare.items():
        if found.get(name) != ticks:
            raise BenchError(f"this QEMU does not count exactly: {name} on the bare machine took {found.get(name)}, "
                             f"not {ticks}; set QEMU= or QEMU_X86= to one that does (10.0 does)")


# ---------------------------------------------------------------- sizes

def sizes(out: Path) -> dict[str, int]:
    """From the linked ELF's symbols (hv.ld): code; all of the hypervisor's RAM; the guests' pristine images in it."""
    with open(out / "bulkhead.elf", "rb") as stream:
        at = {symbol.name: symbol["st_value"] for symbol in ELFFile(stream).get_section_by_name(".symtab").iter_symbols()}
    plan = json.loads((out / "plan.json").read_text(encoding="utf-8"))
    images = at["__image_end"] - at["__images_start"]
    return {"ram": at["__image_end"] - at["_head"] - images, "images": images, "text": at["__text_end"] - at["_head"],
            "reserved": int(plan["hypervisor"]["size"])}


def line_counts(arm64: set[Path], svm: set[Path], vmx: set[Path]) -> dict[str, int]:
    """Lines by who compiles them."""
    groups = {"shared": arm64 & (svm | vmx), "arm64": arm64 - svm - vmx, "x86": (svm & vmx) - arm64,
              "svm": svm - vmx - arm64, "vmx": vmx - svm - arm64}
    return {f"size-lines.{name}": sum(map(code_lines, files)) for name, files in groups.items()}


def code_lines(path: Path) -> int:
    """Lines of C or assembly that hold something else than space and comments."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*',
                  lambda found: found.group(0) if found.group(0).startswith('"') else
                  "\n" * found.group(0).count("\n"), text, flags=re.DOTALL)
    return sum(1 for line in text.splitlines() if line.strip())


def compiled_sources(out: Path) -> set[Path]:
    """Files of src/ that the objects of the image were made from, headers too, by the compiler's own word."""
    found: set[Path] = set()
    for dependencies in sorted((out / "obj").rglob("*.d")):
        for name in dependencies.read_text(encoding="utf-8").replace("\\\n", " ").split():
            path = (REPO / name.rstrip(":")).resolve()
            if (REPO / "src") in path.parents and path.is_file():
                found.add(path)
    if not found:
        raise BenchError(f"{out}: no dependency files: was it built?")
    return found


# ---------------------------------------------------------------- the report

def collect() -> dict[str, int]:
    figures: dict[str, int] = {}
    for run in RUNS:
        build(run)
        found = measure(run) if run.machine else {}
        if run.config is None:
            check_bare(run.arch, found)
        figures.update({f"{run.name}.{name}": ticks for name, ticks in found.items()})
    try:
        figures.update(switches.measure(command(Run("pools", "configs/bench-pools", ["-M", VIRT, "-m", "4G"]))))
        figures.update(switches.measure(command(Run("pools-x86", "configs/bench-pools-x86", ["-machine", "q35", "-m", "4G"], X86)),
                                        "switch-x86"))
        figures.update(channels.measure(command(Run("channels", "configs/bench-channels", ["-M", VIRT, "-m", "4G"],
                                                    cores=channels.CORES["channel"]))))
        figures.update(channels.measure(command(Run("channels-x86", "configs/bench-channels-x86", ["-machine", "q35", "-m", "4G"], X86,
                                                    channels.CORES["channel-x86"])), "channel-x86"))
        figures.update(decisions.measure([ARM64.qemu, "-M", VIRT, "-m", "4G", *ARM64.machine, *COUNTED], ARM64.cross))
    except (RuntimeError, subprocess.SubprocessError) as error:
        raise BenchError(str(error)) from None
    out = {run.name: output_of(run) for run in RUNS}
    # On a PC the firmware comes first: it takes as long before the probe alone.
    figures["svm.boot"] -= figures["bare-x86.boot"]
    figures["svm-1t.boot"] -= figures["bare-x86-1t.boot"]
    figures["size.growth"] = figures["1t.boot"] - figures["virtual.boot"]
    figures["size-svm.growth"] = figures["svm-1t.boot"] - figures["svm.boot"]
    for prefix, name in (("size", "virtual"), ("size-svm", "svm"), ("size-vmx", "vmx")):
        figures.update({f"{prefix}.{what}": value for what, value in sizes(out[name]).items()})
    sources = {name: compiled_sources(out[name]) for name in ("virtual", "svm", "vmx")}
    figures["size.lines"] = sum(map(code_lines, sources["virtual"]))
    figures["size-svm.lines"] = sum(map(code_lines, sources["svm"]))
    figures.update(line_counts(sources["virtual"], sources["svm"], sources["vmx"]))
    return figures


def first_line(*argv: str) -> str:
    return call(*argv).splitlines()[0]


def tools() -> dict[str, str]:
    found = {}
    for arch, suffix in ((ARM64, ""), (X86, "-x86")):
        found[f"qemu{suffix}"] = first_line(arch.qemu, "--version")
        found[f"compiler{suffix}"] = first_line(f"{arch.cross}gcc", "--version")
    return found


def number(value: Optional[int]) -> str:
    return "-" if value is None else f"{value:,}"


def verdict(row: Row, figures: Mapping[str, int]) -> str:
    if row.goal is None:
        return ""
    return "reached" if figures[row.key] <= row.goal else f"missed by {figures[row.key] - row.goal:,}"


def table(part: Table, figures: Mapping[str, int], markdown: bool) -> str:
    head = ("path", *part.peers, "bare", "Bulkhead", "goal", "")
    lines = [head]
    for row in part.rows:
        name = row.key.partition(".")[2]
        bare = figures.get(f"{part.bare}.{name}") if not row.key.startswith("size") else None
        if part.bare == "bare-x86" and name == "boot":
            bare = None                            # that is the firmware, which has been taken off
        lines.append((row.title + (f" ({row.unit})" if row.unit else ""), *row.peers, number(bare),
                      number(figures[row.key]), number(row.goal), verdict(row, figures)))
    if markdown:
        rule = "|---|" + "---:|" * 6 + "---|"
        text = ["| " + " | ".join(line) + " |" for line in lines]
        return "\n".join([text[0], rule, *text[1:]])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) if i in (0, 7) else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in lines)


def fails(row: Row, before: int, now: int) -> bool:
    """A path may not grow at all; a size grows with what is built, but not past its goal."""
    if row.key.endswith(".growth") or not row.key.startswith("size"):
        return now > before
    return row.goal is not None and before <= row.goal < now


def compare(figures: Mapping[str, int], baseline: Mapping[str, int]) -> tuple[list[str], bool]:
    """What changed against the baseline, and whether that fails. Bare figures are QEMU's, not ours."""
    said: list[str] = []
    failed = False
    for row in ROWS:
        before, now = baseline.get(row.key), figures[row.key]
        if before is None or before == now:
            continue
        bad = fails(row, before, now)
        failed = failed or bad
        said.append(f"{'GREW' if bad else 'grew' if now > before else 'shrank'}: {row.title}: {before:,} before, {now:,} now")
    return said, failed


def judge(figures: Mapping[str, int], used: Mapping[str, str]) -> int:
    """Against the recorded baseline: 1 if a path grew."""
    if not BASELINE.is_file():
        print("bench: no baseline is recorded; --record makes one")
        return 0
    recorded = json.loads(BASELINE.read_text(encoding="utf-8"))
    for name, version in used.items():
        if recorded["tools"].get(name) != version:
            print(f"bench: the baseline was recorded with {recorded['tools'].get(name)}, this is {version}: "
                  "a difference may be the tool's")
    said, failed = compare(figures, recorded["figures"])
    for line in said:
        print(f"bench: {line}")
    if said:
        print("bench: bench/paths.py shows what a path is spent on; bench/bench.py --record makes this the baseline")
    return 1 if failed else 0


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="exact instruction counts against the recorded baseline")
    parser.add_argument("--out", type=Path, default=REPO / "build/bench.json", help="JSON output")
    parser.add_argument("--record", action="store_true", help="make these figures the baseline")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    try:
        used = tools()
        figures = collect()
    except (BenchError, OSError) as error:
        print(f"bench: error: {error}", file=sys.stderr)
        return 2
    write_json(options.out, {"tools": used, "figures": figures,
                             "goals": {row.key: row.goal for row in ROWS if row.goal is not None}})
    print("\n\n".join(table(part, figures, options.markdown) for part in TABLES))
    if options.record:
        write_json(BASELINE, {"tools": used, "figures": {row.key: figures[row.key] for row in ROWS}})
        return 0
    return judge(figures, used)


if __name__ == "__main__":
    sys.exit(main())
