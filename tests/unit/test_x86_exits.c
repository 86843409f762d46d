/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/exits.c arch/x86/svm/svm.c arch/x86/core.c arch/x86/apic.c arch/x86/icr.c arch/x86/clock.c */
/* tests: arch/x86/access.c arch/x86/msr.c arch/x86/state.c arch/x86/insn.c arch/x86/ioapic.c arch/x86/memory.c */
/* tests: core/partition.c core/fault.c core/vuart_16550.c ../tests/unit/pc.c */
#include "pc.h"

#define EXIT_DB        0x41u
#define EXIT_AC        0x51u
#define EXIT_MC        0x52u
#define EXIT_NMI       0x61u
#define EXIT_IRET      0x74u
#define EXIT_INVD      0x76u
#define EXIT_INVLPGA   0x7au
#define EXIT_IO        0x7bu
#define EXIT_SHUTDOWN  0x7fu
#define EXIT_VMRUN     0x80u
#define EXIT_SKINIT    0x86u
#define EXIT_NPF       0x400u
#define EXIT_INVALID   UINT64_MAX

#define VALID          UINT64_C(0x80000000)
#define EVENT_GP       UINT64_C(0x80000b0d)
#define EVENT_UD       UINT64_C(0x80000306)
#define EVENT_NMI      UINT64_C(0x80000202)
#define IRET_BIT       (1u << 20)
#define RIP            UINT64_C(0x4000)

static int setup(void **state)
{
    (void)state;
    pc_boot();
    vmcb_now()->rip = RIP;
    return 0;
}

static struct cpu *self(void)
{
    return cpu_at(core_now);
}

static enum partition_request requested(void)
{
    return (enum partition_request)(self()->vcpu.partition->request & 0xffu);
}

/* ---------------------------------------------------------------- CPUID */

static void leaf(uint32_t number, uint32_t subleaf)
{
    vmcb_now()->rip = RIP;
    vmcb_now()->rax = UINT64_C(0xaaaaaaaa00000000) | number;
    self()->reg[RCX] = UINT64_C(0xcccccccc00000000) | subleaf;
    self()->reg[RBX] = self()->reg[RDX] = UINT64_MAX;
    exit_cpuid(self());
    assert_int_equal(vmcb_now()->rip, RIP + 2);
    assert_int_equal((vmcb_now()->rax | self()->reg[RBX] | self()->reg[RCX] | self()->reg[RDX]) >> 32, 0);
}

static void assert_leaf(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    assert_int_equal(vmcb_now()->rax, a);
    assert_int_equal(self()->reg[RBX], b);
    assert_int_equal(self()->reg[RCX], c);
    assert_int_equal(self()->reg[RDX], d);
}

static void cpuid_is_native_but_for_the_policy(void **state)
{
    (void)state;
    leaf(0, 0);
    assert_leaf(0x0d, 0x68747541, 0x444d4163, 0x69746e65);
    leaf(0, 5);                                  /* subleaves are the CPU's */
    assert_leaf(0x0d ^ 5, 0x68747541, 0x444d4163, 0x69746e65);
    leaf(1, 0);
    assert_leaf(0x00a20f10, 0x00010800, 0x80200201, 0x0f);
    leaf(7, 0);
    assert_leaf(0, 0, 0, 0);
    leaf(0x80000001, 0);
    assert_leaf(0, 0, 0, 0x2c100800);            /* no SVM */
    leaf(0x40000000, 0);
    assert_leaf(0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
    leaf(0x40000001, 0);
    assert_leaf(0x01000008, 0, 0, 0);
}

static void leaves_that_there_are_not(void **state)
{
    static const uint32_t leaves[] = { 8, 9, 0xb, 0x1f, 0xff, 0x3fffffff, 0x40000002, 0x400000ff, 0x40000100, 0x7fffffff,
                                       0x80000002, 0x8000000a, 0x8000001f, 0xc0000000, 0xffffffff };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(leaves); i++) {
        leaf(leaves[i], i);
        assert_leaf(0, 0, 0, 0);
    }
}

/* OSXSAVE and OSPKE tell of the guest's CR4. */
static void two_bits_follow_the_guest(void **state)
{
    (void)state;
    vmcb_now()->cr4 = CR4_OSXSAVE;
    leaf(1, 0);
    assert_leaf(0x00a20f10, 0x00010800, 0x88200201, 0x0f);
    leaf(7, 0);
    assert_leaf(0, 0, 0, 0);
    vmcb_now()->cr4 = CR4_PKE;
    leaf(1, 0);
    assert_leaf(0x00a20f10, 0x00010800, 0x80200201, 0x0f);
    leaf(7, 0);
    assert_leaf(0, 0, 0x10, 0);
}

static void the_cpu_says_where_the_next_instruction_is(void **state)
{
    (void)state;
    vmcb_now()->next_rip = RIP + 7;              /* with prefixes */
    exit_cpuid(self());
    assert_int_equal(vmcb_now()->rip, RIP + 7);
}

static void hypercalls(void **state)
{
    (void)state;
    vmcb_now()->rax = UINT64_C(0x1234567800000000);
    exit_hypercall(self());
    assert_int_equal(vmcb_now()->rax, 0x10000);
    assert_int_equal(vmcb_now()->rip, RIP + 3);
    for (uint32_t function = 1; function != 0; function <<= 1) {
        vmcb_now()->rax = function;
        exit_hypercall(self());
        assert_int_equal(vmcb_now()->rax, UINT64_MAX);
    }
}

/* ---------------------------------------------------------------- MSRs */

