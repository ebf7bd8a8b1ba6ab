/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs about how roles share the cluster: roles, quota, reserve, unreserve. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/corral.h"
#include "libcommon/base/amount.h"
#include "libcommon/base/role.h"
#include "proto/api.pb-c.h"

static const struct table_column role_columns[] = {{.name = "ROLE"},
    {.name = "WEIGHT", .right = true}, {.name = "SHARE", .right = true},
    {.name = "CPU", .right = true}, {.name = "MEM", .right = true}, {.name = "DISK", .right = true},
    {.name = "TASKS", .right = true}, {.name = "WAITING", .right = true}};
static const struct table_column quota_columns[] = {
    {.name = "ROLE"}, {.name = "GUARANTEE"}, {.name = "LIMIT"}, {.name = "CONSUMED"}};
static const struct table_column reservation_columns[] = {
    {.name = "NODE"}, {.name = "ROLE"}, {.name = "AMOUNT"}, {.name = "USED"}};

static bool
role_ok(const char *name)
{
	if (role_name_ok(name))
		return true;
	corral_say("'%s' is no name of a role: eng, eng/web, or * for jobs that name none", name);
	return false;
}

/* ---- roles ---- */

static void
add_role(struct table *t, const void *row)
{
	const Corral__Api__Role *r = row;
	static const Corral__Resources none = CORRAL__RESOURCES__INIT;
	const Corral__Resources *used = r->used != NULL ? r->used : &none;
	char a[AMOUNT_TEXT_MAX];

	table_add(t, "%s", r->name);
	table_add(t, "%s", amount_print_cpu(a, r->weight_milli));
	table_add(t, "%.1f%%", (double)r->share_millionths / 10000);
	table_add(t, "%s", amount_print_cpu(a, used->cpu_milli));
	table_add(t, "%s", amount_format_size(a, used->memory_bytes));
	table_add(t, "%s", amount_format_size(a, used->disk_bytes));
	table_add(t, "%u", r->tasks);
	table_add(t, "%u", r->waiting);
}

static const struct corral_list roles = {.target = "roles",
    .member = "roles",
    .reply = &corral__api__role_list__descriptor,
    CORRAL_COLUMNS(role_columns),
    .id = "role",
    .add = add_role};

static int
set_weight(struct corral *c, const char *name)
{
	Corral__Api__Role body = CORRAL__API__ROLE__INIT;
	ProtobufCMessage *message = NULL;
	char a[AMOUNT_TEXT_MAX];
	int status;

	body.name = (char *)name;
	body.has_weight_milli = 1;
	body.weight_milli =
	    c->options.weight_milli > UINT32_MAX ? UINT32_MAX : (uint32_t)c->options.weight_milli;
	status = corral_post(c, "roles", &body.base, &corral__api__role__descriptor, &message);
	if (status == 0 && !corral_print_json(c, message, NULL))
		printf("%s: weight %s\n", name, amount_print_cpu(a, body.weight_milli));
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}

int
verb_roles(struct corral *c, int argc, char **argv)
{
	bool weighs = c->options.weight_milli != OPTION_NO_CPU;
	int status;

	if (argc == 0 ? weighs : argc != 2 || strcmp(argv[0], "set") != 0 || !weighs) {
		corral_say("expected 'roles', or 'roles set ROLE --weight N'");
		return EX_USAGE;
	}
	if (argc > 0 && !role_ok(argv[1]))
		return EX_USAGE;
	if ((status = corral_connect(c)) != 0)
		return status;
	return argc == 0 ? corral_print_list(c, &roles, "") : set_weight(c, argv[1]);
}

/* ---- quota ---- */

static void
add_amounts(struct table *t, const Corral__Resources *r, bool zero_too)
{
	char a[AMOUNT_TEXT_MAX];
	struct buf text;

	buf_init(&text, 256);
	if (r != NULL && r->has_cpu_milli && (zero_too || r->cpu_milli > 0))
		buf_printf(&text, "cpus=%s", amount_print_cpu(a, r->cpu_milli));
	if (r != NULL && r->has_memory_bytes && (zero_too || r->memory_bytes > 0))
		buf_printf(&text, "%smemory=%s", text.len > 0 ? "," : "",
		    amount_format_size(a, r->memory_bytes));
	if (r != NULL && r->has_disk_bytes && (zero_too || r->disk_bytes > 0))
		buf_printf(&text, "%sdisk=%s", text.len > 0 ? "," : "",
		    amount_format_size(a, r->disk_bytes));
	table_add(t, "%s", text.len == 0 ? "" : buf_text(&text));
	buf_fini(&text);
}

static void
add_quota(struct table *t, const void *row)
{
	const Corral__Api__Quota *q = row;
	table_add(t, "%s", q->role);
	add_amounts(t, q->guarantee, false);
	add_amounts(t, q->limit, true);
	add_amounts(t, q->consumed, true);
}

static const struct corral_list quotas = {.target = "quota",
    .member = "quotas",
    .reply = &corral__api__quota_list__descriptor,
    CORRAL_COLUMNS(quota_columns),
    .id = "role",
    .add = add_quota};

