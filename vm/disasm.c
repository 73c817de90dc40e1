/* SPDX-License-Identifier: MIT */
/*
 * Bytes to text, by tables that are text themselves: for each opcode a template, the mnemonic
 * followed by one letter for each operand (kinds[] below says which).
 *
 * An instruction is gone through twice: once for its length, which RIP-relative operands and
 * branches need before the end is read, and once for its text.
 */
#include "vm/disasm.h"

#include <stdbool.h>

#include "lib/bits.h"
#include "lib/string.h"

/* Sizes of operands, by what they depend on; those that depend on nothing are bytes. */
enum {
	SIZE_B, /* a byte when the opcode is even, else the operand size */
	SIZE_BYTE,
	SIZE_WORD,
	SIZE_DWORD = 4,
	SIZE_Y,	       /* 8 bytes with REX.W, else 4: a prefix 66 does not count */
	SIZE_V,	       /* the operand size */
	SIZE_SELECTOR, /* the operand size in a register, a word in memory */
	SIZE_NEAR,     /* of a near branch's target */
	SIZE_FULL,     /* of the mode: 8 or 4 */
};

/* What an operand is. */
enum {
	OPERAND_NONE,	 /* a character of the mnemonic */
	OPERAND_LOW_REG, /* in the opcode's low bits */
	OPERAND_REG,
	OPERAND_RM_REG, /* a register, whatever mod says */
	OPERAND_ACCUMULATOR,
	OPERAND_SIGNED, /* immediate, extended to the operand size */
	OPERAND_UNSIGNED,
	OPERAND_RM, /* its low bits are those of OPERAND_RM_REG */
	OPERAND_RELATIVE,
	OPERAND_OFFSET, /* address without ModR/M */
	OPERAND_FAR,
	OPERAND_WORD, /* DX, CL and 1 */
	OPERAND_PUSHED_SEGMENT,
	OPERAND_MEMORY,
	OPERAND_SEGMENT,
	OPERAND_SYSTEM, /* control and debug registers */
};

#define NEEDS_MODRM                                                                           \
	(1u << OPERAND_REG | 1u << OPERAND_RM_REG | 1u << OPERAND_RM | 1u << OPERAND_MEMORY | \
	 1u << OPERAND_SEGMENT | 1u << OPERAND_SYSTEM)

#define KIND(letter, operand, size) [(letter) - ' '] = (OPERAND_##operand) << 4 | (SIZE_##size)

static const uint8_t kinds[] = {
	KIND('E', RM, V),
	KIND('B', RM, B),
	KIND('L', RM, BYTE),
	KIND('W', RM, WORD),
	KIND('D', RM, DWORD),
	KIND('V', RM, SELECTOR),
	KIND('Y', RM, Y),
	KIND('N', RM, NEAR),
	KIND('Z', RM, FULL),
	KIND('P', RM_REG, FULL),
	KIND('M', MEMORY, V),
	KIND('G', REG, V),
	KIND('R', REG, B),
	KIND('Q', REG, WORD),
	KIND('H', REG, Y),
	KIND('K', REG, FULL),
	KIND('S', SEGMENT, WORD),
	KIND('C', SYSTEM, V),
	KIND('A', ACCUMULATOR, B),
	KIND('X', ACCUMULATOR, V),
	KIND('+', LOW_REG, V),
	KIND('-', LOW_REG, BYTE),
	KIND('$', SIGNED, BYTE),
	KIND('I', SIGNED, B),
	KIND('?', SIGNED, V),
	KIND('#', UNSIGNED, BYTE),
	KIND('U', UNSIGNED, WORD),
	KIND('F', UNSIGNED, V),
	KIND('J', RELATIVE, NEAR),
	KIND('<', RELATIVE, BYTE),
	KIND(')', RELATIVE, V),
	KIND('O', OFFSET, B),
	KIND('>', FAR, V),
	KIND('%', WORD, B),
	KIND('&', WORD, BYTE),
	KIND('=', WORD, WORD),
	KIND('/', PUSHED_SEGMENT, V),
};

/*
 * Before a mnemonic: ! not in 64-bit mode, ^ operands of 64 bits there by default, ' REX.W does
 * not count, " the reg field is 0. In a mnemonic: ` '', d or q for the operand size; ~ b, w, d or q
 * for that of a string; { condition; } one of the eight of group 1; _ 64 with REX.W; | parts the
 * names for operands of 16, 32 and 64 bits. Instead of one: @ and a digit, the group by the reg
 * field, whose operands follow when the group does not say them; * a family (x87, SSE) that has
 * no names here.
 *
 * A table is a list of texts in the order of opcodes; a control character tells for how many.
 */
