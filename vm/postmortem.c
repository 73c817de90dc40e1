/* SPDX-License-Identifier: MIT */
/*
 * Reports of dead vCPUs. SDM volume 3, "Error Code", "Page-Fault Exceptions", "Control Registers".
 */
#include "vm/postmortem.h"

#include "lib/bits.h"
#include "lib/string.h"
#include "lib/x86.h"
#include "vm/disasm.h"

#define CODE_BEFORE  16
#define CODE_BYTES   24
#define STACK_WORDS  16
#define WALK_MAX     640
#define SYMBOL_MAX   48
#define INSTRUCTIONS 6

#define PF_PRESENT   BIT(0)
#define PF_WRITE     BIT(1)
#define PF_USER	     BIT(2)
#define PF_RESERVED  BIT(3)
#define PF_FETCH     BIT(4)

#define CODE_EXT     BIT(0)
#define CODE_IDT     BIT(1)
#define CODE_LDT     BIT(2)

#define CS_LONG	     BIT(13)
#define CS_BIG	     BIT(14)

static void print(const struct postmortem *pm, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void print(const struct postmortem *pm, const char *fmt, ...)
{
	char text[160];
	struct outbuf out;
	va_list args;

	outbuf_init(&out, text, sizeof(text) - 1);
	va_start(args, fmt);
	outbuf_vprint(&out, fmt, args);
	va_end(args);
	text[out.length] = '\0';
	pm->line(text);
}

/* " <name+0x10>" where the address has a name. */
static void put_symbol(const struct postmortem *pm, uint64_t address, struct outbuf *out)
{
	char name[SYMBOL_MAX + 1];
	uint64_t offset;

	if (symbols_find(pm->symbols, address, name, sizeof(name), &offset))
		outbuf_print(out, " <%s+0x%lx>", name, offset);
}

/* --- Exceptions --- */

static const char *vector_name(uint16_t vector, char number[16])
{
	static const char names[32][4] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM",
					  "#DF", "",	"#TS", "#NP", "#SS", "#GP", "#PF", "",
					  "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};
	struct outbuf out;

	if (vector < ARRAY_SIZE(names) && names[vector][0])
		return names[vector];
	outbuf_init(&out, number, 15);
	outbuf_print(&out, "vector %u", vector);
	number[out.length] = '\0';
	return number;
}

static bool has_error_code(uint8_t vector)
{
	return vector < 32 &&
	       (BIT(vector) & (BIT(VECTOR_DF) | BITS(14, 10) | BIT(VECTOR_AC) | BIT(21)));
}

void postmortem_name(const struct postmortem_exception *e, struct outbuf *out)
{
	char number[16];

	outbuf_print(out, "%s", vector_name(e->vector, number));
	if (e->vector == VECTOR_PF)
		outbuf_print(out, " at 0x%lx", e->address);
}

static void put_error_code(const struct postmortem_exception *e, struct outbuf *out)
{
	uint32_t code = e->error_code;

	if (e->vector == VECTOR_PF) {
		outbuf_print(out, " (%s by %s: %s)",
			     code & PF_FETCH   ? "a fetch"
			     : code & PF_WRITE ? "a write"
					       : "a read",
			     code & PF_USER ? "user mode" : "the kernel",
			     code & PF_RESERVED	 ? "a reserved bit is set in an entry"
			     : code & PF_PRESENT ? "the page's rights forbid it"
						 : "the page is not present");
		return;
	}
	outbuf_print(out, ", error code 0x%x", code);
	if (code & CODE_IDT)
		outbuf_print(out, " (gate %u of the IDT)", code >> 3 & 0x1FFF);
	else if (code & ~CODE_EXT)
		outbuf_print(out, " (selector 0x%x of the %s)", code & 0xFFF8,
			     code & CODE_LDT ? "LDT" : "GDT");
}

static void report_exception(const struct postmortem *pm, const struct postmortem_exception *e)
{
	char text[160], number[16];
	struct outbuf out;

	outbuf_init(&out, text, sizeof(text) - 1);
	postmortem_name(e, &out);
	if (has_error_code(e->vector))
		put_error_code(e, &out);
	if (e->during != POSTMORTEM_NO_VECTOR)
		outbuf_print(&out, ", raised by the delivery of %s",
			     vector_name(e->during, number));
	else
		outbuf_print(&out, " at rip 0x%lx", e->rip);
	if (e->during == POSTMORTEM_NO_VECTOR)
		put_symbol(pm, e->rip, &out);
	text[out.length] = '\0';
	print(pm, "  %s", text);
}

/* --- Registers --- */

struct flag {
	uint8_t bit;
	char name[5];
};

static void put_flags(struct outbuf *out, uint64_t value, const struct flag *flags, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (value & BIT(flags[i].bit))
			outbuf_print(out, " %s", flags[i].name);
}

static const struct flag cr0_flags[] = {{0, "PE"},  {1, "MP"},	{2, "EM"},  {3, "TS"},	{5, "NE"},
					{16, "WP"}, {18, "AM"}, {29, "NW"}, {30, "CD"}, {31, "PG"}};
static const struct flag cr4_flags[] = {
	{0, "VME"},   {1, "PVI"},   {2, "TSD"},	  {3, "DE"},	{4, "PSE"},   {5, "PAE"},
	{6, "MCE"},   {7, "PGE"},   {8, "PCE"},	  {9, "FXSR"},	{10, "XMM"},  {11, "UMIP"},
	{12, "LA57"}, {16, "FSGS"}, {17, "PCID"}, {18, "XSAV"}, {20, "SMEP"}, {21, "SMAP"}};
static const struct flag efer_flags[] = {{0, "SCE"}, {8, "LME"}, {10, "LMA"}, {11, "NXE"}};
static const struct flag rflags_flags[] = {
	{0, "CF"},  {2, "PF"},	{4, "AF"},  {6, "ZF"},	{7, "SF"},  {8, "TF"}, {9, "IF"},
	{10, "DF"}, {11, "OF"}, {14, "NT"}, {16, "RF"}, {17, "VM"}, {18, "AC"}};

void postmortem_flags(enum postmortem_register which, uint64_t value, struct outbuf *out)
{
	switch (which) {
	case POSTMORTEM_RFLAGS:
		put_flags(out, value, rflags_flags, ARRAY_SIZE(rflags_flags));
		break;
	case POSTMORTEM_CR0: put_flags(out, value, cr0_flags, ARRAY_SIZE(cr0_flags)); break;
	case POSTMORTEM_CR4: put_flags(out, value, cr4_flags, ARRAY_SIZE(cr4_flags)); break;
	case POSTMORTEM_EFER: put_flags(out, value, efer_flags, ARRAY_SIZE(efer_flags)); break;
	}
}

static void report_flags(const struct postmortem *pm)
{
	const struct monitor_regs *r = pm->regs;
	char text[160];
	struct outbuf out;

	outbuf_init(&out, text, sizeof(text) - 1);
	outbuf_print(&out, "rflags:");
	postmortem_flags(POSTMORTEM_RFLAGS, r->rflags, &out);
	outbuf_print(&out, "; cr0:");
	postmortem_flags(POSTMORTEM_CR0, r->cr0, &out);
	outbuf_print(&out, "; cr4:");
	postmortem_flags(POSTMORTEM_CR4, r->cr4, &out);
	outbuf_print(&out, "; efer:");
	postmortem_flags(POSTMORTEM_EFER, r->efer, &out);
	text[out.length] = '\0';
	print(pm, "  %s", text);
}

static void report_registers(const struct postmortem *pm)
{
	static const char names[16][4] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					  "r8",	 "r9",	"r10", "r11", "r12", "r13", "r14", "r15"};
	static const char segments[MONITOR_SEGMENTS][5] = {"es", "cs", "ss",   "ds",
							   "fs", "gs", "ldtr", "tr"};
	const struct monitor_regs *r = pm->regs;

	for (unsigned i = 0; i < 16; i += 4)
		print(pm, "  %-3s %016lx %-3s %016lx %-3s %016lx %-3s %016lx", names[i], r->gpr[i],
		      names[i + 1], r->gpr[i + 1], names[i + 2], r->gpr[i + 2], names[i + 3],
		      r->gpr[i + 3]);
	print(pm, "  rip %016lx rflags %08lx cr2 %016lx efer %lx", r->rip, r->rflags, r->cr2,
	      r->efer);
	print(pm, "  cr0 %016lx cr3 %016lx cr4 %016lx", r->cr0, r->cr3, r->cr4);
	report_flags(pm);
	for (unsigned i = 0; i < MONITOR_SEGMENTS; i++)
		print(pm, "  %-4s %04x base %016lx limit %08x rights %05x", segments[i],
		      r->segment[i].selector, r->segment[i].base, r->segment[i].limit,
		      r->segment[i].rights);
	print(pm, "  gdtr %016lx+%x idtr %016lx+%x", r->gdt_base, r->gdt_limit, r->idt_base,
	      r->idt_limit);
}

