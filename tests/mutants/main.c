/* SPDX-License-Identifier: MIT */
/* The mutation test: from the boot loader to a count of differences. See mutants.h. */
#include "tests/mutants/mutants.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/uart.h"
#include "boot/bootinfo.h"
#include "boot/kmain.h"
#include "boot/machine.h"
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/parse.h"
#include "lib/string.h"
#include "lib/x86.h"
#include "vmx/caps.h"
#include "vmx/entry_explain.h"
#include "vmx/events.h"
#include "vmx/exit.h"
#include "vmx/vmcs.h"

#define HLT_OPCODE	 0xf4
#define EPT_TABLE_RIGHTS 7
#define EPT_PAGE_RIGHTS	 5 /* read and execute: events write to no memory */
#define EPTP_WB_4	 (3 << 3 | 6)
#define AREA_ENTRIES	 256
#define TIMER_NOW	 0
#define WAIT_FOR_SIPI	 3

uint64_t mutant_enter(uint64_t resume);

static struct bootinfo info;
static struct pages pages;
static struct entry_cpu cpu;
static struct entry_state base_state, mutant;
static uint64_t vmcs;
static const char *base_name;

static struct {
	uint64_t stride; /* each so manieth bit */
	uint64_t random; /* random mutants of each base */
	uint64_t seed;
	uint64_t shown; /* unexplained differences, in full */
	uint64_t trace; /* each mutant, before it runs: for one that ends the machine */
	uint64_t base;	/* of one base only, 0: all */
} wanted = {1, 1000, 1, 40, 0, 0};

static struct {
	uint64_t mutants, entered, refused[4], explained, unexplained, not_run;
} counts;

/* Changes of the mutant at hand. */
#define CHANGES_MAX 4
static struct {
	uint8_t field[CHANGES_MAX];
	unsigned count;
} changed;

/* --- Memory --- */

static uint64_t page_of(uint8_t byte)
{
	uint64_t page = frames_alloc(machine_host()->frames, PAGE_SIZE, PAGE_SIZE, UINT64_MAX);

	if (page == FRAMES_NONE)
		panic("no memory");
	return (uint64_t)memset((void *)page, byte, PAGE_SIZE);
}

/* Tables whose entries are all alike: whatever the address, it is the same page. */
static uint64_t make_ept(void)
{
	uint64_t next = page_of(HLT_OPCODE) | EPT_PAGE_RIGHTS | MEMORY_WB << 3;

	for (unsigned level = 1; level <= 4; level++) {
		uint64_t *table = (uint64_t *)page_of(0);

		for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
			table[i] = next;
		next = (uint64_t)table | EPT_TABLE_RIGHTS;
	}
	return (next & ~(uint64_t)EPT_TABLE_RIGHTS) | EPTP_WB_4;
}

static uint64_t make_msrs(uint32_t index)
{
	uint32_t *page = (uint32_t *)page_of(0);

	for (unsigned i = 0; i < AREA_ENTRIES; i++)
		page[4 * i] = index;
	return (uint64_t)page;
}

static void make_pages(void)
{
	struct frames *frames = machine_host()->frames;

	pages.bitmaps = frames_alloc(frames, 2 * PAGE_SIZE, PAGE_SIZE, UINT64_MAX);
	memset((void *)pages.bitmaps, 0, 2 * PAGE_SIZE);
	pages.apic = page_of(0);
	pages.scratch = page_of(0);
	pages.msrs = make_msrs(MSR_CSTAR);
	pages.stored = make_msrs(MSR_CSTAR);
	pages.bad_msrs = make_msrs(MSR_FS_BASE);
	pages.pdptes = page_of(0);
	*(uint64_t *)pages.pdptes = 0x1001;
	pages.link = page_of(0);
	*(uint32_t *)pages.link = vmx_caps()->revision;
	pages.ept = make_ept();
	vmcs = page_of(0);
	*(uint32_t *)vmcs = vmx_caps()->revision;
}

/* What the boot loader calls RAM, but the first MiB. */
static bool read_memory(void *ctx, uint64_t address, void *to, size_t length)
{
	(void)ctx;
	for (unsigned i = 0; i < info.memories; i++)
		if (info.memory[i].available && address >= MAX(info.memory[i].start, MIB) &&
		    range_within(address, length, info.memory[i].end)) {
			memcpy(to, (const void *)address, length);
			return true;
		}
	memory_unread = true;
	return false;
}

