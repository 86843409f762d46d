/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses each device that its devicetree gives it: PL031 clock (registers, alarm interrupt), PL061 GPIO
 * (registers), every PL011 besides the console (prints, answers lines by receive interrupt).
 */
#include "guest.h"

#define RTC_DR    0x000    /* ARM DDI 0224 */
#define RTC_MR    0x004
#define RTC_IMSC  0x010
#define RTC_MIS   0x018
#define RTC_ICR   0x01c

#define GPIO_DATA_ALL  0x3fc  /* ARM DDI 0190: address bits 9:2 mask the data bits */
#define GPIO_DIR       0x400
#define GPIO_PERIPHID0 0xfe0

#define MAX_UARTS 4

static struct { uint64_t base; uint32_t intid; } rtc;
static struct uart uarts[MAX_UARTS];
static uint32_t uart_count;
static volatile bool alarm_rang;
static volatile uint32_t characters;

static void uart_print(const struct uart *uart, const char *text)
{
    for (; *text != '\0'; text++) {
        uart_put(uart, *text);
    }
}

/* Each character is given back in brackets, so that an echo of the line cannot be taken for it. */
static void uart_answer(const struct uart *uart)
{
    char c;
    uart_ack(uart);
    while (uart_get(uart, &c)) {
        characters++;
        uart_put(uart, '[');
        uart_put(uart, c);
        uart_put(uart, ']');
    }
}

void guest_irq(uint32_t intid)
{
    if (intid == rtc.intid) {
        alarm_rang = mmio_read32(rtc.base + RTC_MIS) == 1;
        mmio_write32(rtc.base + RTC_ICR, 1);
        return;
    }
    for (uint32_t i = 0; i < uart_count; i++) {
        if (intid == uarts[i].intid) {
            uart_answer(&uarts[i]);
            return;
        }
    }
    print("devtest: stray interrupt %u\n", intid);
}

static void test_rtc(void)
{
    struct range range;
    int node = fdt_compatible("arm,pl031", FDT_NONE);
    if (node == FDT_NONE || !fdt_reg(node, 0, &range)) {
        return;
    }
    rtc.base = range.base;
    rtc.intid = fdt_interrupt(node, 0);
    uint32_t now = mmio_read32(rtc.base + RTC_DR);
    print("devtest: pl031 at 0x%lx says %u\n", rtc.base, now);

    mmio_write32(rtc.base + RTC_ICR, 1);
    mmio_write32(rtc.base + RTC_MR, now + 2);
    mmio_write32(rtc.base + RTC_IMSC, 1);
    gic_enable(rtc.intid);
    for (uint64_t end = timer_now() + 5 * timer_hz(); !alarm_rang && timer_now() < end;) {
    }
    mmio_write32(rtc.base + RTC_IMSC, 0);
    if (alarm_rang) {
        print("devtest: pl031 alarm interrupt %u after %u s ok\n", rtc.intid,
              mmio_read32(rtc.base + RTC_DR) - now);
    } else {
        print("devtest: pl031 alarm FAILED: no interrupt %u\n", rtc.intid);
    }
}

static void test_gpio(void)
{
    struct range range;
    int node = fdt_compatible("arm,pl061", FDT_NONE);
    if (node == FDT_NONE || !fdt_reg(node, 0, &range)) {
        return;
    }
    uint32_t id = mmio_read32(range.base + GPIO_PERIPHID0) & 0xff;
    uint32_t direction = mmio_read32(range.base + GPIO_DIR);
    mmio_write32(range.base + GPIO_DIR, 0x55);
    uint32_t seen = mmio_read32(range.base + GPIO_DIR);
    mmio_write32(range.base + GPIO_DIR, direction);
    print("devtest: pl061 at 0x%lx id 0x%02x data 0x%02x direction 0x%02x %s\n", range.base, id,
          mmio_read32(range.base + GPIO_DATA_ALL), seen, id == 0x61 && seen == 0x55 ? "ok" : "FAILED");
}

static void test_uarts(void)
{
    struct range range;
    int node = FDT_NONE;
    while ((node = fdt_compatible("arm,pl011", node)) != FDT_NONE && uart_count < MAX_UARTS) {
        if (!fdt_reg(node, 0, &range) || range.base == console.base) {
            continue;
        }
        struct uart *uart = &uarts[uart_count++];
        uart->base = range.base;
        uart->intid = fdt_interrupt(node, 0);
        uart_init(uart);
        uart_print(uart, "devtest: this is the second uart\r\n");
        gic_enable(uart->intid);
        uart_rx_irq(uart);
        print("devtest: pl011 at 0x%lx interrupt %u ok\n", uart->base, uart->intid);
    }
}

int main(uint64_t early)
{
    (void)early;
    print("devtest: start\n");
    gic_init();
    irq_enable();
    test_rtc();
    test_gpio();
    test_uarts();
    print("devtest: done\n");
    for (uint32_t shown = 0;;) {
        irq_disable();
        if (shown == characters) {
            wfi();
        }
        irq_enable();
        isb();
        if (shown != characters) {
            shown = characters;
            print("devtest: %u characters received\n", shown);
        }
    }
}
