/* SPDX-License-Identifier: Apache-2.0 */
/*
 * corral join and corral tls renew: a key made here, and a certificate for it by a master. Who
 * joins knows of the cluster only its token: the master proves by the CA's digest in it who it is
 * before the secret is sent.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/corral.h"
#include "libcommon/base/str.h"
#include "libcommon/io/cert.h"
#include "libcommon/sys/fsutil.h"
#include "proto/api.pb-c.h"

#define TOKEN_PREFIX "corral1."
#define SECRET_DIGITS 48 /* id and secret */
#define PEM_BYTES_MAX (64u << 10)
#define WHY_BYTES 512
#define TOKEN_LINE_MAX 1024

/* A token: where the masters are, which CA is theirs, and what lets its holder in. */
struct token {
	char address[256], secret[SECRET_DIGITS + 1];
	uint8_t pin[TLS_PIN_BYTES];
};

static bool
read_digits(const char *text, size_t count, uint8_t *to)
{
	for (size_t i = 0; i < count; i++) {
		unsigned high = str_digit(text[2 * i]), low = str_digit(text[2 * i + 1]);

		if (high > 15 || low > 15)
			return false;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* corral1.HOST:PORT.DIGEST.SECRET; the host may have dots. */
static bool
parse_token(const char *text, struct token *t)
{
	const char *secret = strrchr(text, '.'), *digest;
	size_t prefix = strlen(TOKEN_PREFIX), size = strlen(text);

	if (!str_starts(text, TOKEN_PREFIX) || secret == NULL ||
	    strlen(secret + 1) != SECRET_DIGITS ||
	    strspn(secret + 1, "0123456789abcdef") != SECRET_DIGITS ||
	    size < prefix + 2 + 2 * TLS_PIN_BYTES + 1 + SECRET_DIGITS)
		return false;
	digest = secret - 2 * TLS_PIN_BYTES;
	if (digest[-1] != '.' || !read_digits(digest, TLS_PIN_BYTES, t->pin))
		return false;
	size = (size_t)(digest - 1 - (text + prefix));
	if (size == 0 || size >= sizeof t->address)
		return false;
	memcpy(t->address, text + prefix, size);
	t->address[size] = '\0';
	return str_copy(t->secret, sizeof t->secret, secret + 1);
}

/*
 * The operand, the line on standard input that '-' stands for, or CORRAL_TOKEN; only the first can
 * be seen by others in a list of processes. NULL: there is none.
 */
static const char *
find_token(int argc, char **argv, char line[TOKEN_LINE_MAX])
{
	if (argc == 0)
		return getenv("CORRAL_TOKEN");
	if (strcmp(argv[0], "-") != 0)
		return argv[0];
	if (fgets(line, TOKEN_LINE_MAX, stdin) == NULL)
		return NULL;
	line[strcspn(line, "\r\n")] = '\0';
	return line;
}

/* ---- files ---- */

/* What is put into place at the end, and where. */
struct files {
	char ca[PATH_MAX], cert[PATH_MAX], key[PATH_MAX];
	char new_cert[PATH_MAX], new_key[PATH_MAX]; /* until all of it is known to be good */
};

static bool
files_name(struct files *f, const char *ca, const char *cert, const char *key)
{
	return str_copy(f->ca, sizeof f->ca, ca) && str_copy(f->cert, sizeof f->cert, cert) &&
	       str_copy(f->key, sizeof f->key, key) &&
	       snprintf(f->new_cert, PATH_MAX, "%s.new", cert) < PATH_MAX &&
	       snprintf(f->new_key, PATH_MAX, "%s.new", key) < PATH_MAX;
}

static void
files_drop_new(const struct files *f)
{
	(void)unlink(f->new_cert);
	(void)unlink(f->new_key);
}

/* The new certificate is what was asked for and belongs to the new key; 0 or the exit status. */
static int
files_check(const struct files *f, const char *role, const char *name)
{
	const struct tls_files files = {f->ca, f->new_cert, f->new_key};
	struct cert_info info;
	char why[WHY_BYTES];
	struct tls *tls;

	if (!cert_read_info(f->new_cert, &info, why, sizeof why) ||
	    (tls = tls_new(&files, false, why, sizeof why)) == NULL) {
		corral_say("%s", why);
		return EX_PROTOCOL;
	}
	tls_unref(tls);
	if (strcmp(info.holder.name, name) == 0 && info.holder.role == tls_role_parse(role))
		return 0;
	corral_say("the master gave a certificate of somebody else: %s", info.holder.name);
	return EX_PROTOCOL;
}

/* The key first: a crash in between leaves a certificate that ends, not a key that is lost. */
static int
files_place(const struct files *f, uid_t uid, gid_t gid)
{
	if ((uid != geteuid() && chown(f->new_key, uid, gid) != 0) ||
	    rename(f->new_key, f->key) != 0 || rename(f->new_cert, f->cert) != 0) {
		corral_say("%s: cannot be put into place: %s", f->key, strerror(errno));
		return EX_CANTCREAT;
	}
	return 0;
}

/* ---- join ---- */

/* The account whose daemon reads the key; our own if there is none, or we are not root. */
static void
owner_of(const char *role, uid_t *uid, gid_t *gid)
{
	static const char *const accounts[][2] = {
	    {"agent", "corral-agent"}, {"master", "corral-master"}, {"zkserver", "corral-zk"}};
	const struct passwd *account = NULL;

	*uid = geteuid();
	*gid = getegid();
	for (size_t i = 0; geteuid() == 0 && i < sizeof accounts / sizeof *accounts; i++)
		if (strcmp(accounts[i][0], role) == 0)
			account = getpwnam(accounts[i][1]);
	if (account != NULL) {
		*uid = account->pw_uid;
		*gid = account->pw_gid;
	}
}

static int
ask_to_join(struct corral *c, const struct token *t, const char *role, const char *name,
    char *request_pem, ProtobufCMessage **message)
{
	Corral__Api__Join body = CORRAL__API__JOIN__INIT;
	const struct api_request request = {.method = "POST",
	    .target = "join",
	    .body = &body.base,
	    .reply = &corral__api__joined__descriptor};
	struct tls *tls = tls_new_pinned(t->pin);
	struct faults faults;
	int status = 0;

	faults_init(&faults);
	body.secret = (char *)t->secret;
	body.request = request_pem;
	body.role = (char *)role;
	body.name = (char *)name;
	body.dns = (char **)(uintptr_t)c->options.dns.items;
	body.n_dns = c->options.dns.count;
	body.ips = (char **)(uintptr_t)c->options.ip.items;
	body.n_ips = c->options.ip.count;
	if (c->options.client.master == NULL)
		c->options.client.master = t->address;
	if (!client_conf_load(&c->conf, &c->options.client, &faults)) {
		corral_say("%s", faults_text(&faults));
		status = EX_CONFIG;
	} else if (tls == NULL || (c->loop = loop_new()) == NULL ||
		   (c->api = api_open_tls(c->loop, &c->conf, tls_ref(tls))) == NULL) {
		corral_say("out of memory or descriptors");
		status = EX_OSERR;
	}
	faults_fini(&faults);
	if (status == 0)
		status = api_call(c->api, &request, message);
	tls_unref(tls);
	return status;
}

static void
print_list(const char *key, char *const *items, size_t count)
{
	printf("  %s=", key);
	for (size_t i = 0; i < count; i++)
		printf("%s%s", i > 0 ? "," : "", items[i]);
	printf("\n");
}

static void
say_joined(const struct files *f, const char *role, const Corral__Api__Joined *j)
{
	struct cert_info info = {0};
	char why[WHY_BYTES];

	(void)cert_read_info(f->cert, &info, why, sizeof why);
	printf("%s '%s' of cluster '%s': %s, valid %lld days\n"
	       "Next, in " CORRAL_SYSCONFDIR "/corral.conf:\n  [cluster]\n  name=%s\n",
	    role, info.holder.name, info.holder.cluster, f->cert,
	    (long long)((info.not_after_s - time(NULL) + 86399) / 86400), info.holder.cluster);
	print_list("ensemble", j->ensemble, j->n_ensemble);
	printf("  [client]\n");
	print_list("master", j->masters, j->n_masters);
	printf("then: systemctl enable --now corral-%s corral-renew.timer\n", role);
}

/* With the answer at hand: all of it to its place, if it is good. */
static int
take_answer(const struct files *f, const char *role, const char *name, const Corral__Api__Joined *j,
    const char *ca)
{
	char why[WHY_BYTES];
	uid_t uid;
	gid_t gid;
	int status;

	if (!cert_write_file(f->ca, ca, 0644, why, sizeof why) ||
	    !cert_write_file(f->new_cert, j->certificate, 0644, why, sizeof why)) {
		corral_say("%s", why);
		return EX_CANTCREAT;
	}
	owner_of(role, &uid, &gid);
	status = files_check(f, role, name);
	if (status == 0)
		status = files_place(f, uid, gid);
	if (status == 0)
		say_joined(f, role, j);
	return status;
}

static int
join(struct corral *c, const struct token *t, const struct files *f, const char *role,
    const char *name)
{
	ProtobufCMessage *message = NULL;
	char why[WHY_BYTES], *request;
	int status;

	if (!cert_key_create(f->new_key, &request, why, sizeof why)) {
		corral_say("%s", why);
		return EX_CANTCREAT;
	}
	status = ask_to_join(c, t, role, name, request, &message);
	if (status == 0)
		status = take_answer(
		    f, role, name, (const Corral__Api__Joined *)message, api_pinned_ca(c->api));
	if (status != 0)
		files_drop_new(f);
	protobuf_c_message_free_unpacked(message, NULL);
	free(request);
	return status;
}

static bool
default_files(struct files *f, const char *dir)
{
	char ca[PATH_MAX], cert[PATH_MAX], key[PATH_MAX];

	return snprintf(ca, sizeof ca, "%s/ca.pem", dir) < PATH_MAX &&
	       snprintf(cert, sizeof cert, "%s/cert.pem", dir) < PATH_MAX &&
	       snprintf(key, sizeof key, "%s/key.pem", dir) < PATH_MAX &&
	       files_name(f, ca, cert, key);
}

int
verb_join(struct corral *c, int argc, char **argv)
{
	const struct corral_options *o = &c->options;
	const char *dir = o->dir != NULL ? o->dir : CORRAL_SYSCONFDIR "/tls",
		   *role = o->role != NULL ? o->role : "agent", *name = o->name;
	char host[256] = "", line[TOKEN_LINE_MAX] = "";
	const char *text = find_token(argc, argv, line);
	struct token token;
	struct files files;
	int status;

	if (text == NULL || !parse_token(text, &token)) {
		corral_say("that is no join token: 'corral token create' prints one, "
			   "corral1.HOST:PORT.DIGEST.SECRET, which must come whole");
		return EX_USAGE;
	}
	if (tls_role_parse(role) == TLS_ROLE_NONE) {
		corral_say("--role %s: zkserver, master, agent, operator, user or framework", role);
		return EX_USAGE;
	}
	if (name == NULL && gethostname(host, sizeof host - 1) == 0)
		name = host;
	if (!default_files(&files, dir)) {
		corral_say("--dir %.64s...: the path is too long", dir);
		return EX_USAGE;
	}
	if (!o->replace && (access(files.cert, F_OK) == 0 || access(files.ca, F_OK) == 0)) {
		corral_say("%s: there is a certificate or a CA already; --replace if this host "
			   "joins another cluster, 'corral tls renew' to renew it",
		    dir);
		return EX_CANTCREAT;
	}
	if (!fsutil_mkdirs(dir, 0755)) {
		corral_say("%s: %s", dir, strerror(errno));
		return EX_CANTCREAT;
	}
	status = join(c, &token, &files, role, name);
	explicit_bzero(&token, sizeof token);
	explicit_bzero(line, sizeof line);
	return status;
}

/* ---- renew ---- */

static bool
renewal_is_due(const struct corral_options *o, const struct cert_info *info, const char *cert)
{
	int64_t left_s = info->not_after_s - (int64_t)time(NULL);

	if (o->within_ms == 0 || left_s < (int64_t)(o->within_ms / 1000))
		return true;
	printf("%s: valid for %lld days more, nothing to do\n", cert, (long long)(left_s / 86400));
	return false;
}

static int
ask_to_renew(struct corral *c, const struct files *f, const struct cert_info *info)
{
	Corral__Api__Renew body = CORRAL__API__RENEW__INIT;
	const char *role = tls_role_name(info->holder.role);
	ProtobufCMessage *message = NULL;
	char why[WHY_BYTES];
	struct stat st;
	struct buf old;
	int status = EX_NOINPUT;

	buf_init(&old, PEM_BYTES_MAX);
	if (stat(f->key, &st) != 0 || !fsutil_read(f->cert, PEM_BYTES_MAX - 1, &old)) {
		corral_say("%s: %s", f->cert, strerror(errno));
	} else if (!cert_key_create(f->new_key, &body.request, why, sizeof why)) {
		corral_say("%s", why);
		status = EX_CANTCREAT;
	} else {
		body.certificate = (char *)buf_text(&old);
		status =
		    corral_post(c, "renew", &body.base, &corral__api__joined__descriptor, &message);
	}
	if (status == 0 &&
	    !cert_write_file(f->new_cert, ((const Corral__Api__Joined *)message)->certificate, 0644,
		why, sizeof why)) {
		corral_say("%s", why);
		status = EX_CANTCREAT;
	}
	if (status == 0)
		status = files_check(f, role, info->holder.name);
	if (status == 0)
		status = files_place(f, st.st_uid, st.st_gid);
	if (status != 0)
		files_drop_new(f);
	free(body.request);
	protobuf_c_message_free_unpacked(message, NULL);
	buf_fini(&old);
	return status;
}

int
tls_renew(struct corral *c)
{
	struct cert_info info;
	struct files files;
	char why[WHY_BYTES];
	int status = corral_connect(c);

	if (status != 0)
		return status;
	if (api_is_local(&c->conf)) {
		corral_say("there is no certificate that could be renewed: name it with --cert");
		return EX_NOINPUT;
	}
	if (!files_name(&files, c->conf.client.ca, c->conf.client.cert, c->conf.client.key) ||
	    !cert_read_info(files.cert, &info, why, sizeof why)) {
		corral_say("%s", files.cert[0] != '\0' ? why : "the path is too long");
		return EX_NOINPUT;
	}
	if (!renewal_is_due(&c->options, &info, files.cert))
		return 0;
	status = ask_to_renew(c, &files, &info);
	if (status == 0)
		printf("%s: renewed; daemons that use it read it again at SIGHUP\n", files.cert);
	return status;
}
