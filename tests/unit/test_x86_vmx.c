/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/vmx/vmx.c arch/x86/vmx/guest.c arch/x86/vmx/exit.c arch/x86/vmx/shared.c arch/x86/xcr0.c */
/* with: POOLS */
/* VMX with a control structure that is a table here; what the exits hand on to is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arch/x86/cpu.h>
#include <arch/x86/exits.h>
#include <arch/x86/pool.h>
#include <arch/x86/vmm.h>
#include <arch/x86/vmx/vmcs.h>
#include <arch/x86/vmx/vendor.h>
#include <arch/x86/x86.h>
#include <hv/arch.h>

#define FIELDS      160u
#define RIP         UINT64_C(0x1000)
#define REVISION    0x11e57ed0u
#define ALL         UINT64_C(0xffffffff00000000)   /* controls: every bit may be 1, none must */

extern void vmx_unblock_nmi(void);
extern const uint8_t vmx_landing[1], vmx_pool_landing[1];
struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf);
uint64_t fake_rdmsr(uint32_t msr);
void fake_wrmsr(uint32_t msr, uint64_t value);
uint64_t fake_read_cr4(void);
void fake_write_cr4(uint64_t value);
void fake_instruction(const char *text);

const uint8_t vmx_landing[1], vmx_pool_landing[1];

static struct { uint64_t field, value; } fields[FIELDS];
static uint32_t field_count;
static struct { uint32_t msr; uint64_t value; } msrs[64];
static uint32_t msr_count;
static uint64_t cr4;
static char did[512];
static const char *fault;
static uint64_t fault_syndrome;
static uint32_t nmis, events, unblocked;
static struct { uint16_t port; uint32_t size; bool in, string; } port;
static bool port_fails;
static uint64_t memory_address, memory_error;
static uint32_t memory_length, leaf_1_ecx;

static _Alignas(4096) uint8_t stack[4096], pages[2][4096];
static const uint8_t io_bitmap[1], msr_bitmap[1];
static struct layout_partition partition = { .name = "linux", .nested = 0x77701e, .asid = 3 };
static struct layout_cpu cpus[1];
struct layout board __asm__("layout");

/* ---------------------------------------------------------------- fakes */

static uint64_t *field(uint64_t number)
{
    for (uint32_t i = 0; i < field_count; i++) {
        if (fields[i].field == number) {
            return &fields[i].value;
        }
    }
    assert_true(field_count < FIELDS);
    fields[field_count].field = number;
    fields[field_count].value = 0;
    return &fields[field_count++].value;
}

static uint64_t *msr_at(uint32_t msr)
{
    for (uint32_t i = 0; i < msr_count; i++) {
        if (msrs[i].msr == msr) {
            return &msrs[i].value;
        }
    }
    assert_true(msr_count < ARRAY_COUNT(msrs));
    msrs[msr_count].msr = msr;
    msrs[msr_count].value = 0;
    return &msrs[msr_count++].value;
}

uint64_t vmcs_read(uint64_t number) { return *field(number); }
void vmcs_write(uint64_t number, uint64_t value) { *field(number) = value; }
uint64_t fake_rdmsr(uint32_t msr) { return *msr_at(msr); }
void fake_wrmsr(uint32_t msr, uint64_t value) { *msr_at(msr) = value; }
uint64_t fake_read_cr4(void) { return cr4; }
void fake_write_cr4(uint64_t value) { cr4 = value; }
void vmx_unblock_nmi(void) { unblocked++; }

void fake_instruction(const char *text)
{
    size_t used = strlen(did);

    (void)snprintf(did + used, sizeof(did) - used, "%.12s;", text + 1);
}

struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf)
{
    (void)subleaf;
    return leaf == 1 ? (struct cpuid){ { 0x906ea, 0, leaf_1_ecx, 0 } } :
           leaf == 0xd ? (struct cpuid){ { 0xe7, 0, 0, 0 } } : (struct cpuid){ { 0 } };
}

void exit_fault(struct cpu *cpu, const char *what, uint64_t syndrome)
{
    (void)cpu;
    fault = what;
    fault_syndrome = syndrome;
}

void exit_nmi(struct cpu *cpu) { (void)cpu; nmis++; }
void exit_events(struct cpu *cpu) { (void)cpu; events++; }

