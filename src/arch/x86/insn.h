/* SPDX-License-Identifier: Apache-2.0 */
/* The one kind of instruction that is carried out for a guest: a 32-bit MOV from or to memory. */
#ifndef X86_INSN_H
#define X86_INSN_H

#include "cpu.h"

#define INSN_MAX  15u  /* bytes of an instruction (SDM 2A 2.3.11) */

struct insn {
    uint32_t length;       /* bytes, with prefixes */
    bool     store;        /* to memory */
    bool     immediate;    /* stores `value`, else the register */
    uint32_t reg;
    uint32_t value;
};

/* Decodes 8B, 89, C7 /0, A1 and A3 with REX and segment prefixes. False: it is something else. */
bool insn_decode(const uint8_t *bytes, uint32_t count, bool code64, struct insn *insn);

/* The bytes at the guest's instruction pointer, at most INSN_MAX; 0 if its own tables or memory do not have it. */
uint32_t insn_fetch(const struct cpu *cpu, uint8_t *bytes, bool *code64);

#endif
