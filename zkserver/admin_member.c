/* SPDX-License-Identifier: Apache-2.0 */
/* What operators ask of a member of an ensemble, in the forms of Apache's server. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/io/address.h"
#include "zkserver/admin.h"
#include "zkserver/client_port.h"
#include "zkserver/standing.h"

#define ADDRESS_BYTES (MEMBERS_HOST_BYTES + 16)

static const struct members *
members_of(const struct admin *a)
{
	return a->ensemble->peer->zab.members;
}

/* ---- texts ---- */

/* What conf says of a member besides. */
void
text_membership(const struct admin_call *q, struct report *r)
{
	const struct zoo_ensemble *c = &q->admin->conf->ensemble;
	const struct members *m = members_of(q->admin);
	const struct member *self = members_find(m, c->sid);
	struct buf text;

	report_printf(
	    r, "initLimit=%u\nsyncLimit=%u\nelectionAlg=3\n", c->init_limit, c->sync_limit);
	report_printf(r, "electionPort=%d\nquorumPort=%d\npeerType=%d\nmembership: \n",
	    self != NULL ? self->election_port : -1, self != NULL ? self->quorum_port : -1,
	    self != NULL && !self->observer ? 0 : 1);
	buf_init(&text, MEMBERS_TEXT_BYTES_MAX);
	members_print(m, &text);
	report_bytes(r, text.data, text.len);
	buf_fini(&text);
}

static void
put_learners(const struct peer *p, struct report *r)
{
	struct standing_learner l = {0};

	while (standing_next(&l, p))
		report_printf(r,
		    "learner.%" PRId64 "=%s, %s, acked 0x%" PRIx64 ", lag %" PRId64
		    ", unsent %zu, since_ms %" PRIu64 "\n",
		    l.sid, l.observer ? "observer" : "follower", l.stage, (uint64_t)l.acked, l.lag,
		    l.unsent, l.since_ms);
}

static void
put_links(const struct peer *p, struct report *r)
{
	const struct members *m = p->zab.members;

	for (unsigned i = 0; i < m->count; i++) {
		if (m->list[i].sid != p->zab.settings.sid)
			report_printf(r, "election.%" PRId64 "=%s\n", m->list[i].sid,
			    standing_link(p, m->list[i].sid));
	}
}

void
text_role(const struct admin_call *q, struct report *r)
{
	const struct admin *a = q->admin;
	struct standing s;

	if (a->ensemble == NULL) {
		report_printf(r, "role=%s\nzxid=0x%" PRIx64 "\nwhy=\n", server_mode(a->server),
		    (uint64_t)a->server->db->last_zxid);
		return;
	}
	a->ensemble->standing(a->ensemble->arg, &s);
	report_printf(r, "role=%s\nsid=%" PRId64 "\nstate=%s\nleader=%" PRId64 "\nepoch=%d\n",
	    s.role, s.sid, s.state, s.leader, (int)s.epoch);
	if (s.master != s.leader)
		report_printf(r, "master=%" PRId64 "\n", s.master);
	report_printf(r, "zxid=0x%" PRIx64 "\nround=%" PRId64 "\nlag=%" PRId64 "\nvoters=%u\n",
	    (uint64_t)s.zxid, s.round, s.lag, s.voters);
	report_printf(r, "since_ms=%" PRIu64 "\nwhy=%s\n", s.since_ms, s.why);
	put_learners(a->ensemble->peer, r);
	put_links(a->ensemble->peer, r);
}

/* ---- JSON ---- */

bool
json_lead(const struct admin_call *q, struct json *j)
{
	const struct admin_ensemble *e = q->admin->ensemble;
	const struct member *leader;
	struct standing s;

	if (e == NULL) {
		json_put_text(j, "error", "server is not initialized");
		return false;
	}
	e->standing(e->arg, &s);
	leader = members_find(members_of(q->admin), s.leader);
	json_put_bool(j, "is_leader", s.leader == s.sid);
	json_put_int(j, "leader_id", s.leader);
	json_put_text(j, "leader_ip", leader != NULL ? leader->host : "");
	return true;
}

static void
put_observer(const struct admin *a, const struct standing_learner *l, struct json *j)
{
	char address[ADDRESS_BYTES];

	snprintf(address, sizeof address, "/%s", a->ensemble->address(l->link));
	json_object(j);
	json_put_text(j, "remote_socket_address", address);
	json_put_int(j, "sid", l->sid);
	json_put_int(j, "established", a->server->wall_ms - (int64_t)l->since_ms);
	json_put_int(j, "queued_packets_size", (int64_t)l->unsent);
	json_put_int(j, "last_zxid", l->acked);
	json_close(j);
}

