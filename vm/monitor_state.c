/* SPDX-License-Identifier: MIT */
/* The monitor's commands that look inside a VM: registers, memory, page tables, devices. */
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "vm/inspect.h"
#include "vm/monitor_command.h"
#include "vm/screen.h"

#define ROW_BYTES  16
#define ROWS_STEP  16 /* of a dump at a time */
#define HEX_DIGITS "0123456789abcdef"

static const char *const gpr_names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
static const char *const segment_names[] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};

static const char *or_unknown(const char *text)
{
	return text ? text : "unknown";
}

static void regs_words(struct monitor *monitor, const struct monitor_regs *r)
{
	monitor_line(monitor, "%s, %s", or_unknown(r->mode), or_unknown(r->activity));
	monitor_line(monitor, "rip  %016lx rflags %016lx", r->rip, r->rflags);
	for (unsigned i = 0; i < 16; i += 4)
		monitor_line(monitor, "%-4s %016lx %-3s %016lx %-3s %016lx %-3s %016lx",
			     gpr_names[i], r->gpr[i], gpr_names[i + 1], r->gpr[i + 1],
			     gpr_names[i + 2], r->gpr[i + 2], gpr_names[i + 3], r->gpr[i + 3]);
	monitor_line(monitor, "cr0  %016lx cr2 %016lx cr3 %016lx cr4 %016lx", r->cr0, r->cr2,
		     r->cr3, r->cr4);
	monitor_line(monitor, "cr8  %lx efer %lx", r->cr8, r->efer);
	monitor_line(monitor, "dr0  %016lx dr1 %016lx dr2 %016lx dr3 %016lx", r->dr[0], r->dr[1],
		     r->dr[2], r->dr[3]);
	monitor_line(monitor, "dr6  %016lx dr7 %016lx", r->dr6, r->dr7);
	for (unsigned i = 0; i < MONITOR_SEGMENTS; i++)
		monitor_line(monitor, "%-4s %04x base %016lx limit %08x rights %05x",
			     segment_names[i], r->segment[i].selector, r->segment[i].base,
			     r->segment[i].limit, r->segment[i].rights);
	monitor_line(monitor, "gdtr base %016lx limit %04x", r->gdt_base, r->gdt_limit);
	monitor_line(monitor, "idtr base %016lx limit %04x", r->idt_base, r->idt_limit);
}

static void regs_json(struct monitor *monitor, const struct monitor_regs *r)
{
	struct json json = json_begin(&monitor->out);
	char name[16];

	json_string(&json, "mode", r->mode);
	json_string(&json, "activity", r->activity);
	json_hex(&json, "rip", r->rip);
	json_hex(&json, "rflags", r->rflags);
	for (unsigned i = 0; i < 16; i++)
		json_hex(&json, gpr_names[i], r->gpr[i]);
	json_hex(&json, "cr0", r->cr0);
	json_hex(&json, "cr2", r->cr2);
	json_hex(&json, "cr3", r->cr3);
	json_hex(&json, "cr4", r->cr4);
	json_hex(&json, "cr8", r->cr8);
	json_hex(&json, "efer", r->efer);
	for (unsigned i = 0; i < 4; i++) {
		format(name, sizeof(name), "dr%u", i);
		json_hex(&json, name, r->dr[i]);
	}
	json_hex(&json, "dr6", r->dr6);
	json_hex(&json, "dr7", r->dr7);
	for (unsigned i = 0; i < MONITOR_SEGMENTS; i++) {
		json_hex(&json, segment_names[i], r->segment[i].selector);
		format(name, sizeof(name), "%s_base", segment_names[i]);
		json_hex(&json, name, r->segment[i].base);
		format(name, sizeof(name), "%s_limit", segment_names[i]);
		json_hex(&json, name, r->segment[i].limit);
		format(name, sizeof(name), "%s_rights", segment_names[i]);
		json_hex(&json, name, r->segment[i].rights);
	}
	json_hex(&json, "gdt_base", r->gdt_base);
	json_hex(&json, "gdt_limit", r->gdt_limit);
	json_hex(&json, "idt_base", r->idt_base);
	json_hex(&json, "idt_limit", r->idt_limit);
	json_end(&json);
}

