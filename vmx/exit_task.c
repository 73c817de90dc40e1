/* SPDX-License-Identifier: MIT */
/*
 * Task switches, which VMX leaves to software in every mode that has them (never in IA-32e mode).
 * The CPU has checked the way to the new TSS (gate, privilege, presence, type); what comes after is
 * done here. Intel SDM volume 3, "Task Switching", "Treatment of Task Switches".
 */
#include "arch/x86_64/cpu.h"
#include "lib/string.h"
#include "vmx/cr.h"
#include "vmx/events.h"
#include "vmx/exit.h"
#include "vmx/guest_cpu.h"
#include "vmx/vmcs.h"

enum task_source { TASK_CALL, TASK_IRET, TASK_JMP, TASK_GATE };

/* The parts of a TSS that a switch saves and loads, for 16 and 32 bits alike. */
struct task_state {
	uint32_t link, cr3, eip, eflags;
	uint32_t gpr[8];
	uint16_t segment[SEGMENTS]; /* by enum insn_segment */
	uint16_t ldtr;
	bool trap;
};

struct tss32 {
	uint16_t link, reserved0;
	uint32_t stacks[6];
	uint32_t cr3, eip, eflags;
	uint32_t gpr[8];
	struct {
		uint16_t selector, reserved;
	} segment[SEGMENTS];
	uint16_t ldtr, reserved1;
	uint16_t trap, io_map;
};
_Static_assert(sizeof(struct tss32) == 104, "32-bit TSS");

struct tss16 {
	uint16_t link;
	uint16_t stacks[6];
	uint16_t ip, flags;
	uint16_t gpr[8];
	uint16_t segment[4]; /* ES CS SS DS */
	uint16_t ldtr;
};
_Static_assert(sizeof(struct tss16) == 44, "16-bit TSS");

#define DESCRIPTOR_BUSY	    BIT(41) /* bit 1 of the type */
#define DESCRIPTOR_S	    BIT(44)
#define DESCRIPTOR_P	    BIT(47)
#define DESCRIPTOR_ACCESSED BIT(40)
#define DESCRIPTOR_G	    BIT(55)
#define TYPE_LDT	    2
#define TYPE_TSS32	    9 /* available; 16 bits: 1 */
#define TYPE_IS_32(type)    ((type)&8)
#define TYPE_CODE	    BIT(3)
#define TYPE_CONFORMING	    BIT(2) /* code; data: expand-down */
#define TYPE_WRITABLE	    BIT(1) /* data; code: readable */
#define SELECTOR_TI	    BIT(2)
#define SELECTOR_RPL(s)	    ((s)&3u)
#define SELECTOR_INDEX(s)   ((s)&0xfff8u)
#define DR6_BT		    BIT(15)
/* Flags that exist: an entry with another one is refused (SDM volume 3, "Checks on Guest RIP"). */
#define EFLAGS_DEFINED 0x3f7fd5u
#define DR7_LOCAL      (BIT(0) | BIT(2) | BIT(4) | BIT(6) | BIT(8))

/* One switch on its way. A fault is noted and makes the rest be skipped. */
struct task_switch {
	struct vmx_vcpu *v;
	enum task_source source;
	uint16_t selector;   /* of the new TSS */
	uint64_t descriptor; /* of the new TSS, as read */
	uint16_t old_selector;
	bool old_is_32, new_is_32;
	bool committed; /* faults are the new task's from here on */
	bool failed;
	uint8_t vector;
	uint32_t error_code;
};

static bool fail(struct task_switch *t, uint8_t vector, uint32_t error_code)
{
	if (!t->failed) {
		t->failed = true;
		t->vector = vector;
		t->error_code = error_code;
	}
	return false;
}

static bool read_linear(struct task_switch *t, uint64_t linear, void *to, unsigned size)
{
	uint32_t code;

	if (guest_cpu_copy(t->v, linear, to, size, GUEST_CPU_READ, &code))
		return true;
	return fail(t, VECTOR_PF, code);
}

static bool write_linear(struct task_switch *t, uint64_t linear, const void *from, unsigned size)
{
	uint32_t code;

	if (guest_cpu_copy(t->v, linear, (void *)from, size, GUEST_CPU_WRITE, &code))
		return true;
	return fail(t, VECTOR_PF, code);
}

static uint64_t descriptor_base(uint64_t d)
{
	return bits_get(d, 39, 16) | bits_get(d, 63, 56) << 24;
}

static uint32_t descriptor_limit(uint64_t d)
{
	uint32_t limit = (uint32_t)(bits_get(d, 15, 0) | bits_get(d, 51, 48) << 16);

	return d & DESCRIPTOR_G ? limit << 12 | 0xfff : limit;
}

