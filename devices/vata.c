/* SPDX-License-Identifier: MIT */
/* The channel and hard disks. ATA/ATAPI-6, 'Register interface', 'Command descriptions'. */
#include "devices/vata.h"

#include "devices/vata_parts.h"
#include "lib/bits.h"
#include "lib/string.h"

#define DEVICE_LBA    0x40
#define DEVICE_HEAD   0x0F
#define CONTROL_NIEN  0x02
#define CONTROL_SRST  0x04
#define CONTROL_HOB   0x80

#define DIAGNOSTIC_OK 0x01
#define MULTIPLE_MAX  (VATA_BUFFER / VATA_SECTOR)
#define HEADS	      16
#define TRACK	      63
#define CYLINDERS_MAX 16383
#define LBA28_MAX     0x0FFFFFFF
#define NOBODY	      0xFFFFFF7F /* a floating bus; the host pulls DD7 down */

enum reg { DATA, ERROR_FEATURES, COUNT, LBA_LOW, LBA_MID, LBA_HIGH, DEVICE, STATUS_COMMAND };

/* --- Interrupts and ends --- */

static unsigned selected(const struct vata *v)
{
	return v->device >> 4 & 1;
}

void vata_interrupt(struct vata *v, bool level)
{
	v->intrq = level;
	line_set(&v->irq, level && !(v->control & CONTROL_NIEN));
}

void vata_end(struct vata *v, uint8_t status, uint8_t error)
{
	struct vata_drive *d = vata_active(v);

	d->status = status | (error ? STATUS_ERR : 0);
	d->error = error;
	v->phase = VATA_IDLE;
	v->at = v->end = 0;
	vata_interrupt(v, true);
}

static void done(struct vata *v)
{
	vata_end(v, STATUS_READY, 0);
}

static void abort_command(struct vata *v)
{
	vata_end(v, STATUS_READY, ERROR_ABRT);
}

void vata_signature(struct vata_drive *d)
{
	bool cd = d->kind == VATA_CD;

	d->count = 1;
	d->lba[0] = 1;
	d->lba[1] = cd ? 0x14 : 0;
	d->lba[2] = cd ? 0xEB : 0;
	d->error = DIAGNOSTIC_OK;
	d->status = d->kind == VATA_DISK ? STATUS_READY : 0;
}

static void reset(struct vata *v)
{
	v->phase = VATA_IDLE;
	v->at = v->end = 0;
	v->device = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(v->drive); i++)
		vata_signature(&v->drive[i]);
}

/* --- IDENTIFY --- */

void vata_words(uint8_t *at, const char *text, unsigned words)
{
	for (unsigned i = 0; i < 2 * words; i++)
		at[i ^ 1] = *text ? (uint8_t)*text++ : ' ';
}

void vata_identified(struct vata *v)
{
	v->at = 0;
	v->end = VATA_SECTOR;
	v->left = 0;
	v->phase = VATA_IN;
	vata_active(v)->status = STATUS_READY | STATUS_DRQ;
	vata_interrupt(v, true);
}

static uint64_t sectors(const struct vata_drive *d)
{
	return d->medium.size / VATA_SECTOR;
}

static void capacity(const struct vata_drive *d, uint8_t *id)
{
	uint64_t all = sectors(d), cylinders = MIN(all / (HEADS * TRACK), CYLINDERS_MAX);
	uint64_t now = MIN(all / (d->heads * d->track), UINT16_MAX);
	uint32_t lba28 = (uint32_t)MIN(all, LBA28_MAX);
	uint32_t chs = (uint32_t)MIN(now * d->heads * d->track, LBA28_MAX);

	vata_word(id, 1, (uint32_t)MAX(cylinders, 1));
	vata_word(id, 3, HEADS);
	vata_word(id, 6, TRACK);
	vata_word(id, 54, (uint32_t)MAX(now, 1));
	vata_word(id, 55, d->heads);
	vata_word(id, 56, d->track);
	vata_word(id, 57, chs);
	vata_word(id, 58, chs >> 16);
	vata_word(id, 60, lba28);
	vata_word(id, 61, lba28 >> 16);
	for (unsigned i = 0; i < 4; i++)
		vata_word(id, 100 + i, (uint32_t)(all >> 16 * i));
}

