/* SPDX-License-Identifier: Apache-2.0 */
/* What the stub uses of UEFI 2.10: tables (4), memory services (7.2), console output (12.4). */
#ifndef HV_EFI_H
#define HV_EFI_H

#include <hv/types.h>

/* Firmware's functions on x86-64 follow another calling convention than the compiler's (UEFI 2.10, 2.3.4.2). */
#if defined(__x86_64__)
#define EFI_CALL  __attribute__((ms_abi))
#else
#define EFI_CALL
#endif

typedef uint64_t efi_status;  /* bit 63: error */

#define EFI_SUCCESS         UINT64_C(0)
#define EFI_UNSUPPORTED     (UINT64_C(1) << 63 | 3u)
#define EFI_BUFFER_SMALL    (UINT64_C(1) << 63 | 5u)

enum efi_memory_type {
    EFI_LOADER_CODE = 1, EFI_LOADER_DATA, EFI_BOOT_CODE, EFI_BOOT_DATA, EFI_RUNTIME_CODE, EFI_RUNTIME_DATA,
    EFI_CONVENTIONAL, EFI_UNUSABLE, EFI_ACPI_RECLAIM
};

struct efi_header {
    uint64_t signature;
    uint32_t revision, size, crc, reserved;
};

struct efi_text_output {
    void *reset;
    efi_status (EFI_CALL *output_string)(struct efi_text_output *self, const uint16_t *text);
};

struct efi_memory {
    uint32_t type;
    uint64_t physical, virtual, page_count, attribute;
};

struct efi_boot_services {
    struct efi_header header;
    void *task_priority[2];
    void *allocate_pages, *free_pages;
    efi_status (EFI_CALL *get_memory_map)(uint64_t *size, void *map, uint64_t *key, uint64_t *entry_size,
                                 uint32_t *version);
    efi_status (EFI_CALL *allocate_pool)(uint32_t type, uint64_t size, void **buffer);
    void *free_pool;
    void *events[6];
    void *protocols[9];
    void *load_image, *start_image, *exit, *unload_image;
    efi_status (EFI_CALL *exit_boot_services)(void *image, uint64_t key);
};
_Static_assert(offsetof(struct efi_boot_services, get_memory_map) == 56, "UEFI 4.4");
_Static_assert(offsetof(struct efi_boot_services, exit_boot_services) == 232, "UEFI 4.4");

struct efi_system_table {
    struct efi_header header;
    const uint16_t *vendor;
    uint32_t revision;
    void *console_in_handle, *console_in, *console_out_handle;
    struct efi_text_output *console_out;
    void *error_handle, *error, *runtime;
    struct efi_boot_services *boot;
};
_Static_assert(offsetof(struct efi_system_table, boot) == 96, "UEFI 4.3");

/*
 * Runs where the firmware loaded the image, with the firmware's MMU on: refuses, in words, a machine whose
 * firmware keeps memory that the layout assigns; otherwise leaves boot services and does not return.
 */
efi_status efi_main(void *handle, struct efi_system_table *system);

/* Architecture: MMU and caches off, image written back, on to the common entry. */
_Noreturn void efi_leave(uint64_t image);

/* Architecture: NULL, or why the hypervisor cannot run at the level that the firmware left us. */
const char *efi_refusal(void);

/* The page through which other cores start, 0: none. What firmware keeps there must not be overwritten. */
uint64_t efi_start_page(void);

#endif
