# SPDX-License-Identifier: Apache-2.0
"""ACPI tables of a guest on x86 (ACPI 6.5): RSDP, XSDT, FADT, MADT, DSDT, for a hardware-reduced machine.

The DSDT's bytecode is made here, so that a build needs no compiler of ASL; its source is written beside
it for people, and the tests compile that source and compare.
"""
from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import Sequence

from . import pci
from .channels import end_of
from .diag import Failed
from .model import Interrupt, Plan, PlanPartition, Region, Watchdog
from .pc import guest_apic_id
from .place import PAGE, align_up

OEM = b"BULKHD"
OEM_TABLE = b"BULKHEAD"
CREATOR = b"BLKH"
HEADER = struct.Struct("<4sIBB6s8sI4sI")     # 5.2.6

# FADT, 5.2.9; the flags in table 5.10.
WBINVD, PROC_C1, PWR_BUTTON, SLP_BUTTON, FIX_RTC = 1 << 0, 1 << 2, 1 << 4, 1 << 5, 1 << 6
RESET_REG_SUP, PHYSICAL_DESTINATION, HW_REDUCED = 1 << 10, 1 << 19, 1 << 20
NO_VGA, NO_RTC, KEYBOARD = 1 << 2, 1 << 5, 1 << 1      # IA-PC boot architecture flags, table 5.11
NO_C2, NO_C3 = 101, 1001               # latencies that say so
RESET_PORT, RESET_VALUE = 0xcf9, 6
SLEEP_CONTROL, SLEEP_STATUS = 0x600, 0x601
SYSTEM_IO, DWORD_ACCESS = 1, 3         # of a generic address (5.2.3.2)
MS = 1_000_000                         # in nanoseconds
S5 = 5                                 # SLP_TYP to be written there

# WDAT (Microsoft, Hardware Watchdog Timers Design Specification 1.01; acpica's actbl3.h): what is done to a register.
READ_VALUE, READ_COUNTDOWN, WRITE_VALUE, WRITE_COUNTDOWN = range(4)
WDAT_ENABLED = 1
NO_PCI = (0xff, 0xff, 0xff, 0xff)      # segment, bus, device, function
# Registers of 32 bits behind the watchdog's first port; core/watchdog_wdat.c.
CONTROL, TIME, LEFT = 0, 4, 8
RUNS, BITTEN = 1, 4                    # bits of CONTROL; each write of it is a refresh
WORD = 0xffffffff
# Action, what it does, to which register, with which value, in which bits. It can neither be stopped nor keep the board up.
WDAT_ACTIONS = (
    (0x01, WRITE_VALUE, CONTROL, RUNS, RUNS),          # refresh
    (0x04, READ_COUNTDOWN, LEFT, 0, WORD),             # what is left
    (0x05, READ_COUNTDOWN, TIME, 0, WORD),             # the time that has been set
    (0x06, WRITE_COUNTDOWN, TIME, 0, WORD),
    (0x08, READ_VALUE, CONTROL, RUNS, RUNS),           # does it run?
    (0x09, WRITE_VALUE, CONTROL, RUNS, RUNS),
    (0x0a, READ_VALUE, CONTROL, 0, RUNS),              # does it stand?
    (0x0b, WRITE_VALUE, CONTROL, 0, RUNS),
    (0x10, READ_VALUE, CONTROL, RUNS, RUNS),           # does its end restart the guest?
    (0x11, WRITE_VALUE, CONTROL, RUNS, RUNS),
    (0x20, READ_VALUE, CONTROL, BITTEN, BITTEN),       # has it ended the last life?
    (0x21, WRITE_VALUE, CONTROL, BITTEN, BITTEN),      # forget that
)

LOCAL_APIC = 0xfee00000
VUART_PORTS = 8
CHANNEL_HID = "BLKH0001"
EVENT_HID = "ACPI0013"                 # generic event device (5.6.9): a method for each interrupt
BELL_HID = "ACPI0003"                  # power source (10.3): Linux tells processes of each notification
STATUS_CHANGED = 0x80                  # the notification (table 5.155)
PROPERTIES_UUID = "daffd814-6eba-4d8c-8a91-bc9bbf4aa301"
PROPERTIES = uuid.UUID(PROPERTIES_UUID).bytes_le

