# SPDX-License-Identifier: Apache-2.0
"""The three shapes that the generator's stages hand on: Hardware, System, Plan.

All are frozen; addresses and sizes are ints in bytes, INTIDs are GIC INTIDs (SPI n = 32 + n,
PPI n = 16 + n), times are in nanoseconds.  A `Span` says where a fact was written.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Optional


@dataclass(frozen=True)
class Span:
    """Where a fact stands: file as given by the user, line and column from 1 (0: the whole file)."""
    file: str
    line: int = 0
    col: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}" if self.line else self.file


@dataclass(frozen=True, order=True)
class Region:
    base: int
    size: int

    @property
    def end(self) -> int:
        return self.base + self.size


# ---------------------------------------------------------------- Hardware: what the board has

@dataclass(frozen=True)
class Interrupt:
    """One interrupt of the GIC, or a line of the I/O APIC. flags: devicetree flag cell & 0xf (1, 2 edge; 4, 8 level)."""
    intid: int
    flags: int

    @property
    def edge(self) -> bool:
        return self.flags & 0x3 != 0


PORTS = 1 << 63                        # x86: I/O port n as an address, LAYOUT_PORTS


@dataclass(frozen=True)
class Write:
    """To a register: physical address (I/O port + PORTS), width in bytes."""
    address: int
    width: int
    value: int


@dataclass(frozen=True)
class Bar:
    """A base address register of a PCI function with the board's value. number: 0 to 5."""
    number: int
    region: Region                     # addresses, or I/O ports
    ports: bool
    wide: bool                         # 64 bits: it takes the next register, too
    prefetch: bool


@dataclass(frozen=True)
class Function:
    """x86: what its node says about a PCI function."""
    address: int                       # bus << 8 | device << 3 | function
    id: int                            # vendor | device << 16; 0: not said
    bars: tuple[Bar, ...]              # by number
    pin: int                           # 1: INTA; 0: none
    bridge: bool


@dataclass(frozen=True)
class Device:
    """A devicetree node with registers or interrupts, addresses translated to the CPU's view."""
    path: str
    labels: tuple[str, ...]            # labels and aliases
    compatible: tuple[str, ...]
    regs: tuple[Region, ...]           # not rounded to pages
    interrupts: tuple[Interrupt, ...]
    dma: bool                          # False only for compatibles known to do no DMA
    streams: tuple[int, ...] = ()      # IOMMU stream IDs
    enabled: bool = True               # status is absent, "ok" or "okay"
    ports: tuple[Region, ...] = ()     # x86: I/O ports
    reset: tuple[Write, ...] = ()      # board.yaml: what resets it
    function: Optional[Function] = None    # x86; its BARs are among regs and ports


@dataclass(frozen=True)
class Cpu:
    path: str
    mpidr: int                         # affinity fields only; x86: APIC ID
    compatible: tuple[str, ...]
    enable_method: str                 # "psci", "spin-table", ""


@dataclass(frozen=True)
class Gic:
    version: Literal[2, 3]
    path: str
    dist: Region
    redists: tuple[Region, ...]        # GICv3
    redist_stride: int                 # 0x20000 unless the node says otherwise
    cpu: Optional[Region]              # GICv2: GICC, GICH, GICV
    hyp: Optional[Region]
    vcpu: Optional[Region]
    maintenance: int                   # INTID, 0 if none
    regions: tuple[Region, ...]        # everything of the GIC that no partition may reach (with ITS, v2m)


@dataclass(frozen=True)
class IoApic:
    path: str
    region: Region
    lines: int                         # at most 64
    pit_line: int                      # of the 8254's channel 0, -1: the board has none


@dataclass(frozen=True)
class Out:
    """A write to an I/O port; width in bytes."""
    port: int
    width: int
    value: int


@dataclass(frozen=True)
class Pc:
    """What an x86 board has in place of GIC, timer and PSCI."""
    ioapic: Optional[IoApic]
    pm_timer: int                      # I/O port, 0: none
    tsc_hz: int                        # 0: measured at boot
    off: tuple[Out, ...]               # writes that switch the board off
    reset: tuple[Out, ...]


