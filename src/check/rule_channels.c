/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about channels: whose memory it is, who reaches it how, and who rings whom. */
#include "check.h"

#include <string.h>

const struct spec_member *channel_member(const struct channel *channel, const struct part *part)
{
    for (size_t i = 0; channel->spec != NULL && i < channel->spec->member_count; i++) {
        if (strcmp(channel->spec->members[i].partition, part->name) == 0) {
            return &channel->spec->members[i];
        }
    }
    return NULL;
}

/* Whether a doorbell of one member has to ring another: a writer rings readers, readers the writer, peers each other. */
static bool rings_whom(const struct spec_member *from, const struct spec_member *to)
{
    return from != to && !(from->reader && to->reader);
}

/* Whether a doorbell's entry names an interrupt of the partition. */
static bool is_own_ring(const struct world *world, const struct part *part, uint32_t ring)
{
    if (is_x86(world)) {
        return ring >> 16 == part->index && (ring & 0xffffu) != 0 && (ring & 0xffffu) < 64 &&
               (part->raw.pc.bells >> (ring & 0xffffu) & 1) != 0;
    }
    return ring <= LAST_SPI && part_owns_irq(world, part, ring);
}

/* The entry by which a member is rung on a channel, as the others' doorbells have it; 0: none, or not one. */
static uint32_t interrupt_of(const struct world *world, uint32_t channel, const struct part *part)
{
    const struct spec_member *to = channel_member(&world->channels[channel], part);
    uint32_t found = 0;

    for (uint32_t p = 0; to != NULL && p < world->part_count; p++) {
        const struct part *other = &world->parts[p];
        const struct spec_member *from = channel_member(&world->channels[channel], other);

        for (uint32_t b = 0; from != NULL && rings_whom(from, to) && b < other->raw.doorbell_count; b++) {
            for (uint32_t i = 0; other->doorbells[b].channel == channel && i < other->doorbells[b].intid_count; i++) {
                uint32_t ring = other->rings[b][i];

                if (!is_own_ring(world, part, ring)) {
                    continue;
                }
                if (found != 0 && found != ring) {
                    return 0;
                }
                found = ring;
            }
        }
    }
    return found;
}

