/* SPDX-License-Identifier: MIT */
/* Making, ending and unmaking a VM. */
#include "vm/vm.h"

#include <stdarg.h>

#include "lib/format.h"
#include "lib/log.h"
#include "lib/string.h"
#include "vm/firmware.h"
#include "vm/image.h"
#include "vm/image_start.h"

/* Room left for page tables and vCPU structures when all memory is asked for. */
#define MEMORY_RESERVE	(4 * MIB)
#define FIRMWARE_SHADOW (128 * KIB)
#define FWCONFIG_BYTES	align_up(sizeof(struct fwconfig), PAGE_SIZE)

static uint64_t alloc_table_page(void *ctx)
{
	struct vm *vm = ctx;
	uint64_t page = frames_alloc(vm->host->frames, PAGE_SIZE, PAGE_SIZE, UINT64_MAX);

	return page == FRAMES_NONE ? 0 : page;
}

static void free_table_page(void *ctx, uint64_t page)
{
	struct vm *vm = ctx;

	frames_free(vm->host->frames, page, PAGE_SIZE);
}

static void invalidate(void *ctx, uint64_t eptp)
{
	struct vm *vm = ctx;

	vm->host->invalidate_ept(ctx, eptp);
}

static const struct ept_ops ept_ops = {
	.alloc_page = alloc_table_page,
	.free_page = free_table_page,
	.invalidate = invalidate,
};

uint64_t vm_memory_available(const struct vm_host *host)
{
	uint64_t total = frames_total(host->frames);

	return total > MEMORY_RESERVE ? align_down(total - MEMORY_RESERVE, PAGE_SIZE) : 0;
}

/* One extent, in the largest block of at most `size` bytes that is free. False: none is. */
static bool add_extent(struct vm *vm, uint64_t gpa, uint64_t size, uint64_t *got)
{
	struct guest_memory *memory = &vm->memory;
	struct frames *frames = vm->host->frames;
	uint64_t part = MIN(align_up(size, PAGE_SIZE_2M), frames_largest(frames, PAGE_SIZE_2M));
	uint64_t host;

	if (!part || memory->extents == GUEST_EXTENTS_MAX)
		return false;
	host = frames_alloc(frames, part, PAGE_SIZE_2M, UINT64_MAX);
	if (host == FRAMES_NONE)
		return false;
	*got = MIN(part, size);
	/* The tail of the last large page is not the guest's. */
	frames_free(frames, host + align_up(*got, PAGE_SIZE), part - align_up(*got, PAGE_SIZE));
	memory->extent[memory->extents++] =
		(struct guest_extent){.gpa = gpa, .size = *got, .host = (uint8_t *)host};
	return true;
}

static bool add_range(struct vm *vm, uint64_t gpa, uint64_t size)
{
	for (uint64_t got; size; gpa += got, size -= got)
		if (!add_extent(vm, gpa, size, &got))
			return false;
	return true;
}

/* A copy of the firmware's image ends at 4 GiB: RAM, as writing to it hurts nobody else. */
static bool add_rom(struct vm *vm)
{
	uint64_t size = align_up(vm->config->firmware.size, PAGE_SIZE);

	return add_range(vm, GUEST_HIGH_BASE - size, size);
}

uint64_t vm_populated_bytes(const struct vm *vm)
{
	const struct guest_memory *memory = &vm->memory;
	const struct guest_extent *last = &memory->extent[memory->extents - 1];

	return align_up((last->gpa + last->size) / PAGE_SIZE_2M / 8 + 1, PAGE_SIZE);
}

static bool populate(void *ctx, uint64_t gpa)
{
	return vm_populate(ctx, gpa);
}

static uint64_t ram_end(const struct vm *vm)
{
	uint64_t size = vm->config->memory;

	return size > GUEST_LOW_MAX ? GUEST_HIGH_BASE + size - GUEST_LOW_MAX : size;
}

