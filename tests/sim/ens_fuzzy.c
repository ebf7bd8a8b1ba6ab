/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzy snapshots, as a directory of Apache's server has them: its threads walk the tree while
 * others apply transactions. Ours are the state at one moment (a child process writes them); but a
 * server starts with what is there. The walk is made of two: up to a node drawn by lot what was
 * there when it began, behind it what is there at its end, each node with the children that its
 * parent was seen with. The access lists are those of the beginning: of a node that came later it
 * has the key alone.
 *
 * P6: it gets its name when all that may be in it is durable in the log. P5 is asked at the next
 * start, in ens_check_loaded().
 */
#include <stdlib.h>
#include <string.h>
#include <libdeflate.h>

#include "libcommon/codec/jute.h"
#include "tests/sim/ens_check.h"
#include "zkserver/core/snapshot.h"
#include "zkserver/core/txn.h"

#define STREAM_BYTES_MAX ((size_t)16 << 20)
#define NODES_MAX 512
#define STAT_BYTES 60
#define WALK_MS 400

struct seen_node {
	struct jute_bytes path;
	const uint8_t *bytes;
	size_t size;
};

/* What snapshot_stream() has said. */
struct seen {
	struct seen_node nodes[NODES_MAX];
	size_t count;
	const uint8_t *head; /* sessions and access lists */
	size_t head_size;
};

static int
gather(void *arg, const uint8_t *bytes, size_t size)
{
	buf_append(arg, bytes, size);
	return 0;
}

static void
look(struct ens_node *n, struct buf *to)
{
	buf_init(to, STREAM_BYTES_MAX);
	if (snapshot_stream(&n->db, gather, to) != 0 || to->failed)
		exit(71);
}

static void
skip_acls(struct jute_reader *r)
{
	for (int32_t lists = jute_get_i32(r); lists > 0; lists--) {
		jute_get_i64(r);
		for (int32_t count = jute_get_i32(r); count > 0; count--) {
			jute_get_i32(r);
			jute_get_bytes(r);
			jute_get_bytes(r);
		}
	}
}

/* False: there are too many nodes. */
static bool
read_seen(struct seen *s, const struct buf *b)
{
	struct jute_reader r = jute_reader(b->data, b->len);

	s->count = 0;
	s->head = b->data;
	for (int32_t count = jute_get_i32(&r); count > 0; count--) {
		jute_get_i64(&r);
		jute_get_i32(&r);
	}
	skip_acls(&r);
	s->head_size = b->len - jute_left(&r);
	for (;;) {
		struct seen_node *n = &s->nodes[s->count];
		size_t left = jute_left(&r);

		n->path = jute_get_bytes(&r);
		if (n->path.len == 1)
			return true;
		jute_get_bytes(&r);
		jute_get_i64(&r);
		for (int i = 0; i < STAT_BYTES / 4; i++)
			jute_get_i32(&r);
		n->bytes = b->data + b->len - left;
		n->size = left - jute_left(&r);
		if (r.bad)
			exit(70);
		if (++s->count == NODES_MAX)
			return false;
	}
}

static bool
same_path(struct jute_bytes a, struct jute_bytes b)
{
	return a.len == b.len && memcmp(a.data, b.data, (size_t)a.len) == 0;
}

static bool
is_below(struct jute_bytes path, struct jute_bytes top)
{
	return path.len > top.len && memcmp(path.data, top.data, (size_t)top.len) == 0 &&
	       path.data[top.len] == '/';
}

/* Its parent was seen at the walk's beginning, among the first `cut`. */
static bool
has_parent(const struct seen *s, size_t cut, struct jute_bytes path)
{
	while (path.len > 0 && path.data[--path.len] != '/')
		;
	for (size_t i = 0; i < cut; i++)
		if (same_path(s->nodes[i].path, path))
			return true;
	return false;
}

static void
put_node(struct buf *to, const struct seen_node *n)
{
	buf_append(to, n->bytes, n->size);
}

/* The nodes of the walk: the first ones as they were, those behind them as they are. */
static void
put_nodes(struct buf *to, const struct seen *was, const struct seen *is, size_t cut)
{
	for (size_t i = 0; i < cut; i++)
		put_node(to, &was->nodes[i]);
	for (size_t i = cut; i < was->count; i++) {
		struct jute_bytes top = was->nodes[i].path;

		if (!has_parent(was, cut, top))
			continue; /* comes with its parent, or has gone with it */
		for (size_t k = 0; k < is->count; k++)
			if (same_path(is->nodes[k].path, top) || is_below(is->nodes[k].path, top))
				put_node(to, &is->nodes[k]);
	}
	jute_put_text(to, "/");
}

