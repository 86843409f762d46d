/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/icr.c arch/x86/svm/svm.c arch/x86/core.c arch/x86/apic.c arch/x86/ioapic.c arch/x86/clock.c */
/* tests: arch/x86/access.c arch/x86/msr.c arch/x86/state.c arch/x86/insn.c arch/x86/exits.c arch/x86/memory.c */
/* tests: core/partition.c core/fault.c core/vuart_16550.c ../tests/unit/pc.c */
#include "pc.h"

#define MODE(mode)   ((uint64_t)(mode) << 8)
#define LOWEST       MODE(1)
#define SMI          MODE(2)
#define NMI          MODE(4)
#define INIT         MODE(5)
#define STARTUP      MODE(6)
#define LOGICAL      (UINT64_C(1) << 11)
#define ASSERT       (UINT64_C(1) << 14)
#define LEVEL        (UINT64_C(1) << 15)
#define SELF         (UINT64_C(1) << 18)
#define ALL          (UINT64_C(2) << 18)
#define OTHERS       (UINT64_C(3) << 18)
#define TO(id)       ((uint64_t)(id) << 32)
#define ID(core)     (board_cpus[core].apic_id)

static int setup(void **state)
{
    (void)state;
    pc_boot();
    return 0;
}

/* The guest on this core writes the register; true if its instruction was carried out without an exception. */
static bool guest_sends(uint64_t value)
{
    struct cpu *cpu = cpu_at(core_now);
    struct vmcb *vmcb = cpu->vmcb;
    uint64_t rip = vmcb->rip;

    vmcb->next_rip = 0;
    vmcb->event_injection = 0;
    cpu->reg[RCX] = MSR_X2APIC_ICR;
    cpu->reg[RDX] = UINT64_C(0xdead000000000000) | value >> 32;
    vmcb->rax = UINT64_C(0xbeef000000000000) | (value & UINT32_MAX);
    exit_msr(cpu, 1);
    if (vmcb->rip == rip) {
        assert_int_equal(vmcb->event_injection, UINT64_C(0x80000b0d));  /* #GP with error code 0 */
        return false;
    }
    assert_int_equal(vmcb->rip, rip + 2);
    assert_int_equal(vmcb->event_injection, 0);
    return true;
}

/* It went out as fixed interrupts of this vector to these cores and to nobody else. */
static void assert_fixed(uint32_t vector, uint32_t count, const uint32_t *cores)
{
    assert_int_equal(sent_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(sent[i].core, core_now);
        assert_int_equal(sent[i].value & ~ASSERT, TO(ID(cores[i])) | vector);
    }
    pc_forget();
}

#define assert_fixed_to(vector, ...) do {                              \
        const uint32_t cores_[] = { __VA_ARGS__ };                     \
        assert_fixed((vector), ARRAY_COUNT(cores_), cores_);           \
    } while (0)

static bool request_is(uint32_t partition, enum partition_request request)
{
    for (uint32_t i = 0; i < CORES; i++) {
        if (cpu_at(i)->vcpu.config == &board_partitions[partition]) {
            return (cpu_at(i)->vcpu.partition->request & 0xffu) == request;
        }
    }
    return false;
}

static void assert_fault(uint64_t value)
{
    pc_boot();
    assert_true(guest_sends(value));
    assert_non_null(strstr(said, "FAULT linux, vcpu 0: an interrupt message"));
    assert_true(request_is(LINUX, REQUEST_STOP));
    for (uint32_t i = 0; i < sent_count; i++) {  /* kicks of its own cores, nothing else */
        assert_int_equal(sent[i].value & MODE(7), NMI);
        assert_true(sent[i].value >> 32 == ID(0) || sent[i].value >> 32 == ID(1) || sent[i].value >> 32 == ID(2));
    }
    assert_false(cpu_at(3)->guest_nmi || cpu_at(3)->guest_init || cpu_at(5)->guest_nmi || cpu_at(5)->guest_init);
}

