/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of masters and of what is stored. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cl_check_in.h"

#define MARK_WINDOW_MS 60000
#define SCAN_MS 500 /* how often a master looks whether a drain begins */

int
term_order(struct term a, struct term b)
{
	if (a.era != b.era)
		return a.era < b.era ? -1 : 1;
	return a.czxid < b.czxid ? -1 : a.czxid > b.czxid;
}

static uint64_t
hash_name(const char *name)
{
	static const struct hash_key key = {3, 4};

	return hash_bytes(&key, name, strlen(name));
}

struct seen_attempt *
seen(struct cl_check *k, const struct taskkey *key)
{
	char name[TASKKEY_NAME_BYTES];
	struct hmap_node *n;
	struct seen_attempt *a;

	taskkey_name(key, name);
	for (n = hmap_first(&k->attempts, hash_name(name)); n != NULL; n = hmap_next(n)) {
		a = CONTAINER_OF(n, struct seen_attempt, node);
		if (strcmp(a->name, name) == 0)
			return a;
	}
	a = cl_alloc(sizeof *a);
	a->key = *key;
	a->host = -1;
	memcpy(a->name, name, sizeof a->name);
	if (!hmap_insert(&k->attempts, &a->node, hash_name(name)))
		exit(71);
	return a;
}

struct seen_job *
seen_job(struct cl_check *k, int64_t incarnation)
{
	for (size_t i = 0; i < k->job_count; i++)
		if (k->jobs[i].incarnation == incarnation)
			return &k->jobs[i];
	return NULL;
}

void
cl_check_new(struct cl *c)
{
	c->check = cl_alloc(sizeof *c->check);
	c->check->c = c;
	hmap_init(&c->check->attempts);
}

void
cl_check_free(struct cl *c)
{
	struct cl_check *k = c->check;
	struct list *it, *nx;

	HMAP_EACH(it, nx, &k->attempts) {
		struct seen_attempt *a = HMAP_ENTRY(it, struct seen_attempt, node);

		hmap_remove(&k->attempts, &a->node);
		free(a);
	}
	hmap_fini(&k->attempts);
	for (size_t i = 0; i < k->job_count; i++)
		free(k->jobs[i].indexes);
	cl_check_copy_free(k);
	free(k);
	c->check = NULL;
}

const struct cl_totals *
cl_check_totals(const struct cl *c)
{
	return &c->check->totals;
}

/* ---- The registry. ---- */

int
cl_check_agent_named(const struct cl *c, const char *name)
{
	for (unsigned i = 0; i < c->conf.agents; i++)
		if (strcmp(c->machines[cl_agent_machine(c, i)].name, name) == 0)
			return (int)i;
	return -1;
}

/*
 * A3: at most a tenth of the agents are marked in a minute, or one; those of two leaders may come
 * together, or one that waited for its commit and the next.
 */
static void
note_mark(struct cl_check *k, unsigned agent)
{
	struct seen_agent *a = &k->agents[agent];
	uint64_t now = k->c->world.now_ms;
	unsigned recent = 0, most = k->c->conf.agents / 10 > 1 ? k->c->conf.agents / 10 : 1;

	a->marks_ms[a->mark_count % MARKS_MAX] = now;
	a->asked_marks[a->mark_count++ % MARKS_MAX] = a->asked;
	k->totals.marks++;
	if (a->asked) {
		a->asked = false;
		return;
	}
	for (unsigned i = 0; i < k->c->conf.agents; i++)
		for (unsigned m = 0; m < k->agents[i].mark_count && m < MARKS_MAX; m++)
			recent += now - k->agents[i].marks_ms[m] < MARK_WINDOW_MS * 98 / 100 &&
				  k->agents[i].marks_ms[m] >= k->last_led_ms &&
				  !k->agents[i].asked_marks[m];
	if (recent > 2 * most)
		VIOLATED(k->c, "A3: %u agents were marked unreachable within a minute", recent);
}