/* Access rights as the VMCS has them: descriptor bits 55:40 without the limit's. */
static uint32_t descriptor_rights(uint64_t d)
{
	return (uint32_t)(bits_get(d, 47, 40) | bits_get(d, 55, 52) << 12);
}

static unsigned descriptor_type(uint64_t d)
{
	return (unsigned)bits_get(d, 43, 40);
}

static unsigned descriptor_dpl(uint64_t d)
{
	return (unsigned)bits_get(d, 46, 45);
}

/* The linear address of a selector's descriptor; false when it lies beyond its table. */
static bool descriptor_address(uint16_t selector, uint64_t *address)
{
	bool local = selector & SELECTOR_TI;
	uint64_t base = vmcs_read(local ? GUEST_LDTR_BASE : GUEST_GDTR_BASE);
	uint64_t limit = vmcs_read(local ? GUEST_LDTR_LIMIT : GUEST_GDTR_LIMIT);

	if (local && (vmcs_read(GUEST_LDTR_RIGHTS) & RIGHTS_UNUSABLE))
		return false;
	*address = base + SELECTOR_INDEX(selector);
	return SELECTOR_INDEX(selector) + 7 <= limit;
}

static bool read_descriptor(struct task_switch *t, uint16_t selector, uint8_t vector, uint64_t *d)
{
	uint64_t address;

	*d = 0;
	if (!descriptor_address(selector, &address))
		return fail(t, vector, selector & ~3u);
	return read_linear(t, address, d, sizeof(*d));
}

static bool set_busy(struct task_switch *t, uint16_t selector, bool busy)
{
	uint64_t address, d;

	if (!descriptor_address(selector, &address) || !read_linear(t, address, &d, sizeof(d)))
		return fail(t, VECTOR_TS, selector & ~3u);
	d = busy ? d | DESCRIPTOR_BUSY : d & ~DESCRIPTOR_BUSY;
	return write_linear(t, address, &d, sizeof(d));
}

/* Limit and presence of the new TSS. */
static bool check_new_tss(struct task_switch *t)
{
	uint32_t least;

	if (!read_descriptor(t, t->selector, VECTOR_GP, &t->descriptor))
		return false;
	t->new_is_32 = TYPE_IS_32(descriptor_type(t->descriptor));
	least = (uint32_t)(t->new_is_32 ? sizeof(struct tss32) : sizeof(struct tss16)) - 1;
	if (!(t->descriptor & DESCRIPTOR_P))
		return fail(t, VECTOR_NP, t->selector & ~3u);
	if (descriptor_limit(t->descriptor) < least)
		return fail(t, VECTOR_TS, t->selector & ~3u);
	return true;
}

/* RIP of the old task when it runs again: past the instruction, unless an event cut it off. */
static uint64_t return_rip(const struct task_switch *t)
{
	uint64_t rip = vmcs_read(GUEST_RIP);
	uint32_t info = (uint32_t)vmcs_read(IDT_VECTORING_INFO);
	bool software = (info & INTR_VALID) && INTR_TYPE(info) >= INTR_SOFTWARE;

	if (t->source != TASK_GATE || software)
		rip += vmcs_read(EXIT_INSN_LENGTH);
	return (uint32_t)rip;
}

static struct task_state current_state(const struct task_switch *t)
{
	struct task_state state = {.eip = (uint32_t)return_rip(t),
				   .eflags = (uint32_t)vmcs_read(GUEST_RFLAGS)};

	if (t->source == TASK_IRET)
		state.eflags &= ~(uint32_t)RFLAGS_NT;
	for (unsigned i = 0; i < 8; i++)
		state.gpr[i] = (uint32_t)t->v->vcpu.gpr[i];
	state.gpr[GPR_RSP] = (uint32_t)vmcs_read(GUEST_RSP);
	for (unsigned i = 0; i < SEGMENTS; i++)
		state.segment[i] = (uint16_t)vmcs_read(vmcs_segment(GUEST_ES_SELECTOR, i));
	return state;
}

