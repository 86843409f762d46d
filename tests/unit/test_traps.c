/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/arm64/exits.c arch/arm64/traps.c arch/arm64/psci.c arch/arm64/vgic.c */
/* tests: arch/arm64/vgic_dist.c arch/arm64/vgic_redist.c arch/arm64/gicv3.c arch/arm64/cpu.c */
/* tests: arch/arm64/memory.c core/fault.c core/partition.c core/vuart.c ../tests/unit/machine.c */
#include "machine.h"

#include <arch/arm64/psci.h>
#include <arch/arm64/traps.h>
#include <hv/arch.h>
#include <hv/vuart.h>

#define PC         UINT64_C(0x40009000)
#define EC(esr_ec) ((uint64_t)(esr_ec) << 26 | ESR_IL)
#define XZR        31u

enum size { BYTE = 0, HALF, WORD, DOUBLE };

static int setup(void **state)
{
    (void)state;
    machine_boot();
    for (uint32_t core = 0; core < CORES; core++) {
        (void)on(core);
        REG(elr_el2) = PC;
        REG(vbar_el1) = 0x40008000;
    }
    (void)on(0);
    return 0;
}

static void fault_address(uint64_t ipa)
{
    REG(hpfar_el2) = (ipa >> 12) << 4;
    REG(far_el2) = UINT64_C(0xffff800000000000) | (ipa & 0xfffu);
}

static uint64_t load(enum size size, uint32_t reg)
{
    return EC(EC_DATA_ABORT_LOW) | ISS_ISV | (uint64_t)size << 22 | (uint64_t)reg << 16 | (size == DOUBLE ? ISS_SF : 0) |
           0x6;
}

static uint64_t store(enum size size, uint32_t reg)
{
    return load(size, reg) | ISS_WNR;
}

/* As vectors.S does it: x0..x18 by the short way. */
static void abort_to(struct cpu *cpu, uint64_t esr)
{
    if (bits(esr, 20, 16) <= 18) {
        trap_data_abort(cpu, esr);
    } else {
        trap_slow(cpu, esr);
    }
}

static bool access_returns(uint32_t core, uint64_t ipa, uint64_t esr)
{
    struct cpu *cpu = on(core);

    fault_address(ipa);
    return comes_back(abort_to, cpu, esr);
}

static void reads(uint64_t ipa, uint64_t esr, uint64_t expected)
{
    struct cpu *cpu = on(0);
    uint32_t reg = (uint32_t)bits(esr, 20, 16);

    REG(elr_el2) = PC;
    if (reg != XZR) {
        cpu->x[reg] = UINT64_C(0xdeadbeefdeadbeef);
    }
    assert_true(access_returns(0, ipa, esr));
    if (reg != XZR) {
        assert_int_equal(cpu->x[reg], expected);
    }
    assert_int_equal(REG(elr_el2), PC + 4);
}

/* ---------------------------------------------------------------- memory: emulated registers */

static void words_of_the_distributor(void **state)
{
    (void)state;
    cpu_at(0)->x[3] = UINT64_C(0xffffffff00000300);
    assert_true(access_returns(0, DIST + GICD_ISENABLER + 4, store(WORD, 3)));
    assert_int_equal(REG(elr_el2), PC + 4);
    reads(DIST + GICD_ISENABLER + 4, load(WORD, 0), 0x300);
    reads(DIST + GICD_ISENABLER + 4, load(WORD, 18), 0x300);
    reads(DIST + GICD_ISENABLER + 4, load(WORD, 19), 0x300);
    reads(DIST + GICD_ISENABLER + 4, load(WORD, 30), 0x300);
    reads(DIST + GICD_ISENABLER + 4, load(WORD, XZR), 0);
    cpu_at(0)->x[30] = 0x100;
    assert_true(access_returns(0, DIST + GICD_ICENABLER + 4, store(WORD, 30)));
    reads(DIST + GICD_ISENABLER + 4, load(WORD, 5), 0x200);
    assert_true(access_returns(0, DIST + GICD_ICENABLER + 4, store(WORD, XZR)));  /* writes 0 */
    reads(DIST + GICD_ISENABLER + 4, load(WORD, 5), 0x200);
}

