/* SPDX-License-Identifier: Apache-2.0 */
/* zoo.cfg: ZooKeeper's own configuration file, as far as this server has what it names. */
#ifndef CORRAL_ZKSERVER_CONF_H
#define CORRAL_ZKSERVER_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/sys/faults.h"
#include "zkserver/core/members.h"

#define ZOO_PATH_MAX 4096
#define ZOO_ADDRESS_MAX 256
#define ZOO_PORT_NONE (-1)
#define ZOO_MEMORY_AUTO UINT32_MAX

/* The most that jute.maxbuffer can be: see TXNLOG_TXN_MAX_BYTES and SERVER_REPLY_BYTES_MAX. */
#define ZOO_JUTE_MAX_BYTES (32 << 20)

#define ZOO_METRICS_WORDS                                                                          \
	"org.apache.zookeeper.metrics.impl.DefaultMetricsProvider "                                \
	"org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider "                       \
	"org.apache.zookeeper.metrics.impl.NullMetricsProvider"
enum zoo_metrics { ZOO_METRICS_DEFAULT, ZOO_METRICS_PROMETHEUS, ZOO_METRICS_NULL };

#define ZOO_CLIENT_AUTH_WORDS "none want need" /* enum tls_ask */
#define ZOO_STORE_WORDS "PEM PKCS12 JKS BCFKS"

/* TLS of the client ports. Empty texts are unset. */
struct zoo_tls {
	char key_store[ZOO_PATH_MAX], trust_store[ZOO_PATH_MAX];
	char key_password[256], trust_password[256];
	char key_password_path[ZOO_PATH_MAX], trust_password_path[ZOO_PATH_MAX];
	int key_type, trust_type; /* of ZOO_STORE_WORDS; what a file holds says more */
	bool want_crl;
	char crl[ZOO_PATH_MAX];
	char protocol[32], protocols[256], suites[4096];
	int client_auth;		      /* of ZOO_CLIENT_AUTH_WORDS */
	bool check_names, check_client_names; /* the client's address is in its certificate */
	bool unify;			      /* the plain port takes TLS, too */
	bool reload;			      /* as soon as a file has changed */
	uint32_t handshake_ms;		      /* the most that a handshake may take */
};

/* Identities, and what they may do. Empty texts are unset. */
struct zoo_auth {
	bool skip_acl;
	bool digest; /* the scheme is known */
	char digest_alg[32], super_digest[1024];
	bool x509; /* the scheme is known: there is TLS, or authProvider names it */
	char x509_super[1024];
	bool sasl;		      /* authProvider names SASL's */
	bool ensemble;		      /* authProvider names that of ensembles' names */
	char ensemble_names[1024];    /* apart by commas */
	char jaas_file[ZOO_PATH_MAX]; /* with the section of SASL's users */
	char jaas_section[128];
	char users_file[ZOO_PATH_MAX]; /* of SASL, NAME:PASSWORD a line */
	char super_password[256];      /* of SASL's user "super", if there is one */
	char super_users[4096];	       /* of SASL, each behind the other with a newline */
	char any_sasl_may[256];
	bool allow_failed_sasl;
	bool enforce, require_sasl;
	char schemes[256]; /* once read: every request needs one of them; "": none */
	char session_key_file[ZOO_PATH_MAX];
};

#define ZOO_PEER_TYPE_WORDS "participant observer"

/*
 * Of an ensemble. Durations without a unit are in ticks. A server is a member of one if the file
 * names more than one participant, or standalone is off: zoo_conf_distributed().
 */
struct zoo_ensemble {
	struct members members;	 /* as the files have them; of none count is 0 */
	struct members proposed; /* FILE.dynamic.next: the last ones heard of, maybe never agreed */
	bool has_proposed;
	int32_t sid;			 /* of dataDir/myid; -1: there is no such file */
	char dynamic_file[ZOO_PATH_MAX]; /* "": the members stand in zoo.cfg itself */
	bool standalone;		 /* a participant without others serves alone */
	int peer_type;			 /* of ZOO_PEER_TYPE_WORDS; what server.N says prevails */
	uint32_t init_limit, sync_limit;
	bool listen_on_all;  /* the quorum and election ports, whatever this member's host is */
	uint32_t connect_ms; /* of the election port's connections */
	uint32_t hello_ms;   /* until the other end has said who it is; 0: sync_limit */
	uint32_t bind_tries; /* of the election port, one a second; 0: for ever */
	uint32_t notification_min_ms, notification_max_ms;
	bool keep_alive;	       /* of connections between servers, by the system */
	uint32_t observer_master_port; /* 0: followers take no observers */
	uint32_t observer_reconnect_ms, observer_election_ms; /* the most that it waits */
	bool local_sessions, local_upgrade;
	bool read_only;	     /* serves reads without a quorum */
	bool encrypted;	     /* sslQuorum: connections are made with TLS, and taken only so */
	struct zoo_tls tls;  /* unify: plain ones are taken, too */
	uint32_t commit_log; /* transactions in memory for learners that return, in so much */
	uint32_t commit_log_kib;
	uint32_t
	    log_factor_permille; /* of a snapshot's size: more of the log is not sent; 0: none */
	bool force_snapshot;	 /* learners get a snapshot, whatever they have */
	uint32_t snapshot_learners_max; /* at a time */
};

