/* SPDX-License-Identifier: Apache-2.0 */
/* What the core asks of an architecture. Each function is called on the core that it concerns. */
#ifndef HV_ARCH_H
#define HV_ARCH_H

#include <hv/partition.h>
#include <hv/types.h>

/* The vcpu of a core (index into layout.cpus); its memory is the top of that core's stack. */
struct vcpu *arch_vcpu(uint32_t cpu);

/* Starts the other cores of the layout; panics with the core's name if the firmware refuses. */
void arch_start_cores(void);

/* Makes a core leave its guest, or its wait, soon. */
void arch_kick(uint32_t cpu);

/* Before kicks: makes a `direct` partition's next memory access arrive here (stage-2 root withdrawn). */
void arch_partition_withdraw(const struct layout_partition *config);

/* Interrupts, stage 2 and the rest of a partition as after reset; none of its vcpus is in the guest. */
void arch_partition_reset(const struct layout_partition *config);

/* Opens and closes this core's view on the partition's RAM (loader map). */
void arch_loader_open(const struct layout_partition *config);
void arch_loader_close(void);

/* Memory of a partition, through the loader map; both leave the bytes visible to an uncached guest. */
void arch_copy(uint64_t target, const uint8_t *source, uint64_t size);
void arch_zero(uint64_t target, uint64_t size);

/* vcpu registers as PSCI CPU_ON leaves them (DEN 0022 6.4), ready to be entered. */
void arch_vcpu_reset(struct vcpu *vcpu);

/* The vcpu's core stops taking the guest's interrupts while it waits, and takes them again. */
void arch_wait_begin(struct vcpu *vcpu);
void arch_wait_end(struct vcpu *vcpu);

/* Where the guest of this core's vcpu was when it was left. */
uint64_t arch_guest_pc(const struct vcpu *vcpu);

/* Handles the hypervisor's interrupts; with `sleep`, first sleeps until there is one or a kick. */
void arch_wait(struct vcpu *vcpu, bool sleep);

/* Lets the serial port's receive interrupt through, or holds it back. On the console's core. */
void arch_console_irq(bool on);

/* console_tick() will be called on this core in `ns` nanoseconds; 0: not any more. */
void arch_alarm(uint64_t ns);

/* The same for watchdog_tick() and console_tick(), by the board's counter; UINT64_MAX: not any more. x86: on the
 * console's core alone has it an effect. */
void arch_alarm_at(uint64_t at);

/* Nanoseconds as counts of arch_counter(). */
uint64_t arch_counts(uint64_t ns);

/* Makes an interrupt that the guest owns, and no device raises, pending, or takes that back. */
void arch_set_pending(uint32_t intid, bool pending);

/* Level of a virtual device's interrupt line, seen by vcpu 0's core or any other of the partition. */
void arch_irq_line(const struct layout_partition *config, uint32_t intid, bool level);

/*
 * The image's checksum over [start, end), a multiple of 128 bytes: with two lanes for even and odd words w,
 * a[lane] += w for each word, b[lane] += a[lane] after each sixteen, all modulo 2^64; the sum is
 * a[0] ^ rotl(a[1], 16) ^ rotl(b[0], 32) ^ rotl(b[1], 48).
 */
uint64_t arch_sum(const uint64_t *start, const uint64_t *end);

/* The board's counter, in its own ticks. */
uint64_t arch_counter(void);

/* Nanoseconds since some fixed point. */
uint64_t arch_time_ns(void);

/* Cold reset or power off of the board through its firmware; return only if the firmware refuses. */
void arch_board_reset(void);
void arch_board_off(void);

/* This core does nothing more. */
_Noreturn void arch_halt(void);

#endif