static void bytes_halves_and_signs(void **state)
{
    (void)state;
    dist.priority[40] = 0x90;
    dist.priority[41] = 0x20;
    reads(DIST + GICD_IPRIORITYR + 40, load(BYTE, 1), 0x90);
    reads(DIST + GICD_IPRIORITYR + 41, load(BYTE, 1), 0x20);
    reads(DIST + GICD_IPRIORITYR + 40, load(HALF, 1), 0x2090);
    reads(DIST + GICD_IPRIORITYR + 40, load(BYTE, 1) | ISS_SSE, 0xffffff90);
    reads(DIST + GICD_IPRIORITYR + 40, load(BYTE, 1) | ISS_SSE | ISS_SF, UINT64_C(0xffffffffffffff90));
    reads(DIST + GICD_IPRIORITYR + 41, load(BYTE, 1) | ISS_SSE | ISS_SF, 0x20);
    cpu_at(0)->x[2] = UINT64_C(0xffffffffffffff66);
    assert_true(access_returns(0, DIST + GICD_IPRIORITYR + 41, store(BYTE, 2)));
    assert_int_equal(dist.priority[41], 0x66);
    assert_int_equal(dist.priority[40], 0x90);
}

/* LDRSW: a word into a register of 64 bits, its sign with it. */
static void signed_words(void **state)
{
    (void)state;
    assert_true(vgic_dist_write(on(0), GICD_IPRIORITYR + 40, 1, 0x90));
    dist.config[4] = 0xc0000000;
    reads(DIST + GICD_ICFGR + 16, load(WORD, 1), 0xc0000000);
    reads(DIST + GICD_ICFGR + 16, load(WORD, 20) | ISS_SSE | ISS_SF, UINT64_C(0xffffffffc0000000));
    reads(DIST + GICD_ICFGR + 16, load(WORD, 1) | ISS_SSE | ISS_SF, UINT64_C(0xffffffffc0000000));
}

static void doublewords(void **state)
{
    (void)state;
    cpu_at(0)->x[1] = 2;
    assert_true(access_returns(0, DIST + GICD_IROUTER + 8 * 40, store(DOUBLE, 1)));
    assert_int_equal(gic_route[40], 0x100);
    reads(DIST + GICD_IROUTER + 8 * 40, load(DOUBLE, 7), 2);
    reads(REDIST + GICR_TYPER + STRIDE, load(DOUBLE, 7), UINT64_C(1) << 32 | 1u << 8);
    reads(REDIST + GICR_TYPER + 2 * STRIDE, load(DOUBLE, 7), UINT64_C(2) << 32 | 2u << 8 | 1u << 4);
}

static void the_vuart(void **state)
{
    (void)state;
    cpu_at(0)->x[1] = UINT64_C(0x1100) | 'h';
    assert_true(access_returns(0, VUART_BASE, store(WORD, 1)));
    assert_true(access_returns(0, VUART_BASE, store(BYTE, 1)));
    assert_string_equal(said, "hh");
    reads(VUART_BASE + 0x18, load(HALF, 1), 0x90);
    reads(VUART_BASE + 0xff0, load(WORD, 1), 0x0d);
}

/* ---------------------------------------------------------------- memory: faults */

/* The access stops the partition: this core reports, waits, and is counted. */
static void faults(uint32_t core, uint64_t ipa, uint64_t esr, const char *words)
{
    machine_forget();
    board_partitions[cpu_at(core)->vcpu.config - layout.partitions].on_fault = LAYOUT_FAULT_STOP;
    assert_false(access_returns(core, ipa, esr));
    if (strstr(said, words) == NULL) {
        fail_msg("'%s' is not in: %s", words, said);
    }
    assert_true(vcpu_must_halt(arch_vcpu(core)) || cpu_at(core)->vcpu.partition->run == PARTITION_STOPPED);
    machine_boot();
    (void)on(core);
    REG(elr_el2) = PC;
}

static void a_fault_says_who_what_where(void **state)
{
    char words[200];
    uint64_t esr = store(WORD, 4);

    (void)state;
    cpu_at(5)->x[4] = UINT64_C(0x12345678);
    (void)snprintf(words, sizeof(words),
                   "FAULT spare, vcpu 0: write to 0x9010018 (4 bytes), value 0x12345678, pc 0x40009000, syndrome 0x%lx\n"
                   "  there lies /pl031@9010000, which system.yaml:31 gives to flight\n"
                   "  on-fault: it is stopped\n", esr);
    faults(5, 0x9010018, esr, words);
    faults(5, 0x9010020, load(BYTE, 4), "read of 0x9010020 (1 bytes), pc 0x40009000");
    faults(5, 0x9030000, load(DOUBLE, 4), "there lies /pl061@9030000, which system.yaml gives to nobody");
    faults(0, 0x3fffffff, load(BYTE, 25), "nothing is mapped there; its RAM is 0x40000000 to 0x4000ffff (system.yaml:4)\n"
           "  nothing is mapped there; its RAM is 0x80000000 to 0x80000fff (system.yaml:4)");
}

