/* SPDX-License-Identifier: MIT */
/*
 * Linux bzImage loader.
 *
 * Source: Linux Documentation 'The Linux/x86 Boot Protocol': 'The Real-Mode Kernel Header',
 * 'Details of Header Fields', '32-bit Boot Protocol', '64-bit Boot Protocol'; 'Zero Page'.
 */
#include "vm/load_linux.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "vm/image_map.h"
#include "vm/image_start.h"
#include "vm/layout.h"

#define BOOT_FLAG	 0xAA55
#define HEADER_MAGIC	 0x53726448 /* "HdrS" */

#define VERSION_CMDLINE	 0x0206 /* cmdline_size; older kernels are of before 2007 */
#define VERSION_INIT	 0x020A /* pref_address, init_size */
#define VERSION_XFLAGS	 0x020C
#define SETUP_MAX	 0x8000 /* with its heap and stack it has 64 KiB */
#define LOADED_HIGH	 0x01
#define XLF_KERNEL_64	 0x01
#define XLF_ABOVE_4G	 0x02
#define LOADER_UNDEFINED 0xFF
#define VIDEO_NORMAL	 0xFFFF

#define HEADER_OFFSET	 0x1F1
#define SECTOR		 512u
#define SECTS_DEFAULT	 4 /* setup_sects of 0 */
#define ENTRY_64	 0x200
#define E820_MAX	 128
#define PARAGRAPH	 16u
#define ALIGN_DEFAULT	 0x1000

/* The setup header, from HEADER_OFFSET of the file and of the zero page. */
struct setup_header {
	uint8_t setup_sects;
	uint16_t root_flags;
	uint32_t syssize; /* of the protected-mode code, in paragraphs */
	uint16_t ram_size;
	uint16_t vid_mode;
	uint16_t root_dev;
	uint16_t boot_flag;
	uint8_t jump;
	uint8_t jump_length; /* from 0x202: where the header ends */
	uint32_t magic;
	uint16_t version;
	uint32_t realmode_swtch;
	uint16_t start_sys_seg;
	uint16_t kernel_version;
	uint8_t type_of_loader;
	uint8_t loadflags;
	uint16_t setup_move_size;
	uint32_t code32_start;
	uint32_t ramdisk_image;
	uint32_t ramdisk_size;
	uint32_t bootsect_kludge;
	uint16_t heap_end_ptr;
	uint8_t ext_loader_ver;
	uint8_t ext_loader_type;
	uint32_t cmd_line_ptr;
	uint32_t initrd_addr_max;
	uint32_t kernel_alignment;
	uint8_t relocatable_kernel;
	uint8_t min_alignment;
	uint16_t xloadflags;
	uint32_t cmdline_size;
	uint32_t hardware_subarch;
	uint64_t hardware_subarch_data;
	uint32_t payload_offset;
	uint32_t payload_length;
	uint64_t setup_data;
	uint64_t pref_address;
	uint32_t init_size;
	uint32_t handover_offset;
	uint32_t kernel_info_offset;
} __attribute__((packed));