static void fixed_to_each_own_core(void **state)
{
    (void)state;
    for (uint32_t vector = 0; vector < 256; vector++) {
        for (uint32_t target = 0; target < 3; target++) {
            assert_true(guest_sends(TO(ID(target)) | ASSERT | vector));
            assert_fixed_to(vector, target);
        }
    }
    assert_true(guest_sends(TO(ID(2)) | 0x31));             /* de-asserted: of an edge it makes no difference */
    assert_fixed_to(0x31, 2);
    assert_true(guest_sends(TO(ID(2)) | UINT64_C(1) << 12 | 0x31));  /* delivery status is not the guest's */
    assert_fixed_to(0x31, 2);
    (void)on(5);
    assert_true(guest_sends(TO(ID(5)) | ASSERT | 0x44));
    assert_fixed_to(0x44, 5);
}

static void shorthands_mean_the_partition(void **state)
{
    (void)state;
    (void)on(1);
    assert_true(guest_sends(SELF | ASSERT | 0x50));
    assert_fixed_to(0x50, 1);
    assert_true(guest_sends(ALL | ASSERT | 0x51));
    assert_fixed_to(0x51, 0, 1, 2);
    assert_true(guest_sends(OTHERS | ASSERT | 0x52));
    assert_fixed_to(0x52, 0, 2);
    assert_true(guest_sends(OTHERS | ASSERT | TO(ID(3)) | 0x52));    /* the destination does not count then */
    assert_fixed_to(0x52, 0, 2);
    assert_true(guest_sends(TO(UINT32_MAX) | ASSERT | 0x53));        /* broadcast */
    assert_fixed_to(0x53, 0, 1, 2);
    assert_true(guest_sends(TO(UINT32_MAX) | LOGICAL | ASSERT | 0x54));
    assert_fixed_to(0x54, 0, 1, 2);
    (void)on(5);                                                     /* alone */
    assert_true(guest_sends(OTHERS | ASSERT | 0x55));
    assert_int_equal(sent_count, 0);
    assert_true(guest_sends(ALL | ASSERT | 0x56));
    assert_fixed_to(0x56, 5);
}

/* A logical ID is the cluster (ID / 16) above 16 bits, one for each core in it (SDM 3 11.12.10.2). */
static void logical_destinations(void **state)
{
    (void)state;
    assert_true(guest_sends(LOGICAL | ASSERT | TO(1) | 0x60));
    assert_fixed_to(0x60, 0);
    assert_true(guest_sends(LOGICAL | ASSERT | TO(3) | 0x61));
    assert_fixed_to(0x61, 0, 1);
    assert_true(guest_sends(LOGICAL | ASSERT | TO(0x10004) | 0x62));
    assert_fixed_to(0x62, 2);
    assert_fault(LOGICAL | ASSERT | TO(7) | 0x63);                   /* ID 2 is flight's */
    assert_fault(LOGICAL | ASSERT | TO(4) | 0x63);
    assert_fault(LOGICAL | ASSERT | TO(0x1000c) | 0x63);             /* 18 is its own, 19 is flight's */
    assert_fault(LOGICAL | ASSERT | TO(0x10001) | 0x63);
    assert_fault(LOGICAL | ASSERT | TO(0x121000) | 0x63);            /* 300 */
    assert_fault(LOGICAL | ASSERT | TO(0) | 0x63);
    (void)setup(NULL);
    (void)on(5);
    assert_true(guest_sends(LOGICAL | ASSERT | TO(0x121000) | 0x64));
    assert_fixed_to(0x64, 5);
}

static void lowest_priority_is_one_of_them(void **state)
{
    (void)state;
    assert_true(guest_sends(LOWEST | LOGICAL | ASSERT | TO(3) | 0x70));
    assert_fixed_to(0x70, 0);
    assert_true(guest_sends(LOWEST | ASSERT | TO(ID(2)) | 0x71));
    assert_fixed_to(0x71, 2);
    assert_true(guest_sends(LOWEST | OTHERS | ASSERT | 0x72));
    assert_fixed_to(0x72, 1);
    assert_fault(LOWEST | ASSERT | TO(ID(4)) | 0x73);
}

static void cores_of_others_and_of_nobody(void **state)
{
    static const uint64_t modes[] = { 0, LOWEST, NMI, INIT | LEVEL, INIT, STARTUP };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(modes); i++) {
        for (uint32_t core = 3; core < CORES; core++) {
            assert_fault(modes[i] | ASSERT | TO(ID(core)) | 0x20);
        }
        assert_fault(modes[i] | ASSERT | TO(3) | 0x20);              /* there is no core 3 */
        assert_fault(modes[i] | ASSERT | TO(512) | 0x20);
        assert_fault(modes[i] | ASSERT | TO(0x80000000) | 0x20);
        assert_fault(modes[i] | ASSERT | TO(0xfffffffe) | 0x20);
        assert_fault(modes[i] | ASSERT | TO(0xff) | 0x20);           /* the broadcast of xAPIC is none here */
    }
}

