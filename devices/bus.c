/* SPDX-License-Identifier: MIT */
/* Port and MMIO maps. */
#include "devices/bus.h"

#include "lib/bits.h"
#include "lib/string.h"

static uint32_t nobody_read(void *dev, uint16_t port, unsigned size, uint64_t now)
{
	(void)dev, (void)port, (void)size, (void)now;
	return UINT32_MAX;
}

static void nobody_write(void *dev, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	(void)dev, (void)port, (void)size, (void)value, (void)now;
}

void bus_init(struct bus *bus)
{
	/* Nobody ends at port 0: no wide access lies within it, and each byte is looked up. */
	static const struct port_range nobody = {
		.width = 1, .read = nobody_read, .write = nobody_write};

	memset(bus, 0, sizeof(*bus));
	bus->range[0] = nobody;
	bus->ranges = 1;
}

static void enter(struct bus *bus, unsigned index)
{
	const struct port_range *range = &bus->range[index];

	for (unsigned port = range->first; port <= range->last && port < PORT_DIRECT; port++)
		if (!bus->direct[port])
			bus->direct[port] = (uint8_t)index;
}

bool bus_add_ports(struct bus *bus, const struct port_range *range)
{
	if (bus->ranges == PORT_RANGES_MAX || range->first > range->last)
		return false;
	for (unsigned i = 1; i < bus->ranges; i++)
		if (range->first <= bus->range[i].last && bus->range[i].first <= range->last)
			return false;
	bus->range[bus->ranges] = *range;
	enter(bus, bus->ranges++);
	return true;
}

void bus_move_ports(struct bus *bus, port_read_fn read, const void *dev, uint16_t first)
{
	for (unsigned i = 1; i < bus->ranges; i++) {
		struct port_range *range = &bus->range[i];

		if (range->dev != dev || range->read != read)
			continue;
		for (unsigned port = 0; port < PORT_DIRECT; port++)
			if (bus->direct[port] == i)
				bus->direct[port] = 0;
		range->last = (uint16_t)(range->last - range->first + first);
		range->first = first;
		/* At port 0 no search finds it. */
		if (first)
			enter(bus, i);
	}
}

bool bus_add_mmio(struct bus *bus, const struct mmio_region *region)
{
	if (bus->regions == MMIO_REGIONS_MAX || !region->size ||
	    region->size - 1 > UINT64_MAX - region->base)
		return false;
	for (unsigned i = 0; i < bus->regions; i++) {
		const struct mmio_region *other = &bus->region[i];

		if (region->base - other->base < other->size ||
		    other->base - region->base < region->size)
			return false;
	}
	bus->region[bus->regions++] = *region;
	return true;
}

const struct port_range *bus_port_search(const struct bus *bus, uint16_t port)
{
	for (unsigned i = 1; i < bus->ranges; i++)
		if (port >= bus->range[i].first && port <= bus->range[i].last)
			return &bus->range[i];
	return &bus->range[0];
}

uint32_t bus_port_read(struct bus *bus, uint16_t port, unsigned size, uint64_t now)
{
	const struct port_range *range = bus_port_find(bus, port);
	uint32_t value = 0;

	if (bus_port_fits(range, port, size))
		return range->read(range->dev, port, size, now) & (uint32_t)mask_bytes(size);
	for (unsigned i = 0; i < size; i++) {
		uint32_t byte = 0xFF;

		if (port + i <= UINT16_MAX)
			byte = bus_port_read(bus, (uint16_t)(port + i), 1, now);
		value |= byte << (8 * i);
	}
	return value;
}

void bus_port_write(struct bus *bus, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	const struct port_range *range = bus_port_find(bus, port);

	if (bus_port_fits(range, port, size)) {
		range->write(range->dev, port, size, value & (uint32_t)mask_bytes(size), now);
		return;
	}
	for (unsigned i = 0; i < size && port + i <= UINT16_MAX; i++)
		bus_port_write(bus, (uint16_t)(port + i), 1, value >> (8 * i), now);
}

bool bus_add_block(struct bus *bus, const struct port_block *block)
{
	if (bus->blocks == PORT_BLOCKS_MAX)
		return false;
	bus->block[bus->blocks++] = *block;
	return true;
}

const struct port_block *bus_find_block(const struct bus *bus, uint16_t port)
{
	for (unsigned i = 0; i < bus->blocks; i++)
		if (bus->block[i].port == port)
			return &bus->block[i];
	return NULL;
}

const struct mmio_region *bus_mmio_find(const struct bus *bus, uint64_t gpa)
{
	for (unsigned i = 0; i < bus->regions; i++)
		if (gpa - bus->region[i].base < bus->region[i].size)
			return &bus->region[i];
	return NULL;
}

uint64_t bus_mmio_read(struct bus *bus, uint64_t gpa, unsigned size, uint64_t now)
{
	const struct mmio_region *region = bus_mmio_find(bus, gpa);
	uint64_t value = 0;

	if (region && range_within(gpa - region->base, size, region->size))
		return region->read(region->dev, gpa - region->base, size, now) & mask_bytes(size);
	if (size == 1)
		return 0xFF;
	for (unsigned i = 0; i < size; i++)
		value |= bus_mmio_read(bus, gpa + i, 1, now) << (8 * i);
	return value;
}

void bus_mmio_write(struct bus *bus, uint64_t gpa, unsigned size, uint64_t value, uint64_t now)
{
	const struct mmio_region *region = bus_mmio_find(bus, gpa);

	if (region && range_within(gpa - region->base, size, region->size)) {
		region->write(region->dev, gpa - region->base, size, value & mask_bytes(size), now);
		return;
	}
	for (unsigned i = 0; i < size && size > 1; i++)
		bus_mmio_write(bus, gpa + i, 1, value >> (8 * i), now);
}
