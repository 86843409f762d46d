/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses the PCI functions that it was given, and tries to make more of them: QEMU's `edu` (interrupt, and DMA that must
 * not happen) and `pci-serial`. Its arguments: base=ADDRESS, where its memory really lies; dma=ADDRESS, memory of
 * another; touch=ADDRESS, which it reads at the end. Each attempt says `held` or `BREACH`.
 */
#include "guest.h"

#define CONFIG_ADDRESS  0xcf8u
#define CONFIG_DATA     0xcfcu

#define REG_ID         0x00u
#define REG_COMMAND    0x04u
#define REG_CLASS      0x08u
#define REG_BAR        0x10u
#define REG_BARS_END   0x28u
#define REG_INTERRUPT  0x3cu
#define COMMAND_MEMORY  2u
#define COMMAND_MASTER  4u

#define ID_EDU     0x11e81234u
#define ID_SERIAL  0x00021b36u
#define ID_UHCI    0x70208086u   /* PIIX3's, in Bochs */
#define CLASS_HOST 0x0600u

#define UHCI_SOFMOD        0x0cu  /* UHCI 1.1, 2.1.6 */
#define UHCI_SOFMOD_RESET  0x40u

/* QEMU, docs/specs/edu.rst */
#define EDU_LIVE        0x04u
#define EDU_FACTORIAL   0x08u
#define EDU_STATUS      0x20u
#define EDU_BY_INTERRUPT  0x80u
#define EDU_WHY         0x24u
#define EDU_DONE        0x64u
#define EDU_SOURCE      0x80u
#define EDU_TARGET      0x88u
#define EDU_COUNT       0x90u
#define EDU_COMMAND     0x98u
#define EDU_RUN         1u
#define EDU_TO_MEMORY   2u
#define EDU_BUFFER      0x40000u
#define EDU_BUFFER_SIZE 4096u

#define BUSES      2u        /* that are looked through */
#define LEVEL_LOW  0xa000u   /* I/O APIC: as PCI's lines are */

static volatile uint32_t interrupts, edu_why, never;
static uint32_t awaited;
static uint64_t edu;
static uint16_t serial;
static uint8_t page[EDU_BUFFER_SIZE] __attribute__((aligned(4096)));

static uint32_t config_read(uint32_t function, uint32_t reg)
{
    port_write32(CONFIG_ADDRESS, 1u << 31 | function << 8 | reg);
    return port_read32(CONFIG_DATA);
}

static void config_write(uint32_t function, uint32_t reg, uint32_t value)
{
    port_write32(CONFIG_ADDRESS, 1u << 31 | function << 8 | reg);
    port_write32(CONFIG_DATA, value);
}

static void verdict(const char *what, bool held)
{
    print("cards: %s: %s\n", what, held ? "held" : "BREACH");
}

void guest_irq(uint32_t irq)
{
    if (irq != awaited) {
        print("cards: stray interrupt %u\n", irq);
        return;
    }
    interrupts++;
    if (edu != 0) {
        edu_why = mmio_read32(edu + EDU_WHY);
        mmio_write32(edu + EDU_DONE, edu_why);
    } else {
        port_write8((uint16_t)(serial + 1u), 0);     /* IER: it has said what it had to say */
    }
}

static void wait_for(volatile uint32_t *word, uint64_t seconds)
{
    for (uint64_t end = timer_now() + seconds * timer_hz(); *word == 0 && timer_now() < end;) {
        __asm__ volatile("pause");
    }
}

/* ------------------------------------------------------------------ configuration space */

static void try_to_move(uint32_t function, uint32_t reg, uint32_t bar)
{
    config_write(function, reg, bar + 0x100000u);
    verdict("another address for its BAR", config_read(function, reg) == bar);
    port_write32(CONFIG_ADDRESS, 1u << 31 | function << 8 | reg);
    port_write8(CONFIG_DATA + 3u, 0x12);
    verdict("another byte for its BAR", config_read(function, reg) == bar);
}

static void try_to_master(uint32_t function)
{
    uint32_t command = config_read(function, REG_COMMAND);
    config_write(function, REG_COMMAND, command | COMMAND_MASTER);
    port_write32(CONFIG_ADDRESS, 1u << 31 | function << 8 | REG_COMMAND);
    port_write8(CONFIG_DATA, 7);
    port_write16(CONFIG_DATA, 0xffff);
    verdict("bus master", (config_read(function, REG_COMMAND) & COMMAND_MASTER) == 0);
    config_write(function, REG_COMMAND, command | COMMAND_MASTER);
}

