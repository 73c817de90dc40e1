/* SPDX-License-Identifier: MIT */
/* PCI configuration: who answers, and which bits change. Where nobody is, reads are all ones. */
#include "devices/vpci.h"

#include "lib/bits.h"
#include "lib/string.h"

/* Enable, bus, device, function, register; the others read as zero. */
#define ADDRESS_BITS   0x80FFFFFCU
#define ADDRESS_ENABLE 0x80000000U
#define ECAM_SHIFT     12 /* of a function's 4 KiB */

void vpci_init(struct vpci *v)
{
	memset(v, 0, sizeof(*v));
}

static struct vpci_function *find(const struct vpci *v, uint32_t bdf)
{
	for (unsigned i = 0; i < v->functions; i++)
		if (v->function[i]->devfn == bdf)
			return v->function[i];
	return NULL;
}

bool vpci_add(struct vpci *v, struct vpci_function *f)
{
	if (v->functions == VPCI_FUNCTIONS_MAX || find(v, f->devfn))
		return false;
	memset(f->config, 0, sizeof(f->config));
	for (unsigned i = 0; i < f->registers; i++)
		memset(f->config + f->map[i].first, f->map[i].value,
		       f->map[i].last - f->map[i].first + 1u);
	v->function[v->functions++] = f;
	return true;
}

/* `reg` may be beyond the 256 bytes: a conventional device has no extended registers. */
static uint64_t read(const struct vpci *v, uint32_t bdf, unsigned reg, unsigned size)
{
	const struct vpci_function *f = find(v, bdf);
	uint64_t value = 0;

	if (!f || !range_within(reg, size, VPCI_CONFIG_BYTES))
		return UINT64_MAX;
	memcpy(&value, f->config + reg, size);
	return value;
}

static uint8_t writable(const struct vpci_function *f, unsigned reg)
{
	for (unsigned i = 0; i < f->registers; i++)
		if (reg >= f->map[i].first && reg <= f->map[i].last)
			return f->map[i].writable;
	return 0;
}

static void write(struct vpci *v, uint32_t bdf, unsigned reg, unsigned size, uint64_t value)
{
	struct vpci_function *f = find(v, bdf);

	if (!f || !range_within(reg, size, VPCI_CONFIG_BYTES))
		return;
	for (unsigned i = 0; i < size; i++, value >>= 8) {
		uint8_t mask = writable(f, reg + i);

		f->config[reg + i] = (uint8_t)((f->config[reg + i] & ~mask) | (value & mask));
	}
	if (f->written)
		f->written(f->ctx, reg, size);
}

/* The function that CONFIG_ADDRESS names. */
static uint32_t selected(const struct vpci *v)
{
	return bits_get(v->address, 23, 8);
}

static bool is_data(const struct vpci *v, uint16_t port)
{
	return port >= VPCI_DATA_PORT && (v->address & ADDRESS_ENABLE);
}

/* CONFIG_ADDRESS is there for whole double words only; others go to the ports as such: nobody. */
uint32_t vpci_read(void *vpci, uint16_t port, unsigned size, uint64_t now)
{
	const struct vpci *v = vpci;

	(void)now;
	if (is_data(v, port))
		return (uint32_t)read(v, selected(v), (v->address & 0xFC) + port - VPCI_DATA_PORT,
				      size);
	return port == VPCI_ADDRESS_PORT && size == 4 ? v->address : UINT32_MAX;
}

void vpci_write(void *vpci, uint16_t port, unsigned size, uint32_t value, uint64_t now)
{
	struct vpci *v = vpci;

	(void)now;
	if (is_data(v, port))
		write(v, selected(v), (v->address & 0xFC) + port - VPCI_DATA_PORT, size, value);
	else if (port == VPCI_ADDRESS_PORT && size == 4)
		v->address = value & ADDRESS_BITS;
}

uint64_t vpci_ecam_read(void *vpci, uint64_t offset, unsigned size, uint64_t now)
{
	(void)now;
	return read(vpci, (uint32_t)(offset >> ECAM_SHIFT), offset % BIT(ECAM_SHIFT), size);
}

void vpci_ecam_write(void *vpci, uint64_t offset, unsigned size, uint64_t value, uint64_t now)
{
	(void)now;
	write(vpci, (uint32_t)(offset >> ECAM_SHIFT), offset % BIT(ECAM_SHIFT), size, value);
}