/* --- Memory --- */

static bool translate(const struct postmortem *pm, uint64_t linear, struct outbuf *walk,
		      uint64_t *gpa)
{
	return inspect_walk(pm->regs, pm->reader, linear, false, walk, gpa);
}

/* Reads up to `size` bytes; how many could be. */
static unsigned read_linear(const struct postmortem *pm, uint64_t linear, uint8_t *to,
			    unsigned size)
{
	for (unsigned done = 0; done < size;) {
		unsigned part = MIN(size - done, PAGE_SIZE - (unsigned)(linear % PAGE_SIZE));
		char scratch[WALK_MAX];
		struct outbuf walk;
		uint64_t gpa;

		outbuf_init(&walk, scratch, sizeof(scratch));
		if (!translate(pm, linear, &walk, &gpa))
			return done;
		switch (pm->reader->read(pm->reader->ctx, pm->reader->vm, gpa, to + done, part)) {
		case MONITOR_RAM: break;
		case MONITOR_UNTOUCHED: memset(to + done, 0, part); break;
		default: return done;
		}
		done += part;
		linear += part;
	}
	return size;
}

static void report_walk(const struct postmortem *pm, const char *what, uint64_t linear)
{
	char text[WALK_MAX + 1];
	struct outbuf walk;
	uint64_t gpa = 0;
	bool mapped;

	if (!(pm->regs->cr0 & CR0_PG))
		return;
	outbuf_init(&walk, text, WALK_MAX);
	mapped = translate(pm, linear, &walk, &gpa);
	print(pm, "page walk of %s 0x%lx:", what, linear);
	text[walk.length] = '\0';
	for (char *line = text; *line;) {
		char *end = line;

		while (*end && *end != '\r')
			end++;
		print(pm, "  %.*s", (int)(end - line), line);
		line = *end ? end + 2 : end;
	}
	if (mapped)
		print(pm, "  gpa %016lx", gpa);
	else
		print(pm, "  and no further: not mapped");
}

