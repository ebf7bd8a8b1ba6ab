/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Print every key that the readers of configuration know, a line each: the manual page, the section
 * ("-" where the file has none), the key, and whether it sets something. For tests/manuals/agree.
 */
#include <stdio.h>

#include "libcommon/job/jobfile_parse.h"
#include "libcommon/sys/corral_conf.h"
#include "zkserver/settings.h"

static void
row(const char *page, const char *section, const char *key, bool sets)
{
	printf("%s %s %s %s\n", page, section, key, sets ? "sets" : "names");
}

int
main(void)
{
	size_t count;
	const struct setting *settings = settings_table(&count);

	for (size_t i = 0; i < corral_conf_table.count; i++)
		row("corral.conf.5", corral_conf_table.keys[i].section,
		    corral_conf_table.keys[i].key, true);
	for (size_t i = 0; i < jobfile_key_count; i++)
		row("corral-job.5", jobfile_keys[i].section, jobfile_keys[i].name, true);
	for (size_t i = 0; i < count; i++)
		row("zkserver.8", "-", settings[i].key, setting_size(&settings[i]) > 0);
	return fflush(stdout) == 0 ? 0 : 1;
}
