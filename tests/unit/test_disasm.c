/* SPDX-License-Identifier: MIT */
/*
 * The disassembler against Zydis, over constructed and random encodings in all three modes: what
 * Zydis accepts has the same length, and but for the families that we only name the same text.
 *
 * SOCLE_SEED=N and SOCLE_ROUNDS=N in the environment choose other sequences, and longer ones.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "lib/bits.h"
#include "vm/disasm.h"

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

static uint64_t seed;
static uint64_t rounds = 1000000;
static uint64_t encodings, accepted, compared, families, refused;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545F4914F6CDD1DULL >> 8;
}

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
	fail_msg("%s: mode %d bytes %s: ours '%s' length %u, Zydis '%s' length %u", what,
		 16 << t->mode, code, t->text, t->length, t->valid ? t->theirs : "-",
		 t->zydis.length);
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
		families++;
		REQUIRE(t, t->zydis.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
				   (t->zydis.meta.isa_ext != ZYDIS_ISA_EXT_BASE &&
				    t->zydis.meta.isa_ext != ZYDIS_ISA_EXT_VTX));
		return;
	}
	if (differs(t))
		return;
	compared++;
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
	encodings++;
	run(t);
	t->valid = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoders[t->mode], t->bytes, t->available,
						       &t->zydis, t->operand));
	if (!t->valid) {
		refused += t->length == 0;
		return;
	}
	accepted++;
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

/* Every opcode of four maps with every ModR/M, in each mode, with one prefix of each kind. */
static void test_every_opcode(void **state)
{
	static const uint8_t before[] = {0x90, 0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x48, 0x47};
	struct trial t = {.available = 15};

	(void)state;
	for (unsigned i = 0; i < 0x400 * 256 * ARRAY_SIZE(before); i++) {
		unsigned opcode = i / 256 % 0x400, prefix = before[i / 256 / 0x400];
		size_t n = 0;

		memset(t.bytes, 0x25, sizeof(t.bytes)); /* SIB without base and index */
		if (prefix != 0x90)
			t.bytes[n++] = (uint8_t)prefix;
		if (opcode >= 0x100)
			t.bytes[n++] = 0x0F;
		if (opcode >= 0x200)
			t.bytes[n++] = opcode < 0x300 ? 0x38 : 0x3A;
		t.bytes[n++] = (uint8_t)opcode;
		t.bytes[n] = (uint8_t)i;
		for (t.mode = INSN_MODE_16; t.mode <= INSN_MODE_64; t.mode++)
			check_trial(&t);
	}
}

static void test_by_hand(void **state)
{
	static const struct {
		enum insn_mode mode;
		const char *code;
		unsigned size;
		const char *text;
	} lines[] = {
		{INSN_MODE_64, "\x48\x8B\x44\xCB\x10", 5, "mov rax, [rbx+rcx*8+0x10]"},
		{INSN_MODE_64, "\xEB\xFE", 2, "jmp 0x101000"},
		{INSN_MODE_64, "\x0F\x01\x17", 3, "lgdt [rdi]"},
		{INSN_MODE_64, "\xF3\xA4", 2, "rep movsb"},
		{INSN_MODE_64, "\x65\xF3\xA5", 3, "gs rep movsd"},
		{INSN_MODE_64, "\xF0\x0F\xB1\x0F", 4, "lock cmpxchg [rdi], ecx"},
		{INSN_MODE_64, "\x48\x83\xEC\xF8", 4, "sub rsp, -0x8"},
		{INSN_MODE_64, "\x48\x8B\x05\x09\0\0\0", 7, "mov rax, [0x101010]"},
		{INSN_MODE_64, "\xC6\x45\xFF\xFF", 4, "mov byte [rbp-0x1], 0xff"},
		{INSN_MODE_64, "\x48\xC7\xC0\xFF\xFF\xFF\xFF", 7, "mov rax, -0x1"},
		{INSN_MODE_64, "\xB8\xFF\xFF\xFF\xFF", 5, "mov eax, 0xffffffff"},
		{INSN_MODE_64, "\x6A\xFF", 2, "push -0x1"},
		{INSN_MODE_64, "\x0F\x22\xD8", 3, "mov cr3, rax"},
		{INSN_MODE_64, "\x40\x88\xE0", 3, "mov al, spl"},
		{INSN_MODE_64, "\x88\xE0", 2, "mov al, ah"},
		{INSN_MODE_64, "\x45\x88\xE0", 3, "mov r8b, r12b"},
		{INSN_MODE_64, "\x0F\x28\x47\x10", 4, "sse 0f 28 47 10 [rdi+0x10]"},
		{INSN_MODE_64, "\xD9\xE8", 2, "x87 d9 e8"},
		{INSN_MODE_64, "\xC5\xF8\x77", 3, "vex c5 f8 77"},
		{INSN_MODE_64, "\x8F\xEA\x78\x10\xC1\1\0\0\0", 9, "xop 8f ea 78 10 c1 01 00 00 00"},
		{INSN_MODE_64, "\x06", 1, ""},
		{INSN_MODE_64, "\x0F\x04", 2, ""},
		{INSN_MODE_64, "\x8D\xC0", 2, ""},
		{INSN_MODE_32, "\x06", 1, "push es"},
		{INSN_MODE_32, "\xEA\x78\x56\x34\x12\x08\x00", 7, "jmp far 0x8:0x12345678"},
		{INSN_MODE_32, "\xF7\x05\x78\x56\x34\x12\1\0\0\0", 10,
		 "test dword [0x12345678], 0x1"},
		{INSN_MODE_16, "\x26\x89\x40\xFE", 4, "mov es:[bx+si-0x2], ax"},
		{INSN_MODE_16, "\x67\x66\x8B\x04\x24", 5, "mov eax, [esp]"},
		{INSN_MODE_16, "\xE8\xFD\xEF", 3, "call 0x0"},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		char text[64] = "";
		struct outbuf out;

		outbuf_init(&out, text, sizeof(text) - 1);
		assert_int_equal(disasm((const uint8_t *)lines[i].code, lines[i].size,
					lines[i].mode, 0x101000, &out),
				 lines[i].text[0] ? lines[i].size : 0);
		assert_string_equal(text, lines[i].text);
		assert_int_equal(disasm((const uint8_t *)lines[i].code, lines[i].size - 1,
					lines[i].mode, 0x101000, &out),
				 0);
	}
}

