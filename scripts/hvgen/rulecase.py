# SPDX-License-Identifier: Apache-2.0
"""What the checks of rules.py and rules_x86.py look at."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping as Dict

from .images import Image
from .model import Device, DeviceSpec, Hardware, Partition, Region, System
from .place import merge, overlap, pages


@dataclass(frozen=True)
class Given:
    """One entry of `devices:` that names a device of the board."""
    part: Partition
    spec: DeviceSpec
    device: Device

    @property
    def pages(self) -> tuple[Region, ...]:
        return merge(pages(r) for r in self.device.regs)

    def touches(self, regions: tuple[Region, ...]) -> bool:
        """Whether a page of its registers holds some of the regions."""
        return any(overlap(mine, pages(r)) for mine in self.pages for r in regions)

    def __str__(self) -> str:
        return f"'{self.device.path}' of partition '{self.part.name}'"


@dataclass(frozen=True)
class Case:
    """What the checks look at."""
    hardware: Hardware
    system: System
    images: Dict[str, Image]
    given: tuple[Given, ...]
