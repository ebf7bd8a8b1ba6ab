/* SPDX-License-Identifier: Apache-2.0 */
/* corral-master: the resource master. See corral-master(8). */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/io/cert.h"
#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/notify.h"
#include "master/core/role_access.h"
#include "master/credentials.h"
#include "master/master.h"

static const char usage_text[] =
    "usage: corral-master run    [--config FILE] [--log-level LEVEL]\n"
    "       corral-master check  [--config FILE]\n"
    "       corral-master status [--config FILE]\n"
    "\n"
    "The resource master of a Corral cluster: knows every node, places every task.\n"
    "  run      in the foreground, until SIGTERM; SIGHUP reads configuration and certificates "
    "again\n"
    "  check    reads the configuration and says every fault in it; exit status 78 if there is "
    "one\n"
    "  status   asks the master that this configuration describes whether it leads\n"
    "See corral-master(8) and corral.conf(5).\n";

bool
master_may_act(const struct master *m)
{
	return elect_may_act(&m->elect, clock_boot_ms());
}

void
master_give_up(struct master *m, const char *why)
{
	if (m->leading) {
		log_warn("leadership of term (%" PRIu64 ", 0x%" PRIx64 ") ends: %s",
		    m->cluster.term.era, (uint64_t)m->cluster.term.czxid, why);
		notify_status("standby");
	}
	stream_drop_all(m, "the master that this went through no longer leads: try again");
	api_drop_all(m);
	agents_drop_all(m);
	load_cancel(m);
	m->leading = false;
	if (m->cluster_made)
		cluster_fini(&m->cluster);
	m->cluster_made = false;
}

void
master_loaded(struct master *m)
{
	cluster_start(&m->cluster, clock_boot_ms());
	m->leading = true;
	m->leading_since_ms = clock_boot_ms();
	m->metrics.elections.value++;
	m->leader = m->info;
	log_info("leading: term (%" PRIu64 ", 0x%" PRIx64 "), %zu jobs, %" PRIu32
		 " agents in the registry",
	    m->elect.term.era, (uint64_t)m->elect.term.czxid, m->cluster.jobs.count,
	    m->cluster.agent_count);
	notify_status("leader, %" PRIu32 " agents in the registry", m->cluster.agent_count);
	m->masters.count = 0;
	masters_read(m);
	agents_take_pending(m);
}

static void
observe_placement(struct master *m, uint64_t began_us, uint64_t placed_before)
{
	uint64_t placed = m->cluster.placements - placed_before;

	m->metrics.visited.value = (int64_t)m->cluster.books.place.visited;
	if (placed == 0)
		return;
	m->metrics.placements.value += (int64_t)placed;
	metric_observe(&m->metrics.placement, (clock_boot_us() - began_us) / placed);
}

/* After all events of a turn of the loop: decide, then carry out. */
static void
turn(void *arg)
{
	struct master *m = arg;
	uint64_t began_us = clock_boot_us(), placed;

	if (m->leading && master_may_act(m)) {
		placed = m->cluster.placements;
		cluster_turn(&m->cluster, clock_boot_ms());
		observe_placement(m, began_us, placed);
		agents_carry_out(m);
		api_carry_out(m);
		stream_carry_out(m);
		cluster_out_clear(&m->cluster);
		if (m->cluster.failed)
			elect_drop(&m->elect, "out of memory");
	}
	store_turn(m);
	if (m->leading)
		timer_set(&m->turn_timer, cluster_deadline_ms(&m->cluster, clock_boot_ms()));
}

static void
turn_due(void *arg)
{
	(void)arg; /* that the loop turns is all that it takes */
}

static void
on_watchdog(void *arg)
{
	struct master *m = arg;

	notify_watchdog();
	timer_set(&m->watchdog_timer, clock_boot_ms() + m->watchdog_ms);
}

static void
stopped(void *arg)
{
	struct master *m = arg;

	loop_stop(m->loop, EX_OK);
}

