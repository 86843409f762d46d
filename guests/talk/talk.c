/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talks to its neighbours through channels, by command: what it writes into one, they read, and a ring of a
 * doorbell shows on their consoles.
 */
#include "ports.h"

#define MAX_CHANNELS 16
#define TEXT_ROOM    64

struct end {
    struct channel channel;
    const char *name;
    volatile uint32_t rings;
    uint32_t shown;
};

static struct end ends[MAX_CHANNELS];
static uint32_t end_count;

void guest_irq(uint32_t irq)
{
    if (irq == console.intid) {
        console_irq();
        return;
    }
    for (uint32_t i = 0; i < end_count; i++) {
        if (ends[i].channel.irq == irq) {
            ends[i].rings++;
            return;
        }
    }
    print("talk: stray interrupt %u\n", irq);
}

static void find_channels(void)
{
    while (end_count < MAX_CHANNELS && channel_at(end_count, &ends[end_count].channel, &ends[end_count].name)) {
        end_count++;
    }
}

static void show_channels(void)
{
    for (uint32_t i = 0; i < end_count; i++) {
        const struct channel *c = &ends[i].channel;

        print("talk: channel %s: 0x%lx, %lu KiB, %s, doorbell 0x%lx, interrupt %u\n", ends[i].name, c->base,
              c->size >> 10, c->writable ? "to write" : "to read", c->doorbell, c->irq);
    }
}

static void write_text(const struct channel *channel, const char *text)
{
    uint64_t at = channel->base;

    for (uint32_t i = 0; i + 1 < TEXT_ROOM && *text != '\0'; i++) {
        mmio_write8(at++, (uint8_t)*text++);
    }
    mmio_write8(at, 0);
}

static void read_text(const struct channel *channel, char *text)
{
    for (uint32_t i = 0; i + 1 < TEXT_ROOM; i++) {
        char c = (char)mmio_read8(channel->base + i);

        text[i] = c == '\0' || (c >= ' ' && c <= '~') ? c : '?';
    }
    text[TEXT_ROOM - 1] = '\0';
}

static void show_rings(void)
{
    char text[TEXT_ROOM];

    for (uint32_t i = 0; i < end_count; i++) {
        uint32_t rings = ends[i].rings;

        if (rings != ends[i].shown) {
            ends[i].shown = rings;
            if (ports_rung(&ends[i].channel)) {
                continue;
            }
            read_text(&ends[i].channel, text);
            print("talk: %s rang, %u so far: %s\n", ends[i].name, rings, text);
        }
    }
}

/* With interrupts masked: whether somebody rang since it was last shown. */
static bool rung(void)
{
    for (uint32_t i = 0; i < end_count; i++) {
        if (ends[i].rings != ends[i].shown) {
            return true;
        }
    }
    return false;
}

/* Whether any page of the channel holds something else than zeros. */
static void show_clean(const struct end *end)
{
    for (uint64_t at = end->channel.base; at < end->channel.base + end->channel.size; at += 8) {
        if (mmio_read64(at) != 0) {
            print("talk: %s holds 0x%lx at 0x%lx\n", end->name, mmio_read64(at), at);
            return;
        }
    }
    print("talk: %s is all zeros\n", end->name);
}

/* With interrupts masked until others have written and rung; then the channel's is off for a while. The ring is kept. */
static void doze(const struct end *end)
{
    uint64_t before = mmio_read64(end->channel.base), limit = board_now() + 5u * timer_hz();

    print("talk: dozes\n");
    irq_disable();
    while (mmio_read64(end->channel.base) == before && board_now() < limit) {
    }
    limit = board_now() + timer_hz() / 50u;
    while (board_now() < limit) {          /* it has been written, the ring is about to come */
    }
    line_off(end->channel.irq);
    irq_window();
    line_on(end->channel.irq);
    irq_enable();
}

static void storm(const struct end *end)
{
    print("talk: storm on %s\n", end->name);
    for (;;) {
        channel_ring(&end->channel);
    }
}

static void run_on(const struct end *end, const char *verb, const char *rest)
{
    char text[TEXT_ROOM];

    if (ports_command(&end->channel, end->name, verb, rest)) {
        return;
    }
    if (str_equal(verb, "say")) {
        write_text(&end->channel, rest);
        channel_ring(&end->channel);
    } else if (str_equal(verb, "write")) {
        write_text(&end->channel, rest);
        print("talk: written\n");
    } else if (str_equal(verb, "read")) {
        read_text(&end->channel, text);
        print("talk: %s holds: %s\n", end->name, text);
    } else if (str_equal(verb, "ring")) {
        channel_ring(&end->channel);
    } else if (str_equal(verb, "listen")) {
        channel_listen(&end->channel);
    } else if (str_equal(verb, "deaf")) {
        line_off(end->channel.irq);
    } else if (str_equal(verb, "doze")) {
        doze(end);
    } else if (str_equal(verb, "clean")) {
        show_clean(end);
    } else if (str_equal(verb, "bell")) {
        print("talk: the doorbell reads 0x%x\n", mmio_read32(end->channel.doorbell + 8));
    } else if (str_equal(verb, "storm")) {
        storm(end);
    }
}

/* Cuts the first word off. */
static const char *word(char **rest)
{
    char *start = *rest;
    char *at = start;

    while (*at != '\0' && *at != ' ') {
        at++;
    }
    *rest = at;
    if (*at == ' ') {
        *at = '\0';
        *rest = at + 1;
    }
    return start;
}

static void run_command(char *line)
{
    const char *verb = word(&line);

    if (str_equal(verb, "list")) {
        show_channels();
    } else if (str_equal(verb, "peek")) {
        print("talk: 0x%x\n", mmio_read32(str_number(line, NULL)));
    } else if (str_equal(verb, "poke")) {
        mmio_write32(str_number(line, NULL), 1);
        print("talk: that was possible\n");
    } else if (str_equal(verb, "restart")) {
        uint64_t answer[5];

        print("talk: restart: %ld\n", monitor_call(MONITOR_RESTART, str_number(line, NULL), answer));
    } else if (str_equal(verb, "reboot")) {
        power_reset();
    } else if (str_equal(verb, "off")) {
        power_off();
    } else if (*verb != '\0') {
        const char *name = word(&line);

        for (uint32_t i = 0; i < end_count; i++) {
            if (str_equal(ends[i].name, name)) {
                run_on(&ends[i], verb, line);
                return;
            }
        }
        print("talk: list | say CHANNEL TEXT | write CHANNEL TEXT | read, ring, listen, deaf, doze, clean, bell, storm CHANNEL "
              "| send, stream CHANNEL FIRST LAST | receive, take CHANNEL | sample CHANNEL AGE TEXT | peek, poke ADDRESS "
              "| restart PARTITION | reboot | off\n");
    }
}

int main(uint64_t early)
{
    static char line[120];

    (void)early;
    find_channels();
    line_init();
    if (console.intid != 0) {
        line_on(console.intid);
        uart_rx_irq(&console);
    }
    show_channels();
    for (uint32_t i = 0; i < end_count; i++) {
        channel_listen(&ends[i].channel);
    }
    print("talk: ready\n");
    for (;;) {
        irq_disable();
        if (!rung()) {
            idle();               /* wakes for masked interrupts, or lets them in itself */
        }
        irq_enable();
        show_rings();
        while (console_line(line, sizeof(line))) {
            run_command(line);
        }
    }
}
