# SPDX-License-Identifier: Apache-2.0
"""A linked image for x86 opened up, as planter.py does it for ARM64."""
from __future__ import annotations

import ctypes
import struct
from pathlib import Path
from typing import Any, Iterator

from planter import MIB, U16, U32, U64, Image, Tables, Uart, structure

PcPartition = structure(
    "PcPartition", ("name", U64), ("nested", U64), ("asid", U64), ("loader_cr3", U64), ("root", U64), ("root_count", U32),
    ("irq_mode", U32), ("entry", U64), ("dtb", U64), ("vcpus", U64), ("memory", U64), ("images", U64), ("vcpu_count", U32),
    ("memory_count", U32), ("image_count", U32), ("on_fault", U32), ("sgi", U64 * 2), ("vuart_port", U64), ("vuart_line", U32),
    ("vuart_reserved", U32), ("ppi_mask", U32), ("yaml_line", U32), ("io_bitmap", U64), ("msr_bitmap", U64), ("lines", U64),
    ("apic_ids", U64 * 8), ("reserved", U64 * 5), ("later", U64 * 6))
PcCpu = structure("PcCpu", ("apic_id", U64), ("stack_top", U64), ("vmm", U64), ("partition", U16), ("vcpu", U16), ("reserved", U32))
PcVcpu = structure("PcVcpu", ("vmpidr", U64), ("apic_id", U64), ("cpu", U32), ("reserved", U32))
Pc = structure("Pc", ("ioapic", U64), ("ioapic_lines", U32), ("pit_line", U32), ("tsc_hz", U64), ("trampoline", U64), ("cpuid", U64),
               ("msrs", U64), ("off", U64), ("cpuid_basic", U32), ("cpuid_hypervisor", U32), ("cpuid_extended", U32),
               ("msr_count", U32), ("off_count", U32), ("reset_count", U32), ("pm_timer", U32), ("vendor", U32),
               ("reserved", U32 * 10))
PcLayout = structure("PcLayout", ("magic", U64), ("version", U32), ("cpu_count", U32), ("partition_count", U32), ("device_count", U32),
                     ("board", U64), ("banner", U64), ("hv_base", U64), ("hv_size", U64), ("host_cr3", U64), ("el2_tcr", U64),
                     ("pa_bits", U32), ("conduit", U32), ("console_cpu", U32), ("console_irq", U32), ("unused", U32 * 4),
                     ("cpus", U64), ("partitions", U64), ("devices", U64), ("pc", Pc), ("uart", Uart), ("later", U64 * 2))
Cpuid = structure("Cpuid", ("keep", U32 * 4), ("set", U32 * 4))
Msr = structure("Msr", ("first", U32), ("last", U32), ("read", U32), ("write", U32), ("value", U64))
Out = structure("Out", ("port", U16), ("width", U16), ("value", U32))
assert (ctypes.sizeof(PcPartition), ctypes.sizeof(Pc), ctypes.sizeof(PcLayout)) == (320, 128, 408)

P, RW, US, PWT, PCD, A, D, LARGE = (1 << n for n in range(8))
NX = 1 << 63
PC_ADDRESS = 0x000ffffffffff000
EPT_X, EPT_WB = 4, 6 << 3


