/* SPDX-License-Identifier: Apache-2.0 */
/* A change of a node, put together from what zk(1)'s command line or a script says. */
#ifndef CORRAL_CLI_ZK_CHANGE_H
#define CORRAL_CLI_ZK_CHANGE_H

#include "cli/zk_options.h"
#include "libcommon/zk/proto.h"

#define ZK_ACLS_MAX 64

/* One change and the memory that op points into. */
struct zk_change {
	struct zk_op op;
	struct zk_acl *acls;
	char *acl_texts; /* cut up into the entries */
	void *data;	 /* NULL: op borrows it */
	char *line;	 /* of a script: what the words were in */
};

void zk_change_fini(struct zk_change *change); /* of a zeroed one too */

/*
 * The type and flags of a create, and its access control. False: they contradict each other, or an
 * entry is none; *change is to be released all the same. place: as in struct option_verb.
 */
bool zk_change_create(
    struct zk_change *change, const struct zk_options *options, const char *place);

/* The entries of texts[count] to change->op. False: one of them is none, and was named. */
bool zk_change_acls(
    struct zk_change *change, const char *const *texts, size_t count, const char *place);

#endif
