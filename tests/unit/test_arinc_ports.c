/* SPDX-License-Identifier: Apache-2.0 */
/* tests: ../guests/common/arinc_ports.c */
/* Ports with an honest other side, with one that stops anywhere, and with one that writes what it likes. */
#include <arinc_ports.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM   29u      /* no multiple of 8 */
#define COUNT  4u
#define PERIOD UINT64_C(1000)

static uint64_t memory[256], position[8];
static struct sampling_port source, destination;
static struct queuing_port sender, receiver;

/* Exactly as large as they may have to be: the sanitiser sees each byte too much. */
static uint8_t *exact(uint32_t size)
{
    return malloc(size);
}

static uint64_t address(void *at)
{
    return (uint64_t)(uintptr_t)at;
}

static void open_sampling(void)
{
    memset(memory, 0, sizeof(memory));
    assert_true(sampling_open_source(&source, address(memory), sizeof(memory), ROOM));
    assert_true(sampling_open_destination(&destination, address(memory), sizeof(memory), ROOM, PERIOD));
}

static void write_text(const char *text, uint64_t now)
{
    uint32_t length = (uint32_t)strlen(text);
    uint8_t *message = exact(length);

    memcpy(message, text, length);
    assert_int_equal(sampling_write(&source, message, length, now), PORT_OK);
    free(message);
}

/* The text, "" if there is none; *valid as the port has it. */
static const char *read_text(uint64_t now, bool *valid)
{
    static char text[ROOM + 1];
    uint8_t *message = exact(ROOM);
    uint32_t length = 0;
    enum port_status status = sampling_read(&destination, message, &length, valid, now);

    assert_true(status == PORT_OK || length == 0);
    memset(text, 0, sizeof(text));
    memcpy(text, message, length);
    free(message);
    return text;
}

/* ---------------------------------------------------------------- sampling */

static void sampling_keeps_the_last(void **state)
{
    uint32_t length;
    uint8_t message[ROOM];
    bool valid;

    (void)state;
    open_sampling();
    assert_int_equal(sampling_read(&destination, message, &length, &valid, 0), PORT_EMPTY);
    assert_false(valid);
    write_text("one", 0);
    assert_string_equal(read_text(0, &valid), "one");
    assert_string_equal(read_text(0, &valid), "one");     /* reading takes nothing away */
    write_text("and a longer one of 29 bytes!", 0);
    write_text("three", 0);
    assert_string_equal(read_text(0, &valid), "three");
    write_text("and a longer one of 29 bytes!", 0);
    assert_string_equal(read_text(0, &valid), "and a longer one of 29 bytes!");
}

static void sampling_ages(void **state)
{
    bool valid;

    (void)state;
    open_sampling();
    write_text("x", 5000);
    assert_string_equal(read_text(5000, &valid), "x");
    assert_true(valid);
    read_text(5000 + PERIOD, &valid);
    assert_true(valid);
    assert_string_equal(read_text(5001 + PERIOD, &valid), "x");   /* is there, but not valid */
    assert_false(valid);
    read_text(4999, &valid);                                       /* clocks a little apart */
    assert_true(valid);
    read_text(5000 - PERIOD - 1, &valid);                          /* from a future that nobody should have */
    assert_false(valid);
}

static void sampling_refuses_what_does_not_fit(void **state)
{
    uint64_t words[8] = {0};

    (void)state;
    open_sampling();
    assert_int_equal(sampling_write(&source, words, ROOM + 1, 0), PORT_INVALID);
    assert_int_equal(sampling_write(&source, words, 0, 0), PORT_INVALID);
    assert_false(sampling_open_source(&source, address(memory), sampling_size(ROOM) - 1, ROOM));
    assert_true(sampling_open_source(&source, address(memory), sampling_size(ROOM), ROOM));
    assert_false(sampling_open_source(&source, address(memory) + 4, sizeof(memory), ROOM));
    assert_false(sampling_open_source(&source, address(memory), sizeof(memory), 0));
    assert_false(sampling_open_source(&source, address(memory), sizeof(memory), UINT32_MAX));
}

/* A message is written in words; after each prefix of them the source may be gone. */
static void sampling_survives_a_source_that_stops_anywhere(void **state)
{
    uint64_t before[sizeof(memory) / 8], after[sizeof(memory) / 8];
    bool valid;

    (void)state;
    open_sampling();
    write_text("first", 0);
    memcpy(before, memory, sizeof(memory));
    write_text("second", 0);
    memcpy(after, memory, sizeof(memory));
    for (uint32_t stop = 0; stop < 40; stop++) {
        memcpy(memory, before, sizeof(memory));
        for (uint32_t i = 1; i <= stop; i++) {    /* the word with the number comes last */
            memory[i] = after[i];
        }
        assert_string_equal(read_text(0, &valid), "first");
        assert_true(sampling_open_source(&source, address(memory), sizeof(memory), ROOM));
        write_text("restarted", 0);
        assert_string_equal(read_text(0, &valid), "restarted");
    }
}

