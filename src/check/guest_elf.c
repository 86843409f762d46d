/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's ELF file: what of it goes where, and where it is entered. Its headers are read with bounds, not believed. */
#include "check.h"

#include <elf.h>
#include <string.h>

#define PVH_NOTE 18u /* XEN_ELFNOTE_PHYS32_ENTRY, "Xen": an address of 4 or 8 bytes */

struct segment_header {
    uint32_t type;
    uint64_t offset, virt, phys, file_size, memory_size;
};

static void from_32(const uint8_t *bytes, struct segment_header *to)
{
    Elf32_Phdr header;

    memcpy(&header, bytes, sizeof(header));
    *to = (struct segment_header){header.p_type,  header.p_offset, header.p_vaddr,
                                  header.p_paddr, header.p_filesz, header.p_memsz};
}

static void from_64(const uint8_t *bytes, struct segment_header *to)
{
    Elf64_Phdr header;

    memcpy(&header, bytes, sizeof(header));
    *to = (struct segment_header){header.p_type,  header.p_offset, header.p_vaddr,
                                  header.p_paddr, header.p_filesz, header.p_memsz};
}

static uint64_t round4(uint64_t size)
{
    return (size + 3) & ~UINT64_C(3);
}

/* The PVH entry among the notes of [bytes, bytes + size): true if there is one. */
static bool pvh_entry(const uint8_t *bytes, uint64_t size, uint64_t *entry)
{
    Elf32_Nhdr note;

    for (uint64_t at = 0; at <= size && size - at >= sizeof(note);) {
        uint64_t name = at + sizeof(note);
        uint64_t value;

        memcpy(&note, bytes + at, sizeof(note));
        value = name + round4(note.n_namesz);
        if (note.n_namesz > size || note.n_descsz > size || value > size || note.n_descsz > size - value) {
            return false;
        }
        if (note.n_type == PVH_NOTE && note.n_namesz == 4 && memcmp(bytes + name, "Xen", 4) == 0 &&
            (note.n_descsz == 4 || note.n_descsz == 8)) {
            *entry = 0;
            memcpy(entry, bytes + value, note.n_descsz);
            return true;
        }
        at = value + round4(note.n_descsz);
    }
    return false;
}

static void add_segment(struct elf_guest *guest, const struct segment_header *s, const uint8_t *bytes)
{
    guest->segments = grow(guest->segments, sizeof(guest->segments[0]), guest->count, &guest->room);
    guest->segments[guest->count++] = (struct segment){.base = s->phys,
                                                       .size = s->file_size,
                                                       .virt = s->virt,
                                                       .bytes = (uint8_t *)(uintptr_t)(bytes + s->offset)};
}

/* The program headers' place, their number and size; the entry into guest->entry. */
static bool read_header(struct elf_guest *guest, enum arch arch, const uint8_t *bytes, size_t size, uint64_t *at,
                        uint32_t *count, bool *wide)
{
    Elf64_Ehdr header;
    Elf32_Ehdr small;

    if (size < sizeof(header) || memcmp(bytes, ELFMAG, SELFMAG) != 0 || bytes[EI_DATA] != ELFDATA2LSB) {
        return false;
    }
    *wide = bytes[EI_CLASS] == ELFCLASS64;
    if (*wide) {
        memcpy(&header, bytes, sizeof(header));
        *at = header.e_phoff;
        *count = header.e_phnum;
        guest->entry = header.e_entry;
        return header.e_machine == (arch == ARCH_X86 ? EM_X86_64 : EM_AARCH64) &&
               header.e_phentsize == sizeof(Elf64_Phdr);
    }
    memcpy(&small, bytes, sizeof(small));
    *at = small.e_phoff;
    *count = small.e_phnum;
    guest->entry = small.e_entry;
    return arch == ARCH_X86 && bytes[EI_CLASS] == ELFCLASS32 && small.e_machine == EM_386 &&
           small.e_phentsize == sizeof(Elf32_Phdr);
}

bool elf_guest_load(struct elf_guest *guest, enum arch arch, const uint8_t *bytes, size_t size)
{
    uint64_t at = 0, entry = 0, pvh = 0;
    uint32_t count = 0;
    bool wide = false, found = false;

    if (!read_header(guest, arch, bytes, size, &at, &count, &wide)) {
        return false;
    }
    entry = guest->entry;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t step = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
        struct segment_header s = {0};

        if (at > size || size - at < step * (i + 1)) {
            return false;
        }
        (wide ? from_64 : from_32)(bytes + at + step * i, &s);
        if (s.file_size != 0 && (s.offset > size || s.file_size > size - s.offset)) {
            return false;
        }
        found = found || (arch == ARCH_X86 && s.type == PT_NOTE && pvh_entry(bytes + s.offset, s.file_size, &pvh));
        if (s.type != PT_LOAD || s.memory_size == 0) {
            continue;
        }
        add_segment(guest, &s, bytes);
        if (entry >= s.virt && entry - s.virt < s.memory_size) {
            guest->entry = entry - s.virt + s.phys;
        }
    }
    guest->entry = found ? pvh : guest->entry;
    return guest->count != 0;
}
