/* SPDX-License-Identifier: MIT */
/*
 * fault=nmis: NMIs under load. The last core runs no guest; it sends NMIs to the others at
 * irregular times, each once the one before has been taken, so that not one may be lost. Of some
 * the gate sends its own core a second one, which is latched until the handler's IRET: it comes
 * before the next instruction, whichever that is.
 */
#include "tests/faults/faults.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/traps.h"
#include "boot/machine.h"
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/x86.h"
#include "vm/disasm.h"
#include "vmx/events.h"
#include "vmx/exit.h"
#include "vmx/vmcs.h"

#define REPORT_EACH  10000 /* NMIs */
#define SECOND_EACH  7	   /* so manieth NMI that a core takes is followed by one of its own */
#define DELAY_MAX    1023  /* PAUSEs between two NMIs */
#define LOST_HZ	     10	   /* one that has not been taken after 100 ms is lost */
#define ENTRY_BYTES  2048  /* of vmx/entry.asm, at most */
#define HALT_WAIT_HZ 2
#define QUIET_HZ     10
#define INT_OPCODE   0xcd

/* A gate of the IDT, of which the offset matters here. */
struct gate {
	uint16_t offset_low, selector, attributes, offset_middle;
	uint32_t offset_high, reserved;
};

/* As the CPU pushes it. */
struct nmi_frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

uint64_t vmx_enter(struct vmx_vcpu *v);
extern const uint8_t vmx_exit[], vmx_exit_guarded[], vmx_entry_end[], idle_halt[];
extern uint64_t nmi_original;
void nmi_gate(void);
bool nmis_taken(struct nmi_frame *frame);

static struct {
	uint64_t taken, again, in_guest, in_entry, idle, astray;
} counts[PCPU_MAX];
static uint32_t hits[ENTRY_BYTES];
static uint64_t sent, lost, reported;
static bool halting; /* the next NMI is to return to irq_enable_and_halt's HLT */
static bool x2apic;
static enum fault fault;

static uint64_t entry_offset(uint64_t rip)
{
	return rip - (uint64_t)vmx_enter;
}

static void note(const struct pcpu *self, const struct nmi_frame *frame)
{
	const uint8_t *before = (const uint8_t *)frame->rip - 2;
	uint64_t rip = frame->rip;
	unsigned id = self->id;

	if ((const void *)(frame + 1) != self->ist_stack[IST_NMI] + 1)
		counts[id].astray++;

	if (before[0] == INT_OPCODE && before[1] == VECTOR_NMI)
		counts[id].in_guest++;
	if (rip == (uint64_t)idle_halt || rip == (uint64_t)idle_halt + 1)
		counts[id].idle++;
	if (entry_offset(rip) < ENTRY_BYTES) {
		__atomic_fetch_add(&hits[entry_offset(rip)], 1, __ATOMIC_RELAXED);
		counts[id].in_entry += rip < (uint64_t)vmx_entry_end;
	}
}

/*
 * SDM volume 2, STI: an NMI may come between STI and HLT, and its IRET ends STI's shadow: an
 * interrupt that waits comes before HLT then, and HLT would sleep although there is work. No timing
 * reaches that place in an emulator: here the handler of one NMI returns to it, as if called, and
 * the next one waits.
 */
static void return_to_halt(struct nmi_frame *frame)
{
	const struct pcpu *self = pcpu_self();

	lapic_send_nmi(self->apic_id);
	lapic_send_irq(self->apic_id, VECTOR_KICK);
	frame->rsp -= 8;
	*(uint64_t *)frame->rsp = frame->rip;
	frame->rip = (uint64_t)idle_halt;
	frame->rflags |= RFLAGS_IF;
}

/*
 * Of an exit that has just come, as an emulator cannot fail: the VMCS says another reason. Where
 * the CPU does not let the exit fields be written this panics.
 */
static void pretend_machine_check(void)
{
	if (fault == FAULT_MC_ENTRY) {
		vmcs_write(EXIT_REASON, EXIT_ENTRY_FAILURE | EXIT_ENTRY_MACHINE_CHECK);
		return;
	}
	vmcs_write(EXIT_REASON, EXIT_EXCEPTION);
	vmcs_write(EXIT_INTR_INFO, INTR_VALID | INTR_EXCEPTION << 8 | VECTOR_MC);
}

/* Every NMI of every core; on the stack of NMIs, with NMIs blocked. False: as ever. */
bool nmis_taken(struct nmi_frame *frame)
{
	struct pcpu *self = pcpu_self();
	uint64_t taken = counts[self->id].taken + 1;

	if (halting) {
		halting = false;
		return_to_halt(frame);
		return true;
	}
	if (fault != FAULT_NMIS && frame->rip == (uint64_t)vmx_exit)
		pretend_machine_check();
	note(self, frame);
	if (x2apic && taken % SECOND_EACH == 0) {
		counts[self->id].again++;
		lapic_send_nmi(self->apic_id);
	}
	__atomic_store_n(&counts[self->id].taken, taken, __ATOMIC_RELEASE);
	return false;
}

