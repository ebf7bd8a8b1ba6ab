/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/leader.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"
#include "libcommon/io/address.h"
#include "libcommon/sys/log.h"
#include "libcommon/zk/zk.h"

#define ELECTION_PATH "/corral/master"
#define ELECTION_PREFIX "json.info_"
#define RETRY_MS 1000
#define HOSTS_BYTES_MAX 65536
#define NAME_BYTES_MAX 256

struct leader {
	struct loop *loop;
	char *hosts;
	struct tls *tls; /* NULL: the ensemble is reached in the clear */
	uint32_t timeout_ms;
	struct zk *zk;
	struct timer retry;
	struct timer forsake;		 /* while the connection is lost */
	char node[NAME_BYTES_MAX];	 /* whose data was asked for */
	char address[ADDRESS_TEXT_SIZE]; /* as said last; "": nobody */
	void (*changed)(void *arg, const char *address);
	void *arg;
};

static void look(struct leader *l);

static void
say(struct leader *l, const char *address)
{
	if (strcmp(l->address, address) == 0)
		return;
	str_copy(l->address, sizeof l->address, address);
	l->changed(l->arg, *address != '\0' ? l->address : NULL);
}

static void
look_later(struct leader *l)
{
	timer_set(&l->retry, loop_now_ms(l->loop) + RETRY_MS);
}

static void
on_data(void *arg, const struct zk_result *r)
{
	struct leader *l = arg;
	json_t *info;
	const char *address;

	if (r->rc != ZK_OK) {
		look_later(l); /* gone meanwhile, or the connection broke */
		return;
	}
	info = json_loadb((const char *)r->data, r->size, 0, NULL);
	address = json_string_value(json_object_get(info, "agent_address"));
	if (address == NULL)
		log_warn(ELECTION_PATH "/%s: has no \"agent_address\": not a master of this suite",
		    l->node);
	say(l, address != NULL ? address : "");
	json_decref(info);
}

static void
on_children(void *arg, const struct zk_result *r)
{
	struct leader *l = arg;
	char path[sizeof ELECTION_PATH + NAME_BYTES_MAX];
	const char *lowest = NULL;

	if (r->rc != ZK_OK) {
		look_later(l);
		return;
	}
	/* Numbers have ten digits, so that the order of names is theirs. */
	for (size_t i = 0; i < r->child_count; i++) {
		if (str_starts(r->children[i], ELECTION_PREFIX) &&
		    (lowest == NULL || strcmp(r->children[i], lowest) < 0))
			lowest = r->children[i];
	}
	if (lowest == NULL || !str_copy(l->node, sizeof l->node, lowest)) {
		say(l, "");
		return;
	}
	snprintf(path, sizeof path, ELECTION_PATH "/%s", l->node);
	if (zk_get(l->zk, path, NULL, on_data, l) != ZK_OK)
		look_later(l);
}

static void
on_watch(void *arg, enum zk_event event, const char *path)
{
	(void)path;
	if (event != ZK_EVENT_LOST)
		look(arg);
}

/*
 * Servers that were restored from a copy know less than this session has seen, and refuse it for
 * ever: it is over by now anyway.
 */
static void
on_forsake(void *arg)
{
	struct leader *l = arg;

	log_warn("no server of the ensemble has taken the session back: opening another");
	zk_free(l->zk);
	l->zk = NULL;
	look(l);
}

static void
on_state(void *arg, struct zk *z, enum zk_state state)
{
	struct leader *l = arg;

	timer_cancel(&l->forsake);
	if (state == ZK_CONNECTED)
		look(l);
	else if (state == ZK_SUSPENDED)
		timer_set(&l->forsake, loop_now_ms(l->loop) + 2 * (uint64_t)l->timeout_ms);
	else if (state == ZK_EXPIRED || state == ZK_AUTH_FAILED) {
		log_warn("the session with the ensemble is over (%s): opening another",
		    zk_state_name(state));
		zk_free(z);
		l->zk = NULL;
		look_later(l);
	}
}

static bool
open_session(struct leader *l)
{
	char error[512];

	l->zk = zk_new(l->loop, l->hosts, l->tls, l->timeout_ms, on_state, l, error, sizeof error);
	if (l->zk == NULL)
		log_error("[cluster] ensemble: %s", error);
	return l->zk != NULL;
}

static void
look(struct leader *l)
{
	struct zk_watch watch = {on_watch, l};

	if (l->zk == NULL) {
		if (!open_session(l))
			look_later(l);
		return;
	}
	if (zk_children(l->zk, ELECTION_PATH, &watch, on_children, l) != ZK_OK)
		look_later(l);
}

static void
on_retry(void *arg)
{
	look(arg);
}

static char *
join_hosts(const struct conf_list *list)
{
	struct buf b;
	const char *text;
	char *hosts = NULL;

	buf_init(&b, HOSTS_BYTES_MAX);
	for (size_t i = 0; i < list->count; i++)
		buf_printf(&b, "%s%s", i > 0 ? "," : "", list->items[i]);
	if ((text = buf_text(&b)) != NULL)
		hosts = strdup(text);
	buf_fini(&b);
	return hosts;
}

struct leader *
leader_new(struct loop *loop, const struct corral_conf *conf, struct tls *tls,
    void (*changed)(void *arg, const char *address), void *arg)
{
	struct leader *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->loop = loop;
	l->tls = conf->cluster.ensemble_tls ? tls_ref(tls) : NULL;
	l->timeout_ms = (uint32_t)conf->cluster.session_timeout_ms;
	l->changed = changed;
	l->arg = arg;
	timer_init(&l->retry, loop, on_retry, l);
	timer_init(&l->forsake, loop, on_forsake, l);
	if (conf->cluster.ensemble.count == 0)
		log_error(
		    "neither [agent] masters= nor [cluster] ensemble= says where the masters are");
	else if ((l->hosts = join_hosts(&conf->cluster.ensemble)) != NULL && open_session(l))
		return l;
	leader_free(l);
	return NULL;
}

void
leader_free(struct leader *l)
{
	if (l == NULL)
		return;
	timer_cancel(&l->retry);
	timer_cancel(&l->forsake);
	if (l->zk != NULL)
		zk_free(l->zk);
	tls_unref(l->tls);
	free(l->hosts);
	free(l);
}
