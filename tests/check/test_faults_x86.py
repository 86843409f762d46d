# SPDX-License-Identifier: Apache-2.0
"""Faults in a good image for a PC, with NPT and with EPT; the checker must name exactly the properties that they break."""
from __future__ import annotations

import struct
from typing import Callable

import pytest

from conftest import VENDORS, Checker, in_chapters, run
from planter import MIB
from planter_x86 import LARGE, NX, P, PC_ADDRESS, PCD, PWT, RW, US, A, D, PcImage

Plant = Callable[[PcImage], None]
FAULTS: list[tuple[str, Plant, set[str], str, str]] = []

# Guest addresses of alpha beside its GPIO, in the same 2 MiB, used by nothing.
GPIO = 0xfe030000
SPARE = 0xfe100000
ALL = (1 << 64) - 1


def fault(*broken: str, says: str = "", vendor: str = "") -> Callable[[Plant], Plant]:
    """Registers a fault: the properties that it breaks, a text that the report must have, and whose tables it is for."""
    def register(plant: Plant) -> Plant:
        FAULTS.append((plant.__name__, plant, set(broken), says, vendor))
        return plant
    return register


# ---------------------------------------------------------------- the layout

@fault("layout-readable", says="magic")
def wrong_magic(image: PcImage) -> None:
    image.layout.magic ^= 1


@fault("layout-readable", says="out of bounds")
def absurd_msr_count(image: PcImage) -> None:
    image.layout.pc.msr_count = 1 << 20


@fault("layout-readable", says="out of bounds")
def absurd_line_count(image: PcImage) -> None:
    image.layout.pc.ioapic_lines = 65


@fault("layout-readable", says="CPUID leaves at")
def cpuid_outside_the_image(image: PcImage) -> None:
    image.layout.pc.cpuid = 0x1000


@fault("layout-readable", says="a bitmap does not lie in the image")
def bitmap_outside_the_image(image: PcImage) -> None:
    image.part("alpha").msr_bitmap = 0x1000


@fault("layout-read-only", "layout-checksum", says="a bitmap of MSRs")
def bitmap_in_writable_data(image: PcImage) -> None:
    part, room = image.part("alpha"), image.symbols["writable"]
    image.put(room, image.bytes_at(part.msr_bitmap, 4096 if image.vmx else 8192))
    part.msr_bitmap = room


@fault("layout-read-only", "layout-checksum", says="MSRs at")
def answers_in_writable_data(image: PcImage) -> None:
    pc, room = image.layout.pc, image.symbols["writable"]
    image.put(room, image.bytes_at(pc.msrs, 24 * pc.msr_count))
    pc.msrs = room


@fault("layout-partitions", says="interrupts are virtual")
def wrong_irq_mode(image: PcImage) -> None:
    image.part("gamma").irq_mode = 0


@fault("layout-partitions", says="fault policy")
def wrong_fault_policy(image: PcImage) -> None:
    image.part("alpha").on_fault = 0


@fault("layout-partitions", "acpi-ports", "acpi-interrupts", says="virtual UART")
def missing_vuart(image: PcImage) -> None:
    image.part("alpha").vuart_line = 0


@fault("layout-devices", says="which is not what")
def wrong_device_owner(image: PcImage) -> None:
    image.device("/serial@2f8").owner = 0


@fault("layout-devices", says="not in the devicetree")
def ports_as_an_address(image: PcImage) -> None:
    image.device("/serial@2f8").base = image.device("/serial@2f8").base + 8


# ---------------------------------------------------------------- registers

@fault("stage2-registers", says="0x1e", vendor="vmx")
def eptp_uncached(image: PcImage) -> None:
    image.part("alpha").nested &= ~7


@fault("stage2-registers", says="0x1e", vendor="vmx")
def eptp_with_accessed_flags(image: PcImage) -> None:
    image.part("alpha").nested |= 1 << 6


@fault("stage2-registers", says="flags are set", vendor="svm")
def ncr3_with_flags(image: PcImage) -> None:
    image.part("alpha").nested |= PCD


@fault("stage2-registers", says="beyond the physical address size")
def nested_root_beyond(image: PcImage) -> None:
    image.part("alpha").nested |= 1 << 51


@fault("hv-registers", says="loader map of beta")
def loader_cr3_with_flags(image: PcImage) -> None:
    image.part("beta").loader_cr3 |= PCD


@fault("hv-registers", says="the hypervisor's CR3")
def host_cr3_with_flags(image: PcImage) -> None:
    image.layout.host_cr3 |= PWT


@fault("hv-registers", says="el2_tcr")
def tcr_on_a_pc(image: PcImage) -> None:
    image.layout.el2_tcr = 1 << 31


@fault("vmid-unique", says="have the same")
def same_asid(image: PcImage) -> None:
    image.part("beta").asid = image.part("alpha").asid


@fault("vmid-unique", says="0 is not 1..15")
def the_hypervisors_asid(image: PcImage) -> None:
    image.part("alpha").asid = 0


# ---------------------------------------------------------------- tables

@fault("tables-wellformed", says="accessed flag is clear", vendor="svm")
def accessed_flag_clear(image: PcImage) -> None:
    image.nested("alpha").change(GPIO, clear=A)


@fault("tables-wellformed", says="dirty flag is clear", vendor="svm")
def dirty_flag_clear(image: PcImage) -> None:
    image.nested("alpha").change(GPIO, clear=D)


@fault("tables-wellformed", says="accessed flag is clear")
def host_accessed_flag_clear(image: PcImage) -> None:
    everywhere(image, image.symbols["writable"], clear=A)


@fault("tables-wellformed", says="user bit is set")
def host_page_of_users(image: PcImage) -> None:
    everywhere(image, image.symbols["writable"], set=US)


@fault("tables-wellformed", says="reserved or unused bit")
def host_page_global(image: PcImage) -> None:
    everywhere(image, image.symbols["writable"], set=1 << 8)


