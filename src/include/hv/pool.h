/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cores that several vcpus share. Each vcpu of a pool is a thread of the hypervisor with a stack of its own;
 * each core of a pool has one more, its idle thread, which also waits for a vcpu that another core has yet to
 * leave: a thread that waited for another on its own stack might be awaited there. A vcpu is named by its entry in layout.cpus.
 */
#ifndef HV_POOL_H
#define HV_POOL_H

#include <hv/partition.h>
#include <hv/types.h>

/* Before other cores run: servers, threads; all of them ready. */
void pool_init(void);

/* The idle thread of a pool's core (index into layout.cpus): never returns. */
_Noreturn void pool_main(uint32_t core);

/* The vcpu whose thread this is may lose its core here: what is due to run is found, and runs. */
void pool_schedule(const struct vcpu *vcpu, uint32_t core);

/*
 * It sleeps until it is woken, or until wake_at (counter), and what is due runs. False if it has work instead, and
 * nothing has changed.
 */
bool pool_block(struct vcpu *vcpu, uint32_t core, uint64_t wake_at);

/* The vcpu has work. From any core. */
void pool_wake(uint32_t cpu);

/* ---- a thread on its core ---- */

/* In the architecture's struct cpu of each vcpu of a pool, and of each of its cores. */
struct pool_thread {
    struct pool_thread *leaving;  /* a core's own: the thread that it is about to leave, or NULL */
    uint32_t on_core;             /* a vcpu's: 1 while a core has its state or its stack, atomic */
};

/* Before a core loads a vcpu's state. False: another core has yet to leave it. */
static inline bool pool_claim(struct pool_thread *thread)
{
    return __atomic_exchange_n(&thread->on_core, 1u, __ATOMIC_ACQUIRE) == 0;
}

/* On the next thread: the one that this core has left is no longer on it, neither its registers nor its stack. */
static inline void pool_let_go(struct pool_thread *core)
{
    struct pool_thread *left = core->leaving;

    if (left != NULL) {
        core->leaving = NULL;
        __atomic_store_n(&left->on_core, 0u, __ATOMIC_RELEASE);
    }
}

/* ---- what an architecture does for it ---- */

/* True if the vcpu has an interrupt to take or a request to serve, so that it must not sleep. */
bool arch_has_work(const struct vcpu *vcpu);

/* The thread of a vcpu of a pool, not begun; `first` is its entry in layout.cpus. */
void arch_thread_init(uint32_t cpu);

/* Which entry of layout.cpus this thread is: a vcpu of a pool, or a pool's core when it idles. */
uint32_t arch_thread(void);

/*
 * From a vcpu's thread to another, or to this core's idle thread (next == core); the guest's state is saved. To
 * the idle thread also if another core has yet to leave `next`. Returns when this thread runs again.
 */
void arch_to_next(uint32_t core, uint32_t next);

/* From the idle thread to a vcpu's, as soon as another core has left it; returns when that has left again. */
void arch_to_vcpu(uint32_t core, uint32_t cpu);

/* This core has to decide again at `at` (counter), or not by itself: UINT64_MAX. */
void arch_decide_at(uint64_t at);

/* The idle thread waits for an interrupt and handles it. */
void arch_idle(void);

#endif
