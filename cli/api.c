/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/api.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/codec/pbjson.h"
#include "proto/api.pb-c.h"

#define REPLY_BYTES_MAX (64u << 20)
#define CONNECT_MS 5000
#define REPLY_MS 60000
#define TARGET_BYTES_MAX 512

enum api_mode { API_MESSAGE, API_UPGRADE };

struct api {
	struct loop *loop;
	struct tls *tls;
	const struct corral_conf *conf;

	/* the request at hand */
	enum api_mode mode;
	struct http_call *call;
	struct api_request request;
	char target[TARGET_BYTES_MAX];
	struct buf body;
	size_t master;		  /* index of the one being asked */
	struct api_result result; /* of the first master that failed, until one does not */
	void (*done)(void *arg, struct api_result *result);
	const struct link_limits *limits;
	const struct link_ops *link_ops;
	void *arg; /* the link's */
	void *done_arg;
};

static bool ask(struct api *a);

/* ---- opening ---- */

bool
api_is_local(const struct corral_conf *conf)
{
	return conf->client.master.count == 1 && conf->client.master.items[0][0] == '/';
}

struct api *
api_open(struct loop *loop, const struct corral_conf *conf, char *error, size_t size)
{
	struct tls_files files = {conf->client.ca, conf->client.cert, conf->client.key};
	struct api *a = calloc(1, sizeof *a);

	if (a == NULL) {
		snprintf(error, size, "no memory");
		return NULL;
	}
	a->loop = loop;
	a->conf = conf;
	buf_init(&a->body, REPLY_BYTES_MAX);
	if (api_is_local(conf))
		return a;
	if (files.ca == NULL || access(files.ca, R_OK) != 0)
		snprintf(error, size,
		    "no cluster to talk to: its CA %s cannot be read\n"
		    "        'corral dev' starts one on this machine; corral.conf(5), --ca or "
		    "CORRAL_TLS_CA "
		    "name that of another",
		    files.ca != NULL ? files.ca : "");
	else
		a->tls = tls_new(&files, false, error, size);
	if (a->tls == NULL) {
		api_close(a);
		return NULL;
	}
	return a;
}

struct api *
api_open_tls(struct loop *loop, const struct corral_conf *conf, struct tls *tls)
{
	struct api *a = calloc(1, sizeof *a);

	if (a == NULL) {
		tls_unref(tls);
		return NULL;
	}
	a->loop = loop;
	a->conf = conf;
	a->tls = tls;
	buf_init(&a->body, REPLY_BYTES_MAX);
	return a;
}

const char *
api_pinned_ca(const struct api *a)
{
	return tls_pinned_ca(a->tls);
}

void
api_close(struct api *a)
{
	if (a == NULL)
		return;
	if (a->call != NULL)
		http_call_cancel(a->call);
	if (a->result.message != NULL)
		protobuf_c_message_free_unpacked(a->result.message, NULL);
	buf_fini(&a->body);
	tls_unref(a->tls);
	free(a);
}

/* ---- the end of a request ---- */

static void
finish(struct api *a)
{
	struct api_result result = a->result;

	a->result.message = NULL;
	a->done(a->done_arg, &result);
}

/* This master did not do; the next one may. The first one's reason is the one that is told. */
static void
try_next(struct api *a, int status, const char *text)
{
	if (a->result.status == 0) {
		a->result.status = status;
		str_copy(a->result.error, sizeof a->result.error, text);
	}
	a->master++;
	if (a->master < a->conf->client.master.count && ask(a))
		return;
	finish(a);
}

static void
call_failed(void *arg, const char *why)
{
	struct api *a = arg;
	char text[sizeof a->result.error];

	a->call = NULL;
	snprintf(text, sizeof text,
	    "%s\n        Is it running?  systemctl status corral-master   "
	    "Other address: --master HOST:PORT or CORRAL_MASTER",
	    why);
	try_next(a, EX_UNAVAILABLE, text);
}

/* What an answer that is not 2xx means. */
static int
status_of(const struct http_response *response, bool has_file)
{
	switch (response->status) {
	case 400:
		return has_file ? EX_DATAERR : EX_USAGE;
	case 401:
	case 403:
		return EX_NOPERM;
	case 423:
	case 503:
		return EX_TEMPFAIL;
	default:
		return response->status >= 500 ? EX_SOFTWARE : 1;
	}
}

static void
refused(struct api *a, const struct http_response *response)
{
	char why[256], text[sizeof a->result.error];
	bool has_file = false;
	Corral__Api__Error *error =
	    (Corral__Api__Error *)pbjson_decode(&corral__api__error__descriptor, response->body,
		response->size, PBJSON_IGNORE_UNKNOWN, why, sizeof why);

	if (error != NULL) {
		str_copy(text, sizeof text, "");
		snprintf(text, sizeof text, "%s", error->error);
		has_file = error->file != NULL || error->has_line;
		protobuf_c_message_free_unpacked(&error->base, NULL);
	} else {
		snprintf(text, sizeof text, "%s answered %d %s",
		    a->conf->client.master.items[a->master], response->status,
		    http_status_text(response->status));
	}
	/* A second redirect in a row: the masters do not agree yet on who leads. */
	if (response->status == 503 || response->status == 307) {
		try_next(a, EX_TEMPFAIL, text);
		return;
	}
	a->result.status = status_of(response, has_file);
	str_copy(a->result.error, sizeof a->result.error, text);
	finish(a);
}