/* Only the fields from EIP to the segments are written: the rest of a TSS is static. */
static bool save_old_task(struct task_switch *t)
{
	uint64_t base = vmcs_read(GUEST_TR_BASE);
	struct task_state state = current_state(t);

	if (t->old_is_32) {
		struct tss32 tss = {.eip = state.eip, .eflags = state.eflags};

		memcpy(tss.gpr, state.gpr, sizeof(tss.gpr));
		for (unsigned i = 0; i < SEGMENTS; i++)
			tss.segment[i].selector = state.segment[i];
		return write_linear(t, base + offsetof(struct tss32, eip), &tss.eip,
				    offsetof(struct tss32, ldtr) - offsetof(struct tss32, eip));
	}
	struct tss16 tss = {.ip = (uint16_t)state.eip, .flags = (uint16_t)state.eflags};

	for (unsigned i = 0; i < 8; i++)
		tss.gpr[i] = (uint16_t)state.gpr[i];
	memcpy(tss.segment, state.segment, sizeof(tss.segment));
	return write_linear(t, base + offsetof(struct tss16, ip), &tss.ip,
			    offsetof(struct tss16, ldtr) - offsetof(struct tss16, ip));
}

static bool read_new_task(struct task_switch *t, struct task_state *state)
{
	uint64_t base = descriptor_base(t->descriptor);
	struct tss32 tss32;
	struct tss16 tss;

	if (t->new_is_32) {
		if (!read_linear(t, base, &tss32, sizeof(tss32)))
			return false;
		*state = (struct task_state){.cr3 = tss32.cr3,
					     .eip = tss32.eip,
					     .eflags = tss32.eflags,
					     .ldtr = tss32.ldtr,
					     .trap = tss32.trap & 1};
		memcpy(state->gpr, tss32.gpr, sizeof(state->gpr));
		for (unsigned i = 0; i < SEGMENTS; i++)
			state->segment[i] = tss32.segment[i].selector;
		return true;
	}
	if (!read_linear(t, base, &tss, sizeof(tss)))
		return false;
	*state = (struct task_state){.eip = tss.ip, .eflags = tss.flags, .ldtr = tss.ldtr};
	for (unsigned i = 0; i < 8; i++)
		state->gpr[i] = tss.gpr[i];
	memcpy(state->segment, tss.segment, sizeof(tss.segment));
	return true;
}

/* The old task's back link, for a switch that nests. */
static bool write_link(struct task_switch *t)
{
	if (t->source == TASK_JMP || t->source == TASK_IRET)
		return true;
	return write_linear(t, descriptor_base(t->descriptor), &t->old_selector,
			    sizeof(t->old_selector));
}

static void write_segment(unsigned index, uint16_t selector, uint64_t base, uint32_t limit,
			  uint32_t rights)
{
	vmcs_write(vmcs_segment(GUEST_ES_SELECTOR, index), selector);
	vmcs_write(vmcs_segment(GUEST_ES_BASE, index), base);
	vmcs_write(vmcs_segment(GUEST_ES_LIMIT, index), limit);
	vmcs_write(vmcs_segment(GUEST_ES_RIGHTS, index), rights);
}

static void load_from_descriptor(unsigned index, uint16_t selector, uint64_t d)
{
	write_segment(index, selector, descriptor_base(d), descriptor_limit(d),
		      descriptor_rights(d));
}

/*
 * The point of no return: TR, CR3, flags and general registers are the new task's, so that a fault
 * from here on is delivered in its context.
 */
static bool commit_registers(struct task_switch *t, const struct task_state *state)
{
	struct vmx_vcpu *v = t->v;
	uint32_t eflags = (state->eflags & EFLAGS_DEFINED) | (uint32_t)RFLAGS_FIXED;

	if (t->source == TASK_CALL || t->source == TASK_GATE)
		eflags |= RFLAGS_NT;
	load_from_descriptor(VMCS_SEGMENT_TR, t->selector, t->descriptor | DESCRIPTOR_BUSY);
	if (t->new_is_32 && (vmcs_read(GUEST_CR0) & CR0_PG) && !cr_load_cr3(v, state->cr3))
		return fail(t, VECTOR_GP, 0);
	vmcs_write(GUEST_CR0, vmcs_read(GUEST_CR0) | CR0_TS);
	vmcs_write(GUEST_RIP, state->eip);
	vmcs_write(GUEST_RFLAGS, eflags);
	for (unsigned i = 0; i < 8; i++)
		v->vcpu.gpr[i] = state->gpr[i];
	vmcs_write(GUEST_RSP, state->gpr[GPR_RSP]);
	vmcs_write(GUEST_DR7, vmcs_read(GUEST_DR7) & ~DR7_LOCAL);
	vmcs_write(GUEST_INTERRUPTIBILITY,
		   vmcs_read(GUEST_INTERRUPTIBILITY) & ~(BLOCKING_STI | BLOCKING_MOV_SS));
	/* Until their descriptors are loaded the segments hold nothing. */
	for (unsigned i = 0; i < SEGMENTS; i++)
		vmcs_write(vmcs_segment(GUEST_ES_SELECTOR, i), state->segment[i]);
	return true;
}

