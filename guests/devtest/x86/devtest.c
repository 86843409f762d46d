/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses the devices of a PC that it may have been given: the clock (registers, and its interrupt where there
 * is a line for it) and COM2 (prints, answers lines by receive interrupt). What is not there reads as ones.
 */
#include "guest.h"

#define RTC_INDEX   0x70u     /* MC146818 */
#define RTC_DATA    0x71u
#define RTC_LINE    8u
#define RTC_A       10u
#define RTC_B       11u
#define RTC_C       12u
#define RTC_D       13u
#define RTC_B_UPDATE_ENDED  0x10u
#define RTC_D_VALID 0x80u

#define COM2        0x2f8u
#define COM2_LINE   3u

static struct uart com2;
static volatile bool clock_rang;
static volatile uint32_t characters;

static uint8_t rtc_read(uint8_t reg)
{
    port_write8(RTC_INDEX, reg);
    return port_read8(RTC_DATA);
}

static void rtc_write(uint8_t reg, uint8_t value)
{
    port_write8(RTC_INDEX, reg);
    port_write8(RTC_DATA, value);
}

static void uart_print(const char *text)
{
    for (; *text != '\0'; text++) {
        uart_put(&com2, *text);
    }
}

/* Each character is given back in brackets, so that an echo of the line cannot be taken for it. */
static void uart_answer(void)
{
    char c;
    while (uart_get(&com2, &c)) {
        characters++;
        uart_put(&com2, '[');
        uart_put(&com2, c);
        uart_put(&com2, ']');
    }
}

void guest_irq(uint32_t irq)
{
    if (irq == VECTOR_LINE + RTC_LINE) {
        clock_rang = (rtc_read(RTC_C) & RTC_B_UPDATE_ENDED) != 0;
    } else if (com2.base != 0 && irq == com2.intid) {
        uart_answer();
    } else {
        print("devtest: stray interrupt %u\n", irq);
    }
}

static void test_rtc(void)
{
    if (rtc_read(RTC_A) == 0xff && rtc_read(RTC_D) == 0xff) {
        print("devtest: no rtc\n");
        return;
    }
    bool valid = (rtc_read(RTC_D) & RTC_D_VALID) != 0;
    print("devtest: rtc at 0x70 says %02x:%02x:%02x %s\n", rtc_read(4), rtc_read(2), rtc_read(0),
          valid ? "ok" : "FAILED");
    uint8_t before = rtc_read(RTC_B);
    (void)rtc_read(RTC_C);
    line_on(VECTOR_LINE + RTC_LINE);
    rtc_write(RTC_B, before | RTC_B_UPDATE_ENDED);
    for (uint64_t end = timer_now() + 3 * timer_hz(); !clock_rang && timer_now() < end;) {
    }
    irq_disable();
    rtc_write(RTC_B, before);
    line_off(VECTOR_LINE + RTC_LINE);
    irq_enable();
    print("devtest: rtc interrupt %s\n", clock_rang ? "ok" : "FAILED: it did not come");
}

static void test_com2(void)
{
    if (port_read8(COM2 + 5) == 0xff) {
        print("devtest: no second uart\n");
        return;
    }
    com2 = (struct uart){COM2, VECTOR_LINE + COM2_LINE};
    uart_init(&com2);
    uart_print("devtest: this is the second uart\r\n");
    line_on(com2.intid);
    uart_rx_irq(&com2);
    print("devtest: 16550 at 0x%lx vector 0x%x ok\n", com2.base, com2.intid);
}

int main(uint64_t early)
{
    (void)early;
    print("devtest: start\n");
    line_init();
    irq_enable();
    test_rtc();
    test_com2();
    print("devtest: done\n");
    for (uint32_t shown = 0;;) {
        irq_disable();
        if (shown == characters) {
            idle();
        }
        irq_enable();
        if (shown != characters) {
            shown = characters;
            print("devtest: %u characters received\n", shown);
        }
    }
}
