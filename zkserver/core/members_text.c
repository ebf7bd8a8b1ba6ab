/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a configuration, read and written. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "libcommon/base/str.h"
#include "zkserver/core/ipaddr.h"
#include "zkserver/core/members.h"

#define GROUP_MAX INT32_MAX
#define WEIGHT_MAX INT32_MAX
#define BLANKS " \t\f"

/* No line of a text is longer: a server's, with two hosts. */
#define LINE_BYTES_MAX 1024

static void
print_address(const struct ipaddr *a, char to[MEMBERS_HOST_BYTES])
{
	const uint8_t *b = a->bytes;

	if (a->size == 4)
		snprintf(to, MEMBERS_HOST_BYTES, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	else
		snprintf(to, MEMBERS_HOST_BYTES, "%x:%x:%x:%x:%x:%x:%x:%x", b[0] << 8 | b[1],
		    b[2] << 8 | b[3], b[4] << 8 | b[5], b[6] << 8 | b[7], b[8] << 8 | b[9],
		    b[10] << 8 | b[11], b[12] << 8 | b[13], b[14] << 8 | b[15]);
}

/* Java takes an IPv4 address in IPv6's clothes for what it is. */
static void
unmap(struct ipaddr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (a->size != 16 || memcmp(a->bytes, mapped, sizeof mapped) != 0)
		return;
	memmove(a->bytes, a->bytes + 12, 4);
	a->size = 4;
}

/* An address comes out in the one form that Java gives it: IPv6 in full. */
static bool
normalize(char host[MEMBERS_HOST_BYTES])
{
	struct ipaddr a;

	if (strchr(host, '/') != NULL ||
	    !ipaddr_parse(&a, (struct jute_bytes){(const uint8_t *)host, (int32_t)strlen(host)}))
		return false;
	unmap(&a);
	print_address(&a, host);
	return true;
}

/* text[len] as a name or an address of a machine; NULL, or what is wrong with it. */
static const char *
put_host(char to[MEMBERS_HOST_BYTES], const char *text, size_t len)
{
	if (len == 0)
		return "a host is missing, or its ']'";
	if (len >= MEMBERS_HOST_BYTES)
		return "a host's name is longer than 255 bytes";
	memcpy(to, text, len);
	to[len] = '\0';
	if (to[0] == '[') {
		to[len - 1] = '\0';
		memmove(to, to + 1, len - 1);
		if (strchr(to, ':') == NULL || !normalize(to))
			return "what stands in brackets is not an IPv6 address";
	} else if (strspn(to, "0123456789.") == len) {
		if (!normalize(to))
			return "an IPv4 address has four numbers from 0 to 255";
	} else if (strspn(to,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != len)
		return "a host's name has other characters than letters, digits, '.', '-', '_'";
	return NULL;
}

/* How far the host at the start of the text reaches: up to a ':' outside of brackets. */
static size_t
host_length(const char *text)
{
	const char *end;

	if (text[0] != '[')
		return strcspn(text, ":");
	end = strchr(text, ']');
	return end != NULL ? (size_t)(end - text) + 1 : 0;
}

static const char *
put_port(uint16_t *port, const char *text)
{
	uint64_t n;

	if (!str_to_u64(text, 1, UINT16_MAX, &n))
		return "a port is a number from 1 to 65535";
	*port = (uint16_t)n;
	return NULL;
}

static const char *
put_role(bool *observer, const char *text)
{
	text += strspn(text, BLANKS);
	*observer = strcasecmp(text, "observer") == 0;
	return *observer || strcasecmp(text, "participant") == 0
		   ? NULL
		   : "the role is participant or observer";
}

/* [CLIENTHOST:]CLIENTPORT */
static const char *
put_client(struct member *to, const char *text)
{
	size_t len = host_length(text);
	const char *why;

	if (text[len] != ':') {
		snprintf(to->client_host, sizeof to->client_host, "0.0.0.0");
		return put_port(&to->client_port, text);
	}
	why = put_host(to->client_host, text, len);
	return why != NULL ? why : put_port(&to->client_port, text + len + 1);
}

/* HOST:PORT:PORT[:ROLE]; the text is taken apart. */
static const char *
put_peer(struct member *to, char *text)
{
	char *fields[4] = {0}, *p = text + host_length(text);
	const char *why = put_host(to->host, text, (size_t)(p - text));
	unsigned n = 0;

	if (why != NULL)
		return why;
	while (*p == ':' && n < 4) {
		*p++ = '\0';
		fields[n++] = p;
		p += strcspn(p, ":");
	}
	if (*p != '\0' || n < 2 || n > 3)
		return "it is not HOST:QUORUMPORT:ELECTIONPORT[:ROLE][;[CLIENTHOST:]CLIENTPORT]";
	if ((why = put_port(&to->quorum_port, fields[0])) != NULL ||
	    (why = put_port(&to->election_port, fields[1])) != NULL)
		return why;
	if (to->quorum_port == to->election_port)
		return "the quorum and the election port must differ";
	return n == 3 ? put_role(&to->observer, fields[2]) : NULL;
}

static const char *
put_address(struct member *to, const char *value)
{
	char text[LINE_BYTES_MAX], *client;
	const char *why;

	if (strchr(value, '|') != NULL)
		return "several addresses of one server (multiAddress) are not supported: name one";
	if (!str_copy(text, sizeof text, value))
		return "it is longer than 1023 bytes";
	if ((client = strchr(text, ';')) != NULL)
		*client++ = '\0';
	if ((why = put_peer(to, text)) != NULL)
		return why;
	return client != NULL ? put_client(to, client) : NULL;
}

/* In its place by sid. */
static const char *
put_member(struct members *m, const struct member *member)
{
	unsigned at = m->count;

	if (members_find(m, member->sid) != NULL)
		return "this server is there twice";
	if (m->count == MEMBERS_MAX)
		return "an ensemble has at most 64 servers here";
	while (at > 0 && m->list[at - 1].sid > member->sid) {
		m->list[at] = m->list[at - 1];
		at--;
	}
	m->list[at] = *member;
	m->count++;
	return NULL;
}

static const char *
put_server(struct members *m, uint64_t sid, const char *value)
{
	struct member member = {.sid = (int64_t)sid};
	const char *why = put_address(&member, value);

	return why != NULL ? why : put_member(m, &member);
}

/* SID:SID... */
static const char *
put_group(struct members *m, uint32_t group, const char *value)
{
	char sid_text[8];

	for (const char *p = value;; p++) {
		size_t len = strcspn(p, ":");
		uint64_t sid;

		snprintf(sid_text, sizeof sid_text, "%.*s", len < 8 ? (int)len : 7, p);
		if (!str_to_u64(sid_text, 0, MEMBERS_SID_MAX, &sid))
			return "a group is SID:SID..., each from 0 to 255";
		if (m->group[sid] != MEMBERS_NO_GROUP)
			return "one of its servers is in a group already";
		m->group[sid] = group;
		p += len;
		if (*p == '\0')
			return NULL;
	}
}

static const char *
put_weight(struct members *m, uint64_t sid, const char *value)
{
	uint64_t n;

	if (m->weight[sid] != MEMBERS_NO_WEIGHT)
		return "this server's weight is there twice";
	if (!str_to_u64(value, 0, WEIGHT_MAX, &n))
		return "a weight is a number from 0 to 2147483647";
	m->weight[sid] = (uint32_t)n;
	return NULL;
}

/* The number behind the prefix, which the key has; false: it is none of these. */
static bool
key_number(const char *key, const char *prefix, uint64_t max, uint64_t *n)
{
	return str_starts(key, prefix) && str_to_u64(key + strlen(prefix), 0, max, n);
}

bool
members_key(const char *key)
{
	return str_starts(key, "server.") || str_starts(key, "group.") ||
	       str_starts(key, "weight.");
}

int
members_put(struct members *m, const char *key, const char *value, struct fault *f)
{
	const char *why;
	uint64_t n;

	if (key_number(key, "server.", MEMBERS_SID_MAX, &n))
		why = put_server(m, n, value);
	else if (key_number(key, "group.", GROUP_MAX, &n)) {
		m->hierarchical = true;
		why = put_group(m, (uint32_t)n, value);
	} else if (key_number(key, "weight.", MEMBERS_SID_MAX, &n)) {
		m->hierarchical = true;
		why = put_weight(m, n, value);
	} else if (str_starts(key, "group."))
		why = "a group's number is from 0 to 2147483647";
	else if (members_key(key))
		why = "a server's number is from 0 to 255";
	else
		why = "it does not belong into an ensemble's configuration";
	return why == NULL ? 0 : fault_set(f, -EINVAL, "%.64s=%.160s: %s", key, value, why);
}

static int
finish_groups(struct members *m, struct fault *f)
{
	uint64_t weight = 0;

	for (int sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		bool voter = members_is_voter(m, sid);

		if (voter && m->group[sid] == MEMBERS_NO_GROUP)
			return fault_set(f, -EINVAL, "server.%d is in no group", sid);
		if (!voter && m->group[sid] != MEMBERS_NO_GROUP)
			return fault_set(f, -EINVAL,
			    "server %d is in group.%u, but is no participant", sid, m->group[sid]);
		if (voter && m->weight[sid] == MEMBERS_NO_WEIGHT)
			m->weight[sid] = 1;
		weight += members_weight(m, sid);
	}
	return weight > 0 ? 0 : fault_set(f, -EINVAL, "every weight is 0: there is no quorum");
}

int
members_finish(struct members *m, struct fault *f)
{
	if (m->count == 0)
		return fault_set(f, -EINVAL, "there is no server.N line");
	if (members_voter_count(m) == 0)
		return fault_set(f, -EINVAL, "all servers are observers: nobody can lead");
	return m->hierarchical ? finish_groups(m, f) : 0;
}

static int
put_version(struct members *m, const char *value, struct fault *f)
{
	size_t len = strlen(value);

	if (len == 0 || len > 16 || strspn(value, "0123456789abcdefABCDEF") != len ||
	    (len == 16 && value[0] > '7'))
		return fault_set(f, -EINVAL, "version=%.64s: not a hexadecimal number", value);
	m->version = (int64_t)strtoull(value, NULL, 16);
	return 0;
}

/* One line, which is taken apart. */
static int
put_line(struct members *m, char *line, struct fault *f)
{
	size_t len = strlen(line);
	char *value;

	line += strspn(line, BLANKS);
	if (line[0] == '\0' || line[0] == '#' || line[0] == '!')
		return 0;
	if (strchr(line, '\\') != NULL)
		return fault_set(f, -EINVAL, "%.200s: escapes are not taken here", line);
	len = strlen(line);
	while (len > 0 && strchr(BLANKS, line[len - 1]) != NULL)
		line[--len] = '\0';
	value = line + strcspn(line, "=:" BLANKS);
	if (*value != '\0') {
		char *end = value;

		value += strspn(value, BLANKS);
		value += *value == '=' || *value == ':';
		value += strspn(value, BLANKS);
		*end = '\0';
	}
	return strcmp(line, "version") == 0 ? put_version(m, value, f)
					    : members_put(m, line, value, f);
}

int
members_parse(struct members *m, const void *text, size_t size, struct fault *f)
{
	const char *p = text, *end = p + size;
	char line[LINE_BYTES_MAX];
	int err;

	members_init(m);
	if (size > MEMBERS_TEXT_BYTES_MAX)
		return fault_set(f, -EINVAL, "a configuration of %zu bytes is too large", size);
	if (size > 0 && memchr(p, '\0', size) != NULL)
		return fault_set(f, -EINVAL, "a zero byte in a configuration");
	while (p < end) {
		size_t len = 0;

		while (p + len < end && p[len] != '\n' && p[len] != '\r')
			len++;
		if (len >= sizeof line)
			return fault_set(f, -EINVAL, "a line of %zu bytes is too long", len);
		memcpy(line, p, len);
		line[len] = '\0';
		if ((err = put_line(m, line, f)) < 0)
			return err;
		p += len + 1;
	}
	return members_finish(m, f);
}

/* Numbers in the order in which Java's hash tables have them, each with its place in front. */
struct order {
	uint64_t keys[MEMBERS_SID_MAX + 1];
	size_t count;
};

static void
order_add(struct order *o, uint32_t number)
{
	o->keys[o->count++] = number;
}

static int
by_key(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The table has a power of two of places, at least 16, and is at most three quarters full. */
static void
order_sort(struct order *o)
{
	uint32_t places = 16;

	while (o->count * 4 > (size_t)places * 3)
		places *= 2;
	for (size_t i = 0; i < o->count; i++) {
		uint32_t n = (uint32_t)o->keys[i];

		o->keys[i] |= (uint64_t)((n ^ n >> 16) & (places - 1)) << 32;
	}
	if (o->count > 1)
		qsort(o->keys, o->count, sizeof o->keys[0], by_key);
}

static uint32_t
order_at(const struct order *o, size_t i)
{
	return (uint32_t)o->keys[i];
}

static void
print_host(const char *host, struct buf *to)
{
	bool brackets = strchr(host, ':') != NULL;

	buf_printf(to, "%s%s%s", brackets ? "[" : "", host, brackets ? "]" : "");
}

/* One member's address, as it stands behind "server.N=". */
static void
print_member(const struct member *x, struct buf *to)
{
	print_host(x->host, to);
	buf_printf(to, ":%u:%u:%s", x->quorum_port, x->election_port,
	    x->observer ? "observer" : "participant");
	if (x->client_port != 0) {
		buf_append(to, ";", 1);
		print_host(x->client_host, to);
		buf_printf(to, ":%u", x->client_port);
	}
}

static void
print_servers(const struct members *m, struct buf *to)
{
	struct order sids = {.count = 0};

	for (unsigned i = 0; i < m->count; i++)
		order_add(&sids, (uint32_t)m->list[i].sid);
	order_sort(&sids);
	for (size_t i = 0; i < sids.count; i++) {
		buf_printf(to, "server.%u=", order_at(&sids, i));
		print_member(members_find(m, order_at(&sids, i)), to);
		buf_append(to, "\n", 1);
	}
}

static void
print_group(const struct members *m, uint32_t group, const struct order *grouped, struct buf *to)
{
	char separator = '=';

	buf_printf(to, "group.%u", group);
	for (size_t i = 0; i < grouped->count; i++) {
		if (m->group[order_at(grouped, i)] != group)
			continue;
		buf_printf(to, "%c%u", separator, order_at(grouped, i));
		separator = ':';
	}
	buf_append(to, "\n", 1);
}

static bool
group_is_new(const struct members *m, int sid)
{
	for (int k = 0; k < sid; k++) {
		if (m->group[k] == m->group[sid])
			return false;
	}
	return m->group[sid] != MEMBERS_NO_GROUP;
}

static void
print_groups(const struct members *m, struct buf *to)
{
	struct order groups = {.count = 0}, grouped = {.count = 0}, weighed = {.count = 0};

	for (int sid = 0; sid <= MEMBERS_SID_MAX; sid++) {
		if (group_is_new(m, sid))
			order_add(&groups, m->group[sid]);
		if (m->group[sid] != MEMBERS_NO_GROUP)
			order_add(&grouped, (uint32_t)sid);
		if (m->weight[sid] != MEMBERS_NO_WEIGHT)
			order_add(&weighed, (uint32_t)sid);
	}
	order_sort(&groups);
	order_sort(&grouped);
	order_sort(&weighed);
	for (size_t i = 0; i < groups.count; i++)
		print_group(m, order_at(&groups, i), &grouped, to);
	for (size_t i = 0; i < weighed.count; i++)
		buf_printf(
		    to, "weight.%u=%u\n", order_at(&weighed, i), m->weight[order_at(&weighed, i)]);
}

void
members_print(const struct members *m, struct buf *to)
{
	print_servers(m, to);
	if (m->hierarchical)
		print_groups(m, to);
	buf_printf(to, "version=%llx", (unsigned long long)m->version);
}
