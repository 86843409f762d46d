/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvcheck: proves, from the linked image alone, that what was generated keeps the partitions apart as
 * system.yaml says. Exit status: 0 proved, 1 violations, 2 the input cannot be used.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct rule_set *const rule_sets[] = {
    &layout_rules, &register_rules,  &register_rules_x86, &table_rules,  &memory_rules, &device_rules, &hv_rules,
    &cpu_rules,    &pool_rules,      &channel_rules,      &health_rules, &interrupt_rules, &bitmap_rules, &fact_rules,
    &pc_rules,     &pci_rules,       &image_rules,     &guest_tree_rules,   &boot_rules,
};

#define SET_COUNT (sizeof(rule_sets) / sizeof(rule_sets[0]))

static void prove_nothing(const struct world *world, struct proof *proof)
{
    (void)world;
    (void)proof;
}

static const struct rule readable = {
    "layout-readable",
    "The image has a layout of the version that this checker knows, and all that it points to lies in the image.",
    "entries",
    prove_nothing,
    ARCH_BOTH,
};

struct options {
    const char *elf, *dtb, *system, *board, *json, *root;
    bool quiet;
};

static void print_manual(void)
{
    printf("### Before all others\n\n- **%s**: %s\n", readable.id, readable.sentence);
    for (size_t s = 0; s < SET_COUNT; s++) {
        printf("\n### %s\n\n", rule_sets[s]->title);
        for (size_t i = 0; i < rule_sets[s]->count; i++) {
            const struct rule *rule = &rule_sets[s]->rules[i];

            printf("- **%s**%s: %s\n", rule->id,
                   rule->on == ARCH_ARM64 ? " (ARM64)"
                   : rule->on == ARCH_X86 ? " (x86)"
                                            : "",
                   rule->sentence);
        }
    }
}

static _Noreturn void usage(void)
{
    fputs("usage: hvcheck --elf bulkhead.elf --system system.yaml [--dtb board.dtb] [--board board.yaml]\n"
          "               [--root FOLDER] [--json out.json] [--quiet]\n"
          "       hvcheck CONFIG bulkhead.elf [options as above]\n"
          "       hvcheck --manual\n"
          "CONFIG is a folder with system.yaml. Without --dtb and --board, the board that system.yaml names is looked\n"
          "for beside it, in FOLDER/boards (FOLDER is . if not given), then as a folder of that name.\n",
          stderr);
    exit(2);
}

static void read_options(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const struct {
            const char *name;
            const char **value;
        } known[] = {
            {"--elf", &o->elf},     {"--dtb", &o->dtb},   {"--system", &o->system},
            {"--board", &o->board}, {"--json", &o->json}, {"--root", &o->root},
        };
        bool found = false;

        if (strcmp(argv[i], "--quiet") == 0) {
            o->quiet = true;
            continue;
        }
        for (size_t n = 0; n < sizeof(known) / sizeof(known[0]) && i + 1 < argc && !found; n++) {
            if (strcmp(argv[i], known[n].name) == 0) {
                *known[n].value = argv[++i];
                found = true;
            }
        }
        if (!found && argv[i][0] != '-' && o->system == NULL) {
            o->system = text("%s/system.yaml", argv[i]);
        } else if (!found && argv[i][0] != '-' && o->elf == NULL) {
            o->elf = argv[i];
        } else if (!found) {
            usage();
        }
    }
    if (o->elf == NULL || o->system == NULL) {
        usage();
    }
}

static const char *folder_of(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash != NULL ? text("%.*s", (int)(slash - name), name) : ".";
}

/* Where `board:` leads: a path beside system.yaml, boards/NAME of the project, or a folder of that name. */
static const char *board_folder(const struct options *o, const char *board)
{
    const char *beside = text("%s/%s", folder_of(o->system), board);
    const char *known = text("%s/boards/%s", o->root != NULL ? o->root : ".", board);

    if (strchr(board, '/') != NULL && board[0] != '/' && file_exists(text("%s/board.yaml", beside))) {
        return beside;
    }
    return file_exists(text("%s/board.yaml", known)) ? known : board;
}

static void find_board(struct options *o, const char *board)
{
    struct spec_board facts = {0};
    const char *folder = board_folder(o, board);

    if (o->board == NULL) {
        o->board = text("%s/board.yaml", folder);
    }
    if (o->dtb != NULL) {
        return;
    }
    spec_board_load(&facts, o->board);
    o->dtb = facts.devicetree != NULL                    ? text("%s/%s", folder, facts.devicetree)
             : file_exists(text("%s/board.dts", folder)) ? text("%s/board.dts", folder)
                                                         : text("%s/board.dtb", folder);
}

static size_t prove_all(const struct world *world, struct proof *proofs, bool usable)
{
    size_t count = 1;

    for (size_t s = 0; s < SET_COUNT; s++) {
        for (size_t i = 0; i < rule_sets[s]->count; i++) {
            const struct rule *rule = &rule_sets[s]->rules[i];
            struct proof *proof = &proofs[count];

            if ((rule->on & world->elf.arch) == 0) {
                continue;
            }
            *proof = (struct proof){.rule = rule, .skipped = !usable};
            if (usable) {
                rule->prove(world, proof);
            }
            count++;
        }
    }
    return count;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    struct world *world = alloc(sizeof(*world));
    struct proof proofs[128] = {{.rule = &readable}};
    bool usable;
    size_t count;

    if (argc == 2 && strcmp(argv[1], "--manual") == 0) {
        print_manual();
        return 0;
    }
    read_options(&o, argc, argv);
    world->elf_name = o.elf;
    elf_load(&world->elf, o.elf);
    spec_load(&world->spec, o.system);
    if (o.dtb == NULL) {
        find_board(&o, world->spec.board);
    }
    board_load(&world->board, world->elf.arch, o.dtb, o.board);
    world->dtb_name = o.dtb;
    world->folders[0] = folder_of(o.system);
    world->folders[1] = folder_of(o.elf);
    world->folders[2] = text("%s/..", world->folders[1]);
    world->folders[3] = o.root != NULL ? o.root : ".";
    usable = world_read_layout(world, &proofs[0]);
    if (usable) {
        world_match(world);
        world_walk(world);
    }
    count = prove_all(world, proofs, usable);
    report_text(world, proofs, count, o.quiet);
    if (o.json != NULL && !report_json(o.json, world, proofs, count)) {
        unusable("%s: cannot be written", o.json);
    }
    for (size_t i = 0; i < count; i++) {
        if (proofs[i].count != 0) {
            return 1;
        }
    }
    return 0;
}