static enum writes_how writes_how(const struct vm *vm)
{
	if (!vm->config->track_writes)
		return WRITES_NONE;
	if (!vm->host->ept_dirty_flags)
		return WRITES_PROTECT;
	return vm->host->write_logs ? WRITES_LOG : WRITES_FLAGS;
}

static bool create_writes(struct vm *vm, struct error *error)
{
	enum writes_how how = writes_how(vm);
	uint64_t room;

	if (how == WRITES_NONE)
		return true;
	room = frames_alloc(vm->host->frames, writes_bytes(ram_end(vm), vm->cpus), PAGE_SIZE,
			    UINT64_MAX);
	if (room == FRAMES_NONE)
		return error_set(error, "track-writes: no memory left for it");
	writes_init(&vm->writes, how, (void *)room, ram_end(vm), vm->cpus);
	return true;
}

uint64_t vm_writes_bytes(const struct vm *vm)
{
	return vm->writes.how ? writes_bytes(ram_end(vm), vm->cpus) : 0;
}

/* To be asked before anything is taken for the VM: what it takes itself is in the reserve. */
static bool memory_fits(const struct vm *vm, struct error *error)
{
	uint64_t size = vm->config->memory, available = vm_memory_available(vm->host);

	if (size > available)
		return error_set(error,
				 "memory = %luM does not fit: this machine has %luM free for VMs",
				 size / MIB, available / MIB);
	return true;
}

static bool create_memory(struct vm *vm, struct error *error)
{
	uint64_t size = vm->config->memory, low = MIN(size, GUEST_LOW_MAX), bitmap;

	if (!add_range(vm, 0, low) || !add_rom(vm) || !add_range(vm, GUEST_HIGH_BASE, size - low))
		return error_set(error, "memory = %luM: free memory is in too many pieces for it",
				 size / MIB);
	bitmap = frames_alloc(vm->host->frames, vm_populated_bytes(vm), PAGE_SIZE, UINT64_MAX);
	if (bitmap == FRAMES_NONE)
		return error_set(error, "no memory left for the page map of the VM");
	vm->memory.populated = memset((void *)bitmap, 0, vm_populated_bytes(vm));
	vm->memory.populate = populate;
	vm->memory.ctx = vm;
	return true;
}

/* The first block of an extent that a 2 MiB page can map, or the part of it that is there. */
static void block_of(const struct guest_extent *extent, uint64_t gpa, uint64_t *start,
		     uint64_t *size)
{
	uint64_t end = extent->gpa + extent->size;

	*start = MAX(align_down(gpa, PAGE_SIZE_2M), extent->gpa);
	*size = MIN(align_down(gpa, PAGE_SIZE_2M) + PAGE_SIZE_2M, end) - *start;
}

/* Maps the block of `extent` that holds `gpa`, zeroed; the caller holds the lock. */
static void populate_block(struct vm *vm, const struct guest_extent *extent, uint64_t gpa)
{
	uint8_t *populated = &vm->memory.populated[gpa / PAGE_SIZE_2M / 8];
	uint8_t bit = (uint8_t)BIT(gpa / PAGE_SIZE_2M % 8);
	uint64_t start, size, hpa;

	/* Another vCPU was faster. */
	if (*populated & bit)
		return;
	block_of(extent, gpa, &start, &size);
	hpa = (uint64_t)extent->host + (start - extent->gpa);
	memset((void *)hpa, 0, align_up(size, PAGE_SIZE));
	if (!ept_map(&vm->ept, start, hpa, align_up(size, PAGE_SIZE),
		     vm->writes.how == WRITES_PROTECT ? EPT_READ | EPT_EXEC : EPT_RWX,
		     vm->host->memory_type(hpa, hpa + size)))
		vm_end(vm, VERDICT_CRASH, "no memory left for its page tables");
	/* Only now may others, who look without the lock, take it for there. */
	__atomic_fetch_or(populated, bit, __ATOMIC_RELEASE);
}

