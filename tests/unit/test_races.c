/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/partition.c */
/*
 * Partitions under load: every core is a thread, a kick wakes it, and they start, stop and switch each other
 * off as fast as they can. What must hold: of two that start a vcpu one wins, a partition is only touched
 * while none of its vcpus is in the guest, and nobody waits for ever.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <hv/arch.h>
#include <hv/console.h>
#include <hv/partition.h>
#include <hv/vuart.h>

#define CORES   5u
#define FIRST   4u   /* vcpus of the first partition; the second has one */
#define ROUNDS  300u

static struct vcpu vcpus[CORES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static bool kicked[CORES];
static atomic_uint in_guest[2], entries[CORES], starts_won, starts_tried, resets[2], loads, board_off;
static atomic_bool finish, broken;

static const struct layout_cpu cpus[CORES] = {
    { .mpidr = 0, .partition = 0, .vcpu = 0 }, { .mpidr = 1, .partition = 0, .vcpu = 1 },
    { .mpidr = 2, .partition = 0, .vcpu = 2 }, { .mpidr = 3, .partition = 0, .vcpu = 3 },
    { .mpidr = 4, .partition = 1, .vcpu = 0 } };
static const struct layout_vcpu first_vcpus[FIRST] = { { .cpu = 0 }, { .cpu = 1 }, { .cpu = 2 }, { .cpu = 3 } };
static const struct layout_vcpu second_vcpus[1] = { { .cpu = 4 } };
static const struct layout_memory memory[] = { { { 0x40000000 }, { 0x50000000 }, 0x1000 } };
static const struct layout_partition partitions[2] = {
    { .name = "first", .vcpus = first_vcpus, .vcpu_count = FIRST, .memory = memory, .memory_count = 1,
      .entry = { 0x40008000 }, .dtb = { 0x40000000 } },
    { .name = "second", .vcpus = second_vcpus, .vcpu_count = 1, .memory = memory, .memory_count = 1 } };
const struct layout layout = { .cpu_count = CORES, .partition_count = 2, .cpus = cpus, .partitions = partitions };

static void check(bool good)
{
    if (!good) {
        atomic_store(&broken, true);
    }
}

static void asleep(uint32_t core, bool sleep)
{
    struct timespec limit;

    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec += 2000000;
    if (limit.tv_nsec >= 1000000000) {
        limit.tv_sec++;
        limit.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&lock);
    while (sleep && !kicked[core] && !atomic_load(&finish)) {
        /* 2 s without a kick: one was lost */
        limit.tv_sec += 2;
        if (pthread_cond_timedwait(&woken, &lock, &limit) != 0) {
            break;
        }
    }
    kicked[core] = false;
    (void)pthread_mutex_unlock(&lock);
}

struct vcpu *arch_vcpu(uint32_t cpu) { return &vcpus[cpu]; }
void arch_partition_withdraw(const struct layout_partition *config) { (void)config; }
void arch_loader_open(const struct layout_partition *config) { (void)config; }
void arch_loader_close(void) { }
void arch_copy(uint64_t target, const uint8_t *source, uint64_t size) { (void)target; (void)source; (void)size; }
void arch_wait_begin(struct vcpu *vcpu) { (void)vcpu; }
void arch_wait_end(struct vcpu *vcpu) { (void)vcpu; }
uint64_t arch_counter(void) { return 1; }
uint64_t arch_time_ns(void) { return 1; }
void arch_board_off(void) { atomic_fetch_add(&board_off, 1); }
void vuart_reset(uint32_t partition) { (void)partition; }
void print(const char *format, ...) { (void)format; }

void arch_zero(uint64_t target, uint64_t size)
{
    (void)target;
    (void)size;
    atomic_fetch_add(&loads, 1);
}

void arch_partition_reset(const struct layout_partition *config)
{
    check(atomic_load(&in_guest[config - partitions]) == 0);
    atomic_fetch_add(&resets[config - partitions], 1);
}

void arch_kick(uint32_t cpu)
{
    (void)pthread_mutex_lock(&lock);
    kicked[cpu] = true;
    (void)pthread_cond_broadcast(&woken);
    (void)pthread_mutex_unlock(&lock);
}

static __thread jmp_buf leave;

void arch_wait(struct vcpu *vcpu, bool sleep)
{
    if (atomic_load(&finish)) {
        longjmp(leave, 1);
    }
    asleep(vcpu->cpu, sleep);
}

void arch_vcpu_reset(struct vcpu *vcpu)
{
    if (vcpu->index != 0) {
        check(vcpu->entry == vcpu->context * 16u);  /* both of the same caller */
    }
}

/* A guest that starts its neighbours, goes off, and resets itself now and then. */
static void guest(struct vcpu *vcpu, uint32_t *seed)
{
    uint32_t partition = vcpu->config == &partitions[0] ? 0 : 1;

    atomic_fetch_add(&in_guest[partition], 1);
    atomic_fetch_add(&entries[vcpu->cpu], 1);
    for (uint32_t i = 0; i < 8 && !vcpu_must_halt(vcpu); i++) {
        uint32_t other;

        *seed = *seed * 1664525u + 1013904223u;
        other = (*seed >> 8) % vcpu->config->vcpu_count;
        if (other != vcpu->index) {
            atomic_fetch_add(&starts_tried, 1);
            atomic_fetch_add(&starts_won, vcpu_start(arch_vcpu(vcpu->config->vcpus[other].cpu), (*seed >> 4) * UINT64_C(16),
                                                     *seed >> 4));
        }
    }
    atomic_fetch_sub(&in_guest[partition], 1);
    if (vcpu->index == 0 || (*seed >> 20) % 64u == 0) {
        partition_request(vcpu->config, REQUEST_RESTART);
    } else if (!vcpu_must_halt(vcpu)) {
        __atomic_store_n(&vcpu->run, VCPU_OFF, __ATOMIC_RELEASE);
    }
}

static void *core(void *argument)
{
    struct vcpu *vcpu = argument;
    uint32_t seed = vcpu->cpu * 77u + 1u;

    if (setjmp(leave) == 0) {
        while (!atomic_load(&finish)) {
            vcpu_wait(vcpu);
            guest(vcpu, &seed);
        }
    }
    return NULL;
}

static void cores_that_start_and_stop_each_other(void **state)
{
    pthread_t threads[CORES];
    const struct timespec moment = { 0, 1000000 };
    uint32_t waited = 0;

    (void)state;
    for (uint32_t i = 0; i < CORES; i++) {
        vcpu_init(&vcpus[i], i);
    }
    partition_start_all();
    for (uint32_t i = 0; i < CORES; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, core, &vcpus[i]), 0);
    }
    while ((atomic_load(&entries[0]) < ROUNDS || atomic_load(&entries[4]) < ROUNDS) && waited++ < 30000) {
        (void)nanosleep(&moment, NULL);
    }
    atomic_store(&finish, true);
    for (uint32_t i = 0; i < CORES; i++) {
        arch_kick(i);
    }
    for (uint32_t i = 0; i < CORES; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_false(atomic_load(&broken));
    assert_true(atomic_load(&entries[0]) >= ROUNDS);
    assert_true(atomic_load(&entries[4]) >= ROUNDS);
    for (uint32_t i = 1; i < FIRST; i++) {
        assert_true(atomic_load(&entries[i]) > 0);
    }
    assert_true(atomic_load(&starts_won) <= atomic_load(&starts_tried));
    /* each start that was won ends in one entry, or in a restart that forgets it */
    assert_true(atomic_load(&entries[1]) + atomic_load(&entries[2]) + atomic_load(&entries[3]) <= atomic_load(&starts_won));
    assert_in_range(atomic_load(&resets[0]), ROUNDS - 1, UINT32_MAX);
    assert_int_equal(atomic_load(&board_off), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cores_that_start_and_stop_each_other),
    };

    return cmocka_run_group_tests_name("partition races", tests, NULL, NULL);
}