/* End the session first, so that the next master need not wait for its time-out. */
static void
on_stop(void *arg, int signo)
{
	struct master *m = arg;

	log_info("signal %d: stopping", signo);
	notify_stopping();
	master_give_up(m, "this master stops");
	if (!store_leave(m, stopped))
		loop_stop(m->loop, EX_OK);
}

static void
reload_tls(struct tls *t, const char *what)
{
	char error[512];

	if (t != NULL && !tls_reload(t, error, sizeof error))
		log_error("%s: certificates are not read again: %s", what, error);
}

static bool
check_role_access(const struct corral_conf *conf)
{
	const struct conf_list *rules = &conf->master.role_access;
	const char *bad = role_access_fault((const char *const *)rules->items, rules->count);

	if (bad != NULL)
		log_error("[master] role_access=: '%s' is not ROLE=NAME", bad);
	return bad == NULL;
}

/* For this term and those to come. What is left in conf is freed with it. */
static void
take_settings(struct master *m, struct corral_conf *conf)
{
	struct conf_list before = m->conf.master.role_access;

	m->conf.master.unreachable_after_ms = conf->master.unreachable_after_ms;
	if (m->leading)
		cluster_set_unreachable_after(&m->cluster, conf->master.unreachable_after_ms);
	if (!check_role_access(conf))
		return;
	m->conf.master.role_access = conf->master.role_access;
	conf->master.role_access = before;
}

static void
on_reload(void *arg, int signo)
{
	struct master *m = arg;
	struct corral_conf conf = {0};
	struct faults faults;
	char error[512];

	(void)signo;
	notify_reloading();
	faults_init(&faults);
	if (!corral_conf_load(&conf, m->config_path, &faults))
		log_error("configuration is not read again: %s", faults_text(&faults));
	else
		take_settings(m, &conf);
	corral_conf_fini(&conf);
	faults_fini(&faults);
	reload_tls(m->tls_agents, "agents' port");
	reload_tls(m->tls_api, "API port");
	reload_tls(m->tls_ensemble, "ensemble");
	if (!api_read_credentials(m, error, sizeof error))
		log_error("credentials are not read again: %s", error);
	log_info("certificates read again");
	notify_ready(NULL);
}

static void
on_state_wanted(void *arg, int signo)
{
	struct master *m = arg;
	const struct cluster *c = &m->cluster;

	(void)signo;
	log_info("state: %s, term (%" PRIu64 ", 0x%" PRIx64 "), ensemble %s, leader %s",
	    m->leading ? "leading" : "standby", m->elect.term.era, (uint64_t)m->elect.term.czxid,
	    m->ensemble_up ? "connected" : "not connected",
	    m->leader.api_address[0] == '\0' ? "unknown" : m->leader.api_address);
	if (m->leading)
		log_info("state: %" PRIu32 " agents, %zu jobs, %" PRIu32 " tasks running, %" PRIu32
			 " launching, %" PRIu64 " placed, %" PRIu32 " agents awaited, books %s",
		    c->agent_count, c->jobs.count, c->in_task_state[CORRAL__TASK_STATE__RUNNING],
		    c->in_task_state[CORRAL__TASK_STATE__LAUNCHING], c->placements, c->awaited,
		    cluster_check(c) ? "balance" : "DO NOT BALANCE");
}

/* HOST of what is listened on, PORT of what was got; an advertised address wins. */
static bool
public_address(const char *advertise, const char *listen, uint16_t port, char *to, size_t size)
{
	const char *address = advertise != NULL ? advertise : listen,
		   *colon = strrchr(address, ':');

	if (colon == NULL)
		return false;
	if (strcmp(colon, ":0") != 0)
		return str_copy(to, size, address);
	return snprintf(to, size, "%.*s:%u", (int)(colon - address), address, port) < (int)size;
}

/* The ports in use, for whoever started us with port 0. */
static bool
write_ports(const struct master *m)
{
	char path[4096], text[128];
	int size = snprintf(text, sizeof text, "http %u\nagents %u\n", http_server_port(m->http),
	    listener_port(m->agents_listener));

	if (snprintf(path, sizeof path, "%s/ports", m->conf.master.state_dir) >= (int)sizeof path)
		return false;
	return fsutil_write_fleeting(path, text, (size_t)size, 0644);
}

