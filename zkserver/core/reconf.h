/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing an ensemble's members: from a reconfig request to the new configuration, and the texts
 * of the files that remember it. Who may ask, whether this server leads, and whether a quorum of
 * the new configuration is there, others decide.
 */
#ifndef CORRAL_ZKSERVER_RECONF_H
#define CORRAL_ZKSERVER_RECONF_H

#include "libcommon/codec/jute.h"
#include "zkserver/core/members.h"

/* The longest name of a file that zoo.cfg may point at. */
#define RECONF_PATH_MAX 4096

struct reconf_request {
	struct jute_bytes joining, leaving; /* lists with commas; null: nobody */
	struct jute_bytes members;	    /* a whole configuration; null: the lists say it */
	int64_t base;			    /* the version that it was made from; -1: any */
};

/*
 * The configuration that follows `seen`, the last one that was proposed, where `committed` is the
 * version in force; it has version `zxid`, its transaction's. The checks come in the order of
 * Apache's server: RECONFIGINPROGRESS, BADVERSION, BADARGUMENTS (with *f for the log), as enum
 * zk_rc. With `standalone` (standaloneEnabled) two voters must be left, otherwise one.
 *
 * What comes next before it is proposed: is a quorum of *next in sync (else NEWCONFIGNOQUORUM), and
 * may the client write /zookeeper/config?
 */
int reconf_apply(const struct members *seen, int64_t committed, const struct reconf_request *r,
    int64_t zxid, bool standalone, struct members *next, struct fault *f);

/*
 * The text of a dynamic file: the configuration's lines in order of their bytes, without a newline
 * at the end. A committed one's version stands in its name only, that of FILE.dynamic.next in the
 * text.
 */
void reconf_dynamic_text(const struct members *m, bool with_version, struct buf *to);

/*
 * zoo.cfg pointing at a dynamic file: *to gets the text without what that file has (server.N,
 * group.N, weight.N, peerType, and, with drop_client, clientPort and clientPortAddress) and
 * with dynamicConfigFile=path as its last line. All else stays as it was, comments too. -EINVAL
 * with *f: the path cannot be written into such a file.
 */
int reconf_static_text(const char *text, size_t size, const char *path, bool drop_client,
    struct buf *to, struct fault *f);

/* FILE.dynamic.VERSION for the zoo.cfg FILE; false: the name is too long. */
bool reconf_dynamic_name(char to[RECONF_PATH_MAX], const char *file, int64_t version);

#endif
