/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what a guest pays for each path through the hypervisor, in ticks of the time stamp counter. Under
 * `qemu -icount shift=0` a tick is one executed instruction, and one count of the APIC's timer. Every figure
 * is the least of some repeats after a warm-up, less what measuring costs. One line each, for bench.py:
 * "probe: NAME TICKS".
 */
#include "guest.h"

#define WARM_UP  4
#define REPEATS  16
#define AHEAD    20000      /* ticks from programming a timer to its end */

#define PORT_REFUSED  0x80u /* nobody's in a partition */

uint64_t measure_nothing(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_vmmcall(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_vmcall(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_cpuid(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_rdmsr(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_port_read(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_port_refused(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_tpr_read(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_tpr_write(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_version_read(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_timer_arm(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_ioapic_read(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_ioapic_write(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_ipi_self(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_self_ipi(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_ipi_other(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_timer(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_timer_hlt(uint64_t ecx, uint64_t eax, uint64_t edx);
uint64_t measure_uart_irq(uint64_t ecx, uint64_t eax, uint64_t edx);

void other_run(void);
uint32_t other_seen;        /* the counter in the other core's handler */
uint64_t other_answer;      /* what that core writes to its ICR then */
static uint64_t other_id;

static uint64_t once_nothing(void) { return measure_nothing(0, 0, 0); }
static uint64_t once_cpuid(void) { return measure_cpuid(0, 0, 0); }
static uint64_t once_rdmsr(void) { return measure_rdmsr(MSR_APIC_BASE, 0, 0); }
static uint64_t once_port_read(void) { return measure_port_read(0, 0, console.base + 5); }
static uint64_t once_port_refused(void) { return measure_port_refused(0, 0, PORT_REFUSED); }
static uint64_t once_tpr_read(void) { return measure_tpr_read(X2APIC_TPR, 0, 0); }
static uint64_t once_tpr_write(void) { return measure_tpr_write(X2APIC_TPR, 0, 0); }
static uint64_t once_version_read(void) { return measure_version_read(X2APIC_VERSION, 0, 0); }
static uint64_t once_ioapic_read(void) { return measure_ioapic_read(acpi.ioapic + 0x10, 0, 0); }
static uint64_t once_ioapic_write(void) { return measure_ioapic_write(acpi.ioapic, 1, 0); }
static uint64_t once_ipi_self(void) { return measure_ipi_self(X2APIC_ICR, VECTOR_IPI | ICR_ASSERT, core_id()); }
static uint64_t once_self_ipi(void) { return measure_self_ipi(X2APIC_SELF, VECTOR_IPI, 0); }
static uint64_t once_ipi_other(void) { return measure_ipi_other(X2APIC_ICR, VECTOR_IPI | ICR_ASSERT, other_id); }
static uint64_t once_timer(void) { return measure_timer(X2APIC_COUNT, AHEAD, 0) - AHEAD; }
static uint64_t once_timer_hlt(void) { return measure_timer_hlt(X2APIC_COUNT, AHEAD, 0) - AHEAD; }

/* The hypercall that answers with a version: function 0, by the vendor's instruction. */
static uint64_t once_vmcall(void)
{
    bool amd = cpuid(0, 0).ebx == 0x68747541;    /* "Auth" */
    return amd ? measure_vmmcall(0, 0, 0) : measure_vmcall(0, 0, 0);
}

static uint64_t once_timer_arm(void)
{
    uint64_t ticks = measure_timer_arm(X2APIC_COUNT, 0x7fffffff, 0);
    msr_write(X2APIC_COUNT, 0);
    return ticks;
}

/* The transmitter's interrupt, which is due as soon as it is enabled. */
static uint64_t once_uart_irq(void)
{
    uint64_t ticks = measure_uart_irq(0, 2, console.base + 1);
    port_write8((uint16_t)(console.base + 1), 0);
    (void)port_read8((uint16_t)(console.base + 2));
    return ticks;
}

enum need { ALWAYS, HYPERVISOR, OTHER_CORE };

struct row {
    const char *name;
    uint64_t (*once)(void);
    enum need need;
    uint64_t least;
};

static struct row rows[] = {
    {"vmcall", once_vmcall, HYPERVISOR, 0},
    {"cpuid", once_cpuid, ALWAYS, 0},
    {"rdmsr", once_rdmsr, ALWAYS, 0},
    {"port-read", once_port_read, ALWAYS, 0},
    {"port-refused", once_port_refused, ALWAYS, 0},
    {"ipi-self", once_ipi_self, ALWAYS, 0},
    {"self-ipi", once_self_ipi, ALWAYS, 0},
    {"ipi-other", once_ipi_other, OTHER_CORE, 0},
    {"tpr-read", once_tpr_read, ALWAYS, 0},
    {"tpr-write", once_tpr_write, ALWAYS, 0},
    {"version-read", once_version_read, ALWAYS, 0},
    {"timer-arm", once_timer_arm, ALWAYS, 0},
    {"timer", once_timer, ALWAYS, 0},
    {"timer-hlt", once_timer_hlt, ALWAYS, 0},
    {"ioapic-read", once_ioapic_read, ALWAYS, 0},
    {"ioapic-write", once_ioapic_write, ALWAYS, 0},
    {"uart-irq", once_uart_irq, ALWAYS, 0},
};

static uint64_t least_of(uint64_t (*once)(void))
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < WARM_UP + REPEATS; i++) {
        uint64_t ticks = once() & 0xffffffff;
        if (i >= WARM_UP && ticks < least) {
            least = ticks;
        }
    }
    return least;
}

static bool start_other(void)
{
    uint64_t ids[2];
    if (machine_cpus(ids, ARRAY_COUNT(ids)) < 2) {
        return false;
    }
    other_id = ids[0] == core_id() ? ids[1] : ids[0];
    other_answer = (core_id() << 32) | VECTOR_IPI | ICR_ASSERT;
    return cpu_start(other_id, other_run) == 0;
}

void guest_irq(uint32_t irq)
{
    (void)irq;                  /* the vector itself takes them all */
}

int main(uint64_t early)
{
    bool measured[ARRAY_COUNT(rows)];
    line_init();
    msr_write(X2APIC_LVT_TIMER, VECTOR_TIMER);          /* counting, also where there are deadlines */
    line_on(console.intid);
    bool other = start_other();

    uint64_t nothing = least_of(once_nothing);
    for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
        measured[i] = rows[i].need == ALWAYS || (rows[i].need == HYPERVISOR && is_kvm_like()) ||
                      (rows[i].need == OTHER_CORE && other);
        rows[i].least = measured[i] ? least_of(rows[i].once) - nothing : 0;
    }

    print("probe: boot %lu\n", early);
    for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (measured[i]) {
            print("probe: %s %ld\n", rows[i].name, (int64_t)rows[i].least);
        }
    }
    print("probe: done\n");
    return 0;
}
