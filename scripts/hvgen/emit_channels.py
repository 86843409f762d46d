# SPDX-License-Identifier: Apache-2.0
"""Channels and doorbells in layout.c."""
from __future__ import annotations

from .channels import ring
from .ctext import c_comment, c_string, initialiser, pa
from .model import Plan, PlanChannel, PlanPartition, Region
from .place import PAGE
from .tables import ident, size_text

Fields = list[tuple[str, str]]


def arrays(plan: Plan) -> list[str]:
    """The channels, and the interrupts that doorbells ring."""
    if not plan.channels:
        return []
    out = ["static const struct layout_channel channels[] = {"]
    for channel in plan.channels:
        names = ", ".join(f"{plan.partitions[end.partition].name} ({end.role})" for end in channel.ends)
        fields = [("name", c_string(channel.name)), ("pa", pa(channel.pa)), ("size", f"{channel.size:#x}"),
                  ("loader", str(channel.ends[0].partition)), ("yaml_line", str(channel.spec.span.line))]
        out += [f"    {{  /* {size_text(channel.size)} at guest address {channel.ipa:#x}: {c_comment(names)} */"]
        out += initialiser(fields, "        ") + ["    },"]
    out += ["};", ""]
    for part in plan.partitions:
        out += _doorbells(plan, part)
    return out


def _doorbells(plan: Plan, part: PlanPartition) -> list[str]:
    if not part.doorbells:
        return []
    owners = {ring(plan.hardware, end.partition, end.intid): plan.partitions[end.partition].name
              for channel in plan.channels for end in channel.ends}
    name, out = ident(part.name), []
    for bell in part.doorbells:
        rung = ", ".join(owners[intid] for intid in bell.intids)
        rings = ", ".join(_ring(plan, intid) for intid in bell.intids)
        out.append(f"static const uint32_t rings_{name}_{ident(bell.channel)}[] = {{ {rings} }};"
                   f"  /* {c_comment(rung)} */")
    out.append(f"static const struct layout_doorbell doorbells_{name}[] = {{")
    for bell in part.doorbells:
        out.append(f"    {{ .page = {pa(bell.page)}, .intids = rings_{name}_{ident(bell.channel)}, "
                   f".intid_count = {len(bell.intids)}, .channel = {bell.number} }},  /* {c_comment(bell.channel)} */")
    return out + ["};", ""]


def _ring(plan: Plan, intid: int) -> str:
    return f"LAYOUT_BELL({intid >> 16}, {intid & 0xffff})" if plan.hardware.pc else str(intid)


def of_partition(part: PlanPartition) -> Fields:
    """The fields of struct layout_partition."""
    if not part.doorbells:
        return []
    return [("doorbells", f"doorbells_{ident(part.name)}"), ("doorbell_count", str(len(part.doorbells)))]


def counts(plan: Plan) -> Fields:
    """The fields of struct layout."""
    return [("channels", "channels"), ("channel_count", str(len(plan.channels)))] if plan.channels else []


def seen_at(channel: PlanChannel) -> Region:
    """Guest addresses of a channel: its memory, with its doorbell's page."""
    end = channel.doorbell + PAGE if channel.doorbell else channel.ipa + channel.size
    return Region(channel.ipa, end - channel.ipa)