@fault("tables-wellformed", "device-reached", says="user bit is clear", vendor="svm")
def npt_without_user(image: PcImage) -> None:
    image.nested("alpha").change(GPIO, clear=US)


@fault("tables-wellformed", says="reserved or unused bit", vendor="svm")
def npt_global(image: PcImage) -> None:
    image.nested("alpha").change(GPIO, set=1 << 8)


@fault("tables-wellformed", says="reserved or unused bit", vendor="vmx")
def ept_ignores_pat(image: PcImage) -> None:
    image.nested("alpha").change(GPIO, set=1 << 6)


@fault("tables-wellformed", "device-attributes", says="reserved value", vendor="vmx")
def ept_type_reserved(image: PcImage) -> None:
    image.nested("alpha").change(GPIO, set=2 << 3)


@fault("tables-wellformed", "device-reached", says="misconfigured", vendor="vmx")
def ept_write_only(image: PcImage) -> None:
    image.nested("alpha").change(GPIO, clear=1)


@fault("tables-wellformed", says="reserved or unused bit", vendor="vmx")
def ept_suppresses_exceptions(image: PcImage) -> None:
    image.nested("alpha").change(GPIO, set=1 << 63)


@fault("tables-wellformed", says="not aligned to the block")
def block_misaligned(image: PcImage) -> None:
    image.nested("alpha").change(32 * MIB, set=1 << 12)


@fault("tables-wellformed", says="not present is not zero")
def absent_but_not_zero(image: PcImage) -> None:
    image.nested("alpha").set(SPARE, 0x1000)


@fault("tables-wellformed", "nothing-else", says="beyond the physical address size")
def output_beyond_pa_size(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, 1 << 47, image.device_bits)


def step(image: PcImage, level: int, address: int = GPIO) -> int:
    """Where alpha's entry of a level stands."""
    return next(place for depth, place in image.nested("alpha").path(address) if depth == level)


@fault("tables-wellformed", says="PML4 entry is reserved")
def leaf_in_the_root(image: PcImage) -> None:
    image.write64(step(image, 0) + 8, image.ram_bits | LARGE)


@fault("tables-wellformed", says="reached twice")
def table_entered_twice(image: PcImage) -> None:
    image.write64(step(image, 2) + 8, image.read64(step(image, 2)))


@fault("tables-protected", "device-reached", says="next table is not in the image")
def table_outside_the_image(image: PcImage) -> None:
    place = step(image, 2)
    image.write64(place, image.memory("alpha").pa | image.read64(place) & 0xfff)


@fault("tables-protected", says="writable section")
def table_in_writable_data(image: PcImage) -> None:
    place, room = step(image, 2), image.symbols["writable"]
    image.put(room, image.bytes_at(image.read64(place) & PC_ADDRESS, 4096))
    image.write64(place, room | image.read64(place) & 0xfff)


@fault("hv-image", "tables-protected", says="can be written through the host map")
def tables_writable(image: PcImage) -> None:
    everywhere(image, step(image, 3), set=RW)


@fault("root-withdrawable", says="is not direct on ARM64")
def root_named(image: PcImage) -> None:
    image.part("alpha").root = image.part("alpha").nested & PC_ADDRESS


@fault("device-reached", says="does not reach")
def table_read_only(image: PcImage) -> None:
    """Rights of all levels count, not only the leaf's."""
    place = step(image, 2)
    image.write64(place, image.read64(place) & ~RW)


# ---------------------------------------------------------------- memory

@fault("memory-exclusive", says="partitions alpha and beta both reach")
def page_of_another(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, image.memory("beta").pa, image.ram_bits)


@fault("memory-exclusive", says="both reach")
def page_of_another_read_only(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, image.memory("beta").pa + 0x1000, image.ram_bits & ~RW)


@fault("hypervisor-unreached", says="the hypervisor's image")
def hypervisor_text(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, image.layout.hv_base, image.ram_bits)


@fault("hypervisor-unreached", says="the hypervisor's memory")
def pages_of_a_core(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, image.cpu(0).vmm, image.ram_bits)


@fault("hypervisor-unreached", "reserved-unreached", says="trampoline")
def trampoline_given(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, image.layout.pc.trampoline, image.ram_bits)


@fault("reserved-unreached", says="board.yaml: firmware")
def firmware_below_1_mib(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, 0x9f000, image.ram_bits)


@fault("reserved-unreached", says="/memreserve/")
def memreserve(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, 0x50200000, image.ram_bits)


@fault("nothing-else", says="which nothing gives it")
def free_page(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, image.free_page(), image.ram_bits)


@fault("nothing-else", says="which nothing gives it")
def legacy_video_memory(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, 0xc8000000, image.device_bits)


@fault("nothing-else", says="where the layout has none")
def own_memory_twice(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, image.memory("alpha").pa + 32 * MIB, image.ram_bits)


@fault("nothing-else", says="not only at the board's")
def own_device_twice(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, GPIO, image.device_bits)


@fault("memory-mapped", says="does not reach its RAM")
def hole_in_ram(image: PcImage) -> None:
    image.nested("alpha").set(32 * MIB, 0)


@fault("memory-mapped", says="does not reach its RAM")
def ram_read_only(image: PcImage) -> None:
    image.nested("alpha").change(32 * MIB, clear=RW)


@fault("memory-mapped", says="for all access")
def ram_not_executable(image: PcImage) -> None:
    image.not_executable("alpha", 32 * MIB)


@fault("memory-mapped", "nothing-else", says="does not reach its RAM")
def ram_exchanged(image: PcImage) -> None:
    tables, start = image.nested("alpha"), 32 * MIB
    one, other = tables.get(start), tables.get(start + 2 * MIB)
    tables.set(start, other)
    tables.set(start + 2 * MIB, one)


