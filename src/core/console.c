/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console multiplexer. Each partition writes into a ring of its own; whichever core finds the port
 * free moves characters from the rings to the port for as long as the port takes them at once. The
 * partition that has the focus is heard at once, the others line by line. A line that was begun is left
 * to its end while it grows; one that rests (a prompt) is broken by what comes, and by the hypervisor.
 */
#include <hv/arch.h>
#include <hv/console.h>
#include <hv/features.h>
#include <hv/pool.h>
#include <hv/serial.h>
#include <hv/vuart.h>
#include <hv/watchdog.h>

#define RING_SIZE    512u          /* bytes, a power of two */
#define RING_URGENT  256u          /* a ring this full is moved even without a whole line */
#define STAGE_SIZE   40u
#define NOBODY       0xffffffffu   /* the cursor stands at the start of a line */
#define HYPERVISOR   0xfffffffeu
#define OWN_RING     LAYOUT_MAX_PARTITIONS  /* the hypervisor's messages from shared cores */
#define CTRL_A       0x01
#define REST_NS      UINT64_C(5000000)   /* a line that did not grow for 5 ms rests */
#define GIVE_UP_NS   UINT64_C(500000000) /* a guest that has not read its input for half a second */
#define SPIN_NS      UINT64_C(20000000)  /* longest wait for the port: 20 ms */

struct ring {
    uint32_t head, tail;    /* free-running; head is the writer's, tail the port holder's */
    uint32_t lines_in, lines_out;
    uint64_t grown;         /* when it last got a character */
    uint8_t  text[RING_SIZE];
};

static struct ring rings[LAYOUT_MAX_PARTITIONS + HV_POOLS] HV_LATE;
static uint32_t own_lock;       /* a core writes into rings[OWN_RING] */
static bool     own_lost;       /* something did not fit there */
static uint32_t port_lock;      /* 1: a core moves characters */
static bool     port_shared;    /* other cores run, so the lock counts */
static uint32_t line_owner = NOBODY;
static uint64_t line_grown;     /* when the line last grew */
static uint32_t focus;
static uint32_t alarm;          /* 1: the console's core will look after what is left */
static uint64_t input_held;     /* since when the port waits for the focus to read, 0: it does not */
static bool     escape;         /* Ctrl-a was the last key */
static uint8_t  last;           /* last character sent */
static uint8_t  stage[STAGE_SIZE];
static uint32_t stage_count, stage_at;

static bool port_try(void)
{
    return !port_shared || __atomic_exchange_n(&port_lock, 1u, __ATOMIC_ACQUIRE) == 0;
}

static void port_release(void)
{
    __atomic_store_n(&port_lock, 0u, __ATOMIC_RELEASE);
}

/* The last two places are kept for what follows a name that is too long. */
static void stage_text(const char *text)
{
    uint32_t limit = text[0] == '|' ? STAGE_SIZE : STAGE_SIZE - 2u;

    while (*text != '\0' && stage_count < limit) {
        stage[stage_count++] = (uint8_t)*text++;
    }
}

/* What has to go out before a character of `owner`: the end of another's line, and the owner's name. */
static void stage_switch(uint32_t owner)
{
    stage_count = stage_at = 0;
    if (line_owner != NOBODY) {
        stage_text("\r\n");
    }
    stage_text(owner == HYPERVISOR ? "bulkhead" : layout.partitions[owner].name);
    stage_text("| ");
    line_owner = owner;
    last = 0;  /* a carriage return that stood in another's line counts no more */
}

/* Sends the staged text and then one character of the line's owner. False: the port is full. */
static bool send_owned(uint8_t character)
{
    static const uint8_t carriage_return = '\r';

    stage_at += serial_write(stage + stage_at, stage_count - stage_at);
    if (stage_at < stage_count) {
        return false;
    }
    if (character == '\n' && last != '\r') {
        if (serial_write(&carriage_return, 1) == 0) {
            return false;
        }
        last = '\r';
    }
    if (serial_write(&character, 1) == 0) {
        return false;
    }
    last = character;
    if (character == '\n') {
        line_owner = NOBODY;
    }
    return true;
}

static uint32_t ring_count(const struct ring *ring)
{
    return __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) - ring->tail;
}

static bool rests(uint64_t grown)
{
    return arch_time_ns() - grown >= REST_NS;
}

/*
 * A partition begins a line where nobody's line is being written; a whole line and the focus's characters
 * at once, the beginning of another's line once it rests (a prompt).
 */