static void report_bytes(const struct postmortem *pm, const char *what, uint64_t linear,
			 const uint8_t *bytes, unsigned count)
{
	char text[4 * CODE_BYTES + 1];
	struct outbuf out;

	outbuf_init(&out, text, sizeof(text) - 1);
	for (unsigned i = 0; i < count; i++)
		outbuf_print(&out, " %02x", bytes[i]);
	text[out.length] = '\0';
	print(pm, "  %s %016lx:%s", what, linear, count ? text : " cannot be read");
}

static enum insn_mode code_mode(const struct monitor_regs *r)
{
	uint32_t rights = r->segment[MONITOR_CS].rights;

	if ((r->efer & EFER_LMA) && (rights & CS_LONG))
		return INSN_MODE_64;
	return (r->cr0 & CR0_PE) && (rights & CS_BIG) ? INSN_MODE_32 : INSN_MODE_16;
}

static void report_instructions(const struct postmortem *pm, const uint8_t *bytes, unsigned count)
{
	unsigned at = 0;

	for (unsigned i = 0; i < INSTRUCTIONS; i++) {
		uint64_t rip = pm->regs->rip + at;
		char text[100];
		struct outbuf out;
		unsigned length;

		outbuf_init(&out, text, sizeof(text) - 1);
		length = disasm(bytes + at, count - at, code_mode(pm->regs), rip, &out);
		if (!length)
			return;
		put_symbol(pm, rip, &out);
		text[out.length] = '\0';
		print(pm, "  %s %016lx: %s", i ? "      " : "rip ->", rip, text);
		at += length;
	}
}

