/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See perf_map.h. What is kept of a line is its range and its offset in the file.
 *
 * Later lines take ranges away from earlier ones. To insert each into one sorted array would move half of
 * the array for each line, so there are several, "runs", each sorted and without overlaps:
 *
 *	ranges:	|----------------- 4096 -----------------|----- 700 -----|-- 90 --|- 3 -|
 *		 run 0: the oldest lines                                         run 3: the newest
 *
 * A line is pushed as a run of its own; two runs are merged, the newer winning, while the older is not
 * at least twice as long. So there are few runs, and a line is moved a logarithmic number of times. A
 * look-up asks the runs from the newest on.
 *
 * n lines make at most 2n - 1 pieces: each can split one other.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "perf_map.h"

#define RUNS_MAX	64
#define TAIL_BYTES	64 /* of what was read last: a file in which they differ was written over */
#define LINE_HEAD_BYTES 64 /* two numbers and the spaces between fit, with any sane padding */

struct range {
	uint64_t start;
	uint32_t size;
	uint32_t line; /* offset of its line in the file */
};

struct perf_map {
	int fd;
	dev_t dev;
	ino_t ino;
	off_t size; /* with mtime: as of the last reading that came to the end */
	struct timespec mtime;
	uint32_t generation;
	uint64_t offset; /* of the first line that was not taken yet */
	bool skipping;	 /* inside a line that is too long */
	bool full;
	char tail[TAIL_BYTES]; /* the bytes before offset */
	struct range *ranges, *scratch;
	size_t n, capacity, scratch_capacity;
	size_t run_at[RUNS_MAX]; /* where each begins in ranges */
	size_t n_runs;
	struct perf_map_counts counts;
};

struct perf_map *perf_map_new(void)
{
	struct perf_map *m = calloc(1, sizeof(*m));

	if (m)
		m->fd = -1;
	return m;
}

static void forget(struct perf_map *m)
{
	m->offset = 0;
	m->size = 0;
	m->mtime = (struct timespec){0};
	m->skipping = m->full = false;
	m->n = m->n_runs = 0;
	m->generation++;
}

void perf_map_free(struct perf_map *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		close(m->fd);
	free(m->ranges);
	free(m->scratch);
	free(m);
}

void perf_map_set_file(struct perf_map *m, int fd)
{
	struct stat st;

	if (m->fd >= 0) {
		close(m->fd);
		m->counts.restarts++;
	}
	forget(m);
	m->fd = fd;
	if (fd >= 0 && !fstat(fd, &st)) {
		m->dev = st.st_dev;
		m->ino = st.st_ino;
	}
}

bool perf_map_is_file(const struct perf_map *m, const struct stat *st)
{
	return m->fd >= 0 && m->dev == st->st_dev && m->ino == st->st_ino;
}

uint32_t perf_map_generation(const struct perf_map *m)
{
	return m->generation;
}

void perf_map_counts(const struct perf_map *m, struct perf_map_counts *out)
{
	*out = m->counts;
}

/* --- lines --- */

/* A number of at most 16 digits; "0x" is let pass. Returns what follows, or NULL. */
static const char *parse_hex(const char *p, const char *end, uint64_t *out)
{
	const char *digits;

	if (end - p > 2 && p[0] == '0' && (p[1] | 0x20) == 'x')
		p += 2;
	*out = 0;
	for (digits = p; p < end; p++) {
		unsigned int c = (unsigned char)*p, d = c - '0';

		if (d > 9) {
			d = (c | 0x20) - 'a' + 10;
			if (d < 10 || d > 15)
				break;
		}
		if (p - digits == 16)
			return NULL;
		*out = *out << 4 | d;
	}
	return p > digits ? p : NULL;
}

/* One or more. Returns what follows, or NULL. */
static const char *parse_spaces(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p > start ? p : NULL;
}

/* "START SIZE NAME", without the newline. Returns the name, or NULL; a range never wraps around. */
static const char *parse_line(const char *p, const char *end, struct range *out)
{
	uint64_t size;

	p = parse_hex(p, end, &out->start);
	p = p ? parse_spaces(p, end) : NULL;
	p = p ? parse_hex(p, end, &size) : NULL;
	p = p ? parse_spaces(p, end) : NULL;
	if (!p || p == end || !*p || *p == '\r' || !size || size > UINT32_MAX ||
	    out->start > UINT64_MAX - size)
		return NULL;
	out->size = (uint32_t)size;
	return p;
}

/* --- runs --- */

static uint64_t end_of(const struct range *r)
{
	return r->start + r->size;
}

