/* SPDX-License-Identifier: Apache-2.0 */
/* The ACLs of what a master makes in the ensemble, and whether a node has a wider one. */
#include <stdio.h>
#include <sysexits.h>

#include "libcommon/sys/log.h"
#include "master/core/access.h"
#include "master/master.h"
#include "master/store.h"

#define GRANTS_MAX 64 /* of a node, that are looked at */

size_t
store_acls(const struct master *m, bool readable, char id[STORE_ACL_ID], struct zk_acl acls[2])
{
	size_t count = 0;

	if (m->tls_ensemble == NULL) {
		acls[count++] = (struct zk_acl){ZK_PERM_ALL, "world", "anyone"};
		return count;
	}
	snprintf(id, STORE_ACL_ID, "CN=master,O=%s", m->conf.cluster.name);
	acls[count++] = (struct zk_acl){ZK_PERM_ALL, "x509", id};
	if (readable)
		acls[count++] = (struct zk_acl){ZK_PERM_READ, "world", "anyone"};
	return count;
}

/* The command that gives a node the ACL that it should have. */
static void
say_mend(const struct master *m, const char *path, const char *id, bool readable, const char *wide)
{
	log_error("%s in the ensemble is open to %s: whoever uses that can change what the cluster "
		  "does. This master does not start. Mend it with: zk --hosts %s --ca %s --cert %s "
		  "--key %s acl %s x509:%s:cdrwa%s",
	    path, wide, m->conf.cluster.ensemble.items[0], m->conf.tls.ca, m->conf.master.cert,
	    m->conf.master.key, path, id, readable ? " world:anyone:r" : "");
}

static void
left(void *arg)
{
	struct master *m = arg;

	loop_stop(m->loop, EX_CONFIG);
}

bool
store_acl_is_right(struct master *m, const struct zk_result *r, const char *path, bool readable)
{
	struct access_grant grants[GRANTS_MAX];
	size_t count = r->acl_count < GRANTS_MAX ? r->acl_count : GRANTS_MAX;
	const struct access_grant *wide;
	char id[STORE_ACL_ID], text[STORE_ACL_ID + 64];
	struct zk_acl acls[2];

	if (m->tls_ensemble == NULL || r->rc != ZK_OK)
		return true; /* nothing is closed there, or the node itself tells why */
	store_acls(m, readable, id, acls);
	for (size_t i = 0; i < count; i++)
		grants[i] =
		    (struct access_grant){r->acls[i].perms, r->acls[i].scheme, r->acls[i].id};
	wide = access_too_wide(grants, count, id, readable);
	if (wide == NULL && r->acl_count <= GRANTS_MAX)
		return true;
	if (wide != NULL)
		access_print(wide, text, sizeof text);
	else
		snprintf(text, sizeof text, "%zu entries of an ACL", r->acl_count);
	say_mend(m, path, id, readable, text);
	if (!store_leave(m, left))
		left(m);
	return false;
}
