/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/peer_feed.h"
#include "tests/sim/ens.h"
#include "zkserver/core/snapshot.h"

#define IN_FLIGHT_MAX ((size_t)256 << 10)
#define OUT_MAX_BYTES ((size_t)256 << 20)
#define RETRY_MS 20
#define CONNECT_TIMEOUT_MS 2000

static void on_arrival(void *arg, uint64_t token);

static uint64_t
delay_ms(struct ens *e)
{
	struct rng *r = &e->net.rng;

	return rng_below(r, 40) == 0 ? rng_below(r, 10 * e->net.delay_max_ms + 1)
				     : rng_below(r, e->net.delay_max_ms + 1);
}

void
ens_net_init(struct ens *e)
{
	struct ens_net *net = &e->net;
	struct rng rng;

	world_rng(&e->world, "masters", &rng); /* one of its own: seeds stay what they were */
	net->masters = rng_below(&rng, 2) == 0;
	world_rng(&e->world, "network", &net->rng);
	net->delay_max_ms = 1 + rng_below(&net->rng, rng_below(&net->rng, 3) == 0 ? 60 : 6);
	net->splits = rng_below(&net->rng, 3) == 0;
	list_init(&net->wires);
	for (unsigned a = 0; a < ENS_NODES_MAX; a++)
		for (unsigned b = 0; b < ENS_NODES_MAX; b++) {
			buf_init(&net->said[a][b], OUT_MAX_BYTES);
			net->pairs[a][b] = (struct ens_pair){e, a, b};
		}
}

/* ---- elections ---- */

static void
see(struct ens *e, unsigned a, unsigned b, enum election_link link)
{
	struct ens_node *n = &e->nodes[a];

	if (!n->up || e->net.seen[a][b] == link)
		return;
	e->net.seen[a][b] = link;
	ens_node_set_time(n);
	peer_election_link(&n->peer, e->nodes[b].sid, link);
	ens_node_turn(n);
}

static void
on_sight(void *arg, uint64_t token)
{
	const struct ens_pair *p = arg;
	struct ens *e = p->e;
	bool cut = e->net.blocked[p->from][p->to] || e->net.blocked[p->to][p->from];

	if (ens_node_sleeps(&e->nodes[p->from], on_sight, arg, token))
		return;
	if (!cut)
		see(e, p->from, p->to, e->nodes[p->to].up ? ELECTION_LINK_UP : ELECTION_LINK_DOWN);
	else if (token == 0) /* nobody answers: known when the attempt is over */
		world_at(&e->world, CONNECT_TIMEOUT_MS, on_sight, arg, 1);
	else
		see(e, p->from, p->to, ELECTION_LINK_DOWN);
}

static void
look(struct ens *e, unsigned a, unsigned b)
{
	world_at(&e->world, delay_ms(e), on_sight, &e->net.pairs[a][b], 0);
}

static void
look_at_all(struct ens *e, unsigned a)
{
	for (unsigned b = 0; b < e->count; b++)
		if (a != b) {
			look(e, a, b);
			look(e, b, a);
		}
}

static void
on_notification(void *arg, uint64_t token)
{
	const struct ens_pair *p = arg;
	struct ens *e = p->e;
	struct ens_node *n = &e->nodes[p->to];
	struct buf *said = &e->net.said[p->from][p->to];

	if (ens_node_sleeps(n, on_notification, arg, token))
		return;
	if (e->net.blocked[p->from][p->to] && e->nodes[p->from].up) {
		world_at(&e->world, RETRY_MS, on_notification, arg, token);
		return;
	}
	e->net.said_planned[p->from][p->to] = false;
	if (n->up && said->len > 0 && !e->net.blocked[p->from][p->to]) {
		ens_node_set_time(n);
		ens_check_heard(n, p->from, said->data, said->len);
		peer_heard(&n->peer, e->nodes[p->from].sid, said->data, said->len);
		buf_clear(said);
		ens_node_turn(n);
	}
}

void
ens_net_notify(struct ens *e, unsigned from, unsigned to, const uint8_t *bytes, size_t size)
{
	struct buf *said = &e->net.said[from][to];

	buf_clear(said);
	buf_append(said, bytes, size);
	if (e->net.said_planned[from][to])
		return;
	e->net.said_planned[from][to] = true;
	world_at(&e->world, delay_ms(e), on_notification, &e->net.pairs[from][to], 0);
}

/* ---- connections ---- */

