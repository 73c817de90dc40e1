/* SPDX-License-Identifier: MIT */
/* Descriptions of the virtual machines, from module command lines. */
#include "vm/config.h"

#include "lib/bits.h"
#include "lib/string.h"

#define ROLES "kernel, initrd, module or disk"

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

struct key {
	const char *name;
	void (*set)(struct vm_config *vm, struct text value, uint64_t memory_max);
};

static void set_memory(struct vm_config *vm, struct text value, uint64_t memory_max)
{
	struct text_shown shown = text_show(value);
	uint64_t bytes;

	if (!text_size(value, &bytes))
		REFUSE(vm, "memory=%s: want a number with K, M or G after it, such as 256M",
		       shown.text);
	else if (bytes < CONFIG_MEMORY_MIN)
		REFUSE(vm, "memory=%s: too little; want %lluM or more", shown.text,
		       CONFIG_MEMORY_MIN / MIB);
	else if (bytes > memory_max)
		REFUSE(vm, "memory=%s: more than this machine has; want %lluM or less", shown.text,
		       (unsigned long long)(memory_max / MIB));
	else if (!is_aligned(bytes, PAGE_SIZE))
		REFUSE(vm, "memory=%s: want a multiple of 4K", shown.text);
	else
		vm->memory = bytes;
}

static void set_cpus(struct vm_config *vm, struct text value, uint64_t memory_max)
{
	uint64_t number;

	(void)memory_max;
	if (!text_number(value, CONFIG_CPUS_MAX, &number) || !number)
		REFUSE(vm, "cpus=%s: want a number from 1 to %u", text_show(value).text,
		       CONFIG_CPUS_MAX);
	else
		vm->cpus = (unsigned)number;
}

static void set_timeout(struct vm_config *vm, struct text value, uint64_t memory_max)
{
	uint64_t number;

	(void)memory_max;
	if (!text_number(value, CONFIG_TIMEOUT_MAX, &number) || !number)
		REFUSE(vm, "timeout=%s: want seconds, from 1 to %u", text_show(value).text,
		       CONFIG_TIMEOUT_MAX);
	else
		vm->timeout = (unsigned)number;
}

static void set_boot(struct vm_config *vm, struct text value, uint64_t memory_max)
{
	(void)memory_max;
	if (text_equals(value, "linux"))
		vm->boot = CONFIG_BOOT_LINUX;
	else if (text_equals(value, "multiboot"))
		vm->boot = CONFIG_BOOT_MULTIBOOT;
	else
		REFUSE(vm, "boot=%s: want linux or multiboot", text_show(value).text);
}

static const struct key keys[] = {
	{"memory", set_memory},
	{"cpus", set_cpus},
	{"timeout", set_timeout},
	{"boot", set_boot},
};

#define KEYS "memory, cpus, timeout or boot"

/* Keys stand on the kernel's line; `seen` has a bit for each that was there. */
static void set_key(struct vm_config *vm, const char *role, struct text word, unsigned *seen,
		    uint64_t memory_max)
{
	struct text key, value;

	if (!text_split(word, &key, &value)) {
		REFUSE(vm, "%s: '%s' is not key=value; the guest's own words come after ' -- '",
		       role, text_show(word).text);
		return;
	}
	if (strcmp(role, "kernel")) {
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
		keys[i].set(vm, value, memory_max);
		return;
	}
	REFUSE(vm, "%s: unknown key '%s'; want " KEYS, role, text_show(key).text);
}

/* The words up to ` -- `; what follows is the guest's. */
static struct text read_keys(struct vm_config *vm, const char *role, struct text rest,
			     uint64_t memory_max)
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
		set_key(vm, role, word, &seen, memory_max);
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

static void add_disk(struct vm_config *vm, const struct config_file *file)
{
	(void)file;
	REFUSE(vm, "disk: there is no disk device yet; want no disk line");
}

static const struct role {
	const char *name;
	void (*add)(struct vm_config *vm, const struct config_file *file);
} roles[] = {
	{"kernel", add_kernel},
	{"initrd", add_initrd},
	{"module", add_module},
	{"disk", add_disk},
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
	return vm;
}

static void parse_line(struct config *config, const struct config_module *module, unsigned number,
		       uint64_t memory_max)
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
	file.cmdline = read_keys(vm, role->name, rest, memory_max);
	role->add(vm, &file);
}

/* Defaults are checked as if they had been written. */
static void check_vm(struct vm_config *vm, uint64_t memory_max)
{
	if (!vm->kernel.data)
		REFUSE(vm, "kernel: there is none; want a module line 'kernel %s'", vm->name);
	if (vm->memory > memory_max)
		REFUSE(vm,
		       "memory: the default of %lluM is more than this machine has; want "
		       "memory=%lluM or less",
		       CONFIG_MEMORY_DEFAULT / MIB, (unsigned long long)(memory_max / MIB));
}

void config_parse(struct config *config, const struct config_module *module, unsigned count,
		  uint64_t memory_max)
{
	memset(config, 0, sizeof(*config));
	if (!count)
		COMPLAIN(config, "no module: want a line 'module2 FILE kernel NAME' in grub.cfg");
	for (unsigned i = 0; i < count; i++)
		parse_line(config, &module[i], i + 1, memory_max);
	for (unsigned i = 0; i < config->vms; i++)
		check_vm(&config->vm[i], memory_max);
}