#define T(text)	  "\1" text
#define X2(text)  "\2" text
#define X3(text)  "\3" text
#define X4(text)  "\4" text
#define X6(text)  "\6" text
#define X7(text)  "\7" text
#define X8(text)  "\10" text
#define X16(text) "\20" text

/* clang-format off */
/* 00..3F is eight times the same; the table has it once, and what stands between. */
static const char one_byte[] =
	X2("}BR") X2("}RB") X2("}AI") T("!push/") T("!pop/")
	X6("") T("!push/") X7("") T("!push/") T("!pop/")
	X6("") T("!push/") T("!pop/")
	X7("") T("!daa") X7("") T("!das")
	X7("") T("!aaa") X7("") T("!aas")
	X8("!inc+") X8("!dec+")
	X8("^push+") X8("^pop+")
	T("!pusha`") T("!popa`") T("!boundGM") T("!arplWQ") X4("")
	T("^push?") T("imulGE?") T("^push$") T("imulGE$") X2("'ins~") X2("'outs~")
	X16("j{<")
	X2("@0BI") T("!@0BI") T("@0E$") X2("testBR") X2("xchgBR")
	X2("movBR") X2("movRB") T("movVS") T("leaGM") T("movSW") T("\"^popE")
	T("nop") X7("xchg+X")
	X2("|") T("!call far>") T("fwait")
	T("^pushf`") T("^popf`") T("sahf") T("lahf")
	X2("movAO") X2("movOA") X2("movs~") X2("cmps~")
	X2("testAI") X2("stos~") X2("lods~") X2("scas~")
	X8("mov-#") X8("mov+F")
	X2("@1B#") T("retU") T("ret") T("!lesGM") T("!ldsGM") X2("\"movBI")
	T("enterU#") T("leave") T("ret farU") T("ret far") T("int3") T("int#") T("!into") T("iret`")
	X2("@1B=") X2("@1B&") T("!aam#") T("!aad#") T("!salc") T("xlat")
	X8("*")
	T("loopne<") T("loope<") T("loop<") T("|<") X2("'inA#") X2("'out#A")
	T("callJ") T("jmpJ") T("!jmp far>") T("jmp<") X2("'inA%") X2("'out%A")
	T("") T("int1") X2("") T("hlt") T("cmc") X2("@2B")
	T("clc") T("stc") T("cli") T("sti") T("cld") T("std") T("@3B") T("@4E");

static const char two_byte[] =
	T("@5") T("@6") T("larGV") T("lslGV") T("") T("syscall") T("clts") T("sysret")
	T("invd") T("wbinvd") T("") T("ud2") T("") T("@;M") T("femms") T("*#")
	X8("*") T("@:M") X7("nopE")
	X2("movPC") X2("movCP") X4("") X8("*")
	T("wrmsr") T("rdtsc") T("rdmsr") T("rdpmc") T("sysenter") T("sysexit") T("") T("getsec")
	X8("")
	X16("cmov{GE")
	X16("*") X16("*")
	X4("*#") X3("*") T("emms") T("vmreadZK") T("vmwriteKZ") X2("*") X4("*")
	X16("j{J")
	X16("set{L")
	T("^push/") T("^pop/") T("cpuid") T("btEG") T("shldEG#") T("shldEG&") X2("*")
	T("^push/") T("^pop/") T("rsm") T("btsEG") T("shrdEG#") T("shrdEG&") T("@9") T("imulGE")
	X2("cmpxchgBR") T("lssGM") T("btrEG") T("lfsGM") T("lgsGM") T("movzxGL") T("movzxGW")
	T("") T("ud1HY") T("@7E#") T("btcEG") T("bsfGE") T("bsrGE") T("movsxGL") T("movsxGW")
	X2("xaddBR") T("*#") T("movntiMH") X3("*#") T("@8M") X8("bswap+")
	X16("*") X16("*") X8("*") X7("*") T("ud0HY");

