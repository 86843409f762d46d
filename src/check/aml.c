/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little AML that a guest's DSDT needs (ACPI 6.5, 20.2): scopes, devices, names with constant values, and methods
 * of two forms, which notify a device of an interrupt. Whatever else stands there is refused, so that nothing hides
 * from the proof. Resources of every _CRS are collected (6.4).
 */
#include "check.h"

#include <string.h>

#define MAX_DEPTH 8
#define SPACE_FIXED 0x0c /* 6.4.3.5: produced, decoded positively, both ends fixed */
#define N         (-1)
#define COUNT(a)  (uint32_t)(sizeof(a) / sizeof((a)[0]))

enum {
    ZERO_OP = 0x00,
    ONE_OP = 0x01,
    NAME_OP = 0x08,
    BYTE_PREFIX = 0x0a,
    WORD_PREFIX = 0x0b,
    DWORD_PREFIX = 0x0c,
    STRING_PREFIX = 0x0d,
    QWORD_PREFIX = 0x0e,
    SCOPE_OP = 0x10,
    BUFFER_OP = 0x11,
    PACKAGE_OP = 0x12,
    METHOD_OP = 0x14,
    EXTENDED = 0x5b,
    DEVICE_OP = 0x82, /* behind EXTENDED */
    STORE_OP = 0x70,
    NOTIFY_OP = 0x86,
    NOT_OP = 0x92,
    IF_OP = 0xa0,
    RETURN_OP = 0xa4,
    ROOT_CHAR = 0x5c,
    ONES_OP = 0xff,
};

enum {
    IO_PORTS = 0x47,           /* 6.4.2.5: information, least and highest base, alignment, length */
    FIXED_IO_PORTS = 0x4b,     /* 6.4.2.6 */
    END_TAG = 0x79,            /* 6.4.2.9, with a checksum */
    FIXED_MEMORY = 0x86,       /* 6.4.3.4: information, base, length */
    WORD_SPACE = 0x88,         /* 6.4.3.5.3: kind, flags of two kinds, then granularity, both ends, offset, length */
    QWORD_SPACE = 0x8a,        /* 6.4.3.5.1 */
    EXTENDED_INTERRUPT = 0x89, /* 6.4.3.6 */
};

struct code {
    const uint8_t *at;
    const uint8_t *end;
};

static uint64_t left(const struct code *code)
{
    return (uint64_t)(code->end - code->at);
}

static bool take(struct code *code, uint64_t count)
{
    if (left(code) < count) {
        return false;
    }
    code->at += count;
    return true;
}

static uint64_t little(const uint8_t *bytes, uint32_t count)
{
    uint64_t value = 0;

    memcpy(&value, bytes, count);
    return value;
}

/* PkgLength (20.2.4): it counts itself. What it spans goes to `inside`, `code` goes on behind it. */
static bool take_package(struct code *code, struct code *inside)
{
    const uint8_t *start = code->at;
    uint32_t more;
    uint64_t length;

    if (left(code) < 1) {
        return false;
    }
    more = start[0] >> 6;
    if (left(code) < 1 + more) {
        return false;
    }
    length = more == 0 ? start[0] : (start[0] & 15u) | little(start + 1, more) << 4;
    if (length < 1 + more || length > left(code)) {
        return false;
    }
    *inside = (struct code){start + 1 + more, start + length};
    code->at = start + length;
    return true;
}

/* A name of one segment, perhaps from the root; its last segment is returned. */
static const uint8_t *take_name(struct code *code)
{
    if (left(code) >= 1 && *code->at == ROOT_CHAR) {
        code->at++;
    }
    for (uint32_t i = 0; i < 4; i++) {
        bool letter = left(code) > i && ((code->at[i] >= 'A' && code->at[i] <= 'Z') || code->at[i] == '_');

        if (!letter && !(i != 0 && left(code) > i && code->at[i] >= '0' && code->at[i] <= '9')) {
            return NULL;
        }
    }
    code->at += 4;
    return code->at - 4;
}

