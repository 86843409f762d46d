/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/access.c arch/x86/ioapic.c arch/x86/svm/svm.c arch/x86/core.c arch/x86/apic.c arch/x86/icr.c arch/x86/clock.c */
/* tests: arch/x86/msr.c arch/x86/state.c arch/x86/insn.c arch/x86/exits.c arch/x86/memory.c arch/x86/channel.c core/channel.c */
/* tests: core/partition.c core/fault.c core/vuart_16550.c ../tests/unit/pc.c */
/* with: CHANNELS */
/* Doorbells: a guest's access to their page, and the lines of the receiver's I/O APIC by which they ring it. */
#include "pc.h"

#include <arch/x86/exits.h>
#include <hv/channel.h>

#define EVENT_GP  UINT64_C(0x80000b0d)
#define PAGE      UINT64_C(0x0a000000)
#define SECOND    UINT64_C(0x0a001000)
#define RIP       UINT64_C(0x400)
#define MASKED    (1u << 16)
#define LOGICAL   (1u << 11)
#define FIXED     UINT64_C(0x4000)
#define RINGS_A   5u      /* flight's lines */
#define RINGS_B   7u

static const uint32_t first[] = { LAYOUT_BELL(FLIGHT, RINGS_A) };
static const uint32_t both[] = { LAYOUT_BELL(FLIGHT, RINGS_B), LAYOUT_BELL(SPARE, RINGS_A) };
static const struct layout_doorbell bells[] = { { .page = { PAGE }, .intids = first, .intid_count = 1 },
                                                { .page = { SECOND }, .intids = both, .intid_count = 2 } };

static const uint8_t store_eax[] = { 0x89, 0x03 }, load_eax[] = { 0x8b, 0x03 }, store_7[] = { 0xc7, 0x03, 7, 0, 0, 0 };

static int setup(void **state)
{
    (void)state;
    pc_boot();
    board_partitions[LINUX].doorbells = bells;
    board_partitions[LINUX].doorbell_count = 2;
    board_partitions[FLIGHT].pc.bells = 1u << RINGS_A | 1u << RINGS_B;
    board_partitions[SPARE].pc.bells = 1u << RINGS_A;
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        arch_partition_reset(&board_partitions[i]);
    }
    (void)on(0);
    vmcb_now()->rip = RIP;
    pc_forget();
    return 0;
}

/* Linux' guest touches an address with this instruction. Its length as carried out, 0: not. */
static uint32_t touches(uint64_t address, const uint8_t *code, size_t size, uint64_t error)
{
    memset(ram + RIP, 0xf4, 16);
    memcpy(ram + RIP, code, size);
    vmcb_now()->event_injection = 0;
    return memory_access(cpu_at(0), (ipa_t){ address }, error);
}

#define stores(address)  touches((address), store_eax, sizeof(store_eax), ACCESS_WRITE)

static void unmask(uint32_t partition, uint32_t line, uint32_t destination, uint32_t low)
{
    ioapic_write(&board_partitions[partition], 0, 0x11 + 2 * line);
    ioapic_write(&board_partitions[partition], 0x10, destination << 24);
    ioapic_write(&board_partitions[partition], 0, 0x10 + 2 * line);
    ioapic_write(&board_partitions[partition], 0x10, low);
}

static uint32_t low_of(uint32_t partition, uint32_t line)
{
    ioapic_write(&board_partitions[partition], 0, 0x10 + 2 * line);
    return ioapic_read(&board_partitions[partition], 0x10);
}

static void assert_rung(uint32_t count, uint32_t core, uint32_t vector)
{
    assert_int_equal(sent_count, count);
    if (count != 0) {
        assert_int_equal(sent[count - 1].value, board_cpus[core].apic_id << 32 | FIXED | vector);
    }
    pc_forget();
}

