/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/dev.h"
#include "libcommon/base/amount.h"
#include "libcommon/base/str.h"
#include "libcommon/io/cert.h"
#include "libcommon/sys/fsutil.h"

#define CLUSTER_NAME "dev"
/* Below the range from which the kernel takes ports for outgoing connections. */
#define PORT_LOWEST 20000
#define PORT_COUNT 10000
#define SESSION_KEY_BYTES 32
#define FILE_BYTES_MAX (64u << 10)

static const char *const program_names[] = {"zkserver", "corral-master", "corral-agent"};
static const char *const kind_names[] = {"zkserver", "master", "agent"};
static const enum tls_role kind_roles[] = {TLS_ROLE_ZKSERVER, TLS_ROLE_MASTER, TLS_ROLE_AGENT};

void
dev_layout_path(const struct dev *dev, char to[PATH_MAX], const char *fmt, ...)
{
	size_t len = strlen(dev->state);
	va_list ap;

	/* The state directory is short enough for all names below it: make_state_directory() saw to
	 * it. */
	memcpy(to, dev->state, len);
	to[len++] = '/';
	va_start(ap, fmt);
	vsnprintf(to + len, PATH_MAX - len, fmt, ap);
	va_end(ap);
}

/* ---- ports ---- */

static bool
port_is_free(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	bool is_free;

	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	is_free = bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
	close(fd);
	return is_free;
}

/*
 * A port is unbound from the plan until its daemon listens, and again while that is started anew;
 * another corral dev that looks for ports in that time would take it for free. So a cluster holds
 * a name for each of its ports, which the kernel gives to one process only and takes back when it
 * dies. Abstract names are the network namespace's, as ports are. -1: another holds it, or we do.
 */
static int
port_claim(uint16_t port)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t len = offsetof(struct sockaddr_un, sun_path) + 1;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	len += (size_t)snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "corral-dev/%u", port);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, (socklen_t)len) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool
port_take(struct dev *dev, uint16_t port)
{
	int claim = port_claim(port);

	if (claim < 0)
		return false;
	if (!port_is_free(port)) {
		close(claim);
		return false;
	}
	dev->port_claims[dev->port_claim_count++] = claim;
	return true;
}

/* The standard port if nobody has it, else any; 0: none of those tried is free. */
static uint16_t
port_pick(struct dev *dev, uint16_t standard)
{
	uint16_t start, port;

	if (port_take(dev, standard))
		return standard;
	if (!fsutil_random(&start, sizeof start))
		return 0;
	for (unsigned i = 0; i < PORT_COUNT; i++) {
		port = (uint16_t)(PORT_LOWEST + (start + i) % PORT_COUNT);
		if (port_take(dev, port))
			return port;
	}
	return 0;
}

void
dev_layout_release(struct dev *dev)
{
	while (dev->port_claim_count > 0)
		close(dev->port_claims[--dev->port_claim_count]);
}

/* ---- what the agents offer ---- */

/*
 * Several agents share one machine, so that what they offer together is there: the first of N gets
 * N parts, the last one part, as real machines are unequal.
 */
static void
share_machine(struct dev *dev, struct dev_daemon *d, unsigned number)
{
	uint64_t part = dev->agents - number, parts = (uint64_t)dev->agents * (dev->agents + 1) / 2;
	uint64_t pages = (uint64_t)sysconf(_SC_PHYS_PAGES), page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct statvfs fs;

	d->cpu_milli = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000 * part / parts;
	/* A tenth of the memory is the system's own, as agents that measure leave it, too. */
	d->memory_bytes = pages / 10 * 9 * page / parts * part;
	if (statvfs(dev->state, &fs) == 0)
		d->disk_bytes = fs.f_bavail * fs.f_frsize / 10 * 9 / parts * part;
}

/* ---- the plan ---- */

/* standard2 0: it has one port only. */
static struct dev_daemon *
add_daemon(
    struct dev *dev, enum dev_kind kind, const char *name, uint16_t standard, uint16_t standard2)
{
	struct dev_daemon *d = &dev->daemons[dev->daemon_count];