bool port_access(struct cpu *cpu, uint16_t number, uint32_t size, bool in, bool string)
{
    (void)cpu;
    port.port = number;
    port.size = size;
    port.in = in;
    port.string = string;
    return !port_fails;
}

uint32_t memory_access(struct cpu *cpu, ipa_t address, uint64_t error)
{
    (void)cpu;
    memory_address = address.raw;
    memory_error = error;
    return memory_length;
}

static char handed[256];       /* to pool.c and pool_exits.c, in order */
static uint64_t priority_written, now;

static void hand(const char *what)
{
    strncat(handed, what, sizeof(handed) - strlen(handed) - 1);
}

void pool_cpuid(struct cpu *cpu) { (void)cpu; hand("cpuid "); }
void pool_msr(struct cpu *cpu, bool write) { (void)cpu; hand(write ? "wrmsr " : "rdmsr "); }
void pool_halt(struct cpu *cpu) { (void)cpu; hand("halt "); }
void pool_leave(struct cpu *cpu) { (void)cpu; hand("leave"); }
void vmm_pool_take(void) { hand("take "); }
void exit_hypercall(struct cpu *cpu) { (void)cpu; hand("hypercall "); }
uint64_t arch_counter(void) { return now; }
bool pool_xcr0(uint64_t value) { return value != 0xe7 && xcr0_valid(value); }  /* of a pool it refuses more */

bool pool_priority(struct cpu *cpu, uint64_t value)
{
    (void)cpu;
    priority_written = value;
    return value <= 15u;
}

static struct cpu *self(void)
{
    return cpu_at(0);
}

static int setup(void **state)
{
    (void)state;
    field_count = msr_count = 0;
    cr4 = CR4_PAE;
    leaf_1_ecx = 1u << 5 | 1u << 26;
    did[0] = '\0';
    fault = NULL;
    nmis = events = unblocked = 0;
    port_fails = false;
    memory_length = 3;
    memset(stack, 0, sizeof(stack));
    memset(pages, 0, sizeof(pages));
    cpus[0] = (struct layout_cpu){ .stack_top = (uintptr_t)stack + 4096u, .vmm = { (uintptr_t)pages } };
    partition.pc.io_bitmap = io_bitmap;
    partition.pc.msr_bitmap = msr_bitmap;
    board = (struct layout){ .cpu_count = 1, .partition_count = 1, .cpus = cpus, .partitions = &partition,
                             .host_cr3 = 0x123000 };
    self()->vcpu.config = &partition;
    self()->vcpu.entry = RIP;
    self()->vcpu.context = 0xf0000;
    *msr_at(0x3a) = 5;
    *msr_at(0x480) = UINT64_C(1) << 55 | UINT64_C(1) << 31 | REVISION;
    *msr_at(0x486) = 0x80000021;
    *msr_at(0x488) = 0x2000;
    *msr_at(0x48b) = *msr_at(0x48d) = *msr_at(0x48e) = *msr_at(0x48f) = *msr_at(0x490) = ALL;
    *msr_at(0x48c) = UINT64_MAX;
    vmm_init(self());
    vmm_reset(self());
    *field(VMCS_EXIT_LENGTH) = 2;
    did[0] = '\0';
    return 0;
}

/* ---------------------------------------------------------------- can this CPU do it? */

