/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/measure.h"

#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FIELDS_MAX                                                                                 \
	8 /* of /proc/stat's cpu line: user nice system idle iowait irq softirq steal              \
	   */
#define FIELD_IDLE 3
#define FIELD_IOWAIT 4

void
measure_init(struct measure *m, const char *directory)
{
	*m = (struct measure){.directory = directory};
}

/* The number behind `key` in /proc/meminfo, in bytes. */
static uint64_t
meminfo(const char *key)
{
	FILE *f = fopen("/proc/meminfo", "re");
	size_t len = strlen(key);
	uint64_t kib = 0;
	char line[256];

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, key, len) == 0 && line[len] == ':') {
			kib = strtoull(line + len + 1, NULL, 10);
			break;
		}
	}
	fclose(f);
	return kib * 1024;
}

static uint64_t
cpu_count(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) == 0)
		return (uint64_t)CPU_COUNT(&set);
	return (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
}

void
measure_capacity(const struct measure *m, Corral__Resources *to)
{
	struct statvfs fs;

	to->has_cpu_milli = to->has_memory_bytes = to->has_disk_bytes = true;
	to->cpu_milli = cpu_count() * 1000;
	to->memory_bytes = meminfo("MemTotal");
	to->disk_bytes = statvfs(m->directory, &fs) == 0 ? (uint64_t)fs.f_blocks * fs.f_frsize : 0;
}

/* Thousandths of a cpu in use since the last look. */
static uint64_t
cpu_used_milli(struct measure *m)
{
	unsigned long long v[FIELDS_MAX] = {0};
	FILE *f = fopen("/proc/stat", "re");
	uint64_t all = 0, busy, used = 0;
	int n;

	if (f == NULL)
		return 0;
	n = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
	    &v[4], &v[5], &v[6], &v[7]);
	fclose(f);
	if (n < FIELD_IOWAIT + 1)
		return 0;
	for (int i = 0; i < FIELDS_MAX; i++)
		all += v[i];
	busy = all - v[FIELD_IDLE] - v[FIELD_IOWAIT];
	if (m->all_ticks != 0 && all > m->all_ticks && busy >= m->busy_ticks)
		used = (busy - m->busy_ticks) * 1000 * (uint64_t)sysconf(_SC_NPROCESSORS_ONLN) /
		       (all - m->all_ticks);
	m->busy_ticks = busy;
	m->all_ticks = all;
	return used;
}

void
measure_usage(struct measure *m, Corral__NodeUsage *to)
{
	uint64_t total = meminfo("MemTotal"), available = meminfo("MemAvailable");
	struct statvfs fs;
	double load = 0;

	corral__node_usage__init(to);
	to->has_cpu_used_milli = to->has_memory_used_bytes = to->has_disk_free_bytes =
	    to->has_load_1m_milli = true;
	to->cpu_used_milli = cpu_used_milli(m);
	to->memory_used_bytes = total > available ? total - available : 0;
	to->disk_free_bytes =
	    statvfs(m->directory, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
	to->load_1m_milli = getloadavg(&load, 1) == 1 ? (uint32_t)(load * 1000) : 0;
}
