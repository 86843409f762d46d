/* SPDX-License-Identifier: Apache-2.0 */
/* What was proved, for people and as JSON. */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SHOWN 10u /* violations of one rule in the text; the JSON has all */

static char *vtext(const char *format, va_list args)
{
    char *result = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&result, &size);

    if (stream == NULL || vfprintf(stream, format, args) < 0 || fclose(stream) != 0) {
        unusable("out of memory");
    }
    return result;
}

void violate(struct proof *proof, const char *format, ...)
{
    va_list args;

    proof->violations = grow(proof->violations, sizeof(proof->violations[0]), proof->count, &proof->room);
    va_start(args, format);
    proof->violations[proof->count++] = (struct violation){.message = vtext(format, args)};
    va_end(args);
}

void note(struct proof *proof, const char *format, ...)
{
    struct violation *last = &proof->violations[proof->count - 1];
    va_list args;

    last->notes = grow(last->notes, sizeof(last->notes[0]), last->note_count, &last->note_room);
    va_start(args, format);
    last->notes[last->note_count++] = vtext(format, args);
    va_end(args);
}

static void print_violations(const struct proof *proof)
{
    printf("      rule: %s\n", proof->rule->sentence);
    for (size_t i = 0; i < proof->count && i < SHOWN; i++) {
        const struct violation *v = &proof->violations[i];

        printf("      error: %s\n", v->message);
        for (size_t n = 0; n < v->note_count; n++) {
            printf("        %s\n", v->notes[n]);
        }
    }
    if (proof->count > SHOWN) {
        printf("      and %zu more\n", proof->count - SHOWN);
    }
}

void report_text(const struct world *world, const struct proof *proofs, size_t count, bool quiet)
{
    size_t broken = 0;
    size_t violations = 0;

    for (size_t i = 0; i < count; i++) {
        const struct proof *p = &proofs[i];

        if (p->count != 0) {
            broken++;
            violations += p->count;
            printf("FAIL  %-22s %zu violation%s\n", p->rule->id, p->count, p->count == 1 ? "" : "s");
            print_violations(p);
        } else if (p->skipped) {
            printf("skip  %-22s not tried: what it rests on does not hold\n", p->rule->id);
        } else if (!quiet) {
            printf("ok    %-22s %" PRIu64 " %s\n", p->rule->id, p->checked, p->rule->unit);
        }
    }
    if (broken == 0) {
        printf("hvcheck: %s: %zu properties proved for %" PRIu32 " partition%s\n", world->elf_name, count,
               world->part_count, world->part_count == 1 ? "" : "s");
    } else {
        printf("hvcheck: %s: REFUSED: %zu violation%s of %zu propert%s\n", world->elf_name, violations,
               violations == 1 ? "" : "s", broken, broken == 1 ? "y" : "ies");
    }
}

/* ---------------------------------------------------------------- JSON */

static void json_string(FILE *out, const char *string)
{
    fputc('"', out);
    for (const char *c = string; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            fprintf(out, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20) {
            fprintf(out, "\\u%04x", (unsigned int)(unsigned char)*c);
        } else {
            fputc(*c, out);
        }
    }
    fputc('"', out);
}

static void json_violation(FILE *out, const struct violation *v)
{
    fputs("        {\"message\": ", out);
    json_string(out, v->message);
    fputs(", \"notes\": [", out);
    for (size_t n = 0; n < v->note_count; n++) {
        fputs(n != 0 ? ", " : "", out);
        json_string(out, v->notes[n]);
    }
    fputs("]}", out);
}

static void json_proof(FILE *out, const struct proof *proof)
{
    fputs("    {\"id\": ", out);
    json_string(out, proof->rule->id);
    fputs(", \"sentence\": ", out);
    json_string(out, proof->rule->sentence);
    fprintf(out, ",\n     \"verdict\": \"%s\", \"checked\": %" PRIu64 ", \"unit\": ",
            proof->count != 0 ? "violated"
            : proof->skipped  ? "skipped"
                              : "proved",
            proof->checked);
    json_string(out, proof->rule->unit);
    fputs(", \"violations\": [", out);
    for (size_t i = 0; i < proof->count; i++) {
        fputs(i != 0 ? ",\n" : "\n", out);
        json_violation(out, &proof->violations[i]);
    }
    fputs(proof->count != 0 ? "\n     ]}" : "]}", out);
}

bool report_json(const char *name, const struct world *world, const struct proof *proofs, size_t count)
{
    FILE *out = fopen(name, "w");
    bool proven = true;

    if (out == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        proven = proven && proofs[i].count == 0 && !proofs[i].skipped;
    }
    fputs("{\n  \"elf\": ", out);
    json_string(out, world->elf_name);
    fputs(",\n  \"dtb\": ", out);
    json_string(out, world->dtb_name);
    fputs(",\n  \"system\": ", out);
    json_string(out, world->spec.file);
    fprintf(out, ",\n  \"verdict\": \"%s\",\n  \"rules\": [\n", proven ? "proved" : "violated");
    for (size_t i = 0; i < count; i++) {
        json_proof(out, &proofs[i]);
        fputs(i + 1 < count ? ",\n" : "\n", out);
    }
    fputs("  ]\n}\n", out);
    return fclose(out) == 0;
}
