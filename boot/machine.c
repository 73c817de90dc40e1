/* SPDX-License-Identifier: MIT */
/* Setting up the machine. */
#include "boot/machine.h"

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/lapic.h"
#include "arch/x86_64/machine_check.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/ps2kbd.h"
#include "arch/x86_64/screen.h"
#include "arch/x86_64/smp.h"
#include "arch/x86_64/traps.h"
#include "arch/x86_64/uart.h"
#include "boot/low_page.h"
#include "lib/log.h"
#include "lib/mtrr.h"
#include "lib/panic.h"
#include "lib/string.h"
#include "lib/x86.h"
#include "vmx/console.h"

#define LOW_MEMORY	  MIB
#define VGA_START	  0xA0000
#define VGA_END		  0xC0000
#define MTRRCAP_VCNT(cap) bits_get(cap, 7, 0)
#define CPUID_1_EDX_MTRR  BIT(12)
#define BDA_EBDA_SEGMENT  0x40E
#define FAULT_TSC_ERROR	  1000000
#define CANONICAL_LIMIT	  BIT(46) /* the identity map lies in the lower half */

extern const uint8_t image_start[], text_end[], rodata_end[], image_end[];

static struct frames frames;
static struct frames pool; /* as `frames` was before anything was taken */
static struct mtrr mtrr;
static struct vm_host host;
static uint64_t low_page;

static void log_to_uart(const char *text, size_t length)
{
	if (console_leave_line())
		uart_sink("\n", 1);
	uart_sink(text, length);
}

void machine_init_console(void)
{
	if (uart_init())
		log_add_sink(log_to_uart);
}

/* GRUB's map may have entries that overlap; what is not available anywhere counts. */
static void find_memory(const struct bootinfo *info)
{
	for (unsigned i = 0; i < info->memories; i++)
		if (info->memory[i].available)
			frames_add(&frames, info->memory[i].start,
				   MIN(info->memory[i].end, CANONICAL_LIMIT));
	for (unsigned i = 0; i < info->memories; i++)
		if (!info->memory[i].available)
			frames_remove(&frames, info->memory[i].start, info->memory[i].end);
}

static void keep_ours(const struct bootinfo *info)
{
	frames_remove(&frames, 0, LOW_MEMORY);
	frames_remove(&frames, (uint64_t)image_start, (uint64_t)image_end);
	frames_remove(&frames, info->start, info->end);
	for (unsigned i = 0; i < info->modules; i++)
		frames_remove(&frames, info->module[i].start, info->module[i].end);
}

static bool map_memory(const struct bootinfo *info)
{
	bool ok = true;

	for (unsigned i = 0; i < info->memories; i++)
		if (info->memory[i].available)
			ok &= paging_set(info->memory[i].start,
					 MIN(info->memory[i].end, CANONICAL_LIMIT), PAGING_RW);
	ok &= paging_set(VGA_START, VGA_END, PAGING_DEVICE);
	ok &= paging_set((uint64_t)image_start, (uint64_t)text_end, PAGING_RX);
	ok &= paging_set((uint64_t)text_end, (uint64_t)rodata_end, PAGING_RO);
	ok &= paging_set((uint64_t)rodata_end, (uint64_t)image_end, PAGING_RW);
	ok &= paging_set(0, PAGE_SIZE, PAGING_NONE);
	return ok && pcpu_guard_stacks(pcpu_self());
}

static void read_mtrrs(void)
{
	if (!(cpuid(1, 0).edx & CPUID_1_EDX_MTRR))
		return;
	mtrr.def_type = rdmsr(MSR_MTRR_DEF_TYPE);
	mtrr.count = (unsigned)MIN(MTRRCAP_VCNT(rdmsr(MSR_MTRRCAP)), MTRR_VARIABLE_MAX);
	for (unsigned i = 0; i < mtrr.count; i++) {
		mtrr.variable[i].base = rdmsr(MSR_MTRR_PHYSBASE0 + 2 * i);
		mtrr.variable[i].mask = rdmsr(MSR_MTRR_PHYSBASE0 + 2 * i + 1);
	}
}

static enum memory_type memory_type(uint64_t start, uint64_t end)
{
	return mtrr_type(&mtrr, start, end);
}

/* In assembly because C has no objects in page 0. */
static uint16_t ebda_segment(void)
{
	uint16_t segment;

	__asm__ volatile("movw %c1, %0" : "=r"(segment) : "i"(BDA_EBDA_SEGMENT));
	return segment;
}

