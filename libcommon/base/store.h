/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a core needs from a disk: one flat directory of files. A daemon hands in
 * libcommon/sys/store_posix, a test hands in the simulated disk of tests/lib, so that the simulator
 * crashes the shipped code and its bytes. Calls are synchronous.
 *
 * Each function returns 0 (or what its comment says) or a negative errno: -ENOENT, -ENOSPC, -EIO
 * ... Nothing is durable before it was synced: a file's bytes and size by sync(), the names that
 * appear or vanish by create, rename and unlink by sync_dir(). After a failed sync() the file's
 * unsynced bytes are lost even if a later sync() succeeds: the caller must stop trusting what it
 * wrote.
 */
#ifndef CORRAL_BASE_STORE_H
#define CORRAL_BASE_STORE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct store;
struct store_file;

/* Longest name, without the NUL. A name has no '/' and is neither "." nor "..". */
#define STORE_NAME_MAX 255

enum store_open {
	STORE_OPEN_READ,   /* an existing file, for reading */
	STORE_OPEN_WRITE,  /* an existing file, for reading and writing */
	STORE_OPEN_CREATE, /* a new empty file, for both; -EEXIST if there is one */
	STORE_OPEN_REPLACE /* as CREATE, but an existing file is emptied: for temporary files */
};

/* Called for each file by list(), in bytewise order of names; a result other than 0 ends the walk.
 */
typedef int store_visit(void *arg, const char *name);

struct store_ops {
	int (*open)(
	    struct store *s, const char *name, enum store_open how, struct store_file **file);
	void (*close)(struct store_file *f); /* NULL is allowed; says nothing about durability */
	int (*size)(struct store_file *f, uint64_t *size_bytes);

	/* Read up to size bytes at offset; fewer only at the end of the file. The bytes read, or
	 * -errno. */
	ssize_t (*pread)(struct store_file *f, void *to, size_t size, uint64_t offset);

	/* Write all size bytes at offset, extending the file; on error any part may have been
	 * written. */
	int (*pwrite)(struct store_file *f, const void *bytes, size_t size, uint64_t offset);

	/*
	 * Make the file at least end_bytes long. What is added from the present end on are zeros in
	 * blocks that were really written (not a hole, not an unwritten extent), so that a later
	 * pwrite() there changes no metadata and cannot meet a full disk.
	 */
	int (*allocate)(struct store_file *f, uint64_t end_bytes);

	int (*truncate)(struct store_file *f, uint64_t size_bytes);
	int (*sync)(struct store_file *f);

	/* Replaces `to` if it exists; atomic for readers, durable after sync_dir(). */
	int (*rename)(struct store *s, const char *from, const char *to);
	int (*unlink)(struct store *s, const char *name);
	int (*list)(struct store *s, store_visit *visit, void *arg); /* 0 or what visit returned */
	int (*sync_dir)(struct store *s);
};

/* The head of each implementation's own struct. */
struct store {
	const struct store_ops *ops;
};

/* The head of each implementation's open file. */
struct store_file {
	const struct store_ops *ops;
};

static inline int
store_open(struct store *s, const char *name, enum store_open how, struct store_file **file)
{
	return s->ops->open(s, name, how, file);
}

static inline void
store_close(struct store_file *f)
{
	if (f != NULL)
		f->ops->close(f);
}

static inline int
store_size(struct store_file *f, uint64_t *size_bytes)
{
	return f->ops->size(f, size_bytes);
}

static inline ssize_t
store_pread(struct store_file *f, void *to, size_t size, uint64_t offset)
{
	return f->ops->pread(f, to, size, offset);
}

static inline int
store_pwrite(struct store_file *f, const void *bytes, size_t size, uint64_t offset)
{
	return f->ops->pwrite(f, bytes, size, offset);
}

static inline int
store_allocate(struct store_file *f, uint64_t end_bytes)
{
	return f->ops->allocate(f, end_bytes);
}

static inline int
store_truncate(struct store_file *f, uint64_t size_bytes)
{
	return f->ops->truncate(f, size_bytes);
}

static inline int
store_sync(struct store_file *f)
{
	return f->ops->sync(f);
}

static inline int
store_rename(struct store *s, const char *from, const char *to)
{
	return s->ops->rename(s, from, to);
}

static inline int
store_unlink(struct store *s, const char *name)
{
	return s->ops->unlink(s, name);
}

static inline int
store_list(struct store *s, store_visit *visit, void *arg)
{
	return s->ops->list(s, visit, arg);
}

static inline int
store_sync_dir(struct store *s)
{
	return s->ops->sync_dir(s);
}

#endif
