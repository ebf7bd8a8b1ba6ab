/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fake_cluster.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/core/load.h"

#define MIB (UINT64_C(1) << 20)

static bool
allows(const void *definition, const struct agent *a)
{
	const char *only = strchr(definition, '@');

	return only == NULL || strcmp(only + 1, a->name) == 0;
}

static uint64_t
path_hash(const char *path)
{
	return hash_bytes(&(struct hash_key){0}, path, strlen(path));
}

/* A node at the end of the list, without its data. */
static struct fake_node *
add_node(struct fake *f, const char *path, int64_t czxid)
{
	struct fake_node *n = &f->store.nodes[f->store.count];

	assert(f->store.count < FAKE_NODES_MAX);
	f->store.count++;
	n->czxid = czxid;
	n->path_hash = path_hash(path);
	n->data = NULL;
	n->size = 0;
	snprintf(n->path, sizeof n->path, "%s", path);
	return n;
}

static void
node_fill(struct fake_node *n, const void *data, size_t size)
{
	free(n->data);
	n->data = malloc(size + 1);
	assert(n->data != NULL);
	if (size > 0)
		memcpy(n->data, data, size);
	n->data[size] = '\0';
	n->size = size;
}

/*
 * Without what is large: the agents' queues and the store's nodes, which are counted, and the
 * cluster, which is made when a master is elected.
 */
void
fake_init(struct fake *f)
{
	size_t behind = offsetof(struct fake, leading);

	memset((char *)f + behind, 0, sizeof *f - behind);
	f->agent_count = 0;
	f->store.count = 0;
	f->store.zxid = 100;
	f->now_ms = 1000000;
	f->term.era = 1;
	f->lease_ms = 15000;
	f->drift_permille = 10;
	/* What a master makes before it contends. */
	node_fill(add_node(f, "/corral/era", 1), "1", 1);
	node_fill(add_node(f, "/corral/quota", 2), "", 0);
	node_fill(add_node(f, "/corral/roles", 3), "", 0);
}

void
fake_fini(struct fake *f)
{
	if (f->leading)
		cluster_fini(&f->cluster);
	for (size_t i = 0; i < f->store.count; i++)
		free(f->store.nodes[i].data);
}

struct fake_agent *
fake_add_agent(struct fake *f, uint64_t cpu_milli, uint64_t memory_mib)
{
	struct fake_agent *a = &f->agents[f->agent_count];

	assert(f->agent_count < FAKE_AGENTS_MAX);
	a->id[0] = '\0';
	a->task_count = a->inbox_count = a->refused_count = 0;
	a->registration = 0;
	a->connected = false;
	a->missing = NULL;
	snprintf(a->name, sizeof a->name, "n%zu", f->agent_count++);
	a->capacity = (struct resources){cpu_milli, memory_mib * MIB, 0};
	return a;
}

/* --- the store --- */

static struct fake_node *
find_node(struct fake *f, const char *path)
{
	uint64_t hash = path_hash(path);

	for (size_t i = 0; i < f->store.count; i++) {
		struct fake_node *n = &f->store.nodes[i];

		if (n->path_hash == hash && strcmp(n->path, path) == 0)
			return n;
	}
	return NULL;
}

const struct fake_node *
fake_find(const struct fake *f, const char *path)
{
	return find_node((struct fake *)f, path);
}

void
fake_put(struct fake *f, const char *path)
{
	node_fill(add_node(f, path, ++f->store.zxid), "", 0);
}

void
fake_remove(struct fake *f, const char *path)
{
	struct fake_node *n = find_node(f, path);

	assert(n != NULL);
	free(n->data);
	*n = f->store.nodes[--f->store.count];
}

static void
apply(struct fake *f, const struct commit *m, const struct store_op *op)
{
	struct fake_node *n = find_node(f, op->path);
	const uint8_t *data = m->data.data + op->offset;

	assert((n != NULL) == (op->kind != STORE_CREATE));
	switch (op->kind) {
	case STORE_CREATE:
		node_fill(add_node(f, op->path, f->store.zxid), data, op->size);
		break;
	case STORE_SET:
		node_fill(n, data, op->size);
		break;
	case STORE_DELETE:
		fake_remove(f, op->path);
		break;
	}
}

