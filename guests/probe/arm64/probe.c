/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what a guest pays for each path through the hypervisor, in ticks of its counter. Under
 * `qemu -icount shift=0 -cpu ...,cntfrq=1000000000` a tick is one executed instruction. Every figure is
 * the least of some repeats after a warm-up, less what measuring costs. One line each, for bench.py:
 * "probe: NAME TICKS".
 */
#include "guest.h"

#define WARM_UP  4
#define REPEATS  16
#define AHEAD    20000      /* ticks from programming a timer to its end */

#define GICD_TYPER      0x0004
#define GICD_ISENABLER  0x0100
#define GICD_ICENABLER  0x0180
#define GICD_ISPENDR    0x0200

uint64_t measure_nothing(void);
uint64_t measure_hvc(uint64_t function);
uint64_t measure_smc(uint64_t function);
uint64_t measure_read(uint64_t address);
uint64_t measure_write(uint64_t address, uint64_t value);
uint64_t measure_sgi(uint64_t value);
uint64_t measure_pend(uint64_t address, uint64_t value);
uint64_t measure_timer(uint64_t when);
uint64_t measure_timer_wfi(uint64_t when);

static uint32_t spi;        /* the interrupt that the distributor's rows use */
static uint64_t sgi_to_self;
static uint64_t dog;       /* refresh frame of its watchdog, 0: it has none */

static uint64_t once_nothing(void) { return measure_nothing(); }
static uint64_t once_hvc(void) { return measure_hvc(PSCI_VERSION); }
static uint64_t once_smc(void) { return measure_smc(PSCI_VERSION); }
static uint64_t once_typer(void) { return measure_read(gic.dist + GICD_TYPER); }
static uint64_t once_sgi(void) { return measure_sgi(sgi_to_self); }
static uint64_t once_timer(void) { return measure_timer(timer_now() + AHEAD); }
static uint64_t once_timer_wfi(void) { return measure_timer_wfi(timer_now() + AHEAD); }
static uint64_t once_uart_flags(void) { return measure_read(console.base + 0x18); }

static uint64_t once_isenabler_read(void)
{
    return measure_read(gic.dist + GICD_ISENABLER + spi / 32 * 4);
}

static uint64_t once_isenabler_write(void)
{
    gic_disable(spi);
    return measure_write(gic.dist + GICD_ISENABLER + spi / 32 * 4, 1u << (spi % 32));
}

static uint64_t once_spi(void)
{
    return measure_pend(gic.dist + GICD_ISPENDR + spi / 32 * 4, 1u << (spi % 32));
}

/* `overhead`: the row is the time around an instruction, not the lateness of an event. */
struct row {
    const char *name;
    uint64_t (*once)(void);
    bool overhead;
    uint64_t least;
};

static uint64_t once_refresh(void) { return measure_write(dog, 0); }

static struct row rows[] = {
    {"hvc", once_hvc, true, 0},
    {"smc", once_smc, true, 0},
    {"gicd-read", once_typer, true, 0},
    {"isenabler-read", once_isenabler_read, true, 0},
    {"isenabler-write", once_isenabler_write, true, 0},
    {"sgi", once_sgi, true, 0},
    {"spi-pend", once_spi, true, 0},
    {"timer", once_timer, false, 0},
    {"timer-wfi", once_timer_wfi, false, 0},
    {"uart-read", once_uart_flags, true, 0},
    {"refresh", once_refresh, true, 0},
};

/* The last one only with a watchdog. */
static uint32_t row_count(void)
{
    struct range frame;
    int node = fdt_compatible("arm,sbsa-gwdt", FDT_NONE);
    dog = node != FDT_NONE && fdt_reg(node, 1, &frame) ? frame.base : 0;
    return ARRAY_COUNT(rows) - (dog == 0);
}

static uint64_t least_of(uint64_t (*once)(void))
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        uint64_t ticks = once();
        if (i >= WARM_UP && ticks < least) {
            least = ticks;
        }
    }
    return least;
}

/* A device's interrupt if there is one, so that the rows reach the real distributor; else the console's. */
static uint32_t choose_spi(void)
{
    int node = fdt_compatible("arm,pl031", FDT_NONE);
    return node != FDT_NONE ? fdt_interrupt(node, 0) : console.intid;
}

void guest_irq(uint32_t intid)
{
    (void)intid;                /* the vector itself takes them all */
}

int main(uint64_t early)
{
    gic_init();
    if (gic.version != 3) {
        print("probe: needs a GICv3\n");
        return 1;
    }
    spi = choose_spi();
    sgi_to_self = (UINT64_C(1) << (READ_SYSREG(mpidr_el1) & 0xf)) | ((READ_SYSREG(mpidr_el1) & 0xff00) << 8);
    gic_enable(0);
    gic_enable(timer_irq());
    gic_edge(spi, true);        /* pending by software until acknowledged, then gone */
    gic_enable(spi);

    uint64_t nothing = least_of(once_nothing);
    uint32_t count = row_count();
    for (uint32_t i = 0; i < count; i++) {
        rows[i].least = least_of(rows[i].once) - (rows[i].overhead ? nothing : 0);
    }

    print("probe: boot %lu\n", early);
    for (uint32_t i = 0; i < count; i++) {
        print("probe: %s %lu\n", rows[i].name, rows[i].least);
    }
    print("probe: done\n");
    return 0;
}