bool machine_init_memory(const struct bootinfo *info, struct error *error)
{
	/* The last look at page 0. */
	low_page = low_page_find(info, ebda_segment());
	find_memory(info);
	keep_ours(info);
	pool = frames;
	paging_init(&frames);
	if (!map_memory(info))
		return error_set(error,
				 "no memory for Socle's own page tables: the memory map has "
				 "%luM available",
				 frames_total(&frames) / MIB);
	paging_activate();
	fpu_init();
	read_mtrrs();
	log_debug("memory: %luM free in %u ranges", frames_total(&frames) / MIB, frames.count);
	return true;
}

void machine_init_screen(const struct boot_framebuffer *fb)
{
	const struct screen_pixel pixel = {
		.bits = fb->depth,
		.red_shift = fb->red_shift,
		.red_size = fb->red_size,
		.green_shift = fb->green_shift,
		.green_size = fb->green_size,
		.blue_shift = fb->blue_shift,
		.blue_size = fb->blue_size,
	};
	uint64_t size = (uint64_t)fb->pitch * fb->height;
	bool ok = false;

	if (fb->kind == BOOT_SCREEN_NONE || !paging_map_device(fb->address, size))
		return;
	if (fb->kind == BOOT_SCREEN_TEXT)
		ok = screen_init_text(fb->address, fb->pitch, fb->width, fb->height);
	else
		ok = screen_init_pixels(fb->address, fb->pitch, fb->width, fb->height, &pixel);
	if (ok)
		log_add_sink(screen_sink);
}

/* The console's bytes come by interrupt; where no IOAPIC can deliver it they go out one by one. */
static void init_console_interrupt(void)
{
	traps_set_irq(VECTOR_UART, uart_irq);
	if (ioapic_route_isa(UART_ISA_IRQ, VECTOR_UART, lapic_id()))
		uart_set_queued();
	else
		log_warn("console: no IOAPIC routes ISA IRQ %u: no input from the serial line",
			 UART_ISA_IRQ);
}

static void init_keyboard(void)
{
	traps_set_irq(VECTOR_KEYBOARD, ps2kbd_irq);
	if (!ps2kbd_init())
		log_debug("console: no PS/2 keyboard controller");
	else if (!ioapic_route_isa(PS2KBD_ISA_IRQ, VECTOR_KEYBOARD, lapic_id()))
		log_debug("console: no IOAPIC routes ISA IRQ %u: no PS/2 keyboard", PS2KBD_ISA_IRQ);
}

void machine_init_devices(const struct bootinfo *info, const struct options *options)
{
	bool tsc_deadline = !options_without(options, "tsc-deadline");

	if (!info->have_rsdp || !acpi_init(info->rsdp, info->rsdp_size))
		log_warn("ACPI: no sound root table: no console input, no power-off");
	pic_disable();
	machine_check_init();
	if (!lapic_choose(!options_without(options, "x2apic")))
		panic("no memory to map the local APIC");
	lapic_init();
	boot_pcpu.apic_id = lapic_id();
	host = (struct vm_host){
		.frames = &frames,
		.pool = &pool,
		.memory_type = memory_type,
		.console_told = console_told,
		.hz = clock_init(),
		.epoch = clock_epoch(),
		.boot_tsc = rdtsc(),
	};
	lapic_timer_init(host.hz, tsc_deadline);
	init_console_interrupt();
	init_keyboard();
}

void machine_start_cores(const struct options *options)
{
	const struct smp_config config = {
		.trampoline = low_page,
		.hz = host.hz,
		.limit = options->cores,
		.without_tsc_adjust = options_without(options, "tsc-adjust"),
		.dead = options->fault == FAULT_DEAD || options->fault == FAULT_LATE ? 1 : 0,
		.late = options->fault == FAULT_LATE,
		.mtrr_error = options->fault == FAULT_MTRR,
		.tsc_error = options->fault == FAULT_TSC ? FAULT_TSC_ERROR : 0,
	};

	smp_start(&frames, &config);
}

struct vm_host *machine_host(void)
{
	return &host;
}

_Noreturn void machine_end(enum at_end at_end)
{
	uart_set_synchronous();
	uart_flush();
	if (at_end == AT_END_POWEROFF) {
		acpi_poweroff();
		log_error("power-off by ACPI did not work: switch the machine off by hand");
	} else if (at_end == AT_END_REBOOT) {
		acpi_reboot();
		log_error("reset did not work: reset the machine by hand");
	}
	uart_flush();
	cpu_halt_forever();
}
