/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a guest's instruction in its memory, and decoding it; see insn.h. */
#include <hv/arch.h>

#include "insn.h"
#include "vmm.h"
#include "x86.h"

#define ENTRY_PRESENT  (UINT64_C(1) << 0)
#define ENTRY_LARGE    (UINT64_C(1) << 7)
#define ENTRY_ADDRESS  UINT64_C(0x000ffffffffff000)

/* ---------------------------------------------------------------- fetching, through the loader map */

/* The physical address of a byte of the partition's RAM and how many follow it there, or 0. */
static uint64_t ram_at(const struct layout_partition *config, uint64_t address, uint64_t *left)
{
    for (uint32_t i = 0; i < config->memory_count; i++) {
        const struct layout_memory *memory = &config->memory[i];

        if (address - memory->ipa.raw < memory->size) {
            *left = memory->size - (address - memory->ipa.raw);
            return memory->pa.raw + (address - memory->ipa.raw);
        }
    }
    return 0;
}

/* One entry of the guest's tables, 8 bytes or (without PAE) 4; 0, which is not present, outside its RAM. */
static uint64_t table_entry(const struct layout_partition *config, uint64_t address, uint32_t size)
{
    uint64_t left;
    uint64_t at = ram_at(config, address, &left);

    if (at == 0 || left < size) {
        return 0;
    }
    return size == 8u ? *(const volatile uint64_t *)(uintptr_t)at : *(const volatile uint32_t *)(uintptr_t)at;
}

/* Linear to guest-physical, as the CPU does (SDM 3 4.3 to 4.5); UINT64_MAX if it is not mapped. */
static uint64_t translate(const struct layout_partition *config, const struct vmm_mode *mode, uint64_t linear)
{
    bool wide = (mode->cr4 & CR4_PAE) != 0;
    bool long_mode = (mode->efer & EFER_LMA) != 0;
    uint32_t bits_each = wide ? 9u : 10u, size = wide ? 8u : 4u;
    uint32_t level = long_mode ? ((mode->cr4 & CR4_LA57) != 0 ? 5u : 4u) : wide ? 3u : 2u;
    uint64_t table = long_mode ? mode->cr3 & ENTRY_ADDRESS : mode->cr3 & (wide ? 0xffffffe0u : 0xfffff000u);

    if ((mode->cr0 & CR0_PG) == 0) {
        return linear;
    }
    for (; level > 0; level--) {
        uint32_t shift = 12u + bits_each * (level - 1u);
        uint64_t index = linear >> shift & ((1u << bits_each) - 1u);
        uint64_t entry;

        if (wide && !long_mode && level == 3u) {
            index &= 3u;
        }
        entry = table_entry(config, table + index * size, size);
        if ((entry & ENTRY_PRESENT) == 0) {
            return UINT64_MAX;
        }
        if (level == 1u || ((entry & ENTRY_LARGE) != 0 && level < 4u)) {
            uint64_t mask = (UINT64_C(1) << shift) - 1u;

            return (entry & ENTRY_ADDRESS & ~mask) | (linear & mask);
        }
        table = entry & ENTRY_ADDRESS;
    }
    return UINT64_MAX;
}

uint32_t insn_fetch(const struct cpu *cpu, uint8_t *bytes, bool *code64)
{
    const struct layout_partition *config = cpu->vcpu.config;
    struct vmm_mode mode;
    uint32_t count = 0;

    vmm_mode(cpu, &mode);
    *code64 = mode.code64;
    arch_loader_open(config);
    while (count < INSN_MAX) {
        uint64_t left, at = translate(config, &mode, mode.rip + count);
        uint64_t in_page = HV_PAGE_SIZE - (at & (HV_PAGE_SIZE - 1u));

        at = at == UINT64_MAX ? 0 : ram_at(config, at, &left);
        if (at == 0) {
            break;
        }
        for (uint64_t i = 0; i < in_page && i < left && count < INSN_MAX; i++) {
            bytes[count++] = *(const volatile uint8_t *)(uintptr_t)(at + i);
        }
    }
    arch_loader_close();
    return count;
}

/* ---------------------------------------------------------------- decoding */

/* Bytes of ModRM, SIB and displacement (SDM 2A 2.1.5), or 0 for a register operand. There is one byte or more. */
static uint32_t modrm_length(const uint8_t *bytes, uint32_t left)
{
    uint32_t mod = bytes[0] >> 6, rm = bytes[0] & 7u, length = 1;

    if (mod == 3u || (rm == 4u && left < 2)) {
        return 0;
    }
    if (rm == 4u) {
        length++;
        if (mod == 0 && (bytes[1] & 7u) == 5u) {
            length += 4u;
        }
    }
    if (mod == 1u) {
        length++;
    } else if (mod == 2u || (mod == 0 && rm == 5u)) {
        length += 4u;
    }
    return length;
}

static bool is_segment_prefix(uint8_t byte)
{
    return byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0x64 || byte == 0x65;
}

bool insn_decode(const uint8_t *bytes, uint32_t count, bool code64, struct insn *insn)
{
    uint32_t at = 0, rex = 0, operand;
    uint8_t opcode;

    while (at < count && is_segment_prefix(bytes[at])) {
        at++;
    }
    if (code64 && at < count && (bytes[at] & 0xf0u) == 0x40u) {
        rex = bytes[at++];
    }
    if (at + 2u > count || (rex & 8u) != 0) {
        return false;
    }
    opcode = bytes[at++];
    insn->immediate = opcode == 0xc7;
    insn->store = opcode == 0x89 || opcode == 0xa3 || opcode == 0xc7;
    insn->reg = RAX;
    if (opcode == 0xa1 || opcode == 0xa3) {
        operand = code64 ? 8u : 4u;
    } else if (opcode == 0x89 || opcode == 0x8b || (opcode == 0xc7 && (bytes[at] & 0x38u) == 0)) {
        operand = modrm_length(bytes + at, count - at);
        insn->reg = (bytes[at] >> 3 & 7u) | (rex & 4u) << 1;
        if (operand == 0) {
            return false;
        }
    } else {
        return false;
    }
    insn->length = at + operand + (insn->immediate ? 4u : 0);
    if (insn->length > count) {
        return false;
    }
    if (insn->immediate) {
        const uint8_t *value = bytes + insn->length - 4u;

        insn->value = value[0] | (uint32_t)value[1] << 8 | (uint32_t)value[2] << 16 | (uint32_t)value[3] << 24;
    }
    return true;
}
