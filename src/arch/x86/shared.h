/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of cores that several vcpus share, for C and assembly. */
#ifndef X86_SHARED_H
#define X86_SHARED_H

/*
 * Vectors of a pool's core, all the hypervisor's: its guests' local APICs are emulated. The console's lines are among
 * the I/O APIC's.
 */
#define POOL_LINES  0x20   /* and up: lines of the I/O APIC, at most 64 */
#define POOL_TIMER  0x60   /* of the local APIC */
#define POOL_KICK   0x61
#define POOL_FIRED_TIMER    1  /* what has been taken, in cpu->fired */
#define POOL_FIRED_KICK     2
#define POOL_FIRED_CONSOLE  4
#define POOL_STUB   8      /* bytes of each one's entry */

#endif
