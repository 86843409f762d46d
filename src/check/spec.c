/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads system.yaml and board.yaml by itself, with libyaml: what the user asked for must not pass
 * through the generator on its way to the proof. Spelling mistakes are the generator's to explain; here
 * whatever is not understood makes the input unusable.
 */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct source {
    const char *file;
    yaml_document_t document;
};

static uint32_t line_of(const yaml_node_t *node)
{
    return (uint32_t)node->start_mark.line + 1;
}

/* ${NAME} may stand unquoted inside {...}: the braces of variables are hidden from YAML, columns stay. */
static void hide_variables(char *bytes)
{
    for (char *at = strstr(bytes, "${"); at != NULL; at = strstr(at + 1, "${")) {
        char *end = strchr(at, '}');

        if (end == NULL) {
            return;
        }
        at[1] = '(';
        *end = ')';
    }
}

static void open_document(struct source *source, const char *file)
{
    yaml_parser_t parser;
    size_t size;
    uint8_t *bytes = read_file(file, &size);

    source->file = file;
    if (!yaml_parser_initialize(&parser)) {
        unusable("%s: cannot be read", file);
    }
    hide_variables((char *)bytes);
    yaml_parser_set_input_string(&parser, bytes, size);
    if (!yaml_parser_load(&parser, &source->document)) {
        unusable("%s:%zu: %s", file, parser.problem_mark.line + 1,
                 parser.problem != NULL ? parser.problem : "not YAML");
    }
    yaml_parser_delete(&parser);
}

static yaml_node_t *node_at(struct source *source, int index)
{
    return yaml_document_get_node(&source->document, index);
}

static const char *scalar(const struct source *source, const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE) {
        unusable("%s:%" PRIu32 ": a plain value is expected", source->file, line_of(node));
    }
    return (const char *)node->data.scalar.value;
}

/* The value of a key, or NULL. */
static yaml_node_t *member(struct source *source, const yaml_node_t *mapping, const char *key)
{
    if (mapping == NULL || mapping->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top; pair++) {
        if (strcmp(scalar(source, node_at(source, pair->key)), key) == 0) {
            return node_at(source, pair->value);
        }
    }
    return NULL;
}

static uint64_t unit_size(const struct source *source, const yaml_node_t *node, const char *unit)
{
    static const struct {
        const char *name;
        uint64_t size;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
        {"ns", 1},
        {"us", 1000},
        {"ms", 1000000},
        {"s", 1000000000},
    };

    while (*unit == ' ') {
        unit++;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(units[i].name, unit) == 0) {
            return units[i].size;
        }
    }
    unusable("%s:%" PRIu32 ": '%s' is no unit of size or time", source->file, line_of(node), unit);
}

