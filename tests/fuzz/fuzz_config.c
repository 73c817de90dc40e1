/* SPDX-License-Identifier: MIT */
/* Descriptions: a line of the input is a module's command line. */
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stream.h"
#include "vm/config.h"

#define MODULES	   80
#define MEMORY_MAX (8 * GIB)
#define CORES	   4

static struct config config;

static bool is_within(struct text text, const char *start, size_t size)
{
	return !text.length || (text.start >= start && text.start + text.length <= start + size);
}

/* What the rest of Socle relies on. */
static void check_vm(const struct vm_config *vm, const char *text, size_t size)
{
	FUZZ_REQUIRE(memchr(vm->name, 0, sizeof(vm->name)) && vm->name[0]);
	FUZZ_REQUIRE(memchr(vm->error.text, 0, sizeof(vm->error.text)) != NULL);
	if (vm->refused) {
		FUZZ_REQUIRE(vm->error.text[0]);
		return;
	}
	FUZZ_REQUIRE(vm->memory >= CONFIG_MEMORY_MIN && vm->memory <= MEMORY_MAX);
	FUZZ_REQUIRE(vm->memory % PAGE_SIZE == 0);
	FUZZ_REQUIRE(vm->cpus >= 1 && vm->cpus <= CONFIG_CPUS_MAX);
	FUZZ_REQUIRE(vm->weight >= 1 && vm->weight <= CONFIG_WEIGHT_MAX);
	FUZZ_REQUIRE(vm->cap <= 100 * vm->cpus && !(vm->pin >> CORES));
	FUZZ_REQUIRE(vm->modules <= CONFIG_MODULES_MAX);
	FUZZ_REQUIRE(vm->disks + vm->cdroms <= CONFIG_DRIVES_MAX);
	FUZZ_REQUIRE((vm->kernel.data != NULL) != (vm->firmware.data != NULL));
	FUZZ_REQUIRE(memchr(vm->expect, 0, sizeof(vm->expect)) != NULL);
	FUZZ_REQUIRE(is_within(vm->kernel.cmdline, text, size));
	for (unsigned i = 0; i < vm->modules; i++)
		FUZZ_REQUIRE(is_within(vm->module[i].cmdline, text, size));
	FUZZ_REQUIRE(vm->depends < (int)config.vms);
}

static void check_circles(void)
{
	for (unsigned i = 0; i < config.vms; i++) {
		unsigned steps = 0;

		for (int at = (int)i; !config.vm[i].refused && at >= 0;
		     at = config.vm[at].depends) {
			FUZZ_REQUIRE(!config.vm[at].refused);
			FUZZ_REQUIRE(steps++ < CONFIG_VMS_MAX);
		}
	}
}

void fuzz_config(const uint8_t *data, size_t size)
{
	static const uint8_t file[3] = {1, 2, 3};
	struct config_module module[MODULES];
	char *text = malloc(size + !size);
	unsigned count = 0;

	memcpy(text, data, size);
	for (size_t at = 0; at < size && count < MODULES; count++) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t length = end ? (size_t)(end - text) - at : size - at;

		module[count] = (struct config_module){text + at, length, file, sizeof(file)};
		at += length + 1;
	}
	config_parse(&config, module, count, MEMORY_MAX, CORES);
	FUZZ_REQUIRE(config.vms <= CONFIG_VMS_MAX && config.complaints <= CONFIG_COMPLAINTS_MAX);
	for (unsigned i = 0; i < config.vms; i++)
		check_vm(&config.vm[i], text, size);
	check_circles();
	free(text);
}