@dataclass(frozen=True)
class Timer:
    path: str
    virt: int                          # INTIDs of the PPIs
    phys: int
    hyp: int


@dataclass(frozen=True)
class Uart:
    """The hypervisor's serial port as data; the fields of struct layout_uart."""
    path: str
    kind: str                          # name in the UART table: "pl011", "ns16550", ...
    region: Region                     # x86: of I/O ports if width is 0
    intid: int                         # 0: none
    width: int
    tx: int
    tx_status: int
    tx_mask: int
    tx_ready: int
    rx: int
    rx_status: int
    rx_mask: int
    rx_ready: int
    init: tuple[tuple[int, int], ...] = ()
    rx_on: tuple[tuple[int, int], ...] = ()
    tx_pre: tuple[tuple[int, int], ...] = ()
    rx_ack: Optional[tuple[int, int]] = None


@dataclass(frozen=True)
class Hardware:
    name: str                          # board folder's name
    folder: str                        # board folder
    dtb_file: str                      # the .dtb that was read (for messages and the checker)
    dtb: bytes
    model: str
    memory: tuple[Region, ...]         # RAM banks, sorted, merged
    reserved: tuple[tuple[Region, str], ...]   # firmware, /memreserve/, /reserved-memory, board.yaml; (region, why)
    cpus: tuple[Cpu, ...]
    gic: Optional[Gic]
    timer: Optional[Timer]
    psci: Literal["smc", "hvc", "none"]
    uart: Optional[Uart]               # the hypervisor's console
    devices: tuple[Device, ...]        # sorted by path
    by_name: dict[str, str]            # label or alias -> path
    iommus: tuple[str, ...]            # paths of IOMMU nodes
    switch_ns: int = 2_000             # a switch between vcpus of a pool takes at most so long
    pc: Optional[Pc] = None            # x86; then gic and timer are None, psci is "none"
    inputs: tuple[str, ...] = ()       # every file that was read: board.yaml, devicetree and what it includes


# ---------------------------------------------------------------- System: what the YAML says

@dataclass(frozen=True)
class MemorySpec:
    size: int
    physical: Optional[int] = None
    guest: Optional[int] = None
    alignment: Optional[int] = None
    span: Span = Span("")


@dataclass(frozen=True)
class ImageSpec:
    """kind raw: file, offset.  kind elf: file.  kind linux: kernel in `file`, initrd, bootargs."""
    kind: Literal["raw", "elf", "linux"]
    file: str
    offset: int = 0
    initrd: Optional[str] = None
    bootargs: str = ""
    span: Span = Span("")
    file_span: Span = Span("")
    initrd_span: Span = Span("")


@dataclass(frozen=True)
class DeviceSpec:
    name: str                          # as written: path, label or alias
    dma: Literal["", "unprotected"] = ""
    span: Span = Span("")


@dataclass(frozen=True)
class PoolUse:
    """`cpus: {pool: ...}`: each of `vcpus` vcpus is a server of that pool. core: its place in Pool.cpus, None: any."""
    pool: str
    budget_ns: int
    period_ns: int
    vcpus: int = 1
    core: Optional[int] = None
    extra: Optional[bool] = None       # None: as the pool says
    span: Span = Span("")
    core_cpu: Optional[int] = None     # as written: index into Hardware.cpus; core is None if the pool has no such one
    core_span: Optional[Span] = None   # None: not written


@dataclass(frozen=True)
class Window:
    """ARINC 653: from start_ns of each major frame on, core `cpu` (index into Hardware.cpus) is the vcpu's."""
    cpu: int
    partition: str
    vcpu: int
    start_ns: int
    length_ns: int
    span: Span = Span("")


@dataclass(frozen=True)
class Pool:
    name: str
    cpus: tuple[tuple[int, Span], ...]     # indices into Hardware.cpus
    scheduler: Literal["rtds", "arinc653"]
    placement: Literal["partitioned", "global"] = "partitioned"
    extra: bool = False
    frame_ns: int = 0
    windows: tuple[Window, ...] = ()
    span: Span = Span("")


