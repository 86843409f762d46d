/* SPDX-License-Identifier: Apache-2.0 */
/*
 * THE CONTRACT between generator, hypervisor and checker.
 *
 * The generator writes one `const struct layout layout` and the page tables that it points to; the
 * hypervisor executes it; the checker reads it out of the linked ELF and proves it against the
 * devicetree and system.yaml. Whoever changes a struct here changes scripts/hvgen/emit_c.py and
 * src/check with it: the assertions below pin the shape, and all three compile against this file.
 *
 * All pointers are physical addresses as well: the hypervisor runs on an identity map. What only one
 * architecture has stands in unions, so that both have one shape.
 */
#ifndef HV_LAYOUT_H
#define HV_LAYOUT_H

#include <stdint.h>

#define LAYOUT_MAGIC    UINT64_C(0x444145484b4c5542) /* "BULKHEAD", little-endian */
#define LAYOUT_VERSION  1u

#define LAYOUT_MAX_PARTITIONS 8u
#define LAYOUT_MAX_CPUS       64u
#define LAYOUT_MAX_VCPUS      64u   /* of one partition */
#define LAYOUT_MAX_POOLS      4u
#define LAYOUT_MAX_SERVERS    64u   /* vcpus of one pool */
#define LAYOUT_MAX_WINDOWS    256u  /* of all pools together */
#define LAYOUT_MAX_CHANNELS   16u   /* of one partition */
#define LAYOUT_MAX_RESTARTS   16u   /* restart_limit of one partition */
#define LAYOUT_SPI_WORDS      32u   /* INTID 0..1023, one bit each */
#define LAYOUT_NO_PARTITION   0xffffu
#define LAYOUT_MAX_FUNCTIONS  32u   /* x86: PCI functions that partitions own */
#define LAYOUT_BARS           6u
#define LAYOUT_APIC_WORDS     8u    /* x86: APIC IDs 0..511, one bit each */
#define LAYOUT_PORTS          (UINT64_C(1) << 63)  /* x86: I/O port n as an address of layout.devices */

/* Addresses are types: a guest's (intermediate) physical address is not a physical address. */
typedef struct { uint64_t raw; } pa_t;
typedef struct { uint64_t raw; } ipa_t;

/* EL2 memory types, MAIR_EL2 (DDI 0487 D19.2.98): index 0 normal write-back, index 1 Device-nGnRE. */
#define LAYOUT_EL2_MAIR  UINT64_C(0x04ff)

enum layout_irq_mode { LAYOUT_IRQ_VIRTUAL = 0, LAYOUT_IRQ_DIRECT = 1 };
enum layout_on_fault { LAYOUT_FAULT_STOP = 0, LAYOUT_FAULT_RESTART = 1, LAYOUT_FAULT_RESET_BOARD = 2 };
enum layout_vendor   { LAYOUT_VENDOR_NONE = 0, LAYOUT_VENDOR_SVM = 1, LAYOUT_VENDOR_VMX = 2 };
enum layout_conduit  { LAYOUT_CONDUIT_SMC = 0, LAYOUT_CONDUIT_HVC = 1, LAYOUT_CONDUIT_NONE = 2 };

/*
 * layout.cpus: first the physical cores that the layout uses (cpu_count), in the order of the board's /cpus
 * node; then one entry for each vcpu of a pool (slot_count), which has a stack of its own too. A vcpu is
 * named by its entry here: a pinned one by its core's.
 */
struct layout_cpu {
    union {
        uint64_t mpidr;    /* Aff3.Aff2.Aff1.Aff0 as in MPIDR_EL1, without bits 31, 30, 24 */
        uint64_t apic_id;  /* x86: x2APIC ID, below 64 * LAYOUT_APIC_WORDS */
    };
    uint64_t stack_top;  /* top of this core's stack in the hypervisor; the page below the stack is unmapped */
    union {
        pa_t redist;     /* GICv3: RD_base of this core's redistributor; GICv2: 0 */
        /*
         * x86: two writable pages. SVM: VMCB, host save area; VMX: VMXON region, VMCS. A slot has what a switch saves
         * in the place of host save area or VMXON region.
         */
        pa_t vmm;
    };
    uint16_t partition;  /* index into layout.partitions; LAYOUT_NO_PARTITION for a core of a pool */
    uint16_t vcpu;       /* index into its vcpus */
    uint16_t pool;       /* 0: pinned; else 1 + index into layout.pools, for its cores and its vcpus */
    uint16_t place;      /* index among the pool's cores, or among its servers */
};
_Static_assert(sizeof(struct layout_cpu) == 32, "layout ABI");