bool channel_rings(const struct world *world, const struct part *part, uint32_t intid)
{
    for (uint32_t i = 0; intid <= LAST_SPI && i < world->channel_count; i++) {
        if (world->board.spi_used[intid] == 0 && interrupt_of(world, i, part) == intid) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- the list */

static void prove_one(const struct world *world, struct proof *proof, uint32_t index)
{
    const struct channel *channel = &world->channels[index];
    const struct layout_channel *raw = &channel->raw;
    uint64_t base = raw->pa.raw, end = raw->pa.raw + raw->size;
    const struct range *hit;

    if (channel->spec == NULL) {
        violate(proof, "%s has no channel '%s'", world->spec.file, channel->name);
        return;
    }
    if (raw->size != channel->spec->size || raw->yaml_line != channel->spec->line) {
        violate(proof, "channel %s: 0x%" PRIx64 " bytes of line %" PRIu32 " in the layout, 0x%" PRIx64 " in %s:%" PRIu32,
                channel->name, raw->size, raw->yaml_line, channel->spec->size, world->spec.file, channel->spec->line);
    }
    if (((raw->pa.raw | raw->size) & PAGE_MASK) != 0 || end <= base || ranges_gap(&world->board.memory, &base, end) != 0) {
        violate(proof, "channel %s: 0x%" PRIx64 "..0x%" PRIx64 " is not made of pages of RAM", channel->name, raw->pa.raw,
                end - 1);
    }
    hit = ranges_hit(&world->hv, raw->pa.raw, end);
    hit = hit != NULL ? hit : ranges_hit(&world->board.reserved, raw->pa.raw, end);
    for (uint32_t p = 0; hit == NULL && p < world->part_count; p++) {
        hit = ranges_hit(&world->parts[p].ram, raw->pa.raw, end);
    }
    if (hit != NULL) {
        violate(proof, "channel %s lies in 0x%" PRIx64 "..0x%" PRIx64 ", which is %s's", channel->name, hit->base,
                hit->end - 1, hit->what);
    }
    if (raw->loader >= world->part_count || channel_member(channel, &world->parts[raw->loader]) == NULL) {
        violate(proof, "channel %s is zeroed through the map of a partition that is not on it", channel->name);
    }
    proof->checked += raw->size / PAGE_SIZE;
}

static void prove_memory(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->channel_count; i++) {
        prove_one(world, proof, i);
    }
    for (size_t i = 1; i < world->shared.count; i++) {
        if (world->shared.at[i].base < world->shared.at[i - 1].reach) {
            violate(proof, "channel %s shares 0x%" PRIx64 " with another", world->shared.at[i].what, world->shared.at[i].base);
        }
    }
    if (world->channel_count != world->spec.channel_count) {
        violate(proof, "the layout has %" PRIu32 " channels, %s %zu", world->channel_count, world->spec.file,
                world->spec.channel_count);
    }
}

/* ---------------------------------------------------------------- who reaches it */

/* Where a partition sees the first byte of a channel; false: nowhere. */
static bool seen_at(const struct part *part, const struct channel *channel, uint64_t *ipa)
{
    return pa_to_in(&part->stage2, channel->raw.pa.raw, ipa);
}

static void member_reaches(const struct world *world, struct proof *proof, const struct channel *channel,
                           const struct part *part, const struct spec_member *member)
{
    enum memory wanted = is_x86(world) ? MEMORY_NORMAL : MEMORY_UNCACHED;
    uint64_t ipa = 0;

    if (!seen_at(part, channel, &ipa)) {
        violate(proof, "partition %s does not reach channel %s", part->name, channel->name);
        return;
    }
    for (uint64_t at = 0; at < channel->raw.size; at += PAGE_SIZE) {
        const struct mapping *m = walk_find(&part->stage2, ipa + at);

        if (m == NULL || m->out + (ipa + at - m->in) != channel->raw.pa.raw + at || !can_read(m) || can_execute(m) ||
            can_write(m) == member->reader || m->memory != wanted) {
            violate(proof, "partition %s, which %s channel %s, has 0x%" PRIx64 " of it %s", part->name,
                    member->reader ? "reads" : "writes", channel->name, at,
                    m == NULL          ? "nowhere"
                    : can_execute(m)   ? "executable"
                    : m->memory != wanted ? part->stage2.format->memory_text(m->attr)
                    : can_write(m)     ? "writable, or elsewhere"
                                       : "read-only, or elsewhere");
            note(proof, "%s", walk_path(&part->stage2, &world->elf, ipa + at));
            return;
        }
    }
    proof->checked += channel->raw.size / PAGE_SIZE;
}

/* Pages of the channel that a partition reaches; a member has each once. */
static uint64_t pages_reached(const struct part *part, const struct channel *channel)
{
    uint64_t base = channel->raw.pa.raw, end = base + channel->raw.size, count = 0;

    for (size_t i = 0; i < part->stage2.map_count; i++) {
        const struct mapping *m = &part->stage2.maps[i];
        uint64_t from = m->out > base ? m->out : base;
        uint64_t to = m->out + m->size < end ? m->out + m->size : end;

        count += to > from ? (to - from) / PAGE_SIZE : 0;
    }
    return count;
}

static void prove_reached(const struct world *world, struct proof *proof)
{
    for (uint32_t i = 0; i < world->channel_count; i++) {
        const struct channel *channel = &world->channels[i];
        const struct part *first = NULL;
        uint64_t common = 0, ipa = 0;

        for (uint32_t p = 0; p < world->part_count; p++) {
            const struct part *part = &world->parts[p];
            const struct spec_member *member = channel_member(channel, part);
            uint64_t pages = pages_reached(part, channel);

            if (!part->stage2.done) {
                continue;
            }
            if (pages > (member != NULL ? channel->raw.size / PAGE_SIZE : 0)) {
                violate(proof, "partition %s reaches pages of channel %s %s", part->name, channel->name,
                        member != NULL ? "at two addresses" : "without being on it");
            }
            if (member == NULL) {
                continue;
            }
            member_reaches(world, proof, channel, part, member);
            if (first != NULL && seen_at(part, channel, &ipa) && ipa != common) {
                violate(proof, "channel %s is at 0x%" PRIx64 " for %s, at 0x%" PRIx64 " for %s", channel->name, common,
                        first->name, ipa, part->name);
            }
            first = first == NULL && seen_at(part, channel, &common) ? part : first;
        }
    }
}

/* ---------------------------------------------------------------- doorbells */

static bool page_is_free(const struct world *world, const struct part *part, uint64_t page)
{
    const struct layout_gic *gic = &world->layout.gic;
    uint64_t redists = (uint64_t)part->raw.vcpu_count * gic->redist_stride;

    if ((page & PAGE_MASK) != 0 || walk_find(&part->stage2, page) != NULL) {
        return false;
    }
    if (is_x86(world)) {
        return page != (world->layout.pc.ioapic.raw & ~PAGE_MASK);
    }
    return !(page - gic->dist.raw < gic->dist_size || page - gic->redist[0].raw < redists ||
             (part->raw.vuart.intid != 0 && page == (part->raw.vuart.base.raw & ~PAGE_MASK)) ||
             (part->raw.watchdog_intid != 0 && page - part->raw.watchdog.raw < 2 * PAGE_SIZE));
}

/* A doorbell rings each receiver of its channel by one interrupt, which is that receiver's, and nobody else. */
static void bell_rings(const struct world *world, struct proof *proof, const struct part *part, uint32_t index)
{
    const struct layout_doorbell *bell = &part->doorbells[index];
    const struct channel *channel = &world->channels[bell->channel];
    const struct spec_member *from = channel_member(channel, part);
    uint32_t receivers = 0;

    for (uint32_t p = 0; p < world->part_count; p++) {
        const struct spec_member *to = channel_member(channel, &world->parts[p]);
        uint32_t wanted = to != NULL && rings_whom(from, to) ? interrupt_of(world, bell->channel, &world->parts[p]) : 0;
        uint32_t times = 0;

        receivers += to != NULL && rings_whom(from, to) ? 1 : 0;
        for (uint32_t i = 0; i < bell->intid_count; i++) {
            times += part->rings[index][i] == wanted ? 1 : 0;
        }
        if (to != NULL && rings_whom(from, to) && (wanted == 0 || times != 1)) {
            violate(proof, "partition %s: its doorbell of channel %s does not ring %s by an interrupt of that one alone",
                    part->name, channel->name, world->parts[p].name);
        }
    }
    if (bell->intid_count != receivers) {
        violate(proof, "partition %s: its doorbell of channel %s rings %" PRIu32 " interrupts, there are %" PRIu32 " receivers",
                part->name, channel->name, bell->intid_count, receivers);
    }
    for (uint32_t i = 0; i < bell->intid_count; i++) {
        uint32_t intid = part->rings[index][i];

        proof->checked++;
        if (is_x86(world)) {
            continue;
        }
        if (intid < FIRST_SPI || intid > LAST_SPI || world->board.spi_used[intid] != 0) {
            violate(proof, "partition %s: its doorbell of channel %s rings INTID %" PRIu32 ", which is a device's of the board",
                    part->name, channel->name, intid);
        }
    }
}

static void part_bells(const struct world *world, struct proof *proof, const struct part *part)
{
    for (uint32_t i = 0; i < world->channel_count; i++) {
        const struct channel *channel = &world->channels[i];
        bool wanted = channel_member(channel, part) != NULL && channel->spec->doorbell;
        uint32_t found = 0;

        for (uint32_t b = 0; b < part->raw.doorbell_count; b++) {
            found += part->doorbells[b].channel == i ? 1 : 0;
        }
        if (found != (wanted ? 1 : 0)) {
            violate(proof, "partition %s has %" PRIu32 " doorbells of channel %s, %s gives it %s", part->name, found,
                    channel->name, world->spec.file, wanted ? "one" : "none");
        }
    }
    for (uint32_t b = 0; b < part->raw.doorbell_count; b++) {
        const struct layout_doorbell *bell = &part->doorbells[b];

        if (bell->channel >= world->channel_count || channel_member(&world->channels[bell->channel], part) == NULL) {
            violate(proof, "partition %s: doorbell %" PRIu32 " is of a channel that it is not on", part->name, b);
            continue;
        }
        if (!page_is_free(world, part, bell->page.raw)) {
            violate(proof, "partition %s: the page 0x%" PRIx64 " of its doorbell of channel %s is mapped or another device's",
                    part->name, bell->page.raw, world->channels[bell->channel].name);
        }
        bell_rings(world, proof, part, b);
    }
}

static void prove_bells(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        if (world->parts[p].stage2.done) {
            part_bells(world, proof, &world->parts[p]);
        }
    }
}

