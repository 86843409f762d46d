/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest did wrong, in words: who, where, to what, and whose that is. */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/features.h>
#include <hv/fault.h>
#include <hv/monitor.h>

/* The innermost device of the board that covers the address (devices are sorted by base), or NULL. */
static const struct layout_device *device_at(uint64_t address)
{
    const struct layout_device *found = NULL;

    for (uint32_t i = 0; i < layout.device_count && layout.devices[i].base.raw <= address; i++) {
        const struct layout_device *device = &layout.devices[i];

        if (range_inside(address, 1, device->base.raw, device->size) &&
            (found == NULL || device->size <= found->size)) {
            found = device;
        }
    }
    return found;
}

static void report_owner(const struct vcpu *vcpu, uint64_t address)
{
    const struct layout_device *device = device_at(address);

    if (device != NULL) {
        print("  there lies %s, ", device->name);
        if (HV_CHANNELS && device->owner == LAYOUT_NO_PARTITION && device->yaml_line != 0) {
            print("which system.yaml:%u gives to its peers\n", device->yaml_line);
        } else if (device->owner != LAYOUT_NO_PARTITION) {
            print("which system.yaml:%u gives to %s\n", device->yaml_line, layout.partitions[device->owner].name);
        } else {
            print("which system.yaml gives to nobody\n");
        }
        return;
    }
    for (uint32_t i = 0; i < vcpu->config->memory_count; i++) {
        const struct layout_memory *memory = &vcpu->config->memory[i];

        print("  nothing is mapped there; its RAM is 0x%lx to 0x%lx (system.yaml:%u)\n", memory->ipa.raw,
              memory->ipa.raw + memory->size - 1u, vcpu->config->yaml_line);
    }
}

void fault_report(struct vcpu *vcpu, const struct fault *fault)
{
    const struct layout_partition *config = vcpu->config;

    print("FAULT %s, vcpu %u: %s", config->name, vcpu->index, fault->what);
    if (fault->has_address) {
        print(" 0x%lx", fault->address.raw);
    }
    if (fault->size != 0) {
        print(" (%lu bytes)", fault->size);
    }
    if (fault->has_value) {
        print(", value 0x%lx", fault->value);
    }
    print(", pc 0x%lx, syndrome 0x%lx\n", fault->pc, fault->syndrome);
    if (fault->has_address) {
        report_owner(vcpu, fault->address.raw);
    }
    fault_say_policy(config);
    if (HV_MONITOR) {
        monitor_event(config, EVENT_FAULT, vcpu->index, fault->has_address ? fault->address.raw : UINT64_MAX, fault->pc);
    }
    if (config->on_fault == LAYOUT_FAULT_RESET_BOARD) {
        arch_board_reset();
        print("  the firmware refused to reset the board; %s is stopped\n", config->name);
    }
    partition_request(config, config->on_fault != LAYOUT_FAULT_RESTART ? REQUEST_STOP
                              : HV_HEALTH                              ? REQUEST_FAULT
                                                                       : REQUEST_RESTART);
}