@dataclass(frozen=True)
class Channel:
    """Shared memory: one writer and readers, or peers who all write."""
    name: str
    size: int
    writer: str                        # "" if there are peers
    readers: tuple[str, ...]
    peers: tuple[str, ...]
    doorbell: bool
    span: Span = Span("")
    size_span: Span = Span("")
    members: tuple[tuple[str, Span], ...] = ()   # every partition as written, writer first


@dataclass(frozen=True)
class Partition:
    name: str
    cpus: tuple[tuple[int, Span], ...]     # indices into Hardware.cpus, in vcpu order
    memory: MemorySpec
    image: ImageSpec
    interrupts: Literal["virtual", "direct"] = "virtual"   # x86: always direct, see PlanPartition
    devices: tuple[DeviceSpec, ...] = ()
    console: Literal["", "vuart"] = ""
    on_fault: Literal["stop", "restart", "reset-board"] = "stop"
    watchdog_ns: Optional[int] = None
    span: Span = Span("")
    interrupts_span: Optional[Span] = None   # None: not written
    use: Optional[PoolUse] = None          # then cpus is empty
    monitor: bool = False
    restart_limit: int = 0                 # on-fault restart at most so often in restart_window_ns, 0: always
    restart_window_ns: int = 0
    restart_then: Literal["stop", "reset-board"] = "stop"   # what comes in place of a restart beyond the limit
    watchdog_boot_ns: int = 0              # its time-out from a start to the first refresh
    watchdog_span: Optional[Span] = None
    monitor_span: Optional[Span] = None


@dataclass(frozen=True)
class System:
    file: str                          # system.yaml
    name: str                          # name of the configuration folder
    board: str
    board_span: Span
    partitions: tuple[Partition, ...]
    pools: tuple[Pool, ...] = ()
    channels: tuple[Channel, ...] = ()


# ---------------------------------------------------------------- Plan: what was decided

@dataclass(frozen=True)
class Mapping:
    """A range that stage 2 maps for a partition."""
    ipa: int
    pa: int
    size: int                          # multiple of 4 KiB
    kind: Literal["ram", "device", "channel"]
    what: str                          # "ram", the devicetree path or the channel's name
    span: Span
    writable: bool = True              # False only for channels


@dataclass(frozen=True)
class Blob:
    """Bytes that are copied into a partition's RAM at each start.

    Either bytes from a file (file, file_offset, size) or `constant`, the same in every partition; or, when both are
    empty, the partition's generated devicetree (x86: boot block).  size is the size in the file; zeros are appended up
    to a multiple of 16.
    """
    what: str                          # "image", "segment 0", "kernel", "initrd", "dtb" (x86: "boot", "reset")
    file: str
    file_offset: int
    size: int
    ipa: int
    pa: int
    constant: bytes = b""

    @property
    def generated(self) -> bool:
        return not self.file and not self.constant


@dataclass(frozen=True)
class Vuart:
    ipa: int                           # x86: the first of its 8 I/O ports
    intid: int


@dataclass(frozen=True)
class Watchdog:
    ipa: int                           # its refresh frame; the control frame is the next page; x86: the first of 16 I/O ports
    intid: int                         # x86: 0, it has none
    cpu: int                           # index into Plan.cpus of the core that watches it


@dataclass(frozen=True)
class PlanCpu:
    """A physical core in use. index: position in Plan.cpus; board_index: in Hardware.cpus."""
    board_index: int
    mpidr: int                         # x86: APIC ID
    redist: int                        # PA of its RD_base (GICv3), 0 for GICv2
    partition: int                     # -1: a core of a pool
    vcpu: int
    pool: int = 0                      # 1 + index into Plan.pools, 0: pinned
    place: int = 0                     # among the pool's cores; a slot's: among its servers


@dataclass(frozen=True)
class Server:
    """A vcpu of a pool. cpu: its entry in layout.cpus; core: its place in PlanPool.cpus, None: global EDF."""
    cpu: int
    core: Optional[int]
    budget_ns: int
    period_ns: int
    extra: bool
    switch_ns: int                     # on top of the budget, twice