/* The places of enum pack_kind, and Apache's name for none. */
#define ZOO_SNAPSHOT_METHOD_WORDS " gz snappy checked"
#define ZOO_SNAPSHOT_CHECKED 3

struct zoo_conf {
	uint32_t tick_ms;
	char data_dir[ZOO_PATH_MAX];	  /* with version-2 below it */
	char data_log_dir[ZOO_PATH_MAX];  /* the same as data_dir unless the file says otherwise */
	int32_t client_port, secure_port; /* 0: any that is free; ZOO_PORT_NONE: none */
	char client_address[ZOO_ADDRESS_MAX],
	    secure_address[ZOO_ADDRESS_MAX]; /* "": all addresses */
	struct zoo_tls tls;
	struct zoo_auth auth;
	struct zoo_ensemble ensemble;
	uint32_t max_client_cnxns; /* per address; 0: no limit */
	uint32_t max_cnxns;	   /* in all; 0: no limit */
	bool keep_alive;	   /* of client connections, by the system */
	uint32_t backlog;	   /* of listening sockets */
	uint32_t min_session_ms, max_session_ms;
	uint32_t snap_count, snap_size_kib; /* a snapshot after so much; size 0: by count only */
	uint32_t prealloc_kib;
	uint32_t log_size_kib; /* another file behind so much; 0: no limit */
	uint32_t slow_sync_ms; /* what takes longer is said */
	bool force_sync;
	bool trust_empty;
	uint32_t purge_retain, purge_hours; /* purge_hours 0: never */
	uint32_t jute_max_bytes;
	uint32_t outstanding_max;
	int snapshot_method; /* ZOO_SNAPSHOT_METHOD_WORDS */
	bool enforce_quota, reconfig_enabled;
	bool extended_types, emulate_353;				    /* TTL nodes */
	uint32_t reap_interval_ms, reap_max_per_minute, reap_never_used_ms; /* znode.container.* */
	/* What clients may make the server hold; 0: no limit. */
	uint32_t memory_max_mib; /* ZOO_MEMORY_AUTO: most of what there is */
	uint32_t nodes_max, ephemerals_max, sessions_max;
	/* Tokens for connecting; 0: no throttle. */
	uint32_t connect_tokens, connect_fill_ms, connect_fill_count;
	bool connect_weighed;
	uint32_t connect_weight, reconnect_weight; /* if weighed; otherwise each costs 1 */
	uint32_t handshakes_per_s; /* TLS handshakes of one address in a second; 0: no limit */
	uint32_t requests_max;	   /* request_throttle_max_requests; 0: no limit of its own */
	char words[1024];	   /* 4lw.commands.whitelist */
	char file[ZOO_PATH_MAX];   /* where all this was read; "": nowhere */

	bool admin_enabled; /* the admin server: plain HTTP */
	int32_t admin_port;
	char admin_address[ZOO_ADDRESS_MAX];
	char admin_url[128];
	uint32_t admin_idle_ms;
	enum zoo_metrics metrics_provider;
	int32_t metrics_port;
	char metrics_address[ZOO_ADDRESS_MAX];
	bool audit;
	char audit_file[ZOO_PATH_MAX]; /* "": the log */
};

/* What holds without a file: standalone on 127.0.0.1:2181, data in data_dir. */
void zoo_conf_default(struct zoo_conf *c, const char *data_dir);

/*
 * Read a file over the defaults of Apache's server. False: *faults say why, each with FILE:LINE.
 * Keys without effect (settings.h) are said in the log; unknown ones are warned of and ignored, as
 * Apache's server does. "zookeeper.X", a Java property's name, is X.
 */
bool zoo_conf_load(struct zoo_conf *c, const char *path, struct faults *faults);

/*
 * Only who the members are and where clients find them, for who is none of them: what belongs to
 * this server (myid, keys) is not looked at. Otherwise as zoo_conf_load().
 */
bool zoo_conf_load_members(struct zoo_conf *c, const char *path, struct faults *faults);

/*
 * The same from memory; `name` stands for the file in messages. Files that it names (myid, the
 * dynamic file) are not read.
 */
bool zoo_conf_parse(
    struct zoo_conf *c, const char *name, const char *text, size_t size, struct faults *faults);

/*
 * Take over from a file that was read anew what a running server can change, and say of each key
 * that differs whether it is in force.
 */
void zoo_conf_adopt(struct zoo_conf *c, const struct zoo_conf *fresh);

/* Is this server a member of an ensemble, or does it serve alone? As Apache's server decides it. */
bool zoo_conf_distributed(const struct zoo_conf *c);

/* May this four-letter word be answered? */
bool zoo_conf_allows(const struct zoo_conf *c, const char word[4]);

#endif