/* The next of numbers that end with a space each, and *at behind it. */
static uint64_t
take_number(const char **at)
{
	uint64_t number = 0;

	assert(**at >= '0' && **at <= '9');
	for (; **at >= '0' && **at <= '9'; ++*at)
		number = number * 10 + (uint64_t)(**at - '0');
	assert(**at == ' ');
	++*at;
	return number;
}

/*
 * A job's text: COUNT SERVICE RESTART RESTART_MS RETRIES CPU MEMORY CONSTRAINED SINGLETON STOP
 * PRIORITY DISCONNECT ROLE.
 */
static void *
parse(const char *name, const char *text, size_t text_size, uint32_t *count,
    struct job_policy *policy, char *error, size_t size)
{
	const char *at;
	char *copy;

	(void)name;
	(void)text_size;
	snprintf(error, size, "of a later version");
	if (text[0] == '?')
		return NULL;
	copy = strdup(text);
	assert(copy != NULL);
	*policy = (struct job_policy){0};
	at = copy;
	*count = (uint32_t)take_number(&at);
	policy->service = take_number(&at) != 0;
	policy->restart = (enum job_restart)take_number(&at);
	policy->restart_ms = take_number(&at);
	policy->retries_max = (uint32_t)take_number(&at);
	policy->need.cpu_milli = take_number(&at);
	policy->need.memory_bytes = take_number(&at);
	policy->constrained = take_number(&at) != 0;
	policy->singleton = take_number(&at) != 0;
	policy->stop_ms = take_number(&at);
	policy->priority = (uint32_t)take_number(&at);
	policy->disconnect_ms = take_number(&at);
	policy->role = at;
	assert(*at != '\0');
	return copy;
}

static void
left_alone(void *arg, const char *path, const char *why)
{
	struct fake *f = arg;

	f->left_alone++;
	if (f->unreadable)
		return;
	fprintf(stderr, "%s: %s\n", path, why);
	abort();
}

static void
list_children(struct fake *f, struct load *l)
{
	static const char *names[FAKE_NODES_MAX];
	size_t length = strlen(load_path(l)), count = 0;

	for (size_t i = 0; i < f->store.count; i++) {
		const char *path = f->store.nodes[i].path;

		if (strncmp(path, load_path(l), length) == 0 && path[length] == '/' &&
		    strchr(path + length + 1, '/') == NULL)
			names[count++] = path + length + 1;
	}
	load_listed(l, names, count);
}

static void
load_store(struct fake *f)
{
	static const struct load_ops ops = {parse, left_alone};
	struct load *l = load_new(&f->cluster, &ops, f);
	enum load_step step;

	assert(l != NULL);
	while ((step = load_next(l)) == LOAD_NODE || step == LOAD_CHILDREN) {
		const struct fake_node *n = find_node(f, load_path(l));

		if (step == LOAD_CHILDREN)
			list_children(f, l);
		else if (n != NULL)
			load_node(l, true, n->czxid, n->data, n->size);
		else
			load_node(l, false, 0, NULL, 0);
	}
	if (step == LOAD_FAILED)
		fprintf(stderr, "%s\n", load_error(l));
	assert(step == LOAD_DONE);
	load_free(l);
}

/* --- the master --- */

void
fake_depose(struct fake *f)
{
	for (size_t i = 0; i < f->agent_count; i++)
		fake_cut(f, &f->agents[i]);
	if (f->leading)
		cluster_fini(&f->cluster);
	f->leading = false;
	f->batch = NULL;
}

void
fake_elect(struct fake *f)
{
	static const struct hash_key key = {1, 2};
	struct cluster_settings settings = {.lease_ms = f->lease_ms,
	    .drift_permille = f->drift_permille,
	    .unreachable_after_ms = 30000,
	    .wall_offset_ms = f->wall_offset_ms,
	    .executor = {0, 2 * MIB, 0}};
	struct cluster_ops ops = {allows, free};

	fake_depose(f);
	f->term.czxid = ++f->store.zxid;
	assert(cluster_init(&f->cluster, &settings, &ops, &key, f->term, f->now_ms));
	load_store(f);
	cluster_start(&f->cluster, f->now_ms);
	f->leading = true;
}

static struct fake_agent *
agent_of(struct fake *f, const struct out *o)
{
	return o->agent == NULL ? NULL : &f->agents[strtoul(o->agent->name + 1, NULL, 10)];
}

