/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/pool_exits.c arch/x86/pool.c arch/x86/timer.c arch/x86/time.c arch/x86/vapic.c arch/x86/ioapic_shared.c */
/* tests: arch/x86/xcr0.c */
/* tests: arch/x86/svm/shared.c arch/x86/svm/svm.c arch/x86/core.c arch/x86/apic.c arch/x86/icr.c arch/x86/clock.c */
/* tests: arch/x86/access.c arch/x86/msr.c arch/x86/state.c arch/x86/insn.c arch/x86/exits.c arch/x86/memory.c arch/x86/ioapic.c */
/* tests: core/pool.c core/sched_rtds.c core/sched_arinc.c core/partition.c core/fault.c core/vuart_16550.c */
/* tests: ../tests/unit/pc.c ../tests/unit/pc_pools.c ../tests/unit/pools.c ../tests/unit/threads.c */
/* with: POOLS ARINC653 CHANNELS */
/* What a guest of a pool sees of its CPU and of its local APIC, by the exits that it makes. */
#include "pc_pools.h"

#include <arch/x86/pool.h>

#define EXIT_CR8     0x18u
#define EXIT_XSETBV  0x8du
#define EVENT_GP     UINT64_C(0x80000b0d)
#define RIP          UINT64_C(0x100)
#define X2(reg)      (MSR_X2APIC + (reg))
#define EOI          X2(0x0bu)
#define SVR          X2(0x0fu)
#define TPR          X2(0x08u)
#define ICR          X2(0x30u)
#define LVT_TIMER    X2(0x32u)
#define FIXED        UINT64_C(0x4000)
#define RFLAGS_IF    (UINT64_C(1) << 9)
#define BASIC        0x20u
#define EXTENDED     0x20u

static struct layout_cpuid everything[BASIC + 2u + EXTENDED];

/* Guests see the CPU as it is: what is different is the pool's doing. */
static void whole_cpu(void)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(everything); i++) {
        everything[i] = (struct layout_cpuid){ .keep = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX } };
    }
    board.pc.cpuid = everything;
    board.pc.cpuid_basic = BASIC;
    board.pc.cpuid_extended = EXTENDED;
}

static int setup(void **state)
{
    (void)state;
    pools_boot(whole_cpu);
    has_core(FIRST, FLIGHT_0);
    return 0;
}

static uint64_t *reg(uint32_t number)
{
    return &guest_of(FIRST)->reg[number];
}

/* The guest on the first core makes an exit and stays there. */
static void exits(uint64_t code, uint64_t info)
{
    vmcb_of_guest(FIRST)->rip = RIP;
    vmcb_of_guest(FIRST)->exit_info_1 = info;
    assert_int_equal(guest_exits(FIRST, code), IN_GUEST);
    assert_int_equal(thread_of(FIRST), FLIGHT_0);
}

static void cpuid_of(uint32_t leaf, uint32_t subleaf)
{
    vmcb_of_guest(FIRST)->rax = UINT64_C(0xaaaaaaaa00000000) | leaf;
    *reg(RCX) = UINT64_C(0xcccccccc00000000) | subleaf;
    *reg(RBX) = *reg(RDX) = UINT64_MAX;
    exits(GUEST_CPUID, 0);
    assert_int_equal(vmcb_of_guest(FIRST)->rip, RIP + 2);
}

static void assert_leaf(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    assert_int_equal(vmcb_of_guest(FIRST)->rax, a);
    assert_int_equal(*reg(RBX), b);
    assert_int_equal(*reg(RCX), c);
    assert_int_equal(*reg(RDX), d);
}