bool
json_obsr(const struct admin_call *q, struct json *j)
{
	const struct admin *a = q->admin;
	struct standing_learner l = {0};
	struct standing s = {0};

	if (a->ensemble != NULL)
		a->ensemble->standing(a->ensemble->arg, &s);
	json_put_int(j, "synced_observers", s.synced_observers);
	json_key(j, "observers");
	json_array(j);
	while (a->ensemble != NULL && standing_next(&l, a->ensemble->peer)) {
		if (l.observer && l.synced)
			put_observer(a, &l, j);
	}
	json_close(j);
	return true;
}

/* Where clients find a member, as far as this one knows; "" if it does not. */
static void
print_client_address(const struct admin *a, const struct member *m, char to[ADDRESS_BYTES])
{
	const struct zoo_conf *c = a->conf;
	int port = client_port_number(a->clients, false);

	to[0] = '\0';
	if (m->client_port != 0)
		address_join(to, ADDRESS_BYTES, m->client_host, m->client_port);
	else if (m->sid == c->ensemble.sid && port != ZOO_PORT_NONE)
		address_join(to, ADDRESS_BYTES,
		    c->client_address[0] != '\0' ? c->client_address : "0.0.0.0", port);
}

static void
put_address_list(struct json *j, const char *key, const char *address)
{
	json_key(j, key);
	json_array(j);
	json_text(j, address);
	json_close(j);
}

bool
json_voting_view(const struct admin_call *q, struct json *j)
{
	const struct admin *a = q->admin;
	char address[ADDRESS_BYTES], key[24];

	json_key(j, "current_config");
	json_object(j);
	for (unsigned i = 0; a->ensemble != NULL && i < members_of(a)->count; i++) {
		const struct member *m = &members_of(a)->list[i];

		if (m->observer)
			continue;
		snprintf(key, sizeof key, "%" PRId64, m->sid);
		json_key(j, key);
		json_object(j);
		address_join(address, sizeof address, m->host, m->quorum_port);
		put_address_list(j, "server_addresses", address);
		address_join(address, sizeof address, m->host, m->election_port);
		put_address_list(j, "election_addresses", address);
		print_client_address(a, m, address);
		json_put_text(j, "client_address", address);
		json_put_text(j, "learner_type", "participant");
		json_close(j);
	}
	json_close(j);
	return true;
}

/* A member has one address for each purpose; Apache's server tells in many ways of several. */
static void
put_address(struct json *j, const char *key, const char *host, int port)
{
	char address[ADDRESS_BYTES], wildcard[ADDRESS_BYTES];

	address_join(address, sizeof address, host, port);
	address_join(wildcard, sizeof wildcard, "0.0.0.0", port);
	json_key(j, key);
	json_object(j);
	json_put_bool(j, "empty", false);
	put_address_list(j, "all_addresses", address);
	put_address_list(j, "all_reachable_addresses", address);
	json_put_text(j, "one", address);
	json_put_text(j, "reachable_address", address);
	put_address_list(j, "wildcard_addresses", wildcard);
	json_key(j, "all_ports");
	json_array(j);
	json_int(j, port);
	json_close(j);
	put_address_list(j, "all_host_strings", host);
	put_address_list(j, "all_reachable_addresses_or_all", address);
	json_put_text(j, "reachable_or_one", address);
	json_close(j);
}

static void
put_zabstate(const struct admin *a, const struct standing *s, struct json *j)
{
	const struct member *self = members_find(members_of(a), s->sid);
	char text[ADDRESS_BYTES];

	json_put_int(j, "myid", s->sid);
	json_put_bool(j, "is_leader", s->leader == s->sid);
	if (self != NULL) {
		put_address(j, "quorum_address", self->host, self->quorum_port);
		put_address(j, "election_address", self->host, self->election_port);
		print_client_address(a, self, text);
		json_put_text(j, "client_address", text);
	}
	json_put_bool(j, "voting", s->voting);
	snprintf(text, sizeof text, "0x%" PRIx64, (uint64_t)s->zxid);
	json_put_text(j, "last_zxid", text);
	json_put_int(j, "zab_epoch", s->zxid >> 32);
	json_put_int(j, "zab_counter", s->zxid & UINT32_MAX);
	json_put_text(j, "zabstate", s->phase);
}

bool
json_zabstate(const struct admin_call *q, struct json *j)
{
	const struct admin_ensemble *e = q->admin->ensemble;
	struct standing s;

	if (e != NULL && server_serves(q->admin->server)) {
		e->standing(e->arg, &s);
		put_zabstate(q->admin, &s, j);
		return true;
	}
	json_put_bool(j, "voting", false);
	json_put_text(j, "zabstate", "");
	return true;
}
