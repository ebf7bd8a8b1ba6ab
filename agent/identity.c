/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/identity.h"

#include <errno.h>
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

void
identity_fini(struct identity *id)
{
	for (size_t i = 0; i < id->message.n_attributes; i++) {
		free(id->attributes[i].name);
		free(id->attributes[i].value);
	}
}
