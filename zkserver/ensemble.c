/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/ensemble.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "libcommon/sys/log.h"
#include "zkserver/election_port.h"
#include "zkserver/ensemble_files.h"
#include "zkserver/quorum_port.h"

/* Around a packet's record: headers, authinfo. */
#define PACKET_OVERHEAD_BYTES ((size_t)1 << 20)
#define OUT_SOFT_BYTES ((size_t)1 << 20)
#define OUT_MAX_BYTES ((size_t)256 << 20)
/* A learner that is slower than the others for a moment must not be served from the disk. */
#define HISTORY_COUNT_LEAST 65536
#define LINKS_MAX 256
/* So often it is said why nobody is served. */
#define SAY_UNSERVED_MS 30000

struct ensemble {
	struct daemon *d;
	struct peer peer;
	struct election_port *election;
	struct quorum_port *quorum;
	struct admin_ensemble admin;
	bool started;
	bool members_changed; /* the ports have not heard of it */

	/* What was said last of how it stands, and since when that is so. */
	const char *role;
	enum peer_phase phase;
	uint64_t role_ms, phase_ms, unserved_ms, grumbled_ms;
};

static void
set_time(struct ensemble *e)
{
	server_set_time(&e->d->server, clock_boot_ms(), clock_wall_ms());
	peer_set_time(&e->peer, clock_boot_ms());
}

static void
on_clock(void *arg)
{
	set_time(arg);
}

/* ---- how it stands ---- */

static const char *
trouble(void *arg, int64_t sid)
{
	return election_port_trouble(((struct ensemble *)arg)->election, sid);
}

static void
standing(void *arg, struct standing *to)
{
	struct ensemble *e = arg;

	standing_of(to, &e->peer, trouble, e);
	to->since_ms = clock_boot_ms() - e->role_ms;
}

bool
ensemble_standing(const struct daemon *d, struct standing *to)
{
	if (d->ensemble == NULL || !d->ensemble->started)
		return false;
	standing(d->ensemble, to);
	return true;
}

/* An election has ended, or a synchronization. */
static void
note_phase(struct ensemble *e, uint64_t now_ms)
{
	struct zk_metrics *m = &e->d->server.metrics;
	enum peer_phase phase = e->peer.phase;

	if (phase == e->phase)
		return;
	if (e->phase == PEER_ELECTING && phase != PEER_OBSERVES)
		zk_metrics_observe(m, ZK_SUMMARY_ELECTION_TIME, now_ms - e->phase_ms);
	if (phase == PEER_ELECTING) {
		zk_metrics_count(m, ZK_COUNTER_LOOKING_COUNT, 1);
		log_info("looking for a leader, with zxid 0x%llx of epoch %d",
		    (unsigned long long)zab_last_zxid(&e->peer.zab),
		    (int)e->peer.zab.epochs.current);
	} else if (phase == PEER_LEADS)
		log_info("elected to lead");
	else if (phase >= PEER_FOLLOWS)
		log_info("server %lld was elected to lead", (long long)e->peer.learner.leader);
	e->phase = phase;
	e->phase_ms = now_ms;
}

/* It serves from now on, or no longer. */
static void
note_role(struct ensemble *e, uint64_t now_ms)
{
	struct zk_metrics *m = &e->d->server.metrics;
	const char *role = peer_role_name(&e->peer);

	if (e->role != NULL && strcmp(role, e->role) == 0)
		return;
	e->role = role;
	e->role_ms = now_ms;
	unit_status_now(&e->d->status);
	if (strcmp(role, "looking") == 0) {
		e->unserved_ms = e->grumbled_ms = now_ms;
		return;
	}
	zk_metrics_observe(m, ZK_SUMMARY_UNAVAILABLE_TIME, now_ms - e->unserved_ms);
	if (e->phase == PEER_LEADS)
		zk_metrics_observe(m, ZK_SUMMARY_LEADER_UNAVAILABLE_TIME, now_ms - e->unserved_ms);
	else if (e->phase == PEER_FOLLOWS)
		zk_metrics_observe(m, ZK_SUMMARY_FOLLOWER_SYNC_TIME, now_ms - e->phase_ms);
	e->unserved_ms = 0;
}

static void
note_standing(struct ensemble *e)
{
	uint64_t now_ms = clock_boot_ms();
	struct standing s;

	note_phase(e, now_ms);
	note_role(e, now_ms);
	if (e->unserved_ms == 0 || now_ms - e->grumbled_ms < SAY_UNSERVED_MS)
		return;
	e->grumbled_ms = now_ms;
	standing(e, &s);
	log_warn("serving nobody for %llu s: %s",
	    (unsigned long long)(now_ms - e->unserved_ms) / 1000, s.why);
}

/* ---- what the core wants ---- */

