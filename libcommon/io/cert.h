/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of a cluster: a CA (EC P-256, ca.pem and ca-key.pem in one directory) and what it
 * signs. Subject `CN=ROLE,O=CLUSTER`, SAN URI `corral://CLUSTER/ROLE/NAME` beside the DNS names and
 * IP addresses, for use by clients and servers alike. Files appear whole or not at all (written
 * beside, synced, renamed); keys have mode 0600, certificates 0644.
 *
 * Each function that returns bool puts the reason into error[size] on false: the file, what was
 * wrong, what to do.
 */
#ifndef CORRAL_IO_CERT_H
#define CORRAL_IO_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/io/tls.h"

#define CERT_NAMES_MAX 64
#define CERT_CA_DAYS 3650
#define CERT_FINGERPRINT_SIZE 65 /* SHA-256 in lower-case hex, and a NUL */

/* A CA's certificate and key, as PEM files. */
struct cert_ca {
	const char *cert, *key;
};

/* What to certify. Names and addresses: texts, at most CERT_NAMES_MAX of each. */
struct cert_request {
	const char *cluster; /* NULL: the CA's */
	enum tls_role role;
	const char *name;
	const char *const *dns;
	size_t dns_count;
	const char *const *ips; /* "10.0.0.1", "2001:db8::1" */
	size_t ip_count;
	int days; /* from one hour ago on, so that clocks may differ; negative: already expired */
};

/* What a certificate file says (the first certificate in it). */
struct cert_info {
	struct tls_peer holder; /* role NONE: a CA, or a stranger's certificate */
	char fingerprint[CERT_FINGERPRINT_SIZE];
	int64_t not_before_s, not_after_s; /* seconds since 1970 */
};

/* Make dir if it is missing, and a CA in it. An existing CA is refused unless `replace`. */
bool cert_ca_create(const char *dir, const char *cluster, bool replace, char *error, size_t size);

/* A key and a certificate by the CA in ca_dir, written to cert_path and key_path. */
bool cert_issue(const char *ca_dir, const struct cert_request *request, const char *cert_path,
    const char *key_path, char *error, size_t size);

/*
 * The same where the holder keeps its key: cert_key_create() makes the key file and a PEM signing
 * request (which proves that the holder has the key; nothing else in it counts), cert_sign()
 * answers that request with a PEM certificate. *pem is malloc'ed text; the caller frees it.
 */
bool cert_key_create(const char *key_path, char **request_pem, char *error, size_t size);
bool cert_sign(const struct cert_ca *ca, const struct cert_request *request,
    const char *request_pem, char **cert_pem, char *error, size_t size);
/*
 * The same for a holder of a certificate by this CA, given as PEM, which holder says too: its role,
 * its name and the names that it is good for stay.
 */
bool cert_renew(const struct cert_ca *ca, const char *old_pem, const struct tls_peer *holder,
    int days, const char *request_pem, char **cert_pem, char *error, size_t size);

/* Write a file whole with the given mode: what a joining node does with what it was sent. */
bool cert_write_file(const char *path, const char *pem, unsigned mode, char *error, size_t size);

bool cert_read_info(const char *path, struct cert_info *info, char *error, size_t size);

/* May it stand in a part of a certificate's URI? It cannot be mistaken for anything else then. */
bool cert_name_is_plain(const char *name);

#endif