@fault("memory-amount", "memory-mapped", "loader-bounded", "boot-memory", says="bytes of RAM")
def layout_has_more_memory(image: PcImage) -> None:
    image.memory("alpha").size += 2 * MIB


@fault("memory-amount", "nothing-else", "loader-bounded", "boot-memory", says="bytes of RAM")
def layout_has_less_memory(image: PcImage) -> None:
    image.memory("alpha").size -= 2 * MIB


@fault("memory-place", "memory-mapped", "boot-memory", "nothing-else", says="its RAM is not at guest addresses 0..0x80000000")
def no_hole_below_4_gib(image: PcImage) -> None:
    high = next(m for i in range(image.part("gamma").memory_count) for m in [image.memory("gamma", i)] if m.ipa == 1 << 32)
    high.ipa = 0x80000000


@fault("memory-attributes", says="is not write-back", vendor="svm")
def npt_ram_uncached(image: PcImage) -> None:
    image.nested("alpha").change(32 * MIB, set=PWT | PCD)


@fault("memory-attributes", says="memory type 0", vendor="vmx")
def ept_ram_uncached(image: PcImage) -> None:
    image.nested("alpha").change(32 * MIB, clear=7 << 3)


@fault("memory-attributes", says="memory type 4", vendor="vmx")
def ept_ram_write_through(image: PcImage) -> None:
    image.nested("alpha").change(32 * MIB, clear=7 << 3, set=4 << 3)


# ---------------------------------------------------------------- devices

@fault("controller-unreached", says="interrupt-controller@fec00000")
def io_apic(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, 0xfec00000, image.device_bits)


@fault("controller-unreached", says="local APIC")
def local_apic(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, 0xfee00000, image.device_bits)


@fault("controller-unreached", says="interrupt messages")
def interrupt_messages(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, 0xfee50000, image.device_bits)


@fault("iommu-unreached", says="iommu@fed90000")
def iommu(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, 0xfed90000, image.device_bits)


@fault("emulated-unmapped", "nothing-else", says="interrupt-controller@fec00000 is mapped")
def emulated_io_apic_mapped(image: PcImage) -> None:
    image.nested("alpha").map(0xfec00000, image.free_page(), image.ram_bits)


@fault("device-foreign", says="/hpet@fed00000")
def device_of_nobody(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, 0xfed00000, image.device_bits)


@fault("pci-config", says="reaches the configuration space of /pcie@b0000000")
def pci_configuration_space(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, 0xb0000000, image.device_bits)


@fault("device-reached", says="does not reach /soc/gpio@30000")
def device_missing(image: PcImage) -> None:
    image.nested("alpha").set(GPIO, 0)


@fault("device-attributes", says="is no RAM, but mapped", vendor="svm")
def npt_device_cached(image: PcImage) -> None:
    image.nested("alpha").change(GPIO, clear=PWT | PCD)


@fault("device-attributes", says="memory type 6", vendor="vmx")
def ept_device_cached(image: PcImage) -> None:
    image.nested("alpha").change(GPIO, set=6 << 3)


@fault("device-attributes", says="executable")
def device_executable(image: PcImage) -> None:
    image.nested("alpha").change(GPIO, clear=0 if image.vmx else NX, set=4 if image.vmx else 0)


# ---------------------------------------------------------------- the hypervisor's own map

def maps(image: PcImage) -> list:  # type: ignore[type-arg]
    return [image.host(), *(image.loader(name) for name in ("alpha", "beta", "gamma"))]


def everywhere(image: PcImage, address: int, clear: int = 0, set: int = 0) -> None:
    """The same change in the main map and in each loader map, which may share tables."""
    for place in {tables.find(address)[1] for tables in maps(image)}:
        image.write64(place, image.read64(place) & ~clear | set)


def add_everywhere(image: PcImage, address: int, target: int, like: int) -> None:
    """A new leaf in the main map and in each loader map."""
    attributes = image.host().get(like) & ~(PC_ADDRESS | LARGE)
    for level, place in {tables.find(address) for tables in maps(image)}:
        image.write64(place, target | attributes | (0 if level == 3 else LARGE))


@fault("hv-wx", "hv-image", says="writable and executable")
def data_executable(image: PcImage) -> None:
    everywhere(image, image.symbols["writable"], clear=NX)


@fault("hv-wx", "hv-image", says="writable and executable")
def text_writable(image: PcImage) -> None:
    everywhere(image, image.layout.hv_base, set=RW)


@fault("hv-image", says="is executable, the hypervisor maps it read-only")
def text_not_executable(image: PcImage) -> None:
    everywhere(image, image.layout.hv_base, set=NX)


@fault("hv-image", says="maps it not at all")
def text_unmapped(image: PcImage) -> None:
    everywhere(image, image.layout.hv_base, clear=ALL)


@fault("hv-image", says="maps it writable")
def layout_writable(image: PcImage) -> None:
    everywhere(image, image.symbols["layout"], set=RW)


@fault("hv-image", says="where the image has no code")
def spare_memory_executable(image: PcImage) -> None:
    everywhere(image, image.layout.hv_base + image.layout.hv_size - 0x1000, clear=NX)


@fault("hv-image", says="where the image has no data")
def spare_memory_writable(image: PcImage) -> None:
    everywhere(image, image.layout.hv_base + image.layout.hv_size - 0x1000, set=RW)


@fault("hv-wx", says="writable and executable")
def trampoline_writable(image: PcImage) -> None:
    everywhere(image, image.layout.pc.trampoline, set=RW)


@fault("hv-reaches", says="the trampoline at 0x8000 is not executable")
def trampoline_not_executable(image: PcImage) -> None:
    everywhere(image, image.layout.pc.trampoline, set=NX)


@fault("hv-identity", says="leads to")
def host_not_identity(image: PcImage) -> None:
    everywhere(image, image.symbols["writable"], clear=PC_ADDRESS, set=image.symbols["writable"] + 0x1000)


