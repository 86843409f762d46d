# SPDX-License-Identifier: Apache-2.0
"""A linked image opened up: its layout as structures, its tables as descriptors, ready to be damaged.

The structures are written down here a third time, on purpose: the tests find out if generator, checker
and this file do not agree on what src/include/hv/layout.h says.
"""
from __future__ import annotations

import ctypes
import struct
import sys
from io import BytesIO
from pathlib import Path
from typing import Any, Callable, Iterator, TypeVar

from elftools.elf.elffile import ELFFile

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from hvgen.image import checksum  # noqa: E402

U16, U32, U64 = ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64

Plant = TypeVar("Plant", bound=Callable[[Any], None])

S2_RAM = 0x7fc              # AF, inner shareable, S2AP read and write, MemAttr write-back
S2_DEVICE = 0x4c4 | 1 << 54  # AF, S2AP read and write, MemAttr Device-nGnRE, XN
S2_WRITE = 1 << 7
PAGE_OR_TABLE, BLOCK = 3, 1
ADDRESS = 0x0000fffffffff000
XN = 1 << 54
RO = 1 << 7                 # stage 1, AP[2]
MIB = 1 << 20


class Struct(ctypes.LittleEndianStructure):
    _pack_ = 8


class Faults(list[tuple[str, Callable[[Any], None], set[str], str]]):
    """Faults to plant, as a decorator: the properties that one breaks, and a text that the report must have."""

    def __call__(self, *broken: str, says: str = "") -> Callable[[Plant], Plant]:
        def register(plant: Plant) -> Plant:
            self.append((plant.__name__, plant, set(broken), says))
            return plant
        return register


def structure(name: str, *fields: tuple[str, Any]) -> Any:
    return type(name, (Struct,), {"_fields_": list(fields)})


Cpu = structure("Cpu", ("mpidr", U64), ("stack_top", U64), ("redist", U64), ("partition", U16), ("vcpu", U16), ("pool", U16),
                ("place", U16))
Vcpu = structure("Vcpu", ("vmpidr", U64), ("mpidr", U64), ("cpu", U32), ("reserved", U32))
Server = structure("Server", ("budget_ns", U64), ("period_ns", U64), ("cpu", U32), ("core", U32), ("extra", U32), ("switch_ns", U32))
Memory = structure("Memory", ("ipa", U64), ("pa", U64), ("size", U64))
ImageBlob = structure("ImageBlob", ("source", U64), ("target", U64), ("size", U64))
Partition = structure(
    "Partition", ("name", U64), ("vttbr", U64), ("vtcr", U64), ("loader_ttbr", U64), ("root", U64), ("root_count", U32),
    ("irq_mode", U32), ("entry", U64), ("dtb", U64), ("vcpus", U64), ("memory", U64), ("images", U64), ("vcpu_count", U32),
    ("memory_count", U32), ("image_count", U32), ("on_fault", U32), ("sgi_base", U64), ("sgi_mask", U32), ("sgi_shift", U32),
    ("vuart_base", U64), ("vuart_intid", U32), ("vuart_reserved", U32), ("ppi_mask", U32), ("yaml_line", U32), ("spi", U32 * 32),
    ("doorbells", U64), ("doorbell_count", U32), ("monitor", U32), ("restart_limit", U32), ("watchdog_intid", U32),
    ("restart_window_ns", U64), ("watchdog", U64), ("watchdog_ns", U64), ("watchdog_boot_ns", U64), ("watchdog_cpu", U32),
    ("restart_then", U32), ("resets", U64), ("reset_count", U32), ("trap_wfi", U32), ("more", U64 * 4))
Device = structure("Device", ("base", U64), ("size", U64), ("name", U64), ("owner", U16), ("reserved", U16), ("yaml_line", U32))
Gic = structure("Gic", ("dist", U64), ("dist_size", U64), ("redist", U64 * 4), ("redist_size", U64 * 4), ("redist_count", U32),
                ("version", U32), ("redist_stride", U32), ("maintenance", U32), ("reserved", U32 * 2), ("cpu", U64), ("hyp", U64),
                ("vcpu", U64))
Uart = structure("Uart", ("base", U64), ("width", U32), ("intid", U32), ("tx", U32), ("tx_status", U32), ("tx_mask", U32),
                 ("tx_ready", U32), ("rx", U32), ("rx_status", U32), ("rx_mask", U32), ("rx_ready", U32), ("init_count", U32),
                 ("tx_pre_count", U32), ("regs", U32 * 18), ("rx_on_count", U32), ("rx_ack_used", U32))
Layout = structure("Layout", ("magic", U64), ("version", U32), ("cpu_count", U32), ("partition_count", U32), ("device_count", U32),
                   ("board", U64), ("banner", U64), ("hv_base", U64), ("hv_size", U64), ("el2_ttbr", U64), ("el2_tcr", U64),
                   ("pa_bits", U32), ("conduit", U32), ("console_cpu", U32), ("console_irq", U32), ("vtimer_intid", U32),
                   ("ptimer_intid", U32), ("htimer_intid", U32), ("slot_count", U32), ("cpus", U64), ("partitions", U64),
                   ("devices", U64), ("gic", Gic), ("uart", Uart), ("pools", U64), ("channels", U64), ("pool_count", U32),
                   ("channel_count", U32))
assert (ctypes.sizeof(Partition), ctypes.sizeof(Gic), ctypes.sizeof(Uart), ctypes.sizeof(Layout)) == (384, 128, 136, 416)


