# SPDX-License-Identifier: Apache-2.0
"""Boards without a devicetree, as the planner sees them: QEMU's virt with any amount of RAM, and a PC."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from hvgen.model import Cpu, Device, Gic, Hardware, Interrupt, IoApic, Out, Pc, Region, Timer, Uart  # noqa: E402

GIB = 1 << 30
MIB = 1 << 20
PL011 = dict(kind="pl011", width=4, tx=0, tx_status=0x18, tx_mask=0x20, tx_ready=0,
             rx=0, rx_status=0x18, rx_mask=0x10, rx_ready=0)


def device(path: str, regs: list[tuple[int, int]], intids: list[int], compatible: str, **rest: Any) -> Device:
    return Device(path=path, labels=(), compatible=(compatible,), regs=tuple(Region(*r) for r in regs),
                  interrupts=tuple(Interrupt(i, 4) for i in intids),
                  **{"dma": False, **rest})


def devices() -> tuple[Device, ...]:
    slots = [device(f"/virtio_mmio@{0xa000000 + n * 0x200:x}", [(0xa000000 + n * 0x200, 0x200)], [48 + n],
                    "virtio,mmio", dma=True) for n in range(32)]
    fixed = [
        device("/intc@8000000", [(0x8000000, 0x10000), (0x80a0000, 0xf60000)], [25], "arm,gic-v3"),
        device("/pl011@9000000", [(0x9000000, 0x1000)], [33], "arm,pl011"),
        device("/pl031@9010000", [(0x9010000, 0x1000)], [34], "arm,pl031"),
        device("/pl061@9030000", [(0x9030000, 0x1000)], [39], "arm,pl061"),
        device("/pmu", [], [23], "arm,armv8-pmuv3"),
        device("/timer", [], [29, 30, 27, 26], "arm,armv8-timer"),
        device("/off@9050000", [(0x9050000, 0x1000)], [41], "arm,pl031", enabled=False),
    ]
    return tuple(sorted(fixed + slots, key=lambda d: d.path))


def board(ram: int = GIB, cpus: int = 4, **changes: Any) -> Hardware:
    """QEMU's virt with GICv3."""
    gic = Gic(3, "/intc@8000000", Region(0x8000000, 0x10000), (Region(0x80a0000, 0xf60000),), 0x20000,
              None, None, None, 25, (Region(0x8000000, 0x10000), Region(0x80a0000, 0xf60000)))
    uart = Uart(path="/pl011@9000000", region=Region(0x9000000, 0x1000), intid=33, **PL011)
    fields: dict[str, Any] = dict(
        name="virt", folder="boards/virt", dtb_file="virt.dtb", dtb=b"", model="linux,dummy-virt",
        memory=(Region(GIB, ram),), reserved=(),
        cpus=tuple(Cpu(f"/cpus/cpu@{n}", n, ("arm,cortex-a57",), "psci") for n in range(cpus)),
        gic=gic, timer=Timer("/timer", 27, 30, 26), psci="smc", uart=uart, devices=devices(),
        by_name={"rtc": "/pl031@9010000", "gpio": "/pl061@9030000", "serial0": "/pl011@9000000"}, iommus=())
    return Hardware(**{**fields, **changes})


# ---------------------------------------------------------------- a PC

NS16550 = dict(kind="ns16550", width=0, tx=0, tx_status=5, tx_mask=0x20, tx_ready=0x20,
               rx=0, rx_status=5, rx_mask=1, rx_ready=1)


def port_device(path: str, ports: list[tuple[int, int]], lines: list[int], compatible: str, **rest: Any) -> Device:
    return Device(path=path, labels=(), compatible=(compatible,), regs=(), ports=tuple(Region(*p) for p in ports),
                  interrupts=tuple(Interrupt(line, 1) for line in lines), **{"dma": False, **rest})


def pc_devices() -> tuple[Device, ...]:
    return (
        port_device("/fw-cfg@510", [(0x510, 12)], [], "qemu,fw-cfg-io", dma=True),
        device("/interrupt-controller@fec00000", [(0xfec00000, 0x1000)], [], "intel,ioapic", dma=True),
        device("/pcie@b0000000", [(0xb0000000, 1 << 28)], [], "pci-host-ecam-generic", dma=True),
        device("/pcie@b0000000/disk@2,0", [], [22], "pci8086,2922", dma=True),
        port_device("/rtc@70", [(0x70, 2)], [8], "motorola,mc146818"),
        port_device("/serial@2f8", [(0x2f8, 8)], [3], "ns16550a"),
        port_device("/serial@3f8", [(0x3f8, 8)], [4], "ns16550a"),
        port_device("/timer@40", [(0x40, 4)], [2], "intel,i8254"),
        port_device("/timer@608", [(0x608, 4)], [], "acpi,pm-timer"),
    )


def pc_memory(ram: int) -> tuple[Region, ...]:
    """As on q35: what is more than 2 GiB lies above 4 GiB."""
    low = (Region(0, 0xa0000), Region(MIB, min(ram, 2 * GIB) - MIB))
    return (*low, Region(4 * GIB, ram - 2 * GIB)) if ram > 2 * GIB else low


def pc(ram: int = 4 * GIB, cpus: int = 4, vendor: str = "amd", **changes: Any) -> Hardware:
    """QEMU's q35."""
    fields: dict[str, Any] = dict(
        name="pc", folder="boards/pc", dtb_file="pc.dtb", dtb=b"", model="QEMU q35",
        memory=pc_memory(ram), reserved=((Region(0, MIB), "BIOS"),),
        cpus=tuple(Cpu(f"/cpus/cpu@{n}", n, (f"{vendor},x86-64",), "") for n in range(cpus)),
        gic=None, timer=None, psci="none", uart=Uart(path="/serial@3f8", region=Region(0x3f8, 8), intid=4, **NS16550),
        devices=pc_devices(), by_name={"com1": "/serial@3f8", "com2": "/serial@2f8", "rtc": "/rtc@70"}, iommus=(),
        pc=Pc(IoApic("/interrupt-controller@fec00000", Region(0xfec00000, 0x1000), 24, 2), 0x608, 0,
              (Out(0x604, 2, 0x2000),), (Out(0xcf9, 1, 6),)))
    return Hardware(**{**fields, **changes})
