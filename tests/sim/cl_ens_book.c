/* SPDX-License-Identifier: Apache-2.0 */
/* What the servers of the ensemble's model have agreed on: one order of commits, and sessions. */
#include <stdlib.h>

#include "tests/sim/cl_check.h"
#include "tests/sim/cl_ens.h"

static int64_t
zxid_of(const struct cl_reign *r, unsigned k)
{
	return (int64_t)((r->zxid_epoch << 32) + r->zxid_from + k + 1);
}

struct cl_session *
cl_session_at(const struct cl_ens *e, int64_t id)
{
	int64_t n = id - CL_SESSION_FIRST;

	return n >= 0 && (size_t)n < e->session_count ? &e->sessions[n] : NULL;
}

static void
end_session(struct cl_ens *e, uint64_t at, struct cl_commit *m)
{
	struct cl_session *s = cl_session_at(e, m->session);

	if (s == NULL || !s->alive)
		return;
	s->alive = false;
	m->outcome.election = cl_tree_end_session(&e->tree, at, m->session);
	cl_trace(e->c, "ensemble: session %llx is over", (unsigned long long)m->session);
}

static struct cl_commit *
commit_new(struct cl_ens *e)
{
	if (e->commit_count + 1 >= e->commit_cap) {
		e->commit_cap = e->commit_cap == 0 ? 1024 : 2 * e->commit_cap;
		e->commits = realloc(e->commits, e->commit_cap * sizeof *e->commits);
		if (e->commits == NULL)
			exit(71);
	}
	return &e->commits[++e->commit_count];
}

void
cl_commit_restored(struct cl_ens *e, int64_t zxid)
{
	*commit_new(e) = (struct cl_commit){.zxid = zxid, .origin = -1};
}

/* Proposal k of the reign takes effect, in the one order that there is. */
static void
agree(struct cl_ens *e, struct cl_reign *r, unsigned k)
{
	struct cl_proposal *p = &r->props[k];
	struct cl_session *s = cl_session_at(e, p->session);
	struct cl_commit *m = commit_new(e);

	p->commit = e->commit_count;
	*m = (struct cl_commit){.zxid = zxid_of(r, k),
	    .origin = p->origin,
	    .xid = p->xid,
	    .kind = p->kind,
	    .session = p->session};
	if (p->kind == PROP_OPEN) {
		s->alive = true;
	} else if (s == NULL || !s->alive) {
		m->outcome.rc = CL_EXPIRED;
	} else if (p->kind == PROP_CLOSE) {
		end_session(e, p->commit, m);
	} else if (p->moved) {
		m->outcome.rc = CL_MOVED;
	} else {
		cl_tree_apply(
		    &e->tree, p->commit, m->zxid, p->session, p->ops, p->size, &m->outcome);
		if (m->outcome.rc == CL_OK)
			cl_check_commit(e->c, p->session, m->zxid, p->ops, p->size);
	}
}

void
cl_agree_all(struct cl_ens *e, struct cl_reign *r, unsigned count)
{
	if (r->base != NULL)
		cl_agree_all(e, r->base, r->base_count);
	for (unsigned k = r->agreed_count; k < count; k++)
		if (r->props[k].commit == 0)
			agree(e, r, k);
	if (r->agreed_count < count)
		r->agreed_count = count;
}

int64_t
cl_session_new(struct cl_ens *e, uint32_t timeout_ms)
{
	if (e->session_count == e->session_cap) {
		e->session_cap = e->session_cap == 0 ? 64 : 2 * e->session_cap;
		e->sessions = realloc(e->sessions, e->session_cap * sizeof *e->sessions);
		if (e->sessions == NULL)
			exit(71);
	}
	e->sessions[e->session_count] = (struct cl_session){.timeout_ms = timeout_ms};
	return (int64_t)e->session_count++ + CL_SESSION_FIRST;
}
