/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

void guest_start(const void *given, uint64_t early);

void guest_start(const void *given, uint64_t early)
{
    machine_open(given);
    if (machine_console(&console.base, &console.intid)) {
        uart_init(&console);
    }
    main(early);
    power_off();
}
