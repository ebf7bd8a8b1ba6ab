/* SPDX-License-Identifier: Apache-2.0 */
#include "master/info.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <string.h>

#include "libcommon/base/str.h"

/* Split HOST:PORT or [V6]:PORT. */
static bool
split(const char *address, char host[256], uint64_t *port)
{
	const char *colon = strrchr(address, ':');
	size_t size = colon == NULL ? 0 : (size_t)(colon - address);

	if (colon == NULL || size >= 256 || !str_to_u64(colon + 1, 1, 65535, port))
		return false;
	if (size >= 2 && address[0] == '[' && colon[-1] == ']') {
		address++;
		size -= 2;
	}
	memcpy(host, address, size);
	host[size] = '\0';
	return true;
}

bool
master_info_encode(const struct master_info *info, struct buf *out)
{
	char host[256];
	uint64_t port;
	struct in_addr v4 = {0};
	bool done = false;
	json_t *json;
	char *text;

	if (!split(info->api_address, host, &port))
		return false;
	/* "ip" is the address in network order, read as a number of the machine's. */
	(void)inet_pton(AF_INET, host, &v4);
	json = json_pack("{s:{s:s,s:s,s:i},s:[],s:s,s:s,s:I,s:s+,s:i,s:s,s:s,s:s,s:s}", "address",
	    "hostname", host, "ip", host, "port", (int)port, "capabilities", "hostname", host, "id",
	    info->id, "ip", (json_int_t)v4.s_addr, "pid", "master@", info->api_address, "port",
	    (int)port, "version", info->version, "name", info->name, "api_address",
	    info->api_address, "agent_address", info->agent_address);
	text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	if (text != NULL) {
		buf_append(out, text, strlen(text));
		done = !out->failed;
	}
	free(text);
	json_decref(json);
	return done;
}

static bool
take(char *to, size_t size, const json_t *value)
{
	const char *text = json_string_value(value);

	return text != NULL && str_copy(to, size, text);
}

bool
master_info_decode(struct master_info *info, const char *text, size_t size)
{
	json_t *json = json_loadb(text, size, 0, NULL);
	bool ok = take(info->id, sizeof info->id, json_object_get(json, "id")) &&
		  take(info->version, sizeof info->version, json_object_get(json, "version")) &&
		  take(info->name, sizeof info->name, json_object_get(json, "name")) &&
		  take(info->api_address, sizeof info->api_address,
		      json_object_get(json, "api_address")) &&
		  take(info->agent_address, sizeof info->agent_address,
		      json_object_get(json, "agent_address"));

	json_decref(json);
	if (!ok)
		*info = (struct master_info){0};
	return ok;
}
