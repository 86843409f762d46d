/* SPDX-License-Identifier: Apache-2.0 */
/* What the board has: read from its devicetree, with the few facts that board.yaml adds. */
#include "check.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MPIDR_AFFINITY UINT64_C(0xff00ffffff)
#define REDIST_STRIDE  UINT64_C(0x20000) /* two frames of 64 KiB, IHI 0069 12.10 */

/* Every register range of a node that the CPU can reach. */
static void add_regs(const struct devtree *dt, int node, struct ranges *list, bool pages)
{
    uint64_t base, size;

    for (int i = 0; dt_reg(dt, node, i, &base, &size); i++) {
        if (pages) {
            ranges_add_pages(list, base, size, dt->nodes[node].path, (uint32_t)node);
        } else {
            ranges_add(list, base, size, dt->nodes[node].path, (uint32_t)node);
        }
    }
}

static bool enabled_up(const struct devtree *dt, int node)
{
    while (node >= 0 && dt_enabled(dt, node)) {
        node = dt->nodes[node].parent;
    }
    return node < 0;
}

static bool type_is(const struct devtree *dt, int node, const char *type)
{
    const char *found = dt_string(dt, node, "device_type");

    return found != NULL && strcmp(found, type) == 0;
}

static void find_memory(struct board *board)
{
    const struct devtree *dt = &board->dt;

    for (int i = 0; i < dt->count; i++) {
        if (type_is(dt, i, "memory") && enabled_up(dt, i)) {
            add_regs(dt, i, &board->memory, false);
        }
    }
}

static void find_reserved(struct board *board)
{
    const struct devtree *dt = &board->dt;
    int reserved = dt_find(dt, "/reserved-memory");

    for (int i = 0; i < fdt_num_mem_rsv(dt->blob); i++) {
        uint64_t base, size;

        if (fdt_get_mem_rsv(dt->blob, i, &base, &size) == 0) {
            ranges_add_pages(&board->reserved, base, size, "/memreserve/", NO_OWNER);
        }
    }
    for (int i = 0; reserved >= 0 && i < dt->count; i++) {
        if (dt->nodes[i].parent == reserved && dt_enabled(dt, i)) {
            add_regs(dt, i, &board->reserved, true);
        }
    }
}

static void find_cpus(struct board *board)
{
    const struct devtree *dt = &board->dt;
    int cpus = dt_find(dt, "/cpus");
    uint32_t cells = 2;

    if (cpus >= 0 && dt_u32(dt, cpus, "#address-cells", &cells) && cells > 2) {
        cells = 2;
    }
    for (int i = 0; cpus >= 0 && i < dt->count; i++) {
        int size;
        const uint8_t *reg = dt_prop(dt, i, "reg", &size);
        uint64_t mpidr = 0;

        if (dt->nodes[i].parent != cpus || !type_is(dt, i, "cpu") || reg == NULL || !dt_enabled(dt, i)) {
            continue;
        }
        for (int byte = 0; byte < size && byte < (int)cells * 4; byte++) {
            mpidr = mpidr << 8 | reg[byte];
        }
        board->cpus = grow(board->cpus, sizeof(board->cpus[0]), board->cpu_count, &board->cpu_room);
        board->cpus[board->cpu_count++] = (struct board_cpu){mpidr & MPIDR_AFFINITY, dt->nodes[i].path};
    }
}

/* GICC and GICV have two pages (IHI 0048 4.1.2, 5.5); some trees name the first only. */
static void add_gicv2_pages(struct board *board)
{
    uint64_t base, size;

    for (int n = 1; board->gic_version == 2 && n <= 3; n += 2) {
        if (dt_reg(&board->dt, board->controller, n, &base, &size) > 0) {
            ranges_add_pages(&board->controller_regions, base, 2 * PAGE_SIZE, board->dt.nodes[board->controller].path,
                             (uint32_t)board->controller);
        }
    }
}

