/* SPDX-License-Identifier: Apache-2.0 */
/* The life of partitions; see hv/partition.h for how a request becomes a stop or a restart. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/features.h>
#include <hv/health.h>
#include <hv/monitor.h>
#include <hv/partition.h>
#include <hv/vuart.h>
#include <hv/watchdog.h>

#define REQUEST_BITS   8u  /* of partition.request: enum partition_request; its number stands above */
#define PIECE          UINT64_C(0x100000)  /* that is loaded at once where there are watchdogs */
#define POOL_PIECE     UINT64_C(0x1000)    /* in a pool: takes less time than a switch is taken to */
#define HALT_LIMIT_NS  UINT64_C(1000000000)  /* a core that has not left its guest by then is named */

static struct partition partitions[LAYOUT_MAX_PARTITIONS];

uint32_t partition_index(const struct layout_partition *config)
{
    return (uint32_t)(config - layout.partitions);
}

void vcpu_init(struct vcpu *vcpu, uint32_t cpu)
{
    const struct layout_cpu *core = &layout.cpus[cpu];

    vcpu->config = &layout.partitions[core->partition];
    vcpu->partition = &partitions[core->partition];
    vcpu->cpu = cpu;
    vcpu->index = core->vcpu;
    vcpu->run = VCPU_OFF;
    vcpu->halted_for = REQUEST_NONE;
}

void partition_start_all(void)
{
    for (uint32_t i = 0; i < layout.partition_count; i++) {
        partitions[i].request = REQUEST_START;
    }
}

bool partition_owns_ram(const struct layout_partition *config, ipa_t ipa, uint64_t size)
{
    for (uint32_t i = 0; i < config->memory_count; i++) {
        if (range_inside(ipa.raw, size, config->memory[i].ipa.raw, config->memory[i].size)) {
            return true;
        }
    }
    return false;
}

bool vcpu_start(struct vcpu *vcpu, uint64_t entry, uint64_t context)
{
    uint32_t off = VCPU_OFF;

    /* entry and context are only read once run says ON_PENDING; two starters race for OFF. */
    if (!__atomic_compare_exchange_n(&vcpu->run, &off, VCPU_ON_PENDING + 2u, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED)) {
        return false;
    }
    vcpu->entry = entry;
    vcpu->context = context;
    __atomic_store_n(&vcpu->run, VCPU_ON_PENDING, __ATOMIC_RELEASE);
    arch_kick(vcpu->cpu);
    return true;
}