/* --- Fields --- */

static bool writable[VMCS_FIELD_COUNT];

static unsigned width(enum vmcs_index index)
{
	static const uint8_t widths[] = {16, 64, 32, 64};

	return widths[bits_get(vmcs_field_at(index).encoding, 14, 13)];
}

static bool try_write(enum vmcs_index index, uint64_t value)
{
	bool ok;

	__asm__ volatile("vmwrite %2, %1; seta %0"
			 : "=qm"(ok)
			 : "r"((uint64_t)vmcs_field_at(index).encoding), "r"(value)
			 : "cc");
	return ok;
}

static void set(unsigned index, uint64_t value)
{
	mutant.field[index] = value;
	vmcs_write(vmcs_field_at((enum vmcs_index)index), value);
}

static void change(unsigned index, uint64_t value)
{
	value &= mask_bytes(width((enum vmcs_index)index) / 8);
	set(index, value);
	changed.field[changed.count++] = (uint8_t)index;
}

static bool touches(unsigned first, unsigned last)
{
	for (unsigned i = 0; i < changed.count; i++)
		if (changed.field[i] >= first && changed.field[i] <= last)
			return true;
	return false;
}

#define TOUCHES(name) touches(FIELD_##name, FIELD_##name)

/* An exit writes the guest's state back, and an injected event is valid no more. */
static void restore_all(void)
{
	for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
		if (writable[i])
			vmcs_write(vmcs_field_at((enum vmcs_index)i), base_state.field[i]);
}

static void restore(void)
{
	for (unsigned i = 0; i < changed.count; i++)
		set(changed.field[i], base_state.field[changed.field[i]]);
	changed.count = 0;
}

/* --- Entry --- */

static enum outcome enter(void)
{
	static bool launched;
	uint64_t reason;

	if (mutant_enter(launched))
		switch (vmcs_read(INSTRUCTION_ERROR)) {
		case 7: return ERROR_CONTROLS;
		case 8: return ERROR_HOST;
		default: return OTHER;
		}
	reason = vmcs_read(EXIT_REASON);
	if (!(reason & EXIT_ENTRY_FAILURE)) {
		launched = true;
		restore_all();
		return ENTERED;
	}
	switch (reason & 0xffff) {
	case EXIT_INVALID_GUEST_STATE: return FAILED_GUEST;
	case EXIT_MSR_LOADING: return FAILED_MSRS;
	default: return OTHER;
	}
}

unsigned broken_groups(const struct entry_findings *f)
{
	unsigned groups = 0;

	for (unsigned i = 0; i < f->count; i++)
		groups |= 1u << entry_rule_group((enum entry_rule)f->list[i].rule);
	return groups;
}

unsigned outcomes(unsigned groups)
{
	unsigned first = groups & (1u << REFUSED_CONTROLS | 1u << REFUSED_HOST);

	if (first)
		return (first & 1u << REFUSED_CONTROLS ? 1u << ERROR_CONTROLS : 0) |
		       (first & 1u << REFUSED_HOST ? 1u << ERROR_HOST : 0);
	if (groups & 1u << REFUSED_GUEST)
		return 1u << FAILED_GUEST;
	return groups ? 1u << FAILED_MSRS : 1u << ENTERED;
}

static void show_changes(void)
{
	for (unsigned i = 0; i < changed.count; i++)
		log_error("  %s%s = 0x%lx", vmcs_name_prefix(changed.field[i]),
			  vmcs_name(changed.field[i]), mutant.field[changed.field[i]]);
}

static void trace(void)
{
	log_error("%s, MSRs %lu:", base_name, mutant.field[FIELD_ENTRY_MSR_LOAD_COUNT]);
	show_changes();
}

static const char *const outcome_names[] = {"enters",	      "error 7",	"error 8",
					    "exit reason 33", "exit reason 34", "something else"};

static void show(const struct entry_findings *f, enum outcome outcome)
{
	char text[80];

	log_error("difference: %s: the CPU: %s (qualification %lu)", base_name,
		  outcome_names[outcome], vmcs_read(EXIT_QUALIFICATION));
	show_changes();
	for (unsigned i = 0; i < f->count; i++) {
		entry_rule_text((enum entry_rule)f->list[i].rule, text, sizeof(text));
		log_error("  rule: %s%s: %s", vmcs_name_prefix(f->list[i].field[0]),
			  vmcs_name(f->list[i].field[0]), text);
	}
}

