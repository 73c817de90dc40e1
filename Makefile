# Socle: `make help` lists the targets. Everything built goes to build/.
#
# This file holds the commands for people: each first sees to it that the programs it needs are
# there (tools/deps), then has rules.mk build. Nothing here needs a compiler to be read.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
B := build

VM         ?= guests/linux.vm guests/selftest.vm
SOCLE_ARGS ?= at-end=poweroff
ON         ?= auto
RUN_ARGS   ?=
T          ?=

# As many jobs as there are CPUs, unless -j was given.
JOBS  := $(if $(findstring j,$(firstword -$(MAKEFLAGS))),,-j$(shell getconf _NPROCESSORS_ONLN))
BUILD := $(MAKE) $(JOBS) --no-print-directory -f rules.mk VM="$(VM)" SOCLE_ARGS="$(SOCLE_ARGS)"

.NOTPARALLEL:
.PHONY: all iso run test test-long test-matrix test-nested unit fuzz fuzz-guests coverage bench bench-boot bench-check check deps clean distclean help FORCE

all:
	@tools/deps build
	@+$(BUILD) all

iso:
	@tools/deps build run
	@+$(BUILD) iso

# 130 is the way out by the keyboard: no error.
run:
	@tools/deps build run
	@+$(BUILD) iso
	@tools/run --on $(ON) $(RUN_ARGS) $(B)/socle.iso || [ $$? -eq 130 ]

unit:
	@tools/deps build test
	@+$(BUILD) unit
	@tests/run --only unit $(if $(T),'$(T)')

test:
	@tools/deps build run test
	@+$(BUILD) test-files
	@tests/run $(if $(T),'$(T)')

# What the quarter of an hour of `make test` cannot hold.
test-long:
	@tools/deps build run test
	@+$(BUILD) test-files
	@tests/run --long $(if $(T),'$(T)')

# VT-x as each generation of CPUs has it; T='haswell|tigerlake' for some of them.
test-matrix:
	@tools/deps build run test
	@+$(BUILD) test-files
	@tests/run --matrix $(if $(T),'$(T)')

# Under QEMU/KVM: inside Bochs anywhere, and as it is where the machine has nested VT-x.
test-nested:
	@tools/deps build run test
	@+$(BUILD) test-files
	@tests/run --nested $(if $(T),'$(T)')

check:
	@tools/deps build test check
	@+$(BUILD) check

# For minutes, on request; `make test` replays the corpus.
fuzz:
	@tools/deps build test check
	@+$(BUILD) T='$(or $(T),all)' SECONDS=$(or $(SECONDS),60) fuzz

# Hostile guests beside a guarded one: SEEDS=8 of them, the first is SEED=1, with ACTS=3000 each.
fuzz-guests:
	@tools/deps build run
	@+$(BUILD) $(B)/socle.elf $(B)/socle.symbols $(B)/guests/chaos64.elf $(B)/guests/guard64.elf
	@tests/fuzz-guests --seeds $(or $(SEEDS),8) --seed $(or $(SEED),1) --acts $(or $(ACTS),3000)

# What exits and interrupts cost: bare, under Socle, under QEMU/KVM, all in Bochs. HOSTS='socle bare'
# for some; the figures go into the tree.
BENCH_FILES := $(addprefix $(B)/,socle.elf socle.symbols guests/bench64.elf guests/spin.elf)
bench:
	@tools/deps build run
	@+$(BUILD) $(BENCH_FILES)
	@tools/bench run $(HOSTS)

# The same for a boot of Debian's kernel: KERNEL=stock or cloud.
bench-boot:
	@tools/deps build run
	@+$(BUILD) $(B)/socle.elf $(B)/socle.symbols $(B)/guests/linux/initrd.cpio \
		$(B)/debian/vmlinuz$(if $(filter cloud,$(KERNEL)),,-stock)
	@tools/bench boot --kernel $(or $(KERNEL),stock) $(HOSTS)

# Fails when Socle is slower than the tree's figures say.
bench-check:
	@tools/deps build run
	@+$(BUILD) $(BENCH_FILES)
	@tools/bench check

# Lines of devices/, ept/ and the parsers that the fuzzers' corpora reach; LINES=1 names the others.
coverage:
	@tools/deps build test
	@+$(BUILD) LINES='$(LINES)' coverage

deps:
	@tools/deps build run test check

# Keeps what came from the network; distclean does not.
clean:
	@rm -rf $(filter-out $(B)/debian,$(wildcard $(B)/*))

distclean:
	@rm -rf $(B)

# One file, by its name.
$(B)/%: FORCE
	@+$(BUILD) $@

help:
	@echo 'make                the hypervisor: build/socle.elf (build/socle.debug has symbols)'
	@echo 'make iso            build/socle.iso of the descriptions in VM="FILE.vm..."'
	@echo '                    ($(VM))'
	@echo 'make run            boot that ISO with its console here; ON=auto|bochs|kvm|nested|tcg,'
	@echo '                    RUN_ARGS for more options of tools/run'
	@echo 'make test           unit and boot tests; T=PATTERN runs those whose name matches'
	@echo 'make test-long      the boot tests that take longer'
	@echo 'make test-matrix    guests on every model of CPU, with one core and two'
	@echo 'make test-nested    the same under QEMU/KVM: inside Bochs, and directly where there is VT-x'
	@echo 'make unit           unit tests only'
	@echo 'make fuzz           T=NAME|all SECONDS=60: libFuzzer (docs/testing.md; needs clang)'
	@echo 'make fuzz-guests    SEEDS=8 hostile guests beside a guarded one; SEED=FIRST ACTS=3000'
	@echo 'make coverage       lines that the corpora of the fuzzers reach'
	@echo 'make bench          what exits cost: bare, under Socle, under KVM, in one table, which goes into'
	@echo '                    docs/performance.md; HOSTS="socle bare kvm" for some of them'
	@echo 'make bench-boot     the same for a boot of Linux; KERNEL=stock|cloud'
	@echo 'make bench-check    fails when Socle is slower than the figures in the tree'
	@echo 'make check          formatting, headers, house rules, gcc and clang, static analysis'
	@echo 'make deps           install what is missing for all of these, and no more'
	@echo 'make clean          remove what was built; distclean: and what was downloaded'
	@echo 'V=1 shows commands; SOCLE_ARGS="log=debug ..." is the hypervisor'"'"'s command line;'
	@echo 'LINUX=FILE takes another Linux kernel than the one that Debian offers'