struct layout_vcpu {
    uint64_t vmpidr;     /* VMPIDR_EL2: bit 31 set, Aff0 = vcpu index below 16, Aff1 above; x86: 0 */
    union {              /* of the physical core it is pinned to (copy of layout.cpus[cpu]) */
        uint64_t mpidr;
        uint64_t apic_id;  /* as the guest sees it: its core's; of a pool: its index */
    };
    uint32_t cpu;        /* index into layout.cpus: its core's entry, or its own if it is of a pool */
    uint32_t reserved;
};
_Static_assert(sizeof(struct layout_vcpu) == 24, "layout ABI");

/* A vcpu of a pool: a deferrable server (RTDS), or the holder of windows (ARINC 653). */
struct layout_server {
    uint64_t budget_ns;
    uint64_t period_ns;
    uint32_t cpu;        /* its entry in layout.cpus */
    uint32_t core;       /* index into the pool's cpus; LAYOUT_ANY_CORE: global EDF */
    uint32_t extra;      /* 1: idle time is given to it */
    uint32_t switch_ns;  /* RTDS: the most that a switch takes; its budget has two on top, if the period is so long */
};
#define LAYOUT_ANY_CORE  0xffffffffu
_Static_assert(sizeof(struct layout_server) == 32, "layout ABI");

/* ARINC 653: on one core of the pool, from `start_ns` of each major frame on, the server's alone. */
struct layout_window {
    uint64_t start_ns, length_ns;
    uint32_t core;       /* index into the pool's cpus; windows are sorted by core, then by start */
    uint32_t server;
};
_Static_assert(sizeof(struct layout_window) == 24, "layout ABI");

enum layout_scheduler { LAYOUT_RTDS = 0, LAYOUT_ARINC653 = 1 };
struct layout_pool {
    const char *name;
    const uint32_t *cpus;                  /* physical cores, as indices into layout.cpus */
    const struct layout_server *servers;
    const struct layout_window *windows;   /* ARINC653 */
    uint64_t frame_ns;                     /* ARINC653: the major frame */
    uint32_t cpu_count, server_count, window_count;
    uint32_t scheduler;                    /* enum layout_scheduler */
};
_Static_assert(sizeof(struct layout_pool) == 56, "layout ABI");

/* Memory that several partitions see and nobody has as RAM: zeroed once, before any of them starts. */
struct layout_channel {
    const char *name;
    pa_t     pa;
    uint64_t size;       /* bytes, multiple of 4 KiB */
    uint32_t loader;     /* index into layout.partitions: its loader map has the memory, too */
    uint32_t yaml_line;
};
_Static_assert(sizeof(struct layout_channel) == 32, "layout ABI");

/* x86: a line of the receiver's I/O APIC, and its index in layout.partitions. */
#define LAYOUT_BELL(partition, line)  ((partition) << 16 | (line))

/* A write to this page, which stage 2 leaves unmapped, makes the interrupts pending. */
struct layout_doorbell {
    ipa_t    page;
    const uint32_t *intids;  /* in the physical distributor: each is owned by a receiver; x86: LAYOUT_BELL() */
    uint32_t intid_count;
    uint32_t channel;        /* index into layout.channels */
};
_Static_assert(sizeof(struct layout_doorbell) == 24, "layout ABI");

/* A range that stage 2 maps for the partition as its RAM. */
struct layout_memory {
    ipa_t    ipa;
    pa_t     pa;
    uint64_t size;       /* bytes, multiple of 4 KiB */
};
_Static_assert(sizeof(struct layout_memory) == 24, "layout ABI");

/* A blob that stands in the hypervisor's image and is copied into the partition's RAM at each start. */
struct layout_image {
    const uint8_t *source;  /* read-only memory of the hypervisor, 16-byte aligned */
    pa_t     target;        /* 16-byte aligned, inside the partition's RAM */
    uint64_t size;          /* bytes, rounded up to 16 */
};
_Static_assert(sizeof(struct layout_image) == 24, "layout ABI");

/*
 * SGIs of a `direct` partition: where its cores share Aff3..Aff1 and their Aff0 count up with the
 * vcpu index, ICC_SGI1R_EL1 is translated by one shift (IHI 0069 12.2.21). `mask` is the set of
 * vcpus (bit n = vcpu n); mask 0 says that the mapping is irregular and must be looked up.
 */
