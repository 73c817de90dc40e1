/* SPDX-License-Identifier: MIT */
/* Descriptions of the virtual machines, from module command lines. */
#include "vm/config.h"

#include "lib/bits.h"
#include "lib/string.h"

#define ROLES "kernel, initrd, module, disk, cdrom, firmware, vgabios or symbols"

static const struct text nothing;

/* The first error of a VM is the one that is told. */
#define REFUSE(vm, ...)                                       \
	do {                                                  \
		if (!(vm)->refused)                           \
			error_set(&(vm)->error, __VA_ARGS__); \
		(vm)->refused = true;                         \
	} while (0)

static struct error *new_complaint(struct config *config)
{
	if (config->complaints == CONFIG_COMPLAINTS_MAX)
		return NULL;
	return &config->complaint[config->complaints++];
}

#define COMPLAIN(config, ...)                                                      \
	do {                                                                       \
		struct error *complaint = new_complaint(config);                   \
                                                                                   \
		if (complaint)                                                     \
			error_set(complaint, __VA_ARGS__);                         \
		else                                                               \
			error_set(&(config)->complaint[CONFIG_COMPLAINTS_MAX - 1], \
				  "more than %u module lines were refused",        \
				  CONFIG_COMPLAINTS_MAX - 1);                      \
	} while (0)

/* ---- Keys of a kernel line ---- */

/* What the machine has. */
struct limits {
	uint64_t memory; /* bytes */
	unsigned cores;
};

struct key {
	const char *name;
	void (*set)(struct vm_config *vm, struct text value, const struct limits *limits);
};

static void set_memory(struct vm_config *vm, struct text value, const struct limits *limits)
{
	struct text_shown shown = text_show(value);
	uint64_t bytes;

	if (!text_size(value, &bytes))
		REFUSE(vm, "memory=%s: want a number with K, M or G after it, such as 256M",
		       shown.text);
	else if (bytes < CONFIG_MEMORY_MIN)
		REFUSE(vm, "memory=%s: too little; want %lluM or more", shown.text,
		       CONFIG_MEMORY_MIN / MIB);
	else if (bytes > limits->memory)
		REFUSE(vm, "memory=%s: more than this machine has; want %lluM or less", shown.text,
		       (unsigned long long)(limits->memory / MIB));
	else if (!is_aligned(bytes, PAGE_SIZE))
		REFUSE(vm, "memory=%s: want a multiple of 4K", shown.text);
	else
		vm->memory = bytes;
}

/* A number from 1 to max, or a refusal that says of what kind (such as "seconds, "). */
static void set_number(struct vm_config *vm, const char *key, struct text value, const char *kind,
		       unsigned max, unsigned *number)
{
	uint64_t read;

	if (!text_number(value, max, &read) || !read)
		REFUSE(vm, "%s=%s: want %s from 1 to %u", key, text_show(value).text, kind, max);
	else
		*number = (unsigned)read;
}

static void set_cpus(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_number(vm, "cpus", value, "a number", CONFIG_CPUS_MAX, &vm->cpus);
}

static void set_timeout(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_number(vm, "timeout", value, "seconds,", CONFIG_TIMEOUT_MAX, &vm->timeout);
}

static void set_limit(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_number(vm, "limit", value, "seconds,", CONFIG_TIMEOUT_MAX, &vm->limit);
}

static void set_tsc_mhz(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_number(vm, "tsc-mhz", value, "a number", CONFIG_TSC_MHZ_MAX, &vm->tsc_mhz);
}

/* Blanks, quotes, backslashes and '%' come as %XX: boot loaders have their own ways with them. */
static void set_expect(struct vm_config *vm, struct text value, const struct limits *limits)
{
	unsigned length = 0;

	(void)limits;
	for (; value.length && length < CONFIG_EXPECT_MAX; length++) {
		char hex[] = {'0', 'x', 0, 0};
		uint64_t byte = (uint8_t)value.start[0];
		size_t took = byte == '%' ? 3 : 1;

		if (took == 3 && value.length >= 3) {
			memcpy(hex + 2, value.start + 1, 2);
			if (!text_number((struct text){hex, 4}, 0x7E, &byte) || byte < ' ')
				break;
		}
		if (took > value.length)
			break;
		vm->expect[length] = (char)byte;
		value.start += took;
		value.length -= took;
	}
	if (value.length || !length)
		REFUSE(vm, "expect=: want 1 to %u characters, those like %%20 in hexadecimal",
		       CONFIG_EXPECT_MAX);
}

