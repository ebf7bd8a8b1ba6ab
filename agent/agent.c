/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sysexits.h>
#include <unistd.h>

#include "agent/core/core.h"
#include "agent/executor_link.h"
#include "agent/helper_client.h"
#include "agent/identity.h"
#include "agent/leader.h"
#include "agent/logs.h"
#include "agent/master_link.h"
#include "agent/measure.h"
#include "agent/sandbox.h"
#include "agent/status_file.h"
#include "agent/told.h"
#include "config.h"
#include "libcommon/base/str.h"
#include "libcommon/io/address.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/notify.h"
#include "libcommon/sys/proc.h"
#include "libcommon/sys/store_posix.h"

#define SANDBOX_KEEP_MS (24ULL * 3600 * 1000)
#define RECOVERY_MS 60000 /* an executor dials again after 5 s at the latest */
#define MEASURE_MS 2000

struct agent {
	const struct corral_conf *conf;
	const char *config_path; /* NULL: the system's */
	struct loop *loop;
	struct store *store;
	struct agent_core *core;
	const struct helper_way *way;
	struct helper_client *helper_client;
	struct executor_links *executors;
	struct tls *tls;
	struct master_link *master;
	struct leader *leader; /* NULL: masters= names them */
	struct logs *logs;
	struct identity identity;
	struct measure measure;
	struct timer tick, measure_timer;
	uint64_t watchdog_ms, watchdog_at_ms; /* between two words to systemd (0: none), the next */
	char executor_address[ADDRESS_TEXT_SIZE];
	bool sweep_failed; /* and that was said */
	int exit_status;
};

/* ---- What the core asks for. ---- */

static void
read_status(struct agent *a, const struct taskkey *key)
{
	Corral__StatusUpdate *update = status_file_read(a->conf->agent.state_dir, key);

	agent_core_status(a->core, key, update, loop_now_ms(a->loop));
	if (update != NULL)
		corral__status_update__free_unpacked(update, NULL);
	logs_attempt_changed(a->logs, key);
}

static void
stop(struct agent *a, int status)
{
	a->exit_status = status;
	loop_stop(a->loop, status);
}

/* Replies come in order: of a request that is lost, the core would wait for all of them for ever.
 */
static void
ask_helper(struct agent *a, const struct agent_out *out)
{
	if (helper_client_send(a->helper_client, out->bytes, out->size) || a->exit_status != EX_OK)
		return;
	log_error("the helper does not take its requests: the agent ends, to be started again; "
		  "executors go on");
	stop(a, EX_TEMPFAIL);
}

static void
perform(struct agent *a, const struct agent_out *out)
{
	switch (out->kind) {
	case AGENT_OUT_MASTER:
		/* Not sent is as lost on the way: registration and back-off repair both. */
		if (!master_link_send(a->master, out->bytes, out->size))
			log_debug("a message to the master was not sent");
		break;
	case AGENT_OUT_MASTER_DROP:
		master_link_drop(a->master, out->text);
		break;
	case AGENT_OUT_EXECUTOR:
		if (!executor_links_send(a->executors, &out->key, out->bytes, out->size))
			log_debug("a message to an executor was not sent");
		break;
	case AGENT_OUT_HELPER:
		ask_helper(a, out);
		break;
	case AGENT_OUT_READ_STATUS:
		read_status(a, &out->key);
		break;
	}
}

/* The end of each turn: first the checkpoint, then what depends on it, until nothing is left to do.
 */
static void
turn(void *arg)
{
	struct agent *a = arg;
	struct agent_out out;
	uint64_t at_ms;
	int rc;

	while ((rc = agent_core_commit(a->core)) == 0 && agent_core_next(a->core, &out)) {
		perform(a, &out);
		agent_out_fini(&out);
	}
	if (rc != 0) {
		log_error("%s/" AGENT_CHECKPOINT_DIRECTORY "/" CHECKPOINT_NAME
			  ": cannot be written: %s: the agent stops; its executors go on",
		    a->conf->agent.state_dir, strerror(-rc));
		stop(a, rc == -ENOMEM ? EX_OSERR : EX_IOERR);
		return;
	}
	if ((at_ms = agent_core_deadline_ms(a->core)) != UINT64_MAX)
		timer_set(&a->tick, at_ms);
	else
		timer_cancel(&a->tick);
}

