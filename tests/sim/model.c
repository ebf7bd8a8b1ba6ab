/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libdeflate.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/hash.h"
#include "libcommon/codec/jute.h"
#include "libcommon/codec/zk_err.h"
#include "libcommon/codec/zk_wire.h"
#include "zkserver/core/txn.h"
#include "zkserver/core/tree.h"
#include "zkserver/core/watch.h"

#define STAT_DIGEST_BYTES 60
#define INDEX_SIZE_MIN 256

static const struct hash_key KEY = {3, 4};

static void *
must(void *p)
{
	if (p == NULL) {
		fputs("zksim: no memory for the model\n", stderr);
		exit(71);
	}
	return p;
}

uint32_t
model_hash(const char *path)
{
	if (strcmp(path, "/") == 0)
		path = "";
	return (uint32_t)hash_bytes(&KEY, path, strlen(path));
}

uint64_t
model_acl(struct jute_bytes list)
{
	return list.len > 0 ? hash_bytes(&KEY, list.data, (size_t)list.len) : 0;
}

static struct model_node *
find(const struct model *m, const char *path)
{
	uint32_t hash = model_hash(path);

	if (strcmp(path, "/") == 0)
		path = "";
	for (size_t at = hash; m->index_size > 0; at++) {
		uint32_t i = m->index[at & (m->index_size - 1)];

		if (i == 0)
			break;
		if (m->nodes[i - 1].hash == hash && strcmp(m->nodes[i - 1].path, path) == 0)
			return &m->nodes[i - 1];
	}
	return NULL;
}

static void
index_node(struct model *m, uint32_t i)
{
	size_t at = m->nodes[i].hash;

	while (m->index[at & (m->index_size - 1)] != 0)
		at++;
	m->index[at & (m->index_size - 1)] = i + 1;
}

/* At most half of it is in use. */
static void
grow_index(struct model *m)
{
	if (2 * m->node_count < m->index_size)
		return;
	free(m->index);
	m->index_size = m->index_size > 0 ? 2 * m->index_size : INDEX_SIZE_MIN;
	m->index = must(calloc(m->index_size, sizeof(*m->index)));
	for (size_t i = 0; i < m->node_count; i++)
		index_node(m, (uint32_t)i);
}

static struct model_node *
find_or_add(struct model *m, const char *path)
{
	struct model_node *n = find(m, path);

	if (n != NULL)
		return n;
	if (m->node_count == m->node_cap) {
		m->node_cap = m->node_cap > 0 ? 2 * m->node_cap : 64;
		m->nodes = must(realloc(m->nodes, m->node_cap * sizeof(*m->nodes)));
	}
	grow_index(m);
	n = &m->nodes[m->node_count++];
	*n = (struct model_node){.path = must(strdup(path)), .hash = model_hash(path)};
	index_node(m, (uint32_t)(m->node_count - 1));
	return n;
}

static uint8_t *
copy(const uint8_t *bytes, int32_t len)
{
	uint8_t *p = must(malloc(len > 0 ? (size_t)len : 1));

	if (len > 0)
		memcpy(p, bytes, (size_t)len);
	return p;
}

/* The state of a node to be changed at zxid: a copy of the last one, or that of this zxid itself.
 */
static struct model_state *
change(struct model_node *n, int64_t zxid)
{
	struct model_state *s;

	if (n->count > 0 && n->states[n->count - 1].zxid == zxid)
		return &n->states[n->count - 1];
	if (n->count == n->cap) {
		n->cap = n->cap > 0 ? 2 * n->cap : 4;
		n->states = must(realloc(n->states, n->cap * sizeof(*n->states)));
	}
	s = &n->states[n->count++];
	*s = n->count > 1 ? s[-1] : (struct model_state){.len = -1};
	s->data = copy(s->data, s->len);
	s->zxid = zxid;
	return s;
}

static void
set_data(struct model_state *s, struct jute_bytes data)
{
	free(s->data);
	s->data = copy(data.data, data.len);
	s->len = data.len;
}

