/* SPDX-License-Identifier: MIT */
/*
 * CD-ROM drives: the PACKET command and what goes through it. The disc has one data track and
 * stays where it is. ATA/ATAPI-6, 'PACKET'; SCSI Primary Commands (SPC-3), Multimedia Commands
 * (MMC-4).
 */
#include "devices/vata_parts.h"

#include "lib/bits.h"
#include "lib/string.h"

#define BLOCK	      2048
#define PACKET_BYTES  12
#define MSF_LEAD_IN   150 /* blocks before block 0 */
#define MSF_SECOND    75
#define MSF_MINUTE    60
#define TRACK_DATA    0x14
#define TRACK_LEADOUT 0xAA

/* Interrupt reason, in the count register. */
#define REASON_COMMAND 0x01
#define REASON_TO_HOST 0x02

#define KEY_ILLEGAL    5
#define KEY_MEDIUM     3
#define ASC_COMMAND    0x20 /* invalid command operation code */
#define ASC_RANGE      0x21 /* logical block address out of range */
#define ASC_FIELD      0x24 /* invalid field in the packet */
#define ASC_READ       0x11 /* unrecovered read error */

static uint32_t big(const uint8_t *at, unsigned bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | *at++;
	return value;
}

static void put_big(uint8_t *at, unsigned bytes, uint32_t value)
{
	for (; bytes--; value >>= 8)
		at[bytes] = (uint8_t)value;
}

static uint32_t blocks(struct vata *v)
{
	return (uint32_t)MIN((vata_active(v)->medium.size + BLOCK - 1) / BLOCK, UINT32_MAX);
}

/* --- Ends of packets --- */

static void finish(struct vata *v)
{
	vata_active(v)->count = REASON_COMMAND | REASON_TO_HOST;
	vata_end(v, STATUS_READY, 0);
}

static void fail(struct vata *v, uint8_t key, uint8_t asc)
{
	struct vata_drive *d = vata_active(v);

	d->sense = key;
	d->asc = asc;
	d->count = REASON_COMMAND | REASON_TO_HOST;
	vata_end(v, STATUS_READY, (uint8_t)(key << 4 | (key == KEY_ILLEGAL ? ERROR_ABRT : 0)));
}

/* The next part of the answer: from the medium, or where the buffer has been read to. */
static void offer(struct vata *v)
{
	struct vata_drive *d = vata_active(v);
	uint32_t part = (uint32_t)MIN(v->block, v->left);

	if (v->from_medium) {
		v->at = 0;
		if (!d->medium.read(d->medium.ctx, v->position, v->buffer, part)) {
			fail(v, KEY_MEDIUM, ASC_READ);
			return;
		}
		v->position += part;
	}
	v->end = v->at + part;
	v->left -= part;
	v->phase = VATA_IN;
	d->count = REASON_TO_HOST;
	d->lba[1] = part & 0xFF;
	d->lba[2] = (uint16_t)(part >> 8);
	d->status = STATUS_READY | STATUS_DRQ;
	vata_interrupt(v, true);
}

void vatapi_taken(struct vata *v)
{
	if (v->left)
		offer(v);
	else
		finish(v);
}

/* `length` bytes in the buffer, or as many as the packet has room for. */
static void answer(struct vata *v, uint32_t length, uint32_t room)
{
	v->at = 0;
	v->left = MIN(length, room);
	v->from_medium = false;
	vatapi_taken(v);
}

/* --- Packets --- */

static void request_sense(struct vata *v, uint32_t room)
{
	struct vata_drive *d = vata_active(v);
	uint8_t *to = memset(v->buffer, 0, 18);

	to[0] = 0x70;
	to[2] = d->sense;
	to[7] = 10; /* bytes that follow */
	to[12] = d->asc;
	d->sense = d->asc = 0;
	answer(v, 18, room);
}

static void inquiry(struct vata *v, const uint8_t *packet)
{
	static const char data[36 + 1] = "\x05\x80\x00\x21\x1F\0\0\0SOCLE   SOCLE CD        1   ";

	if (packet[1] & 1) { /* vital product data: there is none */
		fail(v, KEY_ILLEGAL, ASC_FIELD);
		return;
	}
	memcpy(v->buffer, data, 36);
	answer(v, 36, big(packet + 3, 2));
}

static void read_capacity(struct vata *v)
{
	put_big(v->buffer, 4, blocks(v) - 1);
	put_big(v->buffer + 4, 4, BLOCK);
	answer(v, 8, 8);
}

static void read_blocks(struct vata *v, uint32_t lba, uint32_t count)
{
	if (!range_within(lba, count, blocks(v))) {
		fail(v, KEY_ILLEGAL, ASC_RANGE);
		return;
	}
	v->position = (uint64_t)lba * BLOCK;
	v->left = (uint64_t)count * BLOCK;
	v->from_medium = true;
	vatapi_taken(v);
}