static bool take_integer(struct code *code, uint64_t *value)
{
    uint32_t size;

    if (left(code) < 1) {
        return false;
    }
    switch (*code->at) {
    case ZERO_OP:
    case ONE_OP:
    case ONES_OP:
        *value = *code->at == ONES_OP ? UINT64_MAX : *code->at;
        return take(code, 1);
    case BYTE_PREFIX:
        size = 1;
        break;
    case WORD_PREFIX:
        size = 2;
        break;
    case DWORD_PREFIX:
        size = 4;
        break;
    case QWORD_PREFIX:
        size = 8;
        break;
    default:
        return false;
    }
    if (left(code) < 1 + size) {
        return false;
    }
    *value = little(code->at + 1, size);
    return take(code, 1 + size);
}

/* ---------------------------------------------------------------- resources */

static void add_ports(struct aml *found, uint64_t base, uint64_t count)
{
    ranges_add(&found->ports, base, count, "a _CRS", NO_OWNER);
}

static const char *small_resource(const uint8_t *r, struct aml *found)
{
    if (r[0] == IO_PORTS) {
        add_ports(found, little(r + 2, 2), little(r + 4, 2) - little(r + 2, 2) + r[7]);
        return little(r + 4, 2) < little(r + 2, 2) ? "the range of I/O ports is turned round" : NULL;
    }
    if (r[0] == FIXED_IO_PORTS) {
        add_ports(found, little(r + 1, 2) & 0x3ff, r[3]);
        return NULL;
    }
    return "a resource is of another kind than I/O ports and interrupts";
}

static const char *interrupts(const uint8_t *r, uint64_t length, struct aml *found)
{
    uint32_t count = length >= 2 ? r[1] : 0;

    if (length != 2 + 4 * (uint64_t)count) {
        return "a list of interrupts is cut off or names its source";
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t line = little(r + 2 + 4 * (uint64_t)i, 4);

        if (line >= 64) {
            return "an interrupt is beyond the lines of an I/O APIC";
        }
        found->lines |= UINT64_C(1) << line;
    }
    return NULL;
}

static const char *memory(const uint8_t *r, uint64_t length, struct aml *found)
{
    if (length != 9) {
        return "a range of memory is cut off";
    }
    found->memory = grow(found->memory, sizeof(found->memory[0]), found->memory_count, &found->memory_room);
    found->memory[found->memory_count++] = (struct aml_memory){.base = little(r + 1, 4),
                                                               .size = little(r + 5, 4),
                                                               .writable = (r[0] & 1) != 0,
                                                               .uid = found->uid != NULL ? found->uid : ""};
    return NULL;
}

/* What a PCI host bridge hands on: memory (kind 0), ports (1), buses (2); fixed, and the same on both sides. */
static const char *space(const uint8_t *r, uint64_t length, uint32_t word, struct aml *found)
{
    uint64_t base, last;

    if (length != 3 + 5 * (uint64_t)word || r[0] > 2 || (r[0] == 0) != (word == 8) || r[1] != SPACE_FIXED) {
        return "an address space is cut off, or of another kind than fixed windows";
    }
    base = little(r + 3 + word, word);
    last = little(r + 3 + 2 * word, word);
    if (little(r + 3, word) != 0 || little(r + 3 + 3 * word, word) != 0 || last < base ||
        last - base + 1 != little(r + 3 + 4 * word, word)) {
        return "a window's ends and its length disagree, or it is moved";
    }
    if (r[0] == 0) {
        ranges_add(&found->windows, base, last - base + 1, "a _CRS", NO_OWNER);
    } else if (r[0] == 1) {
        add_ports(found, base, last - base + 1);
    }
    return NULL;
}