# compatible -> (PNP ID, name of the device in the namespace)
HIDS = {
    "ns16550a": ("PNP0501", "COM"), "ns16550": ("PNP0501", "COM"),
    "motorola,mc146818": ("PNP0B00", "RTC"),
    "intel,i8042": ("PNP0303", "KBD"),
}


@dataclass(frozen=True)
class Acpi:
    data: bytes                        # RSDP first
    asl: str
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class PnpDevice:
    name: str                          # four characters
    hid: str
    uid: int
    ports: tuple[Region, ...]
    interrupts: tuple[Interrupt, ...]
    what: str                          # for the source
    memory: tuple[tuple[Region, bool], ...] = ()   # and whether it may be written
    uid_text: str = ""                 # in place of uid
    properties: tuple[tuple[str, str], ...] = ()
    flag: str = ""                     # of a bell: 1 from a notification until its state has been read
    notifies: tuple[tuple[str, str, str], ...] = ()   # methods, and the device and flag of each


@dataclass(frozen=True)
class PciRoot:
    """A host bridge with one bus; windows are what its functions' BARs cover, routes are (device, pin from 0, line)."""
    bus: int
    ports: tuple[Region, ...]
    memory: tuple[Region, ...]
    routes: tuple[tuple[int, int, int], ...]
    what: str

    @property
    def name(self) -> str:
        return f"PC{self.bus:02X}"


def checksum(data: bytes) -> int:
    return -sum(data) & 0xff


def table(signature: bytes, revision: int, body: bytes) -> bytes:
    head = HEADER.pack(signature, HEADER.size + len(body), revision, 0, OEM, OEM_TABLE, 1, CREATOR, 1)
    data = bytearray(head + body)
    data[9] = checksum(data)
    return bytes(data)


def port_register(port: int) -> bytes:
    """A generic address structure (5.2.3.2): 8 bits of system I/O, byte access."""
    return struct.pack("<4BQ", 1, 8, 0, 1, port)


# ---------------------------------------------------------------- AML (20.2)

def pkg_length(body: bytes) -> bytes:
    """The length counts itself (20.2.4)."""
    for size in range(1, 5):
        length = len(body) + size
        if size == 1 and length < 1 << 6:
            return bytes([length])
        if size > 1 and length < 1 << 4 + 8 * (size - 1):
            high = (length >> 4).to_bytes(size - 1, "little")
            return bytes([(size - 1) << 6 | length & 0xf]) + high
    raise ValueError("an AML object of 256 MiB")


def integer(value: int) -> bytes:
    if value in (0, 1):
        return bytes([value])
    for prefix, size in ((0x0a, 1), (0x0b, 2), (0x0c, 4), (0x0e, 8)):
        if value < 1 << 8 * size:
            return bytes([prefix]) + value.to_bytes(size, "little")
    raise ValueError(f"{value:#x} is no AML integer")


def name(segment: str, value: bytes) -> bytes:
    return b"\x08" + segment.ljust(4, "_").encode() + value


def package(elements: Sequence[int]) -> bytes:
    body = bytes([len(elements)]) + b"".join(integer(e) for e in elements)
    return b"\x12" + pkg_length(body) + body


def buffer(data: bytes) -> bytes:
    body = integer(len(data)) + data
    return b"\x11" + pkg_length(body) + body


def eisa_id(text: str) -> bytes:
    """"PNP0501" in five bits a letter, and the bytes turned (6.1.5)."""
    letters = sum((ord(c) - 0x40) << shift for c, shift in zip(text[:3], (26, 21, 16)))
    value = letters | int(text[3:], 16)
    return b"\x0c" + value.to_bytes(4, "big")


def string(text: str) -> bytes:
    return b"\x0d" + text.encode() + b"\0"


def elements(parts: Sequence[bytes]) -> bytes:
    """A package of whatever."""
    body = bytes([len(parts)]) + b"".join(parts)
    return b"\x12" + pkg_length(body) + body