static bool ring_may_start(uint32_t partition)
{
    const struct ring *ring = &rings[partition];
    uint32_t count = ring_count(ring);

    if (count == 0 || count >= RING_URGENT) {
        return count != 0;
    }
    if (line_owner != NOBODY && !rests(line_grown)) {
        return false;
    }
    return partition == focus || __atomic_load_n(&ring->lines_in, __ATOMIC_RELAXED) != ring->lines_out ||
           rests(ring->grown);
}

static bool own_waits(void)
{
    return HV_POOLS && ring_count(&rings[OWN_RING]) != 0;
}

/* The ring whose character comes next, or NOBODY. */
static uint32_t next_ring(void)
{
    if (own_waits()) {
        return OWN_RING;
    }
    if (line_owner < layout.partition_count && ring_count(&rings[line_owner]) != 0) {
        return line_owner;
    }
    for (uint32_t i = 0; i < layout.partition_count; i++) {
        uint32_t partition = (focus + i) % layout.partition_count;

        if (ring_may_start(partition)) {
            return partition;
        }
    }
    return NOBODY;
}

/* The port is ours: moves characters until the port is full or the rings have nothing for it. */
static bool port_fill(void)
{
    uint32_t next;
    bool moved = false;

    while ((next = next_ring()) != NOBODY) {
        struct ring *ring = &rings[next];
        uint8_t character = ring->text[ring->tail % RING_SIZE];
        uint32_t owner = HV_POOLS && next == OWN_RING ? HYPERVISOR : next;

        if (owner != line_owner) {
            stage_switch(owner);
        }
        if (!send_owned(character)) {
            return true;
        }
        if (character == '\n') {
            ring->lines_out++;
        }
        __atomic_store_n(&ring->tail, ring->tail + 1u, __ATOMIC_RELEASE);
        moved = true;
    }
    if (moved && line_owner != NOBODY) {
        line_grown = arch_time_ns();
    }
    return false;
}

static bool rings_empty(void)
{
    for (uint32_t i = 0; i < layout.partition_count; i++) {
        if (ring_count(&rings[i]) != 0) {
            return false;
        }
    }
    return !own_waits();
}

/* Moves what can be moved; what stays is left to the console's core, if there is one. */
static void console_drain(void)
{
    bool left = true;

    if (port_try()) {
        left = port_fill() || !rings_empty();
        port_release();
    }
    if (left && layout.console_irq != 0 && __atomic_exchange_n(&alarm, 1u, __ATOMIC_ACQ_REL) == 0) {
        arch_kick(layout.console_cpu);
    }
}

void console_tick(void)
{
    bool left = true;

    if (input_held != 0) {
        console_input();
    }

    if (__atomic_load_n(&alarm, __ATOMIC_ACQUIRE) == 0) {
        return;
    }
    __atomic_store_n(&alarm, 0u, __ATOMIC_RELEASE);
    if (port_try()) {
        left = port_fill() || !rings_empty();
        port_release();
    }
    if (left || input_held != 0) {
        __atomic_store_n(&alarm, 1u, __ATOMIC_RELEASE);
    }
    alarm_console(left || input_held != 0 ? REST_NS : 0);
}

bool console_ready(uint32_t partition)
{
    const struct ring *ring = &rings[partition];

    if (ring->head - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) < RING_SIZE) {
        return true;
    }
    console_drain();
    return ring->head - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) < RING_SIZE;
}