static void a_store_rings(void **state)
{
    (void)state;
    unmask(FLIGHT, RINGS_A, 2, 0x41);
    assert_rung(0, 0, 0);
    assert_int_equal(stores(PAGE), 2);
    assert_rung(1, 3, 0x41);
    assert_int_equal(touches(PAGE + 0xfff, store_7, sizeof(store_7), ACCESS_WRITE), 6);
    assert_rung(1, 3, 0x41);
    unmask(FLIGHT, RINGS_A, 19, 0x42);
    assert_int_equal(stores(PAGE), 2);
    assert_rung(1, 4, 0x42);
    assert_int_equal(low_of(FLIGHT, RINGS_A), 0x42);
    assert_int_equal(pc_lines[2 * RINGS_A], MASKED);     /* the physical line of that number is nobody's */
}

static void a_load_gives_zero(void **state)
{
    (void)state;
    unmask(FLIGHT, RINGS_A, 2, 0x41);
    vmcb_now()->rax = 0x1234567812345678;
    assert_int_equal(touches(PAGE, load_eax, sizeof(load_eax), 0), 2);
    assert_int_equal(vmcb_now()->rax, 0);
    assert_rung(0, 0, 0);
}

static void what_rings_while_it_is_masked_waits(void **state)
{
    (void)state;
    assert_int_equal(stores(PAGE), 2);
    assert_int_equal(stores(PAGE), 2);
    assert_rung(0, 0, 0);
    unmask(FLIGHT, RINGS_A, 2, 0x41);
    assert_rung(1, 3, 0x41);                             /* once */
    unmask(FLIGHT, RINGS_A, 2, MASKED | 0x41);
    unmask(FLIGHT, RINGS_A, 2, 0x41);
    assert_rung(0, 0, 0);
    unmask(FLIGHT, RINGS_A, 2, MASKED | 0x41);
    assert_int_equal(stores(PAGE), 2);
    arch_partition_reset(&board_partitions[FLIGHT]);     /* a restart forgets what was rung for its forerunner */
    unmask(FLIGHT, RINGS_A, 2, 0x41);
    assert_rung(0, 0, 0);
}

static void each_page_has_its_receivers(void **state)
{
    (void)state;
    unmask(FLIGHT, RINGS_A, 2, 0x41);
    unmask(FLIGHT, RINGS_B, 19, 0x42);
    board_cpus[5].apic_id = 200;                         /* within a destination's eight bits */
    ((struct layout_vcpu *)(uintptr_t)board_partitions[SPARE].vcpus)[0].apic_id = 200;
    arch_partition_reset(&board_partitions[SPARE]);
    unmask(SPARE, RINGS_A, 200, 0x43);
    pc_forget();
    assert_int_equal(stores(SECOND + 0x10), 2);
    assert_int_equal(sent_count, 2);
    assert_int_equal(sent[0].value, board_cpus[4].apic_id << 32 | FIXED | 0x42);
    assert_int_equal(sent[1].value, board_cpus[5].apic_id << 32 | FIXED | 0x43);
}

/* Its own vectors to its own cores: anything else is not sent, by nobody. */
static void the_receiver_can_name_nobody_else(void **state)
{
    (void)state;
    for (uint32_t destination = 0; destination < 256; destination++) {
        uint32_t core = destination == 19 ? 4 : 3;

        (void)setup(NULL);
        unmask(FLIGHT, RINGS_A, destination, 0x41);
        assert_int_equal(stores(PAGE), 2);
        assert_rung(1, core, 0x41);                      /* a foreign one is not taken over: vcpu 0, as before */
    }
    for (uint32_t vector = 0; vector < 16; vector++) {
        unmask(FLIGHT, RINGS_A, 2, vector);
        assert_int_equal(stores(PAGE), 2);
        assert_rung(0, 0, 0);
    }
    for (uint32_t mode = 0; mode < 8; mode++) {          /* NMI, SMI, INIT: of a message of ours it is always fixed */
        unmask(FLIGHT, RINGS_A, 2, mode << 8 | 0x50);
        assert_int_equal(stores(PAGE), 2);
        assert_rung(1, 3, 0x50);
    }
    ioapic_write(&board_partitions[FLIGHT], 0, 0x10 + 2 * RINGS_A);
    ioapic_write(&board_partitions[FLIGHT], 0x10, LOGICAL | 0x51);
    ioapic_write(&board_partitions[FLIGHT], 0, 0x11 + 2 * RINGS_A);
    ioapic_write(&board_partitions[FLIGHT], 0x10, UINT32_C(4) << 24);  /* logical: the core with APIC ID 2 */
    assert_int_equal(stores(PAGE), 2);
    assert_rung(1, 3, 0x51);
}