static void
on_tick(void *arg)
{
	struct agent *a = arg;

	agent_core_tick(a->core, clock_boot_ms());
}

static void
on_measure(void *arg)
{
	struct agent *a = arg;
	Corral__NodeUsage usage;

	if (a->watchdog_ms != 0 && loop_now_ms(a->loop) >= a->watchdog_at_ms) {
		notify_watchdog();
		a->watchdog_at_ms = loop_now_ms(a->loop) + a->watchdog_ms;
	}
	measure_usage(&a->measure, &usage);
	agent_core_set_usage(a->core, &usage);
	timer_set(&a->measure_timer, loop_now_ms(a->loop) + MEASURE_MS);
}

static void
core_random(void *arg, void *bytes, size_t size)
{
	(void)arg;
	if (!fsutil_random(bytes, size))
		log_die(EX_OSERR, "the kernel gives no random bytes: %s", strerror(errno));
}

static int64_t
core_wall_ms(void *arg)
{
	(void)arg;
	return clock_wall_ms();
}

/* ---- The helper. ---- */

/* Until it has ended what the checkpoint lacks, the agent does not register. */
static void
say_sweep(struct agent *a)
{
	const char *error;
	bool failed = agent_core_is_sweeping(a->core, &error) && *error != '\0';

	if (failed && !a->sweep_failed)
		log_error("the helper cannot end what the checkpoint does not have: %s: the agent "
			  "does not register before that: see corral-recovery(7)",
		    error);
	a->sweep_failed = failed;
}

static void
on_helper_reply(void *arg, const Corral__HelperReply *reply)
{
	struct agent *a = arg;

	agent_core_helper_reply(a->core, reply, loop_now_ms(a->loop));
	say_sweep(a);
	logs_end_those_over(a->logs); /* by a launch that failed, or a kill */
}

static void
on_helper_down(void *arg, const char *why)
{
	log_error(
	    "the helper has ended (%s): the agent ends, too, to be started again; executors go on",
	    why);
	stop(arg, EX_TEMPFAIL);
}

static void
on_child(void *arg, int signo)
{
	struct agent *a = arg;

	(void)signo;
	helper_reap(a->way->local);
}

/* ---- Executors. ---- */

static bool
on_psk(void *arg, const char *name, uint8_t psk[32])
{
	struct agent *a = arg;

	return agent_core_psk(a->core, name, psk);
}

static bool
on_hello(void *arg, const Corral__ExecutorHello *hello)
{
	struct agent *a = arg;
	struct taskkey key = taskkey_of(hello->key);

	if (!agent_core_hello(a->core, hello, clock_boot_ms()))
		return false;
	logs_attempt_changed(a->logs, &key);
	return true;
}

static void
on_update(void *arg, const struct taskkey *key, const Corral__StatusUpdate *update)
{
	struct agent *a = arg;

	agent_core_executor_update(a->core, key, update, loop_now_ms(a->loop));
	logs_attempt_changed(a->logs, key);
}

static void
on_input_ack(void *arg, const struct taskkey *key, uint64_t bytes)
{
	struct agent *a = arg;

	logs_input_taken(a->logs, key, bytes);
}

static void
on_executor_stuck(void *arg, const struct taskkey *key)
{
	struct agent *a = arg;
	const struct attempt *at = agent_core_find(a->core, key);

	log_error("attempt %s: what is left of it was killed and does not die: see "
		  "corral-recovery(7)",
	    at != NULL ? at->name : "?");
	agent_core_executor_stuck(a->core, key, clock_boot_ms());
}

static void
on_executor_down(void *arg, const struct taskkey *key)
{
	struct agent *a = arg;

	agent_core_executor_down(a->core, key, loop_now_ms(a->loop));
}

static const struct executor_link_ops executor_ops = {
    on_psk, on_hello, on_update, on_input_ack, on_executor_stuck, on_executor_down};

/* ---- The master. ---- */

