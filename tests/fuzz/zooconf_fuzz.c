/* SPDX-License-Identifier: Apache-2.0 */
/* zoo.cfg whole: what is taken keeps to its rows' bounds, and can be taken over by a reload. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/sys/log.h"
#include "tests/fuzz/fuzz.h"
#include "zkserver/conf.h"
#include "zkserver/settings.h"

/*
 * How far an unknown key is from each that is known, said in a warning: str_test has it. Under a
 * fuzzer's instrumentation it takes all the time there is.
 */
size_t __wrap_str_distance(const char *a, const char *b);

size_t
__wrap_str_distance(const char *a, const char *b)
{
	return a[0] == b[0] ? 1 : SIZE_MAX;
}

static void
check_member(const struct zoo_conf *c, const struct setting *s)
{
	const char *member = (const char *)c + s->offset;
	int32_t port;
	int choice;

	switch (s->kind) {
	case SETTING_TEXT:
	case SETTING_LIST:
		assert(memchr(member, '\0', s->max + 1) != NULL);
		break;
	case SETTING_PORT:
		memcpy(&port, member, sizeof port);
		assert(port >= ZOO_PORT_NONE && port <= 65535);
		break;
	case SETTING_CHOICE:
		memcpy(&choice, member, sizeof choice);
		assert(choice >= 0);
		break;
	case SETTING_U32:
	case SETTING_BOOL:
	case SETTING_FORM:
	case SETTING_ONLY:
	case SETTING_NOTHING:
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct zoo_conf conf, running;
	const struct setting *all;
	struct faults faults;
	size_t count;

	log_init("fuzz", LOG_LEVEL_ERROR);
	faults_init(&faults);
	all = settings_table(&count);
	if (zoo_conf_parse(&conf, "zoo.cfg", (const char *)data, size, &faults)) {
		assert(conf.min_session_ms <= conf.max_session_ms);
		assert(conf.data_dir[0] != '\0' && conf.data_log_dir[0] != '\0');
		assert(!conf.auth.require_sasl || strcmp(conf.auth.schemes, "sasl") == 0);
		zoo_conf_default(&running, "/d");
		zoo_conf_adopt(&running, &conf);
		assert(running.max_client_cnxns == conf.max_client_cnxns);
	} else
		assert(faults_text(&faults)[0] != '\0');
	for (size_t i = 0; i < count; i++)
		check_member(&conf, &all[i]);
	faults_fini(&faults);
	return 0;
}
