/* SPDX-License-Identifier: MIT */
/* Socle from its first C line to its last: what happens, in order. */
#include "boot/kmain.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/pcpu.h"
#include "boot/bootinfo.h"
#include "boot/fault.h"
#include "boot/machine.h"
#include "boot/options.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/string.h"
#include "vm/config.h"
#include "vm/vm.h"
#include "vmx/caps.h"
#include "vmx/vmcs.h"
#include "vmx/vmx_vcpu.h"

static struct bootinfo info;
static struct options options;
static struct config config;
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

static void free_pages(void *pages, uint64_t size)
{
	if (pages)
		frames_free(machine_host()->frames, (uint64_t)pages, align_up(size, PAGE_SIZE));
}

static void invalidate_ept(void *ctx, uint64_t eptp)
{
	(void)ctx;
	if (vmx_caps()->invept_single)
		vmx_invept(INVEPT_SINGLE, eptp);
	else
		vmx_invept(INVEPT_ALL, 0);
}

static struct cpuid_regs host_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r = cpuid(leaf, subleaf);

	return (struct cpuid_regs){.eax = r.eax, .ebx = r.ebx, .ecx = r.ecx, .edx = r.edx};
}

static void start_vmx(void)
{
	struct vm_host *host = machine_host();
	struct error error;
	void *region;

	if (!vmx_caps_init(options.without, &error))
		fail(&error);
	vmx_caps_report();
	region = alloc_pages(PAGE_SIZE);
	if (!region || !vmx_vcpu_init_shared(host->frames)) {
		error_set(&error, "no memory for VMXON: the machine has too little");
		fail(&error);
	}
	if (!vmx_enable((uint64_t)region, &error))
		fail(&error);
	boot_pcpu.vmxon_region = (uint64_t)region;
	host->largest_ept_level = vmx_caps()->ept_largest_level;
	host->ept_dirty_flags = vmx_caps()->ept_dirty_flags;
	host->invalidate_ept = invalidate_ept;
}

static void read_config(void)
{
	for (unsigned i = 0; i < info.modules; i++)
		modules[i] = (struct config_module){
			.text = info.module[i].cmdline,
			.text_max = strlen(info.module[i].cmdline),
			.data = (const uint8_t *)info.module[i].start,
			.size = info.module[i].end - info.module[i].start,
		};
	config_parse(&config, modules, info.modules, vm_memory_available(machine_host()), 1);
	for (unsigned i = 0; i < config.complaints; i++)
		log_error("%s", config.complaint[i].text);
	if (!config.vms && !config.complaints)
		log_error("no module describes a VM: want 'module2 FILE kernel NAME ...' in "
			  "grub.cfg");
}

/* Makes the VM and runs it to its end. False: it could not start. */
static bool run_vm(struct vm *vm, struct vmx_vcpu *v, const struct vm_config *vm_config,
		   struct error *error)
{
	struct vm_host *host = machine_host();
	struct cpuid_policy policy = {
		.host = host_cpuid,
		.tsc_hz = host->hz,
		.apic_timer_hz = VLAPIC_TIMER_HZ,
		.cpus = vm_config->cpus,
		.rdtscp = vmx_has(CONTROL_PROC2, PROC2_RDTSCP),
		.invpcid = vmx_has(CONTROL_PROC2, PROC2_INVPCID),
	};

	if (vm_config->refused) {
		*error = vm_config->error;
		return false;
	}
	if (!vm_create(vm, vm_config, host, &policy, config.vms > 1, rdtsc(), error))
		return false;
	if (!vmx_vcpu_create(v, vm, 0, error)) {
		vm_destroy(vm);
		return false;
	}
	log_info("VM %s: %luM, %u CPU%s, first entry after %lu k ticks", vm_config->name,
		 vm_config->memory / MIB, vm_config->cpus, vm_config->cpus > 1 ? "s" : "",
		 (rdtsc() - boot_tsc) / 1000);
	vmx_vcpu_run(v);
	console_break_line(&vm->console);
	vmx_vcpu_destroy(v);
	vm_destroy(vm);
	return true;
}

/* Runs the VM and says how it ended; whether it passed. */
static bool judge_vm(const struct vm_config *vm_config)
{
	struct vmx_vcpu *v = alloc_pages(sizeof(*v));
	struct vm *vm = alloc_pages(sizeof(*vm));
	struct error error;
	bool passed = false;

	if (!v || !vm)
		log_error("verdict %s FAIL no memory left for it", vm_config->name);
	else if (!run_vm(vm, v, vm_config, &error))
		log_error("verdict %s FAIL %s", vm_config->name, error.text);
	else {
		log_error("verdict %s %s %s", vm_config->name, verdict_name(vm->verdict), vm->why);
		passed = vm->verdict == VERDICT_PASS;
	}
	free_pages(vm, sizeof(*vm));
	free_pages(v, sizeof(*v));
	return passed;
}

_Noreturn void kmain(uint32_t boot_information)
{
	unsigned passed = 0;
	struct error error, option_error;
	bool options_ok;

	machine_init_console();
	pcpu_init_boot();
	if (!bootinfo_parse(&info, (void *)(uint64_t)boot_information, BOOT_SIZE_MAX,
			    boot_information, &error))
		fail(&error);
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
	for (unsigned i = 0; i < config.vms; i++)
		passed += judge_vm(&config.vm[i]);
	log_error("%u passed, %u failed", passed, config.vms - passed + config.complaints);
	machine_end(options.at_end);
}
