/* SPDX-License-Identifier: Apache-2.0 */
/* tests: arch/x86/state.c */
/* Registers that a guest has for itself: what is done to them, in which order, and with which CR4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arch/x86/state.h>
#include <arch/x86/x86.h>

#define CR4_START  UINT64_C(0x100020)   /* SMEP, PAE: the hypervisor's */

static struct {
    bool xsave, xfd, rdtscp;
    uint32_t leaf_7, extended_8;
    uint64_t cr4;
    char did[512];
} pc;

static void note(const char *text)
{
    strncat(pc.did, text, sizeof(pc.did) - strlen(pc.did) - 1);
    strncat(pc.did, ";", sizeof(pc.did) - strlen(pc.did) - 1);
}

struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf);
void fake_wrmsr(uint32_t msr, uint64_t value);
uint64_t fake_read_cr4(void);
void fake_write_cr4(uint64_t value);
void fake_instruction(const char *text);

struct cpuid fake_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid out = { { 0 } };

    if (leaf == 1) {
        out.reg[2] = pc.xsave ? 1u << 26 : 0;
    } else if (leaf == 0xd) {
        assert_true(pc.xsave);
        out.reg[0] = subleaf == 0 ? 0xe7u : pc.xfd ? 0x10u : 0;
    } else if (leaf == 7) {
        out.reg[3] = pc.leaf_7;
    } else if (leaf == 0x80000008u) {
        out.reg[1] = pc.extended_8;
    } else if (leaf == 0) {
        out.reg[0] = 0xd;
    } else {
        assert_int_equal(leaf, 0x80000001u);
        out.reg[3] = pc.rdtscp ? 1u << 27 : 0;
    }
    return out;
}

void fake_wrmsr(uint32_t msr, uint64_t value)
{
    assert_int_equal(value, 0);
    note(msr == 0x1c4u ? "XFD" : msr == 0x1c5u ? "XFD_ERR" : msr == 0x48u ? "SPEC_CTRL" : msr == 0xc0000103u ? "TSC_AUX" : "?");
}

uint64_t fake_read_cr4(void)
{
    return pc.cr4;
}

void fake_write_cr4(uint64_t value)
{
    pc.cr4 = value;
}

/* Without OSXSAVE these are undefined instructions. */
void fake_instruction(const char *text)
{
    bool extended = strstr(text, "xsetbv") != NULL || strstr(text, "xrstor64 ") == text + 1;

    assert_true(!extended || (pc.cr4 & CR4_OSXSAVE) != 0);
    note(strstr(text, "xsetbv") != NULL ? "xsetbv" : strstr(text, "fxrstor64") != NULL ? "fxrstor" :
         strstr(text, "xrstor64") != NULL ? "xrstor" : strstr(text, "dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3") != NULL ?
         "breakpoints" : text);
}

static int fresh(void **state)
{
    (void)state;
    memset(&pc, 0, sizeof(pc));
    pc.cr4 = CR4_START;
    return 0;
}

static void every_component_is_reset(void **state)
{
    (void)state;
    pc.xsave = pc.xfd = pc.rdtscp = true;
    state_reset();
    assert_string_equal(pc.did, "xsetbv;xrstor;xsetbv;XFD;XFD_ERR;breakpoints;TSC_AUX;");
    assert_int_equal(pc.cr4, CR4_START);
}

static void speculation_control_of_either_vendor(void **state)
{
    (void)state;
    pc.leaf_7 = 1u << 26;
    state_reset();
    assert_string_equal(pc.did, "fxrstor;breakpoints;SPEC_CTRL;");
    (void)fresh(NULL);
    pc.extended_8 = 1u << 14;
    state_reset();
    assert_string_equal(pc.did, "fxrstor;breakpoints;SPEC_CTRL;");
}

static void msrs_that_the_cpu_lacks_are_left(void **state)
{
    (void)state;
    pc.xsave = true;
    state_reset();
    assert_string_equal(pc.did, "xsetbv;xrstor;xsetbv;breakpoints;");
}

static void a_cpu_without_xsave(void **state)
{
    (void)state;
    state_reset();
    assert_string_equal(pc.did, "fxrstor;breakpoints;");
    assert_int_equal(pc.cr4, CR4_START);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_component_is_reset, fresh),
        cmocka_unit_test_setup(speculation_control_of_either_vendor, fresh),
        cmocka_unit_test_setup(msrs_that_the_cpu_lacks_are_left, fresh),
        cmocka_unit_test_setup(a_cpu_without_xsave, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