static void
put_into_inbox(struct fake *f, const struct out *o)
{
	struct fake_agent *a = agent_of(f, o);

	if (!a->connected || cluster_out_link(o) == NULL)
		return;
	assert(a->inbox_count < FAKE_QUEUE_MAX);
	a->inbox[a->inbox_count] = *o;
	/* What a message says of a job and an agent, by value: the core's structs may be gone when
	 * it is read. */
	a->inbox[a->inbox_count].job = NULL;
	if (o->kind == OUT_LAUNCH) {
		a->inbox[a->inbox_count].agent = NULL;
		a->inbox[a->inbox_count].delay_ms =
		    o->job->policy.need.cpu_milli << 32 | o->job->policy.need.memory_bytes / MIB;
	}
	if (o->kind == OUT_WELCOME)
		a->inbox[a->inbox_count].delay_ms = o->agent->registration;
	a->inbox_count++;
}

/* A welcome goes out at once, all else is gathered before it does: as the real shell has it. */
static void
carry_out(struct fake *f)
{
	struct cluster_out *o = &f->cluster.out;

	for (size_t i = 0; i < o->count; i++) {
		f->launches += o->items[i].kind == OUT_LAUNCH;
		f->kills += o->items[i].kind == OUT_KILL;
		f->acks += o->items[i].kind == OUT_ACK;
		f->accepted += o->items[i].kind == OUT_JOB_ACCEPTED;
		f->welcomes += o->items[i].kind == OUT_WELCOME;
		if (o->items[i].kind == OUT_WELCOME)
			put_into_inbox(f, &o->items[i]);
	}
	for (size_t i = 0; i < o->count; i++)
		if (o->items[i].kind != OUT_WELCOME && o->items[i].kind <= OUT_ACK)
			put_into_inbox(f, &o->items[i]);
	cluster_out_clear(&f->cluster);
}

void
fake_turn(struct fake *f)
{
	if (!f->leading)
		return;
	cluster_turn(&f->cluster, f->now_ms);
	carry_out(f);
	if (f->batch == NULL)
		f->batch = cluster_commit_begin(&f->cluster);
	assert(!f->cluster.failed);
}

static bool
removes(const struct commit *m, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (m->ops[i].kind == STORE_DELETE && strcmp(m->ops[i].path, path) == 0)
			return true;
	return false;
}

/* Has the node that operation `at` removes a child that those before it leave? */
static bool
has_child(const struct fake *f, const struct commit *m, size_t at)
{
	size_t length = strlen(m->ops[at].path);

	for (size_t i = 0; i < f->store.count; i++) {
		const char *path = f->store.nodes[i].path;

		if (strncmp(path, m->ops[at].path, length) == 0 && path[length] == '/' &&
		    !removes(m, at, path))
			return true;
	}
	return false;
}

/* Removals that the store refuses are taken out, as the shell does it. */
static void
shorten(struct fake *f, const struct commit *m)
{
	size_t made;

	for (size_t i = 0; i < m->count; i++) {
		if (m->ops[i].kind != STORE_DELETE || !has_child(f, m, i))
			continue;
		assert(cluster_commit_answered(&f->cluster, COMMIT_ANSWER_CHILD, false, i + 1,
			   &made) == COMMIT_SHORTEN);
		cluster_commit_shorten(&f->cluster, i + 1);
		i = SIZE_MAX;
	}
}

void
fake_commit(struct fake *f, bool told)
{
	int64_t czxids[COMMIT_OPS_MAX];
	const struct commit *m = f->batch;

	if (m == NULL)
		return;
	shorten(f, m);
	f->store.zxid++;
	for (size_t i = 0; i < m->count; i++) {
		apply(f, m, &m->ops[i]);
		czxids[i] = f->store.zxid;
	}
	f->batch = NULL;
	if (!told)
		return;
	cluster_committed(&f->cluster, f->now_ms, czxids);
	cluster_turn(&f->cluster, f->now_ms);
	carry_out(f);
}

void
fake_settle(struct fake *f)
{
	for (fake_turn(f); f->batch != NULL; fake_turn(f))
		fake_commit(f, true);
}

struct job *
fake_submit(struct fake *f, const char *name, uint32_t count, const struct job_policy *p)
{
	char text[200];
	struct job *j;
	int size = snprintf(text, sizeof text,
	    "%u %u %u %" PRIu64 " %u %" PRIu64 " %" PRIu64 " %u %u %" PRIu64 " %u %" PRIu64 " %s",
	    count, p->service, p->restart, p->restart_ms, p->retries_max, p->need.cpu_milli,
	    p->need.memory_bytes, p->constrained, p->singleton, p->stop_ms, p->priority,
	    p->disconnect_ms, p->role == NULL ? ROLE_DEFAULT : p->role);

	if (cluster_submit(&f->cluster, f->now_ms, name, count, p, strdup(text), text, (size_t)size,
		"operator:test", 1, &j) != SUBMIT_OK)
		return NULL;
	return j;
}

