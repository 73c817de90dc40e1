/* SPDX-License-Identifier: MIT */
/*
 * The rings of a VM's console.
 *
 * The byte with index `head` goes where the one `size` before it was, so a reader that got a byte
 * asks afterwards whether head has come that far: if so, the byte may be another. Between
 * publishing head and reading `told` a put has a full barrier (FENCE), and so has a look between
 * clearing `told` and reading head: one of the two sees the other.
 */
#include "vm/vmconsole.h"

#include "lib/bits.h"
#include "lib/string.h"

#define LOAD(field)	    __atomic_load_n(&(field), __ATOMIC_ACQUIRE)
#define STORE(field, value) __atomic_store_n(&(field), value, __ATOMIC_RELEASE)
#define FENCE(field, value) __atomic_store_n(&(field), value, __ATOMIC_SEQ_CST)
#define SWAP(field, value)  __atomic_exchange_n(&(field), value, __ATOMIC_SEQ_CST)

void vm_console_init(struct vm_console *console, uint8_t *buffer, uint64_t size)
{
	memset(console, 0, sizeof(*console));
	console->buffer = buffer;
	console->size = size;
}

bool vm_console_put(struct vm_console *console, uint8_t byte)
{
	uint64_t head = console->head;

	STORE(console->buffer[head & (console->size - 1)], byte);
	FENCE(console->head, head + 1);
	if (!LOAD(console->watched) || LOAD(console->told))
		return false;
	return !SWAP(console->told, true);
}

static uint64_t room(const struct vm_console *console)
{
	uint64_t waiting = LOAD(console->head) - LOAD(console->tail);

	/* One byte less than the ring: see oldest(). */
	return waiting < console->size - 1 ? console->size - 1 - waiting : 0;
}

uint64_t vm_console_room(struct vm_console *console)
{
	uint64_t free;

	if (!LOAD(console->watched))
		return console->size;
	free = room(console);
	if (free)
		return free;
	/* Said before the last look, so that who makes room after that sees it. */
	FENCE(console->starved, true);
	return LOAD(console->watched) ? room(console) : console->size;
}

bool vm_console_at_margin(const struct vm_console *console)
{
	uint64_t head = console->head;

	return !head || console->buffer[(head - 1) & (console->size - 1)] == '\n';
}

uint64_t vm_console_bytes(const struct vm_console *console)
{
	return LOAD(console->head);
}

int vm_console_get(struct vm_console *console)
{
	uint32_t tail = console->input_tail;
	int byte;

	if (tail == LOAD(console->input_head))
		return -1;
	byte = console->input[tail % VM_CONSOLE_INPUT];
	STORE(console->input_tail, tail + 1);
	return byte;
}

bool vm_console_typed(const struct vm_console *console)
{
	return LOAD(console->input_tail) != LOAD(console->input_head);
}

void vm_console_watch(struct vm_console *console, bool watched)
{
	FENCE(console->watched, watched);
}

void vm_console_look(struct vm_console *console)
{
	FENCE(console->told, false);
}

/* The oldest byte that is certainly whole: the one before it may be being written over. */
static uint64_t oldest(const struct vm_console *console)
{
	uint64_t head = LOAD(console->head);

	return head < console->size ? 0 : head - console->size + 1;
}

size_t vm_console_peek(const struct vm_console *console, uint64_t *at, uint8_t *to, size_t max)
{
	uint64_t head = LOAD(console->head), start;
	size_t length = 0;

	*at = MAX(*at, oldest(console));
	start = *at;
	while (length < max && start + length < head) {
		to[length] = LOAD(console->buffer[(start + length) & (console->size - 1)]);
		length++;
	}
	if (oldest(console) > start) {
		uint64_t gone = MIN(oldest(console) - start, length);

		memmove(to, to + gone, length - gone);
		length -= gone;
		*at = start + gone;
	}
	*at += length;
	return length;
}

bool vm_console_take(struct vm_console *console, uint64_t at)
{
	FENCE(console->tail, at);
	if (!LOAD(console->starved) ||
	    (LOAD(console->watched) && room(console) < console->size / 4))
		return false;
	return SWAP(console->starved, false);
}

uint64_t vm_console_back(const struct vm_console *console, uint64_t bytes)
{
	uint64_t head = LOAD(console->head), at = head > bytes ? head - bytes : 0;
	uint64_t first = at = MAX(at, oldest(console));

	if (!at)
		return 0;
	/* The byte before the first one tells whether a line starts there, if it is still there. */
	for (; at < head; at++)
		if (LOAD(console->buffer[(at - 1) & (console->size - 1)]) == '\n')
			return at;
	return first;
}

bool vm_console_can_type(const struct vm_console *console)
{
	return LOAD(console->input_head) - LOAD(console->input_tail) < VM_CONSOLE_INPUT;
}

bool vm_console_type(struct vm_console *console, uint8_t byte)
{
	uint32_t head = console->input_head;

	if (!vm_console_can_type(console))
		return false;
	console->input[head % VM_CONSOLE_INPUT] = byte;
	STORE(console->input_head, head + 1);
	return true;
}
