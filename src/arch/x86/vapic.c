/* SPDX-License-Identifier: Apache-2.0 */
/* An emulated x2APIC; see vapic.h. Registers: SDM 3 table 11-6, their fields 11.4 to 11.8. */
#include "vapic.h"
#include "x86.h"

/* Registers as offsets from MSR_X2APIC. */
#define REG_ID         0x02u
#define REG_VERSION    0x03u
#define REG_TPR        0x08u
#define REG_PPR        0x0au
#define REG_LDR        0x0du
#define REG_SPURIOUS   0x0fu
#define REG_ISR        0x10u
#define REG_TMR        0x18u
#define REG_IRR        0x20u
#define REG_ERROR      0x28u
#define REG_ICR        0x30u
#define REG_LVT        0x32u
#define REG_INITIAL    0x38u
#define REG_CURRENT    0x39u
#define REG_DIVIDE     0x3eu
#define REG_SELF       0x3fu

#define VERSION        (0x15u | (VAPIC_LVTS - 1u) << 16)
#define PRIORITY_BITS  0xffu
#define SPURIOUS_RESET 0xffu
#define SPURIOUS_ON    (1u << 8)
#define SPURIOUS_BITS  0x3ffu    /* vector, enable, focus */
#define LVT_MASKED     (1u << 16)
#define LVT_VECTOR     0xffu
#define LVT_MODE       (3u << 17)  /* of the timer */
#define MODE_ONE_SHOT  (0u << 17)
#define MODE_PERIODIC  (1u << 17)
#define MODE_DEADLINE  (2u << 17)
#define DIVIDE_BITS    0xbu
#define VECTOR_FIRST   16u         /* those below are exceptions only */

/* What can be written of each LVT entry. */
static const uint32_t lvt_bits[VAPIC_LVTS] = { 0x700ffu, 0x107ffu, 0x107ffu, 0x1a7ffu, 0x1a7ffu, 0x100ffu };

/* ---------------------------------------------------------------- sets of vectors */

static uint64_t pair_of(const uint32_t *set, uint32_t pair)
{
    return __atomic_load_n((const uint64_t *)(const void *)&set[2u * pair], __ATOMIC_RELAXED);
}

static bool is_empty(const uint32_t *set)
{
    return (pair_of(set, 0) | pair_of(set, 1) | pair_of(set, 2) | pair_of(set, 3)) == 0;
}

/* The highest of a set, 0: none. */
static uint32_t highest(const uint32_t *set)
{
    for (uint32_t pair = VAPIC_WORDS / 2u; pair-- > 0;) {
        uint64_t bits = pair_of(set, pair);

        if (bits != 0) {
            return 64u * pair + 63u - (uint32_t)__builtin_clzll(bits);
        }
    }
    return 0;
}

static void set_bit(uint32_t *set, uint32_t vector)
{
    __atomic_fetch_or(&set[vector / 32u], 1u << vector % 32u, __ATOMIC_RELEASE);
}

static void clear_bit(uint32_t *set, uint32_t vector)
{
    __atomic_fetch_and(&set[vector / 32u], ~(1u << vector % 32u), __ATOMIC_RELEASE);
}

/* The processor's priority: the task's, or that of what is in service (SDM 3 11.8.3.1). */
static uint32_t priority_of(const struct vapic *vapic)
{
    uint32_t service = highest(vapic->in_service) & 0xf0u;

    return (vapic->priority & 0xf0u) >= service ? vapic->priority : service;
}

void vapic_reset(struct vapic *vapic, uint32_t id)
{
    for (uint32_t i = 0; i < VAPIC_WORDS; i++) {
        __atomic_store_n(&vapic->requested[i], 0u, __ATOMIC_RELAXED);
        vapic->level[i] = vapic->in_service[i] = 0;
    }
    for (uint32_t i = 0; i < VAPIC_LVTS; i++) {
        vapic->lvt[i] = LVT_MASKED;
    }
    vapic->id = id;
    vapic->priority = vapic->divide = vapic->initial = 0;
    vapic->command = 0;
    vapic->timer_at = VAPIC_NEVER;
    __atomic_store_n(&vapic->spurious, SPURIOUS_RESET, __ATOMIC_RELEASE);
}

