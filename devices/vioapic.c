/* SPDX-License-Identifier: MIT */
/*
 * IOAPIC.
 *
 * A level-triggered entry sends one message and sets its remote IRR; the EOI clears that and sends
 * again while the pin is still asserted. An edge on a masked pin is lost, as on the chip.
 * Intel 82093AA datasheet; ICH9 datasheet, 'EOI Register'.
 */
#include "devices/vioapic.h"

#include "lib/bits.h"
#include "lib/string.h"

/* Memory registers. */
#define WINDOW_INDEX 0x00
#define WINDOW_DATA  0x10
#define WINDOW_EOI   0x40

/* Indexed registers. */
#define INDEX_ID      0x00
#define INDEX_VERSION 0x01
#define INDEX_ARB     0x02
#define INDEX_TABLE   0x10

#define ID_SHIFT      24
#define ID_MASK	      0x0F
#define VERSION	      0x20
#define VERSION_VALUE (VERSION | (VIOAPIC_PINS - 1) << 16)

/* Redirection table entry. */
#define ENTRY_VECTOR	  BITS(7, 0)
#define ENTRY_LOGICAL	  BIT(11)
#define ENTRY_STATUS	  BIT(12)
#define ENTRY_REMOTE_IRR  BIT(14)
#define ENTRY_LEVEL	  BIT(15)
#define ENTRY_MASKED	  BIT(16)
#define ENTRY_DESTINATION 56
#define ENTRY_WRITABLE	  (BITS(63, 56) | BITS(16, 15) | BIT(13) | BITS(11, 0))

static unsigned entry_delivery(uint64_t entry)
{
	return (unsigned)bits_get(entry, 10, 8);
}

/* Only fixed and lowest-priority interrupts can be level triggered; the others are edges. */
static bool entry_level(uint64_t entry)
{
	return (entry & ENTRY_LEVEL) && entry_delivery(entry) <= APIC_LOWEST_PRIORITY;
}

static void send(struct vioapic *v, unsigned pin)
{
	uint64_t entry = v->entry[pin];
	struct apic_message message = {
		.destination = apic_widen((uint8_t)(entry >> ENTRY_DESTINATION)),
		.vector = (uint8_t)(entry & ENTRY_VECTOR),
		.delivery = (uint8_t)entry_delivery(entry),
		.logical = entry & ENTRY_LOGICAL,
		.level = entry_level(entry),
		.asserted = true,
	};

	if (message.level)
		v->entry[pin] |= ENTRY_REMOTE_IRR;
	v->send(v->ctx, &message);
}

/* A level-triggered pin that is asserted, allowed and not yet in service is sent. */
static void serve_level(struct vioapic *v, unsigned pin)
{
	uint64_t entry = v->entry[pin];

	if ((v->lines & BIT(pin)) && entry_level(entry) &&
	    !(entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
		send(v, pin);
}

void vioapic_set_pin(void *vioapic, unsigned pin, bool level)
{
	struct vioapic *v = vioapic;
	bool rose;

	if (pin >= VIOAPIC_PINS)
		return;
	rose = level && !(v->lines & BIT(pin));
	if (level)
		v->lines |= (uint32_t)BIT(pin);
	else
		v->lines &= (uint32_t)~BIT(pin);
	if (entry_level(v->entry[pin]))
		serve_level(v, pin);
	else if (rose && !(v->entry[pin] & ENTRY_MASKED))
		send(v, pin);
}

void vioapic_eoi(struct vioapic *v, uint8_t vector)
{
	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++) {
		if (!(v->entry[pin] & ENTRY_REMOTE_IRR) || (v->entry[pin] & ENTRY_VECTOR) != vector)
			continue;
		v->entry[pin] &= ~ENTRY_REMOTE_IRR;
		serve_level(v, pin);
	}
}

static uint32_t table_read(const struct vioapic *v, unsigned at)
{
	if (at / 2 >= VIOAPIC_PINS)
		return 0;
	return (uint32_t)(v->entry[at / 2] >> (at & 1 ? 32 : 0));
}

static void table_write(struct vioapic *v, unsigned at, uint32_t value)
{
	unsigned pin = at / 2, shift = at & 1 ? 32 : 0;
	uint64_t lane = 0xFFFFFFFFULL << shift, entry;

	if (pin >= VIOAPIC_PINS)
		return;
	lane &= ENTRY_WRITABLE;
	entry = (v->entry[pin] & ~lane) | (((uint64_t)value << shift) & lane);
	/* Made edge triggered, a pin forgets that it waits for an EOI: kernels use that. */
	if (!entry_level(entry))
		entry &= ~ENTRY_REMOTE_IRR;
	v->entry[pin] = entry;
	serve_level(v, pin);
}

static uint32_t indexed_read(const struct vioapic *v)
{
	switch (v->index) {
	case INDEX_ID:
	case INDEX_ARB: return (uint32_t)v->id << ID_SHIFT;
	case INDEX_VERSION: return VERSION_VALUE;
	default: return v->index >= INDEX_TABLE ? table_read(v, v->index - INDEX_TABLE) : 0;
	}
}

static void indexed_write(struct vioapic *v, uint32_t value)
{
	if (v->index == INDEX_ID)
		v->id = value >> ID_SHIFT & ID_MASK;
	else if (v->index >= INDEX_TABLE)
		table_write(v, v->index - INDEX_TABLE, value);
}

/* The registers decode whole double words; of a narrower read the low bytes are returned. */
uint64_t vioapic_read(void *vioapic, uint64_t offset, unsigned size, uint64_t now)
{
	const struct vioapic *v = vioapic;
	unsigned shift = 8 * (offset & 3);

	(void)size, (void)now;
	switch (offset & ~3ULL) {
	case WINDOW_INDEX: return (uint64_t)v->index >> shift;
	case WINDOW_DATA: return (uint64_t)indexed_read(v) >> shift;
	default: return 0;
	}
}

void vioapic_write(void *vioapic, uint64_t offset, unsigned size, uint64_t value, uint64_t now)
{
	struct vioapic *v = vioapic;

	(void)size, (void)now;
	switch (offset) {
	case WINDOW_INDEX: v->index = (uint8_t)value; break;
	case WINDOW_DATA:
		if (size >= 4)
			indexed_write(v, (uint32_t)value);
		break;
	case WINDOW_EOI: vioapic_eoi(v, (uint8_t)value); break;
	default: break;
	}
}

bool vioapic_sends_nmi(const struct vioapic *v)
{
	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++)
		if (!(v->entry[pin] & ENTRY_MASKED) && entry_delivery(v->entry[pin]) == APIC_NMI)
			return true;
	return false;
}

void vioapic_init(struct vioapic *v, uint8_t id, vioapic_send_fn send_message, void *ctx)
{
	memset(v, 0, sizeof(*v));
	v->id = id & ID_MASK;
	v->send = send_message;
	v->ctx = ctx;
	for (unsigned pin = 0; pin < VIOAPIC_PINS; pin++)
		v->entry[pin] = ENTRY_MASKED;
}