static void set_pass_code(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	if (!text_number(value, UINT32_MAX, &vm->pass_code))
		REFUSE(vm, "pass-code=%s: want a number, at most 0xffffffff",
		       text_show(value).text);
}

static void set_weight(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_number(vm, "weight", value, "a number", CONFIG_WEIGHT_MAX, &vm->weight);
}

static void set_restarts(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_number(vm, "restarts", value, "a number for each minute,", CONFIG_RESTARTS_MAX,
		   &vm->restarts);
}

/* Against the VM's own CPUs it is checked when all keys are read. */
static void set_cap(struct vm_config *vm, struct text value, const struct limits *limits)
{
	struct text digits = value;
	uint64_t number;

	(void)limits;
	if (digits.length && digits.start[digits.length - 1] == '%')
		digits.length--;
	if (!text_number(digits, 100 * CONFIG_CPUS_MAX, &number) || !number)
		REFUSE(vm, "cap=%s: want percent of one core, from 1%% to 100%% for each CPU",
		       text_show(value).text);
	else
		vm->cap = (unsigned)number;
}

/* Takes what stands before the next comma off the front. */
static struct text next_item(struct text *list)
{
	struct text item = {list->start, 0};

	while (item.length < list->length && list->start[item.length] != ',')
		item.length++;
	list->start += item.length;
	list->length -= item.length;
	return item;
}

static void set_pin(struct vm_config *vm, struct text value, const struct limits *limits)
{
	unsigned cores = MIN(limits->cores, CONFIG_CORES_MAX);
	struct text rest = value;

	for (;;) {
		struct text item = next_item(&rest);
		uint64_t core;

		if (!text_number(item, UINT32_MAX, &core)) {
			REFUSE(vm, "pin=%s: want numbers of cores, such as 1,2",
			       text_show(value).text);
			return;
		}
		if (core >= cores) {
			REFUSE(vm, "pin=%s: this machine has %s %u", text_show(item).text,
			       cores > 1 ? "cores 0 to" : "only core", cores - 1);
			return;
		}
		vm->pin |= BIT(core);
		if (!rest.length)
			return;
		rest.start++;
		rest.length--;
	}
}

static void set_on_crash(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	if (text_equals(value, "stop"))
		vm->on_crash = CONFIG_ON_CRASH_STOP;
	else if (text_equals(value, "restart"))
		vm->on_crash = CONFIG_ON_CRASH_RESTART;
	else if (text_equals(value, "pause"))
		vm->on_crash = CONFIG_ON_CRASH_PAUSE;
	else
		REFUSE(vm, "on-crash=%s: want stop, restart or pause", text_show(value).text);
}

/* One of two words; *is says whether it was the first. */
static void set_either(struct vm_config *vm, const char *key, struct text value, const char *yes,
		       const char *no, bool *is)
{
	*is = text_equals(value, yes);
	if (!*is && !text_equals(value, no))
		REFUSE(vm, "%s=%s: want %s or %s", key, text_show(value).text, yes, no);
}

static void set_autostart(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_either(vm, "autostart", value, "yes", "no", &vm->autostart);
}

static void set_track_writes(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_either(vm, "track-writes", value, "yes", "no", &vm->track_writes);
}

static void set_console(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_either(vm, "console", value, "vga", "serial", &vm->console_vga);
}

static void set_on_end(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_either(vm, "on-end", value, "restart", "stop", &vm->restart_on_end);
}

/* Which VM that is shows when all lines are read. */
static void set_depends(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	if (!value.length)
		REFUSE(vm, "depends=: want the name of a VM");
	vm->depends_name = value;
}

static void set_boot(struct vm_config *vm, struct text value, const struct limits *limits)
{
	static const char *const names[] = {
		[CONFIG_BOOT_LINUX] = "linux",		 [CONFIG_BOOT_MULTIBOOT] = "multiboot",
		[CONFIG_BOOT_MULTIBOOT2] = "multiboot2", [CONFIG_BOOT_PVH] = "pvh",
		[CONFIG_BOOT_FLAT16] = "flat16",	 [CONFIG_BOOT_FLAT32] = "flat32",
		[CONFIG_BOOT_FLAT64] = "flat64",
	};

	(void)limits;
	for (unsigned i = CONFIG_BOOT_LINUX; i < ARRAY_SIZE(names); i++) {
		if (!text_equals(value, names[i]))
			continue;
		vm->boot = (enum config_boot)i;
		return;
	}
	REFUSE(vm, "boot=%s: want linux, multiboot, multiboot2, pvh, flat16, flat32 or flat64",
	       text_show(value).text);
}