@fault("hv-identity", "hv-apart", "tables-protected", "loader-bounded", says="0x800000000000 leads to 0x100000000")
def host_in_the_upper_half(image: PcImage) -> None:
    room = image.symbols["writable"]
    image.write64(room, 1 << 32 | P | RW | A | D | LARGE | NX)
    image.write64(image.layout.host_cr3 + 256 * 8, room | P | RW | A)


@fault("hv-stacks", says="guard page")
def guard_page_mapped(image: PcImage) -> None:
    top = image.cpu(1).stack_top
    add_everywhere(image, top - 0x2000, top - 0x2000, like=top - 0x1000)


@fault("hv-stacks", "hv-image", says="is not writable")
def stack_unmapped(image: PcImage) -> None:
    everywhere(image, image.cpu(1).stack_top - 0x1000, clear=ALL)


@fault("hv-stacks", "hv-image", says="same stack")
def one_stack_for_two(image: PcImage) -> None:
    image.cpu(1).stack_top = image.cpu(0).stack_top


@fault("hv-core-pages", says="overlap")
def one_vmcb_for_two(image: PcImage) -> None:
    image.cpu(1).vmm = image.cpu(0).vmm


@fault("hv-core-pages", says="overlap")
def vmcb_over_a_stack(image: PcImage) -> None:
    image.cpu(1).vmm = image.cpu(0).stack_top - 0x1000


@fault("hv-core-pages", says="not two pages of the hypervisor's data")
def vmcb_in_read_only_memory(image: PcImage) -> None:
    image.cpu(0).vmm = image.symbols["layout"] & ~0xfff


@fault("hv-core-pages", says="not two pages of the hypervisor's data")
def vmcb_misaligned(image: PcImage) -> None:
    image.cpu(0).vmm += 0x10


@fault("hv-core-pages", "hv-image", says="is not writable")
def vmcb_unmapped(image: PcImage) -> None:
    everywhere(image, image.cpu(1).vmm, clear=ALL)


@fault("hv-place", "hv-image", "hypervisor-unreached", says="beyond the 2 GiB that its code can reach")
def hypervisor_without_end(image: PcImage) -> None:
    image.layout.hv_size = 1 << 31


@fault("hv-extent", says="neither its memory nor its UART")
def host_reaches_a_device(image: PcImage) -> None:
    add_everywhere(image, 0xfed00000, 0xfed00000, like=0xfec00000)


@fault("hv-apart", says="reaches 0x")
def host_reaches_guest_memory(image: PcImage) -> None:
    pa = image.memory("beta").pa
    add_everywhere(image, pa, pa, like=image.symbols["writable"])


@fault("hv-attributes", says="as memory that may be cached")
def host_io_apic_cached(image: PcImage) -> None:
    everywhere(image, 0xfec00000, clear=PWT | PCD)


@fault("hv-attributes", says="is not mapped write-back")
def host_memory_uncached(image: PcImage) -> None:
    everywhere(image, image.symbols["writable"], set=PWT | PCD)


@fault("hv-reaches", says="I/O APIC")
def host_lacks_the_io_apic(image: PcImage) -> None:
    everywhere(image, 0xfec00000, clear=ALL)


@fault("loader-bounded", says="which is not RAM of alpha")
def loader_reaches_another(image: PcImage) -> None:
    pa = image.memory("beta").pa
    image.loader("alpha").map(pa, pa, image.loader("beta").get(pa) & ~(PC_ADDRESS | LARGE))


@fault("loader-bounded", says="does not reach")
def loader_lacks_memory(image: PcImage) -> None:
    image.loader("alpha").set(image.memory("alpha").pa + 32 * MIB, 0)


@fault("loader-bounded", says="does not reach")
def loader_of_another(image: PcImage) -> None:
    image.part("alpha").loader_cr3 = image.part("beta").loader_cr3


# ---------------------------------------------------------------- cores

@fault("cpu-one-owner", "cpu-given", says="which does not exist")
def cpu_of_no_partition(image: PcImage) -> None:
    image.cpu(0).partition = 7


@fault("cpu-one-owner", "cpu-given", "ipi-own-cores", "acpi-cpus", says="are the same core")
def core_given_twice(image: PcImage) -> None:
    image.cpu(2).apic_id = image.cpu(0).apic_id
    image.vcpu("beta", 0).apic_id = image.cpu(0).apic_id


@fault("cpu-given", "acpi-cpus", says="gives it CPU 0")
def vcpus_exchanged(image: PcImage) -> None:
    image.cpu(0).apic_id, image.cpu(1).apic_id = 1, 0
    image.vcpu("alpha", 0).apic_id, image.vcpu("alpha", 1).apic_id = 1, 0


@fault("cpu-given", says="VMPIDR_EL2")
def vmpidr_on_a_pc(image: PcImage) -> None:
    image.vcpu("alpha", 1).vmpidr = 1 << 31


@fault("ipi-own-cores", says="may send interrupts to APIC IDs 0..: 0x10003")
def interrupts_to_anothers_core(image: PcImage) -> None:
    image.part("alpha").apic_ids[0] |= 1 << 0x10


@fault("ipi-own-cores", says="APIC IDs 64..")
def interrupts_to_a_core_of_nobody(image: PcImage) -> None:
    image.part("alpha").apic_ids[1] = 1


@fault("ipi-own-cores", says="its cores are 0x3")
def own_core_not_reached(image: PcImage) -> None:
    image.part("alpha").apic_ids[0] = 1


@fault("console-cpu", "watchdog-watched", says="does not exist")
def console_on_no_core(image: PcImage) -> None:
    image.layout.console_cpu = 9


# ---------------------------------------------------------------- interrupts

@fault("interrupt-one-owner", "interrupt-given", says="belongs to alpha and to beta")
def line_given_twice(image: PcImage) -> None:
    image.part("beta").lines |= 1 << 17


