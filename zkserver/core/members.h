/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ensemble's configuration as a value: who its members are, where they listen, and which sets
 * of them are a quorum. Its text is what ZooKeeper's servers exchange (notifications, NEWLEADER,
 * reconfig's transaction), keep in /zookeeper/config and write into dynamic files.
 *
 * Java takes any number of 64 bits for a server's id; here it is 0 to 255, because a session's id
 * has room for that much of it, and an ensemble has at most MEMBERS_MAX members.
 */
#ifndef CORRAL_ZKSERVER_MEMBERS_H
#define CORRAL_ZKSERVER_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "zkserver/core/datadir.h"

#define MEMBERS_MAX 64
#define MEMBERS_SID_MAX 255
#define MEMBERS_HOST_BYTES 256	     /* of a name or address, with its NUL */
#define MEMBERS_TEXT_BYTES_MAX 65536 /* no configuration's text is longer */
#define MEMBERS_NO_GROUP UINT32_MAX
#define MEMBERS_NO_WEIGHT UINT32_MAX

/* A set of server ids. */
struct sid_set {
	uint64_t bits[(MEMBERS_SID_MAX + 1) / 64];
};

static inline bool
sid_is_valid(int64_t sid)
{
	return sid >= 0 && sid <= MEMBERS_SID_MAX;
}

/* What is not a member's id is in no set: ids come from the wire, too. */
static inline bool
sid_set_has(const struct sid_set *s, int64_t sid)
{
	return sid_is_valid(sid) && (s->bits[sid / 64] >> (sid % 64) & 1) != 0;
}

void sid_set_add(struct sid_set *s, int64_t sid); /* sid_is_valid(sid) */
void sid_set_remove(struct sid_set *s, int64_t sid);
unsigned sid_set_count(const struct sid_set *s);

struct member {
	int64_t sid;
	char host[MEMBERS_HOST_BYTES];	      /* a name, or an address without brackets */
	uint16_t quorum_port, election_port;  /* both at host */
	uint16_t client_port;		      /* 0: the text has no client address */
	char client_host[MEMBERS_HOST_BYTES]; /* "0.0.0.0" if the text had only the port */
	bool observer;
};

struct members {
	int64_t version; /* the zxid of the reconfig that made it; 0: as written by hand */
	bool hierarchical;
	unsigned count;
	struct member list[MEMBERS_MAX]; /* ascending by sid */
	/* By sid, for those that the text gives one. */
	uint32_t group[MEMBERS_SID_MAX + 1], weight[MEMBERS_SID_MAX + 1];
};

/* Nobody, version 0. */
void members_init(struct members *m);

/* Is this a key that members_put() knows: server.N, group.N, weight.N? */
bool members_key(const char *key);

/*
 * One line of a configuration, in any order of lines: server.N=ADDRESS, group.N=SID:SID..., or
 * weight.N=NUMBER. The address is HOST:QUORUMPORT:ELECTIONPORT[:participant|:observer]
 * [;[CLIENTHOST:]CLIENTPORT], with IPv6 in brackets. 0, or -EINVAL with *f saying what is wrong
 * with the line.
 */
int members_put(struct members *m, const char *key, const char *value, struct fault *f);

/*
 * Behind the last line: there is a voter; every voter is in a group if there are groups, nobody
 * else is; weights that were not given are 1. 0 or -EINVAL with *f.
 */
int members_finish(struct members *m, struct fault *f);

/*
 * A whole text, with or without "version=HEX": as Java's properties, but without escapes. What
 * servers of Apache's send is taken, within the limits above. 0; or -EINVAL with *f, and *m is
 * then of no use. Bytes from the network may be handed in.
 */
int members_parse(struct members *m, const void *text, size_t size, struct fault *f);

/*
 * Append the text as Apache's server writes it, "version=HEX" last and no newline behind it. Of
 * members that share a place in Java's hash tables those with a lower sid come first; theirs is any
 * order.
 */
void members_print(const struct members *m, struct buf *to);

/*
 * Two members that listen at the same place, or one that does so twice: its sid, with *f; -1: there
 * is none. Apache's server finds that out when it cannot listen.
 */
int64_t members_address_clash(const struct members *m, struct fault *f);

/* What an operator should hear of, or NULL: an even number of voters, or too few to lose one. */
const char *members_warning(const struct members *m);

/* NULL: not a member. Any number may be asked for. */
const struct member *members_find(const struct members *m, int64_t sid);

/* A member that votes, if only with weight 0. */
bool members_is_voter(const struct members *m, int64_t sid);

unsigned members_voter_count(const struct members *m);

/* What a voter's vote weighs: 1 unless the configuration says otherwise; 0 for all others. */
uint32_t members_weight(const struct members *m, int64_t sid);

/*
 * Is this set a quorum? More than half of the voters; or more than half of the groups that have a
 * weight, each with more than half of its own. Others in the set than voters do not count. Any two
 * quorums of one configuration have a voter in common.
 */
bool members_quorum(const struct members *m, const struct sid_set *set);

/* The same members, roles, addresses (as text), groups and weights, whatever their versions. */
bool members_same(const struct members *a, const struct members *b);

#endif
