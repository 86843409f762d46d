/* SPDX-License-Identifier: Apache-2.0 */
#include "attacks.h"

#define MAX_CPUS      16u
#define ATTACK_VECTOR 0xeeu

#define ICR_LOWEST    (1u << 8)
#define ICR_LEVEL     (1u << 15)
#define ICR_SELF      (1u << 18)
#define ICR_ALL       (2u << 18)
#define ICR_OTHERS    (3u << 18)

#define IOAPIC_MASKED (UINT64_C(1) << 16)
#define IOAPIC_LEVEL  (UINT64_C(1) << 15)
#define IOAPIC_LOGICAL (UINT64_C(1) << 11)

static bool is_own_core(uint64_t id)
{
    uint64_t ids[MAX_CPUS];
    uint32_t count = machine_cpus(ids, MAX_CPUS);
    for (uint32_t i = 0; i < count && i < MAX_CPUS; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static void send(uint64_t icr)
{
    msr_write(X2APIC_ICR, icr);
}

/* What names no core, or more cores than its own: may reach its own only, as the neighbours would tell. */
void attack_icr(const char *name, uint64_t address)
{
    static const uint32_t modes[] = {ATTACK_VECTOR, ICR_LOWEST | ATTACK_VECTOR, ICR_NMI};
    static const uint64_t targets[] = {UINT64_C(0xffffffff) << 32, ICR_SELF, ICR_ALL, ICR_OTHERS};
    uint32_t sent = 0, refused = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(targets); i++) {
        for (uint32_t mode = 0; mode < ARRAY_COUNT(modes); mode++) {
            refused += !trap_try(send, targets[i] | ICR_ASSERT | modes[mode]);
            refused += !trap_try(send, targets[i] | ICR_LEVEL | ICR_ASSERT | modes[mode]);
            sent += 2;
        }
    }
    refused += !trap_try(send, ICR_OTHERS | ICR_ASSERT | ICR_INIT);
    refused += !trap_try(send, ICR_ALL | ICR_LEVEL | ICR_INIT);       /* de-assert: nothing since the P6 */
    print("attack %s: %u sent, %u gave an exception, %u came back to this core", name, sent + 2, refused,
          take_interrupts());
    verdict(true);
}

/* ADDRESS as it is; else an NMI to the first core that is not its own. */
void attack_icr_foreign(const char *name, uint64_t address)
{
    uint64_t id = 0;
    while (is_own_core(id)) {
        id++;
    }
    uint64_t value = address != 0 ? address : (id << 32) | ICR_ASSERT | ICR_NMI;
    bool sent = trap_try(send, value);
    bool shorthand = (value >> 18 & 3) != 0;       /* means the guest's own cores, whatever they are */
    print("attack %s: 0x%lx %s", name, value, sent ? "was sent" : "gave an exception");
    verdict(!sent || shorthand);
}

/* Every bit above those of modes, with this core as the target. */
void attack_icr_bits(const char *name, uint64_t address)
{
    uint32_t sent = 0, refused = 0;
    (void)address;
    for (uint32_t bit = 12; bit < 32; bit++) {
        refused += !trap_try(send, (core_id() << 32) | (UINT64_C(1) << bit) | ATTACK_VECTOR);
        sent++;
    }
    print("attack %s: %u sent, %u gave an exception, %u came", name, sent, refused, take_interrupts());
    verdict(true);
}

void attack_nmi_self(const char *name, uint64_t address)
{
    (void)address;
    bool sent = trap_try(send, (core_id() << 32) | ICR_ASSERT | ICR_NMI);
    print("attack %s: %s, %u came", name, sent ? "sent" : "refused", take_interrupts());
    verdict(true);
}

/* In the handler of an NMI, when another one has to wait. */
static void leave_pending(uint32_t irq)
{
    if (irq == 2) {
        send((core_id() << 32) | ICR_ASSERT | ICR_NMI);
        mmio_write32(own_ram.base + own_ram.size, 0);
    }
}

/* Ends with every vector from 16 on, and an NMI, on their way: nothing of it may reach the guest that starts again. */
void attack_pending(const char *name, uint64_t address)
{
    (void)name;
    (void)address;
    leave_marks();
    for (uint64_t vector = 16; vector < 256; vector++) {
        send((core_id() << 32) | ICR_ASSERT | vector);
    }
    on_interrupt = leave_pending;
    send((core_id() << 32) | ICR_ASSERT | ICR_NMI);
}

static uint32_t target_register;
static void write_register(uint64_t value) { msr_write(target_register, value); }
static void read_register(uint64_t value) { (void)value; (void)msr_read(target_register); }

/* Every register of the local APIC but ICR; among them the modes in which events reach this core. */
void attack_apic_registers(const char *name, uint64_t address)
{
    uint32_t readable = 0, writable = 0;
    (void)address;
    for (target_register = MSR_X2APIC; target_register < MSR_X2APIC + 0x100; target_register++) {
        if (target_register == X2APIC_ICR || target_register == X2APIC_SELF) {
            continue;
        }
        readable += trap_try(read_register, 0);
        for (uint64_t mode = 0; mode < 8; mode++) {
            writable += trap_try(write_register, (mode << 8) | IOAPIC_MASKED | ATTACK_VECTOR);
        }
        writable += trap_try(write_register, UINT64_MAX);
        writable += trap_try(write_register, 0);
    }
    target_register = X2APIC_SELF;
    writable += trap_try(write_register, ATTACK_VECTOR);
    writable += trap_try(write_register, UINT64_MAX);
    uint32_t came = take_interrupts();
    line_init();
    print("attack %s: %u readable, %u writes taken, %u interrupts came", name, readable, writable, came);
    verdict(true);
}

static void write_apic_base(uint64_t value) { msr_write(MSR_APIC_BASE, value); }

/* Back to the memory-mapped APIC, no APIC at all, its page over other memory. */
void attack_apic_base(const char *name, uint64_t address)
{
    uint64_t before = msr_read(MSR_APIC_BASE);
    const uint64_t values[] = {
        before & ~UINT64_C(0x400), before & ~UINT64_C(0x800), before & ~UINT64_C(0xc00), before ^ UINT64_C(0x100),
        before + 0x1000, (before & 0xfff) | UINT64_C(0x100000), before | UINT64_C(0xff), UINT64_MAX, 0,
    };
    uint32_t refused = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(values); i++) {
        refused += !trap_try(write_apic_base, values[i]);
    }
    uint64_t after = msr_read(MSR_APIC_BASE);
    print("attack %s: %u of %u refused, 0x%lx before, 0x%lx after", name, refused, (uint32_t)ARRAY_COUNT(values),
          before, after);
    verdict(after == before);
}

