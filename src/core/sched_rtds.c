/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RTDS: deferrable servers under earliest deadline first (Strosnider, Lehoczky and Sha 1995; Ghazalie and
 * Baker 1995), with what a server that wakes late in its period may still use kept in proportion, as constant
 * bandwidth servers have it (Abeni and Buttazzo 1998): then utilisation alone says whether all get their budgets.
 * Each server has one alarm: the end of its period while it is awake, when its budget is full again, and the time to
 * wake while it sleeps; it keeps what is left then, and finds out on waking how many periods have passed. Each
 * operation costs O(log n) for n servers of the group, and O(log n) more for each alarm that goes off with it;
 * picking a core to disturb looks at all cores.
 *
 * Somebody is always due to decide when the first timer of a group runs out: with global EDF one core is
 * enough, the others are told when they have to run for the end of their own server's budget only.
 */
#include <hv/features.h>
#include <hv/sched.h>

/* ---------------------------------------------------------------- heaps */

/* Which heap: it says what orders it and where a server keeps its place. */
enum heap_kind { QUEUE, TIMER };

static uint64_t key_of(const struct sched_server *server, enum heap_kind kind)
{
    return kind == QUEUE ? server->deadline : server->alarm;
}

/* Equal keys are ordered by number, so that the order is total and nobody takes turns for nothing. */
static bool before(const struct sched *sched, uint32_t a, uint32_t b, enum heap_kind kind)
{
    uint64_t key_a = key_of(&sched->server[a], kind), key_b = key_of(&sched->server[b], kind);

    return key_a < key_b || (key_a == key_b && a < b);
}

static void heap_set(struct sched *sched, struct sched_heap *heap, uint32_t place, uint32_t server, enum heap_kind kind)
{
    heap->item[place] = (uint8_t)server;
    if (kind == QUEUE) {
        sched->server[server].queue_place = (uint8_t)(place + 1u);
    } else {
        sched->server[server].timer_place = (uint8_t)(place + 1u);
    }
}

/* False: it has not moved. */
static bool heap_up(struct sched *sched, struct sched_heap *heap, uint32_t from, enum heap_kind kind)
{
    uint32_t server = heap->item[from], place = from;

    while (place > 0 && before(sched, server, heap->item[(place - 1u) / 2u], kind)) {
        heap_set(sched, heap, place, heap->item[(place - 1u) / 2u], kind);
        place = (place - 1u) / 2u;
    }
    heap_set(sched, heap, place, server, kind);
    return place != from;
}

static void heap_down(struct sched *sched, struct sched_heap *heap, uint32_t place, enum heap_kind kind)
{
    uint32_t server = heap->item[place];

    for (uint32_t child = 2u * place + 1u; child < heap->count; child = 2u * place + 1u) {
        if (child + 1u < heap->count && before(sched, heap->item[child + 1u], heap->item[child], kind)) {
            child++;
        }
        if (!before(sched, heap->item[child], server, kind)) {
            break;
        }
        heap_set(sched, heap, place, heap->item[child], kind);
        place = child;
    }
    heap_set(sched, heap, place, server, kind);
}

static void heap_push(struct sched *sched, struct sched_heap *heap, uint32_t server, enum heap_kind kind)
{
    heap->item[heap->count] = (uint8_t)server;
    (void)heap_up(sched, heap, heap->count++, kind);
}

/* What stands there has another key than before. */
static void heap_move(struct sched *sched, struct sched_heap *heap, uint32_t place, enum heap_kind kind)
{
    if (!heap_up(sched, heap, place, kind)) {
        heap_down(sched, heap, place, kind);
    }
}

static void queue_remove(struct sched *sched, struct sched_heap *heap, uint32_t place)
{
    uint32_t server = heap->item[place], last = heap->item[--heap->count];

    if (place < heap->count) {
        heap->item[place] = (uint8_t)last;
        heap_move(sched, heap, place, QUEUE);
    }
    sched->server[server].queue_place = 0;
}

/* The first of a queue leaves it. */
static uint32_t queue_pop(struct sched *sched, struct sched_heap *heap)
{
    uint32_t server = heap->item[0];

    if (--heap->count != 0) {
        heap->item[0] = heap->item[heap->count];
        heap_down(sched, heap, 0, QUEUE);
    }
    sched->server[server].queue_place = 0;
    return server;
}

/* ---------------------------------------------------------------- groups */

static struct sched_group *group_of(struct sched *sched, uint32_t core)
{
    return &sched->group[sched->global ? 0 : core];
}

static bool has_budget(const struct sched_server *server)
{
    return server->left != 0;
}

/* Where an awake server waits that does not run: with budget, for idle time, or (NULL) for its next period. */
static struct sched_heap *queue_of(struct sched_group *group, const struct sched_server *server)
{
    return has_budget(server) ? &group->ready : server->params.extra ? &group->extra : NULL;
}

