/* SPDX-License-Identifier: Apache-2.0 */
/* The texts in the ensemble: lines that a person can read with `zk get`. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "master/core/inside.h"

enum { LINE_MAX_BYTES = 256 };

/* Take the next line of a text into line[]; false at the end, or (with *bad) when it is too long.
 */
static bool
next_line(const char **at, const char *end, char line[LINE_MAX_BYTES], bool *bad)
{
	const char *stop = *at == end ? NULL : memchr(*at, '\n', (size_t)(end - *at));
	size_t size = stop == NULL ? (size_t)(end - *at) : (size_t)(stop - *at);

	if (*at == end)
		return false;
	if (size >= LINE_MAX_BYTES) {
		*bad = true;
		return false;
	}
	memcpy(line, *at, size);
	line[size] = '\0';
	*at = stop == NULL ? end : stop + 1;
	return true;
}

static bool fault(char *error, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static bool
fault(char *error, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, size, fmt, ap);
	va_end(ap);
	return false;
}

/* --- the registry: "ID STATE NAME[ DRAIN]" for each agent, in order of admission --- */

/*
 * AWAY: unreachable, and tasks may run there that are waited for; GONE: forgotten by the operator;
 * OFF: and powered off before.
 */
static const char *
registry_word(const struct agent *a)
{
	return a->off	   ? "off"
	       : a->gone   ? "gone"
	       : a->away   ? "away"
	       : a->marked ? "unreachable"
			   : "admitted";
}

void
registry_encode(const struct cluster *c, uint32_t piece, struct buf *out)
{
	uint32_t first = piece * REGISTRY_PIECE;

	for (uint32_t i = first; i < c->agent_count && i < first + REGISTRY_PIECE; i++) {
		const struct agent *a = c->by_number[i];

		buf_printf(out, "%s %s %s", a->id, registry_word(a), a->name);
		drain_encode(c, &a->drain, out);
		buf_printf(out, "\n");
	}
}

static bool
load_agent(struct cluster *c, const char *line)
{
	char id[CLUSTER_ID_MAX + 1], state[16], name[CLUSTER_NAME_MAX + 1];
	struct drain drain;
	struct agent *a;
	int used = 0;

	if (sscanf(line, "%63s %15s %63s%n", id, state, name, &used) != 3 ||
	    !drain_decode(c, line + used, &drain))
		return false;
	if (strcmp(state, "admitted") != 0 && strcmp(state, "unreachable") != 0 &&
	    strcmp(state, "away") != 0 && strcmp(state, "gone") != 0 && strcmp(state, "off") != 0)
		return false;
	if (cluster_agent(c, name) != NULL || (a = agent_new(c, name, id)) == NULL)
		return false;
	a->drain = drain;
	a->off = strcmp(state, "off") == 0;
	a->gone = a->off || strcmp(state, "gone") == 0;
	a->marked = strcmp(state, "admitted") != 0;
	a->away = strcmp(state, "away") == 0;
	a->stored = !a->marked;
	a->state = a->marked ? AGENT_UNREACHABLE : AGENT_AWAITED;
	return true;
}

bool
cluster_load_agents(struct cluster *c, uint32_t piece, const char *text, size_t size, char *error,
    size_t error_size)
{
	const char *at = text, *end = text + size;
	char line[LINE_MAX_BYTES];
	bool bad = false;

	if (piece > CLUSTER_AGENTS_MAX / REGISTRY_PIECE || c->agent_count != piece * REGISTRY_PIECE)
		return fault(error, error_size, "an earlier piece of the registry is missing");
	while (next_line(&at, end, line, &bad))
		if (!load_agent(c, line))
			return fault(error, error_size, "not an agent's line: %.100s", line);
	if (bad)
		return fault(error, error_size, "a line is too long");
	c->registry[piece] |= PIECE_STORED;
	return true;
}

/* --- a job's state: "KEY=VALUE" lines --- */

bool
job_is_being_stopped(const struct job *j)
{
	return j->state == JOB_STOPPED && j->results_dirty;
}

void
job_state_encode(const struct job *j, struct buf *out)
{
	enum job_state state = j->state == JOB_CREATING	 ? JOB_RUNNING
			       : job_is_being_stopped(j) ? JOB_STOPPING
							 : j->state;

	buf_printf(out, "state=%s\nsubmitted_ms=%" PRId64 "\nby=%s\n", job_state_name(state),
	    j->submitted_wall_ms, j->by);
	if (j->stopped_by[0] != '\0')
		buf_printf(out, "stopped_by=%s\n", j->stopped_by);
}