static const char *
state_text(const struct agent *a)
{
	const char *error;

	if (agent_core_registered(a->core))
		return "registered";
	return agent_core_is_sweeping(a->core, &error)
		   ? "not registered before what the checkpoint does not have is ended"
		   : "no master";
}

static void
on_master_up(void *arg)
{
	struct agent *a = arg;

	agent_core_master_up(a->core, clock_boot_ms());
	notify_status("%s", state_text(a));
}

static void
on_master_message(void *arg, const Corral__MasterToAgent *m)
{
	struct agent *a = arg;
	bool was = agent_core_registered(a->core);
	/* Now, and not the turn's time: the lease may have ended since then. */
	enum agent_verdict verdict = agent_core_master_message(a->core, m, clock_boot_ms());

	if (verdict == AGENT_STREAM)
		logs_message(a->logs, m);
	else
		told_log(m, verdict == AGENT_DONE);
	if (!was && agent_core_registered(a->core)) {
		log_info("registered with the master of term (%" PRIu64 ", 0x%" PRIx64 ")",
		    m->term->era, (uint64_t)m->term->czxid);
		notify_status("registered");
	}
}

static void
on_master_writable(void *arg)
{
	struct agent *a = arg;

	logs_writable(a->logs);
}

static void
on_master_down(void *arg)
{
	struct agent *a = arg;

	agent_core_master_down(a->core);
	logs_master_down(a->logs);
	notify_status("no master; tasks go on");
}

static const struct master_link_ops master_ops = {
    on_master_up, on_master_message, on_master_writable, on_master_down};

static void
on_leader(void *arg, const char *address)
{
	struct agent *a = arg;

	master_link_set_addresses(a->master, &address, address != NULL ? 1 : 0);
}

/* ---- Streams. ---- */

static bool
stream_send(void *arg, Corral__AgentToMaster *m)
{
	struct agent *a = arg;

	m->has_registration = true;
	m->registration = agent_core_registration(a->core);
	return master_link_send_message(a->master, m);
}

static bool
stream_input(void *arg, const struct taskkey *key, Corral__StreamData *data)
{
	Corral__AgentToExecutor m = CORRAL__AGENT_TO_EXECUTOR__INIT;
	struct agent *a = arg;

	m.body_case = CORRAL__AGENT_TO_EXECUTOR__BODY_INPUT;
	m.input = data;
	return executor_links_send_message(a->executors, key, &m);
}

static enum logs_attempt
stream_attempt(void *arg, const struct taskkey *key)
{
	struct agent *a = arg;
	const struct attempt *at = agent_core_find(a->core, key);

	if (at == NULL)
		return LOGS_UNKNOWN;
	return at->phase >= ATTEMPT_OVER ? LOGS_OVER : LOGS_RUNS;
}

static const struct logs_ops logs_ops = {stream_send, stream_input, stream_attempt};

/* ---- Starting and stopping. ---- */

static void
on_stop(void *arg, int signo)
{
	(void)signo;
	notify_stopping();
	stop(arg, EX_OK);
}

/* What the node offers and its attributes may change; all else is read at a start. */
static void
read_configuration_again(struct agent *a)
{
	struct corral_conf conf = {0};
	Corral__Resources in_use;
	struct faults faults;
	bool changed = false;

	faults_init(&faults);
	if (!corral_conf_load(&conf, a->config_path, &faults)) {
		log_error("the configuration is not read again: %s", faults_text(&faults));
	} else {
		agent_core_in_use(a->core, &in_use);
		if (identity_change(&a->identity, &conf, &in_use, &changed) && changed) {
			log_info("the node now offers %.3f cpus, %" PRIu64
				 " MiB of memory, %" PRIu64 " MiB of disk, and %zu attributes",
			    (double)a->identity.capacity.cpu_milli / 1000,
			    a->identity.capacity.memory_bytes >> 20,
			    a->identity.capacity.disk_bytes >> 20,
			    a->identity.message.n_attributes);
			master_link_drop(a->master, "the node offers something else");
		}
	}
	corral_conf_fini(&conf);
	faults_fini(&faults);
}

