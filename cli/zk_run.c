/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/zk_run.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "libcommon/base/str.h"

#define HOSTS_HERE "127.0.0.1:2181"
#define ERROR_BYTES_MAX 1024

static void
run_out_of_time(void *arg)
{
	struct zk_run *run = arg;

	run->out_of_time = true;
	loop_stop(run->loop, 0);
}

/* No more will come of waiting. Without a connection it may: the session outlives an election. */
static bool
run_is_lost(const struct zk_run *run)
{
	enum zk_state state = zk_state(run->zk);

	return state == ZK_EXPIRED || state == ZK_AUTH_FAILED;
}

struct run_wait {
	struct zk_run *run;
	bool (*done)(void *arg);
	void *arg;
};

static void
run_after_turn(void *arg)
{
	struct run_wait *wait = arg;

	if (wait->done(wait->arg) || run_is_lost(wait->run))
		loop_stop(wait->run->loop, 0);
}

static void
run_on_signal(void *arg, int signo)
{
	struct zk_run *run = arg;

	run->signo = signo;
	loop_stop(run->loop, 0);
}

void
zk_run_until(struct zk_run *run, bool (*done)(void *arg), void *arg)
{
	struct run_wait wait = {run, done, arg};

	if (run->signo == 0 && !done(arg) && !run_is_lost(run))
		loop_run(run->loop, run_after_turn, &wait);
}

static bool
run_answered(void *arg)
{
	const struct zk_run *run = arg;

	return run->answered || run->out_of_time;
}

/*
 * Or it is of no use to wait: nobody is there, or nobody wants our certificate. Servers without a
 * leader are there, and will serve.
 */
static bool
run_connected(void *arg)
{
	const struct zk_run *run = arg;

	return zk_state(run->zk) == ZK_CONNECTED || run->out_of_time || zk_is_refused(run->zk);
}

static void
run_limit(struct zk_run *run)
{
	run->out_of_time = !timer_set(&run->limit, clock_boot_ms() + run->options->timeout_ms);
}

static int
run_authenticate(const struct zk_run *run, struct zk *zk)
{
	const struct option_texts *auths = &run->options->auths;

	for (size_t i = 0; i < auths->count; i++) {
		const char *colon = strchr(auths->items[i], ':');
		char scheme[64];
		int rc = ZK_BADARGUMENTS;

		if (colon != NULL && (size_t)(colon - auths->items[i]) < sizeof scheme) {
			memcpy(scheme, auths->items[i], (size_t)(colon - auths->items[i]));
			scheme[colon - auths->items[i]] = '\0';
			rc = zk_add_auth(zk, scheme, colon + 1, strlen(colon + 1));
		}
		if (rc != ZK_OK) {
			fprintf(stderr, "zk: --auth: write SCHEME:DATA, as digest:USER:PASSWORD\n");
			return EX_USAGE;
		}
	}
	return 0;
}

/* The servers and the way to them: option, environment, corral.conf, this machine. */
struct run_target {
	char *hosts; /* of ZK_HOSTS_BYTES_MAX */
	bool tls;
};

static bool
target_from_conf(struct run_target *target, const struct corral_conf *conf)
{
	const struct conf_list *ensemble = &conf->cluster.ensemble;
	struct buf b;
	bool ok;

	buf_init(&b, ZK_HOSTS_BYTES_MAX - 1);
	for (size_t i = 0; i < ensemble->count; i++)
		buf_printf(&b, "%s%s", i > 0 ? "," : "", ensemble->items[i]);
	ok = buf_text(&b) != NULL &&
	     str_copy(target->hosts, ZK_HOSTS_BYTES_MAX, (const char *)b.data);
	target->tls = conf->cluster.ensemble_tls;
	buf_fini(&b);
	return ok;
}

static bool
target_find(
    struct run_target *target, const struct zk_options *options, const struct corral_conf *conf)
{
	const char *hosts = options->hosts != NULL ? options->hosts : getenv("ZK_HOSTS");

	if (hosts == NULL && conf->cluster.ensemble.count > 0)
		return target_from_conf(target, conf);
	target->tls = options->client.ca != NULL || getenv("CORRAL_TLS_CA") != NULL;
	return str_copy(target->hosts, ZK_HOSTS_BYTES_MAX, hosts != NULL ? hosts : HOSTS_HERE);
}