class PcImage(Image):
    """The same for x86, of either vendor; attributes of leaves are what this vendor has for them."""

    LAYOUT, PARTITION, CPU, VCPU = PcLayout, PcPartition, PcCpu, PcVcpu

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.vmx = self.layout.pc.vendor == 2
        self.ram_bits = 7 | EPT_WB if self.vmx else P | RW | US | A | D
        self.device_bits = 3 if self.vmx else P | RW | US | PWT | PCD | A | D | NX
        self.present = 7 if self.vmx else P

    def nested(self, part: str) -> "PcTables":
        return PcTables(self, self.part(part).nested & PC_ADDRESS, self.present)

    def host(self) -> "PcTables":
        return PcTables(self, self.layout.host_cr3, P)

    def loader(self, part: str) -> "PcTables":
        return PcTables(self, self.part(part).loader_cr3, P)

    def not_executable(self, part: str, address: int) -> None:
        if self.vmx:
            self.nested(part).change(address, clear=EPT_X)
        else:
            self.nested(part).change(address, set=NX)

    def free_page(self) -> int:
        """A 2 MiB block of RAM that nobody has."""
        taken = [(self.layout.hv_base, self.layout.hv_size), (0x50000000, 6 * MIB)]
        taken += [(m.pa, m.size) for p in ("alpha", "beta", "gamma") for i in range(self.part(p).memory_count)
                  for m in [self.memory(p, i)]]
        return next(a for a in [*range(0x7fe00000, 16 * MIB, -2 * MIB), *range(0x1ffe00000, 0x100000000, -2 * MIB)]
                    if all(a + 2 * MIB <= base or a >= base + size for base, size in taken))

    # Permission bitmaps

    def port(self, part: str, port: int, passes: bool) -> None:
        """The fixture's partitions have different ports, so each has a bitmap of its own."""
        self.flip(self.part(part).io_bitmap, port, passes)

    def msr(self, part: str, msr: int, write: bool, passes: bool) -> None:
        bank = {0: 0, 0xc0000000: 1, 0xc0010000: 2}[msr & ~0x1fff]
        number = msr & 0x1fff
        bit = (bank * 0x400 + write * 0x800) * 8 + number if self.vmx else bank * 0x800 * 8 + number * 2 + write
        self.flip(self.part(part).msr_bitmap, bit, passes)

    def flip(self, place: int, bit: int, passes: bool) -> None:
        at = self.offset(place) + bit // 8
        self.data[at] = self.data[at] & ~(1 << bit % 8) if passes else self.data[at] | 1 << bit % 8

    # Tables of the layout

    def cpuid(self, leaf: int) -> Any:
        pc = self.layout.pc
        before = {0: 0, 4: pc.cpuid_basic, 8: pc.cpuid_basic + pc.cpuid_hypervisor}[leaf >> 28]
        return self.view(Cpuid, pc.cpuid, before + (leaf & 0xffff))

    def msr_answer(self, index: int) -> Any:
        return self.view(Msr, self.layout.pc.msrs, index)

    def out(self, index: int) -> Any:
        return self.view(Out, self.layout.pc.off, index)

    # The boot block

    def boot(self, part: str) -> int:
        """Where in the image the boot block of a partition stands: behind all that it copies."""
        raw = self.part(part)
        pa = self.memory(part).pa + raw.dtb
        return next(b.source for i in range(raw.image_count) for b in [self.blob(part, i)] if b.target == pa)

    def boot_word(self, part: str, offset: int) -> int:
        return self.read64(self.boot(part) + offset)

    def table(self, part: str, signature: bytes) -> int:
        """An ACPI table by its signature."""
        start = self.boot(part)
        return start + self.bytes_at(start, 0x800).index(signature)

    def edit_table(self, part: str, signature: bytes, offset: int, data: bytes) -> None:
        """Changes bytes of an ACPI table and mends its checksum."""
        place = self.table(part, signature)
        self.put(place + offset, data)
        length = struct.unpack("<I", self.bytes_at(place + 4, 4))[0]
        self.put(place + 9, b"\0")
        self.put(place + 9, bytes([-sum(self.bytes_at(place, length)) & 0xff]))


class PcTables(Tables):
    """Four levels of 512 entries."""

    def __init__(self, image: PcImage, root: int, present: int) -> None:
        self.image, self.root, self.level, self.entries, self.present = image, root, 0, 512, present

    def path(self, address: int) -> Iterator[tuple[int, int]]:
        table = self.root
        for level in range(4):
            place = table + (address >> 39 - 9 * level & 511) * 8
            yield level, place
            entry = self.image.read64(place)
            if not entry & self.present or entry & LARGE or level == 3:
                return
            table = entry & PC_ADDRESS

    def map(self, address: int, target: int, attributes: int) -> None:
        level, place = self.find(address)
        assert self.image.read64(place) & self.present == 0, f"{address:#x} is mapped already"
        assert target % (1 << 39 - 9 * level) == 0
        self.image.write64(place, target | attributes | (0 if level == 3 else LARGE))
