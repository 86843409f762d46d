/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ARM64 machine for unit tests: six cores with their system registers, a GICv3 that sets and clears bits
 * as the real one does, and three partitions on them. The code of src/arch/arm64 runs on it unchanged.
 *
 *   linux   virtual  vcpus 0..2 on cores 0..2   SPIs 40 41 79   vUART 33   PPIs 27 30
 *   flight  direct   vcpus 0..1 on cores 3..4   SPIs 50 1019    vUART 60   PPI 27
 *   spare   virtual  vcpu 0 on core 5           SPI 35          none       PPI 27
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arch/arm64/cpu.h>
#include <arch/arm64/gic.h>
#include <arch/arm64/sysreg.h>
#include <arch/arm64/vgic.h>
#include <hv/layout.h>
#include <hv/partition.h>
#include <hv/types.h>

#define CORES       6u
#define CPUS        8u   /* entries of board_cpus: behind the cores there may be vcpus of pools (machine_pools.h) */
#define PARTITIONS  3u
#define LINUX       0u
#define FLIGHT      1u
#define SPARE       2u
#define DIST        UINT64_C(0x08000000)
#define REDIST      UINT64_C(0x080a0000)
#define STRIDE      UINT64_C(0x20000)
#define VUART_BASE  UINT64_C(0x09000000)
#define UART_INTID  38u
#define MAINTENANCE 25u

/* The layout as the test may change it. */
extern struct layout board __asm__("layout");
extern struct layout_partition board_partitions[PARTITIONS];
extern struct layout_cpu board_cpus[CPUS];

/* System registers of the core that runs. */
extern uint32_t core_now;
uint64_t *machine_reg(const char *name);
#define REG_STRING(name)  #name
#define REG(name)         (*machine_reg(REG_STRING(name)))
#define LR(n)             (*machine_reg(machine_lr_names[n]))
extern const char *const machine_lr_names[4];

/* One interrupt controller: the distributor's part (INTIDs 32 and up), or a core's own (0 to 31). */
struct bank {
    uint32_t group[32], enable[32], pending[32], active[32], config[64];
    uint8_t  priority[1024];
};
extern struct bank dist, private_bank[CORES];
extern uint64_t gic_route[1024];
extern uint32_t dist_ctlr;
extern bool dist_stuck;            /* writes to the distributor stay pending for ever */

/* What happened since machine_forget(). */
struct mmio_write { uint64_t address; uint32_t size; uint64_t value; };
struct sent_sgi { uint32_t core; uint64_t value; };
extern struct mmio_write writes[4096];
extern uint32_t write_count, sgi_count, instruction_count, smc_count, copy_count;
extern struct sent_sgi sgis[256];
extern char instructions[512][64];
extern char said[16384];           /* print() and panic() */
extern uint64_t machine_ticks;
extern uint32_t machine_firmware[8];   /* functions that the firmware was asked for */
extern uint32_t machine_firmware_count;
extern uint64_t machine_firmware_answer;
extern uint32_t console_input_count, console_tick_count;

/* For machine_pools.c: a thread finds no interrupt, or asks who it is; when a core's own timer fires. */
extern void (*machine_waits)(bool sleeps), (*machine_polls)(void);
uint64_t machine_alarm(uint32_t core);
void machine_layout(void);
void machine_power_on(uint64_t hz);

void machine_reset(void);          /* power on: registers and GIC, all cores initialised, none in a guest */
void machine_boot(void);           /* and every vcpu of every partition in its guest */
void machine_forget(void);
struct cpu *on(uint32_t core);     /* from here on this core runs */
void machine_raise(uint32_t core, uint32_t intid);  /* the next acknowledge of the core yields it */
uint32_t machine_sgi_cores(uint64_t value);         /* physical cores that an ICC_SGI1R_EL1 value names */
bool machine_did(const char *instruction);
const struct mmio_write *machine_wrote(uint64_t address);

/* The guest's side of list registers: takes the best pending interrupt (1023: none), and ends one. */
uint32_t guest_take(void);
void guest_end(uint32_t intid);

/* True: the call came back, so the core is in its guest. False: the core sleeps or spins. */
bool comes_back(void (*call)(struct cpu *cpu, uint64_t value), struct cpu *cpu, uint64_t value);
bool core_runs(uint32_t core);     /* the same for vcpu_wait() on the core, which runs from here on */

extern jmp_buf machine_halt;
extern bool machine_halt_armed;

/* Must end in a panic or a halt; `said` has the words. */
#define expect_halt(statement)               \
    do {                                     \
        machine_halt_armed = true;           \
        if (setjmp(machine_halt) == 0) {     \
            statement;                       \
            fail_msg("did not halt");        \
        }                                    \
        machine_halt_armed = false;          \
    } while (0)

#endif