/* "cpus=2,memory=4G" behind an option, or an operand; what it does not name is absent. */
static bool
read_amounts(const char *option, const char *text, Corral__Resources *r)
{
	uint64_t cpu = UINT64_MAX, memory = UINT64_MAX, disk = UINT64_MAX;

	if (!amount_parse_resources(text, &cpu, &memory, &disk)) {
		corral_say("%s'%s': expected cpus=N,memory=SIZE,disk=SIZE or some of them, each "
			   "once",
		    option, text);
		return false;
	}
	r->has_cpu_milli = cpu != UINT64_MAX;
	r->cpu_milli = r->has_cpu_milli ? cpu : 0;
	r->has_memory_bytes = memory != UINT64_MAX;
	r->memory_bytes = r->has_memory_bytes ? memory : 0;
	r->has_disk_bytes = disk != UINT64_MAX;
	r->disk_bytes = r->has_disk_bytes ? disk : 0;
	return true;
}

static int
set_quota(struct corral *c, const char *name, const Corral__Resources *guarantee,
    const Corral__Resources *limit)
{
	Corral__Api__Quota body = CORRAL__API__QUOTA__INIT;
	ProtobufCMessage *message = NULL;
	int status;

	body.role = (char *)name;
	body.guarantee = (Corral__Resources *)guarantee;
	body.limit = (Corral__Resources *)limit;
	body.has_force = 1;
	body.force = c->options.force;
	status = corral_post(c, "quota", &body.base, &corral__api__quota__descriptor, &message);
	if (status == 0 && !corral_print_json(c, message, NULL)) {
		struct table t;

		table_init(&t, quotas.columns, quotas.column_count);
		add_quota(&t, message);
		status = corral_print_table(c, &t, quotas.id);
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}

int
verb_quota(struct corral *c, int argc, char **argv)
{
	const struct corral_options *o = &c->options;
	Corral__Resources guarantee = CORRAL__RESOURCES__INIT, limit = CORRAL__RESOURCES__INIT;
	bool set = argc == 2 && strcmp(argv[0], "set") == 0,
	     amounts = o->guarantee != NULL || o->limit != NULL;
	int status;

	if (argc == 0 ? amounts || o->force
		      : argc != 2 || (set ? !amounts : strcmp(argv[0], "remove") != 0 || amounts)) {
		corral_say("expected 'quota', 'quota set ROLE --guarantee AMOUNTS --limit AMOUNTS' "
			   "or 'quota remove ROLE'");
		return EX_USAGE;
	}
	if ((argc > 0 && !role_ok(argv[1])) ||
	    (o->guarantee != NULL && !read_amounts("--guarantee ", o->guarantee, &guarantee)) ||
	    (o->limit != NULL && !read_amounts("--limit ", o->limit, &limit)))
		return EX_USAGE;
	c->json_as_set = true; /* a limit of 0 allows nothing, an absent one everything */
	if ((status = corral_connect(c)) != 0)
		return status;
	return argc == 0 ? corral_print_list(c, &quotas, "")
			 : set_quota(c, argv[1], &guarantee, &limit);
}

/* ---- reservations ---- */

static void
add_reservation(struct table *t, const void *row)
{
	const Corral__Api__Reservation *r = row;

	table_add(t, "%s", r->node);
	table_add(t, "%s", r->role);
	add_amounts(t, r->amount, false);
	add_amounts(t, r->used, false);
}

static const struct corral_list reservations = {.target = "reservations",
    .member = "reservations",
    .reply = &corral__api__reservation_list__descriptor,
    CORRAL_COLUMNS(reservation_columns),
    .id = "role",
    .add = add_reservation};

static int
set_reservation(struct corral *c, char **argv, Corral__Resources *amount)
{
	Corral__Api__Reservation body = CORRAL__API__RESERVATION__INIT;
	ProtobufCMessage *message = NULL;
	int status;

	body.role = argv[0];
	body.node = argv[1];
	body.amount = amount;
	status = corral_connect(c);
	if (status == 0)
		status = corral_post(
		    c, "reservations", &body.base, &corral__api__reservation__descriptor, &message);
	if (status == 0 && !corral_print_json(c, message, NULL))
		printf("%s: %s for role %s\n", argv[1],
		    amount == NULL ? "nothing is reserved any more" : argv[2], argv[0]);
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}

int
verb_reserve(struct corral *c, int argc, char **argv)
{
	Corral__Resources amount = CORRAL__RESOURCES__INIT;

	if (argc == 0)
		return corral_print_list(c, &reservations, "");
	if (argc != 3) {
		corral_say("expected 'reserve', or 'reserve ROLE NODE AMOUNTS'");
		return EX_USAGE;
	}
	if (!role_ok(argv[0]) || !read_amounts("", argv[2], &amount))
		return EX_USAGE;
	return set_reservation(c, argv, &amount);
}

int
verb_unreserve(struct corral *c, int argc, char **argv)
{
	(void)argc;
	return role_ok(argv[0]) ? set_reservation(c, argv, NULL) : EX_USAGE;
}