bool vapic_request(struct vapic *vapic, uint32_t vector, bool level)
{
    if (vector < VECTOR_FIRST || vector > LVT_VECTOR ||
        (__atomic_load_n(&vapic->spurious, __ATOMIC_ACQUIRE) & SPURIOUS_ON) == 0) {
        return false;
    }
    if (level) {
        set_bit(vapic->level, vector);
    } else {
        clear_bit(vapic->level, vector);
    }
    set_bit(vapic->requested, vector);
    return true;
}

uint32_t vapic_next(const struct vapic *vapic)
{
    uint32_t vector = is_empty(vapic->requested) ? 0 : highest(vapic->requested);

    return vector != 0 && (vector & 0xf0u) > (priority_of(vapic) & 0xf0u) ? vector : 0;
}

void vapic_take(struct vapic *vapic, uint32_t vector)
{
    clear_bit(vapic->requested, vector);
    set_bit(vapic->in_service, vector);
}

void vapic_give_back(struct vapic *vapic, uint32_t vector)
{
    clear_bit(vapic->in_service, vector);
    set_bit(vapic->requested, vector);
}

uint32_t vapic_end(struct vapic *vapic)
{
    uint32_t vector = highest(vapic->in_service);

    if (vector == 0) {
        return 0;
    }
    clear_bit(vapic->in_service, vector);
    return (__atomic_load_n(&vapic->level[vector / 32u], __ATOMIC_RELAXED) >> vector % 32u & 1u) != 0 ? vector : 0;
}

/* ---------------------------------------------------------------- the timer */

/* Counts of the clock for one count of the timer: 2, 4, .. 128, 1 (SDM 3 figure 11-10). */
static uint32_t divide_shift(const struct vapic *vapic)
{
    return ((vapic->divide >> 1 & 4u) + (vapic->divide & 3u) + 1u) & 7u;
}

static uint64_t period_of(const struct vapic *vapic)
{
    return (uint64_t)vapic->initial << divide_shift(vapic);
}

static bool has_mode(const struct vapic *vapic, uint32_t mode)
{
    return (vapic->lvt[0] & LVT_MODE) == mode;
}

/* However many periods have gone by, they are one interrupt. */
void vapic_tick(struct vapic *vapic, uint64_t now)
{
    if (now < vapic->timer_at) {
        return;
    }
    if (has_mode(vapic, MODE_PERIODIC) && vapic->initial != 0) {
        vapic->timer_at = now + period_of(vapic) - (now - vapic->timer_at) % period_of(vapic);
    } else {
        vapic->timer_at = VAPIC_NEVER;
    }
    if ((vapic->lvt[0] & LVT_MASKED) == 0) {
        (void)vapic_request(vapic, vapic->lvt[0] & LVT_VECTOR, false);
    }
}

static uint64_t current_count(const struct vapic *vapic, uint64_t now)
{
    if (vapic->timer_at == VAPIC_NEVER || has_mode(vapic, MODE_DEADLINE)) {
        return 0;
    }
    return vapic->timer_at > now ? (vapic->timer_at - now) >> divide_shift(vapic) : 0;
}

/* ---------------------------------------------------------------- registers */

bool vapic_read(const struct vapic *vapic, uint32_t msr, uint64_t now, uint64_t *value)
{
    uint32_t reg = msr - MSR_X2APIC;

    if (msr == MSR_TSC_DEADLINE) {
        *value = has_mode(vapic, MODE_DEADLINE) && vapic->timer_at != VAPIC_NEVER ? vapic->timer_at : 0;
        return true;
    }
    if (reg >= REG_ISR && reg < REG_IRR + VAPIC_WORDS) {
        const uint32_t *set = reg < REG_TMR ? vapic->in_service : reg < REG_IRR ? vapic->level : vapic->requested;

        *value = __atomic_load_n(&set[reg % VAPIC_WORDS], __ATOMIC_RELAXED);
        return true;
    }
    if (reg >= REG_LVT && reg < REG_LVT + VAPIC_LVTS) {
        *value = vapic->lvt[reg - REG_LVT];
        return true;
    }
    switch (reg) {
    case REG_ID:
        *value = vapic->id;
        return true;
    case REG_VERSION:
        *value = VERSION;
        return true;
    case REG_TPR:
        *value = vapic->priority;
        return true;
    case REG_PPR:
        *value = priority_of(vapic);
        return true;
    case REG_LDR:
        *value = vapic->id >> 4 << 16 | 1u << (vapic->id & 15u);
        return true;
    case REG_SPURIOUS:
        *value = vapic->spurious;
        return true;
    case REG_ERROR:
        *value = 0;
        return true;
    case REG_ICR:
        *value = vapic->command;
        return true;
    case REG_INITIAL:
        *value = has_mode(vapic, MODE_DEADLINE) ? 0 : vapic->initial;
        return true;
    case REG_CURRENT:
        *value = current_count(vapic, now);
        return true;
    case REG_DIVIDE:
        *value = vapic->divide;
        return true;
    default:
        return false;
    }
}

