/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checker's own types. It reads what the generator decided out of the linked ELF and proves it
 * against the devicetree and system.yaml; with the generator it shares <hv/layout.h> and nothing else.
 */
#ifndef CHECK_H
#define CHECK_H

#include <hv/layout.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(sizeof(void *) == 8, "layout is read in place: the host needs 64-bit pointers");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "layout is read in place: little-endian");

#define PAGE_SIZE UINT64_C(4096)
#define PAGE_MASK (PAGE_SIZE - 1)
#define NO_OWNER  UINT32_MAX
#define FIRST_SPI 32u
#define LAST_SPI  1019u

/* ---------------------------------------------------------------- util.c: memory, text, ranges */

void *grow(void *array, size_t size, size_t count, size_t *room); /* room for one more element */
void *alloc(size_t size);                                         /* zeroed */
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
void unusable(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2))); /* exit 2 */
uint8_t *read_file(const char *name, size_t *size);
bool file_exists(const char *name);

struct range {
    uint64_t base;
    uint64_t end;   /* first address behind it */
    uint64_t reach; /* after ranges_sort(): largest end up to here */
    uint32_t owner; /* partition, or NO_OWNER */
    const char *what;
};

struct ranges {
    struct range *at;
    size_t count;
    size_t room;
};

void ranges_add(struct ranges *list, uint64_t base, uint64_t size, const char *what, uint32_t owner);
void ranges_add_pages(struct ranges *list, uint64_t base, uint64_t size, const char *what, uint32_t owner);
void ranges_copy(struct ranges *list, const struct ranges *from);
void ranges_sort(struct ranges *list);
/* First range that may overlap addresses from base on; go on while at[i].base < end. List is sorted. */
size_t ranges_first(const struct ranges *list, uint64_t base);
const struct range *ranges_hit(const struct ranges *list, uint64_t base, uint64_t end);
/* The first part of [*base, end) that no range covers: its start in *base, its end returned; 0: none. */
uint64_t ranges_gap(const struct ranges *list, uint64_t *base, uint64_t end);
bool ranges_cover(const struct ranges *list, uint64_t base, uint64_t end);

/* ---------------------------------------------------------------- elf.c: the linked image */

struct segment {
    uint64_t base;
    uint64_t size;
    uint64_t virt;
    uint8_t *bytes;
};

enum arch { ARCH_ARM64 = 1, ARCH_X86 = 2, ARCH_BOTH = 3 };

struct section {
    const char *name;
    uint64_t base;
    uint64_t size;
    bool write;
    bool execute;
};

struct elf_symbol {
    const char *name;
    uint64_t value;
};

struct elf_image {
    enum arch arch;
    struct segment *segments;
    size_t segment_count, segment_room;
    struct section *sections;
    size_t section_count, section_room;
    struct elf_symbol *symbols;
    size_t symbol_count, symbol_room;
};

void elf_load(struct elf_image *elf, const char *name);
const uint8_t *elf_at(const struct elf_image *elf, uint64_t pa, uint64_t size);
const char *elf_string(const struct elf_image *elf, uint64_t pa);
const char *elf_name_of(const struct elf_image *elf, uint64_t address); /* a symbol, or the number */
bool elf_symbol(const struct elf_image *elf, const char *name, uint64_t *value);
/* A guest's ELF file. Segments at physical addresses; the entry as well. */
struct elf_guest {
    struct segment *segments;
    size_t count, room;
    uint64_t entry;
};

bool elf_guest_load(struct elf_guest *guest, enum arch arch, const uint8_t *bytes, size_t size);
const struct section *elf_section_of(const struct elf_image *elf, uint64_t pa);

/* ---------------------------------------------------------------- devtree.c: board's and guests' trees */

struct dt_node {
    int offset;
    int parent;       /* index, -1 for the root */
    uint32_t phandle; /* 0: none */
    const char *path;
};

struct devtree {
    const uint8_t *blob;
    struct dt_node *nodes; /* in the order of the blob; nodes[0] is the root */
    int count;
    bool pc; /* it has an I/O APIC */
};

/* A row of `assigned-addresses`: a base address register of a PCI function. */
struct dt_bar {
    uint32_t high;
    uint64_t base, size;
};

/* An interrupt as the GIC or the I/O APIC counts: `known` is false where it ends in another controller. */
struct dt_interrupt {
    bool known;
    uint32_t intid;
};