bool vm_populate(struct vm *vm, uint64_t gpa)
{
	struct guest_memory *memory = &vm->memory;

	for (unsigned i = 0; i < memory->extents; i++) {
		const struct guest_extent *extent = &memory->extent[i];

		if (gpa - extent->gpa >= extent->size)
			continue;
		spin_lock(&vm->memory_lock);
		populate_block(vm, extent, gpa);
		spin_unlock(&vm->memory_lock);
		return true;
	}
	return false;
}

void vm_allow_write(struct vm *vm, uint64_t gpa)
{
	if (vm->writes.how != WRITES_PROTECT)
		return;
	spin_lock(&vm->memory_lock);
	ept_adjust(&vm->ept, gpa, 0, EPT_WRITE);
	writes_note(&vm->writes, gpa);
	spin_unlock(&vm->memory_lock);
}

static void note_progress(struct vm *vm)
{
	vm->progressed = true;
}

bool vm_say(struct vm *vm, uint8_t byte)
{
	if (vm->expect.positions && !vm->shown && regex_byte(&vm->expect, byte)) {
		vm->shown = true;
		vm_end(vm, VERDICT_PASS, "its console shows '%s'", vm->config->expect);
	}
	return vm_console_put(vm->console, byte);
}

static void on_console_tx(void *ctx, uint8_t byte)
{
	struct vm *vm = ctx;

	if (vm_say(vm, byte))
		vm->host->console_told();
	note_progress(vm);
}

static bool on_console_room(void *ctx)
{
	struct vm *vm = ctx;

	return vm_console_room(vm->console) > 0;
}

/* A line goes to the log when it ends, or is as long as there is room. */
static void on_com2_tx(void *ctx, uint8_t byte)
{
	struct vm *vm = ctx;

	if (!vm->config->com2_log)
		return;
	if (byte >= ' ' && byte < 0x7F)
		vm->com2[vm->com2_length++] = (char)byte;
	if (byte != '\n' && vm->com2_length < sizeof(vm->com2))
		return;
	log_info("[%s.com2] %.*s", vm->config->name, (int)vm->com2_length, vm->com2);
	vm->com2_length = 0;
	note_progress(vm);
}

static void on_debug_exit(void *ctx, uint32_t value)
{
	const struct vm *vm = ctx;

	if (value == vm->config->pass_code)
		vm_end(ctx, VERDICT_PASS, "%u written to the debug-exit port", value);
	else
		vm_end(ctx, VERDICT_FAIL, "%u (0x%x) written to the debug-exit port", value, value);
}

static void on_power_off(void *ctx)
{
	vm_end(ctx, VERDICT_PASS, "powered off by ACPI");
}

static void on_reset(void *ctx)
{
	vm_end(ctx, VERDICT_STOPPED, "the guest asked for a reset");
}

static void on_pm_moved(void *ctx, uint16_t base)
{
	struct vm *vm = ctx;

	if (vm->fwconfig)
		fwconfig_pm_moved(vm->fwconfig, base);
}

static void on_kick(void *ctx, unsigned cpu)
{
	struct vm *vm = ctx;

	if (!vm->vcpu[cpu])
		return;
	vcpu_tell(vm->vcpu[cpu], NEWS_MAIL);
	vm->host->kick(vm->vcpu[cpu]);
}

static void on_changed(void *ctx, unsigned cpu)
{
	struct vm *vm = ctx;

	if (vm->vcpu[cpu])
		vm->vcpu[cpu]->attention |= ATTENTION_EVENT;
}

static void on_nmi(void *ctx, unsigned cpu)
{
	struct vm *vm = ctx;

	/* One is being delivered and one is kept; more are lost (SDM, "Nonmaskable Interrupt"). */
	if (vm->vcpu[cpu]->nmis < 2)
		vm->vcpu[cpu]->nmis++;
	on_changed(ctx, cpu);
}

/* Whether the remark is to be made: once, as a guest can cause it without end. */
static bool remark(struct vm *vm, enum vm_remark what)
{
	return !(__atomic_fetch_or(&vm->said, what, __ATOMIC_RELAXED) & what);
}