static void
drop_chunks(struct ens_flow *f)
{
	struct list *l;

	while ((l = list_first(&f->chunks)) != NULL) {
		struct ens_chunk *c = CONTAINER_OF(l, struct ens_chunk, link);

		list_remove(l);
		free(c->bytes);
		free(c);
	}
	f->bytes = 0;
}

static void
free_if_over(struct ens_wire *w)
{
	if (w->ends[0].node != NULL || w->ends[1].node != NULL || w->arrivals > 0)
		return;
	for (int i = 0; i < 2; i++) {
		drop_chunks(&w->flows[i]);
		buf_fini(&w->ends[i].out);
	}
	list_remove(&w->link);
	free(w);
}

static void
plan_arrival(struct ens_wire *w, int from, uint64_t in_ms)
{
	if (w->flows[from].planned)
		return;
	w->flows[from].planned = true;
	w->arrivals++;
	world_at(&w->e->world, in_ms, on_arrival, w, (uint64_t)from);
}

static void
send_chunk(struct ens_wire *w, int from, const uint8_t *bytes, size_t size, bool fin)
{
	struct ens_flow *f = &w->flows[from];
	struct ens_chunk *c = calloc(1, sizeof(*c));

	if (c == NULL || (size > 0 && (c->bytes = malloc(size)) == NULL))
		exit(71);
	if (size > 0)
		memcpy(c->bytes, bytes, size);
	c->size = size;
	c->fin = fin;
	list_append(&f->chunks, &c->link);
	f->bytes += size;
	f->fin_sent |= fin;
	w->e->net.bytes += size;
	plan_arrival(w, from, delay_ms(w->e));
}

/* This side lets go of the connection; the other one hears of it behind what was sent. */
static void
close_end(struct ens_end *end, int side)
{
	struct ens_wire *w = end->wire;

	if (end->node == NULL)
		return;
	end->node = NULL;
	if (!w->flows[side].fin_sent)
		send_chunk(w, side, NULL, 0, true);
}

static void
flush_end(struct ens_end *end, int side)
{
	struct ens_wire *w = end->wire;
	struct ens_flow *f = &w->flows[side];
	size_t room = f->bytes < IN_FLIGHT_MAX ? IN_FLIGHT_MAX - f->bytes : 0;
	size_t size = end->out.len < room ? end->out.len : room;

	if (size == 0)
		return;
	send_chunk(w, side, end->out.data, size, false);
	buf_consume(&end->out, size);
}

static void
on_snapshot_sent(void *arg, uint64_t token)
{
	struct ens_wire *w = arg;
	int side = (int)token;
	struct ens_end *end = &w->ends[side];
	struct ens_node *n = end->node;

	if (n != NULL && ens_node_sleeps(n, on_snapshot_sent, arg, token))
		return;
	w->arrivals--;
	if (n == NULL) {
		free_if_over(w);
		return;
	}
	end->snapshot_planned = false;
	ens_node_set_time(n);
	peer_link_snapshot_sent(&n->peer, &end->core);
	ens_node_turn(n);
}

static int
put_stream(void *arg, const uint8_t *bytes, size_t size)
{
	struct buf *out = arg;

	buf_append(out, bytes, size);
	return out->failed ? -12 : 0;
}

static void
start_snapshot(struct ens_end *end, int side)
{
	struct ens_node *n = end->node;

	peer_link_snapshot_begin(&n->peer, &end->core);
	if (end->core.end != PEER_LINK_OPEN)
		return;
	if (snapshot_stream(&n->db, put_stream, &end->out) != 0)
		exit(71);
	n->snapshots++;
	end->snapshot_planned = true;
	end->wire->arrivals++;
	world_at(
	    &n->e->world, rng_below(&n->rng, 300), on_snapshot_sent, end->wire, (uint64_t)side);
}

void
ens_net_attend(struct ens_node *n)
{
	struct peer_link *l;

	while (n->up && (l = peer_next_dirty(&n->peer)) != NULL) {
		struct ens_end *end = CONTAINER_OF(l, struct ens_end, core);
		int side = end == &end->wire->ends[1];

		if (l->wants_snapshot && !end->snapshot_planned)
			start_snapshot(end, side);
		if (l->end != PEER_LINK_CLOSE)
			flush_end(end, side);
		if (l->end == PEER_LINK_CLOSE ||
		    (l->end == PEER_LINK_CLOSE_FLUSHED && end->out.len == 0)) {
			if (l->why[0] != '\0')
				world_trace(&n->e->world, "%lld: link to %lld ends: %s",
				    (long long)n->sid, (long long)l->sid, l->why);
			peer_link_closed(&n->peer, l);
			close_end(end, side);
		} else if (!l->paused)
			plan_arrival(end->wire, !side, 0);
	}
}

