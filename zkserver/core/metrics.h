/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server counts, under ZooKeeper's names and in the order in which Apache's server lists
 * them. Counting is a plain addition. What belongs to machinery that is not here (queues between
 * processors, a packet cache, a Java machine) or to an ensemble stays 0: tools find every key.
 */
#ifndef CORRAL_ZKSERVER_CORE_METRICS_H
#define CORRAL_ZKSERVER_CORE_METRICS_H

#include <stdint.h>

#include "libcommon/base/sketch.h"

/* clang-format off */
#define ZK_COUNTERS(X) \
	X(PROPOSAL_COUNT, "proposal_count") \
	X(WATCH_BYTES, "watch_bytes") \
	X(OUTSTANDING_CHANGES_REMOVED, "outstanding_changes_removed") \
	X(THROTTLED_OPS, "throttled_ops") \
	X(STALE_REQUESTS_DROPPED, "stale_requests_dropped") \
	X(LARGE_REQUESTS_REJECTED, "large_requests_rejected") \
	X(INSECURE_ADMIN_COUNT, "insecure_admin_count") \
	X(CONNECTION_REJECTED, "connection_rejected") \
	X(CNXN_CLOSED_WITHOUT_ZK_SERVER_RUNNING, "cnxn_closed_without_zk_server_running") \
	X(SESSIONLESS_CONNECTIONS_EXPIRED, "sessionless_connections_expired") \
	X(LOOKING_COUNT, "looking_count") \
	X(DEAD_WATCHERS_QUEUED, "dead_watchers_queued") \
	X(STALE_REQUESTS, "stale_requests") \
	X(CONNECTION_DROP_COUNT, "connection_drop_count") \
	X(LEARNER_PROPOSAL_RECEIVED_COUNT, "learner_proposal_received_count") \
	X(DIGEST_MISMATCHES_COUNT, "digest_mismatches_count") \
	X(DEAD_WATCHERS_CLEARED, "dead_watchers_cleared") \
	X(RESPONSE_PACKET_CACHE_HITS, "response_packet_cache_hits") \
	X(BYTES_RECEIVED_COUNT, "bytes_received_count") \
	X(ADD_DEAD_WATCHER_STALL_TIME, "add_dead_watcher_stall_time") \
	X(REQUEST_THROTTLE_WAIT_COUNT, "request_throttle_wait_count") \
	X(NOT_FORWARDED, "requests_not_forwarded_to_commit_processor") \
	X(RESPONSE_PACKET_CACHE_MISSES, "response_packet_cache_misses") \
	X(ENSEMBLE_AUTH_SUCCESS, "ensemble_auth_success") \
	X(PREP_PROCESSOR_REQUEST_QUEUED, "prep_processor_request_queued") \
	X(LEARNER_COMMIT_RECEIVED_COUNT, "learner_commit_received_count") \
	X(STALE_REPLIES, "stale_replies") \
	X(CONNECTION_REQUEST_COUNT, "connection_request_count") \
	X(RESPONSE_BYTES, "response_bytes") \
	X(ENSEMBLE_AUTH_FAIL, "ensemble_auth_fail") \
	X(DIFF_COUNT, "diff_count") \
	X(RESPONSE_PACKET_GET_CHILDREN_CACHE_MISSES, "response_packet_get_children_cache_misses") \
	X(CONNECTION_REVALIDATE_COUNT, "connection_revalidate_count") \
	X(QUIT_LEADING_DUE_TO_DISLOYAL_VOTER, "quit_leading_due_to_disloyal_voter") \
	X(SNAP_COUNT, "snap_count") \
	X(UNRECOVERABLE_ERROR_COUNT, "unrecoverable_error_count") \
	X(UNSUCCESSFUL_HANDSHAKE, "unsuccessful_handshake") \
	X(COMMIT_COUNT, "commit_count") \
	X(STALE_SESSIONS_EXPIRED, "stale_sessions_expired") \
	X(RESPONSE_PACKET_GET_CHILDREN_CACHE_HITS, "response_packet_get_children_cache_hits") \
	X(SYNC_PROCESSOR_REQUEST_QUEUED, "sync_processor_request_queued") \
	X(OUTSTANDING_CHANGES_QUEUED, "outstanding_changes_queued") \
	X(REQUEST_COMMIT_QUEUED, "request_commit_queued") \
	X(ENSEMBLE_AUTH_SKIP, "ensemble_auth_skip") \
	X(SKIP_LEARNER_REQUEST, "skip_learner_request_to_next_processor_count") \
	X(TLS_HANDSHAKE_EXCEEDED, "tls_handshake_exceeded") \
	X(REVALIDATE_COUNT, "revalidate_count")

