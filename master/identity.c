/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks the API: the holder of a certificate or of Basic credentials, or an account of this
 * machine that came by the local socket, whose uid the kernel tells. And what users may submit.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/role.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/log.h"
#include "master/core/role_access.h"
#include "master/credentials.h"
#include "master/master.h"

#define SOCKET_GROUP "corral" /* whose members may use the local socket */

bool
api_is_local(const struct http_request *r)
{
	uid_t uid;
	pid_t pid;

	return http_request_cred(r, &uid, &pid);
}

/* The account that runs this master could read its key: it is an operator as root is. */
static void
identify_local(uid_t uid, struct tls_peer *who)
{
	const struct passwd *account = getpwuid(uid);

	*who = (struct tls_peer){0};
	who->role = uid == 0 || uid == geteuid() ? TLS_ROLE_OPERATOR : TLS_ROLE_USER;
	if (account == NULL || !str_copy(who->name, sizeof who->name, account->pw_name))
		who->role = TLS_ROLE_NONE;
}

/* What a standby passes on is an account's of its machine; nobody but a master is believed that. */
static bool
identify_forwarded(
    const struct http_request *r, const struct tls_peer *asking, struct tls_peer *who)
{
	const char *text = http_request_header(r, API_FOR_HEADER), *colon;
	char role[16];

	if (text == NULL || asking->role != TLS_ROLE_MASTER || (colon = strchr(text, ':')) == NULL)
		return false;
	*who = (struct tls_peer){0};
	snprintf(role, sizeof role, "%.*s", (int)(colon - text), text);
	who->role = tls_role_parse(role);
	if ((who->role != TLS_ROLE_OPERATOR && who->role != TLS_ROLE_USER) ||
	    !str_copy(who->name, sizeof who->name, colon + 1))
		who->role = TLS_ROLE_NONE;
	memcpy(who->cluster, asking->cluster, sizeof who->cluster);
	return true;
}

const struct tls_peer *
api_peer(const struct http_request *r)
{
	static struct tls_peer other; /* of one request at a time: there is one thread */
	const struct tls_peer *asking = http_request_peer(r);
	uid_t uid;
	pid_t pid;

	if (http_request_cred(r, &uid, &pid))
		identify_local(uid, &other);
	else if (!identify_forwarded(r, asking, &other))
		return asking;
	return &other;
}

const char *
api_who(const struct http_request *r, char *to, size_t size)
{
	const struct tls_peer *peer = api_peer(r);
	const char *role = tls_role_name(peer->role);

	snprintf(to, size, "%s:%s", role != NULL ? role : "nobody", peer->name);
	return to;
}

void
api_open_socket(const char *path)
{
	const struct group *group = getgrnam(SOCKET_GROUP);
	int rc = 0;

	if (group != NULL && (geteuid() == 0 || group->gr_gid != getegid()))
		rc = chown(path, (uid_t)-1, group->gr_gid);
	if (group == NULL || rc != 0) {
		if (group != NULL)
			log_warn_errno("%s: cannot be given to group %s: only root and this "
				       "account may use it",
			    path, SOCKET_GROUP);
		return;
	}
	if (chmod(path, 0660) != 0)
		log_warn_errno("%s: cannot be opened to group %s", path, SOCKET_GROUP);
}

/* --- Basic credentials --- */

bool
api_read_credentials(struct master *m, char *error, size_t size)
{
	struct credentials *c;

	if (m->conf.master.credentials == NULL)
		return true;
	if ((c = credentials_read(m->conf.master.credentials, error, size)) == NULL)
		return false;
	credentials_free(m->credentials);
	m->credentials = c;
	return true;
}

bool
api_authenticate(void *arg, const char *name, const char *secret, struct tls_peer *who)
{
	const struct master *m = arg;

	return credentials_check(m->credentials, name, secret, who) &&
	       str_copy(who->cluster, sizeof who->cluster, m->conf.cluster.name);
}

/* --- what a user may submit; an operator may all --- */

/* A user runs tasks as the account of its own name and no other. */
static bool
may_run_as(struct master *m, struct http_request *r, const char *user, const char *account)
{
	if (account == NULL || strcmp(account, user) == 0)
		return true;
	api_error(m, r, 403, "user %s may not run tasks as %s; an operator may", user, account);
	return false;
}

static bool
may_use_role(struct master *m, struct http_request *r, const char *user, const char *role)
{
	const struct conf_list *rules = &m->conf.master.role_access;
	char names[ROLE_ACCESS_NAMES_MAX];
	const char *by;

	if (role_access_allows(
		(const char *const *)rules->items, rules->count, role, user, &by, names))
		return true;
	api_error(m, r, 403,
	    "user %s may not have tasks in role %s: [master] role_access (%.*s=...) lets %s have "
	    "them, and operators",
	    user, role == NULL ? ROLE_DEFAULT : role, (int)strcspn(by, "="), by, names);
	return false;
}

bool
api_may_submit(struct master *m, struct http_request *r, const char *account, const char *role)
{
	const struct tls_peer *peer = api_peer(r);

	return peer->role != TLS_ROLE_USER ||
	       (may_run_as(m, r, peer->name, account) && may_use_role(m, r, peer->name, role));
}