static bool
parse_job_state(const char *text, enum job_state *state)
{
	for (int s = JOB_RUNNING; s <= JOB_FAILED; s++)
		if (strcmp(text, job_state_name((enum job_state)s)) == 0) {
			*state = (enum job_state)s;
			return true;
		}
	return false;
}

bool
job_state_decode(struct job *j, enum job_state *state, const char *text, size_t size)
{
	const char *at = text, *end = text + size;
	char line[LINE_MAX_BYTES], *value;
	bool bad = false, found = false;

	while (next_line(&at, end, line, &bad)) {
		value = strchr(line, '=');
		if (value == NULL)
			return false;
		*value++ = '\0';
		if (strcmp(line, "state") == 0)
			found = parse_job_state(value, state);
		else if (strcmp(line, "submitted_ms") == 0)
			bad = bad || !str_to_i64(value, 0, INT64_MAX, &j->submitted_wall_ms);
		else if (strcmp(line, "by") == 0)
			bad = bad || !str_copy(j->by, sizeof j->by, value);
		else if (strcmp(line, "stopped_by") == 0)
			bad = bad || !str_copy(j->stopped_by, sizeof j->stopped_by, value);
	}
	return found && !bad;
}

struct job *
cluster_load_job(struct cluster *c, const char *name, int64_t incarnation, uint32_t count,
    const struct job_policy *policy, void *definition, const char *text, size_t text_size,
    const char *state, size_t state_size, char *error, size_t error_size)
{
	struct job *j = job_new(c, name, count, policy, definition, text, text_size, CELL_UNKNOWN);
	enum job_state now = JOB_CREATING;

	if (j == NULL) {
		fault(error, error_size, "out of memory");
		return NULL;
	}
	j->incarnation = incarnation;
	j->since_ms = c->elected_ms;
	if (!job_state_decode(j, &now, state, state_size)) {
		fault(error, error_size, "its state is not readable");
		job_free(c, j);
		return NULL;
	}
	job_enter(c, j, now);
	return j;
}

/* --- the last attempt at a singleton: "KEY=VALUE" lines --- */

void
single_encode(const struct cluster *c, const struct single *s, struct buf *out)
{
	const struct agent *a = c->by_number[s->agent];

	buf_printf(out,
	    "attempt=%u\nnode=%s\nagent=%s\nterm=%" PRIu64 " %" PRIx64 "\nlease_ms=%" PRIu64 "\n",
	    s->attempt, a->name, a->id, c->terms[s->term].era, (uint64_t)c->terms[s->term].czxid,
	    s->lease_ms);
	if (s->stuck)
		buf_printf(out, "stuck=yes\n");
}

/* The number of the agent of this name and id; none: it is not in the registry any more. */
static uint32_t
agent_number(const struct cluster *c, const char *node, const char *id)
{
	const struct agent *a = cluster_agent(c, node);

	return a != NULL && strcmp(a->id, id) == 0 ? a->number : CLUSTER_NO_AGENT;
}

static bool
single_line(struct single *s, struct term *term, char *node, char *id, const char *line)
{
	uint64_t czxid;
	int used = 0;

	if (sscanf(line, "attempt=%u%n", &s->attempt, &used) == 1 ||
	    sscanf(line, "node=%63s%n", node, &used) == 1 ||
	    sscanf(line, "agent=%63s%n", id, &used) == 1 ||
	    sscanf(line, "lease_ms=%" SCNu64 "%n", &s->lease_ms, &used) == 1)
		return line[used] == '\0';
	if (sscanf(line, "term=%" SCNu64 " %" SCNx64 "%n", &term->era, &czxid, &used) == 2) {
		term->czxid = (int64_t)czxid;
		return line[used] == '\0';
	}
	s->stuck = s->stuck || strcmp(line, "stuck=yes") == 0;
	return true; /* of a newer master */
}

