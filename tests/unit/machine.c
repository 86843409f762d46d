/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include <arch/arm64/init.h>
#include <hv/arch.h>
#include <hv/console.h>

#include "host_io.h"

#define REG_LIMIT   192u
#define STEP_LIMIT  20000u
#define STR(name)   SYSREG_STRING(name)

uint64_t fake_sysreg_read(const char *name);
void fake_sysreg_write(const char *name, uint64_t value);
void fake_instruction(const char *text);
uint64_t firmware_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c);

uint32_t core_now;
struct bank dist, private_bank[CORES];
uint64_t gic_route[1024];
uint32_t dist_ctlr;
bool dist_stuck;
struct mmio_write writes[4096];
uint32_t write_count, sgi_count, instruction_count, smc_count, copy_count;
struct sent_sgi sgis[256];
char instructions[512][64];
char said[16384];
uint64_t machine_ticks;
uint32_t machine_firmware[8];
uint32_t machine_firmware_count;
uint64_t machine_firmware_answer;
uint32_t console_input_count, console_tick_count;
void (*machine_waits)(bool sleeps), (*machine_polls)(void);
jmp_buf machine_halt;
bool machine_halt_armed;
static jmp_buf machine_idle;
static bool machine_idle_armed;

const char *const machine_lr_names[4] = { "S3_4_C12_C12_0", "S3_4_C12_C12_1", "S3_4_C12_C12_2", "S3_4_C12_C12_3" };

static struct reg { const char *name; uint64_t value[CORES]; } regs[REG_LIMIT];
static uint32_t reg_count, steps;
static uint32_t waiting[CORES][16], waiting_count[CORES];
static uint32_t waker[CORES];

/* ---------------------------------------------------------------- the layout */

static _Alignas(4096) uint8_t stacks[CPUS][8192];
static uint64_t root[2][16];
struct layout_cpu board_cpus[CPUS];
struct layout_partition board_partitions[PARTITIONS];

static const struct layout_vcpu linux_vcpus[] = {
    { .vmpidr = UINT64_C(0x80000000), .mpidr = 0x000, .cpu = 0 },
    { .vmpidr = UINT64_C(0x80000001), .mpidr = 0x001, .cpu = 1 },
    { .vmpidr = UINT64_C(0x80000002), .mpidr = 0x100, .cpu = 2 } };
static const struct layout_vcpu flight_vcpus[] = {
    { .vmpidr = UINT64_C(0x80000000), .mpidr = 0x101, .cpu = 3 },
    { .vmpidr = UINT64_C(0x80000001), .mpidr = UINT64_C(0x100000200), .cpu = 4 } };
static const struct layout_vcpu spare_vcpus[] = { { .vmpidr = UINT64_C(0x80000000), .mpidr = 0x201, .cpu = 5 } };
static const uint64_t mpidrs[CORES] = { 0x000, 0x001, 0x100, 0x101, UINT64_C(0x100000200), 0x201 };
static const struct layout_memory linux_memory[] = {
    { { 0x40000000 }, { 0x50000000 }, 0x10000 }, { { 0x80000000 }, { 0x70000000 }, 0x1000 } };
static const struct layout_memory flight_memory[] = { { { 0x40000000 }, { 0x60000000 }, 0x10000 } };
static const struct layout_memory spare_memory[] = { { { 0x40000000 }, { 0x61000000 }, 0x10000 } };
static const uint8_t blob[64];
static const struct layout_image images[] = { { blob, { 0x50000000 }, sizeof(blob) } };
static const struct layout_device devices[] = {
    { { 0x09010000 }, 0x1000, "/pl031@9010000", FLIGHT, 0, 31 },
    { { 0x09030000 }, 0x1000, "/pl061@9030000", LAYOUT_NO_PARTITION, 0, 0 } };

struct layout board;

const uint64_t layout_checksum = 42;

static void own_spi(uint32_t partition, uint32_t intid)
{
    board_partitions[partition].spi[intid / 32u] |= 1u << (intid % 32u);
}

