/* SPDX-License-Identifier: MIT */
/*
 * The devices of a VM in words.
 *
 * A local APIC belongs to the core that runs its vCPU: what is shown of it may be a moment old, and
 * messages that wait in its mailbox are not in its IRR yet.
 */
#include "vm/inspect.h"

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "vm/json.h"

#define PINS_PART	  12 /* of the IOAPIC in one part */
#define ENTRY_VECTOR	  BITS(7, 0)
#define ENTRY_LOGICAL	  BIT(11)
#define ENTRY_LOW	  BIT(13) /* polarity */
#define ENTRY_REMOTE_IRR  BIT(14)
#define ENTRY_LEVEL	  BIT(15)
#define ENTRY_MASKED	  BIT(16)
#define ENTRY_DESTINATION 56
#define SVR_ENABLED	  BIT(8)
#define VECTORS		  256

static void __attribute__((format(printf, 2, 3))) line(struct outbuf *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	outbuf_vprint(out, fmt, args);
	va_end(args);
	outbuf_put(out, "\r\n", 2);
}

static const char *yes(bool value, const char *word)
{
	return value ? word : "";
}

static void pit(const struct vpit *v, bool json, struct outbuf *out)
{
	for (unsigned i = 0; i < VPIT_COUNTERS; i++) {
		const struct vpit_counter *c = &v->counter[i];
		struct json j;

		if (!json) {
			line(out, "PIT %u: mode %u, reload %u, gate %s%s%s", i, c->mode, c->reload,
			     c->gate ? "high" : "low", c->loaded ? ", counts" : ", not loaded",
			     yes(c->paused, ", paused"));
			continue;
		}
		j = json_begin(out);
		json_string(&j, "device", "pit");
		json_number(&j, "counter", i);
		json_number(&j, "mode", c->mode);
		json_number(&j, "reload", c->reload);
		json_bool(&j, "gate", c->gate);
		json_bool(&j, "loaded", c->loaded);
		json_bool(&j, "paused", c->paused);
		json_end(&j);
	}
}

enum { RTC_SECONDS = 0, RTC_MINUTES = 2, RTC_HOURS = 4, RTC_A = 10, RTC_B, RTC_C, RTC_D };

static void rtc(const struct vrtc *v, bool json, struct outbuf *out)
{
	struct json j;

	if (!json) {
		line(out,
		     "RTC: registers %02x:%02x:%02x, A %02x, B %02x, C %02x, D %02x, index %02x%s",
		     v->ram[RTC_HOURS], v->ram[RTC_MINUTES], v->ram[RTC_SECONDS], v->ram[RTC_A],
		     v->ram[RTC_B], v->ram[RTC_C], v->ram[RTC_D], v->index, yes(v->irq, ", IRQ 8"));
		return;
	}
	j = json_begin(out);
	json_string(&j, "device", "rtc");
	json_hex(&j, "a", v->ram[RTC_A]);
	json_hex(&j, "b", v->ram[RTC_B]);
	json_hex(&j, "c", v->ram[RTC_C]);
	json_hex(&j, "d", v->ram[RTC_D]);
	json_bool(&j, "irq", v->irq);
	json_end(&j);
}

static void uart(const struct vuart *v, bool json, struct outbuf *out)
{
	struct json j;

	if (!json) {
		line(out,
		     "UART: IER %02x, FCR %02x, LCR %02x, MCR %02x, LSR %02x, MSR %02x, divisor %u",
		     v->ier, v->fcr, v->lcr, v->mcr, v->lsr, v->msr, v->divisor);
		line(out, "UART: %u bytes received, %u to send%s%s", v->rx.used, v->tx.used,
		     yes(v->thre_pending, ", THRE pending"), yes(v->irq, ", IRQ 4"));
		return;
	}
	j = json_begin(out);
	json_string(&j, "device", "uart");
	json_hex(&j, "ier", v->ier);
	json_hex(&j, "fcr", v->fcr);
	json_hex(&j, "lcr", v->lcr);
	json_hex(&j, "mcr", v->mcr);
	json_hex(&j, "lsr", v->lsr);
	json_hex(&j, "msr", v->msr);
	json_number(&j, "divisor", v->divisor);
	json_number(&j, "received", v->rx.used);
	json_number(&j, "to_send", v->tx.used);
	json_bool(&j, "irq", v->irq);
	json_end(&j);
}

