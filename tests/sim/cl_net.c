/* SPDX-License-Identifier: Apache-2.0 */
/* Machines, processes that stop and die, and the connections between them. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cl.h"

#define PPM 1000000
#define DIAL_TIMEOUT_MS 10000

void *
cl_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (p == NULL) {
		fputs("clsim: no memory\n", stderr);
		exit(71);
	}
	return p;
}

/* ---- Clocks. ---- */

uint64_t
cl_now(const struct cl_machine *m)
{
	uint64_t passed = m->c->world.now_ms - m->true_base_ms;

	return m->boot_base_ms + passed * (uint64_t)(PPM + m->drift_ppm) / PPM;
}

int64_t
cl_wall_ms(const struct cl_machine *m)
{
	return INT64_C(1700000000000) + (int64_t)m->c->world.now_ms + m->wall_offset_ms;
}

uint64_t
cl_until(const struct cl_machine *m, uint64_t boot_ms)
{
	uint64_t rate = (uint64_t)(PPM + m->drift_ppm), at;

	if (boot_ms <= cl_now(m))
		return 0;
	at = m->true_base_ms + ((boot_ms - m->boot_base_ms) * PPM + rate - 1) / rate;
	return at - m->c->world.now_ms;
}

void
cl_set_drift(struct cl_machine *m, int32_t ppm)
{
	m->boot_base_ms = cl_now(m);
	m->true_base_ms = m->c->world.now_ms;
	m->drift_ppm = ppm;
}

void
cl_reboot_clock(struct cl_machine *m)
{
	m->boots++;
	m->true_base_ms = m->c->world.now_ms;
	m->boot_base_ms = 5000 + rng_below(&m->c->rng_host, 5000);
	if (m->boots == 1) /* when it all begins, most have been up for long */
		m->boot_base_ms += rng_below(&m->c->rng_host, 100000000);
	snprintf(
	    m->boot_id, sizeof m->boot_id, "%s-boot-%llu", m->name, (unsigned long long)m->boots);
}

bool
cl_is_asleep(const struct cl_machine *m)
{
	return m->c->world.now_ms < m->asleep_until_ms;
}

/* ---- Processes. ---- */

struct frame {
	struct frame *next;
	uint64_t ready_ms;
	size_t size;
	bool fin;
	uint8_t bytes[];
};

struct end {
	struct cl_proc *proc;
	unsigned machine;
	void *owner;
	const struct cl_end_ops *ops;
	bool open;
};

struct way {
	struct cl_conn *conn;
	unsigned to; /* end[to] reads */
	struct frame *first, **last;
	uint64_t last_ready_ms;
	bool scheduled;
};

struct cl_conn {
	struct list link;
	struct cl *c;
	struct end end[2];
	struct way way[2]; /* way[i] leads to end[i] */
};

static void deliver(void *arg, uint64_t token);

static void
schedule(struct way *w)
{
	struct cl *c = w->conn->c;
	uint64_t now = c->world.now_ms;

	if (w->scheduled || w->first == NULL)
		return;
	w->scheduled = true;
	world_at(&c->world, w->first->ready_ms > now ? w->first->ready_ms - now : 0, deliver, w, 0);
}

/* Whatever held frames back may be gone. */
static void
kick_conns(struct cl *c, const struct cl_proc *p)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->conns) {
		struct cl_conn *conn = CONTAINER_OF(it, struct cl_conn, link);

		for (int i = 0; i < 2; i++)
			if (p == NULL || conn->end[i].proc == p)
				schedule(&conn->way[i]);
	}
}

void
cl_proc_init(struct cl_proc *p, struct cl_machine *m)
{
	p->c = m->c;
	p->machine = m;
	list_append(&m->procs, &p->in_machine);
}

void
cl_proc_fini(struct cl_proc *p)
{
	list_remove(&p->in_machine);
}

void
cl_proc_start(struct cl_proc *p)
{
	p->up = true;
	p->life++;
	p->paused_until_ms = 0;
	p->crash_in = p->pause_in = 0;
	p->timer_ms = UINT64_MAX;
	p->in_resume = p->gathers = false;
}

void
cl_proc_end(struct cl_proc *p)
{
	struct list *it, *nx;

	p->up = false;
	p->life++;
	p->timer_ms = UINT64_MAX;
	LIST_EACH(it, nx, &p->c->conns) {
		struct cl_conn *conn = CONTAINER_OF(it, struct cl_conn, link);

		if ((conn->end[0].proc == p && conn->end[0].open) ||
		    (conn->end[1].proc == p && conn->end[1].open))
			cl_close(conn, p);
	}
}

