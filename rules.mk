# How everything under build/ is made. The targets for people are in Makefile.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
B := build

CC      := gcc
NASM    := nasm
LD      := ld
OBJCOPY := objcopy

WARN := -Wvla -Wall -Wextra -Werror -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes
BARE := -std=c11 -g $(WARN) -I. -I$(B) -ffreestanding -fno-pic -fno-pie \
	-mgeneral-regs-only -fno-stack-protector -fno-strict-aliasing -fcf-protection=none \
	-fno-asynchronous-unwind-tables
GUARD := -fstack-protector -mstack-protector-guard=global
# A frame is smaller than the page below a stack: none can step over it.
CFLAGS := $(BARE) -Wframe-larger-than=2048 $(GUARD) -falign-functions=4 -ffunction-sections -fdata-sections -mcmodel=small -mno-red-zone -fomit-frame-pointer -flto
GUEST_CFLAGS := $(BARE) -O2 -mno-red-zone
HOSTCFLAGS := -std=c11 -O1 -g $(WARN) -I. -I$(B) -fsanitize=address,undefined \
	-fno-sanitize-recover=all -fno-omit-frame-pointer
ASFLAGS := -g -F dwarf -w+all -Werror -I. -I$(B)/ -I$(B)/gen/
LDFLAGS := -O2 --gc-sections -nostdlib -static -z noexecstack -z max-page-size=4096

