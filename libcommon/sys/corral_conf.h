/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of corral.conf(5): one struct for masters, agents and the command line. */
#ifndef CORRAL_SYS_CORRAL_CONF_H
#define CORRAL_SYS_CORRAL_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/sys/conf.h"

struct corral_conf {
	struct {
		char *name;		   /* of the cluster: the O= of its certificates */
		struct conf_list ensemble; /* HOST:PORT of the zkservers */
		bool ensemble_tls;
		uint64_t session_timeout_ms;
	} cluster;
	struct {
		char *ca, *cert, *key; /* PEM files */
		char *ca_key; /* with which masters sign joins and renewals; NULL: they do not */
	} tls;
	struct {
		char *name;	    /* of this master; NULL: the host's name */
		char *listen;	    /* HTTP API and page */
		char *agent_listen; /* agents */
		char *state_dir;
		char *advertise; /* HOST:PORT that clients and agents are sent to; NULL: listen's */
		char *agent_advertise;
		uint64_t lease_ms;
		uint64_t unreachable_after_ms;
		uint64_t heartbeat_ms;	       /* lease_ms / 5 unless set */
		uint32_t agents_max;	       /* nodes of the cluster, and their connections */
		uint32_t clock_drift_permille; /* the most that any clock's rate is off */
		char *socket;		       /* for accounts of this machine; NULL: none */
		char *credentials; /* file of names and secrets for the HTTP API; NULL: none */
		struct conf_list role_access; /* ROLE=NAME: who may have tasks in a role */
		char *cert, *key;	      /* [tls]'s unless set */
	} master;
	struct {
		char *name;	    /* of this node; NULL: the host's name */
		uint64_t cpu_milli; /* what the node offers; 0: what it measures */
		uint64_t memory_bytes;
		uint64_t disk_bytes;
		struct conf_list masters;    /* HOST:PORT of masters' agent_listen; empty: found
						through the ensemble */
		struct conf_list attributes; /* NAME=VALUE, for constraints */
		char *state_dir;
		char *user;   /* that the network process becomes */
		char *helper; /* socket of a helper that was started by itself; NULL: none */
		struct conf_list
		    run_as; /* accounts an operator may run tasks as; empty: uid 1000 and up */
		char *default_user; /* of an operator's tasks that name none; NULL: refused */
		char *executor_listen;
		char *executor;	  /* path of corral-executor */
		char *cert, *key; /* [tls]'s unless set */
	} agent;
	struct {
		struct conf_list master; /* HOST:PORT of masters' listen */
		char *socket;		 /* of this machine's master, without a certificate */
		char *ca, *cert, *key;	 /* instead of [tls]'s */
	} client;
};

extern const struct conf_table corral_conf_table;

/* CORRAL_SYSCONFDIR/corral.conf. */
extern const char corral_conf_path[];

/*
 * Defaults, then `path` and its .d directory. With path NULL the system's file is read if it
 * exists. Every fault is in faults; false if there was one. corral_conf_fini() in either case.
 */
bool corral_conf_load(struct corral_conf *conf, const char *path, struct faults *faults);
void corral_conf_fini(struct corral_conf *conf);

#endif