bool
cl_runs(const struct cl_proc *p)
{
	return p->up && p->c->world.now_ms >= p->paused_until_ms && !cl_is_asleep(p->machine);
}

static void
on_wake(void *arg, uint64_t token)
{
	struct cl_proc *p = arg;

	if (p->life != token || !cl_runs(p) || p->in_resume)
		return;
	p->in_resume = true;
	p->resume(p);
	p->in_resume = false;
	if (cl_runs(p))
		kick_conns(p->c, p);
}

void
cl_pause(struct cl_proc *p, uint64_t ms)
{
	uint64_t until = p->c->world.now_ms + ms;

	if (!p->up)
		return;
	if (until > p->paused_until_ms)
		p->paused_until_ms = until;
	world_at(&p->c->world, ms, on_wake, p, p->life);
}

static void
on_machine_wake(void *arg, uint64_t token)
{
	struct cl_machine *m = arg;
	struct list *it, *nx;

	(void)token;
	if (cl_is_asleep(m))
		return;
	m->woke_ms = m->c->world.now_ms;
	LIST_EACH(it, nx, &m->procs)
		on_wake(CONTAINER_OF(it, struct cl_proc, in_machine),
		    CONTAINER_OF(it, struct cl_proc, in_machine)->life);
}

void
cl_sleep(struct cl_machine *m, uint64_t ms)
{
	uint64_t until = m->c->world.now_ms + ms;

	if (until > m->asleep_until_ms)
		m->asleep_until_ms = until;
	world_at(&m->c->world, ms, on_machine_wake, m, 0);
}

enum cl_go
cl_output(struct cl_proc *p)
{
	if (p->crash_in > 0 && --p->crash_in == 0) {
		cl_trace(p->c, "%s: dies between two outputs", p->machine->name);
		p->die(p);
		return CL_DEAD;
	}
	if (p->pause_in > 0 && --p->pause_in == 0) {
		cl_trace(p->c, "%s: stops between two outputs for %llu ms", p->machine->name,
		    (unsigned long long)p->pause_ms);
		cl_pause(p, p->pause_ms);
		return CL_STOPPED;
	}
	return CL_GO;
}

static void
on_timer(void *arg, uint64_t token)
{
	struct cl_proc *p = arg;

	if (p->life != token || p->timer_ms > p->c->world.now_ms)
		return;
	p->timer_ms = UINT64_MAX;
	if (cl_runs(p))
		p->tick(p); /* else resume() looks at the clock */
}

void
cl_timer(struct cl_proc *p, uint64_t boot_ms)
{
	uint64_t at;

	if (boot_ms == UINT64_MAX)
		return;
	at = p->c->world.now_ms + cl_until(p->machine, boot_ms);
	if (at >= p->timer_ms)
		return;
	p->timer_ms = at;
	world_at(&p->c->world, at - p->c->world.now_ms, on_timer, p, p->life);
}

/* ---- Turns of several events. ---- */

static void
on_gathered(void *arg, uint64_t token)
{
	struct cl_proc *p = arg;

	if (p->life != token)
		return;
	p->gathers = false;
	if (cl_runs(p))
		p->turn(p); /* else resume() does */
}

/* Mostly what is there already, now and then what comes to a process that is slow. */
static uint64_t
gather_ms(struct cl *c)
{
	static const uint64_t most[] = {3, 10, 50, 500};

	return rng_below(&c->rng_turn, most[rng_below(&c->rng_turn, 4)]);
}

bool
cl_gather(struct cl_proc *p)
{
	struct cl *c = p->c;

	if (p->gathers) {
		p->gathered++;
		c->gathered++;
		return true;
	}
	if (c->conf.gather_in == 0 || rng_below(&c->rng_turn, c->conf.gather_in) > 0)
		return false;
	p->gathers = true;
	p->gathered = 1;
	world_at(&c->world, gather_ms(c), on_gathered, p, p->life);
	return true;
}

/* ---- Connections. ---- */

static uint64_t
draw_delay(struct cl *c, unsigned a, unsigned b)
{
	uint64_t ms, lag = c->lag_ms[a] > c->lag_ms[b] ? c->lag_ms[a] : c->lag_ms[b];

	if (a == b)
		return rng_below(&c->rng_net, 2);
	ms = 1 + rng_below(&c->rng_net, c->conf.delay_ms);
	return lag == 0 ? ms : ms + rng_below(&c->rng_net, lag);
}