bool
cluster_load_single(struct cluster *c, struct job *j, uint32_t index, const char *text, size_t size,
    char *error, size_t error_size)
{
	char line[LINE_MAX_BYTES], node[CLUSTER_NAME_MAX + 1] = "", id[CLUSTER_ID_MAX + 1] = "";
	const char *at = text, *end = text + size;
	struct single s = {.flags = PIECE_STORED};
	struct term term = {0};
	bool bad = false;

	if (j->singles == NULL || index >= j->count) {
		j->kept = true;
		return fault(error, error_size, "the job has no such singleton");
	}
	j->singles[index] = s;
	j->singles[index].flags |= PIECE_IN_BATCH; /* not to be placed, unless it can be read */
	while (next_line(&at, end, line, &bad))
		if (!single_line(&s, &term, node, id, line))
			return fault(error, error_size, "not a singleton's line: %.100s", line);
	if (bad || s.attempt == 0 || node[0] == '\0' || id[0] == '\0' || term.era == 0 ||
	    s.lease_ms == 0)
		return fault(error, error_size, "it names no attempt, node, agent, term or lease");
	s.agent = agent_number(c, node, id);
	if (!cluster_term_number(c, term, &s.term))
		return fault(error, error_size,
		    "attempts of more than %d leaders are in the store: stop jobs, so that their "
		    "records go, and let another master lead",
		    CLUSTER_TERMS_MAX);
	j->singles[index] = s;
	return true;
}

/*
 * --- results: "FIRST[-LAST] STATE ATTEMPTS FAILURES REASON CODE AGENT ERA CZXID" for runs of equal
 * indexes; the last three say where the last attempt was: the agent's number in the registry (or
 * -1), and the term under which it was launched. "FIRST[-LAST] = AGENT" is short for what the line
 * before has, but for the agent: of many tasks that end alike there is little more to say ---
 */

/* What is stored of an index; an attempt that goes on is not counted, it is found on its agent. */
static struct cell
stored_cell(const struct cell *cell)
{
	struct cell s = *cell;

	if (s.state == CELL_LIVE)
		s.attempts--;
	if (s.state != CELL_FINISHED && s.state != CELL_FAILED && s.state != CELL_STOPPED)
		s.state = CELL_UNKNOWN;
	return s;
}

/* Equal but for where they were. */
static bool
cells_alike(const struct cell *a, const struct cell *b)
{
	return a->attempts == b->attempts && a->failures == b->failures && a->state == b->state &&
	       a->reason == b->reason && a->code == b->code && a->term == b->term;
}

static bool
cells_equal(const struct cell *a, const struct cell *b)
{
	return a->agent == b->agent && cells_alike(a, b);
}

static const char *
cell_word(const struct cell *cell)
{
	switch (cell->state) {
	case CELL_FINISHED:
		return "finished";
	case CELL_FAILED:
		return "failed";
	case CELL_STOPPED:
		return "stopped";
	default:
		return "open";
	}
}

/* The digits of a number, to where there is room for them; gives what is behind. */
static char *
print_number(char *to, uint32_t number)
{
	char digits[10];
	size_t count = 0;

	do
		digits[count++] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	while (count > 0)
		*to++ = digits[--count];
	return to;
}

/* "FIRST[-LAST] = AGENT": there are tens of thousands of these a second. */
static void
print_alike(uint32_t first, uint32_t last, uint32_t agent, struct buf *out)
{
	char line[48], *at = print_number(line, first);

	if (last > first) {
		*at++ = '-';
		at = print_number(at, last);
	}
	memcpy(at, " = ", 3);
	at = print_number(at + 3, agent);
	*at++ = '\n';
	buf_append(out, line, (size_t)(at - line));
}

static void
print_cell(const struct cluster *c, uint32_t first, uint32_t last, const struct cell *cell,
    struct buf *out)
{
	buf_printf(out, "%u", first);
	if (last > first)
		buf_printf(out, "-%u", last);
	buf_printf(out, " %s %u %u %u %u %" PRId64 " %" PRIu64 " %" PRIx64 "\n", cell_word(cell),
	    cell->attempts, cell->failures, cell->reason, cell->code,
	    cell->agent == CLUSTER_NO_AGENT ? -1 : (int64_t)cell->agent, c->terms[cell->term].era,
	    (uint64_t)c->terms[cell->term].czxid);
}

void
results_encode(const struct cluster *c, const struct job *j, uint32_t piece, struct buf *out)
{
	uint32_t i = piece * RESULTS_PIECE,
		 end = i + RESULTS_PIECE < j->count ? i + RESULTS_PIECE : j->count;
	struct cell before = {0};
	bool any = false;

	while (i < end) {
		struct cell cell = stored_cell(&j->cells[i]), next;
		uint32_t first = i;

		while (++i < end && (next = stored_cell(&j->cells[i]), cells_equal(&cell, &next)))
			continue;
		if (cell.state == CELL_UNKNOWN && cell.attempts == 0)
			continue;
		if (any && cell.agent != CLUSTER_NO_AGENT && cells_alike(&before, &cell))
			print_alike(first, i - 1, cell.agent, out);
		else
			print_cell(c, first, i - 1, &cell, out);
		before = cell;
		any = true;
	}
}

