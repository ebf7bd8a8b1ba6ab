/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/epochs.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/plants.h"
#include "libcommon/base/str.h"

#define ACCEPTED "acceptedEpoch"
#define CURRENT "currentEpoch"
#define TEMPORARY ".tmp"

/* Digits of 2^31 - 1, and some room to see that there are too many. */
#define TEXT_BYTES 16

static int
say(struct fault *f, const char *name, const char *what, int err)
{
	return fault_set(f, err, "%s: %s: %s", name, what, strerror(-err));
}

/* The number that the text is, with at most one newline behind it. */
static int
parse(const char *name, char *text, int32_t *epoch, struct fault *f)
{
	size_t len = strlen(text);
	uint64_t n;

	if (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	if (ZAB_PLANTED(PLANT_EPOCH_ZERO) && len == 0)
		n = 0;
	else if (!str_to_u64(text, 0, INT32_MAX, &n))
		return fault_set(f, DATADIR_CORRUPT,
		    "%s: \"%.*s\" is not a number from 0 to 2147483647: the member's promises are "
		    "unknown; restore the file, or empty the data directory so that the member "
		    "gets everything from the leader",
		    name, (int)strcspn(text, "\n\r"), text);
	*epoch = (int32_t)n;
	return 0;
}

static int
read_text(struct store_file *file, const char *name, char text[TEXT_BYTES], struct fault *f)
{
	ssize_t n = store_pread(file, text, TEXT_BYTES, 0);

	if (n < 0)
		return say(f, name, "cannot be read", (int)n);
	if (n == TEXT_BYTES)
		return fault_set(f, DATADIR_CORRUPT, "%s: it is too long to be an epoch", name);
	text[n] = '\0';
	if (strlen(text) != (size_t)n)
		return fault_set(f, DATADIR_CORRUPT, "%s: it holds a zero byte", name);
	return 0;
}

/* 0 and *there false: no such file. */
static int
load(struct store *s, const char *name, bool *there, int32_t *epoch, struct fault *f)
{
	char text[TEXT_BYTES];
	struct store_file *file;
	int err = store_open(s, name, STORE_OPEN_READ, &file);

	*there = err == 0;
	if (err == -ENOENT)
		return 0;
	if (err < 0)
		return say(f, name, "cannot be opened", err);
	err = read_text(file, name, text, f);
	store_close(file);
	return err < 0 ? err : parse(name, text, epoch, f);
}

/* The new text, durable in a file that nobody reads. */
static int
write_temporary(struct store *s, const char *name, int32_t epoch)
{
	char text[TEXT_BYTES];
	struct store_file *file;
	int err = store_open(s, name, STORE_OPEN_REPLACE, &file);

	if (err < 0)
		return err;
	snprintf(text, sizeof text, "%d", (int)epoch);
	err = store_pwrite(file, text, strlen(text), 0);
	if (err == 0)
		err = store_sync(file);
	store_close(file);
	return err;
}

static int
save(struct store *s, const char *name, int32_t epoch, struct fault *f)
{
	char temporary[STORE_NAME_MAX + 1];
	int err;

	snprintf(temporary, sizeof temporary, "%s" TEMPORARY, name);
	if ((err = write_temporary(s, temporary, epoch)) < 0 ||
	    (err = store_rename(s, temporary, name)) < 0 ||
	    (!ZAB_PLANTED(PLANT_NO_NAME_SYNC) && (err = store_sync_dir(s)) < 0))
		return say(f, name, "cannot be written", err);
	return 0;
}

static int
remove_temporary(struct store *s, const char *name, struct fault *f)
{
	int err = store_unlink(s, name);

	return err < 0 && err != -ENOENT ? say(f, name, "cannot be removed", err) : 0;
}

static int32_t
max_epoch(int32_t a, int32_t b)
{
	return a > b ? a : b;
}

/*
 * What must be written, the accepted epoch first: a crash between leaves current <= accepted, or a
 * file missing that the next start makes from the same zxid.
 */
static int
complete(struct store *s, const bool there[2], int32_t logged, struct epochs *e, struct fault *note,
    struct fault *f)
{
	int32_t current = there[1] ? e->current : logged,
		accepted = there[0] ? max_epoch(e->accepted, e->current)
				    : max_epoch(logged, there[1] ? e->current : 0);
	int err = 0;

	/*
	 * Who has entered an epoch had promised it, whatever became of the other file; to promise
	 * it (again) can only make this member refuse more.
	 */
	if (ZAB_PLANTED(PLANT_EPOCHS_STRICT) && there[0] && accepted > e->accepted)
		return fault_set(f, DATADIR_CORRUPT, "refused");
	if (there[0] && accepted > e->accepted)
		fault_set(note, 0, ACCEPTED " was %d, below " CURRENT " %d: raised",
		    (int)e->accepted, (int)e->current);
	else if (there[0] != there[1])
		fault_set(note, 0, "%s was missing: made from %s", there[0] ? CURRENT : ACCEPTED,
		    there[0] ? "the last transaction" : CURRENT);
	if (!there[0] || accepted > e->accepted)
		err = save(s, ACCEPTED, accepted, f);
	if (err == 0 && !there[1])
		err = save(s, CURRENT, current, f);
	*e = (struct epochs){.accepted = accepted, .current = current};
	return err;
}

int
epochs_load(
    struct store *s, int64_t last_zxid, struct epochs *e, struct fault *note, struct fault *f)
{
	int32_t logged = (int32_t)(last_zxid >> 32);
	bool there[2];
	int err;

	*e = (struct epochs){0};
	if ((err = load(s, ACCEPTED, &there[0], &e->accepted, f)) < 0 ||
	    (err = load(s, CURRENT, &there[1], &e->current, f)) < 0)
		return err;
	if (logged < 0)
		return fault_set(f, DATADIR_CORRUPT,
		    "the last transaction's zxid, 0x%llx, is negative",
		    (unsigned long long)last_zxid);
	if (there[0] && logged > max_epoch(e->accepted, there[1] ? e->current : 0))
		return fault_set(f, DATADIR_CORRUPT,
		    ACCEPTED " is %d, but the last transaction, 0x%llx, is of epoch %d: files of "
			     "two histories are mixed; restore them together, or empty the data "
			     "directory so that the member gets everything from the leader",
		    (int)e->accepted, (unsigned long long)last_zxid, (int)logged);
	/* An unfinished file of Apache's server or of ours was not promised to anybody. */
	if ((err = remove_temporary(s, ACCEPTED TEMPORARY, f)) < 0 ||
	    (err = remove_temporary(s, CURRENT TEMPORARY, f)) < 0)
		return err;
	/* What was read may be a rename that has not reached the disk. */
	if ((err = store_sync_dir(s)) < 0)
		return say(f, "the data directory", "cannot be synced", err);
	return complete(s, there, logged, e, note, f);
}

int
epochs_accept(struct store *s, struct epochs *e, int32_t epoch, struct fault *f)
{
	int err;

	assert(epoch >= e->accepted);
	if (epoch == e->accepted)
		return 0;
	if ((err = save(s, ACCEPTED, epoch, f)) == 0)
		e->accepted = epoch;
	return err;
}

int
epochs_enter(struct store *s, struct epochs *e, int32_t epoch, struct fault *f)
{
	int err;

	assert(epoch >= e->current);
	assert(epoch <= e->accepted);
	if (epoch == e->current)
		return 0;
	if ((err = save(s, CURRENT, epoch, f)) == 0)
		e->current = epoch;
	return err;
}
