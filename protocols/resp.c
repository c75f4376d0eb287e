/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pull reader of RESP requests; resp.h has the format and the windows.
 *
 * The server parses in place, and once all commands of a read are consumed it trims its buffer and
 * writes the string's terminator over byte 0. So the tail window, read later, may begin
 *
 *	\0 3 \r \n $ 3 \r \n S E T ...	 an array that has lost its '*'
 *	\0 I N G \r \n			 an inline command that has lost its first letter
 *
 * Digits tell the two apart: no inline command starts with one. The head window is captured on
 * receipt, and there a NUL is simply bad.
 *
 * Stricter than the server in one point: a bulk string must end in CR LF wherever these are
 * captured. The server skips two bytes unseen, but for us they are the best sign of overwritten
 * memory.
 */
#include <string.h>
#include "resp.h"

static struct slice clamp(struct slice window, uint64_t limit)
{
	if (!window.ptr)
		window.len = 0;
	if (window.len > limit)
		window.len = limit;
	return window;
}

void resp_init(struct resp_reader *reader, const struct redis_message *message, uint64_t offset)
{
	uint64_t last = message->last_received;

	if (last > message->received)
		last = message->received;
	reader->received = message->received;
	reader->tail_start = message->received - last;
	reader->head = clamp(message->head, message->received);
	reader->tail = clamp(message->tail, last);
	reader->offset = offset;
}

/* Where both windows show a byte, the head is right: its bytes were copied on receipt. */
int resp_byte(const struct resp_reader *reader, uint64_t offset)
{
	if (offset < reader->head.len)
		return reader->head.ptr[offset];
	if (offset >= reader->tail_start && offset - reader->tail_start < reader->tail.len)
		return reader->tail.ptr[offset - reader->tail_start];
	return -1;
}

struct slice resp_chunk(const struct resp_reader *reader, uint64_t offset, uint64_t length)
{
	struct slice chunk = {NULL, 0};
	uint64_t skip = offset - reader->tail_start;

	if (offset < reader->head.len) {
		chunk.ptr = reader->head.ptr + offset;
		chunk.len = reader->head.len - offset;
	} else if (offset >= reader->tail_start && skip < reader->tail.len) {
		chunk.ptr = reader->tail.ptr + skip;
		chunk.len = reader->tail.len - skip;
	}
	return clamp(chunk, length);
}

/* Why there is no byte at `offset`. */
static enum resp_status ran_out(const struct resp_reader *reader, uint64_t offset)
{
	return offset >= reader->received ? RESP_PARTIAL : RESP_CUT;
}

static bool lost_byte(const struct resp_reader *reader, uint64_t offset)
{
	return offset == reader->tail_start && offset >= reader->head.len &&
	       resp_byte(reader, offset) == 0;
}

/*
 * Steps over CR LF at *offset. Behind a bulk string of declared length they may be missing from
 * the capture (`jump`); what is captured must still be right.
 */
static enum resp_status read_crlf(const struct resp_reader *reader, uint64_t *offset, bool jump)
{
	for (const char *want = "\r\n"; *want; want++) {
		int byte = resp_byte(reader, *offset);

		if (byte < 0 && !(jump && *offset < reader->received))
			return ran_out(reader, *offset);
		if (byte >= 0 && byte != *want)
			return RESP_BAD;
		++*offset;
	}
	return RESP_COMPLETE;
}

/*
 * "<integer>\r\n", as strict as the server: no '+', no leading zero, no "-0". Ten digits are
 * enough for every limit here, so that nothing overflows and garbage ends soon.
 */
static enum resp_status read_count(const struct resp_reader *reader, uint64_t *offset,
				   int64_t *count)
{
	int64_t value = 0;
	unsigned int digits = 0;
	bool negative = false;
	int byte;

	for (;; ++*offset) {
		byte = resp_byte(reader, *offset);
		if (byte < 0)
			return ran_out(reader, *offset);
		if (byte == '-' && !digits && !negative) {
			negative = true;
			continue;
		}
		if (byte < '0' || byte > '9')
			break;
		if ((digits == 1 && value == 0) || digits == 10)
			return RESP_BAD;
		value = value * 10 + (byte - '0');
		digits++;
	}
	if (!digits || (negative && value == 0))
		return RESP_BAD;
	*count = negative ? -value : value;
	return read_crlf(reader, offset, false);
}

/* "$<length>\r\n<bytes>\r\n" at *offset; the bytes are jumped over, captured or not. */
static enum resp_status read_bulk(const struct resp_reader *reader, uint64_t *offset,
				  struct resp_command *command)
{
	enum resp_status status;
	int64_t length;
	int byte = resp_byte(reader, *offset);

	if (byte < 0)
		return ran_out(reader, *offset);
	if (byte != '$')
		return RESP_BAD;
	++*offset;
	status = read_count(reader, offset, &length);
	if (status != RESP_COMPLETE)
		return status;
	if (length < 0 || length > RESP_BULK_MAX)
		return RESP_BAD;
	if (command->n_kept < RESP_ARGS_KEPT)
		command->args[command->n_kept++] =
			(struct resp_arg){.offset = *offset, .length = (uint64_t)length};
	if ((uint64_t)length > reader->received - *offset) {
		*offset = reader->received;
		return RESP_PARTIAL;
	}
	*offset += (uint64_t)length;
	return read_crlf(reader, offset, true);
}

/* "*<count>\r\n" and that many bulk strings; the '*' is known to be there, or to have been. */
static enum resp_status read_array(const struct resp_reader *reader, struct resp_command *command)
{
	enum resp_status status;
	int64_t count;

	command->end = command->start + 1;
	status = read_count(reader, &command->end, &count);
	if (status != RESP_COMPLETE)
		return status;
	if (count > RESP_ARGS_MAX)
		return RESP_BAD;
	command->n_args = count > 0 ? (uint32_t)count : 0;

