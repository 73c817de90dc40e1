/* SPDX-License-Identifier: MIT */
/* Socle from its first C line to its last: what happens, in order. */
#include "boot/kmain.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/pcpu.h"
#include "arch/x86_64/smp.h"
#include "boot/bootinfo.h"
#include "boot/fault.h"
#include "boot/machine.h"
#include "boot/options.h"
#include "boot/own_names.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/string.h"
#include "vm/config.h"
#include "vm/vm.h"
#include "vmx/caps.h"
#include "vmx/console.h"
#include "vmx/core.h"
#include "vmx/defenses.h"
#include "vmx/entry_explain.h"
#include "vmx/govern.h"
#include "vmx/life.h"
#include "vmx/vmcs.h"
#include "vmx/vmx_vcpu.h"

static struct bootinfo info;
static struct options options;
static struct config config;
static bool ending;  /* the machine, once no VM runs any more */
static bool counted; /* the count of those that passed has been told */
static struct config_module modules[BOOT_MODULES_MAX];
extern const uint64_t boot_tsc; /* in start.asm */

/* Says why Socle cannot go on, and ends the machine: no VM has run. */
static _Noreturn void fail(const struct error *error)
{
	log_error("%s", error->text);
	log_error("0 passed, %u failed", info.modules ? MAX(config.vms, 1) : 0);
	machine_end(options.at_end);
}

static void *alloc_pages(uint64_t size)
{
	struct frames *frames = machine_host()->frames;
	uint64_t page = frames_alloc(frames, align_up(size, PAGE_SIZE), PAGE_SIZE, UINT64_MAX);

	return page == FRAMES_NONE ? NULL : memset((void *)page, 0, align_up(size, PAGE_SIZE));
}

static void invalidate_here(void *eptp)
{
	if (vmx_caps()->invept_single)
		vmx_invept(INVEPT_SINGLE, (uint64_t)eptp);
	else
		vmx_invept(INVEPT_ALL, 0);
}

static void invalidate_ept(void *ctx, uint64_t eptp)
{
	(void)ctx;
	smp_call_all(invalidate_here, (void *)eptp);
}

static void start_vmx(void)
{
	struct vm_host *host = machine_host();
	struct error error;
	void *region;

	if (!vmx_caps_init(options.without, &error))
		fail(&error);
	vmx_caps_report();
	defenses_init(options.mitigations);
	region = alloc_pages(PAGE_SIZE);
	if (!region || !vmx_vcpu_init_shared(host->frames)) {
		error_set(&error, "no memory for VMXON: the machine has too little");
		fail(&error);
	}
	if (!vmx_enable((uint64_t)region, &error))
		fail(&error);
	boot_pcpu.vmxon_region = (uint64_t)region;
	for (unsigned i = 1; i < pcpu_count(); i++)
		pcpu_of(i)->vmxon_region = (uint64_t)alloc_pages(PAGE_SIZE);
	host->largest_ept_level = vmx_caps()->ept_largest_level;
	host->ept_dirty_flags = vmx_caps()->ept_dirty_flags;
	host->write_logs = host->ept_dirty_flags && vmx_has(CONTROL_PROC2, PROC2_PML);
	host->invalidate_ept = invalidate_ept;
	host->apic_access_page = vmx_apic_access_page();
	host->kick = core_kick;
}

static void read_config(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < info.modules; i++)
		if (!own_names_are(&info.module[i]))
			modules[count++] = (struct config_module){
				.text = info.module[i].cmdline,
				.text_max = strlen(info.module[i].cmdline),
				.data = (const uint8_t *)info.module[i].start,
				.size = info.module[i].end - info.module[i].start,
			};
	config_parse(&config, modules, count, vm_memory_available(machine_host()), pcpu_count());
	for (unsigned i = 0; i < config.complaints; i++)
		log_error("%s", config.complaint[i].text);
	if (!config.vms && !config.complaints)
		log_error("no module describes a VM: want 'module2 FILE kernel NAME ...' in "
			  "grub.cfg");
}

