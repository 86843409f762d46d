# SPDX-License-Identifier: Apache-2.0
"""Plans of a small PC made by hand, for the tests of what comes after planning."""
from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Literal, Optional, Sequence

from samples import GIB, MIB, ROOT  # noqa: F401
from hvgen import pci
from hvgen.model import (Bar, Blob, Channel, ChannelEnd, Cpu, Device, DeviceSpec, Function, Hardware, ImageSpec, Interrupt, IoApic,
                         Mapping, MemorySpec, Out, Partition, Pc, Plan, PlanChannel, PlanCpu, PlanPartition, Region, Span, System,
                         Uart, Vuart)
from hvgen.pc import BOOT_BLOCK, RESET_CODE, RESET_ENTRY

COM1, COM2, RTC = "/serial@3f8", "/serial@2f8", "/rtc@70"
IOAPIC = IoApic("/interrupt-controller@fec00000", Region(0xfec00000, 0x1000), 24, 2)
FLASH = Region(0xfd000000, 0x2000)


def port_device(path: str, compatible: str, ports: Region, line: int) -> Device:
    return Device(path, (), (compatible,), (), (Interrupt(line, 1),), False, ports=(ports,))


DEVICES = (
    Device("/flash@fd000000", (), ("test,flash",), (FLASH,), (), False),
    Device(IOAPIC.path, (), ("intel,ioapic",), (IOAPIC.region,), (), False),
    port_device(RTC, "motorola,mc146818", Region(0x70, 2), 8),
    port_device(COM2, "ns16550a", Region(0x2f8, 8), 3),
    port_device(COM1, "ns16550a", Region(0x3f8, 8), 4),
)


def hardware(memory: Optional[Sequence[Region]] = None, apic_ids: Sequence[int] = (0, 1, 2, 3)) -> Hardware:
    uart = Uart(COM1, "ns16550", Region(0x3f8, 8), 4, 0, 0, 5, 0x20, 0x20, 0, 5, 1, 1, init=((3, 3), (2, 7), (4, 0xb)),
                rx_on=((1, 1),))
    pc = Pc(IOAPIC, 0x608, 0, (Out(0x604, 2, 0x2000),), (Out(0xcf9, 1, 2), Out(0xcf9, 1, 6)))
    banks = memory or (Region(0, 0xa0000), Region(MIB, 2 * GIB - MIB), Region(4 * GIB, 2 * GIB))
    return Hardware(name="test-pc", folder="", dtb_file="board.dtb", dtb=b"", model="a PC for tests", memory=tuple(banks),
                    reserved=(), cpus=tuple(Cpu(f"/cpus/cpu@{n:x}", n, ("amd,x86-64",), "") for n in apic_ids),
                    gic=None, timer=None, psci="none", uart=uart, devices=tuple(sorted(DEVICES, key=lambda d: d.path)),
                    by_name={}, iommus=(), pc=pc)


def ram_mapping(ipa: int, pa: int, size: int) -> Mapping:
    return Mapping(ipa, pa, size, "ram", "ram", Span("s.yaml", 5))


def partition(hw: Hardware, index: int, name: str, cpus: Sequence[int], ram: Sequence[Mapping], devices: Sequence[str] = (),
              vuart: bool = False, blobs: Sequence[Blob] = (), bootargs: str = "", initrd: Optional[Region] = None) -> PlanPartition:
    owned = [d for d in hw.devices if d.path in devices]
    specs = tuple(DeviceSpec(d.path, span=Span("s.yaml", 9)) for d in owned)
    mapped = [Mapping(r.base, r.base, r.size, "device", d.path, Span("s.yaml", 9)) for d in owned for r in d.regs]
    mappings = tuple(sorted([*ram, *mapped], key=lambda m: m.ipa))
    spec = Partition(name, tuple((c, Span("s.yaml", 4)) for c in cpus), MemorySpec(sum(m.size for m in ram)),
                     ImageSpec("linux" if initrd else "raw", "guest.bin", bootargs=bootargs), "direct", specs,
                     "vuart" if vuart else "", span=Span("s.yaml", 3 + 10 * index))
    boot = [Blob("boot", "", 0, 0, 0xf0000, ram[0].pa + 0xf0000),
            Blob("reset", "", 0, len(RESET_CODE), RESET_ENTRY, ram[0].pa + RESET_ENTRY, RESET_CODE)]
    top = max(m.ipa + m.size for m in mappings)
    return PlanPartition(index, name, index + 1, spec, tuple(cpus), True, tuple(ram), mappings, tuple(zip(owned, specs)),
                         (*blobs, *boot), 0x200000, BOOT_BLOCK.base, BOOT_BLOCK.size, initrd,
                         tuple(sorted(i.intid for d in owned for i in d.interrupts)), (), Vuart(0x3f8, 4) if vuart else None,
                         False, max(32, (top - 1).bit_length()), tuple(sorted(r for d in owned for r in d.ports)))


