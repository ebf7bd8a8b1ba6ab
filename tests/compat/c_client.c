/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache ZooKeeper's C client in use: c_client HOST:PORT ROOT goes through its synchronous calls,
 * a watch, a multi and an asynchronous call, and ends with 0 if all was as it should be.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zookeeper/zookeeper.h>

#define SECONDS 20
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);         \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static int connected, events, last_event, completions;

static void
watcher(zhandle_t *zh, int type, int state, const char *path, void *arg)
{
	(void)zh;
	(void)path;
	(void)arg;
	pthread_mutex_lock(&lock);
	if (type == ZOO_SESSION_EVENT)
		connected = state == ZOO_CONNECTED_STATE;
	else
		events++;
	last_event = type;
	pthread_cond_broadcast(&told);
	pthread_mutex_unlock(&lock);
}

static void
completed(int rc, const struct Stat *stat, const void *data)
{
	(void)data;
	CHECK(rc == ZOK && stat->version == 2);
	pthread_mutex_lock(&lock);
	completions++;
	pthread_cond_broadcast(&told);
	pthread_mutex_unlock(&lock);
}

/* Wait until *value is at least least. */
static void
expect(const int *value, int least)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SECONDS;
	pthread_mutex_lock(&lock);
	while (*value < least)
		CHECK(pthread_cond_timedwait(&told, &lock, &until) == 0);
	pthread_mutex_unlock(&lock);
}

static void
check_nodes(zhandle_t *zh, const char *root)
{
	char path[256], made[256], data[16];
	int size = sizeof data;
	struct String_vector names;
	struct Stat stat;

	snprintf(path, sizeof path, "%s/a", root);
	CHECK(zoo_create(zh, path, "one", 3, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made) == ZOK);
	CHECK(strcmp(made, path) == 0);
	CHECK(zoo_create(zh, path, "one", 3, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made) ==
	      ZNODEEXISTS);
	CHECK(zoo_wget(zh, path, watcher, NULL, data, &size, &stat) == ZOK);
	CHECK(
	    size == 3 && memcmp(data, "one", 3) == 0 && stat.dataLength == 3 && stat.version == 0);
	CHECK(zoo_set2(zh, path, "two", 3, 0, &stat) == ZOK && stat.version == 1);
	expect(&events, 1);
	CHECK(last_event == ZOO_CHANGED_EVENT);
	CHECK(zoo_set(zh, path, "x", 1, 0) == ZBADVERSION);
	CHECK(zoo_aset(zh, path, "six", 3, 1, completed, NULL) == ZOK);
	expect(&completions, 1);
	CHECK(zoo_get_children(zh, root, 0, &names) == ZOK && names.count == 1 &&
	      strcmp(names.data[0], "a") == 0);
	deallocate_String_vector(&names);
	CHECK(zoo_delete(zh, root, -1) == ZNOTEMPTY);
	CHECK(zoo_delete(zh, path, 2) == ZOK);
	CHECK(zoo_exists(zh, path, 0, &stat) == ZNONODE);
}

static void
check_multi(zhandle_t *zh, const char *root)
{
	char path[256], other[256], made[256];
	zoo_op_result_t results[3];
	struct Stat stat;
	zoo_op_t ops[3];

	snprintf(path, sizeof path, "%s/m", root);
	snprintf(other, sizeof other, "%s/none", root);
	zoo_create_op_init(&ops[0], path, "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made);
	zoo_set_op_init(&ops[1], path, "y", 1, 0, &stat);
	zoo_delete_op_init(&ops[2], other, -1);
	CHECK(zoo_multi(zh, 3, ops, results) == ZNONODE);
	CHECK(results[0].err == ZOK && results[1].err == ZOK && results[2].err == ZNONODE);
	CHECK(zoo_exists(zh, path, 0, &stat) == ZNONODE);
	CHECK(
	    zoo_multi(zh, 2, ops, results) == ZOK && strcmp(made, path) == 0 && stat.version == 1);
	zoo_delete_op_init(&ops[2], path, 1);
	CHECK(zoo_multi(zh, 1, &ops[2], results) == ZOK);
}

int
main(int argc, char **argv)
{
	char made[256], path[256];
	zhandle_t *zh;

	CHECK(argc == 3);
	zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
	zh = zookeeper_init(argv[1], watcher, 10000, NULL, NULL, 0);
	CHECK(zh != NULL);
	expect(&connected, 1);
	check_nodes(zh, argv[2]);
	check_multi(zh, argv[2]);
	snprintf(path, sizeof path, "%s/e-", argv[2]);
	CHECK(zoo_create(zh, path, NULL, -1, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL | ZOO_SEQUENCE,
		  made, sizeof made) == ZOK);
	CHECK(strncmp(made, path, strlen(path)) == 0 && strlen(made) == strlen(path) + 10);
	CHECK(zookeeper_close(zh) == ZOK);
	return 0;
}