static bool rdmsr_of(uint32_t msr)
{
    vmcb_now()->rip = RIP;
    vmcb_now()->event_injection = 0;
    vmcb_now()->rax = UINT64_C(0x1111111122222222);
    self()->reg[RCX] = UINT64_C(0xeeeeeeee00000000) | msr;
    self()->reg[RDX] = UINT64_C(0x3333333344444444);
    exit_msr(self(), 0);
    if (vmcb_now()->rip == RIP) {
        assert_int_equal(vmcb_now()->event_injection, EVENT_GP);
        assert_int_equal(vmcb_now()->rax, UINT64_C(0x1111111122222222));
        assert_int_equal(self()->reg[RDX], UINT64_C(0x3333333344444444));
        return false;
    }
    assert_int_equal(vmcb_now()->rip, RIP + 2);
    assert_int_equal((vmcb_now()->rax | self()->reg[RDX]) >> 32, 0);
    return true;
}

static uint64_t value_read(void)
{
    return self()->reg[RDX] << 32 | vmcb_now()->rax;
}

static bool wrmsr_of(uint32_t msr, uint64_t value)
{
    vmcb_now()->rip = RIP;
    vmcb_now()->event_injection = 0;
    vmcb_now()->rax = UINT64_C(0xffffffff00000000) | (uint32_t)value;
    self()->reg[RCX] = msr;
    self()->reg[RDX] = value >> 32;
    exit_msr(self(), 1);
    assert_int_equal(vmcb_now()->event_injection, vmcb_now()->rip == RIP ? EVENT_GP : 0);
    return vmcb_now()->rip != RIP;
}

static void msrs_of_the_table(void **state)
{
    (void)state;
    assert_true(rdmsr_of(0x17));
    assert_int_equal(value_read(), 0x123456789abcdef0);
    assert_false(wrmsr_of(0x17, 0));
    assert_false(rdmsr_of(0x200));
    assert_true(wrmsr_of(0x200, 6));
    assert_true(wrmsr_of(0x20f, 6));
    assert_false(wrmsr_of(0x1ff, 6));
    assert_false(wrmsr_of(0x210, 6));
    assert_true(rdmsr_of(0xc0010015));
    assert_int_equal(value_read(), 7);
    assert_true(wrmsr_of(0xc0010015, 1));
    for (uint32_t i = 0; i < msr_write_count; i++) {
        fail_msg("MSR 0x%x was written", msr_writes[i].msr);
    }
}

static void everything_else_is_a_general_protection_fault(void **state)
{
    static const uint32_t msrs[] = { 0, 0x10, 0x1b + 1, 0x3a, 0x480, 0x830 + 0x100, 0xc0010114, 0xc0010117, 0xc0000082,
                                     0x4b564d00, 0x4b564d02, 0x40000000, 0xffffffff, 0x80000000 };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(msrs); i++) {
        assert_false(rdmsr_of(msrs[i]));
        assert_false(wrmsr_of(msrs[i], 0));
        assert_false(wrmsr_of(msrs[i], UINT64_MAX));
    }
    assert_false(rdmsr_of(MSR_X2APIC_ICR));
    assert_false(rdmsr_of(MSR_KVM_SYSTEM_TIME));
    assert_int_equal(msr_write_count, 0);
    assert_string_equal(said, "");
}

static void the_base_of_the_apic_is_fixed(void **state)
{
    (void)state;
    for (uint32_t core = 0; core < CORES; core++) {
        uint64_t base = UINT64_C(0xfee00c00) | (core == 0 || core == 3 || core == 5 ? 0x100 : 0);

        (void)on(core);
        assert_true(rdmsr_of(MSR_APIC_BASE));
        assert_int_equal(value_read(), base);
        assert_true(wrmsr_of(MSR_APIC_BASE, base));
        for (uint32_t bit = 0; bit < 64; bit++) {
            assert_false(wrmsr_of(MSR_APIC_BASE, base ^ UINT64_C(1) << bit));
        }
    }
    assert_int_equal(msr_write_count, 0);
}

static void efer_without_what_is_the_hypervisors(void **state)
{
    (void)state;
    vmcb_now()->efer = EFER_SVME;
    assert_true(rdmsr_of(MSR_EFER));
    assert_int_equal(value_read(), 0);
    assert_true(wrmsr_of(MSR_EFER, EFER_LME | EFER_NXE | EFER_SCE));
    assert_int_equal(vmcb_now()->efer, EFER_LME | EFER_NXE | EFER_SCE | EFER_SVME);
    vmcb_now()->cr0 |= CR0_PG;
    vmcb_now()->efer |= EFER_LMA;                /* as the CPU does when paging goes on */
    assert_true(rdmsr_of(MSR_EFER));
    assert_int_equal(value_read(), EFER_LMA | EFER_LME | EFER_NXE | EFER_SCE);
    assert_true(wrmsr_of(MSR_EFER, EFER_LMA | EFER_LME | EFER_NXE));
    assert_int_equal(vmcb_now()->efer, EFER_LMA | EFER_LME | EFER_NXE | EFER_SVME);
    assert_true(wrmsr_of(MSR_EFER, EFER_LME));   /* LMA is not written */
    assert_int_equal(vmcb_now()->efer, EFER_LMA | EFER_LME | EFER_SVME);
    assert_false(wrmsr_of(MSR_EFER, EFER_LMA));  /* LME stays while paging is on */
    vmcb_now()->efer = EFER_SVME;
    assert_false(wrmsr_of(MSR_EFER, EFER_LME));
    vmcb_now()->cr0 &= ~CR0_PG;
    for (uint32_t bit = 0; bit < 64; bit++) {
        uint64_t value = UINT64_C(1) << bit;

        assert_int_equal(wrmsr_of(MSR_EFER, value), bit == 0 || bit == 8 || bit == 10 || bit == 11);
        assert_true((vmcb_now()->efer & EFER_SVME) != 0);
    }
    assert_int_equal(vmcb_now()->efer & EFER_LMA, 0);
}

static void the_page_of_the_clock(void **state)
{
    (void)state;
    assert_true(wrmsr_of(MSR_KVM_SYSTEM_TIME, 0x5000 | 1));
    assert_int_equal(ram[0x5000], 2);            /* version: even, and it stays */
    assert_int_equal(pc_cr3[0], HOST_CR3);
}

/* ---------------------------------------------------------------- I/O ports */