static void sampling_survives_any_memory(void **state)
{
    bool valid;

    (void)state;
    open_sampling();
    srand(1);
    for (uint32_t round = 0; round < 200000; round++) {
        for (uint32_t i = 0; i < 20; i++) {
            memory[(uint32_t)rand() % 20u] = rand() % 3 != 0 ? (uint64_t)(rand() % 64) : (uint64_t)rand() << 33 | (uint32_t)rand();
        }
        (void)read_text((uint64_t)rand(), &valid);
    }
    memory[0] = UINT64_MAX;    /* the number of its last message, says a hostile peer */
    assert_true(sampling_open_source(&source, address(memory), sizeof(memory), ROOM));
    write_text("on", 0);
    assert_string_equal(read_text(0, &valid), "on");
}

static volatile bool done;

static void *write_without_end(void *unused)
{
    uint64_t message[3];

    for (uint64_t i = 1; !done; i++) {
        message[0] = i;
        message[1] = ~i;
        message[2] = i * 3u;
        (void)sampling_write(&source, message, sizeof(message), i);
    }
    return unused;
}

static void sampling_is_never_torn(void **state)
{
    uint64_t message[4];
    uint32_t length, seen = 0;
    pthread_t writer;
    bool valid;

    (void)state;
    open_sampling();
    done = false;
    pthread_create(&writer, NULL, write_without_end, NULL);
    for (uint32_t i = 0; i < 300000; i++) {
        if (sampling_read(&destination, message, &length, &valid, 0) == PORT_OK) {
            assert_int_equal(length, 24);
            assert_true(message[1] == ~message[0] && message[2] == message[0] * 3u);
            seen++;
        }
    }
    done = true;
    pthread_join(writer, NULL);
    assert_true(seen > 1000);
}

/* ---------------------------------------------------------------- queuing */

static void open_queue(void)
{
    memset(memory, 0, sizeof(memory));
    memset(position, 0, sizeof(position));
    assert_true(queuing_open(&sender, true, address(memory), sizeof(memory), address(position), ROOM, COUNT));
    assert_true(queuing_open(&receiver, false, address(memory), sizeof(memory), address(position), ROOM, COUNT));
}

static enum port_status send_number(uint64_t number, bool lose)
{
    uint64_t *message = (uint64_t *)(void *)exact(8);
    enum port_status status;

    *message = number;
    status = queuing_send(&sender, message, 8, lose);
    free(message);
    return status;
}

static enum port_status receive_number(uint64_t *number)
{
    uint8_t *message = exact(ROOM);
    uint32_t length;
    enum port_status status = queuing_receive(&receiver, message, &length);

    *number = 0;
    memcpy(number, message, length < 8u ? length : 8u);
    free(message);
    return status;
}

static void expect_number(enum port_status status, uint64_t number)
{
    uint64_t found;

    assert_int_equal(receive_number(&found), status);
    assert_int_equal(found, number);
}

static void queuing_keeps_order_and_boundaries(void **state)
{
    uint8_t long_one[ROOM], found[ROOM];
    uint32_t length;

    (void)state;
    open_queue();
    expect_number(PORT_EMPTY, 0);
    for (uint64_t i = 1; i <= 100; i++) {
        assert_int_equal(send_number(i, false), PORT_OK);
        assert_int_equal(send_number(i + 1000, false), PORT_OK);
        assert_int_equal(queuing_waiting(&receiver), 2);
        expect_number(PORT_OK, i);
        expect_number(PORT_OK, i + 1000);
    }
    memset(long_one, 0x5a, sizeof(long_one));
    assert_int_equal(queuing_send(&sender, long_one, ROOM, false), PORT_OK);
    assert_int_equal(queuing_send(&sender, "x", 1, false), PORT_OK);
    assert_int_equal(queuing_receive(&receiver, found, &length), PORT_OK);
    assert_int_equal(length, ROOM);
    assert_memory_equal(found, long_one, ROOM);
    assert_int_equal(queuing_receive(&receiver, found, &length), PORT_OK);
    assert_int_equal(length, 1);
}

static void queuing_says_full_and_overflow(void **state)
{
    (void)state;
    open_queue();
    for (uint64_t i = 1; i <= COUNT; i++) {
        assert_int_equal(send_number(i, false), PORT_OK);
    }
    assert_int_equal(send_number(5, false), PORT_FULL);      /* kept by the caller: nothing is lost */
    expect_number(PORT_OK, 1);
    assert_int_equal(send_number(5, false), PORT_OK);
    assert_int_equal(send_number(6, true), PORT_FULL);
    assert_int_equal(send_number(7, true), PORT_FULL);
    expect_number(PORT_OVERFLOW, 2);                         /* told once */
    for (uint64_t i = 3; i <= 5; i++) {
        expect_number(PORT_OK, i);
    }
    expect_number(PORT_EMPTY, 0);
}