static void report_code(const struct postmortem *pm)
{
	uint64_t rip = pm->regs->rip + pm->regs->segment[MONITOR_CS].base;
	uint8_t bytes[CODE_BYTES];
	unsigned got;

	print(pm, "code:");
	got = read_linear(pm, rip - CODE_BEFORE, bytes, CODE_BEFORE);
	report_bytes(pm, "before", rip - CODE_BEFORE, bytes, got);
	got = read_linear(pm, rip, bytes, CODE_BYTES);
	report_bytes(pm, "at rip", rip, bytes, got);
	report_instructions(pm, bytes, got);
}

static unsigned word_size(const struct monitor_regs *r)
{
	if ((r->efer & EFER_LMA) && (r->segment[MONITOR_CS].rights & CS_LONG))
		return 8;
	return r->segment[MONITOR_SS].rights & CS_BIG ? 4 : 2;
}

static void report_stack(const struct postmortem *pm)
{
	unsigned size = word_size(pm->regs);
	uint64_t sp = pm->regs->gpr[GPR_RSP] + pm->regs->segment[MONITOR_SS].base;
	uint8_t bytes[STACK_WORDS * 8];
	unsigned got = read_linear(pm, sp, bytes, STACK_WORDS * size) / size;

	print(pm, got ? "stack:" : "stack: cannot be read");
	for (unsigned i = 0; i < got; i += 4) {
		char text[4 * 17 + 1];
		struct outbuf out;

		outbuf_init(&out, text, sizeof(text) - 1);
		for (unsigned n = i; n < i + 4 && n < got; n++) {
			uint64_t word = 0;

			memcpy(&word, bytes + n * size, size);
			outbuf_print(&out,
				     size == 8	 ? " %016lx"
				     : size == 4 ? " %08lx"
						 : " %04lx",
				     word);
		}
		text[out.length] = '\0';
		print(pm, "  %016lx:%s", sp + i * size, text);
	}
	for (unsigned i = 0; i < got; i++) {
		char text[SYMBOL_MAX + 32] = "";
		struct outbuf out;
		uint64_t word = 0;

		memcpy(&word, bytes + i * size, size);
		outbuf_init(&out, text, sizeof(text) - 1);
		put_symbol(pm, word, &out);
		if (out.length)
			print(pm, "  %016lx: 0x%lx%s", sp + i * size, word, text);
	}
}

/* --- Exits --- */

static void report_exits(const struct postmortem *pm)
{
	struct postmortem_exit exit, next;
	char text[SYMBOL_MAX + 32];
	struct outbuf out;
	unsigned back = 0;

	print(pm, "exits, the last one first:");
	while (back < pm->exits && pm->exit(pm->ctx, back, &exit)) {
		unsigned first = back++;

		while (back < pm->exits && pm->exit(pm->ctx, back, &next) &&
		       next.name == exit.name && next.rip == exit.rip)
			back++;
		outbuf_init(&out, text, sizeof(text) - 1);
		put_symbol(pm, exit.rip, &out);
		text[out.length] = '\0';
		if (back - first > 1)
			print(pm, "  %s at rip 0x%lx%s, %u times", exit.name, exit.rip, text,
			      back - first);
		else
			print(pm, "  %s at rip 0x%lx%s", exit.name, exit.rip, text);
	}
}

void postmortem_report(const struct postmortem *pm)
{
	const struct postmortem_exception *fault = NULL;

	for (unsigned i = 0; i < pm->exceptions_count; i++) {
		if (!i)
			print(pm, "exceptions:");
		report_exception(pm, &pm->exceptions[i]);
		if (pm->exceptions[i].vector == VECTOR_PF && !fault)
			fault = &pm->exceptions[i];
	}
	if (pm->shutdown)
		print(pm, "  and then shutdown: a third fault");
	print(pm, "registers:");
	report_registers(pm);
	if (fault)
		report_walk(pm, "the address that faulted,", fault->address);
	report_code(pm);
	report_stack(pm);
	report_exits(pm);
}
