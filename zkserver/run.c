/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "libcommon/io/address.h"
#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/notify.h"
#include "libcommon/sys/store_posix.h"
#include "zkserver/admin_http.h"
#include "zkserver/auth.h"
#include "zkserver/bounds.h"
#include "zkserver/audit_log.h"
#include "zkserver/client_port.h"
#include "zkserver/client_tls.h"
#include "zkserver/core/recover.h"
#include "zkserver/core/server.h"
#include "zkserver/core/txnlog.h"
#include "zkserver/daemon.h"
#include "zkserver/ensemble.h"
#include "zkserver/log_writer.h"
#include "zkserver/snapshot_writer.h"
#include "zkserver/unit_status.h"

#define PATH_SIZE (ZOO_PATH_MAX + 32)
#define YOUNG_CHECK_MS 1000
#define FULL_DISK_TRY_S 1
#define FULL_DISK_SAY_S 60

static void
set_time(struct daemon *d)
{
	server_set_time(&d->server, clock_boot_ms(), clock_wall_ms());
}

static void
on_durable(void *arg, uint64_t zxid)
{
	struct daemon *d = arg;

	set_time(d);
	if (d->ensemble != NULL)
		ensemble_synced(d, (int64_t)zxid);
	else
		server_synced(&d->server, (int64_t)zxid);
}

static void
on_timed(void *arg, uint64_t ms, uint64_t transactions)
{
	struct daemon *d = arg;
	struct zk_metrics *m = &d->server.metrics;

	if (ms > d->conf->slow_sync_ms && d->conf->force_sync) {
		d->server.stats.slow_syncs++;
		log_warn("%s: a write of %" PRIu64 " transactions to the log took %" PRIu64
			 " ms, and its clients waited as long: is the disk busy, or failing "
			 "(fsync.warningthresholdms)?",
		    d->conf->data_log_dir, transactions, ms);
	}
	zk_metrics_observe(m, ZK_SUMMARY_FSYNCTIME, ms);
	zk_metrics_observe(m, ZK_SUMMARY_SYNC_PROCESSOR_QUEUE_FLUSH_TIME_MS, ms);
	zk_metrics_observe(m, ZK_SUMMARY_SYNC_PROCESSOR_BATCH_SIZE, transactions);
}

static void
on_snapshot(void *arg, uint64_t ms)
{
	zk_metrics_observe(&((struct daemon *)arg)->server.metrics, ZK_SUMMARY_SNAPSHOTTIME, ms);
}

static void
start_snapshot(struct daemon *d)
{
	if (snapshot_writer_start(d->snapshot, &d->db))
		log_writer_roll(d->log);
}

static void
arm_tick(struct daemon *d)
{
	uint64_t at_ms = clock_boot_ms() + YOUNG_CHECK_MS,
		 server_ms = server_deadline_ms(&d->server), peer_ms = ensemble_deadline_ms(d);

	at_ms = server_ms < at_ms ? server_ms : at_ms;
	if (!timer_set(&d->tick, peer_ms < at_ms ? peer_ms : at_ms))
		log_die(EX_OSERR, "no memory for a timer");
}

static void
on_hangup(void *arg, int signo)
{
	(void)signo;
	daemon_reload(arg);
}

static void
on_tick(void *arg)
{
	struct daemon *d = arg;
	struct standing standing;

	set_time(d);
	ensemble_tick(d);
	server_tick(&d->server);
	client_port_expire(d->clients);
	unit_status_tick(
	    &d->status, &d->server, ensemble_standing(d, &standing) ? &standing : NULL);
	bounds_log(&d->bounds_log, &d->server);
	purger_tick(&d->purger, clock_boot_ms());
	daemon_watch_tls(d);
	arm_tick(d);
}

static void
say_quotas(struct server *s)
{
	uint64_t count;
	const char *notice = server_quota_notice(s, &count);

	if (notice != NULL)
		log_warn("quota exceeded: %s (%" PRIu64 " times since this was said last)", notice,
		    count);
}