/* x86: the lines that ring a partition are those of its channels, and neither physical ones of its own nor the vUART's. */
static void prove_lines(const struct world *world, struct proof *proof, const struct part *part)
{
    uint32_t vuart = part->raw.vuart.intid;
    uint64_t told = 0, taken = part->raw.pc.lines | (vuart != 0 && vuart < 64 ? UINT64_C(1) << vuart : 0);

    for (uint32_t i = 0; i < world->channel_count; i++) {
        uint32_t ring = interrupt_of(world, i, part);

        told |= ring != 0 ? UINT64_C(1) << (ring & 63) : 0;
    }
    if (part->raw.pc.bells != told) {
        violate(proof, "partition %s may be rung by lines 0x%" PRIx64 ", its channels ring 0x%" PRIx64, part->name,
                part->raw.pc.bells, told);
    }
    if ((told & taken) != 0 || (told >> world->layout.pc.ioapic_lines) != 0) {
        violate(proof, "partition %s is rung by lines 0x%" PRIx64 ", which are a device's or do not exist", part->name,
                told);
    }
}

/* An interrupt tells one channel: no two of a partition share it. */
static void prove_apart(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; p < world->part_count; p++) {
        if (is_x86(world)) {
            prove_lines(world, proof, &world->parts[p]);
        }
        for (uint32_t i = 0; i < world->channel_count; i++) {
            uint32_t intid = interrupt_of(world, i, &world->parts[p]);

            for (uint32_t n = 0; intid != 0 && n < i; n++) {
                if (interrupt_of(world, n, &world->parts[p]) == intid) {
                    violate(proof, "partition %s: channels %s and %s ring it by the same INTID %" PRIu32, world->parts[p].name,
                            world->channels[n].name, world->channels[i].name, intid);
                }
            }
            if (!is_x86(world) && intid != 0 && intid == world->parts[p].raw.vuart.intid) {
                violate(proof, "partition %s: channel %s rings it by INTID %" PRIu32 " of its virtual UART",
                        world->parts[p].name, world->channels[i].name, intid);
            }
            proof->checked += intid != 0 ? 1 : 0;
        }
    }
}