# The house: folders that run on the target, and those of them that are plain C (host tests too).
TARGET_C := $(filter-out %/offsets.c,$(wildcard boot/*.c vmx/*.c arch/x86_64/*.c vm/*.c ept/*.c \
	devices/*.c lib/*.c))
TARGET_S := $(wildcard boot/*.asm vmx/*.asm arch/x86_64/*.asm)
PLAIN_C  := $(filter-out lib/string.c,$(wildcard vm/*.c ept/*.c devices/*.c lib/*.c)) \
	$(wildcard boot/bootinfo.c boot/fault.c boot/options.c boot/low_page.c arch/x86_64/madt.c arch/x86_64/mca.c arch/x86_64/scancode.c vmx/controls.c vmx/speculation.c vmx/entry_check.c vmx/entry_guest.c tests/host/*.c) \
	$(filter-out tests/fuzz/driver.c tests/fuzz/cover.c,$(wildcard tests/fuzz/*.c))
# What runs in the place of Socle, of the same parts: build/mutants.elf, build/faults.elf.
MUTANT_C := $(wildcard tests/mutants/*.c)
MUTANT_O := $(filter-out $(B)/target/boot/kmain.o,$(TARGET_C:%.c=$(B)/target/%.o) $(TARGET_S:%.asm=$(B)/target/%.asm.o)) \
	$(MUTANT_C:%.c=$(B)/target/%.o) $(patsubst %.asm,$(B)/target/%.asm.o,$(wildcard tests/mutants/*.asm))
FAULT_C  := $(wildcard tests/faults/*.c)
FAULT_O  := $(filter-out $(B)/target/boot/fault.o,$(TARGET_C:%.c=$(B)/target/%.o) $(TARGET_S:%.asm=$(B)/target/%.asm.o)) \
	$(FAULT_C:%.c=$(B)/target/%.o) $(patsubst %.asm,$(B)/target/%.asm.o,$(wildcard tests/faults/*.asm))
HEADERS  := $(wildcard boot/*.h vmx/*.h arch/x86_64/*.h vm/*.h ept/*.h devices/*.h lib/*.h \
	guests/lib/*.h tests/mutants/*.h tests/faults/*.h tests/host/*.h tests/fuzz/*.h)
ALL_C    := $(wildcard boot/*.c vmx/*.c arch/x86_64/*.c vm/*.c ept/*.c devices/*.c lib/*.c \
	guests/*/*.c tests/mutants/*.c tests/faults/*.c tests/host/*.c tests/unit/*.c tests/fuzz/*.c tests/bench/*.c)

TARGET_O := $(TARGET_C:%.c=$(B)/target/%.o) $(TARGET_S:%.asm=$(B)/target/%.asm.o)
PLAIN_O  := $(PLAIN_C:%.c=$(B)/host/%.o)
UNIT     := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
OFFSETS  := $(wildcard vmx/offsets.c arch/x86_64/offsets.c)
GEN      := $(B)/gen/font.h $(B)/gen/kernelrom.h $(if $(wildcard vm/dsdt.asl),$(B)/gen/dsdt.h) \
	$(if $(OFFSETS),$(B)/gen/offsets.inc)

# A unit test's libraries beyond cmocka: LIBS_test_X.
LIBS_test_insn := -lZydis
LIBS_test_disasm := -lZydis
LIBS_test_corpus := -lZydis

# Quiet by default: `  CC      vmx/exit.c`; V=1 shows the commands instead.
ifeq ($(V),1)
Q :=
say =
else
Q := @
say = @printf '  %-7s %s\n' '$1' '$2'
endif

# Objects depend on build/flags/NAME, which is written anew only when the flags have changed.
same  = $(and $(findstring x$1x,x$2x),$(findstring x$2x,x$1x))
keep  = $(if $(call same,$2,$(file <$(B)/flags/$1)),,$(file >$(B)/flags/$1,$2))
CC_ID := $(CC) $(shell $(CC) -dumpversion)
$(shell mkdir -p $(B)/flags)
# What exits run through is compiled for speed, all else for a small image.
FAST_C := $(filter-out vmx/exit.c vmx/exit_task.c,$(wildcard vmx/exit*.c)) vmx/events.c vmx/run.c vmx/switch.c \
	vmx/virtual_apic.c vmx/msr.c \
	vm/memory.c vm/sched.c vm/vcpu.c devices/bus.c \
	arch/x86_64/lapic.c arch/x86_64/traps.c arch/x86_64/fpu.c lib/string.c lib/timer.c
FAST_C := $(wildcard $(FAST_C))

# Where the bytes of guests and of files are taken apart, every array on the stack is guarded, and
# every variable whose address is taken: 1.6 KB. Elsewhere arrays of uint8_t are (GCC loses sight of
# those of char in LTO), for 1 KB. Guarding all like the first would be 11 KB.
GUARDED_C := $(wildcard vm/emulate*.c vm/load_*.c vm/elf.c vmx/exit_task.c)

# The words, if this compiler knows them: they are GCC's.
known = $(shell echo | $(CC) -Werror $1 -E - >/dev/null 2>&1 && echo '$1')
# Padding between blocks and tables costs a twentieth of the image, and no CPU needs it here.
UNALIGNED := $(call known,-falign-loops=1 -falign-jumps=1 -malign-data=abi -mpreferred-stack-boundary=3)
# At -Oz GCC still inlines, clones, hoists and threads where that makes code larger: 3 KB in all.
SMALL := -Oz -falign-functions=1 -fno-jump-tables $(call known,-fno-inline-functions-called-once \
	-fno-ipa-sra -fno-move-loop-invariants -fno-shrink-wrap -fno-if-conversion -fno-thread-jumps \
	-fno-tree-dominator-opts)

$(call keep,target,$(CC_ID) $(CFLAGS) $(SMALL) $(UNALIGNED) $(FAST_C) $(GUARDED_C))
$(call keep,host,$(CC_ID) $(HOSTCFLAGS))
$(call keep,guest,$(CC_ID) $(GUEST_CFLAGS))
$(call keep,asm,$(NASM) $(ASFLAGS))
$(call keep,link,$(CC_ID) $(CFLAGS) $(TARGET_O))
$(call keep,plain,$(PLAIN_O))

.PHONY: all unit fuzz coverage iso test-files check objects
all: $(B)/socle.elf $(B)/socle.symbols
	@:

## The hypervisor

$(FAST_C:%.c=$(B)/target/%.o): OPTIMIZE := -O2
$(GUARDED_C:%.c=$(B)/target/%.o): GUARD_ALL := -fstack-protector-strong
$(B)/target/%.o: %.c $(B)/flags/target | $(GEN)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(GUARD_ALL) $(or $(OPTIMIZE),$(SMALL)) $(UNALIGNED) -MMD -MP -c $< -o $@

$(B)/target/%.asm.o: %.asm $(B)/flags/asm | $(GEN)
	$(call say,NASM,$<)
	@mkdir -p $(@D)
	$(Q)$(NASM) -f elf64 $(ASFLAGS) -MD $(@:.o=.d) -MP $< -o $@

# offsets.c holds .ascii "->NAME %0" for each constant that assembly needs.
$(B)/gen/%-offsets.s: %/offsets.c $(B)/flags/target | $(filter %.h,$(GEN))
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -fno-lto -MMD -MP -MT $@ -MF $(B)/gen/$*-offsets.d -S $< -o $@

$(B)/gen/offsets.inc: $(OFFSETS:%/offsets.c=$(B)/gen/%-offsets.s)
	$(call say,GEN,$@)
	$(Q)sed -nE 's/^.*->([A-Za-z_][A-Za-z0-9_]*) [$$]?(-?[0-9]+).*/%define \1 \2/p' $^ >$@
	$(Q)[ -s $@ ]

# NASM's dependency files leave out what it finds by -I.
$(filter $(B)/target/vmx/%.asm.o,$(TARGET_O)): $(if $(OFFSETS),$(B)/gen/offsets.inc)

$(B)/gen/dsdt.h: vm/dsdt.asl
	$(call say,IASL,$<)
	@mkdir -p $(@D)
	$(Q)iasl -we -vs -p $(B)/gen/dsdt $< >$(B)/gen/dsdt.log || { cat $(B)/gen/dsdt.log; exit 1; }
	$(Q){ echo '/* Generated from $<. */'; echo '#include <stdint.h>'; echo 'static const uint8_t dsdt_aml[] = {'; \
		od -An -v -tx1 $(B)/gen/dsdt.aml | sed 's/ \(..\)/ 0x\1,/g'; echo '};'; } >$@

# Byte 5 makes the sum 0.
$(B)/gen/kernelrom.h: vm/kernelrom.asm
	$(call say,NASM,$<)
	@mkdir -p $(@D)
	$(Q)$(NASM) -f bin -w+all -Werror $< -o $(B)/gen/kernelrom.bin
	$(Q){ echo '/* Generated from $<. */'; echo '#include <stdint.h>'; echo 'static const uint8_t kernelrom[] = {'; \
		od -An -v -tu1 $(B)/gen/kernelrom.bin | awk '{ for (i = 1; i <= NF; i++) { sum += $$i; byte[n++] = $$i } } \
			END { byte[5] = (256 - sum % 256) % 256; for (i = 0; i < n; i++) print byte[i] ","; print "};" }'; } >$@

FONT ?= /usr/share/grub/unicode.pf2
$(B)/gen/font.h: tools/mkfont $(FONT)
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)tools/mkfont $(FONT) >$@

# GCC optimises the whole program here: it sees then that some fields are set in one function and
# read in another under the same condition only, and takes them for uninitialised.
# Sections are on pages in memory (linker.ld); in the file that would only be padding.
LINK = $(Q)$(CC) $(CFLAGS) -flto=auto -flto-partition=one -Wno-maybe-uninitialized $(UNALIGNED) -nostdlib -static -Wl,--build-id=none -Wl,--gc-sections -Wl,-z,noexecstack -Wl,-z,max-page-size=64 -T linker.ld

$(B)/socle.debug: $(TARGET_O) linker.ld $(B)/flags/link
	$(call say,LD,$@)
	$(LINK) $(TARGET_O) -o $@

# What GCC makes of a function for one caller keeps its name; NASM's local labels have a dot inside.
$(B)/socle.symbols: $(B)/socle.debug
$(B)/faults.symbols: $(B)/faults.elf
$(B)/%.symbols: tools/mkframes
	$(call say,NM,$@)
	$(Q)nm -n --defined-only $(filter-out tools/%,$^) | sed -nE 's/(\.(lto_priv|constprop|isra|part|cold)(\.[0-9]+)?)+$$//; s/^0{8}([0-9a-f]{8} [tT] [^.]+)$$/\1/p' >$@
	$(Q)[ -s $@ ]
	$(Q)tools/mkframes $(filter-out tools/%,$^) >>$@

$(B)/socle.elf: $(B)/socle.debug
	$(call say,STRIP,$@)
	$(Q)$(OBJCOPY) --strip-all $< $@

# The mutation test of the VM-entry checks: docs/entry-check.md.
$(B)/mutants.elf: $(MUTANT_O) linker.ld $(B)/flags/link
	$(call say,LD,$@)
	$(LINK) $(MUTANT_O) -o $@

# Socle, but for boot/fault.c: what boot option fault= makes.
$(B)/faults.elf: $(FAULT_O) linker.ld $(B)/flags/link
	$(call say,LD,$@)
	$(LINK) $(FAULT_O) -o $@

## Unit tests

$(B)/host/%.o: %.c $(B)/flags/host | $(GEN)
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOSTCFLAGS) -MMD -MP -c $< -o $@

