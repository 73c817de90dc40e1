/* SPDX-License-Identifier: MIT */
/* The ends that a guest can make of itself; its command line says which one. */
#include "guests/lib/acpi.h"
#include "guests/lib/guest.h"

#define INFO_CMDLINE (1u << 2)
#define SLP_EN	     (1u << 13)
#define SLP_TYP(n)   (uint16_t)((n) << 10)

struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
};

static void by_s5(void)
{
	const struct acpi_fadt *fadt = acpi_table("FACP");
	int type = acpi_s5();

	outb((uint16_t)fadt->smi_command, fadt->acpi_enable);
	outw((uint16_t)fadt->pm1a_control, SLP_TYP(type) | SLP_EN);
}

static void by_reset_register(void)
{
	const struct acpi_fadt *fadt = acpi_table("FACP");

	outb((uint16_t)fadt->reset.address, fadt->reset_value);
}

static void by_8042(void)
{
	outb(0x64, 0xFE);
}

static void by_8042_output(void)
{
	outb(0x64, 0xD1);
	outb(0x60, 0xFE);
}

static void by_port92(void)
{
	outb(0x92, 1);
}

static void by_exit(void)
{
	outb(DEBUG_EXIT_PORT, 7);
}

static void by_wide_exit(void)
{
	outl(DEBUG_EXIT_PORT, 0x12345678);
}

static void by_halt(void)
{
	__asm__ volatile("cli\n\thlt");
}

static const struct {
	const char *word;
	void (*end)(void);
} ends[] = {
	{"s5", by_s5},
	{"reset", by_reset_register},
	{"8042", by_8042},
	{"8042-output", by_8042_output},
	{"port92", by_port92},
	{"exit", by_exit},
	{"wide-exit", by_wide_exit},
	{"halt", by_halt},
};

/* Is `word` the last one of the line? */
static bool asked(const char *line, const char *word)
{
	const char *last = line;

	for (; *line; line++)
		if (*line == ' ')
			last = line + 1;
	while (*word && *last == *word)
		last++, word++;
	return !*word && !*last;
}

unsigned main(uintptr_t address)
{
	const struct multiboot_info *info = (const struct multiboot_info *)address;
	const char *line = (const char *)(uintptr_t)info->cmdline;

	if (info->flags & INFO_CMDLINE)
		for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
			if (asked(line, ends[i].word)) {
				guest_print("# ends by %s\n", ends[i].word);
				ends[i].end();
			}
	guest_check(false, "the machine has ended");
	return guest_failures();
}