/* What follows from the inputs: records go to the log, proposals and votes to other servers. */
static void
hand_out(struct daemon *d)
{
	const uint8_t *bytes;
	int64_t zxid;
	size_t size;

	ensemble_turn(d);
	while (d->log != NULL && !log_writer_full(d->log) &&
	       server_next_record(&d->server, &zxid, &bytes, &size))
		log_append(d->log, bytes, size);
	if (d->log != NULL)
		log_submit(d->log);
	ensemble_flush(d);
}

/* The log first, so that the disk works while the replies of the batch before are sent. */
static void
after_turn(void *arg)
{
	struct daemon *d = arg;

	hand_out(d);
	if (d->conf->audit)
		audit_log_flush(&d->audit);
	client_port_flush(d->clients);
	hand_out(d); /* serving what had waited may have made further records */
	if (d->ensemble != NULL)
		arm_tick(d);
	if (d->server.failed)
		log_die(EX_OSERR, "out of memory in the middle of a change: give the process more "
				  "and start it again");
	say_quotas(&d->server);
	if (snapshot_writer_rested(d->snapshot) && server_snapshot_due(&d->server))
		start_snapshot(d);
}

static void
on_stop(void *arg, int signo)
{
	struct daemon *d = arg;

	log_info("signal %d: stopping", signo);
	notify_stopping();
	d->stopping = true;
	loop_stop(d->loop, EX_OK);
}

static void
on_usr1(void *arg, int signo)
{
	const struct daemon *d = arg;
	const struct server *s = &d->server;

	(void)signo;
	if (s->db == NULL)
		return; /* nothing was loaded yet */
	log_info("zxid 0x%" PRIx64 ", %" PRIu64
		 " nodes, %zu sessions, %zu connections, %zu writes on their way to the log, %s",
	    (uint64_t)s->db->last_zxid, s->db->tree.node_count, session_count(&s->db->sessions),
	    s->conn_count, s->pending_count, d->log != NULL ? log_writer_backend(d->log) : "none");
}

/* DIR/version-2, made if it is not there; NULL after a message. */
static struct store *
open_store(const char *dir)
{
	char path[PATH_SIZE];
	struct store *s;
	bool made;

	snprintf(path, sizeof path, "%s/version-2", dir);
	made = access(path, F_OK) != 0;
	if (!fsutil_mkdirs(path, 0700) || (made && !fsutil_sync_parent(path)) ||
	    (s = store_posix_open(path)) == NULL) {
		log_error_errno("%s: cannot be opened as the data directory", path);
		return NULL;
	}
	return s;
}

/* One server per data directory. */
static bool
take_lock(struct daemon *d)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof path, "%s/zkserver.lock", d->conf->data_dir);
	if ((d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0) {
		log_error_errno("%s: cannot be opened", path);
		return false;
	}
	if (flock(d->lock, LOCK_EX | LOCK_NB) == 0)
		return true;
	log_error("%s: another zkserver uses this data directory", d->conf->data_dir);
	return false;
}

static bool
open_data(struct daemon *d)
{
	bool shared = strcmp(d->conf->data_dir, d->conf->data_log_dir) == 0;

	if ((d->snapshots = open_store(d->conf->data_dir)) == NULL || !take_lock(d))
		return false;
	d->logs = shared ? d->snapshots : open_store(d->conf->data_log_dir);
	return d->logs != NULL;
}

static void
on_wait_over(void *arg)
{
	struct daemon *d = arg;

	loop_stop(d->loop, EX_OK);
}

/* Let signals be heard for some seconds; false: one said stop. */
static bool
wait_s(struct daemon *d, unsigned seconds)
{
	timer_init(&d->tick, d->loop, on_wait_over, d);
	if (!timer_set(&d->tick, clock_boot_ms() + seconds * UINT64_C(1000)))
		log_die(EX_OSERR, "no memory for a timer");
	loop_run(d->loop, NULL, NULL);
	timer_cancel(&d->tick);
	return !d->stopping;
}