static void cpus_that_cannot_do_it(void **state)
{
    static const struct { uint32_t msr, bit; const char *words; } lacks[] = {
        { 0x48d, 3, "virtual NMIs" }, { 0x48d, 5, "virtual NMIs" }, { 0x48e, 25, "bitmaps" }, { 0x48e, 28, "bitmaps" },
        { 0x48e, 22, "NMI windows" }, { 0x48e, 31, "bitmaps" }, { 0x48b, 1, "EPT" }, { 0x48b, 5, "VPIDs" },
        { 0x48b, 7, "unrestricted" }, { 0x48f, 20, "EFER" }, { 0x48f, 19, "PAT" }, { 0x490, 15, "EFER" },
        { 0x490, 14, "PAT" } };

    (void)state;
    assert_null(vmm_refusal());
    for (uint32_t i = 0; i < ARRAY_COUNT(lacks); i++) {
        *msr_at(lacks[i].msr) = ALL & ~(UINT64_C(1) << (lacks[i].bit + 32u));
        assert_non_null(vmm_refusal());
        assert_non_null(strstr(vmm_refusal(), lacks[i].words));
        *msr_at(lacks[i].msr) = ALL;
    }
    for (uint32_t bit = 0; bit < 64; bit++) {
        bool needed = bit == 6 || bit == 14 || bit == 16 || bit == 17 || bit == 20 || bit == 25 || bit == 32 || bit == 41;

        *msr_at(0x48c) = ~(UINT64_C(1) << bit);
        assert_int_equal(vmm_refusal() != NULL, needed);
    }
    *msr_at(0x480) = REVISION;
    assert_non_null(strstr(vmm_refusal(), "older"));
    *msr_at(0x3a) = 1;
    assert_string_equal(vmm_refusal(), "the firmware has switched VMX off on this CPU");
    *msr_at(0x3a) = 0;                   /* open: the hypervisor decides, and closes it */
    *msr_at(0x480) = UINT64_C(1) << 55;
    *msr_at(0x48c) = UINT64_MAX;
    assert_null(vmm_refusal());
    assert_int_equal(*msr_at(0x3a), 5);
    leaf_1_ecx = 0;
    assert_string_equal(vmm_refusal(), "this CPU has no VMX, which the layout needs");
}

static void a_core_has_vmx_on(void **state)
{
    (void)state;
    did[0] = '\0';
    cr4 = CR4_PAE;
    vmm_init(self());
    assert_int_equal(cr4, CR4_PAE | 1u << 13 | CR4_OSXSAVE);
    assert_non_null(strstr(did, "vmxon %0"));
    assert_true(strstr(did, "vmclear") < strstr(did, "vmptrld"));
    assert_int_equal(*(uint32_t *)(void *)pages[0], REVISION);
    assert_int_equal(*(uint32_t *)(void *)pages[1], REVISION);
    assert_int_equal(*field(VMCS_HOST_RSP), (uintptr_t)self());
    assert_int_equal(*field(VMCS_HOST_RIP), (uintptr_t)vmx_landing);
    assert_int_equal(*field(VMCS_HOST_CR3), 0x123000);
    assert_int_equal(*field(VMCS_HOST_CR4), cr4);
    leaf_1_ecx = 1u << 5;
    cr4 = CR4_PAE;
    vmm_init(self());
    assert_int_equal(cr4, CR4_PAE | 1u << 13);
}

static void controls(void **state)
{
    (void)state;
    assert_int_equal(*field(VMCS_PIN), 0x28);              /* NMIs come here; interrupts go to the guest */
    assert_int_equal(*field(VMCS_EXCEPTIONS), 1u << 1 | 1u << 17 | 1u << 18);
    assert_int_equal(*field(VMCS_PROCESSOR), 1u << 10 | 1u << 25 | 1u << 28 | 1u << 29 | 1u << 31);
    assert_int_equal(*field(VMCS_PROCESSOR_2), 1u << 1 | 1u << 3 | 1u << 5 | 1u << 7 | 1u << 12 | 1u << 20);
    assert_int_equal(*field(VMCS_VPID), 3);
    assert_int_equal(*field(VMCS_EPTP), 0x77701e);
    assert_int_equal(*field(VMCS_IO_BITMAP_A), (uintptr_t)io_bitmap);
    assert_int_equal(*field(VMCS_IO_BITMAP_B), (uintptr_t)io_bitmap + 4096);
    assert_int_equal(*field(VMCS_MSR_BITMAP), (uintptr_t)msr_bitmap);
    assert_int_equal(*field(VMCS_LINK), UINT64_MAX);
    *msr_at(0x48d) = ALL | 0x16;                            /* bits that this CPU has always on */
    assert_int_equal(vmx_controls(0x28, 0x48d), 0x3e);
    *msr_at(0x48d) = UINT64_C(0x0000002e00000006);
    assert_int_equal(vmx_controls(0x38, 0x48d), 0x2e);
}

/* ---------------------------------------------------------------- starting */