static void
drop_frames(struct way *w)
{
	struct frame *f;

	while ((f = w->first) != NULL) {
		w->first = f->next;
		free(f);
	}
	w->last = &w->first;
}

/* Nobody is interested any more. */
static void
retire(struct cl_conn *conn)
{
	drop_frames(&conn->way[0]);
	drop_frames(&conn->way[1]);
	list_remove(&conn->link);
	list_append(&conn->c->closed_conns, &conn->link);
}

static void
deliver(void *arg, uint64_t token)
{
	struct way *w = arg;
	struct cl_conn *conn = w->conn;
	struct end *to = &conn->end[w->to], *from = &conn->end[!w->to];
	struct frame *f = w->first;

	(void)token;
	w->scheduled = false;
	if (f == NULL || !to->open || !cl_runs(to->proc) ||
	    conn->c->blocked[from->machine][to->machine])
		return;
	if (f->ready_ms > conn->c->world.now_ms) {
		schedule(w);
		return;
	}
	if ((w->first = f->next) == NULL)
		w->last = &w->first;
	if (f->fin) {
		to->open = false;
		if (!from->open)
			retire(conn);
		to->ops->down(to->owner, conn);
	} else {
		to->ops->frame(to->owner, conn, f->bytes, f->size);
	}
	free(f);
	if (to->open)
		schedule(w);
}

static void
push(struct way *w, const void *bytes, size_t size, bool fin)
{
	struct cl_conn *conn = w->conn;
	struct cl *c = conn->c;
	struct frame *f = malloc(sizeof *f + size);

	if (f == NULL) {
		fputs("clsim: no memory\n", stderr);
		exit(71);
	}
	f->next = NULL;
	f->size = size;
	f->fin = fin;
	if (size > 0)
		memcpy(f->bytes, bytes, size);
	f->ready_ms = c->world.now_ms + draw_delay(c, conn->end[0].machine, conn->end[1].machine);
	if (f->ready_ms < w->last_ready_ms)
		f->ready_ms = w->last_ready_ms;
	w->last_ready_ms = f->ready_ms;
	*w->last = f;
	w->last = &f->next;
	schedule(w);
}

static int
side_of(const struct cl_conn *conn, const struct cl_proc *p)
{
	return conn->end[1].proc == p;
}

void
cl_send(struct cl_conn *conn, const struct cl_proc *from, const void *bytes, size_t size)
{
	int self = side_of(conn, from);

	if (conn->end[self].open && conn->end[!self].open)
		push(&conn->way[!self], bytes, size, false);
}

/* Of what is on its way, a suffix is lost. */
static void
cut_suffix(struct way *w)
{
	size_t count = 0, keep;
	struct frame *f;

	for (f = w->first; f != NULL; f = f->next)
		count++;
	if (count == 0)
		return;
	keep = rng_below(&w->conn->c->rng_net, count + 1);
	w->last = &w->first;
	while (keep-- > 0)
		w->last = &(*w->last)->next;
	while ((f = *w->last) != NULL) {
		*w->last = f->next;
		free(f);
	}
}

void
cl_close(struct cl_conn *conn, const struct cl_proc *from)
{
	int self = side_of(conn, from);

	if (!conn->end[self].open)
		return;
	conn->end[self].open = false;
	drop_frames(&conn->way[self]);
	if (!conn->end[!self].open) {
		retire(conn);
		return;
	}
	cut_suffix(&conn->way[!self]);
	if (from->machine->dark) /* the other side finds out by itself */
		conn->way[!self].last_ready_ms =
		    conn->c->world.now_ms + 1000 + rng_below(&conn->c->rng_net, 60000);
	push(&conn->way[!self], NULL, 0, true);
}

bool
cl_take_unread(struct cl_conn *conn, const struct cl_proc *of, uint8_t **bytes, size_t *size)
{
	struct way *w = &conn->way[side_of(conn, of)];
	struct frame *f = w->first;

	if (f == NULL || f->fin)
		return false;
	if ((w->first = f->next) == NULL)
		w->last = &w->first;
	*size = f->size;
	*bytes = cl_alloc(f->size + 1);
	memcpy(*bytes, f->bytes, f->size);
	free(f);
	return true;
}

const char *
cl_peer_name(const struct cl_conn *conn)
{
	return conn->c->machines[conn->end[0].machine].name;
}

void *
cl_peer_owner(const struct cl_conn *conn)
{
	return conn->end[0].owner;
}

