/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor's serial driver alone on a machine: greets, sends back what it receives, and says whether the
 * receive interrupt reaches the GIC's distributor (pending before the character is read, gone afterwards).
 * The test generates `layout` with the UART of a board and the distributor's address.
 */
#include <hv/layout.h>
#include <hv/serial.h>

#define GICD_ISPENDR  0x200u   /* IHI 0048 4.3.7, IHI 0069 12.9.20 */

static void put(const char *text)
{
    for (; *text != '\0'; text++) {
        const uint8_t character = (uint8_t)*text;

        while (serial_write(&character, 1) == 0) {
        }
    }
}

static bool pending(void)
{
    uint32_t intid = layout.uart.intid;

    return (mmio_read32(layout.gic.dist.raw + GICD_ISPENDR + intid / 32 * 4) >> (intid % 32) & 1) != 0;
}

static void report(const char *what, bool yes)
{
    put(what);
    put(yes ? "yes\r\n" : "no\r\n");
}

static void receive(void)
{
    char text[2] = { 0 };
    int got;

    while (layout.uart.intid != 0 && !pending()) {
    }
    do {
        got = serial_get();
    } while (got < 0);
    text[0] = (char)got;
    while (serial_get() >= 0) {
    }
    serial_receive_ack();
    put("got ");
    put(text);
    put("\r\n");
    report("still pending: ", layout.uart.intid != 0 && pending());
}

void probe(void)
{
    serial_init();
    put("uart probe: 0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdefghijklmnopqrstuvwxyz ends\r\n");
    while (serial_get() >= 0) {
    }
    serial_receive_on();
    report("pending: ", layout.uart.intid != 0 && pending());
    for (;;) {
        receive();
    }
}

/* An arm64 Image (Linux Documentation/arch/arm64/booting.rst), which every machine starts at EL2 or EL1. */
__asm__(".section .head, \"ax\"\n"
        "    b    1f\n"
        "    .word 0\n"
        "    .quad 0x200000, 0x10000, 0xa, 0, 0, 0\n"
        "    .ascii \"ARM\\x64\"\n"
        "    .word 0\n"
        "1:  mrs  x0, mpidr_el1\n"
        "    and  x0, x0, #0xff\n"
        "    cbnz x0, 2f\n"
        "    adr  x0, .\n"
        "    add  x0, x0, #0x8000\n"
        "    and  sp, x0, #~0xfff\n"
        "    bl   probe\n"
        "2:  wfe\n"
        "    b    2b\n");
