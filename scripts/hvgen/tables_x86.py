# SPDX-License-Identifier: Apache-2.0
"""Plan -> page tables of an x86 board: NPT or EPT of each partition, the host's own, one for each loader.

All have four levels of 512 entries: PML4, PDPT, page directory, page table (APM 2 5.3, SDM 3 4.5).
NPT entries are those of ordinary page tables, read as user accesses (APM 2 15.25.5); EPT has a
format of its own (SDM 3 29.3.2).
"""
from __future__ import annotations

from .model import Plan, Region
from .place import pages as page_region
from .tables import (PAGE, Format, GuestRights, Pool, Range, Rights, Sizes, Stage2, Tables, hypervisor_ranges, ident,
                     joined, loader_ranges, make_loaders, reset_pages, stage2_ranges)

ROOT_SLOTS = 512
SPACE = 1 << 47                        # the lower half of 48-bit canonical addresses

# Ordinary entries, and NPT. PWT and PCD select entry 3 of the PAT, which is UC after reset.
P, RW, US, PWT, PCD, A, D, PS = (1 << n for n in range(8))
NX = 1 << 63
UC = PWT | PCD

# Accessed and dirty are set in all of them: the processor never has to write.
NPT_RAM = P | RW | US | A | D
NPT_DEVICE = NPT_RAM | UC | NX
NPT_SHARED = NPT_RAM | NX
NPT_SHARED_RO = NPT_SHARED & ~RW
HOST_TEXT = P | A | D
HOST_RODATA = P | A | D | NX
HOST_RW = P | RW | A | D | NX
HOST_DEVICE = HOST_RW | UC

# EPT: read, write, execute; memory type in 5:3.
EPT_R, EPT_W, EPT_X = 1, 2, 4
EPT_WB = 6 << 3
EPT_RAM = EPT_R | EPT_W | EPT_X | EPT_WB
EPT_DEVICE = EPT_R | EPT_W
EPT_SHARED = EPT_R | EPT_W | EPT_WB
EPT_SHARED_RO = EPT_R | EPT_WB
EPTP = 6 | 3 << 3                      # walks are write-back, 4 levels, no accessed and dirty flags (SDM 3 25.6.11)

NPT = Format(P | RW | US | A, PS, 0, {NPT_RAM: "RAM, rw x", NPT_DEVICE: "device, rw", NPT_SHARED: "channel, rw",
                                      NPT_SHARED_RO: "channel, read-only"})
EPT = Format(EPT_R | EPT_W | EPT_X, PS, 0, {EPT_RAM: "RAM, rw x", EPT_DEVICE: "device, rw", EPT_SHARED: "channel, rw",
                                            EPT_SHARED_RO: "channel, read-only"})
NPT_RIGHTS = GuestRights(NPT_RAM, NPT_DEVICE, NPT_SHARED, NPT_SHARED_RO)
EPT_RIGHTS = GuestRights(EPT_RAM, EPT_DEVICE, EPT_SHARED, EPT_SHARED_RO)
HOST = Format(P | RW | A, PS, 0, {HOST_TEXT: "text, r x", HOST_RODATA: "read-only", HOST_RW: "rw",
                                  HOST_DEVICE: "device, rw"})
HOST_RIGHTS = Rights(HOST_TEXT, HOST_RODATA, HOST_RW, HOST_DEVICE)

CPU_PAGES = {"svm": ("VMCB", "host save area"), "vmx": ("VMXON region", "VMCS")}
SLOT_PAGES = {"svm": ("VMCB", "saved state"), "vmx": ("saved state", "VMCS")}


def host_devices(plan: Plan) -> list[tuple[Region, str]]:
    """What the hypervisor itself drives through memory: the I/O APIC, and a UART that has no ports."""
    named: list[tuple[Region, str]] = []
    uart, pc = plan.hardware.uart, plan.hardware.pc
    if uart is not None and uart.width:
        named.append((page_region(uart.region), "console"))
    if pc is not None and pc.ioapic is not None:
        named.append((page_region(pc.ioapic.region), "I/O APIC"))
    return joined(named)


def host_ranges(plan: Plan, sizes: Sizes) -> list[Range]:
    out = hypervisor_ranges(plan, sizes, HOST_RIGHTS, host_devices(plan), CPU_PAGES.get(plan.vmm, ()),
                            SLOT_PAGES.get(plan.vmm, ()))
    if plan.trampoline:
        out.append(Range(plan.trampoline, plan.trampoline, PAGE, HOST_TEXT, "start of the other cores"))
    return sorted(out, key=lambda r: r.va)


def make_tables(plan: Plan, sizes: Sizes) -> Tables:
    vmx = plan.vmm == "vmx"
    kind, pool = ("ept", Pool(EPT, "gpa")) if vmx else ("npt", Pool(NPT, "gpa"))
    rights = EPT_RIGHTS if vmx else NPT_RIGHTS
    nested: list[Stage2] = []
    for part in plan.partitions:
        prefix = f"{kind}_{ident(part.name)}"
        entries = pool.entries(prefix, 0, 0, stage2_ranges(part, rights))
        pool.root(entries, f"{prefix}_root", ROOT_SLOTS, f"{kind.upper()} of {part.name}", False)
        nested.append(Stage2(f"{prefix}_root", ROOT_SLOTS, 0, 0, EPTP if vmx else 0))

    pool.format, pool.side = HOST, "va"
    main = host_ranges(plan, sizes)
    extra = [[*loader_ranges(plan, part, HOST_RW, HOST_RW),
              *(Range(r.base, r.base, r.size, HOST_DEVICE, what) for r, what in reset_pages(part))] for part in plan.partitions]
    if max(r.va + r.size for r in [*main, *(r for more in extra for r in more)]) > SPACE:
        raise ValueError("memory beyond 128 TiB is out of reach of four levels of page tables")
    pool.root(pool.entries("host", 0, 0, main), "host_root", ROOT_SLOTS, "the hypervisor's own map", False)
    roots = make_loaders(pool, plan, "host", main, extra, 0, ROOT_SLOTS, "the hypervisor")
    return Tables(tuple(pool.tables), tuple(nested), "host_root", 0, roots)
