/* SPDX-License-Identifier: Apache-2.0 */
/* What a running daemon takes over from its files. */
#include <string.h>

#include "libcommon/base/str.h"
#include "libcommon/sys/log.h"
#include "libcommon/sys/notify.h"
#include "zkserver/daemon.h"

#define STANDALONE_SID 1 /* top byte of session ids, as Apache's standalone server has it */

void
daemon_settings(const struct daemon *d, struct server_settings *to)
{
	*to = (struct server_settings){
	    .tick_ms = d->conf->tick_ms,
	    .min_timeout_ms = (int32_t)d->conf->min_session_ms,
	    .max_timeout_ms = (int32_t)d->conf->max_session_ms,
	    .frame_bytes_max = d->conf->jute_max_bytes,
	    .snap_count = d->conf->snap_count,
	    .snap_bytes = (uint64_t)d->conf->snap_size_kib * 1024,
	    .outstanding_max = bounds_outstanding(d->conf),
	    .limits = bounds_limits(d->conf),
	    .sid = zoo_conf_distributed(d->conf) ? (uint8_t)d->conf->ensemble.sid : STANDALONE_SID,
	    .reconfig_enabled = d->conf->reconfig_enabled,
	    .enforce_quota = d->conf->enforce_quota,
	    .local_sessions = d->conf->ensemble.local_sessions,
	    .local_upgrade = d->conf->ensemble.local_upgrade,
	    .reap_interval_ms = d->conf->reap_interval_ms,
	    .reap_max_per_minute = d->conf->reap_max_per_minute,
	    .reap_never_used_ms = d->conf->reap_never_used_ms,
	    .password = auth_has_session_key(d->auth) ? auth_session_password : NULL,
	    .password_arg = d->auth,
	    .schemes = d->conf->auth.schemes[0] != '\0' ? d->conf->auth.schemes : NULL,
	    .allow_failed_sasl = d->conf->auth.allow_failed_sasl,
	};
}

static bool
reload_stores(struct client_tls *t, const char *whose)
{
	char why[512];

	if (t->tls == NULL)
		return false;
	if (client_tls_reload(t, why, sizeof why)) {
		log_info("certificates were read again %s; new connections use them", whose);
		return true;
	}
	log_error("%s: the certificates in use stay", why);
	return false;
}

static void
reload_client_tls(struct daemon *d)
{
	if (reload_stores(&d->tls, "for clients") && d->clients != NULL)
		client_port_judge(d->clients);
}

static void
reload_peer_tls(struct daemon *d)
{
	reload_stores(&d->peer_tls, "for other servers");
}

void
daemon_watch_tls(struct daemon *d)
{
	if (d->conf->tls.reload && client_tls_changed(&d->tls))
		reload_client_tls(d);
	if (d->conf->ensemble.tls.reload && client_tls_changed(&d->peer_tls))
		reload_peer_tls(d);
}

/* The settings that a running server can change. */
static void
reload_conf(struct daemon *d)
{
	static struct zoo_conf fresh;
	struct faults faults;

	if (d->conf->file[0] == '\0')
		return;
	faults_init(&faults);
	if (zoo_conf_load(&fresh, d->conf->file, &faults)) {
		zoo_conf_adopt(d->conf, &fresh);
		if (d->clients != NULL) {
			daemon_settings(d, &d->server.settings);
			client_port_adopt(d->clients);
		}
	} else
		log_error("%s: nothing has changed", faults_text(&faults));
	faults_fini(&faults);
}

static void
reload_users(struct daemon *d)
{
	char why[512];

	if (auth_reload(d->auth, why, sizeof why))
		d->db.tree.acls.policy = auth_policy(d->auth); /* is there a scheme sasl? */
	else
		log_error("%s: the users in force stay", why);
}

void
daemon_reload(struct daemon *d)
{
	notify_reloading();
	if (d->server.audit != NULL)
		audit_log_reopen(&d->audit);
	reload_conf(d);
	reload_client_tls(d);
	reload_peer_tls(d);
	reload_users(d);
	notify_ready(NULL);
}

void
daemon_move_clients(struct daemon *d, const char *host, int port)
{
	struct zoo_conf *c = d->conf;
	bool anywhere = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "0:0:0:0:0:0:0:0") == 0 ||
			strcmp(host, "::") == 0;
	const char *address = anywhere ? "" : host;
	char why[512];

	if (c->client_port == port && strcmp(c->client_address, address) == 0)
		return;
	c->client_port = port;
	str_copy(c->client_address, sizeof c->client_address, address);
	if (client_port_move(d->clients, address, port, why, sizeof why))
		log_info("clients are served at port %d from now on", port);
	else
		log_error("no new client can connect: %s; choose another port with a further "
			  "reconfig, or start this server again",
		    why);
}