/* "64 MiB", "0x4000_0000", "1.5 GiB"; "2 ms" in nanoseconds */
static uint64_t quantity(const struct source *source, const yaml_node_t *node)
{
    const char *written = scalar(source, node);
    char digits[64];
    size_t length = 0;
    char *end;
    uint64_t value, unit;
    double fraction = 0;

    for (const char *c = written; *c != '\0' && length + 1 < sizeof(digits); c++) {
        if (*c != '_') {
            digits[length++] = *c;
        }
    }
    digits[length] = '\0';
    errno = 0;
    value = strtoull(digits, &end, digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') ? 16 : 10);
    if (end == digits || errno != 0) {
        unusable("%s:%" PRIu32 ": '%s' is not a number", source->file, line_of(node), written);
    }
    if (*end == '.') {
        fraction = strtod(end, &end);
    }
    unit = unit_size(source, node, end);
    if (value > UINT64_MAX / unit) {
        unusable("%s:%" PRIu32 ": '%s' is too large", source->file, line_of(node), written);
    }
    return value * unit + (uint64_t)(fraction * (double)unit + 0.5);
}

/* ---------------------------------------------------------------- one partition */

static void add_cpu(struct spec_partition *part, uint64_t cpu)
{
    part->cpus = grow(part->cpus, sizeof(part->cpus[0]), part->cpu_count, &part->cpu_room);
    part->cpus[part->cpu_count++] = (uint32_t)cpu;
}

/* The number of a key, or what it is without the key. */
static uint64_t number_or(struct source *source, const yaml_node_t *node, const char *key, uint64_t otherwise)
{
    const yaml_node_t *value = member(source, node, key);

    return value != NULL ? quantity(source, value) : otherwise;
}

static bool is_true(struct source *source, const yaml_node_t *node, const char *key)
{
    const yaml_node_t *value = member(source, node, key);

    return value != NULL && strcmp(scalar(source, value), "true") == 0;
}

/* {pool: NAME, budget: 2 ms, period: 10 ms} */
static void read_pool_use(struct source *source, struct spec_partition *part, const yaml_node_t *node)
{
    const yaml_node_t *pool = member(source, node, "pool");

    if (pool == NULL) {
        unusable("%s:%" PRIu32 ": cpus: a list of numbers or a pool is expected", source->file, line_of(node));
    }
    part->pool = text("%s", scalar(source, pool));
    part->budget_ns = number_or(source, node, "budget", 0);
    part->period_ns = number_or(source, node, "period", 0);
    part->vcpu_count = (uint32_t)number_or(source, node, "vcpus", 1);
    part->has_core = member(source, node, "core") != NULL;
    part->core = (uint32_t)number_or(source, node, "core", 0);
    part->has_extra = member(source, node, "extra-time") != NULL;
    part->extra = is_true(source, node, "extra-time");
}

static void read_cpus(struct source *source, struct spec_partition *part, const yaml_node_t *node)
{
    if (node->type == YAML_SCALAR_NODE) {
        add_cpu(part, quantity(source, node));
        return;
    }
    if (node->type == YAML_MAPPING_NODE) {
        read_pool_use(source, part, node);
        return;
    }
    if (node->type != YAML_SEQUENCE_NODE) {
        unusable("%s:%" PRIu32 ": cpus: a list of numbers is expected", source->file, line_of(node));
    }
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        add_cpu(part, quantity(source, node_at(source, *item)));
    }
}

static void read_memory(struct source *source, struct spec_partition *part, const yaml_node_t *node)
{
    const yaml_node_t *size = node->type == YAML_MAPPING_NODE ? member(source, node, "size") : node;
    const yaml_node_t *physical = member(source, node, "physical");
    const yaml_node_t *guest = member(source, node, "guest");
    const yaml_node_t *alignment = member(source, node, "alignment");

    if (size == NULL) {
        unusable("%s:%" PRIu32 ": memory: no size", source->file, line_of(node));
    }
    part->memory = quantity(source, size);
    part->has_physical = physical != NULL;
    part->physical = physical != NULL ? quantity(source, physical) : 0;
    part->has_guest = guest != NULL;
    part->guest = guest != NULL ? quantity(source, guest) : 0;
    part->alignment = alignment != NULL ? quantity(source, alignment) : 0;
}

/* A name, or {device: NAME, dma: unprotected}. */
static void read_device(struct source *source, struct spec_partition *part, const yaml_node_t *node)
{
    struct spec_device device = {.node = -1};
    const yaml_node_t *name = node->type == YAML_MAPPING_NODE ? member(source, node, "device") : node;
    const yaml_node_t *dma = member(source, node, "dma");

    if (name == NULL) {
        unusable("%s:%" PRIu32 ": a device without a name", source->file, line_of(node));
    }
    device.line = line_of(name);
    device.name = text("%s", scalar(source, name));
    device.dma_unprotected = dma != NULL && strcmp(scalar(source, dma), "unprotected") == 0;
    part->devices = grow(part->devices, sizeof(device), part->device_count, &part->device_room);
    part->devices[part->device_count++] = device;
}

