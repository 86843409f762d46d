# SPDX-License-Identifier: Apache-2.0
"""Faults in what shared cores need on x86: trapped local APICs, APIC IDs of their own, pages for each vcpu."""
from __future__ import annotations

from typing import Any, Callable

import pytest

from conftest import Checker
from planter import Faults
from planter_x86 import PcImage

Plant = Callable[[PcImage], None]
fault = FAULTS = Faults()


def slot(image: PcImage, index: int) -> Any:
    return image.cpu(image.layout.cpu_count + index)


def lets_through(name: str, msr: int, write: bool) -> None:
    def plant(image: PcImage) -> None:
        image.msr("alpha", msr, write, True)
    plant.__name__ = f"{'writes' if write else 'reads'}_{name}"
    fault("msr-harmless", says=f"{'writes' if write else 'reads'} MSR {msr:#x} without an exit")(plant)


for wanted in (("the_apics_id", 0x802, False), ("the_task_priority", 0x808, True), ("end_of_interrupt", 0x80b, True),
               ("requests", 0x820, False), ("the_timers_entry", 0x832, True), ("the_timers_count", 0x838, True),
               ("the_self_ipi", 0x83f, True), ("the_deadline", 0x6e0, True), ("the_deadline", 0x6e0, False),
               ("what_no_switch_moves", 0x1c4, True)):
    lets_through(*wanted)


@fault("msr-harmless", says="partition beta writes MSR 0x6e0 without an exit")
def bitmap_of_a_pinned_partition(image: PcImage) -> None:
    image.part("beta").msr_bitmap = image.part("gamma").msr_bitmap


@fault("ipi-own-cores", says="partition alpha may send interrupts to APIC IDs")
def sends_to_the_physical_core(image: PcImage) -> None:
    image.part("alpha").apic_ids[0] = 1 << slot(image, 0).apic_id


@fault("cpu-given", "acpi-cpus", says="vcpu 1 of alpha")
def two_vcpus_with_one_id(image: PcImage) -> None:
    image.vcpu("alpha", 1).apic_id = 0


@fault("hv-core-pages", says="the CPU's pages of CPU")
def two_vcpus_share_pages(image: PcImage) -> None:
    slot(image, 1).vmm = slot(image, 0).vmm


@fault("hv-core-pages", says="is not two pages of the hypervisor's data")
def pages_outside(image: PcImage) -> None:
    slot(image, 2).vmm = image.layout.hv_base


@fault("pool-servers", "layout-partitions", says="but its interrupts are direct")
def direct_on_a_shared_core(image: PcImage) -> None:
    image.part("beta").irq_mode = 1


@fault("pool-servers", says="slot 1 has core")
def slot_of_another_core(image: PcImage) -> None:
    slot(image, 1).apic_id = image.cpu(0).apic_id


def test_the_good_image_passes(pc_pools: Checker) -> None:
    pc_pools.passes(3)


@pytest.mark.parametrize("name, plant, broken, says", FAULTS, ids=[f[0] for f in FAULTS])
def test_fault(pc_pools: Checker, name: str, plant: Plant, broken: set[str], says: str) -> None:
    pc_pools.finds(plant, broken, says)
