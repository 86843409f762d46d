# SPDX-License-Identifier: Apache-2.0
"""A board without a devicetree: QEMU's virt as the planner sees it, with any amount of RAM."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from hvgen.model import Cpu, Device, Gic, Hardware, Interrupt, Region, Timer, Uart  # noqa: E402

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
