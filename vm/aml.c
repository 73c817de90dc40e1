/* SPDX-License-Identifier: MIT */
/* AML for processors. */
#include "vm/aml.h"

#include "lib/string.h"

#define OP_NAME	  0x08
#define OP_BYTE	  0x0A
#define OP_STRING 0x0D
#define OP_SCOPE  0x10
#define OP_EXT	  0x5B
#define OP_DEVICE 0x82 /* after OP_EXT */

static uint8_t *put(uint8_t *to, const void *from, size_t length)
{
	memcpy(to, from, length);
	return to + length;
}

static uint8_t *processor(uint8_t *to, unsigned number)
{
	const uint8_t head[] = {OP_EXT,
				OP_DEVICE,
				0, /* PkgLength */
				'C',
				'P',
				(uint8_t)('0' + number / 10),
				(uint8_t)('0' + number % 10)};
	const uint8_t uid[] = {OP_NAME, '_', 'U', 'I', 'D', OP_BYTE, (uint8_t)number};
	static const uint8_t hid[] = {OP_NAME, '_', 'H', 'I', 'D', OP_STRING, 'A', 'C',
				      'P',     'I', '0', '0', '0', '7',	      0};
	uint8_t *length = to + 2;

	to = put(to, head, sizeof(head));
	to = put(to, hid, sizeof(hid));
	to = put(to, uid, sizeof(uid));
	*length = (uint8_t)(to - length);
	return to;
}

size_t aml_processors(uint8_t *to, unsigned cpus)
{
	static const uint8_t name[] = {'\\', '_', 'S', 'B', '_'};
	uint8_t *at = to + 3;
	size_t length;

	/* Two bytes of PkgLength whatever the length: bits 3:0, then bits 11:4. */
	to[0] = OP_SCOPE;
	at = put(at, name, sizeof(name));
	for (unsigned i = 0; i < cpus; i++)
		at = processor(at, i);
	length = (size_t)(at - to) - 1;
	to[1] = (uint8_t)(1 << 6 | (length & 15));
	to[2] = (uint8_t)(length >> 4);
	return (size_t)(at - to);
}
