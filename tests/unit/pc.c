/* SPDX-License-Identifier: Apache-2.0 */
#include "pc.h"

#include <arch/x86/clock.h>
#include <hv/console.h>
#include <hv/vuart.h>

#include "host_io.h"

#define MSR_LIMIT   512u
#define STEP_LIMIT  200000u
#define PM_HZ       3579545u
#define NMI_MODE    4u

extern void svm_take_nmi(void);
struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf);
uint64_t fake_rdmsr(uint32_t msr);
/* As Bochs has it: there is no EOI for the spurious vector, even if it was sent as any other. */
static bool spurious(int vector)
{
    return (*pc_msr(0x80f) & 0xffu) == (uint32_t)vector;
}

void fake_wrmsr(uint32_t msr, uint64_t value);
uint64_t fake_rdtsc(void);
uint64_t fake_read_cr3(void);
uint64_t fake_read_cr4(void);
void fake_write_cr3(uint64_t value);
void fake_write_cr4(uint64_t value);
void fake_pause(void);
void fake_instruction(const char *text);

uint32_t core_now;
uint64_t pc_cr3[CORES], pc_cr4[CORES];
uint64_t pc_tsc, pc_tsc_step, pc_tsc_hz;
uint32_t pc_pause_at;
uint64_t pc_irr[CORES][4], pc_isr[CORES][4];
bool pc_apic_stuck;
uint32_t pc_lines[2u * LINES];
struct sent sent[256];
struct port_write port_writes[256];
struct msr_write msr_writes[1024];
uint32_t sent_count, port_write_count, msr_write_count, instruction_count, taken_count, nmis_taken;
char instructions[256][64];
char said[16384];
uint32_t console_input_count, console_tick_count, console_room;
void (*pc_meanwhile)(void), (*pc_pool_core)(uint32_t core), (*pc_spins)(void);
jmp_buf pc_halt;
bool pc_halt_armed;

static jmp_buf idle;
static bool idle_armed;
static uint32_t steps;
static struct { uint32_t msr; uint64_t value[CORES]; } msrs[MSR_LIMIT];
static uint32_t msr_count;
static struct { uint32_t leaf; struct cpuid value; } leaves[32];
static uint32_t leaf_count;
static uint32_t ioapic_select;
static bool pending_nmi[CORES];

/* ---------------------------------------------------------------- the layout */

struct layout board;
struct layout_cpu board_cpus[CPUS];
struct layout_partition board_partitions[PARTITIONS];
_Alignas(4096) uint8_t ram[RAM_SIZE];
_Alignas(4096) uint8_t high_ram[HIGH_SIZE];

static _Alignas(4096) uint8_t stacks[CPUS][8192];
static _Alignas(4096) uint8_t vmm_pages[CPUS][2][4096];
static _Alignas(4096) uint8_t flight_ram[4096], spare_ram[4096];
static struct layout_memory linux_memory[2], flight_memory[1], spare_memory[1];
static struct layout_vcpu linux_vcpus[3], flight_vcpus[2], spare_vcpus[1];
static const uint32_t apic_ids[CORES] = { 0, 1, 18, 2, 19, 300 };
static const uint8_t bitmaps[3][2];

static const struct layout_device devices[] = {
    { { 0xfec00000 }, 0x1000, "/interrupt-controller@fec00000", LAYOUT_NO_PARTITION, 0, 0 },
    { { LAYOUT_PORTS + 0x60 }, 1, "/keyboard@60", FLIGHT, 0, 31 },
    { { LAYOUT_PORTS + 0x64 }, 1, "/keyboard@60", FLIGHT, 0, 31 },
    { { LAYOUT_PORTS + 0x2f8 }, 8, "/serial@2f8", LAYOUT_NO_PARTITION, 0, 0 } };

static const struct layout_out outs[] = {
    { 0x604, 2, 0x2000 }, { 0xcf9, 1, 0x12 }, { 0xcf9, 1, 6 }, { 0x64, 4, 0xdeadbeef } };

