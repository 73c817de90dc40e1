/* SPDX-License-Identifier: MIT */
/* Machine-check banks in words. */
#include "arch/x86_64/mca.h"

#include "lib/format.h"

#define CODE_FILTERED	BIT(12) /* says how corrected errors are counted, not what they are */
#define CHANNEL_UNKNOWN 15

/* The compound codes from the most particular form to the widest, then the simple ones. */
static const struct {
	uint16_t mask, value;
	char name[22];
} kinds[] = {
	{0xfffc, 0x000c, "a cache"},
	{0xfff0, 0x0010, "a TLB"},
	{0xff80, 0x0080, "memory"},
	{0xff00, 0x0100, "a cache"},
	{0xff80, 0x0280, "memory"},
	{0xffff, 0x0e0b, "I/O"},
	{0xf800, 0x0800, "a bus or interconnect"},
	{0xfc00, 0x0400, "the CPU's inside"},
	{0xffff, 0x0005, "the CPU's inside"},
	{0xffff, 0x0002, "the CPU's microcode"},
	{0xffff, 0x0003, "another chip"},
	{0, 0, "an unknown part"},
};

void mca_describe(const struct mca_bank *bank, char *text, size_t size)
{
	uint16_t code = (uint16_t)(bank->status & ~CODE_FILTERED);
	unsigned kind = 0, channel = code & 15;
	char where[16] = "";

	while ((code & kinds[kind].mask) != kinds[kind].value)
		kind++;
	if (kinds[kind].mask == 0xff80 && channel != CHANNEL_UNKNOWN)
		format(where, sizeof(where), ", channel %u", channel);
	format(text, size, "%scorrected error in %s%s%s%s: status 0x%lx, address 0x%lx, misc 0x%lx",
	       bank->status & MCI_STATUS_UNCORRECTED ? "un" : "", kinds[kind].name, where,
	       bank->status & MCI_STATUS_CONTEXT_CORRUPT ? ", CPU state lost" : "",
	       bank->status & MCI_STATUS_OVERFLOW ? ", not the only one" : "", bank->status,
	       bank->address, bank->misc);
}