/* info 1 of the exit: APM 2 15.10.2. True: the instruction was passed. */
static bool port_exit(uint16_t port, uint32_t size, bool in, uint64_t rax, uint32_t more)
{
    vmcb_now()->rip = RIP;
    vmcb_now()->rax = rax;
    vmcb_now()->exit_code = EXIT_IO;
    vmcb_now()->exit_int_info = 0;
    vmcb_now()->exit_info_1 = (uint64_t)port << 16 | size << 4 | (in ? 1u : 0) | more;
    vmcb_now()->exit_info_2 = RIP + 2;
    svm_exit(self());
    return vmcb_now()->rip == RIP + 2;
}

static void ports_of_nobody(void **state)
{
    static const uint16_t ports[] = { 0, 0x20, 0x21, 0x61, 0x80, 0x3f0, 0x400, 0xcf8, 0xcfc, 0xffff };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(ports); i++) {
        assert_true(port_exit(ports[i], 1, true, UINT64_C(0x1122334455667788), 0));
        assert_int_equal(vmcb_now()->rax, UINT64_C(0x11223344556677ff));
        assert_true(port_exit(ports[i], 2, true, UINT64_C(0x1122334455667788), 0));
        assert_int_equal(vmcb_now()->rax, UINT64_C(0x112233445566ffff));
        assert_true(port_exit(ports[i], 4, true, UINT64_C(0x1122334455667788), 0));
        assert_int_equal(vmcb_now()->rax, UINT64_C(0x00000000ffffffff));  /* 32 bits clear the upper half */
        for (uint32_t size = 1; size <= 4; size *= 2) {
            assert_true(port_exit(ports[i], size, false, UINT64_C(0x1122334455667788), 0));
            assert_int_equal(vmcb_now()->rax, UINT64_C(0x1122334455667788));
        }
    }
    assert_int_equal(port_write_count, 0);
    assert_string_equal(said, "");
}

static void a_port_of_somebody_else_is_named_once(void **state)
{
    (void)state;
    assert_true(port_exit(0x64, 1, true, 0, 0));
    assert_int_equal(vmcb_now()->rax, 0xff);
    assert_string_equal(said, "linux: port 0x64 is /keyboard@60, which it does not own: reads give ones, writes nothing\n");
    assert_true(port_exit(0x2f8, 1, false, 'x', 0));
    assert_true(port_exit(0x60, 1, true, 0, 0));
    assert_null(strstr(strchr(said, '\n'), "port"));
    assert_int_equal(port_write_count, 0);
    (void)on(1);                                 /* nor again by another vcpu of the partition */
    assert_true(port_exit(0x2ff, 1, false, 'x', 0));
    assert_null(strstr(said, "/serial@2f8"));
    arch_partition_reset(on(0)->vcpu.config);    /* but after its next start */
    assert_true(port_exit(0x2ff, 1, false, 'x', 0));
    assert_non_null(strstr(said, "linux: port 0x2ff is /serial@2f8"));
    assert_int_equal(requested(), REQUEST_NONE);
}

static void the_virtual_uart(void **state)
{
    (void)state;
    assert_true(port_exit(0x3f8, 1, false, 0xabcdef00 | 'k', 0));
    assert_string_equal(said, "k");
    assert_true(port_exit(0x3ff, 1, false, 0x5a, 0));
    assert_true(port_exit(0x3ff, 1, true, 0, 0));
    assert_int_equal(vmcb_now()->rax, 0x5a);
    assert_true(port_exit(0x3fd, 1, true, 0, 0));
    assert_int_equal(vmcb_now()->rax, 0x60);
    assert_true(port_exit(0x3f8, 2, false, 'q', 0));     /* its registers have bytes */
    assert_true(port_exit(0x3fd, 4, true, 0, 0));
    assert_int_equal(vmcb_now()->rax, 0xffffffff);
    assert_true(port_exit(0x3f7, 1, true, 0, 0));
    assert_int_equal(vmcb_now()->rax, 0xff);
    assert_true(port_exit(0x400, 1, true, 0, 0));
    assert_int_equal(vmcb_now()->rax, 0xff);
    assert_string_equal(said, "k");
    (void)on(3);                                 /* flight has none */
    assert_true(port_exit(0x3f8, 1, false, 'n', 0));
    assert_true(port_exit(0x3fd, 1, true, 0, 0));
    assert_int_equal(vmcb_now()->rax, 0xff);
    assert_string_equal(said, "k");
}

static void power_ports(void **state)
{
    (void)state;
    for (uint32_t value = 0; value < 256; value++) {
        if ((value & 6) != 6) {
            assert_true(port_exit(0xcf9, 1, false, value, 0));
        }
        if ((value & 0x3c) != 0x34) {
            assert_true(port_exit(0x600, 1, false, value, 0));
        }
        assert_true(port_exit(0x601, 1, false, value, 0));
        assert_int_equal(requested(), REQUEST_NONE);
    }
    assert_true(port_exit(0xcf9, 1, true, 0xee, 0));
    assert_int_equal(vmcb_now()->rax, 0);
    assert_true(port_exit(0x600, 1, true, 0xee, 0));
    assert_int_equal(vmcb_now()->rax, 0);
    assert_true(port_exit(0x601, 1, true, 0xee, 0));
    assert_int_equal(vmcb_now()->rax, 0);
    assert_string_equal(said, "");
}

static void call_port(struct cpu *cpu, uint64_t value)
{
    (void)cpu;
    (void)port_exit((uint16_t)value, 1, false, value >> 16, 0);
}

static void a_guest_restarts_itself(void **state)
{
    (void)state;
    vmcb_now()->cr3 = 0x77000;
    ram[0x100] = 1;
    assert_false(comes_back(call_port, on(0), 0x60cf9));
    assert_int_equal(requested(), REQUEST_RESTART);
    assert_int_equal(nmis_for(1) + nmis_for(2), 2);
    assert_false(core_runs(1));
    assert_false(core_runs(2));
    assert_true(core_runs(0));
    assert_string_equal(said, "linux restarts\n");
    assert_int_equal(ram[0x100], 0);
    assert_int_equal(vmcb_now()->rip, 0x1000);
    assert_int_equal(vmcb_now()->cr3, 0);
    assert_int_equal(cpu_at(0)->reg[RBX], 0xf0000);
    assert_int_equal(cpu_at(1)->vcpu.run, VCPU_OFF);
}