static void put_track(uint8_t *at, uint8_t number, uint32_t lba, bool msf)
{
	memset(at, 0, 8);
	at[1] = TRACK_DATA;
	at[2] = number;
	if (!msf) {
		put_big(at + 4, 4, lba);
		return;
	}
	lba += MSF_LEAD_IN;
	at[5] = (uint8_t)(lba / (MSF_SECOND * MSF_MINUTE));
	at[6] = (uint8_t)(lba / MSF_SECOND % MSF_MINUTE);
	at[7] = (uint8_t)(lba % MSF_SECOND);
}

/* Format 0: tracks; 1: sessions. In older packets the format is in the control byte. */
static void read_toc(struct vata *v, const uint8_t *packet)
{
	unsigned format = packet[2] & 0xF ? packet[2] & 0xF : packet[9] >> 6, track = packet[6];
	bool msf = packet[1] & 2;
	uint32_t length = 4;

	if (format > 1 || (!format && track > 1 && track != TRACK_LEADOUT)) {
		fail(v, KEY_ILLEGAL, ASC_FIELD);
		return;
	}
	if (format || track <= 1) {
		put_track(v->buffer + length, 1, 0, msf);
		length += 8;
	}
	if (!format) {
		put_track(v->buffer + length, TRACK_LEADOUT, blocks(v), msf);
		length += 8;
	}
	put_big(v->buffer, 2, length - 2);
	v->buffer[2] = v->buffer[3] = 1; /* the first and the last */
	answer(v, length, big(packet + 7, 2));
}

/* Pages 01H (read error recovery) and 2AH (capabilities: the door can be locked, no more). */
static void mode_sense(struct vata *v, const uint8_t *packet)
{
	static const uint8_t recovery[] = {0x01, 6, 0, 5, 0, 0, 0, 0};
	static const uint8_t capabilities[] = {0x2A, 18, 0, 0,	  0x60, 0,    0x21, 0, 0x16, 0x00,
					       0,    0,	 2, 0x00, 0x16, 0x00, 0,    0, 0,    0};
	unsigned page = packet[2] & 0x3F;
	uint32_t length = 8;

	memset(v->buffer, 0, length);
	v->buffer[2] = 1; /* a data disc of 120 mm */
	if (page == 0x01 || page == 0x3F) {
		memcpy(v->buffer + length, recovery, sizeof(recovery));
		length += sizeof(recovery);
	}
	if (page == 0x2A || page == 0x3F) {
		memcpy(v->buffer + length, capabilities, sizeof(capabilities));
		length += sizeof(capabilities);
	}
	if (length == 8) {
		fail(v, KEY_ILLEGAL, ASC_FIELD);
		return;
	}
	put_big(v->buffer, 2, length - 2);
	answer(v, length, big(packet + 7, 2));
}

/* A CD-ROM drive by profile; the features that each such drive has, by ascending number. */
static void get_configuration(struct vata *v, const uint8_t *packet)
{
	static const uint8_t features[] = {
		0x00, 0x00, 0x03, 4, 0x00, 0x08, 1, 0,		   /* profiles: CD-ROM */
		0x00, 0x01, 0x0B, 8, 0,	   0,	 0, 2, 0, 0, 0, 0, /* core: ATAPI */
		0x00, 0x03, 0x03, 4, 0x21, 0,	 0, 0,		   /* removable medium */
		0x00, 0x10, 0x01, 8, 0,	   0,	 8, 0, 0, 1, 0, 0, /* random readable */
		0x00, 0x1E, 0x01, 4, 0,	   0,	 0, 0,		   /* CD read */
	};
	uint32_t first = big(packet + 2, 2), length = 8, size;

	memset(v->buffer, 0, length);
	v->buffer[7] = 0x08; /* the current profile */
	for (unsigned at = 0; at < sizeof(features); at += size) {
		uint32_t number = big(features + at, 2);

		size = features[at + 3] + 4U;
		if ((packet[1] & 3) == 2 ? number != first : number < first)
			continue;
		memcpy(v->buffer + length, features + at, size);
		length += size;
	}
	put_big(v->buffer, 4, length - 4);
	answer(v, length, big(packet + 7, 2));
}

/* Polled only. Of the classes of events there is one, media: nothing new, and a disc is there. */
static void get_event(struct vata *v, const uint8_t *packet)
{
	bool media = packet[4] & 0x10;
	uint8_t *to = memset(v->buffer, 0, 8);

	if (!(packet[1] & 1)) {
		fail(v, KEY_ILLEGAL, ASC_FIELD);
		return;
	}
	to[1] = media ? 6 : 2;
	to[2] = media ? 4 : 0x80;
	to[3] = 0x10;
	to[5] = 2;
	answer(v, media ? 8 : 4, big(packet + 7, 2));
}

