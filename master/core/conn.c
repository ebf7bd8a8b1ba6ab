/* SPDX-License-Identifier: Apache-2.0 */
#include "master/core/conn.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/base/mark.h"

void
conn_init(struct conn *k, void *link)
{
	memset(k, 0, sizeof *k);
	k->link = link;
}

static enum conn_then
refuse(struct conn_news *news, const char *why)
{
	snprintf(news->why, sizeof news->why, "%s", why);
	return CONN_REFUSED;
}

static enum conn_then
register_now(
    struct conn *k, struct cluster *c, uint64_t now_ms, Corral__Register *r, struct conn_news *news)
{
	struct agent *known = cluster_agent(c, k->name);
	void *old = known == NULL ? NULL : known->link;

	known = cluster_register(c, now_ms, k->name, r, k->link, news->why, sizeof news->why);
	if (known == NULL)
		return CONN_REFUSED; /* agent stays: its earlier registration ends, too */
	k->agent = known;
	k->registration = known->registration;
	if (old != NULL && old != k->link)
		MARK("agent: another connection is discarded");
	news->again = old == NULL ? NULL : known;
	news->old = old == k->link ? NULL : old;
	return CONN_REGISTERED;
}

static enum conn_then
take_register(struct conn *k, struct cluster *c, bool loaded, uint64_t now_ms,
    Corral__AgentToMaster *message, struct conn_news *news)
{
	Corral__Register *r = message->register_;

	if (strcmp(r->node, k->name) != 0)
		return refuse(news,
		    "its node name is not that of its certificate: see [agent] name= in "
		    "corral.conf(5)");
	message->body_case = CORRAL__AGENT_TO_MASTER__BODY__NOT_SET;
	message->register_ = NULL;
	if (loaded)
		return register_now(k, c, now_ms, r, news);
	if (k->pending != NULL)
		corral__register__free_unpacked(k->pending, NULL);
	k->pending = r;
	return CONN_NOTHING;
}

enum conn_then
conn_take(struct conn *k, struct cluster *c, const struct elect *e, bool loaded, uint64_t now_ms,
    Corral__AgentToMaster *message, struct conn_news *news)
{
	memset(news, 0, sizeof *news);
	if (!elect_may_act(e, now_ms)) {
		MARK("agent: read, and may not act");
		return CONN_END;
	}
	if (message->body_case == CORRAL__AGENT_TO_MASTER__BODY_REGISTER)
		return take_register(k, c, loaded, now_ms, message, news);
	if (k->agent == NULL || message->registration != k->registration) {
		MARK("agent: of another registration");
		return CONN_NOTHING;
	}
	switch (message->body_case) {
	case CORRAL__AGENT_TO_MASTER__BODY_HEARTBEAT:
		cluster_heartbeat(c, now_ms, k->agent, message->heartbeat->usage);
		cluster_stuck(c, k->agent, message->heartbeat->stuck, message->heartbeat->n_stuck);
		return CONN_HEARD;
	case CORRAL__AGENT_TO_MASTER__BODY_UPDATES:
		for (size_t i = 0; i < message->updates->n_updates; i++)
			cluster_update(c, now_ms, k->agent, message->updates->updates[i]);
		return CONN_UPDATED;
	default:
		return CONN_OTHER;
	}
}

enum conn_then
conn_loaded(struct conn *k, struct cluster *c, uint64_t now_ms, struct conn_news *news)
{
	Corral__Register *r = k->pending;

	memset(news, 0, sizeof *news);
	k->pending = NULL;
	return r == NULL ? CONN_NOTHING : register_now(k, c, now_ms, r, news);
}

void
conn_forsake(struct conn *k)
{
	k->agent = NULL;
}

bool
conn_is_newest(const struct conn *k, bool loaded)
{
	return k->agent != NULL && loaded && k->agent->link == k->link;
}

void
conn_fini(struct conn *k, struct cluster *c, bool loaded, uint64_t now_ms)
{
	if (conn_is_newest(k, loaded))
		cluster_agent_down(c, now_ms, k->agent, k->registration);
	if (k->pending != NULL)
		corral__register__free_unpacked(k->pending, NULL);
	k->agent = NULL;
	k->pending = NULL;
}
