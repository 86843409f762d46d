/* SPDX-License-Identifier: Apache-2.0 */
/* simulate SETS SEED FIRST CORES KIND EXTRA OVERHEAD: the named cases, then random sets. Exit 1: one of them failed. */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void describe(const struct set *set)
{
    static const char *const conduct[] = { "always ready", "bursts", "sleeps a lot" };

    printf("  %u servers, %u cores, %s, decisions up to %" PRIu64 " ns late\n", set->count, set->cores,
           set->windows ? "windows" : set->global ? "global EDF" : "partitioned EDF", set->overhead);
    for (uint32_t i = 0; i < set->count; i++) {
        const struct task *task = &set->task[i];

        printf("  server %u: %.3f us every %.3f us", i, (double)task->budget / 1e3, (double)task->period / 1e3);
        if (!set->global && !set->windows) {
            printf(" on core %u", task->core);
        }
        printf(", %s%s\n", conduct[task->conduct], task->extra ? ", extra time" : "");
    }
    for (uint32_t i = 0; i < set->window_count; i++) {
        printf("  window on core %u: server %u from %" PRIu64 " for %" PRIu64 " of %" PRIu64 " ns\n", set->window[i].core,
               set->window[i].server, set->window[i].start, set->window[i].length, set->frame);
    }
}

/* Each case in many random conducts. */
static bool cases(uint64_t seed, struct tally *tally)
{
    static struct set set;

    for (uint32_t number = 0; make_case(&set, number); number++) {
        const char *wrong = schedulable(&set) ? NULL : "the test refuses it";

        for (uint64_t i = 0; i < 8 && wrong == NULL; i++) {
            random_seed(seed, i);
            set.events = 4000;
            wrong = run_set(&set, tally);
        }
        printf("%s %s\n", wrong != NULL ? "MISSED " : "kept   ", set.name);
        if (wrong != NULL) {
            printf("  %s\n", wrong);
            describe(&set);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct set set;
    struct tally tally = { 0, 0 };
    uint64_t sets, seed, first, kinds[3] = { 0 };
    struct wish wish;
    bool progress = isatty(STDERR_FILENO) != 0;

    if (argc != 8) {
        return 2;
    }
    sets = strtoull(argv[1], NULL, 0);
    seed = strtoull(argv[2], NULL, 0);
    first = strtoull(argv[3], NULL, 0);  /* 0: the named cases, then from set 1 on */
    wish = (struct wish){ (uint32_t)strtoul(argv[4], NULL, 0), argv[5][0] == 'g', argv[5][0] == 'p', argv[5][0] == 'w',
                          argv[6][0] == '1', argv[7][0] == '-' ? NEVER : strtoull(argv[7], NULL, 0) };
    if (first == 0) {
        if (!cases(seed, &tally)) {
            return 1;
        }
        first = 1;
    }
    for (uint64_t i = first; i < first + sets; i++) {
        const char *wrong;

        random_seed(seed, i);
        make_set(&set, &wish);
        kinds[set.windows ? 2 : set.global ? 1 : 0]++;
        wrong = run_set(&set, &tally);
        if (wrong != NULL) {
            printf("MISSED  set %" PRIu64 " of seed %" PRIu64 "\n  %s\n", i, seed, wrong);
            describe(&set);
            return 1;
        }
        if (progress && i % 1000u == 0) {
            fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " sets ", i - first, sets);
        }
    }
    if (progress) {
        fprintf(stderr, "\r                              \r");
    }
    printf("%" PRIu64 " sets, no miss: %" PRIu64 " partitioned, %" PRIu64 " global, %" PRIu64 " with windows; %" PRIu64
           " decisions, %" PRIu64 " periods with their budget\n", sets, kinds[0], kinds[1], kinds[2], tally.decisions, tally.periods);
    return 0;
}