static void a_guest_switches_itself_off(void **state)
{
    (void)state;
    (void)on(5);
    assert_false(comes_back(call_port, on(5), 0x340600));
    assert_string_equal(said, "spare is off\n");
    assert_int_equal(cpu_at(5)->vcpu.partition->run, PARTITION_OFF);
    assert_int_equal(port_write_count, 0);       /* the others run on */
}

static void call_string(struct cpu *cpu, uint64_t value)
{
    (void)cpu;
    (void)port_exit(0x3f8, 1, (value & 1) != 0, 0, (uint32_t)(value & ~UINT64_C(1)));
}

static void string_instructions(void **state)
{
    (void)state;
    for (uint64_t kind = 0; kind < 4; kind++) {
        pc_boot();
        assert_false(comes_back(call_string, on(0), 4 | (kind & 1) | (kind & 2) << 2));
        assert_int_equal(vmcb_now()->rip, RIP);
        assert_int_equal(requested(), REQUEST_STOP);
        assert_non_null(strstr(said, "FAULT linux, vcpu 0: string instruction on an I/O port"));
        assert_non_null(strstr(said, "pc 0x4000, syndrome 0x3f8"));
    }
}

/* ---------------------------------------------------------------- memory */

static void npf(uint64_t address, uint64_t error)
{
    vmcb_now()->exit_code = EXIT_NPF;
    vmcb_now()->exit_int_info = 0;
    vmcb_now()->exit_info_1 = error;
    vmcb_now()->exit_info_2 = address;
    svm_exit(self());
}

static void call_npf(struct cpu *cpu, uint64_t address)
{
    (void)cpu;
    npf(address, vmcb_now()->exit_info_1);
}

static bool npf_comes_back(uint64_t address, uint64_t error)
{
    vmcb_now()->exit_info_1 = error;
    return comes_back(call_npf, self(), address);
}

static void code(const uint8_t *bytes, uint32_t count)
{
    memcpy(ram + RIP, bytes, count);
    vmcb_now()->rip = RIP;
    vmcb_now()->cs.base = 0;
    vmcb_now()->efer = EFER_SVME;
}

static void the_registers_of_the_io_apic(void **state)
{
    (void)state;
    code((const uint8_t[]){ 0xc7, 0x07, 1, 0, 0, 0 }, 6);             /* movl $1, (%edi) */
    npf(IOAPIC, 6);
    assert_int_equal(vmcb_now()->rip, RIP + 6);
    code((const uint8_t[]){ 0x8b, 0x57, 0x10 }, 3);                   /* mov 0x10(%edi), %edx */
    self()->reg[RDX] = UINT64_MAX;
    npf(IOAPIC + 0x10, 4);
    assert_int_equal(vmcb_now()->rip, RIP + 3);
    assert_int_equal(self()->reg[RDX], 0x170011);
    code((const uint8_t[]){ 0xa1, 0, 0, 0xc0, 0xfe }, 5);             /* mov 0xfec00000, %eax */
    npf(IOAPIC, 4);
    assert_int_equal(vmcb_now()->rax, 1);
    code((const uint8_t[]){ 0x89, 0x27 }, 2);                         /* mov %esp, (%edi) */
    vmcb_now()->rsp = UINT64_C(0xffffffff00000022);
    npf(IOAPIC, 6);
    code((const uint8_t[]){ 0x8b, 0x27 }, 2);                         /* mov (%edi), %esp */
    npf(IOAPIC, 4);
    assert_int_equal(vmcb_now()->rsp, 0x22);
    code((const uint8_t[]){ 0x89, 0x47, 0x10 }, 3);                   /* mov %eax, 0x10(%edi) */
    vmcb_now()->rax = 0x10031;
    npf(IOAPIC + 0x10, 6);
    assert_int_equal(pc_lines[18], 0x10031);
    assert_int_equal(requested(), REQUEST_NONE);
}

static void other_accesses_to_the_io_apic(void **state)
{
    static const struct { uint64_t error; uint8_t bytes[4]; } others[] = {
        { 4, { 0x8a, 0x07 } }, { 6, { 0x66, 0x89, 0x07 } }, { 6, { 0xff, 0x07 } }, { 6, { 0xab } },
        { 4, { 0x89, 0x07 } }, { 6, { 0x8b, 0x07 } },                 /* the CPU says another direction */
    };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(others); i++) {
        pc_boot();
        code(others[i].bytes, sizeof(others[i].bytes));
        assert_false(npf_comes_back(IOAPIC, others[i].error));
        assert_int_equal(vmcb_now()->rip, RIP);
        assert_non_null(strstr(said, "FAULT linux, vcpu 0: the I/O APIC's registers take 32-bit MOV only"));
        assert_int_equal(requested(), REQUEST_STOP);
    }
    pc_boot();
    vmcb_now()->cr0 |= CR0_PG;                    /* tables that are not there: no instruction */
    vmcb_now()->cr3 = 0xfff000;
    assert_false(npf_comes_back(IOAPIC, 4));
    pc_boot();
    assert_false(npf_comes_back(IOAPIC, 0x14));
    assert_non_null(strstr(said, "FAULT linux, vcpu 0: instruction fetch from 0xfec00000, pc"));
}