def properties(pairs: Sequence[tuple[str, str]]) -> bytes:
    """_DSD with device properties (6.2.5; UEFI forum, _DSD device properties UUID)."""
    return elements((buffer(PROPERTIES), elements([elements((string(key), string(value))) for key, value in pairs])))


def resources(ports: Sequence[Region], interrupts: Sequence[Interrupt], memory: Sequence[tuple[Region, bool]] = ()) -> bytes:
    """A resource template (6.4): I/O ports of 16 bits, memory of 32 bits, extended interrupts, end."""
    out = b""
    for region, writable in memory:
        if region.end > 1 << 32:
            raise Failed(f"a channel at guest address {region.base:#x} lies beyond 4 GiB: make the channels smaller")
        out += struct.pack("<BHBII", 0x86, 9, int(writable), region.base, region.size)
    for r in ports:
        out += struct.pack("<BBHHBB", 0x47, 1, r.base, r.base, 1, r.size)
    for i in interrupts:
        flags = 1 | (2 if i.edge else 0) | (4 if i.flags in (2, 8) else 0)
        out += struct.pack("<BHBBI", 0x89, 6, flags, 1, i.intid)
    return buffer(out + b"\x79\x00")


def device(d: PnpDevice) -> bytes:
    hid = eisa_id(d.hid) if len(d.hid) == 7 else string(d.hid)
    body = (d.name.encode() + name("_HID", hid) + name("_UID", string(d.uid_text) if d.uid_text else integer(d.uid))
            + (name("_CRS", resources(d.ports, d.interrupts, d.memory)) if has_resources(d) else b"")
            + (name("_DSD", properties(d.properties)) if d.properties else b"")
            + (state_method(d.flag) if d.flag else b"")
            + b"".join(notifier(title, target, flag) for title, target, flag in d.notifies))
    return b"\x5b\x82" + pkg_length(body) + body


def has_resources(d: PnpDevice) -> bool:
    return bool(d.ports or d.interrupts or d.memory)


def method(title: str, body: bytes) -> bytes:
    """Without arguments (20.2.5.2)."""
    body = title.encode() + b"\0" + body
    return b"\x14" + pkg_length(body) + body


def store(value: int, target: str) -> bytes:
    return b"\x70" + integer(value) + target.encode()


def state_method(flag: str) -> bytes:
    return method("_PSR", store(0, flag) + b"\xa4" + integer(1))


def notifier(title: str, target: str, flag: str) -> bytes:
    """If (LNot (FLAG)) { Store (1, FLAG) Notify (TARGET, 0x80) }"""
    inside = b"\x92" + flag.encode() + store(1, flag) + b"\x86" + target.encode() + integer(STATUS_CHANGED)
    return method(title, b"\xa0" + pkg_length(inside) + inside)


PCI_HID = "PNP0A03"
MIN_MAX_FIXED = 0x0c                   # general flags of address spaces (6.4.3.5): produced, both ends fixed


def windows(root: PciRoot) -> bytes:
    """Bus, ports, memory: resources that the bridge hands on (6.4.3.5)."""
    out = struct.pack("<BHBBB5H", 0x88, 13, 2, MIN_MAX_FIXED, 0, 0, root.bus, root.bus, 0, 1)
    for r in root.ports:
        out += struct.pack("<BHBBB5H", 0x88, 13, 1, MIN_MAX_FIXED, 3, 0, r.base, r.end - 1, 0, r.size)
    for r in root.memory:
        out += struct.pack("<BHBBB5Q", 0x8a, 43, 0, MIN_MAX_FIXED, 1, 0, r.base, r.end - 1, 0, r.size)
    return buffer(out + b"\x79\x00")


def pci_root(root: PciRoot) -> bytes:
    """_PRT (6.2.13): lines of the I/O APIC, named outright."""
    routes = elements([elements([integer(n) for n in (slot << 16 | 0xffff, pin, 0, line)]) for slot, pin, line in root.routes])
    body = (root.name.encode() + name("_HID", eisa_id(PCI_HID)) + name("_UID", integer(root.bus)) + name("_BBN", integer(root.bus))
            + name("_CRS", windows(root)) + name("_PRT", routes))
    return b"\x5b\x82" + pkg_length(body) + body