static void wait_ms(uint64_t ms)
{
    for (uint64_t end = timer_now() + timer_hz() / 1000 * ms; timer_now() < end;) {
        __asm__ volatile("pause");
    }
}

/* Each line that is not the console's, to this core: none of them may ever come. */
void attack_ioapic_lines(const char *name, uint64_t address)
{
    uint32_t lines = ioapic_lines(), own = console.intid - VECTOR_LINE, unmasked = 0;
    (void)address;
    line_off(console.intid);
    take_interrupts();
    for (uint32_t line = 0; line < lines; line++) {
        if (line != own) {
            ioapic_route(line, (VECTOR_LINE + line) | (core_id() << 56) | (line & 1 ? IOAPIC_LEVEL : 0));
            unmasked += (ioapic_read(0x10 + 2 * line) & IOAPIC_MASKED) == 0;
        }
    }
    wait_ms(100);                               /* the 8254, if it were ours, would tick in 55 ms */
    uint32_t came = take_interrupts();
    for (uint32_t line = 0; line < lines; line++) {
        if (line != own) {
            ioapic_route(line, IOAPIC_MASKED);
        }
    }
    print("attack %s: %u lines, %u read back as open, %u interrupts came", name, lines, unmasked, came);
    verdict(came == 0);
}

/* Its own line to other cores, and in every mode; the console's transmitter rings it. */
void attack_ioapic_modes(const char *name, uint64_t address)
{
    static const uint64_t targets[] = {0, 1, 2, 3, 7, 0x0f, 0xff};
    uint32_t line = console.intid - VECTOR_LINE, written = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(targets); i++) {
        for (uint64_t mode = 0; mode < 8; mode++) {
            for (uint64_t logical = 0; logical < 2; logical++) {
                bool here = logical != 0 ? (targets[i] >> core_id() & 1) != 0 : targets[i] == core_id();
                if (mode == 5 && (here || targets[i] == 0xff)) {
                    continue;                   /* INIT to itself */
                }
                ioapic_route(line, (targets[i] << 56) | (mode << 8) | (logical * IOAPIC_LOGICAL) | ATTACK_VECTOR);
                port_write8((uint16_t)(console.base + 1), 0);
                port_write8((uint16_t)(console.base + 1), 2);     /* IER: transmitter empty */
                (void)port_read8((uint16_t)(console.base + 2));
                written++;
            }
        }
    }
    port_write8((uint16_t)(console.base + 1), 0);
    print("attack %s: %u entries written, %u interrupts came to this core", name, written, take_interrupts());
    verdict(true);
}