/* Enters, and compares. False: the CPU does not what the rules say. */
static bool compare(enum outcome *outcome)
{
	struct entry_findings f;

	memory_unread = false;
	entry_check(&mutant, &f);
	if (wanted.trace)
		trace();
	*outcome = enter();
	if (outcomes(broken_groups(&f)) & 1u << *outcome)
		return true;
	if (known_explains(&mutant, &f, *outcome))
		counts.explained++;
	else if (counts.unexplained++ < wanted.shown)
		show(&f, *outcome);
	return false;
}

/* --- What must not run --- */

/* An exit would load it and be lost: the instruction pointer, other tables or other paging. */
static bool host_is_lost(void)
{
	uint64_t cr3 = (mutant.field[FIELD_HOST_CR3] ^ base_state.field[FIELD_HOST_CR3]) >> 12;
	uint64_t cr4 = mutant.field[FIELD_HOST_CR4] ^ base_state.field[FIELD_HOST_CR4];

	return TOUCHES(HOST_RIP) || cr3 || (cr4 & CR4_LA57);
}

static bool is_strange(enum vmcs_index address, enum vmcs_index number)
{
	return mutant.field[number] &&
	       (touches(address, address) || mutant.field[number] > AREA_ENTRIES);
}

/*
 * MSRs that are not ours would be loaded: by an entry they change this CPU, by an exit they may
 * abort VMX. What is left is to look at the controls alone, by a host state that is wrong.
 */
static bool loads_strange_msrs(void)
{
	return is_strange(FIELD_EXIT_MSR_LOAD, FIELD_EXIT_MSR_LOAD_COUNT) ||
	       is_strange(FIELD_ENTRY_MSR_LOAD, FIELD_ENTRY_MSR_LOAD_COUNT);
}

/* Whether an entry that succeeds comes back at once, and leaves all memory but ours alone. */
static bool may_enter(void)
{
	static const uint8_t written[] = {
		FIELD_EPT_POINTER,    FIELD_VIRTUAL_APIC,      FIELD_PML_ADDRESS,
		FIELD_VE_INFORMATION, FIELD_EXIT_MSR_STORE,    FIELD_APIC_ACCESS,
		FIELD_SPP_POINTER,    FIELD_POSTED_DESCRIPTOR,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(written); i++)
		if (touches(written[i], written[i]))
			return false;
	if (!entry_on(&mutant, ENTRY_BIT(CONTROL_PROC2, PROC2_EPT)) &&
	    (mutant.field[FIELD_ENTRY_INTR_INFO] & INTR_VALID))
		return false;
	return entry_on(&mutant, ENTRY_BIT(CONTROL_PIN, PIN_PREEMPTION_TIMER)) &&
	       mutant.field[FIELD_PREEMPTION_TIMER] == TIMER_NOW &&
	       mutant.field[FIELD_GUEST_ACTIVITY] < WAIT_FOR_SIPI &&
	       mutant.field[FIELD_EXIT_MSR_STORE_COUNT] <= AREA_ENTRIES;
}

static void count(enum outcome outcome)
{
	if (outcome >= ERROR_CONTROLS && outcome <= FAILED_MSRS)
		counts.refused[outcome - ERROR_CONTROLS]++;
}

/*
 * First with MSRs to load that make the entry fail when all else is good, so that a difference does
 * no harm; then, if the checks let it pass and it is safe, without.
 */