/* Leaves 0 to 7, then the hypervisor's two, then 0x80000000 to 0x80000001. */
static const struct layout_cpuid policies[12] = {
    [0] = { .keep = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX } },
    [1] = { .keep = { UINT32_MAX, UINT32_MAX, 0x00200201, 0x0f }, .set = { 0, 0, 1u << 31, 0 } },
    [7] = { .keep = { 0, 0x200, 0, 0 } },
    [8] = { .set = { 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d } },
    [9] = { .set = { 0x01000008, 0, 0, 0 } },
    [10] = { .keep = { UINT32_MAX, 0, 0, 0 } },
    [11] = { .keep = { 0, 0, ~4u, UINT32_MAX } } };

static const struct layout_msr msr_policies[] = {
    { 0x17, 0x17, LAYOUT_MSR_VALUE, LAYOUT_MSR_REFUSE, 0x123456789abcdef0 },
    { 0x200, 0x20f, LAYOUT_MSR_REFUSE, LAYOUT_MSR_IGNORE, 0 },
    { 0xc0010015, 0xc0010015, LAYOUT_MSR_VALUE, LAYOUT_MSR_IGNORE, 7 } };

static void build_cores(void)
{
    static const uint32_t owner[CORES] = { LINUX, LINUX, LINUX, FLIGHT, FLIGHT, SPARE };
    static const uint32_t index[CORES] = { 0, 1, 2, 0, 1, 0 };
    struct layout_vcpu *const vcpus[PARTITIONS] = { linux_vcpus, flight_vcpus, spare_vcpus };

    for (uint32_t i = 0; i < CPUS; i++) {
        board_cpus[i] = (struct layout_cpu){ .stack_top = (uint64_t)(uintptr_t)stacks[i] + 8192u,
                                             .vmm = { (uint64_t)(uintptr_t)vmm_pages[i] } };
    }
    for (uint32_t i = 0; i < CORES; i++) {
        board_cpus[i].apic_id = apic_ids[i];
        board_cpus[i].partition = (uint16_t)owner[i];
        board_cpus[i].vcpu = (uint16_t)index[i];
        vcpus[owner[i]][index[i]] = (struct layout_vcpu){ .apic_id = apic_ids[i], .cpu = i };
        board_partitions[owner[i]].pc.apic_ids[apic_ids[i] / 64u] |= UINT64_C(1) << (apic_ids[i] % 64u);
    }
}

static void native_cpu(void);

void pc_layout(void)
{
    native_cpu();
    pc_pool_core = NULL;
    pc_spins = NULL;
    board = (struct layout){
        .magic = LAYOUT_MAGIC, .version = LAYOUT_VERSION, .cpu_count = CORES, .partition_count = PARTITIONS,
        .device_count = ARRAY_COUNT(devices), .board = "board", .banner = "image", .hv_base = { 0x40000000 },
        .hv_size = 0x100000, .host_cr3 = HOST_CR3, .pa_bits = 36, .conduit = LAYOUT_CONDUIT_NONE, .console_irq = 1,
        .cpus = board_cpus, .partitions = board_partitions, .devices = devices,
        .pc = { .ioapic = { IOAPIC }, .ioapic_lines = LINES, .pit_line = PIT_LINE, .cpuid = policies,
                .msrs = msr_policies, .off = outs, .cpuid_basic = 8, .cpuid_hypervisor = 2, .cpuid_extended = 2,
                .msr_count = ARRAY_COUNT(msr_policies), .off_count = 1, .reset_count = 3, .pm_timer = PM_PORT,
                .vendor = LAYOUT_VENDOR_SVM },
        .uart = { .base = { 0x2f8 }, .width = 0, .intid = UART_LINE } };
    linux_memory[0] = (struct layout_memory){ { 0 }, { (uint64_t)(uintptr_t)ram }, RAM_SIZE };
    linux_memory[1] = (struct layout_memory){ { HIGH_RAM }, { (uint64_t)(uintptr_t)high_ram }, HIGH_SIZE };
    flight_memory[0] = (struct layout_memory){ { 0 }, { (uint64_t)(uintptr_t)flight_ram }, sizeof(flight_ram) };
    spare_memory[0] = (struct layout_memory){ { 0 }, { (uint64_t)(uintptr_t)spare_ram }, sizeof(spare_ram) };
    board_partitions[LINUX] = (struct layout_partition){
        .name = "linux", .nested = 0x111000, .asid = 1, .loader_cr3 = 0x1111000, .irq_mode = LAYOUT_IRQ_DIRECT,
        .entry = { 0x1000 }, .dtb = { 0xf0000 }, .vcpus = linux_vcpus, .memory = linux_memory, .vcpu_count = 3,
        .memory_count = 2, .vuart = { { VUART_PORT }, VUART_LINE, 0 }, .yaml_line = 4,
        .pc = { .io_bitmap = bitmaps[0], .msr_bitmap = &bitmaps[0][1], .lines = 1u << 9 | 1u << 10 } };
    board_partitions[FLIGHT] = (struct layout_partition){
        .name = "flight", .nested = 0x222000, .asid = 2, .loader_cr3 = 0x2222000, .irq_mode = LAYOUT_IRQ_DIRECT,
        .entry = { 0x2000 }, .dtb = { 0xf0000 }, .vcpus = flight_vcpus, .memory = flight_memory, .vcpu_count = 2,
        .memory_count = 1, .yaml_line = 20, .on_fault = LAYOUT_FAULT_RESTART,
        .pc = { .io_bitmap = bitmaps[1], .msr_bitmap = &bitmaps[1][1], .lines = 1u << 11 } };
    board_partitions[SPARE] = (struct layout_partition){
        .name = "spare", .nested = 0x333000, .asid = 3, .loader_cr3 = 0x3333000, .irq_mode = LAYOUT_IRQ_DIRECT,
        .entry = { 0x3000 }, .dtb = { 0xf0000 }, .vcpus = spare_vcpus, .memory = spare_memory, .vcpu_count = 1,
        .memory_count = 1, .yaml_line = 40, .on_fault = LAYOUT_FAULT_RESET_BOARD,
        .pc = { .io_bitmap = bitmaps[2], .msr_bitmap = &bitmaps[2][1] } };
    build_cores();
}

