/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that serves its watchdog, and on command stops to, in every way that one can think of. */
#include "guest.h"
#include "ways.h"

static uint32_t tick_irq, dog_irq;
static bool dog, served = true;
static uint64_t interval;
static volatile uint32_t warnings;

void guest_irq(uint32_t irq)
{
    if (irq == tick_irq) {
        if (dog && served) {
            watchdog_refresh();
        }
        timer_at(timer_now() + interval);
    } else if (irq == console.intid) {
        console_irq();
    } else if (dog && irq == dog_irq) {
        warnings++;
        print("health: warned, status %u\n", watchdog_status());
    } else {
        print("health: stray interrupt %u\n", irq);
    }
}

/* A time that the watchdog shall have, in milliseconds, and what it makes of it. */
static void set_time(uint64_t ms)
{
    uint64_t wanted = ms * timer_hz() / 2000;
    watchdog_set_half(wanted);
    print("health: half is %lu of %lu\n", watchdog_half(), wanted);
}

/* ------------------------------------------------------------------ as a monitor */

static void list(void)
{
    static const char *const states[] = { "idle", "cold-start", "warm-start", "normal" };
    static const char *const causes[] = { "power-on", "itself", "fault", "monitor" };
    uint64_t info[5], name[5] = { 0 };

    for (uint64_t i = 0; monitor_call(MONITOR_INFO, i, info) == 0; i++) {
        monitor_call(MONITOR_NAME, i, name);
        print("health: partition %lu %s is %s by %s, starts %lu, after faults %lu\n", i, (const char *)name,
              states[info[0] & 3], causes[info[0] >> 8 & 3], info[1], info[2]);
    }
    print("health: that is all\n");
}

static void events(void)
{
    static const char *const kinds[] = { "?", "started", "stopped", "fault", "watchdog", "limit" };
    uint64_t one[5];

    while (monitor_call(MONITOR_EVENT, 0, one) == 0) {
        print("health: event %s of %lu vcpu %lu, address 0x%lx, pc 0x%lx, lost %lu\n", kinds[(one[0] & 0xff) % 6],
              one[0] >> 8 & 0xff, one[0] >> 16 & 0xff, one[2], one[3], one[4]);
    }
    print("health: no more events\n");
}

/* "call FUNCTION PARTITION": the result alone. */
static void call(const char *line)
{
    const char *rest;
    uint64_t answer[5], function = str_number(line, &rest);
    uint64_t partition = str_number(*rest == ' ' ? rest + 1 : rest, NULL);

    print("health: call %lu %lu gives %ld\n", function, partition, monitor_call((uint32_t)function, partition, answer));
}

/* The first address behind its RAM, where nothing is. */
static uint64_t beyond(void)
{
    struct range ranges[4];
    uint32_t count = machine_memory(ranges, ARRAY_COUNT(ranges));
    return ranges[count - 1].base + ranges[count - 1].size;
}

/* "poke ADDRESS VALUE", "peek ADDRESS": a register, and what it holds then. */
static void touch(const char *line, bool write)
{
    const char *rest;
    uint64_t address = str_number(line, &rest);

    if (write) {
        way_poke(address, (uint32_t)str_number(*rest == ' ' ? rest + 1 : rest, NULL));
    }
    print("health: 0x%lx holds 0x%x\n", address, way_peek(address));
}

static void run_command(const char *line)
{
    if (str_prefix(line, "poke ") || str_prefix(line, "peek ")) {
        touch(line + 5, line[1] == 'o');
    } else if (str_equal(line, "list")) {
        list();
    } else if (str_equal(line, "events")) {
        events();
    } else if (str_prefix(line, "call ")) {
        call(line + 5);
    } else if (str_equal(line, "starve")) {
        served = false;
        print("health: serves its watchdog no more\n");
    } else if (str_equal(line, "serve")) {
        served = true;
        watchdog_refresh();
        print("health: serves it, status %u, warnings %u\n", watchdog_status(), warnings);
    } else if (str_prefix(line, "time ")) {
        set_time(str_number(line + 5, NULL));
    } else if (str_equal(line, "spin")) {
        way_spin();
    } else if (str_equal(line, "sleep")) {
        way_sleep();
    } else if (str_equal(line, "suspend")) {
        way_suspend();
    } else if (str_equal(line, "faults")) {
        way_faults();
    } else if (str_equal(line, "fault")) {
        mmio_write32(beyond(), 1);
    } else if (str_equal(line, "reboot")) {
        power_reset();
    } else if (*line != '\0') {
        print("health: starve | serve | time MS | spin | sleep | suspend | faults | fault | reboot | list | events | call F P\n");
    }
}

int main(uint64_t early)
{
    static char line[80];
    (void)early;
    tick_irq = timer_irq();
    dog = watchdog_open(&dog_irq);
    print("health: up%s\n", !dog ? ", no watchdog" : (watchdog_status() & WATCHDOG_WS1) != 0 ? ", its watchdog ended the last life"
                                                                                             : ", with a watchdog");
    interval = dog ? watchdog_half() / 4u : timer_hz();
    line_init();
    line_on(tick_irq);
    if (console.intid != 0) {
        line_on(console.intid);
        uart_rx_irq(&console);
    }
    if (dog && dog_irq != 0) {
        line_on(dog_irq);
    }
    timer_at(timer_now() + interval);
    irq_enable();
    for (;;) {
        while (console_line(line, sizeof(line))) {
            run_command(line);
        }
        irq_disable();
        idle();
        irq_enable();
    }
}
