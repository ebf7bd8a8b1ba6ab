/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A section of a JAAS login configuration (javax.security.auth.login.Configuration), as Apache's
 * servers keep the users of SASL in:
 *
 *	Server { org.example.Module required user_bob="secret"; };
 */
#ifndef CORRAL_ZKSERVER_CORE_JAAS_H
#define CORRAL_ZKSERVER_CORE_JAAS_H

#include <stdbool.h>
#include <stddef.h>

#define JAAS_WORD_MAX 1024 /* bytes of a name or value, its NUL included */

/* A module (key NULL), and then each of its options. Returns NULL, or what is wrong with it. */
typedef const char *jaas_entry(void *arg, const char *module, const char *key, const char *value);

enum jaas_result { JAAS_BAD, JAAS_NO_SECTION, JAAS_FOUND };

struct jaas_fault {
	unsigned line; /* from 1 */
	const char *why;
};

/* Go through the section. JAAS_BAD: *fault says why; entries before it were reported. */
enum jaas_result jaas_parse(const char *text, size_t size, const char *section, jaas_entry *entry,
    void *arg, struct jaas_fault *fault);

#endif
