# SPDX-License-Identifier: Apache-2.0
"""Which code the configuration builds, as far as the plan depends on it: architecture and CPU vendor.

Kconfig decides (scripts/kconfig); here its result is only read, from .config or, before there is one,
from defconfig, which says what differs from the defaults.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator, Optional

from .diag import Diagnostic
from .images import Arch
from .model import Hardware, Span, System
from .plan import Vmm, board_device

NAMES = {"arm64": "ARM64", "x86": "x86-64"}
SETTING = re.compile(r"CONFIG_(\w+)=y\s*")


@dataclass(frozen=True)
class Code:
    arch: Optional[Arch]               # None: there is no file that says it
    vmm: Vmm                           # x86 only
    span: Span                         # where the architecture was chosen, or the file
    settings: frozenset[str] = frozenset()   # what is y


def read(file: str) -> Code:
    try:
        with open(file, encoding="utf-8") as stream:
            found = {match[1]: number for number, line in enumerate(stream, 1) if (match := SETTING.fullmatch(line))}
    except (OSError, UnicodeDecodeError):
        return Code(None, "", Span(file))
    if "X86" not in found:
        return Code("arm64", "", Span(file), frozenset(found))
    return Code("x86", "vmx" if "VMX" in found else "svm", Span(file, found["X86"], 1), frozenset(found))


def arch_of(board: Optional[Hardware], chosen: Code) -> Arch:
    """For which CPU images are to be: the board's if it is known."""
    if board is None:
        return chosen.arch or "arm64"
    return "x86" if board.pc else "arm64"


def features(system: System) -> Iterator[tuple[str, Span, str]]:
    """What the system uses that can be left out: its setting, where, and in words."""
    for pool in system.pools:
        yield "POOLS", pool.span, f"pool '{pool.name}'"
        if pool.scheduler == "arinc653":
            yield "ARINC653", pool.span, f"'scheduler: arinc653' of pool '{pool.name}'"
    yield from (("CHANNELS", channel.span, f"channel '{channel.name}'") for channel in system.channels)
    for part in system.partitions:
        if part.restart_limit:
            yield "HEALTH", part.span, f"a limit of restarts, for partition '{part.name}',"
        if part.watchdog_ns is not None:
            yield "WATCHDOG", part.watchdog_span or part.span, f"'watchdog' of partition '{part.name}'"
        if part.monitor:
            yield "MONITOR", part.monitor_span or part.span, f"'monitor: true' of partition '{part.name}'"


# What Kconfig selects with a setting, before there is a .config that has it.
SELECTED = {"HEALTH": ("WATCHDOG", "MONITOR")}


def built_in(setting: str, settings: frozenset[str]) -> bool:
    return any(name in settings for name in (setting, *SELECTED.get(setting, ())))


def check_features(system: System, chosen: Code) -> list[Diagnostic]:
    """What system.yaml uses is built in."""
    if chosen.arch is None:
        return []
    return [Diagnostic("KCONFIG-FEATURE", span, f"{what} needs code that is not built in: CONFIG_{setting}",
                       fix=f"add 'CONFIG_{setting}=y' to the configuration's defconfig")
            for setting, span, what in features(system) if not built_in(setting, chosen.settings)]


def check_resets(board: Hardware, system: System, chosen: Code) -> list[Diagnostic]:
    """A device that board.yaml says how to reset is reset."""
    if chosen.arch is None or built_in("HEALTH", chosen.settings):
        return []
    return [Diagnostic("KCONFIG-FEATURE", spec.span, f"the reset of '{device.path}', which board.yaml describes, needs code that is not "
                       "built in: CONFIG_HEALTH", fix="add 'CONFIG_HEALTH=y' to the configuration's defconfig")
            for part in system.partitions for spec in part.devices
            if (device := board_device(board, spec.name)) is not None and device.reset]


def check_functions(board: Hardware, system: System, chosen: Code) -> list[Diagnostic]:
    """A PCI function that is given away is emulated."""
    if chosen.arch is None or built_in("PCI", chosen.settings):
        return []
    return [Diagnostic("KCONFIG-FEATURE", spec.span, f"'{device.path}' is a PCI function, which needs code that is not built in: "
                       "CONFIG_PCI", fix="add 'CONFIG_PCI=y' to the configuration's defconfig")
            for part in system.partitions for spec in part.devices
            if (device := board_device(board, spec.name)) is not None and device.function is not None]


def check(board: Hardware, system: System, chosen: Code) -> list[Diagnostic]:
    """Board and code are for one architecture."""
    arch = arch_of(board, chosen)
    if chosen.arch in (None, arch):
        return []
    mend = "add 'CONFIG_X86=y' to" if arch == "x86" else "remove 'CONFIG_X86=y' from"
    said = "chosen here" if chosen.span.line else "CONFIG_X86 is not set here"
    return [Diagnostic("BOARD-ARCH", system.board_span, f"board '{board.name}' is an {NAMES[arch]} machine, but the code "
                       f"that is built is for {NAMES[chosen.arch or 'arm64']}", ((chosen.span, said),),
                       f"{mend} {chosen.span.file}, or name another board")]