static void
notify(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	struct ensemble *e = arg;

	election_port_send(e->election, sid, bytes, size);
}

static void
dial(void *arg, int64_t sid)
{
	struct ensemble *e = arg;

	quorum_port_dial(e->quorum, sid);
}

static void
dial_master(void *arg, int64_t sid)
{
	struct ensemble *e = arg;

	quorum_port_dial_master(e->quorum, sid);
}

static void
log_release(void *arg)
{
	struct ensemble *e = arg;

	daemon_close_log(e->d);
}

static void
log_reopen(void *arg)
{
	struct ensemble *e = arg;

	if (!daemon_open_log(e->d))
		log_die(EX_OSERR, "the log's writer cannot be started again");
}

static void
say(void *arg, const char *text)
{
	(void)arg;
	log_info("%s", text);
}

static void
fatal(void *arg, const char *why)
{
	(void)arg;
	log_die(EX_IOERR, "%s", why);
}

static bool
members_seen(void *arg, const struct members *m, struct fault *f)
{
	struct ensemble *e = arg;
	char why[512];

	if (!ensemble_files_propose(e->d->conf, m, why, sizeof why)) {
		fault_set(f, -EIO, "%s", why);
		return false;
	}
	e->members_changed = true;
	return true;
}

/* It is in force whether or not the files say so: the proposal's is there, with which it is found
 * again. */
static void
members_adopted(void *arg, const struct members *m)
{
	struct ensemble *e = arg;
	char why[512];

	if (!ensemble_files_commit(e->d->conf, m, why, sizeof why)) {
		log_error("%s", why);
		e->d->conf->ensemble.members = *m;
	}
	e->members_changed = true;
}

static const struct peer_ops peer_ops = {
    .notify = notify,
    .dial = dial,
    .dial_master = dial_master,
    .log_release = log_release,
    .log_reopen = log_reopen,
    .members_seen = members_seen,
    .members_adopted = members_adopted,
    .say = say,
    .fatal = fatal,
};

static void
on_heard(void *arg, int64_t sid, const uint8_t *bytes, size_t size)
{
	struct ensemble *e = arg;

	set_time(e);
	peer_heard(&e->peer, sid, bytes, size);
}

static void
on_election_link(void *arg, int64_t sid, enum election_link state)
{
	struct ensemble *e = arg;

	set_time(e);
	peer_election_link(&e->peer, sid, state);
}

static void
on_election_failed(void *arg, const char *why)
{
	(void)arg;
	log_die(ELECTION_PORT_EXIT_STATUS, "%s", why);
}

static const struct election_port_ops election_ops = {
    on_heard, on_election_link, on_election_failed};

/* ---- beginning and end ---- */

static struct zab_settings
settings_of(const struct zoo_conf *c, const struct recover_options *options)
{
	const struct zoo_ensemble *e = &c->ensemble;

	return (struct zab_settings){
	    .sid = e->sid,
	    .tick_ms = c->tick_ms,
	    .init_limit = e->init_limit,
	    .sync_limit = e->sync_limit,
	    .packet_bytes_max = 2 * (size_t)c->jute_max_bytes + PACKET_OVERHEAD_BYTES,
	    .out_soft_bytes = OUT_SOFT_BYTES,
	    .out_bytes_max = OUT_MAX_BYTES,
	    .links_max = LINKS_MAX,
	    .hold_ms = e->init_limit * c->tick_ms,
	    .reconfig = c->reconfig_enabled,
	    .standalone = e->standalone,
	    .observer_masters = e->observer_master_port > 0,
	    .read_only = e->read_only,
	    .observer_delay_ms = e->observer_reconnect_ms + e->observer_election_ms,
	    .force_snapshot_sync = e->force_snapshot,
	    .log_sync_percent =
		e->log_factor_permille == 0 ? -1 : (int32_t)(e->log_factor_permille / 10),
	    .history_count =
		e->commit_log > HISTORY_COUNT_LEAST ? e->commit_log : HISTORY_COUNT_LEAST,
	    .history_bytes = (size_t)e->commit_log_kib * 1024,
	    .recover = *options,
	};
}

/* A child that writes a snapshot needs no copy of what is written here meanwhile. */
static void
keep_from_children(const struct history *h)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)h->bytes,
		  to = from + h->bytes_max;

	from = (from + page - 1) / page * page;
	to = to / page * page;
	if (to > from)
		(void)madvise((void *)from, to - from, MADV_DONTFORK);
}