static const struct model_state *
latest(const struct model_node *n)
{
	return n != NULL && n->count > 0 && n->states[n->count - 1].exists
		   ? &n->states[n->count - 1]
		   : NULL;
}

static void
complain(struct model *m, const char *name, const char *what, const char *path, int64_t zxid)
{
	if (m->wrong[0] == '\0')
		snprintf(m->wrong, sizeof(m->wrong), "%s: zxid 0x%llx %s %.64s", name,
		    (unsigned long long)zxid, what, path);
}

/* The parent's path, in a buffer of the caller's. */
static const char *
parent_of(const char *path, char to[1024])
{
	snprintf(to, 1024, "%s", path);
	*strrchr(to, '/') = '\0';
	return to;
}

static void
happen(struct model *m, int64_t zxid, enum watch_event type, const struct model_node *n)
{
	if (m->event_count == m->event_cap) {
		m->event_cap = m->event_cap > 0 ? 2 * m->event_cap : 64;
		m->events = must(realloc(m->events, m->event_cap * sizeof(*m->events)));
	}
	m->events[m->event_count++] = (struct model_event){.zxid = zxid,
	    .type = type,
	    .hash = n->hash,
	    .path = n->path[0] != '\0' ? n->path : "/",
	    .acl = n->states[n->count - 1].acl};
}

/*
 * C7: the number of a name that was made is what its parent has counted, and nobody below it ever
 * had it: such names are all below nodes whose own begins with a q.
 */
static void
check_number(
    struct model *m, const char *path, const struct model_state *parent, int64_t zxid, bool fresh)
{
	const char *name = strrchr(path, '/') + 1;
	char right[16];

	if (path[1] != 'q' || name == path + 1)
		return;
	snprintf(right, sizeof(right), "%010d", parent->cversion);
	if (strlen(name) < 2 || strcmp(name + 1, right) != 0)
		complain(m, "C7", "has a number that is not its parent's:", path, zxid);
	else if (!fresh)
		complain(m, "C7", "has a number that was there before:", path, zxid);
}

/* The number of a thing has become one more. */
static void
check_next(
    struct model *m, const char *name, int32_t was, int32_t is, const char *path, int64_t zxid)
{
	if (is != (int32_t)((uint32_t)was + 1))
		complain(m, name, "makes a version that is not the next one:", path, zxid);
}

static void
apply_create(
    struct model *m, const struct txn_header *h, const struct txn_body *b, const char *path)
{
	struct model_node *n = find_or_add(m, path), *parent;
	struct model_state *s;
	bool fresh;
	char text[1024];

	parent = find(m, parent_of(path, text));
	if (latest(n) != NULL)
		complain(m, "C1", "creates what exists:", path, h->zxid);
	if (latest(parent) == NULL) {
		complain(m, "C1", "creates below nothing:", path, h->zxid);
		return;
	}
	if (b->owner > 0 && !model_has_session(m, b->owner))
		complain(m, "S8", "creates for a session that is none:", path, h->zxid);
	fresh = n->count == 0 || n->states[n->count - 1].zxid < latest(parent)->czxid;
	check_number(m, path, latest(parent), h->zxid, fresh);
	s = change(n, h->zxid);
	s->exists = true;
	s->czxid = s->mzxid = s->pzxid = h->zxid;
	s->ctime = s->mtime = h->time_ms;
	s->owner = b->owner;
	s->version = s->cversion = s->aversion = 0;
	s->children = s->changes = 0;
	s->acl = model_acl(b->acl);
	set_data(s, b->data);
	s = change(parent, h->zxid);
	if (b->version >= 0)
		check_next(m, "C7", s->cversion, b->version, path, h->zxid);
	s->cversion = b->version >= 0 ? b->version : s->cversion + 1;
	s->pzxid = h->zxid;
	s->children++;
	s->changes++;
	happen(m, h->zxid, WATCH_NODE_CREATED, n);
	happen(m, h->zxid, WATCH_CHILDREN_CHANGED, parent);
}