	d->dev = dev;
	d->kind = kind;
	str_copy(d->name, sizeof d->name, name);
	d->port = port_pick(dev, standard);
	dev->daemon_count++;
	if (standard2 != 0)
		d->port2 = port_pick(dev, standard2);
	snprintf(d->address, sizeof d->address, "127.0.0.1:%u", d->port);
	if (d->port == 0 || (standard2 != 0 && d->port2 == 0)) {
		fprintf(stderr, "corral: no free port on 127.0.0.1 for %s\n", name);
		return NULL;
	}
	return d;
}

/* One agent has the machine's name; several are n1, n2 ... */
static void
agent_name(const struct dev *dev, unsigned number, char to[DEV_NAME_MAX])
{
	if (dev->agents > 1 || gethostname(to, DEV_NAME_MAX) != 0)
		snprintf(to, DEV_NAME_MAX, "n%u", number + 1);
	to[DEV_NAME_MAX - 1] = '\0';
	to[strcspn(to, ".")] = '\0';
}

static bool
plan_agents(struct dev *dev, const struct dev_options *options)
{
	char name[DEV_NAME_MAX];

	for (unsigned i = 0; i < dev->agents; i++) {
		struct dev_daemon *d;

		agent_name(dev, i, name);
		d = add_daemon(dev, DEV_AGENT, name, 5061, 0);
		if (d == NULL)
			return false;
		if (dev->agents > 1)
			share_machine(dev, d, i);
		if (i < options->agent.count &&
		    !amount_parse_resources(
			options->agent.items[i], &d->cpu_milli, &d->memory_bytes, &d->disk_bytes)) {
			fprintf(stderr,
			    "corral: --agent %s: expected cpus=N,memory=SIZE,disk=SIZE or some of "
			    "them\n",
			    options->agent.items[i]);
			return false;
		}
	}
	return true;
}

static bool
plan_servers(struct dev *dev)
{
	char name[DEV_NAME_MAX];

	for (unsigned i = 0; i < dev->servers; i++) {
		struct dev_daemon *d;

		snprintf(name, sizeof name, dev->servers > 1 ? "zkserver-%u" : "zkserver", i + 1);
		if ((d = add_daemon(dev, DEV_ZKSERVER, name, 2181, 2281)) == NULL)
			return false;
		if (dev->servers == 1)
			return true;
		if ((d->quorum_port = port_pick(dev, 2888)) == 0 ||
		    (d->election_port = port_pick(dev, 3888)) == 0) {
			fprintf(stderr, "corral: no free ports on 127.0.0.1 for %s\n", name);
			return false;
		}
	}
	return true;
}

bool
dev_layout_plan(struct dev *dev, const struct dev_options *options)
{
	char name[DEV_NAME_MAX];

	dev->servers = options->servers;
	dev->masters = options->masters;
	dev->agents = options->agent.count > options->agents ? (uint32_t)options->agent.count
							     : options->agents;
	if (dev->masters == 0 || dev->masters > DEV_MASTERS_MAX || dev->agents > DEV_AGENTS_MAX) {
		fprintf(stderr, "corral: a dev cluster has 1 to %d masters and at most %d agents\n",
		    DEV_MASTERS_MAX, DEV_AGENTS_MAX);
		return false;
	}
	/* An even number bears no more losses than the odd one below it. */
	if (dev->servers > DEV_SERVERS_MAX || dev->servers % 2 == 0) {
		fprintf(stderr, "corral: a dev cluster has 1, 3 or 5 zkservers\n");
		return false;
	}
	if (!plan_servers(dev))
		return false;
	for (unsigned i = 0; i < dev->masters; i++) {
		snprintf(name, sizeof name, dev->masters > 1 ? "master-%u" : "master", i + 1);
		if (add_daemon(dev, DEV_MASTER, name, 5050, 5060) == NULL)
			return false;
	}
	return plan_agents(dev, options);
}

/* Print a path, and say whether a program lies there (and not the build tree's folder of that
 * name). */
static bool __attribute__((format(printf, 2, 3)))
is_program(char to[PATH_MAX], const char *fmt, ...)
{
	struct stat st;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to, PATH_MAX, fmt, ap);
	va_end(ap);
	return n > 0 && n < PATH_MAX && stat(to, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(to, X_OK) == 0;
}