static void enqueue(struct sched *sched, struct sched_group *group, uint32_t index)
{
    struct sched_heap *queue = queue_of(group, &sched->server[index]);

    if (queue != NULL) {
        heap_push(sched, queue, index, QUEUE);
    }
}

/* ---------------------------------------------------------------- budgets */

/* One of the sets that a trace is made from. */
static void note(uint64_t *set, uint32_t server)
{
    if (HV_TRACE) {
        *set |= UINT64_C(1) << server;
    }
}

/* What there is not of a budget is a debt. */
static void take_off(struct sched_server *server, uint64_t used)
{
    uint64_t paid = used < server->left ? used : server->left;

    server->left -= paid;
    server->debt += used - paid;
}

/* What a running server has used until `now` comes off its budget; time that nobody wanted is free. */
static void charge(struct sched_server *server, uint64_t now)
{
    uint64_t used = now > server->started ? now - server->started : 0;

    server->started += used;
    if (!server->on_extra) {
        take_off(server, used);
    }
}

/* Its period is over by `now`: a full budget, less what it has had too much of in the period right before. */
static void refill(struct sched_server *server, uint64_t now)
{
    uint64_t budget = server->params.budget, period = server->params.period;
    uint64_t periods = (now - server->deadline) / period + 1u;
    uint64_t debt = periods > 1u ? 0 : server->debt < budget ? server->debt : budget;

    server->alarm = server->deadline += periods * period;
    server->left = budget - debt;
    server->debt = 0;
}

/* A running server's period has ended on the way: from there on it pays out of the new budget. */
static void pass_deadline(struct sched_server *server, uint64_t now)
{
    charge(server, server->deadline);
    refill(server, now);
    server->on_extra = server->on_extra && !has_budget(server);
}

/* It waits, and its period is over. With budget before and after, it only moves back. */
static void refill_waiting(struct sched *sched, struct sched_group *group, uint32_t index, uint64_t now)
{
    struct sched_server *server = &sched->server[index];
    struct sched_heap *from = queue_of(group, server);

    refill(server, now);
    if (from != NULL && from == queue_of(group, server)) {
        heap_down(sched, from, server->queue_place - 1u, QUEUE);
        return;
    }
    if (from != NULL) {
        queue_remove(sched, from, server->queue_place - 1u);
    }
    enqueue(sched, group, index);
}

/* The end of the period of a server that is awake. It may be running, on any core of the group. */
static void replenish(struct sched *sched, struct sched_group *group, uint32_t index, uint64_t now)
{
    note(&sched->refilled, index);
    if (sched->server[index].on != SCHED_IDLE) {
        pass_deadline(&sched->server[index], now);
    } else {
        refill_waiting(sched, group, index, now);
    }
}

/*
 * Having slept, it keeps as much of its budget as the rest of its period is worth, or as if it had been busy all
 * the while: no more than its utilisation in any interval, whatever it does, so that others are not held up.
 */
static void forfeit(struct sched_server *server, uint64_t now)
{
    uint64_t slept = now - server->started, rest = (server->deadline - now) * server->bandwidth / SCHED_WHOLE;
    uint64_t busy = server->left > slept ? server->left - slept : 0, keeps = busy > rest ? busy : rest;

    server->left = keeps < server->left ? keeps : server->left;
}

/* Its time to wake may be past, and nobody has seen to it: that is when it woke. */
static void wake(struct sched *sched, struct sched_group *group, uint32_t index, uint64_t now)
{
    struct sched_server *server = &sched->server[index];
    uint64_t since = server->alarm > server->started ? server->alarm : server->started;

    since = since < now ? since : now;
    if (since >= server->deadline) {
        refill(server, since);
        note(&sched->refilled, index);
    }
    server->awake = true;
    server->alarm = server->deadline;
    forfeit(server, since);
    enqueue(sched, group, index);
}

/* Everything of the group that is due, which something is. Each server has one alarm, which moves on, so this ends. */
static void expire(struct sched *sched, struct sched_group *group, uint64_t now)
{
    for (uint32_t index = group->timers.item[0]; sched->server[index].alarm <= now; index = group->timers.item[0]) {
        if (sched->server[index].awake) {
            replenish(sched, group, index, now);
        } else {
            note(&sched->woken, index);
            wake(sched, group, index, now);
        }
        heap_down(sched, &group->timers, 0, TIMER);
    }
}

/* ---------------------------------------------------------------- cores */

/* How badly a core's work can be put off: an idle core most, idle time given away next, then late deadlines. */
static uint64_t slack_of(const struct sched *sched, uint32_t core)
{
    uint32_t running = sched->running[core];

    if (running == SCHED_IDLE) {
        return SCHED_NEVER;
    }
    return sched->server[running].on_extra ? SCHED_NEVER - 1u : sched->server[running].deadline;
}