const char *dt_load(struct devtree *dt, const uint8_t *blob, size_t size); /* NULL, or what is wrong */
const void *dt_prop(const struct devtree *dt, int node, const char *name, int *size);
const char *dt_string(const struct devtree *dt, int node, const char *name);
bool dt_u32(const struct devtree *dt, int node, const char *name, uint32_t *value);
bool dt_compatible(const struct devtree *dt, int node, const char *prefix); /* "arm,gic*": any that begins so */
bool dt_is_gic(const struct devtree *dt, int node);
int dt_gic(const struct devtree *dt); /* the one before all CPUs, -1 */
bool dt_enabled(const struct devtree *dt, int node);
int dt_find(const struct devtree *dt, const char *path);      /* index, -1 */
int dt_find_name(const struct devtree *dt, const char *name); /* path, label or alias */
int dt_find_phandle(const struct devtree *dt, uint32_t phandle);
bool dt_is_under(const struct devtree *dt, int node, int ancestor);
/* The index-th register range that the CPU can reach, as the CPU sees it. */
bool dt_reg(const struct devtree *dt, int node, int index, uint64_t *base, uint64_t *size);
/* The same of a node with bulkhead,io-ports: I/O ports, which are no addresses. */
bool dt_ports(const struct devtree *dt, int node, int index, uint64_t *base, uint64_t *size);
bool dt_function(const struct devtree *dt, int node); /* x86: a PCI function; dt_reg() and dt_ports() are its BARs */
bool dt_bar(const struct devtree *dt, int node, int index, struct dt_bar *bar);
uint64_t dt_number(const struct devtree *dt, int node, const char *name); /* one or two cells; 0: none */
void dt_initrd(const struct devtree *dt, uint64_t *start, uint64_t *end); /* of /chosen; both 0: none */
bool dt_interrupt(const struct devtree *dt, int node, int index, struct dt_interrupt *found);
bool dt_interrupt_behind(const struct devtree *dt, int nexus, int index, struct dt_interrupt *found);

/* ---------------------------------------------------------------- spec.c: system.yaml */

enum spec_kind { SPEC_RAW, SPEC_ELF, SPEC_LINUX };

struct spec_device {
    const char *name;
    bool dma_unprotected;
    uint32_t line;
    int node;
};

/* One of ARINC 653's; cpu is the board's number. */
struct spec_window {
    const char *partition;
    uint32_t cpu, vcpu;
    uint64_t start_ns, length_ns;
    uint32_t line;
};

struct spec_pool {
    const char *name;
    uint32_t line;
    uint32_t *cpus;
    size_t cpu_count, cpu_room;
    bool arinc653, global, extra;
    uint64_t frame_ns;
    struct spec_window *windows;
    size_t window_count, window_room;
};

struct spec_partition {
    const char *name;
    uint32_t line;
    uint32_t *cpus;
    size_t cpu_count, cpu_room;
    const char *pool; /* NULL: it has cores of its own; else cpu_count is 0 */
    uint64_t budget_ns, period_ns;
    uint32_t vcpu_count;
    bool has_core, has_extra, extra;
    uint32_t core; /* the board's number */
    uint64_t memory;
    bool has_physical, has_guest;
    uint64_t physical, guest, alignment;
    struct spec_device *devices;
    size_t device_count, device_room;
    bool direct, vuart;
    bool virtual_said; /* x86 has nothing but direct interrupts */
    uint32_t on_fault;
    uint32_t restart_limit, restart_then;
    uint64_t restart_window_ns, watchdog_ns, watchdog_boot_ns; /* watchdog_ns 0: it has none */
    bool monitor;
    enum spec_kind kind;
    const char *image, *initrd; /* files, variables expanded */
    const char *bootargs;       /* of linux, "" if there are none */
    uint64_t offset;            /* raw */
};

struct spec_member {
    const char *partition;
    bool reader; /* may not write */
    bool writer; /* the one who may */
};

struct spec_channel {
    const char *name;
    uint32_t line;
    uint64_t size;
    bool doorbell;
    struct spec_member *members;
    size_t member_count, member_room;
};

struct spec {
    const char *file;
    const char *board;
    struct spec_partition *partitions;
    size_t partition_count, partition_room;
    struct spec_pool *pools;
    size_t pool_count, pool_room;
    struct spec_channel *channels;
    size_t channel_count, channel_room;
};