struct zk *
zk_run_session(struct zk_run *run)
{
	uint64_t ms = run->options->session_ms;
	char error[ERROR_BYTES_MAX];
	struct zk *zk = zk_new(run->loop, run->hosts, run->tls,
	    (uint32_t)(ms < INT32_MAX ? ms : INT32_MAX), NULL, NULL, error, sizeof error);

	if (zk == NULL)
		fprintf(stderr, "zk: %s\n", error);
	else if (run_authenticate(run, zk) == 0) {
		zk_set_request_bytes_max(zk, ZK_RUN_REQUEST_BYTES_MAX);
		if (run->options->read_only)
			zk_set_read_only(zk);
		return zk;
	}
	zk_free(zk);
	return NULL;
}

static int
run_begin(struct zk_run *run, const struct corral_conf *conf)
{
	const struct tls_files files = {conf->client.ca, conf->client.cert, conf->client.key};
	struct run_target target = {.hosts = run->hosts};
	char error[ERROR_BYTES_MAX];

	if (!target_find(&target, run->options, conf)) {
		fprintf(stderr, "zk: the list of hosts is too long\n");
		return EX_USAGE;
	}
	if (target.tls) {
		run->tls = tls_new(&files, true, error, sizeof error);
		if (run->tls == NULL) {
			fprintf(stderr, "zk: %s\n", error);
			return EX_CONFIG;
		}
	}
	run->zk = zk_run_session(run);
	return run->zk != NULL ? 0 : EX_USAGE;
}

static int
run_connect(struct zk_run *run)
{
	const char *why;

	run_limit(run);
	zk_run_until(run, run_connected, run);
	timer_cancel(&run->limit);
	if (zk_state(run->zk) == ZK_CONNECTED)
		return 0;
	if (run->signo != 0)
		return 128 + run->signo;
	if (zk_state(run->zk) == ZK_AUTH_FAILED) {
		fprintf(stderr, "zk: %s\n", zk_why(run->zk));
		return EX_NOPERM;
	}
	why = zk_why(run->zk);
	if (zk_failures(run->zk) == 0)
		fprintf(stderr, "zk: no answer from %s in time (--timeout says how long to wait)\n",
		    zk_server(run->zk));
	else if (!zk_is_refused(run->zk))
		fprintf(stderr,
		    "zk: no server serves: %s (zkserver status HOST:PORT says why, --timeout how "
		    "long to wait)\n",
		    why);
	else
		fprintf(stderr,
		    "zk: cannot reach a server: %s (--hosts and ZK_HOSTS say where they are%s)\n",
		    why,
		    run->tls != NULL ? ", --ca whose certificates to trust, --cert and --key which "
				       "to show"
				     : "; for TLS --ca, --cert and --key are needed");
	return EX_UNAVAILABLE;
}

int
zk_run_open(struct zk_run *run, const struct zk_options *options)
{
	struct corral_conf conf;
	struct faults faults;
	int status = EX_CONFIG;

	*run = (struct zk_run){.options = options, .loop = loop_new()};
	if (run->loop == NULL || !loop_on_signal(run->loop, SIGINT, run_on_signal, run) ||
	    !loop_on_signal(run->loop, SIGTERM, run_on_signal, run)) {
		perror("zk: event loop");
		return EX_OSERR;
	}
	timer_init(&run->limit, run->loop, run_out_of_time, run);
	faults_init(&faults);
	if (client_conf_load(&conf, &options->client, &faults))
		status = run_begin(run, &conf);
	else
		fprintf(stderr, "%s\n", faults_text(&faults));
	corral_conf_fini(&conf);
	faults_fini(&faults);
	return status != 0 ? status : run_connect(run);
}

static void
run_closed(void *arg)
{
	struct zk_run *run = arg;

	run->zk = NULL;
	loop_stop(run->loop, 0);
}

void
zk_run_close(struct zk_run *run)
{
	if (run->zk != NULL && zk_state(run->zk) == ZK_CONNECTED) {
		zk_close(run->zk, run_closed, run);
		loop_run(run->loop, NULL, NULL);
	}
	zk_free(run->zk);
	tls_unref(run->tls);
	if (run->loop != NULL)
		loop_free(run->loop);
	*run = (struct zk_run){.options = run->options};
}