bool
dev_layout_program(const struct dev *dev, enum dev_kind kind, char to[PATH_MAX])
{
	const char *name = program_names[kind];

	/* In the build tree, zkserver lies in the folder of its name. */
	if (is_program(to, "%s/%s", dev->programs, name) ||
	    is_program(to, "%s/%s/%s", dev->programs, name, name) ||
	    is_program(to, "%s/%s", CORRAL_BINDIR, name))
		return true;
	fprintf(
	    stderr, "corral: %s is neither in %s nor in %s\n", name, dev->programs, CORRAL_BINDIR);
	return false;
}

/* ---- files ---- */

static bool
write_file(const char *path, struct buf *text)
{
	bool done = !text->failed && fsutil_write_atomic(path, text->data, text->len, 0644);

	if (!done)
		fprintf(stderr, "corral: cannot write %s: %s\n", path,
		    strerror(text->failed ? ENOMEM : errno));
	buf_fini(text);
	return done;
}

/* The addresses of all daemons of a kind, apart by commas. */
static void
print_addresses(const struct dev *dev, enum dev_kind kind, bool second, struct buf *to)
{
	const char *comma = "";

	for (size_t i = 0; i < dev->daemon_count; i++) {
		const struct dev_daemon *d = &dev->daemons[i];

		if (d->kind != kind)
			continue;
		buf_printf(to, "%s127.0.0.1:%u", comma, second ? d->port2 : d->port);
		comma = ",";
	}
}

/* What makes it one of several, which speak TLS among them, too; and its number. */
static bool
print_ensemble(const struct dev_daemon *d, struct buf *to)
{
	const struct dev *dev = d->dev;
	char path[PATH_MAX], number[16];

	buf_printf(to, "initLimit=40\nsyncLimit=8\nsslQuorum=true\n");
	buf_printf(to,
	    "ssl.quorum.keyStore.type=PEM\nssl.quorum.keyStore.location=%s/tls/%s-store.pem\n",
	    dev->state, d->name);
	buf_printf(to,
	    "ssl.quorum.trustStore.type=PEM\nssl.quorum.trustStore.location=%s/tls/ca.pem\n",
	    dev->state);
	/* They are the first of the daemons. */
	for (unsigned i = 0; i < dev->servers; i++) {
		const struct dev_daemon *other = &dev->daemons[i];

		buf_printf(to, "server.%u=127.0.0.1:%u:%u;127.0.0.1:%u\n", i + 1,
		    other->quorum_port, other->election_port, other->port);
		if (other == d)
			snprintf(number, sizeof number, "%u\n", i + 1);
	}
	dev_layout_path(dev, path, "%s", d->name);
	if (!fsutil_mkdirs(path, 0700)) {
		fprintf(stderr, "corral: cannot make %s: %s\n", path, strerror(errno));
		return false;
	}
	dev_layout_path(dev, path, "%s/myid", d->name);
	if (fsutil_write_atomic(path, number, strlen(number), 0644))
		return true;
	fprintf(stderr, "corral: cannot write %s: %s\n", path, strerror(errno));
	return false;
}

static bool
write_zoo_cfg(const struct dev_daemon *d)
{
	char path[PATH_MAX];
	struct buf text;

	buf_init(&text, FILE_BYTES_MAX);
	buf_printf(
	    &text, "# made by corral dev\ntickTime=250\ndataDir=%s/%s\n", d->dev->state, d->name);
	buf_printf(&text, "clientPort=%u\nclientPortAddress=127.0.0.1\n", d->port);
	buf_printf(&text, "secureClientPort=%u\nsecureClientPortAddress=127.0.0.1\n", d->port2);
	buf_printf(&text, "ssl.keyStore.type=PEM\nssl.keyStore.location=%s/tls/%s-store.pem\n",
	    d->dev->state, d->name);
	buf_printf(&text, "ssl.trustStore.type=PEM\nssl.trustStore.location=%s/tls/ca.pem\n",
	    d->dev->state);
	buf_printf(&text, "sessionKeyFile=%s/tls/session.key\n", d->dev->state);
	buf_printf(&text, "admin.enableServer=false\n4lw.commands.whitelist=*\n");
	if (d->dev->servers > 1 && !print_ensemble(d, &text)) {
		buf_fini(&text);
		return false;
	}
	dev_layout_path(d->dev, path, "%s.cfg", d->name);
	return write_file(path, &text);
}