static void i8042(const struct vi8042 *v, bool json, struct outbuf *out)
{
	struct json j;

	if (!json) {
		line(out, "i8042: command byte %02x, status %02x, output port %02x, port 92H %02x",
		     v->ram[0], v->status, v->output_port, v->port92);
		return;
	}
	j = json_begin(out);
	json_string(&j, "device", "i8042");
	json_hex(&j, "command_byte", v->ram[0]);
	json_hex(&j, "status", v->status);
	json_hex(&j, "output_port", v->output_port);
	json_hex(&j, "port92", v->port92);
	json_end(&j);
}

static void acpi(const struct vacpi *v, bool json, struct outbuf *out)
{
	struct json j;

	if (!json) {
		line(out, "ACPI: PM1 status %04x, enable %04x, control %04x, SCI %s", v->status,
		     v->enable, v->control, v->sci_level ? "high" : "low");
		return;
	}
	j = json_begin(out);
	json_string(&j, "device", "acpi");
	json_hex(&j, "status", v->status);
	json_hex(&j, "enable", v->enable);
	json_hex(&j, "control", v->control);
	json_bool(&j, "sci", v->sci_level);
	json_end(&j);
}

static void small_devices(const struct pc *pc, bool json, struct outbuf *out)
{
	struct json j;

	if (!json) {
		line(out, "PCI: configuration address %08x", pc->pci.address);
		line(out, "POST: last code %02x", pc->port.post);
		return;
	}
	j = json_begin(out);
	json_string(&j, "device", "pci");
	json_hex(&j, "address", pc->pci.address);
	json_end(&j);
	j = json_begin(out);
	json_string(&j, "device", "post");
	json_hex(&j, "code", pc->port.post);
	json_end(&j);
}

bool inspect_devices(const struct pc *pc, uint64_t now, unsigned part, bool json,
		     struct outbuf *out)
{
	struct json j;

	switch (part) {
	case 0:
		if (!json) {
			line(out, "time: tick %lu", now);
			return true;
		}
		j = json_begin(out);
		json_string(&j, "device", "clock");
		json_number(&j, "tick", now);
		json_end(&j);
		return true;
	case 1: pit(&pc->pit, json, out); return true;
	case 2: rtc(&pc->rtc, json, out); return true;
	case 3: uart(&pc->com1, json, out); return true;
	case 4: i8042(&pc->i8042, json, out); return true;
	case 5: acpi(&pc->acpi, json, out); return true;
	case 6: small_devices(pc, json, out); return true;
	default: return false;
	}
}

/* As the chip's IRR reads: an edge that rose and stays, or a level. */
static uint8_t pic_irr(const struct vpic_chip *chip)
{
	uint8_t level = chip->level_triggered ? 0xFF : chip->elcr;

	return chip->lines & (chip->edges | level);
}

static void pics(const struct vpic *v, bool json, struct outbuf *out)
{
	static const char *const names[] = {"master", "slave"};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		const struct vpic_chip *c = &v->chip[i];
		struct json j;

		if (!json) {
			line(out,
			     "8259 %-6s: IRR %02x, ISR %02x, IMR %02x, lines %02x, ELCR %02x, "
			     "vectors from %02x%s%s%s",
			     names[i], pic_irr(c), c->isr, c->imr, c->lines, c->elcr, c->vector,
			     yes(c->auto_eoi, ", auto EOI"), yes(c->special_mask, ", special mask"),
			     yes(!c->ready, ", not initialised"));
			continue;
		}
		j = json_begin(out);
		json_string(&j, "pic", names[i]);
		json_hex(&j, "irr", pic_irr(c));
		json_hex(&j, "isr", c->isr);
		json_hex(&j, "imr", c->imr);
		json_hex(&j, "lines", c->lines);
		json_hex(&j, "elcr", c->elcr);
		json_hex(&j, "vector", c->vector);
		json_bool(&j, "ready", c->ready);
		json_end(&j);
	}
}

