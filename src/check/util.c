/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, text and address ranges. Nothing is freed: the program reads, proves and ends. */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void unusable(const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("hvcheck: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(2);
}

void *alloc(size_t size)
{
    void *memory = calloc(1, size != 0 ? size : 1);

    if (memory == NULL) {
        unusable("out of memory");
    }
    return memory;
}

void *grow(void *array, size_t size, size_t count, size_t *room)
{
    void *bigger;

    if (count < *room) {
        return array;
    }
    *room = *room != 0 ? *room * 2 : 16;
    bigger = realloc(array, *room * size);
    if (bigger == NULL) {
        unusable("out of memory");
    }
    return bigger;
}

char *text(const char *format, ...)
{
    va_list args;
    char *result;
    int length;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        unusable("cannot format '%s'", format);
    }
    result = alloc((size_t)length + 1);
    va_start(args, format);
    (void)vsnprintf(result, (size_t)length + 1, format, args);
    va_end(args);
    return result;
}

bool file_exists(const char *name)
{
    struct stat status;

    return stat(name, &status) == 0 && S_ISREG(status.st_mode) && access(name, R_OK) == 0;
}

uint8_t *read_file(const char *name, size_t *size)
{
    FILE *file = file_exists(name) ? fopen(name, "rb") : NULL;
    uint8_t *bytes;
    long length;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        unusable("%s: cannot be read", name);
    }
    length = ftell(file);
    if (length < 0 || fseek(file, 0, SEEK_SET) != 0) {
        unusable("%s: cannot be read", name);
    }
    bytes = alloc((size_t)length + 1);
    if (fread(bytes, 1, (size_t)length, file) != (size_t)length) {
        unusable("%s: cannot be read", name);
    }
    fclose(file);
    *size = (size_t)length;
    return bytes;
}

void ranges_add(struct ranges *list, uint64_t base, uint64_t size, const char *what, uint32_t owner)
{
    if (size == 0) {
        return;
    }
    list->at = grow(list->at, sizeof(list->at[0]), list->count, &list->room);
    list->at[list->count++] = (struct range){
        .base = base,
        .end = size > UINT64_MAX - base ? UINT64_MAX : base + size,
        .owner = owner,
        .what = what,
    };
}

void ranges_add_pages(struct ranges *list, uint64_t base, uint64_t size, const char *what, uint32_t owner)
{
    uint64_t start = base & ~PAGE_MASK;
    uint64_t end = size > UINT64_MAX - PAGE_SIZE - base ? UINT64_MAX : (base + size + PAGE_MASK) & ~PAGE_MASK;

    if (size != 0) {
        ranges_add(list, start, end - start, what, owner);
    }
}

void ranges_copy(struct ranges *list, const struct ranges *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct range *r = &from->at[i];

        ranges_add(list, r->base, r->end - r->base, r->what, r->owner);
    }
}

static int range_order(const void *left, const void *right)
{
    const struct range *a = left;
    const struct range *b = right;

    if (a->base != b->base) {
        return a->base < b->base ? -1 : 1;
    }
    return a->end < b->end ? -1 : a->end > b->end;
}

void ranges_sort(struct ranges *list)
{
    uint64_t reach = 0;

    if (list->count == 0) {
        return;
    }
    qsort(list->at, list->count, sizeof(list->at[0]), range_order);
    for (size_t i = 0; i < list->count; i++) {
        reach = list->at[i].end > reach ? list->at[i].end : reach;
        list->at[i].reach = reach;
    }
}

/* `reach` never falls, so that a binary search finds the first range that ends behind base. */
size_t ranges_first(const struct ranges *list, uint64_t base)
{
    size_t low = 0;
    size_t high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (list->at[middle].reach > base) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

const struct range *ranges_hit(const struct ranges *list, uint64_t base, uint64_t end)
{
    for (size_t i = ranges_first(list, base); i < list->count && list->at[i].base < end; i++) {
        if (list->at[i].end > base) {
            return &list->at[i];
        }
    }
    return NULL;
}

uint64_t ranges_gap(const struct ranges *list, uint64_t *base, uint64_t end)
{
    uint64_t at = *base;

    for (size_t i = ranges_first(list, at); i < list->count && list->at[i].base < end; i++) {
        if (list->at[i].base > at) {
            *base = at;
            return list->at[i].base;
        }
        at = list->at[i].end > at ? list->at[i].end : at;
    }
    *base = at;
    return at < end ? end : 0;
}

bool ranges_cover(const struct ranges *list, uint64_t base, uint64_t end)
{
    return ranges_gap(list, &base, end) == 0;
}
