/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of corral-api(7): requests to whichever of the masters answers, messages of
 * proto/api.proto as JSON both ways. A master that cannot be reached is followed by the next one; a
 * standby sends us on to the leader. What went wrong comes out as a text for people and an exit
 * status: 69 nobody reached, 75 no leader now, 77 not permitted, 65 a bad job file, 1 anything that
 * the master refused.
 */
#ifndef CORRAL_CLI_API_H
#define CORRAL_CLI_API_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "libcommon/io/http.h"
#include "libcommon/io/loop.h"
#include "libcommon/sys/corral_conf.h"

#define API_ERROR_MAX 2048

struct api;

/* NULL: the reason (a certificate that is not there ...) is in error[size]. conf is borrowed. */
struct api *api_open(struct loop *loop, const struct corral_conf *conf, char *error, size_t size);
/* The same with a TLS context of the caller's, whose reference is taken over. NULL: no memory. */
struct api *api_open_tls(struct loop *loop, const struct corral_conf *conf, struct tls *tls);
/* Are masters reached by this machine's socket, where a certificate does not count? */
bool api_is_local(const struct corral_conf *conf);
/* tls_pinned_ca() of that context. */
const char *api_pinned_ca(const struct api *a);
void api_close(struct api *a);

struct api_request {
	const char *method;
	const char *target;			 /* below /corral/v1/, encoded */
	const ProtobufCMessage *body;		 /* NULL: none */
	const ProtobufCMessageDescriptor *reply; /* what a good answer holds */
	uint32_t timeout_ms;			 /* for the answer; 0: a minute */
	bool quiet;				 /* a failure is not said: api_error() has it */
};

struct api_result {
	int status;		   /* 0, or what to exit with */
	ProtobufCMessage *message; /* the answer, the taker's to free; NULL unless status is 0 */
	char error[API_ERROR_MAX]; /* "" or what went wrong, in one or two lines without "corral: "
				    */
};

/*
 * Start one request; done() is called from the loop, once, with a result that is valid during the
 * call (its message is the callee's). One request at a time. False: no memory.
 */
bool api_start(struct api *a, const struct api_request *request,
    void (*done)(void *arg, struct api_result *result), void *arg);

/* The same, and run the loop until it is done. A failure is said on stderr. Returns the exit
 * status. */
int api_call(struct api *a, const struct api_request *request, ProtobufCMessage **message);

/*
 * Ask for an upgrade to frames; the link's ops and arg are as link_connect() has them, and up() is
 * called when it stands. Runs the loop until loop_stop(); the status given there, or that of the
 * failure.
 */
int api_upgrade(struct api *a, const struct api_request *request, const struct link_limits *limits,
    const struct link_ops *ops, void *arg);

/* What went wrong with the last request that was waited for; "" if nothing did. */
const char *api_error(const struct api *a);

#endif