@dataclass(frozen=True)
class PlanWindow:
    core: int                          # place in PlanPool.cpus
    server: int
    start_ns: int
    length_ns: int


@dataclass(frozen=True)
class PlanPool:
    name: str
    spec: Pool
    cpus: tuple[int, ...]              # indices into Plan.cpus
    servers: tuple[Server, ...]
    windows: tuple[PlanWindow, ...] = ()   # sorted by core, then start


@dataclass(frozen=True)
class Doorbell:
    """A page of the partition's; writing its first word makes the interrupts pending."""
    page: int                          # IPA
    intids: tuple[int, ...]
    channel: str
    number: int = 0                    # index into Plan.channels


@dataclass(frozen=True)
class ChannelEnd:
    """A partition on a channel."""
    partition: int                     # index
    role: Literal["writer", "reader", "peer"]
    intid: int                         # of its doorbell interrupt, 0: the channel has none
    rings: tuple[int, ...]             # interrupts that its own doorbell makes pending


@dataclass(frozen=True)
class PlanChannel:
    """Memory that several partitions see at one guest address, and nobody has as RAM."""
    name: str
    spec: Channel
    ipa: int
    pa: int
    doorbell: int                      # IPA of everybody's doorbell page, 0: none
    ends: tuple[ChannelEnd, ...]       # in the order of Channel.members

    @property
    def size(self) -> int:
        return self.spec.size


@dataclass(frozen=True)
class PlanPartition:
    index: int
    name: str
    vmid: int                          # index + 1
    spec: Partition
    cpus: tuple[int, ...]              # indices into Plan.cpus, in vcpu order
    direct: bool
    ram: tuple[Mapping, ...]           # kind "ram"
    mappings: tuple[Mapping, ...]      # ram and devices, sorted by ipa, page-aligned, no overlap
    devices: tuple[tuple[Device, DeviceSpec], ...]
    blobs: tuple[Blob, ...]
    entry: int                         # IPA
    dtb_ipa: int
    dtb_room: int                      # bytes kept free for the devicetree at dtb_ipa
    initrd: Optional[Region]           # IPA range, for /chosen
    spis: tuple[int, ...]              # INTIDs it owns in the physical distributor (>= 32), sorted; x86: I/O APIC lines
    ppis: tuple[int, ...]              # INTIDs 16..31
    vuart: Optional[Vuart]
    dma_unprotected: bool
    ipa_bits: int
    ports: tuple[Region, ...] = ()     # x86: I/O ports that it owns, merged
    doorbells: tuple[Doorbell, ...] = ()
    bells: tuple[int, ...] = ()        # x86: lines of its I/O APIC by which channels ring it
    watchdog: Optional[Watchdog] = None


@dataclass(frozen=True)
class Plan:
    hardware: Hardware
    system: System
    hv: Region                         # kept for hypervisor + pristine images; hv.base is the link address
    text_offset: int                   # hv.base - start of the first RAM bank, for the arm64 Image header
    cpus: tuple[PlanCpu, ...]
    partitions: tuple[PlanPartition, ...]
    console_cpu: Optional[int]         # index into cpus, None: no core can take the UART's interrupt
    free: tuple[Region, ...]           # RAM that nobody got
    pa_bits: int                       # 32, 36, 40, 42, 44, 48, 52
    vmm: Literal["", "svm", "vmx"] = ""    # x86: which CPU vendor's tables, from Kconfig
    slots: tuple[PlanCpu, ...] = ()    # vcpus of pools: entries of layout.cpus behind `cpus`
    pools: tuple[PlanPool, ...] = ()
    channels: tuple[PlanChannel, ...] = ()
    trampoline: int = 0                # x86: page below 1 MiB through which other cores start
    notes: tuple[str, ...] = field(default=())   # warnings to be repeated in report and boot log

    @property
    def entries(self) -> tuple[PlanCpu, ...]:
        """layout.cpus; PlanPartition.cpus and Server.cpu are places in it."""
        return self.cpus + self.slots
