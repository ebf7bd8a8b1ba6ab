/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the master's shell share. The core decides (core/cluster.h, core/elect.h). */
#ifndef CORRAL_MASTER_MASTER_H
#define CORRAL_MASTER_MASTER_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/list.h"
#include "libcommon/io/http.h"
#include "libcommon/io/link.h"
#include "libcommon/io/loop.h"
#include "libcommon/io/tls.h"
#include "libcommon/sys/corral_conf.h"
#include "libcommon/zk/zk.h"
#include "master/core/cluster.h"
#include "master/core/conn.h"
#include "master/core/elect.h"
#include "master/info.h"
#include "master/metrics.h"
#include "proto/api.pb-c.h"

struct credentials;
struct load;

enum { MASTERS_MAX = ELECT_CANDIDATES_MAX };

/* One that contends, the leader included. */
struct candidate {
	char node[ELECT_NODE_MAX];
	struct master_info info;
	bool known; /* info was read, and is that of a master of ours */
};

struct masters {
	struct candidate items[MASTERS_MAX]; /* in order of succession */
	size_t count;
	uint64_t reading; /* its number: answers to an older one are not for us */
};

struct master {
	struct loop *loop;
	struct corral_conf conf;
	const char *config_path; /* NULL: the usual one */
	char name[CLUSTER_NAME_MAX + 1];
	struct hash_key hash;
	struct tls *tls_agents, *tls_api, *tls_ensemble;
	struct master_metrics metrics;
	struct timer turn_timer;
	struct timer watchdog_timer;
	uint64_t watchdog_ms; /* between two signs of life; 0: none are expected */
	struct buf scratch;   /* one frame or answer at a time */

	/* store.c */
	struct zk *zk;
	struct buf hosts;      /* of the ensemble, as zk_new() has them */
	uint64_t zk_number;    /* of the handle: answers of an older one are not for us */
	struct timer zk_timer; /* before the next handle is made */
	struct elect elect;
	struct timer elect_timer;
	struct master_info info; /* ours */
	struct buf info_text;
	struct master_info
	    leader; /* the leader's, when we do not lead; api_address "" if unknown */
	char leader_node[ELECT_NODE_MAX];
	struct load *load;
	bool ensemble_up;

	/* from an election to its loss */
	bool cluster_made;
	bool leading; /* elected, and the store was read: cluster is good to use */
	struct cluster cluster;
	uint64_t leading_since_ms;
	struct masters masters; /* masters.c */

	/* agent_link.c */
	struct listener *agents_listener;
	struct list agent_links;

	/* http_api.c, stream.c */
	struct http_server *http;
	struct http_server *http_local; /* on the local socket; NULL: there is none */
	struct list forwards;		/* forward.c */
	size_t forward_count;
	struct credentials *credentials; /* for clients without a certificate; NULL: none */
	struct list waiters;		 /* requests whose answer waits for a commit */
	struct list stored_waiters;	 /* the same, admin.c's */
	struct list watchers;		 /* of events */
	struct list clients;		 /* of runs and logs */
	struct hmap relays;		 /* of all clients, by number */
	uint64_t next_stream;
};

/* main.c */
/* The time at which something is done now: not the turn's, for the right to act. */
bool master_may_act(const struct master *m);
/* Leadership is lost for this reason; all that it held is dropped at the end of the turn. */
void master_give_up(struct master *m, const char *why);

/* status.c: `corral-master status`, gives the exit status. */
int command_status(struct master *m);

/* store.c */
bool store_open(struct master *m, char *error, size_t size);
/* End the session for good; left() is called when that is done. False: there is none to end. */
bool store_leave(struct master *m, void (*left)(void *arg));
void store_close(struct master *m);
/* Carry out what the election wants, and write the next batch. */
void store_turn(struct master *m);

/* store_load.c: read what the ensemble has, then master_loaded(). */
void load_start(struct master *m);
void load_cancel(struct master *m);
void master_loaded(struct master *m);

/* masters.c: read who contends, now and whenever it changes while we lead */
void masters_read(struct master *m);

/* agent_link.c */
bool agents_listen(struct master *m, char *error, size_t size);
void agents_close(struct master *m);
/* The store is read: take the registrations that came meanwhile. */
void agents_take_pending(struct master *m);
void agents_drop_all(struct master *m);
/* Send what the core put out for agents. */
void agents_carry_out(struct master *m);
/* To one agent; false: it is not connected, or its queue is full and the connection was ended. */
bool agent_send(struct master *m, struct agent *a, Corral__MasterToAgent *message);
/* A key as the messages have it; *key borrows from `from` and points to *term. */
void message_fill_key(const struct task_key *from, Corral__TaskKey *key, Corral__Term *term);

