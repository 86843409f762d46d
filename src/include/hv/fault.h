/* SPDX-License-Identifier: Apache-2.0 */
/* A guest did what it may not: a report that a person understands, then the partition's on-fault policy. */
#ifndef HV_FAULT_H
#define HV_FAULT_H

#include <hv/console.h>
#include <hv/partition.h>
#include <hv/types.h>

struct fault {
    const char *what;      /* "write to", "read of", "instruction fetch from", or a whole sentence part */
    bool        has_address;
    ipa_t       address;
    uint64_t    size;      /* bytes of the access, 0 if unknown */
    bool        has_value;
    uint64_t    value;     /* what it would have written */
    uint64_t    pc;
    uint64_t    syndrome;  /* the architecture's own word for it */
};

/* Prints the report and carries out the policy; the caller then goes to vcpu_wait(). */
void fault_report(struct vcpu *vcpu, const struct fault *fault);

/* What follows a fault of the partition, by system.yaml. */
static inline void fault_say_policy(const struct layout_partition *config)
{
    static const char *const policy[] = { "it is stopped", "it is restarted", "the board is reset" };

    print("  on-fault: %s\n", policy[config->on_fault]);
}

#endif
