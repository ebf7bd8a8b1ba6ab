/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "libcommon/base/rng.h"
#include "libcommon/io/link_internal.h"

#define DIALER_WAIT_MIN_MS 100
#define DIALER_WAIT_MAX_MS 5000
#define DIALER_SETTLED_MS 5000 /* a link that was up for so long counts as a success */

struct dialer {
	struct loop *loop;
	struct tls *tls;
	struct link_limits limits;
	const struct link_ops *ops;
	void *arg;
	char **addresses;
	size_t count;
	size_t next;  /* the address to try next */
	size_t tried; /* addresses of this round */
	uint64_t wait_ms;
	struct link *link; /* NULL between attempts */
	uint64_t link_ms;  /* when it was begun */
	struct timer timer;
	struct deferral retry; /* when there was no memory for the timer */
	struct rng rng;
};

static void
addresses_free(char **addresses, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(addresses[i]);
	free(addresses);
}

static char **
addresses_copy(const char *const *addresses, size_t count)
{
	char **copy = calloc(count == 0 ? 1 : count, sizeof *copy);

	for (size_t i = 0; copy != NULL && i < count; i++) {
		copy[i] = strdup(addresses[i]);
		if (copy[i] == NULL) {
			addresses_free(copy, i);
			return NULL;
		}
	}
	return copy;
}

/* At once within a round, else half of the back-off and a random part of the other half later. */
static void
dialer_schedule(struct dialer *d)
{
	uint64_t delay = 0;

	if (d->tried >= d->count) {
		d->tried = 0;
		delay = d->wait_ms / 2 + rng_below(&d->rng, d->wait_ms / 2 + 1);
		d->wait_ms =
		    2 * d->wait_ms < DIALER_WAIT_MAX_MS ? 2 * d->wait_ms : DIALER_WAIT_MAX_MS;
	}
	if (!timer_set(&d->timer, loop_now_ms(d->loop) + delay))
		deferral_set(d->loop, &d->retry);
}

static void
dialer_retry(void *arg)
{
	dialer_schedule(arg);
}

static void
dialer_link_ended(void *arg)
{
	struct dialer *d = arg;
	bool settled =
	    link_was_up(d->link) && loop_now_ms(d->loop) - d->link_ms >= DIALER_SETTLED_MS;

	d->link = NULL;
	if (settled) {
		d->wait_ms = DIALER_WAIT_MIN_MS;
		d->tried = d->count; /* a jittered wait first: many may have lost the same peer */
	}
	dialer_schedule(d);
}

static void
dialer_dial(void *arg)
{
	struct dialer *d = arg;
	const char *address;

	if (d->count == 0) {
		dialer_schedule(d);
		return;
	}
	d->next %= d->count;
	address = d->addresses[d->next++];
	d->tried++;
	d->link_ms = loop_now_ms(d->loop);
	d->link = link_connect(d->loop, address, d->tls, NULL, &d->limits, d->ops, d->arg);
	if (d->link == NULL)
		dialer_schedule(d);
	else
		link_on_end(d->link, dialer_link_ended, d);
}

static void
dialer_seed(struct dialer *d)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
		seed = clock_boot_us() ^ (uintptr_t)d;
	rng_init(&d->rng, seed);
}

struct dialer *
dialer_new(struct loop *loop, const char *const *addresses, size_t count, struct tls *tls,
    const struct link_limits *limits, const struct link_ops *ops, void *arg)
{
	struct dialer *d = calloc(1, sizeof *d);

	if (d == NULL)
		return NULL;
	d->loop = loop;
	d->tls = tls_ref(tls);
	d->limits = *limits;
	d->ops = ops;
	d->arg = arg;
	d->wait_ms = DIALER_WAIT_MIN_MS;
	dialer_seed(d);
	timer_init(&d->timer, loop, dialer_dial, d);
	deferral_init(&d->retry, dialer_retry, d);
	d->addresses = addresses_copy(addresses, count);
	d->count = count;
	if (d->addresses == NULL || !timer_set(&d->timer, 0)) {
		d->count = d->addresses == NULL ? 0 : count;
		dialer_free(d);
		return NULL;
	}
	return d;
}

bool
dialer_set_addresses(struct dialer *d, const char *const *addresses, size_t count)
{
	char **copy = addresses_copy(addresses, count);

	if (copy == NULL)
		return false;
	addresses_free(d->addresses, d->count);
	d->addresses = copy;
	d->count = count;
	d->next = d->tried = 0;
	d->wait_ms = DIALER_WAIT_MIN_MS;
	return true;
}

void
dialer_free(struct dialer *d)
{
	if (d == NULL)
		return;
	if (d->link != NULL) {
		link_on_end(d->link, NULL, NULL);
		link_abort(d->link);
	}
	timer_cancel(&d->timer);
	deferral_cancel(&d->retry);
	tls_unref(d->tls);
	addresses_free(d->addresses, d->count);
	free(d);
}