static bool wrmsr_of(uint32_t msr, uint64_t value)
{
    vmcb_of_guest(FIRST)->rax = UINT64_C(0xbbbbbbbb00000000) | (uint32_t)value;
    *reg(RCX) = UINT64_C(0xcccccccc00000000) | msr;
    *reg(RDX) = UINT64_C(0xdddddddd00000000) | value >> 32;
    exits(GUEST_MSR, 1);
    if (vmcb_of_guest(FIRST)->rip == RIP) {
        assert_int_equal(vmcb_of_guest(FIRST)->event_injection, EVENT_GP);
        return false;
    }
    assert_int_equal(vmcb_of_guest(FIRST)->rip, RIP + 2);
    return true;
}

static bool rdmsr_of(uint32_t msr, uint64_t *value)
{
    vmcb_of_guest(FIRST)->rax = *reg(RDX) = UINT64_C(0x5555555555555555);
    *reg(RCX) = msr;
    exits(GUEST_MSR, 0);
    *value = *reg(RDX) << 32 | (uint32_t)vmcb_of_guest(FIRST)->rax;
    if (vmcb_of_guest(FIRST)->rip == RIP) {
        assert_int_equal(vmcb_of_guest(FIRST)->event_injection, EVENT_GP);
        assert_int_equal(vmcb_of_guest(FIRST)->rax, UINT64_C(0x5555555555555555));
        return false;
    }
    assert_int_equal((vmcb_of_guest(FIRST)->rax | *reg(RDX)) >> 32, 0);
    return true;
}

static uint64_t reads(uint32_t msr)
{
    uint64_t value;

    assert_true(rdmsr_of(msr, &value));
    return value;
}

/* ---------------------------------------------------------------- CPUID */

static void a_vcpu_is_known_by_its_index(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= LAYOUT_MAX_VCPUS; count++) {
        uint32_t width = 0;

        while (1u << width < count) {
            width++;
        }
        board_partitions[FLIGHT].vcpu_count = count;
        guest_of(FIRST)->vcpu.index = count - 1u;
        cpuid_of(1, 0);
        assert_int_equal(*reg(RBX) & 0xffffffffu, (count - 1u) << 24 | count << 16 | 0x0800);
        cpuid_of(0xb, 0);                                /* threads: one of each core */
        assert_leaf(0, 1, 0x100, count - 1u);
        cpuid_of(0xb, 1);                                /* cores of the package */
        assert_leaf(width, count, 0x201, count - 1u);
        cpuid_of(0xb, 2);
        assert_leaf(0, 0, 2, count - 1u);
        cpuid_of(0x1f, 0);
        assert_leaf(0, 0, 0, 0);
        cpuid_of(0x80000008, 0);
        assert_int_equal(*reg(RCX), width << 12 | (count - 1u));
        cpuid_of(0x8000001e, 0);
        assert_leaf(count - 1u, count - 1u, 0, 0);
    }
    board_partitions[FLIGHT].vcpu_count = 2;
    guest_of(FIRST)->vcpu.index = 0;
}

static void caches_are_shared_with_nobody(void **state)
{
    (void)state;
    *pc_cpuid(4) = (struct cpuid){ { 0xfc0fc143, 0x01c0003f, 0x3f, 0 } };
    cpuid_of(4, 0);
    assert_leaf(0x143, 0x01c0003f, 0x3f, 0);             /* nor are there other cores in the package */
    *pc_cpuid(0x8000001d) = (struct cpuid){ { 0x0001c121, 0x01c0003f, 0x3f, 0 } };
    cpuid_of(0x8000001d, 0);
    assert_leaf(0x121, 0x01c0003f, 0x3f, 0);
}

static void deadlines_are_there_on_any_cpu(void **state)
{
    (void)state;
    pc_cpuid(1)->reg[2] &= ~(1u << 24);
    cpuid_of(1, 0);
    assert_true((*reg(RCX) >> 24 & 1u) != 0);
}

