/* SPDX-License-Identifier: MIT */
/* What the monitor shows of devices, memory and page tables. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/x86.h"
#include "vm/inspect.h"

#define CPUS  2
#define PAGES 16

static struct pc pc;
static uint8_t apic_page[CPUS][4096] __attribute__((aligned(4096)));
static uint8_t ram[PAGES * 4096] __attribute__((aligned(4096)));
static char text[65536];
static struct outbuf out;

static void set_reg(unsigned cpu, unsigned reg, uint32_t value)
{
	memcpy(apic_page[cpu] + reg, &value, sizeof(value));
}

static int setup(void **state)
{
	(void)state;
	memset(&pc, 0, sizeof(pc));
	memset(apic_page, 0, sizeof(apic_page));
	memset(ram, 0, sizeof(ram));
	pc.cpus = CPUS;
	for (unsigned i = 0; i < CPUS; i++) {
		pc.cpu[i].lapic.page = apic_page[i];
		pc.cpu[i].lapic.id = i;
		pc.cpu[i].lapic.irr_top = pc.cpu[i].lapic.isr_top = -1;
		pc.cpu[i].lapic.base = 0xFEE00800;
	}
	outbuf_init(&out, text, sizeof(text) - 1);
	return 0;
}

static void contains(const char *wanted)
{
	text[out.length] = '\0';
	if (!strstr(text, wanted))
		fail_msg("no '%s' in: %s", wanted, text);
}

/* All parts of a listing; none is longer than it may be. */
static void list(bool interrupts, bool json)
{
	bool more = true;

	outbuf_init(&out, text, sizeof(text) - 1);
	for (unsigned part = 0; more; part++) {
		size_t before = out.length;

		more = interrupts ? inspect_interrupts(&pc, part, json, &out)
				  : inspect_devices(&pc, 123, part, json, &out);
		assert_true(out.length - before <= INSPECT_PART_MAX);
		assert_int_equal(more, out.length > before);
	}
	assert_false(out.cut);
	assert_int_equal(text[out.length - 1], '\n');
}

static void test_devices(void **state)
{
	(void)state;
	pc.pit.counter[0] = (struct vpit_counter){.mode = 2, .reload = 11932, .gate = true};
	pc.rtc.ram[11] = 0x02;
	pc.com1.ier = 0x05;
	pc.com1.rx.used = 3;
	pc.com1.irq = true;
	pc.i8042.ram[0] = 0x47;
	pc.acpi.control = 1;
	pc.pci.address = 0x80001000;
	pc.port.post = 0xAB;
	list(false, false);
	contains("time: tick 123\r\n");
	contains("PIT 0: mode 2, reload 11932, gate high, not loaded\r\n");
	contains("PIT 2: ");
	contains("A 00, B 02,");
	contains("UART: IER 05,");
	contains("UART: 3 bytes received, 0 to send, IRQ 4\r\n");
	contains("command byte 47");
	contains("control 0001, SCI low");
	contains("address 80001000");
	contains("last code ab");
	list(false, true);
	contains("{\"device\":\"pit\",\"counter\":0,\"mode\":2,\"reload\":11932,\"gate\":true,"
		 "\"loaded\":false,\"paused\":false}\r\n");
	contains("\"device\":\"uart\",\"ier\":\"0x5\"");
	contains("{\"device\":\"post\",\"code\":\"0xab\"}\r\n");
}