#define ZK_SUMMARIES(X) \
	X(SOCKET_CLOSING_TIME, "socket_closing_time") \
	X(PROPOSAL_PROCESS_TIME, "proposal_process_time") \
	X(LEADER_UNAVAILABLE_TIME, "leader_unavailable_time") \
	X(NODE_CREATED_WATCH_COUNT, "node_created_watch_count") \
	X(SESSION_QUEUES_DRAINED, "session_queues_drained") \
	X(WRITE_COMMIT_PROC_REQ_QUEUED, "write_commit_proc_req_queued") \
	X(CONNECTION_TOKEN_DEFICIT, "connection_token_deficit") \
	X(READ_COMMIT_PROC_REQ_QUEUED, "read_commit_proc_req_queued") \
	X(NODE_DELETED_WATCH_COUNT, "node_deleted_watch_count") \
	X(STARTUP_TXNS_LOAD_TIME, "startup_txns_load_time") \
	X(SYNC_PROCESSOR_QUEUE_SIZE, "sync_processor_queue_size") \
	X(FOLLOWER_SYNC_TIME, "follower_sync_time") \
	X(PREP_PROCESSOR_QUEUE_SIZE, "prep_processor_queue_size") \
	X(FSYNCTIME, "fsynctime") \
	X(INFLIGHT_SNAP_COUNT, "inflight_snap_count") \
	X(READS_ISSUED_FROM_SESSION_QUEUE, "reads_issued_from_session_queue") \
	X(LEARNER_REQUEST_PROCESSOR_QUEUE_SIZE, "learner_request_processor_queue_size") \
	X(SNAPSHOTTIME, "snapshottime") \
	X(UNAVAILABLE_TIME, "unavailable_time") \
	X(STARTUP_TXNS_LOADED, "startup_txns_loaded") \
	X(READS_AFTER_WRITE_IN_SESSION_QUEUE, "reads_after_write_in_session_queue") \
	X(REQUESTS_IN_SESSION_QUEUE, "requests_in_session_queue") \
	X(WRITE_COMMIT_PROC_ISSUED, "write_commit_proc_issued") \
	X(PREP_PROCESS_TIME, "prep_process_time") \
	X(PENDING_SESSION_QUEUE_SIZE, "pending_session_queue_size") \
	X(EMPTY_POOL, "time_waiting_empty_pool_in_commit_processor_read_ms") \
	X(COMMIT_PROCESS_TIME, "commit_process_time") \
	X(DBINITTIME, "dbinittime") \
	X(INFLIGHT_DIFF_COUNT, "inflight_diff_count") \
	X(NETTY_QUEUED_BUFFER_CAPACITY, "netty_queued_buffer_capacity") \
	X(ELECTION_TIME, "election_time") \
	X(COMMIT_COMMIT_PROC_REQ_QUEUED, "commit_commit_proc_req_queued") \
	X(SYNC_PROCESSOR_BATCH_SIZE, "sync_processor_batch_size") \
	X(NODE_CHILDREN_WATCH_COUNT, "node_children_watch_count") \
	X(WRITE_BATCH_TIME_IN_COMMIT_PROCESSOR, "write_batch_time_in_commit_processor") \
	X(READ_COMMIT_PROC_ISSUED, "read_commit_proc_issued") \
	X(CONCURRENCY, "concurrent_request_processing_in_commit_processor") \
	X(OBSERVER_SYNC_TIME, "observer_sync_time") \
	X(NODE_CHANGED_WATCH_COUNT, "node_changed_watch_count") \
	X(SYNC_PROCESS_TIME, "sync_process_time") \
	X(STARTUP_SNAP_LOAD_TIME, "startup_snap_load_time")