def plan(hw: Hardware, parts: Sequence[PlanPartition], vmm: Literal["svm", "vmx"] = "svm", hv: Optional[Region] = None) -> Plan:
    owner = {c: (p.index, v) for p in parts for v, c in enumerate(p.cpus)}
    cpus = tuple(PlanCpu(c, hw.cpus[c].mpidr, 0, *owner[c]) for c in sorted(owner))
    numbers = {c: i for i, c in enumerate(sorted(owner))}
    parts = [replace(p, cpus=tuple(numbers[c] for c in p.cpus)) for p in parts]
    system = System("s.yaml", "sample-x86", "test-pc", Span("s.yaml", 1), tuple(p.spec for p in parts))
    top = max(r.end for r in hw.memory)
    bits = next(b for b in (36, 40, 42, 44, 48) if top <= 1 << b)
    return Plan(hw, system, hv or Region(16 * MIB, 2 * MIB), 0, cpus, tuple(parts), 0, (), bits, vmm=vmm, trampoline=0x8000)


def one_partition(vmm: Literal["svm", "vmx"] = "svm", blobs: Sequence[Blob] = ()) -> Plan:
    """hello alone."""
    hw = hardware()
    hello = partition(hw, 0, "hello", [0], [ram_mapping(0, 32 * MIB, 16 * MIB)], vuart=True, blobs=blobs)
    return plan(hw, [hello], vmm)


def two_partitions(vmm: Literal["svm", "vmx"] = "svm", blobs: Sequence[Blob] = ()) -> Plan:
    """A Linux with RAM on both sides of the gap, two cores and the virtual UART; hello with COM2 and a flash."""
    hw = hardware(apic_ids=(0, 2, 4, 70))
    linux = partition(hw, 0, "linux", [0, 3], [ram_mapping(0, 64 * MIB, GIB), ram_mapping(4 * GIB, 5 * GIB, 3 * MIB)],
                      vuart=True, bootargs="console=ttyS0 quiet", initrd=Region(0x2000000, 123456), blobs=blobs)
    hello = partition(hw, 1, "hello", [1], [ram_mapping(0, 32 * MIB, 16 * MIB)], [COM2, "/flash@fd000000"])
    return plan(hw, [linux, hello], vmm)


def with_channels() -> Plan:
    """a and b on three channels, one of them without doorbells; c on none."""
    hw = hardware()
    bells = ((5, 10), (6, 11), ())
    parts = [replace(partition(hw, n, name, [n], [ram_mapping(0, (32 + 16 * n) * MIB, 16 * MIB)]), bells=bells[n])
             for n, name in enumerate("abc")]

    def channel(number: int, name: str, size: int, lines: tuple[int, int]) -> PlanChannel:
        spec = Channel(name, size, "a", ("b",), (), lines != (0, 0), members=(("a", Span("s.yaml", 40)), ("b", Span("s.yaml", 40))))
        ends = (ChannelEnd(0, "writer", lines[0], (1 << 16 | lines[1],) if lines[1] else ()),
                ChannelEnd(1, "reader", lines[1], (lines[0],) if lines[0] else ()))
        at = 0x80000000 + number * 0x100000
        return PlanChannel(name, spec, at, 128 * MIB + number * MIB, at + 0x80000 if spec.doorbell else 0, ends)

    return replace(plan(hw, parts), channels=(channel(0, "telemetry", 0x10000, (5, 6)), channel(1, "picture", 0x1000, (0, 0)),
                                              channel(2, "orders", 0x1000, (10, 11))))


def card(slot: int, bars: Sequence[Bar], line: int, bus: int = 0, pin: int = 1) -> Device:
    """A PCI function of its own slot."""
    found = Function(bus << 8 | slot << 3, 0x11e81234, tuple(bars), pin, False)
    return Device(f"/pcie@b0000000/card@{bus:x},{slot:x}", (), ("pci1234,11e8",), pci.regions(found, False),
                  (Interrupt(line, 8),) if pin else (), True, ports=pci.regions(found, True), function=found)


def cards(vmm: Literal["svm", "vmx"] = "svm") -> Plan:
    """Two partitions: one with functions on two buses, one with a function and a serial port."""
    hw = hardware()
    many = (card(3, [Bar(0, Region(0xd0000000, 0x4000), False, False, False), Bar(1, Region(0xd000, 0x40), True, False, False)], 17),
            card(4, [Bar(2, Region(0x800000000, 1 << 32), False, True, True)], 18, pin=3),
            card(5, [Bar(5, Region(0xe000, 4), True, False, False)], 0, pin=0),
            card(0, [Bar(0, Region(0xd1000000, 0x1000), False, False, False)], 19, bus=3))
    hw = replace(hw, devices=tuple(sorted((*hw.devices, *many), key=lambda d: d.path)))
    one = partition(hw, 0, "one", [0], [ram_mapping(0, 32 * MIB, 16 * MIB)], [many[0].path, many[2].path, many[3].path], vuart=True)
    two = partition(hw, 1, "two", [1], [ram_mapping(0, 64 * MIB, 16 * MIB)], [many[1].path, COM2])
    return plan(hw, [one, two], vmm)


CORE_C = """
#include <stdint.h>
extern char counter[4096];
char counter[4096];
uint64_t seen = 7;
__attribute__((section(".bss.late"), aligned(64))) char late[100];
extern const uint64_t x; const uint64_t x = 5;
int f(void); int f(void) { return (int)seen + counter[3]; }
"""


def stub_core(folder: Path) -> str:
    """A core.o with a little of everything."""
    source, out = folder / "core.c", folder / "core.o"
    source.write_text(CORE_C)
    subprocess.run(["gcc", "-O1", "-ffreestanding", "-fno-pic", "-mcmodel=small", "-fno-asynchronous-unwind-tables", "-c",
                    "-o", str(out), str(source)], check=True)
    return str(out)