struct e820_entry {
	uint64_t start;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

struct zero_page {
	uint8_t cursor_x;
	uint8_t cursor_y;
	uint16_t ext_mem_k;
	uint16_t video_page;
	uint8_t video_mode;
	uint8_t columns;
	uint16_t unused1;
	uint16_t ega_bx;
	uint16_t unused2;
	uint8_t rows;
	uint8_t is_vga;
	uint16_t character_lines;
	uint8_t screen_and_apm[0x070 - 0x012];
	uint64_t acpi_rsdp_addr;
	uint8_t disks[0x0C0 - 0x078];
	uint32_t ext_ramdisk_image; /* upper halves */
	uint32_t ext_ramdisk_size;
	uint8_t edid[0x1E8 - 0x0C8];
	uint8_t e820_entries;
	uint8_t various[HEADER_OFFSET - 0x1E9];
	struct setup_header header;
	uint8_t header_rest[0x2D0 - HEADER_OFFSET - sizeof(struct setup_header)];
	struct e820_entry e820[E820_MAX];
	uint8_t edd[0x1000 - 0x2D0 - E820_MAX * sizeof(struct e820_entry)];
} __attribute__((packed));

_Static_assert(HEADER_OFFSET + offsetof(struct setup_header, magic) == 0x202, "HdrS");
_Static_assert(HEADER_OFFSET + offsetof(struct setup_header, cmdline_size) == 0x238, "2.06");
_Static_assert(HEADER_OFFSET + offsetof(struct setup_header, init_size) == 0x260, "2.10");
_Static_assert(HEADER_OFFSET + sizeof(struct setup_header) == 0x26C, "2.15");
_Static_assert(offsetof(struct zero_page, character_lines) == 0x10, "struct screen_info");
_Static_assert(offsetof(struct zero_page, header) == HEADER_OFFSET, "zero page");
_Static_assert(offsetof(struct zero_page, e820) == 0x2D0, "zero page");
_Static_assert(sizeof(struct zero_page) == PAGE_SIZE, "zero page");
_Static_assert(E820_MAX >= IMAGE_MAP_MAX, "the map fits");

/* A node of a list that the kernel walks; its bytes follow. */
struct setup_data {
	uint64_t next;
	uint32_t type;
	uint32_t size;
};

_Static_assert(sizeof(struct setup_data) == 16, "setup_data");
_Static_assert(offsetof(struct zero_page, ext_ramdisk_size) == 0x0C4, "zero page");

/* What is known of the kernel before it is put anywhere. */
struct kernel {
	struct setup_header header;
	const uint8_t *code; /* protected-mode part */
	uint64_t code_size;
	uint64_t init_size; /* bytes it needs from its load address on */
	uint64_t load;	    /* gpa */
	uint64_t top;	    /* gpa: what goes high in memory goes below this */
	uint64_t initrd;    /* gpa */
	bool has_64;
};

const char *linux_lacks(const struct config_file *file)
{
	struct setup_header header = {0};
	uint64_t known = offsetof(struct setup_header, version);

	if (file->size >= HEADER_OFFSET + known)
		memcpy(&header, file->data + HEADER_OFFSET, known);
	return header.boot_flag == BOOT_FLAG && header.magic == HEADER_MAGIC ? NULL
									     : "'HdrS' at 0x202";
}

/* The header ends where its jump lands; what this kernel's version does not have stays zero. */
static bool read_header(struct kernel *kernel, const struct config_file *file, struct error *error)
{
	uint64_t magic = offsetof(struct setup_header, magic), length;

	memset(kernel, 0, sizeof(*kernel));
	if (linux_lacks(file))
		return error_set(error, "boot=linux: the kernel is no bzImage");
	if (file->size < SECTOR * 2)
		return error_set(error,
				 "kernel: truncated bzImage: %llu bytes end before its header does",
				 (unsigned long long)file->size);
	length = magic + file->data[HEADER_OFFSET + offsetof(struct setup_header, jump_length)];
	memcpy(&kernel->header, file->data + HEADER_OFFSET, MIN(length, sizeof(kernel->header)));
	if (kernel->header.version < VERSION_CMDLINE || !(kernel->header.loadflags & LOADED_HIGH))
		return error_set(error,
				 "kernel: boot protocol %u.%02u is too old; want a bzImage with "
				 "2.06 or newer",
				 kernel->header.version >> 8, kernel->header.version & 0xFF);
	return true;
}

static bool find_code(struct kernel *kernel, const struct config_file *file, struct error *error)
{
	const struct setup_header *header = &kernel->header;
	uint64_t sects = header->setup_sects ? header->setup_sects : SECTS_DEFAULT;
	uint64_t setup = (sects + 1) * SECTOR;
	uint64_t size = (uint64_t)header->syssize * PARAGRAPH;

	/* Memtest86+ ends within its last paragraph. */
	if (size >= PARAGRAPH && size - PARAGRAPH < file->size - MIN(setup, file->size))
		size = MIN(size, file->size - setup);
	if (!size || !range_within(setup, size, file->size))
		return error_set(error,
				 "kernel: truncated bzImage: the file has %llu bytes, its header "
				 "promises %llu",
				 (unsigned long long)file->size,
				 (unsigned long long)(setup + size));
	kernel->header.setup_data = 0;
	kernel->code = file->data + setup;
	kernel->code_size = size;
	kernel->init_size = size;
	if (header->version >= VERSION_INIT)
		kernel->init_size = MAX(size, header->init_size);
	kernel->has_64 = header->version >= VERSION_XFLAGS && (header->xloadflags & XLF_KERNEL_64);
	return true;
}

/* Where it prefers to be, or as low as its alignment lets a relocatable one be. */
static bool place_kernel(struct kernel *kernel, const struct guest_memory *memory,
			 struct error *error)
{
	const struct setup_header *header = &kernel->header;
	uint64_t end = image_ram_end(memory);
	uint64_t align = header->kernel_alignment;
	uint64_t preferred = header->version >= VERSION_INIT ? header->pref_address : LAYOUT_KERNEL;

