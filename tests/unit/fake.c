/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <hv/arch.h>
#include <hv/partition.h>
#include <hv/serial.h>

char     fake_out[65536];
uint32_t fake_out_count, fake_port_room, fake_port_refill;
uint64_t fake_time;
uint32_t fake_kicks[FAKE_CPUS];
uint64_t fake_alarm;
bool     fake_console_irq;
uint32_t fake_withdrawn, fake_resets, fake_board_resets, fake_board_offs;
bool     fake_line[FAKE_PARTITIONS];
jmp_buf  fake_halt;
bool     fake_sum_differs;

static struct vcpu vcpus[FAKE_CPUS];
static const char *keys = "";

const uint64_t layout_checksum = 42;
const uint64_t __ro_tables_start[16], __ro_tables_end[1];

static const struct layout_cpu cpus[FAKE_CPUS] = {
    { .mpidr = 0x000, .partition = 0, .vcpu = 0 },
    { .mpidr = 0x001, .partition = 0, .vcpu = 1 },
    { .mpidr = 0x100, .partition = 1, .vcpu = 0 },
    { .mpidr = 0x101, .partition = 2, .vcpu = 0 },
};
static const struct layout_vcpu first_vcpus[] = { { .cpu = 0 }, { .mpidr = 1, .cpu = 1 } };
static const struct layout_vcpu second_vcpus[] = { { .mpidr = 0x100, .cpu = 2 } };
static const struct layout_vcpu third_vcpus[] = { { .mpidr = 0x101, .cpu = 3 } };
static const struct layout_memory first_memory[] = {
    { { 0x40000000 }, { 0x50000000 }, 0x10000000 }, { { 0x80000000 }, { 0x70000000 }, 0x1000 } };
static const struct layout_memory second_memory[] = { { { 0x40000000 }, { 0x60000000 }, 0x1000000 } };
static const struct layout_memory third_memory[] = { { { 0x40000000 }, { 0x61000000 }, 0x1000000 } };

static const struct layout_partition partitions[FAKE_PARTITIONS] = {
    { .name = "linux", .vcpus = first_vcpus, .vcpu_count = 2, .memory = first_memory, .memory_count = 2,
      .vuart = { { 0x9000000 }, 33, 0 }, .yaml_line = 7, .on_fault = LAYOUT_FAULT_STOP,
      .entry = { 0x40200000 }, .dtb = { 0x40000000 } },
    { .name = "hello", .vcpus = second_vcpus, .vcpu_count = 1, .memory = second_memory, .memory_count = 1,
      .vuart = { { 0x9000000 }, 33, 0 }, .yaml_line = 14, .on_fault = LAYOUT_FAULT_RESTART,
      .entry = { 0x40080000 }, .dtb = { 0x40000000 } },
    { .name = "mute", .vcpus = third_vcpus, .vcpu_count = 1, .memory = third_memory, .memory_count = 1,
      .yaml_line = 20, .on_fault = LAYOUT_FAULT_RESET_BOARD, .entry = { 0x40080000 }, .dtb = { 0x40000000 } },
};

static const struct layout_device devices[] = {
    { { 0x0 }, 0x8000000, "/flash@0", LAYOUT_NO_PARTITION, 0, 0 },
    { { 0x9000000 }, 0x1000, "/pl011@9000000", LAYOUT_NO_PARTITION, 0, 0 },
    { { 0x9010000 }, 0x1000, "/pl031@9010000", 1, 0, 18 },
    { { 0xa000000 }, 0x4000, "/bus@a000000", LAYOUT_NO_PARTITION, 0, 0 },
    { { 0xa000200 }, 0x200, "/bus@a000000/slot@200", 0, 0, 9 },
};

const struct layout layout = {
    .magic = LAYOUT_MAGIC, .version = LAYOUT_VERSION,
    .cpu_count = FAKE_CPUS, .partition_count = FAKE_PARTITIONS, .device_count = ARRAY_COUNT(devices),
    .board = "board", .banner = "image", .hv_base = { 0x40200000 }, .hv_size = 0x100000,
    .console_cpu = 0, .console_irq = 1,
    .cpus = cpus, .partitions = partitions, .devices = devices,
};

void fake_reset(void)
{
    fake_out_count = 0;
    fake_out[0] = '\0';
    fake_port_room = UINT32_MAX;
    fake_port_refill = 0;
    fake_time = 1000000000;
    fake_alarm = 0;
    fake_console_irq = true;
    memset(fake_kicks, 0, sizeof(fake_kicks));
    memset(fake_line, 0, sizeof(fake_line));
    fake_withdrawn = fake_resets = fake_board_resets = fake_board_offs = 0;
    fake_sum_differs = false;
    keys = "";
}

void fake_type(const char *typed)
{
    keys = typed;
}

/* ---------------------------------------------------------------- the serial port */

void serial_init(void) { }
void serial_receive_on(void) { }
void serial_receive_ack(void) { }

void (*fake_meanwhile)(void);

uint32_t serial_write(const uint8_t *text, uint32_t count)
{
    uint32_t taken = count < fake_port_room ? count : fake_port_room;

    if (fake_port_room != UINT32_MAX) {
        fake_port_room -= taken;
    }
    assert_true(fake_out_count + taken < sizeof(fake_out));
    memcpy(fake_out + fake_out_count, text, taken);
    fake_out_count += taken;
    fake_out[fake_out_count] = '\0';
    if (fake_meanwhile != NULL) {
        void (*call)(void) = fake_meanwhile;

        fake_meanwhile = NULL;
        call();
    }
    return taken;
}

int serial_get(void)
{
    return *keys != '\0' ? (uint8_t)*keys++ : -1;
}

/* ---------------------------------------------------------------- the architecture */

struct vcpu *arch_vcpu(uint32_t cpu) { return &vcpus[cpu]; }
void arch_start_cores(void) { }
void arch_kick(uint32_t cpu) { fake_kicks[cpu]++; }
void arch_partition_withdraw(const struct layout_partition *config) { (void)config; fake_withdrawn++; }
void arch_partition_reset(const struct layout_partition *config) { (void)config; fake_resets++; }
void arch_loader_open(const struct layout_partition *config) { (void)config; }
void arch_loader_close(void) { }
void arch_copy(uint64_t target, const uint8_t *source, uint64_t size) { (void)target; (void)source; (void)size; }
void arch_zero(uint64_t target, uint64_t size) { (void)target; (void)size; }
void arch_vcpu_reset(struct vcpu *vcpu) { (void)vcpu; }
void arch_wait_begin(struct vcpu *vcpu) { (void)vcpu; }
void arch_wait_end(struct vcpu *vcpu) { (void)vcpu; }
void arch_console_irq(bool let) { fake_console_irq = let; }
void arch_alarm(uint64_t ns) { fake_alarm = ns; }
uint64_t arch_counter(void) { return fake_time; }

uint64_t arch_time_ns(void)
{
    fake_port_room += fake_port_room != UINT32_MAX ? fake_port_refill : 0;
    return fake_time += 1000;
}

void arch_board_reset(void) { fake_board_resets++; }
void arch_board_off(void) { fake_board_offs++; }
uint64_t arch_sum(const uint64_t *start, const uint64_t *end) { (void)start; (void)end; return fake_sum_differs ? 1 : 42; }
_Noreturn void arch_halt(void) { longjmp(fake_halt, 1); }

void arch_irq_line(const struct layout_partition *config, uint32_t intid, bool level)
{
    assert_int_equal(intid, config->vuart.intid);
    fake_line[config - layout.partitions] = level;
}
