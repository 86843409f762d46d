/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/efi.c core/print.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <hv/arch.h>
#include <hv/console.h>
#include <hv/efi.h>
#include <hv/layout.h>

/*
 * The image was linked for LINK and stands elsewhere: what `layout` points to must be found behind _head at
 * the same distance. Where the stub forgets to rebase, it reads at addresses that this process does not have.
 */
#define LINK  UINT64_C(0x40200000)
#define MIB   UINT64_C(0x100000)
#define NAME  UINT64_C(0x800)

extern uint8_t image[0x1000] __asm__("_head");
_Alignas(16) uint8_t image[0x1000];

struct layout board __asm__("layout");

static struct efi_memory map[64];
static uint32_t map_count;
static uint64_t entry_size, map_key;
static uint32_t maps_given, exits, exits_refused, pools;
static efi_status map_status, pool_status;
static uint64_t slack;              /* entries that allocating added */
static char said[4096];
static const char *refusal;
static uint64_t start_page;
static jmp_buf left;
static uint64_t left_image;
static uint8_t pool[16384];

void console_message(const char *text, uint32_t count)
{
    fail_msg("before there is a console: %.*s", (int)count, text);
}

void arch_halt(void)
{
    fail_msg("halts where it has to go back to the firmware");
    longjmp(left, 1);
}

const char *efi_refusal(void)
{
    return refusal;
}

uint64_t efi_start_page(void)
{
    return start_page;
}

void efi_leave(uint64_t where)
{
    left_image = where;
    longjmp(left, 1);
}

static EFI_CALL efi_status output(struct efi_text_output *self, const uint16_t *text)
{
    (void)self;
    for (size_t used = strlen(said); *text != 0 && used + 1 < sizeof(said); used++) {
        assert_true(*text < 128);
        said[used] = (char)*text++;
        said[used + 1] = '\0';
    }
    map_key++;  /* as firmware may: printing allocates */
    return EFI_SUCCESS;
}

static EFI_CALL efi_status get_memory_map(uint64_t *size, void *buffer, uint64_t *key, uint64_t *entry,
                                          uint32_t *version)
{
    uint64_t need = (map_count + slack) * entry_size;

    *entry = entry_size;
    *version = 1;
    if (buffer == NULL || *size < need) {
        *size = need;
        return map_status != EFI_SUCCESS ? map_status : EFI_BUFFER_SMALL;
    }
    for (uint32_t i = 0; i < map_count; i++) {
        memcpy((uint8_t *)buffer + i * entry_size, &map[i], sizeof(map[i]));
    }
    *size = map_count * entry_size;
    *key = map_key;
    maps_given++;
    return EFI_SUCCESS;
}

static EFI_CALL efi_status allocate_pool(uint32_t type, uint64_t size, void **buffer)
{
    assert_int_equal(type, EFI_LOADER_DATA);
    assert_true(size <= sizeof(pool));
    *buffer = pool;
    pools++;
    map_key++;
    slack = pools != 0 ? 2 : 0;
    return pool_status;
}

static EFI_CALL efi_status exit_boot_services(void *handle, uint64_t key)
{
    assert_ptr_equal(handle, (void *)0x1234);
    exits++;
    if (exits <= exits_refused || key != map_key) {
        return EFI_UNSUPPORTED;
    }
    return EFI_SUCCESS;
}

static struct efi_text_output text_output = { .output_string = output };
static struct efi_boot_services boot_services = {
    .get_memory_map = get_memory_map, .allocate_pool = allocate_pool, .exit_boot_services = exit_boot_services };
static struct efi_system_table table = { .console_out = &text_output, .boot = &boot_services };

static void *linked(uint64_t offset)
{
    return (void *)(uintptr_t)(LINK + offset);
}

static void region(uint32_t type, uint64_t base, uint64_t size)
{
    map[map_count++] = (struct efi_memory){ .type = type, .physical = base, .page_count = size / 4096 };
}