static void kinds_that_partitions_may_not_send(void **state)
{
    (void)state;
    for (uint32_t shorthand = 0; shorthand < 4; shorthand++) {
        assert_fault(SMI | ASSERT | SELF * shorthand | TO(ID(1)));
        assert_fault(MODE(3) | ASSERT | SELF * shorthand | TO(ID(1)));
        assert_fault(MODE(7) | ASSERT | SELF * shorthand | TO(ID(1)));
    }
}

static void reserved_bits_are_a_general_protection_fault(void **state)
{
    (void)state;
    for (uint32_t bit = 0; bit < 32; bit++) {
        if (bit == 13 || bit == 16 || bit == 17 || bit >= 20) {
            assert_false(guest_sends(TO(ID(1)) | ASSERT | UINT64_C(1) << bit | 0x40));
            assert_false(guest_sends(NMI | ALL | ASSERT | UINT64_C(1) << bit));
        }
    }
    assert_int_equal(sent_count, 0);
    assert_string_equal(said, "");
}

static void an_nmi_arrives_as_one(void **state)
{
    (void)state;
    assert_true(guest_sends(NMI | ASSERT | TO(ID(2)) | 0xff));       /* the vector does not count */
    assert_int_equal(sent_count, 1);
    assert_int_equal(nmis_for(2), 1);
    (void)on(2);
    vmcb_now()->exit_code = 0x61;
    svm_exit(cpu_at(2));
    assert_int_equal(vmcb_now()->event_injection, UINT64_C(0x80000202));
    assert_int_equal(cpu_at(2)->guest_nmi, 0);
    (void)on(1);
    pc_forget();
    assert_true(guest_sends(NMI | ALL | ASSERT));                    /* this core too */
    assert_int_equal(nmis_for(0) + nmis_for(1) + nmis_for(2), 3);
    assert_int_equal(cpu_at(1)->guest_nmi, 1);
    assert_int_equal(cpu_at(3)->guest_nmi, 0);
}

static void exit_for_nmi(uint32_t core)
{
    (void)on(core);
    vmcb_now()->exit_code = 0x61;
    vmcb_now()->exit_int_info = 0;
    svm_exit(cpu_at(core));
}

static void call_exit(struct cpu *cpu, uint64_t value)
{
    (void)value;
    exit_for_nmi(cpu->vcpu.cpu);
}

/* While core 0 waits, core 1 takes the NMI, finds the INIT and goes to sleep. */
static void core_1_leaves(void)
{
    assert_true(nmi_waits(1));
    assert_false(comes_back(call_exit, on(1), 0));
}

static void init_and_startup(void **state)
{
    (void)state;
    pc_meanwhile = core_1_leaves;
    assert_true(guest_sends(INIT | ASSERT | LEVEL | TO(ID(1))));
    pc_meanwhile = NULL;
    assert_int_equal(cpu_at(1)->vcpu.run, VCPU_OFF);
    assert_int_equal(cpu_at(1)->guest_init, 0);
    assert_int_equal(core_now, 0);
    pc_forget();
    assert_true(guest_sends(INIT | LEVEL | TO(ID(1))));              /* level de-assert: nothing */
    assert_int_equal(sent_count, 0);
    assert_true(guest_sends(STARTUP | ASSERT | TO(ID(1)) | 0x9a));
    assert_int_equal(cpu_at(1)->vcpu.run, VCPU_ON_PENDING);
    assert_true(guest_sends(STARTUP | ASSERT | TO(ID(1)) | 0x55));   /* Linux sends two: the first one counts */
    assert_true(core_runs(1));
    assert_int_equal(vmcb_now()->cs.selector, 0x9a00);
    assert_int_equal(vmcb_now()->cs.base, 0x9a000);
    assert_int_equal(vmcb_now()->rip, 0);
    assert_int_equal(vmcb_now()->cr0 & (CR0_PE | CR0_PG), 0);
    assert_int_equal(cpu_at(1)->vcpu.run, VCPU_ON);
    (void)on(0);
    pc_forget();
    assert_true(guest_sends(STARTUP | ASSERT | TO(ID(1)) | 0x55));   /* it runs: no effect */
    assert_int_equal(sent_count, 0);
    assert_int_equal(cpu_at(1)->vcpu.run, VCPU_ON);
}