/* ---------------------------------------------------------------- registers */

static void step(void)
{
    if (++steps > STEP_LIMIT) {
        if (idle_armed) {
            longjmp(idle, 1);
        }
        fail_msg("it goes on for ever");
    }
}

uint64_t *pc_msr(uint32_t msr)
{
    for (uint32_t i = 0; i < msr_count; i++) {
        if (msrs[i].msr == msr) {
            return &msrs[i].value[core_now];
        }
    }
    assert_true(msr_count < MSR_LIMIT);
    msrs[msr_count].msr = msr;
    memset(msrs[msr_count].value, 0, sizeof(msrs[msr_count].value));
    return &msrs[msr_count++].value[core_now];
}

static uint32_t core_of(uint64_t apic_id)
{
    for (uint32_t i = 0; i < CORES; i++) {
        if (board_cpus[i].apic_id == apic_id) {
            return i;
        }
    }
    fail_msg("no core has APIC ID %lu", apic_id);
    return 0;
}

int pc_highest(const uint64_t *set)
{
    for (int vector = 255; vector >= 0; vector--) {
        if ((set[vector / 64] >> (vector % 64) & 1u) != 0) {
            return vector;
        }
    }
    return -1;
}

static void write_icr(uint64_t value)
{
    assert_true(sent_count < ARRAY_COUNT(sent));
    sent[sent_count++] = (struct sent){ core_now, value };
    assert_int_equal(value >> 18 & 3u, 0);  /* no shorthand: it would reach cores of others */
    assert_int_equal(value >> 11 & 1u, 0);
    if ((value >> 8 & 7u) == NMI_MODE) {
        pending_nmi[core_of(value >> 32)] = true;
    } else if (board_cpus[core_of(value >> 32)].pool != 0) {
        pc_irr[core_of(value >> 32)][(value & 0xffu) / 64u] |= UINT64_C(1) << (value & 63u);
    }
}

uint64_t fake_rdmsr(uint32_t msr)
{
    step();
    if (msr >= 0x810u && msr < 0x818u) {
        return (uint32_t)(pc_isr[core_now][(msr - 0x810u) / 2u] >> 32u * (msr % 2u));
    }
    if (msr >= 0x820u && msr < 0x828u) {
        return (uint32_t)(pc_irr[core_now][(msr - 0x820u) / 2u] >> 32u * (msr % 2u));
    }
    assert_int_not_equal(msr, MSR_X2APIC_ICR);
    return *pc_msr(msr);
}