static void hook_gate(void)
{
	struct gate *gate = (struct gate *)traps_idt_base() + VECTOR_NMI;
	uint64_t offset = (uint64_t)nmi_gate;

	nmi_original = (uint64_t)gate->offset_high << 32 | (uint64_t)gate->offset_middle << 16 |
		       gate->offset_low;
	gate->offset_low = (uint16_t)offset;
	gate->offset_middle = (uint16_t)(offset >> 16);
	gate->offset_high = (uint32_t)(offset >> 32);
}

static void test_halt(void)
{
	uint64_t hz = machine_host()->hz, start = rdtsc();

	/* Until the console has nothing to say, and no interrupt of its own comes between. */
	while (rdtsc() - start < hz / QUIET_HZ)
		irq_window();
	start = rdtsc();
	lapic_timer_arm(start + hz / HALT_WAIT_HZ);
	halting = true;
	lapic_send_nmi(pcpu_self()->apic_id);
	while (__atomic_load_n(&halting, __ATOMIC_ACQUIRE))
		cpu_pause();
	lapic_timer_arm(UINT64_MAX);
	irq_window();
	log_info("fault=nmis: %s", rdtsc() - start < hz / HALT_WAIT_HZ
					   ? "an NMI between STI and HLT leaves no interrupt asleep"
					   : "an NMI between STI and HLT left an interrupt asleep");
}

void nmis_begin(enum fault which)
{
	fault = which;
	if (vmx_entry_end - (const uint8_t *)vmx_enter > ENTRY_BYTES)
		panic("ENTRY_BYTES is too small");
	x2apic = rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
	hook_gate();
	if (fault == FAULT_NMIS)
		test_halt();
}

static uint64_t expected(unsigned id, uint64_t mine)
{
	return mine + __atomic_load_n(&counts[id].again, __ATOMIC_ACQUIRE);
}

static uint64_t taken(unsigned id)
{
	return __atomic_load_n(&counts[id].taken, __ATOMIC_ACQUIRE);
}

/* Names of places in vmx/entry.asm, and how many of their instructions an NMI came before. */
static void report_place(const char *name, const uint8_t *start, const uint8_t *end)
{
	unsigned all = 0, hit = 0, length;
	char text[80], missing[200] = "";
	size_t used = 0;

	for (const uint8_t *at = start; at < end; at += length) {
		struct outbuf out;

		outbuf_init(&out, text, sizeof(text));
		length = disasm(at, (size_t)(end - at), INSN_MODE_64, (uint64_t)at, &out);
		length = MAX(length, 1);
		all++;
		if (hits[entry_offset((uint64_t)at)])
			hit++;
		else
			used += format(missing + used, sizeof(missing) - used, "%s %.*s",
				       used ? "," : "", (int)out.length, text);
	}
	log_info("fault=nmis: before %u of %u instructions of %s%s%s", hit, all, name,
		 hit < all ? "; not:" : "", missing);
}

static void report(void)
{
	uint64_t all = 0, in_guest = 0, in_entry = 0, idle = 0, again = 0, astray = 0;

	for (unsigned id = 0; id < pcpu_count(); id++) {
		all += taken(id);
		again += counts[id].again;
		in_guest += counts[id].in_guest;
		in_entry += counts[id].in_entry;
		idle += counts[id].idle;
		astray += counts[id].astray;
	}
	log_info("fault=nmis: %lu sent, %lu more at an NMI's end, %lu taken, %lu lost, %lu on "
		 "a wrong stack: %lu in a guest, %lu in vmx/entry.asm, %lu idle",
		 sent, again, all, lost, astray, in_guest, in_entry, idle);
	report_place("vmx_enter", (const uint8_t *)vmx_enter, vmx_exit);
	report_place("vmx_exit", vmx_exit, vmx_exit_guarded);
	report_place("vmx_exit_guarded", vmx_exit_guarded, vmx_entry_end);
}

/* Waits without a word to the other core, but answers it. */
static void wait_for(struct pcpu *self, unsigned id, uint64_t mine)
{
	uint64_t start = rdtsc();

	while (taken(id) != expected(id, mine)) {
		self->heartbeat++;
		smp_serve_calls();
		cpu_pause();
		if (rdtsc() - start > machine_host()->hz / LOST_HZ) {
			lost++;
			return;
		}
	}
}

_Noreturn void nmis_send(struct pcpu *self)
{
	uint64_t mine[PCPU_MAX] = {0}, random = 1;

	for (unsigned id = 0;; id = (id + 1) % self->id) {
		/* Knuth, 'The Art of Computer Programming' volume 2, 3.3.4. */
		random = random * 6364136223846793005ULL + 1442695040888963407ULL;
		for (uint64_t pauses = random >> 33 & DELAY_MAX; pauses; pauses--)
			cpu_pause();
		sent++;
		mine[id]++;
		lapic_send_nmi(pcpu_of(id)->apic_id);
		wait_for(self, id, mine[id]);
		if (sent - reported >= REPORT_EACH) {
			reported = sent;
			report();
		}
	}
}
