/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI's watchdog action table (Microsoft, "Hardware Watchdog Timers Design Specification"): each action is a read or a
 * write of a register. Here registers are of 32 bits and in I/O ports, as Bulkhead has them, and an action has one step.
 */
#include "guest.h"

#define HEADER        36u
#define PERIOD        12u      /* offsets behind the header: of a count, in ms; the most counts */
#define FLAGS         24u
#define COUNT         28u
#define ENTRIES       32u
#define ENTRY         24u
#define ENABLED       1u

#define IO_SPACE      1u

#define PING          0x01u    /* actions */
#define GET_COUNTDOWN 0x05u
#define SET_COUNTDOWN 0x06u
#define GET_RUNNING   0x08u
#define GET_STATUS    0x20u

#define MS_PER_HALF   2000u    /* of a time in ms to half of it in seconds */

static uint32_t u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

/* The step of an action: action, instruction, 0 0, register (12 bytes), value, mask; NULL: there is none. */
static const uint8_t *step_of(uint8_t action)
{
    const uint8_t *body = acpi.wdat + HEADER;
    for (uint32_t i = 0; acpi.wdat != NULL && i < u32(body + COUNT); i++) {
        const uint8_t *entry = body + ENTRIES + i * ENTRY;
        if (entry[0] == action && entry[4] == IO_SPACE) {
            return entry;
        }
    }
    return NULL;
}

static uint16_t port_of(const uint8_t *entry)
{
    return (uint16_t)u32(entry + 8);
}

/* What the action reads: a count, or whether the register holds its value. */
static uint32_t read_action(uint8_t action)
{
    const uint8_t *entry = step_of(action);
    if (entry == NULL) {
        return 0;
    }
    uint32_t found = port_read32(port_of(entry)) & u32(entry + 20);
    return entry[1] == 1 ? found : found == u32(entry + 16);
}

static void write_action(uint8_t action, uint32_t count)
{
    const uint8_t *entry = step_of(action);
    if (entry != NULL) {
        port_write32(port_of(entry), (entry[1] == 3 ? count : u32(entry + 16)) & u32(entry + 20));
    }
}

static uint64_t period_ms(void)
{
    return u32(acpi.wdat + HEADER + PERIOD);
}

bool watchdog_open(uint32_t *irq)
{
    *irq = 0;
    return acpi.wdat != NULL && (acpi.wdat[HEADER + FLAGS] & ENABLED) != 0 && read_action(GET_RUNNING) != 0;
}

uint64_t watchdog_half(void)
{
    return read_action(GET_COUNTDOWN) * period_ms() * timer_hz() / MS_PER_HALF;
}

uint32_t watchdog_status(void)
{
    return read_action(GET_STATUS) != 0 ? WATCHDOG_WS1 : 0;
}

void watchdog_refresh(void)
{
    write_action(PING, 0);
}

/* Rounded up: counts are coarse. */
void watchdog_set_half(uint64_t counts)
{
    uint64_t unit = period_ms() * timer_hz();
    write_action(SET_COUNTDOWN, (uint32_t)((counts * MS_PER_HALF + unit - 1) / unit));
}
