/* SPDX-License-Identifier: Apache-2.0 */
/* tests: core/vuart_16550.c */
/*
 * Against National's PC16550D data sheet and what Linux's 8250 driver does with the chip. Interrupts are edges,
 * as the I/O APIC takes them: a test counts how often the line goes up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <hv/arch.h>
#include <hv/console.h>
#include <hv/layout.h>
#include <hv/vuart.h>

#define DATA  0u
#define IER   1u
#define IIR   2u
#define FCR   2u
#define LCR   3u
#define MCR   4u
#define LSR   5u
#define MSR   6u
#define SCR   7u

#define RX    1u
#define TX    2u
#define NONE  1u
#define IS_TX 2u
#define IS_RX 4u
#define EMPTY 0x60u
#define LOOP  0x10u
#define DLAB  0x80u

static const struct layout_partition partitions[2] = {
    { .name = "linux", .vuart = { { 0x3f8 }, 4, 0 } }, { .name = "mute" } };
const struct layout layout = { .partition_count = 2, .partitions = partitions };

static bool level;
static uint32_t edges, room;
static char sent[256];
static void (*before_level)(bool up);   /* another core, just before the level of the line is set */

void arch_irq_line(const struct layout_partition *config, uint32_t intid, bool up)
{
    void (*call)(bool up) = before_level;

    assert_ptr_equal(config, &partitions[0]);
    assert_int_equal(intid, 4);
    before_level = NULL;
    if (call != NULL) {
        call(up);
    }
    edges += !level && up ? 1u : 0;
    level = up;
}

bool console_ready(uint32_t partition)
{
    assert_int_equal(partition, 0);
    return room != 0;
}

bool console_put(uint32_t partition, uint8_t character)
{
    size_t used = strlen(sent);

    if (!console_ready(partition)) {
        return false;
    }
    room--;
    sent[used] = (char)character;
    sent[used + 1] = '\0';
    return true;
}

static uint32_t in(uint32_t offset) { return (uint32_t)vuart_read(0, offset); }
static void out(uint32_t offset, uint32_t value) { vuart_write(0, offset, value); }

static uint32_t new_edges(void)
{
    uint32_t count = edges;

    edges = 0;
    return count;
}

static int setup(void **state)
{
    (void)state;
    before_level = NULL;
    room = 200;
    sent[0] = '\0';
    vuart_reset(0);
    edges = 0;
    return 0;
}

static void after_reset(void **state)
{
    (void)state;
    out(IER, 0xf);
    out(FCR, 1);
    out(LCR, 0x83);
    out(DATA, 1);
    out(MCR, 0x1f);
    out(SCR, 0x55);
    assert_true(vuart_receive(0, 'x'));
    vuart_reset(0);
    assert_false(level);
    assert_int_equal(in(IER), 0);        /* data sheet, table III */
    assert_int_equal(in(IIR), 1);
    assert_int_equal(in(LCR), 0);
    assert_int_equal(in(MCR), 0);
    assert_int_equal(in(LSR), 0x60);
    assert_int_equal(in(DATA), 0);
}

static void registers_that_are_memory(void **state)
{
    (void)state;
    for (uint32_t value = 0; value < 256; value++) {
        out(SCR, value);
        assert_int_equal(in(SCR), value);
        out(MCR, value);
        assert_int_equal(in(MCR), value & 0x1f);
        out(LCR, value & 0x7f);
        assert_int_equal(in(LCR), value & 0x7f);
        out(IER, value);
        assert_int_equal(in(IER), value & 0xf);
        out(LSR, value);                 /* these two are not written */
        out(MSR, value);
        assert_int_equal(in(LSR), EMPTY);
    }
    out(MCR, 0);
    assert_int_equal(in(MSR), 0xb0);
}

static void the_divisor(void **state)
{
    (void)state;
    out(IER, 3);
    (void)in(IIR);
    out(LCR, DLAB | 3);
    out(DATA, 0x0c);
    out(IER, 0x12);
    assert_int_equal(in(DATA), 0x0c);
    assert_int_equal(in(IER), 0x12);
    assert_int_equal(in(LSR), EMPTY);
    out(SCR, 7);
    assert_int_equal(in(SCR), 7);
    out(LCR, 3);
    assert_int_equal(in(IER), 3);
    assert_string_equal(sent, "");
    assert_int_equal(in(DATA), 0);
}