/* Size and place of its first BAR, as every operating system finds them. */
static uint32_t look_at(uint32_t function)
{
    uint32_t id = config_read(function, REG_ID), interrupt = config_read(function, REG_INTERRUPT), reg = REG_BAR;
    while (reg < REG_BARS_END - 4u && config_read(function, reg) == 0) {
        reg += 4u;
    }
    uint32_t bar = config_read(function, reg), bits = (bar & 1u) != 0 ? 3u : 15u;
    config_write(function, reg, UINT32_MAX);
    uint32_t size = ~(config_read(function, reg) & ~bits) + 1u;
    config_write(function, reg, bar);
    print("cards: 00:%02x.%u is %04x:%04x, %u bytes at 0x%x, pin %u, line %u\n", function >> 3, function & 7u, id & 0xffffu,
          id >> 16, size, bar & ~bits, interrupt >> 8 & 0xffu, interrupt & 0xffu);
    awaited = VECTOR_LINE + (interrupt & 0xffu);
    verdict("capabilities hidden", (config_read(function, REG_COMMAND) >> 20 & 1u) == 0 && config_read(function, 0x34) == 0);
    try_to_move(function, reg, bar);
    try_to_master(function);
    return bar & ~bits;
}

/* ------------------------------------------------------------------ the two cards */

/* From the card's buffer, which is all zeros, to where it has no business. */
static void dma(uint64_t target)
{
    mmio_write64(edu + EDU_SOURCE, EDU_BUFFER);
    mmio_write64(edu + EDU_TARGET, target);
    mmio_write64(edu + EDU_COUNT, EDU_BUFFER_SIZE);
    mmio_write64(edu + EDU_COMMAND, EDU_RUN | EDU_TO_MEMORY);
    for (uint64_t end = timer_now() + 5 * timer_hz(); (mmio_read32(edu + EDU_COMMAND) & EDU_RUN) != 0 && timer_now() < end;) {
    }
}

static bool page_is(uint8_t byte)
{
    for (uint32_t i = 0; i < sizeof(page); i++) {
        if (((volatile uint8_t *)page)[i] != byte) {
            return false;
        }
    }
    return true;
}

static void use_edu(void)
{
    mmio_write32(edu + EDU_LIVE, 0x12345678u);
    print("cards: edu %s\n", mmio_read32(edu + EDU_LIVE) == ~0x12345678u ? "answers" : "FAILED: it is deaf");
    mmio_write32(edu + EDU_STATUS, EDU_BY_INTERRUPT);
    mmio_write32(edu + EDU_FACTORIAL, 10);
    wait_for(&interrupts, 5);
    print("cards: edu says 10! = %u, by %u interrupt %s\n", mmio_read32(edu + EDU_FACTORIAL), interrupts,
          interrupts == 1 && edu_why == 1u ? "ok" : "FAILED");
    memset(page, 0x5a, sizeof(page));
    dma(machine_argument("base=", 0) + (uint64_t)page);
    verdict("DMA into its own memory", page_is(0x5a));
    dma(machine_argument("dma=", 0));
    print("cards: DMA to 0x%lx was asked for\n", machine_argument("dma=", 0));
}

static void use_serial(void)
{
    struct uart uart = {serial, 0};
    uart_init(&uart);
    for (const char *at = "cards: this is the PCI serial port\r\n"; *at != '\0'; at++) {
        uart_put(&uart, *at);
    }
    port_write8((uint16_t)(serial + 1u), 2);         /* IER: the transmitter is empty */
    wait_for(&interrupts, 5);
    print("cards: 16550 at 0x%x, by %u interrupt %s\n", serial, interrupts, interrupts == 1 ? "ok" : "FAILED");
}

static void use(uint32_t function, uint32_t id)
{
    uint32_t place = look_at(function);
    if (config_read(function, REG_INTERRUPT) != 0) {
        ioapic_route(awaited - VECTOR_LINE, awaited | LEVEL_LOW | core_id() << 56);
    }
    irq_enable();
    if (id == ID_EDU) {
        edu = place;
        use_edu();
    } else if (id == ID_SERIAL) {
        serial = (uint16_t)place;
        use_serial();
    } else if (id == ID_UHCI) {
        print("cards: UHCI says 0x%x %s\n", port_read8((uint16_t)(place + UHCI_SOFMOD)),
              port_read8((uint16_t)(place + UHCI_SOFMOD)) == UHCI_SOFMOD_RESET ? "ok" : "FAILED");
    }
}

int main(uint64_t early)
{
    (void)early;
    uint32_t count = 0;
    line_init();
    for (uint32_t function = 0; function < BUSES << 8; function++) {
        uint32_t id = config_read(function, REG_ID);
        if (id == UINT32_MAX) {
            continue;
        }
        if (config_read(function, REG_CLASS) >> 16 == CLASS_HOST) {
            print("cards: host bridge %04x:%04x\n", id & 0xffffu, id >> 16);
            continue;
        }
        count++;
        use(function, id);
    }
    print("cards: %u functions\n", count);
    if (machine_argument("touch=", 0) != 0) {
        wait_for(&never, 1);
        print("cards: reading 0x%lx: 0x%x\n", machine_argument("touch=", 0), mmio_read32(machine_argument("touch=", 0)));
    }
    for (;;) {
        irq_disable();
        idle();
    }
}