static void identify(struct vata *v)
{
	static const uint16_t words[][2] = {
		{0, 0x0040}, /* fixed drive */
		{47, 0x8000 | MULTIPLE_MAX},
		{49, 0x0A00}, /* LBA, IORDY */
		{50, 0x4000},
		{51, 0x0200},
		{53, 0x0003}, /* words 54..58 and 64..70 are there */
		{64, 0x0003}, /* PIO modes 3 and 4 */
		{67, 120},
		{68, 120},    /* nanoseconds a cycle */
		{80, 0x007E}, /* ATA-1 .. ATA/ATAPI-6 */
		{82, 0x4008}, /* NOP, power management */
		{83, 0x7400}, /* FLUSH CACHE (EXT), 48 bits */
		{84, 0x4000},
		{85, 0x4008},
		{86, 0x3400},
		{87, 0x4000},
		{93, 0x4001}, /* hardware reset */
	};
	struct vata_drive *d = vata_active(v);
	uint8_t *id = v->buffer;

	memset(id, 0, VATA_SECTOR);
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		vata_word(id, words[i][0], words[i][1]);
	vata_words(id + 20, d == v->drive ? "SOCLE0" : "SOCLE1", 10);
	vata_words(id + 46, "1", 4);
	vata_words(id + 54, "SOCLE DISK", 20);
	if (d->multiple)
		vata_word(id, 59, 0x100U | d->multiple);
	capacity(d, id);
	vata_identified(v);
}

/* --- Reading and writing --- */

static void fill(struct vata *v)
{
	struct vata_drive *d = vata_active(v);
	uint32_t part = (uint32_t)MIN(v->block, v->left);

	if (!d->medium.read(d->medium.ctx, v->position, v->buffer, part)) {
		vata_end(v, STATUS_READY, ERROR_UNC);
		return;
	}
	v->position += part;
	v->left -= part;
	v->at = 0;
	v->end = part;
	v->phase = VATA_IN;
	d->status = STATUS_READY | STATUS_DRQ;
	vata_interrupt(v, true);
}

/* Waits for the next block from the host. The first one is asked for without an interrupt. */
static void want(struct vata *v, bool first)
{
	v->at = 0;
	v->end = (uint32_t)MIN(v->block, v->left);
	v->phase = VATA_OUT;
	vata_active(v)->status = STATUS_READY | STATUS_DRQ;
	if (!first)
		vata_interrupt(v, true);
}

static void flush(struct vata *v)
{
	struct vata_drive *d = vata_active(v);

	if (!d->medium.write(d->medium.ctx, v->position, v->buffer, v->end)) {
		vata_end(v, STATUS_READY | STATUS_DF, ERROR_ABRT);
		return;
	}
	v->position += v->end;
	v->left -= v->end;
	if (v->left)
		want(v, false);
	else
		done(v);
}

/* The sector that the registers name; false when they name none. */
static bool address(const struct vata *v, const struct vata_drive *d, bool extended, uint64_t *lba)
{
	uint64_t low = d->lba[0] & 0xFF, mid = d->lba[1] & 0xFF, high = d->lba[2] & 0xFF;
	uint64_t head = v->device & DEVICE_HEAD;

	*lba = low | mid << 8 | high << 16;
	if (extended) {
		*lba |= (uint64_t)(d->lba[0] >> 8) << 24 | (uint64_t)(d->lba[1] >> 8) << 32 |
			(uint64_t)(d->lba[2] >> 8) << 40;
		return true;
	}
	if (v->device & DEVICE_LBA) {
		*lba |= head << 24;
		return true;
	}
	*lba = ((high << 8 | mid) * d->heads + head) * d->track + low - 1;
	return low && low <= d->track && head < d->heads;
}

