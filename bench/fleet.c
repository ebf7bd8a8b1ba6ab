/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet: plays a cluster's agents towards a real master and gives it work: jobs of many short
 * tasks at a steady rate, then tasks that run on while the master is killed and another takes over.
 * bench/fleet_bench.py starts the cluster around it; what it prints is for both to read.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/leader.h"
#include "bench/fleet.h"
#include "libcommon/base/str.h"
#include "libcommon/io/cert.h"
#include "libcommon/sys/log.h"

enum {
	CALLS_MAX = 4,	   /* questions to the API at a time */
	FILL_PERCENT = 90, /* of all slots are taken by what was submitted and has not ended */
	PROGRESS_MS = 10000,
	CERT_DAYS = 40,
	JOBS_MAX = 200, /* as many ended ones as a master keeps: each is compared at the end */
};

enum phase {
	REGISTERING,
	RUNNING,
	HOLDING,
	HELD,
	LOST,
	AGAIN,
	RELEASED,
	VERIFYING,
	DONE,
};

static struct run {
	enum phase phase;
	uint64_t begun_ms, progress_ms, lost_ms;
	uint64_t submitted; /* tasks */
	uint64_t ended;	    /* when the last progress was told */
	uint32_t verified;
	uint32_t running; /* as the master says */
} run;