static void on_smi(void *ctx, unsigned cpu)
{
	struct vm *vm = ctx;

	if (remark(vm, REMARK_SMI))
		log_warn("VM %s: vCPU %u: SMI ignored: there is no system management mode",
			 vm->config->name, cpu);
}

static void on_unheard(void *ctx, const struct apic_message *message)
{
	struct vm *vm = ctx;

	if (message->delivery == APIC_RESERVED && remark(vm, REMARK_DELIVERY))
		log_warn("VM %s: an interrupt message (vector 0x%x) has a reserved delivery mode: "
			 "not delivered; want fixed, lowest priority, SMI, NMI, INIT or ExtINT in "
			 "the IOAPIC's entry",
			 vm->config->name, message->vector);
	if (message->delivery == APIC_STARTUP && remark(vm, REMARK_STARTUP))
		log_warn("VM %s: a start-up IPI to %s 0x%x, which is not there: the VM has APIC "
			 "IDs 0 to %u",
			 vm->config->name, message->logical ? "the logical ID" : "APIC ID",
			 message->destination, vm->cpus - 1);
}

/*
 * INIT leaves an application processor waiting for a start-up IPI. The bootstrap processor begins
 * at the reset vector: its firmware would start the machine anew.
 */
static void on_init(void *ctx, unsigned cpu)
{
	struct vm *vm = ctx;

	if (cpu == 0) {
		vm_end(vm, VERDICT_STOPPED, "INIT to the bootstrap processor: a reset");
		return;
	}
	vm->vcpu[cpu]->activity = VCPU_WAIT_FOR_SIPI;
	on_changed(ctx, cpu);
}

/* Only a CPU that waits for it after INIT takes a start-up IPI. */
static void on_startup(void *ctx, unsigned cpu, uint8_t vector)
{
	struct vm *vm = ctx;

	if (vm->vcpu[cpu]->activity != VCPU_WAIT_FOR_SIPI)
		return;
	vm->vcpu[cpu]->startup_vector = vector;
	vm->vcpu[cpu]->activity = VCPU_STARTING;
	on_changed(ctx, cpu);
}

static const struct pc_ops pc_ops = {
	.console_tx = on_console_tx,
	.console_room = on_console_room,
	.com2_tx = on_com2_tx,
	.debug_tx = on_console_tx,
	.debug_exit = on_debug_exit,
	.power_off = on_power_off,
	.reset = on_reset,
	.pm_moved = on_pm_moved,
	.kick = on_kick,
	.unheard = on_unheard,
	.changed = on_changed,
	.nmi = on_nmi,
	.smi = on_smi,
	.init = on_init,
	.startup = on_startup,
};

/* Disks from the first drive on, CDs from the second channel's master on: as on most PCs. */
static void create_drives(struct vm *vm, struct pc_config *pc)
{
	const struct vm_config *config = vm->config;
	unsigned at = 0;

	for (unsigned i = 0; i < config->disks + config->cdroms; i++, at++) {
		bool cd = i >= config->disks;
		const struct config_file *file =
			cd ? &config->cdrom[i - config->disks] : &config->disk[i];

		if (i == config->disks)
			at = MAX(at, PC_DRIVES_MAX / 2);
		while (vm->disk[at % PC_DRIVES_MAX].data)
			at++;
		at %= PC_DRIVES_MAX;
		disk_init(&vm->disk[at], file->data, file->size, vm->host->frames,
			  &vm->memory_lock);
		pc->drive[at] = (struct pc_drive){
			cd ? VATA_CD : VATA_DISK,
			{disk_read, disk_write, &vm->disk[at],
			 cd ? file->size : disk_bytes(&vm->disk[at], VATA_SECTOR)}};
	}
}

