/* SPDX-License-Identifier: MIT */
/* Interrupt vectors and BIOS data in low memory. */
#include "vm/bios_data.h"

#include <stdint.h>

#include "lib/bits.h"
#include "vm/layout.h"

#define VECTORS	    256u
#define FIRST_CALL  0x10 /* services; below are exceptions and the first 8259's IRQs */
#define SLAVE_FIRST 0x70
#define SLAVE_END   0x78
#define ROM_SEGMENT 0xF000u
#define RETURN	    0xFF53u /* where AT BIOSes have their empty handler */
#define REFUSE	    0xFF54u

/* iret; then push bp; mov bp, sp; or byte [bp + 6], 1; pop bp; iret: the caller's carry flag. */
static const uint8_t code[] = {0xCF, 0x55, 0x89, 0xE5, 0x80, 0x4E, 0x06, 0x01, 0x5D, 0xCF};

static const struct {
	uint16_t at, value;
} data[] = {
	{0x400, 0x3F8},		    /* first serial port */
	{0x40E, LAYOUT_EBDA >> 4},  /* segment of the EBDA */
	{0x410, 0x0220},	    /* equipment: a serial port, text of 80 columns */
	{0x413, LAYOUT_EBDA / KIB}, /* KiB of memory */
	{0x449, 0x5003},	    /* video mode 3; 80 */
	{0x44B, 0x0000},	    /* columns; page of 4096 bytes */
	{0x44D, 0x0010},
	{0x463, 0x3D4},	 /* CRTC */
	{0x484, 0x1018}, /* rows but one; 16 lines a character */
};

bool bios_data_write(struct guest_memory *memory)
{
	uint32_t vector[VECTORS];
	bool written;

	for (unsigned i = 0; i < VECTORS; i++) {
		bool call = i >= FIRST_CALL && (i < SLAVE_FIRST || i >= SLAVE_END);

		vector[i] = ROM_SEGMENT << 16 | (call ? REFUSE : RETURN);
	}
	written = guest_memory_write(memory, LAYOUT_IVT, vector, sizeof(vector)) &&
		  guest_memory_write(memory, (ROM_SEGMENT << 4) + RETURN, code, sizeof(code));
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
		written = written && guest_memory_write(memory, data[i].at, &data[i].value, 2);
	return written;
}
