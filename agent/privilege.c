/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "libcommon/sys/log.h"

#define USER_DEFAULT "corral-agent"

bool
privilege_find(const char *user, struct privilege *p)
{
	struct passwd *pw;

	*p = (struct privilege){.uid = geteuid(), .gid = getegid(), .root = geteuid() == 0};
	errno = 0;
	pw = user != NULL ? getpwnam(user) : NULL;
	if (!p->root) {
		p->own = pw != NULL && pw->pw_uid == p->uid;
		return true;
	}
	if (pw != NULL) {
		p->uid = pw->pw_uid;
		p->gid = pw->pw_gid;
		p->change = pw->pw_uid != 0;
		return true;
	}
	if (user == NULL) {
		log_error("[agent] user= is empty, and the agent is started as root: name an "
			  "account, or root");
		return false;
	}
	if (strcmp(user, USER_DEFAULT) == 0 && (errno == 0 || errno == ENOENT)) {
		log_warn("there is no account " USER_DEFAULT
			 ": the agent stays root; make it (systemd-sysusers), or say "
			 "[agent] user=root to have it so");
		return true;
	}
	log_error(
	    "[agent] user=%s: %s", user, errno == 0 ? "there is no such account" : strerror(errno));
	return false;
}

bool
privilege_seal(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
		return true;
	log_error_errno("prctl");
	return false;
}

bool
privilege_drop(const struct privilege *p)
{
	if (setgroups(1, &p->gid) != 0 || setresgid(p->gid, p->gid, p->gid) != 0 ||
	    setresuid(p->uid, p->uid, p->uid) != 0) {
		log_error_errno("becoming uid %u", (unsigned)p->uid);
		return false;
	}
	if (p->uid != 0 && setuid(0) == 0) {
		log_error("root could be taken again after it was given up");
		return false;
	}
	return privilege_seal();
}
