/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/identity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/measure.h"
#include "config.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/log.h"

/* "NAME=VALUE" of the configuration. */
static bool
add_attribute(struct identity *id, const char *text)
{
	Corral__Attribute *a = &id->attributes[id->message.n_attributes];
	size_t len = strcspn(text, "=");

	if (id->message.n_attributes == IDENTITY_ATTRIBUTES_MAX || len == 0 || text[len] == '\0') {
		log_error("[agent] attributes: %s: not NAME=VALUE, or more than %d", text,
		    IDENTITY_ATTRIBUTES_MAX);
		return false;
	}
	corral__attribute__init(a);
	a->name = strndup(text, len);
	a->value = strdup(text + len + 1);
	id->attribute_list[id->message.n_attributes++] = a;
	return a->name != NULL && a->value != NULL;
}

static void
set_capacity(struct identity *id, const struct corral_conf *conf)
{
	struct measure m;

	corral__resources__init(&id->capacity);
	measure_init(&m, conf->agent.state_dir);
	measure_capacity(&m, &id->capacity);
	if (conf->agent.cpu_milli != 0)
		id->capacity.cpu_milli = conf->agent.cpu_milli;
	if (conf->agent.memory_bytes != 0)
		id->capacity.memory_bytes = conf->agent.memory_bytes;
	if (conf->agent.disk_bytes != 0)
		id->capacity.disk_bytes = conf->agent.disk_bytes;
}

bool
identity_init(
    struct identity *id, const struct corral_conf *conf, const struct isolation *isolation)
{
	static char version[] = PACKAGE_VERSION;
	Corral__Register *m = &id->message;

	corral__register__init(m);
	m->attributes = id->attribute_list;
	if (conf->agent.name != NULL ? !str_copy(id->node, sizeof id->node, conf->agent.name)
				     : gethostname(id->node, sizeof id->node) != 0) {
		log_error_errno("the node's name");
		return false;
	}
	if (!proc_boot_id(id->boot_id)) {
		log_error_errno("/proc/sys/kernel/random/boot_id");
		return false;
	}
	for (size_t i = 0; i < conf->agent.attributes.count; i++) {
		if (!add_attribute(id, conf->agent.attributes.items[i]))
			return false;
	}
	set_capacity(id, conf);
	m->node = id->node;
	m->boot_id = id->boot_id;
	m->capacity = &id->capacity;
	m->version = version;
	for (size_t i = 0; i < isolation->count; i++)
		id->missing[i] = isolation->names[i];
	m->n_missing_isolation = isolation->count;
	m->missing_isolation = (char **)(uintptr_t)id->missing;
	return true;
}

/* Does it still hold what runs? False: said. */
static bool
still_fits(const char *key, uint64_t offered, uint64_t in_use)
{
	if (offered >= in_use)
		return true;
	log_error("[agent] %s=: %" PRIu64 " is less than the %" PRIu64
		  " that running tasks hold: what the node offers stays as it was; corral drain "
		  "frees it",
	    key, offered, in_use);
	return false;
}

static bool
attributes_equal(const struct identity *a, const struct identity *b)
{
	if (a->message.n_attributes != b->message.n_attributes)
		return false;
	for (size_t i = 0; i < a->message.n_attributes; i++)
		if (strcmp(a->attributes[i].name, b->attributes[i].name) != 0 ||
		    strcmp(a->attributes[i].value, b->attributes[i].value) != 0)
			return false;
	return true;
}

static bool
capacities_equal(const Corral__Resources *a, const Corral__Resources *b)
{
	return a->cpu_milli == b->cpu_milli && a->memory_bytes == b->memory_bytes &&
	       a->disk_bytes == b->disk_bytes;
}

/* What a configuration says, into an identity of its own. */
static bool
read_changes(struct identity *next, const struct corral_conf *conf, const Corral__Resources *in_use)
{
	corral__register__init(&next->message);
	next->message.attributes = next->attribute_list;
	for (size_t i = 0; i < conf->agent.attributes.count; i++)
		if (!add_attribute(next, conf->agent.attributes.items[i]))
			return false;
	set_capacity(next, conf);
	return still_fits("cpus", next->capacity.cpu_milli, in_use->cpu_milli) &&
	       still_fits("memory", next->capacity.memory_bytes, in_use->memory_bytes) &&
	       still_fits("disk", next->capacity.disk_bytes, in_use->disk_bytes);
}

bool
identity_change(struct identity *id, const struct corral_conf *conf,
    const Corral__Resources *in_use, bool *changed)
{
	struct identity *next = calloc(1, sizeof *next);
	bool ok = next != NULL && read_changes(next, conf, in_use);

	*changed = false;
	if (ok) {
		*changed = !attributes_equal(id, next) ||
			   !capacities_equal(&id->capacity, &next->capacity);
		identity_fini(id);
		memcpy(id->attributes, next->attributes, sizeof id->attributes);
		id->message.n_attributes = next->message.n_attributes;
		for (size_t i = 0; i < id->message.n_attributes; i++)
			id->attribute_list[i] = &id->attributes[i];
		id->capacity = next->capacity;
	} else if (next != NULL) {
		identity_fini(next);
	} else {
		log_error("no memory for the configuration");
	}
	free(next);
	return ok;
}

void
identity_fini(struct identity *id)
{
	for (size_t i = 0; i < id->message.n_attributes; i++) {
		free(id->attributes[i].name);
		free(id->attributes[i].value);
	}
}
