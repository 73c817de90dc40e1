# Socle: `make help` lists the targets. Everything built goes to build/.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DELETE_ON_ERROR:
B := build

CC   := gcc
NASM := nasm
LD   := ld

WARN := -Wall -Wextra -Werror -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes
CFLAGS := -std=c11 -O2 -g $(WARN) -I. -I$(B)/gen -ffreestanding -fno-pic -fno-pie -mcmodel=small \
	-mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-omit-frame-pointer \
	-fno-strict-aliasing -fcf-protection=none -fno-asynchronous-unwind-tables
HOSTCFLAGS := -std=c11 -O1 -g $(WARN) -I. -I$(B)/gen -fsanitize=address,undefined \
	-fno-sanitize-recover=all -fno-omit-frame-pointer

# The house: folders that run on the target, and those of them that are plain C (host tests too).
TARGET_C  := $(wildcard boot/*.c vmx/*.c arch/x86_64/*.c vm/*.c ept/*.c devices/*.c lib/*.c)
TARGET_S  := $(wildcard boot/*.asm vmx/*.asm arch/x86_64/*.asm)
PLAIN_C   := $(filter-out lib/string.c,$(wildcard vm/*.c ept/*.c devices/*.c lib/*.c)) boot/bootinfo.c
PLAIN_C   := $(wildcard $(PLAIN_C))

TARGET_O  := $(TARGET_C:%.c=$(B)/target/%.o) $(TARGET_S:%.asm=$(B)/target/%.asm.o)
PLAIN_O   := $(PLAIN_C:%.c=$(B)/host/%.o)
UNIT      := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))

.PHONY: all unit clean
all: $(B)/socle.elf

$(B)/target/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/target/%.asm.o: %.asm
	@mkdir -p $(@D)
	$(NASM) -f elf64 -g -F dwarf -I. -I$(B)/gen/ -MD $(@:.o=.d) -MP $< -o $@

$(B)/socle.elf: $(TARGET_O) linker.ld
	$(LD) -nostdlib -static -z noexecstack -z max-page-size=4096 -T linker.ld $(TARGET_O) -o $@

$(B)/host/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(HOSTCFLAGS) -MMD -MP -c $< -o $@

$(B)/host/libsocle.a: $(PLAIN_O)
	rm -f $@
	ar rcs $@ $^

$(B)/unit/%: tests/unit/%.c $(B)/host/libsocle.a
	@mkdir -p $(@D)
	$(CC) $(HOSTCFLAGS) -MMD -MP $< $(B)/host/libsocle.a -lcmocka $(LIBS_$(*F)) -o $@

# Every unit test program is tests/unit/test_X.c; libraries beyond cmocka: LIBS_test_X.
LIBS_test_insn := -lZydis

unit: $(UNIT)
	@for t in $(UNIT); do $$t || exit 1; done

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