static void read_devices(struct source *source, struct spec_partition *part, const yaml_node_t *node)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        unusable("%s:%" PRIu32 ": devices: a list is expected", source->file, line_of(node));
    }
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        read_device(source, part, node_at(source, *item));
    }
}

static bool is_word(struct source *source, const yaml_node_t *part, const char *key, const char *word)
{
    const yaml_node_t *node = member(source, part, key);

    return node != NULL && strcmp(scalar(source, node), word) == 0;
}

/* ${NAME} (its braces hidden) becomes the variable's value; if there is none, it stays. */
static const char *expand(const char *written)
{
    const char *done = "";
    const char *start;

    while ((start = strstr(written, "$(")) != NULL && strchr(start, ')') != NULL) {
        const char *end = strchr(start, ')');
        const char *value = getenv(text("%.*s", (int)(end - start - 2), start + 2));

        value = value != NULL ? value : text("${%.*s}", (int)(end - start - 2), start + 2);
        done = text("%s%.*s%s", done, (int)(start - written), written, value);
        written = end + 1;
    }
    return text("%s%s", done, written);
}

static void read_image(struct source *source, struct spec_partition *part, const yaml_node_t *node)
{
    const yaml_node_t *image = member(source, node, "image");
    const yaml_node_t *linux_image = member(source, node, "linux");
    const yaml_node_t *raw = member(source, image, "raw");
    const yaml_node_t *elf = member(source, image, "elf");
    const yaml_node_t *offset = member(source, image, "offset");
    const yaml_node_t *initrd, *file, *bootargs;

    linux_image = linux_image != NULL ? linux_image : member(source, image, "linux");
    initrd = member(source, linux_image, "initrd");
    bootargs = member(source, linux_image, "bootargs");
    file = raw != NULL ? raw : elf != NULL ? elf : member(source, linux_image, "kernel");
    if (file == NULL) {
        unusable("%s:%" PRIu32 ": partition %s: no image", source->file, part->line, part->name);
    }
    part->kind = raw != NULL ? SPEC_RAW : elf != NULL ? SPEC_ELF : SPEC_LINUX;
    part->image = expand(scalar(source, file));
    part->initrd = initrd != NULL ? expand(scalar(source, initrd)) : NULL;
    part->bootargs = bootargs != NULL ? text("%s", scalar(source, bootargs)) : "";
    part->offset = offset != NULL ? quantity(source, offset) : 0;
}

/* A word, or {restart: {times: 3, within: 10 s}, then: reset-board}; a time, or {timeout: 100 ms, boot: 5 s}. */
static void read_health(struct source *source, struct spec_partition *part, const yaml_node_t *node)
{
    const yaml_node_t *policy = member(source, node, "on-fault"), *dog = member(source, node, "watchdog");
    const yaml_node_t *limit = member(source, policy, "restart");
    const yaml_node_t *timeout = dog != NULL && dog->type == YAML_MAPPING_NODE ? member(source, dog, "timeout") : dog;

    if (limit != NULL) {
        part->on_fault = LAYOUT_FAULT_RESTART;
        part->restart_limit = (uint32_t)number_or(source, limit, "times", 0);
        part->restart_window_ns = number_or(source, limit, "within", 0);
        part->restart_then = is_word(source, policy, "then", "reset-board") ? LAYOUT_FAULT_RESET_BOARD : LAYOUT_FAULT_STOP;
    } else if (policy != NULL) {
        part->on_fault = is_word(source, node, "on-fault", "restart")       ? LAYOUT_FAULT_RESTART
                         : is_word(source, node, "on-fault", "reset-board") ? LAYOUT_FAULT_RESET_BOARD
                                                                            : LAYOUT_FAULT_STOP;
    }
    part->watchdog_ns = timeout != NULL ? quantity(source, timeout) : 0;
    part->watchdog_boot_ns = number_or(source, dog, "boot", part->watchdog_ns);
    part->monitor = is_true(source, node, "monitor");
}

