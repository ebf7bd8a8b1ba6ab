/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master's side of the ensemble: the session, the election's reads and writes, and the batches
 * of the cluster's core. Each batch is a multi whose first part checks that our election node still
 * exists, so that a deposed leader cannot write.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "libcommon/sys/log.h"
#include "master/master.h"
#include "master/store.h"

#define NEW_SESSION_MS 200 /* between two sessions, so that a refusal is no storm */
#define HOSTS_BYTES_MAX 4096

static void on_state(void *arg, struct zk *z, enum zk_state state);
static void make_paths(struct master *m, size_t from);
static void path_check(struct master *m, size_t i);

/* What a request's answer needs: whose it is, and that the session is still that one. */
struct store_call {
	struct master *m;
	uint64_t zk_number;
	store_then *then;
	void *arg;
};

static void
answered(void *arg, const struct zk_result *result)
{
	struct store_call *call = arg;

	if (call->zk_number == call->m->zk_number && result->rc != ZK_CLOSING)
		call->then(call->m, result, call->arg);
	free(call);
}

void *
store_call(struct master *m, store_then *then, void *arg)
{
	struct store_call *call = malloc(sizeof *call);

	if (call != NULL)
		*call = (struct store_call){m, m->zk_number, then, arg};
	return call;
}

bool
store_asked(struct master *m, void *call, int rc, const char *what)
{
	if (call != NULL && rc == ZK_OK)
		return true;
	free(call);
	log_error("cannot ask the ensemble to %s: %s", what,
	    call == NULL ? "out of memory" : zk_rc_text(rc));
	elect_drop(&m->elect, "a request to the ensemble could not be made");
	return false;
}

zk_done_fn *
store_done(void)
{
	return answered;
}

/* --- the paths that the cluster stands on; any master makes them, whether it leads or not --- */

static const struct {
	const char *path, *data;
	bool readable;
} paths[] = {
    {"/corral", "", true},
    {"/corral/era", "1", false},
    {STORE_ELECTION, "", true},
    {"/corral/registry", "", false},
    {"/corral/jobs", "", false},
    {"/corral/services", "", true},
    {"/corral/tokens", "", false},
    {"/corral/quota", "", false},
    {"/corral/roles", "", false},
};

#define PATH_COUNT (sizeof paths / sizeof *paths)

/* The ACL of a path is as it should be: on to the next, and after the last one to the election. */
static void
path_checked(struct master *m, const struct zk_result *result, void *arg)
{
	size_t i = (size_t)(uintptr_t)arg;

	if (result->rc == ZK_CONNECTIONLOSS) {
		path_check(m, i);
		return;
	}
	if (result->rc != ZK_OK) {
		log_error("cannot read the ACL of %s in the ensemble: %s", paths[i].path,
		    zk_rc_text(result->rc));
		elect_drop(&m->elect, "the ensemble refuses its paths");
		return;
	}
	if (!store_acl_is_right(m, result, paths[i].path, paths[i].readable))
		return;
	if (i + 1 < PATH_COUNT)
		make_paths(m, i + 1);
	else
		elect_session(&m->elect, zk_session_id(m->zk), zk_session_timeout_ms(m->zk));
}

static void
path_check(struct master *m, size_t i)
{
	void *call = store_call(m, path_checked, (void *)(uintptr_t)i);

	store_asked(m, call,
	    call == NULL ? ZK_NOMEMORY : zk_get_acl(m->zk, paths[i].path, answered, call),
	    "read an ACL");
}

static void
path_made(struct master *m, const struct zk_result *result, void *arg)
{
	size_t i = (size_t)(uintptr_t)arg;

	if (result->rc == ZK_CONNECTIONLOSS) {
		make_paths(m, i);
		return;
	}
	if (result->rc != ZK_OK && result->rc != ZK_NODEEXISTS) {
		log_error(
		    "cannot make %s in the ensemble: %s", paths[i].path, zk_rc_text(result->rc));
		elect_drop(&m->elect, "the ensemble refuses its paths");
		return;
	}
	path_check(m, i);
}

