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

bool elf_guest_load(struct elf_guest *guest, const uint8_t *bytes, size_t size);
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
};

/* An interrupt as the GIC counts: `gic` false where it ends in another controller. */
struct dt_interrupt {
    bool gic;
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
void dt_initrd(const struct devtree *dt, uint64_t *start, uint64_t *end); /* of /chosen; both 0: none */
bool dt_interrupt(const struct devtree *dt, int node, int index, struct dt_interrupt *found);
bool dt_interrupt_behind(const struct devtree *dt, int nexus, int index, struct dt_interrupt *found);

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
    int gic; /* node */
    uint32_t gic_version;
    struct ranges gic_regions;
    struct ranges iommu;
    int uart; /* node of the hypervisor's console, -1 */
    struct ranges uart_pages;
    int timer;
    uint32_t conduit; /* enum layout_conduit */
    uint64_t redist_stride;
    bool uart_named;        /* board.yaml names the console */
    uint8_t spi_used[1024]; /* some node of the board names this SPI */
    struct ranges devices;  /* register ranges of every enabled node, by byte; owner is the node */
};

void board_load(struct board *board, const char *dtb, const char *yaml);
bool board_is_gicv(const struct board *board, uint64_t start, uint64_t end);
void board_take_uart(struct board *board, uint64_t base); /* the console that the layout uses */

/* ---------------------------------------------------------------- spec.c: system.yaml */

enum spec_kind { SPEC_RAW, SPEC_ELF, SPEC_LINUX };

struct spec_device {
    const char *name;
    bool dma_unprotected;
    uint32_t line;
    int node;
};

struct spec_partition {
    const char *name;
    uint32_t line;
    uint32_t *cpus;
    size_t cpu_count, cpu_room;
    uint64_t memory;
    bool has_physical, has_guest;
    uint64_t physical, guest, alignment;
    struct spec_device *devices;
    size_t device_count, device_room;
    bool direct, vuart;
    uint32_t on_fault;
    enum spec_kind kind;
    const char *image, *initrd; /* files, variables expanded */
    uint64_t offset;            /* raw */
};

struct spec {
    const char *file;
    const char *board;
    struct spec_partition *partitions;
    size_t partition_count, partition_room;
};

/* What board.yaml adds to the devicetree. */
struct spec_board {
    const char *psci; /* "smc", "hvc", "none"; NULL: the devicetree says it */
    const char *console, *devicetree;
    uint64_t redist_stride; /* 0: the devicetree's */
    struct ranges memory;
    struct ranges reserved;
    bool has_memory;
};

void spec_load(struct spec *spec, const char *name);
void spec_board_load(struct spec_board *spec, const char *name);

/* ---------------------------------------------------------------- walk.c: what the MMU would do */

/* Descriptor bits, VMSAv8-64 (DDI 0487 D8.3) */
#define DESC_VALID    UINT64_C(1)
#define DESC_TABLE    UINT64_C(2)
#define DESC_ADDRESS  UINT64_C(0x0000fffffffff000)
#define DESC_AF       (UINT64_C(1) << 10)
#define DESC_SH(d)    (((d) >> 8) & 3)
#define DESC_XN       (UINT64_C(1) << 54)
#define SH_INNER      UINT64_C(3)
#define S1_INDEX(d)   (((d) >> 2) & 7)
#define S1_READ_ONLY  (UINT64_C(1) << 7)
#define S1_AP1        (UINT64_C(1) << 6)
#define S1_GP         (UINT64_C(1) << 50)
#define S2_MEMATTR(d) (((d) >> 2) & 15)
#define S2_READ       (UINT64_C(1) << 6)
#define S2_WRITE      (UINT64_C(1) << 7)

struct mapping {
    uint64_t in;  /* IPA, or EL2 virtual address */
    uint64_t out; /* PA */
    uint64_t size;
    uint64_t attr; /* the leaf without address and type */
};

struct walk_fault {
    uint64_t in;
    uint64_t descriptor;
    uint64_t table; /* that holds it */
    const char *why;
    bool missing; /* the next table is not in the image */
};

struct walk {
    const char *name;
    bool stage2;
    bool done; /* registers were legal, the walk has been made */
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

void walk_stage2(struct walk *walk, const struct elf_image *elf, uint64_t vttbr, uint64_t vtcr);
void walk_stage1(struct walk *walk, const struct elf_image *elf, uint64_t ttbr, uint64_t tcr);
const char *walk_path(const struct walk *walk, const struct elf_image *elf, uint64_t in);
const struct mapping *walk_find(const struct walk *walk, uint64_t in);
/* First mapping that may overlap input addresses from `in` on. */
size_t walk_first(const struct walk *walk, uint64_t in);

static inline bool s1_write(uint64_t attr)
{
    return (attr & S1_READ_ONLY) == 0;
}
static inline bool s1_execute(uint64_t attr)
{
    return (attr & DESC_XN) == 0;
}
static inline uint64_t s1_memory(uint64_t attr)
{
    return LAYOUT_EL2_MAIR >> (8 * S1_INDEX(attr)) & 0xff;
}
static inline bool s2_write(uint64_t attr)
{
    return (attr & S2_WRITE) != 0;
}
static inline bool s2_read(uint64_t attr)
{
    return (attr & S2_READ) != 0;
}
static inline bool s2_execute(uint64_t attr)
{
    return (attr & DESC_XN) == 0;
}
static inline bool s2_device(uint64_t attr)
{
    return S2_MEMATTR(attr) < 4;
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
    struct ranges ram;   /* PA, sorted */
    struct ranges given; /* PA: register pages of the devices given to it, sorted */
    struct walk stage2;
    struct walk loader;
};

struct world {
    struct elf_image elf;
    struct board board;
    struct spec spec;
    const char *elf_name, *dtb_name;
    const char *folders[4]; /* where images are looked for */
    uint64_t layout_pa;
    struct layout layout;
    struct layout_cpu *cpus;
    struct layout_device *devices;
    struct part *parts;
    uint32_t part_count;
    struct walk main; /* EL2 stage 1 */
    struct ranges hv; /* hv_base.. and every segment of the ELF, sorted */
};

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
};

struct rule_set {
    const char *title;
    const struct rule *rules;
    size_t count;
};

extern const struct rule_set layout_rules, register_rules, table_rules, memory_rules, device_rules, el2_rules,
    cpu_rules, interrupt_rules, fact_rules, image_rules, guest_tree_rules;

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
bool part_owns_spi(const struct part *part, uint32_t intid);

/* ---------------------------------------------------------------- rule_registers.c */

const char *stage2_register_fault(const struct world *world, const struct part *part); /* NULL: legal */
const char *el2_register_fault(const struct world *world, uint64_t ttbr);

#endif