static void
check_id(struct cl_check *k, unsigned agent, const char *id)
{
	struct seen_agent *a = &k->agents[agent];

	if (a->id[0] == '\0' || a->forgotten)
		snprintf(a->id, sizeof a->id, "%s", id);
	else if (strcmp(a->id, id) != 0)
		VIOLATED(k->c, "A2: agent-%u was %s and is %s now", agent, a->id, id);
	for (unsigned i = 0; i < k->c->conf.agents; i++)
		if (i != agent && strcmp(k->agents[i].id, a->id) == 0)
			VIOLATED(k->c, "A2: agent-%u and agent-%u have one id", i, agent);
}

static void
check_registry(struct cl_check *k, char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		char id[64], state[16], name[64];
		int agent;

		if (sscanf(line, "%63s %15s %63s", id, state, name) != 3 ||
		    (agent = cl_check_agent_named(k->c, name)) < 0) {
			VIOLATED(k->c, "L5: the registry has a line that is none: %s", line);
			return;
		}
		check_id(k, (unsigned)agent, id);
		if (strcmp(state, "admitted") != 0) {
			if (!k->agents[agent].marked)
				note_mark(k, (unsigned)agent);
			k->agents[agent].marked = true;
			k->agents[agent].report++;
		} else {
			k->agents[agent].marked = false;
		}
	}
}

void
cl_check_asked(struct cl *c, const char *name, bool forgotten)
{
	struct seen_agent *a = &c->check->agents[cl_check_agent_named(c, name)];

	a->asked = true;
	a->forgotten = a->forgotten || forgotten;
}

/*
 * What was there is over, says the store from now on: a leader that cannot read its job says
 * nothing of it, nor does the next one, which counts it as it loads.
 */
void
cl_check_powered_off(struct cl *c, const char *name)
{
	int host = cl_check_agent_named(c, name);
	struct list *it, *nx;

	HMAP_EACH(it, nx, &c->check->attempts) {
		struct seen_attempt *a = HMAP_ENTRY(it, struct seen_attempt, node);

		a->given_up = a->given_up || a->host == host;
	}
}

/* ---- Results. ---- */

static char
letter_of(const char *word)
{
	return strcmp(word, "finished") == 0  ? 'f'
	       : strcmp(word, "failed") == 0  ? 'F'
	       : strcmp(word, "stopped") == 0 ? 's'
					      : 'o';
}

struct result {
	unsigned first, last, attempts, failures, reason, code;
	char letter;
	uint64_t era;
	int64_t czxid;
};

/* T5: what is stored of the program's end is what the kernel saw. */
static void
check_truth(struct cl_check *k, const struct seen_job *j, unsigned index, const struct result *r)
{
	struct taskkey key = {j->incarnation, index, r->attempts, r->era, r->czxid};
	const struct seen_attempt *a = seen(k, &key);
	int status = a->wait_status;

	if (r->letter == 'f' && (!a->ended || status != 0))
		VIOLATED(k->c,
		    "T5: %s.%u is stored as finished, and its program did not end with 0", j->name,
		    index);
	else if (r->letter == 'F' && r->reason == CORRAL__TASK_REASON__REASON_EXIT &&
		 (!a->ended || status != (int)r->code << 8))
		VIOLATED(k->c,
		    "T5: %s.%u is stored as failed with %u, and its program ended with %x", j->name,
		    index, r->code, (unsigned)status);
}

static void
note_result(struct cl_check *k, struct seen_job *j, unsigned index, const struct result *r)
{
	struct seen_index *s = &j->indexes[index];

	if (s->word != 0 && s->word != 'o' && (s->word != r->letter || s->attempts != r->attempts))
		VIOLATED(
		    k->c, "T3: %s.%u had ended, and its stored end has changed", j->name, index);
	/*
	 * (One that goes on is not counted, also if it had been given up and came back. A store
	 * that was restored counts anew, and agents still know what was made before.)
	 */
	if (k->restored_ms == 0 && r->attempts + 1 < s->attempts)
		VIOLATED(k->c, "T3: %s.%u had %u attempts, and has %u now", j->name, index,
		    s->attempts, r->attempts);
	if (r->letter != s->word && r->letter != 'o') {
		k->totals.ended++;
		check_truth(k, j, index, r);
	}
	s->word = r->letter;
	s->attempts = r->attempts;
}

