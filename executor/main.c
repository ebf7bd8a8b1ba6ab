/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "config.h"
#include "executor/attempt.h"
#include "executor/foreground.h"
#include "executor/runner.h"
#include "libcommon/base/str.h"
#include "libcommon/sys/log.h"

static const char usage[] =
    "usage: corral-executor run --spec FILE\n"
    "       corral-executor attempt NAME STATE_DIR\n"
    "\n"
    "run       run one task in the foreground as an agent would, and exit with its status\n"
    "          --spec FILE   a corral.TaskSpec in protobuf's encoding; - is standard input\n"
    "attempt   what corral-agent starts for each attempt; the rest comes on descriptor 3\n"
    "\n"
    "      --help            this text\n"
    "      --version         the version\n"
    "\n"
    "See corral-executor(8).\n";

/* Of the program, or of its verb run. */
static bool
wants_help(int argc, char **argv)
{
	int last = argc > 2 && strcmp(argv[1], "run") == 0 ? 2 : 1;

	return argc > last && (strcmp(argv[last], "--help") == 0 || strcmp(argv[last], "-h") == 0);
}

static int
run(int argc, char **argv)
{
	const char *spec = NULL;

	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--spec") == 0 && i + 1 < argc)
			spec = argv[++i];
		else if (str_starts(argv[i], "--spec="))
			spec = argv[i] + strlen("--spec=");
		else {
			log_error(
			    "%s: unknown argument of run, see corral-executor --help", argv[i]);
			return STATUS_OWN_FAILURE;
		}
	}
	if (spec == NULL) {
		log_error("run needs --spec FILE");
		return STATUS_OWN_FAILURE;
	}
	return foreground_run(spec);
}

int
main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	log_init("corral-executor", LOG_LEVEL_INFO);
	if (wants_help(argc, argv))
		return fputs(usage, stdout) < 0 ? EX_IOERR : EX_OK;
	if (strcmp(verb, "--version") == 0)
		return puts("corral-executor (corral) " PACKAGE_VERSION) < 0 ? EX_IOERR : EX_OK;
	if (strcmp(verb, "run") == 0)
		return run(argc, argv);
	if (strcmp(verb, "attempt") == 0 && (argc == 3 || argc == 4)) /* 3: of an older helper */
		return attempt_run();
	fputs(usage, stderr);
	return EX_USAGE;
}