void
cl_reset_between(struct cl *c, unsigned a, unsigned b)
{
	struct list *it, *nx;

	LIST_EACH(it, nx, &c->conns) {
		struct cl_conn *conn = CONTAINER_OF(it, struct cl_conn, link);

		if (!(conn->end[0].machine == a && conn->end[1].machine == b) &&
		    !(conn->end[0].machine == b && conn->end[1].machine == a))
			continue;
		for (int i = 0; i < 2; i++) {
			if (!conn->end[i].open)
				continue;
			cut_suffix(&conn->way[i]);
			push(&conn->way[i], NULL, 0, true);
		}
	}
}

struct dial {
	struct list link;
	struct cl_proc *from;
	uint64_t life, since_ms, token;
	const struct cl_listener *to;
	cl_up_fn *up;
	const struct cl_end_ops *ops;
	void *owner;
};

static struct cl_conn *
conn_new(const struct dial *d)
{
	struct cl *c = d->from->c;
	struct cl_conn *conn = cl_alloc(sizeof *conn);

	conn->c = c;
	conn->end[0] = (struct end){d->from, d->from->machine->number, d->owner, d->ops, true};
	conn->end[1] = (struct end){d->to->proc, d->to->proc->machine->number, NULL, NULL, true};
	for (unsigned i = 0; i < 2; i++) {
		conn->way[i].conn = conn;
		conn->way[i].to = i;
		conn->way[i].last = &conn->way[i].first;
	}
	list_append(&c->conns, &conn->link);
	return conn;
}

static void
dial_free(struct dial *d)
{
	list_remove(&d->link);
	free(d);
}

static void
on_dialed(void *arg, uint64_t token)
{
	struct dial *d = arg;
	struct cl_proc *from = d->from, *to = d->to->proc;
	struct cl *c = from->c;
	unsigned a = from->machine->number, b = to->machine->number;
	struct cl_conn *conn = NULL;

	(void)token;
	if (from->life != d->life) {
		dial_free(d);
		return;
	}
	/* A handshake takes both sides, and the way both ways. */
	if (!cl_runs(from) || c->blocked[a][b] || c->blocked[b][a] || (to->up && !cl_runs(to))) {
		if (!cl_runs(from) || c->world.now_ms - d->since_ms < DIAL_TIMEOUT_MS) {
			world_at(&c->world, 100 + rng_below(&c->rng_net, 400), on_dialed, d, 0);
			return;
		}
	} else if (to->up) {
		conn = conn_new(d);
		conn->end[1].owner = d->to->accept(d->to->owner, conn, &conn->end[1].ops);
		if (conn->end[1].owner == NULL) {
			conn->end[0].open = conn->end[1].open = false;
			retire(conn);
			conn = NULL;
		}
	}
	d->up(d->owner, conn, d->token);
	dial_free(d);
}

void
cl_dial(struct cl_proc *from, const struct cl_listener *to, cl_up_fn *up,
    const struct cl_end_ops *ops, void *owner, uint64_t token)
{
	struct dial *d = cl_alloc(sizeof *d);
	struct cl *c = from->c;

	*d = (struct dial){{0}, from, from->life, c->world.now_ms, token, to, up, ops, owner};
	list_append(&c->dials, &d->link);
	world_at(&c->world, 2 * draw_delay(c, from->machine->number, to->proc->machine->number),
	    on_dialed, d, 0);
}

void
cl_block(struct cl *c, unsigned from, unsigned to, bool blocked)
{
	if (from != to)
		c->blocked[from][to] = blocked;
}

bool
cl_blocked(const struct cl *c, unsigned from, unsigned to)
{
	return c->blocked[from][to];
}

void
cl_heal(struct cl *c)
{
	memset(c->blocked, 0, sizeof c->blocked);
	memset(c->lag_ms, 0, sizeof c->lag_ms);
	kick_conns(c, NULL);
}

static void
free_conns(struct list *conns)
{
	struct list *first;

	while ((first = list_first(conns)) != NULL) {
		struct cl_conn *conn = CONTAINER_OF(first, struct cl_conn, link);

		drop_frames(&conn->way[0]);
		drop_frames(&conn->way[1]);
		list_remove(first);
		free(conn);
	}
}

void
cl_net_fini(struct cl *c)
{
	struct list *first;

	free_conns(&c->conns);
	free_conns(&c->closed_conns);
	while ((first = list_first(&c->dials)) != NULL)
		dial_free(CONTAINER_OF(first, struct dial, link));
}