/*
 * With a full disk wait, and say so now and then; false: it does not take writes for another
 * reason. Returns true also when it was told to stop.
 */
static bool
wait_for_disk(struct daemon *d)
{
	struct fault f = {{0}};

	for (unsigned waited_s = 0;; waited_s += FULL_DISK_TRY_S) {
		int code = txnlog_probe(d->logs, &f);

		if (code == 0)
			return true;
		if (code != -ENOSPC) {
			log_error("the log cannot be written: %s", f.text);
			return false;
		}
		if (waited_s % FULL_DISK_SAY_S == 0) {
			log_error("%s: the disk is full; waiting until there is room",
			    d->conf->data_log_dir);
			notify_status("waiting for room on the disk of %s", d->conf->data_log_dir);
		}
		f.text[0] = '\0';
		if (!wait_s(d, FULL_DISK_TRY_S))
			return true;
	}
}

static bool
load(struct daemon *d)
{
	const struct recover_options options = {
	    .trust_empty = d->conf->trust_empty, .now_ms = clock_boot_ms()};
	struct recover_report report = {0};
	struct fault f = {{0}};

	if ((zoo_conf_distributed(d->conf)
		    ? ensemble_load(d, &options, &report, &f)
		    : recover(d->snapshots, d->logs, &options, &d->db, &report, &f)) < 0) {
		log_error("%s: %s", d->conf->data_dir, f.text);
		return false;
	}
	if (report.bad_snapshots > 0)
		log_warn("%" PRIu64 " newer snapshots are not whole and were passed over: %s",
		    report.bad_snapshots, report.bad.text);
	if (report.cut)
		log_warn("log.%" PRIx64
			 ": a write that power loss or a kill had torn at offset %" PRIu64
			 " was cut; nothing acknowledged was in it",
		    report.cut_file_zxid, report.cut_offset);
	if (d->db.digest_mismatches > 0)
		log_warn("the tree differs from the digest of %" PRIu64
			 " transactions, first at zxid 0x%" PRIx64,
		    d->db.digest_mismatches, (uint64_t)d->db.digest_mismatch_zxid);
	log_info("%s: zxid 0x%" PRIx64 ", %" PRIu64 " nodes, %" PRIu64 " transactions replayed",
	    d->conf->data_dir, (uint64_t)d->db.last_zxid, d->db.tree.node_count, report.replayed);
	d->load_ms = clock_boot_ms() - options.now_ms;
	d->load_txns = report.replayed;
	return true;
}

bool
zkserver_check(const struct zoo_conf *conf, char *error, size_t size)
{
	struct client_tls tls = {0}, peer_tls = {0};
	struct auth *auth = auth_open(conf, error, size);
	bool ok = auth != NULL && client_tls_open(&tls, conf, error, size) &&
		  client_tls_open_ensemble(&peer_tls, conf, error, size);

	auth_close(auth);
	client_tls_close(&tls);
	client_tls_close(&peer_tls);
	return ok;
}

bool
daemon_open_log(struct daemon *d)
{
	const struct log_writer_config log = {
	    .loop = d->loop,
	    .store = d->logs,
	    .preallocate_bytes = (uint64_t)d->conf->prealloc_kib * 1024,
	    .file_bytes = (uint64_t)d->conf->log_size_kib * 1024,
	    .backend = LOG_BACKEND_BEST,
	    .sync = d->conf->force_sync,
	    .durable = on_durable,
	    .timed = on_timed,
	    .arg = d,
	};

	return (d->log = log_writer_new(&log)) != NULL;
}

void
daemon_close_log(struct daemon *d)
{
	log_writer_free(d->log);
	d->log = NULL;
	/* It would bring back what is being forgotten. */
	snapshot_writer_stop(d->snapshot);
}