	for (uint32_t i = 0; i < command->n_args; i++) {
		status = read_bulk(reader, &command->end, command);
		if (status != RESP_COMPLETE)
			return status;
	}
	return RESP_COMPLETE;
}

static bool is_blank(int byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/*
 * One token of the line [*offset, end), by the quoting rules of the server: "..." with backslash
 * escapes, '...' in which only \' is one; a closing quote ends the token. False if it is malformed;
 * *open tells that a quote is still open at `end`.
 */
static bool read_token(const struct resp_reader *reader, uint64_t *offset, uint64_t end,
		       struct resp_arg *token, bool *open)
{
	int quote = 0, byte;

	while (*offset < end && is_blank(resp_byte(reader, *offset)))
		++*offset;
	*token = (struct resp_arg){.offset = *offset};
	for (; *offset < end; ++*offset) {
		byte = resp_byte(reader, *offset);
		if (byte == 0)
			return false;
		if (!quote && is_blank(byte))
			break;
		if (!quote && (byte == '"' || byte == '\'')) {
			quote = byte;
			token->quoted = true;
		} else if (quote && byte == '\\' && *offset + 1 < end &&
			   (quote == '"' || resp_byte(reader, *offset + 1) == '\'')) {
			++*offset;
		} else if (quote && byte == quote) {
			quote = 0;
			if (*offset + 1 < end && !is_blank(resp_byte(reader, *offset + 1)))
				return false;
		}
	}
	token->length = *offset - token->offset;
	*open = quote != 0;
	return true;
}

/* A line up to '\n'. If the line is cut, its last token may be too: it is counted, but not kept. */
static enum resp_status read_inline(const struct resp_reader *reader, struct resp_command *command)
{
	enum resp_status status = RESP_COMPLETE;
	uint64_t line = command->start + command->lost_first, offset = line;
	struct resp_arg token;
	bool open;
	int byte;

	command->is_inline = true;
	for (command->end = line;; command->end++) {
		byte = resp_byte(reader, command->end);
		if (byte < 0 || byte == '\n')
			break;
		if (command->end - line >= RESP_INLINE_MAX)
			return RESP_BAD;
	}
	if (byte < 0)
		status = ran_out(reader, command->end);

	for (;;) {
		if (!read_token(reader, &offset, command->end, &token, &open))
			return RESP_BAD;
		if (!token.length)
			break;
		command->n_args++;
		if (status != RESP_COMPLETE && offset == command->end)
			break;
		if (open)
			return RESP_BAD;
		if (command->n_kept < RESP_ARGS_KEPT)
			command->args[command->n_kept++] = token;
	}
	if (status == RESP_COMPLETE)
		command->end++;
	return status;
}

enum resp_status resp_next(struct resp_reader *reader, struct resp_command *command)
{
	enum resp_status status;
	int byte = resp_byte(reader, reader->offset), next;

	command->start = command->end = reader->offset;
	command->n_args = command->n_kept = 0;
	command->is_inline = command->lost_first = false;
	if (byte < 0)
		return ran_out(reader, reader->offset);

	command->lost_first = lost_byte(reader, reader->offset);
	if (command->lost_first) {
		next = resp_byte(reader, reader->offset + 1);
		if (next < 0)
			return ran_out(reader, reader->offset + 1);
		if (next == '-' || (next >= '0' && next <= '9'))
			byte = '*';
	}
	status = byte == '*' ? read_array(reader, command) : read_inline(reader, command);
	if (status == RESP_COMPLETE)
		reader->offset = command->end;
	return status;
}

static int hex_digit(int byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static int unescape(int byte)
{
	switch (byte) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'b':
		return '\b';
	case 'a':
		return '\a';
	default:
		return byte;
	}
}

/* The quotes are known to be balanced: read_token() has seen the whole token. */
static size_t copy_quoted(const struct resp_reader *reader, const struct resp_arg *arg,
			  uint8_t *out, size_t size, bool *whole)
{
	uint64_t offset = arg->offset, end = arg->offset + arg->length;
	size_t n = 0;
	int quote = 0, byte, next;

	for (; offset < end && n < size; offset++) {
		byte = resp_byte(reader, offset);
		next = offset + 1 < end ? resp_byte(reader, offset + 1) : -1;
		if (byte == quote || (!quote && (byte == '"' || byte == '\''))) {
			quote = quote ? 0 : byte;
			continue;
		}
		if (byte == '\\' && next >= 0 && (quote == '"' || (quote && next == '\''))) {
			byte = unescape(next);
			offset++;
			if (quote == '"' && next == 'x' && offset + 2 < end) {
				int high = hex_digit(resp_byte(reader, offset + 1));
				int low = hex_digit(resp_byte(reader, offset + 2));

				if (high >= 0 && low >= 0) {
					byte = high << 4 | low;
					offset += 2;
				}
			}
		}
		out[n++] = (uint8_t)byte;
	}
	*whole = offset == end || (offset + 1 == end && quote);
	return n;
}

size_t resp_arg_copy(const struct resp_reader *reader, const struct resp_arg *arg, uint8_t *out,
		     size_t size, bool *whole)
{
	size_t n = 0;

	if (arg->quoted)
		return copy_quoted(reader, arg, out, size, whole);
	while (n < size && n < arg->length) {
		struct slice chunk = resp_chunk(reader, arg->offset + n, arg->length - n);

		if (!chunk.len)
			break;
		if (chunk.len > size - n)
			chunk.len = size - n;
		memcpy(out + n, chunk.ptr, chunk.len);
		n += chunk.len;
	}
	*whole = n == arg->length;
	return n;
}
