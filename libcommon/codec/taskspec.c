/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/taskspec.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>

static bool
is_command(char *const *argv, size_t count)
{
	return count > 0 && argv[0][0] != '\0';
}

static bool
is_variable(const char *text)
{
	const char *equals = strchr(text, '=');

	return equals != NULL && equals != text;
}

const char *
taskspec_fault(const Corral__TaskSpec *spec)
{
	if (!is_command(spec->argv, spec->n_argv))
		return "it has no command";
	for (size_t i = 0; i < spec->n_exec_start_pre; i++)
		if (!is_command(spec->exec_start_pre[i]->argv, spec->exec_start_pre[i]->n_argv))
			return "a step before its command has no command";
	for (size_t i = 0; i < spec->n_environment; i++)
		if (!is_variable(spec->environment[i]))
			return "something in its environment is not NAME=VALUE";
	if (spec->kill_signal < 1 || spec->kill_signal >= NSIG)
		return "its signal to stop is none";
	if (corral__task_spec__get_packed_size(spec) > TASKSPEC_BYTES_MAX)
		return "its commands and environment are larger than 992 KiB";
	return NULL;
}