/* http_api.c */
bool api_listen(struct master *m, char *error, size_t size);
void api_close(struct master *m);
/* Tell waiting clients and watchers what the core put out. */
void api_carry_out(struct master *m);
void api_drop_all(struct master *m);
/*
 * A leader's answer, errors included: if this master has lost the right to give it since the
 * request came, the client gets 503 in its place.
 */
void api_reply(
    struct master *m, struct http_request *r, int status, const ProtobufCMessage *message);
void api_error(struct master *m, struct http_request *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* An answer that any master may give. */
void api_refuse(struct master *m, struct http_request *r, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* forward.c: to the leader, which is known; it is answered when the leader has answered. */
void forward_request(struct master *m, struct http_request *r);
void forward_drop_all(struct master *m);

/* identity.c */
/* In what a standby passes on: whose request it is, "ROLE:NAME". */
#define API_FOR_HEADER "Corral-For"
/* Did the request come by the local socket? */
bool api_is_local(const struct http_request *r);
/* Who asks; good until the next call. Role NONE: nobody whom we know. */
const struct tls_peer *api_peer(const struct http_request *r);
/* The same as "ROLE:NAME". */
const char *api_who(const struct http_request *r, char *to, size_t size);
/* Let the accounts that may use the local socket do so. */
void api_open_socket(const char *path);
/* Read [master] credentials, which are none if it is empty. False: the old ones stay. */
bool api_read_credentials(struct master *m, char *error, size_t size);
/* For http_config.authenticate; arg: the master. */
bool api_authenticate(void *arg, const char *name, const char *secret, struct tls_peer *who);
/*
 * May a job be submitted that names this account (or none) and this role? False: the request was
 * answered.
 */
bool api_may_submit(
    struct master *m, struct http_request *r, const char *account, const char *role);

/*
 * http_api.c, for admin.c and enrol.c: the request's body; NULL: it was answered. And: may this be
 * asked by operators alone? False: it was answered.
 */
ProtobufCMessage *api_body(
    struct master *m, struct http_request *r, const ProtobufCMessageDescriptor *type);
bool api_operators_only(struct master *m, struct http_request *r);
/* To one whose answer waited until this master no longer leads. */
void api_deposed(struct master *m, struct http_request *r);
/* Only the leader answers; false: somebody else was named, or nobody. */
bool api_leads(struct master *m, struct http_request *r);

/* admin.c: what operators do with nodes and tokens */
typedef void admin_answer(struct master *m, struct http_request *r, void *arg);
/*
 * Answer when what the core's registry, tokens and era are now is stored. release (may be NULL) is
 * called with arg after that, or when nobody waits any more.
 */
void admin_wait(struct master *m, struct http_request *r, admin_answer *answer, void *arg,
    void (*release)(void *arg));
void admin_carry_out(struct master *m);
void admin_drop_all(struct master *m);
/* False: there is nothing of that name here. */
bool admin_route(struct master *m, struct http_request *r, const char *what, bool post);

/* roles_api.c; false: there is nothing of that name here */
bool roles_route(struct master *m, struct http_request *r, const char *what, bool post);

/* enrol.c: join tokens, and certificates for those who have one */
void enrol_token_create(struct master *m, struct http_request *r);
void enrol_token_list(struct master *m, struct http_request *r);
void enrol_token_revoke(struct master *m, struct http_request *r, const char *id);
void enrol_join(void *arg, struct http_request *r);
void enrol_renew(void *arg, struct http_request *r);

/* api_views.c: messages that borrow from the core */
void view_job(const struct master *m, const struct job *j, Corral__Api__Job *v);
void view_task(const struct master *m, const struct job *j, uint32_t index, Corral__Api__Task *v,
    Corral__Resources *resources);
void view_out_task(const struct master *m, const struct out *o, Corral__Api__Task *v);
struct node_view {
	Corral__Api__Node v;
	Corral__Resources capacity, used;
	Corral__NodeUsage usage;
};
/* What people want to know of a node first. */
const char *view_node_state(const struct agent *a);
void view_node(const struct master *m, const struct agent *a, struct node_view *n);
void view_status(struct master *m, struct http_request *r);
void view_tasks(struct master *m, struct http_request *r);
void view_nodes(struct master *m, struct http_request *r);
void view_jobs(struct master *m, struct http_request *r);

/* why_view.c */
void view_why(struct master *m, struct http_request *r, const char *task);

/* stream.c, relay.c, stream_request.c */
void stream_run(struct master *m, struct http_request *r);
void stream_logs(struct master *m, struct http_request *r, const char *what);
void stream_carry_out(struct master *m);
void stream_drop_all(struct master *m, const char *why);
void stream_agent_down(struct master *m, struct agent *a);
void stream_from_agent(struct master *m, struct agent *a, const Corral__AgentToMaster *message);

#endif
