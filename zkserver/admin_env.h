/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator may ask about the process's surroundings, under Java's names. */
#ifndef CORRAL_ZKSERVER_ADMIN_ENV_H
#define CORRAL_ZKSERVER_ADMIN_ENV_H

/* Visit each variable of the word envi; those of a Java machine are left out. */
void admin_env_each(void (*each)(void *arg, const char *key, const char *value), void *arg);

/* The same for /commands/system_properties, in order of key. */
void admin_properties_each(void (*each)(void *arg, const char *key, const char *value), void *arg);

#endif
