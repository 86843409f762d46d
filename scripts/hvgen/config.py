# SPDX-License-Identifier: Apache-2.0
"""A configuration folder -> Plan: reads everything, reports everything that is wrong, plans."""
from __future__ import annotations

import os
from dataclasses import dataclass

from . import code
from . import hardware as boards
from . import images as guest_images
from . import plan as planner
from . import rules, system
from .diag import Diagnostic, Refused
from .images import Image
from .model import Hardware, Plan, System


@dataclass(frozen=True)
class Config:
    """What a configuration folder says, accepted."""
    hardware: Hardware
    system: System
    images: dict[str, Image]
    plan: Plan

    def made_files(self) -> dict[str, bytes]:
        """Files that images had to be turned into, by their path in the output folder."""
        return {piece.file: piece.data for image in self.images.values() for piece in image.pieces
                if piece.data is not None}


def load(folder: str, out: str, root: str, kconfig: str = "") -> Config:
    """All errors of a run are reported together: syntax, board, images, rules; placement if these are right.

    kconfig: the .config if there is one already; else the folder's defconfig says which code is built.
    """
    described, found = system.read(os.path.normpath(os.path.join(folder, "system.yaml")), out, root)
    if described is None:
        raise Refused(found)
    chosen = code.read(kconfig or os.path.normpath(os.path.join(folder, "defconfig")))
    board = _board(described, root, found)
    images, wrong = guest_images.inspect_all(described, out, code.arch_of(board, chosen))
    found += wrong
    if board:
        found += code.check(board, described, chosen) + code.check_features(described, chosen) + code.check_resets(board, described, chosen)
        found += code.check_functions(board, described, chosen)
        broken = bool(found)           # then a partition that could not be read may be the one that a pool misses
        found += [d for d in rules.check(board, described, images) if not (broken and d.id == "POOL-EMPTY")]
    if found or board is None:
        raise Refused(found)
    return Config(board, described, images, planner.make(board, described, images, chosen.vmm))


def refuse_unbuildable(config: Config) -> None:
    """What can be checked and planned, but not be built with this version's hypervisor."""
    gic = config.hardware.gic
    if gic and gic.version == 2:
        raise Refused([Diagnostic("NOT-YET", config.system.board_span, f"board '{config.hardware.name}' has a GICv2: it is "
                                  "checked and planned, but the hypervisor of this version drives a GICv3 only")])


def _board(described: System, root: str, found: list[Diagnostic]) -> Hardware | None:
    """The board, or None with its errors added."""
    name = described.board
    beside = os.path.join(os.path.dirname(described.file), name)
    try:
        if "/" in name and not os.path.isabs(name) and os.path.isdir(beside):
            name = os.path.normpath(beside)
        return boards.load_board(name, root, described.board_span)
    except Refused as refused:
        found += refused.diagnostics
        return None
