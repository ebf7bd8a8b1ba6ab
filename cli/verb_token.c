/* SPDX-License-Identifier: Apache-2.0 */
/* corral token: what others join with. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/corral.h"
#include "libcommon/base/amount.h"
#include "proto/api.pb-c.h"

static const struct table_column columns[] = {{.name = "TOKEN"}, {.name = "ROLE"}, {.name = "NAME"},
    {.name = "USES", .right = true}, {.name = "ENDS", .right = true}, {.name = "BY"}};

static int
token_create(struct corral *c)
{
	const struct corral_options *o = &c->options;
	Corral__Api__TokenCreate body = CORRAL__API__TOKEN_CREATE__INIT;
	ProtobufCMessage *message = NULL;
	int status;

	body.role = (char *)o->role;
	body.name = (char *)o->name;
	body.has_ttl_ms = o->ttl_ms != OPTION_NO_TIME;
	body.ttl_ms = o->ttl_ms;
	body.has_uses = true;
	body.uses = o->uses;
	status = corral_post(c, "tokens", &body.base, &corral__api__token__descriptor, &message);
	if (status == 0 && !corral_print_json(c, message, NULL)) {
		const Corral__Api__Token *t = (const Corral__Api__Token *)message;

		printf("%s\n", t->token != NULL ? t->token : "");
		if (!o->view.quiet)
			fprintf(stderr,
			    "This is shown once. On the host that joins: corral join TOKEN%s%s\n",
			    strcmp(t->role, "agent") != 0 ? " --role " : "",
			    strcmp(t->role, "agent") != 0 ? t->role : "");
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}

static void
add_token(struct table *t, const void *row)
{
	const Corral__Api__Token *k = row;
	int64_t left_ms = k->expires_wall_ms - clock_wall_ms();
	char text[AMOUNT_TEXT_MAX];

	table_add(t, "%s", k->id);
	table_add(t, "%s", k->role != NULL ? k->role : "");
	table_add(t, "%s", k->name != NULL ? k->name : "");
	table_add(t, "%u", k->uses);
	table_add(t, "%s", amount_print_age(text, left_ms > 0 ? (uint64_t)left_ms : 0));
	table_add(t, "%s", k->by != NULL ? k->by : "");
}

static const struct corral_list tokens = {.target = "tokens",
    .member = "tokens",
    .reply = &corral__api__token_list__descriptor,
    CORRAL_COLUMNS(columns),
    .id = "token",
    .add = add_token};

static int
token_revoke(struct corral *c, const char *id)
{
	ProtobufCMessage *message = NULL;
	char target[64];
	int status;

	if (strlen(id) != 16 || strspn(id, "0123456789abcdef") != 16) {
		corral_say("'%s' is no id of a token: 'corral token list' has them", id);
		return EX_USAGE;
	}
	snprintf(target, sizeof target, "tokens/%s/revoke", id);
	status = corral_post(c, target, NULL, &corral__api__token__descriptor, &message);
	if (status == 0 && !corral_print_json(c, message, NULL))
		printf("%s: revoked\n", id);
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}

int
verb_token(struct corral *c, int argc, char **argv)
{
	bool create = argc == 1 && strcmp(argv[0], "create") == 0,
	     list = argc == 1 && strcmp(argv[0], "list") == 0,
	     revoke = argc == 2 && strcmp(argv[0], "revoke") == 0;
	int status;

	if (!create && !list && !revoke) {
		corral_say(
		    "'corral token create', 'corral token list' or 'corral token revoke ID'");
		return EX_USAGE;
	}
	status = corral_connect(c);
	if (status != 0)
		return status;
	return create ? token_create(c)
	       : list ? corral_print_list(c, &tokens, "")
		      : token_revoke(c, argv[1]);
}