/* A line as master/core/records.c has it; "=" says that all but the agent is as in the last one. */
static bool
parse_result(const char *line, struct result *r)
{
	char range[24], word[12];
	uint64_t czxid;
	int64_t agent;

	if (sscanf(line, "%23s = %" SCNd64, range, &agent) != 2) {
		if (sscanf(line, "%23s %11s %u %u %u %u %" SCNd64 " %" SCNu64 " %" SCNx64, range,
			word, &r->attempts, &r->failures, &r->reason, &r->code, &agent, &r->era,
			&czxid) != 9)
			return false;
		r->czxid = (int64_t)czxid;
		r->letter = letter_of(word);
	}
	if (sscanf(range, "%u-%u", &r->first, &r->last) != 2) {
		if (sscanf(range, "%u", &r->first) != 1)
			return false;
		r->last = r->first;
	}
	return r->letter != 0;
}

static void
check_results(struct cl_check *k, struct seen_job *j, char *text)
{
	char *save = NULL;
	struct result r = {0};

	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!parse_result(line, &r) || r.last >= j->def.count) {
			VIOLATED(k->c, "L5: the results of %s have a line that is none: %s",
			    j->name, line);
			return;
		}
		for (unsigned i = r.first; i <= r.last; i++)
			note_result(k, j, i, &r);
	}
}

/* ---- Commits. ---- */

static struct seen_job *
job_named(struct cl_check *k, const char *name, size_t size)
{
	for (size_t i = k->job_count; i > 0; i--)
		if (!k->jobs[i - 1].removed && strlen(k->jobs[i - 1].name) == size &&
		    memcmp(k->jobs[i - 1].name, name, size) == 0)
			return &k->jobs[i - 1];
	return NULL;
}

static void
note_job(struct cl_check *k, const char *name, int64_t zxid, const char *text)
{
	struct seen_job *j;

	if (k->job_count == JOBS_MAX) {
		VIOLATED(k->c, "more jobs than the checks can remember");
		return;
	}
	j = &k->jobs[k->job_count++];
	snprintf(j->name, sizeof j->name, "%s", name);
	j->incarnation = zxid;
	if (!cl_def_decode(&j->def, text)) {
		VIOLATED(k->c, "L5: job %s is stored with a text that is none", name);
		return;
	}
	j->indexes = cl_alloc(j->def.count * sizeof *j->indexes);
	k->totals.tasks += j->def.count;
}

static void
check_job_op(struct cl_check *k, int64_t zxid, const struct cl_op *op, char *text)
{
	const char *name = op->path + strlen("/corral/jobs/"), *rest = strchr(name, '/');
	struct seen_job *j =
	    job_named(k, name, rest == NULL ? strlen(name) : (size_t)(rest - name));

	if (rest == NULL && op->kind == CL_OP_CREATE) {
		if (j != NULL)
			VIOLATED(k->c, "L5: job %s is made a second time", name);
		note_job(k, name, zxid, text);
	} else if (j == NULL) {
		VIOLATED(k->c, "L5: %s is written, and there is no such job", op->path);
	} else if (rest == NULL) {
		j->removed = true;
	} else if (strcmp(rest, "/state") == 0 && op->kind != CL_OP_DELETE) {
		bool ends = strstr(text, "state=finished") != NULL ||
			    strstr(text, "state=failed") != NULL ||
			    strstr(text, "state=stopped") != NULL;

		if (j->ended && !ends)
			VIOLATED(k->c, "T3: job %s had ended, and goes on", j->name);
		j->ended = ends;
	} else if (strncmp(rest, "/results-", 9) == 0 && op->kind != CL_OP_DELETE) {
		check_results(k, j, text);
	}
}

static bool
is_hand_made(const char *path)
{
	return strncmp(path, CL_HAND_MADE, strlen(CL_HAND_MADE)) == 0;
}

static bool
is_masters(const char *path)
{
	if (is_hand_made(path))
		return false;
	return strncmp(path, "/corral/registry/", strlen("/corral/registry/")) == 0 ||
	       strncmp(path, "/corral/jobs/", strlen("/corral/jobs/")) == 0;
}