$(B)/host/libsocle.a: $(PLAIN_O) $(B)/flags/plain
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)ar rcs $@ $(PLAIN_O)

$(B)/unit/%: tests/unit/%.c $(B)/host/libsocle.a $(B)/flags/host
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(HOSTCFLAGS) -MMD -MP -MF $@.d $< $(B)/host/libsocle.a -lcmocka $(LIBS_$(*F)) -o $@

unit: $(UNIT)
	@:

## Fuzzing: libFuzzer over all plain C. What it finds goes to build/fuzz/, and from there into the
## corpus by hand; the corpus of the tree it only reads.

FUZZ_TARGETS := $(shell sed -nE 's/^\tX\(([a-z]+)\).*/\1/p' tests/fuzz/fuzz.h)
FUZZ_CFLAGS  := -std=c11 -O1 -g $(WARN) -I. -I$(B) -fsanitize=address,undefined \
	-fno-sanitize-recover=all
FUZZ_O       := $(patsubst %.c,$(B)/fuzz/obj/%.o,$(PLAIN_C))

$(B)/fuzz/obj/%.o: %.c | $(GEN)
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

$(B)/fuzz/libsocle.a: $(FUZZ_O) $(B)/flags/plain
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)ar rcs $@ $(FUZZ_O)

$(FUZZ_TARGETS:%=$(B)/fuzz/%): $(B)/fuzz/%: tests/fuzz/driver.c $(B)/fuzz/libsocle.a
	$(call say,FUZZ,$@)
	$(Q)clang $(FUZZ_CFLAGS) -fsanitize=fuzzer -DFUZZ=fuzz_$* $^ -lZydis -o $@