static void
apply_delete(struct model *m, int64_t zxid, const char *path)
{
	struct model_node *n = find(m, path), *parent;
	struct model_state *s;
	char text[1024];

	if (latest(n) == NULL) {
		complain(m, "C1", "deletes what is not there:", path, zxid);
		return;
	}
	if (latest(n)->children > 0)
		complain(m, "C1", "deletes a parent:", path, zxid);
	change(n, zxid)->exists = false;
	parent = find(m, parent_of(path, text));
	s = change(parent, zxid);
	s->pzxid = zxid;
	s->children--;
	s->changes++;
	happen(m, zxid, WATCH_NODE_DELETED, n);
	happen(m, zxid, WATCH_CHILDREN_CHANGED, parent);
}

/* A container that was used, or a TTL node whose time is over (NULL: neither). */
static bool
is_due(const struct model_state *s, int64_t wall_ms)
{
	if (s == NULL || s->owner >= 0)
		return false;
	if (s->owner == TREE_CONTAINER_OWNER)
		return s->cversion > 0;
	return wall_ms - s->mtime > (s->owner & TREE_TTL_MAX_MS);
}

static void
apply_body(struct model *m, const struct txn_header *h, const struct txn_body *b)
{
	char path[1024];
	struct model_node *n;
	struct model_state *s;

	snprintf(path, sizeof(path), "%.*s", b->path.len > 0 ? b->path.len : 0,
	    (const char *)b->path.data);
	switch (b->type) {
	case ZK_OP_CREATE:
	case ZK_OP_CREATE2:
	case ZK_OP_CREATE_CONTAINER:
	case ZK_OP_CREATE_TTL:
		apply_create(m, h, b, path);
		return;
	case ZK_OP_DELETE_CONTAINER:
		if (!is_due(latest(find(m, path)), h->time_ms))
			complain(m, "C1", "deletes before its time:", path, h->zxid);
		apply_delete(m, h->zxid, path);
		return;
	case ZK_OP_DELETE:
		apply_delete(m, h->zxid, path);
		return;
	case ZK_OP_SET_DATA:
	case ZK_OP_SET_ACL:
	case ZK_OP_RECONFIG: /* its version is none, and servers rewrite the node by themselves */
		break;
	default:
		return;
	}
	if ((n = find(m, path)) == NULL || latest(n) == NULL) {
		complain(m, "C1", "sets what is not there:", path, h->zxid);
		return;
	}
	s = change(n, h->zxid);
	if (b->type == ZK_OP_SET_ACL) {
		check_next(m, "C8", s->aversion, b->version, path, h->zxid);
		s->aversion = b->version;
		s->acl = model_acl(b->acl);
		return;
	}
	if (b->type != ZK_OP_RECONFIG)
		check_next(m, "C8", s->version, b->version, path, h->zxid);
	set_data(s, b->data);
	s->version = b->version;
	s->mzxid = h->zxid;
	s->mtime = h->time_ms;
	happen(m, h->zxid, WATCH_DATA_CHANGED, n);
}

static void
apply_multi(struct model *m, const struct txn *t)
{
	struct jute_reader r = t->body.rest;
	struct txn_body part;
	bool failed = false;

	for (int32_t i = 0; i < t->body.count && txn_next_part(&r, &t->header, &part); i++)
		failed = failed || part.type == ZK_OP_ERROR;
	r = t->body.rest;
	for (int32_t i = 0; !failed && i < t->body.count && txn_next_part(&r, &t->header, &part);
	     i++)
		apply_body(m, &t->header, &part);
}

