/* SPDX-License-Identifier: MIT */
/*
 * What is plugged into the two ports of a keyboard controller: a PS/2 keyboard of 101 keys, and a
 * mouse with a wheel that lies still.
 *
 * Answers go before key codes. A key is named here by its code of scan code set 1, with
 * VPS2_EXTENDED for those whose codes begin with E0H. IBM PS/2 Hardware Interface Technical
 * Reference, 'Keyboard and Auxiliary Device Controller', 'Keyboards (101- and 102-Key)'.
 */
#ifndef DEVICES_VPS2_H
#define DEVICES_VPS2_H

#include <stdbool.h>
#include <stdint.h>

#define VPS2_EXTENDED 0x80
#define VPS2_CODES    16  /* bytes of a keyboard's buffer */
#define VPS2_SET3     136 /* codes of set 3 */

struct vps2 {
	bool mouse;
	bool enabled; /* the keyboard scans, the mouse reports */
	uint8_t set;  /* scan code set 1..3 */
	uint8_t leds;
	uint8_t rate; /* typematic rate and delay, or samples a second */
	uint8_t resolution;
	uint8_t mode;	  /* the mouse's: bits as in its status byte */
	uint8_t id;	  /* the mouse's */
	uint8_t knock;	  /* how many of the rates that switch the wheel on have come */
	uint8_t awaiting; /* the command whose argument comes next, 0 for none */
	uint8_t last;	  /* what was sent last */
	uint8_t answer[8];
	uint8_t answers, answered;
	uint8_t code[VPS2_CODES];
	uint8_t codes, sent;
	uint8_t breaks[VPS2_SET3 / 8]; /* keys that have a break code in set 3 */
};

/* As after power-on and its self test; the keyboard scans, as firmware leaves it. */
void vps2_init(struct vps2 *v, bool mouse);
/* A byte from the controller. */
void vps2_write(struct vps2 *v, uint8_t byte);
/* Whether there is a byte for it, and that byte. */
bool vps2_waiting(const struct vps2 *v);
uint8_t vps2_read(struct vps2 *v);
/* Whether the keyboard scans and has sent all. */
bool vps2_idle(const struct vps2 *v);
/* A key goes down or up; false for one that this keyboard has not. */
bool vps2_key(struct vps2 *v, uint8_t key, bool down);
/* A byte of set 2 (F0H apart) as one of set 1: what a controller's translation does. */
uint8_t vps2_translate(uint8_t code);

#endif
