/* SPDX-License-Identifier: Apache-2.0 */
/* The order of booting, on one page. */
#include <hv/arch.h>
#include <hv/board_check.h>
#include <hv/channel.h>
#include <hv/console.h>
#include <hv/features.h>
#include <hv/main.h>
#include <hv/partition.h>
#include <hv/pool.h>
#include <hv/watchdog.h>

void main_early(const void *dtb, uint64_t mpidr)
{
    console_init();
    if (layout.magic != LAYOUT_MAGIC || layout.version != LAYOUT_VERSION) {
        panic("the image holds no layout of version %u", LAYOUT_VERSION);
    }
    board_check_tables();
    if (dtb != MAIN_CHECKED) {
        board_check_devicetree(dtb, mpidr);
    }
}

void main_first_core(uint32_t cpu)
{
    console_share();
    print("%s\n", layout.banner);
    if (HV_CHANNELS) {
        channel_init();
    }
    partition_start_all();
    if (HV_POOLS) {
        pool_init();
    }
    arch_start_cores();
    if (cpu >= layout.cpu_count) {
        arch_halt();
    }
    main_core(cpu);
}

void main_core(uint32_t cpu)
{
    if (layout.console_irq != 0 && cpu == layout.console_cpu) {
        console_input_on();
    }
    if (HV_WATCHDOG) {
        watchdog_tick(cpu);  /* a kick before this core was up is lost */
    }
    if (HV_POOLS && layout.cpus[cpu].pool != 0) {
        pool_main(cpu);
    }
    vcpu_wait(arch_vcpu(cpu));
}
