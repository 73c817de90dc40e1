/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 loader.
 *
 * Sources: 'Multiboot Specification version 0.6.96': 'OS image format', 'Machine state', 'Boot
 * information format'; 'Tool Interface Standard ELF 1.2', 'Program Header'.
 */
#include "vm/load_multiboot.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "vm/image_map.h"
#include "vm/image_start.h"
#include "vm/layout.h"

#define HEADER_MAGIC  0x1BADB002u
#define LOADER_MAGIC  0x2BADB002u
#define SEARCH_LIMIT  8192

#define NEEDS_ALIGNED 0x00001
#define NEEDS_MEMORY  0x00002
#define NEEDS_MASK    0x0FFFFu /* bits that a loader must know */
#define HAS_ADDRESSES 0x10000u
#define HEADER_SHORT  12 /* bytes without addresses */

#define INFO_MEMORY   0x001
#define INFO_CMDLINE  0x004
#define INFO_MODULES  0x008
#define INFO_MAP      0x040
#define INFO_NAME     0x200

#define ELF_MAGIC     0x464C457Fu
#define ELF_CLASS_32  1
#define ELF_CLASS_64  2
#define ELF_LITTLE    1
#define ELF_EXEC      2
#define ELF_386	      3
#define ELF_X86_64    62
#define ELF_LOAD      1
#define ELF_CLASS     4 /* offset in the file */
#define ELF_DATA      5
#define SEGMENTS_MAX  32

struct header {
	uint32_t magic;
	uint32_t flags;
	uint32_t checksum;
	uint32_t header_addr;
	uint32_t load_addr;
	uint32_t load_end_addr;
	uint32_t bss_end_addr;
	uint32_t entry_addr;
};

struct info {
	uint32_t flags;
	uint32_t mem_lower; /* KiB */
	uint32_t mem_upper;
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count;
	uint32_t mods_addr;
	uint32_t symbols[4];
	uint32_t mmap_length;
	uint32_t mmap_addr;
	uint32_t drives_length;
	uint32_t drives_addr;
	uint32_t config_table;
	uint32_t boot_loader_name;
	uint32_t apm_table;
};

struct map_entry {
	uint32_t size; /* of what follows */
	uint64_t start;
	uint64_t length;
	uint32_t type;
} __attribute__((packed));

struct module_entry {
	uint32_t start;
	uint32_t end;
	uint32_t string;
	uint32_t reserved;
};

struct elf_ident {
	uint8_t ident[16];
	uint16_t type;
	uint16_t machine;
	uint32_t version;
};