@fault("interrupt-given", says="which no device given to it raises")
def line_of_nobody(image: PcImage) -> None:
    image.part("beta").lines |= 1 << 20


@fault("interrupt-given", "acpi-interrupts", says="does not own INTID 3")
def line_missing(image: PcImage) -> None:
    image.part("beta").lines = 0


@fault("interrupt-one-owner", says="which is no shared interrupt")
def line_beyond_the_io_apic(image: PcImage) -> None:
    image.part("beta").lines |= 1 << 24


@fault("interrupt-hypervisor", "interrupt-given", says="of the hypervisor's UART")
def line_of_the_hypervisors_uart(image: PcImage) -> None:
    image.part("alpha").lines |= 1 << 4


@fault("interrupt-hypervisor", "interrupt-given", says="the 8254")
def line_of_the_alarm(image: PcImage) -> None:
    image.part("alpha").lines |= 1 << 2


@fault("vuart-interrupt", "acpi-interrupts", says="raised by a device of its own")
def vuart_with_own_devices_line(image: PcImage) -> None:
    image.part("alpha").vuart_line = 17


# ---------------------------------------------------------------- ports and registers

@fault("ports-own", "ports-kept", "emulated-unmapped", says="reaches I/O port 0x3f8: the hypervisor's UART")
def ports_of_the_hypervisors_uart(image: PcImage) -> None:
    image.port("alpha", 0x3f8, True)


@fault("ports-own", "ports-kept", says="/serial@2f8 of partition beta")
def port_of_another(image: PcImage) -> None:
    image.port("alpha", 0x2ff, True)


@fault("ports-own", says="0x5000..0x5000, which nothing gives it")
def port_of_nobody(image: PcImage) -> None:
    image.port("alpha", 0x5000, True)


@fault("ports-own", "acpi-ports", says="does not reach I/O ports 0x71..0x71 of /rtc@70")
def own_port_missing(image: PcImage) -> None:
    image.port("alpha", 0x71, False)


@fault("ports-own", says="bit 65537 behind the last port", vendor="svm")
def bit_behind_the_last_port(image: PcImage) -> None:
    image.port("alpha", 65537, True)


def kept_port(port: int, what: str) -> None:
    @fault("ports-own", "ports-kept", says=f"reaches I/O port {port:#x}: {what}")
    def plant(image: PcImage) -> None:
        image.port("gamma", port, True)
    FAULTS[-1] = (f"port_{port:x}", *FAULTS[-1][1:])


for kept in ((0x20, "the 8259"), (0x43, "the 8254"), (0x4d0, "the trigger modes"), (0x64, "the 8042"), (0x92, "the fast reset"),
             (0xa1, "the second 8259"), (0xb2, "the way into system"), (0xcf8, "PCI configuration"), (0xcfc, "PCI configuration"),
             (0x605, "what switches the board off"), (0x608, "the PM timer"), (0xc0, "the second 8237")):
    kept_port(*kept)


@fault("ports-own", "ports-kept", "acpi-ports", says="is no port that the hypervisor emulates")
def reset_register_passes(image: PcImage) -> None:
    image.port("beta", 0xcf9, True)


@fault("ports-own", "acpi-ports", says="is no port that the hypervisor emulates")
def sleep_register_passes(image: PcImage) -> None:
    image.port("beta", 0x600, True)


@fault("ports-own", says="not aligned to a page")
def bitmap_of_ports_misaligned(image: PcImage) -> None:
    """Shifted by the bytes that are full of ones: what passes is found elsewhere, too."""
    image.part("gamma").io_bitmap += 8


def passing_msr(msr: int, write: bool, what: str) -> None:
    @fault("msr-harmless", says=f"{'writes' if write else 'reads'} MSR {msr:#x}{what}")
    def plant(image: PcImage) -> None:
        image.msr("alpha", msr, write, True)
    FAULTS[-1] = (f"{'write' if write else 'read'}_msr_{msr:x}", *FAULTS[-1][1:])


for number, to_write, name in (
        (0x830, True, " (the interrupt command register)"), (0x10, True, " (the time stamp counter)"), (0x1b, True, " (APIC_BASE)"),
        (0x3b, True, " (TSC_ADJUST)"), (0x3a, True, " (FEATURE_CONTROL)"), (0x200, True, " (the memory type ranges)"),
        (0x2ff, True, " (the memory type ranges)"), (0x480, False, " (VMX)"), (0x1d9, True, " (DEBUGCTL)"), (0xda0, True, " (XSS)"),
        (0xc0000080, True, " (EFER)"), (0xc0000104, True, " (the ratio"), (0x79, True, " (the loading of microcode)"),
        (0x1fff, False, ""), (0xc0001fff, True, "")):
    passing_msr(number, to_write, name)


@fault("msr-harmless", says="writes MSR 0xc0010114 (SVM)", vendor="svm")
def write_vm_cr(image: PcImage) -> None:
    image.msr("alpha", 0xc0010114, True, True)


@fault("msr-harmless", says="writes MSR 0xc0010117 (SVM)", vendor="svm")
def write_host_save_area(image: PcImage) -> None:
    image.msr("alpha", 0xc0010117, True, True)


# ---------------------------------------------------------------- the PC

@fault("facts-ioapic", says="the I/O APIC")
def wrong_io_apic(image: PcImage) -> None:
    image.layout.pc.ioapic = 0


@fault("facts-ioapic", says="the number of its lines")
def wrong_line_count(image: PcImage) -> None:
    image.layout.pc.ioapic_lines = 32


@fault("facts-ioapic", says="the line of the 8254")
def wrong_alarm_line(image: PcImage) -> None:
    image.layout.pc.pit_line = 0


@fault("facts-power", says="the PM timer's port")
def wrong_pm_timer(image: PcImage) -> None:
    image.layout.pc.pm_timer = 0x408