/* Eight to a group, by the reg field. */
static const char groups[] =
	T("add") T("or") T("adc") T("sbb") T("and") T("sub") T("xor") T("cmp")
	T("rol") T("ror") T("rcl") T("rcr") T("shl") T("shr") T("shl") T("sar")
	X2("testBI") T("not") T("neg") T("mul") T("imul") T("div") T("idiv")
	T("inc") T("dec") X6("")
	T("inc") T("dec") T("callN") T("call farM") T("jmpN") T("jmp farM") T("^pushE") T("")
	T("sldtV") T("strV") T("lldtW") T("ltrW") T("verrW") T("verwW") X2("")
	T("sgdtM") T("sidtM") T("lgdtM") T("lidtM") T("smswV") T("rstorsspM")
	T("lmswW") T("invlpgM")
	X4("") T("bt") T("bts") T("btr") T("btc")
	T("") T("cmpxchg8b") T("") T("xrstors_") T("xsavec_") T("xsaves_") T("vmptrld") T("vmptrst")
	T("fxsave_M") T("fxrstor_M") T("ldmxcsrM") T("stmxcsrM")
	T("xsave_M") T("xrstor_M") T("xsaveopt_M") T("clflushM")
	T("prefetchnta") T("prefetcht0") T("prefetcht1") T("prefetcht2") X4("nop")
	T("prefetch") T("prefetchw") T("prefetchwt1") X4("prefetch") T("prefetch")
	/* CONDITIONS */
	T("o") T("b") T("z") T("be") T("s") T("p") T("l") T("le")
	/* BY_SIZE */
	T("cbw") T("cwde") T("cdqe") T("cwd") T("cdq") T("cqo") T("jcxz") T("jecxz") T("jrcxz");

#define CONDITIONS (12 * 8)
#define BY_SIZE    (CONDITIONS + 8)

/* 0F 01 with ModR/M C0..FF. */
static const char system_calls[] =
	T("") T("vmcall") T("vmlaunch") T("vmresume") T("vmxoff") X3("")
	T("monitor") T("mwait") T("clac") T("stac") X4("")
	T("xgetbv") T("xsetbv") X2("") T("vmfunc") T("xend") T("xtest") T("")
	X16("") X6("") T("rdpkru") T("wrpkru")
	X8("") T("swapgs") T("rdtscp") X6("");
/* clang-format on */

/*
 * What prefixes or the mod field make something else of: opcode, how it is recognised, ModR/M or
 * reg field, template.
 */
#define NEEDS_66    1
#define NEEDS_F3    2
#define NEEDS_F2    3
#define NEEDS	    3
#define MAP_SHIFT   2
#define MATCH_SHIFT 4
#define NEEDS_W	    0x40

/* Bits of ModR/M that do not count: all, none, those of rm, those of mod and rm. */
static const uint8_t any_bits[4] = {0xFF, 0, 0x07, 0xC7};

/* clang-format off */
static const char specials[] =
	T("\x90\x02\xFF" "pause")
	T("\xC6\x10\xF8" "xabort#") T("\xC7\x10\xF8" "xbegin)")
	T("\x09\x06\xFF" "wbnoinvd")
	T("\x1E\x16\xFA" "endbr64") T("\x1E\x16\xFB" "endbr32") T("\x1E\x26\xCF" "rdssp`Y")
	T("\xAE\x26\xC7" "rdfsbaseY") T("\xAE\x26\xCF" "rdgsbaseY")
	T("\xAE\x26\xD7" "wrfsbaseY") T("\xAE\x26\xDF" "wrgsbaseY")
	T("\xAE\x36\xE7" "ptwriteY") T("\xAE\x26\xEF" "incssp`Y")
	T("\xAE\x26\xF7" "umonitorP") T("\xAE\x27\xF7" "umwaitD") T("\xAE\x25\xF7" "tpauseD")
	T("\xAE\x24\xEF" "lfence") T("\xAE\x24\xF7" "mfence") T("\xAE\x24\xFF" "sfence")
	T("\xAE\x36\xF7" "clrssbsyM") T("\xAE\x35\xF7" "clwbM") T("\xAE\x35\xFF" "clflushoptM")
	T("\xB8\x06\xFF" "popcntGE") T("\xBC\x06\xFF" "tzcntGE") T("\xBD\x06\xFF" "lzcntGE")
	T("\xC7\x26\xFF" "rdpidP") T("\xC7\x26\xF7" "senduipiP")
	T("\xC7\x24\xF7" "rdrandE") T("\xC7\x24\xFF" "rdseedE")
	T("\xC7\x74\xCF" "cmpxchg16bM") T("\xC7\x36\xF7" "vmxonM") T("\xC7\x35\xF7" "vmclearM")
	T("\xF0\x0B\xFF" "crc32HL") T("\xF1\x0B\xFF" "crc32HE")
	T("\xF0\x08\xFF" "movbeGM") T("\xF1\x08\xFF" "movbeMG")
	T("\x80\x09\xFF" "inveptKM") T("\x81\x09\xFF" "invvpidKM") T("\x82\x09\xFF" "invpcidKM")
	T("\xF6\x09\xFF" "adcxHY") T("\xF6\x0A\xFF" "adoxHY") T("\xF9\x08\xFF" "movdiriMH");