	if (!align || (align & (align - 1)))
		align = ALIGN_DEFAULT;
	kernel->top = end;
	kernel->load = preferred;
	if (preferred >= LAYOUT_KERNEL && range_within(preferred, kernel->init_size, end))
		return true;
	kernel->load = align_up(LAYOUT_KERNEL, align);
	if (header->relocatable_kernel && range_within(kernel->load, kernel->init_size, end))
		return true;
	if (!header->relocatable_kernel)
		kernel->load = preferred;
	return error_set(error,
			 "memory: too little for this kernel, which needs %lluK from 0x%llx on; "
			 "want memory=%lluM or more",
			 (unsigned long long)(kernel->init_size / KIB),
			 (unsigned long long)kernel->load,
			 (unsigned long long)((kernel->load + kernel->init_size) / MIB + 1));
}

/* A place for `size` bytes on a page, as high as the kernel and `limit` allow; 0 without. */
static uint64_t take_top(struct kernel *kernel, uint64_t size, uint64_t limit)
{
	uint64_t end = MIN(kernel->top, limit), floor = kernel->load + kernel->init_size, start;

	if (floor > end || size > end - floor)
		return 0;
	start = align_down(end - size, PAGE_SIZE);
	if (start < floor)
		return 0;
	kernel->top = start;
	return start;
}

/* Above 4 GiB only if there is no room below and the kernel says that it would find it. */
static bool load_initrd(struct kernel *kernel, const struct config_file *initrd,
			struct guest_memory *memory, struct error *error)
{
	uint64_t limit = (uint64_t)kernel->header.initrd_addr_max + 1,
		 end = MIN(kernel->top, limit);
	uint64_t high = guest_memory_high(memory);

	if (!initrd->data)
		return true;
	kernel->initrd = take_top(kernel, initrd->size, limit);
	if (!kernel->initrd && kernel->has_64 && kernel->header.xloadflags & XLF_ABOVE_4G &&
	    initrd->size <= high)
		kernel->initrd = GUEST_HIGH_BASE + align_down(high - initrd->size, PAGE_SIZE);
	if (!kernel->initrd)
		return error_set(error,
				 "initrd: %lluK do not fit between the kernel's end at 0x%llx and "
				 "0x%llx; want more memory or a smaller initrd",
				 (unsigned long long)(initrd->size / KIB),
				 (unsigned long long)(kernel->load + kernel->init_size),
				 (unsigned long long)end);
	return guest_memory_write(memory, kernel->initrd, initrd->data, initrd->size) ||
	       error_set(error, "initrd: the place for it, 0x%llx, is not RAM",
			 (unsigned long long)kernel->initrd);
}

/* `module = FILE setup-data=TYPE` is a node of the list, in the order of the description. */
static bool load_setup_data(struct kernel *kernel, const struct vm_config *config,
			    struct guest_memory *memory, struct error *error)
{
	for (unsigned i = config->modules; i-- > 0;) {
		const struct config_file *file = &config->module[i];
		struct setup_data node = {kernel->header.setup_data, 0, (uint32_t)file->size};
		struct text key, value;
		uint64_t type, start;

		if (!text_split(file->cmdline, &key, &value) || !text_equals(key, "setup-data") ||
		    !text_number(value, UINT32_MAX, &type))
			return error_set(error, "module: Linux takes setup-data=TYPE alone; want "
						"that, or initrd instead");
		node.type = (uint32_t)type;
		start = take_top(kernel, sizeof(node) + file->size, UINT64_MAX);
		if (!start || !guest_memory_write(memory, start, &node, sizeof(node)) ||
		    !guest_memory_write(memory, start + sizeof(node), file->data, file->size))
			return error_set(error, "module: no room for setup data of %lluK",
					 (unsigned long long)(file->size / KIB));
		kernel->header.setup_data = start;
	}
	return true;
}

static bool check_cmdline(const struct setup_header *header, struct text cmdline,
			  struct error *error)
{
	uint64_t room = LAYOUT_CMDLINE_END - LAYOUT_CMDLINE - 1;
	uint64_t limit = MIN(header->cmdline_size, room);

	if (cmdline.length > limit)
		return error_set(error,
				 "cmdline: %zu characters; want at most the %llu that this kernel "
				 "takes",
				 cmdline.length, (unsigned long long)limit);
	return true;
}

static bool load_cmdline(struct setup_header *header, struct text cmdline,
			 struct guest_memory *memory, struct error *error)
{
	if (!check_cmdline(header, cmdline, error))
		return false;
	header->cmd_line_ptr = LAYOUT_CMDLINE;
	if (!guest_memory_write(memory, LAYOUT_CMDLINE, cmdline.start, cmdline.length) ||
	    !guest_memory_write(memory, LAYOUT_CMDLINE + cmdline.length, "", 1))
		return error_set(error, "cmdline: no RAM at 0x%x for it", LAYOUT_CMDLINE);
	return true;
}

static void fill_e820(struct zero_page *page, const struct guest_memory *memory)
{
	struct image_map map;

	image_map(&map, memory);
	page->e820_entries = (uint8_t)map.count;
	for (unsigned i = 0; i < map.count; i++)
		page->e820[i] =
			(struct e820_entry){map.entry[i].gpa, map.entry[i].size, map.entry[i].type};
}

static bool write_zero_page(const struct kernel *kernel, uint64_t initrd_size,
			    struct guest_memory *memory, uint64_t rsdp, struct error *error)
{
	struct zero_page *page;