static void memory_that_is_not_the_partitions(void **state)
{
    (void)state;
    vmcb_now()->rip = RIP;
    assert_false(npf_comes_back(0x80000000, 6));
    assert_string_equal(said, "FAULT linux, vcpu 0: write to 0x80000000, pc 0x4000, syndrome 0x6\n"
                              "  nothing is mapped there; its RAM is 0x0 to 0x1ffff (system.yaml:4)\n"
                              "  nothing is mapped there; its RAM is 0x100000000 to 0x100003fff (system.yaml:4)\n"
                              "  on-fault: it is stopped\n");
    assert_int_equal(vmcb_now()->rip, RIP);
    pc_boot();
    assert_false(npf_comes_back(IOAPIC + 0x1000, 4));
    assert_non_null(strstr(said, "read of 0xfec01000"));
    pc_boot();
    assert_false(npf_comes_back(IOAPIC - 1, 4));
    pc_boot();
    (void)on(5);                                  /* spare has no line, so no I/O APIC; its policy is a reset */
    assert_false(npf_comes_back(IOAPIC, 4));
    assert_non_null(strstr(said, "there lies /interrupt-controller@fec00000, which system.yaml gives to nobody"));
    assert_non_null(port_wrote(0xcf9));
    assert_int_equal(port_writes[0].value, 0x12);
    assert_int_equal(port_writes[1].value, 6);
    assert_int_equal(port_writes[2].size, 4);
}

/* ---------------------------------------------------------------- other exits */

static void exit_with(uint64_t code)
{
    vmcb_now()->exit_code = code;
    svm_exit(self());
}

static void call_exit(struct cpu *cpu, uint64_t code)
{
    (void)cpu;
    exit_with(code);
}

static void exceptions_go_on_to_the_guest(void **state)
{
    (void)state;
    exit_with(EXIT_DB);
    assert_int_equal(vmcb_now()->event_injection, VALID | 0x301);
    vmcb_now()->event_injection = 0;
    vmcb_now()->exit_info_1 = 0;
    exit_with(EXIT_AC);
    assert_int_equal(vmcb_now()->event_injection, VALID | 0xb11);
    assert_int_equal(vmcb_now()->rip, RIP);
}

static void instructions_of_svm_are_undefined(void **state)
{
    (void)state;
    for (uint32_t code = EXIT_VMRUN; code <= EXIT_SKINIT; code++) {
        vmcb_now()->event_injection = 0;
        exit_with(code);
        assert_int_equal(vmcb_now()->event_injection, EVENT_UD);
    }
    vmcb_now()->event_injection = 0;
    exit_with(EXIT_INVLPGA);
    assert_int_equal(vmcb_now()->event_injection, EVENT_UD);
    assert_int_equal(vmcb_now()->rip, RIP);
    assert_int_equal(requested(), REQUEST_NONE);
}

static void invd_writes_back(void **state)
{
    (void)state;
    exit_with(EXIT_INVD);
    assert_true(did("wbinvd"));
    assert_int_equal(vmcb_now()->rip, RIP + 2);
}

static void what_ends_a_partition(void **state)
{
    static const struct { uint64_t code; const char *what; } ends[] = {
        { EXIT_SHUTDOWN, "FAULT linux, vcpu 0: triple fault" }, { EXIT_MC, "FAULT linux, vcpu 0: machine check" },
        { EXIT_INVALID, "state that the CPU does not accept" }, { 0x60, "an exit without a meaning" },
        { 0x87, "an exit without a meaning" }, { 0x7f + 0x400, "an exit without a meaning" },
    };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(ends); i++) {
        pc_boot();
        vmcb_now()->exit_int_info = VALID | 0x308;  /* a double fault was on its way */
        assert_false(comes_back(call_exit, self(), ends[i].code));
        assert_non_null(strstr(said, ends[i].what));
        assert_int_equal(requested(), REQUEST_STOP);
    }
}

static void an_event_on_its_way_is_delivered_again(void **state)
{
    (void)state;
    vmcb_now()->exit_int_info = UINT64_C(0x1234) << 32 | VALID | 0xb0e;
    exit_with(EXIT_NMI);
    assert_int_equal(vmcb_now()->event_injection, UINT64_C(0x1234) << 32 | VALID | 0xb0e);
    vmcb_now()->event_injection = 0;
    vmcb_now()->exit_int_info = 0x30e;             /* not valid */
    exit_with(EXIT_NMI);
    assert_int_equal(vmcb_now()->event_injection, 0);
}

static void translations_are_flushed_until_the_first_exit(void **state)
{
    (void)state;
    vmcb_now()->exit_int_info = 0;
    assert_int_equal(vmcb_now()->tlb_control, 1);
    exit_with(EXIT_NMI);
    assert_int_equal(vmcb_now()->tlb_control, 0);
}

/* ---------------------------------------------------------------- NMIs for the guest */

static void nmis_wait_for_the_end_of_one(void **state)
{
    (void)state;
    vmcb_now()->exit_int_info = 0;
    self()->guest_nmi = 1;
    exit_with(EXIT_NMI);
    assert_int_equal(vmcb_now()->event_injection, EVENT_NMI);
    assert_true((vmcb_now()->intercept_1 & IRET_BIT) != 0);
    vmcb_now()->event_injection = 0;               /* taken */
    self()->guest_nmi = 1;
    exit_with(EXIT_NMI);
    assert_int_equal(vmcb_now()->event_injection, 0);
    assert_int_equal(self()->guest_nmi, 1);
    exit_with(EXIT_IRET);
    assert_int_equal(vmcb_now()->rip, RIP);        /* IRET is the guest's own */
    assert_int_equal(self()->guest_nmi, 0);
    assert_int_equal(vmcb_now()->event_injection, EVENT_NMI);
    vmcb_now()->event_injection = 0;
    exit_with(EXIT_IRET);
    assert_int_equal(vmcb_now()->intercept_1 & IRET_BIT, 0);
    assert_int_equal(vmcb_now()->event_injection, 0);
}

static void an_nmi_goes_behind_another_event(void **state)
{
    (void)state;
    self()->guest_nmi = 1;
    vmcb_now()->exit_int_info = VALID | 0x30;
    pc_forget();
    exit_with(EXIT_NMI);
    assert_int_equal(vmcb_now()->event_injection, VALID | 0x30);
    assert_int_equal(nmis_for(0), 1);              /* so that there is a next exit */
    vmcb_now()->exit_int_info = vmcb_now()->event_injection = 0;
    exit_with(EXIT_NMI);
    assert_int_equal(vmcb_now()->event_injection, EVENT_NMI);
}