static void
on_reload(void *arg, int signo)
{
	struct agent *a = arg;
	char error[512];

	(void)signo;
	notify_reloading();
	if (a->tls != NULL && !tls_reload(a->tls, error, sizeof error))
		log_error("certificates are not read again: %s", error);
	read_configuration_again(a);
	notify_ready("reloaded");
}

static void
on_dump(void *arg, int signo)
{
	static const char *const phases[] = {
	    "launching", "live", "recovering", "reading", "killing", "over", "settled"};
	struct agent *a = arg;
	struct list *it, *nx;

	(void)signo;
	log_info("state: %s", state_text(a));
	LIST_EACH(it, nx, agent_core_active(a->core)) {
		const struct attempt *at = CONTAINER_OF(it, struct attempt, link);

		log_info("attempt %s: %s, executor %" PRId64 ", %u updates not acknowledged",
		    at->name, phases[at->phase], at->pid, at->update_count);
	}
}

static void
say_not_alone(const char *path)
{
	log_error(
	    "%s: another agent runs on it: stop that one, or give this one another state_dir",
	    path);
}

static bool
open_store(struct agent *a)
{
	char path[PATH_MAX];
	int lock;

	snprintf(path, sizeof path, "%s/" AGENT_CHECKPOINT_DIRECTORY, a->conf->agent.state_dir);
	if ((lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		log_error_errno("%s", path);
		return false;
	}
	/* Held for life: two agents over one checkpoint would each take the other's executors for
	 * its own. */
	if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
		say_not_alone(path);
		close(lock);
		return false;
	}
	if ((a->store = store_posix_open(path)) == NULL)
		log_error_errno("%s", path);
	return a->store != NULL;
}

bool
agent_is_running(const char *path, bool *running)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return false;
	*running = flock(fd, LOCK_SH | LOCK_NB) != 0;
	close(fd);
	return true;
}

bool
agent_is_alone(const char *path)
{
	bool running;

	if (!agent_is_running(path, &running) || !running)
		return true;
	say_not_alone(path);
	return false;
}

static bool
open_core(struct agent *a)
{
	struct agent_core_conf conf = {
	    .identity = &a->identity.message,
	    .boot_id = a->identity.boot_id,
	    .executor_address = a->executor_address,
	    .state_dir = a->conf->agent.state_dir,
	    .sandbox_keep_ms = SANDBOX_KEEP_MS,
	    .recovery_ms = RECOVERY_MS,
	    .random = core_random,
	    .wall_ms = core_wall_ms,
	    .arg = a,
	};
	struct checkpoint_faults faults;
	int rc;

	core_random(a, &conf.hash_key, sizeof conf.hash_key);
	if ((a->core = agent_core_new(&conf, a->store)) == NULL) {
		log_error("no memory");
		return false;
	}
	if ((rc = agent_core_open(a->core, clock_boot_ms(), &faults)) != 0) {
		log_error("%s/" AGENT_CHECKPOINT_DIRECTORY "/" CHECKPOINT_NAME ": %s",
		    a->conf->agent.state_dir, strerror(-rc));
		return false;
	}
	if (faults.damaged)
		log_error("%s/" AGENT_CHECKPOINT_DIRECTORY "/" CHECKPOINT_NAME
			  ": damaged at byte %" PRIu64 ": the last %" PRIu64
			  " bytes are left out, the file is kept as checkpoint.damaged: attempts "
			  "of that part are not known any more",
		    a->conf->agent.state_dir, faults.offset_bytes, faults.cut_bytes);
	return true;
}

/* Where executors of an earlier run look for us, if the configuration leaves the port open. */
static bool
open_executors(struct agent *a)
{
	const char *address = a->conf->agent.executor_listen;
	char host[ADDRESS_HOST_SIZE], port[ADDRESS_PORT_SIZE], again[ADDRESS_TEXT_SIZE], error[512];
	uint16_t kept = agent_core_executor_port(a->core);

	if (!address_split(address, host, port)) {
		log_error("[agent] executor_listen=%s: not HOST:PORT", address);
		return false;
	}
	if (strcmp(port, "0") == 0 && kept != 0) {
		address_join(again, sizeof again, host, kept);
		a->executors =
		    executor_links_new(a->loop, again, &executor_ops, a, error, sizeof error);
	}
	if (a->executors == NULL)
		a->executors =
		    executor_links_new(a->loop, address, &executor_ops, a, error, sizeof error);
	if (a->executors == NULL) {
		log_error("[agent] executor_listen=%s: %s", address, error);
		return false;
	}
	address_join(a->executor_address, sizeof a->executor_address, host,
	    executor_links_port(a->executors));
	agent_core_set_executor_port(a->core, executor_links_port(a->executors));
	return true;
}