$(FUZZ_TARGETS:%=$(B)/fuzz/%.cover): $(B)/fuzz/%.cover: tests/fuzz/cover.c $(B)/fuzz/libsocle.a
	$(call say,FUZZ,$@)
	$(Q)clang $(FUZZ_CFLAGS) -DFUZZ=fuzz_$* $^ -lZydis -o $@

# T=all: each in its turn.
FUZZ_T := $(if $(filter all,$(T)),$(FUZZ_TARGETS),$(T))
fuzz: $(FUZZ_T:%=$(B)/fuzz/%)
	@tests/fuzz/seeds $(B)/fuzz/seeds
	$(Q)for t in $(FUZZ_T); do \
		mkdir -p $(B)/fuzz/$$t.corpus; \
		$(B)/fuzz/$$t -max_total_time=$(SECONDS) -max_len=4096 -timeout=10 \
			-artifact_prefix=$(B)/fuzz/$$t- -print_final_stats=1 $(B)/fuzz/$$t.corpus \
			$$(ls -d tests/fuzz/corpus/$$t $(B)/fuzz/seeds/$$t 2>/dev/null) || exit 1; \
	done

## Coverage: the unit tests, among them the corpora, with gcc's counters.

coverage:
	@$(MAKE) --no-print-directory -f rules.mk B=$(B)/coverage unit \
		HOSTCFLAGS='-std=c11 -O0 -g $(WARN) -I. -I$(B)/coverage --coverage'
	@tools/coverage $(B)/coverage $(if $(LINES),--lines)