/* ---------------------------------------------------------------- requests, INIT, console */

static void a_request_comes_before_init_and_nmi(void **state)
{
    (void)state;
    self()->guest_init = self()->guest_nmi = 1;
    partition_request(self()->vcpu.config, REQUEST_RESTART);
    assert_false(comes_back(call_exit, self(), EXIT_NMI));
    assert_int_equal(cpu_at(0)->vcpu.run, VCPU_ON);  /* not off by INIT */
    assert_int_equal(cpu_at(0)->guest_init, 0);
    assert_false(core_runs(1));
    assert_false(core_runs(2));
    assert_true(core_runs(0));
    assert_int_equal(cpu_at(0)->guest_nmi, 0);       /* it was for the guest before */
    assert_int_equal(vmcb_now()->event_injection, 0);
}

static void a_vcpu_that_got_init_takes_no_nmi(void **state)
{
    struct vcpu *vcpu = &cpu_at(1)->vcpu;

    (void)state;
    cpu_at(1)->guest_init = cpu_at(1)->guest_nmi = 1;
    assert_false(comes_back(call_exit, on(1), EXIT_NMI));
    assert_int_equal(vcpu->run, VCPU_OFF);
    assert_true(vcpu_start(vcpu, 0x8000, START_BY_SIPI));
    assert_true(core_runs(1));
    assert_int_equal(cpu_at(1)->guest_nmi, 0);
    assert_int_equal(vmcb_now()->cs.base, 0x8000);
}

static void the_consoles_core_looks_after_the_port(void **state)
{
    (void)state;
    exit_with(EXIT_NMI);
    assert_int_equal(console_input_count, 1);
    assert_int_equal(console_tick_count, 1);
    exit_with(EXIT_DB);
    assert_int_equal(console_input_count, 1);
    (void)on(1);
    exit_with(EXIT_NMI);
    assert_int_equal(console_input_count, 1);
    board.console_irq = 0;
    (void)on(0);
    exit_with(EXIT_NMI);
    assert_int_equal(console_input_count, 1);
    board.console_irq = 1;
    arch_wait(&cpu_at(0)->vcpu, false);
    assert_int_equal(console_input_count, 2);
}

/* ---------------------------------------------------------------- starting */

static void assert_controls(uint32_t partition)
{
    const struct layout_partition *config = &board_partitions[partition];

    assert_int_equal(vmcb_now()->iopm, (uintptr_t)config->pc.io_bitmap);
    assert_int_equal(vmcb_now()->msrpm, (uintptr_t)config->pc.msr_bitmap);
    assert_int_equal(vmcb_now()->asid, partition + 1);
    assert_int_equal(vmcb_now()->nested_control, 1);
    assert_int_equal(vmcb_now()->nested_cr3, config->nested);
    assert_int_equal(vmcb_now()->tlb_control, 1);
    /* NMI, CPUID, INVD, INVLPGA, I/O, MSR, shutdown; interrupts, HLT, IRET and task switches are the guest's */
    assert_int_equal(vmcb_now()->intercept_1, 0x9c440002);
    assert_int_equal(vmcb_now()->intercept_2, 0x7f);
    assert_int_equal(vmcb_now()->intercept_exception, 1u << 1 | 1u << 17 | 1u << 18);
    assert_int_equal(vmcb_now()->interrupt_control, 0);  /* the guest's IF masks physical interrupts */
    assert_int_equal(vmcb_now()->efer, EFER_SVME);
    assert_int_equal(vmcb_now()->pat, PAT_RESET);
    assert_int_equal(vmcb_now()->rflags, 2);
    assert_int_equal(vmcb_now()->cr3 | vmcb_now()->cr4 | vmcb_now()->event_injection | vmcb_now()->tsc_offset, 0);
    assert_int_equal(vmcb_now()->clean, 0);
    assert_int_equal(vmcb_now()->cpl, 0);
}

/* Xen's docs/misc/pvh.pandoc: 32-bit protected mode without paging, flat segments, ebx = start info. */
static void the_first_vcpu_starts_as_a_pvh_kernel(void **state)
{
    (void)state;
    assert_controls(LINUX);
    vmcb_now()->rip = 0;
    pc_boot();
    assert_int_equal(vmcb_now()->rip, 0x1000);
    assert_int_equal(vmcb_now()->cr0, CR0_PE | CR0_ET);
    assert_int_equal(cpu_at(0)->reg[RBX], 0xf0000);
    assert_int_equal(vmcb_now()->cs.base | vmcb_now()->ss.base | vmcb_now()->ds.base | vmcb_now()->es.base, 0);
    assert_int_equal(vmcb_now()->cs.limit, 0xffffffff);
    assert_int_equal(vmcb_now()->ds.limit, 0xffffffff);
    assert_int_equal(vmcb_now()->cs.attributes, 0xc9b);
    assert_int_equal(vmcb_now()->ss.attributes, 0xc93);
    assert_int_equal(vmcb_now()->es.attributes, 0xc93);
    assert_int_equal(vmcb_now()->tr.attributes, 0x8b);
    assert_int_equal(vmcb_now()->tr.limit, 0x67);
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(cpu_at(0)->reg[i], i == RBX ? 0xf0000 : i == RDX ? 0x00a20f10 : 0);
    }
    assert_int_equal(vmcb_now()->rax | vmcb_now()->rsp, 0);
}

static void other_vcpus_start_in_real_mode(void **state)
{
    (void)state;
    (void)on(4);
    assert_controls(FLIGHT);
    assert_int_equal(vmcb_now()->rip, 0);
    assert_int_equal(vmcb_now()->cr0, CR0_ET);
    assert_int_equal(vmcb_now()->cs.base, 0x9000);
    assert_int_equal(vmcb_now()->cs.selector, 0x900);
    assert_int_equal(vmcb_now()->cs.limit, 0xffff);
    assert_int_equal(vmcb_now()->cs.attributes, 0x9b);
    assert_int_equal(vmcb_now()->ds.attributes, 0x93);
    assert_int_equal(vmcb_now()->ds.limit, 0xffff);
    assert_int_equal(vmcb_now()->idtr.limit, 0xffff);
    assert_int_equal(cpu_at(4)->reg[RDX], 0x00a20f10);
    assert_int_equal(cpu_at(4)->reg[RBX], 0);
}

