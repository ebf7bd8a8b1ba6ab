/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streams of tasks: what they write comes to our standard output and error, ours goes to them.
 * For `corral logs` and `corral run`; frames of proto/api.proto over an upgraded connection.
 */
#ifndef CORRAL_CLI_STREAM_H
#define CORRAL_CLI_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/corral.h"

struct stream_config {
	const char *job; /* for prefixes and messages */
	bool prefix;	 /* "JOB.INDEX | " in front of each line */
	bool input;	 /* our standard input goes to task 0 */
	bool signals;	 /* so do signals that ask us to end, to all tasks */
	bool resume;	 /* of logs: when the master is lost, the next leader goes on */
	int broken;  /* exit status when the connection is lost or the master reports an error */
	int refused; /* exit status when there never was one; 0: as api_upgrade() has it */
};

/* Open the stream that `request` asks for and pass everything on until its end. The exit status. */
int stream_run(
    struct corral *c, const struct api_request *request, const struct stream_config *config);

#endif