static bool get_regs(struct monitor *monitor, struct monitor_regs *regs)
{
	const struct monitor_run *run = &monitor->run;
	struct error error = {""};

	memset(regs, 0, sizeof(*regs));
	if (monitor->ops->regs(monitor->ctx, run->vm, run->cpu, regs, &error))
		return true;
	return monitor_fail(monitor, "%s", error.text);
}

bool monitor_step_regs(struct monitor *monitor)
{
	struct monitor_regs regs;

	if (!get_regs(monitor, &regs))
		return false;
	if (monitor->run.json)
		regs_json(monitor, &regs);
	else
		regs_words(monitor, &regs);
	return false;
}

/* One line of a dump, which lies within 16 bytes of memory. */
static void mem_words(struct monitor *monitor, uint64_t gpa, const uint8_t *bytes, unsigned count)
{
	unsigned skip = gpa % ROW_BYTES;
	char text[96]; /* 17 of the address, 3 and 1 for each byte, 2 between */
	size_t at = format(text, sizeof(text), "%016lx ", gpa - skip);

	for (unsigned i = 0; i < ROW_BYTES; i++) {
		bool there = i >= skip && i < skip + count;
		uint8_t byte = there ? bytes[i - skip] : 0;

		text[at++] = ' ';
		text[at++] = there ? HEX_DIGITS[byte >> 4] : ' ';
		text[at++] = there ? HEX_DIGITS[byte & 15] : ' ';
	}
	text[at++] = ' ';
	text[at++] = ' ';
	for (unsigned i = 0; i < skip + count; i++) {
		uint8_t byte = i < skip ? ' ' : bytes[i - skip];

		text[at++] = byte >= ' ' && byte <= '~' ? (char)byte : '.';
	}
	outbuf_put(&monitor->out, text, at);
	outbuf_put(&monitor->out, "\r\n", 2);
}

static void mem_json(struct monitor *monitor, uint64_t gpa, const char *kind, const uint8_t *bytes,
		     unsigned count)
{
	struct json json = json_begin(&monitor->out);
	char text[2 * ROW_BYTES + 1];

	for (unsigned i = 0; i < count; i++)
		format(text + 2 * i, 3, "%02x", bytes[i]);
	json_hex(&json, "gpa", gpa);
	json_string(&json, "kind", kind);
	if (count)
		json_string(&json, "bytes", text);
	json_end(&json);
}

static void mem_row(struct monitor *monitor, uint64_t gpa, unsigned count)
{
	static const char *const kinds[] = {
		[MONITOR_RAM] = "ram",
		[MONITOR_UNTOUCHED] = "untouched",
		[MONITOR_NO_RAM] = "no ram",
	};
	struct monitor_run *run = &monitor->run;
	uint8_t bytes[ROW_BYTES];
	enum monitor_memory kind = monitor->ops->read(monitor->ctx, run->vm, gpa, bytes, count);
	bool same = run->part == (unsigned)kind + 1;

	run->part = (unsigned)kind + 1;
	if (kind == MONITOR_RAM && run->json)
		mem_json(monitor, gpa, kinds[kind], bytes, count);
	else if (kind == MONITOR_RAM)
		mem_words(monitor, gpa, bytes, count);
	else if (same)
		return; /* one line for all of them */
	else if (run->json)
		mem_json(monitor, gpa, kinds[kind], NULL, 0);
	else
		monitor_line(monitor, "%016lx  %s", gpa,
			     kind == MONITOR_UNTOUCHED ? "untouched from here: reads as zero"
						       : "no RAM from here");
}

bool monitor_step_mem(struct monitor *monitor)
{
	struct monitor_run *run = &monitor->run;

	for (unsigned i = 0; i < ROWS_STEP && run->length; i++) {
		unsigned count = (unsigned)MIN(ROW_BYTES - run->address % ROW_BYTES, run->length);

		mem_row(monitor, run->address, count);
		run->address += count;
		run->length -= count;
		if (!run->address)
			return false; /* the end of all addresses */
	}
	return run->length != 0;
}