/* Loads a code, data or stack segment; its descriptor's accessed bit is set as the CPU does. */
static bool load_segment(struct task_switch *t, unsigned index, uint16_t selector, uint64_t d)
{
	uint64_t address;

	load_from_descriptor(index, selector, d | DESCRIPTOR_ACCESSED);
	if ((d & DESCRIPTOR_ACCESSED) || !descriptor_address(selector, &address))
		return true;
	d |= DESCRIPTOR_ACCESSED;
	return write_linear(t, address, &d, sizeof(d));
}

static void load_virtual_8086(const struct task_state *state)
{
	for (unsigned i = 0; i < SEGMENTS; i++)
		write_segment(i, state->segment[i], (uint64_t)state->segment[i] << 4, 0xffff, 0xf3);
}

static bool load_ldtr(struct task_switch *t, uint16_t selector)
{
	uint64_t d = 0;

	write_segment(VMCS_SEGMENT_LDTR, selector, 0, 0, RIGHTS_UNUSABLE);
	if (!SELECTOR_INDEX(selector))
		return !(selector & SELECTOR_TI) || fail(t, VECTOR_TS, selector & ~3u);
	if ((selector & SELECTOR_TI) || !read_descriptor(t, selector, VECTOR_TS, &d) ||
	    (d & DESCRIPTOR_S) || descriptor_type(d) != TYPE_LDT || !(d & DESCRIPTOR_P))
		return fail(t, VECTOR_TS, selector & ~3u);
	load_from_descriptor(VMCS_SEGMENT_LDTR, selector, d);
	return true;
}

static bool load_code(struct task_switch *t, uint16_t selector)
{
	unsigned rpl = SELECTOR_RPL(selector), type;
	uint64_t d = 0;

	if (!(selector & ~3u) || !read_descriptor(t, selector, VECTOR_TS, &d))
		return fail(t, VECTOR_TS, selector & ~3u);
	type = descriptor_type(d);
	if (!(d & DESCRIPTOR_S) || !(type & TYPE_CODE) ||
	    (type & TYPE_CONFORMING ? descriptor_dpl(d) > rpl : descriptor_dpl(d) != rpl))
		return fail(t, VECTOR_TS, selector & ~3u);
	if (!(d & DESCRIPTOR_P))
		return fail(t, VECTOR_NP, selector & ~3u);
	return load_segment(t, SEGMENT_CS, selector, d);
}

static bool load_stack(struct task_switch *t, uint16_t selector, unsigned cpl)
{
	unsigned type;
	uint64_t d = 0;

	if (!(selector & ~3u) || !read_descriptor(t, selector, VECTOR_TS, &d))
		return fail(t, VECTOR_TS, selector & ~3u);
	type = descriptor_type(d);
	if (!(d & DESCRIPTOR_S) || (type & TYPE_CODE) || !(type & TYPE_WRITABLE) ||
	    descriptor_dpl(d) != cpl || SELECTOR_RPL(selector) != cpl)
		return fail(t, VECTOR_TS, selector & ~3u);
	if (!(d & DESCRIPTOR_P))
		return fail(t, VECTOR_SS, selector & ~3u);
	return load_segment(t, SEGMENT_SS, selector, d);
}

static bool load_data(struct task_switch *t, unsigned index, uint16_t selector, unsigned cpl)
{
	unsigned type, strictest = MAX(cpl, SELECTOR_RPL(selector));
	uint64_t d = 0;

	write_segment(index, selector, 0, 0, RIGHTS_UNUSABLE);
	if (!(selector & ~3u))
		return true;
	if (!read_descriptor(t, selector, VECTOR_TS, &d))
		return false;
	type = descriptor_type(d);
	if (!(d & DESCRIPTOR_S) || ((type & TYPE_CODE) && !(type & TYPE_WRITABLE)))
		return fail(t, VECTOR_TS, selector & ~3u);
	/* Conforming code may be read from any privilege. */
	if ((type & (TYPE_CODE | TYPE_CONFORMING)) != (TYPE_CODE | TYPE_CONFORMING) &&
	    descriptor_dpl(d) < strictest)
		return fail(t, VECTOR_TS, selector & ~3u);
	if (!(d & DESCRIPTOR_P))
		return fail(t, VECTOR_NP, selector & ~3u);
	return load_segment(t, index, selector, d);
}