static void sends(void **state)
{
    (void)state;
    for (const char *c = "hello\n"; *c != '\0'; c++) {
        assert_int_equal(in(LSR), EMPTY);
        out(DATA, 0xab00u | (uint8_t)*c);
    }
    assert_string_equal(sent, "hello\n");
    assert_int_equal(edges, 0);          /* no interrupt is on */
}

/* 8250_port.c, autoconfig(): is there a chip, and which one? */
static void linux_finds_a_16550a(void **state)
{
    uint32_t first, second;

    (void)state;
    out(IER, 0);
    first = in(IER) & 0xf;
    out(IER, 0xf);
    second = in(IER) & 0xf;
    out(IER, 0);
    assert_true(first == 0 && second == 0xf);
    out(MCR, LOOP | 0xa);
    assert_int_equal(in(MSR) & 0xf0, 0x90);
    out(MCR, 0);
    out(LCR, 0xbf);                      /* EFR would be here */
    out(FCR, 0);
    out(LCR, 0);
    out(FCR, 1);
    assert_int_equal(in(IIR) >> 6, 3);
    out(LCR, DLAB);                      /* autoconfig_16550a(): has it more than a 16550A? */
    assert_int_not_equal(in(2), 0);
    out(LCR, 0xbf);
    assert_int_not_equal(in(2), 0);
    out(LCR, 0);
    first = in(MCR);
    out(LCR, 0xe0);
    second = in(2);                      /* EXCR1 of National's Super I/O */
    assert_int_equal((first ^ second) & LOOP, 0);
    out(LCR, 0);
    out(MCR, first ^ LOOP);
    out(LCR, 0xe0);
    second = in(2);
    out(LCR, 0);
    out(MCR, first);
    assert_int_equal((first ^ second) & LOOP, 0);
    out(FCR, 1 | 0x20);                  /* TI 16750: a FIFO of 64 */
    first = in(IIR) >> 5;
    out(FCR, 1);
    out(LCR, DLAB);
    out(FCR, 1 | 0x20);
    second = in(IIR) >> 5;
    out(FCR, 1);
    out(LCR, 0);
    assert_int_equal(first, 6);
    assert_int_equal(second, 6);
    out(IER, 0x40);                      /* XScale */
    assert_int_equal(in(IER) & 0x40, 0);
}

/* serial8250_do_startup(): interrupts of an empty transmitter. */
static void linux_starts_it_up(void **state)
{
    (void)state;
    out(FCR, 1);
    out(FCR, 7);
    out(FCR, 0);
    (void)in(LSR);
    (void)in(DATA);
    (void)in(IIR);
    (void)in(MSR);
    assert_int_not_equal(in(LSR), 0xff);
    out(LCR, 3);
    out(IER, TX);                        /* UART_BUG_THRE */
    assert_int_equal(in(IIR) & 0xf, IS_TX);
    out(IER, 0);
    assert_int_equal(in(IIR) & 0xf, NONE);
    out(IER, TX);
    assert_int_equal(in(IIR) & 0xf, IS_TX);
    out(IER, 0);
    out(MCR, 8);
    out(IER, TX);                        /* UART_BUG_TXEN */
    assert_int_equal(in(LSR) & 0x40, 0x40);
    assert_int_equal(in(IIR) & 1, 0);
    out(IER, 0);
    assert_int_equal(new_edges(), 3);
    assert_false(level);
}

static void the_interrupt_of_an_empty_transmitter(void **state)
{
    (void)state;
    out(FCR, 1);
    out(IER, TX);
    assert_int_equal(new_edges(), 1);
    assert_int_equal(in(IIR), 0xc0 | IS_TX);     /* reading it clears it (data sheet 8.6.3) */
    assert_false(level);
    assert_int_equal(in(IIR), 0xc0 | NONE);
    assert_int_equal(new_edges(), 0);
    out(DATA, 'a');                              /* and writing a character gives the next */
    assert_int_equal(new_edges(), 1);
    out(DATA, 'b');
    assert_int_equal(new_edges(), 1);
    assert_int_equal(in(IIR), 0xc0 | IS_TX);
    out(IER, TX);                                /* it was on: no new one */
    assert_int_equal(new_edges(), 0);
    out(IER, 0);
    out(DATA, 'c');
    assert_int_equal(new_edges(), 0);
    out(FCR, 0);
    assert_int_equal(in(IIR), NONE);
}