static const char *delivery_name(uint64_t entry)
{
	static const char *const names[] = {"fixed", "lowest", "SMI",	   "reserved",
					    "NMI",   "INIT",   "start-up", "ExtINT"};

	return names[bits_get(entry, 10, 8)];
}

static void ioapic_pin(const struct vioapic *v, unsigned pin, bool json, struct outbuf *out)
{
	uint64_t entry = v->entry[pin];
	struct json j;

	if (!json) {
		line(out, "IOAPIC %2u: vector %02x, %-8s to %s %02x, %s, active %s%s%s%s", pin,
		     (unsigned)(entry & ENTRY_VECTOR), delivery_name(entry),
		     entry & ENTRY_LOGICAL ? "logical" : "physical",
		     (unsigned)(entry >> ENTRY_DESTINATION), entry & ENTRY_LEVEL ? "level" : "edge",
		     entry & ENTRY_LOW ? "low" : "high", yes(entry & ENTRY_MASKED, ", masked"),
		     yes(entry & ENTRY_REMOTE_IRR, ", remote IRR"),
		     yes(v->lines & BIT(pin), ", asserted"));
		return;
	}
	j = json_begin(out);
	json_number(&j, "ioapic_pin", pin);
	json_hex(&j, "entry", entry);
	json_number(&j, "vector", entry & ENTRY_VECTOR);
	json_string(&j, "delivery", delivery_name(entry));
	json_bool(&j, "logical", entry & ENTRY_LOGICAL);
	json_number(&j, "destination", entry >> ENTRY_DESTINATION);
	json_bool(&j, "level", entry & ENTRY_LEVEL);
	json_bool(&j, "masked", entry & ENTRY_MASKED);
	json_bool(&j, "remote_irr", entry & ENTRY_REMOTE_IRR);
	json_bool(&j, "asserted", v->lines & BIT(pin));
	json_end(&j);
}

static uint32_t apic_reg(const struct vlapic *v, unsigned reg)
{
	uint32_t value;

	memcpy(&value, v->page + reg, sizeof(value));
	return value;
}

/* IRR, ISR and TMR are 256 bits, in eight registers 16 bytes apart. */
static bool vector_set(const struct vlapic *v, unsigned reg, unsigned vector)
{
	return apic_reg(v, reg + vector / 32 * 16) & BIT(vector % 32);
}

static void vectors_words(const struct vlapic *v, unsigned reg, const char *name,
			  struct outbuf *out)
{
	bool any = false;

	outbuf_print(out, "  %s", name);
	for (unsigned i = 0; i < VECTORS; i++) {
		if (!vector_set(v, reg, i))
			continue;
		outbuf_print(out, " %02x", i);
		any = true;
	}
	line(out, "%s", any ? "" : " none");
}

static void vectors_json(struct json *json, const struct vlapic *v, unsigned reg, const char *key)
{
	json_array_begin(json, key);
	for (unsigned i = 0; i < VECTORS; i++)
		if (vector_set(v, reg, i))
			json_number(json, NULL, i);
	json_array_end(json);
}

static const struct {
	const char *name;
	unsigned reg;
} lvts[] = {
	{"timer", VLAPIC_LVT_TIMER}, {"thermal", VLAPIC_LVT_THERMAL}, {"perf", VLAPIC_LVT_PERF},
	{"lint0", VLAPIC_LVT_LINT0}, {"lint1", VLAPIC_LVT_LINT1},     {"error", VLAPIC_LVT_ERROR},
};

static const char *apic_mode(const struct vlapic *v)
{
	if (!vlapic_enabled(v))
		return "disabled";
	return vlapic_x2apic(v) ? "x2APIC" : "xAPIC";
}