struct elf32 {
	struct elf_ident head;
	uint32_t entry, phoff, shoff, flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf64 {
	struct elf_ident head;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct program32 {
	uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct program64 {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

_Static_assert(sizeof(struct header) == 32, "Multiboot header");
_Static_assert(offsetof(struct info, mmap_length) == 44, "Multiboot information");
_Static_assert(offsetof(struct info, boot_loader_name) == 64, "Multiboot information");
_Static_assert(sizeof(struct map_entry) == 24, "Multiboot map entry");
_Static_assert(sizeof(struct elf32) == 52 && sizeof(struct elf64) == 64, "ELF header");
_Static_assert(sizeof(struct program32) == 32 && sizeof(struct program64) == 56, "ELF segment");

struct segment {
	uint64_t offset;    /* in the file */
	uint64_t file_size; /* bytes */
	uint64_t gpa;
	uint64_t size;	 /* bytes in memory, at least file_size */
	uint64_t linked; /* address it is linked at */
};

struct kernel {
	struct segment segment[SEGMENTS_MAX];
	unsigned segments;
	uint64_t entry;
	uint64_t end; /* gpa after the last segment */
};

/* ---- Header ---- */

static bool find_header(const uint8_t *data, uint64_t size, struct header *header, uint64_t *offset)
{
	uint64_t limit = MIN(size, SEARCH_LIMIT);

	for (uint64_t at = 0; range_within(at, HEADER_SHORT, limit); at += 4) {
		*header = (struct header){0};
		memcpy(header, data + at, HEADER_SHORT);
		if (header->magic != HEADER_MAGIC ||
		    header->magic + header->flags + header->checksum)
			continue;
		if (range_within(at, sizeof(*header), size))
			memcpy(header, data + at, sizeof(*header));
		*offset = at;
		return true;
	}
	return false;
}

bool multiboot_recognise(const uint8_t *data, uint64_t size)
{
	struct header header;
	uint64_t offset;

	return find_header(data, size, &header, &offset);
}

/* ---- Segments ---- */

static bool add_segment(struct kernel *kernel, const struct segment *segment, uint64_t file_size,
			struct error *error)
{
	if (!segment->size)
		return true;
	if (kernel->segments == SEGMENTS_MAX)
		return error_set(error, "kernel: too many ELF segments; want %u or fewer",
				 SEGMENTS_MAX);
	if (!range_within(segment->offset, segment->file_size, file_size))
		return error_set(error,
				 "kernel: truncated: segment %u needs the file's bytes 0x%llx to "
				 "0x%llx, it has 0x%llx",
				 kernel->segments, (unsigned long long)segment->offset,
				 (unsigned long long)(segment->offset + segment->file_size),
				 (unsigned long long)file_size);
	if (segment->file_size > segment->size)
		return error_set(error,
				 "kernel: segment %u has more bytes in the file than in memory",
				 kernel->segments);
	kernel->segment[kernel->segments++] = *segment;
	return true;
}

static bool read_program(const struct config_file *file, uint64_t at, bool wide,
			 struct segment *segment, bool *load)
{
	struct program32 narrow;
	struct program64 program;

	if (!range_within(at, wide ? sizeof(program) : sizeof(narrow), file->size))
		return false;
	if (wide) {
		memcpy(&program, file->data + at, sizeof(program));
		*load = program.type == ELF_LOAD;
		*segment = (struct segment){program.offset, program.filesz, program.paddr,
					    program.memsz, program.vaddr};
		return true;
	}
	memcpy(&narrow, file->data + at, sizeof(narrow));
	*load = narrow.type == ELF_LOAD;
	*segment = (struct segment){narrow.offset, narrow.filesz, narrow.paddr, narrow.memsz,
				    narrow.vaddr};
	return true;
}

static bool read_programs(struct kernel *kernel, const struct config_file *file,
			  const struct elf64 *elf, bool wide, struct error *error)
{
	for (unsigned i = 0; i < elf->phnum; i++) {
		struct segment segment;
		bool load;

		if (elf->phoff > file->size ||
		    !read_program(file, elf->phoff + (uint64_t)i * elf->phentsize, wide, &segment,
				  &load))
			return error_set(error,
					 "kernel: truncated ELF file: its program headers lie "
					 "beyond its %llu bytes",
					 (unsigned long long)file->size);
		if (load && !add_segment(kernel, &segment, file->size, error))
			return false;
	}
	return true;
}

/* The header in its wide form, whichever the file has. */
static bool read_elf_header(const struct config_file *file, bool wide, struct elf64 *elf)
{
	struct elf32 narrow;

	if (file->size < (wide ? sizeof(*elf) : sizeof(narrow)))
		return false;
	if (wide) {
		memcpy(elf, file->data, sizeof(*elf));
		return true;
	}
	memcpy(&narrow, file->data, sizeof(narrow));
	*elf = (struct elf64){
		.head = narrow.head,
		.entry = narrow.entry,
		.phoff = narrow.phoff,
		.phentsize = narrow.phentsize,
		.phnum = narrow.phnum,
	};
	return true;
}

/* The entry point is a linked address; the CPU starts without paging, at its physical one. */
static uint64_t physical_entry(const struct kernel *kernel, uint64_t entry)
{
	for (unsigned i = 0; i < kernel->segments; i++) {
		const struct segment *segment = &kernel->segment[i];

		if (entry - segment->linked < segment->size)
			return entry - segment->linked + segment->gpa;
	}
	return entry;
}

static bool read_elf(struct kernel *kernel, const struct config_file *file, struct error *error)
{
	bool wide = file->data[ELF_CLASS] == ELF_CLASS_64;
	struct elf64 elf;
	uint64_t entry_size = wide ? sizeof(struct program64) : sizeof(struct program32);

	if (!read_elf_header(file, wide, &elf))
		return error_set(error, "kernel: truncated ELF file: %llu bytes",
				 (unsigned long long)file->size);
	if (elf.head.type != ELF_EXEC ||
	    (elf.head.machine != ELF_386 && elf.head.machine != ELF_X86_64) ||
	    file->data[ELF_DATA] != ELF_LITTLE || (!wide && file->data[ELF_CLASS] != ELF_CLASS_32))
		return error_set(error,
				 "kernel: ELF type %u for machine %u; want an executable "
				 "for x86",
				 elf.head.type, elf.head.machine);
	if (elf.phnum && elf.phentsize < entry_size)
		return error_set(error, "kernel: ELF program headers of %u bytes; want %llu",
				 elf.phentsize, (unsigned long long)entry_size);
	if (!read_programs(kernel, file, &elf, wide, error))
		return false;
	kernel->entry = physical_entry(kernel, elf.entry);
	return true;
}

/* A header with addresses describes one segment and its BSS. */
static bool read_addresses(struct kernel *kernel, const struct config_file *file,
			   const struct header *header, uint64_t offset, struct error *error)
{
	uint64_t back = (uint64_t)header->header_addr - header->load_addr;
	struct segment segment = {.gpa = header->load_addr, .linked = header->load_addr};

	if (header->header_addr < header->load_addr || back > offset ||
	    (header->load_end_addr && header->load_end_addr < header->load_addr))
		return error_set(error,
				 "kernel: Multiboot header addresses 0x%x, 0x%x, 0x%x do not fit "
				 "its place in the file",
				 header->header_addr, header->load_addr, header->load_end_addr);
	segment.offset = offset - back;
	segment.file_size = header->load_end_addr ? header->load_end_addr - header->load_addr
						  : file->size - segment.offset;
	segment.size = segment.file_size;
	if (header->bss_end_addr > header->load_addr)
		segment.size =
			MAX(segment.size, (uint64_t)header->bss_end_addr - header->load_addr);
	kernel->entry = header->entry_addr;
	return add_segment(kernel, &segment, file->size, error);
}

/* ---- Placing ---- */

static bool check_segment(const struct kernel *kernel, unsigned i, uint64_t ram_end,
			  struct error *error)
{
	const struct segment *segment = &kernel->segment[i];

	if (segment->gpa < LAYOUT_KERNEL || !range_within(segment->gpa, segment->size, ram_end))
		return error_set(error,
				 "kernel: segment %u, 0x%llx bytes at 0x%llx, leaves memory; want "
				 "it from 0x%x to 0x%llx",
				 i, (unsigned long long)segment->size,
				 (unsigned long long)segment->gpa, LAYOUT_KERNEL,
				 (unsigned long long)ram_end);
	for (unsigned j = 0; j < i; j++) {
		const struct segment *other = &kernel->segment[j];

		if (segment->gpa < other->gpa + other->size &&
		    other->gpa < segment->gpa + segment->size)
			return error_set(error,
					 "kernel: segments %u and %u overlap at 0x%llx; want each "
					 "in a place of its own",
					 j, i, (unsigned long long)MAX(segment->gpa, other->gpa));
	}
	return true;
}

static bool check_segments(struct kernel *kernel, const struct guest_memory *memory,
			   struct error *error)
{
	uint64_t ram_end = image_ram_end(memory);
	bool entered = false;

	for (unsigned i = 0; i < kernel->segments; i++) {
		const struct segment *segment = &kernel->segment[i];

		if (!check_segment(kernel, i, ram_end, error))
			return false;
		kernel->end = MAX(kernel->end, segment->gpa + segment->size);
		entered = entered || kernel->entry - segment->gpa < segment->size;
	}
	if (!entered)
		return error_set(error, "kernel: entry point 0x%llx lies in no segment",
				 (unsigned long long)kernel->entry);
	return true;
}

static bool write_segments(const struct kernel *kernel, const struct config_file *file,
			   struct guest_memory *memory, struct error *error)
{
	for (unsigned i = 0; i < kernel->segments; i++) {
		const struct segment *segment = &kernel->segment[i];

		if (!guest_memory_write(memory, segment->gpa, file->data + segment->offset,
					segment->file_size) ||
		    !guest_memory_zero(memory, segment->gpa + segment->file_size,
				       segment->size - segment->file_size))
			return error_set(error, "kernel: segment %u at 0x%llx is not RAM", i,
					 (unsigned long long)segment->gpa);
	}
	return true;
}

/* ---- Boot information ---- */

/* Where the next list or string goes, from LAYOUT_BOOT_LISTS up. */
struct lists {
	struct guest_memory *memory;
	uint64_t next;
};

/* The gpa at which `length` bytes were put, 0 when they do not fit. */
static uint32_t put(struct lists *lists, const void *from, uint64_t length)
{
	uint64_t gpa = align_up(lists->next, 8);

	if (!range_within(gpa, length, LAYOUT_BOOT_LISTS_END) ||
	    !guest_memory_write(lists->memory, gpa, from, length))
		return 0;
	lists->next = gpa + length;
	return (uint32_t)gpa;
}

/* With a NUL after it. */
static uint32_t put_text(struct lists *lists, struct text text)
{
	uint64_t gpa = align_up(lists->next, 8);

	if (!range_within(gpa, text.length, LAYOUT_BOOT_LISTS_END - 1) ||
	    !guest_memory_write(lists->memory, gpa, text.start, text.length) ||
	    !guest_memory_write(lists->memory, gpa + text.length, "", 1))
		return 0;
	lists->next = gpa + text.length + 1;
	return (uint32_t)gpa;
}

static bool put_map(struct info *info, struct lists *lists, struct error *error)
{
	struct map_entry entries[IMAGE_MAP_MAX];
	struct image_map map;

	image_map(&map, lists->memory);
	for (unsigned i = 0; i < map.count; i++)
		entries[i] = (struct map_entry){
			.size = sizeof(entries[i]) - sizeof(entries[i].size),
			.start = map.entry[i].gpa,
			.length = map.entry[i].size,
			.type = map.entry[i].type,
		};
	info->flags |= INFO_MAP | INFO_MEMORY;
	info->mmap_length = (uint32_t)(map.count * sizeof(entries[0]));
	info->mmap_addr = put(lists, entries, info->mmap_length);
	info->mem_lower = LAYOUT_EBDA / KIB;
	info->mem_upper = (uint32_t)((image_ram_end(lists->memory) - LAYOUT_KERNEL) / KIB);
	return info->mmap_addr ||
	       error_set(error, "memory: no RAM at 0x%x for boot information", LAYOUT_BOOT_LISTS);
}

static bool put_module(const struct config_file *file, struct lists *lists, uint64_t *next,
		       struct module_entry *entry, struct error *error)
{
	uint64_t start = align_up(*next, PAGE_SIZE), ram_end = image_ram_end(lists->memory);

	if (!range_within(start, file->size, ram_end) ||
	    !guest_memory_write(lists->memory, start, file->data, file->size))
		return error_set(error,
				 "module: %lluK do not fit between 0x%llx and 0x%llx; want more "
				 "memory or a smaller module",
				 (unsigned long long)(file->size / KIB), (unsigned long long)start,
				 (unsigned long long)ram_end);
	*entry = (struct module_entry){
		.start = (uint32_t)start,
		.end = (uint32_t)(start + file->size),
		.string = put_text(lists, file->cmdline),
	};
	*next = start + file->size;
	return entry->string ||
	       error_set(error,
			 "module: the command line of %zu characters is too long; want all "
			 "of them within %u bytes",
			 file->cmdline.length, LAYOUT_BOOT_LISTS_END - LAYOUT_BOOT_LISTS - 2048);
}

static bool put_modules(const struct vm_config *config, const struct kernel *kernel,
			struct info *info, struct lists *lists, struct error *error)
{
	struct module_entry entries[CONFIG_MODULES_MAX];
	uint64_t next = kernel->end;

	if (!config->modules)
		return true;
	for (unsigned i = 0; i < config->modules; i++)
		if (!put_module(&config->module[i], lists, &next, &entries[i], error))
			return false;
	info->flags |= INFO_MODULES;
	info->mods_count = config->modules;
	info->mods_addr = put(lists, entries, config->modules * sizeof(entries[0]));
	return info->mods_addr ||
	       error_set(error, "module: no room for the list of %u modules", config->modules);
}

static bool put_cmdline(struct text cmdline, struct info *info, struct guest_memory *memory,
			struct error *error)
{
	uint64_t limit = LAYOUT_CMDLINE_END - LAYOUT_CMDLINE - 1;

	if (cmdline.length > limit)
		return error_set(error, "cmdline: %zu characters; want at most %llu",
				 cmdline.length, (unsigned long long)limit);
	if (!guest_memory_write(memory, LAYOUT_CMDLINE, cmdline.start, cmdline.length) ||
	    !guest_memory_write(memory, LAYOUT_CMDLINE + cmdline.length, "", 1))
		return error_set(error, "cmdline: no RAM at 0x%x for it", LAYOUT_CMDLINE);
	info->flags |= INFO_CMDLINE;
	info->cmdline = LAYOUT_CMDLINE;
	return true;
}

static bool put_info(const struct vm_config *config, const struct kernel *kernel,
		     struct guest_memory *memory, struct error *error)
{
	struct lists lists = {.memory = memory, .next = LAYOUT_BOOT_LISTS};
	struct info info = {.flags = INFO_NAME};

	info.boot_loader_name = put_text(&lists, text_from("Socle", 5));
	if (!put_map(&info, &lists, error) || !put_modules(config, kernel, &info, &lists, error) ||
	    !put_cmdline(config->kernel.cmdline, &info, memory, error))
		return false;
	return guest_memory_write(memory, LAYOUT_BOOT_PARAMS, &info, sizeof(info)) ||
	       error_set(error, "memory: no RAM at 0x%x for boot information", LAYOUT_BOOT_PARAMS);
}

static bool read_kernel(struct kernel *kernel, const struct config_file *file, struct error *error)
{
	struct header header;
	uint64_t offset;
	uint32_t magic = 0;

	if (!find_header(file->data, file->size, &header, &offset))
		return error_set(error, "kernel: no Multiboot header in the first %u bytes",
				 SEARCH_LIMIT);
	if (header.flags & NEEDS_MASK & ~(uint32_t)(NEEDS_ALIGNED | NEEDS_MEMORY))
		return error_set(error,
				 "kernel: Multiboot flags 0x%x ask for more than aligned modules "
				 "and memory information",
				 header.flags);
	if (header.flags & HAS_ADDRESSES)
		return read_addresses(kernel, file, &header, offset, error);
	memcpy(&magic, file->data, MIN(file->size, sizeof(magic)));
	if (magic != ELF_MAGIC)
		return error_set(error, "kernel: a Multiboot header without addresses in a file "
					"that is no ELF");
	return read_elf(kernel, file, error);
}

bool multiboot_load(const struct vm_config *config, struct guest_memory *memory,
		    struct vcpu_start *start, struct error *error)
{
	enum { RAX = 0, RBX = 3 };
	struct kernel kernel = {0};

	if (config->initrd.data)
		return error_set(error, "initrd: a Multiboot kernel has none; want module instead");
	if (!read_kernel(&kernel, &config->kernel, error) ||
	    !check_segments(&kernel, memory, error) ||
	    !write_segments(&kernel, &config->kernel, memory, error) ||
	    !put_info(config, &kernel, memory, error) ||
	    !start_protected32(start, memory, kernel.entry, error))
		return false;
	start->gpr[RAX] = LOADER_MAGIC;
	start->gpr[RBX] = LAYOUT_BOOT_PARAMS;
	return true;
}
