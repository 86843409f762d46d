/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#define CODE64          0x18u
#define INTERRUPT_GATE  (UINT64_C(0x8e) << 40)   /* present, interrupts masked on entry */

struct trap last_trap;
uint64_t trap_stack;      /* stack pointer of trap_try while it runs, else 0 */
struct gate idt[256];

extern char vectors[];    /* vectors.S */

void trap_fatal(uint64_t vector, uint64_t code, uint64_t address, uint64_t rip) __attribute__((noreturn));
void irq_dispatch(uint32_t vector);

void idt_fill(void)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(idt); i++) {
        uint64_t target = (uint64_t)vectors + 16 * i;
        idt[i].low = (target & 0xffff) | (CODE64 << 16) | INTERRUPT_GATE | ((target & 0xffff0000) << 32);
        idt[i].high = target >> 32;
    }
}

void idt_load(void)
{
    struct { uint16_t limit; uint64_t base; } __attribute__((packed)) pointer = {sizeof(idt) - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" :: "m"(pointer));
}

void trap_fatal(uint64_t vector, uint64_t code, uint64_t address, uint64_t rip)
{
    irq_disable();
    print("\nguest: unexpected exception %lu: code 0x%lx cr2 0x%lx rip 0x%lx (image + 0x%lx)\n", vector, code,
          address, rip, rip - (uint64_t)image_start);
    for (;;) {
        __asm__ volatile("hlt");
    }
}

void irq_dispatch(uint32_t vector)
{
    bool spurious = vector == VECTOR_SPURIOUS && (msr_read(X2APIC_ISR + VECTOR_SPURIOUS / 32) >> 31 & 1) == 0;
    if (spurious) {
        return;                 /* not in service: no end to signal */
    }
    if (vector != VECTOR_CALIBRATE) {
        guest_irq(vector);
    }
    if (vector >= 32) {
        msr_write(X2APIC_EOI, 0);
    }
}
