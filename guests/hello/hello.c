/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest guest that is alive: prints, ticks each second, answers on its console. */
#include "guest.h"

#define MAX_CPUS 16

static uint64_t cpus[MAX_CPUS];
static uint32_t cpu_count;
static struct range memory[4];
static uint32_t memory_count;
static uint32_t tick_irq;

static volatile uint32_t ticks_due;
static uint64_t next_tick;
static uint32_t tick_number;
static bool tick_shown = true;

void guest_irq(uint32_t irq)
{
    if (irq == tick_irq) {
        ticks_due++;
        next_tick += timer_hz();
        timer_at(next_tick);
    } else if (irq == console.intid) {
        console_irq();
    } else {
        print("hello: stray interrupt %u\n", irq);
    }
}

static void secondary_run(void)
{
    print("hello: second core here, %s 0x%lx\n", CORE_ID_NAME, core_id());
    cpu_stop();
}

static void start_core(uint32_t index)
{
    if (index == 0 || index >= cpu_count || index >= MAX_CPUS) {
        print("hello: I have no vCPU %u to start\n", index);
        return;
    }
    int64_t result = cpu_start(cpus[index], secondary_run);
    if (result != 0) {
        print("hello: vCPU %u did not start: error %ld\n", index, result);
    }
}

static uint64_t ram_bytes(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < memory_count; i++) {
        bytes += memory[i].size;
    }
    return bytes;
}

static void show_info(void)
{
    for (uint32_t i = 0; i < memory_count; i++) {
        print("hello: RAM 0x%lx, %lu MiB\n", memory[i].base, memory[i].size >> 20);
    }
    machine_info();
}

/* A read, and a write if it came through, of memory that is not ours unless told otherwise. */
static void touch(uint64_t address)
{
    print("hello: touching 0x%lx\n", address);
    mmio_write32(address, mmio_read32(address));
    print("hello: that was possible\n");
}

/* Wants its core all the time; interrupts are taken meanwhile. */
static void burn(uint64_t seconds)
{
    uint64_t end = timer_now() + seconds * timer_hz();

    print("hello: busy for %lu s\n", seconds);
    while (timer_now() < end) {
    }
    print("hello: no longer busy\n");
}

static void show_help(void)
{
    print("hello: help | info | tick on | tick off | cpuN (start vCPU N) | fault [ADDRESS] | burn [SECONDS] | reboot | off\n");
}

static void run_command(const char *line)
{
    if (str_equal(line, "help")) {
        show_help();
    } else if (str_equal(line, "info")) {
        show_info();
    } else if (str_equal(line, "tick off") || str_equal(line, "tick on")) {
        tick_shown = str_equal(line, "tick on");
        print("hello: ticks %s\n", tick_shown ? "shown" : "not shown");
    } else if (str_prefix(line, "cpu")) {
        start_core((uint32_t)str_number(line + 3, NULL));
    } else if (str_equal(line, "fault")) {
        touch(memory[memory_count - 1].base + memory[memory_count - 1].size);
    } else if (str_prefix(line, "fault ")) {
        touch(str_number(line + 6, NULL));
    } else if (str_equal(line, "burn") || str_prefix(line, "burn ")) {
        burn(line[4] == ' ' ? str_number(line + 5, NULL) : 1u);
    } else if (str_equal(line, "reboot")) {
        print("hello: rebooting\n");
        power_reset();
    } else if (str_equal(line, "off")) {
        print("hello: off\n");
        power_off();
    } else if (*line != '\0') {
        print("hello: you said: %s\n", line);
    }
}

int main(uint64_t early)
{
    static char line[80];
    (void)early;
    cpu_count = machine_cpus(cpus, MAX_CPUS);
    memory_count = machine_memory(memory, ARRAY_COUNT(memory));
    tick_irq = timer_irq();
    print("hello: Bulkhead guest, %u vCPU%s, RAM %lu MiB at 0x%lx\n", cpu_count, cpu_count == 1 ? "" : "s",
          ram_bytes() >> 20, memory[0].base);

    line_init();
    line_on(tick_irq);
    if (console.intid != 0) {
        line_on(console.intid);
        uart_rx_irq(&console);
    }
    next_tick = timer_now() + timer_hz();
    timer_at(next_tick);

    for (;;) {
        irq_disable();
        if (ticks_due == 0) {
            idle();               /* none is missed: it wakes for masked interrupts, or lets them in itself */
        }
        irq_enable();
        while (ticks_due > 0) {
            ticks_due--;
            tick_number++;
            if (tick_shown) {
                print("tick %u\n", tick_number);
            }
        }
        while (console_line(line, sizeof(line))) {
            run_command(line);
        }
    }
}