/* ---------------------------------------------------------------- what guests are told */

static const char *role_of(const struct spec_member *member)
{
    return member->writer ? "writer" : member->reader ? "reader" : "peer";
}

/* The node of a channel says what the partition has. */
static void node_tells(const struct world *world, struct proof *proof, const struct part *part, const struct devtree *dt,
                       int node, uint32_t index)
{
    const struct channel *channel = &world->channels[index];
    const struct spec_member *member = channel_member(channel, part);
    const char *role = dt_string(dt, node, "bulkhead,role");
    uint64_t base = 0, size = 0, page = 0, page_size = 0, ipa = 0, bell = 0;
    struct dt_interrupt irq = {0};

    if (member == NULL || role == NULL || strcmp(role, role_of(member)) != 0) {
        violate(proof, "the devicetree of %s: %s says that it is the %s of channel %s", part->name, dt->nodes[node].path,
                role != NULL ? role : "?", channel->name);
    }
    if (!dt_reg(dt, node, 0, &base, &size) || !seen_at(part, channel, &ipa) || base != ipa || size != channel->raw.size) {
        violate(proof, "the devicetree of %s: %s has the channel's memory at 0x%" PRIx64 ", 0x%" PRIx64 " bytes", part->name,
                dt->nodes[node].path, base, size);
    }
    for (uint32_t b = 0; b < part->raw.doorbell_count; b++) {
        bell = part->doorbells[b].channel == index ? part->doorbells[b].page.raw : bell;
    }
    if (!dt_reg(dt, node, 1, &page, &page_size)) {
        page = 0;
    }
    if (page != bell || (bell != 0 && page_size != PAGE_SIZE)) {
        violate(proof, "the devicetree of %s: %s has its doorbell at 0x%" PRIx64, part->name, dt->nodes[node].path, page);
    }
    if ((dt_interrupt(dt, node, 0, &irq) && irq.known ? irq.intid : 0) != interrupt_of(world, index, part)) {
        violate(proof, "the devicetree of %s: %s names INTID %" PRIu32 ", it is rung by %" PRIu32, part->name,
                dt->nodes[node].path, irq.intid, interrupt_of(world, index, part));
    }
}

