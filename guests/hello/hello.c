/* SPDX-License-Identifier: MIT */
/* The smallest test: a guest starts, shows the command line that it got, and ends with PASS. */
#include "guests/lib/guest.h"

/* Multiboot specification 0.6.96, "Boot information format". */
#define INFO_CMDLINE (1u << 2)

struct multiboot_info {
	uint32_t flags;
	uint32_t mem_lower;
	uint32_t mem_upper;
	uint32_t boot_device;
	uint32_t cmdline;
};

unsigned main(uintptr_t address)
{
	const struct multiboot_info *info = (const struct multiboot_info *)address;

	guest_check(info != 0, "hello");
	if (info->flags & INFO_CMDLINE)
		guest_print("# command line: %s\n", (const char *)(uintptr_t)info->cmdline);
	return guest_failures();
}