static void test_interrupt_controllers(void **state)
{
	(void)state;
	pc.pic.chip[0] = (struct vpic_chip){.lines = 0x13,
					    .edges = 0x01,
					    .elcr = 0x10,
					    .isr = 0x04,
					    .imr = 0xEA,
					    .vector = 0x20,
					    .ready = true};
	pc.ioapic.entry[4] = 0x0300000000001831 | 0x8000 | 0x4000 | 0x2000;
	pc.ioapic.entry[5] = 0xFF00000000010422;
	pc.ioapic.lines = 1 << 4;
	list(true, false);
	/* Line 1 has no edge that waits, line 4 is by level. */
	contains("8259 master: IRR 11, ISR 04, IMR ea, lines 13, ELCR 10, vectors from 20\r\n");
	contains("8259 slave : IRR 00");
	contains("not initialised");
	contains("IOAPIC  4: vector 31, fixed    to logical 03, level, active low, remote IRR, "
		 "asserted\r\n");
	contains("IOAPIC  5: vector 22, NMI      to physical ff, edge, active high, masked\r\n");
	contains("IOAPIC 23: ");
	list(true, true);
	contains("{\"ioapic_pin\":5,\"entry\":\"0xff00000000010422\",\"vector\":34,"
		 "\"delivery\":\"NMI\",\"logical\":false,\"destination\":255,\"level\":false,"
		 "\"masked\":true,\"remote_irr\":false,\"asserted\":false}\r\n");
}

static void test_local_apics(void **state)
{
	(void)state;
	set_reg(1, VLAPIC_SVR, 0x1FF);
	set_reg(1, VLAPIC_TPR, 0x30);
	set_reg(1, VLAPIC_IRR + 0x10, 1 << 1);	 /* vector 33 */
	set_reg(1, VLAPIC_IRR + 0x70, 1U << 31); /* vector 255 */
	set_reg(1, VLAPIC_ISR + 0x30, 1 << 4);	 /* vector 100 */
	set_reg(1, VLAPIC_LVT_TIMER, 0x200EC);
	pc.cpu[1].lapic.isr_top = 100;
	pc.cpu[1].lapic.base |= VLAPIC_BASE_X2APIC;
	list(true, false);
	contains("APIC of vCPU 0: ID 0, xAPIC at fee00000, off by software\r\n");
	contains("APIC of vCPU 1: ID 1, x2APIC at fee00000, on\r\n");
	contains("TPR 30, PPR 60,");
	contains("  IRR 21 ff\r\n  ISR 64\r\n  TMR none\r\n  LVT timer 200ec, ");
	list(true, true);
	contains("\"apic\":1,\"id\":1,\"mode\":\"x2APIC\",\"enabled\":true,");
	contains("\"irr\":[33,255],\"isr\":[100],\"tmr\":[],\"lvt_timer\":\"0x200ec\"");
	/* All that there can be still fits. */
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		memset(apic_page[cpu], 0xFF, 4096);
	list(true, true);
	list(true, false);
}

static struct guest_extent extents[] = {{0, 0x200000 + 0x1000, NULL}, {0x100000000, 0x8000, NULL}};

static void test_memory(void **state)
{
	static uint8_t populated[4096];
	struct guest_memory memory = {.extents = 2, .populated = populated};
	uint8_t *low = malloc(extents[0].size), *high = malloc(extents[1].size);
	uint8_t got[8] = {0};

	(void)state;
	memset(low, 1, extents[0].size);
	memset(high, 2, extents[1].size);
	memory.extent[0] = extents[0];
	memory.extent[0].host = low;
	memory.extent[1] = extents[1];
	memory.extent[1].host = high;
	populated[0] = 1; /* the first block */
	assert_int_equal(inspect_memory(&memory, 0x1FF8, got, 8), MONITOR_RAM);
	assert_int_equal(got[7], 1);
	assert_int_equal(inspect_memory(&memory, 0x200000, got, 8), MONITOR_UNTOUCHED);
	assert_int_equal(inspect_memory(&memory, 0x201000, got, 8), MONITOR_NO_RAM);
	assert_int_equal(inspect_memory(&memory, 0x200FFC, got, 8), MONITOR_NO_RAM);
	assert_int_equal(inspect_memory(&memory, 0x100000000, got, 8), MONITOR_UNTOUCHED);
	populated[0x100000000 / 0x200000 / 8] = 1;
	assert_int_equal(inspect_memory(&memory, 0x100007FF8, got, 8), MONITOR_RAM);
	assert_int_equal(got[0], 2);
	assert_int_equal(inspect_memory(&memory, UINT64_MAX - 3, got, 8), MONITOR_NO_RAM);
	memory.populated = NULL;
	assert_int_equal(inspect_memory(&memory, 0x200000, got, 8), MONITOR_RAM);
	free(low);
	free(high);
}

