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
#define MASKED       (1u << 16)
#define GUEST_BITS   0x1a0ffu  /* of the low word: vector, polarity, trigger mode, mask */
#define MODE_MASK    0x700u
#define MODE_LOWEST  0x100u
#define MODE_NMI     0x400u
#define LOGICAL      (1u << 11)
#define LEVEL        (1u << 15)
#define PIN_BITS     (1u << 13 | LEVEL)  /* polarity and trigger mode: the line's, whoever its vector is for */
#define LINES_MOST   64u
#define VECTOR_FIRST 16u     /* those below are exceptions only (SDM 3 11.5.2) */

/* What a guest's page holds beside the physical lines: its virtual UART's line and the index register. */
struct virtual_ioapic {
    uint32_t select;
    uint32_t low;            /* of the virtual UART's line, atomic: the console's core sends its interrupts, too */
    uint32_t target;         /* its destination: an APIC ID of the partition, atomic */
    uint32_t level;          /* of the line, atomic */
    bool     reported;       /* a refused line has been named on the console */
};

/* A line of a partition that shares its cores: as the guest sees it, while the physical one brings it to the pool's. */
struct shared_line {
    uint32_t low, high;
    uint32_t held;           /* 1: masked until the guest has ended its interrupt, atomic */
};

static struct virtual_ioapic ioapics[LAYOUT_MAX_PARTITIONS];
static struct shared_line shared_lines[HV_POOLS ? LINES_MOST : 1];
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

/* Masked while its two words disagree. */
static void route(uint32_t line, uint64_t target, uint32_t low)
{
    uint32_t reg = REG_LINES + 2u * line;

    lock();
    physical_write(reg, MASKED);
    physical_write(reg + 1u, (uint32_t)target << 24);
    physical_write(reg, low);
    unlock();
}

void ioapic_init(void)
{
    for (uint32_t line = 0; line < layout.pc.ioapic_lines; line++) {
        route(line, 0, MASKED);
    }
}

void ioapic_route_nmi(uint32_t line, uint64_t id)
{
    route(line, id, MODE_NMI);
}

void ioapic_route_vector(uint32_t line, uint64_t id, uint32_t vector)
{
    route(line, id, vector);
}

void ioapic_reset(const struct layout_partition *config)
{
    struct virtual_ioapic *ioapic = &ioapics[partition_index(config)];

    for (uint32_t line = 0; line < layout.pc.ioapic_lines; line++) {
        if ((config->pc.lines >> line & 1u) != 0) {
            route(line, 0, MASKED);
            if (is_pooled(config)) {
                shared_lines[line] = (struct shared_line){ MASKED, 0, 0 };
            }
        }
    }
    ioapic->select = 0;
    __atomic_store_n(&ioapic->low, MASKED, __ATOMIC_RELAXED);
    __atomic_store_n(&ioapic->target, (uint32_t)config->vcpus[0].apic_id, __ATOMIC_RELAXED);
    ioapic->reported = false;
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
    if ((config->pc.lines >> line & 1u) == 0) {
        return high ? 0 : MASKED;
    }
    if (is_pooled(config)) {
        return high ? shared_lines[line].high : shared_lines[line].low;
    }
    lock();
    value = physical_read(reg);
    unlock();
    return value;
}

/* The APIC ID that a destination names, or UINT32_MAX if it is not one of the partition's. */
static uint32_t own_target(const struct layout_partition *config, uint32_t destination, bool logical)
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

/* A vector that there is not would be an error of the core that sends it, which may be another partition's. */
static void send_virtual(const struct layout_partition *config, const struct virtual_ioapic *ioapic)
{
    uint32_t low = __atomic_load_n(&ioapic->low, __ATOMIC_RELAXED);
    uint32_t target = __atomic_load_n(&ioapic->target, __ATOMIC_RELAXED);

    if ((low & MASKED) == 0 && (low & 0xffu) >= VECTOR_FIRST) {
        if (is_pooled(config)) {
            pool_request(cpu_at(config->vcpus[target].cpu), low & 0xffu, false);  /* APIC IDs are indices there */
        } else {
            apic_send(target, ICR_FIXED, low & 0xffu);
        }
    }
}

/* ---------------------------------------------------------------- lines of partitions that share their cores */

/* As the guest has written it, with the pool's vector and core in the place of its own. */
static void route_shared(const struct layout_partition *config, uint32_t line, uint32_t target, uint32_t low)
{
    const struct layout_cpu *slot = &layout.cpus[config->vcpus[target].cpu];

    shared_lines[line].low = low & (GUEST_BITS | LOGICAL);
    __atomic_store_n(&shared_lines[line].held, 0u, __ATOMIC_RELAXED);
    route(line, slot->apic_id, (low & (PIN_BITS | MASKED)) | (POOL_LINES + line));
}