static void
apply_close(struct model *m, const struct txn *t)
{
	struct jute_reader r = t->body.rest;
	char path[1024];

	for (int32_t i = 0; i < t->body.count; i++) {
		struct jute_bytes b = jute_get_bytes(&r);

		snprintf(path, sizeof(path), "%.*s", b.len > 0 ? b.len : 0, (const char *)b.data);
		apply_delete(m, t->header.zxid, path);
	}
	for (size_t i = 0; i < m->session_count; i++)
		if (m->sessions[i] == t->header.session)
			m->sessions[i] = m->sessions[--m->session_count];
	for (size_t i = 0; i < m->node_count; i++)
		if (latest(&m->nodes[i]) != NULL &&
		    latest(&m->nodes[i])->owner == t->header.session)
			complain(
			    m, "S4", "ends a session but leaves", m->nodes[i].path, t->header.zxid);
}

void
model_apply(struct model *m, const uint8_t *bytes, size_t size)
{
	struct txn t;

	if (!txn_decode(&t, bytes, size)) {
		complain(m, "Z3", "is no transaction", "", m->applied + 1);
		return;
	}
	if (t.header.zxid <= m->applied)
		complain(m, "Z5", "is out of order", "", t.header.zxid);
	m->applied = t.header.zxid;
	if (t.body.type == ZK_OP_CREATE_SESSION) {
		if (!model_has_session(m, t.header.session) &&
		    m->session_count < MODEL_SESSIONS_MAX)
			m->sessions[m->session_count++] = t.header.session;
	} else if (t.body.type == ZK_OP_CLOSE_SESSION)
		apply_close(m, &t);
	else if (t.body.type == ZK_OP_MULTI)
		apply_multi(m, &t);
	else
		apply_body(m, &t.header, &t.body);
}

/* The four nodes of a new ensemble. */
static void
add_first_nodes(struct model *m)
{
	static const char *const paths[] = {
	    "", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"};

	for (size_t i = 0; i < 4; i++) {
		struct model_state *s = change(find_or_add(m, paths[i]), 0);

		s->exists = true;
		s->len = 0;
		s->children = i == 0 ? 1 : i == 1 ? 2 : 0;
	}
}

void
model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	add_first_nodes(m);
}

static void
drop_nodes(struct model *m)
{
	for (size_t i = 0; i < m->node_count; i++) {
		for (size_t k = 0; k < m->nodes[i].count; k++)
			free(m->nodes[i].states[k].data);
		free(m->nodes[i].states);
		free(m->nodes[i].path);
	}
	if (m->index_size > 0)
		memset(m->index, 0, m->index_size * sizeof(*m->index));
	m->node_count = m->session_count = m->event_count = 0;
	m->applied = 0;
}

void
model_fini(struct model *m)
{
	drop_nodes(m);
	for (size_t i = 0; i < m->record_count; i++)
		free(m->records[i].bytes);
	free(m->records);
	free(m->nodes);
	free(m->index);
	free(m->events);
	memset(m, 0, sizeof(*m));
}

void
model_record(struct model *m, const uint8_t *bytes, size_t size)
{
	if (m->record_count == m->record_cap) {
		m->record_cap = m->record_cap > 0 ? 2 * m->record_cap : 256;
		m->records = must(realloc(m->records, m->record_cap * sizeof(*m->records)));
	}
	m->records[m->record_count++] = (struct model_record){copy(bytes, (int32_t)size), size};
}

void
model_advance(struct model *m, int64_t zxid)
{
	while (m->applied < zxid && (size_t)m->applied < m->record_count) {
		const struct model_record *r = &m->records[m->applied];
		int64_t next = m->applied + 1;

		model_apply(m, r->bytes, r->size);
		if (m->applied != next)
			complain(m, "Z5", "is out of order", "", m->applied);
		m->applied = next;
	}
}

void
model_rewind(struct model *m, int64_t zxid)
{
	while (m->record_count > (size_t)zxid)
		free(m->records[--m->record_count].bytes);
	drop_nodes(m);
	add_first_nodes(m);
	model_advance(m, zxid);
}