static enum monitor_memory read_ram(void *ctx, unsigned vm, uint64_t gpa, void *to, size_t length)
{
	assert_ptr_equal(ctx, ram);
	assert_int_equal(vm, 3);
	if (gpa > sizeof(ram) - length)
		return MONITOR_NO_RAM;
	if (gpa / 4096 == PAGES - 1)
		return MONITOR_UNTOUCHED;
	memcpy(to, ram + gpa, length);
	return MONITOR_RAM;
}

static const struct inspect_reader reader = {read_ram, ram, 3};

static void put_entry(uint64_t gpa, uint64_t entry)
{
	memcpy(ram + gpa, &entry, sizeof(entry));
}

static void put_entry32(uint64_t gpa, uint32_t entry)
{
	memcpy(ram + gpa, &entry, sizeof(entry));
}

static const struct monitor_regs long_mode = {.cr0 = CR0_PG | CR0_PE,
					      .cr3 = 0x1018, /* PWT and PCD are no address */
					      .cr4 = CR4_PAE,
					      .efer = EFER_LMA | EFER_LME | EFER_NXE};

static uint64_t walks_to(const struct monitor_regs *regs, uint64_t linear)
{
	uint64_t gpa = 0;

	outbuf_init(&out, text, sizeof(text) - 1);
	assert_true(inspect_walk(regs, &reader, linear, false, &out, &gpa));
	return gpa;
}

static void stops(const struct monitor_regs *regs, uint64_t linear)
{
	uint64_t gpa;

	outbuf_init(&out, text, sizeof(text) - 1);
	assert_false(inspect_walk(regs, &reader, linear, false, &out, &gpa));
}

static void test_walk_long_mode(void **state)
{
	uint64_t gpa;

	(void)state;
	/* FFFFFFFF80201ABC: indices 511, 510, 1, 1. */
	put_entry(0x1000 + 8 * 511, 0x2000 | 0x27);
	put_entry(0x2000 + 8 * 510, 0x3000 | 0x27);
	put_entry(0x3000 + 8 * 1, 0x4000 | 0x27);
	put_entry(0x4000 + 8 * 1, 0x8000000012345000 | 0x63);
	put_entry(0x3000 + 8 * 2, 0x40000000 | 0xE3); /* 2 MiB */
	put_entry(0x2000 + 8 * 509, 0x80000000 | 0x83);
	assert_int_equal(walks_to(&long_mode, 0xFFFFFFFF80201ABC), 0x12345ABC);
	contains("PML4E  at 0000000000001ff8: 0000000000002027 P R/W U/S A\r\n");
	contains("PTE    at 0000000000004008: 8000000012345063 P R/W A D XD\r\n");
	assert_int_equal(walks_to(&long_mode, 0xFFFFFFFF80456789), 0x40056789);
	assert_int_equal(walks_to(&long_mode, 0xFFFFFFFF52345678), 0x80000000 + 0x12345678);
	stops(&long_mode, 0xFFFFFFFF80202000);
	contains("PTE    at 0000000000004010: 0000000000000000\r\n");
	stops(&long_mode, 0);
	/* Nothing was marked as accessed. */
	assert_int_equal(ram[0x4000 + 8], 0x63);
	/* A table outside RAM, and one in RAM that nobody has touched. */
	put_entry(0x1000, 0x7F0000001);
	stops(&long_mode, 0);
	contains("PDPTE  at 00000007f0000000: no RAM there\r\n");
	put_entry(0x1000, (PAGES - 1) * 4096 | 1);
	stops(&long_mode, 0);
	contains("PDPTE  at 000000000000f000: 0000000000000000\r\n");
	outbuf_init(&out, text, sizeof(text) - 1);
	assert_true(inspect_walk(&long_mode, &reader, 0xFFFFFFFF80201ABC, true, &out, &gpa));
	contains("{\"level\":\"PDE\",\"at\":\"0x3008\",\"entry\":\"0x4027\",\"present\":true}\r\n");
}