static void received_characters(void **state)
{
    (void)state;
    out(IER, RX);
    assert_int_equal(new_edges(), 0);
    assert_true(vuart_receive(0, 'x'));
    assert_int_equal(new_edges(), 1);
    assert_int_equal(in(LSR), EMPTY | 1);
    assert_int_equal(in(IIR), IS_RX);
    assert_int_equal(in(IIR), IS_RX);            /* until it is read */
    assert_true(vuart_receive(0, 'y'));
    assert_int_equal(new_edges(), 0);
    assert_int_equal(in(DATA), 'x');
    assert_int_equal(new_edges(), 1);            /* there is another */
    assert_int_equal(in(DATA), 'y');
    assert_int_equal(new_edges(), 0);
    assert_false(level);
    assert_int_equal(in(LSR), EMPTY);
    assert_int_equal(in(DATA), 0);
    assert_int_equal(in(IIR), NONE);
}

static void reception_goes_before_transmission(void **state)
{
    (void)state;
    out(IER, RX | TX);
    assert_true(vuart_receive(0, 'x'));
    assert_int_equal(in(IIR), IS_RX);
    assert_int_equal(in(DATA), 'x');
    assert_true(level);
    assert_int_equal(in(IIR), IS_TX);
    assert_int_equal(in(IIR), NONE);
    assert_false(level);
}

static void characters_wait_for_the_interrupt_to_go_on(void **state)
{
    (void)state;
    assert_true(vuart_receive(0, 'x'));
    assert_int_equal(new_edges(), 0);
    out(IER, RX);
    assert_int_equal(new_edges(), 1);
    out(IER, 0);
    assert_false(level);
}

static void a_full_fifo_refuses(void **state)
{
    uint32_t count = 0;

    (void)state;
    while (vuart_has_room(0)) {
        assert_true(vuart_receive(0, (uint8_t)count));
        count++;
    }
    assert_int_equal(count, 64);
    assert_false(vuart_receive(0, 'x'));
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(in(DATA), i);
    }
    assert_true(vuart_has_room(0));
    assert_true(vuart_receive(0, 'x'));
    out(IER, RX);
    assert_true(level);
    out(FCR, 3);                                 /* clears it */
    assert_false(level);
    assert_int_equal(in(LSR), EMPTY);
}

static void no_uart_has_no_characters(void **state)
{
    (void)state;
    assert_true(vuart_has_room(1));
    assert_false(vuart_receive(1, 'x'));
}

static void loop_back(void **state)
{
    (void)state;
    out(MCR, LOOP);
    out(IER, RX);
    out(DATA, 'l');
    assert_string_equal(sent, "");
    assert_int_equal(in(LSR), EMPTY | 1);
    assert_int_equal(new_edges(), 1);
    assert_int_equal(in(DATA), 'l');
    for (uint32_t i = 0; i < 100; i++) {         /* more than the FIFO takes: an overrun, nothing worse */
        out(DATA, i);
    }
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(in(DATA), i);
    }
    assert_int_equal(in(LSR), EMPTY);
    for (uint32_t bits = 0; bits < 16; bits++) { /* DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD */
        out(MCR, LOOP | bits);
        assert_int_equal(in(MSR), (bits & 1) << 5 | (bits & 2) << 3 | (bits & 4) << 4 | (bits & 8) << 4);
    }
}

/* ---------------------------------------------------------------- a console that is slower than the guest */

/* As serial8250_tx_chars(): after a look at LSR a FIFO full of characters, then the next interrupt is awaited. */
static uint32_t linux_interrupt(const char *text, uint32_t done, uint32_t count)
{
    while ((in(IIR) & 1) == 0) {
        uint32_t status = in(LSR);

        for (uint32_t i = 0; (status & 0x20) != 0 && i < 16 && done < count; i++) {
            out(DATA, (uint8_t)text[done++]);
        }
        if (done == count) {
            out(IER, 0);
        }
        if ((status & 0x20) == 0) {
            break;                               /* its limit of passes; the line has to come again */
        }
    }
    return done;
}

static void nothing_is_lost_to_a_full_console(void **state)
{
    char text[201];
    uint32_t done = 0, interrupts = 0, waits = 0;

    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        text[i] = (char)('0' + i % 64);
    }
    text[200] = '\0';
    room = 0;
    out(FCR, 1);
    out(IER, TX);
    while (strlen(sent) < 200) {
        if (new_edges() != 0) {
            done = linux_interrupt(text, done, 200);
            interrupts++;
        } else {
            assert_true(done == 200);            /* else the guest waits for an interrupt that does not come */
            (void)in(LSR);
        }
        room += ++waits % 3 == 0 ? 1 : 0;
        assert_true(waits < 2000);
    }
    assert_string_equal(sent, text);
}

