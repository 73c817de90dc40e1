/* SPDX-License-Identifier: MIT */
/* Descriptor tables and stacks of a physical CPU. */
#include "arch/x86_64/pcpu.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/traps.h"
#include "lib/string.h"
#include "lib/x86.h"

#define GDT_CODE64	  0x00af9b000000ffffULL
#define GDT_DATA	  0x00cf93000000ffffULL
#define GDT_TSS_AVAILABLE (0x89ULL << 40)

static struct guarded_stack boot_stack;
static struct guarded_stack boot_ist_stack[IST_COUNT - 1];
struct pcpu boot_pcpu;

/* Where boot/start.asm puts RSP: the top of the same stack. */
extern uint8_t boot_stack_top[];
__asm__(".globl boot_stack_top\n.set boot_stack_top, boot_stack + 4096 + 4 * 4096");
_Static_assert(sizeof(struct guarded_stack) == 4096 + 4 * 4096, "boot_stack_top above");

static uint64_t stack_top(const struct guarded_stack *stack)
{
	return (uint64_t)(stack + 1);
}

static bool is_on(const struct guarded_stack *stack, uint64_t address, uint64_t size)
{
	return stack && address >= (uint64_t)stack->bytes &&
	       range_within(address - (uint64_t)stack->bytes, size, STACK_SIZE);
}

bool pcpu_has_on_stack(const struct pcpu *pcpu, uint64_t address, uint64_t size)
{
	bool on = is_on(pcpu->stack, address, size);

	for (unsigned i = 1; i < IST_COUNT; i++)
		on |= is_on(pcpu->ist_stack[i], address, size);
	return on;
}

static bool guards(const struct guarded_stack *stack, uint64_t address)
{
	return stack && address - (uint64_t)stack->guard < sizeof(stack->guard);
}

const char *pcpu_full_stack(const struct pcpu *pcpu, uint64_t address)
{
	static const char names[IST_COUNT][5] = {"main", "#DF", "NMI", "#MC"};

	if (guards(pcpu->stack, address))
		return names[IST_NONE];
	for (unsigned i = 1; i < IST_COUNT; i++)
		if (guards(pcpu->ist_stack[i], address))
			return names[i];
	return NULL;
}

uint64_t pcpu_stack_top(const struct pcpu *pcpu)
{
	return stack_top(pcpu->stack);
}

static bool guard(const struct guarded_stack *stack)
{
	uint64_t start = (uint64_t)stack->guard;

	return paging_set(start, start + sizeof(stack->guard), PAGING_NONE);
}

bool pcpu_guard_stacks(const struct pcpu *pcpu)
{
	bool ok = guard(pcpu->stack);

	for (unsigned i = 1; i < IST_COUNT; i++)
		ok &= guard(pcpu->ist_stack[i]);
	return ok;
}

uint64_t pcpu_bytes(void)
{
	return align_up(sizeof(struct pcpu), PAGE_SIZE) + IST_COUNT * sizeof(struct guarded_stack);
}

struct pcpu *pcpu_create(struct frames *frames, uint32_t apic_id)
{
	const uint64_t own = align_up(sizeof(struct pcpu), PAGE_SIZE), size = pcpu_bytes();
	uint64_t at = frames_alloc(frames, size, PAGE_SIZE, UINT64_MAX);
	struct guarded_stack *stacks = (struct guarded_stack *)(at + own);
	struct pcpu *pcpu = (struct pcpu *)at;

	if (at == FRAMES_NONE)
		return NULL;
	memset(pcpu, 0, size);
	pcpu->apic_id = apic_id;
	pcpu->stack = &stacks[IST_NONE];
	for (unsigned i = 1; i < IST_COUNT; i++)
		pcpu->ist_stack[i] = &stacks[i];
	return pcpu_guard_stacks(pcpu) ? pcpu : NULL;
}

static void set_tss_descriptor(struct pcpu *pcpu)
{
	uint64_t base = (uint64_t)&pcpu->tss, limit = sizeof(pcpu->tss) - 1;
	uint64_t *entry = &pcpu->gdt[SELECTOR_TSS / 8];

	entry[0] = limit | (base & 0xffffff) << 16 | GDT_TSS_AVAILABLE | (base >> 24 & 0xff) << 56;
	entry[1] = base >> 32;
}

void pcpu_load(struct pcpu *pcpu)
{
	struct descriptor_register gdtr = {.limit = sizeof(pcpu->gdt) - 1,
					   .base = (uint64_t)pcpu->gdt};

	pcpu->self = pcpu;
	pcpu->gdt[SELECTOR_CODE / 8] = GDT_CODE64;
	pcpu->gdt[SELECTOR_DATA / 8] = GDT_DATA;
	pcpu->tss.io_map = sizeof(pcpu->tss);
	for (unsigned i = 1; i < IST_COUNT; i++)
		pcpu->tss.ist[i - 1] = stack_top(pcpu->ist_stack[i]);
	set_tss_descriptor(pcpu);
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	/* The boot GDT has the same selectors, so that CS and the data segments stay valid. */
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss; mov %1, %%fs; mov %1, %%gs"
			 :
			 : "r"(SELECTOR_DATA), "r"(0));
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
	wrmsr(MSR_GS_BASE, (uint64_t)pcpu);
	traps_load();
}

void pcpu_init_boot(void)
{
	boot_pcpu.stack = &boot_stack;
	for (unsigned i = 1; i < IST_COUNT; i++)
		boot_pcpu.ist_stack[i] = &boot_ist_stack[i - 1];
	pcpu_load(&boot_pcpu);
}