/* --- agents --- */

static bool
keys_equal(const struct task_key *a, const struct task_key *b)
{
	return a->incarnation == b->incarnation && a->index == b->index &&
	       a->attempt == b->attempt && term_equal(a->term, b->term);
}

static struct fake_task *
find_task(struct fake_agent *a, const struct task_key *key)
{
	for (size_t i = 0; i < a->task_count; i++)
		if (keys_equal(&a->tasks[i].key, key))
			return &a->tasks[i];
	return NULL;
}

static Corral__TaskKey *
message_key(const struct task_key *key)
{
	Corral__TaskKey *k = malloc(sizeof *k);

	assert(k != NULL);
	corral__task_key__init(k);
	k->job = strdup(key->job);
	k->incarnation = key->incarnation;
	k->index = key->index;
	k->attempt = key->attempt;
	k->term = malloc(sizeof *k->term);
	assert(k->term != NULL);
	corral__term__init(k->term);
	k->term->era = key->term.era;
	k->term->czxid = key->term.czxid;
	return k;
}

static Corral__Resources *
message_resources(const struct resources *r)
{
	Corral__Resources *m = malloc(sizeof *m);

	assert(m != NULL);
	corral__resources__init(m);
	m->has_cpu_milli = m->has_memory_bytes = m->has_disk_bytes = true;
	m->cpu_milli = r->cpu_milli;
	m->memory_bytes = r->memory_bytes;
	m->disk_bytes = r->disk_bytes;
	return m;
}

void
fake_connect(struct fake *f, struct fake_agent *a)
{
	Corral__Register *r = malloc(sizeof *r);
	char error[300];

	if (!f->leading) {
		free(r);
		return;
	}
	corral__register__init(r);
	r->agent_id = a->id[0] == '\0' ? NULL : strdup(a->id);
	r->node = strdup(a->name);
	r->boot_id = strdup("boot");
	r->capacity = message_resources(&a->capacity);
	r->tasks = malloc((a->task_count + 1) * sizeof *r->tasks);
	for (size_t i = 0; i < a->task_count; i++) {
		Corral__TaskReport *t = malloc(sizeof *t);

		corral__task_report__init(t);
		t->key = message_key(&a->tasks[i].key);
		t->state = a->tasks[i].state;
		t->resources = message_resources(&a->tasks[i].need);
		r->tasks[r->n_tasks++] = t;
	}
	if (a->missing != NULL) {
		r->missing_isolation = malloc(sizeof *r->missing_isolation);
		r->missing_isolation[r->n_missing_isolation++] = strdup(a->missing);
	}
	a->inbox_count = 0;
	a->registration = 0;
	a->connected = true;
	if (cluster_register(&f->cluster, f->now_ms, a->name, r, a, error, sizeof error) == NULL) {
		fprintf(stderr, "%s was refused: %s\n", a->name, error);
		abort();
	}
	carry_out(f);
}

void
fake_cut(struct fake *f, struct fake_agent *a)
{
	struct agent *known = f->leading ? cluster_agent(&f->cluster, a->name) : NULL;

	if (a->connected && known != NULL)
		cluster_agent_down(&f->cluster, f->now_ms, known, known->registration);
	a->connected = false;
	a->registration = 0;
	a->inbox_count = 0;
}

void
fake_heartbeat(struct fake *f, struct fake_agent *a)
{
	if (a->connected && a->registration != 0)
		cluster_heartbeat(
		    &f->cluster, f->now_ms, cluster_agent(&f->cluster, a->name), NULL);
}

void
fake_send_update(struct fake *f, struct fake_agent *a, struct fake_task *t)
{
	Corral__StatusUpdate u = CORRAL__STATUS_UPDATE__INIT;

	if (!a->connected || a->registration == 0)
		return;
	u.key = message_key(&t->key);
	u.sequence = t->sequence;
	u.uuid.data = t->uuid;
	u.uuid.len = sizeof t->uuid;
	u.state = t->state;
	u.has_reason = true;
	u.reason = t->reason;
	u.exit_code = t->reason == CORRAL__TASK_REASON__REASON_EXIT ? t->code : 0;
	cluster_update(&f->cluster, f->now_ms, cluster_agent(&f->cluster, a->name), &u);
	corral__task_key__free_unpacked(u.key, NULL);
	carry_out(f);
}