static void queuing_refuses_what_does_not_fit(void **state)
{
    uint64_t words[8] = {0};

    (void)state;
    open_queue();
    assert_int_equal(queuing_send(&sender, words, ROOM + 1, false), PORT_INVALID);
    assert_int_equal(queuing_send(&sender, words, 0, false), PORT_INVALID);
    assert_false(queuing_open(&sender, true, address(memory), queuing_ring_size(ROOM, COUNT) - 1, address(position), ROOM, COUNT));
    assert_false(queuing_open(&sender, true, address(memory), sizeof(memory), address(position) + 1, ROOM, COUNT));
    assert_false(queuing_open(&sender, true, address(memory), sizeof(memory), address(position), ROOM, 0));
    assert_false(queuing_open(&sender, true, address(memory), UINT64_MAX, address(position), UINT32_MAX, UINT32_MAX));
}

static void queuing_goes_on_after_a_restart(void **state)
{
    (void)state;
    open_queue();
    assert_int_equal(send_number(1, false), PORT_OK);
    assert_int_equal(send_number(2, false), PORT_OK);
    expect_number(PORT_OK, 1);
    assert_true(queuing_open(&receiver, false, address(memory), sizeof(memory), address(position), ROOM, COUNT));
    expect_number(PORT_OK, 2);
    assert_true(queuing_open(&sender, true, address(memory), sizeof(memory), address(position), ROOM, COUNT));
    assert_int_equal(send_number(3, false), PORT_OK);
    expect_number(PORT_OK, 3);
}

static void queuing_survives_a_hostile_destination(void **state)
{
    uint64_t *guard = (uint64_t *)(void *)exact((uint32_t)queuing_ring_size(ROOM, COUNT));

    (void)state;
    open_queue();
    memset(guard, 0, queuing_ring_size(ROOM, COUNT));
    assert_true(queuing_open(&sender, true, address(guard), queuing_ring_size(ROOM, COUNT), address(position), ROOM, COUNT));
    srand(2);
    for (uint32_t round = 0; round < 200000; round++) {
        enum port_status status;

        position[0] = rand() % 2 != 0 ? sender.head - (uint64_t)(rand() % 9) + 3u : (uint64_t)rand() << 34;
        status = send_number(round, rand() % 2 != 0);
        assert_true(status == PORT_OK || status == PORT_FULL);
    }
    position[0] = sender.head;
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(send_number(i, false), PORT_OK);
    }
    position[0] = sender.head + 1u;            /* received more than was sent: not believed, nothing is overwritten */
    assert_int_equal(send_number(1, false), PORT_FULL);
    free(guard);
}

static void queuing_survives_a_hostile_source(void **state)
{
    uint64_t number;

    (void)state;
    open_queue();
    srand(3);
    for (uint32_t round = 0; round < 200000; round++) {
        uint64_t before = receiver.tail;

        memory[0] = rand() % 2 != 0 ? receiver.tail + (uint64_t)(rand() % 9) - 2u : (uint64_t)rand() << 34;
        for (uint32_t i = 1; i < 24; i++) {
            memory[i] = rand() % 2 != 0 ? (uint64_t)(rand() % 64) : (uint64_t)rand() << 33;
        }
        (void)receive_number(&number);
        assert_true(receiver.tail - before <= 1u || receiver.tail == memory[0]);
    }
    memory[0] = 0;                             /* a source that begins anew from 0 is understood again */
    assert_int_equal(receive_number(&number), PORT_INVALID);
    assert_true(queuing_open(&sender, true, address(memory), sizeof(memory), address(position), ROOM, COUNT));
    assert_int_equal(send_number(9, false), PORT_OK);
    (void)receive_number(&number);
    assert_int_equal(number, 9);
}

static void *send_many(void *unused)
{
    for (uint64_t i = 1; i <= 100000; i++) {
        while (send_number(i, false) == PORT_FULL) {
        }
    }
    return unused;
}

static void queuing_loses_nothing_between_two_cores(void **state)
{
    pthread_t thread;
    uint64_t number;

    (void)state;
    open_queue();
    pthread_create(&thread, NULL, send_many, NULL);
    for (uint64_t i = 1; i <= 100000; i++) {
        while (receive_number(&number) == PORT_EMPTY) {
        }
        assert_int_equal(number, i);
    }
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sampling_keeps_the_last),
        cmocka_unit_test(sampling_ages),
        cmocka_unit_test(sampling_refuses_what_does_not_fit),
        cmocka_unit_test(sampling_survives_a_source_that_stops_anywhere),
        cmocka_unit_test(sampling_survives_any_memory),
        cmocka_unit_test(sampling_is_never_torn),
        cmocka_unit_test(queuing_keeps_order_and_boundaries),
        cmocka_unit_test(queuing_says_full_and_overflow),
        cmocka_unit_test(queuing_refuses_what_does_not_fit),
        cmocka_unit_test(queuing_goes_on_after_a_restart),
        cmocka_unit_test(queuing_survives_a_hostile_destination),
        cmocka_unit_test(queuing_survives_a_hostile_source),
        cmocka_unit_test(queuing_loses_nothing_between_two_cores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