void machine_layout(void)
{
    static const uint32_t owner[CORES] = { LINUX, LINUX, LINUX, FLIGHT, FLIGHT, SPARE };
    static const uint32_t index[CORES] = { 0, 1, 2, 0, 1, 0 };

    board = (struct layout){
        .magic = LAYOUT_MAGIC, .version = LAYOUT_VERSION, .cpu_count = CORES, .partition_count = PARTITIONS,
        .device_count = ARRAY_COUNT(devices), .board = "board", .banner = "image", .hv_base = { 0x40200000 },
        .hv_size = 0x100000, .el2_ttbr = 0x40210000, .pa_bits = 40, .conduit = LAYOUT_CONDUIT_SMC, .console_irq = 1,
        .vtimer_intid = 27, .ptimer_intid = 30, .htimer_intid = 26, .cpus = board_cpus, .partitions = board_partitions, .devices = devices,
        .gic = { .dist = { DIST }, .dist_size = 0x10000, .redist = { { REDIST } },
                 .redist_size = { CORES * STRIDE }, .redist_count = 1, .version = 3,
                 .redist_stride = (uint32_t)STRIDE, .maintenance = MAINTENANCE },
        .uart = { .base = { 0x09040000 }, .width = 4, .intid = UART_INTID },
    };
    machine_waits = NULL;
    machine_polls = NULL;
    for (uint32_t i = 0; i < CPUS; i++) {
        board_cpus[i] = (struct layout_cpu){ .stack_top = (uint64_t)(uintptr_t)stacks[i] + 8192u };
    }
    for (uint32_t i = 0; i < CORES; i++) {
        board_cpus[i].mpidr = mpidrs[i];
        board_cpus[i].redist.raw = REDIST + i * STRIDE;
        board_cpus[i].partition = (uint16_t)owner[i];
        board_cpus[i].vcpu = (uint16_t)index[i];
    }
    board_partitions[LINUX] = (struct layout_partition){
        .name = "linux", .vttbr = UINT64_C(1) << 48 | 0x40220000, .vtcr = 0x80023558, .loader_ttbr = 0x40230000,
        .entry = { 0x40008000 }, .dtb = { 0x40000000 }, .vcpus = linux_vcpus, .memory = linux_memory, .images = images,
        .vcpu_count = 3, .memory_count = 2, .image_count = 1, .vuart = { { VUART_BASE }, 33, 0 },
        .ppi_mask = 1u << 27 | 1u << 30, .yaml_line = 4 };
    board_partitions[FLIGHT] = (struct layout_partition){
        .name = "flight", .vttbr = UINT64_C(2) << 48 | 0x40240000, .vtcr = 0x80023558, .loader_ttbr = 0x40250000,
        .root = root[0], .root_count = 16, .irq_mode = LAYOUT_IRQ_DIRECT, .entry = { 0x40008000 },
        .dtb = { 0x40000000 }, .vcpus = flight_vcpus, .memory = flight_memory, .vcpu_count = 2, .memory_count = 1,
        .vuart = { { VUART_BASE }, 60, 0 }, .ppi_mask = 1u << 27, .yaml_line = 20 };
    board_partitions[SPARE] = (struct layout_partition){
        .name = "spare", .vttbr = UINT64_C(3) << 48 | 0x40260000, .vtcr = 0x80023558, .loader_ttbr = 0x40270000,
        .entry = { 0x40008000 }, .dtb = { 0x40000000 }, .vcpus = spare_vcpus, .memory = spare_memory, .vcpu_count = 1,
        .memory_count = 1, .ppi_mask = 1u << 27, .yaml_line = 40 };
    own_spi(LINUX, 40);
    own_spi(LINUX, 41);
    own_spi(LINUX, 79);
    own_spi(FLIGHT, 50);
    own_spi(FLIGHT, 1019);
    own_spi(SPARE, 35);
    for (uint32_t i = 0; i < 16; i++) {
        root[0][i] = i % 2 == 0 ? 0x40280003u + 0x1000u * i : 0;
    }
}

/* ---------------------------------------------------------------- system registers */

uint64_t *machine_reg(const char *name)
{
    for (uint32_t i = 0; i < reg_count; i++) {
        if (strcmp(regs[i].name, name) == 0) {
            return &regs[i].value[core_now];
        }
    }
    assert_true(reg_count < REG_LIMIT);
    regs[reg_count].name = name;
    memset(regs[reg_count].value, 0, sizeof(regs[reg_count].value));
    return &regs[reg_count++].value[core_now];
}