static void every_start_ends_in_an_exit_at_once(void **state)
{
    (void)state;
    pc_reset();
    assert_true(core_runs(5));
    assert_true(nmi_waits(5));
    assert_int_equal(sent[sent_count - 1].value, UINT64_C(300) << 32 | 0x4400);
}

static void a_core_has_svm_on(void **state)
{
    (void)state;
    assert_int_equal(*pc_msr(MSR_EFER), EFER_SVME);
    assert_int_equal(*pc_msr(0xc0010117), board_cpus[0].vmm.raw + 4096);
    pc_reset();
    instruction_count = 0;
    vmm_init(cpu_at(0));
    assert_true(did("clgi"));
}

static void cpus_that_cannot_do_it(void **state)
{
    (void)state;
    assert_null(vmm_refusal());
    *pc_msr(0xc0010114) = 1u << 4;
    assert_string_equal(vmm_refusal(), "the firmware has switched SVM off on this CPU");
    pc_cpuid(0x8000000a)->reg[3] = 0xfffffffe;
    assert_string_equal(vmm_refusal(), "this CPU's SVM has no nested paging, which the layout needs");
    pc_cpuid(0x80000001)->reg[2] = ~4u;
    assert_string_equal(vmm_refusal(), "this CPU has no SVM, which the layout needs");
    pc_cpuid(0x80000001)->reg[2] = 4;
    pc_cpuid(0x80000000)->reg[0] = 0x80000008;
    assert_non_null(vmm_refusal());
}

/* ---------------------------------------------------------------- the local APIC of a core that starts anew */

static void nothing_is_left_of_the_last_guest(void **state)
{
    (void)state;
    for (uint32_t vector = 16; vector < 256; vector++) {  /* a guest may use any of them, also those of exceptions */
        pc_irr[0][vector / 64] |= UINT64_C(1) << (vector % 64);
    }
    pc_isr[0][0] = 1u << 30;
    pc_isr[0][3] = UINT64_C(1) << 60 | 1;
    *pc_msr(0x808) = 0xf0;
    *pc_msr(0x838) = 1000;
    apic_reset();
    assert_int_equal(taken_count, 240);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(pc_irr[0][i] | pc_isr[0][i], 0);
    }
    for (uint32_t msr = 0x832; msr <= 0x837; msr++) {
        assert_int_equal(*pc_msr(msr), 1u << 16);
    }
    assert_int_equal(*pc_msr(0x80f), 0xff);               /* off by software, as after INIT */
    assert_int_equal(*pc_msr(0x808) | *pc_msr(0x838), 0);
}

static void entries_that_an_apic_does_not_have(void **state)
{
    (void)state;
    pc_forget();
    apic_reset();
    for (uint32_t i = 0; i < msr_write_count; i++) {
        assert_int_not_equal(msr_writes[i].msr, 0x82f);   /* CMCI: with seven entries */
    }
    *pc_msr(0x803) = 0x40014;
    pc_forget();
    apic_reset();
    for (uint32_t i = 0; i < msr_write_count; i++) {
        assert_int_not_equal(msr_writes[i].msr, 0x833);   /* thermal: with six */
    }
    *pc_msr(0x803) = 0x60014;
    apic_reset();
    assert_int_equal(*pc_msr(0x82f), 1u << 16);
}

/* A sibling that sends all the time does not hold this core for ever. */
static void interrupts_that_do_not_end(void **state)
{
    (void)state;
    pc_apic_stuck = true;
    pc_irr[0][1] = 1;
    apic_reset();
    assert_int_equal(*pc_msr(0x80f), 0xff);
}

static void ids(void **state)
{
    (void)state;
    (void)on(5);
    assert_int_equal(apic_id(), 300);
    pc_cpuid(0xb)->reg[1] = 0;
    assert_int_equal(apic_id(), 300 & 0xff);
    (void)on(4);
    pc_cpuid(0)->reg[0] = 4;
    pc_cpuid(0xb)->reg[1] = 1;
    assert_int_equal(apic_id(), 19);
    *pc_msr(MSR_APIC_BASE) = APIC_BASE_PAGE;
    pc_forget();
    apic_on();
    assert_int_equal(msr_write_count, 2);                  /* by xAPIC mode: SDM 3 11.12.5 */
    assert_int_equal(msr_writes[0].value, APIC_BASE_PAGE | APIC_BASE_ON);
    assert_int_equal(msr_writes[1].value, APIC_BASE_PAGE | APIC_BASE_ON | APIC_BASE_X2);
}

/* ---------------------------------------------------------------- the rest of hv/arch.h */

static void the_alarm_is_the_8254(void **state)
{
    static const struct { uint64_t ns; uint32_t count; } alarms[] = {
        { 1, 1 }, { 838, 1 }, { 838000, 1000 }, { 5000000, 5966 }, { 54900000, 65513 }, { 60000000, 65535 },
        { UINT64_MAX, 65535 } };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(alarms); i++) {
        pc_forget();
        arch_alarm(alarms[i].ns);
        assert_int_equal(port_write_count, 3);
        assert_int_equal(port_writes[0].port, 0x43);
        assert_int_equal(port_writes[0].value, 0x30);
        assert_int_equal(port_writes[1].port, 0x40);
        assert_int_equal(port_writes[2].port, 0x40);
        assert_int_equal(port_writes[1].value | port_writes[2].value << 8, alarms[i].count);
    }
    pc_forget();
    arch_alarm(0);                                         /* a mode without a count does not start */
    assert_int_equal(port_write_count, 1);
    board.pc.pit_line = LAYOUT_NO_LINE;
    pc_forget();
    arch_alarm(1000);
    assert_int_equal(port_write_count, 0);
}