static void read_disc_information(struct vata *v, const uint8_t *packet)
{
	uint8_t *to = memset(v->buffer, 0, 34);

	to[1] = 32;
	to[2] = 0x0E;	      /* disc and last session complete */
	memset(to + 3, 1, 4); /* first track; sessions; first and last track of the last one */
	to[7] = 0x20;
	answer(v, 34, big(packet + 7, 2));
}

/* The motor may stop; the disc stays in. */
static void start_stop(struct vata *v, const uint8_t *packet)
{
	if ((packet[4] & 3) == 2)
		fail(v, KEY_ILLEGAL, ASC_FIELD);
	else
		finish(v);
}

void vatapi_packet(struct vata *v)
{
	uint8_t packet[PACKET_BYTES];

	/* The answer goes over it. */
	memcpy(packet, v->buffer, sizeof(packet));
	v->phase = VATA_IDLE;
	switch (packet[0]) {
	case 0x03: request_sense(v, packet[4]); break;
	case 0x12: inquiry(v, packet); break;
	case 0x1B: start_stop(v, packet); break;
	case 0x25: read_capacity(v); break;
	case 0x28: read_blocks(v, big(packet + 2, 4), big(packet + 7, 2)); break;
	case 0xA8: read_blocks(v, big(packet + 2, 4), big(packet + 6, 4)); break;
	case 0x43: read_toc(v, packet); break;
	case 0x46: get_configuration(v, packet); break;
	case 0x4A: get_event(v, packet); break;
	case 0x51: read_disc_information(v, packet); break;
	case 0x5A: mode_sense(v, packet); break;
	case 0x00: /* TEST UNIT READY */
	case 0x1E: /* PREVENT ALLOW MEDIUM REMOVAL */ finish(v); break;
	default: fail(v, KEY_ILLEGAL, ASC_COMMAND);
	}
}

/* --- Commands --- */

static void identify_packet(struct vata *v)
{
	static const uint16_t words[][2] = {
		{0, 0x85C0},				  /* CD-ROM, removable, 12 bytes a packet */
		{49, 0x0A00}, {50, 0x4000},		  /* LBA, IORDY */
		{53, 0x0002}, {64, 0x0003},		  /* PIO modes 3 and 4 */
		{67, 120},    {68, 120},    {80, 0x0070}, /* ATA/ATAPI-4 .. 6 */
		{82, 0x4218}, /* NOP, DEVICE RESET, PACKET, power management */
		{83, 0x4000}, {84, 0x4000}, {85, 0x4218}, {87, 0x4000}, {93, 0x4001},
	};
	uint8_t *id = memset(v->buffer, 0, VATA_SECTOR);

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		vata_word(id, words[i][0], words[i][1]);
	vata_words(id + 20, v->active ? "SOCLE1" : "SOCLE0", 10);
	vata_words(id + 46, "1", 4);
	vata_words(id + 54, "SOCLE CD", 20);
	vata_identified(v);
}

static void take_packet(struct vata *v)
{
	struct vata_drive *d = vata_active(v);
	uint32_t limit = (d->lba[1] & 0xFF) | (d->lba[2] & 0xFFU) << 8;

	if (d->features & 1) { /* DMA */
		vata_end(v, STATUS_READY, ERROR_ABRT);
		return;
	}
	v->block = (uint32_t)MIN(MAX((limit ? limit : 0xFFFE) & ~1U, 2), VATA_BUFFER);
	v->at = 0;
	v->end = PACKET_BYTES;
	v->left = 0;
	v->packet = true;
	v->phase = VATA_PACKET;
	d->count = REASON_COMMAND;
	d->status = STATUS_READY | STATUS_DRQ;
}

bool vatapi_command(struct vata *v, uint8_t command)
{
	struct vata_drive *d = vata_active(v);

	switch (command) {
	case 0xA0: take_packet(v); return true;
	case 0xA1: identify_packet(v); return true;
	case 0x08: vata_signature(d); return true; /* DEVICE RESET has no interrupt */
	case 0xE5:
		d->count = 0xFF;
		vata_end(v, STATUS_READY, 0);
		return true;
	case 0xE0:
	case 0xE1:
	case 0xE2:
	case 0xE3:
	case 0xE6: vata_end(v, STATUS_READY, 0); return true;
	case 0xEF: return vata_set_features(v);
	case 0x20:
	case 0xEC: vata_signature(d); return false;
	default: return false;
	}
}
