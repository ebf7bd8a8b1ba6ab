/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/onefile.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/list.h"

static int
one_open(struct store *s, const char *name, enum store_open how, struct store_file **file)
{
	(void)name;
	assert(how == STORE_OPEN_READ || how == STORE_OPEN_WRITE);
	*file = &CONTAINER_OF(s, struct onefile, store)->file;
	return 0;
}

static void
one_close(struct store_file *f)
{
	(void)f;
}

static int
one_size(struct store_file *f, uint64_t *size_bytes)
{
	*size_bytes = CONTAINER_OF(f, struct onefile, file)->size;
	return 0;
}

static ssize_t
one_pread(struct store_file *f, void *to, size_t size, uint64_t offset)
{
	const struct onefile *o = CONTAINER_OF(f, struct onefile, file);
	size_t left = offset < o->size ? o->size - (size_t)offset : 0;
	size_t n = size < left ? size : left;

	if (n > 0)
		memcpy(to, o->bytes + offset, n);
	return (ssize_t)n;
}

/* Only ever shorter: what is cut off is kept, and not to be read. */
static int
one_truncate(struct store_file *f, uint64_t size_bytes)
{
	struct onefile *o = CONTAINER_OF(f, struct onefile, file);

	assert(size_bytes <= o->size);
	o->size = (size_t)size_bytes;
	return 0;
}

static int
one_sync(struct store_file *f)
{
	(void)f;
	return 0;
}

static const struct store_ops one_ops = {
    .open = one_open,
    .close = one_close,
    .size = one_size,
    .pread = one_pread,
    .truncate = one_truncate,
    .sync = one_sync,
};

void
onefile_init(struct onefile *o, const uint8_t *bytes, size_t size)
{
	*o = (struct onefile){.store = {&one_ops}, .file = {&one_ops}, .size = size};
	o->bytes = malloc(size > 0 ? size : 1);
	assert(o->bytes != NULL);
	if (size > 0)
		memcpy(o->bytes, bytes, size);
}

void
onefile_fini(struct onefile *o)
{
	free(o->bytes);
}
