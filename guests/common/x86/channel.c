/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels in the DSDT (docs/guest-abi-x86.md): devices with a _HID of "BLKH0001", whose _UID is the channel's name. A
 * driver would ask an interpreter of AML; here the bytes are looked for in the order in which Bulkhead writes them.
 */
#include "channel.h"

#define STRING_PREFIX  0x0d
#define MEMORY_32      0x86      /* resources (ACPI 6.5 6.4.3.4, 6.4.3.6): tag, length, contents */
#define INTERRUPTS     0x89
#define WRITABLE       1u
#define NEAR           64u       /* bytes from one name to the next */

static uint32_t u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

/* Behind the first such bytes in [at, end), or NULL. */
static const uint8_t *behind(const uint8_t *at, const uint8_t *end, const char *text, size_t length)
{
    for (; at + length <= end; at++) {
        if (memcmp(at, text, length) == 0) {
            return at + length;
        }
    }
    return NULL;
}

static void add_memory(struct channel *channel, const uint8_t *resource)
{
    if (channel->size == 0) {
        channel->writable = (resource[3] & WRITABLE) != 0;
        channel->base = u32(resource + 4);
        channel->size = u32(resource + 8);
    } else {
        channel->doorbell = u32(resource + 4);
    }
}

/* `at`: the first resource behind "_CRS", its buffer's head skipped. */
static void read_resources(const uint8_t *at, const uint8_t *end, struct channel *channel)
{
    *channel = (struct channel){0};
    while (at + 12 <= end && (*at == MEMORY_32 || *at == INTERRUPTS)) {
        if (*at == MEMORY_32) {
            add_memory(channel, at);
        } else {
            channel->irq = VECTOR_LINE + u32(at + 5);
        }
        at += 3u + at[1] + 256u * at[2];
    }
}

bool channel_at(uint32_t index, struct channel *channel, const char **name)
{
    const uint8_t *at = acpi.dsdt, *end, *crs, *first;

    if (at == NULL) {
        return false;
    }
    end = at + u32(at + 4);
    for (uint32_t i = 0; i <= index && at != NULL; i++) {
        at = behind(at, end, "BLKH0001", 9);
    }
    at = at != NULL ? behind(at, at + NEAR < end ? at + NEAR : end, "_UID\x0d", 5) : NULL;
    crs = at != NULL ? behind(at, at + NEAR < end ? at + NEAR : end, "_CRS", 4) : NULL;
    if (crs == NULL) {
        return false;
    }
    for (first = crs; first < end && first < crs + 8 && *first != MEMORY_32; first++) {
    }
    *name = (const char *)at;
    read_resources(first, end, channel);
    return channel->size != 0;
}
