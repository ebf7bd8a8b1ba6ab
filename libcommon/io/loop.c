/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/io/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "libcommon/io/timers.h"
#include "libcommon/sys/log.h"

#define LOOP_SIGNALS_MAX 8

struct signal_watch {
	struct event *event;
	void (*fn)(void *arg, int signo);
	void *arg;
};

struct loop {
	struct event_base *base;
	struct event *timer_event;
	int timer_fd;
	uint64_t armed_ms; /* what the timerfd is set to; 0: disarmed */
	struct timers timers;
	struct list deferred;
	struct list at_free;
	struct signal_watch signals[LOOP_SIGNALS_MAX];
	size_t signal_count;
	uint64_t now_ms;
	bool now_known; /* now_ms was read in this turn */
	bool stopped;
	int status;
};

/* A call by loop_defer(): a deferral with memory of its own. */
struct deferred_call {
	struct deferral deferral;
	void (*fn)(void *arg);
	void *arg;
};

struct fd_watch {
	struct event *event;
	void (*ready)(void *arg, int what);
	void *arg;
};

static uint64_t
clock_read_us(clockid_t id)
{
	struct timespec ts;

	/* Only a clock that does not exist fails, and these do since Linux 2.6.39. */
	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
clock_boot_us(void)
{
	return clock_read_us(CLOCK_BOOTTIME);
}

uint64_t
clock_boot_ms(void)
{
	return clock_read_us(CLOCK_BOOTTIME) / 1000;
}

int64_t
clock_wall_ms(void)
{
	return (int64_t)(clock_read_us(CLOCK_REALTIME) / 1000);
}

uint64_t
loop_now_ms(const struct loop *l)
{
	struct loop *self = (struct loop *)l;

	/*
	 * libevent has no hook between waiting and the first callback: the first reader reads the
	 * clock.
	 */
	if (!self->now_known) {
		self->now_ms = clock_boot_ms();
		self->now_known = true;
	}
	return self->now_ms;
}

struct event_base *
loop_event_base(struct loop *l)
{
	return l->base;
}

static void
loop_timers_ready(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	uint64_t expirations;
	uint64_t last_order = l->timers.orders; /* what is set from here on is for the next turn */
	struct timer *t;

	(void)what;
	(void)!read(fd, &expirations, sizeof expirations);
	l->armed_ms = 0;
	while ((t = timers_first(&l->timers)) != NULL && t->at_ms <= loop_now_ms(l) &&
	       t->order <= last_order) {
		timers_remove(&l->timers, t);
		t->fire(t->arg);
	}
}

/* Set the timerfd to the earliest timer, if that is not what it is set to. */
static void
loop_arm(struct loop *l)
{
	const struct timer *first = timers_first(&l->timers);
	uint64_t at = first == NULL ? 0 : first->at_ms == 0 ? 1 : first->at_ms;
	struct itimerspec spec = {0};

	if (at == l->armed_ms)
		return;
	spec.it_value.tv_sec = (time_t)(at / 1000);
	spec.it_value.tv_nsec = (long)(at % 1000) * 1000000;
	if (timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
		log_error_errno("cannot set the loop's timer");
	l->armed_ms = at;
}

/* libevent's own words go where ours go; what it warns of, its caller hears as an error as well. */
static void
loop_libevent_log(int severity, const char *text)
{
	if (severity == EVENT_LOG_ERR)
		log_error("libevent: %s", text);
	else
		log_debug("libevent: %s", text);
}

static struct event_base *
loop_base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config == NULL)
		return NULL;
	if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	list_init(&l->deferred);
	list_init(&l->at_free);
	(void)signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(loop_libevent_log);
	l->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (l->timer_fd < 0 || (l->base = loop_base_new()) == NULL)
		goto fail;
	l->timer_event =
	    event_new(l->base, l->timer_fd, EV_READ | EV_PERSIST, loop_timers_ready, l);
	if (l->timer_event == NULL || event_add(l->timer_event, NULL) < 0)
		goto fail;
	return l;
fail:
	if (errno == 0)
		errno = ENOMEM;
	loop_free(l);
	return NULL;
}

/* Run what is on the list now; what is added to it meanwhile stays. */
static void
deferrals_run(struct list *deferrals)
{
	struct list now;
	struct deferral *d;

	if (list_empty(deferrals))
		return;
	now = *deferrals;
	now.next->prev = now.prev->next = &now;
	list_init(deferrals);
	while (!list_empty(&now)) {
		d = CONTAINER_OF(list_first(&now), struct deferral, link);
		list_remove(&d->link);
		d->run(d->arg);
	}
}

static void
deferred_call_run(void *arg)
{
	struct deferred_call *c = arg;
	void (*fn)(void *arg) = c->fn;
	void *fn_arg = c->arg;

	free(c);
	fn(fn_arg);
}

