/* SPDX-License-Identifier: MIT */
/*
 * JSON objects for programs at the other end of the serial line: one line each, ASCII only.
 * RFC 8259. Numbers are whole; what has more than 53 bits by nature (addresses, registers) is
 * written as a string in hexadecimal, for readers that keep numbers as floating point.
 */
#ifndef VM_JSON_H
#define VM_JSON_H

#include "vm/outbuf.h"

struct json {
	struct outbuf *out;
	bool first; /* nothing in this object or array yet */
};

/* An object from '{' to "}\r\n". */
struct json json_begin(struct outbuf *out);
void json_end(struct json *json);
/* Keys are plain words. NULL is null. */
void json_string(struct json *json, const char *key, const char *value);
void json_number(struct json *json, const char *key, uint64_t value);
void json_hex(struct json *json, const char *key, uint64_t value);
void json_bool(struct json *json, const char *key, bool value);
/* An array of numbers: json_number and the like with a NULL key in between. */
void json_array_begin(struct json *json, const char *key);
void json_array_end(struct json *json);

#endif