/* run->length is the sum so far. */
bool monitor_step_writes(struct monitor *monitor)
{
	struct monitor_run *run = &monitor->run;
	struct error error;
	struct json json;
	uint64_t gpa, length;

	if (!run->row++) {
		run->length = 0;
		if (!monitor->ops->writes(monitor->ctx, run->vm, &error))
			return monitor_fail(monitor, "%s", error.text);
	}
	if (!monitor->ops->written(monitor->ctx, run->vm, &gpa, &length)) {
		if (!run->json)
			monitor_line(monitor, "%luK written", run->length / KIB);
		return false;
	}
	run->length += length;
	if (!run->json) {
		monitor_line(monitor, "%016lx..%016lx %9luK", gpa, gpa + length - 1, length / KIB);
		return true;
	}
	json = json_begin(&monitor->out);
	json_number(&json, "gpa", gpa);
	json_number(&json, "bytes", length);
	json_end(&json);
	return true;
}

bool monitor_step_walk(struct monitor *monitor)
{
	struct monitor_run *run = &monitor->run;
	struct inspect_reader reader = {monitor->ops->read, monitor->ctx, run->vm};
	struct monitor_regs regs;
	struct json json;
	uint64_t gpa;

	if (!get_regs(monitor, &regs))
		return false;
	if (!inspect_walk(&regs, &reader, run->address, run->json, &monitor->out, &gpa))
		return monitor_fail(monitor, "0x%lx is not mapped", run->address);
	if (!run->json) {
		monitor_line(monitor, "gpa   %016lx", gpa);
		return false;
	}
	json = json_begin(&monitor->out);
	json_hex(&json, "gva", run->address);
	json_hex(&json, "gpa", gpa);
	json_end(&json);
	return false;
}

static bool inspect(struct monitor *monitor, bool interrupts)
{
	struct monitor_run *run = &monitor->run;
	uint64_t now = 0;
	const struct pc *pc = monitor->ops->pc_borrow(monitor->ctx, run->vm, &now);
	bool more;

	if (!pc)
		return run->row ? false : monitor_fail(monitor, "it has no devices now");
	if (interrupts)
		more = inspect_interrupts(pc, run->row, run->json, &monitor->out);
	else
		more = inspect_devices(pc, now, run->row, run->json, &monitor->out);
	monitor->ops->pc_return(monitor->ctx, run->vm);
	run->row++;
	return more;
}

static void screen_head(struct monitor *monitor, const struct vvga_picture *picture,
			unsigned columns, unsigned rows)
{
	uint32_t ahead = picture->cells ? (picture->at - picture->start) % picture->cells : 0;
	struct json json;

	if (!monitor->run.json)
		return;
	json = json_begin(&monitor->out);
	json_bool(&json, "text", picture->text);
	json_number(&json, "columns", columns);
	json_number(&json, "rows", rows);
	json_bool(&json, "cursor", picture->cursor);
	json_number(&json, "cursor_row", picture->stride ? ahead / picture->stride : 0);
	json_number(&json, "cursor_column", picture->stride ? ahead % picture->stride : 0);
	json_end(&json);
}

/* A row a step. */
bool monitor_step_screen(struct monitor *monitor)
{
	struct monitor_run *run = &monitor->run;
	const struct inspect_reader reader = {monitor->ops->read, monitor->ctx, run->vm};
	struct vvga_picture picture;
	struct screen_row row;
	char text[SCREEN_TEXT];
	unsigned columns, rows;
	uint64_t now;
	const struct pc *pc = monitor->ops->pc_borrow(monitor->ctx, run->vm, &now);
	struct json json;

	if (!pc)
		return monitor_fail(monitor, "it does not run: it has no screen now");
	vvga_look(&pc->vga, &picture);
	monitor->ops->pc_return(monitor->ctx, run->vm);
	screen_size(&picture, &columns, &rows);
	if (!run->row)
		screen_head(monitor, &picture, columns, rows);
	screen_read_row(&picture, &reader, run->row, &row);
	screen_text(&row, columns, 0, text);
	if (run->json) {
		json = json_begin(&monitor->out);
		json_number(&json, "row", run->row);
		json_string(&json, "text", text);
		json_end(&json);
	} else {
		outbuf_put(&monitor->out, text, strlen(text));
		outbuf_put(&monitor->out, "\r\n", 2);
	}
	return ++run->row < rows;
}

bool monitor_step_devices(struct monitor *monitor)
{
	return inspect(monitor, false);
}

bool monitor_step_irqs(struct monitor *monitor)
{
	return inspect(monitor, true);
}
