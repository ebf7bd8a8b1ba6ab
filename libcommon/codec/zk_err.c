/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/zk_err.h"

const char *
zk_rc_name(int rc)
{
	switch (rc) {
#define X(name, code, text)                                                                        \
	case (code):                                                                               \
		return #name;
		ZK_ERRORS(X)
#undef X
	}
	return "UNKNOWN";
}

const char *
zk_rc_text(int rc)
{
	switch (rc) {
#define X(name, code, text)                                                                        \
	case (code):                                                                               \
		return text;
		ZK_ERRORS(X)
#undef X
	}
	return "unknown error";
}