/* Address 0 is never right: vectors and BIOS data are there. */
static void set_address(struct vm_config *vm, const char *key, struct text value, uint64_t *address)
{
	if (!text_size(value, address) || !*address || *address > UINT32_MAX)
		REFUSE(vm, "%s=%s: want an address below 4G, such as 0x100000", key,
		       text_show(value).text);
}

static void set_load(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_address(vm, "load", value, &vm->load);
}

static void set_entry(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_address(vm, "entry", value, &vm->entry);
}

static void set_com2(struct vm_config *vm, struct text value, const struct limits *limits)
{
	(void)limits;
	set_either(vm, "com2", value, "log", "none", &vm->com2_log);
}

static const struct key keys[] = {
	{"memory", set_memory},
	{"cpus", set_cpus},
	{"boot", set_boot},
	{"pin", set_pin},
	{"weight", set_weight},
	{"cap", set_cap},
	{"autostart", set_autostart},
	{"depends", set_depends},
	{"timeout", set_timeout},
	{"on-crash", set_on_crash},
	{"restarts", set_restarts},
	{"load", set_load},
	{"entry", set_entry},
	{"console", set_console},
	{"com2", set_com2},
	{"limit", set_limit},
	{"expect", set_expect},
	{"pass-code", set_pass_code},
	{"on-end", set_on_end},
	{"tsc-mhz", set_tsc_mhz},
	{"track-writes", set_track_writes},
};

#define KEYS                                                                               \
	"memory, cpus, boot, load, entry, pin, weight, cap, autostart, depends, timeout, " \
	"on-crash, restarts, console, com2, limit, expect, pass-code, on-end, tsc-mhz or " \
	"track-writes"

/* Keys stand on the kernel's line; `seen` has a bit for each that was there. */
static void set_key(struct vm_config *vm, const char *role, struct text word, unsigned *seen,
		    const struct limits *limits)
{
	struct text key, value;

	if (!text_split(word, &key, &value)) {
		REFUSE(vm, "%s: '%s' is not key=value; the guest's own words come after ' -- '",
		       role, text_show(word).text);
		return;
	}
	if (strcmp(role, "kernel") && strcmp(role, "firmware")) {
		REFUSE(vm, "%s: key '%s' does not belong here; keys stand on the kernel's line",
		       role, text_show(key).text);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!text_equals(key, keys[i].name))
			continue;
		if (*seen & BIT(i))
			REFUSE(vm, "%s: is there twice; want it once", keys[i].name);
		*seen |= (unsigned)BIT(i);
		keys[i].set(vm, value, limits);
		return;
	}
	REFUSE(vm, "%s: unknown key '%s'; want " KEYS, role, text_show(key).text);
}

/* The words up to ` -- `; what follows is the guest's. */
static struct text read_keys(struct vm_config *vm, const char *role, struct text rest,
			     const struct limits *limits)
{
	struct text word;
	unsigned seen = 0;

	while (text_word(&rest, &word)) {
		if (text_equals(word, "--")) {
			while (rest.length && rest.start[0] == ' ') {
				rest.start++;
				rest.length--;
			}
			return rest;
		}
		set_key(vm, role, word, &seen, limits);
	}
	return nothing;
}

/* ---- Roles ---- */

static void add_kernel(struct vm_config *vm, const struct config_file *file)
{
	if (vm->kernel.data)
		REFUSE(vm, "kernel: two VMs have this name; want a name of its own for each");
	else if (!file->size)
		REFUSE(vm, "kernel: the file is empty; want a bzImage or a Multiboot kernel");
	vm->kernel = *file;
}

static void add_firmware(struct vm_config *vm, const struct config_file *file)
{
	if (vm->firmware.data)
		REFUSE(vm, "firmware: two VMs have this name; want a name of its own for each");
	else if (file->size < 16 || file->size > CONFIG_FIRMWARE_MAX)
		REFUSE(vm, "firmware: the file has %lu bytes; want an image of up to %lluM",
		       file->size, CONFIG_FIRMWARE_MAX / MIB);
	vm->firmware = *file;
}

static void add_vgabios(struct vm_config *vm, const struct config_file *file)
{
	if (vm->vgabios.data)
		REFUSE(vm, "vgabios: is there twice; want it once");
	else if (!file->size || file->size > CONFIG_ROM_MAX)
		REFUSE(vm, "vgabios: the file has %lu bytes; want an option ROM of up to %lluK",
		       file->size, CONFIG_ROM_MAX / KIB);
	vm->vgabios = *file;
}

