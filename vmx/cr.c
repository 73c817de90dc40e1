/* SPDX-License-Identifier: MIT */
/* Guest control registers. */
#include "vmx/cr.h"

#include "vmx/caps.h"
#include "vmx/vmcs.h"

#define CR0_DEFINED                                                                                \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
	 CR0_PG)
/* VM entry and exit do not touch these two: a guest that set them would slow the host down. */
#define CR0_CACHE (CR0_CD | CR0_NW)
/* Of those that VMX fixes to 1, unrestricted guest frees PE and PG. */
#define CR0_FREE (CR0_PE | CR0_PG)
/* Changes of these make MOV to CR4 flush the TLB, and PAE paging load its PDPTEs. */
#define CR4_FLUSH	  (CR4_PGE | CR4_PAE | CR4_PSE | CR4_PCIDE | CR4_SMEP | CR4_SMAP)
#define CR3_PCID	  BITS(11, 0)
#define CR3_NOFLUSH	  BIT(63)
#define CS_LONG		  BIT(13)
#define PDPTE_PRESENT	  BIT(0)
#define PDPTE_RESERVED	  (BITS(2, 1) | BITS(8, 5))
#define RIGHTS_TYPE_TSS16 3

static uint64_t cr0_forced(void)
{
	return vmx_caps()->cr0_fixed0 & ~CR0_FREE;
}

/* ET and what is reserved never change, so owning them costs nothing; KVM in between, asked to
 * leave them to the guest, would have it read there whatever it wrote. */
static uint64_t cr0_owned(void)
{
	return cr0_forced() | CR0_CACHE | CR0_ET | ~CR0_DEFINED;
}

/* A machine check with CR4.MCE clear would shut the machine down: it stays set under the guest. */
static uint64_t cr4_forced(void)
{
	return vmx_caps()->cr4_fixed0 | CR4_MCE;
}

static void set_cr0(uint64_t value)
{
	vmcs_write(CR0_SHADOW, value);
	vmcs_write(GUEST_CR0, (value | cr0_forced()) & ~CR0_CACHE);
}

static void set_cr4(uint64_t value)
{
	vmcs_write(CR4_SHADOW, value);
	vmcs_write(GUEST_CR4, value | cr4_forced());
}

void cr_init(struct vmx_vcpu *v, uint64_t cr0, uint64_t cr4)
{
	vmcs_write(CR0_MASK, cr0_owned());
	vmcs_write(CR4_MASK, ~v->cr4_allowed | cr4_forced());
	set_cr0(cr0 | CR0_ET);
	set_cr4(cr4);
}

uint64_t cr_read_cr0(void)
{
	uint64_t owned = cr0_owned();

	return (vmcs_read(GUEST_CR0) & ~owned) | (vmcs_read(CR0_SHADOW) & owned);
}

uint64_t cr_read_cr4(void)
{
	uint64_t owned = vmcs_read(CR4_MASK);

	return (vmcs_read(GUEST_CR4) & ~owned) | (vmcs_read(CR4_SHADOW) & owned);
}

static void flush_tlb(const struct vmx_vcpu *v)
{
	/* Without VPID every entry starts with an empty TLB. */
	if (!vmx_has(CONTROL_PROC2, PROC2_VPID))
		return;
	vmx_invvpid(vmx_caps()->invvpid_single ? INVVPID_SINGLE : INVVPID_ALL, v->vpid, 0);
}

/* The four PDPTEs that PAE paging caches. False: one has a reserved bit set, or they are no RAM. */
static bool load_pdptes(struct vmx_vcpu *v, uint64_t cr3)
{
	const vmcs_field field[4] = {GUEST_PDPTE0, GUEST_PDPTE1, GUEST_PDPTE2, GUEST_PDPTE3};
	uint8_t bits = cpuid_physical_bits(&v->vcpu.vm->cpuid);
	uint64_t reserved = PDPTE_RESERVED | BITS(63, bits);
	uint64_t pdpte[4];

	if (!guest_memory_read(&v->vcpu.vm->memory, cr3 & BITS(31, 5), pdpte, sizeof(pdpte)))
		return false;
	for (unsigned i = 0; i < 4; i++)
		if ((pdpte[i] & PDPTE_PRESENT) && (pdpte[i] & reserved))
			return false;
	for (unsigned i = 0; i < 4; i++)
		vmcs_write(field[i], pdpte[i]);
	return true;
}

static bool in_64bit_mode(void)
{
	return (vmcs_read(GUEST_EFER) & EFER_LMA) && (vmcs_read(GUEST_CS_RIGHTS) & CS_LONG);
}

