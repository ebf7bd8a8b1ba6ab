/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bugs on purpose, each of which a test must find (tests/unit/recipes and tests/sim/zabsim.sh say
 * which); they exist in a build of those tests only (ZAB_PLANTS), where `zab_plant` chooses one.
 */
#ifndef CORRAL_BASE_PLANTS_H
#define CORRAL_BASE_PLANTS_H

/* What it is called in the code and by the tests. */
#define ZAB_PLANT_LIST(X)                                                                          \
	/* NEWLEADER is acknowledged before what came is durable */                                \
	X(EARLY_AGREEMENT, "early-agreement")                                                      \
	/* currentEpoch is written before the history is durable */                                \
	X(EPOCH_FIRST, "epoch-first")                                                              \
	/* a learner that has what the leader lacks keeps it */                                    \
	X(ALWAYS_DIFF, "always-diff")                                                              \
	/* a truncation leaves the snapshots above it */                                           \
	X(SNAPSHOT_STAYS, "snapshot-stays")                                                        \
	/* a truncation is begun though nothing here leads to the cut */                           \
	X(CUT_ANYWAY, "cut-anyway")                                                                \
	/* a server votes before its log has taken what is pending */                              \
	X(NO_DRAIN, "no-drain")                                                                    \
	/* proposals are acknowledged before they are durable */                                   \
	X(EARLY_ACK, "early-ack")                                                                  \
	/* a received snapshot gets its name, and the old files go later */                        \
	X(ADOPT_IN_PLACE, "adopt-in-place")                                                        \
	/* a received snapshot is taken into memory, and to the disk some day */                   \
	X(SNAPSHOT_TO_MEMORY, "snapshot-to-memory")                                                \
	/* the log is cut, and what is in memory stays */                                          \
	X(CUT_STAYS_IN_MEMORY, "cut-stays-in-memory")                                              \
	/* what is in the log and not committed, memory forgets when a role ends */                \
	X(TAIL_FORGOTTEN, "tail-forgotten")                                                        \
	/* NEWLEADER goes out before what the learner lacks */                                     \
	X(ASK_FIRST, "ask-first")                                                                  \
	/* what is committed in a synchronization is applied with what comes after it */           \
	X(APPLIES_LATE, "applies-late")                                                            \
	/* a COMMIT between NEWLEADER and UPTODATE is passed over */                               \
	X(LOSES_COMMIT, "loses-commit")                                                            \
	/* a leader gives up when a learner acknowledges a proposal before NEWLEADER */            \
	X(STRICT_ACKS, "strict-acks")                                                              \
	/* what comes in a synchronization is not in the history that others are sent */           \
	X(HISTORY_GAP, "history-gap")                                                              \
	/* a proposal that does not follow is taken */                                             \
	X(HOLE_TAKEN, "hole-taken")                                                                \
	/* a packet of which a half came counts as received */                                     \
	X(HALF_COUNTS, "half-counts")                                                              \
	/* a write to the log that fails is passed over */                                         \
	X(LOST_WRITE, "lost-write")                                                                \
	/* a log that takes nothing more is waited for for ever */                                 \
	X(HANGING_LOG, "hanging-log")                                                              \
	/* names are not synced: of log files, snapshots and epochs */                             \
	X(NO_NAME_SYNC, "no-name-sync")                                                            \
	/* what is cut off a file is cut some day */                                               \
	X(CUT_UNSYNCED, "cut-unsynced")                                                            \
	/* a cut leaves one record too many */                                                     \
	X(CUT_SHORT, "cut-short")                                                                  \
	/* a file grows by zeros over what was just written to it */                               \
	X(GROWS_OVER, "grows-over")                                                                \
	/* a log that could not be sent is sent again */                                           \
	X(SENDS_DAMAGE, "sends-damage")                                                            \
	/* zeros are the end of a log, whatever follows */                                         \
	X(ZEROS_END, "zeros-end")                                                                  \
	/* what does not follow is the end of a log */                                             \
	X(GAP_ENDS, "gap-ends")                                                                    \
	/* what is no record is the end of a log */                                                \
	X(DAMAGE_ENDS, "damage-ends")                                                              \
	/* a log file without a whole header is damage, even the newest */                         \
	X(HEADER_OR_NOTHING, "header-or-nothing")                                                  \
	/* an accepted epoch below the current one is damage */                                    \
	X(EPOCHS_STRICT, "epochs-strict")                                                          \
	/* an epoch's file that is empty is epoch 0 */                                             \
	X(EPOCH_ZERO, "epoch-zero")                                                                \
	/* a snapshot that ends early is what it has */                                            \
	X(ENDLESS_SNAPSHOT, "endless-snapshot")                                                    \
	/* a snapshot has the name of the transaction behind it */                                 \
	X(NAMED_AHEAD, "named-ahead")                                                              \
	/* a multi whose first part was done is done */                                            \
	X(HALF_MULTI, "half-multi")                                                                \
	/* a node that is there already leaves its parent as it is */                              \
	X(PARENT_STAYS, "parent-stays")                                                            \
	/* a node that is there already keeps its access list */                                   \
	X(ACL_STAYS, "acl-stays")                                                                  \
	/* a replayed create needs its parent */                                                   \
	X(REPLAY_STRICT, "replay-strict")                                                          \
	/* logs without a snapshot are an empty database */                                        \
	X(STARTS_EMPTY, "starts-empty")                                                            \
	/* purging counts snapshots that are damaged */                                            \
	X(PURGE_COUNTS_ALL, "purge-counts-all")                                                    \
	/* the leader lets sessions that it does not know have ephemeral nodes */                  \
	X(STRANGERS_OWN, "strangers-own")                                                          \
	/* what comes behind the end of a session is carried out */                                \
	X(WRITES_AFTER_CLOSE, "writes-after-close")                                                \
	/* a learner's old link goes on when it has come again */                                  \
	X(OLD_LINK_STAYS, "old-link-stays")                                                        \
	/* a leader makes way for whatever epoch a member has been in */                           \
	X(FOREIGN_LEADS, "foreign-leads")                                                          \
	/* a read-only server says that it has written */                                          \
	X(READ_ONLY_WRITES, "read-only-writes")                                                    \
	/* the time in a session's id has a sign */                                                \
	X(SIGNED_IDS, "signed-ids")                                                                \
	/* a client sets all watches again in one request */                                       \
	X(WATCHES_AT_ONCE, "watches-at-once")                                                      \
	/* a client's last zxid is that of the last reply, whatever it is */                       \
	X(ANY_ZXID_SEEN, "any-zxid-seen")                                                          \
	/* events are told without asking who may read the node */                                 \
	X(EVENTS_FOR_ALL, "events-for-all")                                                        \
	/* versions pass through -1, which means any */                                            \
	X(VERSION_ANY, "version-any")                                                              \
	/* the counter of an epoch passes its end */                                               \
	X(ZXIDS_WRAP, "zxids-wrap")                                                                \
	/* a quota looks for the node among those that are there already */                        \
	X(QUOTA_BEHIND, "quota-behind")                                                            \
	/* members that lead or follow must have joined in one round */                            \
	X(ROUNDS_AGREE, "rounds-agree")                                                            \
	/* who is followed leads, whatever it has by now */                                        \
	X(LEADS_AGAIN, "leads-again")                                                              \
	/* a leader that does not lead is waited for */                                            \
	X(NEVER_FORSAKEN, "never-forsaken")                                                        \
	/* one peer is connected to after the other */                                             \
	X(DIALS_IN_TURN, "dials-in-turn")                                                          \
	/* who could not be connected to is not tried again */                                     \
	X(DIAL_ENDS, "dial-ends")                                                                  \
	/* a configuration is as long as a vote says */                                            \
	X(TRUSTS_LENGTH, "trusts-length")                                                          \
	/* one version of a server's first words is known */                                       \
	X(ONE_VERSION, "one-version")                                                              \
	/* who is no member yet cannot come to be added */                                         \
	X(MEMBERS_ONLY, "members-only")                                                            \
	/* observers count for quorums */                                                          \
	X(OBSERVERS_COUNT, "observers-count")                                                      \
	/* the old configuration's quorum is enough for the new one */                             \
	X(ONE_QUORUM, "one-quorum")                                                                \
	/* a proposed configuration is in memory only */                                           \
	X(MEMBERS_FORGOTTEN, "members-forgotten")                                                  \
	/* a configuration is newer if it is another one */                                        \
	X(OLDER_MEMBERS, "older-members")                                                          \
	/* a configuration that cannot be changed gets a version nevertheless */                   \
	X(STATIC_VERSIONS, "static-versions")                                                      \
	/* a synchronization that goes on has no more time than one that does not */               \
	X(NO_PROGRESS, "no-progress")                                                              \
	/* a follower leaves its leader when somebody else looks for one */                        \
	X(LOOKERS_DISTURB, "lookers-disturb")                                                      \
	/* what is committed is answered before this server's own disk has it */                   \
	X(OWN_DISK_LATER, "own-disk-later")                                                        \
	/* a sync is answered by a leader that nobody has confirmed */                             \
	X(SYNC_UNCONFIRMED, "sync-unconfirmed")                                                    \
	/* a reply may overtake the events that wait */                                            \
	X(REPLY_FIRST, "reply-first")                                                              \
	/* purging takes a log whose first transaction is in a snapshot */                         \
	X(PURGE_BY_FIRST, "purge-by-first")                                                        \
	/* a received snapshot is written over what an interrupted one has left */                 \
	X(SPOOLS_OVER, "spools-over")                                                              \
	/* nothing is committed while a snapshot is on its way to a learner */                     \
	X(SNAPSHOT_BLOCKS, "snapshot-blocks")                                                      \
	/* an address that cannot be listened at is given up */                                    \
	X(LISTENS_ONCE, "listens-once")                                                            \
	/* a learner serves nobody while its leader has something to answer */                     \
	X(WAITS_FOR_LEADER, "waits-for-leader")                                                    \
	/* who looks for a leader takes no newer configuration */                                  \
	X(DEAF_WHILE_LOOKING, "deaf-while-looking")                                                \
	/* an agent obeys a master of an older term */                                             \
	X(TERM_UNCHECKED, "term-unchecked")                                                        \
	/* an agent counts its lease from when the acknowledgement arrives */                      \
	X(LEASE_FROM_ARRIVAL, "lease-from-arrival")                                                \
	/* an executor is told how long its lease lasts, not when it ends */                       \
	X(LEASE_DURATION, "lease-duration")                                                        \
	/* a master waits for a lease's end only, not for what is stopped then */                  \
	X(GRACE_FORGOTTEN, "grace-forgotten")                                                      \
	/* a singleton's attempt is sent before the store names its agent */                       \
	X(LAUNCH_UNCOMMITTED, "launch-uncommitted")

