/* SPDX-License-Identifier: Apache-2.0 */
/* The I/O APIC, physical and as a guest sees it; see ioapic.h. */
#include <hv/arch.h>
#include <hv/console.h>

#include "apic.h"
#include "ioapic.h"
#include "pool.h"

#define SELECT   0x00u  /* offsets of the two registers in memory */
#define WINDOW   0x10u
#define REG_VERSION  1u
#define REG_LINES    0x10u  /* two words each from here on */
#define VERSION      0x11u
#define GUEST_BITS   0x1a0ffu  /* of the low word: vector, polarity, trigger mode, mask */
#define MODE_MASK    0x700u
#define MODE_LOWEST  0x100u
#define BELLS        (HV_CHANNELS ? LAYOUT_MAX_CHANNELS : 1u)
#define VECTOR_FIRST 16u     /* those below are exceptions only (SDM 3 11.5.2) */

/* A line by which a channel rings. What rings while it is masked waits: one bit. */
struct bell {
    uint32_t low, target, pending;  /* atomic: other partitions' cores come here, too */
};

/* What a guest's page holds beside the physical lines: its virtual UART's line and the index register. */
struct virtual_ioapic {
    uint32_t select;
    uint32_t low;            /* of the virtual UART's line, atomic: the console's core sends its interrupts, too */
    uint32_t target;         /* its destination: an APIC ID of the partition, atomic */
    uint32_t level;          /* of the line, atomic */
    bool     reported;       /* a refused line has been named on the console */
};

static struct virtual_ioapic ioapics[LAYOUT_MAX_PARTITIONS];
static struct bell bells[LAYOUT_MAX_PARTITIONS][BELLS];
static uint32_t ioapic_lock;  /* index and window are two accesses; held for a few of them */

static void lock(void)
{
    while (__atomic_exchange_n(&ioapic_lock, 1u, __ATOMIC_ACQUIRE) != 0) {
        __builtin_ia32_pause();
    }
}

static void unlock(void)
{
    __atomic_store_n(&ioapic_lock, 0u, __ATOMIC_RELEASE);
}

static uint32_t physical_read(uint32_t reg)
{
    mmio_write32(layout.pc.ioapic.raw + SELECT, reg);
    return mmio_read32(layout.pc.ioapic.raw + WINDOW);
}

static void physical_write(uint32_t reg, uint32_t value)
{
    mmio_write32(layout.pc.ioapic.raw + SELECT, reg);
    mmio_write32(layout.pc.ioapic.raw + WINDOW, value);
}

void ioapic_route(uint32_t line, uint64_t target, uint32_t low)
{
    uint32_t reg = REG_LINES + 2u * line;

    lock();
    physical_write(reg, IOAPIC_MASKED);
    physical_write(reg + 1u, (uint32_t)target << 24);
    physical_write(reg, low);
    unlock();
}

void ioapic_init(void)
{
    for (uint32_t line = 0; line < layout.pc.ioapic_lines; line++) {
        ioapic_route(line, 0, IOAPIC_MASKED);
    }
}

void ioapic_reset(const struct layout_partition *config)
{
    struct virtual_ioapic *ioapic = &ioapics[partition_index(config)];

    for (uint32_t line = 0; line < layout.pc.ioapic_lines; line++) {
        if ((config->pc.lines >> line & 1u) != 0) {
            ioapic_route(line, 0, IOAPIC_MASKED);
            if (is_pooled(config)) {
                shared_line_write(config, line, 0, IOAPIC_MASKED);
            }
        }
    }
    for (uint32_t n = 0; HV_CHANNELS && n < BELLS; n++) {
        struct bell *bell = &bells[partition_index(config)][n];

        __atomic_store_n(&bell->low, IOAPIC_MASKED, __ATOMIC_SEQ_CST);
        __atomic_store_n(&bell->target, (uint32_t)config->vcpus[0].apic_id, __ATOMIC_RELAXED);
        __atomic_store_n(&bell->pending, 0u, __ATOMIC_SEQ_CST);
    }
    ioapic->select = 0;
    __atomic_store_n(&ioapic->low, IOAPIC_MASKED, __ATOMIC_RELAXED);
    __atomic_store_n(&ioapic->target, (uint32_t)config->vcpus[0].apic_id, __ATOMIC_RELAXED);
    ioapic->reported = false;
}

/* ---------------------------------------------------------------- channels */

/* The state of a line by which a channel rings the partition, or NULL if the line is none. */
static struct bell *bell_of(const struct layout_partition *config, uint32_t line)
{
    uint64_t below = config->pc.bells & ((UINT64_C(1) << line) - 1u);
    uint32_t place = 0;

    if (!HV_CHANNELS || (config->pc.bells >> line & 1u) == 0) {
        return NULL;
    }
    for (; below != 0; below &= below - 1u) {
        place++;
    }
    return place < BELLS ? &bells[partition_index(config)][place] : NULL;
}