static void the_first_vcpu_starts_as_a_pvh_kernel(void **state)
{
    (void)state;
    assert_int_equal(*field(VMCS_RIP), RIP);
    assert_int_equal(*field(VMCS_CR0), 0x31);              /* PE, ET and NE, which VMX wants */
    assert_int_equal(*field(VMCS_CR0_MASK), 0x60000020);
    assert_int_equal(*field(VMCS_CR0_SHADOW) | *field(VMCS_CR4_SHADOW) | *field(VMCS_CR3) | *field(VMCS_EFER), 0);
    assert_int_equal(*field(VMCS_CR4), 0x2040);
    assert_int_equal(*field(VMCS_CR4_MASK), 0x6040);
    assert_int_equal(*field(VMCS_RIGHTS + 2 * SEGMENT_CS), 0xc09b);
    assert_int_equal(*field(VMCS_RIGHTS + 2 * SEGMENT_SS), 0xc093);
    assert_int_equal(*field(VMCS_LIMIT + 2 * SEGMENT_CS), UINT32_MAX);
    assert_int_equal(*field(VMCS_LIMIT + 2 * SEGMENT_TR), 0x67);
    assert_int_equal(*field(VMCS_RFLAGS), 2);
    assert_int_equal(*field(VMCS_PAT), PAT_RESET);
    assert_int_equal(self()->reg[RBX], 0xf0000);
    assert_int_equal(self()->reg[RDX], 0x906ea);
    vmm_reset(self());
    assert_non_null(strstr(did, "invept"));
    assert_non_null(strstr(did, "invvpid"));
}

static void other_vcpus_start_in_real_mode(void **state)
{
    (void)state;
    self()->vcpu.context = START_BY_SIPI;
    self()->vcpu.entry = 0x9a000;
    self()->reg[RBX] = 0;
    *field(VMCS_ENTRY_EVENT) = *field(VMCS_INTERRUPTIBILITY) = *field(VMCS_ACTIVITY) = 8;
    *msr_at(0xc0000082) = *msr_at(0xc0000102) = 7;
    vmm_reset(self());
    assert_int_equal(*field(VMCS_RIP), 0);
    assert_int_equal(*field(VMCS_SELECTOR + 2 * SEGMENT_CS), 0x9a00);
    assert_int_equal(*field(VMCS_BASE + 2 * SEGMENT_CS), 0x9a000);
    assert_int_equal(*field(VMCS_LIMIT + 2 * SEGMENT_CS), 0xffff);
    assert_int_equal(*field(VMCS_RIGHTS + 2 * SEGMENT_CS), 0x9b);
    assert_int_equal(*field(VMCS_RIGHTS + 2 * SEGMENT_DS), 0x93);
    assert_int_equal(*field(VMCS_CR0), 0x30);
    assert_int_equal(self()->reg[RBX], 0);
    assert_int_equal(*field(VMCS_ENTRY_EVENT) | *field(VMCS_INTERRUPTIBILITY) | *field(VMCS_ACTIVITY), 0);
    assert_int_equal(*msr_at(0xc0000082) | *msr_at(0xc0000102), 0);
}

static void state_for_the_rest(void **state)
{
    struct vmm_mode mode;

    (void)state;
    *field(VMCS_BASE + 2 * SEGMENT_CS) = 0xfffff000;
    *field(VMCS_RIP) = 0x2000;
    vmm_mode(self(), &mode);
    assert_int_equal(mode.rip, 0x1000);
    assert_false(mode.code64);
    *field(VMCS_EFER) = EFER_LMA;
    vmm_mode(self(), &mode);
    assert_false(mode.code64);                             /* compatibility mode */
    *field(VMCS_RIGHTS + 2 * SEGMENT_CS) = 0xa09b;
    *field(VMCS_RIP) = UINT64_C(0xffffffff80001234);
    vmm_mode(self(), &mode);
    assert_true(mode.code64);
    assert_int_equal(mode.rip, UINT64_C(0xffffffff80001234));
    assert_int_equal(vmm_rip(self()), UINT64_C(0xffffffff80001234));
    vmm_set_reg(self(), RSP, 5);
    vmm_set_reg(self(), 13, 6);
    assert_int_equal(*field(VMCS_RSP), 5);
    assert_int_equal(vmm_reg(self(), RSP) * 10 + vmm_reg(self(), 13), 56);
    vmm_set_efer(self(), EFER_LME);
    assert_int_equal(vmm_efer(self()), EFER_LME);
    *field(VMCS_CR4) = 0x40000;
    assert_int_equal(vmm_cr4(self()), 0x40000);
    *vmm_rax(self()) = 9;
    assert_int_equal(self()->reg[RAX], 9);
}

