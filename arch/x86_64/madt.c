/* SPDX-License-Identifier: MIT */
/* CPUs in the MADT. */
#include "arch/x86_64/madt.h"

#include "lib/bits.h"
#include "lib/log.h"
#include "lib/string.h"

#define HEADER_SIZE  44 /* the common header, the APICs' address, flags */
#define NAMED_MAX    8	/* lines of the log that a table may cause for each fault */

#define FLAG_ENABLED BIT(0)
#define FLAG_ONLINE  BIT(1) /* 'online capable' */
#define XAPIC_ALL    0xff   /* these ids address all CPUs: none has them */
#define X2APIC_ALL   UINT32_MAX

struct entry {
	uint8_t type;
	uint8_t length;
};

struct local_apic {
	struct entry entry;
	uint8_t uid;
	uint8_t id;
	uint32_t flags;
} __attribute__((packed));
_Static_assert(sizeof(struct local_apic) == 8, "processor local APIC structure");

struct local_x2apic {
	struct entry entry;
	uint16_t reserved;
	uint32_t id;
	uint32_t flags;
	uint32_t uid;
} __attribute__((packed));
_Static_assert(sizeof(struct local_x2apic) == 16, "processor local x2APIC structure");
enum { ENTRY_LOCAL_APIC = 0, ENTRY_LOCAL_X2APIC = 9 };

static bool is_known(const struct madt_cpus *cpus, uint32_t id)
{
	for (unsigned i = 0; i < cpus->count; i++)
		if (cpus->apic_id[i] == id)
			return true;
	return false;
}

static void add(struct madt_cpus *cpus, uint32_t id)
{
	if (cpus->count < MADT_CPUS_MAX)
		cpus->apic_id[cpus->count++] = id;
	else if (cpus->beyond++ < NAMED_MAX)
		log_warn("ACPI: more than %u CPUs: APIC ID %u left out", MADT_CPUS_MAX, id);
}

/* `listed`: whether the boot CPU's entry has been seen, for it is known from the start. */
static void take(struct madt_cpus *cpus, uint32_t id, uint32_t flags, bool *listed)
{
	/* Enabled is for now; online-capable alone means a CPU that is not there yet. */
	if (!(flags & FLAG_ENABLED)) {
		if (flags & FLAG_ONLINE)
			cpus->offline++;
		else
			cpus->unusable++;
	} else if (id == cpus->apic_id[0] && !*listed) {
		*listed = true;
	} else if (!is_known(cpus, id)) {
		add(cpus, id);
	} else if (cpus->duplicates++ < NAMED_MAX) {
		log_warn("ACPI: APIC ID %u is listed twice: the second is left out", id);
	}
}

static void read_entry(struct madt_cpus *cpus, const uint8_t *at, size_t length, bool *listed)
{
	struct local_apic xapic;
	struct local_x2apic x2apic;

	if (at[0] == ENTRY_LOCAL_APIC && length >= sizeof(xapic)) {
		memcpy(&xapic, at, sizeof(xapic));
		if (xapic.id != XAPIC_ALL)
			take(cpus, xapic.id, xapic.flags, listed);
	} else if (at[0] == ENTRY_LOCAL_X2APIC && length >= sizeof(x2apic)) {
		memcpy(&x2apic, at, sizeof(x2apic));
		if (x2apic.id != X2APIC_ALL)
			take(cpus, x2apic.id, x2apic.flags, listed);
	} else if (at[0] == ENTRY_LOCAL_APIC || at[0] == ENTRY_LOCAL_X2APIC) {
		cpus->damaged = true;
	}
}

void madt_read_cpus(const void *table, size_t size, uint32_t boot_id, struct madt_cpus *cpus)
{
	const uint8_t *bytes = table;
	bool listed = false;

	*cpus = (struct madt_cpus){.count = 1, .apic_id = {boot_id}};
	for (size_t at = HEADER_SIZE, length; at < size; at += length) {
		length = size - at >= sizeof(struct entry) ? bytes[at + 1] : 0;
		if (length < sizeof(struct entry) || length > size - at) {
			cpus->damaged = true;
			break;
		}
		read_entry(cpus, bytes + at, length, &listed);
	}
	if (cpus->damaged)
		log_warn("ACPI: the MADT has an entry of a wrong length: CPUs may be missing");
	if (cpus->beyond > NAMED_MAX || cpus->duplicates > NAMED_MAX)
		log_warn("ACPI: in all %u CPUs too many and %u listed twice", cpus->beyond,
			 cpus->duplicates);
}