/* A vector that there is not would be an error of the core that sends it, which may be another partition's. */
static void send_message(const struct layout_partition *config, uint32_t low, uint32_t target)
{
    if ((low & IOAPIC_MASKED) != 0 || (low & 0xffu) < VECTOR_FIRST) {
        return;
    }
    if (is_pooled(config)) {
        pool_request(cpu_at(config->vcpus[target].cpu), low & 0xffu, false);  /* APIC IDs are indices there */
    } else {
        apic_send(target, ICR_FIXED, low & 0xffu);
    }
}

/* Who rings and who unmasks each write one word and then read the other's: one of the two sends. */
static void bell_send(const struct layout_partition *config, struct bell *bell)
{
    uint32_t low = __atomic_load_n(&bell->low, __ATOMIC_SEQ_CST);

    if ((low & IOAPIC_MASKED) == 0 && __atomic_exchange_n(&bell->pending, 0u, __ATOMIC_SEQ_CST) != 0) {
        send_message(config, low, __atomic_load_n(&bell->target, __ATOMIC_RELAXED));
    }
}

void ioapic_ring(const struct layout_partition *config, uint32_t line)
{
    struct bell *bell = bell_of(config, line);

    if (bell != NULL) {
        (void)__atomic_exchange_n(&bell->pending, 1u, __ATOMIC_SEQ_CST);
        bell_send(config, bell);
    }
}

static void write_bell(const struct layout_partition *config, struct bell *bell, bool high, uint32_t value)
{
    uint32_t target;

    if (high) {
        target = ioapic_target(config, value >> 24, (__atomic_load_n(&bell->low, __ATOMIC_RELAXED) & IOAPIC_LOGICAL) != 0);
        if (target != UINT32_MAX) {
            __atomic_store_n(&bell->target, target, __ATOMIC_RELAXED);
        }
        return;
    }
    (void)__atomic_exchange_n(&bell->low, value & (GUEST_BITS | IOAPIC_LOGICAL), __ATOMIC_SEQ_CST);
    bell_send(config, bell);
}

/* ---------------------------------------------------------------- a guest's view */

static bool is_virtual(const struct layout_partition *config, uint32_t line)
{
    return config->vuart.intid != 0 && line == config->vuart.intid;
}

/* Read once for each access: another vcpu may write it at any time. */
static uint32_t select_of(const struct virtual_ioapic *ioapic)
{
    return __atomic_load_n(&ioapic->select, __ATOMIC_RELAXED);
}

uint32_t ioapic_read(const struct layout_partition *config, uint64_t offset)
{
    const struct virtual_ioapic *ioapic = &ioapics[partition_index(config)];
    uint32_t reg = select_of(ioapic), line = (reg - REG_LINES) / 2u;
    bool high = (reg & 1u) != 0;
    const struct bell *bell;
    uint32_t value;

    if (offset == SELECT) {
        return reg;
    }
    if (offset != WINDOW || reg < REG_LINES || line >= layout.pc.ioapic_lines) {
        return offset == WINDOW && reg == REG_VERSION ? VERSION | (layout.pc.ioapic_lines - 1u) << 16 : 0;
    }
    if (is_virtual(config, line)) {
        return high ? ioapic->target << 24 : ioapic->low;
    }
    bell = bell_of(config, line);
    if (bell != NULL) {
        return high ? __atomic_load_n(&bell->target, __ATOMIC_RELAXED) << 24 : __atomic_load_n(&bell->low, __ATOMIC_RELAXED);
    }
    if ((config->pc.lines >> line & 1u) == 0) {
        return high ? 0 : IOAPIC_MASKED;
    }
    if (is_pooled(config)) {
        return shared_line_read(line, high);
    }
    lock();
    value = physical_read(reg);
    unlock();
    return value;
}

uint32_t ioapic_target(const struct layout_partition *config, uint32_t destination, bool logical)
{
    for (uint32_t i = 0; i < config->vcpu_count; i++) {
        uint64_t id = config->vcpus[i].apic_id;

        /* Eight bits of logical destination reach cluster 0's first cores only (SDM 3 11.12.10). */
        if (logical ? id < 8u && (destination >> id & 1u) != 0 : id == destination) {
            return (uint32_t)id;
        }
    }
    return UINT32_MAX;
}

/* In a message to whom it concerns, once: the line stays masked. */
static void refuse(const struct layout_partition *config, struct virtual_ioapic *ioapic, uint32_t line, const char *why)
{
    if (!ioapic->reported) {
        ioapic->reported = true;
        print("%s: line %u of the I/O APIC stays masked: %s\n", config->name, line, why);
    }
}

