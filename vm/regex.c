/* SPDX-License-Identifier: MIT */
/*
 * Regular expressions: a parser by descent that makes the automaton as it goes, and its steps. What
 * a position takes is not translated: it is read again in the text of the expression.
 */
#include "vm/regex.h"

#include "lib/bits.h"
#include "lib/string.h"

/* Beside bytes, what a position may take. */
#define START 0x100u
#define END   0x200u

#define NAMED 0x400u /* \d and the like */

static bool is_digit(unsigned c)
{
	return c - '0' < 10;
}

static bool is_alphanumeric(unsigned c)
{
	return is_digit(c) || (c | 0x20) - 'a' < 26;
}

/*
 * Reads a byte of the expression: returns its end, NULL if there is none. *is becomes that byte, or
 * NAMED; *has becomes true when it stands for `c`.
 */
static const char *read_byte(const char *at, unsigned c, unsigned *is, bool *has)
{
	bool in;

	*is = (uint8_t)*at++;
	if (*is == '\\' && is_alphanumeric((uint8_t)*at)) {
		*is = NAMED;
		switch (*at | 0x20) {
		case 'd': in = is_digit(c); break;
		case 's': in = c == ' ' || c - '\t' < 5; break;
		case 'w': in = is_alphanumeric(c) || c == '_'; break;
		default: return NULL;
		}
		*has |= in == (*at >= 'a');
		return at + 1;
	}
	if (*is == '\\')
		*is = (uint8_t)*at++;
	*has |= *is == c;
	return *is ? at : NULL;
}

/* The same with '.' and classes. */
static const char *read_atom(const char *at, unsigned c, bool *has)
{
	bool in = false, except;
	unsigned from, to;

	*has = *at == '.';
	if (*at != '[')
		return *has ? at + 1 : read_byte(at, c, &from, has);
	except = at[1] == '^';
	at += 1 + except;
	/* A ']' that comes first is one. */
	do {
		at = read_byte(at, c, &from, &in);
		if (at && at[0] == '-' && at[1] != ']') {
			at = read_byte(at + 1, c, &to, &in);
			if (from > to || to == NAMED)
				return NULL;
			in |= c - from <= to - from;
		}
		if (!at)
			return NULL;
	} while (*at != ']');
	*has = in != except;
	return at + 1;
}

/* --- The parser --- */

struct parser {
	struct regex *regex;
	const char *at;
	unsigned depth;
	const char *wrong, *where; /* the first thing that is */
};

/* A part of the expression: where it begins and ends, and whether it may be empty. */
struct part {
	regex_set first, last;
	bool empty;
};

/* Nothing is left to parse then. */
static void fail(struct parser *p, const char *where, const char *what)
{
	if (!p->wrong) {
		p->wrong = what;
		p->where = where;
	}
	p->at += strlen(p->at);
}

/* To each position of `from`: those of `to` may follow. */
static void connect(struct regex *regex, regex_set from, regex_set to)
{
	for (unsigned i = 0; i < REGEX_POSITIONS; i++)
		if (from >> i & 1)
			regex->follow[i] |= to;
}

static struct part parse_any(struct parser *p);

static struct part parse_group(struct parser *p)
{
	const char *start = p->at++;
	struct part part;

	if (p->depth++ == REGEX_DEPTH)
		fail(p, start, "too deep");
	part = parse_any(p);
	p->depth--;
	if (*p->at)
		p->at++;
	else
		fail(p, start, "'(' without ')'");
	return part;
}

static struct part parse_atom(struct parser *p)
{
	struct regex *regex = p->regex;
	const char *start = p->at, *end = start + 1;
	regex_set set;
	bool has;

	if (*start == '(')
		return parse_group(p);
	if (*start != '^' && *start != '$')
		end = strchr("*+?{", *start) ? NULL : read_atom(start, 0, &has);
	if (!end || regex->positions == REGEX_POSITIONS) {
		fail(p, start,
		     end ? "too long" : "no character, class, or \\d \\w \\s \\D \\W \\S");
		return (struct part){0};
	}
	p->at = end;
	set = (regex_set)1 << regex->positions;
	regex->atom[regex->positions++] = start;
	return (struct part){set, set, false};
}

static struct part parse_sequence(struct parser *p)
{
	struct part all = {.empty = true};

	while (*p->at && *p->at != '|' && *p->at != ')') {
		struct part part = parse_atom(p);
		char c = *p->at;

		if (c == '*' || c == '+' || c == '?') {
			p->at++;
			part.empty |= c != '+';
			if (c != '?')
				connect(p->regex, part.last, part.first);
		}
		connect(p->regex, all.last, part.first);
		if (all.empty)
			all.first |= part.first;
		if (!part.empty)
			all.last = 0;
		all.last |= part.last;
		all.empty &= part.empty;
	}
	return all;
}

static struct part parse_any(struct parser *p)
{
	struct part all = {0};

	for (;; p->at++) {
		struct part part = parse_sequence(p);

		all.first |= part.first;
		all.last |= part.last;
		all.empty |= part.empty;
		if (*p->at != '|')
			return all;
	}
}

bool regex_compile(struct regex *regex, const char *text, struct error *error)
{
	struct parser p = {.regex = regex, .at = text};
	struct part all;

	memset(regex, 0, sizeof(*regex));
	regex->positions = 1;
	all = parse_any(&p);
	if (*p.at)
		fail(&p, p.at, "')' without '('");
	if (all.empty)
		fail(&p, text, "matches an empty text, and so anything");
	regex->follow[0] = all.first;
	regex->last = all.last;
	return !p.wrong || error_set(error, "at %u: %s", (unsigned)(p.where - text) + 1, p.wrong);
}

/* --- Its steps --- */

/* `symbol`: a byte, or START and END. */
static bool takes(const char *atom, unsigned symbol)
{
	bool has;

	if (*atom == '^' || *atom == '$')
		return symbol & (*atom == '^' ? START : END);
	return symbol <= 0xFF && read_atom(atom, symbol, &has) && has;
}

static regex_set step(const struct regex *regex, unsigned symbol)
{
	regex_set next = 0, taken = 0;

	for (unsigned i = 0; i < regex->positions; i++)
		if (regex->at >> i & 1)
			next |= regex->follow[i];
	for (unsigned i = 1; i < regex->positions; i++)
		if (next >> i & 1 && takes(regex->atom[i], symbol))
			taken |= (regex_set)1 << i;
	return taken;
}

/* Here a line starts, or ends, or both: that takes no byte, so all that match do so together. */
static void anchor(struct regex *regex, unsigned symbol)
{
	regex_set before;

	do {
		before = regex->at;
		regex->at |= step(regex, symbol);
	} while (regex->at != before);
}

bool regex_byte(struct regex *regex, uint8_t byte)
{
	bool end = byte == '\n' || byte == '\r', second = byte == '\n' && regex->after_cr;
	bool shown;

	regex->after_cr = byte == '\r';
	if (second)
		return false;
	if (!regex->in_line) {
		regex->at = 1;
		anchor(regex, end ? START | END : START);
	}
	shown = regex->at & regex->last;
	regex->in_line = !end;
	if (end)
		anchor(regex, END);
	else
		regex->at = step(regex, byte) | 1;
	return shown || regex->at & regex->last;
}