static void
make_paths(struct master *m, size_t from)
{
	char id[STORE_ACL_ID];
	struct zk_acl acls[2];
	size_t count = store_acls(m, paths[from].readable, id, acls);
	void *call = store_call(m, path_made, (void *)(uintptr_t)from);

	store_asked(m, call,
	    call == NULL
		? ZK_NOMEMORY
		: zk_create(m->zk, paths[from].path, paths[from].data, strlen(paths[from].data),
		      acls, count, ZK_PERSISTENT, answered, call),
	    "make a path");
}

/* --- the session --- */

static bool
join_hosts(const struct corral_conf *conf, struct buf *hosts)
{
	for (size_t i = 0; i < conf->cluster.ensemble.count; i++)
		buf_printf(hosts, "%s%s", i == 0 ? "" : ",", conf->cluster.ensemble.items[i]);
	return buf_text(hosts) != NULL;
}

static void
session_open(void *arg)
{
	struct master *m = arg;
	const char *hosts = buf_text(&m->hosts);
	char error[256];

	m->zk_number++;
	m->zk = zk_new(m->loop, hosts, m->tls_ensemble,
	    (uint32_t)m->conf.cluster.session_timeout_ms, on_state, m, error, sizeof error);
	if (m->zk == NULL) {
		log_error("no session with the ensemble at %s: %s", hosts, error);
		timer_set(&m->zk_timer, clock_boot_ms() + 10 * NEW_SESSION_MS);
	}
}

static void
session_drop(struct master *m)
{
	struct zk *z = m->zk;
	enum zk_state state = z == NULL ? ZK_EXPIRED : zk_state(z);

	m->zk = NULL;
	m->zk_number++;
	m->ensemble_up = false;
	if (z != NULL && (state == ZK_CONNECTED || state == ZK_SUSPENDED))
		zk_close(z, NULL, NULL); /* and with it our election node */
	else if (z != NULL)
		zk_free(z);
}

/*
 * A session must last 4 ticks of the ensemble at least. The ensemble does not tell its tick, but it
 * raises what was asked for to 2 of them.
 */
static bool
session_long_enough(struct master *m, const struct zk *z)
{
	uint32_t got_ms = zk_session_timeout_ms(z);

	if (got_ms <= m->conf.cluster.session_timeout_ms)
		return true;
	log_error("%s raised the session's time-out to its least, %u ms, which is 2 of its ticks: "
		  "set [cluster] session_timeout= to %u ms (4 ticks) or more",
	    zk_server(z), got_ms, 2 * got_ms);
	loop_stop(m->loop, EX_CONFIG);
	return false;
}

static void
on_state(void *arg, struct zk *z, enum zk_state state)
{
	struct master *m = arg;

	if (z != m->zk)
		return;
	m->ensemble_up = state == ZK_CONNECTED;
	switch (state) {
	case ZK_CONNECTED:
		log_info("session 0x%" PRIx64 " with the ensemble at %s, time-out %u ms",
		    (uint64_t)zk_session_id(z), zk_server(z), zk_session_timeout_ms(z));
		if (session_long_enough(m, z) &&
		    (m->elect.state == ELECT_IDLE || m->elect.state == ELECT_DROPPED))
			make_paths(m, 0);
		break;
	case ZK_SUSPENDED:
		log_warn("connection to the ensemble lost (%s), reconnecting", zk_why(z));
		break;
	case ZK_EXPIRED:
		elect_expired(&m->elect);
		break;
	case ZK_AUTH_FAILED:
		log_error("the ensemble does not accept our certificate: check [tls] cert= and the "
			  "ensemble's trust store");
		elect_expired(&m->elect);
		break;
	case ZK_CONNECTING:
		break;
	}
}

/* --- what the election asks for --- */

static enum elect_result
elect_result_of(int rc)
{
	return rc == ZK_OK ? ELECT_OK : rc == ZK_CONNECTIONLOSS ? ELECT_AGAIN : ELECT_GONE;
}

static void
candidates_changed(void *arg, enum zk_event event, const char *path)
{
	struct master *m = arg;

	(void)path;
	if (event != ZK_EVENT_LOST)
		elect_changed(&m->elect);
}