static int setup(void **state)
{
    struct layout_partition *partitions = (void *)(image + 0x100);
    struct layout_memory *memory = (void *)(image + 0x600);

    (void)state;
    memset(image, 0, sizeof(image));
    memset(&board, 0, sizeof(board));
    memcpy(image + NAME, "linux", 6);
    memcpy(image + NAME + 16, "flight", 7);
    memory[0] = (struct layout_memory){ { 0x40000000 }, { 0x50000000 }, 16 * MIB };
    memory[1] = (struct layout_memory){ { 0x80000000 }, { 0x60000000 }, 1 * MIB };
    memory[2] = (struct layout_memory){ { 0x40000000 }, { 0x70000000 }, 2 * MIB };
    partitions[0] = (struct layout_partition){ .name = linked(NAME), .memory = linked(0x600), .memory_count = 2 };
    partitions[1] = (struct layout_partition){ .name = linked(NAME + 16), .memory = linked(0x600 + 2 * sizeof(*memory)),
                                               .memory_count = 1 };
    board.hv_base.raw = LINK;
    board.hv_size = 1 * MIB;
    board.partition_count = 2;
    board.partitions = linked(0x100);
    map_count = maps_given = exits = exits_refused = pools = 0;
    map_status = pool_status = EFI_SUCCESS;
    map_key = 7;
    slack = 0;
    entry_size = sizeof(struct efi_memory) + 8;  /* firmware's entries may be longer than ours */
    said[0] = '\0';
    refusal = NULL;
    start_page = 0;
    return 0;
}

/* True: it left boot services. */
static bool starts(efi_status *status)
{
    *status = EFI_SUCCESS;
    if (setjmp(left) != 0) {
        return true;
    }
    *status = efi_main((void *)0x1234, &table);
    return false;
}

static void refused(const char *words)
{
    efi_status status;

    assert_false(starts(&status));
    assert_int_equal(status, EFI_UNSUPPORTED);
    assert_int_equal(exits, 0);
    if (strstr(said, words) == NULL) {
        fail_msg("'%s' is not in: %s", words, said);
    }
    assert_non_null(strstr(said, "Bulkhead: not started"));
}

static void free_memory_is_taken(void **state)
{
    efi_status status;

    (void)state;
    region(EFI_CONVENTIONAL, 0x40000000, 0x40000000);
    assert_true(starts(&status));
    assert_int_equal(left_image, (uintptr_t)image);
    assert_string_equal(said, "");
    assert_int_equal(exits, 1);
}

static void memory_that_boot_services_give_back_is_taken(void **state)
{
    efi_status status;

    (void)state;
    region(EFI_CONVENTIONAL, 0x40000000, 0x10000000);
    region(EFI_LOADER_CODE, 0x50000000, 4 * MIB);
    region(EFI_LOADER_DATA, 0x50000000 + 4 * MIB, 4 * MIB);
    region(EFI_BOOT_DATA, 0x50000000 + 12 * MIB, 0x10000000 - 12 * MIB);  /* in any order */
    region(EFI_BOOT_CODE, 0x50000000 + 8 * MIB, 2 * MIB);
    region(EFI_ACPI_RECLAIM, 0x50000000 + 10 * MIB, 2 * MIB);
    region(EFI_CONVENTIONAL, 0x60000000, 0x20000000);
    region(EFI_RUNTIME_DATA, 0x80000000, 0x10000000);  /* beside it: no matter */
    assert_true(starts(&status));
}

static void kept_memory_is_named(void **state)
{
    static const uint32_t kept[] = { 0, EFI_RUNTIME_CODE, EFI_RUNTIME_DATA, 8, 10, 11, 12, 13, 14, 0x80000000 };

    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(kept); i++) {
        (void)setup(NULL);
        region(EFI_CONVENTIONAL, 0x40000000, 0x10200000);
        region(kept[i], 0x50200000, 0x10000);
        region(EFI_CONVENTIONAL, 0x50210000, 0x2fdf0000);
        refused("Bulkhead: 0x50200000 to 0x5020ffff, which the layout assigns to linux, is kept by the firmware\r\n");
    }
}

static void the_page_that_starts_other_cores_is_asked_for(void **state)
{
    efi_status status;

    (void)state;
    region(EFI_CONVENTIONAL, 0x40000000, 0x40000000);
    region(EFI_RUNTIME_DATA, 0x8000, 0x1000);
    assert_true(starts(&status));      /* nothing starts through it */
    (void)setup(NULL);
    start_page = 0x8000;
    region(EFI_CONVENTIONAL, 0x40000000, 0x40000000);
    region(EFI_RUNTIME_DATA, 0x8000, 0x1000);
    refused("Bulkhead: 0x8000 to 0x8fff, which the layout assigns to the start of other cores, is kept by the firmware\r\n");
}

static void only_the_overlap_is_named(void **state)
{
    (void)state;
    region(EFI_CONVENTIONAL, 0x40000000, 0x10000000 - 0x1000);
    region(EFI_RUNTIME_DATA, 0x4ffff000, 0x2000);
    region(EFI_CONVENTIONAL, 0x50001000, 0x201ff000);
    region(EFI_RUNTIME_DATA, 0x70200000, 0x10000);
    refused("Bulkhead: 0x50000000 to 0x50000fff, which the layout assigns to linux, is kept by the firmware\r\n");
    assert_null(strstr(said, "flight"));
}