static uint64_t
node_digest(const char *path, const struct model_state *s)
{
	uint8_t stat[STAT_DIGEST_BYTES];
	struct buf b = {.data = stat, .cap = sizeof(stat), .max_bytes = sizeof(stat)};
	uint32_t crc = libdeflate_crc32(0, (const uint8_t *)path, strlen(path));

	if (s->len > 0)
		crc = libdeflate_crc32(crc, s->data, s->len);
	jute_put_i64(&b, s->czxid);
	jute_put_i64(&b, s->mzxid);
	jute_put_i64(&b, s->pzxid);
	jute_put_i64(&b, s->ctime);
	jute_put_i64(&b, s->mtime);
	jute_put_i32(&b, s->version);
	jute_put_i32(&b, s->cversion);
	jute_put_i32(&b, s->aversion);
	jute_put_i64(&b, s->owner);
	return libdeflate_crc32(crc, stat, sizeof(stat));
}

uint64_t
model_digest(const struct model *m)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < m->node_count; i++)
		if (latest(&m->nodes[i]) != NULL &&
		    strncmp(m->nodes[i].path, "/zookeeper/", 11) != 0)
			sum += node_digest(m->nodes[i].path, latest(&m->nodes[i]));
	return sum;
}

const struct model_state *
model_at(const struct model *m, const char *path, int64_t zxid)
{
	const struct model_node *n = find(m, path);

	for (size_t i = n != NULL ? n->count : 0; i > 0; i--)
		if (n->states[i - 1].zxid <= zxid)
			return &n->states[i - 1];
	return NULL;
}

bool
model_exists(const struct model *m, const char *path, int64_t zxid)
{
	const struct model_state *s = model_at(m, path, zxid);

	return s != NULL && s->exists;
}

int32_t
model_children(const struct model *m, const char *path, int64_t zxid)
{
	const struct model_state *s = model_at(m, path, zxid);

	return s != NULL && s->exists ? s->children : 0;
}

void
model_count(const struct model *m, const char *path, int64_t *count, int64_t *bytes)
{
	size_t len = strlen(path);

	*count = *bytes = 0;
	for (size_t i = 0; i < m->node_count; i++) {
		const struct model_state *s = latest(&m->nodes[i]);
		const char *p = m->nodes[i].path;

		if (s == NULL || strncmp(p, path, len) != 0 || (p[len] != '/' && p[len] != '\0'))
			continue;
		++*count;
		*bytes += s->len > 0 ? s->len : 0;
	}
}

size_t
model_reapable(const struct model *m, int64_t wall_ms)
{
	size_t count = 0;

	for (size_t i = 0; i < m->node_count; i++)
		count += is_due(latest(&m->nodes[i]), wall_ms) &&
			 model_children(m, m->nodes[i].path, m->applied) == 0;
	return count;
}

bool
model_has_session(const struct model *m, int64_t session)
{
	for (size_t i = 0; i < m->session_count; i++)
		if (m->sessions[i] == session)
			return true;
	return false;
}

bool
model_is_ending(const struct model *m, int64_t session)
{
	struct txn_header h;

	for (size_t i = (size_t)m->applied; i < m->record_count; i++)
		if (txn_decode_header(&h, m->records[i].bytes, m->records[i].size) &&
		    h.session == session && h.type == ZK_OP_CLOSE_SESSION)
			return true;
	return false;
}

size_t
model_events_after(const struct model *m, int64_t zxid)
{
	size_t low = 0, high = m->event_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->events[middle].zxid <= zxid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int64_t
model_fires(const struct model *m, const char *path, bool children, int64_t after)
{
	const struct model_node *n = find(m, path);
	const struct model_state *was = model_at(m, path, after);
	static const struct model_state none;

	if (n == NULL)
		return 0;
	was = was != NULL ? was : &none;
	for (size_t i = 0; i < n->count; i++) {
		const struct model_state *s = &n->states[i];

		if (s->zxid <= after)
			continue;
		if (s->exists != was->exists || s->czxid != was->czxid)
			return s->zxid;
		if (children ? s->pzxid != was->pzxid : s->mzxid != was->mzxid)
			return s->zxid;
		was = s;
	}
	return 0;
}