static uint64_t first_timer(const struct sched *sched, const struct sched_group *group)
{
    return group->timers.count != 0 ? sched->server[group->timers.item[0]].alarm : SCHED_NEVER;
}

/*
 * The core that has to decide, as a bit, because of what waits in the group, or because nobody would in time
 * for the first timer; 0 if all is well. core: the group's, or any one with global EDF.
 */
static uint64_t disturb(const struct sched *sched, const struct sched_group *group, uint32_t core)
{
    uint64_t wanted = SCHED_NEVER, due = sched->due[core];

    if (group->ready.count != 0) {
        wanted = sched->server[group->ready.item[0]].deadline;
    } else if (group->extra.count != 0) {
        wanted = SCHED_NEVER - 1u;
    }
    if (sched->global) {
        for (uint32_t i = 0; i < sched->core_count; i++) {
            core = slack_of(sched, i) > slack_of(sched, core) ? i : core;
            due = sched->due[i] < due ? sched->due[i] : due;
        }
    }
    return slack_of(sched, core) > wanted || due > first_timer(sched, group) ? UINT64_C(1) << core : 0;
}

/* The first of a queue, NULL if nobody waits there. */
static const struct sched_server *first_of(const struct sched *sched, const struct sched_heap *queue)
{
    return queue->count != 0 ? &sched->server[queue->item[0]] : NULL;
}

/* Whether the server that has run on a core until now runs on: nobody who waits is before it. */
static bool stays(const struct sched *sched, const struct sched_group *group, const struct sched_server *server)
{
    const struct sched_server *ready = first_of(sched, &group->ready), *extra;

    if (has_budget(server)) {
        return ready == NULL || ready->deadline >= server->deadline;
    }
    extra = first_of(sched, &group->extra);
    return server->params.extra && ready == NULL && (extra == NULL || extra->deadline >= server->deadline);
}

/* What ran until now pays; with its budget gone, it is on idle time from here on. */
static void charge_running(struct sched *sched, uint32_t index, uint64_t now)
{
    struct sched_server *server = &sched->server[index];

    charge(server, now);
    if (!has_budget(server) && !server->on_extra) {
        note(&sched->spent, index);
    }
    server->on_extra = !has_budget(server);
}

/* The server that ran until now goes back to the others. */
static void put_back(struct sched *sched, struct sched_group *group, struct sched_server *server)
{
    server->on = SCHED_IDLE;
    server->on_extra = false;
    server->begun = has_budget(server);
    enqueue(sched, group, (uint32_t)(server - sched->server));
}

/* The server that ran until now sleeps. */
static void put_to_sleep(struct sched *sched, struct sched_group *group, struct sched_server *server, uint64_t now, uint64_t wake_at)
{
    server->on = SCHED_IDLE;
    server->awake = server->on_extra = false;
    server->started = now;
    server->alarm = wake_at;
    heap_move(sched, &group->timers, server->timer_place - 1u, TIMER);
}

/*
 * A server pays for its own beginning, as it is charged from the decision on, and it pays in advance for going on
 * with whom it interrupts, who is not charged for that time. So a budget pays for two switches, however often its
 * server is interrupted. One that gives way to a server which it had interrupted goes on at its own expense.
 * last: who ran until now, NULL if that sleeps.
 */
static void settle(struct sched_server *server, struct sched_server *last)
{
    if (server->begun) {
        server->started += server->params.resume;
        server->begun = false;
        if (last != NULL) {
            last->begun = false;
        }
    } else if (last != NULL && last->begun) {
        server->left--;  /* so that its turn has a length */
        take_off(server, last->params.resume);
        server->left++;
    }
}

/* The first of those that wait, if there is one, runs on the core. */
static inline void run_first(struct sched *sched, struct sched_group *group, uint32_t core, struct sched_server *last, uint64_t now)
{
    struct sched_heap *queue = group->ready.count != 0 ? &group->ready : &group->extra;
    struct sched_server *server;
    uint32_t index;

    sched->running[core] = SCHED_IDLE;
    if (queue->count == 0) {
        return;
    }
    index = queue_pop(sched, queue);
    server = &sched->server[index];
    server->on = core;
    server->on_extra = queue == &group->extra;
    server->started = now;
    sched->running[core] = index;
    settle(server, last);
}

/* When what runs on the core stops being entitled to it: its budget or, on idle time, its period ends. */
static uint64_t end_of_turn(const struct sched *sched, uint32_t core)
{
    const struct sched_server *server;

    if (sched->running[core] == SCHED_IDLE) {
        return SCHED_NEVER;
    }
    server = &sched->server[sched->running[core]];
    return server->on_extra ? server->deadline : server->started + server->left;
}