static void step(void)
{
    if (machine_idle_armed && ++steps > STEP_LIMIT) {
        longjmp(machine_idle, 1);
    }
}

/* The hypervisor's own timer, where somebody shares a core by it. */
uint64_t machine_alarm(uint32_t core)
{
    uint32_t before = core_now;
    uint64_t at;

    core_now = core;
    at = (REG(cnthp_ctl_el2) & 1u) != 0 ? REG(cnthp_cval_el2) : UINT64_MAX;
    core_now = before;
    return machine_waits != NULL ? at : UINT64_MAX;
}

static bool interrupt_waits(void)
{
    return waiting_count[core_now] != 0 || machine_alarm(core_now) <= machine_ticks;
}

static uint64_t acknowledge(void)
{
    uint32_t intid;

    if (machine_alarm(core_now) <= machine_ticks) {
        return board.htimer_intid;
    }

    if (waiting_count[core_now] == 0) {
        return 1023;
    }
    intid = waiting[core_now][0];
    memmove(&waiting[core_now][0], &waiting[core_now][1], 15 * sizeof(uint32_t));
    waiting_count[core_now]--;
    return intid;
}

static uint64_t empty_lrs(void)
{
    uint64_t empty = 0;

    for (uint32_t i = 0; i < 4; i++) {
        empty |= LR(i) >> 62 == 0 ? UINT64_C(1) << i : 0;
    }
    return empty;
}

uint64_t fake_sysreg_read(const char *name)
{
    step();
    if (strcmp(name, STR(ICC_IAR1_EL1)) == 0) {
        return acknowledge();
    }
    if (strcmp(name, STR(ICH_ELRSR_EL2)) == 0) {
        return empty_lrs();
    }
    if (strcmp(name, "cntpct_el0") == 0) {
        return machine_ticks += 10;
    }
    if (strcmp(name, "tpidr_el2") == 0 && machine_polls != NULL) {
        machine_polls();
    }
    if (strcmp(name, "isr_el1") == 0) {
        if (!interrupt_waits() && machine_waits != NULL) {
            machine_waits(false);
        }
        return interrupt_waits() ? 1u << 7 : 0;
    }
    return *machine_reg(name);
}

void fake_sysreg_write(const char *name, uint64_t value)
{
    *machine_reg(name) = value;
    if (strcmp(name, STR(ICC_SGI1R_EL1)) == 0) {
        assert_true(sgi_count < ARRAY_COUNT(sgis));
        sgis[sgi_count++] = (struct sent_sgi){ core_now, value };
        for (uint32_t i = 0; i < CORES && machine_waits != NULL; i++) {
            if ((machine_sgi_cores(value) >> i & 1u) != 0 && board_cpus[i].pool != 0) {
                machine_raise(i, (uint32_t)bits(value, 27, 24));
            }
        }
    }
}

void fake_instruction(const char *text)
{
    const char *start = text[0] == '"' ? text + 1 : text;

    step();
    if (instruction_count < ARRAY_COUNT(instructions)) {
        (void)snprintf(instructions[instruction_count], sizeof(instructions[0]), "%s", start);
    }
    instruction_count++;
    smc_count += strncmp(start, "smc", 3) == 0 ? 1 : 0;
    if (machine_idle_armed && (strcmp(start, "wfi") == 0 || strcmp(start, "wfe") == 0)) {
        longjmp(machine_idle, 1);
    }
    while (machine_waits != NULL && strcmp(start, "wfi") == 0 && !interrupt_waits()) {
        machine_waits(true);
    }
}

