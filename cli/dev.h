/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `corral dev`: a whole cluster of this machine's own programs, in the foreground. What its parts
 * share. dev_layout.c decides what is where and writes certificates and configuration; dev_daemon.c
 * starts one program, hears when it is ready, and starts it again when it dies; dev_sweep.c removes
 * whatever the programs left; dev.c is the verb.
 */
#ifndef CORRAL_CLI_DEV_H
#define CORRAL_CLI_DEV_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/options.h"
#include "libcommon/io/loop.h"

#define DEV_SERVERS_MAX 5
#define DEV_MASTERS_MAX 9
#define DEV_AGENTS_MAX 50
#define DEV_DAEMONS_MAX (DEV_SERVERS_MAX + DEV_MASTERS_MAX + DEV_AGENTS_MAX)
/* Of a server four, of a master two, of an agent one. */
#define DEV_PORTS_MAX (4 * DEV_SERVERS_MAX + 2 * DEV_MASTERS_MAX + DEV_AGENTS_MAX)
#define DEV_NAME_MAX 64
#define DEV_ADDRESS_MAX 32
#define DEV_STATUS_MAX 128
#define DEV_STATE_PREFIX "corral-dev." /* of temporary state directories */

enum dev_kind { DEV_ZKSERVER, DEV_MASTER, DEV_AGENT };

struct dev_options {
	uint32_t servers, masters, agents;
	struct option_texts
	    agent;	   /* "cpus=2,memory=1G,disk=10G" each; then there are as many agents */
	const char *state; /* NULL: a temporary one */
};

/* One program of the cluster. */
struct dev_daemon {
	struct dev *dev;
	enum dev_kind kind;
	char name[DEV_NAME_MAX];       /* "zkserver", "master-1", "n2": also of its files */
	char address[DEV_ADDRESS_MAX]; /* what a client of it would use */
	uint16_t port,
	    port2; /* zkserver: plain, TLS; master: API, agents; agent: executors, none */
	uint16_t quorum_port, election_port;	      /* of one of several zkservers */
	uint64_t cpu_milli, memory_bytes, disk_bytes; /* an agent's; 0: what it measures */

	int notify_fd; /* NOTIFY_SOCKET of this daemon; -1: not open */
	struct fd_watch *notify_watch;
	pid_t pid; /* 0: not running */
	bool ready, was_ready;
	bool stopping;
	uint64_t started_us;
	uint64_t ready_us; /* how long it took */
	uint32_t backoff_ms;
	struct timer retry;
	char status[DEV_STATUS_MAX]; /* its last STATUS= */
};

struct dev {
	struct loop *loop;
	char programs[PATH_MAX]; /* the directory of our own program */
	char state[PATH_MAX];
	int state_lock; /* flock(2) on the state directory, for as long as the cluster lives */
	bool keep_state;
	char client_dir[PATH_MAX]; /* where our corral.conf is published; "" while it is not */
	int client_lock;
	uint32_t servers, masters, agents;
	struct dev_daemon daemons[DEV_DAEMONS_MAX];
	size_t daemon_count;
	int port_claims[DEV_PORTS_MAX]; /* sockets that keep our ports from other dev clusters */
	size_t port_claim_count;
	void (*changed)(struct dev *dev, struct dev_daemon *d, const char *what); /* for dev.c */
};

/* ---- dev_layout.c: false after having said why on stderr ---- */

/* What is where; the ports stay ours until dev_layout_release(). */
bool dev_layout_plan(struct dev *dev, const struct dev_options *options);
void dev_layout_release(struct dev *dev);
/* The state directory with its CA, certificates and configuration files. */
bool dev_layout_write(struct dev *dev);
/* PATH below the state directory. */
void dev_layout_path(const struct dev *dev, char to[PATH_MAX], const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Our own directory's PROGRAM, else where it is installed. False: neither is executable. */
bool dev_layout_program(const struct dev *dev, enum dev_kind kind, char to[PATH_MAX]);
/* Who runs where, one line each "NAME KIND PID ADDRESS", in the file `daemons` below the state
 * directory. */
bool dev_layout_write_daemons(const struct dev *dev);
/* The corral.conf for command lines of this cluster's operator. */
bool dev_layout_write_client_conf(const struct dev *dev, const char *path);

/* ---- dev_publish.c ---- */

/* Leave a corral.conf where this user's command lines look, unless another dev cluster has that
 * place. */
void dev_publish(struct dev *dev);
void dev_unpublish(struct dev *dev);

/* ---- dev_daemon.c ---- */

/* Open the socket on which the daemon will say that it is ready, and its timer. Before the first
 * start. */
bool dev_daemon_init(struct dev_daemon *d);
void dev_daemon_fini(struct dev_daemon *d);
bool dev_daemon_start(struct dev_daemon *d);
void dev_daemon_stop(struct dev_daemon *d, int signo);
/* A child ended: true if it was one of the daemons; it is started again after a while. */
bool dev_daemon_ended(struct dev *dev, pid_t pid, int wait_status);
/* Bytes of memory that are its alone; 0 if unknown. */
uint64_t dev_daemon_memory(const struct dev_daemon *d);

/* ---- dev_sweep.c ---- */

/* End every process that descends from us, unmount what lies below the state directory, remove it.
 */
bool dev_sweep(struct dev *dev);

/*
 * Remove what clusters that were killed left of their control groups, if nothing runs there any
 * more: of those whose state directory lies beside ours, belongs to us, and is locked by nobody.
 */
void dev_sweep_leftovers(const struct dev *dev);

#endif
