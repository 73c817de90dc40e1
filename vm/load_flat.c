/* SPDX-License-Identifier: MIT */
/* Loader of flat images. */
#include "vm/load_flat.h"

#include "lib/bits.h"
#include "vm/image_start.h"
#include "vm/layout.h"
#include "vm/load_plan.h"

#define BOOT_SECTOR   0x7C00 /* where a BIOS puts it, and every 16-bit image expects to be */
#define REAL_MODE_END 0x100000

bool flat_load(const struct vm_config *config, struct guest_memory *memory, uint64_t rsdp,
	       struct vcpu_start *start, struct error *error)
{
	const struct config_file *file = &config->kernel;
	bool real = config->boot == CONFIG_BOOT_FLAT16, wide = config->boot == CONFIG_BOOT_FLAT64;
	uint64_t load = config->load ? config->load : real ? BOOT_SECTOR : LAYOUT_KERNEL;
	struct plan_segment segment = {0, file->size, load, file->size, load};
	struct plan plan = {.entry = config->entry ? config->entry : load};
	unsigned uses = real ? 0 : PLAN_GDT | PLAN_STACK | (wide ? PLAN_TABLES : 0);

	(void)rsdp;
	if (config->initrd.data || config->modules || file->cmdline.length)
		return error_set(error, "%s: a flat image gets none; want no such line",
				 config->initrd.data ? "initrd"
				 : config->modules   ? "module"
						     : "cmdline");
	if (real && plan.entry >= REAL_MODE_END)
		return error_set(error, "entry=0x%llx: real mode ends at 0x%x",
				 (unsigned long long)plan.entry, REAL_MODE_END);
	if (!plan_add(&plan, &segment, file->size, error) ||
	    !plan_write(&plan, file, uses, memory, error))
		return false;
	if (real)
		start_real16(start, plan.entry);
	return real || (wide ? start_long64 : start_protected32)(start, memory, plan.entry, error);
}
