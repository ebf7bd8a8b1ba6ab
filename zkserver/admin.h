/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators' tools ask for, as texts behind a four-letter word on the client port and as JSON
 * over HTTP (admin_http.h), both in the forms of Apache's server. One table has every command.
 */
#ifndef CORRAL_ZKSERVER_ADMIN_H
#define CORRAL_ZKSERVER_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "zkserver/conf.h"
#include "zkserver/core/server.h"
#include "zkserver/report.h"

/* Tools compare what stands before the first '-'; the protocol is that of this release. */
#define ADMIN_VERSION_TEXT "3.9.5-corral-" PACKAGE_VERSION ", built on 1970-01-01 00:00 UTC"

#define ADMIN_WORD_BYTES 4
#define ADMIN_WORD_BYTES_MAX 12	     /* stmk has eight bytes behind it */
#define ADMIN_TRACE_MASK_DEFAULT 306 /* ZooTrace's; kept and told, nothing is traced */

struct client_port;
struct peer;
struct peer_link;
struct standing;

/* What only the shell of an ensemble's member knows. */
struct admin_ensemble {
	const struct peer *peer;
	void (*standing)(void *arg, struct standing *to);
	const char *(*trouble)(void *arg, int64_t sid);
	const char *(*address)(const struct peer_link *link);
	void *arg;
};

struct admin {
	const struct zoo_conf *conf;
	struct server *server;
	const struct client_port *clients;
	const struct admin_ensemble *ensemble; /* NULL: the server is alone */
	int64_t trace_mask;
	char *conf_text; /* the configuration file as it was read, without secrets; or NULL */
};

/* An answer that is being made. */
struct admin_call {
	struct admin *admin;
	const uint8_t *word;	/* its bytes, ADMIN_WORD_BYTES_MAX for stmk; NULL over HTTP */
	const char *trace_mask; /* the query parameter traceMask; NULL: none */
};

/* How much an answer grows with. */
enum admin_size { ADMIN_SMALL, ADMIN_CONNS, ADMIN_WATCHES, ADMIN_SESSIONS };

/* Forms that are answered while the server serves nobody, as Apache's. */
enum admin_always { ADMIN_TEXT_ALWAYS = 1, ADMIN_JSON_ALWAYS = 2 };

struct admin_command {
	const char *word;    /* NULL: not on the client port */
	const char *name;    /* NULL: not over HTTP */
	const char *aliases; /* over HTTP, blanks between; "" for none */
	enum admin_size size;
	void (*text)(const struct admin_call *q, struct report *r);
	/* Its keys into the object that is open; false: it put "error" itself. */
	bool (*json)(const struct admin_call *q, struct json *j);
	unsigned always;
};

/* clients is set when the client port is there, before anything is asked. */
void admin_init(struct admin *a, const struct zoo_conf *conf, struct server *server);
void admin_fini(struct admin *a);

/* The command of a word's four bytes, or of a name over HTTP. NULL: there is none. */
const struct admin_command *admin_find_word(const uint8_t bytes[ADMIN_WORD_BYTES]);
const struct admin_command *admin_find_name(const char *name);

/* In order of name, for the list of links; NULL at the end. */
const struct admin_command *admin_next_name(const struct admin_command *before);

/* Bytes that make up the word. */
size_t admin_word_bytes(const struct admin_command *c);

/* Is the word on the whitelist? */
bool admin_allows(const struct admin *a, const struct admin_command *c);

/* Too much to be made between two turns of the loop: admin_job.h makes it beside. */
bool admin_is_large(const struct admin *a, const struct admin_command *c);

/* The whole answer to a word, allowed or not; to a name. */
void admin_put_text(const struct admin_call *q, const struct admin_command *c, struct report *r);
void admin_put_json(const struct admin_call *q, const struct admin_command *c, struct report *r);
void admin_put_json_error(const char *name, const char *error, struct report *r);

/* Apache's server has the root twice in its table, as "" and as "/", and counts it so. */
uint64_t admin_node_count(const struct server *s);
uint64_t admin_data_bytes(const struct server *s);

/* -1 for none yet. */
int64_t admin_proposal_bytes(uint64_t bytes);

/* What admin_text.c and admin_json.c share. */
uint64_t admin_dir_bytes(const char *dir); /* of the files in its version-2 */
void admin_reset_stats(struct admin *a);
void admin_reset_conns(struct admin *a);
void admin_count_watches(const struct admin *a, size_t *conns, size_t *paths, size_t *watches);
const char *admin_op_name(int32_t op);
int64_t admin_established_ms(const struct admin *a, const struct server_conn *c); /* since 1970 */

/* The commands' two forms; a few have only one. */
void text_conf(const struct admin_call *q, struct report *r);
void text_cons(const struct admin_call *q, struct report *r);
void text_crst(const struct admin_call *q, struct report *r);
void text_dirs(const struct admin_call *q, struct report *r);
void text_dump(const struct admin_call *q, struct report *r);
void text_envi(const struct admin_call *q, struct report *r);
void text_gtmk(const struct admin_call *q, struct report *r);
void text_hash(const struct admin_call *q, struct report *r);
void text_isro(const struct admin_call *q, struct report *r);
void text_membership(const struct admin_call *q, struct report *r); /* of conf */
void text_mntr(const struct admin_call *q, struct report *r);
void text_role(const struct admin_call *q, struct report *r);
void text_ruok(const struct admin_call *q, struct report *r);
void text_srst(const struct admin_call *q, struct report *r);
void text_srvr(const struct admin_call *q, struct report *r);
void text_stat(const struct admin_call *q, struct report *r);
void text_stmk(const struct admin_call *q, struct report *r);
void text_wchc(const struct admin_call *q, struct report *r);
void text_wchp(const struct admin_call *q, struct report *r);
void text_wchs(const struct admin_call *q, struct report *r);

bool json_conf(const struct admin_call *q, struct json *j);
bool json_cons(const struct admin_call *q, struct json *j);
bool json_crst(const struct admin_call *q, struct json *j);
bool json_dirs(const struct admin_call *q, struct json *j);
bool json_dump(const struct admin_call *q, struct json *j);
bool json_envi(const struct admin_call *q, struct json *j);
bool json_gtmk(const struct admin_call *q, struct json *j);
bool json_hash(const struct admin_call *q, struct json *j);
bool json_icfg(const struct admin_call *q, struct json *j);
bool json_isro(const struct admin_call *q, struct json *j);
bool json_lead(const struct admin_call *q, struct json *j);
bool json_lsnp(const struct admin_call *q, struct json *j);
bool json_mntr(const struct admin_call *q, struct json *j);
bool json_nothing(const struct admin_call *q, struct json *j);
bool json_obsr(const struct admin_call *q, struct json *j);
bool json_srst(const struct admin_call *q, struct json *j);
bool json_srvr(const struct admin_call *q, struct json *j);
bool json_stat(const struct admin_call *q, struct json *j);
bool json_stmk(const struct admin_call *q, struct json *j);
bool json_sysp(const struct admin_call *q, struct json *j);
bool json_voting_view(const struct admin_call *q, struct json *j);
bool json_wchc(const struct admin_call *q, struct json *j);
bool json_wchp(const struct admin_call *q, struct json *j);
bool json_wchs(const struct admin_call *q, struct json *j);
bool json_zabstate(const struct admin_call *q, struct json *j);

#endif
