/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/settings.h"

#include <string.h>
#include <strings.h>

#include "zkserver/conf.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define PORT_MAX 65535
#define AT(member) offsetof(struct zoo_conf, member)

#define U32(key, member, min, max, flags)                                                          \
	{                                                                                          \
		key, SETTING_U32, flags, AT(member), min, max, NULL, NULL                          \
	}
#define JAVA_U32(key, member, min, max, flags) U32(key, member, min, max, (flags) | SETTING_JAVA)
#define PORT(key, member)                                                                          \
	{                                                                                          \
		key, SETTING_PORT, 0, AT(member), 0, PORT_MAX, NULL, NULL                          \
	}
#define TEXT(key, member, flags)                                                                   \
	{                                                                                          \
		key, SETTING_TEXT, flags, AT(member), 0, sizeof((struct zoo_conf *)0)->member - 1, \
		    NULL, NULL                                                                     \
	}
#define LIST(key, member)                                                                          \
	{                                                                                          \
		key, SETTING_LIST, 0, AT(member), 0, sizeof((struct zoo_conf *)0)->member - 1,     \
		    NULL, NULL                                                                     \
	}
#define BOOL(key, member, flags)                                                                   \
	{                                                                                          \
		key, SETTING_BOOL, flags, AT(member), 0, 0, NULL, NULL                             \
	}
#define CHOICE(key, member, words)                                                                 \
	{                                                                                          \
		key, SETTING_CHOICE, 0, AT(member), 0, 0, words, NULL                              \
	}
#define FORM(key)                                                                                  \
	{                                                                                          \
		key, SETTING_FORM, 0, 0, 0, 0, NULL, NULL                                          \
	}
#define ONLY(key, words, why)                                                                      \
	{                                                                                          \
		key, SETTING_ONLY, 0, 0, 0, 0, words, why                                          \
	}
#define NOTHING(key, why)                                                                          \
	{                                                                                          \
		key, SETTING_NOTHING, 0, 0, 0, 0, NULL, why                                        \
	}

#define ELSEWHERE "a learner's retries and reads are not tuned"
#define NO_SASL "SASL between servers is not supported; sslQuorum protects them"
#define THREADS "one thread serves all clients"
#define KERBEROS "Kerberos is not supported"
#define WAITING "a request waits where it arrived until there is room"
#define CLIENTS "it concerns clients"
#define LARGE "while 64 MiB of writes wait for the log, no more requests are read"
#define JAVA "it names a Java class"
#define NETTY "it tunes Netty"
#define PLAIN_ADMIN                                                                                \
	"the admin server speaks plain HTTP, on loopback: a proxy before it can have TLS"
#define TESTS_ONLY "it exists for Apache's own tests"