void fake_wrmsr(uint32_t msr, uint64_t value)
{
    step();
    assert_true(msr_write_count < ARRAY_COUNT(msr_writes));
    msr_writes[msr_write_count++] = (struct msr_write){ core_now, msr, value };
    if (msr == MSR_X2APIC_ICR) {
        write_icr(value);
    } else if (msr == 0x80bu) {
        int vector = pc_highest(pc_isr[core_now]);

        assert_true(vector >= 0 && value == 0);
        if (!spurious(vector)) {
            pc_isr[core_now][vector / 64] &= ~(UINT64_C(1) << (vector % 64));
        }
    } else {
        *pc_msr(msr) = value;
    }
}

struct cpuid *pc_cpuid(uint32_t leaf)
{
    for (uint32_t i = 0; i < leaf_count; i++) {
        if (leaves[i].leaf == leaf) {
            return &leaves[i].value;
        }
    }
    assert_true(leaf_count < ARRAY_COUNT(leaves));
    leaves[leaf_count].leaf = leaf;
    leaves[leaf_count].value = (struct cpuid){ { 0 } };
    return &leaves[leaf_count++].value;
}

struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid value = *pc_cpuid(leaf);

    if (leaf == 0xbu) {
        value.reg[3] = apic_ids[core_now];
    } else if (leaf == 1) {
        value.reg[1] |= apic_ids[core_now] << 24;
    } else if (leaf == 0x8000001eu) {
        value.reg[0] = apic_ids[core_now];
    } else if (subleaf != 0) {
        value.reg[0] ^= subleaf;
    }
    return value;
}

uint64_t fake_rdtsc(void)
{
    step();
    if (pc_pause_at != 0 && --pc_pause_at == 0) {
        pc_tsc += pc_tsc_hz;  /* a second in which nothing ran */
    }
    return pc_tsc += pc_tsc_step;
}

uint64_t fake_read_cr3(void) { return pc_cr3[core_now]; }
uint64_t fake_read_cr4(void) { return pc_cr4[core_now]; }
void fake_write_cr3(uint64_t value) { pc_cr3[core_now] = value; }
void fake_write_cr4(uint64_t value) { pc_cr4[core_now] = value; }

static void elsewhere(void)
{
    uint32_t core = core_now;

    step();
    if (pc_meanwhile != NULL) {
        void (*call)(void) = pc_meanwhile;

        pc_meanwhile = NULL;  /* what it does may pause as well */
        call();
        pc_meanwhile = pc_meanwhile == NULL ? call : pc_meanwhile;
        (void)on(core);
    }
}

void fake_pause(void)
{
    if (pc_spins != NULL) {
        pc_spins();
    } else {
        elsewhere();
    }
}

void fake_instruction(const char *text)
{
    step();
    if (instruction_count < ARRAY_COUNT(instructions)) {
        (void)snprintf(instructions[instruction_count], sizeof(instructions[0]), "%s", text + (text[0] == '"'));
    }
    instruction_count++;
    if (strncmp(text, "\"cli; hlt", 9) == 0) {
        if (!pc_halt_armed) {
            fail_msg("halts");
        }
        longjmp(pc_halt, 1);
    }
}