/* With at-end=wait the console goes on, and somebody may start a VM again. */
static void all_ended(unsigned passed, unsigned failed)
{
	counted = true;
	if (options.at_end != AT_END_WAIT)
		console_end();
	log_error("%u passed, %u failed", passed, failed);
	if (options.at_end != AT_END_WAIT)
		machine_end(options.at_end);
	log_info("at-end=wait: Ctrl-A m opens the monitor");
}

/* Somebody at the monitor wants it: first all VMs end, then the machine does. */
static void end_all(bool reboot)
{
	struct error error;

	ending = true;
	options.at_end = reboot ? AT_END_REBOOT : AT_END_POWEROFF;
	for (unsigned i = 0; i < life_count(); i++)
		life_act(i, LIFE_STOP, &error);
}

static bool any_vm_runs(void)
{
	for (unsigned i = 0; i < life_count(); i++)
		if (life_get(i)->vm)
			return true;
	return false;
}

static uint64_t housekeeping(uint64_t now)
{
	/* What somebody wants of a VM by the console is done at once. */
	uint64_t console = console_housekeeping(now), life = life_housekeeping(now);

	if (ending && counted && !any_vm_runs()) {
		console_end();
		machine_end(options.at_end);
	}
	return MIN(console, life);
}

/* Another core, from the moment that it is wanted. */
static void run_core(struct pcpu *pcpu)
{
	struct error error;

	if (pcpu->vmxon_region && vmx_enable(pcpu->vmxon_region, &error)) {
		fault_run_core(pcpu);
		core_run(pcpu);
	}
	log_error("CPU %u: %s: it runs no VMs", pcpu->id,
		  pcpu->vmxon_region ? error.text : "no memory for VMXON");
	/* It answers the others, but never takes part in the scheduling. */
	pcpu->idle = true;
	for (;;)
		irq_enable_and_halt();
}

static void start_vms(void)
{
	const struct life_config life = {
		.config = &config,
		.host = machine_host(),
		.in_turn = options.in_turn,
		.repeat = options.repeat,
		.boot_tsc = boot_tsc,
		.all_ended = all_ended,
	};

	core_init(pcpu_count(), machine_host()->hz);
	entry_set_options(options.check_entries,
			  options.fault < FAULT_ENTRY_CONTROLS || options.fault > FAULT_ENTRY_GUEST
				  ? SPOIL_NONE
				  : options.fault - FAULT_ENTRY_CONTROLS + SPOIL_CONTROLS);
	console_init(govern_ops(machine_host(), end_all), config.vms, machine_host()->hz);
	core_set_housekeeping(housekeeping, life_look);
	smp_run_others(run_core);
	life_init(&life);
}

_Noreturn void kmain(uint32_t boot_information)
{
	struct error error, option_error;
	bool options_ok;

	machine_init_console();
	pcpu_init_boot();
	if (!bootinfo_parse(&info, (void *)(uint64_t)boot_information, BOOT_SIZE_MAX,
			    boot_information, &error))
		fail(&error);
	own_names_init(&info); /* for backtraces */
	options_ok = options_parse(&options, info.cmdline, &error);
	log_set_level(options.log);
	option_error = error;
	if (!machine_init_memory(&info, &error)) /* frames and page tables of our own */
		fail(&error);
	machine_init_screen(&info.framebuffer);
	log_info("Socle, a hypervisor for Intel VT-x");
	if (!options_ok)
		log_error("%s", option_error.text);
	machine_init_devices(&info, &options); /* ACPI, APIC, clock, console */
	machine_start_cores(&options);	       /* the other CPUs, which then wait */
	fault_run(&options);
	start_vmx();   /* capabilities, controls, VMXON */
	read_config(); /* which VMs the modules describe */
	start_vms();   /* all that start by themselves */
	core_run(&boot_pcpu);
}