/* ---------------------------------------------------------------- exits */

static void leave(uint32_t reason, uint64_t qualification)
{
    *field(VMCS_QUALIFICATION) = qualification;
    *field(VMCS_RIP) = RIP;
    *field(VMCS_ENTRY_EVENT) = 0;
    events = 0;
    vmx_exit(self(), reason);
    assert_int_equal(events, 1);
}

static void exception(uint32_t event)
{
    *field(VMCS_EXIT_EVENT) = EVENT_VALID | event;
    leave(0, 0);
    *field(VMCS_EXIT_EVENT) = 0;
}

static void kicks(void **state)
{
    (void)state;
    exception(EVENT_NMI | 2);
    assert_int_equal(nmis, 1);
    assert_int_equal(unblocked, 1);
    assert_int_equal(*field(VMCS_ENTRY_EVENT), 0);
    self()->nmi = 1;
    leave(REASON_KICKED, 0);
    assert_int_equal(nmis, 2);
    assert_int_equal(self()->nmi, 0);
}

static void ports(void **state)
{
    (void)state;
    leave(30, UINT64_C(0x3f8) << 16 | 8);
    assert_true(port.port == 0x3f8 && port.size == 1 && port.in && !port.string);
    assert_int_equal(*field(VMCS_RIP), RIP + 2);
    leave(30, UINT64_C(0xffff) << 16 | 3);
    assert_true(port.port == 0xffff && port.size == 4 && !port.in && !port.string);
    port_fails = true;
    leave(30, UINT64_C(0x60) << 16 | 0x11);
    assert_true(port.port == 0x60 && port.size == 2 && port.string);
    assert_int_equal(*field(VMCS_RIP), RIP);
}

static void memory(void **state)
{
    (void)state;
    *field(VMCS_PHYSICAL_ADDRESS) = 0xfec00010;
    *field(VMCS_INTERRUPTIBILITY) = 9;                     /* behind STI; and in an NMI */
    leave(48, 2);
    assert_int_equal(memory_address, 0xfec00010);
    assert_int_equal(memory_error, ACCESS_WRITE);
    assert_int_equal(*field(VMCS_RIP), RIP + 3);
    assert_int_equal(*field(VMCS_INTERRUPTIBILITY), 8);
    leave(48, 4);
    assert_int_equal(memory_error, ACCESS_FETCH);
    memory_length = 0;
    leave(48, 1);
    assert_int_equal(memory_error, 0);
    assert_int_equal(*field(VMCS_RIP), RIP);
}

/* The hypervisor's bits stay; the guest reads what it wrote. */
static void control_registers(void **state)
{
    (void)state;
    self()->reg[RDI] = 0xe0000011;
    leave(28, 7u << 8);
    assert_int_equal(*field(VMCS_CR0_SHADOW), 0xe0000011);
    assert_int_equal(*field(VMCS_RIP), RIP);               /* the CPU does it again, and then itself */
    self()->reg[RDI] = 0x40;
    leave(28, 7u << 8 | 4);
    assert_int_equal(*field(VMCS_CR4_SHADOW), 0x40);
    self()->reg[RDI] = 0x2000;                             /* VMXE: a guest's CPU has no VMX */
    leave(28, 7u << 8 | 4);
    assert_int_equal(*field(VMCS_CR4_SHADOW), 0x40);
    assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x80000b0d));
    self()->reg[RDI] = 0x4000;                             /* SMXE: nor SMX */
    leave(28, 7u << 8 | 4);
    assert_int_equal(*field(VMCS_CR4_SHADOW), 0x40);
    leave(28, 3);
    assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x80000b0d));
}

static void xcr0(void **state)
{
    static const uint64_t good[] = { 1, 3, 7, 0xe7 };

    (void)state;
    for (uint64_t value = 0; value < 0x1000; value++) {
        bool valid = false;

        for (uint32_t i = 0; i < ARRAY_COUNT(good); i++) {
            valid = valid || value == good[i];
        }
        self()->reg[RCX] = 0;
        self()->reg[RDX] = 0;
        self()->reg[RAX] = value;
        leave(55, 0);
        assert_int_equal(*field(VMCS_RIP), valid ? RIP + 2 : RIP);
        assert_int_equal(*field(VMCS_ENTRY_EVENT), valid ? 0 : UINT64_C(0x80000b0d));
        did[0] = '\0';
    }
    self()->reg[RAX] = 7;
    self()->reg[RDX] = 1;
    leave(55, 0);
    assert_int_equal(*field(VMCS_RIP), RIP);
    self()->reg[RDX] = 0;
    self()->reg[RCX] = 1;
    leave(55, 0);
    assert_int_equal(*field(VMCS_RIP), RIP);
}

