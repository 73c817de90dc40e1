/* SPDX-License-Identifier: MIT */
/* Machine checks: bank registers. */
#include "arch/x86_64/machine_check.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/smp.h"
#include "lib/log.h"
#include "lib/x86.h"

#define CPUID_1_EDX_MCA	   BIT(14)
#define MCG_CAP_CTL	   BIT(8)
#define MCG_CAP_BANKS(cap) bits_get(cap, 7, 0)
#define TEXT_SIZE	   160

/* From MSR_MC0_CTL on, for each bank. */
enum { MC_CTL, MC_STATUS, MC_ADDRESS, MC_MISC, MC_REGISTERS };

static uint32_t msr_of(unsigned bank, unsigned reg)
{
	return MSR_MC0_CTL + MC_REGISTERS * bank + reg;
}

static uint64_t capabilities(void)
{
	return cpuid(1, 0).edx & CPUID_1_EDX_MCA ? rdmsr(MSR_MCG_CAP) : 0;
}

/* False: it has no error. */
static bool read_bank(unsigned number, struct mca_bank *bank)
{
	uint64_t status = rdmsr(msr_of(number, MC_STATUS));

	*bank = (struct mca_bank){.number = number, .status = status};
	if (status & MCI_STATUS_ADDRESS_VALID)
		bank->address = rdmsr(msr_of(number, MC_ADDRESS));
	if (status & MCI_STATUS_MISC_VALID)
		bank->misc = rdmsr(msr_of(number, MC_MISC));
	return status & MCI_STATUS_VALID;
}

static void print_bank(unsigned id, const char *when, const struct mca_bank *bank)
{
	char text[TEXT_SIZE];

	mca_describe(bank, text, sizeof(text));
	log_error("%sCPU %u, bank %u: %s", when, id, bank->number, text);
}

void machine_check_init(void)
{
	uint64_t cap = capabilities();
	struct mca_bank bank;

	if (cap & MCG_CAP_CTL)
		wrmsr(MSR_MCG_CTL, UINT64_MAX);
	for (unsigned i = 0; i < MCG_CAP_BANKS(cap); i++) {
		if (read_bank(i, &bank))
			print_bank(pcpu_self()->id, "machine check before Socle: ", &bank);
		wrmsr(msr_of(i, MC_CTL), UINT64_MAX);
		wrmsr(msr_of(i, MC_STATUS), 0);
	}
}

void machine_check_note(void)
{
	struct pcpu *self = pcpu_self();
	uint64_t cap = capabilities();

	/* Stopped while it waits with its own: its status is cleared already. */
	if (self->mca.count)
		return;
	for (unsigned i = 0; i < MCG_CAP_BANKS(cap) && self->mca.count < MCA_NOTED; i++)
		self->mca.count += read_bank(i, &self->mca.bank[self->mca.count]);
	if (!cap)
		return;
	self->mca.status = rdmsr(MSR_MCG_STATUS);
	/* With MCIP set, another one would shut the machine down in the middle of a line. */
	wrmsr(MSR_MCG_STATUS, 0);
}

static void print_core(const struct pcpu *pcpu)
{
	if (!pcpu->mca.count && pcpu != pcpu_self())
		return;
	log_error("  CPU %u: IA32_MCG_STATUS 0x%lx: what ran %s go on; the error is %sits own",
		  pcpu->id, pcpu->mca.status,
		  pcpu->mca.status & MCG_STATUS_RIPV ? "could" : "cannot",
		  pcpu->mca.status & MCG_STATUS_EIPV ? "" : "not ");
	if (!pcpu->mca.count)
		log_error("  CPU %u: no bank has an error: spurious, or another CPU's", pcpu->id);
	for (unsigned i = 0; i < pcpu->mca.count; i++)
		print_bank(pcpu->id, "  ", &pcpu->mca.bank[i]);
}

void machine_check_print(void)
{
	for (unsigned id = 0; id < pcpu_count(); id++)
		print_core(pcpu_of(id));
}
