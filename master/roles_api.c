/* SPDX-License-Identifier: Apache-2.0 */
/* Roles by the API: what they have, their quotas and weights. Changes are for operators. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/sys/log.h"
#include "master/master.h"

#define SET(v, field, value) ((v)->has_##field = 1, (v)->field = (value))

struct role_view {
	Corral__Api__Role role;
	Corral__Api__Quota quota;
	Corral__Resources used, guarantee, limit, consumed;
};

static void
set_resources(Corral__Resources *to, const struct resources *r)
{
	corral__resources__init(to);
	SET(to, cpu_milli, r->cpu_milli);
	SET(to, memory_bytes, r->memory_bytes);
	SET(to, disk_bytes, r->disk_bytes);
}

static void
view_quota(const char *name, const struct role *r, struct role_view *v)
{
	struct resources consumed = {0};

	corral__api__quota__init(&v->quota);
	corral__resources__init(&v->guarantee);
	corral__resources__init(&v->limit);
	v->quota.role = (char *)name;
	if (r == NULL)
		return;
	consumed = share_consumed(r);
	set_resources(&v->consumed, &consumed);
	set_resources(&v->guarantee, &r->quota.guarantee);
	set_resources(&v->limit, &r->quota.limit);
	v->limit.has_cpu_milli = r->quota.limit.cpu_milli != QUOTA_NO_LIMIT;
	v->limit.has_memory_bytes = r->quota.limit.memory_bytes != QUOTA_NO_LIMIT;
	v->limit.has_disk_bytes = r->quota.limit.disk_bytes != QUOTA_NO_LIMIT;
	v->quota.consumed = &v->consumed;
	v->quota.guarantee = &v->guarantee;
	v->quota.limit = &v->limit;
}

static void
view_role(const struct master *m, const char *name, const struct role *r, struct role_view *v)
{
	uint32_t waiting = 0;
	struct list *it, *nx;

	corral__api__role__init(&v->role);
	v->role.name = (char *)name;
	SET(&v->role, weight_milli, r == NULL ? SHARE_WEIGHT_ONE : r->weight);
	if (r == NULL)
		return;
	for (int p = 0; p < SHARE_PRIORITIES; p++)
		LIST_EACH(it, nx, (struct list *)&r->jobs[p])
			waiting += CONTAINER_OF(it, struct job, in_role)->in_state[CELL_PENDING];
	set_resources(&v->used, &r->used);
	v->role.used = &v->used;
	SET(&v->role, tasks, r->tasks);
	SET(&v->role, waiting, waiting);
	SET(&v->role, share_millionths,
	    (uint64_t)((share_wide)share_of(&m->cluster.books.share, r) * 1000000 / SHARE_ONE));
}

static void
list_roles(struct master *m, struct http_request *r, bool quotas)
{
	const struct share *s = &m->cluster.books.share;
	Corral__Api__RoleList roles = CORRAL__API__ROLE_LIST__INIT;
	Corral__Api__QuotaList list = CORRAL__API__QUOTA_LIST__INIT;
	struct role_view *views = calloc(s->count + 1, sizeof *views);

	roles.roles = calloc(s->count + 1, sizeof *roles.roles);
	list.quotas = calloc(s->count + 1, sizeof *list.quotas);
	if (views == NULL || roles.roles == NULL || list.quotas == NULL) {
		api_error(m, r, 503, "out of memory");
	} else {
		for (uint32_t i = 0; i < s->count; i++) {
			view_role(m, s->roles[i]->name, s->roles[i], &views[i]);
			view_quota(s->roles[i]->name, s->roles[i], &views[i]);
			roles.roles[roles.n_roles++] = &views[i].role;
			if (!quota_is_none(&s->roles[i]->quota))
				list.quotas[list.n_quotas++] = &views[i].quota;
		}
		api_reply(m, r, 200, quotas ? &list.base : &roles.base);
	}
	free(views);
	free(roles.roles);
	free(list.quotas);
}

/* --- changes; each is answered when the store has it --- */

static void
quota_stored(struct master *m, struct http_request *r, void *arg)
{
	struct role_view v;

	view_quota(arg, share_find(&m->cluster.books.share, arg), &v);
	api_reply(m, r, 200, &v.quota.base);
}

static void
weight_stored(struct master *m, struct http_request *r, void *arg)
{
	struct role_view v;

	view_role(m, arg, share_find(&m->cluster.books.share, arg), &v);
	api_reply(m, r, 200, &v.role.base);
}

static void
answer_when_stored(struct master *m, struct http_request *r, const char *name, admin_answer *answer)
{
	char *copy = strdup(name);

	if (copy == NULL)
		api_error(m, r, 503, "out of memory");
	else
		admin_wait(m, r, answer, copy, free);
}

static struct quota
quota_asked(const Corral__Api__Quota *q)
{
	static const Corral__Resources none = CORRAL__RESOURCES__INIT;
	const Corral__Resources *g = q->guarantee != NULL ? q->guarantee : &none,
				*l = q->limit != NULL ? q->limit : &none;

	return (struct quota){{g->cpu_milli, g->memory_bytes, g->disk_bytes},
	    {l->has_cpu_milli ? l->cpu_milli : QUOTA_NO_LIMIT,
		l->has_memory_bytes ? l->memory_bytes : QUOTA_NO_LIMIT,
		l->has_disk_bytes ? l->disk_bytes : QUOTA_NO_LIMIT}};
}