static void
leader_read(struct master *m, const struct zk_result *result, void *arg)
{
	(void)arg;
	if (result->rc != ZK_OK || !master_info_decode(&m->leader, (const char *)result->data,
				       result->data == NULL ? 0 : result->size))
		m->leader = (struct master_info){0};
}

/* Clients are sent to the leader: who is it? */
static void
learn_leader(struct master *m)
{
	char path[sizeof STORE_ELECTION + ELECT_NODE_MAX];
	void *call;

	if (strcmp(m->elect.leader, m->leader_node) == 0)
		return;
	memcpy(m->leader_node, m->elect.leader, sizeof m->leader_node);
	m->leader = (struct master_info){0};
	if (m->leader_node[0] == '\0' || m->zk == NULL)
		return;
	snprintf(path, sizeof path, STORE_ELECTION "/%s", m->leader_node);
	call = store_call(m, leader_read, NULL);
	store_asked(m, call, call == NULL ? ZK_NOMEMORY : zk_get(m->zk, path, NULL, answered, call),
	    "read the leader");
}

static void
listed(struct master *m, const struct zk_result *r, void *arg)
{
	(void)arg;
	elect_listed(
	    &m->elect, clock_boot_ms(), elect_result_of(r->rc), r->children, r->child_count);
	learn_leader(m);
}

static void
candidate_read(struct master *m, const struct zk_result *r, void *arg)
{
	(void)arg;
	elect_read(&m->elect, clock_boot_ms(), elect_result_of(r->rc), r->stat.ephemeral_owner);
}

static void
created(struct master *m, const struct zk_result *r, void *arg)
{
	(void)arg;
	if (r->rc != ZK_OK && r->rc != ZK_CONNECTIONLOSS)
		log_error("cannot make an election node: %s", zk_rc_text(r->rc));
	elect_created(&m->elect, elect_result_of(r->rc));
}

static void
renewed(struct master *m, const struct zk_result *r, void *arg)
{
	(void)arg;
	elect_renewed(&m->elect, clock_boot_ms(), elect_result_of(r->rc), r->stat.czxid);
}

static void
era_read(struct master *m, const struct zk_result *r, void *arg)
{
	(void)arg;
	if (!elect_era(&m->elect, clock_boot_ms(), r->rc == ZK_OK ? r->data : NULL, r->size))
		log_error("/corral/era: not a number from 1 on (%s): see corral-recovery(7)",
		    zk_rc_text(r->rc));
}

static int
ask(struct master *m, const struct elect_out *o, void *call)
{
	struct zk_watch watch = {candidates_changed, m};
	char path[sizeof STORE_ELECTION + ELECT_NODE_MAX], id[320];
	struct zk_acl acls[2];

	snprintf(path, sizeof path, STORE_ELECTION "/%s", o->name);
	switch (o->act) {
	case ELECT_LIST:
		return zk_children(m->zk, STORE_ELECTION, &watch, answered, call);
	case ELECT_READ:
		return zk_get(m->zk, path, NULL, answered, call);
	case ELECT_CREATE:
		return zk_create(m->zk, STORE_ELECTION "/" ELECT_PREFIX, m->info_text.data,
		    m->info_text.len, acls, store_acls(m, true, id, acls),
		    ZK_EPHEMERAL | ZK_SEQUENTIAL, answered, call);
	case ELECT_RENEW:
		return zk_set(m->zk, path, m->info_text.data, m->info_text.len, ZK_ANY_VERSION,
		    answered, call);
	default:
		return zk_get(m->zk, "/corral/era", NULL, answered, call);
	}
}

static void
elect_carry_out(struct master *m, const struct elect_out *o)
{
	static store_then *const thens[] = {
	    [ELECT_LIST] = listed,
	    [ELECT_READ] = candidate_read,
	    [ELECT_CREATE] = created,
	    [ELECT_RENEW] = renewed,
	    [ELECT_ERA] = era_read,
	};
	void *call;

	if (o->act == ELECT_LEAD) {
		load_start(m);
	} else if (o->act == ELECT_DROP) {
		log_warn("not leading: %s", m->elect.why);
		master_give_up(m, m->elect.why);
		session_drop(m);
		timer_set(&m->zk_timer, clock_boot_ms() + NEW_SESSION_MS);
	} else if (m->zk != NULL) {
		call = store_call(m, thens[o->act], NULL);
		store_asked(
		    m, call, call == NULL ? ZK_NOMEMORY : ask(m, o, call), "hold an election");
	}
}