static void what_no_register_explains(void **state)
{
    uint64_t plain = EC(EC_DATA_ABORT_LOW) | 0x6;

    (void)state;
    faults(0, 0x70000010, plain, "read of 0x70000010, pc");
    faults(0, 0x70000010, plain | ISS_WNR, "write to 0x70000010, pc");
    faults(0, DIST + 0x100, plain, "a pair, vector, exclusive or write-back instruction on the emulated register 0x8000100");
    faults(0, VUART_BASE, plain | ISS_WNR, "a pair, vector, exclusive or write-back instruction");
    faults(0, REDIST + 0x8, plain, "a pair, vector, exclusive or write-back instruction");
    faults(5, VUART_BASE, plain, "read of 0x9000000");  /* it has no vUART */
    faults(0, 0x70000000, plain | ISS_S1PTW, "its page tables lie at 0x70000000");
    faults(0, DIST + 0x104, load(WORD, 0) | ISS_S1PTW, "its page tables lie at 0x8000000 ");
}

static void frames_of_no_vcpu(void **state)
{
    (void)state;
    faults(5, REDIST + STRIDE, load(WORD, 1), "read of 0x80c0000 (4 bytes)");
    faults(3, REDIST + 2 * STRIDE + 0x14, store(WORD, 1), "write to 0x80e0014");
    faults(0, REDIST - 4, load(WORD, 1), "read of 0x809fffc");
    faults(0, DIST - 4, load(WORD, 1), "read of 0x7fffffc");
    faults(0, DIST + 0x10000, load(WORD, 1), "read of 0x8010000");
}

static void sizes_that_no_register_has(void **state)
{
    (void)state;
    faults(0, DIST + GICD_ISENABLER, load(DOUBLE, 1), "read of 0x8000100 (8 bytes)");
    faults(0, DIST + GICD_ISENABLER + 4, store(BYTE, 1), "write to 0x8000104 (1 bytes)");
    faults(0, DIST + GICD_ISENABLER + 2, load(WORD, 1), "read of 0x8000102 (4 bytes)");
    faults(0, VUART_BASE + 2, load(WORD, 1), "read of 0x9000002");
}

static void an_instruction_fetch(void **state)
{
    (void)state;
    fault_address(0x70000004);
    assert_false(comes_back(trap_slow, on(0), EC(EC_INST_ABORT_LOW) | 0x6));
    assert_non_null(strstr(said, "FAULT linux, vcpu 0: instruction fetch from 0x70000004, pc 0x40009000"));
}

static void on_fault_restart(void **state)
{
    (void)state;
    board_partitions[SPARE].on_fault = LAYOUT_FAULT_RESTART;
    assert_true(access_returns(5, 0x70000000, load(WORD, 1)));  /* back in the guest: at its entry */
    assert_non_null(strstr(said, "on-fault: it is restarted\nspare restarts\n"));
    assert_int_equal(REG(elr_el2), 0x40008000);
    assert_int_equal(cpu_at(5)->x[0], 0x40000000);
}

static void on_fault_reset_board(void **state)
{
    (void)state;
    board_partitions[SPARE].on_fault = LAYOUT_FAULT_RESET_BOARD;
    assert_false(access_returns(5, 0x70000000, load(WORD, 1)));
    assert_int_equal(machine_firmware_count, 1);
    assert_int_equal(machine_firmware[0], PSCI_SYSTEM_RESET);
    assert_non_null(strstr(said, "the firmware refused to reset the board; spare is stopped"));
    assert_non_null(strstr(said, "spare is stopped\n"));
}

static void serror_and_fiq(void **state)
{
    (void)state;
    assert_false(comes_back(trap_serror, on(0), EC(EC_SERROR) | 2));
    assert_non_null(strstr(said, "FAULT linux, vcpu 0: caused an SError"));
    machine_boot();
    assert_false(comes_back(trap_slow, on(5), EC(EC_SERROR)));
    assert_non_null(strstr(said, "FAULT spare, vcpu 0: caused an SError"));
}

/* A core whose partition is to stop: its next fault is that, and not one to report. */
static void a_withdrawn_stage_2_is_no_fault(void **state)
{
    (void)state;
    partition_request(&board_partitions[FLIGHT], REQUEST_STOP);
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(board_partitions[FLIGHT].root[i] & 1u, 0);
    }
    assert_true(machine_did("tlbi vmalls12e1is"));
    assert_false(access_returns(4, 0x40000000, load(WORD, 1)));
    fault_address(0x40000000);
    assert_false(comes_back(trap_slow, on(3), EC(EC_INST_ABORT_LOW) | 0x5));
    assert_null(strstr(said, "FAULT"));
    assert_non_null(strstr(said, "flight is stopped"));
    assert_int_equal(board_partitions[FLIGHT].root[0], 0x40280003);
    assert_int_equal(board_partitions[FLIGHT].root[1], 0);
}