static bool write_deadline(struct vapic *vapic, uint64_t value)
{
    if (has_mode(vapic, MODE_DEADLINE)) {
        vapic->timer_at = value != 0 ? value : VAPIC_NEVER;
    }
    return true;
}

static bool write_lvt(struct vapic *vapic, uint32_t index, uint64_t value)
{
    uint32_t before = vapic->lvt[index], bits = (uint32_t)value;

    /* Bit 12, delivery status, is read-only; bit 14 of LINT0 and LINT1 too. */
    if ((value & ~(uint64_t)(lvt_bits[index] | 0x5000u)) != 0 || (index == 0 && (bits & LVT_MODE) == LVT_MODE)) {
        return false;
    }
    bits &= lvt_bits[index];
    if ((vapic->spurious & SPURIOUS_ON) == 0) {
        bits |= LVT_MASKED;
    }
    vapic->lvt[index] = bits;
    if (index == 0 && ((before ^ bits) & MODE_DEADLINE) != 0) {
        vapic->timer_at = VAPIC_NEVER;  /* to deadlines and back disarms it (SDM 3 11.5.4.1) */
        vapic->initial = 0;
    }
    return true;
}

/* Off: entries of the LVT are masked, and stay so until somebody writes them (SDM 3 11.4.7.2). */
static void write_spurious(struct vapic *vapic, uint32_t value)
{
    __atomic_store_n(&vapic->spurious, value, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < VAPIC_LVTS && (value & SPURIOUS_ON) == 0; i++) {
        vapic->lvt[i] |= LVT_MASKED;
    }
}

static void write_initial(struct vapic *vapic, uint64_t now, uint32_t value)
{
    if (!has_mode(vapic, MODE_DEADLINE)) {
        vapic->initial = value;
        vapic->timer_at = value != 0 ? now + period_of(vapic) : VAPIC_NEVER;
    }
}

/* What is left goes on at the new speed. */
static void write_divide(struct vapic *vapic, uint64_t now, uint32_t value)
{
    uint64_t left = current_count(vapic, now);

    vapic->divide = value;
    if (left != 0) {
        vapic->timer_at = now + (left << divide_shift(vapic));
    }
}

bool vapic_write(struct vapic *vapic, uint32_t msr, uint64_t now, uint64_t value)
{
    uint32_t reg = msr - MSR_X2APIC;

    if (msr == MSR_TSC_DEADLINE) {
        return write_deadline(vapic, value);
    }
    if (reg >= REG_LVT && reg < REG_LVT + VAPIC_LVTS) {
        return write_lvt(vapic, reg - REG_LVT, value);
    }
    if ((value >> 32) != 0) {
        return false;
    }
    switch (reg) {
    case REG_TPR:
        if (value > PRIORITY_BITS) {
            return false;
        }
        vapic->priority = (uint32_t)value;
        return true;
    case REG_SPURIOUS:
        if ((value & ~(uint64_t)SPURIOUS_BITS) != 0) {
            return false;
        }
        write_spurious(vapic, (uint32_t)value);
        return true;
    case REG_ERROR:
        return value == 0;
    case REG_INITIAL:
        write_initial(vapic, now, (uint32_t)value);
        return true;
    case REG_DIVIDE:
        if ((value & ~(uint64_t)DIVIDE_BITS) != 0) {
            return false;
        }
        write_divide(vapic, now, (uint32_t)value);
        return true;
    case REG_SELF:
        if (value > LVT_VECTOR) {
            return false;
        }
        (void)vapic_request(vapic, (uint32_t)value, false);
        return true;
    default:
        return false;
    }
}
