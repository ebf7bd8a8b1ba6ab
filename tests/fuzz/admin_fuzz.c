/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators, and whoever reaches their ports, send: a word under a whitelist, a command's name
 * with a trace mask, a path under which watches are listed, a request that is audited. By the first
 * byte: w, c, p, a. Whatever comes in, JSON and audit lines have no control character of it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/io/loop.h"
#include "tests/fuzz/fuzz.h"
#include "zkserver/admin.h"
#include "zkserver/client_conn.h"
#include "zkserver/client_port.h"

#define NAME_MAX_BYTES 256

static struct zoo_conf conf;
static struct db db;
static struct server server;
static struct admin admin;
static struct client_conn conn;
static struct audit audit;
static size_t line_count;

static void
on_line(void *arg, const char *text, size_t size, bool failure)
{
	(void)arg;
	(void)failure;
	for (size_t i = 0; i < size; i++)
		assert((unsigned char)text[i] >= ' ' || text[i] == '\t');
	line_count++;
}

static void
begin(void)
{
	static const struct server_settings settings = {.tick_ms = 1000,
	    .min_timeout_ms = 2000,
	    .max_timeout_ms = 20000,
	    .frame_bytes_max = 0xfffff,
	    .snap_count = 100,
	    .outstanding_max = 1000};
	static const struct hash_key key = {1, 2};
	struct client_port_config config = {.server = &server, .conf = &conf, .admin = &admin};
	char why[256];

	zoo_conf_default(&conf, "/nonexistent");
	conf.client_port = 0;
	assert(db_init(&db, &key, 1000));
	server_init(&server, &settings, &db, 1, 1000, 1000);
	admin_init(&admin, &conf, &server);
	assert((config.loop = loop_new()) != NULL);
	assert((admin.clients = client_port_open(&config, why, sizeof why)) != NULL);
	buf_init(&conn.out, 1 << 20);
	assert(server_conn_open(&server, &conn.core, &conn.out, "127.0.0.1"));
	audit = (struct audit){.line = on_line, .user = "me"};
	audit_init(&audit);
}

/* No byte of JSON may end a text or forge a line. */
static void
check_json(const struct report *r)
{
	bool quoted = false;

	for (size_t i = 0; i < r->buf.len; i++) {
		uint8_t c = r->buf.data[i];

		assert(c >= ' ' || (c == '\n' && !quoted));
		if (c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
	}
	assert(!quoted);
}

static void
word(const uint8_t *bytes, size_t size)
{
	const struct admin_command *c;
	struct admin_call q = {.admin = &admin, .word = bytes};
	struct report r;
	size_t len;

	if (size < ADMIN_WORD_BYTES_MAX || (c = admin_find_word(bytes)) == NULL)
		return;
	len = size - ADMIN_WORD_BYTES_MAX;
	len = len < sizeof conf.words ? len : sizeof conf.words - 1;
	memcpy(conf.words, bytes + ADMIN_WORD_BYTES_MAX, len);
	conf.words[len] = '\0';
	report_init(&r, -1);
	admin_put_text(&q, c, &r);
	assert(report_finish(&r));
	report_fini(&r);
}

static void
command(const uint8_t *bytes, size_t size)
{
	char text[NAME_MAX_BYTES * 2] = {0};
	const struct admin_command *c;
	struct admin_call q = {.admin = &admin};
	struct report r;

	memcpy(text, bytes, size < sizeof text ? size : sizeof text - 1);
	if (strlen(text) + 1 < sizeof text && strlen(text) < size)
		q.trace_mask = text + strlen(text) + 1;
	report_init(&r, -1);
	if ((c = admin_find_name(text)) != NULL)
		admin_put_json(&q, c, &r);
	else
		admin_put_json_error(text, text, &r);
	assert(report_finish(&r));
	check_json(&r);
	report_fini(&r);
}

static void
watched_path(const uint8_t *bytes, size_t size)
{
	static const char *const names[] = {"watches", "watches_by_path", "watch_summary"};
	struct admin_call q = {.admin = &admin};
	struct report r;

	assert(watch_add(&server.watches, WATCH_DATA, WATCH_ONCE,
	    (struct jute_bytes){bytes, (int32_t)size}, &conn.core.watcher));
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		report_init(&r, -1);
		admin_put_json(&q, admin_find_name(names[i]), &r);
		assert(report_finish(&r));
		check_json(&r);
		report_fini(&r);
	}
	watch_remove_all(&server.watches, &conn.core.watcher);
}

/* A request of any operation, and then more or fewer parts than it has. */
static void
audited(const uint8_t *bytes, size_t size)
{
	struct jute_reader r = jute_reader(bytes, size);
	struct apply_part part = {.type = ZK_OP_CREATE, .path = {bytes, (int32_t)size}};
	struct prep_request q = {.session = 1, .who = &conn.core.ids};
	uint8_t parts = jute_get_u8(&r);

	q.type = jute_get_i32(&r);
	q.body = r;
	if (r.bad)
		return;
	assert(audit_submitted(&audit, &q, 7));
	audit_begin(&audit, 6); /* somebody else's */
	audit_part(&audit, &part);
	audit_end(&audit);
	audit_begin(&audit, 7);
	for (uint8_t i = 0; i < parts % 16; i++) {
		part.error = i % 3 == 2 ? ZK_NONODE : ZK_OK;
		part.type = i % 5 == 4 ? ZK_OP_ERROR : q.type;
		audit_part(&audit, &part);
	}
	audit_end(&audit);
	assert(audit.waiting.len == 0 && audit.text.len == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static bool begun;

	if (!begun)
		begin();
	begun = true;
	if (size == 0)
		return 0;
	switch (bytes[0]) {
	case 'w':
		word(bytes + 1, size - 1);
		break;
	case 'c':
		command(bytes + 1, size - 1);
		break;
	case 'p':
		watched_path(bytes + 1, size - 1);
		break;
	case 'a':
		audited(bytes + 1, size - 1);
		break;
	}
	return 0;
}