static const struct layout_partition *owner_of(uint32_t line)
{
    for (uint32_t i = 0; i < layout.partition_count; i++) {
        if ((layout.partitions[i].pc.lines >> line & 1u) != 0 && is_pooled(&layout.partitions[i])) {
            return &layout.partitions[i];
        }
    }
    return NULL;
}

/* A level stays until the guest has looked after its device: meanwhile the line is masked. */
void ioapic_line(uint32_t line)
{
    const struct layout_partition *config = owner_of(line);
    struct shared_line *shared = &shared_lines[line % LINES_MOST];
    uint32_t low = __atomic_load_n(&shared->low, __ATOMIC_RELAXED), target = UINT32_MAX;

    if (config != NULL && (low & MASKED) == 0) {
        target = own_target(config, shared->high >> 24, (low & LOGICAL) != 0);
    }
    if (target == UINT32_MAX || (low & LEVEL) != 0) {
        lock();
        physical_write(REG_LINES + 2u * line, (low & PIN_BITS) | (POOL_LINES + line) | MASKED);
        unlock();
    }
    if (target != UINT32_MAX) {
        __atomic_store_n(&shared->held, (low & LEVEL) != 0 ? 1u : 0u, __ATOMIC_RELEASE);
        pool_request(cpu_at(config->vcpus[target].cpu), low & 0xffu, (low & LEVEL) != 0);
    }
}

void ioapic_end(const struct layout_partition *config, uint32_t vector)
{
    for (uint32_t line = 0; line < layout.pc.ioapic_lines; line++) {
        struct shared_line *shared = &shared_lines[line % LINES_MOST];

        if ((config->pc.lines >> line & 1u) != 0 && (shared->low & 0xffu) == vector &&
            __atomic_exchange_n(&shared->held, 0u, __ATOMIC_ACQ_REL) != 0 && (shared->low & MASKED) == 0) {
            lock();
            physical_write(REG_LINES + 2u * line, (shared->low & PIN_BITS) | (POOL_LINES + line));
            unlock();
        }
    }
}

/* ---------------------------------------------------------------- writes of a guest */

static void write_virtual(const struct layout_partition *config, struct virtual_ioapic *ioapic, bool high, uint32_t value)
{
    uint32_t before = ioapic->low;

    if (high) {
        uint32_t target = own_target(config, value >> 24, (before & LOGICAL) != 0);

        __atomic_store_n(&ioapic->target, target != UINT32_MAX ? target : ioapic->target, __ATOMIC_RELAXED);
        return;
    }
    /*
     * What came while the line was masked is not lost. arch_irq_line() writes the level and reads the mask, here it
     * is the other way round: an exchange on both sides, so that one of the two sees what the other wrote.
     */
    (void)__atomic_exchange_n(&ioapic->low, value & (GUEST_BITS | LOGICAL), __ATOMIC_SEQ_CST);
    if ((before & MASKED) != 0 && __atomic_load_n(&ioapic->level, __ATOMIC_SEQ_CST) != 0) {
        send_virtual(config, ioapic);
    }
}

/* The low word of an own line; the destination has been written, and is looked at when the line opens. */
static void write_low(const struct layout_partition *config, struct virtual_ioapic *ioapic, uint32_t line, uint32_t value)
{
    uint32_t reg = REG_LINES + 2u * line;
    uint32_t target;

    if (is_pooled(config)) {
        target = own_target(config, shared_lines[line].high >> 24, (value & LOGICAL) != 0);
    } else {
        lock();
        target = own_target(config, physical_read(reg + 1u) >> 24, (value & LOGICAL) != 0);
        unlock();
    }
    if ((value & MASKED) != 0 && is_pooled(config)) {
        route_shared(config, line, 0, value);
    } else if ((value & MASKED) != 0) {
        route(line, target != UINT32_MAX ? target : 0, (value & GUEST_BITS) | MASKED);
    } else if ((value & MODE_MASK) > MODE_LOWEST) {
        refuse(config, ioapic, line, "its delivery mode is neither fixed nor lowest priority");
    } else if (target == UINT32_MAX) {
        refuse(config, ioapic, line, "its destination is not one of the partition's cores");
    } else if ((value & 0xffu) < VECTOR_FIRST) {
        refuse(config, ioapic, line, "its vector is below 16");
    } else if (is_pooled(config)) {
        route_shared(config, line, target, value);
    } else {
        route(line, target, value & GUEST_BITS);
    }
}

static void write_high(const struct layout_partition *config, uint32_t line, uint32_t value)
{
    uint32_t reg = REG_LINES + 2u * line + 1u;

    if (is_pooled(config)) {
        shared_lines[line].low |= MASKED;
        shared_lines[line].high = value & 0xff000000u;
        value = 0;
    }
    lock();
    physical_write(reg - 1u, physical_read(reg - 1u) | MASKED);
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
    } else if ((config->pc.lines >> line & 1u) != 0) {
        if (high) {
            write_high(config, line, value);
        } else {
            write_low(config, ioapic, line, value);
        }
    } else if (!high && (value & MASKED) == 0) {
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