static void
run_on_answer(void *arg, const struct zk_result *result)
{
	struct zk_run *run = arg;

	run->answered = true;
	run->rc = result->rc;
	run->sent_bytes = result->sent_bytes;
	/* A server says no more than this of a request that is larger than it takes. */
	if (run->rc == ZK_CONNECTIONLOSS && run->sent_bytes > ZK_FRAME_BYTES_MAX)
		run->rc = ZK_TOOLARGE;
	if ((result->rc == ZK_OK || result->ops != NULL) && run->answer != NULL)
		run->answer(run, result, run->answer_arg);
}

/* Get ready for one answer. */
static void
run_expect(struct zk_run *run, zk_run_answer *answer, void *arg)
{
	run->answer = answer;
	run->answer_arg = arg;
	run->answered = false;
	run->sent_bytes = 0;
}

/* Wait for the answer to what was asked with the result rc. */
static int
run_await(struct zk_run *run, int rc)
{
	if (rc != ZK_OK)
		return rc;
	run_limit(run);
	zk_run_until(run, run_answered, run);
	timer_cancel(&run->limit);
	return run->answered ? run->rc : ZK_OPERATIONTIMEOUT;
}

int
zk_run_request(struct zk_run *run, const struct zk_op *op, zk_run_answer *answer, void *arg)
{
	run_expect(run, answer, arg);
	return run_await(run, zk_request(run->zk, op, NULL, run_on_answer, run));
}

int
zk_run_multi(
    struct zk_run *run, const struct zk_op *ops, size_t count, zk_run_answer *answer, void *arg)
{
	run_expect(run, answer, arg);
	return run_await(run, zk_multi(run->zk, ops, count, run_on_answer, run));
}

int
zk_run_status(int rc)
{
	switch (rc) {
	case ZK_OK:
		return EX_OK;
	case ZK_BADARGUMENTS:
	case ZK_INVALIDACL:
		return EX_USAGE;
	case ZK_TOOLARGE:
		return EX_DATAERR;
	case ZK_UNIMPLEMENTED:
		return EX_UNAVAILABLE;
	case ZK_CONNECTIONLOSS:
	case ZK_OPERATIONTIMEOUT:
	case ZK_SESSIONEXPIRED:
	case ZK_SESSIONMOVED:
	case ZK_OVERLOADED:
	case ZK_NOTREADONLY:
	case ZK_THROTTLEDOP:
		return EX_TEMPFAIL;
	case ZK_MARSHALLINGERROR:
	case ZK_PROTOCOL:
		return EX_PROTOCOL;
	case ZK_NOAUTH:
	case ZK_AUTHFAILED:
		return EX_NOPERM;
	case ZK_SYSTEMERROR:
	case ZK_NOMEMORY:
		return EX_SOFTWARE;
	default:
		return 1; /* the node is not as the command wants it */
	}
}

int
zk_run_fail(const struct zk_run *run, const char *path, int rc)
{
	const char *fault = rc == ZK_BADARGUMENTS ? zk_path_fault(path) : NULL;

	if (run->signo != 0)
		return 128 + run->signo;
	if (rc == ZK_OK)
		return 0;
	if (fault != NULL)
		fprintf(stderr, "zk: %s: not a path: %s\n", path, fault);
	else if (rc == ZK_OPERATIONTIMEOUT)
		fprintf(stderr,
		    "zk: %s: no answer from %s in time (--timeout says how long to wait)\n", path,
		    zk_server(run->zk));
	else if (rc == ZK_TOOLARGE && run->sent_bytes > ZK_FRAME_BYTES_MAX)
		fprintf(stderr,
		    "zk: %s: request too large: the server closed the connection on its %zu bytes "
		    "(its jute.maxbuffer says how many it takes, by default %d)\n",
		    path, run->sent_bytes, ZK_FRAME_BYTES_MAX);
	else if (rc == ZK_NOTEMPTY)
		fprintf(stderr, "zk: %s: node has children (-r removes them too)\n", path);
	else if (zk_rc_name(rc)[0] == 'U' && strcmp(zk_rc_name(rc), "UNKNOWN") == 0)
		fprintf(stderr, "zk: %s: the server answered with the unknown code %d\n", path, rc);
	else
		fprintf(stderr, "zk: %s: %s\n", path, zk_rc_text(rc));
	return zk_run_status(rc);
}
