/* SPDX-License-Identifier: MIT */
/*
 * VGA registers.
 * IBM PS/2 Hardware Interface Technical Reference, 'Video Subsystem': 'General Registers',
 * 'Sequencer', 'CRT Controller', 'Graphics Controller', 'Attribute Controller', 'Digital-to-Analog
 * Converter'.
 */
#include "devices/vvga.h"

#include "lib/bits.h"
#include "lib/rate.h"
#include "lib/string.h"

#define MISC_COLOUR	  0x01 /* the CRTC is at 3DxH, not 3BxH */
#define SEQ_CLOCKING	  1
#define SEQ_SCREEN_OFF	  0x20
#define GFX_MODE	  5
#define GFX_MODE_256	  0x40
#define GFX_MISC	  6
#define GFX_GRAPHICS	  0x01
#define ATTR_INDEX	  0x1F
#define ATTR_ON		  0x20
#define ATTR_MODE	  0x10
#define ATTR_MODE_BLINK	  0x08
#define CRTC_COLUMNS	  0x01
#define CRTC_OVERFLOW	  0x07
#define CRTC_ROW	  0x09
#define CRTC_ROW_LINES	  0x1F
#define CRTC_ROW_DOUBLE	  0x80
#define CRTC_CURSOR_OFF	  0x20
#define CRTC_RETRACE_END  0x11
#define CRTC_PROTECT	  0x80
#define CRTC_LINES	  0x12
#define CRTC_STRIDE	  0x13
#define CRTC_LINE_COMPARE 0x10 /* in CRTC_OVERFLOW, outside of the protection */

#define STATUS0_SENSE	  0x10
#define STATUS1_BLANK	  0x01
#define STATUS1_RETRACE	  0x08

/* 720 x 400 at 70 Hz: characters of 9 dots of 28.322 MHz, 100 to a line, 449 lines. */
#define CHARACTER_HZ	3146900
#define LINE_CHARACTERS 100
#define LINE_SHOWN	80
#define FRAME_LINES	449
#define FRAME_SHOWN	400
#define RETRACE_LINE	412
#define RETRACE_LINES	2

/* BIOS mode 3. */
static const struct vvga mode3 = {
	.misc = 0x67,
	.seq = {0x03, 0x00, 0x03, 0x00, 0x02},
	.gfx = {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0E, 0x00, 0xFF},
	.crtc = {0x5F, 0x4F, 0x50, 0x82, 0x55, 0x81, 0xBF, 0x1F, 0x00, 0x4F, 0x0D, 0x0E, 0x00,
		 0x00, 0x00, 0x00, 0x9C, 0x8E, 0x8F, 0x28, 0x1F, 0x96, 0xB9, 0xA3, 0xFF},
	.attr = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3A,
		 0x3B, 0x3C, 0x3D, 0x3E, 0x3F, 0x0C, 0x00, 0x0F, 0x08, 0x00},
	.attr_index = ATTR_ON,
	.dac_mask = 0xFF,
};

void vvga_init(struct vvga *v, uint64_t hz)
{
	*v = mode3;
	v->hz = hz;
	/* The 64 colours of the EGA: bits 2:0 are two thirds of R, G, B, bits 5:3 one third. */
	for (unsigned i = 0; i < 3 * 64; i++) {
		unsigned colour = i / 3 >> (2 - i % 3);

		v->dac[i] = (uint8_t)((colour & 1) * 0x2A + (colour >> 3 & 1) * 0x15);
	}
}

static uint8_t status1(struct vvga *v, uint64_t now)
{
	uint64_t at = rate_units(now, v->hz, CHARACTER_HZ);
	unsigned line = (unsigned)(at / LINE_CHARACTERS % FRAME_LINES);
	bool shown = line < FRAME_SHOWN && at % LINE_CHARACTERS < LINE_SHOWN;

	v->attr_data = false;
	return (uint8_t)((shown ? 0 : STATUS1_BLANK) |
			 (line - RETRACE_LINE < RETRACE_LINES ? STATUS1_RETRACE : 0));
}

