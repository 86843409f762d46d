/* SPDX-License-Identifier: Apache-2.0 */
/* Small things that every file of the core needs. */
#ifndef HV_TYPES_H
#define HV_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HV_PAGE_SIZE   UINT64_C(4096)
#define HV_CACHE_LINE  UINT64_C(64)

/* For large variables that are not used before the MMU is on (head.S, drop_stale_lines). */
#define HV_LATE  __attribute__((section(".bss.late")))

/* Code of the UEFI stub: it runs before the hypervisor does, and is not executable once that is up. */
#define HV_STUB  __attribute__((section(".efistub")))

/* Compiled for size, away from the paths that every exit takes. */
#define HV_COLD  __attribute__((cold, noinline))

#define ARRAY_COUNT(a)  (sizeof(a) / sizeof((a)[0]))

/* Bits hi..lo of value, shifted down. */
static inline uint64_t bits(uint64_t value, unsigned int hi, unsigned int lo)
{
    return (value >> lo) & (UINT64_MAX >> (63u - (hi - lo)));
}

/* True if [start, start + size) lies inside [base, base + length); no overflow for any input. */
static inline bool range_inside(uint64_t start, uint64_t size, uint64_t base, uint64_t length)
{
    return start >= base && start - base <= length && size <= length - (start - base);
}

/* Memory-mapped registers. */
static inline uint32_t mmio_read32(uint64_t address)
{
    return *(const volatile uint32_t *)(uintptr_t)address;
}

static inline void mmio_write32(uint64_t address, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)address = value;
}

static inline uint16_t mmio_read16(uint64_t address)
{
    return *(const volatile uint16_t *)(uintptr_t)address;
}

static inline void mmio_write16(uint64_t address, uint16_t value)
{
    *(volatile uint16_t *)(uintptr_t)address = value;
}

static inline uint8_t mmio_read8(uint64_t address)
{
    return *(const volatile uint8_t *)(uintptr_t)address;
}

static inline void mmio_write8(uint64_t address, uint8_t value)
{
    *(volatile uint8_t *)(uintptr_t)address = value;
}

static inline uint64_t mmio_read64(uint64_t address)
{
    return *(const volatile uint64_t *)(uintptr_t)address;
}

static inline void mmio_write64(uint64_t address, uint64_t value)
{
    *(volatile uint64_t *)(uintptr_t)address = value;
}

#endif