static void tree_tells(const struct world *world, struct proof *proof, const struct part *part, const struct devtree *dt)
{
    uint32_t told = 0, wanted = 0;

    for (int i = 0; i < dt->count; i++) {
        const char *name = dt_compatible(dt, i, "bulkhead,channel") ? dt_string(dt, i, "bulkhead,channel") : NULL;

        for (uint32_t c = 0; name != NULL && c < world->channel_count; c++) {
            if (strcmp(name, world->channels[c].name) == 0) {
                node_tells(world, proof, part, dt, i, c);
                told++;
            }
        }
    }
    for (uint32_t c = 0; c < world->channel_count; c++) {
        wanted += channel_member(&world->channels[c], part) != NULL ? 1 : 0;
    }
    proof->checked += told;
    if (told != wanted) {
        violate(proof, "the devicetree of %s names %" PRIu32 " channels, it is on %" PRIu32, part->name, told, wanted);
    }
}

/* A range of memory in the DSDT: of a channel of the device's name, its memory or its doorbell. */
static bool told_right(const struct world *world, const struct part *part, const struct aml_memory *m)
{
    for (uint32_t i = 0; i < world->channel_count; i++) {
        const struct spec_member *member = channel_member(&world->channels[i], part);
        uint64_t ipa = 0;

        if (member == NULL || strcmp(world->channels[i].name, m->uid) != 0) {
            continue;
        }
        for (uint32_t b = 0; b < part->raw.doorbell_count; b++) {
            if (part->doorbells[b].channel == i && part->doorbells[b].page.raw == m->base) {
                return m->size == PAGE_SIZE && m->writable;
            }
        }
        return seen_at(part, &world->channels[i], &ipa) && m->base == ipa && m->size == world->channels[i].raw.size &&
               m->writable == !member->reader;
    }
    return false;
}

/* A method of the DSDT: of a channel's line, and what it notifies has the channel's name. */
static bool notifies_right(const struct world *world, const struct part *part, const struct aml *aml, const struct aml_event *event)
{
    for (uint32_t c = 0; c < world->channel_count; c++) {
        uint32_t ring = interrupt_of(world, c, part);

        for (size_t d = 0; ring != 0 && (ring & 0xffffu) == event->line && d < aml->device_count; d++) {
            if (memcmp(aml->devices[d].name, event->device, 4) == 0) {
                return aml->devices[d].uid != NULL && strcmp(aml->devices[d].uid, world->channels[c].name) == 0;
            }
        }
    }
    return false;
}