	page = guest_memory_map(memory, LAYOUT_BOOT_PARAMS, sizeof(*page));
	if (!page)
		return error_set(error, "memory: no RAM at 0x%x for boot parameters",
				 LAYOUT_BOOT_PARAMS);
	memset(page, 0, sizeof(*page));
	page->header = kernel->header;
	page->header.type_of_loader = LOADER_UNDEFINED;
	page->header.vid_mode = VIDEO_NORMAL;
	page->header.code32_start = (uint32_t)kernel->load;
	page->header.ramdisk_image = (uint32_t)kernel->initrd;
	page->header.ramdisk_size = (uint32_t)initrd_size;
	page->ext_ramdisk_image = (uint32_t)(kernel->initrd >> 32);
	page->ext_ramdisk_size = (uint32_t)(initrd_size >> 32);
	/* What firmware has left on the screen's side: VGA, mode 3. */
	page->video_mode = 3;
	page->columns = 80;
	page->rows = 25;
	page->is_vga = 1;
	page->ega_bx = 3; /* 256 KiB */
	page->character_lines = 16;
	page->acpi_rsdp_addr = rsdp;
	fill_e820(page, memory);
	return true;
}

static bool start_kernel(const struct kernel *kernel, struct guest_memory *memory,
			 struct vcpu_start *start, struct error *error)
{
	enum { RSI = 6 };
	bool ready = kernel->has_64 ? start_long64(start, memory, kernel->load + ENTRY_64, error)
				    : start_protected32(start, memory, kernel->load, error);

	start->gpr[RSI] = LAYOUT_BOOT_PARAMS;
	return ready;
}

bool linux_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
		struct vcpu_start *start, struct error *error)
{
	struct kernel kernel;

	if (!read_header(&kernel, &config->kernel, error) ||
	    !find_code(&kernel, &config->kernel, error) || !place_kernel(&kernel, memory, error) ||
	    !load_cmdline(&kernel.header, config->kernel.cmdline, memory, error) ||
	    !load_initrd(&kernel, &config->initrd, memory, error) ||
	    !load_setup_data(&kernel, config, memory, error) ||
	    !write_zero_page(&kernel, config->initrd.size, memory, rsdp, error))
		return false;
	if (!guest_memory_write(memory, kernel.load, kernel.code, kernel.code_size))
		return error_set(error, "kernel: its place, 0x%llx, is not RAM",
				 (unsigned long long)kernel.load);
	return start_kernel(&kernel, memory, start, error);
}

/* Where the 16-bit entry has its parts (vm/kernelrom.asm); the last MiB is for the firmware. */
#define SETUP		    0x10000
#define SETUP_CMDLINE	    0x1E000
#define SETUP_CMDLINE_BYTES 0x1000

bool linux_split(const struct vm_config *config, const struct guest_memory *memory,
		 struct linux_part *part, struct error *error)
{
	const struct config_file *file = &config->kernel, *initrd = &config->initrd;
	uint64_t end = MAX(image_ram_end(memory), LAYOUT_KERNEL + MIB), setup;
	struct kernel kernel;

	if (!read_header(&kernel, file, error) || !find_code(&kernel, file, error) ||
	    !check_cmdline(&kernel.header, file->cmdline, error))
		return false;
	setup = (uint64_t)(kernel.code - file->data);
	/* UEFI wants what follows the code too: the signature is there. */
	kernel.code_size = file->size - setup;
	kernel.init_size = MAX(kernel.init_size, kernel.code_size);
	kernel.load = LAYOUT_KERNEL;
	kernel.top = end - MIB;
	kernel.initrd = take_top(&kernel, initrd->size, kernel.header.initrd_addr_max + 1ULL);
	if (!kernel.initrd || setup > SETUP_MAX || file->cmdline.length >= SETUP_CMDLINE_BYTES)
		return error_set(error, "kernel: with its initrd it does not fit into memory");
	part[LINUX_CODE] =
		(struct linux_part){LAYOUT_KERNEL, (uint32_t)kernel.code_size, kernel.code};
	part[LINUX_INITRD] =
		(struct linux_part){(uint32_t)kernel.initrd, (uint32_t)initrd->size, initrd->data};
	part[LINUX_CMDLINE] = (struct linux_part){SETUP_CMDLINE, (uint32_t)file->cmdline.length + 1,
						  file->cmdline.start};
	part[LINUX_SETUP] = (struct linux_part){SETUP, (uint32_t)setup, file->data};
	return true;
}
