/* SPDX-License-Identifier: Apache-2.0 */
/* `corral-master status`: does the master that this configuration describes answer, and does it
 * lead? */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "libcommon/sys/fsutil.h"
#include "libcommon/sys/log.h"
#include "master/master.h"

struct asking {
	struct loop *loop;
	const char *address;
};

static void
done(void *arg, const struct http_response *response)
{
	struct asking *a = arg;

	printf("%s: %s", a->address, response->body);
	loop_stop(a->loop, response->status == 200 ? EX_OK : 1);
}

static void
failed(void *arg, const char *why)
{
	struct asking *a = arg;

	fprintf(stderr, "corral-master: %s\n", why);
	loop_stop(a->loop, EX_UNAVAILABLE);
}

static const struct http_call_ops ops = {.done = done, .failed = failed};

/* The address that it listens on; where that leaves the port open, the master wrote it down. */
static bool
find_address(const struct corral_conf *conf, char to[300])
{
	const char *colon = strrchr(conf->master.listen, ':');
	char path[4096];
	struct buf text;
	unsigned port = 0;
	bool found;

	if (conf->master.advertise != NULL || colon == NULL || strcmp(colon, ":0") != 0)
		return snprintf(to, 300, "%s",
			   conf->master.advertise != NULL ? conf->master.advertise
							  : conf->master.listen) < 300;
	snprintf(path, sizeof path, "%s/ports", conf->master.state_dir);
	buf_init(&text, 4096);
	found = fsutil_read(path, 4095, &text) && buf_text(&text) != NULL &&
		sscanf(buf_text(&text), "http %u", &port) == 1 &&
		snprintf(to, 300, "%.*s:%u", (int)(colon - conf->master.listen),
		    conf->master.listen, port) < 300;
	buf_fini(&text);
	return found;
}

int
command_status(struct master *m)
{
	const struct corral_conf *conf = &m->conf;
	struct tls_files files = {conf->tls.ca, conf->master.cert, conf->master.key};
	char address[300], error[512];
	struct http_call_spec spec = {.address = address,
	    .peer_role = TLS_ROLE_MASTER,
	    .method = "GET",
	    .target = "/health",
	    .reply_bytes_max = 4096,
	    .connect_ms = 5000,
	    .reply_ms = 5000};
	struct asking a = {.address = address};
	struct tls *tls;
	int status = EX_OSERR;

	if (!find_address(conf, address)) {
		log_error("no master has run with state_dir=%s yet", conf->master.state_dir);
		return EX_UNAVAILABLE;
	}
	tls = tls_new(&files, false, error, sizeof error);
	if (tls == NULL) {
		log_error("%s", error);
		return EX_CONFIG;
	}
	a.loop = loop_new();
	if (a.loop != NULL && http_call(a.loop, tls, &spec, &ops, &a) != NULL)
		status = loop_run(a.loop, NULL, NULL);
	if (a.loop != NULL)
		loop_free(a.loop);
	tls_unref(tls);
	return status;
}
