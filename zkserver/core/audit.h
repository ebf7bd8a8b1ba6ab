/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit trail: who changed what, with which result, one line for each change that a client
 * asked for and for each ephemeral node that went with its session, in the form of Apache's
 * AuditEvent: key=value pairs with a tab between, absent ones left out. Control characters from
 * outside are escaped. A line is made when the change is applied; until then what the request said
 * is kept.
 */
#ifndef CORRAL_ZKSERVER_CORE_AUDIT_H
#define CORRAL_ZKSERVER_CORE_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "zkserver/core/db.h"
#include "zkserver/core/prep.h"

struct audit {
	/* Takes a line without its end. */
	void (*line)(void *arg, const char *text, size_t size, bool failure);
	void *arg;
	const char *user; /* whom the server runs as */

	/* The core's. */
	struct buf waiting; /* a struct of audit.c and its items for each request under way */
	struct buf text;    /* the line that is being made */
	size_t at;	    /* the next item of the request that is being applied; 0: none is */
	bool multi_failed;
};

void audit_init(struct audit *a);
void audit_fini(struct audit *a);

/* A request was given this zxid. False: no memory, and it will not be audited. */
bool audit_submitted(struct audit *a, const struct prep_request *q, int64_t zxid);

/* What was submitted and not applied will never be. */
void audit_forget(struct audit *a);

/* It is being applied: what came of each part, in order; and the end. */
void audit_begin(struct audit *a, int64_t zxid);
void audit_part(struct audit *a, const struct apply_part *p);
void audit_end(struct audit *a);

/* An ephemeral node went with its session. */
void audit_ephemeral(struct audit *a, int64_t session, struct jute_bytes path);

/* The server begins ("serverStart", success) or ends ("serverStop", invoked). */
void audit_server(struct audit *a, const char *operation, const char *result);

#endif
