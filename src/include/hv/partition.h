/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of partitions and of their vcpus. Each vcpu is pinned to one core; a core whose vcpu does
 * not run waits in vcpu_wait(). Whoever wants a partition stopped or restarted writes a request; each of
 * its cores leaves the guest and is counted, and the core of vcpu 0 carries the request out.
 */
#ifndef HV_PARTITION_H
#define HV_PARTITION_H

#include <hv/features.h>
#include <hv/layout.h>
#include <hv/types.h>

enum vcpu_run { VCPU_OFF = 0, VCPU_ON_PENDING, VCPU_ON };

/* FAULT, WATCHDOG: as on-fault says, by health.c. */
enum partition_request {
    REQUEST_NONE = 0, REQUEST_START, REQUEST_STOP, REQUEST_OFF, REQUEST_RESTART, REQUEST_FAULT, REQUEST_WATCHDOG
};

enum partition_run { PARTITION_RUNNING = 0, PARTITION_STOPPED, PARTITION_OFF };

struct partition {
    uint32_t request;        /* enum partition_request and, above it, the request's number, atomic */
    uint32_t request_count;  /* requests so far, also those that came second, atomic */
    uint32_t halted_count;   /* vcpus that have left the guest for the request, atomic */
    uint32_t run;            /* enum partition_run, atomic */
    uint32_t start_count;    /* starts so far */
    uint64_t time_base;      /* counter at the start: the guest's virtual counter counts from there */
};

struct vcpu {
    const struct layout_partition *config;
    struct partition *partition;
    uint32_t cpu;            /* index into layout.cpus */
    uint32_t index;          /* in its partition */
    uint32_t run;            /* enum vcpu_run, atomic: CPU_ON of another vcpu races with CPU_OFF of this */
    uint32_t halted_for;     /* the request that it was last counted for in partition->halted_count */
    uint64_t entry;          /* where CPU_ON starts it: IPA, and its x0 */
    uint64_t context;
};

/* Index of a partition in layout.partitions. */
uint32_t partition_index(const struct layout_partition *config);

/* Whose a core of the layout is: the partition's name, or the pool's. */
static inline const char *layout_cpu_owner(uint32_t cpu)
{
    const struct layout_cpu *core = &layout.cpus[cpu];

    return HV_POOLS && core->pool != 0 ? layout.pools[core->pool - 1u].name : layout.partitions[core->partition].name;
}

/* Sets up the vcpu of core `cpu` (index into layout.cpus); called once, on that core. */
void vcpu_init(struct vcpu *vcpu, uint32_t cpu);

/* Every partition starts once its cores are up; called before the other cores run. */
void partition_start_all(void);

/*
 * Asks for the partition to be stopped, switched off or restarted. The first request wins. Returns at
 * once; the caller, if it is one of the partition's cores, then goes to vcpu_wait().
 */
void partition_request(const struct layout_partition *config, enum partition_request request);

/* True if this vcpu's partition has been asked to leave the guest. */
static inline bool vcpu_must_halt(const struct vcpu *vcpu)
{
    return __atomic_load_n(&vcpu->partition->request, __ATOMIC_ACQUIRE) != REQUEST_NONE;
}

/* Waits on this core until its vcpu has to run, carrying out requests meanwhile; returns to enter it. */
void vcpu_wait(struct vcpu *vcpu);

/* Starts another vcpu of the same partition at `entry`. False if it is on or about to be. */
bool vcpu_start(struct vcpu *vcpu, uint64_t entry, uint64_t context);

/* True if [ipa, ipa + size) is RAM of the partition. */
bool partition_owns_ram(const struct layout_partition *config, ipa_t ipa, uint64_t size);

#endif
