/* SPDX-License-Identifier: Apache-2.0 */
/* A watchdog as guests on ARM64 see it: Arm's generic watchdog (BSA, DEN 0094; earlier SBSA, DEN 0029), version 0. */
#include <hv/watchdog_state.h>

/* Registers, as offsets from the refresh frame; the control frame is the second page. */
#define WRR           0x0000u
#define REFRESH_IIDR  0x0fccu
#define WCS           0x1000u
#define WOR           0x1008u
#define WCV_LOW       0x1010u
#define WCV_HIGH      0x1014u
#define CONTROL_IIDR  0x1fccu

#define IIDR          0x0000043bu  /* architecture version 0: WOR has 32 bits; implementer Arm */

bool watchdog_read(const struct layout_partition *config, uint64_t offset, uint32_t size, uint64_t *value)
{
    struct watchdog *dog;
    uint64_t compare;

    if (size != 4u) {
        return false;
    }
    dog = watchdog_lock(config);
    compare = dog->compare - dog->base;
    *value = offset == WCS        ? WATCHDOG_RUNS | dog->status
             : offset == WOR      ? (dog->offset < UINT32_MAX ? dog->offset : UINT32_MAX)
             : offset == WCV_LOW  ? (uint32_t)compare
             : offset == WCV_HIGH ? compare >> 32
             : offset == REFRESH_IIDR || offset == CONTROL_IIDR ? IIDR
                                                                : 0;
    watchdog_unlock(dog);
    return true;
}

bool watchdog_write(const struct layout_partition *config, uint64_t offset, uint32_t size, uint64_t value)
{
    struct watchdog *dog;
    uint64_t at;

    if (size != 4u) {
        return false;
    }
    dog = watchdog_lock(config);
    if (offset == WOR) {
        uint64_t most = watchdog_most(config);

        dog->offset = value < most ? (uint32_t)value : most;
    }
    if (dog->on && (offset == WRR || offset == WOR || offset == WCS)) {
        watchdog_refresh(config, dog);
    }
    at = dog->on ? dog->compare : WATCHDOG_NEVER;
    watchdog_unlock(dog);
    watchdog_tell(config, at);
    return true;
}

void watchdog_warn(const struct layout_partition *config, bool pending)
{
    arch_set_pending(config->watchdog_intid, pending);
}