/* clang-format on */

#define REX_W	      8
#define REX_R	      4
#define REX_X	      2
#define REX_B	      1
#define NO_REGISTER   0xFF
#define RIP	      0xFE

#define OPCODE_ESCAPE 0x0F
#define OPCODE_0F38   0x38
#define OPCODE_0F3A   0x3A
#define OPCODE_EVEX   0x62
#define OPCODE_XOP    0x8F
#define OPCODE_VEX3   0xC4
#define OPCODE_VEX2   0xC5

enum map {
	MAP_ONE_BYTE,
	MAP_0F,
	MAP_0F38,
	MAP_0F3A,
};

/* Prefixes by what they change; the last of each counts. */
static const char prefixes[] = "\x26\x2E\x36\x3E\x64\x65\x66\x67\xF0\xF2\xF3";

enum {
	PREFIX_DATA = 6, /* before it: segments, in their order */
	PREFIX_ADDRESS,
	PREFIX_LOCK,
	PREFIX_REPNE,
	PREFIX_REP,
	PREFIXES,
};

struct line {
	const uint8_t *start, *at, *end;
	struct outbuf *out;
	uint64_t next; /* address of the instruction after this one */
	int64_t displacement;
	uint8_t mode;
	bool wrong; /* no instruction, or more bytes than there are */
	bool modrm_read;
	bool data_prefix, address_prefix, lock; /* in the order of the prefixes */
	uint8_t repeat;				/* PREFIX_REPNE, PREFIX_REP, or 0 */
	uint8_t segment;			/* or NO_REGISTER */
	uint8_t rex;
	uint8_t map;
	uint8_t opcode;
	uint8_t operand_size, address_size;
	uint8_t mod, reg, rm; /* reg and rm with their REX bits */
	uint8_t base, index, scale;
};

static uint64_t next_number(struct line *l, unsigned bytes)
{
	const uint8_t *from = l->at;
	uint64_t value = 0;

	if ((size_t)(l->end - from) < bytes) {
		l->wrong = true;
		return 0;
	}
	l->at += bytes;
	while (bytes--)
		value = value << 8 | from[bytes];
	return value;
}

static uint64_t low_bytes(uint64_t value, unsigned bytes)
{
	unsigned unused = (64 - 8 * bytes) & 63;

	return value << unused >> unused;
}

static int64_t next_signed(struct line *l, unsigned bytes)
{
	unsigned unused = (64 - 8 * bytes) & 63;

	return (int64_t)(next_number(l, bytes) << unused) >> unused;
}

static uint8_t next8(struct line *l)
{
	return (uint8_t)next_number(l, 1);
}

static uint8_t peek(const struct line *l)
{
	return l->at < l->end ? *l->at : 0;
}

/* SDM 'Addressing-Mode Encoding of ModR/M and SIB Bytes'. Returns the bytes of displacement. */
static unsigned read_address(struct line *l)
{
	unsigned bytes = l->mod;
	uint8_t base = l->rm;

	if (l->address_size == 2) {
		if (base < 4)
			l->index = 6 + (base & 1);
		if (base == 6 && !bytes)
			return 2;
		l->base = (uint8_t) "\3\3\5\5\6\7\5\3"[base];
		return bytes;
	}
	bytes = bytes * bytes;
	if (base == 4) {
		uint8_t sib = next8(l);

		l->scale = sib >> 6;
		base = (sib >> 3 & 7) | (l->rex & REX_X) << 2;
		if (base != 4)
			l->index = base;
		base = sib & 7;
	}
	if (base == 5 && !bytes) {
		if (l->rm == 5 && l->mode == INSN_MODE_64)
			l->base = RIP;
		return 4;
	}
	l->base = base | (l->rex & REX_B) << 3;
	return bytes;
}