static void missing_memory_is_named(void **state)
{
    (void)state;
    region(EFI_CONVENTIONAL, 0x40000000, 0x30000000);
    refused("0x70000000 to 0x701fffff, which the layout assigns to flight, is not all RAM of this machine\r\n");
    assert_null(strstr(said, "linux"));
}

static void a_hole_is_seen(void **state)
{
    (void)state;
    region(EFI_CONVENTIONAL, 0x40000000, 0x10000000);
    region(EFI_CONVENTIONAL, 0x50000000, 8 * MIB);
    region(EFI_CONVENTIONAL, 0x50000000 + 8 * MIB + 0x1000, 0x30000000);
    refused("0x50000000 to 0x50ffffff, which the layout assigns to linux, is not all RAM of this machine");
}

static void the_hypervisors_own_place(void **state)
{
    (void)state;
    region(EFI_CONVENTIONAL, 0x40300000, 0x3fd00000);
    refused("0x40200000 to 0x402fffff, which the layout assigns to the hypervisor, is not all RAM");
}

static void every_trouble_is_named(void **state)
{
    (void)state;
    refused("the hypervisor");
    assert_non_null(strstr(said, "0x50000000 to 0x50ffffff, which the layout assigns to linux"));
    assert_non_null(strstr(said, "0x60000000 to 0x600fffff, which the layout assigns to linux"));
    assert_non_null(strstr(said, "0x70000000 to 0x701fffff, which the layout assigns to flight"));
}

static void a_changed_map_is_fetched_again(void **state)
{
    efi_status status;

    (void)state;
    region(EFI_CONVENTIONAL, 0x40000000, 0x40000000);
    exits_refused = 1;
    assert_true(starts(&status));
    assert_int_equal(exits, 2);
    assert_int_equal(maps_given, 3);
}

static void a_firmware_that_does_not_let_go(void **state)
{
    efi_status status;

    (void)state;
    region(EFI_CONVENTIONAL, 0x40000000, 0x40000000);
    exits_refused = 1000;
    assert_false(starts(&status));
    assert_int_equal(status, EFI_UNSUPPORTED);
    assert_in_range(exits, 2, 10);
    assert_non_null(strstr(said, "Bulkhead: the firmware does not leave boot services\r\n"));
}

static void no_map_no_start(void **state)
{
    efi_status status;

    (void)state;
    region(EFI_CONVENTIONAL, 0x40000000, 0x40000000);
    map_status = EFI_UNSUPPORTED;
    assert_false(starts(&status));
    assert_non_null(strstr(said, "the firmware gives no memory map"));
    (void)setup(NULL);
    region(EFI_CONVENTIONAL, 0x40000000, 0x40000000);
    pool_status = EFI_UNSUPPORTED;
    assert_false(starts(&status));
    assert_int_equal(status, EFI_UNSUPPORTED);
    assert_int_equal(exits, 0);
}

static void the_wrong_level_is_refused(void **state)
{
    efi_status status;

    (void)state;
    region(EFI_CONVENTIONAL, 0x40000000, 0x40000000);
    refusal = "this machine is wrong";
    assert_false(starts(&status));
    assert_int_equal(status, EFI_UNSUPPORTED);
    assert_string_equal(said, "Bulkhead: this machine is wrong\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(free_memory_is_taken, setup),
        cmocka_unit_test_setup(memory_that_boot_services_give_back_is_taken, setup),
        cmocka_unit_test_setup(kept_memory_is_named, setup),
        cmocka_unit_test_setup(the_page_that_starts_other_cores_is_asked_for, setup),
        cmocka_unit_test_setup(only_the_overlap_is_named, setup),
        cmocka_unit_test_setup(missing_memory_is_named, setup),
        cmocka_unit_test_setup(a_hole_is_seen, setup),
        cmocka_unit_test_setup(the_hypervisors_own_place, setup),
        cmocka_unit_test_setup(every_trouble_is_named, setup),
        cmocka_unit_test_setup(a_changed_map_is_fetched_again, setup),
        cmocka_unit_test_setup(a_firmware_that_does_not_let_go, setup),
        cmocka_unit_test_setup(no_map_no_start, setup),
        cmocka_unit_test_setup(the_wrong_level_is_refused, setup),
    };

    return cmocka_run_group_tests_name("efi", tests, NULL, NULL);
}
