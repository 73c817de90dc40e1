/* SPDX-License-Identifier: MIT */
/*
 * QEMU's firmware-configuration device: items by number, read byte by byte at a data port or by a
 * request block in the guest's memory. All items can be read only. QEMU documentation, 'QEMU
 * Firmware Configuration (fw_cfg) Device'.
 */
#ifndef DEVICES_VFWCFG_H
#define DEVICES_VFWCFG_H

#include <stdbool.h>
#include <stdint.h>

#define VFWCFG_SELECT 0x510 /* 2 bytes; the data port is the one above */
#define VFWCFG_DATA   0x511
#define VFWCFG_DMA    0x514 /* 8 bytes, big-endian */

struct vfwcfg_item {
	uint16_t key;
	uint32_t size; /* bytes; what is read beyond is zero */
	const void *data;
};

/* The guest's memory; false: not all of it is RAM. `from` NULL writes zeros. */
struct vfwcfg_ops {
	bool (*read)(void *ctx, uint64_t gpa, void *to, uint64_t length);
	bool (*write)(void *ctx, uint64_t gpa, const void *from, uint64_t length);
	void *ctx;
};

struct vfwcfg {
	const struct vfwcfg_item *item; /* `items` of them; stay the caller's */
	unsigned items;
	const struct vfwcfg_item *selected; /* NULL: an item that does not exist */
	uint32_t at;			    /* the next byte of it */
	uint32_t dma_high;		    /* of the request block's address */
	struct vfwcfg_ops ops;
};

void vfwcfg_init(struct vfwcfg *v, const struct vfwcfg_item *item, unsigned items,
		 const struct vfwcfg_ops *ops);
/* Ports VFWCFG_SELECT and VFWCFG_DATA. */
uint32_t vfwcfg_read(void *vfwcfg, uint16_t port, unsigned size, uint64_t now);
void vfwcfg_write(void *vfwcfg, uint16_t port, unsigned size, uint32_t value, uint64_t now);
unsigned vfwcfg_read_block(void *vfwcfg, uint16_t port, unsigned size, void *to, unsigned count);
unsigned vfwcfg_write_block(void *vfwcfg, uint16_t port, unsigned size, const void *from,
			    unsigned count);
/* The eight ports from VFWCFG_DMA. */
uint32_t vfwcfg_dma_read(void *vfwcfg, uint16_t port, unsigned size, uint64_t now);
void vfwcfg_dma_write(void *vfwcfg, uint16_t port, unsigned size, uint32_t value, uint64_t now);

#endif
