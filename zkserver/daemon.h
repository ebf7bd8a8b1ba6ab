/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's parts, for run.c, which ties them together, and reload.c, which changes them. */
#ifndef CORRAL_ZKSERVER_DAEMON_H
#define CORRAL_ZKSERVER_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/store.h"
#include "libcommon/io/loop.h"
#include "zkserver/admin_http.h"
#include "zkserver/audit_log.h"
#include "zkserver/auth.h"
#include "zkserver/bounds.h"
#include "zkserver/client_port.h"
#include "zkserver/client_tls.h"
#include "zkserver/core/server.h"
#include "zkserver/log_writer.h"
#include "zkserver/purger.h"
#include "zkserver/snapshot_writer.h"
#include "zkserver/unit_status.h"

struct daemon {
	struct zoo_conf *conf;
	struct loop *loop;
	struct store *snapshots, *logs;	 /* the same unless dataLogDir says otherwise */
	struct client_tls tls, peer_tls; /* of the client ports; of those between servers */
	struct auth *auth;
	struct db db;
	struct server server;
	struct admin admin;
	struct admin_jobs jobs;
	struct client_port *clients;
	struct bounds_log bounds_log;
	struct admin_http *http;
	struct audit_log audit;
	struct log_writer *log; /* NULL while what is on disk is changed at a leader's word */
	struct snapshot_writer *snapshot;
	struct purger purger;
	struct unit_status status;
	struct ensemble *ensemble;   /* NULL: it stands alone */
	uint64_t load_ms, load_txns; /* what the start took */
	struct timer tick;
	int lock;
	bool stopping; /* a signal asked for it */
};

/* The log's writer; what was handed to it must be durable before it is closed. */
bool daemon_open_log(struct daemon *d);
void daemon_close_log(struct daemon *d);

/* What the core has to know of the settings. */
void daemon_settings(const struct daemon *d, struct server_settings *to);

/* Clients are served there from now on, unless it is where they are served already. */
void daemon_move_clients(struct daemon *d, const char *host, int port);

/* SIGHUP: read everything again that can change; what is at fault stays as it was. */
void daemon_reload(struct daemon *d);

/*
 * If the settings ask for it and a file of TLS has changed: what the files are now, for new
 * connections; clients whose certificate fell end. Those between servers stay: an ensemble that
 * replaces its certificates has no moment without a quorum.
 */
void daemon_watch_tls(struct daemon *d);

#endif