static void read_modrm(struct line *l)
{
	uint8_t byte;

	if (l->modrm_read)
		return;
	l->modrm_read = true;
	byte = next8(l);
	l->mod = byte >> 6;
	l->rm = byte & 7;
	l->reg = (byte >> 3 & 7) | (l->rex & REX_R) << 1;
	/* Moves to and from control and debug registers have no memory form. */
	if (l->map == MAP_0F && l->opcode >> 2 == 0x20 >> 2)
		l->mod = 3;
	if (l->mod != 3)
		l->displacement = next_signed(l, read_address(l));
	l->rm |= (l->rex & REX_B) << 3;
}

static const char *end_of(const char *text)
{
	while (*text >= ' ')
		text++;
	return text;
}

/* The text of number n. */
static const char *entry(const char *list, unsigned n)
{
	for (;;) {
		unsigned run = (uint8_t)*list++;

		if (n < run)
			return list;
		n -= run;
		list = end_of(list);
	}
}

static const char *find_special(struct line *l)
{
	unsigned prefix = l->repeat ? PREFIX_REP + NEEDS_F3 - l->repeat : l->data_prefix;

	for (const char *at = specials; *at; at = end_of(at)) {
		const uint8_t *key = (const uint8_t *)at + 1;
		unsigned how = key[1], needs = how & NEEDS;
		unsigned any = any_bits[how >> MATCH_SHIFT & 3];

		at += 4;
		if (key[0] != l->opcode || (how >> MAP_SHIFT & 3) != l->map ||
		    (needs && needs != prefix) || (peek(l) | any) != key[2] ||
		    (how & NEEDS_W && !(l->rex & REX_W)))
			continue;
		if (any != 0xFF)
			read_modrm(l);
		return at;
	}
	return NULL;
}

static const char *find_0f(struct line *l)
{
	uint8_t modrm = peek(l), opcode = l->opcode;
	bool prefix = l->data_prefix | l->repeat;

	if (modrm >= 0xC0) {
		/* But for SMSW and LMSW, all of ModR/M is opcode. */
		if (opcode == 0x01 && (modrm & 0x28) != 0x20) {
			const char *found = entry(system_calls, modrm - 0xC0);

			if (prefix || *found < ' ')
				return "*";
			read_modrm(l);
			return found;
		}
		/* Hints name memory; with a register they are NOP. */
		if (opcode == 0x0D || opcode == 0x18)
			return "nopE";
	}
	/* EXTRQ and INSERTQ of SSE4a. */
	if ((opcode & 0xFE) == 0x78 && prefix)
		return opcode & 1 ? "*" : "*##";
	return entry(two_byte, opcode);
}

static const char *find(struct line *l)
{
	uint8_t opcode = l->opcode;
	const char *special = find_special(l);

	if (special)
		return special;
	if (l->map == MAP_0F)
		return find_0f(l);
	if (l->map)
		return l->map == MAP_0F3A ? "*#" : "*";
	if (l->mode == INSN_MODE_64 && opcode == 0x63)
		return "movsxdGD";
	if (opcode < 0x40 && (opcode & 7) < 6)
		opcode &= 7;
	opcode += opcode == 0x90 && l->rex & REX_B; /* XCHG with R8 */
	return entry(one_byte, opcode);
}

static unsigned kind_of(char letter)
{
	unsigned i = (uint8_t)letter - ' ';

	return i < sizeof(kinds) ? kinds[i] : 0;
}

/* In bytes. */
static unsigned size_of(const struct line *l, unsigned size)
{
	unsigned operand = l->operand_size;

	if (size == SIZE_B)
		return l->opcode & 1 ? operand : 1;
	if (size <= SIZE_DWORD)
		return size;
	if (size == SIZE_Y)
		return operand == 8 ? 8 : 4;
	if (size <= SIZE_SELECTOR)
		return operand;
	if (l->mode == INSN_MODE_64)
		return 8;
	return size == SIZE_FULL ? 4 : operand;
}

static void put_char(struct line *l, char c)
{
	outbuf_char(l->out, c);
}

/* To the end or a control character. */
static void put(struct line *l, const char *text)
{
	outbuf_put(l->out, text, (size_t)(end_of(text) - text));
}

static void put_hex(struct line *l, uint64_t value)
{
	outbuf_print(l->out, "0x%llx", (unsigned long long)value);
}