/* State that switches do not move is not there. */
static void extended_state_is_what_a_switch_moves(void **state)
{
    (void)state;
    *pc_cpuid(0xd) = (struct cpuid){ { 0x602ff, 2696, 11008, 0 } };
    cpuid_of(0xd, 0);
    assert_leaf(0x2ff, 2696, 11008, 0);
    pc_cpuid(0xd)->reg[0] = 0x1f ^ 1u;                   /* the machine flips the bits of the subleaf */
    cpuid_of(0xd, 1);
    assert_int_equal(vmcb_of_guest(FIRST)->rax, 0xf);    /* without XFD */
    for (uint32_t part = 2; part < 63; part++) {
        pc_cpuid(0xd)->reg[0] = 64u ^ part;
        cpuid_of(0xd, part);
        if (part <= 7 || part == 9) {
            assert_leaf(64, 2696, 11008, 0);
        } else {
            assert_leaf(0, 0, 0, 0);
        }
    }
}

static void xcr0_is_what_a_switch_moves(void **state)
{
    (void)state;
    *pc_cpuid(0xd) = (struct cpuid){ { 0x602ff, 2696, 11008, 0 } };
    for (uint32_t bits = 0; bits < 0x800; bits++) {
        uint32_t value = (bits & 0x3ffu) | (bits & 0x400u ? 0x60000u : 0);
        bool avx = (value & 4u) != 0, sse = (value & 2u) != 0;
        bool good = (value & 1u) != 0 && (!avx || sse) && (value & ~0x2ffu) == 0 &&
                    ((value & 0x18u) == 0 || (value & 0x18u) == 0x18u) &&
                    ((value & 0xe0u) == 0 || ((value & 0xe0u) == 0xe0u && avx));

        vmcb_of_guest(FIRST)->rax = value;
        *reg(RCX) = *reg(RDX) = 0;
        pc_forget();
        exits(EXIT_XSETBV, 0);
        assert_int_equal(vmcb_of_guest(FIRST)->rip, good ? RIP + 3 : RIP);
        assert_int_equal(vmcb_of_guest(FIRST)->event_injection, good ? 0 : EVENT_GP);
        assert_int_equal(did("xsetbv"), good);
    }
    vmcb_of_guest(FIRST)->rax = 7;
    *reg(RCX) = 1;                                       /* no other register */
    exits(EXIT_XSETBV, 0);
    assert_int_equal(vmcb_of_guest(FIRST)->event_injection, EVENT_GP);
}

/* ---------------------------------------------------------------- the local APIC */

/* Whatever the guest reads and writes there, the core's own is not touched. */
static void it_is_not_the_cores(void **state)
{
    uint64_t value;

    (void)state;
    assert_int_equal(reads(X2(2)), 0);
    assert_true(wrmsr_of(SVR, 0x1ff));
    assert_int_equal(reads(SVR), 0x1ff);
    pc_forget();
    for (uint32_t msr = 0x800; msr < 0x900; msr++) {
        if (msr != ICR) {
            (void)wrmsr_of(msr, 0x80);
            (void)rdmsr_of(msr, &value);
        }
    }
    for (uint32_t i = 0; i < msr_write_count; i++) {
        assert_true(msr_writes[i].msr == MSR_TSC_DEADLINE);  /* the core's timer, for what the guest's is set to */
    }
    assert_false(rdmsr_of(X2(0x01), &value));
    assert_false(wrmsr_of(X2(2), 1));
    assert_false(rdmsr_of(0x8ff, &value));
    assert_int_equal(reads(0x17), UINT64_C(0x123456789abcdef0));  /* other MSRs as for every guest */
    assert_false(wrmsr_of(0x17, 0));
    assert_true(wrmsr_of(0x200, 1));
}

static void enable(void)
{
    assert_true(wrmsr_of(SVR, 0x1ff));
    vmcb_of_guest(FIRST)->rflags |= RFLAGS_IF;
}

