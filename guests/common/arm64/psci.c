/* SPDX-License-Identifier: Apache-2.0 */
/* Power State Coordination Interface (DEN 0022) over the conduit that the devicetree names. */
#include "guest.h"

#define MPIDR_AFFINITY UINT64_C(0xff00ffffff)

int64_t smc_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;
    __asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                     :: "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                        "x16", "x17", "memory");
    return (int64_t)x0;
}

int64_t hvc_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;
    __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                     :: "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                        "x16", "x17", "memory");
    return (int64_t)x0;
}

int64_t psci_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    int node = fdt_path("/psci");
    if (node != FDT_NONE && str_equal(fdt_string(node, "method"), "hvc")) {
        return hvc_call(function, a, b, c);
    }
    return smc_call(function, a, b, c);
}

#define SECONDARIES  15

int64_t cpu_start(uint64_t mpidr, void (*run)(void))
{
    static uint8_t stacks[SECONDARIES][2048] __attribute__((aligned(16)));
    static struct { uint64_t stack; void (*run)(void); } starts[SECONDARIES];
    static uint32_t used;
    if (used == SECONDARIES) {
        return -1;
    }
    starts[used].stack = (uint64_t)stacks[used] + sizeof(stacks[used]);
    starts[used].run = run;
    dsb();
    int64_t result = psci_call(PSCI_CPU_ON, mpidr & MPIDR_AFFINITY, (uint64_t)secondary_entry,
                               (uint64_t)&starts[used]);
    used += result == 0;
    return result;
}

static void __attribute__((noreturn)) psci_final(uint64_t function)
{
    irq_disable();
    psci_call(function, 0, 0, 0);
    for (;;) {
        wfi();
    }
}

void cpu_stop(void)
{
    psci_final(PSCI_CPU_OFF);
}

void power_off(void)
{
    psci_final(PSCI_SYSTEM_OFF);
}

void power_reset(void)
{
    psci_final(PSCI_SYSTEM_RESET);
}