static void lines_of_others_do_not_ring(void **state)
{
    (void)state;
    unmask(FLIGHT, RINGS_A, 2, 0x41);
    unmask(FLIGHT, RINGS_B, 2, 0x42);
    for (uint32_t line = 0; line < LINES; line++) {      /* called with a line that is none */
        pc_forget();
        ioapic_ring(&board_partitions[FLIGHT], line);
        assert_int_equal(sent_count, line == RINGS_A || line == RINGS_B ? 1 : 0);
    }
    unmask(LINUX, RINGS_A, 0, 0x41);                     /* linux has no such line: it stays masked */
    assert_int_equal(low_of(LINUX, RINGS_A), MASKED);
}

/* A process that has been given the page must not end its operating system's partition: #GP is its own. */
static void other_instructions_are_exceptions(void **state)
{
    static const uint8_t odd[][4] = { { 0x88, 0x03 }, { 0x48, 0x89, 0x03 }, { 0xa5 }, { 0x0f, 0x11, 0x03 }, { 0x66, 0x89, 0x03 },
                                      { 0x8b, 0x03 }, { 0xf0, 0x01, 0x03 } };

    (void)state;
    unmask(FLIGHT, RINGS_A, 2, 0x41);
    for (uint32_t i = 0; i < ARRAY_COUNT(odd); i++) {
        assert_int_equal(touches(PAGE, odd[i], 4, ACCESS_WRITE), 0);
        assert_int_equal(vmcb_now()->event_injection, EVENT_GP);
        assert_rung(0, 0, 0);
    }
    assert_int_equal(touches(PAGE, store_eax, 2, 0), 0);
    assert_int_equal(vmcb_now()->event_injection, EVENT_GP);
    assert_string_equal(said, "");
    assert_int_equal(touches(PAGE, load_eax, 2, ACCESS_FETCH), 0);  /* executing it is a fault */
    assert_non_null(strstr(said, "FAULT linux, vcpu 0: instruction fetch from 0xa000000"));
}

static void beside_the_pages_is_a_fault(void **state)
{
    static const uint64_t outside[] = { PAGE - 1, SECOND + 0x1000 };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(outside); i++) {
        (void)setup(NULL);
        unmask(FLIGHT, RINGS_A, 2, 0x41);
        assert_int_equal(stores(outside[i]), 0);
        assert_non_null(strstr(said, "FAULT linux, vcpu 0: write to"));
        for (uint32_t n = 0; n < sent_count; n++) {
            assert_int_not_equal(sent[n].value & 0xffu, 0x41);
        }
    }
}

static void memory_of_channels_is_zeroed(void **state)
{
    static struct layout_channel channels[2];

    (void)state;
    channels[0] = (struct layout_channel){ .name = "a", .pa = { (uintptr_t)ram }, .size = 0x1000, .loader = LINUX };
    channels[1] = (struct layout_channel){ .name = "b", .pa = { (uintptr_t)ram + 0x3000 }, .size = 0x2000, .loader = FLIGHT };
    board.channels = channels;
    board.channel_count = 2;
    memset(ram, 0xa5, RAM_SIZE);
    channel_init();
    for (uint32_t i = 0; i < 0x6000; i++) {
        assert_int_equal(ram[i], i < 0x1000 || (i >= 0x3000 && i < 0x5000) ? 0 : 0xa5);
    }
    assert_int_equal(pc_cr3[0], HOST_CR3);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_store_rings, setup),
        cmocka_unit_test_setup(a_load_gives_zero, setup),
        cmocka_unit_test_setup(what_rings_while_it_is_masked_waits, setup),
        cmocka_unit_test_setup(each_page_has_its_receivers, setup),
        cmocka_unit_test_setup(the_receiver_can_name_nobody_else, setup),
        cmocka_unit_test_setup(lines_of_others_do_not_ring, setup),
        cmocka_unit_test_setup(other_instructions_are_exceptions, setup),
        cmocka_unit_test_setup(beside_the_pages_is_a_fault, setup),
        cmocka_unit_test_setup(memory_of_channels_is_zeroed, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