@fault("facts-power", says="the frequency")
def wrong_tsc_frequency(image: PcImage) -> None:
    image.layout.pc.tsc_hz = 0


@fault("facts-power", says="write 0 to switch the board off is 0x2001")
def wrong_poweroff(image: PcImage) -> None:
    image.out(0).value = 0x2001


@fault("facts-power", says="the number of writes to reset the board")
def reset_forgotten(image: PcImage) -> None:
    image.layout.pc.reset_count -= 1


@fault("facts-power", says="the PSCI conduit")
def psci_on_a_pc(image: PcImage) -> None:
    image.layout.conduit = 0


@fault("facts-uart", says="the UART's line")
def wrong_uart_line(image: PcImage) -> None:
    image.layout.uart.intid = 3


@fault("facts-uart", says="LSR.THRE")
def wrong_uart_bit(image: PcImage) -> None:
    image.layout.uart.tx_mask = 0x40


@fault("facts-uart", says="which the UART does not have")
def uart_register_outside(image: PcImage) -> None:
    image.layout.uart.regs[0] = 8


@fault("trampoline", "hv-reaches", "hv-extent", "hv-image", says="no page between")
def trampoline_above_640_kib(image: PcImage) -> None:
    image.layout.pc.trampoline = 0xa0000


@fault("msr-answers", says="not above the entry before it")
def answers_not_sorted(image: PcImage) -> None:
    image.msr_answer(1).first = 0


@fault("msr-answers", says="EFER")
def answer_hides_efer(image: PcImage) -> None:
    answer = next(a for i in range(image.layout.pc.msr_count) for a in [image.msr_answer(i)] if a.first > 0xc0000080)
    answer.first = 0xc0000080


@fault("msr-answers", says="no known answers")
def answer_unknown(image: PcImage) -> None:
    image.msr_answer(0).write = 2


def shown_feature(leaf: int, word: int, bit: int, what: str) -> None:
    @fault("cpuid-policy", says=f"CPUID {leaf:#x} {('eax', 'ebx', 'ecx', 'edx')[word]} shows a guest {what}")
    def plant(image: PcImage) -> None:
        image.cpuid(leaf).keep[word] |= 1 << bit
    FAULTS[-1] = (f"cpuid_{leaf:x}_{word}_{bit}", *FAULTS[-1][1:])


for feature in ((0x1, 2, 5, "VMX"), (0x1, 2, 3, "MONITOR"), (0x7, 2, 16, "tables of five levels"), (0x7, 1, 1, "TSC_ADJUST"),
                (0x7, 1, 2, "SGX"), (0x7, 1, 25, "processor trace"), (0xa, 0, 0, "performance counters"),
                (0x80000001, 2, 2, "SVM"), (0x8000000a, 0, 0, "SVM")):
    shown_feature(*feature)


@fault("cpuid-policy", says="does not say the hypervisor bit")
def hypervisor_bit_hidden(image: PcImage) -> None:
    image.cpuid(1).set[2] &= ~(1 << 31)


@fault("cpuid-policy", says="does not say KVM's features")
def more_of_kvm(image: PcImage) -> None:
    image.cpuid(0x40000001).set[0] |= 1 << 7


# ---------------------------------------------------------------- images

@fault("image-source", "image-content", says="not in a read-only section")
def image_from_writable_data(image: PcImage) -> None:
    image.blob("alpha", 0).source = image.symbols["writable"]


@fault("image-target", "image-content", "entry-inside", says="which is not its RAM")
def image_into_anothers_memory(image: PcImage) -> None:
    image.blob("alpha", 0).target = image.memory("beta").pa


@fault("image-content", says="there is not what payload.bin has")
def image_changed(image: PcImage) -> None:
    image.put(image.blob("alpha", 0).source + 0x800, b"\0")


@fault("image-content", says="its image begins at 0x100000")
def entry_elsewhere(image: PcImage) -> None:
    image.part("alpha").entry += 1


@fault("entry-inside", "image-content", says="is not in its RAM")
def entry_outside(image: PcImage) -> None:
    image.part("alpha").entry = 0x80000000


@fault("entry-inside", "memory-mapped", says="is not executable")
def entry_not_executable(image: PcImage) -> None:
    image.not_executable("alpha", image.part("alpha").entry)


# ---------------------------------------------------------------- boot blocks

def edit_boot(image: PcImage, offset: int, value: int, size: int = 4) -> None:
    image.put(image.boot("alpha") + offset, value.to_bytes(size, "little"))


def map_entry(image: PcImage, index: int) -> int:
    """Offset of an entry of the memory map in alpha's boot block."""
    return image.boot_word("alpha", 40) - image.part("alpha").dtb + 24 * index


@fault("boot-readable", says="are not hvm_start_info's")
def start_info_damaged(image: PcImage) -> None:
    edit_boot(image, 0, 0)


@fault("boot-readable", "entry-inside", says="no image is copied there")
def start_info_elsewhere(image: PcImage) -> None:
    image.part("alpha").dtb = 0x200000


@fault("boot-readable", says="a count is out of bounds")
def too_many_modules(image: PcImage) -> None:
    edit_boot(image, 12, 2)


@fault("boot-readable", says="the memory map or the list")
def memory_map_elsewhere(image: PcImage) -> None:
    edit_boot(image, 40, 0x100000, 8)


@fault("boot-memory", says="which it does not have")
def memory_map_too_long(image: PcImage) -> None:
    edit_boot(image, map_entry(image, 4) + 8, 64 * MIB, 8)


@fault("boot-memory", says="does not have its memory at")
def memory_map_too_short(image: PcImage) -> None:
    edit_boot(image, map_entry(image, 4) + 8, 32 * MIB, 8)


@fault("boot-memory", says="of its boot block free")
def boot_block_called_free(image: PcImage) -> None:
    edit_boot(image, map_entry(image, 2) + 16, 1)