/* The interrupt controller that the CPUs hang on, with all that belongs to it. */
static void find_gic(struct board *board, const char *name)
{
    const struct devtree *dt = &board->dt;
    uint32_t stride = 0;
    int size;
    const uint8_t *cells;

    board->controller = dt_gic(dt);
    if (board->controller < 0) {
        unusable("%s: no GICv2 or GICv3", name);
    }
    board->gic_version = dt_compatible(dt, board->controller, "arm,gic-v3") ? 3 : 2;
    cells = dt_prop(dt, board->controller, "redistributor-stride", &size);
    for (int i = size - 4; cells != NULL && i >= 0 && i < size; i++) {
        stride = stride << 8 | cells[i];
    }
    board->redist_stride = stride;
    for (int i = 0; i < dt->count; i++) {
        if (dt_is_under(dt, i, board->controller) || dt_compatible(dt, i, "arm,gic-v3*") ||
            dt_compatible(dt, i, "arm,gic-v2m*")) {
            add_regs(dt, i, &board->controller_regions, true);
        }
    }
    add_gicv2_pages(board);
}

static void find_iommus(struct board *board)
{
    const struct devtree *dt = &board->dt;

    for (int i = 0; i < dt->count; i++) {
        if (dt_prop(dt, i, "#iommu-cells", NULL) != NULL || dt_compatible(dt, i, "arm,smmu*") ||
            dt_compatible(dt, i, "arm,mmu-*")) {
            add_regs(dt, i, &board->iommu, true);
        }
    }
}

static void keep_uart(struct board *board, int node)
{
    uint64_t base, size;

    board->uart = node;
    add_regs(&board->dt, node, &board->uart_pages, true);
    ranges_sort(&board->uart_pages);
    for (int n = 0; dt_ports(&board->dt, node, n, &base, &size); n++) {
        ranges_add(&board->kept_ports, base, size, "the hypervisor's UART", NO_OWNER);
    }
    ranges_sort(&board->kept_ports);
}

/* The hypervisor's own console, where board.yaml names it. */
static void find_uart(struct board *board, const char *named, const char *file)
{
    int node;

    board->uart = -1;
    if (named == NULL) {
        return;
    }
    node = dt_find_name(&board->dt, text("%.*s", (int)strcspn(named, ":"), named));
    if (node < 0) {
        unusable("%s: console '%s' is not on the board", file, named);
    }
    board->uart_named = true;
    keep_uart(board, node);
}

/* Where board.yaml is silent, the layout's choice among the serial ports stands: whichever it is must be kept. */
void board_take_uart(struct board *board, uint64_t wanted, bool ports)
{
    uint64_t base, size;

    for (int i = 0; i < board->dt.count && board->uart < 0 && wanted != 0; i++) {
        if ((ports ? dt_ports(&board->dt, i, 0, &base, &size) : dt_reg(&board->dt, i, 0, &base, &size)) &&
            base == wanted) {
            keep_uart(board, i);
        }
    }
}

/* Nodes that may have a `reg` but are no device. */
static bool is_no_device(const struct devtree *dt, int node)
{
    static const char *const tops[] = {"/cpus", "/reserved-memory", "/memory", "/chosen", "/aliases", "/__"};

    for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
        if (strncmp(dt->nodes[node].path, tops[i], strlen(tops[i])) == 0) {
            return true;
        }
    }
    return type_is(dt, node, "memory");
}

static void find_devices(struct board *board)
{
    const struct devtree *dt = &board->dt;
    struct dt_interrupt irq;

    board->timer = -1;
    for (int i = 0; i < dt->count; i++) {
        for (int n = 0; dt_interrupt(dt, i, n, &irq); n++) {
            if (irq.known && irq.intid < sizeof(board->spi_used)) {
                board->spi_used[irq.intid] = 1;
            }
        }
        for (int n = 0; dt_interrupt_behind(dt, i, n, &irq); n++) {
            if (irq.known && irq.intid < sizeof(board->spi_used)) {
                board->spi_used[irq.intid] = 1;
            }
        }
        if (board->timer < 0 && enabled_up(dt, i) &&
            (dt_compatible(dt, i, "arm,armv8-timer") || dt_compatible(dt, i, "arm,armv7-timer"))) {
            board->timer = i;
        }
        if (!is_no_device(dt, i) && enabled_up(dt, i)) {
            add_regs(dt, i, &board->devices, false);
        }
    }
}

static uint32_t conduit_of(const char *method)
{
    return strcmp(method, "smc") == 0   ? LAYOUT_CONDUIT_SMC
           : strcmp(method, "hvc") == 0 ? LAYOUT_CONDUIT_HVC
                                        : LAYOUT_CONDUIT_NONE;
}