static void put_signed(struct line *l, int64_t value)
{
	if (value < 0) {
		put_char(l, '-');
		value = (int64_t) - (uint64_t)value;
	}
	put_hex(l, (uint64_t)value);
}

static void put_two(struct line *l, const char *pairs, unsigned n)
{
	outbuf_put(l->out, pairs + 2 * n, 2);
}

static void put_register(struct line *l, unsigned n, unsigned size)
{
	static const char names[] = "axcxdxbxspbpsidi";
	unsigned low = size == 1 && (n < 4 || !l->rex);

	if (n >= 8) {
		outbuf_print(l->out, size == 8 ? "r%u" : "r%u%c", n, "?bw?d"[size & 7]);
	} else if (low) {
		put_char(l, names[2 * (n & 3)]);
		put_char(l, n < 4 ? 'l' : 'h');
	} else {
		if (size >= 4)
			put_char(l, size == 4 ? 'e' : 'r');
		put_two(l, names, n);
		if (size == 1)
			put_char(l, 'l');
	}
}

static void put_segment(struct line *l, unsigned n)
{
	put_two(l, "escsssdsfsgs", n);
}

static void put_memory(struct line *l)
{
	const char *plus = "";

	if (l->segment < SEGMENTS) {
		put_segment(l, l->segment);
		put_char(l, ':');
	}
	put_char(l, '[');
	if (l->base < 16) {
		put_register(l, l->base, l->address_size);
		plus = "+";
	}
	if (l->index < 16) {
		put(l, plus);
		put_register(l, l->index, l->address_size);
		if (l->scale)
			outbuf_print(l->out, "*%u", 1u << l->scale);
		plus = "+";
	}
	if (l->base < 16) {
		if (l->displacement > 0)
			put(l, plus);
		if (l->displacement)
			put_signed(l, l->displacement);
	} else {
		if (l->base == RIP)
			l->displacement += (int64_t)l->next;
		put(l, plus);
		put_hex(l, low_bytes((uint64_t)l->displacement, l->address_size));
	}
	put_char(l, ']');
}

static void put_immediate(struct line *l, unsigned size)
{
	put_hex(l, next_number(l, size));
}

/* `sized`: a register among the operands tells the size of what lies in memory. */
static void put_operand(struct line *l, unsigned kind, bool sized)
{
	unsigned class = kind >> 4, size = size_of(l, kind & 15), bytes = MIN(size, 4u);
	uint8_t number[] = {0, (l->opcode & 7) | (l->rex & REX_B) << 3, l->reg, l->rm};

	if (class == OPERAND_MEMORY || (class == OPERAND_RM && l->mod != 3)) {
		l->wrong |= l->mod == 3;
		if (class == OPERAND_RM && !sized)
			put(l, entry("\2byte \1word \5dword \1qword ",
				     (kind & 15) == SIZE_SELECTOR ? 2 : size));
		put_memory(l);
	} else if (class <= OPERAND_ACCUMULATOR || class == OPERAND_RM) {
		put_register(l, number[class & 3], size);
	} else if (class == OPERAND_SIGNED) {
		/* What the CPU extends has a sign, other immediates are bits. */
		if ((kind & 15) == SIZE_BYTE || size == 8)
			put_signed(l, next_signed(l, bytes));
		else
			put_immediate(l, bytes);
	} else if (class == OPERAND_UNSIGNED) {
		put_immediate(l, size);
	} else if (class == OPERAND_RELATIVE) {
		uint64_t target = (uint64_t)next_signed(l, bytes) + l->next;

		put_hex(l, low_bytes(target, size_of(l, SIZE_NEAR)));
	} else if (class == OPERAND_OFFSET) {
		l->displacement = next_signed(l, l->address_size);
		put_memory(l);
	} else if (class == OPERAND_FAR) {
		uint64_t offset = next_number(l, size);

		put_immediate(l, 2);
		put_char(l, ':');
		put_hex(l, offset);
	} else if (class == OPERAND_WORD) {
		put(l, entry("\1"
			     "dx"
			     "\1"
			     "cl"
			     "\1"
			     "0x1",
			     kind & 15));
	} else if (class == OPERAND_SYSTEM) {
		outbuf_print(l->out, "%cr%u", l->opcode & 1 ? 'd' : 'c', l->reg);
	} else {
		unsigned n = (class == OPERAND_SEGMENT ? l->reg : l->opcode >> 3) & 7;

		l->wrong |= n >= SEGMENTS;
		put_segment(l, n);
	}
}