static void add_symbols(struct vm_config *vm, const struct config_file *file)
{
	if (vm->symbols.data)
		REFUSE(vm, "symbols: is there twice; want it once");
	vm->symbols = *file;
}

static void add_initrd(struct vm_config *vm, const struct config_file *file)
{
	if (vm->initrd.data)
		REFUSE(vm, "initrd: is there twice; want one (several cpio archives can be one "
			   "file)");
	else if (!file->size)
		REFUSE(vm, "initrd: the file is empty; want a cpio archive");
	vm->initrd = *file;
}

static void add_module(struct vm_config *vm, const struct config_file *file)
{
	if (vm->modules == CONFIG_MODULES_MAX)
		REFUSE(vm, "module: too many; want %u or fewer", CONFIG_MODULES_MAX);
	else
		vm->module[vm->modules++] = *file;
}

static void add_drive(struct vm_config *vm, const struct config_file *file, const char *role,
		      struct config_file *drives, unsigned *count)
{
	if (!file->size)
		REFUSE(vm, "%s: the file is empty; want an image", role);
	else if (vm->disks + vm->cdroms == CONFIG_DRIVES_MAX)
		REFUSE(vm, "%s: too many; want %u drives or fewer, disks and CDs together", role,
		       CONFIG_DRIVES_MAX);
	else
		drives[(*count)++] = *file;
}

static void add_disk(struct vm_config *vm, const struct config_file *file)
{
	add_drive(vm, file, "disk", vm->disk, &vm->disks);
}

static void add_cdrom(struct vm_config *vm, const struct config_file *file)
{
	add_drive(vm, file, "cdrom", vm->cdrom, &vm->cdroms);
}

static const struct role {
	const char *name;
	void (*add)(struct vm_config *vm, const struct config_file *file);
} roles[] = {
	{"kernel", add_kernel},	  {"initrd", add_initrd},   {"module", add_module},
	{"disk", add_disk},	  {"cdrom", add_cdrom},	    {"firmware", add_firmware},
	{"vgabios", add_vgabios}, {"symbols", add_symbols},
};

static const struct role *find_role(struct text name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(roles); i++)
		if (text_equals(name, roles[i].name))
			return &roles[i];
	return NULL;
}

/* ---- Lines ---- */

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool valid_name(struct text name)
{
	if (!name.length || name.length > CONFIG_NAME_MAX || !is_alphanumeric(name.start[0]))
		return false;
	for (size_t i = 0; i < name.length; i++)
		if (!is_alphanumeric(name.start[i]) && name.start[i] != '_' && name.start[i] != '-')
			return false;
	return true;
}

/* The VM of this name, made with the defaults if it is new; NULL when there are too many. */
static struct vm_config *find_vm(struct config *config, struct text name)
{
	struct vm_config *vm;

	for (unsigned i = 0; i < config->vms; i++)
		if (text_equals(name, config->vm[i].name))
			return &config->vm[i];
	if (config->vms == CONFIG_VMS_MAX)
		return NULL;
	vm = &config->vm[config->vms++];
	memcpy(vm->name, name.start, name.length);
	vm->memory = CONFIG_MEMORY_DEFAULT;
	vm->cpus = 1;
	vm->weight = CONFIG_WEIGHT_DEFAULT;
	vm->restarts = CONFIG_RESTARTS;
	vm->autostart = true;
	vm->depends = -1;
	return vm;
}

static void parse_line(struct config *config, const struct config_module *module, unsigned number,
		       const struct limits *limits)
{
	struct text rest = text_from(module->text, module->text_max), word, name;
	struct config_file file = {.data = module->data, .size = module->size};
	const struct role *role;
	struct vm_config *vm;

	if (!text_word(&rest, &word)) {
		COMPLAIN(config,
			 "module %u: no command line; want a role (" ROLES ") and the VM's name",
			 number);
		return;
	}
	if (!text_word(&rest, &name) || !valid_name(name)) {
		COMPLAIN(config,
			 "module %u: VM name '%s': want 1 to %u letters, digits, '_' or '-', "
			 "first a letter or digit",
			 number, text_show(name).text, CONFIG_NAME_MAX);
		return;
	}
	vm = find_vm(config, name);
	if (!vm) {
		COMPLAIN(config, "module %u: VM '%s' is one too many; want %u or fewer", number,
			 text_show(name).text, CONFIG_VMS_MAX);
		return;
	}
	role = find_role(word);
	if (!role) {
		REFUSE(vm, "unknown role '%s'; want " ROLES, text_show(word).text);
		return;
	}
	file.cmdline = read_keys(vm, role->name, rest, limits);
	role->add(vm, &file);
}