static bool
parse_cell_word(const char *word, uint8_t *state)
{
	static const uint8_t states[] = {CELL_UNKNOWN, CELL_FINISHED, CELL_FAILED, CELL_STOPPED};

	for (int i = 0; i < 4; i++) {
		struct cell cell = {.state = (unsigned char)states[i] & 15u};

		if (strcmp(word, cell_word(&cell)) == 0) {
			*state = states[i];
			return true;
		}
	}
	return false;
}

/* A line of results; the next one may be told by what differs from it. */
struct result {
	uint32_t first, last;
	struct cell cell;
	bool any, placed;
};

static bool
parse_range(const char *text, struct result *r)
{
	int count = sscanf(text, "%" SCNu32 "-%" SCNu32, &r->first, &r->last);

	if (count == 1)
		r->last = r->first;
	return count >= 1 && r->first <= r->last;
}

static uint32_t
known_agent(const struct cluster *c, int64_t number)
{
	return number < 0 || number >= c->agent_count ? CLUSTER_NO_AGENT : (uint32_t)number;
}

/*
 * Where the last attempt was. Of a term for which there is no number left that is forgotten, and
 * the outcome stays: its output is out of reach, and if it should go on after all it is ended, as
 * an attempt of an older term than the last.
 */
static void
place_result(struct cluster *c, struct result *r, struct term term, int64_t agent)
{
	r->placed = cluster_term_number(c, term, &r->cell.term);
	r->cell.agent = r->placed ? known_agent(c, agent) : CLUSTER_NO_AGENT;
}

static bool
parse_result(struct cluster *c, const char *line, struct result *r)
{
	unsigned attempts, failures, reason, code;
	char range[24], word[12];
	uint8_t state = CELL_UNKNOWN;
	uint64_t czxid;
	int64_t agent;
	struct term term;

	if (r->any && sscanf(line, "%23s = %" SCNd64, range, &agent) == 2) {
		if (r->placed)
			r->cell.agent = known_agent(c, agent);
		return parse_range(range, r);
	}
	if (sscanf(line, "%23s %11s %u %u %u %u %" SCNd64 " %" SCNu64 " %" SCNx64, range, word,
		&attempts, &failures, &reason, &code, &agent, &term.era, &czxid) != 9 ||
	    failures > UINT16_MAX || reason > 15 || code > 255 || !parse_cell_word(word, &state))
		return false;
	term.czxid = (int64_t)czxid;
	r->any = true;
	r->cell = (struct cell){
	    .attempts = attempts,
	    .failures = (uint16_t)failures,
	    .state = state & 15u,
	    .reason = reason & 15,
	    .code = (uint8_t)code,
	};
	place_result(c, r, term, agent);
	return parse_range(range, r);
}

static bool
load_result(struct cluster *c, struct job *j, uint32_t piece, const char *line, struct result *r)
{
	const struct cell *cell = &r->cell;

	if (!parse_result(c, line, r) || r->last >= j->count || r->first / RESULTS_PIECE != piece ||
	    r->last / RESULTS_PIECE != piece)
		return false;
	for (uint32_t i = r->first; i <= r->last; i++) {
		cell_enter(c, j, i, (enum cell_state)cell->state);
		/* Each was tried again, but for the last one of an index that is settled. */
		j->retries += cell->state == CELL_UNKNOWN || cell->attempts == 0
				  ? cell->attempts
				  : cell->attempts - 1;
		j->cells[i] = *cell;
	}
	return true;
}

bool
cluster_load_results(struct cluster *c, struct job *j, uint32_t piece, const char *text,
    size_t size, char *error, size_t error_size)
{
	const char *at = text, *end = text + size;
	char line[LINE_MAX_BYTES];
	struct result result = {0};
	bool bad = false;

	if (piece > j->count / RESULTS_PIECE) {
		j->kept = true;
		return fault(error, error_size, "the job has no such indexes");
	}
	j->pieces[piece] |= PIECE_STORED; /* whatever it says: it is there */
	while (next_line(&at, end, line, &bad))
		if (!load_result(c, j, piece, line, &result))
			return fault(error, error_size, "not a line of results: %.100s", line);
	if (bad)
		return fault(error, error_size, "a line is too long");
	return true;
}