static void apic_words(const struct vlapic *v, unsigned cpu, struct outbuf *out)
{
	line(out, "APIC of vCPU %u: ID %u, %s at %lx, %s", cpu, v->id, apic_mode(v),
	     align_down(v->base, PAGE_SIZE),
	     apic_reg(v, VLAPIC_SVR) & SVR_ENABLED ? "on" : "off by software");
	line(out, "  TPR %02x, PPR %02x, LDR %08x, SVR %03x, ESR %02x%s", apic_reg(v, VLAPIC_TPR),
	     vlapic_ppr(v), apic_reg(v, VLAPIC_LDR), apic_reg(v, VLAPIC_SVR),
	     apic_reg(v, VLAPIC_ESR), yes(v->extint, ", INTR"));
	vectors_words(v, VLAPIC_IRR, "IRR", out);
	vectors_words(v, VLAPIC_ISR, "ISR", out);
	vectors_words(v, VLAPIC_TMR, "TMR", out);
	for (unsigned i = 0; i < ARRAY_SIZE(lvts); i++)
		outbuf_print(out, "%s%s %05x", i ? ", " : "  LVT ", lvts[i].name,
			     apic_reg(v, lvts[i].reg));
	line(out, "%s", "");
}

static void apic_json(const struct vlapic *v, unsigned cpu, struct outbuf *out)
{
	struct json json = json_begin(out);
	char key[16];

	json_number(&json, "apic", cpu);
	json_number(&json, "id", v->id);
	json_string(&json, "mode", apic_mode(v));
	json_bool(&json, "enabled", apic_reg(v, VLAPIC_SVR) & SVR_ENABLED);
	json_hex(&json, "tpr", apic_reg(v, VLAPIC_TPR));
	json_hex(&json, "ppr", vlapic_ppr(v));
	json_hex(&json, "ldr", apic_reg(v, VLAPIC_LDR));
	json_hex(&json, "svr", apic_reg(v, VLAPIC_SVR));
	json_hex(&json, "esr", apic_reg(v, VLAPIC_ESR));
	vectors_json(&json, v, VLAPIC_IRR, "irr");
	vectors_json(&json, v, VLAPIC_ISR, "isr");
	vectors_json(&json, v, VLAPIC_TMR, "tmr");
	for (unsigned i = 0; i < ARRAY_SIZE(lvts); i++) {
		format(key, sizeof(key), "lvt_%s", lvts[i].name);
		json_hex(&json, key, apic_reg(v, lvts[i].reg));
	}
	json_end(&json);
}

bool inspect_interrupts(const struct pc *pc, unsigned part, bool json, struct outbuf *out)
{
	unsigned pins_parts = VIOAPIC_PINS / PINS_PART, cpu;

	if (!part) {
		pics(&pc->pic, json, out);
		return true;
	}
	if (part <= pins_parts) {
		for (unsigned i = 0; i < PINS_PART; i++)
			ioapic_pin(&pc->ioapic, (part - 1) * PINS_PART + i, json, out);
		return true;
	}
	cpu = part - 1 - pins_parts;
	if (cpu >= pc->cpus)
		return false;
	if (json)
		apic_json(&pc->cpu[cpu].lapic, cpu, out);
	else
		apic_words(&pc->cpu[cpu].lapic, cpu, out);
	return true;
}

enum monitor_memory inspect_memory(const struct guest_memory *memory, uint64_t gpa, void *to,
				   size_t length)
{
	uint64_t block = gpa / PAGE_SIZE_2M;

	for (unsigned i = 0; i < memory->extents; i++) {
		const struct guest_extent *extent = &memory->extent[i];

		if (gpa < extent->gpa || !range_within(gpa - extent->gpa, length, extent->size))
			continue;
		if (memory->populated && !(memory->populated[block / 8] & BIT(block % 8)))
			return MONITOR_UNTOUCHED;
		memcpy(to, extent->host + (gpa - extent->gpa), length);
		return MONITOR_RAM;
	}
	return MONITOR_NO_RAM;
}