@fault("boot-memory", says="twice")
def memory_map_with_overlap(image: PcImage) -> None:
    edit_boot(image, map_entry(image, 1), 0x9e000, 8)
    edit_boot(image, map_entry(image, 1) + 8, 0x52000, 8)


def edit_reset(image: PcImage, offset: int, value: int) -> None:
    image.put(image.at_guest("alpha", 0xffff0) + offset, bytes([value]))


@fault("boot-reset", says="does not write 0x6 to port 0xcf9")
def reset_entry_to_another_port(image: PcImage) -> None:
    edit_reset(image, 3, 0xf8)


@fault("boot-reset", says="does not write 0x6 to port 0xcf9")
def reset_entry_runs_on(image: PcImage) -> None:
    edit_reset(image, 8, 0)


@fault("boot-reset", "image-target", says="finds no code at the BIOS's entry point")
def reset_entry_elsewhere(image: PcImage) -> None:
    raw = image.part("alpha")
    pa = image.memory("alpha").pa + 0xffff0
    next(b for i in range(raw.image_count) for b in [image.blob("alpha", i)] if b.target == pa).target = 0


@fault("boot-reset", says="calls the BIOS's entry point 0xffff0 free")
def reset_entry_called_free(image: PcImage) -> None:
    edit_boot(image, map_entry(image, 3) + 16, 1)


@fault("boot-initrd", says="has 1 modules, system.yaml no initrd")
def initrd_from_nowhere(image: PcImage) -> None:
    edit_boot(image, 12, 1)
    edit_boot(image, 16, image.part("alpha").dtb, 8)


@fault("boot-command-line", says="has ''")
def other_command_line(image: PcImage) -> None:
    line = image.boot_word("alpha", 24) - image.part("alpha").dtb
    edit_boot(image, line, 0x78, 1)


@fault("acpi-readable", says="RSDP is missing or damaged")
def rsdp_damaged(image: PcImage) -> None:
    image.put(image.table("alpha", b"RSD PTR ") + 10, b"?")


@fault("acpi-readable", says="the checksum of APIC")
def madt_checksum(image: PcImage) -> None:
    image.put(image.table("alpha", b"APIC") + 10, b"?")


@fault("acpi-readable", says="the checksum of DSDT")
def dsdt_checksum(image: PcImage) -> None:
    image.put(image.table("alpha", b"DSDT") + 10, b"?")


@fault("acpi-readable", says="does not say that the hardware is reduced")
def hardware_not_reduced(image: PcImage) -> None:
    flags = struct.unpack("<I", image.bytes_at(image.table("alpha", b"FACP") + 112, 4))[0]
    image.edit_table("alpha", b"FACP", 112, struct.pack("<I", flags & ~(1 << 20)))


@fault("acpi-readable", says="more than scopes, devices, names and methods")
def dsdt_with_code(image: PcImage) -> None:
    image.edit_table("alpha", b"DSDT", 36, b"\xa0")            # If


@fault("acpi-readable", says="a method does more than notify a device of an interrupt")
def dsdt_with_a_method(image: PcImage) -> None:
    image.edit_table("alpha", b"DSDT", 36, b"\x14\x0b_INI\x00\x0c\x00\x00\x00\x00")


@fault("acpi-cpus", says="has APIC ID 16")
def madt_with_anothers_core(image: PcImage) -> None:
    image.edit_table("alpha", b"APIC", 44 + 8 + 3, b"\x10")


@fault("acpi-cpus", says="neither a local APIC nor an I/O APIC")
def madt_with_another_entry(image: PcImage) -> None:
    image.edit_table("alpha", b"APIC", 44, b"\x04")


@fault("acpi-cpus", says="has an I/O APIC at 0xfec01000")
def madt_with_another_io_apic(image: PcImage) -> None:
    image.edit_table("alpha", b"APIC", 44 + 16 + 4, struct.pack("<I", 0xfec01000))


def resource(image: PcImage, kind: bytes) -> int:
    """Offset in beta's DSDT of its second device's resource of a kind: COM2, behind the virtual UART's."""
    place = image.table("beta", b"DSDT")
    length = struct.unpack("<I", image.bytes_at(place + 4, 4))[0]
    return image.bytes_at(place, length).rindex(kind)


@fault("acpi-ports", says="names I/O port 0x3e8")
def dsdt_with_other_ports(image: PcImage) -> None:
    image.edit_table("beta", b"DSDT", resource(image, b"\x47\x01\xf8\x02"), b"\x47\x01\xe8\x03\xe8\x03")


@fault("acpi-ports", says="names I/O port 0x300")
def dsdt_with_more_ports(image: PcImage) -> None:
    image.edit_table("beta", b"DSDT", resource(image, b"\x47\x01\xf8\x02") + 7, b"\x09")


@fault("acpi-interrupts", says="names lines 0x20000")
def dsdt_with_anothers_line(image: PcImage) -> None:
    image.edit_table("beta", b"DSDT", resource(image, b"\x89\x06\x00") + 5, b"\x11")


# ---------------------------------------------------------------- PCI functions: alpha has can@3,0, beta arinc@4,0

CAN, ARINC = 0, 1
WINDOW = 0xc0000000


@fault("layout-readable", says="out of bounds")
def absurd_function_count(image: PcImage) -> None:
    image.layout.pc.function_count = 33


@fault("layout-read-only", "layout-checksum", says="PCI functions at")
def functions_in_writable_data(image: PcImage) -> None:
    pc, room = image.layout.pc, image.symbols["writable"]
    image.put(room, image.bytes_at(pc.functions, 72 * pc.function_count))
    pc.functions = room


@fault("pci-functions", "pci-windows", says="/pcie@b0000000/can@3,0 is listed as beta's")
def function_of_another(image: PcImage) -> None:
    image.function(CAN).partition = 1