def dsdt(devices: Sequence[PnpDevice], roots: Sequence[PciRoot] = ()) -> bytes:
    body = name("_S5", package((S5, 0, 0, 0)))
    if devices or roots:
        flags = b"".join(name(d.flag, integer(0)) for d in devices if d.flag)
        inside = b"_SB_" + flags + b"".join(device(d) for d in devices) + b"".join(pci_root(r) for r in roots)
        body += b"\x10" + pkg_length(inside) + inside
    return table(b"DSDT", 2, body)


# ---------------------------------------------------------------- the same as ASL

def asl_root(root: PciRoot) -> list[str]:
    out = [f"        Device ({root.name})  // {root.what}", "        {", f'            Name (_HID, EisaId ("{PCI_HID}"))',
           f"            Name (_UID, {root.bus})", f"            Name (_BBN, {root.bus})",
           "            Name (_CRS, ResourceTemplate ()", "            {",
           f"                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, {root.bus}, {root.bus}, 0, 1)"]
    out += [f"                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, {r.base:#x}, {r.end - 1:#x}, 0, "
            f"{r.size:#x})" for r in root.ports]
    out += ["                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite, "
            f"0, {r.base:#x}, {r.end - 1:#x}, 0, {r.size:#x})" for r in root.memory]
    out += ["            })", "            Name (_PRT, Package ()", "            {"]
    out += [f"                Package () {{ {slot << 16 | 0xffff:#x}, {pin}, 0, {line} }}{',' if n + 1 < len(root.routes) else ''}"
            for n, (slot, pin, line) in enumerate(root.routes)]
    return out + ["            })", "        }"]


def asl(plan: Plan, part: PlanPartition, devices: Sequence[PnpDevice], roots: Sequence[PciRoot] = ()) -> str:
    out = ["// SPDX-License-Identifier: Apache-2.0",
           f"// DSDT of partition {part.name}, generated by scripts/bulkhead from {plan.system.name}/system.yaml.",
           f'DefinitionBlock ("", "DSDT", 2, "{OEM.decode()}", "{OEM_TABLE.decode()}", 1)', "{",
           f"    Name (_S5, Package () {{ {S5}, 0, 0, 0 }})  // power off: the partition stops"]
    if devices or roots:
        out += ["    Scope (\\_SB)", "    {"]
        out += [f"        Name ({d.flag}, 0)" for d in devices if d.flag]
        for d in devices:
            hid = f'EisaId ("{d.hid}")' if len(d.hid) == 7 else f'"{d.hid}"'
            uid = f'"{d.uid_text}"' if d.uid_text else str(d.uid)
            out += [f"        Device ({d.name})  // {d.what}", "        {",
                    f'            Name (_HID, {hid})', f"            Name (_UID, {uid})"]
            out += asl_resources(d) if has_resources(d) else []
            if d.properties:
                out += ["            Name (_DSD, Package ()", "            {", f'                ToUUID ("{PROPERTIES_UUID}"),',
                        "                Package ()", "                {"]
                out += [f'                    Package () {{ "{key}", "{value}" }}{"," if n + 1 < len(d.properties) else ""}'
                        for n, (key, value) in enumerate(d.properties)]
                out += ["                }", "            })"]
            out += [f"            Method (_PSR) {{ Store (0, {d.flag}) Return (1) }}"] if d.flag else []
            out += [f"            Method ({title}) {{ If (LNot ({flag})) {{ Store (1, {flag}) Notify ({target}, {STATUS_CHANGED:#x}) }} }}"
                    for title, target, flag in d.notifies]
            out.append("        }")
        for root in roots:
            out += asl_root(root)
        out.append("    }")
    return "\n".join(out + ["}", ""])


def asl_resources(d: PnpDevice) -> list[str]:
    out = ["            Name (_CRS, ResourceTemplate ()", "            {"]
    out += [f"                IO (Decode16, {r.base:#06x}, {r.base:#06x}, 1, {r.size})" for r in d.ports]
    out += [f"                Memory32Fixed ({'ReadWrite' if writable else 'ReadOnly'}, {r.base:#010x}, {r.size:#010x})"
            for r, writable in d.memory]
    for i in d.interrupts:
        trigger = "Edge" if i.edge else "Level"
        level = "ActiveLow" if i.flags in (2, 8) else "ActiveHigh"
        out.append(f"                Interrupt (ResourceConsumer, {trigger}, {level}, Exclusive) {{ {i.intid} }}")
    return out + ["            })"]