static void cut_front(struct range *r, uint64_t start)
{
	r->size -= (uint32_t)(start - r->start);
	r->start = start;
}

/* What is left of the older run in front of `start`, and behind it if it reaches there. */
static size_t take_before(struct range *older, size_t *i, size_t n, uint64_t start,
			  struct range *out)
{
	size_t n_out = 0;

	while (*i < n && older[*i].start < start) {
		struct range *o = &older[*i];

		out[n_out] = *o;
		if (end_of(o) > start) {
			out[n_out].size = (uint32_t)(start - o->start);
			cut_front(o, start);
		} else {
			++*i;
		}
		n_out++;
	}
	return n_out;
}

/* `out` has room for n_older + 2 * n_newer. The older run is used up. Returns the number of pieces. */
static size_t merge(struct range *older, size_t n_older, const struct range *newer, size_t n_newer,
		    struct range *out)
{
	size_t i = 0, n = 0;

	for (size_t k = 0; k < n_newer; k++) {
		uint64_t end = end_of(&newer[k]);

		n += take_before(older, &i, n_older, newer[k].start, out + n);
		while (i < n_older && older[i].start < end) {
			if (end_of(&older[i]) > end) {
				cut_front(&older[i], end);
				break;
			}
			i++;
		}
		out[n++] = newer[k];
	}
	memcpy(out + n, older + i, (n_older - i) * sizeof(*out));
	return n + n_older - i;
}

static int reserve(struct range **array, size_t *capacity, size_t wanted)
{
	size_t more = *capacity ? *capacity : 256;
	void *p;

	if (wanted <= *capacity)
		return 0;
	while (more < wanted)
		more *= 2;
	p = realloc(*array, more * sizeof(**array));
	if (!p)
		return -ENOMEM;
	*array = p;
	*capacity = more;
	return 0;
}

/* The two newest runs become one. */
static int merge_last_two(struct perf_map *m)
{
	size_t a = m->run_at[m->n_runs - 2], b = m->run_at[m->n_runs - 1], n;

	if (reserve(&m->scratch, &m->scratch_capacity, b - a + 2 * (m->n - b)))
		return -ENOMEM;
	n = merge(m->ranges + a, b - a, m->ranges + b, m->n - b, m->scratch);
	/* Splits may make more of them: the room was reserved by push(). */
	if (reserve(&m->ranges, &m->capacity, a + n))
		return -ENOMEM;
	memcpy(m->ranges + a, m->scratch, n * sizeof(*m->ranges));
	m->n = a + n;
	m->n_runs--;
	return 0;
}

static bool wants_merge(const struct perf_map *m)
{
	size_t a, b;

	if (m->n_runs < 2)
		return false;
	a = m->run_at[m->n_runs - 2];
	b = m->run_at[m->n_runs - 1];
	return m->n_runs == RUNS_MAX || b - a < 2 * (m->n - b);
}

/* Where there is no room: what later lines hide goes first; if that is little, the map is full. */
static int make_room(struct perf_map *m)
{
	while (m->n_runs > 1)
		if (merge_last_two(m))
			return -ENOMEM;
	m->full = m->n >= PERF_MAP_RANGES_MAX / 8 * 7;
	return 0;
}

static int push(struct perf_map *m, const struct range *r)
{
	if (!m->full && m->n >= PERF_MAP_RANGES_MAX && make_room(m))
		return -ENOMEM;
	if (m->full) {
		m->counts.ignored_lines++;
		return 0;
	}
	if (reserve(&m->ranges, &m->capacity, m->n + 1))
		return -ENOMEM;
	m->run_at[m->n_runs++] = m->n;
	m->ranges[m->n++] = *r;
	while (wants_merge(m))
		if (merge_last_two(m))
			return -ENOMEM;
	return 0;
}