static void read_partition(struct source *source, struct spec *spec, const yaml_node_t *name, const yaml_node_t *node)
{
    struct spec_partition part = {.name = text("%s", scalar(source, name)), .line = line_of(name)};
    const yaml_node_t *cpus = member(source, node, "cpus");
    const yaml_node_t *memory = member(source, node, "memory");
    const yaml_node_t *devices = member(source, node, "devices");

    if (cpus == NULL || memory == NULL) {
        unusable("%s:%" PRIu32 ": partition %s: cpus or memory missing", source->file, part.line, part.name);
    }
    read_cpus(source, &part, cpus);
    part.vcpu_count = part.pool != NULL ? part.vcpu_count : (uint32_t)part.cpu_count;
    read_memory(source, &part, memory);
    if (devices != NULL) {
        read_devices(source, &part, devices);
    }
    read_image(source, &part, node);
    part.direct = is_word(source, node, "interrupts", "direct");
    part.virtual_said = is_word(source, node, "interrupts", "virtual");
    part.vuart = is_word(source, node, "console", "vuart");
    read_health(source, &part, node);
    spec->partitions = grow(spec->partitions, sizeof(part), spec->partition_count, &spec->partition_room);
    spec->partitions[spec->partition_count++] = part;
}

/* ---------------------------------------------------------------- pools */

static void read_window(struct source *source, struct spec_pool *pool, uint32_t cpu, const yaml_node_t *node)
{
    const yaml_node_t *partition = member(source, node, "partition");
    struct spec_window window = {.cpu = cpu, .line = line_of(node)};

    if (partition == NULL) {
        unusable("%s:%" PRIu32 ": a window without a partition", source->file, line_of(node));
    }
    window.partition = text("%s", scalar(source, partition));
    window.vcpu = (uint32_t)number_or(source, node, "vcpu", 0);
    window.start_ns = number_or(source, node, "start", 0);
    window.length_ns = number_or(source, node, "length", 0);
    pool->windows = grow(pool->windows, sizeof(window), pool->window_count, &pool->window_room);
    pool->windows[pool->window_count++] = window;
}

/* {CPU: [{partition: NAME, start: 0 ms, length: 5 ms}, ...], ...} */
static void read_windows(struct source *source, struct spec_pool *pool, const yaml_node_t *node)
{
    if (node == NULL || node->type != YAML_MAPPING_NODE) {
        return;
    }
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        uint32_t cpu = (uint32_t)quantity(source, node_at(source, pair->key));
        const yaml_node_t *list = node_at(source, pair->value);

        if (list->type != YAML_SEQUENCE_NODE) {
            unusable("%s:%" PRIu32 ": a list of windows is expected", source->file, line_of(list));
        }
        for (yaml_node_item_t *item = list->data.sequence.items.start; item < list->data.sequence.items.top; item++) {
            read_window(source, pool, cpu, node_at(source, *item));
        }
    }
}

static void read_pool(struct source *source, struct spec *spec, const yaml_node_t *name, const yaml_node_t *node)
{
    struct spec_pool pool = {.name = text("%s", scalar(source, name)), .line = line_of(name)};
    const yaml_node_t *cpus = member(source, node, "cpus");

    if (cpus == NULL || cpus->type != YAML_SEQUENCE_NODE) {
        unusable("%s:%" PRIu32 ": pool %s: a list of cpus is expected", source->file, pool.line, pool.name);
    }
    for (yaml_node_item_t *item = cpus->data.sequence.items.start; item < cpus->data.sequence.items.top; item++) {
        pool.cpus = grow(pool.cpus, sizeof(pool.cpus[0]), pool.cpu_count, &pool.cpu_room);
        pool.cpus[pool.cpu_count++] = (uint32_t)quantity(source, node_at(source, *item));
    }
    pool.arinc653 = is_word(source, node, "scheduler", "arinc653");
    pool.global = is_word(source, node, "placement", "global");
    pool.extra = is_true(source, node, "extra-time");
    pool.frame_ns = number_or(source, node, "frame", 0);
    read_windows(source, &pool, member(source, node, "windows"));
    spec->pools = grow(spec->pools, sizeof(pool), spec->pool_count, &spec->pool_room);
    spec->pools[spec->pool_count++] = pool;
}