/* Sets up position and left; false when it has ended the command. */
static bool aim(struct vata *v, bool extended)
{
	struct vata_drive *d = vata_active(v);
	uint64_t count = extended ? d->count : d->count & 0xFF, lba;

	if (!count)
		count = extended ? 65536 : 256;
	if (!address(v, d, extended, &lba) || !range_within(lba, count, sectors(d))) {
		vata_end(v, STATUS_READY, ERROR_IDNF);
		return false;
	}
	v->position = lba * VATA_SECTOR;
	v->left = count * VATA_SECTOR;
	v->block = VATA_SECTOR;
	return true;
}

enum transfer { TRANSFER_READ, TRANSFER_WRITE, TRANSFER_VERIFY };

static void transfer(struct vata *v, enum transfer what, bool extended, bool multiple)
{
	unsigned sectors_a_block = vata_active(v)->multiple;

	if ((extended && !(v->device & DEVICE_LBA)) || (multiple && !sectors_a_block))
		abort_command(v);
	else if (aim(v, extended)) {
		if (multiple)
			v->block = sectors_a_block * VATA_SECTOR;
		if (what == TRANSFER_READ)
			fill(v);
		else if (what == TRANSFER_WRITE)
			want(v, true);
		else
			done(v);
	}
}

/* --- Other commands --- */

static void set_multiple(struct vata *v)
{
	struct vata_drive *d = vata_active(v);
	uint8_t count = (uint8_t)d->count;

	/* A power of two, and what the buffer holds. 0 switches the commands off. */
	if (count > MULTIPLE_MAX || (count & (count - 1))) {
		abort_command(v);
		return;
	}
	d->multiple = count;
	done(v);
}

bool vata_set_features(struct vata *v)
{
	struct vata_drive *d = vata_active(v);
	uint8_t mode = (uint8_t)d->count;

	switch (d->features & 0xFF) {
	case 0x03: /* transfer mode: PIO by default, or PIO 0..4 */
		if (mode > 1 && (mode < 8 || mode > 12))
			return false;
		break;
	case 0x02:
	case 0x82: /* write cache on, off */
	case 0x55:
	case 0xAA: /* look-ahead off, on */
	case 0x66:
	case 0xCC: /* keep settings at reset, or not */ break;
	default: return false;
	}
	done(v);
	return true;
}

static void set_geometry(struct vata *v)
{
	struct vata_drive *d = vata_active(v);

	if (!(d->count & 0xFF)) {
		abort_command(v);
		return;
	}
	d->track = (uint8_t)d->count;
	d->heads = (v->device & DEVICE_HEAD) + 1;
	done(v);
}

static void diagnose(struct vata *v)
{
	reset(v);
	vata_interrupt(v, true);
}

static void seek(struct vata *v)
{
	uint64_t lba;

	if (address(v, vata_active(v), false, &lba) && lba < sectors(vata_active(v)))
		done(v);
	else
		vata_end(v, STATUS_READY, ERROR_IDNF);
}

