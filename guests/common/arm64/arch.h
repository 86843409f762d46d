/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ARM64 guests: EL1 with the stage-1 MMU off. They also run without a hypervisor (qemu -kernel), where
 * they leave EL2 first: that is how "bare metal" figures are taken.
 */
#ifndef GUEST_ARCH_H
#define GUEST_ARCH_H

#include <stdbool.h>
#include <stdint.h>

struct range;

#define READ_SYSREG(name) ({ uint64_t v_; __asm__ volatile("mrs %0, " #name : "=r"(v_) :: "memory"); v_; })
#define WRITE_SYSREG(name, value) \
    __asm__ volatile("msr " #name ", %0" :: "r"((uint64_t)(value)) : "memory")

static inline void isb(void) { __asm__ volatile("isb" ::: "memory"); }
static inline void dsb(void) { __asm__ volatile("dsb sy" ::: "memory"); }
static inline void channel_barrier(void) { dsb(); }   /* before a doorbell: see channel.h */
static inline void wfi(void) { __asm__ volatile("dsb sy\n\twfi" ::: "memory"); }
static inline void irq_enable(void) { __asm__ volatile("msr daifclr, #2" ::: "memory"); }
static inline void irq_disable(void) { __asm__ volatile("msr daifset, #2" ::: "memory"); }

/* Lets pending interrupts in, with interrupts masked before and after. */
static inline void irq_window(void) { __asm__ volatile("msr daifclr, #2\n\tisb\n\tmsr daifset, #2" ::: "memory"); }

/*
 * Plain loads and stores of one register without write-back: a trapped one comes with a valid
 * syndrome (ESR_EL2.ISV), so that a hypervisor can emulate it without reading the instruction.
 */
static inline uint32_t mmio_read32(uint64_t address)
{
    uint32_t value;
    __asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void mmio_write32(uint64_t address, uint32_t value)
{
    __asm__ volatile("str %w0, [%1]" :: "rZ"(value), "r"(address) : "memory");
}

static inline void mmio_write8(uint64_t address, uint8_t value)
{
    __asm__ volatile("strb %w0, [%1]" :: "rZ"(value), "r"(address) : "memory");
}

static inline uint8_t mmio_read8(uint64_t address)
{
    uint32_t value;
    __asm__ volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return (uint8_t)value;
}

static inline uint16_t mmio_read16(uint64_t address)
{
    uint32_t value;
    __asm__ volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return (uint16_t)value;
}

static inline uint64_t mmio_read64(uint64_t address)
{
    uint64_t value;
    __asm__ volatile("ldr %x0, [%1]" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void mmio_write64(uint64_t address, uint64_t value)
{
    __asm__ volatile("str %x0, [%1]" :: "rZ"(value), "r"(address) : "memory");
}

void secondary_entry(void);                              /* start.S */

/* ------------------------------------------------------------------ fdt.c: reads, never writes */
#define FDT_NONE (-1)

bool fdt_open(const void *blob);
uint64_t fdt_address(void);
int fdt_path(const char *path);                          /* unit addresses may be left out */
int fdt_compatible(const char *compatible, int after);   /* next such node; FDT_NONE: from the start */
const void *fdt_property(int node, const char *name, uint32_t *size);
const char *fdt_string(int node, const char *name);      /* "" if absent */
bool fdt_reg(int node, uint32_t index, struct range *range);  /* translated through `ranges` */
uint32_t fdt_interrupt(int node, uint32_t index);        /* GIC INTID, 0 if absent */
bool fdt_owns_interrupt(uint32_t intid);                 /* does any node name it? */
uint32_t fdt_memory(struct range *ranges, uint32_t room);
uint32_t fdt_cpus(uint64_t *mpidrs, uint32_t room);      /* how many there are, maybe more than room */
int fdt_console(void);                                   /* node of stdout-path, or the first PL011 */

/* ------------------------------------------------------------------ gic.c: GICv3, and GICv2 */
struct gic {
    uint32_t version;     /* 0: none described */
    uint64_t dist;
    uint64_t redist;      /* v3: first redistributor region */
    uint64_t redist_size;
    uint64_t cpu;         /* v2: CPU interface */
};
extern struct gic gic;

void gic_init(void);                                     /* distributor, and this core */
void gic_init_core(void);
uint64_t gic_own_redist(void);
void gic_enable(uint32_t intid);
void gic_disable(uint32_t intid);
void gic_edge(uint32_t intid, bool edge);
void gic_sgi(uint32_t intid, uint64_t mpidr);

/* ------------------------------------------------------------------ the core and its virtual timer */
static inline uint64_t timer_now(void) { isb(); return READ_SYSREG(cntvct_el0); }
static inline uint64_t board_now(void) { return READ_SYSREG(cntpct_el0); }  /* the same for all partitions */
static inline uint64_t timer_hz(void) { return READ_SYSREG(cntfrq_el0); }

#define CORE_ID_NAME  "mpidr"
static inline uint64_t core_id(void) { return READ_SYSREG(mpidr_el1) & 0xff00ffffff; }

/* Sleeps, with interrupts masked, until there is one: also a masked one ends it. */
static inline void idle(void) { wfi(); }

/* ------------------------------------------------------------------ psci.c */
#define PSCI_VERSION        0x84000000u
#define PSCI_CPU_SUSPEND    0xc4000001u
#define PSCI_CPU_OFF        0x84000002u
#define PSCI_CPU_ON         0xc4000003u
#define PSCI_AFFINITY_INFO  0xc4000004u
#define PSCI_SYSTEM_OFF     0x84000008u
#define PSCI_SYSTEM_RESET   0x84000009u
#define PSCI_FEATURES       0x8400000au

int64_t smc_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c);
int64_t hvc_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c);
int64_t psci_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c);  /* the devicetree's conduit */

/* What trap_try leaves of an exception. */
struct trap { uint64_t esr, far, elr; };

#endif
