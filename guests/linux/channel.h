/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels from a Linux guest's user space, with Debian's kernel as it is. Memory and doorbells come through /dev/mem,
 * which lets them through as they are not its RAM. Where they are, docs/guest-abi.md says for ARM64 (the devicetree; a
 * ring is a key stroke) and docs/guest-abi-x86.md for x86 (ACPI's devices; a ring is an event of a power supply).
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <dirent.h>
#include <fcntl.h>
#include <linux/input.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL_NAME  64

struct channel_place {
    uint64_t base, size;
    uint64_t bell;               /* 0: it has none */
};

struct channel {
    volatile uint32_t *memory;
    volatile uint32_t *bell;     /* a store rings; NULL: it has none */
    uint64_t size;
};

/* What a file holds; how many bytes, -1 if it is not there. */
static inline long channel_file(const char *path, void *into, size_t room)
{
    FILE *file = fopen(path, "rb");
    long count;

    if (file == NULL) {
        return -1;
    }
    count = (long)fread(into, 1, room, file);
    (void)fclose(file);
    return count;
}

/* Its first line is the text. */
static inline int channel_file_is(const char *path, const char *text)
{
    char found[2 * CHANNEL_NAME] = "";

    return channel_file(path, found, sizeof(found) - 1) > 0 && strcspn(found, "\n") == strlen(text) &&
           strncmp(found, text, strlen(text)) == 0;
}

/* ---------------------------------------------------------------- where channels are */

static inline uint64_t channel_number(const uint8_t *bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

/* The index-th node of a channel in the devicetree. */
static inline int channel_in_tree(int index, char name[CHANNEL_NAME], struct channel_place *place)
{
    DIR *tree = opendir("/proc/device-tree");
    struct dirent *node;
    uint8_t reg[32] = {0};
    char path[512] = "";
    long count = -1;

    while (tree != NULL && (node = readdir(tree)) != NULL) {
        if (strncmp(node->d_name, "channel@", 8) == 0 && index-- == 0) {
            (void)snprintf(path, sizeof(path), "/proc/device-tree/%s/bulkhead,channel", node->d_name);
            count = channel_file(path, name, CHANNEL_NAME);
            (void)snprintf(path, sizeof(path), "/proc/device-tree/%s/reg", node->d_name);
            break;
        }
    }
    if (tree != NULL) {
        (void)closedir(tree);
    }
    if (count <= 0 || channel_file(path, reg, sizeof(reg)) < 16) {
        return 0;
    }
    name[CHANNEL_NAME - 1] = '\0';
    *place = (struct channel_place){channel_number(reg), channel_number(reg + 8), channel_number(reg + 16)};
    return 1;
}

/* The index-th device of a channel in ACPI; the kernel lists its ranges under its name, the memory first. */
static inline int channel_in_acpi(int index, char name[CHANNEL_NAME], struct channel_place *place)
{
    unsigned long long first, last;
    char path[128], line[256], owner[32], device[32];
    FILE *ranges;

    (void)snprintf(device, sizeof(device), "BLKH0001:%02x", (unsigned int)index);
    (void)snprintf(path, sizeof(path), "/sys/bus/acpi/devices/%s/uid", device);
    memset(name, 0, CHANNEL_NAME);
    if (channel_file(path, name, CHANNEL_NAME - 1) <= 0 || (ranges = fopen("/proc/iomem", "r")) == NULL) {
        return 0;
    }
    name[strcspn(name, "\n")] = '\0';
    *place = (struct channel_place){0};
    while (fgets(line, sizeof(line), ranges) != NULL) {
        if (sscanf(line, " %llx-%llx : %31s", &first, &last, owner) == 3 && strcmp(owner, device) == 0) {
            if (place->size == 0) {
                place->base = first;
                place->size = last - first + 1;
            } else {
                place->bell = first;
            }
        }
    }
    (void)fclose(ranges);
    return place->size != 0;
}

/* The index-th channel of this partition, and its name; false: there are no more. */
static inline int channel_at(int index, char name[CHANNEL_NAME], struct channel_place *place)
{
    return channel_in_tree(index, name, place) || channel_in_acpi(index, name, place);
}

/* ---------------------------------------------------------------- memory and doorbell */

static inline void *channel_window(uint64_t at, uint64_t size, int writable)
{
    int file = open("/dev/mem", writable ? O_RDWR : O_RDONLY);
    void *window = MAP_FAILED;

    if (file >= 0) {
        window = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file, (off_t)at);
        (void)close(file);
    }
    return window != MAP_FAILED ? window : NULL;
}

/* Maps the channel of that name; false: there is none, or nobody may. writable: its role must be to write. */
static inline int channel_map(const char *wanted, int writable, struct channel *channel)
{
    char name[CHANNEL_NAME];
    struct channel_place place;

    for (int i = 0; channel_at(i, name, &place); i++) {
        if (strcmp(name, wanted) == 0) {
            channel->size = place.size;
            channel->memory = channel_window(place.base, place.size, writable);
            channel->bell = place.bell != 0 ? channel_window(place.bell, 4096, 1) : NULL;
            return channel->memory != NULL;
        }
    }
    return 0;
}

static inline void channel_ring(const struct channel *channel)
{
    if (channel->bell != NULL) {
        __sync_synchronize();
        *channel->bell = 1;
    }
}

/* ---------------------------------------------------------------- rings of others */

struct channel_ears {
    int file;
    char supply[CHANNEL_NAME];    /* "": the file is an input device; else it has the kernel's events */
};

/* The entry of a folder whose file says the text; false: none. */
static inline int channel_entry(const char *folder, const char *file, const char *text, char found[CHANNEL_NAME])
{
    DIR *all = opendir(folder);
    struct dirent *entry;
    char path[512];
    int right = 0;

    while (all != NULL && !right && (entry = readdir(all)) != NULL) {
        (void)snprintf(path, sizeof(path), "%s/%s/%s", folder, entry->d_name, file);
        (void)snprintf(found, CHANNEL_NAME, "%.*s", CHANNEL_NAME - 1, entry->d_name);
        right = channel_file_is(path, text);
    }
    if (all != NULL) {
        (void)closedir(all);
    }
    return right;
}

/* From now on the rings of that channel are heard; false: the kernel has no way for them. */
static inline int channel_listen(const char *name, struct channel_ears *ears)
{
    struct sockaddr_nl events = {.nl_family = AF_NETLINK, .nl_groups = 1};
    char text[CHANNEL_NAME + 16], found[CHANNEL_NAME], path[CHANNEL_NAME + 16];

    ears->supply[0] = '\0';
    (void)snprintf(text, sizeof(text), "channel %s", name);
    if (channel_entry("/sys/class/input", "device/name", text, found)) {
        (void)snprintf(path, sizeof(path), "/dev/input/%s", found);
        ears->file = open(path, O_RDONLY);
        return ears->file >= 0;
    }
    if (!channel_entry("/sys/class/power_supply", "device/uid", name, ears->supply)) {
        return 0;
    }
    ears->file = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
    return ears->file >= 0 && bind(ears->file, (struct sockaddr *)&events, sizeof(events)) == 0;
}

/* Whether an event of the kernel is one of the power supply: its lines end in zeros. */
static inline int channel_is_event_of(const char *event, long count, const char *supply)
{
    char line[CHANNEL_NAME + 32];

    (void)snprintf(line, sizeof(line), "POWER_SUPPLY_NAME=%s", supply);
    for (long at = 0; at < count; at += (long)strlen(event + at) + 1) {
        if (strcmp(event + at, line) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Until somebody has rung; false: never again. Rings may come together as one. */
static inline int channel_wait(const struct channel_ears *ears)
{
    for (;;) {
        struct input_event stroke;
        char event[4096];
        long count;

        if (ears->supply[0] == '\0') {
            if (read(ears->file, &stroke, sizeof(stroke)) != sizeof(stroke)) {
                return 0;
            }
            if (stroke.type == EV_KEY && stroke.value == 1) {
                return 1;
            }
            continue;
        }
        count = (long)recv(ears->file, event, sizeof(event) - 1, 0);
        if (count <= 0) {
            return 0;
        }
        event[count] = '\0';
        if (channel_is_event_of(event, count, ears->supply)) {
            return 1;
        }
    }
}

#endif