static void disk_command(struct vata *v, uint8_t command)
{
	switch (command) {
	case 0x20:
	case 0x21: transfer(v, TRANSFER_READ, false, false); break;
	case 0x24: transfer(v, TRANSFER_READ, true, false); break;
	case 0x29: transfer(v, TRANSFER_READ, true, true); break;
	case 0xC4: transfer(v, TRANSFER_READ, false, true); break;
	case 0x30:
	case 0x31: transfer(v, TRANSFER_WRITE, false, false); break;
	case 0x34: transfer(v, TRANSFER_WRITE, true, false); break;
	case 0x39: transfer(v, TRANSFER_WRITE, true, true); break;
	case 0xC5: transfer(v, TRANSFER_WRITE, false, true); break;
	case 0x40:
	case 0x41: transfer(v, TRANSFER_VERIFY, false, false); break;
	case 0x42: transfer(v, TRANSFER_VERIFY, true, false); break;
	case 0x91: set_geometry(v); break;
	case 0xC6: set_multiple(v); break;
	case 0xEC: identify(v); break;
	case 0xEF:
		if (!vata_set_features(v))
			abort_command(v);
		break;
	case 0x98:
	case 0xE5: /* CHECK POWER MODE: active or idle */
		vata_active(v)->count = 0xFF;
		done(v);
		break;
	/* IDLE, STANDBY, SLEEP with and without IMMEDIATE: it is always as quick; FLUSH CACHE. */
	case 0x94:
	case 0x95:
	case 0x96:
	case 0x97:
	case 0x99:
	case 0xE0:
	case 0xE1:
	case 0xE2:
	case 0xE3:
	case 0xE6:
	case 0xE7:
	case 0xEA: done(v); break;
	default:
		if (command >> 4 == 1) /* RECALIBRATE */
			done(v);
		else if (command >> 4 == 7)
			seek(v);
		else
			abort_command(v); /* NOP is an abort as well */
	}
}

static void command(struct vata *v, uint8_t value)
{
	struct vata_drive *d = &v->drive[selected(v)];

	vata_interrupt(v, false);
	v->active = (uint8_t)selected(v);
	v->packet = false;
	v->phase = VATA_IDLE;
	v->at = v->end = 0;
	if (value == 0x90) {
		diagnose(v);
		return;
	}
	d->error = 0;
	if (d->kind == VATA_DISK)
		disk_command(v, value);
	else if (d->kind == VATA_CD && !vatapi_command(v, value))
		abort_command(v);
}

/* --- The data port --- */

/* The buffer is used up: what comes now? */
static void moved(struct vata *v)
{
	struct vata_drive *d = vata_active(v);

	if (v->phase == VATA_PACKET) {
		vatapi_packet(v);
	} else if (v->phase == VATA_OUT) {
		flush(v);
	} else if (v->packet) {
		vatapi_taken(v);
	} else if (v->left) {
		fill(v);
	} else {
		v->phase = VATA_IDLE;
		d->status = STATUS_READY;
	}
}

/* How much of `bytes` can be moved in this direction now. */
static uint32_t movable(const struct vata *v, bool to_host, uint64_t bytes)
{
	if (v->phase == VATA_IDLE || v->active != selected(v) || (v->phase == VATA_IN) != to_host)
		return 0;
	return (uint32_t)MIN(bytes, v->end - v->at);
}

static void advance(struct vata *v, uint32_t part)
{
	v->at += part;
	if (v->at == v->end)
		moved(v);
}

static uint32_t take(struct vata *v, void *to, uint64_t bytes)
{
	uint32_t part = movable(v, true, bytes);

	if (!part)
		return 0;
	memcpy(to, v->buffer + v->at, part);
	advance(v, part);
	return part;
}

static uint32_t give(struct vata *v, const void *from, uint64_t bytes)
{
	uint32_t part = movable(v, false, bytes);

	if (!part)
		return 0;
	memcpy(v->buffer + v->at, from, part);
	advance(v, part);
	return part;
}

/* Whole accesses only: a block may end within a double word. */
static uint64_t whole(const struct vata *v, unsigned size, unsigned count)
{
	return MIN((v->end - v->at) / size, count) * size;
}

unsigned vata_read_block(void *vata, uint16_t port, unsigned size, void *to, unsigned count)
{
	(void)port;
	return take(vata, to, whole(vata, size, count)) / size;
}

unsigned vata_write_block(void *vata, uint16_t port, unsigned size, const void *from,
			  unsigned count)
{
	(void)port;
	return give(vata, from, whole(vata, size, count)) / size;
}

