/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/attempt.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static ProtobufCMessage *
copy_message(const ProtobufCMessage *m)
{
	size_t size = protobuf_c_message_get_packed_size(m);
	uint8_t *bytes = malloc(size > 0 ? size : 1);
	ProtobufCMessage *copy;

	if (bytes == NULL)
		return NULL;
	protobuf_c_message_pack(m, bytes);
	copy = protobuf_c_message_unpack(m->descriptor, NULL, size, bytes);
	explicit_bzero(bytes, size);
	free(bytes);
	return copy;
}

Corral__TaskKey *
attempt_copy_key(const Corral__TaskKey *key)
{
	return (Corral__TaskKey *)copy_message(&key->base);
}

Corral__TaskSpec *
attempt_copy_spec(const Corral__TaskSpec *spec)
{
	return (Corral__TaskSpec *)copy_message(&spec->base);
}

Corral__StatusUpdate *
attempt_copy_update(const Corral__StatusUpdate *update)
{
	return (Corral__StatusUpdate *)copy_message(&update->base);
}

static uint64_t
hash_name(const struct attempt_table *t, const char *name)
{
	return hash_bytes(&t->hash_key, name, strlen(name));
}

struct attempt *
attempt_new(struct attempt_table *t, const Corral__TaskKey *key, const Corral__TaskSpec *spec)
{
	struct attempt *a = calloc(1, sizeof *a);

	if (a == NULL)
		return NULL;
	a->key = taskkey_of(key);
	taskkey_name(&a->key, a->name);
	a->key_message = attempt_copy_key(key);
	a->spec = spec != NULL ? attempt_copy_spec(spec) : NULL;
	a->state = CORRAL__TASK_STATE__LAUNCHING;
	a->lost_reason = CORRAL__TASK_REASON__REASON_EXECUTOR_LOST;
	list_init(&a->updates);
	list_init(&a->link);
	if (a->key_message != NULL && (spec == NULL || a->spec != NULL) &&
	    hmap_insert(&t->map, &a->node, hash_name(t, a->name)))
		return a;
	corral__task_key__free_unpacked(a->key_message, NULL);
	corral__task_spec__free_unpacked(a->spec, NULL);
	free(a);
	return NULL;
}

void
attempt_free(struct attempt_table *t, struct attempt *a)
{
	while (!list_empty(&a->updates))
		attempt_drop_first_update(a);
	hmap_remove(&t->map, &a->node);
	list_remove(&a->link);
	corral__task_key__free_unpacked(a->key_message, NULL);
	corral__task_spec__free_unpacked(a->spec, NULL);
	explicit_bzero(a->psk, sizeof a->psk);
	free(a);
}

struct attempt *
attempt_find_name(const struct attempt_table *t, const char *name)
{
	for (struct hmap_node *n = hmap_first(&t->map, hash_name(t, name)); n != NULL;
	     n = hmap_next(n)) {
		struct attempt *a = CONTAINER_OF(n, struct attempt, node);

		if (strcmp(a->name, name) == 0)
			return a;
	}
	return NULL;
}

struct attempt *
attempt_find(const struct attempt_table *t, const struct taskkey *key)
{
	char name[TASKKEY_NAME_BYTES];

	taskkey_name(key, name);
	return attempt_find_name(t, name);
}

bool
attempt_state_is_terminal(Corral__TaskState state)
{
	return state == CORRAL__TASK_STATE__FINISHED || state == CORRAL__TASK_STATE__FAILED ||
	       state == CORRAL__TASK_STATE__KILLED || state == CORRAL__TASK_STATE__LOST;
}

Corral__StatusUpdate *
attempt_first_update(struct attempt *a)
{
	struct list *first = list_first(&a->updates);

	return first != NULL ? CONTAINER_OF(first, struct attempt_update, link)->message : NULL;
}

static void
drop_update(struct attempt *a, struct attempt_update *u)
{
	list_remove(&u->link);
	a->update_count--;
	corral__status_update__free_unpacked(u->message, NULL);
	free(u);
}

void
attempt_drop_first_update(struct attempt *a)
{
	assert(!list_empty(&a->updates));
	drop_update(a, CONTAINER_OF(a->updates.next, struct attempt_update, link));
}

bool
attempt_add_update(struct attempt *a, const Corral__StatusUpdate *update)
{
	struct attempt_update *u = malloc(sizeof *u);

	if (u == NULL)
		return false;
	if ((u->message = attempt_copy_update(update)) == NULL) {
		free(u);
		return false;
	}
	/* Only re-adoptions can pile up, each RUNNING like the one before: the second is no loss.
	 */
	if (a->update_count == ATTEMPT_UPDATES_MAX)
		drop_update(a, CONTAINER_OF(a->updates.next->next, struct attempt_update, link));
	list_append(&a->updates, &u->link);
	a->update_count++;
	a->sequence = update->sequence;
	a->state = update->state;
	return true;
}

bool
attempt_saw_uuid(struct attempt *a, const ProtobufCBinaryData *uuid)
{
	if (uuid->len != ATTEMPT_UUID_BYTES)
		return true; /* not one of an executor: never taken */
	for (unsigned i = 0; i < a->seen_count && i < ATTEMPT_UPDATES_MAX; i++) {
		if (memcmp(a->seen_uuids[i], uuid->data, ATTEMPT_UUID_BYTES) == 0)
			return true;
	}
	memcpy(
	    a->seen_uuids[a->seen_count++ % ATTEMPT_UPDATES_MAX], uuid->data, ATTEMPT_UUID_BYTES);
	return false;
}
