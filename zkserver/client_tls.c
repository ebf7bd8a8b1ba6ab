/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/client_tls.h"

#include <sys/stat.h>

/* Times, sizes and numbers of the files, folded: another value when one was written or replaced. */
static uint64_t
stamp_of(const struct tls_stores *s)
{
	const char *const files[] = {s->key_store, s->trust_store, s->crl};
	uint64_t stamp = 0;
	struct stat st;

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		if (files[i][0] == '\0' || stat(files[i], &st) != 0)
			continue;
		stamp = stamp * 31 + (uint64_t)st.st_mtim.tv_sec * 1000000007 +
			(uint64_t)st.st_mtim.tv_nsec;
		stamp = stamp * 31 + (uint64_t)st.st_ino + (uint64_t)st.st_size;
	}
	return stamp;
}

static bool
open_stores(struct client_tls *c, const struct zoo_tls *t, bool needed, char *error, size_t size)
{
	*c = (struct client_tls){.stores = {
				     .key_store = t->key_store,
				     .key_password = t->key_password,
				     .key_password_path = t->key_password_path,
				     .trust_store = t->trust_store,
				     .trust_password = t->trust_password,
				     .trust_password_path = t->trust_password_path,
				     .crl = t->crl,
				     .protocols = t->protocols,
				     .suites = t->suites,
				     .ask = (enum tls_ask)t->client_auth,
				 }};
	if (!needed)
		return true;
	c->stamp = stamp_of(&c->stores);
	c->tls = tls_new_stores(&c->stores, error, size);
	return c->tls != NULL;
}

bool
client_tls_open(struct client_tls *c, const struct zoo_conf *conf, char *error, size_t size)
{
	return open_stores(
	    c, &conf->tls, conf->secure_port != ZOO_PORT_NONE || conf->tls.unify, error, size);
}

bool
client_tls_open_ensemble(
    struct client_tls *c, const struct zoo_conf *conf, char *error, size_t size)
{
	const struct zoo_ensemble *e = &conf->ensemble;

	return open_stores(
	    c, &e->tls, zoo_conf_distributed(conf) && (e->encrypted || e->tls.unify), error, size);
}

void
client_tls_close(struct client_tls *c)
{
	tls_unref(c->tls);
	c->tls = NULL;
}

bool
client_tls_reload(struct client_tls *c, char *error, size_t size)
{
	if (c->tls == NULL)
		return true;
	c->stamp = stamp_of(&c->stores);
	return tls_reload(c->tls, error, size);
}

bool
client_tls_changed(struct client_tls *c)
{
	uint64_t stamp = stamp_of(&c->stores);
	bool changed = c->tls != NULL && stamp != c->stamp;

	c->stamp = stamp;
	return changed;
}
