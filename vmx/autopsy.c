/* SPDX-License-Identifier: MIT */
/* Gathers what vm/postmortem.h reports. */
#include "vmx/autopsy.h"

#include "lib/log.h"
#include "vm/postmortem.h"
#include "vmx/exit.h"
#include "vmx/registers.h"

static enum monitor_memory read_memory(void *ctx, unsigned vm, uint64_t gpa, void *to,
				       size_t length)
{
	const struct life *l = ctx;

	(void)vm;
	return inspect_memory(&l->vm->memory, gpa, to, length);
}

static bool read_exit(void *ctx, unsigned back, struct postmortem_exit *exit)
{
	const struct vmx_vcpu *v = ctx;
	uint8_t index = (uint8_t)(v->recorder.next - 1 - back);
	uint64_t all = 0;

	for (unsigned reason = 0; reason < EXIT_REASONS; reason++)
		all += v->exits[reason].count;
	if (back >= all)
		return false;
	exit->name = exit_name(v->recorder.reason[index]);
	exit->rip = v->recorder.rip[index];
	return true;
}

static void write_line(const char *text)
{
	log_error("%s", text);
}

static void report(const struct life *l, struct vmx_vcpu *v, const struct monitor_regs *regs)
{
	const struct vm_config *config = l->config;
	const struct config_file *file = config->symbols.data ? &config->symbols : &config->kernel;
	struct symbols symbols;
	const struct inspect_reader reader = {.read = read_memory, .ctx = (void *)l};
	const struct postmortem pm = {
		.regs = regs,
		.reader = &reader,
		.symbols = &symbols,
		.exceptions = v->recorder.exception,
		.exceptions_count = v->recorder.exceptions,
		.shutdown = v->replay.on,
		.exit = read_exit,
		.ctx = v,
		.exits = RECORDER_SHOWN,
		.line = write_line,
	};

	symbols_init(&symbols, file->data, file->size);
	postmortem_report(&pm);
}

/* Who ended the VM; else, of one that hangs, the first that still ran. */
static unsigned find_dead(const struct life *l)
{
	for (unsigned i = 0; i < l->config->cpus; i++)
		if (l->vcpu[i]->stopped)
			return i;
	for (unsigned i = 0; i < l->config->cpus; i++)
		if (l->vcpu[i]->vcpu.activity == VCPU_ACTIVE)
			return i;
	return 0;
}

void autopsy(const struct life *l)
{
	unsigned dead = find_dead(l);

	for (unsigned i = 0; i < l->config->cpus; i++) {
		struct monitor_regs regs = {0};

		if (!registers_read(l->vcpu[i], &regs))
			continue;
		log_error("VM %s: vCPU %u in %s, %s, at rip 0x%lx", l->config->name, i, regs.mode,
			  regs.activity, regs.rip);
		if (i == dead)
			report(l, l->vcpu[i], &regs);
	}
}
