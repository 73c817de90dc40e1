/* SPDX-License-Identifier: MIT */
/* The port and MMIO maps of a VM: which device answers an access. */
#ifndef DEVICES_BUS_H
#define DEVICES_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * `size` is 1, 2 or 4 bytes; `now` is the VM's clock in ticks. A read returns the value in the low
 * bytes; the caller ignores what is above. `port` is the absolute port, `offset` is from the
 * region's start (and size may be 8 there).
 */
typedef uint32_t (*port_read_fn)(void *dev, uint16_t port, unsigned size, uint64_t now);
typedef void (*port_write_fn)(void *dev, uint16_t port, unsigned size, uint32_t value,
			      uint64_t now);
/*
 * Many accesses of `size` bytes to one port, for devices with a data port: up to `count` of them,
 * from or to memory. Returns how many were done; after 0 the next one goes the common way.
 */
typedef unsigned (*port_read_block_fn)(void *dev, uint16_t port, unsigned size, void *to,
				       unsigned count);
typedef unsigned (*port_write_block_fn)(void *dev, uint16_t port, unsigned size, const void *from,
					unsigned count);
typedef uint64_t (*mmio_read_fn)(void *dev, uint64_t offset, unsigned size, uint64_t now);
typedef void (*mmio_write_fn)(void *dev, uint64_t offset, unsigned size, uint64_t value,
			      uint64_t now);

struct port_range {
	uint16_t first;
	uint16_t last; /* included */
	uint8_t width; /* widest access that the device decodes: 1, 2 or 4 bytes */
	port_read_fn read;
	port_write_fn write;
	void *dev;
	/* When the device next does something by itself, which accesses may change; or NULL. */
	const uint64_t *next;
};

/* A data port, which also is in a range. */
struct port_block {
	uint16_t port;
	port_read_block_fn read;
	port_write_block_fn write;
	void *dev;
};

struct mmio_region {
	uint64_t base;
	uint64_t size;
	mmio_read_fn read;
	mmio_write_fn write;
	void *dev;
};

/* Ports below PORT_DIRECT are found by one table look-up, the few above by a short search. */
#define PORT_DIRECT	 0x500
#define PORT_RANGES_MAX	 48
#define PORT_BLOCKS_MAX	 4
#define MMIO_REGIONS_MAX 8

struct bus {
	uint8_t direct[PORT_DIRECT]; /* index into ranges, 0 is 'nobody' */
	unsigned ranges;	     /* used entries of range[]; range[0] is 'nobody' */
	unsigned regions;
	unsigned blocks;
	struct port_range range[PORT_RANGES_MAX];
	struct port_block block[PORT_BLOCKS_MAX];
	struct mmio_region region[MMIO_REGIONS_MAX];
};

/* An empty bus: reads are all ones, writes vanish. */
void bus_init(struct bus *bus);
/* Both return false when the map is full or the range overlaps one that is there. */
bool bus_add_ports(struct bus *bus, const struct port_range *range);
bool bus_add_mmio(struct bus *bus, const struct mmio_region *region);

/* Of ports from PORT_DIRECT on. */
const struct port_range *bus_port_search(const struct bus *bus, uint16_t port);

/*
 * The ports of `dev` that `read` reads begin at `first` from now on, as many as they are; 0:
 * nowhere. Where another device's are, that one answers.
 */
void bus_move_ports(struct bus *bus, port_read_fn read, const void *dev, uint16_t first);

/* The range that a port is in; bus->range[0] is nobody's. */
static inline const struct port_range *bus_port_find(const struct bus *bus, uint16_t port)
{
	if (port < PORT_DIRECT)
		return &bus->range[bus->direct[port]];
	return bus_port_search(bus, port);
}

/* Does the device take the access whole? A byte always fits. */
static inline bool bus_port_fits(const struct port_range *range, uint16_t port, unsigned size)
{
	return size == 1 || (size <= range->width && port + size - 1 <= range->last);
}

/*
 * `size` is 1, 2 or 4. An access that straddles ranges, or is wider than the device decodes, is
 * split into bytes, as an ISA bridge does; bytes beyond port FFFFH are nobody's. The result is
 * zero above `size` bytes.
 */
uint32_t bus_port_read(struct bus *bus, uint16_t port, unsigned size, uint64_t now);
void bus_port_write(struct bus *bus, uint16_t port, unsigned size, uint32_t value, uint64_t now);

/* False: the map is full. */
bool bus_add_block(struct bus *bus, const struct port_block *block);
/* NULL: this port moves one by one. */
const struct port_block *bus_find_block(const struct bus *bus, uint16_t port);

/* The region that holds gpa, or NULL. */
const struct mmio_region *bus_mmio_find(const struct bus *bus, uint64_t gpa);
/* `size` is 1, 2, 4 or 8. Bytes outside the first one's region are accessed one by one. */
uint64_t bus_mmio_read(struct bus *bus, uint64_t gpa, unsigned size, uint64_t now);
void bus_mmio_write(struct bus *bus, uint64_t gpa, unsigned size, uint64_t value, uint64_t now);

#endif