static void
drop_chunk(struct ens_flow *f, struct ens_chunk *c)
{
	list_remove(&c->link);
	f->bytes -= c->size;
	free(c->bytes);
	free(c);
}

/* So much of what was sent arrives. What nobody wants now stays, what nobody will is gone. */
static void
take_bytes(struct ens_wire *w, int from, struct ens_chunk *c, size_t size)
{
	struct ens_end *to = &w->ends[!from];
	struct ens_node *n = to->node;
	size_t took;

	ens_node_set_time(n);
	took = peer_feed(&n->peer, &to->core, c->bytes, size);
	if (to->core.end != PEER_LINK_OPEN)
		took = size;
	memmove(c->bytes, c->bytes + took, c->size - took);
	c->size -= took;
	w->flows[from].bytes -= took;
	if (c->size == 0)
		drop_chunk(&w->flows[from], c);
	ens_node_turn(n);
}

static size_t
draw_piece(struct rng *r, size_t size)
{
	return rng_below(r, 2) == 0 ? 1 : 1 + (size_t)rng_below(r, size - 1);
}

/* The first chunk of a direction arrives, or waits. */
static void
arrive(struct ens_wire *w, int from)
{
	struct ens_flow *f = &w->flows[from];
	struct ens_end *to = &w->ends[!from];
	struct ens_node *n = to->node;
	struct ens_chunk *c = CONTAINER_OF(list_first(&f->chunks), struct ens_chunk, link);
	bool fin = c->fin;

	if (n != NULL && w->e->net.splits && c->size > 1 && rng_below(&w->e->net.rng, 4) == 0) {
		take_bytes(w, from, c, draw_piece(&w->e->net.rng, c->size));
		return;
	}
	if (n != NULL && !c->fin)
		take_bytes(w, from, c, c->size);
	else
		drop_chunk(f, c);
	if (n != NULL && fin) {
		ens_node_set_time(n);
		peer_link_closed(&n->peer, &to->core);
		close_end(to, !from);
		ens_node_turn(n);
	}
	if (w->ends[from].node != NULL && w->ends[from].node->up) {
		struct ens_node *sender = w->ends[from].node;

		flush_end(&w->ends[from], from);
		if (w->ends[from].out.len == 0 && sender->paused_until_ms <= w->e->world.now_ms &&
		    !sender->turning) {
			ens_node_set_time(sender);
			peer_link_drained(&sender->peer, &w->ends[from].core);
			ens_node_turn(sender);
		}
	}
}

static void
on_arrival(void *arg, uint64_t token)
{
	struct ens_wire *w = arg;
	struct ens *e = w->e;
	int from = (int)token;
	struct ens_node *n = w->ends[!from].node;

	if (n != NULL && ens_node_sleeps(n, on_arrival, arg, token))
		return;
	w->flows[from].planned = false;
	w->arrivals--;
	if (list_empty(&w->flows[from].chunks)) {
		free_if_over(w);
		return;
	}
	if (e->net.blocked[w->who[from]][w->who[!from]] && n != NULL) {
		plan_arrival(w, from, RETRY_MS);
		return;
	}
	if (n != NULL && w->ends[!from].core.paused) {
		plan_arrival(w, from, 5);
		return;
	}
	w->arrivals++; /* it must not vanish meanwhile */
	arrive(w, from);
	w->arrivals--;
	if (!list_empty(&w->flows[from].chunks))
		plan_arrival(w, from, delay_ms(e));
	else
		free_if_over(w);
}