static struct tls *
open_tls(const struct corral_conf *conf, bool require_peer)
{
	struct tls_files files = {conf->tls.ca, conf->master.cert, conf->master.key};
	char error[512];
	struct tls *t = tls_new(&files, require_peer, error, sizeof error);

	if (t == NULL)
		log_error("%s", error);
	return t;
}

/* Our own certificate must say that we are a master of this cluster: others will not believe us
 * else. */
static bool
check_certificate(const struct corral_conf *conf)
{
	struct cert_info info;
	char error[512];

	if (!cert_read_info(conf->master.cert, &info, error, sizeof error)) {
		log_error("%s", error);
		return false;
	}
	if (info.holder.role == TLS_ROLE_MASTER &&
	    strcmp(info.holder.cluster, conf->cluster.name) == 0)
		return true;
	log_error("%s: not a certificate of a master of cluster '%s'; make one with: corral tls "
		  "issue master NAME",
	    conf->master.cert, conf->cluster.name);
	return false;
}

static bool
check_credentials(const struct corral_conf *conf)
{
	struct credentials *c;
	char error[512];

	if (conf->master.credentials == NULL)
		return true;
	if ((c = credentials_read(conf->master.credentials, error, sizeof error)) == NULL)
		log_error("[master] credentials=: %s", error);
	credentials_free(c);
	return c != NULL;
}

/* The same, and key and CA are there and belong to it; and what else is named. */
static bool
check_files(const struct corral_conf *conf)
{
	struct tls *t;
	bool ok = check_certificate(conf) && (t = open_tls(conf, true)) != NULL;

	if (ok)
		tls_unref(t);
	return check_credentials(conf) && check_role_access(conf) && ok;
}

static bool
name_self(struct master *m)
{
	uint8_t random[16];
	char host[256] = "";

	if (m->conf.master.name != NULL)
		str_copy(host, sizeof host, m->conf.master.name);
	else if (gethostname(host, sizeof host - 1) != 0)
		return false;
	host[CLUSTER_NAME_MAX] = '\0';
	memcpy(m->name, host, sizeof m->name);
	if (!fsutil_random(random, sizeof random) || !fsutil_random(&m->hash, sizeof m->hash))
		return false;
	str_hex(m->info.id, random, sizeof random);
	memcpy(m->info.name, m->name, sizeof m->info.name);
	return str_copy(m->info.version, sizeof m->info.version, PACKAGE_VERSION);
}

static bool
open_ports(struct master *m)
{
	char error[512];

	if (!api_listen(m, error, sizeof error) || !agents_listen(m, error, sizeof error)) {
		log_error("%s", error);
		return false;
	}
	if (!public_address(m->conf.master.advertise, m->conf.master.listen,
		http_server_port(m->http), m->info.api_address, sizeof m->info.api_address) ||
	    !public_address(m->conf.master.agent_advertise, m->conf.master.agent_listen,
		listener_port(m->agents_listener), m->info.agent_address,
		sizeof m->info.agent_address)) {
		log_error("[master] advertise=: too long");
		return false;
	}
	if (!write_ports(m)) {
		log_error_errno("cannot write %s/ports", m->conf.master.state_dir);
		return false;
	}
	log_info("listening: API on %s, agents on %s", m->info.api_address, m->info.agent_address);
	return true;
}