static bool find_in_run(const struct range *run, size_t n, uint64_t address, uint32_t *line)
{
	size_t low = 0, high = n;

	while (low < high) { /* the ranges before low start at or below the address */
		size_t middle = low + (high - low) / 2;

		if (run[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address - run[low - 1].start >= run[low - 1].size)
		return false;
	*line = run[low - 1].line;
	return true;
}

bool perf_map_find(const struct perf_map *m, uint64_t address, uint32_t *line)
{
	size_t end = m->n;

	for (size_t i = m->n_runs; i-- > 0; end = m->run_at[i])
		if (find_in_run(m->ranges + m->run_at[i], end - m->run_at[i], address, line))
			return true;
	return false;
}

/* --- the file --- */

static int take_line(struct perf_map *m, const char *line, const char *end, uint64_t at)
{
	struct range r = {.line = (uint32_t)at};

	m->counts.lines++;
	if (parse_line(line, end, &r))
		return push(m, &r);
	m->counts.malformed++;
	return 0;
}

/* Takes the whole lines of a buffer that lies at m->offset. Returns the bytes taken, or -errno. */
static ssize_t take_lines(struct perf_map *m, const char *buffer, size_t n)
{
	const char *p = buffer, *end = buffer + n, *newline;

	while ((newline = memchr(p, '\n', (size_t)(end - p)))) {
		if (!m->skipping && take_line(m, p, newline, m->offset + (size_t)(p - buffer)))
			return -ENOMEM;
		m->skipping = false;
		p = newline + 1;
	}
	if (m->skipping)
		return (ssize_t)n;
	if (p == buffer && n == PERF_MAP_LINE_BYTES) {
		m->counts.long_lines++;
		m->skipping = true;
		return take_line(m, p, end, m->offset) ? -ENOMEM : (ssize_t)n;
	}
	return p - buffer;
}

static void keep_tail(struct perf_map *m, const char *end, size_t n)
{
	if (n >= TAIL_BYTES) {
		memcpy(m->tail, end - TAIL_BYTES, TAIL_BYTES);
	} else {
		memmove(m->tail, m->tail + n, TAIL_BYTES - n);
		memcpy(m->tail + TAIL_BYTES - n, end - n, n);
	}
}

/* Whether what was read last is still there. */
static bool tail_is_kept(const struct perf_map *m)
{
	size_t n = m->offset < TAIL_BYTES ? m->offset : TAIL_BYTES;
	char now[TAIL_BYTES];

	return pread(m->fd, now, n, (off_t)(m->offset - n)) == (ssize_t)n &&
	       !memcmp(now, m->tail + TAIL_BYTES - n, n);
}

static int read_appended(struct perf_map *m, size_t budget)
{
	char *buffer = malloc(PERF_MAP_LINE_BYTES);
	size_t taken = 0;
	ssize_t n;
	int err = buffer ? 0 : -ENOMEM;

	while (!err && m->offset < PERF_MAP_BYTES_MAX) {
		n = pread(m->fd, buffer, PERF_MAP_LINE_BYTES, (off_t)m->offset);
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		n = take_lines(m, buffer, (size_t)n);
		if (n < 0)
			err = (int)n;
		if (n <= 0)
			break;
		keep_tail(m, buffer + n, (size_t)n);
		m->offset += (size_t)n;
		taken += (size_t)n;
		if (taken >= budget)
			err = -EAGAIN;
	}
	free(buffer);
	free(m->scratch);
	m->scratch = NULL;
	m->scratch_capacity = 0;
	return err;
}

int perf_map_read(struct perf_map *m, size_t budget)
{
	struct stat st;
	int err;

	if (m->fd < 0)
		return -ENOENT;
	if (fstat(m->fd, &st))
		return -errno;
	if (st.st_size == m->size && st.st_mtim.tv_sec == m->mtime.tv_sec &&
	    st.st_mtim.tv_nsec == m->mtime.tv_nsec)
		return 0;
	if ((uint64_t)st.st_size < m->offset || !tail_is_kept(m)) {
		forget(m);
		m->counts.restarts++;
	}
	err = read_appended(m, budget);
	if (err)
		return err;
	m->size = st.st_size;
	m->mtime = st.st_mtim;
	m->counts.ignored_bytes = st.st_size > PERF_MAP_BYTES_MAX ?
					  (uint64_t)st.st_size - PERF_MAP_BYTES_MAX : 0;
	return 0;
}

bool perf_map_name(const struct perf_map *m, uint32_t line, uint64_t address,
		   char name[static PERF_MAP_NAME_BYTES])
{
	char text[LINE_HEAD_BYTES + PERF_MAP_NAME_BYTES];
	ssize_t n = m->fd < 0 ? -1 : pread(m->fd, text, sizeof(text), line);
	const char *newline, *end, *p;
	struct range r;
	size_t length;

	if (n <= 0)
		return false;
	newline = memchr(text, '\n', (size_t)n);
	end = newline ? newline : text + n;
	p = parse_line(text, end, &r);
	if (!p || address < r.start || address - r.start >= r.size)
		return false;
	length = strnlen(p, (size_t)(end - p));
	if (length && p[length - 1] == '\r')
		length--;
	if (length >= PERF_MAP_NAME_BYTES)
		length = PERF_MAP_NAME_BYTES - 1;
	for (size_t i = 0; i < length; i++)
		name[i] = (unsigned char)p[i] < ' ' || p[i] == 0x7f ? '?' : p[i];
	name[length] = '\0';
	return length > 0;
}
