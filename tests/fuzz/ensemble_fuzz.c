/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three members of an ensemble and clients at all of them: requests, connections that move, disks
 * and messages that lag, leaders that change, in any order. In the end all members have the same.
 *
 * The first byte is of enum option; the steps are as client_script.h has them, of enum step.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/codec/zk_wire.h"
#include "tests/fuzz/client_script.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/ensemble_rig.h"

#define PASS_MS_MAX (1 << 17)

enum option {
	ROUNDS = 3, /* so often everything moves by one after each step; 3: until it is quiet */
	LOCAL_SESSIONS = 4,
	LOCAL_UPGRADE = 8,
	QUOTA = 16,
	LINGER = 32, /* connections that the server has ended are not closed by its shell yet */
};

/* In the order of enum script_step, so that one mutator serves both. */
enum step {
	ASK,	   /* a frame; who is not connected connects first */
	TO_LEADER, /* a message of this member gets there */
	RESUME,	   /* the session that another client had, at some member */
	CLOSE,
	PASS, /* so many ms; everything is settled */
	DISK,
	FROM_LEADER,
	ELECT,
	STEPS
};

static int64_t sessions[CLIENTS]; /* the last that each had */
static uint8_t options;

static void
put_frame(int i, const uint8_t *bytes, size_t size)
{
	struct client *c = &clients[i];
	struct server_frame f = {.bytes = bytes, .size = (uint32_t)size};
	struct server *s = &nodes[ensemble_node_of(c)].server;

	if (server_conn_blocked(s, &c->conn))
		return; /* it would wait, and what comes later is as good */
	if (server_frame_is_auth(&c->conn, &f)) {
		server_auth(s, &c->conn, ZK_XID_AUTH, size % 2 == 0);
		return;
	}
	buf_clear(&request);
	buf_append(&request, bytes, size);
	ensemble_send(c);
}

static void
ask(int i, const struct script_line *l)
{
	if (ensemble_node_of(&clients[i]) < 0)
		ensemble_connect(&clients[i], i % NODES, 0, 0, NULL);
	else
		put_frame(i, l->bytes, l->size);
}

static void
resume(int i, uint32_t n)
{
	uint8_t password[SESSION_PASSWORD_BYTES];
	int64_t session = sessions[n % CLIENTS];

	if (ensemble_node_of(&clients[i]) >= 0)
		return;
	session_password(session, password);
	ensemble_connect(&clients[i], (int)(n / CLIENTS % NODES), 0, session, password);
}

static void
do_step(const struct script_line *l)
{
	int who = l->peer % CLIENTS, n = l->peer % NODES;
	uint32_t number = 0;

	for (size_t i = 0; i < l->size && i < 4; i++)
		number = number << 8 | l->bytes[i];
	switch ((enum step)(l->kind % STEPS)) {
	case ASK:
		ask(who, l);
		break;
	case TO_LEADER:
		if (n != leader)
			ensemble_to_leader(n);
		break;
	case RESUME:
		resume(who, number);
		break;
	case CLOSE:
		ensemble_close(&clients[who]);
		break;
	case PASS:
		ensemble_pass(number % PASS_MS_MAX);
		break;
	case DISK:
		ensemble_disk(n);
		break;
	case FROM_LEADER:
		if (n != leader)
			ensemble_from_leader(n);
		break;
	case ELECT:
		ensemble_elect(n);
		break;
	case STEPS:
		break;
	}
}

/* What the shells do: read the replies, close what has ended. */
static void
attend(void)
{
	for (int i = 0; i < NODES; i++) {
		while (server_next_dirty(&nodes[i].server) != NULL)
			continue;
		while (server_next_resting(&nodes[i].server) != NULL)
			continue;
	}
	for (int i = 0; i < CLIENTS; i++) {
		struct client *c = &clients[i];

		if (c->conn.out == NULL)
			continue;
		if (c->conn.session_id != 0)
			sessions[i] = c->conn.session_id;
		buf_clear(&c->out);
		if (c->conn.end != SERVER_OPEN && (options & LINGER) == 0)
			ensemble_close(c);
	}
}

static void
move(void)
{
	if ((options & ROUNDS) == ROUNDS)
		ensemble_settle();
	for (int r = 0; r < (options & ROUNDS); r++) {
		for (int i = 0; i < NODES; i++) {
			ensemble_disk(i);
			if (i == leader)
				continue;
			ensemble_to_leader(i);
			ensemble_from_leader(i);
		}
	}
	attend();
}

static void
expect_same(void)
{
	const struct db *a = &nodes[leader].db;

	for (int i = 0; i < NODES; i++) {
		const struct db *b = &nodes[i].db;

		assert(a->last_zxid == b->last_zxid || a->last_zxid == (a->last_zxid >> 32) << 32);
		assert(a->tree.digest == b->tree.digest);
		assert(a->tree.node_count == b->tree.node_count);
		assert(a->tree.ephemeral_count == b->tree.ephemeral_count);
		assert(session_count(&a->sessions) == session_count(&b->sessions));
		assert(b->digest_mismatches == 0 && !nodes[i].server.failed);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct script_line line;
	size_t at = 1;

	if (size == 0)
		return 0;
	options = bytes[0];
	ensemble_setup();
	for (int i = 0; i < NODES; i++) {
		struct server_settings *s = &nodes[i].server.settings;

		s->local_sessions = (options & LOCAL_SESSIONS) != 0;
		s->local_upgrade = (options & LOCAL_UPGRADE) != 0;
		nodes[i].server.prep.enforce_quota = (options & QUOTA) != 0;
	}
	for (int i = 0; i < CLIENTS; i++)
		sessions[i] = 0;
	while (script_next(bytes, size, &at, &line)) {
		do_step(&line);
		move();
	}
	ensemble_settle();
	attend();
	ensemble_settle();
	expect_same();
	ensemble_teardown();
	return 0;
}