void partition_request(const struct layout_partition *config, enum partition_request request)
{
    struct partition *partition = &partitions[partition_index(config)];
    uint32_t none = REQUEST_NONE;
    uint32_t number = __atomic_add_fetch(&partition->request_count, 1u, __ATOMIC_RELAXED);

    if (!__atomic_compare_exchange_n(&partition->request, &none, number << REQUEST_BITS | request, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        return;
    }
    arch_partition_withdraw(config);
    for (uint32_t i = 0; i < config->vcpu_count; i++) {
        arch_kick(config->vcpus[i].cpu);
    }
}

static inline uint64_t piece_of(const struct vcpu *vcpu)
{
    return HV_POOLS && vcpu->cpu >= layout.cpu_count ? POOL_PIECE : PIECE;
}

/*
 * Loading takes long: in between, a core that looks at watchdogs does. In a pool the other vcpus have their turns, as
 * loading is this vcpu's own time, and watchdogs are looked at as ever.
 */
static void look_meanwhile(struct vcpu *vcpu)
{
    if (HV_POOLS && vcpu->cpu >= layout.cpu_count) {
        arch_wait(vcpu, false);
    } else if (HV_WATCHDOG) {
        watchdog_tick(vcpu->cpu);
    }
}

static void zero(struct vcpu *vcpu, uint64_t target, uint64_t size)
{
    uint64_t piece = piece_of(vcpu);

    for (; (HV_WATCHDOG || HV_POOLS) && size > piece; target += piece, size -= piece) {
        arch_zero(target, piece);
        look_meanwhile(vcpu);
    }
    arch_zero(target, size);
}

static void copy(struct vcpu *vcpu, uint64_t target, const uint8_t *source, uint64_t size)
{
    uint64_t piece = piece_of(vcpu);

    for (; (HV_WATCHDOG || HV_POOLS) && size > piece; target += piece, source += piece, size -= piece) {
        arch_copy(target, source, piece);
        look_meanwhile(vcpu);
    }
    arch_copy(target, source, size);
}

/* RAM as at the first start: zeros (not at the first start itself, where nobody has written yet), images. */
static void partition_load(struct vcpu *vcpu)
{
    const struct layout_partition *config = vcpu->config;
    const struct partition *partition = vcpu->partition;

    arch_loader_open(config);
    if (partition->start_count != 0) {
        if (HV_HEALTH) {
            health_reset_devices(config);  /* before its RAM is somebody's again: one may do DMA */
        }
        for (uint32_t i = 0; i < config->memory_count; i++) {
            zero(vcpu, config->memory[i].pa.raw, config->memory[i].size);
        }
    }
    for (uint32_t i = 0; i < config->image_count; i++) {
        const struct layout_image *image = &config->images[i];

        copy(vcpu, image->target.raw, image->source, image->size);
    }
    arch_loader_close();
}

static void partition_start(struct vcpu *vcpu, uint32_t why)
{
    const struct layout_partition *config = vcpu->config;
    struct partition *partition = vcpu->partition;

    if (HV_MONITOR) {
        __atomic_store_n(&partition->run, PARTITION_RUNNING, __ATOMIC_RELEASE);
        monitor_started(config, why);
    }
    partition_load(vcpu);
    arch_partition_reset(config);
    if (config->vuart.intid != 0) {
        vuart_reset(partition_index(config));
    }
    partition->start_count++;
    partition->time_base = arch_counter();
    for (uint32_t i = 0; i < config->vcpu_count; i++) {
        __atomic_store_n(&arch_vcpu(config->vcpus[i].cpu)->run, VCPU_OFF, __ATOMIC_RELAXED);
    }
    partition->run = PARTITION_RUNNING;
    __atomic_store_n(&partition->halted_count, 0u, __ATOMIC_RELAXED);
    vcpu->entry = config->entry.raw;
    vcpu->context = config->dtb.raw;
    vcpu->run = VCPU_ON_PENDING;
    __atomic_store_n(&partition->request, REQUEST_NONE, __ATOMIC_RELEASE);
    if (HV_WATCHDOG) {
        watchdog_start(config, partition->time_base);
    }
}

static void board_off_if_all_are(void)
{
    for (uint32_t i = 0; i < layout.partition_count; i++) {
        if (__atomic_load_n(&partitions[i].run, __ATOMIC_ACQUIRE) != PARTITION_OFF) {
            return;
        }
    }
    print("every partition is off: switching the board off\n");
    arch_board_off();
}

static void partition_carry_out(struct vcpu *vcpu, uint32_t why)
{
    struct partition *partition = vcpu->partition;
    uint32_t request = why;

    if (HV_WATCHDOG) {
        watchdog_stop(vcpu->config);
    }
    if (HV_HEALTH) {
        request = health_decide(vcpu->config, why);
    }
    if (request == REQUEST_START || request == REQUEST_RESTART) {
        if (request == REQUEST_RESTART) {
            print("%s restarts\n", vcpu->config->name);
        }
        partition_start(vcpu, why);
        return;
    }
    if (HV_HEALTH) {
        arch_loader_open(vcpu->config);
        health_reset_devices(vcpu->config);
        arch_loader_close();
    }
    arch_partition_reset(vcpu->config);
    print("%s is %s\n", vcpu->config->name, request == REQUEST_OFF ? "off" : "stopped");
    __atomic_store_n(&partition->run, request == REQUEST_OFF ? PARTITION_OFF : PARTITION_STOPPED, __ATOMIC_RELEASE);
    __atomic_store_n(&partition->halted_count, 0u, __ATOMIC_RELAXED);
    if (HV_MONITOR) {
        monitor_stopped(vcpu->config);
    }
    __atomic_store_n(&partition->request, REQUEST_NONE, __ATOMIC_RELEASE);
    board_off_if_all_are();
}

static void report_missing(const struct vcpu *vcpu, uint32_t request)
{
    for (uint32_t i = 0; i < vcpu->config->vcpu_count; i++) {
        if (__atomic_load_n(&arch_vcpu(vcpu->config->vcpus[i].cpu)->halted_for, __ATOMIC_RELAXED) != request) {
            print("%s: vcpu %u has not left the guest for 1 s; it sleeps with its interrupts shut off. "
                  "Waiting on\n", vcpu->config->name, i);
            if (HV_HEALTH) {
                arch_kick(vcpu->config->vcpus[i].cpu);  /* once more: another vcpu may have undone the first */
            }
        }
    }
}

/* Counts this vcpu in; on the core of vcpu 0, carries the request out once all are. */
static void vcpu_serve_request(struct vcpu *vcpu, uint64_t *since)
{
    struct partition *partition = vcpu->partition;
    uint32_t request = __atomic_load_n(&partition->request, __ATOMIC_ACQUIRE);

    if (request == REQUEST_NONE) {
        return;
    }
    /* Once a request: the number in it tells it from one that is over by the time this core looks. */
    if (vcpu->halted_for != request) {
        __atomic_store_n(&vcpu->halted_for, request, __ATOMIC_RELAXED);
        __atomic_add_fetch(&partition->halted_count, 1u, __ATOMIC_ACQ_REL);
        if (vcpu->index != 0) {
            arch_kick(vcpu->config->vcpus[0].cpu);
        }
    }
    if (vcpu->index != 0) {
        return;
    }
    if (__atomic_load_n(&partition->halted_count, __ATOMIC_ACQUIRE) == vcpu->config->vcpu_count) {
        partition_carry_out(vcpu, request & ((1u << REQUEST_BITS) - 1u));
    } else if (*since == 0) {
        *since = arch_time_ns();
    } else if (*since != UINT64_MAX && arch_time_ns() - *since > HALT_LIMIT_NS) {
        report_missing(vcpu, request);
        *since = UINT64_MAX;
    }
}

void vcpu_wait(struct vcpu *vcpu)
{
    uint64_t since = 0;

    arch_wait_begin(vcpu);
    for (;;) {
        vcpu_serve_request(vcpu, &since);
        if (__atomic_load_n(&vcpu->run, __ATOMIC_ACQUIRE) == VCPU_ON_PENDING && !vcpu_must_halt(vcpu)) {
            break;
        }
        /* vcpu 0 keeps its eye on the clock while others have yet to leave the guest. */
        arch_wait(vcpu, !(vcpu->index == 0 && vcpu_must_halt(vcpu)));
    }
    arch_vcpu_reset(vcpu);
    __atomic_store_n(&vcpu->run, VCPU_ON, __ATOMIC_RELEASE);
    arch_wait_end(vcpu);
}