/* What every corral.conf of the cluster has; `name` is whose certificate it shows. */
static void
print_common(const struct dev *dev, const char *name, struct buf *to)
{
	buf_printf(to, "# made by corral dev\n[cluster]\nname=" CLUSTER_NAME "\nensemble=");
	print_addresses(dev, DEV_ZKSERVER, true, to);
	/* A leader that died is replaced soon: on one machine, silence is no network's fault. */
	buf_printf(to, "\nensemble_tls=yes\nsession_timeout=2s\n");
	buf_printf(to, "\n[tls]\nca=%s/tls/ca.pem\ncert=%s/tls/%s.pem\nkey=%s/tls/%s-key.pem\n",
	    dev->state, dev->state, name, dev->state, name);
}

/* Beside the master's own files, where the path is not too long for a socket. */
static void
print_socket(const struct dev_daemon *d, struct buf *to)
{
	static const struct sockaddr_un un;
	int n = snprintf(NULL, 0, "%s/%s/client.sock", d->dev->state, d->name);

	if (n < (int)sizeof un.sun_path)
		buf_printf(to, "socket=%s/%s/client.sock\n", d->dev->state, d->name);
	else
		buf_printf(to, "socket=\n");
}

static void
print_master(const struct dev_daemon *d, struct buf *to)
{
	/* Still of [tls]: masters sign for those who join. */
	buf_printf(to, "ca_key=%s/tls/ca-key.pem\n", d->dev->state);
	buf_printf(to,
	    "\n[master]\nname=%s\nlisten=127.0.0.1:%u\nagent_listen=127.0.0.1:%u\nstate_dir=%s/"
	    "%s\n",
	    d->name, d->port, d->port2, d->dev->state, d->name);
	buf_printf(to, "heartbeat=1s\nlease=5s\nunreachable_after=10s\n");
	print_socket(d, to);
}

static void
print_agent(const struct dev_daemon *d, struct buf *to)
{
	const struct dev *dev = d->dev;
	char text[AMOUNT_TEXT_MAX], path[PATH_MAX];

	buf_printf(to, "\n[agent]\nname=%s\nmasters=", d->name);
	print_addresses(dev, DEV_MASTER, true, to);
	buf_printf(
	    to, "\nexecutor_listen=127.0.0.1:%u\nstate_dir=%s/%s\n", d->port, dev->state, d->name);
	if (is_program(path, "%s/corral-executor", dev->programs))
		buf_printf(to, "executor=%s\n", path);
	/* State and keys are ours alone: no other account could read them. Tasks run as whoever
	 * started all this, as they do where that is no root. */
	if (geteuid() == 0)
		buf_printf(to, "user=root\ndefault_user=root\n");
	if (d->cpu_milli != 0)
		buf_printf(to, "cpus=%s\n", amount_print_cpu(text, d->cpu_milli));
	if (d->memory_bytes != 0)
		buf_printf(to, "memory=%s\n", amount_format_size(text, d->memory_bytes));
	if (d->disk_bytes != 0)
		buf_printf(to, "disk=%s\n", amount_format_size(text, d->disk_bytes));
}

static bool
write_corral_conf(const struct dev_daemon *d)
{
	char path[PATH_MAX];
	struct buf text;

	buf_init(&text, FILE_BYTES_MAX);
	print_common(d->dev, d->name, &text);
	if (d->kind == DEV_MASTER)
		print_master(d, &text);
	else
		print_agent(d, &text);
	dev_layout_path(d->dev, path, "%s.conf", d->name);
	return write_file(path, &text);
}

bool
dev_layout_write_client_conf(const struct dev *dev, const char *path)
{
	struct buf text;

	buf_init(&text, FILE_BYTES_MAX);
	print_common(dev, "operator", &text);
	buf_printf(&text, "\n[client]\nmaster=");
	print_addresses(dev, DEV_MASTER, false, &text);
	buf_printf(&text, "\n");
	return write_file(path, &text);
}

/* ---- certificates ---- */