static bool create_ata(struct vm *vm, struct pc_config *pc)
{
	create_drives(vm, pc);
	for (unsigned i = 0; i < PC_ATA_CHANNELS; i++) {
		uint64_t page;

		if (!vm->disk[2 * i].data && !vm->disk[2 * i + 1].data)
			continue;
		page = frames_alloc(vm->host->frames, VATA_BUFFER, PAGE_SIZE, UINT64_MAX);
		if (page == FRAMES_NONE)
			return false;
		pc->ata_buffer[i] = vm->ata_buffer[i] = memset((void *)page, 0, VATA_BUFFER);
	}
	return true;
}

static bool fwcfg_read(void *ctx, uint64_t gpa, void *to, uint64_t length)
{
	struct vm *vm = ctx;

	return guest_memory_read(&vm->memory, gpa, to, length);
}

static bool fwcfg_write(void *ctx, uint64_t gpa, const void *from, uint64_t length)
{
	struct vm *vm = ctx;

	if (!from)
		return guest_memory_zero(&vm->memory, gpa, length);
	return guest_memory_write(&vm->memory, gpa, from, length);
}

/*
 * The image below 4 GiB, and its end below 1 MiB, as chipsets shadow it. The tables were written
 * where a BIOS would have them; they go to the configuration device instead.
 */
static bool create_firmware(struct vm *vm, struct pc_config *pc, struct error *error)
{
	const struct config_file *image = &vm->config->firmware;
	uint64_t shadow = MIN(image->size, FIRMWARE_SHADOW), pages, rsdp;
	unsigned drives = 0;

	if (!image->data)
		return true;
	pages = frames_alloc(vm->host->frames, FWCONFIG_BYTES, PAGE_SIZE, UINT64_MAX);
	if (pages == FRAMES_NONE)
		return false;
	vm->fwconfig = memset((void *)pages, 0, FWCONFIG_BYTES);
	for (unsigned i = 0; i < PC_DRIVES_MAX; i++)
		if (pc->drive[i].kind != VATA_NONE)
			drives |= 1U << (i + (pc->drive[i].kind == VATA_CD ? PC_DRIVES_MAX : 0));
	if (!firmware_write(&vm->memory, vm->cpus, &rsdp, &(struct error){0}) ||
	    !fwconfig_make(vm->fwconfig, &vm->memory, vm->config, drives, error) ||
	    !guest_memory_zero(&vm->memory, 0, MIB) ||
	    !guest_memory_write(&vm->memory, MIB - shadow, image->data + image->size - shadow,
				shadow) ||
	    !guest_memory_write(&vm->memory, GUEST_HIGH_BASE - image->size, image->data,
				image->size))
		return false;
	pc->firmware = true;
	pc->firmware_debug = fwconfig_debug(vm->config);
	pc->item = vm->fwconfig->item;
	pc->items = vm->fwconfig->items;
	pc->fwcfg = (struct vfwcfg_ops){fwcfg_read, fwcfg_write, vm};
	return true;
}

static bool create_pc(struct vm *vm, uint64_t tsc, struct error *error)
{
	struct pc_config config = {
		.hz = vm->clock.hz,
		.epoch = vm->host->epoch + (tsc - vm->host->boot_tsc) / vm->host->hz,
		.ram_low = guest_memory_low(&vm->memory),
		.ram_high = guest_memory_high(&vm->memory),
		.cpus = vm->cpus,
		.physical_bits = cpuid_physical_bits(&vm->cpuid),
		.ops = &pc_ops,
		.ctx = vm,
	};

	for (unsigned i = 0; i < vm->cpus; i++) {
		uint64_t page = frames_alloc(vm->host->frames, PAGE_SIZE, PAGE_SIZE, UINT64_MAX);

		if (page == FRAMES_NONE)
			return error_set(error, "no memory left for a local APIC");
		vm->apic_page[i] = memset((void *)page, 0, PAGE_SIZE);
		config.apic_page[i] = vm->apic_page[i];
	}
	if (!create_ata(vm, &config))
		return error_set(error, "no memory left for its drives");
	error_set(error, "firmware: no memory left for it");
	if (!create_firmware(vm, &config, error))
		return false;
	if (!pc_init(&vm->pc, &config))
		return error_set(error, "a PC of %u CPUs at %lu Hz cannot be made", vm->cpus,
				 vm->clock.hz);
	return true;
}

