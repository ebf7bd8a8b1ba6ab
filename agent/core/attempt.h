/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt as its agent knows it, from the launch (or from a kill that came before it) until its
 * outcome is acknowledged and its sandbox is gone, and the stream of its updates.
 */
#ifndef CORRAL_AGENT_ATTEMPT_H
#define CORRAL_AGENT_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/hmap.h"
#include "libcommon/base/list.h"
#include "libcommon/codec/taskkey.h"
#include "proto/corral.pb-c.h"

#define ATTEMPT_PSK_BYTES 32
#define ATTEMPT_UUID_BYTES 16
#define ATTEMPT_UPDATES_MAX                                                                        \
	8 /* an executor makes two, each re-adoption one; beyond: the oldest RUNNING goes */

enum attempt_phase {
	ATTEMPT_LAUNCHING,  /* checkpointed, the helper was asked; no executor has reported in */
	ATTEMPT_LIVE,	    /* its executor is connected */
	ATTEMPT_RECOVERING, /* its executor is not connected, and not proven dead */
	ATTEMPT_READING,    /* its executor is dead: did it leave a final status? */
	ATTEMPT_KILLING,    /* no: what it left is killed until it is proven empty */
	ATTEMPT_OVER,	 /* the terminal update is made; not yet acknowledged, or not cleaned up */
	ATTEMPT_SETTLED, /* both are done; the key is remembered so that it is never launched again
			  */
};

struct attempt_update {
	struct list link;
	Corral__StatusUpdate *message; /* owned */
};

struct attempt {
	struct hmap_node node;
	struct list
	    link; /* of the core's list of its kind: active, or settled in order of settlement */
	struct taskkey key;
	char name[TASKKEY_NAME_BYTES];
	Corral__TaskKey *key_message; /* owned */
	Corral__TaskSpec *spec;	      /* owned; NULL once it is over */
	uint8_t psk[ATTEMPT_PSK_BYTES];
	enum attempt_phase phase;
	Corral__TaskState state;
	int64_t pid; /* of the executor; 0: not known */
	uint64_t start_time;
	bool executor_known; /* pid and start time are checkpointed: the word may be given */
	bool linked;
	bool kill_wanted;
	Corral__Term kill_term;		/* ... in which term, as the last master said that */
	bool recovering_told;		/* the master was told RECOVERING */
	Corral__TaskReason lost_reason; /* to give when it turns out to be lost */
	struct list updates;		/* not acknowledged; the first is on its way */
	unsigned update_count;
	uint32_t sequence; /* of the last update made */
	uint8_t seen_uuids[ATTEMPT_UPDATES_MAX]
			  [ATTEMPT_UUID_BYTES]; /* of the latest updates, a ring */
	unsigned seen_count;
	uint64_t send_at_ms; /* when the first update goes out (again) */
	uint64_t send_wait_ms;
	uint64_t look_at_ms; /* when to probe, kill or clean next; 0: not waiting for that */
	uint64_t look_wait_ms;
	uint64_t give_up_at_ms; /* RECOVERING: when a silent executor is killed */
	unsigned looks;		/* ... at which it was alive, since it went silent */
	uint64_t lease_end_ms;	/* of a singleton: as its helper or executor was told */
	uint64_t end_by_ms;	/* a singleton that has to end: killed then; 0: it need not */
	uint64_t killed_at_ms;	/* KILLING: since when; 0: not */
	bool stuck;		/* what is left of it was killed and does not die */
	bool asked;		/* a request to the helper is on its way */
	bool cleaned;		/* cgroups are gone */
	uint64_t settled_at_ms;
};

struct attempt_table {
	struct hmap map;
	struct hash_key hash_key;
};

/* A new attempt in the table, LAUNCHING; key and spec (may be NULL) are copied. NULL: no memory. */
struct attempt *attempt_new(
    struct attempt_table *t, const Corral__TaskKey *key, const Corral__TaskSpec *spec);
void attempt_free(struct attempt_table *t, struct attempt *a);
struct attempt *attempt_find(const struct attempt_table *t, const struct taskkey *key);
/* By its name; for the pre-shared key's identity. */
struct attempt *attempt_find_name(const struct attempt_table *t, const char *name);

bool attempt_state_is_terminal(Corral__TaskState state);

/* Put a copy of the update behind the others. False: no memory. */
bool attempt_add_update(struct attempt *a, const Corral__StatusUpdate *update);
Corral__StatusUpdate *attempt_first_update(struct attempt *a); /* NULL: none */
void attempt_drop_first_update(struct attempt *a);

/* The executor's update was seen before (and is remembered from now on). */
bool attempt_saw_uuid(struct attempt *a, const ProtobufCBinaryData *uuid);

/* Copies by encoding and decoding. NULL: no memory. */
Corral__TaskKey *attempt_copy_key(const Corral__TaskKey *key);
Corral__TaskSpec *attempt_copy_spec(const Corral__TaskSpec *spec);
Corral__StatusUpdate *attempt_copy_update(const Corral__StatusUpdate *update);

#endif
