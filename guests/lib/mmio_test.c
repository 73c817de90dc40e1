/* SPDX-License-Identifier: MIT */
/*
 * Instructions on device memory.
 *
 * What an instruction does to a register of the local APIC (the timer's initial count: 32 bits that
 * keep what is written, in double words) or of the IOAPIC (the index: 8 bits) is compared with what
 * it does to RAM. Beyond RAM, where nobody is, reads give ones and writes vanish.
 */
#include "guests/lib/mmio_test.h"

#include "guests/lib/guest.h"
#include "guests/lib/paging.h"
#include "guests/lib/trap.h"

#define REG32	     0xFEE00380u
#define REG8	     0xFEC00000u
#define NOWHERE	     0xD0000000u
#define RAM_END	     0x1000000u /* the tests run with 16 MiB */
#define ALL_ONES     0xFFFFFFFFu
#define PAGE	     4096u
#define STATUS_FLAGS 0x8D5u
#define FLAG_CF	     1u
#define FLAG_ZF	     0x40u
#define VECTOR_UD    6
#define VECTOR_PF    14
#define COPY_BYTES   12288u

static volatile uint32_t *const reg32 = (volatile uint32_t *)REG32;
static volatile uint8_t *const reg8 = (volatile uint8_t *)REG8;
static uint8_t buffer[COPY_BYTES + 2 * PAGE] __attribute__((aligned(4096)));
static const char *mode;

static bool check(bool passed, const char *what)
{
	guest_print("# %s\n", mode);
	return guest_check(passed, what);
}

static void check_equal(uint64_t got, uint64_t want, const char *what)
{
	if (got != want)
		guest_print("# got 0x%llx, want 0x%llx\n", (unsigned long long)got,
			    (unsigned long long)want);
	check(got == want, what);
}

/* ---- Each instruction, on RAM and on a device ---- */

struct outcome {
	uint32_t memory, source, accumulator, flags;
};

/* In: memory at m, a source in ECX, an accumulator in EAX. */
/* ZF and PF set, and CF; the others clear. */
#define FLAGS_IN "cmp %%esp, %%esp\n\tstc\n\t"
#define FORM32(name, text)                                                                       \
	static void name(volatile uint32_t *m, struct outcome *o)                                \
	{                                                                                        \
		uintptr_t flags;                                                                 \
                                                                                                 \
		__asm__ volatile(FLAGS_IN text "\n\tpushf\n\tpop %1"                             \
				 : "+m"(*m), "=&r"(flags), "+c"(o->source), "+a"(o->accumulator) \
				 : "D"(m)                                                        \
				 : "cc", "memory");                                              \
		o->flags = (uint32_t)flags & STATUS_FLAGS;                                       \
	}
#define FORM8(name, text)                                                                        \
	static void name(volatile uint8_t *m, struct outcome *o)                                 \
	{                                                                                        \
		uintptr_t flags;                                                                 \
                                                                                                 \
		__asm__ volatile(FLAGS_IN text "\n\tpushf\n\tpop %1"                             \
				 : "+m"(*m), "=&r"(flags), "+c"(o->source), "+a"(o->accumulator) \
				 : "D"(m)                                                        \
				 : "cc", "memory");                                              \
		o->flags = (uint32_t)flags & STATUS_FLAGS;                                       \
	}