# ---------------------------------------------------------------- what the partition has

def pnp_devices(part: PlanPartition) -> tuple[tuple[PnpDevice, ...], tuple[str, ...]]:
    """Devices that ACPI has a name for, and the paths of those that it has none for."""
    found: list[tuple[str, str, tuple[Region, ...], tuple[Interrupt, ...], str]] = []
    dropped: list[str] = []
    if part.vuart is not None:
        found.append(("PNP0501", "COM", (Region(part.vuart.ipa, VUART_PORTS),), (Interrupt(part.vuart.intid, 1),),
                      "the virtual UART"))
    for owned, _ in part.devices:
        if owned.function is not None:
            continue                   # pci_roots()
        known = next((HIDS[c] for c in owned.compatible if c in HIDS), None)
        if known is None or not owned.ports:
            dropped.append(owned.path)
        else:
            found.append((*known, owned.ports, owned.interrupts, owned.path))
    counts: dict[str, int] = {}
    out = []
    for hid, stem, ports, interrupts, what in sorted(found, key=lambda f: (f[0], -f[2][0].base)):
        number = counts[stem] = counts.get(stem, 0) + 1
        if number > 9:
            raise ValueError(f"{what}: more than 9 devices of kind {hid}")
        out.append(PnpDevice(f"{stem}{number}", hid, number, ports, interrupts, what))
    return tuple(out), tuple(dropped)


def channel_devices(plan: Plan, part: PlanPartition) -> tuple[PnpDevice, ...]:
    """A device for each channel: its memory, its doorbell, its interrupt; its name is the _UID."""
    out: list[PnpDevice] = []
    for channel in plan.channels:
        end = end_of(channel, part.index)
        if end is None:
            continue
        memory = [(Region(channel.ipa, channel.size), end.role != "reader")]
        if channel.doorbell:
            memory.append((Region(channel.doorbell, PAGE), True))
        out.append(PnpDevice(f"CH{len(out):02d}", CHANNEL_HID, 0, (), (Interrupt(end.intid, 1),) if end.intid else (),
                             f"channel {channel.name}", tuple(memory), channel.name,
                             (("bulkhead,channel", channel.name), ("bulkhead,role", end.role))))
    return (*out, *bell_devices(out))


def bell_devices(channels: Sequence[PnpDevice]) -> list[PnpDevice]:
    """By which Linux tells processes of rings: a power source for each channel that has a doorbell, and an event device
    that notifies it (docs/guest-abi-x86.md). Not again before the power source has been looked at: Linux queues each."""
    heard = [d for d in channels if d.interrupts]
    out = [PnpDevice(f"BL{d.name[2:]}", BELL_HID, 0, (), (), f"rings of {d.what}", uid_text=d.uid_text, flag=f"RG{d.name[2:]}")
           for d in heard]
    if heard:
        lines = tuple(d.interrupts[0] for d in heard)
        out.append(PnpDevice("BELL", EVENT_HID, 0, (), lines, "what rings",
                             notifies=tuple((f"_E{line.intid:02X}", bell.name, bell.flag) for line, bell in zip(lines, out))))
    return out


def pci_roots(plan: Plan, part: PlanPartition) -> tuple[PciRoot, ...]:
    """One for each bus on which the partition owns functions: it sees no bridge between them."""
    rows = [row for row in pci.owned(plan) if row.partition == part.index]
    out = []
    for bus in sorted({row.function.address >> 8 for row in rows}):
        mine = [row for row in rows if row.function.address >> 8 == bus]
        routes = {(row.function.address >> 3 & 0x1f, row.function.pin - 1, row.line) for row in mine if row.line is not None}
        out.append(PciRoot(bus, tuple(sorted(r for row in mine for r in pci.regions(row.function, True))),
                           tuple(sorted(r for row in mine for r in pci.regions(row.function, False))), tuple(sorted(routes)),
                           ", ".join(row.device.path for row in mine)))
    return tuple(out)