/* --- Registers --- */

static uint8_t shown(const struct vata *v, uint16_t value)
{
	return (uint8_t)(v->control & CONTROL_HOB ? value >> 8 : value);
}

/* With one drive, that one answers for the other, status 0; with none nobody seems to be busy. */
static uint8_t read_register(struct vata *v, unsigned reg)
{
	const struct vata_drive *d = &v->drive[selected(v)];

	if (!v->buffer)
		return NOBODY & 0xFF;
	switch (reg) {
	case ERROR_FEATURES: return d->error;
	case COUNT: return shown(v, d->count);
	case LBA_LOW:
	case LBA_MID:
	case LBA_HIGH: return shown(v, d->lba[reg - LBA_LOW]);
	case DEVICE: return v->device | 0xA0;
	default:
		if (v->control & CONTROL_SRST)
			return STATUS_BSY;
		return d->kind == VATA_NONE ? 0 : d->status;
	}
}

static void push(uint16_t *reg, uint8_t value)
{
	*reg = (uint16_t)(*reg << 8 | value);
}

static void write_register(struct vata *v, unsigned reg, uint8_t value)
{
	v->control &= (uint8_t)~CONTROL_HOB;
	if (!v->buffer || (v->control & CONTROL_SRST))
		return;
	if (reg == STATUS_COMMAND) {
		command(v, value);
		return;
	}
	if (reg == DEVICE) {
		v->device = value;
		return;
	}
	/* Both drives listen. */
	for (struct vata_drive *d = v->drive; d < v->drive + ARRAY_SIZE(v->drive); d++)
		push(reg == ERROR_FEATURES ? &d->features
		     : reg == COUNT	   ? &d->count
					   : &d->lba[reg - LBA_LOW],
		     value);
}

uint32_t vata_read(void *vata, uint16_t port, unsigned size, uint64_t now)
{
	struct vata *v = vata;
	unsigned reg = port % VATA_PORTS;
	uint32_t value = 0;

	(void)now;
	if (reg == DATA) {
		if (!v->buffer)
			return NOBODY;
		take(v, &value, size);
		return value;
	}
	for (unsigned i = 0; i < size; i++, reg++) {
		value |= (uint32_t)read_register(v, reg) << 8 * i;
		if (reg == STATUS_COMMAND)
			vata_interrupt(v, false);
	}
	return value;
}

void vata_write(void *vata, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vata *v = vata;
	unsigned reg = port % VATA_PORTS;

	(void)now;
	if (reg == DATA) {
		give(v, &value, size);
		return;
	}
	for (unsigned i = 0; i < size; i++, reg++)
		write_register(v, reg, (uint8_t)(value >> 8 * i));
}

uint32_t vata_control_read(void *vata, uint16_t port, unsigned size, uint64_t now)
{
	(void)port, (void)size, (void)now;
	return read_register(vata, STATUS_COMMAND);
}

void vata_control_write(void *vata, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vata *v = vata;
	bool was = v->control & CONTROL_SRST;

	(void)port, (void)size, (void)now;
	v->control = (uint8_t)value;
	if (!was && (value & CONTROL_SRST))
		v->intrq = false;
	else if (was && !(value & CONTROL_SRST))
		reset(v);
	vata_interrupt(v, v->intrq);
}

/* --- Power-up --- */

void vata_init(struct vata *v, uint8_t *buffer, struct line irq)
{
	memset(v, 0, sizeof(*v));
	v->buffer = buffer;
	v->irq = irq;
}

void vata_attach(struct vata *v, unsigned drive, enum vata_kind kind,
		 const struct vata_medium *medium)
{
	struct vata_drive *d = &v->drive[drive];

	d->kind = kind;
	d->medium = *medium;
	d->multiple = MULTIPLE_MAX;
	d->heads = HEADS;
	d->track = TRACK;
	vata_signature(d);
}