bool machine_did(const char *instruction)
{
    for (uint32_t i = 0; i < instruction_count && i < ARRAY_COUNT(instructions); i++) {
        if (strncmp(instructions[i], instruction, strlen(instruction)) == 0) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- the GIC */

static uint32_t bank_read(const struct bank *bank, uint32_t at)
{
    uint32_t word = at % 0x80u / 4u;

    switch (at / 0x80u) {
    case 1:           return bank->group[word];
    case 2: case 3:   return bank->enable[word];
    case 4: case 5:   return bank->pending[word];
    case 6: case 7:   return bank->active[word];
    case 8: case 9: case 10: case 11: case 12: case 13: case 14: case 15:
        return (uint32_t)bank->priority[at - 0x400u] | (uint32_t)bank->priority[at - 0x3ffu] << 8 |
               (uint32_t)bank->priority[at - 0x3feu] << 16 | (uint32_t)bank->priority[at - 0x3fdu] << 24;
    case 24: case 25: return bank->config[(at - 0xc00u) / 4u];
    default:
        fail_msg("the GIC has no register 0x%x", at);
        return 0;
    }
}

static void bank_write(struct bank *bank, uint32_t at, uint32_t size, uint32_t value)
{
    uint32_t word = at % 0x80u / 4u;

    switch (at / 0x80u) {
    case 1: bank->group[word] = value; break;
    case 2: bank->enable[word] |= value; break;
    case 3: bank->enable[word] &= ~value; break;
    case 4: bank->pending[word] |= value; break;
    case 5: bank->pending[word] &= ~value; break;
    case 6: bank->active[word] |= value; break;
    case 7: bank->active[word] &= ~value; break;
    case 8: case 9: case 10: case 11: case 12: case 13: case 14: case 15:
        for (uint32_t i = 0; i < size; i++) {
            bank->priority[at - 0x400u + i] = (uint8_t)(value >> (8u * i));
        }
        return;
    case 24: case 25: bank->config[(at - 0xc00u) / 4u] = value; break;
    default:
        fail_msg("the GIC has no register 0x%x", at);
    }
    assert_int_equal(size, 4);
}

static uint64_t dist_read(uint32_t at, uint32_t size)
{
    switch (at) {
    case GICD_CTLR:  return dist_ctlr | (dist_stuck ? GICD_CTLR_RWP : 0);
    case GICD_TYPER: return UINT64_C(0x037f041f) | 1u << 17;  /* 1024 INTIDs, LPIs, MBIs, 16 ID bits */
    case GICD_IIDR:  return 0x0000043b;
    case GICD_PIDR2: return 0x3b;
    default:
        break;
    }
    if (at >= GICD_IROUTER) {
        assert_true(size == 8 && at % 8u == 0 && at < GICD_IROUTER + 8u * 1020u);
        return gic_route[(at - GICD_IROUTER) / 8u];
    }
    if (size == 1) {
        assert_true(at >= GICD_IPRIORITYR && at < GICD_IPRIORITYR + 1024u);
        return dist.priority[at - GICD_IPRIORITYR];
    }
    assert_int_equal(at % 4u, 0);
    return bank_read(&dist, at);
}

static void dist_write(uint32_t at, uint32_t size, uint64_t value)
{
    if (at == GICD_CTLR) {
        dist_ctlr = (uint32_t)value;
    } else if (at >= GICD_IROUTER) {
        assert_true(size == 8 && at % 8u == 0 && at >= GICD_IROUTER + 8u * 32u && at < GICD_IROUTER + 8u * 1020u);
        gic_route[(at - GICD_IROUTER) / 8u] = value;
    } else {
        bank_write(&dist, at, size, (uint32_t)value);
    }
}

static uint64_t redist_read(uint32_t core, uint32_t at, uint32_t size)
{
    if (at < GICR_SGI_BASE) {
        switch (at) {
        case GICR_IIDR:  return 0x0000143b;
        case GICR_TYPER:
            assert_int_equal(size, 8);
            return (bits(mpidrs[core], 39, 32) << 24 | bits(mpidrs[core], 23, 0)) << 32 | (uint64_t)core << 8;
        case GICR_WAKER: return waker[core] | (waker[core] & GICR_WAKER_SLEEP) << 1;
        case GICD_PIDR2: return 0x3b;
        default:
            fail_msg("the redistributor's register 0x%x was read", at);
        }
    }
    assert_int_equal(size, 4);
    return bank_read(&private_bank[core], at - GICR_SGI_BASE);
}

static void redist_write(uint32_t core, uint32_t at, uint32_t size, uint32_t value)
{
    if (at == GICR_WAKER) {
        waker[core] = value & GICR_WAKER_SLEEP;
        return;
    }
    assert_true(at >= GICR_SGI_BASE);  /* LPI tables above all: they would be DMA */
    bank_write(&private_bank[core], at - GICR_SGI_BASE, size, value);
}

uint32_t fake_port_read(uint16_t port, uint32_t size)
{
    fail_msg("ARM64 has no port 0x%x (%u bytes)", port, size);
    return 0;
}

void fake_port_write(uint16_t port, uint32_t size, uint32_t value)
{
    fail_msg("ARM64 has no port 0x%x (%u bytes, 0x%x)", port, size, value);
}

uint64_t fake_mmio_read(uint64_t address, uint32_t size)
{
    step();
    if (address - DIST < 0x10000u) {
        return dist_read((uint32_t)(address - DIST), size);
    }
    if (address - REDIST < CORES * STRIDE) {
        return redist_read((uint32_t)((address - REDIST) / STRIDE), (uint32_t)((address - REDIST) % STRIDE), size);
    }
    fail_msg("read of 0x%lx", address);
    return 0;
}

void fake_mmio_write(uint64_t address, uint32_t size, uint64_t value)
{
    assert_true(write_count < ARRAY_COUNT(writes));
    writes[write_count++] = (struct mmio_write){ address, size, value };
    if (address - DIST < 0x10000u) {
        dist_write((uint32_t)(address - DIST), size, value);
    } else if (address - REDIST < CORES * STRIDE) {
        redist_write((uint32_t)((address - REDIST) / STRIDE), (uint32_t)((address - REDIST) % STRIDE), size,
                     (uint32_t)value);
    } else {
        fail_msg("write to 0x%lx", address);
    }
}

const struct mmio_write *machine_wrote(uint64_t address)
{
    for (uint32_t i = write_count; i > 0; i--) {
        if (writes[i - 1].address == address) {
            return &writes[i - 1];
        }
    }
    return NULL;
}

void machine_raise(uint32_t core, uint32_t intid)
{
    for (uint32_t i = 0; i < waiting_count[core]; i++) {
        if (waiting[core][i] == intid) {
            return;
        }
    }
    assert_true(waiting_count[core] < 16);
    waiting[core][waiting_count[core]++] = intid;
}

/* IHI 0069 12.2.21: Aff3 55:48, RS 47:44, IRM 40, Aff2 39:32, Aff1 23:16, target list 15:0. */
uint32_t machine_sgi_cores(uint64_t value)
{
    uint64_t high = bits(value, 55, 48) << 32 | bits(value, 39, 32) << 16 | bits(value, 23, 16) << 8;
    uint32_t cores = 0;

    for (uint32_t i = 0; i < CORES; i++) {
        bool here = (mpidrs[i] & ~UINT64_C(0xff)) == high && bits(mpidrs[i], 7, 4) == bits(value, 47, 44) &&
                    (value >> bits(mpidrs[i], 3, 0) & 1u) != 0;

        cores |= (bits(value, 40, 40) != 0 ? i != core_now : here) ? 1u << i : 0;
    }
    return cores;
}

uint32_t guest_take(void)
{
    uint32_t best = 4;

    for (uint32_t i = 0; i < 4; i++) {
        if (LR(i) >> 62 == 1 && (best == 4 || bits(LR(i), 55, 48) < bits(LR(best), 55, 48))) {
            best = i;
        }
    }
    if (best == 4) {
        return 1023;
    }
    LR(best) = (LR(best) & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;
    return (uint32_t)LR(best);
}

void guest_end(uint32_t intid)
{
    for (uint32_t i = 0; i < 4; i++) {
        if (LR(i) >> 63 == 1 && (uint32_t)LR(i) == intid) {
            LR(i) &= ~(UINT64_C(1) << 63);
            return;
        }
    }
    fail_msg("INTID %u is not active", intid);
}

/* ---------------------------------------------------------------- power on */

struct cpu *on(uint32_t core)
{
    core_now = core;
    return cpu_at(core);
}

void machine_forget(void)
{
    write_count = sgi_count = instruction_count = smc_count = copy_count = 0;
    machine_firmware_count = console_input_count = console_tick_count = steps = 0;
    said[0] = '\0';
}

void machine_reset(void)
{
    machine_layout();
    machine_power_on(1000000);
}

void machine_power_on(uint64_t hz)
{
    reg_count = 0;
    machine_ticks = 1000;
    machine_firmware_answer = 0;
    dist_stuck = false;
    machine_idle_armed = machine_halt_armed = false;
    memset(&dist, 0, sizeof(dist));
    memset(private_bank, 0, sizeof(private_bank));
    memset(gic_route, 0, sizeof(gic_route));
    memset(waiting_count, 0, sizeof(waiting_count));
    memset(stacks, 0, sizeof(stacks));
    machine_forget();
    for (uint32_t i = 0; i < CORES; i++) {
        (void)on(i);
        waker[i] = GICR_WAKER_SLEEP;
        REG(cntfrq_el0) = hz;
        REG(dczid_el0) = 4;
        REG(id_aa64mmfr0_el1) = 0x5;
        REG(id_aa64pfr0_el1) = UINT64_C(1) << 24;
        REG(CurrentEL) = 2u << 2;
        REG(ctr_el0) = UINT64_C(4) << 16;
        REG(mpidr_el1) = UINT64_C(0x80000000) | mpidrs[i];
        *machine_reg(STR(ICH_VTR_EL2)) = 3;
    }
    (void)on(0);
    gic_init();
    for (uint32_t i = 0; i < board.cpu_count; i++) {
        (void)on(i);
        cpu_init(i);
        if (cpu_at(i)->vcpu.partition != NULL) {
            memset(cpu_at(i)->vcpu.partition, 0, sizeof(struct partition));
        }
    }
    partition_start_all();
    (void)on(0);
    machine_forget();
}

bool comes_back(void (*call)(struct cpu *cpu, uint64_t value), struct cpu *cpu, uint64_t value)
{
    bool back;

    steps = 0;
    machine_idle_armed = true;
    if (setjmp(machine_idle) == 0) {
        call(cpu, value);
        back = true;
    } else {
        back = false;
    }
    machine_idle_armed = false;
    return back;
}

static void call_wait(struct cpu *cpu, uint64_t value)
{
    (void)value;
    vcpu_wait(&cpu->vcpu);
}

bool core_runs(uint32_t core)
{
    return comes_back(call_wait, on(core), 0);
}

void machine_boot(void)
{
    machine_reset();
    for (uint32_t round = 0; round < 2; round++) {  /* the others wait; then the first ones start */
        for (uint32_t i = 0; i < CORES; i++) {
            if ((cpu_at(i)->vcpu.index == 0) == (round == 1)) {
                assert_int_equal(core_runs(i), round);
            }
        }
    }
    for (uint32_t i = 0; i < CORES; i++) {
        if (cpu_at(i)->vcpu.index != 0) {
            assert_true(vcpu_start(&cpu_at(i)->vcpu, 0x40009000, 0));
            assert_true(core_runs(i));
        }
    }
    (void)on(0);
    machine_forget();
}

/* ---------------------------------------------------------------- what the machine's code calls outside */

static void say(const char *format, va_list args)
{
    size_t used = strlen(said);

    (void)vsnprintf(said + used, sizeof(said) - used, format, args);
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(format, args);
    va_end(args);
}

void panic(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(format, args);
    va_end(args);
    if (!machine_halt_armed) {
        fail_msg("panic: %s", said);
    }
    longjmp(machine_halt, 1);
}

bool console_put(uint32_t partition, uint8_t character)
{
    size_t used = strlen(said);

    (void)partition;
    said[used] = (char)character;
    said[used + 1] = '\0';
    return true;
}

bool console_ready(uint32_t partition)
{
    (void)partition;
    return true;
}

void console_input(void)
{
    console_input_count++;
}

void arch_copy(uint64_t target, const uint8_t *source, uint64_t size)
{
    (void)target;
    (void)source;
    (void)size;
    copy_count++;
}

uint64_t firmware_call(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    (void)a;
    (void)b;
    (void)c;
    assert_true(machine_firmware_count < ARRAY_COUNT(machine_firmware));
    machine_firmware[machine_firmware_count++] = (uint32_t)function;
    return machine_firmware_answer;
}

void console_tick(void)
{
    console_tick_count++;
}