def madt(plan: Plan, part: PlanPartition) -> bytes:
    """5.2.12. A local APIC for each vcpu, under the ID that CPUID shows, and the I/O APIC if a line ends there."""
    body = struct.pack("<II", LOCAL_APIC, 0)
    for vcpu in range(len(part.cpus)):
        body += struct.pack("<BBBBI", 0, 8, vcpu, guest_apic_id(plan, part, vcpu), 1)
    ioapic = plan.hardware.pc.ioapic if plan.hardware.pc else None
    if ioapic is not None and (part.vuart is not None or part.spis or part.bells):
        body += struct.pack("<BBBBII", 1, 12, 0, 0, ioapic.region.base, 0)
    return table(b"APIC", 5, body)


def wdat(dog: Watchdog, limit_ns: int) -> bytes:
    """A count is a millisecond."""
    entries = b"".join(struct.pack("<BBH4BQII", action, instruction, 0, SYSTEM_IO, 32, 0, DWORD_ACCESS, dog.ipa + register, value, mask)
                       for action, instruction, register, value, mask in WDAT_ACTIONS)
    head = struct.pack("<IHBBB3xIIIB3xI", 32, *NO_PCI, 1, limit_ns // MS, 1, WDAT_ENABLED, len(WDAT_ACTIONS))
    return table(b"WDAT", 1, head + entries)


def fadt(dsdt_at: int, devices: Sequence[PnpDevice]) -> bytes:
    """Revision 6, 276 bytes. Offsets as in table 5.9."""
    hids = {d.hid for d in devices}
    out = bytearray(276 - HEADER.size)

    def put(offset: int, form: str, *values: int | bytes) -> None:
        struct.pack_into("<" + form, out, offset - HEADER.size, *values)

    def register(offset: int, port: int) -> None:
        out[offset - HEADER.size:offset - HEADER.size + 12] = port_register(port)

    put(40, "I", dsdt_at)
    put(96, "HH", NO_C2, NO_C3)
    put(109, "H", NO_VGA | (0 if "PNP0B00" in hids else NO_RTC) | (KEYBOARD if "PNP0303" in hids else 0))
    put(112, "I", WBINVD | PROC_C1 | PWR_BUTTON | SLP_BUTTON | FIX_RTC | RESET_REG_SUP | PHYSICAL_DESTINATION | HW_REDUCED)
    register(116, RESET_PORT)
    put(128, "B", RESET_VALUE)
    put(131, "B", 5)                   # ACPI 6.5
    put(140, "Q", dsdt_at)
    register(244, SLEEP_CONTROL)
    register(256, SLEEP_STATUS)
    put(268, "8s", OEM_TABLE)
    return table(b"FACP", 6, bytes(out))


def rsdp(xsdt_at: int) -> bytes:
    """5.2.5.3, revision 2; no RSDT."""
    data = bytearray(struct.pack("<8sB6sBIIQB3x", b"RSD PTR ", 0, OEM, 2, 0, 36, xsdt_at, 0))
    data[8] = checksum(data[:20])
    data[32] = checksum(data)
    return bytes(data)


def make(plan: Plan, part: PlanPartition, base: int) -> Acpi:
    """All tables, to stand at guest address `base`."""
    devices, dropped = pnp_devices(part)
    devices += channel_devices(plan, part)
    roots = pci_roots(plan, part)
    at, out = align_up(36, 16), bytearray(align_up(36, 16))

    def add(data: bytes) -> int:
        nonlocal at
        place = at
        at = align_up(at + len(data), 16)
        out.extend(data.ljust(at - place, b"\0"))
        return base + place

    dsdt_at = add(dsdt(devices, roots))
    tables = [add(fadt(dsdt_at, devices)), add(madt(plan, part))]
    if part.watchdog is not None:
        tables.append(add(wdat(part.watchdog, part.spec.watchdog_ns or 0)))
    out[:36] = rsdp(add(table(b"XSDT", 1, struct.pack(f"<{len(tables)}Q", *tables))))
    return Acpi(bytes(out), asl(plan, part, devices, roots), dropped)
