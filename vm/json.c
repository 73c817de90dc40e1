/* SPDX-License-Identifier: MIT */
/* JSON objects, a line each. */
#include "vm/json.h"

#include "lib/string.h"

static void put_text(struct outbuf *out, const char *text)
{
	outbuf_put(out, text, strlen(text));
}

/* RFC 8259, "Strings"; bytes above ASCII become '?', for they need not be UTF-8. */
static void put_quoted(struct outbuf *out, const char *text)
{
	outbuf_char(out, '"');
	for (; *text; text++) {
		uint8_t c = (uint8_t)*text;

		if (c == '"' || c == '\\')
			outbuf_char(out, '\\');
		if (c < ' ')
			outbuf_print(out, "\\u%04x", c);
		else
			outbuf_char(out, c < 0x7F ? (char)c : '?');
	}
	outbuf_char(out, '"');
}

static void put_key(struct json *json, const char *key)
{
	if (!json->first)
		outbuf_char(json->out, ',');
	json->first = false;
	if (!key)
		return;
	put_quoted(json->out, key);
	outbuf_char(json->out, ':');
}

struct json json_begin(struct outbuf *out)
{
	outbuf_char(out, '{');
	return (struct json){.out = out, .first = true};
}

void json_end(struct json *json)
{
	put_text(json->out, "}\r\n");
}

void json_string(struct json *json, const char *key, const char *value)
{
	put_key(json, key);
	if (value)
		put_quoted(json->out, value);
	else
		put_text(json->out, "null");
}

void json_number(struct json *json, const char *key, uint64_t value)
{
	put_key(json, key);
	outbuf_print(json->out, "%lu", value);
}

void json_hex(struct json *json, const char *key, uint64_t value)
{
	put_key(json, key);
	outbuf_print(json->out, "\"0x%lx\"", value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	put_key(json, key);
	put_text(json->out, value ? "true" : "false");
}

void json_array_begin(struct json *json, const char *key)
{
	put_key(json, key);
	outbuf_char(json->out, '[');
	json->first = true;
}

void json_array_end(struct json *json)
{
	outbuf_char(json->out, ']');
	json->first = false;
}