static void instructions_of_vmx_are_undefined(void **state)
{
    static const uint32_t reasons[] = { 11, 19, 20, 21, 22, 23, 24, 25, 26, 27, 36, 39, 50, 53 };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(reasons); i++) {
        leave(reasons[i], 0);
        assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x80000306));
        assert_int_equal(*field(VMCS_RIP), RIP);
        assert_null(fault);
    }
    leave(13, 0);
    assert_non_null(strstr(did, "wbinvd"));
    assert_int_equal(*field(VMCS_RIP), RIP + 2);
}

static void what_ends_a_partition(void **state)
{
    static const struct { uint32_t reason; const char *words; } ends[] = {
        { 2, "triple fault" }, { 3, "INIT from outside" }, { 9, "task switch" }, { 49, "nested tables" },
        { 1, "without a meaning" }, { 12, "without a meaning" }, { 0x80000021, "does not accept" },
        { REASON_NOT_ENTERED, "refuses" } };

    (void)state;
    *field(VMCS_INSTRUCTION_ERROR) = 7;
    for (uint32_t i = 0; i < ARRAY_COUNT(ends); i++) {
        fault = NULL;
        leave(ends[i].reason, 0);
        assert_non_null(fault);
        assert_non_null(strstr(fault, ends[i].words));
        assert_int_equal(fault_syndrome, ends[i].reason == REASON_NOT_ENTERED ? 7 : ends[i].reason);
    }
    fault = NULL;
    exception(EVENT_EXCEPTION | 18);
    assert_string_equal(fault, "machine check");
}

static void exceptions_go_on_to_the_guest(void **state)
{
    (void)state;
    *field(VMCS_EXIT_ERROR) = 0;
    exception(EVENT_EXCEPTION | EVENT_ERROR | 17);
    assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x80000b11));
    *field(VMCS_DR7) = 0x2400;
    *field(VMCS_RFLAGS) = 0x102;
    *field(VMCS_INTERRUPTIBILITY) = 1;
    exception(EVENT_EXCEPTION | EVENT_IRET | 1);
    assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x80000301));
    assert_int_equal(*field(VMCS_DR7), 0x400);
    assert_int_equal(*field(VMCS_PENDING_DEBUG), 0x4000);
    assert_int_equal(*field(VMCS_INTERRUPTIBILITY), 9);    /* the NMI that this IRET was to end is still on */
}

static void no_error_codes_in_real_mode(void **state)
{
    (void)state;
    vmm_inject(self(), VECTOR_GP, 0);
    assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x80000b0d));
    *field(VMCS_CR0) &= ~CR0_PE;
    vmm_inject(self(), VECTOR_GP, 0);
    assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x8000030d));
}

static void an_event_on_its_way_is_delivered_again(void **state)
{
    (void)state;
    *field(VMCS_PHYSICAL_ADDRESS) = 0xfec00000;
    *field(VMCS_VECTORING_EVENT) = EVENT_VALID | 0xb0e;
    *field(VMCS_VECTORING_ERROR) = 6;
    leave(48, 2);
    assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x80000b0e));
    assert_int_equal(*field(VMCS_ENTRY_ERROR), 6);
    *field(VMCS_VECTORING_EVENT) = EVENT_VALID | EVENT_NMI | 2;
    *field(VMCS_INTERRUPTIBILITY) = 8;
    leave(48, 2);
    assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x80000202));
    assert_int_equal(*field(VMCS_INTERRUPTIBILITY), 0);    /* else the entry would be refused */
    *field(VMCS_VECTORING_EVENT) = 0;
}

