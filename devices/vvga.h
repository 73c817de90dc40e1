/* SPDX-License-Identifier: MIT */
/*
 * VGA: its registers, and what they say of the picture.
 *
 * The display memory is RAM of the guest, which costs it no exit; so a picture is made only when
 * somebody looks, from these registers and that memory. Text therefore is two bytes a cell as the
 * CPU sees it, and there are no planes: registers of the graphics controller that change how the
 * CPU reaches memory are kept and change nothing. IBM PS/2 Hardware Interface Technical Reference,
 * 'Video Subsystem'.
 */
#ifndef DEVICES_VVGA_H
#define DEVICES_VVGA_H

#include <stdbool.h>
#include <stdint.h>

#define VVGA_PORT	     0x3B0 /* the first one, and the last */
#define VVGA_PORT_LAST	     0x3DF
#define VVGA_SEQ	     5
#define VVGA_GFX	     9
#define VVGA_ATTR	     0x15
#define VVGA_CRTC	     0x19
#define VVGA_DAC	     768

#define VVGA_CRTC_CURSOR_TOP 0x0A
#define VVGA_CRTC_START	     0x0C
#define VVGA_CRTC_CURSOR     0x0E

struct vvga {
	uint8_t misc; /* miscellaneous output */
	uint8_t feature;
	uint8_t seq_index, seq[VVGA_SEQ];
	uint8_t gfx_index, gfx[VVGA_GFX];
	uint8_t crtc_index, crtc[VVGA_CRTC];
	uint8_t attr_index, attr[VVGA_ATTR]; /* bit 5 of the index: the screen is on */
	bool attr_data;			     /* the next write to 3C0H is data */
	uint8_t dac_mask;
	bool dac_reading;
	uint16_t dac_read, dac_write; /* the next component: 3 * colour + 0..2 */
	uint8_t dac[VVGA_DAC];
	uint64_t hz;
};

/* What the registers make of the display memory. */
struct vvga_picture {
	bool on;	  /* not blanked */
	bool text;	  /* else `width` and `height` in dots say all */
	bool blinks;	  /* bit 7 of an attribute blinks; else it is a bright background */
	bool cursor;	  /* it is shown */
	bool cursor_full; /* a block, not a line */
	uint32_t base;	  /* guest-physical address of the display memory */
	uint32_t cells;	  /* in it, a power of two: positions wrap there */
	uint32_t start;	  /* the cell at the top left */
	uint32_t stride;  /* cells from row to row */
	uint32_t at;	  /* the cell of the cursor */
	unsigned width;	  /* columns, or dots */
	unsigned height;  /* rows, or dots */
};

/* As a BIOS leaves it: mode 3, colour text of 80 x 25. */
void vvga_init(struct vvga *v, uint64_t hz);
/* Ports 3B0H..3DFH. */
uint32_t vvga_read(void *vvga, uint16_t port, unsigned size, uint64_t now);
void vvga_write(void *vvga, uint16_t port, unsigned size, uint32_t value, uint64_t now);
void vvga_look(const struct vvga *v, struct vvga_picture *picture);

#endif