/* The CPU takes no more than 15 bytes. */
static void test_length_limit(void **state)
{
	uint8_t bytes[20];
	char text[64];
	struct outbuf out;

	(void)state;
	outbuf_init(&out, text, sizeof(text));
	memset(bytes, 0x66, sizeof(bytes));
	assert_int_equal(disasm(bytes, sizeof(bytes), INSN_MODE_32, 0, &out), 0);
	bytes[14] = 0x90;
	assert_int_equal(disasm(bytes, sizeof(bytes), INSN_MODE_32, 0, &out), 15);
	bytes[14] = 0xB0; /* an immediate makes sixteen */
	assert_int_equal(disasm(bytes, sizeof(bytes), INSN_MODE_32, 0, &out), 0);
}

static const uint8_t prefix_bytes[] = {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65,
				       0x66, 0x67, 0xF0, 0xF2, 0xF3};

/* Random bytes, and before them up to eleven prefixes, a REX, an escape. */
static void construct(struct trial *t)
{
	static const uint8_t escapes[] = {0xC4, 0xC5, 0x62, 0x8F};
	uint64_t dice = next_random();
	unsigned prefixes = dice % 4 ? dice / 4 % 3 : dice / 4 % 12;
	size_t n = 0;

	for (unsigned i = 0; i < 15; i++)
		t->bytes[i] = (uint8_t)next_random();
	dice >>= 16;
	t->mode = (enum insn_mode)(dice % 3);
	dice /= 3;
	for (; n < prefixes; n++)
		t->bytes[n] = prefix_bytes[next_random() % sizeof(prefix_bytes)];
	if (t->mode == INSN_MODE_64 && dice % 2)
		t->bytes[n++] = (uint8_t)(0x40 | (dice >> 8 & 15));
	if (dice >> 16 & 1)
		t->bytes[n++] = 0x0F;
	else if ((dice >> 17 & 3) == 0)
		t->bytes[n++] = escapes[dice >> 19 & 3];
	t->available = (dice >> 24 & 7) ? 15 : next_random() % 16;
}

static void test_constructed(void **state)
{
	struct trial t = {0};

	(void)state;
	for (uint64_t i = 0; i < rounds; i++) {
		construct(&t);
		check_trial(&t);
	}
	/* The test is worth nothing when it hits nothing. */
	assert_true(compared > rounds / 5);
	assert_true(families > rounds / 20);
	assert_true(refused > rounds / 20);
}

static int setup(void **state)
{
	const char *text = getenv("SOCLE_SEED");

	(void)state;
	seed = text ? strtoull(text, NULL, 0) | 1 : 0x9E3779B97F4A7C15ULL;
	text = getenv("SOCLE_ROUNDS");
	rounds = text ? strtoull(text, NULL, 0) : rounds;
	for (unsigned i = 0; i < 3; i++) {
		ZydisDecoderInit(&decoders[i], machine_mode[i], stack_width[i]);
		ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
	}
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	print_message("# %llu encodings, %llu instructions, %llu compared as text, %llu families\n",
		      (unsigned long long)encodings, (unsigned long long)accepted,
		      (unsigned long long)compared, (unsigned long long)families);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_length_limit),
		cmocka_unit_test(test_every_opcode),
		cmocka_unit_test(test_constructed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