static int
start(struct master *m)
{
	char error[512];

	if (!check_certificate(&m->conf) || !check_credentials(&m->conf) ||
	    !check_role_access(&m->conf))
		return EX_CONFIG;
	if (!fsutil_mkdirs(m->conf.master.state_dir, 0700)) {
		log_error_errno("[master] state_dir=%s: cannot make it", m->conf.master.state_dir);
		return EX_CANTCREAT;
	}
	m->loop = loop_new();
	if (m->loop == NULL || !name_self(m)) {
		log_error_errno("cannot start");
		return EX_OSERR;
	}
	if ((m->tls_agents = open_tls(&m->conf, true)) == NULL ||
	    (m->tls_api = open_tls(&m->conf, false)) == NULL)
		return EX_CONFIG;
	if (!tls_show_ca(m->tls_api, error, sizeof error)) {
		log_error("%s", error);
		return EX_CONFIG;
	}
	if (m->conf.cluster.ensemble_tls && (m->tls_ensemble = open_tls(&m->conf, false)) == NULL)
		return EX_CONFIG;
	timer_init(&m->turn_timer, m->loop, turn_due, m);
	timer_init(&m->watchdog_timer, m->loop, on_watchdog, m);
	loop_on_signal(m->loop, SIGTERM, on_stop, m);
	loop_on_signal(m->loop, SIGINT, on_stop, m);
	loop_on_signal(m->loop, SIGHUP, on_reload, m);
	loop_on_signal(m->loop, SIGUSR1, on_state_wanted, m);
	if (!open_ports(m))
		return EX_UNAVAILABLE;
	if (!store_open(m, error, sizeof error)) {
		log_error("%s", error);
		return EX_CONFIG;
	}
	notify_ready("standby");
	if ((m->watchdog_ms = notify_watchdog_ms()) > 0)
		on_watchdog(m);
	return EX_OK;
}

static void
stop(struct master *m)
{
	master_give_up(m, "this master stops");
	agents_close(m);
	api_close(m);
	if (m->info_text.max_bytes != 0)
		store_close(m);
	tls_unref(m->tls_agents);
	tls_unref(m->tls_api);
	tls_unref(m->tls_ensemble);
	if (m->loop != NULL)
		loop_free(m->loop);
	buf_fini(&m->scratch);
	hmap_fini(&m->relays);
}

static int
command_run(struct master *m)
{
	int status;

	list_init(&m->agent_links);
	list_init(&m->waiters);
	list_init(&m->stored_waiters);
	list_init(&m->watchers);
	list_init(&m->clients);
	list_init(&m->forwards);
	hmap_init(&m->relays);
	buf_init(&m->scratch, 64 << 20);
	master_metrics_init(&m->metrics);
	status = start(m);
	if (status == EX_OK)
		status = loop_run(m->loop, turn, m);
	stop(m);
	return status;
}

/* The verb, or "" if there is not just one. Ends the program where there is nothing more to do. */
static const char *
read_options(int argc, char **argv, const char **config_path)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"log-level", required_argument, NULL, 'l'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {0},
	};
	enum log_level level;
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			*config_path = optarg;
			break;
		case 'l':
			if (!log_level_parse(optarg, &level))
				log_die(
				    EX_USAGE, "--log-level=%s: error, warn, info or debug", optarg);
			log_set_level(level);
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(EX_OK);
		case 'V':
			printf("corral-master (corral) %s\n", PACKAGE_VERSION);
			exit(EX_OK);
		default:
			fputs("Try 'corral-master --help'.\n", stderr);
			exit(EX_USAGE);
		}
	}
	return optind + 1 == argc ? argv[optind] : "";
}

static int
command_check(struct master *m)
{
	return check_files(&m->conf) ? EX_OK : EX_CONFIG;
}

static const struct verb {
	const char *name;
	int (*run)(struct master *m);
} verbs[] = {
    {"run", command_run},
    {"check", command_check},
    {"status", command_status},
};

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	fputs(usage_text, stderr);
	exit(EX_USAGE);
}

int
main(int argc, char **argv)
{
	static struct master m;
	const struct verb *verb;
	struct faults faults;
	int status = EX_CONFIG;

	log_init("corral-master", LOG_LEVEL_INFO);
	verb = find_verb(read_options(argc, argv, &m.config_path));
	faults_init(&faults);
	if (corral_conf_load(&m.conf, m.config_path, &faults))
		status = verb->run(&m);
	else
		fprintf(stderr, "%s\n", faults_text(&faults));
	faults_fini(&faults);
	corral_conf_fini(&m.conf);
	return status;
}
