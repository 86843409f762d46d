/* SPDX-License-Identifier: Apache-2.0 */
#include "attacks.h"

#define PORTS     0x10000u
#define PC_PORTS  0x1000u

/* Ports that are this guest's own, or that it is meant to have: the console's, reset and sleep. */
static bool is_own(uint32_t port)
{
    return (console.base != 0 && port - console.base < 8) || port == acpi.reset ||
           (acpi.sleep != 0 && port - acpi.sleep < 2);
}

/*
 * Every port there is, those above the PC's own by four: reads must give ones, as where nothing answers;
 * writes must go nowhere.
 */
void attack_ports(const char *name, uint64_t address)
{
    uint32_t tried = 0, answered = 0, first = 0;
    (void)address;
    for (uint32_t port = 0; port < PORTS; port += port < PC_PORTS ? 1 : 4) {
        uint32_t value;
        if (is_own(port)) {
            continue;
        }
        if (port < PC_PORTS) {
            port_write8((uint16_t)port, 0);
            port_write8((uint16_t)port, 0xff);
            value = port_read8((uint16_t)port) | 0xffffff00;
        } else {
            port_write32((uint16_t)port, 0);
            value = port_read32((uint16_t)port);
        }
        tried++;
        if (value != 0xffffffff) {
            first = answered == 0 ? port : first;
            answered++;
        }
    }
    print("attack %s: %u tried, %u answered", name, tried, answered);
    if (answered != 0) {
        print(", the first 0x%x", first);
    }
    verdict(answered == 0);
}

/* Accesses that reach over the edge of what is its own, or of all ports. */
void attack_ports_wide(const char *name, uint64_t address)
{
    static const uint16_t ports[] = {
        0x3f5, 0x3f6, 0x3f7, 0x3fd, 0x3fe, 0x3ff, 0x5fd, 0x5fe, 0x5ff, 0x601, 0x604, 0x608,
        0xcf6, 0xcf7, 0xcf8, 0xcfa, 0xcfc, 0x2f8, 0x2fd, 0x80, 0x8900, 0xfffc, 0xfffd, 0xfffe, 0xffff,
    };
    uint32_t answered = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(ports); i++) {
        uint16_t port = ports[i];
        bool edge = is_own(port) || is_own(port + 1u) || is_own(port + 2u) || is_own(port + 3u);
        port_write16(port, 0);
        port_write32(port, 0x80000000);
        uint16_t half = port_read16(port);
        uint32_t word = port_read32(port);
        if (!edge && (half != 0xffff || word != 0xffffffff)) {
            print("attack %s: 0x%x reads 0x%x, 0x%x\n", name, port, half, word);
            answered++;
        }
    }
    if (console.base != 0) {
        uart_init(&console);
    }
    print("attack %s: %u ports, %u answered", name, (uint32_t)ARRAY_COUNT(ports), answered);
    verdict(answered == 0);
}

/* Every value in every register of the console but that of characters to send. */
void attack_console(const char *name, uint64_t address)
{
    (void)address;
    for (uint32_t value = 0; value < 256; value++) {
        for (uint16_t reg = 1; reg < 8; reg++) {
            uint16_t port = (uint16_t)(console.base + reg);
            port_write8(port, (uint8_t)value);
            (void)port_read8(port);
        }
        port_write8((uint16_t)(console.base + 3), 0x80);      /* the divisor latch */
        port_write8((uint16_t)console.base, (uint8_t)value);
        (void)port_read8((uint16_t)console.base);
        port_write8((uint16_t)(console.base + 3), 3);
        (void)port_read8((uint16_t)console.base);
    }
    uart_init(&console);
    print("attack %s: every register written", name);
    verdict(true);
}

static uint8_t text[] = "attack port-strings: by OUTS\r\n";

static void string_out(uint64_t port)
{
    const uint8_t *at = text;
    uint64_t count = sizeof(text) - 1;
    __asm__ volatile("rep outsb" : "+S"(at), "+c"(count) : "d"((uint32_t)port) : "memory");
}

static void string_in(uint64_t port)
{
    static uint8_t room[64];
    uint8_t *at = room;
    uint64_t count = sizeof(room);
    __asm__ volatile("rep insb" : "+D"(at), "+c"(count) : "d"((uint32_t)port) : "memory");
}

/* With an address of memory that is not there, too: whose page fault would that be? */
static void string_in_nowhere(uint64_t port)
{
    uint64_t at = own_ram.base + own_ram.size, count = 4;
    __asm__ volatile("rep insl" : "+D"(at), "+c"(count) : "d"((uint32_t)port) : "memory");
}

void attack_port_strings(const char *name, uint64_t address)
{
    uint64_t port = address != 0 ? address : console.base;
    bool out = trap_try(string_out, port), in = trap_try(string_in, port + 5);
    bool foreign = trap_try(string_in, 0x71), nowhere = trap_try(string_in_nowhere, 0x71);
    print("attack %s: OUTS %s, INS %s, foreign %s, to nowhere %s", name, out ? "done" : "refused",
          in ? "done" : "refused", foreign ? "done" : "refused", nowhere ? "done" : "refused");
    verdict(true);
}
