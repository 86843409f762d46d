# SPDX-License-Identifier: Apache-2.0
# What the hypervisor is made of; paths are relative to src/.
# Every exit of a guest passes here: compiled for speed, the rest for size.
hot-y := arch/arm64/exits.o

obj-y += core/main.o
obj-y += core/board_check.o
obj-y += core/console.o
obj-y += core/fault.o
obj-y += core/partition.o
obj-y += core/print.o
obj-y += core/string.o
obj-y += core/vuart.o
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
efi-$(CONFIG_ARM64) := arch/arm64/efi_leave.o arch/arm64/efi_refusal.o
obj-$(CONFIG_EFI) += core/efi.o $(efi-y)
