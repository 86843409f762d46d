/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine of pc.h or machine.h, whichever is linked, with its cores 3 and 4 in a pool. The hypervisor's threads
 * are real ones (threads.h); guests do what the test says.
 *
 *   linux   vcpus 0..2   cores 0..2, pinned
 *   flight  vcpus 0..1   entries 5 6 of layout.cpus, placed on cores 3 and 4
 *   spare   vcpu 0       entry 7, placed on core 3
 *
 * Budgets and periods: flight 2 of 10 ms and 5 of 10 ms, spare 3 of 10 ms. The counter counts nanoseconds.
 */
#ifndef POOLS_H
#define POOLS_H

#include <hv/layout.h>

#include "threads.h"

#define FIRST    3u    /* cores of the pool */
#define SECOND   4u
#define FLIGHT_0 5u    /* vcpus */
#define FLIGHT_1 6u
#define SPARE_0  7u
#define MS       UINT64_C(1000000)

extern struct layout_server pool_servers[3];
extern struct layout_pool pool;

/*
 * Power on, and every partition of the pool has started: its first vcpu has been in the guest. `shape` may change the
 * layout before.
 */
void pools_boot(void (*shape)(void));

/* The core's thread goes on until it does not just poll for something. */
enum stop core_goes_on(uint32_t core);

/* It goes on until it stops for whatever reason, then 25 us pass; a guest is interrupted. */
void a_moment(uint32_t core);

/* Nothing happens for so long but what the core's timer is set for. */
enum stop time_passes(uint32_t core, uint64_t counts);

/* Time passes until this vcpu is in its guest on this core. */
void has_core(uint32_t core, uint32_t vcpu);

/* Tests that are the same on both. Guests that compute without end get their budgets in each period, and nothing more. */
void budgets_are_kept(void **state);

/* Flight, which has been in its guest once, restarts: the turns of spare come as ever, and not with the loader's map. */
void a_restart_takes_nothing_from_the_neighbour(void);

/* ---- what each of the two machines does for it ---- */

extern uint64_t *const pools_clock;

void pools_power_on(void (*shape)(void));
void pools_forget(void);

/* The guest on the core, which is in it, is interrupted: what its thread finds when it goes on. */
void guest_is_interrupted(uint32_t core);

/* What the test's machine has said; the hypervisor's map on a core, and the partition's loader map. */
extern char said[];
uint64_t map_of(uint32_t core);
uint64_t own_map(void);
uint64_t loader_map(const struct layout_partition *config);

/* When the core's timer fires; UINT64_MAX: not at all. */
uint64_t timer_of(uint32_t core);

/* ---- and this for them ---- */

/*
 * Before and after the test's own changes: the last part of each entry behind the cores, whose partition has not
 * been started. Which core it is placed on.
 */
void pools_shape(void);
uint32_t pools_home(uint32_t entry);

#endif