static bool load_segments(struct task_switch *t, const struct task_state *state)
{
	static const unsigned data[] = {SEGMENT_ES, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS};
	unsigned cpl = SELECTOR_RPL(state->segment[SEGMENT_CS]);

	if (!load_ldtr(t, state->ldtr))
		return false;
	if (state->eflags & RFLAGS_VM) {
		load_virtual_8086(state);
		return true;
	}
	if (!load_code(t, state->segment[SEGMENT_CS]) ||
	    !load_stack(t, state->segment[SEGMENT_SS], cpl))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++)
		if (!load_data(t, data[i], state->segment[data[i]], cpl))
			return false;
	return true;
}

/*
 * A VM entry wants CS and SS that fit together. Where loading them failed, the fault's handler is
 * what runs next, and flat segments of its privilege stand in until its gate loads real ones.
 */
static void make_segments_enterable(void)
{
	write_segment(SEGMENT_CS, (uint16_t)(vmcs_read(GUEST_CS_SELECTOR) & ~3u), 0, UINT32_MAX,
		      RIGHTS_CODE32);
	write_segment(SEGMENT_SS, (uint16_t)(vmcs_read(GUEST_SS_SELECTOR) & ~3u), 0, UINT32_MAX,
		      RIGHTS_DATA32);
	for (unsigned i = 0; i < SEGMENTS; i++)
		if (i != SEGMENT_CS && i != SEGMENT_SS)
			write_segment(i, 0, 0, 0, RIGHTS_UNUSABLE);
}

/* An exception's error code goes onto the new task's stack. */
static bool push_error_code(struct task_switch *t, uint32_t code)
{
	unsigned size = t->new_is_32 ? 4 : 2;
	uint64_t mask = vmcs_read(GUEST_SS_RIGHTS) & BIT(14) ? UINT32_MAX : 0xffff;
	uint64_t rsp = vmcs_read(GUEST_RSP);
	uint64_t next = (rsp & ~mask) | ((rsp - size) & mask);

	if (!write_linear(t, vmcs_read(GUEST_SS_BASE) + (next & mask), &code, size))
		return false;
	vmcs_write(GUEST_RSP, next);
	return true;
}

static bool switch_task(struct task_switch *t)
{
	struct task_state state;

	if (!check_new_tss(t) || !save_old_task(t) || !write_link(t) || !read_new_task(t, &state))
		return false;
	if ((t->source == TASK_JMP || t->source == TASK_IRET) &&
	    !set_busy(t, t->old_selector, false))
		return false;
	if (t->source != TASK_IRET && !set_busy(t, t->selector, true))
		return false;
	/* Without its CR3 the new task is not entered: the old one's segments fit its flags. */
	if (!commit_registers(t, &state))
		return false;
	t->committed = true;
	if (!load_segments(t, &state)) {
		if (state.eflags & RFLAGS_VM)
			load_virtual_8086(&state);
		else
			make_segments_enterable();
		return false;
	}
	/* The T flag: a #DB before the new task's first instruction. */
	if (state.trap) {
		events_set_dr6(DR6_BT);
		return fail(t, VECTOR_DB, 0);
	}
	return true;
}

enum exit_action exit_task_switch(struct vmx_vcpu *v)
{
	uint64_t qualification = vmcs_read(EXIT_QUALIFICATION);
	struct vmx_event event;
	struct task_switch t = {
		.v = v,
		.source = (enum task_source)bits_get(qualification, 31, 30),
		.selector = (uint16_t)qualification,
		.old_selector = (uint16_t)vmcs_read(GUEST_TR_SELECTOR),
		.old_is_32 = TYPE_IS_32(vmcs_read(GUEST_TR_RIGHTS)),
	};

	events_keep_interrupted(v);
	/* The event was the reason for the switch: it is delivered by it. */
	event = v->interrupted;
	v->interrupted.info = 0;
	if (t.source == TASK_GATE && INTR_TYPE(event.info) == INTR_NMI && (event.info & INTR_VALID))
		vmcs_write(GUEST_INTERRUPTIBILITY,
			   vmcs_read(GUEST_INTERRUPTIBILITY) | BLOCKING_NMI);
	if (t.source == TASK_IRET)
		vmcs_write(GUEST_INTERRUPTIBILITY,
			   vmcs_read(GUEST_INTERRUPTIBILITY) & ~BLOCKING_NMI);
	if (switch_task(&t) && t.source == TASK_GATE && (event.info & INTR_VALID) &&
	    (event.info & INTR_ERROR_CODE))
		push_error_code(&t, event.error_code);
	/* An exception whose gate's task cannot be entered meets the second one: #DF, or worse. */
	if (t.failed && !t.committed && t.source == TASK_GATE &&
	    INTR_TYPE(event.info) == INTR_EXCEPTION)
		v->interrupted = event;
	if (t.failed)
		return vmx_raise(v, t.vector, t.error_code);
	return EXIT_RESUME;
}
