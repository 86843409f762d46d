# SPDX-License-Identifier: Apache-2.0
"""What a guest on x86 finds at its start: the boot block, generated in the place of a devicetree.

PVH (Xen's docs/misc/pvh.pandoc): 32-bit protected mode, paging off, ebx points to hvm_start_info
version 1.  The block begins with it; behind stand what it points to and the ACPI tables.
"""
from __future__ import annotations

import struct
from dataclasses import dataclass

from . import guest_acpi
from .model import Plan, PlanPartition, Region
from .pc import BOOT_BLOCK, KEPT_IN_GUEST
from .place import align_up, merge, subtract

MAGIC = 0x336ec578
VERSION = 1
START_INFO = struct.Struct("<4I4Q2I")  # xen/include/public/arch-x86/hvm/start_info.h
MODULE = struct.Struct("<4Q")
MEMORY = struct.Struct("<2Q2I")

RAM, RESERVED, ACPI = 1, 2, 3          # types of E820
LOW_END = KEPT_IN_GUEST.base           # where a PC's firmware would have its data


@dataclass(frozen=True)
class BootBlock:
    data: bytes
    asl: str                           # the DSDT's source
    dropped: tuple[str, ...]           # devices that ACPI does not describe


def memory_map(part: PlanPartition) -> list[tuple[Region, int]]:
    """What the partition's RAM is used for at its start, by address."""
    first = [(Region(0, LOW_END), RAM), (Region(LOW_END, BOOT_BLOCK.base - LOW_END), RESERVED), (BOOT_BLOCK, ACPI),
             (Region(BOOT_BLOCK.end, KEPT_IN_GUEST.end - BOOT_BLOCK.end), RESERVED)]
    ram = merge(Region(m.ipa, m.size) for m in part.ram)
    rest = subtract(ram, [region for region, _ in first])
    return first + [(region, RAM) for region in rest]


def boot_block(plan: Plan, part: PlanPartition) -> BootBlock:
    base = part.dtb_ipa
    ranges = memory_map(part)
    line = part.spec.image.bootargs.encode() + b"\0"
    memory_at = align_up(START_INFO.size, 8)
    module_at = memory_at + MEMORY.size * len(ranges)
    line_at = module_at + (MODULE.size if part.initrd else 0)
    acpi_at = align_up(line_at + len(line), 64)
    tables = guest_acpi.make(plan, part, base + acpi_at)

    out = bytearray(acpi_at)
    START_INFO.pack_into(out, 0, MAGIC, VERSION, 0, 1 if part.initrd else 0, base + module_at if part.initrd else 0,
                         base + line_at, base + acpi_at, base + memory_at, len(ranges), 0)
    for i, (region, kind) in enumerate(ranges):
        MEMORY.pack_into(out, memory_at + i * MEMORY.size, region.base, region.size, kind, 0)
    if part.initrd:
        MODULE.pack_into(out, module_at, part.initrd.base, part.initrd.size, 0, 0)
    out[line_at:line_at + len(line)] = line
    return BootBlock(bytes(out) + tables.data, tables.asl, tables.dropped)