/* ---------------------------------------------------------------- system registers */

static uint64_t msr(uint32_t op0, uint32_t op1, uint32_t crn, uint32_t crm, uint32_t op2, uint32_t reg)
{
    return EC(EC_SYSREG) | (uint64_t)op0 << 20 | (uint64_t)op2 << 17 | (uint64_t)op1 << 14 | (uint64_t)crn << 10 |
           (uint64_t)reg << 5 | (uint64_t)crm << 1;
}

static void system_register(uint32_t core, uint64_t esr)
{
    assert_true(comes_back(trap_slow, on(core), esr));
}

static void the_interfaces_registers_of_a_direct_guest(void **state)
{
    struct cpu *cpu = on(3);

    (void)state;
    cpu->x[1] = 0xf0;
    system_register(3, msr(3, 0, 4, 6, 0, 1));                  /* ICC_PMR_EL1 */
    assert_int_equal(REG(S3_0_C4_C6_0), 0xf0);
    system_register(3, msr(3, 0, 4, 6, 0, 9) | 1);
    assert_int_equal(cpu->x[9], 0xf0);
    system_register(3, msr(3, 0, 4, 6, 0, XZR) | 1);
    cpu->x[2] = 2;
    system_register(3, msr(3, 0, 12, 12, 4, 2));                /* ICC_CTLR_EL1 */
    assert_int_equal(REG(S3_0_C12_C12_4), 2);
    REG(S3_0_C12_C11_3) = 0x80;
    system_register(3, msr(3, 0, 12, 11, 3, 4) | 1);            /* ICC_RPR_EL1 */
    assert_int_equal(cpu->x[4], 0x80);
    assert_int_equal(REG(elr_el2), PC + 5 * 4);
}

static void deactivation_of_its_own_interrupts_only(void **state)
{
    static const uint32_t own[] = { 0, 15, 27, 50, 1019 }, foreign[] = { 25, 26, 30, 40, 60, 79, 1020, 1023, 8192 };
    struct cpu *cpu = on(3);

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(own); i++) {
        cpu->x[0] = own[i];
        system_register(3, msr(3, 0, 12, 11, 1, 0));
        assert_int_equal(REG(S3_0_C12_C11_1), own[i]);
    }
    REG(S3_0_C12_C11_1) = 7777;
    for (uint32_t i = 0; i < ARRAY_COUNT(foreign); i++) {
        cpu->x[0] = foreign[i];
        system_register(3, msr(3, 0, 12, 11, 1, 0));
        assert_int_equal(REG(S3_0_C12_C11_1), 7777);
    }
}

static void sgis_by_every_register(void **state)
{
    struct cpu *cpu = on(3);

    (void)state;
    cpu->x[0] = UINT64_C(4) << 24 | 2;
    for (uint32_t op2 = 5; op2 < 8; op2++) {
        machine_forget();
        system_register(3, msr(3, 0, 12, 11, op2, 0));
        assert_int_equal(sgi_count, 1);
        assert_int_equal(machine_sgi_cores(sgis[0].value), 1u << 4);
    }
    machine_forget();
    REG(elr_el2) = PC;
    trap_sgi1r(cpu, UINT64_C(4) << 24 | 2);
    assert_int_equal(sgi_count, 1);
    assert_int_equal(REG(elr_el2), PC + 4);
}

static void actlr_is_as_if_it_were_empty(void **state)
{
    (void)state;
    cpu_at(0)->x[6] = 77;
    system_register(0, msr(3, 0, 1, 0, 1, 6));
    system_register(0, msr(3, 0, 1, 0, 1, 6) | 1);
    assert_int_equal(cpu_at(0)->x[6], 0);
    assert_int_equal(REG(elr_el2), PC + 8);
}