## Guests

# guests/NAME/ holds C and NASM for build/guests/NAME.elf, a Multiboot 1 kernel over guests/lib:
# 32-bit C, or 64-bit C where NAME ends in 64. A start.asm of its own replaces the library's.
GUESTS := $(sort $(filter-out lib linux flat,$(patsubst guests/%/,%, \
	$(dir $(wildcard guests/*/*.c guests/*/*.asm)))))
guest_bits = $(if $(filter %64,$1),64,32)
guest_asm  = $(wildcard guests/$1/*.asm) $(if $(wildcard guests/$1/start.asm),, \
	guests/lib/start.asm) $(filter-out guests/lib/start.asm,$(wildcard guests/lib/*.asm))
guest_objs = $(addprefix $(B)/guests/$(guest_bits)/,$(patsubst %.c,%.o,$(wildcard guests/$1/*.c \
	guests/lib/*.c)) $(patsubst %.asm,%.asm.o,$(guest_asm)))
guest_ld   = $(firstword $(wildcard guests/$1/guest.ld) guests/guest.ld)
# Flat images, and one kernel in the forms in which loaders may get it.
FLAT_BINS  := $(addprefix $(B)/guests/,flat16.bin flat32.bin flat64.bin moved.bin boots.bin boots64.elf)
GUEST_ELFS := $(GUESTS:%=$(B)/guests/%.elf) $(FLAT_BINS)

define guest_bits_rules
$(B)/guests/$1/%.o: %.c $(B)/flags/guest
	$$(call say,CC -m$1,$$<)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -m$1 -MMD -MP -c $$< -o $$@

$(B)/guests/$1/%.asm.o: %.asm $(B)/flags/asm
	$$(call say,NASM,$$<)
	@mkdir -p $$(@D)
	$(Q)$(NASM) -f elf$1 $(ASFLAGS) -DBITS=$1 -MD $$(@:.o=.d) -MP $$< -o $$@
endef
$(eval $(call guest_bits_rules,32))
$(eval $(call guest_bits_rules,64))

# A Multiboot loader wants ELF32, whatever code is inside.
define guest_rule
$(call keep,guest-$1,$(guest_objs))
$(B)/guests/$1.elf: $(guest_objs) $(guest_ld) $(B)/flags/guest-$1
	$$(call say,LD,$$@)
	$(Q)$(LD) -m $(if $(filter 64,$(guest_bits)),elf_x86_64,elf_i386) $(LDFLAGS) \
		--no-warn-rwx-segments -T $(guest_ld) $(guest_objs) -o $$@.full
	$(Q)$(OBJCOPY) --strip-all -O elf32-i386 $$@.full $$@
endef
$(foreach guest,$(GUESTS),$(eval $(call guest_rule,$(guest))))

$(B)/guests/flat%.bin: guests/flat/flat.asm
	$(call say,NASM,$@)
	@mkdir -p $(@D)
	$(Q)$(NASM) -f bin -w+all -Werror -DMODE=$* $< -o $@

$(B)/guests/moved.bin: guests/flat/moved.asm
	$(call say,NASM,$@)
	@mkdir -p $(@D)
	$(Q)$(NASM) -f bin -w+all -Werror $< -o $@

$(B)/guests/boots.bin: $(B)/guests/boots.elf
	$(Q)$(OBJCOPY) -O binary $<.full $@

$(B)/guests/boots64.elf: $(B)/guests/boots.elf
	$(Q)$(OBJCOPY) -O elf64-x86-64 $<.full $@

# Linux: Debian's kernel, fetched once, or LINUX=FILE; and an initramfs of BusyBox.
LINUX_FILES := $(B)/debian/vmlinuz $(B)/guests/linux/initrd.cpio

ifdef LINUX
$(B)/debian/vmlinuz: $(LINUX)
	@mkdir -p $(@D)
	$(Q)cp $< $@
else
$(B)/debian/vmlinuz:
	$(Q)guests/linux/fetch linux-image-cloud-amd64 $@
endif

# The stock kernel, with which the reference figures were measured.
$(B)/debian/vmlinuz-stock:
	$(Q)guests/linux/fetch linux-image-amd64 $@

# Kernels that others start by other protocols; and Linux' ELF file out of its bzImage, for PVH.
$(B)/debian/memtest86+%.bin:
	$(Q)guests/linux/fetch memtest86+:boot/$(@F) $@

$(B)/debian/xen:
	$(Q)guests/linux/fetch xen-hypervisor-4.17-amd64:boot/xen-4.17-amd64.gz $@

$(B)/debian/u-boot.rom:
	$(Q)guests/linux/fetch u-boot-qemu:usr/lib/u-boot/qemu-x86_64/u-boot.rom $@

$(B)/debian/ipxe.iso:
	$(Q)guests/linux/fetch ipxe:usr/lib/ipxe/ipxe.iso $@

$(B)/debian/vmlinuz-6.12:
	$(Q)guests/linux/fetch linux-image-6.12-cloud-amd64 $@

$(B)/debian/vmlinux%: $(B)/debian/vmlinuz% guests/linux/vmlinux
	$(call say,VMLINUX,$@)
	$(Q)guests/linux/vmlinux $< $@

DEBIAN_FILES := $(B)/guests/linux/modules.cpio $(addprefix $(B)/debian/,vmlinuz vmlinuz-stock vmlinux-stock \
	vmlinuz-6.12 vmlinux-6.12 memtest86+x64.bin memtest86+ia32.bin xen \
	u-boot.rom ipxe.iso)

$(B)/guests/linux/ticks: guests/linux/ticks.c $(B)/flags/guest
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -nostdlib -static -s $< -o $@

$(B)/guests/linux/initrd.cpio: guests/linux/mkinitramfs guests/linux/init \
		tools/soclelib/cpio.py $(B)/guests/linux/ticks
	$(call say,CPIO,$@)
	$(Q)guests/linux/mkinitramfs -o $@ --init guests/linux/init \
		busybox=$$(command -v busybox) ticks=$(B)/guests/linux/ticks

# The stock kernel has its drivers for disks and mice as modules; this one comes with them.
MODULES := scsi_common scsi_mod libata ata_piix crct10dif_common crc-t10dif crc64 \
	crc64-rocksoft t10-pi sd_mod cdrom sr_mod psmouse

$(B)/debian/modules/vmlinuz:
	$(Q)guests/linux/fetch linux-image-amd64 $@ $(MODULES)

$(B)/guests/linux/modules.cpio: guests/linux/mkinitramfs guests/linux/init tools/soclelib/cpio.py \
		$(B)/guests/linux/ticks $(B)/debian/modules/vmlinuz
	$(call say,CPIO,$@)
	$(Q)guests/linux/mkinitramfs -o $@ --init guests/linux/init \
		busybox=$$(command -v busybox) ticks=$(B)/guests/linux/ticks \
		$(foreach m,$(MODULES),$m.ko=$(B)/debian/modules/$m.ko)

## The ISO

$(call keep,iso,$(VM) $(SOCLE_ARGS))
iso: $(B)/socle.iso
	@:

$(B)/socle.iso: $(B)/socle.elf $(B)/socle.symbols $(GUEST_ELFS) $(if $(findstring linux.vm,$(VM)),$(LINUX_FILES)) \
		$(VM) tools/mkiso $(wildcard tools/soclelib/*.py) $(B)/flags/iso
	$(call say,ISO,$@)
	$(Q)tools/mkiso $(VM) --socle-args '$(SOCLE_ARGS)' --depend $(B)/socle.iso.d -o $@

# Without a network the tests that need Debian's kernel are skipped.
test-files: $(UNIT) $(B)/mutants.elf $(B)/socle.elf $(B)/socle.symbols $(B)/faults.elf $(B)/faults.symbols $(GUEST_ELFS) $(B)/guests/linux/initrd.cpio
	@$(MAKE) --no-print-directory -k -f rules.mk $(DEBIAN_FILES) || true

## Checks

# Each check leaves a stamp: what has not changed is not checked again.
FORMAT  := $(patsubst %,$(B)/check/%.format,$(ALL_C) $(HEADERS))
SELF    := $(patsubst %,$(B)/check/%.self,$(HEADERS))
TIDY    := $(patsubst %,$(B)/check/%.tidy,$(TARGET_C))
CPPCHECK_FLAGS := --quiet --std=c11 --error-exitcode=1 --inline-suppr \
	--enable=warning,portability,performance --suppressions-list=.cppcheck -I.

objects: $(TARGET_O) $(PLAIN_O)
	@:

check: all $(UNIT) $(GUEST_ELFS) $(FORMAT) $(SELF) $(TIDY) $(B)/check/house $(B)/check/scripts \
		$(B)/check/cppcheck
	@$(MAKE) --no-print-directory -f rules.mk B=$(B)/clang CC=clang objects
	@size=$$(stat -c %s $(B)/socle.elf); echo "socle.elf: $$size bytes (limit 262144)"; \
		[ $$size -le 262144 ]
	@echo 'check: all clean'

$(B)/check/%.format: % .clang-format
	$(call say,FORMAT,$<)
	@mkdir -p $(@D)
	$(Q)clang-format --dry-run -Werror $<
	@touch $@

# A header compiles on its own, and twice.
$(B)/check/%.self: % $(B)/flags/target | $(GEN)
	$(call say,HEADER,$<)
	@mkdir -p $(@D)
	$(Q)printf '#include "$<"\n#include "$<"\n' | \
		$(CC) $(CFLAGS) -MMD -MP -MT $@ -MF $@.d -fsyntax-only -x c -
	@touch $@

$(B)/check/%.c.tidy: %.c $(B)/target/%.o .clang-tidy
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet --warnings-as-errors='*' $< -- $(CFLAGS) 2>$@.log || \
		{ grep -v 'warnings generated' $@.log; exit 1; }
	@touch $@

$(B)/check/cppcheck: $(TARGET_C) $(HEADERS) .cppcheck $(GEN)
	$(call say,CPPCHK,$(words $(TARGET_C)) files)
	@mkdir -p $(@D)/cppcheck.d
	$(Q)cppcheck $(CPPCHECK_FLAGS) --cppcheck-build-dir=$(@D)/cppcheck.d -I$(B) $(TARGET_C)
	@touch $@

PYTHON := tools/mkiso tools/bench tests/fuzz-guests tools/mkframes tools/coverage tools/kernel-test tests/fuzz/seeds tests/fuzz/minimise guests/linux/vmlinux tools/run tools/mkfont tools/check-house tests/run guests/linux/mkinitramfs \
	$(wildcard tools/soclelib/*.py tests/tools/*.py)
SCRIPTS := tools/deps tools/nested/init guests/linux/fetch guests/linux/init .ci/run

$(B)/check/scripts: $(PYTHON) $(SCRIPTS)
	$(call say,SCRIPTS,$(words $(PYTHON) $(SCRIPTS)) files)
	@mkdir -p $(@D)
	$(Q)pyflakes3 $(PYTHON)
	$(Q)shellcheck -s sh $(SCRIPTS)
	@touch $@

$(B)/check/house: tools/check-house $(ALL_C) $(HEADERS) $(wildcard */*.asm */*/*.asm)
	$(call say,HOUSE,includes and layout)
	@mkdir -p $(@D)
	$(Q)tools/check-house
	@touch $@

-include $(shell find $(B) -path $(B)/clang -prune -o -name '*.d' -type f -print 2>/dev/null)