/* x86: writes to I/O ports. */
struct spec_outs {
    struct layout_out *at;
    size_t count, room;
};

/* device-reset: a write to a device's first registers. */
struct spec_reset {
    const char *device;
    uint32_t line;
    uint64_t offset;
    uint32_t width, value;
};

struct spec_resets {
    struct spec_reset *at;
    size_t count, room;
};

/* What board.yaml adds to the devicetree. */
struct spec_board {
    const char *psci; /* "smc", "hvc", "none"; NULL: the devicetree says it */
    const char *console, *devicetree;
    uint64_t redist_stride; /* 0: the devicetree's */
    struct ranges memory;
    struct ranges reserved;
    bool has_memory;
    struct spec_outs off, reset;
    struct spec_resets resets;
};

void spec_load(struct spec *spec, const char *name);
void spec_board_load(struct spec_board *spec, const char *name);

/* ---------------------------------------------------------------- board.c: what the board has */

struct board_cpu {
    uint64_t mpidr;
    const char *path;
};

struct board {
    struct devtree dt;
    struct ranges memory;   /* RAM banks, sorted */
    struct ranges reserved; /* page-rounded, sorted; `what` says by whom */
    struct board_cpu *cpus;
    size_t cpu_count, cpu_room;
    enum arch arch;
    int controller; /* node of the GIC or the I/O APIC */
    uint32_t gic_version;
    struct ranges controller_regions;
    struct ranges iommu;
    int uart; /* node of the hypervisor's console, -1 */
    struct ranges uart_pages;
    int timer;
    uint32_t conduit; /* enum layout_conduit */
    uint64_t redist_stride;
    bool uart_named;        /* board.yaml names the console */
    uint8_t spi_used[1024]; /* some node of the board names this SPI */
    struct ranges devices;  /* register ranges of every enabled node, by byte; owner is the node */
    /* x86 */
    struct ranges ports;      /* I/O ports of every enabled node; owner is the node */
    struct ranges kept_ports; /* that no partition may have; `what` says why */
    uint64_t ioapic, pm_timer, tsc_hz;
    uint32_t ioapic_lines, pit_line;
    struct spec_outs off, reset;
    struct spec_resets resets;
};

void board_load(struct board *board, enum arch arch, const char *dtb, const char *yaml);
void board_find_pc(struct board *board, const struct spec_board *extra, const char *name); /* board_pc.c */
bool board_keeps(const struct board *board, int node); /* x86: no partition may have it */
bool board_is_gicv(const struct board *board, uint64_t start, uint64_t end);
void board_take_uart(struct board *board, uint64_t base, bool ports); /* the console that the layout uses */

/* ---------------------------------------------------------------- walk.c: what the MMU would do */

#define CAN_READ    1u
#define CAN_WRITE   2u
#define CAN_EXECUTE 4u
#define CAN_USER    8u /* x86: unprivileged code too */

/* Normal: write-back, on ARM64 inner shareable too. Device: never cached. Uncached: ARM64's normal memory past the caches. */
enum memory { MEMORY_OTHER, MEMORY_NORMAL, MEMORY_DEVICE, MEMORY_UNCACHED };

struct mapping {
    uint64_t in;  /* guest's physical address, or the hypervisor's virtual one */
    uint64_t out; /* PA */
    uint64_t size;
    uint64_t attr; /* the leaf without address and type */
    uint32_t can;  /* CAN_*: what the leaf and all tables above it let through */
    enum memory memory;
};

struct walk_fault {
    uint64_t in;
    uint64_t descriptor;
    uint64_t table; /* that holds it */
    const char *why;
    bool missing; /* the next table is not in the image */
};

enum entry { ENTRY_NONE, ENTRY_TABLE, ENTRY_LEAF, ENTRY_RESERVED };

/*
 * What a descriptor means. Both architectures divide addresses alike: four levels of nine bits, a leaf of
 * level 1, 2 or 3 stands for 1 GiB, 2 MiB or 4 KiB.
 */