static void read_pools(struct source *source, struct spec *spec, const yaml_node_t *node)
{
    if (node == NULL || node->type != YAML_MAPPING_NODE) {
        return;
    }
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        read_pool(source, spec, node_at(source, pair->key), node_at(source, pair->value));
    }
}

/* ---------------------------------------------------------------- channels */

static void add_member(struct source *source, struct spec_channel *channel, const yaml_node_t *name, const char *role)
{
    struct spec_member member = {.partition = text("%s", scalar(source, name)),
                                 .reader = strcmp(role, "readers") == 0,
                                 .writer = strcmp(role, "writer") == 0};

    channel->members = grow(channel->members, sizeof(member), channel->member_count, &channel->member_room);
    channel->members[channel->member_count++] = member;
}

/* One name or a list of them. */
static void read_members(struct source *source, struct spec_channel *channel, const yaml_node_t *node, const char *role)
{
    const yaml_node_t *names = member(source, node, role);

    if (names == NULL) {
        return;
    }
    if (names->type != YAML_SEQUENCE_NODE) {
        add_member(source, channel, names, role);
        return;
    }
    for (yaml_node_item_t *item = names->data.sequence.items.start; item < names->data.sequence.items.top; item++) {
        add_member(source, channel, node_at(source, *item), role);
    }
}

static void read_channels(struct source *source, struct spec *spec, const yaml_node_t *node)
{
    if (node == NULL || node->type != YAML_MAPPING_NODE) {
        return;
    }
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = node_at(source, pair->key);
        const yaml_node_t *value = node_at(source, pair->value);
        struct spec_channel channel = {.name = text("%s", scalar(source, name)), .line = line_of(name)};

        channel.size = number_or(source, value, "size", 0);
        channel.doorbell = is_true(source, value, "doorbell");
        read_members(source, &channel, value, "writer");
        read_members(source, &channel, value, "readers");
        read_members(source, &channel, value, "peers");
        spec->channels = grow(spec->channels, sizeof(channel), spec->channel_count, &spec->channel_room);
        spec->channels[spec->channel_count++] = channel;
    }
}

void spec_load(struct spec *spec, const char *name)
{
    struct source source;
    yaml_node_t *root, *partitions, *board;

    spec->file = name;
    open_document(&source, name);
    root = yaml_document_get_root_node(&source.document);
    partitions = member(&source, root, "partitions");
    board = member(&source, root, "board");
    if (board == NULL || partitions == NULL || partitions->type != YAML_MAPPING_NODE) {
        unusable("%s: no 'board' or no 'partitions'", name);
    }
    spec->board = text("%s", scalar(&source, board));
    for (yaml_node_pair_t *pair = partitions->data.mapping.pairs.start; pair < partitions->data.mapping.pairs.top;
         pair++) {
        read_partition(&source, spec, node_at(&source, pair->key), node_at(&source, pair->value));
    }
    if (spec->partition_count == 0) {
        unusable("%s: no partition", name);
    }
    read_pools(&source, spec, member(&source, root, "pools"));
    read_channels(&source, spec, member(&source, root, "channels"));
    yaml_document_delete(&source.document);
}

/* ---------------------------------------------------------------- board.yaml */