static void nmis_wait_for_their_window(void **state)
{
    (void)state;
    self()->guest_nmi = 1;
    vmm_inject_nmi(self());
    assert_true((*field(VMCS_PROCESSOR) & 1u << 22) != 0);
    assert_int_equal(*field(VMCS_ENTRY_EVENT), 0);
    leave(8, 0);
    assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x80000202));
    assert_int_equal(self()->guest_nmi, 0);
    assert_true((*field(VMCS_PROCESSOR) & 1u << 22) == 0);
    leave(8, 0);                                           /* it was for the guest before a restart */
    assert_int_equal(*field(VMCS_ENTRY_EVENT), 0);
}

/* ---------------------------------------------------------------- vcpus of pools */

static struct layout_server server;
static const struct layout_pool pool = { .name = "shared", .servers = &server, .cpu_count = 1, .server_count = 1 };

static int setup_shared(void **state)
{
    (void)setup(state);
    board.pools = &pool;
    board.pool_count = 1;
    cpus[0].pool = 1;
    server = (struct layout_server){ .core = 0 };
    self()->shared = vmm_shared(0);
    vmm_share(self());
    vmm_reset(self());
    vmm_share_reset(self());
    did[0] = handed[0] = '\0';
    now = 1000;
    return 0;
}

static void pool_exit(uint32_t reason, uint64_t qualification, const char *expected)
{
    *field(VMCS_QUALIFICATION) = qualification;
    *field(VMCS_RIP) = RIP;
    *field(VMCS_ENTRY_EVENT) = 0;
    handed[0] = '\0';
    vmx_pool_exit(self(), reason);
    assert_string_equal(handed, expected);
}

static void its_turn_ends_with_an_interrupt(void **state)
{
    (void)state;
    assert_int_equal(*field(VMCS_PIN), 0x69);              /* interrupts, NMIs, the preemption timer */
    assert_int_equal(*field(VMCS_PROCESSOR) & 0x180080, 0x180080);  /* HLT, CR8 both ways */
    assert_int_equal(*field(VMCS_HOST_RIP), (uintptr_t)vmx_pool_landing);
    assert_int_equal(*(uint32_t *)(void *)pages[1], REVISION);
    pool_exit(1, 0, "take leave");
    pool_exit(52, 0, "take leave");
    pool_exit(12, 0, "halt leave");
    pool_exit(REASON_RDMSR, 0, "rdmsr leave");
    pool_exit(REASON_WRMSR, 0, "wrmsr leave");
    pool_exit(REASON_CPUID, 0, "cpuid leave");
    pool_exit(REASON_VMCALL, 0, "hypercall leave");
    pool_exit(30, UINT64_C(0x3f8) << 16 | 8, "leave");     /* the rest as for every guest */
    assert_true(port.port == 0x3f8 && port.in);
    self()->reg[RDI] = 0x40;
    pool_exit(28, 7u << 8 | 4, "leave");
    assert_int_equal(*field(VMCS_CR4_SHADOW), 0x40);
    self()->reg[RCX] = self()->reg[RDX] = 0;
    self()->reg[RAX] = 7;
    pool_exit(55, 0, "leave");
    assert_int_equal(*field(VMCS_RIP), RIP + 2);
    self()->reg[RAX] = 0xe7;                               /* pool_xcr0() has the last word */
    pool_exit(55, 0, "leave");
    assert_int_equal(*field(VMCS_RIP), RIP);
}

static void cr8_is_the_task_priority(void **state)
{
    (void)state;
    self()->reg[9] = 7;
    pool_exit(28, 9u << 8 | 8, "leave");
    assert_int_equal(priority_written, 7);
    assert_int_equal(*field(VMCS_RIP), RIP + 2);
    self()->shared->vapic.priority = 0xb0;
    pool_exit(28, 10u << 8 | 1u << 4 | 8, "leave");
    assert_int_equal(self()->reg[10], 0xb);
    self()->reg[9] = 16;
    pool_exit(28, 9u << 8 | 8, "leave");
    assert_int_equal(*field(VMCS_RIP), RIP);
    assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x80000b0d));
}

