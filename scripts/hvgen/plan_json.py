# SPDX-License-Identifier: Apache-2.0
"""plan.json: the plan for programs.  Addresses are strings in hex, sizes are numbers of bytes."""
from __future__ import annotations

import json
from typing import Any

from . import schedule
from .model import Mapping, Plan, PlanChannel, PlanCpu, PlanPartition, PlanPool, Region

FORMAT = 1


def text(plan: Plan) -> str:
    return json.dumps(_plan(plan), indent=2) + "\n"


def _plan(plan: Plan) -> dict[str, Any]:
    hardware = plan.hardware
    return {
        "format": FORMAT,
        "image": plan.system.name,
        "board": {"name": hardware.name, "model": hardware.model,
                  "memory": [_region(r) for r in hardware.memory],
                  "reserved": [{**_region(r), "why": why} for r, why in hardware.reserved]},
        "hypervisor": {**_region(plan.hv), **_only_here(plan)},
        "pa_bits": plan.pa_bits,
        "console_cpu": plan.console_cpu,
        "cpus": [{"board_index": c.board_index, **_core(plan, c), **_user(plan, c)} for c in plan.cpus],
        **({"pools": [_pool(plan, pool) for pool in plan.pools]} if plan.pools else {}),
        "partitions": [_partition(plan, p) for p in plan.partitions],
        **({"channels": [_channel(plan, channel) for channel in plan.channels]} if plan.channels else {}),
        "free": [_region(r) for r in plan.free],
        "notes": list(plan.notes),
    }


def _only_here(plan: Plan) -> dict[str, Any]:
    if plan.vmm:
        return {"vmm": plan.vmm, "trampoline": hex(plan.trampoline)}
    return {"text_offset": plan.text_offset}


def _core(plan: Plan, cpu: PlanCpu) -> dict[str, Any]:
    if plan.vmm:
        return {"apic_id": cpu.mpidr}
    return {"mpidr": hex(cpu.mpidr), "redistributor": hex(cpu.redist)}


def _user(plan: Plan, cpu: PlanCpu) -> dict[str, Any]:
    if cpu.partition < 0:
        return {"pool": plan.pools[cpu.pool - 1].name}
    return {"partition": plan.partitions[cpu.partition].name, "vcpu": cpu.vcpu}


def _pool(plan: Plan, pool: PlanPool) -> dict[str, Any]:
    """Times in nanoseconds; cores as in system.yaml."""
    boards = [plan.cpus[c].board_index for c in pool.cpus]
    servers = [{**_user(plan, plan.entries[s.cpu]), "core": None if s.core is None else boards[s.core],
                "budget": s.budget_ns, "period": s.period_ns, "extra_time": s.extra} for s in pool.servers]
    out = {"name": pool.name, "scheduler": pool.spec.scheduler, "cpus": boards, "servers": servers,
           "overhead": schedule.SWITCHES * plan.hardware.switch_ns}
    if pool.spec.scheduler == "rtds":
        return {**out, "placement": pool.spec.placement}
    windows = [{**_user(plan, plan.entries[pool.servers[w.server].cpu]), "core": boards[w.core], "start": w.start_ns,
                "length": w.length_ns} for w in pool.windows]
    return {**out, "frame": pool.spec.frame_ns, "windows": windows}


def _channel(plan: Plan, channel: PlanChannel) -> dict[str, Any]:
    """`interrupt`: by which the others ring; `rings`: what its own doorbell does."""
    ends: list[dict[str, Any]] = [{"partition": plan.partitions[end.partition].name, "role": end.role} for end in channel.ends]
    if channel.doorbell:
        ends = [{**said, "interrupt": end.intid, "rings": list(end.rings)} for said, end in zip(ends, channel.ends)]
    return {"name": channel.name, "line": channel.spec.span.line, "guest": hex(channel.ipa), "physical": hex(channel.pa),
            "size": channel.size, "doorbell": hex(channel.doorbell) if channel.doorbell else None, "ends": ends}


def _partition(plan: Plan, part: PlanPartition) -> dict[str, Any]:
    spec = part.spec
    return {
        "name": part.name, "vmid": part.vmid, "line": spec.span.line,
        "cpus": [plan.entries[c].board_index for c in part.cpus], **({"pool": spec.use.pool} if spec.use else {}),
        "interrupts": "direct" if part.direct else "virtual", "on_fault": spec.on_fault, "dma_unprotected": part.dma_unprotected,
        "ipa_bits": part.ipa_bits, "entry": hex(part.entry),
        "boot_block" if plan.vmm else "devicetree": {"guest": hex(part.dtb_ipa), "room": part.dtb_room},
        "initrd": None if part.initrd is None else _region(part.initrd),
        "memory": [_mapping(m) for m in part.ram],
        "devices": [{"path": device.path, "line": given.span.line, "interrupts": [i.intid for i in device.interrupts],
                     "dma": given.dma or "none"} for device, given in part.devices],
        "device_memory": [{**_mapping(m), "device": m.what} for m in part.mappings if m.kind == "device"],
        "images": [{"what": b.what, "guest": hex(b.ipa), "physical": hex(b.pa), "size": b.size}
                   for b in part.blobs if b.file],
        **_interrupts(plan, part), **_health(part),
    }


def _health(part: PlanPartition) -> dict[str, Any]:
    """What system.yaml has asked for; times in nanoseconds."""
    spec, dog = part.spec, part.watchdog
    out: dict[str, Any] = {"monitor": True} if spec.monitor else {}
    if spec.restart_limit:
        out["restarts"] = {"times": spec.restart_limit, "within": spec.restart_window_ns, "then": spec.restart_then}
    if dog:
        where = {"guest": hex(dog.ipa), "interrupt": dog.intid} if dog.intid else {"port": hex(dog.ipa)}
        out["watchdog"] = {**where, "timeout": spec.watchdog_ns, "boot": spec.watchdog_boot_ns,
                           "watched_by": dog.cpu}
    return out


def _interrupts(plan: Plan, part: PlanPartition) -> dict[str, Any]:
    vuart = part.vuart
    if plan.vmm:
        return {"lines": list(part.spis), "ports": [_region(r) for r in part.ports],
                "vuart": None if vuart is None else {"port": hex(vuart.ipa), "line": vuart.intid}}
    return {"spis": list(part.spis), "ppis": list(part.ppis),
            "vuart": None if vuart is None else {"guest": hex(vuart.ipa), "interrupt": vuart.intid}}


def _region(region: Region) -> dict[str, Any]:
    return {"base": hex(region.base), "size": region.size}


def _mapping(mapping: Mapping) -> dict[str, Any]:
    return {"guest": hex(mapping.ipa), "physical": hex(mapping.pa), "size": mapping.size}
