/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/snapshot_writer.h"

#include <stdlib.h>

#include "libcommon/sys/log.h"
#include "zkserver/chore.h"
#include "zkserver/core/snapshot.h"

struct snapshot_writer {
	struct snapshot_writer_config config;
	struct chore chore;
	const struct db *db; /* what the child writes */
	uint64_t zxid, started_ms, rests_until_ms;
};

#define REST_TIMES 3

static void
work(void *arg, struct fault *f)
{
	const struct snapshot_writer *w = arg;

	snapshot_write_as(w->config.snapshots, w->db, w->config.kind, f);
}

static void
done(void *arg, const char *fault, int status)
{
	struct snapshot_writer *w = arg;
	uint64_t now_ms = clock_boot_ms(), took_ms = now_ms - w->started_ms;

	w->rests_until_ms = now_ms + REST_TIMES * took_ms;
	if (fault[0] != '\0')
		log_error("snapshot: %s; the log is kept from the last one on", fault);
	else if (status != 0)
		log_error("snapshot.%llx: its writer ended with status 0x%x; the log is kept from "
			  "the last one on",
		    (unsigned long long)w->zxid, (unsigned)status);
	else {
		log_debug("snapshot.%llx is complete", (unsigned long long)w->zxid);
		if (w->config.written != NULL)
			w->config.written(w->config.arg, took_ms);
	}
}

bool
snapshot_writer_start(struct snapshot_writer *w, const struct db *db)
{
	if (chore_busy(&w->chore))
		return false;
	w->db = db;
	w->zxid = (uint64_t)db->last_zxid;
	w->started_ms = clock_boot_ms();
	return chore_start(&w->chore);
}

void
snapshot_writer_stop(struct snapshot_writer *w)
{
	chore_stop(&w->chore);
}

bool
snapshot_writer_busy(const struct snapshot_writer *w)
{
	return chore_busy(&w->chore);
}

bool
snapshot_writer_rested(const struct snapshot_writer *w)
{
	return !chore_busy(&w->chore) && clock_boot_ms() >= w->rests_until_ms;
}

struct snapshot_writer *
snapshot_writer_new(const struct snapshot_writer_config *config)
{
	struct snapshot_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->config = *config;
	w->chore = (struct chore){.name = "snapshot",
	    .loop = config->loop,
	    .stores = {config->snapshots, config->logs},
	    .work = work,
	    .done = done,
	    .arg = w};
	return w;
}

void
snapshot_writer_free(struct snapshot_writer *w)
{
	if (w == NULL)
		return;
	chore_stop(&w->chore);
	free(w);
}