static void
put_seal(struct buf *to)
{
	jute_put_i64(to, (int64_t)libdeflate_adler32(1, to->data, to->len));
	jute_put_text(to, "/");
}

/* As 3.8 writes it, or, without a digest, 3.5. */
static void
put_file(struct ens_node *n, struct buf *to, const struct seen *was, const struct seen *is)
{
	jute_put_i32(to, SNAPSHOT_MAGIC);
	jute_put_i32(to, SNAPSHOT_VERSION);
	jute_put_i64(to, -1);
	buf_append(to, was->head, was->head_size);
	put_nodes(to, was, is, 1 + (size_t)rng_below(&n->rng, was->count));
	put_seal(to);
	if (rng_below(&n->rng, 3) == 0)
		return;
	jute_put_i64(to, n->db.last_zxid);
	jute_put_i32(to, TXN_DIGEST_VERSION);
	jute_put_i64(to, (int64_t)n->db.tree.digest);
	put_seal(to);
}

/* False: the disk failed; a snapshot that cannot be written costs nothing. */
static bool
publish(struct ens_node *n, const struct buf *bytes)
{
	char name[DATADIR_NAME_BYTES];
	struct store_file *file;
	int err = store_open(n->store, SNAPSHOT_NEW_NAME, STORE_OPEN_REPLACE, &file);

	if (err != 0)
		return false;
	datadir_name(name, "snapshot", (uint64_t)n->fuzzy.zxid);
	err = store_pwrite(file, bytes->data, bytes->len, 0);
	if (err == 0)
		err = store_sync(file);
	store_close(file);
	return err == 0 && store_rename(n->store, SNAPSHOT_NEW_NAME, name) == 0 &&
	       store_sync_dir(n->store) == 0;
}

static void
finish(struct ens_node *n)
{
	struct seen *seen = malloc(2 * sizeof *seen);
	struct buf now, file;

	if (seen == NULL)
		exit(71);
	look(n, &now);
	buf_init(&file, STREAM_BYTES_MAX);
	if (read_seen(&seen[0], &n->fuzzy.before) && read_seen(&seen[1], &now)) {
		put_file(n, &file, &seen[0], &seen[1]);
		world_trace(&n->e->world, "%lld: snapshot.%llx has some of what follows up to %llx",
		    (long long)n->sid, (unsigned long long)n->fuzzy.zxid,
		    (unsigned long long)n->db.last_zxid);
		if (publish(n, &file)) {
			n->fuzzies++;
			n->snapshots++;
			ens_disk_purge(n);
		}
	}
	buf_fini(&file);
	buf_fini(&now);
	free(seen);
}

/*
 * Nothing has come between that makes it another history's; and the server serves: who looks for a
 * leader has applied what may be cut, and no name would tell that it is in the snapshot.
 */
static bool
goes_on(const struct ens_node *n)
{
	return n->up && n->log_open && n->life == n->fuzzy.life && n->reloads == n->fuzzy.reloads &&
	       server_serves(&n->server) && !n->checked.changing;
}

static void
on_end(void *arg, uint64_t token)
{
	struct ens_node *n = arg;

	if (!n->fuzzy.due || n->fuzzy.number != token)
		return;
	if (goes_on(n) && n->durable_zxid < n->db.last_zxid) {
		world_at(&n->e->world, 5, on_end, n, token); /* P6: not yet */
		return;
	}
	if (goes_on(n))
		finish(n);
	ens_fuzzy_fini(n);
	if (n->up && simdisk_stopped(n->disk))
		ens_node_crash(n, true, "power loss");
}

void
ens_fuzzy_begin(struct ens_node *n)
{
	struct ens_fuzzy *z = &n->fuzzy;

	if (z->due && goes_on(n))
		return; /* one at a time */
	ens_fuzzy_fini(n);
	look(n, &z->before);
	z->zxid = n->db.last_zxid;
	z->life = n->life;
	z->reloads = n->reloads;
	z->due = true;
	world_at(&n->e->world, rng_below(&n->rng, WALK_MS), on_end, n, ++z->number);
}

void
ens_fuzzy_fini(struct ens_node *n)
{
	if (n->fuzzy.due)
		buf_fini(&n->fuzzy.before);
	n->fuzzy.due = false;
}