/* Those of which Apache's server has percentiles. */
#define ZK_PERCENTILES(X) \
	X(PREP_PROCESSOR_QUEUE_TIME_MS, "prep_processor_queue_time_ms") \
	X(JVM_PAUSE_TIME_MS, "jvm_pause_time_ms") \
	X(CLOSE_SESSION_PREP_TIME, "close_session_prep_time") \
	X(READ_COMMITPROC_TIME_MS, "read_commitproc_time_ms") \
	X(UPDATELATENCY, "updatelatency") \
	X(LOCAL_WRITE_COMMITTED_TIME_MS, "local_write_committed_time_ms") \
	X(REQUEST_THROTTLE_QUEUE_TIME_MS, "request_throttle_queue_time_ms") \
	X(READLATENCY, "readlatency") \
	X(QUORUM_ACK_LATENCY, "quorum_ack_latency") \
	X(OM_COMMIT_PROCESS_TIME_MS, "om_commit_process_time_ms") \
	X(READ_FINAL_PROC_TIME_MS, "read_final_proc_time_ms") \
	X(COMMIT_PROPAGATION_LATENCY, "commit_propagation_latency") \
	X(DEAD_WATCHERS_CLEANER_LATENCY, "dead_watchers_cleaner_latency") \
	X(WRITE_FINAL_PROC_TIME_MS, "write_final_proc_time_ms") \
	X(PROPOSAL_ACK_CREATION_LATENCY, "proposal_ack_creation_latency") \
	X(PROPOSAL_LATENCY, "proposal_latency") \
	X(OM_PROPOSAL_PROCESS_TIME_MS, "om_proposal_process_time_ms") \
	X(SYNC_PROCESSOR_QUEUE_AND_FLUSH_TIME_MS, "sync_processor_queue_and_flush_time_ms") \
	X(PROPAGATION_LATENCY, "propagation_latency") \
	X(SERVER_WRITE_COMMITTED_TIME_MS, "server_write_committed_time_ms") \
	X(SYNC_PROCESSOR_QUEUE_TIME_MS, "sync_processor_queue_time_ms") \
	X(SYNC_PROCESSOR_QUEUE_FLUSH_TIME_MS, "sync_processor_queue_flush_time_ms") \
	X(WRITE_COMMITPROC_TIME_MS, "write_commitproc_time_ms")
/* clang-format on */

#define ZK_COUNTER_ENUM(symbol, name) ZK_COUNTER_##symbol,
#define ZK_SUMMARY_ENUM(symbol, name) ZK_SUMMARY_##symbol,

enum zk_counter { ZK_COUNTERS(ZK_COUNTER_ENUM) ZK_COUNTER_COUNT };
enum zk_summary {
	ZK_SUMMARIES(ZK_SUMMARY_ENUM) ZK_SUMMARY_BASIC_COUNT,
	ZK_SUMMARY_BEFORE_PERCENTILES = ZK_SUMMARY_BASIC_COUNT - 1,
	ZK_PERCENTILES(ZK_SUMMARY_ENUM) ZK_SUMMARY_COUNT
};

struct zk_metrics {
	uint64_t counters[ZK_COUNTER_COUNT];
	struct sketch summaries[ZK_SUMMARY_COUNT];
	int32_t response_last, response_min, response_max; /* bytes of replies; -1: none yet */
};

extern const char *const ZK_COUNTER_NAMES[ZK_COUNTER_COUNT];
extern const char *const ZK_SUMMARY_NAMES[ZK_SUMMARY_COUNT];

/* Forget everything: at the start, and for the word srst. */
void zk_metrics_reset(struct zk_metrics *m);

/* Forget the sizes of replies only: srst where Prometheus collects, whose counters never fall. */
void zk_metrics_reset_responses(struct zk_metrics *m);

static inline void
zk_metrics_count(struct zk_metrics *m, enum zk_counter which, uint64_t more)
{
	m->counters[which] += more;
}

static inline void
zk_metrics_observe(struct zk_metrics *m, enum zk_summary which, uint64_t value)
{
	sketch_add(&m->summaries[which], value);
}

/* A reply to a client has so many bytes, without its length. */
void zk_metrics_response(struct zk_metrics *m, uint64_t bytes);

#endif
