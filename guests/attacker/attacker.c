/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries to reach what is not its own. Commands come from the command line ("attack=NAME[:ADDRESS]",
 * more after commas) and then from the console. What survives says what it saw and either "held" or
 * "BREACH"; an attack that a hypervisor should end says "attack NAME: going" before and nothing after.
 */
#include "attacker.h"

static uint64_t cpus[16];
static uint32_t breaches, tried;
uint32_t own_cpus;
struct range own_ram;
static volatile uint32_t interrupts_seen;

uint32_t take_interrupts(void)
{
    irq_window();
    uint32_t seen = interrupts_seen;
    interrupts_seen = 0;
    return seen;
}

void (*volatile on_interrupt)(uint32_t irq);

void guest_irq(uint32_t irq)
{
    interrupts_seen++;
    if (on_interrupt != NULL) {
        on_interrupt(irq);
    }
    if (irq == timer_irq()) {
        timer_off();
    } else if (irq == console.intid) {
        console_irq();
    } else if (irq >= 16) {
        line_off(irq);         /* whatever it is, once is enough */
    }
}

void verdict(bool held)
{
    tried++;
    breaches += !held;
    print(": %s\n", held ? "held" : "BREACH");
}

static const struct attack *find_attack(const char *name, size_t length)
{
    for (const struct attack *attack = attacks; attack->name != NULL; attack++) {
        if (strlen(attack->name) == length && memcmp(attack->name, name, length) == 0) {
            return attack;
        }
    }
    return NULL;
}

static void restore(void)
{
    irq_disable();
    line_init();
    if (console.intid != 0) {
        uart_init(&console);
        line_on(console.intid);
        uart_rx_irq(&console);
    }
}

static void run_attack(const struct attack *attack, uint64_t address)
{
    if (attack->ends) {
        print("attack %s: going, 0x%lx\n", attack->name, address);
    }
    attack->run(attack->name, address);
    restore();
}

static void run_all(void)
{
    tried = 0;
    breaches = 0;
    for (const struct attack *attack = attacks; attack->name != NULL; attack++) {
        if (!attack->ends) {
            run_attack(attack, 0);
        }
    }
    print("attacker: %u held, %u breaches\n", tried - breaches, breaches);
}

static void list_attacks(void)
{
    print("attacker: all | list | NAME [ADDRESS]; those with * are meant to be its end\n");
    for (const struct attack *attack = attacks; attack->name != NULL; attack++) {
        print("  %-16s%c %s\n", attack->name, attack->ends ? '*' : ' ', attack->what);
    }
}

/* One command: NAME, then ':' or ' ' and a number. Gives where it ended. */
static const char *run_command(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0' && text[length] != ':' && text[length] != ' ' && text[length] != ',') {
        length++;
    }
    const char *end = text + length;
    uint64_t address = *end == ':' || *end == ' ' ? str_number(end + 1, &end) : 0;
    const struct attack *attack = find_attack(text, length);
    if (attack != NULL) {
        run_attack(attack, address);
    } else if (str_prefix(text, "all")) {
        run_all();
    } else if (str_prefix(text, "list")) {
        list_attacks();
    } else if (length > 0) {
        print("attacker: no such attack; `list` names them\n");
    }
    return end;
}

static void run_bootargs(void)
{
    const char *at = machine_arguments();
    while (*at != '\0' && !str_prefix(at, "attack=")) {
        at++;
    }
    if (*at == '\0') {
        return;
    }
    at += strlen("attack=");
    do {
        at = run_command(at);
    } while (*at == ',' && *++at != '\0');
}

int main(uint64_t early)
{
    static char line[80];
    (void)early;
    own_cpus = machine_cpus(cpus, ARRAY_COUNT(cpus));
    machine_memory(&own_ram, 1);
    print("attacker: ready, %u vCPU%s, RAM 0x%lx to 0x%lx\n", own_cpus, own_cpus == 1 ? "" : "s",
          own_ram.base, own_ram.base + own_ram.size - 1);
    irq_disable();
    line_init();
    uint32_t waiting = take_interrupts();
    if (waiting != 0) {         /* nobody has sent any to this run of the guest, and none is switched on */
        print("attacker: %u interrupts were waiting: BREACH\n", waiting);
    }
    restore();
    run_bootargs();
    for (;;) {
        idle();                     /* interrupts are masked elsewhere: only take_interrupts lets them in */
        take_interrupts();
        while (console_line(line, sizeof(line))) {
            run_command(line);
        }
    }
}