static bool map_apic_access(struct vm *vm, struct error *error)
{
	if (!vm->host->apic_access_page)
		return true;
	if (!ept_map(&vm->ept, VLAPIC_BASE_DEFAULT, vm->host->apic_access_page, PAGE_SIZE,
		     EPT_READ | EPT_WRITE, MEMORY_WB))
		return error_set(error, "no memory left for its page tables");
	vm->apic_access = true;
	return true;
}

/*
 * Without memory_lock, which may not be held while other cores are called: only the last-level
 * entry changes, and nothing else is ever mapped in the last-level table above it.
 */
void vm_drop_apic_access(struct vm *vm)
{
	if (__atomic_exchange_n(&vm->apic_access, false, __ATOMIC_SEQ_CST))
		ept_unmap(&vm->ept, VLAPIC_BASE_DEFAULT, PAGE_SIZE);
}

static bool load(struct vm *vm, struct error *error)
{
	uint64_t rsdp = 0;

	if (vm->fwconfig) {
		start_reset(&vm->start, vm->cpuid.basic[1].eax);
		return true;
	}
	if (!firmware_write(&vm->memory, vm->cpus, &rsdp, error))
		return false;
	return image_load(vm->config, &vm->memory, rsdp, &vm->start, error);
}

static bool compile_expect(struct vm *vm, struct error *error)
{
	struct error why;

	if (!vm->config->expect[0] || regex_compile(&vm->expect, vm->config->expect, &why))
		return true;
	return error_set(error, "expect = %s: %s", vm->config->expect, why.text);
}

static void build_cpuid(struct vm *vm, const struct cpuid_policy *host)
{
	struct cpuid_policy policy = *host;

	policy.tsc_hz = vm->clock.hz;
	cpuid_build(&vm->cpuid, &policy);
}

bool vm_create(struct vm *vm, const struct vm_config *config, const struct vm_host *host,
	       const struct cpuid_policy *policy, uint64_t tsc, struct error *error)
{
	memset(vm, 0, sizeof(*vm));
	vm->config = config;
	vm->host = host;
	vm->cpus = config->cpus;
	vm_clock_start(&vm->clock, config->tsc_mhz ? config->tsc_mhz * 1000000ULL : host->hz,
		       host->hz, tsc);
	vm->timer_at = UINT64_MAX;
	build_cpuid(vm, policy);
	if (!compile_expect(vm, error) || !memory_fits(vm, error))
		return false;
	/* To the page, where somebody wants to know what is written. */
	if (!ept_init(&vm->ept, config->track_writes ? 1 : MIN(host->largest_ept_level, 2),
		      config->track_writes && host->ept_dirty_flags, &ept_ops, vm))
		return error_set(error, "no memory left for its page tables");
	if (create_memory(vm, error) && create_writes(vm, error) && map_apic_access(vm, error) &&
	    create_pc(vm, tsc, error) && load(vm, error) && vm->verdict == VERDICT_NONE)
		return true;
	if (vm->verdict != VERDICT_NONE)
		error_set(error, "%s", vm->why);
	vm_destroy(vm);
	return false;
}

uint64_t vm_own_memory(const struct vm *vm)
{
	uint64_t bytes = vm->ept.tables * PAGE_SIZE + vm->cpus * PAGE_SIZE + vm_populated_bytes(vm);

	for (unsigned i = 0; i < PC_DRIVES_MAX; i++)
		bytes += vm->disk[i].taken;
	for (unsigned i = 0; i < PC_ATA_CHANNELS; i++)
		bytes += vm->ata_buffer[i] ? VATA_BUFFER : 0;
	return bytes + (vm->fwconfig ? FWCONFIG_BYTES : 0) + vm_writes_bytes(vm);
}