bool did(const char *instruction)
{
    for (uint32_t i = 0; i < instruction_count && i < ARRAY_COUNT(instructions); i++) {
        if (strncmp(instructions[i], instruction, strlen(instruction)) == 0) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- ports and memory */

uint32_t fake_port_read(uint16_t port, uint32_t size)
{
    step();
    assert_int_equal(port, PM_PORT);
    assert_int_equal(size, 4);
    return (uint32_t)(pc_tsc / pc_tsc_hz * PM_HZ + pc_tsc % pc_tsc_hz * PM_HZ / pc_tsc_hz) | 0xa5000000u;
}

void fake_port_write(uint16_t port, uint32_t size, uint32_t value)
{
    assert_true(port_write_count < ARRAY_COUNT(port_writes));
    port_writes[port_write_count++] = (struct port_write){ port, size, value };
}

const struct port_write *port_wrote(uint16_t port)
{
    for (uint32_t i = port_write_count; i > 0; i--) {
        if (port_writes[i - 1].port == port) {
            return &port_writes[i - 1];
        }
    }
    return NULL;
}

uint64_t fake_mmio_read(uint64_t address, uint32_t size)
{
    assert_int_equal(address, IOAPIC + 0x10);
    assert_int_equal(size, 4);
    assert_in_range(ioapic_select, 0x10, 0x10 + 2 * LINES - 1);
    return pc_lines[ioapic_select - 0x10];
}

void fake_mmio_write(uint64_t address, uint32_t size, uint64_t value)
{
    step();
    assert_int_equal(size, 4);
    if (address == IOAPIC) {
        ioapic_select = (uint32_t)value;
        return;
    }
    assert_int_equal(address, IOAPIC + 0x10);
    assert_in_range(ioapic_select, 0x10, 0x10 + 2 * LINES - 1);
    /* A destination never changes under an open line: it would be sent to the old core with the new vector. */
    assert_true(ioapic_select % 2 == 0 || (pc_lines[ioapic_select - 0x11] & 1u << 16) != 0);
    pc_lines[ioapic_select - 0x10] = (uint32_t)value;
}

/* ---------------------------------------------------------------- what assembly does */

void svm_take_nmi(void)
{
    pending_nmi[core_now] = false;
    nmis_taken++;
}

void vmm_wait_nmi(void)
{
    elsewhere();
    if (!pending_nmi[core_now]) {
        if (!idle_armed) {
            fail_msg("core %u sleeps", core_now);
        }
        longjmp(idle, 1);
    }
    svm_take_nmi();
}

/* The handler of the hypervisor's own table ends what it takes at once. */
void vmm_take_interrupts(void)
{
    int vector = pc_highest(pc_irr[core_now]);

    step();
    assert_true(*pc_msr(0x80f) >> 8 & 1u);
    assert_true(vector >= 16);
    if (!pc_apic_stuck && *pc_msr(0x808) == 0 && pc_highest(pc_isr[core_now]) < vector) {
        pc_irr[core_now][vector / 64] &= ~(UINT64_C(1) << (vector % 64));
        pc_isr[core_now][vector / 64] |= spurious(vector) ? UINT64_C(1) << (vector % 64) : 0;
        taken_count++;
    }
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
    if (!pc_halt_armed) {
        fail_msg("panic: %s", said);
    }
    longjmp(pc_halt, 1);
}

bool console_put(uint32_t partition, uint8_t character)
{
    size_t used = strlen(said);

    (void)partition;
    if (console_room == 0) {
        return false;
    }
    console_room--;
    said[used] = (char)character;
    said[used + 1] = '\0';
    return true;
}

bool console_ready(uint32_t partition)
{
    (void)partition;
    return console_room != 0;
}

void console_input(void) { console_input_count++; }
void console_tick(void) { console_tick_count++; }

/* ---------------------------------------------------------------- power on */

struct cpu *on(uint32_t core)
{
    core_now = core;
    return cpu_at(core);
}

struct vmcb *vmcb_now(void)
{
    return cpu_at(core_now)->vmcb;
}

uint32_t nmis_for(uint32_t core)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < sent_count; i++) {
        count += (sent[i].value >> 8 & 7u) == NMI_MODE && sent[i].value >> 32 == apic_ids[core] ? 1u : 0;
    }
    return count;
}

bool nmi_waits(uint32_t core)
{
    return pending_nmi[core];
}

void pc_forget(void)
{
    sent_count = port_write_count = msr_write_count = instruction_count = taken_count = nmis_taken = 0;
    console_input_count = console_tick_count = steps = 0;
    said[0] = '\0';
}

static void native_cpu(void)
{
    leaf_count = 0;
    *pc_cpuid(0) = (struct cpuid){ { 0x0d, 0x68747541, 0x444d4163, 0x69746e65 } };
    *pc_cpuid(1) = (struct cpuid){ { 0x00a20f10, 0x00010800, 0xfffff7ff, 0xffffffff } };
    *pc_cpuid(7) = (struct cpuid){ { 0, 0x00100080, 4, 0 } };
    *pc_cpuid(0xb) = (struct cpuid){ { 1, 2, 0x100, 0 } };
    *pc_cpuid(0x80000000) = (struct cpuid){ { 0x8000001f, 0, 0, 0 } };
    *pc_cpuid(0x80000001) = (struct cpuid){ { 0, 0, 4, 0x2c100800 } };
    *pc_cpuid(0x80000008) = (struct cpuid){ { 0x3028, 0, 0, 0 } };
    *pc_cpuid(0x8000000a) = (struct cpuid){ { 1, 16, 0, 1 } };
}

