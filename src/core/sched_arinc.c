/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ARINC 653's partition scheduling: each core follows a table of windows that repeats with the major frame.
 * A window is one server's alone: while that sleeps, the core idles. A decision costs a binary search.
 */
#include <hv/features.h>
#include <hv/sched.h>

void sched_windows(struct sched *sched, const struct sched_window *windows, uint32_t count, uint64_t length, uint64_t now)
{
    struct sched_frame *frame = &sched->frame;
    uint32_t place = 0;

    frame->window = windows;
    frame->begin = now;
    frame->length = length;
    for (uint32_t core = 0; core < SCHED_MAX_CORES; core++) {
        frame->first[core] = place;
        frame->holder[core] = SCHED_IDLE;
        while (place < count && windows[place].core == core) {
            place++;
        }
    }
    frame->first[SCHED_MAX_CORES] = place;
}

/* How many of the core's windows have begun at `phase` of the frame: the last of them may still be open. */
static uint32_t begun(const struct sched_frame *frame, uint32_t core, uint64_t phase)
{
    uint32_t low = frame->first[core], high = frame->first[core + 1u];

    while (low < high) {
        uint32_t middle = (low + high) / 2u;

        if (frame->window[middle].start <= phase) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low - frame->first[core];
}

/* Whose window it is on the core at `phase`, or SCHED_IDLE; end: of the window, or of the pause. */
static uint32_t holder_at(const struct sched_frame *frame, uint32_t core, uint64_t phase, uint64_t *end)
{
    uint32_t count = frame->first[core + 1u] - frame->first[core], done = begun(frame, core, phase);
    const struct sched_window *window = &frame->window[frame->first[core]];

    if (done != 0 && phase - window[done - 1u].start < window[done - 1u].length) {
        *end = window[done - 1u].start + window[done - 1u].length;
        return window[done - 1u].server;
    }
    *end = done < count ? window[done].start : frame->length + window[0].start;
    return SCHED_IDLE;
}

/* The cores in whose present window the server is. Where the window has changed since, the core decides anyway. */
uint64_t sched_windows_wake(struct sched *sched, uint32_t server)
{
    uint64_t kick = 0;

    if (sched->server[server].awake) {
        return 0;
    }
    sched->server[server].awake = true;
    for (uint32_t core = 0; core < sched->core_count; core++) {
        kick |= sched->frame.holder[core] == server ? UINT64_C(1) << core : 0;
    }
    return kick;
}

/* Its window may have come on another core already, which waits for it. */
uint64_t sched_windows_sleep(struct sched *sched, uint32_t core, uint64_t wake_at)
{
    uint32_t server = sched->running[core];
    uint64_t kick = 0;

    sched->server[server].awake = false;
    sched->server[server].alarm = wake_at;
    for (uint32_t i = 0; i < sched->core_count; i++) {
        kick |= i != core && sched->frame.holder[i] == server ? UINT64_C(1) << i : 0;
    }
    return kick;
}

uint32_t sched_windows_decide(struct sched *sched, uint32_t core, uint64_t now)
{
    struct sched_frame *frame = &sched->frame;
    uint64_t phase, end, *next = &sched->due[core];
    uint32_t holder;
    struct sched_server *server;

    *next = SCHED_NEVER;
    frame->holder[core] = sched->running[core] = SCHED_IDLE;
    if (frame->first[core] == frame->first[core + 1u]) {
        return SCHED_IDLE;
    }
    phase = (now - frame->begin) % frame->length;
    holder = holder_at(frame, core, phase, &end);
    *next = now - phase + end;
    if (holder == SCHED_IDLE) {
        return SCHED_IDLE;
    }
    frame->holder[core] = holder;
    server = &sched->server[holder];
    if (HV_TRACE && !server->awake && server->alarm <= now) {
        sched->woken |= UINT64_C(1) << holder;
    }
    server->awake = server->awake || server->alarm <= now;
    if (server->awake) {
        sched->running[core] = holder;
    } else if (server->alarm < *next) {
        *next = server->alarm;
    }
    return sched->running[core];
}