static void messages_to_itself(void **state)
{
    (void)state;
    enable();
    assert_true(wrmsr_of(X2(0x3f), 0x41));
    assert_int_equal(enters_with(FIRST), 0x41);
    assert_true(wrmsr_of(EOI, 0));
    assert_int_equal(enters_with(FIRST), 0);
    assert_true(wrmsr_of(ICR, UINT64_C(1) << 18 | FIXED | 0x42));
    assert_int_equal(enters_with(FIRST), 0x42);
    assert_int_equal(reads(ICR), UINT64_C(1) << 18 | FIXED | 0x42);
    assert_false(wrmsr_of(EOI, 1));
    assert_true(wrmsr_of(EOI, 0));
    assert_true(wrmsr_of(ICR, FIXED | 0x43));            /* its APIC ID is its index */
    assert_int_equal(enters_with(FIRST), 0x43);
    assert_int_equal(sent_count, 0);                     /* all of it without a physical message */
}

static void what_it_cannot_take_yet_waits(void **state)
{
    struct vmcb *vmcb = vmcb_of_guest(FIRST);

    (void)state;
    enable();
    vmcb->rflags &= ~RFLAGS_IF;
    assert_true(wrmsr_of(X2(0x3f), 0x41));
    assert_int_equal(enters_with(FIRST), 0);
    assert_true((vmcb->interrupt_control & V_IRQ) != 0);  /* as soon as it can, without an exit */
    assert_true((vmcb->intercept_1 >> 4 & 1u) == 0);
    vmcb->interrupt_shadow = 1;
    vmcb->rflags |= RFLAGS_IF;
    assert_true(wrmsr_of(X2(0x3f), 0x32));               /* less urgent */
    assert_int_equal(enters_with(FIRST), 0);
    vmcb->interrupt_shadow = 0;
    assert_int_equal(enters_with(FIRST), 0x41);
    vmcb->rflags &= ~RFLAGS_IF;
    assert_true(wrmsr_of(X2(0x3f), 0x52));               /* more urgent: it comes first, and 0x41 is not lost */
    vmcb->rflags |= RFLAGS_IF;
    assert_int_equal(enters_with(FIRST), 0x52);
    assert_int_equal(reads(X2(0x10) + 2), 1u << 18);     /* in service, once the guest has taken it */
    assert_true(wrmsr_of(EOI, 0));
    assert_int_equal(enters_with(FIRST), 0x41);
    assert_true(wrmsr_of(EOI, 0));
    assert_int_equal(enters_with(FIRST), 0x32);
    assert_true(wrmsr_of(EOI, 0));
    assert_int_equal(enters_with(FIRST), 0);
    assert_true((vmcb->interrupt_control & V_IRQ) == 0);
}

static void the_priority_is_cr8s(void **state)
{
    static const uint8_t cr8_from_rbx[] = { 0x44, 0x0f, 0x22, 0xc3 }, cr8_from_r9[] = { 0xf0, 0x41, 0x0f, 0x22, 0xc1 };
    struct vmcb *vmcb = vmcb_of_guest(FIRST);
    uint8_t *code = (uint8_t *)(uintptr_t)(board_partitions[FLIGHT].memory[0].pa.raw + RIP);

    (void)state;
    enable();
    assert_true(wrmsr_of(TPR, 0x50));
    assert_int_equal(vmcb->interrupt_control & 0xffu, 5);
    assert_true(wrmsr_of(X2(0x3f), 0x51));
    assert_int_equal(enters_with(FIRST), 0);
    memcpy(code, cr8_from_rbx, sizeof(cr8_from_rbx));
    *reg(RBX) = 4;
    exits(EXIT_CR8, 0);
    assert_int_equal(vmcb->rip, RIP + 4);
    assert_int_equal(enters_with(FIRST), 0x51);
    assert_int_equal(reads(TPR), 0x40);
    memcpy(code, cr8_from_r9, sizeof(cr8_from_r9));
    *reg(9) = 15;
    exits(EXIT_CR8, 0);
    assert_int_equal(vmcb->rip, RIP + 5);
    assert_int_equal(reads(TPR), 0xf0);
    assert_int_equal(vmcb->interrupt_control & 0xffu, 15);
    *reg(9) = 16;
    exits(EXIT_CR8, 0);
    assert_int_equal(vmcb->event_injection, EVENT_GP);
    assert_int_equal(reads(TPR), 0xf0);
    code[4] = 0x90;                                      /* neither of the two forms */
    code[2] = 0x90;
    exits(EXIT_CR8, 0);
    assert_int_equal(vmcb->event_injection, EVENT_GP);
}

