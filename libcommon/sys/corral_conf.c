/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/sys/corral_conf.h"

#include <stddef.h>
#include <string.h>

#define KEY(section, key, type, member, fallback, help)                                            \
	{                                                                                          \
		section, key, type, offsetof(struct corral_conf, member), fallback, help           \
	}

/* A singleton is not started within a second of its lease's end. */
#define LEASE_MIN_MS 2000
#define LEASE_MAX_MS 3600000
/* Waiting (1 + 3d) times as long is enough up to a third. */
#define DRIFT_PERMILLE_MAX 333
/* What a master's registry can hold. */
#define AGENTS_MAX 100000

static const struct conf_key keys[] = {
    KEY("cluster", "name", CONF_NAME, cluster.name, "corral",
	"the cluster's name, as its certificates have it"),
    KEY("cluster", "ensemble", CONF_ADDRESS_LIST, cluster.ensemble, "127.0.0.1:2281",
	"HOST:PORT of the coordination servers"),
    KEY("cluster", "ensemble_tls", CONF_BOOL, cluster.ensemble_tls, "yes",
	"TLS on the way to the ensemble; no only for one that has none"),
    KEY("cluster", "session_timeout", CONF_TIME_MS, cluster.session_timeout_ms, "10s",
	"of sessions with the ensemble: how soon a dead leader is replaced"),

    KEY("tls", "ca", CONF_PATH, tls.ca, CORRAL_SYSCONFDIR "/tls/ca.pem",
	"PEM file of the cluster's CA"),
    KEY("tls", "cert", CONF_PATH, tls.cert, CORRAL_SYSCONFDIR "/tls/cert.pem",
	"PEM file of this host's certificate"),
    KEY("tls", "key", CONF_PATH, tls.key, CORRAL_SYSCONFDIR "/tls/key.pem",
	"PEM file of its key, mode 0600"),
    KEY("tls", "ca_key", CONF_PATH, tls.ca_key, NULL,
	"PEM file of the CA's key: this master signs joins and renewals; empty: it does not"),

    KEY("master", "name", CONF_NAME, master.name, NULL, "of this master; empty: the host's name"),
    KEY("master", "listen", CONF_ADDRESS, master.listen, "127.0.0.1:5050",
	"HTTP API, metrics and page"),
    KEY("master", "agent_listen", CONF_ADDRESS, master.agent_listen, "127.0.0.1:5060",
	"for agents"),
    KEY("master", "state_dir", CONF_PATH, master.state_dir, CORRAL_LOCALSTATEDIR "/master",
	"the master's own files"),
    KEY("master", "advertise", CONF_ADDRESS, master.advertise, NULL,
	"where clients reach this master; empty: listen"),
    KEY("master", "agent_advertise", CONF_ADDRESS, master.agent_advertise, NULL,
	"where agents reach this master; empty: agent_listen"),
    KEY("master", "lease", CONF_TIME_MS, master.lease_ms, "15s",
	"how long a node may hold its tasks without a heartbeat"),
    KEY("master", "clock_drift_permille", CONF_U32, master.clock_drift_permille, "10",
	"by how much clocks may run fast or slow; the same on all masters"),
    KEY("master", "unreachable_after", CONF_TIME_MS, master.unreachable_after_ms, "30s",
	"silence after which a node counts as cut off"),
    KEY("master", "heartbeat", CONF_TIME_MS, master.heartbeat_ms, "0",
	"between two heartbeats of an agent; 0: a fifth of lease"),
    KEY("master", "agents_max", CONF_U32, master.agents_max, "20000",
	"nodes that the cluster may have, 1 to 100000; the same on all masters"),
    KEY("master", "socket", CONF_PATH, master.socket, "/run/corral/client.sock",
	"for accounts of this machine without a certificate; empty: none"),
    KEY("master", "credentials", CONF_PATH, master.credentials, NULL,
	"file of ROLE:NAME SECRET, mode 0600, for HTTP clients without a certificate; empty: none"),
    KEY("master", "role_access", CONF_LIST, master.role_access, NULL,
	"ROLE=NAME, which users may have tasks in a role; a role that is not named is open to all"),
    KEY("master", "cert", CONF_PATH, master.cert, NULL, "instead of [tls] cert"),
    KEY("master", "key", CONF_PATH, master.key, NULL, "instead of [tls] key"),

    KEY("agent", "name", CONF_NAME, agent.name, NULL, "of this node; empty: the host's name"),
    KEY("agent", "cpus", CONF_CPU, agent.cpu_milli, "0", "offered; 0: what is measured"),
    KEY("agent", "memory", CONF_SIZE, agent.memory_bytes, "0", "offered; 0: what is measured"),
    KEY("agent", "disk", CONF_SIZE, agent.disk_bytes, "0", "offered; 0: what is measured"),
    KEY("agent", "masters", CONF_ADDRESS_LIST, agent.masters, NULL,
	"HOST:PORT of the masters' agent_listen; empty: found through the ensemble"),
    KEY("agent", "attributes", CONF_LIST, agent.attributes, NULL,
	"NAME=VALUE, for Constraint= of jobs"),
    KEY("agent", "state_dir", CONF_PATH, agent.state_dir, CORRAL_LOCALSTATEDIR "/agent",
	"checkpoints and sandboxes"),
    KEY("agent", "user", CONF_NAME, agent.user, "corral-agent",
	"account of the process that faces the network"),
    KEY("agent", "helper", CONF_PATH, agent.helper, "/run/corral/helper.sock",
	"socket of corral-agent helper; empty: an agent that is not root does without"),
    KEY("agent", "run_as", CONF_LIST, agent.run_as, NULL,
	"accounts that operators may run tasks as; empty: those with a uid of 1000 and up"),
    KEY("agent", "default_user", CONF_NAME, agent.default_user, "nobody",
	"account of an operator's tasks that name none; empty: such tasks are refused"),
    KEY("agent", "executor_listen", CONF_ADDRESS, agent.executor_listen, "127.0.0.1:5061",
	"for executors; loopback"),
    KEY("agent", "executor", CONF_PATH, agent.executor, CORRAL_LIBEXECDIR "/corral-executor",
	"the executor's program"),
    KEY("agent", "cert", CONF_PATH, agent.cert, NULL, "instead of [tls] cert"),
    KEY("agent", "key", CONF_PATH, agent.key, NULL, "instead of [tls] key"),

    KEY("client", "master", CONF_ADDRESS_LIST, client.master, "127.0.0.1:5050",
	"HOST:PORT of the masters' listen"),
    KEY("client", "socket", CONF_PATH, client.socket, "/run/corral/client.sock",
	"of this machine's master, asked by those without a certificate"),
    KEY("client", "ca", CONF_PATH, client.ca, NULL, "instead of [tls] ca"),
    KEY("client", "cert", CONF_PATH, client.cert, NULL, "instead of [tls] cert"),
    KEY("client", "key", CONF_PATH, client.key, NULL, "instead of [tls] key"),
};

