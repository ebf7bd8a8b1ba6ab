/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with nodes and with the era: drain, undrain, nodes --forget, era. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/corral.h"
#include "libcommon/base/amount.h"
#include "proto/api.pb-c.h"

/* The end of a line about a node that is to be drained later. */
static void
print_plan(const Corral__Api__Node *n)
{
	int64_t in_ms = n->drain_from_wall_ms - clock_wall_ms();
	char text[AMOUNT_TEXT_MAX];

	if (n->drain_from_wall_ms != 0 && in_ms > 0)
		printf("; to be drained in %s", amount_print_age(text, (uint64_t)in_ms));
	printf("\n");
}

/* POST nodes/NAME/VERB; prints what became of the node. */
static int
ask_of_node(struct corral *c, const char *name, const char *verb, const ProtobufCMessage *body)
{
	char encoded[256], target[320];
	ProtobufCMessage *message = NULL;
	int status;

	if (strchr(name, '/') != NULL || !http_encode(encoded, sizeof encoded, name)) {
		corral_say("'%s' is no name of a node", name);
		return EX_USAGE;
	}
	snprintf(target, sizeof target, "nodes/%s/%s", encoded, verb);
	if ((status = corral_connect(c)) != 0)
		return status;
	status = corral_post(c, target, body, &corral__api__node__descriptor, &message);
	if (status == 0 && !corral_print_json(c, message, NULL)) {
		const Corral__Api__Node *n = (const Corral__Api__Node *)message;

		printf("%s: %s, %u task%s", n->name, n->state != NULL ? n->state : "-", n->tasks,
		    n->tasks == 1 ? "" : "s");
		print_plan(n);
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}

int
verb_drain(struct corral *c, int argc, char **argv)
{
	const struct corral_options *o = &c->options;
	Corral__Api__NodeDrain body = CORRAL__API__NODE_DRAIN__INIT;

	(void)argc;
	body.has_from_ms = o->from_ms != OPTION_NO_TIME;
	body.from_ms = o->from_ms;
	body.has_stop_ms = o->deadline_ms != OPTION_NO_TIME;
	body.stop_ms = o->deadline_ms + (body.has_from_ms ? o->from_ms : 0);
	body.has_until_ms = o->length_ms != OPTION_NO_TIME;
	body.until_ms = o->length_ms + (body.has_from_ms ? o->from_ms : 0);
	return ask_of_node(c, argv[0], "drain", &body.base);
}

int
verb_undrain(struct corral *c, int argc, char **argv)
{
	(void)argc;
	return ask_of_node(c, argv[0], "undrain", NULL);
}

int
node_forget(struct corral *c)
{
	Corral__Api__NodeForget body = CORRAL__API__NODE_FORGET__INIT;

	body.has_powered_off = true;
	body.powered_off = c->options.powered_off;
	return ask_of_node(c, c->options.forget, "forget", &body.base);
}

int
node_mark_unreachable(struct corral *c)
{
	return ask_of_node(c, c->options.mark_unreachable, "mark-unreachable", NULL);
}

/* ---- era ---- */

static void
print_term(const char *what, const Corral__Term *t)
{
	if (t != NULL)
		printf("%s(%llu, 0x%llx)\n", what, (unsigned long long)t->era,
		    (unsigned long long)t->czxid);
}

int
verb_era(struct corral *c, int argc, char **argv)
{
	bool bump = argc == 1 && strcmp(argv[0], "bump") == 0;
	const ProtobufCMessageDescriptor *type = &corral__api__era__descriptor;
	Corral__Api__EraBump body = CORRAL__API__ERA_BUMP__INIT;
	ProtobufCMessage *message = NULL;
	int status;

	if ((argc == 1) != bump || (argc == 0 && c->options.old_masters_are_stopped)) {
		corral_say("'corral era' or 'corral era bump --old-masters-are-stopped'");
		return EX_USAGE;
	}
	if (bump && !c->options.old_masters_are_stopped) {
		corral_say("agents will obey no master of before: stop all masters that could lead "
			   "without this ensemble, and say --old-masters-are-stopped");
		return EX_USAGE;
	}
	body.has_old_masters_are_stopped = body.old_masters_are_stopped = true;
	if ((status = corral_connect(c)) != 0)
		return status;
	status = bump ? corral_post(c, "era/bump", &body.base, type, &message)
		      : corral_get(c, type, &message, "era");
	if (status == 0 && !corral_print_json(c, message, NULL)) {
		const Corral__Api__Era *e = (const Corral__Api__Era *)message;

		printf("era     %llu\n", (unsigned long long)e->era);
		print_term("term    ", e->term);
		print_term("refused by an agent that has seen  ", e->seen);
		if (e->has_next)
			printf("next    %llu\n", (unsigned long long)e->next);
	}
	protobuf_c_message_free_unpacked(message, NULL);
	return status;
}
