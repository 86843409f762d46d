# SPDX-License-Identifier: Apache-2.0
"""Rules that only a PC knows: I/O ports, and addresses that are the same in every guest.

On another board each of these checks finds nothing.
"""
from __future__ import annotations

from typing import Iterator, Optional

from . import guest_acpi, pc, pci
from .diag import Diagnostic, hex_range, size_text
from .hardware_x86 import KEPT
from .model import Device, Hardware, Region
from .place import overlap, pages
from .rulecase import Case, Given

# Rules for what hardware_x86.py says is kept, by compatible; the others' is DEV-BOARD.
RULE_OF = {"intel,ioapic": "DEV-GIC", "intel,i8259": "DEV-GIC", "intel,i8254": "DEV-TIMER", "acpi,pm-timer": "DEV-TIMER"}

SLEEP = Region(guest_acpi.SLEEP_CONTROL, guest_acpi.SLEEP_STATUS + 1 - guest_acpi.SLEEP_CONTROL)   # emulated

# Ports through which a guest could do something to all of the board, and what.
BOARD_PORTS = (
    (Region(0x64, 1), "at port 0x64 it can reset the board"),                 # 8042, command 0xfe
    (Region(0x92, 1), "at port 0x92 it can reset the board"),                 # system control port A, bit 0
    (Region(0xb2, 2), "it makes the firmware act in system management mode"),  # APM_CNT, APM_STS
    (Region(0xcf8, 8), "it configures all PCI functions, and can reset the board"),
)
KEPT_FIX = {
    "DEV-GIC": "remove it: a partition with devices or a virtual UART sees an I/O APIC of its own",
    "DEV-TIMER": "remove it: every core has the timer of its local APIC",
    "DEV-CONSOLE": "use 'console: vuart', or choose another console in board.yaml",
    "DEV-BOARD": "remove it: whoever has it has power over the whole board",
}


# ---------------------------------------------------------------- interrupts

def irq_virtual(case: Case) -> Iterator[Diagnostic]:
    for part in case.system.partitions:
        if case.hardware.pc and part.use is None and part.interrupts == "virtual" and part.interrupts_span:
            yield Diagnostic("IRQ-VIRTUAL", part.interrupts_span, f"partition '{part.name}' asks for virtual interrupts: on "
                             "x86 each core takes its own, without an exit", fix="leave 'interrupts:' out, or say 'direct'")


# ---------------------------------------------------------------- memory

def mem_fixed_in_guest(case: Case) -> Iterator[Diagnostic]:
    if case.hardware.pc is None:
        return
    for part in case.system.partitions:
        memory = part.memory
        if memory.guest is not None:
            yield Diagnostic("MEM-GUEST", memory.span, f"memory of partition '{part.name}': a guest on x86 has its memory "
                             f"from address 0, and what is more than {size_text(pc.LOW_RAM_END)} from "
                             f"{size_text(pc.HIGH_RAM)} on", fix="leave 'guest:' out")
        if memory.size < pc.GUEST_LEAST:
            yield Diagnostic("MEM-SMALL", memory.span, f"partition '{part.name}' has {size_text(memory.size)} of memory, a "
                             f"guest on x86 needs {size_text(pc.GUEST_LEAST)}: programs begin at 1 MiB",
                             fix=f"memory: {size_text(pc.GUEST_LEAST)}")


def mem_under_device(case: Case) -> Iterator[Diagnostic]:
    """A device keeps its address in the guest, and RAM is where every PC has it."""
    for given in case.given:
        if case.hardware.pc is None:
            return
        for ram in pc.guest_ranges(given.part.memory.size):
            hit = next((r for r in given.pages if overlap(r, ram)), None)
            if hit:
                yield Diagnostic("MEM-GUEST", given.spec.span, f"'{given.device.path}' at {hex_range(hit.base, hit.size)} "
                                 f"lies where partition '{given.part.name}' has its memory, {hex_range(ram.base, ram.size)}",
                                 ((given.part.memory.span, "its memory is given here"),), "give it less memory, if that helps; "
                                 "the device's address cannot be changed")


