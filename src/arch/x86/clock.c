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
#define GUESS_HZ      UINT64_C(1000000000) /* for time-outs, until it has been measured */
#define CPUID_TSC     0x15u

#define FLAG_STABLE   1u

struct pvclock {
    uint32_t version, pad;
    uint64_t tsc, system_time;
    uint32_t multiplier;
    int8_t   shift;
    uint8_t  flags, reserved[2];
};
_Static_assert(sizeof(struct pvclock) == 32, "pvclock ABI");

static uint64_t tsc_hz;               /* 0: not known yet */
static uint64_t start_tsc;
static uint64_t epoch_tsc, epoch_ns;  /* since when time passes by tsc_hz; before that, by the guess */
static uint32_t start_pm;

static uint32_t pm_read(void)
{
    return port_read32((uint16_t)layout.pc.pm_timer) & PM_MASK;
}

static void measure_begin(void)
{
    start_pm = pm_read();
    start_tsc = rdtsc();
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
        measure_begin();
    }
}

static uint64_t to_ns(uint64_t counts, uint64_t hz)
{
    /* In two parts, so that nothing overflows. */
    return counts / hz * UINT64_C(1000000000) + counts % hz * UINT64_C(1000000000) / hz;
}

/* True once the frequency is known. Two cores that get here together find the same, near enough. */
static bool measured(void)
{
    uint64_t elapsed;
    uint32_t ticks;

    if (__atomic_load_n(&tsc_hz, __ATOMIC_ACQUIRE) != 0 || layout.pc.pm_timer == 0) {
        return tsc_hz != 0;
    }
    elapsed = rdtsc() - start_tsc;
    ticks = (pm_read() - start_pm) & PM_MASK;
    if (elapsed > TSC_TOO_LONG) {
        measure_begin();
        return false;
    }
    if (ticks < PM_ENOUGH) {
        return false;
    }
    epoch_tsc = start_tsc + elapsed;          /* time goes on from where the guess has brought it */
    epoch_ns = to_ns(epoch_tsc, GUESS_HZ);
    __atomic_store_n(&tsc_hz, elapsed * PM_HZ / ticks, __ATOMIC_RELEASE);
    return true;
}

uint64_t arch_counter(void)
{
    return rdtsc();
}

uint64_t arch_time_ns(void)
{
    uint64_t hz = measured() ? tsc_hz : GUESS_HZ;

    return epoch_ns + to_ns(rdtsc() - epoch_tsc, hz);
}

void clock_page(const struct layout_partition *config, uint64_t value)
{
    struct pvclock record = { .version = 2, .flags = FLAG_STABLE };
    uint64_t address = value & ~UINT64_C(3), hz;
    uint32_t limit = 0;

    if ((value & 1u) == 0) {
        return;
    }
    while (!measured() && limit++ < 1000000u && layout.pc.pm_timer != 0) {
        pause();
    }
    hz = tsc_hz != 0 ? tsc_hz : GUESS_HZ;
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
