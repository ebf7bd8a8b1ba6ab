/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that a reader of systemd's manuals would try, and why each is not taken. */
#include <string.h>

#include "libcommon/job/jobfile_parse.h"

#define LATER "not available in this version"

struct refusal {
	const char *section; /* NULL: any */
	const char *name;    /* a trailing '*' stands for any end; NULL: the section itself */
	const char *why;
};

static const struct refusal refusals[] = {
    {"Install", NULL, "jobs are submitted, not enabled"},
    {"Service", NULL, "a job's commands stand in [Task], its Type= in [Job]"},
    {"Health", NULL, LATER},
    {"Sandbox", NULL, LATER},
    {"Image", NULL, LATER},

    {"Unit", "Requires",
	"in systemd it would start the other unit; jobs cannot depend on each other in this "
	"version"},
    {"Unit", "After", "jobs cannot depend on each other in this version"},
    {"Unit", "Before", "jobs cannot depend on each other in this version"},
    {"Unit", "Requisite", "jobs cannot depend on each other in this version"},
    {"Unit", "Wants", "jobs cannot depend on each other in this version"},
    {"Unit", "BindsTo", "jobs cannot depend on each other in this version"},
    {"Unit", "PartOf", "jobs cannot depend on each other in this version"},
    {"Unit", "Conflicts", "use a Constraint= in [Placement]"},
    {"Unit", "OnFailure", LATER},
    {"Unit", "OnSuccess", LATER},
    {"Unit", "Condition*", LATER},
    {"Unit", "Assert*", LATER},
    {NULL, "StartLimitInterval*", "retries are counted over the whole life of a task"},

    {"Job", "TimeLimit", "systemd's word is RuntimeMaxSec="},
    {"Job", "OnCalendar", LATER},
    {"Job", "KeepRuns", LATER},

    {"Task", "ExecStartPost", LATER},
    {"Task", "ExecStop*", "a task is stopped by KillSignal=, then SIGKILL after TimeoutStopSec="},
    {"Task", "ExecReload", LATER},
    {"Task", "ExecCondition", LATER},
    {"Task", "Group", "a task runs in the groups of its user"},
    {"Task", "SupplementaryGroups", "a task runs in the groups of its user"},
    {"Task", "DynamicUser", LATER},
    {"Task", "EnvironmentFile", LATER},
    {"Task", "PassEnvironment", "a task's environment is made of Environment= and CORRAL_* only"},
    {"Task", "UnsetEnvironment", "a task's environment is made of Environment= and CORRAL_* only"},
    {"Task", "StandardInput", "it is /dev/null, or the terminal of corral run"},
    {"Task", "StandardOutput", "it goes to a file in the sandbox; see corral logs"},
    {"Task", "StandardError", "it goes to a file in the sandbox; see corral logs"},
    {"Task", "Timeout*", "use RuntimeMaxSec= in [Job] and TimeoutStopSec="},
    {"Task", "WatchdogSec", LATER},
    {"Task", "SendSIGHUP", LATER},
    {"Task", "FinalKillSignal", "it is SIGKILL"},
    {"Task", "RestartPreventExitStatus", LATER},
    {"Task", "RestartForceExitStatus", LATER},
    {"Task", "SuccessExitStatus", LATER},
    {"Task", "RemainAfterExit", LATER},
    {"Task", "PIDFile", "a task stays in the foreground"},
    {"Task", "GuessMainPID", "a task stays in the foreground"},
    {"Task", "BusName", LATER},
    {"Task", "NotifyAccess", LATER},
    {"Task", "Sockets", LATER},
    {"Task", "RootDirectory", LATER},
    {"Task", "RootImage", LATER},
    {"Task", "UMask", LATER},
    {"Task", "Limit*", LATER},
    {"Task", "Nice", LATER},
    {"Task", "OOM*", LATER},
    {"Task", "CPUScheduling*", LATER},
    {"Task", "CPUAffinity", LATER},
    {"Task", "NUMA*", LATER},
    {"Task", "IOScheduling*", LATER},
    {"Task", "TTY*", LATER},
    {"Task", "Syslog*", LATER},
    {"Task", "Log*", LATER},
    {"Task", "LoadCredential*", LATER},
    {"Task", "SetCredential*", LATER},
    {"Task", "*Directory", LATER},
    {"Task", "*DirectoryMode", LATER},
    {"Task", "Private*", LATER},
    {"Task", "Protect*", LATER},
    {"Task", "Restrict*", LATER},
    {"Task", "ReadWritePaths", LATER},
    {"Task", "ReadOnlyPaths", LATER},
    {"Task", "InaccessiblePaths", LATER},
    {"Task", "Bind*", LATER},
    {"Task", "TemporaryFileSystem", LATER},
    {"Task", "NoNewPrivileges", "it is always on"},
    {"Task", "Capability*", LATER},
    {"Task", "AmbientCapabilities", LATER},
    {"Task", "SystemCall*", LATER},
    {"Task", "Slice", "executors live in corral.slice"},
    {"Task", "Delegate", LATER},
    {"Task", "CPUQuota", "use CPU= in [Resources]: 50% is 0.5"},
    {"Task", "Memory*", "use Memory= and MemoryMax= in [Resources]"},
    {"Task", "TasksMax", LATER},

    {"Resources", "CPUQuota", "use CPU=: 50% is 0.5"},
    {"Resources", "CPUWeight", "it follows from CPU="},
    {"Resources", "MemoryHigh", LATER},
    {"Resources", "MemoryMin", LATER},
    {"Resources", "MemoryLow", LATER},
    {"Resources", "MemorySwapMax", "tasks do not swap"},
    {"Resources", "TasksMax", LATER},
    {"Resources", "IO*", LATER},
    {"Resources", "Ports", LATER},
    {"Resources", "GPU*", LATER},

    {"Placement", "Spread", LATER},
    {"Placement", "Order", "it is first-fit in this version"},
};

/* One '*' at either end of the pattern. */
static bool
matches(const char *pattern, const char *name)
{
	size_t size = strlen(pattern), name_size = strlen(name);

	if (pattern[0] == '*')
		return name_size >= size - 1 &&
		       strcmp(name + name_size - (size - 1), pattern + 1) == 0;
	if (pattern[size - 1] == '*')
		return strncmp(name, pattern, size - 1) == 0;
	return strcmp(name, pattern) == 0;
}

const char *
jobfile_refusal(const char *section, const char *name)
{
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		const struct refusal *r = &refusals[i];

		if (r->section != NULL && strcmp(r->section, section) != 0)
			continue;
		if (name == NULL ? r->name == NULL : r->name != NULL && matches(r->name, name))
			return r->why;
	}
	return NULL;
}
