/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An x86 machine for unit tests: six cores with their registers and local APICs, an I/O APIC, the ACPI timer,
 * I/O ports, and three partitions. The C code of src/arch/x86 runs on it unchanged; what its assembly does is
 * done here. RAM of partitions is memory of this process, where the loader map would show it.
 *
 *   linux   vcpus 0..2   APIC IDs 0 1 18     lines 9 10   vUART at 0x3f8, line 4
 *   flight  vcpus 0..1   APIC IDs 2 19       line 11      none
 *   spare   vcpu 0       APIC ID 300         none         none
 */
#ifndef PC_H
#define PC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arch/x86/apic.h>
#include <arch/x86/cpu.h>
#include <arch/x86/exits.h>
#include <arch/x86/ioapic.h>
#include <arch/x86/svm/vendor.h>
#include <arch/x86/vmm.h>
#include <arch/x86/x86.h>
#include <hv/arch.h>
#include <hv/layout.h>
#include <hv/partition.h>

#define CORES        6u
#define CPUS         8u    /* entries of board_cpus: behind the cores there may be vcpus of pools (pc_pools.h) */
#define PARTITIONS   3u
#define LINUX        0u
#define FLIGHT       1u
#define SPARE        2u
#define LINES        24u
#define IOAPIC       UINT64_C(0xfec00000)
#define HIGH_RAM     UINT64_C(0x100000000)
#define RAM_SIZE     0x20000u
#define HIGH_SIZE    0x4000u
#define VUART_PORT   0x3f8u
#define VUART_LINE   4u
#define PIT_LINE     2u
#define UART_LINE    3u
#define PM_PORT      0x608u
#define HOST_CR3     UINT64_C(0x1234000)

/* The layout as the test may change it. */
extern struct layout board __asm__("layout");
extern struct layout_partition board_partitions[PARTITIONS];
extern struct layout_cpu board_cpus[CPUS];

/* Guest memory: linux has all of it, from 0 on and from 4 GiB on. */
extern uint8_t ram[RAM_SIZE], high_ram[HIGH_SIZE];

/* Registers of the core that runs. */
extern uint32_t core_now;
uint64_t *pc_msr(uint32_t msr);
struct vmcb *vmcb_now(void);
extern uint64_t pc_cr3[CORES], pc_cr4[CORES];

/* Time: the counter's value, what it grows with each reading, and its frequency as the ACPI timer shows it. */
extern uint64_t pc_tsc, pc_tsc_step, pc_tsc_hz;
extern uint32_t pc_pause_at;  /* the reading of the counter from now on (1: the next) before which a second passes */

/* CPUID: leaf and subleaf 0 of the native CPU, which the test may change. */
struct cpuid *pc_cpuid(uint32_t leaf);

/* Local APIC: vectors that wait and that are in service, one bit each; of the core. */
extern uint64_t pc_irr[CORES][4], pc_isr[CORES][4];
extern bool pc_apic_stuck;         /* nothing that waits can be taken */
int pc_highest(const uint64_t *set);  /* vector, or -1 */

/* I/O APIC. */
extern uint32_t pc_lines[2u * LINES];

/* What happened since pc_forget(). */
struct sent { uint32_t core; uint64_t value; };        /* writes of the interrupt command register */
struct port_write { uint16_t port; uint32_t size, value; };
struct msr_write { uint32_t core, msr; uint64_t value; };
extern struct sent sent[256];
extern struct port_write port_writes[256];
extern struct msr_write msr_writes[1024];
extern uint32_t sent_count, port_write_count, msr_write_count, instruction_count, taken_count, nmis_taken;
extern char instructions[256][64];
extern char said[16384];           /* print(), panic(), and what the virtual UART sent */
extern uint32_t console_input_count, console_tick_count, console_room;

/* Runs when this core pauses or waits for an NMI: what other cores do meanwhile. */
extern void (*pc_meanwhile)(void);

/* For pc_pools.c: in the place of a vcpu's initialisation; a thread pauses. */
extern void (*pc_pool_core)(uint32_t core), (*pc_spins)(void);
void pc_layout(void);
void pc_power_on(void);

void pc_reset(void);               /* pc_layout(), power on; each core initialised, none in a guest */
void pc_boot(void);                /* and every vcpu of every partition in its guest */
void pc_forget(void);
struct cpu *on(uint32_t core);     /* from here on this core runs */
uint32_t nmis_for(uint32_t core);  /* NMIs sent to it since pc_forget() */
bool nmi_waits(uint32_t core);
bool did(const char *instruction);
const struct port_write *port_wrote(uint16_t port);

/* True: vcpu_wait() came back, so the core is in its guest. False: it sleeps. The core runs from here on. */
bool core_runs(uint32_t core);

/* True: the call came back. False: it ended in a core that sleeps. */
bool comes_back(void (*call)(struct cpu *cpu, uint64_t value), struct cpu *cpu, uint64_t value);

extern jmp_buf pc_halt;
extern bool pc_halt_armed;

/* Must end in a panic or a halt; `said` has the words. */
#define expect_halt(statement)               \
    do {                                     \
        pc_halt_armed = true;                \
        if (setjmp(pc_halt) == 0) {          \
            statement;                       \
            fail_msg("did not halt");        \
        }                                    \
        pc_halt_armed = false;               \
    } while (0)

#endif
