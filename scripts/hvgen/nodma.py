# SPDX-License-Identifier: Apache-2.0
"""Devices that are known to do no DMA: they have no bus master port.

A device is believed to do DMA unless its compatible stands here, and even then if its node names a DMA
channel (`dmas`) or stream IDs (`iommus`).  Sources: the technical reference manuals of Arm's PrimeCells (each
is an AMBA APB or AHB slave only), the Devicetree bindings of the other blocks (no `dmas`, registers only), and
for QEMU's own devices its documentation.
"""
from __future__ import annotations

from . import uarts
from .fdt import Node

# Exact names. The number is Arm's manual.
NO_DMA = frozenset((
    "arm,pl011", "arm,sbsa-uart",                        # DDI 0183, DEN0029: DMA only through `dmas`
    "arm,pl031",                                         # DDI 0224, real-time clock
    "arm,pl061",                                         # DDI 0190, GPIO
    "arm,sp804",                                         # DDI 0271, dual timer
    "arm,sp805", "arm,sbsa-gwdt",                        # DDI 0270, DEN0029: watchdogs
    "arm,pl050", "arm,pl022",                            # DDI 0143 keyboard/mouse, DDI 0194 SPI (DMA through `dmas`)
    "arm,pl180", "arm,pl181",                            # DDI 0172/0205, MMC through FIFO (`dmas` otherwise)
    "arm,armv7-timer-mem", "arm,mhu", "arm,mhuv2-tx", "arm,mhuv2-rx", "arm,scpi-shmem", "arm,scmi-shmem",
    "cfi-flash", "jedec-flash",                          # memory-like, no master (JESD68)
    "mmio-sram", "syscon",
    "fixed-clock", "fixed-factor-clock", "gpio-keys", "gpio-leds",
    "cdns,i2c-r1p10", "cdns,i2c-r1p14", "cdns,ttc", "cdns,wdt-r1p2", "cdns,spi-r1p6",
    "xlnx,zynqmp-gpio-1.0", "xlnx,zynq-gpio-1.0", "xlnx,versal-gpio-1.0", "xlnx,zynqmp-rtc", "xlnx,xps-timer-1.00.a",
    "snps,dw-apb-gpio", "snps,dw-apb-timer", "snps,dw-wdt", "snps,designware-i2c",
    "brcm,bcm2835-gpio", "brcm,bcm2711-gpio", "brcm,bcm2835-i2c", "brcm,bcm2835-pm", "brcm,bcm2835-rng", "brcm,bcm2711-rng200",
    "brcm,bcm2835-system-timer", "brcm,bcm2711-thermal",
    "maxim,ds1742", "motorola,mc146818",
    "qemu,vcpu-stall-detector",
))

# Kinds of blocks whose bindings give every vendor's variant such an ending, and none of them a master port.
NO_DMA_ENDINGS = ("-gpio", "-pinctrl", "-pwm", "-wdt", "-watchdog", "-rtc", "-thermal", "-tsensor", "-timer", "-iomuxc",
                  "-lpi2c", "-ccm", "-src", "-anatop", "-snvs", "-ocotp", "-efuse", "-clk", "-cru", "-gpt", "-tmu", "-saradc",
                  "-tsadc", "-reset", "-sysctrl", "-clock-controller", "-tcsr-mutex")

# Serial ports with a DMA engine of their own: every GENI engine has one, the bcm7271 has an arbiter in its node.
UARTS_WITH_DMA = frozenset(("qcom,geni-uart", "qcom,geni-debug-uart", "brcm,bcm7271-uart"))


def does_dma(node: Node) -> bool:
    """False only for what is known to do none."""
    if "reg" not in node:
        return False                                     # nothing that a partition could program
    if "dmas" in node or "iommus" in node:
        return True
    if uarts.kind_of(node) is not None:
        return node.is_a(*UARTS_WITH_DMA)                # the others: DMA only through `dmas`
    return not any(name in NO_DMA or name.endswith(NO_DMA_ENDINGS) for name in node.compatible)
