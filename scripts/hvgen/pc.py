# SPDX-License-Identifier: Apache-2.0
"""What is fixed on every x86 board: where a guest's memory lies, and what of the board nobody gets."""
from __future__ import annotations

from typing import Optional

from .model import Hardware, Partition, Plan, PlanPartition, Region, Vuart
from .place import GIB, KIB, MIB, PAGE, align_down, overlap

# A guest's physical addresses: RAM below 2 GiB, registers up to 4 GiB, the rest of the RAM.
LOW_RAM_END = 2 * GIB
HIGH_RAM = 4 * GIB
GUEST_LEAST = 4 * MIB
KEPT_IN_GUEST = Region(0x9f000, 0x61000)       # its memory map says "reserved" here; boot block, page of the reset entry
BOOT_BLOCK = Region(0xf0000, 60 * KIB)         # PVH start info, memory map, command line, ACPI tables

# Where a PC's BIOS is entered, F000:FFF0: guests that know no other way to restart jump there in real mode.
RESET_ENTRY = 0xffff0
RESET_CODE = bytes.fromhex("b0 06"             # mov al, 6
                           "ba f9 0c"          # mov dx, 0xcf9: the register that restarts a partition
                           "ee"                # out dx, al
                           "f4 eb fd").ljust(16, b"\xf4")  # hlt; jmp back to it

# The board's: what lies below 1 MiB is firmware's; the hypervisor's code is linked for the lower 2 GiB.
FIRMWARE = Region(0, MIB)
HV_ROOM = Region(16 * MIB, 2 * GIB - 16 * MIB)
CONVENTIONAL_END = 640 * KIB                   # other cores start in a page below it (SDM 3A 9.4.4.1: vector << 12)
TRAMPOLINE = 0x8000

CORE_PAGES = 2                                 # SVM: VMCB and host save area; VMX: VMXON region and VMCS; slots: with XSAVE area
PARTITION_PAGES = 8                            # I/O ports 3, MSRs 2, roots of its maps, and one to spare
PA_BITS_LEAST = 36
APIC_IDS = 255                                 # 8 bits in MADT type 0 and in the I/O APIC; 255 means all

# COM ports as PCs have them, and their lines.
COM_PORTS = ((0x3f8, 4), (0x2f8, 3), (0x3e8, 4), (0x2e8, 3))
COM_SIZE = 8


# Emulated in guests: sleep control and status, the register that restarts, PCI configuration; and, in some, a watchdog.
GUEST_PORTS = (Region(0x600, 2), Region(0xcf8, 8))
WATCHDOG_FIRST = 0x610
WATCHDOG_PORTS = 16


def watchdog_ports(hardware: Hardware) -> Region:
    """The first from there on at which the board has nothing; the same in all guests."""
    outs = (*hardware.pc.off, *hardware.pc.reset) if hardware.pc else ()
    taken = [*GUEST_PORTS, *(r for d in hardware.devices for r in d.ports), *(Region(w.port, w.width) for w in outs)]
    blocks = (Region(base, WATCHDOG_PORTS) for base in range(WATCHDOG_FIRST, 1 << 16, WATCHDOG_PORTS))
    return next(block for block in blocks if not any(overlap(block, r) for r in taken))


def guest_ranges(size: int) -> tuple[Region, ...]:
    """Guest addresses of a partition's memory."""
    low = Region(0, min(size, LOW_RAM_END))
    return (low, Region(HIGH_RAM, size - low.size)) if size > low.size else (low,)


def guest_apic_id(plan: Plan, part: PlanPartition, vcpu: int) -> int:
    """A core's own, or counted from 0 where cores are shared: vcpus would have one ID, and change it."""
    return vcpu if part.spec.use else plan.cpus[part.cpus[vcpu]].mpidr


def trampoline(hardware: Hardware) -> Optional[int]:
    """The page through which other cores start, or None if there is no RAM for it; page 0 is the BIOS's."""
    pages = [Region(TRAMPOLINE, PAGE)]
    for bank in hardware.memory:
        pages.append(Region(align_down(min(bank.end, CONVENTIONAL_END), PAGE) - PAGE, PAGE))
    for page in pages:
        if page.base >= PAGE and any(bank.base <= page.base and page.end <= bank.end for bank in hardware.memory):
            return page.base
    return None


def vuart(hardware: Hardware, part: Partition, owned: tuple[Region, ...], lines: frozenset[int]) -> Optional[Vuart]:
    """At the console's own ports, else at the first of a PC's that the partition's devices leave free."""
    uart, ioapic = hardware.uart, hardware.pc.ioapic if hardware.pc else None
    if ioapic is None:
        return None
    found = list(COM_PORTS)
    if uart and uart.width == 0:
        found.insert(0, (uart.region.base, uart.intid or dict(COM_PORTS).get(uart.region.base, 4)))
    for port, line in found:
        if line < ioapic.lines and line not in lines and not any(overlap(Region(port, COM_SIZE), r) for r in owned):
            return Vuart(port, line)
    return None
