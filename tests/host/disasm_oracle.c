/* SPDX-License-Identifier: MIT */
/* The disassembler against Zydis. */
#include "tests/host/disasm_oracle.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "lib/bits.h"
#include "lib/panic.h"
#include "vm/disasm.h"

struct disasm_oracle_counts disasm_oracle_counts;

#define ADDRESS 0x1234567887654321

static const ZydisMachineMode machine_mode[3] = {
	ZYDIS_MACHINE_MODE_LEGACY_16,
	ZYDIS_MACHINE_MODE_LEGACY_32,
	ZYDIS_MACHINE_MODE_LONG_64,
};
static const ZydisStackWidth stack_width[3] = {
	ZYDIS_STACK_WIDTH_16,
	ZYDIS_STACK_WIDTH_32,
	ZYDIS_STACK_WIDTH_64,
};
static ZydisDecoder decoders[3];
static ZydisFormatter formatter;

struct trial {
	uint8_t bytes[15];
	size_t available;
	enum insn_mode mode;
	char text[128];
	unsigned length;
	bool valid;
	ZydisDecodedInstruction zydis;
	ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
	char theirs[128];
};

static void fail_trial(const struct trial *t, const char *what)
{
	char code[64] = "";

	for (size_t i = 0; i < t->available; i++)
		sprintf(code + 3 * i, "%02x ", t->bytes[i]);
	panic("%s: mode %d bytes %s: ours '%s' length %u, Zydis '%s' length %u", what,
	      16 << t->mode, code, t->text, t->length, t->valid ? t->theirs : "-", t->zydis.length);
}

#define REQUIRE(t, condition)                      \
	do {                                       \
		if (!(condition))                  \
			fail_trial(t, #condition); \
	} while (0)

/* Takes each `word` out of `text`. */
static void drop(char *text, const char *word)
{
	char *at;

	while ((at = strstr(text, word)))
		memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
}

static const char *const size_words[] = {"xmmword ", "qword ", "dword ", "fword ",
					 "word ",    "tbyte ", "byte "};

static void drop_sizes(char *text)
{
	drop(text, "ptr ");
	for (unsigned i = 0; i < ARRAY_SIZE(size_words); i++)
		drop(text, size_words[i]);
}

static void drop_prefixed_segment(char *text)
{
	if (strchr("ecsdfg", text[0]) && text[1] == 's' && text[2] == ' ')
		memmove(text, text + 3, strlen(text + 3) + 1);
}

/* After an index without a base, where Zydis leaves it out. */
static void drop_zero(char *text)
{
	char *at = strstr(text, "+0x0]");

	if (at)
		memmove(at, at + 4, strlen(at + 4) + 1);
}

/* A number with its sign; `at` is moved beyond. */
static uint64_t number(const char **at)
{
	bool negative = **at == '-';
	char *end;
	uint64_t value = strtoull(*at + (**at == '-' || **at == '+'), &end, 16);

	*at = end;
	return negative ? -value : value;
}

static bool at_number(const char *at)
{
	return !strncmp(at, "0x", 2) || !strncmp(at, "+0x", 3) || !strncmp(at, "-0x", 3);
}

/*
 * Alike, numbers as far as they matter: an address, or the operation's width. In 16-bit mode Zydis
 * cuts all addresses to 16 bits.
 */
static bool alike(const struct trial *t, const char *a, const char *b)
{
	unsigned bytes = t->zydis.operand_width ? t->zydis.operand_width / 8u : 8;
	bool branch = t->zydis.meta.branch_type || t->zydis.mnemonic == ZYDIS_MNEMONIC_XBEGIN;
	uint64_t mask = mask_bytes(t->mode == INSN_MODE_16 && branch ? 2 : bytes);

	while (*a && *b) {
		if (*a == '[')
			mask = mask_bytes(t->mode == INSN_MODE_16 ? 2
								  : t->zydis.address_width / 8u);
		if (*a == ']')
			mask = mask_bytes(bytes);
		if (at_number(a) && at_number(b)) {
			if ((number(&a) ^ number(&b)) & mask)
				return false;
		} else if (*a++ != *b++) {
			return false;
		}
	}
	return *a == *b;
}

static bool is_family(const char *text)
{
	static const char *const names[] = {"x87 ", "sse ", "vex ", "xop ", "sys "};

	if (!strncmp(text, "lock ", 5))
		text += 5;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(text, names[i], 4))
			return true;
	return false;
}

/* Where Zydis says something else than the manuals, or more than we mean to say. */
static bool differs(const struct trial *t)
{
	bool wide = t->zydis.attributes & ZYDIS_ATTRIB_HAS_REX && t->zydis.raw.rex.W;

	switch (t->zydis.mnemonic) {
	case ZYDIS_MNEMONIC_NOP: return t->zydis.opcode < 0x1F; /* operands differ */
	case ZYDIS_MNEMONIC_CLDEMOTE: return true;		/* a NOP to us */
	case ZYDIS_MNEMONIC_WBINVD: return true;		/* WBNOINVD as well */
	case ZYDIS_MNEMONIC_LSL: return wide;			/* source of 32 bits */
	case ZYDIS_MNEMONIC_UD0:				/* width without meaning */
	case ZYDIS_MNEMONIC_UD1: return wide;
	case ZYDIS_MNEMONIC_MOVSXD: return t->zydis.operand_width == 16;
	case ZYDIS_MNEMONIC_RDSSPD: /* without the letter under a prefix 66 */
	case ZYDIS_MNEMONIC_RDSSPQ:
	case ZYDIS_MNEMONIC_INCSSPD:
	case ZYDIS_MNEMONIC_INCSSPQ: return !strchr(t->text, 'p') || t->zydis.operand_width;
	case ZYDIS_MNEMONIC_UMONITOR:
	case ZYDIS_MNEMONIC_SENDUIPI: return true; /* another width of the register */
	default: break;
	}
	/* R13D as a base where there is none: test_insn.c has more on it. */
	return strstr(t->theirs, "r13d") && t->zydis.raw.modrm.mod == 0 &&
	       t->zydis.raw.modrm.rm == 4 && t->zydis.raw.sib.base == 5;
}