/* Puts the mnemonic; returns where its operands begin. */
static const char *put_mnemonic(struct line *l, const char *text)
{
	unsigned opcode = l->opcode, size = l->operand_size, word;

	for (; *text >= ' ' && !kind_of(*text); text++) {
		char c = *text;

		if (c < '_') {
			put_char(l, c);
			continue;
		}
		if (c == '_') {
			if (size == 8)
				put(l, "64");
		} else if (c == '~' || c == '`') {
			if (c == '~')
				size = size_of(l, SIZE_B);
			if (c == '~' || size > 2)
				put_char(l, "?bw?d???q"[size]);
		} else if (c == '{') {
			if (opcode & 1)
				put_char(l, 'n');
			put(l, entry(groups, CONDITIONS + (opcode >> 1 & 7)));
		} else if (c == '}') {
			put(l, entry(groups, opcode >> 3));
		} else if (c == '|') {
			word = opcode == 0xE3 ? 6 + l->address_size / 3u
					      : (opcode & 1) * 3 + size / 3;
			put(l, entry(groups, BY_SIZE + word));
		} else {
			put_char(l, c);
		}
	}
	return text;
}

/* Where names would fill a book: the bytes, and what lies in memory. */
static void put_family(struct line *l, const char *name, unsigned immediate, bool scaled)
{
	next_number(l, immediate);
	put(l, name);
	for (const uint8_t *at = l->start; at < l->at; at++)
		outbuf_print(l->out, " %02x", *at);
	if (l->mod != 3 && !scaled) {
		put_char(l, ' ');
		put_memory(l);
	}
}

static void put_operands(struct line *l, const char *letters)
{
	unsigned sizes = 0;
	char separator = ' ';

	for (const char *at = letters; *at >= ' '; at++) {
		unsigned kind = kind_of(*at), class = kind >> 4;

		if (NEEDS_MODRM >> class & 1)
			read_modrm(l);
		if (class == OPERAND_RM)
			sizes |= 1u << (kind & 15);
		if (class == OPERAND_REG)
			sizes |= 0x10000u << (kind & 15);
	}
	for (; *letters >= ' '; letters++) {
		if (separator == ',')
			put_char(l, separator);
		put_char(l, ' ');
		put_operand(l, kind_of(*letters), sizes & sizes >> 16);
		separator = ',';
	}
}

/* REP before what it repeats, and the source's segment, which has no operand to stand at. */
static void put_string_prefixes(struct line *l)
{
	bool compares = (l->opcode & 0xF6) == 0xA6;

	if (l->segment < SEGMENTS) {
		put_segment(l, l->segment);
		put_char(l, ' ');
	}
	if (l->repeat)
		put(l, l->repeat == PREFIX_REPNE ? "repne " : compares ? "repe " : "rep ");
}

/* Obeys what stands before a mnemonic; `operands` are the group's. */
static const char *resolve(struct line *l, const char *text, const char **operands)
{
	bool wide = l->mode == INSN_MODE_64;

	for (;; text++) {
		char c = *text;

		if (c == '!') {
			l->wrong |= wide;
		} else if (c == '^') {
			if (wide && l->operand_size == 4)
				l->operand_size = 8;
		} else if (c == '\'') {
			l->operand_size = MIN(l->operand_size, 4);
		} else if (c == '"' || c == '@') {
			read_modrm(l);
			if (c == '"') {
				l->wrong |= (l->reg & 7) != 0;
				continue;
			}
			*operands = text + 2;
			text = entry(groups, (text[1] - '0') * 8u + (l->reg & 7)) - 1;
		} else {
			return text;
		}
	}
}

static void put_instruction(struct line *l)
{
	const char *operands = "";
	const char *text = resolve(l, find(l), &operands);

	l->wrong |= *text < ' ';
	if (l->lock)
		put(l, "lock ");
	if (*text == '*') {
		read_modrm(l);
		put_family(l,
			   !l->map	    ? "x87"
			   : l->opcode == 1 ? "sys"
					    : "sse",
			   (unsigned)(end_of(text) - text) - 1, false);
		return;
	}
	if (end_of(text)[-1] == '~')
		put_string_prefixes(l);
	text = put_mnemonic(l, text);
	put_operands(l, *text >= ' ' ? text : operands);
}