static void run_mutant(void)
{
	struct entry_findings f;
	enum outcome outcome;
	bool same;

	counts.mutants++;
	if (loads_strange_msrs() || known_to_end_it(&mutant)) {
		set(FIELD_HOST_CR3, UINT64_MAX);
		compare(&outcome);
		count(outcome);
		set(FIELD_HOST_CR3, base_state.field[FIELD_HOST_CR3]);
		return;
	}
	if (host_is_lost()) {
		entry_check(&mutant, &f);
		if (!(broken_groups(&f) & (1u << REFUSED_CONTROLS | 1u << REFUSED_HOST))) {
			counts.not_run++;
			return;
		}
	}
	if (!TOUCHES(ENTRY_MSR_LOAD) && !TOUCHES(ENTRY_MSR_LOAD_COUNT)) {
		set(FIELD_ENTRY_MSR_LOAD, pages.bad_msrs);
		set(FIELD_ENTRY_MSR_LOAD_COUNT, 1);
		same = compare(&outcome);
		set(FIELD_ENTRY_MSR_LOAD, base_state.field[FIELD_ENTRY_MSR_LOAD]);
		set(FIELD_ENTRY_MSR_LOAD_COUNT, base_state.field[FIELD_ENTRY_MSR_LOAD_COUNT]);
		if (!same || outcome != FAILED_MSRS || !may_enter()) {
			count(outcome);
			return;
		}
	} else if (!may_enter()) {
		entry_check(&mutant, &f);
		/* Of MSRs a CPU may load one that the rules forbid, and the entry would succeed. */
		if (!(broken_groups(&f) & ~(1u << REFUSED_MSRS))) {
			counts.not_run++;
			return;
		}
	}
	compare(&outcome);
	count(outcome);
	counts.entered += outcome == ENTERED;
}

/* --- Mutants --- */

static uint64_t next_random(void)
{
	/* xorshift64* */
	wanted.seed ^= wanted.seed >> 12;
	wanted.seed ^= wanted.seed << 25;
	wanted.seed ^= wanted.seed >> 27;
	return wanted.seed * 0x2545f4914f6cdd1dULL;
}

/* A value that may be at the edge of something. */
static uint64_t random_value(uint64_t old)
{
	uint64_t random = next_random();

	switch (random >> 60) {
	case 0: return 0;
	case 1: return UINT64_MAX;
	case 2: return random;
	case 3: return random & 0xff;
	case 4: return old ^ BIT(random & 63) ^ BIT(random >> 6 & 63);
	case 5: return old + 1;
	case 6: return old - 1;
	default: return old ^ BIT(random & (random & 64 ? 63 : 15));
	}
}

static void run_bits(void)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
		for (unsigned bit = 0; writable[i] && bit < width((enum vmcs_index)i); bit++) {
			if (number++ % wanted.stride)
				continue;
			change(i, base_state.field[i] ^ BIT(bit));
			run_mutant();
			restore();
		}
}

static unsigned random_field(void)
{
	unsigned field;

	do
		field = (unsigned)(next_random() >> 32) % VMCS_FIELD_COUNT;
	while (!writable[field]);
	return field;
}

static void run_random(void)
{
	for (uint64_t i = 0; i < wanted.random; i++) {
		unsigned fields = 1 + (unsigned)(next_random() >> 40) % 3;

		for (unsigned n = 0; n < fields; n++) {
			unsigned field = random_field();

			change(field, random_value(mutant.field[field]));
		}
		run_mutant();
		restore();
	}
}

/* Entries of the area of MSRs to load, good and bad. */
static void run_msrs(void)
{
	static const struct {
		uint32_t index, reserved;
		uint64_t value;
	} entries[] = {
		{MSR_FS_BASE, 0, 0},
		{MSR_GS_BASE, 0, 0},
		{MSR_X2APIC_FIRST, 0, 0},
		{MSR_X2APIC_LAST, 0, 0},
		{MSR_LSTAR, 1, 0},
		{MSR_LSTAR, BIT(31), 0},
		{MSR_LSTAR, 0, BIT(47)},
		{MSR_LSTAR, 0, BIT(46)},
		{MSR_CSTAR, 0, BIT(63)},
		{MSR_KERNEL_GS_BASE, 0, BIT(63)},
		{MSR_SYSENTER_ESP, 0, BIT(63)},
		{MSR_SYSENTER_EIP, 0, BIT(47)},
		{MSR_SYSENTER_EIP, 0, 0xffff800000000000},
		{MSR_STAR, 0, UINT64_MAX},
		{MSR_EFER, 0, BIT(1)},
		{MSR_EFER, 0, BIT(63)},
	};
	uint64_t *area = (uint64_t *)pages.msrs;
	const uint64_t index = area[0], value = area[1];

	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
		area[0] = (uint64_t)entries[i].reserved << 32 | entries[i].index;
		area[1] = entries[i].value;
		change(FIELD_ENTRY_MSR_LOAD_COUNT, 1);
		run_mutant();
		restore();
	}
	area[0] = index;
	area[1] = value;
}

