/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time. Where neither the board nor the CPU tells the counter's frequency, it is found from the ACPI timer
 * without waiting: a pair of readings from boot, and a second pair when somebody first asks.
 */
#include <hv/arch.h>
#include <hv/port.h>

#include "clock.h"
#include "x86.h"

#define PM_HZ         3579545u          /* ACPI 6.5 4.8.2.1 */
#define PM_MASK       0xffffffu         /* 24 bits are always there: 4.7 s */
#define PM_ENOUGH     (PM_HZ / 100u)    /* ticks of a measurement: 10 ms for 1 in 30,000 */
#define TSC_TOO_LONG  (UINT64_C(1) << 31)  /* counts after which the ACPI timer may have wrapped */
#define GUESS_HZ      UINT64_C(8000000000) /* until it has been measured: faster than any, so no time-out is short */
#define CPUID_TSC     0x15u

#define PAIR_TRIES    8u                /* readings of which the closest counts */

#define FLAG_STABLE   1u

struct pvclock {
    uint32_t version, pad;
    uint64_t tsc, system_time;
    uint32_t multiplier;
    int8_t   shift;
    uint8_t  flags, reserved[2];
};
_Static_assert(sizeof(struct pvclock) == 32, "pvclock ABI");

static uint64_t tsc_hz;               /* 0: not known yet; written after the epoch, atomic */
static uint64_t epoch_tsc, epoch_ns;  /* since when time passes by tsc_hz; before that, by the guess */
static uint32_t measuring;            /* 1: a core looks at the pair of readings, atomic */
struct pair {
    uint64_t tsc;
    uint32_t pm;
};
static struct pair start;

static uint32_t pm_read(void)
{
    return port_read32((uint16_t)layout.pc.pm_timer) & PM_MASK;
}

/*
 * Both counters at one instant. A pause may fall between two readings (an SMI, a busy host under an emulator),
 * so of a few tries the one counts whose readings are closest together.
 */
static struct pair read_both(void)
{
    struct pair best = { 0, 0 };
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < PAIR_TRIES; i++) {
        uint64_t before = rdtsc();
        uint32_t pm = pm_read();
        uint64_t took = rdtsc() - before;

        if (took < least) {
            least = took;
            best = (struct pair){ before + took / 2u, pm };
        }
    }
    return best;
}

void clock_init(void)
{
    tsc_hz = layout.pc.tsc_hz;
    if (tsc_hz == 0 && cpuid(0, 0).reg[0] >= CPUID_TSC) {
        struct cpuid ratio = cpuid(CPUID_TSC, 0);  /* SDM 2A: denominator, numerator, crystal in Hz */

        if (ratio.reg[0] != 0 && ratio.reg[2] != 0) {
            tsc_hz = (uint64_t)ratio.reg[2] * ratio.reg[1] / ratio.reg[0];
        }
    }
    if (tsc_hz == 0 && layout.pc.pm_timer != 0) {
        start = read_both();
    }
}

static uint64_t to_ns(uint64_t counts, uint64_t hz)
{
    /* In two parts, so that nothing overflows. */
    return counts / hz * UINT64_C(1000000000) + counts % hz * UINT64_C(1000000000) / hz;
}

/* The frequency if enough time has passed, else 0. One core at a time. */
static uint64_t measure(void)
{
    uint64_t elapsed;
    uint32_t ticks;
    struct pair now;

    if (rdtsc() - start.tsc > TSC_TOO_LONG) {
        start = read_both();
        return 0;
    }
    if (((pm_read() - start.pm) & PM_MASK) < PM_ENOUGH) {
        return 0;
    }
    now = read_both();
    elapsed = now.tsc - start.tsc;
    ticks = (now.pm - start.pm) & PM_MASK;
    if (elapsed > TSC_TOO_LONG || ticks == 0) {
        return 0;
    }
    epoch_tsc = now.tsc;  /* time goes on from where the guess has brought it */
    epoch_ns = to_ns(epoch_tsc, GUESS_HZ);
    return elapsed * PM_HZ / ticks;
}

/* 0 while it is not known. */
static uint64_t frequency(void)
{
    uint64_t hz = __atomic_load_n(&tsc_hz, __ATOMIC_ACQUIRE);

    if (hz == 0 && layout.pc.pm_timer != 0 && __atomic_exchange_n(&measuring, 1u, __ATOMIC_ACQUIRE) == 0) {
        hz = tsc_hz != 0 ? tsc_hz : measure();
        __atomic_store_n(&tsc_hz, hz, __ATOMIC_RELEASE);
        __atomic_store_n(&measuring, 0u, __ATOMIC_RELEASE);
    }
    return hz;
}

uint64_t arch_counter(void)
{
    return rdtsc();
}

uint64_t arch_time_ns(void)
{
    uint64_t hz = frequency();

    return hz == 0 ? to_ns(rdtsc(), GUESS_HZ) : epoch_ns + to_ns(rdtsc() - epoch_tsc, hz);
}

uint64_t clock_hz(void)
{
    uint64_t hz;
    uint32_t limit = 0;

    while ((hz = frequency()) == 0 && limit++ < 1000000u && layout.pc.pm_timer != 0) {
        pause();
    }
    return hz != 0 ? hz : GUESS_HZ;
}

void clock_page(const struct layout_partition *config, uint64_t value)
{
    struct pvclock record = { .version = 2, .flags = FLAG_STABLE };
    uint64_t address = value & ~UINT64_C(3), hz;

    if ((value & 1u) == 0) {
        return;
    }
    hz = clock_hz();
    /* nanoseconds = (counts << shift) * multiplier >> 32, with the multiplier's top bit set */
    while (hz > UINT64_C(2000000000)) {
        hz /= 2u;
        record.shift--;
    }
    while (hz <= UINT64_C(1000000000)) {
        hz *= 2u;
        record.shift++;
    }
    record.multiplier = (uint32_t)((UINT64_C(1000000000) << 32) / hz);
    for (uint32_t i = 0; i < config->memory_count; i++) {
        const struct layout_memory *memory = &config->memory[i];

        if (range_inside(address, sizeof(record), memory->ipa.raw, memory->size)) {
            arch_loader_open(config);
            *(volatile struct pvclock *)(uintptr_t)(address - memory->ipa.raw + memory->pa.raw) = record;
            arch_loader_close();
        }
    }
}
