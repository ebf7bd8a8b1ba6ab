/* SPDX-License-Identifier: Apache-2.0 */
/* zk config and zk reconfig: who the members of the ensemble are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <jansson.h>

#include "cli/zk_json.h"
#include "cli/zk_run.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/fsutil.h"

#define CONFIG_PATH "/zookeeper/config"
#define TEXT_BYTES_MAX 65536

/* "HOST:QUORUM:ELECTION:ROLE;CLIENT" to where clients connect: the same host if it is any. */
static void
client_address(const char *value, char *to, size_t size)
{
	const char *client = strchr(value, ';'), *end;

	to[0] = '\0';
	if (client == NULL)
		return;
	client++;
	end = value[0] == '[' ? strchr(value, ']') : NULL;
	end = end != NULL ? end + 1 : value + strcspn(value, ":");
	if (strchr(client, ':') == NULL)
		snprintf(to, size, "%.*s:%s", (int)(end - value), value, client);
	else if (strncmp(client, "0.0.0.0:", 8) == 0)
		snprintf(to, size, "%.*s%s", (int)(end - value), value, client + 7);
	else
		snprintf(to, size, "%s", client);
}

static json_t *
server_json(const char *id, const char *value)
{
	char client[512];
	json_t *server = json_pack("{s:s, s:s}", "id", id, "address", value);

	client_address(value, client, sizeof client);
	if (client[0] != '\0')
		json_object_set_new(server, "client", json_string(client));
	return server;
}

/* Of a text, which is taken apart: all that is in it, or where clients connect. */
static void
print_parsed(char *text, bool json)
{
	json_t *servers = json_array(), *all = json_object();
	const char *separator = "";
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, '='), client[512];

		if (value == NULL)
			continue;
		*value++ = '\0';
		if (!str_starts(line, "server.")) {
			json_object_set_new(all, line, json_string(value));
			continue;
		}
		json_array_append_new(servers, server_json(line + strlen("server."), value));
		client_address(value, client, sizeof client);
		if (json || client[0] == '\0')
			continue;
		printf("%s%s", separator, client);
		separator = ",";
	}
	json_object_set_new(all, "servers", servers);
	if (json)
		zk_json_print(all);
	else {
		printf("\n");
		json_decref(all);
	}
}

static void
print(struct zk_run *run, const struct zk_result *result, void *arg)
{
	char *text = strndup((const char *)result->data, result->size);

	(void)arg;
	if (text == NULL) {
		fprintf(stderr, "zk: no memory\n");
		return;
	}
	if (run->options->json || run->options->clients)
		print_parsed(text, run->options->json);
	else if (result->size > 0)
		printf("%s\n", text);
	free(text);
}

/* What may be done after a change that was refused, or lost; NULL: nothing comes to mind. */
static const char *
advice(int rc)
{
	switch (rc) {
	case ZK_NOAUTH:
		return "whoever changes the members needs the right to write there: --auth";
	case ZK_RECONFIGDISABLED:
		return "reconfigEnabled=yes at all members lets them be changed";
	case ZK_UNIMPLEMENTED:
		return "the server is alone: standaloneEnabled=no makes it an ensemble of one";
	case ZK_BADARGUMENTS:
		return "the leader's log says what is wrong with the change";
	case ZK_BADVERSION:
	case ZK_CONNECTIONLOSS:
	case ZK_OPERATIONTIMEOUT:
		return "'zk config' prints the present members and their version";
	case ZK_NEWCONFIGNOQUORUM:
		return "start the servers first that are to be added";
	default:
		return NULL;
	}
}

static int
request(struct zk_run *run, const struct zk_op *op)
{
	int rc = zk_run_request(run, op, print, NULL), status;
	const char *hint = op->type == ZK_OP_RECONFIG ? advice(rc) : NULL;

	if (rc == ZK_OK)
		return 0;
	status = zk_run_fail(run, CONFIG_PATH, rc);
	if (hint != NULL)
		fprintf(stderr, "zk: %s\n", hint);
	return status;
}

int
zk_verb_config(struct zk_run *run, int argc, char **argv)
{
	const struct zk_op op = {.type = ZK_OP_GET_DATA, .path = CONFIG_PATH};

	(void)argc;
	(void)argv;
	return request(run, &op);
}

/* The texts with commas between them; NULL if there is none. */
static const char *
join(const struct option_texts *texts, struct buf *to)
{
	for (size_t i = 0; i < texts->count; i++)
		buf_printf(to, "%s%s", i > 0 ? "," : "", texts->items[i]);
	return texts->count > 0 ? buf_text(to) : NULL;
}

/* The whole configuration, without what a file may have more: its version, empty lines. */
static bool
read_members(const char *path, struct buf *to)
{
	struct buf text;
	char *rest = NULL;
	bool ok;

	buf_init(&text, TEXT_BYTES_MAX);
	ok = fsutil_read(path, TEXT_BYTES_MAX - 1, &text) && buf_text(&text) != NULL;
	for (char *line = ok ? strtok_r((char *)text.data, "\r\n", &rest) : NULL; line != NULL;
	     line = strtok_r(NULL, "\r\n", &rest)) {
		if (line[0] != '#' && !str_starts(line, "version="))
			buf_printf(to, "%s%s", to->len > 0 ? "," : "", line);
	}
	buf_fini(&text);
	return ok && !to->failed;
}

/* What is asked for contradicts itself, or is nothing; NULL: it is well. */
static const char *
check(const struct zk_options *o)
{
	bool change = o->adds.count > 0 || o->removes.count > 0;

	if (o->members != NULL && o->file != NULL)
		return "--members and --file exclude each other";
	if (change && (o->members != NULL || o->file != NULL))
		return "--add and --remove change what there is, --members and --file replace it";
	if (!change && o->members == NULL && o->file == NULL)
		return "say what is to change: --add, --remove, --members or --file";
	return NULL;
}

static bool
parse_base(const char *text, int64_t *base)
{
	char *end;

	*base = -1;
	if (text == NULL)
		return true;
	*base = (int64_t)strtoull(text, &end, 16);
	return text[0] != '\0' && *end == '\0' && *base >= 0;
}

int
zk_verb_reconfig(struct zk_run *run, int argc, char **argv)
{
	const struct zk_options *o = run->options;
	struct zk_op op = {.type = ZK_OP_RECONFIG, .path = CONFIG_PATH, .members = o->members};
	const char *wrong = check(o);
	struct buf adds, removes, whole;
	int status = EX_USAGE;

	(void)argc;
	(void)argv;
	buf_init(&adds, TEXT_BYTES_MAX);
	buf_init(&removes, TEXT_BYTES_MAX);
	buf_init(&whole, TEXT_BYTES_MAX);
	op.joining = join(&o->adds, &adds);
	op.leaving = join(&o->removes, &removes);
	if (wrong == NULL && !parse_base(o->base, &op.base))
		wrong = "--version: not a version as 'zk config' prints it";
	if (wrong != NULL)
		fprintf(stderr, "zk: reconfig: %s\n", wrong);
	else if (o->file != NULL && !read_members(o->file, &whole)) {
		perror(o->file);
		status = EX_NOINPUT;
	} else {
		if (o->file != NULL)
			op.members = buf_text(&whole);
		status = request(run, &op);
	}
	buf_fini(&adds);
	buf_fini(&removes);
	buf_fini(&whole);
	return status;
}
