/* SPDX-License-Identifier: MIT */
/*
 * Everybody's claims. Only core 0 makes and unmakes VMs, and it is here; what other cores do with
 * memory at the same time is a VM's first touch, which its lock keeps out.
 */
#include "vmx/audit_run.h"

#include "arch/x86_64/paging.h"
#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/smp.h"
#include "lib/log.h"
#include "lib/x86.h"
#include "vm/audit.h"
#include "vmx/console.h"
#include "vmx/life.h"

extern const uint8_t image_start[], text_end[];

static void claim_host_table(void *ctx, uint64_t table)
{
	audit_claim(ctx, table, PAGE_SIZE, AUDIT_SOCLE, "a host page table");
}

static bool is_text(const struct paging_page *page)
{
	return page->address >= (uint64_t)image_start &&
	       page->address + page->size <= (uint64_t)text_end;
}

/* The rules of the host's map: identity, nothing both writable and executable, nothing of CPL 3. */
static void check_host_page(void *ctx, const struct paging_page *page)
{
	if (!page->identity)
		audit_finding(ctx, "host page 0x%lx is not mapped to itself", page->address);
	if (page->user)
		audit_finding(ctx, "host page 0x%lx is open to CPL 3", page->address);
	if (page->execute && (page->write || !is_text(page)))
		audit_finding(ctx, "host page 0x%lx is executable, but no read-only text of ours",
			      page->address);
}

static const struct {
	uint64_t bit;
	char name[12];
} guards[] = {
	{CR0_WP, "CR0.WP"},	     {CR4_SMEP, "CR4.SMEP"}, {CR4_SMAP, "CR4.SMAP"},
	{CR4_UMIP, "CR4.UMIP"},	     {CR4_MCE, "CR4.MCE"},   {PAGING_NO_NX, "EFER.NXE"},
	{PAGING_NO_ROOT, "its CR3"},
};

static void look_at_guards(void *off)
{
	((uint64_t *)off)[pcpu_self()->id] = paging_unguarded();
}

/* Of all cores, at the moment that the audit began. */
static void check_guards(struct audit *audit, const uint64_t *off)
{
	for (unsigned id = 0; id < pcpu_count(); id++)
		for (unsigned i = 0; i < ARRAY_SIZE(guards); i++)
			if (off[id] & guards[i].bit)
				audit_finding(audit, "CPU %u: %s is not as Socle set it", id,
					      guards[i].name);
}

static void claim_cores(struct audit *audit)
{
	for (unsigned i = 0; i < pcpu_count(); i++) {
		const struct pcpu *pcpu = pcpu_of(i);

		if (pcpu->vmxon_region)
			audit_claim(audit, pcpu->vmxon_region, PAGE_SIZE, AUDIT_SOCLE,
				    "a VMXON region");
		if (pcpu != &boot_pcpu)
			audit_claim(audit, (uint64_t)pcpu, pcpu_bytes(), AUDIT_SOCLE,
				    "a core's stacks");
	}
	for (unsigned i = 0; i < PCPU_MAX; i++)
		if (smp_left_out(i))
			audit_claim(audit, (uint64_t)smp_left_out(i), pcpu_bytes(), AUDIT_SOCLE,
				    "a missing core's stacks");
}

static void lock_memory(bool lock)
{
	for (unsigned i = 0; i < life_count(); i++) {
		struct vm *vm = life_get(i)->vm;

		if (!vm)
			continue;
		if (lock)
			spin_lock(&vm->memory_lock);
		else
			spin_unlock(&vm->memory_lock);
	}
}

static void claim_life(struct audit *audit, const struct life *l)
{
	const char *name = l->config->name;

	if (l->console)
		audit_claim(audit, (uint64_t)l->console, CONSOLE_BYTES, AUDIT_SOCLE, name);
	if (!l->vm)
		return;
	audit_claim_vm(audit, l->vm);
	audit_claim(audit, (uint64_t)l->vm, sizeof(*l->vm), AUDIT_SOCLE, name);
	for (unsigned i = 0; i < l->config->cpus; i++) {
		const struct vmx_vcpu *v = l->vcpu[i];

		audit_claim(audit, (uint64_t)v, sizeof(*v), AUDIT_SOCLE, name);
		audit_claim(audit, v->vmcs, PAGE_SIZE, AUDIT_SOCLE, name);
		audit_claim(audit, (uint64_t)v->state.fpu, vmx_vcpu_own_memory() - PAGE_SIZE,
			    AUDIT_SOCLE, name);
	}
}

bool audit_run(void (*line)(void *to, const char *text), void *to)
{
	const struct vm_host *host = life_host();
	uint64_t size = audit_map_size(host->pool);
	uint64_t map = frames_alloc(host->frames, size, PAGE_SIZE, UINT64_MAX);
	uint64_t off[PCPU_MAX];
	struct audit audit;
	bool ok;

	if (map == FRAMES_NONE) {
		line(to, "no memory for the map of all pages: stop a VM first");
		return false;
	}
	smp_call_all(look_at_guards, off);
	lock_memory(true);
	audit_begin(&audit, host->pool, (uint8_t *)map, line, to);
	audit_claim(&audit, map, size, AUDIT_SOCLE, "the audit's own map");
	audit_claim_free(&audit, host->frames);
	check_guards(&audit, off);
	paging_visit(claim_host_table, check_host_page, &audit);
	claim_cores(&audit);
	vmx_vcpu_claim_shared(&audit);
	for (unsigned i = 0; i < life_count(); i++)
		claim_life(&audit, life_get(i));
	ok = audit_end(&audit);
	lock_memory(false);
	frames_free(host->frames, map, size);
	return ok;
}

static void log_finding(void *to, const char *text)
{
	(void)to;
	log_info("audit: %s", text);
}

bool audit_log(void)
{
	bool ok = audit_run(log_finding, NULL);

	if (!ok)
		log_error("audit: failed: this is a bug in Socle; please report the lines above");
	return ok;
}