static void test_walk_five_levels(void **state)
{
	struct monitor_regs regs = long_mode;

	(void)state;
	regs.cr4 |= CR4_LA57;
	put_entry(0x1000 + 8 * 3, 0x2001);
	put_entry(0x2000, 0x3001);
	put_entry(0x3000, 0x81);
	assert_int_equal(walks_to(&regs, (3ULL << 48) + 0x123456), 0x123456);
	contains("PML5E  at 0000000000001018: 0000000000002001 P\r\n");
}

static void test_walk_pae(void **state)
{
	struct monitor_regs regs = {.cr0 = CR0_PG, .cr3 = 0x1020, .cr4 = CR4_PAE};

	(void)state;
	/* The registers count, not what memory says by now. */
	regs.pdpte[2] = 0x3001;
	put_entry(0x3000 + 8 * 5, 0x4001);
	put_entry(0x4000 + 8 * 6, 0x9ABCD000 | 1);
	assert_int_equal(walks_to(&regs, 0x80000000 + 5 * 0x200000 + 6 * 0x1000 + 7), 0x9ABCD007);
	contains("PDPTE  at 0000000000001030: 0000000000003001 P\r\n");
	stops(&regs, 0);
}

static void test_walk_32_bit(void **state)
{
	struct monitor_regs regs = {.cr0 = CR0_PG, .cr3 = 0x1000, .cr4 = CR4_PSE};

	(void)state;
	put_entry32(0x1000 + 4 * 768, 0x3000 | 0x23);
	put_entry32(0x3000 + 4 * 1, 0xFEC00000 | 0x63);
	put_entry32(0x1000 + 4 * 769, 0x00C00000 | 0x1 << 13 | 0xE3);
	assert_int_equal(walks_to(&regs, 0xFFFFFFFFC0001234), 0xFEC00234);
	contains("PTE    at 0000000000003004: 00000000fec00063 P R/W A D\r\n");
	/* PSE-36: bit 13 is address bit 32. */
	assert_int_equal(walks_to(&regs, 0xC0412345), 0x100C00000 + 0x12345);
	/* Without PSE the bit means nothing. */
	regs.cr4 = 0;
	stops(&regs, 0xC0412345);
	regs.cr0 = 0;
	assert_int_equal(walks_to(&regs, 0x1C0412345), 0xC0412345);
}

static void test_walk_random(void **state)
{
	uint64_t gpa;

	(void)state;
	srand(9);
	for (unsigned i = 0; i < 4000; i++) {
		struct monitor_regs regs = {.cr0 = CR0_PG,
					    .cr3 = (uint64_t)rand() % sizeof(ram),
					    .cr4 = (uint64_t)rand() &
						   (CR4_PAE | CR4_PSE | CR4_LA57),
					    .efer = rand() % 2 ? EFER_LMA : 0};

		for (unsigned j = 0; j < 500; j++)
			put_entry((uint64_t)rand() % (sizeof(ram) / 8) * 8,
				  (uint64_t)rand() % sizeof(ram) | 1 |
					  (rand() % 9 ? 0 : (uint64_t)rand() << 32));
		outbuf_init(&out, text, sizeof(text) - 1);
		inspect_walk(&regs, &reader, (uint64_t)rand() << 33 | (uint64_t)rand(), rand() % 2,
			     &out, &gpa);
		assert_true(out.length < INSPECT_PART_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_devices, setup),
		cmocka_unit_test_setup(test_interrupt_controllers, setup),
		cmocka_unit_test_setup(test_local_apics, setup),
		cmocka_unit_test_setup(test_memory, setup),
		cmocka_unit_test_setup(test_walk_long_mode, setup),
		cmocka_unit_test_setup(test_walk_five_levels, setup),
		cmocka_unit_test_setup(test_walk_pae, setup),
		cmocka_unit_test_setup(test_walk_32_bit, setup),
		cmocka_unit_test_setup(test_walk_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
