/* SPDX-License-Identifier: Apache-2.0 */
#include <sysexits.h>

#include "cli/corral.h"

static void
add_rows(struct table *t, const struct corral_list *list, const ProtobufCMessage *message)
{
	size_t count;
	ProtobufCMessage *const *rows = corral_members(message, list->member, &count);

	for (size_t i = 0; i < count; i++)
		list->add(t, rows[i]);
}

int
corral_print_list(struct corral *c, const struct corral_list *list, const char *query)
{
	ProtobufCMessage *message = NULL;
	int status = c->api == NULL ? corral_connect(c) : 0;
	struct table t;

	if (status == 0)
		status = corral_get(c, list->reply, &message, "%s%s", list->target, query);
	if (status == 0 && !corral_print_json(c, message, list->member)) {
		table_init(&t, list->columns, list->column_count);
		add_rows(&t, list, message);
		status = corral_print_table(c, &t, list->id);
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}

int
corral_print_table(struct corral *c, struct table *t, const char *id)
{
	bool printed = table_print(t, &c->options.view, id, "corral", stdout);

	table_fini(t);
	return printed ? 0 : EX_USAGE;
}