static void core_power_on(uint32_t core)
{
    struct cpu *cpu = on(core);

    *pc_msr(MSR_APIC_BASE) = APIC_BASE_PAGE | APIC_BASE_ON | (core == 0 ? APIC_BASE_BSP : 0);
    *pc_msr(0x803) = 0x50014;  /* version; index of the last LVT entry */
    *pc_msr(0x80f) = 0xff;
    if (board_cpus[core].pool != 0) {
        pc_cr3[core] = HOST_CR3;
        pc_pool_core(core);
        return;
    }
    vcpu_init(&cpu->vcpu, core);
    cpu->apic_ids = cpu->vcpu.config->pc.apic_ids;
    cpu->apic_base = APIC_BASE_PAGE | APIC_BASE_ON | APIC_BASE_X2 | (cpu->vcpu.index == 0 ? APIC_BASE_BSP : 0);
    memset(cpu->vcpu.partition, 0, sizeof(struct partition));
    vmm_init(cpu);
}

void pc_reset(void)
{
    pc_layout();
    pc_power_on();
}

void pc_power_on(void)
{
    msr_count = 0;
    pc_tsc = 1000;
    pc_tsc_step = 10;
    pc_pause_at = 0;
    pc_tsc_hz = board.pc.tsc_hz = UINT64_C(1000000000);
    pc_meanwhile = NULL;
    pc_apic_stuck = idle_armed = pc_halt_armed = false;
    console_room = UINT32_MAX;
    memset(pc_irr, 0, sizeof(pc_irr));
    memset(pc_isr, 0, sizeof(pc_isr));
    memset(pc_cr3, 0, sizeof(pc_cr3));
    memset(pc_cr4, 0, sizeof(pc_cr4));
    memset(pending_nmi, 0, sizeof(pending_nmi));
    memset(stacks, 0, sizeof(stacks));
    for (uint32_t i = 0; i < CPUS; i++) {
        memset(vmm_pages[i], i < board.cpu_count ? 0xa5 : 0, sizeof(vmm_pages[i]));
    }
    memset(ram, 0, sizeof(ram));
    memset(high_ram, 0, sizeof(high_ram));
    for (uint32_t i = 0; i < 2u * LINES; i++) {
        pc_lines[i] = i % 2u == 0 ? 1u << 16 : 0;
    }
    pc_forget();
    for (uint32_t i = 0; i < board.cpu_count; i++) {
        core_power_on(i);
    }
    (void)on(0);
    clock_init();
    ioapic_init();
    partition_start_all();
    pc_forget();
}

bool comes_back(void (*call)(struct cpu *cpu, uint64_t value), struct cpu *cpu, uint64_t value)
{
    jmp_buf outer;
    bool back, outer_armed = idle_armed;  /* what other cores do meanwhile comes here, too */

    memcpy(&outer, &idle, sizeof(outer));
    steps = 0;
    idle_armed = true;
    if (setjmp(idle) == 0) {
        call(cpu, value);
        back = true;
    } else {
        back = false;
    }
    idle_armed = outer_armed;
    memcpy(&idle, &outer, sizeof(idle));
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

void pc_boot(void)
{
    pc_reset();
    for (uint32_t round = 0; round < 2; round++) {  /* the others wait; then the first ones start */
        for (uint32_t i = 0; i < CORES; i++) {
            if ((cpu_at(i)->vcpu.index == 0) == (round == 1)) {
                assert_int_equal(core_runs(i), round);
            }
        }
    }
    for (uint32_t i = 0; i < CORES; i++) {
        if (cpu_at(i)->vcpu.index != 0) {
            assert_true(vcpu_start(&cpu_at(i)->vcpu, 0x9000, START_BY_SIPI));
            assert_true(core_runs(i));
        }
    }
    memset(pending_nmi, 0, sizeof(pending_nmi));
    (void)on(0);
    pc_forget();
}