static bool
open_writers(struct daemon *d)
{
	const struct snapshot_writer_config snapshot = {
	    .loop = d->loop,
	    .snapshots = d->snapshots,
	    .logs = d->logs,
	    .written = on_snapshot,
	    .arg = d,
	    .kind = d->conf->snapshot_method == ZOO_SNAPSHOT_CHECKED
			? PACK_NONE
			: (enum pack_kind)d->conf->snapshot_method,
	};

	if (!daemon_open_log(d) || (d->snapshot = snapshot_writer_new(&snapshot)) == NULL) {
		log_error_errno("the log's writer cannot be started");
		return false;
	}
	purger_init(&d->purger, d->loop, d->snapshots, d->logs, d->conf->purge_hours,
	    d->conf->purge_retain);
	return true;
}

static bool
open_core(struct daemon *d)
{
	struct server_settings settings;
	uint64_t seed;

	daemon_settings(d, &settings);

	if (!fsutil_random(&seed, sizeof seed)) {
		log_error_errno("no random bytes");
		return false;
	}
	d->db.tree.acls.policy = auth_policy(d->auth);
	server_init(&d->server, &settings, &d->db, seed, clock_boot_ms(), clock_wall_ms());
	zk_metrics_observe(&d->server.metrics, ZK_SUMMARY_DBINITTIME, d->load_ms);
	zk_metrics_observe(&d->server.metrics, ZK_SUMMARY_STARTUP_TXNS_LOADED, d->load_txns);
	return true;
}

static bool
open_audit(struct daemon *d)
{
	if (!d->conf->audit)
		return true;
	if (!audit_log_open(&d->audit, d->conf->audit_file)) {
		log_error_errno("%s: cannot be opened for the audit trail", d->conf->audit_file);
		return false;
	}
	d->server.audit = &d->audit.core;
	audit_server(&d->audit.core, "serverStart", "success");
	return true;
}

static bool
open_clients(struct daemon *d)
{
	struct client_port_config config = {
	    d->loop, &d->server, d->conf, d->auth, d->tls.tls, &d->admin, &d->jobs};
	char why[512];

	admin_init(&d->admin, d->conf, &d->server);
	admin_jobs_init(&d->jobs, d->loop);
	if ((d->clients = client_port_open(&config, why, sizeof why)) == NULL) {
		log_error("%s", why);
		return false;
	}
	d->admin.clients = d->clients;
	if ((d->http = admin_http_open(d->loop, &d->admin, &d->jobs, d->conf)) != NULL)
		return true;
	log_error("no memory for the admin server");
	return false;
}

/* DATADIR/ports: for those who gave port 0 and must find out. One line each: NAME PORT. */
static bool
write_ports(const struct daemon *d)
{
	const struct {
		const char *name;
		int number;
	} ports[] = {
	    {"client", client_port_number(d->clients, false)},
	    {"secure", client_port_number(d->clients, true)},
	    {"admin", admin_http_port(d->http)},
	    {"metrics", admin_http_metrics_port(d->http)},
	};
	char path[PATH_SIZE], text[128], ready[256] = "";
	int len = 0, said = 0;

	snprintf(path, sizeof path, "%s/ports", d->conf->data_dir);
	for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
		if (ports[i].number == ZOO_PORT_NONE)
			continue;
		len += snprintf(text + len, sizeof text - (size_t)len, "%s %d\n", ports[i].name,
		    ports[i].number);
		said += snprintf(ready + said, sizeof ready - (size_t)said, "%s%s port %d",
		    said > 0 ? ", " : "", ports[i].name, ports[i].number);
	}
	if (!fsutil_write_fleeting(path, text, (size_t)len, 0644)) {
		log_error_errno("%s: cannot be written", path);
		return false;
	}
	log_info("ready: %s", ready);
	return true;
}

