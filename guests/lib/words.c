/* SPDX-License-Identifier: MIT */
/* Command lines. Multiboot specification 0.6.96, "Boot information format". */
#include "guests/lib/words.h"

#include <stddef.h>

#define INFO_CMDLINE (1u << 2)

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
};

/* What follows `start` in a word that begins so; NULL if none does. */
static const char *find(uintptr_t address, const char *start)
{
	const struct multiboot_info *info = (const struct multiboot_info *)address;
	const char *at = (const char *)(uintptr_t)info->cmdline;

	if (!(info->flags & INFO_CMDLINE))
		return NULL;
	while (*at) {
		const char *rest = at, *want = start;

		while (*want && *rest == *want)
			rest++, want++;
		if (!*want)
			return rest;
		while (*at && *at != ' ')
			at++;
		while (*at == ' ')
			at++;
	}
	return NULL;
}

bool words_have(uintptr_t info, const char *word)
{
	const char *rest = find(info, word);

	return rest && (!*rest || *rest == ' ');
}

uint32_t words_number(uintptr_t info, const char *name, uint32_t otherwise)
{
	const char *at = find(info, name);
	uint32_t number = 0;

	if (!at || *at++ != '=')
		return otherwise;
	for (; *at >= '0' && *at <= '9'; at++)
		number = number * 10 + (uint32_t)(*at - '0');
	return number;
}