/* board.yaml's word, else the devicetree's. */
static void find_conduit(struct board *board, const char *named)
{
    const struct devtree *dt = &board->dt;

    board->conduit = named != NULL ? conduit_of(named) : LAYOUT_CONDUIT_NONE;
    for (int i = 0; i < dt->count && named == NULL; i++) {
        const char *method = dt_string(dt, i, "method");

        if (dt_compatible(dt, i, "arm,psci*") && method != NULL && dt_enabled(dt, i)) {
            board->conduit = conduit_of(method);
            return;
        }
    }
}

/* What dtc makes of a .dts, with labels kept. */
static uint8_t *compile(const char *name, size_t *size)
{
    uint8_t *blob = NULL;
    size_t room = 0, count = 0;
    int pipes[2], status;
    pid_t child;

    if (pipe(pipes) != 0 || (child = fork()) < 0) {
        unusable("cannot start dtc");
    }
    if (child == 0) {
        (void)dup2(pipes[1], STDOUT_FILENO);
        (void)close(pipes[0]);
        (void)execlp("dtc", "dtc", "-q", "-@", "-I", "dts", "-O", "dtb", name, (char *)NULL);
        _exit(127);
    }
    (void)close(pipes[1]);
    for (ssize_t got = 1; got > 0; count += got > 0 ? (size_t)got : 0) {
        room = count + 65536;
        blob = realloc(blob, room);
        if (blob == NULL) {
            unusable("out of memory");
        }
        got = read(pipes[0], blob + count, room - count);
    }
    (void)close(pipes[0]);
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        unusable("%s: dtc refuses it", name);
    }
    *size = count;
    return blob;
}

static const uint8_t *read_devicetree(const char *name, size_t *size)
{
    size_t length = strlen(name);

    return length > 4 && strcmp(name + length - 4, ".dts") == 0 ? compile(name, size) : read_file(name, size);
}

/* The fourth range of a GICv2, two pages at least (IHI 0048 5.5): what guests may have of it. */
bool board_is_gicv(const struct board *board, uint64_t start, uint64_t end)
{
    uint64_t base, size;

    return board->gic_version == 2 && dt_reg(&board->dt, board->controller, 3, &base, &size) > 0 && start >= base &&
           end - base <= (size < 2 * PAGE_SIZE ? 2 * PAGE_SIZE : (size + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE);
}

void board_load(struct board *board, enum arch arch, const char *name, const char *yaml)
{
    struct spec_board extra = {0};
    size_t size;
    const uint8_t *blob = read_devicetree(name, &size);
    const char *wrong = dt_load(&board->dt, blob, size);

    if (wrong != NULL) {
        unusable("%s: %s", name, wrong);
    }
    if (yaml != NULL) {
        spec_board_load(&extra, yaml);
    }
    if (extra.has_memory) {
        board->memory = extra.memory;
    } else {
        find_memory(board);
    }
    for (size_t i = 0; i < extra.reserved.count; i++) {
        const struct range *r = &extra.reserved.at[i];

        ranges_add_pages(&board->reserved, r->base, r->end - r->base, r->what, NO_OWNER);
    }
    find_reserved(board);
    board->arch = arch;
    find_cpus(board);
    if (arch == ARCH_X86) {
        board_find_pc(board, &extra, name);
    } else {
        find_gic(board, name);
    }
    find_iommus(board);
    find_uart(board, extra.console, yaml);
    find_devices(board);
    find_conduit(board, extra.psci);
    board->resets = extra.resets;
    board->redist_stride = extra.redist_stride != 0    ? extra.redist_stride
                           : board->redist_stride != 0 ? board->redist_stride
                                                       : REDIST_STRIDE;
    ranges_sort(&board->memory);
    ranges_sort(&board->reserved);
    ranges_sort(&board->controller_regions);
    ranges_sort(&board->iommu);
    ranges_sort(&board->devices);
    if (board->memory.count == 0 || board->cpu_count == 0) {
        unusable("%s: the devicetree names no %s", name, board->cpu_count == 0 ? "CPU" : "memory (board.yaml can)");
    }
}