class Image:
    """The bytes of an ELF file, by physical address. What is read as a structure can be written through it."""

    LAYOUT, PARTITION, CPU, VCPU = Layout, Partition, Cpu, Vcpu

    def __init__(self, file: Path) -> None:
        self.data = bytearray(file.read_bytes())
        elf = ELFFile(BytesIO(bytes(self.data)))
        self.segments = [(s["p_paddr"], s["p_filesz"], s["p_offset"]) for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
        table = elf.get_section_by_name(".symtab")
        self.symbols = {s.name: s["st_value"] for s in table.iter_symbols()}
        self.layout = self.view(self.LAYOUT, self.symbols["layout"])

    def offset(self, pa: int) -> int:
        for base, size, start in self.segments:
            if base <= pa < base + size:
                return start + pa - base
        raise KeyError(f"{pa:#x} is not in the image")

    def view(self, kind: Any, pa: int, index: int = 0) -> Any:
        return kind.from_buffer(self.data, self.offset(pa) + index * ctypes.sizeof(kind))

    def read64(self, pa: int) -> int:
        return struct.unpack_from("<Q", self.data, self.offset(pa))[0]

    def write64(self, pa: int, value: int) -> None:
        struct.pack_into("<Q", self.data, self.offset(pa), value)

    def string(self, pa: int) -> str:
        start = self.offset(pa)
        return self.data[start:self.data.index(0, start)].decode()

    def put(self, pa: int, blob: bytes) -> None:
        start = self.offset(pa)
        self.data[start:start + len(blob)] = blob

    def bytes_at(self, pa: int, size: int) -> bytes:
        start = self.offset(pa)
        return bytes(self.data[start:start + size])

    # The layout

    def part(self, name: str) -> Any:
        for i in range(self.layout.partition_count):
            part = self.view(self.PARTITION, self.layout.partitions, i)
            if self.string(part.name) == name:
                return part
        raise KeyError(name)

    def cpu(self, index: int) -> Any:
        return self.view(self.CPU, self.layout.cpus, index)

    def vcpu(self, part: str, index: int) -> Any:
        return self.view(self.VCPU, self.part(part).vcpus, index)

    def memory(self, part: str, index: int = 0) -> Any:
        return self.view(Memory, self.part(part).memory, index)

    def blob(self, part: str, index: int) -> Any:
        return self.view(ImageBlob, self.part(part).images, index)

    def device(self, path: str) -> Any:
        for i in range(self.layout.device_count):
            device = self.view(Device, self.layout.devices, i)
            if self.string(device.name) == path:
                return device
        raise KeyError(path)

    def free_page(self) -> int:
        """A 2 MiB block of RAM that nobody has."""
        taken = [(self.layout.hv_base, self.layout.hv_size)]
        taken += [(m.pa, m.size) for p in ("alpha", "beta", "gamma") for m in [self.memory(p)]]
        taken += [(0x50000000, 6 * MIB)]
        return next(a for a in range(0x5fe00000, 0x40000000, -2 * MIB)
                    if all(a + 2 * MIB <= base or a >= base + size for base, size in taken))

    # Tables

    def stage2(self, part: str) -> "Tables":
        raw = self.part(part)
        return Tables(self, raw.vttbr & ADDRESS | raw.vttbr & 0xfc0, 2 - (raw.vtcr >> 6 & 3), raw.vtcr & 63)

    def el2(self, ttbr: int = 0) -> "Tables":
        bits = 64 - (self.layout.el2_tcr & 63)
        return Tables(self, ttbr or self.layout.el2_ttbr, 0 if bits > 39 else 1, 64 - bits)

    def loader(self, part: str) -> "Tables":
        return self.el2(self.part(part).loader_ttbr)

    def seal(self) -> None:
        """What `bulkhead image` does: the checksum over layout and tables."""
        start, end = self.symbols["__ro_tables_start"], self.symbols["__ro_tables_end"]
        self.write64(self.symbols["layout_checksum"], checksum(self.bytes_at(start, end - start)))


class Tables:
    """One set of tables, from its root."""

    def __init__(self, image: Image, root: int, level: int, tsz: int) -> None:
        self.image, self.root, self.level = image, root, level
        self.entries = 1 << (64 - tsz - (39 - 9 * level))

    def path(self, address: int) -> Iterator[tuple[int, int]]:
        """(level, where the descriptor stands) from the root to where the walk ends."""
        table, entries = self.root, self.entries
        for level in range(self.level, 4):
            place = table + (address >> 39 - 9 * level & entries - 1) * 8
            yield level, place
            descriptor = self.image.read64(place)
            if descriptor & 3 != 3:
                return
            table, entries = descriptor & ADDRESS, 512

    def find(self, address: int) -> tuple[int, int]:
        return list(self.path(address))[-1]

    def get(self, address: int) -> int:
        return self.image.read64(self.find(address)[1])

    def set(self, address: int, value: int) -> None:
        self.image.write64(self.find(address)[1], value)

    def change(self, address: int, clear: int = 0, set: int = 0) -> None:
        self.set(address, self.get(address) & ~clear | set)

    def map(self, address: int, target: int, attributes: int) -> None:
        """A leaf in an empty place, of the size that the place has."""
        level, place = self.find(address)
        assert self.image.read64(place) & 1 == 0, f"{address:#x} is mapped already"
        assert target % (1 << 39 - 9 * level) == 0
        self.image.write64(place, target | attributes | (PAGE_OR_TABLE if level == 3 else BLOCK))