static bool
issue(const struct dev *dev, enum tls_role role, const char *name)
{
	static const char *const dns[] = {"localhost"}, *const ips[] = {"127.0.0.1"};
	struct cert_request request = {.role = role,
	    .name = name,
	    .dns = dns,
	    .dns_count = 1,
	    .ips = ips,
	    .ip_count = 1,
	    .days = 365};
	char dir[PATH_MAX], cert[PATH_MAX], key[PATH_MAX], why[512];

	dev_layout_path(dev, dir, "tls");
	dev_layout_path(dev, cert, "tls/%s.pem", name);
	dev_layout_path(dev, key, "tls/%s-key.pem", name);
	if (access(cert, F_OK) == 0 && access(key, F_OK) == 0)
		return true;
	if (cert_issue(dir, &request, cert, key, why, sizeof why))
		return true;
	fprintf(stderr, "corral: %s\n", why);
	return false;
}

/* zkserver's key store, as Apache's in PEM, is one file with key and certificate. */
static bool
write_key_store(const struct dev *dev, const char *name)
{
	char cert[PATH_MAX], key[PATH_MAX], store[PATH_MAX];
	struct buf text;
	bool done;

	dev_layout_path(dev, cert, "tls/%s.pem", name);
	dev_layout_path(dev, key, "tls/%s-key.pem", name);
	dev_layout_path(dev, store, "tls/%s-store.pem", name);
	buf_init(&text, FILE_BYTES_MAX);
	done = fsutil_read(key, FILE_BYTES_MAX, &text) &&
	       fsutil_read(cert, FILE_BYTES_MAX, &text) &&
	       fsutil_write_atomic(store, text.data, text.len, 0600);
	if (!done)
		fprintf(stderr, "corral: cannot write %s: %s\n", store, strerror(errno));
	buf_fini(&text);
	return done;
}

/* What passwords of sessions are made from; kept as long as the certificates are. */
static bool
write_session_key(const struct dev *dev)
{
	uint8_t key[SESSION_KEY_BYTES];
	char path[PATH_MAX];

	dev_layout_path(dev, path, "tls/session.key");
	if (access(path, F_OK) == 0)
		return true;
	if (fsutil_random(key, sizeof key) && fsutil_write_atomic(path, key, sizeof key, 0600))
		return true;
	fprintf(stderr, "corral: cannot write %s: %s\n", path, strerror(errno));
	return false;
}

static bool
write_certificates(const struct dev *dev)
{
	char dir[PATH_MAX], ca[PATH_MAX], why[512];

	dev_layout_path(dev, dir, "tls");
	dev_layout_path(dev, ca, "tls/ca.pem");
	if (access(ca, F_OK) != 0 && !cert_ca_create(dir, CLUSTER_NAME, false, why, sizeof why)) {
		fprintf(stderr, "corral: %s\n", why);
		return false;
	}
	for (size_t i = 0; i < dev->daemon_count; i++)
		if (!issue(dev, kind_roles[dev->daemons[i].kind], dev->daemons[i].name))
			return false;
	for (unsigned i = 0; i < dev->servers; i++)
		if (!write_key_store(dev, dev->daemons[i].name))
			return false;
	return write_session_key(dev) && issue(dev, TLS_ROLE_OPERATOR, "operator");
}

bool
dev_layout_write(struct dev *dev)
{
	char path[PATH_MAX];

	if (!write_certificates(dev))
		return false;
	for (size_t i = 0; i < dev->daemon_count; i++) {
		const struct dev_daemon *d = &dev->daemons[i];

		if (d->kind == DEV_ZKSERVER ? !write_zoo_cfg(d) : !write_corral_conf(d))
			return false;
	}
	dev_layout_path(dev, path, "corral.conf");
	return dev_layout_write_client_conf(dev, path) && dev_layout_write_daemons(dev);
}

bool
dev_layout_write_daemons(const struct dev *dev)
{
	char path[PATH_MAX];
	struct buf text;

	buf_init(&text, FILE_BYTES_MAX);
	for (size_t i = 0; i < dev->daemon_count; i++) {
		const struct dev_daemon *d = &dev->daemons[i];

		buf_printf(&text, "%s %s %ld %s\n", d->name, kind_names[d->kind], (long)d->pid,
		    d->address);
	}
	dev_layout_path(dev, path, "daemons");
	return write_file(path, &text);
}