# ---------------------------------------------------------------- devices

def kept(hardware: Hardware, device: Device) -> Iterator[tuple[str, str, bool]]:
    """As rules._kept: (rule, what it is, whether the device itself is it)."""
    board = hardware.pc
    if board is None:
        return
    for compatible in device.compatible:
        if compatible in KEPT:
            yield RULE_OF.get(compatible, "DEV-BOARD"), f"it is {KEPT[compatible]}", True
    registers = tuple(pages(r) for r in device.regs)
    if board.ioapic and _overlap(registers, (board.ioapic.region,)):
        yield "DEV-GIC", "its page is that of the interrupt controller", False
    uart = hardware.uart
    if uart and uart.width == 0 and (device.path == uart.path or _overlap(device.ports, (uart.region,))):
        own = device.path == uart.path
        yield "DEV-CONSOLE", "it is the hypervisor's UART" if own else "it has ports of the hypervisor's UART", own
    for other in hardware.devices:
        rule = next((RULE_OF[c] for c in other.compatible if c in RULE_OF), "")
        if rule and other.path != device.path and _overlap(device.ports, other.ports):
            yield rule, f"it has ports of '{other.path}', which the hypervisor keeps", False
    why = _of_the_board(hardware, device)
    if why:
        yield "DEV-BOARD", why, True


def _of_the_board(hardware: Hardware, device: Device) -> str:
    if any(c.startswith(pci.HOSTS) for c in device.compatible):
        return "it configures all PCI functions"
    assert hardware.pc is not None
    for writes, what in ((hardware.pc.off, "switch the board off"), (hardware.pc.reset, "reset the board")):
        if _overlap(device.ports, tuple(Region(w.port, w.width) for w in writes)):
            return f"it can {what}"
    return next((why for region, why in BOARD_PORTS if _overlap(device.ports, (region,))), "")


def kept_message(given: Given, rule: str, what: str, own: bool) -> Diagnostic:
    return Diagnostic(rule, given.spec.span, f"'{given.device.path}' cannot be given to partition '{given.part.name}': {what}",
                      fix=KEPT_FIX[rule] if own else "remove it: it cannot be given away on this board")


def _overlap(one: tuple[Region, ...], other: tuple[Region, ...]) -> bool:
    return any(overlap(a, b) for a in one for b in other)


def dev_dma_x86(case: Case) -> Iterator[Diagnostic]:
    """No IOMMU is driven yet, and a guest's memory from address 0 on cannot be mapped 1:1."""
    if case.hardware.pc is None:
        return
    for given in case.given:
        device = given.device
        if any(kept(case.hardware, device)) or not (device.regs or device.ports or pci_host(case.hardware, device.path)):
            continue
        if device.function is not None:
            yield from _function_dma(case, given)
        elif pci_host(case.hardware, device.path):
            yield Diagnostic("NOT-YET", given.spec.span, f"'{device.path}' is behind a PCI function: this version gives away the functions "
                             "themselves", fix="leave it out for now")
        elif given.spec.dma:
            yield Diagnostic("NOT-YET", given.spec.span, f"'{device.path}': 'dma: unprotected' is not in this version on x86, "
                             "where a guest's memory begins at address 0 and so cannot be mapped 1:1",
                             fix="leave the device out" if device.dma else "leave 'dma:' out: the device does none")
        elif device.dma:
            yield Diagnostic("DEV-DMA", given.spec.span, f"'{device.path}' may do DMA to any memory of the board: this version "
                             "drives no IOMMU on x86", fix="leave it out; if it does no DMA after all, say so in "
                             "scripts/hvgen/nodma.py, with the source")
        else:
            yield from _shared_ports(case, given)


def _shared_ports(case: Case, given: Given) -> Iterator[Diagnostic]:
    device = given.device
    other = next((d for d in case.hardware.devices if d.dma and d.path != device.path and _overlap(d.ports, device.ports)), None)
    if other:
        yield Diagnostic("DEV-DMA", given.spec.span, f"'{device.path}' has ports of '{other.path}', which may do DMA "
                         "to any memory of the board", fix="correct one of them in the board's devicetree")


