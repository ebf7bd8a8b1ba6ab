/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/metrics.h"

static const uint64_t placement_us[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000};
static const uint64_t delay_ms[] = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 60000, 600000};
static const uint64_t commit_us[] = {
    100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 1000000};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void
init_states(struct master_metrics *x)
{
	static const char *const tasks[8] = {NULL, "state=\"launching\"", "state=\"running\"",
	    "state=\"recovering\"", NULL, NULL, NULL, NULL};
	static const char *const nodes[5] = {"state=\"awaited\"", "state=\"admitting\"",
	    "state=\"ready\"", "state=\"silent\"", "state=\"unreachable\""};
	static const char *const jobs[6] = {"state=\"creating\"", "state=\"running\"",
	    "state=\"stopping\"", "state=\"stopped\"", "state=\"finished\"", "state=\"failed\""};

	metrics_gauge(
	    &x->all, &x->waiting, "corral_master_tasks", "tasks by state", "state=\"waiting\"");
	for (int i = 0; i < 8; i++)
		if (tasks[i] != NULL)
			metrics_gauge(&x->all, &x->tasks[i], "corral_master_tasks",
			    "tasks by state", tasks[i]);
	for (int i = 0; i < 5; i++)
		metrics_gauge(
		    &x->all, &x->nodes[i], "corral_master_nodes", "nodes by state", nodes[i]);
	for (int i = 0; i < 6; i++)
		metrics_gauge(&x->all, &x->jobs[i], "corral_master_jobs", "jobs by state", jobs[i]);
}

void
master_metrics_init(struct master_metrics *x)
{
	*x = (struct master_metrics){0};
	metrics_init(&x->all);
	metrics_gauge(&x->all, &x->build, "corral_build_info", "1, with the version",
	    "version=\"" PACKAGE_VERSION "\"");
	x->build.value = 1;
	metrics_gauge(&x->all, &x->leader, "corral_master_leader", "1 on the leading master", NULL);
	init_states(x);
	metrics_gauge(
	    &x->all, &x->capacity_cpu, "corral_master_capacity_cpus", "cpus of all nodes", NULL);
	x->capacity_cpu.decimals = 3;
	metrics_gauge(&x->all, &x->capacity_memory, "corral_master_capacity_memory_bytes",
	    "memory of all nodes", NULL);
	metrics_gauge(
	    &x->all, &x->leased_cpu, "corral_master_leased_cpus", "cpus leased to tasks", NULL);
	x->leased_cpu.decimals = 3;
	metrics_gauge(&x->all, &x->leased_memory, "corral_master_leased_memory_bytes",
	    "memory leased to tasks", NULL);
	metrics_counter(
	    &x->all, &x->placements, "corral_master_placements_total", "tasks placed", NULL);
	metrics_counter(&x->all, &x->visited, "corral_master_placement_visits_total",
	    "nodes of the placement tree looked at", NULL);
	metrics_counter(
	    &x->all, &x->elections, "corral_master_elections_won_total", "elections won", NULL);
	metrics_counter(&x->all, &x->commits, "corral_master_commits_total",
	    "batches written to the ensemble", NULL);
	metrics_histogram(&x->all, &x->placement, "corral_master_placement_seconds",
	    "time to place one task", NULL, 6, placement_us, COUNT(placement_us));
	metrics_histogram(&x->all, &x->allocation, "corral_master_allocation_delay_seconds",
	    "from a job's acceptance to the first launch of a task", NULL, 3, delay_ms,
	    COUNT(delay_ms));
	metrics_histogram(&x->all, &x->start, "corral_master_start_delay_seconds",
	    "from a launch to the report that the task runs", NULL, 3, delay_ms, COUNT(delay_ms));
	metrics_histogram(&x->all, &x->commit, "corral_master_commit_seconds",
	    "a batch to the ensemble and back", NULL, 6, commit_us, COUNT(commit_us));
}

static uint32_t
waiting_tasks(const struct cluster *c)
{
	struct list *it, *nx;
	uint32_t n = 0;

	LIST_EACH(it, nx, (struct list *)&c->live) {
		const struct job *j = CONTAINER_OF(it, struct job, in_order);

		n += j->in_state[CELL_PENDING] + j->in_state[CELL_DELAYED] +
		     j->in_state[CELL_UNKNOWN];
	}
	return n;
}

void
master_metrics_update(struct master_metrics *x, const struct cluster *c)
{
	x->leader.value = c != NULL;
	x->waiting.value = c == NULL ? 0 : waiting_tasks(c);
	for (int i = 0; i < 8; i++)
		x->tasks[i].value = c == NULL ? 0 : c->in_task_state[i];
	for (int i = 0; i < 6; i++)
		x->jobs[i].value = c == NULL ? 0 : c->in_job_state[i];
	for (int i = 0; i < 5; i++)
		x->nodes[i].value = 0;
	for (uint32_t i = 0; c != NULL && i < c->agent_count; i++)
		x->nodes[c->by_number[i]->state].value += !c->by_number[i]->gone;
	x->capacity_cpu.value = c == NULL ? 0 : (int64_t)c->books.total.cpu_milli;
	x->capacity_memory.value = c == NULL ? 0 : (int64_t)c->books.total.memory_bytes;
	x->leased_cpu.value = c == NULL ? 0 : (int64_t)c->books.leased.cpu_milli;
	x->leased_memory.value = c == NULL ? 0 : (int64_t)c->books.leased.memory_bytes;
}
