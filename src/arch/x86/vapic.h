/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC of a vcpu that shares its core: emulated, in x2APIC mode only (SDM 3 11.12). Its timer
 * counts as the time-stamp counter does. Requests may come from any core; everything else is done by
 * the vcpu's own thread.
 */
#ifndef X86_VAPIC_H
#define X86_VAPIC_H

#include <hv/types.h>

#define VAPIC_WORDS  8u
#define VAPIC_LVTS   6u    /* timer, thermal, performance, LINT0, LINT1, error */
#define VAPIC_NEVER  UINT64_MAX

struct vapic {
    uint32_t requested[VAPIC_WORDS] __attribute__((aligned(8)));  /* IRR, atomic */
    uint32_t level[VAPIC_WORDS];       /* TMR, atomic */
    uint32_t in_service[VAPIC_WORDS];  /* ISR */
    uint32_t id;
    uint32_t priority;                 /* TPR */
    uint32_t spurious;                 /* SVR, atomic */
    uint32_t lvt[VAPIC_LVTS];
    uint32_t divide, initial;
    uint64_t command;                  /* ICR, as written last */
    uint64_t timer_at;                 /* counter; VAPIC_NEVER: not armed */
};

/* As after INIT, with this ID. */
void vapic_reset(struct vapic *vapic, uint32_t id);

/* A request comes, from any core. False: the APIC is off, or there is no such vector. */
bool vapic_request(struct vapic *vapic, uint32_t vector, bool level);

/* The vector to be taken next, 0: none that the priorities let through. */
uint32_t vapic_next(const struct vapic *vapic);

/* It is being taken: from request to service. */
void vapic_take(struct vapic *vapic, uint32_t vector);

/* It was not taken after all. */
void vapic_give_back(struct vapic *vapic, uint32_t vector);

/* The timer, as far as it has run out by `now`. */
void vapic_tick(struct vapic *vapic, uint64_t now);

/* Registers by their MSR, TSC_DEADLINE too; ICR and EOI excepted. False: the guest gets #GP(0). */
bool vapic_read(const struct vapic *vapic, uint32_t msr, uint64_t now, uint64_t *value);
bool vapic_write(struct vapic *vapic, uint32_t msr, uint64_t now, uint64_t value);

/* The interrupt in service with the highest priority ends. Its vector if it was a level's, else 0. */
uint32_t vapic_end(struct vapic *vapic);

#endif