static bool
watch_signals(struct daemon *d)
{
	if (loop_on_signal(d->loop, SIGTERM, on_stop, d) &&
	    loop_on_signal(d->loop, SIGINT, on_stop, d) &&
	    loop_on_signal(d->loop, SIGHUP, on_hangup, d) &&
	    loop_on_signal(d->loop, SIGUSR1, on_usr1, d))
		return true;
	log_error_errno("signals cannot be watched");
	return false;
}

static int
serve(struct daemon *d)
{
	unit_status_init(&d->status);
	timer_init(&d->tick, d->loop, on_tick, d);
	arm_tick(d);
	if (d->conf->client_port != ZOO_PORT_NONE && !address_is_loopback(d->conf->client_address))
		log_warn("port %d takes plaintext from other machines; secureClientPort is the one "
			 "with TLS",
		    client_port_number(d->clients, false));
	notify_ready(NULL);
	return loop_run(d->loop, after_turn, d);
}

/* One descriptor a client: as many as the system lets us have. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn_errno("the limit of open files stays as it is");
}

static int
start(struct daemon *d)
{
	char why[512];

	raise_descriptor_limit();
	if ((d->auth = auth_open(d->conf, why, sizeof why)) == NULL ||
	    !client_tls_open(&d->tls, d->conf, why, sizeof why) ||
	    !client_tls_open_ensemble(&d->peer_tls, d->conf, why, sizeof why)) {
		log_error("%s", why);
		return EX_CONFIG;
	}
	if (!open_data(d))
		return EX_IOERR;
	if ((d->loop = loop_new()) == NULL || !watch_signals(d))
		return EX_OSERR;
	if (!wait_for_disk(d) || (!d->stopping && !load(d)))
		return EX_IOERR;
	if (d->stopping)
		return EX_OK;
	if (!open_writers(d) || !open_core(d))
		return EX_OSERR;
	if (!open_audit(d))
		return EX_CANTCREAT;
	if (!open_clients(d))
		return EX_UNAVAILABLE;
	if (d->ensemble != NULL && !ensemble_open(d, why, sizeof why)) {
		log_error("%s", why);
		return EX_UNAVAILABLE;
	}
	return write_ports(d) ? EX_OK : EX_IOERR;
}

static void
finish(struct daemon *d)
{
	admin_http_close(d->http);
	if (d->clients != NULL) {
		client_port_close(d->clients);
		admin_jobs_fini(&d->jobs);
		admin_fini(&d->admin);
	}
	if (d->server.audit != NULL) {
		audit_server(&d->audit.core, "serverStop", "invoked");
		audit_log_close(&d->audit);
	}
	ensemble_close(d);
	if (d->server.db != NULL)
		server_fini(&d->server);
	if (d->log != NULL)
		log_writer_free(d->log);
	if (d->snapshot != NULL)
		snapshot_writer_free(d->snapshot);
	purger_fini(&d->purger);
	if (d->loop != NULL)
		loop_free(d->loop);
	client_tls_close(&d->tls);
	client_tls_close(&d->peer_tls);
	auth_close(d->auth);
	db_fini(&d->db);
	if (d->logs != d->snapshots && d->logs != NULL)
		store_posix_close(d->logs);
	if (d->snapshots != NULL)
		store_posix_close(d->snapshots);
	if (d->lock >= 0)
		close(d->lock);
}

int
zkserver_run(struct zoo_conf *conf)
{
	static struct daemon d;
	struct hash_key key;
	int status;

	d = (struct daemon){.conf = conf, .lock = -1};
	if (!fsutil_random(&key, sizeof key) || !db_init(&d.db, &key, conf->tick_ms)) {
		log_error_errno("no memory for the tree");
		return EX_OSERR;
	}
	db_set_rules(&d.db, &(struct tree_rules){conf->extended_types, conf->emulate_353});
	if ((status = start(&d)) == EX_OK && !d.stopping)
		status = serve(&d);
	finish(&d);
	return status;
}