bool console_put(uint32_t partition, uint8_t character)
{
    struct ring *ring = &rings[partition];
    uint32_t head = ring->head;

    if (!console_ready(partition)) {
        return false;
    }
    ring->text[head % RING_SIZE] = character;
    ring->grown = arch_time_ns();
    if (character == '\n') {
        __atomic_store_n(&ring->lines_in, ring->lines_in + 1u, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&ring->head, head + 1u, __ATOMIC_RELEASE);
    console_drain();
    return true;
}

void console_init(void)
{
    serial_init();
}

void console_input_on(void)
{
    serial_receive_on();
}

void console_share(void)
{
    port_shared = true;
}

/* Waits while the port takes something now and then; a port that is stuck loses the rest. */
static void send_all(const char *text, uint32_t count)
{
    uint32_t done = serial_write((const uint8_t *)text, count);
    uint64_t limit = done < count ? arch_time_ns() + SPIN_NS : 0;

    while (done < count && arch_time_ns() < limit) {
        uint32_t more = serial_write((const uint8_t *)text + done, count - done);

        done += more;
        limit = more != 0 ? arch_time_ns() + SPIN_NS : limit;
    }
}

/* The hypervisor's own message may wait for the port, since it must not be lost, but not for ever. */
static bool port_take(void)
{
    uint64_t limit = arch_time_ns() + SPIN_NS;
    bool taken;

    do {
        taken = port_try();
    } while (!taken && arch_time_ns() < limit);
    return taken;
}

/* What was kept comes first. */
static void send_kept(void)
{
    uint64_t limit = arch_time_ns() + SPIN_NS;

    while (own_waits() && arch_time_ns() < limit) {
        (void)port_fill();
    }
}

void console_message(const char *text, uint32_t count)
{
    uint32_t start = 0;

    if (!port_take()) {
        send_all(text, count);  /* whoever has the port stands still: all but the wire stays the holder's */
        return;
    }
    if (HV_POOLS) {
        send_kept();
    }
    while (start < count) {
        uint32_t end = start;

        while (end < count && text[end] != '\n') {
            end++;
        }
        if (line_owner != HYPERVISOR) {
            stage_switch(HYPERVISOR);
            send_all((const char *)stage, stage_count);
            stage_count = stage_at = 0;
        }
        send_all(text + start, end - start);
        if (end < count) {
            send_all("\r\n", 2);
            line_owner = NOBODY;
        }
        start = end + 1u;
    }
    port_release();
}

static void keep(struct ring *ring, const char *text, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ring->text[(ring->head + i) % RING_SIZE] = (uint8_t)text[i];
    }
    __atomic_store_n(&ring->head, ring->head + count, __ATOMIC_RELEASE);
}

void console_later(const char *text, uint32_t count)
{
    static const char lost[] = "messages were lost here: the port is too slow\n";
    struct ring *ring = &rings[OWN_RING];
    uint32_t more;

    if (!HV_POOLS || !port_shared || arch_thread() < layout.cpu_count) {
        console_message(text, count);
        return;
    }
    while (__atomic_exchange_n(&own_lock, 1u, __ATOMIC_ACQUIRE) != 0) {
    }
    more = own_lost ? sizeof(lost) - 1u : 0;
    own_lost = RING_SIZE - (ring->head - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE)) < count + more;
    if (!own_lost) {
        keep(ring, lost, more);
        keep(ring, text, count);
    }
    __atomic_store_n(&own_lock, 0u, __ATOMIC_RELEASE);
    console_drain();
}

static void console_help(void)
{
    print("Ctrl-a ? this help, Ctrl-a Ctrl-a a Ctrl-a for the guest, Ctrl-a n input to partition n:\n");
    for (uint32_t i = 0; i < layout.partition_count; i++) {
        print("  %u %s%s%s\n", i + 1u, layout.partitions[i].name,
              layout.partitions[i].vuart.intid == 0 ? " (no console)" : "", i == focus ? " <- input" : "");
    }
}

static void console_command(uint8_t key)
{
    uint32_t partition = (uint32_t)key - '1';

    if (key == '?') {
        console_help();
    } else if (key >= '1' && partition < layout.partition_count && layout.partitions[partition].vuart.intid != 0) {
        focus = partition;
        print("input goes to %s\n", layout.partitions[focus].name);
    } else if (key == CTRL_A) {
        (void)vuart_receive(focus, CTRL_A);
    } else {
        print("no such console; Ctrl-a ? for help\n");
    }
}

/*
 * A guest that is slow to read makes the port wait, so that nothing typed is lost; one that does not read
 * for GIVE_UP_NS loses characters, since Ctrl-a must get through.
 */
static bool input_must_wait(void)
{
    if (escape || vuart_has_room(focus)) {
        input_held = 0;
        return false;
    }
    if (input_held == 0) {
        input_held = arch_time_ns();
    }
    return arch_time_ns() - input_held < GIVE_UP_NS;
}

static void input_key(uint8_t key)
{
    if (escape) {
        escape = false;
        console_command(key);
    } else if (key == CTRL_A) {
        escape = true;
    } else {
        (void)vuart_receive(focus, key);
    }
}

void console_input(void)
{
    bool wait;
    int key = -1;

    while (!(wait = input_must_wait()) && (key = serial_get()) >= 0) {
        input_key((uint8_t)key);
    }
    serial_receive_ack();
    arch_console_irq(!wait);
    if (wait) {
        __atomic_store_n(&alarm, 1u, __ATOMIC_RELEASE);
        alarm_console(REST_NS);
    }
}