static const struct setting ROWS[] = {
    /* Where, and how long. */
    U32("tickTime", tick_ms, 1, 3600000, 0),
    TEXT("dataDir", data_dir, 0),
    TEXT("dataLogDir", data_log_dir, 0),
    PORT("clientPort", client_port),
    TEXT("clientPortAddress", client_address, 0),
    PORT("secureClientPort", secure_port),
    TEXT("secureClientPortAddress", secure_address, 0),
    U32("minSessionTimeout", min_session_ms, 1, INT32_MAX, SETTING_LIVE | SETTING_UNSET),
    U32("maxSessionTimeout", max_session_ms, 1, INT32_MAX, SETTING_LIVE | SETTING_UNSET),

    /* Limits. */
    U32("maxClientCnxns", max_client_cnxns, 0, INT32_MAX, SETTING_LIVE | SETTING_FLOOR),
    JAVA_U32("maxCnxns", max_cnxns, 0, INT32_MAX, SETTING_LIVE | SETTING_FLOOR),
    U32("clientPortListenBacklog", backlog, 1, INT32_MAX, SETTING_UNSET),
    BOOL("clientTcpKeepAlive", keep_alive, 0),
    {"jute.maxbuffer", SETTING_U32, SETTING_JAVA, AT(jute_max_bytes), 1024, ZOO_JUTE_MAX_BYTES,
	NULL, "a transaction has at most twice that, and its node must fit into a reply"},
    NOTHING("jute.maxbuffer.extrasize", "files are read by the length of their records"),
    JAVA_U32("globalOutstandingLimit", outstanding_max, 1, 1000000, SETTING_LIVE | SETTING_FLOOR),
    JAVA_U32("request_throttle_max_requests", requests_max, 0, 1000000, 0),
    NOTHING("request_throttle_*", WAITING),
    NOTHING("request_stale_*", WAITING),
    NOTHING("request_throttler.shutdownTimeout", THREADS),
    NOTHING("throttled_op_wait_time", WAITING),
    NOTHING("largeRequestMaxBytes", LARGE),
    NOTHING("largeRequestThreshold", LARGE),
    JAVA_U32("connection_throttle_tokens", connect_tokens, 0, 4000000, 0),
    JAVA_U32("connection_throttle_fill_time", connect_fill_ms, 1, 86400000, 0),
    JAVA_U32("connection_throttle_fill_count", connect_fill_count, 1, 1000000, 0),
    BOOL("connection_throttle_weight_enabled", connect_weighed, 0),
    JAVA_U32("connection_throttle_global_session_weight", connect_weight, 1, 1000, 0),
    JAVA_U32("connection_throttle_renew_session_weight", reconnect_weight, 1, 1000, 0),
    NOTHING("connection_throttle_local_session_weight", "a local session costs as any other"),
    ONLY("connection_throttle_freeze_time", "-1", "clients are not turned away at random"),
    NOTHING("connection_throttle_drop_*", "clients are not turned away at random"),
    NOTHING("connection_throttle_decrease_ratio", "clients are not turned away at random"),
    U32("maxTlsHandshakesPerSecond", handshakes_per_s, 0, 1000000, 0),
    U32("maxMemoryInMb", memory_max_mib, 0, INT32_MAX, SETTING_UNSET),
    U32("maxNodes", nodes_max, 0, INT32_MAX, 0),
    U32("maxSessions", sessions_max, 0, INT32_MAX, 0),
    U32("maxEphemeralsPerSession", ephemerals_max, 0, INT32_MAX, 0),
    NOTHING("nio.sessionlessCnxnTimeout", "a connection without a session ends after 10 s"),

    /* Files. */
    JAVA_U32("snapCount", snap_count, 2, INT32_MAX, SETTING_LIVE | SETTING_FLOOR),
    U32("preAllocSize", prealloc_kib, 0, INT32_MAX / 1024, SETTING_FLOOR),
    BOOL("forceSync", force_sync, 0),
    BOOL("snapshot.trust.empty", trust_empty, 0),
    U32("autopurge.snapRetainCount", purge_retain, 0, INT32_MAX, SETTING_FLOOR),
    U32("autopurge.purgeInterval", purge_hours, 0, 24 * 365, SETTING_FLOOR),
    CHOICE("snapshot.compression.method", snapshot_method, ZOO_SNAPSHOT_METHOD_WORDS),
    JAVA_U32("snapSizeLimitInKb", snap_size_kib, 0, INT32_MAX, SETTING_LIVE | SETTING_FLOOR),
    JAVA_U32("txnLogSizeLimitInKb", log_size_kib, 0, INT32_MAX, SETTING_UNSET),
    JAVA_U32("fsync.warningthresholdms", slow_sync_ms, 0, INT32_MAX, SETTING_LIVE),
    ONLY("digest.enabled", "true yes", "the tree's digest is always kept"),
    ONLY("closeSessionTxn.enabled", "true yes", "it was for mixing 3.5 with 3.6"),
    NOTHING("serializeLastProcessedZxid.enabled", "snapshots are whole without it"),
    NOTHING("db.autocreate", "a missing data directory is made"),
    NOTHING("datadir.autocreate", "a missing data directory is made"),
    NOTHING("flushDelay", "what arrives while the disk works is its next batch"),
    NOTHING("maxWriteQueuePollTime", "what arrives while the disk works is its next batch"),
    NOTHING("maxBatchSize", "what arrives while the disk works is its next batch"),

    /* The tree. */
    BOOL("enforceQuota", enforce_quota, 0),
    BOOL("extendedTypesEnabled", extended_types, 0),
    BOOL("emulate353TTLNodes", emulate_353, 0),
    JAVA_U32("znode.container.checkIntervalMs", reap_interval_ms, 1, INT32_MAX, 0),
    JAVA_U32("znode.container.maxPerMinute", reap_max_per_minute, 1, INT32_MAX, 0),
    JAVA_U32("znode.container.maxNeverUsedIntervalMs", reap_never_used_ms, 0, INT32_MAX, 0),

    /* Identities. */
    BOOL("skipACL", auth.skip_acl, 0),
    FORM("authProvider.*"),
    BOOL("DigestAuthenticationProvider.enabled", auth.digest, 0),
    TEXT("DigestAuthenticationProvider.digestAlg", auth.digest_alg, 0),
    TEXT("DigestAuthenticationProvider.superDigest", auth.super_digest, 0),
    TEXT("X509AuthenticationProvider.superUser", auth.x509_super, 0),
    ONLY("IPAuthenticationProvider.usexforwardedfor", "false no",
	"a header that anyone can write is no identity"),
    TEXT("java.security.auth.login.config", auth.jaas_file, 0),
    TEXT("sasl.serverconfig", auth.jaas_section, 0),
    TEXT("sasl.usersFile", auth.users_file, 0),
    TEXT("SASLAuthenticationProvider.superPassword", auth.super_password, 0),
    LIST("superUser", auth.super_users),
    LIST("superUser.*", auth.super_users),
    TEXT("letAnySaslUserDoX", auth.any_sasl_may, 0),
    BOOL("allowSaslFailedClients", auth.allow_failed_sasl, 0),
    BOOL("sessionRequireClientSASLAuth", auth.require_sasl, 0),
    BOOL("enforce.auth.enabled", auth.enforce, 0),
    TEXT("enforce.auth.schemes", auth.schemes, 0),
    TEXT("ensembleAuthName", auth.ensemble_names, 0),
    TEXT("sessionKeyFile", auth.session_key_file, 0),
    NOTHING("kerberos.*", KERBEROS),
    NOTHING("kinit", KERBEROS),
    ONLY("requireKerberosConfig", "false", KERBEROS),
    NOTHING("security.auth_to_local", KERBEROS),
    NOTHING("server.realm", KERBEROS),
    NOTHING("server.principal", KERBEROS),

    /* TLS. */
    TEXT("ssl.keyStore.location", tls.key_store, 0),
    TEXT("ssl.keyStore.password", tls.key_password, 0),
    TEXT("ssl.keyStore.passwordPath", tls.key_password_path, 0),
    CHOICE("ssl.keyStore.type", tls.key_type, ZOO_STORE_WORDS),
    TEXT("ssl.trustStore.location", tls.trust_store, 0),
    TEXT("ssl.trustStore.password", tls.trust_password, 0),
    TEXT("ssl.trustStore.passwordPath", tls.trust_password_path, 0),
    CHOICE("ssl.trustStore.type", tls.trust_type, ZOO_STORE_WORDS),
    TEXT("ssl.protocol", tls.protocol, 0),
    TEXT("ssl.enabledProtocols", tls.protocols, 0),
    TEXT("ssl.ciphersuites", tls.suites, 0),
    CHOICE("ssl.clientAuth", tls.client_auth, ZOO_CLIENT_AUTH_WORDS),
    BOOL("ssl.hostnameVerification", tls.check_names, 0),
    BOOL("ssl.clientHostnameVerification", tls.check_client_names, 0),
    ONLY("ssl.allowReverseDnsLookup", "false no", "names of whoever owns an address prove nothing"),
    BOOL("ssl.crl", tls.want_crl, 0),
    TEXT("ssl.crl.location", tls.crl, 0),
    ONLY("ssl.ocsp", "false no", "nobody is asked; ssl.crl.location names a list"),
    ONLY("ssl.authProvider", "x509", "a Java class cannot be loaded here"),
    ONLY("ssl.context.supplier.class", "", "a Java class cannot be loaded here"),
    U32("ssl.handshakeDetectionTimeoutMillis", tls.handshake_ms, 1, 10000, 0),
    NOTHING("ssl.sslProvider", "OpenSSL is the only one"),
    NOTHING("ssl.tcnative.*", "OpenSSL is used as it is"),
    BOOL("client.portUnification", tls.unify, 0),
    BOOL("client.certReload", tls.reload, SETTING_LIVE),
    NOTHING("fips-mode", "it concerns Java's providers"),

    /* Administration. */
    TEXT("4lw.commands.whitelist", words, SETTING_LIVE),
    BOOL("admin.enableServer", admin_enabled, 0),
    PORT("admin.serverPort", admin_port),
    TEXT("admin.serverAddress", admin_address, 0),
    TEXT("admin.commandURL", admin_url, 0),
    JAVA_U32("admin.idleTimeout", admin_idle_ms, 1, INT32_MAX, 0),
    NOTHING("admin.httpVersion", "the admin server speaks HTTP/1.1"),
    ONLY("admin.portUnification", "false no", PLAIN_ADMIN),
    ONLY("admin.forceHttps", "false no", PLAIN_ADMIN),
    NOTHING("admin.needClientAuth", "the admin server speaks plain HTTP"),
    NOTHING("admin.*", "it belongs to commands of 3.9, which are not here"),
    CHOICE("metricsProvider.className", metrics_provider, ZOO_METRICS_WORDS),
    PORT("metricsProvider.httpPort", metrics_port),
    TEXT("metricsProvider.httpHost", metrics_address, 0),
    NOTHING("metricsProvider.exportJvmInfo", "there is no JVM"),
    NOTHING("metricsProvider.*", THREADS),
    BOOL("audit.enable", audit, 0),
    TEXT("audit.file", audit_file, 0),
    NOTHING("audit.impl.class", JAVA),
    NOTHING("pathStats.*", "paths are not counted one by one; audit.enable writes down changes"),
    NOTHING("messageTracker.*", "what servers told each other is not kept"),
    NOTHING("jmx.*", "there is no JVM"),
    NOTHING("jvm.pause.*", "there is no JVM"),

    NOTHING("client.secure", CLIENTS),
    NOTHING("clientCnxnSocket", CLIENTS),
    NOTHING("sasl.client*", CLIENTS),
    NOTHING("disableAutoWatchReset", CLIENTS),
    NOTHING("request.timeout", CLIENTS),

    /* Ensembles: who they are. */
    FORM("server.*"),
    FORM("group.*"),
    FORM("weight.*"),
    TEXT("dynamicConfigFile", ensemble.dynamic_file, 0),
    BOOL("standaloneEnabled", ensemble.standalone, 0),
    BOOL("reconfigEnabled", reconfig_enabled, 0),
    CHOICE("peerType", ensemble.peer_type, ZOO_PEER_TYPE_WORDS),
    ONLY("electionAlg", "3", "only FastLeaderElection is known"),
    ONLY("multiAddress.enabled", "false no", "a server has one address"),
    NOTHING("multiAddress.*", "a server has one address"),
    ONLY("oraclePath", "", "only a quorum decides who leads"),

    /* How they work together. */
    U32("initLimit", ensemble.init_limit, 1, 100000, 0),
    U32("syncLimit", ensemble.sync_limit, 1, 100000, 0),
    NOTHING("connectToLearnerMasterLimit", "connecting to a leader counts in initLimit"),
    NOTHING("leaderServes", "the leader serves clients, too"),
    BOOL("quorumListenOnAllIPs", ensemble.listen_on_all, 0),
    JAVA_U32("cnxTimeout", ensemble.connect_ms, 1, 3600000, 0),
    JAVA_U32("quorumCnxnTimeoutMs", ensemble.hello_ms, 1, 3600000, SETTING_UNSET),
    JAVA_U32("electionPortBindRetry", ensemble.bind_tries, 0, INT32_MAX, 0),
    JAVA_U32("fastleader.minNotificationInterval", ensemble.notification_min_ms, 1, 3600000, 0),
    JAVA_U32("fastleader.maxNotificationInterval", ensemble.notification_max_ms, 1, 3600000, 0),
    BOOL("tcpKeepAlive", ensemble.keep_alive, 0),
    NOTHING("syncEnabled", "an observer always has a log and snapshots"),
    NOTHING("observer.syncEnabled", "an observer always has a log and snapshots"),
    U32("observerMasterPort", ensemble.observer_master_port, 0, PORT_MAX, 0),
    BOOL("localSessionsEnabled", ensemble.local_sessions, 0),
    BOOL("localSessionsUpgradingEnabled", ensemble.local_upgrade, 0),
    BOOL("readonlymode.enabled", ensemble.read_only, 0),
    JAVA_U32("commitLogCount", ensemble.commit_log, 1, 10000000, 0),
    U32("commitLogSizeInKb", ensemble.commit_log_kib, 64, 1 << 20, 0),
    FORM("snapshotSizeFactor"),
    BOOL("forceSnapshotSync", ensemble.force_snapshot, 0),
    JAVA_U32("leader.maxConcurrentSnapSyncs", ensemble.snapshot_learners_max, 1, 10000, 0),
    NOTHING("leader.*", ELSEWHERE),
    NOTHING("leaderConnectDelayDuringRetryMs", ELSEWHERE),
    NOTHING("learner.*", ELSEWHERE),
    NOTHING("follower.*", ELSEWHERE),
    JAVA_U32("observer.reconnectDelayMs", ensemble.observer_reconnect_ms, 0, 3600000, 0),
    JAVA_U32("observer.election.DelayMs", ensemble.observer_election_ms, 0, 3600000, 0),
    NOTHING("observer.*", ELSEWHERE),
    NOTHING("observerMaster.sizeLimit", "what observers lack is in memory for all learners"),
    NOTHING("forward_learner_requests_to_commit_processor_disabled", THREADS),
    NOTHING("enableEagerACLCheck", "a request is checked where it becomes a transaction"),

    /* TLS between servers. */
    BOOL("sslQuorum", ensemble.encrypted, 0),
    BOOL("portUnification", ensemble.tls.unify, 0),
    BOOL("sslQuorumReloadCertFiles", ensemble.tls.reload, 0),
    TEXT("ssl.quorum.keyStore.location", ensemble.tls.key_store, 0),
    TEXT("ssl.quorum.keyStore.password", ensemble.tls.key_password, 0),
    TEXT("ssl.quorum.keyStore.passwordPath", ensemble.tls.key_password_path, 0),
    CHOICE("ssl.quorum.keyStore.type", ensemble.tls.key_type, ZOO_STORE_WORDS),
    TEXT("ssl.quorum.trustStore.location", ensemble.tls.trust_store, 0),
    TEXT("ssl.quorum.trustStore.password", ensemble.tls.trust_password, 0),
    TEXT("ssl.quorum.trustStore.passwordPath", ensemble.tls.trust_password_path, 0),
    CHOICE("ssl.quorum.trustStore.type", ensemble.tls.trust_type, ZOO_STORE_WORDS),
    TEXT("ssl.quorum.protocol", ensemble.tls.protocol, 0),
    TEXT("ssl.quorum.enabledProtocols", ensemble.tls.protocols, 0),
    TEXT("ssl.quorum.ciphersuites", ensemble.tls.suites, 0),
    CHOICE("ssl.quorum.clientAuth", ensemble.tls.client_auth, ZOO_CLIENT_AUTH_WORDS),
    BOOL("ssl.quorum.hostnameVerification", ensemble.tls.check_names, 0),
    BOOL("ssl.quorum.clientHostnameVerification", ensemble.tls.check_client_names, 0),
    ONLY("ssl.quorum.allowReverseDnsLookup", "false no",
	"names of whoever owns an address prove nothing"),
    BOOL("ssl.quorum.crl", ensemble.tls.want_crl, 0),
    TEXT("ssl.quorum.crl.location", ensemble.tls.crl, 0),
    ONLY("ssl.quorum.ocsp", "false no", "nobody is asked; ssl.quorum.crl.location names a list"),
    ONLY("ssl.quorum.context.supplier.class", "", "a Java class cannot be loaded here"),
    JAVA_U32("ssl.quorum.handshakeDetectionTimeoutMillis", ensemble.tls.handshake_ms, 1, 10000, 0),
    ONLY("quorum.auth.enableSasl", "false no", NO_SASL),
    ONLY("quorum.auth.learnerRequireSasl", "false no", NO_SASL),
    ONLY("quorum.auth.serverRequireSasl", "false no", NO_SASL),
    NOTHING("quorum.auth.*", NO_SASL),
    NOTHING("quorum.cnxn.threads.size", THREADS),

    /* How Apache's server is built. */
    NOTHING("serverCnxnFactory", JAVA),
    NOTHING("watchManagerName", JAVA),
    NOTHING("watcherCleanIntervalInSeconds", THREADS),
    NOTHING("watcherCleanThreadsNum", THREADS),
    NOTHING("watcherCleanThreshold", THREADS),
    NOTHING("maxInProcessingDeadWatchers", THREADS),
    NOTHING("bitHashCacheSize", JAVA),
    NOTHING("nio.*", THREADS),
    NOTHING("netty.*", NETTY),
    NOTHING("commitProcessor.*", THREADS),
    NOTHING("maxResponseCacheSize", "replies are made from the tree"),
    NOTHING("maxGetChildrenResponseCacheSize", "replies are made from the tree"),
    NOTHING("intBufferStartingSizeBytes", "buffers grow as they need"),
    NOTHING("test.*", TESTS_ONLY),
    NOTHING("testingonly.*", TESTS_ONLY),
    NOTHING("controllerPort", TESTS_ONLY),
};

