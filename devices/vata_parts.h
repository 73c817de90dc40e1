/* SPDX-License-Identifier: MIT */
/* What the two kinds of drives share: the channel's data phases and register values. */
#ifndef DEVICES_VATA_PARTS_H
#define DEVICES_VATA_PARTS_H

#include "devices/vata.h"

#define STATUS_ERR   0x01
#define STATUS_DRQ   0x08
#define STATUS_DSC   0x10
#define STATUS_DF    0x20
#define STATUS_DRDY  0x40
#define STATUS_BSY   0x80
#define STATUS_READY (STATUS_DRDY | STATUS_DSC)

#define ERROR_ABRT   0x04
#define ERROR_IDNF   0x10
#define ERROR_UNC    0x40

/* The drive that has the command; the host may have selected the other one meanwhile. */
static inline struct vata_drive *vata_active(struct vata *v)
{
	return &v->drive[v->active];
}

/* The command has ended; error 0: well. */
void vata_end(struct vata *v, uint8_t status, uint8_t error);
void vata_interrupt(struct vata *v, bool level);
/* What a drive shows after a reset. */
void vata_signature(struct vata_drive *d);
/* IDENTIFY's strings: `words` of two characters, filled up with spaces. */
void vata_words(uint8_t *at, const char *text, unsigned words);
static inline void vata_word(uint8_t *identify, unsigned word, uint32_t value)
{
	identify[2 * word] = (uint8_t)value;
	identify[2 * word + 1] = (uint8_t)(value >> 8);
}

/* IDENTIFY's sector is in the buffer. */
void vata_identified(struct vata *v);
/* SET FEATURES, done; false: it is to be aborted. */
bool vata_set_features(struct vata *v);

/* CD-ROM drives (vatapi.c). Commands: false for one that such drives do not have. */
bool vatapi_command(struct vata *v, uint8_t command);
/* The twelve bytes of a packet are in the buffer. */
void vatapi_packet(struct vata *v);
/* The host has taken what was in the buffer. */
void vatapi_taken(struct vata *v);

#endif