static uint8_t read_dac(struct vvga *v)
{
	uint8_t value = v->dac[v->dac_read];

	v->dac_read = (uint16_t)((v->dac_read + 1) % VVGA_DAC);
	return value;
}

static void write_dac(struct vvga *v, uint8_t value)
{
	v->dac[v->dac_write] = value & 0x3F;
	v->dac_write = (uint16_t)((v->dac_write + 1) % VVGA_DAC);
}

/* The CRTC and its neighbours answer at 3BxH or at 3DxH; returns the port at 3DxH, 0 for nobody. */
static uint16_t decode(const struct vvga *v, uint16_t port)
{
	bool mono = port < 0x3C0;

	if (port >= 0x3C0 && port < 0x3D0)
		return port;
	if (mono == !!(v->misc & MISC_COLOUR))
		return 0;
	return mono ? port + 0x20 : port;
}

static uint8_t at(const uint8_t *bank, unsigned count, unsigned index)
{
	return index < count ? bank[index] : 0;
}

uint32_t vvga_read(void *vvga, uint16_t port, unsigned size, uint64_t now)
{
	struct vvga *v = vvga;

	(void)size;
	switch (decode(v, port)) {
	case 0x3C0: return v->attr_index;
	case 0x3C1: return at(v->attr, VVGA_ATTR, v->attr_index & ATTR_INDEX);
	case 0x3C2: return STATUS0_SENSE;
	case 0x3C4: return v->seq_index;
	case 0x3C5: return at(v->seq, VVGA_SEQ, v->seq_index);
	case 0x3C6: return v->dac_mask;
	case 0x3C7: return v->dac_reading ? 3 : 0;
	case 0x3C8: return v->dac_write / 3;
	case 0x3C9: return read_dac(v);
	case 0x3CA: return v->feature;
	case 0x3CC: return v->misc;
	case 0x3CE: return v->gfx_index;
	case 0x3CF: return at(v->gfx, VVGA_GFX, v->gfx_index);
	case 0x3D4: return v->crtc_index;
	case 0x3D5: return at(v->crtc, VVGA_CRTC, v->crtc_index);
	case 0x3DA: return status1(v, now);
	default: return 0xFF;
	}
}

static void write_attribute(struct vvga *v, uint8_t value)
{
	static const uint8_t masks[] = {0xEF, 0xFF, 0x3F, 0x0F, 0x0F};
	unsigned index = v->attr_index & ATTR_INDEX;

	v->attr_data = !v->attr_data;
	if (v->attr_data)
		v->attr_index = value & (ATTR_ON | ATTR_INDEX);
	else if (index < ATTR_MODE)
		v->attr[index] = value & 0x3F;
	else if (index < VVGA_ATTR)
		v->attr[index] = value & masks[index - ATTR_MODE];
}

static void write_crtc(struct vvga *v, uint8_t value)
{
	uint8_t index = v->crtc_index, keep = 0;

	if (index >= VVGA_CRTC)
		return;
	if (index <= CRTC_OVERFLOW && (v->crtc[CRTC_RETRACE_END] & CRTC_PROTECT))
		keep = index == CRTC_OVERFLOW ? ~CRTC_LINE_COMPARE & 0xFF : 0xFF;
	v->crtc[index] = (uint8_t)((v->crtc[index] & keep) | (value & ~keep));
}

static void write_masked(uint8_t *bank, const uint8_t *masks, unsigned count, unsigned index,
			 uint8_t value)
{
	if (index < count)
		bank[index] = value & masks[index];
}