static void set_long_mode(bool on)
{
	uint64_t efer = vmcs_read(GUEST_EFER), entry = vmcs_read(ENTRY_CONTROLS);

	vmcs_write(GUEST_EFER, on ? efer | EFER_LMA : efer & ~EFER_LMA);
	vmcs_write(ENTRY_CONTROLS, on ? entry | ENTRY_IA32E : entry & ~ENTRY_IA32E);
}

/* CR0.PG from 0 to 1. False: #GP. */
static bool enable_paging(struct vmx_vcpu *v)
{
	uint64_t cr4 = vmcs_read(GUEST_CR4);

	if (!(vmcs_read(GUEST_EFER) & EFER_LME))
		return !(cr4 & CR4_PAE) || load_pdptes(v, vmcs_read(GUEST_CR3));
	if (!(cr4 & CR4_PAE) || (vmcs_read(GUEST_CS_RIGHTS) & CS_LONG) ||
	    (vmcs_read(GUEST_TR_RIGHTS) & 15) == RIGHTS_TYPE_TSS16)
		return false;
	set_long_mode(true);
	return true;
}

/* CR0.PG from 1 to 0. False: #GP. */
static bool disable_paging(void)
{
	if ((vmcs_read(GUEST_CR4) & CR4_PCIDE) || in_64bit_mode())
		return false;
	set_long_mode(false);
	return true;
}

enum exit_action cr_write_cr0(struct vmx_vcpu *v, uint64_t value)
{
	uint64_t old = cr_read_cr0();

	if (value >> 32 || ((value & CR0_PG) && !(value & CR0_PE)) ||
	    ((value & CR0_NW) && !(value & CR0_CD)))
		return vmx_raise_gp(v);
	value = (value & CR0_DEFINED) | CR0_ET;
	if ((value & ~old & CR0_PG) && !enable_paging(v))
		return vmx_raise_gp(v);
	if ((old & ~value & CR0_PG) && !disable_paging())
		return vmx_raise_gp(v);
	set_cr0(value);
	if ((old ^ value) & CR0_PG)
		flush_tlb(v);
	return EXIT_ADVANCE;
}

bool cr_load_cr3(struct vmx_vcpu *v, uint64_t value)
{
	bool pae = (vmcs_read(GUEST_CR0) & CR0_PG) && (vmcs_read(GUEST_CR4) & CR4_PAE) &&
		   !(vmcs_read(GUEST_EFER) & EFER_LMA);

	if (pae && !load_pdptes(v, value))
		return false;
	vmcs_write(GUEST_CR3, value & ~CR3_NOFLUSH);
	/* Flushing more than PCIDs ask for is allowed (SDM, "Operations that Invalidate TLBs"). */
	flush_tlb(v);
	return true;
}

enum exit_action cr_write_cr3(struct vmx_vcpu *v, uint64_t value)
{
	uint64_t reserved = BITS(63, cpuid_physical_bits(&v->vcpu.vm->cpuid));

	if (vmcs_read(GUEST_CR4) & CR4_PCIDE)
		reserved &= ~CR3_NOFLUSH;
	if ((vmcs_read(GUEST_EFER) & EFER_LMA) && (value & reserved))
		return vmx_raise_gp(v);
	return cr_load_cr3(v, value) ? EXIT_ADVANCE : vmx_raise_gp(v);
}

static bool is_legal_cr4(struct vmx_vcpu *v, uint64_t old, uint64_t value)
{
	bool long_mode = vmcs_read(GUEST_EFER) & EFER_LMA;

	if (value & ~v->cr4_allowed)
		return false;
	if (long_mode && !(value & CR4_PAE))
		return false;
	if (value & ~old & CR4_PCIDE)
		return long_mode && !(vmcs_read(GUEST_CR3) & CR3_PCID);
	return true;
}

enum exit_action cr_write_cr4(struct vmx_vcpu *v, uint64_t value)
{
	uint64_t old = cr_read_cr4();
	bool pae = (vmcs_read(GUEST_CR0) & CR0_PG) && (value & CR4_PAE) &&
		   !(vmcs_read(GUEST_EFER) & EFER_LMA);

	if (!is_legal_cr4(v, old, value))
		return vmx_raise_gp(v);
	if (pae && ((old ^ value) & CR4_FLUSH) && !load_pdptes(v, vmcs_read(GUEST_CR3)))
		return vmx_raise_gp(v);
	set_cr4(value);
	if ((old ^ value) & CR4_FLUSH)
		flush_tlb(v);
	return EXIT_ADVANCE;
}

enum exit_action cr_write_cr8(struct vmx_vcpu *v, uint64_t value)
{
	if (value > 15)
		return vmx_raise_gp(v);
	vlapic_set_tpr(pc_lapic(&v->vcpu.vm->pc, v->vcpu.id), (uint8_t)(value << 4));
	v->vcpu.attention |= ATTENTION_EVENT;
	return EXIT_ADVANCE;
}
