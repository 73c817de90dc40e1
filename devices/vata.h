/* SPDX-License-Identifier: MIT */
/*
 * An ATA channel by programmed I/O, with up to two drives: hard disks and CD-ROM drives.
 *
 * Commands are done when they are written, so BSY is seen in a software reset only. There is no
 * DMA and no security, SMART or host protected area: IDENTIFY says so, and such commands abort.
 * ATA/ATAPI-6 (T13 1410D); the register names are its own.
 */
#ifndef DEVICES_VATA_H
#define DEVICES_VATA_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/line.h"

#define VATA_PRIMARY	       0x1F0
#define VATA_PRIMARY_CONTROL   0x3F6
#define VATA_SECONDARY	       0x170
#define VATA_SECONDARY_CONTROL 0x376
#define VATA_PORTS	       8
#define VATA_SECTOR	       512
#define VATA_BUFFER	       4096 /* bytes: what one interrupt announces at most */

enum vata_kind { VATA_NONE, VATA_DISK, VATA_CD };

/* Offsets and lengths lie within `size`, but for reads, where the rest is zero. False: failed. */
struct vata_medium {
	bool (*read)(void *ctx, uint64_t offset, void *to, uint64_t length);
	bool (*write)(void *ctx, uint64_t offset, const void *from, uint64_t length);
	void *ctx;
	uint64_t size; /* bytes */
};

struct vata_drive {
	enum vata_kind kind;
	struct vata_medium medium;
	/* The registers; upper bytes hold what was written before (48-bit commands). */
	uint16_t features;
	uint16_t count;
	uint16_t lba[3]; /* low, mid, high */
	uint8_t status;
	uint8_t error;
	uint8_t multiple;	  /* sectors for READ and WRITE MULTIPLE, 0: not set */
	uint8_t heads;		  /* of the translation that CHS addresses are in */
	uint8_t track;		  /* sectors a track */
	uint8_t sense, asc, ascq; /* CD: of the last command that failed */
};

enum vata_phase { VATA_IDLE, VATA_IN, VATA_OUT, VATA_PACKET };

struct vata {
	struct vata_drive drive[2];
	uint8_t device;	 /* register: which drive, LBA, upper address bits */
	uint8_t control; /* register */
	uint8_t active;	 /* the drive that had the last command */
	bool intrq;
	bool packet; /* that was PACKET, and the data are its answer */
	enum vata_phase phase;
	uint32_t at, end;  /* bytes of `buffer` that are still to be moved by the host */
	uint64_t position; /* on the medium, bytes: of what comes after the buffer */
	uint64_t left;	   /* bytes after the buffer */
	uint32_t block;	   /* bytes for each interrupt */
	bool from_medium;  /* the data are the medium's; else they were in the buffer as a whole */
	uint8_t *buffer;   /* VATA_BUFFER bytes, NULL when there is no drive */
	struct line irq;
};

/* An empty channel. `buffer` stays the caller's. */
void vata_init(struct vata *v, uint8_t *buffer, struct line irq);
/* Puts drive 0 or 1 there, powered up. */
void vata_attach(struct vata *v, unsigned drive, enum vata_kind kind,
		 const struct vata_medium *medium);

/* The VATA_PORTS ports of the command block; the data port takes 1, 2 or 4 bytes. */
uint32_t vata_read(void *vata, uint16_t port, unsigned size, uint64_t now);
void vata_write(void *vata, uint16_t port, unsigned size, uint32_t value, uint64_t now);
/* The data port, many times; returns how often it moved, 0 when there is nothing to move. */
unsigned vata_read_block(void *vata, uint16_t port, unsigned size, void *to, unsigned count);
unsigned vata_write_block(void *vata, uint16_t port, unsigned size, const void *from,
			  unsigned count);
/* Alternate status and device control. */
uint32_t vata_control_read(void *vata, uint16_t port, unsigned size, uint64_t now);
void vata_control_write(void *vata, uint16_t port, unsigned size, uint32_t value, uint64_t now);

#endif
