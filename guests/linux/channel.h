/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels from a Linux guest's user space, with any kernel that has a devicetree and /dev/mem: they are not its RAM,
 * so it lets them through. docs/guest-abi.md says what is in the devicetree's nodes.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct channel {
    volatile uint32_t *memory;
    volatile uint32_t *bell;     /* a store rings; NULL: it has none */
    uint64_t size;
};

/* A property of a node below /proc/device-tree; how many bytes it has, -1 if it is not there. */
static inline long channel_property(const char *node, const char *name, void *into, size_t room)
{
    char path[512];
    long count;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/device-tree/%s/%s", node, name);
    file = fopen(path, "rb");
    if (file == NULL) {
        return -1;
    }
    count = (long)fread(into, 1, room, file);
    (void)fclose(file);
    return count;
}

static inline uint64_t channel_number(const uint8_t *bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

/* Maps the channel of that name; false: there is none, or nobody may. writable: its role must be to write. */
static inline int channel_map(const char *wanted, int writable, struct channel *channel)
{
    DIR *tree = opendir("/proc/device-tree");
    struct dirent *node;
    uint8_t reg[32];
    char name[64] = "";
    long count = 0;
    void *memory, *bell;
    int file;

    while (tree != NULL && (node = readdir(tree)) != NULL) {
        if (strncmp(node->d_name, "channel@", 8) == 0 && channel_property(node->d_name, "bulkhead,channel", name, sizeof(name) - 1) > 0 &&
            strcmp(name, wanted) == 0) {
            count = channel_property(node->d_name, "reg", reg, sizeof(reg));
            break;
        }
    }
    if (tree != NULL) {
        (void)closedir(tree);
    }
    file = open("/dev/mem", (writable ? O_RDWR : O_RDONLY) | O_SYNC);
    if (count < 16 || file < 0) {
        return 0;
    }
    channel->size = channel_number(reg + 8);
    memory = mmap(NULL, channel->size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file, (off_t)channel_number(reg));
    bell = count < 32 || !writable ? MAP_FAILED : mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, file, (off_t)channel_number(reg + 16));
    (void)close(file);
    channel->memory = memory;
    channel->bell = bell == MAP_FAILED ? NULL : bell;
    return memory != MAP_FAILED;
}

#endif