def _function_dma(case: Case, given: Given) -> Iterator[Diagnostic]:
    """It is given with bus mastering held off: what its registers are told about memory has no effect."""
    device = given.device
    if given.spec.dma:
        yield Diagnostic("NOT-YET", given.spec.span, f"'{device.path}' is a PCI function: on x86 this version drives no IOMMU, so "
                         "functions are given with bus mastering held off, and 'dma:' cannot lift that",
                         fix="leave 'dma:' out if the card is of use without DMA, else leave the device out")
    near = [d for d in case.hardware.devices if d.dma and d.path != device.path and d.path not in _held_off(case)]
    page = next((d for d in near if not d.path.startswith(f"{device.path}/") and given.touches(d.regs)), None)
    if page:
        yield Diagnostic("DEV-PAGE-DMA", given.spec.span, f"the page of '{device.path}' also holds '{page.path}', which may do DMA to any "
                         "memory", fix="give one of the two another address in the board's devicetree")


def _held_off(case: Case) -> frozenset[str]:
    return frozenset(given.device.path for given in case.given if given.device.function is not None)


def dev_pci(case: Case) -> Iterator[Diagnostic]:
    """What must be known of a function for its registers to be set and its configuration space to be answered."""
    given = [g for g in case.given if g.device.function is not None and not any(kept(case.hardware, g.device))]
    for number, one in enumerate(given):
        found = one.device.function
        assert found is not None
        what, fix = "", "complete its node in the board's devicetree; docs/porting.md shows one"
        if found.bridge:
            what, fix = "is a bridge: whoever has it decides what all behind it answers to", "give the functions behind it"
        elif not found.id:
            what = "has no compatible of the form \"pciVVVV,DDDD\": the hypervisor could not tell at boot whether it is there"
        elif not found.bars:
            what = "names no BARs ('assigned-addresses'): there would be nothing of it to reach"
        elif found.address == 0:
            what, fix = "is function 0:0.0, in whose place each guest sees the host bridge", "leave it out"
        elif number >= pci.MOST:
            what, fix = f"is function {number + 1} that is given away: a layout holds {pci.MOST}", "leave some out"
        if what:
            yield Diagnostic("DEV-PCI", one.spec.span, f"'{one.device.path}' {what}", fix=fix)


def pci_host(hardware: Hardware, path: str) -> Optional[str]:
    """The PCI host that a function is behind."""
    return next((d.path for d in hardware.devices if any(c.startswith(pci.HOSTS) for c in d.compatible)
                 and path.startswith(f"{d.path}/")), None)


def dev_ports(case: Case) -> Iterator[Diagnostic]:
    """A port can be let through to one partition only, and not if every guest has another thing there."""
    yield from _guest_ports(case)
    for n, given in enumerate(case.given):
        for other in case.given[:n]:
            if other.part is given.part or other.device.path == given.device.path:
                continue
            if any(kept(case.hardware, given.device)) or any(kept(case.hardware, other.device)):
                continue
            shared = next((Region(max(a.base, b.base), min(a.end, b.end) - max(a.base, b.base))
                           for a in given.device.ports for b in other.device.ports if overlap(a, b)), None)
            if shared:
                yield Diagnostic("DEV-PORTS", given.spec.span, f"'{given.device.path}' and {other} share the I/O ports "
                                 f"{hex_range(shared.base, shared.size)}",
                                 ((other.spec.span, f"'{other.device.path}' is given here"),), "give both to one partition")


def _guest_ports(case: Case) -> Iterator[Diagnostic]:
    for given in case.given:
        if _overlap(given.device.ports, (SLEEP,)) and not any(kept(case.hardware, given.device)):
            yield Diagnostic("DEV-PORTS", given.spec.span, f"'{given.device.path}' has the I/O ports "
                             f"{hex_range(SLEEP.base, SLEEP.size)}, by which every guest on x86 switches itself off",
                             fix="it cannot be given away")


CHECKS = (irq_virtual, mem_fixed_in_guest, mem_under_device, dev_dma_x86, dev_pci, dev_ports)