static void
check_op(struct cl_check *k, int64_t zxid, const struct cl_op *op)
{
	char *text;

	if (op->kind == CL_OP_CHECK)
		return;
	if (is_masters(op->path))
		cl_trace(k->c, "store: %s, %zu bytes", op->path, op->size);
	text = cl_alloc(op->size + 1);
	memcpy(text, op->data, op->size);
	if (strcmp(op->path, "/corral/registry/agents-0") == 0)
		check_registry(k, text);
	else if (strncmp(op->path, "/corral/jobs/", strlen("/corral/jobs/")) == 0 &&
		 !is_hand_made(op->path))
		check_job_op(k, zxid, op, text);
	free(text);
}

/* L3: who writes is the newest that ever wrote, and says so in the write itself. */
static void
check_writer(struct cl_check *k, int64_t session, const struct cl_op *first)
{
	for (size_t i = k->term_count; i > 0; i--) {
		if (k->terms[i - 1].session != session)
			continue;
		if (term_order(k->terms[i - 1].term, k->written) < 0)
			VIOLATED(k->c, "L3: a master of an older term has written to the store");
		k->written = k->terms[i - 1].term;
		if (first->kind != CL_OP_CHECK)
			VIOLATED(k->c, "L3: a write does not check that its writer still leads");
		return;
	}
	VIOLATED(k->c, "L3: somebody has written to the store who never led");
}

void
cl_check_commit(struct cl *c, int64_t session, int64_t zxid, const uint8_t *ops, size_t size)
{
	const uint8_t *end = ops + size;
	struct cl_op op, first = {0};
	bool checked = false;

	for (size_t i = 0; cl_ops_get(&ops, end, &op); i++) {
		if (i == 0)
			first = op;
		if (op.kind != CL_OP_CHECK && is_masters(op.path) && !checked) {
			check_writer(c->check, session, &first);
			checked = true;
		}
		check_op(c->check, zxid, &op);
	}
}

/* ---- Masters. ---- */

/* L6: of what its own session has made, the lowest is its own: else nobody would ever lead. */
void
cl_check_stands_by(struct cl_master *m)
{
	char path[CL_PATH_BYTES];
	const struct cl_version *v;
	uint64_t at;

	snprintf(path, sizeof path, CL_ELECTION "/%s", m->elect.leader);
	v = cl_tree_get(cl_ens_tree(m->c, &at), path, UINT64_MAX);
	if (v != NULL && v->owner == m->elect.session_id)
		VIOLATED(
		    m->c, "L6: master-%u waits for its own node %s", m->number, m->elect.leader);
}

bool
cl_check_is_unread(struct cl_master *m, const char *path)
{
	const char *name = path + strlen("/corral/jobs/");
	const struct seen_job *j;

	if (is_hand_made(path))
		return true;
	if (strncmp(path, "/corral/jobs/", strlen("/corral/jobs/")) != 0)
		return false;
	j = job_named(m->c->check, name, strcspn(name, "/"));
	return j != NULL && j->def.release > m->release;
}

/* T9: a leader that cannot read a job leaves its tasks alone, and what is told of them. */
static void
check_unread(struct cl_master *m, const struct seen_attempt *a, const char *what)
{
	const struct seen_job *j = seen_job(m->c->check, a->key.incarnation);

	if (j != NULL && !j->removed && j->def.release > m->release)
		VIOLATED(
		    m->c, "T9: %s %s, and master-%u cannot read its job", a->name, what, m->number);
}

void
cl_check_leads(struct cl_master *m)
{
	struct cl_check *k = m->c->check;

	if (term_order(m->elect.term, k->led) <= 0)
		VIOLATED(m->c, "L1: master-%u leads in a term that is not the newest", m->number);
	k->led = m->elect.term;
	k->last_led_ms = m->c->world.now_ms;
	k->totals.elections++;
	if (k->term_count == SESSIONS_MAX) {
		VIOLATED(m->c, "elections without end");
		return;
	}
	k->terms[k->term_count].session = m->elect.session_id;
	k->terms[k->term_count++].term = m->elect.term;
}

static bool
is_end(const struct seen_attempt *a, const uint8_t *uuid)
{
	for (unsigned i = 0; i < a->update_count; i++)
		if (memcmp(a->updates[i].uuid, uuid, ATTEMPT_UUID_BYTES) == 0)
			return task_state_terminal(a->updates[i].state);
	return false;
}