static bool
open_master(struct agent *a)
{
	const struct corral_conf *conf = a->conf;
	struct tls_files files = {conf->tls.ca, conf->agent.cert, conf->agent.key};
	const struct conf_list *masters = &conf->agent.masters;
	char error[512];

	if ((a->tls = tls_new(&files, true, error, sizeof error)) == NULL) {
		log_error("[tls]: %s", error);
		return false;
	}
	a->master = master_link_new(a->loop, a->tls, conf->cluster.name,
	    (const char *const *)masters->items, masters->count, &master_ops, a);
	if (a->master == NULL) {
		log_error("no memory");
		return false;
	}
	if (masters->count > 0)
		return true;
	a->leader = leader_new(a->loop, conf, a->tls, on_leader, a);
	return a->leader != NULL;
}

static bool
catch_signals(struct agent *a, bool own_children)
{
	return loop_on_signal(a->loop, SIGTERM, on_stop, a) &&
	       loop_on_signal(a->loop, SIGINT, on_stop, a) &&
	       loop_on_signal(a->loop, SIGHUP, on_reload, a) &&
	       loop_on_signal(a->loop, SIGUSR1, on_dump, a) &&
	       (!own_children || loop_on_signal(a->loop, SIGCHLD, on_child, a));
}

static int
start(struct agent *a)
{
	if ((a->loop = loop_new()) == NULL || !catch_signals(a, a->way->fd < 0)) {
		log_error_errno("the event loop");
		return EX_OSERR;
	}
	if (!identity_init(&a->identity, a->conf, &a->way->isolation))
		return EX_OSERR;
	if (!open_store(a))
		return EX_CANTCREAT;
	if (!open_core(a))
		return EX_DATAERR;
	if ((a->logs = logs_new(a->loop, a->conf->agent.state_dir, &logs_ops, a)) == NULL) {
		log_error_errno("inotify");
		return EX_OSERR;
	}
	a->helper_client = helper_client_new(a->loop, a->way, on_helper_reply, on_helper_down, a);
	if (a->helper_client == NULL) {
		log_error("no memory");
		return EX_OSERR;
	}
	if (!open_executors(a))
		return EX_UNAVAILABLE;
	if (!open_master(a))
		return EX_CONFIG;
	measure_init(&a->measure, a->conf->agent.state_dir);
	a->watchdog_ms = notify_watchdog_ms();
	timer_init(&a->tick, a->loop, on_tick, a);
	timer_init(&a->measure_timer, a->loop, on_measure, a);
	on_measure(a);
	turn(a);
	return EX_OK;
}

static void
finish(struct agent *a)
{
	leader_free(a->leader);
	master_link_free(a->master);
	executor_links_free(a->executors);
	helper_client_free(a->helper_client);
	logs_free(a->logs);
	tls_unref(a->tls);
	agent_core_free(a->core);
	if (a->store != NULL)
		store_posix_close(a->store);
	identity_fini(&a->identity);
	if (a->loop != NULL)
		loop_free(a->loop);
}

int
agent_run(const struct corral_conf *conf, const char *config_path, const struct helper_way *way)
{
	struct agent a = {.conf = conf, .config_path = config_path, .way = way};
	int status = start(&a);

	if (status == EX_OK && a.exit_status == EX_OK) {
		log_info("node %s: %.3f cpus, %" PRIu64 " MiB of memory; executors on %s",
		    a.identity.message.node, (double)a.identity.capacity.cpu_milli / 1000,
		    a.identity.capacity.memory_bytes >> 20, a.executor_address);
		notify_ready("no master yet");
		status = loop_run(a.loop, turn, &a);
	} else if (status == EX_OK)
		status = a.exit_status;
	finish(&a);
	return status;
}
