/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/admin_http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/io/address.h"
#include "libcommon/io/http.h"
#include "libcommon/sys/log.h"
#include "zkserver/figures.h"

#define CONNECTIONS_MAX 64
#define BODY_BYTES_MAX 4096 /* none is looked at */
#define QUEUE_BYTES_MAX ((size_t)4 << 20)
#define HELD_BYTES ((size_t)1 << 20) /* unfetched bytes at which the maker of an answer waits */
#define REQUEST_MS 5000
#define JSON_TYPE "application/json"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct admin_http {
	struct admin *admin;
	struct admin_jobs *jobs;
	const struct zoo_conf *conf;
	struct http_route commands, metrics;
	struct http_server *admin_server, *metrics_server; /* NULL: none */
	struct list streams;
};

/* A large answer on its way; it outlives neither its request nor its job. */
struct streaming {
	struct list link;
	struct http_request *request;
	struct admin_job *job;
};

static void
put_links(const struct admin_http *h, struct http_request *r)
{
	const struct admin_command *c = NULL;
	struct report page;

	report_init(&page, -1);
	while ((c = admin_next_name(c)) != NULL)
		report_printf(&page, "<a href=\"%s/%s\">%s</a>\n<br/>\n", h->conf->admin_url,
		    c->name, c->name);
	if (report_finish(&page))
		http_reply(r, 200, "text/html; charset=utf-8", page.buf.data, page.buf.len);
	else
		http_reply_text(r, 503, "no memory\n");
	report_fini(&page);
}

static void
reply_report(struct http_request *r, struct report *text, const char *type)
{
	if (report_finish(text))
		http_reply(r, 200, type, text->buf.data, text->buf.len);
	else
		http_reply_text(r, 503, "the answer needs more memory than there is\n");
	report_fini(text);
}

/* ---- large answers ---- */

static void
streaming_free(struct streaming *s)
{
	list_remove(&s->link);
	free(s);
}

static void
job_bytes(void *arg, const uint8_t *bytes, size_t size)
{
	struct streaming *s = arg;

	http_stream_send(s->request, bytes, size);
	if (http_stream_queued(s->request) > HELD_BYTES)
		admin_job_hold(s->job, true);
}

static void
job_done(void *arg, bool whole)
{
	struct streaming *s = arg;
	struct http_request *r = s->request;

	if (!whole)
		log_warn("an answer of the admin server was not finished in %d s", ADMIN_JOB_MAX_S);
	streaming_free(s);
	http_stream_end(r);
}

static void
on_writable(void *arg, struct http_request *r)
{
	struct streaming *s = arg;

	(void)r;
	admin_job_hold(s->job, false);
}

static void
on_gone(void *arg, struct http_request *r)
{
	struct streaming *s = arg;

	(void)r;
	admin_job_cancel(s->job);
	streaming_free(s);
}

struct making {
	struct admin_call call;
	const struct admin_command *command;
};

static void
make(void *arg, struct report *r)
{
	const struct making *m = arg;

	admin_put_json(&m->call, m->command, r);
}

static void
answer_large(struct admin_http *h, struct http_request *r, struct making *m)
{
	static const struct admin_job_ops ops = {job_bytes, job_done};
	struct streaming *s = calloc(1, sizeof *s);

	if (s == NULL || (s->job = admin_job_start(h->jobs, make, m, &ops, s)) == NULL) {
		http_reply_text(r, 503, "%s cannot be answered now: %s\n", m->command->name,
		    s != NULL && errno == EAGAIN ? "others are being answered, try again"
						 : strerror(errno));
		free(s);
		return;
	}
	s->request = r;
	list_init(&s->link);
	list_append(&h->streams, &s->link);
	http_request_on_gone(r, on_gone, s);
	http_stream_start(r, 200, JSON_TYPE);
	http_stream_on_writable(r, on_writable);
}

/* ---- requests ---- */