void vvga_write(void *vvga, uint16_t port, unsigned size, uint32_t value32, uint64_t now)
{
	static const uint8_t seq_masks[VVGA_SEQ] = {0x03, 0x3D, 0x0F, 0x3F, 0x0E};
	static const uint8_t gfx_masks[VVGA_GFX] = {0x0F, 0x0F, 0x0F, 0x1F, 0x03,
						    0x7B, 0x0F, 0x0F, 0xFF};
	struct vvga *v = vvga;
	uint8_t value = (uint8_t)value32;

	(void)size, (void)now;
	switch (decode(v, port)) {
	case 0x3C0: write_attribute(v, value); break;
	case 0x3C2: v->misc = value & 0xEF; break;
	case 0x3C4: v->seq_index = value & 0x07; break;
	case 0x3C5: write_masked(v->seq, seq_masks, VVGA_SEQ, v->seq_index, value); break;
	case 0x3C6: v->dac_mask = value; break;
	case 0x3C7:
		v->dac_read = (uint16_t)(3 * value);
		v->dac_reading = true;
		break;
	case 0x3C8:
		v->dac_write = (uint16_t)(3 * value);
		v->dac_reading = false;
		break;
	case 0x3C9: write_dac(v, value); break;
	case 0x3CE: v->gfx_index = value & 0x0F; break;
	case 0x3CF: write_masked(v->gfx, gfx_masks, VVGA_GFX, v->gfx_index, value); break;
	case 0x3D4: v->crtc_index = value & 0x3F; break;
	case 0x3D5: write_crtc(v, value); break;
	case 0x3DA: v->feature = value & 0x0B; break;
	default: break;
	}
}

static uint32_t word(const struct vvga *v, unsigned index)
{
	return (uint32_t)v->crtc[index] << 8 | v->crtc[index + 1];
}

static void look_at_text(const struct vvga *v, struct vvga_picture *p)
{
	static const struct {
		uint32_t base, cells;
	} maps[4] = {{0xA0000, 0x10000}, {0xA0000, 0x8000}, {0xB0000, 0x4000}, {0xB8000, 0x4000}};
	unsigned map = v->gfx[GFX_MISC] >> 2 & 3;
	unsigned top = v->crtc[VVGA_CRTC_CURSOR_TOP], bottom = v->crtc[VVGA_CRTC_CURSOR_TOP + 1];

	p->base = maps[map].base;
	p->cells = maps[map].cells;
	p->start = word(v, VVGA_CRTC_START) % p->cells;
	p->at = word(v, VVGA_CRTC_CURSOR) % p->cells;
	p->stride = 2U * v->crtc[CRTC_STRIDE];
	p->blinks = v->attr[ATTR_MODE] & ATTR_MODE_BLINK;
	p->cursor = !(top & CRTC_CURSOR_OFF) && (top & CRTC_ROW_LINES) <= (bottom & CRTC_ROW_LINES);
	p->cursor_full = (bottom & CRTC_ROW_LINES) - (top & CRTC_ROW_LINES) >
			 (v->crtc[CRTC_ROW] & CRTC_ROW_LINES) / 2U;
}

void vvga_look(const struct vvga *v, struct vvga_picture *p)
{
	uint8_t row = v->crtc[CRTC_ROW], over = v->crtc[CRTC_OVERFLOW];
	unsigned lines = (v->crtc[CRTC_LINES] | (over & 0x02) << 7 | (over & 0x40) << 3) + 1U;

	memset(p, 0, sizeof(*p));
	p->on = (v->attr_index & ATTR_ON) && !(v->seq[SEQ_CLOCKING] & SEQ_SCREEN_OFF);
	p->text = !(v->gfx[GFX_MISC] & GFX_GRAPHICS);
	p->width = v->crtc[CRTC_COLUMNS] + 1U;
	p->height = lines / ((row & CRTC_ROW_LINES) + 1U);
	if (p->text) {
		look_at_text(v, p);
		return;
	}
	p->width *= v->gfx[GFX_MODE] & GFX_MODE_256 ? 4 : 8;
	if (row & CRTC_ROW_DOUBLE)
		p->height /= 2;
}