static void send_virtual(const struct layout_partition *config, const struct virtual_ioapic *ioapic)
{
    send_message(config, __atomic_load_n(&ioapic->low, __ATOMIC_RELAXED), __atomic_load_n(&ioapic->target, __ATOMIC_RELAXED));
}

/* ---------------------------------------------------------------- writes of a guest */

static void write_virtual(const struct layout_partition *config, struct virtual_ioapic *ioapic, bool high, uint32_t value)
{
    uint32_t before = ioapic->low;

    if (high) {
        uint32_t target = ioapic_target(config, value >> 24, (before & IOAPIC_LOGICAL) != 0);

        __atomic_store_n(&ioapic->target, target != UINT32_MAX ? target : ioapic->target, __ATOMIC_RELAXED);
        return;
    }
    /*
     * What came while the line was masked is not lost. arch_irq_line() writes the level and reads the mask, here it
     * is the other way round: an exchange on both sides, so that one of the two sees what the other wrote.
     */
    (void)__atomic_exchange_n(&ioapic->low, value & (GUEST_BITS | IOAPIC_LOGICAL), __ATOMIC_SEQ_CST);
    if ((before & IOAPIC_MASKED) != 0 && __atomic_load_n(&ioapic->level, __ATOMIC_SEQ_CST) != 0) {
        send_virtual(config, ioapic);
    }
}

/* The low word of an own line; the destination has been written, and is looked at when the line opens. */
static void write_low(const struct layout_partition *config, struct virtual_ioapic *ioapic, uint32_t line, uint32_t value)
{
    uint32_t reg = REG_LINES + 2u * line;
    uint32_t target;

    if (is_pooled(config)) {
        target = ioapic_target(config, shared_line_read(line, true) >> 24, (value & IOAPIC_LOGICAL) != 0);
    } else {
        lock();
        target = ioapic_target(config, physical_read(reg + 1u) >> 24, (value & IOAPIC_LOGICAL) != 0);
        unlock();
    }
    if ((value & IOAPIC_MASKED) != 0 && is_pooled(config)) {
        shared_line_write(config, line, 0, value & (GUEST_BITS | IOAPIC_LOGICAL));
    } else if ((value & IOAPIC_MASKED) != 0) {
        ioapic_route(line, target != UINT32_MAX ? target : 0, (value & GUEST_BITS) | IOAPIC_MASKED);
    } else if ((value & MODE_MASK) > MODE_LOWEST) {
        refuse(config, ioapic, line, "its delivery mode is neither fixed nor lowest priority");
    } else if (target == UINT32_MAX) {
        refuse(config, ioapic, line, "its destination is not one of the partition's cores");
    } else if ((value & 0xffu) < VECTOR_FIRST) {
        refuse(config, ioapic, line, "its vector is below 16");
    } else if (is_pooled(config)) {
        shared_line_write(config, line, target, value & (GUEST_BITS | IOAPIC_LOGICAL));
    } else {
        ioapic_route(line, target, value & GUEST_BITS);
    }
}

static void write_high(uint32_t reg, uint32_t value)
{
    lock();
    physical_write(reg - 1u, physical_read(reg - 1u) | IOAPIC_MASKED);
    physical_write(reg, value & 0xff000000u);
    unlock();
}

void ioapic_write(const struct layout_partition *config, uint64_t offset, uint32_t value)
{
    struct virtual_ioapic *ioapic = &ioapics[partition_index(config)];
    uint32_t reg = select_of(ioapic), line = (reg - REG_LINES) / 2u;
    bool high = (reg & 1u) != 0;

    if (offset == SELECT) {
        __atomic_store_n(&ioapic->select, value & 0xffu, __ATOMIC_RELAXED);
    } else if (offset != WINDOW || reg < REG_LINES || line >= layout.pc.ioapic_lines) {
        return;
    } else if (is_virtual(config, line)) {
        write_virtual(config, ioapic, high, value);
    } else if (bell_of(config, line) != NULL) {
        write_bell(config, bell_of(config, line), high, value);
    } else if ((config->pc.lines >> line & 1u) != 0) {
        if (high && is_pooled(config)) {
            shared_line_aim(line, value & 0xff000000u);
        } else if (high) {
            write_high(reg, value);
        } else {
            write_low(config, ioapic, line, value);
        }
    } else if (!high && (value & IOAPIC_MASKED) == 0) {
        refuse(config, ioapic, line, "it is not the partition's");
    }
}

void arch_irq_line(const struct layout_partition *config, uint32_t intid, bool level)
{
    struct virtual_ioapic *ioapic = &ioapics[partition_index(config)];

    (void)intid;
    if (__atomic_exchange_n(&ioapic->level, level ? 1u : 0u, __ATOMIC_SEQ_CST) == 0 && level) {
        send_virtual(config, ioapic);
    }
}