/* The sound VMCS itself must be so for both. */
static bool start_base(const struct base *base)
{
	struct entry_findings f;
	enum outcome outcome = ENTERED;

	base_name = base->name;
	memset(mutant.field, 0, sizeof(mutant.field));
	base_plain(&mutant, &pages);
	if (!base->make(&mutant, &pages)) {
		log_info("%s: this CPU has no such VMCS", base->name);
		return false;
	}
	for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
		if (writable[i])
			set(i, mutant.field[i]);
	base_state = mutant;
	changed.count = 0;
	entry_check(&mutant, &f);
	if (f.count || (may_enter() && (!compare(&outcome) || outcome != ENTERED))) {
		show(&f, outcome);
		panic("%s: this VMCS is to be sound", base->name);
	}
	return true;
}

static void run_base(const struct base *base)
{
	uint64_t before = counts.mutants, start = rdtsc();

	if (!start_base(base))
		return;
	run_msrs();
	run_bits();
	run_random();
	log_info("%s: %lu mutants, %lu ticks each", base->name, counts.mutants - before,
		 (rdtsc() - start) / MAX(counts.mutants - before, 1));
}

/* --- The image --- */

static void find_fields(void)
{
	for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
		writable[i] =
			bits_get(vmcs_field_at((enum vmcs_index)i).encoding, 11, 10) != VMCS_EXIT &&
			try_write((enum vmcs_index)i, 0);
}

/* KEY=NUMBER of the command line. */
static void read_number(const char *key, uint64_t *value)
{
	size_t length = strlen(key);

	for (const char *at = info.cmdline; at && *at; at = strchr(at, ' ')) {
		while (*at == ' ')
			at++;
		if (strncmp(at, key, length) == 0) {
			const char *end = at + length;

			while (*end && *end != ' ')
				end++;
			text_number(text_from(at + length, (size_t)(end - at) - length), 1u << 30,
				    value);
			return;
		}
	}
}

static void start_vmx(void)
{
	struct error error;

	if (!vmx_caps_init("", &error) || !vmx_enable(page_of(0), &error))
		panic("%s", error.text);
	make_pages();
	if (!vmcs_clear(vmcs) || !vmcs_load(vmcs))
		panic("VMCLEAR or VMPTRLD failed");
	find_fields();
	entry_read_cpu(&cpu);
	mutant = (struct entry_state){.cpu = &cpu, .vmcs = vmcs, .read = read_memory};
}

static void report(void)
{
	log_info("%lu mutants: %lu refused for controls, %lu for the host, %lu for the guest, %lu "
		 "for MSRs",
		 counts.mutants, counts.refused[0], counts.refused[1], counts.refused[2],
		 counts.refused[3]);
	log_info("%lu entered, %lu not run as they would lose the host", counts.entered,
		 counts.not_run);
	known_report();
	log_info("%lu differences explained, %lu not", counts.explained, counts.unexplained);
	log_error("%u passed, %u failed", !counts.unexplained, !!counts.unexplained);
}

_Noreturn void kmain(uint32_t boot_information)
{
	struct options options;
	struct error error;

	machine_init_console();
	pcpu_init_boot();
	options_parse(&options, "", &error);
	if (!bootinfo_parse(&info, (void *)(uint64_t)boot_information, BOOT_SIZE_MAX,
			    boot_information, &error) ||
	    !machine_init_memory(&info, &error))
		panic("%s", error.text);
	machine_init_devices(&info, &options);
	/* Interrupts stay off, and what is said before the machine is lost shall be seen. */
	uart_set_synchronous();
	read_number("stride=", &wanted.stride);
	read_number("random=", &wanted.random);
	read_number("seed=", &wanted.seed);
	read_number("show=", &wanted.shown);
	read_number("trace=", &wanted.trace);
	read_number("base=", &wanted.base);
	wanted.stride = MAX(wanted.stride, 1);
	start_vmx();
	for (unsigned i = 0; i < bases_count; i++)
		if (!wanted.base || wanted.base == i + 1)
			run_base(&bases[i]);
	report();
	machine_end(AT_END_POWEROFF);
}