static void
task_enter(struct fake *f, struct fake_agent *a, struct fake_task *t, Corral__TaskState state,
    Corral__TaskReason reason, uint8_t code)
{
	t->state = state;
	t->reason = reason;
	t->code = code;
	t->sequence++;
	f->uuids++;
	memcpy(t->uuid, &f->uuids, sizeof f->uuids);
	fake_send_update(f, a, t);
}

void
fake_exit(struct fake *f, struct fake_agent *a, struct fake_task *t, uint8_t code)
{
	task_enter(f, a, t, code == 0 ? CORRAL__TASK_STATE__FINISHED : CORRAL__TASK_STATE__FAILED,
	    CORRAL__TASK_REASON__REASON_EXIT, code);
}

void
fake_lose_all(struct fake *f, struct fake_agent *a)
{
	for (size_t i = 0; i < a->task_count; i++)
		if (!task_state_terminal(a->tasks[i].state))
			task_enter(f, a, &a->tasks[i], CORRAL__TASK_STATE__LOST,
			    CORRAL__TASK_REASON__REASON_REBOOT, 0);
}

static bool
has_room(const struct fake_agent *a, const struct resources *need)
{
	struct resources left = a->capacity;

	for (size_t i = 0; i < a->task_count; i++)
		if (!task_state_terminal(a->tasks[i].state))
			resources_subtract(&left, &a->tasks[i].need, 1);
	return resources_fits(need, &left);
}

static void
take_launch(struct fake *f, struct fake_agent *a, const struct out *o)
{
	struct resources need = {o->delay_ms >> 32, (o->delay_ms & UINT32_MAX) * MIB, 0};
	struct fake_task *t = &a->tasks[a->task_count];

	for (size_t i = 0; i < a->refused_count; i++)
		if (keys_equal(&a->refused[i], &o->key))
			return;
	assert(find_task(a, &o->key) == NULL);
	assert(a->task_count < FAKE_TASKS_MAX);
	f->refusals += !has_room(a, &need);
	*t = (struct fake_task){.key = o->key, .need = need};
	a->task_count++;
	task_enter(f, a, t, CORRAL__TASK_STATE__RUNNING, CORRAL__TASK_REASON__REASON_NONE, 0);
}

static void
take_kill(struct fake *f, struct fake_agent *a, const struct out *o)
{
	struct fake_task *t = find_task(a, &o->key);

	if (t == NULL) {
		assert(a->refused_count < FAKE_TASKS_MAX);
		a->refused[a->refused_count++] = o->key;
	} else if (!task_state_terminal(t->state)) {
		task_enter(
		    f, a, t, CORRAL__TASK_STATE__KILLED, CORRAL__TASK_REASON__REASON_STOPPED, 0);
	}
}

static void
take_ack(struct fake_agent *a, const struct out *o)
{
	struct fake_task *t = find_task(a, &o->key);

	if (t != NULL && task_state_terminal(t->state) &&
	    memcmp(t->uuid, o->uuid, sizeof t->uuid) == 0)
		*t = a->tasks[--a->task_count];
}

static void
take_welcome(struct fake *f, struct fake_agent *a, const struct out *o)
{
	snprintf(a->id, sizeof a->id, "%s", o->agent->id);
	a->registration = o->delay_ms;
	for (size_t i = 0; i < a->task_count; i++)
		fake_send_update(f, a, &a->tasks[i]);
}

void
fake_read(struct fake *f, struct fake_agent *a)
{
	struct out o;

	if (a->inbox_count == 0)
		return;
	o = a->inbox[0];
	memmove(a->inbox, a->inbox + 1, --a->inbox_count * sizeof a->inbox[0]);
	switch (o.kind) {
	case OUT_WELCOME:
		take_welcome(f, a, &o);
		break;
	case OUT_LAUNCH:
		take_launch(f, a, &o);
		break;
	case OUT_KILL:
		take_kill(f, a, &o);
		break;
	default:
		take_ack(a, &o);
		break;
	}
}

void
fake_read_all(struct fake *f, struct fake_agent *a)
{
	while (a->inbox_count > 0)
		fake_read(f, a);
}