static void
set_quota(struct master *m, struct http_request *r)
{
	Corral__Api__Quota *q =
	    (Corral__Api__Quota *)api_body(m, r, &corral__api__quota__descriptor);
	char error[400], who[TLS_NAME_MAX + 16];
	struct quota asked;

	if (q == NULL)
		return;
	asked = quota_asked(q);
	if (!cluster_set_quota(
		&m->cluster, q->role, &asked, q->has_force && q->force, error, sizeof error)) {
		api_error(m, r, 400, "%s", error);
	} else {
		log_info("quota of role %s: set by %s", q->role, api_who(r, who, sizeof who));
		answer_when_stored(m, r, q->role, quota_stored);
	}
	corral__api__quota__free_unpacked(q, NULL);
}

static void
set_weight(struct master *m, struct http_request *r)
{
	Corral__Api__Role *role =
	    (Corral__Api__Role *)api_body(m, r, &corral__api__role__descriptor);
	char error[400], who[TLS_NAME_MAX + 16];

	if (role == NULL)
		return;
	if (!cluster_set_weight(&m->cluster, role->name, role->weight_milli, error, sizeof error)) {
		api_error(m, r, 400, "%s", error);
	} else {
		log_info("weight of role %s: set by %s", role->name, api_who(r, who, sizeof who));
		answer_when_stored(m, r, role->name, weight_stored);
	}
	corral__api__role__free_unpacked(role, NULL);
}

/* --- reservations --- */

struct reservation_view {
	Corral__Api__Reservation v;
	Corral__Resources amount, used;
};

static void
list_reservations(struct master *m, struct http_request *r)
{
	const struct cluster *c = &m->cluster;
	Corral__Api__ReservationList list = CORRAL__API__RESERVATION_LIST__INIT;
	struct reservation_view *views;
	struct list *it, *nx, *vt, *vx;
	size_t most = 1;

	LIST_EACH(it, nx, (struct list *)&c->reserving)
		most += CLUSTER_RESERVATIONS_MAX;
	views = calloc(most, sizeof *views);
	list.reservations = calloc(most, sizeof *list.reservations);
	if (views == NULL || list.reservations == NULL) {
		api_error(m, r, 503, "out of memory");
		goto done;
	}
	LIST_EACH(it, nx, (struct list *)&c->reserving) {
		struct agent *a = CONTAINER_OF(it, struct agent, in_reserving);

		LIST_EACH(vt, vx, &a->reservations) {
			const struct reservation *v =
			    CONTAINER_OF(vt, struct reservation, in_agent);
			struct reservation_view *to = &views[list.n_reservations];

			corral__api__reservation__init(&to->v);
			to->v.role = v->role->name;
			to->v.node = a->name;
			set_resources(&to->amount, &v->amount);
			set_resources(&to->used, &v->used);
			to->v.amount = &to->amount;
			to->v.used = &to->used;
			list.reservations[list.n_reservations++] = &to->v;
		}
	}
	api_reply(m, r, 200, &list.base);
done:
	free(views);
	free(list.reservations);
}

static void
reservation_free(void *reservation)
{
	corral__api__reservation__free_unpacked(reservation, NULL);
}

static void
reservation_stored(struct master *m, struct http_request *r, void *arg)
{
	api_reply(m, r, 200, arg);
}

static void
set_reservation(struct master *m, struct http_request *r)
{
	Corral__Api__Reservation *v =
	    (Corral__Api__Reservation *)api_body(m, r, &corral__api__reservation__descriptor);
	struct resources amount = {0};
	char error[400], who[TLS_NAME_MAX + 16];
	struct agent *a;

	if (v == NULL)
		return;
	if (v->amount != NULL)
		amount = (struct resources){
		    v->amount->cpu_milli, v->amount->memory_bytes, v->amount->disk_bytes};
	a = cluster_agent(&m->cluster, v->node);
	if (!role_name_ok(v->role)) {
		api_error(m, r, 400, "'%s' is no name of a role", v->role);
	} else if (a == NULL) {
		api_error(m, r, 404, "there is no node '%s'", v->node);
	} else if (!cluster_reserve(&m->cluster, a, v->role, &amount, error, sizeof error)) {
		api_error(m, r, 409, "%s", error);
	} else {
		log_info("reservation of role %s on %s: set by %s", v->role, v->node,
		    api_who(r, who, sizeof who));
		admin_wait(m, r, reservation_stored, v, reservation_free);
		return;
	}
	reservation_free(v);
}

bool
roles_route(struct master *m, struct http_request *r, const char *what, bool post)
{
	bool quotas = strcmp(what, "quota") == 0, reserved = strcmp(what, "reservations") == 0;

	if (!quotas && !reserved && strcmp(what, "roles") != 0)
		return false;
	if (!post && reserved)
		list_reservations(m, r);
	else if (!post)
		list_roles(m, r, quotas);
	else if (!api_operators_only(m, r))
		return true;
	else if (quotas)
		set_quota(m, r);
	else if (reserved)
		set_reservation(m, r);
	else
		set_weight(m, r);
	return true;
}