/* Segments that Zydis leaves out, as they have no effect there. */
static bool without_segment(const struct trial *t)
{
	return t->zydis.mnemonic == ZYDIS_MNEMONIC_LEA || t->zydis.mnemonic == ZYDIS_MNEMONIC_NOP ||
	       t->zydis.mnemonic == ZYDIS_MNEMONIC_JMP || t->zydis.mnemonic == ZYDIS_MNEMONIC_CALL;
}

/* A size that we print is that of the operand in memory. */
static void check_size(const struct trial *t)
{
	static const struct {
		const char *word;
		unsigned size;
	} sizes[] = {{" byte ", 8}, {" word ", 16}, {" dword ", 32}, {" qword ", 64}};

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (!strstr(t->text, sizes[i].word))
			continue;
		for (unsigned j = 0; j < t->zydis.operand_count; j++)
			if (t->operand[j].type == ZYDIS_OPERAND_TYPE_MEMORY &&
			    t->operand[j].size == sizes[i].size)
				return;
		fail_trial(t, "size");
	}
}

static void check_text(struct trial *t)
{
	static const char *const segments[] = {"es:", "cs:", "ss:", "fs:", "gs:"};
	char ours[128];

	if (is_family(t->text)) {
		disasm_oracle_counts.families++;
		REQUIRE(t, t->zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
				   (t->zydis.meta.isa_ext != ZYDIS_ISA_EXT_BASE &&
				    t->zydis.meta.isa_ext != ZYDIS_ISA_EXT_VTX));
		return;
	}
	if (differs(t))
		return;
	disasm_oracle_counts.compared++;
	check_size(t);
	strcpy(ours, t->text);
	drop_sizes(ours);
	drop_sizes(t->theirs);
	drop_prefixed_segment(ours);
	drop(ours, "ds:"); /* Zydis: when it makes a difference */
	drop(t->theirs, "ds:");
	for (unsigned i = 0; without_segment(t) && i < ARRAY_SIZE(segments); i++) {
		drop(ours, segments[i]);
		drop(t->theirs, segments[i]);
	}
	if (t->zydis.mnemonic == ZYDIS_MNEMONIC_NOP && strchr(t->theirs, ','))
		*strchr(t->theirs, ',') = '\0';
	drop_zero(ours);
	drop(t->theirs, "*1");
	drop(t->theirs, "bnd ");
	drop(t->theirs, "notrack ");
	drop(t->theirs, "xacquire ");
	drop(t->theirs, "xrelease ");
	REQUIRE(t, alike(t, ours, t->theirs));
}

static void run(struct trial *t)
{
	/* Up to the end of an array, so that a sanitizer sees a read beyond. */
	static uint8_t room[15];
	uint8_t *code = room + sizeof(room) - t->available;
	struct outbuf out;

	memcpy(code, t->bytes, t->available);
	outbuf_init(&out, t->text, sizeof(t->text) - 1);
	t->length = disasm(code, t->available, t->mode, ADDRESS, &out);
	t->text[out.length] = '\0';
	REQUIRE(t, !out.cut);
	REQUIRE(t, t->length <= t->available);
	REQUIRE(t, (t->length == 0) == (out.length == 0));
}

static void check_trial(struct trial *t)
{
	disasm_oracle_counts.encodings++;
	run(t);
	t->valid = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoders[t->mode], t->bytes, t->available,
						       &t->zydis, t->operand));
	if (!t->valid) {
		disasm_oracle_counts.refused += t->length == 0;
		return;
	}
	disasm_oracle_counts.accepted++;
	ZydisFormatterFormatInstruction(&formatter, &t->zydis, t->operand,
					t->zydis.operand_count_visible, t->theirs,
					sizeof(t->theirs), ADDRESS, NULL);
	for (char *c = t->theirs; *c; c++)
		*c = (char)tolower(*c);
	/* Xeon Phi's jump on a mask has an opcode of its own kind, and no ModR/M. */
	if (t->zydis.mnemonic == ZYDIS_MNEMONIC_JKZD || t->zydis.mnemonic == ZYDIS_MNEMONIC_JKNZD)
		return;
	REQUIRE(t, t->length == t->zydis.length);
	check_text(t);
}

static void setup(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	for (unsigned i = 0; i < 3; i++) {
		ZydisDecoderInit(&decoders[i], machine_mode[i], stack_width[i]);
		ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
	}
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
}

void disasm_oracle_check(const uint8_t bytes[INSN_BYTES_MAX], size_t available, enum insn_mode mode)
{
	struct trial t = {.available = available, .mode = mode};

	setup();
	memcpy(t.bytes, bytes, available);
	check_trial(&t);
}
