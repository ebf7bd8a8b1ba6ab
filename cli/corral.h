/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of `corral` share: one struct of all options, and one function a verb. */
#ifndef CORRAL_CLI_CORRAL_H
#define CORRAL_CLI_CORRAL_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/api.h"
#include "cli/client_conf.h"
#include "cli/dev.h"
#include "cli/options.h"
#include "cli/table.h"

struct corral_options {
	struct client_options client;
	struct table_view view;
	bool json, json_lines;
	bool follow, watch, all;
	bool has_tail;
	uint32_t tail;
	const char *name;
	/* run */
	uint64_t cpu_milli, memory_bytes, disk_bytes, timeout_ms;
	uint32_t count, priority;
	struct option_texts env;
	const char *user, *directory;
	/* tls, token, join */
	const char *dir, *cluster, *role;
	struct option_texts dns, ip;
	uint32_t days, uses;
	uint64_t ttl_ms, within_ms;
	bool replace;
	/* nodes, drain, era */
	const char *forget, *mark_unreachable;
	bool powered_off, old_masters_are_stopped;
	uint64_t from_ms, deadline_ms, length_ms;
	/* roles, quota */
	uint64_t weight_milli;
	const char *guarantee, *limit;
	bool force;
	struct dev_options dev;
};

/* One run of the program. */
struct corral {
	struct corral_options options;
	struct corral_conf conf;
	struct loop *loop; /* these two: after corral_connect() */
	struct api *api;
	bool json_as_set; /* what a row does not have is left out of its JSON, not 0 */
};

/* Each gets the operands and returns the exit status. */
typedef int corral_verb(struct corral *c, int argc, char **argv);
corral_verb verb_dev, verb_drain, verb_era, verb_init, verb_jobs, verb_join, verb_logs, verb_nodes,
    verb_ps, verb_quota, verb_reserve, verb_roles, verb_run, verb_status, verb_stop, verb_submit,
    verb_tls, verb_token, verb_undrain, verb_unreserve, verb_watch, verb_why;

#define OPTION_NO_TIME UINT64_MAX /* of a time that was not given */
#define OPTION_NO_CPU UINT64_MAX  /* of cpus, or a weight */

/* verb_nodes.c: `nodes --forget` and `--mark-unreachable`. */
int node_forget(struct corral *c);
int node_mark_unreachable(struct corral *c);

/* verb_join.c: `tls renew`. */
int tls_renew(struct corral *c);

/* "corral: " and the text, on stderr. */
void corral_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Read the configuration and open the client of the API. 0, or the exit status after having said
 * why. */
int corral_connect(struct corral *c);

/* GET a message; as api_call(). */
int corral_get(struct corral *c, const ProtobufCMessageDescriptor *type, ProtobufCMessage **message,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* POST a message, NULL for none; as api_call(). */
int corral_post(struct corral *c, const char *target, const ProtobufCMessage *body,
    const ProtobufCMessageDescriptor *type, ProtobufCMessage **message);

/* The messages of a repeated field of this one. */
ProtobufCMessage *const *corral_members(
    const ProtobufCMessage *message, const char *field, size_t *count);

/*
 * --json and --json-lines: print the message, or each member of its list `lines`, one a line.
 * False: neither was asked for.
 */
bool corral_print_json(const struct corral *c, const ProtobufCMessage *message, const char *lines);

/* ---- list.c: what the API lists, printed as a table or as JSON ---- */

struct corral_list {
	const char *target, *member; /* the field that the rows are in */
	const ProtobufCMessageDescriptor *reply;
	const struct table_column *columns;
	size_t column_count;
	const char *id; /* the column of -q */
	void (*add)(struct table *t, const void *row);
};

#define CORRAL_COLUMNS(list) .columns = list, .column_count = sizeof list / sizeof *list

/* `query` goes behind the target; "": none. Connects unless that was done. Returns the exit
 * status, as the next one. */
int corral_print_list(struct corral *c, const struct corral_list *list, const char *query);

/* Print a table as the options have it, and end it. */
int corral_print_table(struct corral *c, struct table *t, const char *id);

#endif