static void
on_command(void *arg, struct http_request *r)
{
	struct admin_http *h = arg;
	const char *name = http_request_path(r) + strlen(h->conf->admin_url);
	struct making m = {
	    .call = {.admin = h->admin, .trace_mask = http_request_query(r, "traceMask")}};
	struct report text;

	if (strcmp(name, "") == 0 || strcmp(name, "/") == 0) {
		put_links(h, r);
		return;
	}
	name += *name == '/';
	server_set_time(h->admin->server, clock_boot_ms(), clock_wall_ms());
	if ((m.command = admin_find_name(name)) != NULL && admin_is_large(h->admin, m.command)) {
		answer_large(h, r, &m);
		return;
	}
	report_init(&text, -1);
	if (m.command != NULL)
		make(&m, &text);
	else {
		char error[256];

		snprintf(error, sizeof error, "Unknown command: %.200s", name);
		admin_put_json_error(name, error, &text);
	}
	reply_report(r, &text, JSON_TYPE);
}

static void
on_metrics(void *arg, struct http_request *r)
{
	struct admin_http *h = arg;
	struct report text;

	server_set_time(h->admin->server, clock_boot_ms(), clock_wall_ms());
	report_init(&text, -1);
	figures_put_prometheus(h->admin, &text);
	reply_report(r, &text, METRICS_TYPE);
}

/* ---- beginning and end ---- */

static struct http_server *
listen_on(struct admin_http *h, struct loop *loop, const struct http_route *route, const char *what,
    const char *host, int32_t port)
{
	const struct http_config config = {
	    .routes = route,
	    .route_count = 1,
	    .connections_max = CONNECTIONS_MAX,
	    .body_bytes_max = BODY_BYTES_MAX,
	    .queue_bytes_max = QUEUE_BYTES_MAX,
	    .handshake_ms = REQUEST_MS,
	    .request_ms = REQUEST_MS,
	    .idle_ms = h->conf->admin_idle_ms,
	    .anonymous = true,
	};
	char address[ZOO_ADDRESS_MAX + 16], why[512];
	struct http_server *s;

	address_join(address, sizeof address, strcmp(host, "0.0.0.0") == 0 ? "" : host, port);
	if ((s = http_server_open(loop, address, NULL, &config, h, why, sizeof why)) == NULL)
		log_warn("%s: %s: going on without it", what, why);
	else if (address_is_loopback(host))
		log_info("%s: port %u of %s", what, http_server_port(s), host);
	else
		log_warn("%s: port %u of %s answers whoever reaches it, in plaintext", what,
		    http_server_port(s), host);
	return s;
}

struct admin_http *
admin_http_open(
    struct loop *loop, struct admin *admin, struct admin_jobs *jobs, const struct zoo_conf *conf)
{
	struct admin_http *h = calloc(1, sizeof *h);

	if (h == NULL)
		return NULL;
	h->admin = admin;
	h->jobs = jobs;
	h->conf = conf;
	h->commands = (struct http_route){"GET", conf->admin_url, true, on_command, 0};
	h->metrics = (struct http_route){"GET", "/metrics", true, on_metrics, 0};
	list_init(&h->streams);
	if (conf->admin_enabled)
		h->admin_server = listen_on(
		    h, loop, &h->commands, "admin server", conf->admin_address, conf->admin_port);
	if (conf->metrics_provider == ZOO_METRICS_PROMETHEUS)
		h->metrics_server = listen_on(
		    h, loop, &h->metrics, "metrics", conf->metrics_address, conf->metrics_port);
	return h;
}

void
admin_http_close(struct admin_http *h)
{
	if (h == NULL)
		return;
	http_server_close(h->admin_server);
	http_server_close(h->metrics_server);
	free(h);
}

int32_t
admin_http_port(const struct admin_http *h)
{
	return h->admin_server != NULL ? http_server_port(h->admin_server) : ZOO_PORT_NONE;
}

int32_t
admin_http_metrics_port(const struct admin_http *h)
{
	return h->metrics_server != NULL ? http_server_port(h->metrics_server) : ZOO_PORT_NONE;
}