static void interrupts_when_it_can_take_them(void **state)
{
    (void)state;
    *field(VMCS_RFLAGS) = 0x202;
    assert_true(vmm_interrupts_on(self()));
    assert_true(vmm_interrupt(self(), 0x41));
    assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x80000041));
    assert_false(vmm_interrupt(self(), 0x42));             /* one at a time */
    assert_int_equal(*field(VMCS_ENTRY_EVENT), UINT64_C(0x80000041));
    assert_true((*field(VMCS_PROCESSOR) & 4u) != 0);
    pool_exit(7, 0, "leave");
    assert_true((*field(VMCS_PROCESSOR) & 4u) == 0);
    for (uint32_t blocked = 1; blocked <= 2; blocked++) {  /* behind STI, behind MOV SS */
        *field(VMCS_INTERRUPTIBILITY) = blocked;
        assert_false(vmm_interrupt(self(), 0x41));
    }
    *field(VMCS_INTERRUPTIBILITY) = 0;
    *field(VMCS_RFLAGS) = 2;
    assert_false(vmm_interrupts_on(self()));
    assert_false(vmm_interrupt(self(), 0x41));
    assert_int_equal(*field(VMCS_ENTRY_EVENT), 0);
}

static void what_the_structure_does_not_hold_is_moved(void **state)
{
    static const uint32_t moved[] = { 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102 };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(moved); i++) {
        *msr_at(moved[i]) = 100 + i;
    }
    vmm_switch_out(self());
    assert_null(strstr(did, "vmclear"));                   /* it stays with its core */
    for (uint32_t i = 0; i < ARRAY_COUNT(moved); i++) {
        *msr_at(moved[i]) = 7;
    }
    vmm_switch_in(self(), false);
    assert_non_null(strstr(did, "vmptrld"));
    assert_null(strstr(did, "invvpid"));
    for (uint32_t i = 0; i < ARRAY_COUNT(moved); i++) {
        assert_int_equal(*msr_at(moved[i]), 100 + i);
    }
    vmm_switch_in(self(), true);
    assert_non_null(strstr(did, "invvpid"));
    server.core = LAYOUT_ANY_CORE;
    vmm_switch_out(self());
    assert_non_null(strstr(did, "vmclear"));               /* else two cores would keep it */
}

/* Its turn is over in time even if an interrupt is held back. */
static void the_preemption_timer_limits_it(void **state)
{
    (void)state;
    *msr_at(0x485) = 5;                                    /* it counts every 32nd */
    vmm_limit(1000 + 32 * 50);
    assert_int_equal(*field(VMCS_TIMER), 50);
    vmm_limit(999);
    assert_int_equal(*field(VMCS_TIMER), 0);
    vmm_limit(UINT64_MAX);
    assert_int_equal(*field(VMCS_TIMER), UINT32_MAX);
    *field(VMCS_PIN) &= ~UINT64_C(0x40);                   /* a CPU without one */
    *field(VMCS_TIMER) = 3;
    vmm_limit(1000);
    assert_int_equal(*field(VMCS_TIMER), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(cpus_that_cannot_do_it, setup),
        cmocka_unit_test_setup(a_core_has_vmx_on, setup),
        cmocka_unit_test_setup(controls, setup),
        cmocka_unit_test_setup(the_first_vcpu_starts_as_a_pvh_kernel, setup),
        cmocka_unit_test_setup(other_vcpus_start_in_real_mode, setup),
        cmocka_unit_test_setup(state_for_the_rest, setup),
        cmocka_unit_test_setup(kicks, setup),
        cmocka_unit_test_setup(ports, setup),
        cmocka_unit_test_setup(memory, setup),
        cmocka_unit_test_setup(control_registers, setup),
        cmocka_unit_test_setup(xcr0, setup),
        cmocka_unit_test_setup(instructions_of_vmx_are_undefined, setup),
        cmocka_unit_test_setup(what_ends_a_partition, setup),
        cmocka_unit_test_setup(exceptions_go_on_to_the_guest, setup),
        cmocka_unit_test_setup(no_error_codes_in_real_mode, setup),
        cmocka_unit_test_setup(an_event_on_its_way_is_delivered_again, setup),
        cmocka_unit_test_setup(nmis_wait_for_their_window, setup),
        cmocka_unit_test_setup(its_turn_ends_with_an_interrupt, setup_shared),
        cmocka_unit_test_setup(cr8_is_the_task_priority, setup_shared),
        cmocka_unit_test_setup(interrupts_when_it_can_take_them, setup_shared),
        cmocka_unit_test_setup(what_the_structure_does_not_hold_is_moved, setup_shared),
        cmocka_unit_test_setup(the_preemption_timer_limits_it, setup_shared),
    };

    return cmocka_run_group_tests_name("x86_vmx", tests, NULL, NULL);
}
