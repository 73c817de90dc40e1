/* SPDX-License-Identifier: MIT */
/*
 * Firmware configuration. A request is done before the write that starts it returns, so it moves no
 * more than an item and VFWCFG_BEYOND bytes after it.
 */
#include "devices/vfwcfg.h"

#include "lib/bits.h"
#include "lib/string.h"

#define DMA_ERROR     BIT(0)
#define DMA_READ      BIT(1)
#define DMA_SKIP      BIT(2)
#define DMA_SELECT    BIT(3)
#define DMA_WRITE     BIT(4)
#define DMA_KEY_SHIFT 16
#define VFWCFG_BEYOND (64 * KIB)

struct request {
	uint32_t control; /* all big-endian */
	uint32_t length;
	uint64_t address;
};
_Static_assert(sizeof(struct request) == 16, "fw_cfg: FWCfgDmaAccess");

static void select(struct vfwcfg *v, uint16_t key)
{
	v->at = 0;
	v->selected = NULL;
	for (unsigned i = 0; i < v->items; i++)
		if (v->item[i].key == key)
			v->selected = &v->item[i];
}

/* Bytes of the item that are left. */
static uint32_t left(const struct vfwcfg *v)
{
	return v->selected && v->at < v->selected->size ? v->selected->size - v->at : 0;
}

/* Beyond the end it stays there. */
static void skip(struct vfwcfg *v, uint32_t length)
{
	v->at += MIN(length, left(v));
}

static const uint8_t *here(const struct vfwcfg *v)
{
	return (const uint8_t *)v->selected->data + v->at;
}

uint32_t vfwcfg_read(void *vfwcfg, uint16_t port, unsigned size, uint64_t now)
{
	struct vfwcfg *v = vfwcfg;
	uint8_t byte = 0;

	(void)size, (void)now;
	if (port != VFWCFG_DATA)
		return UINT32_MAX;
	if (left(v))
		byte = *here(v);
	skip(v, 1);
	return byte;
}

void vfwcfg_write(void *vfwcfg, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	(void)now;
	if (port == VFWCFG_SELECT && size == 2)
		select(vfwcfg, (uint16_t)value);
}

unsigned vfwcfg_read_block(void *vfwcfg, uint16_t port, unsigned size, void *to, unsigned count)
{
	struct vfwcfg *v = vfwcfg;
	uint32_t there = MIN(left(v), count);

	(void)port;
	if (size != 1)
		return 0;
	if (there)
		memcpy(to, here(v), there);
	memset((uint8_t *)to + there, 0, count - there);
	skip(v, count);
	return count;
}

/* Writes to the data port change nothing. */
unsigned vfwcfg_write_block(void *vfwcfg, uint16_t port, unsigned size, const void *from,
			    unsigned count)
{
	(void)vfwcfg, (void)port, (void)size, (void)from;
	return count;
}

static bool transfer(struct vfwcfg *v, uint32_t control, uint32_t length, uint64_t gpa)
{
	uint32_t there = MIN(left(v), length);

	if (control & DMA_READ) {
		if (length - there > VFWCFG_BEYOND ||
		    (there && !v->ops.write(v->ops.ctx, gpa, here(v), there)) ||
		    (length > there &&
		     !v->ops.write(v->ops.ctx, gpa + there, NULL, length - there)))
			return false;
	} else if (control & DMA_WRITE) {
		return false;
	} else if (!(control & DMA_SKIP)) {
		return true;
	}
	skip(v, length);
	return true;
}

static void run(struct vfwcfg *v, uint64_t gpa)
{
	struct request request;
	uint32_t control;
	bool ok;

	if (!v->ops.read(v->ops.ctx, gpa, &request, sizeof(request)))
		return;
	control = __builtin_bswap32(request.control);
	if (control & DMA_SELECT)
		select(v, (uint16_t)(control >> DMA_KEY_SHIFT));
	ok = transfer(v, control, __builtin_bswap32(request.length),
		      __builtin_bswap64(request.address));
	request.control = __builtin_bswap32(ok ? 0 : (uint32_t)DMA_ERROR);
	v->ops.write(v->ops.ctx, gpa, &request.control, sizeof(request.control));
}

/* The sign that there is a DMA interface. */
uint32_t vfwcfg_dma_read(void *vfwcfg, uint16_t port, unsigned size, uint64_t now)
{
	static const uint8_t sign[8 + 4] = "QEMU CFG";
	uint32_t value;

	(void)vfwcfg, (void)size, (void)now;
	memcpy(&value, sign + (port - VFWCFG_DMA), sizeof(value));
	return value;
}

/* Writing the lower half starts the request. */
void vfwcfg_dma_write(void *vfwcfg, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vfwcfg *v = vfwcfg;
	uint32_t high = v->dma_high;

	(void)now;
	if (size != 4)
		return;
	value = __builtin_bswap32(value);
	v->dma_high = port == VFWCFG_DMA ? value : 0;
	if (port == VFWCFG_DMA + 4)
		run(v, (uint64_t)high << 32 | value);
}

void vfwcfg_init(struct vfwcfg *v, const struct vfwcfg_item *item, unsigned items,
		 const struct vfwcfg_ops *ops)
{
	*v = (struct vfwcfg){.item = item, .items = items, .ops = *ops};
	select(v, 0);
}