static void
on_dial(void *arg, uint64_t dial)
{
	const struct ens_pair *p = arg;
	struct ens *e = p->e;
	struct ens_node *a = &e->nodes[p->from], *b = &e->nodes[p->to];
	bool master = e->net.to_master[p->from];
	struct ens_wire *w;

	if (ens_node_sleeps(a, on_dial, arg, dial) || ens_node_sleeps(b, on_dial, arg, dial))
		return;
	if (!a->up || e->net.dials[p->from] != dial)
		return;
	ens_node_set_time(a);
	if (!b->up || e->net.blocked[p->from][p->to] || e->net.blocked[p->to][p->from] ||
	    (master && !peer_takes_observers(&b->peer))) {
		peer_dial_failed(&a->peer, b->sid);
		ens_node_turn(a);
		return;
	}
	if ((w = calloc(1, sizeof(*w))) == NULL)
		exit(71);
	w->e = e;
	w->id = e->net.next_id++;
	w->who[0] = p->from;
	w->who[1] = p->to;
	list_append(&e->net.wires, &w->link);
	for (int i = 0; i < 2; i++) {
		list_init(&w->flows[i].chunks);
		w->ends[i].wire = w;
		w->ends[i].node = i == 0 ? a : b;
		buf_init(&w->ends[i].out, OUT_MAX_BYTES);
	}
	ens_node_set_time(b);
	if (master)
		peer_observer_accepted(&b->peer, &w->ends[1].core, &w->ends[1].out);
	else
		peer_link_accepted(&b->peer, &w->ends[1].core, &w->ends[1].out);
	w->arrivals++;
	ens_node_turn(b);
	if (a->up && e->net.dials[p->from] == dial) {
		peer_link_dialled(&a->peer, &w->ends[0].core, &w->ends[0].out, b->sid);
		ens_node_turn(a);
	} else if (w->ends[0].node != NULL)
		close_end(&w->ends[0], 0);
	w->arrivals--;
	free_if_over(w);
}

void
ens_net_dial(struct ens *e, unsigned from, unsigned to, bool master)
{
	bool cut = e->net.blocked[from][to] || e->net.blocked[to][from];

	e->net.to_master[from] = master;
	world_at(&e->world, delay_ms(e) + (cut ? CONNECT_TIMEOUT_MS : 0), on_dial,
	    &e->net.pairs[from][to], ++e->net.dials[from]);
}

void
ens_net_gone(struct ens_node *n)
{
	struct ens *e = n->e;

	for (struct list *l = e->net.wires.next, *next; l != &e->net.wires; l = next) {
		struct ens_wire *w = CONTAINER_OF(l, struct ens_wire, link);

		next = l->next;
		for (int i = 0; i < 2; i++)
			if (w->ends[i].node == n) {
				/* What was on its way may have been sent, or not; nobody
				 * sends again what a cut has held up. */
				if (rng_below(&e->net.rng, 2) == 0 ||
				    e->net.blocked[w->who[i]][w->who[!i]])
					drop_chunks(&w->flows[i]);
				buf_clear(&w->ends[i].out);
				peer_link_closed(&n->peer, &w->ends[i].core);
				close_end(&w->ends[i], i);
			}
	}
	e->net.dials[n->index]++;
	for (unsigned b = 0; b < e->count; b++) {
		buf_clear(&e->net.said[n->index][b]);
		e->net.seen[n->index][b] = ELECTION_LINK_UNKNOWN;
	}
	look_at_all(e, n->index);
}

void
ens_net_here(struct ens_node *n)
{
	look_at_all(n->e, n->index);
}

void
ens_net_block(struct ens *e, unsigned from, unsigned to, bool blocked)
{
	if (from == to || e->net.blocked[from][to] == blocked)
		return;
	e->net.blocked[from][to] = blocked;
	e->net.cuts += blocked;
	look(e, from, to);
	look(e, to, from);
}

void
ens_net_heal(struct ens *e)
{
	for (unsigned a = 0; a < e->count; a++)
		for (unsigned b = 0; b < e->count; b++)
			ens_net_block(e, a, b, false);
}

void
ens_net_reset(struct ens *e, unsigned a, unsigned b)
{
	for (struct list *l = e->net.wires.next, *next; l != &e->net.wires; l = next) {
		struct ens_wire *w = CONTAINER_OF(l, struct ens_wire, link);

		next = l->next;
		if (w->who[0] + w->who[1] != a + b || (w->who[0] != a && w->who[0] != b))
			continue;
		e->net.resets++;
		for (int i = 0; i < 2; i++) {
			drop_chunks(&w->flows[i]);
			w->flows[i].fin_sent = false;
			send_chunk(w, i, NULL, 0, true);
		}
	}
}

void
ens_net_fini(struct ens *e)
{
	struct list *l;

	while ((l = list_first(&e->net.wires)) != NULL) {
		struct ens_wire *w = CONTAINER_OF(l, struct ens_wire, link);

		w->ends[0].node = w->ends[1].node = NULL;
		w->arrivals = 0;
		free_if_over(w);
	}
	for (unsigned a = 0; a < ENS_NODES_MAX; a++)
		for (unsigned b = 0; b < ENS_NODES_MAX; b++)
			buf_fini(&e->net.said[a][b]);
}