void vm_destroy(struct vm *vm)
{
	struct frames *frames = vm->host->frames;

	ept_destroy(&vm->ept);
	for (unsigned i = 0; i < vm->cpus; i++)
		if (vm->apic_page[i])
			frames_free(frames, (uint64_t)vm->apic_page[i], PAGE_SIZE);
	if (vm->fwconfig)
		frames_free(frames, (uint64_t)vm->fwconfig, FWCONFIG_BYTES);
	if (vm->writes.how)
		frames_free(frames, (uint64_t)vm->writes.live, vm_writes_bytes(vm));
	for (unsigned i = 0; i < PC_DRIVES_MAX; i++)
		disk_drop(&vm->disk[i]);
	for (unsigned i = 0; i < PC_ATA_CHANNELS; i++)
		if (vm->ata_buffer[i])
			frames_free(frames, (uint64_t)vm->ata_buffer[i], VATA_BUFFER);
	if (vm->memory.populated)
		frames_free(frames, (uint64_t)vm->memory.populated, vm_populated_bytes(vm));
	for (unsigned i = 0; i < vm->memory.extents; i++)
		frames_free(frames, (uint64_t)vm->memory.extent[i].host,
			    align_up(vm->memory.extent[i].size, PAGE_SIZE));
}

void vm_end(struct vm *vm, enum verdict verdict, const char *fmt, ...)
{
	va_list args;

	spin_lock(&vm->end_lock);
	if (vm->verdict != VERDICT_NONE) {
		spin_unlock(&vm->end_lock);
		return;
	}
	va_start(args, fmt);
	vformat(vm->why, sizeof(vm->why), fmt, args);
	va_end(args);
	__atomic_store_n(&vm->verdict, verdict, __ATOMIC_RELEASE);
	spin_unlock(&vm->end_lock);
	for (unsigned i = 0; i < vm->cpus; i++) {
		if (!vm->vcpu[i])
			continue;
		vcpu_tell(vm->vcpu[i], NEWS_END);
		vm->host->kick(vm->vcpu[i]);
	}
}

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {
		[VERDICT_NONE] = "NONE",   [VERDICT_PASS] = "PASS", [VERDICT_FAIL] = "FAIL",
		[VERDICT_CRASH] = "CRASH", [VERDICT_HANG] = "HANG", [VERDICT_STOPPED] = "STOPPED",
	};

	return names[verdict];
}

void vm_judge(struct vm *vm)
{
	size_t length = strlen(vm->why);

	if (!vm->expect.positions)
		return;
	if (vm->shown) {
		vm->verdict = VERDICT_PASS;
		format(vm->why, sizeof(vm->why), "its console shows '%s'", vm->config->expect);
		return;
	}
	if (vm->verdict == VERDICT_PASS)
		vm->verdict = VERDICT_FAIL;
	format(vm->why + length, sizeof(vm->why) - length, ", and never '%s' on its console",
	       vm->config->expect);
}

/* In VM ticks. */
static uint64_t limit_of(const struct vm *vm)
{
	return vm->config->limit ? vm->config->limit * vm->clock.hz : UINT64_MAX;
}

uint64_t vm_progress_deadline(const struct vm *vm)
{
	return MIN(vm->config->timeout ? vm->progress_check : UINT64_MAX, limit_of(vm));
}

/* Looks four times in each period, so that a hang is seen at most a quarter late. */
void vm_check_progress(struct vm *vm, uint64_t now)
{
	uint64_t timeout = vm->config->timeout * vm->clock.hz;

	if (now >= limit_of(vm))
		vm_end(vm, VERDICT_HANG, "still runs after its limit of %u s", vm->config->limit);
	if (!timeout || now < vm->progress_check)
		return;
	if (vm->progressed)
		vm->progress = now;
	vm->progressed = false;
	vm->progress_check = now + timeout / 4;
	if (now - vm->progress >= timeout)
		vm_end(vm, VERDICT_HANG, "nothing on its console for %u s", vm->config->timeout);
}
