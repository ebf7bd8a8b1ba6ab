/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what with the nodes below /corral: masters all, and everybody may read who leads and
 * where services are. A node that grants more is a hole that whoever reaches the ensemble can use
 * to become leader or to change a job.
 */
#ifndef CORRAL_MASTER_ACCESS_H
#define CORRAL_MASTER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As ZooKeeper's ACLs have them: bits of rwcda from 1 on. */
enum { ACCESS_READ = 1, ACCESS_ALL = 31 };

struct access_grant {
	int32_t perms;
	const char *scheme, *id;
};

/*
 * The first of these grants that is more than a master wants of a node; NULL: there is none.
 * masters: the x509 id of this cluster's masters. readable: everybody may read the node.
 */
const struct access_grant *access_too_wide(
    const struct access_grant *grants, size_t count, const char *masters, bool readable);

/* "scheme:id:cdrwa" as zk(1) has it, cut to size. */
void access_print(const struct access_grant *grant, char *to, size_t size);

#endif
