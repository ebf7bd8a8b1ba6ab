/* SPDX-License-Identifier: Apache-2.0 */
/* The verb about the cluster as a whole: status. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/corral.h"
#include "libcommon/base/amount.h"
#include "proto/api.pb-c.h"

static const struct table_column master_columns[] = {
    {.name = "MASTER"}, {.name = "STATE"}, {.name = "ADDRESS"}, {.name = "VERSION"}};

static void
print_amounts(const Corral__Api__ClusterStatus *s)
{
	static const Corral__Resources none = CORRAL__RESOURCES__INIT;
	const Corral__Resources *whole = s->capacity != NULL ? s->capacity : &none;
	const Corral__Resources *used = s->used != NULL ? s->used : &none;
	char a[AMOUNT_TEXT_MAX], b[AMOUNT_TEXT_MAX];

	printf("cpu       %s of %s in use\n", amount_print_cpu(a, used->cpu_milli),
	    amount_print_cpu(b, whole->cpu_milli));
	printf("memory    %s of %s\n", amount_print_size(a, used->memory_bytes),
	    amount_print_size(b, whole->memory_bytes));
	printf("disk      %s of %s\n", amount_print_size(a, used->disk_bytes),
	    amount_print_size(b, whole->disk_bytes));
}

static void
print_status(const Corral__Api__ClusterStatus *s)
{
	char age[AMOUNT_TEXT_MAX];

	printf("cluster   %s, corral %s, %u of %u node%s ready\n",
	    s->cluster != NULL ? s->cluster : "-", s->version != NULL ? s->version : "-",
	    s->nodes_ready, s->nodes_total, s->nodes_total == 1 ? "" : "s");
	printf("leader    %s", s->leader != NULL ? s->leader : "none");
	if (s->term != NULL)
		printf(", term (%llu, 0x%llx)", (unsigned long long)s->term->era,
		    (unsigned long long)s->term->czxid);
	if (s->has_leading_ms)
		printf(", for %s",
		    amount_print_age(age, s->leading_ms > 0 ? (uint64_t)s->leading_ms : 0));
	printf("\nensemble  %s\n", s->ensemble != NULL ? s->ensemble : "-");
	print_amounts(s);
	printf("tasks     %u running, %u waiting, of %u job%s\n", s->tasks_running,
	    s->tasks_waiting, s->jobs, s->jobs == 1 ? "" : "s");
}

/* -o, -q and --no-header are for scripts: the table alone. */
static int
print_masters(struct corral *c, const Corral__Api__ClusterStatus *s)
{
	const struct table_view *view = &c->options.view;
	struct table t;

	table_init(&t, master_columns, sizeof master_columns / sizeof *master_columns);
	for (size_t i = 0; i < s->n_masters; i++) {
		const Corral__Api__Master *m = s->masters[i];

		table_add(&t, "%s", m->name);
		table_add(&t, "%s", m->state != NULL ? m->state : "");
		table_add(&t, "%s", m->address != NULL ? m->address : "");
		table_add(&t, "%s", m->version != NULL ? m->version : "");
	}
	if (view->columns == NULL && !view->no_header && !view->quiet) {
		print_status(s);
		putchar('\n');
	}
	return corral_print_table(c, &t, "master");
}

int
verb_status(struct corral *c, int argc, char **argv)
{
	ProtobufCMessage *message = NULL;
	int status = corral_connect(c);

	(void)argc;
	(void)argv;
	if (status == 0)
		status =
		    corral_get(c, &corral__api__cluster_status__descriptor, &message, "status");
	if (status == 0 && !corral_print_json(c, message, NULL))
		status = print_masters(c, (const Corral__Api__ClusterStatus *)message);
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}