static void unknown_registers_are_undefined(void **state)
{
    static const struct { uint64_t spsr, offset; } modes[] = {
        { 0x3c5, 0x200 }, { 0x5, 0x200 }, { 0x4, 0 }, { 0x0, 0x400 }, { 0x10, 0x600 }, { 0x60000000, 0x400 } };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(modes); i++) {
        REG(elr_el2) = PC;
        REG(spsr_el2) = modes[i].spsr;
        system_register(0, i % 2 == 0 ? msr(3, 0, 11, 0, 2, 1) : EC(EC_UNKNOWN));
        assert_int_equal(REG(elr_el2), 0x40008000 + modes[i].offset);
        assert_int_equal(REG(elr_el1), PC);
        assert_int_equal(REG(spsr_el1), modes[i].spsr);
        assert_int_equal(REG(esr_el1), ESR_IL);
        assert_int_equal(REG(spsr_el2), SPSR_EL1H_MASKED);
    }
    assert_string_equal(said, "");
}

/* ---------------------------------------------------------------- calls and interrupts */

static void calls(void **state)
{
    struct cpu *cpu = on(0);

    (void)state;
    cpu->x[0] = PSCI_VERSION;
    trap_smccc(cpu, EC(EC_HVC64));
    assert_int_equal(cpu->x[0], 0x10001);
    assert_int_equal(REG(elr_el2), PC);
    cpu->x[0] = PSCI_VERSION;
    trap_smccc(cpu, EC(EC_SMC64));
    assert_int_equal(REG(elr_el2), PC + 4);
    cpu->x[0] = SMCCC_VERSION;
    trap_smccc(cpu, EC(EC_HVC64));
    assert_int_equal(cpu->x[0], 0x10001);
    cpu->x[0] = 0x8400ffff;
    trap_smccc(cpu, EC(EC_HVC64));
    assert_int_equal(cpu->x[0], PSCI_NOT_SUPPORTED);
    assert_int_equal(smc_count, 0);
}

static void interrupts(struct cpu *cpu, uint64_t unused)
{
    (void)unused;
    trap_irq(cpu);
}

static void a_kick_carries_requests_out(void **state)
{
    (void)state;
    machine_raise(5, 27);
    assert_true(comes_back(interrupts, on(5), 0));
    assert_int_equal(guest_take(), 27);
    partition_request(&board_partitions[SPARE], REQUEST_RESTART);
    machine_raise(5, GIC_KICK_VIRTUAL);
    assert_true(comes_back(interrupts, on(5), 0));
    assert_non_null(strstr(said, "spare restarts"));
    assert_int_equal(guest_take(), 1023);
    partition_request(&board_partitions[SPARE], REQUEST_STOP);
    machine_raise(5, GIC_KICK_VIRTUAL);
    assert_false(comes_back(interrupts, on(5), 0));
    assert_non_null(strstr(said, "spare is stopped"));
}

static void the_hypervisors_own_exceptions(void **state)
{
    (void)state;
    expect_halt(trap_own(0, 0x96000046, 0x40200100, 0xdead));
    assert_non_null(strstr(said, "the hypervisor itself took exception 0: pc 0x40200100, syndrome "
                                 "0x96000046, address 0xdead"));
    for (uint64_t vector = 0; vector < 16; vector++) {
        expect_halt(trap_own(vector, 0, 0, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(words_of_the_distributor, setup),
        cmocka_unit_test_setup(bytes_halves_and_signs, setup),
        cmocka_unit_test_setup(signed_words, setup),
        cmocka_unit_test_setup(doublewords, setup),
        cmocka_unit_test_setup(the_vuart, setup),
        cmocka_unit_test_setup(a_fault_says_who_what_where, setup),
        cmocka_unit_test_setup(what_no_register_explains, setup),
        cmocka_unit_test_setup(frames_of_no_vcpu, setup),
        cmocka_unit_test_setup(sizes_that_no_register_has, setup),
        cmocka_unit_test_setup(an_instruction_fetch, setup),
        cmocka_unit_test_setup(on_fault_restart, setup),
        cmocka_unit_test_setup(on_fault_reset_board, setup),
        cmocka_unit_test_setup(serror_and_fiq, setup),
        cmocka_unit_test_setup(a_withdrawn_stage_2_is_no_fault, setup),
        cmocka_unit_test_setup(the_interfaces_registers_of_a_direct_guest, setup),
        cmocka_unit_test_setup(deactivation_of_its_own_interrupts_only, setup),
        cmocka_unit_test_setup(sgis_by_every_register, setup),
        cmocka_unit_test_setup(actlr_is_as_if_it_were_empty, setup),
        cmocka_unit_test_setup(unknown_registers_are_undefined, setup),
        cmocka_unit_test_setup(calls, setup),
        cmocka_unit_test_setup(a_kick_carries_requests_out, setup),
        cmocka_unit_test_setup(the_hypervisors_own_exceptions, setup),
    };

    return cmocka_run_group_tests_name("traps", tests, NULL, NULL);
}