struct layout_sgi {
    uint64_t base;   /* Aff3/Aff2/Aff1 of the cores at their places in ICC_SGI1R_EL1 */
    uint32_t mask;
    uint32_t shift;  /* Aff0 of vcpu 0 */
};
_Static_assert(sizeof(struct layout_sgi) == 16, "layout ABI");

struct layout_vuart {
    ipa_t    base;    /* of its 4 KiB page, which stage 2 leaves unmapped; x86: the first of its 8 I/O ports */
    uint32_t intid;   /* 0: the partition has no virtual UART; x86: line of the I/O APIC */
    uint32_t reserved;
};
_Static_assert(sizeof(struct layout_vuart) == 16, "layout ABI");

/* A write to a register of a device. */
struct layout_write {
    pa_t     address;    /* x86: LAYOUT_PORTS + the I/O port for a register there */
    uint32_t width;      /* bytes: 1, 2 or 4 */
    uint32_t value;
};
_Static_assert(sizeof(struct layout_write) == 16, "layout ABI");

/* What a partition on x86 has beside the rest. */
struct layout_pc_partition {
    const uint8_t *io_bitmap;   /* SVM: IOPM, 12 KiB (APM 2 15.10); VMX: bitmaps A and B, 8 KiB (SDM 3 25.6.4) */
    const uint8_t *msr_bitmap;  /* SVM: MSRPM, 8 KiB (APM 2 15.11); VMX: MSR bitmaps, 4 KiB (SDM 3 25.6.9) */
    uint64_t lines;             /* of the I/O APIC that it owns, one bit each */
    uint64_t apic_ids[LAYOUT_APIC_WORDS];  /* of its own cores, one bit each; none of a pool's */
    uint64_t bells;             /* lines of its I/O APIC by which channels ring it, none of them a physical one's */
    uint64_t reserved[4];
};
_Static_assert(sizeof(struct layout_pc_partition) == 128, "layout ABI");

struct layout_partition {
    const char *name;
    union {
        uint64_t vttbr;     /* VTTBR_EL2: VMID in 63:48, physical address of the root */
        uint64_t nested;    /* SVM: nCR3; VMX: EPTP, complete */
    };
    union {
        uint64_t vtcr;      /* VTCR_EL2, complete */
        uint64_t asid;      /* SVM: ASID; VMX: VPID; from 1 */
    };
    union {                 /* the hypervisor's map while images are copied: main map + its RAM, writable */
        uint64_t loader_ttbr;  /* TTBR0_EL2 */
        uint64_t loader_cr3;
    };
    uint64_t *root;         /* direct: the root as a writable array, to be withdrawn; else NULL */
    uint32_t root_count;    /* entries of root; 0 if root is NULL */
    uint32_t irq_mode;      /* enum layout_irq_mode */
    ipa_t    entry;         /* first instruction of vcpu 0 */
    ipa_t    dtb;           /* its x0; x86: its ebx, struct hvm_start_info */
    const struct layout_vcpu   *vcpus;
    const struct layout_memory *memory;
    const struct layout_image  *images;
    uint32_t vcpu_count;
    uint32_t memory_count;
    uint32_t image_count;
    uint32_t on_fault;      /* enum layout_on_fault */
    struct layout_sgi   sgi;
    struct layout_vuart vuart;
    uint32_t ppi_mask;      /* bit n = INTID n (16..31) is the guest's to program */
    uint32_t yaml_line;     /* where system.yaml describes it */
    union {
        uint32_t spi[LAYOUT_SPI_WORDS];  /* INTIDs it owns in the physical distributor, 32..1019; word 0 is 0 */
        struct layout_pc_partition pc;
    };
    const struct layout_doorbell *doorbells;
    uint32_t doorbell_count;
    uint32_t monitor;            /* 1: it may look at the others, stop, start and restart them */
    uint32_t restart_limit;      /* on-fault restart: at most so often in restart_window_ns, then stop; 0: no limit */
    uint32_t watchdog_intid;     /* ARM64: its warning interrupt, 0: there is no watchdog; x86: 0 */
    uint64_t restart_window_ns;
    ipa_t    watchdog;           /* refresh frame, 4 KiB; the control frame is the next page; x86: its first I/O port of 16 */
    uint64_t watchdog_ns;        /* a fault if it is not refreshed for so long, 0: none; the interrupt comes at half of it */
    uint64_t watchdog_boot_ns;   /* the same, from each start to the first refresh */
    uint32_t watchdog_cpu;       /* index into layout.cpus of the core that watches it: not a `direct` one; x86: console_cpu */
    uint32_t restart_then;       /* enum layout_on_fault: what comes in place of a restart beyond the limit */
    const struct layout_write *resets;  /* to registers of its devices, at each restart and stop */
    uint32_t reset_count;
    uint32_t trap_wfi;           /* direct: 1: WFI traps, so that the core can be regained from it */
    uint64_t reserved[4];
};
_Static_assert(sizeof(struct layout_partition) == 384, "layout ABI");