struct table_format {
    const char *levels[4];
    uint64_t address; /* the bits that hold an address */
    uint64_t large;   /* set in leaves that are no pages */
    enum entry (*kind)(uint32_t level, uint64_t descriptor);
    const char *(*wrong)(uint32_t level, uint64_t descriptor, enum entry kind); /* NULL: nothing is */
    uint32_t (*can)(uint64_t descriptor, enum entry kind);
    enum memory (*memory)(uint64_t descriptor);
    const char *(*memory_text)(uint64_t attr);
};

struct walk {
    const char *name;
    const struct table_format *format;
    bool stage2; /* a guest's: stage 2, NPT, EPT */
    bool done;   /* registers were legal, the walk has been made */
    uint64_t root;
    uint64_t root_entries;
    uint32_t start_level, in_bits, out_bits;
    struct mapping *maps; /* sorted by `in`, neighbours joined */
    size_t map_count, map_room;
    struct ranges tables;
    struct walk_fault *faults;
    size_t fault_count, fault_room;
    uint64_t entries; /* descriptors read */
    uint64_t leaves;
    uint64_t *seen; /* set of tables that were entered */
    size_t seen_room;
};

extern const struct table_format arm64_stage1, arm64_stage2, x86_host, x86_npt, x86_ept;

/* Root, root_entries, start_level, in_bits and out_bits are set: read all. */
void walk_tables(struct walk *walk, const struct elf_image *elf);
uint32_t level_shift(uint32_t level);
const char *walk_path(const struct walk *walk, const struct elf_image *elf, uint64_t in);
const struct mapping *walk_find(const struct walk *walk, uint64_t in);
/* First mapping that may overlap input addresses from `in` on. */
size_t walk_first(const struct walk *walk, uint64_t in);

static inline bool can_read(const struct mapping *m)
{
    return (m->can & CAN_READ) != 0;
}
static inline bool can_write(const struct mapping *m)
{
    return (m->can & CAN_WRITE) != 0;
}
static inline bool can_execute(const struct mapping *m)
{
    return (m->can & CAN_EXECUTE) != 0;
}

/* ---------------------------------------------------------------- world.c: everything, read once */

struct part {
    struct layout_partition raw;
    uint32_t index;
    const char *name;
    const struct spec_partition *spec; /* NULL: system.yaml has no such partition */
    struct layout_vcpu *vcpus;
    struct layout_memory *memory;
    struct layout_image *images;
    struct layout_write *resets;
    struct layout_doorbell *doorbells;
    uint32_t **rings;    /* the INTIDs of each doorbell */
    struct ranges ram;   /* PA, sorted */
    struct ranges given; /* PA: register pages of the devices given to it, sorted */
    struct walk stage2;
    struct walk loader;
};

struct pool {
    struct layout_pool raw;
    const char *name;
    uint32_t *cpus;
    struct layout_server *servers;
    struct layout_window *windows;
};

struct channel {
    struct layout_channel raw;
    const char *name;
    const struct spec_channel *spec; /* NULL: system.yaml has no such channel */
};

struct world {
    struct elf_image elf;
    struct board board;
    struct spec spec;
    const char *elf_name, *dtb_name;
    const char *folders[4]; /* where images are looked for */
    uint64_t layout_pa;
    struct layout layout;
    struct layout_cpu *cpus;   /* the physical cores, then the slots of vcpus of pools */
    uint32_t entry_count;      /* both */
    struct pool *pools;
    uint32_t pool_count;
    struct channel *channels;
    uint32_t channel_count;
    struct ranges shared; /* PA: the memory of channels, sorted; owner is the channel's index */
    struct layout_device *devices;
    struct layout_cpuid *cpuid; /* x86 */
    struct layout_msr *msrs;
    struct layout_out *outs;
    struct layout_function *functions;
    struct part *parts;
    uint32_t part_count;
    struct walk main; /* EL2 stage 1 */
    struct ranges hv; /* hv_base.. and every segment of the ELF, sorted */
};

static inline bool is_x86(const struct world *world)
{
    return world->elf.arch == ARCH_X86;
}

/* ---------------------------------------------------------------- report.c: rules and proofs */

struct violation {
    const char *message;
    const char **notes;
    size_t note_count, note_room;
};

struct proof {
    const struct rule *rule;
    uint64_t checked;
    struct violation *violations;
    size_t count, room;
    bool skipped; /* what it rests on does not hold */
};

/* One property. `sentence` is its text in docs/checker.md and in reports. */
struct rule {
    const char *id;
    const char *sentence;
    const char *unit;
    void (*prove)(const struct world *world, struct proof *proof);
    enum arch on;
};