static void let_in(uint64_t times)
{
    while (times-- > 0) {
        irq_window();
    }
}

/* Vectors that only exceptions have, by ICR and by its own line: not to be delivered, or its own trouble. */
void attack_low_vectors(const char *name, uint64_t address)
{
    uint32_t refused = 0, came = 0;
    (void)address;
    for (uint64_t vector = 0; vector < 16; vector++) {
        refused += !trap_try(send, (core_id() << 32) | ICR_ASSERT | vector);
        refused += !trap_try(send, ICR_SELF | ICR_ASSERT | vector);
        ioapic_route(console.intid - VECTOR_LINE, (core_id() << 56) | vector);
        port_write8((uint16_t)(console.base + 1), 0);
        port_write8((uint16_t)(console.base + 1), 2);
    }
    for (uint32_t i = 0; i < 64; i++) {
        came += !trap_try(let_in, 1);
        irq_disable();
    }
    print("attack %s: %u of 32 gave an exception, %u came", name, refused, came + take_interrupts());
    verdict(true);
}

/* Registers that are not there, and the ones that identify it; then every 32-bit word of its page. */
void attack_ioapic_wild(const char *name, uint64_t address)
{
    uint32_t version = ioapic_read(1);
    (void)address;
    for (uint32_t reg = 0; reg < 0x100; reg++) {
        if (reg < 0x10 || reg >= 0x10 + 2 * ((version >> 16 & 0xff) + 1)) {
            (void)ioapic_read(reg);
            ioapic_write(reg, 0xffffffff);
            ioapic_write(reg, 0);
        }
    }
    ioapic_write(0xffffffff, 0xffffffff);
    for (uint32_t offset = 0x20; offset < 0x1000; offset += 4) {
        (void)mmio_read32(acpi.ioapic + offset);
        mmio_write32(acpi.ioapic + offset, 0xffffffff);
    }
    uint32_t after = ioapic_read(1);
    print("attack %s: version 0x%x before, 0x%x after", name, version, after);
    verdict(version == after);
}

void attack_init_self(const char *name, uint64_t address)
{
    (void)address;
    bool sent = trap_try(send, (core_id() << 32) | ICR_ASSERT | ICR_INIT);
    print("attack %s: INIT to itself was %s", name, sent ? "ignored" : "refused");
    verdict(true);
}

/* Its own second core, started at a page that holds nothing of its own. */
void attack_startup(const char *name, uint64_t address)
{
    uint64_t ids[MAX_CPUS];
    uint64_t page = address != 0 ? address >> 12 & 0xff : 0xc0;
    if (machine_cpus(ids, MAX_CPUS) < 2) {
        print("attack %s: it has one core only", name);
        verdict(true);
        return;
    }
    apic_send(ids[1], ICR_INIT | ICR_ASSERT);
    wait_ms(10);
    apic_send(ids[1], ICR_STARTUP | ICR_ASSERT | (uint32_t)page);
    wait_ms(100);
    print("attack %s: second core sent to 0x%lx", name, page << 12);
    verdict(true);
}
