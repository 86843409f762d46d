/* SPDX-License-Identifier: Apache-2.0 */
/* The linked image: which bytes stand at which physical address when it has been loaded. */
#include "check.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>
#include <unistd.h>

/* Generous: a hypervisor with its guests' images. */
#define SEGMENT_LIMIT (UINT64_C(16) << 30)

static void load_segments(struct elf_image *image, Elf *elf, const char *name)
{
    size_t count = 0;
    size_t file_size = 0;
    const char *file = elf_rawfile(elf, &file_size);

    if (file == NULL || elf_getphdrnum(elf, &count) != 0) {
        unusable("%s: no program headers", name);
    }
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr header;
        struct segment *segment;

        if (gelf_getphdr(elf, (int)i, &header) == NULL) {
            unusable("%s: program header %zu cannot be read", name, i);
        }
        if (header.p_type != PT_LOAD || header.p_memsz == 0) {
            continue;
        }
        if (header.p_filesz > header.p_memsz || header.p_memsz > SEGMENT_LIMIT || header.p_offset > file_size ||
            header.p_filesz > file_size - header.p_offset || header.p_paddr > UINT64_MAX - header.p_memsz) {
            unusable("%s: program header %zu is damaged", name, i);
        }
        for (size_t n = 0; n < image->segment_count; n++) {
            const struct segment *other = &image->segments[n];

            if (header.p_paddr < other->base + other->size && other->base < header.p_paddr + header.p_memsz) {
                unusable("%s: two segments overlap at 0x%" PRIx64, name, (uint64_t)header.p_paddr);
            }
        }
        image->segments = grow(image->segments, sizeof(*segment), image->segment_count, &image->segment_room);
        segment = &image->segments[image->segment_count++];
        segment->base = header.p_paddr;
        segment->virt = header.p_vaddr;
        segment->size = header.p_memsz;
        segment->bytes = alloc(header.p_memsz);
        memcpy(segment->bytes, file + header.p_offset, header.p_filesz);
    }
}

static void load_symbols(struct elf_image *image, Elf *elf, Elf_Scn *scn, const GElf_Shdr *header)
{
    Elf_Data *data = elf_getdata(scn, NULL);
    size_t count = header->sh_entsize != 0 ? header->sh_size / header->sh_entsize : 0;

    for (size_t i = 0; data != NULL && i < count; i++) {
        GElf_Sym symbol;
        const char *name;

        if (gelf_getsym(data, (int)i, &symbol) == NULL || symbol.st_shndx == SHN_UNDEF) {
            continue;
        }
        name = elf_strptr(elf, header->sh_link, symbol.st_name);
        if (name == NULL || name[0] == '\0' || name[0] == '$') {
            continue;
        }
        image->symbols = grow(image->symbols, sizeof(image->symbols[0]), image->symbol_count, &image->symbol_room);
        image->symbols[image->symbol_count++] = (struct elf_symbol){text("%s", name), symbol.st_value};
    }
}

static void load_section(struct elf_image *image, const char *name, const GElf_Shdr *header)
{
    if ((header->sh_flags & SHF_ALLOC) == 0 || header->sh_size == 0) {
        return;
    }
    image->sections = grow(image->sections, sizeof(image->sections[0]), image->section_count, &image->section_room);
    image->sections[image->section_count++] = (struct section){
        .name = text("%s", name != NULL ? name : "?"),
        .base = header->sh_addr,
        .size = header->sh_size,
        .write = (header->sh_flags & SHF_WRITE) != 0,
        .execute = (header->sh_flags & SHF_EXECINSTR) != 0,
    };
}

static void load_sections(struct elf_image *image, Elf *elf, const char *name)
{
    Elf_Scn *scn = NULL;
    size_t names = 0;

    if (elf_getshdrstrndx(elf, &names) != 0) {
        unusable("%s: no section names", name);
    }
    while ((scn = elf_nextscn(elf, scn)) != NULL) {
        GElf_Shdr header;

        if (gelf_getshdr(scn, &header) == NULL) {
            unusable("%s: a section header cannot be read", name);
        }
        load_section(image, elf_strptr(elf, names, header.sh_name), &header);
        if (header.sh_type == SHT_SYMTAB) {
            load_symbols(image, elf, scn, &header);
        }
    }
}

void elf_load(struct elf_image *image, const char *name)
{
    GElf_Ehdr header;
    Elf *elf;
    int file;

    if (elf_version(EV_CURRENT) == EV_NONE) {
        unusable("libelf is too old");
    }
    file = open(name, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        unusable("%s: cannot be read", name);
    }
    elf = elf_begin(file, ELF_C_READ, NULL);
    if (elf == NULL || elf_kind(elf) != ELF_K_ELF || gelf_getehdr(elf, &header) == NULL) {
        unusable("%s: not an ELF file", name);
    }
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        (header.e_machine != EM_AARCH64 && header.e_machine != EM_X86_64)) {
        unusable("%s: not an ELF file for AArch64 or x86-64", name);
    }
    image->arch = header.e_machine == EM_X86_64 ? ARCH_X86 : ARCH_ARM64;
    load_segments(image, elf, name);
    load_sections(image, elf, name);
    elf_end(elf);
    close(file);
}

const uint8_t *elf_at(const struct elf_image *image, uint64_t pa, uint64_t size)
{
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct segment *s = &image->segments[i];

        if (pa >= s->base && pa - s->base <= s->size && size <= s->size - (pa - s->base)) {
            return s->bytes + (pa - s->base);
        }
    }
    return NULL;
}

/* A character of a text, printed as it is or in UTF-8: how many bytes; 0: none. */
static uint64_t character(const uint8_t *at, uint64_t left)
{
    uint64_t size = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;

    if ((at[0] < 0x20 && at[0] != '\n') || at[0] == 0x7f || (at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4 || size > left) {
        return 0;
    }
    for (uint64_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

static bool is_text(const char *start, uint64_t length)
{
    uint64_t size = 1;

    for (uint64_t at = 0; at < length && size != 0; at += size) {
        size = character((const uint8_t *)start + at, length - at);
    }
    return size != 0;
}

const char *elf_string(const struct elf_image *image, uint64_t pa)
{
    const char *start = (const char *)elf_at(image, pa, 1);

    if (start == NULL) {
        return NULL;
    }
    for (uint64_t length = 0; elf_at(image, pa, length + 1) != NULL && length < 4096; length++) {
        if (start[length] == '\0') {
            return is_text(start, length) ? start : NULL;
        }
    }
    return NULL;
}

bool elf_symbol(const struct elf_image *image, const char *name, uint64_t *value)
{
    for (size_t i = 0; i < image->symbol_count; i++) {
        if (strcmp(image->symbols[i].name, name) == 0) {
            *value = image->symbols[i].value;
            return true;
        }
    }
    return false;
}

const char *elf_name_of(const struct elf_image *image, uint64_t address)
{
    for (size_t i = 0; i < image->symbol_count; i++) {
        if (image->symbols[i].value == address && strncmp(image->symbols[i].name, "__", 2) != 0) {
            return image->symbols[i].name;
        }
    }
    return text("0x%" PRIx64, address);
}

const struct section *elf_section_of(const struct elf_image *image, uint64_t pa)
{
    for (size_t i = 0; i < image->section_count; i++) {
        const struct section *s = &image->sections[i];

        if (pa >= s->base && pa - s->base < s->size) {
            return s;
        }
    }
    return NULL;
}