static struct taskkey
key_of(const struct task_key *key)
{
	return (struct taskkey){
	    key->incarnation, key->index, key->attempt, key->term.era, key->term.czxid};
}

/* T4: before an outcome is acknowledged, the store has it. */
static void
check_ack(struct cl_master *m, const struct taskkey *key, const uint8_t *uuid)
{
	struct cl_check *k = m->c->check;
	const struct seen_attempt *a = seen(k, key);
	const struct seen_job *j = seen_job(k, key->incarnation);
	const struct job *own = j == NULL ? NULL : cluster_job(&m->cluster, j->name);
	const struct seen_index *s = j == NULL ? NULL : &j->indexes[key->index];
	bool newest;

	k->totals.acks++;
	if (is_end(a, uuid))
		check_unread(m, a, "is acknowledged");
	if (!is_end(a, uuid) || j == NULL || j->removed || own == NULL ||
	    own->incarnation != key->incarnation)
		return;
	newest = own->cells[key->index].attempts == key->attempt &&
		 term_equal(m->cluster.terms[own->cells[key->index].term],
		     (struct term){key->era, key->czxid});
	/* (What was given up is over for its master, whatever its agent says later.) */
	if (newest && !a->given_up && s->word != 'f' && s->word != 'F' && s->word != 's' &&
	    s->attempts < key->attempt)
		VIOLATED(m->c,
		    "T4: the end of %s is acknowledged, and what is stored is of attempt %u",
		    a->name, s->attempts);
}

/* S2: no attempt at a singleton is sent while the sender knows of another one that is alive. */
static void
check_alone(struct cl_master *m, const struct seen_attempt *t)
{
	struct cl_check *k = m->c->check;
	const struct seen_job *j = seen_job(k, t->key.incarnation);
	struct list *it, *nx;

	if (j == NULL || !j->def.singleton)
		return;
	HMAP_EACH(it, nx, &k->attempts) {
		const struct seen_attempt *a = HMAP_ENTRY(it, struct seen_attempt, node);
		const struct seen_job *of = seen_job(k, a->key.incarnation);

		if (a != t && a->report != 0 && a->report == k->agents[a->reported_by].report &&
		    term_equal(a->reported_to, m->elect.term) && a->key.index == t->key.index &&
		    of != NULL && strcmp(of->name, j->name) == 0)
			VIOLATED(m->c, "S2: %s is sent, and agent-%d has reported %s as alive",
			    t->name, a->reported_by, a->name);
	}
}

void
cl_check_acts(
    struct cl_master *m, enum cl_sent what, const struct task_key *key, const uint8_t *uuid)
{
	struct cl_check *k = m->c->check;
	struct taskkey t = key_of(key);

	if (term_order(m->elect.term, k->led) < 0)
		VIOLATED(m->c, "L2: master-%u acts, and another one leads since then", m->number);
	if (!cl_ens_session_lives(m->c, m->elect.session_id))
		VIOLATED(m->c, "L2: master-%u acts, and its session is over", m->number);
	if (what == CL_SENT_LAUNCH) {
		seen(k, &t)->launch_sent_ms = m->c->world.now_ms;
		check_alone(m, seen(k, &t));
		cl_trace(m->c, "%s: launches %s", m->proc.machine->name, seen(k, &t)->name);
	} else if (what == CL_SENT_KILL) {
		k->totals.kills++;
		check_unread(m, seen(k, &t), "is killed");
	} else if (what == CL_SENT_ACK) {
		check_ack(m, &t, uuid);
	}
}

/* D1: where people work on a machine, nothing new is begun. (A singleton's place may be older.) */
static void
check_takes_tasks(struct cl_master *m, const struct out *o)
{
	const struct drain *d = &o->agent->drain;
	uint64_t now = cl_now(m->proc.machine);

	if (!resources_fits(&o->job->policy.need, &m->cluster.books.accounts[o->agent->node].total))
		VIOLATED(m->c, "R3: %s.%u is placed on %s, which has not as much", o->job->name,
		    o->key.index, o->agent->name);
	if (o->job->policy.singleton)
		return;
	if (d->wanted && now >= d->from_ms + SCAN_MS && now < d->until_ms)
		VIOLATED(m->c, "D1: %s.%u is placed on %s, which is drained", o->job->name,
		    o->key.index, o->agent->name);
	if (o->agent->gone || o->agent->state != AGENT_READY)
		VIOLATED(m->c, "D1: %s.%u is placed on %s, which is %s", o->job->name, o->key.index,
		    o->agent->name, agent_state_name(o->agent->state));
}