static void its_timer_comes_on_time(void **state)
{
    uint64_t at;

    (void)state;
    enable();
    assert_true(wrmsr_of(LVT_TIMER, 0x40000 | 0x60));
    at = pc_tsc + 100000;
    assert_true(wrmsr_of(MSR_TSC_DEADLINE, at));
    assert_int_equal(reads(MSR_TSC_DEADLINE), at);
    assert_int_equal(timer_of(FIRST), at);
    assert_int_equal(time_passes(FIRST, 99000), IN_GUEST);
    assert_int_equal(enters_with(FIRST), 0);
    assert_int_equal(time_passes(FIRST, 2000), IN_GUEST);
    assert_int_equal(enters_with(FIRST), 0x60);
    assert_int_equal(reads(MSR_TSC_DEADLINE), 0);
    assert_true(timer_of(FIRST) > at);                   /* and the scheduler's own is set again */
    assert_true(timer_of(FIRST) < at + 10 * MS);
}

static void messages_to_a_sibling_wake_it(void **state)
{
    (void)state;
    assert_int_equal(thread_of(SECOND), SECOND);         /* nobody: the second vcpu has not been started */
    assert_true(wrmsr_of(ICR, UINT64_C(1) << 32 | 0x4600 | 0x09));
    assert_int_equal(core_goes_on(SECOND), IN_GUEST);
    assert_int_equal(thread_of(SECOND), FLIGHT_1);
    assert_int_equal(vmcb_of_guest(SECOND)->cs.base, 0x9000);
    assert_true(sent_count > 0);
    for (uint32_t i = 0; i < sent_count; i++) {          /* kicks of the core that it is placed on, nothing else */
        assert_int_equal(sent[i].value, board_cpus[SECOND].apic_id << 32 | FIXED | POOL_KICK);
    }
}

static void messages_to_others_are_a_fault(void **state)
{
    (void)state;
    assert_true(wrmsr_of(SVR, 0x1ff));
    vmcb_of_guest(FIRST)->rax = FIXED | 0x41;
    *reg(RCX) = ICR;
    *reg(RDX) = 19;                                      /* a core that the partition had if it were pinned */
    vmcb_of_guest(FIRST)->exit_info_1 = 1;
    (void)guest_exits(FIRST, GUEST_MSR);
    assert_non_null(strstr(said, "FAULT flight, vcpu 0: an interrupt message to a core that is not the partition's"));
    for (uint32_t i = 0; i < sent_count; i++) {
        assert_int_equal(sent[i].value & 0xffu, POOL_KICK);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_vcpu_is_known_by_its_index, setup),
        cmocka_unit_test_setup(caches_are_shared_with_nobody, setup),
        cmocka_unit_test_setup(deadlines_are_there_on_any_cpu, setup),
        cmocka_unit_test_setup(extended_state_is_what_a_switch_moves, setup),
        cmocka_unit_test_setup(xcr0_is_what_a_switch_moves, setup),
        cmocka_unit_test_setup(it_is_not_the_cores, setup),
        cmocka_unit_test_setup(messages_to_itself, setup),
        cmocka_unit_test_setup(what_it_cannot_take_yet_waits, setup),
        cmocka_unit_test_setup(the_priority_is_cr8s, setup),
        cmocka_unit_test_setup(its_timer_comes_on_time, setup),
        cmocka_unit_test_setup(messages_to_a_sibling_wake_it, setup),
        cmocka_unit_test_setup(messages_to_others_are_a_fault, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
