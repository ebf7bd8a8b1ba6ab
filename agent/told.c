/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/told.h"

#include <inttypes.h>

#include "libcommon/sys/log.h"

static void
say(const Corral__MasterToAgent *m, bool obeyed, const char *what, const Corral__TaskKey *key)
{
	log_debug("%s: %s %s.%" PRIu32 ".%" PRIu32 ", term (%" PRIu64 ", 0x%" PRIx64 ")",
	    obeyed ? "obeyed" : "ignored", what, key->job, key->index, key->attempt, m->term->era,
	    (uint64_t)m->term->czxid);
}

void
told_log(const Corral__MasterToAgent *m, bool obeyed)
{
	switch (m->body_case) {
	case CORRAL__MASTER_TO_AGENT__BODY_LAUNCH:
		for (size_t i = 0; i < m->launch->n_tasks; i++)
			say(m, obeyed, "launch", m->launch->tasks[i]->key);
		break;
	case CORRAL__MASTER_TO_AGENT__BODY_KILL:
		for (size_t i = 0; i < m->kill->n_keys; i++)
			say(m, obeyed, "kill", m->kill->keys[i]);
		break;
	case CORRAL__MASTER_TO_AGENT__BODY_UPDATE_ACKS:
		for (size_t i = 0; i < m->update_acks->n_acks; i++)
			say(m, obeyed, "acknowledgement", m->update_acks->acks[i]->key);
		break;
	case CORRAL__MASTER_TO_AGENT__BODY_TASK_SIGNAL:
		say(m, obeyed, "signal", m->task_signal->key);
		break;
	default:
		break;
	}
}
