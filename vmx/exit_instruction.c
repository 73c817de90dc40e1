/* SPDX-License-Identifier: MIT */
/* Exits caused by instructions that need no decoding beyond the exit's own information. */
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/fpu.h"
#include "lib/log.h"
#include "vmx/events.h"
#include "vmx/exit.h"
#include "vmx/msr.h"
#include "vmx/vmcs.h"

#define RIGHTS_DPL(rights) bits_get(rights, 6, 5)

/* CPL is SS's DPL in every mode (SDM volume 3, "Guest Register State"). */
static unsigned cpl(void)
{
	return (unsigned)RIGHTS_DPL(vmcs_read(GUEST_SS_RIGHTS));
}

/* entry.asm answers the leaves that are fixed. */
enum exit_action exit_cpuid(struct vmx_vcpu *v)
{
	const struct cpuid_dynamic dynamic = {
		.apic_id = v->vcpu.id,
		.osxsave = vmcs_read(GUEST_CR4) & CR4_OSXSAVE,
		.xcr0 = v->vcpu.xcr0,
	};
	uint64_t *gpr = v->vcpu.gpr;
	struct cpuid_regs regs = cpuid_lookup(&v->vcpu.vm->cpuid, (uint32_t)gpr[GPR_RAX],
					      (uint32_t)gpr[GPR_RCX], &dynamic);

	gpr[GPR_RAX] = regs.eax;
	gpr[GPR_RBX] = regs.ebx;
	gpr[GPR_RCX] = regs.ecx;
	gpr[GPR_RDX] = regs.edx;
	return EXIT_ADVANCE;
}

enum exit_action exit_hlt(struct vmx_vcpu *v)
{
	v->vcpu.activity = VCPU_HALTED;
	/* The loop idles after RIP has moved past the HLT. */
	v->vcpu.attention |= ATTENTION_TIMER | ATTENTION_EVENT;
	return EXIT_ADVANCE;
}

/*
 * INVD and WBINVD. Guest memory is coherent write-back memory of ours: discarding caches would lose
 * other VMs' data, and writing them back changes nothing that a guest could see.
 */
enum exit_action exit_cache(struct vmx_vcpu *v)
{
	(void)v;
	return EXIT_ADVANCE;
}

/* CPUID offers no performance counters (leaf AH is 0). */
enum exit_action exit_rdpmc(struct vmx_vcpu *v)
{
	return vmx_raise_gp(v);
}

/*
 * RDTSC and RDTSCP of a VM with a rate of its own, where the CPU cannot scale. CR4.TSD has been
 * looked at: such a fault comes before the exit. SDM volume 3, "Relative Priority of Faults and VM
 * Exits".
 */
enum exit_action exit_rdtsc(struct vmx_vcpu *v)
{
	uint64_t *gpr = v->vcpu.gpr;
	uint64_t tsc = vmx_now(v) + v->vcpu.tsc_adjust;

	gpr[GPR_RAX] = (uint32_t)tsc;
	gpr[GPR_RDX] = tsc >> 32;
	/* The register is the guest's: vmx/msr.c passes and switches it. */
	if ((uint16_t)vmcs_read(EXIT_REASON) == EXIT_RDTSCP)
		gpr[GPR_RCX] = (uint32_t)rdmsr(MSR_TSC_AUX);
	return EXIT_ADVANCE;
}

/*
 * There are no hypercalls: VMCALL answers so, from CPL 0 (mostly in entry.asm already); elsewhere
 * it is undefined.
 */
enum exit_action exit_vmcall(struct vmx_vcpu *v)
{
	if (cpl() != 0)
		return vmx_raise(v, VECTOR_UD, 0);
	v->vcpu.gpr[GPR_RAX] = (uint64_t)HYPERCALL_UNKNOWN;
	return EXIT_ADVANCE;
}

#define XCR0_X87    BIT(0)
#define XCR0_SSE    BIT(1)
#define XCR0_AVX    BIT(2)
#define XCR0_AVX512 BITS(7, 5)

/* SDM volume 1, "Processor Tracking of XSAVE-Managed State"; volume 2, "XSETBV". */
static bool is_legal_xcr0(const struct vmx_vcpu *v, uint64_t value)
{
	if ((value & ~v->xcr0_allowed) || !(value & XCR0_X87))
		return false;
	if ((value & XCR0_AVX) && !(value & XCR0_SSE))
		return false;
	if (!(value & XCR0_AVX512))
		return true;
	return (value & XCR0_AVX512) == XCR0_AVX512 && (value & XCR0_AVX);
}

/* #UD is checked by the CPU before the exit; CPL as well, but not by every emulation of VMX. */
enum exit_action exit_xsetbv(struct vmx_vcpu *v)
{
	const uint64_t *gpr = v->vcpu.gpr;
	uint64_t value = (uint32_t)gpr[GPR_RAX] | gpr[GPR_RDX] << 32;

	if (cpl() != 0 || (uint32_t)gpr[GPR_RCX] != 0 || !is_legal_xcr0(v, value))
		return vmx_raise_gp(v);
	v->vcpu.xcr0 = value;
	fpu_set_xcr0(value);
	return EXIT_ADVANCE;
}

/* Instructions of features that CPUID does not offer: VMX, SMX, MONITOR and MWAIT. */
enum exit_action exit_undefined(struct vmx_vcpu *v)
{
	return vmx_raise(v, VECTOR_UD, 0);
}

enum exit_action exit_rdmsr(struct vmx_vcpu *v)
{
	uint64_t *gpr = v->vcpu.gpr;
	uint64_t value;

	if (!msr_read(v, (uint32_t)gpr[GPR_RCX], &value)) {
		log_debug("VM %s: RDMSR 0x%x at RIP 0x%lx: #GP", v->vcpu.vm->config->name,
			  (uint32_t)gpr[GPR_RCX], vmcs_read(GUEST_RIP));
		return vmx_raise_gp(v);
	}
	gpr[GPR_RAX] = (uint32_t)value;
	gpr[GPR_RDX] = value >> 32;
	return EXIT_ADVANCE;
}

enum exit_action exit_wrmsr(struct vmx_vcpu *v)
{
	const uint64_t *gpr = v->vcpu.gpr;
	uint64_t value = (uint32_t)gpr[GPR_RAX] | gpr[GPR_RDX] << 32;

	if (!msr_write(v, (uint32_t)gpr[GPR_RCX], value)) {
		log_debug("VM %s: WRMSR 0x%x = 0x%lx at RIP 0x%lx: #GP", v->vcpu.vm->config->name,
			  (uint32_t)gpr[GPR_RCX], value, vmcs_read(GUEST_RIP));
		return vmx_raise_gp(v);
	}
	return EXIT_ADVANCE;
}
