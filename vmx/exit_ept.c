/* SPDX-License-Identifier: MIT */
/* Exits of guest-physical addresses that EPT does not map: RAM seen first, or a device. */
#include "vmx/dump.h"
#include "vmx/events.h"
#include "vmx/exit.h"
#include "vmx/guest_cpu.h"
#include "vmx/vmcs.h"

/* SDM volume 3, "Exit Qualification for EPT Violations". */
struct ept_access {
	bool write;
	bool linear_valid;
	bool translated; /* the access itself, not a walk of the guest's page tables */
	bool nmi_unblocked;
};

static struct ept_access decode(uint64_t qualification)
{
	return (struct ept_access){
		.write = qualification & BIT(1),
		.linear_valid = qualification & BIT(7),
		.translated = qualification & BIT(8),
		.nmi_unblocked = qualification & BIT(12),
	};
}

static enum exit_action emulate_device(struct vmx_vcpu *v, const struct ept_access *access,
				       uint64_t gpa)
{
	struct emulate_result result;
	enum emulate_status status;
	struct emulate e;

	guest_cpu_begin(v, &e);
	e.fault_valid = access->linear_valid && access->translated;
	if (e.fault_valid) {
		e.fault_write = access->write;
		e.fault_linear = vmcs_read(GUEST_LINEAR_ADDRESS);
		e.fault_gpa = gpa;
	}
	status = emulate(&e, &result);
	guest_cpu_end(v);
	return guest_cpu_result(v, status, &result);
}

static enum exit_action access_device(struct vmx_vcpu *v, const struct ept_access *access,
				      uint64_t gpa)
{
	if (v->interrupted.info & INTR_VALID) {
		v->stopped = true;
		vm_end(v->vcpu.vm, VERDICT_CRASH,
		       "delivery of vector %u touches device memory at gpa 0x%lx: its IDT, GDT, "
		       "TSS "
		       "or stack is not in RAM",
		       INTR_VECTOR(v->interrupted.info), gpa);
		return EXIT_STOP;
	}
	return emulate_device(v, access, gpa);
}

/* An IRET that had unblocked NMIs before it faulted must block them again. */
static void keep_events(struct vmx_vcpu *v, const struct ept_access *access)
{
	events_keep_interrupted(v);
	if (access->nmi_unblocked && !(v->interrupted.info & INTR_VALID))
		vmcs_write(GUEST_INTERRUPTIBILITY,
			   vmcs_read(GUEST_INTERRUPTIBILITY) | BLOCKING_NMI);
}

enum exit_action exit_ept_violation(struct vmx_vcpu *v)
{
	uint64_t gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	struct ept_access access = decode(vmcs_read(EXIT_QUALIFICATION));

	keep_events(v, &access);
	if (vm_populate(v->vcpu.vm, gpa)) {
		if (access.write)
			vm_allow_write(v->vcpu.vm, gpa);
		return EXIT_RESUME;
	}
	return access_device(v, &access, gpa);
}

/* Bit 12 of the qualification is the only one, and means the same. */
enum exit_action exit_pml_full(struct vmx_vcpu *v)
{
	struct ept_access access = decode(vmcs_read(EXIT_QUALIFICATION));

	keep_events(v, &access);
	vmx_read_write_log(v);
	return EXIT_RESUME;
}

/*
 * An access to the local APIC's page that the CPU does not virtualise: registers whose value it
 * does not have, instruction fetches, a walk of the guest's page tables. It says where in the
 * page, and neither the linear address nor how wide: the emulator finds out.
 */
enum exit_action exit_apic_access(struct vmx_vcpu *v)
{
	const struct ept_access access = {.linear_valid = false};

	events_keep_interrupted(v);
	return access_device(v, &access,
			     VLAPIC_BASE_DEFAULT |
				     (vmcs_read(EXIT_QUALIFICATION) & (PAGE_SIZE - 1)));
}

/* Our tables are at fault, or the CPU: no guest can make an entry. */
enum exit_action exit_ept_misconfiguration(struct vmx_vcpu *v)
{
	uint64_t gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	struct ept_page page = {0};
	bool mapped = ept_translate(&v->vcpu.vm->ept, gpa, &page);

	events_keep_interrupted(v);
	v->stopped = true;
	vm_end(v->vcpu.vm, VERDICT_CRASH,
	       "EPT misconfiguration at gpa 0x%lx: %s, hpa 0x%lx, rights %lu, type %u", gpa,
	       mapped ? "mapped" : "not mapped", page.hpa, page.access, page.type);
	return EXIT_STOP;
}