static void
call_done(void *arg, const struct http_response *response)
{
	struct api *a = arg;
	char why[256];

	a->call = NULL;
	if (response->status < 200 || response->status > 299) {
		refused(a, response);
		return;
	}
	a->result.status = 0;
	a->result.error[0] = '\0';
	if (a->mode == API_MESSAGE) {
		a->result.message = pbjson_decode(a->request.reply, response->body, response->size,
		    PBJSON_IGNORE_UNKNOWN, why, sizeof why);
		if (a->result.message == NULL) {
			a->result.status = EX_PROTOCOL;
			snprintf(a->result.error, sizeof a->result.error,
			    "%s: an answer that cannot be read: %s", a->target, why);
		}
	} else if (a->mode == API_UPGRADE) {
		a->result.status = EX_PROTOCOL;
		snprintf(a->result.error, sizeof a->result.error,
		    "%s: the master did not switch to frames", a->target);
	}
	finish(a);
}

static void
call_upgraded(void *arg, struct link *l)
{
	struct api *a = arg;

	a->call = NULL;
	link_set_arg(l, a->link_ops, a->arg);
	a->link_ops->up(a->arg, l);
}

/* ---- asking ---- */

static const struct http_call_ops message_ops = {.done = call_done, .failed = call_failed};
static const struct http_call_ops upgrade_ops = {
    .done = call_done, .failed = call_failed, .upgraded = call_upgraded};

/* Ask the master at hand. False: no memory. */
static bool
ask(struct api *a)
{
	static const char *const json[] = {"Content-Type: application/json", NULL};
	struct http_call_spec spec = {
	    .address = a->conf->client.master.items[a->master],
	    .peer_role = TLS_ROLE_MASTER,
	    .method = a->request.method,
	    .target = a->target,
	    .headers = a->request.body != NULL ? json : NULL,
	    .body = a->body.data,
	    .body_size = a->body.len,
	    .reply_bytes_max = REPLY_BYTES_MAX,
	    .connect_ms = CONNECT_MS,
	    .reply_ms = a->request.timeout_ms != 0 ? a->request.timeout_ms : REPLY_MS,
	    .upgrade = a->mode == API_UPGRADE,
	};
	const struct http_call_ops *ops = &message_ops;

	if (a->mode == API_UPGRADE) {
		ops = &upgrade_ops;
		spec.link_limits = *a->limits;
		spec.link_ops = a->link_ops;
	}
	a->call = http_call(a->loop, a->tls, &spec, ops, a);
	return a->call != NULL;
}

/* Keep what the request needs until it is done, and ask the first master. */
static bool
start(struct api *a, enum api_mode mode, const struct api_request *request)
{
	int n = snprintf(a->target, sizeof a->target, "/corral/v1/%s", request->target);

	assert(a->call == NULL);
	a->mode = mode;
	a->request = *request;
	a->master = 0;
	a->result = (struct api_result){0};
	buf_clear(&a->body);
	if (n < 0 || (size_t)n >= sizeof a->target)
		return false;
	if (request->body != NULL && !pbjson_encode(request->body, 0, &a->body))
		return false;
	if (a->conf->client.master.count == 0)
		return false;
	return ask(a);
}

bool
api_start(struct api *a, const struct api_request *request,
    void (*done)(void *arg, struct api_result *result), void *arg)
{
	a->done = done;
	a->done_arg = arg;
	return start(a, API_MESSAGE, request);
}

/* ---- waiting for the answer ---- */

struct waiting {
	struct api *api;
	ProtobufCMessage *message;
};

static void
say(const char *text)
{
	fprintf(stderr, "corral: %s\n", text);
}

/* For the waiting calls: say what failed, hand over the message, and let loop_run() return. */
static void
stop_waiting(void *arg, struct api_result *result)
{
	struct waiting *w = arg;

	if (result->status != 0 && !w->api->request.quiet)
		say(result->error);
	w->message = result->message;
	loop_stop(w->api->loop, result->status);
}

/* Start a request of this kind and run the loop until somebody stops it. */
static int
run(struct api *a, enum api_mode mode, const struct api_request *request, struct waiting *w)
{
	a->done = stop_waiting;
	a->done_arg = w;
	if (!start(a, mode, request)) {
		say("no memory for the request");
		return EX_OSERR;
	}
	return loop_run(a->loop, NULL, NULL);
}

int
api_call(struct api *a, const struct api_request *request, ProtobufCMessage **message)
{
	struct waiting w = {a, NULL};
	int status = run(a, API_MESSAGE, request, &w);

	*message = w.message;
	return status;
}

int
api_upgrade(struct api *a, const struct api_request *request, const struct link_limits *limits,
    const struct link_ops *ops, void *arg)
{
	struct waiting w = {a, NULL};

	a->limits = limits;
	a->link_ops = ops;
	a->arg = arg;
	return run(a, API_UPGRADE, request, &w);
}

const char *
api_error(const struct api *a)
{
	return a->result.error;
}