static void
loop_drop_deferred_calls(struct loop *l)
{
	struct list *it, *next;
	struct deferral *d;

	LIST_EACH(it, next, &l->deferred) {
		d = CONTAINER_OF(it, struct deferral, link);
		if (d->run != deferred_call_run)
			continue;
		list_remove(&d->link);
		free(d->arg);
	}
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	deferrals_run(&l->at_free);
	while (!list_empty(&l->deferred)) {
		loop_drop_deferred_calls(l);
		deferrals_run(&l->deferred);
	}
	for (size_t i = 0; i < l->signal_count; i++)
		event_free(l->signals[i].event);
	if (l->timer_event != NULL)
		event_free(l->timer_event);
	if (l->base != NULL)
		event_base_free(l->base);
	if (l->timer_fd >= 0)
		close(l->timer_fd);
	timers_fini(&l->timers);
	free(l);
}

int
loop_run(struct loop *l, void (*after_turn)(void *arg), void *arg)
{
	while (!l->stopped) {
		loop_arm(l);
		l->now_known = false;
		if (event_base_loop(l->base,
			EVLOOP_ONCE | (list_empty(&l->deferred) ? 0 : EVLOOP_NONBLOCK)) < 0) {
			log_error_errno("the event loop cannot wait for events");
			return EX_OSERR;
		}
		deferrals_run(&l->deferred);
		if (after_turn != NULL)
			after_turn(arg);
	}
	l->stopped = false;
	return l->status;
}

void
loop_stop(struct loop *l, int status)
{
	l->stopped = true;
	l->status = status;
}

void
timer_init(struct timer *t, struct loop *l, void (*fire)(void *arg), void *arg)
{
	*t = (struct timer){.loop = l, .fire = fire, .arg = arg};
}

bool
timer_set(struct timer *t, uint64_t at_ms)
{
	return timers_set(&t->loop->timers, t, at_ms);
}

void
timer_cancel(struct timer *t)
{
	if (t->slot != 0)
		timers_remove(&t->loop->timers, t);
}

void
deferral_init(struct deferral *d, void (*run)(void *arg), void *arg)
{
	list_init(&d->link);
	d->run = run;
	d->arg = arg;
}

void
deferral_set(struct loop *l, struct deferral *d)
{
	if (list_empty(&d->link))
		list_append(&l->deferred, &d->link);
}

void
deferral_set_at_free(struct loop *l, struct deferral *d)
{
	if (list_empty(&d->link))
		list_append(&l->at_free, &d->link);
}

void
deferral_cancel(struct deferral *d)
{
	list_remove(&d->link);
}

bool
loop_defer(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct deferred_call *c = malloc(sizeof *c);

	if (c == NULL)
		return false;
	c->fn = fn;
	c->arg = arg;
	deferral_init(&c->deferral, deferred_call_run, c);
	deferral_set(l, &c->deferral);
	return true;
}

static void
fd_watch_ready(evutil_socket_t fd, short what, void *arg)
{
	const struct fd_watch *w = arg;

	(void)fd;
	w->ready(
	    w->arg, (what & EV_READ ? (int)FD_READ : 0) | (what & EV_WRITE ? (int)FD_WRITE : 0));
}

struct fd_watch *
fd_watch_new(struct loop *l, int fd, int what, void (*ready)(void *arg, int what), void *arg)
{
	short events =
	    (short)(EV_PERSIST | (what & FD_READ ? EV_READ : 0) | (what & FD_WRITE ? EV_WRITE : 0));
	struct fd_watch *w = malloc(sizeof *w);

	if (w == NULL)
		return NULL;
	w->ready = ready;
	w->arg = arg;
	errno = 0;
	w->event = event_new(l->base, fd, events, fd_watch_ready, w);
	if (w->event == NULL || event_add(w->event, NULL) < 0) {
		fd_watch_free(w);
		return NULL;
	}
	return w;
}

void
fd_watch_free(struct fd_watch *w)
{
	if (w == NULL)
		return;
	if (w->event != NULL)
		event_free(w->event);
	free(w);
}

static void
signal_ready(evutil_socket_t signo, short what, void *arg)
{
	const struct signal_watch *s = arg;

	(void)what;
	s->fn(s->arg, (int)signo);
}

bool
loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo), void *arg)
{
	struct signal_watch *s;

	if (l->signal_count == LOOP_SIGNALS_MAX)
		return false;
	s = &l->signals[l->signal_count];
	s->fn = fn;
	s->arg = arg;
	s->event = evsignal_new(l->base, signo, signal_ready, s);
	if (s->event == NULL)
		return false;
	if (event_add(s->event, NULL) < 0) {
		event_free(s->event);
		return false;
	}
	l->signal_count++;
	return true;
}
