# SPDX-License-Identifier: Apache-2.0
"""Serial ports as data: devicetree compatible -> the fields of struct layout_uart.

The hypervisor has one driver of a few lines that sends when (status & mask) == ready; what differs
between controllers stands here.  The firmware has set baud rate and line format; `init` only switches
the transmitter and receiver on where firmware may have left them off, and masks interrupts.
A controller with `rx_mask` 0 is used for output only (its receiver needs more than one register).

Facts are from the manual or the public driver named in `source`.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from .addresses import IO_PORTS
from .fdt import Node
from .model import Region, Uart

Writes = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Kind:
    """One kind of controller; the fields are those of model.Uart."""
    kind: str
    source: str
    tx: int
    tx_status: int
    tx_mask: int
    tx_ready: int
    rx: int = 0
    rx_status: int = 0
    rx_mask: int = 0
    rx_ready: int = 1                  # with mask 0 never true: output only
    width: int = 4
    init: Writes = ()
    rx_on: Writes = ()
    tx_pre: Writes = ()
    rx_ack: Optional[tuple[int, int]] = None


def _same(kind: Kind) -> Callable[[Node], Kind]:
    return lambda node: kind


# ---------------------------------------------------------------- Arm

# FR 0x18: TXFF bit 5, RXFE bit 4; CR 0x30: UARTEN, TXE, RXE; IMSC 0x38: RXIM bit 4, RTIM bit 6. Reading the data
# register until it is empty takes both interrupts back, so nothing is to be acknowledged.
PL011 = Kind("pl011", "Arm DDI 0183, PrimeCell UART (PL011) TRM, chapter 3.3",
             tx=0x00, tx_status=0x18, tx_mask=0x20, tx_ready=0x00,
             rx=0x00, rx_status=0x18, rx_mask=0x10, rx_ready=0x00,
             init=((0x38, 0), (0x30, 0x301)), rx_on=((0x38, 0x50),))

SBSA = Kind("sbsa-uart", "Arm DEN0029 (SBSA), generic UART: a PL011 without control and baud registers",
            tx=0x00, tx_status=0x18, tx_mask=0x20, tx_ready=0x00,
            rx=0x00, rx_status=0x18, rx_mask=0x10, rx_ready=0x00,
            init=((0x38, 0),), rx_on=((0x38, 0x50),))


# ---------------------------------------------------------------- 16550 and its many relatives

def _ns16550(source: str, shift: int = 0, width: int = 1, ier: int = 0x01) -> Callable[[Node], Kind]:
    """RBR/THR 0, IER 1, LSR 5 (THRE bit 5, DR bit 0), each times 1 << reg-shift."""
    def of(node: Node) -> Kind:
        if IO_PORTS in node:
            return _pc16550(node)
        step = 1 << node.cell("reg-shift", shift)
        start = node.cell("reg-offset", 0)
        return Kind("ns16550", source,
                    tx=start, tx_status=start + 5 * step, tx_mask=0x20, tx_ready=0x20,
                    rx=start, rx_status=start + 5 * step, rx_mask=0x01, rx_ready=0x01,
                    width=4 if node.cell("reg-io-width", width) == 4 else 1,
                    init=((start + step, 0),), rx_on=((start + step, ier),))
    return of


def _pc16550(node: Node) -> Kind:
    """A PC's serial port: bytes at consecutive I/O ports, and often nobody has set its rate before.

    LCR 3 (DLAB bit 7, 8N1 0x03), divisor latch 0 while DLAB is set (its high byte is 0 at every rate above 450 baud, and
    stays), FCR 2 (FIFOs on). MCR 4: DTR, RTS, and OUT2 (bit 3), which on PCs lets the interrupt out of the chip.
    """
    divisor = node.cell("clock-frequency", 1843200) // (16 * (node.cell("current-speed", 0) or 115200))
    rate: Writes = ((3, 0x83), (0, divisor)) if 1 <= divisor <= 0xff else ()
    return Kind("ns16550", "TI PC16550D data sheet; I/O ports and OUT2 as in IBM's PC AT", width=0,
                tx=0, tx_status=5, tx_mask=0x20, tx_ready=0x20, rx=0, rx_status=5, rx_mask=0x01, rx_ready=0x01,
                init=(*rate, (3, 0x03), (2, 0x01)), rx_on=((4, 0x0b), (1, 0x01)))


NS16550 = _ns16550("TI PC16550D data sheet; devicetree binding serial/8250")
DW_APB = _ns16550("Synopsys DesignWare DW_apb_uart data book; Linux drivers/tty/serial/8250/8250_dw.c")
SHIFT2 = _ns16550("16550 with 32-bit register spacing; Linux drivers/tty/serial/8250 (8250_of, 8250_mtk, 8250_omap, 8250_tegra)", 2, 4)
# Bits 2 and 3 of the interrupt enable register must be set as well to receive interrupts.
BCM_AUX = _ns16550("BCM2835 ARM Peripherals, chapter 2 (mini UART), with its published errata", 2, 4, 0x0d)


# ---------------------------------------------------------------- others, by vendor

# SR 0x2c: TXFULL bit 4, RXEMPTY bit 1; CR 0x00: RX_EN bit 2, TX_EN bit 4; IDR 0x0c; IER 0x08; ISR 0x14; RTRIG 0x20.
CADENCE = Kind("cadence", "Xilinx UG1087, UART module; Linux drivers/tty/serial/xilinx_uartps.c",
               tx=0x30, tx_status=0x2c, tx_mask=0x10, tx_ready=0x00,
               rx=0x30, rx_status=0x2c, rx_mask=0x02, rx_ready=0x00,
               init=((0x00, 0x14), (0x0c, 0x1fff), (0x20, 1)), rx_on=((0x08, 0x01),), rx_ack=(0x14, 0x01))

# UTS 0xb4: TXFULL bit 4, RXEMPTY bit 5; UCR1 0x80: UARTEN; UCR2 0x84: no flow control, 8 bits, TXEN, RXEN, out of reset;
# UCR4 0x8c: DREN bit 0 (interrupt while the receiver has data), CTSTL 32.
IMX = Kind("imx", "NXP IMX8MMRM chapter 16.2; Linux drivers/tty/serial/imx.c",
           tx=0x40, tx_status=0xb4, tx_mask=0x10, tx_ready=0x00,
           rx=0x00, rx_status=0xb4, rx_mask=0x20, rx_ready=0x00,
           init=((0x80, 0x01), (0x84, 0x4027), (0x8c, 0x8000)), rx_on=((0x8c, 0x8001),))


def _lpuart(base: int) -> Kind:
    """STAT: TDRE bit 23, RDRF bit 21; CTRL: RIE bit 21, TE bit 19, RE bit 18."""
    stat, ctrl, data = base + 0x04, base + 0x08, base + 0x0c
    return Kind("lpuart", "NXP IMX8DQXPRM chapter LPUART; Linux drivers/tty/serial/fsl_lpuart.c",
                tx=data, tx_status=stat, tx_mask=1 << 23, tx_ready=1 << 23,
                rx=data, rx_status=stat, rx_mask=1 << 21, rx_ready=1 << 21, rx_on=((ctrl, 0x2c0000),))


# UTRSTAT 0x10: bit 0 data received; UFSTAT 0x18: bit 24 transmit FIFO full; UINTM 0x38, UINTP 0x30: bit 0 receive.
EXYNOS = Kind("exynos", "Linux drivers/tty/serial/samsung_tty.c, include/linux/serial_s3c.h",
              tx=0x20, tx_status=0x18, tx_mask=1 << 24, tx_ready=0,
              rx=0x24, rx_status=0x10, rx_mask=1, rx_ready=1,
              init=((0x38, 0xf),), rx_on=((0x38, 0xe),), rx_ack=(0x30, 1))
# The same registers; interrupts are enabled elsewhere.
S5L = Kind("s5l", "Linux drivers/tty/serial/samsung_tty.c (apple,s5l-uart)",
           tx=0x20, tx_status=0x10, tx_mask=0x02, tx_ready=0x02, rx=0x24, rx_status=0x10, rx_mask=1, rx_ready=1)

# STATUS 0x0c: TX_FULL bit 21, RX_EMPTY bit 20; CONTROL 0x08: RX_INT 27, two wires 15, RX_EN 13, TX_EN 12; MISC 0x10: RX count.
MESON = Kind("meson", "Amlogic S905X data sheet, UART; Linux drivers/tty/serial/meson_uart.c",
             tx=0x00, tx_status=0x0c, tx_mask=1 << 21, tx_ready=0,
             rx=0x04, rx_status=0x0c, rx_mask=1 << 20, rx_ready=0,
             rx_on=((0x10, 0x2001), (0x08, 0x0800b000)))

# A transfer of one character is started for each: wait until no command runs, length, START_TX, FIFO.
GENI = Kind("geni", "Linux drivers/tty/serial/qcom_geni_serial.c, include/linux/soc/qcom/geni-se.h",
            tx=0x700, tx_status=0x40, tx_mask=0x01, tx_ready=0x00, tx_pre=((0x270, 1), (0x600, 1 << 27)))

# SR: TX_EMPTY bit 3; the number of characters is announced in NCF_TX 0x40.
MSM_UARTDM14 = Kind("msm-uartdm", "Linux drivers/tty/serial/msm_serial.c, U-Boot drivers/serial/serial_msm.c (v1.4)",
                    tx=0x100, tx_status=0xa4, tx_mask=0x08, tx_ready=0x08, tx_pre=((0x40, 1),))
MSM_UARTDM13 = Kind("msm-uartdm", "Linux drivers/tty/serial/msm_serial.c (v1.1 to v1.3)",
                    tx=0x70, tx_status=0x08, tx_mask=0x08, tx_ready=0x08, tx_pre=((0x40, 1),))

# STAT 0x0c: TX_FIFO_FULL bit 11, RX_RDY bit 4; CTRL 0x08: RX_RDY_INT bit 4.
MVEBU = Kind("mvebu", "Linux drivers/tty/serial/mvebu-uart.c (standard UART)",
             tx=0x04, tx_status=0x0c, tx_mask=1 << 11, tx_ready=0,
             rx=0x00, rx_status=0x0c, rx_mask=1 << 4, rx_ready=1 << 4, rx_on=((0x08, 0x10),))

# SCFDR 0x1c: transmit count in 12:8, 16 is full. Status registers have 16 bits, the transmit FIFO 8.
SCIF = Kind("scif", "Renesas R-Car Gen3 hardware manual, SCIF; Linux drivers/tty/serial/sh-sci.c",
            tx=0x0c, tx_status=0x1c, tx_mask=0x1000, tx_ready=0x0000, width=2)

# STS1 0x0c: transmit count in 15:8, receive count in 7:0.
SPRD = Kind("sprd", "Linux drivers/tty/serial/sprd_serial.c",
            tx=0x00, tx_status=0x0c, tx_mask=0xff00, tx_ready=0)

# STAT 0x0c: TFFU bit 6, RFEM bit 5, RIP bit 0 (write 1 to clear); CTL 0x00: RXIE bit 18, EN bit 15, 8 data bits.
OWL = Kind("owl", "Linux drivers/tty/serial/owl-uart.c",
           tx=0x08, tx_status=0x0c, tx_mask=0x40, tx_ready=0, rx=0x04, rx_status=0x0c, rx_mask=0x20, rx_ready=0,
           rx_on=((0x00, 0x48003),), rx_ack=(0x0c, 0x01))

# ISR 0x1c: TXE bit 7, RXNE bit 5; CR1 0x00: RXNEIE bit 5, TE bit 3, RE bit 2, UE bit 0.
STM32 = Kind("stm32", "ST RM0436, USART; Linux drivers/tty/serial/stm32-usart.c",
             tx=0x28, tx_status=0x1c, tx_mask=0x80, tx_ready=0x80, rx=0x24, rx_status=0x1c, rx_mask=0x20, rx_ready=0x20,
             rx_on=((0x00, 0x2d),))

# STA 0x14: transmit FIFO full bit 9, receive buffer full bit 0; INTEN 0x10.
ST_ASC = Kind("st-asc", "Linux drivers/tty/serial/st-asc.c",
              tx=0x04, tx_status=0x14, tx_mask=0x200, tx_ready=0, rx=0x08, rx_status=0x14, rx_mask=0x01, rx_ready=0x01,
              init=((0x10, 0),), rx_on=((0x10, 0x01),))

# UARTDR 0x00 as on a 16550 with 32-bit spacing, but IER, LCR and MCR share words.
UNIPHIER = Kind("uniphier", "U-Boot drivers/serial/serial_uniphier.c",
                tx=0x00, tx_status=0x14, tx_mask=0x20, tx_ready=0x20, rx=0x00, rx_status=0x14, rx_mask=0x01, rx_ready=0x01,
                init=((0x04, 0),), rx_on=((0x04, 0x01),))

# The Tegra combined UART is a mailbox: bit 31 triggers, 25:24 hold the byte count; it cannot be written as plain data.

KINDS: dict[str, Callable[[Node], Kind]] = {
    "arm,pl011": _same(PL011),
    "arm,sbsa-uart": _same(SBSA),
    "ns16550": NS16550, "ns16550a": NS16550, "ns16450": NS16550, "ns8250": NS16550, "ns16750": NS16550, "ns16850": NS16550,
    "fsl,ns16550": NS16550, "fsl,16550-FIFO64": NS16550,
    "snps,dw-apb-uart": DW_APB, "marvell,armada-38x-uart": DW_APB,
    "nvidia,tegra20-uart": SHIFT2, "nvidia,tegra186-hsuart": SHIFT2, "nvidia,tegra194-hsuart": SHIFT2, "nvidia,tegra30-hsuart": SHIFT2,
    "nvidia,tegra20-hsuart": SHIFT2, "mediatek,mt6577-uart": SHIFT2, "ti,am654-uart": SHIFT2, "ti,omap4-uart": SHIFT2,
    "ti,am4372-uart": SHIFT2, "nuvoton,wpcm450-uart": SHIFT2, "nuvoton,npcm750-uart": SHIFT2, "nuvoton,npcm845-uart": SHIFT2,
    "mrvl,mmp-uart": SHIFT2, "intel,xscale-uart": SHIFT2, "brcm,bcm7271-uart": SHIFT2,
    "brcm,bcm2835-aux-uart": BCM_AUX,
    "cdns,uart-r1p8": _same(CADENCE), "cdns,uart-r1p12": _same(CADENCE), "xlnx,xuartps": _same(CADENCE), "xlnx,zynqmp-uart": _same(CADENCE),
    "fsl,imx6q-uart": _same(IMX), "fsl,imx21-uart": _same(IMX), "fsl,imx53-uart": _same(IMX),
    "fsl,imx7ulp-lpuart": _same(_lpuart(0x10)), "fsl,imx8qxp-lpuart": _same(_lpuart(0x10)), "fsl,imx8ulp-lpuart": _same(_lpuart(0x10)),
    "fsl,imxrt1050-lpuart": _same(_lpuart(0x10)), "fsl,ls1028a-lpuart": _same(_lpuart(0)),
    "samsung,exynos4210-uart": _same(EXYNOS), "samsung,exynos5433-uart": _same(EXYNOS), "samsung,exynos850-uart": _same(EXYNOS),
    "apple,s5l-uart": _same(S5L),
    "amlogic,meson-uart": _same(MESON), "amlogic,meson-gx-uart": _same(MESON), "amlogic,meson-ao-uart": _same(MESON),
    "amlogic,meson-s4-uart": _same(MESON), "amlogic,meson-g12a-uart": _same(MESON),
    "qcom,geni-debug-uart": _same(GENI), "qcom,geni-uart": _same(GENI),
    "qcom,msm-uartdm-v1.4": _same(MSM_UARTDM14), "qcom,msm-uartdm-v1.3": _same(MSM_UARTDM13), "qcom,msm-uartdm": _same(MSM_UARTDM13),
    "marvell,armada-3700-uart": _same(MVEBU),
    "renesas,scif": _same(SCIF), "renesas,rcar-gen3-scif": _same(SCIF), "renesas,rcar-gen4-scif": _same(SCIF),
    "renesas,scif-r9a07g044": _same(SCIF),
    "sprd,sc9836-uart": _same(SPRD), "sprd,sc9860-uart": _same(SPRD),
    "actions,owl-uart": _same(OWL), "actions,s900-uart": _same(OWL), "actions,s700-uart": _same(OWL),
    "st,stm32f7-uart": _same(STM32), "st,stm32h7-uart": _same(STM32),
    "st,asc": _same(ST_ASC),
    "socionext,uniphier-uart": _same(UNIPHIER),
}


def kind_of(node: Node) -> Optional[Kind]:
    """The first of the node's compatibles that the table knows; they go from special to general."""
    for name in node.compatible:
        if name in KINDS:
            return KINDS[name](node)
    return None


def describe(node: Node, region: Region, intid: int) -> Optional[Uart]:
    """The hypervisor's console on this node, or None if the table does not know the controller."""
    kind = kind_of(node)
    if kind is None:
        return None
    receives = kind.rx_mask != 0 and bool(kind.rx_on)
    return Uart(path=node.path, kind=kind.kind, region=region, intid=intid if receives else 0, width=kind.width,
                tx=kind.tx, tx_status=kind.tx_status, tx_mask=kind.tx_mask, tx_ready=kind.tx_ready,
                rx=kind.rx, rx_status=kind.rx_status, rx_mask=kind.rx_mask, rx_ready=kind.rx_ready,
                init=kind.init, rx_on=kind.rx_on, tx_pre=kind.tx_pre, rx_ack=kind.rx_ack)