@fault("pci-functions", says="its configuration address is 0x10 in the layout, 0x18")
def another_function(image: PcImage) -> None:
    image.function(CAN).address = 0x10


@fault("pci-functions", says="its ID")
def another_card(image: PcImage) -> None:
    image.function(ARINC).id ^= 1


@fault("pci-functions", says="its interrupt is 0x113 in the layout, 0x110")
def function_with_anothers_line(image: PcImage) -> None:
    image.function(CAN).interrupt = 0x113


@fault("pci-functions", says="BAR 0 is 0x8000000 in the layout")
def bar_in_ram(image: PcImage) -> None:
    image.function(CAN).bar[0] = 0x8000000


@fault("pci-functions", says="BAR 3 is 0x0 in the layout, 0x8")
def upper_half_lost(image: PcImage) -> None:
    image.function(ARINC).bar[3] = 0


@fault("pci-functions", says="the size of BAR 1")
def smaller_than_it_is(image: PcImage) -> None:
    image.function(CAN).sizes[1] |= 0x20


@fault("pci-functions", says="BAR 2 is 0xc0800000 in the layout, 0x0")
def one_more_bar(image: PcImage) -> None:
    image.function(CAN).bar[2] = 0xc0800000


@fault("pci-functions", "pci-windows", says="is 0 times in the table")
def function_missing(image: PcImage) -> None:
    image.layout.pc.function_count = 1


@fault("pci-functions", "pci-windows", "pci-no-master", says="none of the devicetree's")
def function_without_a_node(image: PcImage) -> None:
    image.function(ARINC).name += 1


@fault("pci-functions", says="0x18 is twice in the table")
def one_address_twice(image: PcImage) -> None:
    image.function(ARINC).address = 0x18


@fault("pci-no-master", says="makes it bus master")
def bus_master(image: PcImage) -> None:
    image.function(CAN).command |= 4


@fault("pci-no-master", says="decodes 0x2, it has BARs for 0x3")
def ports_not_decoded(image: PcImage) -> None:
    image.function(CAN).command = 2


@fault("device-reached", says="does not reach /pcie@b0000000/can@3,0")
def bar_not_mapped(image: PcImage) -> None:
    image.nested("alpha").change(WINDOW, clear=ALL)


@fault("device-foreign", "memory-exclusive", says="/pcie@b0000000/arinc@4,0")
def bar_of_another(image: PcImage) -> None:
    image.nested("alpha").map(SPARE, 0x800000000, image.device_bits)


@fault("ports-own", "ports-kept", says="I/O port 0xcfc")
def configuration_ports_open(image: PcImage) -> None:
    image.port("alpha", 0xcfc, True)


@fault("ports-own", "ports-kept", says="0xd000")
def bar_for_ports_open_to_another(image: PcImage) -> None:
    image.port("beta", 0xd000, True)


def window(image: PcImage) -> int:
    """Offset in alpha's DSDT of its host bridge's window of memory."""
    place = image.table("alpha", b"DSDT")
    length = struct.unpack("<I", image.bytes_at(place + 4, 4))[0]
    return image.bytes_at(place, length).rindex(b"\x8a\x2b\x00")


@fault("pci-windows", says="has no window for the BAR of /pcie@b0000000/can@3,0")
def window_elsewhere(image: PcImage) -> None:
    image.edit_table("alpha", b"DSDT", window(image) + 14, struct.pack("<QQ", WINDOW + 0x4000, WINDOW + 0x7fff))


@fault("acpi-readable", says="ends and its length disagree")
def window_with_another_length(image: PcImage) -> None:
    image.edit_table("alpha", b"DSDT", window(image) + 22, struct.pack("<Q", WINDOW + 0x7fff))


@fault("acpi-interrupts", says="names lines 0x80000")
def route_to_anothers_line(image: PcImage) -> None:
    place = image.table("alpha", b"DSDT")
    length = struct.unpack("<I", image.bytes_at(place + 4, 4))[0]
    route = image.bytes_at(place, length).rindex(b"\x0c\xff\xff\x03\x00\x00\x00\x0a\x10")
    image.edit_table("alpha", b"DSDT", route + 8, b"\x13")


# ---------------------------------------------------------------- the tests

def test_the_good_image_passes(pc: Checker) -> None:
    pc.passes(3)


CASES = [(vendor, *case[:4]) for vendor in VENDORS for case in FAULTS if case[4] in ("", vendor)]


@pytest.mark.parametrize("pc, name, plant, broken, says", CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES], indirect=["pc"])
def test_fault(pc: Checker, name: str, plant: Plant, broken: set[str], says: str) -> None:
    pc.finds(plant, broken, says)


def test_every_property_has_a_fault(pc: Checker) -> None:
    manual = run(pc.program, "--manual").stdout
    known = {line.split("**")[1] for line in manual.splitlines() if line.startswith("- **") and "** (ARM64)" not in line}
    planted = set().union(*(broken for _, _, broken, _, _ in FAULTS))
    # In test_faults.py, test_inputs_x86.py, test_faults_health_x86.py; the fixture's UART has ports only.
    elsewhere = {"uart-unreached", "device-one-owner", "device-dma", "pci-bars", "acpi-watchdog"}
    apart = in_chapters(manual, "Shared cores", "Channels", "Health")    # each in a file of its own
    assert known - apart == (planted | elsewhere) - apart


def test_the_path_is_shown(pc: Checker) -> None:
    image = pc.pc()
    image.nested("alpha").map(SPARE, image.memory("beta").pa, image.ram_bits)
    verdict = pc.planted(image)
    kind = "ept" if image.vmx else "npt"
    walk = next(note for note in verdict.notes if f"walk of {kind.upper()} of alpha" in note)
    assert walk.startswith(f"walk of {kind.upper()} of alpha: PML4 {kind}_alpha_root[0] = 0x") and walk.count("->") == 3