/* By the second byte: in other modes than 64-bit, LES, LDS and BOUND have no register form. */
static bool is_vector(const struct line *l)
{
	uint8_t second = peek(l);

	if (l->opcode == OPCODE_XOP)
		return (second & 0x1F) >= 8;
	return (l->opcode == OPCODE_EVEX || (l->opcode & 0xFE) == OPCODE_VEX3) &&
	       (l->mode == INSN_MODE_64 || second >= 0xC0);
}

/* VEX and its like: three bytes for VEX and XOP, two for the short VEX, four for EVEX. */
static void put_vector(struct line *l)
{
	unsigned escape = l->opcode, bytes = escape == OPCODE_VEX2   ? 1
					     : escape == OPCODE_EVEX ? 3
								     : 2;
	unsigned payload = (unsigned)next_number(l, bytes), opcode = next8(l), map, immediate;

	map = bytes == 1 ? 1 : payload & (bytes == 3 ? 7 : 0x1F);
	if (l->mode == INSN_MODE_64)
		l->rex = ~payload >> 5 & (bytes == 1 ? REX_R : REX_R | REX_X | REX_B);
	if (opcode != 0x77 || bytes == 3) /* VZEROUPPER */
		read_modrm(l);
	/* Those of the 0F map have immediates where SSE has them. */
	immediate = map == 1	? end_of(entry(two_byte, opcode))[-1] == '#'
		    : map == 10 ? 4
				: map == 3 || map == 8;
	/* EVEX scales displacements, and gathers have vectors of indices. */
	put_family(l, escape == OPCODE_XOP ? "xop" : "vex", immediate,
		   bytes == 3 || (map == 2 && opcode >> 2 == 0x90 >> 2));
}

/* Reads up to the opcode's first byte. A REX counts only if it comes last. */
static void read_prefixes(struct line *l)
{
	for (;; l->rex = 0) {
		uint8_t byte = next8(l);
		unsigned which = 0;

		while ((byte & 0xF0) == 0x40 && l->mode == INSN_MODE_64) {
			l->rex = byte;
			byte = next8(l);
		}
		l->opcode = byte;
		while ((uint8_t)prefixes[which] != byte)
			if (++which == PREFIXES)
				return;
		if (which < PREFIX_DATA) {
			if (which >= SEGMENT_FS || l->mode != INSN_MODE_64)
				l->segment = (uint8_t)which;
		} else if (which >= PREFIX_REPNE) {
			l->repeat = (uint8_t)which;
		} else {
			(&l->data_prefix)[which - PREFIX_DATA] = true;
		}
	}
}

static void put_line(struct line *l)
{
	read_prefixes(l);
	l->operand_size = (l->mode == INSN_MODE_16) == l->data_prefix ? 4 : 2;
	if (l->rex & REX_W)
		l->operand_size = 8;
	l->address_size = 2 << l->mode;
	if (l->address_prefix)
		l->address_size = l->address_size == 4 ? 2 : 4;
	if (is_vector(l)) {
		put_vector(l);
		return;
	}
	if (l->opcode == OPCODE_ESCAPE) {
		l->opcode = next8(l);
		l->map = MAP_0F;
		if ((l->opcode & 0xFD) == OPCODE_0F38) {
			l->map = MAP_0F38 + (l->opcode >> 1 & 1);
			l->opcode = next8(l);
		}
	}
	put_instruction(l);
}

/* Returns the length, or 0. */
static unsigned try(const uint8_t *code, size_t size, enum insn_mode mode, uint64_t next,
		    struct outbuf *out)
{
	struct line l = {
		.start = code,
		.out = out,
		.at = code,
		.end = code + MIN(size, INSN_BYTES_MAX),
		.next = next,
		.mode = (uint8_t)mode,
		.mod = 3,
		.segment = NO_REGISTER,
		.base = NO_REGISTER,
		.index = NO_REGISTER,
	};

	put_line(&l);
	return l.wrong ? 0 : (unsigned)(l.at - code);
}

unsigned disasm(const uint8_t *code, size_t size, enum insn_mode mode, uint64_t address,
		struct outbuf *out)
{
	char nothing;
	struct outbuf measure;
	unsigned length;

	outbuf_init(&measure, &nothing, 0);
	length = try(code, size, mode, 0, &measure);
	if (length)
		try(code, size, mode, address + length, out);
	return length;
}