const struct setting *
settings_table(size_t *count)
{
	*count = COUNT(ROWS);
	return ROWS;
}

/* How many bytes of the key the row names; 0: it is not the key's row. */
static size_t
row_matches(const struct setting *s, const char *key)
{
	size_t len;

	if (s->key[0] != key[0]) /* of nearly all rows nothing more is looked at */
		return 0;
	len = strlen(s->key);
	if (s->key[len - 1] == '*')
		return strncmp(s->key, key, len - 1) == 0 ? len - 1 : 0;
	return strcmp(s->key, key) == 0 ? len : 0;
}

const struct setting *
setting_find(const char *key)
{
	const struct setting *best = NULL;
	size_t best_len = 0;

	for (size_t i = 0; i < COUNT(ROWS); i++) {
		size_t len = row_matches(&ROWS[i], key);

		if (len > best_len) {
			best = &ROWS[i];
			best_len = len;
		}
	}
	return best;
}

int
setting_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (int i = 0;; i++) {
		size_t n = strcspn(words, " ");

		if (n == len && strncasecmp(words, word, n) == 0)
			return i;
		if (words[n] == '\0')
			return -1;
		words += n + 1;
	}
}

size_t
setting_size(const struct setting *s)
{
	switch (s->kind) {
	case SETTING_U32:
		return sizeof(uint32_t);
	case SETTING_PORT:
		return sizeof(int32_t);
	case SETTING_TEXT:
	case SETTING_LIST:
		return s->max + 1;
	case SETTING_BOOL:
		return sizeof(bool);
	case SETTING_CHOICE:
		return sizeof(int);
	case SETTING_FORM:
	case SETTING_ONLY:
	case SETTING_NOTHING:
		break;
	}
	return 0;
}