static void init_of_a_core_that_is_off(void **state)
{
    (void)state;
    cpu_at(1)->vcpu.run = VCPU_OFF;
    assert_true(guest_sends(INIT | ASSERT | LEVEL | TO(ID(1))));
    assert_int_equal(cpu_at(1)->guest_init, 0);
    assert_int_equal(sent_count, 0);
}

/* A core that does not hear (asleep with everything shut off in firmware's SMM) holds the sender for 10 ms at most. */
static void init_of_a_core_that_does_not_answer(void **state)
{
    uint64_t before = pc_tsc;

    (void)state;
    pc_tsc_step = 1000;
    assert_true(guest_sends(INIT | ASSERT | LEVEL | TO(ID(1))));
    assert_in_range(pc_tsc - before, 10000000, 11000000);
    assert_int_equal(cpu_at(1)->guest_init, 1);
    assert_false(comes_back(call_exit, on(1), 0));                   /* it does so when it hears */
    assert_int_equal(cpu_at(1)->vcpu.run, VCPU_OFF);
}

static void stop_linux(void)
{
    partition_request(&board_partitions[LINUX], REQUEST_RESTART);
}

static void a_restart_ends_the_wait(void **state)
{
    uint64_t before = pc_tsc;

    (void)state;
    pc_meanwhile = stop_linux;
    assert_true(guest_sends(INIT | ASSERT | LEVEL | TO(ID(1))));
    assert_in_range(pc_tsc - before, 0, 100000);
    pc_meanwhile = NULL;
    assert_false(comes_back(call_exit, on(1), 0));                   /* the restart goes first */
    assert_int_equal(cpu_at(1)->vcpu.run, VCPU_ON);
    assert_false(comes_back(call_exit, on(2), 0));
    assert_true(comes_back(call_exit, on(0), 0));
    assert_int_equal(cpu_at(0)->vcpu.run, VCPU_ON);
    assert_int_equal(cpu_at(1)->vcpu.run, VCPU_OFF);
    assert_int_equal(cpu_at(1)->guest_init, 0);
}

static void init_of_itself(void **state)
{
    (void)state;
    (void)on(2);
    assert_true(guest_sends(INIT | ASSERT | LEVEL | SELF));
    assert_int_equal(nmis_for(2), 1);                                /* so that the guest is left at once */
    assert_false(comes_back(call_exit, on(2), 0));
    assert_int_equal(cpu_at(2)->vcpu.run, VCPU_OFF);
    (void)on(0);
    assert_true(guest_sends(STARTUP | ASSERT | TO(ID(2)) | 2));
    assert_true(core_runs(2));
}

/* What goes to another core's hypervisor is in memory before the message that it is to look. */
static void messages_come_after_what_they_announce(void **state)
{
    (void)state;
    assert_true(guest_sends(NMI | ASSERT | TO(ID(1))));
    assert_true(did("mfence; lfence"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(fixed_to_each_own_core, setup),
        cmocka_unit_test_setup(shorthands_mean_the_partition, setup),
        cmocka_unit_test_setup(logical_destinations, setup),
        cmocka_unit_test_setup(lowest_priority_is_one_of_them, setup),
        cmocka_unit_test_setup(cores_of_others_and_of_nobody, setup),
        cmocka_unit_test_setup(kinds_that_partitions_may_not_send, setup),
        cmocka_unit_test_setup(reserved_bits_are_a_general_protection_fault, setup),
        cmocka_unit_test_setup(an_nmi_arrives_as_one, setup),
        cmocka_unit_test_setup(init_and_startup, setup),
        cmocka_unit_test_setup(init_of_a_core_that_is_off, setup),
        cmocka_unit_test_setup(init_of_a_core_that_does_not_answer, setup),
        cmocka_unit_test_setup(a_restart_ends_the_wait, setup),
        cmocka_unit_test_setup(init_of_itself, setup),
        cmocka_unit_test_setup(messages_come_after_what_they_announce, setup),
    };

    return cmocka_run_group_tests_name("x86_icr", tests, NULL, NULL);
}
