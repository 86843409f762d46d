/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes and reads back the first, the last and scattered pages of all the RAM that it was
 * given. Everything is written before anything is read, so that two addresses that reach one page show.
 */
#include "guest.h"

#define SCATTERED  255     /* pages between the first and the last of each range */
#define PAGE       UINT64_C(4096)

static uint64_t errors;

/* Page n of n = 0..SCATTERED + 1: evenly spread, then moved by a hash within its stride. */
static uint64_t page_at(const struct range *ram, uint64_t n)
{
    uint64_t pages = ram->size / PAGE, stride = pages / (SCATTERED + 1);
    if (n == 0) {
        return ram->base;
    }
    if (n == SCATTERED + 1) {
        return ram->base + (pages - 1) * PAGE;
    }
    uint64_t jitter = stride > 0 ? (n * UINT64_C(0x9e3779b97f4a7c15) >> 20) % stride : 0;
    return ram->base + (n * stride + jitter) % pages * PAGE;
}

static void write_page(uint64_t page)
{
    for (uint64_t at = page; at < page + PAGE; at += 8) {
        *(volatile uint64_t *)at = at ^ UINT64_C(0x5a5a5a5a00000000);
    }
}

static void check_page(uint64_t page)
{
    for (uint64_t at = page; at < page + PAGE; at += 8) {
        uint64_t seen = *(volatile uint64_t *)at;
        if (seen != (at ^ UINT64_C(0x5a5a5a5a00000000))) {
            errors++;
            print("memtest: 0x%lx holds 0x%lx\n", at, seen);
            return;
        }
    }
}

static uint64_t for_pages(const struct range *ram, void (*call)(uint64_t))
{
    uint64_t count = 0;
    for (uint64_t n = 0; n <= SCATTERED + 1; n++) {
        uint64_t page = page_at(ram, n);
        if (!machine_keeps(page)) {
            call(page);
            count++;
        }
    }
    return count;
}

void guest_irq(uint32_t irq)
{
    (void)irq;               /* none is ever enabled */
}

int main(uint64_t early)
{
    struct range ram[4];
    uint32_t count = machine_memory(ram, ARRAY_COUNT(ram));
    uint64_t pages = 0, bytes = 0;
    (void)early;
    for (uint32_t i = 0; i < count; i++) {
        print("memtest: RAM 0x%lx to 0x%lx\n", ram[i].base, ram[i].base + ram[i].size - 1);
        bytes += ram[i].size;
        pages += for_pages(&ram[i], write_page);
    }
    for (uint32_t i = 0; i < count; i++) {
        for_pages(&ram[i], check_page);
    }
    if (errors == 0) {
        print("memtest: %lu pages over %lu GiB ok\n", pages, bytes >> 30);
    } else {
        print("memtest: FAILED, %lu of %lu pages\n", errors, pages);
    }
    for (;;) {
        idle();
    }
}
