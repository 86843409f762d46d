/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flight control, as a demo: 1000 times a second it reads the (simulated) attitude of a drone in gusts, and corrects
 * it; every tenth time it publishes the attitude. It refreshes its watchdog. What goes wrong with such software goes
 * wrong on request, from its console or from another partition: see show_help() and orders.h.
 */
#include "attitude.h"
#include "guest.h"
#include "orders.h"
#include "telemetry.h"

#define STRAY_ADDRESS     0x9010000u   /* PL031 of qemu-virt-arm64 */
#define STEPS_A_SECOND    1000u
#define STEPS_A_SAMPLE    10u
#define STEPS_A_REFRESH   10u
#define SECONDS_A_LINE    5u

static uint32_t tick_irq, dog_irq;
static bool has_dog;
static uint64_t interval, next_step;
static volatile uint32_t steps_due;

static struct attitude attitude;
static uint32_t step_number;
static uint64_t late_max;

void guest_irq(uint32_t irq)
{
    if (irq == tick_irq) {
        uint64_t now = timer_now();

        late_max = now > next_step && now - next_step > late_max ? now - next_step : late_max;
        steps_due++;
        next_step += interval;
        if (next_step < now) {
            next_step = now + interval;   /* what was missed is not caught up with */
        }
        timer_at(next_step);
    } else if (irq == console.intid) {
        console_irq();
    } else {
        (void)orders_interrupt(irq);
    }
}

static void show_help(void)
{
    print("flight: hang: stops with interrupts shut off, so that the watchdog ends it\n"
          "flight: stray: writes to a device that is not its own\n"
          "flight: gust: a gust of wind\n");
}

static void hang(void)
{
    print("flight: hanging\n");
    irq_disable();
    for (;;) {
        __asm__ volatile("" : : : "memory");
    }
}

/* The board's clock, which nobody has given to it. */
static void stray(void)
{
    print("flight: a stray store\n");
    mmio_write32(STRAY_ADDRESS, 1);
    print("flight: that was possible\n");
}

static void obey(enum order order)
{
    if (order == ORDER_HANG) {
        hang();
    } else if (order == ORDER_STRAY) {
        stray();
    } else if (order == ORDER_GUST) {
        attitude_gust(&attitude, 60000);
    }
}

static void run_command(const char *line)
{
    if (str_equal(line, "hang")) {
        obey(ORDER_HANG);
    } else if (str_equal(line, "stray")) {
        obey(ORDER_STRAY);
    } else if (str_equal(line, "gust")) {
        obey(ORDER_GUST);
    } else if (*line != '\0') {
        show_help();
    }
}

static void show_flight(void)
{
    print("flight: step %u, none late by more than %lu us, roll %ld pitch %ld yaw %ld mdeg\n", step_number,
          timer_ns(late_max) / 1000u, attitude_mdeg(&attitude, 0), attitude_mdeg(&attitude, 1), attitude_mdeg(&attitude, 2));
    late_max = 0;
}

static void publish(void)
{
    struct telemetry sample = { .step = step_number };

    for (uint32_t axis = 0; axis < AXES; axis++) {
        sample.angle[axis] = (int32_t)attitude_mdeg(&attitude, axis);
    }
    telemetry_send(&sample);
}

/* The control loop's body. */
static void step(void)
{
    attitude_step(&attitude, STEPS_A_SECOND);
    step_number++;
    if (step_number % STEPS_A_SAMPLE == 0) {
        publish();
    }
    if (has_dog && step_number % STEPS_A_REFRESH == 0) {
        watchdog_refresh();
    }
    if (step_number % (SECONDS_A_LINE * STEPS_A_SECOND) == STEPS_A_SECOND) {
        show_flight();
    }
}

static void open_all(void)
{
    line_init();
    tick_irq = timer_irq();
    line_on(tick_irq);
    has_dog = watchdog_open(&dog_irq);
    if (console.intid != 0) {
        line_on(console.intid);
        uart_rx_irq(&console);
    }
    interval = timer_hz() / STEPS_A_SECOND;
}

int main(uint64_t early)
{
    static char line[32];
    bool telemetry, orders;

    (void)early;
    attitude.random = timer_now();
    open_all();
    telemetry = telemetry_open();
    orders = orders_open();
    print("flight: life %u: control at %u Hz, %s, %s, %s; type hang or stray to see it recover\n", telemetry_life(), STEPS_A_SECOND,
          has_dog ? "watchdog" : "no watchdog", telemetry ? "telemetry" : "no telemetry", orders ? "orders" : "no orders");
    next_step = timer_now() + interval;
    timer_at(next_step);
    for (;;) {
        irq_disable();
        if (steps_due == 0) {
            idle();
        }
        irq_enable();
        for (; steps_due > 0; steps_due--) {
            step();
        }
        obey(orders_take());
        while (console_line(line, sizeof(line))) {
            run_command(line);
        }
    }
}