static void
elect_due(void *arg)
{
	struct master *m = arg;

	elect_tick(&m->elect, clock_boot_ms());
}

/* --- batches --- */

static void commit_send(struct master *m, const struct commit *batch, bool again);

static void
commit_stored(struct master *m, const int64_t *czxids)
{
	metric_observe(&m->metrics.commit, clock_boot_us() - m->metrics.commit_sent_us);
	m->metrics.commits.value++;
	cluster_committed(&m->cluster, clock_boot_ms(), czxids);
}

/* The job that a batch made: its czxid was still to be learnt. */
static void
czxid_read(struct master *m, const struct zk_result *r, void *arg)
{
	int64_t czxids[COMMIT_OPS_MAX] = {0};

	if (r->rc != ZK_OK) {
		elect_drop(&m->elect, "a batch's fate could not be learnt");
		return;
	}
	czxids[(uintptr_t)arg] = r->stat.czxid;
	commit_stored(m, czxids);
}

/*
 * Read the czxid of the job that the batch's operation `at` made; the batch ends with the answer.
 */
static void
czxid_ask(struct master *m, size_t at)
{
	void *call = store_call(m, czxid_read, (void *)(uintptr_t)at);

	store_asked(m, call,
	    call == NULL ? ZK_NOMEMORY
			 : zk_exists(m->zk, m->cluster.commit.ops[at].path, NULL, answered, call),
	    "look at a job");
}

static enum commit_answer
commit_answer_of(int rc)
{
	return rc == ZK_OK				? COMMIT_ANSWER_OK
	       : rc == ZK_CONNECTIONLOSS		? COMMIT_ANSWER_UNKNOWN
	       : rc == ZK_NODEEXISTS || rc == ZK_NONODE ? COMMIT_ANSWER_NODES
	       : rc == ZK_NOTEMPTY			? COMMIT_ANSWER_CHILD
							: COMMIT_ANSWER_NO;
}

/* Which operation of the multi: those behind it have another answer. */
static size_t
commit_failed_at(const struct zk_result *r)
{
	for (size_t i = 0; i < r->op_count; i++)
		if (r->ops[i].rc == r->rc)
			return i;
	return 0;
}

static void
commit_shorten(struct master *m, size_t failed_at)
{
	log_error("%s: it has a child that was not made by a master, so that the job cannot be "
		  "removed: remove that znode; the next leader knows that it is gone",
	    m->cluster.commit.ops[failed_at - 1].path);
	cluster_commit_shorten(&m->cluster, failed_at);
	commit_send(m, &m->cluster.commit, false);
}

static void
commit_answered(struct master *m, const struct zk_result *r, void *arg)
{
	static const int64_t no_czxids[COMMIT_OPS_MAX];
	size_t made = 0, failed_at = commit_failed_at(r);

	if (!m->leading)
		return;
	switch (cluster_commit_answered(
	    &m->cluster, commit_answer_of(r->rc), arg != NULL, failed_at, &made)) {
	case COMMIT_STORED:
		commit_stored(m, no_czxids);
		break;
	case COMMIT_LEARN:
		czxid_ask(m, made);
		break;
	case COMMIT_AGAIN:
		commit_send(m, &m->cluster.commit, true);
		break;
	case COMMIT_SHORTEN:
		commit_shorten(m, failed_at);
		break;
	case COMMIT_GIVE_UP:
		log_error("the ensemble refused a write: %s", zk_rc_text(r->rc));
		elect_drop(&m->elect, "the ensemble refused a write of the leader");
		break;
	}
}

