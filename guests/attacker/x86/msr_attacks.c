/* SPDX-License-Identifier: Apache-2.0 */
#include "attacks.h"

#define EFER       0xc0000080u
#define EFER_SCE   UINT64_C(1)
#define EFER_LME   UINT64_C(0x100)
#define EFER_NXE   UINT64_C(0x800)
#define EFER_SVME  UINT64_C(0x1000)
#define KVM_CLOCK  0x4b564d01u

static uint32_t target;
static uint64_t value_read;
static void read_msr(uint64_t value) { (void)value; value_read = msr_read(target); }
static void write_msr(uint64_t value) { msr_write(target, value); }

static bool read_target(uint32_t msr)
{
    target = msr;
    return trap_try(read_msr, 0);
}

static bool write_target(uint32_t msr, uint64_t value)
{
    target = msr;
    return trap_try(write_msr, value);
}

/* What decides about memory, other cores, power, microcode or the hypervisor itself, ours on no account. */
static const uint32_t never[] = {
    0x3a, 0x79, 0x9b, 0x9e, 0xe2, 0x199, 0x19a, 0x19b, 0x1a2, 0x1aa, 0x1b0, 0x1b1, 0x1d9, 0x1f2, 0x1f3,  /* Intel */
    0x480, 0x482, 0x48b, 0x491, 0x4f0, 0x560, 0x570, 0x600, 0x610, 0x618, 0x64b, 0x770, 0x774, 0xc80, 0xd90,
    0x17a, 0x179, 0x17b, 0x400, 0x401, 0x402, 0x280,                                         /* machine checks */
    0x38d, 0x38f, 0x390, 0x186, 0x187, 0xc1, 0x309, 0x3f1,                                  /* performance */
    0xc0010000, 0xc0010004, 0xc0010010, 0xc0010016, 0xc0010018, 0xc001001a, 0xc001001d, 0xc0010020, /* AMD */
    0xc0010022, 0xc0010030, 0xc001003e, 0xc0010050, 0xc0010054, 0xc0010056, 0xc0010058, 0xc0010062,
    0xc0010064, 0xc0010111, 0xc0010112, 0xc0010113, 0xc0010114, 0xc0010115, 0xc0010116, 0xc0010117, 0xc0010118,
    0xc0010119, 0xc0010130, 0xc0010131, 0xc0010132, 0xc0010133, 0xc0010200, 0xc0010201, 0xc0010230, 0xc0011030,
    0xc00000e7, 0xc00000e8, 0xc0000300, 0xc0000301,
};

/* A write must be refused, or go nowhere: the register may not hold afterwards what was written. */
void attack_msrs(const char *name, uint64_t address)
{
    uint32_t readable = 0, refused = 0, kept = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(never); i++) {
        bool can_read = read_target(never[i]);
        uint64_t before = value_read, wanted = before ^ UINT64_C(0x1000);
        readable += can_read;
        if (!write_target(never[i], wanted)) {
            refused++;
        } else if (can_read && read_target(never[i]) && value_read == wanted && wanted != before) {
            print("attack %s: 0x%x took 0x%lx\n", name, never[i], wanted);
            write_target(never[i], before);
            kept++;
        }
        refused += !write_target(never[i], UINT64_MAX);
    }
    print("attack %s: %u of %u readable, %u of %u writes refused, %u kept", name, readable,
          (uint32_t)ARRAY_COUNT(never), refused, 2 * (uint32_t)ARRAY_COUNT(never), kept);
    verdict(kept == 0);
}

/* Every register in the ranges that bitmaps cover, and beyond: written with what it holds, or with 0. */
void attack_msr_sweep(const char *name, uint64_t address)
{
    static const struct { uint32_t first, last; } ranges[] = {
        {0, 0x7ff}, {0x900, 0x2fff}, {0x40000000, 0x400001ff}, {0x4b564d00, 0x4b564d10}, {0xbffffff0, 0xc0001fff},
        {0xc0010000, 0xc0012fff}, {0xfffffff0, 0xffffffff},
    };
    uint32_t readable = 0, written = 0, tried = 0;
    (void)address;
    for (uint32_t i = 0; i < ARRAY_COUNT(ranges); i++) {
        for (uint32_t msr = ranges[i].first; msr - ranges[i].first <= ranges[i].last - ranges[i].first; msr++) {
            bool can_read = read_target(msr);
            readable += can_read;
            written += write_target(msr, can_read ? value_read : 0);
            tried++;
            if (msr == UINT32_MAX) {
                break;
            }
        }
    }
    print("attack %s: %u tried, %u readable, %u writes taken", name, tried, readable, written);
    verdict(true);
}

/* Bits that do not exist or are the hypervisor's; leaving 64-bit mode while in it. */
void attack_efer(const char *name, uint64_t address)
{
    uint64_t before = msr_read(EFER);
    uint32_t refused = 0, tried = 0;
    (void)address;
    for (uint32_t bit = 1; bit < 64; bit++) {
        if (bit == 8 || bit == 10 || bit == 11) {
            continue;
        }
        refused += !write_target(EFER, before | (UINT64_C(1) << bit));
        write_target(EFER, before);
        tried++;
    }
    refused += !write_target(EFER, before & ~EFER_LME);
    write_target(EFER, before ^ EFER_SCE);
    write_target(EFER, before | EFER_NXE);
    write_target(EFER, before);
    uint64_t after = msr_read(EFER);
    print("attack %s: %u of %u refused, 0x%lx after", name, refused, tried + 1, after);
    verdict(after == before && (after & EFER_SVME) == 0);
}

/* The time stamp counter belongs to all: no guest may set it. */
void attack_tsc(const char *name, uint64_t address)
{
    uint64_t before = timer_now();
    (void)address;
    bool set = write_target(0x10, 0), adjust = write_target(0x3b, UINT64_C(1) << 60), aux = write_target(0xc0000104, 2);
    uint64_t after = timer_now();
    print("attack %s: write %s, TSC_ADJUST %s, ratio %s, %lu ticks went by", name, set ? "taken" : "refused",
          adjust ? "taken" : "refused", aux ? "taken" : "refused", after - before);
    verdict(after > before && after - before < timer_hz() * 10);
}

/* Has the hypervisor write its clock to memory that is not this guest's, unaligned, or at the end of its own. */
void attack_clock_page(const char *name, uint64_t address)
{
    uint64_t end = own_ram.base + own_ram.size;
    const uint64_t at[] = {
        end, end - 16, end - 1, 0xfec00000, 0xfee00000, 0xb8000000, address, UINT64_C(1) << 40, UINT64_C(1) << 52,
        UINT64_MAX - 63, 0xfffffffffffffffe, (uint64_t)image_end + 3,
    };
    uint32_t refused = 0;
    for (uint32_t i = 0; i < ARRAY_COUNT(at); i++) {
        refused += !write_target(KVM_CLOCK, at[i] | 1);
        refused += !write_target(0x12, at[i] | 1);
    }
    write_target(KVM_CLOCK, 0);
    write_target(0x12, 0);
    print("attack %s: %u of %u refused", name, refused, 2 * (uint32_t)ARRAY_COUNT(at));
    verdict(true);
}