static void events_tell(const struct world *world, struct proof *proof, const struct part *part, const struct aml *aml)
{
    uint64_t told = 0;

    for (size_t i = 0; i < aml->event_count; i++) {
        proof->checked++;
        if (!notifies_right(world, part, aml, &aml->events[i]) || (told >> (aml->events[i].line & 63) & 1) != 0) {
            violate(proof, "the DSDT of %s: line %" PRIu64 " notifies %.4s, which is not of the channel that rings by it",
                    part->name, aml->events[i].line, (const char *)aml->events[i].device);
        }
        told |= UINT64_C(1) << (aml->events[i].line & 63);
    }
    if (told != part->raw.pc.bells) {
        violate(proof, "the DSDT of %s: lines 0x%" PRIx64 " notify a device, channels ring by 0x%" PRIx64, part->name, told,
                part->raw.pc.bells);
    }
}

/* x86: the lines are those of lines_of() in rule_boot.c. */
static void dsdt_tells(const struct world *world, struct proof *proof, const struct part *part)
{
    struct aml aml = {0};
    uint32_t wanted = part->raw.doorbell_count;

    if (!boot_dsdt(world, part, &aml)) {
        return;
    }
    for (uint32_t c = 0; c < world->channel_count; c++) {
        wanted += channel_member(&world->channels[c], part) != NULL ? 1 : 0;
    }
    for (size_t i = 0; i < aml.memory_count; i++) {
        proof->checked++;
        if (!told_right(world, part, &aml.memory[i])) {
            violate(proof, "the DSDT of %s: device \"%s\" has memory at 0x%" PRIx64 ", 0x%" PRIx64 " bytes, %s", part->name,
                    aml.memory[i].uid, aml.memory[i].base, aml.memory[i].size,
                    aml.memory[i].writable ? "to write" : "to read");
        }
    }
    if (aml.memory_count != wanted || (part->raw.pc.bells & ~aml.lines) != 0) {
        violate(proof, "the DSDT of %s names %zu ranges and lines 0x%" PRIx64 ", its channels have %" PRIu32 " and 0x%" PRIx64,
                part->name, aml.memory_count, aml.lines, wanted, part->raw.pc.bells);
    }
    events_tell(world, proof, part, &aml);
}

static void prove_told(const struct world *world, struct proof *proof)
{
    for (uint32_t p = 0; is_x86(world) && p < world->part_count && world->channel_count != 0; p++) {
        dsdt_tells(world, proof, &world->parts[p]);
    }
    for (uint32_t p = 0; !is_x86(world) && p < world->part_count && world->channel_count != 0; p++) {
        const struct part *part = &world->parts[p];
        struct devtree dt;

        if (part->stage2.done && part_tree(world, part, &dt) == NULL) {
            tree_tells(world, proof, part, &dt);
        }
    }
}

/* clang-format off */
static const struct rule rules[] = {
    {"channel-memory",
     "The channels are those of system.yaml, each in whole pages of RAM that are nobody else's, and zeroed through the "
     "map of one of its partitions.",
     "pages", prove_memory, ARCH_BOTH},
    {"channel-reached",
     "A channel's memory is reached by the partitions on it, all of it at one guest address that is the same for all, "
     "readers read-only, never executable, and on ARM64 past the caches; by no other partition.",
     "pages", prove_reached, ARCH_BOTH},
    {"channel-doorbell",
     "A partition has one doorbell for each of its channels that have them: a page that is not mapped, whose writing "
     "rings each receiver by an interrupt of that receiver that no device of the board raises (x86: of its own I/O APIC), "
     "and nobody else.",
     "interrupts", prove_bells, ARCH_BOTH},
    {"channel-apart",
     "Each channel of a partition rings it by an interrupt of its own; on x86 by a line that the partition has for nothing "
     "else.",
     "interrupts", prove_apart, ARCH_BOTH},
    {"channel-told",
     "A guest's devicetree (x86: its DSDT) names its channels, all of them, with role, memory, doorbell and interrupt as "
     "they are.",
     "channels", prove_told, ARCH_BOTH},
};
/* clang-format on */

const struct rule_set channel_rules = {"Channels", rules, sizeof(rules) / sizeof(rules[0])};
