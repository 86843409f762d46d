# SPDX-License-Identifier: Apache-2.0
"""A linked image for x86 opened up, as planter.py does it for ARM64."""
from __future__ import annotations

import ctypes
import struct
from pathlib import Path
from typing import Any, Iterator

from planter import MIB, U16, U32, U64, Cpu, Image, Layout, Partition, Tables, Vcpu, structure


def of_x86(name: str, common: Any, renamed: dict[str, str], replaced: str = "", by: tuple[tuple[str, Any], ...] = ()) -> Any:
    """A structure with the members of its unions that x86 has."""
    fields: list[tuple[str, Any]] = []
    for field in common._fields_:
        fields += by if field[0] == replaced else [(renamed.get(field[0], field[0]), field[1])]
    return structure(name, *fields)


PcPartition = of_x86(
    "PcPartition", Partition, {"vttbr": "nested", "vtcr": "asid", "loader_ttbr": "loader_cr3", "vuart_base": "vuart_port",
                               "vuart_intid": "vuart_line"}, "spi",
    (("io_bitmap", U64), ("msr_bitmap", U64), ("lines", U64), ("apic_ids", U64 * 8), ("bells", U64), ("reserved_pc", U64 * 4)))
PcCpu = of_x86("PcCpu", Cpu, {"mpidr": "apic_id", "redist": "vmm"})
PcVcpu = of_x86("PcVcpu", Vcpu, {"mpidr": "apic_id"})
Pc = structure("Pc", ("ioapic", U64), ("ioapic_lines", U32), ("pit_line", U32), ("tsc_hz", U64), ("trampoline", U64), ("cpuid", U64),
               ("msrs", U64), ("off", U64), ("cpuid_basic", U32), ("cpuid_hypervisor", U32), ("cpuid_extended", U32),
               ("msr_count", U32), ("off_count", U32), ("reset_count", U32), ("pm_timer", U32), ("vendor", U32),
               ("functions", U64), ("function_count", U32), ("reserved", U32 * 7))
PcLayout = of_x86("PcLayout", Layout, {"el2_ttbr": "host_cr3"}, "gic", (("pc", Pc),))
Cpuid = structure("Cpuid", ("keep", U32 * 4), ("set", U32 * 4))
Msr = structure("Msr", ("first", U32), ("last", U32), ("read", U32), ("write", U32), ("value", U64))
Function = structure("Function", ("name", U64), ("partition", U16), ("address", U16), ("id", U32), ("command", U32), ("interrupt", U32),
                     ("bar", U32 * 6), ("sizes", U32 * 6))
Out = structure("Out", ("port", U16), ("width", U16), ("value", U32))
assert ctypes.sizeof(Pc) == 128
assert (ctypes.sizeof(PcPartition), ctypes.sizeof(PcLayout)) == (ctypes.sizeof(Partition), ctypes.sizeof(Layout))

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

    def function(self, index: int) -> Any:
        return self.view(Function, self.layout.pc.functions, index)

    # The boot block

    def at_guest(self, part: str, ipa: int) -> int:
        """Where in the image the bytes stand that are copied to a guest address, the first of a blob."""
        raw = self.part(part)
        pa = self.memory(part).pa + ipa
        return next(b.source for i in range(raw.image_count) for b in [self.blob(part, i)] if b.target == pa)

    def boot(self, part: str) -> int:
        """Where in the image the boot block of a partition stands."""
        return self.at_guest(part, self.part(part).dtb)

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