const struct conf_table corral_conf_table = {
    .manual = "corral.conf(5)",
    .keys = keys,
    .count = sizeof keys / sizeof *keys,
};

const char corral_conf_path[] = CORRAL_SYSCONFDIR "/corral.conf";

/* A daemon's own certificate comes with its own key. */
static void
check_pair(
    const char *section, const char *cert, const char *key, const char *path, struct faults *faults)
{
	if ((cert == NULL) != (key == NULL))
		faults_add(faults, path, 0, "[%s] cert= and key= go together: %s= is missing",
		    section, cert == NULL ? "cert" : "key");
}

static void
check_attributes(const struct conf_list *list, const char *path, struct faults *faults)
{
	for (size_t i = 0; i < list->count; i++) {
		size_t len = strcspn(list->items[i], "=");

		if (len == 0 || list->items[i][len] == '\0')
			faults_add(faults, path, 0, "[agent] attributes=: '%s' is not NAME=VALUE",
			    list->items[i]);
	}
}

/* What no single key shows. */
static void
check_together(const struct corral_conf *conf, const char *path, struct faults *faults)
{
	if (conf->master.lease_ms < LEASE_MIN_MS || conf->master.lease_ms > LEASE_MAX_MS)
		faults_add(faults, path, 0, "[master] lease= must be from 2s to 1h");
	if (conf->master.heartbeat_ms > conf->master.lease_ms / 2)
		faults_add(faults, path, 0, "[master] heartbeat= must be at most half of lease=");
	if (conf->master.clock_drift_permille > DRIFT_PERMILLE_MAX)
		faults_add(faults, path, 0, "[master] clock_drift_permille= must be at most %d",
		    DRIFT_PERMILLE_MAX);
	if (conf->master.agents_max < 1 || conf->master.agents_max > AGENTS_MAX)
		faults_add(
		    faults, path, 0, "[master] agents_max= must be from 1 to %d", AGENTS_MAX);
	if (conf->master.unreachable_after_ms < conf->master.lease_ms)
		faults_add(faults, path, 0, "[master] unreachable_after= must be at least lease=");
	if (conf->cluster.session_timeout_ms < 1000 || conf->cluster.session_timeout_ms > 600000)
		faults_add(faults, path, 0, "[cluster] session_timeout= must be from 1s to 10min");
	if (conf->cluster.ensemble.count == 0)
		faults_add(faults, path, 0, "[cluster] ensemble= names no server");
	check_pair("master", conf->master.cert, conf->master.key, path, faults);
	check_pair("agent", conf->agent.cert, conf->agent.key, path, faults);
	check_attributes(&conf->agent.attributes, path, faults);
}

/* A daemon without a certificate of its own has the host's. */
static bool
take_host_pair(const struct corral_conf *conf, char **cert, char **key)
{
	if (*cert != NULL || *key != NULL || conf->tls.cert == NULL || conf->tls.key == NULL)
		return true;
	*cert = strdup(conf->tls.cert);
	*key = strdup(conf->tls.key);
	return *cert != NULL && *key != NULL;
}

bool
corral_conf_load(struct corral_conf *conf, const char *path, struct faults *faults)
{
	const char *file = path != NULL ? path : corral_conf_path;

	*conf = (struct corral_conf){0};
	if (!conf_init(&corral_conf_table, conf)) {
		faults_add(faults, file, 0, "out of memory");
		return false;
	}
	if (conf_load(&corral_conf_table, conf, file, path == NULL, faults))
		check_together(conf, file, faults);
	if (conf->master.heartbeat_ms == 0)
		conf->master.heartbeat_ms = conf->master.lease_ms / 5;
	if (!take_host_pair(conf, &conf->master.cert, &conf->master.key) ||
	    !take_host_pair(conf, &conf->agent.cert, &conf->agent.key))
		faults_add(faults, file, 0, "out of memory");
	return faults->count == 0;
}

void
corral_conf_fini(struct corral_conf *conf)
{
	conf_fini(&corral_conf_table, conf);
}