#ifdef __x86_64__
#define M "(%%rdi)"
#else
#define M "(%%edi)"
#endif
/* One with a source register, one into it, two with immediates. */
#define ROW(op)                                  \
	FORM32(op##_mr, #op "l %%ecx, " M)       \
	FORM32(op##_rm, #op "l " M ", %%ecx")    \
	FORM32(op##_mi, #op "l $0x12345678, " M) \
	FORM32(op##_mi8, #op "l $-3, " M)        \
	FORM8(op##_mr8, #op "b %%cl, " M)        \
	FORM8(op##_rm8, #op "b " M ", %%ch")

ROW(add)
ROW(or)
ROW(adc)
ROW(sbb)
ROW(and)
ROW(sub)
ROW(xor)
ROW(cmp)
FORM32(test_mr, "testl %%ecx, " M)
FORM32(test_mi, "testl $0x80000001, " M)
FORM8(test_mi8, "testb $0x81, " M)
FORM32(not_m, "notl " M)
FORM32(neg_m, "negl " M)
FORM32(inc_m, "incl " M)
FORM32(dec_m, "decl " M)
FORM32(bts_mi, "btsl $5, " M)
FORM32(btr_mi, "btrl $31, " M)
FORM32(btc_mi, "btcl $0, " M)
FORM32(bt_mi, "btl $4, " M)
FORM32(xchg_m, "xchgl %%ecx, " M)
FORM8(xchg_m8, "xchgb %%ch, " M)
FORM32(xadd_m, "lock xaddl %%ecx, " M)
FORM32(cmpxchg_m, "lock cmpxchgl %%ecx, " M)
FORM8(cmpxchg_m8, "cmpxchgb %%cl, " M)
FORM32(lock_add, "lock addl %%ecx, " M)
FORM32(mov_mr, "movl %%ecx, " M)
FORM32(mov_rm, "movl " M ", %%ecx")
FORM32(mov_mi, "movl $0x89ABCDEF, " M)
FORM32(mov_rm16, "movw " M ", %%cx")
FORM8(mov_mr8, "movb %%ch, " M)
FORM8(mov_rm8, "movb " M ", %%ah")
FORM8(mov_mi8, "movb $0x5A, " M)
FORM32(movzx_8, "movzbl " M ", %%ecx")
FORM32(movzx_16, "movzwl " M ", %%ecx")
FORM32(movsx_8, "movsbl " M ", %%ecx")
FORM32(movsx_16, "movswl " M ", %%ecx")
FORM32(movsx_8_16, "movsbw " M ", %%cx")

#define ENTRY(name)         \
	{                   \
#name, name \
	}
#define ENTRIES_32(op) ENTRY(op##_mr), ENTRY(op##_rm), ENTRY(op##_mi), ENTRY(op##_mi8)
#define ENTRIES_8(op)  ENTRY(op##_mr8), ENTRY(op##_rm8)

static const struct {
	const char *name;
	void (*run)(volatile uint32_t *m, struct outcome *o);
} forms32[] = {
	ENTRIES_32(add),   ENTRIES_32(or),  ENTRIES_32(adc), ENTRIES_32(sbb), ENTRIES_32(and),
	ENTRIES_32(sub),   ENTRIES_32(xor), ENTRIES_32(cmp), ENTRY(test_mr),  ENTRY(test_mi),
	ENTRY(not_m),	   ENTRY(neg_m),    ENTRY(inc_m),    ENTRY(dec_m),    ENTRY(bts_mi),
	ENTRY(btr_mi),	   ENTRY(btc_mi),   ENTRY(bt_mi),    ENTRY(xchg_m),   ENTRY(xadd_m),
	ENTRY(cmpxchg_m),  ENTRY(lock_add), ENTRY(mov_mr),   ENTRY(mov_rm),   ENTRY(mov_mi),
	ENTRY(mov_rm16),   ENTRY(movzx_8),  ENTRY(movzx_16), ENTRY(movsx_8),  ENTRY(movsx_16),
	ENTRY(movsx_8_16),
};

static const struct {
	const char *name;
	void (*run)(volatile uint8_t *m, struct outcome *o);
} forms8[] = {
	ENTRIES_8(add),	   ENTRIES_8(or),  ENTRIES_8(adc), ENTRIES_8(sbb),  ENTRIES_8(and),
	ENTRIES_8(sub),	   ENTRIES_8(xor), ENTRIES_8(cmp), ENTRY(test_mi8), ENTRY(xchg_m8),
	ENTRY(cmpxchg_m8), ENTRY(mov_mr8), ENTRY(mov_rm8), ENTRY(mov_mi8),
};

static const struct outcome inputs[] = {
	{0, 0, 0, 0},
	{0xFFFFFFFF, 1, 0xFFFFFFFF, 0},
	{0x80808080, 0x80808080, 0x7F7F7F7F, 0},
	{0x7FFFFF7F, 0x0101, 0x7FFFFF7F, 0},
	{0x12345678, 0x9ABCDEF0, 0x12345678, 0},
	{0x11223344, 0x22446688, 0x33557799, 0},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool same(const struct outcome *a, const struct outcome *b)
{
	return a->memory == b->memory && a->source == b->source &&
	       a->accumulator == b->accumulator && a->flags == b->flags;
}

static void show(const char *where, const struct outcome *o)
{
	guest_print("# %s: memory %x, source %x, accumulator %x, flags %x\n", where, o->memory,
		    o->source, o->accumulator, o->flags);
}

static bool compare32(unsigned form, const struct outcome *in)
{
	struct outcome ram = *in, device = *in;
	volatile uint32_t memory = in->memory;

	forms32[form].run(&memory, &ram);
	ram.memory = memory;
	*reg32 = in->memory;
	forms32[form].run(reg32, &device);
	device.memory = *reg32;
	if (same(&ram, &device))
		return true;
	show("RAM", &ram);
	show("device", &device);
	return false;
}

static bool compare8(unsigned form, const struct outcome *in)
{
	struct outcome ram = *in, device = *in;
	volatile uint8_t memory = (uint8_t)in->memory;

	forms8[form].run(&memory, &ram);
	ram.memory = memory;
	*reg8 = (uint8_t)in->memory;
	forms8[form].run(reg8, &device);
	device.memory = *reg8;
	if (same(&ram, &device))
		return true;
	show("RAM", &ram);
	show("device", &device);
	return false;
}

static void test_forms(void)
{
	for (unsigned form = 0; form < COUNT(forms32); form++) {
		unsigned wrong = 0;

		for (unsigned i = 0; i < COUNT(inputs); i++)
			wrong += !compare32(form, &inputs[i]);
		if (wrong)
			check(false, forms32[form].name);
	}
	check(true, "forms of 32 bits did on a device what they do on RAM");
	for (unsigned form = 0; form < COUNT(forms8); form++) {
		unsigned wrong = 0;

		for (unsigned i = 0; i < COUNT(inputs); i++)
			wrong += !compare8(form, &inputs[i]);
		if (wrong)
			check(false, forms8[form].name);
	}
	check(true, "forms of 8 bits as well");
}

/* ---- Addresses ---- */

static void test_addresses(void)
{
	uint32_t value;
	uint16_t selector;

	*reg32 = 0x87654321;
	__asm__ volatile("movl 0x40(%1,%2,4), %0"
			 : "=r"(value)
			 : "r"((uintptr_t)REG32 - 0x40 - 0x300), "r"((uintptr_t)0xC0));
	check_equal(value, 0x87654321, "base, scaled index and displacement");
#ifdef __x86_64__
	__asm__ volatile("movabsl 0xFEE00380, %%eax" : "=a"(value));
	check_equal(value, 0x87654321, "MOV from an absolute address");
	value = 0x13579BDF;
	__asm__ volatile("movabsl %%eax, 0xFEE00380" : : "a"(value) : "memory");
#else
	__asm__ volatile("movl 0xFEE00380, %%eax" : "=a"(value));
	check_equal(value, 0x87654321, "MOV from an absolute address");
	value = 0x13579BDF;
	__asm__ volatile("movl %%eax, 0xFEE00380" : : "a"(value) : "memory");
#endif
	check_equal(*reg32, 0x13579BDF, "and to one");
	check_equal(*(volatile uint8_t *)(REG32 + 1), 0x9B, "a byte of a register");
	check_equal(*(volatile uint16_t *)(REG32 + 2), 0x1357, "a word of it");
	__asm__ volatile("movw %%ds, %0\n\tmovw %%ds, %1" : "=m"(*reg8), "=r"(selector));
	check_equal(*reg8, selector & 0xFF, "MOV of a segment register");
}

static void test_nowhere(void)
{
	volatile uint32_t *nowhere = (volatile uint32_t *)NOWHERE;
	uint32_t value = 0x1234, old = 0x55AA55AA;

	check_equal(*nowhere, ALL_ONES, "nobody: ones");
	check_equal(*(volatile uint8_t *)(NOWHERE + 3), 0xFF, "in a byte");
	check_equal(*(volatile uint16_t *)(NOWHERE + PAGE - 1), 0xFFFF, "in a word on two pages");
	*nowhere = 0;
	check_equal(*nowhere, ALL_ONES, "writes vanish");
	__asm__ volatile("xchgl %0, %1" : "+r"(value), "+m"(*nowhere));
	check_equal(value, ALL_ONES, "XCHG gets ones");
	__asm__ volatile("lock cmpxchgl %2, %1" : "+a"(old), "+m"(*nowhere) : "r"(0) : "cc");
	check_equal(old, ALL_ONES, "CMPXCHG as well");
}

/* Two bytes are the last of RAM, two are nobody's. */
static void test_straddle(void)
{
	volatile uint32_t *edge = (volatile uint32_t *)(uintptr_t)(RAM_END - 2);
	volatile uint16_t *last = (volatile uint16_t *)(uintptr_t)(RAM_END - 2);
	uint32_t value;

	*last = 0;
	*edge = 0x11223344;
	check_equal(*last, 0x3344, "a write across the end of RAM: what RAM gets");
	check_equal(*edge, 0xFFFF3344, "and what is read there");
	value = 0xABCD1111;
	__asm__ volatile("addl %1, %0" : "+m"(*edge) : "r"(value) : "cc");
	check_equal(*last, 0x4455, "ADD there");
	__asm__ volatile("xchgl %0, %1" : "+r"(value), "+m"(*edge));
	check_equal(value, 0xFFFF4455, "XCHG there: the register");
	check_equal(*last, 0x1111, "and RAM");
}

/* ---- Strings ---- */

static uintptr_t end_si, end_di, end_cx;

#define STRING(name, text)                                                                        \
	static void name(uintptr_t di, uintptr_t si, uintptr_t cx, uint32_t ax)                   \
	{                                                                                         \
		__asm__ volatile(text : "+D"(di), "+S"(si), "+c"(cx) : "a"(ax) : "cc", "memory"); \
		end_di = di;                                                                      \
		end_si = si;                                                                      \
		end_cx = cx;                                                                      \
	}
STRING(rep_movsb, "rep movsb")
STRING(rep_movsl, "rep movsl")
STRING(rep_movsl_down, "std\n\trep movsl\n\tcld")
STRING(movsl, "movsl")
STRING(rep_stosb, "rep stosb")
STRING(rep_stosl, "rep stosl")
STRING(repne_scasb, "repne scasb")
STRING(repe_scasb, "repe scasb")
STRING(repe_cmpsb, "repe cmpsb")

static void fill(uint8_t byte)
{
	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = byte;
}

static unsigned bytes_that_are(unsigned from, unsigned to, uint8_t byte)
{
	unsigned count = 0;

	for (unsigned i = from; i < to; i++)
		count += buffer[i] == byte;
	return count;
}

static void test_copies(void)
{
	uintptr_t to = (uintptr_t)buffer + 100;

	fill(0x5A);
	rep_movsl(to, NOWHERE + 0xFF0, COPY_BYTES / 4, 0);
	check_equal(bytes_that_are(100, 100 + COPY_BYTES, 0xFF), COPY_BYTES,
		    "REP MOVSD from nobody, over pages, makes ones");
	check_equal(bytes_that_are(0, 100, 0x5A) +
			    bytes_that_are(100 + COPY_BYTES, sizeof(buffer), 0x5A),
		    sizeof(buffer) - COPY_BYTES, "and nothing around them");
	check(end_cx == 0 && end_di == to + COPY_BYTES && end_si == NOWHERE + 0xFF0 + COPY_BYTES,
	      "ECX, ESI and EDI are at the end");
	fill(0x5A);
	rep_movsb(to, NOWHERE, 0, 0);
	check(buffer[100] == 0x5A && end_di == to, "a count of 0 does nothing");
	rep_movsl_down(to + 8, NOWHERE + 8, 3, 0);
	check(bytes_that_are(100, 112, 0xFF) == 12 && end_di == to - 4, "with DF set downwards");
	rep_movsb(NOWHERE, to, 5000, 0);
	check(end_cx == 0 && end_si == to + 5000, "REP MOVSB to nobody");
	*reg32 = 0x600DF00D;
	movsl(to, REG32, 0, 0);
	check_equal(*(uint32_t *)to, 0x600DF00D, "MOVSD from a register");
	movsl(REG32, (uintptr_t)inputs + 16 * 4, 0, 0);
	check_equal(*reg32, inputs[4].memory, "and to one");
}

static void test_stores(void)
{
	volatile uint32_t *ram = (volatile uint32_t *)(uintptr_t)(RAM_END - 8);

	rep_stosb(NOWHERE, 0, 5000, 0);
	check(end_cx == 0 && end_di == NOWHERE + 5000, "REP STOSB to nobody");
	ram[0] = ram[1] = 0;
	rep_stosl(RAM_END - 8, 0, 10, 0x77665544);
	check(ram[0] == 0x77665544 && ram[1] == 0x77665544 && end_cx == 0,
	      "REP STOSD over the end of RAM");
	rep_stosl(REG32, 0, 1, 0x0BADCAFE);
	check_equal(*reg32, 0x0BADCAFE, "REP STOSD to a register");
	repne_scasb(NOWHERE, 0, 100, 0);
	check_equal(end_cx, 0, "REPNE SCASB finds no zero");
	repne_scasb(NOWHERE, 0, 100, 0xFF);
	check_equal(end_cx, 99, "but ones at once");
	repe_scasb(NOWHERE, 0, 100, 0xFF);
	check_equal(end_cx, 0, "REPE SCASB goes on over them");
	fill(0xFF);
	buffer[10] = 0;
	repe_cmpsb((uintptr_t)buffer, NOWHERE, 100, 0);
	check_equal(end_cx, 89, "REPE CMPSB stops at the difference");
}

/* ---- #UD ---- */

static void lock_mov(void *argument)
{
	__asm__ volatile(".byte 0xf0\n\tmovl %%eax, " M : : "D"(argument), "a"(0) : "memory");
}

static void lock_cmp(void *argument)
{
	__asm__ volatile(".byte 0xf0\n\tcmpl %%eax, " M : : "D"(argument), "a"(0) : "memory");
}

static void lock_load(void *argument)
{
	__asm__ volatile(".byte 0xf0\n\taddl " M ", %%eax" : : "D"(argument), "a"(0) : "memory");
}

static void test_lock(void)
{
	void *device = (void *)(uintptr_t)REG32;

	*reg32 = 0x1111;
	check_equal(trap_run(lock_mov, device), VECTOR_UD, "LOCK MOV is #UD");
	check_equal(trap_run(lock_cmp, device), VECTOR_UD, "LOCK CMP is #UD");
	check_equal(trap_run(lock_load, device), VECTOR_UD, "LOCK ADD into a register is #UD");
	check_equal(*reg32, 0x1111, "and the device has seen nothing");
}

void mmio_test(const char *where)
{
	mode = where;
	test_forms();
	test_addresses();
	test_nowhere();
	test_straddle();
	test_copies();
	test_stores();
	test_lock();
}

/* ---- Page faults ---- */

static volatile unsigned faults;
static volatile uintptr_t seen_cr2, seen_error, seen_cx, seen_si, seen_di;
static volatile unsigned repair; /* the page of the window to map when the fault comes */

static void on_page_fault(struct trap_frame *frame)
{
	uintptr_t cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	seen_cr2 = cr2;
	faults = faults + 1;
	seen_error = frame->error;
	seen_cx = frame->cx;
	seen_si = frame->si;
	seen_di = frame->di;
	paging_map(repair, PAGING_WINDOW + repair * PAGE, PAGING_PRESENT | PAGING_WRITABLE);
}

/* The page goes, with `flags` left; the handler brings it back. */
static void take_away(unsigned page, uint32_t flags)
{
	faults = 0;
	repair = page;
	paging_map(page, PAGING_WINDOW + page * PAGE, flags);
}

static void test_destination(void)
{
	uintptr_t window = PAGING_WINDOW;
	volatile uint32_t *words = (volatile uint32_t *)window;

	words[1022] = words[1023] = words[1024] = words[1025] = 0;
	take_away(1, 0);
	rep_movsl(window + PAGE - 8, NOWHERE, 4, 0);
	check_equal(faults, 1, "REP MOVSD from nobody into a page that is not there faults");
	check_equal(seen_cr2, window + PAGE, "CR2 is its address");
	check_equal(seen_error, 2, "the error code: a write, not present");
	check(seen_cx == 2 && seen_di == window + PAGE && seen_si == NOWHERE + 8,
	      "two were done by then");
	check(words[1023] == ALL_ONES && words[1025] == ALL_ONES && end_cx == 0,
	      "and the rest after the return");
	take_away(1, PAGING_PRESENT);
	movsl(window + PAGE, REG32, 0, 0);
	check_equal(seen_error, 3, "into a page that is read-only: a write, present");
	check_equal(faults, 1, "once");
	take_away(1, 0);
	*reg32 = 0xAABBCCDD;
	movsl(window + PAGE - 2, REG32, 0, 0);
	check_equal(seen_cr2, window + PAGE, "across two pages: CR2 is the second's start");
	check_equal(*(volatile uint32_t *)(window + PAGE - 2), 0xAABBCCDD, "then it is whole");
}

static void test_source(void)
{
	uintptr_t window = PAGING_WINDOW;

	*(volatile uint32_t *)(window + PAGE) = 0x24682468;
	take_away(1, 0);
	movsl(REG32, window + PAGE, 0, 0);
	check_equal(seen_error, 0, "MOVSD to a device from a page that is not there: a read");
	check_equal(seen_cr2, window + PAGE, "at its address");
	check_equal(*reg32, 0x24682468, "and the device gets it in the end");
}

/* MOV of a device register into EAX and RET, on two pages whose frames are apart. */
static void test_fetch(void)
{
#ifdef __x86_64__
	static const uint8_t code[] = {0x8B, 0x04, 0x25, 0x00, 0x00, 0x00, 0x40, 0xC3};
#else
	static const uint8_t code[] = {0x8B, 0x05, 0x00, 0x00, 0x00, 0x40, 0x90, 0xC3};
#endif
	volatile uint8_t *window = (volatile uint8_t *)(uintptr_t)PAGING_WINDOW;
	uint32_t (*run)(void) = (uint32_t(*)(void))(uintptr_t)(PAGING_WINDOW + PAGE - 3);
	unsigned apart = 7;

	for (unsigned i = 0; i < 16; i++)
		window[PAGE + i] = 0x0F;
	for (unsigned i = 0; i < sizeof(code); i++)
		window[i < 3 ? PAGE - 3 + i : apart * PAGE + i - 3] = code[i];
	paging_map(1, PAGING_WINDOW + apart * PAGE, PAGING_PRESENT | PAGING_WRITABLE);
	check_equal(run(), ALL_ONES, "an instruction on two pages is fetched from both frames");
	paging_map(1, PAGING_WINDOW + PAGE, PAGING_PRESENT | PAGING_WRITABLE);
}

/* A device page at another linear address. */
static void test_mapped(void)
{
	volatile uint32_t *reg = (volatile uint32_t *)(uintptr_t)(PAGING_WINDOW + 3 * PAGE + 0x380);

	paging_map(3, REG32 & ~0xFFFu, PAGING_PRESENT | PAGING_WRITABLE);
	*reg = 0xFACEFEED;
	check_equal(*reg32, 0xFACEFEED, "a device mapped elsewhere");
	movsl((uintptr_t)buffer, (uintptr_t)reg, 0, 0);
	check_equal(*(uint32_t *)(void *)buffer, 0xFACEFEED, "by MOVSD as well");
	paging_map(3, PAGING_WINDOW + 3 * PAGE, PAGING_PRESENT | PAGING_WRITABLE);
}

void mmio_test_faults(const char *where)
{
	mode = where;
	trap_set_handler(VECTOR_PF, on_page_fault);
	test_destination();
	test_source();
	test_fetch();
	test_mapped();
	trap_set_handler(VECTOR_PF, 0);
}
