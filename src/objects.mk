# SPDX-License-Identifier: Apache-2.0
# What the hypervisor is made of; paths are relative to src/.
# Every exit of a guest passes here: compiled for speed, the rest for size.
hot-$(CONFIG_ARM64) := arch/arm64/exits.o
hot-$(CONFIG_X86)   := arch/x86/exits.o

obj-y += core/main.o
obj-$(CONFIG_ARM64) += core/board_check.o
obj-y += core/table_check.o
obj-y += core/console.o
obj-y += core/fault.o
obj-y += core/partition.o
obj-y += core/print.o
obj-y += core/string.o
obj-$(CONFIG_ARM64) += core/vuart.o
obj-$(CONFIG_X86)   += core/vuart_16550.o
obj-y += core/stack_guard.o
obj-y += drivers/serial/mmio.o

obj-$(CONFIG_ARM64) += arch/arm64/head.o
obj-$(CONFIG_ARM64) += arch/arm64/vectors.o
obj-$(CONFIG_ARM64) += arch/arm64/boot.o
obj-$(CONFIG_ARM64) += arch/arm64/cpu.o
obj-$(CONFIG_ARM64) += arch/arm64/memory.o
obj-$(CONFIG_ARM64) += arch/arm64/psci.o
obj-$(CONFIG_ARM64) += arch/arm64/bulk.o
obj-$(CONFIG_ARM64) += arch/arm64/exits.o
obj-$(CONFIG_ARM64) += arch/arm64/traps.o
obj-$(CONFIG_GICV3) += arch/arm64/gicv3.o
obj-$(CONFIG_GICV3) += arch/arm64/vgic.o
obj-$(CONFIG_GICV3) += arch/arm64/vgic_dist.o
obj-$(CONFIG_GICV3) += arch/arm64/vgic_redist.o

obj-$(CONFIG_X86) += arch/x86/head.o
obj-$(CONFIG_X86) += arch/x86/boot.o
obj-$(CONFIG_X86) += arch/x86/board.o
obj-$(CONFIG_X86) += arch/x86/core.o
obj-$(CONFIG_X86) += arch/x86/memory.o
obj-$(CONFIG_X86) += arch/x86/clock.o
obj-$(CONFIG_X86) += arch/x86/apic.o
obj-$(CONFIG_X86) += arch/x86/icr.o
obj-$(CONFIG_X86) += arch/x86/ioapic.o
obj-$(CONFIG_X86) += arch/x86/exits.o
obj-$(CONFIG_X86) += arch/x86/access.o
obj-$(CONFIG_X86) += arch/x86/insn.o
obj-$(CONFIG_X86) += arch/x86/msr.o
obj-$(CONFIG_X86) += arch/x86/state.o
obj-$(CONFIG_PCI) += arch/x86/pci.o
obj-$(CONFIG_SVM) += arch/x86/svm/run.o
obj-$(CONFIG_SVM) += arch/x86/svm/svm.o
obj-$(CONFIG_VMX) += arch/x86/vmx/run.o
obj-$(CONFIG_VMX) += arch/x86/vmx/vmx.o
obj-$(CONFIG_VMX) += arch/x86/vmx/guest.o
obj-$(CONFIG_VMX) += arch/x86/vmx/exit.o
obj-$(CONFIG_VMX) += arch/x86/xcr0.o

# vmm.h's inline part is the vendor's.
vendor-$(CONFIG_SVM) := svm
vendor-$(CONFIG_VMX) := vmx
CPPFLAGS += $(if $(CONFIG_X86),-Isrc/arch/x86 -Isrc/arch/x86/$(vendor-y))

obj-$(CONFIG_CHANNELS) += core/channel.o
channels-$(CONFIG_ARM64) := arch/arm64/channel.o
channels-$(CONFIG_X86) := arch/x86/channel.o
obj-$(CONFIG_CHANNELS) += $(channels-y)

obj-$(CONFIG_HEALTH) += core/health.o
direct-$(CONFIG_ARM64) := arch/arm64/direct.o
obj-$(CONFIG_HEALTH) += $(direct-y)
form-$(CONFIG_ARM64) := core/watchdog_sbsa.o
form-$(CONFIG_X86) := core/watchdog_wdat.o arch/x86/alarm.o
obj-$(CONFIG_WATCHDOG) += core/watchdog.o $(form-y)
obj-$(CONFIG_MONITOR) += core/monitor.o

# What is needed beside the console's alarm once somebody counts time.
time-$(CONFIG_ARM64) := arch/arm64/time.o
time-$(CONFIG_X86) := arch/x86/time.o
timed-$(CONFIG_POOLS) := $(time-y)
timed-$(CONFIG_WATCHDOG) := $(time-y)
obj-y += $(timed-y)

# WFI of a vcpu of a pool traps, and that of a partition that may be wanted back.
wait-$(CONFIG_ARM64) := arch/arm64/wait.o
trapped-$(CONFIG_POOLS) := $(wait-y)
trapped-$(CONFIG_HEALTH) := $(wait-y)
obj-y += $(trapped-y)
hot-y += $(trapped-y)

obj-$(CONFIG_POOLS) += core/pool.o
obj-$(CONFIG_POOLS) += core/sched_rtds.o
obj-$(CONFIG_ARINC653) += core/sched_arinc.o
obj-$(CONFIG_TRACE) += core/trace.o
hot-$(CONFIG_POOLS) += core/sched_rtds.o core/sched_arinc.o core/pool.o arch/arm64/pool.o
pools-$(CONFIG_ARM64) := arch/arm64/pool.o arch/arm64/context.o
pools-$(CONFIG_X86) := arch/x86/pool.o arch/x86/pool_entry.o arch/x86/pool_exits.o arch/x86/vapic.o arch/x86/ioapic_shared.o arch/x86/timer.o
pools-$(CONFIG_SVM) += arch/x86/svm/shared.o arch/x86/svm/shared_run.o arch/x86/xcr0.o
pools-$(CONFIG_VMX) += arch/x86/vmx/shared.o arch/x86/vmx/shared_run.o
obj-$(CONFIG_POOLS) += $(pools-y)
switch-$(CONFIG_X86) := arch/x86/pool.o arch/x86/vapic.o arch/x86/timer.o arch/x86/svm/shared.o arch/x86/vmx/shared.o
hot-$(CONFIG_POOLS) += $(switch-y)

efi-$(CONFIG_ARM64) := arch/arm64/efi_leave.o arch/arm64/efi_refusal.o
efi-$(CONFIG_X86) := arch/x86/efi_leave.o arch/x86/efi_refusal.o
obj-$(CONFIG_EFI) += core/efi.o $(efi-y)