/* Its agent has registered with this master since it was launched, and did not have it alive. */
static bool
is_unreported(const struct cl_master *m, const struct seen_attempt *a, int agent)
{
	const struct seen_agent *of = &m->c->check->agents[agent];

	return of->reported_ms != 0 && of->reported_ms >= a->launch_sent_ms &&
	       term_equal(of->reported_to, m->elect.term) && a->report != of->report;
}

void
cl_check_out(struct cl_master *m, const struct out *o)
{
	struct cl_check *k = m->c->check;
	struct taskkey key = key_of(&o->key);
	uint64_t at;
	char path[CL_PATH_BYTES];
	bool settled;
	int agent;

	if (o->kind == OUT_LAUNCH)
		check_takes_tasks(m, o);
	if (o->kind == OUT_JOB_ACCEPTED) {
		snprintf(path, sizeof path, "/corral/jobs/%s", o->job->name);
		if (cl_tree_get(cl_ens_tree(m->c, &at), path, UINT64_MAX) == NULL)
			VIOLATED(m->c, "L3: job %s is accepted, and is not stored", o->job->name);
	}
	if (o->kind != OUT_TASK || o->state != CORRAL__TASK_STATE__LOST ||
	    o->reason != CORRAL__TASK_REASON__REASON_AGENT_LOST)
		return;
	agent = cl_check_agent_named(m->c, o->agent->name);
	/* (The connection may have ended in the turn in which its report was settled.) */
	settled = agent >= 0 && is_unreported(m, seen(k, &key), agent);
	seen(k, &key)->given_up = true;
	seen(k, &key)->report = 0; /* S1 says whether that was right; what comes now counts */
	if (o->agent->connected || settled || o->job->policy.singleton)
		return;
	if (agent >= 0 && !k->agents[agent].marked)
		VIOLATED(m->c, "A3: a task on %s is given up, and the store does not say why",
		    o->agent->name);
}

/* R1, R2 of the master's books, and that no index has two live attempts. */
void
cl_check_master(struct cl_master *m)
{
	if ((m->cluster.out.count > 0 || m->c->check->walks++ % 32 == 0) &&
	    !cluster_check(&m->cluster))
		VIOLATED(m->c, "R2: the books of master-%u do not balance", m->number);
}

void
cl_check_report(struct cl_master *m, const char *name, const Corral__Register *r)
{
	struct cl_check *k = m->c->check;
	int agent = cl_check_agent_named(m->c, name);
	uint64_t report = agent < 0 ? 0 : ++k->agents[agent].report;

	if (agent >= 0) {
		k->agents[agent].reported_ms = m->c->world.now_ms;
		k->agents[agent].reported_to = m->elect.term;
	}
	cl_trace(m->c, "%s: %s registers with %zu tasks", m->proc.machine->name, name, r->n_tasks);
	for (size_t i = 0; i < r->n_tasks; i++) {
		struct taskkey key = taskkey_of(r->tasks[i]->key);
		struct seen_attempt *a = seen(k, &key);

		cl_trace(m->c, "  %s: %s", a->name, task_state_name(r->tasks[i]->state));
		a->report = task_state_terminal(r->tasks[i]->state) ? 0 : report;
		a->reported_by = agent;
		a->reported_to = m->elect.term;
	}
}

void
cl_check_refused(struct cl_master *m, const char *name)
{
	int agent = cl_check_agent_named(m->c, name);

	if (agent < 0)
		return;
	m->c->check->agents[agent].report++;
	m->c->check->agents[agent].reported_ms = 0;
}

void
cl_check_update(struct cl_master *m, const Corral__StatusUpdate *u)
{
	struct taskkey key = taskkey_of(u->key);

	if (task_state_terminal(u->state))
		seen(m->c->check, &key)->report = 0;
}