void
fleet_die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("fleet: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static void
enter(enum phase phase)
{
	run.phase = phase;
	run.begun_ms = run.progress_ms = clock_boot_ms();
}

static double
seconds_since(uint64_t ms)
{
	return (double)(clock_boot_ms() - ms) / 1e3;
}

/* --- certificates: one key, one certificate for each agent, kept for the next run --- */

static void
certify(const struct fleet *f, const struct cert_ca *ca, const char *request_pem, uint64_t number)
{
	struct cert_request request = {.role = TLS_ROLE_AGENT, .days = CERT_DAYS};
	char name[FLEET_NAME_MAX], path[512], error[512], *pem;
	FILE *file;

	snprintf(name, sizeof name, "f%05" PRIu64, number);
	snprintf(path, sizeof path, "%s/%s.pem", f->o.directory, name);
	request.name = name;
	if (!cert_sign(ca, &request, request_pem, &pem, error, sizeof error))
		fleet_die("%s", error);
	file = fopen(path, "w");
	if (file == NULL || fputs(pem, file) < 0 || fclose(file) != 0)
		fleet_die("%s: cannot write", path);
	free(pem);
}

static void
certify_all(struct fleet *f)
{
	char key[512], ca_cert[512], ca_key[512], error[512], *request_pem;
	struct cert_ca ca = {ca_cert, ca_key};

	snprintf(ca_cert, sizeof ca_cert, "%s/ca.pem", f->o.directory);
	snprintf(ca_key, sizeof ca_key, "%s/ca-key.pem", f->o.directory);
	snprintf(key, sizeof key, "%s/key.pem", f->o.directory);
	if (!cert_key_create(key, &request_pem, error, sizeof error))
		fleet_die("%s", error);
	for (uint64_t i = 0; i < f->o.agents; i++)
		certify(f, &ca, request_pem, i);
	free(request_pem);
}

/* --- phases --- */

static void
progress(struct fleet *f, bool now)
{
	uint64_t ms = clock_boot_ms();

	if (!now && ms - run.progress_ms < PROGRESS_MS)
		return;
	say("  %6.1f s  %u of %" PRIu64 " agents, %" PRIu64 " tasks submitted, %" PRIu64
	    " launched, %" PRIu64 " ended, %" PRIu64 " acknowledged, %.0f/s",
	    seconds_since(run.begun_ms), f->registered, f->o.agents, run.submitted,
	    f->counts.launched, f->counts.ended, f->counts.acked,
	    (double)(f->counts.acked - run.ended) * 1e3 / (double)(ms - run.progress_ms + 1));
	run.progress_ms = ms;
	run.ended = f->counts.acked;
}

static void
submit_next(struct fleet *f)
{
	struct fleet_job *j = &f->jobs[f->jobs_submitted++];

	run.submitted += j->count;
	fleet_job_submit(f, j);
}

/* Keep the master busy, but no more tasks than there are places for, and no more a second than
 * asked for. */
static void
submit_due(struct fleet *f)
{
	uint64_t most = f->o.agents * f->o.slots * FILL_PERCENT / 100;
	uint64_t due = f->o.rate == 0
			   ? UINT64_MAX
			   : (clock_boot_ms() - run.begun_ms) * f->o.rate / 1000 + f->o.job_tasks;

	while (f->jobs_submitted < f->job_count && !f->jobs[f->jobs_submitted].holds &&
	       f->calls < CALLS_MAX && run.submitted < due &&
	       run.submitted - f->counts.ended + f->jobs[f->jobs_submitted].count <= most)
		submit_next(f);
}

/* Those whose every outcome is acknowledged, one question at a time for each; true when all are. */
static bool
check_jobs(struct fleet *f)
{
	bool all = true;

	for (uint32_t i = 0; i < f->jobs_submitted; i++) {
		struct fleet_job *j = &f->jobs[i];

		all = all && j->checked;
		if (j->accepted && !j->checked && !j->asking && j->acked == j->count &&
		    f->calls < CALLS_MAX)
			fleet_job_check(f, j);
	}
	return all;
}

static void
say_delays(struct fleet *f)
{
	say("delays placed_p50_ms=%.1f placed_p99_ms=%.1f placed_max_ms=%.1f committed_p50_ms=%.1f "
	    "committed_p99_ms=%.1f accepted_p50_ms=%.1f accepted_p99_ms=%.1f",
	    samples_ms(&f->placed, 0.5), samples_ms(&f->placed, 0.99), samples_ms(&f->placed, 1),
	    samples_ms(&f->committed, 0.5), samples_ms(&f->committed, 0.99),
	    samples_ms(&f->accepted, 0.5), samples_ms(&f->accepted, 0.99));
}

/* A master may be killed in the middle of it: when do all agents have another? */
static void
watch_masters(struct fleet *f)
{
	if (f->o.mark > 0 && f->counts.acked >= f->o.mark) {
		say("marked acked=%" PRIu64, f->counts.acked);
		f->o.mark = 0;
	}
	if (run.lost_ms == 0 && f->registered < f->o.agents) {
		run.lost_ms = clock_boot_ms();
	} else if (run.lost_ms != 0 && f->registered == f->o.agents) {
		say("back agents=%u seconds=%.3f", f->registered, seconds_since(run.lost_ms));
		run.lost_ms = 0;
	}
}

static void
turn_running(struct fleet *f)
{
	watch_masters(f);
	submit_due(f);
	if (f->counts.acked < f->o.tasks || run.lost_ms != 0)
		return;
	say("ran tasks=%" PRIu64 " seconds=%.3f", f->counts.acked, seconds_since(run.begun_ms));
	say_delays(f);
	enter(HOLDING);
}

static void
turn_holding(struct fleet *f)
{
	bool checked = check_jobs(f);

	while (f->jobs_submitted < f->job_count && f->calls < CALLS_MAX)
		submit_next(f);
	if (f->jobs_submitted < f->job_count || f->counts.running_acked < f->o.tasks + f->o.hold ||
	    (f->o.hold == 0 && !checked))
		return;
	if (f->o.hold == 0) {
		enter(VERIFYING);
		return;
	}
	say("holding tasks=%" PRIu64, f->o.hold);
	enter(HELD);
}

static void
told_running(struct fleet *f, uint32_t running)
{
	(void)f;
	run.running = running;
}

static void
turn_failover(struct fleet *f)
{
	if (run.phase == HELD && f->registered < f->o.agents) {
		enter(LOST);
		run.lost_ms = run.begun_ms;
	}
	if (run.phase == LOST && f->registered == 0)
		enter(AGAIN);
	if (run.phase != AGAIN || f->registered < f->o.agents)
		return;
	if (run.running != f->o.hold) {
		if (f->calls == 0)
			fleet_ask_running(f, told_running);
		return;
	}
	say("again agents=%u seconds=%.3f running=%u", f->registered, seconds_since(run.lost_ms),
	    run.running);
	fleet_release(f);
	enter(RELEASED);
}

static void
turn_verifying(struct fleet *f)
{
	uint64_t every = f->o.verify == 0 ? 1 : f->o.verify;

	while (f->o.verify > 0 && run.verified < f->job_count && f->calls == 0) {
		fleet_job_verify(f, &f->jobs[run.verified]);
		run.verified += (uint32_t)every;
	}
	if (f->calls == 0 && (f->o.verify == 0 || run.verified >= f->job_count)) {
		say("counted launched=%" PRIu64 " ended=%" PRIu64 " acked=%" PRIu64
		    " failed=%" PRIu64 " relaunched=%" PRIu64 " repeated=%" PRIu64
		    " killed=%" PRIu64 " overcommitted=%" PRIu64 " leases_ended=%" PRIu64
		    " downs=%" PRIu64 " unheard=%" PRIu64 " strange=%" PRIu64,
		    f->counts.launched, f->counts.ended, f->counts.acked, f->counts.failed,
		    f->counts.relaunched, f->counts.repeated, f->counts.killed,
		    f->counts.overcommitted, f->counts.leases_ended, f->counts.downs,
		    f->counts.unheard, f->counts.strange);
		enter(DONE);
		loop_stop(f->loop, EXIT_SUCCESS);
	}
}

static void
turn(struct fleet *f)
{
	switch (run.phase) {
	case REGISTERING:
		if (f->registered < f->o.agents)
			break;
		say("registered agents=%u seconds=%.3f", f->registered,
		    seconds_since(run.begun_ms));
		enter(RUNNING);
		break;
	case RUNNING:
		turn_running(f);
		break;
	case HOLDING:
		turn_holding(f);
		break;
	case HELD:
	case LOST:
	case AGAIN:
		turn_failover(f);
		break;
	case RELEASED:
		if (f->counts.acked == f->o.tasks + f->o.hold && check_jobs(f))
			enter(VERIFYING);
		break;
	case VERIFYING:
		turn_verifying(f);
		break;
	case DONE:
		break;
	}
	progress(f, false);
}

static void
on_tick(void *arg)
{
	struct fleet *f = arg;

	wheel_turn(f);
	turn(f);
	timer_set(&f->ticker, clock_boot_ms() + FLEET_TICK_MS);
}

static void
on_leader(void *arg, const char *address)
{
	if (address != NULL)
		fleet_agents_dial(arg, address);
}

/* --- start --- */

/* The options that are numbers, and what they are unless they are given. */
static const struct number_option {
	const char *name;
	size_t at; /* in struct fleet_options */
	uint64_t standard;
} numbers[] = {
    {"agents", offsetof(struct fleet_options, agents), 1000},
    {"slots", offsetof(struct fleet_options, slots), 16},
    {"tasks", offsetof(struct fleet_options, tasks), 100000},
    {"job-tasks", offsetof(struct fleet_options, job_tasks), 10000},
    {"hold", offsetof(struct fleet_options, hold), 10000},
    {"rate", offsetof(struct fleet_options, rate), 0},
    {"run-min-ms", offsetof(struct fleet_options, run_min_ms), 1000},
    {"run-max-ms", offsetof(struct fleet_options, run_max_ms), 5000},
    {"seed", offsetof(struct fleet_options, seed), 1},
    {"verify", offsetof(struct fleet_options, verify), 1},
    {"mark", offsetof(struct fleet_options, mark), 0},
    {"deaf", offsetof(struct fleet_options, deaf), 0},
};
#define NUMBERS (sizeof numbers / sizeof numbers[0])

static uint64_t *
number_of(struct fleet_options *o, size_t i)
{
	return (uint64_t *)(void *)((char *)o + numbers[i].at);
}

static void
check_options(const struct fleet_options *o)
{
	if (o->job_tasks > o->agents * o->slots * FILL_PERCENT / 100 ||
	    o->hold > o->agents * o->slots)
		fleet_die("there are not enough agents and slots for a job, or for the held tasks");
	if (o->config == NULL || o->directory == NULL || o->agents == 0 || o->agents > 99999 ||
	    o->job_tasks == 0 || o->slots == 0 || o->run_max_ms < o->run_min_ms ||
	    o->tasks > o->job_tasks * JOBS_MAX)
		fleet_die("usage: fleet --config FILE --tls DIRECTORY [--agents N] [--slots N] "
			  "[--tasks N] [--job-tasks N] [--hold N] [--rate N] [--run-min-ms N] "
			  "[--run-max-ms N] [--seed N] [--verify N] [--mark N] [--deaf N]");
}

static void
read_options(struct fleet_options *o, int argc, char **argv)
{
	struct option names[NUMBERS + 3] = {
	    [NUMBERS] = {"config", required_argument, NULL, 1},
	    [NUMBERS + 1] = {"tls", required_argument, NULL, 1},
	};
	int opt, at = 0;

	*o = (struct fleet_options){0};
	for (size_t i = 0; i < NUMBERS; i++) {
		names[i] = (struct option){numbers[i].name, required_argument, NULL, 1};
		*number_of(o, i) = numbers[i].standard;
	}
	while ((opt = getopt_long(argc, argv, "", names, &at)) != -1) {
		if (opt != 1)
			exit(EXIT_FAILURE);
		if (at == NUMBERS)
			o->config = optarg;
		else if (at == NUMBERS + 1)
			o->directory = optarg;
		else if (!str_to_u64(optarg, 0, UINT32_MAX, number_of(o, (size_t)at)))
			fleet_die("--%s=%s: a number up to %" PRIu32, numbers[at].name, optarg,
			    UINT32_MAX);
	}
	check_options(o);
}

static void
open_all(struct fleet *f)
{
	struct tls_files files = {f->conf.tls.ca, f->conf.client.cert, f->conf.client.key};
	uint64_t began_ms = clock_boot_ms();
	char error[512];

	certify_all(f);
	f->client_tls = tls_new(&files, true, error, sizeof error);
	if (f->client_tls == NULL)
		fleet_die("%s", error);
	f->agents = calloc(f->o.agents, sizeof *f->agents);
	if (f->agents == NULL || !fleet_jobs_make(f))
		fleet_die("no memory for the fleet");
	for (uint32_t i = 0; i < f->o.agents; i++)
		if (!fleet_agent_open(f, i))
			fleet_die("no certificate for an agent");
	say("certified agents=%" PRIu64 " seconds=%.3f", f->o.agents, seconds_since(began_ms));
}

static void
close_all(struct fleet *f)
{
	leader_free(f->leader);
	for (uint32_t i = 0; i < f->o.agents; i++)
		fleet_agent_close(&f->agents[i]);
	for (uint32_t i = 0; i < f->job_count; i++) {
		free(f->jobs[i].launches);
		free(f->jobs[i].codes);
	}
	tls_unref(f->client_tls);
	timer_cancel(&f->ticker);
	loop_free(f->loop);
	free(f->agents);
	free(f->jobs);
	free(f->placed.items);
	free(f->committed.items);
	free(f->accepted.items);
	corral_conf_fini(&f->conf);
}

int
main(int argc, char **argv)
{
	static struct fleet f;
	struct faults faults;
	int status;

	log_init("fleet", LOG_LEVEL_WARN);
	read_options(&f.o, argc, argv);
	faults_init(&faults);
	if (!corral_conf_load(&f.conf, f.o.config, &faults))
		fleet_die("%s", faults_text(&faults));
	faults_fini(&faults);
	f.loop = loop_new();
	if (f.loop == NULL)
		fleet_die("no event loop");
	rng_init(&f.rng, f.o.seed);
	open_all(&f);
	wheel_init(&f);
	enter(REGISTERING);
	f.leader = leader_new(f.loop, &f.conf, f.agents[0].tls, on_leader, &f);
	if (f.leader == NULL)
		fleet_die("the ensemble cannot be asked");
	timer_init(&f.ticker, f.loop, on_tick, &f);
	timer_set(&f.ticker, clock_boot_ms() + FLEET_TICK_MS);
	status = loop_run(f.loop, NULL, NULL);
	close_all(&f);
	return status;
}
