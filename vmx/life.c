/* SPDX-License-Identifier: MIT */
/* The life of the VMs. */
#include "vmx/life.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/uart.h"
#include "lib/log.h"
#include "lib/string.h"
#include "vmx/board.h"
#include "vmx/caps.h"
#include "vmx/core.h"
#include "vmx/vmcs.h"

static struct {
	struct life_config config;
	struct life vm[CONFIG_VMS_MAX];
	unsigned vms;
	unsigned alive;	 /* RUNNING or PAUSED */
	unsigned passed; /* of those judged */
	bool told;	 /* that all have ended */
} life;

/* --- Memory of our own for a VM --- */

static void *alloc_pages(uint64_t size)
{
	struct frames *frames = life.config.host->frames;
	uint64_t page = frames_alloc(frames, align_up(size, PAGE_SIZE), PAGE_SIZE, UINT64_MAX);

	return page == FRAMES_NONE ? NULL : memset((void *)page, 0, align_up(size, PAGE_SIZE));
}

static void free_pages(void *pages, uint64_t size)
{
	if (pages)
		frames_free(life.config.host->frames, (uint64_t)pages, align_up(size, PAGE_SIZE));
}

/* --- Making --- */

static struct cpuid_regs host_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r = cpuid(leaf, subleaf);

	return (struct cpuid_regs){.eax = r.eax, .ebx = r.ebx, .ecx = r.ecx, .edx = r.edx};
}

static bool make_vm(struct life *l, struct error *error)
{
	const struct vm_host *host = life.config.host;
	const struct cpuid_policy policy = {
		.host = host_cpuid,
		.tsc_hz = host->hz,
		.apic_timer_hz = VLAPIC_TIMER_HZ,
		.cpus = l->config->cpus,
		.rdtscp = vmx_has(CONTROL_PROC2, PROC2_RDTSCP),
		.invpcid = vmx_has(CONTROL_PROC2, PROC2_INVPCID),
	};

	l->vm = alloc_pages(sizeof(*l->vm));
	if (!l->vm)
		return error_set(error, "no memory left for it");
	if (vm_create(l->vm, l->config, host, &policy, life.vms > 1, rdtsc(), error))
		return true;
	free_pages(l->vm, sizeof(*l->vm));
	l->vm = NULL;
	return false;
}

static void unmake_vcpus(struct life *l, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		vmx_vcpu_destroy(l->vcpu[i]);
		free_pages(l->vcpu[i], sizeof(*l->vcpu[i]));
	}
}

static bool make_vcpus(struct life *l, struct error *error)
{
	for (unsigned i = 0; i < l->config->cpus; i++) {
		struct vmx_vcpu *v = alloc_pages(sizeof(*v));

		if (v && vmx_vcpu_create(v, l->vm, i, error)) {
			l->vcpu[i] = v;
			continue;
		}
		if (!v)
			error_set(error, "no memory left for its vCPUs");
		free_pages(v, sizeof(*v));
		unmake_vcpus(l, i);
		return false;
	}
	return true;
}

static void unmake(struct life *l)
{
	board_stop(l->vm);
	unmake_vcpus(l, l->config->cpus);
	/* No core may keep translations of page tables whose pages become others'. */
	life.config.host->invalidate_ept(NULL, ept_pointer(&l->vm->ept));
	vm_destroy(l->vm);
	free_pages(l->vm, sizeof(*l->vm));
	l->vm = NULL;
}

/* --- Beginning and end --- */

static void judge(struct life *l, enum verdict verdict, const char *why)
{
	log_error("verdict %s %s %s", l->config->name, verdict_name(verdict), why);
	l->verdict = verdict;
	if (verdict == VERDICT_PASS)
		life.passed++;
}

static void refuse(struct life *l, const struct error *error)
{
	l->state = LIFE_REFUSED;
	judge(l, VERDICT_FAIL, error->text);
}

static void start(struct life *l)
{
	const struct vm_config *config = l->config;
	struct error error;

	if (config->refused) {
		refuse(l, &config->error);
		return;
	}
	if (!make_vm(l, &error)) {
		refuse(l, &error);
		return;
	}
	if (!make_vcpus(l, &error)) {
		vm_destroy(l->vm);
		free_pages(l->vm, sizeof(*l->vm));
		l->vm = NULL;
		refuse(l, &error);
		return;
	}
	log_info("VM %s: %luM, %u CPU%s, first entry after %lu k ticks", config->name,
		 config->memory / MIB, config->cpus, config->cpus > 1 ? "s" : "",
		 (rdtsc() - life.config.boot_tsc) / 1000);
	core_group_init(&l->group, config->weight, config->cap);
	for (unsigned i = 0; i < config->cpus; i++)
		core_add(l->vcpu[i], &l->group, config->pin);
	l->state = LIFE_RUNNING;
	life.alive++;
	board_arm(l->vm);
	core_kick(&l->vcpu[0]->vcpu);
}

/* Whether all vCPUs are out of the cores' hands. */
static bool put_away(struct life *l)
{
	bool all = true;

	for (unsigned i = 0; i < l->config->cpus; i++)
		all &= core_put_away(l->vcpu[i]);
	return all;
}

static void finish(struct life *l)
{
	console_break_line(&l->vm->console);
	memcpy(l->why, l->vm->why, sizeof(l->why));
	judge(l, l->vm->verdict, l->why);
	unmake(l);
	l->state = LIFE_ENDED;
	life.alive--;
}

/* Starts what is to be started now. */
static void start_waiting(void)
{
	for (unsigned i = 0; i < life.vms; i++) {
		if (life.config.in_turn && life.alive)
			return;
		if (life.vm[i].state == LIFE_WAITING)
			start(&life.vm[i]);
	}
}

void life_init(const struct life_config *config)
{
	life.config = *config;
	life.vms = config->config->vms;
	for (unsigned i = 0; i < life.vms; i++)
		life.vm[i] = (struct life){.config = &config->config->vm[i], .state = LIFE_WAITING};
	start_waiting();
}

#define CONSOLE_POLL_HZ 2000

static uint64_t feed_console(struct vm *vm, uint64_t now)
{
	int byte;

	while (pc_can_receive(&vm->pc) && (byte = uart_get()) >= 0)
		pc_receive(&vm->pc, (uint8_t)byte, now - vm->tsc_base);
	pc_tx_ready(&vm->pc, now - vm->tsc_base);
	board_arm(vm);
	return uart_waiting() || vm->pc.com1.tx.used ? now + vm->host->hz / CONSOLE_POLL_HZ
						     : UINT64_MAX;
}

uint64_t life_housekeeping(uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < life.vms; i++) {
		struct life *l = &life.vm[i];
		struct vm *vm = l->vm;

		if (l->state != LIFE_RUNNING)
			continue;
		vm_check_progress(vm, now - vm->tsc_base);
		next = MIN(next, feed_console(vm, now));
		if (vm->verdict != VERDICT_NONE && put_away(l))
			finish(l);
		else if (vm->config->timeout)
			next = MIN(next, vm_progress_deadline(vm) + vm->tsc_base);
	}
	start_waiting();
	if (!life.alive && !life.told) {
		life.told = true;
		life.config.all_ended(life.passed,
				      life.vms - life.passed + life.config.config->complaints);
	}
	return next;
}
