/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result codes of ZooKeeper's client protocol (KeeperException.Code), and below -1000 our own
 * client's. One list gives the enum, the names and the texts.
 */
#ifndef CORRAL_CODEC_ZK_ERR_H
#define CORRAL_CODEC_ZK_ERR_H

#define ZK_ERRORS(X)                                                                               \
	X(OK, 0, "ok")                                                                             \
	X(SYSTEMERROR, -1, "the server failed inside")                                             \
	X(RUNTIMEINCONSISTENCY, -2, "not done, because another part of the multi failed")          \
	X(DATAINCONSISTENCY, -3, "the server's data is inconsistent")                              \
	X(CONNECTIONLOSS, -4, "connection lost, the request may or may not have been carried out") \
	X(MARSHALLINGERROR, -5, "the server could not read the request")                           \
	X(UNIMPLEMENTED, -6, "the server does not know this operation")                            \
	X(OPERATIONTIMEOUT, -7, "timed out")                                                       \
	X(BADARGUMENTS, -8, "invalid path or argument")                                            \
	X(UNKNOWNSESSION, -12, "unknown session")                                                  \
	X(NEWCONFIGNOQUORUM, -13, "no quorum of the new configuration is connected")               \
	X(RECONFIGINPROGRESS, -14, "another reconfiguration is under way")                         \
	X(APIERROR, -100, "invalid use of the protocol")                                           \
	X(NONODE, -101, "no such node")                                                            \
	X(NOAUTH, -102, "permission denied")                                                       \
	X(BADVERSION, -103, "version does not match")                                              \
	X(NOCHILDRENFOREPHEMERALS, -108, "an ephemeral node cannot have children")                 \
	X(NODEEXISTS, -110, "node exists")                                                         \
	X(NOTEMPTY, -111, "node has children")                                                     \
	X(SESSIONEXPIRED, -112, "session expired")                                                 \
	X(INVALIDCALLBACK, -113, "invalid callback")                                               \
	X(INVALIDACL, -114, "invalid access control list")                                         \
	X(AUTHFAILED, -115, "authentication failed")                                               \
	X(CLOSING, -116, "the client is closing")                                                  \
	X(SESSIONMOVED, -118, "session moved to another server")                                   \
	X(NOTREADONLY, -119, "the server is read-only")                                            \
	X(EPHEMERALONLOCALSESSION, -120, "a local session cannot have ephemeral nodes")            \
	X(NOWATCHER, -121, "no such watch")                                                        \
	X(REQUESTTIMEOUT, -122, "request timed out")                                               \
	X(RECONFIGDISABLED, -123, "reconfiguration is disabled")                                   \
	X(SESSIONCLOSEDREQUIRESASLAUTH, -124, "the server requires SASL authentication")           \
	X(QUOTAEXCEEDED, -125, "quota exceeded")                                                   \
	X(THROTTLEDOP, -127, "the server is overloaded and refused the request")                   \
	X(OVERLOADED, -1001, "too many requests are waiting for the server")                       \
	X(TOOLARGE, -1002, "request too large (a server takes 1 MiB, or its jute.maxbuffer)")      \
	X(NOMEMORY, -1003, "out of memory")                                                        \
	X(PROTOCOL, -1004, "the server sent a reply that cannot be read")

enum zk_rc {
#define X(name, code, text) ZK_##name = (code),
	ZK_ERRORS(X)
#undef X
};

/* "NONODE" and "no such node"; for a code that is not in the list "UNKNOWN" and "unknown error". */
const char *zk_rc_name(int rc);
const char *zk_rc_text(int rc);

#endif