struct rule_set {
    const char *title;
    const struct rule *rules;
    size_t count;
};

extern const struct rule_set layout_rules, register_rules, register_rules_x86, table_rules, memory_rules, device_rules, hv_rules,
    cpu_rules, pool_rules, channel_rules, health_rules, interrupt_rules, fact_rules, bitmap_rules, pc_rules, pci_rules, image_rules,
    guest_tree_rules, boot_rules;

/* ---------------------------------------------------------------- aml.c: a guest's DSDT */

struct aml_memory {
    uint64_t base, size;
    bool writable;
    const char *uid; /* of its device, where that is a text; else "" */
};

struct aml_device {
    const uint8_t *name; /* four letters */
    const char *uid;     /* NULL: it has none that is a text */
};

/* A method that notifies a device of a line's interrupt. */
struct aml_event {
    uint64_t line;
    const uint8_t *device; /* four letters */
};

struct aml {
    struct ranges ports;   /* of all _CRS */
    struct ranges windows; /* memory that PCI host bridges hand on */
    struct aml_memory *memory;
    size_t memory_count, memory_room;
    struct aml_device *devices;
    size_t device_count, device_room;
    struct aml_event *events;
    size_t event_count, event_room;
    const char *uid; /* the present device's */
    uint64_t lines;
};

const char *aml_read(struct aml *found, const uint8_t *bytes, uint64_t size); /* NULL, or what is wrong */

/* ---------------------------------------------------------------- shared by rules */

bool boot_dsdt(const struct world *world, const struct part *part, struct aml *aml); /* rule_boot.c; false: unreadable */
bool boot_emulates(const struct world *world, const struct part *part, uint64_t port); /* rule_boot.c: its UART's, the FADT's */
void boot_initrd(const struct world *world, const struct part *part, uint64_t *start, uint64_t *end); /* rule_boot.c */
void prove_mmio_uart(const struct world *world, struct proof *proof); /* rule_facts.c */
uint64_t io_bitmap_size(const struct world *world);                   /* rule_bitmaps.c, by vendor */
uint64_t msr_bitmap_size(const struct world *world);
bool port_passes(const struct world *world, const struct part *part, uint64_t port);

const struct spec_member *channel_member(const struct channel *channel, const struct part *part); /* rule_channels.c; NULL */
bool channel_rings(const struct world *world, const struct part *part, uint32_t intid); /* others on its channels, by that */

void violate(struct proof *proof, const char *format, ...) __attribute__((format(printf, 2, 3)));
void note(struct proof *proof, const char *format, ...) __attribute__((format(printf, 2, 3)));
void report_text(const struct world *world, const struct proof *proofs, size_t count, bool quiet);
bool report_json(const char *name, const struct world *world, const struct proof *proofs, size_t count);

/* ---------------------------------------------------------------- world.c */

/* Copies `layout` and what it points to; false, with violations, where it cannot be read. */
bool world_read_layout(struct world *world, struct proof *proof);
void world_match(struct world *world); /* partitions with system.yaml, devices with the devicetree */
void world_walk(struct world *world);  /* all tables whose registers are legal */
bool ipa_to_pa(const struct part *part, uint64_t ipa, uint64_t *pa); /* by layout.memory */
bool pa_to_in(const struct walk *walk, uint64_t pa, uint64_t *in);   /* any address that leads there */
/* The image bytes that will stand at a guest address, and how many follow; NULL: no image is copied there. */
const uint8_t *image_at(const struct world *world, const struct part *part, uint64_t ipa, uint64_t *count);
const char *part_tree(const struct world *world, const struct part *part,
                      struct devtree *dt); /* NULL, or what is wrong */
const char *part_name(const struct world *world, uint32_t index);
bool part_owns_irq(const struct world *world, const struct part *part, uint32_t intid);

/* ---------------------------------------------------------------- rule_registers.c, rule_registers_x86.c */

/* Walks if the registers are legal; else walk.done stays false. */
void arm64_walk_own(struct world *world, struct walk *walk, uint64_t ttbr);
void arm64_walk_guest(struct world *world, struct part *part);
void x86_walk_own(struct world *world, struct walk *walk, uint64_t cr3);
void x86_walk_guest(struct world *world, struct part *part);

#endif