/* Defaults are checked as if they had been written. */
static void check_vm(struct vm_config *vm, const struct limits *limits)
{
	if (vm->firmware.data &&
	    (vm->modules || vm->boot > CONFIG_BOOT_LINUX || (vm->initrd.data && !vm->kernel.data)))
		REFUSE(vm, "firmware: starts Linux or disks; want no boot, no module, and an "
			   "initrd with a kernel alone");
	if (!vm->kernel.data && !vm->firmware.data)
		REFUSE(vm, "kernel: there is none; want a module line 'kernel %s'", vm->name);
	if (vm->vgabios.data && !vm->firmware.data)
		REFUSE(vm, "vgabios: belongs to a firmware; want firmware as well");
	if (vm->memory > limits->memory)
		REFUSE(vm,
		       "memory: the default of %lluM is more than this machine has; want "
		       "memory=%lluM or less",
		       CONFIG_MEMORY_DEFAULT / MIB, (unsigned long long)(limits->memory / MIB));
	if ((vm->load || vm->entry) && vm->boot < CONFIG_BOOT_FLAT16)
		REFUSE(vm, "%s: belongs to flat images; want boot=flat16, flat32 or flat64",
		       vm->load ? "load" : "entry");
	if (vm->cap > 100 * vm->cpus)
		REFUSE(vm, "cap=%u%%: more than %u CPU%s can use; want %u%% or less", vm->cap,
		       vm->cpus, vm->cpus > 1 ? "s" : "", 100 * vm->cpus);
}

/* ---- Who starts after whom ---- */

static void find_dependency(struct config *config, unsigned index)
{
	struct vm_config *vm = &config->vm[index];

	if (!vm->depends_name.length)
		return;
	for (unsigned i = 0; i < config->vms; i++)
		if (text_equals(vm->depends_name, config->vm[i].name))
			vm->depends = (int)i;
	if (vm->depends < 0)
		REFUSE(vm, "depends=%s: there is no VM of this name",
		       text_show(vm->depends_name).text);
	else if (vm->depends == (int)index)
		REFUSE(vm, "depends=%s: a VM cannot wait for itself; want another one", vm->name);
}

static void refuse_circle(struct config *config, unsigned index)
{
	struct vm_config *vm = &config->vm[index];
	int at = vm->depends;

	/* From outside of a circle the walk into it would not end. */
	for (unsigned steps = 1; at >= 0 && steps <= config->vms; steps++) {
		if (at == (int)index) {
			REFUSE(vm, "depends=%s: a circle of %u VMs that wait for each other",
			       config->vm[vm->depends].name, steps);
			return;
		}
		at = config->vm[at].depends;
	}
}

/* Returns whether the VM is refused now and was not before. */
static bool refuse_dependent(struct config *config, unsigned index)
{
	struct vm_config *vm = &config->vm[index];
	const struct vm_config *other = vm->depends < 0 ? NULL : &config->vm[vm->depends];

	if (vm->refused || !other || !other->refused)
		return false;
	REFUSE(vm, "depends=%s: that VM is refused: %s", other->name, other->error.text);
	return true;
}

static void check_dependencies(struct config *config)
{
	bool again = true;

	for (unsigned i = 0; i < config->vms; i++)
		find_dependency(config, i);
	for (unsigned i = 0; i < config->vms; i++)
		refuse_circle(config, i);
	while (again) {
		again = false;
		for (unsigned i = 0; i < config->vms; i++)
			again |= refuse_dependent(config, i);
	}
}

void config_parse(struct config *config, const struct config_module *module, unsigned count,
		  uint64_t memory_max, unsigned cores)
{
	const struct limits limits = {memory_max, MAX(cores, 1)};

	memset(config, 0, sizeof(*config));
	if (!count)
		COMPLAIN(config, "no module: want a line 'module2 FILE kernel NAME' in grub.cfg");
	for (unsigned i = 0; i < count; i++)
		parse_line(config, &module[i], i + 1, &limits);
	for (unsigned i = 0; i < config->vms; i++)
		check_vm(&config->vm[i], &limits);
	check_dependencies(config);
}
