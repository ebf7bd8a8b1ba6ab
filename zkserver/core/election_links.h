/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which connections there are on the election ports: one between any two servers, made by the one
 * with the larger id. The other one, when it has something to say and no connection, connects all
 * the same, says who it is and hangs up, and is called back. Also: what waits to be sent (the
 * newest message for each, nothing else), and when to try again, for each by itself, so that one
 * that does not answer holds up nobody.
 *
 * Knows no sockets: a link is a pointer of the caller's. It says which to dial, which to hang up,
 * and what to send; and is told what became of it.
 */
#ifndef CORRAL_ZKSERVER_CORE_ELECTION_LINKS_H
#define CORRAL_ZKSERVER_CORE_ELECTION_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/buf.h"
#include "zkserver/core/election.h"
#include "zkserver/core/members.h"
#include "zkserver/core/notification.h"

#define ELECTION_DIAL_MIN_MS 10 /* between attempts, doubling; the first is made at once */
#define ELECTION_DIAL_MAX_MS 2000
#define ELECTION_CONNECT_MS 5000 /* zookeeper.cnxTimeout */
/*
 * A server that we have asked to call should have done so. It may have been about to end, and its
 * port to be closed: that it has ended is seen at the next attempt, for which an election waits.
 */
#define ELECTION_CALL_BACK_MS 30
#define ELECTION_SETTLED_MS 1000   /* a link that is younger is what a caller asks for */
#define ELECTION_LIVED_MS 20	   /* one that lived so long is made anew at once */
#define ELECTION_STUCK_DIAL_MS 200 /* an attempt is given up for a new one if the peer calls */
#define ELECTION_STRANGERS_MAX 64  /* servers that are no members, at a time */
#define ELECTION_STRANGER_DIALS_MAX 3

struct election_links_ops {
	/*
	 * Connect to a server, and say election_links_dialled() or _dial_failed(). address NULL:
	 * where the configuration says. There is one attempt at a time for each.
	 */
	void (*dial)(void *arg, int64_t sid, const char *address);
	void (*give_up_dial)(void *arg, int64_t sid);
	/* Close it; flush: when what was sent is sent. It is not mentioned again. */
	void (*hang_up)(void *arg, void *link, bool flush);
	/* Send our hello. */
	void (*send_hello)(void *arg, void *link);
	/* Send a message. False: not now; election_links_writable() will be called. */
	bool (*send)(void *arg, void *link, const uint8_t *bytes, size_t size);
	/* A server can be reached now, or cannot. Of this module it may call _send() only. */
	void (*changed)(void *arg, int64_t sid, enum election_link state);
};

struct election_links_settings {
	int64_t sid;
	uint32_t connect_ms;
	bool members_move; /* where a member says that it is counts: reconfigEnabled */
};

struct election_peer {
	bool member; /* its address is known */
	bool kept;   /* connected to whether there is something to say or not */
	bool dialling;
	bool queued; /* `last` was not sent on any link */
	void *link;  /* NULL: none */
	uint64_t link_ms, dial_ms;
	uint64_t retry_at_ms; /* UINT64_MAX: no attempt is due */
	uint32_t wait_ms;     /* before the attempt after the next failure; 0: at once */
	uint32_t failures;
	enum election_link state;
	struct buf last; /* the newest message */
	char *address;	 /* that it gave in its hello; NULL: none that counts */
};

struct election_links {
	struct election_links_settings settings;
	const struct election_links_ops *ops;
	void *arg;
	unsigned stranger_count;
	struct election_peer *peers[MEMBERS_SID_MAX + 1]; /* by sid; NULL: unknown */
};

/* What became of a connection whose hello was read. */
enum election_hello {
	ELECTION_HELLO_KEPT,	   /* it is the link to this server now */
	ELECTION_HELLO_CALL_BACK,  /* close it: that server is connected to instead */
	ELECTION_HELLO_OURSELVES,  /* close it: another server has our id, or we have its address */
	ELECTION_HELLO_UNKNOWN,	   /* close it: not a member */
	ELECTION_HELLO_IMPOSSIBLE, /* close it: not an id that a member may have */
	ELECTION_HELLO_NO_MEMORY,
};

void election_links_init(struct election_links *l, const struct election_links_settings *settings,
    const struct election_links_ops *ops, void *arg);

/* Memory only: the links are the caller's to close. */
void election_links_fini(struct election_links *l);

/*
 * Who there is: all members of both configurations (next may be NULL), their voters to be kept
 * connected. A member that is none any more becomes a stranger, or is hung up. False: no memory;
 * call it again.
 */
bool election_links_set_members(struct election_links *l, uint64_t now_ms,
    const struct members *now, const struct members *next);

/* The hello of an accepted connection. The link is only taken if the answer is KEPT. */
enum election_hello election_links_hello(
    struct election_links *l, uint64_t now_ms, void *link, const struct hello *hello);

/* A dialled connection is up: the link is taken. */
void election_links_dialled(struct election_links *l, uint64_t now_ms, int64_t sid, void *link);
void election_links_dial_failed(struct election_links *l, uint64_t now_ms, int64_t sid);

/* A link has ended without our doing. */
void election_links_closed(struct election_links *l, uint64_t now_ms, int64_t sid, void *link);

/* There is room again after send() has said no. */
void election_links_writable(struct election_links *l, int64_t sid, void *link);

/* A message for a server: takes the place of one that is still to be sent. Copied. */
void election_links_send(
    struct election_links *l, uint64_t now_ms, int64_t sid, const uint8_t *bytes, size_t size);

/* Call election_links_tick() then; UINT64_MAX: never. */
uint64_t election_links_deadline_ms(const struct election_links *l);
void election_links_tick(struct election_links *l, uint64_t now_ms);

#endif