static void power_of_the_board(void **state)
{
    (void)state;
    arch_board_off();
    assert_int_equal(port_write_count, 1);
    assert_int_equal(port_writes[0].port, 0x604);
    assert_int_equal(port_writes[0].size, 2);
    assert_int_equal(port_writes[0].value, 0x2000);
    expect_halt(arch_halt());
}

static void the_loader_map(void **state)
{
    (void)state;
    arch_loader_open(&board_partitions[FLIGHT]);
    assert_int_equal(pc_cr3[0], 0x2222000);
    arch_loader_close();
    assert_int_equal(pc_cr3[0], HOST_CR3);
    arch_console_irq(true);
    arch_partition_withdraw(&board_partitions[FLIGHT]);
    assert_ptr_equal(arch_vcpu(2), &cpu_at(2)->vcpu);
}

static void blocks_of_memory(void **state)
{
    _Alignas(16) uint8_t from[64], to[80];

    (void)state;
    for (uint32_t i = 0; i < sizeof(from); i++) {
        from[i] = (uint8_t)(i + 1);
    }
    memset(to, 0xee, sizeof(to));
    arch_copy((uintptr_t)to, from, 48);
    assert_memory_equal(to, from, 48);
    assert_int_equal(to[48], 0xee);
    arch_zero((uintptr_t)to, 32);
    assert_int_equal(to[0] | to[31], 0);
    assert_int_equal(to[32], 33);
    arch_copy((uintptr_t)to, from, 0);
    assert_int_equal(to[0], 0);
}

/* hv/arch.h has the definition. */
static void the_checksum(void **state)
{
    uint64_t words[48], a[2] = { 0, 0 }, b[2] = { 0, 0 };

    (void)state;
    for (uint32_t i = 0; i < 48; i++) {
        words[i] = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
        a[i % 2] += words[i];
        if (i % 16 == 15) {
            b[0] += a[0];
            b[1] += a[1];
        }
    }
    assert_int_equal(arch_sum(words, words + 48), a[0] ^ (a[1] << 16 | a[1] >> 48) ^ (b[0] << 32 | b[0] >> 32) ^
                                                  (b[1] << 48 | b[1] >> 16));
    assert_int_equal(arch_sum(words, words), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(cpuid_is_native_but_for_the_policy, setup),
        cmocka_unit_test_setup(leaves_that_there_are_not, setup),
        cmocka_unit_test_setup(two_bits_follow_the_guest, setup),
        cmocka_unit_test_setup(the_cpu_says_where_the_next_instruction_is, setup),
        cmocka_unit_test_setup(hypercalls, setup),
        cmocka_unit_test_setup(msrs_of_the_table, setup),
        cmocka_unit_test_setup(everything_else_is_a_general_protection_fault, setup),
        cmocka_unit_test_setup(the_base_of_the_apic_is_fixed, setup),
        cmocka_unit_test_setup(efer_without_what_is_the_hypervisors, setup),
        cmocka_unit_test_setup(the_page_of_the_clock, setup),
        cmocka_unit_test_setup(ports_of_nobody, setup),
        cmocka_unit_test_setup(a_port_of_somebody_else_is_named_once, setup),
        cmocka_unit_test_setup(the_virtual_uart, setup),
        cmocka_unit_test_setup(power_ports, setup),
        cmocka_unit_test_setup(a_guest_restarts_itself, setup),
        cmocka_unit_test_setup(a_guest_switches_itself_off, setup),
        cmocka_unit_test_setup(string_instructions, setup),
        cmocka_unit_test_setup(the_registers_of_the_io_apic, setup),
        cmocka_unit_test_setup(other_accesses_to_the_io_apic, setup),
        cmocka_unit_test_setup(memory_that_is_not_the_partitions, setup),
        cmocka_unit_test_setup(exceptions_go_on_to_the_guest, setup),
        cmocka_unit_test_setup(instructions_of_svm_are_undefined, setup),
        cmocka_unit_test_setup(invd_writes_back, setup),
        cmocka_unit_test_setup(what_ends_a_partition, setup),
        cmocka_unit_test_setup(an_event_on_its_way_is_delivered_again, setup),
        cmocka_unit_test_setup(translations_are_flushed_until_the_first_exit, setup),
        cmocka_unit_test_setup(nmis_wait_for_the_end_of_one, setup),
        cmocka_unit_test_setup(an_nmi_goes_behind_another_event, setup),
        cmocka_unit_test_setup(a_request_comes_before_init_and_nmi, setup),
        cmocka_unit_test_setup(a_vcpu_that_got_init_takes_no_nmi, setup),
        cmocka_unit_test_setup(the_consoles_core_looks_after_the_port, setup),
        cmocka_unit_test_setup(the_first_vcpu_starts_as_a_pvh_kernel, setup),
        cmocka_unit_test_setup(other_vcpus_start_in_real_mode, setup),
        cmocka_unit_test_setup(every_start_ends_in_an_exit_at_once, setup),
        cmocka_unit_test_setup(a_core_has_svm_on, setup),
        cmocka_unit_test_setup(cpus_that_cannot_do_it, setup),
        cmocka_unit_test_setup(nothing_is_left_of_the_last_guest, setup),
        cmocka_unit_test_setup(entries_that_an_apic_does_not_have, setup),
        cmocka_unit_test_setup(interrupts_that_do_not_end, setup),
        cmocka_unit_test_setup(ids, setup),
        cmocka_unit_test_setup(the_alarm_is_the_8254, setup),
        cmocka_unit_test_setup(power_of_the_board, setup),
        cmocka_unit_test_setup(the_loader_map, setup),
        cmocka_unit_test_setup(blocks_of_memory, setup),
        cmocka_unit_test_setup(the_checksum, setup),
    };

    return cmocka_run_group_tests_name("x86_exits", tests, NULL, NULL);
}