/* Those that simulations alone look for. */
#define ZAB_SIM_PLANT_LIST(S)                                                                      \
	/* the number in a name is how many children there are */                                  \
	S(NUMBERS_BY_COUNT, "numbers-by-count")                                                    \
	/* a Stat tells of creates alone where it has the changes of children */                   \
	S(STAT_OF_CREATES, "stat-of-creates")                                                      \
	/* a follower waits for ever for a leader that says nothing */                             \
	S(SILENCE_IS_FINE, "silence-is-fine")                                                      \
	/* a persistent watch is one for one time */                                               \
	S(PERSISTENT_ENDS, "persistent-ends")                                                      \
	/* watches of a connection that is closed stay */                                          \
	S(WATCHES_STAY, "watches-stay")                                                            \
	/* an event has the zxid of what was applied before */                                     \
	S(EVENTS_EARLY, "events-early")                                                            \
	/* a watch that is set again tells of nothing that was missed */                           \
	S(MISSED_UNTOLD, "missed-untold")                                                          \
	/* what comes from a server that a session has left is carried out */                      \
	S(MOVED_RUNS, "moved-runs")                                                                \
	/* any password is right */                                                                \
	S(ANY_PASSWORD, "any-password")                                                            \
	/* a local session has ephemeral nodes without becoming everybody's */                     \
	S(NO_UPGRADE, "no-upgrade")                                                                \
	/* a session has whatever timeout it asks for */                                           \
	S(ANY_TIMEOUT, "any-timeout")                                                              \
	/* ids of sessions begin anew with each start */                                           \
	S(IDS_BEGIN_ANEW, "ids-begin-anew")                                                        \
	/* a limit of a role that was raised holds before the store has it */                      \
	S(LIMIT_UNSTORED, "limit-unstored")                                                        \
	/* tasks that may run for all a new leader knows count against no limit */                 \
	S(LIMIT_FORGETS, "limit-forgets")                                                          \
	/* weights of roles weigh nothing */                                                       \
	S(WEIGHTS_IGNORED, "weights-ignored")                                                      \
	/* a node that is drained takes tasks */                                                   \
	S(DRAIN_IGNORED, "drain-ignored")                                                          \
	/* a singleton is over with its node's mark, and not with its lease */                     \
	S(MARK_ENDS_SINGLES, "mark-ends-singles")                                                  \
	/* an agent knows the latest term until it ends, and no longer */                          \
	S(TERM_IN_MEMORY, "term-in-memory")                                                        \
	/* an agent compares what of a term is a transaction's number, and not the era */          \
	S(ERA_IGNORED, "era-ignored")                                                              \
	/* an agent knows an executor again by its number alone */                                 \
	S(PID_ALONE, "pid-alone")                                                                  \
	/* a need that is too large to be counted is a small one */                                \
	S(NEED_WRAPS, "need-wraps")                                                                \
	/* what was meant for an agent's connection before goes out to the next one */             \
	S(WORDS_OUTLIVE, "words-outlive")                                                          \
	/* a singleton is sent as soon as its place is stored, whatever else the turn hears */     \
	S(LAUNCH_AT_ONCE, "launch-at-once")                                                        \
	/* a lease that an earlier leader gave holds under one that gives a shorter one */         \
	S(LEASE_KEPT, "lease-kept")                                                                \
	/* a length in an agent's checkpoint that has rotted is the end of a write that was cut */ \
	S(ROT_IS_CUT, "rot-is-cut")                                                                \
	/* of more masters that contend than there is room for, the first ones as listed are kept  \
	 */                                                                                        \
	S(FIRST_CANDIDATES, "first-candidates")                                                    \
	/* attempts that a lost checkpoint had run on unseen */                                    \
	S(STRANGERS_STAY, "strangers-stay")                                                        \
	/* a job that a leader cannot read is none */                                              \
	S(UNREAD_FORGOTTEN, "unread-forgotten")                                                    \
	/* of two nodes of one session, the newer one is taken for a master's own */               \
	S(NEWEST_OWN, "newest-own")

enum zab_plant {
	PLANT_NOTHING,
#define ZAB_PLANT_ENUM(name, text) PLANT_##name,
	ZAB_PLANT_LIST(ZAB_PLANT_ENUM) ZAB_SIM_PLANT_LIST(ZAB_PLANT_ENUM)
#undef ZAB_PLANT_ENUM
};

#ifdef ZAB_PLANTS
extern int zab_plant;
#define ZAB_PLANTED(which) (zab_plant == (which))
#else
#define ZAB_PLANTED(which) false
#endif

#endif