/* A list of {base:, size:}. */
static void read_ranges(struct source *source, struct ranges *list, const yaml_node_t *node, const char *what)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        unusable("%s:%" PRIu32 ": a list of ranges is expected", source->file, line_of(node));
    }
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        const yaml_node_t *entry = node_at(source, *item);
        const yaml_node_t *base = member(source, entry, "base");
        const yaml_node_t *size = member(source, entry, "size");

        if (base == NULL || size == NULL) {
            unusable("%s:%" PRIu32 ": a range needs base and size", source->file, line_of(entry));
        }
        ranges_add(list, quantity(source, base), quantity(source, size), what, NO_OWNER);
    }
}

static uint64_t number_in(struct source *source, const yaml_node_t *entry, const char *key)
{
    const yaml_node_t *node = member(source, entry, key);

    if (node == NULL) {
        unusable("%s:%" PRIu32 ": a write needs its place, width and value", source->file, line_of(entry));
    }
    return quantity(source, node);
}

/* A list of {port:, width:, value:}. */
static void read_outs(struct source *source, struct spec_outs *outs, const yaml_node_t *node)
{
    if (node == NULL) {
        return;
    }
    if (node->type != YAML_SEQUENCE_NODE) {
        unusable("%s:%" PRIu32 ": a list of port writes is expected", source->file, line_of(node));
    }
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        const yaml_node_t *entry = node_at(source, *item);

        outs->at = grow(outs->at, sizeof(outs->at[0]), outs->count, &outs->room);
        outs->at[outs->count++] = (struct layout_out){.port = (uint16_t)number_in(source, entry, "port"),
                                                      .width = (uint16_t)number_in(source, entry, "width"),
                                                      .value = (uint32_t)number_in(source, entry, "value")};
    }
}

/* {DEVICE: [{offset:, width:, value:}], ...} */
static void read_resets(struct source *source, struct spec_resets *resets, const yaml_node_t *node)
{
    if (node == NULL || node->type != YAML_MAPPING_NODE) {
        return;
    }
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = node_at(source, pair->key), *list = node_at(source, pair->value);

        if (list->type != YAML_SEQUENCE_NODE) {
            unusable("%s:%" PRIu32 ": a list of writes is expected", source->file, line_of(list));
        }
        for (yaml_node_item_t *item = list->data.sequence.items.start; item < list->data.sequence.items.top; item++) {
            const yaml_node_t *entry = node_at(source, *item);

            resets->at = grow(resets->at, sizeof(resets->at[0]), resets->count, &resets->room);
            resets->at[resets->count++] = (struct spec_reset){.device = text("%s", scalar(source, name)),
                                                              .line = line_of(entry),
                                                              .offset = number_in(source, entry, "offset"),
                                                              .width = (uint32_t)number_or(source, entry, "width", 4),
                                                              .value = (uint32_t)number_in(source, entry, "value")};
        }
    }
}

static const char *word(struct source *source, const yaml_node_t *root, const char *key)
{
    const yaml_node_t *node = member(source, root, key);

    return node != NULL ? text("%s", scalar(source, node)) : NULL;
}

void spec_board_load(struct spec_board *spec, const char *name)
{
    struct source source;
    const yaml_node_t *root, *node;

    open_document(&source, name);
    root = yaml_document_get_root_node(&source.document);
    spec->console = word(&source, root, "console");
    spec->psci = word(&source, root, "psci");
    spec->devicetree = word(&source, root, "devicetree");
    node = member(&source, root, "memory");
    if (node != NULL) {
        spec->has_memory = true;
        read_ranges(&source, &spec->memory, node, "board.yaml: memory");
    }
    node = member(&source, root, "firmware");
    if (node != NULL) {
        read_ranges(&source, &spec->reserved, node, "board.yaml: firmware");
    }
    read_outs(&source, &spec->off, member(&source, root, "poweroff"));
    read_outs(&source, &spec->reset, member(&source, root, "reset"));
    read_resets(&source, &spec->resets, member(&source, root, "device-reset"));
    node = member(&source, root, "redistributor-stride");
    spec->redist_stride = node != NULL ? quantity(&source, node) : 0;
    yaml_document_delete(&source.document);
}
