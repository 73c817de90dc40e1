/* SPDX-License-Identifier: MIT */
/* Panic: cause, place, registers and a backtrace with symbols, then all CPUs stop. */
#include "arch/x86_64/panic.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "arch/x86_64/backtrace.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/machine_check.h"
#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/screen.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/uart.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/x86.h"

/* Tens of milliseconds on a CPU of today. */
#define MACHINE_CHECK_TICKS 100000000

static const char *const exception_names[] = {
	"#DE divide error",
	"#DB debug",
	"NMI",
	"#BP breakpoint",
	"#OF overflow",
	"#BR bound range",
	"#UD invalid opcode",
	"#NM no FPU",
	"#DF double fault",
	"coprocessor overrun",
	"#TS invalid TSS",
	"#NP segment not present",
	"#SS stack fault",
	"#GP general protection",
	"#PF page fault",
	"reserved",
	"#MF x87 error",
	"#AC alignment",
	"", /* #MC: panic_machine_check */
	"#XM SIMD error",
	"#VE virtualization",
	"#CP control protection",
};

static void print_backtrace(struct backtrace_at at)
{
	struct backtrace trace;

	backtrace_take(&trace, pcpu_self(), at);
	backtrace_print(&trace);
}

static void print_control_registers(void)
{
	log_error("  cr0 %016lx cr2 %016lx cr3 %016lx cr4 %016lx", read_cr0(), read_cr2(),
		  read_cr3(), read_cr4());
}

static void print_registers(const struct trap_frame *f)
{
	log_error("  rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
	log_error("  rsi %016lx rdi %016lx rbp %016lx rsp %016lx", f->rsi, f->rdi, f->rbp, f->rsp);
	log_error("  r8  %016lx r9  %016lx r10 %016lx r11 %016lx", f->r8, f->r9, f->r10, f->r11);
	log_error("  r12 %016lx r13 %016lx r14 %016lx r15 %016lx", f->r12, f->r13, f->r14, f->r15);
	log_error("  cs %04lx ss %04lx rflags %016lx", f->cs, f->ss, f->rflags);
}

/*
 * One core panics, and the others stop before it says a word. A fault while panicking must not
 * start over; a core that panics meanwhile counts as stopped.
 */
static void enter_panic(void)
{
	static struct pcpu *panicking;
	struct pcpu *self = pcpu_self(), *nobody = NULL;

	irq_disable();
	if (!__atomic_compare_exchange_n(&panicking, &nobody, self, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&self->stopped, true, __ATOMIC_RELEASE);
		cpu_halt_forever();
	}
	smp_stop_others();
	/* A stopped core may hold them. */
	screen_break_lock();
	uart_break_lock();
	uart_set_synchronous();
	log_panic();
}

_Noreturn void panic_machine_check(const struct trap_frame *frame, const char *when, const char *vm)
{
	machine_check_note();
	/* CPUs broadcast it, one after the other: whose banks have more to say takes it as well. */
	for (uint64_t start = rdtsc(); rdtsc() - start < MACHINE_CHECK_TICKS;)
		cpu_pause();
	enter_panic();
	log_error("panic: CPU %u: machine check %s%s", pcpu_self()->id, when, vm);
	machine_check_print();
	if (frame) {
		backtrace_print_address("  at", frame->rip);
		print_backtrace((struct backtrace_at){frame->rip, frame->rsp, frame->rbp});
	}
	log_error("panic: a CPU, memory or a bus of this machine has failed; no bug in Socle");
	cpu_halt_forever();
}

/* Of GCC and clang: functions with arrays compare it before they return. */
_Noreturn __attribute__((used)) void __stack_chk_fail(void)
{
	struct backtrace_at here;

	enter_panic();
	log_error("panic: CPU %u: a function wrote past an array of its own", pcpu_self()->id);
	backtrace_print_address("  in", (uint64_t)__builtin_return_address(0));
	BACKTRACE_HERE(&here);
	print_backtrace(here);
	log_error("panic: this is a bug in Socle; please report the lines above");
	cpu_halt_forever();
}

static void (*explainer)(const struct trap_frame *frame);

void panic_set_explainer(void (*explain)(const struct trap_frame *frame))
{
	explainer = explain;
}

_Noreturn void panic_trap(const struct trap_frame *frame)
{
	const char *name = frame->vector < ARRAY_SIZE(exception_names)
				   ? exception_names[frame->vector]
				   : "exception";
	const char *stack = pcpu_full_stack(pcpu_self(), read_cr2());

	if (frame->vector == VECTOR_MC)
		panic_machine_check(frame, "in Socle", "");
	enter_panic();
	log_error("panic: CPU %u: %s, vector %lu, error code 0x%lx", pcpu_self()->id, name,
		  frame->vector, frame->error_code);
	if (stack && (frame->vector == VECTOR_PF || frame->vector == VECTOR_DF))
		log_error("panic: CPU %u: its %s stack is full", pcpu_self()->id, stack);
	if (explainer)
		explainer(frame);
	backtrace_print_address("  at", frame->rip);
	print_registers(frame);
	print_control_registers();
	print_backtrace((struct backtrace_at){frame->rip, frame->rsp, frame->rbp});
	log_error("panic: this is a bug in Socle; please report the lines above");
	cpu_halt_forever();
}

_Noreturn void panic_at(const char *file, int line, const char *fmt, ...)
{
	char text[256];
	struct backtrace_at here;
	va_list args;

	BACKTRACE_HERE(&here);
	enter_panic();
	va_start(args, fmt);
	vformat(text, sizeof(text), fmt, args);
	va_end(args);
	log_error("panic: CPU %u: %s:%d: %s", pcpu_self()->id, file, line, text);
	print_control_registers();
	print_backtrace(here);
	log_error("panic: this is a bug in Socle; please report the lines above");
	cpu_halt_forever();
}
