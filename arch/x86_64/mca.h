/* SPDX-License-Identifier: MIT */
/*
 * What a machine-check bank says, in words. Intel SDM volume 3, "Machine-Check Architecture",
 * "Interpreting the MCA Error Codes". Pure.
 */
#ifndef ARCH_X86_64_MCA_H
#define ARCH_X86_64_MCA_H

#include <stddef.h>
#include <stdint.h>

#include "lib/bits.h"

#define MCG_STATUS_RIPV		   BIT(0)
#define MCG_STATUS_EIPV		   BIT(1)

#define MCI_STATUS_VALID	   BIT(63)
#define MCI_STATUS_OVERFLOW	   BIT(62)
#define MCI_STATUS_UNCORRECTED	   BIT(61)
#define MCI_STATUS_MISC_VALID	   BIT(59)
#define MCI_STATUS_ADDRESS_VALID   BIT(58)
#define MCI_STATUS_CONTEXT_CORRUPT BIT(57)

struct mca_bank {
	unsigned number;
	uint64_t status;
	uint64_t address, misc; /* 0 where the status says that there is none */
};

/* "uncorrected error in memory, channel 2: status 0x..., address 0x...": below 160 characters. */
void mca_describe(const struct mca_bank *bank, char *text, size_t size);

#endif