static void the_transmitter_is_not_empty_while_characters_wait(void **state)
{
    (void)state;
    room = 2;
    out(FCR, 1);
    out(DATA, 'a');
    assert_int_equal(in(LSR) & EMPTY, EMPTY);
    out(DATA, 'a');
    assert_int_equal(in(LSR) & EMPTY, 0);        /* a single character would stay here */
    out(DATA, 'b');
    assert_int_equal(in(LSR) & EMPTY, 0);
    for (uint32_t i = 0; i < 15; i++) {
        out(DATA, 'c');
    }
    out(DATA, 'd');                              /* an overrun, as in the chip */
    assert_string_equal(sent, "aa");
    room = 100;
    assert_int_equal(in(LSR) & EMPTY, EMPTY);
    assert_string_equal(sent, "aabccccccccccccccc");
    room = 0;
    out(DATA, 'e');
    out(FCR, 5);                                 /* clears it */
    room = 100;
    assert_int_equal(in(LSR) & EMPTY, EMPTY);
    assert_string_equal(sent, "aabccccccccccccccc");
    room = 0;
    out(DATA, 'f');
    vuart_reset(0);
    room = 100;
    assert_int_equal(in(LSR) & EMPTY, EMPTY);
    assert_string_equal(sent, "aabccccccccccccccc");
}

/* ---------------------------------------------------------------- the console's core and the guest's at once */

static void guest_reads(bool up)
{
    assert_true(up);
    assert_int_equal(in(DATA), 'x');
}

/*
 * The console's core has seen a character in the FIFO and is about to raise the line; meanwhile the guest takes
 * it. The line is up for nothing then: the next character must give an edge all the same.
 */
static void a_character_that_is_read_too_early(void **state)
{
    (void)state;
    out(IER, RX);
    before_level = guest_reads;
    assert_true(vuart_receive(0, 'x'));
    assert_int_equal(new_edges(), 1);
    assert_int_equal(in(IIR), NONE);             /* the guest's interrupt handler finds nothing */
    assert_true(vuart_receive(0, 'y'));
    assert_int_equal(new_edges(), 1);
    assert_int_equal(in(IIR), IS_RX);
    assert_int_equal(in(DATA), 'y');
}

static void character_comes(bool up)
{
    assert_false(up);
    assert_true(vuart_receive(0, 'z'));
}

/* One that comes while the guest reads the last, or looks in vain, gives an edge. */
static void a_character_that_comes_meanwhile(void **state)
{
    (void)state;
    out(IER, RX);
    assert_true(vuart_receive(0, 'x'));
    (void)new_edges();
    before_level = character_comes;
    assert_int_equal(in(DATA), 'x');
    assert_true(new_edges() >= 1 && level);
    assert_int_equal(in(DATA), 'z');
    before_level = character_comes;
    assert_int_equal(in(IIR), NONE);
    assert_true(new_edges() >= 1 && level);
    assert_int_equal(in(DATA), 'z');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(after_reset, setup),
        cmocka_unit_test_setup(registers_that_are_memory, setup),
        cmocka_unit_test_setup(the_divisor, setup),
        cmocka_unit_test_setup(sends, setup),
        cmocka_unit_test_setup(linux_finds_a_16550a, setup),
        cmocka_unit_test_setup(linux_starts_it_up, setup),
        cmocka_unit_test_setup(the_interrupt_of_an_empty_transmitter, setup),
        cmocka_unit_test_setup(received_characters, setup),
        cmocka_unit_test_setup(reception_goes_before_transmission, setup),
        cmocka_unit_test_setup(characters_wait_for_the_interrupt_to_go_on, setup),
        cmocka_unit_test_setup(a_full_fifo_refuses, setup),
        cmocka_unit_test_setup(no_uart_has_no_characters, setup),
        cmocka_unit_test_setup(loop_back, setup),
        cmocka_unit_test_setup(nothing_is_lost_to_a_full_console, setup),
        cmocka_unit_test_setup(the_transmitter_is_not_empty_while_characters_wait, setup),
        cmocka_unit_test_setup(a_character_that_is_read_too_early, setup),
        cmocka_unit_test_setup(a_character_that_comes_meanwhile, setup),
    };

    return cmocka_run_group_tests_name("vuart_16550", tests, NULL, NULL);
}