int
ensemble_load(struct daemon *d, const struct recover_options *options,
    struct recover_report *report, struct fault *f)
{
	const struct zoo_ensemble *c = &d->conf->ensemble;
	const struct peer_config config = {
	    .settings = settings_of(d->conf, options),
	    .election = {.sid = c->sid,
		.notify_min_ms = c->notification_min_ms,
		.notify_max_ms = c->notification_max_ms,
		.finalize_ms = ELECTION_FINALIZE_MS},
	    .members = &c->members,
	    .seen = c->has_proposed ? &c->proposed : NULL,
	    .snapshots = d->snapshots,
	    .logs = d->logs,
	    .ops = &peer_ops,
	};
	struct peer_config with = config;
	struct fault note = {{0}};
	int err;

	if ((d->ensemble = calloc(1, sizeof *d->ensemble)) == NULL)
		return fault_set(f, -ENOMEM, "no memory for a member of an ensemble");
	d->ensemble->d = d;
	with.arg = d->ensemble;
	err = peer_init(&d->ensemble->peer, &with, &d->db, report, &note, f);
	if (note.text[0] != '\0')
		log_warn("%s", note.text);
	if (err != 0) {
		free(d->ensemble);
		d->ensemble = NULL;
	} else
		keep_from_children(&d->ensemble->peer.zab.history);
	return err;
}

bool
ensemble_open(struct daemon *d, char *error, size_t size)
{
	const struct zoo_ensemble *c = &d->conf->ensemble;
	struct ensemble *e = d->ensemble;
	struct election_port_config election = {
	    .loop = d->loop,
	    .tls = d->peer_tls.tls,
	    .sid = c->sid,
	    .listen_on_all = c->listen_on_all,
	    .bind_tries = c->bind_tries,
	    .connect_ms = c->connect_ms,
	    .hello_ms = c->hello_ms > 0 ? c->hello_ms : c->sync_limit * d->conf->tick_ms,
	    .keep_alive = c->keep_alive,
	    .members_move = d->conf->reconfig_enabled,
	    .unify = c->tls.unify,
	    .dial_plain = !c->encrypted,
	    .check_names = c->tls.check_names,
	    .check_client_names = c->tls.check_client_names,
	    .ops = &election_ops,
	    .arg = e,
	};
	struct quorum_port_config quorum = {
	    .loop = d->loop,
	    .tls = d->peer_tls.tls,
	    .peer = &e->peer,
	    .conf = c,
	    .members = &c->members,
	    .db = &d->db,
	    .clock = on_clock,
	    .arg = e,
	};

	if ((e->quorum = quorum_port_open(&quorum, error, size)) == NULL ||
	    (e->election = election_port_open(&election, &c->members,
		 c->has_proposed ? &c->proposed : NULL, error, size)) == NULL)
		return false;
	e->started = true;
	e->admin = (struct admin_ensemble){&e->peer, standing, trouble, quorum_port_address, e};
	d->admin.ensemble = &e->admin;
	set_time(e);
	peer_start(&e->peer, &d->server, clock_boot_ms());
	note_standing(e);
	return true;
}

void
ensemble_close(struct daemon *d)
{
	struct ensemble *e = d->ensemble;

	if (e == NULL)
		return;
	quorum_port_close(e->quorum);
	election_port_close(e->election);
	peer_fini(&e->peer);
	free(e);
	d->ensemble = NULL;
}

/* ---- turns ---- */

void
ensemble_synced(struct daemon *d, int64_t zxid)
{
	set_time(d->ensemble);
	peer_synced(&d->ensemble->peer, zxid);
}

/* Where this server serves clients, and where the others and it itself listen for each other. */
static void
move(struct ensemble *e)
{
	struct zoo_conf *conf = e->d->conf;
	const struct zoo_ensemble *c = &conf->ensemble;
	const struct member *self = members_find(&c->members, c->sid);

	e->members_changed = false;
	if (!election_port_set_members(
		e->election, &c->members, c->has_proposed ? &c->proposed : NULL) ||
	    !quorum_port_moved(e->quorum))
		log_die(EX_OSERR, "no memory for the configuration of the ensemble");
	if (self != NULL && self->client_port != 0)
		daemon_move_clients(e->d, self->client_host, self->client_port);
}

void
ensemble_turn(struct daemon *d)
{
	struct ensemble *e = d->ensemble;

	if (e == NULL || !e->started)
		return;
	set_time(e);
	peer_turn(&e->peer);
	if (e->members_changed)
		move(e);
	note_standing(e);
}

void
ensemble_flush(struct daemon *d)
{
	if (d->ensemble != NULL && d->ensemble->started)
		quorum_port_flush(d->ensemble->quorum);
}

uint64_t
ensemble_deadline_ms(const struct daemon *d)
{
	return d->ensemble == NULL ? UINT64_MAX : peer_deadline_ms(&d->ensemble->peer);
}

void
ensemble_tick(struct daemon *d)
{
	struct ensemble *e = d->ensemble;

	if (e == NULL)
		return;
	set_time(e);
	peer_tick(&e->peer);
}