/* What lies where, for fault reports only: on the board, and channels at their guest address. Sorted by base. */
struct layout_device {
    pa_t        base;       /* x86: LAYOUT_PORTS + the first I/O port for a range of ports */
    uint64_t    size;
    const char *name;       /* devicetree path, or "channel NAME" */
    uint16_t    owner;      /* index into layout.partitions, or LAYOUT_NO_PARTITION */
    uint16_t    reserved;
    uint32_t    yaml_line;  /* line of the partition's `devices:` entry, 0 if it has no owner; the channel's line */
};
_Static_assert(sizeof(struct layout_device) == 32, "layout ABI");

struct layout_gic {
    pa_t     dist;            /* 64 KiB (GICv3) or 4 KiB (GICv2) */
    uint64_t dist_size;
    pa_t     redist[4];       /* GICv3 redistributor regions, as in the board's GIC node */
    uint64_t redist_size[4];
    uint32_t redist_count;
    uint32_t version;         /* 2 or 3 */
    uint32_t redist_stride;   /* bytes from one core's redistributor to the next: 0x20000 */
    uint32_t maintenance;     /* INTID of the maintenance interrupt (PPI), 0 if none */
    uint32_t reserved[2];
    pa_t     cpu, hyp, vcpu;  /* GICv2: GICC, GICH, GICV; GICv3: 0 */
};
_Static_assert(sizeof(struct layout_gic) == 128, "layout ABI");

/* x86: CPUID as guests see it, (native & keep) | set, in the order eax, ebx, ecx, edx; for all subleaves. */
struct layout_cpuid {
    uint32_t keep[4], set[4];
};

/* x86: what happens to a trapped MSR that the hypervisor's code does not know by itself. */
enum layout_msr_action { LAYOUT_MSR_REFUSE = 0, LAYOUT_MSR_VALUE = 1, LAYOUT_MSR_IGNORE = 1 };
struct layout_msr {
    uint32_t first, last;   /* inclusive; ranges are sorted and disjoint; anything else gets #GP(0) */
    uint32_t read;          /* LAYOUT_MSR_VALUE: reads `value` */
    uint32_t write;         /* LAYOUT_MSR_IGNORE: nothing happens */
    uint64_t value;
};
_Static_assert(sizeof(struct layout_msr) == 24, "layout ABI");

/* x86: one write to an I/O port, of `width` bytes. */
struct layout_out {
    uint16_t port, width;
    uint32_t value;
};
_Static_assert(sizeof(struct layout_out) == 8, "layout ABI");

/*
 * x86: a PCI function that a partition owns. The hypervisor gives its BARs the board's values and never makes it bus
 * master; the guest reads values and sizes, and can change neither.
 */
struct layout_function {
    const char *name;        /* devicetree path */
    uint16_t partition;      /* index into layout.partitions */
    uint16_t address;        /* bus 15:8, device 7:3, function 2:0 */
    uint32_t id;             /* vendor 15:0, device 31:16 */
    uint32_t command;        /* what it decodes: bit 0 I/O ports, bit 1 memory */
    uint32_t interrupt;      /* what it reads at 0x3c: line of the I/O APIC 7:0, pin 15:8 (1: INTA); 0: none */
    uint32_t bar[LAYOUT_BARS];   /* values with their low bits, upper halves in the next; 0: there is none */
    uint32_t sizes[LAYOUT_BARS]; /* what they read after all ones have been written; 0: there is none */
};
_Static_assert(sizeof(struct layout_function) == 72, "layout ABI");

