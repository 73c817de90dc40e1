/* SPDX-License-Identifier: MIT */
/* The books of the machine's memory. */
#include "vm/audit.h"

#include <stdarg.h>

#include "lib/format.h"
#include "lib/string.h"

#define LINE_MAX 200
/* One fault can show in every page of it. */
#define FINDINGS_MAX 20

void audit_finding(struct audit *audit, const char *fmt, ...)
{
	char text[LINE_MAX];
	va_list args;

	if (audit->findings++ >= FINDINGS_MAX)
		return;
	va_start(args, fmt);
	vformat(text, sizeof(text), fmt, args);
	va_end(args);
	audit->line(audit->to, text);
}

static uint64_t pool_base(const struct frames *pool)
{
	return pool->count ? pool->range[0].start : 0;
}

static uint64_t pool_pages(const struct frames *pool)
{
	return pool->count ? (pool->range[pool->count - 1].end - pool_base(pool)) / PAGE_SIZE : 0;
}

uint64_t audit_map_size(const struct frames *pool)
{
	return align_up(pool_pages(pool) / 8 + 1, PAGE_SIZE);
}

void audit_begin(struct audit *audit, const struct frames *pool, uint8_t *map,
		 void (*line)(void *to, const char *text), void *to)
{
	memset(audit, 0, sizeof(*audit));
	audit->pool = pool;
	audit->base = pool_base(pool);
	audit->pages = pool_pages(pool);
	audit->map = memset(map, 0, audit_map_size(pool));
	audit->line = line;
	audit->to = to;
}

static bool in_pool(const struct audit *audit, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < audit->pool->count; i++)
		if (start >= audit->pool->range[i].start && end <= audit->pool->range[i].end)
			return true;
	return false;
}

void audit_claim(struct audit *audit, uint64_t start, uint64_t size, enum audit_owner owner,
		 const char *what)
{
	uint64_t end = align_up(start + size, PAGE_SIZE);

	start = align_down(start, PAGE_SIZE);
	if (start >= end)
		return;
	if (!in_pool(audit, start, end)) {
		audit_finding(audit, "%s at 0x%lx to 0x%lx: never was in the pool", what, start,
			      end);
		return;
	}
	audit->bytes[owner] += end - start;
	for (uint64_t at = start; at < end; at += PAGE_SIZE) {
		uint64_t page = (at - audit->base) / PAGE_SIZE;

		if (audit->map[page / 8] & BIT(page % 8))
			audit_finding(audit, "%s at 0x%lx: is somebody else's too", what, at);
		audit->map[page / 8] |= (uint8_t)BIT(page % 8);
	}
}

void audit_claim_free(struct audit *audit, struct frames *frames)
{
	spin_lock(&frames->lock);
	for (unsigned i = 0; i < frames->count; i++)
		audit_claim(audit, frames->range[i].start,
			    frames->range[i].end - frames->range[i].start, AUDIT_FREE,
			    "free memory");
	spin_unlock(&frames->lock);
}

static void visit_table(void *ctx, uint64_t table)
{
	struct audit *audit = ctx;

	audit_claim(audit, table, PAGE_SIZE, AUDIT_SOCLE, audit->name);
}

/* A page of the tables must be where the extents say that the guest's RAM is. */
static void visit_page(void *ctx, uint64_t gpa, const struct ept_page *page)
{
	struct audit *audit = ctx;

	for (unsigned i = 0; i < audit->memory->extents; i++) {
		const struct guest_extent *extent = &audit->memory->extent[i];
		uint64_t offset = gpa - extent->gpa;

		if (offset < extent->size &&
		    range_within(offset, page->size, align_up(extent->size, PAGE_SIZE)) &&
		    page->hpa == (uint64_t)extent->host + offset)
			return;
	}
	if (gpa == VLAPIC_BASE_DEFAULT && page->hpa == audit->apic_access_page &&
	    page->size == PAGE_SIZE)
		return;
	audit_finding(audit, "%s: its page table maps 0x%lx to 0x%lx, which is not its RAM there",
		      audit->name, gpa, page->hpa);
}

void audit_claim_vm(struct audit *audit, const struct vm *vm)
{
	const struct ept_visitor visitor = {.table = visit_table, .page = visit_page, .ctx = audit};
	char name[64];

	format(name, sizeof(name), "VM %s", vm->config->name);
	audit->name = name;
	audit->memory = &vm->memory;
	audit->apic_access_page = vm->apic_access ? vm->host->apic_access_page : 0;
	for (unsigned i = 0; i < vm->memory.extents; i++)
		audit_claim(audit, (uint64_t)vm->memory.extent[i].host, vm->memory.extent[i].size,
			    AUDIT_VM, name);
	audit_claim(audit, (uint64_t)vm->memory.populated, vm_populated_bytes(vm), AUDIT_SOCLE,
		    name);
	for (unsigned i = 0; i < vm->cpus; i++)
		audit_claim(audit, (uint64_t)vm->apic_page[i], PAGE_SIZE, AUDIT_SOCLE, name);
	for (unsigned i = 0; i < PC_DRIVES_MAX; i++)
		for (const struct disk_chunk *c = vm->disk[i].chunk; c; c = c->next)
			audit_claim(audit, (uint64_t)c, c->size, AUDIT_SOCLE, name);
	for (unsigned i = 0; i < PC_ATA_CHANNELS; i++)
		if (vm->ata_buffer[i])
			audit_claim(audit, (uint64_t)vm->ata_buffer[i], VATA_BUFFER, AUDIT_SOCLE,
				    name);
	if (vm->fwconfig)
		audit_claim(audit, (uint64_t)vm->fwconfig, sizeof(*vm->fwconfig), AUDIT_SOCLE,
			    name);
	if (vm->writes.how)
		audit_claim(audit, (uint64_t)vm->writes.live, vm_writes_bytes(vm), AUDIT_SOCLE,
			    name);
	ept_visit(&vm->ept, &visitor);
	audit->name = NULL;
	audit->memory = NULL;
}

/* Pages of the pool that nobody claimed: in runs, as one fault makes many. */
static void find_lost(struct audit *audit, uint64_t start, uint64_t end)
{
	uint64_t lost = 0, first = 0;

	for (uint64_t at = start; at <= end; at += PAGE_SIZE) {
		uint64_t page = (at - audit->base) / PAGE_SIZE;

		if (at < end && !(audit->map[page / 8] & BIT(page % 8))) {
			if (!lost++)
				first = at;
			continue;
		}
		if (lost)
			audit_finding(audit, "%lu pages from 0x%lx on are lost: nobody has them",
				      lost, first);
		lost = 0;
	}
}

bool audit_end(struct audit *audit)
{
	char text[LINE_MAX];

	for (unsigned i = 0; i < audit->pool->count; i++)
		find_lost(audit, audit->pool->range[i].start, audit->pool->range[i].end);
	format(text, sizeof(text), "%lu K free, %lu K of VMs, %lu K of Socle: %s%u finding%s",
	       audit->bytes[AUDIT_FREE] / KIB, audit->bytes[AUDIT_VM] / KIB,
	       audit->bytes[AUDIT_SOCLE] / KIB, audit->findings ? "" : "each page has one owner, ",
	       audit->findings, audit->findings == 1 ? "" : "s");
	audit->line(audit->to, text);
	return !audit->findings;
}