static const char *resources(struct code code, struct aml *found)
{
    while (left(&code) >= 1) {
        const uint8_t *r = code.at;
        bool large = (r[0] & 0x80) != 0;
        uint64_t head = large ? 3 : 1;
        uint64_t length;
        const char *wrong;

        if (r[0] == END_TAG) {
            return left(&code) == 2 ? NULL : "something follows the end of the resources";
        }
        length = large && left(&code) >= 3 ? little(r + 1, 2) : r[0] & 7u;
        if (!take(&code, head + length)) {
            return "a resource is cut off";
        }
        wrong = r[0] == EXTENDED_INTERRUPT ? interrupts(r + 3, length, found)
                : r[0] == FIXED_MEMORY     ? memory(r + 3, length, found)
                : r[0] == WORD_SPACE       ? space(r + 3, length, 2, found)
                : r[0] == QWORD_SPACE      ? space(r + 3, length, 8, found)
                                           : small_resource(r, found);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return "the resources have no end";
}

/* ---------------------------------------------------------------- values and terms */

static bool take_text(struct code *code, const char **text)
{
    const uint8_t *zero = left(code) >= 1 && *code->at == STRING_PREFIX ? memchr(code->at, 0, left(code)) : NULL;

    if (zero == NULL) {
        return false;
    }
    *text = (const char *)code->at + 1;
    return take(code, (uint64_t)(zero - code->at) + 1);
}

/* _PRT (6.2.13): packages of address, pin, 0 and a line of the I/O APIC. */
static const char *routes(struct code code, struct aml *found)
{
    struct code route = {0};
    uint64_t n[4];

    if (!take(&code, 1)) {
        return "_PRT is cut off";
    }
    while (left(&code) != 0) {
        bool good = *code.at++ == PACKAGE_OP && take_package(&code, &route) && take(&route, 1);

        for (uint32_t i = 0; i < 4; i++) {
            good = good && take_integer(&route, &n[i]);
        }
        if (!good || left(&route) != 0 || n[1] > 3 || n[2] != 0 || n[3] >= 64) {
            return "_PRT holds more than pins and lines of the I/O APIC";
        }
        found->lines |= UINT64_C(1) << n[3];
    }
    return NULL;
}

/* Packages hold constants: integers, texts, buffers, and packages of them. */
static const char *package(struct code code, uint32_t depth)
{
    struct code inside = {0};
    const char *text;
    uint64_t value;

    if (!take(&code, 1) || depth == MAX_DEPTH) {
        return "a package is cut off, or nested too deep";
    }
    while (left(&code) != 0) {
        uint8_t op = *code.at;
        const char *wrong = NULL;

        if (op == BUFFER_OP || op == PACKAGE_OP) {
            code.at++;
            if (!take_package(&code, &inside)) {
                return "a length leads outside";
            }
            wrong = op == PACKAGE_OP ? package(inside, depth + 1) : NULL;
        } else if (!take_text(&code, &text) && !take_integer(&code, &value)) {
            return "a package holds more than constants";
        }
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

static const char *buffer(struct code code, bool is_crs, struct aml *found)
{
    uint64_t size;

    if (!take_integer(&code, &size) || size != left(&code)) {
        return "a buffer's size is not that of its bytes";
    }
    return is_crs ? resources(code, found) : NULL;
}

static const char *value_of(struct code *code, const uint8_t *name, struct aml *found)
{
    bool is_crs = memcmp(name, "_CRS", 4) == 0;
    struct code inside = {0};
    const char *text = NULL;
    uint64_t value;

    if (left(code) >= 1 && (*code->at == BUFFER_OP || *code->at == PACKAGE_OP)) {
        bool is_buffer = *code->at++ == BUFFER_OP;

        if (!take_package(code, &inside)) {
            return "a length leads outside";
        }
        if (memcmp(name, "_PRT", 4) == 0) {
            return is_buffer ? "_PRT is no package" : routes(inside, found);
        }
        return is_buffer ? buffer(inside, is_crs, found) : package(inside, 0);
    }
    if (is_crs) {
        return "_CRS is no buffer";
    }
    if (take_text(code, &text) || take_integer(code, &value)) {
        if (memcmp(name, "_UID", 4) == 0) {
            found->uid = text;
            if (found->device_count != 0) {
                found->devices[found->device_count - 1].uid = text;
            }
        }
        return NULL;
    }
    return left(code) >= 1 && *code->at == STRING_PREFIX ? "a text has no end" : "a value is no constant";
}

static void add_device(struct aml *found, const uint8_t *name)
{
    found->devices = grow(found->devices, sizeof(found->devices[0]), found->device_count, &found->device_room);
    found->devices[found->device_count++] = (struct aml_device){.name = name};
    found->uid = NULL;
}

/* The line in a name like _E0A (5.6.4.1); false: it is none. */
static bool event_line(const uint8_t *name, uint64_t *line)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *high = name != NULL ? strchr(digits, name[2]) : NULL;
    const char *low = name != NULL ? strchr(digits, name[3]) : NULL;

    if (high == NULL || low == NULL || memcmp(name, "_E", 2) != 0) {
        return false;
    }
    *line = (uint64_t)(high - digits) << 4 | (uint64_t)(low - digits);
    return true;
}

/* Bytes of a fixed form, in which N stands for a name: one and the same, which goes to `name`. */
static bool take_form(struct code *code, const int *form, uint32_t count, const uint8_t **name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (form[i] != N) {
            if (left(code) < 1 || *code->at++ != form[i]) {
                return false;
            }
            continue;
        }
        const uint8_t *found = left(code) >= 1 && *code->at != ROOT_CHAR ? take_name(code) : NULL;

        if (found == NULL || (*name != NULL && memcmp(found, *name, 4) != 0)) {
            return false;
        }
        *name = found;
    }
    return true;
}

/*
 * Without arguments (20.2.5.2): Method (_PSR) { Store (0, FLAG) Return (1) }, or
 * Method (_Exx) { If (LNot (FLAG)) { Store (1, FLAG) Notify (DEVICE, 0x80) } }.
 */
static const char *method(struct code code, struct aml *found)
{
    static const int state[] = {0, STORE_OP, ZERO_OP, N, RETURN_OP, ONE_OP};
    static const int ring[] = {0, IF_OP, 19, NOT_OP, N, STORE_OP, ONE_OP, N, NOTIFY_OP};
    static const int changed[] = {BYTE_PREFIX, 0x80};
    const uint8_t *title = take_name(&code), *flag = NULL, *none = NULL;
    struct aml_event event = {0};

    if (title != NULL && memcmp(title, "_PSR", 4) == 0 && take_form(&code, state, COUNT(state), &flag) && left(&code) == 0) {
        return NULL;
    }
    if (!event_line(title, &event.line) || !take_form(&code, ring, COUNT(ring), &flag) ||
        (event.device = take_name(&code)) == NULL || !take_form(&code, changed, COUNT(changed), &none) || left(&code) != 0) {
        return "a method does more than notify a device of an interrupt";
    }
    found->events = grow(found->events, sizeof(event), found->event_count, &found->event_room);
    found->events[found->event_count++] = event;
    return NULL;
}

/* A Scope or a Device opens a new list of terms; a Name or a Method ends within this one. */
static const char *take_term(struct code *code, struct code *inside, bool *opened, struct aml *found)
{
    const uint8_t *name;
    uint8_t op = *code->at++;

    *opened = op == SCOPE_OP || (op == EXTENDED && left(code) >= 1 && *code->at == DEVICE_OP);
    if (*opened) {
        code->at += op == EXTENDED ? 1 : 0;
        if (!take_package(code, inside)) {
            return "a length leads outside";
        }
        name = take_name(inside);
        if (op == EXTENDED && name != NULL) {
            add_device(found, name);
        }
        return name != NULL ? NULL : "a name is no single segment";
    }
    if (op == METHOD_OP) {
        return take_package(code, inside) ? method(*inside, found) : "a length leads outside";
    }
    if (op != NAME_OP) {
        return "it has more than scopes, devices, names and methods";
    }
    name = take_name(code);
    return name != NULL ? value_of(code, name, found) : "a name is no single segment";
}

const char *aml_read(struct aml *found, const uint8_t *bytes, uint64_t size)
{
    struct code stack[MAX_DEPTH] = {{bytes, bytes + size}};
    uint32_t depth = 0;

    for (;;) {
        struct code *code = &stack[depth];
        bool opened = false;
        const char *wrong;

        if (left(code) == 0) {
            if (depth == 0) {
                ranges_sort(&found->ports);
                ranges_sort(&found->windows);
                return NULL;
            }
            depth--;
            continue;
        }
        if (depth == MAX_DEPTH - 1) {
            return "its scopes are nested too deep";
        }
        wrong = take_term(code, &stack[depth + 1], &opened, found);
        if (wrong != NULL) {
            return wrong;
        }
        depth += opened ? 1 : 0;
    }
}
