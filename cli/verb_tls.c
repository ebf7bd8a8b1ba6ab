/* SPDX-License-Identifier: Apache-2.0 */
/* corral tls: the cluster's CA and certificates by it. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/corral.h"
#include "libcommon/io/cert.h"

static int
tls_init(const char *dir, const char *cluster)
{
	char why[512];

	if (!cert_ca_create(dir, cluster, false, why, sizeof why)) {
		corral_say("%s", why);
		return EX_CANTCREAT;
	}
	printf("CA of cluster '%s': %s/ca.pem, its key: %s/ca-key.pem (keep it from everybody)\n"
	       "Next: corral tls issue ROLE NAME, for each of zkserver, master, agent, operator, "
	       "user\n",
	    cluster, dir, dir);
	return 0;
}

/* "NAME.pem" and "NAME-key.pem" of the role, below dir; false: too long. */
static bool
certificate_paths(
    const char *dir, const char *role, const char *name, char cert[PATH_MAX], char key[PATH_MAX])
{
	int n = snprintf(cert, PATH_MAX, "%s/%s-%s.pem", dir, role, name);
	int m = snprintf(key, PATH_MAX, "%s/%s-%s-key.pem", dir, role, name);

	return n > 0 && n < PATH_MAX && m > 0 && m < PATH_MAX && strchr(name, '/') == NULL;
}

static int
tls_issue(const struct corral_options *o, const char *dir, const char *role, const char *name)
{
	struct cert_request request = {.role = tls_role_parse(role),
	    .name = name,
	    .dns = o->dns.items,
	    .dns_count = o->dns.count,
	    .ips = o->ip.items,
	    .ip_count = o->ip.count,
	    .days = (int)o->days};
	char cert[PATH_MAX], key[PATH_MAX], why[512];
	struct cert_info info;

	if (request.role == TLS_ROLE_NONE) {
		corral_say(
		    "'%s' is no role: zkserver, master, agent, operator, user or framework", role);
		return EX_USAGE;
	}
	if (!certificate_paths(dir, role, name, cert, key) || o->days == 0 ||
	    o->days > CERT_CA_DAYS) {
		corral_say("a name without '/' and 1 to %d days, please", CERT_CA_DAYS);
		return EX_USAGE;
	}
	if (!cert_issue(dir, &request, cert, key, why, sizeof why) ||
	    !cert_read_info(cert, &info, why, sizeof why)) {
		corral_say("%s", why);
		return EX_CANTCREAT;
	}
	printf("certificate: %s (sha256 %s)\nkey:         %s\n", cert, info.fingerprint, key);
	return 0;
}

int
verb_tls(struct corral *c, int argc, char **argv)
{
	const struct corral_options *o = &c->options;
	const char *dir = o->dir != NULL ? o->dir : CORRAL_SYSCONFDIR "/tls";

	if (argc == 1 && strcmp(argv[0], "init") == 0)
		return tls_init(dir, o->cluster != NULL ? o->cluster : "corral");
	if (argc == 3 && strcmp(argv[0], "issue") == 0)
		return tls_issue(o, dir, argv[1], argv[2]);
	if (argc == 1 && strcmp(argv[0], "renew") == 0)
		return tls_renew(c);
	corral_say("'corral tls init', 'corral tls issue ROLE NAME' or 'corral tls renew'");
	return EX_USAGE;
}