static void
commit_send(struct master *m, const struct commit *batch, bool again)
{
	static const enum zk_opcode types[] = {
	    [STORE_CREATE] = ZK_OP_CREATE2,
	    [STORE_SET] = ZK_OP_SET_DATA,
	    [STORE_DELETE] = ZK_OP_DELETE,
	};
	struct zk_op ops[COMMIT_OPS_MAX + 1];
	char id[STORE_ACL_ID], fence[sizeof STORE_ELECTION + ELECT_NODE_MAX];
	struct zk_acl acls[2];
	size_t acl_count = store_acls(m, false, id, acls);
	void *call = store_call(m, commit_answered, again ? m : NULL);

	snprintf(fence, sizeof fence, STORE_ELECTION "/%s", m->elect.own);
	ops[0] = (struct zk_op){.type = ZK_OP_CHECK, .path = fence, .version = ZK_ANY_VERSION};
	for (size_t i = 0; i < batch->count; i++)
		ops[i + 1] = (struct zk_op){
		    .type = types[batch->ops[i].kind],
		    .path = batch->ops[i].path,
		    .data = batch->ops[i].size == 0 ? (const void *)""
						    : batch->data.data + batch->ops[i].offset,
		    .size = batch->ops[i].size,
		    .acls = acls,
		    .acl_count = acl_count,
		    .version = ZK_ANY_VERSION,
		};
	m->metrics.commit_sent_us = clock_boot_us();
	store_asked(m, call,
	    call == NULL ? ZK_NOMEMORY : zk_multi(m->zk, ops, batch->count + 1, answered, call),
	    "write a batch");
}

void
store_turn(struct master *m)
{
	const struct commit *batch;
	struct elect_out outs[ELECT_OUT_MAX];
	size_t count;

	elect_tick(&m->elect, clock_boot_ms());
	while ((count = m->elect.out_count) > 0) {
		memcpy(outs, m->elect.out, count * sizeof outs[0]);
		elect_out_clear(&m->elect);
		for (size_t i = 0; i < count; i++)
			elect_carry_out(m, &outs[i]);
	}
	if (m->leading && m->zk != NULL && (batch = cluster_commit_begin(&m->cluster)) != NULL)
		commit_send(m, batch, false);
	if (elect_deadline_ms(&m->elect) != UINT64_MAX)
		timer_set(&m->elect_timer, elect_deadline_ms(&m->elect));
}

bool
store_open(struct master *m, char *error, size_t size)
{
	elect_init(&m->elect);
	timer_init(&m->zk_timer, m->loop, session_open, m);
	timer_init(&m->elect_timer, m->loop, elect_due, m);
	buf_init(&m->info_text, 4096);
	buf_init(&m->hosts, HOSTS_BYTES_MAX);
	if (!join_hosts(&m->conf, &m->hosts)) {
		snprintf(error, size, "[cluster] ensemble=: longer than %d bytes, or no memory",
		    HOSTS_BYTES_MAX);
		return false;
	}
	if (!master_info_encode(&m->info, &m->info_text)) {
		snprintf(error, size,
		    "[master] listen=%s: the address has no host and port that others can use",
		    m->info.api_address);
		return false;
	}
	if (m->tls_ensemble == NULL)
		log_warn("[cluster] ensemble_tls=no: the ensemble is reached without TLS, and "
			 "whoever reaches it can"
			 " change what is below /corral");
	session_open(m);
	return true;
}

bool
store_leave(struct master *m, void (*left)(void *arg))
{
	struct zk *z = m->zk;

	timer_cancel(&m->zk_timer);
	timer_cancel(&m->elect_timer);
	elect_init(&m->elect); /* answers that still come are not for us */
	m->zk = NULL;
	m->zk_number++;
	if (z == NULL || zk_state(z) != ZK_CONNECTED) {
		if (z != NULL)
			zk_free(z);
		return false;
	}
	zk_close(z, left, m);
	return true;
}

void
store_close(struct master *m)
{
	struct zk *z = m->zk;

	m->zk = NULL;
	m->zk_number++;
	load_cancel(m);
	timer_cancel(&m->zk_timer);
	timer_cancel(&m->elect_timer);
	zk_free(z); /* the loop has ended: no close of the session would be sent */
	buf_fini(&m->info_text);
	buf_fini(&m->hosts);
}
