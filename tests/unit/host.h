/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included before every line of src/arch/arm64 and src/drivers when they are built for the host: system
 * registers, MMIO and instructions of the target become calls into a fake, which the test provides.
 */
#ifndef HOST_H
#define HOST_H

#include <stdarg.h>

#include <arch/arm64/sysreg.h>

#include "host_io.h"

uint64_t fake_sysreg_read(const char *name);
void fake_sysreg_write(const char *name, uint64_t value);
void fake_instruction(const char *text);

#undef sysreg_read
#undef sysreg_write
#undef isb
#undef dsb_sy
#undef dsb_ish
#undef wfi
#undef wfe
#undef sev

#define sysreg_read(name)          fake_sysreg_read(SYSREG_STRING(name))
#define sysreg_write(name, value)  fake_sysreg_write(SYSREG_STRING(name), (uint64_t)(value))
#define isb()                      fake_instruction("isb")
#define dsb_sy()                   fake_instruction("dsb sy")
#define dsb_ish()                  fake_instruction("dsb ish")
#define wfi()                      fake_instruction("wfi")
#define wfe()                      fake_instruction("wfe")
#define sev()                      fake_instruction("sev")

/*
 * What is left is `__asm__ volatile("text" ...)`, of which the fake sees the text, and a variable that is
 * bound to a register by `__asm__("x0")`, which it need not be. No system header follows these two lines.
 */
#define __asm__(name)
#define volatile(...)  ("" : : : "memory"); fake_instruction(#__VA_ARGS__)

#endif