/* x86: the board beside its cores, memory and devices. */
struct layout_pc {
    pa_t     ioapic;            /* registers of the one I/O APIC, 0: none; guests see it at the same address */
    uint32_t ioapic_lines;      /* at most 64 */
    uint32_t pit_line;          /* of the 8254's channel 0, which is the hypervisor's alarm; LAYOUT_NO_LINE: none */
    uint64_t tsc_hz;            /* 0: measured against the PM timer */
    pa_t     trampoline;        /* page below 1 MiB through which other cores start; executable, not writable */
    const struct layout_cpuid *cpuid;  /* leaves 0.., then 0x40000000.., then 0x80000000.. */
    const struct layout_msr   *msrs;
    const struct layout_out   *off;    /* writes that switch the board off, then those that reset it */
    uint32_t cpuid_basic, cpuid_hypervisor, cpuid_extended;  /* leaves of each; others read 0 */
    uint32_t msr_count;
    uint32_t off_count, reset_count;
    uint32_t pm_timer;          /* its I/O port (ACPI 6.5 4.8.3.3), 24 bits at 3.579545 MHz; 0: none */
    uint32_t vendor;            /* enum layout_vendor: whose format the tables have */
    const struct layout_function *functions;
    uint32_t function_count;
    uint32_t reserved[7];
};
#define LAYOUT_NO_LINE  0xffu
_Static_assert(sizeof(struct layout_pc) == 128, "layout ABI");

/*
 * The hypervisor's serial port, as data: a character may be sent when (tx_status & tx_mask) == tx_ready,
 * after the writes of `tx_pre`; one has come when (rx_status & rx_mask) == rx_ready. Register fields are
 * byte offsets from base. base 0: the hypervisor has no console of its own.
 */
struct layout_reg { uint32_t offset; uint32_t value; };
struct layout_uart {
    pa_t     base;
    uint32_t width;           /* bytes of an access: 1 or 4; 2: reads have 2 bytes, writes 1 (SCIF); 0: I/O ports */
    uint32_t intid;           /* receive interrupt (x86: line of the I/O APIC), 0: none */
    uint32_t tx, tx_status, tx_mask, tx_ready;
    uint32_t rx, rx_status, rx_mask, rx_ready;
    uint32_t init_count, tx_pre_count;
    struct layout_reg init[4];    /* written once at boot */
    struct layout_reg rx_on[2];   /* written to let receive interrupts through */
    struct layout_reg tx_pre[2];
    struct layout_reg rx_ack;     /* written after each receive interrupt if rx_ack_used */
    uint32_t rx_on_count, rx_ack_used;
};
_Static_assert(sizeof(struct layout_uart) == 136, "layout ABI");

struct layout {
    uint64_t magic;           /* LAYOUT_MAGIC */
    uint32_t version;         /* LAYOUT_VERSION */
    uint32_t cpu_count;
    uint32_t partition_count;
    uint32_t device_count;
    const char *board;
    const char *banner;       /* said first at boot, without its last \n: the configuration, warnings below it */
    pa_t     hv_base;         /* RAM kept for the hypervisor and the pristine guest images */
    uint64_t hv_size;
    union {
        uint64_t el2_ttbr;    /* TTBR0_EL2, TCR_EL2 of the main map */
        uint64_t host_cr3;
    };
    uint64_t el2_tcr;         /* x86: 0 */
    uint32_t pa_bits;         /* physical address bits that the tables use: the CPU must have them */
    uint32_t conduit;         /* enum layout_conduit, of the board's PSCI; x86: LAYOUT_CONDUIT_NONE */
    uint32_t console_cpu;     /* index into cpus of the core that takes the UART's interrupt, and on x86 the 8254's */
    uint32_t console_irq;     /* 1: there is such a core (one that is not `direct`) */
    uint32_t vtimer_intid;    /* PPIs of the generic timer, as INTIDs */
    uint32_t ptimer_intid;
    uint32_t htimer_intid;
    uint32_t slot_count;      /* vcpus of pools, behind the physical cores in cpus */
    const struct layout_cpu       *cpus;
    const struct layout_partition *partitions;
    const struct layout_device    *devices;
    union {
        struct layout_gic gic;
        struct layout_pc  pc;
    };
    struct layout_uart uart;
    const struct layout_pool    *pools;
    const struct layout_channel *channels;
    uint32_t pool_count;
    uint32_t channel_count;
};
_Static_assert(sizeof(struct layout) == 128 + 128 + 136 + 24, "layout ABI");

extern const struct layout layout;

/* Sum over the read-only words of layout and tables; written into the ELF after linking (image step). */
extern const uint64_t layout_checksum;

#endif