/* When the core has to decide again: at the group's first timer, too, unless another core is due by then. */
static uint64_t due_of(const struct sched *sched, const struct sched_group *group, uint32_t core)
{
    uint64_t timer = first_timer(sched, group), turn = end_of_turn(sched, core);

    if (sched->global) {
        for (uint32_t i = 0; i < sched->core_count; i++) {
            if (i != core && sched->due[i] <= timer) {
                return turn;
            }
        }
    }
    return timer < turn ? timer : turn;
}

/* False if none was due. */
static inline bool see_to_alarms(struct sched *sched, struct sched_group *group, uint64_t now)
{
    if (first_timer(sched, group) > now) {
        return false;
    }
    expire(sched, group, now);
    return true;
}

/* ---------------------------------------------------------------- what the caller sees */

void sched_init(struct sched *sched, uint32_t core_count)
{
    sched->core_count = core_count;
    sched->server_count = 0;
    sched->global = false;
    sched->refilled = sched->woken = sched->spent = 0;
    sched->frame.window = NULL;
    for (uint32_t i = 0; i < SCHED_MAX_CORES; i++) {
        sched->running[i] = SCHED_IDLE;
        sched->due[i] = SCHED_NEVER;
        sched->group[i].ready.count = sched->group[i].extra.count = sched->group[i].timers.count = 0;
    }
}

void sched_add(struct sched *sched, const struct sched_params *params, uint64_t now)
{
    struct sched_server *server = &sched->server[sched->server_count++];

    server->params = *params;
    server->deadline = now + params->period;
    server->left = params->budget;
    server->debt = 0;
    server->bandwidth = params->period != 0 ? params->budget * SCHED_WHOLE / params->period : 0;
    server->started = now;
    server->alarm = SCHED_NEVER;
    server->on = SCHED_IDLE;
    server->awake = server->on_extra = server->begun = false;
    server->queue_place = 0;
    sched->global = params->core == SCHED_ANY_CORE;
    if (sched->global) {
        server->params.core = 0;
    }
    heap_push(sched, &group_of(sched, server->params.core)->timers, sched->server_count - 1u, TIMER);
}

static bool has_windows(const struct sched *sched)
{
    return HV_ARINC653 && sched->frame.window != NULL;
}

uint64_t sched_wake(struct sched *sched, uint32_t index, uint64_t now)
{
    struct sched_server *server = &sched->server[index];
    struct sched_group *group = group_of(sched, server->params.core);

    if (has_windows(sched)) {
        return sched_windows_wake(sched, index);
    }
    if (server->awake) {
        return 0;
    }
    wake(sched, group, index, now);
    heap_move(sched, &group->timers, server->timer_place - 1u, TIMER);
    return disturb(sched, group, server->params.core);
}

/* What ran on the core pays, and runs on or gives way. others: the decision came for somebody's timer. */
static void change(struct sched *sched, struct sched_group *group, uint32_t core, uint64_t now, bool others)
{
    struct sched_server *last = NULL;

    if (sched->running[core] != SCHED_IDLE) {
        last = &sched->server[sched->running[core]];
        charge_running(sched, sched->running[core], now);
        if (stays(sched, group, last)) {
            last->started += others ? last->params.resume / 4u : 0;  /* a decision takes a part of what a switch takes */
            return;
        }
        put_back(sched, group, last);
    }
    run_first(sched, group, core, last, now);
}

/* The core has been given somebody, or nobody: when it decides again, and who else does at once. */
static inline uint32_t decided(struct sched *sched, struct sched_group *group, uint32_t core)
{
    sched->due[core] = due_of(sched, group, core);
    sched->kick = sched->global ? disturb(sched, group, core) & ~(UINT64_C(1) << core) : 0;
    return sched->running[core];
}

uint32_t sched_decide(struct sched *sched, uint32_t core, uint64_t now)
{
    struct sched_group *group = group_of(sched, core);

    if (has_windows(sched)) {
        sched->kick = 0;
        return sched_windows_decide(sched, core, now);
    }
    change(sched, group, core, now, see_to_alarms(sched, group, now));
    return decided(sched, group, core);
}

uint32_t sched_sleep(struct sched *sched, uint32_t core, uint64_t now, uint64_t wake_at)
{
    struct sched_group *group = group_of(sched, core);

    if (wake_at <= now) {
        return sched_decide(sched, core, now);
    }
    if (has_windows(sched)) {
        sched->kick = sched_windows_sleep(sched, core, wake_at);
        return sched_windows_decide(sched, core, now);
    }
    (void)see_to_alarms(sched, group, now);
    charge_running(sched, sched->running[core], now);
    put_to_sleep(sched, group, &sched->server[sched->running[core]], now, wake_at);
    run_first(sched, group, core, NULL, now);
    return decided(sched, group, core);
}
